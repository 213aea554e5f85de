from __future__ import annotations

import subprocess
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tools import update_tables
from tools.faults import harness
from tools.faults.__main__ import ROWS
from tools.faults.rows import checkpoints, kills, records, words


@pytest.fixture
def place(examples: Path, environment: dict[str, str], tmp_path: Path) -> harness.Place:
    return harness.Place(
        tmp_path,
        environment,
        run=examples / "runs" / "ltfn5",
        bundle=examples / "exports" / "ltfn5" / "1",
        picture=examples / "digit.png",
    )


@pytest.mark.parametrize(
    ("row", "count"),
    [
        (records, 50),
        (checkpoints, 30),
        (words, 3),
        pytest.param(kills, 2, marks=pytest.mark.slow),
    ],
)
def test_after_a_fault_all_is_as_documented(
    row: ModuleType, count: int, place: harness.Place
) -> None:
    outcomes = list(row.inject(place, np.random.default_rng(1), count))
    assert len(outcomes) == count
    assert [(fault, wrong) for fault, wrong in outcomes if wrong] == []


def test_the_table_shows_the_stored_results() -> None:
    assert update_tables.read_block("faults") == f"{harness.table()}\n"
    assert {path.stem.split("-")[0] for path in harness.RESULTS.glob("*.json")} == set(ROWS)


@pytest.mark.parametrize(
    ("code", "errors", "found"),
    [
        (0, "anything", None),
        (2, "Preparing digits\nzoo.train: error: unknown model\n", None),
        (130, "zoo.train: interrupted\n", None),
        (2, "usage: zoo.train\n", "the last line is not its message"),
        (2, "", "the last line is not its message"),
        (1, "Traceback\nzoo.train: error: x\n", "a traceback"),
        (-9, "", "exit code -9"),
        (6, "zoo.train: error: x\n", "exit code 6"),
    ],
)
def test_a_wrong_end_of_a_command_is_seen(code: int, errors: str, found: str | None) -> None:
    done = subprocess.CompletedProcess(["zoo.train"], code, "", errors)
    wrong = harness.wrong_message(done)
    assert (wrong is None) if found is None else found in str(wrong)
