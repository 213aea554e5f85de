"""Test the SavedModel as a server uses it: its signatures, and inputs that must not crash it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

import zoo
from zoo.bundles import integrity
from zoo.data import Dataset

# Runs in a subprocess, to detect a crash: each malformed input is rejected, then a valid one is
# classified. The argument is the SavedModel; one line is printed for each rejection.
MALFORMED = """
import struct, sys, zlib
import numpy as np, tensorflow as tf

served = tf.saved_model.load(sys.argv[1]).signatures

def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

def png_of(width, height, depth=8):
    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return bytes([137]) + b"PNG" + bytes([13, 10, 26, 10]) + body

image = np.arange(28 * 28, dtype=np.uint8).reshape(28, 28, 1)
png, jpeg = tf.io.encode_png(image).numpy(), tf.io.encode_jpeg(image).numpy()
huge_jpeg = bytearray(jpeg)
frame = jpeg.index(bytes([0xFF, 0xC0]))
huge_jpeg[frame + 5 : frame + 9] = bytes([0xFF, 0xF0, 0xFF, 0xF0])

shapes = [
    (), (0,), (28,), (784,), (28, 28), (28, 28, 1), (1, 28, 28), (1, 784), (1, 1, 28, 28, 1),
    (1, 1, 1, 28, 28, 1), (0, 28, 28, 1), (1, 27, 28, 1), (1, 28, 29, 1), (1, 28, 28, 3),
    (1, 28, 28, 0), (1, 0, 0, 1), (1, 1, 28, 28), (2, 14, 28, 1), (1, 56, 56, 1), (1, 1, 1, 1),
]
dtypes = [tf.float32, tf.float64, tf.int8, tf.int32, tf.int64, tf.bool, tf.string]
files = {
    "nothing": [b""], "text": [b"not an image"], "signature alone": [png[:8]],
    "header cut": [png[:20]], "half a PNG": [png[: len(png) // 2]],
    "all but the end": [png[:-20]], "half a JPEG": [jpeg[: len(jpeg) // 2]],
    "JPEG start": [jpeg[:3]], "a GIF": [b"GIF89a" + bytes(100)], "a BMP": [b"BM" + bytes(100)],
    "bomb": [png_of(60000, 60000)], "larger bomb": [png_of(2**31 - 1, 2**31 - 1)],
    "huge JPEG": [bytes(huge_jpeg)], "no width": [png_of(0, 28)], "empty batch": [],
    "one of two": [png, b"not an image"], "flipped": [png[:40] + bytes([png[40] ^ 255]) + png[41:]],
}
zeros = [tf.zeros(shape, tf.uint8) for shape in shapes]
inputs = [(name, each) for each in zeros for name in ("serving_default", "features")]
inputs += [("serving_default", tf.zeros((1, 28, 28, 1), dtype)) for dtype in dtypes]
inputs += [("serve_bytes", tf.constant(each, tf.string)) for each in files.values()]
inputs += [("serve_bytes", tf.constant(png)), ("serve_bytes", tf.constant([[png]])),
           ("serve_bytes", tf.zeros((1, 28, 28, 1), tf.uint8))]

# An intact picture that is too large must be rejected because of its size, not as damaged.
large = tf.io.encode_png(np.zeros((5000, 5000, 1), np.uint8))
try:
    served["serve_bytes"](image_bytes=large[None])
except tf.errors.InvalidArgumentError as error:
    assert "must have 1 to 16777216 pixels" in str(error), error
else:
    raise SystemExit("a picture of 25 million pixels was decoded")

for number, (signature, tensor) in enumerate(inputs):
    key = "image_bytes" if signature == "serve_bytes" else "image"
    try:
        served[signature](**{key: tensor})
    except (tf.errors.InvalidArgumentError, TypeError, ValueError) as error:
        print(number, signature, tensor.shape, str(error).splitlines()[0][:90])
    else:
        raise SystemExit(f"{signature} accepted input {number} of shape {tensor.shape}")
    good = served["serving_default"](image=image[None])["logits"]
    assert good.shape == (1, 10) and np.all(np.isfinite(good))
np.testing.assert_allclose(served["serve_bytes"](image_bytes=[png])["logits"], good, atol=1e-4)
"""


@pytest.mark.parametrize("onednn", ["0", "1"])
def test_malformed_inputs_leave_the_server_alive(bundle: Path, onednn: str) -> None:
    environment = os.environ | {"TF_ENABLE_ONEDNN_OPTS": onednn, "TF_CPP_MIN_LOG_LEVEL": "3"}
    line = [sys.executable, "-c", MALFORMED, str(bundle)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == 67


def test_the_signatures(bundle: Path) -> None:
    served = tf.saved_model.load(str(bundle)).signatures
    assert set(served) == {"serving_default", "serve_bytes", "features"}
    told = {
        name: (value.dtype.name, value.shape.as_list())
        for name, value in served["serving_default"].structured_outputs.items()
    }
    assert told == {
        "logits": ("float32", [None, 10]),
        "probabilities": ("float32", [None, 10]),
        "class_id": ("int64", [None]),
        "label": ("string", [None]),
    }
    assert set(served["serve_bytes"].structured_outputs) == set(told)
    images = integrity.open_bundle(bundle).golden_images
    results = served["serving_default"](image=images)
    np.testing.assert_allclose(results["probabilities"], tf.nn.softmax(results["logits"]))
    np.testing.assert_array_equal(results["class_id"], tf.argmax(results["logits"], axis=1))
    labels = (bundle / "assets" / "labels.txt").read_text().splitlines()
    assert [labels[at] for at in results["class_id"]] == [
        name.decode() for name in results["label"].numpy()
    ]
    features = served["features"](image=images)["features"]
    assert features.shape == (len(images), 18)


def test_the_features_are_what_the_last_layer_reads(bundle: Path, small: Path) -> None:
    served = tf.saved_model.load(str(bundle)).signatures
    images = integrity.open_bundle(bundle).golden_images
    kernel, bias = zoo.load_model(small / "runs" / "compact-10k").get_layer("logits").get_weights()
    logits = served["features"](image=images)["features"].numpy() @ kernel + bias
    expected = served["serving_default"](image=images)["logits"]
    np.testing.assert_allclose(logits, expected, atol=1e-4 * np.ptp(expected))


def test_every_endpoint_begins_with_the_check_of_its_shape(bundle: Path) -> None:
    served = tf.saved_model.load(str(bundle)).signatures
    for name, signature in served.items():
        functions = signature.graph.as_graph_def().library.function
        key = "image_bytes" if name == "serve_bytes" else "image"
        bodies = [f for f in functions if f"_{name}_" in f.signature.name]
        readers = [
            node.op
            for body in bodies
            for node in body.node_def
            if any(each.split(":")[0] == key for each in node.input)
        ]
        assert set(readers) - {"StatefulPartitionedCall"} == {"EnsureShape"}, name


def test_picture_files_are_decoded_as_pixels_are_given(bundle: Path, digits: Dataset) -> None:
    served = tf.saved_model.load(str(bundle)).signatures
    image = digits.test.images[3]
    expected = served["serving_default"](image=image[None])["logits"]
    grey = tf.io.encode_png(image).numpy()
    colour = tf.io.encode_png(np.repeat(image, 3, axis=-1)).numpy()
    for file in (grey, colour):
        given = served["serve_bytes"](image_bytes=[file])["logits"]
        np.testing.assert_allclose(given, expected, atol=1e-4 * np.ptp(expected))
    larger = tf.io.encode_png(np.repeat(np.repeat(image, 3, axis=0), 3, axis=1)).numpy()
    jpeg = tf.io.encode_jpeg(image, quality=100).numpy()
    answers = served["serve_bytes"](image_bytes=[grey, larger, jpeg])
    assert answers["class_id"].numpy().tolist() == [digits.test.labels[3]] * 3


def test_the_warm_up_requests_are_tensorflow_serving_s(bundle: Path) -> None:
    file = bundle / "assets.extra" / "tf_serving_warmup_requests"
    served = tf.saved_model.load(str(bundle)).signatures
    seen = []
    for record in tf.data.TFRecordDataset(str(file)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        assert request.model_spec.name == "compact-10k"
        inputs = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
        signature = request.model_spec.signature_name
        answer = served[signature](**{k: tf.constant(v) for k, v in inputs.items()})
        assert next(iter(answer.values())).shape[0] == 1
        seen.append(signature)
    assert sorted(seen) == sorted(served)


# Exports in a process where TensorFlow Serving's package cannot be imported.
WITHOUT = """
import sys
sys.modules["tensorflow_serving"] = None
import export.verify as command
from export import __main__
__main__.main(["runs/compact-10k", "--formats", "saved_model", "--out", sys.argv[1]])
command.main([sys.argv[1] + "/1"])
"""


def test_without_its_package_the_warm_up_requests_are_left_out_aloud(
    environment: dict[str, str], small: Path, tmp_path: Path
) -> None:
    line = [sys.executable, "-c", WITHOUT, str(tmp_path / "out")]
    done = subprocess.run(
        line, cwd=small, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "warm-up requests of TensorFlow Serving are left out" in done.stdout
    assert "pip install 'ltfn-zoo[serving]'" in done.stdout
    assert "saved_model.pb: replayed" in done.stdout
    assert not (tmp_path / "out" / "1" / "assets.extra").exists()
