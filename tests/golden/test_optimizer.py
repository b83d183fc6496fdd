"""One optimizer step against the original's: its gradients and weights in, its new weights out."""

import json

import numpy as np
import pytest
import tensorflow as tf

from lstd.config.train_config import TrainConfig
from lstd.training.optimizers import build_optimizer
from tests.golden.reference import arrays, reference

SCALE = 4096.0  # the golden changes were multiplied by it before they were stored as float16


class Step:
    """The default optimizer, applied once to all trainable variables of a golden model."""

    def __init__(self, variant: str) -> None:
        facts = json.loads(reference(f"{variant}_train.json").read_text())
        gradients = arrays(reference(f"{variant}_train_grads.npz"))
        weights = arrays(reference(f"{variant}_weights.npz"))
        deltas = arrays(reference(f"{variant}_train_delta_x4096.npz"))
        self.names = facts["trainable"]
        self.slots = facts["optimizer_slots_after"]
        self.golden = {name: deltas[name].astype(np.float64) / SCALE for name in self.names}
        # How exactly float16 holds the golden change: half the distance to the next number.
        self.noise = {
            name: np.spacing(np.abs(deltas[name])).astype(np.float64) / 2 / SCALE
            for name in self.names
        }
        before = {name: weights[name].astype(np.float32) for name in self.names}
        self.variables = {name: tf.Variable(before[name]) for name in self.names}
        self.optimizer = build_optimizer(TrainConfig())
        self.optimizer.apply_gradients(
            [(tf.constant(gradients[name]), self.variables[name]) for name in self.names]
        )
        self.ulp = {name: np.spacing(np.abs(before[name])) for name in self.names}
        self.ours = {
            name: self.variables[name].numpy().astype(np.float64) - before[name]
            for name in self.names
        }


@pytest.fixture(scope="module", params=["iv2_small", "v1_small"])
def step(request: pytest.FixtureRequest) -> Step:
    return Step(request.param)


def test_every_element_changes_as_in_the_original(step: Step) -> None:
    # Three roundings separate the two numbers: ours to the variable's float32, the golden's to its
    # float32 and to float16. The gradients are the same, so beyond these only the arithmetic of the
    # update may differ, by some float32 roundings of the change itself.
    for name in step.names:
        error = np.abs(step.ours[name] - step.golden[name])
        allowed = step.noise[name] + step.ulp[name] + 1e-6 * np.abs(step.golden[name])
        assert (error <= allowed).all(), (name, float((error - allowed).max()))


def test_change_of_each_variable_is_within_a_thousandth(step: Step) -> None:
    # Rule: a variable counts where the stored number can show a thousandth at all, that is where
    # the roundings above, as an L2 norm, are below a thousandth of the change's. The rest is the
    # rounding noise of gradients that are zero (see the reference), and tiny.
    compared = 0
    for name in step.names:
        size = np.linalg.norm(step.golden[name])
        if np.linalg.norm(step.noise[name] + step.ulp[name]) < 1e-3 * size:
            assert np.linalg.norm(step.ours[name] - step.golden[name]) < 1e-3 * size, name
            compared += 1
    assert compared > 0.5 * len(step.names)


def test_slots_are_the_original_ones(step: Step) -> None:
    # float32 against float32, norms and sums only: 1e-5 of the size of what is summed.
    for index, name in enumerate(step.names):
        mean_square = step.optimizer._mean_squares[index].numpy().astype(np.float64)
        momentum = step.optimizer._steps[index].numpy().astype(np.float64)
        for ours, slot in ((mean_square, "RMSProp"), (momentum, "RMSProp_1")):
            golden = step.slots[f"{name}/{slot}"]
            size = np.abs(ours).sum() + 1e-9
            assert abs(np.linalg.norm(ours) - golden["l2"]) <= 1e-5 * size, (name, slot)
            assert abs(ours.sum() - golden["sum"]) <= 1e-5 * size, (name, slot)
