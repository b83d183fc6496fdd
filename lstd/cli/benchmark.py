"""Measures how long a model takes for a frame, each network and under a schedule.

Examples:
  lstd-benchmark --model model.tflite --schedule SKIP9
  lstd-benchmark --model model.tflite --against other.tflite --json times.json
  lstd-benchmark --model model.tflite --against model.tflite --against_schedule LARGE

Frames are noise of the model's size, and the state is carried. With --against, both take turns in
one process, and the ratio of their average frames is given with its spread over the turns; any
.tflite will do there, also one without our entry points, which has the single row "run". The share
of the peak is the multiply-adds per second over those of a large 1x1 convolution in the same
runtime and data type with the same threads, which takes turns with them; TensorFlow makes it. It is
known for a .tflite, a run folder and a checkpoint, not for a SavedModel.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from lstd.base.progress import Progress
from lstd.cli import app, common

if TYPE_CHECKING:
    from lstd.runtime.benchmark import Subject, Times

FLAGS: app.Flags = {
    **common.flags("model", "config", "schedule"),
    "against": app.text("A second model or any .tflite, which takes turns with it."),
    "against_schedule": app.text(
        "Schedule of the second one. Empty: the first one's, where it has two networks."
    ),
    "threads": app.whole("CPU threads to use; 0: one for each core.", 1, least=0),
    "turns": app.whole("Turns of each model.", 5, least=1),
    "frames": app.whole(
        "Frames in a turn, rounded up to whole clips and periods of the schedule.", 50, least=1
    ),
    "warm_up": app.whole("Calls of each network before the first turn.", 10, least=0),
    "peak": app.switch("Measure the machine's peak as well.", default=True),
    "json": app.text("File to write everything to as JSON."),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code of `lstd-benchmark`."""
    return app.run(
        _benchmark,
        FLAGS,
        program="lstd-benchmark",
        description=__doc__,
        required=["model"],
        argv=argv,
    )


def _benchmark(values: flags.FlagValues) -> None:
    import json

    from lstd.base.whole_file import write_whole
    from lstd.config import schedule_names
    from lstd.runtime import benchmark, benchmark_report

    given = values.flag_values_dict()
    if given["against_schedule"] and not given["against"]:
        raise ValueError("--against_schedule belongs to --against, which is not given")
    for flag in ("schedule", "against_schedule"):
        if given[flag]:
            schedule_names.check(given[flag], where=f"--{flag}")
    path = common.file_to_write(given["json"], flag="--json") if given["json"] else None
    for flag in ("model", "against"):
        if path is not None and given[flag] and Path(given[flag]).resolve() == path.resolve():
            raise ValueError(f"--json: {path} is what --{flag} reads; give another name")
    threads = given["threads"] or os.cpu_count() or 1
    subjects = _subjects(values, threads=threads)
    peaks, unknown = _peaks(subjects, threads=threads) if given["peak"] else ({}, {})
    everything = [*subjects, *peaks.values()]
    total = given["turns"] * len(everything)
    with Progress("measuring", total=total, unit="turns") as report:
        times = benchmark.measure(
            everything,
            turns=given["turns"],
            frames=given["frames"],
            warm_up=given["warm_up"],
            progress=report.advance,
        )
    against: Times | None = times[1] if len(subjects) > 1 else None
    facts = benchmark_report.describe(
        times[0],
        against,
        dict(zip(peaks, times[len(subjects) :], strict=True)),
        ratio=None if against is None else benchmark.ratio(against, times[0]),
        peak_unknown=unknown,
        threads=threads,
        warm_up=given["warm_up"],
    )
    print(benchmark_report.table(facts))
    if path is not None:
        write_whole(path, json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
        print(f"written: {path}")


def _subjects(values: flags.FlagValues, *, threads: int) -> list[Subject]:
    """Returns what is timed, the second one with the first one's schedule where it can have it."""
    first = _subject(values, "model", schedule=values.schedule or None, threads=threads)
    if not values.against:
        return [first]
    schedule = values.against_schedule or None
    second = _subject(values, "against", schedule=schedule, threads=threads)
    if not values.against_schedule and len(second.calls) > 1 and first.schedule:
        second = second._replace(schedule=first.schedule)
    if second.name == first.name and first.schedule != second.schedule:
        first, second = (
            each._replace(name=f"{each.name} {each.schedule}") for each in (first, second)
        )
    return [first, second]


def _subject(values: flags.FlagValues, flag: str, *, schedule: str | None, threads: int) -> Subject:
    from lstd.any_model.video_detector import runnable
    from lstd.runtime import benchmark_subjects

    opened, counted = common.open_model(values, flag), {}
    if not isinstance(opened.model, Path):
        from lstd.models import count

        done = count.count(opened.model)["multiply_adds"]
        counted = {network: done[network] for network in opened.model.networks}
    return benchmark_subjects.of_model(
        runnable(opened.model, opened.config.export),
        name=str(values[flag].value),
        schedule=schedule,
        threads=threads,
        counted=counted,
    )


def _peaks(
    subjects: Sequence[Subject], *, threads: int
) -> tuple[dict[str, Subject], dict[str, str]]:
    """Returns the large convolution in each data type that is needed, or why there is none."""
    from lstd.runtime import benchmark_subjects

    found: dict[str, Subject] = {}
    unknown: dict[str, str] = {}
    for data_type in dict.fromkeys(subject.data_type for subject in subjects if subject.data_type):
        try:
            found[data_type] = benchmark_subjects.of_peak(data_type, threads=threads)
        except ImportError:
            unknown[data_type] = "TensorFlow, which makes the convolution, is not installed"
        except ValueError as error:
            unknown[data_type] = str(error)
    return found, unknown


if __name__ == "__main__":
    sys.exit(main())
