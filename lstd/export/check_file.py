"""The checks of an existing `.tflite`: does one of ours still do what it says of itself?"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lstd.base import label_map, tflite_damage, tflite_metadata, tflite_runners
from lstd.base.documents import first_line
from lstd.base.export_names import STATE_INPUTS, STATE_OUTPUTS
from lstd.export import (
    compare,
    fidelity,
    file_format,
    interpreters,
    metadata,
    options,
    representative,
    self_check,
)
from lstd.export.compare import FRAMES, TOLERANCE
from lstd.export.metadata import DescribedExport
from lstd.export.module import ExportModule
from lstd.export.representative import Frame

OK, FAILED, IMPOSSIBLE = "ok", "FAILED", "not possible"


class Finding(NamedTuple):
    """The outcome of one check: `OK`, `FAILED` or `IMPOSSIBLE`, and the numbers or the reason."""

    check: str
    verdict: str
    detail: str


class Inspection(NamedTuple):
    """The size of a file, lines about its inputs and outputs, and the outcome of each check."""

    num_bytes: int
    entry_points: tuple[str, ...]
    findings: tuple[Finding, ...]


class Expected(NamedTuple):
    """What a file should be an export of.

    Without labels and schedule they are the model's own. A quantised file is compared on the
    `frames`, see `representative.read`; None: on a test pattern.
    """

    model: Any
    labels: tuple[str, ...] = ()
    schedule: str | None = None
    frames: list[Frame] | None = None


class _Impossible(Exception):
    """A check that cannot be made; the text says why."""


def inspect(path: Path, *, expected: Expected | None = None, frames: int = FRAMES) -> Inspection:
    """Returns what a `.tflite` offers, and what the checks of an export say about it.

    One that is not ours is only run, for at least so many `frames`; `expected` is the model that
    one of ours should be equal to.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no TFLite file, cannot be run here, or is not ours and a model was given.
    """
    tflite_damage.check(path, first_run=f"{__name__}:first_run")
    return _inspect(path, expected, frames)


def first_run(path: str) -> None:
    """Runs a file that may be damaged, in a process of its own, for it may kill that."""
    _inspect(Path(path), None, FRAMES)


def _inspect(path: Path, expected: Expected | None, frames: int) -> Inspection:
    content = path.read_bytes()
    try:
        interpreter = interpreters.make(content, xnnpack=True)
        lines = tuple(_described(interpreter))
        points = file_format.entry_points(content)
    except (ValueError, RuntimeError, LookupError, TypeError) as error:
        raise ValueError(f"{path}: {tflite_damage.NOT_RUNNABLE}{first_line(error)}") from None
    facts = tflite_metadata.facts_in(path) or tflite_metadata.facts_in(path.with_suffix(".json"))
    ours = points and all(set(STATE_OUTPUTS) <= set(each.outputs) for each in points.values())
    checks: dict[str, Callable[[], str]]
    if facts is not None or ours:
        described = None if facts is None else DescribedExport(facts, where=str(path))
        checks = _OwnFile(path, content, described, expected, frames).checks()
    elif expected is not None:
        raise ValueError(
            f"{path}: its entry points are {', '.join(points) or 'none'}, not those of lstd "
            "(large and small, step, or clip), so that it cannot be compared with a model"
        )
    else:
        checks = {"random frames": lambda: _run_random(interpreter, frames)}
    findings = (_attempt(name, check) for name, check in checks.items())
    return Inspection(len(content), lines, tuple(findings))


def _attempt(name: str, run: Callable[[], str]) -> Finding:
    try:
        return Finding(name, OK, run())
    except (_Impossible, interpreters.NotInstalled) as reason:
        return Finding(name, IMPOSSIBLE, str(reason))
    except (ValueError, RuntimeError) as error:
        return Finding(name, FAILED, first_line(error))


def _runners(interpreter: Any) -> dict[str, Any]:
    """Returns what runs each entry point by name; "" is the graph of a file without any."""
    found = tflite_runners.of_signatures(interpreter)
    return found or {"": tflite_runners.FirstSubgraph(interpreter)}


def _described(interpreter: Any) -> Iterator[str]:
    """Yields the lines that name each entry point's inputs and outputs, with shapes and dtypes."""
    for name, runner in _runners(interpreter).items():
        yield f"entry point {name}:" if name else "no entry points (signatures); the graph itself:"
        sides = (("in ", runner.get_input_details()), ("out", runner.get_output_details()))
        for kind, details in sides:
            for key, detail in sorted(details.items()) if name else details.items():
                shape = [int(size) for size in detail["shape"]]
                yield f"  {kind} {key}  {np.dtype(detail['dtype']).name} {shape}"


def _run_random(interpreter: Any, frames: int) -> str:
    for runner in _runners(interpreter).values():
        for number in range(frames):
            for key, value in tflite_runners.on_noise(runner, number)().items():
                if np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
                    raise ValueError(f"{key} is not finite")
    return f"{frames} run, all outputs finite"


class _OwnFile:
    """The checks of a file of ours; without metadata most are not possible."""

    def __init__(
        self,
        path: Path,
        content: bytes,
        described: DescribedExport | None,
        expected: Expected | None,
        frames: int,
    ) -> None:
        self._path, self._content, self._frames = path, content, frames
        self._maybe, self._expected = described, expected

    def checks(self) -> dict[str, Callable[[], str]]:
        return {
            "metadata": self._metadata,
            "facts": self._facts,
            "post-processing": self._postprocessing,
            "delegate": self._delegate,
            "state carried": self._stream,
            "CompiledModel": self._compiled,
            "golden frame": self._golden,
            "Keras": self._keras,
        }

    @property
    def _told(self) -> DescribedExport:
        if self._maybe is None:
            raise _Impossible("without metadata nobody knows what it should be")
        return self._maybe

    def _runnable(self) -> DescribedExport:
        """Returns the metadata, if the inputs they tell of are those of the file."""
        told, points = self._told, file_format.signatures(self._content)
        if set(points) != set(told.entry_points):
            raise ValueError(
                f"the metadata tell of the entry points {', '.join(told.entry_points) or 'none'}, "
                f"the file has {', '.join(points)}"
            )
        shapes = {key: list(told.state_shape) for key in STATE_INPUTS}
        shapes[told.form.image_input] = list(told.input_shape)
        for name, point in points.items():
            for key, shape in shapes.items():
                held = point["inputs"].get(key, {}).get("shape")
                if held != shape:
                    raise ValueError(
                        f"the metadata tell of an input {key} {shape}, {name} has {held}"
                    )
        return told

    def _metadata(self) -> str:
        content, facts = self._content, self._told.facts
        inside = tflite_metadata.read_from(content) is not None
        if inside:
            whole = tflite_metadata.is_whole(content)
            if not (tflite_metadata.payload_matches(facts, content) if whole is None else whole):
                raise ValueError("the checksum inside is not that of the file")
        beside = self._path.with_suffix(".json")
        told = tflite_metadata.facts_in(beside)
        if told is None:
            return "inside the file, the checksum is right; none beside it"
        keys = ({*facts} | {*told}) - {"file"}
        if others := sorted(key for key in keys if facts.get(key) != told.get(key)):
            raise ValueError(f"{', '.join(others)} in {beside} is not what the file itself says")
        sums = told.get("file")
        if not isinstance(sums, dict) or sums.get("sha256") != hashlib.sha256(content).hexdigest():
            raise ValueError(f"sha256 in {beside} is not that of the file")
        return ("inside and beside" if inside else "beside") + " the file, the checksums are right"

    def _facts(self) -> str:
        """Compares what the metadata say with the file and, where given, the model."""
        told, expected = self._told, self._expected
        wrong = metadata.contradictions(told.facts, told, self._content)
        if expected is not None:
            given = expected.labels or tuple(expected.model.labels)
            labels = label_map.or_numbers(given, num_classes=expected.model.num_classes)
            wrong += metadata.differences(told.facts, self._module(expected), labels)
        if wrong:
            asked = any(each.startswith(("labels is", "schedule.")) for each in wrong)
            hint = "; give --labels and --schedule if the export had them" if asked else ""
            raise ValueError("; ".join(dict.fromkeys(wrong)) + hint)
        return "what the metadata say is true of the file" + (" and the model" if expected else "")

    def _module(self, expected: Expected) -> ExportModule:
        asked = self._told.options
        return ExportModule(
            expected.model,
            options=None if asked is None else options.suppression_for(expected.model, asked),
            schedule=expected.schedule,
            form=self._told.form,
        )

    def _postprocessing(self) -> str:
        self_check.require_postprocessing(self._content, self._told)
        if self._told.options is None:
            return "left out in every entry point, as asked for"
        return "the op with all its attributes stands in every entry point"

    def _delegate(self) -> str:
        hidden = self_check.require_delegate(self._content)
        points = file_format.entry_points(self._content)
        return "XNNPACK runs at least " + ", ".join(
            f"{number} of {len(points[name].operators)} operators of {name}"
            for name, number in hidden.items()
        )

    def _stream(self) -> str:
        """Runs frames with XNNPACK and without, each with its own state carried along."""
        told = self._runnable()
        pair = (interpreters.step(self._content, xnnpack=xnnpack) for xnnpack in (True, False))
        worst = compare.difference(told, *pair, frames=self._frames)
        calls = len(list(compare.stream_of(told, self._frames)))
        found = f"{calls} calls, finite; with XNNPACK and without within {worst:.1e}"
        if worst > TOLERANCE:
            if told.quantization == "none":
                raise ValueError(f"with XNNPACK and without it differ by {worst:.2g}")
            found += f", which has no limit in {told.quantization}"
        return found

    def _compiled(self) -> str:
        self_check.require_own_outputs(self._content)
        worst = self_check.compare_compiled(self._content, self._runnable(), frames=self._frames)
        return f"what the interpreter computes, within {worst:.1e}"

    def _golden(self) -> str:
        told = self._runnable()
        golden = told.facts.get("golden_frame")
        if not isinstance(golden, dict) or "expected" not in golden:
            raise _Impossible("the metadata hold none")
        expected, step = golden["expected"], interpreters.step(self._content)
        again = metadata.golden_frame(told, step)["expected"]
        named = isinstance(expected, dict) and all(isinstance(v, dict) for v in expected.values())
        if not named or set(again) != set(expected):
            raise ValueError(f"the metadata hold no outputs of {', '.join(again)}, by their names")
        tolerance = fidelity.LIMITS.get(told.quantization, TOLERANCE)
        worst = 0.0
        for entry_point, outputs in expected.items():
            for name, value in outputs.items():
                off = _golden_difference(value, again[entry_point].get(name))
                # Of near-equal scores a quantised file may return another anchor elsewhere.
                steady = name == "detection_scores" or name.startswith(("lstm_", "raw_outputs/"))
                if not off <= tolerance and (told.quantization == "none" or steady):
                    raise ValueError(
                        f"{name} of {entry_point} is off by {off:.2g}, allowed are {tolerance:g}"
                    )
                worst = max(worst, off)
        if worst > tolerance:
            return f"scores and state within {tolerance:g}, which {told.quantization} is allowed"
        return f"within {worst:.1e}"

    def _keras(self) -> str:
        expected = self._expected
        if expected is None:
            raise _Impossible("no --model was given")
        told, module = self._runnable(), self._module(expected)
        if (module.image_shape, module.state_shape) != (told.image_shape, told.state_shape):
            raise ValueError(
                f"the model takes frames {list(module.image_shape)} and a state "
                f"{list(module.state_shape)}, the file {list(told.image_shape)} and "
                f"{list(told.state_shape)}"
            )
        if told.quantization != "none":
            return self._quantized(module, told.quantization, expected.frames)
        if expected.frames:
            raise _Impossible("representative data are for a quantised file, this one is float32")
        found = self_check.check_tflite(self._content, module, frames=self._frames)
        return ", ".join(f"{ran} within {max(offs.values()):.1e}" for ran, offs in found.items())

    def _quantized(
        self, module: ExportModule, quantization: str, frames: list[Frame] | None
    ) -> str:
        """Measures a quantised file on frames; int8 was not made for a test pattern."""
        if quantization not in fidelity.LIMITS:
            raise _Impossible(f"quantization {quantization!r} is not known to this version")
        given = frames or representative.pattern(module, self._frames)
        if module.form.is_clip:
            given = representative.whole_clips(given, module.form.unroll_length)
        found = fidelity.measure(module, self._content, given)
        named = "representative data" if frames else "a test pattern"
        text, limit = f"on {named}, {found.sentence()}", fidelity.LIMITS[quantization]
        if found.scores <= limit:
            return text
        if quantization == "int8" and not frames:
            raise _Impossible(
                f"{text}, but int8 knows the ranges of its own data only; give "
                "--representative_data"
            )
        raise ValueError(f"{text}; allowed for {quantization} are {limit:g}")


def _golden_difference(expected: Any, found: Any) -> float:
    """Returns the largest difference of two values, or of lists of the same shape."""
    try:
        return compare.differ(np.array(expected, np.float32), np.array(found, np.float32))
    except (TypeError, ValueError, OverflowError):  # no number, or lists of several lengths
        return float("inf")
