"""Write the generated parts of ``docs/design.md``: the package diagram and the tables of files.

python -m tools.update_design
"""

from __future__ import annotations

import ast
from collections.abc import Container, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "design.md"

LAYERS = (
    # From top to bottom: a part imports only parts on lower lines.
    ("export commands",),
    ("export.pipeline",),
    ("export.bundle",),
    ("export.check", "export.convert"),
    ("export.network",),
    ("export.litert", "export.formats", "export.subprocesses"),
    ("zoo commands",),
    ("zoo.cli",),
    ("zoo.training",),
    ("zoo.pretrained",),
    ("zoo.bundles", "zoo.inference", "zoo.runs"),
    ("zoo.metrics", "zoo.recipes", "zoo.significance"),
    ("zoo.data", "zoo.models"),
    ("zoo.util", "zoo.weights"),
    ("zoo.errors",),
)
"""The parts of the project; the commands of a package are one part."""


def modules() -> dict[str, Path]:
    """Return every module of the two packages by its dotted name."""
    files = [path for name in ("zoo", "export") for path in (ROOT / name).glob("**/*.py")]
    return {_dotted(path): path for path in sorted(files)}


def imports(path: Path, known: Container[str]) -> Iterator[str]:
    """Yield the dotted name of each of the known modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module in known:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in known else node.module


def part_of(module: str) -> str:
    """Return the part of the project to which a module belongs, one of ``LAYERS``."""
    package, _, rest = module.partition(".")
    part = f"{package}.{rest.split('.')[0]}"
    parts = {each for layer in LAYERS for each in layer}
    return part if part in parts else f"{package} commands"


def arrows() -> set[tuple[str, str]]:
    """Return all pairs of parts in which the first imports the second."""
    known = modules()
    found = {
        (part_of(module), part_of(imported))
        for module, path in known.items()
        for imported in imports(path, known)
    }
    return {(part, imported) for part, imported in found if part != imported}


def drawing() -> str:
    """Return the parts and their imports as a Mermaid flowchart.

    An arrow that others imply is left out: A to C, if there are A to B and B to C.
    """
    pairs = arrows()
    direct = [pair for pair in sorted(pairs) if not _is_implied(pair, pairs)]
    names = {part: part.replace(".", "_").replace(" ", "_") for layer in LAYERS for part in layer}
    lines = ["```mermaid", "flowchart TD"]
    lines += [f'    {name}["{part}"]' for part, name in names.items()]
    lines += [f"    {names[part]} --> {names[imported]}" for part, imported in direct]
    return "\n".join([*lines, "```"])


def _is_implied(pair: tuple[str, str], pairs: set[tuple[str, str]]) -> bool:
    """Return whether a longer path leads from the first part to the second."""
    start, end = pair
    waiting, seen = [other for part, other in pairs if part == start and other != end], set()
    while waiting:
        part = waiting.pop()
        if part == end:
            return True
        if part not in seen:
            seen.add(part)
            waiting += [other for one, other in pairs if one == part]
    return False


def tree() -> str:
    """Return a table per folder: its files and the first line of each file's docstring."""
    lines: list[str] = []
    files = [path for name in ("export", "tools", "zoo") for path in (ROOT / name).glob("**/*.py")]
    folders = sorted({path.parent for path in files})
    for folder in folders:
        package = folder / "__init__.py"
        lines += [f"\n### {folder.relative_to(ROOT).as_posix()}/\n", _summary(package), ""]
        lines += ["| file | what it holds |", "|---|---|"]
        lines += [
            f"| `{path.name}` | {_summary(path)} |"
            for path in sorted(folder.glob("*.py"))
            if path != package
        ]
    return "\n".join(lines).strip()


def _summary(path: Path) -> str:
    documented = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert documented, f"{path} has no docstring"
    return documented.splitlines()[0].replace("``", "`").replace("|", "\\|")


def _dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def page(text: str) -> str:
    """Return the text of the page with its generated parts updated."""
    for name, content in (("drawing", drawing()), ("files", tree())):
        start, end = f"<!-- generated: {name} -->\n", "<!-- end -->"
        before, _, rest = text.partition(start)
        _, _, after = rest.partition(end)
        assert after, f"{PAGE} has no generated part named {name}"
        text = f"{before}{start}\n{content}\n\n{end}{after}"
    return text


def main() -> None:
    """Update the generated parts of the page."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
