"""The bundle that the commands made, and what must never become one."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

import export
import zoo
from export import saved_model, tflite, verify
from export.bundle import export_bundle
from export.inference import inference_model
from export.runtimes import _quantized, _real
from tests.conftest import EVERY_MODEL
from zoo.data import Dataset
from zoo.errors import InputError, VerificationError
from zoo.metrics import Metrics
from zoo.runs import Run


@pytest.fixture(scope="module")
def bundle(workplace: Path) -> Path:
    return workplace / "exports" / "ltfn5" / "1"


@pytest.fixture(scope="module")
def manifest(bundle: Path) -> dict[str, Any]:
    return json.loads((bundle / "manifest.json").read_text())


def test_the_manifest_holds_every_file(bundle: Path, manifest: dict[str, Any]) -> None:
    there = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    assert there == manifest["files"].keys() | {"manifest.json"}
    for name, facts in manifest["files"].items():
        content = (bundle / name).read_bytes()
        assert facts == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def test_every_file_replays_the_golden_images(bundle: Path, manifest: dict[str, Any]) -> None:
    golden = manifest["golden"]
    pixels = np.frombuffer(base64.b64decode(golden["images_base64"]), golden["dtype"])
    images, logits = pixels.reshape(golden["shape"]), np.array(golden["logits"])
    files = [bundle, *sorted((bundle / "tflite").iterdir())]
    assert [file.suffix for file in files] == ["", ".tflite", ".tflite"]
    for file in files:
        computed = export.load_predict_fn(file)(images)
        assert computed.dtype == np.float32
        bound = (0.05 if "int8" in file.name else 1e-4) * np.ptp(logits)
        assert np.abs(computed - logits).max() < bound, file
        assert not np.array_equal(computed, np.roll(logits, 1, axis=0))


def test_the_proof_is_of_the_whole_test_split(manifest: dict[str, Any], digits: Dataset) -> None:
    assert [artifact["format"] for artifact in manifest["artifacts"]] == [
        "saved_model",
        "float32",
        "int8",
    ]
    for artifact in manifest["artifacts"]:
        assert artifact["test_count"] == len(digits.test)
        assert artifact["keras_test_correct"] == manifest["run"]["test_correct"]
        assert artifact["microseconds"] > 0


def test_the_serving_signature(bundle: Path) -> None:
    signature = tf.saved_model.load(str(bundle)).signatures["serving_default"]
    image = signature.structured_input_signature[1]["image"]
    assert (image.dtype, image.shape.as_list()) == (tf.uint8, [None, 28, 28, 1])
    first = next(op for op in signature.graph.get_operations() if op.type != "Placeholder")
    call = signature.graph.as_graph_def().library.function
    body = next(f for f in call if "serving_default" in f.signature.name)
    assert first.type in {"StatefulPartitionedCall", "EnsureShape"}
    consumers = [n.op for n in body.node_def if n.input and n.input[0].startswith("image")]
    assert consumers == ["EnsureShape"]
    results = signature(image=np.zeros((3, 28, 28, 1), np.uint8))
    assert {name: (value.dtype.name, tuple(value.shape)) for name, value in results.items()} == {
        "logits": ("float32", (3, 10)),
        "probabilities": ("float32", (3, 10)),
        "class_id": ("int64", (3,)),
    }
    np.testing.assert_allclose(results["probabilities"], tf.nn.softmax(results["logits"]))
    np.testing.assert_array_equal(results["class_id"], tf.argmax(results["logits"], axis=1))


def test_a_tensor_of_another_rank_leaves_the_server_alive(bundle: Path) -> None:
    program = """
import sys, numpy as np, tensorflow as tf
serve = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
for shape in ((28, 28), (1, 28, 28), (1, 1, 28, 28, 1), (2, 27, 28, 1), (1, 28, 28, 3), ()):
    try:
        serve(image=tf.zeros(shape, tf.uint8))
    except (tf.errors.InvalidArgumentError, TypeError, ValueError):
        continue
    raise SystemExit(f"{shape} was accepted")
print(serve(image=tf.zeros((1, 28, 28, 1), tf.uint8))["logits"].shape)
"""
    line = [sys.executable, "-c", program, str(bundle)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "(1, 10)\n"), done.stderr


NETWORK = [
    "CONV_2D",
    "CONV_2D",
    "MAX_POOL_2D",
    "CONV_2D",
    "CONV_2D",
    "MAX_POOL_2D",
    "RESHAPE",
    "FULLY_CONNECTED",
]


@pytest.mark.parametrize(("kind", "first"), [("float32", []), ("int8", ["QUANTIZE"])])
def test_a_device_computes_the_network_and_nothing_else(
    bundle: Path, kind: str, first: list[str]
) -> None:
    # On uint8 pixels QUANTIZE only moves the zero point to int8's.
    content = (bundle / "tflite" / f"ltfn5-{kind}.tflite").read_bytes()
    interpreter = Interpreter(model_content=content)
    operations = [op["op_name"] for op in interpreter._get_ops_details()]
    assert operations == first + NETWORK
    (image,) = interpreter.get_input_details()
    (logits,) = interpreter.get_output_details()
    assert image["shape"].tolist() == [1, 28, 28, 1]
    if kind == "int8":
        assert (image["dtype"], image["quantization"]) == (np.uint8, (1.0, 0))
        assert logits["dtype"] == np.int8
    else:
        assert (image["dtype"], logits["dtype"]) == (np.float32, np.float32)
        assert {t["dtype"] for t in interpreter.get_tensor_details()} <= {np.float32, np.int32}


@pytest.mark.parametrize("name", EVERY_MODEL)
def test_every_model_is_the_same_in_both_formats(name: str, tmp_path: Path) -> None:
    model = zoo.create_model(name)
    # Normalisation that has seen no data would hide a fold that was forgotten.
    for weight in model.non_trainable_variables:
        if "moving_variance" in weight.path:
            weight.assign(np.linspace(0.5, 2.0, weight.shape[0]))
    folded = inference_model(model)
    assert not [each for each in folded.layers if isinstance(each, keras.layers.Rescaling)]
    images = np.random.default_rng(0).integers(0, 256, (4, *model.input_shape[1:]), np.uint8)
    expected = model(images).numpy()
    bound = 1e-4 * np.ptp(expected)
    assert bound > 0
    np.testing.assert_allclose(folded(images), expected, atol=bound)

    saved_model.save_serving(folded, tmp_path / "serving")
    saved_model.save_fixed(folded, tmp_path / "fixed")
    (tmp_path / "device.tflite").write_bytes(tflite.convert(tmp_path / "fixed", "float32"))
    for file in ("serving", "device.tflite"):
        computed = export.load_predict_fn(tmp_path / file)(images)
        np.testing.assert_allclose(computed, expected, atol=bound, err_msg=file)
    interpreter = Interpreter(model_path=str(tmp_path / "device.tflite"))
    operations = {op["op_name"] for op in interpreter._get_ops_details()}
    assert not operations & {"SHAPE", "STRIDED_SLICE", "PACK", "CAST", "MUL", "DELEGATE"}


@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_what_cannot_be_folded_is_refused(offset: float) -> None:
    image = keras.Input((4, 4, 1))
    x = keras.layers.Rescaling(1 / 255, offset=offset)(image)
    if not offset:
        x = keras.layers.Activation("sigmoid")(x)
    model = keras.Model(image, keras.layers.Dense(2)(x))
    with pytest.raises(ValueError, match="scaling"):
        inference_model(model)


def _metrics(logits: np.ndarray, labels: np.ndarray) -> Metrics:
    return Metrics(int(np.sum(logits.argmax(1) == labels)), len(labels), 0.0, logits)


def _proof(reference: Metrics, logits: np.ndarray, labels: np.ndarray, kind: str) -> None:
    row = verify.compare(
        reference,
        _metrics(logits, labels),
        file="file",
        kind=kind,
        size=1,
        facts={"microseconds": 1.0},
    )
    verify.check(reference, [row])


def test_verification_bounds() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 10, 1000)
    logits = (random.normal(size=(1000, 10)) + 8 * np.eye(10)[labels]).astype(np.float32)
    reference = _metrics(logits, labels)
    assert reference.correct > 990
    span = np.ptp(logits)

    _proof(reference, logits + np.float32(0.9e-4 * span), labels, "float32")
    with pytest.raises(VerificationError, match=r"file differs by .*, allowed"):
        _proof(reference, logits + np.float32(1.1e-4 * span), labels, "float32")

    wrong = logits.copy()
    right = np.flatnonzero(logits.argmax(1) == labels)
    for lost, image in enumerate(right[:3], 1):
        wrong[image] = 0
        wrong[image, (labels[image] + 1) % 10] = 9
        with pytest.raises(
            VerificationError, match=f"gives {lost} images another class, allowed 0"
        ):
            _proof(reference, wrong, labels, "saved_model")
        if lost <= 2:
            _proof(reference, wrong, labels, "int8")
    with pytest.raises(VerificationError, match="loses 3 of 1000 images, allowed 2"):
        _proof(reference, wrong, labels, "int8")

    for kind in ("float32", "int8"):
        broken = logits.copy()
        broken[0, (labels[0] + 1) % 10] = np.nan
        with pytest.raises(VerificationError, match="not finite"):
            _proof(reference, broken, labels, kind)


def test_what_fails_its_proof_is_not_published(
    workplace: Path, digits: Dataset, tmp_path: Path
) -> None:
    run = Run(workplace / "runs" / "ltfn5")
    # Calibrated on black images the int8 file knows no range but zero's.
    black = dataclasses.replace(digits.train, images=np.zeros_like(digits.train.images))
    dataset = dataclasses.replace(digits, train=black)
    with pytest.raises(VerificationError, match=r"nothing was published: tflite/ltfn5-int8"):
        export_bundle(
            zoo.load_model(run.folder), run.read_result(), dataset, tmp_path / "out", print
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_next_version_is_taken(workplace: Path, digits: Dataset, tmp_path: Path) -> None:
    run = Run(workplace / "runs" / "ltfn5")
    (tmp_path / "9").mkdir()
    (tmp_path / "notes").mkdir()
    version, table = export_bundle(
        zoo.load_model(run.folder), run.read_result(), digits, tmp_path, print
    )
    assert version == tmp_path / "10"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["10", "9", "notes"]
    assert table in (version / "README.md").read_text()


def test_an_operation_that_is_not_built_in_fails_the_conversion(tmp_path: Path) -> None:
    module = tf.Module()
    serve = tf.function(lambda image: {"logits": tf.math.bessel_i0(image)[:, :, 0, 0]})
    spec = tf.TensorSpec([1, 4, 4, 1], tf.float32, "image")
    tf.saved_model.save(
        module, str(tmp_path), {"serving_default": serve.get_concrete_function(spec)}
    )
    with pytest.raises(Exception, match="BesselI0"):
        tflite.convert(tmp_path, "float32")


@pytest.mark.parametrize("content", [b"", b"TFL3", b"x" * 5000])
def test_what_is_no_litert_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.tflite"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.tflite cannot be loaded"):
        export.load_predict_fn(path)


def test_what_is_no_artifact_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither a SavedModel folder nor"):
        export.load_predict_fn(tmp_path / "nothing")
    with pytest.raises(InputError, match="cannot be loaded"):
        export.load_predict_fn(tmp_path)


def test_pixels_are_rounded_to_the_input_s_numbers_not_cut() -> None:
    tensor = {"dtype": np.int8, "quantization": (2.0, -128)}
    images = np.array([0, 1, 3, 5, 254, 255], np.uint8)
    # 0.5 and 2.5 go to the even neighbour, 1.5 up.
    assert _quantized(images, tensor).tolist() == [-128, -128, -126, -126, -1, 0]
    assert _real(np.array([-128, 0], np.int8), tensor).tolist() == [0.0, 256.0]
