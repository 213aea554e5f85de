"""``python -m zoo.draw MODEL -o FILE``: draw a network's volumes, in the style of the post.

All blocks share one scale for height and width and another for depth: with a single scale, 512
filters of 2x2 pixels would look like a needle. Each block shows the kernel of the next layer and,
dashed, its position one stride further. A vector is drawn as an upright bar, longer for more values
but not to scale. A network with branches is drawn in the order of its layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etils import epy

from zoo import cli
from zoo.errors import InputError
from zoo.models import registry
from zoo.util import atomic, backend

with epy.lazy_imports():
    import keras
    from keras import layers
    from matplotlib import figure, patches

_ENDINGS = (".svg", ".png")

# All lengths in points, 1/72 inch.
_TALLEST, _DEEPEST, _FONT, _LINE, _GAP, _MARGIN = 150.0, 110.0, 8.0, 11.0, 26.0, 18.0
_SLANT = (0.42, 0.26)  # offset to the right and up for each unit of width
_BAR = 7.0  # thickness of the bar of a vector
_LEAST_DEPTH = 32  # lower limit of the depth that sets the scale, so that thin blocks stay thin

_PLAIN: dict[str, Any] = {"parse_math": False}  # names may contain dollar signs
_COLOURS = {"image": "#d9d9d9", "conv": "#9ecae1", "pool": "#fdae6b", "dense": "#a1d99b"}


@dataclass(frozen=True)
class Volume:
    """One block of the drawing.

    Attributes:
        name: name of the layer that computes it.
        kind: ``conv``, ``pool``, ``dense``, or ``image`` for the image and every other layer.
        lines: description of the layer, in short lines.
        shape: ``(height, width, depth)``; a vector is ``(1, 1, values)``.
        window: ``(height, width)`` of the window in which the layer reads the previous block.
        stride: step of that window.
    """

    name: str
    kind: str
    lines: tuple[str, ...]
    shape: tuple[int, int, int]
    window: tuple[int, int] | None = None
    stride: int = 1


def volumes(model: keras.Model) -> list[Volume]:
    """Return the blocks of a network: its image, and each layer that computes a new volume.

    A layer with several outputs has no block, nor has an output of more than three dimensions
    or of unknown size.
    """
    found = (_volume(layer) for layer in model.operations)
    return [volume for volume in found if volume is not None]


def _volume(layer: keras.Operation) -> Volume | None:
    outputs = keras.tree.flatten(layer.output)
    shape = tuple(outputs[0].shape[1:])
    if len(outputs) > 1 or len(shape) > 3 or None in shape:
        return None
    volume = (1,) * (3 - len(shape)) + shape
    if isinstance(layer, layers.InputLayer):
        return Volume(layer.name, "image", ("pixels",), volume)
    if isinstance(layer, layers.ZeroPadding2D):
        return Volume(layer.name, "image", ("zero padding",), volume)
    if isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)):
        kind = "conv"
        if isinstance(layer, layers.DepthwiseConv2D):
            kind = "depthwise"
        elif isinstance(layer, layers.SeparableConv2D):
            kind = "separable"
        window, stride = layer.kernel_size, layer.strides[0]
        lines = (f"{window[0]}x{window[1]} {kind}", f"{layer.padding}, stride {stride}")
        return Volume(layer.name, "conv", lines, volume, window, stride)
    if isinstance(layer, (layers.MaxPooling2D, layers.AveragePooling2D)):
        kind = "max" if isinstance(layer, layers.MaxPooling2D) else "average"
        window, stride = layer.pool_size, layer.strides[0]
        lines = (f"{window[0]}x{window[1]} {kind} pool", f"{layer.padding}, stride {stride}")
        return Volume(layer.name, "pool", lines, volume, window, stride)
    if isinstance(layer, (layers.GlobalMaxPooling2D, layers.GlobalAveragePooling2D)):
        kind = "max" if isinstance(layer, layers.GlobalMaxPooling2D) else "average"
        return Volume(layer.name, "pool", (f"global {kind}",), volume, layer.input.shape[1:3])
    if isinstance(layer, layers.Dense):
        return Volume(layer.name, "dense", ("dense",), volume)
    if isinstance(layer, layers.Flatten):
        return Volume(layer.name, "dense", ("flattened",), volume)
    if any(each.shape == outputs[0].shape for each in keras.tree.flatten(layer.input)):
        return None
    return Volume(layer.name, "image", (type(layer).__name__,), volume)


def _has_branches(model: keras.Model) -> bool:
    """Return whether an operation reads several results, or several read the same result."""
    read = [keras.tree.flatten(each.input) for each in model.operations]
    results = [id(result) for results in read for result in results]
    return any(len(results) > 1 for results in read) or len(set(results)) < len(results)


def draw_network(model: keras.Model) -> figure.Figure:
    """Return a drawing of a network's volumes as a matplotlib figure.

    Args:
        model: functional model; if it has branches, a note says that they are not shown.
    """
    blocks = volumes(model)
    scale = _TALLEST / max(max(block.shape[:2]) for block in blocks)
    depths = [block.shape[2] for block in blocks if block.shape[:2] != (1, 1)]
    depth = _DEEPEST / max([_LEAST_DEPTH, *depths])
    boxes = [_Box(block, scale, depth) for block in blocks]

    at = _MARGIN
    for box in boxes:
        column = max(box.width, box.text_width)
        box.x = at + (column - box.width) / 2
        box.middle = at + column / 2
        at += column + _GAP
    text = max(len(box.text) for box in boxes) * _LINE
    base = _MARGIN + text
    branched = _has_branches(model)
    height = base + max(box.height for box in boxes) + (4 if branched else 3) * _LINE
    width = at - _GAP + _MARGIN

    canvas = figure.Figure(figsize=(width / 72, height / 72), dpi=144)
    axes = canvas.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height), frame_on=False)
    axes.set_axis_off()
    title = f"{model.name}: {model.count_params():,} parameters"
    place = (_MARGIN, height - 1.5 * _LINE)
    axes.text(*place, title, fontsize=_FONT + 3, weight="bold", **_PLAIN)
    if branched:
        note = "in the order of the layers; branches are not shown"
        axes.text(_MARGIN, height - 2.7 * _LINE, note, fontsize=_FONT, **_PLAIN)
    for box, following in zip(boxes, [*boxes[1:], None], strict=True):
        box.draw(axes, base, following)
    return canvas


class _Box:
    """The position of a volume on the canvas, and how to draw it."""

    def __init__(self, volume: Volume, scale: float, depth: float) -> None:
        height, width, values = volume.shape
        self.volume = volume
        self.scale = scale
        self.x = self.middle = 0.0
        self.flat = (height, width) == (1, 1)
        # A vector is drawn upright: as a block it would have no visible height.
        self.tall = _TALLEST * min(1.0, 0.25 + values / 1000) if self.flat else height * scale
        self.deep = _BAR if self.flat else max(values * depth, 1.5)
        self.slant = (
            (0.0, 0.0) if self.flat else (_SLANT[0] * width * scale, _SLANT[1] * width * scale)
        )
        self.width, self.height = self.deep + self.slant[0], self.tall + self.slant[1]
        shape = f"{values:,}" if self.flat else f"{height}x{width}x{values}"
        self.text = (volume.name, shape, *volume.lines)
        self.text_width = 0.58 * _FONT * max(map(len, self.text))

    def draw(self, axes: Any, base: float, following: _Box | None) -> None:
        """Draw the block, its text, and the window that the next layer reads."""
        colour = _COLOURS[self.volume.kind]
        x, (right, up) = self.x, self.slant
        far, top = x + self.deep, base + self.tall
        front = [(x, base), (far, base), (far, top), (x, top)]
        side = [(far, base), (far + right, base + up), (far + right, top + up), (far, top)]
        roof = [(x, top), (far, top), (far + right, top + up), (x + right, top + up)]
        for corners, alpha in ((front, 1.0), (side, 0.75), (roof, 0.5)):
            axes.add_patch(_polygon(corners, facecolor=colour, alpha=alpha, edgecolor="#444444"))
        for row, line in enumerate(self.text):
            weight = "bold" if row == 0 else "normal"
            y = base - (row + 1) * _LINE
            axes.text(self.middle, y, line, fontsize=_FONT, ha="center", weight=weight, **_PLAIN)
        if following and following.volume.window and not self.flat:
            self._draw_window(axes, base, following)

    def _draw_window(self, axes: Any, base: float, following: _Box) -> None:
        rows, columns = following.volume.window or (1, 1)
        height, width, _ = self.volume.shape
        row, column = (height - rows) // 2, (width - columns) // 3
        corners = self._window(base, row, column, rows, columns)
        target = (following.x, base + following.tall / 2)
        for corner in corners:
            axes.plot(*zip(corner, target, strict=True), color="#cb181d", linewidth=0.4)
        axes.add_patch(_polygon(corners, facecolor="#fb6a4a", edgecolor="#cb181d"))
        stride = following.volume.stride
        if column + stride + columns <= width:
            moved = self._window(base, row, column + stride, rows, columns)
            axes.add_patch(_polygon(moved, fill=False, edgecolor="#cb181d", linestyle="--"))

    def _window(
        self, base: float, row: int, column: int, rows: int, columns: int
    ) -> list[tuple[float, float]]:
        """Return the corners of a window of pixels on the side face of the block."""

        def corner(pixel_row: int, pixel_column: int) -> tuple[float, float]:
            along = pixel_column * self.scale
            x = self.x + self.deep + _SLANT[0] * along
            return x, base + _SLANT[1] * along + pixel_row * self.scale

        return [
            corner(row, column),
            corner(row, column + columns),
            corner(row + rows, column + columns),
            corner(row + rows, column),
        ]


def _polygon(corners: Sequence[tuple[float, float]], **style: Any) -> Any:
    return patches.Polygon(corners, closed=True, linewidth=0.6, **style)


def main(argv: Sequence[str]) -> None:
    """Draw one network and write the drawing to a file."""
    parser = cli.Parser(
        "zoo.draw",
        "Draw a network's volumes to scale. The image is grey, the output of a convolution blue,\n"
        "of pooling orange, of a flatten or dense layer green. A red square is the kernel or\n"
        "window of the next layer; the dashed one is its next position.",
        example="ltfn5 -o ltfn5.svg",
        imports=True,
    )
    parser.add_argument("model", metavar="MODEL", help=", ".join(registry.list_models()))
    parser.add_argument(
        "-o", "--out", type=Path, metavar="FILE", help=".svg or .png file (default: MODEL.svg)"
    )
    arguments = parser.parse_args(argv)
    registry.get_spec(arguments.model)
    out = arguments.out or Path(f"{arguments.model}.svg")
    if out.suffix not in _ENDINGS:
        raise InputError(f"--out takes a file ending in {' or '.join(_ENDINGS)}, received {out}")
    if not out.parent.is_dir():
        raise InputError(f"--out takes a file in an existing folder, received {out}")
    backend.start_tensorflow()
    picture = draw_network(registry.create_model(arguments.model))
    with atomic.staged(out) as stage:
        picture.savefig(stage, format=out.suffix[1:])
    print(f"drawing of {arguments.model} saved in {out}")


if __name__ == "__main__":
    cli.run("zoo.draw", main)
