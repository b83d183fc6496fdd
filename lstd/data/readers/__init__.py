"""Readers for people's data sets, and the choice among them by content.

    source = readers.open("my_data")
    for video in source.videos:
        for frame in video.read():
            ...

A reader has a function that finds its files at a path, by content, and one that reads them and
hands on what they say; see `lstd.data.sources` and `lstd.data.problems`. It raises ValueError for a
mistake that leaves it without videos.
"""

import itertools
import os
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lstd.base import label_map
from lstd.base.close_names import close_match
from lstd.base.coco_file import NotCoco
from lstd.data.readers import (
    coco_json,
    csv_table,
    cvat,
    label_files,
    label_studio,
    tfrecords,
    tracking_sets,
    voc_xml,
    yolo,
)
from lstd.data.readers.label_files import Found, Options, WrongTree
from lstd.data.readers.labelled_video import with_sizes_settled
from lstd.data.sources import Source


class Format(NamedTuple):
    """A format: whether a path holds any, its reader, the choices that it takes, its tree."""

    matches: Callable[[Path], Any]
    read: Callable[[Path, Options], Found]
    takes: str
    tree: str


_ALL = "subset images stills folders"
_RECORDS = """\
train-00000-of-00010.tfrecord ... with SequenceExamples, or tf.Examples with image/encoded
or a folder of train/, valid/ and so on with such files"""

FORMATS: Mapping[str, Format] = {
    "imagenet_vid": Format(
        voc_xml.imagenet_roots,
        voc_xml.read_imagenet,
        "subset images",
        """\
ILSVRC2015/
  Annotations/VID/train/ILSVRC2015_VID_train_0000/ILSVRC2015_train_00000000/000000.xml
  Annotations/VID/val/ILSVRC2015_val_00000000/000000.xml
  Data/VID/train/... .JPEG, the same folders
  ImageSets/VID/val.txt (optional)""",
    ),
    "mot": Format(
        tracking_sets.sequences_of,
        tracking_sets.read_mot,
        "subset images",
        """\
MOT17-02/
  seqinfo.ini
  img1/000001.jpg ...
  gt/gt.txt, and gt/labels.txt where the classes are not those of MOT
or a folder of such folders, or of train/ and val/ with such folders""",
    ),
    "yolo": Format(
        yolo.matches,
        yolo.read,
        _ALL,
        """\
data.yaml with names, and train and val such as images/train
images/train/street/0001.jpg ..., or none, and --images FOLDER or --images VIDEO
labels/train/street/0001.txt ..., the same folders; or each text file beside its image
without data.yaml: classes.txt or obj.names, one class a line; or --format yolo --label_map FILE""",
    ),
    "coco": Format(
        coco_json.files_of,
        coco_json.read,
        _ALL,
        """\
annotations.json with "images", "annotations", "categories" and, for video, "videos"; the images
  beside it, or in images/, or in the folder above; or --images FOLDER, or --images VIDEO
or a folder of train/, valid/ and so on with such a file in each""",
    ),
    "csv": Format(
        csv_table.tables_of,
        csv_table.read,
        "subset images",
        """\
street.mp4 (or .avi, .mov, .mkv, ...), or the folder street/ with 0001.jpg ...
street.csv with the header frame,class,track_id,ymin,xmin,ymax,xmax
or a folder of such pairs, or of train/, val/ and so on with such pairs""",
    ),
    "sequence_example": Format(
        lambda path: tfrecords.format_of(path) == "sequence_example",
        tfrecords.read_sequences,
        "subset",
        _RECORDS,
    ),
    "tf_example": Format(
        lambda path: tfrecords.format_of(path) == "tf_example",
        tfrecords.read_examples,
        "subset stills folders",
        _RECORDS,
    ),
    "cvat": Format(
        cvat.files_of,
        cvat.read,
        _ALL,
        """\
annotations.xml of "CVAT for video 1.1" or "CVAT for images 1.1"; the pictures in images/ beside it,
  or the video file of the task beside it; or --images VIDEO (or FOLDER)""",
    ),
    "voc": Format(
        voc_xml.folders_of,
        voc_xml.read,
        _ALL,
        """\
Annotations/0001.xml ... with <annotation>, and JPEGImages/0001.jpg ...
  or each XML file beside its image; in train/, valid/ and test/ or without them""",
    ),
    "label_studio": Format(
        label_studio.files_of,
        label_studio.read,
        "subset images",
        """\
the JSON (or JSON-MIN) export of a project of videos, and the videos beside it, or --images VIDEO
  (or FOLDER)""",
    ),
    **{
        name: Format(one.matches, one.read, "subset images", one.tree)
        for name, one in tracking_sets.SETS.items()
    },
}

WITH_NUMBERS = ("sequence_example", "tf_example")
"""Formats whose files number the classes; in all others the order of the names does."""

_LABEL_STUDIO = r'(?s)\s*\[(?=.*"(rectangle|polygon|brush|ellipse)labels")'
_OTHERS = {  # tool and suffix of what is not read -> what its files begin with
    ("LabelMe", ".json"): r'(?s)(?=.*"shapes")(?=.*"(imagePath|imageData)")',
    ("Supervisely", ".json"): r'(?s)(?=.*"classTitle")|(?=.*"classes")(?=.*"projectType")',
    ("VGG Image Annotator (VIA)", ".json"): r'(?s).*"(_via_\w+|shape_attributes)"',
    ("VGG Image Annotator (VIA)", ".csv"): "#?filename,file_size,file_attributes",
    ("Datumaro", ".json"): r'(?s)(?=.*"dm_format_version")|(?=.*"infos")(?=.*"items")',
    ("Hasty", ".json"): r'(?s)(?=.*"project_name")(?=.*"export_format_version")',
    ("CreateML", ".json"): r'(?s)\s*\[(?=.*"coordinates")(?=.*"image")',
    ("Label Studio's JSON of images", ".json"): _LABEL_STUDIO,
    ("DarkLabel", ".txt"): r"\d+, ?-?\d+(, ?-?[\d.]+){4}, ?[^\d\s,][^,]*\r?\n",
}


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

    `path` is a file or folder, `format` a name of `FORMATS`; empty: found out by content. `Options`
    describes the other arguments.

    Raises:
        FileNotFoundError: there is nothing at the path, or at `images`.
        ValueError: no format fits, or several do; a choice that the format does not have; or the
            reader finds a mistake that leaves it without videos; the message says what was
            expected, and where.
    """
    if "://" in str(path):
        raise ValueError(
            f"{path}: of an address only training and evaluation read, and only TFRecord files, "
            "named by a pattern such as gs://bucket/records/*.tfrecord; copy other data here first"
        )
    place = Path(path)
    is_pattern = bool(place.name) and any(True for _ in place.parent.glob(place.name))
    if not place.exists() and not is_pattern:
        raise FileNotFoundError(f"{path}: there is no such file or folder")
    given = (tuple(labels), subset, str(images), stills, folders, skip_damaged)
    options = Options(str(path), [], [], *given)
    if format and format not in FORMATS:
        raise ValueError(f"unknown format {format!r}{close_match(format, FORMATS)}")
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
    try:
        names, videos = FORMATS[name].read(place, options)
        if not videos:
            left_out = f"; left out: {options.damaged[0]}" if options.damaged else ""
            what = f"the subset {subset!r} of this data set" if subset else "this data set"
            raise WrongTree(f"{path}: {what} holds no video{left_out}")
    except (WrongTree, NotCoco) as error:
        raise WrongTree(f"{error}; expected\n{FORMATS[name].tree}") from None
    label_map.checked(names, where=str(path))
    told = tuple(options.notes), tuple(options.damaged)
    return with_sizes_settled(Source(name, str(path), tuple(names), tuple(videos), *told))


def detect(path: Path) -> str:
    """Returns the format of a file or folder, by its content; raises as `open`."""
    found = [name for name, known in FORMATS.items() if known.matches(path)]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(
            f"{path}: this may be {' or '.join(found)}; say which with --format, or name the file"
        )
    packed = [path] if path.is_file() else [*path.glob("*.zip"), *path.glob("*.t*gz")]
    for file in filter(Path.is_file, packed):
        if zipfile.is_zipfile(file) or tarfile.is_tarfile(file):
            raise ValueError(f"{file}: this is an archive; unpack it, and name the folder")
    for (tool, suffix), begins in _OTHERS.items():
        alone = [path] * (path.is_file() and path.suffix.lower() == suffix)
        below = (f for depth in ("", "*/", "*/*/") for f in sorted(path.glob(f"{depth}*{suffix}")))
        for file in itertools.islice(itertools.chain(alone, below), 20):
            if label_files.begins(file, begins):
                way = "MOT or Pascal VOC" if tool == "DarkLabel" else "COCO or YOLO"
                raise ValueError(
                    f"{path}: this is {tool} ({file.name}), not read; export it as {way} there"
                )
    raise WrongTree(f"{path}: {_unknown(path)}")


def _unknown(path: Path) -> str:
    """Returns what is there, and the trees of formats whose label files have a suffix of these."""
    held = sorted(e.name + "/" * e.is_dir() for e in path.iterdir()) if path.is_dir() else []
    more = f" and {len(held) - 6} more" if len(held) > 6 else ""
    what = f"no known data set (it holds {', '.join(held[:6])}{more})" if held else ""
    what = what or ("an empty folder" if path.is_dir() else "no known data set")
    files = (file for depth in ("*", "*/*", "*/*/*") for file in path.glob(depth))
    met = {file.suffix.lower() for file in itertools.islice(files, 10_000)} | {path.suffix.lower()}
    met &= {".xml", ".json", ".txt", ".csv", ".yaml", ".tfrecord"}
    alike = {n: k for n, k in FORMATS.items() if any(s in k.tree.lower() for s in met)}
    trees: dict[str, list[str]] = {}
    for name, known in (alike or FORMATS).items():
        trees.setdefault(known.tree, []).append(name)
    shown = "\n".join(
        f"{' and '.join(names)}:\n" + "\n".join(f"    {line}" for line in tree.splitlines())
        for tree, names in trees.items()
    )
    return f"this is {what}; expected one of\n{shown}"
