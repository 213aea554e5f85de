from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest

from tests.conftest import Command
from zoo import predict
from zoo.data import Dataset, contact_sheet
from zoo.data.preprocessing import Preprocessing
from zoo.errors import InputError


@pytest.fixture
def digit(digits: Dataset) -> PIL.Image.Image:
    return PIL.Image.fromarray(digits.test.images[0, :, :, 0])


def test_pictures_are_classified(
    command: Command, workplace: Path, digits: Dataset, tmp_path: Path
) -> None:
    names = []
    for index in range(12):
        ink = PIL.Image.fromarray(255 - digits.test.images[index, :, :, 0])
        names.append(f"{index}.jpg")
        ink.save(tmp_path / names[-1])
    run = workplace / "runs" / "ltfn5"
    done = command("zoo.predict", run, *names, "--json", "--top", 2, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert [answer["picture"] for answer in answers] == names
    assert answers[0]["done"] == ["inverted"]
    right = 0
    for answer, label in zip(answers, digits.test.labels, strict=False):
        first, second = answer["classes"]
        assert 1 >= first["probability"] >= second["probability"] >= 0
        right += first["class"] == str(label)
    assert right >= 10
    told = command("zoo.predict", run, names[0], cwd=tmp_path).stdout
    assert told.startswith(f"0.jpg: {answers[0]['classes'][0]['class']} (")


def test_a_bundle_answers_as_its_run_does_without_tensorflow(
    command: Command, workplace: Path, digit: PIL.Image.Image, tmp_path: Path
) -> None:
    digit.save(tmp_path / "a.png")
    told = {}
    for network in ("runs/ltfn5", "exports/ltfn5/1"):
        done = command("zoo.predict", network, tmp_path / "a.png", "--json", cwd=workplace)
        assert (done.returncode, done.stderr) == (0, "")
        told[network] = json.loads(done.stdout)[0]["classes"]
    run, bundle = told.values()
    assert [each["class"] for each in bundle] == [each["class"] for each in run]
    for ours, theirs in zip(bundle, run, strict=True):
        assert ours["probability"] == pytest.approx(theirs["probability"], abs=1e-4)

    script = (
        "import sys; from zoo import predict; "
        f"predict.main(['exports/ltfn5/1', {str(tmp_path / 'a.png')!r}, '--runtime', 'int8']); "
        "assert 'tensorflow' not in sys.modules and 'ai_edge_litert.interpreter' in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=workplace, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert bundle[0]["class"] in done.stdout


def test_what_cannot_answer_is_said(
    workplace: Path,
    digit: PIL.Image.Image,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(workplace)
    picture = str(tmp_path / "a.png")
    digit.save(picture)
    with pytest.raises(InputError, match=r"'int9'.*int8"):
        predict.main(["exports/ltfn5/1", picture, "--runtime", "int9"])
    with pytest.raises(InputError, match="runs/ltfn5 is not a bundle"):
        predict.main(["runs/ltfn5", picture, "--runtime", "int8"])
    with pytest.raises(InputError, match="runs is not a run folder"):
        predict.main(["runs", picture])


@pytest.mark.parametrize(
    ("network", "proposed"),
    [
        ("exports/ltfn5", "give a version, such as exports/ltfn5/10 (the newest)"),
        (
            "exports/ltfn5/1/tflite/ltfn5-int8.tflite",
            "give the bundle, exports/ltfn5/1; in zoo.predict, --runtime selects its file",
        ),
    ],
)
@pytest.mark.parametrize("options", [[], ["--runtime", "int8"]])
def test_a_path_near_a_bundle_is_answered_with_the_bundle(
    examples: Path,
    network: str,
    proposed: str,
    options: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(examples)
    for name in ("9", "10"):
        Path("exports/ltfn5", name).symlink_to("1")
    with pytest.raises(InputError) as caught:
        predict.main([network, "digit.png", *options])
    assert str(caught.value) == f"{network} is not a bundle; {proposed}"


def _page(digits: Dataset, *indices: int) -> PIL.Image.Image:
    """Draw dark digits side by side on light paper, off-centre."""
    page = np.full((300, 400), 230, np.uint8)
    for number, index in enumerate(indices):
        ink = PIL.Image.fromarray(digits.test.images[index, :, :, 0]).resize((140, 140))
        page[20:160, 30 + 180 * number : 170 + 180 * number] -= (np.asarray(ink) * 0.75).astype(
            np.uint8
        )
    return PIL.Image.fromarray(page)


def test_ink_on_paper_is_found_and_shown(
    command: Command, workplace: Path, digits: Dataset, tmp_path: Path
) -> None:
    names = []
    for index in range(8):
        names.append(f"{index}.png")
        _page(digits, index).save(tmp_path / names[-1])
    bundle = workplace / "exports/ltfn5/1"
    line = ("zoo.predict", bundle, *names, "--json", "--show", "seen.png")
    done = command(*line, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    right = [
        answer["classes"][0]["class"] == str(label)
        for answer, label in zip(answers, digits.test.labels, strict=False)
    ]
    assert sum(right) >= 7
    for answer in answers:
        left, top, right_edge, bottom = answer["box"]
        assert 30 <= left < right_edge <= 170
        assert 20 <= top < bottom <= 160
        assert any("ink of" in step for step in answer["done"])
    with PIL.Image.open(tmp_path / "seen.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB")).astype(int)
    # The frame around the first crop, and the network's input next to it.
    assert (np.abs(pixels - (0, 114, 178)).max(axis=-1) < 9).sum() > 100
    assert (pixels[25:295, 325:595].max(axis=-1) > 250).any()
    assert (pixels[25:295, 325:595].max(axis=-1) == 0).mean() > 0.4

    # With --ink off, the input is the whole page.
    whole = command("zoo.predict", bundle, *names, "--json", "--ink", "off", cwd=tmp_path)
    assert json.loads(whole.stdout)[0]["box"] == [0, 0, 400, 300]


def test_no_ink_and_several_things_are_said(
    command: Command, workplace: Path, digits: Dataset, tmp_path: Path
) -> None:
    PIL.Image.new("L", (300, 200), 235).save(tmp_path / "blank.png")
    seven = int(np.flatnonzero(digits.test.labels == 7)[0])
    two = int(np.flatnonzero(digits.test.labels == 2)[0])
    _page(digits, two, seven).save(tmp_path / "two.png")
    bundle = workplace / "exports/ltfn5/1"
    done = command("zoo.predict", bundle, "blank.png", "two.png", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "blank.png: no ink found",
        "two.png: 2 separate objects found; --each classifies each, left to right",
    ]
    as_json = command("zoo.predict", bundle, "blank.png", "two.png", "--json", cwd=tmp_path)
    assert [answer["classes"] for answer in json.loads(as_json.stdout)] == [[], []]
    for _ in range(2):  # a sheet may be replaced
        line = ("zoo.predict", bundle, "two.png", "--each", "--show", "seen.png")
        each = command(*line, cwd=tmp_path)
        assert each.returncode == 0, each.stderr
    assert "two.png [1 of 2]: 2 (" in each.stdout
    assert "two.png [2 of 2]: 7 (" in each.stdout
    assert each.stdout.index("[1 of 2]") < each.stdout.index("[2 of 2]")
    as_json = command("zoo.predict", bundle, "two.png", "--each", "--json", cwd=tmp_path)
    assert [answer["place"] for answer in json.loads(as_json.stdout)] == ["1 of 2", "2 of 2"]


def test_an_object_that_the_edge_cuts_off_counts(
    workplace: Path,
    digits: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(workplace)
    page = np.array(_page(digits, 0))
    page[200:, 300:320] = 40
    picture = str(tmp_path / "a.png")
    PIL.Image.fromarray(page).save(picture)
    predict.main(["exports/ltfn5/1", picture])
    assert capsys.readouterr().out == (
        f"{picture}: 2 separate objects found; --each classifies those that are not cut off at the "
        "edge, left to right\n"
    )
    predict.main(["exports/ltfn5/1", picture, "--each", "--json"])
    (answer,) = json.loads(capsys.readouterr().out)
    assert len(answer["classes"]) == 3
    assert answer["done"][-1] == "1 object at the edge left out"


def test_that_there_are_other_frames_is_said(digit: PIL.Image.Image, tmp_path: Path) -> None:
    digit.save(tmp_path / "a.gif", save_all=True, append_images=[PIL.ImageOps.flip(digit)])
    wanted = Preprocessing(height=28, width=28, channels=1)
    (answer,) = predict._prepared(tmp_path / "a.gif", wanted, each=False)
    assert "\n  first of 2 frames, " in answer.text()


def test_a_network_of_whole_pictures_does_not_search_for_ink() -> None:
    facts = {"preprocessing": Preprocessing(height=28, width=28, channels=3).record()}
    with pytest.raises(InputError, match="trained on whole pictures; leave out --ink"):
        predict._preprocessing(facts, "on")
    assert not predict._preprocessing(facts, "off").ink


def test_a_sheet_of_too_many_images_is_refused(
    workplace: Path, digit: PIL.Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace)
    digit.save(tmp_path / "a.png")
    pictures = [str(tmp_path / "a.png")] * 501
    with pytest.raises(InputError, match="at most 500 images, received 501"):
        predict.main(["exports/ltfn5/1", *pictures, "--show", str(tmp_path / "seen.png")])


def test_the_answers_are_printed_before_the_sheet_is_written(
    workplace: Path,
    digit: PIL.Image.Image,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.chdir(workplace)
    monkeypatch.setattr(contact_sheet, "write", full)
    digit.save(tmp_path / "a.png")
    line = ["exports/ltfn5/1", str(tmp_path / "a.png"), "--show", str(tmp_path / "seen.png")]
    with pytest.raises(OSError, match="no space"):
        predict.main(line)
    assert "a.png: " in capsys.readouterr().out


def test_where_the_sheet_cannot_be_written_is_said(
    workplace: Path, digit: PIL.Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace)
    digit.save(tmp_path / "a.png")
    photo = tmp_path / "photo.png"
    digit.save(photo)
    for target, message in (
        ("seen.jpg", "ends in .png"),
        ("no/seen.png", "no is not a folder"),
        (str(photo), "--show would replace .*photo.png; give the name of a new file"),
    ):
        # It is said before anything is opened.
        with pytest.raises(InputError, match=message):
            predict.main(["nothing", str(tmp_path / "a.png"), "--show", target])
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match="is not a writable folder"):
        predict.main(["nothing", str(tmp_path / "a.png"), "--show", str(tmp_path / "seen.png")])
