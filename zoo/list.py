"""``python -m zoo.list``: list every network with its parameters and multiply-adds per image.

TensorFlow is started only if ``--import`` adds networks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from zoo import cli
from zoo.models import registry
from zoo.models.registry import ModelSpec
from zoo.util import atomic
from zoo.weights import released

_HEADINGS = (
    "name", "input", "parameters", "multiply-adds", "largest activation", "trained", "origin",
)  # fmt: skip


def main(argv: Sequence[str]) -> None:
    """Print the registry as a table, or as JSON."""
    parser = cli.Parser(
        "zoo.list",
        "List the networks with their parameters, and multiply-adds and memory per image.",
        example="--json",
        imports=True,
    )
    parser.add_argument("--json", action="store_true", help="print a JSON array with exact numbers")
    arguments = parser.parse_args(argv)
    specs = [registry.get_spec(name) for name in registry.list_models()]
    if arguments.json:
        print(atomic.json_text([_facts(spec) for spec in specs]))
    else:
        print(table(specs))


def table(specs: Sequence[ModelSpec]) -> str:
    """Return an aligned text table; the largest activation is for one float32 image."""
    rows = [_HEADINGS, *map(_cells, specs)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = []
    for name, *numbers, origin in rows:
        aligned = (text.rjust(width) for text, width in zip(numbers, widths[1:-1], strict=True))
        lines.append("  ".join([name.ljust(widths[0]), *aligned, origin]))
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
