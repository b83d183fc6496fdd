"""How much a training step changes where batch norm sees each replica's clips by themselves.

Two devices of this process share each batch. The table has the relative L2 distance to one device
with the whole batch: of the update of all weights, of the mean losses and of the carried state,
with the statistics of batch norm frozen, with gradients of several batches, and with batch norm in
training mode. The first two differ by rounding; the last is what replicas that do not share their
statistics cost. A tiny model with few clips shows it at its largest.

    python benchmarks/replica_batch_norm.py
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.training import replica_steps  # noqa: E402


def main() -> None:
    """Prints the table."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    import tensorflow as tf

    print(f"{platform.machine()}, TensorFlow {tf.__version__}, Python {platform.python_version()}")
    print(
        f"{replica_steps.STEPS} steps of {replica_steps.BATCH} clips of {replica_steps.FRAMES} "
        "frames, 64 pixels, two replicas against one"
    )
    with tempfile.TemporaryDirectory() as folder:
        one, mirrored = (_run(kind, Path(folder)) for kind in ("one", "mirrored"))
    print(f"{'':24}{'update':>12}{'losses':>12}{'state':>12}")
    for variant in replica_steps.VARIANTS:
        numbers = [
            replica_steps.difference(mirrored, one, variant, kind)
            for kind in ("update", "log", "carried")
        ]
        print(f"{variant:24}" + "".join(f"{number:12.2e}" for number in numbers))


def _run(kind: str, folder: Path) -> dict[str, np.ndarray]:
    path = folder / f"{kind}.npz"
    command = [sys.executable, "-m", replica_steps.__name__, "--kind", kind]
    subprocess.run(
        [*command, "--output", str(path)], cwd=ROOT, check=True, stderr=subprocess.DEVNULL
    )
    return dict(np.load(path))


if __name__ == "__main__":
    main()
