"""Write the model card, the README of a bundle, from the facts in its manifest."""

from __future__ import annotations

from typing import Any

from export.bundle.front_matter import front_matter
from export.formats import FORMATS

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

## Usage

{calls}

## Limitations

The network always predicts one of its {classes} classes, even for unrelated images. The accuracy
above applies to images like those of the test split. The network was not tested for fairness, for
robustness to adversarial inputs, or on other kinds of images.

`python -m export.verify .` checks the SHA-256 hash of every file and replays {golden_count} test
images. The hashes and the images are in `manifest.json`.
"""


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
