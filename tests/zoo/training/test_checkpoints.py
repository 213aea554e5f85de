from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from zoo.errors import InputError
from zoo.training.averages import WeightAverage
from zoo.training.checkpoints import Checkpoints, Position

Network = tuple[keras.Model, keras.Optimizer, WeightAverage]


def _network(units: int = 2) -> Network:
    image = keras.Input((3,))
    model = keras.Model(image, keras.layers.Dense(units)(keras.layers.Dropout(0.5)(image)))
    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    return model, optimizer, WeightAverage(model, optimizer, decay=0.9)


def _states(network: Network) -> list[np.ndarray]:
    return [variable.numpy() for owner in network for variable in owner.variables]


def test_everything_comes_back(tmp_path: Path) -> None:
    network = _network()
    for owner in network:
        for variable in owner.variables:
            variable.assign(np.full_like(variable.numpy(), 3))
    Checkpoints(tmp_path, *network).save(Position(step=7, seconds=1.5))
    other = _network()
    assert Checkpoints(tmp_path, *other).restore() == Position(step=7, seconds=1.5)
    for before, after in zip(_states(network), _states(other), strict=True):
        np.testing.assert_array_equal(before, after)


def test_without_a_checkpoint_it_begins_at_the_beginning(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path, *_network()).restore() == Position(step=0, seconds=0.0)


def test_the_latest_two_are_kept(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, *_network())
    for step in (5, 10, 15):
        checkpoints.save(Position(step, 0.0))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step-000000010.npz",
        "step-000000015.npz",
    ]


def test_any_flipped_bit_of_the_latest_leads_to_the_one_before(tmp_path: Path) -> None:
    network = _network()
    checkpoints = Checkpoints(tmp_path, *network)
    checkpoints.save(Position(step=1, seconds=0.0))
    before = _states(network)
    checkpoints.save(Position(step=2, seconds=0.0))
    path = tmp_path / "step-000000002.npz"
    whole = path.read_bytes()
    fallbacks = 0
    for at in np.random.default_rng(0).integers(0, len(whole), 200):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << (at % 8)
        path.write_bytes(damaged)
        step = checkpoints.restore().step
        fallbacks += step == 1
        # A flip that is not detected must not change any value.
        for expected, loaded in zip(before, _states(network), strict=True):
            np.testing.assert_array_equal(expected, loaded)
    assert fallbacks > 100


def test_nothing_whole_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "step-000000001.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"all checkpoints in .* are damaged"):
        Checkpoints(tmp_path, *_network()).restore()


def test_another_networks_state_is_refused(tmp_path: Path) -> None:
    Checkpoints(tmp_path, *_network()).save(Position(step=1, seconds=0.0))
    with pytest.raises(InputError, match="belongs to another network"):
        Checkpoints(tmp_path, *_network(units=4)).restore()
