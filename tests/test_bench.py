"""The benchmarks' machinery; what they measure is not tested, since no test depends on a time."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tools import update_readme
from tools.bench import __main__ as bench
from tools.bench import race, results, whole
from zoo.errors import InputError


def test_contestants_take_turns_after_one_that_warms_up() -> None:
    found = race.race(
        {"slow": ["tests.pacer", "10"], "fast": ["tests.pacer", "1000"]}, ["1", "2"], rounds=2
    )
    assert found == {
        "1": {"slow": [11, 12], "fast": [1001, 1002]},
        "2": {"slow": [24, 25], "fast": [2004, 2005]},
    }


def test_no_contestant_always_follows_the_same_one() -> None:
    names = ["a", "b", "c"]
    assert [race._rotated(names, by)[0] for by in range(4)] == ["a", "b", "c", "a"]
    assert all(sorted(race._rotated(names, by)) == names for by in range(4))


def test_a_contestant_that_dies_is_named() -> None:
    with pytest.raises(RuntimeError, match=r"tests\.pacer x ended without an answer"):
        race.race({"broken": ["tests.pacer", "x"]}, ["1"], rounds=1)


def test_a_whole_process_is_measured() -> None:
    measured = (
        "import time; time.sleep(0.2); print('first', flush=True)\n"
        "block = bytearray(200_000_000); time.sleep(0.2); print('last')"
    )
    # Asked by a small process, as the benchmarks do: Linux hands a parent's peak down.
    script = (
        f"from tools.bench import whole; line = ['-c', {measured!r}]\n"
        "done, part = whole.run(line), whole.run(line, until='first')\n"
        "assert done.output == 'first\\nlast\\n' and part.output == 'first\\n'\n"
        "assert 0.2 < part.seconds < done.seconds - 0.15, (part, done)\n"
        "assert 200 < done.megabytes < 300 and part.megabytes < 150, (part, done)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)
    with pytest.raises(RuntimeError, match="left with 3"):
        whole.run(["-c", "raise SystemExit(3)"])


def test_every_item_has_a_room_and_a_result() -> None:
    for item in bench.ITEMS:
        room = importlib.import_module(f"tools.bench.items.{item.replace('-', '_')}")
        assert callable(room.measure)
    assert results.kept() == sorted(bench.ITEMS)


def test_an_unknown_item_is_refused() -> None:
    with pytest.raises(InputError, match="'trainin'"):
        bench.main(["trainin"])


def test_the_tables_are_those_of_the_results() -> None:
    assert (results.FOLDER / "README.md").read_text(encoding="utf-8") == results.tables()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert update_readme._block(readme, "bench") == update_readme._bench_table() + "\n"
