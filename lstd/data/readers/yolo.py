"""Reads YOLO labels: class names, images, and a text file of boxes for each image.

`yolo_rows` says what a line is. An image without a text file, or with an empty one, shows nothing.
Images of a folder whose names differ in their last number only (`street_0001.jpg`,
`street_0002.jpg`) are a video, named by the folder and what stands before the number; with
`folders`, all images of a folder are a video, named by the folder (see `frame_names`, also for what
Roboflow and Label Studio make of names); with `stills`, every image stands alone. An image that
several subsets name is taken once. With `images`, the text files are those of the pictures of that
folder, or of frames of that video file.

Source: https://docs.ultralytics.com/datasets/detect/.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lstd.data.readers import image_sets, pictures, yolo_rows, yolo_tree
from lstd.data.readers.labelled_video import Classes, ImageFiles, LabelledVideo, Pictures
from lstd.data.readers.options import Options, all_taken
from lstd.data.sources import Source

NAME = "yolo"
TREE = yolo_tree.TREE

matches = yolo_tree.matches


def read(path: Path, options: Options) -> Source:
    """Returns the videos of a subset; empty: of all; label files are read with frames.

    Raises:
        ValueError: several `data.yaml`, no class names, no such subset, or a folder that is not
            there.
    """
    tree = yolo_tree.find(path, options)
    classes = Classes(list(tree.names.values()), options.labels)
    entries = [(part, entry) for part, told in tree.entries.items() for entry in told]
    shots: list[_Shot] = []
    taken: set[Path] = set()
    num_named = 0
    for number, (_, entry) in enumerate(entries):
        base, files = (yolo_tree.labels if options.images else yolo_tree.images)(tree, entry)
        new = [file for file in dict.fromkeys(files) if file not in taken]
        num_named += len(files)
        taken.update(new)
        for file in new:
            label = file if options.images else yolo_tree.label_file(file)
            shots.append(_Shot(_name_in(base, file), str(number), base.name, str(file), str(label)))
    points = yolo_rows.point_values(tree.point_values, [shot.label for shot in shots])
    boxes = yolo_rows.Boxes((), dict(tree.names), classes, points)
    _check_images(shots, tree, [entry for _, entry in entries], options)
    groups = image_sets.grouped(
        [shot.name for shot in shots],
        options,
        where=str(path),
        parts=[shot.part for shot in shots],
        titles={shot.part: shot.title for shot in shots},
    )
    videos = [
        _video(name, [shots[place] for place in places], boxes, options, alone=len(groups) == 1)
        for name, places, _ in groups
    ]
    notes = [
        *tree.notes,
        *_apart(videos, options),
        *_repeated(num_named - len(taken), tree.entries),
        *_unlabelled([shot.label for shot in shots]),
        *all_taken(part for part in tree.entries if part),
    ]
    return Source(NAME, str(path), classes.labels, tuple(videos), tuple(notes))


class _Shot(NamedTuple):
    """An image: its name in the tree, its subset, that one's title, its file, and its boxes'."""

    name: str
    part: str
    title: str
    file: str
    label: str


def _check_images(
    shots: Sequence[_Shot], tree: yolo_tree.Tree, entries: Sequence[str], options: Options
) -> None:
    """Raises where there are text files and no images at all."""
    if options.images or any(Path(shot.file).exists() for shot in shots):
        return
    texts = (file for entry in entries for file in yolo_tree.labels(tree, entry)[1])
    text = next((file for file in texts if file.exists()), None)
    if text is not None:
        raise ValueError(
            f"{tree.root}: there is no image, and text files such as {text}; say where the images "
            "are with --images, a folder or the video file"
        )


def _name_in(base: Path, file: Path) -> str:
    name = file.relative_to(base) if file.is_relative_to(base) else file
    return name.as_posix()


def _repeated(count: int, subsets: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Returns what to say where a part of the images would be met twice."""
    if not count:
        return ()
    return (
        f"{count} images are named more than once by {', '.join(subsets)}; each is taken once, and "
        "what is trained on must not be what is measured on",
    )


def _unlabelled(labels: Sequence[str]) -> tuple[str, ...]:
    """Returns what to say where no image has a text file."""
    if any(Path(path).exists() for path in labels) or not labels:
        return ()
    return (
        f"none of the {len(labels)} images has a text file with boxes; looked for {labels[0]} and "
        "so on, and beside the images",
    )


def _apart(videos: Sequence[LabelledVideo], options: Options) -> tuple[str, ...]:
    """Returns what to say where no two images were found to be of one video."""
    if len(videos) < 2 or options.stills or any(video.num_frames > 1 for video in videos):
        return ()
    return (
        "every image is a video of its own: no two names of a folder differ in their last number "
        "only; if a folder of images is a video, say so with folders",
    )


def _video(
    name: str,
    shots: Sequence[_Shot],
    boxes: yolo_rows.Boxes,
    options: Options,
    *,
    alone: bool,
) -> LabelledVideo:
    labels = tuple(shot.label for shot in shots)
    boxes = dataclasses.replace(boxes, paths=labels)
    files = pictures.video_of(options.images, name, alone=alone)
    shown: Pictures
    if files is not None:
        shown = pictures.frames_of(files, [shot.name for shot in shots], where=labels[0])
    elif options.images:
        stems = [shot.name.removesuffix(".txt") for shot in shots]
        found = pictures.finder(stems, [Path(options.images)], where=labels[0])
        shown = ImageFiles(tuple(str(found(stem)) for stem in stems))
    else:
        shown = ImageFiles(tuple(shot.file for shot in shots))
    return LabelledVideo(
        name=name,
        where=str(Path(shots[0].file).parent),
        pictures=shown,
        boxes=boxes,
        has_tracks=boxes.has_tracks,
    )
