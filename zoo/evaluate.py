"""``python -m zoo.evaluate RUN``: score a run's network on a whole split again."""

from __future__ import annotations

from collections.abc import Sequence

from zoo import commands, files
from zoo.metrics import evaluate
from zoo.runs import Run, load_model
from zoo.training import predict_fn


def main(argv: Sequence[str]) -> None:
    """Score one run."""
    parser = commands.Parser("zoo.evaluate", "Score a run's network on a whole split.")
    parser.add_argument("run", metavar="RUN", help="run folder, such as runs/ltfn5")
    parser.add_argument(
        "--split", choices=("train", "validation", "test"), default="test", help="default: test"
    )
    parser.add_argument("--json", action="store_true", help="one object, exact numbers")
    commands.add_data_arguments(parser)
    arguments = parser.parse_args(argv)
    run = Run(arguments.run)
    result = run.read_result()

    commands.start_tensorflow()
    model = load_model(run.folder)
    dataset = commands.load_run_data(run, arguments)
    score = evaluate(predict_fn(model), getattr(dataset, arguments.split))
    if arguments.json:
        facts = {
            "model": result["model"],
            "data": dataset.name,
            "split": arguments.split,
            "accuracy": score.accuracy,
            "correct": score.correct,
            "count": score.count,
            "cost": score.cost,
        }
        print(files.json_text(facts))
        return
    kind = arguments.split.capitalize()
    print(f"{kind} cost: {score.cost:,.6g}")
    print(
        f"{kind} accuracy: {100 * score.accuracy:.2f} %, "
        f"{score.correct:,} of {score.count:,} on {dataset.name}"
    )


if __name__ == "__main__":
    commands.run("zoo.evaluate", main)
