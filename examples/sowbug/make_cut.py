r"""Makes the two small videos of this folder, and their boxes, from a video of motutils.

    python examples/sowbug/make_cut.py --video=Sowbug3_cut.mp4 --csv=Sowbug3_cut.csv \
        --output_directory=examples/sowbug

The source shows five woodlice in a dish. The square around the dish is cut out and scaled down; the
human-checked centre of every animal becomes a square box. README.md beside this file has the facts.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from absl import app, flags

from lstd.base.whole_file import whole_file

_VIDEO = flags.DEFINE_string("video", None, "Sowbug3_cut.mp4 of motutils 0.1.2.", required=True)
_CSV = flags.DEFINE_string("csv", None, "Sowbug3_cut.csv of motutils 0.1.2.", required=True)
_OUTPUT_DIRECTORY = flags.DEFINE_string(
    "output_directory", None, "Where the videos and tables are written.", required=True
)
_CRF = flags.DEFINE_integer("crf", 20, "H.264 quality: lower is better and larger.")


class Cut(NamedTuple):
    """A run of source frames that becomes one video; frames count from 1, both ends included."""

    name: str
    first: int
    last: int


CUTS = (Cut("sowbug_train", 1, 3000), Cut("sowbug_unseen", 3601, 4100))
LEFT, TOP, SIDE = 32, 40, 435  # the square around the dish, source pixels
OUTPUT_SIDE = 320  # pixels
BOX_SIDE = 44  # source pixels: a square of this side around the centre covers an animal
LABEL = "sowbug"


def main(_: list[str]) -> None:
    """Writes one `.mp4` and one `.csv` per cut."""
    directory = Path(_OUTPUT_DIRECTORY.value)
    directory.mkdir(parents=True, exist_ok=True)
    centres = read_centres(_CSV.value)
    for cut in CUTS:
        write_table(directory / f"{cut.name}.csv", cut, centres)
        write_video(directory / f"{cut.name}.mp4", cut, source=_VIDEO.value, crf=_CRF.value)
        print(f"{directory / cut.name}.mp4, .csv: source frames {cut.first} to {cut.last}")


def read_centres(path: str) -> dict[int, list[tuple[int, float, float]]]:
    """Returns (identity, x, y) of every animal by source frame."""
    centres: dict[int, list[tuple[int, float, float]]] = {}
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            animal = (int(row["id"]), float(row["x"]), float(row["y"]))
            centres.setdefault(int(row["frame"]), []).append(animal)
    return centres


def box_of(x: float, y: float) -> tuple[float, float, float, float]:
    """Returns (ymin, xmin, ymax, xmax) in output pixels, clipped to the frame."""
    scale = OUTPUT_SIDE / SIDE

    def clipped(value: float) -> float:
        return min(max(value * scale, 0.0), float(OUTPUT_SIDE))

    return (
        clipped(y - TOP - BOX_SIDE / 2),
        clipped(x - LEFT - BOX_SIDE / 2),
        clipped(y - TOP + BOX_SIDE / 2),
        clipped(x - LEFT + BOX_SIDE / 2),
    )


def write_table(path: Path, cut: Cut, centres: dict[int, list[tuple[int, float, float]]]) -> None:
    """Writes the boxes of a cut; its frames count from 0."""
    with whole_file(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["frame", "class", "track_id", "ymin", "xmin", "ymax", "xmax"])
        for number in range(cut.first, cut.last + 1):
            for identity, x, y in sorted(centres.get(number, [])):
                box = [f"{side:.1f}" for side in box_of(x, y)]
                writer.writerow([number - cut.first, LABEL, identity, *box])


def read_frames(source: str, cut: Cut) -> Iterator[Any]:
    """Yields the cut's frames as PIL images, cropped to the dish and scaled."""
    import av
    from PIL import Image

    with av.open(source) as container:
        for number, frame in enumerate(container.decode(video=0), start=1):
            if number > cut.last:
                return
            if number >= cut.first:
                window = (LEFT, TOP, LEFT + SIDE, TOP + SIDE)
                yield frame.to_image().resize(
                    (OUTPUT_SIDE, OUTPUT_SIDE), resample=Image.Resampling.LANCZOS, box=window
                )
    raise ValueError(f"{source} ended before frame {cut.last}: not the video this script is for")


def write_video(path: Path, cut: Cut, *, source: str, crf: int) -> None:
    """Writes the cut's frames as H.264, yuv420p, a key frame at least every 30 frames."""
    import av

    with av.open(source) as container:
        rate = container.streams.video[0].average_rate or Fraction(30)
    with whole_file(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width = stream.height = OUTPUT_SIDE
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(crf), "preset": "slow", "g": "30"}
        for image in read_frames(source, cut):
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    app.run(main)
