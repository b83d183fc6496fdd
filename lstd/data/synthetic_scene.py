"""What synthetic videos show: the settings, and the objects that move through a video."""

from __future__ import annotations

import colorsys
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lstd.base import limits
from lstd.media import picture_file

SHAPES = ("circle", "square", "triangle", "diamond", "cross")
_LEAST_SIDE = 8
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


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
        for name, number in least.items():
            if getattr(self, name) < number:
                raise ValueError(f"{name} must be at least {number}, got {getattr(self, name)}")
        for name in ("blur", "occlusion", "min_visible"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        for name in ("objects", "speed", "noise", "seed"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a number from 0 on, got {getattr(self, name)}")
        for what in ("size", "bar"):
            least_share, most_share = getattr(self, f"min_{what}"), getattr(self, f"max_{what}")
            if not 0 < least_share <= most_share <= 1:
                raise ValueError(
                    f"0 < min_{what} <= max_{what} <= 1 must hold, got {least_share} and "
                    f"{most_share}"
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
        picture: file of a cut-out; empty: the shape that the class names.
        color: RGB, of a shape.
        height: pixels.
        width: pixels.
        start: y and x of its upper left corner in frame 0, along the unfolded way, pixels.
        step: y and x, pixels a frame.
    """

    class_index: int
    picture: str
    color: tuple[int, int, int]
    height: int
    width: int
    start: tuple[float, float]
    step: tuple[float, float]


def draw(scene: Scene, *keys: int) -> np.random.Generator:
    """Returns the generator of one aspect of a scene, which the keys name."""
    return np.random.default_rng([scene.seed, *keys])


def pictures_in(folder: str, what: str) -> list[Path]:
    """Returns the pictures of a folder, sorted.

    Raises:
        ValueError: there is none.
    """
    found = [p for p in sorted(Path(folder).rglob("*")) if p.suffix.lower() in _SUFFIXES]
    if not found:
        raise ValueError(f"{what}: {folder} holds no picture; expected {', '.join(_SUFFIXES)}")
    return found


def class_of(path: Path, folder: str) -> str:
    """Returns the class of a cut-out in a folder."""
    if path.parent != Path(folder):
        return path.relative_to(folder).parts[0]
    return path.stem.rstrip("0123456789").rstrip("_-. ") or path.stem


def objects_of(
    scene: Scene, number: int, names: Sequence[str], pictures: Sequence[Path]
) -> tuple[Object, ...]:
    """Returns the objects of a video.

    Args:
        scene: the settings.
        number: of the video.
        names: of the classes: the shapes, then the cut-outs.
        pictures: files of the cut-outs.
    """
    rng = draw(scene, number, 0)
    short = min(scene.height, scene.width)
    kinds: list[tuple[int, str]] = [(place, "") for place in range(len(scene.shapes))]
    kinds += [(names.index(class_of(p, scene.cutouts)), str(p)) for p in pictures]
    result = []
    for _ in range(scene.objects):
        class_index, picture = kinds[int(rng.integers(len(kinds)))]
        side = max(3, round(short * rng.uniform(scene.min_size, scene.max_size)))
        aspect = _aspect(picture) if picture else float(rng.uniform(0.7, 1.4))
        height = max(3, round(side * min(1.0, 1 / aspect)))
        width = max(3, round(side * min(1.0, aspect)))
        angle = rng.uniform(0, 2 * math.pi)
        way = short * rng.uniform(0.2, 1.0) * scene.speed
        hue = float(rng.uniform())
        red, green, blue = colorsys.hsv_to_rgb(hue, 0.8, float(rng.uniform(0.6, 1.0)))
        result.append(
            Object(
                class_index=class_index,
                picture=picture,
                color=(round(255 * red), round(255 * green), round(255 * blue)),
                height=height,
                width=width,
                start=(
                    float(rng.uniform(0, 2 * max(1, scene.height - height))),
                    float(rng.uniform(0, 2 * max(1, scene.width - width))),
                ),
                step=(way * math.sin(angle), way * math.cos(angle)),
            )
        )
    return tuple(result)


def _aspect(picture: str) -> float:
    with picture_file.opened(picture, where=picture) as opened:
        height, width = picture_file.size_of(opened)
        return width / height
