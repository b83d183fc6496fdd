"""What `lstd-data convert` takes of memory for long videos, large frames and many classes.

    python benchmarks/convert_memory.py

Each data set is a folder of images with a table, made in a temporary folder; all its pictures are
one JPEG of noise under many names. Prints the largest resident memory of the process that converts
it, and of one that converts two frames.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

_LINKS = 50_000  # that a file may have: ext4 allows 65,000
_RUN = "import resource, sys; from lstd.cli import data; code = data.main(sys.argv[1:]); "
_RUN += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024); sys.exit(code)"

CASES = {  # name -> frames, height, width, classes, flags
    "two frames": (2, 48, 64, 1, []),
    "216,000 frames, 1,000 classes": (216_000, 48, 64, 1_000, []),
    "the same, one record a video": (216_000, 48, 64, 1_000, ["--frames_per_record=0"]),
    "100 frames of 3840 x 2160, one record a video": (
        *(100, 2160, 3840, 1),
        ["--frames_per_record=0"],
    ),
}


def make(folder: Path, frames: int, height: int, width: int, classes: int) -> int:
    """Writes the pictures and the table of a video; returns the bytes of a picture."""
    (folder / "v").mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, [height, width, 3], np.uint8)
    original = folder / "original"
    for number in range(frames):
        if number % _LINKS == 0:
            original.unlink(missing_ok=True)
            Image.fromarray(noise).save(original, "JPEG", quality=95)
        os.link(original, folder / "v" / f"{number:06d}.jpg")
    with (folder / "v.csv").open("w") as table:
        table.write("frame,class,track_id,ymin,xmin,ymax,xmax\n")
        table.writelines(
            f"{n},class {n % classes},{n % 50},1,1,{height // 2},{width // 2}\n"
            for n in range(frames)
        )
    size = original.stat().st_size
    original.unlink()
    return size


def main() -> None:
    """Prints a line for each case."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for name, (frames, height, width, classes, flags) in CASES.items():
        with tempfile.TemporaryDirectory() as temporary:
            source, out = Path(temporary, "in"), Path(temporary, "out")
            size = make(source, frames, height, width, classes)
            command = ["convert", "--workers=1", f"--input={source}", f"--output_directory={out}"]
            start = time.perf_counter()
            run = [sys.executable, "-c", _RUN, *command, *flags]
            said = subprocess.run(run, check=True, stdout=subprocess.PIPE, text=True).stdout
            index = json.loads((out / "index.json").read_text())
            largest = max(record["bytes"] for s in index["shards"] for record in s["records"])
            print(
                f"{name}: {frames} frames of {size / 1e6:.3f} MB, {len(index['labels'])} classes, "
                f"largest record {largest / 1e6:.0f} MB, memory {said.split()[-1]} MB, "
                f"{time.perf_counter() - start:.0f} s"
            )


if __name__ == "__main__":
    main()
