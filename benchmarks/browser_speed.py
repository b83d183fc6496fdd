"""The web page's frames per second in headless Chromium against VideoDetector's, in turns.

    python benchmarks/browser_speed.py [--model exported/model.tflite] [--turns 9]

Without --model it is the one that comes with lstd. Both get the same frames of the sowbug
video and run one large network, then nine small ones, on one thread: the browser from the frame as
a picture to the page's answer, `VideoDetector` from the array to the detections. A turn is 40
frames of each, one after the other; the ratios are of the two in a turn. Before that, the page is
loaded three times to see when its first detection comes. Needs node, npm and Chromium.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np

from lstd.media import video
from lstd.runtime.detector import VideoDetector

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from tests import browser  # noqa: E402

CLIP = ROOT / "examples" / "sowbug" / "sowbug_unseen.mp4"


def main() -> int:
    """Prints the table; returns 2 where something that it needs is not there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=ROOT / "lstd/weights/freedoom_s/model.tflite")
    parser.add_argument("--turns", type=int, default=9)
    arguments = parser.parse_args()
    if browser.MISSING:
        print(f"needs {', '.join(browser.MISSING)}")
        return 2
    if not arguments.model.is_file():
        print(f"{arguments.model}: no such file; name another with --model")
        return 2
    frames = np.stack(list(islice(video.read_frames(CLIP), 40)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if problem := browser.build(folder):
            print(problem)
            return 2
        shutil.copy(arguments.model, folder / "model.tflite")
        shutil.copy(CLIP, folder / "video.mp4")
        browser.write_frames(folder / "frames.rgba", frames)
        with browser.served(folder) as address:
            firsts = [_first(address) for _ in range(3)]
            print(f"first detection {_spread(firsts)} s after the page was asked for")
            with browser.Browser() as page:
                (folder / "blank.html").touch()
                page.open(f"{address}blank.html")  # The same origin, and nothing else runs.
                page.run(browser.load("model.tflite", "frames.rgba"))
                _compare(page, VideoDetector(arguments.model, "SKIP9"), frames, arguments.turns)
    return 0


def _first(address: str) -> float:
    """Returns the seconds from a new browser's empty page to the first detection."""
    with browser.Browser() as page:
        started = time.perf_counter()
        page.open(address)
        page.wait_for("!network.hidden")
        return time.perf_counter() - started


def _compare(
    page: browser.Browser, detector: VideoDetector, frames: np.ndarray, turns: int
) -> None:
    height, width = frames.shape[1:3]
    rows: dict[str, list[tuple[float, float]]] = {"large ms": [], "small ms": [], "frames/s": []}
    for turn in range(turns + 2):  # two to warm up
        said = page.run(browser.answers(width, height, skip=9))
        detector.reset()
        ours = []
        for frame in frames:
            started = time.perf_counter()
            detector(frame)
            ours.append((str(detector.last_network), (time.perf_counter() - started) * 1e3))
        theirs = [(each["network"], each["ms"]) for each in said["answers"]]
        if turn < 2:
            continue
        for network in ("large", "small"):
            pair = [
                statistics.median(ms for name, ms in side if name == network)
                for side in (theirs, ours)
            ]
            rows[f"{network} ms"].append((pair[0], pair[1]))
        seconds = said["ms"] / 1e3, sum(ms for _, ms in ours) / 1e3
        rows["frames/s"].append((len(frames) / seconds[0], len(frames) / seconds[1]))
    print(f"{turns} turns of {len(frames)} frames of {width} x {height}, median (least to most)")
    for name, pairs in rows.items():
        browsers, detectors = zip(*pairs, strict=True)
        ratios = [one / other for one, other in pairs]
        print(
            f"{name:9} browser {_spread(browsers)}   VideoDetector {_spread(detectors)}   "
            f"ratio {_spread(ratios)}"
        )


def _spread(values: list[float] | tuple[float, ...]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    sys.exit(main())
