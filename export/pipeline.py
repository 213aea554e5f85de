"""Write, verify and publish the bundle of one network.

A bundle is a folder with every file of an exported network::

    exports/<model>/                    the base path for TensorFlow Serving
        <version>/                      a bundle; the folder itself is the SavedModel
            saved_model.pb, variables/, assets/, assets.extra/
            tflite/, onnx/, openvino/   the files of the other formats
            web/                        the web page
            microcontroller/            the int8 file as a C++ library
            manifest.json               hashes, tensors, golden inputs and logits, origin
            manifest.json.sha256        its checksum
            README.md                   the model card
"""

from __future__ import annotations

import base64
import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from etils import epy

from export.bundle import card
from export.bundle.publish import publish, staging
from export.check import (
    accuracy,
    gallery,
    latency,
    layer_errors,
    page_networks,
    proof,
    signatures,
)
from export.check.page_networks import PageNetwork
from export.convert import (
    conversion,
    graph_preprocessing,
    microcontroller,
    saved_model,
    tflite,
    warmup,
    web,
)
from export.formats import FORMATS, Format, choose, loosened, named
from export.litert.metadata import add as add_metadata
from export.network import beside, qat
from export.network.beside import Shown
from export.network.sources import Source, deployable, open_run
from export.subprocesses import killed_on_interrupt
from zoo.bundles import integrity
from zoo.data import Announce, Dataset
from zoo.data.splits import Split, stratified
from zoo.errors import InputError, VerificationError, first_line
from zoo.inference import predict_fn
from zoo.metrics import Metrics, evaluate, wilson_interval
from zoo.models import cost
from zoo.runs import find
from zoo.util import atomic
from zoo.util.environment import machine, versions

with epy.lazy_imports():
    import keras

_MOST_BATCH = 1_000
_CALIBRATION_IMAGES = 500
_GOLDEN_IMAGES = 10
_LAYER_ERROR_IMAGES = 20


@dataclass(frozen=True, kw_only=True)
class Request:
    """The settings of one export.

    Attributes:
        formats: formats to export, each with its bounds.
        required: names of the formats that must not be left out if their conversion fails.
        batch: batch size of the LiteRT files.
        offline: whether the internet may not be accessed.
        gallery: test images in the web page; None for the default (``export.check.gallery``).
        beside: other networks in the same web page (``export.network.beside``).
    """

    formats: Sequence[Format]
    required: frozenset[str] = frozenset({"saved_model"})
    batch: int = 1
    offline: bool = False
    gallery: int | None = None
    beside: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Reject incompatible values.

        Raises:
            InputError: the format ``microcontroller`` with a batch size above 1, a batch that no
                device holds, or networks for a web page that is not requested.
        """
        if not 1 <= self.batch <= _MOST_BATCH:
            raise InputError(
                f"--batch takes a whole number from 1 to {_MOST_BATCH:,}, received {self.batch:,}"
            )
        names = {each.name for each in self.formats}
        if self.batch != 1 and "microcontroller" in names:
            raise InputError(
                f"format microcontroller requires --batch 1, received --batch {self.batch}; "
                "list the other formats with --formats"
            )
        if self.beside and "web" not in names:
            raise InputError("--beside is for the web page; add web to --formats")


def export_model(
    run: str | Path,
    formats: str | None = None,
    *,
    out: str | Path | None = None,
    batch: int = 1,
    announce: Announce = print,
    **options: Any,
) -> Path:
    """Export the network of a run and return the folder of the published version.

    Args:
        run: the run folder, such as ``runs/ltfn5``, or a network of
            ``zoo.list_models(pretrained=True)``.
        formats: names separated by commas, or ``all``; by default those of
            docs/formats.md.
        out: the folder of the versions; by default ``exports/MODEL``.
        batch: images in each call of a LiteRT file.
        announce: called with a line at each step of the work.
        **options: ``data_dir``, ``manual_dir`` and ``offline`` of ``zoo.load_data``.

    Raises:
        InputError: an argument is invalid, or the dataset differs from that of the run.
        VerificationError: a file exceeds the bounds of its format; nothing is published.

    >>> version = export.export_model("runs/ltfn5", "float32", announce=lambda line: None)
    >>> sorted(path.name for path in (version / "tflite").iterdir())
    ['ltfn5-float32.tflite']
    """
    source, dataset = open_run(find(run), **options)
    request = Request(
        formats=choose(formats),
        required=named(formats),
        batch=batch,
        offline=options.get("offline", False),
    )
    folder = Path(out or f"exports/{source.name}")
    version, _ = export_bundle(source, dataset, request, folder, announce)
    return version


def export_bundle(
    source: Source, dataset: Dataset, request: Request, out: Path, announce: Announce
) -> tuple[Path, str]:
    """Write, verify and publish the files of a trained network.

    Args:
        source: the network.
        dataset: ``train`` is used for calibration, all of ``test`` for verification.
        request: the settings of the export.
        out: parent folder of the versions; the new version is the next whole number.
        announce: called with a line of text at each step.

    Returns:
        The version's folder, and the verification table in Markdown.

    Raises:
        VerificationError: a file exceeds its bounds.
        InputError: ``out`` cannot be written, the network and the dataset do not match, or a
            required format cannot be written for this network.
        ZooError: a subprocess for a conversion or a measurement failed.
    """
    _check_fits(source, dataset, request)
    networks = beside.shown(source, dataset, request.beside, request.formats)
    impossible = _impossible(source, request)
    with staging(out) as stage, staging(out) as scratch:
        work = _Work(source, dataset, request, networks, stage, scratch, announce)
        for note in [*source.notes, *saved_model.notes(source.deployed), *warmup.notes()]:
            announce(note)
        for name, reason in impossible.items():
            work.leave_out(name, reason)
        calibration = work.write_saved_model()
        with ThreadPoolExecutor(1) as meanwhile, killed_on_interrupt():
            # The converters leave cores idle, so the SavedModel is evaluated at the same time.
            converting = meanwhile.submit(work.convert, work.conversions())
            announce(f"Evaluating the Keras network on the {len(dataset.test):,} test images")
            reference = evaluate(predict_fn(source.model), dataset.test)
            work.score(FORMATS["saved_model"])
            converting.result()
            work.convert_with_errors(reference)
        work.finish_files(calibration)
        rows = work.rows(reference)
        work.check(reference, rows)
        work.verify_signatures()
        page_rows = work.verify_page()
        cautions = proof.cautions(reference, dataset.test.labels, work.formats)
        for caution in cautions:
            announce(f"CAUTION: {caution}")

        table = proof.markdown_table(reference, rows)
        if page_rows and request.beside:
            table += f"\n\n{page_networks.table(page_rows)}"
        manifest = {
            "model": source.name,
            "parameters": source.model.count_params(),
            "labels": list(dataset.class_names),
            "data": dataset.facts(),
            "serve_bytes": (
                graph_preprocessing.facts(dataset.preprocessing)
                if dataset.image_shape[2] in graph_preprocessing.CHANNELS
                else None
            ),
            "origin": source.origin,
            "batch": request.batch,
            "loosened": loosened(request.formats),
            "reference": {
                "correct": reference.correct,
                "interval": wilson_interval(reference.correct, reference.count),
                "cost": reference.cost,
            },
            "cautions": cautions,
            "artifacts": [_artifact(reference, row, work.golden) for row in rows],
            "page_networks": page_rows,
            "left_out": work.left_out,
            "finetuned": work.finetuned,
            "microcontroller": work.microcontroller,
            "calibration": (
                _calibration(dataset.train, calibration)
                if any(each.is_calibrated for each in work.formats)
                else None
            ),
            "golden": _golden(dataset.test, reference, work.golden),
            "versions": versions(),
            "machine": machine(),
        }
        text = card.model_card(manifest, source.relation, source.story, table)
        (stage / "README.md").write_text(text, encoding="utf-8")
        integrity.seal(stage, manifest)
        return publish(stage, out), table


@dataclass
class _Work:
    """The state of one export, with its steps as methods."""

    source: Source
    dataset: Dataset
    request: Request
    networks: Sequence[Shown]
    stage: Path
    scratch: Path
    announce: Announce
    finetuned: dict[str, int] | None = None
    microcontroller: dict[str, Any] | None = None
    int8_model: keras.Model | None = None
    scores: dict[str, Metrics] = field(default_factory=dict)
    page_networks: list[PageNetwork] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def formats(self) -> list[Format]:
        """The requested formats that are not left out."""
        return [each for each in self.request.formats if each.name not in self.left_out]

    def leave_out(self, name: str, reason: str) -> None:
        """Leave out a format that cannot be written for this network, with what is written of it.

        Raises:
            InputError: the format is required.
        """
        _check_optional(self.request, name, reason)
        self.announce(f"Format {name} is left out: {reason}")
        self.left_out[name] = reason
        for path in FORMATS[name].paths(self.stage, self.source.name):
            path.unlink()

    def write_saved_model(self) -> np.ndarray:
        """Write the SavedModel, and the files that the subprocesses read.

        Returns:
            The indices of the calibration images.
        """
        self.announce("Writing the SavedModel")
        model, labels = self.source.deployed, self.dataset.class_names
        saved_model.save_serving(model, labels, self.dataset.preprocessing, self.stage)
        if warmup.is_available():
            warmup.write(self.stage, self.source.name, model.input_shape[1:])
        saved_model.save_fixed(model, self.scratch / conversion.FIXED, self.request.batch)
        model.save(self.scratch / conversion.KERAS)
        calibration = stratified(self.dataset.train, _CALIBRATION_IMAGES)
        np.save(self.scratch / conversion.CALIBRATION, self.dataset.train.images[calibration])
        np.save(self._images, self.dataset.test.images)
        return calibration

    def conversions(self) -> list[Format]:
        """Return and announce the formats that are converted before the evaluation."""
        converted = [each for each in self.formats if each.converter and not each.shows_errors]
        if converted:
            self.announce(f"Converting to {', '.join(each.name for each in converted)}")
        return converted

    def convert_with_errors(self, reference: Metrics) -> None:
        """Write the formats that show the errors of the Keras network."""
        if not (showing := [each for each in self.formats if each.shows_errors]):
            return
        self.page_networks = [
            self._page_network(at, each, reference) for at, each in enumerate(self.networks)
        ]
        facts = {
            "networks": [each.facts(self.dataset) for each in self.page_networks],
            "labels": self.dataset.class_names,
            "preprocessing": self.dataset.preprocessing.record(),
            "gallery": gallery.gallery(self.dataset, reference, self.request.gallery),
            "offline": self.request.offline,
        }
        atomic.write_json(self.scratch / conversion.FACTS, facts)
        self.announce(f"Converting to {', '.join(each.name for each in showing)}")
        self.convert(showing)

    def _page_network(self, at: int, shown: Shown, reference: Metrics) -> PageNetwork:
        """Evaluate a network of the web page in Keras, and write the file that it is made of."""
        source = shown.source
        if source is not self.source:
            self.announce(f"Evaluating {shown.name} of the web page in Keras")
            reference = evaluate(predict_fn(source.model), self.dataset.test)
        if at:  # the first is there, for the other formats too
            source.deployed.save(self.scratch / conversion.keras_file(at))
        layers = keras.Model(source.deployed.input, web.drawn_tensors(source.deployed))
        values = layers(self.dataset.test.images[self.golden].astype(np.float32))
        return PageNetwork(shown, reference, {name: values[name].numpy() for name in values})

    def finish_files(self, calibration: np.ndarray) -> None:
        """Fine-tune the int8 file if needed, and write the microcontroller library from it."""
        if self._has("int8"):
            self._finetune_if_needed(self.dataset.train.images[calibration])
        for each in self.formats:
            if each.made_from and not self._has(each.made_from):
                self.leave_out(
                    each.name, f"it is made from the {each.made_from} file, which is left out"
                )
        if self._has("microcontroller"):
            self.announce("Writing the microcontroller library")
            content = self._path(FORMATS["int8"]).read_bytes()
            try:
                self.microcontroller = microcontroller.write(
                    content,
                    microcontroller.golden_images(content, self.dataset.test, _GOLDEN_IMAGES),
                    self.stage / microcontroller.FOLDER,
                    name=self.source.name,
                    class_names=self.dataset.class_names,
                    preprocessing=self.dataset.preprocessing,
                    multiply_adds=cost.multiply_adds(self.source.deployed),
                )
            except InputError as error:
                self.leave_out("microcontroller", str(error))

    def score(self, format: Format) -> None:
        """Evaluate a file on the test split with its own runtime, in subprocesses."""
        self.announce(f"Evaluating {format.name} in subprocesses")
        opened = self._opened(format)
        self.scores[format.name] = accuracy.score(
            opened, self.dataset.test, self._images, self.scratch
        )

    def rows(self, reference: Metrics) -> list[proof.Row]:
        """Return the verification result of each file, timing one file at a time."""
        rows = []
        for each in self.formats:
            if each.made_from:
                continue
            if each.name not in self.scores:
                self.score(each)
            rows.append(self._row(reference, each))
        return rows

    def check(self, reference: Metrics, rows: Sequence[proof.Row]) -> None:
        """Check the bounds of all files, and announce the per-layer errors of those that fail.

        Raises:
            VerificationError: a file exceeds its bounds.
        """
        try:
            proof.check(reference, rows)
        except VerificationError:
            for row in rows:
                if row.format.is_litert and proof.faults(reference, row):
                    self._announce_layer_errors(row)
            raise

    def verify_signatures(self) -> None:
        """Compare the other outputs of the SavedModel with its logits.

        Raises:
            VerificationError: an output contradicts them.
        """
        self.announce("Checking the signatures of the SavedModel")
        signatures.verify(self.stage, self.dataset, self.golden, self._images, self.scratch)

    def verify_page(self) -> list[dict[str, Any]] | None:
        """Return the verification result of each network of the web page, None without a page.

        Raises:
            VerificationError: a network exceeds the bounds of its format.
        """
        if not self._has("web"):
            return None
        self.announce("Comparing each network of the page, and its layers, with Keras")
        return page_networks.verify(
            self.page_networks,
            self.scores["web"],
            page=self._path(FORMATS["web"]),
            dataset=self.dataset,
            chosen=self.golden,
            images=self._images,
            scratch=self.scratch,
        )

    @functools.cached_property
    def golden(self) -> np.ndarray:
        """The indices of the test images whose logits the manifest contains."""
        return stratified(self.dataset.test, _GOLDEN_IMAGES)

    @property
    def _images(self) -> Path:
        return self.scratch / "test.npy"

    def _has(self, name: str) -> bool:
        return name in {each.name for each in self.formats}

    def _path(self, format: Format) -> Path:
        return self.stage / format.path(self.source.name)

    def _finetune_if_needed(self, calibration: np.ndarray) -> None:
        """Fine-tune with simulated quantization if the int8 file exceeds its bound.

        The validation split decides, because the test split is reserved for verification.
        """
        int8 = next(each for each in self.request.formats if each.name == "int8")
        lost = self._lost_on_validation(int8)
        # A looser --bound does not skip fine-tuning; it is for files that still fail afterwards.
        bounds = (int8, FORMATS["int8"])
        allowed = min(each.allowed_losses(len(self.dataset.validation)) for each in bounds)
        if lost <= allowed:
            return
        self.announce(
            f"Of {len(self.dataset.validation):,} validation images, the int8 file classifies "
            f"{lost} fewer correctly than Keras ({allowed} allowed): fine-tuning it with simulated "
            "quantization"
        )
        unchanged = self._path(int8).read_bytes()
        model = qat.finetuned(self.source.model, self.dataset.train, calibration)
        self.int8_model = deployable(model)
        fixed = self.scratch / conversion.FIXED
        saved_model.save_fixed(self.int8_model, fixed, self.request.batch)
        self.convert([int8])
        if not self._has("int8"):
            return
        now_lost = self._lost_on_validation(int8)
        if now_lost >= lost:
            self.announce(f"The fine-tuned file has {now_lost} fewer, so the first one is kept")
            self._path(int8).write_bytes(unchanged)
            self.int8_model = None
            return
        self.finetuned = {
            "steps": qat.STEPS,
            "validation_losses_before": lost,
            "validation_losses_after": now_lost,
        }

    def _lost_on_validation(self, int8: Format) -> int:
        """Return how many fewer validation images than Keras the int8 file classifies correctly."""
        validation = self.dataset.validation
        reference = evaluate(predict_fn(self.source.model), validation)
        images = self.scratch / "validation.npy"
        np.save(images, validation.images)
        scored = accuracy.score(self._path(int8), validation, images, self.scratch)
        return reference.correct - scored.correct

    def convert(self, formats: Sequence[Format]) -> None:
        """Write the files of some formats, leaving out those whose conversion fails."""
        targets = {each.name: self._path(each) for each in formats}
        for file in targets.values():
            file.parent.mkdir(exist_ok=True)
        for name, reason in conversion.convert(targets, self.scratch).items():
            self.leave_out(name, reason)
        for each in formats:
            if each.is_litert and self._has(each.name):
                self._describe(each)

    def _describe(self, format: Format) -> None:
        """Add metadata to a LiteRT file: a description and the names of the classes."""
        file, relation = self._path(format), self.source.relation
        described = add_metadata(
            file.read_bytes(),
            name=self.source.name,
            description=f"Image classifier, {relation} {self.dataset.name}; {format.description}.",
            labels=self.dataset.class_names,
            channels=self.dataset.image_shape[2],
        )
        file.write_bytes(described)

    def _opened(self, format: Format) -> Path:
        """Return the path that the runtime of a format opens."""
        return self.stage if format.name == "saved_model" else self._path(format)

    def _row(self, reference: Metrics, format: Format) -> proof.Row:
        file = self._path(format)
        return proof.compare(
            reference,
            self.scores[format.name],
            format=format,
            file=file.relative_to(self.stage).as_posix(),
            size=sum(each.stat().st_size for each in format.paths(self.stage, self.source.name)),
            facts=latency.measure(self._opened(format), self._images, self.scratch),
        )

    def _announce_layer_errors(self, row: proof.Row) -> None:
        """Announce the per-layer quantization errors of a file that failed."""
        try:
            errors = self._layer_errors(row)
        except ValueError as error:  # LiteRT has no reference kernel for an operation
            self.announce(f"{row.file}: its layers cannot be compared: {first_line(error)}")
        else:
            if errors:
                self.announce(f"{row.file}: {layer_errors.report(errors)}")

    def _layer_errors(self, row: proof.Row) -> list[layer_errors.LayerError]:
        """Return the per-layer quantization errors of a file."""
        tuned = self.int8_model if row.format.name == "int8" else None
        models = {"original": self.source.deployed, "converted": tuned or self.source.deployed}
        for name, model in models.items():
            saved_model.save_fixed(model, self.scratch / name)
        images = self.dataset.test.images[:_LAYER_ERROR_IMAGES]
        calibration = np.load(self.scratch / conversion.CALIBRATION)
        original = tflite.convert(self.scratch / "original", "float32")
        converted = tflite.convert(self.scratch / "converted", row.format.name, calibration)
        return layer_errors.measure(original, converted, images)


def _impossible(source: Source, request: Request) -> dict[str, str]:
    """Return the requested formats that cannot be written, each with the reason.

    Raises:
        InputError: such a format is required.
    """
    asked = {each.name for each in request.formats}
    found = {name: reason for name, reason in source.left_out.items() if name in asked}
    if "microcontroller" in asked - found.keys():
        try:
            microcontroller.check_layers(source.deployed)
        except InputError as error:
            found["microcontroller"] = str(error)
    channels = source.model.input_shape[-1]
    if "web" in asked and channels not in graph_preprocessing.CHANNELS:
        found["web"] = f"its pictures have 1 or 3 channels, not {channels}"
    for name, reason in found.items():
        _check_optional(request, name, reason)
    return found


def _check_optional(request: Request, name: str, reason: str) -> None:
    """Raise an error if a format that has to be left out is required.

    Raises:
        InputError: the format is required.
    """
    if name in request.required:
        raise InputError(
            f"format {name} cannot be written: {reason}; list the other formats with "
            "--formats to export without it"
        )


def _check_fits(source: Source, dataset: Dataset, request: Request) -> None:
    """Check that network, dataset and request match, before anything is converted.

    Raises:
        InputError: the image shapes or the numbers of classes differ, the name of a class is not a
            single line, which the labels file requires, or a batch has more images than there are
            for calibration.
    """
    takes, gives = source.model.input_shape[1:], source.model.output_shape[1]
    if takes != dataset.image_shape or gives != len(dataset.class_names):
        raise InputError(
            f"{source.name} takes images of {'x'.join(map(str, takes))} and has {gives} classes, "
            f"but {dataset.name} has images of {'x'.join(map(str, dataset.image_shape))} and "
            f"{len(dataset.class_names)} classes; give a matching dataset"
        )
    if broken := [name for name in dataset.class_names if name.splitlines() != [name]]:
        raise InputError(f"the class name {broken[0]!r} is not a single line; rename the class")
    integer = [each.name for each in request.formats if each.name in tflite.INTEGER]
    calibrating = min(_CALIBRATION_IMAGES, len(dataset.train))
    if integer and request.batch > calibrating:
        raise InputError(
            f"--batch {request.batch} exceeds the {calibrating} images that calibrate "
            f"{' and '.join(integer)}; give a smaller batch, or other formats with --formats"
        )


def _artifact(reference: Metrics, row: proof.Row, golden: np.ndarray) -> dict[str, Any]:
    return row.facts | {
        "file": row.file,
        "format": row.format.name,
        "bytes": row.size,
        "allowed_losses": row.format.allowed_losses(reference.count),
        "allowed_flips": row.format.allowed_flips(reference.count),
        "test_correct": row.metrics.correct,
        "test_count": row.metrics.count,
        "test_cost": row.metrics.cost,
        "agreeing": row.agreeing,
        "largest_logit_difference": row.difference,
        "logit_range": row.range,
        "golden_logits": row.metrics.logits[golden].tolist(),
    }


def _calibration(split: Split, chosen: np.ndarray) -> dict[str, Any]:
    return {
        "split": split.name,
        "indices": chosen.tolist(),
        "sha256": atomic.sha256_of(split.images[chosen].tobytes()),
    }


def _golden(split: Split, reference: Metrics, chosen: np.ndarray) -> dict[str, Any]:
    """Return some test images and their Keras logits, for later checks of the files."""
    images = split.images[chosen]
    return {
        "images_base64": base64.b64encode(images.tobytes()).decode("ascii"),
        "shape": list(images.shape),
        "dtype": images.dtype.name,
        "labels": split.labels[chosen].tolist(),
        "logits": reference.logits[chosen].tolist(),
    }
