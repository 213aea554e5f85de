"""Test that a new format needs only one entry in FORMATS."""

from __future__ import annotations

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
    conversion.add_arguments(parser, ["toy"])
    arguments = parser.parse_args(argv)
    backend.start_tensorflow()
    content = tflite.convert(arguments.scratch / conversion.FIXED, "float32")
    conversion.convert_each(arguments, lambda kind, file: file.write_bytes(content))
    for _, file in arguments.targets:
        file.with_suffix(".txt").write_text("a companion")


cli.run("toy_converter", main)
"""


def test_a_new_format_is_one_entry(
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
    monkeypatch.setitem(FORMATS, "toy", toy)
    assert "toy: for children" in " ".join(command._parser().format_help().split())

    request = Request(formats=choose("toy"))
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
