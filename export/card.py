"""The model card: the bundle's README, written from facts alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from export.verify import Row

_CARD = """\
# {model}, trained on {data[name]}

A Keras image classifier of {classes} classes, exported and verified: every file below was loaded
by its own runtime in a process of its own and scored on all {test_count:,} test images.

{table}

- Data: {data[name]} {data[version]} ({data[licence]}), {data[homepage]}:
  {data[train_count]:,} training, {data[validation_count]:,} validation
  and {data[test_count]:,} test images.
- Training: recipe `{recipe[name]}`, {steps:,} steps of {recipe[batch_size]} images,
  seed {seed}, {precision}.
- Input: pixels, {height}x{width}x{channels}, 0..255, as they are; the scaling is inside.
- Output: logits in the order of the classes {classes_list}.

## Calling it

    import tensorflow as tf
    network = tf.saved_model.load(".").signatures["serving_default"]
    # uint8 [N, {height}, {width}, {channels}] in; logits, probabilities and class_id out
    network(image=images)

    from ai_edge_litert.interpreter import Interpreter
    network = Interpreter(model_path="{int8_file}").get_signature_runner()
    # one uint8 image in; its int8 logits stand for scale * (value - zero point)
    network(image=images[:1])

`manifest.json` holds the SHA-256 of every file, each tensor's type, scale and zero point, and ten
test images with their logits.
"""


def model_card(result: dict[str, Any], rows: Sequence[Row], table: str) -> str:
    """Return the card in Markdown.

    Args:
        result: the facts of the run.
        rows: the proof of each file.
        table: the same as a Markdown table.
    """
    height, width, channels = result["data"]["image_shape"]
    return _CARD.format(
        **{key: result[key] for key in ("model", "data", "recipe", "seed", "precision", "steps")},
        test_count=result["test_count"],
        classes=len(result["data"]["class_names"]),
        classes_list=", ".join(result["data"]["class_names"]),
        height=height,
        width=width,
        channels=channels,
        table=table,
        int8_file=next(row.file for row in rows if row.kind == "int8"),
    )
