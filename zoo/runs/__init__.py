"""The run folder: the weights and results of one training, without code.

runs/<model>/
    recipe.json         the request: model, dataset and the resolved recipe
    metrics.jsonl       cost and accuracy of every hundredth batch, and the validation accuracy
    tensorboard/        the same as events, with --tensorboard
    checkpoints/        the latest states, for --resume
    trained-on.npy      a digest of each image that the weights have learned from (zoo.data.seen)
    model.weights.h5    the trained weights
    curves.png, confusion.png, mistakes.png, filters.png
                        the plots; filters.png only if the first kernels are images
    result.json         the results; written last, so a run that has it has all files above
    corruptions.png     written by zoo.evaluate --corruptions
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from etils import epy
from filelock import FileLock, Timeout

from zoo import data
from zoo.data import Dataset, preprocessing
from zoo.errors import InputError, first_line
from zoo.models import architecture, registry, user_modules
from zoo.runs import records
from zoo.util import atomic, bundle_paths, declared
from zoo.weights import released, released_folder

with epy.lazy_imports():
    import keras

# Bytes; HDF5 adds less to the content of an array.
_H5_BYTES = 1 << 14


class InUseError(InputError):
    """Another process trains into a run folder."""


class Run:
    """One run folder; no other code defines its file names."""

    def __init__(self, folder: str | Path) -> None:
        """Name the files of a run folder, which need not exist.

        Raises:
            InputError: the folder is the root folder.
        """
        # "." and ".." do not contain the folder's name.
        unnamed = Path(folder).name in ("", "..")
        self.folder = Path(os.path.abspath(folder) if unnamed else folder)
        if not self.folder.name:
            raise InputError(f"{self.folder} cannot be a run folder; give a folder in it")
        self.recipe = self.folder / "recipe.json"
        self.metrics = self.folder / "metrics.jsonl"
        self.checkpoints = self.folder / "checkpoints"
        self.weights = self.folder / "model.weights.h5"
        self.seen = self.folder / "trained-on.npy"
        self.result = self.folder / "result.json"
        self.tensorboard = self.folder / "tensorboard"
        self.curves = self.folder / "curves.png"
        self.confusion = self.folder / "confusion.png"
        self.mistakes = self.folder / "mistakes.png"
        self.filters = self.folder / "filters.png"
        self.corruptions = self.folder / "corruptions.png"
        self._previous = self.folder.with_name(f".{self.folder.name}.previous")
        self._discarded = self.folder.with_name(f".{self.folder.name}.discarded")
        self._lock = FileLock(self.folder.with_name(f".{self.folder.name}.lock"))

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Keep other processes from writing to the run until the block or this process ends.

        What a killed owner left behind is removed. The owner may enter another block within it.

        Raises:
            InUseError: another process owns the run.
            InputError: the parent folder cannot be written.
        """
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise InUseError(
                f"another process is training into {self.folder}; wait until it ends, or give "
                "another folder with --out"
            ) from error
        except OSError as error:
            raise InputError(
                f"cannot write {self._lock.lock_file}: {error.strerror}; give a run folder in a "
                "writable folder with --out"
            ) from error
        try:
            for folder in (self.folder, self.checkpoints):
                atomic.remove_staged(folder)
            shutil.rmtree(self._discarded, ignore_errors=True)
            yield
        finally:
            self._lock.release()

    def is_unfinished(self) -> bool:
        """Return whether the folder has a training that can be resumed."""
        return self.recipe.exists() and not self.result.exists()

    def check_unfinished(self) -> None:
        """Check that the run can be resumed.

        Raises:
            InputError: it is finished.
        """
        if self.result.exists():
            raise InputError(f"{self.folder} is finished: there is nothing to resume")

    def how_to_resume(self, model: str) -> str:
        """Return the end of a message: how to continue the training of a network."""
        arguments = [model, "--resume", "--out", str(self.folder), *user_modules.options()]
        return (
            "if you gave --data-dir, --manual-dir or --offline, add it again; continue with "
            f"python -m zoo.train {shlex.join(arguments)}"
        )

    def check_free(self, *, force: bool) -> None:
        """Check, before the work starts, that ``create`` will succeed.

        Raises:
            InputError: the folder is not writable, or contains files that must not be replaced.
        """
        nearest = next(path for path in (self.folder, *self.folder.parents) if path.exists())
        if not (nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)):
            raise InputError(
                f"cannot write the run folder {self.folder}: {nearest} is not a writable "
                "folder; give another with --out"
            )
        if not self.folder.is_dir() or all(map(atomic.is_staged, self.folder.iterdir())):
            return
        if not force:
            raise InputError(
                f"{self.folder} exists; give --force to replace it, --resume to continue "
                "an unfinished run, or --out for another folder"
            )
        if not self.recipe.exists():
            raise InputError(
                f"{self.folder} is not a run folder; --force replaces only run folders"
            )

    def create(self, request: dict[str, Any], *, force: bool = False) -> None:
        """Create the folder and record the request.

        With ``force`` an existing run is replaced; a finished one is kept aside until the new one
        is finished too.

        Raises:
            InputError: as ``check_free`` does.
        """
        self.check_free(force=force)
        if self.result.exists():
            shutil.rmtree(self._previous, ignore_errors=True)
            self.folder.rename(self._previous)
        elif self.recipe.exists():
            # A folder whose removal was interrupted would not be recognized as a run.
            self.folder.rename(self._discarded)
            shutil.rmtree(self._discarded)
        self.folder.mkdir(parents=True, exist_ok=True)
        records.write(self.recipe, request)

    def read_request(self) -> dict[str, Any]:
        """Return the request that ``create`` recorded.

        Raises:
            InputError: the folder has no such record, or the record was changed.
        """
        try:
            return records.read_request(self.recipe)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise self._is_no_run(self.recipe) from error

    def save_weights(self, model: keras.Model) -> None:
        """Write the trained weights."""
        with atomic.staged(self.weights) as stage:
            # HDF5 crashes the process if the disk becomes full while it writes.
            arrays = model.get_weights()
            atomic.reserve(stage, sum(array.nbytes + _H5_BYTES for array in arrays))
            model.save_weights(stage)

    def finish(self, result: dict[str, Any]) -> None:
        """Write the results, which completes the run; all other files must have been written."""
        weights = {"file": self.weights.name, "sha256": atomic.sha256(self.weights)}
        records.write(self.result, result | {"weights": weights})
        shutil.rmtree(self._previous, ignore_errors=True)

    def read_result(self) -> dict[str, Any]:
        """Return the results of a finished run.

        Raises:
            InputError: the folder is not a run, the run is not finished, or its record was changed.
        """
        if self.is_unfinished():
            raise InputError(
                f"{self.folder} is an unfinished run without weights; "
                f"continue it with python -m zoo.train MODEL --resume --out {self.folder}"
            )
        try:
            return records.read_result(self.result)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise self._is_no_run(self.result) from error

    def check_weights(self, sha256: str) -> None:
        """Check that the run has the weights with which a training began.

        Raises:
            InputError: there is no finished run, or it has other weights.
        """
        if self.read_result()["weights"]["sha256"] != sha256:
            raise InputError(
                f"{self.folder} has other weights than when this training began; train again with "
                "--force"
            )

    def _is_no_run(self, missing: Path) -> InputError:
        if bundle := bundle_paths.bundle_near(self.folder):
            return InputError(
                f"{self.folder} is not a run folder: it holds an exported network; give a run, "
                f"such as runs/ltfn5, or check the bundle with python -m export.verify {bundle}"
            )
        return InputError(
            f"{self.folder} is not a run folder: it has no {missing.name}; "
            "create a run with python -m zoo.train MODEL"
        )


def find(name: str | Path) -> Run:
    """Return the run in a folder, or if there is no such folder, a trained network of the package.

    Args:
        name: a run folder, or a name in ``zoo.list_models(pretrained=True)``.
    """
    run = Run(name)
    if run.folder.exists() or str(name) not in released():
        return run
    return Run(released_folder(str(name)))


def load_model(folder: str | Path, *, precision: str = "float32") -> keras.Model:
    """Return the trained network of a run folder, or one that the package contains.

    Args:
        folder: a run folder, such as ``runs/ltfn5``; or, if there is no such folder, one of
            ``list_models(pretrained=True)``.
        precision: as in ``create_model``; it may differ from that of the training.

    Returns:
        The functional model of ``create_model`` with the trained weights, and in addition
        ``class_names`` and the ``preprocessing`` of its pictures.

    Raises:
        InputError: the folder has no finished run, its network is not registered or was changed
            since, or its weights are missing or were altered.

    >>> zoo.load_model("runs/ltfn5").class_names[:3]
    ('0', '1', '2')
    """
    run = find(folder)
    result = run.read_result()
    if not run.weights.exists():
        raise InputError(f"{run.folder} has no weights: {run.weights.name} is missing")
    # Keras would load a damaged file without an error, and matches layers by order alone.
    if atomic.sha256(run.weights) != result["weights"]["sha256"]:
        raise InputError(f"{run.weights} was altered: its SHA-256 does not match {run.result.name}")
    facts, name, module = result["data"], result["model"], result["module"]
    if name not in registry.list_models():
        raise InputError(
            f"{run.folder} is a run of {name!r}, a network that {module} registers; give --import "
            f"{module}, or import it first in Python"
        )
    model = registry.create_model(
        name,
        input_shape=tuple(facts["image_shape"]),
        classes=len(facts["class_names"]),
        precision=precision,
    )
    if architecture.differ(result["architecture"], architecture.fingerprint(model)):
        raise InputError(
            f"the function of {name} in {module} was changed after {run.folder} was trained; "
            "restore it, or train again"
        )
    try:
        declared.check_h5(run.weights, run.weights.stat().st_size)
        model.load_weights(run.weights)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{run.weights} does not contain the weights of {name}: {first_line(error)}"
        ) from error
    model.class_names = tuple(facts["class_names"])
    model.preprocessing = preprocessing.recorded(facts)
    return model


def load_data(run: Run, name: str | None = None, **options: Any) -> Dataset:
    """Load the dataset that a finished run was trained on.

    Args:
        run: the run.
        name: the new path of the dataset, if it was moved.
        **options: ``data_dir``, ``manual_dir`` and ``offline`` of ``zoo.data.load``.

    Raises:
        InputError: the dataset differs from the run's record; the message lists the differences.
    """
    recorded = run.read_result()["data"]
    dataset = data.load_recorded(recorded, name, **options)
    if found := data.differences(recorded, dataset.facts()):
        raise InputError(
            f"the dataset differs from the record in {run.result}: {'; '.join(found)}; "
            "train again, or give the original dataset with --data"
        )
    return dataset
