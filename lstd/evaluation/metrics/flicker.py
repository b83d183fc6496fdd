"""Flicker: how often a tracked object's detection appears and disappears (`flicker/...`)."""

from collections.abc import Callable, Sequence

import numpy as np

from lstd.base.types import MIN_SCORE
from lstd.evaluation import arrays
from lstd.evaluation.arrays import Flat
from lstd.evaluation.metrics import vid
from lstd.evaluation.metrics.coco import Weighted
from lstd.evaluation.metrics.frame_metric import FrameMetric
from lstd.evaluation.objects import FrameId, Objects


class FlickerMetric(FrameMetric):
    """How unsteady detections are, apart from how good they are.

    An object is found in a frame if a detection of its class of at least `min_score` matches it,
    by the rules of `vid/ap50`. A step is an object that is in frame t and, under the same track id,
    in frame t + 1; it flickers if the object is found in one of them and not in the other. Objects
    that are always found, or never, do not flicker.
    """

    settings = ("min_score",)

    def __init__(self, labels: Sequence[str], *, min_score: float = MIN_SCORE) -> None:
        super().__init__(labels)
        self.min_score = float(min_score)

    def result(self) -> dict[str, float]:
        """Returns the share of steps that flicker, and others to read it by.

        `lost` is the share of the steps that begin found which end lost, `found` that of objects
        found, frame by frame.
        """
        frames, numbers = self.counted()
        return numbers(np.ones(len(frames)))

    def weighted(self) -> Weighted:
        """Returns the numbers by weights, see `lstd.evaluation.bootstrap`."""
        return self.counted()

    def _count(self) -> tuple[list[FrameId], Callable[[np.ndarray], dict[str, float]]]:
        frames = arrays.without_crowds(self.flat())
        found = found_objects(frames, min_score=self.min_score)
        track, time = arrays.tracks(frames)
        order = np.lexsort((time, track))
        one_on = (np.diff(track[order]) == 0) & (np.diff(time[order]) == 1)
        earlier, later = order[:-1][one_on], order[1:][one_on]
        before, changed = found[earlier], found[earlier] != found[later]

        def numbers(weights: np.ndarray) -> dict[str, float]:
            of_object = weights[frames.true_frame]
            of_step = of_object[later]
            return {
                "flicker/rate": _mean(changed, of_step),
                "flicker/lost": _mean(changed[before], of_step[before]),
                "flicker/found": _mean(found, of_object),
            }

        return frames.frames, numbers

    def _check_truth(self, frame: FrameId, true: Objects) -> None:
        vid.require_tracks(frame, true, "flicker follows objects over frames")
        if true.track_ids is None:
            return
        ids = true.track_ids if true.is_crowd is None else true.track_ids[~true.is_crowd]
        if len(np.unique(ids)) < len(ids):
            raise ValueError(
                f"frame {frame}: a track id stands twice, {ids.tolist()}; flicker follows each "
                "object by its own"
            )


def found_objects(frames: Flat, *, min_score: float) -> np.ndarray:
    """Returns whether each true box is found, bool `[M]`, by the rules of `vid/ap50`."""
    true_of = vid.match(frames)
    found = np.zeros(len(frames.true_boxes), bool)
    # Detections choose by falling score: those below cannot take a box from those above.
    found[true_of[(true_of >= 0) & (frames.scores >= min_score)]] = True
    return found


def _mean(values: np.ndarray, weights: np.ndarray) -> float:
    total = weights.sum()
    return float((values * weights).sum() / total) if total else -1.0
