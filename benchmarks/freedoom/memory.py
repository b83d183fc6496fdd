"""What the memory saves and what it invents: a count, and the frames with the most of each.

    python benchmarks/freedoom/memory.py --model freedoom_s --data build/freedoom/test_fast

The model runs under SKIP9 as it is, and with the state zeroed before every frame. An object is
saved if it is found with the memory and not without it, lost if it is the other way round; a false
detection is invented or avoided in the same sense. What counts as found: `vid/ap50`'s rules, from
the model's own score on. Writes memory.webp to --output_directory: three frames for
saved objects and three for invented ones, each with the memory and, right of it, without; true
boxes are white.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

import lstd
from lstd.base.types import Detections
from lstd.evaluation import arrays, clip_frames
from lstd.evaluation.detectors import ModelDetector
from lstd.evaluation.metrics import flicker
from lstd.evaluation.metrics.coco import CocoMetric
from lstd.evaluation.objects import FrameId, frame_id_of
from lstd.media import draw

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from memory_under_occlusion import forget
from table import dataset_of

SCHEDULE = "SKIP9"
SHOWN = 3


class Found(NamedTuple):
    """What a run found, by frame."""

    metric: CocoMetric
    is_found: dict[FrameId, np.ndarray]  # of each true box
    false: dict[FrameId, int]


def main() -> None:
    """Prints the counts and writes the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="freedoom_s", help="run folder or shipped weights")
    parser.add_argument("--data", type=Path, required=True, help="folder of records")
    parser.add_argument("--output_directory", type=Path, default=Path("build/freedoom"))
    arguments = parser.parse_args()
    try:
        model = lstd.load_model(arguments.model)
        dataset = dataset_of(model, arguments.data)
        detector = ModelDetector(model)
        runs = []
        for clips in (dataset, dataset.map(forget)):
            metric = CocoMetric(detector.labels)
            lstd.evaluate(detector, clips, {SCHEDULE: [metric]}, (SCHEDULE,))
            runs.append(found_by(metric, model.min_score))
        with_memory, without = runs
        print(told(with_memory, without))
        best = chosen(with_memory, without)
        path = arguments.output_directory / "memory.webp"
        path.parent.mkdir(parents=True, exist_ok=True)
        wanted = {name for names in best.values() for name in names}
        frames = {
            name: each.image
            for each in clip_frames.true_frames(dataset)
            if (name := frame_id_of(each.frame_id)) in wanted
        }
        Image.fromarray(sheet(best, frames, runs, model.min_score)).save(path, quality=75)
        print(path)
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"memory.py: error: {error}")


def found_by(metric: CocoMetric, min_score: float) -> Found:
    """Returns which objects were found, and how many detections found none."""
    flat = arrays.without_crowds(arrays.flatten(metric.ground_truth, metric.detections))
    hits = flicker.found_objects(flat, min_score=min_score)
    counts = np.bincount(
        flat.found_frame[flat.scores >= min_score], minlength=len(flat.frames)
    ) - np.bincount(flat.true_frame[hits], minlength=len(flat.frames))
    is_found = {frame: hits[flat.true_frame == place] for place, frame in enumerate(flat.frames)}
    return Found(metric, is_found, dict(zip(flat.frames, counts.tolist(), strict=True)))


def told(one: Found, other: Found) -> str:
    """Returns the counts as a sentence."""
    both = [(one.is_found[frame], other.is_found[frame]) for frame in one.is_found]
    saved = sum(int((a & ~b).sum()) for a, b in both)
    lost = sum(int((b & ~a).sum()) for a, b in both)
    changes = [one.false[frame] - other.false[frame] for frame in one.false]
    return (
        f"{sum(len(a) for a, _ in both)} objects in {len(both)} frames: {saved} saved by the "
        f"memory, {lost} lost by it; of false detections {sum(max(c, 0) for c in changes)} "
        f"invented and {sum(max(-c, 0) for c in changes)} avoided"
    )


def chosen(one: Found, other: Found) -> dict[str, list[FrameId]]:
    """Returns frames with the most saved and the most invented objects, each video at most once."""
    ranks = {
        "saved": {f: int((one.is_found[f] & ~other.is_found[f]).sum()) for f in one.is_found},
        "invented": {f: one.false[f] - other.false[f] for f in one.false},
    }
    result: dict[str, list[FrameId]] = {}
    for kind, rank in ranks.items():
        best: dict[str, FrameId] = {}
        for frame in sorted(rank, key=lambda each: -rank[each]):
            if rank[frame] > 0:
                best.setdefault(frame[0], frame)
        result[kind] = [*best.values()][:SHOWN]
    return result


def sheet(
    best: dict[str, list[FrameId]],
    frames: dict[FrameId, np.ndarray],
    runs: list[Found],
    min_score: float,
) -> np.ndarray:
    """Returns the picture, uint8 RGB: pairs, with the memory and without it."""
    pictures, captions = [], []
    for kind, names in best.items():
        for name in names:
            image = np.clip(np.rint(np.asarray(frames[name])), 0, 255).astype(np.uint8)
            size = np.tile(image.shape[:2], 2)
            for run, how in zip(runs, ("with memory", "zeroed"), strict=True):
                found, true = run.metric.detections[name], run.metric.ground_truth[name]
                count = np.array(len(found.classes))
                pictures.append(
                    draw.annotate(
                        image,
                        Detections(found.boxes / size, found.scores, found.classes, count),
                        run.metric.labels,
                        network=found.network,
                        min_score=min_score,
                        scale=2,
                        true_boxes=true.boxes[~true.is_crowd] / size,
                    )
                )
                captions.append(f"{kind}: {name[0]} {name[1]}, {how}")
    return draw.contact_sheet(pictures, captions, columns=4, cell_width=320)


if __name__ == "__main__":
    main()
