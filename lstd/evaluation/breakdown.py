"""COCO's AP in parts: by the size of boxes, and by how long ago the large network ran."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from lstd.evaluation import coco, flat, networks
from lstd.evaluation.accumulator import FrameMetric
from lstd.evaluation.frames import FrameId

SIDES_PX = (16.0, 32.0, 64.0, 96.0, 128.0, 256.0)
_ALL = (0.0, 1e10)


class SizeMetric(FrameMetric):
    """AP by box size, finer than COCO's three areas.

    Works as COCO's areas do: true boxes outside of a size are ignored, and so are detections of
    another size that found none.

    Args:
        labels: the names of the classes in order.
        sides_px: where sizes part, as the side of a square of the same area, rising.

    Raises:
        ValueError: `sides_px` do not rise, or are not above 0.
    """

    def __init__(self, labels: Sequence[str], sides_px: Sequence[float] = SIDES_PX) -> None:
        super().__init__(labels)
        self.sides_px = tuple(map(float, sides_px))
        rising = all(a < b for a, b in zip((0.0, *self.sides_px), self.sides_px, strict=False))
        if not self.sides_px or not rising:
            raise ValueError(f"sides_px must be above 0 and rise, got {self.sides_px}")

    def result(self) -> dict[str, float]:
        """Returns `size/0-16/ap`, `size/0-16/ap50`, ... `size/256-/ap50`; pixels of a side.

        Raises:
            ValueError: no frame was added.
        """
        edges = (0.0, *(side**2 for side in self.sides_px), _ALL[1])
        areas = list(itertools.pairwise(edges))
        tables = coco.coco_tables(
            self.flat(by_image=True),
            num_classes=len(self.labels),
            areas_px=(_ALL, *areas),
        )
        names = ["0", *(f"{side:g}" for side in self.sides_px), ""]
        numbers = {}
        for number in range(len(areas)):
            precision = tables.precision[..., number + 1, -1]
            name = f"size/{names[number]}-{names[number + 1]}"
            numbers[f"{name}/ap"] = coco.mean_of_measured(precision)
            numbers[f"{name}/ap50"] = coco.mean_of_measured(precision[0])
        return numbers

    def _settings(self) -> Mapping[str, object]:
        return {"sides_px": self.sides_px}


class DistanceMetric(FrameMetric):
    """AP by distance to the last large frame: whether the memory fades.

    Distance 0 is a frame that the large network saw, 1 the one after it, and so on. Each distance
    is scored by itself, on its own frames.

    Args:
        labels: the names of the classes in order.
        schedule: which network saw which frame, where the detections do not say it.
        max_distance: frames farther away are scored together with those at this distance.

    Raises:
        ValueError: `max_distance` below 1, an unknown schedule.
    """

    def __init__(
        self, labels: Sequence[str], *, schedule: str | None = None, max_distance: int = 20
    ) -> None:
        super().__init__(labels)
        if max_distance < 1:
            raise ValueError(f"max_distance must be at least 1, got {max_distance}")
        if schedule is not None:
            networks.network_of(schedule, 0)
        self.schedule, self.max_distance = schedule, max_distance

    def result(self) -> dict[str, float]:
        """Returns `distance/0/ap`, `distance/0/ap50`, `distance/0/frames`, `distance/1/ap`, ...

        Frames before any large one stand under `distance/none`. `distance/fade_ap50` is AP50 at
        distance 1 less that at the largest distance: what the memory loses on the way; -1 where
        there are not two distances beyond 0 to compare.

        Raises:
            ValueError: no frame was added, or a frame whose network nobody said.
        """
        self._refuse_nothing()
        groups: dict[int, list[FrameId]] = {}
        for frame, distance in self.distances().items():
            groups.setdefault(min(distance, self.max_distance), []).append(frame)
        numbers: dict[str, float] = {}
        for distance in sorted(groups, key=lambda each: (each < 0, each)):
            chosen = {frame: self._ground_truth[frame] for frame in groups[distance]}
            frames = flat.flatten(chosen, self._detections, by_image=True)
            ap, ap50 = coco.average_precisions(frames, num_classes=len(self.labels))
            name = "none" if distance < 0 else f"{distance}"
            numbers[f"distance/{name}/ap"] = ap
            numbers[f"distance/{name}/ap50"] = ap50
            numbers[f"distance/{name}/frames"] = float(len(chosen))
        near = numbers.get("distance/1/ap50", -1.0)
        last = max(groups)
        far = numbers[f"distance/{last}/ap50"] if last > 1 else -1.0
        numbers["distance/fade_ap50"] = near - far if near >= 0 and far >= 0 else -1.0
        return numbers

    def distances(self) -> dict[FrameId, int]:
        """Returns how many frames ago the large network ran; -1: it has not yet in this video."""
        ordered = sorted(self._ground_truth)
        network_of = networks.networks_of(ordered, self._detections, self.schedule)
        last: dict[str, int] = {}
        result = {}
        for frame in ordered:
            video, index = frame
            if network_of[frame] == "large":
                last[video] = index
            result[frame] = index - last[video] if video in last else -1
        return result

    def _settings(self) -> Mapping[str, object]:
        return {"schedule": self.schedule, "max_distance": self.max_distance}
