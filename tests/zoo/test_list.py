from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.conftest import ROOT, Command
from zoo import cli
from zoo import list as zoo_list
from zoo.errors import InputError
from zoo.models import registry
from zoo.weights import released

RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")


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
    with pytest.raises(InputError, match="at most 8,999 bytes; the smallest, small in int8, has 9"):
        _names(8_999, None)
    with pytest.raises(InputError, match=r"at most 20,000 bytes reaches 99.41 %; .*middle.* 99.40"):
        _names(20_000, 99.41)
    with pytest.raises(
        InputError, match=r"no file reaches 99.71 %; .*large in int8, reaches 99.70"
    ):
        _names(None, 99.71)
    with pytest.raises(InputError, match="contains no trained network"):
        zoo_list.choose([], 1_000, None)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("64KiB", 65_536),
        ("64kB", 64_000),
        ("2MB", 2_000_000),
        ("2MiB", 2_097_152),
        ("11B", 11),
        ("11000", 11_000),
    ],
)
def test_sizes_have_units(text: str, count: int) -> None:
    assert cli.byte_count(text) == count


def test_the_files_are_listed(command: Command) -> None:
    (line,) = re.findall(r"^python -m (zoo\.list .*)$", RESULTS, re.MULTILINE)
    done = command(*line.split())
    assert done.returncode == 0, done.stderr
    heading, first, *_ = done.stdout.splitlines()
    assert heading.split()[:2] == ["network", "format"]
    rows = json.loads(command(*line.split(), "--json").stdout)
    assert first.split()[:2] == [rows[0]["network"], rows[0]["format"]]
    assert max(row["bytes"] for row in rows) <= 1_000_000


def test_each_network_has_the_accuracy_of_its_weights_or_none(command: Command) -> None:
    done = command("zoo.list")
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines()[1:]}
    assert lines.keys() == set(registry.list_models())
    for name, line in lines.items():
        facts = released().get(name)
        share = 100 * facts["test_correct"] / facts["test_count"] if facts else None
        assert ("no weights" in line) == (facts is None), line
        assert (re.findall(r"mnist, (\S+) %", line) or [None])[0] == (share and f"{share:.2f}")


def test_networks_of_others_are_not_chosen_from(command: Command) -> None:
    done = command("zoo.list", "--fits", "1MB", "--import", "json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("networks of the package; omit --import\n")


@pytest.mark.parametrize("text", ["64 KiB", "-1", "1.5MB", "4TB", "nan", "9" * 400, "\u0661KiB"])
def test_other_sizes_are_refused(command: Command, text: str) -> None:
    done = command("zoo.list", f"--fits={text}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(
        "zoo.list: error: argument --fits: takes a whole number of at most"
    )


@pytest.mark.parametrize("text", ["-1", "100.1", "nan", "inf", "1e1", "99,4", "9" * 400])
def test_other_percentages_are_refused(command: Command, text: str) -> None:
    done = command("zoo.list", f"--min-accuracy={text}")
    assert (done.returncode, done.stdout) == (2, "")
    assert "takes a number from 0 to 100" in done.stderr
