from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.util import event_pb2

import zoo
from tests.conftest import EVERY_MODEL
from zoo import recipes
from zoo.data import Dataset
from zoo.data.splits import Split
from zoo.errors import DivergedError
from zoo.metrics import Metrics, evaluate
from zoo.recipes import Recipe
from zoo.runs import Run, records
from zoo.training import experiment, loop
from zoo.training.averages import WeightAverage
from zoo.training.checkpoints import Checkpoints, Position
from zoo.training.initializers import initialize
from zoo.training.optimizers import make_optimizer
from zoo.training.step import make_train_step

SHORT = recipes.get_recipe("quick").replace(steps=8, batch_size=16)


class _Any:
    def update(self, step: int, cost: float, accuracy: float) -> None: ...

    def validated(self, step: int, accuracy: float) -> None: ...


@pytest.fixture
def few(digits: Dataset) -> Dataset:
    """Return the digits with few validation images."""
    held = digits.validation
    return dataclasses.replace(
        digits, validation=Split(held.name, held.images[:20], held.labels[:20])
    )


LARGEST = pytest.param("ltfn-vgg", marks=pytest.mark.long)


@pytest.mark.parametrize(
    "name", [*(each for each in EVERY_MODEL if "ltfn-vgg" not in each.values), LARGEST]
)
def test_every_model_learns_64_images(name: str, digits: Dataset, new_run: Run) -> None:
    def middle(split: Split) -> Split:
        return Split(split.name, split.images[:64, 6:22, 6:22], split.labels[:64])

    data = dataclasses.replace(
        digits, train=middle(digits.train), validation=middle(digits.validation)
    )
    model = zoo.create_model(name, input_shape=(16, 16, 1))
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0  # dropout noise would dominate so few steps
    # Large steps kill the last ReLU of the All-CNN paper's networks on so few images.
    recipe = recipes.get_recipe("all-cnn" if "cnn" in name else "quick")
    costs: list[float] = []

    class Costs(_Any):
        def update(self, step: int, cost: float, accuracy: float) -> None:
            assert step == len(costs)
            costs.append(cost)

    short = recipe.replace(
        steps=40, batch_size=16, learning_rate=1e-3, schedule="constant", shift=0
    )
    loop.train(model, short, data, new_run, Costs())
    # Below the initial cost and below that of uniform predictions.
    assert np.mean(costs[-4:]) < 0.9 * min(np.mean(costs[:2]), np.log(10))


@pytest.mark.parametrize(("name", "decay"), [("ltfn5", 0.0), ("compact-10k", 0.999)])
def test_a_resumed_training_ends_in_the_same_bits(
    name: str, decay: float, few: Dataset, tmp_path: Path
) -> None:
    _check_resume(name, SHORT.replace(average=decay), few, tmp_path)


def test_a_training_on_warped_images_resumes_in_the_same_bits(few: Dataset, tmp_path: Path) -> None:
    recipe = SHORT.replace(shift=1, rotation=9.0, zoom=0.1, shear=0.1)
    _check_resume("compact-4k", recipe, few, tmp_path)


def test_a_training_in_shards_resumes_in_the_same_bits(few: Dataset, tmp_path: Path) -> None:
    _check_resume("ltfn5", SHORT.replace(shards=4), few, tmp_path)


def _check_resume(name: str, recipe: Recipe, few: Dataset, folder: Path) -> None:
    whole, parted = Run(folder / "whole"), Run(folder / "parted")
    ends = []
    for run in (whole, parted):
        run.create({})
        model = zoo.create_model(name)
        if run is parted:
            _train_half_then_forget(name, recipe, few, run)
        loop.train(model, recipe, few, run, _Any(), resume=run is parted)
        ends.append(model.get_weights())
    for one, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, other)
    steps = [json.loads(line)["step"] for line in parted.metrics.read_text().splitlines()]
    # The validation at the checkpoint's step is kept; the costs after it are removed.
    assert steps == [0, 4, 7, 8]


def _train_half_then_forget(name: str, recipe: Recipe, data: Dataset, run: Run) -> None:
    model = zoo.create_model(name)
    optimizer = make_optimizer(recipe, 8)
    optimizer.build(model.trainable_variables)
    initialize(model, recipe)
    average = WeightAverage(model, optimizer, recipe.average)
    step = make_train_step(model, optimizer, recipe)
    for images, labels in loop.recipe_batches(recipe, data, 0, 4):
        step(images, labels)
        average.update()
    Checkpoints(run, model, optimizer, average).save(Position(step=4, seconds=0.0))
    batch = {"cost": 9.0, "accuracy": 0.5, "seconds": 1.0}
    rows = [
        {"step": 0, **batch},
        {"step": 4, "validation_accuracy": 0.5},
        {"step": 4, **batch},
        {"step": 5, **batch},
    ]
    text = "\n".join([*map(json.dumps, rows), '{"st'])
    run.metrics.write_text(text)


def test_a_training_killed_before_its_first_checkpoint_begins_again(
    few: Dataset, tmp_path: Path
) -> None:
    ends = []
    for resume in (False, True):
        run = Run(tmp_path / str(resume))
        run.create({})
        model = zoo.create_model("ltfn5")
        loop.train(model, SHORT.replace(steps=2), few, run, _Any(), resume=resume)
        ends.append(model.get_weights())
    for one, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_training_killed_after_its_last_step_has_the_same_metrics(
    few: Dataset, new_run: Run
) -> None:
    recipe = SHORT.replace(steps=2)
    loop.train(zoo.create_model("ltfn1"), recipe, few, new_run, _Any())
    whole = new_run.metrics.read_text()
    loop.train(zoo.create_model("ltfn1"), recipe, few, new_run, _Any(), resume=True)
    assert new_run.metrics.read_text() == whole


def test_tensorboard_gets_the_same_metrics(few: Dataset, new_run: Run) -> None:
    recipe = SHORT.replace(steps=2)
    loop.train(zoo.create_model("ltfn1"), recipe, few, new_run, _Any(), tensorboard=True)
    (events,) = new_run.tensorboard.iterdir()
    told = {}
    for record in tf.data.TFRecordDataset(str(events)):
        event = event_pb2.Event.FromString(record.numpy())
        for value in event.summary.value:
            assert value.metadata.plugin_data.plugin_name == "scalars"
            told[event.step, value.tag] = float(tf.make_ndarray(value.tensor))
    rows = [json.loads(line) for line in new_run.metrics.read_text().splitlines()]
    expected = {(row["step"], tag): row[tag] for row in rows for tag in row if tag != "step"}
    assert told == pytest.approx(expected)
    assert len(told) == 7


@pytest.mark.parametrize("decay", [0.4, 0.999])
def test_the_average_of_all_weights_replaces_them_at_the_end(
    decay: float, few: Dataset, new_run: Run
) -> None:
    model = zoo.create_model("compact-10k")  # has batch statistics
    expected: list[np.ndarray] = []

    class Averaging(_Any):
        def update(self, step: int, cost: float, accuracy: float) -> None:
            share = min(decay, (2 + step) / (11 + step))
            for at, weight in enumerate(model.get_weights()):
                expected[at] = share * expected[at] + (1 - share) * weight

    start = zoo.create_model("compact-10k")
    initialize(start, SHORT)
    expected.extend(start.get_weights())
    loop.train(model, SHORT.replace(average=decay), few, new_run, Averaging())
    for average, weight in zip(expected, model.get_weights(), strict=True):
        np.testing.assert_allclose(weight, average, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("ltfn1", marks=pytest.mark.slow),
        *(
            pytest.param(name, marks=pytest.mark.long)
            for name in ("ltfn3", "compact-4k", "compact-10k", "compact-40k")
        ),
    ],
)
def test_best_is_no_worse_than_quick_on_a_small_set(
    name: str, digits: Dataset, tmp_path: Path
) -> None:
    correct = {}
    for recipe in ("quick", "best"):
        request = recipes.get_recipe(recipe).replace(precision="float32")
        result = experiment.run_experiment(name, digits, request, Run(tmp_path / recipe))
        correct[recipe] = result["test_correct"]
    # The difference of two scores has a standard deviation of about the square root of the number
    # of images that only one gets right. Allowed are two roots of quick's errors, at least 2.
    mistakes = len(digits.test) - correct["quick"]
    assert correct["best"] >= correct["quick"] - max(2, round(2 * mistakes**0.5))


def test_weight_decay_pulls_kernels_and_nothing_else() -> None:
    image = keras.Input((4,))
    model = keras.Model(image, keras.layers.Dense(2)(image))
    model.set_weights([np.ones((4, 2)), np.ones(2)])
    optimizer = keras.optimizers.SGD(0.5)
    step = make_train_step(model, optimizer, SHORT.replace(weight_decay=0.1))
    # Black images give kernels no gradient, and balanced labels give biases none.
    step(np.zeros((2, 4), np.float32), np.array([0, 1]))
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(kernel, 1 - 0.5 * 0.1)
    np.testing.assert_allclose(bias, 1)


def test_a_cost_that_is_not_finite_ends_the_training(few: Dataset, new_run: Run) -> None:
    recipe = SHORT.replace(optimizer="sgd", schedule="constant", learning_rate=1e30)
    with pytest.raises(DivergedError, match=r"the cost became (nan|inf) at step \d"):
        loop.train(zoo.create_model("ltfn5"), recipe, few, new_run, _Any())


@pytest.mark.parametrize("start", [0, 4])
def test_on_a_gpu_few_results_are_read_and_the_training_is_the_same(
    start: int, few: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = loop.REPORT_STEPS + 20
    recipe = SHORT.replace(steps=steps)
    costs: list[list[float]] = []
    ends = []

    class Costs(_Any):
        def update(self, step: int, cost: float, accuracy: float) -> None:
            costs[-1].append(cost)

    for is_gpu in (False, True):
        monkeypatch.setattr(loop, "on_gpu", lambda is_gpu=is_gpu: is_gpu)
        costs.append([])
        run = Run(tmp_path / f"{is_gpu}")
        run.create({})
        if start:
            _train_half_then_forget("ltfn1", recipe, few, run)
        model = zoo.create_model("ltfn1")
        loop.train(model, recipe, few, run, Costs(), resume=bool(start))
        rows = records.read_metrics(run.metrics)
        ends.append([{key: row[key] for key in row if key != "seconds"} for row in rows])
        ends[-1] += [weight.tobytes() for weight in model.get_weights()]
    assert ends[0] == ends[1]
    every, read = costs
    assert len({*every}) == len(every) == len(read) == steps - start
    at = {0, loop.REPORT_STEPS - start, steps - 1 - start}
    assert read == [every[max(n for n in at if n <= step)] for step in range(len(every))]


def test_the_time_of_a_gpu_counts_although_few_results_are_read(
    few: Dataset, new_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = 0.005  # of a step
    busy = [0.0]  # until when

    class Later(float):
        def __float__(self) -> float:
            time.sleep(max(0.0, self.real - time.perf_counter()))
            return 1.0

    def step(*_: object) -> tuple[Later, Later]:
        busy[0] = max(busy[0], time.perf_counter()) + seconds
        return Later(busy[0]), Later(busy[0])

    def validate(*arguments: Any) -> Metrics:
        time.sleep(max(0.0, busy[0] - time.perf_counter()))
        return evaluate(*arguments)

    monkeypatch.setattr(loop, "on_gpu", lambda: True)
    monkeypatch.setattr(loop, "make_train_step", lambda *_: step)
    monkeypatch.setattr(loop, "evaluate", validate)
    steps = 5 * loop.REPORT_STEPS
    recipe = SHORT.replace(steps=steps)
    result = loop.train(zoo.create_model("ltfn1"), recipe, few, new_run, _Any())
    # The GPU also computes while the next batch is prepared, which is not counted.
    assert result.seconds >= 0.5 * steps * seconds


def test_initializers_draw_what_they_say() -> None:
    model = zoo.create_model("ltfn5")
    kernels = {name: model.get_layer(name).kernel for name in ("layer4", "logits")}

    def deviations(initializer: str) -> list[float]:
        initialize(model, SHORT.replace(initializer=initializer))
        return [float(np.std(kernel)) for kernel in kernels.values()]

    assert deviations("normal") == pytest.approx([1.0, 1.0], rel=0.02)
    glorot = [np.sqrt(2 / (9 * 128 + 9 * 128)), np.sqrt(2 / (6272 + 10))]
    assert deviations("glorot") == pytest.approx(glorot, rel=0.02)
    assert deviations("he") == pytest.approx([np.sqrt(2 / (9 * 128)), glorot[1]], rel=0.02)
    assert not any(np.any(layer.bias) for layer in model.layers if hasattr(layer, "bias"))


def test_the_seed_decides_the_weights() -> None:
    models = [zoo.create_model("ltfn5") for _ in range(3)]
    for model, seed in zip(models, (1, 1, 2), strict=True):
        initialize(model, SHORT.replace(seed=seed))
    first, again, other = (model.get_layer("layer2").kernel.numpy() for model in models)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_papers_schedule_drops_three_times() -> None:
    recipe = recipes.get_recipe("all-cnn")
    rate = make_optimizer(recipe, 350)._learning_rate
    values = [float(rate(epoch)) for epoch in (0, 200, 201, 251, 301)]
    assert values == pytest.approx([0.01, 0.01, 1e-3, 1e-4, 1e-5])


def test_the_schedule_rises_and_falls() -> None:
    rate = make_optimizer(SHORT, 100)._learning_rate
    assert isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)
    values = [float(rate(step)) for step in (0, 5, 10, 55, 100)]
    peak = SHORT.learning_rate
    assert values == pytest.approx([0, peak / 2, peak, peak / 2, 0], abs=1e-6)


def test_the_shares_of_the_shards_are_no_more_than_all(
    few: Dataset, new_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The sum of 20 / 9 shards in float32, on some processors.
    above = float(np.nextafter(np.float32(1), np.float32(2)))
    monkeypatch.setattr(loop, "make_train_step", lambda *_: lambda images, labels: (0.5, above))
    recipe = recipes.get_recipe("quick").replace(steps=2, batch_size=4, precision="float32")
    model = zoo.create_model("ltfn1")
    loop.train(model, recipe, few, new_run, _Any())
    rows = records.read_metrics(new_run.metrics)  # an accuracy above 1 would be refused
    assert [row["accuracy"] for row in rows if "accuracy" in row] == [1.0, 1.0]
