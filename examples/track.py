"""Follows objects through a video: lstd finds them, ByteTrack gives each of them a number.

    python examples/track.py --model exported --input street.mp4 --output tracks.mp4

Needs `pip install "lstd[video,tracking]"`. The video shows boxes, numbers and the way each object
went; the table on stdout says how long each number was seen.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import Counter

import numpy as np

from lstd.media.video import VideoReader
from lstd.media.video_writer import VideoWriter
from lstd.runtime.detector import VideoDetector

with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)  # It works without OpenCV as well, and says so.
    import supervision
    import trackers


def main() -> None:
    """Writes the video and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="what lstd-export wrote")
    parser.add_argument("--input", required=True, help="video, folder of images or camera")
    parser.add_argument("--output", default="tracks.mp4")
    parser.add_argument("--schedule", help="such as SKIP9; the model's own if not given")
    parser.add_argument(
        "--min_score", type=float, help="of what is tracked; the model's if not given"
    )
    parser.add_argument("--max_frames", type=int)
    arguments = parser.parse_args()

    detector = VideoDetector(arguments.model, arguments.schedule, min_score=arguments.min_score)
    seen: Counter[int] = Counter()
    names: dict[int, str] = {}
    with VideoReader(arguments.input) as reader:
        info = reader.info
        tracker = trackers.ByteTrackTracker(
            frame_rate=info.fps,
            track_activation_threshold=detector.min_score,
            high_conf_det_threshold=detector.min_score,
        )
        draw = Drawing()
        with VideoWriter(
            arguments.output, fps=info.fps, width=info.width, height=info.height
        ) as writer:
            for number, frame in enumerate(reader):
                if number == arguments.max_frames:
                    break
                found = detector(frame.image).to_supervision(min_score=detector.min_score / 2)
                tracked = tracker.update(found)
                tracked = tracked[tracked.tracker_id >= 0]
                seen.update(tracked.tracker_id.tolist())
                names.update(
                    zip(tracked.tracker_id.tolist(), tracked.data["class_name"], strict=True)
                )
                writer.write(draw(frame.image, tracked))
    print(f"{len(seen)} objects in {writer.num_frames} frames, written: {arguments.output}")
    for track, count in sorted(seen.items()):
        print(f"  {names[track]} {track}: in {count} frames")


class Drawing:
    """Boxes, numbers and ways, drawn by supervision."""

    def __init__(self) -> None:
        by_track = {"color_lookup": supervision.ColorLookup.TRACK}
        self._boxes = supervision.BoxAnnotator(thickness=1, **by_track)
        self._labels = supervision.LabelAnnotator(text_scale=0.35, text_padding=2, **by_track)
        self._ways = supervision.TraceAnnotator(thickness=1, trace_length=60, **by_track)

    def __call__(self, image: np.ndarray, tracked: supervision.Detections) -> np.ndarray:
        """Returns a copy of the frame with what was tracked in it."""
        picture = self._boxes.annotate(image.copy(), tracked)
        picture = self._ways.annotate(picture, tracked)
        labels = [str(track) for track in tracked.tracker_id]
        return self._labels.annotate(picture, tracked, labels=labels)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"track.py: error: {error}")
