"""Divides a data set by video: no video is in two parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lstd.data.sources import SourceVideo


def parse_parts(texts: Sequence[str]) -> dict[str, float]:
    """Returns the shares of the parts from texts such as `train=0.8`.

    Raises:
        ValueError: another form, a name that no folder may have, a share that is not above 0, fewer
            than two parts, or shares that do not add up to 1.
    """
    parts: dict[str, float] = {}
    for text in texts:
        name, _, share = text.partition("=")
        try:
            parts[name.strip()] = float(share)
        except ValueError:
            raise ValueError(f"{text!r} is not part=share, such as train=0.8") from None
    sound = all(n and n[0] != "." and not {*"/\\"} & {*n} and s > 0 for n, s in parts.items())
    if not sound or len(parts) < 2 or abs(sum(parts.values()) - 1) > 1e-6:
        raise ValueError(
            "parts must be at least two, by names for folders, with shares above 0 that add up to "
            f"1, such as train=0.8,val=0.2; got {','.join(texts)}"
        )
    return parts


def split(
    videos: Sequence[SourceVideo], parts: Mapping[str, float], *, seed: int
) -> dict[str, list[str]]:
    """Returns the names of the videos in each part, in the order of the data set.

    The videos are shuffled, and each goes to the part that lacks most of its share of the frames.
    Videos of one name stay together. Every part gets at least one video.

    Args:
        videos: of the data set.
        parts: name -> share of the frames.
        seed: of the shuffle.

    Raises:
        ValueError: fewer videos than parts.
    """
    frames: dict[str, int] = {}
    for video in videos:
        frames[video.name] = frames.get(video.name, 0) + video.num_frames
    names = list(frames)
    if len(names) < len(parts):
        raise ValueError(
            f"there are {len(names)} videos for {len(parts)} parts, and a video is never cut: "
            "frames of one video in two parts would let a detector be scored on what it has seen"
        )
    total = max(1, sum(frames.values()))
    held = dict.fromkeys(parts, 0)
    chosen: dict[str, set[str]] = {part: set() for part in parts}
    for place, number in enumerate(np.random.default_rng(seed).permutation(len(names))):
        empty = [part for part in parts if not chosen[part]]
        must = len(names) - place <= len(empty)  # as many videos left as parts without any
        part = max(empty if must else parts, key=lambda p: parts[p] - held[p] / total)
        chosen[part].add(names[number])
        held[part] += frames[names[number]]
    return {part: [name for name in names if name in chosen[part]] for part in parts}
