"""The JSON beside and inside a `.tflite`: everything an app needs to know to run it.

`format_version` counts changes that a reader must know about. The rest is described in the values
themselves, so that the file can be read without this one.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Collection, Iterator
from importlib import metadata as packages
from typing import TYPE_CHECKING, Any

from lstd.base import tflite_metadata
from lstd.base.version import __version__
from lstd.base.whole_file import write_whole
from lstd.config import schedule_names
from lstd.export import comparison, file_format, golden, postprocessing_op
from lstd.export import reference as references
from lstd.export.form import clip_schedule
from lstd.export.interpreters import Step
from lstd.export.module import ExportModule
from lstd.export.names import CLIP, STATE_INPUTS, STATE_OUTPUTS
from lstd.export.reference import Described, Reference

if TYPE_CHECKING:
    from lstd.export.loaded import DescribedExport

FORMAT_VERSION = 2


def describe(
    module: ExportModule,
    *,
    name: str,
    content: bytes | None,
    step: Step,
    labels: tuple[str, ...],
    differences: dict[str, dict[str, float]],
) -> dict[str, Any]:
    """Returns the metadata of an export, from its module; see `completed` for the arguments."""
    return completed(
        facts_of(module, labels=labels),
        module,
        name=name,
        content=content,
        step=step,
        differences=differences,
    )


def facts_of(module: ExportModule, *, labels: tuple[str, ...]) -> dict[str, Any]:
    """Returns what is true of every file that is made of a module."""
    y_scale, x_scale, h_scale, w_scale = module.model.box_scale_factors
    return {
        **_facts_of_any(module),
        "labels": list(labels),
        "classes": "detection_classes + class_offset is the index in labels; background is not one",
        "entry_points": _entry_points(module),
        "schedule": _schedule(module),
        "postprocessing": _postprocessing(module),
        "box_scale_factors": {"y": y_scale, "x": x_scale, "height": h_scale, "width": w_scale},
        "boxes": "ymin, xmin, ymax, xmax in parts of the frame, not clipped to [0, 1]",
        "quantization": "none",
        "cell": "separate",
    }


def _facts_of_any(described: Described) -> dict[str, Any]:
    """Returns the facts that follow from the shapes and the form alone."""
    return {
        "format": tflite_metadata.FORMAT,
        "format_version": FORMAT_VERSION,
        "class_offset": 0,
        "form": {
            "signature": described.form.signature,
            "network": described.form.network,
            "unroll_length": described.form.unroll_length,
        },
        "input": _input(described),
        "state": {
            "inputs": list(STATE_INPUTS),
            "outputs": list(STATE_OUTPUTS),
            "shape": list(described.state_shape),
            "dtype": "float32",
            "initial": "zeros, at the first frame of every video",
        },
    }


_PROSE = {
    *("classes", "boxes", "initial", "normalization", "rule", "suppression", "rows"),
    *("class_predictions", "box_encodings", "anchors"),
}
"""Facts for people, which another version may word otherwise."""


def contradictions(told: dict[str, Any], described: DescribedExport, content: bytes) -> list[str]:
    """Returns where metadata differ from the file that they are in, a phrase each."""
    points = file_format.signatures(content)
    found = list(_differences(told, {**_facts_of_any(described), "entry_points": points}))
    inputs = next(iter(points.values()), {}).get("inputs", {})
    for section, name in (("input", references.image_input(described.form)), ("state", "lstm_c")):
        for key in ("shape", "dtype"):
            held = inputs.get(name, {}).get(key)
            if told[section].get(key) != held:
                found.append(f"{section}.{key} is {told[section].get(key)}, the file's is {held}")
    number = described.num_classes(points)
    if len(described.labels) != number:
        found.append(f"labels are {len(described.labels)}, the file has {number} classes")
    return found


def differences(told: dict[str, Any], module: ExportModule, labels: tuple[str, ...]) -> list[str]:
    """Returns where metadata differ from those of a model, a phrase each."""
    return list(
        _differences(told, facts_of(module, labels=labels), skipped={"quantization", "cell"})
    )


def _differences(
    told: Any, expected: Any, where: str = "", *, skipped: Collection[str] = ()
) -> Iterator[str]:
    if isinstance(expected, dict) and isinstance(told, dict):
        for key, value in expected.items():
            # Positions are younger than the first files.
            if key in _PROSE or key in skipped or (key in _POSITIONS and key not in told):
                continue
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
    content: bytes | None,
    step: Step,
    differences: dict[str, dict[str, float]],
    tolerance: float = comparison.TOLERANCE,
) -> dict[str, Any]:
    """Returns facts with what is true of one file only.

    Args:
        facts: see `facts_of`; perhaps those of another file, whose own are replaced.
        reference: what the file was made from.
        name: of the file or folder.
        content: the file, before metadata are embedded; None for a folder.
        step: runs the export's entry points, for the golden frame.
        differences: what the self-check found.
        tolerance: how far the file may be off, and the golden frame on another machine.
    """
    return {
        **facts,
        **_with_positions(facts, content),
        "file": {
            "name": name,
            **({} if content is None else tflite_metadata.payload_facts(content)),
        },
        "versions": _versions(),
        "self_check": {
            "tolerance": tolerance,
            "largest_differences": differences,
        },
        "golden_frame": golden.golden_frame(reference, step, tolerance=tolerance),
    }


_POSITIONS = ("subgraph", "position")


def _with_positions(facts: dict[str, Any], content: bytes | None) -> dict[str, Any]:
    """Returns the entry points with what a runtime that knows no signatures counts by."""
    if content is None:
        return {}
    points = file_format.signatures(content)
    told = facts["entry_points"]
    return {"entry_points": {name: {**told[name], **point} for name, point in points.items()}}


def with_checksum(facts: dict[str, Any], content: bytes) -> dict[str, Any]:
    """Returns the facts for the JSON beside a file: with size and checksum of the final content."""
    digest = hashlib.sha256(content).hexdigest()
    return {**facts, "file": {**facts["file"], "bytes": len(content), "sha256": digest}}


def as_text(facts: dict[str, Any]) -> str:
    """Returns facts as JSON."""
    return json.dumps(facts, indent=2, ensure_ascii=False) + "\n"


def write(facts: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Writes metadata as JSON, whole or not at all."""
    write_whole(path, as_text(facts))


def _input(module: Described) -> dict[str, Any]:
    height, width, channels = module.image_shape
    return {
        "name": references.image_input(module.form),
        "height": height,
        "width": width,
        "channels": channels,
        "color": "RGB" if channels == 3 else "grey",
        "dtype": module.form.input_type,
        "range": [0, 255],
        "shape": list(references.input_shape(module)),
        "normalization": "inside the model; give raw values",
    }


def _entry_points(module: ExportModule) -> dict[str, Any]:
    found = {}
    for name, network in module.entry_points.items():
        function = getattr(module, name).get_concrete_function()
        networks = module.clip_networks() if name == CLIP else (network,)
        found[name] = {
            "network": network,
            "networks": list(networks),
            "writes_state": "large" in networks,
            "inputs": _tensors({spec.name: spec for spec in getattr(module, name).input_signature}),
            "outputs": _tensors(function.structured_outputs),
        }
    return found


def _tensors(specs: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {"shape": list(spec.shape), "dtype": spec.dtype.name}
        for name, spec in sorted(specs.items())
    }


def _schedule(module: ExportModule) -> dict[str, str]:
    """Says which entry point runs on which frame."""
    if module.form.signature != CLIP:
        return schedule_facts(module.schedule, entry_points=tuple(module.entry_points))
    schedule = clip_schedule(module.form, module.schedule)
    rule = "large on every frame" if len(module.model.networks) == 1 else _rule(schedule)
    rule += "; unrolled in the file, each clip counts from 0"
    return {"default": schedule, "rule": rule}


def schedule_facts(schedule: str, *, entry_points: tuple[str, ...]) -> dict[str, str]:
    """Says which of the entry points runs on which frame.

    A file with one network of two says what an app does that has no other file, and what one does
    that has the other network in a second file.

    Args:
        schedule: of both networks.
        entry_points: of a file whose entry points take one frame.
    """
    if entry_points == ("step",):
        rule = "step on every frame"
    elif len(entry_points) == 1:
        rule = _rule_alone(entry_points[0], _rule(schedule))
    else:
        rule = _rule(schedule)
    return {"default": schedule, "rule": rule}


def _rule_alone(network: str, rule: str) -> str:
    other = "small" if network == "large" else "large"
    zeros = "" if network == "large" else ", with a state that stays zero"
    return (
        f"this file alone: {network} on every frame{zeros}; with the {other} network of the same "
        f"model in a second file, and the state handed from one to the other: {rule}"
    )


def _rule(schedule: str) -> str:
    skipped = schedule_names.skip_of(schedule)
    if schedule == "SMALL":
        return "small on every frame"
    if skipped is None:
        return "large or small by a fair coin on every frame"
    if skipped == 0:
        return "large on every frame"
    return f"large on frame 0 of a video and every {skipped + 1} frames after it, else small"


def _postprocessing(module: ExportModule) -> dict[str, Any]:
    if module.options is None:
        model = module.model
        return {
            "included": False,
            "class_predictions": "after the sigmoid; index 0 is background",
            "box_encodings": "ty, tx, th, tw; ty = (y - y_a) / h_a * s_y, th = ln(h / h_a) * s_h",
            "anchors": "ycenter, xcenter, height, width",
            "recommended": {
                "score_threshold": model.postprocessing.score_threshold,
                "iou_threshold": model.postprocessing.iou_threshold,
            },
        }
    return {
        "included": True,
        "op": postprocessing_op.NAME,
        "suppression": "per class" if module.options.use_regular_nms else "all classes together",
        "rows": "num_detections * max_classes_per_detection; those behind mean nothing",
        **postprocessing_op.attributes(module.options),
    }


def _versions() -> dict[str, str]:
    found = {
        "lstd": __version__,
        "python": platform.python_version(),
    }
    for name in ("tensorflow", "tf_keras", "ai-edge-litert", "numpy"):
        try:
            found[name] = packages.version(name)
        except packages.PackageNotFoundError:
            continue
    return found
