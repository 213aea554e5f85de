"""How a network is trained: everything that changes its weights, in one frozen record.

What each recipe reached on MNIST, and in what time, is in the README's tables.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, get_type_hints

from zoo.errors import InputError, unknown
from zoo.models.registry import PRECISIONS

PRECISION_CHOICES = ("auto", *PRECISIONS)


def _choice(*allowed: str) -> Any:
    return dataclasses.field(metadata={"choices": allowed})


def _number(default: Any = dataclasses.MISSING, *, least: float, most: float = math.inf) -> Any:
    return dataclasses.field(default=default, metadata={"least": least, "most": most})


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides a training's outcome, given the network and the data.

    Attributes:
        name: of the named recipe it began as.
        initializer: ``normal`` N(0, 1) weights; ``he`` He's for layers with a ReLU and Glorot's
            for the others; ``glorot``. Biases are zero.
        optimizer: ``sgd`` or ``adam``.
        learning_rate: the highest the schedule reaches.
        momentum: share of the last update that ``sgd`` repeats.
        schedule: ``constant``; ``cosine``, a linear rise over the first tenth of the steps, then
            half a cosine down to zero; or ``drops``, a tenth of the rate after four, five and six
            sevenths of the steps, as the All-CNN paper's 200, 250 and 300 of 350 epochs.
        weight_decay: this share of each kernel is added to its gradient.
        average: decay of the exponential moving average of the weights that replaces them at the
            end, less in the first steps (``zoo/training/averages.py``); 0 keeps the last weights.
        batch_size: images in each step.
        epochs: how often each training image is seen; exactly one of ``epochs`` and ``steps``.
        steps: how many batches are trained on.
        minimum_steps: least number of steps where ``epochs`` would give fewer.
        shuffle: whether each epoch has an order of its own, or all have the stored one.
        shift: most pixels by which each training image is moved, up, down, left and right.
        seed: of weights, order and augmentation.
        precision: number format of the arithmetic, ``float32`` or ``bfloat16``; ``auto`` is
            whichever is faster on the machine that trains, and never what a run records.
    """

    name: str
    initializer: str = _choice("normal", "he", "glorot")
    optimizer: str = _choice("sgd", "adam")
    learning_rate: float = _number(least=0)
    momentum: float = _number(0.0, least=0, most=1)
    schedule: str = _choice("constant", "cosine", "drops")
    weight_decay: float = _number(0.0, least=0)
    average: float = _number(0.0, least=0, most=1)
    batch_size: int = _number(least=1)
    epochs: int | None = _number(None, least=1)
    steps: int | None = _number(None, least=1)
    minimum_steps: int = _number(1, least=1)
    shuffle: bool = True
    shift: int = _number(0, least=0)
    seed: int = _number(0, least=0)
    precision: str = dataclasses.field(default="auto", metadata={"choices": PRECISION_CHOICES})

    def __post_init__(self) -> None:
        """Refuse what is out of range or goes not together.

        Raises:
            InputError: the message says what is allowed.
        """
        for field in dataclasses.fields(self):
            _check_range(field, getattr(self, field.name))
        if self.momentum and self.optimizer != "sgd":
            raise InputError(f"momentum goes with sgd, not with {self.optimizer}")
        if (self.epochs is None) == (self.steps is None):
            raise InputError("a recipe has either epochs or steps")

    def total_steps(self, train_count: int) -> int:
        """Return the number of steps for a training split of ``train_count`` images."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None
        return max(self.minimum_steps, math.ceil(self.epochs * train_count / self.batch_size))

    def replace(self, **changes: Any) -> Recipe:
        """Return the recipe with a user's values; a length given replaces the recipe's own.

        Raises:
            InputError: a value is out of range.
        """
        if changes.get("steps") is not None:
            changes = {"epochs": None, "minimum_steps": 1} | changes
        if changes.get("epochs") is not None:
            changes = {"steps": None, "minimum_steps": 1} | changes
        return dataclasses.replace(self, **changes)


def parse_overrides(texts: Iterable[str]) -> dict[str, Any]:
    """Turn ``key=value`` texts into typed recipe values.

    Raises:
        InputError: not of that form, unknown key, or not a value of the key's type.
    """
    types = get_type_hints(Recipe)
    keys = types.keys() - {"name"}
    values = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--set takes key=value, received {text!r}")
        if key not in keys:
            raise unknown("recipe key", key, keys)
        values[key] = _parse(key, value, types[key])
    return values


def _parse(key: str, text: str, kind: Any) -> Any:
    parse: dict[Any, Callable[[str], Any]] = {
        int: int,
        int | None: int,
        float: float,
        str: str,
        bool: {"true": True, "false": False}.__getitem__,
    }
    try:
        return parse[kind](text)
    except (ValueError, KeyError):
        names = {bool: "true or false", float: "a number"}
        allowed = names.get(kind, "a whole number")
        raise InputError(f"{key} takes {allowed}, received {text!r}") from None


def _check_range(field: dataclasses.Field, value: Any) -> None:
    if "choices" in field.metadata and value not in field.metadata["choices"]:
        raise unknown(field.name, value, field.metadata["choices"])
    if "least" in field.metadata and value is not None:
        least, most = field.metadata["least"], field.metadata["most"]
        if not least <= value <= most or math.isinf(value):
            bounds = f"at least {least}" if math.isinf(most) else f"from {least} to {most}"
            raise InputError(f"{field.name} takes a number {bounds}, received {value}")


def quick() -> Recipe:
    """Train well in a few minutes: Adam, He's initialisation, one rise and fall of the rate."""
    return Recipe(
        name="quick",
        initializer="he",
        optimizer="adam",
        learning_rate=2e-3,
        schedule="cosine",
        batch_size=100,
        epochs=4,
        minimum_steps=400,
        shift=1,
    )


def post() -> Recipe:
    """Train as the post does: N(0, 1) weights, plain gradient descent, 5,000 steps of 100.

    The images come in stored order. The post reports 81.88 % and a test cost of 15,083.
    """
    return Recipe(
        name="post",
        initializer="normal",
        optimizer="sgd",
        learning_rate=1e-7,
        schedule="constant",
        batch_size=100,
        steps=5_000,
        shuffle=False,
    )


def he() -> Recipe:
    """Change the post's initialisation, as the next post does: He's and Glorot's, rate 1e-3."""
    return dataclasses.replace(post(), name="he", initializer="he", learning_rate=1e-3)


def adam() -> Recipe:
    """Change the optimizer of ``he`` to Adam, as the post after the next does."""
    return dataclasses.replace(he(), name="adam", optimizer="adam")


def crop() -> Recipe:
    """Add random crops to ``adam``, as the last post does: 28x28 windows of a 32x32 padding.

    The rate never falls, and it shows.
    """
    return dataclasses.replace(adam(), name="crop", shift=2)


def all_cnn() -> Recipe:
    """Train as the All-CNN paper does: 350 epochs of momentum, weight decay and three drops.

    The paper takes the best rate of 0.25, 0.1, 0.05 and 0.01 for each network, and whitens its
    images, which this recipe does not. Its networks bring their dropout themselves. Not measured:
    by its multiply-adds, all-cnn-c's 350 epochs of CIFAR-10 are about a day on two cores.
    """
    return Recipe(
        name="all-cnn",
        initializer="he",
        optimizer="sgd",
        learning_rate=0.01,
        momentum=0.9,
        schedule="drops",
        weight_decay=1e-3,
        batch_size=128,
        epochs=350,
    )


def best() -> Recipe:
    """Go for the highest accuracy: ``quick`` for longer, moved further, its weights averaged.

    A small set needs as many times the steps of ``quick`` as a large one: with ``quick``'s minimum,
    the larger shifts cost more accuracy than they gain. A linear network (``ltfn1``) cannot learn
    them: ``quick`` suits it better.
    """
    return dataclasses.replace(
        quick(), name="best", epochs=20, minimum_steps=2_000, shift=2, average=0.999
    )


RECIPES: dict[str, Callable[[], Recipe]] = {
    "quick": quick,
    "best": best,
    "post": post,
    "he": he,
    "adam": adam,
    "crop": crop,
    "all-cnn": all_cnn,
}


def get_recipe(name: str) -> Recipe:
    """Return a named recipe.

    Raises:
        InputError: no recipe has this name; the message suggests the nearest.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    return RECIPES[name]()
