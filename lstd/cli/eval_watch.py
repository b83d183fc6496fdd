"""`lstd-eval --watch`: a run folder is evaluated again whenever its weights change."""

from __future__ import annotations

import time
from pathlib import Path

from absl import flags

from lstd.cli import eval_files, eval_model


def watch(path: Path, values: flags.FlagValues, options: eval_files.Options) -> None:
    """Evaluates now, and after each change, until Ctrl-C or --watch_stop_minutes without any.

    The points of TensorBoard's curves stand at the number of rows of the run's `history.csv`, the
    epochs done; without that file they count the evaluations.

    Raises:
        ValueError: not a run folder.
    """
    if not path.is_dir() or not eval_model.is_run(path):
        raise ValueError(f"--watch needs a run folder, {path} is none")
    if not (path / "config.yaml").is_file():
        raise ValueError(f"--model: {path} is no run folder: there is no {path / 'config.yaml'}")
    weights = values.weights or "last"
    file = path / f"{weights}.weights.h5"
    seen: int | None = None
    evaluations = 0
    idle_since = time.monotonic()
    while True:
        stamp = file.stat().st_mtime_ns if file.is_file() else None
        if stamp is not None and stamp != seen:
            seen, evaluations = stamp, evaluations + 1
            step = _epochs(path) or evaluations
            print(f"evaluating {file.name} after {step} epochs", flush=True)
            eval_files.score_model(path, values, options, weights=weights, step=step)
            idle_since = time.monotonic()
            continue
        stop = values.watch_stop_minutes
        if stop is not None and time.monotonic() - idle_since >= stop * 60:
            if evaluations == 0:
                raise ValueError(f"--watch: no {file} appeared in {stop:g} minutes")
            return
        time.sleep(values.watch_seconds)


def _epochs(folder: Path) -> int:
    try:
        with (folder / "history.csv").open(encoding="utf-8") as lines:
            return max(0, sum(1 for line in lines if line.strip()) - 1)
    except OSError:
        return 0
