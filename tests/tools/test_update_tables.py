from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tools import update_tables
from zoo.errors import InputError
from zoo.recipes import get_recipe
from zoo.runs import Run, records
from zoo.weights import released_folder

PAGE = "docs/benchmarks.md"
OTHERS = [
    ({"model": "ltfn3"}, "is of ltfn3, trained on mnist by the recipe best; the table has ltfn5,"),
    ({"data": {"name": "digits"}}, "trained on digits by the recipe best; .* trained on mnist by"),
    ({"recipe": {"rotation": 8.0}}, "by the recipe best rotation=8.0; .* by one of quick, best,"),
]


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the page of the tables, which they are written to."""
    monkeypatch.setattr(update_tables, "ROOT", tmp_path)
    (tmp_path / "docs").mkdir()
    return Path(shutil.copy(ROOT / PAGE, tmp_path / PAGE))


def _result(changes: dict[str, Any]) -> dict[str, Any]:
    """Return the result of the released ltfn5, as if trained by the recipe best, with changes."""
    released = Run(released_folder("ltfn5")).read_result()
    recipe = get_recipe("best").replace(seed=released["seed"], precision=released["precision"])
    result = released | {"recipe": dataclasses.asdict(recipe), "teachers": []}
    return result | {
        key: result[key] | value if isinstance(value, dict) else value
        for key, value in changes.items()
    }


def _run(folder: Path, changes: dict[str, Any]) -> Path:
    folder.mkdir()
    records.write(Run(folder).result, _result(changes))
    return folder


def _bundle(folder: Path, changes: dict[str, Any]) -> Path:
    """Write what the tables read of a bundle."""
    folder.mkdir()
    result = _result(changes)
    facts = {"data": {"name": "mnist"}, "origin": {"run": result}}
    manifest = facts | {key: result[key] for key in ("machine", "versions")}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "README.md").write_text("# ltfn5\n\n| file | size |\n|---|---|\n| new | 1 |\n\n")
    return folder


def test_a_run_has_the_row_of_its_recipe(page: Path, tmp_path: Path) -> None:
    before = update_tables.read_block("recipes").splitlines()
    run = _run(tmp_path / "run", {})
    update_tables.main(["--run", str(run)])
    after = update_tables.read_block("recipes").splitlines()
    changed = [new for old, new in zip(before, after, strict=True) if new != old]
    assert changed[0].startswith("| `best` | ")
    assert f"| {100 * Run(run).read_result()['test_accuracy']:.2f} % |" in changed[0]
    assert len(changed) == 2  # and the line of the machine


def test_a_bundle_has_the_table_of_its_dataset(page: Path, tmp_path: Path) -> None:
    update_tables.main(["--bundle", str(_bundle(tmp_path / "1", {}))])
    assert update_tables.read_block("mnist").startswith("| file | size |\n|---|---|\n| new | 1 |\n")


@pytest.mark.parametrize(("changes", "reason"), OTHERS)
@pytest.mark.parametrize("option", ["--run", "--bundle"])
def test_what_is_of_another_table_is_refused(
    option: str, changes: dict[str, Any], reason: str, page: Path, tmp_path: Path
) -> None:
    write = {"--run": _run, "--bundle": _bundle}[option]
    with pytest.raises(InputError, match=reason):
        update_tables.main([option, str(write(tmp_path / "other", changes))])
    assert page.read_bytes() == (ROOT / PAGE).read_bytes()


@pytest.mark.parametrize(
    ("dataset", "origin"), [("recipes", {"run": {}}), ("mnist", {"keras_file": {}})]
)
def test_a_bundle_without_a_table_is_refused(
    dataset: str, origin: dict[str, Any], tmp_path: Path
) -> None:
    facts = {"data": {"name": dataset}, "origin": origin}
    (tmp_path / "manifest.json").write_text(json.dumps(facts))
    with pytest.raises(InputError, match="is not the export of a run, verified on digits or mnist"):
        update_tables.main(["--bundle", str(tmp_path)])
