"""What a benchmark found, as a dict for JSON and as a table."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib import metadata as packages
from typing import Any

from lstd.base import processor
from lstd.runtime.benchmark import Ratio, Times


def describe(
    model: Times,
    against: Times | None,
    peaks: Mapping[str, Times],
    *,
    ratio: Ratio | None,
    peak_unknown: Mapping[str, str],
    threads: int,
    warm_up: int,
) -> dict[str, Any]:
    """Returns everything that was measured, ready for JSON.

    Args:
        model: what was timed.
        against: the second one.
        peaks: the large convolution by data type.
        ratio: of the second to the first.
        peak_unknown: why the peak of a data type is not known.
        threads: that each had.
        warm_up: calls of each network before the first turn.
    """
    facts: dict[str, Any] = {
        "machine": _machine(),
        "threads": threads,
        "turns": len(model.turns),
        "warm_up_calls": warm_up,
        "peak": {
            data_type: {
                "multiply_adds_per_second": round(_peak_rate(times)),
                "median_ms": times.timings()["run"].median_ms,
            }
            for data_type, times in peaks.items()
        },
        "models": [
            _of_model(times, peaks, peak_unknown) for times in (model, against) if times is not None
        ],
    }
    if ratio is not None and against is not None:
        facts["ratio"] = {
            "is": f"average frame of {against.subject.name} / of {model.subject.name}",
            **ratio._asdict(),
            "turns": list(ratio.turns),
        }
    return facts


def table(facts: Mapping[str, Any]) -> str:
    """Returns the facts of `describe` as text for people."""
    machine = facts["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    threads = f"{facts['threads']} thread{'s' if facts['threads'] > 1 else ''}"
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, {versions}",
        f"{threads}; {facts['turns']} alternating turns after {facts['warm_up_calls']} calls of "
        "each network to warm up; milliseconds",
    ]
    for data_type, peak in facts["peak"].items():
        rate = peak["multiply_adds_per_second"] / 1e9
        lines.append(
            f"peak in {data_type}: {rate:.1f} thousand million multiply-adds a second "
            f"(a large 1x1 convolution, {peak['median_ms']:.2f} ms)"
        )
    for model in facts["models"]:
        lines += ["", *_table_of(model)]
    if "ratio" in facts:
        ratio = facts["ratio"]
        lines += [
            "",
            f"{ratio['is']}: {ratio['median']:.2f} "
            f"({ratio['lowest']:.2f} to {ratio['highest']:.2f} over the turns)",
        ]
    return "\n".join(lines)


def _of_model(
    times: Times, peaks: Mapping[str, Times], peak_unknown: Mapping[str, str]
) -> dict[str, Any]:
    subject = times.subject
    known = times.multiply_adds()
    peak = peaks.get(subject.data_type)
    rows = {}
    for name, timing in times.timings().items():
        rows[name] = {
            **timing._asdict(),
            "multiply_adds": round(known[name]) if name in known else None,
            "share_of_peak": None,
        }
        if peak is not None and name in known:
            # The median of a network; under a schedule there are two kinds of frames, so the mean.
            ms = timing.median_ms if name in subject.calls else timing.average_ms
            rows[name]["share_of_peak"] = known[name] / (ms / 1e3) / _peak_rate(peak)
    facts = {
        "name": subject.name,
        "schedule": subject.schedule or None,
        "data_type": subject.data_type or None,
        "frames_per_call": subject.frames_per_call,
        "rows": rows,
    }
    if any(row["share_of_peak"] is None for row in rows.values()):
        facts["share_of_peak_unknown"] = _why_unknown(times, known, peak_unknown)
    return facts


def _why_unknown(times: Times, known: Mapping[str, float], peak_unknown: Mapping[str, str]) -> str:
    if len(known) < len(times.timings()):
        return "its multiply-adds are not known"
    if not times.subject.data_type:
        return "the data type in which it computes is not known"
    return peak_unknown.get(times.subject.data_type, "the peak was not measured")


def _peak_rate(times: Times) -> float:
    """Returns multiply-adds per second."""
    (done,) = times.subject.multiply_adds.values()
    return done / (times.timings()["run"].median_ms / 1e3)


def _table_of(model: Mapping[str, Any]) -> list[str]:
    about = [model["name"], *([model["data_type"]] if model["data_type"] else [])]
    heads = ("", "frames", "average", "median", "p95", "worst", "M multiply-adds", "of peak")
    rows = [heads]
    for name, row in model["rows"].items():
        done, share = row["multiply_adds"], row["share_of_peak"]
        rows.append(
            (
                name,
                str(row["frames"]),
                *(f"{row[key]:.3f}" for key in ("average_ms", "median_ms", "p95_ms", "worst_ms")),
                "?" if done is None else f"{done / 1e6:.1f}",
                "?" if share is None else f"{100 * share:.0f} %",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    lines = [", ".join(about)]
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join(["", first.ljust(widths[0]), *cells]))
    if model["frames_per_call"] > 1:
        lines.append(f"  per frame; a call takes a clip of {model['frames_per_call']} of them")
    if "share_of_peak_unknown" in model:
        lines.append(f"  share of the peak not known: {model['share_of_peak_unknown']}")
    return lines


def _machine() -> dict[str, Any]:
    versions = {"Python": platform.python_version()}
    for name in ("lstd", "ai-edge-litert", "tensorflow"):
        try:
            versions[name] = packages.version(name)
        except packages.PackageNotFoundError:
            continue
    return {
        "processor": processor.name(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions,
    }
