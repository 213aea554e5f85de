from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import zoo
from zoo.errors import InputError
from zoo.runs import Run

FACTS = {
    "model": "ltfn5",
    "data": {"image_shape": [28, 28, 1], "class_names": [str(digit) for digit in range(10)]},
}


@pytest.fixture
def finished(new_run: Run) -> Run:
    new_run.finish(zoo.create_model("ltfn5"), FACTS)
    return new_run


def test_a_finished_run_gives_its_network_back(new_run: Run) -> None:
    model = zoo.create_model("ltfn5")
    new_run.finish(model, FACTS)
    for saved, loaded in zip(
        model.get_weights(), zoo.load_model(new_run.folder).get_weights(), strict=True
    ):
        np.testing.assert_array_equal(saved, loaded)


def test_a_run_that_records_no_preprocessing_can_be_loaded(finished: Run) -> None:
    model = zoo.load_model(finished.folder)
    assert model.class_names == tuple("0123456789")
    with pytest.raises(InputError, match="does not record how pictures are prepared"):
        zoo.preprocess("digit.png", model)


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


def test_an_existing_run_is_kept(finished: Run) -> None:
    with pytest.raises(InputError, match="exists; give --force"):
        finished.create({})
    assert finished.result.exists()


def test_force_keeps_the_old_run_until_the_new_one_is_whole(finished: Run) -> None:
    previous = finished.folder.with_name(".run.previous")
    finished.create({"model": "new"}, force=True)
    assert not finished.result.exists()
    assert json.loads((previous / "result.json").read_text())["model"] == "ltfn5"
    # Replaced again before it was finished: the finished run is still kept.
    finished.create({"model": "newer"}, force=True)
    assert (previous / "result.json").exists()
    finished.finish(zoo.create_model("ltfn5"), FACTS)
    assert not previous.exists()


def test_force_never_replaces_what_is_not_a_run(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match="is not a run folder"):
        Run(tmp_path).create({}, force=True)
    assert (tmp_path / "thesis.tex").exists()


def test_a_run_may_be_moved(finished: Run, tmp_path: Path) -> None:
    shutil.move(finished.folder, tmp_path / "elsewhere")
    assert zoo.load_model(tmp_path / "elsewhere").name == "ltfn5"


def test_the_current_folder_can_be_a_run(finished: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished.folder)
    assert zoo.load_model(".").name == "ltfn5"
    with pytest.raises(InputError, match=r"\. exists; give --force"):
        Run(".").create(FACTS)
