"""Reads frames from a video file, a folder of images, a camera or an address."""

import contextlib
import itertools
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lstd.base import limits, natural
from lstd.media import optional, picture_file

SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".3gp", ".avi", ".mkv", ".webm", ".wmv", ".flv"),
    *(".mpg", ".mpeg", ".vob", ".ts", ".mts", ".m2ts"),
)
"""Of files that are taken for videos by their names."""
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")
"""Of the pictures of a folder that are the frames of a video."""

FOLDER_FPS = 30.0
"""Frames a second of a folder of images, which does not say."""

Source = str | os.PathLike[str] | int
_OPEN_TIMEOUT_S = 10.0
_HIGHEST_FPS = 1000.0


class VideoInfo(NamedTuple):
    """What is known about a source before its frames are read.

    Width and height are in pixels after rotation; `fps` is `FOLDER_FPS` for a folder and where a
    source is silent; `num_frames` None where it does not say, as cameras and some containers. A
    container may be wrong about it, so use it for progress only.
    """

    width: int
    height: int
    fps: float
    num_frames: int | None


class Frame(NamedTuple):
    """A frame, uint8 RGB `[H, W, 3]`, and the seconds since the first one."""

    image: np.ndarray
    time_s: float


class VideoReader(contextlib.AbstractContextManager["VideoReader"]):
    """An open source: `info`, and its frames once, in order. A context manager.

    A video's rotation (phones store it beside the frames) is applied when it is a multiple of 90
    degrees, and so is the orientation of a JPEG. Frames of a video that change their size on the
    way are scaled to the size of the first one.

    Args:
        source: a video file, a folder of .jpg, .jpeg and .png images (in natural order, 2 before
            10), the number of a camera (`"0"` or 0), or an address such as `rtsp://...`.
        skip_damaged: frames of a video that cannot be decoded are left out, not an error.

    Raises:
        FileNotFoundError: no such file, folder or camera.
        ValueError: not a video, a folder without images or with images of several sizes.
        OSError: it cannot be opened or read.
        ImportError: PyAV or Pillow is not installed.
    """

    def __init__(self, source: Source, *, skip_damaged: bool = False) -> None:
        self._container: Any = None
        self._skip_damaged = skip_damaged
        self._name = str(source)
        name = self._name
        if not (name.isdigit() or "://" in name) and Path(name).is_dir():
            paths = _pictures_in(Path(name))
            height, width = _same_size(paths)
            self.info = VideoInfo(width, height, FOLDER_FPS, len(paths))
            self._frames = _read(paths, (height, width, 3))
            return
        self._container = _open(name)
        try:
            self._open_stream()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        return self._frames

    def close(self) -> None:
        """Closes the source; more than once is fine."""
        if self._container is not None:
            self._container.close()
            self._container = None

    def _open_stream(self) -> None:
        """Decodes the first frame: only then are the rotation and the true size known."""
        name, videos = self._name, self._container.streams.video
        if self._container.format.name == "tty":  # FFmpeg plays any text file as a terminal.
            raise ValueError(f"{name}: this is text, not a video")
        if not videos:
            raise ValueError(f"{name}: there are no pictures in this file, only other streams")
        stream = videos[0]
        if stream.codec_context is None:
            raise ValueError(f"{name}: FFmpeg has no decoder for the pictures in this file")
        stream.thread_type = "AUTO"
        if stream.width * stream.height > limits.PIXELS:
            raise ValueError(
                f"{name}: frames of {stream.width} x {stream.height} pixels; more than "
                f"{limits.PIXELS} are taken for a mistake"
            )
        decoded = self._decode(stream)
        first = next(decoded, None)
        if first is None:
            raise ValueError(f"{name}: this video holds no frame that can be decoded")
        self.turns = turns = quarter_turns(getattr(first, "rotation", 0))  # Since PyAV 14.
        self.coded_size = size = (first.width, first.height)
        fps = float(stream.average_rate or stream.guessed_rate or 0)
        if not 0 < fps <= _HIGHEST_FPS:  # A stream's clock, 90000, is not its rate.
            fps = FOLDER_FPS
        width, height = size if turns % 2 == 0 else size[::-1]
        self.info = VideoInfo(width, height, fps, stream.frames or None)
        self._frames = _images(first, decoded, size=size, turns=turns, fps=fps)

    def _decode(self, stream: Any) -> Iterator[Any]:
        av = optional.load("av")
        packets = self._container.demux(stream)
        decoded = (frame for packet in packets for frame in packet.decode())
        index = 0
        try:
            for frame in sound_frames(packets) if self._skip_damaged else decoded:
                yield frame
                index += 1
        except av.error.FFmpegError as error:
            message = f"{self._name}: frame {index} cannot be decoded: {error.strerror}"
            raise (OSError if index else ValueError)(message) from None


def read_frames(source: Source) -> Iterator[np.ndarray]:
    """Yields the frames of a source, uint8 RGB `[H, W, 3]`, all of one size; see `VideoReader`.

    The errors of `VideoReader` come with the first frame.
    """
    with VideoReader(source) as reader:
        for frame in reader:
            yield frame.image


def probe(source: Source) -> VideoInfo:
    """Returns size, rate and length of a source; raises as `VideoReader` does.

    A video needs one frame that can be decoded, which need not be the first.
    """
    with VideoReader(source, skip_damaged=True) as reader:
        return reader.info


def _open(name: str) -> Any:
    """Returns an open PyAV container for a file, an address or a camera's number."""
    av = optional.load("av")
    arguments: dict[str, Any] = {}
    target = name
    if name.isdigit():
        target, arguments["format"] = _camera(int(name))
    elif "://" in name:
        arguments["timeout"] = _OPEN_TIMEOUT_S
    elif not Path(name).exists():
        raise FileNotFoundError(f"{name}: there is no such file or folder")
    elif Path(name).stat().st_size == 0:
        raise ValueError(f"{name}: this file is empty, so it is not a video")
    try:
        return av.open(target, **arguments)
    except av.error.InvalidDataError:
        raise ValueError(f"{name}: this is not a video that FFmpeg can read") from None
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OSError(f"{name}: cannot open it as a video: {reason}") from None


def _camera(number: int) -> tuple[str, str]:
    """Returns the device of a camera and FFmpeg's name of the system that serves it."""
    if sys.platform.startswith("linux"):
        device = Path(f"/dev/video{number}")
        if not device.exists():
            raise FileNotFoundError(f"there is no camera {number}: {device} does not exist")
        return str(device), "v4l2"
    if sys.platform == "darwin":
        return f"{number}:none", "avfoundation"
    raise OSError(
        f"camera {number}: numbers of cameras work on Linux and macOS; elsewhere give an address"
    )


def quarter_turns(degrees: float) -> int:
    """Returns how often to turn a frame by 90 degrees, counterclockwise."""
    turns = round(degrees / 90)
    return turns % 4 if abs(degrees - 90 * turns) < 1 else 0


def sound_frames(packets: Iterable[Any]) -> Iterator[Any]:
    """Yields the frames of packets; of one that is damaged none, the decoder goes on behind it."""
    av = optional.load("av")
    for packet in packets:
        with contextlib.suppress(av.error.FFmpegError):
            yield from packet.decode()


def upright(frame: Any, *, size: tuple[int, int], turns: int) -> np.ndarray:
    """Returns a decoded frame as uint8 RGB, scaled to width and height, turned to be shown."""
    image = frame.to_ndarray(format="rgb24", width=size[0], height=size[1])
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


def _images(
    first: Any, others: Iterator[Any], *, size: tuple[int, int], turns: int, fps: float
) -> Iterator[Frame]:
    for index, frame in enumerate(itertools.chain([first], others)):
        known = first.time is not None and frame.time is not None
        time_s = float(frame.time - first.time) if known else index / fps
        yield Frame(upright(frame, size=size, turns=turns), time_s)


def _pictures_in(folder: Path) -> list[Path]:
    """Returns the pictures of a folder in natural order, without hidden files."""
    paths = [
        path
        for path in sorted(folder.iterdir(), key=lambda path: natural.key(path.name))
        if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")
    ]
    if not paths:
        inner = sorted(path.name for path in folder.iterdir() if path.is_dir())
        close = f"; it holds folders, name one of them: {', '.join(inner[:5])}" if inner else ""
        raise ValueError(
            f"{folder}: this folder holds no image; expected {', '.join(PICTURE_SUFFIXES)}{close}"
        )
    return paths


def _same_size(paths: Sequence[Path]) -> tuple[int, int]:
    """Returns height and width of pictures, of which only the heads are read."""
    first = (0, 0)
    for path in paths:
        with picture_file.opened(path, where=str(path)) as image:
            size = picture_file.size_of(image)
        first = size if path is paths[0] else first
        if size != first:
            raise ValueError(
                f"{path}: {size[1]} x {size[0]} pixels, but {paths[0].name} has {first[1]} x "
                f"{first[0]}; the images of a folder must be of one size"
            )
    return first


def _read(paths: Sequence[Path], shape: tuple[int, int, int]) -> Iterator[Frame]:
    for index, path in enumerate(paths):
        with picture_file.opened(path, where=str(path)) as image:
            frame = picture_file.pixels(image)
        if frame.shape != shape:  # written anew since its head was read
            raise ValueError(f"{path}: expected the shape {shape}, got {frame.shape}")
        yield Frame(frame, index / FOLDER_FPS)
