"""The video that most readers give: pictures from one place, boxes from another."""

import collections
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from lstd.base.types import GroundTruth
from lstd.data.readers.frame_pictures import Pictures
from lstd.data.sources import UNKNOWN_CLASS, Image, Source, SourceFrame


class Box(NamedTuple):
    """A box of a label file; all boxes of a frame have the same attributes.

    Attributes:
        sides: ymin, xmin, ymax, xmax, in pixels or relative; any value at all.
        label: its class as the file spells it.
        track: -1 unknown.
        crowd: of its class; without a label: a region to ignore.
        row_name: where it stands, such as "line 3".
    """

    sides: tuple[float, float, float, float]
    label: str = ""
    track: int = -1
    crowd: bool = False
    row_name: str = ""
    attributes: tuple[tuple[str, float], ...] = ()


class Labels(NamedTuple):
    """The boxes of a frame, the file and frame they come from, and height and width if given."""

    boxes: Sequence[Box]
    where: str
    size: tuple[float, float] = (0, 0)


def by_frame(
    rows: Iterable[tuple[int, Box]],
    numbers: Iterable[int],
    where: str,
    size: tuple[float, float] = (0, 0),
) -> tuple[Labels, ...]:
    """Returns the labels of the frames with these numbers, from each box and its frame's number."""
    boxes = collections.defaultdict(list)
    for number, box in rows:
        boxes[number].append(box)
    return tuple(Labels(boxes.get(n, ()), f"{where}, frame {n}", size) for n in numbers)


class Classes:
    """The class numbers of the names in files; blanks around a name are ignored.

    They are the caller's `labels`, or else those `known` to the data set, doubled ones once.
    """

    def __init__(self, known: Iterable[str], labels: Sequence[str] = ()) -> None:
        said = [name.strip() for name in labels] or dict.fromkeys(name.strip() for name in known)
        self.labels = tuple(said)
        self._numbers = {name: number for number, name in enumerate(self.labels)}

    def __getitem__(self, name: str) -> int:
        return self._numbers.get(name.strip(), UNKNOWN_CLASS)


@dataclasses.dataclass(frozen=True)
class LabelledVideo:
    """A `SourceVideo`, whose facts are described there.

    Pictures are shown upright, and boxes are of what is shown. But where the labels say a size that
    fits only the picture as it is stored, they are of that, and turned with it. Of a square, or of
    one that stands upside down, the sizes do not tell.

    Attributes:
        pictures: of all frames.
        frames: the labels of all frames, or the files that `read_labels` reads them from.
        classes: the numbers of the boxes' labels.
        in_pixels: whether the sides of the boxes are pixels of their frame, or relative.
    """

    name: str
    where: str
    pictures: Pictures
    frames: Sequence[Any]
    classes: Classes
    has_tracks: bool = False
    in_pixels: bool = True
    read_labels: Callable[[str], Labels] | None = None
    num_frames = property(lambda self: len(self.pictures))
    random_access = property(lambda self: self.pictures.random_access)
    height = property(lambda self: self._size[0])
    width = property(lambda self: self._size[1])

    @property
    def _size(self) -> tuple[int, int]:
        """Height and width of a video file; 0, 0: each image has its own."""
        return (0, 0) if self.random_access else self.pictures.size_of(0)

    def read(
        self, start: int = 0, stop: int | None = None, *, images: bool = True
    ) -> Iterator[SourceFrame]:
        """Yields the frames; see `SourceVideo`."""
        numbers = range(self.num_frames)[start:stop]
        shown = self.pictures.read(start, numbers.stop) if images else itertools.repeat(None)
        for number, image in zip(numbers, shown, strict=False):
            yield self._frame(number, image)

    def _frame(self, number: int, image: Image) -> SourceFrame:
        labels = self.frames[number]
        labels = self.read_labels(labels) if self.read_labels else labels
        # One pass: this runs for every frame of every epoch.
        rows = zip(*labels.boxes, strict=True) if labels.boxes else ((),) * len(Box._fields)
        corners, names, tracks, crowd, row_names, attributes = rows
        sides = np.array(corners, np.float64).reshape(-1, 4)
        sides = self._relative(number, sides, labels.size) if corners else sides
        known = zip(names, crowd, strict=True)
        classes = [-1 if many and not name else self.classes[name] for name, many in known]
        with np.errstate(over="ignore"):  # an infinite side is box_not_a_number
            sides = sides.astype(np.float32)
            marks = {
                name: np.array([row[place][1] for row in attributes], np.float32)
                for place, (name, _) in enumerate(attributes[0] if corners else ())
            }
        return SourceFrame(
            image,
            GroundTruth(
                boxes=sides,
                classes=np.array(classes, np.int32),
                track_ids=np.array(tracks, np.int32) if self.has_tracks else None,
                is_crowd=np.array(crowd, np.bool_),
            ),
            labels.where,
            tuple(row_names) if any(row_names) else (),
            tuple(names) if min(classes, default=0) < -1 else (),
            marks,
        )

    def _relative(self, number: int, sides: np.ndarray, said: tuple[float, float]) -> np.ndarray:
        """Returns the sides relative to the picture as shown."""
        if self.in_pixels:
            height, width = said if all(said) else self._size_of(number)
            sides = sides / [height, width, height, width]
        shown = self.pictures.size_of(number) if all(said) else (0, 0)
        if said == shown[::-1] != shown:
            return turned(sides, self.pictures.turn_of(number))
        return sides

    def _size_of(self, number: int) -> tuple[int, int]:
        # Its own image may be missing or damaged.
        for other in (number, *range(min(self.num_frames, 100))):
            size = self.pictures.size_of(other)
            if all(size):
                return size
        raise ValueError(
            f"{self.where}: no image tells the size of the frames; say where they are "
            "with --images, a folder or the video file"
        )


def turned(sides: np.ndarray, turn: int) -> np.ndarray:
    """Returns boxes `[N, 4]` of a stored picture, relative to the picture as shown.

    See `picture_file.orientation`: below 5, height and width stay, and so do the boxes.
    """
    if turn < 5:
        return sides
    xmin, ymin, xmax, ymax = sides.T  # the axes change places
    if turn in (7, 8):
        ymin, ymax = 1 - ymax, 1 - ymin
    if turn in (6, 7):
        xmin, xmax = 1 - xmax, 1 - xmin
    return np.stack([ymin, xmin, ymax, xmax], axis=-1)


def with_sizes_settled(source: Source) -> Source:
    """Returns the source, with corrected boxes and a note if the labels give another size.

    Of pictures that were scaled after they were labelled, the boxes are right as parts of the size
    that is said. Where the labels say at least twice the size of the pictures, and yet all boxes
    fit these, the size is wrong and the boxes are pixels. Some pictures are looked at, all only if
    none of these has the size that is said.
    """
    told = ""
    for video, number, labels in _sized(source, videos=20, frames=5):
        shown = video.pictures.size_of(number)
        if labels.size in (shown, shown[::-1]):
            return source
        if all(shown) and not told:
            (height, width), (high, wide) = shown, labels.size
            told = f"{labels.where}: the labels say {wide:g} x {high:g} pixels, the picture has "
            told += f"{width} x {height}; "
    if not told:
        return source
    every = [*_sized(source)]
    if sum(len(labels.boxes) for *_, labels in every) < 3 or not all(_fit(*one) for one in every):
        note = f"{told}boxes are taken for parts of the size that is said"
        return source._replace(notes=(*source.notes, note))
    videos = tuple(
        dataclasses.replace(video, frames=tuple(one._replace(size=(0, 0)) for one in video.frames))
        if _says_sizes(video)
        else video
        for video in source.videos
    )
    note = f"{told}all boxes fit the pictures and are taken for pixels of these"
    return source._replace(videos=videos, notes=(*source.notes, note))


def _says_sizes(video: Any) -> TypeGuard[LabelledVideo]:
    return isinstance(video, LabelledVideo) and video.read_labels is None and video.in_pixels


def _sized(
    source: Source, *, videos: int = 0, frames: int = 0
) -> Iterator[tuple[LabelledVideo, int, Labels]]:
    """Yields video, number and labels of all or about so many frames with boxes and a size."""
    step = max(1, len(source.videos) // videos if videos else 1)
    for video in filter(_says_sizes, source.videos[::step]):
        step = max(1, len(video.frames) // frames if frames else 1)
        for number in range(0, len(video.frames), step):
            labels = video.frames[number]
            if all(labels.size) and labels.boxes:
                yield video, number, labels


def _fit(video: LabelledVideo, number: int, labels: Labels) -> bool:
    """Whether boxes fit a picture of at most half the size in the labels, or it is missing."""
    shown = np.array(video.pictures.size_of(number))
    fit = np.all(np.array([box.sides[2:] for box in labels.boxes]) <= shown + 1)
    return bool(not all(shown) or (fit and np.all(np.array(labels.size) >= 2 * shown)))
