"""Test the bundle that the commands create, and exports that must not be published."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from huggingface_hub import ModelCard

import export
import zoo
from export import formats
from export.bundle import card, front_matter
from export.check import page_layers, page_networks
from export.convert import saved_model, tflite
from export.litert import flatbuffer
from export.network import beside, qat
from export.network.deploy import inference_model
from export.network.sources import from_run
from export.pipeline import Request, export_bundle
from tests.conftest import EVERY_MODEL
from zoo import data as data_package
from zoo import draw
from zoo.bundles import integrity
from zoo.bundles.runtimes import dequantize, quantize
from zoo.data import Dataset
from zoo.data.preprocessing import Preprocessing
from zoo.errors import InputError, VerificationError
from zoo.inference import predict_fn
from zoo.metrics import evaluate
from zoo.runs import Run


def test_the_manifest_holds_every_file(bundle: Path, manifest: dict[str, Any]) -> None:
    there = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    assert there == manifest["files"].keys() | {"manifest.json", "manifest.json.sha256"}
    for name, facts in manifest["files"].items():
        content = (bundle / name).read_bytes()
        assert facts == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def test_every_format_was_exported(manifest: dict[str, Any]) -> None:
    exported = [artifact["format"] for artifact in manifest["artifacts"]]
    assert {*exported, "microcontroller"} == formats.FORMATS.keys()


def test_every_file_replays_the_golden_images(bundle: Path, manifest: dict[str, Any]) -> None:
    images = integrity.open_bundle(bundle).golden_images
    logits = np.array(manifest["golden"]["logits"])
    for artifact in manifest["artifacts"]:
        computed = export.load(bundle, runtime=artifact["format"])(images)
        assert computed.dtype == np.float32
        exact = formats.FORMATS[artifact["format"]].max_loss is None
        bound = (1e-4 if exact else 0.1) * np.ptp(logits)
        assert np.abs(computed - logits).max() < bound, artifact["format"]
        assert not np.allclose(computed, np.roll(logits, 1, axis=0), atol=bound)


def test_the_proof_is_of_the_whole_test_split(manifest: dict[str, Any], digits: Dataset) -> None:
    reference = manifest["origin"]["run"]["test_correct"]
    assert manifest["reference"]["correct"] == reference > 0.9 * len(digits.test)
    for artifact in manifest["artifacts"]:
        assert artifact["test_count"] == len(digits.test)
        assert reference - artifact["test_correct"] <= artifact["allowed_losses"]
        assert artifact["microseconds"] > 0
        # The peak of a LiteRT process, not of the exporter that started it.
        most = 300e6 if artifact["format"] in formats.LITERT else 2e9
        assert 10e6 < artifact["peak_bytes"] < most


def test_the_page_equals_keras_in_each_layer(manifest: dict[str, Any]) -> None:
    for row in manifest["page_networks"]:
        if row["format"] == "dynamic":
            assert row["layers"] is None
            continue
        drawn = [each.name for each in draw.volumes(zoo.create_model(row["name"]))]
        assert list(row["layers"]) == [name for name in drawn if name not in ("image", "flatten")]
        for found in row["layers"].values():
            assert 0 <= found["difference"] <= 1e-4 * found["range"]


def test_each_network_of_the_page_is_verified(
    bundle: Path, manifest: dict[str, Any], digits: Dataset
) -> None:
    rows = manifest["page_networks"]
    assert [each["name"] for each in rows] == ["compact-10k", "ltfn1", "compact-10k (dynamic)"]
    first, other, dynamic = rows
    (artifact,) = (each for each in manifest["artifacts"] if each["format"] == "web")
    for key in ("test_correct", "agreeing", "largest_logit_difference", "logit_range"):
        assert first[key] == artifact[key]
    assert first["test"] == dynamic["test"] != other["test"]
    assert (
        other["test"]["correct"]
        == evaluate(predict_fn(zoo.load_model("ltfn1")), digits.test).correct
    )
    for row in (first, other):
        assert row["test_correct"] == row["test"]["correct"]
        assert row["agreeing"] == row["test_count"] == len(digits.test)
        assert row["largest_logit_difference"] <= 1e-4 * row["logit_range"]
    assert 1e-4 * dynamic["logit_range"] < dynamic["largest_logit_difference"]
    assert len(digits.test) - dynamic["agreeing"] <= dynamic["allowed_flips"]
    card = (bundle / "README.md").read_text(encoding="utf-8")
    assert "| compact-10k (dynamic) | dynamic |" in card


def test_each_network_of_the_page_is_replayed(bundle: Path, tmp_path: Path) -> None:
    lines = export.verify_bundle(bundle)
    for name in ("ltfn1", r"compact-10k \(dynamic\)"):
        wanted = rf"{name} in compact-10k\.html: replayed, largest logit difference [\d.e-]+"
        assert sum(re.fullmatch(wanted, line) is not None for line in lines) == 1
    copy = shutil.copytree(bundle, tmp_path / "1")
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["page_networks"][1]["golden_logits"][0][0] += 1
    integrity.seal(copy, manifest)
    with pytest.raises(VerificationError, match=r"ltfn1 in compact-10k\.html differs by 1 from"):
        export.verify_bundle(copy)


def test_another_network_in_the_page_is_refused(
    small: Path, bundle: Path, digits: Dataset, tmp_path: Path
) -> None:
    (shown,) = beside.shown(from_run(Run(small / "runs" / "compact-10k")), digits, [])
    reference = evaluate(predict_fn(shown.source.model), digits.test)
    second = dataclasses.replace(shown, name="second")  # the page has ltfn1 there
    images = tmp_path / "images.npy"
    np.save(images, digits.test.images)
    message = r"second in compact-10k\.html predicts another class .* leave out its --beside"
    with pytest.raises(VerificationError, match=message):
        page_networks.verify(
            [page_networks.PageNetwork(each, reference, {}) for each in (shown, second)],
            reference,
            page=bundle / "web" / "compact-10k.html",
            dataset=digits,
            chosen=np.arange(2),
            images=images,
            scratch=tmp_path,
        )


def test_networks_that_cannot_stand_in_the_page(
    small: Path, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = from_run(Run(small / "runs" / "compact-10k"))
    monkeypatch.chdir(small)
    for names, message in (
        (["runs"], "runs is not a run folder"),
        (["ltfn1", "ltfn1"], r"--beside ltfn1: .* two networks with the name ltfn1; give"),
        (["runs/compact-10k"] * 2, r"name compact-10k \(compact-10k\); give each once"),
        (["dynamic", "dynamic"], r"two networks with the name compact-10k \(dynamic\)"),
    ):
        with pytest.raises(InputError, match=message):
            beside.shown(source, digits, names)
    found = beside.shown(source, digits, ["compact-10k", "ltfn1"])
    assert [each.name for each in found] == ["compact-10k", "compact-10k (package)", "ltfn1"]
    own, _, other = (each.story(digits) for each in found)
    assert re.fullmatch("trained on digits with recipe quick .*steps=150", own)
    assert re.fullmatch("trained on mnist with recipe quick .*, verified on digits", other)
    inked = dataclasses.replace(digits.preprocessing, ink=not digits.preprocessing.ink)
    for changed, what in (
        ({"preprocessing": inked}, "preprocessing"),
        ({"class_names": tuple("abcdefghij")}, "classes"),
    ):
        with pytest.raises(InputError, match=f"--beside ltfn1 has other {what} than digits"):
            beside.shown(source, dataclasses.replace(digits, **changed), ["ltfn1"])
    with pytest.raises(InputError, match="--beside is for the web page; add web to --formats"):
        Request(formats=formats.choose("float32"), beside=["ltfn1"])


def test_a_layer_that_differs_is_refused(bundle: Path, digits: Dataset, tmp_path: Path) -> None:
    file, images = bundle / "web" / "compact-10k.html", digits.test.images[:2]
    other = {"layer1": np.zeros((2, 28, 28, 12), np.float32)}
    with pytest.raises(VerificationError, match=r"layer layer1 of compact-10k\.html differs by"):
        page_layers.measure(other, file, images, tmp_path)


def test_calibration_is_of_training_images(manifest: dict[str, Any], digits: Dataset) -> None:
    calibration = manifest["calibration"]
    assert calibration["split"] == "train"
    images = digits.train.images[calibration["indices"]]
    assert calibration["sha256"] == hashlib.sha256(images.tobytes()).hexdigest()
    counts = np.bincount(digits.train.labels[calibration["indices"]])
    assert counts.min() == counts.max() == 50


def test_the_card_tells_the_table_and_each_call(bundle: Path, manifest: dict[str, Any]) -> None:
    text = (bundle / "README.md").read_text(encoding="utf-8")
    for artifact in manifest["artifacts"]:
        assert text.count(artifact["file"]) >= 2
    for word in ("v1/models/compact-10k:predict", "BuildFromFile", "InferenceSession", "openvino"):
        assert word in text
    python = "".join(re.findall(r"^    ((?:import|from|network|onnx|hint|open).*\n)", text, re.M))
    images = integrity.open_bundle(bundle).golden_images
    assert python.count("images") == 4
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(bundle)
        exec(compile(python, "README.md", "exec"), {"images": images})


def test_the_hub_reads_the_card(bundle: Path, manifest: dict[str, Any]) -> None:
    read: Any = ModelCard.load(bundle / "README.md").data
    assert (read.license, read.pipeline_tag) == ("cc-by-4.0", "image-classification")
    assert (read.model_name, read.datasets) == ("compact-10k", ["digits"])
    found = {each.metric_name: each for each in read.eval_results}
    for artifact in manifest["artifacts"]:
        result = found.pop(f"accuracy of {artifact['file']}")
        assert result.metric_value == artifact["test_correct"] / artifact["test_count"]
        assert (result.task_type, result.dataset_split) == ("image-classification", "test")
    assert not found


def test_the_hub_reads_any_name(manifest: dict[str, Any]) -> None:
    name = "--- 'a': \"b\" \U0001f600 \x7f \x85 # no"
    data = manifest["data"] | {"name": name, "licence": "not stated"}
    changed = {"data": data, "origin": {"run": manifest["origin"]["run"] | {"data": data}}}
    read: Any = ModelCard(card.model_card(manifest | changed, "trained on", "", "")).data
    assert (read.license, read.datasets) == ("unknown", [name])
    assert {each.dataset_name for each in read.eval_results} == {name}


@pytest.mark.parametrize(
    ("homepage", "run"),
    [
        ("https://example.org", None),
        ("", {}),
        ("https://example.org", {"start": {"weights": "mnist"}}),
        ("https://example.org", {"teachers": [{}]}),
    ],
)
def test_no_data_is_claimed_for_other_networks(
    manifest: dict[str, Any], homepage: str, run: dict[str, Any] | None
) -> None:
    data = manifest["data"] | {"homepage": homepage}
    origin: dict[str, Any] = {"keras_file": {}}
    if run is not None:
        origin = {"run": manifest["origin"]["run"] | {"data": data} | run}
    changed = manifest | {"data": data, "origin": origin}
    read: Any = ModelCard(card.model_card(changed, "verified on", "", "")).data
    assert (read.license, read.datasets) == ("unknown", None)
    assert {each.dataset_name for each in read.eval_results} == {"digits"}


def test_the_licence_is_that_of_the_training_data(manifest: dict[str, Any]) -> None:
    run = manifest["origin"]["run"]
    mnist = run["data"] | {"name": "mnist", "licence": "CC BY-SA 3.0"}
    changed = manifest | {"origin": {"run": run | {"data": mnist}}}
    read: Any = ModelCard(card.model_card(changed, "verified on", "", "")).data
    assert (read.license, read.datasets) == ("cc-by-sa-3.0", ["mnist"])
    assert {each.dataset_name for each in read.eval_results} == {"digits"}


def test_every_licence_has_a_name_of_the_hub() -> None:
    assert set(data_package._LICENCES.values()) == set(front_matter.LICENCES)


def test_the_card_states_a_bound_that_was_loosened(manifest: dict[str, Any]) -> None:
    assert "--allow-drop" not in card.model_card(manifest, "", "", "")
    loose = card.model_card(manifest | {"loosened": ["int8"]}, "", "", "")
    assert "Bounds loosened beyond the default with --allow-drop: int8." in loose


@pytest.mark.parametrize("name", EVERY_MODEL)
def test_every_model_is_the_same_in_both_formats(name: str, tmp_path: Path) -> None:
    model = zoo.create_model(name)
    # Normalization with its initial statistics would hide a missing fold.
    for weight in model.non_trainable_variables:
        if "moving_variance" in weight.path:
            weight.assign(np.linspace(0.5, 2.0, weight.shape[0]))
    folded = inference_model(model)
    assert not [each for each in folded.layers if isinstance(each, keras.layers.Rescaling)]
    images = np.random.default_rng(0).integers(0, 256, (4, *model.input_shape[1:]), np.uint8)
    expected = model(images).numpy()
    bound = 1e-4 * np.ptp(expected)
    assert bound > 0
    np.testing.assert_allclose(folded(images), expected, atol=bound)

    labels = [f"class {at}" for at in range(expected.shape[1])]
    height, width, channels = model.input_shape[1:]
    wanted = Preprocessing(height=height, width=width, channels=channels)
    saved_model.save_serving(folded, labels, wanted, tmp_path / "serving")
    saved_model.save_fixed(folded, tmp_path / "fixed")
    (tmp_path / "device.tflite").write_bytes(tflite.convert(tmp_path / "fixed", "float32"))
    for file in ("serving", "device.tflite"):
        computed = export.load_predict_fn(tmp_path / file)(images)
        np.testing.assert_allclose(computed, expected, atol=bound, err_msg=file)
    graph = flatbuffer.read((tmp_path / "device.tflite").read_bytes())
    operations = {operator.name for operator in graph.operators}
    assert not operations & {"SHAPE", "STRIDED_SLICE", "PACK", "CAST", "MUL"}


@pytest.mark.slow
def test_what_fails_its_proof_is_not_published(
    small: Path, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Fine-tuning cannot help here, so it is short.
    monkeypatch.setattr(qat, "finetuned", functools.partial(qat.finetuned, steps=10))
    source = from_run(Run(small / "runs" / "compact-10k"))
    # Calibration on black images gives every activation of the int8 file an empty range.
    black = dataclasses.replace(digits.train, images=np.zeros_like(digits.train.images))
    dataset = dataclasses.replace(digits, train=black)
    told: list[str] = []
    request = Request(formats=formats.choose("int8"))
    with pytest.raises(
        VerificationError, match=r"nothing was published: tflite/compact-10k-int8"
    ) as caught:
        export_bundle(source, dataset, request, tmp_path / "out", told.append)
    assert "relative error of each operation's result" in told[-1]
    assert told[-1].count("largest increase") == 1
    # The option that the message proposes works.
    (points,) = map(float, re.findall(r"--bound int8=([\d.]+) --allow-drop", str(caught.value)))
    loose = formats.bounded(request.formats, {"int8": points}, allow_drop=True)
    version, _ = export_bundle(
        source, dataset, Request(formats=loose), tmp_path / "out", told.append
    )
    assert (version / "tflite" / "compact-10k-int8.tflite").exists()


@pytest.mark.parametrize("ending", ["tflite", "onnx", "xml"])
@pytest.mark.parametrize("content", [b"", b"TFL3", b"x" * 5000])
def test_what_is_no_file_of_a_runtime_is_refused(
    tmp_path: Path, content: bytes, ending: str
) -> None:
    path = tmp_path / f"broken.{ending}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"broken\.{ending} cannot be loaded"):
        export.load_predict_fn(path)


def test_what_is_no_artifact_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither a SavedModel folder nor"):
        export.load_predict_fn(tmp_path / "nothing")
    with pytest.raises(InputError, match="cannot be loaded"):
        export.load_predict_fn(tmp_path)


def test_pixels_are_rounded_to_the_input_s_numbers_not_cut() -> None:
    tensor = {"dtype": np.int8, "quantization": (2.0, -128)}
    images = np.array([0, 1, 3, 5, 254, 255], np.uint8)
    # Ties are rounded to even: 0.5 and 2.5 down, 1.5 up.
    assert quantize(images, tensor).tolist() == [-128, -128, -126, -126, -1, 0]
    assert dequantize(np.array([-128, 0], np.int8), tensor).tolist() == [0.0, 256.0]


def test_a_batch_needs_as_many_images_for_calibration(
    small: Path, digits: Dataset, tmp_path: Path
) -> None:
    request = Request(formats=formats.choose("int8"), batch=501)
    source = from_run(Run(small / "runs" / "compact-10k"))
    with pytest.raises(InputError, match="--batch 501 exceeds the 500 images that calibrate int8"):
        export_bundle(source, digits, request, tmp_path / "out", print)
