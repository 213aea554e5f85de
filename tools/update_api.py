"""Write ``docs/api.md`` from the docstrings of the public functions.

python -m tools.update_api
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import export
import zoo

PAGE = Path(__file__).parent.parent / "docs" / "api.md"

_HEAD = """\
# Python API

The public functions of both packages. The tests execute the examples, in a folder with the run
`runs/ltfn5`, the bundle `exports/ltfn5/1` and the picture `digit.png`.

This page is generated from the docstrings by `python -m tools.update_api`.
"""
_SECTION = re.compile(r"(Args|Returns|Raises|Attributes):\n")


def functions(package: ModuleType) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the name and the function of everything that a package offers."""
    for name in package.__all__:
        yield f"{package.__name__}.{name}", getattr(package, name)


def page() -> str:
    """Return the page."""
    parts = [_HEAD]
    for package in (zoo, export):
        parts.append(f"## {package.__name__}\n")
        parts += [_entry(name, function) for name, function in functions(package)]
    return "\n".join(parts)


def _entry(name: str, function: Callable[..., Any]) -> str:
    """Return one function: its signature, then its docstring as Markdown."""
    parameters = list(inspect.signature(function).parameters.values())
    texts = [_parameter(each) for each in parameters]
    keywords = [at for at, each in enumerate(parameters) if each.kind == each.KEYWORD_ONLY]
    if keywords:
        texts.insert(keywords[0], "*")
    text = inspect.getdoc(function)
    assert text, f"{name} has no docstring"
    return f"### `{name}({', '.join(texts)})`\n\n{_markdown(text)}\n"


def _parameter(parameter: inspect.Parameter) -> str:
    """Return a parameter with its default, without its type."""
    if parameter.kind == parameter.VAR_KEYWORD:
        return f"**{parameter.name}"
    if parameter.default is parameter.empty:
        return parameter.name
    default = parameter.default
    return f"{parameter.name}={default.__name__ if callable(default) else repr(default)}"


def _markdown(text: str) -> str:
    """Return a docstring of Google's style as Markdown."""
    text, _, example = text.partition("\n>>> ")
    first, *sections = _SECTION.split(text)
    lines = [_code(first.strip())]
    for title, content in zip(sections[::2], sections[1::2], strict=True):
        entries = inspect.cleandoc("\n" + content)
        if title == "Returns":
            lines.append(f"**Returns:** {_code(entries)}")
            continue
        items = re.sub(r"^(\S[^:]*):", r"- `\1`:", entries, flags=re.MULTILINE)
        items = re.sub(r"^    ", "  ", items, flags=re.MULTILINE)
        lines.append(f"**{title}:**\n\n{_code(items)}")
    if example:
        lines.append(f"```python\n>>> {example.strip()}\n```")
    return "\n\n".join(lines)


def _code(text: str) -> str:
    return text.replace("``", "`")


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
