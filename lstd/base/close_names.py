"""Names that are close to what somebody wrote, as the end of a sentence."""

import difflib
from collections.abc import Iterable
from pathlib import Path


def close_name(word: str, names: Iterable[str], *, most: int = 3) -> str:
    """Returns `; did you mean a or b?`, "" where no name is close."""
    close = difflib.get_close_matches(word, list(names), n=most, cutoff=0.6)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def close_match(name: str, names: Iterable[str]) -> str:
    """Returns the closest of the names, or all of them, as the end of an error."""
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; expected one of {', '.join(names)}"


def close_neighbour(path: Path) -> str:
    """Returns the same of a path that is not there, from the names in its folder."""
    try:
        names = [str(entry.name) for entry in path.parent.iterdir()]
    except OSError:
        return f": there is no folder {path.parent}"
    close = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    return f"; did you mean {path.parent / close[0]}?" if close else ""
