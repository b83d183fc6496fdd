"""Streaming AP: at every frame the newest output counts that is finished by then (`sap/...`)."""

import zlib
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Literal

import numpy as np

from lstd.evaluation import arrays, objects
from lstd.evaluation.arrays import Flat
from lstd.evaluation.metrics import coco
from lstd.evaluation.metrics.frame_metric import FrameMetric
from lstd.evaluation.objects import FrameId

Mode = Literal["synchronous", "asynchronous"]
Latencies = Mapping[str, float | Sequence[float]] | float | Sequence[float]

_AT_ONCE_S = 1e-9  # what is finished so much after t is finished by t: sums of floats are not exact


class StreamingMetric(FrameMetric):
    """COCO's metrics with the time that the networks take, which is simulated, not spent.

    Frame i of a video comes at i / fps. A worker that is free takes the newest frame that it has
    not seen, and is done when the network's latency is over; frames that came in between it never
    sees. At frame i the output of the newest frame counts that is done by then.

    Args:
        labels: the names of the classes in order.
        latencies: milliseconds by network, {"large": 52.1, "small": [6.9, 7.2, 8.8]}: a number, or
            measured ones to draw from. Without names: of the large network.
        fps: frames a second.
        mode: "synchronous": one worker runs both networks, each frame the one that its schedule
            chose. "asynchronous": each network has a worker of its own.
        schedule: which network sees which frame, where the detections do not say it; None: they
            must, unless there is one network only.
        seed: of drawing latencies; the same frame of the same video gets the same one.

    Source: Li, Wang and Ramanan, Towards Streaming Perception, ECCV 2020.
    """

    settings = ("latencies", "fps", "mode", "schedule", "seed")

    def __init__(
        self,
        labels: Sequence[str],
        latencies: Latencies,
        fps: float,
        *,
        mode: Mode = "synchronous",
        schedule: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(labels)
        self.latencies = latency_table(latencies)
        if not np.isfinite(fps) or fps <= 0:
            raise ValueError(f"fps must be above 0, got {fps}")
        if mode not in ("synchronous", "asynchronous"):
            raise ValueError(f"mode must be 'synchronous' or 'asynchronous', got {mode!r}")
        if schedule is not None:
            objects.network_of(schedule, 0)
        self.fps, self.mode, self.seed = float(fps), mode, seed
        if schedule is None and len(self.latencies) == 1:
            schedule = {"large": "LARGE", "small": "SMALL"}[next(iter(self.latencies))]
        self.schedule = schedule

    def result(self) -> dict[str, float]:
        """Returns COCO's twelve as `sap/ap`, ..., and the timing.

        `missed` is the share of frames without any output yet, `in_time` of those that show their
        own; `lag_frames` is the mean age of what is shown, in frames (-1 where nothing is).
        """
        evaluated = coco.evaluated(self._streamed(), num_classes=len(self.labels))
        numbers = coco.summary(coco.tables_of(evaluated), prefix="sap/")
        shown = self.shown()
        lags = [frame[1] - source[1] for frame, source in shown.items() if source is not None]
        return {
            **numbers,
            "sap/missed": 1 - len(lags) / len(shown),
            "sap/in_time": sum(lag == 0 for lag in lags) / len(shown),
            "sap/lag_frames": float(np.mean(lags)) if lags else -1.0,
        }

    def shown(self) -> dict[FrameId, FrameId | None]:
        """Returns which frame's output each frame shows; None: there is none yet."""
        return self.counted()

    def weighted(self) -> coco.Weighted:
        """Returns COCO's numbers by weights, see `lstd.evaluation.bootstrap`."""
        return coco.weighted(self._streamed(), num_classes=len(self.labels), prefix="sap/")

    def _streamed(self) -> Flat:
        shown = {
            frame: self.detections[source]
            for frame, source in self.shown().items()
            if source is not None and source in self.detections
        }
        return arrays.flatten(self.ground_truth, shown, by_image=True)

    def _count(self) -> dict[FrameId, FrameId | None]:
        shown: dict[FrameId, FrameId | None] = {}
        ordered = sorted(self.ground_truth)
        network_of = objects.networks_of(ordered, self.detections, self.schedule)
        for video, group in groupby(ordered, key=lambda frame: frame[0]):
            frames = list(group)
            ran = [network_of[frame] for frame in frames]
            latencies_ms = [self._latency(*each) for each in zip(frames, ran, strict=True)]
            # A baseline has to wait for the large network, whose boxes it moves.
            workers = [
                "one"
                if self.mode == "synchronous"
                else network.replace(objects.NO_NETWORK, "large")
                for network in ran
            ]
            sources = shown_at([index for _, index in frames], latencies_ms, workers, fps=self.fps)
            for frame, source in zip(frames, sources, strict=True):
                shown[frame] = None if source is None else (video, source)
        return shown

    def _latency(self, frame: FrameId, network: str) -> float:
        if network == objects.NO_NETWORK:
            return 0.0
        if network not in self.latencies:
            raise ValueError(
                f"frame {frame} was seen by the {network} network, whose latency is not given; "
                f"there is {', '.join(self.latencies)}"
            )
        measured = self.latencies[network]
        if len(measured) == 1:
            return measured[0]
        seed = (self.seed, zlib.crc32(frame[0].encode()), frame[1])
        return measured[int(np.random.default_rng(seed).integers(len(measured)))]


def shown_at(
    indices: Sequence[int],
    latencies_ms: Sequence[float],
    workers: Sequence[str],
    *,
    fps: float,
) -> list[int | None]:
    """Returns for each frame of a video the index of the frame whose output it shows, or None.

    The indices rise; frame i comes at i / fps. An output takes its latency, if the frame is taken
    up, which its worker decides; each worker works for itself.
    """
    times = np.asarray(indices) / fps
    done: list[tuple[float, int]] = []  # when, and which frame
    for worker in dict.fromkeys(workers):
        mine = [place for place, name in enumerate(workers) if name == worker]
        own, free, row = times[mine], -np.inf, 0
        while row < len(mine):
            start = max(free, own[row])
            row = int(np.searchsorted(own, start + _AT_ONCE_S, side="right"))  # the newest
            free = start + latencies_ms[mine[row - 1]] / 1000
            done.append((free, mine[row - 1]))
    done.sort()
    shown: list[int | None] = []
    newest, heard = -1, 0
    for time in times:
        while heard < len(done) and done[heard][0] <= time + _AT_ONCE_S:
            newest = max(newest, done[heard][1])
            heard += 1
        shown.append(indices[newest] if newest >= 0 else None)
    return shown


def latency_table(latencies: Latencies) -> dict[str, tuple[float, ...]]:
    """Returns milliseconds by network.

    Raises:
        ValueError: a name that is no network, or what is no number, negative or not finite.
    """
    named = latencies if isinstance(latencies, Mapping) else {"large": latencies}
    if not named:
        raise ValueError("latencies: there is none; expected milliseconds by network")
    table = {}
    for network, values in named.items():
        if network not in ("large", "small"):
            raise ValueError(f"latencies: expected 'large' or 'small', got {network!r}")
        try:
            measured = np.atleast_1d(np.asarray(values, np.float64))
        except (TypeError, ValueError):
            measured = np.zeros(0)
        times = np.isfinite(measured) & (measured >= 0)
        if measured.ndim != 1 or not measured.size or not times.all():
            raise ValueError(
                f"latencies of {network}: expected milliseconds of at least 0, got {values!r}"
            )
        table[network] = tuple(measured.tolist())
    return table
