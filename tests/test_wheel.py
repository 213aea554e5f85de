"""Test that the wheel contains all that the commands need, and never writes to its folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import PIL.Image
import pytest

from tests.conftest import ROOT
from zoo.data import Dataset
from zoo.util import atomic


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a read-only folder that contains only the wheel's packages."""
    folder = tmp_path_factory.mktemp("wheel")
    # A build writes files next to the sources, so they are copied.
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("zoo", "export"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source)]
    subprocess.run([*pip, *build], check=True)
    (wheel,) = folder.glob("*.whl")
    site = folder / "site"
    subprocess.run([*pip, "install", "--no-deps", "--target", str(site), str(wheel)], check=True)
    shutil.rmtree(source)
    for path in [*site.rglob("*"), site]:
        path.chmod(path.stat().st_mode & ~0o222)
    return site


def _files(folder: Path) -> dict[Path, str]:
    return {path: atomic.sha256(path) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_an_installed_wheel_trains_exports_and_predicts(
    installed: Path, environment: dict[str, str], digits: Dataset, tmp_path: Path
) -> None:
    before = _files(installed)
    settings = environment | {"PYTHONPATH": os.fspath(installed)}

    def run(*arguments: object) -> str:
        line = [sys.executable, *map(str, arguments)]
        done = subprocess.run(
            line, cwd=tmp_path, env=settings, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run("-c", "import zoo; print(zoo.__file__)").startswith(os.fspath(installed))
    run("-m", "zoo.train", "ltfn1", "--data", "digits", "--steps", 200)
    # These formats need the templates in the wheel.
    run("-m", "export", "runs/ltfn1", "--formats", "float32,microcontroller,web", "--bound",
        "int8=5", "--allow-drop")  # fmt: skip
    PIL.Image.fromarray(digits.test.images[0, :, :, 0]).save(tmp_path / "digit.png")
    assert "digit.png: " in run("-m", "zoo.predict", "exports/ltfn1/1", "digit.png")
    assert f"digit.png: {digits.test.labels[0]} (" in run("-m", "zoo.predict", "ltfn3", "digit.png")
    assert _files(installed) == before
