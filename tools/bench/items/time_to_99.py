"""From the start of a process to 99 % of MNIST's test images, beside two published examples."""

from __future__ import annotations

import re
import tempfile

from tools.bench import whole
from tools.bench.results import Result, median, spread

_WANTED = 99.0
_OURS = ["compact-40k", "--epochs", "1", "--set", "learning_rate=5e-3"]
_PUBLISHED = {"keras.io, mnist_convnet": "keras", "pytorch/examples, mnist": "torch"}


def measure(rounds: int) -> Result:
    """Train ours with as many seeds as there are rounds, and each of the others once.

    Of ours everything counts, of the others everything but the scoring of the test images.
    """
    ours, accuracies = [], []
    with tempfile.TemporaryDirectory() as out:
        for seed in range(rounds):
            options = ["--data", "mnist", "--offline", "--seed", seed, "--out", f"{out}/{seed}"]
            done = whole.run(["-m", "zoo.train", *_OURS, *options])
            found = re.search(r"Test accuracy: ([\d.]+) %", done.output)
            assert found
            ours.append(done.seconds)
            accuracies.append(float(found[1]))
    rows = [
        [
            f"`python -m zoo.train {' '.join(_OURS)}`",
            spread(ours),
            f"{min(accuracies):.2f} to {max(accuracies):.2f} %",
        ]
    ]
    others = {}
    for name, kind in _PUBLISHED.items():
        done = whole.run(["-m", "tools.bench.published", kind])
        scoring, accuracy = map(float, done.output.split()[-2:])
        others[name] = done.seconds - scoring
        rows.append([name, f"{others[name]:.3g}", f"{100 * accuracy:.2f} %"])
    reached = sum(accuracy >= _WANTED for accuracy in accuracies)
    return Result(
        title="from a cold start to 99 % of MNIST's test images, seconds",
        columns=["what", "median (range)", "test accuracy"],
        rows=rows,
        notes=(
            f"{rounds} seeds of ours, of which {reached} reached {_WANTED:g} %, the whole process "
            "with its scoring and pictures; one run of each of the others up to the first epoch "
            "after which it had reached it, its own scoring taken off."
        ),
        headlines={
            "time to 99 % on MNIST, the faster of two published examples / ours": (
                f"{min(others.values()) / median(ours):.1f}"
            )
        },
        figures={"seconds": ours, "accuracies": accuracies, "others": others},
    )
