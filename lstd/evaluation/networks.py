"""Which network ran on which frame of a video, as far as somebody said so."""

from __future__ import annotations

from collections.abc import Mapping

from lstd.config import schedule_names
from lstd.evaluation.objects import FrameId, Objects


def network_of(schedule: str, index: int) -> str:
    """Returns "large" or "small" for a frame's number under a fixed schedule.

    Raises:
        ValueError: an unknown schedule, or RANDOM, whose frames only the run knows.
    """
    schedule_names.check(schedule)
    network = schedule_names.network_of(schedule, index)
    if network is None:
        raise ValueError(
            f"schedule {schedule}: which network runs is chance; give each frame's detections "
            "their `network`"
        )
    return network


def networks_of(
    frames: list[FrameId], detections: Mapping[FrameId, Objects], schedule: str | None
) -> dict[FrameId, str]:
    """Returns the network of each frame: what its detections say, else what the schedule says.

    Raises:
        ValueError: neither says it; names the frame.
    """
    result = {}
    for frame in frames:
        network = detections[frame].network if frame in detections else None
        if network is None:
            if schedule is None:
                raise ValueError(
                    f"frame {frame}: which network ran is not known; give its detections their "
                    "`network` ('large' or 'small'), or the metric its schedule"
                )
            network = network_of(schedule, frame[1])
        result[frame] = network
    return result
