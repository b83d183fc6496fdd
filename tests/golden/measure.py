"""Prints how close the library comes to the original, as the table of docs/coming_from_tf1.md.

python -m tests.golden.measure
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # as in tests/conftest.py

import numpy as np
import tensorflow as tf

import lstd
from lstd.base.types import Predictions
from lstd.ops import images
from tests.golden import tensors, test_evaluation, test_losses, test_training
from tests.golden.reference import arrays, reference, reference_names

Row = tuple[str, str, float]


def largest(ours: Any, theirs: np.ndarray) -> float:
    """Returns the largest absolute difference."""
    return float(np.abs(np.asarray(ours, np.float64) - theirs).max())


def evaluation(variant: str) -> Iterator[Row]:
    """Yields the largest differences over all scenarios of a variant in inference."""
    model = tensors.load(variant)
    common = arrays(reference(f"{variant}_eval_common.npz"))
    yield "anchors", "1e-6", largest(model.anchors, common["anchors"])
    if "preprocessed" in common:
        yield "frames, resized", "1e-4", largest(_resized(model, common), common["preprocessed"])
    worst: dict[str, float] = {}
    for scenario in (s for v, s in tensors.scenarios() if v == variant):
        golden = arrays(reference(f"{variant}_eval_{scenario}.npz"))
        raw = Predictions(
            tf.constant(golden["box_encodings"]),
            tf.constant(golden["class_predictions_with_background"]),
        )
        found = model.detect(raw)
        differences = {
            **tensors.differences(model, variant, scenario),
            "detections, boxes": largest(found.boxes, golden["post_detection_boxes"]),
            "detections, scores": largest(found.scores, golden["post_detection_scores"]),
            "detections, classes": largest(found.classes, golden["post_detection_classes"]),
            "detections, count": largest(found.count, golden["post_num_detections"]),
        }
        worst = {
            name: max(differences.get(name, 0.0), worst.get(name, 0.0))
            for name in (*worst, *(name for name in differences if name not in worst))
        }
    for name, value in worst.items():
        yield name, "1e-6" if name.startswith("detections") else "1e-3", value
    yield from _counts(model, variant)


def _resized(model: lstd.LSTMSSD, common: dict[str, np.ndarray]) -> tf.Tensor:
    height, width, _ = model.input_shape_hwc
    return images.normalize(images.resize(tf.constant(common["video"]), height, width))


def _counts(model: lstd.LSTMSSD, variant: str) -> Iterator[Row]:
    golden = json.loads(reference("counts.json").read_text()).get(variant)
    if golden is None:
        return
    ours = lstd.count(model)
    yield "parameters", "equal", abs(ours["parameters"] - golden["parameters_total"])
    parts = test_evaluation.PARTS.items()
    off = [
        abs(ours["multiply_adds"]["parts"][part] / golden["multiply_adds"][name] - 1)
        for name, part in parts
        if name in golden["multiply_adds"]
    ]
    yield "multiply-adds of a part", "1e-2 relative", max(off)


def training(variant: str) -> Iterator[Row]:
    """Yields the largest differences of one training step."""
    ours = test_training.step(variant)
    golden, losses = ours["golden"], ours["losses"]
    for name in ("localization", "classification", "regularization"):
        theirs = float(golden[f"{name}_loss"])
        asked = "1e-6 relative" if name == "regularization" else "1e-4 relative"
        yield f"{name} loss", asked, abs(float(losses[name]) - theirs) / theirs
    yield from _assignment(golden)
    name = f"{variant}_train_grads.npz"
    if name not in reference_names("*_train_grads.npz"):
        return
    gradients = arrays(reference(name))
    real = {n: g for n, g in gradients.items() if not test_training.is_rounding_noise(g)}
    by_part: dict[str, float] = {}
    for name, theirs in real.items():
        part = name.split("/")[0 if name.startswith("Box") else 1].split("_")[0]
        difference = test_training.relative(ours["gradients"][name], theirs)
        by_part[part] = max(difference, by_part.get(part, 0.0))
    for part, value in by_part.items():
        yield f"gradients, {part}", "noise floor, relative L2", value
    yield from _jumps(variant, ours, real)
    yield from _changes(variant, ours)


def _changes(variant: str, ours: dict[str, Any]) -> Iterator[Row]:
    """Yields the median and largest relative difference of what one update changes."""
    off = test_training.change_differences(variant, ours["changes"])
    yield "changes in one update, median", "1e-3 relative L2", float(np.median(list(off.values())))
    yield "changes in one update", "1e-3 relative L2", max(off.values())


def _assignment(golden: dict[str, np.ndarray]) -> Iterator[Row]:
    """Yields how many anchors are matched or mined otherwise."""
    loss = test_losses.loss_of(golden)
    truth, raw = test_losses.ground_truth_of(golden), test_losses.predictions_of(golden)
    matches = loss.targets(truth).matches.numpy()
    yield "anchors matched otherwise", "none", float((matches != golden["match"]).sum())
    selected = loss.mined(truth, raw).selected.numpy()
    theirs = np.zeros_like(selected)
    for frame, row in enumerate(theirs):
        row[golden[f"mined_indices_{frame}"]] = True
    yield "anchors mined otherwise", "none", float((selected != theirs).sum())


def _jumps(variant: str, ours: dict[str, Any], real: dict[str, np.ndarray]) -> Iterator[Row]:
    """Yields how many variables are beyond the noise floor, and how many jump so by themselves."""
    floors = {name: test_training.gradient_tolerance(variant, name) for name in real}
    off = {n: test_training.relative(ours["gradients"][n], g) for n, g in real.items()}
    asked = f"of {len(real)} variables"
    yield "gradients, median", "noise floor, relative L2", float(np.median(list(off.values())))
    yield "gradients beyond the floor", asked, float(sum(off[n] > floors[n] for n in real))
    moved = ours["moved"]
    yield (
        "the same between two runs of ours",
        asked,
        float(sum(moved[n] > floors[n] for n in real)),
    )


def main() -> None:
    """Prints the table."""
    variants = [name.removesuffix("_meta.json") for name in reference_names("*_meta.json")]
    table: dict[tuple[str, str], dict[str, float]] = {}
    for variant in variants:
        rows = list(evaluation(variant))
        if variant in test_training.VARIANTS:
            rows += training(variant)
        for name, asked, value in rows:
            table.setdefault((name, asked), {})[variant] = value
    print("| quantity | asked |", " | ".join(variants), "|")
    print("|---|---|", "---|" * len(variants), sep="")
    for (name, asked), values in table.items():
        cells = [_shown(values[v]) if v in values else "" for v in variants]
        print(f"| {name} | {asked} |", " | ".join(cells), "|")


def _shown(value: float) -> str:
    return f"{value:.0f}" if value == round(value) else f"{value:.1e}"


if __name__ == "__main__":
    main()
