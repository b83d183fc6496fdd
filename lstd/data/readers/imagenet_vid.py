"""Reads ImageNet VID in the tree of ILSVRC 2015: one XML file for each frame.

`subset` is a folder below `Annotations/VID`, such as "train" or "val", or a list of
`ImageSets/VID`, by its name without `.txt`. A line of a list begins with a video or a frame, below
the folder of its subset or with it. Corners are taken as they stand, pixels from 0.

Source: the development kit of ILSVRC 2015, https://image-net.org/challenges/LSVRC/2015/.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from lstd.base import documents, natural
from lstd.data.readers import pictures, voc
from lstd.data.readers.labelled_video import Classes, LabelledVideo, Labels
from lstd.data.readers.options import Options
from lstd.data.sources import Source

NAME = "imagenet_vid"
TREE = """\
ILSVRC2015/
  Annotations/VID/train/ILSVRC2015_VID_train_0000/ILSVRC2015_train_00000000/000000.xml
  Annotations/VID/val/ILSVRC2015_val_00000000/000000.xml
  Data/VID/train/... .JPEG, the same folders
  ImageSets/VID/val.txt (optional)"""

# WordNet id and name of the 30 classes, in the order of the challenge.
_CLASSES = """
    n02691156 airplane n02419796 antelope n02131653 bear n02834778 bicycle n01503061 bird
    n02924116 bus n02958343 car n02402425 cattle n02084071 dog n02121808 domestic_cat
    n02503517 elephant n02118333 fox n02510455 giant_panda n02342885 hamster n02374451 horse
    n02129165 lion n01674464 lizard n02484322 monkey n03790512 motorcycle n02324045 rabbit
    n02509815 red_panda n02411705 sheep n01726692 snake n02355227 squirrel n02129604 tiger
    n04468005 train n01662784 turtle n04530566 watercraft n02062744 whale n02391049 zebra
"""
SYNSETS = dict(zip(_CLASSES.split()[::2], _CLASSES.split()[1::2], strict=True))


def matches(path: Path) -> bool:
    """Whether there is a tree of ImageNet VID at, or right below, a folder."""
    return any(True for _ in _roots(path))


def read(path: Path, options: Options) -> Source:
    """Returns the videos; XML files are read with their frames; raises as `readers.open`."""
    classes = Classes(SYNSETS.values(), options.labels)
    videos = []
    for root in [*_roots(path)][:1]:
        xml = root / "Annotations" / "VID"
        folders = [*_folders(root, xml, options.subset)]
        for name in folders:
            film = pictures.film_of(options, name.rpartition("/")[2], alone=len(folders) == 1)
            data = Path(options.images or root / "Data" / "VID") / name
            stems = {file.stem for file in (xml / name).glob("*.xml")}
            images = {} if film else {file.stem: str(file) for file in pictures.in_folder(data)}
            frames = sorted(stems | {*images}, key=natural.key)
            if film:
                shown = pictures.named_frames(film, frames, where=str(xml / name))
            else:
                shown = pictures.of(images.get(n, str(data / f"{n}.JPEG")) for n in frames)
            files = tuple(str(xml / name / f"{stem}.xml") for stem in frames)
            videos.append(
                LabelledVideo(
                    name=name,
                    where=str(xml / name),
                    pictures=shown,
                    frames=files,
                    classes=classes,
                    has_tracks=True,
                    read_labels=_labels,
                )
            )
    return Source(NAME, str(path), classes.labels, tuple(videos))


def _roots(path: Path) -> Iterator[Path]:
    for folder in (path, *sorted(path.glob("ILSVRC*"))) if path.is_dir() else ():
        if (folder / "Annotations" / "VID").is_dir():
            yield folder


def _folders(root: Path, annotations: Path, subset: str) -> Iterator[str]:
    """Yields the videos of a subset, as folders below `Annotations/VID`."""
    lists = root / "ImageSets" / "VID"
    if subset and (lists / f"{subset}.txt").is_file():
        yield from _listed(lists / f"{subset}.txt", annotations)
        return
    if subset and not (annotations / subset).is_dir():
        known = [*_parts(annotations), *sorted(file.stem for file in lists.glob("*.txt"))]
        raise ValueError(
            f"{root}: there is no subset {subset!r}; expected one of {', '.join(known) or 'none'}"
        )
    for folder, below, files in os.walk(annotations / subset):
        below.sort(key=natural.key)
        if any(name.endswith(".xml") for name in files):
            yield str(Path(folder).relative_to(annotations))


def _parts(annotations: Path) -> list[str]:
    return sorted(path.name for path in annotations.glob("*/"))


def _listed(path: Path, annotations: Path) -> Iterator[str]:
    """Yields the videos that a list names, each once, in its order."""
    seen: set[str] = set()
    for line, text in enumerate(documents.read_text(path).splitlines(), start=1):
        entry, *flags = text.split() or [""]
        if not entry or flags[:1] == ["-1"]:  # an empty line, or "not of this class"
            continue
        places = [entry, *(f"{part}/{entry}" for part in _parts(annotations))]
        places += [place.rpartition("/")[0] for place in places if "/" in place]
        found = next((p for p in places if any((annotations / p).glob("*.xml"))), None)
        if found is None:
            raise ValueError(f"{path}, line {line}: {entry} is no video below {annotations}")
        if found not in seen:
            seen.add(found)
            yield found


def _labels(path: str) -> Labels:
    try:
        root = documents.read_xml(path)
    except FileNotFoundError:
        raise ValueError(
            f"{path}: this frame has an image and no XML file; whether anything is in it is not "
            "known: add the file, or remove the image"
        ) from None
    return voc.labels_of(root, path, names=SYNSETS, marks=("occluded", "generated"))
