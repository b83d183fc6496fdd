r"""Trains a model on annotated video, and puts weights, curves and checkpoints into a run folder.

Examples:
  lstd-train --input data --output_directory runs/one
  lstd-train --config interleaved_m --input 'data/train/*.tfrecord' --output_directory runs/one \
      --set 'data.evaluation.input_path=[data/val/*.tfrecord]'
  lstd-train --output_directory runs/one --resume

Without --config, interleaved_s is trained, which goes on from the model that comes with lstd. A
config that leaves out model.num_classes and labels has the classes of the data, in their order. A
folder that lstd-data split wrote is trained on by its train/ and measured by its val/; other data
is only trained on.

--dry_run tries everything with two batches first; --suggest prints the batch size, steps and other
settings for this machine and this data, ready to paste behind the command. Then lstd-eval --model
runs/one measures the result, and lstd-export --model runs/one makes a file for a device of it.
"""

from __future__ import annotations

import dataclasses
import shlex
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
    "suggest": app.switch(
        "Two steps to measure; prints settings that fit this machine and this data as --set "
        "lines: an hour of training on a CPU, a night on GPUs; leaves nothing behind."
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
    if values.suggest:
        from lstd.training.suggest import suggest

        if values.resume:
            raise ValueError("--suggest is for a new run, whose steps are open; leave out --resume")
        settings = suggest(config, folder)
        print(" ".join(f"--set {shlex.quote(setting)}" for setting in settings))
        return
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
    from lstd.config import config_io
    from lstd.tf1.load_config import load_config

    known = folder / "config.yaml"
    if not (values.config or values.resume or values.input):
        raise ValueError("--config or --input must be given (lstd-train --help says more)")
    if values.resume and not values.config and not known.is_file():
        raise ValueError(f"--resume: {folder} holds no run: there is no {known}")
    config = load_config(values.config or (known if values.resume else "interleaved_s"))
    if values.input and not values.resume:
        config = _with_classes(config, values)
    config = common.overridden(config, values)
    if values.distribution:
        config = config_io.override(config, [f"train.distribution={values.distribution}"])
    if not values.input:
        return config
    config = _with_parts(common.with_input(config, "train", values.input))
    if config.train.evaluate and not values.resume and not config.data.evaluation.input_path:
        print(
            "nothing measures this training; for that, lstd-data split --input "
            f"{shlex.join(values.input)} --output_directory data, then lstd-train --input data"
        )
        config = config_io.override(config, ["train.evaluate=false"])
    return config


def _with_classes(config: Config, values: flags.FlagValues) -> Config:
    """Returns the config, with the classes of the first `--input` where nothing else names them."""
    from lstd.config.model_config import ModelConfig
    from lstd.data import readers

    model = config.model
    is_told = any(setting.startswith("model.num_classes=") for setting in values.set)
    if is_told or model.labels or model.num_classes != ModelConfig.num_classes:
        return config
    labels = readers.open(_parts_of(values.input[0])[0]).labels
    if labels:
        print(f"classes of the data: {', '.join(labels)}")
        model = dataclasses.replace(model, num_classes=len(labels), labels=labels)
    elif not values.config:
        raise ValueError(
            f"--input: {values.input[0]} does not name its classes: give them, such as "
            "--set model.num_classes=2 --set 'model.labels=[ant,bee]'"
        )
    return dataclasses.replace(config, model=model)


def _with_parts(config: Config) -> Config:
    """Returns the config with the parts of what `lstd-data split` wrote, where that is the data."""
    found = [_parts_of(path) for path in config.data.train.input_path]
    config = common.with_input(config, "train", [parts[0] for parts in found])
    if config.data.evaluation.input_path:
        return config
    return common.with_input(config, "evaluation", [parts[1] for parts in found if parts[1:]])


def _parts_of(path: str) -> list[str]:
    """Returns train/ and val/ of a folder that `lstd-data split` wrote, else the path itself."""
    parts = [str(Path(path) / part) for part in ("train", "val")]
    return parts if all(Path(part, "index.json").is_file() for part in parts) else [path]


def _evaluations(config: Config, *, dry_run: bool) -> list[Any]:
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
