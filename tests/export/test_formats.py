"""Test that a new format needs only one entry in FORMATS, and that one that fails is left out."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from export import __main__ as command
from export.formats import FORMATS, Format, choose
from export.network.sources import from_run
from export.pipeline import Request, export_bundle
from zoo import bundles
from zoo.data import Dataset
from zoo.runs import Run

CONVERTER = """
import sys
from pathlib import Path

from export.convert import conversion, tflite
from zoo import cli
from zoo.util import backend


def main(argv):
    parser = cli.Parser("toy_converter", "Convert to the toy format.", imports=True)
    conversion.add_arguments(parser, ["toy", "broken"])
    arguments = parser.parse_args(argv)
    backend.start_tensorflow()
    content = tflite.convert(arguments.scratch / conversion.FIXED, "float32")

    def convert(kind, file):
        file.write_bytes(content)
        file.with_suffix(".txt").write_text("a companion")
        if kind == "broken":
            raise ValueError("it failed")

    conversion.convert_each(arguments, convert)


cli.run("toy_converter", main)
"""


def test_a_new_format_is_one_entry_and_may_fail(
    workplace: Path, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "toy_converter.py").write_text(CONVERTER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    toy = Format(
        name="toy",
        file="tflite/{model}-toy.tflite",
        companions=("tflite/{model}-toy.txt",),
        description="for children",
        usage="Throw `{file}` at the wall.\n",
        converter="toy_converter",
        default=False,
    )
    broken = dataclasses.replace(
        toy,
        name="broken",
        file="tflite/{model}-broken.tflite",
        companions=("tflite/{model}-broken.txt",),
    )
    monkeypatch.setitem(FORMATS, "toy", toy)
    monkeypatch.setitem(FORMATS, "broken", broken)
    assert "toy: for children" in " ".join(command._parser().format_help().split())

    request = Request(formats=choose("toy,broken"))
    run = Run(workplace / "runs" / "ltfn5")
    version, table = export_bundle(from_run(run), digits, request, tmp_path / "out", print)
    file = version / "tflite" / "ltfn5-toy.tflite"
    assert "| tflite/ltfn5-toy.tflite | " in table
    manifest = json.loads((version / "manifest.json").read_text())
    (entry,) = (each for each in manifest["artifacts"] if each["format"] == "toy")
    assert entry["bytes"] == file.stat().st_size + len("a companion")
    assert "tflite/ltfn5-toy.txt" in manifest["files"]
    assert "Throw `tflite/ltfn5-toy.tflite` at the wall." in (version / "README.md").read_text()
    answers = bundles.load(version, runtime="toy")(digits.test.images[:50]).argmax(axis=1)
    assert (answers == digits.test.labels[:50]).mean() > 0.8

    # A format that fails leaves no file.
    assert manifest["left_out"] == {"broken": "it failed"}
    assert not [name for name in manifest["files"] if "broken" in name]
    assert not [*version.glob("**/*broken*")]
