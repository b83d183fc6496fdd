"""What is in a record of a TFRecord file: of a SequenceExample, or a tf.Example (one image)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from lstd.base import limits
from lstd.base.types import GroundTruth
from lstd.data.problems import ProblemError
from lstd.data.sequence_example import SIDES
from lstd.data.sources import UNKNOWN_CLASS, SourceFrame

_OF_EXAMPLE = {  # what a frame holds: its key in a SequenceExample, and in a tf.Example
    "image/encoded": "image/encoded",
    **{side: f"image/object/{side}" for side in SIDES},
    "bbox/label/index": "image/object/class/label",
    "bbox/track_id": "image/object/track/label",
    "is_crowd": "image/object/is_crowd",
    "bbox/label/string": "image/object/class/text",
}
_TEXTS = {
    *("image/encoded", "image/source_id", "image/filename"),
    *("bbox/label/string", _OF_EXAMPLE["bbox/label/string"]),
}
_WHOLE = {
    *("video/first_frame", "image/height", "image/width", "record/num_frames"),
    *("bbox/label/index", _OF_EXAMPLE["bbox/label/index"]),
    *("bbox/track_id", _OF_EXAMPLE["bbox/track_id"]),
}


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
        after_damage: whether a damaged record that stood before it is left out, or the shard before
            its own is not among those that were asked for.
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


def sequence_of(content: bytes, *, where: str) -> tf.train.SequenceExample:
    """Returns a record as a message; a tf.Example is one, too, with all its features in `context`.

    Raises:
        ProblemError: it is something else.
    """
    try:
        return tf.train.SequenceExample.FromString(content)
    except DecodeError as error:
        raise damage(f"{where} is not a SequenceExample: {error}") from None


def is_tf_example(record: tf.train.SequenceExample) -> bool:
    """Returns whether a record that has images is a tf.Example."""
    return "image/encoded" in record.context.feature


def described(
    record: tf.train.SequenceExample, path: str, number: int, offset: int
) -> tuple[list[str], Part]:
    """Returns a record's source id and file name, as far as it has them, and the part that it is.

    Raises:
        ProblemError: its numbers cannot be; or a tf.Example has text for numbers, or the reverse.
    """
    context, is_example = record.context.feature, is_tf_example(record)

    def first(key: str) -> list:
        try:
            return _values(context[key], key, named(path, number))[:1] if key in context else []
        except ProblemError:
            if is_example:
                raise
            return []

    frames = len(_columns(record)["image/encoded"][1])
    numbers = ("video/first_frame", "image/height", "image/width", "record/num_frames")
    start, height, width, said = (int(sum(first(key))) for key in numbers)
    part = Part(path, number, offset, start, height, width, frames)
    check_numbers(part)
    if not frames or said not in (0, frames):
        told = f"; it says {said}" if said else " in 'image/encoded'"
        raise damage(f"{part.where} has {frames} frames{told}")
    names = [first(key) for key in ("image/source_id", "image/filename")]
    return [n[0].decode(errors="replace") for n in names if n and n[0]], part


def frames_in(record: tf.train.SequenceExample, part: Part) -> list[SourceFrame]:
    """Returns the frames of a record that has been read; raises as `record_files.frames_of`."""
    where, columns, is_example = part.where, _columns(record), is_tf_example(record)
    places = _places(record, where, part.num_frames)
    del columns["bbox/label/string"]
    found: dict[str, list[list]] = {}
    for name, (key, features) in columns.items():
        if len(features) != part.num_frames and (features or name == "image/encoded"):
            raise damage(f"{where}: {key!r} has {len(features)} frames of {part.num_frames}")
        of_frames = zip(features, places, strict=False)  # there may be none
        found[name] = [_values(feature, key, place) for feature, place in of_frames]
    has_tracks = bool(any(found["bbox/track_id"]) if is_example else found["bbox/track_id"])
    frames = []
    rows = zip(*(values or [[]] * part.num_frames for values in found.values()), strict=True)
    for place, row in zip(places, rows, strict=True):
        encoded, *corners, stored, track, crowd = row
        track, crowd = track or [-1] * len(stored), crowd or [0] * len(stored)
        lengths = {len(values) for values in (*corners, stored, track, crowd)}
        if len(lengths) > 1 or len(encoded) > 1:
            held = zip((key for key, _ in columns.values()), row, strict=True)
            told = ", ".join(f"{key.removeprefix('image/object/')} {len(v)}" for key, v in held)
            raise damage(
                f"{place}: the lists of its boxes differ in length, or there are several images: "
                f"{told}"
            )
        if max(track, default=-1) > limits.WHOLE:
            raise damage(
                f"{place}: a track id is {max(track)}, expected a whole number of at most "
                f"{limits.WHOLE}"
            )
        # 0 stands for the region to ignore that a crowd may be; tf.Examples have none.
        lowest = [0 if many and not is_example else 1 for many in crowd]
        classes = [
            value - 1 if least <= value <= limits.WHOLE else UNKNOWN_CLASS
            for value, least in zip(stored, lowest, strict=True)
        ]
        truth = GroundTruth(
            boxes=np.array(corners, np.float32).reshape(4, -1).T,
            classes=np.array(classes, np.int32),
            track_ids=np.array([max(t, -1) for t in track], np.int32) if has_tracks else None,
            is_crowd=np.array(crowd, np.bool_),
        )
        texts = tuple(f"{value}" if value > 0 else f"{value} (1 is the first)" for value in stored)
        image = b"".join(encoded) or None
        frames.append(SourceFrame(image, truth, place, class_texts=texts))
    return frames


def texts_in(
    record: tf.train.SequenceExample, *, where: str, unread: list[ProblemError] | None = None
) -> dict[int, str]:
    """Returns the names that a record gives its classes, by their numbers.

    `unread` receives what is wrong with frames whose names cannot be read; None: an error.

    Raises:
        ProblemError: the names of a frame are no text, or its numbers are none.
    """
    columns = _columns(record)
    (index, numbers), (string, texts) = columns["bbox/label/index"], columns["bbox/label/string"]
    found: dict[int, str] = {}
    places = _places(record, where, len(numbers))
    for place, number, text in zip(places, numbers, texts, strict=False):
        try:
            pair = _values(number, index, place), _values(text, string, place)
        except ProblemError as error:
            if unread is None:
                raise
            unread.append(error)
        else:
            found |= {n: name.decode(errors="replace") for n, name in zip(*pair, strict=False)}
    return found


def named(path: str, number: int) -> str:
    """Returns file and number of a record, for messages."""
    return f"{path}: record {number} (from 0)"


def damage(message: str) -> ProblemError:
    """Returns the problem of a record that is no use; the message names file and record."""
    return ProblemError("damaged_record", message)


def check_numbers(part: Part) -> None:
    """Raises ProblemError, which names file and record, where a record's numbers cannot be."""
    numbers = (part.num_frames, part.first_frame, part.height, part.width)
    beyond = part.first_frame > limits.FRAMES or max(part.height, part.width) > limits.PIXELS
    if beyond or min(numbers) < 0:
        raise damage(
            f"{part.where} says that its {part.num_frames} frames have {part.width} x "
            f"{part.height} pixels, the first being {part.first_frame}: too much, or below 0"
        )


def _places(record: tf.train.SequenceExample, where: str, frames: int) -> list[str]:
    """Returns what messages call the frames of a record."""
    if is_tf_example(record):
        return [where]
    return [f"{where}, frame {number}" for number in range(frames)]


def _columns(
    record: tf.train.SequenceExample,
) -> dict[str, tuple[str, Sequence[tf.train.Feature]]]:
    """Returns key and features, one a frame, of what frames hold, as SequenceExamples call it."""
    context, lists = record.context.feature, record.feature_lists.feature_list
    if is_tf_example(record):
        return {
            name: (key, [context[key]] if key in context else ())
            for name, key in _OF_EXAMPLE.items()
        }
    return {name: (name, lists[name].feature if name in lists else ()) for name in _OF_EXAMPLE}


def _values(feature: tf.train.Feature, key: str, where: str) -> list:
    kind = feature.WhichOneof("kind") or "bytes_list"
    values = [*getattr(feature, kind).value]
    if values and (kind == "bytes_list") != (key in _TEXTS):
        came, expected = ("numbers", "text") if key in _TEXTS else ("text", "numbers")
        raise damage(f"{where}: {key} holds {came}, expected {expected}")
    if key in _WHOLE and kind == "float_list":
        if not all(value.is_integer() and abs(value) < 2**63 for value in values):
            raise damage(f"{where}: {key} holds {values[:9]}, expected whole numbers")
        return [int(value) for value in values]
    return values
