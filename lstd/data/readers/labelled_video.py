"""The video that most readers give: pictures from one place, boxes from another."""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from lstd.base import limits
from lstd.base.types import GroundTruth
from lstd.data import source_images
from lstd.data.source_images import CorruptImage, MissingImage
from lstd.data.sources import UNKNOWN_CLASS, Image, ImageFile, SourceFrame
from lstd.media import numbered_frames, picture_file, video

MOST_FRAMES = limits.FRAMES


class RawBoxes(NamedTuple):
    """The boxes of a frame as a file says them; N rows.

    Attributes:
        sides: float64 `[N, 4]`, ymin, xmin, ymax, xmax, in pixels or relative, see `LabelledVideo`.
        classes: int32 `[N]`.
        tracks: int32 `[N]`, -1 unknown.
        crowd: bool `[N]`.
        where: file and frame.
        row_names: see `SourceFrame`; so is the next one.
        class_texts: of each box.
        attributes: see `SourceFrame`.
        size: height and width of the picture that the boxes are of, as the file says, pixels; 0, 0
            where it does not.
    """

    sides: np.ndarray
    classes: np.ndarray
    tracks: np.ndarray
    crowd: np.ndarray
    where: str
    row_names: tuple[str, ...] = ()
    class_texts: tuple[str, ...] = ()
    attributes: tuple[tuple[str, np.ndarray], ...] = ()
    size: tuple[float, float] = (0, 0)


class BoxRow(NamedTuple):
    """One box, as `collect` takes it; `row_name` and `class_text` may be empty.

    All boxes of a frame have attributes of the same names.
    """

    sides: tuple[float, float, float, float]
    class_index: int = UNKNOWN_CLASS
    track: int = -1
    crowd: bool = False
    row_name: str = ""
    class_text: str = ""
    attributes: tuple[tuple[str, float], ...] = ()


def collect(rows: Sequence[BoxRow], *, where: str, size: tuple[float, float] = (0, 0)) -> RawBoxes:
    """Returns the boxes of a frame as arrays; `where` names file and frame, for size see there."""
    unknown = any(row.class_index < 0 for row in rows)
    return RawBoxes(
        sides=np.array([row.sides for row in rows], np.float64).reshape(-1, 4),
        classes=np.array([row.class_index for row in rows], np.int32),
        tracks=np.array([row.track for row in rows], np.int32),
        crowd=np.array([row.crowd for row in rows], np.bool_),
        where=where,
        row_names=tuple(row.row_name for row in rows) if any(r.row_name for r in rows) else (),
        class_texts=tuple(row.class_text for row in rows) if unknown else (),
        attributes=tuple(
            (name, np.array([row.attributes[place][1] for row in rows], np.float32))
            for place, (name, _) in enumerate(rows[0].attributes if rows else ())
        ),
        size=size,
    )


class Pictures(Protocol):
    """The images of a video."""

    @property
    def random_access(self) -> bool:
        """Whether any picture is as cheap as the next one."""
        ...

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int) -> Iterator[Image]:
        """Yields the images from `start` up to `stop`."""
        ...

    def size_of(self, number: int) -> tuple[int, int]:
        """Returns height and width of an image, pixels; 0, 0 if it cannot be told."""
        ...

    def turn_of(self, number: int) -> int:
        """Returns how it is turned before it is shown; see `picture_file.orientation`."""
        ...


class BoxesOfFrames(Protocol):
    """The boxes of a video by frame number."""

    def __getitem__(self, number: int, /) -> RawBoxes: ...


@dataclasses.dataclass(frozen=True)
class NumberedRows:
    """Boxes by the number that each of the frames has in the label file; see `numbered_rows`."""

    rows: Mapping[int, Sequence[BoxRow]]
    frames: Sequence[int]
    where: str

    def __getitem__(self, number: int) -> RawBoxes:
        frame = self.frames[number]
        return collect(self.rows.get(frame, ()), where=f"{self.where}, frame {frame}")


def numbered_rows(
    rows: Iterable[tuple[int, BoxRow]], classes: Classes, frames: Sequence[int], *, where: str
) -> NumberedRows:
    """Returns the boxes of the frames, each of the class that its text names."""
    found: dict[int, list[BoxRow]] = collections.defaultdict(list)
    for frame, row in rows:
        found[frame].append(row._replace(class_index=classes[row.class_text]))
    return NumberedRows(dict(found), frames, where)


@dataclasses.dataclass(frozen=True)
class LabelledVideo:
    """A `SourceVideo`.

    Attributes:
        name: see `SourceVideo`; so are has_tracks and where.
        pictures: of all frames.
        boxes: of all frames.
        in_pixels: whether the sides of the boxes are pixels of their frame, or relative.

    Pictures are shown upright, and boxes are of what is shown. But where the labels say a size that
    fits only the picture as it is stored, they are of that, and turned with it. Of a square, or of
    one that stands upside down, the sizes do not tell.
    """

    name: str
    where: str
    pictures: Pictures
    boxes: BoxesOfFrames
    has_tracks: bool = False
    has_crowds: bool = False
    in_pixels: bool = False

    @property
    def height(self) -> int:
        """Of the frames of a video file; 0: each image tells."""
        return 0 if self.random_access else self.pictures.size_of(0)[0]

    @property
    def width(self) -> int:
        """Of the frames of a video file; 0: each image tells."""
        return 0 if self.random_access else self.pictures.size_of(0)[1]

    @property
    def num_frames(self) -> int:
        """How many frames there are."""
        return len(self.pictures)

    @property
    def random_access(self) -> bool:
        """See `SourceVideo`."""
        return self.pictures.random_access

    def read(
        self, start: int = 0, stop: int | None = None, *, images: bool = True
    ) -> Iterator[SourceFrame]:
        """Yields the frames; see `SourceVideo`."""
        stop = self.num_frames if stop is None else min(stop, self.num_frames)
        if not images:
            for number in range(start, stop):
                yield self._frame(number, None)
            return
        for number, image in enumerate(self.pictures.read(start, stop), start=start):
            yield self._frame(number, image)

    def _frame(self, number: int, image: Image) -> SourceFrame:
        raw = self.boxes[number]
        sides = raw.sides
        if len(sides):
            sides = self._relative(number, raw)
        with np.errstate(over="ignore"):  # an infinite side is box_not_a_number
            boxes = sides.astype(np.float32)
        truth = GroundTruth(
            boxes=boxes,
            classes=raw.classes,
            track_ids=raw.tracks if self.has_tracks else None,
            is_crowd=raw.crowd if self.has_crowds else None,
        )
        return SourceFrame(
            image, truth, raw.where, raw.row_names, raw.class_texts, dict(raw.attributes)
        )

    def _relative(self, number: int, raw: RawBoxes) -> np.ndarray:
        """Returns the sides relative to the picture as it is shown."""
        sides, said = raw.sides, raw.size
        if self.in_pixels:
            height, width = said if all(said) else self._size_of(number)
            sides = sides / [height, width, height, width]
        shown = self.pictures.size_of(number) if all(said) else (0, 0)
        if said == shown[::-1] != shown:
            return turned(sides, self.pictures.turn_of(number))
        return sides

    def _size_of(self, number: int) -> tuple[int, int]:
        height, width = self.pictures.size_of(number)
        if height and width:
            return height, width
        for other in range(min(len(self.pictures), 100)):  # its own image is missing or damaged
            height, width = self.pictures.size_of(other)
            if height and width:
                return height, width
        raise ValueError(
            f"{self.where}: no image tells the size of the frames; say where they are "
            "with --images, a folder or the video file"
        )


@dataclasses.dataclass(frozen=True)
class ImageFiles:
    """Images in files of their own."""

    paths: tuple[str, ...]
    random_access: bool = True

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, start: int, stop: int) -> Iterator[Image]:
        """Yields the files, not opened."""
        for path in self.paths[start:stop]:
            yield ImageFile(path)

    def size_of(self, number: int) -> tuple[int, int]:
        """Returns what the head of the file says, 0, 0 if it cannot be read."""
        try:
            return source_images.size_of(ImageFile(self.paths[number]), where=self.paths[number])
        except (MissingImage, CorruptImage):
            return 0, 0

    def turn_of(self, number: int) -> int:
        """Returns what the head of the file says, which must be readable."""
        with picture_file.opened(self.paths[number], where=self.paths[number]) as picture:
            return picture_file.orientation(picture)


@dataclasses.dataclass(frozen=True)
class VideoFrames:
    """Frames of a video file: `numbers` of it, or the first `length`."""

    path: str
    length: int
    height: int
    width: int
    numbers: tuple[int, ...] | None = None
    random_access: bool = False

    def __len__(self) -> int:
        return self.length

    def read(self, start: int, stop: int) -> Iterator[Image]:
        """Yields decoded frames, None for one that the file does not have."""
        wanted = range(start, stop) if self.numbers is None else self.numbers[start:stop]
        if not len(wanted):
            return
        if any(after <= before for before, after in itertools.pairwise(wanted)):
            for number in wanted:  # told out of order or twice
                yield next(numbered_frames.read(self.path, number, number + 1))
            return
        place = 0
        frames = numbered_frames.read(self.path, wanted[0], wanted[-1] + 1)
        for number, image in enumerate(frames, start=wanted[0]):
            if number == wanted[place]:
                yield image
                place += 1

    def size_of(self, number: int) -> tuple[int, int]:
        """Returns the size of all frames."""
        return self.height, self.width

    def turn_of(self, number: int) -> int:
        """Returns how all frames are turned."""
        return (1, 8, 3, 6)[numbered_frames.quarter_turns(self.path)]


@dataclasses.dataclass(frozen=True)
class JoinedPictures:
    """Pictures from several places, one after the other."""

    parts: tuple[Pictures, ...]

    @property
    def random_access(self) -> bool:
        """Whether all of them are."""
        return all(part.random_access for part in self.parts)

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def read(self, start: int, stop: int) -> Iterator[Image]:
        """Yields the images from `start` up to `stop`."""
        for first, part in self._placed():
            if first < stop and first + len(part) > start:
                yield from part.read(max(0, start - first), min(stop - first, len(part)))

    def size_of(self, number: int) -> tuple[int, int]:
        """Returns what the image's own place says."""
        part, inside = self._part_of(number)
        return part.size_of(inside)

    def turn_of(self, number: int) -> int:
        """Returns what the image's own place says."""
        part, inside = self._part_of(number)
        return part.turn_of(inside)

    def _part_of(self, number: int) -> tuple[Pictures, int]:
        return next(
            (part, number - first) for first, part in self._placed() if number < first + len(part)
        )

    def _placed(self) -> Iterator[tuple[int, Pictures]]:
        """Yields the number of its first picture, and each part."""
        starts = itertools.accumulate((len(part) for part in self.parts), initial=0)
        return zip(starts, self.parts, strict=False)


def turned(sides: np.ndarray, turn: int) -> np.ndarray:
    """Returns boxes, relative to a stored picture, relative to what is shown of it.

    Args:
        sides: `[N, 4]`, ymin, xmin, ymax, xmax.
        turn: see `picture_file.orientation`; below 5, height and width stay what they are, and so
            do the boxes.
    """
    if turn < 5:
        return sides
    xmin, ymin, xmax, ymax = sides.T  # the axes change places
    if turn in (7, 8):
        ymin, ymax = 1 - ymax, 1 - ymin
    if turn in (6, 7):
        xmin, xmax = 1 - xmax, 1 - xmin
    return np.stack([ymin, xmin, ymax, xmax], axis=-1)


def video_frames(
    path: Path, *, numbers: Sequence[int] | None = None, at_least: int = 0
) -> VideoFrames:
    """Returns the frames of a video file.

    Args:
        path: the file.
        numbers: which frames; None: all.
        at_least: frames beyond the end up to this number have no image.

    Raises: as `lstd.media.video.probe`.
    """
    info = video.probe(path)
    length = len(numbers) if numbers is not None else numbered_frames.count(str(path))
    limits.check_missing(found=length, said=at_least, where=f"the last label of {path}")
    return VideoFrames(
        path=str(path),
        length=max(length, at_least),
        height=info.height,
        width=info.width,
        numbers=None if numbers is None else tuple(numbers),
    )


class Classes:
    """Class numbers of the names that files use; blanks around a name count for nothing.

    Args:
        known: the names in the order of the data set; one that comes again is the same class.
        labels: the caller's own names in class order; empty: `known`.
    """

    def __init__(self, known: Sequence[str], labels: Sequence[str] = ()) -> None:
        """Counts the names."""
        said = [name.strip() for name in labels] or dict.fromkeys(name.strip() for name in known)
        self.labels = tuple(said)
        self._numbers = {name: number for number, name in enumerate(self.labels)}

    def __getitem__(self, name: str) -> int:
        return self._numbers.get(name.strip(), UNKNOWN_CLASS)
