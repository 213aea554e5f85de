"""Test that a run, a bundle and a server predict the same for a picture file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests import folders
from tests.conftest import Command
from zoo import data
from zoo.data import image_folder
from zoo.inference import predict_fn
from zoo.metrics import predict_in_batches
from zoo.runs import Run, load_model

# The options of each folder; together they use every option of a user.
CHOICES = {
    "wide": ("--fit", "pad"),
    "turned": ("--fit", "crop"),
    "cutout": ("--background", "black", "--fit", "stretch"),
    "grey": ("--polarity", "light-on-dark"),
}


MARKS = dict.fromkeys(("turned", "cutout", "grey"), pytest.mark.long)
EVERY_KIND = [pytest.param(kind, marks=MARKS.get(kind, ())) for kind in CHOICES]


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_way_gives_the_same_answers(
    kind: str, command: Command, tmp_path: Path, data_dir: Path
) -> None:
    folder = folders.write(tmp_path / kind, kind)
    arguments = ("--data", f"./{kind}", "--image-size", "24x20", "--steps", 40, *CHOICES[kind])
    trained = command("zoo.train", "compact-4k", *arguments, cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    exported = command("export", "runs/compact-4k", "--formats", "float32,int8", cwd=tmp_path)
    assert exported.returncode == 0, exported.stderr
    manifest = (tmp_path / "exports/compact-4k/1/manifest.json").read_text(encoding="utf-8")
    facts = json.loads(manifest)
    assert (facts["labels"], facts["data"]["name"]) == (["flat", "tall"], kind)
    for artifact in facts["artifacts"]:
        assert artifact["inputs"]["image"]["shape"][1:3] == [24, 20]
    # Local paths are not published.
    assert str(tmp_path) not in manifest
    assert str(tmp_path) not in (tmp_path / "exports/compact-4k/1/README.md").read_text()

    # The images that evaluation uses, in the order of the files.
    files = [each.path for each in image_folder.survey(folder).pictures["test"]]
    run = Run(tmp_path / "runs" / "compact-4k")
    how = run.read_result()["data"]["preprocessing"]
    dataset = data.load(
        str(folder), image_size=(24, 20), data_dir=str(data_dir), report=False,
        fit=how["fit"], background=how["background"], polarity=how["polarity"],
    )  # fmt: skip
    logits = predict_in_batches(predict_fn(load_model(run.folder)), dataset.test.images)
    expected = [dataset.class_names[at] for at in logits.argmax(axis=1)]
    scored = command("zoo.evaluate", "runs/compact-4k", "--json", cwd=tmp_path)
    right = sum(name == path.parent.name for name, path in zip(expected, files, strict=True))
    assert json.loads(scored.stdout)["correct"] == right

    for network in ("runs/compact-4k", "exports/compact-4k/1"):
        done = command("zoo.predict", network, *files, "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        answers = json.loads(done.stdout)
        assert [each["classes"][0]["class"] for each in answers] == expected, network
        # Equal probabilities show that the pixels are equal, not only the class.
        odds = logits[:, 0] - logits[:, 1]
        for answer, gap in zip(answers, odds, strict=True):
            found = {each["class"]: each["probability"] for each in answer["classes"]}
            assert found["flat"] == pytest.approx(1 / (1 + np.exp(-float(gap))), abs=2e-5)

    signatures = tf.saved_model.load(str(tmp_path / "exports/compact-4k/1")).signatures
    contents = tf.constant([path.read_bytes() for path in files])
    served = signatures["serve_bytes"](image_bytes=contents)
    assert [name.decode() for name in served["label"].numpy()] == expected
    # Rounding ties change a few pixels by one.
    spread = float(np.ptp(logits))
    assert np.abs(served["logits"].numpy() - logits).max() < 0.01 * spread
