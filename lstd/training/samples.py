"""What the model finds in a few frames at the end of each epoch: pictures and histograms."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from lstd.base.types import ClipBatch, Detections, GroundTruth
from lstd.losses import DetectionLoss
from lstd.media import draw
from lstd.ops import schedule as schedule_ops
from lstd.training.events import Events

_PICTURES = 4


class WriteSamples(keras.callbacks.Callback):
    """Writes, for the first clip of a dataset, the boxes that are found and how scores spread.

    The tags: `frames/truth`, once, and `frames/detections`, some frames of the clip with their
    boxes and the network that saw them; `scores/objects` and `scores/background`, the best score of
    each anchor that is matched with an object, and of each that is not.

    It looks at `model` at the end of an epoch, as an evaluation does: see `KeepWeights`. Pictures
    are left out where Pillow is not installed.

    Args:
        dataset: of `(ClipBatch, GroundTruth)`; its first clip is read once. Empty: nothing happens.
        events: where to.
        loss: knows which anchors are matched.
        min_score: of boxes that are drawn.
        step: returns the number of steps done.
        say: is told when pictures are left out.
    """

    def __init__(
        self,
        dataset: Iterable[Any],
        events: Events,
        *,
        loss: DetectionLoss,
        min_score: float,
        step: Callable[[], int],
        say: Callable[[str], None],
    ) -> None:
        super().__init__()
        self.dataset = dataset
        self.events = events
        self.loss = loss
        self.min_score = min_score
        self.step = step
        self.say = say
        self._sample: tuple[ClipBatch, GroundTruth] | None = None
        self._looked = False

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks and writes."""
        is_first = not self._looked
        if is_first:
            self._looked, self._sample = True, _first_clip(self.dataset)
        if self._sample is None:
            return
        clip, truth = self._sample
        networks = self._networks(clip)
        predictions = self.model(clip, networks=networks, training=False).predictions
        step = self.step()
        self._write_scores(truth, tf.sigmoid(predictions.class_logits[..., 1:]), step)
        detections = self.model.detect(predictions)
        found = [Detections(*(np.asarray(part[0, t]) for part in detections)) for t in _shown(clip)]
        try:
            if is_first:
                self._write_pictures("frames/truth", clip, _as_detections(truth, clip), None, step)
            self._write_pictures("frames/detections", clip, found, networks, step)
        except ImportError as error:
            if is_first:
                self.say(f"no pictures for TensorBoard: {error}")
        self.events.flush()

    def _networks(self, clip: ClipBatch) -> np.ndarray | None:
        """Returns int `[1, T]`, None for a single backbone."""
        if len(self.model.networks) == 1:
            return None
        numbers = np.maximum(np.asarray(clip.frame_index), 0)
        return np.asarray(schedule_ops.networks_of(self.model.eval_schedule, numbers), np.int32)

    def _write_scores(self, truth: GroundTruth, scores: tf.Tensor, step: int) -> None:
        best = np.asarray(tf.reduce_max(scores, axis=-1))  # [1, T, A]
        is_object = np.asarray(self.loss.targets(truth).matches) >= 0
        self.events.histogram("scores/objects", best[is_object], step)
        self.events.histogram("scores/background", best[~is_object], step)

    def _write_pictures(
        self,
        tag: str,
        clip: ClipBatch,
        boxes: list[Detections],
        networks: np.ndarray | None,
        step: int,
    ) -> None:
        labels = self.model.labels
        pictures = []
        for frame, detections in zip(_shown(clip), boxes, strict=True):
            pixels = np.clip(np.asarray(clip.frames[0, frame]), 0, 255).astype(np.uint8)
            badge = None if networks is None else self.model.networks[networks[0, frame]]
            picture = draw.annotate(
                pixels,
                detections,
                labels,
                network=badge,
                min_score=self.min_score,
                scale=None,
                with_scores=tag != "frames/truth",
            )
            pictures.append(picture)
        self.events.pictures(tag, pictures, step)


def _first_clip(dataset: Iterable[Any]) -> tuple[ClipBatch, GroundTruth] | None:
    """Returns the first clip as a batch of one, None if there is none."""
    for clip, truth in dataset:
        return (
            ClipBatch(*(None if part is None else part[:1] for part in clip)),
            GroundTruth(*(None if part is None else part[:1] for part in truth)),
        )
    return None


def _shown(clip: ClipBatch) -> list[int]:
    """Returns the frames of the clip that are drawn, evenly spread."""
    frames = int(clip.frames.shape[1])
    return np.unique(np.linspace(0, frames - 1, _PICTURES).astype(int)).tolist()


def _as_detections(truth: GroundTruth, clip: ClipBatch) -> list[Detections]:
    """Returns the true boxes of the frames that are drawn."""
    found = []
    for frame in _shown(clip):
        classes = np.asarray(truth.classes[0, frame])
        real = classes >= 0
        boxes = np.asarray(truth.boxes[0, frame])[real]
        ones = np.ones(len(boxes), np.float32)
        found.append(Detections(boxes, ones, classes[real], np.int32(len(boxes))))
    return found
