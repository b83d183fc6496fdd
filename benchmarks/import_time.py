"""How much longer `import lstd` takes than TensorFlow and tf_keras, which it needs anyway.

    python benchmarks/import_time.py [--turns 7]

Each turn is a process of its own that imports TensorFlow and tf_keras, then lstd, then every public
name of lstd, and so every module behind one; the first turn, which fills the file cache, does not
count. Time is the process's own on the CPU, which other programs disturb less than the clock on the
wall. Returns 1 where the median of `import lstd` is above 0.3 s.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import statistics
import subprocess
import sys

LIMIT_S = 0.3
PROGRAM = """
import time
times = [time.process_time()]
import tensorflow, tf_keras
times.append(time.process_time())
import lstd
times.append(time.process_time())
for name in lstd.__all__:
    getattr(lstd, name)
times.append(time.process_time())
print(*times)
"""
STEPS = ("import tensorflow, tf_keras", "then import lstd", "then every public name")


def main() -> int:
    """Prints the table; returns 1 where lstd costs more than it may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=7)
    arguments = parser.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; "
        f"{arguments.turns} turns after one to warm up, CPU seconds"
    )
    turns = [seconds_of_each_step() for _ in range(arguments.turns + 1)][1:]
    medians = []
    for name, seconds in zip(STEPS, zip(*turns, strict=True), strict=True):
        medians.append(statistics.median(seconds))
        print(f"{name:28} median {medians[-1]:6.3f}   {min(seconds):6.3f} to {max(seconds):6.3f}")
    print(f"import lstd: {medians[1]:.3f} s, may be {LIMIT_S} s")
    return 0 if medians[1] <= LIMIT_S else 1


def seconds_of_each_step() -> list[float]:
    """Returns the processor time of each of STEPS, in a new process."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=environment
    )
    times = [float(word) for word in done.stdout.split()]
    return [after - before for before, after in itertools.pairwise(times)]


if __name__ == "__main__":
    sys.exit(main())
