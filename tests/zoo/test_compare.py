from __future__ import annotations

import functools
import itertools
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest

from tests.conftest import Command
from zoo import compare, recipes
from zoo.data import Dataset
from zoo.errors import DivergedError, InputError
from zoo.runs import Run, records
from zoo.training import precision

TINY = [
    "ltfn3",
    "ltfn1",
    "--data",
    "digits",
    "--seeds",
    "2",
    "--steps",
    "4",
    "--batch-size",
    "8",
    "--out",
    "study",
]


def _runs(model: str, *accuracies: float, side: int = 28) -> list[dict[str, Any]]:
    data = {"image_shape": [side, side, 1], "class_names": list("0123456789")}
    run = {"model": model, "data": data, "seconds": 2.0}
    return [run | {"test_accuracy": accuracy} for accuracy in accuracies]


def test_the_table_ranks_by_mean_and_weighs_by_noise() -> None:
    results = {
        "ltfn1": _runs("ltfn1", 0.90, 0.91, 0.92),
        "ltfn5": _runs("ltfn5", 0.990, 0.992, 0.991),
        "ltfn5-avgpool": _runs("ltfn5-avgpool", 0.989, 0.993, 0.9905),
    }
    _, _, *rows = compare.table(results).splitlines()
    assert [row.split(" | ")[0].lstrip("| ") for row in rows] == [
        "ltfn5",
        "ltfn5-avgpool",
        "ltfn1",
    ]
    assert "99.10 % ± 0.10 | 3 | 321,738 | 72,767,744 | 2 s" in rows[0]
    # Welch's test gives 0.906, 0.0047 and, for the other pair, 0.0038: Holm takes three times this.
    assert "0.02 points, p = 0.906" in rows[1]
    assert "8.10 points, p = 0.012" in rows[2]


def test_one_seed_tells_nothing() -> None:
    text = compare.table({"ltfn1": _runs("ltfn1", 0.5), "ltfn5": _runs("ltfn5", 0.99)})
    assert "49.00 points, not testable" in text


def test_costs_are_those_of_the_images() -> None:
    assert "| 7,850 | 7,840 |" in compare.table({"ltfn1": _runs("ltfn1", 0.5)})
    assert "| 2,570 | 2,560 |" in compare.table({"ltfn1": _runs("ltfn1", 0.5, side=16)})


def test_a_study_sets_the_seeds_itself() -> None:
    for seed in (["--set", "seed=7"],):
        with pytest.raises(InputError, match="give their number with --seeds"):
            compare.main([*TINY, *seed])


def _job(model: str, seed: int, folder: Path, dataset: Dataset, **settings: Any) -> compare.Job:
    recipe = recipes.get_recipe("quick").replace(steps=2, batch_size=4, seed=seed, **settings)
    models = ["ltfn1", "compact-4k"]
    common = functools.partial(compare._precision, folder, models, dataset)
    return compare.Job(model, dataset, recipe, Run(folder / f"{model}-seed{seed}"), common)


def test_a_run_that_diverges_does_not_keep_others_from_training(
    digits: Dataset, tmp_path: Path
) -> None:
    wild = _job("ltfn1", 0, tmp_path, digits, optimizer="sgd", learning_rate=1e38)
    tame = _job("ltfn1", 1, tmp_path, digits, precision="float32")
    with pytest.raises(
        DivergedError, match=r"^ltfn1-seed0: .*--set learning_rate=RATE and another"
    ):
        compare._results([wild, tame])
    assert tame.run.result.exists()


def test_all_runs_of_a_study_have_the_precision_of_its_largest_network(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []

    def fastest(build: Callable[[str], keras.Model]) -> str:
        measured.append(build("float32").name)
        return "bfloat16"

    monkeypatch.setattr(precision, "fastest", fastest)
    jobs = [_job(model, 0, tmp_path, digits) for model in ("ltfn1", "compact-4k")]
    found = compare._results(jobs)
    assert [each["precision"] for each in found.values()] == ["bfloat16", "bfloat16"]
    assert measured == ["compact-4k"]


@pytest.mark.slow
def test_a_study_goes_on_where_it_stopped(command: Command, tmp_path: Path) -> None:
    first = command("zoo.compare", "ltfn1", *TINY, cwd=tmp_path)  # given twice
    assert first.stdout.count(" | 2 | ") == 2  # seeds of each network
    assert first.returncode == 0, first.stderr
    study = tmp_path / "study"
    names = [f"{model}-seed{seed}" for model in ("ltfn1", "ltfn3") for seed in (0, 1)]
    assert sorted(path.name for path in study.iterdir() if path.is_dir()) == names
    seeds = {Run(study / name).read_result()["seed"] for name in names}
    assert seeds == {0, 1}
    assert (study / "table.md").read_text() in first.stdout + "\n"
    assert (study / "comparison.png").stat().st_size > 5000

    # One result is deleted: only this run is trained again.
    (study / "ltfn1-seed1" / "result.json").unlink()
    kept = (study / "ltfn1-seed0" / "result.json").stat().st_mtime_ns
    again = command("zoo.compare", *TINY, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count(" parameters; data digits") == 1
    assert (study / "ltfn1-seed0" / "result.json").stat().st_mtime_ns == kept

    other = command("zoo.compare", *TINY, "--set", "learning_rate=0.1", cwd=tmp_path)
    assert other.returncode == 2
    assert "holds another experiment" in other.stderr

    run = Run(study / "ltfn1-seed0")
    result = run.read_result()
    changed = result["architecture"] | {"sha256": "0" * 64}
    records.write(run.result, result | {"architecture": changed})
    other = command("zoo.compare", *TINY, cwd=tmp_path)
    assert other.returncode == 2
    assert "the function of ltfn1 was changed after" in other.stderr


@pytest.mark.slow
def test_several_processes_share_a_study(
    command: Command, environment: dict[str, str], tmp_path: Path
) -> None:
    """Three processes train the runs of one study, and one of them is killed while it trains."""
    line = ["ltfn1", "--data", "digits", "--steps", "150", "--seeds", "4"]
    alone = command("zoo.compare", *line, "--out", "alone", cwd=tmp_path)
    assert alone.returncode == 0, alone.stderr

    study = tmp_path / "study"
    names = {f"ltfn1-seed{seed}" for seed in range(4)}
    printed = [tmp_path / f"{number}.txt" for number in range(3)]
    processes = []
    for file in printed:
        with file.open("wb") as out:
            arguments = [sys.executable, "-u", "-m", "zoo.compare", *line, "--out", "study"]
            processes.append(subprocess.Popen(arguments, cwd=tmp_path, env=environment, stdout=out))
    killed, *others = processes
    while not list(study.glob("*/metrics.jsonl")) or "Step     0" not in printed[0].read_text():
        assert killed.poll() is None
        time.sleep(0.01)
    killed.kill()
    assert [process.wait(timeout=200) for process in others] == [0, 0]
    assert killed.wait() == -signal.SIGKILL

    assert {path.name for path in study.iterdir() if path.is_dir()} == names
    begun = [re.findall(r"^ltfn\d: .*seed \d", file.read_text(), re.M) for file in printed]
    # Each run was trained by one process, and that of the killed one once more.
    assert sum(len(each) for each in begun[1:]) == len(set(itertools.chain(*begun[1:])))
    finished_by_killed = printed[0].read_text().count("Test accuracy")
    assert len(set(itertools.chain(*begun[1:]))) == len(names) - finished_by_killed
    accuracy = {
        folder: [Run(tmp_path / folder / name).read_result()["test_correct"] for name in names]
        for folder in ("alone", "study")
    }
    assert accuracy["alone"] == accuracy["study"]
    for file in printed[1:]:
        assert (study / "table.md").read_text() in file.read_text()
