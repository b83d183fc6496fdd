"""What the flags of `lstd-eval` say: read, and refused where they, or the data, cannot be."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from absl import flags

from lstd.base import documents
from lstd.cli import common
from lstd.config import schedule_names

if TYPE_CHECKING:
    from lstd.config.config import Config
    from lstd.data.pipeline import Split


REPORT_METRICS = ("coco", "distance", "confusion")
"""What the report draws, whether or not it stands in --metrics."""

_COMPARABLE = ("coco", "vid", "vid_ap50", "sap", "flicker")
_OF_A_MODEL = (
    *("video", "worst_frames", "report", "occlusion", "write_detections"),
    *("input", "max_frames", "weights", "labels", "config", "set"),
)
_PACKAGES = {"video": ("av", "PIL"), "worst_frames": ("PIL",), "report": ("matplotlib", "PIL")}


class Options(NamedTuple):
    """What the flags say, beyond what stands in them as it is.

    Attributes:
        metrics: names of `lstd.evaluation.metrics.by_name`; the report's are among them.
        schedules: empty: those of the config or the model.
        latencies: milliseconds by network, for sap.
        fps: frames a second.
        occlusion: probabilities.
        labels: names of the classes; empty: the model's.
    """

    metrics: tuple[str, ...]
    schedules: tuple[str, ...]
    latencies: dict[str, Any] | None
    fps: float | None
    occlusion: tuple[float, ...]
    labels: tuple[str, ...]

    def factories(
        self, *, fps: float | None = None, schedule: str | None = None
    ) -> list[Callable[..., Any]]:
        """Returns what makes each metric from the labels; see `by_name.factory`."""
        from lstd.evaluation.metrics import by_name

        return [
            by_name.factory(name, latencies=self.latencies, fps=fps or self.fps, schedule=schedule)
            for name in self.metrics
        ]


def read(values: flags.FlagValues) -> Options:
    """Returns what the flags say.

    Raises:
        ValueError: flags that cannot be, or do not go together.
        ImportError: a package is not installed that what is asked for needs.
    """
    _check_together(values)
    for name in values.schedule:
        schedule_names.check(name, where="--schedule")
    if len(set(values.schedule)) < len(values.schedule):
        raise ValueError(f"--schedule holds a name twice: {','.join(values.schedule)}")
    if values.fps is not None and not 0 < values.fps < float("inf"):
        raise ValueError(f"--fps must be above 0, got {values.fps}")
    options = Options(
        metrics=_metrics(values),
        schedules=tuple(values.schedule),
        latencies=_latencies(values.latency),
        fps=values.fps,
        occlusion=_probabilities(values.occlusion),
        labels=_labels(values.labels),
    )
    options.factories(fps=options.fps or (1.0 if values.annotations else None))  # a file may say it
    _check_packages(values)
    return options


def _check_together(values: flags.FlagValues) -> None:
    """Raises where flags do not go together."""
    if bool(values.model) == bool(values.detections):
        given = "both are" if values.model else "none is"
        raise ValueError(
            f"--model must be given, or --detections with --annotations: {given} here "
            "(lstd-eval --help says more)"
        )
    if bool(values.detections) != bool(values.annotations):
        raise ValueError("--detections and --annotations go together")
    for name in _OF_A_MODEL:
        if values.detections and values[name].value:
            raise ValueError(f"--{name} needs a model and its data, which --detections has not")
    if values.detections and len(values.schedule) > 1:
        raise ValueError("--schedule: one file of detections is of one schedule")


def _metrics(values: flags.FlagValues) -> tuple[str, ...]:
    if not values.metrics:
        raise ValueError("--metrics: give at least one")
    if len(set(values.metrics)) < len(values.metrics):
        raise ValueError(f"--metrics holds a name twice: {','.join(values.metrics)}")
    if values.against and not set(values.metrics) & set(_COMPARABLE):
        from lstd.evaluation import bootstrap

        raise ValueError(f"--against: {bootstrap.NOTHING_TO_COMPARE}")
    more = REPORT_METRICS if values.report else ()
    return tuple(dict.fromkeys((*values.metrics, *more)))


def _labels(path: str) -> tuple[str, ...]:
    if not path:
        return ()
    from lstd.base import label_map

    return label_map.load(common.existing_file(path, flag="--labels"))


def _latencies(texts: Sequence[str]) -> dict[str, Any] | None:
    """Returns milliseconds by network, from the flag or the file that it names."""
    from lstd.evaluation.metrics import streaming

    if not texts:
        return None
    if len(texts) == 1 and "=" not in texts[0]:
        path = common.existing_file(texts[0], flag="--latency")
        content = documents.read_json(path, kind=dict)
    else:
        content = {}
        for text in texts:
            network, _, value = text.partition("=")
            if network in content:
                raise ValueError(f"--latency: {network} is given twice; several go into a file")
            try:
                content[network] = float(value)
            except ValueError:
                raise ValueError(
                    f"--latency: expected network=milliseconds such as large=52.1, got {text!r}"
                ) from None
    try:
        return dict(streaming.latency_table(content))
    except ValueError as error:
        raise ValueError(f"--latency: {error}") from None


def _probabilities(texts: Sequence[str]) -> tuple[float, ...]:
    try:
        values = tuple(float(text) for text in texts)
    except ValueError:
        raise ValueError(f"--occlusion: expected numbers in [0, 1], got {list(texts)}") from None
    if not all(0 <= value <= 1 for value in values) or len(set(values)) < len(values):
        raise ValueError(f"--occlusion: expected different numbers in [0, 1], got {list(texts)}")
    return values


def _check_packages(values: flags.FlagValues) -> None:
    """Raises where an optional package is missing, which otherwise would show after hours."""
    for flag, names in _PACKAGES.items():
        for name in names:
            if values[flag].value and importlib.util.find_spec(name) is None:
                raise ImportError(f"--{flag} needs {name}", name=name)


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

        frames = [(video.name, 0) for video in _scored(split, values.max_frames, lanes=lanes)]
        bootstrap.units_of(frames, fps=None)  # says what it needs


def _scored(split: Split, most: int | None, *, lanes: int) -> Sequence[Any]:
    """Returns the videos that `--max_frames` leaves; of several lanes they come in turns: all."""
    if most is None or lanes > 1:
        return split.videos
    left, taken = most, []
    for video in split.videos:
        if left > 0:
            taken.append(video)
            left -= video.known_frames or 1
    return taken


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
