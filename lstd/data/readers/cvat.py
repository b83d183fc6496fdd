"""Reads CVAT's own XML, version 1.1: "CVAT for video" and "CVAT for images".

A `<track>` tells where an object is in some frames. Between two of them it moves linearly, as in
CVAT; after the last one it stays to the end of the task; `outside` says that it is gone, from that
frame on. Frames are those of the video file: a task that has every fifth one has no others here.
Rotated boxes, ellipses, polygons and masks become the boxes around them; what is no area (points,
lines, skeletons, cuboids, tags) is left out, and `Source.notes` says how many.

Source: https://docs.cvat.ai/docs/manual/advanced/xml_format/, and the interpolation of
`cvat/apps/dataset_manager/annotation.py`.
"""

from __future__ import annotations

import collections
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from lstd.base import documents, limits
from lstd.data.readers import image_sets, keyframes, pictures, sniff, whole_numbers
from lstd.data.readers.keyframes import Key, Pose
from lstd.data.readers.labelled_video import (
    MOST_FRAMES,
    BoxRow,
    Classes,
    ImageFiles,
    LabelledVideo,
    Pictures,
    numbered_rows,
    video_frames,
)
from lstd.data.readers.options import Options, WrongTree, chosen
from lstd.data.sources import Source
from lstd.media import numbered_frames

NAME = "cvat"
TREE = """\
annotations.xml of "CVAT for video 1.1" or "CVAT for images 1.1"; the pictures in images/ beside it,
  or the video file of the task beside it; or --images VIDEO (or FOLDER)"""

_Element = ElementTree.Element
_SIDES = {
    "box": ("xtl", "ytl", "xbr", "ybr"),
    "ellipse": ("cx", "cy", "rx", "ry"),
    "mask": ("left", "top", "width", "height"),
    "polygon": (),
}


def matches(path: Path) -> bool:
    """Whether this is such a file, or a folder that holds one."""
    return bool(_files(path))


def read(path: Path, options: Options) -> Source:
    """Returns the video of a task, or its images; labels not given are those of the task.

    Raises:
        ValueError: no file, several tasks in one, a number that is none, or no picture is found.
    """
    files = {file.stem: file for file in _files(path)}
    if not files:
        raise WrongTree(f"{path}: there is no XML file of CVAT; expected\n{TREE}")
    parts = chosen(options.subset, files, where=str(path))
    roots = {files[part]: documents.read_xml(files[part]) for part in parts}
    labels = [label for root in roots.values() for label in root.iterfind("meta//labels/label")]
    said = [x.findtext("name", "").strip() for x in labels if x.find("parent") is None]
    shapes = [
        (holder.get("label") or shape.get("label") or "", shape.tag)
        for root in roots.values()
        for holder in (*root.iterfind("image"), *root.iterfind("track"))
        for shape in holder
    ]
    used = sorted({label for label, tag in shapes if tag in _SIDES})
    classes = Classes([*dict.fromkeys(filter(None, [*said, *used]))], options.labels)
    videos: list[LabelledVideo] = []
    notes: list[str] = []
    for file, root in roots.items():
        images = [*_images(root, file)]
        if images:
            found, told = image_sets.videos(images, classes, options, in_pixels=True)
            videos, notes = videos + found, notes + told
        else:
            videos.append(_video(root, file, classes, options))
    others = collections.Counter(tag for _, tag in shapes if tag not in _SIDES)
    told = [f"{count} <{tag}>" for tag, count in sorted(others.items())]
    notes += [f"what is no area is left out: {', '.join(told)}"] * bool(others)
    return Source(NAME, str(path), classes.labels, tuple(videos), tuple(notes))


def _files(path: Path) -> list[Path]:
    return sniff.files(path, ".xml", sniff.xml("annotations"))


def _images(root: _Element, file: Path) -> Iterator[image_sets.LabelledImage]:
    for image in root.iterfind("image"):
        where = f"{file}, image {image.get('name')}"
        subset = image.get("subset", "")  # of a project
        yield image_sets.LabelledImage(
            name=image.get("name", ""),
            rows=[
                BoxRow(
                    sides=keyframes.enclosing(_pose(shape, where), ellipse=shape.tag == "ellipse"),
                    row_name=f"shape {number}",
                    class_text=shape.get("label", ""),
                )
                for number, shape in enumerate(image)
                if shape.tag in _SIDES
            ],
            where=where,
            places=(
                *[file.parent / "images" / subset] * bool(subset),
                *(file.parent / "images", file.parent, file.parent / "images" / file.stem),
            ),
            part=subset,
            size=(_side(image, "height", where), _side(image, "width", where)),
        )


def _side(image: _Element, name: str, where: str) -> float:
    what = f"{where}: {name} is {image.get(name)}"
    return whole_numbers.number(image.get(name, "0"), what)


def _video(root: _Element, file: Path, classes: Classes, options: Options) -> LabelledVideo:
    tasks = len(root.findall("meta//task"))
    if tasks > 1:
        raise ValueError(
            f"{file}: this holds {tasks} tasks, each with frames from 0; export each by itself"
        )
    tracks = [
        (track, [*_keys(track, file)], track.find("ellipse") is not None)
        for track in root.iterfind("track")
    ]
    seen = max((key.frame for _, keys, _ in tracks for key in keys if key.seen), default=0)
    frames = _frames(root, file, seen)
    rows = (
        (
            frame,
            BoxRow(
                sides=keyframes.enclosing(pose, ellipse=ellipse),
                track=number,
                row_name=f"track {track.get('id', number)}",
                class_text=track.get("label", ""),
            ),
        )
        for number, (track, keys, ellipse) in enumerate(tracks)
        for frame, pose in keyframes.poses(keys, frames)
    )
    return LabelledVideo(
        name=root.findtext("meta//source") or root.findtext("meta//task/name") or file.stem,
        where=str(file),
        pictures=_pictures(root, file, frames, options),
        boxes=numbered_rows(rows, classes, frames, where=str(file)),
        has_tracks=True,
        in_pixels=True,
    )


def _frames(root: _Element, file: Path, seen: int) -> range:
    """Returns the frames of the video file that the task has."""
    found = re.search(r"step=(\d+)", root.findtext("meta//frame_filter") or "")
    step = max(int(found.group(1)), 1) if found else 1
    start, stop, size = (
        whole_numbers.whole(whole_numbers.number(said or 0, what), what=what, most=MOST_FRAMES)
        for name in ("start_frame", "stop_frame", "size")
        for said, what in [(root.findtext(f"meta//{name}"), f"{file}: <{name}>")]
    )
    if size:  # Datumaro's stop_frame is the frame after the last one
        stop = min(stop or MOST_FRAMES, start + (size - 1) * step)
    return range(start, min(max(stop, seen), MOST_FRAMES) + 1, step)


def _keys(track: _Element, file: Path) -> Iterator[Key]:
    angle = 0.0
    for shape in track:
        if shape.tag not in _SIDES:
            continue
        where = f"{file}, track {track.get('id')}, frame {shape.get('frame')}"
        number = whole_numbers.number(shape.get("frame"), f"{where}: frame")
        frame = whole_numbers.whole(number, what=where, most=MOST_FRAMES)
        x, y, across, along, turned = _pose(shape, where)
        angle += (turned - angle + 180) % 360 - 180  # it turns the short way
        there = shape.get("outside") != "1"
        yield Key(frame, (x, y, across, along, angle), seen=there, stays=there)


def _pose(shape: _Element, where: str) -> Pose:
    """Returns centre, half width, half height and degrees of a shape."""
    what = f"{where}: <{shape.tag}>"
    if shape.tag == "polygon":
        corners = [pair.split(",") for pair in shape.get("points", "").split(";")]
        xs = [whole_numbers.number(corner[0], f"{what}: x of a point") for corner in corners]
        ys = [whole_numbers.number(corner[-1], f"{what}: y of a point") for corner in corners]
        a, b, c, d = min(xs), min(ys), max(xs), max(ys)
    else:
        a, b, c, d = (whole_numbers.number(shape.get(n), f"{what}: {n}") for n in _SIDES[shape.tag])
    turned = whole_numbers.number(shape.get("rotation", 0), f"{what}: rotation")
    if shape.tag == "ellipse":
        return a, b, c, d, turned
    if shape.tag == "mask":
        c, d = a + c, b + d
    return (a + c) / 2, (b + d) / 2, (c - a) / 2, (d - b) / 2, turned


def _pictures(root: _Element, file: Path, frames: range, options: Options) -> Pictures:
    """Returns the pictures of a task: in a video file, or in a folder."""
    source = Path(pictures.clean(root.findtext("meta//source") or "")).name
    given = Path(options.images) if options.images else None
    places = [given] if given else [file.parent / "images", file.parent]
    for place in places:
        video = next((p for p in (place, place / source) if source and p.is_file()), None)
        if video or place.is_file():
            found = numbered_frames.count(str(video or place))
            limits.check_missing(found=found, said=frames[-1] + 1, where=str(file))
            return video_frames(video or place, numbers=frames)
        images = {image.stem: str(image) for image in pictures.in_folder(place)}
        if any(f"frame_{n:06d}" in images for n in frames):
            limits.check_missing(found=len(images), said=len(frames), where=str(file))
            names = [f"frame_{n:06d}" for n in frames]
            return ImageFiles(tuple(images.get(n, str(place / f"{n}.PNG")) for n in names))
        if len(images) == len(frames):  # a task of pictures, in the order of their names
            return ImageFiles(tuple(images.values()))
    raise ValueError(
        f"{file}: its {len(frames)} frames are not found; looked for {source or 'a video'} and "
        f"frame_{frames[0]:06d}.PNG in {', '.join(map(str, places))}; say which video file or "
        "folder with --images"
    )
