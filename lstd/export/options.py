"""The options of an export, checked in one place for all who export."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lstd.base import label_map
from lstd.base.export_names import CLIP, STATE_TYPES
from lstd.config import schedule_names
from lstd.config.config import ExportConfig
from lstd.export.form import Form
from lstd.export.lite.frame_step import CELLS, Cell
from lstd.export.postprocessing_op import PostprocessingOptions

QUANTIZATIONS = ("none", "dynamic", "float16", "int8")
_CHOICES = {
    "signature": ("streaming", CLIP),
    "input_type": ("float32", "uint8"),
    "network": ("both", "large", "small"),
    "quantization": QUANTIZATIONS,
    "cell": (None, *CELLS),
    "state_type": (None, *STATE_TYPES),
}
_COUNTS = ("max_detections", "max_classes_per_detection", "detections_per_class")
_OF_SUPPRESSION = (*_COUNTS, "use_regular_nms")
_LEAST = {
    **dict.fromkeys((*_COUNTS, "unroll_length", "representative_frames"), 1),
    "check_frames": 3,
}
OF_LITE = (
    *("cell", "quantization", "state_type", "representative_data", "representative_frames"),
    "metric",
)
"""What only a `.tflite` can have; a SavedModel is in float32."""
_DEFAULTS = ExportConfig()

Metric = Callable[[tuple[str, ...]], Any]
"""From the class names to what has `add(frame_id, ground_truth, detections)` and `result()`."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """All options of an export; None: not set.

    Attributes:
        max_detections: anchors that are returned at most; 10.
        max_classes_per_detection: classes returned for each, in fast mode; 1.
        detections_per_class: boxes kept for one class, in regular mode; 100.
        use_regular_nms: each class is suppressed by itself, not all together.
        postprocessing: False: raw output and anchors instead of detections.
        signature: "streaming": one frame and the state; "clip": `input_video_tensor`, a clip of
            fixed length, unrolled by the schedule, as the original exports it, and the state.
        input_type: dtype of the frames, "float32" or "uint8", 0 to 255 in both.
        network: "both", or the only one to export, "large" or "small".
        unroll_length: frames of a clip; 4.
        schedule: the one that the JSON recommends, and that a clip is unrolled by; the model's for
            evaluation.
        labels: class names for the JSON; empty: the model's.
        check_frames: frames that the self-check runs at least.
        quantization: of the `.tflite`: "none", "float16", "dynamic" or "int8", see
            `lstd.export.conversion`.
        representative_data: frames of the user's own, for a quantisation: a dataset as
            `make_dataset` gives it, clips `[T, H, W, C]`, or the frames `[H, W, C]` of one video,
            uint8 or float32 in [0, 255]. They run through the model by the schedule with the state
            carried, in the form of a clip T at a time: int8 takes the ranges of all values from
            them, and needs them; and the report says how far the file is from the model on them.
        representative_frames: how many of them are used at most, from the first on; 100.
        metric: a factory such as `lstd.evaluation.CocoMetric`. Where the data has ground truth,
            the report has its numbers, of the model and of the file.
        cell: of the `.tflite`: "fused" has the memory in few operations, the fastest with XNNPACK;
            "separate" has it group by group, for runtimes whose grouped convolutions are slow, and
            in clips. The weights are the same. None: fused, in a clip separate.
        state_type: in which the state goes in and out of the `.tflite` of a model trained in 8
            bits: "int8" or "float32". None: int8. That of any other file is float32.

    Raises:
        ValueError: a value is out of range or contradicts another; the message names them.
    """

    max_detections: int | None = None
    max_classes_per_detection: int | None = None
    detections_per_class: int | None = None
    use_regular_nms: bool = False
    postprocessing: bool = True
    signature: str = "streaming"
    input_type: str = "float32"
    network: str = "both"
    unroll_length: int | None = None
    schedule: str | None = None
    labels: tuple[str, ...] = ()
    check_frames: int = 4
    quantization: str = "none"
    representative_data: Any = None
    representative_frames: int | None = None
    metric: Metric | None = None
    cell: Cell | None = None
    state_type: str | None = None

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                names = ", ".join(filter(None, allowed))
                raise ValueError(f"{name} must be one of {names}, got {getattr(self, name)!r}")
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < least):
                number = f"a whole number of at least {least}"
                raise ValueError(f"{name} must be {number}, got {value!r}")
        if self.schedule is not None:
            schedule_names.check(self.schedule)
        given = ", ".join(name for name in _OF_SUPPRESSION if getattr(self, name))
        is_clip, data = self.signature == CLIP, self.representative_data is not None
        for contradiction, sentence in (
            (
                given and not self.postprocessing,
                f"{given}: raw output is not suppressed; leave them out",
            ),
            (
                self.detections_per_class is not None and not self.use_regular_nms,
                "detections_per_class has an effect only with use_regular_nms; give both or none",
            ),
            (
                self.unroll_length is not None and not is_clip,
                "unroll_length is the length of a clip, but signature 'streaming' takes one frame; "
                "leave it out, or ask for signature 'clip'",
            ),
            (
                is_clip and self.cell == "fused",
                "cell 'fused' and signature 'clip' contradict each other: a clip has the memory as "
                "the layers are, cell 'separate'; leave one of them out",
            ),
            (
                self.quantization == "none" and data,
                "representative_data belongs to a quantization, and quantization is 'none'; leave "
                "the data out, or choose 'dynamic', 'float16' or 'int8'",
            ),
            (
                self.representative_frames is not None and not data,
                "representative_frames counts those of representative_data, which is missing; give "
                "both or none",
            ),
        ):
            if contradiction:
                raise ValueError(sentence)

    def for_model(self, model: Any) -> ExportOptions:
        """Returns the options as they apply to a model, one trained in 8 bits or another.

        Raises:
            ValueError: they do not apply to it.
        """
        data, is_clip = self.representative_data is not None, self.signature == CLIP
        trained = "a model trained in 8 bits (model.int8)"
        if not is_int8(model):
            if self.quantization == "int8" and not data:
                raise ValueError(
                    "quantization 'int8' needs representative_data: TFRecords, a video or images "
                    "of your own, from which the ranges of all values are measured"
                )
            if self.state_type == "int8":
                raise ValueError(f"state_type 'int8' is for {trained}; leave it out")
            return dataclasses.replace(self, state_type="float32")
        for is_wrong, sentence in (
            (
                self.quantization not in ("none", "int8"),
                f"quantization {self.quantization!r}: {trained} becomes int8; leave it out",
            ),
            (data, f"representative_data: {trained} has ranges of its own; leave it out"),
            (is_clip, f"signature 'clip': {trained} is exported as 'streaming' only"),
            (
                self.cell == "separate",
                f"cell 'separate': {trained} has the memory 'fused', as it was trained",
            ),
        ):
            if is_wrong:
                raise ValueError(sentence)
        state_type = self.state_type or "int8"
        return dataclasses.replace(self, quantization="int8", state_type=state_type)

    def form_for(self, model: Any) -> Form:
        """Returns the form of a model's entry points; a ValueError where it has no such network."""
        if self.network == "small" and len(model.networks) == 1:
            raise ValueError(
                "network: 'small' was asked for, but this model has one backbone, which counts as "
                "large; leave it out"
            )
        if self.schedule is not None:
            schedule_names.check_follows(self.schedule, model.networks)
        if self.signature != CLIP:
            return Form(self.signature, self.input_type, self.network)
        asked = self.schedule or default_schedule(model)
        only = self.network.upper()
        if only == "BOTH" and asked.startswith("RANDOM"):
            raise ValueError(
                f"schedule: a clip is unrolled when it is exported, so {asked!r} cannot draw anew "
                "for each; take LARGE, SMALL or SKIPk"
            )
        same = self.schedule in (None, only) or (only, self.schedule) == ("LARGE", "SKIP0")
        if only != "BOTH" and not same:
            raise ValueError(
                f"schedule {self.schedule!r} and network {self.network!r} contradict each other: a "
                f"clip of the {self.network} network alone runs {only}; leave one of them out"
            )
        return Form(self.signature, self.input_type, self.network, self.unroll_length or 4)

    @property
    def cell_form(self) -> Cell:
        """The form of the memory in the `.tflite`."""
        return self.cell or ("separate" if self.signature == CLIP else "fused")


def suppression_for(model: Any, asked: Any = _DEFAULTS) -> PostprocessingOptions:
    """Returns the options of the suppression, completed by the model's own values.

    `asked` is `ExportOptions`, an `ExportConfig` or `PostprocessingOptions`.

    Raises:
        ValueError: a value is out of range for this model.
    """
    values = {name: getattr(asked, name) or getattr(_DEFAULTS, name) for name in _OF_SUPPRESSION}
    found = PostprocessingOptions(
        num_classes=int(model.num_classes),
        score_threshold=float(model.postprocessing.score_threshold),
        iou_threshold=float(model.postprocessing.iou_threshold),
        scale_factors=tuple(model.box_scale_factors),
        **values,
    )
    for name, most, things in (
        ("max_detections", int(model.anchors.shape[0]), "anchors"),
        ("max_classes_per_detection", found.num_classes, "classes"),
    ):
        if getattr(found, name) > most:
            raise ValueError(
                f"{name} must be at most {most}, the number of the model's {things}, got "
                f"{getattr(found, name)}"
            )
    if found.use_regular_nms and found.max_classes_per_detection > 1:
        raise ValueError(
            "use_regular_nms returns every class as a detection of its own, so "
            f"max_classes_per_detection must be 1, got {found.max_classes_per_detection}"
        )
    return found


def is_int8(model: Any) -> bool:
    """Returns whether a model was made to be trained in 8 bits."""
    return bool(getattr(getattr(model, "config", None), "int8", False))


def default_schedule(model: Any) -> str:
    """Returns the model's schedule for evaluation, LARGE where there is one backbone."""
    return "LARGE" if len(model.networks) == 1 else model.eval_schedule


def read_labels(given: str) -> tuple[str, ...]:
    """Returns the class names in a file that `label_map.load` reads, else those in `"cat,dog"`.

    Raises:
        ValueError: a name is empty or stands there twice, or the file is no label map, or a folder.
    """
    if not given:
        return ()
    path = Path(given)
    if path.is_dir() and len(path.parts) > 1:  # "cat" is a class, whatever stands in this folder
        raise ValueError(f"labels: {given} is a folder, expected a file or names")
    if path.is_file():
        return label_map.load(path)
    if "," not in given and path.suffix:
        raise ValueError(f"labels: there is no file {given}")
    labels = tuple(name.strip() for name in given.split(","))
    twice = sorted(name for name in set(labels) if labels.count(name) > 1)
    if twice:
        raise ValueError(f"labels: {', '.join(twice)} stands in {given} more than once")
    return label_map.checked(labels, where="labels")
