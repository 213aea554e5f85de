from __future__ import annotations

import keras
import numpy as np
import pytest

from zoo.errors import InputError
from zoo.runs import Run
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


def test_everything_comes_back(new_run: Run) -> None:
    network = _network()
    for owner in network:
        for variable in owner.variables:
            variable.assign(np.full_like(variable.numpy(), 3))
    Checkpoints(new_run, *network).save(Position(step=7, seconds=1.5))
    other = _network()
    assert Checkpoints(new_run, *other).restore() == Position(step=7, seconds=1.5)
    for before, after in zip(_states(network), _states(other), strict=True):
        np.testing.assert_array_equal(before, after)


def test_without_a_checkpoint_it_begins_at_the_beginning(new_run: Run) -> None:
    assert Checkpoints(new_run, *_network()).restore() == Position(step=0, seconds=0.0)


def test_the_latest_two_are_kept(new_run: Run) -> None:
    checkpoints = Checkpoints(new_run, *_network())
    for step in (5, 10, 15):
        checkpoints.save(Position(step, 0.0))
    assert sorted(path.name for path in new_run.checkpoints.iterdir()) == [
        "step-000000010.npz",
        "step-000000015.npz",
    ]


def test_any_flipped_bit_of_the_latest_leads_to_the_one_before(new_run: Run) -> None:
    network = _network()
    checkpoints = Checkpoints(new_run, *network)
    checkpoints.save(Position(step=1, seconds=0.0))
    before = _states(network)
    checkpoints.save(Position(step=2, seconds=0.0))
    path = new_run.checkpoints / "step-000000002.npz"
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


def test_nothing_whole_is_an_error(new_run: Run) -> None:
    new_run.checkpoints.mkdir()
    (new_run.checkpoints / "step-000000001.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"all checkpoints in .* are damaged"):
        Checkpoints(new_run, *_network()).restore()


def test_a_state_of_another_network_is_not_used(new_run: Run) -> None:
    Checkpoints(new_run, *_network()).save(Position(step=1, seconds=0.0))
    with pytest.raises(InputError, match=r"all checkpoints in .* are damaged"):
        Checkpoints(new_run, *_network(units=4)).restore()


def test_a_state_without_a_variable_leads_to_the_one_before(new_run: Run) -> None:
    checkpoints = Checkpoints(new_run, *_network())
    for step in (1, 2):
        checkpoints.save(Position(step, 0.0))
    path = new_run.checkpoints / "step-000000002.npz"
    with np.load(path) as archive:
        arrays = dict(archive)
    for hidden in arrays:
        np.savez(path, **{name: arrays[name] for name in arrays if name != hidden})
        assert checkpoints.restore().step == 1


def test_a_state_of_another_request_is_refused(new_run: Run) -> None:
    Checkpoints(new_run, *_network()).save(Position(step=1, seconds=0.0))
    new_run.recipe.write_text(new_run.recipe.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(InputError, match=r"another request than recipe\.json, which was replaced"):
        Checkpoints(new_run, *_network()).restore()
