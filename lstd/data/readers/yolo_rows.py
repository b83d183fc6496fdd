"""Reads lines of YOLO text files: a box, an outline, or a box with the points of a pose.

All begin with the class. Five values are a box: x and y of the centre, width, height, all relative;
a sixth is its track id. An odd number of at least seven is an outline, x and y of each point, whose
box is taken. Behind the box of a pose stand the points, of two values or, with a mark of 0, 1 or 2,
of three; `kpt_shape` of `data.yaml` says so, and one more value is then a track id. Without it, a
line with marks that is no outline is a pose. Lines of one odd length may be either; they are
refused without `data.yaml`, or where many of them look like poses.

Source: https://docs.ultralytics.com/datasets/, of detect, segment, obb and pose.
"""

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from lstd.base import documents, limits
from lstd.data.readers import label_files
from lstd.data.readers.labelled_video import Box, Labels


@dataclasses.dataclass(frozen=True)
class Reader:
    """Reads the labels of an image from its text file; a missing file means no objects.

    `names` are those of the class numbers; `points` is what `points_of` returns.
    """

    names: Mapping[int, str]
    points: int | None = 0

    def __call__(self, path: str) -> Labels:
        """Returns what the file says."""
        lines = enumerate(_lines(path), start=1)
        return Labels(
            [self._box(line.split(), f"{path}, line {n}", n) for n, line in lines if line.strip()],
            path,
        )

    def has_tracks(self, paths: Sequence[str]) -> bool:
        """Whether any line of some of these files ends in a track id."""
        return any(map(self._has_track, _sample(paths)))

    def _has_track(self, line: Sequence[str]) -> bool:
        return len(line) in (6, 6 + (self.points or 0))

    def _box(self, said: Sequence[str], where: str, line: int) -> Box:
        try:
            values = [float(field) for field in said]
        except ValueError:
            raise ValueError(f"{where}: {' '.join(said)!r} is not made of numbers") from None
        sides = _sides(values, self.points, where=where)
        number = label_files.whole(said[0], f"{where}: class", least=-limits.WHOLE)
        what = f"{where}: the last value, a track id (remove it if it is a score),"
        return Box(
            sides,
            self.names.get(number, f"class {number}"),
            track=label_files.track_id(said[-1], what) if self._has_track(said) else -1,
            row_name=f"line {line}",
        )


def points_of(said: int | None, paths: Sequence[str]) -> int | None:
    """Returns how many values follow the box of a pose; 0: no poses; None: unknown.

    `said` is what `data.yaml` says; None: there is none. Lines of several lengths are outlines:
    those of poses are equal. Equal ones of which many look like poses may be these.
    """
    if said:
        return said
    long = [line for line in _sample(paths) if len(line) >= 7]
    if len({len(line) for line in long}) > 1:
        return 0
    alike = sum(len(line) >= 11 and _looks_like_pose(line) for line in long)
    return None if long and 5 * alike >= len(long) else said


def _sample(paths: Sequence[str]) -> list[list[str]]:
    """Returns the values of the lines of some of the files."""
    lines: list[str] = []
    for path in paths[:: -(-len(paths) // 200) or 1]:
        with contextlib.suppress(ValueError):  # it is no text; whoever reads it will say so
            lines += _lines(path)
    return [line.split() for line in lines]


def _lines(path: str) -> list[str]:
    try:
        return documents.read_text(path).splitlines()
    except FileNotFoundError:
        return []


def _sides(
    values: Sequence[float], points: int | None, *, where: str
) -> tuple[float, float, float, float]:
    count = len(values)
    if count in (5, 6) or (count >= 7 and _is_pose(values, points, where=where)):
        x, y, width, height = values[1:5]
        return y - height / 2, x - width / 2, y + height / 2, x + width / 2
    if count < 7 or count % 2 == 0:
        raise ValueError(
            f"{where}: {count} values, expected class, x, y, width, height and perhaps a track id; "
            "or class and an outline of three points or more; or a pose, see kpt_shape of data.yaml"
        )
    xs, ys = values[1::2], values[2::2]
    return min(ys), min(xs), max(ys), max(xs)


def _is_pose(values: Sequence[float], points: int | None, *, where: str) -> bool:
    """Whether points follow the box; raises if the line could as well be an outline."""
    count = len(values)
    if points:
        if count not in (5 + points, 6 + points):
            raise ValueError(
                f"{where}: {count} values, but by kpt_shape of data.yaml a line has {5 + points}, "
                "and with a track id one more"
            )
        return True
    marks = set(values[7::3])
    if (count - 5) % 3 == 0 and marks <= {0, 1, 2} and (2 in marks or count % 2 == 0):
        return True  # 2 is no place in a picture, and an even number no outline
    one, two, three, four = np.reshape([*values, 0, 0][1:9], [4, 2])
    # The diagonals of a turned box have the same middle.
    is_box = count == 9 and np.allclose(one + three, two + four, rtol=0, atol=2e-3)
    if points is None and count % 2 and not is_box:
        raise ValueError(
            f"{where}: {count} values may be an outline of {(count - 1) // 2} points, or the box "
            f"and {(count - 5) // 2} points of a pose; say which by a data.yaml with names and "
            f"train: for poses with kpt_shape: [{(count - 5) // 2}, 2], for outlines without"
        )
    return False


def _looks_like_pose(line: Sequence[str]) -> bool:
    """Whether a line looks like a pose: as an outline, its second point is far from the others."""
    try:
        center, size, *rest = np.reshape([float(value) for value in line[1:]], [-1, 2])
    except ValueError:  # no numbers, or no pairs
        return False
    points = np.array([point for point in rest if point.any()])
    if len(points) < len(rest) - 1:
        return True  # several points that are not set, 0 0
    low, high = points.min(axis=0), points.max(axis=0)
    reach = (high - low).max()
    inside = np.abs(points - center) <= 0.55 * size
    return bool(inside.all() and ((size < low - reach) | (size > high + reach)).any())
