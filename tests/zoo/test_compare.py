from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Command
from zoo import compare
from zoo.errors import InputError
from zoo.runs import Run

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


@pytest.mark.slow
def test_a_study_goes_on_where_it_stopped(command: Command, tmp_path: Path) -> None:
    first = command("zoo.compare", *TINY, cwd=tmp_path)
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
