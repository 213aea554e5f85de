from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

import zoo
from export.network.sources import from_run
from tests.conftest import Command
from tests.folders import write_digits
from zoo import recipes, weights
from zoo.data import Dataset
from zoo.data.splits import Split
from zoo.errors import InputError, Interrupted
from zoo.recipes import Recipe
from zoo.runs import Run
from zoo.training import transfer
from zoo.training.checkpoints import Checkpoints, Position
from zoo.training.experiment import run_experiment

NAME = "compact-4k"
RECIPE = recipes.get_recipe("quick").replace(steps=6, batch_size=16, precision="float32", seed=1)


@pytest.fixture(scope="module")
def source(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a finished run of the small network."""
    run = Run(tmp_path_factory.mktemp("transfer") / "source")
    run_experiment(NAME, digits, RECIPE.replace(seed=0), run)
    return run


def _fewer(digits: Dataset, classes: int) -> Dataset:
    """Return the digits without the last classes."""

    def part(split: Split) -> Split:
        at = np.flatnonzero(split.labels < classes)
        return split.part(split.name, at)

    return dataclasses.replace(
        digits,
        class_names=digits.class_names[:classes],
        train=part(digits.train),
        validation=part(digits.validation),
        test=part(digits.test),
    )


def _trained(
    data: Dataset, run: Run, start: dict | None, recipe: Recipe = RECIPE
) -> list[np.ndarray]:
    run_experiment(NAME, data, recipe, run, start=start)
    return zoo.load_model(run.folder).get_weights()


def _is_head(network: keras.Model, weight: keras.Variable) -> bool:
    *_, head = (layer for layer in network.layers if layer.weights)
    return any(weight is each for each in head.weights)


@pytest.mark.parametrize("class_names", ["0123456789", "0123456", "abcdefghij", "1023456789"])
def test_it_begins_with_the_weights_and_a_new_head_for_other_classes(
    class_names: str, source: Run
) -> None:
    network = zoo.create_model(NAME, classes=len(class_names))
    before = network.get_weights()
    start = transfer.start_from(NAME, source.folder)
    assert start
    transfer.beginning(network, start, class_names, "light-on-dark")
    trained = zoo.load_model(source.folder).get_weights()
    for weight, fresh, found in zip(network.weights, before, trained, strict=True):
        own = class_names != "0123456789" and _is_head(network, weight)
        np.testing.assert_array_equal(weight, fresh if own else found)


@pytest.mark.parametrize("last", ["layer1", "layer1_norm"])
def test_frozen_layers_are_not_trained(
    last: str, source: Run, digits: Dataset, tmp_path: Path
) -> None:
    network = zoo.create_model(NAME)
    layers = [layer for layer in network.layers if layer.weights]
    # A layer is frozen with its normalization.
    assert [layer.name for layer in layers[:2]] == ["layer1", "layer1_norm"]
    start = transfer.start_from(NAME, source.folder, last)
    found = _trained(_fewer(digits, 7), Run(tmp_path / "run"), start)
    given = zoo.load_model(source.folder).get_weights()
    frozen = {weight.path for layer in layers[:2] for weight in layer.weights}
    for weight, ours, theirs in zip(network.weights, found, given, strict=True):
        same = ours.shape == theirs.shape and np.array_equal(ours, theirs)
        assert same == (weight.path in frozen), weight.path


@pytest.mark.parametrize("moment", ["before the first checkpoint", "after it"])
def test_it_resumes_in_the_same_bits(
    moment: str,
    source: Run,
    digits: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    copy = Run(shutil.copytree(source.folder, tmp_path / "copy"))
    start = transfer.start_from(NAME, copy.folder)
    expected = _trained(digits, Run(tmp_path / "whole"), start)
    save = Checkpoints.save

    def save_then_end(self: Checkpoints, position: Position) -> None:
        if moment == "after it":
            save(self, position)
        raise KeyboardInterrupt

    run = Run(tmp_path / "parted")
    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "save", save_then_end)
        with pytest.raises(Interrupted):
            run_experiment(NAME, digits, RECIPE, run, start=start, checkpoint_seconds=0)
    if moment == "after it":
        shutil.rmtree(copy.folder)  # the checkpoint has all that is needed
    found = _trained(digits, run, start)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_weights_that_changed_or_do_not_fit_leave_no_run(
    source: Run, digits: Dataset, tmp_path: Path
) -> None:
    run = Run(tmp_path / "run")
    start = transfer.start_from(NAME, source.folder)
    assert start
    with pytest.raises(InputError, match="has other weights than when this training began"):
        run_experiment(NAME, digits, RECIPE, run, start=start | {"sha256": "0" * 64})
    for last, message in (
        ("layer99", "unknown layer of compact-4k 'layer99'"),
        (zoo.create_model(NAME).layers[-1].name, "leaves no layer of compact-4k to train"),
    ):
        with pytest.raises(InputError, match=message):
            run_experiment(NAME, digits, RECIPE, run, start=start | {"freeze": last})
    with pytest.raises(InputError, match="has the weights of compact-4k, not of compact-10k"):
        transfer.start_from("compact-10k", source.folder)
    larger = dataclasses.replace(digits, train=_wider(digits.train), test=_wider(digits.test))
    larger = dataclasses.replace(
        larger,
        validation=_wider(digits.validation),
        preprocessing=dataclasses.replace(
            digits.preprocessing, channels=3, polarity="keep", ink=False
        ),
    )
    with pytest.raises(InputError, match="the weights of compact-4k do not fit layer"):
        run_experiment(NAME, larger, RECIPE, run, start=start)
    assert list(tmp_path.iterdir()) == []


def _wider(split: Split) -> Split:
    """Return a split with three channels."""
    return Split(split.name, np.repeat(split.images, 3, axis=-1), split.labels)


def test_the_weights_of_a_run_are_not_replaced_by_itself(source: Run, digits: Dataset) -> None:
    start = transfer.start_from(NAME, source.folder)
    with pytest.raises(InputError, match=r"begins with it .* give another run folder with --out"):
        run_experiment(NAME, digits, RECIPE, source, start=start, force=True)
    assert zoo.load_model(source.folder).name == NAME


def test_images_of_another_polarity_are_noted(source: Run, capsys: pytest.CaptureFixture) -> None:
    start = transfer.start_from(NAME, source.folder)
    assert start
    for polarity, notes in (("light-on-dark", 0), ("keep", 1)):
        transfer.beginning(zoo.create_model(NAME), start, "0123456789", polarity)
        told = capsys.readouterr().out
        assert told.count("note: ") == told.count(f"but these have {polarity}") == notes


def test_layers_are_frozen_only_with_weights(digits: Dataset, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--freeze keeps trained layers; give them with --weights"):
        zoo.train_model(NAME, digits, freeze="layer1", out=tmp_path / "run")


def test_no_local_path_is_published(source: Run, digits: Dataset, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    start = transfer.start_from(NAME, source.folder)
    assert start
    _trained(digits, run, start)
    assert run.read_result()["start"] == start
    assert start["weights"] == str(source.folder)
    assert from_run(run).origin["run"]["start"] == start | {"weights": "source"}


def test_the_folder_of_the_weights_is_not_proposed_for_replacement(
    command: Command, small: Path
) -> None:
    done = command("zoo.train", "compact-10k", "--weights", "runs/compact-10k", cwd=small)
    assert done.returncode == 2
    assert "give another run folder with --out" in done.stderr
    assert "--force" not in done.stderr


def test_a_network_of_the_package_is_fine_tuned_on_own_pictures(
    command: Command, digits: Dataset, tmp_path: Path
) -> None:
    write_digits(tmp_path / "mine", digits.train)
    line = ("zoo.train", "ltfn3", "--data", "./mine", "--steps", 5)
    alone = command(*line, "--freeze", "layer1", cwd=tmp_path)
    assert (alone.returncode, alone.stderr.count("\n")) == (2, 1)
    assert "--freeze keeps trained layers; give them with --weights" in alone.stderr
    done = command(*line, "--weights", "mnist", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = Run(tmp_path / "runs" / "ltfn3").read_result()
    sha256 = weights.released()["ltfn3"]["sha256"]
    assert result["start"] == {"weights": "mnist", "sha256": sha256, "freeze": None}
    # The pictures have the form of MNIST's: light ink on a dark background.
    assert result["data"]["image_shape"] == [28, 28, 1]
    assert result["data"]["preprocessing"]["polarity"] == "light-on-dark"
