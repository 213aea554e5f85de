from __future__ import annotations

from tools.results import __main__ as results


def test_the_page_is_that_of_the_kept_results() -> None:
    text = results.PAGE.read_text(encoding="utf-8")
    assert results.page(text) == text


def test_a_trial_is_described_by_what_differs_from_its_recipe() -> None:
    (first, *_) = results.kept()
    recipe = first["recipe"] | {"shift": 7, "seed": 5, "epochs": 9, "steps": None}
    start = {"weights": "/home/runs/mine", "sha256": "0" * 64, "freeze": "layer1"}
    described = results._described(first | {"recipe": recipe, "start": start})
    for part in ("shift=7", "epochs=9", "weights=mine freeze=layer1"):
        assert part in described
    assert "seed" not in described
    assert "/home" not in described
