"""Makes videos whose boxes are exact: shapes or cut-outs that move over backgrounds.

Every frame is a function of the seed and its number, so a synthetic video is a `SourceVideo` like
any other, read from any place, and converted by any number of processes.
"""

import colorsys
import csv
import dataclasses
import functools
import io
import math
import operator
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lstd.base import label_map, limits
from lstd.base.types import GroundTruth
from lstd.base.whole_file import write_whole
from lstd.data.sources import Source, SourceFrame
from lstd.media import optional, picture_file

SHAPES = ("circle", "square", "triangle", "diamond", "cross")
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_BLUR_SAMPLES = 5
_INF = math.inf


def _field(default: Any, help: str, least: float | None = None, most: float = _INF) -> Any:
    """Returns a field of a Scene with its meaning; bounds are checked where there is a least."""
    return dataclasses.field(default=default, metadata={"help": help, "least": least, "most": most})


@dataclasses.dataclass(frozen=True)
class Scene:
    """What synthetic videos show; `lstd-data synthesize` has a flag for each field."""

    videos: int = _field(8, "How many videos.", 1)
    frames: int = _field(60, "Frames of each.", 1)
    height: int = _field(320, "Of the frames, pixels.", 8)
    width: int = _field(320, "Of the frames, pixels.", 8)
    objects: int = _field(3, "Objects in each video.", 0)
    shapes: tuple[str, ...] = _field(SHAPES, "Shapes to draw, each a class; --shapes= for none.")
    cutouts: str = _field(
        "",
        "Folder with transparent pictures; a folder in it, or the name without its last number, is "
        "a class.",
    )
    backgrounds: str = _field("", "Folder with pictures; empty: smooth noise.")
    min_size: float = _field(
        0.1, "Longest side of the smallest object, as a share of the frame's shorter side."
    )
    max_size: float = _field(0.3, "The same of the largest.")
    speed: float = _field(
        0.03, "Largest way in one frame, as a share of the frame's shorter side.", 0
    )
    blur: float = _field(0.0, "Shutter time as a share of the time between frames.", 0, 1)
    occlusion: float = _field(0.0, "Share of the frames in which a bar hides a part.", 0, 1)
    min_bar: float = _field(0.1, "Width of the thinnest bar, as a share of the side that it cuts.")
    max_bar: float = _field(0.3, "The same of the widest.")
    noise: float = _field(0.0, "Standard deviation of noise, grey levels.", 0)
    min_visible: float = _field(
        0.25, "An object of which less than this share is seen has no box.", 0, 1
    )
    seed: int = _field(0, "Of everything.", 0)

    def __post_init__(self) -> None:
        """Checks the values."""
        for field in dataclasses.fields(self):
            least, most = field.metadata["least"], field.metadata["most"]
            value = getattr(self, field.name)
            limits.check(field.name, value)
            if least is not None and not (least <= value <= most and math.isfinite(value)):
                bounds = f"at least {least}" if most == _INF else f"in [{least}, {most}]"
                raise ValueError(f"{field.name} must be {bounds}, got {value}")
        for what in ("size", "bar"):
            low, high = getattr(self, f"min_{what}"), getattr(self, f"max_{what}")
            if not 0 < low <= high <= 1:
                raise ValueError(
                    f"0 < min_{what} <= max_{what} <= 1 must hold, got {low} and {high}"
                )
        if unknown := [shape for shape in self.shapes if shape not in SHAPES]:
            raise ValueError(f"unknown shape {unknown[0]!r}; expected of {', '.join(SHAPES)}")
        if not self.shapes and not self.cutouts:
            raise ValueError("there is nothing to show: give shapes, or a folder of cutouts")


class Object(NamedTuple):
    """One object of a video: a shape of `SHAPES`, or a cut-out, whose file is the picture.

    It starts with its upper left corner at y, x along the unfolded way; a step is that of a frame.
    """

    class_index: int
    shape: str
    picture: str
    color: tuple[int, ...]
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
    cutouts = _pictures_in(scene.cutouts, "cutouts")
    classes = [_class_of(path, scene.cutouts) for path in cutouts]
    names = [*dict.fromkeys((*scene.shapes, *classes))]
    kinds = [(place, "") for place in range(len(scene.shapes))]
    kinds += [(names.index(name), str(p)) for name, p in zip(classes, cutouts, strict=True)]
    backgrounds = [str(path) for path in _pictures_in(scene.backgrounds, "backgrounds")]
    videos = tuple(
        SyntheticVideo(
            number,
            scene,
            _objects_of(scene, number, kinds),
            str(np.random.default_rng((scene.seed, number, 1)).choice(backgrounds))
            if backgrounds
            else "",
        )
        for number in range(scene.videos)
    )
    labels = label_map.checked(names, where=scene.cutouts or "shapes")
    return Source("synthetic", f"seed {scene.seed}", labels, videos)


@dataclasses.dataclass(frozen=True)
class SyntheticVideo:
    """A `SourceVideo` that is drawn when it is read."""

    number: int
    scene: Scene
    objects: tuple[Object, ...]
    background: str
    has_tracks: bool = True
    random_access: bool = True
    num_frames = property(operator.attrgetter("scene.frames"))
    height = property(operator.attrgetter("scene.height"))
    width = property(operator.attrgetter("scene.width"))
    name = property(lambda self: f"synthetic_{self.scene.seed}_{self.number:05d}")
    where = name

    def read(
        self, start: int = 0, stop: int | None = None, *, images: bool = True
    ) -> Iterator[SourceFrame]:
        """Yields the frames; see `SourceVideo`."""
        for number in range(start, self.num_frames if stop is None else stop):
            image, truth = _render(self, number)
            yield SourceFrame(image if images else None, truth, f"{self.name}, frame {number}")


def write_folders(made: Source, directory: Path) -> None:
    """Writes every video as a folder of PNG files with a CSV file beside it.

    The folder must exist. Each table appears when all of its frames are there.
    """
    image = optional.load("PIL.Image")
    for video in made.videos:
        folder = directory / video.name
        folder.mkdir(parents=True, exist_ok=True)
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(("frame", "class", "track_id", "ymin", "xmin", "ymax", "xmax"))
        scale = np.array([video.height, video.width, video.height, video.width])
        for number, frame in enumerate(video.read()):
            image.fromarray(frame.image).save(folder / f"{number:06d}.png")
            truth = frame.truth
            tracks = np.asarray(truth.track_ids)
            for box, label, track in zip(truth.boxes, truth.classes, tracks, strict=True):
                sides = [f"{side:g}" for side in np.round(box * scale, 3)]
                table.writerow((number, made.labels[label], track, *sides))
        write_whole(directory / f"{video.name}.csv", text.getvalue())


def _pictures_in(folder: str, what: str) -> list[Path]:
    """Returns the pictures of a folder, sorted; none where no folder is named."""
    if not folder:
        return []
    found = [p for p in sorted(Path(folder).rglob("*")) if p.suffix.lower() in _SUFFIXES]
    if not found:
        raise ValueError(f"{what}: {folder} holds no picture; expected {', '.join(_SUFFIXES)}")
    return found


def _class_of(path: Path, folder: str) -> str:
    if path.parent != Path(folder):
        return path.relative_to(folder).parts[0]
    return path.stem.rstrip("0123456789").rstrip("_-. ") or path.stem


def _objects_of(scene: Scene, number: int, kinds: Sequence[tuple[int, str]]) -> tuple[Object, ...]:
    """Returns the objects of a video, each of one of the kinds: a class, and its picture if any."""
    rng = np.random.default_rng((scene.seed, number, 0))
    short = min(scene.height, scene.width)
    result = []
    for _ in range(scene.objects):
        class_index, picture = kinds[int(rng.integers(len(kinds)))]
        side = max(3, round(short * rng.uniform(scene.min_size, scene.max_size)))
        if picture:
            with picture_file.opened(picture, where=picture) as opened:
                tall, wide = picture_file.size_of(opened)
            aspect = wide / tall
        else:
            aspect = float(rng.uniform(0.7, 1.4))
        height = max(3, round(side * min(1.0, 1 / aspect)))
        width = max(3, round(side * min(1.0, aspect)))
        angle = rng.uniform(0, 2 * math.pi)
        way = short * rng.uniform(0.2, 1.0) * scene.speed
        color = colorsys.hsv_to_rgb(float(rng.uniform()), 0.8, float(rng.uniform(0.6, 1.0)))
        result.append(
            Object(
                class_index=class_index,
                shape="" if picture else scene.shapes[class_index],
                picture=picture,
                color=tuple(round(255 * part) for part in color),
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


def _render(video: SyntheticVideo, number: int) -> tuple[np.ndarray, GroundTruth]:
    """Returns frame `number` of a video, uint8 `[H, W, 3]`, and its boxes, with tracks."""
    scene = video.scene
    image = _background(video.background, scene, video.number).astype(np.float32)
    owner = np.full([scene.height, scene.width], -1)  # which object is on top
    extents = []
    for place, thing in enumerate(video.objects):
        color, alpha = _sprite(thing)
        times = np.linspace(-0.5, 0.5, _BLUR_SAMPLES) * scene.blur if scene.blur else np.zeros(1)
        _paint(image, color, alpha, [_corner(thing, scene, number + time) for time in times])
        y, x = _corner(thing, scene, number)
        mask = alpha >= 0.5
        owner[y : y + thing.height, x : x + thing.width][mask] = place
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = (y + rows[0], x + columns[0], y + rows[-1] + 1, x + columns[-1] + 1)
        extents.append((box, int(mask.sum())))
    rng = np.random.default_rng((scene.seed, video.number, 2, number))
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

    def along(start: float, step: float, room: int) -> int:
        place = (start + step * time) % (2 * room) if room > 0 else 0.0
        return round(place if place <= room else 2 * room - place)

    rooms = (scene.height - thing.height, scene.width - thing.width)
    y, x = (along(*way) for way in zip(thing.start, thing.step, rooms, strict=True))
    return y, x


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
        coarse = (
            np.random.default_rng((scene.seed, number, 3))
            .integers(40, 200, [8, 8, 3])
            .astype(np.uint8)
        )
        shown = image.fromarray(coarse).resize(size, image.Resampling.BICUBIC)
    return np.asarray(shown)
