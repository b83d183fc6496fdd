"""From a source to files: reader, detector, drawing and writers in one loop."""

import json
import os
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from lstd.base.terminal import interrupts
from lstd.base.whole_file import whole_file
from lstd.media import draw, video
from lstd.media.video_writer import VideoWriter
from lstd.runtime.detector import VideoDetector
from lstd.runtime.frame_detections import FrameDetections


class Summary(NamedTuple):
    """What a run did."""

    num_frames: int
    frames_per_second: float
    """Of the whole loop, reading and writing included."""
    frames_by_network: dict[str, int]
    frames_per_second_by_network: dict[str, float]
    """Of the detector alone (resize and network), from the median over its frames."""
    num_detections: int
    """Drawn and listed."""
    best_score: float
    """The highest of any detection, also of those below `min_score`; 0 without any."""
    interrupted: bool
    """Ctrl-C ended the run; the results hold the frames until then."""


def detect_video(
    detector: VideoDetector,
    reader: video.VideoReader,
    *,
    video_path: str | os.PathLike[str],
    json_lines_path: str | os.PathLike[str],
    max_frames: int | None = None,
    progress: Callable[[], None] | None = None,
) -> Summary:
    """Runs the detector over a source and writes a video with boxes and a JSON Lines file.

    Small frames are enlarged in the video (`lstd.media.draw.readable_scale`). Each line of the JSON
    Lines file is one frame:

        {"frame": 0, "time_s": 0.0, "network": "large", "detections": [
          {"label": "woodlouse", "class": 0, "score": 0.97,
           "box": [ymin, xmin, ymax, xmax],      in [0, 1] of the frame
           "box_px": [ymin, xmin, ymax, xmax]}]} in pixels of the source's frame

    In async mode there is also "state_frame", the frame whose state the answer rests on, or null.

    Both files appear when both are whole; after an error there is neither. The first Ctrl-C ends
    the loop after the current frame and keeps what is there, the second one aborts.

    The detector is reset before the first frame, `progress` is called after each. Detections below
    the detector's `min_score` are neither drawn nor listed.

    Raises:
        ValueError, OSError: the source cannot be read to its end, or a file cannot be written.
    """
    detector.reset()
    info, num_detections, best_score = reader.info, 0, 0.0
    seconds: dict[str, list[float]] = defaultdict(list)  # of the detector, by network
    scale = draw.readable_scale(info.height, info.width)
    with ExitStack() as stack:
        stop = stack.enter_context(interrupts())
        temporary = stack.enter_context(whole_file(json_lines_path))
        lines = stack.enter_context(temporary.open("w", encoding="utf-8", newline="\n"))
        pictures = stack.enter_context(
            VideoWriter(
                video_path, fps=info.fps, width=info.width * scale, height=info.height * scale
            )
        )
        started = time.perf_counter()
        for number, frame in enumerate(islice(reader, max_frames)):
            before = time.perf_counter()
            detections = detector(frame.image)
            network = str(detector.last_network)
            seconds[network].append(time.perf_counter() - before)
            detections = detections.relative()
            drawn = draw.annotate(
                *(frame.image, detections, detector.labels),
                network=network,
                min_score=detector.min_score,
                scale=None,
            )
            pictures.write(drawn)
            line: dict[str, Any] = {"frame": number, "time_s": round(frame.time_s, 4)}
            line["network"] = network
            if detector.mode == "async":
                line["state_frame"] = detector.state_frame
            line["detections"] = _rows(detections, frame.image.shape)
            lines.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
            num_detections += len(line["detections"])
            best_score = max(best_score, *detections.scores[: int(detections.count)].tolist(), 0.0)
            if progress is not None:
                progress()
            if stop.is_set():
                break
        elapsed = time.perf_counter() - started
    num_frames = sum(map(len, seconds.values()))
    return Summary(
        num_frames=num_frames,
        frames_per_second=num_frames / max(elapsed, 1e-9),
        frames_by_network={name: len(times) for name, times in seconds.items()},
        frames_per_second_by_network={
            name: 1.0 / max(float(np.median(times)), 1e-9) for name, times in seconds.items()
        },
        num_detections=num_detections,
        best_score=best_score,
        interrupted=stop.is_set(),
    )


def _rows(detections: FrameDetections, shape: tuple[int, ...]) -> list[dict[str, Any]]:
    """Returns what JSON says of the detections in a frame of this shape, [H, W, ...]."""
    boxes = detections.boxes.astype(np.float64)
    return [
        {
            "label": label,
            "class": int(detections.classes[row]),
            "score": round(float(detections.scores[row]), 5),
            "box": boxes[row].round(6).tolist(),
            "box_px": (boxes[row] * (shape[:2] * 2)).round(2).tolist(),
        }
        for row, label in enumerate(detections.names)
        if float(detections.scores[row]) >= detections.min_score
    ]
