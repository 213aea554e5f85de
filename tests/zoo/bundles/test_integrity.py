"""Test that damaged bundles are rejected, and that the outputs of intact ones are verified."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import export
from tests.conftest import ROOT, Command
from zoo.bundles import integrity
from zoo.errors import DamagedError, InputError, VerificationError

# One file of each kind in a bundle.
KINDS = [
    "README.md",
    "assets.extra/tf_serving_warmup_requests",
    "assets/labels.txt",
    "fingerprint.pb",
    "manifest.json",
    "manifest.json.sha256",
    "microcontroller/src/model_data.cpp",
    "onnx/compact-10k.onnx",
    "openvino/compact-10k.bin",
    "openvino/compact-10k.xml",
    "saved_model.pb",
    "tflite/compact-10k-dynamic.tflite",
    "tflite/compact-10k-float16.tflite",
    "tflite/compact-10k-float32.tflite",
    "tflite/compact-10k-int16x8.tflite",
    "tflite/compact-10k-int8.tflite",
    "variables/variables.data-00000-of-00001",
    "variables/variables.index",
    "web/compact-10k.html",
]
ROUNDS = 10


@pytest.fixture(scope="module")
def copy(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(bundle, tmp_path_factory.mktemp("copy") / "1")


def _reseal(folder: Path, change: Any) -> None:
    """Change the manifest and update all hashes, so that only the files' outputs can be wrong."""
    manifest = json.loads((folder / integrity.MANIFEST).read_text())
    (folder / integrity.MANIFEST).unlink()
    (folder / integrity.CHECKSUM).unlink()
    change(manifest)
    integrity.seal(folder, manifest)


@pytest.mark.parametrize("kind", KINDS)
def test_every_damage_is_refused_by_name(kind: str, copy: Path) -> None:
    file = copy / kind
    content = file.read_bytes()
    random = np.random.default_rng(len(content))
    cuts = random.integers(0, len(content), ROUNDS)
    bits = random.integers(0, 8 * len(content), ROUNDS)
    try:
        for cut, bit in zip(cuts, bits, strict=True):
            flipped = bytearray(content)
            flipped[bit // 8] ^= 1 << (bit % 8)
            for damaged in (content[:cut], bytes(flipped)):
                file.write_bytes(damaged)
                # Damage to the checksum of the manifest is reported for the manifest.
                with pytest.raises(DamagedError, match=kind.removesuffix(".sha256")):
                    export.load(copy, runtime="int8")
    finally:
        file.write_bytes(content)
    export.load(copy, runtime="int8")  # the restored bundle is accepted


def test_a_missing_or_strange_file_is_refused(copy: Path) -> None:
    strange = copy / "variables" / "variables.data-00001-of-00002"
    strange.write_bytes(b"more")
    with pytest.raises(DamagedError, match=r"00001-of-00002 is not part of the bundle"):
        export.load(copy)
    strange.unlink()
    for name in ("saved_model.pb", "manifest.json", "manifest.json.sha256"):
        moved = copy.parent / "moved"
        (copy / name).rename(moved)
        with pytest.raises(DamagedError, match=name):
            export.load(copy)
        moved.rename(copy / name)
    newest = rf"is not a bundle; give a version, such as {copy} \(the newest\)"
    with pytest.raises(DamagedError, match=newest):
        export.load(copy.parent)
    with pytest.raises(DamagedError, match="is not a complete bundle"):
        export.load(copy.parent / "nothing")


def test_a_runtime_that_the_bundle_lacks_is_refused(bundle: Path) -> None:
    with pytest.raises(InputError, match="unknown runtime 'int9'; did you mean 'int8'"):
        export.load(bundle, runtime="int9")


def test_what_answers_by_default_needs_no_tensorflow_where_it_can() -> None:
    def default(*formats: str) -> str:
        artifacts = [{"format": name} for name in formats]
        return integrity.Bundle(Path(), {"artifacts": artifacts}).default_runtime

    assert default("saved_model", "float32", "int8") == "float32"
    assert default("saved_model", "int8") == "int8"
    assert default("saved_model", "toy") == "saved_model"


def test_another_schema_is_refused(copy: Path) -> None:
    file, checksum = copy / integrity.MANIFEST, copy / integrity.CHECKSUM
    before = file.read_bytes(), checksum.read_bytes()
    manifest = json.loads(before[0]) | {"schema": 1}
    file.write_text(json.dumps(manifest))
    checksum.write_text(f"{integrity.atomic.sha256(file)}  manifest.json\n")
    with pytest.raises(DamagedError, match="schema 1, this version reads schema 4"):
        export.load(copy)
    file.write_bytes(before[0])
    checksum.write_bytes(before[1])


def test_every_key_is_documented(manifest: dict[str, Any]) -> None:
    text = (ROOT / "docs" / "bundle.md").read_text(encoding="utf-8")
    keys = set(manifest).union(*manifest["artifacts"])
    keys |= manifest["golden"].keys() | manifest["calibration"].keys()
    keys |= manifest["microcontroller"].keys() | manifest["data"].keys()
    assert not {key for key in keys if f"`{key}`" not in text}


def test_the_checksum_is_sha256sum_s(bundle: Path) -> None:
    # macOS has shasum in place of sha256sum.
    command = ["sha256sum"] if shutil.which("sha256sum") else ["shasum", "-a", "256"]
    line = [*command, "-c", "manifest.json.sha256"]
    done = subprocess.run(line, cwd=bundle, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "manifest.json: OK\n")


def test_verify_replays_every_file(
    bundle: Path, manifest: dict[str, Any], command: Command
) -> None:
    done = command("export.verify", bundle)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == f"{len(manifest['files'])} files are unchanged since publication"
    replayed = [line.split(":")[0] for line in lines if "replayed, largest logit diff" in line]
    _, *others = (f"{row['name']} in compact-10k.html" for row in manifest["page_networks"])
    assert replayed == [artifact["file"] for artifact in manifest["artifacts"]] + others
    assert lines[-1].startswith(
        "microcontroller/src/model_data.cpp: identical to tflite/compact-10k-int8.tflite"
    )


def test_verify_needs_no_tensorflow(bundle: Path) -> None:
    program = """
import sys

class Without:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"tensorflow", "keras", "tensorflow_datasets"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Without())
import export.verify as command
command.main(sys.argv[1:])
assert "tensorflow" not in sys.modules
"""
    line = [sys.executable, "-c", program, str(bundle)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "saved_model.pb: not replayed, tensorflow is not installed" in done.stdout
    assert done.stdout.count("replayed, largest logit difference") == 10


def test_a_damaged_bundle_fails_with_its_code(copy: Path, command: Command) -> None:
    file = copy / "tflite" / "compact-10k-int8.tflite"
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    done = command("export.verify", copy)
    file.write_bytes(content)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "compact-10k-int8.tflite was altered" in done.stderr


@pytest.mark.parametrize(
    ("runtime", "steps"), [("int8", 5), ("int16x8", 5), ("float32", 2), ("dynamic", 2)]
)
def test_a_file_that_computes_something_else_now_is_refused(
    bundle: Path, tmp_path: Path, runtime: str, steps: int
) -> None:
    folder = shutil.copytree(bundle, tmp_path / "1")

    def change(manifest: dict[str, Any]) -> None:
        (artifact,) = [each for each in manifest["artifacts"] if each["format"] == runtime]
        scale = artifact["outputs"]["logits"].get("scale")
        share = 1e-2 if runtime == "dynamic" else 1e-4
        artifact["golden_logits"][0][0] += steps * (scale or share * artifact["logit_range"])

    _reseal(folder, change)
    with pytest.raises(VerificationError, match=f"{runtime}.tflite differs by"):
        export.verify_bundle(folder)


def test_an_array_that_is_not_the_int8_file_is_refused(bundle: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(bundle, tmp_path / "1")
    source = folder / "microcontroller" / "src" / "model_data.cpp"
    source.write_text(source.read_text().replace("0x54", "0x55", 1))
    _reseal(folder, lambda manifest: None)
    with pytest.raises(
        VerificationError, match=r"model_data\.cpp does not contain tflite/compact-10k-int8"
    ):
        export.verify_bundle(folder)
