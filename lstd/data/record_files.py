"""Finds TFRecord files, lists their videos without reading the frames, and reads a record."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import tensorflow as tf
from google.protobuf.message import DecodeError

# Documented, not exported: a record by its place. A dataset of one record takes 30 times as long.
from tensorflow.python.lib.io import tf_record

from lstd.base import limits
from lstd.data.problems import ProblemError

_PREFIX_BYTES = 1 << 14  # enough for the context of a record, which stands before its frames


class Part(NamedTuple):
    """A record, which holds a video or a part of one.

    Attributes:
        path: its file.
        number: which record of the file, from 0.
        offset: where in the file it begins, bytes.
        first_frame: number of its first frame in the video.
        height: of the frames, pixels; 0 unknown.
        width: likewise.
        num_frames: how many it holds; 0 unknown.
        after_damage: whether a damaged record that stood before it is left out.
    """

    path: str
    number: int
    offset: int
    first_frame: int
    height: int
    width: int
    num_frames: int = 0
    after_damage: bool = False


class Video(NamedTuple):
    """A video: its id, which two videos may have, and the records that hold it, in order."""

    name: str
    parts: tuple[Part, ...]


def find(patterns: Sequence[str], *, where: str = "input_path") -> list[str]:
    """Returns the sorted files that match the patterns; one that is a file's path is that file.

    Raises:
        ValueError: there are no patterns.
        FileNotFoundError: a pattern matches no file.
    """
    if not patterns:
        raise ValueError(f"{where} is empty: give the TFRecord files to read, * and ? are allowed")
    found: set[str] = set()
    for pattern in patterns:
        matches = [pattern] if tf.io.gfile.exists(pattern) else tf.io.gfile.glob(pattern)
        if not matches:
            raise FileNotFoundError(f"{where}: no file matches {pattern!r}")
        found.update(matches)
    return sorted(found)


def list_videos(
    paths: Iterable[str],
    *,
    on_damage: Callable[[ProblemError], None] | None = None,
    check: Callable[[Part], object] | None = None,
) -> list[Video]:
    """Returns the videos of the files, in the order of the files.

    A record with `video/first_frame` above 0 continues the one before it when both have the same
    source id. A video without an id is called by file and record number.

    Args:
        paths: TFRecord files.
        on_damage: is told of a record that is left out, and of a file that cannot be read on; None:
            an error.
        check: is called with every record, and raises ProblemError for one that is no use.

    Raises:
        ProblemError: a file that is not a TFRecord file, is empty or cut off, or holds something
            other than SequenceExamples; the message names file and record.
    """
    groups: list[tuple[str, list[Part]]] = []
    damaged = False

    def met(error: ProblemError) -> None:
        nonlocal damaged
        if on_damage is None:
            raise error
        on_damage(error)
        damaged = True

    for path in paths:
        for name, part in _scan(path, met, check):
            part, damaged = part._replace(after_damage=damaged), False
            continues = bool(groups) and part.first_frame > groups[-1][1][-1].first_frame
            if continues and groups[-1][0] == name:
                groups[-1][1].append(part)
            else:
                groups.append((name, [part]))
    return [
        Video(name or f"@{parts[0].path}#{parts[0].number}", tuple(parts)) for name, parts in groups
    ]


def name_of(part: Part) -> str:
    """Returns file and number of a record, for messages."""
    return f"{part.path}: record {part.number} (from 0)"


def read(part: Part) -> bytes:
    """Returns the serialized record.

    Raises:
        ProblemError: its checksum is wrong, or it is gone; the message names file and record.
    """
    return _read_at(part.path, part.number, part.offset, reader=None)


def read_all(
    path: str, on_damage: Callable[[ProblemError], None]
) -> Iterator[tuple[int, int, bytes]]:
    """Yields number, offset and content of each record that is whole.

    `on_damage` is told of the others, and of a file that is not a TFRecord file, is empty, or
    cannot be read on.
    """
    reader = tf_record.tf_record_random_reader(path)
    with tf.io.gfile.GFile(path, "rb") as file:
        try:
            for number, offset, _ in _heads(file, path):
                try:
                    content = _read_at(path, number, offset, reader=reader)
                except ProblemError as error:
                    on_damage(error)
                else:
                    yield number, offset, content
        except ProblemError as error:
            on_damage(error)


def kind_of(path: str) -> Literal["sequence", "example", ""]:
    """Returns what the records of a file are: SequenceExamples, tf.Examples, or no records at all.

    The first record that can be told decides.
    """
    kinds: list[Literal["sequence", "example"]] = []
    with tf.io.gfile.GFile(path, "rb") as file:
        if _length(file.read(12)) is None:
            return ""
        with contextlib.suppress(ProblemError):
            for number, _, length in _heads(file, path):
                with contextlib.suppress(ProblemError):
                    features = _context(file, length, where=f"{path}: record {number}").feature
                    kinds.append("example" if "image/encoded" in features else "sequence")
                    break
    return kinds[0] if kinds else "sequence"  # to be told of as a damaged one


def damage(message: str) -> ProblemError:
    """Returns the problem of a record that is no use; the message names file and record."""
    return ProblemError("damaged_record", message)


def _read_at(path: str, number: int, offset: int, *, reader: Any) -> bytes:
    try:
        reader = reader or tf_record.tf_record_random_reader(path)
        return reader.read(offset)[0]
    except (tf.errors.OpError, IndexError) as error:
        raise damage(
            f"{path}: record {number} (from 0) is damaged or has changed: {error}"
        ) from None


def _scan(
    path: str, met: Callable[[ProblemError], None], check: Callable[[Part], object] | None
) -> Iterator[tuple[str, Part]]:
    """Yields source id and part of each record; reads the head of each; `met` gets the damage."""
    with tf.io.gfile.GFile(path, "rb") as file:
        try:
            for number, offset, length in _heads(file, path):
                try:
                    context = _context(file, length, where=f"{path}: record {number}")
                    name, part = _describe(path, number, offset, context)
                    check_numbers(part, length)
                    if check is not None:
                        check(part)
                except ProblemError as error:
                    met(error)
                else:
                    yield name, part
        except ProblemError as error:
            met(error)


def _heads(file: tf.io.gfile.GFile, path: str) -> Iterator[tuple[int, int, int]]:
    """Yields number, offset and length of each record, with the file at its first byte."""
    size, offset, number = file.size(), 0, 0
    while offset < size:
        file.seek(offset)
        length = _length(file.read(12))
        if length is None:
            kind = f"damaged at record {number} (from 0)" if number else "not a TFRecord file"
            raise damage(f"{path}: {kind}; expected uncompressed TFRecords")
        if offset + length + 16 > size:
            raise damage(f"{path}: ends within record {number} (from 0); copy it again")
        yield number, offset, length
        offset, number = offset + length + 16, number + 1
    if not number:
        raise damage(f"{path}: the file has no records")


def _length(head: bytes) -> int | None:
    """Returns the length of the record that begins with these twelve bytes; None: none does."""
    if len(head) < 12 or _masked_crc32c(head[:8]) != struct.unpack("<I", head[8:])[0]:
        return None
    return struct.unpack("<Q", head[:8])[0]


def _context(file: tf.io.gfile.GFile, length: int, *, where: str) -> tf.train.Features:
    """Returns the context of the SequenceExample at the file's position.

    Of a tf.Example these are all of its features.
    """
    data = file.read(min(length, _PREFIX_BYTES))
    start, end = _field_one(data)
    try:
        if 0 < end <= len(data):
            return tf.train.Features.FromString(data[start:end])
        return tf.train.SequenceExample.FromString(data + file.read(length - len(data))).context
    except DecodeError as error:
        raise damage(f"{where} (from 0) is not a SequenceExample: {error}") from None


def _field_one(data: bytes) -> tuple[int, int]:
    """Returns where a message's first field begins and ends if it is number 1, else (0, 0)."""
    if data[:1] != b"\x0a":  # field 1, a length and bytes
        return 0, 0
    length = 0
    for index, byte in enumerate(data[1:11]):
        length |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return index + 2, index + 2 + length
    return 0, 0


def _describe(path: str, number: int, offset: int, context: tf.train.Features) -> tuple[str, Part]:
    def integer(key: str) -> int:
        values = context.feature[key].int64_list.value if key in context.feature else ()
        return int(values[0]) if values else 0

    def text(key: str) -> str:
        values = context.feature[key].bytes_list.value if key in context.feature else ()
        return values[0].decode(errors="replace") if values else ""

    part = Part(
        path=path,
        number=number,
        offset=offset,
        first_frame=integer("video/first_frame"),
        height=integer("image/height"),
        width=integer("image/width"),
        num_frames=integer("record/num_frames"),
    )
    return text("image/source_id") or text("image/filename"), part


def check_numbers(part: Part, length: int) -> None:
    """Raises where a record of so many bytes cannot be what it says.

    Raises:
        ProblemError: it names file and record.
    """
    sides = max(part.height, part.width)
    if part.num_frames > length or part.first_frame > limits.FRAMES or sides > limits.PIXELS:
        raise damage(
            f"{name_of(part)} of {length} bytes says that it has {part.num_frames} frames of "
            f"{part.width} x {part.height} pixels, the first being {part.first_frame}"
        )
    if min(part.num_frames, part.first_frame, part.height, part.width) < 0:
        raise damage(f"{name_of(part)} holds a number of frames or pixels below 0")


def _masked_crc32c(data: bytes) -> int:
    """Returns the checksum that TFRecord files hold.

    Source: https://www.tensorflow.org/tutorials/load_data/tfrecord, "TFRecords format details".
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
