"""Training recipes: all settings that affect the weights, in one frozen dataclass.

docs/benchmarks.md shows the accuracy and training time on MNIST of each but ``all-cnn``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

from zoo.errors import InputError, unknown
from zoo.models.registry import PRECISIONS

PRECISION_CHOICES = ("auto", *PRECISIONS)

INCIDENTAL = ("seed", "precision", "shards", "threads")
"""Values that do not make another recipe: the seed, and what the training machine chooses."""

_MOST = 10**9  # steps, images or pixels

_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a name"}


def _choice(*allowed: str) -> Any:
    return dataclasses.field(metadata={"choices": allowed})


def _number(default: Any = dataclasses.MISSING, *, least: float, most: float) -> Any:
    return dataclasses.field(default=default, metadata={"least": least, "most": most})


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All settings that determine the result of a training, given the network and the dataset.

    Attributes:
        name: name of the recipe that this one is based on.
        initializer: ``normal``, N(0, 1); ``he``, He for layers with a ReLU and Glorot for the
            others; or ``glorot``. Biases start at zero.
        optimizer: ``sgd`` or ``adam``.
        learning_rate: maximum of the schedule.
        momentum: share of the previous update that ``sgd`` adds to the next.
        schedule: ``constant``; ``cosine``, a linear warmup over the first tenth of the steps, then
            a cosine decay to zero; or ``drops``, which divides the rate by ten after four, five
            and six sevenths of the steps, like the All-CNN paper's 200, 250 and 300 of 350 epochs.
        weight_decay: each kernel times this factor is added to its gradient.
        average: decay of the exponential moving average that replaces the weights at the end,
            smaller in the first steps (``zoo/training/averages.py``); 0 keeps the last weights.
        batch_size: images per step.
        epochs: passes over the training split; exactly one of ``epochs`` and ``steps`` is set.
        steps: number of batches to train on.
        minimum_steps: minimum number of steps if ``epochs`` gives fewer.
        shuffle: whether each epoch has a different random order, or all use the stored order.
        shift: maximum random shift of each training image in pixels, up, down, left and right.
        rotation: maximum random rotation in degrees, to the left and to the right. With a rotation,
            a zoom or a shear, the shift is not limited to whole pixels.
        zoom: maximum random change of the size, as a share of it.
        shear: maximum random horizontal displacement of a row, as a share of its distance from the
            center.
        smoothing: share of each label that is spread evenly over all classes.
        teaching: with teachers, the share of their answers in the cost; the rest is the labels'.
        temperature: with teachers, what divides their logits and the network's, so that the answers
            also tell apart the classes that are unlikely.
        seed: random seed of weights, order and augmentation.
        precision: ``float32`` or ``bfloat16`` arithmetic; ``auto`` selects the faster one on the
            training machine, which the run records instead.
        shards: parts of a batch that are computed in parallel; None chooses their number for the
            training machine, and the run records it (``zoo/training/parallelism.py``).
        threads: threads of each operation; None as for ``shards``.
    """

    name: str
    initializer: str = _choice("normal", "he", "glorot")
    optimizer: str = _choice("sgd", "adam")
    learning_rate: float = _number(least=0, most=1e100)
    momentum: float = _number(0.0, least=0, most=1)
    schedule: str = _choice("constant", "cosine", "drops")
    weight_decay: float = _number(0.0, least=0, most=1e100)
    average: float = _number(0.0, least=0, most=1)
    batch_size: int = _number(least=1, most=_MOST)
    epochs: int | None = _number(None, least=1, most=_MOST)
    steps: int | None = _number(None, least=1, most=_MOST)
    minimum_steps: int = _number(1, least=1, most=_MOST)
    shuffle: bool = True
    shift: int = _number(0, least=0, most=_MOST)
    rotation: float = _number(0.0, least=0, most=180)
    zoom: float = _number(0.0, least=0, most=0.9)
    shear: float = _number(0.0, least=0, most=10)
    smoothing: float = _number(0.0, least=0, most=0.99)
    teaching: float = _number(0.9, least=0, most=1)
    temperature: float = _number(3.0, least=0.01, most=1_000)
    seed: int = _number(0, least=0, most=2**32 - 1)
    precision: str = dataclasses.field(default="auto", metadata={"choices": PRECISION_CHOICES})
    shards: int | None = _number(None, least=1, most=1_024)
    threads: int | None = _number(None, least=1, most=1_024)

    def __post_init__(self) -> None:
        """Reject values that are out of range or incompatible.

        Raises:
            InputError: a value is not allowed; the message names the allowed ones.
        """
        for field, kind in zip(dataclasses.fields(self), _kinds().values(), strict=True):
            _check(field, kind, getattr(self, field.name))
        if self.momentum and self.optimizer != "sgd":
            raise InputError(f"momentum requires optimizer=sgd, received {self.optimizer}")
        if (self.epochs is None) == (self.steps is None):
            raise InputError("a recipe takes either epochs or steps, not both or neither")

    def total_steps(self, train_count: int) -> int:
        """Return the number of steps for a training split of ``train_count`` images."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None
        return max(self.minimum_steps, math.ceil(self.epochs * train_count / self.batch_size))

    def replace(self, **changes: Any) -> Recipe:
        """Return a copy with changed values; new ``steps`` or ``epochs`` replace the old length.

        Raises:
            InputError: a value is out of range.
        """
        if changes.get("steps") is not None:
            changes = {"epochs": None, "minimum_steps": 1} | changes
        if changes.get("epochs") is not None:
            changes = {"steps": None, "minimum_steps": 1} | changes
        return dataclasses.replace(self, **changes)


KEYS = tuple(field.name for field in dataclasses.fields(Recipe) if field.name != "name")
"""The values of a recipe that can be replaced."""


def parse_overrides(texts: Iterable[str]) -> dict[str, Any]:
    """Parse ``key=value`` texts into typed recipe values.

    Raises:
        InputError: a text has another form, an unknown key, or a value of the wrong type.
    """
    kinds = _kinds()
    values = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--set takes key=value, received {text!r}")
        if key not in KEYS:
            raise unknown("recipe key", key, KEYS)
        values[key] = _parse(key, value, kinds[key])
    return values


def _parse(key: str, text: str, kind: type) -> Any:
    parse: dict[type, Callable[[str], Any]] = {
        int: int,
        float: float,
        str: str,
        bool: {"true": True, "false": False}.__getitem__,
    }
    try:
        return parse[kind](text)
    except (ValueError, KeyError):
        raise InputError(f"{key} takes {_KINDS[kind]}, received {text!r}") from None


def _check(field: dataclasses.Field, kind: type, value: Any) -> None:
    if value is None and field.default is None:
        return
    allowed: Any = int | float if kind is float else kind
    # Python counts True and False as whole numbers.
    if not isinstance(value, allowed) or isinstance(value, bool) != (kind is bool):
        raise InputError(f"{field.name} takes {_KINDS[kind]}, received {value!r}")
    if "choices" in field.metadata and value not in field.metadata["choices"]:
        raise unknown(field.name, value, field.metadata["choices"])
    if "least" in field.metadata:
        least, most = field.metadata["least"], field.metadata["most"]
        if not least <= value <= most:
            bound = f"at most {most:,}" if value > most else f"at least {least}"
            raise InputError(f"{field.name} takes a number of {bound}, received {value}")


def _kinds() -> dict[str, type]:
    """Return the type of each value of a recipe; some of them may also be None."""
    hints = get_type_hints(Recipe)
    return {name: next(iter(get_args(hint)), hint) for name, hint in hints.items()}


def quick() -> Recipe:
    """Return a recipe for good accuracy in a few minutes: Adam, He, warmup and cosine decay."""
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
    """Return the post's recipe: N(0, 1) weights, plain gradient descent, 5,000 steps of 100.

    The images keep their stored order. The post reports 81.88 % and a test cost of 15,083.
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
    """Return ``post`` with He and Glorot initialization and a learning rate of 1e-3."""
    return dataclasses.replace(post(), name="he", initializer="he", learning_rate=1e-3)


def adam() -> Recipe:
    """Return ``he`` with Adam."""
    return dataclasses.replace(he(), name="adam", optimizer="adam")


def crop() -> Recipe:
    """Return ``adam`` with random 28x28 crops of images padded to 32x32.

    The learning rate is constant, which limits the accuracy.
    """
    return dataclasses.replace(adam(), name="crop", shift=2)


def all_cnn() -> Recipe:
    """Return the All-CNN paper's recipe: 350 epochs, momentum, weight decay, three rate drops.

    The paper selects the best rate of 0.25, 0.1, 0.05 and 0.01 for each network, and whitens its
    images; this recipe does neither. Dropout is part of the networks. The recipe is not measured:
    estimated from multiply-adds, all-cnn-c takes about a day for CIFAR-10 on two cores.
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
    """Return the most accurate recipe: ``quick`` with more steps, larger shifts, averaged weights.

    The minimum number of steps grows by the same factor as the epochs: with that of ``quick``, the
    larger shifts lower the accuracy on a small dataset. A linear network (``ltfn1``) cannot learn
    these shifts; use ``quick`` for it.
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


def summaries() -> dict[str, str]:
    """Return a description of each recipe in one line, from the docstring of its function."""
    lines = {name: (make.__doc__ or "").partition("\n")[0] for name, make in RECIPES.items()}
    return {name: line.removeprefix("Return ").replace("``", "") for name, line in lines.items()}


def get_recipe(name: str) -> Recipe:
    """Return the recipe with the given name.

    Raises:
        InputError: no recipe has this name; the message suggests the closest one.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    return RECIPES[name]()
