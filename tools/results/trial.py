"""What defines a trial of a recipe, and how it is called."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from zoo import recipes


def settings(result: dict[str, Any]) -> dict[str, Any]:
    """Return what defines a trial, whatever its seed and machine."""
    recipe = {
        key: value for key, value in result["recipe"].items() if key not in recipes.INCIDENTAL
    }
    return {
        "model": result["model"],
        "data": result["data"]["fingerprints"],
        "recipe": recipe,
        "start": result["start"],
        "teachers": [teacher["sha256"] for teacher in result["teachers"]],
    }


def described(result: dict[str, Any]) -> str:
    """Return the name of a recipe, the values that differ from it, and the weights at the start."""
    recipe = result["recipe"]
    usual = dataclasses.asdict(recipes.get_recipe(recipe["name"]))
    changed = [
        f"{key}={value}"
        for key, value in recipe.items()
        if key not in (*recipes.INCIDENTAL, "minimum_steps") and value not in (None, usual[key])
    ]
    if start := result["start"]:
        changed.append(f"weights={Path(start['weights']).name} freeze={start['freeze']}")
    if teachers := result["teachers"]:
        changed.append(f"teachers={','.join(Path(each['run']).name for each in teachers)}")
    return f"`{' '.join([recipe['name'], *changed])}`"
