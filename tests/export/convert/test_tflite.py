"""Test the LiteRT files: what a device computes, and the metadata that describes it."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from flatbuffers import table
from keras import layers

from export.convert import saved_model, tflite
from export.formats import LITERT
from export.litert import flatbuffer, memory, metadata
from export.litert.flatbuffer import Graph, Operator, Tensor
from export.network.sources import from_run
from tests.conftest import ROOT
from zoo.bundles import runtimes
from zoo.errors import ZooError
from zoo.runs import Run

NETWORK = [
    "CONV_2D",
    "MAX_POOL_2D",
    "CONV_2D",
    "CONV_2D",
    "MAX_POOL_2D",
    "CONV_2D",
    "CONV_2D",
    "MEAN",
    "FULLY_CONNECTED",
]


def _content(bundle: Path, kind: str) -> bytes:
    return (bundle / "tflite" / f"compact-10k-{kind}.tflite").read_bytes()


@pytest.mark.parametrize("kind", LITERT)
def test_a_device_computes_the_network_and_nothing_else(bundle: Path, kind: str) -> None:
    operations = [each.name for each in flatbuffer.read(_content(bundle, kind)).operators]
    # QUANTIZE only shifts uint8 pixels to int8; DEQUANTIZE unpacks float16 weights.
    before = {"int8": ["QUANTIZE"], "float16": ["DEQUANTIZE"] * 12}
    assert operations == before.get(kind, []) + NETWORK


@pytest.mark.parametrize(
    ("kind", "image", "logits"),
    [
        ("float32", np.float32, np.float32),
        ("float16", np.float32, np.float32),
        ("dynamic", np.float32, np.float32),
        ("int8", np.uint8, np.int8),
        ("int16x8", np.int16, np.int16),
    ],
)
def test_what_goes_in_and_out(bundle: Path, kind: str, image: type, logits: type) -> None:
    runner = Interpreter(model_content=_content(bundle, kind)).get_signature_runner()
    taken, given = runner.get_input_details()["image"], runner.get_output_details()["logits"]
    assert (taken["dtype"], given["dtype"]) == (image, logits)
    assert (taken["shape"].tolist(), given["shape"].tolist()) == ([1, 28, 28, 1], [1, 10])
    if kind == "int8":
        assert taken["quantization"] == (1.0, 0)


# The dynamic-range converter does not quantize kernels of fewer than 1,024 weights.
@pytest.mark.parametrize(("kind", "count"), [("dynamic", 4), ("int8", 6), ("int16x8", 6)])
def test_every_channel_has_its_own_scale(bundle: Path, kind: str, count: int) -> None:
    graph = flatbuffer.read(_content(bundle, kind))
    kernels = [each for each in graph.tensors if each.constant and each.dtype == np.int8]
    assert len(kernels) == count
    assert [each.scale_count for each in kernels] == [each.shape[0] for each in kernels]


@pytest.mark.parametrize("kind", LITERT)
def test_the_reader_sees_what_the_runtime_sees(bundle: Path, kind: str) -> None:
    content = _content(bundle, kind)
    interpreter = Interpreter(model_content=content)
    theirs = [each["op_name"] for each in interpreter._get_ops_details()]
    graph = flatbuffer.read(content)
    assert [each.name for each in graph.operators] == [n for n in theirs if n != "DELEGATE"]
    for detail in interpreter.get_tensor_details()[: len(graph.tensors)]:
        ours = graph.tensors[detail["index"]]
        assert (ours.dtype, list(ours.shape)) == (detail["dtype"], detail["shape"].tolist())


@pytest.mark.parametrize("kind", LITERT)
def test_every_buffer_is_aligned(bundle: Path, kind: str) -> None:
    content = np.frombuffer(_content(bundle, kind), np.uint8)
    model = flatbuffer.schema.Model.GetRootAs(content, 0)
    buffers = [model.Buffers(at).DataAsNumpy() for at in range(model.BuffersLength())]
    offsets = [
        each.__array_interface__["data"][0] - content.__array_interface__["data"][0]
        for each in buffers
        if not isinstance(each, int)
    ]
    assert len(offsets) > 10
    assert not [offset for offset in offsets if offset % 16]


class _Table:
    """A flatbuffer table with fields by number, independent of the schema's generated code."""

    def __init__(self, content: bytes, at: int) -> None:
        self._table = table.Table(content, at)

    @classmethod
    def root(cls, content: bytes) -> _Table:
        return cls(content, int.from_bytes(content[:4], "little"))

    def _at(self, field: int) -> int:
        offset = self._table.Offset(4 + 2 * field)
        assert offset, f"field {field} is missing"
        return offset + self._table.Pos

    def child(self, field: int) -> _Table:
        return _Table(self._table.Bytes, self._table.Indirect(self._at(field)))

    def only(self, field: int) -> _Table:
        offset = self._table.Offset(4 + 2 * field)
        assert self._table.VectorLen(offset) == 1
        return _Table(self._table.Bytes, self._table.Indirect(self._table.Vector(offset)))

    def text(self, field: int) -> str:
        return self._table.String(self._at(field)).decode()

    def byte(self, field: int) -> int:
        return self._table.Bytes[self._at(field)]

    def float(self, field: int) -> float:
        offset = self._table.Offset(4 + 2 * field)
        assert self._table.VectorLen(offset) == 1
        at = self._table.Vector(offset)
        return float(np.frombuffer(self._table.Bytes[at : at + 4], "<f4")[0])


@pytest.mark.parametrize("kind", LITERT)
def test_the_metadata_says_what_the_tensors_mean(bundle: Path, kind: str) -> None:
    content = _content(bundle, kind)
    file = flatbuffer.unpacked(content)
    (entry,) = (each for each in file.metadata if each.name == metadata.NAME.encode())
    found = bytes(file.buffers[entry.buffer].data)
    assert found[4:8] == b"M001"
    model = _Table.root(found)
    assert model.text(0) == "compact-10k"
    assert "digits" in model.text(1)
    image, logits = model.only(3).only(2), model.only(3).only(3)
    assert (image.text(0), logits.text(0)) == ("image", "logits")
    assert image.child(3).byte(0) == 2  # ImageProperties
    assert image.child(3).child(1).byte(0) == 2  # GRAYSCALE
    assert image.only(4).byte(0) == 1  # NormalizationOptions
    assert (image.only(4).child(1).float(0), image.only(4).child(1).float(1)) == (0.0, 1.0)
    assert (image.child(5).float(0), image.child(5).float(1)) == (255.0, 0.0)
    labels = logits.only(6)
    assert (labels.text(0), labels.byte(2)) == ("labels.txt", 2)  # TENSOR_AXIS_LABELS
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.read("labels.txt").decode().split() == list("0123456789")


def _fixed(folder: Path, function: Any) -> Path:
    serve = tf.function(lambda image: {"logits": function(image)})
    spec = tf.TensorSpec([1, 4, 4, 1], tf.float32, "image")
    tf.saved_model.save(
        tf.Module(), str(folder), {"serving_default": serve.get_concrete_function(spec)}
    )
    return folder


def test_an_operation_that_is_not_built_in_fails_the_conversion(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="BesselI0"):
        tflite.convert(_fixed(tmp_path, lambda x: tf.math.bessel_i0(x)[:, :, 0, 0]), "float32")


def test_shapes_computed_in_the_file_fail_the_conversion(tmp_path: Path) -> None:
    # The number of nonzero pixels is known only on the device.
    with pytest.raises(
        ZooError, match="the file computes shapes, although its batch size is fixed"
    ):
        tflite.convert(_fixed(tmp_path, lambda x: tf.shape(tf.where(x))), "float32")


@pytest.mark.parametrize("kind", tflite.INTEGER)
def test_dark_images_do_not_change_the_scale_of_the_pixels(kind: str, tmp_path: Path) -> None:
    dark = np.random.default_rng(0).integers(10, 96, (8, 4, 4, 1), np.uint8)
    fixed = _fixed(tmp_path, lambda x: tf.reshape(x, (1, 16)) @ tf.ones((16, 3)))
    content = tflite.convert(fixed, kind, dark)
    runner = Interpreter(model_content=content).get_signature_runner()
    pixels = dark[:1] if kind == "int8" else np.rint(dark[:1] * (32_767 / 255)).astype(np.int16)
    scale, zero = runner.get_output_details()["logits"]["quantization"]
    logits = scale * (runner(image=pixels)["logits"].astype(np.float64) - zero)
    np.testing.assert_allclose(logits, [[dark[0].sum()] * 3], rtol=0.02)


@pytest.mark.parametrize("kind", tflite.INTEGER)
def test_another_scale_of_the_pixels_fails_the_conversion(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixed = _fixed(tmp_path, lambda x: tf.reshape(x, (1, 16)) @ tf.ones((16, 3)))
    dark = np.full((1, 4, 4, 1), 100, np.float32)
    monkeypatch.setattr(tflite, "_representative_dataset", lambda *_: lambda: iter([[dark]]))
    with pytest.raises(ZooError, match="it does not take pixels as they are"):
        tflite.convert(fixed, kind, dark)


def test_the_plan_of_the_activations() -> None:
    def tensor(size: int, *, constant: bool = False) -> Tensor:
        return Tensor("", (size,), np.dtype(np.int8), constant, 0)

    tensors = (tensor(160), tensor(320), tensor(320), tensor(16), tensor(999, constant=True))
    chain = (Operator("A", (0, 4), (1,)), Operator("B", (1,), (2,)), Operator("C", (2,), (3,)))
    # Both large tensors are live at B; each small one reuses the memory of a large one.
    assert memory.activation_bytes(Graph(tensors, chain, (0,), (3,))) == 640
    # A tensor that a later operation reads again keeps its memory.
    again = (*chain[:2], Operator("C", (2, 0), (3,)))
    assert memory.activation_bytes(Graph(tensors, again, (0,), (3,))) == 800


def _bias_types(content: bytes) -> list[tuple[str, str]]:
    graph = flatbuffer.read(content)
    return [
        (each.name, graph.tensors[each.inputs[2]].dtype.name)
        for each in graph.operators
        if each.name in {"CONV_2D", "FULLY_CONNECTED"}
    ]


def test_convolutions_with_small_sums_have_them_in_32_bits(bundle: Path) -> None:
    expected = [("CONV_2D", "int32")] * 5 + [("FULLY_CONNECTED", "int64")]
    assert _bias_types(_content(bundle, "int16x8")) == expected


def test_a_sum_that_could_overflow_keeps_its_64_bits(tmp_path: Path) -> None:
    image = keras.Input((3, 3, 64))
    # White images make sums of 576 products of the largest weight and the largest activation.
    network = keras.layers.Conv2D(2, 3, kernel_initializer="ones")(image)
    model = keras.Model(image, keras.layers.Flatten()(network))
    saved_model.save_fixed(model, tmp_path)
    white = np.full((4, 3, 3, 64), 255, np.uint8)
    content = tflite.convert(tmp_path, "int16x8", white)
    computed = runtimes.open_litert(content).predict_fn(white)
    np.testing.assert_allclose(computed, 576 * 255.0, rtol=1e-3)
    assert _bias_types(content) == [("CONV_2D", "int64")]


def test_save_fixed_leaves_no_scaling(small: Path, tmp_path: Path) -> None:
    source = from_run(Run(small / "runs" / "compact-10k"))
    saved_model.save_fixed(source.deployed, tmp_path / "fixed")
    names = [
        each.name
        for each in flatbuffer.read(tflite.convert(tmp_path / "fixed", "float32")).operators
    ]
    assert names == NETWORK


def test_one_module_depends_on_the_converter_of_tensorflow() -> None:
    files = [
        file for folder in ("zoo", "export", "tools") for file in ROOT.glob(f"{folder}/**/*.py")
    ]
    using = [file for file in files if re.search(r"\b(tf|tensorflow)\.lite\b", file.read_text())]
    assert [file.relative_to(ROOT).as_posix() for file in using] == ["export/convert/tflite.py"]


@pytest.mark.parametrize("batch", [1, 3, 10])
def test_every_calibration_image_is_used_with_any_batch(batch: int, tmp_path: Path) -> None:
    image = keras.Input((4, 5, 1), name="image")
    saved_model.save_fixed(keras.Model(image, layers.Flatten()(image)), tmp_path, batch)
    images = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 5, 1), np.uint8)
    batches = [given for (given,) in tflite._representative_dataset(tmp_path, images)()]
    assert {len(given) for given in batches} == {batch}
    assert set(np.concatenate(batches)[:, 0, 0, 0]) >= set(range(1, 10))
