"""The table of the papers on video that anybody can make: accuracy over cost of trained runs.

    python benchmarks/freedoom/table.py --data build/freedoom/test_fast --fps 5.83 \
        --interleaved runs/s0 runs/s1 runs/s2 --single runs/frames --small runs/small

Runs of one kind are seeds of one config. The interleaved ones are scored under LARGE, SKIP1, SKIP3,
SKIP5, SKIP9, SKIP15 and SMALL, each with its baselines (docs/metrics.md), and with the memory
zeroed: the state is zero before every frame, so that both networks see each frame alone. A baseline
and a zeroed run see the same large frames as their schedule. SKIP9-asynchronous answers every frame
with the small network, while the large one, on the same frames as under SKIP9, runs beside it: its
memory arrives one frame later, and milliseconds are those of the small network. SKIP9-int8 is the
file in 8 bits, with ranges from the first frames of --representative_data. Of --single the
large network runs on every frame, of --small the small one, both with the memory zeroed: they were
trained on single frames. With --occlusion objects are hidden in part, as by `lstd-eval`.

Writes table.md and table.json to --output_directory: AP50, the mean of the seeds, with a 95 %
interval by bootstrap over the clips (the mean of the seeds' intervals: it tells of other clips, not
of other seeds), and that of each seed; how far it is below SKIP9 of the same seed, with its own
interval (what is not interleaved: below SKIP9 of the first seed); multiply-adds and milliseconds of
the `.tflite` of the first seed on this machine, with what a baseline computes. table.json has every
number of each seed, AP by distance to the last large frame among them. Choose on the validation
parts, and look at the test parts once.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import math
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np

import lstd
from lstd.config import schedule_names
from lstd.evaluation import baselines, bootstrap
from lstd.evaluation.detectors import ModelDetector
from lstd.evaluation.metrics import by_name
from lstd.evaluation.metrics.coco import CocoMetric
from lstd.evaluation.occlusion import OccludedDataset
from lstd.runtime import timed_models, timing

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from memory_under_occlusion import forget

SCHEDULES = ("LARGE", "SKIP1", "SKIP3", "SKIP5", "SKIP9", "SKIP15", "SMALL")
METRICS = ("coco", "vid", "distance", "flicker")
REFERENCE = "SKIP9"
ZEROED = "memory zeroed"
LATE = "-asynchronous"
INT8 = "-int8"
SHOWN = {
    "coco/ap": "AP",
    "vid/ap50_slow": "slow",
    "vid/ap50_medium": "medium",
    "vid/ap50_fast": "fast",
    "sap/ap50": "sAP50",
    "flicker/rate": "flicker",
}


class Scored(NamedTuple):
    """What a seed scored in a row of the table."""

    numbers: dict[str, float]
    coco: CocoMetric


class _Pass(NamedTuple):
    """What runs on which data under which schedules; the suffix tells its rows apart."""

    suffix: str
    runs: Any
    data: Any
    schedules: tuple[str, ...]
    baselines: Sequence[str] = ()


Rows = dict[str, list[Scored]]
"""By name, such as "interleaved SKIP9-held", of each seed."""


def main() -> None:
    """Writes the table and prints it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of records")
    for kind in ("interleaved", "single", "small"):
        parser.add_argument(f"--{kind}", type=Path, nargs="+", default=[], help="run folders")
    parser.add_argument("--schedules", nargs="+", default=[*SCHEDULES], help="of --interleaved")
    parser.add_argument("--baselines", nargs="*", default=[*baselines.NAMES])
    parser.add_argument("--weights", default="best", choices=["best", "last", "average"])
    parser.add_argument("--representative_data", type=Path, help="folder of records, for int8")
    parser.add_argument("--occlusion", type=float, help="probability that an object is hidden")
    parser.add_argument("--fps", type=float, help="of the data: for streaming AP")
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1, help="of the .tflite that is timed")
    parser.add_argument("--output_directory", type=Path, default=Path("build/freedoom/table"))
    arguments = parser.parse_args()
    kinds = {kind: getattr(arguments, kind) for kind in ("interleaved", "single", "small")}
    if not any(kinds.values()):
        parser.error("give at least one run folder, such as --interleaved runs/s0")
    if not {"LARGE", REFERENCE, "SMALL"} <= {*arguments.schedules}:
        parser.error("--schedules needs LARGE, SKIP9 and SMALL; add the others behind them")
    try:
        baselines.check(arguments.baselines, where="--baselines")
        arguments.output_directory.mkdir(parents=True, exist_ok=True)
        rows: Rows = {}
        costs: dict[str, dict[str, Any]] = {}
        for kind, runs in kinds.items():
            for run in runs:
                model = lstd.load_model(run, weights=arguments.weights)
                if run == runs[0]:
                    found = timed(kind, model, arguments)
                    costs |= found
                latencies = latencies_of(kind, model, found, arguments)
                for name, scored in evaluated(kind, model, latencies, arguments).items():
                    rows.setdefault(f"{kind} {name}", []).append(scored)
                print(f"{run} is done", flush=True)
        drawing = {"draws": arguments.draws, "fps": arguments.fps}
        drawn = {
            name: [ap50_of_draws(each, **drawing) for each in seeds] for name, seeds in rows.items()
        }
        table = {name: facts_of(name, rows, drawn) for name in rows}
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"table.py: error: {error}")
    for name, facts in table.items():
        facts["cost"] = costs[name.removesuffix(f", {ZEROED}")]
    content = {
        "data": str(arguments.data),
        "runs": {kind: [str(run) for run in runs] for kind, runs in kinds.items()},
        "rows": table,
    }
    text = markdown(table)
    (arguments.output_directory / "table.json").write_text(json.dumps(content, indent=2) + "\n")
    (arguments.output_directory / "table.md").write_text(text)
    draw(table, arguments.output_directory / "accuracy_over_cost.png")
    print(text)


def schedules_of(kind: str, model: lstd.LSTMSSD, arguments: argparse.Namespace) -> tuple[str, ...]:
    """Returns the schedules under which a model is scored."""
    if kind == "interleaved" and len(model.networks) == 2:
        return tuple(arguments.schedules)
    wanted = "small" if kind == "small" and "small" in model.networks else model.networks[0]
    return (wanted.upper(),)


def timed(
    kind: str, model: lstd.LSTMSSD, arguments: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """Returns multiply-adds and milliseconds of each row of a model."""
    wanted = columns_of(kind, model, arguments)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        lstd.export_tflite(model, path)
        subject = timed_models.of_model(path, name=kind, schedule=None, threads=arguments.threads)
        found = found_by_large(model, arguments.data) if len(wanted) > 1 else []
        size = model.config.input_height, model.config.input_width
        subjects = []
        for name in wanted:
            schedule = baselines.schedule_of(name)
            one = subject._replace(name=name, schedule=schedule if subject.schedule else "")
            if name != schedule:
                answer = Answer(name.rpartition("-")[2], found, size)
                calls = answer.with_calls(subject.calls)
                one = one._replace(calls=calls, multiply_adds={**one.multiply_adds, "small": 0})
            subjects.append(one)
        if len(subjects) > 1 and arguments.representative_data:
            path = path.with_name("int8.tflite")
            lstd.export_tflite(model, path, **in_int8(model, arguments.representative_data))
            int8 = timed_models.of_model(
                path, name=REFERENCE + INT8, schedule=REFERENCE, threads=arguments.threads
            )
            subjects.append(int8)
        times = timing.measure(subjects, turns=3, frames=48, warm_up=3)
    costs = {}
    for one in times:
        networks = one.rows()
        costs[f"{kind} {one.subject.name}"] = {
            **[*networks.values()][-1],  # under the schedule, where there is one
            "ms": {network: row["median_ms"] for network, row in networks.items()},
        }
    if f"{kind} {REFERENCE}" in costs:
        small = costs[f"{kind} SMALL"]
        large = costs[f"{kind} LARGE"]["multiply_adds"] / (schedule_names.skip_of(REFERENCE) + 1)
        total = small["multiply_adds"] + large
        costs[f"{kind} {REFERENCE}{LATE}"] = {**small, "multiply_adds": total}
    return costs


class Answer:
    """A baseline in the place of the small network, told what the large one found in a clip."""

    def __init__(self, name: str, found: list[dict[str, Any]], size: tuple[int, int]) -> None:
        self._answer = baselines.NAMES[name]()
        self._found = found
        self._size = size
        self._index = 0

    def with_calls(self, calls: dict[str, Callable[[], Any]]) -> dict[str, Callable[[], Any]]:
        """Returns the calls of the two: the large network goes first, then the baseline answers."""

        def large() -> None:
            calls["large"]()
            self._next("large")

        return {"large": large, "small": lambda: self._next("small")}

    def _next(self, network: str) -> None:
        found = self._found[self._index % len(self._found)]
        self._answer(self._index, {**found, "network": network}, self._size)
        self._index += 1


def columns_of(kind: str, model: lstd.LSTMSSD, arguments: argparse.Namespace) -> tuple[str, ...]:
    """Returns schedules and baselines."""
    schedules = schedules_of(kind, model, arguments)
    return baselines.columns(schedules, arguments.baselines if len(schedules) > 1 else ())


def latencies_of(
    kind: str,
    model: lstd.LSTMSSD,
    costs: dict[str, dict[str, Any]],
    arguments: argparse.Namespace,
) -> dict[str, float]:
    """Returns the median milliseconds of each network."""
    schedules = schedules_of(kind, model, arguments)
    ms = costs[f"{kind} {REFERENCE if len(schedules) > 1 else schedules[0]}"]["ms"]
    return {network: ms[network] for network in model.networks if network in ms}


def evaluated(
    kind: str,
    model: lstd.LSTMSSD,
    latencies: dict[str, float],
    arguments: argparse.Namespace,
) -> dict[str, Scored]:
    """Returns the scores of a run under each schedule, of its baselines and without memory."""
    dataset = dataset_of(model, arguments.data)
    if arguments.occlusion is not None:
        dataset = OccludedDataset(dataset, probability=arguments.occlusion)
    detector = ModelDetector(model)  # one graph for all
    schedules = schedules_of(kind, model, arguments)
    passes: list[_Pass] = []
    if kind != "interleaved":
        passes.append(_Pass("", detector, itertools.starmap(forget, dataset), schedules))
    else:
        wanted = arguments.baselines if len(schedules) > 1 else ()
        passes.append(_Pass("", detector, dataset, schedules, wanted))
        zeroed = itertools.starmap(forget, dataset)
        passes.append(_Pass(f", {ZEROED}", detector, zeroed, schedules))
    if len(schedules) > 1:
        # So a file scores as its model does.
        as_model = {"max_detections": min(100, len(model.anchors)), "use_regular_nms": True}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.tflite"
            lstd.export_tflite(model, path, **as_model)
            late = lstd.VideoDetector(path, REFERENCE, mode="async", delay=1)
            passes.append(_Pass(LATE, late, dataset, (REFERENCE,)))
            if arguments.representative_data:
                path = path.with_name("int8.tflite")
                options = in_int8(model, arguments.representative_data)
                lstd.export_tflite(model, path, **as_model, **options)
                int8 = lstd.VideoDetector(path, REFERENCE)
                passes.append(_Pass(INT8, int8, dataset, (REFERENCE,)))
    result = {}
    for suffix, runs, data, under, wanted in passes:
        is_streamed = arguments.fps and runs is detector  # the others have latencies of their own
        metrics = by_name.metrics_by_schedule(
            (*METRICS, "sap") if is_streamed else METRICS,
            baselines.columns(under, wanted),
            detector.labels,
            latencies=latencies,
            fps=arguments.fps,
        )
        lstd.evaluate(runs, data, metrics, under, baselines=wanted)
        for name, mine in metrics.items():
            numbers = {key: value for metric in mine for key, value in metric.result().items()}
            result[name + suffix] = Scored(numbers, mine[0])
    return result


def found_by_large(model: lstd.LSTMSSD, folder: Path) -> list[dict[str, Any]]:
    """Returns what the large network finds in the first frames of a folder."""
    metric = CocoMetric(model.labels)
    dataset = dataset_of(model, folder)
    lstd.evaluate(model, dataset, {"LARGE": [metric]}, ("LARGE",), max_frames=24)
    return [found._asdict() for found in metric.detections.values()]


def in_int8(model: lstd.LSTMSSD, folder: Path) -> dict[str, Any]:
    """Returns the options of an export in 8 bits after training."""
    return {"quantization": "int8", "representative_data": dataset_of(model, folder)}


def dataset_of(model: lstd.LSTMSSD, folder: Path) -> Any:
    """Returns the records of a folder as an evaluation dataset at the model's input size."""
    data = lstd.DataConfig()
    part = dataclasses.replace(
        data.evaluation,
        input_path=(str(folder / "*.tfrecord"),),
        height=model.config.input_height,
        width=model.config.input_width,
        batch_size=1,
    )
    return lstd.make_dataset(dataclasses.replace(data, evaluation=part), "evaluation")


def facts_of(name: str, rows: Rows, drawn: dict[str, list[np.ndarray]]) -> dict[str, Any]:
    """Returns what a row of the table says, and the numbers of each seed.

    `drawn` has AP50 of all clips and of each draw of clips, by row and seed.
    """
    kind = name.partition(" ")[0]
    reference = f"{kind if f'{kind} {REFERENCE}' in rows else 'interleaved'} {REFERENCE}"
    below = []
    if reference in rows and reference != name:
        for seed, own in enumerate(drawn[name]):
            below.append(_interval(drawn[reference][seed if kind == "interleaved" else 0] - own))
    seeds = [scored.numbers for scored in rows[name]]
    return {
        "ap50": _mean([_interval(own) for own in drawn[name]]),
        f"below_{REFERENCE}": _mean(below) if below else None,
        "mean": {key: statistics.fmean(each.get(key, -1) for each in seeds) for key in seeds[0]},
        "seeds": seeds,
    }


def ap50_of_draws(scored: Scored, *, fps: float | None, draws: int) -> np.ndarray:
    """Returns AP50 of all clips and then of each draw of clips, the same for every row."""
    units = bootstrap.units_of(list(scored.coco.ground_truth), fps=fps)
    return bootstrap.drawn(scored.coco, units, draws=draws)["coco/ap50"]


def _interval(values: np.ndarray) -> tuple[float, float, float]:
    """Returns the value of all clips, and the ends of the interval."""
    return (float(values[0]), *bootstrap.interval(values[1:]))


def _mean(intervals: list[tuple[float, float, float]]) -> list[float | None]:
    """Returns the means; None for the ends where the clips are too few for an interval."""
    means = [statistics.fmean(values) for values in zip(*intervals, strict=True)]
    return [None if math.isnan(mean) else mean for mean in means]


def _text(interval: list[float | None] | None, form: str) -> str:
    if interval is None:
        return ""
    value, *ends = (format(each, form) for each in interval if each is not None)
    return f"{value} ({' to '.join(ends)})" if ends else value


def markdown(table: dict[str, dict[str, Any]]) -> str:
    """Returns the table."""
    shown = {
        key: title for key, title in SHOWN.items() if any(key in t["mean"] for t in table.values())
    }
    has_seeds = max(len(facts["seeds"]) for facts in table.values()) > 1
    header = [
        "row",
        "AP50",
        *["of each seed"] * has_seeds,
        f"below {REFERENCE}",
        *shown.values(),
        "M multiply-adds",
    ]
    header += ["average ms", "median ms", "p95 ms"]
    lines = [header, ["---"] * len(header)]
    for name, facts in table.items():
        cost = facts["cost"]
        numbers = [facts["mean"].get(key, -1) for key in shown]
        lines.append(
            [
                name,
                _text(facts["ap50"], ".3f"),
                *([" ".join(f"{each['coco/ap50']:.3f}" for each in facts["seeds"])] * has_seeds),
                _text(facts[f"below_{REFERENCE}"], "+.3f"),
                *("" if number == -1 else f"{number:.3f}" for number in numbers),
                f"{(cost['multiply_adds'] or 0) / 1e6:.0f}",
                *(f"{cost[key]:.2f}" for key in ("average_ms", "median_ms", "p95_ms")),
            ]
        )
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def draw(table: dict[str, dict[str, Any]], path: Path) -> None:
    """Draws AP50 over multiply-adds, a line for each way to spend them."""
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    lines: dict[str, list[str]] = {}
    for name in table:
        first, *more = name.removesuffix(f", {ZEROED}").split("-")
        is_one = not first.startswith("interleaved ")
        way = first if is_one else more[0] if more else "interleaved"
        lines.setdefault(way + (f", {ZEROED}" if ZEROED in name else ""), []).append(name)
    for way, names in lines.items():
        costs = [(table[name]["cost"]["multiply_adds"] or 0) / 1e6 for name in names]
        scores = np.array([table[name]["ap50"] for name in names], float)  # None becomes NaN
        axes.plot(costs, scores[:, 0], "o-", markersize=4, label=way)
        if way == "interleaved":
            axes.fill_between(costs, scores[:, 1], scores[:, 2], alpha=0.15)
            for name, cost, score in zip(names, costs, scores[:, 0], strict=True):
                axes.annotate(
                    name.split()[1],
                    (cost, score),
                    xytext=(-3, 5),
                    textcoords="offset points",
                    ha="right",
                    fontsize="small",
                )
    axes.set(xlabel="million multiply-adds a frame", ylabel="AP50", ylim=(0, None), xlim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", frameon=False)
    figure.savefig(path, dpi=130)
    plt.close(figure)


if __name__ == "__main__":
    main()
