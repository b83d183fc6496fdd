"""Finds the pictures of a data set on this disk: by the names in its labels, or in a video file."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from pathlib import Path

from lstd.base import natural
from lstd.data.readers import frame_names
from lstd.data.readers.labelled_video import VideoFrames, video_frames
from lstd.media import numbered_frames
from lstd.media.video import SUFFIXES as VIDEO_SUFFIXES

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")

_LOOKED_AT = 200
_FROM_ZERO = re.compile(r"((^|/)frame_\d{6}|\.\w+#\d+)$")


def in_folder(folder: Path) -> list[Path]:
    """Returns the pictures of a folder in natural order; none where there is no such folder."""
    found = folder.iterdir() if folder.is_dir() else ()
    kept = [p for p in found if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
    return sorted(kept, key=lambda path: natural.key(path.name))


def clean(name: str) -> str:
    r"""Returns a name from a label file with this system's "/".

    >>> clean("images\\street\\1.jpg"), clean("/data/local-files/?d=street/1.jpg")
    ('images/street/1.jpg', 'street/1.jpg')
    """
    return name.replace("\\", "/").rpartition("?d=")[2].removeprefix("./")


class Finder:
    """The file of a name: below a folder, perhaps without the first folders of the name.

    Where there is none of exactly this name, it is the only one that differs in upper and lower
    case, or else the only picture that differs in its suffix.
    """

    def __init__(self, root: Path, dropped: int = 0) -> None:
        """Looks at nothing yet."""
        self._root, self._dropped = root, dropped
        self._listed: dict[Path, dict[str, list[str]]] = {}

    def told(self, name: str) -> tuple[str, ...]:
        """Returns what to say where first folders of names, such as this one, are left out."""
        if not self._dropped:
            return ()
        return (
            f"names of images are read without their first folders, such as {name} as "
            f"{self.shortened(name)} in {self._root}",
        )

    def shortened(self, name: str) -> str:
        """Returns the part of a name that is looked for."""
        return "/".join(clean(name).split("/")[self._dropped :])

    def find(self, name: str) -> Path | None:
        """Returns the file, None where there is none."""
        if not name:
            return None
        wanted = self._root / (self.shortened(name) or name)
        known = self._known(wanted.parent)
        found = known.get(f"={wanted.name}") or known.get(wanted.name.lower(), [])
        if not found and wanted.suffix.lower() in ("", *SUFFIXES):
            found = known.get(f"*{wanted.stem.lower()}", [])
        return wanted.parent / found[0] if len(found) == 1 else None

    def __call__(self, name: str) -> Path:
        """Returns the file, or where it should be."""
        return self.find(name) or self._root / (self.shortened(name) or name)

    def _known(self, folder: Path) -> dict[str, list[str]]:
        if folder not in self._listed:
            known = self._listed[folder] = {}
            for path in folder.iterdir() if folder.is_dir() else ():
                keys = [f"={path.name}", path.name.lower()]
                keys += [f"*{path.stem.lower()}"] * (path.suffix.lower() in SUFFIXES)
                for key in keys:
                    known.setdefault(key, []).append(path.name)
        return self._listed[folder]


def finder(names: Sequence[str], places: Sequence[Path], *, where: str) -> Finder:
    """Returns what finds the files of these names: in the first place that has any of them.

    Tools write paths of their own machine, so the first folders of all names may be too many: they
    are left out where that makes no two names the same, and finds half of the names or more.

    Raises:
        ValueError: none is found; the message names what was looked for, and where.
    """
    looked = dict.fromkeys(clean(name) for name in names[:_LOOKED_AT])
    most = max((name.count("/") for name in looked), default=0)
    for dropped in range(most + 1):
        for place in dict.fromkeys(places):
            found = Finder(place, dropped)
            there = sum(found.find(name) is not None for name in looked)
            if not there or (dropped and 2 * there < len(looked)):
                continue
            if len({found.shortened(n) for n in names}) == len({clean(n) for n in names}):
                return found
    if not looked:
        return Finder(places[0])
    told = ", ".join(str(place) for place in dict.fromkeys(places))
    raise ValueError(
        f"{where}: none of its images is found, such as {names[0]}; looked in {told}; say where "
        "they are with --images, a folder or the video file"
    )


def video_of(images: str, name: str, *, alone: bool) -> Path | None:
    """Returns the video file with the frames of a video; None where pictures are to be looked for.

    Args:
        images: what the caller says: empty, a folder, or a video file.
        name: of the video; a folder may hold a video file of this name, or with a suffix more.
        alone: whether it is the only one of the data set.

    Raises:
        ValueError: one video file for several videos.
    """
    place = Path(images)
    if images and place.is_file():
        if not alone:
            raise ValueError(
                f"{images}: this is one video, and the labels are of several; name a folder with a "
                f"video file for each, such as {name}.mp4, or one of them as the input"
            )
        return place
    name = clean(name).lstrip("/")
    files = [place / name, *place.glob(f"{glob.escape(name)}.*")] if images else []
    found = [file for file in files if file.suffix.lower() in VIDEO_SUFFIXES and file.is_file()]
    return found[0] if len(found) == 1 else None


def frames_of(file: Path, names: Sequence[str], *, where: str) -> VideoFrames:
    """Returns the frames of a video file that names mean, in their order.

    The last number of a name is that of its frame. It counts from 0 where a name has 0 or all are
    as CVAT writes them (`frame_000012`) or `street.avi#12`, and from 1 where the lowest is 1.

    Raises:
        ValueError: the names have other numbers than the video, or none.
    """
    length = numbered_frames.count(str(file))
    said = frame_names.plain([clean(name) for name in names])
    found = [frame_names.number(name) for name in said]
    numbers = [number for number in found if number is not None]
    if len(set(numbers)) < len(names):
        if len(names) != length:
            raise ValueError(
                f"{where}: {file} has {length} frames, the labels {len(names)}, and which is which "
                f"cannot be told from names such as {names[0]}"
            )
        return video_frames(file, numbers=range(length))
    low, high = min(numbers, default=0), max(numbers, default=0)
    from_zero = low == 0 or all(_FROM_ZERO.search(name) for name in said)
    if not from_zero and low != 1 and high != length:
        raise ValueError(
            f"{where}: whether {names[numbers.index(low)]} counts the frames of {file} from 0 or "
            "from 1 cannot be told; add labels, which may be empty, of its first frame"
        )
    first = 0 if from_zero else 1
    if high - first >= length:
        raise ValueError(
            f"{where}: {names[numbers.index(high)]} is beyond the {length} frames of {file}"
        )
    return video_frames(file, numbers=[number - first for number in numbers])
