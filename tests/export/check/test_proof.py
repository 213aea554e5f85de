"""Test the bounds that every exported file must meet."""

from __future__ import annotations

import numpy as np
import pytest

from export.check import proof
from export.formats import FORMATS, Format, bounded, choose, loosened
from zoo.errors import InputError, VerificationError
from zoo.metrics import Metrics, wilson_interval


def _metrics(logits: np.ndarray, labels: np.ndarray) -> Metrics:
    return Metrics(int(np.sum(logits.argmax(1) == labels)), len(labels), 0.0, logits)


def _check(reference: Metrics, logits: np.ndarray, labels: np.ndarray, held: Format) -> None:
    row = proof.compare(
        reference, _metrics(logits, labels), format=held, file="file", size=1, facts={}
    )
    proof.check(reference, [row])


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 10, 3000)


@pytest.fixture(scope="module")
def reference(labels: np.ndarray) -> Metrics:
    noise = np.random.default_rng(1).normal(size=(len(labels), 10))
    found = _metrics((noise + 8 * np.eye(10)[labels]).astype(np.float32), labels)
    assert found.correct > 2900
    return found


def _with_losses(reference: Metrics, labels: np.ndarray, count: int) -> np.ndarray:
    wrong = reference.logits.copy()
    right = np.flatnonzero(wrong.argmax(1) == labels)
    for image in right[:count]:
        wrong[image] = 0
        wrong[image, (labels[image] + 1) % 10] = 9
    return wrong


@pytest.mark.parametrize("name", ["saved_model", "float32", "onnx", "openvino"])
def test_a_float_file_agrees_on_every_image(
    name: str, reference: Metrics, labels: np.ndarray
) -> None:
    held, span = FORMATS[name], np.ptp(reference.logits)
    _check(reference, reference.logits + np.float32(0.9e-4 * span), labels, held)
    with pytest.raises(
        VerificationError, match=r"file differs by .* from the logits of Keras, allowed"
    ):
        _check(reference, reference.logits + np.float32(1.1e-4 * span), labels, held)
    with pytest.raises(
        VerificationError, match="another class than Keras for 1 of 3000 images, allowed 0"
    ):
        _check(reference, _with_losses(reference, labels, 1), labels, held)


# For 3,000 images, 0.1 points are 3 images and 0.05 points are 1.5.
@pytest.mark.parametrize(
    ("name", "allowed"), [("float16", 1), ("dynamic", 1), ("int16x8", 1), ("int8", 3)]
)
def test_a_smaller_file_may_lose_a_few(
    name: str, allowed: int, reference: Metrics, labels: np.ndarray
) -> None:
    held = FORMATS[name]
    _check(reference, _with_losses(reference, labels, allowed), labels, held)
    told = "{} fewer of 3000 images correctly than Keras, allowed {}"
    with pytest.raises(VerificationError, match=told.format(allowed + 1, allowed)):
        _check(reference, _with_losses(reference, labels, allowed + 1), labels, held)
    (strict,) = bounded([held], {name: 0.0}, allow_drop=False)
    with pytest.raises(VerificationError, match=told.format(1, 0)):
        _check(reference, _with_losses(reference, labels, 1), labels, strict)
    (loose,) = bounded([held], {name: 1.0}, allow_drop=True)
    _check(reference, _with_losses(reference, labels, 30), labels, loose)
    with pytest.raises(VerificationError, match=told.format(31, 30)):
        _check(reference, _with_losses(reference, labels, 31), labels, loose)


def test_on_a_small_split_an_int8_file_may_lose_two_images_but_no_more_than_one_in_a_hundred() -> (
    None
):
    held = FORMATS["int8"]
    counts = {count: held.allowed_losses(count) for count in (10, 199, 353, 2999, 10_000)}
    assert counts == {10: 0, 199: 1, 353: 2, 2999: 2, 10_000: 10}
    assert FORMATS["dynamic"].allowed_losses(10_000) == 5
    assert {count: held.allowed_flips(count) for count in (10, 199, 10_000)} == {
        10: 0,
        199: 3,
        10_000: 200,
    }


def test_flips_count_also_where_as_many_become_right(
    reference: Metrics, labels: np.ndarray
) -> None:
    weaker = _metrics(_with_losses(reference, labels, 40), labels)
    # The 40 misclassified images become correct, and 40 others become wrong.
    logits = _with_losses(reference, labels, 80)
    right = np.flatnonzero(reference.logits.argmax(1) == labels)[:40]
    logits[right] = reference.logits[right]
    assert _metrics(logits, labels).correct == weaker.correct
    with pytest.raises(
        VerificationError, match="class than Keras for 80 of 3000 images, allowed 60"
    ):
        _check(weaker, logits, labels, FORMATS["int8"])
    with pytest.raises(VerificationError, match=r"--bound int8=2\.67 --allow-drop to accept"):
        _check(weaker, logits, labels, FORMATS["int8"])
    (loose,) = bounded([FORMATS["int8"]], {"int8": 2.67}, allow_drop=True)
    _check(weaker, logits, labels, loose)


def test_a_proof_that_says_little_is_called_so(reference: Metrics, labels: np.ndarray) -> None:
    few = _metrics(reference.logits[:900], labels[:900])
    (caution,) = proof.cautions(few, labels[:900], choose(None))
    assert "With only 900 test images, one image is 0.11 % of the accuracy" in caution
    assert "fall by at most 1 with float16, 1 with dynamic, 2 with int8." in caution
    low, high = (100 * end for end in wilson_interval(few.correct, few.count))
    assert f"the 95 % confidence interval of Keras is {low:.1f} to {high:.1f} %." in caution
    assert proof.cautions(reference, labels, [FORMATS["int8"], FORMATS["float32"]]) == []
    constant = np.zeros((len(labels), 10), np.float32)
    constant[:, np.bincount(labels).argmax()] = 1
    (caution,) = proof.cautions(_metrics(constant, labels), labels, [FORMATS["int8"]])
    most = np.bincount(labels).max()
    assert f"classifies only {most} of 3,000 test images correctly" in caution


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_not_finite_is_refused(name: str, reference: Metrics, labels: np.ndarray) -> None:
    broken = reference.logits.copy()
    broken[0, (labels[0] + 1) % 10] = np.nan
    with pytest.raises(VerificationError, match="not finite"):
        _check(reference, broken, labels, FORMATS[name])


def test_a_bound_is_loosened_only_on_request() -> None:
    with pytest.raises(InputError, match=r"int8=0\.2 is looser .* 0\.1 points; give --allow-drop"):
        bounded(choose(None), {"int8": 0.2}, allow_drop=False)
    for name in ("float32", "microcontroller"):
        with pytest.raises(InputError, match=f"unknown format for --bound '{name}'"):
            bounded(choose(None), {name: 0.2}, allow_drop=True)
    loose = bounded(choose(None), {"int8": 0.2, "dynamic": 0.01}, allow_drop=True)
    assert loosened(loose) == ["int8"]
    assert loosened(bounded(choose(None), {"int8": 0.05}, allow_drop=True)) == []


def test_formats_are_chosen_by_name() -> None:
    def names(text: str | None) -> list[str]:
        return [each.name for each in choose(text)]

    assert names("int8") == ["saved_model", "int8"]
    assert names("microcontroller") == ["saved_model", "int8", "microcontroller"]
    assert set(names(None)) < set(names("all")) <= set(FORMATS)
    assert "int16x8" not in names(None)
    with pytest.raises(InputError, match="unknown format 'int9'; did you mean 'int8'"):
        names("int9")


def test_a_format_without_its_packages_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "onnx" else name)
    with pytest.raises(InputError, match=r"onnx needs onnx, .* pip install 'ltfn-zoo\[onnx\]'"):
        choose("onnx")
    assert "onnx" not in {each.name for each in choose("all")}


def _rows(reference: Metrics, labels: np.ndarray, names: str, wrong: str) -> list[proof.Row]:
    """Return the rows of some files, of which those of one format are wrong for every image."""
    return [
        proof.compare(
            reference,
            _metrics(-reference.logits if name == wrong else reference.logits, labels),
            format=FORMATS[name],
            file=name,
            size=0,
            facts={},
        )
        for name in names.split(",")
    ]


def test_the_saved_model_cannot_be_left_out(reference: Metrics, labels: np.ndarray) -> None:
    rows = _rows(reference, labels, "saved_model,int8", wrong="saved_model")
    with pytest.raises(VerificationError, match="No option accepts these files"):
        proof.check(reference, rows)


def test_a_format_is_left_out_if_another_was_requested(
    reference: Metrics, labels: np.ndarray
) -> None:
    rows = _rows(reference, labels, "saved_model,float32,int8", wrong="int8")
    ways = "give --formats saved_model,float32 to leave out int8, or --bound int8="
    with pytest.raises(VerificationError, match=ways):
        proof.check(reference, rows)
    with pytest.raises(VerificationError, match="To proceed, give --bound int8="):
        proof.check(reference, rows[::2])


def test_a_bound_of_zero_is_not_called_too_small(reference: Metrics, labels: np.ndarray) -> None:
    (strict,) = bounded([FORMATS["int8"]], {"int8": 0.0}, allow_drop=False)
    assert proof.cautions(reference, labels, [strict]) == []
