"""Makes videos whose boxes are exact: shapes or cut-outs that move over backgrounds.

Every frame is a function of the seed and its number, so a synthetic video is a `SourceVideo` like
any other, read from any place, and converted by any number of processes.
"""

from __future__ import annotations

import colorsys
import dataclasses
import functools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lstd.data.sources import Source, SourceFrame
from lstd.media import optional
from lstd.types import GroundTruth

NAME = "synthetic"
SHAPES = ("circle", "square", "triangle", "diamond", "cross")
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_BLUR_SAMPLES = 5


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
    noise: float = 0.0
    min_visible: float = 0.25
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks the values."""
        for name in ("videos", "frames", "height", "width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("blur", "occlusion", "min_visible"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        for name in ("objects", "speed", "noise", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not 0 < self.min_size <= self.max_size <= 1:
            raise ValueError(
                f"0 < min_size <= max_size <= 1 must hold, got {self.min_size} and {self.max_size}"
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


def source(scene: Scene) -> Source:
    """Returns the videos of a scene.

    Raises:
        ValueError: a folder of cut-outs or backgrounds without pictures.
        ImportError: Pillow is not installed.
    """
    pictures = _pictures(scene.cutouts, "cutouts") if scene.cutouts else []
    names = [*scene.shapes]
    for path in pictures:
        if _class_of(path, scene.cutouts) not in names:
            names.append(_class_of(path, scene.cutouts))
    backgrounds = _pictures(scene.backgrounds, "backgrounds") if scene.backgrounds else []
    videos = tuple(
        SyntheticVideo(
            number=number,
            scene=scene,
            objects=_objects(scene, number, names, pictures),
            background=str(_draw(scene, number, 1).choice([*map(str, backgrounds)]))
            if backgrounds
            else "",
        )
        for number in range(scene.videos)
    )
    return Source(NAME, f"seed {scene.seed}", tuple(names), videos)


@dataclasses.dataclass(frozen=True)
class SyntheticVideo:
    """A `SourceVideo` that is drawn when it is read."""

    number: int
    scene: Scene
    objects: tuple[Object, ...]
    background: str
    has_tracks: bool = True
    random_access: bool = True

    @property
    def name(self) -> str:
        """Its number, in words."""
        return f"synthetic_{self.scene.seed}_{self.number:05d}"

    @property
    def num_frames(self) -> int:
        """How many frames there are."""
        return self.scene.frames

    @property
    def height(self) -> int:
        """Of the frames, pixels."""
        return self.scene.height

    @property
    def width(self) -> int:
        """Of the frames, pixels."""
        return self.scene.width

    @property
    def where(self) -> str:
        """Its name."""
        return self.name

    def read(
        self, start: int = 0, stop: int | None = None, *, images: bool = True
    ) -> Iterator[SourceFrame]:
        """Yields the frames; see `SourceVideo`."""
        for frame in range(start, self.num_frames if stop is None else stop):
            image, truth = _render(self, frame)
            yield SourceFrame(image if images else None, truth, f"{self.name}, frame {frame}")


def write_folders(made: Source, directory: Path) -> None:
    """Writes every video as a folder of PNG files with a CSV file beside it.

    The folder must exist. Each table appears when all of its frames are there.
    """
    from lstd.whole_file import write_whole

    image = optional.load("PIL.Image")
    for video in made.videos:
        folder = directory / video.name
        folder.mkdir(parents=True, exist_ok=True)
        rows = ["frame,class,track_id,ymin,xmin,ymax,xmax"]
        scale = np.array([video.height, video.width, video.height, video.width])
        for number, frame in enumerate(video.read()):
            image.fromarray(frame.image).save(folder / f"{number:06d}.png")
            truth = frame.truth
            tracks = truth.track_ids if truth.track_ids is not None else [""] * len(truth.classes)
            for box, class_index, track in zip(truth.boxes, truth.classes, tracks, strict=True):
                sides = ",".join(f"{side:g}" for side in np.round(box * scale, 3))
                rows.append(f"{number},{made.labels[class_index]},{track},{sides}")
        write_whole(directory / f"{video.name}.csv", "\n".join(rows) + "\n")


def _draw(scene: Scene, *keys: int) -> np.random.Generator:
    return np.random.default_rng([scene.seed, *keys])


def _pictures(folder: str, what: str) -> list[Path]:
    found = [p for p in sorted(Path(folder).rglob("*")) if p.suffix.lower() in _SUFFIXES]
    if not found:
        raise ValueError(f"{what}: {folder} holds no picture; expected {', '.join(_SUFFIXES)}")
    return found


def _class_of(path: Path, folder: str) -> str:
    if path.parent != Path(folder):
        return path.relative_to(folder).parts[0]
    return path.stem.rstrip("0123456789").rstrip("_-. ") or path.stem


def _objects(
    scene: Scene, number: int, names: Sequence[str], pictures: Sequence[Path]
) -> tuple[Object, ...]:
    rng = _draw(scene, number, 0)
    short = min(scene.height, scene.width)
    kinds: list[tuple[int, str]] = [(place, "") for place in range(len(scene.shapes))]
    kinds += [(names.index(_class_of(p, scene.cutouts)), str(p)) for p in pictures]
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
    with optional.load("PIL.Image").open(picture) as opened:
        return opened.width / opened.height


def _render(video: SyntheticVideo, number: int) -> tuple[np.ndarray, GroundTruth]:
    """Returns a frame and its boxes."""
    scene = video.scene
    image = _background(video.background, scene, video.number).astype(np.float32)
    owner = np.full([scene.height, scene.width], -1)  # which object is on top
    extents = []
    for place, thing in enumerate(video.objects):
        color, alpha = _sprite(thing, scene)
        times = [float(number)]
        if scene.blur:
            times = [number + scene.blur * (k / (_BLUR_SAMPLES - 1) - 0.5) for k in range(5)]
        _paint(image, color, alpha, [_corner(thing, scene, time) for time in times])
        y, x = _corner(thing, scene, number)
        mask = alpha >= 0.5
        owner[y : y + thing.height, x : x + thing.width][mask] = place
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = (y + rows[0], x + columns[0], y + rows[-1] + 1, x + columns[-1] + 1)
        extents.append((box, int(mask.sum())))
    rng = _draw(scene, video.number, 2, number)
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
        classes=np.array([video.objects[place].class_index for place in seen], np.int32),
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
    """Lays a grey bar over a quarter to a half of the picture's side in some frames, in place."""
    if rng.uniform() >= scene.occlusion:
        return
    axis = int(rng.integers(2))
    extent = image.shape[axis]
    width = max(1, round(extent * rng.uniform(0.1, 0.3)))
    start = int(rng.integers(0, extent - width + 1))
    window = (slice(None),) * axis + (slice(start, start + width),)
    image[window] = rng.uniform(60, 200)
    owner[window] = -1


@functools.lru_cache(maxsize=256)
def _sprite(thing: Object, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Returns colour float32 `[h, w, 3]` and alpha float32 `[h, w]` of an object."""
    if thing.picture:
        with optional.load("PIL.Image").open(thing.picture) as opened:
            shown = opened.convert("RGBA").resize((thing.width, thing.height))
        values = np.asarray(shown).astype(np.float32)
        alpha = values[..., 3] / 255
        if (alpha >= 0.5).any():
            return values[..., :3], alpha
        raise ValueError(f"{thing.picture}: this cut-out is transparent all over")
    mask = _shape(scene.shapes[thing.class_index], thing.height, thing.width)
    return np.broadcast_to(np.array(thing.color, np.float32), (*mask.shape, 3)), mask.astype(
        np.float32
    )


def _shape(name: str, height: int, width: int) -> np.ndarray:
    """Returns bool `[h, w]`, which touches all four sides."""
    y = (np.arange(height)[:, np.newaxis] + 0.5) / height * 2 - 1
    x = (np.arange(width)[np.newaxis] + 0.5) / width * 2 - 1
    masks: dict[str, Any] = {
        "circle": y**2 + x**2 <= 1,
        "square": (np.abs(y) <= 1) & (np.abs(x) <= 1),
        "triangle": np.abs(x) <= (y + 1) / 2 + 1 / width,
        "diamond": np.abs(y) + np.abs(x) <= 1 + 1 / max(height, width),
        "cross": (np.abs(y) <= 0.34) | (np.abs(x) <= 0.34),
    }
    return masks[name]


@functools.lru_cache(maxsize=8)
def _background(picture: str, scene: Scene, number: int) -> np.ndarray:
    """Returns uint8 `[H, W, 3]`: a picture that fills the frame, or smooth noise."""
    image = optional.load("PIL.Image")
    size = (scene.width, scene.height)
    if picture:
        with image.open(picture) as opened:
            shown = optional.load("PIL.ImageOps").fit(opened.convert("RGB"), size)
    else:
        coarse = _draw(scene, number, 3).integers(40, 200, [8, 8, 3]).astype(np.uint8)
        shown = image.fromarray(coarse).resize(size, image.Resampling.BICUBIC)
    return np.asarray(shown)
