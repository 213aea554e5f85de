"""``python -m zoo.train MODEL``: train a network and leave a run folder."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import Any

from etils import epy

from zoo import commands, data, plots, progress, recipes, registry
from zoo.errors import InputError
from zoo.machine import machine, versions
from zoo.metrics import Metrics, evaluate
from zoo.recipes import Recipe
from zoo.runs import Run
from zoo.training import Training, predict_fn, train

with epy.lazy_imports():
    import keras

# What the post prints at its end, for the one network and data set it is about.
_POST_TEST_COST = 15_083
_POST_TEST_ACCURACY = 0.8188

_RECIPE_FLAGS = ("steps", "epochs", "batch_size", "seed")


def main(argv: Sequence[str]) -> None:
    """Train, score the whole test split once, write the run."""
    arguments = _parser().parse_args(argv)
    registry.get_spec(arguments.model)
    run = Run(arguments.out or f"runs/{arguments.model}")
    recorded = _read_unfinished(run, arguments) if arguments.resume else None
    if recorded is None:
        run.check_free(force=arguments.force)
        recipe = _recipe(arguments)
    else:
        recipe = Recipe(**recorded["recipe"])

    name, image_size = _data_request(arguments, recorded)
    commands.start_tensorflow()
    dataset = commands.load_data(name, arguments, image_size)
    request = {
        "model": arguments.model,
        "data": dataset.facts(),
        "recipe": dataclasses.asdict(recipe),
    }
    if recorded is None:
        run.create(request, force=arguments.force)
    elif recorded != request:
        raise InputError(f"the data set is not the one {run.recipe} records; it cannot go on")

    model = _create(arguments.model, dataset, recipe.precision, recipe.seed)
    steps = recipe.total_steps(len(dataset.train))
    print(
        f"{model.name}: {model.count_params():,} parameters; {_describe(dataset)}; "
        f"recipe {recipe.name}, {steps:,} steps of {recipe.batch_size} in {recipe.precision}"
    )
    with progress.show(steps, recipe.batch_size) as shown:
        training = train(model, recipe, dataset, run, shown, resume=arguments.resume)

    # Scored as it will be used: in float32, whatever the precision of the training.
    trained = _create(arguments.model, dataset, "float32", recipe.seed)
    trained.set_weights(model.get_weights())
    score = evaluate(predict_fn(trained), dataset.test)
    run.finish(trained, _result(request, recipe, training, score))
    plots.save_all(run, trained, dataset, score)
    _report(request, score)
    print(f"{run.folder} holds the run; next: python -m export {run.folder}")


def _parser() -> commands.Parser:
    parser = commands.Parser("zoo.train", "Train a network of the zoo into a run folder.")
    parser.add_argument("model", metavar="MODEL", help=", ".join(registry.list_models()))
    parser.add_argument(
        "--recipe", metavar="NAME", help=f"{', '.join(recipes.RECIPES)} (default: quick)"
    )
    parser.add_argument("--data", metavar="NAME", help=f"{data.HELP} (default: auto)")
    parser.add_argument(
        "--image-size",
        type=commands.size,
        metavar="N|HxW",
        help="resize the images (default: the set's size; for a folder the network's)",
    )
    commands.add_data_arguments(parser)
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        dest="overrides",
        action="append",
        default=[],
        help="replace one value of the recipe; may be repeated",
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=commands.positive, help="train on this many batches")
    length.add_argument("--epochs", type=commands.positive, help="see each image this often")
    parser.add_argument("--batch-size", type=commands.positive, help="images in each step")
    parser.add_argument("--seed", type=commands.natural, help="of weights, order, augmentation")
    parser.add_argument("--out", metavar="DIR", help="run folder (default: runs/MODEL)")
    parser.add_argument("--force", action="store_true", help="replace the run folder")
    parser.add_argument("--resume", action="store_true", help="go on with an unfinished run")
    return parser


def _recipe(arguments: argparse.Namespace) -> Recipe:
    flags = {name: getattr(arguments, name) for name in _RECIPE_FLAGS}
    given = {name: value for name, value in flags.items() if value is not None}
    overrides = recipes.parse_overrides(arguments.overrides)
    return recipes.get_recipe(arguments.recipe or "quick").replace(**overrides | given)


def _data_request(
    arguments: argparse.Namespace, recorded: dict[str, Any] | None
) -> tuple[str, tuple[int, int] | None]:
    """Return the name of the data set and the size of its images, None for the set's own."""
    if recorded:
        height, width, _ = recorded["data"]["image_shape"]
        return recorded["data"]["name"], (height, width)
    name = arguments.data or "auto"
    data.check_name(name)
    if arguments.image_size is None and data.is_folder(name):
        height, width, _ = registry.get_spec(arguments.model).input_shape
        return name, (height, width)
    return name, arguments.image_size


def _read_unfinished(run: Run, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what the run to go on with records; it alone says what is trained and how."""
    given = [
        name
        for name in (*_RECIPE_FLAGS, "recipe", "data", "image_size")
        if getattr(arguments, name) is not None
    ]
    if given or arguments.overrides or arguments.force:
        raise InputError(
            f"--resume goes on as {run.recipe} records; it takes no --recipe, --data, "
            "--image-size, --set, --steps, --epochs, --batch-size, --seed or --force"
        )
    recorded = run.read_request()
    if recorded["model"] != arguments.model:
        raise InputError(f"{run.folder} is a run of {recorded['model']}, not of {arguments.model}")
    if run.result.exists():
        raise InputError(f"{run.folder} is finished: there is nothing to resume")
    return recorded


def _create(name: str, dataset: data.Dataset, precision: str, seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return registry.create_model(
        name,
        input_shape=dataset.image_shape,
        classes=len(dataset.class_names),
        precision=precision,
    )


def _describe(dataset: data.Dataset) -> str:
    counts = (dataset.train, dataset.validation, dataset.test)
    train_count, validation_count, test_count = (f"{len(split):,}" for split in counts)
    return (
        f"data {dataset.name} {dataset.version}, {train_count} training, "
        f"{validation_count} validation and {test_count} test images"
    )


def _result(
    request: dict[str, Any], recipe: Recipe, training: Training, score: Metrics
) -> dict[str, Any]:
    return request | {
        "seed": recipe.seed,
        "precision": recipe.precision,
        "steps": training.steps,
        "validation_accuracy": training.validation_accuracy,
        "test_accuracy": score.accuracy,
        "test_correct": score.correct,
        "test_count": score.count,
        "test_cost": score.cost,
        "seconds": training.seconds,
        "images_per_second": training.images_per_second,
        "versions": versions(),
        "machine": machine(),
    }


def _report(request: dict[str, Any], score: Metrics) -> None:
    """Print the test's cost and accuracy, beside the post's where it is the post's experiment."""
    beside = {"cost": "", "accuracy": ""}
    if (request["model"], request["data"]["name"]) == ("ltfn5", "mnist"):
        beside = {
            "cost": f"   (the post: {_POST_TEST_COST:,})",
            "accuracy": f"   (the post: {100 * _POST_TEST_ACCURACY:.2f} %)",
        }
    correct = f"{score.correct:,} of {score.count:,} on {request['data']['name']}"
    print(f"Test cost: {score.cost:,.6g}{beside['cost']}")
    print(f"Test accuracy: {100 * score.accuracy:.2f} %, {correct}{beside['accuracy']}")


if __name__ == "__main__":
    commands.run("zoo.train", main)
