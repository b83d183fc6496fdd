"""What synthetic videos show, and how their frames are drawn."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lstd.base import limits
from lstd.base.types import GroundTruth
from lstd.media import optional, picture_file

SHAPES = ("circle", "square", "triangle", "diamond", "cross")
_BLUR_SAMPLES = 5
_LEAST_SIDE = 8


@dataclasses.dataclass(frozen=True)
class Scene:
    """What synthetic videos show.

    Attributes:
        videos: how many.
        frames: of each video.
        height: of the frames, pixels.
        width: likewise.
        objects: in each video.
        shapes: names of `SHAPES`, each a class; empty: the cut-outs only.
        cutouts: folder with transparent pictures; a folder in it, or the name of a picture without
            its last number, is a class; empty: none.
        backgrounds: folder with pictures; empty: smooth noise.
        min_size: longest side of the smallest object, as a share of the shorter side of the frame.
        max_size: likewise of the largest.
        speed: largest way of an object in one frame, as a share of the shorter side.
        blur: shutter time as a share of the time between frames: objects smear along their way.
        occlusion: share of the frames in which a bar hides a part of the picture.
        min_bar: width of the thinnest bar, as a share of the side of the frame that it cuts.
        max_bar: likewise of the widest.
        noise: standard deviation of the noise of the sensor, grey levels.
        min_visible: an object of which less than this share is seen has no box; one that is hidden
            altogether never has.
        seed: of everything.
    """

    videos: int = 8
    frames: int = 60
    height: int = 320
    width: int = 320
    objects: int = 3
    shapes: tuple[str, ...] = SHAPES
    cutouts: str = ""
    backgrounds: str = ""
    min_size: float = 0.1
    max_size: float = 0.3
    speed: float = 0.03
    blur: float = 0.0
    occlusion: float = 0.0
    min_bar: float = 0.1
    max_bar: float = 0.3
    noise: float = 0.0
    min_visible: float = 0.25
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks the values."""
        limits.check_section(self)
        least = {"videos": 1, "frames": 1, "height": _LEAST_SIDE, "width": _LEAST_SIDE}
        most = dict.fromkeys(("blur", "occlusion", "min_visible"), 1.0)
        for name in (*least, *most, "objects", "speed", "noise", "seed"):
            low, high, value = least.get(name, 0), most.get(name, math.inf), getattr(self, name)
            if not (low <= value <= high and math.isfinite(value)):
                bounds = f"at least {low}" if high == math.inf else f"in [{low}, {high:g}]"
                raise ValueError(f"{name} must be {bounds}, got {value}")
        for what in ("size", "bar"):
            low, high = getattr(self, f"min_{what}"), getattr(self, f"max_{what}")
            if not 0 < low <= high <= 1:
                raise ValueError(
                    f"0 < min_{what} <= max_{what} <= 1 must hold, got {low} and {high}"
                )
        unknown = [shape for shape in self.shapes if shape not in SHAPES]
        if unknown:
            raise ValueError(f"unknown shape {unknown[0]!r}; expected of {', '.join(SHAPES)}")
        if not self.shapes and not self.cutouts:
            raise ValueError("there is nothing to show: give shapes, or a folder of cutouts")


class Object(NamedTuple):
    """One object of a video.

    Attributes:
        class_index: 0-based.
        shape: of `SHAPES`; empty: a cut-out.
        picture: file of the cut-out.
        color: RGB, of a shape.
        height: pixels.
        width: pixels.
        start: y and x of its upper left corner in frame 0, along the unfolded way, pixels.
        step: y and x, pixels a frame.
    """

    class_index: int
    shape: str
    picture: str
    color: tuple[int, ...]
    height: int
    width: int
    start: tuple[float, float]
    step: tuple[float, float]


def drawing(*keys: int) -> np.random.Generator:
    """Returns the generator of what the seed of a scene and some numbers name."""
    return np.random.default_rng(keys)


def render(
    scene: Scene, video: int, number: int, *, objects: Sequence[Object], background: str
) -> tuple[np.ndarray, GroundTruth]:
    """Returns a frame, uint8 `[H, W, 3]`, and its boxes, with tracks.

    Args:
        scene: the settings.
        video: number of the video.
        number: of the frame.
        objects: of the video.
        background: file of a picture; empty: smooth noise.
    """
    image = _background(background, scene, video).astype(np.float32)
    owner = np.full([scene.height, scene.width], -1)  # which object is on top
    extents = []
    for place, thing in enumerate(objects):
        color, alpha = _sprite(thing)
        times = np.linspace(-0.5, 0.5, _BLUR_SAMPLES) * scene.blur if scene.blur else np.zeros(1)
        _paint(image, color, alpha, [_corner(thing, scene, number + time) for time in times])
        y, x = _corner(thing, scene, number)
        mask = alpha >= 0.5
        owner[y : y + thing.height, x : x + thing.width][mask] = place
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = (y + rows[0], x + columns[0], y + rows[-1] + 1, x + columns[-1] + 1)
        extents.append((box, int(mask.sum())))
    rng = drawing(scene.seed, video, 2, number)
    _occlude(image, owner, scene, rng)
    if scene.noise:
        image += rng.normal(0, scene.noise, image.shape).astype(np.float32)
    seen = [
        place
        for place, (_, area) in enumerate(extents)
        if (owner == place).sum() >= max(1, scene.min_visible * area)
    ]
    scale = np.array([scene.height, scene.width, scene.height, scene.width], np.float64)
    boxes = np.array([extents[place][0] for place in seen], np.float64).reshape(-1, 4) / scale
    truth = GroundTruth(
        boxes=boxes.astype(np.float32),
        classes=np.array([objects[place].class_index for place in seen], np.int32),
        track_ids=np.array(seen, np.int32),
    )
    return np.clip(np.rint(image), 0, 255).astype(np.uint8), truth


def _corner(thing: Object, scene: Scene, time: float) -> tuple[int, int]:
    """Returns the upper left pixel of an object, which turns back at the edges of the frame."""
    result = []
    for axis, (extent, side) in enumerate(
        ((scene.height, thing.height), (scene.width, thing.width))
    ):
        room = extent - side
        place = (thing.start[axis] + thing.step[axis] * time) % (2 * room) if room > 0 else 0.0
        result.append(round(place if place <= room else 2 * room - place))
    return result[0], result[1]


def _paint(
    image: np.ndarray, color: np.ndarray, alpha: np.ndarray, corners: Sequence[tuple[int, int]]
) -> None:
    """Lays an object over the image in place; several corners smear it."""
    height, width = alpha.shape
    cover = np.zeros(image.shape[:2], np.float32)
    paint = np.zeros_like(image)
    for y, x in corners:
        cover[y : y + height, x : x + width] += alpha
        paint[y : y + height, x : x + width] += color * alpha[..., np.newaxis]
    cover /= len(corners)
    image *= 1 - cover[..., np.newaxis]
    image += paint / len(corners)


def _occlude(image: np.ndarray, owner: np.ndarray, scene: Scene, rng: np.random.Generator) -> None:
    """Lays a grey bar over the whole height or width of some frames, in place."""
    if rng.uniform() >= scene.occlusion:
        return
    axis = int(rng.integers(2))
    extent = image.shape[axis]
    width = max(1, round(extent * rng.uniform(scene.min_bar, scene.max_bar)))
    start = int(rng.integers(0, extent - width + 1))
    window = (slice(None),) * axis + (slice(start, start + width),)
    image[window] = rng.uniform(60, 200)
    owner[window] = -1


@functools.lru_cache(maxsize=256)
def _sprite(thing: Object) -> tuple[np.ndarray, np.ndarray]:
    """Returns colour float32 `[h, w, 3]` and alpha float32 `[h, w]` of an object."""
    if thing.picture:
        with picture_file.opened(thing.picture, where=thing.picture) as opened:
            clear = "A" in opened.mode or "transparency" in opened.info
            shown = opened if clear else picture_file.rgb(opened)
            shown = shown.convert("RGBA").resize((thing.width, thing.height))
        values = np.asarray(shown).astype(np.float32)
        alpha = values[..., 3] / 255
        if (alpha >= 0.5).any():
            return values[..., :3], alpha
        raise ValueError(f"{thing.picture}: this cut-out is transparent all over")
    mask = _shape(thing.shape, thing.height, thing.width)
    return np.broadcast_to(np.array(thing.color, np.float32), (*mask.shape, 3)), mask.astype(
        np.float32
    )


def _shape(name: str, height: int, width: int) -> np.ndarray:
    """Returns bool `[h, w]`, which touches all four sides."""
    y = (np.arange(height)[:, np.newaxis] + 0.5) / height * 2 - 1
    x = (np.arange(width)[np.newaxis] + 0.5) / width * 2 - 1
    return {
        "circle": y**2 + x**2 <= 1,
        "square": (np.abs(y) <= 1) & (np.abs(x) <= 1),
        "triangle": np.abs(x) <= (y + 1) / 2 + 1 / width,
        "diamond": np.abs(y) + np.abs(x) <= 1 + 1 / max(height, width),
        "cross": (np.abs(y) <= 0.34) | (np.abs(x) <= 0.34),
    }[name]


@functools.lru_cache(maxsize=8)
def _background(picture: str, scene: Scene, number: int) -> np.ndarray:
    """Returns uint8 `[H, W, 3]`: a picture that fills the frame, or smooth noise."""
    image = optional.load("PIL.Image")
    size = (scene.width, scene.height)
    if picture:
        with picture_file.opened(picture, where=picture) as opened:
            shown = optional.load("PIL.ImageOps").fit(picture_file.rgb(opened), size)
    else:
        coarse = drawing(scene.seed, number, 3).integers(40, 200, [8, 8, 3]).astype(np.uint8)
        shown = image.fromarray(coarse).resize(size, image.Resampling.BICUBIC)
    return np.asarray(shown)
