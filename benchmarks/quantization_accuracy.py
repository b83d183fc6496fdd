"""How far each quantised file is from the model, on a trained run: scores, boxes, AP.

    python benchmarks/quantization_accuracy.py --run demo/run \
        --train 'demo/data/train/*.tfrecord' --unseen 'demo/data/unseen/*.tfrecord'

int8 takes its ranges from the first `--frames` frames of the training records; all numbers are of
the first `--frames` unseen frames, with the state carried, for each network apart (LARGE, SMALL)
and under SKIP9. Scores and boxes are compared before suppression, on the ten best anchors of either
side (`lstd.export.fidelity`); AP is COCO's, after the same suppression. The row `none` is float32:
how far TFLite itself is from the model in TensorFlow.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

import lstd

SCHEDULES = ("LARGE", "SMALL", "SKIP9")


def main() -> int:
    """Prints the table; returns 2 without a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("demo/run"))
    parser.add_argument("--weights", default="last")
    parser.add_argument("--train", default="demo/data/train/*.tfrecord")
    parser.add_argument("--unseen", default="demo/data/unseen/*.tfrecord")
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--schedules", nargs="+", default=SCHEDULES)
    arguments = parser.parse_args()
    if not arguments.run.is_dir():
        print(f"{arguments.run}: no such run folder; make demo trains one, or give --run")
        return 2

    from lstd.config.config import ExportConfig
    from lstd.evaluation.metrics.coco import CocoMetric
    from lstd.export import conversion, fidelity, interpreters, representative
    from lstd.export.module import ExportModule
    from lstd.export.options import QUANTIZATIONS, suppression_for

    try:
        model = lstd.load_model(arguments.run, weights=arguments.weights)
        config = lstd.load_config(arguments.run / "config.yaml")
        seen = representative.read(_records(config, arguments.train), limit=arguments.frames)
        unseen = representative.read(_records(config, arguments.unseen), limit=arguments.frames)
    except (ValueError, OSError) as error:
        sys.exit(f"quantization_accuracy.py: error: {error}")
    options = suppression_for(model, ExportConfig(max_detections=100))
    module = ExportModule(model, options=options, schedule="SKIP9")
    print(f"{len(unseen)} frames; ranges from {len(seen)} frames of {arguments.train}")
    print("file      MB   schedule   scores   worst    boxes    state    AP50 float -> file")
    for quantization in QUANTIZATIONS:
        content = conversion.content_of(module, quantization=quantization, frames=seen)
        outside = {
            name: operators
            for name, operators in interpreters.outside_delegate(content).items()
            if operators
        }
        for schedule in arguments.schedules:
            module.schedule = schedule
            found = fidelity.measure(
                module, content, unseen, metric=CocoMetric, labels=tuple(model.labels)
            )
            ours, theirs = (100 * value for value in found.metrics["coco/ap50"])
            print(
                f"{quantization:8} {len(content) / 1e6:4.1f}  {schedule:9} {found.scores:8.5f} "
                f"{found.largest_score:8.5f} {found.boxes:8.5f} {found.state:8.5f}   "
                f"{ours:6.2f} -> {theirs:6.2f} ({theirs - ours:+.2f})"
            )
        module.schedule = "SKIP9"
        print(f"{'':8} outside the delegate: {outside or 'post-processing only'}", flush=True)
    return 0


def _records(config: Any, pattern: str) -> Any:
    split = dataclasses.replace(config.data.evaluation, input_path=(pattern,), batch_size=1)
    return lstd.make_dataset(dataclasses.replace(config.data, evaluation=split), "evaluation")


if __name__ == "__main__":
    sys.exit(main())
