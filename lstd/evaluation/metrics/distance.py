"""COCO's AP by how long ago the large network ran (`distance/...`)."""

from collections.abc import Sequence

from lstd.evaluation import arrays, objects
from lstd.evaluation.metrics import coco
from lstd.evaluation.metrics.frame_metric import FrameMetric
from lstd.evaluation.objects import FrameId


class DistanceMetric(FrameMetric):
    """AP by distance to the last large frame: whether the memory fades.

    Distance 0 is a frame that the large network saw, 1 the one after it, and so on. Each distance
    is scored by itself, on its own frames, those from `max_distance` on together. The schedule says
    which network saw which frame, where the detections do not.
    """

    settings = ("schedule", "max_distance")

    def __init__(
        self, labels: Sequence[str], *, schedule: str | None = None, max_distance: int = 20
    ) -> None:
        super().__init__(labels)
        if max_distance < 1:
            raise ValueError(f"max_distance must be at least 1, got {max_distance}")
        if schedule is not None:
            objects.network_of(schedule, 0)
        self.schedule, self.max_distance = schedule, max_distance

    def result(self) -> dict[str, float]:
        """Returns `distance/0/ap`, `distance/0/ap50`, `distance/0/frames`, `distance/1/ap`, ...

        Frames before any large one stand under `distance/none`. `distance/fade_ap50` is AP50 at
        distance 1 less that at the largest distance: what the memory loses on the way; -1 where
        there are not two distances beyond 0 to compare.

        Raises:
            ValueError: no frame was added, or a frame whose network nobody said.
        """
        groups: dict[int, list[FrameId]] = {}
        for frame, distance in self.distances().items():
            groups.setdefault(min(distance, self.max_distance), []).append(frame)
        numbers: dict[str, float] = {}
        for distance in sorted(groups, key=lambda each: (each < 0, each)):
            chosen = {frame: self.ground_truth[frame] for frame in groups[distance]}
            frames = arrays.flatten(chosen, self.detections, by_image=True)
            evaluated = coco.evaluated(frames, num_classes=len(self.labels))
            scores = coco.summary(coco.tables_of(evaluated), prefix="")
            name = f"distance/{'none' if distance < 0 else distance}"
            numbers[f"{name}/ap"], numbers[f"{name}/ap50"] = scores["ap"], scores["ap50"]
            numbers[f"{name}/frames"] = float(len(chosen))
        near = numbers.get("distance/1/ap50", -1.0)
        last = max(groups)
        far = numbers[f"distance/{last}/ap50"] if last > 1 else -1.0
        numbers["distance/fade_ap50"] = near - far if near >= 0 and far >= 0 else -1.0
        return numbers

    def distances(self) -> dict[FrameId, int]:
        """Returns how many frames ago the large network ran; -1: it has not yet in this video."""
        return self.counted()

    def _count(self) -> dict[FrameId, int]:
        ran = objects.networks_of(sorted(self.ground_truth), self.detections, self.schedule)
        last: dict[str, int] = {}
        result = {}
        for (video, index), network in ran.items():
            if network == "large":
                last[video] = index
            result[video, index] = index - last[video] if video in last else -1
        return result
