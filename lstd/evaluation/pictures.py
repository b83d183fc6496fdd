"""Frames of an evaluation as pictures: side by side in a video, and the worst ones in a sheet."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from lstd.base.types import ClipBatch, Detections, GroundTruth
from lstd.evaluation import arrays, clip_frames
from lstd.evaluation.clip_frames import Frame
from lstd.evaluation.metrics import vid
from lstd.evaluation.metrics.frame_metric import FrameMetric
from lstd.evaluation.objects import detections_of, frame_id_of, ground_truth_of
from lstd.media import contact_sheet, draw
from lstd.media.video_writer import VideoWriter


def side_by_side(
    path: str | os.PathLike[str],
    dataset: Iterable[tuple[ClipBatch, GroundTruth]],
    found: Mapping[str, FrameMetric],
    *,
    columns: int | None = None,
    fps: float,
    min_score: float = 0.5,
) -> None:
    """Writes a video of what several schedules, or several models, found in the same frames.

    Args:
        path: of the .mp4; it appears when it is whole.
        dataset: the frames, as they were evaluated, one video after the other.
        found: by the panel's name, a metric that has the detections. It ends with the first frame
            that they do not have.
        columns: see `SideBySide`, as are the following.
        fps: frames a second.
        min_score: detections below it are not drawn.

    Raises:
        ValueError: as `SideBySide` does.
        OSError: the file cannot be written.
    """
    labels = next(iter(found.values())).labels
    with SideBySide(
        path, labels, list(found), columns=columns, fps=fps, min_score=min_score
    ) as video:
        for frame in clip_frames.true_frames(dataset):
            name = frame_id_of(frame.frame_id)
            if not all(name in metric.detections for metric in found.values()):
                return
            drawn = {panel: metric.detections[name]._asdict() for panel, metric in found.items()}
            video(frame._replace(detections=drawn))


class SideBySide(contextlib.AbstractContextManager["SideBySide"]):
    """A video in the making that shows each frame in several panels; a watcher.

    A panel is a schedule, or a model under a schedule. Over it stands its name; in it the network
    that ran is marked. The frames of all videos follow one another, so the dataset must show one
    video after the other (one lane).

    Args:
        path: of the .mp4; it appears when the block ends well.
        labels: names of the classes.
        names: of the panels, from left to right, row by row: keys of a frame's detections.
        columns: panels in a row; None: all.
        fps: frames a second.
        min_score: detections below it are not drawn.

    Raises:
        ValueError: a frame of another video comes between, or of another size.
        OSError: the file cannot be written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        labels: Sequence[str],
        names: Sequence[str],
        *,
        columns: int | None = None,
        fps: float,
        min_score: float = 0.5,
    ) -> None:
        self._path, self._labels, self._names = path, tuple(labels), tuple(names)
        self._columns, self._fps, self._min_score = columns, fps, min_score
        self._files = contextlib.ExitStack()
        self._writer: VideoWriter | None = None
        self._last = ("", -1)
        self._ended: set[str] = set()

    def __exit__(self, *error: Any) -> bool | None:
        return self._files.__exit__(*error)

    def __call__(self, frame: Frame) -> None:
        """Draws a frame."""
        video, index = frame_id_of(frame.frame_id)
        if video in self._ended:
            raise ValueError(
                f"{self._path}: videos come in turns ({video!r} again); for a video to watch set "
                "data.evaluation.batch_size=1"
            )
        if video != self._last[0] and self._last[1] >= 0:
            self._ended.add(self._last[0])
        self._last = (video, index)
        picture = panels(
            frame, self._labels, self._names, columns=self._columns, min_score=self._min_score
        )
        if self._writer is None:
            height, width = picture.shape[:2]
            self._writer = self._files.enter_context(
                VideoWriter(self._path, fps=self._fps, width=width, height=height)
            )
        self._writer.write(picture)


class WorstFrames:
    """The frames with the most mistakes, of one schedule; a watcher.

    A mistake is a true object that is not found and a detection of at least `min_score` that finds
    none, by the rules of `vid/ap50`. Equal ones: the first. Frames that follow one another look
    alike, so of each stretch of a video there is only the worst.

    Args:
        labels: names of the classes.
        schedule: whose detections are looked at.
        count: how many frames to keep.
        min_score: detections below it are neither counted nor drawn.
        stretch: frames, of which one is shown at most.
    """

    def __init__(
        self,
        labels: Sequence[str],
        schedule: str,
        *,
        count: int = 12,
        min_score: float = 0.5,
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

    def sheet(self, *, columns: int = 3) -> np.ndarray | None:
        """Returns the frames in one picture, uint8 RGB; None where no frame has a mistake.

        True boxes are thin and white under the detections.
        """
        chosen = self.frames()
        if not chosen:
            return None
        pictures, captions = [], []
        for frame, number in chosen:
            pictures.append(
                panels(frame, self.labels, [self.schedule], min_score=self.min_score, named=False)
            )
            video, index = frame_id_of(frame.frame_id)
            captions.append(f"{video} {index}: {number} mistake{'s' * (number > 1)}")
        return contact_sheet.contact_sheet(pictures, captions, columns=columns)


def mistakes(frame: Frame, schedule: str, num_classes: int, *, min_score: float) -> tuple[int, int]:
    """Returns how many true objects are missed, and how many detections find none."""
    name = frame_id_of(frame.frame_id)
    true = ground_truth_of(name, frame.ground_truth, num_classes=num_classes)
    found = detections_of(name, frame.detections[schedule], num_classes=num_classes)
    flat = arrays.flatten({name: true}, {name: found})
    outcomes = vid.outcomes_of(flat, np.ones((1, len(true.boxes)), bool))
    certain = flat.scores >= min_score
    hits = int(((outcomes.true_of >= 0) & certain).sum())
    return len(true.boxes) - hits, int(certain.sum()) - hits


def panels(
    frame: Frame,
    labels: Sequence[str],
    names: Sequence[str],
    *,
    columns: int | None = None,
    min_score: float,
    named: bool = True,
) -> np.ndarray:
    """Returns the frame once for each name, side by side, uint8 RGB.

    Args:
        frame: with its image.
        labels: names of the classes.
        names: keys of its detections, such as schedules: from left to right, row by row.
        columns: panels in a row; None: all.
        min_score: detections below it are not drawn.
        named: whether the name stands over each.
    """
    image = np.clip(np.rint(np.asarray(frame.image)), 0, 255).astype(np.uint8)
    image = _with_truth(image, frame.ground_truth["boxes"])
    height, width = image.shape[:2]
    scale = draw.readable_scale(height, width)
    parts = []
    for name in names:
        found: dict[str, Any] = frame.detections[name]
        boxes = np.asarray(found["boxes"], np.float32) / [height, width, height, width]
        detections = Detections(
            boxes.astype(np.float32),
            np.asarray(found["scores"], np.float32),
            np.asarray(found["classes"], np.int32),
            np.array(len(found["scores"]), np.int32),
        )
        drawn = draw.annotate(
            image,
            detections,
            labels,
            network=found.get("network"),
            min_score=min_score,
            scale=scale,
        )
        parts.append(_titled(drawn, name) if named else drawn)
    columns = columns or len(parts)
    parts += [np.zeros_like(parts[0])] * (-len(parts) % columns)
    rows = [np.concatenate(parts[i : i + columns], axis=1) for i in range(0, len(parts), columns)]
    return np.concatenate(rows)


def _with_truth(image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Returns a copy with thin white boxes where true objects are."""
    image = np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image.copy()
    height, width = image.shape[:2]
    for ymin, xmin, ymax, xmax in np.rint(np.asarray(boxes)).astype(int).reshape(-1, 4):
        top, bottom = np.clip([ymin, ymax - 1], 0, height - 1)
        left, right = np.clip([xmin, xmax - 1], 0, width - 1)
        image[[top, bottom], left : right + 1] = 255
        image[top : bottom + 1, [left, right]] = 255
    return image


def _titled(image: np.ndarray, title: str) -> np.ndarray:
    """Returns the picture with a strip above that holds the title."""
    from PIL import Image, ImageDraw, ImageFont

    strip = Image.new("RGB", (image.shape[1], 24), (24, 28, 34))
    font = ImageFont.load_default(size=15)
    ImageDraw.Draw(strip).text((8, 3), title, fill=(240, 242, 245), font=font)
    return np.concatenate([np.asarray(strip), image])
