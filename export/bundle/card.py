"""The model card: the bundle's README, written from facts alone."""

from __future__ import annotations

from typing import Any

from export.formats import FORMATS

_CARD = """\
# {name}, {relation} {data[name]}

A Keras image classifier of {classes} classes, exported and verified: every file below was loaded
by its own runtime in a process of its own and scored on all {test_count:,} test images.

{table}

Activations: what a device must keep of the network's intermediate results at one time (float16
weights, unpacked, count too). One image: on one thread of {machine[processor]}.
{bounds}
{cautions}
- Data: {data_words}: {data[train_count]:,} train, {data[validation_count]:,} validation and
  {data[test_count]:,} test images.
- {story}.
- Integer formats were calibrated with {calibration_count} images of its train split, as many of
  each class.
{finetuned}
## What goes in, what comes out

{tensors}

Pixels are 0..255, as they are, {height}x{width}x{channels}; their scaling is inside. Logits are in
the order of the classes: {classes_list}. An int8 or int16 logit stands for
scale * (value - zero point).

## Calling it

{calls}

## Limits

It knows its {classes} classes and no others: it has an answer for every picture of anything.
Its accuracy holds for pictures like those it was tested on; it was not tested for fairness, against
deliberate deception, or on pictures of another kind.

`python -m export.verify .` checks the SHA-256 of every file and replays {golden_count} test images;
`manifest.json` holds both.
"""


def model_card(manifest: dict[str, Any], relation: str, story: str, table: str) -> str:
    """Return the card in Markdown.

    Args:
        manifest: as the bundle will hold it.
        relation: of the network to its data: ``trained on`` or ``verified on``.
        story: where the network comes from, in a sentence.
        table: the proof as a Markdown table.
    """
    data = manifest["data"]
    height, width, channels = data["image_shape"]
    return _CARD.format(
        name=manifest["model"],
        relation=relation,
        data=data,
        data_words=_data(data),
        cautions="".join(f"\n**Caution:** {each}\n" for each in manifest["cautions"]),
        machine=manifest["machine"],
        classes=len(manifest["labels"]),
        classes_list=", ".join(manifest["labels"]),
        test_count=data["test_count"],
        calibration_count=len(manifest["calibration"]["indices"]),
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
    """Return what is known of a data set."""
    words = f"{data['name']} {data['version']}"
    if data["homepage"]:
        return f"{words} ({data['licence']}), {data['homepage']}"
    return f"{words}, a folder of pictures"


def _bounds(manifest: dict[str, Any]) -> str:
    told = [
        f"{each['format']} {each['allowed_losses']} and {each['allowed_flips']}"
        for each in manifest["artifacts"]
        if each["allowed_flips"]
    ]
    low, high = manifest["reference"]["interval"]
    text = (
        f"The 95 % interval of the accuracy of Keras is {100 * low:.2f} to {100 * high:.2f} %. "
        "Images that a file may lose, and that may have another class than Keras gives: "
        + "; ".join([", ".join(told), "others none"] if told else ["none"])
        + "."
    )
    if manifest["loosened"]:
        names = ", ".join(manifest["loosened"])
        text += f" A looser bound than the format's own was given (--allow-drop): {names}."
    for name, reason in manifest["left_out"].items():
        text += f" The format {name} is left out: {reason}."
    return text


def _finetuned(facts: dict[str, int] | None) -> str:
    if facts is None:
        return ""
    return (
        f"- The int8 file's weights were trained on for {facts['steps']} steps in which they were "
        f"rounded:\n  it lost {facts['validation_losses_before']} validation images before, "
        f"{facts['validation_losses_after']} after.\n"
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
    """Return how each kind of file is called; files that are called alike share one text."""
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
            alike.setdefault(each.call, []).append(each.name)
    # The int8 file stands for all LiteRT files where there is one.
    shown = {call: "int8" if "int8" in names else names[0] for call, names in alike.items()}
    return [call.format(file=files[name], **values) for call, name in shown.items()]
