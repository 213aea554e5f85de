"""Put trained networks into the package: ``zoo/weights`` (see there).

    python -m tools.release STUDY [MODEL ...]

STUDY is a folder of ``zoo.compare``, with a run for each network and seed. Of each network, the run
with the best validation accuracy is released; the test split decides nothing. Its weights are
stored in float16, or in float32 if float16 changes the class of a validation image.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from etils import epy

from zoo import cli, compare, runs
from zoo.data import Dataset
from zoo.errors import InputError
from zoo.inference import predict_fn
from zoo.metrics import Metrics, evaluate
from zoo.runs import Run, records
from zoo.util import atomic, backend
from zoo.weights import released, released_folder

with epy.lazy_imports():
    import h5py
    import keras


def main(argv: Sequence[str]) -> None:
    """Release the networks of a study.

    Raises:
        InputError: as ``compare.read_study``; or the study has no run of a network, or some that
            differ in precision or processor.
    """
    parser = argparse.ArgumentParser(prog="tools.release", description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="by default all of the study")
    arguments = parser.parse_args(argv)
    found: dict[str, list[Run]] = {}
    for run in compare.read_study(arguments.study):
        found.setdefault(run.read_result()["model"], []).append(run)
    for name in arguments.models:
        if name not in found:
            raise InputError(f"{arguments.study} has no run of {name}")
    for name in arguments.models or found:
        results = [run.read_result() for run in found[name]]
        places = {f"{each['precision']} on {each['machine']['processor']}" for each in results}
        if len(places) > 1:
            raise InputError(
                f"{name} was trained in {' and in '.join(sorted(places))}, which may differ in "
                "accuracy; train all seeds on one kind of processor"
            )
    backend.start_tensorflow()
    summary = dict(released())
    for name in arguments.models or found:
        summary[name] = release(found[name])
        print(f"{name}: {summary[name]}", flush=True)
    atomic.write_json(released_folder("release.json"), dict(sorted(summary.items())))


def release(each: list[Run]) -> dict[str, Any]:
    """Release the best of the runs of one network; return the summary of the release.

    Args:
        each: the runs, which differ in the seed only.
    """
    results = [run.read_result() for run in each]
    at = int(np.argmax([result["validation_accuracy"] for result in results]))
    result, model = results[at], runs.load_model(each[at].folder)
    dataset = runs.load_data(each[at])
    target = Run(released_folder(result["model"]))
    with tempfile.TemporaryDirectory() as name:
        whole, half = (Path(name) / f"{kind}.weights.h5" for kind in ("whole", "half"))
        model.save_weights(whole)
        store(whole, half, np.float16)
        score, chosen = _score(model, dataset, [half, whole])
        shutil.rmtree(target.folder, ignore_errors=True)
        target.folder.mkdir()
        shutil.copyfile(chosen, target.weights)
    sha256 = atomic.sha256(target.weights)
    shipped = {
        "test_accuracy": score.accuracy,
        "test_correct": score.correct,
        "test_cost": score.cost,
        "weights": {"file": target.weights.name, "sha256": sha256},
    }
    records.write(target.result, records.without_paths(result) | shipped)
    return {
        "dataset": result["data"]["name"],
        "recipe": records.described(result),
        "seed": result["seed"],
        "sha256": sha256,
        "bytes": target.weights.stat().st_size,
        "test_correct": score.correct,
        "test_count": score.count,
        "accuracies": [one["test_accuracy"] for one in results],
    }


def _score(model: keras.Model, dataset: Dataset, files: list[Path]) -> tuple[Metrics, Path]:
    """Load the first file that predicts the validation images as the model does.

    Returns:
        Its metrics on the test split, and the file.
    """
    expected = evaluate(predict_fn(model), dataset.validation).logits.argmax(axis=1)
    for file in files:
        model.load_weights(file)
        predict = predict_fn(model)
        found = evaluate(predict, dataset.validation).logits.argmax(axis=1)
        if np.array_equal(found, expected):
            return evaluate(predict, dataset.test), file
    raise AssertionError("the network differs from itself")


def store(source: Path, target: Path, dtype: type) -> None:
    """Copy a file of weights, with its arrays in another number format."""
    with h5py.File(source) as given, h5py.File(target, "w") as made:

        def copy(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                copied = made.create_dataset(name, data=item[()].astype(dtype))
            else:
                copied = made.require_group(name)
            for key, value in item.attrs.items():
                copied.attrs[key] = value

        given.visititems(copy)


if __name__ == "__main__":
    cli.run("tools.release", main)
