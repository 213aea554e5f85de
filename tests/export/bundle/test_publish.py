"""Test that a version is published completely or not at all, despite kills and other exports."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from export.bundle import publish as publishing
from export.bundle.publish import publish, staging
from tests.conftest import ROOT
from zoo.bundles import integrity
from zoo.errors import DamagedError, InputError

KILLS = 40

# An export without conversions: it stages, seals and publishes in the same way.
PROGRAM = """
import sys, time
from pathlib import Path
from export.bundle import publish as publishing
from export.bundle.publish import publish, staging
from zoo.bundles import integrity

print("begun", flush=True)
while True:
    with staging(Path(sys.argv[1])) as stage:
        (stage / "variables").mkdir()
        for number in range(20):
            (stage / "variables" / f"{number}").write_bytes(bytes([number]) * 100_000)
        integrity.seal(stage, {"artifacts": []})
        print(publish(stage, Path(sys.argv[1])), flush=True)
"""


class Watcher(threading.Thread):
    """Polls a folder of versions as a server does, and opens every new version."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.folder = folder
        self.partial: list[str] = []
        self.looks = 0
        self._seen: set[str] = set()
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.is_set():
            self.looks += 1
            found = self.folder.iterdir() if self.folder.exists() else iter(())
            for version in found:
                # A complete version never changes; ``stop`` checks it once more.
                if version.name.isdecimal() and version.name not in self._seen:
                    self._seen.add(version.name)
                    self._open(version)

    def _open(self, version: Path) -> None:
        try:
            integrity.open_bundle(version)
        except DamagedError as error:
            self.partial.append(str(error))

    def stop(self) -> int:
        """Check every version once more; return the number of versions."""
        self._stopped.set()
        self.join()
        versions = [path for path in self.folder.iterdir() if path.name.isdecimal()]
        for version in versions:
            self._open(version)
        return len(versions)


@pytest.mark.slow
def test_no_kill_leaves_a_partial_version(tmp_path: Path) -> None:
    out = tmp_path / "exports"
    watcher = Watcher(out)
    watcher.start()
    chance = random.Random(0)
    stages, seconds = 0, 0.0
    for number in range(KILLS):
        line = [sys.executable, "-c", PROGRAM, str(out)]
        process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        if number % 2 == 0:  # else it is killed about when it publishes its first version
            begin = time.monotonic()
            assert process.stdout.readline() != ""
            seconds = time.monotonic() - begin
        time.sleep(chance.uniform(0, 1.5 * seconds))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        stages += len(list(out.glob(".staging-*")))
    versions = watcher.stop()
    assert watcher.partial == []
    # Some kills hit before and some after a publication; the next export removes a stage left.
    assert versions >= KILLS // 2
    assert stages >= KILLS // 4
    assert watcher.looks > versions
    with staging(out) as stage:
        assert [path for path in out.glob(".staging-*") if path.is_dir()] == [stage]
    assert not list(out.glob(".staging-*"))


def test_a_number_that_another_export_has_just_taken_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_versions = publishing.versions

    def list_and_lose(out: Path) -> Sequence[int]:
        """Let another export publish between the look at the folder and the rename."""
        versions = list_versions(out)
        if len(versions) < 2:
            other = out / str(1 + len(versions))
            other.mkdir()
            (other / "file").write_text("of another")
        return versions

    monkeypatch.setattr(publishing, "versions", list_and_lose)
    with staging(tmp_path) as stage:
        (stage / "file").write_text("own")
        assert publish(stage, tmp_path) == tmp_path / "3"
    found = {path.name: (path / "file").read_text() for path in tmp_path.glob("[0-9]")}
    assert found == {"1": "of another", "2": "of another", "3": "own"}


def test_a_version_is_no_folder_of_versions(tmp_path: Path) -> None:
    with staging(tmp_path) as stage:
        integrity.seal(stage, {"artifacts": []})
        version = publish(stage, tmp_path)
    before = sorted(version.iterdir())
    message = "is a published version; give its parent folder with --out"
    with pytest.raises(InputError, match=message), staging(version):
        pass
    assert sorted(version.iterdir()) == before
    integrity.open_bundle(version)


def test_a_link_to_a_folder_is_not_part_of_a_bundle(tmp_path: Path) -> None:
    with staging(tmp_path / "out") as stage:
        integrity.seal(stage, {"artifacts": []})
        version = publish(stage, tmp_path / "out")
    (version / "assets.extra").symlink_to(tmp_path)
    with pytest.raises(DamagedError, match=r"assets\.extra is not part of the bundle"):
        integrity.open_bundle(version)


def test_a_folder_that_was_made_for_nothing_is_removed(tmp_path: Path) -> None:
    with staging(tmp_path / "out") as stage:
        assert stage.is_dir()
    assert not (tmp_path / "out").exists()
    with staging(tmp_path / "out"), staging(tmp_path / "out") as other:
        assert other.is_dir()
    assert not (tmp_path / "out").exists()


@pytest.mark.long
def test_a_killed_exporter_does_not_disturb_another(small: Path, tmp_path: Path) -> None:
    watcher = Watcher(tmp_path)
    watcher.start()
    options = ["--formats", "float32", "--out", str(tmp_path)]
    line = [sys.executable, "-m", "export", str(small / "runs" / "compact-10k"), *options]
    killed, other = (subprocess.Popen(line, stdout=subprocess.PIPE, text=True) for _ in range(2))
    assert killed.stdout is not None
    killed.stdout.readline()  # its stage exists
    delay = random.uniform(0, 6)
    time.sleep(delay)
    killed.kill()
    killed.communicate()
    output, _ = other.communicate()
    assert other.returncode == 0, f"another was killed after {delay} s"
    assert re.match(rf"{tmp_path}/[12] contains the verified bundle", output.splitlines()[-1])
    assert watcher.stop() >= 1
    assert watcher.partial == [], f"another was killed after {delay} s"
    with staging(tmp_path) as stage:
        assert [path for path in tmp_path.glob(".staging-*") if path.is_dir()] == [stage]


def test_the_next_number_is_taken(tmp_path: Path) -> None:
    (tmp_path / "9").mkdir()
    (tmp_path / "notes").mkdir()
    with staging(tmp_path) as stage:
        (stage / "file").write_text("whole")
        assert publish(stage, tmp_path) == tmp_path / "10"
    assert sorted(path.name for path in tmp_path.glob("[!.]*")) == ["10", "9", "notes"]
    assert (tmp_path / "10" / "file").read_text() == "whole"


def test_a_stage_at_work_is_left_alone(tmp_path: Path) -> None:
    abandoned = tmp_path / ".staging-abandoned"
    abandoned.mkdir()
    with staging(tmp_path) as first, staging(tmp_path) as second:
        assert not abandoned.exists()
        assert first.is_dir()
        assert second.is_dir()


def test_a_failed_export_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(KeyError), staging(tmp_path / "new") as stage:  # noqa: PT012
        (stage / "file").write_text("half")
        raise KeyError
    assert not (tmp_path / "new").exists()
