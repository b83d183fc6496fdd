"""Reads tf.Examples, each an image: as videos of one frame, or grouped into videos by name.

With `folders`, records are frames of one video if their names say so; see `frame_names`.

They are in the form of the Object Detection API: `image/encoded`,
`image/object/bbox/{ymin,xmin,ymax,xmax}` in [0, 1], `image/object/class/label` (1-based), and where
there are, `image/object/class/text`, `image/object/is_crowd`, `image/object/track/label`,
`image/source_id`, `image/filename`, `image/height`, `image/width`. Without labels of the caller,
their names are the texts in the records.

Source: the Object Detection API of TensorFlow, "Preparing Inputs".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lstd.base import limits
from lstd.base.types import GroundTruth
from lstd.data import record_files, source_images
from lstd.data.problems import ProblemError
from lstd.data.readers import frame_names, frame_pictures, label_files, sequence_records
from lstd.data.readers.label_files import Found, Options
from lstd.data.record_files import Part
from lstd.data.sources import UNKNOWN_CLASS, SourceFrame

_OBJECT = "image/object/"
_TRACKS = _OBJECT + "track/label"
_TEXTS = ("image/encoded", "image/source_id", "image/filename", "image/object/class/text")
_WHOLE = ("image/height", "image/width", "image/object/class/label", _TRACKS)
_COLUMNS = ("bbox/ymin", "bbox/xmin", "bbox/ymax", "bbox/xmax", "class/label")
_OPTIONAL_COLUMNS = ("is_crowd", "track/label")  # may be missing, or empty


def matches(path: Path) -> bool:
    """Whether a path is a TFRecord file of tf.Examples, or a folder or pattern of them."""
    return sequence_records.format_of(path) == "tf_example"


def read(path: Path, options: Options) -> Found:
    """Returns tf.Examples as videos of one frame, or grouped into videos; each is read once.

    Raises ProblemError, with file and record, unless `skip_damaged`.
    """

    def met(error: ProblemError) -> None:
        if not options.skip_damaged:
            raise error
        options.damaged.append(error.message)

    files = sequence_records.files_of(path, options)
    entries: list[_Entry] = []
    for file in map(str, files):
        for number, offset, content in record_files.read_all(file, met):
            try:
                entries.append(_described(content, file, number, offset))
            except ProblemError as error:
                met(error)
    labels = options.labels or sequence_records.names_in(entry.texts for entry in entries)
    groups = [(entry.name, [entry]) for entry in entries]
    if options.folders:
        parts = [str(Path(entry.part.path).parent) for entry in entries]
        names = [frame_pictures.clean(entry.file_name) for entry in entries]
        groups = [
            (group.name, [entries[place] for place in group.places])
            for group in frame_names.group(names, where=str(path), folders=True, parts=parts)
        ]
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
class ExampleVideo(sequence_records.InRecords):
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
