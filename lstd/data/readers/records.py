"""Reads TFRecord files: the original's SequenceExamples, and tf.Examples of single images.

A SequenceExample is a video, or a part of one, see `lstd.data.sequence_example`. A tf.Example in
the form of the Object Detection API is a video of one frame: `image/encoded`,
`image/object/bbox/{ymin,xmin,ymax,xmax}` in [0, 1], `image/object/class/label` (1-based), and where
there are, `image/object/class/text`, `image/object/is_crowd`, `image/object/track/label`,
`image/source_id`, `image/filename`, `image/height`, `image/width`.

Without labels of the caller, their names are those of an index beside the files (`lstd-data
convert` writes it) or else the texts in the records, which are all read for it.

Source: the Object Detection API of TensorFlow, "Preparing Inputs".
"""

from __future__ import annotations

import dataclasses
import functools
import json
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lstd.data import record_files
from lstd.data.readers import natural
from lstd.data.readers.options import Options, WrongTree
from lstd.data.record_files import Part, _masked_crc32c
from lstd.data.sources import UNKNOWN_CLASS, Source, SourceFrame
from lstd.types import GroundTruth

SEQUENCE_NAME = "sequence_example"
EXAMPLE_NAME = "tf_example"
TREE = """\
train-00000-of-00010.tfrecord ... with SequenceExamples, or tf.Examples with image/encoded"""
INDEX = "index.json"


def kind_of(path: Path) -> str:
    """Returns the name of the format of a TFRecord file or a folder of them; empty: none."""
    files = _files(path)
    if not files:
        return ""
    if not _begins(files[0]):  # by its name it should, and the reader says what is wrong
        return SEQUENCE_NAME if "tfrecord" in files[0].name.lower() else ""
    first = next(_serialized(files[0]), None)
    if first is None:
        return SEQUENCE_NAME  # and an error about an empty file, when it is read
    return SEQUENCE_NAME if _is_sequence(first) else EXAMPLE_NAME


def read_sequences(path: Path, options: Options) -> Source:
    """Returns the videos of SequenceExamples.

    Raises:
        ValueError: a file is damaged or holds something else; it names file and record.
    """
    files = _checked_files(path, options)
    found = record_files.list_videos([str(file) for file in files])
    labels = options.labels or _indexed_labels(files[0].parent)
    if not labels:
        labels = _names_in(_sequence_texts(part) for video in found for part in video.parts)
    videos = tuple(RecordVideo(video.name, video.parts, labels) for video in found)
    return Source(SEQUENCE_NAME, str(path), tuple(labels), videos)


def read_examples(path: Path, options: Options) -> Source:
    """Returns every tf.Example as a video of one frame; raises as `read_sequences` does."""
    files = _checked_files(path, options)
    entries = [entry for file in files for entry in _scan_examples(file)]
    labels = options.labels or _names_in(texts for _, texts, _ in entries)
    videos = tuple(
        ExampleVideo(part.name, part.part, tuple(labels), tracks) for part, _, tracks in entries
    )
    return Source(EXAMPLE_NAME, str(path), tuple(labels), videos)


@dataclasses.dataclass(frozen=True)
class RecordVideo:
    """A `SourceVideo` in SequenceExamples; the numbers of frames are read when asked for."""

    name: str
    parts: tuple[Part, ...]
    labels: tuple[str, ...]
    random_access: bool = True

    @property
    def num_frames(self) -> int:
        """How many frames there are; reads the last record."""
        last = self.parts[-1]
        return last.first_frame + len(_images_of(_sequence(last)))

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
        return "bbox/track_id" in _sequence(self.parts[0]).feature_lists.feature_list

    @property
    def where(self) -> str:
        """The file of the first record."""
        return self.parts[0].path

    def read(
        self, start: int = 0, stop: int | None = None, *, images: bool = True
    ) -> Iterator[SourceFrame]:
        """Yields the frames; see `SourceVideo`."""
        stop = self.num_frames if stop is None else stop
        tracks = self.has_tracks
        expected = 0
        for place, part in enumerate(self.parts):
            if part.first_frame != expected and place:
                raise ValueError(
                    f"{_record_name(part)} of video {self.name!r} begins at frame "
                    f"{part.first_frame}, expected {expected}: frames are missing or there twice"
                )
            follows = self.parts[place + 1].first_frame if place + 1 < len(self.parts) else stop
            if follows <= start:
                expected = follows
                continue
            if part.first_frame >= stop:
                return
            record = _sequence(part)
            count = len(_images_of(record))
            for number in range(max(start - part.first_frame, 0), count):
                if part.first_frame + number >= stop:
                    return
                yield _sequence_frame(part, record, number, images=images, tracks=tracks)
            expected = part.first_frame + count


@dataclasses.dataclass(frozen=True)
class ExampleVideo:
    """A `SourceVideo` of one frame, a tf.Example."""

    name: str
    part: Part
    labels: tuple[str, ...]
    has_tracks: bool
    num_frames: int = 1
    random_access: bool = True

    @property
    def height(self) -> int:
        """As the record says, pixels."""
        return self.part.height

    @property
    def width(self) -> int:
        """As the record says, pixels."""
        return self.part.width

    @property
    def where(self) -> str:
        """The file of the record."""
        return self.part.path

    def read(
        self, start: int = 0, stop: int | None = None, *, images: bool = True
    ) -> Iterator[SourceFrame]:
        """Yields the frame; see `SourceVideo`."""
        if start > 0 or (stop is not None and stop < 1):
            return
        yield _example_frame(self.part, images=images, tracks=self.has_tracks)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if path.is_dir():
        found = [p for p in path.iterdir() if p.is_file() and "tfrecord" in p.name.lower()]
        found = [p for p in found if not p.name.startswith(".")]
    else:  # a pattern
        found = [p for p in path.parent.glob(path.name) if p.is_file()] if path.name else []
    return sorted(found, key=lambda file: natural.key(file.name))


def _checked_files(path: Path, options: Options) -> list[Path]:
    files = [file for file in _files(path) if file.name.startswith(options.subset)]
    if not files:
        raise WrongTree(f"{path}: there are no TFRecord files; expected\n{TREE}")
    return files


def _begins(path: Path) -> bool:
    """Whether a file begins as a TFRecord file does."""
    with path.open("rb") as file:
        head = file.read(12)
    return len(head) == 12 and _masked_crc32c(head[:8]) == struct.unpack("<I", head[8:])[0]


def _serialized(path: Path) -> Iterator[bytes]:
    import tensorflow as tf

    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    number = 0
    while True:
        try:
            yield next(records)
        except StopIteration:
            return
        except tf.errors.OpError as error:
            raise ValueError(
                f"{path}: record {number} (from 0) is damaged or cut off: {error.message}"
            ) from None
        number += 1


def _is_sequence(serialized: bytes) -> bool:
    import tensorflow as tf

    try:
        example = tf.train.SequenceExample.FromString(serialized)
    except Exception:  # protobuf's DecodeError; a tf.Example may be one by chance, too
        return False
    return "image/encoded" in example.feature_lists.feature_list


def _record_name(part: Part) -> str:
    return f"{part.path}: record {part.number} (from 0)"


@functools.lru_cache(maxsize=2)
def _sequence(part: Part) -> Any:
    """Returns a parsed SequenceExample; the last ones are remembered."""
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    try:
        record = tf.train.SequenceExample.FromString(record_files.read(part))
    except DecodeError as error:
        raise ValueError(f"{_record_name(part)} is not a SequenceExample: {error}") from None
    if not _images_of(record):
        raise ValueError(f"{_record_name(part)} has no frames in 'image/encoded'")
    return record


def _images_of(record: Any) -> Any:
    return record.feature_lists.feature_list["image/encoded"].feature


def _sequence_frame(
    part: Part, record: Any, number: int, *, images: bool, tracks: bool
) -> SourceFrame:
    where = f"{_record_name(part)}, frame {number}"
    lists = record.feature_lists.feature_list

    def values(key: str, kind: str) -> list:
        found = lists[key].feature if key in lists else ()
        return [*getattr(found[number], kind).value] if number < len(found) else []

    sides = [values(f"bbox/{s}", "float_list") for s in ("ymin", "xmin", "ymax", "xmax")]
    classes = values("bbox/label/index", "int64_list")
    _check_lengths([*sides, classes], where)
    track_ids = values("bbox/track_id", "int64_list") if tracks else []
    return _frame(
        values("image/encoded", "bytes_list")[0] if images else None,
        sides,
        classes,
        track_ids if len(track_ids) == len(classes) else [-1] * len(classes),
        values("is_crowd", "int64_list") or [0] * len(classes),
        where=where,
        tracks=tracks,
    )


def _example_frame(part: Part, *, images: bool, tracks: bool) -> SourceFrame:
    import tensorflow as tf

    where = _record_name(part)
    features = tf.train.Example.FromString(record_files.read(part)).features.feature
    box = "image/object/bbox"
    sides = [_values(features, f"{box}/{s}") for s in ("ymin", "xmin", "ymax", "xmax")]
    classes = _values(features, "image/object/class/label")
    _check_lengths([*sides, classes], where)
    encoded = _values(features, "image/encoded")
    return _frame(
        encoded[0] if images and encoded and encoded[0] else None,
        sides,
        classes,
        _values(features, "image/object/track/label") or [-1] * len(classes),
        _values(features, "image/object/is_crowd") or [0] * len(classes),
        where=where,
        tracks=tracks,
    )


def _check_lengths(columns: Sequence[list], where: str) -> None:
    if len({len(column) for column in columns}) > 1:
        told = ", ".join(str(len(column)) for column in columns)
        raise ValueError(
            f"{where}: the lists ymin, xmin, ymax, xmax and class differ in length: {told}"
        )


def _frame(
    image: bytes | None,
    sides: Sequence[list],
    classes: Sequence[int],
    track_ids: Sequence[int],
    crowd: Sequence[int],
    *,
    where: str,
    tracks: bool,
) -> SourceFrame:
    truth = GroundTruth(
        boxes=np.array(sides, np.float32).reshape(4, -1).T,
        classes=np.array([c - 1 if c >= 1 else UNKNOWN_CLASS for c in classes], np.int32),
        track_ids=np.array(track_ids, np.int32) if tracks else None,
        is_crowd=np.array(crowd, np.bool_),
    )
    return SourceFrame(image, truth, where, class_texts=tuple(f"number {c}" for c in classes))


def _values(features: Any, key: str) -> list:
    if key not in features:
        return []
    feature = features[key]
    return [*getattr(feature, feature.WhichOneof("kind") or "bytes_list").value]


class _Named:
    """A tf.Example and its name."""

    def __init__(self, name: str, part: Part) -> None:
        self.name, self.part = name, part


def _scan_examples(path: Path) -> Iterator[tuple[_Named, dict[int, str], bool]]:
    """Yields name, class texts by number, and whether there are tracks, of every record."""
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    number = -1
    for number, serialized in enumerate(_serialized(path)):
        try:
            features = tf.train.Example.FromString(serialized).features.feature
        except DecodeError as error:
            raise ValueError(
                f"{path}: record {number} (from 0) is not a tf.Example: {error}"
            ) from None
        if "image/encoded" not in features:
            raise ValueError(f"{path}: record {number} (from 0) has no 'image/encoded'")
        height, width = (_values(features, f"image/{side}") for side in ("height", "width"))
        said = [_values(features, f"image/{key}") for key in ("source_id", "filename")]
        name = next((v[0].decode(errors="replace") for v in said if v and v[0]), "")
        part = Part(str(path), number, 0, *(int(v[0]) if v else 0 for v in (height, width)))
        texts = _values(features, "image/object/class/text")
        classes = _values(features, "image/object/class/label")
        known = {int(c): t.decode(errors="replace") for c, t in zip(classes, texts, strict=False)}
        tracks = "image/object/track/label" in features
        yield _Named(name or f"{path.name}#{number}", part), known, tracks
    if number < 0:
        raise ValueError(f"{path}: the file has no records")


def _sequence_texts(part: Part) -> dict[int, str]:
    lists = _sequence(part).feature_lists.feature_list
    if "bbox/label/string" not in lists or "bbox/label/index" not in lists:
        return {}
    pairs = zip(lists["bbox/label/index"].feature, lists["bbox/label/string"].feature, strict=False)
    return {
        int(number): text.decode(errors="replace")
        for numbers, texts in pairs
        for number, text in zip(numbers.int64_list.value, texts.bytes_list.value, strict=False)
    }


def _indexed_labels(folder: Path) -> tuple[str, ...]:
    try:
        return tuple(json.loads((folder / INDEX).read_text())["labels"])
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def _names_in(texts: Iterator[dict[int, str]] | Any) -> tuple[str, ...]:
    """Returns names in class order, from those that records give; empty where none has any."""
    known: dict[int, str] = {}
    for found in texts:
        known.update(found)
    known = {number: name for number, name in known.items() if number >= 1}
    if not known:
        return ()
    return tuple(known.get(number, f"class {number - 1}") for number in range(1, max(known) + 1))
