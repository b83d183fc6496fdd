"""What all readers do with label files: choose among them, tell what they are, check fields."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lstd.base import documents, limits, natural
from lstd.data.sources import SourceVideo

_SAME = (("train", "training"), ("val", "valid", "validation"), ("test", "testing"))


class WrongTree(ValueError):
    """A file or folder is not what its format looks like; `readers.open` adds the expected tree."""

    keep_lines = True


class Options(NamedTuple):
    """What readers are asked for, and where they say what they met.

    Attributes:
        where: the data set, for messages.
        notes: get what the format itself says to leave out, and how the data were understood.
        damaged: gets each damaged record that is left out, where it is and what is wrong with it.
        labels: class names in class order; empty: those of the data set. Other names in it are
            unknown classes.
        subset: a part of the data set, such as "train" or "val", or the name of a list; empty: all
            of it, or the only one.
        images: the folder or video file with the pictures, where they do not stand as usual.
        stills: every image is a video of one frame, whatever its name says.
        folders: the images of a folder are a video, whatever their names say.
        skip_damaged: damaged records are left out, and told of in `Source.damaged`; all are read
            for it. Otherwise they are an error.
    """

    where: str
    notes: list[str]
    damaged: list[str]
    labels: tuple[str, ...] = ()
    subset: str = ""
    images: str = ""
    stills: bool = False
    folders: bool = False
    skip_damaged: bool = False


Found = tuple[Sequence[str], Sequence[SourceVideo]]
"""What a reader returns: class names in class order, and the videos."""


def chosen(subset: str, known: Iterable[str], *, where: str) -> list[str]:
    """Returns the subsets that `Options.subset` stands for; raises ValueError if it is none.

    >>> chosen("val", ["train", "valid"], where="data.yaml"), chosen("", ["a", "b"], where="")
    (['valid'], ['a', 'b'])
    """
    names = [*known]
    if not subset:
        return names
    for fits in ((subset,), same_as(subset)):
        if found := [name for name in names if name == subset or name.lower() in fits]:
            return found
    has = ", ".join(names) or "none"
    raise ValueError(f"{where}: there is no subset {subset!r}; it has {has}")


def same_as(subset: str) -> tuple[str, ...]:
    """Returns all names that tools use for a subset, in lower case."""
    return next((group for group in _SAME if subset.lower() in group), (subset.lower(),))


def all_taken(subsets: Iterable[str]) -> list[str]:
    """Returns a note if several subsets are read together without being asked for."""
    names = [*subsets]
    note = f"all subsets are taken: {', '.join(names)}; one is chosen by subset"
    return [note] * (len(names) > 1)


def begins(file: Path, pattern: str) -> bool:
    """Whether a file begins like a pattern; everything but ASCII is replaced."""
    if not file.is_file():
        return False
    with file.open("rb") as opened:
        head = opened.read(1 << 16).replace(b"\0", b"").decode("ascii", errors="replace")
    return re.match(pattern, head) is not None


def beginning(path: Path, suffix: str, pattern: str) -> list[Path]:
    """Returns the file, or those of a folder, that have a suffix and begin like a pattern."""
    found = sorted(path.glob(f"*{suffix}")) if path.is_dir() else [path]
    found = [file for file in found if file.suffix.lower() == suffix]
    if not any(begins(file, pattern) for file in found[:20]):  # not all of 100,000 of another kind
        return []
    return [file for file in found if begins(file, pattern)]


def xml(root: str) -> str:
    """Returns a pattern for the beginning of an XML file whose root element has this name."""
    return rf"(?s)\W*(<[?!].*?>\s*)*<{root}[\s>]"


def by_subset(
    path: Path, patterns: Sequence[str], fits: Callable[[Path], bool], *, most: int = 1_000_000
) -> dict[str, list[Path]]:
    """Returns the files of a folder that fit, under "", or else those of each folder in it.

    `most` is how many files with such names a folder in it may have.
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


def lines(
    path: Path, separator: str | None, columns: str, *, most: int = 100
) -> Iterator[tuple[str, list[str]]]:
    """Yields "line 1" and so on, and the fields of each line that is not empty.

    Raises ValueError if it has fewer fields than the names in `columns`, or more than `most`.
    """
    least = len(columns.split(", "))
    for place, line in enumerate(documents.read_text(path).splitlines(), start=1):
        found = [field.strip() for field in line.split(separator)]
        if not any(found):
            continue
        if not least <= len(found) <= most:
            count = f"{least} to {most}" if len(found) > most else f"at least {least}"
            raise ValueError(
                f"{path}, line {place}: {len(found)} columns, expected {count}: {columns}"
            )
        yield f"line {place}", found


def numbers(said: Iterable[Any], names: str, where: str) -> list[float]:
    """Returns fields as numbers, perhaps not finite; raises ValueError naming the one that is none.

    >>> numbers(["1", 2], "x y", "line 1")
    [1.0, 2.0]
    """
    return [number(one, f"{where}: {name}") for name, one in zip(names.split(), said, strict=True)]


def number(said: Any, what: str) -> float:
    """Returns a field as a number; raises as `numbers`."""
    try:
        return float(said)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{what} is {said!r:.80}, expected a number") from None


def whole(said: Any, what: str, *, least: int = 0, most: int = limits.WHOLE) -> int:
    """Returns a whole number within bounds; raises ValueError if it is not.

    >>> whole("3.0", "a.csv, line 3: frame")
    3
    """
    value = number(said, what)
    if value % 1 or not least <= value <= most:  # of what is not finite the rest is NaN
        raise ValueError(
            f"{what} is {str(said)[:80]}, expected a whole number from {least} to {most}"
        )
    return int(value)


def frame(said: Any, what: str, *, least: int = 0) -> int:
    """Returns a frame number; raises as `whole`."""
    return whole(said, what, least=least, most=limits.FRAMES)


def track_id(said: Any, what: str) -> int:
    """Returns a track id, -1 (unknown) for every number below 0; raises as `whole`."""
    return max(whole(said, what, least=-limits.WHOLE), -1)
