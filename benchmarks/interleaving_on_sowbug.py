"""What the interleaved model keeps of its large network on real video: AP50 under SKIP3.

    python benchmarks/interleaving_on_sowbug.py [--seeds 0 1 2] [--output_directory build/sowbug]

Trains a small detector from random weights, as interleaving_on_sowbug.yaml says, on the data of
`make demo`, once for each seed (a quarter of an hour each on two cores), and scores its last
weights on the 500 unseen frames: LARGE, SKIP3, and the small network alone. A seed whose run is
finished already, in a folder named after it, is only scored.

Prints AP50 for each seed, SKIP3's share of LARGE, and how many points SMALL is below LARGE.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

import lstd
from lstd.config.config import Config
from lstd.training.history import read_history
from lstd.training.run_folder import RunFolder

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))
import demo

CONFIG = Path(__file__).with_suffix(".yaml")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--output_directory", type=Path, default=Path("build/sowbug"))
    arguments = parser.parse_args()
    rows = []
    for seed in arguments.seeds:
        folder = arguments.output_directory / str(seed)
        config = demo.config_of(folder, [f"train.seed={seed}"], CONFIG)
        if not is_finished(folder / "run", config):
            demo.claim(folder)
            demo.write_records(folder)
            demo.train(config, folder / "run")
        scores = demo.evaluate(lstd.load_model(folder / "run", weights="last"), config)
        large, skip3, small = (ap50_of(scores, name) for name in ("LARGE", "SKIP3", "SMALL"))
        rows.append((100 * skip3 / large, 100 * (large - small)))
        print(
            f"seed {seed}: AP50 LARGE {large:.3f}, SKIP3 {skip3:.3f} ({rows[-1][0]:.1f} %), "
            f"SMALL {small:.3f} ({rows[-1][1]:+.1f} points below LARGE)",
            flush=True,
        )
    shares, gaps = zip(*rows, strict=True)
    print(f"SKIP3 / LARGE: mean {statistics.mean(shares):.1f} %, least {min(shares):.1f} %")
    print(f"LARGE - SMALL: mean {statistics.mean(gaps):.1f} points, least {min(gaps):.1f}")


def is_finished(run_folder: Path, config: Config) -> bool:
    """Returns whether the folder holds a run of this config that has done all its steps."""
    folder = RunFolder(run_folder)
    if not folder.config.exists() or lstd.load_config(folder.config) != config:
        return False
    history = read_history(folder.history)
    return bool(history) and int(history[-1]["step"]) == config.train.steps


def ap50_of(scores: demo.Scores, schedule: str) -> float:
    """Returns the AP50 of a schedule."""
    return next(ap50 for name, ap50, *_ in scores.rows if name == demo.NAMES[schedule])


if __name__ == "__main__":
    main()
