"""Test what a training reduces, and that networks learn from the answers of others."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import zoo
from export.network.sources import from_run
from tests.conftest import Command
from tests.folders import write_digits
from zoo import recipes
from zoo.data import Dataset
from zoo.data.splits import Split
from zoo.errors import InputError, Interrupted
from zoo.runs import Run
from zoo.training import teachers
from zoo.training.checkpoints import Checkpoints, Position
from zoo.training.cost import Cost
from zoo.training.experiment import run_experiment
from zoo.weights import released_folder

NAME = "compact-4k"
RECIPE = recipes.get_recipe("quick").replace(steps=6, batch_size=16, precision="float32", seed=1)


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("smoothing", "teaching", "temperature"),
    [(0.0, 0.9, 3.0), (0.2, 0.0, 3.0), (0.1, 0.7, 2.0), (0.0, 1.0, 1.0)],
)
def test_the_gradient_leads_from_the_probabilities_to_the_targets(
    smoothing: float, teaching: float, temperature: float
) -> None:
    random = np.random.default_rng(0)
    logits, *given = random.normal(scale=3, size=(3, 8, 5)).astype(np.float32)
    labels = random.integers(5, size=8)
    answering: Any = [lambda images, training, each=each: tf.constant(each) for each in given]
    recipe = RECIPE.replace(smoothing=smoothing, teaching=teaching, temperature=temperature)
    cost_of = Cost(recipe, answering)
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        cost = cost_of(labels, cost_of.answers(None), variable)
    found = tape.gradient(cost, variable).numpy()
    smooth = (1 - smoothing) * np.eye(5)[labels] + smoothing / 5
    answers = np.mean([_softmax(each / temperature) for each in given], axis=0)
    towards_labels = _softmax(logits) - smooth
    towards_answers = temperature * (_softmax(logits / temperature) - answers)
    expected = (1 - teaching) * towards_labels + teaching * towards_answers
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_network_learns_from_its_teacher_what_the_labels_do_not_say(
    digits: Dataset, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)

    def mixed(split: Split) -> Split:
        return Split(split.name, split.images, random.permutation(split.labels))

    unlabeled = dataclasses.replace(digits, train=mixed(digits.train))
    settings: dict[str, Any] = {"steps": 200, "batch_size": 50, "precision": "float32"}
    alone, taught = Run(tmp_path / "alone"), Run(tmp_path / "taught")
    zoo.train_model("ltfn3", unlabeled, out=alone.folder, **settings)
    zoo.train_model(
        "ltfn3", unlabeled, out=taught.folder, teachers=["compact-10k"], teaching=1.0, **settings
    )
    assert alone.read_result()["test_accuracy"] < 0.3
    assert taught.read_result()["test_accuracy"] > 0.9
    assert taught.read_result()["teachers"] == teachers.recorded(["compact-10k"])


@pytest.fixture(scope="module")
def teacher(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a finished run of the small network."""
    run = Run(tmp_path_factory.mktemp("teachers") / "teacher")
    run_experiment(NAME, digits, RECIPE.replace(seed=0), run)
    return run


def test_it_resumes_in_the_same_bits(
    teacher: Run, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught = teachers.recorded([teacher.folder, "ltfn1"])
    whole, parted = Run(tmp_path / "whole"), Run(tmp_path / "parted")
    run_experiment(NAME, digits, RECIPE, whole, teachers=taught)
    save = Checkpoints.save

    def save_then_end(self: Checkpoints, position: Position) -> None:
        save(self, position)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "save", save_then_end)
        with pytest.raises(Interrupted):
            run_experiment(NAME, digits, RECIPE, parted, teachers=taught, checkpoint_seconds=0)
    with pytest.raises(InputError, match="holds another experiment"):
        run_experiment(NAME, digits, RECIPE, parted)
    run_experiment(NAME, digits, RECIPE, parted, teachers=taught)
    ours, theirs = (zoo.load_model(run.folder).get_weights() for run in (whole, parted))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)
    untaught = Run(tmp_path / "untaught")
    run_experiment(NAME, digits, RECIPE, untaught)
    assert any(
        np.any(one != other)
        for one, other in zip(ours, zoo.load_model(untaught.folder).get_weights(), strict=True)
    )


def test_teachers_that_changed_or_do_not_fit_leave_no_run(
    teacher: Run, digits: Dataset, tmp_path: Path
) -> None:
    run = Run(tmp_path / "run")
    (taught,) = teachers.recorded([teacher.folder])
    others = dataclasses.replace(digits, class_names=tuple("abcdefghij"))
    dark = dataclasses.replace(digits.preprocessing, polarity="dark-on-light")
    for data, given, message in (
        (digits, taught | {"sha256": "0" * 64}, "has other weights than when this training began"),
        (others, taught, "has the classes 0, 1, 2, .*, but digits has a, b"),
        (
            dataclasses.replace(digits, preprocessing=dark),
            taught,
            "prepared with polarity light-on-dark, those",
        ),
    ):
        with pytest.raises(InputError, match=message):
            run_experiment(NAME, data, RECIPE, run, teachers=[given])
    assert list(tmp_path.iterdir()) == []
    copy = Run(shutil.copytree(teacher.folder, tmp_path / "copy"))
    with pytest.raises(InputError, match="learns from it; give another run folder"):
        run_experiment(
            NAME, digits, RECIPE, copy, teachers=teachers.recorded([copy.folder]), force=True
        )
    assert zoo.load_model(copy.folder).name == NAME


def test_a_teacher_is_recorded_by_a_path_that_stays_right(
    teacher: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(teacher.folder)
    (here,), (released,) = teachers.recorded(["."]), teachers.recorded(["ltfn1"])
    assert here["run"] == str(teacher.folder)
    monkeypatch.chdir(tmp_path)
    Path("ltfn1").mkdir()  # does not replace the network of the package
    assert teachers.run_of(here).folder == teacher.folder
    assert teachers.run_of(released).folder == released_folder("ltfn1")


@pytest.mark.parametrize("setting", ["teaching", "temperature"])
def test_what_only_teachers_use_requires_them(
    setting: str, digits: Dataset, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {setting: 0.5}
    with pytest.raises(InputError, match=f"{setting} requires teachers, which zoo.train takes"):
        zoo.train_model(NAME, digits, out=tmp_path / "run", **settings)
    assert list(tmp_path.iterdir()) == []


def test_own_pictures_are_prepared_as_for_the_teacher(
    command: Command, digits: Dataset, tmp_path: Path
) -> None:
    write_digits(tmp_path / "mine", digits.train)
    line = ("zoo.train", NAME, "--data", "./mine", "--steps", 5, "--teachers", "ltfn1")
    refused = command(*line, "--fit", "crop", cwd=tmp_path)
    assert (refused.returncode, "prepared with fit pad" in refused.stderr) == (2, True)
    done = command(*line, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    prepared = zoo.load_model(tmp_path / "runs" / NAME).preprocessing
    assert prepared == zoo.load_model("ltfn1").preprocessing


def test_no_local_path_is_published(teacher: Run, digits: Dataset, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    taught = teachers.recorded([teacher.folder, "ltfn1"])
    run_experiment(NAME, digits, RECIPE, run, teachers=taught)
    assert [each["run"] for each in run.read_result()["teachers"]] == [str(teacher.folder), "ltfn1"]
    source = from_run(run)
    assert [each["run"] for each in source.origin["run"]["teachers"]] == ["teacher", "ltfn1"]
    assert "It learned from the answers of teacher, ltfn1" in source.story
    assert str(tmp_path.parent) not in str(source.origin)


def test_the_command_takes_teachers(command: Command, teacher: Run, tmp_path: Path) -> None:
    line = ("zoo.train", NAME, "--data", "digits", "--steps", 5, "--out", "taught")
    unknown = command(*line, "--teachers", "nobody", cwd=tmp_path)
    assert (unknown.returncode, unknown.stderr.count("\n")) == (2, 1)
    assert "nobody is not a run folder" in unknown.stderr
    done = command(*line, "--teachers", teacher.folder, "compact-10k", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    recorded = Run(tmp_path / "taught").read_result()["teachers"]
    assert [each["run"] for each in recorded] == [str(teacher.folder), "compact-10k"]
