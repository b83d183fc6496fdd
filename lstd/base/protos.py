"""Protobuf's text format, read by protobuf on message types that a table describes.

A table maps each message type to its fields, in the manner of a `.proto` file without numbers: the
text format needs none. Floats are doubles, so that 0.2 equals the 0.2 of a YAML file.
"""

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from lstd.base.close_names import close_match

ONE_OF, REFUSED = "one of", "refused"

_FIELD = re.compile(
    r"(?:(?P<section>[\w ]+):\s*)?(?P<repeated>repeated\s+)?(?:(?P<type>[\w|]+)\s+)?(?P<name>\w+)"
    r"(?:\s*=\s*(?P<default>\S+))?(?:\s+in\s+\((?P<only>[^)]*)\))?"
)
_TYPES = {"int": "int64", "float": "double"}
_QUOTED = re.compile(r"^'.*': (?=[A-Z])", re.DOTALL)
_UNKNOWN_FIELD = re.compile(r'Message type "\w+\.(\w+)" has no field named "(.*)"')
_UNKNOWN_VALUE = re.compile(r'Enum type "\w+\.(\w+)\.(\w+)" has no value named (.*)')


class Field(NamedTuple):
    """One field of a message type.

    Attributes:
        name: in the text.
        type: int, float, bool, string, a message type, or an enum's names as `A|B`.
        repeated: it may come several times.
        default: as text, or None.
        only: the values that it may have, as text; empty: any.
        section: the words and colon that it, or a field before it, is introduced by. Of the fields
            that are `one of`, the last given counts; what is `refused` has a reason in `Schema`.
    """

    name: str
    type: str
    repeated: bool
    default: str | None
    only: tuple[str, ...]
    section: str

    @property
    def names(self) -> tuple[str, ...]:
        """Of an enum's values, in order; empty for another type."""
        return tuple(self.type.split("|")) if "|" in self.type else ()


class Schema:
    """Message types, the first of which is that of a whole text."""

    def __init__(
        self, messages: Mapping[str, str], *, reasons: Mapping[str, str] | None = None
    ) -> None:
        """Takes a table, and why fields are refused; members of a `one of` need no reason.

        >>> schema = Schema({"Crop": "int top = 2; repeated float sizes; Kind kind", "Kind": ""})
        >>> crop = schema.read("sizes: [0.2, 1] kind { }", source="a.config")
        >>> crop.top, list(crop.sizes), crop.HasField("kind")
        (2, [0.2, 1.0], True)
        """
        self.fields = {
            kind: {field.name: field for field in _fields(text)} for kind, text in messages.items()
        }
        self._reasons = reasons or {}

    def read(self, text: str, *, source: str) -> Any:
        """Returns the message that a text describes; a value given twice counts as given last.

        Raises:
            ValueError: an unknown field or value (with the closest match), a refused field, another
                type, or text that is no text proto; with source and line.
        """
        from google.protobuf import text_format

        message = self._root()
        try:
            text_format.Merge(text, message)
        except text_format.ParseError as error:
            problem = str(error).partition(" : ")[2] or str(error)
            line = error.GetLine() or 1
            explained = self._explain(problem, text.split("\n")[line - 1])
            raise ValueError(f"{source}, line {line}: {explained}") from None
        return message

    def _explain(self, problem: str, written: str) -> str:
        """Returns what is wrong with a line, from protobuf's words for it."""
        problem = _QUOTED.sub("", problem).rstrip(".")
        if found := _UNKNOWN_VALUE.fullmatch(problem):
            kind, enum, value = found.groups()
            field = self.fields[kind][enum.lower()]
            return f"unknown value {value!r} of {field.name}" + close_match(value, field.names)
        if found := _UNKNOWN_FIELD.fullmatch(problem):
            kind, name = found.groups()
            fields = self.fields[kind].values()
            if name in self.fields[kind]:
                choices = ", ".join(field.name for field in fields if field.section == ONE_OF)
                reason = self._reasons.get(name, f"possible: {choices}")
                return f"{name} is not available in lstd; {reason}"
            known = [field.name for field in fields if field.section != REFUSED]
            return f"unknown field {name!r} in {kind}" + close_match(name, known)
        return f"{problem[:1].lower()}{problem[1:100]} in {written.strip()[:60]!r}"

    @functools.cached_property
    def _root(self) -> Any:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

        file = descriptor_pb2.FileDescriptorProto(name="lstd.proto", package="lstd")
        for kind, fields in self.fields.items():
            self._add(file.message_type.add(name=kind), fields.values())
        pool = descriptor_pool.DescriptorPool()
        pool.AddSerializedFile(file.SerializeToString())
        root = pool.FindMessageTypeByName(f"lstd.{next(iter(self.fields))}")
        return message_factory.GetMessageClass(root)

    def _add(self, message: Any, fields: Iterable[Field]) -> None:
        for number, field in enumerate(fields, start=1):
            if field.section == REFUSED:
                continue
            made = message.field.add(name=field.name, number=number)
            made.label = made.LABEL_REPEATED if field.repeated else made.LABEL_OPTIONAL
            if field.default is not None:
                made.default_value = field.default
            if field.names:
                enum = message.enum_type.add(name=field.name.upper())
                for value, name in enumerate(field.names):
                    enum.value.add(name=name, number=value)
                made.type, made.type_name = made.TYPE_ENUM, enum.name
            elif field.type in self.fields:
                made.type, made.type_name = made.TYPE_MESSAGE, field.type
            else:
                made.type = getattr(made, f"TYPE_{_TYPES.get(field.type, field.type).upper()}")
            if field.section == ONE_OF:
                made.oneof_index = 0
        if any(field.section == ONE_OF for field in fields):
            message.oneof_decl.add(name="one_of")


def _fields(text: str) -> Iterable[Field]:
    section = ""
    for statement in filter(None, map(str.strip, text.split(";"))):
        found = _FIELD.fullmatch(statement)
        if found is None:
            raise ValueError(f"not a field: {statement!r}")
        section = found["section"] or section
        name, kind, default = found["name"], found["type"], found["default"]
        only = tuple((found["only"] or "").split())
        yield Field(name, kind, bool(found["repeated"]), default, only, section)
