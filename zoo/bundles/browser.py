"""Run the web page of a bundle in Chromium or Chrome, without a window and without a network."""

from __future__ import annotations

import atexit
import base64
import functools
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from etils import epy

with epy.lazy_imports():
    from playwright import sync_api

NAME = "Chromium or Chrome"
"""The browser, for messages."""

_COMMANDS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)


def command() -> str | None:
    """Return the path of the command that starts the browser, None if there is none."""
    return next(filter(None, map(shutil.which, _COMMANDS)), None)


@functools.cache
def launched() -> sync_api.Browser:
    """Start the browser; the process ends it when it exits.

    Raises:
        ModuleNotFoundError: there is no browser or the package ``playwright`` is not installed.
    """
    path = command()
    if path is None:
        raise ModuleNotFoundError("no browser was found", name=NAME)
    driver = sync_api.sync_playwright().start()
    atexit.register(driver.stop)
    try:
        browser = driver.chromium.launch(executable_path=path)
    except BaseException:
        atexit.unregister(driver.stop)
        driver.stop()  # another one could not be started
        raise
    atexit.register(browser.close)
    return browser


class Page:
    """One network of the web page of a bundle, opened from its file.

    Attributes:
        facts: what the page contains about its networks, see ``export/convert/page/parts.js``.
        image_shape: height, width and channels of the networks' images.
    """

    def __init__(self, file: Path, network: int = 0) -> None:
        """Open a page and wait for its networks.

        Args:
            file: the page.
            network: position of the network to call.

        Raises:
            ModuleNotFoundError: as ``launched`` does.
            sync_api.Error: the page cannot be opened, or a network cannot be loaded.
        """
        self._network = network
        self._page = launched().new_context(offline=True).new_page()
        self._page.goto(file.resolve().as_uri())
        self.facts: dict[str, Any] = self._call("(await page).facts")
        sizes = self.facts["preprocessing"]
        self.image_shape = (sizes["height"], sizes["width"], sizes["channels"])

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Return the logits of uint8 images [N, H, W, C], float32 [N, classes]."""
        return _unpacked(self._call("(await page).logits(network, sent)", images), len(images))

    def volumes(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Return the values of each layer, float32 [N, values], by the layer's name."""
        found = self._call("(await page).volumes(network, sent)", images)
        return {name: _unpacked(values, len(images)) for name, values in found}

    def seconds(self, images: np.ndarray) -> float:
        """Return how long the network takes for all the images, in seconds."""
        return self._call("(await page).seconds(network, sent)", images)

    def _call(self, expression: str, images: np.ndarray | None = None) -> Any:
        sent = ""
        if images is not None:
            if images.dtype != np.uint8 or images.shape[1:] != self.image_shape:
                raise ValueError(
                    f"images must be uint8 [N, {', '.join(map(str, self.image_shape))}], received "
                    f"{images.dtype} {list(images.shape)}"
                )
            sent = base64.b64encode(images.tobytes()).decode("ascii")
        return self._page.evaluate(
            f"async ([network, sent]) => {expression}", [self._network, sent]
        )


def _unpacked(text: str, count: int) -> np.ndarray:
    """Return float32 values in base64 as an array with ``count`` rows."""
    return np.frombuffer(base64.b64decode(text), np.float32).reshape(count, -1)
