from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import Command
from zoo import list as zoo_list
from zoo.errors import InputError


def _row(network: str, correct: int, size: int) -> dict[str, Any]:
    return {"network": network, "format": "int8", "test_correct": correct, "bytes": size} | {
        "test_count": 1_000
    }


ROWS = [_row("large", 997, 300_000), _row("small", 991, 9_000), _row("middle", 994, 20_000)]


def _names(most_bytes: int | None, least_percent: float | None) -> list[str]:
    return [row["network"] for row in zoo_list.choose(ROWS, most_bytes, least_percent)]


def test_the_most_accurate_file_that_fits_comes_first() -> None:
    assert _names(65_536, None) == ["middle", "small"]
    assert _names(None, 99.4) == ["large", "middle"]
    assert _names(20_000, 99.4) == ["middle"]
    tied = [*ROWS, _row("light", 997, 200_000)]
    assert [row["network"] for row in zoo_list.choose(tied, None, 99.7)] == ["light", "large"]


def test_what_no_file_fulfils_is_said_with_the_nearest() -> None:
    with pytest.raises(InputError, match="smallest file has 9,000 bytes: small in int8"):
        _names(8_999, None)
    with pytest.raises(InputError, match=r"of at most 20,000 bytes reaches 99.40 %: middle"):
        _names(20_000, 99.41)
    with pytest.raises(InputError, match=r"most accurate file reaches 99.70 %: large in int8"):
        _names(None, 99.71)


@pytest.mark.parametrize(
    ("text", "count"), [("64KiB", 65_536), ("2MB", 2_000_000), ("11kB", 11_000), ("11000", 11_000)]
)
def test_sizes_have_units(command: Command, text: str, count: int) -> None:
    done = command("zoo.list", "--fits", text, "--json")
    assert done.returncode == 0, done.stderr
    sizes = [row["bytes"] for row in json.loads(done.stdout)]
    assert sizes
    assert max(sizes) <= count


def test_the_files_are_listed(command: Command) -> None:
    done = command("zoo.list", "--min-accuracy", "92.5", "--fits", "11kB")
    heading, first, *_ = done.stdout.splitlines()
    assert heading.split()[:2] == ["network", "format"]
    assert first.split()[0] == "ltfn1"


@pytest.mark.parametrize("text", ["64 KiB", "-1", "1.5MB", "4TB", "nan", "9" * 400, "\u0661KiB"])
def test_other_sizes_are_refused(command: Command, text: str) -> None:
    done = command("zoo.list", f"--fits={text}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("zoo.list: error: argument --fits: takes a number of bytes")


@pytest.mark.parametrize("text", ["-1", "100.1", "nan", "inf", "1e1", "99,4", "9" * 400])
def test_other_percentages_are_refused(command: Command, text: str) -> None:
    done = command("zoo.list", f"--min-accuracy={text}")
    assert (done.returncode, done.stdout) == (2, "")
    assert "takes a number from 0 to 100" in done.stderr
