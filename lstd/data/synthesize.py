"""Makes videos whose boxes are exact: shapes or cut-outs that move over backgrounds.

Every frame is a function of the seed and its number, so a synthetic video is a `SourceVideo` like
any other, read from any place, and converted by any number of processes.
"""

from __future__ import annotations

import colorsys
import csv
import dataclasses
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from lstd.base import label_map
from lstd.base.whole_file import write_whole
from lstd.data import synthetic_frames
from lstd.data.sources import Source, SourceFrame
from lstd.data.synthetic_frames import SHAPES, Object, Scene, drawing
from lstd.media import optional, picture_file

__all__ = ["NAME", "SHAPES", "Scene", "SyntheticVideo", "source", "write_folders"]

NAME = "synthetic"
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


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
            str(drawing(scene.seed, number, 1).choice(backgrounds)) if backgrounds else "",
        )
        for number in range(scene.videos)
    )
    labels = label_map.checked(names, where=scene.cutouts or "shapes")
    return Source(NAME, f"seed {scene.seed}", labels, videos)


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

    where = name

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

    def read(
        self, start: int = 0, stop: int | None = None, *, images: bool = True
    ) -> Iterator[SourceFrame]:
        """Yields the frames; see `SourceVideo`."""
        for frame in range(start, self.num_frames if stop is None else stop):
            image, truth = synthetic_frames.render(
                self.scene, self.number, frame, objects=self.objects, background=self.background
            )
            yield SourceFrame(image if images else None, truth, f"{self.name}, frame {frame}")


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
    rng = drawing(scene.seed, number, 0)
    short = min(scene.height, scene.width)
    result = []
    for _ in range(scene.objects):
        class_index, picture = kinds[int(rng.integers(len(kinds)))]
        side = max(3, round(short * rng.uniform(scene.min_size, scene.max_size)))
        aspect = _aspect(picture) if picture else float(rng.uniform(0.7, 1.4))
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


def _aspect(picture: str) -> float:
    with picture_file.opened(picture, where=picture) as opened:
        height, width = picture_file.size_of(opened)
        return width / height
