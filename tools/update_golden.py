"""Rewrite ``tests/golden_shapes.json``, every network's layers and their output shapes.

    python -m tools.update_golden

Review the diff before you commit it: the tests compare the networks with this file.
"""

from __future__ import annotations

import json
from pathlib import Path

import zoo
from zoo.util import backend

TARGET = Path(__file__).parent.parent / "tests" / "golden_shapes.json"


def main() -> None:
    """Build every network and write its shapes, without the batch axis, one network per line."""
    backend.start_tensorflow()
    rows = []
    for name in zoo.list_models():
        shapes = {layer.name: layer.output.shape[1:] for layer in zoo.create_model(name).layers}
        rows.append(f"  {json.dumps(name)}: {json.dumps(shapes)}")
    TARGET.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
