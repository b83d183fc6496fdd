"""Reads CVAT's own XML: "CVAT for video 1.1" and "CVAT for images 1.1".

`docs/data.md` says what is read. Between two keyframes an object moves linearly, as in CVAT; after
the last one it stays to the end of the task.

Source: https://docs.cvat.ai/docs/manual/advanced/xml_format/, and the interpolation of
`cvat/apps/dataset_manager/annotation.py`.
"""

import collections
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from lstd.base import documents, limits
from lstd.data.readers import frame_pictures, image_sets, keyframes, label_files, labelled_video
from lstd.data.readers.frame_pictures import Pictures
from lstd.data.readers.image_sets import Shot
from lstd.data.readers.keyframes import Key, Pose, Track
from lstd.data.readers.label_files import Found, Options
from lstd.data.readers.labelled_video import Box, Classes, LabelledVideo, Labels
from lstd.media import numbered_frames

_Element = ElementTree.Element
_SIDES = {
    "box": "xtl ytl xbr ybr",
    "ellipse": "cx cy rx ry",
    "mask": "left top width height",
    "polygon": "",
}


def files_of(path: Path) -> list[Path]:
    """Returns this file, or those of a folder, of CVAT's XML."""
    return label_files.beginning(path, ".xml", label_files.xml("annotations"))


def read(path: Path, options: Options) -> Found:
    """Returns the video of a task, or its images; raises as `readers.open`."""
    files = {file.stem: file for file in files_of(path)}
    parts = label_files.chosen(options.subset, files, where=str(path))
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
    classes = Classes(filter(None, [*said, *used]), options.labels)
    videos: list[LabelledVideo] = []
    for file, root in roots.items():
        shots = [*_shots(root, file, options)]
        if shots:
            videos += image_sets.by_names(shots, classes, options._replace(where=str(file)))
        else:
            videos.append(_video(root, file, classes, options))
    others = collections.Counter(tag for _, tag in shapes if tag not in _SIDES)
    told = [f"{count} <{tag}>" for tag, count in sorted(others.items())]
    if told:
        options.notes.append(f"what is no area is left out: {', '.join(told)}")
    return classes.labels, videos


def _shots(root: _Element, file: Path, options: Options) -> Iterator[Shot]:
    for image in root.iterfind("image"):
        where = f"{file}, image {image.get('name')}"
        subset = image.get("subset", "")  # of a project
        images = file.parent / "images"
        usual = [*[images / subset] * bool(subset), images, file.parent, images / file.stem]
        boxes = [
            Box(
                keyframes.enclosing(_pose(shape, where), ellipse=shape.tag == "ellipse"),
                shape.get("label", ""),
                row_name=f"shape {number}",
            )
            for number, shape in enumerate(image)
            if shape.tag in _SIDES
        ]
        size = [image.get(side, "0") for side in ("height", "width")]
        height, width = label_files.numbers(size, "height width", where)
        labels = Labels(boxes, where, (height, width))
        places = image_sets.places(options, usual, subset)
        yield Shot(frame_pictures.clean(image.get("name", "")), labels, places, str(file), subset)


def _video(root: _Element, file: Path, classes: Classes, options: Options) -> LabelledVideo:
    tasks = len(root.findall("meta//task"))
    if tasks > 1:
        raise ValueError(
            f"{file}: this holds {tasks} tasks, each with frames from 0; export each by itself"
        )
    tracks = []
    for number, element in enumerate(root.iterfind("track")):
        ellipse = element.find("ellipse") is not None
        sides = functools.partial(keyframes.enclosing, ellipse=ellipse)
        name = f"track {element.get('id', number)}"
        tracks.append(Track(element.get("label", ""), [*_keys(element, file)], name, sides))
    seen = max((key.frame for track in tracks for key in track.keys if key.seen), default=0)
    frames = _frames(root, file, seen)
    name = root.findtext("meta//source") or root.findtext("meta//task/name") or file.stem
    return LabelledVideo(
        name,
        str(file),
        _pictures(root, file, frames, options),
        labelled_video.by_frame(keyframes.boxes(tracks, frames), frames, str(file)),
        classes,
        has_tracks=True,
    )


def _frames(root: _Element, file: Path, seen: int) -> range:
    """Returns the frames of the video file that belong to the task."""
    found = re.search(r"step=(\d+)", root.findtext("meta//frame_filter") or "")
    step = max(int(found.group(1)), 1) if found else 1
    start, stop, size = (
        label_files.frame(root.findtext(f"meta//{name}") or 0, f"{file}: <{name}>")
        for name in ("start_frame", "stop_frame", "size")
    )
    if size:  # Datumaro's stop_frame is the frame after the last one
        stop = min(stop or limits.FRAMES, start + (size - 1) * step)
    return range(start, min(max(start, stop, seen), limits.FRAMES) + 1, step)


def _keys(track: _Element, file: Path) -> Iterator[Key]:
    angle = 0.0
    for shape in track:
        if shape.tag not in _SIDES:
            continue
        where = f"{file}, track {track.get('id')}, frame {shape.get('frame')}"
        *place, turned = _pose(shape, where)
        angle += (turned - angle + 180) % 360 - 180  # it turns the short way
        there = shape.get("outside") != "1"
        frame = label_files.frame(shape.get("frame"), f"{where}: frame")
        yield Key(frame, (*place, angle), seen=there, stays=there)


def _pose(shape: _Element, where: str) -> Pose:
    what = f"{where}: <{shape.tag}>"
    if shape.tag == "polygon":
        corners = [pair.split(",") for pair in shape.get("points", "").split(";")]
        xs = [label_files.number(corner[0], f"{what}: x of a point") for corner in corners]
        ys = [label_files.number(corner[-1], f"{what}: y of a point") for corner in corners]
        a, b, c, d = min(xs), min(ys), max(xs), max(ys)
    else:
        names = _SIDES[shape.tag]
        a, b, c, d = label_files.numbers(map(shape.get, names.split()), names, what)
    turned = label_files.number(shape.get("rotation", 0), f"{what}: rotation")
    if shape.tag == "ellipse":
        return a, b, c, d, turned
    if shape.tag == "mask":
        c, d = a + c, b + d
    return (a + c) / 2, (b + d) / 2, (c - a) / 2, (d - b) / 2, turned


def _pictures(root: _Element, file: Path, frames: range, options: Options) -> Pictures:
    """Returns the pictures of a task: in a video file, or in a folder."""
    source = Path(frame_pictures.clean(root.findtext("meta//source") or "")).name
    usual = [file.parent / "images", file.parent]
    places = [Path(options.images)] if options.images else usual
    for place in places:
        film = next((p for p in (place, place / source) if p.is_file()), None)
        images = {image.stem: str(image) for image in frame_pictures.in_folder(place)}
        names = [f"frame_{n:06d}" for n in frames]
        found, said = len(images), len(frames)
        if film:
            found, said = numbered_frames.count(str(film)), frames[-1] + 1
        elif len(images) == len(frames) and images.keys().isdisjoint(names):
            return frame_pictures.of(images.values())  # pictures, in the order of their names
        elif images.keys().isdisjoint(names):
            continue
        limits.check_missing(found=found, said=said, where=str(file))
        if film:
            return frame_pictures.of_film(film, frames)
        return frame_pictures.of(images.get(name, str(place / f"{name}.PNG")) for name in names)
    raise ValueError(
        f"{file}: its {len(frames)} frames are not found; looked for {source or 'a video'} and "
        f"frame_{frames[0]:06d}.PNG in {', '.join(map(str, places))}; say which video file or "
        "folder with --images"
    )
