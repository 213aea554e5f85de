"""Run the web page of a bundle in Chromium or Chrome, without a window and without a network."""

from __future__ import annotations

import base64
import functools
import shutil
from concurrent import futures
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


# Playwright's objects belong to the thread that made them, and it refuses one with a running event
# loop, such as a notebook's.
_THREAD = futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="browser")


def command() -> str | None:
    """Return the path of the command that starts the browser, None if there is none."""
    return next(filter(None, map(shutil.which, _COMMANDS)), None)


def launch() -> sync_api.Browser:
    """Start the browser for the calling thread; it ends with the process.

    Raises:
        ModuleNotFoundError: there is no browser or the package ``playwright`` is not installed.
    """
    path = command()
    if path is None:
        raise ModuleNotFoundError("no browser was found", name=NAME)
    driver = sync_api.sync_playwright().start()
    try:
        return driver.chromium.launch(executable_path=path)
    except BaseException:
        driver.stop()  # another one could not be started
        raise


_launched = functools.cache(launch)


class Page:
    """One network of the web page of a bundle, opened from its file, for any thread to call.

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
            ModuleNotFoundError: as ``launch`` does.
            sync_api.Error: the page cannot be opened, or a network cannot be loaded.
        """
        self._network = network
        self._page = _THREAD.submit(_opened, file.resolve().as_uri()).result()
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
        code = f"async ([network, sent]) => {expression}"
        return _THREAD.submit(self._page.evaluate, code, [self._network, sent]).result()


def _opened(address: str) -> sync_api.Page:
    page = _launched().new_context(offline=True).new_page()
    page.goto(address)
    return page


def _unpacked(text: str, count: int) -> np.ndarray:
    """Return float32 values in base64 as an array with ``count`` rows."""
    return np.frombuffer(base64.b64decode(text), np.float32).reshape(count, -1)
