"""Run the commands where there is no network."""

from __future__ import annotations

import shutil

import numpy as np

from tools.faults.harness import Injected, Place

BEFORE = ""
WHAT = "command without internet access (in a network namespace)"
COUNT = 7


def inject(place: Place, random: np.random.Generator, count: int) -> Injected:
    """Run commands on prepared data without ``--offline``: all must succeed."""
    folder = place.folder / "network"
    small = ("ltfn1", "--data", "digits", "--steps", 20)
    commands = (
        ("zoo.list",),
        ("zoo.train", *small, "--out", "run"),
        ("zoo.compare", *small, "--seeds", 1, "--out", "study"),
        ("zoo.evaluate", place.run),
        ("zoo.predict", place.run, place.picture),
        ("export", place.run, "--formats", "saved_model,float32", "--out", "out"),
        ("export.verify", place.bundle),
    )
    for number, at in enumerate(random.permutation(len(commands))[:count]):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        within = ("unshare", "--map-root-user", "--net")
        done = place.call(*commands[at], cwd=folder, within=within)
        yield f"{number}: {commands[at][0]}", done.stderr[-300:] if done.returncode else None
