from __future__ import annotations

from tools.results import __main__ as results


def test_the_page_is_that_of_the_kept_results() -> None:
    text = results.PAGE.read_text(encoding="utf-8")
    assert results.page(text) == text


def test_a_trial_is_described_by_what_differs_from_its_recipe() -> None:
    (first, *_) = results.kept()
    changed = first["recipe"] | {"shift": 7, "seed": 5, "epochs": 9, "steps": None}
    assert results._described(changed).count("=") >= 2
    assert "shift=7" in results._described(changed)
    assert "epochs=9" in results._described(changed)
    assert "seed" not in results._described(changed)
