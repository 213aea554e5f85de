"""The sources for a microcontroller: compiled here, and their network run by its own kernels."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tflite_micro import runtime

import zoo
from export import flatbuffer, integrity, memory, microcontroller
from export.flatbuffer import Graph, Operator
from export.inference import inference_model
from zoo.errors import InputError

STUBS = Path(__file__).parent / "tflm_stubs"
CHECKED = ("-std=c++17", "-Wall", "-Wextra", "-Werror")


@pytest.fixture(scope="module")
def folder(bundle: Path) -> Path:
    return bundle / "microcontroller"


def _compile(*arguments: object, cwd: Path) -> None:
    line = ["g++", *CHECKED, *map(str, arguments)]
    done = subprocess.run(line, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_tflm_gives_the_golden_bytes_in_the_arena_that_is_named(
    bundle: Path, manifest: dict[str, Any]
) -> None:
    facts = manifest["microcontroller"]
    content = microcontroller.read_model(bundle / "microcontroller")
    assert content == (bundle / "tflite" / "compact-10k-int8.tflite").read_bytes()
    assert facts["flash_bytes"] == len(content)
    images = integrity.open_bundle(bundle).golden_images
    expected = microcontroller.expected_bytes(content, images)
    network = runtime.Interpreter.from_bytes(content, arena_size=facts["arena_bytes"]["reference"])
    for image, row in zip(images, expected, strict=True):
        network.set_input(image[None], 0)
        network.invoke()
        np.testing.assert_array_equal(network.get_output(0)[0], row)


def test_the_arena_is_not_named_larger_than_it_need_be(
    bundle: Path, manifest: dict[str, Any]
) -> None:
    content = microcontroller.read_model(bundle / "microcontroller")
    size = int(0.85 * manifest["microcontroller"]["arena_bytes"]["reference"])
    with pytest.raises(RuntimeError):
        runtime.Interpreter.from_bytes(content, arena_size=size)


def test_the_sources_compile_and_hold_the_file(folder: Path, bundle: Path, tmp_path: Path) -> None:
    # A program of our own links with the data: what it prints is what a device would read.
    (tmp_path / "print.cc").write_text(
        """
#include <cstdio>
#include <cstdint>
#include "golden.h"
#include "model_data.h"
int main() {
  if (reinterpret_cast<std::uintptr_t>(g_model) % 16 != 0) return 1;
  std::fwrite(g_model, 1, kModelBytes, stdout);
  std::fwrite(g_golden_inputs, 1, sizeof(g_golden_inputs), stdout);
  std::fwrite(g_golden_outputs, 1, sizeof(g_golden_outputs), stdout);
}
"""
    )
    sources = (folder / "model_data.cc", folder / "golden.cc", "print.cc")
    _compile("-I", folder, *sources, "-o", "print", cwd=tmp_path)
    printed = subprocess.run([tmp_path / "print"], capture_output=True, check=True).stdout
    content = (bundle / "tflite" / "compact-10k-int8.tflite").read_bytes()
    images = integrity.open_bundle(bundle).golden_images
    outputs = microcontroller.expected_bytes(content, images)
    assert printed == content + images.tobytes() + outputs.tobytes()


def test_the_program_compiles_against_tflm_s_interface(folder: Path, tmp_path: Path) -> None:
    # The stubs declare TFLM's names as its headers do, and run nothing.
    _compile("-fsyntax-only", "-I", folder, "-I", STUBS, folder / "main.cc", cwd=tmp_path)


def test_exactly_the_operations_used_are_registered(folder: Path) -> None:
    text = (folder / "op_resolver.h").read_text()
    calls = ["AddConv2D", "AddFullyConnected", "AddMaxPool2D", "AddMean", "AddQuantize"]
    assert "MicroMutableOpResolver<5>" in text
    assert [name for name in calls if f"resolver.{name}()" in text] == calls
    assert text.count("resolver.Add") == 5


@pytest.mark.parametrize("name", zoo.list_models())
def test_no_network_of_the_zoo_is_refused(name: str) -> None:
    microcontroller.check_layers(inference_model(zoo.create_model(name)))


def test_an_operation_that_tflm_lacks_is_refused() -> None:
    graph = Graph((), (Operator("CONV_2D", (), ()), Operator("NON_MAX", (), ())), (), ())
    with pytest.raises(InputError, match="not known to run NON_MAX; it runs ADD, "):
        microcontroller.check(graph)


def test_the_activations_are_tflm_s_own_plan(
    bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    content = microcontroller.read_model(bundle / "microcontroller")
    network = runtime.Interpreter.from_bytes(content, arena_size=1_000_000)
    network.print_allocations()
    told = capfd.readouterr().err
    graph = flatbuffer.read(content)
    assert f"Arena allocation head {memory.activation_bytes(graph)} bytes" in told
