"""``python -m zoo.train MODEL``: train a network into a run folder."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

from etils import epy

from zoo import cli, data
from zoo.errors import InputError
from zoo.metrics import wilson_interval
from zoo.models import registry, user_modules
from zoo.recipes import Recipe
from zoo.runs import Run
from zoo.training import parallelism
from zoo.training import teachers as taught_by
from zoo.training.experiment import assist_experiment, check_elsewhere, run_experiment
from zoo.training.loop import CHECKPOINT_SECONDS
from zoo.training.member import member
from zoo.training.transfer import source_of, start_from
from zoo.training.workers import STRATEGIES
from zoo.training.workers import start as start_workers
from zoo.util import backend, lifetime, tf_config

with epy.lazy_imports():
    from zoo.training import local_workers, supervisor

_WIDE = 0.02  # width of a confidence interval above which it is printed

# The test results that the post prints at its end, for ltfn5 on MNIST.
_POST_TEST_COST = 15_083
_POST_TEST_ACCURACY = 0.8188


def main(argv: Sequence[str]) -> None:
    """Train one network into one run folder, alone or as one of several workers."""
    arguments = _parser().parse_args(argv)
    if arguments.resume and arguments.model not in registry.list_models():
        _check_no_run(Run(arguments.model))
    registry.get_spec(arguments.model)
    task = _task(arguments)
    if task is None:
        _train(arguments, None)
    elif lifetime.has_parent():
        with member(task):
            _train(arguments, task)
    else:
        sys.exit(supervisor.run(task, "zoo.train"))


def _train(arguments: argparse.Namespace, task: tf_config.Task | None) -> None:
    is_chief = task is None or task.number == 0
    run = Run(arguments.out or f"runs/{arguments.model}")
    if arguments.resume:
        recorded = _read_unfinished(run, arguments)
        recipe = Recipe(**recorded["recipe"])
        start, teachers = recorded["start"], recorded["teachers"]
        load = partial(data.load_recorded, recorded["data"], **cli.data_options(arguments))
    else:
        recipe = cli.recipe(arguments)
        name, choices = cli.data_request(arguments, arguments.model)
        start = start_from(arguments.model, arguments.weights, arguments.freeze)
        teachers = taught_by.recorded(arguments.teachers)
        choices |= _like_trained(arguments, start, teachers, name) | cli.image_choices(arguments)
        if is_chief:
            check_elsewhere(run, start, teachers)
            run.check_free(force=arguments.force)
        load = partial(cli.load_data, name, arguments, **choices)
    if arguments.workers and task is None:
        if arguments.workers > recipe.batch_size:
            raise InputError(
                f"--workers {arguments.workers} exceeds the {recipe.batch_size} images of a batch; "
                "give fewer workers, or a larger --batch-size"
            )
        sys.exit(local_workers.run(arguments.workers, "zoo.train"))

    backend.start_tensorflow()
    parallelism.prepare(recipe, [arguments.model], len(task.addresses) if task else 1)
    workers = start_workers(arguments.strategy, task)
    dataset = load()
    if not is_chief:
        assist_experiment(arguments.model, dataset, recipe, start, teachers, workers=workers)
        return
    result = run_experiment(
        arguments.model,
        dataset,
        recipe,
        run,
        start=start,
        teachers=teachers,
        force=arguments.force,
        tensorboard=arguments.tensorboard,
        checkpoint_seconds=arguments.checkpoint_seconds,
        workers=workers,
    )
    _report(result)
    following = " ".join(["python -m export", str(run.folder), *user_modules.options()])
    print(f"run saved in {run.folder}; next: {following}")


def _task(arguments: argparse.Namespace) -> tf_config.Task | None:
    """Return this process among several workers; None if it trains alone, or starts the workers.

    Raises:
        InputError: TF_CONFIG is invalid, or the strategy does not allow the number of workers.
    """
    if arguments.strategy in ("one", "mirrored"):
        if arguments.workers:
            raise InputError(f"--strategy {arguments.strategy} does not allow --workers")
        return None
    task = tf_config.read_task()
    if task and arguments.workers not in (None, len(task.addresses)):
        raise InputError(
            f"--workers {arguments.workers} starts workers on this machine, but TF_CONFIG "
            f"describes {len(task.addresses)}; leave out one of them"
        )
    if task is None and arguments.strategy == "multi-worker" and not arguments.workers:
        raise InputError(
            "--strategy multi-worker requires TF_CONFIG; set it for each worker "
            "(docs/distributed.md), or start all on this machine with --workers N"
        )
    return task


def _parser() -> cli.Parser:
    parser = cli.Parser(
        "zoo.train",
        "Train a network into a run folder.",
        example="compact-4k --data digits --steps 100",
        imports=True,
    )
    parser.add_argument("model", metavar="MODEL", help=", ".join(registry.list_models()))
    cli.add_experiment_arguments(parser)
    cli.add_data_arguments(parser)
    parser.add_argument("--seed", type=cli.natural, help="seed of weights, order and augmentation")
    parser.add_argument(
        "--weights",
        metavar="mnist|RUN",
        help="begin with trained weights: of the package, or of a run; if the classes are others, "
        "the last layer begins with new ones",
    )
    parser.add_argument(
        "--freeze", metavar="LAYER", help="with --weights: train only the layers after this one"
    )
    parser.add_argument(
        "--teachers",
        nargs="+",
        default=[],
        metavar="RUN",
        help="also learn from the answers of trained networks, runs or names of the package",
    )
    parser.add_argument("--out", metavar="DIR", help="run folder (default: runs/MODEL)")
    parser.add_argument("--force", action="store_true", help="replace an existing run folder")
    parser.add_argument("--resume", action="store_true", help="continue an unfinished run")
    parser.add_argument(
        "--checkpoint-seconds",
        type=cli.natural,
        default=CHECKPOINT_SECONDS,
        metavar="N",
        help="seconds between two saved states (default: %(default)s)",
    )
    parser.add_argument(
        "--strategy",
        choices=STRATEGIES,
        default="auto",
        help="devices to train on: one; mirrored, all GPUs of this machine; multi-worker, the "
        "machines in TF_CONFIG (docs/distributed.md); auto (default) is multi-worker if there is "
        "TF_CONFIG, else mirrored if there are several GPUs",
    )
    parser.add_argument(
        "--workers",
        type=cli.positive,
        metavar="N",
        help="train with N workers on this machine, which share its cores",
    )
    parser.add_argument(
        "--tensorboard", action="store_true", help="write TensorBoard events to the run folder"
    )
    return parser


def _like_trained(
    arguments: argparse.Namespace,
    start: dict[str, Any] | None,
    teachers: list[dict[str, str]],
    name: str,
) -> dict[str, Any]:
    """Return arguments of ``data.load`` that give pictures in a folder a form that was trained."""
    if not data.is_folder(name) or not (start or teachers):
        return {}
    # Networks answer as their teachers only if their images are the same in everything.
    run = taught_by.run_of(teachers[0]) if teachers else source_of(arguments.model, start or {})
    how = data.preprocessing.recorded(run.read_result()["data"])
    if teachers:
        return how.choices()
    return {"image_size": how.size, "channels": how.channels, "polarity": how.polarity}


def _read_unfinished(run: Run, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the recorded request of the run to resume; it alone defines the training."""
    given = [
        name
        for name in (*cli.RECIPE_FLAGS, *cli.IMAGE_FLAGS, "recipe", "data")
        if getattr(arguments, name) is not None
    ]
    given += [
        name
        for name in ("overrides", "force", "weights", "freeze", "teachers")
        if getattr(arguments, name)
    ]
    if given:
        options = [f"--{name.replace('_', '-')}" for name in given]
        left_out = ", ".join(options).replace("--overrides", "--set")
        raise InputError(f"--resume uses the settings in {run.recipe}; leave out {left_out}")
    recorded = run.read_request()
    if recorded["model"] != arguments.model:
        raise InputError(f"{run.folder} is a run of {recorded['model']}, not of {arguments.model}")
    run.check_unfinished()
    return recorded


def _check_no_run(run: Run) -> None:
    """Check that the name of a network is not the run to resume.

    Raises:
        InputError: it is; the message is the right command.
    """
    if run.is_unfinished():
        following = run.how_to_resume(run.read_request()["model"])
        raise InputError(f"--resume takes a network, not the run folder; {following}")


def _report(result: dict[str, Any]) -> None:
    """Print the test cost and accuracy; for ltfn5 on MNIST also those of the post.

    If there are so few test images that the accuracy is uncertain, also print its interval.
    """
    beside = {"cost": "", "accuracy": ""}
    name = result["data"]["name"]
    if (result["model"], name) == ("ltfn5", "mnist"):
        beside = {
            "cost": f"   (the post: {_POST_TEST_COST:,})",
            "accuracy": f"   (the post: {100 * _POST_TEST_ACCURACY:.2f} %)",
        }
    right = f"{result['test_correct']:,} of {result['test_count']:,} on {name}"
    print(f"Test cost: {result['test_cost']:,.6g}{beside['cost']}")
    print(f"Test accuracy: {100 * result['test_accuracy']:.2f} %, {right}{beside['accuracy']}")
    low, high = wilson_interval(result["test_correct"], result["test_count"])
    if high - low > _WIDE:
        interval = f"{100 * low:.2f} to {100 * high:.2f} %"
        print(f"95 % confidence interval: {interval} (few test images)")


if __name__ == "__main__":
    cli.run("zoo.train", main)
