"""Four tiles of each frame instead of the whole: records of them, and the score of a tile model.

    python benchmarks/tiles.py cut --input my_data/train --output_directory build/tiles
    lstd-train --input build/tiles --output_directory runs/tiles
    python benchmarks/tiles.py score --input my_data/unseen --model runs/tiles

A tile is 60 % of the frame's height and width, so that neighbours share a fifth of the frame. `cut`
writes each tile of a video as a video of its own, with the boxes of which at least half is in the
tile. `score` runs the model on the tiles of every frame, as four videos with a state each. It
leaves out what touches an edge of a tile inside the frame, because the neighbour has it whole (if
it is not larger than what they share), and suppresses what two tiles found; then it prints AP and
AP50 of the whole frames. The data may be anything that `lstd-data convert` reads.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

import lstd
from lstd.base.types import ClipBatch, Detections, LSTMState
from lstd.data import convert, readers, source_images
from lstd.data.sources import Excerpt, SourceFrame, SourceVideo
from lstd.evaluation.detectors import ModelDetector
from lstd.evaluation.metrics.coco import CocoMetric

SIDE = 0.6
"""Of a tile, of the frame's."""
ORIGINS = np.array([[y, x] for y in (0, 1 - SIDE) for x in (0, 1 - SIDE)], np.float32)
"""Where the tiles begin, of the frame's height and width, `[4, 2]`."""
LEAST_SEEN = 0.5
"""Share of a box that is in a tile, from which on the tile has it."""
AT_THE_EDGE = 0.01
"""A box that comes so near to an edge, in sides of a tile, touches it."""


def main() -> None:
    """Cuts or scores."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    of_verb = {name: verbs.add_parser(name) for name in ("cut", "score")}
    for verb in of_verb.values():
        verb.add_argument("--input", required=True, help="what lstd-data convert reads")
    of_verb["cut"].add_argument("--output_directory", type=Path, required=True, help="of records")
    of_verb["score"].add_argument("--model", required=True, help="run folder, trained on tiles")
    of_verb["score"].add_argument("--schedules", nargs="+", default=["LARGE", "SKIP9", "SMALL"])
    arguments = parser.parse_args()
    try:
        if arguments.verb == "cut":
            cut(arguments.input, arguments.output_directory)
        else:
            print(score(arguments.input, arguments.model, arguments.schedules))
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"tiles.py: error: {error}")


def cut(data: str, directory: Path) -> None:
    """Writes records of the tiles of all videos."""
    source = readers.open(data)
    tiles = [tile_of(video, tile) for video in source.videos for tile in range(len(ORIGINS))]
    convert.convert(source._replace(videos=tuple(tiles)), directory, convert.Settings())


def tile_of(video: SourceVideo, tile: int) -> TileVideo:
    """Returns a tile of all frames of a video, as one of its own."""
    return TileVideo(f"{video.name}-tile{tile}", video, 0, video.num_frames, tile)


@dataclasses.dataclass(frozen=True)
class TileVideo(Excerpt):
    """A `SourceVideo` that is a tile of the frames of another one."""

    tile: int
    height = property(lambda self: 0)
    width = property(lambda self: 0)

    def read(
        self, start: int = 0, stop: int | None = None, *, images: bool = True
    ) -> Iterator[SourceFrame]:
        """Yields the frames; see `SourceVideo`."""
        origin = ORIGINS[self.tile]
        for frame in super().read(start, stop, images=images):
            image = frame.image
            if image is not None:
                whole = source_images.pixels(image, where=frame.where)
                y, x = np.rint(origin * whole.shape[:2]).astype(int)
                height, width = (round(side * SIDE) for side in whole.shape[:2])
                image = np.ascontiguousarray(whole[y : y + height, x : x + width])
            moved = (frame.truth.boxes - np.tile(origin, 2)) / np.float32(SIDE)
            seen = np.clip(moved, 0, 1)
            kept = _areas(seen) >= LEAST_SEEN * _areas(moved)
            truth = frame.truth._replace(boxes=seen)
            truth = type(truth)(*(None if each is None else each[kept] for each in truth))
            yield SourceFrame(image, truth, f"{frame.where}, tile {self.tile}")


def _areas(boxes: np.ndarray) -> np.ndarray:
    return np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)


def score(data: str, run: str, schedules: Sequence[str]) -> str:
    """Returns AP and AP50 of whole frames under each schedule, as a table."""
    detector = TiledDetector(lstd.load_model(run))
    metrics = {schedule: [CocoMetric(detector.labels)] for schedule in schedules}
    with tempfile.TemporaryDirectory() as folder:
        convert.convert(readers.open(data), Path(folder) / "whole", convert.Settings())
        evaluation = dataclasses.replace(
            lstd.DataConfig().evaluation,
            input_path=(f"{folder}/whole/*.tfrecord",),
            height=detector.frame_size[0],
            width=detector.frame_size[1],
            batch_size=1,
        )
        dataset = lstd.make_dataset(
            lstd.DataConfig(evaluation=evaluation),
            "evaluation",
            labels=detector.labels,
            num_classes=len(detector.labels),
        )
        lstd.evaluate(detector, dataset, metrics, schedules)
    lines = ["schedule  AP     AP50"]
    for schedule, (metric,) in metrics.items():
        found = metric.result()
        lines.append(f"{schedule:8}  {found['coco/ap']:.3f}  {found['coco/ap50']:.3f}")
    return "\n".join(lines)


class TiledDetector(ModelDetector):
    """A model that runs on the tiles of frames, as a `ClipDetector` of the frames.

    Frames have `frame_size`, of which a tile is the model's input.
    """

    def __init__(self, model: lstd.LSTMSSD) -> None:
        super().__init__(model)
        self.tile_size = model.input_shape_hwc[:2]
        self.frame_size = tuple(round(side / SIDE) for side in self.tile_size)

    def initial_state(self, batch_size: int) -> LSTMState:
        """Returns zeros for each tile of each video."""
        return super().initial_state(batch_size * len(ORIGINS))

    def detect_clip(
        self, clip: ClipBatch, state: LSTMState, networks: tf.Tensor | None
    ) -> tuple[Detections, LSTMState]:
        """Returns the detections in the frames and the states of their tiles."""
        height, width = self.tile_size
        room = np.subtract(self.frame_size, self.tile_size)
        corners = np.minimum(np.rint(ORIGINS * self.frame_size).astype(int), room)
        tiles = [clip.frames[:, :, y : y + height, x : x + width] for y, x in corners]

        def four_times(value: tf.Tensor | None) -> tf.Tensor | None:
            return None if value is None else tf.concat([value] * len(ORIGINS), axis=0)

        clip = ClipBatch(*map(four_times, clip))._replace(frames=tf.concat(tiles, axis=0))
        found, state = super().detect_clip(clip, state, four_times(networks))
        threshold = self._model.postprocessing.iou_threshold
        return joined(found, num_classes=len(self.labels), iou_threshold=threshold), state


def joined(found: Detections, *, num_classes: int, iou_threshold: float) -> Detections:
    """Returns the detections of frames, `[B, T, N]`, of those of their tiles, `[4 B, T, N]`."""
    boxes, scores, classes = (
        tf.concat(tf.split(each, len(ORIGINS)), axis=2)  # [B, T, 4 N]
        for each in (found.boxes, found.scores, found.classes)
    )
    clips, frames, rows = found.scores.shape[0] // len(ORIGINS), *found.scores.shape[1:]
    origins = np.repeat(ORIGINS, rows, axis=0)
    near = tf.concat([boxes[..., :2] < AT_THE_EDGE, boxes[..., 2:] > 1 - AT_THE_EDGE], axis=-1)
    inside = np.concatenate([origins > 0, origins == 0], axis=-1)
    scores = tf.where(tf.reduce_any(near & inside, axis=-1), 0.0, scores)
    of_classes = scores[..., tf.newaxis] * tf.one_hot(classes, num_classes)
    kept = tf.image.combined_non_max_suppression(
        tf.reshape(boxes * SIDE + np.tile(origins, 2), [clips * frames, -1, 1, 4]),
        tf.reshape(of_classes, [clips * frames, -1, num_classes]),
        max_output_size_per_class=rows,
        max_total_size=rows,
        iou_threshold=iou_threshold,
        score_threshold=1e-8,
    )
    boxes, scores, classes, count = (
        tf.reshape(each, [clips, frames, *each.shape[1:]]) for each in kept
    )
    return Detections(boxes, scores, tf.cast(classes, tf.int32), count)


if __name__ == "__main__":
    main()
