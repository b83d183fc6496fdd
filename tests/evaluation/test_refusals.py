"""What is refused rather than guessed, by every metric, in one sentence; nothing changes then."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lstd.evaluation.metrics import by_name

LABELS = ("cat", "dog")
BOX = [10.0, 20.0, 50.0, 80.0]
FRAME = ("video 7", 12)


def truth(box: list[float] = BOX, label: int = 0, **more: Any) -> dict[str, Any]:
    return {"boxes": [box], "classes": [label], "track_ids": [3], **more}


def found(box: list[float] = BOX, label: int = 0, score: float = 0.9) -> dict[str, Any]:
    return {"boxes": [box], "classes": [label], "scores": [score], "network": "large"}


@pytest.fixture(params=by_name.NAMES)
def metric(request: pytest.FixtureRequest) -> Any:
    """One of all metrics, with a frame."""
    made = by_name.factory(request.param, latencies=5.0, fps=30)(LABELS)
    made.add(("video 7", 11), truth(), found())
    return made


@pytest.mark.parametrize(
    ("frame", "true", "detections", "message"),
    [
        (FRAME, None, found(), "frame ('video 7', 12) is unknown: it has no ground truth"),
        (
            FRAME,
            truth(),
            found(label=-1),
            "frame ('video 7', 12): detection 0 has class -1, outside 0 ... 1",
        ),
        (
            FRAME,
            truth(),
            found(score=float("nan")),
            "frame ('video 7', 12): detection scores are not finite",
        ),
    ],
)
def test_frames_that_cannot_be_are_refused_and_change_nothing(
    metric: Any, frame: tuple[str, int], true: Any, detections: Any, message: str
) -> None:
    before = metric.result()

    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        metric.add(frame, true, detections)

    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert metric.result() == before
    assert len(metric) == 1


@pytest.mark.parametrize("name", by_name.NAMES)
def test_data_set_without_frames_is_refused(name: str) -> None:
    metric = by_name.factory(name, latencies=5.0, fps=30)(LABELS)

    with pytest.raises(ValueError, match=r"has no frames: the data set is empty, or nothing was"):
        metric.result()


@pytest.mark.parametrize(
    ("name", "why"),
    [("vid", "the motion split needs them"), ("flicker", "flicker follows objects over frames")],
)
def test_missing_track_ids_are_refused_where_they_are_needed(name: str, why: str) -> None:
    metric = by_name.factory(name)(LABELS)

    with pytest.raises(
        ValueError, match=rf"\('video 7', 12\): the ground truth has no track_ids; {why}"
    ):
        metric.add(FRAME, truth(track_ids=None), found())
    with pytest.raises(ValueError, match=r"ground truth 0 has track id -1, which means unknown"):
        metric.add(FRAME, truth(track_ids=[-1]), found())
    metric.add(FRAME, {"boxes": np.zeros((0, 4)), "classes": []}, found())  # nothing to follow
    assert len(metric) == 1


@pytest.mark.parametrize("name", sorted(set(by_name.NAMES) - {"vid", "flicker"}))
def test_other_metrics_do_without_track_ids(name: str) -> None:
    metric = by_name.factory(name, latencies=5.0, fps=30)(LABELS)

    metric.add(FRAME, truth(track_ids=None), found())

    assert max(metric.result().values()) == pytest.approx(1.0)
