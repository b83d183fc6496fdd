"""Frames of an evaluation as pictures: side by side in a video, and the worst ones in a sheet."""

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from lstd.base.types import MIN_SCORE, ClipBatch, Detections, GroundTruth
from lstd.evaluation import arrays, clip_frames
from lstd.evaluation.clip_frames import Frame
from lstd.evaluation.metrics import flicker
from lstd.evaluation.metrics.frame_metric import FrameMetric
from lstd.evaluation.objects import detections_of, frame_id_of, ground_truth_of
from lstd.media import draw
from lstd.media.video_writer import VideoWriter


def side_by_side(
    path: str | os.PathLike[str],
    dataset: Iterable[tuple[ClipBatch, GroundTruth]],
    found: Mapping[str, tuple[FrameMetric, float]],
    *,
    columns: int | None = None,
    fps: float,
) -> None:
    """Writes a video of what several schedules, or several models, found in the same frames.

    Over each panel stands its name; in it the network that ran is marked. The frames of all videos
    follow one another, so the dataset must show one video after the other (one lane).

    `found` has, by the panel's name, from left to right, row by row (of so many `columns`; None:
    all), a metric with the detections, and the score from which on they are drawn. The video ends
    with the first frame that they do not have.
    """
    min_scores = {panel: min_score for panel, (_, min_score) in found.items()}
    labels = next(iter(found.values()))[0].labels
    writer: VideoWriter | None = None
    with contextlib.ExitStack() as files:
        for frame in clip_frames.true_frames(dataset):
            name = frame_id_of(frame.frame_id)
            if not all(name in metric.detections for metric, _ in found.values()):
                return
            drawn = {panel: each.detections[name]._asdict() for panel, (each, _) in found.items()}
            shown = frame._replace(detections=drawn)
            picture = _panels(shown, labels, min_scores, columns=columns)
            if writer is None:
                height, width = picture.shape[:2]
                writer = files.enter_context(VideoWriter(path, fps=fps, width=width, height=height))
            writer.write(picture)


class WorstFrames:
    """The frames with the most mistakes, of one schedule; a watcher.

    A mistake is a true object that is not found and a detection of at least `min_score` that finds
    none, by the rules of `vid/ap50`. Equal ones: the first. Frames that follow one another look
    alike, so of each stretch of so many frames of a video there is only the worst.
    """

    def __init__(
        self,
        labels: Sequence[str],
        schedule: str,
        *,
        count: int = 12,
        min_score: float = MIN_SCORE,
        stretch: int = 15,
    ) -> None:
        self.labels, self.schedule = tuple(labels), schedule
        self.count, self.min_score, self.stretch = count, min_score, stretch
        self._kept: dict[tuple[str, int], tuple[int, int, Frame]] = {}
        self._seen = 0

    def __call__(self, frame: Frame) -> None:
        """Looks at a frame."""
        missed, false = mistakes(frame, self.schedule, len(self.labels), min_score=self.min_score)
        video, index = frame_id_of(frame.frame_id)
        place, entry = (video, index // self.stretch), (missed + false, -self._seen, frame)
        self._seen += 1
        before = self._kept.get(place)
        if before is None or entry[:2] > before[:2]:
            self._kept[place] = entry
        if len(self._kept) > self.count:
            del self._kept[min(self._kept, key=lambda each: self._kept[each][:2])]

    def frames(self) -> list[tuple[Frame, int]]:
        """Returns the frames with at least one mistake, worst first, and how many each has."""
        ordered = sorted(self._kept.values(), key=lambda entry: (-entry[0], -entry[1]))
        return [(frame, number) for number, _, frame in ordered if number]

    def sheet(self) -> np.ndarray | None:
        """Returns the frames in one picture, uint8 RGBA; None where no frame has a mistake."""
        pictures, captions = [], []
        for frame, number in self.frames():
            shown = {self.schedule: self.min_score}
            pictures.append(_panels(frame, self.labels, shown, named=False))
            video, index = frame_id_of(frame.frame_id)
            captions.append(f"{video}, frame {index}: {number} mistake{'s' * (number > 1)}")
        return draw.contact_sheet(pictures, captions, clear=True) if pictures else None


def mistakes(frame: Frame, schedule: str, num_classes: int, *, min_score: float) -> tuple[int, int]:
    """Returns how many true objects are missed, and how many detections find none."""
    name = frame_id_of(frame.frame_id)
    true = ground_truth_of(name, frame.ground_truth, num_classes=num_classes)
    found = detections_of(name, frame.detections[schedule], num_classes=num_classes)
    flat = arrays.without_crowds(arrays.flatten({name: true}, {name: found}))
    hits = int(flicker.found_objects(flat, min_score=min_score).sum())
    return len(flat.true_boxes) - hits, int((flat.scores >= min_score).sum()) - hits


def _panels(
    frame: Frame,
    labels: Sequence[str],
    min_scores: Mapping[str, float],
    *,
    columns: int | None = None,
    named: bool = True,
) -> np.ndarray:
    """Returns the frame once for each name of its detections, row by row, uint8 RGB.

    `min_scores` has by that name the score from which on they are drawn.
    """
    image = np.clip(np.rint(np.asarray(frame.image)), 0, 255).astype(np.uint8)
    height, width = image.shape[:2]
    size = np.array([height, width, height, width], np.float32)
    parts = []
    for name, min_score in min_scores.items():
        found: dict[str, Any] = frame.detections[name]
        boxes = np.asarray(found["boxes"], np.float32) / size
        count = np.array(len(found["scores"]))
        drawn = draw.annotate(
            image,
            Detections(boxes, found["scores"], found["classes"], count),
            labels,
            network=found.get("network"),
            min_score=min_score,
            scale=None,
            true_boxes=np.asarray(frame.ground_truth["boxes"]) / size,
        )
        if named:
            drawn = np.concatenate([draw.strip(name, drawn.shape[1]), drawn])
        parts.append(drawn)
    columns = columns or len(parts)
    parts += [np.zeros_like(parts[0])] * (-len(parts) % columns)
    rows = [np.concatenate(parts[i : i + columns], axis=1) for i in range(0, len(parts), columns)]
    return np.concatenate(rows)
