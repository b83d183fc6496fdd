"""Makes videos whose boxes are exact: shapes or cut-outs that move over backgrounds.

Every frame is a function of the seed and its number, so a synthetic video is a `SourceVideo` like
any other, read from any place, and converted by any number of processes.
"""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lstd.base import label_map
from lstd.data import synthetic_frames, synthetic_scene
from lstd.data.sources import Source, SourceFrame
from lstd.data.synthetic_scene import Object, Scene
from lstd.media import optional

NAME = "synthetic"


def source(scene: Scene) -> Source:
    """Returns the videos of a scene.

    Raises:
        ValueError: a folder of cut-outs or backgrounds without pictures.
        ImportError: Pillow is not installed.
    """
    pictures = synthetic_scene.pictures_in(scene.cutouts, "cutouts") if scene.cutouts else []
    names = [*scene.shapes]
    for path in pictures:
        if synthetic_scene.class_of(path, scene.cutouts) not in names:
            names.append(synthetic_scene.class_of(path, scene.cutouts))
    backgrounds = (
        synthetic_scene.pictures_in(scene.backgrounds, "backgrounds") if scene.backgrounds else []
    )
    videos = tuple(
        SyntheticVideo(
            number=number,
            scene=scene,
            objects=synthetic_scene.objects_of(scene, number, names, pictures),
            background=str(synthetic_scene.draw(scene, number, 1).choice([*map(str, backgrounds)]))
            if backgrounds
            else "",
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
            image, truth = synthetic_frames.render(
                self.scene,
                self.number,
                frame,
                objects=self.objects,
                background=self.background,
            )
            yield SourceFrame(image if images else None, truth, f"{self.name}, frame {frame}")


def write_folders(made: Source, directory: Path) -> None:
    """Writes every video as a folder of PNG files with a CSV file beside it.

    The folder must exist. Each table appears when all of its frames are there.
    """
    from lstd.base.whole_file import write_whole

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
            tracks = truth.track_ids if truth.track_ids is not None else [""] * len(truth.classes)
            for box, class_index, track in zip(truth.boxes, truth.classes, tracks, strict=True):
                sides = [f"{side:g}" for side in np.round(box * scale, 3)]
                table.writerow((number, made.labels[class_index], track, *sides))
        write_whole(directory / f"{video.name}.csv", text.getvalue())
