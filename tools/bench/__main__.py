"""Run benchmark items with ``python -m tools.bench [ITEM ...]`` and store their results."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Sequence

from tools.bench import results
from zoo import cli
from zoo.errors import InputError, unknown

ITEMS = (
    "start",
    "export",
    "answer",
    "latency",
    "training",
    "post",
    "profile",
    "shards",
    "scaling",
    "workers",
    "memory",
    "precision",
    "time-to-99",
)


def main(argv: Sequence[str]) -> None:
    """Run the named benchmark items, or all of them."""
    parser = cli.Parser("tools.bench", "Compare the zoo with the usual alternatives.")
    parser.add_argument("items", nargs="*", metavar="ITEM", help=", ".join(ITEMS))
    parser.add_argument(
        "--rounds",
        type=cli.positive,
        default=5,
        help="how often each measurement is repeated, at least 2 (default: 5)",
    )
    arguments = parser.parse_args(argv)
    for item in arguments.items:
        if item not in ITEMS:
            raise unknown("item", item, ITEMS)
    if arguments.rounds < 2:
        raise InputError(f"--rounds takes at least 2, for a range; received {arguments.rounds}")
    for item in arguments.items or ITEMS:
        print(f"Measuring {item}", file=sys.stderr)
        module = importlib.import_module(f"tools.bench.items.{item.replace('-', '_')}")
        begin = time.perf_counter()
        result = module.measure(arguments.rounds)
        results.save(item, result, time.perf_counter() - begin)
        print(f"\n{results.table(result.columns, result.rows)}\n\n{result.notes}\n")


if __name__ == "__main__":
    cli.run("tools.bench", main)
