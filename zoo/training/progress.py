"""Display the progress of a training: a live bar on a terminal, lines of text elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from etils import epy

from zoo.training.loop import REPORT_STEPS

with epy.lazy_imports():
    import rich.console
    import rich.progress


class Bar:
    """A live progress bar with step, cost, accuracy, images per second and remaining time."""

    def __init__(self, console: rich.console.Console, steps: int, batch: int) -> None:
        self._bar = rich.progress.Progress(
            rich.progress.BarColumn(bar_width=None),
            rich.progress.TextColumn("step {task.completed:.0f}/{task.total:.0f}"),
            rich.progress.TextColumn("{task.description}"),
            rich.progress.TimeRemainingColumn(),
            console=console,
        )
        self._task = self._bar.add_task("", total=steps)
        self._rate = _Rate(batch)

    def update(self, step: int, cost: float, accuracy: float) -> None:
        """Show the cost and accuracy of the batch of ``step``."""
        line = f"Cost: {cost:.4g}  Accuracy: {100 * accuracy:.1f} %  {self._rate.tick()}"
        self._bar.update(self._task, completed=step + 1, description=line)

    def validated(self, step: int, accuracy: float) -> None:
        """Print the validation accuracy above the bar."""
        self._bar.console.print(_validation_line(step, accuracy))

    def __enter__(self) -> Bar:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()


class Lines:
    """Lines of text as in the post: cost and accuracy of every hundredth batch."""

    def __init__(self, steps: int, batch: int) -> None:
        self._steps = steps
        self._rate = _Rate(batch)

    def update(self, step: int, cost: float, accuracy: float) -> None:
        """Print the cost and accuracy of every hundredth batch, and of the last."""
        rate = self._rate.tick()
        if step % REPORT_STEPS == 0 or step == self._steps - 1:
            line = f"Cost: {cost:.6g}  Accuracy: {100 * accuracy:.1f} %"
            print(f"Step {step:>5}  {line}  ({rate})", flush=True)

    def validated(self, step: int, accuracy: float) -> None:
        """Print the validation accuracy."""
        print(_validation_line(step, accuracy), flush=True)

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *exception: object) -> None:
        pass


def show(steps: int, batch: int) -> Bar | Lines:
    """Return a bar if standard output is a terminal, else lines of text."""
    console = rich.console.Console()
    return Bar(console, steps, batch) if console.is_terminal else Lines(steps, batch)


def _validation_line(step: int, accuracy: float) -> str:
    return f"Step {step:>5}  Validation accuracy: {100 * accuracy:.2f} %"


class _Rate:
    """Images per second over at most the last hundred steps."""

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._ticks: list[float] = []

    def tick(self) -> str:
        self._ticks = [*self._ticks[-REPORT_STEPS:], time.perf_counter()]
        if len(self._ticks) == 1:
            return "first step: includes compilation"
        images = (len(self._ticks) - 1) * self._batch
        return f"{images / (self._ticks[-1] - self._ticks[0]):,.0f} images/s"
