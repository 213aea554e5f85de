"""The fields of a run's records: their types, their ranges, and how they depend on each other."""

from __future__ import annotations

import dataclasses
from collections.abc import Set
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from zoo.data.preprocessing import Preprocessing
from zoo.recipes import Recipe

_MOST = 2**53  # larger whole numbers are not exact in every reader of JSON

Count = Annotated[int, Field(ge=0, le=_MOST)]
Positive = Annotated[int, Field(ge=1, le=_MOST)]
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


ADDED = frozenset({"smoothing", "teaching", "temperature"})
"""Values of a recipe that runs of earlier versions do not have; their defaults change nothing."""


def _require_all(kind: type, but: Set[str] = frozenset()) -> BeforeValidator:
    """Return a validator for a dataclass that requires even the fields with default values."""

    def check(fields: Any) -> Any:
        for field in dataclasses.fields(kind):
            if isinstance(fields, dict) and field.name not in (*fields, *but):
                raise ValueError(f"{field.name} is missing")
        return fields

    return BeforeValidator(check)


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Fingerprints(_Record):
    """SHA-256 of the images and labels of each split."""

    train: Sha256
    validation: Sha256
    test: Sha256


class Data(_Record):
    """``zoo.data.Dataset.record()``."""

    source: str
    name: str
    version: str
    licence: str
    homepage: str
    class_names: Annotated[list[str], Field(min_length=1)]
    image_shape: tuple[Positive, Positive, Positive]
    preprocessing: Annotated[Preprocessing, _require_all(Preprocessing)]
    taken_from_train: list[str]
    train_count: Positive
    validation_count: Count
    test_count: Count
    fingerprints: Fingerprints

    @model_validator(mode="after")
    def _check(self) -> Data:
        if self.image_shape != self.preprocessing.shape:
            raise ValueError("image_shape is not the shape that the preprocessing gives")
        if len(set(self.class_names)) < len(self.class_names):
            raise ValueError("class_names contains a name twice")
        return self


class Start(_Record):
    """The trained weights that a run begins with, and the last layer that it does not train."""

    weights: str
    sha256: Sha256
    freeze: str | None


class Teacher(_Record):
    """A trained network from whose answers a run learns."""

    run: str
    sha256: Sha256


class Architecture(_Record):
    """``zoo.models.architecture.fingerprint()``."""

    keras: str
    sha256: Sha256


class Request(_Record):
    """``recipe.json``: what a run trains, on which data, and how."""

    model: str
    data: Data
    recipe: Annotated[Recipe, _require_all(Recipe, but=ADDED)]
    start: Start | None
    teachers: list[Teacher] = []
    architecture: Architecture | None = None


class Weights(_Record):
    """The file of the trained weights."""

    file: str
    sha256: Sha256


class Machine(_Record):
    """``zoo.util.environment.machine()``."""

    system: str
    processor: str
    cores: Positive
    flags: list[str]
    gpus: list[str] | None = None
    driver: str | None = None
    cuda: str | None = None


class Versions(_Record):
    """``zoo.util.environment.versions()``."""

    python: str
    tensorflow: str
    keras: str
    tensorflow_datasets: Annotated[str, Field(alias="tensorflow-datasets")]
    numpy: str
    ai_edge_litert: Annotated[str, Field(alias="ai-edge-litert")]


class Result(Request):
    """``result.json``: the request and its results."""

    module: str
    seed: Count
    precision: str
    steps: Positive
    validation_accuracy: Share
    test_accuracy: Share
    test_correct: Count
    test_count: Positive
    test_cost: float
    seconds: Seconds
    images_per_second: Seconds
    workers: Positive = 1
    versions: Versions
    machine: Machine
    weights: Weights

    @model_validator(mode="after")
    def _check(self) -> Result:
        if self.test_accuracy != self.test_correct / self.test_count:
            raise ValueError("test_accuracy is not test_correct / test_count")
        if (self.seed, self.precision) != (self.recipe.seed, self.recipe.precision):
            raise ValueError("seed and precision are not those of the recipe")
        return self


class TrainingRow(_Record):
    """A row of ``metrics.jsonl``: the batch of a step, before its update."""

    step: Count
    cost: float
    accuracy: Share
    seconds: Seconds


class ValidationRow(_Record):
    """A row of ``metrics.jsonl``: the network after ``step`` steps."""

    step: Count
    validation_accuracy: Share
