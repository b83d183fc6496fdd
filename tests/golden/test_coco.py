"""COCO numbers of the original evaluator (reference/coco.npz, coco.json)."""

from __future__ import annotations

import json

import numpy as np

from lstd.evaluation.metrics.coco import NAMES, CocoMetric
from tests.golden.reference import reference


def test_numbers_equal_the_originals() -> None:
    facts = json.loads(reference("coco.json").read_text())
    metric = CocoMetric([category["name"] for category in facts["categories"]])
    with np.load(reference("coco.npz")) as arrays:
        for clip in range(facts["clips"]):
            for frame in range(facts["frames"]):
                values = {
                    name: arrays[f"clip{clip}/frame{frame}/{name}"]
                    for name in (
                        "groundtruth_boxes",
                        "groundtruth_classes",
                        "detection_boxes",
                        "detection_scores",
                        "detection_classes",
                    )
                }
                metric.add(
                    (f"clip{clip}", frame),
                    {
                        "boxes": values["groundtruth_boxes"],
                        "classes": values["groundtruth_classes"] - 1,
                    },
                    {
                        "boxes": values["detection_boxes"],
                        "classes": values["detection_classes"] - 1,
                        "scores": values["detection_scores"],
                    },
                )

    result = metric.result()

    # The same library on the same boxes: only the last bits of a mean may differ.
    expected = list(facts["metrics"].values())
    np.testing.assert_allclose([result[name] for name in NAMES], expected, rtol=0, atol=1e-9)
