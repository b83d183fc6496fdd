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

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from lstd.base.progress import Progress
from lstd.cli import app, common

if TYPE_CHECKING:
    from lstd.runtime.timing import Subject

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
    from lstd.base.whole_file import write_whole
    from lstd.config import schedule_names
    from lstd.runtime import timed_models, timing

    if values.against_schedule and not values.against:
        raise ValueError("--against_schedule belongs to --against, which is not given")
    for flag in ("schedule", "against_schedule"):
        if values[flag].value:
            schedule_names.check(str(values[flag].value), where=f"--{flag}")
    path = common.file_to_write(values.json, flag="--json") if values.json else None
    for flag in ("model", "against"):
        if path is not None and Path(str(values[flag].value)).resolve() == path.resolve():
            raise ValueError(f"--json: {path} is what --{flag} reads; give another name")
    threads = values.threads or os.cpu_count() or 1
    subjects = _subjects(values, threads=threads)
    data_types = [subject.data_type for subject in subjects] if values.peak else []
    peaks, unknown = timed_models.of_peaks(data_types, threads=threads)
    everything = [*subjects, *peaks.values()]
    with Progress("measuring", total=values.turns * len(everything), unit="turns") as report:
        times = timing.measure(
            everything,
            turns=values.turns,
            frames=values.frames,
            warm_up=values.warm_up,
            progress=report.advance,
        )
    of_peaks = dict(zip(peaks, times[len(subjects) :], strict=True))
    facts = timing.describe(
        times[: len(subjects)], of_peaks, unknown, threads=threads, warm_up=values.warm_up
    )
    print(timing.table(facts))
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
    if schedule is None and second.schedule and first.schedule:
        second = second._replace(schedule=first.schedule)
    both = [first, second]
    if second.name == first.name and first.schedule != second.schedule:
        return [each._replace(name=f"{each.name} {each.schedule}") for each in both]
    return both


def _subject(values: flags.FlagValues, flag: str, *, schedule: str | None, threads: int) -> Subject:
    from lstd.any_model.video_detector import runnable
    from lstd.runtime import exported_file, tflite_file, timed_models

    model, export = common.open_model(values, flag)
    counted = {}
    if isinstance(model, Path):
        file = exported_file.in_folder(model)
        if file.is_file() and tflite_file.loses_a_class(file, threads=threads):
            raise ValueError(
                f"--{flag}: {file} loses a class with {threads} threads, and so runs on one: it "
                "suppresses class by class (docs/export.md); give --threads 1"
            )
    else:
        from lstd.models import count

        done = count.count(model)["multiply_adds"]
        counted = {network: done[network] for network in model.networks}
    return timed_models.of_model(
        runnable(model, export),
        name=str(values[flag].value),
        schedule=schedule,
        threads=threads,
        counted=counted,
    )


if __name__ == "__main__":
    sys.exit(main())
