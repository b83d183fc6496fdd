"""A SavedModel of ours as the truth about a `.tflite` that is made of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from lstd.base import documents
from lstd.export import reference
from lstd.export.form import Form
from lstd.export.names import CLIP, RAW_OUTPUTS
from lstd.export.postprocessing_op import PostprocessingOptions
from lstd.export.saved_model import METADATA


class DescribedExport:
    """What metadata say of an export.

    Attributes:
        facts: the metadata.
        form: of the entry points.
        entry_points: their names, and the network that each of them runs.
        options: of the post-processing; None: raw output.
        image_shape: (H, W, C).
        state_shape: (1, h, w, D).
        quantization: how the weights are kept, "none" for float32.
        labels: names of the classes.
        schedule: that is recommended, or that a clip is unrolled by.

    Raises:
        ValueError: the metadata are not those of an export of this version.
    """

    def __init__(self, facts: dict[str, Any], *, where: str) -> None:
        try:
            image, state = facts["input"], facts["state"]["shape"]
            self.facts = facts
            self.form = Form(**facts["form"], input_type=image["dtype"])
            self.entry_points: Mapping[str, str] = {
                name: entry_point["network"] for name, entry_point in facts["entry_points"].items()
            }
            self.options = _options(facts)
            self.image_shape = (int(image["height"]), int(image["width"]), int(image["channels"]))
            self.state_shape = (int(state[0]), int(state[1]), int(state[2]), int(state[3]))
            self.quantization = str(facts["quantization"])
            self.labels = tuple(map(str, facts["labels"]))
            self.schedule = str(facts["schedule"]["default"])
        except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
            raise ValueError(
                f"{where}: these are not the metadata of an export of this version of lstd "
                f"({type(error).__name__}: {error}); export it again"
            ) from None

    def num_classes(self, signatures: Mapping[str, Any]) -> int:
        """Returns the number of classes, of raw output from its shape."""
        if self.options is not None:
            return int(self.options.num_classes)
        outputs: Any = next(iter(signatures.values()), {"outputs": {}}).get("outputs", {})
        return int(outputs.get(RAW_OUTPUTS[1], {}).get("shape", [1])[-1]) - 1


class LoadedExport(DescribedExport):
    """The entry points of a SavedModel of ours.

    Args:
        folder: of the SavedModel, with `model.json` in it.

    Raises:
        ValueError: it is no SavedModel, or none that `lstd-export` of this version wrote.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        folder = Path(folder)
        super().__init__(read_facts(folder), where=str(folder / METADATA))
        try:
            self._loaded = tf.saved_model.load(str(folder))
        except (OSError, ValueError, tf.errors.OpError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ValueError(f"{folder}: TensorFlow cannot load it: {reason}") from None
        missing = [name for name in self.entry_points if name not in self._loaded.signatures]
        missing += [f"raw_{n}" for n in self.entry_points if not hasattr(self._loaded, f"raw_{n}")]
        if missing:
            raise ValueError(
                f"{folder}: it has no {', '.join(missing)}, which its {METADATA} promises"
            )

    def run(self, entry_point: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the outputs of one entry point in NumPy."""
        return reference.in_numpy(self._loaded.signatures[entry_point], inputs)

    def raw_outputs(self, entry_point: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the outputs without post-processing in NumPy; frames are float32."""
        return reference.in_numpy(getattr(self._loaded, f"raw_{entry_point}"), inputs)


def read_facts(folder: Path) -> dict[str, Any]:
    """Returns the metadata in the folder of a SavedModel.

    Raises:
        ValueError: it is no SavedModel, or has none.
    """
    if not (folder / "saved_model.pb").is_file():
        what = "not a SavedModel: it has no saved_model.pb" if folder.is_dir() else "no such folder"
        raise ValueError(f"{folder}: {what}")
    path = folder / METADATA
    if not path.is_file():
        raise ValueError(
            f"{folder}: no {METADATA} in this SavedModel, so it is not one that lstd-export wrote"
        )
    return documents.read_json(path, kind=dict)


def with_schedule(facts: dict[str, Any], schedule: dict[str, str]) -> dict[str, Any]:
    """Returns facts with another recommended schedule.

    Raises:
        ValueError: the export is a clip, which has its schedule built in.
    """
    if CLIP in facts["entry_points"]:
        raise ValueError(
            f"schedule: this SavedModel is a clip, unrolled by {facts['schedule']['default']}; "
            "export it again for another schedule"
        )
    return {**facts, "schedule": schedule}


def _options(facts: dict[str, Any]) -> PostprocessingOptions | None:
    values = facts["postprocessing"]
    if not values["included"]:
        return None
    return PostprocessingOptions(
        num_classes=values["num_classes"],
        max_detections=values["max_detections"],
        max_classes_per_detection=values["max_classes_per_detection"],
        detections_per_class=values["detections_per_class"],
        use_regular_nms=values["use_regular_nms"],
        score_threshold=values["nms_score_threshold"],
        iou_threshold=values["nms_iou_threshold"],
        scale_factors=tuple(values[f"{side}_scale"] for side in "yxhw"),
    )
