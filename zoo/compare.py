"""``python -m zoo.compare MODEL ...``: compare networks under one recipe, over several seeds.

A study is a folder of runs. Repeating the command resumes an interrupted study. Repeating it with
networks or seeds added extends the study; the table holds only those of the latest command. Several
processes, on machines that share the folder, may run the same command: each trains the runs that no
other one trains.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etils import epy

from zoo import cli, recipes, significance
from zoo.data import Dataset
from zoo.errors import DivergedError, InputError, Interrupted
from zoo.models import architecture, registry
from zoo.recipes import Recipe
from zoo.runs import InUseError, Run
from zoo.training import parallelism, precision
from zoo.training.experiment import as_recorded, run_experiment
from zoo.util import atomic, backend

with epy.lazy_imports():
    from matplotlib import figure, ticker

_SECONDS = 1.0  # between two looks at the runs of other processes


def main(argv: Sequence[str]) -> None:
    """Train every network with every seed, then write the table and the plot."""
    parser = cli.Parser(
        "zoo.compare",
        "Compare networks under one recipe, over several seeds.",
        example="ltfn1 ltfn3 --data digits --steps 50 --seeds 2",
        imports=True,
    )
    parser.add_argument(
        "models",
        nargs="+",
        metavar="MODEL",
        help="one or more networks; python -m zoo.list lists them",
    )
    parser.add_argument(
        "--seeds",
        type=cli.positive,
        default=3,
        help="seeds for each network (default: 3); one seed gives no estimate of the noise",
    )
    cli.add_experiment_arguments(parser)
    cli.add_data_arguments(parser)
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="study folder (default: studies/RECIPE)"
    )
    arguments = parser.parse_args(argv)
    for model in arguments.models:
        registry.get_spec(model)
    recipe = cli.recipe(arguments)
    if recipe.seed:
        raise InputError("a study trains with the seeds 0, 1, ...; give their number with --seeds")
    name, choices = cli.data_request(arguments, arguments.models[0])
    out = arguments.out or Path("studies") / recipe.name

    backend.start_tensorflow()
    # An unfinished run can be resumed only with its number of threads.
    unfinished = [run for run in map(Run, sorted(out.glob("*-seed*"))) if run.is_unfinished()]
    started = as_recorded(recipe, unfinished[0].read_request()["recipe"]) if unfinished else recipe
    parallelism.prepare(started, arguments.models)
    dataset = cli.load_data(name, arguments, **choices)
    # Seeds are the outer loop, so that an interrupted study has as many runs of each network.
    models = list(dict.fromkeys(arguments.models))  # one may be given twice
    common = functools.partial(_precision, out, models, dataset)
    jobs = [
        Job(model, dataset, recipe.replace(seed=seed), Run(out / f"{model}-seed{seed}"), common)
        for seed, model in itertools.product(range(arguments.seeds), models)
    ]
    try:
        found = _results(jobs)
    except Interrupted as error:
        message = "interrupted; the state is saved; repeat the command to continue the study"
        raise Interrupted(message, error.exit_code - 128) from error
    results = {
        model: [found[job.run.folder] for job in jobs if job.model == model] for model in models
    }
    text = table(results)
    with atomic.staged(out / "table.md") as stage:
        stage.write_text(text + "\n", encoding="utf-8")
    with atomic.staged(out / "comparison.png") as stage:
        plot(results).savefig(stage, format="png")
    print(f"\n{text}\n\nstudy saved in {out} (dataset: {dataset.name})")


def table(results: dict[str, list[dict[str, Any]]]) -> str:
    """Return the study as a Markdown table, best mean test accuracy first.

    Args:
        results: the results of the runs of each network.
    """
    behind = significance.behind({model: _accuracies(runs) for model, runs in results.items()})
    lines = [
        "| network | test accuracy, mean and standard deviation | runs | parameters "
        "| multiply-adds | training | behind the best |",
        "|---|---|---|---|---|---|---|",
    ]
    for model, distance in behind.items():
        runs = results[model]
        costs = costs_of(runs[0])
        cells = (
            model,
            significance.spread([run["test_accuracy"] for run in runs]),
            str(len(runs)),
            f"{costs.parameters:,}",
            f"{costs.multiply_adds:,}",
            f"{statistics.mean(run['seconds'] for run in runs):,.0f} s",
            distance,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(results: dict[str, list[dict[str, Any]]]) -> figure.Figure:
    """Plot the test accuracy of every run against its network's multiply-adds."""
    points = {
        model: (costs_of(runs[0]).multiply_adds, _accuracies(runs))
        for model, runs in results.items()
    }
    return plot_points(points, "multiply-adds per image", "test accuracy, %")


def plot_points(
    points: Mapping[str, tuple[float, Sequence[float]]], cost_label: str, accuracy_label: str
) -> figure.Figure:
    """Plot accuracies against costs, with the mean and standard deviation of each network.

    Args:
        points: the cost of each network, and the accuracies of its runs in percent.
        cost_label: name of the logarithmic axis of the costs.
        accuracy_label: name of the axis of the accuracies.
    """
    picture = figure.Figure(figsize=(7, 4), dpi=120, layout="constrained")
    axes = picture.subplots()
    for model, (cost, accuracies) in points.items():
        axes.errorbar(
            cost,
            statistics.mean(accuracies),
            significance.deviation(accuracies),
            fmt="o",
            capsize=4,
            label=model,
        )
        axes.plot([cost] * len(accuracies), accuracies, ".", color="grey", markersize=4)
    axes.set(xscale="log", xlabel=cost_label, ylabel=accuracy_label)
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 3)))
    axes.xaxis.set_major_formatter(ticker.EngFormatter())
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.legend()
    return picture


@dataclass(frozen=True)
class Job:
    """One run of a study, finished or not.

    Attributes:
        model: name of the network.
        dataset: what it is trained and tested on.
        recipe: how it is trained.
        run: its folder.
        precision: returns the precision of the study, for a run whose recipe leaves it open.
    """

    model: str
    dataset: Dataset
    recipe: Recipe
    run: Run
    precision: Callable[[], str]

    def result(self) -> dict[str, Any]:
        """Return the result of the run; train it if it is not finished.

        Raises:
            InUseError: another process trains it.
            InputError: the folder holds another experiment.
            DivergedError: a cost, a weight or a logit is not finite.
        """
        if not self.run.result.exists():
            with self.run.owned():
                # Another process may have finished it since.
                if not self.run.result.exists():
                    recipe = self.recipe
                    if recipe.precision == "auto" and not self.run.is_unfinished():
                        recipe = recipe.replace(precision=self.precision())
                    return run_experiment(self.model, self.dataset, recipe, self.run)
        result = self.run.read_result()
        recipe = as_recorded(self.recipe, result["recipe"])
        wanted: dict[str, Any] = {
            "model": self.model,
            "data": self.dataset.record(),
            "recipe": dataclasses.asdict(recipe),
            "start": None,
            "teachers": [],
        }
        if {key: result[key] for key in wanted} != wanted:
            raise InputError(
                f"{self.run.folder} holds another experiment; give another folder with --out"
            )
        classes = len(self.dataset.class_names)
        now = architecture.fingerprint_of(self.model, self.dataset.image_shape, classes)
        if architecture.differ(result["architecture"], now):
            raise InputError(
                f"the function of {self.model} was changed after {self.run.folder} was trained; "
                "restore it, or give another folder with --out"
            )
        return result


def _results(jobs: Sequence[Job]) -> dict[Path, dict[str, Any]]:
    """Return the results by the folders of the runs, once all are there.

    What another process trains is left to it, and trained here if that process is killed. A run
    that diverges does not keep the others from being trained.

    Raises:
        DivergedError: a run diverged.
    """
    found: dict[Path, dict[str, Any]] = {}
    diverged: dict[Path, DivergedError] = {}
    is_waiting = False
    while left := [job for job in jobs if job.run.folder not in found.keys() | diverged.keys()]:
        before = len(found) + len(diverged)
        for job in left:
            folder = job.run.folder
            try:
                found[folder] = job.result()
            except InUseError:
                continue
            except DivergedError as error:
                diverged[folder] = error
                continue
            accuracy = 100 * found[folder]["test_accuracy"]
            progress = f"{len(found)} of {len(jobs)} runs are finished"
            print(f"{folder.name}: test accuracy {accuracy:.2f} %; {progress}", flush=True)
        if len(found) + len(diverged) > before:
            continue
        if not is_waiting:
            is_waiting = True
            names = ", ".join(job.run.folder.name for job in left)
            print(f"waiting for other processes: {names}", flush=True)
        time.sleep(_SECONDS)
    if diverged:
        names = ", ".join(folder.name for folder in diverged)
        first = next(iter(diverged.values()))
        raise DivergedError(f"{names}: {first} and another study folder, --out DIR")
    return found


def _precision(out: Path, models: Sequence[str], dataset: Dataset) -> str:
    """Return the precision of a study: that of its runs, or the fastest for its largest network.

    With one for all, a difference between two networks is not one of their arithmetic.
    """
    begun = [run for run in map(Run, sorted(out.glob("*-seed*"))) if run.recipe.exists()]
    if begun:
        return begun[0].read_request()["recipe"]["precision"]
    shape, classes = dataset.image_shape, len(dataset.class_names)

    def multiply_adds(model: str) -> int:
        return registry.get_costs(model, input_shape=shape, classes=classes).multiply_adds

    largest = max(models, key=multiply_adds)
    build = functools.partial(registry.create_model, largest, input_shape=shape, classes=classes)
    return precision.fastest(lambda name: build(precision=name))


def read_study(study: Path) -> list[Run]:
    """Return the runs of a study.

    Raises:
        InputError: there are none, some are not finished, one is not what its name says, or they
            differ in more than network and seed.
    """
    paths = [path for path in sorted(study.glob("[!.]*-seed*")) if path.is_dir()]
    runs = [Run(path) for path in paths]
    if not runs:
        raise InputError(
            f"{study} has no runs; make a study with python -m zoo.compare MODEL ... --out {study}"
        )
    if unfinished := [run.folder.name for run in runs if not run.result.exists()]:
        raise InputError(
            f"{study} has unfinished runs: {', '.join(unfinished)}; repeat the command of "
            "zoo.compare that began them"
        )
    for run in runs:
        result = run.read_result()
        if run.folder.name != f"{result['model']}-seed{result['seed']}":
            raise InputError(
                f"{run.folder} is a run of {result['model']} with seed {result['seed']}; move it "
                "out of the study, so that no run counts twice"
            )
    first, *others = [experiment_of(run.read_result()) for run in runs]
    for run, experiment in zip(runs[1:], others, strict=True):
        if experiment != first:
            raise InputError(
                f"{run.folder} has other data, another recipe, other first weights or other "
                f"teachers than {runs[0].folder}; compare runs of one study"
            )
    return runs


def experiment_of(result: dict[str, Any]) -> dict[str, Any]:
    """Return what all runs of a study have in common, whatever the network, seed and machine."""
    recipe = result["recipe"].items()
    data = result["data"]
    return {
        "data": {key: data[key] for key in ("fingerprints", "class_names", "preprocessing")},
        "recipe": {key: value for key, value in recipe if key not in recipes.INCIDENTAL},
        "start": result["start"],
        "teachers": [teacher["sha256"] for teacher in result["teachers"]],
    }


def costs_of(result: dict[str, Any]) -> registry.Costs:
    """Return the costs of a run's network for the images and classes of its dataset."""
    data = result["data"]
    return registry.get_costs(
        result["model"],
        input_shape=tuple(data["image_shape"]),
        classes=len(data["class_names"]),
    )


def _accuracies(runs: Sequence[dict[str, Any]]) -> list[float]:
    """Return the test accuracies in percent."""
    return [100 * run["test_accuracy"] for run in runs]


if __name__ == "__main__":
    cli.run("zoo.compare", main)
