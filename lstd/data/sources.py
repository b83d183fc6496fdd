"""What a data set is before it becomes records or batches: videos of frames with raw boxes.

`lstd.data.readers` make a `Source` of what the files say; `lstd.data.problems` decides what becomes
of it. Everything is cheap to pickle: paths and numbers, no open file and no pixels.
"""

import dataclasses
import operator
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

import numpy as np

from lstd.base.types import GroundTruth

UNKNOWN_CLASS = -2
"""The class of a box whose name or number no label stands for; -1 is that of `GroundTruth`."""


class ImageFile(NamedTuple):
    """An image in a file of its own, of any format that Pillow reads; it may be missing."""

    path: str


Image = ImageFile | bytes | np.ndarray | None
"""A frame's picture, as its medium has it.

An `ImageFile`; the bytes of a JPEG or PNG; decoded pixels, uint8 `[H, W, 3]`, RGB; or None where
the data set speaks of a frame that its medium does not have.
"""


class SourceFrame(NamedTuple):
    """A frame and what the data set says is in it, raw.

    Attributes:
        image: see `Image`; None also where `SourceVideo.read` was asked for no images.
        truth: NumPy, N rows without padding: boxes float32 `[N, 4]`, ymin, xmin, ymax, xmax
            relative to the frame, any value at all; classes int32 `[N]`, 0-based in the order of
            `Source.labels`, `UNKNOWN_CLASS` or beyond the labels where there is none; track ids
            int32 `[N]`, -1 unknown, or None; is_crowd bool `[N]` or None, True with class -1 for a
            region to ignore.
        where: names file and record or frame, for messages: "gt/gt.txt, frame 12".
        row_names: where each box stands, such as "line 3"; empty where there is nothing to say.
        class_texts: the class of each box as the file spells it; empty where all are known.
        attributes: what else the format says of each box, float32 `[N]` by name: "occluded" and
            "generated" (0 or 1, ImageNet VID), "visibility" (share that is seen, MOT).
    """

    image: Image
    truth: GroundTruth
    where: str
    row_names: tuple[str, ...] = ()
    class_texts: tuple[str, ...] = ()
    attributes: Mapping[str, np.ndarray] = MappingProxyType({})


class SourceVideo(Protocol):
    """A video of a data set: facts, and frames in order from any place on."""

    @property
    def name(self) -> str:
        """Its name in the data set; two videos may have the same one, which is a problem."""

    @property
    def num_frames(self) -> int:
        """How many frames `read` gives from 0 on; 0 is possible, and a problem."""

    @property
    def height(self) -> int:
        """Of the frames, pixels; 0 where only the images tell."""

    @property
    def width(self) -> int:
        """Of the frames, pixels; 0 where only the images tell."""

    @property
    def has_tracks(self) -> bool:
        """Whether the format gives identities to objects; False: all track ids are None."""

    @property
    def random_access(self) -> bool:
        """Whether any frame is as cheap to read as the next one; not in a video file."""

    @property
    def where(self) -> str:
        """The file or folder it comes from, for messages."""

    def read(
        self, start: int = 0, stop: int | None = None, *, images: bool = True
    ) -> Iterator[SourceFrame]:
        """Yields the frames from `start` up to `stop` (None: the end), in order, each once.

        Exactly `stop - start` frames come, whatever is wrong with them: a frame that a video file
        cannot give has the image None. Without `images` no picture is opened or decoded.

        Raises:
            ValueError: a file is damaged so that its frames cannot be told; it is named.
            OSError: a file cannot be read; it is named.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Excerpt:
    """A `SourceVideo` that is the frames `start` to `stop` of another one, under its own name."""

    name: str
    video: SourceVideo
    start: int
    stop: int
    num_frames = property(lambda self: self.stop - self.start)
    height = property(operator.attrgetter("video.height"))
    width = property(operator.attrgetter("video.width"))
    has_tracks = property(operator.attrgetter("video.has_tracks"))
    random_access = property(operator.attrgetter("video.random_access"))
    where = property(operator.attrgetter("video.where"))

    def read(
        self, start: int = 0, stop: int | None = None, *, images: bool = True
    ) -> Iterator[SourceFrame]:
        """Yields the frames; see `SourceVideo`."""
        taken = range(self.start, self.stop)[start:stop]
        yield from self.video.read(taken.start, taken.stop, images=images)


class Source(NamedTuple):
    """A data set.

    Attributes:
        format: which reader made it, such as "mot".
        path: what was opened.
        labels: class names in class order; empty where neither the data nor the caller names them.
        videos: in the order of the data set; a still is a video of one frame.
        notes: what the format itself says to leave out, counted; for people.
        damaged: of each damaged record that is left out, where it is and what is wrong with it.
    """

    format: str
    path: str
    labels: tuple[str, ...]
    videos: tuple[SourceVideo, ...]
    notes: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()


def summary(source: Source) -> str:
    """Returns how many videos there are, of how many frames, and what one is called."""
    lengths = ", ".join(str(video.num_frames) for video in source.videos[:8])
    more = " and so on" if len(source.videos) > 8 else ""
    return (
        f"{source.path}: {source.format}, {len(source.videos)} videos of {lengths} frames{more}, "
        f"such as {source.videos[0].name}"
    )
