from __future__ import annotations

import dataclasses

import pytest

from zoo import recipes
from zoo.errors import InputError


def test_the_post_is_the_posts() -> None:
    post = dataclasses.asdict(recipes.get_recipe("post"))
    told = {"initializer": "normal", "optimizer": "sgd", "learning_rate": 1e-7, "steps": 5000}
    assert post | told | {"batch_size": 100, "shuffle": False, "schedule": "constant"} == post


def test_epochs_become_steps() -> None:
    recipe = recipes.get_recipe("quick").replace(epochs=2, batch_size=100)
    assert recipe.total_steps(55_000) == 1_100
    assert recipe.total_steps(55_001) == 1_101


def test_a_small_set_gets_the_minimum_but_a_given_length_is_kept() -> None:
    recipe = recipes.get_recipe("quick")
    assert recipe.total_steps(100) == recipe.minimum_steps
    assert recipe.replace(epochs=1).total_steps(100) == 1
    assert recipe.replace(steps=7).total_steps(100) == 7


def test_every_recipe_trains_enough_on_a_small_set() -> None:
    quick = recipes.get_recipe("quick")
    for name in recipes.RECIPES.keys() - {"all-cnn"}:  # fixed by the paper
        assert recipes.get_recipe(name).total_steps(100) >= quick.minimum_steps


def test_each_recipe_has_its_own_name() -> None:
    for name in recipes.RECIPES:
        assert recipes.get_recipe(name).name == name


def test_the_series_changes_one_thing_at_a_time() -> None:
    for before, after, changed in (
        ("post", "he", {"name", "initializer", "learning_rate"}),
        ("he", "adam", {"name", "optimizer"}),
        ("adam", "crop", {"name", "shift"}),
    ):
        one, other = (dataclasses.asdict(recipes.get_recipe(name)) for name in (before, after))
        assert {key for key in one if one[key] != other[key]} == changed


def test_the_papers_recipe_is_expressible_whole() -> None:
    recipe = recipes.get_recipe("all-cnn")
    assert recipe.total_steps(50_000) == 350 * 50_000 // 128 + 1
    assert (recipe.momentum, recipe.weight_decay, recipe.schedule) == (0.9, 1e-3, "drops")


def test_each_recipe_is_described_in_one_line() -> None:
    described = recipes.summaries()
    assert described.keys() == recipes.RECIPES.keys()
    assert described["adam"] == "he with Adam."
    assert all(described.values())


def test_overrides_are_typed() -> None:
    given = recipes.parse_overrides(["learning_rate=1e-4", "shuffle=false", "shift=1", "steps=9"])
    assert given == {"learning_rate": 1e-4, "shuffle": False, "shift": 1, "steps": 9}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rat=1", "did you mean 'learning_rate'"),
        ("learning_rate=fast", "learning_rate takes a number, received 'fast'"),
        ("batch_size=1.5", "batch_size takes a whole number, received '1.5'"),
        ("shuffle=yes", "shuffle takes true or false, received 'yes'"),
        ("shuffle", "key=value, received 'shuffle'"),
        ("name=mine", "unknown recipe key 'name'"),
    ],
)
def test_bad_overrides_say_what_is_allowed(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        recipes.parse_overrides([text])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": "adamm"}, "unknown optimizer 'adamm'; did you mean 'adam'"),
        ({"learning_rate": -1.0}, "learning_rate takes a number of at least 0, received -1"),
        (
            {"learning_rate": float("nan")},
            "learning_rate takes a number of at least 0, received nan",
        ),
        ({"learning_rate": float("inf")}, "received inf"),
        ({"average": 1.5}, "average takes a number of at most 1, received 1.5"),
        ({"shuffle": "no"}, "shuffle takes true or false, received 'no'"),
        ({"shuffle": 1}, "shuffle takes true or false, received 1"),
        ({"shift": 0.5}, "shift takes a whole number, received 0.5"),
        ({"seed": True}, "seed takes a whole number, received True"),
        ({"learning_rate": "1"}, "learning_rate takes a number, received '1'"),
        ({"batch_size": None}, "batch_size takes a whole number, received None"),
        ({"steps": -3}, "steps takes a number of at least 1, received -3"),
        ({"momentum": 0.9}, "momentum requires optimizer=sgd, received adam"),
        ({"steps": 3, "epochs": 2}, "either epochs or steps"),
    ],
)
def test_values_out_of_range_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        recipes.get_recipe("quick").replace(**changes)
