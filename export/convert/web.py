"""Write the web page: one HTML file with the network, LiteRT.js and a page that explains it.

    python -m export.convert.web SCRATCH web=FILE --failures FILE.json

The folder ``page`` has the page's own code, and a template with ``@name@`` for each value. Modules
are in an import map as ``data:`` URLs, because a page that is opened from a file may not load
others. A network is a LiteRT file whose outputs are the logits and the values of every layer that
the page draws. The page may have several, which answer side by side.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
import string
import tempfile
import urllib.parse
from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import Any

from etils import epy

from export.convert import conversion, litert_js, saved_model, tflite
from export.litert.operations import operations
from zoo import cli, draw
from zoo.util import backend

with epy.lazy_imports():
    import keras
    from keras import layers

PAGE = Path(__file__).parent / "page"
FORMAT = "web"

# What may stand in the data: URL of a module, in a JSON string, in an element of HTML. It keeps the
# page smaller than base64 would, and its code readable.
_UNQUOTED = "".join(set(string.punctuation + " ") - set('%#"\\<'))


def convert(models: Sequence[keras.Model], facts: dict[str, Any]) -> str:
    """Return the page of some networks.

    Args:
        models: inference models, raw pixels to logits, each as in ``facts["networks"]``; the first
            is the exported one.
        facts: the content of ``conversion.FACTS``.

    Raises:
        ConverterError: the LiteRT converter does not support an operation of a network.
        InputError: LiteRT.js cannot be installed.
    """
    networks = [
        _network(model, of_model) for model, of_model in zip(models, facts["networks"], strict=True)
    ]
    scripts = litert_js.installed(offline=facts["offline"])
    gallery, pictures = facts["gallery"], b""
    if gallery:
        pictures = base64.b64decode(gallery["images_base64"])
        gallery = {name: value for name, value in gallery.items() if name != "images_base64"}
    return _assembled(
        {
            "labels": facts["labels"],
            "preprocessing": facts["preprocessing"],
            "networks": [shown for shown, _ in networks],
            "gallery": gallery,
        },
        parts={f"model{at}": _compressed(content) for at, (_, content) in enumerate(networks)}
        | {
            "pictures": _compressed(pictures),
            "loader": _compressed((scripts / litert_js.LOADER).read_bytes()),
            "runtime": (scripts / litert_js.RUNTIME).read_bytes(),
        },
        modules={
            **{name: (scripts / file).read_bytes() for name, file in litert_js.MODULES.items()},
            **{f"#{file.stem}": file.read_bytes() for file in sorted(PAGE.glob("*.js"))},
        },
    )


def _network(model: keras.Model, facts: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Return the facts of a network with its volumes, and its LiteRT file."""
    tensors = drawn_tensors(model)
    outputs = {"logits": model.output} | {
        f"volume{at}": tensor
        for at, tensor in enumerate(tensors.values())
        if tensor is not model.output
    }
    names = {id(tensor): name for name, tensor in outputs.items()}
    content = _litert_file(keras.Model(model.input, outputs), facts["format"])
    computed = operations(content)
    volumes = [
        {
            "name": block.name,
            "kind": block.kind,
            "lines": block.lines,
            "shape": block.shape,
            "output": (name := names[id(tensors[block.name])]),
            "operation": computed.get(name),
        }
        for block in draw.volumes(model)
        if block.name in tensors
    ]
    return facts | {"parameters": model.count_params(), "volumes": volumes}, content


def drawn_tensors(model: keras.Model) -> dict[str, Any]:
    """Return the tensor of each volume that ``zoo.draw`` draws, by the name of its layer.

    Its values are those after normalization and activation. The image is left out, whose values are
    at hand, and so is a flattened volume, which has the values of the one before it.
    """
    drawn = {each.name for each in draw.volumes(model)}
    repeated = (layers.InputLayer, layers.Flatten)
    return {
        layer.name: _activated(model, layer.output, drawn)
        for layer in model.layers
        if layer.name in drawn and not isinstance(layer, repeated)
    }


def _activated(model: keras.Model, tensor: Any, drawn: Container[str]) -> Any:
    """Return the last tensor of the same shape before the next volume."""
    while True:
        readers = [
            layer
            for layer in model.layers
            if any(read is tensor for read in keras.tree.flatten(layer.input))
        ]
        if len(readers) != 1 or readers[0].name in drawn or readers[0].output.shape != tensor.shape:
            return tensor
        if len(keras.tree.flatten(readers[0].input)) > 1:
            return tensor
        tensor = readers[0].output


def _litert_file(model: keras.Model, kind: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        saved_model.save_fixed(model, Path(folder))
        return tflite.convert(Path(folder), kind)


def _compressed(part: bytes) -> bytes:
    # Without the time of the compression, the same network gives the same page.
    return gzip.compress(part, mtime=0)


def _assembled(facts: dict[str, Any], *, parts: dict[str, bytes], modules: dict[str, bytes]) -> str:
    """Return the page with its style, modules, facts and compressed parts."""
    imports = {
        "imports": {
            name: f"data:text/javascript,{urllib.parse.quote(code, safe=_UNQUOTED)}"
            for name, code in modules.items()
        }
    }
    style = (PAGE / "style.css").read_text(encoding="utf-8")
    scripts = {"imports": json.dumps(imports), "start": 'import "#main";'}
    values = {
        "name": html.escape(", ".join(each["name"] for each in facts["networks"])),
        "policy": _policy(style, scripts.values()),
        "style": style,
        # As HTML, a class name could end the element that contains it.
        "facts": json.dumps(facts).replace("<", "\\u003c"),
        "parts": "\n    ".join(_element(name, part) for name, part in parts.items()),
        **scripts,
    }
    template = (PAGE / "index.html").read_text(encoding="utf-8")
    return re.sub(r"@(\w+)@", lambda found: values[found[1]], template)


def _element(name: str, part: bytes) -> str:
    """Return an element with a part of the page."""
    return f'<script type="text/plain" id="{name}">{base64.b64encode(part).decode()}</script>'


def _policy(style: str, scripts: Iterable[str]) -> str:
    """Return the Content Security Policy: nothing but what the file contains, no connection."""

    def allowed(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return "; ".join(
        (
            "default-src 'none'",
            # Modules are data: URLs, the loader of LiteRT.js is a blob: URL.
            f"script-src {' '.join(map(allowed, scripts))} data: blob: 'wasm-unsafe-eval'",
            f"style-src {allowed(style)}",
            "img-src data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def main(argv: Sequence[str]) -> None:
    """Convert Keras files to one web page."""
    parser = cli.Parser("export.convert.web", "Convert Keras files to one web page.", imports=True)
    conversion.add_arguments(parser, [FORMAT])
    arguments = parser.parse_args(argv)
    backend.start_tensorflow()
    facts = json.loads((arguments.scratch / conversion.FACTS).read_text(encoding="utf-8"))
    models = [
        keras.saving.load_model(arguments.scratch / conversion.keras_file(at))
        for at in range(len(facts["networks"]))
    ]
    conversion.convert_each(
        arguments, lambda _, file: file.write_text(convert(models, facts), encoding="utf-8")
    )


if __name__ == "__main__":
    cli.run("export.convert.web", main)
