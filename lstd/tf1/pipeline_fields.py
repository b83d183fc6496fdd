"""A pipeline file as checked, typed values by their paths, such as `model.ssd.num_classes`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from lstd.base import text_proto
from lstd.tf1.pipeline_schema import EXTENSIONS, MESSAGES, FieldSpec

ROOT = "Pipeline"


class PipelineError(ValueError):
    """A pipeline file that cannot be used; the message opens with source and line."""


class Given(NamedTuple):
    """Something a file names.

    Attributes:
        value: an int, float, bool or str (an enum's name); a tuple of them for a repeated field;
            None for a message.
        line: where its name stands.
        spec: what the table says of it.
    """

    value: Any
    line: int
    spec: FieldSpec


class Fields:
    """What a file names, by path. The n-th block of a repeated message has `[n]` in its path."""

    def __init__(self, text: str, *, source: str) -> None:
        """Reads and checks a text proto against the table.

        As in the original, a value given twice counts as given last, and two blocks of a message
        that may stand once are one.

        Raises:
            PipelineError: text that is no text proto, an unknown field, a wrong type, a value or a
                field that lstd cannot do.
        """
        self.source = source
        self.given: dict[str, Given] = {}
        self._types = {"": ROOT}
        try:
            tree = text_proto.parse(text, source=source)
        except text_proto.TextProtoError as error:
            raise PipelineError(str(error)) from None
        self._read(tree, kind=ROOT, place="")

    def __contains__(self, path: str) -> bool:
        """Returns whether the file names the path."""
        return path in self.given

    def __getitem__(self, path: str) -> Any:
        """Returns the value, or the original's default where the file does not name it."""
        if path in self.given:
            return self.given[path].value
        spec = self.spec_of(path)
        return () if spec.repeated else spec.default

    def line_of(self, path: str) -> int:
        """Returns the line of a path, or of the innermost block around it that the file names."""
        while path and path not in self.given:
            path = path.rpartition(".")[0]
        return self.given[path].line if path else 1

    def spec_of(self, path: str) -> FieldSpec:
        """Returns the table's entry for a path; `[n]` may stand in it.

        Raises:
            KeyError: the table has no such path.
        """
        kind, spec = ROOT, None
        for name in re.sub(r"\[\d+\]", "", path).split("."):
            spec = MESSAGES[kind][name]
            kind = spec.message
        if spec is None:
            raise KeyError(path)
        return spec

    def blocks(self, path: str) -> list[str]:
        """Returns the paths of a repeated message's blocks, in order."""
        found: list[str] = []
        while f"{path}[{len(found)}]" in self.given:
            found.append(f"{path}[{len(found)}]")
        return found

    def member(self, path: str) -> str:
        """Returns the name of the oneof's member that the message at `path` holds, or ''."""
        kind = self.spec_of(path).message
        return next(
            (n for n, spec in MESSAGES[kind].items() if spec.one_of and f"{path}.{n}" in self), ""
        )

    def applies(self, path: str) -> bool:
        """Returns whether the path lies in no oneof's member that the file left out."""
        parts = path.split(".")
        ancestors = (".".join(parts[:end]) for end in range(1, len(parts)))
        return all(parent in self or not self.spec_of(parent).one_of for parent in ancestors)

    def unsuitable_defaults(self) -> Iterator[tuple[str, FieldSpec]]:
        """Yields fields left out whose default is nothing that lstd can do."""
        for place, kind in self._types.items():
            for name, spec in MESSAGES[kind].items():
                path = f"{place}.{name}".lstrip(".")
                if spec.only and spec.default not in spec.only and path not in self:
                    yield path, spec

    def error(self, path: str, problem: str) -> PipelineError:
        """Returns the error that names source, line and path before the problem."""
        return self._error(self.line_of(path), f"{path}: {problem}")

    def _error(self, line: int, problem: str) -> PipelineError:
        return PipelineError(f"{self.source}, line {line}: {problem}")

    def _read(self, message: text_proto.Message, *, kind: str, place: str) -> None:
        for field in message.fields:
            name = self._name_of(field, kind=kind, place=place)
            spec = MESSAGES[kind][name]
            path = f"{place}.{name}".lstrip(".")
            if spec.absent:
                raise self._error(field.line, f"{path} is not available in lstd; {spec.absent}")
            if spec.one_of:
                self._forget_siblings(kind, place=place, but=name)
            if spec.kind == "message":
                self._read_message(field, spec, path=path)
            else:
                self._read_scalar(field, spec, path=path)

    def _read_message(self, field: text_proto.Field, spec: FieldSpec, *, path: str) -> None:
        if not isinstance(field.value, text_proto.Message):
            raise self._error(field.line, f"{path}: expected a block in braces, found a value")
        if spec.repeated:
            path = f"{path}[{len(self.blocks(path))}]"
        self.given.setdefault(path, Given(None, field.line, spec))
        if spec.message:
            self._types[path] = spec.message
            self._read(field.value, kind=spec.message, place=path)

    def _read_scalar(self, field: text_proto.Field, spec: FieldSpec, *, path: str) -> None:
        if isinstance(field.value, text_proto.Message):
            raise self._error(field.line, f"{path}: expected {_expected(spec)}, found a block")
        try:
            value = _convert(field.value, spec)
        except ValueError:
            raise self._error(
                field.value.line,
                f"{path}: expected {_expected(spec)}, got {_as_written(field.value)}"
                + _close_match(field.value.text, spec.choices),
            ) from None
        if spec.only and value not in spec.only:
            raise self._error(
                field.value.line,
                f"{path}: {_as_written(field.value)} is not available in lstd; "
                f"possible: {possible(spec)}",
            )
        if spec.repeated:
            before = self.given.get(path)
            value = (*before.value, value) if before else (value,)
        self.given[path] = Given(value, field.line, spec)

    def _name_of(self, field: text_proto.Field, *, kind: str, place: str) -> str:
        known = MESSAGES[kind]
        extensions = {full: name for full, name in EXTENSIONS.items() if name in known}
        if field.is_extension:
            if field.name in extensions:
                return extensions[field.name]
        elif field.name in known and field.name not in extensions.values():
            return field.name
        names = [n for n in known if n not in extensions.values()] + [f"[{n}]" for n in extensions]
        written = f"[{field.name}]" if field.is_extension else field.name
        hint = _close_match(written, names)
        for full, name in extensions.items():
            if field.name == name:  # an extension without its brackets
                hint = f"; did you mean '[{full}]'?"
                break
        where = place or "the pipeline"
        raise self._error(field.line, f"unknown field {written!r} in {where}{hint}")

    def _forget_siblings(self, kind: str, *, place: str, but: str) -> None:
        others = {f"{place}.{n}" for n, spec in MESSAGES[kind].items() if spec.one_of and n != but}

        def lies_in_other(path: str) -> bool:
            return any(path == other or path.startswith(f"{other}.") for other in others)

        self.given = {path: item for path, item in self.given.items() if not lies_in_other(path)}
        self._types = {path: item for path, item in self._types.items() if not lies_in_other(path)}


def possible(spec: FieldSpec) -> str:
    """Returns the values that lstd can do, as they are written in a file."""
    return ", ".join(
        str(value).lower() if isinstance(value, bool) else str(value) for value in spec.only
    )


def _convert(scalar: text_proto.Scalar, spec: FieldSpec) -> Any:
    """Raises ValueError for a scalar that is not of the field's type."""
    if spec.kind == "string":
        return _text_of(scalar, "string")
    if spec.kind == "int":
        return _integer(_text_of(scalar, "number"))
    if spec.kind == "float":
        return _real(scalar)
    if spec.kind == "bool":
        return _truth(_text_of(scalar, "name", "number"))
    name = _text_of(scalar, "name")
    if name not in spec.choices:
        raise ValueError
    return name


def _text_of(scalar: text_proto.Scalar, *kinds: str) -> str:
    if scalar.kind not in kinds:
        raise ValueError
    return scalar.text


def _integer(text: str) -> int:
    digits = text.lstrip("-")
    if digits[:2].lower() == "0x":
        return int(text, 16)
    is_octal = len(digits) > 1 and digits[0] == "0"
    return int(text, 8 if is_octal else 10)


def _real(scalar: text_proto.Scalar) -> float:
    if scalar.kind == "name" and scalar.text.lstrip("-").lower() not in ("inf", "infinity", "nan"):
        raise ValueError
    text = _text_of(scalar, "number", "name")
    is_named = scalar.kind == "name"
    return float(text if is_named else text.rstrip("fF"))


def _truth(text: str) -> bool:
    if text in ("true", "True", "t", "1"):
        return True
    if text in ("false", "False", "f", "0"):
        return False
    raise ValueError


def _expected(spec: FieldSpec) -> str:
    return {
        "int": "a whole number",
        "float": "a number",
        "bool": "true or false",
        "string": "a quoted string",
        "enum": "one of " + ", ".join(spec.choices),
        "message": "a block in braces",
    }[spec.kind]


def _as_written(scalar: text_proto.Scalar) -> str:
    return repr(scalar.text) if scalar.kind == "string" else scalar.text


def _close_match(name: str, names: Any) -> str:
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; expected one of {', '.join(names)}" if names else ""
