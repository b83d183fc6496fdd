"""Flicker: how often a tracked object's detection appears and disappears (`flicker/...`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lstd.evaluation.arrays import Flat
from lstd.evaluation.metrics import vid
from lstd.evaluation.metrics.frame_metric import FrameMetric
from lstd.evaluation.objects import FrameId, Objects


class Steps(NamedTuple):
    """From one frame to the next, each object that is in both, S steps.

    Attributes:
        frame: int64 `[S]`, the place of the later frame in `Flat.frames`.
        before: bool `[S]`, whether the object was found in the earlier frame.
        after: bool `[S]`, whether in the later one.
    """

    frame: np.ndarray
    before: np.ndarray
    after: np.ndarray


class FlickerMetric(FrameMetric):
    """How unsteady detections are, apart from how good they are.

    An object is found in a frame if a detection of its class of at least `min_score` matches it,
    by the rules of `vid/ap50`. A step is an object that is in frame t and, under the same track id,
    in frame t + 1; it flickers if the object is found in one of them and not in the other. Objects
    that are always found, or never, do not flicker.

    Args:
        labels: the names of the classes in order.
        min_score: detections below it are not shown, so do not count.
    """

    def __init__(self, labels: Sequence[str], *, min_score: float = 0.5) -> None:
        super().__init__(labels)
        self.min_score = float(min_score)

    def result(self) -> dict[str, float]:
        """Returns the numbers.

        `flicker/rate`: of all steps, the share that flickers. `flicker/lost`: of the steps that
        begin found, the share that end lost. `flicker/found`: the share of objects found, frame by
        frame, to read the others by. -1 where there is nothing to measure.

        Raises:
            ValueError: no frame was added.
        """
        frames = self.flat()
        found = found_objects(frames, min_score=self.min_score)
        steps = steps_of(frames, found)
        changed = steps.before != steps.after
        return {
            "flicker/rate": _mean(changed),
            "flicker/lost": _mean(changed[steps.before]),
            "flicker/found": _mean(found),
        }

    def _check_truth(self, frame: FrameId, true: Objects) -> None:
        vid.require_tracks(frame, true, "flicker follows objects over frames")
        if true.track_ids is not None and len(np.unique(true.track_ids)) < len(true.track_ids):
            raise ValueError(
                f"frame {frame}: a track id stands twice, {true.track_ids.tolist()}; flicker "
                "follows each object by its own"
            )

    def _settings(self) -> Mapping[str, object]:
        return {"min_score": self.min_score}


def found_objects(frames: Flat, *, min_score: float) -> np.ndarray:
    """Returns whether each true box is found, bool `[M]`."""
    outcomes = vid.outcomes_of(frames, np.ones((1, len(frames.true_boxes)), bool))
    # Detections choose by falling score: those below cannot take a box from those above.
    taken = outcomes.true_of[(outcomes.true_of >= 0) & (frames.scores >= min_score)]
    found = np.zeros(len(frames.true_boxes), bool)
    found[taken] = True
    return found


def steps_of(frames: Flat, found: np.ndarray) -> Steps:
    """Returns the steps of all tracks; frames that are not there make none."""
    videos = np.unique([video for video, _ in frames.frames], return_inverse=True)[1]
    numbers = np.array([number for _, number in frames.frames], np.int64)
    video, time = videos[frames.true_frame], numbers[frames.true_frame]
    order = np.lexsort((time, frames.track_ids, video))
    earlier, later = order[:-1], order[1:]
    one_on = (
        (video[earlier] == video[later])
        & (frames.track_ids[earlier] == frames.track_ids[later])
        & (time[later] == time[earlier] + 1)
    )
    earlier, later = earlier[one_on], later[one_on]
    return Steps(frames.true_frame[later], found[earlier], found[later])


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else -1.0
