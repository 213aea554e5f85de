"""Test the code of the benchmarks.

No test depends on the measured speed of a benchmark.
"""

from __future__ import annotations

import functools
import importlib
import math
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import ROOT
from tools import update_tables
from tools.bench import __main__ as bench
from tools.bench import published, race, results, whole
from tools.bench.items import post, time_to_99
from zoo.errors import InputError


def test_contestants_take_turns_after_one_that_warms_up() -> None:
    found = race.run_interleaved(
        {"slow": ["tests.pacer", "10"], "fast": ["tests.pacer", "1000"]}, ["1", "2"], rounds=2
    )
    assert found == {
        "1": {"slow": [11, 12], "fast": [1001, 1002]},
        "2": {"slow": [24, 25], "fast": [2004, 2005]},
    }


def test_each_contestant_starts_some_rounds() -> None:
    names = ["a", "b", "c"]
    assert [race._rotated(names, by)[0] for by in range(4)] == ["a", "b", "c", "a"]
    assert all(sorted(race._rotated(names, by)) == names for by in range(4))


def test_a_contestant_that_dies_is_named() -> None:
    with pytest.raises(RuntimeError, match=r"tests\.pacer x exited without a measurement"):
        race.run_interleaved({"broken": ["tests.pacer", "x"]}, ["1"], rounds=1)


def test_a_whole_process_is_measured() -> None:
    measured = (
        "import time; time.sleep(0.2); print('first', flush=True)\n"
        "block = bytearray(200_000_000); time.sleep(2); print('last')"
    )
    # Measured by a small process, as in the benchmarks: Linux counts a parent's peak memory too.
    script = (
        f"from tools.bench import whole; line = ['-c', {measured!r}]\n"
        "done, part = whole.run(line), whole.run(line, until='first')\n"
        "assert done.output == 'first\\nlast\\n' and part.output == 'first\\n'\n"
        "assert 0.2 < part.seconds < done.seconds, (part, done)\n"
        "assert 200 < done.megabytes < 300 and part.megabytes < 150, (part, done)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)
    with pytest.raises(RuntimeError, match="exited with 3"):
        whole.run(["-c", "raise SystemExit(3)"])


def test_every_item_has_a_module_and_a_result() -> None:
    for item in bench.ITEMS:
        module = importlib.import_module(f"tools.bench.items.{item.replace('-', '_')}")
        assert callable(module.measure)
    assert results.kept() == sorted(bench.ITEMS)


def test_an_unknown_item_or_a_single_round_is_refused() -> None:
    with pytest.raises(InputError, match="'trainin'"):
        bench.main(["trainin"])
    with pytest.raises(InputError, match=r"at least 2.*received 1"):
        bench.main(["precision", "--rounds", "1"])


def test_the_tables_are_those_of_the_results() -> None:
    assert (results.FOLDER / "README.md").read_text(encoding="utf-8") == results.tables()
    assert update_tables.read_block("bench") == update_tables._bench_table() + "\n"
    for item in ("workers", "memory"):
        assert update_tables.read_block(item) == update_tables._item_table(item) + "\n"
    assert update_tables.read_block("gradients") == update_tables._gradients_table() + "\n"
    assert update_tables.read_block("speed") == update_tables._speed_table() + "\n"


@pytest.mark.parametrize("rounds", [2, 5, 7])
def test_the_parts_of_the_posts_recipe_are_all_its_steps(rounds: int) -> None:
    parts = post._parts(rounds)
    assert len(parts) == rounds
    assert [step for part in parts for step in part] == list(range(5_000))


@pytest.mark.parametrize(("within", "epochs"), [("inf", 3), ("0.5", 2)])
def test_an_example_ends_when_it_is_good_or_too_late(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, within: str, epochs: int
) -> None:
    accuracies = [0.9, 0.95, 0.99, 0.995]
    now = 0.0

    def example() -> Iterator[Callable[[], float]]:
        nonlocal now
        for accuracy in accuracies:
            now += 0.2
            yield functools.partial(float, accuracy)

    monkeypatch.setattr("time.perf_counter", lambda: now)
    monkeypatch.setattr(published, "keras_example", example)
    published.main("keras", within)
    assert float(capsys.readouterr().out.split()[-1]) == accuracies[epochs - 1]


@pytest.mark.parametrize(
    ("torch", "runs", "ratio", "told"),
    [
        ([math.inf] * 5, 3, "5.0", "over 50 in 3 runs of 3"),
        ([40, math.inf, 40, 60, 30], 5, "4.0", "40 (30 to inf)"),
    ],
)
def test_the_second_example_runs_until_it_is_known_to_be_slower(
    monkeypatch: pytest.MonkeyPatch, torch: list[float], runs: int, ratio: str, told: str
) -> None:
    seconds = {"keras": iter([50, 40, 60, 50, 50]), "torch": iter(torch)}
    limits = []

    def example(kind: str, within: float = math.inf) -> tuple[float, float]:
        limits.append((kind, within))
        return next(seconds[kind]), 0.99

    ours = iter([10.0, math.inf, 10.0, 10.0, 9.0])
    monkeypatch.setattr(time_to_99, "_ours", lambda seed, out: (next(ours), 0.991))
    monkeypatch.setattr(time_to_99, "_published", example)
    found = time_to_99.measure(5)
    assert found.rows[0][1] == "10 (9 to inf)"
    assert "5 seeds, of which 4 reached 99 %" in found.notes
    assert limits == [("keras", math.inf)] * 5 + [("torch", 50)] * runs
    assert list(found.headlines.values()) == [ratio]
    assert found.rows[-1][1] == told


def test_no_time_is_published_if_most_trainings_are_below_99_percent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    accuracies = iter([0.99, 0.9899, 0.98])
    monkeypatch.setattr(whole, "run", lambda line: whole.Whole(10.0, 0.0, ""))
    monkeypatch.setattr(
        time_to_99.Run, "read_result", lambda run: {"test_accuracy": next(accuracies)}
    )
    monkeypatch.setattr(time_to_99, "_published", lambda *_: (20.0, 0.99))
    with pytest.raises(RuntimeError, match="only 1 of 3 runs of compact-40k reached 99 %"):
        time_to_99.measure(3)
