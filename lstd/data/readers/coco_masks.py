"""The box around a COCO mask: polygons, or runs of pixels (RLE), plain or compressed.

Source: `common/maskApi.c` of https://github.com/cocodataset/cocoapi (`rleFrString`, `rleToBbox`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lstd.base import limits

Box = tuple[float, float, float, float]


def box_of(segmentation: Any) -> Box | None:
    """Returns x, y, width, height of a mask in pixels; None if it is empty.

    Args:
        segmentation: a list of polygons x, y, x, y, ...; or `counts` and `size`, height and width.

    Raises:
        ValueError: it is neither; the message says what is wrong with it.
    """
    if not segmentation:
        return None
    if isinstance(segmentation, Mapping):
        return _of_runs(segmentation)
    if not isinstance(segmentation, Sequence) or isinstance(segmentation, str):
        raise ValueError("expected polygons, or counts and size")
    polygons = [segmentation] if isinstance(segmentation[0], int | float) else segmentation
    try:
        points = np.concatenate([np.array(one, np.float64).reshape(-1, 2) for one in polygons])
    except (TypeError, ValueError):
        raise ValueError("expected lists of x, y, x, y, ...") from None
    if not len(points):
        return None
    low, high = points.min(axis=0), points.max(axis=0)
    return float(low[0]), float(low[1]), *(high - low).tolist()


def _of_runs(said: Mapping[str, Any]) -> Box | None:
    """Runs go down the columns, and are by turns outside and inside the mask."""
    counts = said.get("counts")
    try:
        height, width = (int(side) for side in said.get("size") or ())
        runs = np.array(_decompressed(counts) if isinstance(counts, str) else counts, np.int64)
        if (
            runs.ndim != 1
            or (runs < 0).any()
            or not 0 < runs.sum() == height * width <= limits.PIXELS
        ):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise ValueError("its counts are no runs of pixels that fill its size") from None
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height)
    columns, rows = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    if not len(columns):
        return None
    left, top = float(columns[0]), float(rows[0])
    return left, top, float(columns[-1] + 1 - left), float(rows[-1] + 1 - top)


def _decompressed(text: str) -> list[int]:
    """Returns the runs: five bits a character, differences to the run before the last."""
    runs: list[int] = []
    value = shift = 0
    for character in text.encode("ascii"):
        bits = character - 48
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return runs
