"""Test that several workers train as one process does, and end together."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import zoo
from tests.conftest import Command
from tools.faults.rows.workers import process_of
from zoo.runs import Run
from zoo.training import local_workers, supervisor
from zoo.util import tf_config

# With dropout, whose masks differ in each shard, and everything that changes a step. Poolings would
# choose among equal pixels by rounding.
MODULE = '''
import keras
import zoo
from keras import layers
from zoo.models.batch_norm import FusedBatchNormalization


@zoo.register_model(input_shape=(28, 28, 1), classes=10)
def small_net(input_shape, classes):
    """A small network with a convolution and dropout."""
    image = keras.Input(input_shape)
    x = layers.Rescaling(1 / 255)(image)
    x = layers.Conv2D(4, 5, strides=4, activation="relu")(x)
    x = layers.Dropout(0.5)(x)
    return keras.Model(image, layers.Dense(classes)(layers.Flatten()(x)))


@zoo.register_model(input_shape=(28, 28, 1), classes=10, batch_statistics=True)
def normal_net(input_shape, classes):
    """A small network with batch normalization."""
    image = keras.Input(input_shape)
    x = layers.Rescaling(1 / 255)(image)
    x = layers.Conv2D(4, 5, strides=4, use_bias=False)(x)
    x = layers.ReLU()(FusedBatchNormalization(momentum=0.9)(x))
    return keras.Model(image, layers.Dense(classes)(layers.Flatten()(x)))
'''
RECIPE = (
    *("--data", "digits", "--steps", "50", "--batch-size", "50", "--precision", "float32"),
    *("--set", "weight_decay=0.01", "--set", "average=0.9", "--set", "threads=1"),
    *("--set", "smoothing=0.1", "--teachers", "ltfn1", "compact-4k"),
)

TWO = ("--import", "small", "--workers", "2")


def _train(command: Command, folder: Path, model: str, out: str, *arguments: object) -> str:
    """Train into a folder, and return what was printed."""
    line = ("zoo.train", model, "--out", out, *RECIPE, *arguments)
    done = command(*line, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _weights(run: Path) -> list[np.ndarray]:
    return zoo.load_model(run).get_weights()


def _distance(one: list[np.ndarray], other: list[np.ndarray]) -> float:
    """Return the relative distance of the weights of two networks, by their norms."""
    a, b = (np.concatenate([weight.ravel() for weight in each]) for each in (one, other))
    return float(np.linalg.norm(a - b) / np.linalg.norm(a))


@pytest.fixture(scope="module")
def folder(command: Command, digits: object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a network, trained in one process and by two workers."""
    folder = tmp_path_factory.mktemp("workers")
    (folder / "small.py").write_text(MODULE)
    _train(command, folder, "small-net", "one", "--import", "small", "--set", "shards=2")
    printed = _train(
        command, folder, "small-net", "two", *("--import", "small"), "--set", "shards=1",
        *("--workers", 2),
    )  # fmt: skip
    (folder / "two.txt").write_text(printed)
    return folder


@pytest.fixture
def own(folder: Path, monkeypatch: pytest.MonkeyPatch, registered: None) -> Path:
    """Return the folder after its network was registered."""
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "small", raising=False)
    __import__("small")
    return folder


def test_two_workers_train_as_one_process_with_twice_the_shards(own: Path) -> None:
    # a + b is b + a, so the only rounding is that of the decay, which is added before the sum.
    assert _distance(_weights(own / "one"), _weights(own / "two")) < 1e-5


def test_the_chief_alone_prints_and_writes(folder: Path) -> None:
    printed = (folder / "two.txt").read_text()
    assert Run(folder / "two").read_result()["workers"] == 2
    for start in ("small-net: ", "Step     0  ", "Test accuracy: ", "run saved in two"):
        assert printed.count(start) == 1, start
    names = {path.name for path in (folder / "two").iterdir()}
    assert names == {path.name for path in (folder / "one").iterdir()}


@pytest.mark.long
@pytest.mark.parametrize("count", [1, 3, 4])
def test_any_number_of_workers_trains_the_same(
    count: int, command: Command, own: Path, tmp_path: Path
) -> None:
    arguments = ("--import", "small", "--set", "shards=1", "--workers", count)
    one = ("--import", "small", "--set", f"shards={count}")
    _train(command, own, "small-net", str(tmp_path / "one"), *one)
    _train(command, own, "small-net", str(tmp_path / "several"), *arguments)
    assert _distance(_weights(tmp_path / "one"), _weights(tmp_path / "several")) < 1e-5


@pytest.mark.slow
def test_batch_statistics_are_those_of_the_whole_batch(
    command: Command, own: Path, tmp_path: Path
) -> None:
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    _train(command, own, "normal-net", one, "--import", "small")
    _train(command, own, "normal-net", two, "--import", "small", "--workers", 2)
    distance = _distance(_weights(Path(one)), _weights(Path(two)))
    assert distance < 1e-4, "docs/distributed.md states this bound"


# Stands for two GPUs. The processor computes as one process does, so all but the devices is tried.
DEVICES = """
import functools
import small
import tensorflow as tf

processor = tf.config.list_physical_devices("CPU")[0]
parts = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(processor, parts)
tf.distribute.MirroredStrategy = functools.partial(
    tf.distribute.MirroredStrategy, ["CPU:0", "CPU:1"]
)
"""


@pytest.mark.parametrize("model", ["small-net", pytest.param("normal-net", marks=pytest.mark.slow)])
def test_two_devices_of_a_machine_train_as_one(
    model: str, environment: dict[str, str], command: Command, own: Path, tmp_path: Path
) -> None:
    (own / "devices.py").write_text(DEVICES)
    one, two, killed = (str(tmp_path / name) for name in ("one", "two", "killed"))
    shards = 1 if model == "normal-net" else 2
    _train(command, own, model, one, "--import", "small", "--set", f"shards={shards}")
    mirrored = ("--strategy", "mirrored", "--import", "devices")
    _train(command, own, model, two, *mirrored, "--set", "shards=1")
    bound = 1e-4 if model == "normal-net" else 1e-5
    assert _distance(_weights(Path(one)), _weights(Path(two))) < bound
    if model == "small-net":
        with _start(environment, own, killed, *mirrored) as process:
            process.kill()
        done = command("zoo.train", model, "--resume", "--out", killed, *mirrored, cwd=own)
        assert done.returncode == 0, done.stderr
        for weight, same in zip(_weights(Path(two)), _weights(Path(killed)), strict=True):
            np.testing.assert_array_equal(weight, same)


@pytest.mark.slow
def test_a_training_uses_only_operations_that_have_a_fixed_order(
    command: Command, own: Path, tmp_path: Path
) -> None:
    lines = (
        "import small\nimport tensorflow as tf\ntf.config.experimental.enable_op_determinism()\n"
    )
    (own / "determinism.py").write_text(lines)
    warped = ("--set", "rotation=9", "--set", "zoom=0.1", "--set", "shift=1")
    _train(command, own, "small-net", str(tmp_path), "--import", "determinism", *warped)


def _start(
    environment: dict[str, str],
    folder: Path,
    out: str,
    *how: str,
) -> subprocess.Popen:
    """Start a training that saves its state after each step; wait until it trains."""
    line = ("small-net", "--out", out, *RECIPE, "--set", "shards=1", *how)
    process = subprocess.Popen(
        [sys.executable, "-m", "zoo.train", *line, "--checkpoint-seconds", "0"],
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    while not list((folder / out).glob("checkpoints/step-*.npz")):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    return process


def _worker(parent: subprocess.Popen, number: int) -> int:
    """Return the process ID of a worker."""
    found = process_of(parent.pid, number)
    assert found, f"worker {number} does not run"
    return found


@pytest.mark.parametrize("killed", [1, pytest.param(0, marks=pytest.mark.long)])
def test_a_killed_worker_ends_the_others_and_the_training_resumes_exactly(
    killed: int, environment: dict[str, str], command: Command, own: Path
) -> None:
    out = f"killed-{killed}"
    process = _start(environment, own, out, *TWO)
    others = [_worker(process, number) for number in (0, 1) if number != killed]
    begin = time.monotonic()
    os.kill(_worker(process, killed), signal.SIGKILL)
    _, complaint = process.communicate(timeout=60)
    assert time.monotonic() - begin < 60
    assert complaint == (
        f"zoo.train: error: worker {killed} was killed by SIGKILL; continue with the same command "
        "and --resume\n"
    )
    assert process.returncode == 5
    assert not any(Path(f"/proc/{other}").exists() for other in others)
    resume = ("small-net", "--import", "small", "--resume", "--out", out)
    done = command("zoo.train", *resume, "--workers", 2, cwd=own)
    assert done.returncode == 0, done.stderr
    for one, other in zip(_weights(own / "two"), _weights(own / out), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_an_interrupted_training_goes_on_with_another_number_of_workers(
    environment: dict[str, str], command: Command, own: Path
) -> None:
    process = _start(environment, own, "interrupted", *TWO)
    process.send_signal(signal.SIGTERM)
    _, complaint = process.communicate(timeout=60)
    line = r"zoo.train: interrupted after step \d+ of 50; the state is saved; [^\n]+\n"
    assert re.fullmatch(line, complaint)
    assert process.returncode == 143
    resume = ("small-net", "--import", "small", "--resume", "--out", "interrupted")
    done = command("zoo.train", *resume, "--workers", 3, cwd=own)
    assert done.returncode == 0, done.stderr
    assert (own / "interrupted" / "result.json").exists()


@pytest.mark.slow
def test_workers_of_this_machine_use_no_proxy(environment: dict[str, str], own: Path) -> None:
    # Nothing listens on this port.
    proxy = {"http_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    with _start(environment | proxy, own, "proxy", *TWO) as process:
        process.kill()


@pytest.mark.parametrize(
    ("cores", "shares"),
    [
        ([0, 1, 2, 3], [[0, 1, 2, 3]]),
        ([0, 1, 2, 3], [[0, 1], [2, 3]]),
        ([0, 1, 2], [[0], [1]]),
        ([1, 4, 5, 8, 9], [[1, 4], [5, 8]]),
        ([0], [[0], [0]]),
        ([2, 3, 5], [[2], [3], [5], [2]]),
    ],
)
def test_workers_have_the_same_number_of_cores(
    cores: list[int], shares: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(cores), raising=False)
    assert local_workers._core_shares(len(shares)) == shares


@pytest.fixture
def addresses() -> Iterator[tuple[str, ...]]:
    """Yield the addresses of two workers on this machine."""
    with local_workers.free_addresses(2) as found:
        yield found


def _start_worker(
    environment: dict[str, str], folder: Path, addresses: tuple[str, ...], number: int, *how: str
) -> subprocess.Popen:
    """Start a worker as its machine would."""
    return subprocess.Popen(
        [sys.executable, "-m", "zoo.train", "ltfn1", *RECIPE, *how],
        cwd=folder,
        env=environment
        | {
            tf_config.VARIABLE: tf_config.write_config(addresses, number),
            "TF_GRPC_REUSE_PORT": "1",
        },
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_worker_with_another_recipe_is_refused(
    environment: dict[str, str], addresses: tuple[str, ...], own: Path
) -> None:
    processes = [
        _start_worker(environment, own, addresses, number, "--out", "other", "--seed", str(number))
        for number in (0, 1)
    ]
    complaints = [process.communicate(timeout=100)[1] for process in processes]
    assert [process.returncode for process in processes] == [2, 2]
    for complaint, prefix in zip(complaints, ("", "worker 1: "), strict=True):
        line = f"zoo.train: error: {prefix}the network, the data, the recipe, "
        assert complaint.splitlines()[-1].startswith(line)
    assert not (own / "other").exists()


@pytest.mark.slow
def test_workers_of_several_machines_train(
    environment: dict[str, str], addresses: tuple[str, ...], own: Path
) -> None:
    workers = [
        _start_worker(environment, own, addresses, number, "--out", "hosts") for number in (0, 1)
    ]
    (printed, complaint), others = (worker.communicate(timeout=100) for worker in workers)
    assert [worker.returncode for worker in workers] == [0, 0]
    assert "Test accuracy: " in printed
    assert (complaint, *others) == ("", "", "")


@pytest.mark.slow
def test_a_signal_to_one_of_several_machines_ends_all(
    environment: dict[str, str], addresses: tuple[str, ...], own: Path
) -> None:
    how = ("--out", "signal", "--steps", "100000", "--checkpoint-seconds", "0")
    chief, other = (_start_worker(environment, own, addresses, number, *how) for number in (0, 1))
    _wait_for(lambda: list((own / "signal").glob("checkpoints/step-*.npz")))
    other.send_signal(signal.SIGTERM)
    _, complaint = chief.communicate(timeout=100)
    other.communicate(timeout=60)
    assert (chief.returncode, other.returncode) == (143, 143)
    assert "the state is saved" in complaint


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_worker_that_waits_for_another(
    number: signal.Signals,
    environment: dict[str, str],
    addresses: tuple[str, ...],
    own: Path,
) -> None:
    worker = _start_worker(environment, own, addresses, 0, "--out", "waits")
    try:
        _wait_for(lambda: supervisor.answers(addresses[0]))
        time.sleep(5)  # in TensorFlow
        worker.send_signal(number)
        _, complaint = worker.communicate(timeout=10)
    finally:
        worker.kill()
    assert (worker.returncode, complaint) == (128 + number, "zoo.train: interrupted\n")


@pytest.mark.parametrize("moment", ["connects", pytest.param("trains", marks=pytest.mark.slow)])
def test_a_killed_worker_of_another_machine_ends_the_others(
    moment: str, environment: dict[str, str], addresses: tuple[str, ...], own: Path
) -> None:
    how = ("--out", moment, "--steps", "100000", "--checkpoint-seconds", "0")
    other = _start_worker(environment, own, addresses, 1, *how)
    if moment == "connects":
        # The port of a stopped process accepts connections, but nothing answers, so the chief
        # waits in TensorFlow.
        _wait_for(lambda: supervisor.answers(addresses[1]))
        os.kill(_worker(other, 1), signal.SIGSTOP)
    chief = _start_worker(environment, own, addresses, 0, *how)
    if moment == "connects":
        _wait_for(lambda: supervisor.answers(addresses[0]))
        time.sleep(5)  # in TensorFlow
    else:
        _wait_for(lambda: list((own / moment).glob("checkpoints/step-*.npz")))
    trainings = [_worker(chief, 0), _worker(other, 1)]
    other.kill()
    _, complaint = chief.communicate(timeout=60)
    other.communicate()
    assert chief.returncode == 5
    assert complaint.splitlines()[-1] == (
        f"zoo.train: error: worker 1 at {addresses[1]} ended; start all workers again, with "
        "--resume if the training had begun"
    )
    assert not any(map(_runs, trainings))


def _runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # ended, but its parent has not asked for its code


def test_the_port_of_a_server_is_found() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert not supervisor.answers(address)
        server.listen()
        assert supervisor.answers(address)


@pytest.fixture
def others(addresses: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> supervisor._Others:
    """Return the other worker of two, which has ended if it refuses connections for a moment."""
    monkeypatch.setattr(supervisor, "_REFUSED_SECONDS", 0.1)
    monkeypatch.setattr(supervisor, "_SECONDS", 0.1)
    return supervisor._Others(tf_config.Task(0, addresses))


def test_a_worker_that_refuses_connections_has_ended(
    others: supervisor._Others, addresses: tuple[str, ...]
) -> None:
    assert others.find_ended() is None  # it starts
    with _server(addresses[1]) as server:
        server.listen()
        assert others.find_ended() is None
    time.sleep(0.2)
    assert others.find_ended() is None  # the first refusal, whenever it last answered
    time.sleep(0.2)
    assert others.find_ended() == f"worker 1 at {addresses[1]} ended"


def test_an_interrupted_network_does_not_end_a_worker_at_once(
    others: supervisor._Others, addresses: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    with _server(addresses[1]) as server:
        server.listen(0)  # one connection waits, the next ones are dropped
        assert others.find_ended() is None
        assert others.find_ended() is None
        monkeypatch.setattr(supervisor, "START_SECONDS", 0)
        assert others.find_ended() == f"worker 1 at {addresses[1]} did not answer for 0 s"


def _server(address: str) -> socket.socket:
    """Return a server at the address of a worker, which does not listen yet."""
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    server.bind(tf_config.split_address(address))
    return server


def _wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 100
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
