"""Reads tf.Examples of single images, each a video of one frame; or grouped by their names.

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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lstd.base import limits
from lstd.base.types import GroundTruth
from lstd.data import record_files, source_images
from lstd.data.problems import ProblemError
from lstd.data.readers import frame_names, pictures, record_set, whole_numbers
from lstd.data.readers.options import Options, all_taken
from lstd.data.record_files import Part
from lstd.data.sources import UNKNOWN_CLASS, Source, SourceFrame

NAME = record_set.EXAMPLE_NAME
TREE = record_set.TREE

_TEXTS = ("image/encoded", "image/source_id", "image/filename", "image/object/class/text")
_WHOLE = ("image/height", "image/width", "image/object/class/label", "image/object/track/label")
_COLUMNS = ("bbox/ymin", "bbox/xmin", "bbox/ymax", "bbox/xmax", "class/label")
_OPTIONAL_COLUMNS = ("is_crowd", "track/label")  # may be missing, or empty


def matches(path: Path) -> bool:
    """Whether a path is a TFRecord file of tf.Examples, or a folder or pattern of them."""
    return record_set.kind_of(path) == NAME


def read(path: Path, options: Options) -> Source:
    """Returns every tf.Example as a video of one frame, or as one of many; all are read once.

    Raises:
        ProblemError: a file is damaged or holds something else, unless `skip_damaged`; it names
            file and record.
    """
    damaged: list[str] = []

    def met(error: ProblemError) -> None:
        if not options.skip_damaged:
            raise error
        damaged.append(error.message)

    files = record_set.files_of(path, options)
    entries = [entry for file in files for entry in _scan(str(file), met)]
    labels = options.labels or record_set.names_in(entry.texts for entry in entries)
    groups = [(entry.name, [entry]) for entry in entries]
    notes = [*all_taken(record_set.folders_of(files))]
    if options.folders:
        parts = [str(Path(entry.part.path).parent) for entry in entries]
        names = [pictures.clean(entry.file_name) for entry in entries]
        groups = [
            (group.name, [entries[place] for place in group.places])
            for group in frame_names.group(names, where=str(path), folders=True, parts=parts)
        ]
    elif not options.stills and len(entries) > 1:
        notes.append(
            "every record is a video of one frame; if their names, such as "
            f"{entries[0].file_name}, tell videos, say so with folders, if they are single images, "
            "with stills"
        )
    videos = tuple(
        ExampleVideo(name, tuple(e.part for e in own), any(e.has_tracks for e in own))
        for name, own in groups
    )
    return Source(NAME, str(path), tuple(labels), videos, tuple(notes), tuple(damaged))


@dataclasses.dataclass(frozen=True)
class ExampleVideo:
    """A `SourceVideo` whose frames are tf.Examples."""

    name: str
    parts: tuple[Part, ...]
    has_tracks: bool
    random_access: bool = True

    @property
    def num_frames(self) -> int:
        """How many records."""
        return len(self.parts)

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

    def read(
        self, start: int = 0, stop: int | None = None, *, images: bool = True
    ) -> Iterator[SourceFrame]:
        """Yields the frames; see `SourceVideo`."""
        for part in self.parts[start:stop]:
            where = record_files.name_of(part)
            features = _features(record_files.read(part), where=where)
            frame = _frame(features, where=where, images=images, tracks=self.has_tracks)
            size = (part.height, part.width)
            yield frame._replace(image=source_images.of_size(frame.image, size, where=where))


class _Entry(NamedTuple):
    """A record: its names, its place, class texts by number, and whether it has track ids."""

    name: str
    file_name: str
    part: Part
    texts: dict[int, str]
    has_tracks: bool


def _scan(path: str, met: Callable[[ProblemError], None]) -> Iterator[_Entry]:
    """Yields what is to be known of each record; `met` gets the damage."""
    for number, offset, serialized in record_files.read_all(path, met):
        try:
            yield _described(serialized, path, number, offset)
        except ProblemError as error:
            met(error)


def _described(serialized: bytes, path: str, number: int, offset: int) -> _Entry:
    where = f"{path}: record {number} (from 0)"
    features = _features(serialized, where=where)
    sides = [_values(features, f"image/{side}") for side in ("height", "width")]
    height, width = (int(side[0]) if side else 0 for side in sides)
    part = Part(path, number, offset, 0, height, width)
    record_files.check_numbers(part, len(serialized))
    said = [_values(features, f"image/{key}") for key in ("source_id", "filename")]
    names = [v[0].decode(errors="replace") for v in said if v and v[0]]
    names = names or [f"{Path(path).name}#{number}"]
    texts = _values(features, "image/object/class/text")
    classes = _values(features, "image/object/class/label")
    return _Entry(
        names[0],
        names[-1],
        part,
        {int(c): t.decode(errors="replace") for c, t in zip(classes, texts, strict=False)},
        "image/object/track/label" in features,
    )


def _features(serialized: bytes, *, where: str) -> Any:
    """Returns the features of a tf.Example by name; raises ProblemError where it is none."""
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    try:
        features = tf.train.Example.FromString(serialized).features.feature
    except DecodeError as error:
        raise record_files.damage(f"{where} is not a tf.Example: {error}") from None
    if "image/encoded" not in features:
        raise record_files.damage(f"{where} has no 'image/encoded'")
    for key in (*_TEXTS, *_WHOLE, *(f"image/object/{name}" for name in _COLUMNS[:4])):
        _check_values(key, _values(features, key), where=where)
    columns = {name: _values(features, f"image/object/{name}") for name in _COLUMNS}
    optional = {name: _values(features, f"image/object/{name}") for name in _OPTIONAL_COLUMNS}
    columns |= {name: values for name, values in optional.items() if values}
    if len({len(values) for values in columns.values()}) > 1:
        told = ", ".join(f"{name} {len(values)}" for name, values in columns.items())
        raise record_files.damage(f"{where}: the lists of its boxes differ in length: {told}")
    for track in optional["track/label"]:
        _track_id(track, where=where)
    return features


def _check_values(key: str, values: list, *, where: str) -> None:
    is_text = key in _TEXTS
    if values and isinstance(values[0], bytes) != is_text:  # all of a feature are of one kind
        came, expected = ("numbers", "text") if is_text else ("text", "numbers")
        raise record_files.damage(f"{where}: {key} holds {came}, expected {expected}")
    if key in _WHOLE and not all(float(value).is_integer() for value in values):
        raise record_files.damage(f"{where}: {key} holds {values[:9]}, expected whole numbers")


def _track_id(value: float, *, where: str) -> int:
    try:
        return whole_numbers.track_id(value, what=f"{where}: a track id is {value}")
    except ValueError as error:
        raise record_files.damage(str(error)) from None


def _frame(features: Any, *, where: str, images: bool, tracks: bool) -> SourceFrame:
    *sides, classes = (_values(features, f"image/object/{name}") for name in _COLUMNS)
    encoded = _values(features, "image/encoded")
    track_ids = _values(features, "image/object/track/label") or [-1] * len(classes)
    crowd = _values(features, "image/object/is_crowd") or [0] * len(classes)
    truth = GroundTruth(
        boxes=np.array(sides, np.float32).reshape(4, -1).T,
        classes=np.array(
            [c - 1 if 1 <= c <= limits.WHOLE else UNKNOWN_CLASS for c in classes], np.int32
        ),
        track_ids=np.array([_track_id(t, where=where) for t in track_ids], np.int32)
        if tracks
        else None,
        is_crowd=np.array(crowd, np.bool_),
    )
    image = encoded[0] if images and encoded and encoded[0] else None
    return SourceFrame(image, truth, where, class_texts=tuple(f"number {c}" for c in classes))


def _values(features: Any, key: str) -> list:
    if key not in features:
        return []
    feature = features[key]
    return [*getattr(feature, feature.WhichOneof("kind") or "bytes_list").value]
