"""Training speed of ltfn5, compared with stock Keras and PyTorch."""

from __future__ import annotations

from tools.bench.race import run_interleaved
from tools.bench.results import Result, median

_COURSES = {
    "100 0": "batch 100",
    "100 1": "batch 100, shifted",
    "128 0": "batch 128",
    "128 1": "batch 128, shifted",
    "256 0": "batch 256",
    "256 1": "batch 256, shifted",
}
_OURS = {
    "zoo, float32": ["tools.bench.trainers", "zoo", "float32"],
    "zoo, bfloat16": ["tools.bench.trainers", "zoo", "bfloat16"],
}
OTHERS = {
    "Keras fit, float32": ["tools.bench.trainers", "keras", "float32"],
    "Keras fit, mixed bfloat16": ["tools.bench.trainers", "keras", "bfloat16"],
    "PyTorch, float32": ["tools.bench.trainers", "torch", "float32"],
    "PyTorch, bfloat16": ["tools.bench.trainers", "torch", "bfloat16"],
}
_COMPILED = "PyTorch compiled, bfloat16"


def measure(rounds: int) -> Result:
    """Measure all contestants on every course; compiled PyTorch, slow to start, on the first."""
    commands = _OURS | OTHERS
    found = run_interleaved(commands, _COURSES, rounds)
    first, *_ = _COURSES
    compiled = {
        "zoo, bfloat16": commands["zoo, bfloat16"],
        _COMPILED: ["tools.bench.trainers", "torch", "bfloat16", "compiled"],
    }
    beside = run_interleaved(compiled, [first], rounds)[first]
    found[first][_COMPILED] = beside[_COMPILED]

    rows, ratios = [], {}
    for course, name in _COURSES.items():
        rates = {each: median(values) for each, values in found[course].items()}
        zoo = max(rates["zoo, float32"], rates["zoo, bfloat16"])
        keras = max(rates["Keras fit, float32"], rates["Keras fit, mixed bfloat16"])
        pytorch = max(rate for each, rate in rates.items() if each.startswith("PyTorch"))
        ratios[course] = (
            rates["zoo, float32"] / rates["Keras fit, float32"],
            zoo / rates["Keras fit, float32"],
            zoo / keras,
            zoo / pytorch,
        )
        cells = [f"{rates[each]:,.0f}" if each in rates else "" for each in (*commands, _COMPILED)]
        rows.append([name, *cells, *(f"{ratio:.2f}" for ratio in ratios[course])])
    same, default, fastest, pytorch = ratios["100 1"]
    ours = "training speed, `quick`: `--precision auto`"
    return Result(
        title="training ltfn5 on MNIST, images per second",
        columns=[
            "course",
            *commands,
            _COMPILED,
            "zoo float32 / Keras float32",
            "zoo / Keras float32",
            "zoo / Keras' best",
            "zoo / PyTorch's best",
        ],
        rows=rows,
        notes=(
            f"Medians of {rounds} rounds of at least 400 images, all contestants interleaved. "
            "Shifted: by at most one pixel, by the zoo's pipeline, Keras' RandomTranslation, or "
            "slicing in PyTorch."
        ),
        headlines={
            f"{ours} / stock Keras `fit`": f"{default:.2f}",
            "training speed, `quick`: float32 / stock Keras `fit`": f"{same:.2f}",
            f"{ours} / Keras `fit` in its faster format": f"{fastest:.2f}",
            f"{ours} / PyTorch in its faster format": f"{pytorch:.2f}",
        },
        figures=found,
    )
