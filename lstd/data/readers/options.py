"""Choices about a data set beyond its path."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class WrongTree(ValueError):
    """A folder or file is not what was expected; the message shows the expected tree."""

    keep_lines = True


class Options(NamedTuple):
    """Choices that readers share.

    Attributes:
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

    labels: tuple[str, ...] = ()
    subset: str = ""
    images: str = ""
    stills: bool = False
    folders: bool = False
    skip_damaged: bool = False


_SAME = (("train", "training"), ("val", "valid", "validation"), ("test", "testing"))


def chosen(subset: str, known: Iterable[str], *, where: str) -> list[str]:
    """Returns the subsets that `Options.subset` stands for; empty: all of them.

    Raises:
        ValueError: none; the message lists them.

    >>> chosen("val", ["train", "valid"], where="data.yaml")
    ['valid']
    """
    names = [*known]
    for fits in ((subset,), same_as(subset)):
        found = [name for name in names if name == subset or name.lower() in fits]
        if found and subset:
            return found
    if subset:
        has = f"it has {', '.join(names)}" if names else "it has none"
        raise ValueError(f"{where}: there is no subset {subset!r}; {has}")
    return names


def same_as(subset: str) -> tuple[str, ...]:
    """Returns all names that tools use for a subset, in lower case.

    >>> same_as("Val")
    ('val', 'valid', 'validation')
    """
    return next((group for group in _SAME if subset.lower() in group), (subset.lower(),))


def all_taken(subsets: Iterable[str]) -> tuple[str, ...]:
    """Returns a note if several subsets are read together without being asked for."""
    names = [*subsets]
    if len(names) < 2:
        return ()
    return (f"all subsets are taken: {', '.join(names)}; one is chosen by subset",)
