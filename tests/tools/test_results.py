from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from tests.conftest import Command
from tools import update_tables
from tools.results import __main__ as results
from tools.results import alphabets, downsampling, figures, post, transfer
from zoo import weights
from zoo.bundles.integrity import Bundle
from zoo.errors import InputError
from zoo.runs import Run, records


def test_the_tables_are_those_of_the_kept_results() -> None:
    for name, table in results.tables().items():
        assert update_tables.read_block(name) == f"{table}\n", "run python -m tools.results"


def test_a_training_by_the_post_is_kept_with_its_costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (kept,) = (
        path
        for path in results.FOLDER.glob("ltfn5-*-seed0.jsonl")
        if records.read_result(path.with_suffix(".json"))["recipe"]["name"] == "post"
    )
    groups = post.read([kept.with_suffix(".json")])
    ((course,),) = groups
    row = post.table(groups).splitlines()[-1]
    assert f"{course.costs[100]:,.0f} | {course.costs[200]:,.0f}" in row
    assert f"{100 * course.result['test_accuracy']:.2f} %" in row
    other = post.Course(course.result | {"test_cost": 2 * course.result["test_cost"]}, course.costs)
    both = post.table([[course, other]]).splitlines()[-1]
    cost = course.result["test_cost"]
    assert f"{1.5 * cost:,.0f} ({cost:,.0f} to {2 * cost:,.0f})" in both
    run = Run(tmp_path / "run")
    run.folder.mkdir()
    run.result.write_bytes(kept.with_suffix(".json").read_bytes())
    run.metrics.write_bytes(kept.read_bytes())
    monkeypatch.setattr(results, "FOLDER", tmp_path / "kept")
    assert post.read([results.add(run)]) == groups


def test_trainings_in_several_precisions_or_on_several_processors_have_a_row_each(
    tmp_path: Path,
) -> None:
    kept = next(results.FOLDER.glob("ltfn5-*-seed0.jsonl"))
    result = records.read_result(kept.with_suffix(".json"))
    other = {"float32": "bfloat16", "bfloat16": "float32"}[result["precision"]]
    for name, changes in {
        "first": {},
        "second": {"seed": 1, "recipe": result["recipe"] | {"seed": 1}},
        "precision": {"precision": other, "recipe": result["recipe"] | {"precision": other}},
        "processor": {"machine": result["machine"] | {"processor": "another"}},
    }.items():
        records.write(tmp_path / f"{name}.json", result | changes)
        post.metrics_of(tmp_path / f"{name}.json").write_bytes(kept.read_bytes())
    rows = post.table(post.read(sorted(tmp_path.glob("*.json")))).splitlines()[3:]
    processor = result["machine"]["processor"]
    found = {(row.split(" | ")[2], row.removesuffix(" |").split(" | ")[-1]) for row in rows}
    assert found == {
        ("2", f"{processor}, {result['precision']}"),
        ("1", f"{processor}, {other}"),
        ("1", f"another, {result['precision']}"),
    }


def test_the_study_has_each_training_with_its_file() -> None:
    kept = results.kept()
    study, measured = downsampling.study(kept), downsampling.kept()
    weights = [each["weights"]["sha256"] for runs in study.values() for each in runs]
    assert sorted(weights) == sorted(measured["files"])
    processor, _, *rows = reversed(downsampling.table_of_files(study).splitlines())
    assert processor == f"({measured['processor']})"
    for name, runs in study.items():
        assert {run["model"] for run in runs} == {name}
        files = [measured["files"][run["weights"]["sha256"]] for run in runs]
        mean = sum(100 * file["test_correct"] / file["test_count"] for file in files) / len(files)
        (row,) = (row for row in rows if row.startswith(f"| {name} |"))
        assert f"| {mean:.2f} %" in row
    precisions = {run["precision"] for runs in study.values() for run in runs}
    assert len(precisions) == 1


def test_a_study_without_its_results_is_refused() -> None:
    with pytest.raises(InputError, match=r"of which 0 are kept; add them with .* --add"):
        downsampling.study([])


def test_the_release_has_the_accuracy_of_each_seed() -> None:
    def place(result: dict[str, Any]) -> dict[str, Any]:
        return results._trial(result) | {"processor": result["machine"]["processor"]}

    kept = results.kept()
    for name, facts in weights.released().items():
        shipped = Run(weights.released_folder(name)).read_result()
        seeds = [result for result in kept if place(result) == place(shipped)]
        assert facts["accuracies"] == [each["test_accuracy"] for each in seeds], name
        assert facts["recipe"] == records.described(shipped)


def test_a_result_is_kept_once_and_of_mnist_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path / "kept")
    shipped = weights.released_folder("ltfn1") / "result.json"
    result = records.read_result(shipped)
    run = Run(tmp_path / "run")
    run.folder.mkdir()
    records.write(run.result, result)
    assert results.add(run) == results.add(run)
    faster = {"precision": "bfloat16", "recipe": result["recipe"] | {"precision": "bfloat16"}}
    records.write(run.result, result | faster)
    assert len({results.add(run), *(tmp_path / "kept").iterdir()}) == 2
    records.write(run.result, result | {"weights": result["weights"] | {"sha256": "0" * 64}})
    with pytest.raises(InputError, match="but other weights; remove it to replace it"):
        results.add(run)
    records.write(run.result, result | {"data": result["data"] | {"name": "digits"}})
    with pytest.raises(InputError, match="was trained on digits, not on mnist"):
        results.add(run)


def test_a_kept_result_has_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path / "kept")
    result = records.read_result(weights.released_folder("ltfn1") / "result.json")
    teachers = [{"run": "/home/runs/large", "sha256": "1" * 64}]
    start = {"weights": "/home/runs/mine", "sha256": "0" * 64, "freeze": None}
    run = Run(tmp_path / "run")
    run.folder.mkdir()
    records.write(run.result, result | {"teachers": teachers, "start": start})
    kept = results.add(run)
    assert "/home" not in kept.read_text()
    assert records.read_result(kept)["teachers"][0]["run"] == "large"


def test_one_seed_has_no_deviation() -> None:
    assert results._deviation([99.0]) is None
    assert results._deviation([98.0, 99.0]) == 0.7071


@pytest.mark.slow
def test_a_study_is_measured_in_int8(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recipe = ("--data", "digits", "--steps", 100, "--precision", "float32", "--out", "study")
    made = command("zoo.compare", "ltfn1", "ltfn3", "--seeds", 1, *recipe, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    monkeypatch.setattr(downsampling, "FILE", tmp_path / "downsampling.json")
    with pytest.raises(InputError, match="has no run of ltfn5, ltfn5-allconv,"):
        downsampling.main([str(tmp_path / "study")])
    monkeypatch.setattr(downsampling, "NETWORKS", ("ltfn1",))
    downsampling.main([str(tmp_path / "study")])
    run = Run(tmp_path / "study" / "ltfn1-seed0")
    result = run.read_result()
    measured = downsampling.kept()
    (file,) = measured["files"].values()
    assert measured["files"] == {result["weights"]["sha256"]: file}
    assert abs(file["test_correct"] - result["test_correct"]) <= 3
    assert file["test_count"] == result["test_count"]
    assert measured["processor"] == result["machine"]["processor"]
    monkeypatch.setattr(downsampling, "NETWORKS", ("ltfn1", "ltfn3"))
    faster = {"precision": "bfloat16", "recipe": result["recipe"] | {"precision": "bfloat16"}}
    records.write(run.result, result | faster)
    with pytest.raises(InputError, match="has runs in bfloat16 and in float32, which may differ"):
        downsampling.main([str(tmp_path / "study")])


def test_the_files_are_those_of_the_kept_results(tmp_path: Path) -> None:
    assert results.table_of_formats() == results.CSV.read_text(encoding="utf-8")
    for name, picture in results.pictures().items():
        figures.save(picture, tmp_path / name)
        stored = results.DOCS / "figures" / name
        assert (tmp_path / name).read_bytes() == stored.read_bytes(), "run python -m tools.results"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({}, None),
        ({"origin": {"keras_file": {}}}, "not an export of a network of the package"),
        ({"origin": {"run": {"weights": {"sha256": "0"}}}}, "not an export of a network"),
        ({"data": {"name": "digits"}}, "not verified on mnist"),
        ({"finetuned": {"steps": 5}}, "other weights or bounds"),
        ({"loosened": ["int8"]}, "other weights or bounds"),
        ({"artifacts": []}, "lacks dynamic, float16, .*--formats all"),
        ({"microcontroller": None}, "has no library for microcontrollers"),
    ],
)
def test_only_whole_exports_of_the_package_are_kept(
    changed: dict[str, Any],
    reason: str | None,
    manifest: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    facts = {"dataset": "mnist", "sha256": manifest["origin"]["run"]["weights"]["sha256"]}
    made = manifest | {"data": {"name": "mnist"}} | changed
    monkeypatch.setattr(results, "released", lambda: {"compact-10k": facts})
    monkeypatch.setattr(results, "released_folder", lambda name: tmp_path)
    monkeypatch.setattr(results.integrity, "open_bundle", lambda path: Bundle(path, made))
    if reason:
        with pytest.raises(InputError, match=reason):
            results.add_bundle(tmp_path)
        assert not list(tmp_path.iterdir())
        return
    results.add_bundle(tmp_path)
    rows = json.loads((tmp_path / "exported.json").read_text())["formats"]
    assert [row["format"] for row in rows] == [row["format"] for row in manifest["artifacts"]]
    (int8,) = (row for row in rows if row["format"] == "int8")
    assert 0 < int8["arena_bytes"] < int8["flash_bytes"]


def test_times_of_several_processors_are_not_compared() -> None:
    with pytest.raises(InputError, match="are not comparable"):
        figures.accuracies([{"processor": "one"}, {"processor": "other"}])


@pytest.mark.parametrize("found", [{}, {"ltfn1": {}, "ltfn3": {}}])
def test_nothing_is_written_without_all_exports(
    found: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(results, "released", lambda: found)
    monkeypatch.setattr(results, "released_folder", lambda name: tmp_path / name)
    monkeypatch.setattr(results, "CSV", tmp_path / "results.csv")
    with pytest.raises(InputError, match=f"export of {', '.join(found) or 'a network'} with"):
        results.main([])
    assert not results.CSV.exists()


def test_every_run_and_bundle_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    added: list[str] = []
    monkeypatch.setattr(results, "add", lambda run: added.append(run.folder.name))
    monkeypatch.setattr(results, "add_bundle", lambda folder: added.append(folder.name))
    monkeypatch.setattr(results, "released", dict)
    with pytest.raises(InputError, match="add an export"):
        results.main(["--add", "a", "b", "--bundle", "1", "--add", "c", "--bundle", "2"])
    assert added == ["a", "b", "c", "1", "2"]


def test_the_frontier_has_what_no_other_surpasses() -> None:
    counts = [(300, 99), (100, 90), (200, 95), (250, 94), (200, 93), (400, 99)]
    rows = [{"bytes": size, "test_correct": right, "test_count": 100} for size, right in counts]
    assert [row["bytes"] for row in figures.frontier(rows, "bytes")] == [100, 200, 300]


@pytest.mark.long
def test_transfer_is_measured_and_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(transfer, "FILE", tmp_path / "transfer.json")
    monkeypatch.setattr(transfer, "COUNTS", (10,))
    monkeypatch.setattr(transfer, "_SEEDS", 1)
    monkeypatch.setattr(alphabets, "ALPHABETS", {"three letters": "LOX"})
    transfer.main(["ltfn1"])
    kept = transfer.kept()
    assert kept
    found = kept["accuracies"]
    assert list(found) == ["digits", "three letters"]
    for way in transfer.WAYS:
        assert 0.5 < found["digits"][way]["10"][0] < 1
    # The only layer of ltfn1 begins anew for other classes, as from scratch.
    letters = found["three letters"]
    assert letters["fine-tuned"] == letters["from scratch"]
    share = letters["from scratch"]["10"][0]
    row = f"| three letters | 10 | 1 | {100 * share:.1f} % | {100 * share:.1f} % |"
    assert row in transfer.table(kept)
    assert [axes.get_title() for axes in transfer.draw(kept).axes] == list(found)
    assert capsys.readouterr().out.count("10 a class, seed 0: from scratch") == 2
    # A study goes on where it was stopped.
    lost = found["three letters"]["fine-tuned"].pop("10")
    found["digits"]["fine-tuned"]["10"] = [0.5]
    found["three letters"]["from scratch"].pop("10")
    transfer.FILE.write_text(json.dumps(kept))
    transfer.main(["ltfn1"])
    again = transfer.kept()
    assert again
    assert again["accuracies"]["three letters"]["fine-tuned"]["10"] == lost
    assert again["accuracies"]["digits"]["fine-tuned"]["10"] == [0.5]
    with pytest.raises(
        InputError, match=r"transfer\.json is of ltfn1 .*; remove it to measure ltfn3"
    ):
        transfer.main(["ltfn3"])


def test_transfer_from_an_earlier_release_is_reported() -> None:
    found = {"model": "ltfn1", "processors": ["one"], "accuracies": {}}
    current = transfer.table(found | {"weights": weights.released()["ltfn1"]["sha256"]})
    earlier = transfer.table(found | {"weights": "0" * 64})
    assert current.endswith("\n(`ltfn1`; one)")
    assert earlier.endswith("\n(`ltfn1`, fine-tuned from the weights of an earlier release; one)")


def test_transfer_needs_trained_weights() -> None:
    with pytest.raises(InputError, match="unknown trained network 'all-cnn-c'"):
        transfer.main(["all-cnn-c"])


@pytest.mark.parametrize("name", ["digits", "Greek letters"])
def test_own_pictures_are_drawn_for_each_class(name: str, tmp_path: Path) -> None:
    for place, seed in (("first", 0), ("again", 0), ("other", 1)):
        transfer.write(tmp_path / place, name, 3, np.random.default_rng(seed))
    classes = sorted(path.name for path in (tmp_path / "first" / "train").iterdir())
    assert classes == sorted(alphabets.ALPHABETS.get(name, "0123456789"))
    for class_name in classes:
        files = sorted((tmp_path / "first" / "train" / class_name).iterdir())
        assert len(files) == 3
        assert 30 <= len(list((tmp_path / "first" / "test" / class_name).iterdir())) <= 50
        for file in files:
            pixels = np.asarray(PIL.Image.open(file))
            assert pixels[0, 0] == 255  # white paper
            assert pixels.min() < 128  # ink
    contents = {
        place: [path.read_bytes() for path in sorted((tmp_path / place).rglob("*.png"))]
        for place in ("first", "again", "other")
    }
    assert contents["first"] == contents["again"]
    assert contents["first"] != contents["other"]
