"""The JSON beside and inside a `.tflite`: everything an app needs to know to run it.

`format_version` counts changes that a reader must know about; the values describe the rest.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from lstd.base import tflite_metadata
from lstd.base.export_names import (
    DETECTION_OUTPUTS,
    RAW_OUTPUTS,
    SINGLE,
    STATE_INPUTS,
    STATE_OUTPUTS,
)
from lstd.base.version import __version__, installed
from lstd.config import schedule_names
from lstd.export import compare, file_format, postprocessing_op
from lstd.export.compare import Step
from lstd.export.form import Described, Form, Reference
from lstd.export.module import ExportModule
from lstd.export.postprocessing_op import PostprocessingOptions

FORMAT_VERSION = 2
_POSITIONS = ("subgraph", "position")
_PROSE = {
    *("classes", "boxes", "initial", "normalization", "rule", "suppression", "rows"),
    *("class_predictions", "box_encodings", "anchors"),
}
"""Facts for people, which another version may word otherwise."""


class DescribedExport(Described):
    """What metadata, the `facts`, say of an export; `quantization` is "none" for float32.

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
            self.options = _options_of(facts["postprocessing"])
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


def _options_of(told: dict[str, Any]) -> PostprocessingOptions | None:
    if not told["included"]:
        return None
    names = ("num_classes", "max_detections", "max_classes_per_detection", "detections_per_class")
    return PostprocessingOptions(
        **{name: told[name] for name in (*names, "use_regular_nms")},
        score_threshold=told["nms_score_threshold"],
        iou_threshold=told["nms_iou_threshold"],
        scale_factors=tuple(told[name] for name in postprocessing_op.SCALES),
    )


def facts_of(module: ExportModule, *, labels: tuple[str, ...]) -> dict[str, Any]:
    """Returns the facts that hold for every file made from a module."""
    y_scale, x_scale, h_scale, w_scale = module.model.box_scale_factors
    return {
        **_facts_of_any(module),
        "labels": list(labels),
        "classes": "detection_classes + class_offset is the index in labels; background is not one",
        "entry_points": _entry_points(module),
        "schedule": _schedule(module),
        "min_score": getattr(module.model, "min_score", None),
        "postprocessing": _postprocessing(module),
        "box_scale_factors": {"y": y_scale, "x": x_scale, "height": h_scale, "width": w_scale},
        "boxes": "ymin, xmin, ymax, xmax in parts of the frame, not clipped to [0, 1]",
        "quantization": "none",
        "cell": "separate",
    }


def _facts_of_any(described: Described) -> dict[str, Any]:
    """Returns the facts that follow from the shapes and the form alone."""
    height, width, channels = described.image_shape
    return {
        "format": tflite_metadata.FORMAT,
        "format_version": FORMAT_VERSION,
        "class_offset": 0,
        "form": {
            name: getattr(described.form, name)
            for name in ("signature", "network", "unroll_length")
        },
        "input": {
            "name": described.form.image_input,
            "height": height,
            "width": width,
            "channels": channels,
            "color": "RGB" if channels == 3 else "grey",
            "dtype": described.form.input_type,
            "range": [0, 255],
            "shape": list(described.input_shape),
            "normalization": "inside the model; give raw values",
        },
        "state": {
            "inputs": list(STATE_INPUTS),
            "outputs": list(STATE_OUTPUTS),
            "shape": list(described.state_shape),
            "dtype": "float32",
            "initial": "zeros, at the first frame of every video",
        },
    }


def _state_type(content: bytes) -> dict[str, Any]:
    """Returns the facts about the numbers of the state in a file.

    Raises:
        ValueError: they have several scales, so that no entry point could read another one's.
    """
    levels = {
        point.levels_of(side[name])
        for point in file_format.entry_points(content).values()
        for side, names in ((point.inputs, STATE_INPUTS), (point.outputs, STATE_OUTPUTS))
        for name in names
        if name in side
    }
    if len(levels) > 1:
        raise ValueError(f"the state has several scales and zero points: {levels}")
    for scale, zero_point in filter(None, levels):
        return {"dtype": "int8", "scale": float(scale), "zero_point": zero_point}
    return {"dtype": "float32"}


def contradictions(told: dict[str, Any], described: DescribedExport, content: bytes) -> list[str]:
    """Returns where metadata differ from the file that they are in, a phrase each."""
    points = file_format.signatures(content)
    expected = {**_facts_of_any(described), "entry_points": points}
    expected["state"] |= _state_type(content)
    found = list(_differences(told, expected))
    first: dict[str, Any] = next(iter(points.values()), {"inputs": {}, "outputs": {}})
    for section, name in (("input", described.form.image_input), ("state", STATE_INPUTS[0])):
        for key in ("shape", "dtype"):
            held = first["inputs"].get(name, {}).get(key)
            if told[section].get(key) != held:
                found.append(f"{section}.{key} is {told[section].get(key)}, the file's is {held}")
    scores = first["outputs"].get(RAW_OUTPUTS[1], {"shape": [1]})["shape"]
    number = described.options.num_classes if described.options else scores[-1] - 1
    if len(described.labels) != number:
        found.append(f"labels are {len(described.labels)}, the file has {number} classes")
    return found


def differences(told: dict[str, Any], module: ExportModule, labels: tuple[str, ...]) -> list[str]:
    """Returns where metadata differ from those of a model, a phrase each."""
    expected = facts_of(module, labels=labels)
    for of_the_file in ("quantization", "cell", "min_score"):
        del expected[of_the_file]
    states = [
        point[side][name]
        for point in expected["entry_points"].values()
        for side, names in (("inputs", STATE_INPUTS), ("outputs", STATE_OUTPUTS))
        for name in names
    ]
    for each in (expected["state"], *states):
        del each["dtype"]  # of the file, too
    return list(_differences(told, expected))


def _differences(told: Any, expected: Any, where: str = "") -> Iterator[str]:
    if isinstance(expected, dict) and isinstance(told, dict):
        for key, value in expected.items():
            # Positions are younger than the first files.
            if key not in _PROSE and not (key in _POSITIONS and key not in told):
                yield from _differences(told.get(key), value, f"{where}.{key}".lstrip("."))
    elif isinstance(expected, float) and isinstance(told, (int, float)):
        low, high = sorted((expected * (1 - 1e-6), expected * (1 + 1e-6)))
        if not low <= told <= high:  # of a whole number of any length, too
            yield f"{where} is {told}, expected {expected:g}"
    elif told != expected:
        yield f"{where} is {json.dumps(told)}, expected {json.dumps(expected)}"


def completed(
    facts: dict[str, Any],
    reference: Reference,
    *,
    name: str,
    step: Step,
    differences: dict[str, dict[str, float]],
    content: bytes | None = None,
    tolerance: float = compare.TOLERANCE,
) -> dict[str, Any]:
    """Returns facts, completed by those that hold for one file only, whose `name` this is.

    Args:
        facts: see `facts_of`; perhaps those of another file, whose own are replaced.
        reference: what the file was made from.
        name: of the file or folder.
        step: runs the export's entry points, for the golden frame.
        differences: what the self-check found.
        content: the file, before metadata are embedded; None for a folder.
        tolerance: of the file, and of the golden frame on another machine.
    """
    points, of_file = facts["entry_points"], {"name": name}
    if content is not None:
        signatures = file_format.signatures(content)
        points = {key: {**points[key], **point} for key, point in signatures.items()}
        of_file |= tflite_metadata.payload_facts(content)
        facts = {**facts, "state": {**facts["state"], **_state_type(content)}}
    return {
        **facts,
        "entry_points": points,
        "file": of_file,
        "versions": {
            "lstd": __version__,
            "python": platform.python_version(),
            **installed("tensorflow", "tf_keras", "ai-edge-litert", "numpy"),
        },
        "self_check": {"tolerance": tolerance, "largest_differences": differences},
        "golden_frame": golden_frame(reference, step, tolerance=tolerance),
    }


def as_text(facts: dict[str, Any]) -> str:
    """Returns facts as JSON."""
    return json.dumps(facts, indent=2, ensure_ascii=False) + "\n"


def golden_frame(
    described: Described, step: Step, *, tolerance: float = compare.TOLERANCE
) -> dict[str, Any]:
    """Returns a frame or clip that any language can make, and what the export makes of it."""
    images = compare.pattern_input(described, 0)
    expected = {}
    for entry_point in described.entry_points:
        outputs = step(entry_point, **images, **described.zero_state())
        found = expected[entry_point] = _golden_detections(described, outputs)
        for key in STATE_OUTPUTS:
            found[f"{key}_mean"] = float(np.mean(outputs[key]))
            found[f"{key}_max"] = float(np.max(outputs[key]))
    rule = "value n, counted along channels, then columns, then rows, is (n * 2654435761 mod 2^32)"
    if described.form.is_clip:
        rule = rule.replace("(n *", "((n + 1000003 * t) *").replace("value n", "value n of frame t")
    return {
        "image": f"{rule} / 2^24, rounded down",
        "first_values": next(iter(images.values())).reshape(-1)[:8].tolist(),
        "state": "zeros",
        "tolerance": tolerance,
        "near_ties": "detections whose scores are closer than 1e-5 may come in another order",
        "expected": expected,
    }


def _golden_detections(described: Described, outputs: dict[str, np.ndarray]) -> dict[str, Any]:
    """Returns the detections of a frame, or lists of them for the frames of a clip."""
    options = described.options
    if options is None:
        raw = outputs.keys() - STATE_OUTPUTS
        return {f"{name}_mean": float(np.mean(outputs[name])) for name in sorted(raw)}
    frames = []
    for at, count in enumerate(outputs["num_detections"]):
        rows = compare.rows_of(outputs, options, at)
        values = (rows.boxes.tolist(), rows.classes.tolist(), rows.scores.tolist(), int(count))
        frames.append(dict(zip(DETECTION_OUTPUTS, values, strict=True)))
    if described.form.is_clip:
        return {name: [frame[name] for frame in frames] for name in DETECTION_OUTPUTS}
    return frames[0]


def _entry_points(module: ExportModule) -> dict[str, Any]:
    def told(specs: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: {"shape": list(spec.shape), "dtype": spec.dtype.name}
            for name, spec in sorted(specs.items())
        }

    found = {}
    for name, network in module.entry_points.items():
        function, networks = getattr(module, name), module.networks_of(name)
        found[name] = {
            "network": network,
            "networks": list(networks),
            "writes_state": "large" in networks,
            "inputs": told({spec.name: spec for spec in function.input_signature}),
            "outputs": told(function.get_concrete_function().structured_outputs),
        }
    return found


def _schedule(module: ExportModule) -> dict[str, str]:
    if not module.form.is_clip:
        return schedule_facts(module.schedule, entry_points=tuple(module.entry_points))
    schedule = module.form.clip_schedule(module.schedule)
    rule = "large on every frame" if len(module.model.networks) == 1 else _rule(schedule)
    return {"default": schedule, "rule": f"{rule}; unrolled in the file, each clip counts from 0"}


def schedule_facts(schedule: str, *, entry_points: tuple[str, ...]) -> dict[str, str]:
    """Says on which frame each entry point runs; they take one frame each.

    A file with one network of two says what an app does with this file alone, and what it does with
    the other network in a second file.
    """
    rule = _rule(schedule)
    if entry_points == (SINGLE,):
        rule = "step on every frame"
    elif len(entry_points) == 1:
        (network,) = entry_points
        other, zeros = "small", ""
        if network == "small":
            other, zeros = "large", ", with a state that stays zero"
        rule = (
            f"this file alone: {network} on every frame{zeros}; with the {other} network of the "
            "same model in a second file, and the state handed from one to the other: " + rule
        )
    return {"default": schedule, "rule": rule}


def _rule(schedule: str) -> str:
    skipped = schedule_names.skip_of(schedule)
    if schedule == "SMALL" or skipped == 0:
        return "small on every frame" if skipped is None else "large on every frame"
    if skipped is None:
        return "large or small by a fair coin on every frame"
    return f"large on frame 0 of a video and every {skipped + 1} frames after it, else small"


def _postprocessing(module: ExportModule) -> dict[str, Any]:
    if module.options is None:
        thresholds = module.model.postprocessing
        return {
            "included": False,
            "class_predictions": "after the sigmoid; index 0 is background",
            "box_encodings": "ty, tx, th, tw; ty = (y - y_a) / h_a * s_y, th = ln(h / h_a) * s_h",
            "anchors": "ycenter, xcenter, height, width",
            "recommended": {
                "score_threshold": thresholds.score_threshold,
                "iou_threshold": thresholds.iou_threshold,
            },
        }
    return {
        "included": True,
        "op": postprocessing_op.NAME,
        "suppression": "per class" if module.options.use_regular_nms else "all classes together",
        "rows": "num_detections * max_classes_per_detection; those behind mean nothing",
        **postprocessing_op.attributes(module.options),
    }
