"""Reads protobuf's text format into a tree that remembers lines. It knows no message types.

Why not `google.protobuf.text_format`: it throws the lines away once a value is parsed, and the most
useful errors come later ("line 40: this optimizer is not available"); it offers no close match for
a misspelt field; it rounds floats to 32 bits, so that 0.2 would not equal the 0.2 of a YAML file;
it needs descriptors with the original's field numbers; and its message factory changed between
protobuf 3.20 and 5. The syntax is small. `tests/base/test_text_proto.py` compares this reader with
protobuf's own writer.

Syntax: https://protobuf.dev/reference/protobuf/textformat-spec/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from lstd.base.documents import MOST_DEPTH


class TextProtoError(ValueError):
    """Text that is not in protobuf's text format; the message opens with source and line."""


class Scalar(NamedTuple):
    """A value that is no message, not yet converted to a type.

    Attributes:
        kind: how it was written; `name` covers enums, true, false, inf and nan.
        text: a string's contents with escapes resolved; anything else as it stands in the text.
        line: counted from 1.
    """

    kind: Literal["string", "number", "name"]
    text: str
    line: int


class Message(NamedTuple):
    """What stands between two braces, or in a whole file.

    Attributes:
        fields: in the order of the text; a repeated field comes several times.
        line: where the message opens, counted from 1.
    """

    fields: tuple[Field, ...]
    line: int


class Field(NamedTuple):
    """One `name: value`.

    Attributes:
        name: for an extension its full name, without the brackets.
        value: what it holds.
        line: where the name stands, counted from 1.
        is_extension: written as `[name]`.
    """

    name: str
    value: Scalar | Message
    line: int
    is_extension: bool


def parse(text: str, *, source: str = "text proto") -> Message:
    """Returns the tree of a text proto.

    Comments, both quotes, adjacent strings, `key: {` and `key {`, `<` for `{`, `[1, 2]` for
    repeated fields, and commas or semicolons after a field are understood.

    >>> parse("a { b: 'x' } # a comment").fields[0].value.fields[0].value.text
    'x'

    Raises:
        TextProtoError: names source, line, what was expected and what came.
    """
    return _Parser(text, source).message(line=1, end=None)


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


_TOKENS = re.compile(
    r"""(?P<space>[ \t\r\f\v]+|\#[^\n]*)
    |(?P<newline>\n)
    |(?P<string>"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*')
    |(?P<number>(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[fF]?)(?![\w.]))
    |(?P<name>[A-Za-z_]\w*)
    |(?P<symbol>[][{}<>:;,./-])""",
    re.VERBOSE | re.ASCII,
)
_END = "the end of the text"


def _tokens(text: str, source: str) -> Iterator[_Token]:
    line, position = 1, 0
    while position < len(text):
        found = _TOKENS.match(text, position)
        if found is None:
            problem = (
                "a string that is not closed on its line"
                if text[position] in "\"'"
                else f"unexpected {text[position:].split()[0][:20]!r}"
            )
            raise TextProtoError(f"{source}, line {line}: {problem}")
        position = found.end()
        kind = str(found.lastgroup)
        if kind == "newline":
            line += 1
        elif kind != "space":
            yield _Token(kind, found.group(), line)
    yield _Token("end", _END, line)


class _Parser:
    """Recursive descent, with one token of lookahead."""

    def __init__(self, text: str, source: str) -> None:
        self._source = source
        self._rest = _tokens(text.removeprefix("\ufeff"), source)
        self._next = next(self._rest)
        self._depth = 0

    def message(self, *, line: int, end: str | None) -> Message:
        fields: list[Field] = []
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise TextProtoError(f"{self._source}, line {line}: messages are nested too deeply")
        while not self._at_end_of(end, opened=line):
            fields.extend(self._field())
            if self._next.text in (",", ";"):
                self._take()
        self._depth -= 1
        return Message(tuple(fields), line)

    def _at_end_of(self, end: str | None, *, opened: int) -> bool:
        if self._next.kind != "end":
            if end is None or self._next.text != end or self._next.kind != "symbol":
                return False
            self._take()
            return True
        if end is None:
            return True
        raise self._error(f"{end!r} to close what line {opened} opens")

    def _field(self) -> Iterator[Field]:
        line, is_extension = self._next.line, self._next.text == "["
        name = self._extension_name() if is_extension else self._name("a field's name")
        colon = self._skip(":")
        if self._next.text == "[" and colon:
            for value in self._list():
                yield Field(name, value, line, is_extension)
        else:
            yield Field(name, self._value(colon=colon, name=name), line, is_extension)

    def _extension_name(self) -> str:
        self._take()
        parts = [self._name("an extension's name")]
        while self._next.text in (".", "/"):
            parts += [self._take().text, self._name("an extension's name")]
        self._expect("]")
        return "".join(parts)

    def _list(self) -> Iterator[Scalar | Message]:
        self._expect("[")
        while self._next.text != "]":
            yield self._value(colon=True, name="the list")
            if not self._skip(","):
                break
        self._expect("]")

    def _value(self, *, colon: bool, name: str) -> Scalar | Message:
        token = self._next
        if token.kind == "symbol" and token.text in "{<":
            self._take()
            return self.message(line=token.line, end="}" if token.text == "{" else ">")
        if not colon:
            raise self._error(f"':' or '{{' after {name!r}")
        if token.kind == "string":
            return Scalar("string", self._strings(), token.line)
        sign = "-" if self._skip("-") else ""
        if self._next.kind not in ("number", "name"):
            raise self._error(f"a value for {name!r}")
        kind: Literal["number", "name"] = "number" if self._next.kind == "number" else "name"
        return Scalar(kind, sign + self._take().text, token.line)

    def _strings(self) -> str:
        parts = []
        while self._next.kind == "string":
            token = self._take()
            try:
                parts.append(_unescaped(token.text[1:-1]))
            except (UnicodeDecodeError, ValueError, OverflowError):
                raise TextProtoError(
                    f"{self._source}, line {token.line}: {token.text} has an escape that is no text"
                ) from None
        return "".join(parts)

    def _name(self, expected: str) -> str:
        if self._next.kind != "name":
            raise self._error(expected)
        return self._take().text

    def _expect(self, symbol: str) -> None:
        if not self._skip(symbol):
            raise self._error(repr(symbol))

    def _skip(self, symbol: str) -> bool:
        if self._next.kind != "symbol" or self._next.text != symbol:
            return False
        self._take()
        return True

    def _take(self) -> _Token:
        token = self._next
        self._next = next(self._rest, token)
        return token

    def _error(self, expected: str) -> TextProtoError:
        came = self._next.text if self._next.kind == "end" else repr(self._next.text)
        return TextProtoError(
            f"{self._source}, line {self._next.line}: expected {expected}, found {came}"
        )


_ESCAPE = re.compile(
    rb"\\(?:x(?P<hex>[0-9a-fA-F]{1,2})|(?P<octal>[0-7]{1,3})|u(?P<short>[0-9a-fA-F]{4})"
    rb"|U(?P<long>[0-9a-fA-F]{8})|(?P<plain>.))",
    re.DOTALL,
)
_PLAIN = dict(zip(b"abfnrtv\\'\"?", b"\a\b\f\n\r\t\v\\'\"?", strict=True))


def _unescaped(text: str) -> str:
    """Hexadecimal and octal escapes are bytes of UTF-8, as protobuf writes them."""

    def value_of(found: re.Match[bytes]) -> bytes:
        if found["hex"]:
            return bytes([int(found["hex"], 16)])
        if found["octal"]:
            return bytes([int(found["octal"], 8)])
        if code := found["short"] or found["long"]:
            return chr(int(code, 16)).encode()
        if found["plain"][0] not in _PLAIN:
            raise ValueError
        return bytes([_PLAIN[found["plain"][0]]])

    return _ESCAPE.sub(value_of, text.encode()).decode()
