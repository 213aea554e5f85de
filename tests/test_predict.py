from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from tests.conftest import Command
from zoo import predict
from zoo.data import Dataset
from zoo.errors import InputError
from zoo.fit import fit

SHAPE = (28, 28, 1)


@pytest.fixture
def digit(digits: Dataset) -> PIL.Image.Image:
    return PIL.Image.fromarray(digits.test.images[0, :, :, 0])


def _fit(
    picture: PIL.Image.Image, path: Path, shape: tuple[int, int, int] = SHAPE, border: float = 0
) -> tuple[np.ndarray, list[str]]:
    picture.save(path)
    return fit(path, shape, border)


def test_an_image_of_the_set_is_taken_as_it_is(digit: PIL.Image.Image, tmp_path: Path) -> None:
    image, done = _fit(digit, tmp_path / "a.png")
    assert done == []
    np.testing.assert_array_equal(image[:, :, 0], digit)


def test_large_dark_ink_on_transparent_paper_becomes_the_same(
    digit: PIL.Image.Image, tmp_path: Path
) -> None:
    ink = digit.resize((280, 280), PIL.Image.Resampling.NEAREST)
    picture = PIL.Image.new("RGBA", ink.size, (0, 0, 0, 0))
    picture.putalpha(ink)
    image, done = _fit(picture, tmp_path / "a.png")
    assert done == ["laid on white", "made grey", "inverted", "resized from 280x280 to 28x28"]
    assert np.abs(image[:, :, 0].astype(int) - np.asarray(digit)).max() <= 1


def test_other_modes(digit: PIL.Image.Image, tmp_path: Path) -> None:
    deep = PIL.Image.fromarray(np.asarray(digit).astype(np.uint16) * 257)
    for picture in (digit.convert("RGB"), digit.convert("P"), deep):
        image, done = _fit(picture, tmp_path / "a.png")
        assert done == ["made grey"], picture.mode
        np.testing.assert_array_equal(image[:, :, 0], digit, err_msg=picture.mode)
    bits, done = _fit(
        digit.point(lambda pixel: 255 * (pixel > 99)).convert("1"), tmp_path / "b.png"
    )
    assert done == ["made grey"]
    assert set(np.unique(bits)) == {0, 255}


def test_proportions_are_kept_on_the_pictures_own_paper(tmp_path: Path) -> None:
    wide = PIL.Image.new("L", (40, 20), 10)
    wide.paste(200, (10, 5, 30, 15))
    image, done = _fit(wide, tmp_path / "a.png", (20, 20, 1))
    assert done == ["resized from 20x40 to 20x20"]
    assert set(np.unique(image[:5])) == {10}
    assert image[10, 10, 0] == 200


def test_the_paper_of_the_training_images_decides(digit: PIL.Image.Image, tmp_path: Path) -> None:
    _, done = _fit(digit, tmp_path / "a.png", border=250)
    assert done == ["inverted"]
    _, done = _fit(digit, tmp_path / "a.png", (28, 28, 3), border=250)
    assert done == ["made colour"]


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"GIF89a, or so it says")
    with pytest.raises(InputError, match=r"a\.png is not a picture"):
        fit(path, SHAPE, 0)


def test_pictures_are_classified(
    command: Command, workplace: Path, digits: Dataset, tmp_path: Path
) -> None:
    names = []
    for index in range(12):
        ink = PIL.Image.fromarray(255 - digits.test.images[index, :, :, 0]).resize((140, 140))
        names.append(f"{index}.jpg")
        ink.save(tmp_path / names[-1])
    run = workplace / "runs" / "ltfn5"
    done = command("zoo.predict", run, *names, "--json", "--top", 2, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert [answer["picture"] for answer in answers] == names
    assert answers[0]["done"] == ["inverted", "resized from 140x140 to 28x28"]
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
    with pytest.raises(InputError, match="runs/ltfn5 is no bundle"):
        predict.main(["runs/ltfn5", picture, "--runtime", "int8"])
    with pytest.raises(InputError, match="runs is not a run folder"):
        predict.main(["runs", picture])
