"""A few training steps under a strategy, for processes that tests start: `--kind ... --output x`.

mirrored: two devices of this process. one: the same without a strategy. worker: as `TF_CONFIG`
says. Each writes the weights before and after, statistics and the log of each variant to a file.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import tensorflow as tf
import tf_keras as keras

import lstd
from lstd.fit import variables
from lstd.training import distribution
from tests import tiny

BATCH, FRAMES, STEPS = 4, 3, 3

VARIANTS: dict[str, dict[str, Any]] = {
    "frozen statistics": {"freeze": ["/moving_"]},
    "accumulated": {"freeze": ["/moving_"], "accumulate_steps": 2},
    "batch norm by replica": {},
}


def main() -> None:
    """Runs the variants that were asked for, and writes what came out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", choices=["one", "mirrored", "worker"], required=True)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS))
    parser.add_argument("--output", required=True)
    arguments = parser.parse_args()
    if arguments.kind == "mirrored":
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * 2
        )
    names = {"one": "none", "mirrored": "mirrored", "worker": "multi_worker"}
    strategy = distribution.strategy_of(names[arguments.kind])
    found: dict[str, np.ndarray] = {}
    for name in arguments.variants:
        for key, value in trained(strategy, **VARIANTS[name]).items():
            found[f"{name}:{key}"] = value
    np.savez(arguments.output, replicas=strategy.num_replicas_in_sync, **found)


def trained(
    strategy: tf.distribute.Strategy, *, freeze: Any = (), accumulate_steps: int = 1
) -> dict[str, np.ndarray]:
    """Returns weights before and after, by name, and the means of the last epoch."""
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = lstd.build_model(tiny.CONFIG, stateful=True, batch_size=BATCH)
        tiny.scramble(model)
        model.freeze(freeze)
        model.compile(
            lstd.build_optimizer(lstd.TrainConfig()),
            lstd.DetectionLoss.from_config(tiny.CONFIG),
            accumulate_steps=accumulate_steps,
        )
    names = variables.names_of(model)
    before = {name: np.asarray(variable) for name, variable in names.items()}
    history = model.fit(
        dataset(), steps_per_epoch=STEPS, validation_data=dataset().take(2), verbose=0
    ).history
    scores = model.evaluate(dataset().take(2), return_dict=True, verbose=0)
    model.collect_training_state()
    carried = model.training_state["carried"]
    return {
        **{f"before:{name}": value for name, value in before.items()},
        **{f"after:{name}": np.asarray(variable) for name, variable in names.items()},
        **{f"log:{name}": np.asarray(values) for name, values in history.items()},
        **{f"log:evaluate {name}": np.asarray([value]) for name, value in scores.items()},
        "carried:h": np.asarray(carried.h),
        "carried:frame": np.asarray(carried.frame),
    }


def updates(found: dict[str, np.ndarray], variant: str) -> np.ndarray:
    """Returns how far all weights of a variant have moved, in one vector."""
    return _joined(found, f"{variant}:after:") - _joined(found, f"{variant}:before:")


def _joined(found: dict[str, np.ndarray], prefix: str) -> np.ndarray:
    names = sorted(name for name in found if name.startswith(prefix))
    return np.concatenate([np.float64(found[name]).ravel() for name in names])


def difference(
    ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray], variant: str, kind: str
) -> float:
    """Returns a relative L2 distance: of the "update", the "log" or the "carried" state."""
    a, b = (
        updates(found, variant) if kind == "update" else _joined(found, f"{variant}:{kind}:")
        for found in (ours, theirs)
    )
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def dataset() -> tf.data.Dataset:
    """Returns endless batches; the clips of the first one open videos, the others go on."""
    batches = [
        tiny.batch(FRAMES, batch_size=BATCH, starts=not number, seed=number)
        for number in range(2 * STEPS)
    ]
    return tf.data.Dataset.from_tensor_slices(
        tf.nest.map_structure(lambda *parts: tf.stack(parts), *[_without_none(b) for b in batches])
    ).map(lambda clip, truth: (lstd.ClipBatch(*clip), lstd.GroundTruth(*truth)))


def _without_none(batch: Any) -> Any:
    return tuple(tuple(part for part in fields if part is not None) for fields in batch)


if __name__ == "__main__":
    main()
