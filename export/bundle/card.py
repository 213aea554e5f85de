"""Write the model card, the README of a bundle, from the facts in its manifest."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from export.bundle.front_matter import front_matter
from export.formats import FORMATS
from zoo.data.preprocessing import Preprocessing

_CARD = """\
{front_matter}
# {name}, {relation} {data[name]}

An image classifier with {classes} classes, exported from Keras. Each file below was loaded by its
own runtime in a separate process and evaluated on all {test_count:,} test images.

{table}

- Changed predictions: images for which the file predicts another class than Keras.
- Activations: peak memory of the intermediate results, including float16 weights after unpacking.
- Time per image: measured on one thread of {machine[processor]}.

{bounds}
{cautions}
## Data and training

- Data: {data_words}. {data[train_count]:,} training, {data[validation_count]:,} validation and
  {data[test_count]:,} test images.
- {story}.
{calibration}{finetuned}
## Inputs and outputs

{tensors}

Images are {height}x{width}x{channels} with pixel values from 0 to 255; the network scales them
itself. The logits are in the order of the classes: {classes_list}. A quantized value represents
scale * (value - zero point).

## How a picture becomes an image

{pictures}
## Usage

{calls}

## Limitations

The network always predicts one of its {classes} classes, even for unrelated images. The accuracy
above applies to images like those of the test split. The network was not tested for fairness, for
robustness to adversarial inputs, or on other kinds of images.

`python -m export.verify .` checks the SHA-256 hash of every file and replays {golden_count} test
images. The hashes and the images are in `manifest.json`.
"""

_PICTURES = """\
These steps convert a picture file to an image. Another conversion can cause wrong predictions, but
no error.

{steps}

`python -m zoo.predict . picture.jpg --show seen.png` performs these steps, and draws the image that
the network receives. The signature `serve_bytes` of the SavedModel {served}.
{code}"""

_STEPS_OF_FITS = {
    "pad": "Resize the picture to fit {height}x{width} without changing its proportions, center "
    "it, and fill the margins with the median color of its edges.",
    "crop": "Crop the middle of the picture to the proportions of {height}x{width}, and resize it "
    "to this size.",
    "stretch": "Resize the whole picture to {height}x{width}, whatever its proportions.",
}

# With this code, every pixel equals that of ``zoo.data.preprocessing.prepare``.
_CODE = """
This code gives the same pixels for PNG and JPEG files of 8 bits per channel, unless their
orientation is only in XMP, which the steps ignore:

    import numpy as np
    from PIL import Image, ImageOps
{edge_color}
    picture = ImageOps.exif_transpose(Image.open("picture.jpg")).convert("RGBA")
    opaque = Image.new("RGB", picture.size, "{background}")
    opaque.paste(picture, mask=picture)
    picture = opaque.convert("{mode}")
{inverted}{fitted}"""

_CODE_EDGE_COLOR = """
    def edge_color(picture):
        pixels = np.atleast_3d(picture)
        edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        return np.quantile(edges, 0.5, axis=0, method="lower")
"""

_CODE_INVERTED = """\
    if edge_color(picture) {inverted_if}:
        picture = ImageOps.invert(picture)
"""

_CODE_OF_FITS = {
    "pad": """\
    width = min({width}, max(1, int(picture.width * {height} / picture.height + 0.5)))
    height = min({height}, max(1, int(picture.height * {width} / picture.width + 0.5)))
    bands = [band.convert("F").resize((width, height), Image.BILINEAR)
             for band in picture.split()]
    left, top = ({width} - width) // 2, ({height} - height) // 2
    image = np.full(({height}, {width}, {channels}), edge_color(picture))
    image[top : top + height, left : left + width] = np.rint(np.stack(bands, axis=-1))
""",
    "crop": """\
    width = min(picture.width, max(1, int(picture.height * {width} / {height} + 0.5)))
    height = min(picture.height, max(1, int(picture.width * {height} / {width} + 0.5)))
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    picture = picture.crop((left, top, left + width, top + height))
    bands = [band.convert("F").resize(({width}, {height}), Image.BILINEAR)
             for band in picture.split()]
    image = np.rint(np.stack(bands, axis=-1)).astype(np.uint8)
""",
    "stretch": """\
    bands = [band.convert("F").resize(({width}, {height}), Image.BILINEAR)
             for band in picture.split()]
    image = np.rint(np.stack(bands, axis=-1)).astype(np.uint8)
""",
}

_MODES = {1: "L", 3: "RGB"}
_INVERTED_IF = {"light-on-dark": "> 127", "dark-on-light": "<= 127"}


def model_card(manifest: dict[str, Any], relation: str, story: str, table: str) -> str:
    """Return the card in Markdown, with its front matter.

    Args:
        manifest: the bundle's manifest.
        relation: relation of the network to its dataset: ``trained on`` or ``verified on``.
        story: origin of the network, in one sentence without its full stop.
        table: the verification table in Markdown.
    """
    data = manifest["data"]
    height, width, channels = data["image_shape"]
    return _CARD.format(
        front_matter=front_matter(manifest),
        name=manifest["model"],
        relation=relation,
        data=data,
        data_words=_data(data),
        cautions="".join(f"\n**Caution:** {each}\n" for each in manifest["cautions"]),
        machine=manifest["machine"],
        classes=len(manifest["labels"]),
        classes_list=", ".join(manifest["labels"]),
        test_count=data["test_count"],
        calibration=_calibration(manifest["calibration"]),
        golden_count=len(manifest["golden"]["labels"]),
        finetuned=_finetuned(manifest["finetuned"]),
        story=story,
        table=table,
        bounds=_bounds(manifest),
        tensors="\n".join(_tensors(manifest)),
        pictures=_pictures(Preprocessing(**data["preprocessing"])),
        calls="\n".join(_calls(manifest)),
        height=height,
        width=width,
        channels=channels,
    )


def _data(data: dict[str, Any]) -> str:
    """Return the name, version and source of a dataset."""
    words = f"{data['name']} {data['version']}"
    if data["homepage"]:
        return f"{words} ({data['licence']}), {data['homepage']}"
    return f"{words}, a folder of pictures"


def _bounds(manifest: dict[str, Any]) -> str:
    changes = [
        f"{each['format']} {each['allowed_losses']} and {each['allowed_flips']}"
        for each in manifest["artifacts"]
        if each["allowed_flips"]
    ]
    low, high = manifest["reference"]["interval"]
    text = (
        f"The 95 % confidence interval of the accuracy of Keras is {100 * low:.2f} to "
        f"{100 * high:.2f} %. Accepted, as images lost and images with another class compared with "
        "Keras: "
        + (f"{', '.join(changes)}; every other file 0 and 0." if changes else "every file 0 and 0.")
    )
    if manifest["loosened"]:
        names = ", ".join(manifest["loosened"])
        text += f" Bounds loosened beyond the default with --allow-drop: {names}."
    for name, reason in manifest["left_out"].items():
        text += f" The format {name} is left out: {reason}."
    return text


def _calibration(facts: dict[str, Any] | None) -> str:
    if facts is None:
        return ""
    return (
        f"- Calibration of the integer formats: {len(facts['indices'])} images of the training "
        "split, the\n  first images of each class, as many of each class where there are enough.\n"
    )


def _finetuned(facts: dict[str, int] | None) -> str:
    if facts is None:
        return ""
    return (
        f"- The int8 file was fine-tuned with simulated quantization for {facts['steps']} steps. "
        f"Compared\n  with Keras, it lost {facts['validation_losses_before']} validation images "
        f"before and {facts['validation_losses_after']} after.\n"
    )


def _tensors(manifest: dict[str, Any]) -> list[str]:
    lines = ["| file | input | outputs |", "|---|---|---|"]
    for each in manifest["artifacts"]:
        inputs, outputs = (
            ", ".join(_tensor(name, facts) for name, facts in each[side].items())
            for side in ("inputs", "outputs")
        )
        lines.append(f"| {each['file']} | {inputs} | {outputs} |")
    return lines


def _tensor(name: str, facts: dict[str, Any]) -> str:
    shape = "x".join("N" if size is None else str(size) for size in facts["shape"])
    text = f"{name} {facts['dtype']} [{shape}]"
    if "scale" in facts:
        text += f", scale {facts['scale']:.6g}, zero point {facts['zero_point']}"
    return text


def _pictures(wanted: Preprocessing) -> str:
    """Return how a picture file becomes an image, with code if a few lines do exactly this."""
    if wanted.channels not in _MODES:
        return f"Picture files cannot be converted to images of {wanted.channels} channels.\n"
    steps = (
        textwrap.fill(f"{at}. {step}", 100, subsequent_indent="   ", break_on_hyphens=False)
        for at, step in enumerate(_steps(wanted), 1)
    )
    return _PICTURES.format(
        steps="\n".join(steps),
        served=(
            "does not search for ink: it fits\nthe whole picture"
            if wanted.ink
            else "performs them for PNG and JPEG\nfiles; a few pixels may differ by 1"
        ),
        code="" if wanted.ink else _code(wanted),
    )


def _steps(wanted: Preprocessing) -> Iterator[str]:
    """Yield each step from a picture file to an image."""
    yield "Decode the first frame of the file. Of 16 bits per channel, keep the upper 8."
    yield "Rotate the picture by its EXIF orientation, unless it is a WebP file."
    yield f"Fill transparent pixels with {wanted.background}."
    if wanted.channels == 1:
        yield "Convert the picture to grey: 0.299 red + 0.587 green + 0.114 blue."
    else:
        yield "Convert the picture to red, green, blue in this order. OpenCV decodes blue first."
    if wanted.ink:
        yield (
            f"Unless the picture has {wanted.height}x{wanted.width} pixels, find the ink of the "
            "one character in it, remove the background, and scale and center the ink as in MNIST."
        )
    if wanted.polarity != "keep":
        yield (
            f"Make it {wanted.polarity.replace('-', ' ')}: invert it if the median of its edge "
            f"pixels is {_INVERTED_IF[wanted.polarity]}."
        )
    elif wanted.channels == 1:
        yield "Do not invert it: a picture must be light on dark, or dark on light, as in training."
    if not wanted.ink:
        yield _STEPS_OF_FITS[wanted.fit].format(**wanted.record())
        yield (
            "To resize, use a bilinear filter that averages all pixels when it shrinks: `BILINEAR` "
            "in Pillow does, `INTER_LINEAR` in OpenCV does not."
        )


def _code(wanted: Preprocessing) -> str:
    """Return Python code that performs the steps without the search for ink."""
    inverts = wanted.polarity != "keep"
    return _CODE.format(
        edge_color=_CODE_EDGE_COLOR if inverts or wanted.fit == "pad" else "",
        background=wanted.background,
        mode=_MODES[wanted.channels],
        inverted=(
            _CODE_INVERTED.format(inverted_if=_INVERTED_IF[wanted.polarity]) if inverts else ""
        ),
        fitted=_CODE_OF_FITS[wanted.fit].format(**wanted.record()),
    )


def _calls(manifest: dict[str, Any]) -> list[str]:
    """Return the usage texts; formats with the same text share one."""
    height, width, channels = manifest["data"]["image_shape"]
    files = {each["format"]: each["file"] for each in manifest["artifacts"]}
    values = {
        "name": manifest["model"],
        "height": height,
        "width": width,
        "channels": channels,
        "batch": manifest["batch"],
    }
    if manifest["microcontroller"]:
        files["microcontroller"] = manifest["microcontroller"]["folder"]
        values |= manifest["microcontroller"]
    alike: dict[str, list[str]] = {}
    for each in FORMATS.values():
        if each.name in files:
            alike.setdefault(each.usage, []).append(each.name)
    # The int8 file is the example for all LiteRT formats, if it was exported.
    shown = {usage: "int8" if "int8" in names else names[0] for usage, names in alike.items()}
    return [usage.format(file=files[name], **values) for usage, name in shown.items()]
