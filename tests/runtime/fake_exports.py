"""Tiny files with the signatures of an export, whose outputs tell what went in.

The state counts: the large network adds mean(image) / 255 to c and 1 to h, the small one writes
nothing. Of three rows two are detections, the worse one first and partly outside of the frame; the
third holds leftovers. The better one has c as its ymin, and its class names the network.
"""

import json
from pathlib import Path

import numpy as np
import tensorflow as tf

HEIGHT, WIDTH = 8, 6
STATE_SHAPE = (1, 2, 3, 4)
CLASS_OF = {"large": 2, "small": 1, "step": 2}
LABELS = ("dog", "cat", "cow")
METADATA = {
    "labels": list(LABELS),
    "schedule": {"default": "SKIP1", "rule": "..."},
    "postprocessing": {"max_classes_per_detection": 1},
    "format": "lstd",
}


class FakeModule(tf.Module):
    """Entry points as attributes, as the exporter's module has them."""

    def __init__(
        self,
        names: tuple[str, ...] = ("large", "small"),
        channels: int = 3,
        dtype: tf.DType = tf.float32,
    ) -> None:
        super().__init__()
        for name in names:
            setattr(self, name, entry_point(name, channels, dtype))


def entry_point(
    name: str, channels: int, dtype: tf.DType = tf.float32
) -> tf.types.experimental.GenericFunction:
    """Returns one entry point."""
    state = [tf.TensorSpec(STATE_SHAPE, tf.float32, name=key) for key in ("lstm_c", "lstm_h")]
    image = tf.TensorSpec([1, HEIGHT, WIDTH, channels], dtype, name="image")
    writes = 0.0 if name == "small" else 1.0

    @tf.function(input_signature=[image, *state], autograph=False)
    def run(image: tf.Tensor, lstm_c: tf.Tensor, lstm_h: tf.Tensor) -> dict[str, tf.Tensor]:
        image = tf.cast(image, tf.float32)
        c = lstm_c + writes * tf.reduce_mean(image) / 255.0
        h = lstm_h + writes
        best = tf.concat([tf.reshape(c[0, 0, 0, 0], [1]), [0.25, 1.0, 0.75]], axis=0)
        used = 0.0 * tf.reduce_mean(image)  # The converter drops an input that nobody reads.
        return {
            "detection_boxes": tf.stack([[-0.5, 0.5, 0.5, 1.5], best, [7.0, 7.0, 7.0, 7.0]])[None],
            "detection_classes": tf.constant([[0.0, CLASS_OF[name], 9.0]]),
            "detection_scores": tf.constant([[0.25, 0.75, 0.9]]),
            "num_detections": tf.constant([2.0]) + used,
            "lstm_c_out": c,
            "lstm_h_out": h,
        }

    return run


def raw_step(image: tf.Tensor, lstm_c: tf.Tensor, lstm_h: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns what an entry point without post-processing would."""
    total = tf.reduce_sum(image)
    outputs = {"lstm_c_out": lstm_c + total, "lstm_h_out": lstm_h + total}
    return {"raw_outputs/box_encodings": tf.reshape(total, [1, 1, 1]), **outputs}


def save(folder: Path, module: tf.Module, names: tuple[str, ...]) -> tuple[Path, Path]:
    """Writes attributes of a module to `model.tflite` and `saved_model/`; returns both."""
    saved, lite = folder / "saved_model", folder / "model.tflite"
    signatures = {name: getattr(module, name) for name in names}
    tf.saved_model.save(module, str(saved), signatures=signatures)
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(saved), signature_keys=list(signatures)
    )
    lite.write_bytes(converter.convert())
    return lite, saved


def write(
    folder: Path,
    *,
    names: tuple[str, ...] = ("large", "small"),
    channels: int = 3,
    dtype: tf.DType = tf.float32,
) -> tuple[Path, Path]:
    """Writes `model.tflite`, `model.json` and `saved_model/`; returns the first and the last."""
    lite, saved = save(folder, FakeModule(names, channels, dtype), names)
    lite.with_suffix(".json").write_text(json.dumps(METADATA))
    return lite, saved


def grey(level: int, *, height: int = 10, width: int = 20, channels: int = 3) -> np.ndarray:
    """Returns a frame of one level, 0 to 255; c grows by level / 255 under the large network."""
    return np.full((height, width, channels), level, np.uint8)
