"""Videos of images that are labelled one by one."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import NamedTuple

from lstd.data.readers import frame_names, pictures
from lstd.data.readers.labelled_video import (
    BoxRow,
    Classes,
    ImageFiles,
    LabelledVideo,
    collect,
)
from lstd.data.readers.options import Options


class LabelledImage(NamedTuple):
    """An image, its boxes, and where its picture may be.

    Attributes:
        name: with the folders that tell videos apart.
        rows: its boxes, with the text of their class.
        where: the file and place that says so.
        places: folders that the name may start from.
        part: the subset that it was dealt to.
        size: height and width of the picture, as the file says; see `RawBoxes`.
    """

    name: str
    rows: Sequence[BoxRow]
    where: str
    places: tuple[Path, ...]
    part: str = ""
    size: tuple[float, float] = (0, 0)


def grouped(
    names: Sequence[str],
    options: Options,
    *,
    where: str,
    parts: Sequence[str] = (),
    titles: Mapping[str, str] = MappingProxyType({}),
) -> list[frame_names.Group]:
    """Returns the videos that images are frames of, as `options` and their names say.

    Each is one with `stills`; all are of one where `images` is a video file; see `frame_names`.

    Args:
        names: of the images, with "/" between folders.
        options: see above, and `folders`.
        where: see `frame_names.group`; so are the others.
        parts: the subset of each image.
        titles: of each subset.

    Raises: as `frame_names.group`.
    """
    if options.stills:
        stems = [name.removesuffix(PurePosixPath(name).suffix) for name in names]
        return [frame_names.Group(stem, (place,)) for place, stem in enumerate(stems)]
    if Path(options.images).is_file():
        order = frame_names.order(names) or range(len(names))
        return [frame_names.Group(Path(options.images).name, tuple(order))]
    return frame_names.group(
        names, where=where, folders=options.folders, parts=parts, titles=titles
    )


def videos(
    images: Sequence[LabelledImage], classes: Classes, options: Options, *, in_pixels: bool
) -> tuple[list[LabelledVideo], list[str]]:
    """Returns the videos that images are frames of, by their names, and what to say of that."""
    if options.images:
        images = [image._replace(places=(Path(options.images),)) for image in images]
    where, names = images[0].where, [pictures.clean(image.name) for image in images]
    groups = grouped(names, options, where=where, parts=[image.part for image in images])

    names_in: dict[tuple[Path, ...], list[str]] = {}
    for name, image in zip(names, images, strict=True):
        names_in.setdefault(image.places, []).append(name)

    @functools.cache  # Not at once: where there is a video file, no picture is looked for.
    def finder(places: tuple[Path, ...]) -> pictures.Finder:
        return pictures.finder(names_in[places], places, where=where)

    has_tracks = any(row.track >= 0 for image in images for row in image.rows)
    result = []
    for title, members, _ in groups:
        file, own = pictures.video_of(options.images, title, alone=len(groups) == 1), []
        for image in (images[place] for place in members):
            rows = [row._replace(class_index=classes[row.class_text]) for row in image.rows]
            own.append(collect(rows, where=image.where, size=image.size))
        result.append(
            LabelledVideo(
                name=title,
                where=where,
                pictures=ImageFiles(
                    tuple(str(finder(images[place].places)(names[place])) for place in members)
                )
                if file is None
                else pictures.frames_of(file, [names[place] for place in members], where=where),
                boxes=tuple(own),
                has_tracks=has_tracks,
                in_pixels=in_pixels,
            )
        )
    notes = [
        f"the names of the images of {group.name} say no order; that of the labels is taken"
        for group in groups
        if not group.ordered
    ]
    if not options.stills and not options.folders:
        notes.append(
            f"the images are taken for {len(groups)} videos, by their names; if they are single "
            "images, say so with stills, if those of a folder are a video, with folders"
        )
    return result, notes
