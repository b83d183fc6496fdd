"""What is wrong with whole videos and frames of a source, and what becomes of them."""

import functools
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from lstd.data import decode, source_images
from lstd.data.problems import OF_FRAMES, Checks, ProblemError
from lstd.data.sources import Excerpt, Source, SourceFrame, SourceVideo

Encoded = bytes | np.ndarray


def named(videos: Iterable[SourceVideo], checks: Checks) -> list[SourceVideo]:
    """Returns the videos that have frames, each under a name of its own.

    Raises:
        ProblemError: two of one name or one without frames, where the answer is error.
    """
    result: dict[str, SourceVideo] = {}
    for video in videos:
        if not video.num_frames:
            checks.meet("empty_video", f"{video.where}: video {video.name!r} has no frames")
            continue
        name, number = video.name, 1
        if name in result:
            message = f"{video.where}: another video has the name {name!r}, too"
            if checks.meet("doubled_video", message) == "skip":
                continue
        while name in result:
            number += 1
            name = f"{video.name}~{number}"
        result[name] = video if number == 1 else Excerpt(name, video, 0, video.num_frames)
    return [*result.values()]


def usable_videos(source: Source, checks: Checks) -> list[SourceVideo]:
    """Returns the videos of a source; see `named`. Raises a ValueError if none is left."""
    result = named(source.videos, checks)
    if not result:
        raise ValueError(f"{source.path}: this data set has no video with frames")
    return result


def select(source: Source, names: Sequence[str]) -> Source:
    """Returns the source with only the videos of these names, in its order; each must be there."""
    wanted = {*names}
    videos = tuple(video for video in source.videos if video.name in wanted)
    missing = sorted(wanted - {video.name for video in videos})
    if missing:
        others = f", and {len(missing) - 1} others of the list are not there"
        raise ValueError(
            f"{source.path}: there is no video {missing[0]!r}{others if missing[1:] else ''}"
        )
    return source._replace(videos=videos)


class FrameOpener:
    """Opens the images of one video; every problem meets its answer.

    `open` returns an image opened, of the bytes or pixels that a frame has.
    """

    def __init__(
        self,
        video: SourceVideo,
        checks: Checks,
        *,
        open: Callable[..., Encoded] = source_images.encoded,
    ) -> None:
        self._video, self._checks, self._open = video, checks, open
        self._last: tuple[SourceFrame, Encoded] | None = None

    def __call__(self, number: int, frame: SourceFrame) -> tuple[SourceFrame, Encoded] | None:
        """Returns a frame and its image, bytes or pixels; None if it is to be left out.

        A repaired frame comes with the boxes of the frame whose image it shows. Frames come in
        rising order of their numbers, from 0.

        Raises:
            ProblemError: its image is missing, damaged, or of another size, and that is an error.
            ValueError: no frame of the video has a sound image.
        """
        opened, kind, message = self.look(frame)
        if kind and self._checks.meet(kind, message) == "skip":
            return None
        if opened is None:
            self._last = self._last or self._nearest(number)
        else:
            self._last = (frame, self._resized(opened) if kind else opened)
        return self._last

    @functools.cached_property
    def size(self) -> tuple[int, int]:
        """Height and width of the video's first sound frame; raises ValueError without one."""
        return first_size(self._video)

    def look(self, frame: SourceFrame) -> tuple[Encoded | None, str, str]:
        """Returns the image, if any, and what is wrong with it: kind and message, or empty."""
        try:
            opened = self._open(frame.image, where=frame.where)
        except ProblemError as error:
            return None, error.kind, error.message
        found = source_images.size_of(opened, where=frame.where)
        if found == self.size:
            return opened, "", ""
        (height, width), (first_height, first_width) = found, self.size
        message = f"this frame has {width} x {height} pixels, the first one of the video "
        return opened, "frame_size", f"{frame.where}: {message}{first_width} x {first_height}"

    def _nearest(self, number: int) -> tuple[SourceFrame, Encoded]:
        """Returns the nearest good frame before this one, or else after it."""
        for other in [*range(number - 1, -1, -1), *range(number + 1, self._video.num_frames)]:
            frame = next(self._video.read(other, other + 1))
            opened, kind, _ = self.look(frame)
            if opened is not None:
                return frame, self._resized(opened) if kind else opened
        raise ValueError(f"{self._video.where}: video {self._video.name!r} has no sound image")

    def _resized(self, image: Encoded) -> np.ndarray:
        return decode.scaled(source_images.pixels(image, where=""), *self.size)


def dropped_frames(video: SourceVideo, checks: Checks) -> list[int]:
    """Returns the frames of a video that are to be left out; opens none if none can be.

    The report counts them; what is an error, or repaired, shows when the frame is taken.
    """
    if all(checks.policy[kind] != "skip" for kind in OF_FRAMES):
        return []
    opener = FrameOpener(video, checks)
    dropped = []
    for number, frame in enumerate(video.read()):
        _, kind, message = opener.look(frame)
        if kind and checks.policy[kind] == "skip":
            checks.meet(kind, message)
            dropped.append(number)
    return dropped


def first_size(video: SourceVideo) -> tuple[int, int]:
    """Returns height and width of a video's first sound frame; raises ValueError without one."""
    if not video.random_access and video.height and video.width:
        return video.height, video.width
    why = ""
    for number in range(video.num_frames):
        frame = next(video.read(number, number + 1))
        try:
            return source_images.size_of(frame.image, where=frame.where)
        except ProblemError as error:
            why = why or f"; {error.message}"
    raise ValueError(f"{video.where}: video {video.name!r} has no sound image{why}")
