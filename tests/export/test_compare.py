"""Test that the exported files of a study are compared."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import export
from export import compare, formats
from export.pipeline import Request
from tests.conftest import Command
from zoo.runs import Run


def _results(model: str, *correct: int, keras: float) -> list[dict[str, Any]]:
    data = {"image_shape": [28, 28, 1], "class_names": list("0123456789")}
    result = {"model": model, "data": data, "test_accuracy": keras}
    file = {"test_count": 2000, "bytes": 2000, "microseconds": 12.34}
    return [result | {"file": file | {"test_correct": each}} for each in correct]


def test_the_table_ranks_the_files_and_not_the_networks() -> None:
    results = {
        "ltfn1": _results("ltfn1", 1800, 1820, 1840, keras=0.99),
        "ltfn5": _results("ltfn5", 1980, 1984, 1982, keras=0.98),
        "ltfn5-avgpool": _results("ltfn5-avgpool", 1978, 1986, 1981, keras=0.97),
    }
    _, _, *rows = compare.table(results, "int8").splitlines()
    assert rows[0] == (
        "| ltfn5 | 99.10 % ± 0.10 | 98.00 % ± 0.00 | 3 | 72,767,744 | 2,000 | 12.3 |  |"
    )
    assert [row.split(" | ")[0] for row in rows[1:]] == ["| ltfn5-avgpool", "| ltfn1"]
    # As in the table of zoo.compare: Holm takes three times the p-value of Welch's test.
    assert "8.10 points, p = 0.012" in rows[2]


def test_a_file_is_used_again_if_it_was_proven_with_the_same_bounds(small: Path) -> None:
    run, out = Run(small / "runs" / "compact-10k"), small / "exports" / "compact-10k"

    def exported(points: float | None) -> dict[str, Any] | None:
        bounds = {} if points is None else {"int8": points}
        chosen = formats.bounded([formats.FORMATS["int8"]], bounds, allow_drop=True)
        return compare._exported(run, "int8", Request(formats=chosen), out)

    found = exported(None)
    assert found is not None
    assert found["file"] == "tflite/compact-10k-int8.tflite"
    assert exported(0) is None
    assert exported(5) is None


@pytest.mark.slow
def test_each_run_of_a_study_is_exported_once(command: Command, tmp_path: Path) -> None:
    recipe = ("--data", "digits", "--steps", 100, "--set", "threads=1", "--out", "study")
    made = command("zoo.compare", "ltfn1", "ltfn3", "--seeds", 2, *recipe, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    study = tmp_path / "study"
    line = ("export.compare", "study", "--format", "float32")
    done = command(*line, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (study / "float32.md").read_text()
    assert text in done.stdout
    assert (study / "float32.png").stat().st_size > 5000
    for model in ("ltfn1", "ltfn3"):
        manifests = [
            export.open_bundle(study / "exports" / f"{model}-seed{seed}" / "1").manifest
            for seed in (0, 1)
        ]
        files = [
            file
            for manifest in manifests
            for file in manifest["artifacts"]
            if file["format"] == "float32"
        ]
        mean = sum(100 * file["test_correct"] / file["test_count"] for file in files) / 2
        assert re.search(rf"\| {model} \| {mean:.2f} % ± ", text)

    again = command(*line, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert (study / "float32.md").read_text() == text
    assert not list((study / "exports").glob("*/2"))

    copy = shutil.copytree(study / "ltfn1-seed0", study / "ltfn1-seed0-old")
    twice = command(*line, cwd=tmp_path)
    assert (twice.returncode, twice.stderr.count("\n")) == (2, 1)
    assert "is a run of ltfn1 with seed 0; move it out of the study" in twice.stderr
    shutil.rmtree(copy)

    other = ("--data", "digits", "--set", "threads=1", "--out", "study/ltfn3-seed1", "--force")
    for how in (("--steps", 50), ("--steps", 100, "--teachers", "ltfn1")):
        trained = command("zoo.train", "ltfn3", *other, "--seed", 1, *how, cwd=tmp_path)
        assert trained.returncode == 0, trained.stderr
        mixed = command(*line, cwd=tmp_path)
        assert (mixed.returncode, mixed.stderr.count("\n")) == (2, 1)
        assert "study/ltfn3-seed1 has other data, another recipe, other" in mixed.stderr

    (study / "ltfn3-seed0" / "result.json").unlink()
    unfinished = command(*line, cwd=tmp_path)
    assert (unfinished.returncode, unfinished.stderr.count("\n")) == (2, 1)
    assert "study has unfinished runs: ltfn3-seed0; repeat the command" in unfinished.stderr

    for seed in (0, 1):
        shutil.rmtree(study / f"ltfn3-seed{seed}")
    redone = ("zoo.train", "ltfn1", "--data", "digits", "--steps", 100, "--set", "threads=1")
    best = ("--set", "shift=0", "--force")
    for seed in (0, 1):
        out = ("--seed", seed, "--out", f"study/ltfn1-seed{seed}")
        assert command(*redone, *best, *out, cwd=tmp_path).returncode == 0
    assert command(*line, cwd=tmp_path).returncode == 0
    exported = {str(path.relative_to(study / "exports")) for path in study.glob("exports/*/2")}
    assert exported == {"ltfn1-seed0/2", "ltfn1-seed1/2"}
