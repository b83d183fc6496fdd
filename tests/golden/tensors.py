"""Every tensor of a golden scenario beside ours: what the model's parts give, frame by frame."""

import json
import warnings
from typing import Any

import numpy as np
import tensorflow as tf

import lstd
from lstd.base.types import LSTMState
from lstd.models import turns
from tests.golden.reference import arrays, reference, reference_names


def load(variant: str) -> lstd.LSTMSSD:
    """Returns the golden model, through the public interface alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = lstd.load_config(reference(f"{variant}.config"))
    model = lstd.build_model(config.model)
    report = lstd.load_tf1_checkpoint(model, reference(f"{variant}_weights.npz"))
    assert report.missing == report.unused == report.mismatched == ()
    return model


def scenarios() -> list[tuple[str, str]]:
    """Returns (variant, scenario) of all evaluations that are here."""
    found = []
    for name in reference_names("*_eval_*.npz"):
        variant, scenario = name.removesuffix(".npz").split("_eval_", 1)
        if scenario != "common":
            found.append((variant, scenario))
    return found


def clip_first(array: np.ndarray, batch: int) -> np.ndarray:
    """Returns time-major [T * B, ...] as [B, T, ...]."""
    return np.swapaxes(array.reshape(-1, batch, *array.shape[1:]), 0, 1)


def batch_of(variant: str) -> int:
    """Returns B of a variant's evaluations."""
    return json.loads(reference(f"{variant}_meta.json").read_text())["meta"]["batch"]


def state_before(common: dict[str, np.ndarray], scenario: str) -> LSTMState | None:
    """Returns the state that a scenario begins with; None: zeros."""
    if not scenario.endswith("state"):
        return None
    return LSTMState(tf.constant(common["state_c0"]), tf.constant(common["state_h0"]))


def differences(model: lstd.LSTMSSD, variant: str, scenario: str) -> dict[str, float]:
    """Returns the largest difference of each kind of tensor, as |ours - theirs| / (1 + |theirs|).

    All is ours from the frames on: nothing golden goes in but the choice of the networks.
    """
    common = arrays(reference(f"{variant}_eval_common.npz"))
    golden = arrays(reference(f"{variant}_eval_{scenario}.npz"))
    found: dict[str, float] = {}

    def compare(kind: str, ours: Any, name: str, step: int | None = None) -> None:
        theirs = (golden if name in golden else common).get(name)
        if theirs is not None:
            theirs = theirs if step is None else theirs[step]
            off = np.abs(np.asarray(ours) - theirs) / (1 + np.abs(theirs))
            found[kind] = max(float(off.max()), found.get(kind, 0.0))

    frames = tf.constant(common["video"])
    features = {name: model.features(frames, name) for name in model.networks}
    for name, ours in features.items():
        compare(f"backbone, {name}", ours, f"base_{name}")
    batch = batch_of(variant)
    num_frames = len(frames) // batch
    state = state_before(common, scenario) or model.initial_state(batch)
    actions = golden.get("action", np.zeros([num_frames, batch], np.int32))
    outputs = []
    for t in range(num_frames):
        parts = []
        for number, (name, ours) in enumerate(features.items()):
            parts.append(model._bottleneck(name)(turns.unfold(ours, num_frames)[:, t], state.h))
            compare("bottleneck", parts[-1], f"pre_bottleneck_{number}", t)
        large = tf.equal(actions[t], 0)
        output, new = model.cell(turns.select(large, parts[0], parts[-1]), state)
        outputs.append(output)
        state = LSTMState(*(turns.select(large, a, b) for a, b in zip(new, state, strict=True)))
        compare("output of the cell", output, "cell_out", t)
        for name in "ch":
            compare(f"{name} of the cell", getattr(new, name), f"new_{name}", t)
            compare(f"state {name}", getattr(state, name), f"state_{name}", t)
            if t == num_frames - 1:
                compare(f"state {name}", getattr(state, name), f"final_state_{name}")
    maps = model.feature_maps(turns.fold(tf.stack(outputs, axis=1)))
    for number, ours in enumerate(maps):
        compare("feature maps", ours, f"feature_map_{number}")
    predictions = model.box_predictor(maps)
    compare("box encodings", predictions.box_encodings, "box_encodings")
    compare("class logits", predictions.class_logits, "class_predictions_with_background")
    return found
