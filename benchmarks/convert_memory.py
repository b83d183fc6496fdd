"""What `lstd-data convert` takes of memory for long videos, large frames and many classes.

    python benchmarks/convert_memory.py            # all cases, or those whose names hold a text:
    python benchmarks/convert_memory.py 3840

Each data set is a folder of images with a table, made in a temporary folder; all its pictures are
one picture of noise under many names. Prints the largest resident memory of the process that
converts it, and of one that converts two frames, and how many frames are read back.
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
from typing import Any

import numpy as np
from PIL import Image

_LINKS = 50_000  # that a file may have: ext4 allows 65,000
_RUN = """
import resource, sys
from lstd.cli import data
from lstd.data import readers
if code := data.main(sys.argv[2:]):
    sys.exit(code)
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(memory, sum(1 for video in readers.open(sys.argv[1]).videos for _ in video.read()))
"""

_WHOLE = ["--frames_per_record=0"]
CASES: dict[str, tuple[Any, ...]] = {  # name -> frames, height, width, suffix, classes, flags
    "two frames": (2, 48, 64, "jpg", 1, []),
    "216,000 frames, 1,000 classes": (216_000, 48, 64, "jpg", 1_000, []),
    "216,000 frames, 1,000 classes, one record a video": (216_000, 48, 64, "jpg", 1_000, _WHOLE),
    "3840 x 2160, one record a video": (89, 2160, 3840, "png", 1, _WHOLE),
}


def make(folder: Path, frames: int, height: int, width: int, suffix: str, classes: int) -> int:
    """Writes the pictures and the table of a video; returns the bytes of a picture."""
    (folder / "v").mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, [height, width, 3], np.uint8)
    original = folder / f"original.{suffix}"
    for number in range(frames):
        if number % _LINKS == 0:
            original.unlink(missing_ok=True)
            Image.fromarray(noise).save(original, quality=95)
        os.link(original, folder / "v" / f"{number:06d}.{suffix}")
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
    wanted = [name for name in CASES if not sys.argv[1:] or sys.argv[1] in name]
    for name in wanted:
        *given, flags = CASES[name]
        with tempfile.TemporaryDirectory() as temporary:
            source, out = Path(temporary, "in"), Path(temporary, "out")
            size = make(source, *given)
            command = ["convert", "--workers=1", f"--input={source}", f"--output_directory={out}"]
            start = time.perf_counter()
            run = [sys.executable, "-c", _RUN, str(out), *command, *flags]
            said = subprocess.run(run, check=True, stdout=subprocess.PIPE, text=True).stdout
            index = json.loads((out / "index.json").read_text())
            lengths = [record["bytes"] for s in index["shards"] for record in s["records"]]
            memory, frames = said.split()[-2:]
            print(
                f"{name}: {frames} frames of {size / 1e6:.3f} MB, {len(index['labels'])} classes, "
                f"largest of {len(lengths)} records {max(lengths) / 1e6:.0f} MB, memory {memory} "
                f"MB, {time.perf_counter() - start:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
