"""Reads TFRecord files: SequenceExamples in the original's form, or tf.Examples, each an image.

`lstd.data.sequence_example` names the keys of the former, `docs/data.md` those of the latter, and
where class names come from.

Source: the Object Detection API of TensorFlow, "Preparing Inputs".
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from lstd.base import limits, natural
from lstd.base.types import GroundTruth
from lstd.data import record_files, source_images
from lstd.data.problems import ProblemError
from lstd.data.readers import frame_names, frame_pictures, image_sets, label_files
from lstd.data.readers.label_files import Found, Options, WrongTree, all_taken, chosen
from lstd.data.record_files import Part, Span
from lstd.data.sources import UNKNOWN_CLASS, SourceFrame

_OBJECT = "image/object/"
_TRACKS = _OBJECT + "track/label"
_TEXTS = ("image/encoded", "image/source_id", "image/filename", "image/object/class/text")
_WHOLE = ("image/height", "image/width", "image/object/class/label", _TRACKS)
_COLUMNS = ("bbox/ymin", "bbox/xmin", "bbox/ymax", "bbox/xmax", "class/label")
_OPTIONAL_COLUMNS = ("is_crowd", "track/label")  # may be missing, or empty

_NAMES = re.compile(r"tfrecord|\.record(-\d+-of-\d+)?$", re.IGNORECASE)
"""What files in a folder are called, the Object Detection API's too."""


def are_sequences(path: Path) -> bool:
    """Whether a path is a TFRecord file of SequenceExamples, or a folder or pattern of them."""
    return _format_of(path) == "sequence_example"


def are_examples(path: Path) -> bool:
    """Whether a path is a TFRecord file of tf.Examples, or a folder or pattern of them."""
    return _format_of(path) == "tf_example"


def read_sequences(path: Path, options: Options) -> Found:
    """Returns the videos; raises ProblemError, with file and record, unless `skip_damaged`."""
    files = _files_of(path, options)

    def leave_out(error: ProblemError) -> None:
        options.damaged.append(error.message)

    on_damage = leave_out if options.skip_damaged else None
    found = record_files.list_videos([str(file) for file in files], on_damage=on_damage)
    labels = options.labels or _labels_of(dict.fromkeys(file.parent for file in files))
    labels = labels or names_in(_texts(part) for video in found for part in video.parts)
    videos = tuple(RecordVideo(video.name, video.parts) for video in found)
    return labels, videos


@dataclasses.dataclass(frozen=True)
class _InRecords:
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


class RecordVideo(_InRecords):
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


def read_examples(path: Path, options: Options) -> Found:
    """Returns tf.Examples as videos of one frame, or grouped into videos; each is read once.

    Raises ProblemError, with file and record, unless `skip_damaged`.
    """

    def met(error: ProblemError) -> None:
        if not options.skip_damaged:
            raise error
        options.damaged.append(error.message)

    files = _files_of(path, options)
    entries: list[_Entry] = []
    for file in map(str, files):
        for number, offset, content in record_files.read_all(file, met):
            try:
                entries.append(_described(content, file, number, offset))
            except ProblemError as error:
                met(error)
    labels = options.labels or names_in(entry.texts for entry in entries)
    groups = [(entry.name, [entry]) for entry in entries]
    names = [frame_pictures.clean(entry.file_name) for entry in entries]
    if options.folders or (frame_names.are_of_videos(names) and not options.stills):
        parts = [str(Path(entry.part.path).parent) for entry in entries]
        found = frame_names.group(names, where=str(path), folders=options.folders, parts=parts)
        groups = [(one.name, [entries[place] for place in one.places]) for one in found]
        if not options.folders:
            image_sets.note_names(found, options)
    elif not options.stills and len(entries) > 1:
        options.notes.append(
            "every record is a video of one frame; if their names, such as "
            f"{entries[0].file_name}, tell videos, say so with folders, if they are single images, "
            "with stills"
        )
    return labels, [
        ExampleVideo(name, tuple(e.part for e in own), any(e.has_tracks for e in own))
        for name, own in groups
    ]


@dataclasses.dataclass(frozen=True)
class ExampleVideo(_InRecords):
    """A video whose frames are tf.Examples."""

    has_tracks: bool

    @property
    def num_frames(self) -> int:
        """How many records."""
        return len(self.parts)

    def read(
        self, start: int = 0, stop: int | None = None, *, images: bool = True
    ) -> Iterator[SourceFrame]:
        """Yields the frames; see `SourceVideo`."""
        for part in self.parts[start:stop]:
            where = part.where
            values = _values(record_files.read(part), where=where)
            frame = _frame(values, where=where, images=images, tracks=self.has_tracks)
            size = (part.height, part.width)
            yield frame._replace(image=source_images.of_size(frame.image, size, where=where))


class _Entry(NamedTuple):
    """A record: its names, its place, class names by number, and whether it has track ids."""

    name: str
    file_name: str
    part: Part
    texts: dict[int, str]
    has_tracks: bool


def _described(content: bytes, path: str, number: int, offset: int) -> _Entry:
    values = _values(content, where=record_files.named(path, number))
    height, width = (int(next(iter(values[f"image/{s}"]), 0)) for s in ("height", "width"))
    part = Part(path, number, offset, 0, height, width)
    record_files.check_numbers(part)
    said = [values[f"image/{key}"] for key in ("source_id", "filename")]
    names = [v[0].decode(errors="replace") for v in said if v and v[0]]
    names = names or [f"{Path(path).name}#{number}"]
    pairs = zip(values[_OBJECT + "class/label"], values["image/object/class/text"], strict=False)
    texts = {int(c): t.decode(errors="replace") for c, t in pairs}
    return _Entry(names[0], names[-1], part, texts, bool(values[_TRACKS]))


def _values(content: bytes, *, where: str) -> dict[str, list]:
    """Returns the features of a tf.Example that are read, each as a list of values."""
    features = record_files.sequence_of(content, where=where).context.feature
    if "image/encoded" not in features:
        raise record_files.damage(f"{where} has no 'image/encoded'")
    columns = [_OBJECT + name for name in (*_COLUMNS, *_OPTIONAL_COLUMNS)]
    result = {key: _checked(key, features, where=where) for key in (*_TEXTS, *_WHOLE, *columns)}
    empty = {_OBJECT + name for name in _OPTIONAL_COLUMNS if not result[_OBJECT + name]}
    if len({len(result[key]) for key in columns if key not in empty}) > 1:
        told = ", ".join(f"{key.removeprefix(_OBJECT)} {len(result[key])}" for key in columns)
        raise record_files.damage(f"{where}: the lists of its boxes differ in length: {told}")
    try:
        what = f"{where}: a track id"
        result[_TRACKS] = [label_files.track_id(track, what) for track in result[_TRACKS]]
    except ValueError as error:
        raise record_files.damage(str(error)) from None
    return result


def _checked(key: str, features: Any, *, where: str) -> list:
    if key not in features:
        return []
    feature = features[key]
    values = [*getattr(feature, feature.WhichOneof("kind") or "bytes_list").value]
    if values and isinstance(values[0], bytes) != (key in _TEXTS):  # all are of one kind
        came, expected = ("numbers", "text") if key in _TEXTS else ("text", "numbers")
        raise record_files.damage(f"{where}: {key} holds {came}, expected {expected}")
    if key in _WHOLE and not all(float(value).is_integer() for value in values):
        raise record_files.damage(f"{where}: {key} holds {values[:9]}, expected whole numbers")
    return values


def _frame(values: dict[str, list], *, where: str, images: bool, tracks: bool) -> SourceFrame:
    *sides, classes = (values[_OBJECT + name] for name in _COLUMNS)
    track_ids = values[_TRACKS] or [-1] * len(classes)
    known = [c - 1 if 1 <= c <= limits.WHOLE else UNKNOWN_CLASS for c in classes]
    truth = GroundTruth(
        boxes=np.array(sides, np.float32).reshape(4, -1).T,
        classes=np.array(known, np.int32),
        track_ids=np.array(track_ids, np.int32) if tracks else None,
        is_crowd=np.array(values["image/object/is_crowd"] or [0] * len(classes), np.bool_),
    )
    image = next(iter(values["image/encoded"]), None) or None
    texts = tuple(f"number {c}" for c in classes)
    return SourceFrame(image if images else None, truth, where, class_texts=texts)


def indexed_labels(folder: str | os.PathLike[str]) -> tuple[str, ...]:
    """Returns the class names in the index of a folder of records; empty if there is none."""
    labels = record_files.index_of(folder).get("labels")
    if isinstance(labels, list) and all(isinstance(label, str) for label in labels):
        return tuple(labels)
    return ()


def _format_of(path: Path) -> str:
    """Returns the format of a TFRecord file or a folder of them; empty if it is none."""
    files = _files(path)
    if not files:
        return ""
    kind = record_files.kind_of(str(files[0]))
    if not kind:  # by its name it should, and the reader says what is wrong
        return "sequence_example" if "tfrecord" in files[0].name.lower() else ""
    return "sequence_example" if kind == "sequence" else "tf_example"


def _files_of(path: Path, options: Options) -> list[Path]:
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
