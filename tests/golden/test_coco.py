"""COCO numbers of the original evaluator (reference/coco.npz, coco.json)."""

import json

import numpy as np

from lstd.evaluation.metrics.coco import NAMES, CocoMetric
from tests.golden.reference import arrays, reference


def test_numbers_equal_the_originals() -> None:
    facts = json.loads(reference("coco.json").read_text())
    metric = CocoMetric([category["name"] for category in facts["categories"]])
    found = arrays(reference("coco.npz"))
    for clip in range(facts["clips"]):
        for frame in range(facts["frames"]):
            truth, ours = (
                {
                    part: found[f"clip{clip}/frame{frame}/{kind}_{part}"] - (part == "classes")
                    for part in parts
                }
                for kind, parts in (
                    ("groundtruth", ("boxes", "classes")),
                    ("detection", ("boxes", "classes", "scores")),
                )
            )
            metric.add((f"clip{clip}", frame), truth, ours)

    result = metric.result()

    # The same library on the same boxes: only the last bits of a mean may differ.
    expected = list(facts["metrics"].values())
    np.testing.assert_allclose([result[name] for name in NAMES], expected, rtol=0, atol=1e-9)
