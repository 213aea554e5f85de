from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import zoo
from tests.conftest import Command
from zoo import weights
from zoo.data import Dataset
from zoo.errors import InputError
from zoo.inference import predict_fn
from zoo.runs import find
from zoo.training import transfer
from zoo.util import atomic

RELEASED = zoo.list_models(pretrained=True)


def test_the_weights_are_small_and_as_released() -> None:
    folders = [weights.released_folder(name) for name in RELEASED]
    files = [path for folder in folders for path in folder.iterdir()]
    assert sum(path.stat().st_size for path in files) < 8_000_000
    names = {"model.weights.h5", "result.json", "exported.json"}
    assert {path.name for path in files} == names
    for name, facts in weights.released().items():
        file = weights.released_folder(name) / "model.weights.h5"
        assert (atomic.sha256(file), file.stat().st_size) == (facts["sha256"], facts["bytes"])
        result = find(name).read_result()
        assert (result["model"], result["test_correct"]) == (name, facts["test_correct"])
        measured = json.loads((file.parent / "exported.json").read_text())
        assert measured["sha256"] == facts["sha256"]
        # An exact format answers as the weights do.
        counts = {each["format"]: each["test_correct"] for each in measured["formats"]}
        assert counts["float32"] == facts["test_correct"]
        assert abs(counts["int8"] - facts["test_correct"]) <= 5


@pytest.mark.parametrize("name", RELEASED)
def test_a_network_is_built_with_its_weights(name: str, digits: Dataset) -> None:
    model = zoo.create_model(name, weights="mnist")
    images = digits.test.images[:20]
    np.testing.assert_array_equal(
        predict_fn(model)(images), predict_fn(zoo.load_model(name))(images)
    )
    assert model.class_names == tuple("0123456789")


def test_weights_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match=r"do not fit layer .* of ltfn3.* and 10 classes"):
        zoo.create_model("ltfn3", weights="mnist", classes=7)
    with pytest.raises(InputError, match=r"unknown weights of ltfn3 'imagenet'.*mnist"):
        zoo.create_model("ltfn3", weights="imagenet")
    with pytest.raises(InputError, match=r"unknown weights of all-cnn-c 'mnist'"):
        zoo.create_model("all-cnn-c", weights="mnist")
    with pytest.raises(InputError, match=r"unknown model 'ltfn33'; did you mean 'ltfn3'"):
        zoo.create_model("ltfn33", weights="mnist")
    with pytest.raises(InputError, match="ltfn1 has the weights of ltfn1, not of ltfn3"):
        zoo.create_model("ltfn3", weights="ltfn1")
    with pytest.raises(InputError, match="received NonexNonex1"):
        zoo.create_model("ltfn5", input_shape=(None, None, 1), include_top=False)  # type: ignore[arg-type]


def test_the_weights_are_given_by_the_name_of_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    named, usual = (zoo.create_model("ltfn3", weights=each) for each in ("ltfn3", "mnist"))
    for ours, theirs in zip(named.get_weights(), usual.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert transfer.start_from("ltfn3", "ltfn3") == transfer.start_from("ltfn3", "mnist")


def test_a_folder_comes_before_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find("ltfn3").folder == weights.released_folder("ltfn3")
    Path("ltfn3").mkdir()
    with pytest.raises(InputError, match="ltfn3 is not a run folder"):
        zoo.load_model("ltfn3")


def test_a_network_without_weights_is_no_run(command: Command, tmp_path: Path) -> None:
    done = command("zoo.predict", "all-cnn-c", "digit.png", cwd=tmp_path)
    assert done.returncode == 2
    assert "all-cnn-c is not a run folder" in done.stderr


def test_a_name_answers_and_is_scored(command: Command, digits: Dataset, tmp_path: Path) -> None:
    PIL.Image.fromarray(digits.test.images[0, :, :, 0]).save(tmp_path / "digit.png")
    done = command("zoo.predict", "ltfn3", "digit.png", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (answer,) = json.loads(done.stdout)
    assert answer["classes"][0]["class"] == str(digits.test.labels[0])
    scored = command("zoo.evaluate", "ltfn3", "--data", "digits", "--json", cwd=tmp_path)
    assert scored.returncode == 0, scored.stderr
    assert json.loads(scored.stdout)["correct"] > 300


@pytest.mark.slow
def test_without_mnist_a_name_is_exported_without_calibration(
    command: Command, tmp_path: Path
) -> None:
    refused = command("export", "ltfn3", "--offline", "--formats", "int8", cwd=tmp_path)
    assert refused.returncode == 2
    assert "format int8 cannot be written: it needs training images of mnist" in refused.stderr
    assert not (tmp_path / "exports").exists()
    done = command("export", "ltfn3", "--offline", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    bundle = tmp_path / "exports" / "ltfn3" / "1"
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["left_out"].keys() == {"int8", "microcontroller"}
    assert manifest["data"]["name"] == "digits"
    card = (bundle / "README.md").read_text()
    assert "\n# ltfn3, verified on digits" in card
    assert f"they classify {weights.released()['ltfn3']['test_correct']:,} of 10,000" in card
