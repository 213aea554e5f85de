"""The model card: the bundle's README, written from facts alone."""

from __future__ import annotations

from typing import Any

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

_SAVED_MODEL = """\
Python, with TensorFlow:

    import tensorflow as tf
    network = tf.saved_model.load(".").signatures
    # uint8 [N, {height}, {width}, {channels}] in; logits, probabilities, class_id and label out
    network["serving_default"](image=images)

TensorFlow Serving, watching the folder above this one as model `{name}`; a file as it is (the
signature `serve_bytes`) or pixels (`serving_default`):

    curl http://localhost:8501/v1/models/{name}:predict -d '{{"signature_name": "serve_bytes",
      "inputs": {{"image_bytes": [{{"b64": "'$(base64 -w0 picture.png)'"}}]}}}}'
"""

_LITERT = """\
Python, with `pip install ai-edge-litert numpy`:

    from ai_edge_litert.interpreter import Interpreter
    network = Interpreter(model_path="{file}").get_signature_runner()
    network(image=images[:{batch}])["logits"]

C++, with LiteRT's interpreter:

    auto model = tflite::FlatBufferModel::BuildFromFile("{file}");
    tflite::ops::builtin::BuiltinOpResolver resolver;
    std::unique_ptr<tflite::Interpreter> interpreter;
    tflite::InterpreterBuilder(*model, resolver)(&interpreter);
    interpreter->AllocateTensors();
    TfLiteTensor* input = interpreter->input_tensor(0);
    std::memcpy(input->data.raw, pixels, input->bytes);
    interpreter->Invoke();  // then interpreter->output_tensor(0)
"""

_MICROCONTROLLER = """\
A microcontroller, with TensorFlow Lite Micro: `{folder}/` is a library for CMake, ESP-IDF, Arduino
and PlatformIO, with a self-test; its README says how to add it to a project.

    #include "{namespace}.h"
    if (const char* fault = {namespace}::Setup()) return fault;
    int label = {namespace}::Classify(pixels);

The model takes {model_bytes:,} bytes of flash, the program's code about {code_bytes:,} more. The
tensor arena takes {arena_bytes[reference]:,} bytes of RAM with the reference kernels, and
{arena_bytes[cmsis_nn]:,} with CMSIS-NN. One image needs {multiply_adds:,} multiply-adds.

The zoo's networks were tested with {tested_with}.
"""

_ONNX = """\
Python, with `pip install onnxruntime`:

    import onnxruntime
    onnxruntime.InferenceSession("{file}").run(["logits"], {{"image": images}})
"""

_OPENVINO = """\
Python, with `pip install openvino`; without the hint some processors compute in bfloat16:

    import openvino
    hint = {{"INFERENCE_PRECISION_HINT": "f32"}}
    openvino.Core().compile_model("{file}", "CPU", hint)(images)
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
    height, width, channels = manifest["data"]["image_shape"]
    files = {each["format"]: each["file"] for each in manifest["artifacts"]}
    calls = [
        _SAVED_MODEL.format(name=manifest["model"], height=height, width=width, channels=channels)
    ]
    # One LiteRT file stands for all: the int8 file where there is one.
    litert = [files[name] for name in files if files[name].endswith(".tflite")]
    if litert:
        calls.append(_LITERT.format(file=files.get("int8", litert[0]), batch=manifest["batch"]))
    if manifest["microcontroller"]:
        calls.append(_MICROCONTROLLER.format(**manifest["microcontroller"]))
    if "onnx" in files:
        calls.append(_ONNX.format(file=files["onnx"]))
    if "openvino" in files:
        calls.append(_OPENVINO.format(file=files["openvino"]))
    return calls
