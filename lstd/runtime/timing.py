"""How long networks take: several models in turns, in one process, as numbers and as a table."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lstd.base import processor
from lstd.base.version import installed
from lstd.config import schedule_names


class Subject(NamedTuple):
    """Something that is timed."""

    name: str
    calls: dict[str, Callable[[], Any]]
    """One for each network, or "run" for a file that is not ours; of a frame or a clip."""
    schedule: str = ""
    """Which of them runs on which frame; "" where there is one only."""
    multiply_adds: Mapping[str, int | None] = {}
    data_type: str = ""
    """In which it computes, such as "float32", "int8"; "" where it is not known."""
    frames: int | None = None
    """In a turn, whatever the others have; None: as many as they."""
    frames_per_call: int = 1
    """Each counts as an equal part of its call."""

    def order(self, num_frames: int) -> list[str]:
        """Returns the calls of a turn: whole clips, and whole periods of the schedule."""
        num_calls = -(-(self.frames or num_frames) // self.frames_per_call)
        if not self.schedule:
            return [*self.calls][:1] * num_calls
        period = (schedule_names.skip_of(self.schedule) or 0) + 1
        numbers = range(-(-num_calls // period) * period)
        return [str(schedule_names.network_of(self.schedule, each, seed=0)) for each in numbers]


class Times(NamedTuple):
    """What was measured of a subject: in each turn, the network of each call and a frame's ms."""

    subject: Subject
    turns: list[list[tuple[str, float]]]

    def rows(self, *, peak: float | None = None) -> dict[str, dict[str, Any]]:
        """Returns ms and multiply-adds of each network that ran, then those under the schedule.

        The `peak` is in multiply-adds a second.
        """
        every = [call for turn in self.turns for call in turn]
        rows = {name: [call for call in every if call[0] == name] for name in self.subject.calls}
        if self.subject.schedule:
            rows[self.subject.schedule] = every
        return {name: self._row(name, calls, peak) for name, calls in rows.items() if calls}

    def _row(self, name: str, calls: list[tuple[str, float]], peak: float | None) -> dict[str, Any]:
        each, times = self.subject.frames_per_call, [ms for _, ms in calls]
        done = [self.subject.multiply_adds.get(network) for network, _ in calls]
        known = [number for number in done if number is not None]
        average, median = statistics.fmean(times), statistics.median(times)
        # The median of a network; under a schedule there are two kinds of frames, so the mean.
        seconds = (average if name == self.subject.schedule else median) / 1e3
        total = round(statistics.fmean(known) / each) if known == done else None
        return {
            "frames": len(times) * each,
            "average_ms": average,
            "median_ms": median,
            "p95_ms": float(np.percentile(times, 95)),
            "worst_ms": max(times),
            "multiply_adds": total,
            "share_of_peak": None if total is None or not peak else total / seconds / peak,
        }


def measure(
    subjects: Sequence[Subject],
    *,
    turns: int,
    frames: int,
    warm_up: int,
    clock: Callable[[], float] = time.perf_counter,
    progress: Callable[[], None] = lambda: None,
) -> list[Times]:
    """Returns the times of all subjects, which take turns.

    In every second turn they come in the opposite order, so that none always has the better place.
    The `frames` of a turn are rounded up to whole clips and periods of the schedule; the `warm_up`
    calls of each network before the first turn are not timed. `progress` is called after each turn.
    """
    for subject in subjects:
        for call in subject.calls.values():
            for _ in range(warm_up):
                call()
    results = [Times(subject, []) for subject in subjects]
    for turn in range(turns):
        for subject, done in results if turn % 2 == 0 else reversed(results):
            rows = []
            for network in subject.order(frames):
                call = subject.calls[network]
                started = clock()
                call()
                rows.append((network, (clock() - started) * 1e3 / subject.frames_per_call))
            done.append(rows)
            progress()
    return results


def describe(
    models: Sequence[Times],
    peaks: Mapping[str, Times],
    peak_unknown: Mapping[str, str],
    *,
    threads: int,
    warm_up: int,
) -> dict[str, Any]:
    """Returns everything that was measured, ready for JSON.

    A ratio is that of the second model to the first, turn by turn. The `peaks` are the large
    convolution by data type; `peak_unknown` says why that of a data type is not known.
    """
    versions = installed("lstd", "ai-edge-litert", "tensorflow")
    peak_of = {}
    for data_type, times in peaks.items():
        row = times.rows()["run"]
        rate = round(row["multiply_adds"] / (row["median_ms"] / 1e3))
        peak_of[data_type] = {"multiply_adds_per_second": rate, "median_ms": row["median_ms"]}
    facts: dict[str, Any] = {
        "machine": {
            "processor": processor.name(),
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
            "versions": {"Python": platform.python_version(), **versions},
        },
        "threads": threads,
        "turns": len(models[0].turns),
        "warm_up_calls": warm_up,
        "peak": peak_of,
        "models": [_facts_of(times, peak_of, peak_unknown) for times in models],
    }
    if len(models) > 1:
        averages = [
            [statistics.fmean(ms for _, ms in turn) for turn in times.turns] for times in models
        ]
        ratios = [second / first for first, second in zip(*averages, strict=True)]
        facts["ratio"] = {
            "is": f"average frame of {models[1].subject.name} / of {models[0].subject.name}",
            "median": statistics.median(ratios),
            "lowest": min(ratios),
            "highest": max(ratios),
            "turns": ratios,
        }
    return facts


def _facts_of(
    times: Times, peak_of: Mapping[str, Any], peak_unknown: Mapping[str, str]
) -> dict[str, Any]:
    subject, unknown = times.subject, ""
    peak = peak_of.get(subject.data_type, {}).get("multiply_adds_per_second")
    rows = times.rows(peak=peak)
    if any(row["multiply_adds"] is None for row in rows.values()):
        unknown = "its multiply-adds are not known"
    elif not subject.data_type:
        unknown = "the data type in which it computes is not known"
    elif not peak:
        unknown = peak_unknown.get(subject.data_type, "the peak was not measured")
    return {
        "name": subject.name,
        "schedule": subject.schedule or None,
        "data_type": subject.data_type or None,
        "frames_per_call": subject.frames_per_call,
        "rows": rows,
        **({"share_of_peak_unknown": unknown} if unknown else {}),
    }


def table(facts: Mapping[str, Any]) -> str:
    """Returns the facts of `describe` as text for people."""
    machine, threads = facts["machine"], facts["threads"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, {versions}",
        f"{threads} thread{'s' if threads > 1 else ''}; {facts['turns']} alternating turns after "
        f"{facts['warm_up_calls']} calls of each network to warm up; milliseconds",
    ]
    for data_type, peak in facts["peak"].items():
        lines.append(
            f"peak in {data_type}: {peak['multiply_adds_per_second'] / 1e9:.1f} thousand million "
            f"multiply-adds a second (a large 1x1 convolution, {peak['median_ms']:.2f} ms)"
        )
    for model in facts["models"]:
        lines += ["", *_table_of(model)]
    if "ratio" in facts:
        ratio = facts["ratio"]
        lines.append(
            f"\n{ratio['is']}: {ratio['median']:.2f} "
            f"({ratio['lowest']:.2f} to {ratio['highest']:.2f} over the turns)"
        )
    return "\n".join(lines)


def _table_of(model: Mapping[str, Any]) -> list[str]:
    rows = [("", "frames", "average", "median", "p95", "worst", "M multiply-adds", "of peak")]
    for name, row in model["rows"].items():
        done, share = row["multiply_adds"], row["share_of_peak"]
        cells = [f"{row[f'{key}_ms']:.3f}" for key in ("average", "median", "p95", "worst")]
        cells.append("?" if done is None else f"{done / 1e6:.1f}")
        cells.append("?" if share is None else f"{100 * share:.0f} %")
        rows.append((name, str(row["frames"]), *cells))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [", ".join(filter(None, (model["name"], model["data_type"])))]
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join(["", first.ljust(widths[0]), *cells]))
    if model["frames_per_call"] > 1:
        lines.append(f"  per frame; a call takes a clip of {model['frames_per_call']} of them")
    if "share_of_peak_unknown" in model:
        lines.append(f"  share of the peak not known: {model['share_of_peak_unknown']}")
    return lines
