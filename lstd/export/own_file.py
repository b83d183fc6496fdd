"""The checks of a `.tflite` of ours: does it still do what it says of itself?"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lstd.base import documents, tflite_metadata
from lstd.export import (
    check,
    class_names,
    comparison,
    fidelity,
    file_format,
    golden,
    interpreters,
    metadata,
    representative,
    streams,
)
from lstd.export import reference as references
from lstd.export.findings import FAILED, IMPOSSIBLE, OK, Finding, first_line
from lstd.export.loaded import DescribedExport
from lstd.export.module import ExportModule
from lstd.export.names import CLIP, STATE_INPUTS
from lstd.export.representative import Frame
from lstd.export.saved_model import options_for


class Expected(NamedTuple):
    """What a file should be an export of.

    Attributes:
        model: the `LSTMSSD`.
        labels: empty: the model's.
        schedule: None: the model's for evaluation.
        frames: that a quantised file is compared on, `representative.read`; None: a test pattern.
    """

    model: Any
    labels: tuple[str, ...] = ()
    schedule: str | None = None
    frames: list[Frame] | None = None


def findings(
    path: Path,
    content: bytes,
    facts: dict[str, Any] | None,
    *,
    expected: Expected | None,
    frames: int,
) -> Iterator[Finding]:
    """Yields the findings about a file of ours.

    Args:
        path: the file.
        content: of it.
        facts: its metadata, or None.
        expected: what it should be equal to, or None.
        frames: how many are run at least.

    Raises:
        ValueError: the metadata are not those of an export of this version.
    """
    described = None if facts is None else DescribedExport(facts, where=str(path))
    yield _attempt("metadata", lambda: _metadata(path, content, facts))
    yield _attempt("facts", lambda: _facts(content, facts, described, expected))
    yield _attempt("post-processing", lambda: _postprocessing(content, described))
    yield _attempt("delegate", lambda: _delegate(content))
    yield _attempt("state carried", lambda: _stream(content, described, frames))
    yield _attempt("CompiledModel", lambda: _compiled(content, described, frames))
    yield _attempt("golden frame", lambda: _golden(content, facts, described))
    yield _attempt("Keras", lambda: _keras(content, described, expected, frames))


def _attempt(name: str, run: Callable[[], str]) -> Finding:
    try:
        return Finding(name, OK, run())
    except _Impossible as reason:
        return Finding(name, IMPOSSIBLE, str(reason))
    except (ValueError, RuntimeError) as error:
        return Finding(name, FAILED, first_line(error))


class _Impossible(Exception):
    """A check that cannot be made; the text says why."""


def _metadata(path: Path, content: bytes, facts: dict[str, Any] | None) -> str:
    if facts is None:
        raise _Impossible("there are none, neither inside nor beside the file")
    inside = tflite_metadata.read_from(content) is not None
    whole = tflite_metadata.is_whole(content)
    if inside and not (tflite_metadata.payload_matches(facts, content) if whole is None else whole):
        raise ValueError("the checksum inside is not that of the file")
    beside = path.with_suffix(".json")
    if not beside.is_file() or not tflite_metadata.is_ours(beside.read_bytes()):
        return "inside the file, the checksum of the rest is right; none beside it"
    told = documents.read_json(beside, kind=dict)
    if inside:
        both = {**(facts or {}), **told}
        keys = [key for key in both if key != "file" and (facts or {}).get(key) != told.get(key)]
        if keys:
            raise ValueError(f"{', '.join(keys)} in {beside} is not what the file itself says")
    sums = told.get("file")
    if not isinstance(sums, dict) or sums.get("sha256") != hashlib.sha256(content).hexdigest():
        raise ValueError(f"sha256 in {beside} is not that of the file")
    return ("inside and beside" if inside else "beside") + " the file, the checksums are right"


def _facts(
    content: bytes,
    facts: dict[str, Any] | None,
    described: DescribedExport | None,
    expected: Expected | None,
) -> str:
    """Compares what the metadata say with what stands in the file and, where given, the model."""
    if facts is None or described is None:
        raise _Impossible("there are no metadata")
    wrong = metadata.contradictions(facts, described, content)
    if expected is not None:
        module = _module(described, expected)
        given = expected.labels or tuple(expected.model.labels)
        labels = class_names.checked(given, num_classes=expected.model.num_classes)
        wrong += metadata.differences(facts, module, labels)
    if wrong:
        asked = any(each.startswith(("labels is", "schedule.")) for each in wrong)
        hint = "; give --labels and --schedule if the export had them" if asked else ""
        raise ValueError("; ".join(dict.fromkeys(wrong)) + hint)
    return "what the metadata say is true of the file" + (" and the model" if expected else "")


def _module(described: DescribedExport, expected: Expected) -> ExportModule:
    asked = described.options
    return ExportModule(
        expected.model,
        options=None if asked is None else options_for(expected.model, asked),
        schedule=expected.schedule,
        form=described.form,
    )


def _postprocessing(content: bytes, described: DescribedExport | None) -> str:
    if described is None:
        raise _Impossible("without metadata nobody knows what was asked for")
    check.require_postprocessing(content, described)
    if described.options is None:
        return "left out in every entry point, as asked for"
    return "the op with all its attributes stands in every entry point"


def _delegate(content: bytes) -> str:
    hidden = check.require_delegate(content)
    total = {name: len(one.operators) for name, one in file_format.entry_points(content).items()}
    return "XNNPACK runs at least " + ", ".join(
        f"{number} of {total[name]} operators of {name}" for name, number in hidden.items()
    )


def _stream(content: bytes, described: DescribedExport | None, frames: int) -> str:
    """Runs frames with XNNPACK and without, each with its own state carried along."""
    if described is None:
        raise _Impossible("without metadata nobody knows which frames it wants")
    _require_inputs(content, described)
    pair = (interpreters.make(content, xnnpack=xnnpack) for xnnpack in (True, False))
    worst = streams.difference(described, *map(interpreters.step_of, pair), frames=frames)
    if worst > comparison.TOLERANCE and described.quantization == "none":
        raise ValueError(f"with XNNPACK and without it differ by {worst:.2g}")
    calls = len(list(streams.stream_of(described, frames)))
    found = f"{calls} calls, finite; with XNNPACK and without within {worst:.1e}"
    if worst > comparison.TOLERANCE:
        found += f", which has no limit in {described.quantization}"
    return found


def _require_inputs(content: bytes, described: DescribedExport) -> None:
    """Raises where metadata speak of other inputs, whose sizes may be without end."""
    points = file_format.signatures(content)
    if set(points) != set(described.entry_points):
        raise ValueError(
            f"the metadata tell of the entry points {', '.join(described.entry_points) or 'none'}, "
            f"the file has {', '.join(points)}"
        )
    told = {key: list(described.state_shape) for key in STATE_INPUTS}
    told[references.image_input(described.form)] = list(references.input_shape(described))
    for name, point in points.items():
        held = {key: value["shape"] for key, value in point["inputs"].items()}
        for key, shape in told.items():
            if held.get(key) != shape:
                raise ValueError(
                    f"the metadata tell of an input {key} {shape}, {name} has {held.get(key)}"
                )


def _compiled(content: bytes, described: DescribedExport | None, frames: int) -> str:
    """Runs the frames under CompiledModel, too."""
    check.require_own_outputs(content)
    if described is None:
        raise _Impossible("without metadata nobody knows which frames it wants")
    _require_inputs(content, described)
    try:
        worst = check.compare_compiled(content, described, frames=frames)
    except interpreters.NotInstalled as reason:
        raise _Impossible(str(reason)) from None
    return f"what the interpreter computes, within {worst:.1e}"


def _golden(content: bytes, facts: dict[str, Any] | None, described: DescribedExport | None) -> str:
    """Runs the golden frame of the metadata again."""
    if facts is None or described is None:
        raise _Impossible("without metadata there is none")
    told = facts.get("golden_frame")
    if not isinstance(told, dict) or "expected" not in told:
        raise _Impossible("the metadata hold none")
    _require_inputs(content, described)
    expected = told["expected"]
    if not isinstance(expected, dict) or not all(
        isinstance(each, dict) for each in expected.values()
    ):
        raise ValueError("golden_frame of the metadata holds no outputs by entry point")
    step = interpreters.step_of(interpreters.make(content, xnnpack=True))
    again = golden.golden_frame(described, step)["expected"]
    if set(again) != set(expected):
        raise ValueError(
            f"it is of the entry points {', '.join(expected)}, the file has {', '.join(again)}"
        )
    tolerance = fidelity.LIMITS.get(described.quantization, comparison.TOLERANCE)
    worst = 0.0
    for entry_point, outputs in expected.items():
        for name, value in outputs.items():
            found = again[entry_point].get(name)
            off = _golden_difference(value, found)
            if not off <= tolerance and (described.quantization == "none" or _is_steady(name)):
                raise ValueError(
                    f"{name} of {entry_point} is off by {off:.2g}, allowed are {tolerance:g}"
                )
            worst = max(worst, off)
    if worst > tolerance:
        return f"scores and state within {tolerance:g}, which {described.quantization} is allowed"
    return f"within {worst:.1e}"


def _is_steady(name: str) -> bool:
    """Returns whether a golden value is off by no more than rounding where another box is chosen.

    Of near-equal scores a quantised file may return another anchor on another machine.
    """
    return name == "detection_scores" or name.startswith(("lstm_", "raw_outputs/"))


def _golden_difference(expected: Any, found: Any) -> float:
    """Returns the largest difference of two values, or of lists of the same shape."""
    if isinstance(expected, list):
        if not isinstance(found, list) or len(found) != len(expected):
            return float("inf")
        pairs = zip(expected, found, strict=True)
        return max((_golden_difference(*pair) for pair in pairs), default=0.0)
    try:
        return comparison.differ(np.array(expected, np.float32), np.array(found, np.float32))
    except (TypeError, ValueError, OverflowError):  # no number
        return float("inf")


def _keras(
    content: bytes, described: DescribedExport | None, expected: Expected | None, frames: int
) -> str:
    if expected is None:
        raise _Impossible("no --model was given")
    if described is None:
        raise _Impossible("without metadata nobody knows what was asked for")
    _require_inputs(content, described)
    module = _module(described, expected)
    if (module.image_shape, module.state_shape) != (described.image_shape, described.state_shape):
        raise ValueError(
            f"the model takes frames {list(module.image_shape)} and a state "
            f"{list(module.state_shape)}, the file {list(described.image_shape)} and "
            f"{list(described.state_shape)}"
        )
    if described.quantization != "none":
        given = expected.frames or fidelity.pattern_frames(module, frames)
        if module.form.signature == CLIP:
            given = representative.whole_clips(given, module.form.unroll_length)
        named = "representative data" if expected.frames else "a test pattern"
        return _quantized_keras(content, module, described, given, named)
    if expected.frames:
        raise _Impossible("representative data are for a quantised file, this one is in float32")
    found = check.check_tflite(content, module, frames=frames)
    return ", ".join(
        f"{ran} within {max(differences.values()):.1e}" for ran, differences in found.items()
    )


def _quantized_keras(
    content: bytes,
    module: ExportModule,
    described: DescribedExport,
    frames: list[Frame],
    named: str,
) -> str:
    """Measures a quantised file on frames; int8 was not made for a test pattern."""
    quantization = described.quantization
    if quantization not in fidelity.LIMITS:
        raise _Impossible(f"quantization {quantization!r} is not known to this version")
    found = fidelity.measure(module, fidelity.raw_step(module), content, frames)
    text = f"on {named}, {found.sentence()}"
    limit = fidelity.LIMITS[quantization]
    if found.scores <= limit:
        return text
    if quantization == "int8" and named == "a test pattern":
        raise _Impossible(
            f"{text}, but int8 knows the ranges of its own data only; give --representative_data"
        )
    raise ValueError(f"{text}; allowed for {quantization} are {limit:g}")
