"""Detections within seconds, then the whole chain on real video, from training to a report.

First the model that comes with lstd looks at a clip of the game it knows. Then its weights are
trained further on the first 3,000 frames of the sowbug video, scored on 500 later ones that they
never saw, and exported; the exported file runs over the unseen frames, and one page shows
everything. Run it as `make demo`, or:

    python examples/demo.py --output_directory demo
"""

from __future__ import annotations

import dataclasses
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import lstd
from lstd.cli import app, common
from lstd.config import config_io
from lstd.config.config import Config
from lstd.tf1.load_config import load_config

ROOT = Path(__file__).resolve().parent.parent
SOWBUG = ROOT / "examples" / "sowbug"
FREEDOOM = ROOT / "examples" / "freedoom" / "freedoom.mp4"
SHIPPED = "freedoom_s"
CONFIG = ROOT / "configs" / "sowbug_demo.yaml"
SCHEDULES = ("LARGE", "SKIP3", "SKIP9", "SMALL")
BASELINES = ("held", "velocity")
SPEED = 5
COLUMNS = ("AP50", "AP", "AP50, every fifth frame")
STAGES = ("first look", "data", "train", "evaluate", "export", "detect", "report")
MARK = "made_by_the_demo.txt"


class Scores(NamedTuple):
    """What the table shows.

    Attributes:
        rows: (name, AP50, AP, AP50 on every fifth frame).
        curves: recall and precision at IoU 0.5, for each schedule.
        columns: the numbers of each schedule and baseline.
    """

    rows: list[tuple[str, float, float, float]]
    curves: dict[str, tuple[np.ndarray, np.ndarray]]
    columns: dict[str, dict[str, float]]


class Clock:
    """Says which stage begins, and how long each took."""

    def __init__(self) -> None:
        self.start = self.last = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def stage(self, name: str, text: str) -> None:
        """Says what begins."""
        number = STAGES.index(name) + 1
        print(f"\n[{number}/{len(STAGES)}] {text}", flush=True)

    def done(self, name: str) -> None:
        """Says how long it took."""
        now = time.perf_counter()
        self.seconds[name], self.last = now - self.last, now
        print(f"      {name}: {self.seconds[name]:.0f} s", flush=True)


FLAGS: app.Flags = {
    "output_directory": app.text("Folder for all that it makes.", "demo"),
    **common.flags("set"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    common.end_quietly()
    return app.run(
        lambda values: run(Path(values.output_directory), values.set),
        FLAGS,
        program="demo",
        description=__doc__,
        argv=argv,
    )


def run(folder: Path, settings: list[str]) -> int:
    """Goes through the stages; everything it makes lies in `folder`."""
    config = config_of(folder, settings)
    claim(folder)
    clock = Clock()
    clock.stage("first look", f"{SHIPPED}, which comes with lstd, on a clip that is new to it")
    detect(SHIPPED, FREEDOOM, folder / "first_look")
    sheet = write_sheet(folder / "first_look", caption="frame")
    print(f"      look at {sheet}, or at all of it: {sheet.with_suffix('.mp4')}")
    clock.done("first look")

    clock.stage("data", "writing the two videos as TFRecords of SequenceExamples")
    write_records(folder)
    clock.done("data")

    steps = config.train.steps
    clock.stage("train", f"training {steps} steps; AP on the unseen frames after each epoch")
    run_folder = folder / "run"
    train(config, run_folder)
    clock.done("train")

    clock.stage("evaluate", f"scoring the unseen frames under {', '.join(SCHEDULES)}")
    # The last weights, not the best on the unseen frames: nothing is chosen by them.
    model = lstd.load_model(run_folder, weights="last")
    scores = evaluate(model, config)
    clock.done("evaluate")

    clock.stage("export", "writing model.tflite and checking it against Keras")
    exported = export(model, folder / "export")
    clock.done("export")

    clock.stage("detect", "running the exported file over the unseen video under SKIP9")
    summary = detect(exported, SOWBUG / "sowbug_unseen.mp4", folder / "detections")
    clock.done("detect")

    clock.stage("report", "drawing the contact sheet, the curves and the page")
    report = write_report(folder, scores, summary, clock)
    clock.done("report")
    print(f"\n{table(scores)}\n")
    print(f"report: {report}")
    print(f"all of it took {(time.perf_counter() - clock.start) / 60:.1f} minutes")
    return 0


def config_of(folder: Path, settings: list[str], path: Path = CONFIG) -> Config:
    """Returns the config of the run, which reads the records in `folder`."""
    config = load_config(path)
    train, unseen = (
        dataclasses.replace(part, input_path=(str(folder / "data" / split / "*.tfrecord"),))
        for part, split in ((config.data.train, "train"), (config.data.evaluation, "unseen"))
    )
    data = dataclasses.replace(config.data, train=train, evaluation=unseen)
    return config_io.override(dataclasses.replace(config, data=data), settings)


def claim(folder: Path) -> None:
    """Removes an earlier demo's data and run; a folder with anything else in it is refused."""
    mark = folder / MARK
    folder.mkdir(parents=True, exist_ok=True)
    if not mark.exists() and any(folder.iterdir()):
        raise ValueError(
            f"--output_directory {folder}: expected a new or empty folder, or an earlier demo's "
            f"(with {MARK} in it), because data and run in it are removed; name another folder"
        )
    mark.write_text("The next demo removes data and run beside this file.\n")
    for name in ("data", "run"):
        shutil.rmtree(folder / name, ignore_errors=True)


def write_records(folder: Path) -> None:
    """Writes the two videos as records."""
    from lstd.data import convert, readers
    from lstd.data.convert import Settings

    for split in ("train", "unseen"):
        source = readers.open(SOWBUG / f"sowbug_{split}.mp4")  # and the CSV file beside it
        convert.convert(source, folder / "data" / split, Settings())


def train(config: Config, run_folder: Path) -> None:
    """Trains, from the weights that the config names."""
    from lstd.evaluation.callback import EvaluationCallback
    from lstd.training import train as training

    unseen = lstd.make_dataset(config.data, "evaluation")
    callback = EvaluationCallback(unseen, schedules=config.evaluation.schedules)
    training.train(config, run_folder, evaluations=[callback], command=["make", "demo"])


def evaluate(model: lstd.LSTMSSD, config: Config) -> Scores:
    """Returns the scores of all schedules, of their baselines and of the mean boxes."""
    import baselines

    from lstd.evaluation import results
    from lstd.evaluation.baselines import columns
    from lstd.evaluation.metrics.coco import CocoMetric
    from lstd.evaluation.metrics.distance import DistanceMetric

    labels = model.labels
    metrics = {
        name: [CocoMetric(labels), DistanceMetric(labels)] for name in columns(SCHEDULES, BASELINES)
    }
    unseen = lstd.make_dataset(config.data, "evaluation")
    numbers = lstd.evaluate(model, unseen, metrics, SCHEDULES, baselines=BASELINES)
    whole = dataclasses.replace(config.data.evaluation, batch_size=1, unroll_length=2 * SPEED)
    faster = lstd.make_dataset(dataclasses.replace(config.data, evaluation=whole), "evaluation")
    faster = faster.map(every_fifth_frame)
    of_faster = lstd.evaluate(model, faster, [CocoMetric], SCHEDULES, baselines=BASELINES)
    rows = [
        (
            text,
            numbers[f"{name}/coco/ap50"],
            numbers[f"{name}/coco/ap"],
            of_faster[f"{name}/coco/ap50"],
        )
        for name, text in NAMES.items()
    ]
    mean = baselines.mean_boxes(_training_objects(config))
    every = metrics["SKIP9"][0].ground_truth
    fifth = {(video, index): true for (video, index), true in every.items() if index % SPEED == 0}
    result, of_fifth = (
        baselines.score(CocoMetric(labels), truth, baselines.on_every_frame(mean, truth))
        for truth in (every, fifth)
    )
    last = result["coco/ap50"], result["coco/ap"], of_fifth["coco/ap50"]
    rows.append(("mean training boxes", *last))
    curves = {name: metrics[name][0].precision_recall(0.5) for name in SCHEDULES}
    by_schedule = {name: results.of_schedule(numbers, name, [*metrics]) for name in NAMES}
    return Scores(rows, curves, by_schedule)


def every_fifth_frame(clip: Any, truth: Any) -> tuple[Any, Any]:
    """Returns what is left of a clip of ten frames when everything moves five times as fast."""
    clip = clip._replace(
        frames=clip.frames[:, ::SPEED],
        starts=clip.starts[:, ::SPEED],
        frame_index=clip.frame_index[:, ::SPEED] // SPEED,
    )
    return clip, type(truth)(*(None if part is None else part[:, ::SPEED] for part in truth))


def _training_objects(config: Config) -> dict[Any, Any]:
    """Returns the true objects of every training frame, in pixels of the frames that are scored."""
    from lstd.data import readers
    from lstd.evaluation.objects import Objects

    size = (config.data.evaluation.height, config.data.evaluation.width)
    (video,) = readers.open(SOWBUG / "sowbug_train.csv").videos
    truths = (frame.truth for frame in video.read(images=False))
    return {
        number: Objects(truth.boxes * (size * 2), truth.classes, np.ones(len(truth.classes)))
        for number, truth in enumerate(truths)
    }


def export(model: lstd.LSTMSSD, folder: Path) -> Path:
    """Writes SavedModel, `model.tflite` and `model.json`; returns the `.tflite`."""
    from lstd.export import tflite

    _, lite = tflite.export_all(model, folder, notify=lambda line: print(f"      {line}"))
    return lite.path


def detect(model: str | Path, source: Path, target: Path) -> Any:
    """Runs an exported file over a video, into `target`.mp4 with its boxes and a list of them."""
    from lstd.media import video
    from lstd.runtime import detect_video

    detector = lstd.VideoDetector(model, schedule="SKIP9")
    with video.VideoReader(source) as reader:
        summary = detect_video.detect_video(
            detector,
            reader,
            video_path=target.with_suffix(".mp4"),
            json_lines_path=target.with_suffix(".jsonl"),
        )
    speeds = ", ".join(
        f"{name} {speed:.0f}" for name, speed in summary.frames_per_second_by_network.items()
    )
    print(f"      {summary.num_frames} frames; frames per second on one thread: {speeds}")
    return summary


def write_sheet(target: Path, *, caption: str, count: int = 9) -> Path:
    """Draws some frames of `target`.mp4, which `detect` wrote, into one picture beside it."""
    from PIL import Image

    from lstd.media import draw, video

    frames = list(video.read_frames(target.with_suffix(".mp4")))
    chosen = np.linspace(0, len(frames) - 1, count).astype(int)
    chosen[::4] -= chosen[::4] % 10  # SKIP9: these are the large network's.
    captions = [f"{caption} {number}" for number in chosen]
    sheet = target.with_suffix(".png")
    picture = draw.contact_sheet([frames[n] for n in chosen], captions, clear=True)
    Image.fromarray(picture).save(sheet)
    return sheet


def write_report(folder: Path, scores: Scores, summary: Any, clock: Clock) -> Path:
    """Draws everything and returns the page."""
    from lstd.evaluation import html_page, plots, report

    sheet = write_sheet(folder / "detections", caption="unseen frame")
    pictures = {
        **history_plots(folder / "run" / "history.csv"),
        "precision_recall.svg": plots.precision_recall(scores.curves, iou=0.5),
    }
    for name, content in pictures.items():
        (folder / name).write_bytes(content)
    seconds = [(name, f"{value:.0f}") for name, value in clock.seconds.items()]
    speeds = [
        (name, str(summary.frames_by_network[name]), f"{speed:.0f}")
        for name, speed in summary.frames_per_second_by_network.items()
    ]
    large, small = (summary.frames_per_second_by_network[name] for name in ("large", "small"))
    shown = {name: each for name, each in scores.columns.items() if name not in ("SKIP3", "SMALL")}
    return html_page.write_page(
        folder / "report.html",
        title="Five sowbugs in a dish",
        headline=report.headline(shown, {"LARGE": large, "SKIP9": 10 / (1 / large + 9 / small)}),
        summary=(
            "A small interleaved detector that knew figures of a game, trained for some minutes "
            "on 3,000 frames, and scored on 500 that come 20 seconds after the last of them."
        ),
        tables=[
            html_page.Table(
                "On the unseen frames",
                ("answer", *COLUMNS),
                texts(scores),
                "coco/ap50 and coco/ap over 500 frames of one video; the boxes are squares around "
                "human-checked points. One seed, one video, frames that follow one another: "
                "differences below 0.05 AP50 or 0.15 AP are ties.",
            ),
            html_page.Table(
                "The exported file in a stream (SKIP9)",
                ("network", "frames", "frames per second, one thread"),
                speeds,
                "Median of this run, of the network with its resize; not a benchmark.",
            ),
            html_page.Table("How long it took", ("stage", "seconds"), seconds),
        ],
        plots=[
            html_page.Picture(pictures["loss.svg"], "Loss over the epochs of training."),
            html_page.Picture(
                pictures["ap.svg"],
                "AP on the unseen frames; only the score to draw from is chosen by it.",
            ),
            html_page.Picture(pictures["precision_recall.svg"], "Precision over recall, IoU 0.5."),
            *report.distances(scores.columns),
        ],
        pictures=[
            html_page.Picture(sheet, "Frames from the annotated video, evenly spread.", wide=True)
        ],
        video=folder / "detections.mp4",
        video_caption="model.tflite under SKIP9: the badge says which network saw the frame.",
        notes=(
            "The shipped video is a reduced cut of a film from the package motutils (MIT).",
            "Made by `make demo`; the config is run/config.yaml, the file to ship "
            "export/model.tflite with export/model.json beside it.",
        ),
    )


def history_plots(path: Path) -> dict[str, bytes]:
    """Returns the losses and the AP over the epochs of a run, as SVG by name."""
    from lstd.evaluation import plots
    from lstd.training import history

    rows = history.read_history(path)
    columns = {name: np.array([float(row[name] or "nan") for row in rows]) for name in rows[0]}
    losses = ("loss", "localization", "classification", "regularization")
    chosen = {
        "loss": [name for name in columns if name.removeprefix("val_") in losses],
        "ap": [name for name in columns if name.endswith(("coco/ap", "coco/ap50"))],
    }
    pictures = {}
    for kind, names in chosen.items():
        points = {}
        for name in names:
            values = columns[name]
            known = np.isfinite(values) & (values != -1)  # -1: nothing could be measured
            points[name] = np.flatnonzero(known) + 1, values[known]
        pictures[f"{kind}.svg"] = plots.lines(
            points, x="epoch", y=kind, marker=".", log=kind == "loss"
        )
    return pictures


def table(scores: Scores) -> str:
    """Returns the scores as text."""
    from lstd.evaluation import results

    return results.format_table(("unseen frames", *COLUMNS), texts(scores))


def texts(scores: Scores) -> list[tuple[str, ...]]:
    """Returns the rows, with numbers of three digits."""
    return [(name, *(f"{number:.3f}" for number in numbers)) for name, *numbers in scores.rows]


NAMES = {
    "LARGE": "large network on every frame (LARGE)",
    "SKIP3": "one large, three small (SKIP3)",
    "SKIP9": "one large, nine small (SKIP9)",
    "SMALL": "small network on every frame (SMALL)",
    "SKIP9-held": "large network's last boxes held still (9 frames)",
    "SKIP9-velocity": "large network's last boxes at constant velocity (9 frames)",
}


if __name__ == "__main__":
    sys.exit(main())
