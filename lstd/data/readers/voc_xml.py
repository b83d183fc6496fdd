"""Reads Pascal VOC XML, one file for each image, and the tree of it that is ImageNet VID.

`docs/data.md` says what is read. A line of a list of ImageNet VID begins with a video or a frame,
below the folder of its subset or with it.

Sources: the development kits, http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/index.html
and https://image-net.org/challenges/LSVRC/2015/.
"""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from xml.etree import ElementTree

from lstd.base import documents, natural
from lstd.data.readers import frame_pictures, image_sets, label_files
from lstd.data.readers.image_sets import Shot
from lstd.data.readers.label_files import Found, Options
from lstd.data.readers.labelled_video import Box, Classes, LabelledVideo, Labels

_NO_VIDEOS = ("annotations", "labels")
_SUBSETS = ("train", "valid", "val", "validation", "test", "default")

# WordNet id and name of the 30 classes of ImageNet VID, in the order of the challenge.
_CLASSES = """
    n02691156 airplane n02419796 antelope n02131653 bear n02834778 bicycle n01503061 bird
    n02924116 bus n02958343 car n02402425 cattle n02084071 dog n02121808 domestic_cat
    n02503517 elephant n02118333 fox n02510455 giant_panda n02342885 hamster n02374451 horse
    n02129165 lion n01674464 lizard n02484322 monkey n03790512 motorcycle n02324045 rabbit
    n02509815 red_panda n02411705 sheep n01726692 snake n02355227 squirrel n02129604 tiger
    n04468005 train n01662784 turtle n04530566 watercraft n02062744 whale n02391049 zebra
"""
_SYNSETS = dict(zip(_CLASSES.split()[::2], _CLASSES.split()[1::2], strict=True))


def folders_of(path: Path) -> list[Path]:
    """Returns the folders, up to two levels below, whose first XML file is an annotation."""
    found = []
    for folder, below, files in os.walk(path):
        below.sort(key=natural.key)
        if len(Path(folder).relative_to(path).parts) == 2:
            below.clear()
        first = next((name for name in files if name.lower().endswith(".xml")), None)
        if first and label_files.begins(Path(folder, first), label_files.xml("annotation")):
            found.append(Path(folder))
    return found


def read(path: Path, options: Options) -> Found:
    """Returns the videos; classes are those of `labelmap.txt`; raises as `readers.open`."""
    folders = {folder: folder.relative_to(path).parts for folder in folders_of(path)}
    lists = {file.stem: file for file in sorted(path.glob("ImageSets/Main/*.txt"))}
    known = sorted({level for levels in folders.values() for level in levels} | {*lists})
    wanted = {*label_files.chosen(options.subset, known, where=str(path))}
    listed = {
        line.partition(" ")[0].strip()
        for name in wanted.intersection(lists)
        for line in documents.read_text(lists[name]).splitlines()
    }
    shots = []
    used: set[str] = set()
    for folder, levels in folders.items():
        own = [n for n in levels if n not in _SUBSETS and n.lower() not in _NO_VIDEOS]
        part = next((level for level in levels if level in _SUBSETS), "")
        tops = [top for top in (folder, *folder.parents) if top.is_relative_to(path)]
        usual = (folder, *(top / n for top in tops for n in ("JPEGImages", "images")))
        for file in sorted(folder.glob("*.xml"), key=lambda file: natural.key(file.name)):
            if not options.subset or wanted.intersection(levels) or file.stem in listed:
                root = documents.read_xml(file)
                labels = _labels(root, file)
                used |= {box.label for box in labels.boxes} - {""}
                said = Path(root.findtext("filename", "").strip().replace("\\", "/")).name
                name = "/".join([*own, said or f"{file.stem}.jpg"])
                places = image_sets.places(options, usual)
                shots.append(Shot(name, labels, places, str(file), part))
    classes = Classes(_names(path, used), options.labels)
    parts = [] if options.subset else sorted({shot.part for shot in shots if shot.part})
    options.notes.extend(label_files.all_taken(parts))
    return classes.labels, image_sets.by_names(shots, classes, options)


def _labels(
    root: ElementTree.Element,
    path: str | Path,
    *,
    names: Mapping[str, str] = MappingProxyType({}),
    marks: Sequence[str] = ("occluded", "truncated", "difficult"),
) -> Labels:
    """Returns the boxes of an image in pixels.

    `names` are what classes are called that have other names in the file; `marks` elements with 0
    or 1 that become attributes.
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
                track=label_files.track_id(track, f"{path}: <trackid>"),
                row_name=f"object {number}",
                attributes=tuple((m, float(item.findtext(m, "0").strip() == "1")) for m in marks),
            )
        )
    return Labels(boxes, str(path), (height, width))


def _number(element: ElementTree.Element, name: str, path: str | Path) -> float:
    found = element.findtext(name)
    if found is None:
        raise ValueError(f"{path}: there is no <{name.replace('/', '><')}> in <{element.tag}>")
    return label_files.number(found, f"{path}: <{name}>")


def _names(path: Path, used: set[str]) -> list[str]:
    """Returns the classes; CVAT lists them in lines of name:colour:parts:actions."""
    file = path / "labelmap.txt"
    lines = documents.read_text(file).splitlines() if file.is_file() else []
    said = [line.partition(":")[0].strip() for line in lines if not line.startswith("#")]
    said = [name for name in said if name and (name != "background" or name in used)]
    return [*said, *sorted(used - set(said))]


def imagenet_roots(path: Path) -> list[Path]:
    """Returns the trees of ImageNet VID at, or right below, a folder."""
    folders = (path, *sorted(path.glob("ILSVRC*"))) if path.is_dir() else ()
    return [folder for folder in folders if (folder / "Annotations" / "VID").is_dir()]


def read_imagenet(path: Path, options: Options) -> Found:
    """Returns the videos; XML files are read with their frames; raises as `readers.open`."""
    classes = Classes(_SYNSETS.values(), options.labels)
    videos = []
    for root in imagenet_roots(path)[:1]:
        xml = root / "Annotations" / "VID"
        folders = [*_videos(root, xml, options.subset)]
        for name in folders:
            where = str(xml / name)
            film = frame_pictures.film_of(options, name.rpartition("/")[2], alone=len(folders) == 1)
            data = Path(options.images or root / "Data" / "VID") / name
            stems = {file.stem for file in (xml / name).glob("*.xml")}
            found = [] if film else frame_pictures.in_folder(data)
            images = {file.stem: str(file) for file in found}
            frames = sorted(stems | {*images}, key=natural.key)
            if film:
                shown = frame_pictures.named_frames(film, frames, where=where)
            else:
                paths = (images.get(n, str(data / f"{n}.JPEG")) for n in frames)
                shown = frame_pictures.of(paths)
            files = tuple(str(xml / name / f"{stem}.xml") for stem in frames)
            videos.append(
                LabelledVideo(
                    name, where, shown, files, classes, has_tracks=True, read_labels=_frame_labels
                )
            )
    return classes.labels, videos


def _videos(root: Path, annotations: Path, subset: str) -> Iterator[str]:
    """Yields the videos of a subset, as folders below `Annotations/VID`."""
    lists = root / "ImageSets" / "VID"
    parts = sorted(path.name for path in annotations.glob("*/"))
    if subset and (lists / f"{subset}.txt").is_file():
        yield from dict.fromkeys(_listed(lists / f"{subset}.txt", annotations, parts))
        return
    if subset and not (annotations / subset).is_dir():
        known = [*parts, *sorted(file.stem for file in lists.glob("*.txt"))]
        raise ValueError(
            f"{root}: there is no subset {subset!r}; expected one of {', '.join(known) or 'none'}"
        )
    for folder, below, files in os.walk(annotations / subset):
        below.sort(key=natural.key)
        if any(name.endswith(".xml") for name in files):
            yield str(Path(folder).relative_to(annotations))


def _listed(path: Path, annotations: Path, parts: Sequence[str]) -> Iterator[str]:
    """Yields the videos that a list names, in its order."""
    for line, text in enumerate(documents.read_text(path).splitlines(), start=1):
        entry, *flags = text.split() or [""]
        if not entry or flags[:1] == ["-1"]:  # an empty line, or "not of this class"
            continue
        places = [entry, *(f"{part}/{entry}" for part in parts)]
        places += [place.rpartition("/")[0] for place in places if "/" in place]
        found = next((p for p in places if any((annotations / p).glob("*.xml"))), None)
        if found is None:
            raise ValueError(f"{path}, line {line}: {entry} is no video below {annotations}")
        yield found


def _frame_labels(path: str) -> Labels:
    try:
        root = documents.read_xml(path)
    except FileNotFoundError:
        raise ValueError(
            f"{path}: this frame has an image and no XML file; whether anything is in it is not "
            "known: add the file, or remove the image"
        ) from None
    return _labels(root, path, names=_SYNSETS, marks=("occluded", "generated"))
