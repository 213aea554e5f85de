"""Inject faults, and count after how many the commands behave as documented.

    python -m tools.faults [--seed N] [--count N] [ROW ...]

The result of each row is stored in ``tools/faults/results``, from which
``python -m tools.update_tables --faults`` makes the table of docs/reliability.md.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import numpy as np

from tools.faults import harness
from zoo import cli
from zoo.errors import ZooError, unknown
from zoo.util import backend
from zoo.util.tracking import track

ROWS = (
    "cache", "checkpoints", "disks", "hostile", "hosts", "kills", "network", "owners", "preparing",
    "records", "signals", "study", "words", "workers",
)  # fmt: skip


def main(argv: Sequence[str]) -> None:
    """Inject the faults of the given rows, by default of all.

    Raises:
        ZooError: after some faults, a command did not behave as documented.
    """
    parser = cli.Parser("tools.faults", "Inject faults into the commands.", example="records")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--seed", type=cli.natural, default=0, help="selects the faults")
    parser.add_argument("--count", type=cli.positive, help="faults of each row")
    arguments = parser.parse_args(argv)
    for row in arguments.rows:
        if row not in ROWS:
            raise unknown("row", row, ROWS)
    backend.start_tensorflow()
    wrong = 0
    with harness.prepared() as place:
        for row in arguments.rows or ROWS:
            module = importlib.import_module(f"tools.faults.rows.{row}")
            count = arguments.count or module.COUNT
            random = np.random.default_rng([arguments.seed, *row.encode()])
            outcomes = list(track(module.inject(place, random, count), row, count))
            for fault, found in outcomes:
                if found:
                    print(f"{row}: {fault}: {found}", file=sys.stderr)
            failed = harness.save(row, module.WHAT, module.BEFORE, arguments.seed, outcomes)
            print(f"{row}: {len(outcomes) - failed:,} of {len(outcomes):,} as documented")
            wrong += failed
    if wrong:
        raise ZooError(f"after {wrong:,} faults a command did not behave as documented")


if __name__ == "__main__":
    cli.run("tools.faults", main)
