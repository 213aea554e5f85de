"""Test the command lines as users run them, each in a subprocess."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import zoo
from tests.conftest import ROOT, Command
from zoo import evaluate, recipes, train
from zoo.data import Dataset
from zoo.data.corruptions import CORRUPTIONS
from zoo.errors import InputError
from zoo.runs import Run
from zoo.util import lifetime

# Command line, exit code, and the message with what was received and what is allowed.
BAD = [
    ("zoo.train", 2, "the following arguments are required: MODEL"),
    ("zoo.train ltfn6", 2, "unknown model 'ltfn6'; did you mean 'ltfn5'? allowed: all-cnn-a, "),
    ("zoo.train ltfn5 --data mnits", 2, "unknown dataset 'mnits'; did you mean 'mnist'?"),
    ("zoo.train ltfn5 --recipe pots", 2, "unknown recipe 'pots'; did you mean 'post'?"),
    ("zoo.train ltfn5 --set momentun=0.9", 2, "unknown recipe key 'momentun'; did you mean"),
    ("zoo.train ltfn5 --set shift=far", 2, "shift takes a whole number, received 'far'"),
    ("zoo.train ltfn5 --set optimizer=rmsprop", 2, "unknown optimizer 'rmsprop'"),
    (
        "zoo.train ltfn5 --steps -5",
        2,
        "--steps: takes a whole number from 1 to 1,000,000,000, received '-5'",
    ),
    ("zoo.train ltfn5 --batch-size 0", 2, "--batch-size: takes a whole number from 1 to"),
    (
        "zoo.train ltfn5 --seed x",
        2,
        "--seed: takes a whole number from 0 to 1,000,000,000, received 'x'",
    ),
    ("zoo.train ltfn5 --steps 3 --epochs 1", 2, "not allowed with argument --steps"),
    ("zoo.train ltfn5 --fast", 2, "unrecognized arguments: --fast"),
    ("zoo.train ltfn5 --out taken", 2, "taken exists; give --force"),
    ("zoo.train ltfn5 --out taken --force", 2, "taken is not a run folder"),
    ("zoo.train ltfn5 --out empty --resume", 2, "empty is not a run folder: it has no recipe.json"),
    ("zoo.train ltfn5 --resume --seed 1", 2, "/recipe.json; leave out --seed\n"),
    ("zoo.train ltfn5 --out file/x", 2, "cannot write the run folder"),
    ("zoo.train ltfn5 --data=", 2, "an argument is empty; leave it out to use its default"),
    ("export damaged --formats=--", 2, "--formats=-- gives no value"),
    ("zoo.train ltfn5 --data digits --image-size 2", 2, "takes images of at least 4x4x1"),
    (f"zoo.train ltfn5 --seed {'9' * 400}", 2, "--seed: takes a whole number from 0 to"),
    ("zoo.train ltfn5 --set seed=4294967296", 2, "seed takes a number of at most 4,294,967,295"),
    (f"zoo.train ltfn5 --set learning_rate={'9' * 400}", 2, "takes a number of at most"),
    ("zoo.train ltfn5 --strategy multi-worker", 2, "--strategy multi-worker requires TF_CONFIG"),
    ("zoo.train ltfn5 --strategy one --workers 2", 2, "--strategy one does not allow --workers"),
    ("zoo.train ltfn5 --workers 101", 2, "--workers 101 exceeds the 100 images of a batch"),
    ("zoo.train ltfn5 --workers 2 --out taken", 2, "taken exists; give --force"),
    ("zoo.list --jsn", 2, "unrecognized arguments: --jsn"),
    ("zoo.evaluate nothing", 2, "nothing is not a run folder: it has no result.json"),
    ("zoo.evaluate damaged --split tset", 2, "invalid choice: 'tset'"),
    ("zoo.evaluate damaged --data mnits", 2, "unknown dataset 'mnits'; did you mean 'mnist'?"),
    ("zoo.evaluate damaged --corruptions --split train", 2, "leave out --data and --split"),
    ("zoo.evaluate damaged --corruptions --data digits", 2, "leave out --data and --split"),
    ("zoo.predict nothing a.png", 2, "nothing is not a run folder: it has no result.json"),
    ("zoo.compare ltfn5 ltfn6", 2, "unknown model 'ltfn6'"),
    ("zoo.compare ltfn5 --seeds 0", 2, "--seeds: takes a whole number from 1 to"),
    ("zoo.train ltfn5 --data ./none", 2, "./none does not exist"),
    ("zoo.draw ltfn5 -o ltfn5.gif", 2, "ending in .svg or .png, received ltfn5.gif"),
    ("zoo.draw ltfn5 -o no/ltfn5.svg", 2, "an existing folder, received no/ltfn5.svg"),
    ("export", 2, "the following arguments are required: RUN|FILE.keras"),
    ("export nothing", 2, "nothing is not a run folder: it has no result.json"),
    ("export unfinished", 2, "unfinished is an unfinished run without weights"),
    ("export damaged", 2, "result.json cannot be read"),
    ("export nothing.keras", 2, "there is no file nothing.keras"),
    ("export damaged --pixels 0..1", 2, "--pixels, --labels and picture options apply only to a"),
    ("export damaged --labels a,b", 2, "--pixels, --labels and picture options apply only to a"),
    ("export damaged --fit crop", 2, "--pixels, --labels and picture options apply only to a"),
    ("export nothing.h5 --data digits", 2, "there is no file nothing.h5"),
    ("export nothing.keras --pixels -1..1", 2, "there is no file nothing.keras"),
    ("zoo.train ltfn5 --fit squeeze", 2, "invalid choice: 'squeeze'"),
    ("zoo.train ltfn5 --data MNIST", 2, "did you mean 'mnist'?"),
    ("zoo.train ltfn5 --data pets.zip", 2, "pets.zip is an archive; unpack it"),
    ("export damaged --formats int9", 2, "unknown format 'int9'; did you mean 'int8'?"),
    ("export damaged --bound int8", 2, "takes FORMAT=POINTS with 0 to 100 points"),
    ("export damaged --bound int8=0.5", 2, "give --allow-drop to accept such a loss"),
    ("export damaged --batch 2", 2, "microcontroller requires --batch 1, received --batch 2"),
    ("export damaged --formats float32 --beside ltfn1", 2, "add web to --formats"),
    ("export.compare empty", 2, "empty has no runs; make a study with python -m zoo.compare"),
    ("export.compare empty --format int9", 2, "unknown format 'int9'; did you mean 'int8'?"),
    ("export.compare empty --format microcontroller", 2, "unknown format 'microcontroller'"),
    ("export.verify empty", 3, "empty is not a complete bundle: manifest.json cannot be read"),
]

# Arguments of zoo.train that are refused only after TensorFlow has started.
LATE = [
    # MNIST may be prepared in the home folder.
    ("ltfn5 --data mnist --offline --data-dir empty", "provide it by (1) an internet connection"),
    ("ltfn5 --data mnist --manual-dir empty --data-dir empty", "the manual folder empty lacks"),
    ("compact-4k --set shards=2", "whose statistics need the whole batch"),
    (
        "ltfn5 --data digits --set shift=28",
        "a shift of 28 pixels moves images of 28x28 out of",
    ),
    (
        "ltfn5 --data digits --batch-size 999999999",
        "a batch of 999,999,999 images is larger than",
    ),
    ("ltfn5 --data digits --image-size 99999", "sides of 1 to 4,096 pixels"),
]


COMMANDS = (
    "zoo.train",
    "zoo.compare",
    "zoo.draw",
    "zoo.list",
    "zoo.predict",
    "zoo.evaluate",
    "export",
    "export.compare",
    "export.verify",
)

# The commands that build networks and therefore import user modules.
BUILDING = {*COMMANDS, "export.convert.onnx_openvino", "export.convert.tflite"} - {"export.verify"}


@pytest.fixture(scope="module")
def corner(tmp_path_factory: pytest.TempPathFactory, data_dir: Path, digits: object) -> Path:
    """Return a folder with the files that the bad command lines name."""
    folder = tmp_path_factory.mktemp("corner")
    (folder / "empty").mkdir()
    (folder / "taken").mkdir()
    (folder / "taken" / "thesis.tex").touch()
    (folder / "file").touch()
    (folder / "damaged").mkdir()
    (folder / "damaged" / "result.json").write_text("{")
    Run(folder / "unfinished").create({"model": "ltfn5"})
    return folder


@pytest.mark.parametrize(("line", "code", "message"), BAD, ids=[line for line, _, _ in BAD])
def test_bad_input_gets_one_line(
    command: Command, corner: Path, line: str, code: int, message: str
) -> None:
    before = sorted(corner.rglob("*"))
    done = command(*line.split(), cwd=corner)
    prog = line.split(maxsplit=1)[0]
    assert done.returncode == code
    assert message in done.stderr
    assert re.fullmatch(rf"{prog}: error: [^\n]+\n", done.stderr)
    assert sorted(corner.rglob("*")) == before


@pytest.mark.parametrize(("line", "message"), LATE, ids=[line for line, _ in LATE])
def test_bad_input_is_refused_after_the_start(
    corner: Path, data_dir: Path, line: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(corner)
    monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir))
    monkeypatch.delenv("ZOO_MANUAL_DIR", raising=False)
    before = sorted(corner.rglob("*"))
    with pytest.raises(InputError) as caught:
        train.main(line.split())
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sorted(corner.rglob("*")) == before


@pytest.mark.parametrize(
    "module",
    [
        *COMMANDS,
        "export.convert.onnx_openvino",
        "export.convert.tflite",
        "export.check.accuracy",
        "export.check.latency",
    ],
)
def test_help_explains_the_exit_codes_without_tensorflow(
    environment: dict[str, str], module: str
) -> None:
    line = [sys.executable, "-X", "importtime", "-m", module, "--help"]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=True)
    assert "exit codes:" in done.stdout
    assert ("--import MODULE" in done.stdout) == (module in BUILDING)
    imported = {row.split("|")[-1].strip() for row in done.stderr.splitlines()}
    assert not imported & {
        "tensorflow",
        "keras",
        "tensorflow_datasets",
        "ai_edge_litert",
        "matplotlib",
    }


def test_the_help_describes_each_recipe_and_names_each_key(command: Command) -> None:
    text = command("zoo.train", "--help").stdout
    _, _, described = text.partition("\nrecipes:\n")
    for name in recipes.RECIPES:
        assert re.search(rf"^  {name} +[^\n]+\.$", described, re.MULTILINE), name
    assert set(recipes.KEYS) <= set(re.findall(r"\w+", text))


# Other tests train, export and compare in almost the same way.
MARKS = dict.fromkeys(("export", "zoo.compare", "zoo.train"), pytest.mark.long)


@pytest.mark.slow
@pytest.mark.parametrize(
    "module", [pytest.param(module, marks=MARKS.get(module, ())) for module in COMMANDS]
)
def test_the_example_of_the_help_works(command: Command, examples: Path, module: str) -> None:
    shown = command(module, "--help").stdout
    _, _, example = shown.partition("example:\n  python -m ")
    done = command(*example.splitlines()[0].split(), cwd=examples)
    assert done.returncode == 0, done.stderr


def test_windows_gets_one_line() -> None:
    code = """
import sys
from zoo import cli
sys.platform = "win32"
cli.run("zoo.train", lambda arguments: None)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (
        2,
        "zoo.train: error: Windows is not supported; use Linux, macOS or WSL\n",
    )


@pytest.mark.parametrize(("file", "start"), [("a.svg", b"<?xml"), ("a.png", b"\x89PNG")])
def test_a_network_is_drawn(command: Command, tmp_path: Path, file: str, start: bytes) -> None:
    done = command("zoo.draw", "compact-4k", "-o", file, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"drawing of compact-4k saved in {file}\n"), (
        done.stderr
    )
    assert [path.name for path in tmp_path.iterdir()] == [file]
    assert (tmp_path / file).read_bytes().startswith(start)


def test_the_list_is_the_registry(command: Command) -> None:
    told = json.loads(command("zoo.list", "--json").stdout)
    assert [each["name"] for each in told] == zoo.list_models()
    (ltfn5,) = [each for each in told if each["name"] == "ltfn5"]
    assert (ltfn5["parameters"], ltfn5["multiply_adds"]) == (321_738, 72_767_744)
    lines = command("zoo.list").stdout.splitlines()
    assert len(lines) == 1 + len(told)
    (line,) = [line for line in lines if line.startswith("ltfn5 ")]
    assert line.split()[:6] == ["ltfn5", "28x28x1", "321,738", "72,767,744", "200,704", "B"]


def test_a_run_evaluates_to_what_it_records(command: Command, workplace: Path) -> None:
    result = Run(workplace / "runs" / "ltfn5").read_result()
    told = json.loads(command("zoo.evaluate", "runs/ltfn5", "--json", cwd=workplace).stdout)
    assert (told["split"], told["data"], told["count"]) == ("test", "digits", 353)
    assert told["correct"] == result["test_correct"]
    assert told["cost"] == pytest.approx(result["test_cost"], rel=1e-5)
    assert 0 < told["interval"][0] < told["accuracy"] < told["interval"][1] < 1
    assert list(told["classes"]) == [str(digit) for digit in range(10)]
    assert sum(each["correct"] for each in told["classes"].values()) == told["correct"]
    plain = command("zoo.evaluate", "runs/ltfn5", "--split", "validation", cwd=workplace).stdout
    assert re.fullmatch(
        r"Validation cost: [\d.]+\nValidation accuracy: \d+\.\d\d %, \d+ of 178 on digits\n"
        r"95 % confidence interval: \d+\.\d\d to \d+\.\d\d %\n"
        r"Expected calibration error: \d+\.\d\d %\n"
        r"class  accuracy  correct   images\n(\d +\d+\.\d\d % +\d+ +\d+\n){10}",
        plain,
    )


@pytest.fixture(scope="module")
def other(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a few larger pictures of the ten digits."""
    folder = tmp_path_factory.mktemp("other") / "pictures"
    for label in range(10):
        (folder / str(label)).mkdir(parents=True)
        images = digits.test.images[digits.test.labels == label][:10, :, :, 0]
        for at, image in enumerate(images):
            picture = PIL.Image.fromarray(image).resize((56, 56))
            picture.save(folder / str(label) / f"{at}.png")
    return folder


def test_a_run_is_scored_on_other_data(command: Command, workplace: Path, other: Path) -> None:
    done = command("zoo.evaluate", "runs/ltfn5", "--data", other, "--json", cwd=workplace)
    told = json.loads(done.stdout)
    assert (told["data"], told["count"]) == ("pictures", 100)
    assert told["accuracy"] >= 0.8


def test_other_classes_are_refused(
    command: Command, workplace: Path, other: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(other, tmp_path / "pictures")
    other.joinpath("9").rename(other / "nine")
    done = command("zoo.evaluate", "runs/ltfn5", "--data", other, cwd=workplace)
    assert done.returncode == 2
    assert "class 9 of" in done.stderr
    assert "is 'nine', but '9' in runs/ltfn5; the classes must have the same" in done.stderr
    shutil.rmtree(other / "nine")
    done = command("zoo.evaluate", "runs/ltfn5", "--data", other, cwd=workplace)
    assert done.returncode == 2
    assert "has 9 classes, but runs/ltfn5 has 10" in done.stderr


def test_a_run_is_scored_under_corruptions(command: Command, small: Path) -> None:
    done = command("zoo.evaluate", "runs/compact-10k", "--corruptions", "--json", cwd=small)
    told = json.loads(done.stdout)
    whole = Run(small / "runs" / "compact-10k").read_result()["test_accuracy"]
    # The digits have fewer test images than the command uses at most.
    assert (told["count"], told["clean_accuracy"]) == (353, pytest.approx(whole))
    assert told["accuracies"].keys() == CORRUPTIONS.keys()
    for found in told["accuracies"].values():
        assert len(found) == 5
        # Low contrast can be as good as guessing at every severity.
        assert found[0] > found[4] or found[0] < 0.15
    assert sum(found[0] > found[4] for found in told["accuracies"].values()) >= 6
    with PIL.Image.open(small / told["picture"]) as picture:
        assert picture.format == "PNG"
    assert Path(told["picture"]) == Path("runs/compact-10k/corruptions.png")
    plain = evaluate.corruption_text(told)
    shift = "".join(f"{100 * each:>8.2f}" for each in told["accuracies"]["shift"])
    assert f"\nshift      {shift}\n" in plain
    assert plain.startswith("Accuracy in %, 353 test images of digits; uncorrupted ")


def test_where_the_corruptions_cannot_be_drawn_is_said_before_they_are_scored(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace)
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(evaluate, "load_model", None)
    for network, folder in (("runs/ltfn5", "runs/ltfn5"), ("ltfn5", ".")):
        with pytest.raises(InputError, match=f"corruptions.png: {folder} is not a writable folder"):
            evaluate.main([network, "--corruptions"])


def test_a_run_says_what_it_was(workplace: Path) -> None:
    run = Run(workplace / "runs" / "ltfn5")
    result = run.read_result()
    assert (result["model"], result["data"]["name"], result["steps"]) == ("ltfn5", "digits", 60)
    assert result["seed"] == 0
    # The format that "auto" selected on this machine.
    assert result["precision"] == result["recipe"]["precision"] in {"float32", "bfloat16"}
    assert result["recipe"]["batch_size"] == 64
    assert result["test_count"] == 353
    assert 0.9 < result["test_accuracy"] == result["test_correct"] / 353 < 1
    assert result["images_per_second"] == pytest.approx(60 * 64 / result["seconds"])
    assert {"tensorflow", "keras", "numpy"} < result["versions"].keys()
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    assert [line["step"] for line in lines if "cost" in line] == [0, 59]


def test_what_is_printed_away_from_a_terminal(workplace: Path) -> None:
    told = (workplace / "trained.txt").read_text()
    assert re.search(r"^Step +0  Cost: \d[\d.]*  Accuracy: \d+\.\d %", told, re.MULTILINE)
    assert re.search(r"^Test cost: 0\.\d+$", told, re.MULTILINE)
    assert re.search(r"^Test accuracy: 9\d\.\d\d %, 3\d\d of 353 on digits$", told, re.MULTILINE)
    exported = (workplace / "exported.txt").read_text()
    assert re.search(r"^\| tflite/ltfn5-float32.tflite \|.*\| 0 \|", exported, re.MULTILINE)
    assert "(dataset: digits)" in exported


@pytest.mark.parametrize(
    ("correct", "count", "interval"),
    [
        (17, 20, "95 % confidence interval: 63.96 to 94.76 % (few test images)\n"),
        (9_900, 10_000, ""),
    ],
)
def test_few_test_images_give_a_wide_interval(
    correct: int, count: int, interval: str, capsys: pytest.CaptureFixture
) -> None:
    result = {"model": "ltfn1", "data": {"name": "pets"}, "test_cost": 0.5}
    scored = {"test_correct": correct, "test_count": count, "test_accuracy": correct / count}
    train._report(result | scored)
    _, _, after = capsys.readouterr().out.partition(" on pets\n")
    assert after == interval


def test_on_a_terminal_there_is_a_live_bar(environment: dict[str, str], tmp_path: Path) -> None:
    line = ["-m", "zoo.train", "ltfn5", "--data", "digits", "--steps", "3", "--batch-size", "8"]
    program = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"
    shell = [sys.executable, "-c", program, sys.executable, *line]
    settings = environment | {"TERM": "xterm", "COLUMNS": "120"}
    done = subprocess.run(
        shell, cwd=tmp_path, env=settings, stdin=subprocess.DEVNULL, capture_output=True, check=True
    )
    told = done.stdout.decode()
    assert "step 3/3" in told
    assert "images/s" in told
    assert "\x1b[" in told


def test_a_message_is_one_line_whatever_it_names(command: Command, tmp_path: Path) -> None:
    done = command("zoo.predict", "a\nb", "c\n", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(r"zoo.predict: error: a\nb is not a run folder")
    assert done.stderr.count("\n") == 1


def _start(environment: dict[str, str], folder: Path, *arguments: str) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "zoo.train", "compact-4k", *arguments]
    return subprocess.Popen(
        line,
        cwd=folder,
        env=environment | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _wait_for_step(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Step"):
            time.sleep(0.2)
            return
    raise AssertionError(process.communicate()[1])


# Steps that take a second or more on any machine, so that a signal arrives before the last.
STEPS = 500
SLOW = ("--data", "digits", "--precision", "float32", "--batch-size", "8", "--steps", str(STEPS))


def _interrupt(
    environment: dict[str, str], folder: Path, number: int, *arguments: str
) -> tuple[int, str]:
    process = _start(environment, folder, *SLOW, *arguments)
    _wait_for_step(process)
    process.send_signal(number)
    _, complaint = process.communicate(timeout=300)
    line = rf"zoo.train: interrupted after step \d+ of {STEPS}; [^\n]+\n"
    assert re.fullmatch(line, complaint)
    return process.returncode, complaint


@pytest.mark.usefixtures("digits")
def test_a_terminated_training_saves_its_state(environment: dict[str, str], tmp_path: Path) -> None:
    code, _ = _interrupt(environment, tmp_path, signal.SIGTERM)
    assert code == 143
    assert list((tmp_path / "runs" / "compact-4k" / "checkpoints").glob("step-*.npz"))


@pytest.mark.usefixtures("digits")
def test_an_interrupted_training_goes_on_exactly(
    environment: dict[str, str], command: Command, tmp_path: Path
) -> None:
    (tmp_path / "own.py").touch()
    code, complaint = _interrupt(environment, tmp_path, signal.SIGINT, "--import", "own")
    assert code == 130

    _, _, proposed = complaint.partition("continue with python -m ")
    assert proposed.endswith(" --import own\n")
    resumed = command(*proposed.split(), cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    whole = command("zoo.train", "compact-4k", *SLOW, "--out", "whole", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    models = [zoo.load_model(tmp_path / name) for name in ("runs/compact-4k", "whole")]
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_killed_training_leaves_a_run_that_can_begin_again(
    environment: dict[str, str], command: Command, tmp_path: Path
) -> None:
    process = _start(environment, tmp_path, *SLOW)
    _wait_for_step(process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "runs" / "compact-4k" / "result.json").exists()
    assert command("export", "runs/compact-4k", cwd=tmp_path).returncode == 2
    (tmp_path / "runs" / "compact-4k").rename(tmp_path / "compact-4k")
    mistaken = command("zoo.train", "./compact-4k", "--resume", cwd=tmp_path)
    assert mistaken.returncode == 2
    assert mistaken.stderr.startswith("zoo.train: error: --resume takes a network, not the run")
    proposed = "zoo.train compact-4k --resume --out compact-4k"
    assert mistaken.stderr.endswith(f"{proposed}\n")
    resumed = command(*proposed.split(), cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert zoo.load_model(tmp_path / "compact-4k").name == "compact-4k"


def test_a_finished_run_has_nothing_to_resume(command: Command, workplace: Path) -> None:
    done = command("zoo.train", "ltfn5", "--resume", cwd=workplace)
    assert done.returncode == 2
    assert "is finished: there is nothing to resume" in done.stderr


def _subprocesses(process: subprocess.Popen) -> list[str]:
    """Return the process IDs of the subprocesses of an export."""
    mark = f"{lifetime.PARENT}={process.pid}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # it has ended, or belongs to another user
            if mark in path.read_bytes().split(b"\0"):
                found.append(path.parent.name)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_export_leaves_nothing(
    number: signal.Signals, environment: dict[str, str], workplace: Path, tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    line = [sys.executable, "-m", "export", str(workplace / "runs" / "ltfn5"), "--out", "out"]
    process = subprocess.Popen(
        line,
        cwd=tmp_path,
        env=environment | {"PYTHONUNBUFFERED": "1", "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for told in process.stdout:
        if told.startswith("Converting"):
            break
    while not _subprocesses(process):
        time.sleep(0.05)
    begin = time.monotonic()
    process.send_signal(number)
    _, complaint = process.communicate(timeout=300)
    while _subprocesses(process):
        assert time.monotonic() - begin < 60
        time.sleep(0.05)
    if number == signal.SIGKILL:
        assert not (tmp_path / "out" / "1").exists()
        return
    word = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}[number]
    assert (process.returncode, complaint) == (128 + number, f"export: {word}\n")
    assert not (tmp_path / "out").exists()
    assert not list(scratch.iterdir())


def test_an_export_folder_that_cannot_be_made_is_refused(command: Command, workplace: Path) -> None:
    done = command("export", "runs/ltfn5", "--out", "trained.txt/x", cwd=workplace)
    assert done.returncode == 2
    assert re.fullmatch(r"export: error: cannot write the export folder [^\n]+\n", done.stderr)


@pytest.mark.usefixtures("digits")
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ltfn5 --set learning_rate=1e30 --steps 50", "the cost became (nan|inf) at step 1"),
        # No training cost includes the last update.
        (
            "ltfn5 --set learning_rate=1e30 --steps 1",
            "the network's logits are not finite for 178 of 178 validation images",
        ),
        (
            "ltfn1 --set learning_rate=1e39 --steps 1",
            "the weights logits/kernel are not finite at step 1",
        ),
        # With an infinite variance, the features are zero and the logits finite.
        (
            "compact-10k --set learning_rate=1e12 --steps 2",
            r"the weights \S+/moving_variance are not finite at step 2",
        ),
    ],
)
def test_a_diverged_training_ends_in_one_line_without_a_result(
    command: Command, tmp_path: Path, line: str, message: str
) -> None:
    same = "--set schedule=constant --data digits --batch-size 16 --precision float32 --out run"
    done = command("zoo.train", *line.split(), *same.split(), cwd=tmp_path)
    assert re.fullmatch(
        rf"zoo.train: error: {message}[^\n]*; [^\n]*lower learning rate[^\n]*, "
        r"--set learning_rate=RATE\n",
        done.stderr,
    )
    assert done.returncode == 4
    run = Run(tmp_path / "run")
    assert not run.result.exists()
    assert not re.search("NaN|Infinity", run.metrics.read_text())


@pytest.fixture
def overflowing(small: Path, tmp_path: Path) -> Path:
    """Return a finished run whose weights are finite and whose logits are not."""
    run = Run(small / "runs" / "compact-10k")
    model = zoo.load_model(run.folder)
    logits = model.get_layer("logits")
    logits.set_weights([np.full_like(weight, 3e38) for weight in logits.get_weights()])
    broken = Run(tmp_path / "broken")
    broken.create({})
    broken.save_weights(model)
    broken.finish(run.read_result())
    return broken.folder


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_logits_that_are_not_finite_are_no_score(
    command: Command, overflowing: Path, arguments: tuple[str, ...]
) -> None:
    done = command("zoo.evaluate", overflowing, *arguments)
    assert (done.returncode, done.stdout) == (4, "")
    assert re.fullmatch(
        r"zoo.evaluate: error: the network's logits are not finite for \d+ of 353 test images; "
        r"[^\n]+\n",
        done.stderr,
    )


def test_logits_that_are_not_finite_are_no_prediction(
    command: Command, overflowing: Path, digits: Dataset
) -> None:
    picture = overflowing / "digit.png"
    PIL.Image.fromarray(digits.test.images[0, :, :, 0]).save(picture)
    done = command("zoo.predict", overflowing, picture)
    assert (done.returncode, done.stdout) == (4, "")
    assert re.fullmatch(r"zoo.predict: error: [^\n]+ not finite for 1 of 1 [^\n]+\n", done.stderr)
