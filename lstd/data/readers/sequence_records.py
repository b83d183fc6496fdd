"""Reads the original's SequenceExamples, each a video or a part of one.

`lstd.data.sequence_example` names the keys. Without labels of the caller, their names are those of
an index beside the files (`lstd-data convert` writes it) or else the texts in the records, which
are all read for it.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator
from pathlib import Path

from lstd.base import documents
from lstd.data import record_files, record_frames
from lstd.data.problems import ProblemError
from lstd.data.readers import record_set
from lstd.data.readers.options import Options, all_taken
from lstd.data.record_files import Part
from lstd.data.record_frames import Span
from lstd.data.shard_files import INDEX
from lstd.data.sources import Source, SourceFrame

NAME = record_set.SEQUENCE_NAME
TREE = record_set.TREE


def matches(path: Path) -> bool:
    """Whether a path is a TFRecord file of SequenceExamples, or a folder or pattern of them."""
    return record_set.kind_of(path) == NAME


def read(path: Path, options: Options) -> Source:
    """Returns the videos of SequenceExamples.

    Raises:
        ProblemError: a file is damaged or holds something else, unless `skip_damaged`; it names
            file and record.
    """
    files = record_set.files_of(path, options)
    damaged: list[str] = []

    def leave_out(error: ProblemError) -> None:
        damaged.append(error.message)

    found = record_files.list_videos(
        [str(file) for file in files],
        on_damage=leave_out if options.skip_damaged else None,
        check=record_frames.frames_of if options.skip_damaged else None,
    )
    labels = options.labels or _labels_of(dict.fromkeys(file.parent for file in files))
    if not labels:
        labels = record_set.names_in(_texts(part) for video in found for part in video.parts)
    videos = tuple(RecordVideo(video.name, video.parts) for video in found)
    notes = all_taken(record_set.folders_of(files))
    return Source(NAME, str(path), tuple(labels), videos, notes, tuple(damaged))


@dataclasses.dataclass(frozen=True)
class RecordVideo:
    """A `SourceVideo` in SequenceExamples; the numbers of frames are read when asked for."""

    name: str
    parts: tuple[Part, ...]
    random_access: bool = True

    @property
    def num_frames(self) -> int:
        """How many frames there are, those that no record holds too."""
        return self._spans[-1].stop

    @property
    def height(self) -> int:
        """Of the frames, as the record says, pixels."""
        return self.parts[0].height

    @property
    def width(self) -> int:
        """Of the frames, as the record says, pixels."""
        return self.parts[0].width

    @property
    def has_tracks(self) -> bool:
        """Whether the first record stores track ids."""
        return _frames_of(self.parts[0])[0].truth.track_ids is not None

    @property
    def where(self) -> str:
        """The file of the first record."""
        return self.parts[0].path

    def read(
        self, start: int = 0, stop: int | None = None, *, images: bool = True
    ) -> Iterator[SourceFrame]:
        """Yields the frames; see `SourceVideo`. One that no record holds has no image."""
        stop = self.num_frames if stop is None else stop
        for span in self._spans:
            if span.stop <= start or span.start >= stop:
                continue
            frames = _frames_of(span.part) if span.part is not None else span.frames()
            for frame in frames[max(0, start - span.start) : stop - span.start]:
                yield frame if images else frame._replace(image=None)

    @functools.cached_property
    def _spans(self) -> list[Span]:
        return record_frames.spans(self.name, self.parts)


@functools.lru_cache(maxsize=2)
def _frames_of(part: Part) -> list[SourceFrame]:
    """Returns the frames of a record; the last ones are remembered."""
    return record_frames.frames_of(part)


def _texts(part: Part) -> dict[int, str]:
    """Returns the names of the classes that a record gives, by their numbers."""
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    try:
        record = tf.train.SequenceExample.FromString(record_files.read(part))
    except DecodeError as error:
        raise record_files.damage(
            f"{part.path}: record {part.number} (from 0) is not a SequenceExample: {error}"
        ) from None
    lists = record.feature_lists.feature_list
    if "bbox/label/string" not in lists or "bbox/label/index" not in lists:
        return {}
    pairs = zip(lists["bbox/label/index"].feature, lists["bbox/label/string"].feature, strict=False)
    return {
        int(number): text.decode(errors="replace")
        for numbers, texts in pairs
        for number, text in zip(numbers.int64_list.value, texts.bytes_list.value, strict=False)
    }


def _labels_of(folders: Iterable[Path]) -> tuple[str, ...]:
    """Returns the class names that the indexes of folders agree on; raises if they do not."""
    found = {indexed_labels(folder): folder for folder in folders}
    if len(found) > 1:
        (one, folder), (other, other_folder), *_ = found.items()
        raise ValueError(
            f"{folder} has the classes {', '.join(one) or 'of no index'}, {other_folder} "
            f"{', '.join(other) or 'of no index'}; name one of them"
        )
    return next(iter(found))


def indexed_labels(folder: Path) -> tuple[str, ...]:
    """Returns the class names that an index in a folder of records gives; empty: there is none."""
    try:
        labels = documents.read_json(folder / INDEX, kind=dict).get("labels")
    except (OSError, ValueError):
        return ()
    named = isinstance(labels, list) and all(isinstance(label, str) for label in labels)
    return tuple(labels) if named else ()
