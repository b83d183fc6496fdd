"""What TensorBoard shows of a run: curves, histograms and pictures."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from lstd.base.types import MIN_SCORE, ClipBatch, Detections, GroundTruth
from lstd.losses import DetectionLoss
from lstd.media import draw
from lstd.ops import schedule as schedule_ops
from lstd.training.callbacks import RunCallback

_BINS = 30
_PICTURES = 4


class Events:
    """One file of curves, histograms and pictures; made when something is first written.

    TensorBoard follows one file of a folder at a time, so everything of a run goes through this.
    `tf.summary`'s own functions do the same, but import the tensorboard package for it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: Any = None

    def scalar(self, tag: str, value: Any, step: int) -> None:
        """Adds a number."""
        self._write("scalars", tag, tf.cast(value, tf.float32), step)

    def histogram(self, tag: str, values: np.ndarray, step: int) -> None:
        """Adds a histogram of numbers in [0, 1], any shape."""
        counts, edges = np.histogram(values, _BINS, (0.0, 1.0))
        rows = np.stack([edges[:-1], edges[1:], counts], axis=1)
        self._write("histograms", tag, tf.constant(rows, tf.float64), step)

    def pictures(self, tag: str, pictures: Sequence[np.ndarray], step: int) -> None:
        """Adds pictures, uint8 `[H, W, 3]`, all of one size and at least one."""
        height, width = pictures[0].shape[:2]
        encoded = [tf.io.encode_png(picture) for picture in pictures]
        self._write("images", tag, tf.stack([str(width), str(height), *encoded]), step)

    def flush(self) -> None:
        """Lets TensorBoard see what was written."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Ends the file; what is written later begins another."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _write(self, plugin: str, tag: str, value: tf.Tensor, step: int) -> None:
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self.folder))
        metadata = tf.compat.v1.SummaryMetadata()
        metadata.plugin_data.plugin_name = plugin
        with self._writer.as_default():
            tf.summary.write(tag, value, step=step, metadata=metadata)


class WriteScalars(RunCallback):
    """Writes the losses every few steps and at the end of an epoch, and what the epoch measured.

    The tags: `train/<part of the loss>` and `train/gradient_norm`, their means since the point
    before; `train/learning_rate`; and at the end of an epoch `evaluation/<name>` for what the logs
    call `val_<name>`. All are placed by the number of the step. `before`: steps of the first epoch
    that were done before.
    """

    def __init__(self, events: Events, *, every: int = 100, before: int = 0) -> None:
        super().__init__()
        self.events, self.every = events, every
        self._done = before

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._count = self._written = 0  # the means in the logs begin anew
        self._means: dict[str, float] = {}

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._count, self._logs = self._done + batch + 1, logs or {}
        if self._count % self.every == 0:
            self._write_losses()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._count > self._written:
            self._write_losses()
        for name, value in (logs or {}).items():
            if name.startswith("val_"):
                self.events.scalar("evaluation/" + name.removeprefix("val_"), value, self.step)
        self.events.flush()
        self._done = 0

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.events.close()

    def _write_losses(self) -> None:
        """Writes means since the point before, from means since the beginning of the epoch."""
        step = self.step
        means = {name: float(value) for name, value in self._logs.items()}
        for name, mean in means.items():
            total = mean * self._count - self._means.get(name, 0.0) * self._written
            self.events.scalar("train/" + name, total / (self._count - self._written), step)
        rate = float(self.model.optimizer.learning_rate.numpy())
        self.events.scalar("train/learning_rate", rate, step)
        self._written, self._means = self._count, means


class WriteSamples(keras.callbacks.Callback):
    """Writes, for the first clip of a dataset, the boxes that are found and how scores spread.

    The tags: `frames/truth`, once, and `frames/detections`, some frames of the clip with their
    boxes and the network that saw them; `scores/objects` and `scores/background`, the best score of
    each anchor that `loss` matches with an object, and of each other. It looks at `model` at the
    end of an epoch, as an evaluation does: see `KeepWeights`. Pictures are left out without Pillow.
    """

    def __init__(
        self,
        dataset: Iterable[Any],
        events: Events,
        *,
        loss: DetectionLoss,
        min_score: float | None,
        step: Callable[[], int],
        say: Callable[[str], None],
    ) -> None:
        super().__init__()
        self.dataset, self.events, self.loss = dataset, events, loss
        self.min_score, self.step, self.say = min_score, step, say
        self._sample: tuple[ClipBatch, GroundTruth] | None = None
        self._looked = False

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        is_first, self._looked = not self._looked, True
        if is_first:
            self._sample = next(map(_first_clip, self.dataset), None)
        if self._sample is None:
            return
        clip, truth = self._sample
        networks = None
        if len(self.model.networks) > 1:
            numbers = np.maximum(np.asarray(clip.frame_index), 0)
            networks = np.asarray(
                schedule_ops.networks_of(self.model.eval_schedule, numbers), np.int32
            )
        predictions = self.model(clip, networks=networks, training=False).predictions
        step = self.step()
        best = np.asarray(tf.reduce_max(tf.sigmoid(predictions.class_logits[..., 1:]), axis=-1))
        is_object = np.asarray(self.loss.targets(truth).matches) >= 0
        self.events.histogram("scores/objects", best[is_object], step)
        self.events.histogram("scores/background", best[~is_object], step)
        found, least = self.model.detect(predictions), self.min_score
        if least is None:
            least = (logs or {}).get("val_min_score", MIN_SCORE)
        try:
            if is_first:
                pictures = self._drawn(clip, _as_detections(truth), None, with_scores=False)
                self.events.pictures("frames/truth", pictures, step)
            pictures = self._drawn(clip, found, networks, min_score=least)
            self.events.pictures("frames/detections", pictures, step)
        except ImportError as error:
            if is_first:
                self.say(f"no pictures for TensorBoard: {error}")
        self.events.flush()

    def _drawn(
        self, clip: ClipBatch, boxes: Detections, networks: np.ndarray | None, **drawn: Any
    ) -> list[np.ndarray]:
        """Returns a few frames of the clip, evenly spread, with their boxes; see `annotate`."""
        last = int(clip.frames.shape[1]) - 1
        return [
            draw.annotate(
                np.clip(np.asarray(clip.frames[0, frame]), 0, 255).astype(np.uint8),
                Detections(*(np.asarray(part[0, frame]) for part in boxes)),
                self.model.labels,
                network=None if networks is None else self.model.networks[networks[0, frame]],
                scale=None,
                **drawn,
            )
            for frame in np.unique(np.linspace(0, last, _PICTURES).astype(int))
        ]


def _first_clip(batch: tuple[ClipBatch, GroundTruth]) -> tuple[ClipBatch, GroundTruth]:
    return tf.nest.map_structure(lambda part: None if part is None else part[:1], batch)


def _as_detections(truth: GroundTruth) -> Detections:
    """Returns true boxes as if they had been found; rows of padding have a score below 0."""
    classes = np.asarray(truth.classes)
    scores = np.where(classes >= 0, 1.0, -1.0).astype(np.float32)
    return Detections(truth.boxes, scores, classes, np.full(classes.shape[:-1], classes.shape[-1]))
