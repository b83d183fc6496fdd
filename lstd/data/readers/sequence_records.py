"""Reads SequenceExamples in the original's form, each a video or a part of one.

`lstd.data.sequence_example` names the keys. Without labels of the caller, their names are those of
an index beside the files (`lstd-data convert` writes it) or else the texts in the records, which
are all read for it. The lower half, about files and names, serves tf.Examples, too.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from lstd.base import limits, natural
from lstd.data import record_files
from lstd.data.problems import ProblemError
from lstd.data.readers.label_files import Found, Options, WrongTree, all_taken, chosen
from lstd.data.record_files import Part, Span
from lstd.data.sources import SourceFrame

_NAMES = re.compile(r"tfrecord|\.record(-\d+-of-\d+)?$", re.IGNORECASE)
"""What files in a folder are called, the Object Detection API's too."""


def matches(path: Path) -> bool:
    """Whether a path is a TFRecord file of SequenceExamples, or a folder or pattern of them."""
    return format_of(path) == "sequence_example"


def read(path: Path, options: Options) -> Found:
    """Returns the videos; raises ProblemError, with file and record, unless `skip_damaged`."""
    files = files_of(path, options)

    def leave_out(error: ProblemError) -> None:
        options.damaged.append(error.message)

    on_damage = leave_out if options.skip_damaged else None
    found = record_files.list_videos([str(file) for file in files], on_damage=on_damage)
    labels = options.labels or _labels_of(dict.fromkeys(file.parent for file in files))
    labels = labels or names_in(_texts(part) for video in found for part in video.parts)
    videos = tuple(RecordVideo(video.name, video.parts) for video in found)
    return labels, videos


@dataclasses.dataclass(frozen=True)
class InRecords:
    """What all videos in TFRecord files share; each of them is a `SourceVideo`."""

    name: str
    parts: tuple[Part, ...]
    random_access: ClassVar[bool] = True

    @property
    def height(self) -> int:
        """As the first record says, pixels."""
        return self.parts[0].height

    @property
    def width(self) -> int:
        """As the first record says, pixels."""
        return self.parts[0].width

    @property
    def where(self) -> str:
        """The file of the first record."""
        return self.parts[0].path


class RecordVideo(InRecords):
    """A video in SequenceExamples."""

    @property
    def num_frames(self) -> int:
        """How many frames there are, including those that no record holds."""
        return self._spans[-1].stop

    @property
    def has_tracks(self) -> bool:
        """Whether the first record stores track ids."""
        return _frames_of(self.parts[0])[0].truth.track_ids is not None

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
        return record_files.spans(self.name, self.parts)


_frames_of = functools.lru_cache(maxsize=2)(record_files.frames_of)


def _texts(part: Part) -> dict[int, str]:
    """Returns the names of the classes that a record gives, by their numbers."""
    record = record_files.sequence_of(record_files.read(part), where=part.where)
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


def indexed_labels(folder: str | os.PathLike[str]) -> tuple[str, ...]:
    """Returns the class names in the index of a folder of records; empty if there is none."""
    labels = record_files.index_of(folder).get("labels")
    if isinstance(labels, list) and all(isinstance(label, str) for label in labels):
        return tuple(labels)
    return ()


def format_of(path: Path) -> str:
    """Returns the format of a TFRecord file or a folder of them; empty if it is none."""
    files = _files(path)
    if not files:
        return ""
    kind = record_files.kind_of(str(files[0]))
    if not kind:  # by its name it should, and the reader says what is wrong
        return "sequence_example" if "tfrecord" in files[0].name.lower() else ""
    return "sequence_example" if kind == "sequence" else "tf_example"


def files_of(path: Path, options: Options) -> list[Path]:
    """Returns the files of a subset: in its folder, or with names that begin so; or WrongTree."""
    found = _files(path)
    parts = dict.fromkeys(file.parent for file in found)
    if found and path.is_dir() and path not in parts:
        known = {part.name: part for part in parts}
        kept = [known[name] for name in chosen(options.subset, known, where=str(path))]
        files = [file for file in found if file.parent in kept]
    else:
        files = [file for file in found if file.name.startswith(options.subset)]
    if not files:
        names = ", ".join(file.name for file in found[:3]) or "nothing"
        what = f"has a name that begins with {options.subset!r}" if found else "is there"
        raise WrongTree(f"{path}: no TFRecord file {what}; found {names}")
    if not path.is_file():
        pattern = "*" if path.is_dir() else path.name
        record_files.check_shards([str(file) for file in files], pattern=pattern)
    options.notes.extend(all_taken(dict.fromkeys(file.parent.name for file in files)))
    return files


def names_in(texts: Iterable[Mapping[int, str]]) -> tuple[str, ...]:
    """Returns the class names of records, which number them from 1, in class order.

    Raises ValueError for a number that is taken for a mistake, see `limits.CLASSES`.
    """
    known: dict[int, str] = {}
    for found in texts:
        known.update({number: name.strip() for number, name in found.items() if number >= 1})
    most = max(known, default=0)
    if most > limits.CLASSES:
        raise ValueError(
            f"a record names class {most} {known[most]!r}; numbers above {limits.CLASSES} are "
            "taken for a mistake"
        )
    return tuple(known.get(number, f"class {number - 1}") for number in range(1, most + 1))


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if path.is_dir():
        found = [*_records(path.iterdir())] or [*_records(path.glob("*/*"))]
    else:  # a pattern
        found = [p for p in path.parent.glob(path.name) if p.is_file()] if path.name else []
    return sorted(found, key=lambda file: natural.key(str(file)))


def _records(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if _NAMES.search(path.name) and not path.name.startswith(".") and path.is_file():
            yield path
