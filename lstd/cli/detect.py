"""Detects objects in a video, a folder of images, a camera or a stream.

Examples:
  lstd-detect model.tflite street.mp4 --output_directory out --schedule SKIP9
  lstd-detect --model runs/one --input 0 --output_directory out --max_frames 300
  lstd-detect --model model.tflite --input street.mp4 --output_directory out --async --delay 3

Writes detections.mp4, the frames with boxes, labels and the network that saw each of them, and
detections.jsonl, a line for each frame with its time, its network and its detections. Ctrl-C ends a
run early and keeps what was done until then.

With --async the small network answers every frame, and the large one works beside it in a thread;
in detections.jsonl, state_frame is the frame of the large network that an answer rests on. A file's
frames come as fast as they can be read, so that the large network sees fewer of them than from a
camera; --delay says instead how many frames its state takes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from lstd.base.close_names import close_neighbour
from lstd.base.progress import Progress
from lstd.cli import app, common

if TYPE_CHECKING:
    from lstd.runtime.detect_video import Summary
    from lstd.runtime.detector import VideoDetector

VIDEO_NAME = "detections.mp4"
JSON_LINES_NAME = "detections.jsonl"


FLAGS: app.Flags = {
    **common.flags("model", "config"),
    "input": app.text(
        "Video file, folder of .jpg or .png images, number of a camera (0), or address (rtsp://...)."
    ),
    **common.flags("output_directory", "schedule", "threads"),
    "async": app.switch(
        "The small network answers every frame, the large one runs in a thread of its own."
    ),
    "delay": app.whole(
        "With --async: no thread, the large network's state of frame t arrives at t + delay.",
        least=1,
    ),
    "min_score": app.number(
        "Detections below it are neither drawn nor listed. Not given: the model's, which its "
        "training found, else 0.5.",
        least=0,
        most=1,
    ),
    "max_frames": app.whole("Stop after so many frames.", least=1),
    "labels": app.text(
        "File with the names of the classes: a label map, or one name a line. Empty: the model's."
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code of `lstd-detect`."""
    return app.run(
        _detect,
        FLAGS,
        program="lstd-detect",
        description=__doc__,
        required=["model", "input", "output_directory"],
        argv=argv,
    )


def _detect(values: flags.FlagValues) -> int:
    from lstd.any_model.video_detector import VideoDetector
    from lstd.media.video import VideoReader
    from lstd.runtime.detect_video import detect_video

    is_async, source = values["async"].value, values.input
    if values.delay is not None and not is_async:
        raise ValueError("--delay belongs to --async, which is not given")
    if not (source.isdigit() or "://" in source or Path(source).exists()):
        raise ValueError(f"--input: no file or folder {source}{close_neighbour(Path(source))}")
    model, export = common.open_model(values)
    with (
        VideoReader(source) as reader,
        VideoDetector(
            model,
            schedule=values.schedule or None,
            threads=values.threads or os.cpu_count() or 1,
            labels=common.labels_of(values),
            mode="async" if is_async else "sync",
            delay=values.delay,
            min_score=values.min_score,
            export=export,
        ) as detector,
    ):
        folder = common.writable_directory(values.output_directory)
        paths = folder / VIDEO_NAME, folder / JSON_LINES_NAME
        if Path(source).resolve() == paths[0].resolve():
            raise ValueError(
                f"--input: {source} is what this command writes; choose another folder"
            )
        lengths = [length for length in (reader.info.num_frames, values.max_frames) if length]
        total = min(lengths, default=None)
        with Progress("detecting", total=total, unit="frames") as report:
            summary = detect_video(
                detector,
                reader,
                video_path=paths[0],
                json_lines_path=paths[1],
                max_frames=values.max_frames,
                progress=report.advance,
            )
    if total is not None and summary.num_frames < total and not summary.interrupted:
        print(
            f"--input: {source} ends after {summary.num_frames} of {total} frames; it may be cut",
            file=sys.stderr,
        )
    print("\n".join(_told(summary, detector)))
    print(f"written: {paths[0]}, {paths[1]}")
    return app.INTERRUPTED if summary.interrupted else app.OK


def _told(summary: Summary, detector: VideoDetector) -> Iterator[str]:
    """Yields what was done, how fast, and how much was found."""
    if summary.interrupted:
        yield f"stopped by Ctrl-C after {summary.num_frames} frames"
    yield (
        f"{summary.num_frames} frames with schedule {detector.schedule}, "
        f"{summary.frames_per_second:.1f} frames/s with reading and writing"
    )
    for network, count in sorted(summary.frames_by_network.items()):
        speed = summary.frames_per_second_by_network[network]
        yield f"  {network}: {count} frames, {speed:.1f} frames/s in the detector alone"
    if detector.mode == "async":
        delays = sorted(delay for delay in detector.delays if delay is not None)
        arrived = "no state arrived"
        if delays:
            median = delays[len(delays) // 2]
            arrived = f"states arrived after {median} frames (median; {delays[0]} to {delays[-1]})"
        yield (
            f"  large: beside them {len(detector.delays)} frames, {detector.skipped_turns} turns "
            f"skipped, {arrived}"
        )
    if summary.num_detections or not summary.best_score:
        yield f"{summary.num_detections} detections of a score of {detector.min_score:g} or more"
    else:
        yield (
            f"no detection has a score of {detector.min_score:g} or more, the best has "
            f"{summary.best_score:.3g}; --min_score lists and draws those from another score on"
        )


if __name__ == "__main__":
    sys.exit(main())
