"""The pictures of a data set, found by the names in its labels or taken from a video file."""

import dataclasses
import glob
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from lstd.base import limits, natural
from lstd.data import source_images
from lstd.data.problems import ProblemError
from lstd.data.readers import frame_names
from lstd.data.readers.label_files import Options
from lstd.data.sources import Image, ImageFile
from lstd.media import numbered_frames, picture_file, video

VIDEO_SUFFIXES = video.SUFFIXES
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")

_LOOKED_AT = 200
_FROM_ZERO = re.compile(r"((^|/)frame_\d{6}|\.\w+#\d+)$")


@dataclasses.dataclass(frozen=True)
class Pictures:
    """The pictures of a video, made by `of`: `sizes` are height and width of each video file.

    An item is the path of an image, or path and frame number of a video, perhaps beyond its end.
    """

    items: tuple[str | tuple[str, int], ...]
    sizes: Mapping[str, tuple[int, int]]

    @property
    def random_access(self) -> bool:
        """Whether pictures can be read in any order at the same cost."""
        return not self.sizes

    def __len__(self) -> int:
        return len(self.items)

    def read(self, start: int, stop: int) -> Iterator[Image]:
        """Yields unopened files and decoded frames; None for a frame that a video does not have."""
        wanted = self.items[start:stop]
        for path, group in itertools.groupby(wanted, lambda item: isinstance(item, str) or item[0]):
            if isinstance(path, str):
                yield from _frames(path, [int(item[1]) for item in group])
            else:
                yield from (ImageFile(str(item)) for item in group)

    def size_of(self, number: int) -> tuple[int, int]:
        """Returns height and width, for an image from its header; 0, 0 if it cannot be read."""
        item = self.items[number]
        if isinstance(item, tuple):
            return self.sizes[item[0]]
        try:
            return source_images.size_of(ImageFile(item), where=item)
        except ProblemError:
            return 0, 0

    def turn_of(self, number: int) -> int:
        """Returns how a readable picture is turned when shown; see `picture_file.orientation`."""
        item = self.items[number]
        if isinstance(item, tuple):
            return (1, 8, 3, 6)[numbered_frames.quarter_turns(item[0])]
        with picture_file.opened(item, where=item) as picture:
            return picture_file.orientation(picture)


def _frames(path: str, numbers: Sequence[int]) -> Iterator[Image]:
    """Yields frames of a video file, in one pass if their numbers rise."""
    if any(after <= before for before, after in itertools.pairwise(numbers)):
        for number in numbers:
            yield from numbered_frames.read(path, number, number + 1)
        return
    wanted = {*numbers}
    frames = numbered_frames.read(path, numbers[0], numbers[-1] + 1)
    yield from (image for number, image in enumerate(frames, numbers[0]) if number in wanted)


def of(items: Iterable[str | tuple[str, int]]) -> Pictures:
    """Returns pictures; raises as `lstd.media.video.probe`."""
    told = tuple(items)
    films = dict.fromkeys(item[0] for item in told if isinstance(item, tuple))
    probed = ((path, video.probe(path)) for path in films)
    return Pictures(told, {path: (film.height, film.width) for path, film in probed})


def of_film(path: Path, numbers: Iterable[int]) -> Pictures:
    """Returns frames of a video file; raises as `of`."""
    return of((str(path), number) for number in numbers)


def in_folder(folder: Path) -> list[Path]:
    """Returns the pictures of a folder in natural order; none if there is no such folder."""
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
    """Finds the file of a name below a folder, perhaps without the name's first folders.

    Where there is none of exactly this name, it is the only one that differs in upper and lower
    case, or else the only picture that differs in its suffix.
    """

    def __init__(self, root: Path, dropped: int = 0) -> None:
        self._root, self._dropped = root, dropped
        self._listed: dict[Path, dict[str, list[str]]] = {}

    def told(self, name: str) -> list[str]:
        """Returns a note if the first folders of names, such as this one, are left out."""
        return [
            f"names of images are read without their first folders, such as {name} as "
            f"{self.shortened(name)} in {self._root}"
        ] * bool(self._dropped)

    def shortened(self, name: str) -> str:
        """Returns the part of a name that is looked for."""
        return "/".join(clean(name).split("/")[self._dropped :])

    def find(self, name: str) -> Path | None:
        """Returns the file; None if there is none."""
        if not name:
            return None
        if name != clean(name) and (self._root / name).is_file():  # it is really called so
            return self._root / name
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
    """Returns a finder of these names, in the first place that has any of them.

    Tools write paths of their own machine, so the first folders of all names may be too many: they
    are left out where that makes no two names the same, and finds half of the names or more. Raises
    ValueError if none is found.
    """
    looked = dict.fromkeys(names[:_LOOKED_AT])
    most = max((clean(name).count("/") for name in looked), default=0)
    for dropped, place in itertools.product(range(most + 1), dict.fromkeys(places)):
        found = Finder(place, dropped)
        there = sum(found.find(name) is not None for name in looked)
        if not there or (dropped and 2 * there < len(looked)):
            continue
        if len({found.shortened(n) for n in names}) == len({clean(n) for n in names}):
            return found
    told = ", ".join(str(place) for place in dict.fromkeys(places))
    raise ValueError(
        f"{where}: none of its images is found, such as {names[0]}; looked in {told}; say where "
        "they are with --images, a folder or the video file"
    )


def film_of(options: Options, name: str, *, alone: bool) -> Path | None:
    """Returns the video file that `Options.images` is, or holds under this name; None without.

    Raises ValueError if it is one file for several videos.
    """
    if not options.images:
        return None
    place = Path(options.images)
    if place.is_file():
        if not alone:
            raise ValueError(
                f"{place}: this is one video, and the labels are of several; name a folder with a "
                f"video file for each, such as {name}.mp4, or one of them as the input"
            )
        return place
    name = clean(name).lstrip("/")
    files = [place / name, *place.glob(f"{glob.escape(name)}.*")]
    found = [file for file in files if file.suffix.lower() in VIDEO_SUFFIXES and file.is_file()]
    return found[0] if len(found) == 1 else None


def named_frames(film: Path, names: Sequence[str], *, where: str) -> Pictures:
    """Returns the frames of a video file that names stand for, in the order of the names.

    The last number of a name is that of its frame. It counts from 0 where a name has 0 or all are
    as CVAT writes them (`frame_000012`) or `street.avi#12`, and from 1 where the lowest is 1.
    Raises ValueError if the video has not these frames.
    """
    length = numbered_frames.count(str(film))
    said = frame_names.plain([clean(name) for name in names])
    numbers = [n for n in map(frame_names.number, said) if n is not None]
    if len({*numbers}) < len(names):
        if len(names) == length:
            return of_film(film, range(length))
        raise ValueError(
            f"{where}: {film} has {length} frames, the labels {len(names)}, and which is which "
            f"cannot be told from names such as {names[0]}"
        )
    low, high = min(numbers, default=0), max(numbers, default=0)
    from_zero = low == 0 or all(_FROM_ZERO.search(name) for name in said)
    if not from_zero and low != 1 and high != length:
        raise ValueError(
            f"{where}: whether {names[numbers.index(low)]} counts the frames of {film} from 0 or "
            "from 1 cannot be told; add labels, which may be empty, of its first frame"
        )
    first = 0 if from_zero else 1
    if high - first >= length:
        raise ValueError(
            f"{where}: {names[numbers.index(high)]} is beyond the {length} frames of {film}"
        )
    return of_film(film, [number - first for number in numbers])


def numbered(
    options: Options,
    film: Path | None,
    folders: Iterable[Path],
    *,
    first: int | None,
    length: int,
    where: str,
) -> Pictures:
    """Returns the pictures of numbered frames.

    Of a video file they are the `length` frames that labels name; of the first folder that holds
    any images also all after them. `first` is the number of the first frame's image; None: 0 where
    there is such an image, else 1. Raises ValueError for no image, or two of one number.
    """
    if film:
        count = numbered_frames.count(str(film))
        limits.check_missing(found=count, said=length, where=f"the last label of {where}")
        if count > length:
            options.notes.append(
                f"the labels of {where} end at frame {length}; the {count - length} frames of "
                f"{film} behind it are left out"
            )
        return of_film(film, range(length))
    places = dict.fromkeys(folders)
    images = next(filter(None, map(in_folder, places)), [])
    if not images:
        raise ValueError(
            f"{where}: there are no images in {' or '.join(map(str, places))}; say where with "
            "--images, a folder or the video file"
        )
    files: dict[int, str] = {}
    for image in images:
        number = frame_names.number(image.stem)
        if number is not None and files.setdefault(number, str(image)) != str(image):
            raise ValueError(f"{image}: {files[number]} has the same number; a frame has one image")
    start = (0 if 0 in files else 1) if first is None else first
    last = max([start + length, *(number + 1 for number in files)])
    limits.check_missing(found=len(files), said=last - start, where=f"a label or image of {where}")
    return of(files.get(number) or _name_of(number, images[0]) for number in range(start, last))


def _name_of(number: int, other: Path) -> str:
    """Returns what the image of a frame would be called, by the name of another frame's."""
    head = other.stem.rstrip("0123456789")
    digits = other.stem[len(head) :]
    if digits and int(digits) == frame_names.number(other.stem):
        return str(other.with_name(f"{head}{number:0{len(digits)}d}{other.suffix}"))
    return str(other.with_name(f"(frame {number})"))
