"""Use the web page in a browser as people do: draw, drop pictures, open volumes, press keys."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import functools
import re
from collections.abc import Iterable, Iterator
from concurrent import futures
from itertools import cycle, product
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import expect

import zoo
from export.check import gallery
from export.convert import litert_js, web
from export.network.deploy import inference_model
from tests.export.convert.strokes import DIGITS, Stroke
from zoo import data
from zoo.bundles import browser, runtimes
from zoo.data import Dataset
from zoo.data.preprocessing import Preprocessing
from zoo.errors import InputError
from zoo.inference import predict_fn
from zoo.metrics import evaluate

PLACES = (
    # Left, top and size of the digit's box on the paper, and the width of the pen.
    (0.2, 0.15, 0.7, 18),
    (0.05, 0.05, 0.4, 10),
    (0.5, 0.45, 0.45, 12),
    (0.3, 0.2, 0.55, 32),
    (0.15, 0.5, 0.35, 6),
)
HANDWRITING = Preprocessing(height=28, width=28, channels=1, polarity="light-on-dark", ink=True)
DOWNSAMPLING = ("ltfn5", "ltfn5-avgpool", "ltfn5-strided", "ltfn5-convpool", "ltfn5-allconv")
launched = functools.cache(browser.launch)


def write_page(
    models: keras.Model | list[keras.Model],
    file: Path,
    labels: tuple[str, ...],
    wanted: Preprocessing,
    pictures: dict[str, Any] | None = None,
) -> Path:
    """Write the page of one or more networks."""
    models = models if isinstance(models, list) else [models]
    networks = [
        {
            "name": model.name,
            "story": "made for a test",
            "format": "float32",
            "test": {"correct": 9_876, "count": 10_000, "cost": 1234.5},
        }
        for model in models
    ]
    facts = {
        "networks": networks,
        "labels": labels,
        "preprocessing": wanted.record(),
        "gallery": pictures,
        "offline": False,
    }
    file.write_text(web.convert(list(map(inference_model, models)), facts), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory, digits: Dataset) -> Path:
    """Return the page of a network that was trained on MNIST, with some of the digits."""
    file = tmp_path_factory.mktemp("page") / "compact-10k.html"
    model = zoo.load_model("compact-10k")
    pictures = gallery.gallery(digits, evaluate(predict_fn(model), digits.test), 12)
    return write_page(model, file, digits.class_names, HANDWRITING, pictures)


class Opened:
    """A page that was opened from its file, and all that it asked for or complained about."""

    def __init__(self, file: Path, **options: Any) -> None:
        self.context = launched().new_context(offline=True, **options)
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.problems: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", lambda message: self.problems.append(message.text))
        self.page.goto(file.as_uri())
        self.verdict = self.page.locator("#verdict")
        expect(self.verdict).not_to_contain_text("Loading", timeout=30_000)

    def draw(self, strokes: list[Stroke], place: tuple[float, float, float, int]) -> None:
        """Draw with the mouse."""
        left, top, size, width = place
        self.page.locator("#pen").fill(str(width))
        box = self.page.locator("#paper").bounding_box()
        assert box
        for stroke in strokes:
            points = [
                (
                    box["x"] + (left + size * x) * box["width"],
                    box["y"] + (top + size * y) * box["height"],
                )
                for x, y in stroke
            ]
            self.page.mouse.move(*points[0])
            self.page.mouse.down()
            for point in points[1:]:
                self.page.mouse.move(*point)
            self.page.mouse.up()

    def answer(self) -> str:
        """Return the class, once no picture waits for its answer."""
        self.page.evaluate("async () => (await page).settled()")
        return (self.verdict.text_content() or "").split(" (")[0]

    def drop(self, content: bytes, name: str = "picture.png") -> None:
        """Drop a file on the page."""
        self.page.evaluate(
            """([base64, name]) => {
              const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
              const dataTransfer = new DataTransfer();
              dataTransfer.items.add(new File([bytes], name));
              const options = { dataTransfer, bubbles: true, cancelable: true };
              document.body.dispatchEvent(new DragEvent("drop", options));
            }""",
            [base64.b64encode(content).decode(), name],
        )


@pytest.fixture
def opened(page_file: Path) -> Iterator[Opened]:
    found = Opened(page_file)
    yield found
    found.context.close()


def png(picture: Image.Image, folder: Path) -> bytes:
    file = folder / "picture.png"
    picture.save(file)
    return file.read_bytes()


def wrong_answers(
    opened: Opened, drawings: Iterable[tuple[str, tuple[float, float, float, int]]]
) -> list[tuple[str, str]]:
    """Draw digits at places of the paper; return each that gets another answer, with the answer."""
    found = []
    for digit, place in drawings:
        opened.draw(DIGITS[digit], place)
        if (answer := opened.answer()) != digit:
            found.append((digit, answer))
        opened.page.locator("#clear").click()
    return found


def test_digits_that_are_drawn_with_the_mouse(opened: Opened) -> None:
    assert not wrong_answers(opened, zip(DIGITS, cycle(PLACES), strict=False))
    # Nothing but the two warnings of LiteRT.js where there is no graphics processor.
    assert [each for each in opened.problems if "adapter" not in each] == []
    assert {url.partition(":")[0] for url in opened.requests} <= {"file", "data", "blob"}


@pytest.mark.long
def test_each_digit_at_each_place(opened: Opened) -> None:
    assert not wrong_answers(opened, product(DIGITS, PLACES))


def test_an_answer_takes_less_than_50_milliseconds(opened: Opened, page_file: Path) -> None:
    opened.draw(DIGITS["3"], PLACES[0])
    assert opened.answer() == "3"
    assert re.fullmatch(r"\d+\.\d ms in the network", opened.page.locator(".time").inner_text())
    image = np.zeros((1, 28, 28, 1), np.uint8)
    page = browser.Page(page_file)
    assert 0 < np.median([page.seconds(np.repeat(image, 10, 0)) / 10 for _ in range(9)]) < 0.05


def test_undo_and_clear(opened: Opened) -> None:
    opened.draw(DIGITS["1"], PLACES[0])
    assert opened.answer() == "1"
    opened.draw([[(0.9, 0.1), (0.9, 0.5)]], (0.0, 0.0, 1.0, 10))
    assert opened.answer() == "2 separate objects found"
    opened.page.locator("#undo").click()
    assert opened.answer() == "1"
    opened.page.locator("#clear").click()
    assert opened.answer().startswith("Draw a character")
    assert opened.page.locator(".classes .largest").count() == 0


def test_keyboard_only(opened: Opened) -> None:
    opened.page.locator("#paper").focus()
    for key, count in (("ArrowUp", 8), (" ", 1), ("ArrowDown", 18), (" ", 1)):
        for _ in range(count):
            opened.page.keyboard.press(key)
    assert opened.answer() == "1"
    opened.page.locator("#blocks [role=button]").nth(1).focus()
    opened.page.keyboard.press("Enter")
    expect(opened.page.locator("#maps-title")).to_have_text("layer1: 28x28x12")
    opened.page.locator("#feature-maps").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        opened.page.keyboard.press(key)
    expect(opened.page.locator("#cell")).to_contain_text("Map 1 of 12, row 2, column 3: ")


def test_a_finger_draws(page_file: Path) -> None:
    opened = Opened(page_file, has_touch=True, viewport={"width": 390, "height": 844})
    box = opened.page.locator("#paper").bounding_box()
    assert box
    session = opened.context.new_cdp_session(opened.page)
    x = box["x"] + box["width"] / 2
    for kind, share in (("touchStart", 0.2), ("touchMove", 0.5), ("touchMove", 0.8)):
        points = [{"x": x, "y": box["y"] + share * box["height"]}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert opened.answer() == "1"
    # On a phone, nothing is wider than the screen.
    assert opened.page.evaluate("() => document.documentElement.scrollWidth") <= 390
    opened.context.close()


def test_only_the_first_pointer_draws(page_file: Path) -> None:
    opened = Opened(page_file, has_touch=True)
    box = opened.page.locator("#paper").bounding_box()
    assert box
    left, top, side = box["x"], box["y"], box["width"]
    session = opened.context.new_cdp_session(opened.page)
    opened.page.mouse.move(left + 0.5 * side, top + 0.2 * side)
    opened.page.mouse.down()
    for kind, share in (("touchStart", 0.9), ("touchMove", 0.7)):
        points = [{"x": left + 0.9 * side, "y": top + share * side}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    opened.page.mouse.move(left + 0.5 * side, top + 0.5 * side)
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    opened.page.mouse.move(left + 0.5 * side, top + 0.8 * side)
    opened.page.mouse.up()
    assert opened.answer() == "1"
    # All of the mouse's stroke, also what it drew after the finger was lifted.
    found = re.search(r"ink of (\d+)x(\d+) pixels", opened.page.locator("#steps").inner_text())
    assert found
    assert int(found[1]) == pytest.approx(18, abs=3)
    assert int(found[2]) == pytest.approx(0.6 * 280 + 18, abs=3)
    opened.context.close()


@pytest.mark.parametrize("count", [1, 2])
def test_long_names_of_classes_on_a_phone(count: int, tmp_path: Path) -> None:
    models = []
    for at in range(count):
        image = keras.Input((28, 28, 1))
        dense = keras.layers.Dense(3, name="logits")
        models.append(keras.Model(image, dense(keras.layers.Flatten()(image)), name=f"own{at}"))
        dense.kernel.assign(np.tile([0.001, -0.001, 0.002], (784, 1)))
    labels = ("German short-haired pointer", "n02100735_English_setter_and_more", "7")
    file = write_page(models, tmp_path / "page.html", labels, HANDWRITING)
    opened = Opened(file, viewport={"width": 320, "height": 640})
    opened.draw(DIGITS["1"], PLACES[0])
    opened.answer()
    expect(opened.page.locator(".largest th")).to_have_text(["7"] * count)
    assert opened.page.evaluate("() => document.documentElement.scrollWidth") <= 320
    opened.context.close()


def test_a_dropped_photo(opened: Opened, digits: Dataset, tmp_path: Path) -> None:
    image, label = digits.test.images[3, :, :, 0], digits.test.labels[3]
    photo = Image.new("RGB", (640, 480), (225, 215, 200))
    ink = Image.fromarray(image).resize((224, 224), Image.Resampling.BICUBIC)
    photo.paste((40, 30, 80), (300, 120), ink)
    opened.drop(png(photo, tmp_path), "photo.png")
    expect(opened.page.locator("#steps")).to_contain_text("background removed, ink of")
    assert opened.answer() == str(label)


def test_pictures_without_an_answer(opened: Opened, tmp_path: Path) -> None:
    for content, words in (
        (png(Image.new("L", (300, 300), 220), tmp_path), "no ink found"),
        (b"text", "picture.png is not a picture that this browser can read"),
        (b"", "picture.png is not a picture that this browser can read"),
    ):
        opened.drop(content)
        expect(opened.verdict).to_have_text(words)
        assert opened.page.locator(".classes .largest").count() == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "ltfn5",
        "ltfn5-avgpool",
        "compact-4k",
        pytest.param("ltfn5-strided", marks=pytest.mark.long),
        pytest.param("ltfn5-allconv-gap", marks=pytest.mark.long),
    ],
)
def test_every_layer_equals_keras_and_explains_itself(
    name: str, digits: Dataset, tmp_path: Path
) -> None:
    keras.utils.set_random_seed(1)
    model = inference_model(zoo.create_model(name))
    file = write_page(model, tmp_path / "page.html", tuple("0123456789"), HANDWRITING)
    images = digits.test.images[:10]
    page = browser.Page(file)
    computed, volumes = page.volumes(images), page.facts["networks"][0]["volumes"]
    for volume in volumes:
        tensor = web.drawn_tensors(model)[volume["name"]]
        expected = keras.Model(model.input, tensor)(images.astype(np.float32)).numpy()
        difference = np.abs(computed[volume["name"]] - expected.reshape(len(images), -1)).max()
        assert difference <= 1e-4 * np.ptp(expected), volume["name"]
        assert list(expected.shape[1:]) == [
            each for each in volume["shape"] if expected.ndim == 4 or each > 1
        ]
    _check_explanations(Opened(file), volumes)


def _check_explanations(opened: Opened, volumes: list[dict[str, Any]]) -> None:
    """Check for some values of each volume that their computation ends with the value."""
    opened.draw(DIGITS["3"], PLACES[0])
    opened.answer()
    explained = 0
    for number, volume in enumerate(volumes, 1):
        opened.page.locator("#blocks [role=button]").nth(number).click()
        expect(opened.page.locator("#maps-title")).to_contain_text(volume["name"])
        opened.page.locator("#feature-maps").scroll_into_view_if_needed()
        box = opened.page.locator("#feature-maps").bounding_box()
        assert box
        for x, y in ((0.11, 0.13), (0.52, 0.21), (0.33, 0.3)):
            opened.page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
            words = opened.page.locator("#cell").inner_text()
            numbers = re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?(?![\d.]|\s*of|x)", words.rstrip("."))
            value = float(re.findall(r"column \d+: (\S+)", words)[0])
            if volume["operation"]:
                explained += 1
                assert float(numbers[-1]) == pytest.approx(value, rel=0.02, abs=1e-6), words
    assert explained >= 3 * (len(volumes) - 2)
    opened.context.close()


@pytest.mark.slow
def test_networks_side_by_side(digits: Dataset, tmp_path: Path) -> None:
    """The five ways to downsample of ltfn5, with the first weights of the post's recipe."""
    keras.utils.set_random_seed(1)
    models = [zoo.create_model(name) for name in DOWNSAMPLING]
    for kernel in (each for model in models for each in model.trainable_weights if each.ndim > 1):
        kernel.assign(keras.random.normal(kernel.shape))
    pictures = gallery.gallery(digits, evaluate(predict_fn(models[0]), digits.test), 6)
    assert pictures
    file = write_page(models, tmp_path / "five.html", digits.class_names, HANDWRITING, pictures)
    opened = Opened(file, viewport={"width": 390, "height": 844})
    articles = opened.page.locator("article")
    assert articles.locator("h3").all_inner_texts() == list(DOWNSAMPLING)
    expect(articles.first.locator(".story")).to_have_text(
        "made for a test, 321,738 parameters. In Keras: 98.76 % of 10,000 test images, cost 1,235."
    )
    pixels = np.frombuffer(base64.b64decode(pictures["images_base64"]), np.uint8)
    images = pixels.reshape(-1, *digits.image_shape).astype(np.float32)
    differing = 0
    for at, label in enumerate(pictures["labels"]):
        opened.page.locator("#errors button, #others button").nth(at).click()
        opened.answer()
        logits = [model(images[at : at + 1]).numpy()[0].astype(np.float64) for model in models]
        classes = [digits.class_names[row.argmax()] for row in logits]
        differing += len(set(classes)) > 1
        together = ", ".join(map("{}: {}".format, DOWNSAMPLING, classes))
        alike = f"All: {classes[0]}"
        expect(opened.verdict).to_have_text(together if len(set(classes)) > 1 else alike)
        for article, row in zip(articles.all(), logits, strict=True):
            name = digits.class_names[row.argmax()]
            verdict = article.locator(".verdict").inner_text()
            assert verdict.startswith(f"{name} (")
            assert verdict.endswith(", another class") == (name != classes[0])
            assert ("differs" in (article.get_attribute("class") or "")) == (name != classes[0])
            shown = article.locator(".classes tbody td:last-child").all_inner_texts()
            numbers = [float(each.replace(",", "")) for each in shown]
            assert numbers == pytest.approx(row, abs=1e-4 * np.ptp(row))
            cost = np.logaddexp.reduce(row) - row[label]
            words = article.locator(".time").inner_text()
            found = re.search(rf"cost ([\d.,e+-]+) for {digits.class_names[label]}", words)
            assert found
            allowed = max(0.006 * cost, 1e-4 * np.ptp(row))
            assert float(found[1].replace(",", "")) == pytest.approx(cost, abs=allowed)
            if row is not logits[0]:
                off = np.abs(row - logits[0]).max()
                found = re.search(r"that of ltfn5 by up to (\S+)", words)
                assert found
                assert float(found[1].replace(",", "")) == pytest.approx(off, rel=0.006)
    assert differing  # otherwise nothing of it was tested
    _check_volumes_of_each(opened, logits)
    # On a phone, the networks are below each other.
    assert opened.page.evaluate("() => document.documentElement.scrollWidth") <= 390
    opened.context.close()


def _check_volumes_of_each(opened: Opened, logits: list[np.ndarray]) -> None:
    """Check that the feature maps of each network are its own."""
    blocks = opened.page.get_by_role("button", name="logits 10", exact=False)
    assert blocks.count() == len(logits)
    for at, (name, row) in enumerate(zip(DOWNSAMPLING, logits, strict=True)):
        blocks.nth(at).click()
        expect(opened.page.locator("#maps-title")).to_have_text(f"{name}, logits: 1x1x10")
        assert blocks.nth(at).get_attribute("aria-expanded") == "true"
        assert opened.page.locator("[aria-expanded=true]").count() == 1
        value = float(opened.page.locator("#cell").inner_text().rpartition(": ")[2])
        assert value == pytest.approx(row[0], rel=0.006, abs=1e-4 * np.ptp(row))
    blocks.nth(len(logits) - 1).click()
    expect(opened.page.locator("#maps")).to_be_hidden()


def test_a_network_of_own_pictures(tmp_path: Path) -> None:
    image = keras.Input((24, 32, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Conv2D(4, 3, activation="relu", name="edges")(x)
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    model = keras.Model(image, keras.layers.Dense(3, name="logits")(x), name="own <b>&amp; more")
    wanted = Preprocessing(height=24, width=32, channels=3, fit="crop")
    labels = ("</script><script>alert(1)</script>", "été", "a\u2028b")
    file = write_page(model, tmp_path / "own.html", labels, wanted)
    opened = Opened(file)
    assert not opened.page.locator("#pad").is_visible()
    assert opened.page.title() == "own <b>&amp; more"
    expect(opened.verdict).to_have_text("Choose a picture.")
    random = np.random.default_rng(0)
    picture = Image.fromarray(random.integers(0, 256, (200, 300, 3), np.uint8))
    opened.drop(png(picture, tmp_path))
    expect(opened.page.locator("#steps")).to_have_text("cropped and resized from 200x300 to 24x32")
    seen = data.preprocessing.prepare(picture, wanted).image[None].astype(np.float32)
    logits = model(seen).numpy()[0]
    assert opened.answer() == labels[logits.argmax()]
    shown = opened.page.locator(".classes td:last-child").all_inner_texts()
    assert [float(each) for each in shown[-3:]] == pytest.approx(logits.tolist(), abs=0.006)
    assert [each for each in opened.problems if "adapter" not in each] == []
    opened.context.close()


def test_test_pictures(opened: Opened, digits: Dataset) -> None:
    expect(opened.page.locator("#gallery-source")).to_have_text(
        "12 images of the test split of digits, CC BY 4.0"
    )
    buttons = opened.page.locator("#errors button, #others button")
    expect(buttons).to_have_count(12)
    for at, words in enumerate(buttons.all_inner_texts()):
        label, _, predicted = words.partition(", not ")
        buttons.nth(at).click()
        assert opened.answer() == (predicted or label)
        expect(opened.page.locator("#steps")).to_have_text("used unchanged")
    errors = opened.page.locator("#errors button").all_inner_texts()
    assert 0 < len(errors) <= 6
    assert all(", not " in words for words in errors)


def test_the_worst_errors_come_first(digits: Dataset) -> None:
    reference = evaluate(predict_fn(zoo.load_model("ltfn1")), digits.test)
    found = gallery.gallery(digits, reference, 20)
    assert found
    pixels = np.frombuffer(base64.b64decode(found["images_base64"]), np.uint8)
    images = pixels.reshape(-1, *digits.image_shape)
    assert (len(images), found["errors"]) == (20, 10)
    at = [int(np.flatnonzero((digits.test.images == image).all((1, 2, 3)))[0]) for image in images]
    assert len(set(at)) == 20
    assert digits.test.labels[at].tolist() == found["labels"]
    logits = reference.logits[at]
    assert logits.argmax(1).tolist() == found["predicted"]
    wrong = [one != other for one, other in zip(found["labels"], found["predicted"], strict=True)]
    assert wrong == [True] * 10 + [False] * 10
    shares = np.exp(logits - logits.max(1, keepdims=True))
    confidence = (1 / shares.sum(1))[:10]
    assert (np.diff(confidence) <= 0).all()
    assert gallery.gallery(digits, reference, 0) is None
    usual = gallery.gallery(digits, reference)
    assert usual
    assert len(usual["labels"]) == 300
    # The pictures of a folder may be private.
    assert gallery.gallery(dataclasses.replace(digits, homepage=""), reference) is None


def test_names_of_the_test_pictures(opened: Opened) -> None:
    buttons = opened.page.locator("#errors button, #others button")
    for at, words in enumerate(buttons.all_inner_texts(), 1):
        name = f"test picture {at} of 12, class {words}"
        expect(buttons.nth(at - 1)).to_have_accessible_name(name)


def test_the_keyboard_skips_the_test_pictures(opened: Opened) -> None:
    link = opened.page.get_by_role("link", name="Skip the test pictures")
    assert link.evaluate("link => getComputedStyle(link).opacity") == "0"
    opened.page.locator("#file").focus()
    for _ in range(9):
        opened.page.keyboard.press("Tab")
        if link.evaluate("link => link === document.activeElement"):
            break
    expect(link).to_be_in_viewport()
    assert link.evaluate("link => getComputedStyle(link).opacity") == "1"
    opened.page.keyboard.press("Enter")
    opened.page.keyboard.press("Tab")
    assert opened.page.evaluate("() => Boolean(document.activeElement.closest('#blocks'))")


def test_a_volume_before_the_first_answer(opened: Opened) -> None:
    hint = opened.page.get_by_text("No feature maps yet. Draw a character, or choose a picture.")
    block = opened.page.locator("#blocks [role=button]").nth(1)
    block.click()
    expect(hint).to_be_visible()
    expect(opened.page.locator("#maps")).to_be_hidden()
    opened.draw(DIGITS["1"], PLACES[0])
    assert opened.answer() == "1"
    expect(hint).to_be_hidden()
    block.click()
    expect(opened.page.locator("#maps-title")).to_have_text("layer1: 28x28x12")
    expect(hint).to_be_hidden()


def test_a_browser_that_cannot_run_the_network(page_file: Path, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    whole = page_file.read_text(encoding="utf-8")
    file.write_text(whole.replace('id="runtime">', 'id="runtime">!'), encoding="utf-8")
    opened = Opened(file)
    words = re.compile("^This browser cannot run the network: .*atob")
    hint = re.compile("^No feature maps yet. This browser cannot run the network: ")
    expect(opened.verdict).to_have_text(words)
    opened.draw(DIGITS["1"], PLACES[0])
    expect(opened.verdict).to_have_text(words)
    opened.page.locator("#clear").click()
    expect(opened.verdict).to_have_text(words)
    opened.page.locator("#blocks [role=button]").nth(1).click()
    expect(opened.page.locator("#no-maps")).to_have_text(hint)
    opened.context.close()


def test_without_javascript(page_file: Path) -> None:
    context = launched().new_context(offline=True, java_script_enabled=False)
    page = context.new_page()
    page.goto(page_file.as_uri())
    expect(page.locator("noscript p")).to_be_visible()
    expect(page.get_by_text("Loading the network")).to_be_hidden()
    context.close()


def test_the_policy_allows_no_connection(page_file: Path, opened: Opened) -> None:
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', page_file.read_text())
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert "'unsafe-eval'" not in policy
    refused = opened.page.evaluate(
        "() => fetch('data:text/plain,hello').then(() => 'answered', () => 'refused')"
    )
    assert refused == "refused"


def test_drawing_is_answered_after_each_stroke(opened: Opened) -> None:
    opened.draw(DIGITS["4"][:1], PLACES[0])
    first = opened.answer()
    assert first in DIGITS.keys() - {"4"}
    opened.draw(DIGITS["4"][1:], PLACES[0])
    assert opened.answer() == "4"


def test_a_picture_that_is_read_slowly_replaces_no_drawing(opened: Opened, tmp_path: Path) -> None:
    large = Image.new("L", (6_000, 6_000), 220)
    ImageDraw.Draw(large).ellipse((1_500, 1_000, 4_000, 5_000), outline=20, width=400)
    content = png(large, tmp_path)
    opened.drop(content)
    opened.page.locator("#paper").press(" ")  # begins a stroke before the picture is read
    opened.page.wait_for_timeout(2_000)
    assert opened.page.locator("#picture").get_attribute("width") == "280"
    opened.drop(content)  # without a drawing meanwhile, it is answered
    expect(opened.page.locator("#picture")).to_have_attribute("width", "6000", timeout=20_000)
    assert opened.answer() == "0"


def test_a_large_picture_is_being_prepared(opened: Opened, tmp_path: Path) -> None:
    large = Image.new("L", (4_000, 4_000), 220)
    ImageDraw.Draw(large).ellipse((1_000, 600, 2_600, 3_400), outline=20, width=300)
    content = png(large, tmp_path)
    opened.page.evaluate(
        """() => {
          self.painted = [];
          const note = () => {
            painted.push(document.getElementById("verdict").textContent);
            requestAnimationFrame(note);
          };
          requestAnimationFrame(note);
        }"""
    )
    opened.drop(content)
    expect(opened.page.locator("#picture")).to_have_attribute("width", "4000", timeout=20_000)
    assert opened.answer() == "0"
    assert "Preparing the picture ..." in opened.page.evaluate("() => painted")


def test_the_notice_of_the_licence(opened: Opened) -> None:
    expect(opened.page.locator("footer")).to_contain_text("Apache License, Version 2.0")


def test_npm_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    why = r"^npm cannot install LiteRT.js: request to \S+ failed.*; export once without --offline$"
    with pytest.raises(InputError, match=why):
        litert_js.installed(offline=True)
    assert not list((tmp_path / "cache").rglob("*.wasm"))


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(InputError, match=r"cannot be installed in .*cache.*XDG_CACHE_HOME"):
        litert_js.installed()


def test_only_pixels_are_classified(page_file: Path) -> None:
    page = browser.Page(page_file)
    for images in (np.zeros((2, 28, 28, 1), np.float32), np.zeros((2, 28, 28), np.uint8)):
        with pytest.raises(ValueError, match=r"images must be uint8 \[N, 28, 28, 1\], received"):
            page.logits(images)


def test_logits_that_are_not_finite(tmp_path: Path, digits: Dataset) -> None:
    image = keras.Input((28, 28, 1))
    x = keras.layers.Flatten()(image)
    dense = keras.layers.Dense(10, name="logits")
    model = keras.Model(image, dense(x), name="too_large")
    dense.kernel.assign(np.full(dense.kernel.shape, 3e38))
    opened = Opened(write_page(model, tmp_path / "page.html", digits.class_names, HANDWRITING))
    opened.draw(DIGITS["1"], PLACES[0])
    assert opened.answer() == "The logits of too_large are not finite for this picture."
    opened.context.close()


def test_the_page_answers_in_the_event_loop_of_a_notebook(page_file: Path) -> None:
    async def cell(image: np.ndarray) -> np.ndarray:
        return runtimes.load_predict_fn(page_file)(image)

    blank = np.zeros((1, 28, 28, 1), np.uint8)
    with futures.ThreadPoolExecutor() as threads:
        first, second = (threads.submit(asyncio.run, cell(blank)).result() for _ in range(2))
    assert first.shape == (1, 10)
    assert np.array_equal(first, second)


def test_without_a_browser(page_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "command", lambda: None)
    monkeypatch.setattr(browser, "_launched", browser.launch)
    with pytest.raises(InputError, match="needs Chromium or Chrome, which is not installed"):
        runtimes.load_predict_fn(page_file)
