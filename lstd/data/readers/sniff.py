"""Tells by the first bytes what a file is, and knows the files of tools that are not read."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lstd.base import natural

_LABEL_STUDIO = r'(?s)\s*\[(?=.*"(rectangle|polygon|brush|ellipse)labels")'
OTHERS = {
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
"""Tool and suffix -> what its files begin with."""


def head(path: Path) -> str:
    """Returns the beginning of a file, with everything but ASCII replaced."""
    with path.open("rb") as file:
        return file.read(1 << 16).replace(b"\0", b"").decode("ascii", errors="replace")


def files(path: Path, suffix: str, begins: str) -> list[Path]:
    """Returns the file, or those of a folder, that have a suffix and begin like a pattern."""
    found = sorted(path.glob(f"*{suffix}")) if path.is_dir() else [path]

    def fits(file: Path) -> bool:
        ours = file.suffix.lower() == suffix and file.is_file()
        return ours and re.match(begins, head(file)) is not None

    # Not all of 100,000 XML files of another kind.
    return [file for file in found if fits(file)] if any(map(fits, found[:20])) else []


def by_subset(
    path: Path, patterns: Sequence[str], fits: Callable[[Path], bool], *, most: int = 1_000_000
) -> dict[str, list[Path]]:
    """Returns the files of a folder that fit, under "", or else those of each folder in it.

    Args:
        path: the folder.
        patterns: for the names of files.
        fits: looks into a file.
        most: how many files a folder in it may have.
    """
    for folders in ([path], sorted(path.glob("*/"))) if path.is_dir() else ():
        found = {}
        for folder in folders:
            files = [file for pattern in patterns for file in folder.glob(pattern)]
            files.sort(key=lambda file: natural.key(str(file)))
            if folder == path or len(files) <= most:
                found["" if folder == path else folder.name] = [f for f in files if fits(f)]
        if any(found.values()):
            return {part: kept for part, kept in found.items() if kept}
    return {}


def xml(root: str) -> str:
    """Returns a pattern for the beginning of an XML file whose root element has this name."""
    return rf"(?s)\W*(<[?!].*?>\s*)*<{root}[\s>]"


def of_others(path: Path) -> str:
    """Returns the message for a known file or folder that is not read; empty if it is unknown.

    >>> of_others(Path("."))
    ''
    """
    for (tool, suffix), begins in OTHERS.items():
        for file in itertools.islice(_below(path, suffix), 20):
            if file.is_file() and re.match(begins, head(file)):
                way = "MOT or Pascal VOC" if tool == "DarkLabel" else "COCO or YOLO"
                return f"{path}: this is {tool} ({file.name}), not read; export it as {way} there"
    return ""


def _below(path: Path, suffix: str) -> Iterator[Path]:
    if path.is_file():
        yield from [path] * (path.suffix.lower() == suffix)
    for depth in ("", "*/", "*/*/"):
        yield from sorted(path.glob(f"{depth}*{suffix}"))
