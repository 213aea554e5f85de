"""``python -m zoo.list``: list the networks, or the exported files of the trained ones.

TensorFlow is started only if ``--import`` adds networks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from zoo import cli
from zoo.errors import InputError
from zoo.models import registry
from zoo.models.registry import ModelSpec
from zoo.util import atomic
from zoo.weights import exported, released

_HEADINGS = (
    "name", "input", "parameters", "multiply-adds", "largest activation", "trained", "origin",
)  # fmt: skip
_FILE_HEADINGS = (
    "network", "format", "test accuracy", "file", "microcontroller flash", "arena",
    "time per image", "on one thread of",
)  # fmt: skip
_SIZES = ("bytes", "flash_bytes", "arena_bytes")


def main(argv: Sequence[str]) -> None:
    """Print the networks, or the exported files within limits, as a table or as JSON."""
    parser = cli.Parser(
        "zoo.list",
        "List the networks with their parameters, and multiply-adds and memory per image; or the "
        "exported files of the trained ones.",
        example="--json",
        imports=True,
    )
    parser.add_argument("--json", action="store_true", help="print a JSON array with exact numbers")
    parser.add_argument(
        "--fits",
        type=cli.byte_count,
        metavar="SIZE",
        help="list the exported files of the trained networks that have at most SIZE, such as "
        "64KiB; the program code of a device is not counted",
    )
    parser.add_argument(
        "--min-accuracy",
        type=cli.percentage,
        metavar="PERCENT",
        help="list those that classify at least PERCENT of the test images correctly, such as 98",
    )
    arguments = parser.parse_args(argv)
    if arguments.fits is not None or arguments.min_accuracy is not None:
        if arguments.imports:
            raise InputError(
                "--fits and --min-accuracy list networks of the package; omit --import"
            )
        rows = choose(exported(), arguments.fits, arguments.min_accuracy)
        print(
            atomic.json_text(rows)
            if arguments.json
            else aligned([_FILE_HEADINGS, *map(_file_cells, rows)])
        )
        return
    specs = [registry.get_spec(name) for name in registry.list_models()]
    if arguments.json:
        print(atomic.json_text([_facts(spec) for spec in specs]))
    else:
        print(aligned([_HEADINGS, *map(_cells, specs)]))


def choose(
    rows: Sequence[dict[str, Any]], most_bytes: int | None, least_percent: float | None
) -> list[dict[str, Any]]:
    """Return the rows of ``weights.exported`` within the limits, the most accurate first.

    Raises:
        InputError: no row is within the limits; the message says what comes closest.
    """
    if not rows:
        raise InputError("the package contains no trained network")

    def rank(row: dict[str, Any]) -> tuple[float, int]:
        return -_accuracy(row), row["bytes"]

    small = [row for row in rows if most_bytes is None or row["bytes"] <= most_bytes]
    if not small:
        least = min(rows, key=lambda row: row["bytes"])
        raise InputError(
            f"no file has at most {most_bytes:,} bytes; the smallest, {_name(least)}, has "
            f"{least['bytes']:,}"
        )
    found = [row for row in small if least_percent is None or _accuracy(row) >= least_percent]
    if not found:
        limit = "" if most_bytes is None else f" of at most {most_bytes:,} bytes"
        best = min(small, key=rank)
        raise InputError(
            f"no file{limit} reaches {least_percent:.9g} %; the most accurate, {_name(best)}, "
            f"reaches {_accuracy(best):.2f} %"
        )
    return sorted(found, key=rank)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return a text table, the first and the last column on the left, the others on the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for name, *numbers, last in rows:
        middle = (text.rjust(width) for text, width in zip(numbers, widths[1:-1], strict=True))
        lines.append("  ".join([name.ljust(widths[0]), *middle, last]))
    return "\n".join(lines)


def _cells(spec: ModelSpec) -> tuple[str, ...]:
    costs = registry.get_costs(spec.name)
    return (
        spec.name,
        "x".join(map(str, spec.input_shape)),
        f"{costs.parameters:,}",
        f"{costs.multiply_adds:,}",
        f"{costs.largest_activation:,} B",
        _trained(spec.name),
        spec.origin,
    )


def _file_cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["network"],
        row["format"],
        f"{_accuracy(row):.2f} %",
        *("" if row[key] is None else f"{row[key]:,} B" for key in _SIZES),
        f"{row['microseconds']:,.0f} us",
        row["processor"],
    )


def _name(row: dict[str, Any]) -> str:
    return f"{row['network']} in {row['format']}"


def _accuracy(row: dict[str, Any]) -> float:
    return 100 * row["test_correct"] / row["test_count"]


def _trained(name: str) -> str:
    """Return the dataset and test accuracy of the trained weights in the package."""
    if name not in released():
        return "no weights"
    found = released()[name]
    return f"{found['dataset']}, {100 * found['test_correct'] / found['test_count']:.2f} %"


def _facts(spec: ModelSpec) -> dict[str, object]:
    facts = {field.name: getattr(spec, field.name) for field in dataclasses.fields(spec)}
    del facts["build"], facts["costs"]
    return (
        facts
        | dataclasses.asdict(registry.get_costs(spec.name))
        | {"weights": released().get(spec.name)}
    )


if __name__ == "__main__":
    cli.run("zoo.list", main)
