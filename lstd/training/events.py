"""An event file for TensorBoard, written without needing TensorBoard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

_BINS = 30


class Events:
    """One file of curves, histograms and pictures; made when something is first written.

    TensorBoard follows one file of a folder at a time, so everything of a run goes through this.

    `tf.summary`'s own functions do the same, but import the tensorboard package for it.

    Args:
        folder: for the file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: Any = None

    def scalar(self, tag: str, value: Any, step: int) -> None:
        """Adds a point to a curve."""
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
