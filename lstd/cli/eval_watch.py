"""`lstd-eval --watch`: weights are evaluated again whenever they change."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from absl import flags

from lstd.cli import eval_model, eval_score, model_kind
from lstd.cli.eval_options import Options


class _Version(NamedTuple):
    """Weights as they are now.

    Attributes:
        path: what is evaluated.
        weights: which weights of a run folder; None: there is no choice.
        stamp: differs from that of other versions.
        step: of the training; None: nobody says it.
    """

    path: Path
    weights: str | None
    stamp: object
    step: int | None


def watch(folder: Path, values: flags.FlagValues, options: Options) -> None:
    """Evaluates now, and after each change, until Ctrl-C or --watch_stop_minutes without any.

    The folder is that of a run, or one of checkpoints: the `checkpoints` of a run, or with --config
    those that the original writes. The points of TensorBoard's curves stand at the training's step;
    where nobody says it they count the evaluations.

    Raises:
        ValueError: another kind of folder; or no weights appeared in --watch_stop_minutes.
    """
    _check(folder, values)
    weights = _weights(folder, values) if _is_run(folder) else ""
    seen: object = None
    evaluations = 0
    idle_since = time.monotonic()
    while True:
        found = _newest(folder, weights)
        if found is not None and found.stamp != seen:
            seen, evaluations = found.stamp, evaluations + 1
            name = found.path.name if found.weights is None else f"{found.weights} weights"
            step = "" if found.step is None else f" of step {found.step}"
            print(f"evaluating {name}{step}", flush=True)
            eval_score.score_model(
                found.path,
                values,
                options,
                weights=found.weights,
                step=evaluations if found.step is None else found.step,
            )
            idle_since = time.monotonic()
            continue
        stop = values.watch_stop_minutes
        if stop is not None and time.monotonic() - idle_since >= stop * 60:
            if evaluations == 0:
                raise ValueError(f"--watch: no {_awaited(folder, weights)} in {stop:g} minutes")
            print(f"nothing new in {stop:g} minutes; {evaluations} evaluations")
            return
        time.sleep(values.watch_seconds)


def _check(folder: Path, values: flags.FlagValues) -> None:
    if model_kind.kind_of(folder) == "absent":
        model_kind.existing(str(folder), flag="--model", config="")  # says what is there instead
    if not folder.is_dir():
        raise ValueError(f"--watch needs a folder of a run or of checkpoints, {folder} is none")
    kind = model_kind.kind_of(folder)
    if kind in ("export", "saved_model"):
        raise ValueError(f"--watch: {folder} is an exported model, which does not change")
    of_a_run = kind == "checkpoints" and model_kind.config_of(folder.parent).is_file()
    if kind != "run" and not of_a_run and not values.config:
        raise ValueError(
            f"--watch: {folder} is no run folder: there is no {folder / 'config.yaml'}; "
            "checkpoints of the original need their --config"
        )


def _newest(folder: Path, weights: str) -> _Version | None:
    """Returns what is to be evaluated: those weights of a run, or a checkpoint; None: not yet."""
    if weights:
        file = folder / f"{weights}.weights.h5"
        if not file.is_file():
            return None
        return _Version(folder, weights, file.stat().st_mtime_ns, _step_of(folder, weights))
    newest = model_kind.newest_checkpoint(folder)
    if newest is None:
        return None
    number = newest.name.rpartition("-")[2]
    return _Version(newest, None, newest, int(number) if number.isdigit() else None)


def _step_of(folder: Path, weights: str) -> int | None:
    """Returns at which step of the training the weights of a run were saved."""
    from lstd.training.run_folder import RunFolder

    record = RunFolder(folder).read_record()
    step = record.get("best" if weights == "best" else "last", {}).get("step")
    return None if step is None else int(step)


def _weights(folder: Path, values: flags.FlagValues) -> str:
    """Returns which weights of a run are watched: the newest, as the config wants them."""
    if values.weights:
        return str(values.weights)
    config = eval_model.config_for(folder, values)
    to_come = config.train.moving_average_decay > 0
    return "average" if to_come and config.evaluation.use_moving_averages else "last"


def _awaited(folder: Path, weights: str) -> str:
    if weights:
        return f"{folder / weights}.weights.h5 appeared"
    return f"checkpoint appeared in {folder}"


def _is_run(folder: Path) -> bool:
    return model_kind.kind_of(folder) == "run"
