"""The videos in TFRecord files: whether all shards are there, and which record holds what."""

import bisect
import contextlib
import dataclasses
import fnmatch
import functools
import itertools
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import tensorflow as tf

# Documented, not exported: a record by its place. A dataset of one record takes 30 times as long.
from tensorflow.python.lib.io import tf_record

from lstd.base import documents, limits
from lstd.base.types import GroundTruth
from lstd.data import record_content, source_images
from lstd.data.problems import ProblemError
from lstd.data.record_content import Part, damage, named
from lstd.data.sequence_example import RECORD_OVERHEAD
from lstd.data.sources import SourceFrame

_LOG = logging.getLogger(__name__)

INDEX = "index.json"
"""What a conversion wrote, beside its shards; see `lstd.data.shard_files`."""

WORK = ".conversion"
"""The folder in which a conversion that has not ended keeps what it needs to go on."""

_SHARD = re.compile(r"(.*)-(\d{1,6})-of-(\d{1,6})(.*)")


class Span(NamedTuple):
    """Frames of a video, from start up to stop, that one record holds; none does: part is None."""

    part: Part | None
    start: int
    stop: int
    where: str

    def frames(self) -> list[SourceFrame]:
        """Returns the frames, without image and boxes where they are missing; see `frames_of`."""
        if self.part is not None:
            return _remembered(self.part)
        nothing = GroundTruth(np.zeros([0, 4], np.float32), np.zeros(0, np.int32))
        return [
            SourceFrame(None, nothing, f"{self.where}, frame {number}")
            for number in range(self.start, self.stop)
        ]


@dataclasses.dataclass(frozen=True)
class RecordVideo:
    """A `SourceVideo`: its name, which two videos may have, and the records that hold it, in order.

    `with_tracks`: whether its tf.Examples have track ids; None: it is of SequenceExamples.
    """

    name: str
    parts: tuple[Part, ...]
    with_tracks: bool | None = None
    random_access: ClassVar[bool] = True
    height = property(lambda self: self.parts[0].height)
    width = property(lambda self: self.parts[0].width)
    where = property(lambda self: self.parts[0].path)

    @functools.cached_property
    def spans(self) -> list[Span]:
        """Its frames in order, from 0 on and without a gap.

        Frames are missing where a record begins behind the end of the one before it; not where a
        damaged record in between was left out: there, what follows moves up.

        Raises:
            ValueError: a frame is there twice, or too many are missing.
        """
        result: list[Span] = []
        expected = end = 0
        for part in self.parts:
            missing = part.first_frame - expected
            if missing < 0 or (missing and not part.after_damage):
                gap = (
                    f"{part.where} of video {self.name!r} begins at frame {part.first_frame}, "
                    f"expected {expected}: frames are {'missing' if missing > 0 else 'there twice'}"
                )
                if missing < 0:
                    raise ValueError(gap)
                limits.check_missing(found=end, said=end + missing, where=part.where)
                result.append(Span(None, end, end + missing, gap))
                end += missing
            result.append(Span(part, end, end + part.num_frames, part.where))
            end, expected = end + part.num_frames, part.first_frame + part.num_frames
        return result

    @property
    def num_frames(self) -> int:
        """How many frames there are, including those that no record holds."""
        return self.spans[-1].stop

    @property
    def has_tracks(self) -> bool:
        """Whether there are track ids; of SequenceExamples the first record tells."""
        if self.with_tracks is not None:
            return self.with_tracks
        return _remembered(self.parts[0])[0].truth.track_ids is not None

    def read(
        self, start: int = 0, stop: int | None = None, *, images: bool = True
    ) -> Iterator[SourceFrame]:
        """Yields the frames; see `SourceVideo`. One that no record holds has no image."""
        stop = self.num_frames if stop is None else stop
        first = bisect.bisect_right(self.spans, start, key=lambda span: span.stop)
        for span in itertools.takewhile(lambda span: span.start < stop, self.spans[first:]):
            for frame in span.frames()[max(0, start - span.start) : stop - span.start]:
                if not images:
                    frame = frame._replace(image=None)
                elif self.with_tracks is not None and span.part is not None:
                    size = span.part.height, span.part.width
                    image = source_images.of_size(frame.image, size, where=frame.where)
                    frame = frame._replace(image=image)
                yield frame


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
    """Raises where a file whose name says that it is one of N misses another that should match.

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
        digits, first = len(total), int(int(total) in numbers)  # some count from 1
        names = (
            f"{begin}-{number:0{digits}}-of-{total}{end}"
            for number in range(first, int(total) + first)
            if number not in numbers
        )
        missing = [name for name in names if fnmatch.fnmatchcase(name, pattern)]
        if not missing:
            continue
        remedy = (
            "copy them again, or read only some of the files by a pattern that does not match the "
            f"others, such as {begin}-{min(numbers):0{digits}}-of-*"
        )
        if tf.io.gfile.exists(os.path.join(folder, WORK)):
            remedy = "their conversion has not ended: lstd-data convert --resume goes on with it"
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
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


def list_videos(
    paths: Iterable[str], *, on_damage: Callable[[ProblemError], None] | None = None
) -> list[RecordVideo]:
    """Returns the videos of TFRecord files, in the order of the files.

    The index that a conversion wrote beside its shards says what is in them. Other files are read
    once. A record with `video/first_frame` above 0 continues the one before it when both have the
    same source id. A video without an id is called by file and record number. One that begins in a
    shard that is not among the paths begins where they do, and the log says so.

    `on_damage` is told of a record that is left out, and of a file that cannot be read on; all
    records are read for it. None: an error.

    Raises:
        ProblemError: a file is no TFRecord file, is empty or cut off, or holds something other than
            SequenceExamples; the message names file and record.
    """
    videos: list[tuple[str, list[Part]]] = []
    indexes: dict[str, Mapping[str, Any]] = {}
    damaged = False

    def leave_out(error: ProblemError) -> None:
        nonlocal damaged
        if on_damage is None:
            raise error
        on_damage(error)
        damaged = True

    paths = [*paths]
    for path in paths:
        folder = os.path.dirname(path)
        if folder not in indexes:
            indexes[folder] = index_of(folder) if on_damage is None else {}
        found = _indexed(path, indexes[folder])
        for name, part in found or _scanned(path, leave_out, thorough=on_damage is not None):
            part, damaged = part._replace(after_damage=damaged), False
            continues = bool(videos) and part.first_frame > videos[-1][1][-1].first_frame
            if continues and videos[-1][0] == name:
                videos[-1][1].append(part)
                continue
            if part.first_frame and (before := _before(path)) and before not in paths:
                told = "video %r begins at its frame %d: %s, which holds those before, is not read"
                _LOG.warning(told, name, part.first_frame, os.path.basename(before))
                part = part._replace(after_damage=True)
            videos.append((name, [part]))
    return [
        RecordVideo(name or f"@{parts[0].path}#{parts[0].number}", tuple(parts))
        for name, parts in videos
    ]


def _before(path: str) -> str:
    """Returns the shard before this one; empty if there is none by its name."""
    match = _SHARD.fullmatch(path)
    if not match or not int(match.group(2)):
        return ""
    begin, number, total, end = match.groups()
    return f"{begin}-{int(number) - 1:0{len(number)}}-of-{total}{end}"


def frames_of(part: Part) -> list[SourceFrame]:
    """Returns the frames of a record, raw.

    Raises:
        ProblemError: the record is damaged, has no frames, others than it says, lists that differ
            in length, or a track id that no int32 holds; the message names file and record.
    """
    return record_content.frames_in(record_content.sequence_of(read(part), where=part.where), part)


_remembered = functools.lru_cache(maxsize=2)(frames_of)


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
                following = offset + int.from_bytes(file.read(8), "little") + RECORD_OVERHEAD
        else:
            yield number, offset, content
        number, offset = number + 1, following
    if not number:
        on_damage(damage(f"{path}: the file has no records"))


def format_of(path: str) -> Literal["sequence_example", "tf_example", ""]:
    """Returns what the first record is that can be told."""
    told: list[ProblemError] = []
    for number, _, content in read_all(path, told.append):
        with contextlib.suppress(ProblemError):
            record = record_content.sequence_of(content, where=named(path, number))
            return "tf_example" if record_content.is_tf_example(record) else "sequence_example"
    foreign = ("expected uncompressed TFRecords", "the file has no records")
    return "" if told and told[0].message.endswith(foreign) else "sequence_example"


def _damage_of(path: str, number: int, error: Exception) -> ProblemError:
    """Returns what TensorFlow's reader says of a record that it cannot read."""
    cut, damaged_head = "truncated" in str(error), "Is this even" in str(error)
    if not number and (damaged_head or isinstance(error, IndexError)):
        return damage(f"{path}: not a TFRecord file; expected uncompressed TFRecords")
    if cut or isinstance(error, IndexError):
        return damage(f"{path}: ends within record {number} (from 0); copy it again")
    return damage(f"{named(path, number)} is damaged: {error}")


def _indexed(path: str, index: Mapping[str, Any]) -> list[tuple[str, Part]]:
    """Returns source id and part of each record as the index says; empty where it does not fit."""
    keys = ("first_frame", "height", "width", "frames", "bytes")
    result, offset = [], 0
    try:
        (records,) = [s["records"] for s in index["shards"] if s["file"] == os.path.basename(path)]
        for number, record in enumerate(records):
            first, height, width, frames, length = (int(record[key]) for key in keys)
            part = Part(path, number, offset, first, height, width, frames)
            record_content.check_numbers(part)
            if not 0 < frames <= length:
                return []
            result.append((str(record["video"]), part))
            offset += length + RECORD_OVERHEAD
    except (KeyError, TypeError, ValueError, OverflowError):
        return []
    return result if offset == tf.io.gfile.stat(path).length else []


def _scanned(
    path: str, met: Callable[[ProblemError], None], *, thorough: bool
) -> Iterator[tuple[str, Part]]:
    """Yields source id and part of each sound record; `thorough`: with a look at its frames."""
    for number, offset, content in read_all(path, met):
        try:
            record = record_content.sequence_of(content, where=named(path, number))
            if record_content.is_tf_example(record):
                raise damage(f"{named(path, number)} is a tf.Example, expected a SequenceExample")
            names, part = record_content.described(record, path, number, offset)
            if thorough:
                record_content.frames_in(record, part)
        except ProblemError as error:
            met(error)
        else:
            yield next(iter(names), ""), part
