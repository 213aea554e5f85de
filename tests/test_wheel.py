"""Test that the wheel contains all that the commands need, and never writes to its folder."""

from __future__ import annotations

import compileall
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import PIL.Image
import pytest

from tests.conftest import MNIST_DIR, ROOT, needs_mnist
from zoo.data import Dataset
from zoo.util import atomic
from zoo.weights import released

Run = Callable[..., str]

# Begins every process: whatever connects to another machine fails.
_WITHOUT_NETWORK = """
import socket

def refuse(self, address):
    raise AssertionError(f"a connection to {address}")

socket.socket.connect = socket.socket.connect_ex = refuse
"""

_CONNECT = """
import socket
try:
    socket.create_connection(("127.0.0.1", 9))
except AssertionError:
    print("refused")
"""

_COUNTS = """
import json, zoo
from zoo.inference import predict_fn
from zoo.metrics import evaluate

test = zoo.load_data("mnist", offline=True).test
networks = {name: zoo.load_model(name) for name in zoo.list_models(pretrained=True)}
correct = {name: evaluate(predict_fn(each), test).correct for name, each in networks.items()}
print(json.dumps(correct))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    # A build writes files next to the sources, so they are copied.
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("zoo", "export"):
        shutil.copytree(ROOT / name, source / name)
    compileall.compile_dir(source, quiet=1)  # as in a checkout whose commands have run
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source)
    shutil.rmtree(source)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """Return a read-only folder that contains only the wheel's packages."""
    site = wheel.parent / "site"
    _pip("install", "--no-deps", "--target", site, wheel)
    for path in [*site.rglob("*"), site]:
        path.chmod(path.stat().st_mode & ~0o222)
    return site


def _pip(*arguments: object) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *map(str, arguments)], check=True)


def _files(folder: Path) -> dict[Path, str]:
    return {path: atomic.sha256(path) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def run(installed: Path, environment: dict[str, str], tmp_path: Path) -> Iterator[Run]:
    """Yield a function that runs Python with the wheel; its folder must stay as it was."""
    before = _files(installed)

    def run_python(*arguments: object, paths: tuple[Path, ...] = (), **settings: str) -> str:
        found = os.pathsep.join(map(os.fspath, (*paths, installed)))
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=tmp_path,
            env=environment | {"PYTHONPATH": found} | settings,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = run_python("-c", "import zoo; print(zoo.__file__)")
    assert where.startswith(os.fspath(installed))
    yield run_python
    assert _files(installed) == before


@pytest.mark.slow
def test_the_wheel_has_no_compiled_files(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert not [name for name in archive.namelist() if name.endswith(".pyc")]


@pytest.mark.slow
def test_an_installed_wheel_trains_exports_and_predicts(
    run: Run, digits: Dataset, tmp_path: Path
) -> None:
    run("-m", "zoo.train", "ltfn1", "--data", "digits", "--steps", 200)
    # These formats need the templates in the wheel.
    run("-m", "export", "runs/ltfn1", "--formats", "float32,microcontroller,web", "--bound",
        "int8=5", "--allow-drop")  # fmt: skip
    PIL.Image.fromarray(digits.test.images[0, :, :, 0]).save(tmp_path / "digit.png")
    assert "digit.png: " in run("-m", "zoo.predict", "exports/ltfn1/1", "digit.png")
    assert f"digit.png: {digits.test.labels[0]} (" in run("-m", "zoo.predict", "ltfn3", "digit.png")
    run("-m", "export", "ltfn3", "--formats", "float32")
    assert "digit.png: " in run("-m", "zoo.predict", "exports/ltfn3/1", "digit.png")


@needs_mnist
@pytest.mark.slow
def test_an_installed_wheel_reproduces_each_test_count(
    run: Run, mnist: Dataset, shared: Path
) -> None:
    found = json.loads(run("-c", _COUNTS, TFDS_DATA_DIR=os.fspath(shared / "mnist")))
    assert found == {name: facts["test_correct"] for name, facts in released().items()}


@needs_mnist
@pytest.mark.slow
def test_an_installed_wheel_reads_handwriting_without_network(run: Run, tmp_path: Path) -> None:
    assert MNIST_DIR
    script = Path(MNIST_DIR).parent / "cases" / "handwriting.py"
    subprocess.run([sys.executable, script, tmp_path / "cases", "--count", "10"], check=True)
    pictures = sorted((tmp_path / "cases").glob("*/*_?.*"))
    assert len(pictures) == 110
    guard = tmp_path / "guard"
    guard.mkdir()
    (guard / "sitecustomize.py").write_text(_WITHOUT_NETWORK)
    assert run("-c", _CONNECT, paths=(guard,)) == "refused\n"
    answers = json.loads(run("-m", "zoo.predict", "ltfn5", *pictures, "--json", paths=(guard,)))
    wrong = [
        path.relative_to(tmp_path / "cases")
        for path, answer in zip(pictures, answers, strict=True)
        if answer["classes"][0]["class"] != path.stem[-1]
    ]
    # Each picture shows a test image, of which the network errs on a few in a thousand; a thick pen
    # can also close the loops of a digit.
    assert len(wrong) <= 1, wrong
