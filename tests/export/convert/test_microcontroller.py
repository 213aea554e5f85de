"""Test the microcontroller library: it is compiled and run, and TFLM's kernels run its network."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from tflite_micro import runtime

import zoo
from export.convert import microcontroller, saved_model, tflite
from export.litert import arena, flatbuffer, memory, rounding
from export.litert.flatbuffer import Graph, Operator
from export.network.deploy import inference_model
from zoo.bundles import runtimes
from zoo.data import Dataset
from zoo.data.preprocessing import Preprocessing
from zoo.data.splits import Split
from zoo.errors import InputError
from zoo.models.registry import get_costs

STUBS = Path(__file__).parent / "tflm_stubs"
CHECKED = ("-std=c++17", "-Wall", "-Wextra", "-Werror")
STATIC = "-DTF_LITE_STATIC_MEMORY"
CLASSES = ('a "b" \\c??/', "größer", "three")
MODEL = "model_new"  # "new" alone is a C++ keyword


def _run(*line: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    words = list(map(str, line))
    return subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)


def _compile(*arguments: object, cwd: Path) -> None:
    done = _run("g++", *CHECKED, *arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr


def _sources(library: Path) -> list[Path]:
    return sorted(library.glob("src/*.cpp"))


@pytest.fixture(scope="module")
def folder(bundle: Path) -> Path:
    return bundle / "microcontroller"


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the int8 file of a tiny network."""
    keras.utils.set_random_seed(0)
    image = keras.Input((4, 5, 2))
    dense = layers.Dense(len(CLASSES))
    model = keras.Model(image, dense(layers.Flatten()(image)))
    # Weights with mean 0, so that no class is predicted for every image.
    dense.kernel.assign(dense.kernel - keras.ops.mean(dense.kernel, axis=0))
    folder = tmp_path_factory.mktemp("tiny")
    saved_model.save_fixed(model, folder)
    return tflite.convert(folder, "int8", _images())


def _images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (8, 4, 5, 2), np.uint8)


def _write(content: bytes, folder: Path, name: str = "new") -> dict[str, Any]:
    return microcontroller.write(
        content,
        _images(),
        folder,
        name=name,
        class_names=CLASSES,
        preprocessing=Preprocessing(height=4, width=5, channels=2),
        multiply_adds=120,
    )


@pytest.fixture(scope="module")
def library(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the library of the tiny network."""
    folder = tmp_path_factory.mktemp("library") / "microcontroller"
    _write(content, folder)
    return folder


def _build_program(
    library: Path, main: Path, folder: Path, *options: str, names: Sequence[str] = (MODEL,)
) -> Path:
    """Build a program from libraries and a fake interpreter of their golden images."""
    libraries = [library.with_name(name) if len(names) > 1 else library for name in names]
    fake = (f'-DGOLDEN="{libraries[0]}/src/golden.h"', f"-DLIBRARY={names[0]}")
    includes = [f"-I{each / 'src'}" for each in libraries]
    sources = [source for each in libraries for source in _sources(each)]
    _compile(
        *options, STATIC, *fake, *includes, "-I", STUBS, STUBS / "interpreter.cc", *sources, main,
        "-o", "program", cwd=folder,
    )  # fmt: skip
    return folder / "program"


def test_tflm_gives_the_golden_bytes_in_the_arena_that_is_named(
    bundle: Path, manifest: dict[str, Any]
) -> None:
    facts = manifest["microcontroller"]
    content = microcontroller.read_model(bundle / "microcontroller")
    assert content == (bundle / "tflite" / "compact-10k-int8.tflite").read_bytes()
    assert facts["model_bytes"] == len(content)
    golden = (bundle / "microcontroller" / "src" / "golden.cpp").read_text()
    rows = [[int(each) for each in row.split(",")] for row in re.findall(r"{([-\d, ]+)}", golden)]
    images, expected = np.array(rows[:10], np.uint8), np.array(rows[10:], np.int8)
    computed = _tflm(content, images.reshape(-1, 28, 28, 1), facts["arena_bytes"]["reference"])
    np.testing.assert_array_equal(computed, expected)


def _tflm(content: bytes, images: np.ndarray, arena_size: int) -> np.ndarray:
    """Return the outputs of TensorFlow Lite Micro, int8 [N, classes]."""
    network = runtime.Interpreter.from_bytes(content, arena_size=arena_size)
    rows = []
    for image in images:
        network.set_input(image[None], 0)
        network.invoke()
        rows.append(network.get_output(0)[0].copy())
    return np.stack(rows)


def test_images_that_tflm_rounds_otherwise_are_known(bundle: Path, digits: Dataset) -> None:
    content = microcontroller.read_model(bundle / "microcontroller")
    images = np.concatenate([digits.test.images, digits.train.images])
    computed = _tflm(content, images, 1_000_000)
    same = (computed == microcontroller.expected_bytes(content, images)).all(axis=1)
    assert 0.95 < np.mean(same) < 1
    rounds_alike = rounding.rounds_alike_fn(content)
    np.testing.assert_array_equal([rounds_alike(image) for image in images], same)
    # If the first image of a class is rounded differently, the next one is chosen.
    first = np.flatnonzero(~same)[0]
    others = np.flatnonzero(same)
    chosen = Split("test", images[[first, *others[:9]]], np.array([0, 0, *range(1, 9)], np.int64))
    golden = microcontroller.golden_images(content, chosen, 9)
    np.testing.assert_array_equal(golden, images[others[:9]])
    none = Split("test", images[[first]], np.array([0]))
    with pytest.raises(InputError, match="rounds the outputs of every image differently"):
        microcontroller.golden_images(content, none, 1)


def test_85_percent_of_the_stated_arena_is_too_small(
    bundle: Path, manifest: dict[str, Any]
) -> None:
    content = microcontroller.read_model(bundle / "microcontroller")
    size = int(0.85 * manifest["microcontroller"]["arena_bytes"]["reference"])
    with pytest.raises(RuntimeError):
        runtime.Interpreter.from_bytes(content, arena_size=size)


def test_the_activations_are_tflm_s_own_plan(
    bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    content = microcontroller.read_model(bundle / "microcontroller")
    network = runtime.Interpreter.from_bytes(content, arena_size=1_000_000)
    network.print_allocations()
    told = capfd.readouterr().err
    graph = flatbuffer.read(content)
    assert f"Arena allocation head {memory.activation_bytes(graph)} bytes" in told


def test_the_card_and_the_readme_say_what_a_board_needs(
    bundle: Path, folder: Path, manifest: dict[str, Any]
) -> None:
    facts = manifest["microcontroller"]
    assert facts["multiply_adds"] == get_costs("compact-10k").multiply_adds
    arenas = facts["arena_bytes"]
    card = (bundle / "README.md").read_text()
    assert "The model needs " in card
    assert "the C library) about 75,000 more" in " ".join(card.split())
    for number in (facts["model_bytes"], facts["multiply_adds"], *arenas.values()):
        assert f"{number:,}" in card
        assert f"{number:,}" in (folder / "README.md").read_text()
    assert "TensorFlow Lite Micro of August 2026, C++17" in facts["tested_with"]
    for text in (card, (folder / "README.md").read_text()):
        assert facts["tested_with"] in " ".join(text.split())


def test_exactly_the_operations_used_are_registered(folder: Path) -> None:
    text = (folder / "src" / "op_resolver.h").read_text()
    calls = ["AddConv2D", "AddFullyConnected", "AddMaxPool2D", "AddMean", "AddQuantize"]
    assert "MicroMutableOpResolver<5>" in text
    assert [name for name in calls if f"resolver.{name}()" in text] == calls
    assert text.count("resolver.Add") == 5


def test_a_program_reads_the_file_and_the_golden_images(
    library: Path, content: bytes, tmp_path: Path
) -> None:
    # What the program prints is what a device would read.
    (tmp_path / "print.cpp").write_text(
        f"""
#include <cstdio>
#include "golden.h"
#include "model_data.h"
using namespace {MODEL};
int main() {{
  if (reinterpret_cast<std::uintptr_t>(kModel) % 16 != 0) return 1;
  std::fwrite(kModel, 1, kModelBytes, stdout);
  std::fwrite(kGoldenInputs, 1, sizeof(kGoldenInputs), stdout);
  std::fwrite(kGoldenOutputs, 1, sizeof(kGoldenOutputs), stdout);
}}
"""
    )
    program = _build_program(library, tmp_path / "print.cpp", tmp_path)
    printed = subprocess.run([program], capture_output=True, check=True).stdout
    outputs = microcontroller.expected_bytes(content, _images())
    assert printed == content + _images().tobytes() + outputs.tobytes()


def test_a_program_classifies_images_and_names_their_classes(
    library: Path, content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "classify.cpp").write_text(
        f"""
#include <cstdio>
#include "{MODEL}.h"
#include "golden.h"
using namespace {MODEL};
int main() {{
  if (Classify(kGoldenInputs[0]) != -1 || Logits() != nullptr || ArenaUsedBytes() != 0) return 1;
  if (Setup() != nullptr || Setup() != nullptr) return 2;
  for (const auto& image : kGoldenInputs) {{
    const char* name = kClassNames[Classify(image)];
    std::printf("%s, %.3f\\n", name, kLogitScale * (Logits()[0] - kLogitZeroPoint));
  }}
  static const std::uint8_t unknown[kImageBytes] = {{}};
  return Classify(unknown) == -1 ? 0 : 3;
}}
"""
    )
    done = _run(_build_program(library, tmp_path / "classify.cpp", tmp_path))
    assert done.returncode == 0, done.stderr
    logits = runtimes.open_litert(content, reference_kernels=True).predict_fn(_images())
    assert len(set(logits.argmax(axis=1))) > 1
    lines = [f"{CLASSES[row.argmax()]}, {row[0]:.3f}" for row in logits]
    assert done.stdout.splitlines() == lines


def test_the_self_test_program_passes_and_fails(
    library: Path, content: bytes, tmp_path: Path
) -> None:
    graph = flatbuffer.read(content)
    arenas = (arena.reference_bytes(graph), arena.cmsis_nn_bytes(graph))
    assert arenas[0] < arenas[1]
    main = library / "examples" / "self_test_program" / "main.cpp"
    passed = _run(_build_program(library, main, tmp_path))
    assert passed.stdout == f"PASSED: 8 golden images, {arenas[1]} bytes of the arena used\n"
    assert passed.returncode == 0

    option = f"-D{MODEL.upper()}_ARENA_BYTES={MODEL}::kReferenceArenaBytes"
    small = _run(_build_program(library, main, tmp_path, option))
    assert (small.returncode, small.stdout) == (1, "FAILED: the arena is too small\n")


def test_setup_names_the_same_fault_again(library: Path, tmp_path: Path) -> None:
    (tmp_path / "twice.cpp").write_text(
        f"""
#include <cstdio>
#include "{MODEL}.h"
int main() {{
  for (int i = 0; i < 2; ++i) std::puts({MODEL}::Setup());
}}
"""
    )
    option = f"-D{MODEL.upper()}_ARENA_BYTES={MODEL}::kReferenceArenaBytes"
    told = _run(_build_program(library, tmp_path / "twice.cpp", tmp_path, option)).stdout
    assert told == 2 * "the arena is too small\n"


@pytest.mark.parametrize("byte", [0, len(CLASSES) - 1])
def test_the_self_test_compares_every_output_byte(byte: int, library: Path, tmp_path: Path) -> None:
    main = library / "examples" / "self_test_program" / "main.cpp"
    wrong = _run(_build_program(library, main, tmp_path, f"-DWRONG_BYTE={byte}"))
    assert wrong.returncode == 1
    assert wrong.stdout == "FAILED: an output differs from the expected bytes\n"


def test_nothing_is_printed_that_newlib_nano_cannot_print(library: Path) -> None:
    for file in [*_sources(library), *library.glob("examples/*/*")]:
        assert "%z" not in file.read_text(), file


def test_without_static_memory_nothing_compiles(library: Path, tmp_path: Path) -> None:
    source = library / "src" / f"{MODEL}.cpp"
    done = _run("g++", "-std=c++17", "-fsyntax-only", "-I", STUBS, source, cwd=tmp_path)
    assert done.returncode != 0
    assert "Define TF_LITE_STATIC_MEMORY for all source files" in done.stderr


def test_two_networks_go_into_one_program(content: bytes, tmp_path: Path) -> None:
    names = ("model_one", "model_two")
    for name in names:
        _write(content, tmp_path / name, name.removeprefix("model_"))
    (tmp_path / "main.cpp").write_text(
        """
#include "model_one.h"
#include "model_one_self_test.h"
#include "model_two.h"
#include "model_two_self_test.h"
int main() { return model_one::SelfTest() != nullptr || model_two::SelfTest() != nullptr; }
"""
    )
    program = _build_program(tmp_path / names[0], tmp_path / "main.cpp", tmp_path, names=names)
    assert _run(program).returncode == 0


def _configure(folder: Path, project: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.16)\nproject(board LANGUAGES CXX)\n{project}"
    )
    return _run("cmake", "-S", folder, "-B", folder / "build", *options)


def test_cmake_builds_the_library_with_the_user_s_tflm(library: Path, tmp_path: Path) -> None:
    done = _configure(
        tmp_path,
        f"""
add_library(my-tflm STATIC {STUBS}/interpreter.cc)
target_include_directories(my-tflm PUBLIC {STUBS})
target_compile_features(my-tflm PRIVATE cxx_std_17)
target_compile_definitions(my-tflm PUBLIC TF_LITE_STATIC_MEMORY
  PRIVATE GOLDEN="golden.h" LIBRARY={MODEL})
add_subdirectory({library} library)
target_link_libraries(my-tflm PRIVATE {MODEL})
""",
        "-DTFLITE_MICRO_TARGET=my-tflm",
        "-DCMAKE_CXX_STANDARD=11",
        f"-DCMAKE_CXX_FLAGS={' '.join(CHECKED[1:])}",
    )
    assert done.returncode == 0, done.stderr
    built = _run("cmake", "--build", tmp_path / "build", "--target", f"{MODEL}_self_test")
    assert built.returncode == 0, built.stdout + built.stderr
    program = _run(tmp_path / "build" / "library" / f"{MODEL}_self_test")
    assert (program.returncode, program.stdout[:6]) == (0, "PASSED")


def test_cmake_asks_for_tflm(library: Path, tmp_path: Path) -> None:
    done = _configure(tmp_path, f"add_subdirectory({library} library)\n")
    assert done.returncode != 0
    assert "There is no CMake target 'tflite-micro'" in done.stderr


def test_esp_idf_gets_a_component(library: Path, tmp_path: Path) -> None:
    # ESP-IDF is not installed: its function is replaced by one that prints its arguments.
    done = _configure(
        tmp_path,
        f"""
set(ESP_PLATFORM 1)
function(idf_component_register)
  message(STATUS "registered: ${{ARGV}}")
endfunction()
add_subdirectory({library} library)
""",
    )
    assert done.returncode == 0, done.stderr
    registered = re.search(r"registered: SRCS;(.*);INCLUDE_DIRS;src\n", done.stdout)
    assert registered
    sources = [f"src/{each.name}" for each in _sources(library)]
    assert sorted(registered[1].split(";")) == sources
    assert 'espressif/esp-tflite-micro: "' in (library / "idf_component.yml").read_text()


def test_arduino_gets_a_library_with_a_sketch(library: Path, tmp_path: Path) -> None:
    lines = (library / "library.properties").read_text().splitlines()
    properties = dict(line.split("=", 1) for line in lines)
    # The fields of the library specification, revision 2.2.
    needed = "name version author maintainer sentence paragraph category url architectures includes"
    assert list(properties) == needed.split()
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,62}", properties["name"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", properties["version"])
    assert (library / "src" / properties["includes"]).exists()
    sketch = library / "examples" / "self_test" / "self_test.ino"
    options = ("-x", "c++", "-fsyntax-only", "-include", "Arduino.h")
    _compile(*options, "-I", STUBS, "-I", library / "src", sketch, cwd=tmp_path)
    # Neither a sketch nor a library can define TF_LITE_STATIC_MEMORY for the library's files.
    for source in _sources(library):
        line = ("g++", "-std=gnu++17", "-fsyntax-only", "-DARDUINO=10819", "-I", STUBS, source)
        assert _run(*line, cwd=tmp_path).returncode == 0


def test_platformio_gets_a_manifest(library: Path) -> None:
    facts = json.loads((library / "library.json").read_text())
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", facts["name"])
    assert len(facts["name"]) <= 50
    assert (library / "src" / facts["headers"]).exists()
    assert "-std=gnu++17" in facts["build"]["flags"]


def test_what_could_not_be_tried_is_marked(library: Path) -> None:
    text = (library / "README.md").read_text()
    assert (
        "ESP-IDF, Arduino and PlatformIO follow their documentation "
        "and have not been tested" in text
    )
    assert "@" not in text


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        ("compact-10k", "model_compact_10k"),
        ("new", "model_new"),
        ("data", "model_data_network"),  # model_data.h has the LiteRT file
        ("3__C++ Größe.", "model_3_c_gr_e"),
        ("日本", "model"),
        ("x" * 80, "model_" + "x" * 42),
    ],
)
def test_every_name_becomes_an_identifier(name: str, identifier: str) -> None:
    assert microcontroller.identifier(name) == identifier


@pytest.mark.parametrize("name", zoo.list_models())
def test_no_network_of_the_zoo_is_refused(name: str) -> None:
    microcontroller.check_layers(inference_model(zoo.create_model(name)))


def test_an_operation_that_tflm_lacks_is_refused() -> None:
    graph = Graph((), (Operator("CONV_2D", (), ()), Operator("NON_MAX", (), ())), (), ())
    with pytest.raises(InputError, match="does not support NON_MAX; it supports ADD, "):
        microcontroller.check(graph)


def test_an_operation_without_a_reference_kernel_is_refused_before_it_runs(tmp_path: Path) -> None:
    image = keras.Input((4, 5, 2), name="image")
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="elu")(image))
    saved_model.save_fixed(keras.Model(image, layers.Dense(3)(x)), tmp_path)
    content = tflite.convert(tmp_path, "int8", _images())
    with pytest.raises(InputError, match="does not support ELU; it supports ADD, "):
        microcontroller.golden_images(content, Split("test", _images(), np.zeros(8, int)), 1)


def test_a_dense_layer_may_read_feature_maps(tmp_path: Path) -> None:
    image = keras.Input((4, 5, 2), name="image")
    x = layers.Dense(6)(layers.Conv2D(4, 3)(image))
    saved_model.save_fixed(keras.Model(image, layers.Dense(3)(layers.Flatten()(x))), tmp_path)
    content = tflite.convert(tmp_path, "int8", _images())
    split = Split("test", np.repeat(_images(), 20, axis=0), np.zeros(160, np.int64))
    golden = microcontroller.golden_images(content, split, 4)
    computed = _tflm(content, golden, 1_000_000)
    np.testing.assert_array_equal(computed, microcontroller.expected_bytes(content, golden))


def test_reference_kernels_that_differ_are_refused(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected_bytes = microcontroller.expected_bytes

    def shifted(content: bytes, images: np.ndarray) -> np.ndarray:
        return np.clip(expected_bytes(content, images), -100, 100) + np.int8(20)

    monkeypatch.setattr(microcontroller, "expected_bytes", shifted)
    with pytest.raises(InputError, match=r"reference kernels, .* differ by \d+ steps"):
        _write(content, tmp_path / "microcontroller")
