"""Writes frames as a video that browsers play: H.264, yuv420p, .mp4."""

import contextlib
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lstd.base.whole_file import whole_file
from lstd.media import optional

_QUALITY = {"crf": "20", "preset": "veryfast"}


class VideoWriter(contextlib.AbstractContextManager["VideoWriter"]):
    """An .mp4 in the making; a context manager.

    The file appears under its name when the block ends well, and not at all when it ends with an
    error, or without a frame, which is one. H.264 wants even sizes: an odd width or height grows by
    repeating the last column or row. Width and height are those of the frames that come.

    Raises:
        ValueError: a size or rate that is not above 0, or an FFmpeg without H.264.
        OSError: the file cannot be written, such as for want of its folder.
        ImportError: PyAV is not installed.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, fps: float, width: int, height: int
    ) -> None:
        if width < 1 or height < 1 or not fps > 0:
            raise ValueError(f"{path}: cannot write {width} x {height} pixels at {fps} frames/s")
        self._path = Path(path)
        self._shape = (height, width, 3)
        self.num_frames = 0
        with contextlib.ExitStack() as files:
            temporary = files.enter_context(whole_file(path))
            self._container = files.enter_context(self._open(temporary))
            self._stream = self._add_stream(fps, width, height)
            files.push(self._finish)
            self._files = files.pop_all()

    def __exit__(self, *error: Any) -> bool | None:
        return self._files.__exit__(*error)

    def write(self, frame: np.ndarray) -> None:
        """Appends a frame, uint8 RGB `[height, width, 3]`; another is a ValueError."""
        frame = np.asarray(frame)
        if frame.shape != self._shape or frame.dtype != np.uint8:
            raise ValueError(
                f"{self._path}: expected frames of uint8 {list(self._shape)}, got {frame.dtype} "
                f"{list(frame.shape)}"
            )
        height, width = self._shape[:2]
        if height % 2 or width % 2:
            frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        picture = optional.load("av").VideoFrame.from_ndarray(
            np.ascontiguousarray(frame), format="rgb24"
        )
        self._container.mux(self._stream.encode(picture))
        self.num_frames += 1

    def _finish(self, *error: Any) -> None:
        """Encodes what is still held, unless the block ended with an error."""
        if error[0] is not None:
            return
        if self.num_frames == 0:
            raise ValueError(f"{self._path}: no frame was written, so there is no video")
        self._container.mux(self._stream.encode(None))

    def _open(self, temporary: Path) -> Any:
        av = optional.load("av")
        try:
            temporary.touch()  # FFmpeg would notice only at the first frame that it cannot write.
            return av.open(str(temporary), "w", format="mp4", options={"movflags": "+faststart"})
        except (av.error.FFmpegError, OSError) as error:
            raise OSError(f"{self._path}: cannot write this file: {error.strerror}") from None

    def _add_stream(self, fps: float, width: int, height: int) -> Any:
        av = optional.load("av")
        rate = Fraction(fps).limit_denominator(1001)
        try:
            stream = self._container.add_stream("libx264", rate=rate, options=dict(_QUALITY))
        except (av.error.FFmpegError, ValueError):
            raise ValueError(
                "this PyAV has no H.264 encoder (libx264); install the wheel of PyAV with pip"
            ) from None
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        return stream
