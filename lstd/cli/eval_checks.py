"""What `lstd-eval` refuses as soon as data and models are known, before a network runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from absl import flags

from lstd import schedule_names
from lstd.cli.eval_options import Options

if TYPE_CHECKING:
    from lstd.config import Config
    from lstd.data.pipeline import Split

_NEED_TRACKS = {"vid": "; vid_ap50 does without", "flicker": ""}


def check_data(split: Split, config: Config, values: flags.FlagValues, options: Options) -> None:
    """Raises where the data is not fit for what is asked.

    Raises:
        ValueError: metrics without the tracks that they need, a video of several lanes, or no
            frame rate for the blocks of few videos that two models are compared on.
    """
    if not split.videos[0].has_tracks:  # by which the pipeline decides, too
        for name, instead in _NEED_TRACKS.items():
            if name in options.metrics:
                raise ValueError(
                    f"--metrics: {name} needs track ids, which the data has not{instead}"
                )
    lanes = config.data.evaluation.batch_size
    if values.video and lanes > 1 and len(split.videos) > 1:
        raise ValueError(
            f"--video: data.evaluation.batch_size is {lanes}, so the videos would come in turns; "
            "add --set data.evaluation.batch_size=1"
        )
    if values.against and options.fps is None:
        from lstd.evaluation import bootstrap

        bootstrap.units_of(
            [(video.name, 0) for video in split.videos], fps=None
        )  # says what it needs


def check_latencies(
    schedules: Sequence[str], networks: Sequence[str], latencies: dict[str, Any] | None
) -> None:
    """Raises where a network runs whose latency is not given.

    Args:
        schedules: that will be evaluated.
        networks: that the model has.
        latencies: milliseconds by network; None: sap is not asked for.

    Raises:
        ValueError: names the schedule and the network.
    """
    if latencies is None:
        return
    for schedule in schedules:
        for network in _networks_of(schedule, networks):
            if network not in latencies:
                raise ValueError(
                    f"--latency: {schedule} runs the {network} network, whose latency is not "
                    f"given; there is {', '.join(latencies)}"
                )


def check_classes(labels: Sequence[str], other: Sequence[str]) -> None:
    """Refuses two models that do not have the same classes.

    Raises:
        ValueError: shows the classes of both.
    """
    if tuple(labels) != tuple(other):
        raise ValueError(
            f"--against: its classes are {_listed(other)}; this model's {_listed(labels)}"
        )


def _networks_of(schedule: str, networks: Sequence[str]) -> tuple[str, ...]:
    if len(networks) == 1:
        return tuple(networks)
    if schedule == "SMALL":
        return ("small",)
    return ("large",) if schedule_names.skip_of(schedule) == 0 else ("large", "small")


def _listed(labels: Sequence[str]) -> str:
    """Returns the first labels, and how many more there are."""
    more = f" and {len(labels) - 5} more" if len(labels) > 5 else ""
    return ", ".join(labels[:5]) + more
