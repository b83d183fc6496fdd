"""The moving picture of the README: detections.webp, from the annotated video of the demo.

    make demo
    python -m docs.draw_detections

The frames are of examples/sowbug (MIT licence, beside them).
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from lstd.base.whole_file import write_whole
from lstd.media import video

PICTURE = Path(__file__).resolve().parent / "detections.webp"


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--input", type=Path, default=Path("demo/detections.mp4"))
    parser.add_argument("--output", type=Path, default=PICTURE)
    arguments = parser.parse_args(argv)
    with video.VideoReader(arguments.input) as reader:
        frames = [frame.image for frame in reader]
        fps = reader.info.fps
    content = moving_picture(frames, fps=fps)
    write_whole(arguments.output, content)
    print(f"{arguments.output}: {len(content) / 1e6:.2f} MB")
    return 0


def moving_picture(
    frames: Sequence[np.ndarray],
    *,
    fps: float,
    start: int = 0,
    count: int = 80,
    every: int = 2,
    side: int = 400,
    quality: int = 55,
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
