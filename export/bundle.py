"""The bundle: every file of one exported network, published by one rename.

exports/<model>/<version>/      what TensorFlow Serving watches is exports/<model>
saved_model.pb, variables/  the folder itself is the SavedModel
tflite/                     the LiteRT files
manifest.json               hashes, tensors, golden inputs and logits, where it comes from
README.md                   the model card
"""

from __future__ import annotations

import base64
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from etils import epy

from export import card, process, saved_model, score, tflite, verify
from export.inference import inference_model
from zoo import files
from zoo.data import Announce, Dataset
from zoo.errors import InputError
from zoo.machine import machine, versions
from zoo.metrics import Metrics, evaluate
from zoo.splits import stratified
from zoo.training import predict_fn

with epy.lazy_imports():
    import keras

_SCHEMA = 1
_CALIBRATION_IMAGES = 500
_GOLDEN_IMAGES = 10


def export_bundle(
    model: keras.Model, result: dict[str, Any], dataset: Dataset, out: Path, announce: Announce
) -> tuple[Path, str]:
    """Write, verify and publish all files of a trained network.

    Args:
        model: the trained float32 network, raw pixels to logits.
        result: the facts of its run.
        dataset: calibrates on ``train``, verifies on the whole of ``test``.
        out: folder of the versions; the next whole number is taken.
        announce: called with a line for each step of the work.

    Returns:
        The version's folder, and the table of the proof in Markdown.

    Raises:
        VerificationError: a file does not compute what the network computes.
        InputError: ``out`` cannot be written.
        ZooError: a conversion failed.
    """
    name = result["model"]
    with _staging(out) as stage, tempfile.TemporaryDirectory() as scratch_name:
        scratch = Path(scratch_name)
        announce("Writing the SavedModel")
        deployed = inference_model(model)
        saved_model.save_serving(deployed, stage)
        calibration = stratified(dataset.train, _CALIBRATION_IMAGES)
        saved_model.save_fixed(deployed, scratch / "fixed")
        np.save(scratch / "calibration.npy", dataset.train.images[calibration])
        (stage / "tflite").mkdir()
        for kind in tflite.FORMATS:
            announce(f"Converting to LiteRT {kind}")
            _convert(kind, stage / _tflite(name, kind), scratch)

        announce(f"Scoring Keras on the {len(dataset.test):,} test images")
        reference = evaluate(predict_fn(model), dataset.test)
        score.write_split(dataset.test, scratch / "test.npz")
        artifacts = {"saved_model": stage}
        artifacts |= {kind: stage / _tflite(name, kind) for kind in tflite.FORMATS}
        rows = []
        for kind, file in artifacts.items():
            announce(f"Scoring {kind} in a process of its own")
            rows.append(_score(reference, kind, file, stage, scratch))
        verify.check(reference, rows)

        table = verify.markdown_table(reference, rows)
        (stage / "README.md").write_text(card.model_card(result, rows, table), encoding="utf-8")
        manifest = {
            "schema": _SCHEMA,
            "model": name,
            "parameters": model.count_params(),
            "labels": list(dataset.class_names),
            "run": result,
            "artifacts": [_artifact(reference, row) for row in rows],
            "calibration": {
                "split": dataset.train.name,
                "indices": calibration.tolist(),
            },
            "golden": _golden(dataset, reference),
            "versions": versions(),
            "machine": machine(),
            "files": _hashes(stage),
        }
        files.write_json(stage / "manifest.json", manifest)
        return _publish(stage, out), table


def _convert(kind: str, file: Path, scratch: Path) -> None:
    options = ["--calibration", scratch / "calibration.npy"] if kind == "int8" else []
    process.run_module("export.tflite", scratch / "fixed", kind, file, *options)


def _score(reference: Metrics, kind: str, file: Path, stage: Path, scratch: Path) -> verify.Row:
    """Return the proof of the staged ``file``, or of the SavedModel that the stage itself is."""
    metrics, facts = score.score(file, scratch / "test.npz", scratch)
    shown = stage / "saved_model.pb" if file == stage else file
    return verify.compare(
        reference,
        metrics,
        file=shown.relative_to(stage).as_posix(),
        kind=kind,
        size=_saved_model_size(stage) if file == stage else file.stat().st_size,
        facts=facts,
    )


def _tflite(name: str, kind: str) -> str:
    return f"tflite/{name}-{kind}.tflite"


def _saved_model_size(folder: Path) -> int:
    parts = [folder / "saved_model.pb", *(folder / "variables").iterdir()]
    return sum(part.stat().st_size for part in parts)


def _artifact(reference: Metrics, row: verify.Row) -> dict[str, Any]:
    return row.facts | {
        "file": row.file,
        "format": row.kind,
        "bytes": row.size,
        "test_correct": row.metrics.correct,
        "test_count": row.metrics.count,
        "test_cost": row.metrics.cost,
        "agreeing": row.agreeing,
        "keras_test_correct": reference.correct,
        "largest_logit_difference": row.difference,
        "logit_range": row.range,
    }


def _golden(dataset: Dataset, reference: Metrics) -> dict[str, Any]:
    """Return test images with the Keras network's logits, for whoever checks a file later."""
    chosen = stratified(dataset.test, _GOLDEN_IMAGES)
    images = dataset.test.images[chosen]
    return {
        "images_base64": base64.b64encode(images.tobytes()).decode("ascii"),
        "shape": list(images.shape),
        "dtype": images.dtype.name,
        "labels": dataset.test.labels[chosen].tolist(),
        "logits": reference.logits[chosen].tolist(),
    }


def _hashes(folder: Path) -> dict[str, dict[str, Any]]:
    return {
        path.relative_to(folder).as_posix(): {
            "sha256": files.sha256(path),
            "bytes": path.stat().st_size,
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@contextmanager
def _staging(out: Path) -> Iterator[Path]:
    """Yield a folder beside the versions, under a name no server loads; it never outlives us."""
    created = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=".staging-", dir=out))
    except OSError as error:
        raise InputError(
            f"cannot write the export folder {out}: {error.strerror}; "
            "give one that can be written with --out"
        ) from error
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if created and not any(out.iterdir()):
            out.rmdir()


def _publish(stage: Path, out: Path) -> Path:
    """Make the staged folder the next version, at once and for good."""
    stage.chmod(0o755)  # mkdtemp's folders are for their owner alone
    files.sync_tree(stage)
    while True:
        version = out / str(1 + max(_versions(out), default=0))
        try:
            stage.rename(version)
        except OSError:
            # Another export took this number just now; if it did not, the error is a real one.
            if not version.exists():
                raise
        else:
            files.sync(out)
            return version


def _versions(out: Path) -> Sequence[int]:
    return [int(path.name) for path in out.iterdir() if path.name.isdecimal()]
