"""Reads Pascal VOC XML: one file for each image, beside it or in `Annotations/`.

Which images are a video is told by their names, see `frame_names`. `subset` is a folder such as
`train`, or a list of `ImageSets/Main` by its name without `.txt`.

Source: the development kit, http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/index.html.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from xml.etree import ElementTree

from lstd.base import documents, natural
from lstd.data.readers import fields, image_sets, sniff
from lstd.data.readers.image_sets import Shot
from lstd.data.readers.labelled_video import Box, Classes, Labels
from lstd.data.readers.options import Options, all_taken, chosen
from lstd.data.sources import Source

NAME = "voc"
TREE = """\
Annotations/0001.xml ... with <annotation>, and JPEGImages/0001.jpg ...
  or each XML file beside its image; in train/, valid/ and test/ or without them"""

_SUBSETS = ("train", "valid", "val", "validation", "test", "default")


def matches(path: Path) -> bool:
    """Whether there are such files in a folder or up to two levels below."""
    return next(_folders(path), None) is not None


def read(path: Path, options: Options) -> Source:
    """Returns the videos; classes are those of `labelmap.txt`; raises as `readers.open`."""
    folders = {folder: folder.relative_to(path).parts for folder in _folders(path)}
    lists = {file.stem: file for file in sorted(path.glob("ImageSets/Main/*.txt"))}
    known = sorted({level for levels in folders.values() for level in levels} | {*lists})
    wanted = {*chosen(options.subset, known, where=str(path))}
    listed = {
        line.partition(" ")[0].strip()
        for name in wanted.intersection(lists)
        for line in documents.read_text(lists[name]).splitlines()
    }
    shots = [
        _shot(file, levels, path, options)
        for folder, levels in folders.items()
        for file in sorted(folder.glob("*.xml"), key=lambda file: natural.key(file.name))
        if not options.subset or wanted.intersection(levels) or file.stem in listed
    ]
    boxes = (box for shot in shots if isinstance(shot.labels, Labels) for box in shot.labels.boxes)
    classes = Classes(_names(path, {box.label for box in boxes} - {""}), options.labels)
    parts = [] if options.subset else sorted({shot.part for shot in shots if shot.part})
    notes = [*all_taken(parts)]
    videos = image_sets.by_names(shots, classes, options, where=str(path), notes=notes)
    return Source(NAME, str(path), classes.labels, tuple(videos), tuple(notes))


def labels_of(
    root: ElementTree.Element,
    path: str | Path,
    *,
    names: Mapping[str, str] = MappingProxyType({}),
    marks: Sequence[str] = ("occluded", "truncated", "difficult"),
) -> Labels:
    """Returns the boxes of an image in pixels.

    Args:
        root: `<annotation>`.
        path: the file, for messages.
        names: what classes are called that have other names in it.
        marks: elements with 0 or 1 that become attributes.

    Raises:
        ValueError: a number is missing; the message names the element.
    """
    height, width = (_number(root, f"size/{side}", path) for side in ("height", "width"))
    if not (0 < height < math.inf and 0 < width < math.inf):
        raise ValueError(f"{path}: the size is {width:g} x {height:g} pixels, expected above 0")
    # In "The VOC2007 Database" and its like pixels count from 1, and the last one belongs to the
    # box. ImageNet, labelImg, CVAT, Datumaro and Roboflow write sides as they are, from 0.
    first = root.findtext("source/database", "").strip().startswith("The VOC")
    boxes = []
    for number, item in enumerate(root.findall("object")):
        xmin, ymin, xmax, ymax = (
            _number(item, f"bndbox/{side}", path) for side in ("xmin", "ymin", "xmax", "ymax")
        )
        attribute = "attributes/attribute[name='track_id']/value"  # of CVAT and Datumaro
        track = item.findtext("trackid", item.findtext(attribute, "-1"))
        name = item.findtext("name", "").strip()
        boxes.append(
            Box(
                (ymin - first, xmin - first, ymax, xmax),
                names.get(name, name),
                track=fields.track_id(track, f"{path}: <trackid>"),
                row_name=f"object {number}",
                attributes=tuple((m, float(item.findtext(m, "0").strip() == "1")) for m in marks),
            )
        )
    return Labels(boxes, str(path), (height, width))


def _number(element: ElementTree.Element, name: str, path: str | Path) -> float:
    found = element.findtext(name)
    if found is None:
        raise ValueError(f"{path}: there is no <{name.replace('/', '><')}> in <{element.tag}>")
    return fields.number(found, f"{path}: <{name}>")


def _shot(file: Path, levels: Sequence[str], path: Path, options: Options) -> Shot:
    root = documents.read_xml(file)
    name = Path(root.findtext("filename", "").strip().replace("\\", "/")).name
    kept = [n for n in levels if n not in _SUBSETS and n.lower() not in ("annotations", "labels")]
    tops = [top for top in (file.parent, *file.parent.parents) if top.is_relative_to(path)]
    usual = (file.parent, *(top / n for top in tops for n in ("JPEGImages", "images")))
    return Shot(
        "/".join([*kept, name or f"{file.stem}.jpg"]),
        labels_of(root, file),
        image_sets.places(options, usual),
        str(file),
        next((level for level in levels if level in _SUBSETS), ""),
    )


def _folders(path: Path) -> Iterator[Path]:
    """Yields the folders whose first XML file is an annotation."""
    for folder, below, files in os.walk(path):
        below.sort(key=natural.key)
        if len(Path(folder).relative_to(path).parts) == 2:
            below.clear()
        first = next((name for name in files if name.lower().endswith(".xml")), None)
        if first and sniff.files(Path(folder, first), ".xml", sniff.xml("annotation")):
            yield Path(folder)


def _names(path: Path, used: set[str]) -> list[str]:
    """Returns the classes; CVAT lists them in lines of name:colour:parts:actions."""
    file = path / "labelmap.txt"
    lines = documents.read_text(file).splitlines() if file.is_file() else []
    said = [line.partition(":")[0].strip() for line in lines if not line.startswith("#")]
    said = [name for name in said if name and (name != "background" or name in used)]
    return [*said, *sorted(used - set(said))]
