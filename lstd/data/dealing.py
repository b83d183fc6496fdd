"""Deals shuffled videos to the lanes that walk through them."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, TypeVar

import numpy as np

_Item = TypeVar("_Item")


class Shuffle(NamedTuple):
    """How videos are shuffled, and independent clips.

    Attributes:
        by: buffer: each video leaves a buffer at random; shards: so, with the files in random
            order; videos: all of them in random order.
        buffer: videos that it holds; 0: none is held.
        clips: clips that are held, to be given out at random.
    """

    by: Literal["buffer", "shards", "videos"] = "buffer"
    buffer: int = 0
    clips: int = 0


class Dealer:
    """Deals shuffled videos, never one that is being walked while there is one that is not."""

    def __init__(
        self, shards: Sequence[str], *, shuffle: Shuffle, rng: np.random.Generator
    ) -> None:
        """Starts with no lane walking; `shards` names the file of each video."""
        self._walking = collections.Counter(dict.fromkeys(range(len(shards)), 0))
        self._pending: list[int] = []
        self._shuffle = shuffle
        self._shards: dict[str, list[int]] = {}
        for video, shard in enumerate(shards):
            self._shards.setdefault(shard, []).append(video)
        self._rng = rng

    def deal(self, *, previous: int | None) -> int:
        """Returns the number of the video that follows `previous` in its lane."""
        if previous is not None:
            self._walking[previous] -= 1
        least = min(self._walking.values())
        while True:
            for place, video in enumerate(self._pending):
                if self._walking[video] == least:
                    self._walking[video] += 1
                    return self._pending.pop(place)
            self._pending.extend(self._epoch())

    def _epoch(self) -> Iterator[int]:
        """Yields every video once; each leaves a buffer of videos at random."""
        if self._shuffle.by == "videos":
            yield from self._rng.permutation(len(self._walking)).tolist()
            return
        shards = list(self._shards.values())
        if self._shuffle.by == "shards":
            shards = [shards[place] for place in self._rng.permutation(len(shards))]
        order = itertools.chain.from_iterable(shards)
        yield from mixed(order, held=self._shuffle.buffer, rng=self._rng)


def mixed(items: Iterable[_Item], *, held: int, rng: np.random.Generator) -> Iterator[_Item]:
    """Yields the items in another order: so many are held, of which a random one goes next."""
    holding: list[_Item] = []
    for item in items:
        holding.append(item)
        if len(holding) > held:
            yield holding.pop(rng.integers(len(holding) - 1) if held else 0)
    for place in rng.permutation(len(holding)):
        yield holding[place]
