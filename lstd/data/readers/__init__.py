"""Readers for people's data sets, one file for each format, and the choice among them by content.

    source = readers.open("my_data")
    for video in source.videos:
        for frame in video.read():
            ...

A reader has a `NAME`, a `TREE` (what it looks like on a disk), `matches(path)`, which looks at
content, and `read(path, options)`, which hands on what the files say; see `lstd.data.sources` and
`lstd.data.problems`. It raises ValueError for a mistake that leaves it without videos.
"""

from __future__ import annotations

import difflib
import itertools
import os
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lstd.base import label_map
from lstd.data.readers import (
    coco,
    csv_table,
    cvat,
    example_records,
    imagenet_vid,
    label_studio,
    mot,
    sequence_records,
    sniff,
    tracking_sets,
    voc,
    yolo,
)
from lstd.data.readers.labelled_video import with_sizes_settled
from lstd.data.readers.options import Options, WrongTree
from lstd.data.sources import Source


class Format(NamedTuple):
    """A format: how it is recognised and read, its tree on disk, and the choices that it takes."""

    matches: Callable[[Path], bool]
    read: Callable[[Path, Options], Source]
    tree: str
    takes: str


FORMATS: Mapping[str, Format] = {
    **{
        module.NAME: Format(module.matches, module.read, module.TREE, takes)
        for module, takes in (
            (imagenet_vid, "subset images"),
            (mot, "subset images"),
            (yolo, "subset images stills folders"),
            (coco, "subset images stills folders"),
            (csv_table, "subset images"),
            (sequence_records, "subset"),
            (example_records, "subset stills folders"),
            (cvat, "subset images stills folders"),
            (voc, "subset images stills folders"),
            (label_studio, "subset images"),
        )
    },
    **{
        one.name: Format(one.matches, one.read, one.tree, "subset images")
        for one in tracking_sets.SETS
    },
}

WITH_NUMBERS = (sequence_records.NAME, example_records.NAME)
"""Formats whose files number the classes; in all others the order of the names does."""


def open(
    path: str | os.PathLike[str],
    *,
    labels: Sequence[str] = (),
    format: str = "",
    subset: str = "",
    images: str | os.PathLike[str] = "",
    stills: bool = False,
    folders: bool = False,
    skip_damaged: bool = False,
) -> Source:
    """Returns the raw videos of a data set; cheap, because no picture is decoded.

    Args:
        path: a file or folder, see `FORMATS`.
        labels: see `Options`; so are the arguments from subset on.
        format: a name of `FORMATS`; empty: found out by content.
        subset: a part of the data set.
        images: where the pictures are, if not as usual.
        stills: every image is a video of its own.
        folders: the images of a folder are a video.
        skip_damaged: damaged records are left out, and listed in `Source.damaged`.

    Raises:
        FileNotFoundError: there is nothing at the path, or at `images`.
        ValueError: no format fits, or several do; a choice that the format does not have; or the
            reader finds a mistake that leaves it without videos; the message says what was
            expected, and where.
    """
    place = Path(path)
    is_pattern = bool(place.name) and any(True for _ in place.parent.glob(place.name))
    if not place.exists() and not is_pattern:
        raise FileNotFoundError(f"{path}: there is no such file or folder")
    options = Options(tuple(labels), subset, str(images), stills, folders, skip_damaged)
    if format and format not in FORMATS:
        close = difflib.get_close_matches(format, FORMATS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"expected one of {', '.join(FORMATS)}"
        raise ValueError(f"unknown format {format!r}; {hint}")
    name = format or detect(place)
    for choice in ("subset", "images", "stills", "folders"):  # that would silently do nothing
        if getattr(options, choice) and choice not in FORMATS[name].takes.split():
            others = [other for other, known in FORMATS.items() if choice in known.takes.split()]
            raise ValueError(
                f"{path}: {choice} means nothing for the format {name}, only for "
                f"{', '.join(others)}; leave it out"
            )
    if stills and folders:
        raise ValueError(f"{path}: stills and folders exclude one another; leave one out")
    if options.images and not Path(options.images).exists():
        raise FileNotFoundError(f"{path}: images: there is no file or folder {options.images}")
    source = FORMATS[name].read(place, options)
    if not source.videos:
        left_out = f"; left out: {source.damaged[0]}" if source.damaged else ""
        what = f"the subset {subset!r} of this data set" if subset else "this data set"
        tree = FORMATS[name].tree
        raise WrongTree(f"{path}: {what} holds no video{left_out}; expected\n{tree}")
    label_map.checked(source.labels, where=str(path))
    return with_sizes_settled(source)


def detect(path: Path) -> str:
    """Returns the format of a file or folder, by its content.

    Raises:
        ValueError: no format fits, or several do.
    """
    found = [name for name, known in FORMATS.items() if known.matches(path)]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(
            f"{path}: this may be {' or '.join(found)}; say which with --format, or name the file"
        )
    if path.is_file() and (zipfile.is_zipfile(path) or tarfile.is_tarfile(path)):
        raise ValueError(f"{path}: this is an archive; unpack it, and name the folder")
    other = sniff.of_others(path)
    if other:
        raise ValueError(other)
    held = sorted(e.name + "/" * e.is_dir() for e in path.iterdir()) if path.is_dir() else []
    more = f" and {len(held) - 6} more" if len(held) > 6 else ""
    what = f"no known data set (it holds {', '.join(held[:6])}{more})" if held else ""
    what = what or ("an empty folder" if path.is_dir() else "no known data set")
    # Of the formats whose label files have a suffix that is met here, or else of all.
    below = (file for depth in ("*", "*/*", "*/*/*") for file in path.glob(depth))
    met = {file.suffix.lower() for file in itertools.islice(below, 10_000)} | {path.suffix.lower()}
    met &= {".xml", ".json", ".txt", ".csv", ".yaml", ".tfrecord"}
    alike = {n: k for n, k in FORMATS.items() if any(s in k.tree.lower() for s in met)}
    trees: dict[str, list[str]] = {}
    for name, known in (alike or FORMATS).items():
        trees.setdefault(known.tree, []).append(name)
    shown = "\n".join(
        f"{' and '.join(names)}:\n" + "\n".join(f"    {line}" for line in tree.splitlines())
        for tree, names in trees.items()
    )
    raise WrongTree(f"{path}: this is {what}; expected one of\n{shown}")
