"""Compare the arena size stated for each set of kernels with the memory that they use."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from tflite_micro import runtime

import zoo
from export.convert import saved_model, tflite
from export.litert import arena, flatbuffer
from export.litert.flatbuffer import Graph
from export.litert.memory import Buffer, planned_bytes
from export.network.deploy import inference_model

# Bytes that TensorFlow Lite Micro used with CMSIS-NN's kernels, beyond the arena sufficient for
# its reference kernels; measured under QEMU on Cortex-M3, M7 and M55.
MEASURED = {
    "ltfn5": 324,
    "ltfn5-avgpool": 340,
    "ltfn5-strided": 516,
    "ltfn5-allconv-gap": 324,
    "ltfn5-convpool": 132,
    "cnn-c": 1_300,
    "strided-cnn-a": 7_812,
}


def _int8_file(model: keras.Model, folder: Path) -> bytes:
    saved_model.save_fixed(model, folder)
    shape = (2, *model.input_shape[1:])
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return tflite.convert(folder, "int8", images)


def _graph(model: keras.Model, folder: Path) -> Graph:
    return flatbuffer.read(_int8_file(model, folder))


@pytest.mark.parametrize("name", MEASURED)
def test_the_arena_for_cmsis_nn_suffices_and_is_at_most_5_percent_larger(
    name: str, tmp_path: Path
) -> None:
    graph = _graph(inference_model(zoo.create_model(name)), tmp_path)
    used = arena.reference_bytes(graph) + MEASURED[name]
    assert used <= arena.cmsis_nn_bytes(graph) <= 1.05 * used


@pytest.mark.parametrize("name", ["compact-4k", "ltfn3", "ltfn5-allconv-gap"])
def test_the_arena_for_the_reference_kernels_suffices(name: str, tmp_path: Path) -> None:
    content = _int8_file(inference_model(zoo.create_model(name)), tmp_path)
    size = arena.reference_bytes(flatbuffer.read(content))
    runtime.Interpreter.from_bytes(content, arena_size=size).invoke()
    with pytest.raises(RuntimeError):
        runtime.Interpreter.from_bytes(content, arena_size=int(0.85 * size))


def test_the_sums_of_mean_are_planned(tmp_path: Path) -> None:
    # The sums of 10,000 channels need more memory than any two tensors.
    image = keras.Input((1, 2, 10_000))
    content = _int8_file(
        keras.Model(image, layers.GlobalAveragePooling2D()(image)), tmp_path / "mean"
    )
    size = arena.reference_bytes(flatbuffer.read(content))
    runtime.Interpreter.from_bytes(content, arena_size=size).invoke()


def _scratch_of(layer: layers.Layer, shape: tuple[int, int, int], folder: Path) -> int:
    """Return the scratch bytes of the last operator of a network with this layer alone."""
    image = keras.Input(shape)
    graph = _graph(keras.Model(image, layer(image)), folder)
    return arena._cmsis_nn_scratch(graph, graph.operators[-1])


def test_the_scratch_buffers_of_cmsis_nn(tmp_path: Path) -> None:
    # The largest of the sizes that the three variants of arm_..._get_buffer_size return.
    assert _scratch_of(layers.Conv2D(8, 5), (9, 9, 32), tmp_path / "conv") == 4 * 5 * 5 * 32
    helium = 4 * 16  # nine values, rounded up to registers of 16
    assert _scratch_of(layers.Conv2D(8, 3), (9, 9, 1), tmp_path / "column") == helium
    helium = 4 * 124 * 3 * 3
    assert _scratch_of(layers.DepthwiseConv2D(3), (9, 9, 8), tmp_path / "depthwise") == helium
    dsp = 2 * 300 * 3 * 3
    assert _scratch_of(layers.DepthwiseConv2D(3), (9, 9, 300), tmp_path / "deep") == dsp
    assert _scratch_of(layers.AveragePooling2D(2), (8, 8, 24), tmp_path / "pool") == 4 * 24
    assert _scratch_of(layers.MaxPooling2D(2), (8, 8, 24), tmp_path / "max") == 0


def test_helium_s_sums_of_the_weights_are_kept(tmp_path: Path) -> None:
    image = keras.Input((4, 4, 4))
    dense = layers.Dense(1_000)(layers.Flatten()(image))
    graph = _graph(keras.Model(image, dense), tmp_path)
    assert arena.cmsis_nn_bytes(graph) == arena.reference_bytes(graph) + 4_000


def test_a_scratch_buffer_shares_memory_with_what_lives_at_other_times() -> None:
    tensors = [Buffer(100, 0, 1), Buffer(1_000, 2, 3)]
    assert planned_bytes([*tensors, Buffer(900, 0, 0)]) == 112 + 912
    assert planned_bytes([*tensors, Buffer(800, 0, 0)]) == 1_008
    assert planned_bytes([*tensors, Buffer(800, 2, 2)]) == 1_008 + 800


def test_of_equally_large_buffers_the_later_is_placed_first() -> None:
    # Placing the third buffer before the first two leaves the lowest memory free for the last. In
    # the other order, the last would be placed above all others, and 80 bytes would be needed.
    buffers = [Buffer(32, 3, 3), Buffer(32, 0, 1), Buffer(32, 2, 3), Buffer(16, 0, 2)]
    assert planned_bytes(buffers) == 64
