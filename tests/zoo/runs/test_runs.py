from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zoo
from tests.conftest import ROOT
from zoo.errors import InputError
from zoo.runs import Run
from zoo.util.environment import machine, versions


@pytest.fixture
def result(experiment: dict[str, Any]) -> dict[str, Any]:
    """Return the results of a run, without its weights."""
    return experiment | {
        "module": "zoo.models.ltfn",
        "seed": 0,
        "precision": "auto",
        "steps": 10,
        "validation_accuracy": 0.5,
        "test_accuracy": 0.75,
        "test_correct": 75,
        "test_count": 100,
        "test_cost": 1.5,
        "seconds": 2.0,
        "images_per_second": 500.0,
        "versions": versions(),
        "machine": machine(),
    }


@pytest.fixture
def finished(new_run: Run, result: dict[str, Any]) -> Run:
    new_run.save_weights(zoo.create_model("ltfn5"))
    new_run.finish(result)
    return new_run


def test_a_finished_run_gives_its_network_back(new_run: Run, result: dict[str, Any]) -> None:
    model = zoo.create_model("ltfn5")
    new_run.save_weights(model)
    new_run.finish(result)
    loaded = zoo.load_model(new_run.folder)
    assert loaded.class_names == tuple("0123456789")
    for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_altered_weights_are_refused(finished: Run) -> None:
    content = bytearray(finished.weights.read_bytes())
    content[len(content) // 2] ^= 1
    finished.weights.write_bytes(content)
    with pytest.raises(InputError, match=r"model\.weights\.h5 was altered"):
        zoo.load_model(finished.folder)


def test_missing_weights_are_named(finished: Run) -> None:
    finished.weights.unlink()
    with pytest.raises(InputError, match=r"has no weights: model\.weights\.h5 is missing"):
        zoo.load_model(finished.folder)


def test_an_unfinished_run_is_not_loaded(new_run: Run) -> None:
    with pytest.raises(InputError, match="unfinished run without weights"):
        zoo.load_model(new_run.folder)


def test_another_folder_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a run folder"):
        zoo.load_model(tmp_path)


@pytest.mark.parametrize("path", ["", "1", "1/saved_model.pb"])
def test_an_exported_network_is_no_run(examples: Path, path: str) -> None:
    exports = examples / "exports" / "ltfn5"
    with pytest.raises(InputError) as caught:
        zoo.load_model(exports / path)
    assert str(caught.value) == (
        f"{exports / path} is not a run folder: it holds an exported network; give a run, such as "
        f"runs/ltfn5, or check the bundle with python -m export.verify {exports / '1'}"
    )


def test_an_existing_run_is_kept(finished: Run) -> None:
    with pytest.raises(InputError, match="exists; give --force"):
        finished.create({})
    assert finished.result.exists()


def test_force_keeps_the_old_run_until_the_new_one_is_whole(
    finished: Run, result: dict[str, Any]
) -> None:
    previous = finished.folder.with_name(".run.previous")
    finished.create({"model": "new"}, force=True)
    assert not finished.result.exists()
    assert json.loads((previous / "result.json").read_text())["model"] == "ltfn5"
    # Replaced again before it was finished: the finished run is still kept.
    finished.create({"model": "newer"}, force=True)
    assert (previous / "result.json").exists()
    finished.save_weights(zoo.create_model("ltfn5"))
    finished.finish(result)
    assert not previous.exists()


def test_force_never_replaces_what_is_not_a_run(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match="is not a run folder"):
        Run(tmp_path).create({}, force=True)
    assert (tmp_path / "thesis.tex").exists()


def test_a_run_may_be_moved(finished: Run, tmp_path: Path) -> None:
    shutil.move(finished.folder, tmp_path / "elsewhere")
    assert zoo.load_model(tmp_path / "elsewhere").name == "ltfn5"


def test_the_current_folder_can_be_a_run(
    finished: Run, experiment: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished.folder)
    assert zoo.load_model(".").name == "ltfn5"
    with pytest.raises(InputError, match=r"exists; give --force"):
        Run(".").create(experiment)
    # The finished run is moved aside, and this process's current folder with it.
    Run(".").create(experiment, force=True)
    assert finished.recipe.exists()
    assert not finished.result.exists()


def test_the_root_folder_cannot_be_a_run() -> None:
    for folder in ("/", "/.", "/home/.."):
        with pytest.raises(InputError, match="/ cannot be a run folder"):
            Run(folder)


def test_what_a_kill_leaves_can_be_trained_into(experiment: dict[str, Any], tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.folder.mkdir()
    # Killed while recipe.json was written.
    staged = run.folder / ".4711.recipe.json"
    staged.write_text("{")
    with run.owned():
        run.create(experiment)
    assert not staged.exists()
    assert run.read_request() == experiment


def test_a_new_owner_removes_what_a_kill_left(new_run: Run) -> None:
    new_run.checkpoints.mkdir()
    kept = [new_run.folder / ".hidden", new_run.checkpoints / "step-000000001.npz"]
    left = [new_run.folder / ".9.result.json", new_run.checkpoints / ".9.step-000000001.npz"]
    for path in kept + left:
        path.touch()
    discarded = new_run.folder.with_name(".run.discarded")
    discarded.mkdir()
    with new_run.owned():
        assert all(path.exists() for path in kept)
        assert not any(path.exists() for path in (*left, discarded))


def test_a_discarded_run_is_removed(new_run: Run, experiment: dict[str, Any]) -> None:
    new_run.save_weights(zoo.create_model("ltfn5"))
    new_run.create(experiment, force=True)
    assert [path.name for path in new_run.folder.iterdir()] == ["recipe.json"]
    assert [path.name for path in new_run.folder.parent.iterdir()] == ["run"]


OWNER = """
import sys, time
from zoo.runs import Run
with Run(sys.argv[1]).owned():
    print("owned", flush=True)
    time.sleep(60)
"""


def test_one_process_owns_a_run_until_it_is_killed(new_run: Run) -> None:
    line = [sys.executable, "-c", OWNER, str(new_run.folder)]
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "owned\n"
        with pytest.raises(InputError, match="another process is training into"), new_run.owned():
            raise AssertionError
        owner.kill()
    with new_run.owned():
        pass


def test_a_run_in_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(InputError, match=r"cannot write .*/file/\.run\.lock: "),
        Run(tmp_path / "file" / "run").owned(),
    ):
        raise AssertionError
