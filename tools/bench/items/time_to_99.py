"""Time from process start to 99 % accuracy on MNIST, compared with two published examples."""

from __future__ import annotations

import math
import tempfile

from tools.bench import whole
from tools.bench.published import WANTED
from tools.bench.results import Result, median, spread
from zoo.runs import Run

_OURS = ["compact-40k", "--epochs", "1", "--set", "learning_rate=5e-3"]
_KERAS, _TORCH = "keras.io, mnist_convnet", "pytorch/examples, mnist"


def measure(rounds: int) -> Result:
    """Train the zoo and the Keras example in turns, then PyTorch's until it is known to be slower.

    The zoo's time is that of the whole process; the others' times exclude scoring the test images.

    Raises:
        RuntimeError: half of the zoo's runs or more did not reach 99 %: their median is infinite.
    """
    seconds: dict[str, list[float]] = {"ours": [], _KERAS: [], _TORCH: []}
    accuracies: dict[str, list[float]] = {name: [] for name in seconds}

    def keep(name: str, taken: float, accuracy: float) -> None:
        seconds[name].append(taken)
        accuracies[name].append(100 * accuracy)

    with tempfile.TemporaryDirectory() as out:
        for seed in range(rounds):
            keep("ours", *_ours(seed, f"{out}/{seed}"))
            keep(_KERAS, *_published("keras"))
    reached = sum(map(math.isfinite, seconds["ours"]))
    if math.isinf(median(seconds["ours"])):
        raise RuntimeError(f"only {reached} of {rounds} runs of {_OURS[0]} reached 99 %")
    limit = median(seconds[_KERAS])
    # Once most of its runs exceed the limit, so does their median.
    while _slower(seconds[_TORCH], limit) <= rounds / 2 and len(seconds[_TORCH]) < rounds:
        keep(_TORCH, *_published("torch", limit))
    torch = median(seconds[_TORCH])
    lost = f"over {limit:.3g} in {_slower(seconds[_TORCH], limit)} runs of {len(seconds[_TORCH])}"
    cells = {
        f"`python -m zoo.train {' '.join(_OURS)}`": ("ours", spread(seconds["ours"])),
        _KERAS: (_KERAS, spread(seconds[_KERAS])),
        _TORCH: (_TORCH, spread(seconds[_TORCH]) if math.isfinite(torch) else lost),
    }
    return Result(
        title="from a cold start to 99 % of MNIST's test images, seconds",
        columns=["what", "median (range)", "test accuracy"],
        rows=[
            [what, cell, f"{min(accuracies[name]):.2f} to {max(accuracies[name]):.2f} %"]
            for what, (name, cell) in cells.items()
        ],
        notes=(
            f"Zoo: {rounds} seeds, of which {reached} reached 99 %, the whole process with scoring "
            f"and plots. Keras example: {rounds} runs interleaved with the zoo's, each until the "
            "first epoch that reached 99 %, without the time to score the test images. PyTorch "
            "example: repeated until most runs were slower than the Keras median; each run stopped "
            "before an epoch that would end after that median."
        ),
        headlines={
            "time to 99 % on MNIST: the faster of two published examples / `compact-40k` here": (
                f"{min(limit, torch) / median(seconds['ours']):.1f}"
            )
        },
        figures={
            "seconds": {name: [_finite(each) for each in taken] for name, taken in seconds.items()},
            "accuracies": accuracies,
        },
    )


def _ours(seed: int, out: str) -> tuple[float, float]:
    """Return the seconds that the zoo took, infinite below 99 %, and its accuracy."""
    options = ["--data", "mnist", "--offline", "--seed", seed, "--out", out]
    done = whole.run(["-m", "zoo.train", *_OURS, *options])
    return _counted(done.seconds, Run(out).read_result()["test_accuracy"])


def _published(kind: str, within: float = math.inf) -> tuple[float, float]:
    """Return the seconds that an example took, infinite below 99 %, and its accuracy."""
    done = whole.run(["-m", "tools.bench.published", kind, within])
    scoring, accuracy = map(float, done.output.split()[-2:])
    return _counted(done.seconds - scoring, accuracy)


def _counted(seconds: float, accuracy: float) -> tuple[float, float]:
    return (seconds if accuracy >= WANTED else math.inf), accuracy


def _slower(seconds: list[float], limit: float) -> int:
    return sum(taken > limit for taken in seconds)


def _finite(seconds: float) -> float | None:
    return seconds if math.isfinite(seconds) else None
