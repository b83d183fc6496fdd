"""A text inside a `.tflite`, as one of the named metadata that the format has a place for.

The text goes in front of all that was there, so that the weights keep their distance to each other
and their alignment. No TensorFlow where LiteRT is installed, which brings the format's schema.
"""

import contextlib
import hashlib
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lstd.base import documents

NAME = "lstd.json"
"""The name of our metadata."""
FORMAT = "lstd"
"""What the JSON says of itself under the key `format`."""

_IDENTIFIER = b"TFL3"
_HEADER = 8  # where the root is, and the identifier
_ALIGNMENT = 64
_VERSION, _BUFFERS, _METADATA, _NUM_FIELDS = 0, 4, 6, 9  # fields of the table `Model`
_SEAL = "whole_sha256"
_NO_SEAL = "0" * 64


def schema() -> Any:
    """Returns the module of TFLite's schema."""
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError:
        from tensorflow.lite.python import schema_py_generated
    return schema_py_generated


def model_of(content: bytes) -> Any:
    """Returns the root table of a `.tflite`, whose fields are read when they are asked for."""
    if content[4:_HEADER] != _IDENTIFIER:
        raise ValueError("this is not a TFLite file")
    return schema().Model.GetRootAs(content, 0)


@contextlib.contextmanager
def damage_refused() -> Iterator[None]:
    """Makes one sentence, in a ValueError, of what an offset to nowhere leads to."""
    try:
        yield
    except (struct.error, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"this TFLite file is damaged ({error})") from None


def facts_in(path: Path) -> dict[str, Any] | None:
    """Returns the metadata of our export inside a `.tflite`, or that a JSON is; None without any.

    Raises:
        ValueError: not a `.tflite`, or the metadata are no JSON object.
    """
    text: str | bytes | None = None
    if path.is_file() and path.suffix == ".json":
        content = path.read_bytes()
        text = content if is_ours(content) else None
    elif path.is_file():
        text = read(path)
    return None if text is None else documents.from_json(text, source=str(path), kind=dict)


def read(path: str | os.PathLike[str], name: str = NAME) -> str | None:
    """Returns the text of this name inside a file, None where there is none.

    Raises:
        ValueError: it is not a `.tflite`, is damaged, or the text is not UTF-8.
    """
    try:
        return read_from(Path(path).read_bytes(), name)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from None


def read_from(content: bytes, name: str = NAME) -> str | None:
    """Returns the text of this name inside the content of a file; see `read`."""
    with damage_refused():
        model = model_of(content)
        for number in range(model.MetadataLength()):
            entry = model.Metadata(number)
            if entry.Name() == name.encode():
                data = model.Buffers(entry.Buffer())._tab
                place = data.Offset(4)  # of the first field, the bytes
                start, size = (data.Vector(place), data.VectorLen(place)) if place else (0, 0)
                if start + size > len(content):
                    raise ValueError(f"this TFLite file is damaged: {name} ends behind its end")
                try:
                    return content[start : start + size].decode()
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
    """Returns a `.tflite` with a text inside, sealed if the text holds `payload_facts`.

    The bytes of `content` from the ninth on are the last ones of what is returned, but for zeros
    behind them up to a multiple of 64.

    Raises:
        ValueError: it is not a `.tflite`, is damaged, has a text of that name, weights behind its
            end, or fields of its root table that a later version of the format has added.
    """
    import flatbuffers

    if read_from(content, name) is not None:
        raise ValueError(f"the TFLite file already has metadata {name}")
    with damage_refused():
        content = _padded(content)
        model = model_of(content)
        table = model._tab
        fields = [table.Offset(4 + 2 * number) for number in range(_NUM_FIELDS + 8)]
        if any(fields[_NUM_FIELDS:]):
            raise ValueError("this TFLite file is of a later version than lstd knows")
        buffers = [model.Buffers(number) for number in range(model.BuffersLength())]
        if any(buffer.Offset() > 1 for buffer in buffers):
            raise ValueError(
                "a TFLite file with weights behind its end (over 2 GB) takes no metadata"
            )
        entries = [model.Metadata(number) for number in range(model.MetadataLength())]
        # A builder puts everything in front of what it holds: here, of all that was there.
        builder = flatbuffers.Builder(0)
        builder.Bytes, builder.head, builder.minalign = bytearray(content[_HEADER:]), 0, _ALIGNMENT
        data = text.encode()
        builder.Prep(16, len(data))
        text_at, name_at = builder.CreateByteVector(data), builder.CreateString(name)
        made = schema()
        made.BufferStart(builder)
        made.BufferAddData(builder, text_at)
        buffer = made.BufferEnd(builder)
        made.MetadataStart(builder)
        made.MetadataAddName(builder, name_at)
        made.MetadataAddBuffer(builder, len(buffers))
        entry = made.MetadataEnd(builder)

        def vector(tables: Sequence[Any], another: int) -> int:
            places = [*(len(content) - each._tab.Pos for each in tables), another]
            builder.StartVector(4, len(places), 4)
            for place in reversed(places):
                builder.PrependUOffsetTRelative(place)
            return builder.EndVector()

        new = {_BUFFERS: vector(buffers, buffer), _METADATA: vector(entries, entry)}
        builder.StartObject(_NUM_FIELDS)
        for number in range(_NUM_FIELDS):
            place = table.Pos + fields[number]
            if number == _VERSION:
                builder.PrependUint32Slot(number, model.Version(), 0)
            elif number in new or fields[number]:
                old = len(content) - place - int.from_bytes(content[place : place + 4], "little")
                builder.PrependUOffsetTRelativeSlot(number, new.get(number, old), 0)
        builder.Finish(builder.EndObject(), _IDENTIFIER)
        whole = bytes(builder.Output())
        place, digest = f'"{_SEAL}": "{_NO_SEAL}"', hashlib.sha256(whole).hexdigest()
        return whole.replace(place.encode(), place.replace(_NO_SEAL, digest).encode(), 1)


def payload_facts(content: bytes) -> dict[str, Any]:
    """Returns what metadata can say of the file they are put into, before they are."""
    payload = _padded(content)[_HEADER:]
    return {
        "payload": "the last payload_bytes bytes of the file: all but the header and this text",
        "payload_bytes": len(payload),
        "payload_sha256": hashlib.sha256(payload).hexdigest(),
        _SEAL: _NO_SEAL,
    }


def payload_matches(facts: dict[str, Any], content: bytes) -> bool:
    """Returns whether a file's last bytes are those that its metadata speak of."""
    told = _of_file(facts)
    number = told.get("payload_bytes")
    if not isinstance(number, int) or not 0 < number <= len(content):
        return False
    return hashlib.sha256(memoryview(content)[-number:]).hexdigest() == told.get("payload_sha256")


def is_whole(content: bytes) -> bool | None:
    """Returns whether a file has all its bytes as our export wrote them, None where it is unknown.

    That is of files of others, and of ours from before there was a checksum of the whole.
    """
    text, facts = read_from(content) or "", {}
    with contextlib.suppress(ValueError):
        facts = documents.from_json(text, source=NAME, kind=dict)
    told = _of_file(facts)
    if isinstance(seal := told.get(_SEAL), str):
        unsealed = content.replace(seal.encode(), _NO_SEAL.encode(), 1)
        return hashlib.sha256(unsealed).hexdigest() == seal
    if "payload_bytes" in told and not payload_matches(facts, content):
        return False
    return None


def _of_file(facts: dict[str, Any]) -> dict[str, Any]:
    told = facts.get("file")
    return told if isinstance(told, dict) else {}


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % _ALIGNMENT)
