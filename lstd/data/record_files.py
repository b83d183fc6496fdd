"""TFRecord files: which there are, whether all are there, and their records by their place."""

from __future__ import annotations

import contextlib
import fnmatch
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import tensorflow as tf
from google.protobuf.message import DecodeError

# Documented, not exported: a record by its place. A dataset of one record takes 30 times as long.
from tensorflow.python.lib.io import tf_record

from lstd.base import documents, limits
from lstd.data.problems import ProblemError

INDEX = "index.json"
"""What a conversion wrote, beside its shards; see `lstd.data.shard_files`."""

WORK = ".conversion"
"""The folder in which a conversion that has not ended keeps what it needs to go on."""

_SHARD = re.compile(r"(.*)-(\d{1,6})-of-(\d{1,6})(.*)")


class Part(NamedTuple):
    """A record, which holds a video or a part of one.

    Attributes:
        path: its file.
        number: which record of the file, from 0.
        offset: where in the file it begins, bytes.
        first_frame: number of its first frame in the video.
        height: of the frames, pixels; 0 unknown.
        width: likewise.
        num_frames: how many it holds.
        after_damage: whether a damaged record that stood before it is left out.
    """

    path: str
    number: int
    offset: int
    first_frame: int
    height: int
    width: int
    num_frames: int = 1
    after_damage: bool = False

    @property
    def where(self) -> str:
        """File and number, for messages."""
        return named(self.path, self.number)


def find(patterns: Sequence[str], *, where: str = "input_path") -> list[str]:
    """Returns the sorted files that match the patterns; one that is a file's path is that file.

    Raises:
        ValueError: there are no patterns.
        FileNotFoundError: a pattern matches no file, or not all shards of a set.
    """
    if not patterns:
        raise ValueError(f"{where} is empty: give the TFRecord files to read, * and ? are allowed")
    found: set[str] = set()
    for pattern in patterns:
        if tf.io.gfile.exists(pattern):
            found.add(pattern)
            continue
        matches = tf.io.gfile.glob(pattern)
        if not matches:
            raise FileNotFoundError(f"{where}: no file matches {pattern!r}")
        check_shards(matches, pattern=os.path.basename(pattern))
        found.update(matches)
    return sorted(found)


def check_shards(paths: Iterable[str], *, pattern: str = "*") -> None:
    """Raises where a file whose name says that it is one of N misses another of them.

    Args:
        paths: all files that match the pattern.
        pattern: only files whose names match it have to be there.

    Raises:
        FileNotFoundError: it names the missing files.
    """
    sets: dict[tuple[str, str, str, str], set[int]] = {}
    for path in paths:
        folder, name = os.path.split(path)
        if match := _SHARD.fullmatch(name):
            begin, number, total, end = match.groups()
            sets.setdefault((folder, begin, total, end), set()).add(int(number))
    for (folder, begin, total, end), numbers in sets.items():
        digits = len(total)
        first = int(int(total) in numbers)  # some count from 1
        lost = (n for n in range(first, int(total) + first) if n not in numbers)
        names = (f"{begin}-{number:0{digits}}-of-{total}{end}" for number in lost)
        missing = [name for name in names if fnmatch.fnmatchcase(name, pattern)]
        if not missing:
            continue
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        if tf.io.gfile.exists(os.path.join(folder, WORK)):
            remedy = "their conversion has not ended: lstd-data convert --resume goes on with it"
        else:
            remedy = (
                "copy them again, or read only some of the files by a pattern that does not match "
                f"the others, such as {begin}-{min(numbers):0{digits}}-of-*"
            )
        raise FileNotFoundError(
            f"{folder or '.'}: {len(missing)} of {int(total)} shards are missing: "
            f"{', '.join(missing[:3])}{more}; {remedy}"
        )


def index_of(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns the index in a folder of records; empty where there is none that can be read."""
    path = os.path.join(folder, INDEX)
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            return documents.from_json(file.read(), source=path, kind=dict)
    except (tf.errors.OpError, OSError, ValueError):
        return {}


def listed_in(folder: str) -> list[str]:
    """Returns the paths of the shards that the index in a folder names, which need no `kind_of`."""
    try:
        shards = index_of(folder)["shards"]
        return [os.path.join(folder, shard["file"]) for shard in shards if shard["records"]]
    except (KeyError, TypeError):
        return []


def named(path: str, number: int) -> str:
    """Returns file and number of a record, for messages."""
    return f"{path}: record {number} (from 0)"


def read(part: Part) -> bytes:
    """Returns the serialized record.

    Raises:
        ProblemError: its checksum is wrong, or it is gone; the message names file and record.
    """
    try:
        return tf_record.tf_record_random_reader(part.path).read(part.offset)[0]
    except (tf.errors.OpError, IndexError) as error:
        raise damage(f"{part.where} is damaged or has changed: {error}") from None


def read_all(
    path: str, on_damage: Callable[[ProblemError], None]
) -> Iterator[tuple[int, int, bytes]]:
    """Yields number, offset and content of each record that is whole.

    `on_damage` is told of the others, and of a file that is not a TFRecord file, is empty, or
    cannot be read on.
    """
    reader, size = tf_record.tf_record_random_reader(path), tf.io.gfile.stat(path).length
    number = offset = 0
    while offset < size:
        try:
            content, following = reader.read(offset)
        except (IndexError, tf.errors.DataLossError) as error:
            on_damage(_damage_of(path, number, error))
            if f"corrupted record at {offset + 12}" not in str(error):
                return
            with tf.io.gfile.GFile(path, "rb") as file:  # its length is sound
                file.seek(offset)
                following = offset + int.from_bytes(file.read(8), "little") + 16
        else:
            yield number, offset, content
        number, offset = number + 1, following
    if not number:
        on_damage(damage(f"{path}: the file has no records"))


def kind_of(path: str) -> Literal["sequence", "example", ""]:
    """Returns what the records of a file are: SequenceExamples, tf.Examples, or no records at all.

    The first record that can be told decides.
    """
    told: list[ProblemError] = []
    for number, _, content in read_all(path, told.append):
        with contextlib.suppress(ProblemError):
            features = sequence_of(content, where=named(path, number)).context.feature
            return "example" if "image/encoded" in features else "sequence"
    foreign = ("expected uncompressed TFRecords", "the file has no records")
    return "" if told and told[0].message.endswith(foreign) else "sequence"


def sequence_of(content: bytes, *, where: str) -> tf.train.SequenceExample:
    """Returns a record as a message; a tf.Example is one, too, with all its features in `context`.

    Raises:
        ProblemError: it is something else.
    """
    try:
        return tf.train.SequenceExample.FromString(content)
    except DecodeError as error:
        raise damage(f"{where} is not a SequenceExample: {error}") from None


def damage(message: str) -> ProblemError:
    """Returns the problem of a record that is no use; the message names file and record."""
    return ProblemError("damaged_record", message)


def check_numbers(part: Part) -> None:
    """Raises ProblemError, which names file and record, where a record's numbers cannot be."""
    numbers = (part.num_frames, part.first_frame, part.height, part.width)
    if part.first_frame > limits.FRAMES or max(part.height, part.width) > limits.PIXELS:
        raise damage(
            f"{part.where} says that its frames have {part.width} x {part.height} pixels, the "
            f"first being {part.first_frame}"
        )
    if min(numbers) < 0:
        raise damage(f"{part.where} holds a number of frames or pixels below 0")


def _damage_of(path: str, number: int, error: Exception) -> ProblemError:
    """Returns what TensorFlow's reader says of a record that it cannot read."""
    cut, damaged_head = "truncated" in str(error), "Is this even" in str(error)
    if not number and (damaged_head or isinstance(error, IndexError)):
        return damage(f"{path}: not a TFRecord file; expected uncompressed TFRecords")
    if cut or isinstance(error, IndexError):
        return damage(f"{path}: ends within record {number} (from 0); copy it again")
    return damage(f"{named(path, number)} is damaged: {error}")
