"""Kill one of two workers that run as on two machines, and resume their training."""

from __future__ import annotations

import shutil
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from tools.faults import harness
from tools.faults.harness import Injected, Place
from tools.faults.rows.kills import contents, differing
from tools.faults.rows.workers import SECONDS, TRAIN
from zoo.errors import WorkerError
from zoo.runs import Run
from zoo.training import local_workers, supervisor
from zoo.util import tf_config

BEFORE = ""
WHAT = (
    "SIGKILL of one of two workers with `TF_CONFIG`, at any moment after it began to listen; the "
    "training is then resumed or repeated"
)
COUNT = 20


def inject(place: Place, random: np.random.Generator, count: int) -> Injected:
    """Kill a worker, then go on as its user would; the run must equal a whole one."""
    folder = place.folder / "hosts"
    folder.mkdir()
    begin = time.monotonic()
    wrong = _train(place, folder, "whole", TRAIN)
    assert not wrong, wrong
    seconds = time.monotonic() - begin
    whole = contents(folder / "whole")
    for number in range(count):
        shutil.rmtree(folder / "run", ignore_errors=True)
        # The workers start for about half of the time.
        moment, killed = random.uniform(0, 0.6 * seconds), int(random.integers(2))
        fault = f"{number}: worker {killed} killed {moment:.2f} seconds after it began to listen"
        wrong = _train(place, folder, "run", TRAIN, (killed, moment))
        run = Run(folder / "run")
        if not wrong and not run.result.exists():
            arguments = (*TRAIN[:2], "--resume", "--offline") if run.recipe.exists() else TRAIN
            wrong = _train(place, folder, "run", arguments)
        yield fault, wrong or differing(whole, run.folder)


def _train(
    place: Place,
    folder: Path,
    out: str,
    arguments: tuple[object, ...],
    kill: tuple[int, float] | None = None,
) -> str | None:
    """Train with two workers; return what is wrong with their end.

    Args:
        place: where the commands run.
        folder: their current folder.
        out: the run folder.
        arguments: those of the command.
        kill: the worker to kill, and the seconds after it began to listen.
    """
    with ExitStack() as stack:
        addresses = stack.enter_context(local_workers.free_addresses(2))
        workers = []
        for number in range(2):
            environment = {
                tf_config.VARIABLE: tf_config.write_config(addresses, number),
                "TF_GRPC_REUSE_PORT": "1",
            }
            worker = place.start(*arguments, "--out", out, cwd=folder, environment=environment)
            stack.callback(worker.communicate)
            stack.callback(worker.kill)
            workers.append(worker)
        if not kill:
            for worker in workers:
                _, errors = worker.communicate()
                if worker.returncode:
                    return f"exit code {worker.returncode}: {errors[-300:]}"
            return None
        number, moment = kill
        while not supervisor.answers(addresses[number]):
            if workers[number].poll() is not None:
                return f"worker {number} ended by itself"
            time.sleep(0.05)
        time.sleep(moment)
        workers[number].kill()
        return _wrong_end(workers[1 - number])


def _wrong_end(worker: subprocess.Popen[str]) -> str | None:
    """Wait for the end of a worker after the other was killed; return what is wrong with it."""
    try:
        _, errors = worker.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return f"the other worker did not end within {SECONDS} seconds"
    if worker.returncode not in (0, WorkerError.exit_code):
        return f"exit code {worker.returncode}: {errors[-300:]}"
    done = subprocess.CompletedProcess(["zoo.train"], worker.returncode, "", errors)
    return harness.wrong_message(done)
