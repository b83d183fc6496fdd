"""Streaming AP by hand, and its timing against a simulation that goes tick by tick."""

import random
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from lstd.evaluation import CocoMetric, StreamingMetric
from lstd.evaluation.metrics.streaming import Mode, shown_at

LABELS = ("cat",)


def truth(place: float) -> dict[str, Any]:
    return {"boxes": [[0, place, 50, place + 50]], "classes": [0]}


def found(place: float, *, network: str | None = None, score: float = 0.9) -> dict[str, Any]:
    return {**truth(place), "scores": [score], "network": network}


def moving(metric: Any, frames: int = 10, *, speed: float = 100.0, video: str = "v") -> Any:
    """Adds frames of an object that moves too fast for yesterday's box to fit."""
    for index in range(frames):
        metric.add((video, index), truth(index * speed), found(index * speed))
    return metric


def test_network_without_latency_is_plain_coco() -> None:
    streamed = moving(StreamingMetric(LABELS, 0.0, 30)).result()
    plain = moving(CocoMetric(LABELS)).result()

    for name in ("ap", "ap50", "ap75", "ap_medium", "ar1", "ar100"):
        assert streamed[f"sap/{name}"] == plain[f"coco/{name}"]
    assert (streamed["sap/missed"], streamed["sap/in_time"]) == (0.0, 1.0)
    assert streamed["sap/lag_frames"] == 0.0


def test_output_of_exactly_one_frame_counts_at_the_next() -> None:
    # 0.1 + 0.2 > 0.3 in floats, but not in time.
    metric = moving(StreamingMetric(LABELS, 100.0, 10))

    assert [source and source[1] for source in metric.shown().values()] == [None, *range(9)]
    assert metric.result()["sap/ap"] == 0.0  # always the place before
    assert metric.result()["sap/missed"] == pytest.approx(0.1)
    assert metric.result()["sap/lag_frames"] == 1.0
    assert metric.result()["sap/in_time"] == 0.0


def test_slow_worker_skips_to_the_newest_frame() -> None:
    # 250 ms at 10 frames a second: starts 0 at 0, done 250; takes 2, done 500; takes 5, done 750.
    shown = shown_at(range(9), [250.0] * 9, ["one"] * 9, fps=10)

    assert shown == [None, None, None, 0, 0, 2, 2, 2, 5]


def test_worker_waits_for_a_frame_it_has_not_seen() -> None:
    # 40 ms at 10: done at 0.04, idle until 0.1.
    assert shown_at(range(4), [40.0] * 4, ["one"] * 4, fps=10) == [None, 0, 1, 2]


def test_schedule_decides_how_long_each_frame_takes() -> None:
    # SKIP2 at 10 frames a second: large (150 ms) on 0, 3, ..., small (50 ms) between.
    metric = StreamingMetric(LABELS, {"large": 150, "small": 50}, 10, schedule="SKIP2")
    moving(metric, 6)

    # 0 done at .15, then 1 (small) at .2; 2 at .25; 3 (large) at .45; 4 at .5; 5 at .55.
    assert [source and source[1] for source in metric.shown().values()] == [None, None, 1, 2, 2, 4]


def test_large_network_aside_does_not_hold_up_the_small_one() -> None:
    latencies = {"large": 250, "small": 50}
    together, aside = (
        moving(StreamingMetric(LABELS, latencies, 10, schedule="SKIP4", mode=mode), 5).shown()
        for mode in ("synchronous", "asynchronous")
    )

    # One worker is busy with frame 0 until .25, then takes 2, done at .3.
    assert [source and source[1] for source in together.values()] == [None, None, None, 2, 3]
    # With its own worker, frame 0's late output never replaces newer ones.
    assert [source and source[1] for source in aside.values()] == [None, None, 1, 2, 3]


def test_detections_tell_their_network() -> None:
    metric = StreamingMetric(LABELS, {"large": 150, "small": 0}, 10)
    for index, network in enumerate(["small", "large", "small"]):
        metric.add(("v", index), truth(0), found(0, network=network))

    assert list(metric.shown().values()) == [("v", 0), ("v", 0), ("v", 0)]


def test_each_video_starts_with_nothing_and_an_idle_worker() -> None:
    metric = moving(StreamingMetric(LABELS, 150.0, 10), 2)
    moving(metric, 3, video="w")

    assert metric.shown()["v", 1] is None
    assert metric.shown()["w", 0] is metric.shown()["w", 1] is None
    assert metric.shown()["w", 2] == ("w", 0)


def test_measured_latencies_are_drawn_the_same_way_each_time() -> None:
    measured = [20.0, 60.0, 140.0]
    one, two = (moving(StreamingMetric(LABELS, measured, 10, seed=3), 40) for _ in range(2))
    other = moving(StreamingMetric(LABELS, measured, 10, seed=4), 40)

    assert one.shown() == two.shown()
    assert one.shown() != other.shown()
    assert 0 < one.result()["sap/lag_frames"] < 3


@pytest.mark.parametrize("block", range(4))
def test_random_streams_equal_a_simulation_tick_by_tick(block: int) -> None:
    for seed in range(block * 120, block * 120 + 120):  # 480 videos
        rng = random.Random(seed)
        fps = rng.choice([10, 25, 30])
        count = rng.randint(1, 25)
        names = [rng.choice(["large", "small"]) for _ in range(count)]
        mode: Mode = rng.choice(["synchronous", "asynchronous"])
        # Whole and half frames too, where something ends just when a frame comes.
        exact = Fraction(1000, fps)
        latency = {
            name: rng.choice([exact, exact / 2, 2 * exact, Fraction(rng.randint(0, 200))])
            for name in ("large", "small")
        }
        start, gaps = rng.choice([0, 3]), rng.random() < 0.3
        indices, index = [], start
        for _ in range(count):
            indices.append(index)
            index += rng.choice([1, 1, 3]) if gaps else 1
        metric = StreamingMetric(
            LABELS, {name: float(value) for name, value in latency.items()}, fps, mode=mode
        )
        for place, index in enumerate(indices):
            metric.add(("v", index), truth(0), found(place, network=names[place]))

        expected = ticked(indices, names, latency, fps=fps, mode=mode)

        assert [source and source[1] for source in metric.shown().values()] == expected


def ticked(
    indices: list[int], names: list[str], latency_ms: dict[str, Fraction], *, fps: int, mode: str
) -> list[int | None]:
    """Returns what each frame shows, in exact fractions, event by event."""
    arrivals = [Fraction(index, fps) for index in indices]
    workers = {"large": ["large"], "small": ["small"]}
    if mode == "synchronous":
        workers = {"one": ["large", "small"]}
    done: list[tuple[Fraction, int]] = []
    for mine in workers.values():
        now, seen = Fraction(-1), -1
        while True:
            waiting = [
                place
                for place, arrival in enumerate(arrivals)
                if names[place] in mine and place > seen
            ]
            if not waiting:
                break
            here = [place for place in waiting if arrivals[place] <= now]
            if not here:  # idle until the next one comes
                now = arrivals[waiting[0]]
                continue
            seen = here[-1]
            now += latency_ms[names[seen]] / 1000
            done.append((now, seen))
    shown: list[int | None] = []
    for arrival in arrivals:
        ready = [place for finished, place in done if finished <= arrival]
        shown.append(indices[max(ready)] if ready else None)
    return shown


def test_random_streams_score_as_coco_of_what_they_show() -> None:
    rng = np.random.default_rng(0)
    metric = StreamingMetric(LABELS, {"large": [90, 210], "small": [20, 40]}, 30, schedule="SKIP3")
    truths, detections = {}, {}
    for index in range(60):
        boxes = rng.uniform(0, 100, (3, 2))
        boxes = np.concatenate([boxes, boxes + rng.uniform(20, 90, (3, 2))], axis=1)
        truths[index] = {"boxes": boxes, "classes": [0, 0, 0]}
        detections[index] = {"boxes": boxes + 2, "classes": [0, 0, 0], "scores": rng.random(3)}
        metric.add(("v", index), truths[index], detections[index])
    plain = CocoMetric(LABELS, per_class=False)
    for (video, index), source in metric.shown().items():
        plain.add((video, index), truths[index], source and detections[source[1]])

    expected = {f"sap/{name[5:]}": value for name, value in plain.result().items()}

    assert {name: metric.result()[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((LABELS, -1.0, 30), "latencies of large: expected milliseconds of at least 0, got -1.0"),
        ((LABELS, float("nan"), 30), "of large: expected milliseconds of at least 0, got nan"),
        ((LABELS, {"small": []}, 30), r"latencies of small: expected milliseconds of .* got \[\]"),
        ((LABELS, {"small": "fast"}, 30), "of at least 0, got 'fast'"),
        ((LABELS, {"medium": 3}, 30), "expected 'large' or 'small', got 'medium'"),
        ((LABELS, {}, 30), "latencies: there is none"),
        ((LABELS, 5.0, 0), "fps must be above 0, got 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StreamingMetric(*arguments)


def test_unknown_networks_and_modes_are_refused() -> None:
    both = {"large": 50, "small": 5}
    with pytest.raises(ValueError, match="mode must be 'synchronous' or 'asynchronous'"):
        StreamingMetric(LABELS, both, 30, mode="parallel")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="schedule RANDOM: which network runs is chance"):
        StreamingMetric(LABELS, both, 30, schedule="RANDOM")
    with pytest.raises(ValueError, match=r"frame \('v', 0\): which network ran is not known"):
        moving(StreamingMetric(LABELS, both, 30)).result()
    metric = StreamingMetric(LABELS, 50.0, 30)
    metric.add(("v", 0), truth(0), found(0, network="small"))
    with pytest.raises(ValueError, match="the small network, whose latency is not given"):
        metric.result()
    with pytest.raises(ValueError, match="StreamingMetric has no frames"):
        StreamingMetric(LABELS, 5.0, 30).result()
