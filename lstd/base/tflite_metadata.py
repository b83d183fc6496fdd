"""A text inside a `.tflite`, as one of the named metadata that the format has a place for.

The text goes in front of everything else: between the eight bytes that each file begins with and
what they point at. A FlatBuffer's offsets only lead forward, so this is the one place from which
both the new text and all that stood there can be reached, and nothing that stood there changes but
its distance from the start; that grows by a multiple of 64, which keeps the weights' alignment.

No TensorFlow, and a reader touches only the few bytes that it needs.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import struct
from collections.abc import Iterator
from typing import Any, Union

from lstd.base import documents

NAME = "lstd.json"
"""The name of our metadata."""

FORMAT = "lstd"
"""What the JSON says of itself under the key `format`."""

IDENTIFIER = b"TFL3"
_HEADER = 8  # where the root is, and the identifier
_ALIGNMENT = 64
_VECTOR_ALIGNMENT = 16  # of the bytes of a buffer, as the schema demands
# Fields of the table `Model`, by their place in its vtable; all are 4 bytes wide.
_SUBGRAPHS, _BUFFERS, _METADATA, _NUM_FIELDS = 2, 4, 6, 8
_VERSION = 0  # the only field that is a number, not an offset
_LAST_ROOT = 256  # writers place the root table near the start; the converter at 28

Content = Union[bytes, memoryview, "mmap.mmap"]


def read(path: str | os.PathLike[str], name: str = NAME) -> str | None:
    """Returns the text of this name inside a file, None where there is none.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a `.tflite`, or the text is not UTF-8.
    """
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size < _HEADER:
            raise ValueError(f"{os.fspath(path)}: this is not a TFLite file")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            try:
                return read_from(content, name)
            except ValueError as error:
                raise ValueError(f"{os.fspath(path)}: {error}") from None


def read_from(content: Content, name: str = NAME) -> str | None:
    """Returns the text of this name inside the content of a file, None where there is none.

    Raises:
        ValueError: it is not a `.tflite`, is damaged, or the text is not UTF-8.
    """
    _check(content)
    with _damage_refused():
        fields = _fields(content)
        for entry in _vector(content, fields[_METADATA]):
            named, buffer = _table(content, entry)[:2]
            if named and _bytes(content, named) == name.encode():
                number = _uint(content, buffer) if buffer else 0
                (data, *_) = (*_table(content, _vector(content, fields[_BUFFERS])[number]), 0)
                try:
                    return (_bytes(content, data) if data else b"").decode("utf-8")
                except UnicodeDecodeError:
                    raise ValueError(f"the metadata {name} inside of it are not UTF-8") from None
    return None


def is_ours(text: str | bytes) -> bool:
    """Returns whether a text is metadata of our export, damaged or not, and not any other JSON."""
    try:
        facts = documents.from_json(text, source=NAME)
    except ValueError:
        words = text.decode(errors="replace") if isinstance(text, bytes) else text
        return f'"format": "{FORMAT}"' in words
    return isinstance(facts, dict) and facts.get("format") == FORMAT


def embed(content: bytes, text: str, name: str = NAME) -> bytes:
    """Returns a `.tflite` with a text inside.

    The bytes of `content` from the ninth on are the last bytes of what is returned.

    Raises:
        ValueError: it is not a `.tflite`, is damaged, has a text of that name, or fields of its
            root table that a later version of the format has added.
    """
    if read_from(content, name) is not None:
        raise ValueError(f"the TFLite file already has metadata {name}")
    with _damage_refused():
        return _head(content, _fields(content), text, name) + content[_HEADER:]


def payload_facts(content: bytes) -> dict[str, Any]:
    """Returns what metadata can say of the file they are put into, before they are."""
    payload = content[_HEADER:]
    return {
        "payload": "the last payload_bytes bytes of the file: all but the header and this text",
        "payload_bytes": len(payload),
        "payload_sha256": hashlib.sha256(payload).hexdigest(),
    }


def payload_matches(facts: dict[str, Any], content: Content) -> bool:
    """Returns whether a file's last bytes are those that its metadata speak of."""
    number, digest = _payload(facts)
    if not 0 < number <= len(content):
        return False
    with memoryview(content) as view:
        return hashlib.sha256(view[-number:]).hexdigest() == digest


def is_whole(content: Content) -> bool | None:
    """Returns whether a file has all its bytes as our export wrote them, None where it is unknown.

    The metadata hold a checksum of what stands behind them, and what stands before that follows
    from both. Of the text itself only what leads there is known to be right.

    Raises:
        ValueError: it is not a `.tflite`, is damaged, or the metadata are no text.
    """
    text = read_from(content) or ""
    facts: dict[str, Any] = {}
    with contextlib.suppress(ValueError):
        facts = documents.from_json(text, source=NAME, kind=dict)
    number, _ = _payload(facts)
    if not number:
        return None
    if not payload_matches(facts, content):
        return False
    ahead = len(content) - number - _HEADER
    with memoryview(content) as view, view[ahead:] as original:  # but for its first bytes
        for root in range(_HEADER, min(_LAST_ROOT, number), 4):
            with contextlib.suppress(struct.error, IndexError, ValueError):
                fields = _fields(original, root)
                told, found = _fields(content)[_SUBGRAPHS], fields[_SUBGRAPHS]
                if _target(content, told) == _target(original, found) + ahead:
                    return _head(original, fields, text, NAME) == content[: ahead + _HEADER]
    return None


def _payload(facts: dict[str, Any]) -> tuple[int, str]:
    """Returns how many of the last bytes have a checksum, 0 where none has, and the checksum."""
    told = facts.get("file")
    told = told if isinstance(told, dict) else {}
    number = told.get("payload_bytes")
    return (number if isinstance(number, int) else 0), str(told.get("payload_sha256"))


def _head(content: Content, fields: dict[int, int], text: str, name: str) -> bytes:
    """Returns what stands before the ninth byte of a `.tflite` when a text is inside."""
    buffers = _vector(content, fields[_BUFFERS])
    entries = _vector(content, fields[_METADATA])
    if any(_is_outside(content, buffer) for buffer in buffers):
        raise ValueError("a TFLite file with weights behind its end (over 2 GB) takes no metadata")
    block = _Block()
    present = {number for number, place in fields.items() if place} | {_BUFFERS, _METADATA}
    root = block.add_table([4 * (number in present) for number in range(_NUM_FIELDS)])
    new_buffers = block.add_vector_of_tables(len(buffers) + 1)
    new_entries = block.add_vector_of_tables(len(entries) + 1)
    entry = block.add_table([4, 4])  # Metadata: name, number of its buffer
    buffer = block.add_table([4])  # Buffer: bytes
    block.point(entry + 4, block.add_bytes(name.encode() + b"\0", length=len(name.encode())))
    block.put(entry + 8, len(buffers))
    block.align(_VECTOR_ALIGNMENT, ahead=4)
    block.point(buffer + 4, block.add_bytes(text.encode("utf-8")))
    block.align(_ALIGNMENT, ahead=-_HEADER)
    shift = len(block.content) - _HEADER
    block.point(0, root)
    for vector, old, new in ((new_buffers, buffers, buffer), (new_entries, entries, entry)):
        for number, target in enumerate([*(place + shift for place in old), new]):
            block.point(vector + 4 + 4 * number, target)
    places = block.fields(root)
    for number in present - {_BUFFERS, _METADATA, _VERSION}:
        block.point(places[number], _target(content, fields[number]) + shift)
    if _VERSION in present:
        block.put(places[_VERSION], _uint(content, fields[_VERSION]))
    block.point(places[_BUFFERS], new_buffers)
    block.point(places[_METADATA], new_entries)
    return bytes(block.content)


class _Block:
    """The first bytes of the new file, from its beginning on."""

    def __init__(self) -> None:
        self.content = bytearray(b"\0" * 4 + IDENTIFIER)

    def align(self, alignment: int, *, ahead: int = 0) -> None:
        """Fills up so that the place `ahead` bytes behind the end is aligned."""
        self.content.extend(bytes(-(len(self.content) + ahead) % alignment))

    def add(self, values: bytes, alignment: int = 4) -> int:
        """Returns where these bytes now stand."""
        self.align(alignment)
        place = len(self.content)
        self.content.extend(values)
        return place

    def add_table(self, sizes: list[int]) -> int:
        """Returns where a table of zeros now stands; a field of size 0 is not there."""
        offsets = [4 + sum(sizes[:n]) if size else 0 for n, size in enumerate(sizes)]
        widths = (4 + 2 * len(sizes), 4 + sum(sizes))  # of the vtable and the table
        vtable = self.add(struct.pack(f"<{2 + len(sizes)}H", *widths, *offsets))
        table = self.add(bytes(widths[1]))
        self.put(table, table - vtable)
        return table

    def add_vector_of_tables(self, length: int) -> int:
        """Returns where a vector of offsets now stands, which lead nowhere yet."""
        return self.add(struct.pack("<I", length) + bytes(4 * length))

    def add_bytes(self, values: bytes, *, length: int | None = None) -> int:
        """Returns where a vector of bytes now stands."""
        return self.add(struct.pack("<I", len(values) if length is None else length) + values)

    def fields(self, table: int) -> list[int]:
        """Returns where the fields of a table are."""
        return _table(bytes(self.content), table)

    def put(self, place: int, number: int) -> None:
        """Writes a number."""
        self.content[place : place + 4] = struct.pack("<i", number)

    def point(self, place: int, target: int) -> None:
        """Writes the offset that leads from a place to another one behind it."""
        self.put(place, target - place)


@contextlib.contextmanager
def _damage_refused() -> Iterator[None]:
    """Makes one sentence of what an offset to nowhere leads to."""
    try:
        yield
    except (struct.error, IndexError):
        raise ValueError("this TFLite file is damaged") from None


def _check(content: Content) -> None:
    if len(content) < _HEADER or content[4:8] != IDENTIFIER:
        raise ValueError("this is not a TFLite file")


def _is_outside(content: Content, buffer: int) -> bool:
    """Returns whether a buffer's bytes stand behind the FlatBuffer, found by their distance."""
    offset = _table(content, buffer)[1]
    return bool(offset) and int(struct.unpack_from("<Q", content, offset)[0]) > 1


def _uint(content: Content, place: int) -> int:
    return int(struct.unpack_from("<I", content, place)[0])


def _target(content: Content, place: int) -> int:
    """Returns where the offset at a place leads."""
    return place + _uint(content, place)


def _table(content: Content, table: int) -> list[int]:
    """Returns where each field of a table is, 0 for one that is not there; two at least."""
    vtable = table - int(struct.unpack_from("<i", content, table)[0])
    (size,) = struct.unpack_from("<H", content, vtable)
    offsets = struct.unpack_from(f"<{(size - 4) // 2}H", content, vtable + 4)
    found = [table + offset if offset else 0 for offset in offsets]
    return [*found, *[0] * (2 - len(found))]


def _fields(content: Content, root: int | None = None) -> dict[int, int]:
    """Returns where each field of the root table is, by its number."""
    found = _table(content, _target(content, 0) if root is None else root)
    if any(found[_NUM_FIELDS:]):
        raise ValueError("this TFLite file is of a later version than lstd knows")
    found += [0] * (_NUM_FIELDS - len(found))
    return dict(enumerate(found[:_NUM_FIELDS]))


def _vector(content: Content, place: int) -> list[int]:
    """Returns where the tables of a vector are; empty where there is no vector."""
    if not place:
        return []
    start = _target(content, place)
    return [_target(content, start + 4 + 4 * n) for n in range(_uint(content, start))]


def _bytes(content: Content, place: int) -> bytes:
    start = _target(content, place)
    length = _uint(content, start)
    if start + 4 + length > len(content):
        raise IndexError
    return bytes(content[start + 4 : start + 4 + length])
