"""Run an experiment: build, train, evaluate the test split once, record the results."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from etils import epy

from zoo.data import Dataset, differences, seen
from zoo.errors import InputError, Interrupted
from zoo.inference import predict_fn
from zoo.metrics import Metrics, evaluate
from zoo.models import architecture, registry
from zoo.models.registry import PRECISIONS
from zoo.recipes import Recipe, get_recipe
from zoo.runs import Run, load_model, plots, records
from zoo.training import parallelism, precision, progress, transfer
from zoo.training import teachers as taught_by
from zoo.training.checkpoints import Checkpoints
from zoo.training.cost import Cost
from zoo.training.loop import CHECKPOINT_SECONDS, Training, assist, train
from zoo.training.workers import Workers, alone, synchronize_batch_statistics
from zoo.util import signals
from zoo.util.environment import machine, versions

with epy.lazy_imports():
    import keras

_SMALL = 1_000  # images


def train_model(
    model: str,
    dataset: Dataset,
    recipe: str = "quick",
    *,
    out: str | Path | None = None,
    force: bool = False,
    weights: str | Path | None = None,
    freeze: str | None = None,
    teachers: Sequence[str | Path] = (),
    **settings: Any,
) -> keras.Model:
    """Train a network, evaluate it on the test split, and return it.

    If the run folder has an unfinished run of the same experiment, it is resumed.

    Args:
        model: name of the network.
        dataset: what ``load_data`` returns.
        recipe: name of the recipe.
        out: the run folder; by default ``runs/MODEL``.
        force: whether to replace an existing run.
        weights: trained weights to begin with, as in ``create_model``. If the classes are others,
            the last layer begins with new ones.
        freeze: with ``weights``, the last of the layers that are not trained.
        teachers: trained networks to learn from, too: run folders, or networks of the package.
        **settings: values of the recipe to replace, such as ``steps=100`` or ``seed=1``.

    Returns:
        The trained network, as ``load_model`` returns it.

    Raises:
        InputError: an argument is invalid, the run folder has a finished run or another experiment,
            or its unfinished run used another number of threads than this process.
        DivergedError: a cost, a weight or a logit is not finite.

    >>> digits = zoo.load_data("digits")
    >>> model = zoo.train_model("ltfn1", digits, steps=3, out="runs/mine")  # doctest: +ELLIPSIS
    ltfn1: ...
    >>> model.class_names[:3]
    ('0', '1', '2')
    """
    run = Run(out or f"runs/{model}")
    wanted = get_recipe(recipe).replace(**settings)
    registry.get_spec(model)
    start = transfer.start_from(model, weights, freeze)
    taught = taught_by.recorded(teachers)
    run_experiment(model, dataset, wanted, run, start=start, teachers=taught, force=force)
    return load_model(run.folder)


def run_experiment(
    model: str,
    dataset: Dataset,
    recipe: Recipe,
    run: Run,
    *,
    start: dict[str, Any] | None = None,
    teachers: Sequence[dict[str, str]] = (),
    force: bool = False,
    tensorboard: bool = False,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    workers: Workers | None = None,
) -> dict[str, Any]:
    """Train and evaluate a network, write the finished run, and return its results.

    Args:
        model: name of the network.
        dataset: the splits to train, validate and test on.
        recipe: how to train.
        run: an unused folder, or an unfinished run of the same experiment, which is resumed.
        start: the trained weights to begin with, as ``transfer.start_from`` returns it.
        teachers: the networks to learn from, as ``teachers.recorded`` returns them.
        force: whether to replace an existing run.
        tensorboard: whether to write TensorBoard event files too.
        checkpoint_seconds: seconds between two checkpoints.
        workers: those that train together, of which this process is the chief; the others call
            ``assist_experiment``. None for this process alone.

    Raises:
        InputError: the network does not accept images of this shape, the folder is in use, another
            process trains into it or has finished it, it is a teacher, an unfinished run used
            another number of threads, or the weights of ``start`` or of a teacher are not there,
            have changed or do not fit.
        DivergedError: a cost, a weight or a logit is not finite.
        Interrupted: SIGINT or SIGTERM was received; the state was saved first.
    """
    _check_fits(recipe, dataset, teachers)
    resume = run.is_unfinished() and not force
    if resume:
        recipe = as_recorded(recipe, run.read_request()["recipe"])
    workers = workers or alone()
    network, recipe, request, cost_of = _prepare(
        model, dataset, recipe, start, teachers, workers=workers
    )
    begin = _beginning(network, dataset, run, start, resume=resume) if start else None
    if not resume:
        check_elsewhere(run, start, teachers)
    with run.owned():
        if resume:
            run.check_unfinished()  # again: another process may have finished it
            _check_same(run, request)
        else:
            run.create(request, force=force)
        if not run.seen.exists():
            earlier = _learned_from(model, start, teachers)
            for each in earlier:
                if warning := seen.warning(str(each.folder), each.seen, dataset.test):
                    print(warning)
            seen.write(run.seen, dataset.train, [each.seen for each in earlier])
        try:
            result = request | _train(
                network,
                dataset,
                recipe,
                run,
                begin=begin,
                resume=resume,
                tensorboard=tensorboard,
                checkpoint_seconds=checkpoint_seconds,
                workers=workers,
                cost_of=cost_of,
            )
            result["workers"] = workers.count
            run.finish(result)
            workers.wait()
        except KeyboardInterrupt as error:
            if not run.is_unfinished():
                raise
            signals.stop_raising()
            number = signals.number_of(error)
            raise Interrupted(f"interrupted; {run.how_to_resume(model)}", number) from error
    return result


def assist_experiment(
    model: str,
    dataset: Dataset,
    recipe: Recipe,
    start: dict[str, Any] | None,
    teachers: Sequence[dict[str, str]],
    *,
    workers: Workers,
) -> None:
    """Train a network together with the chief, until the chief has written the finished run.

    Args:
        model: as for ``run_experiment``, like the following.
        dataset: the same splits as those of the chief.
        recipe: how to train.
        start: the trained weights to begin with, which only the chief loads.
        teachers: the networks to learn from.
        workers: those that train together.

    Raises:
        InputError: the chief trains something else.
        DivergedError: a cost or a weight is not finite.
        Interrupted: a worker received SIGINT or SIGTERM.
    """
    _check_fits(recipe, dataset, teachers)
    network, recipe, _, cost_of = _prepare(model, dataset, recipe, start, teachers, workers=workers)
    if start:
        transfer.freeze(network, start["freeze"])
    assist(network, recipe, dataset, workers, cost_of)
    workers.wait()


def _prepare(
    model: str,
    dataset: Dataset,
    recipe: Recipe,
    start: dict[str, Any] | None,
    teachers: Sequence[dict[str, str]],
    *,
    workers: Workers,
) -> tuple[keras.Model, Recipe, dict[str, Any], Cost]:
    """Return the network, the recipe without open values, the request to record, and the cost.

    Raises:
        InputError: the recipe or a teacher does not fit, or another worker has another request.
    """
    recipe = parallelism.resolve(recipe, model, workers.replicas)
    if recipe.precision == "auto":
        names = list(PRECISIONS)
        found = 0
        if workers.is_chief:
            fastest = precision.fastest(partial(_build, model, dataset, recipe.seed))
            found = names.index(fastest)
        recipe = recipe.replace(precision=names[int(workers.broadcast(np.array(found)))])
    request: dict[str, Any] = {
        "model": model,
        "data": dataset.record(),
        "recipe": dataclasses.asdict(recipe),
        "start": start,
        "teachers": list(teachers),
        "architecture": architecture.fingerprint_of(
            model, dataset.image_shape, len(dataset.class_names)
        ),
    }
    # The paths of a folder of pictures and of weights may differ between hosts.
    same: dict[str, Any] = {
        "data": dataset.facts(),
        "start": start and {key: value for key, value in start.items() if key != "weights"},
        "teachers": [teacher["sha256"] for teacher in teachers],
    }
    workers.check_same(records.digest(request | same))
    with workers.strategy.scope():
        cost_of = Cost(recipe, taught_by.load(teachers, dataset, recipe.precision))
        network = _build(model, dataset, recipe.seed, recipe.precision)
    if workers.replicas > 1:
        synchronize_batch_statistics(network)
    return network, recipe, request, cost_of


def _learned_from(
    model: str, start: dict[str, Any] | None, teachers: Sequence[dict[str, str]]
) -> list[Run]:
    """Return the runs that a training begins with or learns from.

    Raises:
        InputError: the weights to begin with are not there, or have changed.
    """
    begun = [transfer.source_of(model, start)] if start else []
    return begun + [taught_by.run_of(teacher) for teacher in teachers]


def check_elsewhere(
    run: Run, start: dict[str, Any] | None, teachers: Sequence[dict[str, str]]
) -> None:
    """Check that a training does not replace the run that it begins with or learns from.

    Raises:
        InputError: it does.
    """
    places = [start["weights"]] if start else []
    places += [teacher["run"] for teacher in teachers]
    # Those of the package are names.
    folders = [Path(place).resolve() for place in places if os.path.isabs(place)]
    if run.folder.resolve() in folders:
        raise InputError(
            f"{run.folder} cannot be replaced by a training that begins with it or learns from "
            "it; give another run folder with --out"
        )


def _beginning(
    network: keras.Model, dataset: Dataset, run: Run, start: dict[str, Any], *, resume: bool
) -> Callable[[], None] | None:
    """Freeze layers; return what sets the first weights, None if a checkpoint will.

    Raises:
        InputError: there are no such layers; or the weights are not there, have changed or do not
            fit.
    """
    transfer.freeze(network, start["freeze"])
    if resume and Checkpoints.exist(run):
        return None
    return transfer.beginning(network, start, dataset.class_names, dataset.preprocessing.polarity)


def _check_same(run: Run, request: dict[str, Any]) -> None:
    """Check that an unfinished run is of this experiment.

    Raises:
        InputError: it is not; the message lists how the datasets differ, or says that the network
            was changed.
    """
    recorded = run.read_request()
    if architecture.differ(recorded["architecture"], request["architecture"]):
        raise InputError(
            f"the function of {request['model']} was changed after {run.folder} was begun; restore "
            "it, or train into another folder with --out"
        )
    if recorded | {"architecture": None} != request | {"architecture": None}:
        changes = differences(recorded["data"], request["data"])
        raise InputError(
            f"{run.folder} holds another experiment, recorded in its {run.recipe.name}"
            + (f": {'; '.join(changes)}" if changes else "")
            + "; train into another folder with --out"
        )


def _train(
    network: keras.Model,
    dataset: Dataset,
    recipe: Recipe,
    run: Run,
    **how: Any,
) -> dict[str, Any]:
    """Train and evaluate a network, write all files except the result, and return the result."""
    steps = recipe.total_steps(len(dataset.train))
    print(
        f"{network.name}: {network.count_params():,} parameters; {_describe(dataset)}; "
        f"recipe {recipe.name}, {steps:,} steps of {recipe.batch_size} in {recipe.precision}, "
        f"seed {recipe.seed}"
    )
    with progress.show(steps, recipe.batch_size) as shown:
        training = train(network, recipe, dataset, run, shown, **how)

    # Networks are used in float32, so they are evaluated in float32 for every training precision.
    trained = _build(network.name, dataset, recipe.seed, "float32")
    trained.set_weights(network.get_weights())
    predict = predict_fn(trained, recipe.shards or 1)
    validation, score = (evaluate(predict, split) for split in (dataset.validation, dataset.test))
    run.save_weights(trained)
    plots.save_all(run, trained, dataset, score)
    return _facts(network.name, recipe, training, validation, score)


def _check_fits(recipe: Recipe, dataset: Dataset, teachers: Sequence[dict[str, str]]) -> None:
    """Check the values of a recipe that depend on the dataset and the teachers.

    Raises:
        InputError: a batch is larger than the train split, a shift moves an image out of sight, or
            values for teachers were changed, but there is none.
    """
    usual = get_recipe(recipe.name)
    for name in ("teaching", "temperature"):
        if not teachers and getattr(recipe, name) != getattr(usual, name):
            raise InputError(f"{name} requires teachers, which zoo.train takes with --teachers")
    # A small split may be repeated within a batch.
    if recipe.batch_size > max(len(dataset.train), _SMALL):
        raise InputError(
            f"a batch of {recipe.batch_size:,} images is larger than the train split of "
            f"{dataset.name}, which has {len(dataset.train):,}; give a smaller --batch-size"
        )
    if recipe.shift >= min(dataset.image_shape[:2]):
        height, width, _ = dataset.image_shape
        raise InputError(
            f"a shift of {recipe.shift:,} pixels moves images of {height}x{width} out of sight"
        )


def as_recorded(recipe: Recipe, recorded: dict[str, Any]) -> Recipe:
    """Return the recipe with its open values replaced by those that a run has recorded.

    Args:
        recipe: how to train; only the values that it leaves open are replaced.
        recorded: the recipe of a run.
    """
    left_open = {"precision": "auto", "shards": None, "threads": None}
    chosen = {name for name, value in left_open.items() if getattr(recipe, name) == value}
    return recipe.replace(**{name: recorded[name] for name in chosen & recorded.keys()})


def _build(name: str, dataset: Dataset, seed: int, precision: str) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return registry.create_model(
        name,
        input_shape=dataset.image_shape,
        classes=len(dataset.class_names),
        precision=precision,
    )


def _describe(dataset: Dataset) -> str:
    counts = (dataset.train, dataset.validation, dataset.test)
    train_count, validation_count, test_count = (f"{len(split):,}" for split in counts)
    return (
        f"data {dataset.name} {dataset.version}, {train_count} training, "
        f"{validation_count} validation and {test_count} test images"
    )


def _facts(
    model: str, recipe: Recipe, training: Training, validation: Metrics, score: Metrics
) -> dict[str, Any]:
    return {
        "module": registry.get_spec(model).module,
        "seed": recipe.seed,
        "precision": recipe.precision,
        "steps": training.steps,
        "validation_accuracy": validation.accuracy,
        "test_accuracy": score.accuracy,
        "test_correct": score.correct,
        "test_count": score.count,
        "test_cost": score.cost,
        "seconds": training.seconds,
        "images_per_second": training.images_per_second,
        "versions": versions(),
        "machine": machine(),
    }
