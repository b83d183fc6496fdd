"""The moving picture of the README: one video, four ways to use one detector, side by side.

    python -m docs.draw_detections

The large network on every frame; its boxes held still for nine frames; SKIP9, where the small
network answers those nine, with the memory; and the small network on every frame. Model and video
come with lstd, and neither has seen the other before: the video is played on a map of the test part
(docs/freedoom.md).
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

import lstd
from lstd.base.whole_file import write_whole
from lstd.media import draw, video

PICTURE = Path(__file__).resolve().parent / "detections.webp"
CAPTIONS = (
    "large network, every frame",
    "every tenth frame, boxes held",
    "SKIP9: nine of ten small, with memory",
    "small network, every frame",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", default="freedoom_s")
    parser.add_argument("--input", type=Path, default=Path("examples/freedoom/freedoom.mp4"))
    parser.add_argument("--output", type=Path, default=PICTURE)
    arguments = parser.parse_args(argv)
    with video.VideoReader(arguments.input) as reader:
        frames = [frame.image for frame in reader]
        fps = reader.info.fps
    shown = list(side_by_side(arguments.model, frames))
    content = moving_picture(shown, fps=fps)
    write_whole(arguments.output, content)
    print(f"{arguments.output}: {len(content) / 1e6:.2f} MB")
    return 0


def side_by_side(model: str, frames: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """Yields for each frame, uint8 RGB `[H, W, 3]`, four pictures, as `CAPTIONS` says."""
    with (
        lstd.VideoDetector(model, schedule="LARGE") as large,
        lstd.VideoDetector(model, schedule="SKIP9") as mixed,
        lstd.VideoDetector(model, schedule="SMALL") as small,
    ):
        held = None
        for frame in frames:
            every, now = large(frame), mixed(frame)
            if held is None or mixed.last_network == "large":
                held = now
            pictures = [
                draw.annotate(
                    frame,
                    found,
                    large.labels,
                    min_score=large.min_score,
                    scale=2,
                    with_scores=False,
                )
                for found in (every, held, now, small(frame))
            ]
            yield draw.contact_sheet(pictures, CAPTIONS, columns=2, cell_width=300, gap=6)


def moving_picture(
    frames: Sequence[np.ndarray],
    *,
    fps: float,
    start: int = 0,
    count: int = 90,
    every: int = 1,
    side: int = 930,
    quality: int = 40,
) -> bytes:
    """Returns an animated WebP that plays some of the frames at the speed of the video.

    Args:
        frames: uint8 RGB `[H, W, 3]`.
        fps: of the frames.
        start: the first one shown.
        count: how many are shown at most.
        every: each so manyth frame.
        side: of the picture's longer side, pixels.
        quality: of WebP, 0 to 100.
    """
    images = [Image.fromarray(frame) for frame in frames[start : start + count * every : every]]
    for image in images:
        image.thumbnail((side, side))
    content = io.BytesIO()
    images[0].save(
        content,
        "WEBP",
        save_all=True,
        append_images=images[1:],
        duration=round(1000 * every / fps),
        loop=0,
        quality=quality,
        method=4,
    )
    return content.getvalue()


if __name__ == "__main__":
    raise SystemExit(main())
