"""Looks at a `.tflite` that is already there: what it offers, and which checks it passes."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, NamedTuple

from lstd.base import documents, tflite_damage, tflite_metadata
from lstd.export import file_format, interpreters, own_file, streams
from lstd.export import foreign_file as foreign
from lstd.export.findings import Finding, first_line
from lstd.export.names import STATE_OUTPUTS
from lstd.export.own_file import Expected


class Inspection(NamedTuple):
    """What there is to say about a file.

    Attributes:
        num_bytes: its size.
        entry_points: a few lines for each, with its inputs and outputs.
        findings: one for each check.
    """

    num_bytes: int
    entry_points: tuple[str, ...]
    findings: tuple[Finding, ...]


def inspect(
    path: Path, *, expected: Expected | None = None, frames: int = streams.FRAMES
) -> Inspection:
    """Returns what a file offers, and what the checks of an export say about it.

    Args:
        path: any `.tflite`; of one that is not ours fewer checks are possible.
        expected: the model that it should be equal to, or None.
        frames: how many are run at least.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no TFLite file, cannot be run here, or is not ours and a model was given.
    """
    streams.check_frames(frames)
    tflite_damage.check(path, first_run=f"{__name__}:first_run")
    return _inspect(path, expected=expected, frames=frames)


def first_run(path: str) -> None:
    """Looks at a file that may be damaged, in a process that this may kill."""
    _inspect(Path(path), expected=None, frames=streams.FRAMES)


def _inspect(path: Path, *, expected: Expected | None, frames: int) -> Inspection:
    content = path.read_bytes()
    try:
        interpreter = interpreters.make(content, xnnpack=True)
        described = tuple(foreign.described(interpreter))
        names = list(file_format.entry_points(content))
    except (ValueError, RuntimeError, LookupError, TypeError, struct.error) as error:
        raise ValueError(f"{path}: damaged, or not runnable here: {first_line(error)}") from None
    facts = _facts(path, content)
    if facts is None and not _looks_like_ours(interpreter, names):
        if expected is not None:
            raise ValueError(
                f"{path}: its entry points are {', '.join(names) or 'none'}, not those of lstd "
                "(large and small, step, or clip), so that it cannot be compared with a model"
            )
        return Inspection(len(content), described, (foreign.run_random(interpreter, frames),))
    findings = list(own_file.findings(path, content, facts, expected=expected, frames=frames))
    return Inspection(len(content), described, tuple(findings))


def _looks_like_ours(interpreter: Any, names: list[str]) -> bool:
    signatures = interpreter.get_signature_list()
    return bool(names) and all(
        set(STATE_OUTPUTS) <= set(signatures[name]["outputs"]) for name in names
    )


def _facts(path: Path, content: bytes) -> dict[str, Any] | None:
    """Returns the metadata inside the file, else those beside it, else None."""
    text = tflite_metadata.read_from(content)
    if text is not None:
        return documents.from_json(text, source=str(path), kind=dict)
    beside = path.with_suffix(".json")
    found = beside.read_bytes() if beside.is_file() else b""
    if not tflite_metadata.is_ours(found):
        return None
    return documents.from_json(found, source=str(beside), kind=dict)
