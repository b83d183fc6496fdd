r"""Trains a model on annotated video, and puts weights, curves and checkpoints into a run folder.

Examples:
  lstd-train --config sowbug_demo --input 'data/train/*.tfrecord' --output_directory runs/one \
      --set 'data.evaluation.input_path=[data/val/*.tfrecord]' \
      --set model.num_classes=2 --set 'model.labels=[ant,bee]'
  lstd-train --output_directory runs/one --resume

--dry_run tries everything with two batches first. Then lstd-eval --model runs/one measures the
result, and lstd-export --model runs/one makes a file for a device of it.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from lstd.cli import app, common

if TYPE_CHECKING:
    from lstd.config.config import Config

_DRY_BATCHES = 2

FLAGS: app.Flags = {
    **common.flags("config"),
    "input": common.data_flag("data.train.input_path"),
    **common.flags("output_directory", "set", "config_override", "resume"),
    "dry_run": app.switch(
        "Two batches through everything that a training does; leaves nothing behind."
    ),
    **common.flags("threads"),
    "distribution": app.choice(
        "Devices to train on: mirrored, all GPUs of this machine; multi_worker, those of all "
        "machines that TF_CONFIG names, on each of which this command is started; default: the "
        "config's train.distribution.",
        ["none", "mirrored", "multi_worker"],  # config.Distribution, which would import TensorFlow
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code of `lstd-train`."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    return app.run(
        lambda values: _train(values, ["lstd-train", *arguments]),
        FLAGS,
        program="lstd-train",
        description=__doc__,
        required=["output_directory"],
        argv=arguments,
    )


def _train(values: flags.FlagValues, command: list[str]) -> None:
    from lstd.training import distribution
    from lstd.training import train as training

    common.use_threads(values.threads)
    folder = Path(values.output_directory)
    config = _config(folder, values)
    # Nothing is made to try: the first of the folder and its parents that is there tells.
    existing = (place for place in (folder, *folder.absolute().parents) if place.exists())
    common.writable_directory(str(next(existing)))
    training.check_folder(folder, config, resume=values.resume)
    strategy = distribution.strategy_of(config.train.distribution)
    training.train(
        config,
        folder,
        resume=values.resume,
        dry_run=values.dry_run,
        evaluations=_evaluations(config, dry_run=values.dry_run),
        command=command,
        strategy=strategy,
    )
    if not values.dry_run and distribution.is_chief(strategy):
        print(f"done: {folder}; measure it with lstd-eval --model {folder}")


def _config(folder: Path, values: flags.FlagValues) -> Config:
    """Returns the config with the flags applied; a run that goes on knows its own."""
    known = folder / "config.yaml"
    if values.config or (values.resume and known.is_file()):
        config = common.config_of(values, default=known)
    elif values.resume:
        raise ValueError(f"--resume: {folder} holds no run: there is no {known}")
    else:
        raise ValueError("--config must be given (lstd-train --help says more)")
    if values.distribution:
        train = dataclasses.replace(config.train, distribution=values.distribution)
        config = dataclasses.replace(config, train=train)
    return common.with_input(config, "train", values)


def _evaluations(config: Config, *, dry_run: bool) -> list[Any]:
    """Returns what measures after each epoch."""
    from lstd.data import pipeline
    from lstd.evaluation.callback import EvaluationCallback

    if not config.train.evaluate:
        return []
    if not config.data.evaluation.input_path:
        raise ValueError(
            "train.evaluate is true, but data.evaluation.input_path names no files; give it some, "
            "or --set train.evaluate=false"
        )
    model = config.model
    dataset = pipeline.make_dataset(
        config.data, "evaluation", num_classes=model.num_classes, labels=model.labels
    )
    schedules = config.evaluation.schedules if len(model.depth_multipliers) == 2 else None
    dataset = dataset.take(_DRY_BATCHES) if dry_run else dataset
    return [EvaluationCallback(dataset, schedules=schedules)]


if __name__ == "__main__":
    sys.exit(main())
