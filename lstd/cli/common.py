"""What several commands share: flags of one meaning, and what becomes of their values.

A value that cannot be used raises a ValueError that begins with its flag, such as "--input".
"""

from __future__ import annotations

import atexit
import dataclasses
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags as absl_flags

from lstd.base.close_names import close_neighbour
from lstd.base.whole_file import is_stream
from lstd.cli import app, failures
from lstd.cli.app import Flag
from lstd.config.config import Config
from lstd.tf1.load_config import load_config

if TYPE_CHECKING:
    from lstd.config.config import ExportConfig

_FLAGS: app.Flags = {
    "config": app.text(
        "Config: a YAML file, a .config of the original, or the name of one that comes with lstd "
        "(lstd.list_configs()), such as sowbug_demo.",
        alias="pipeline_config_path",
    ),
    "model": app.text(
        "Run folder, checkpoint of ours or of the original, SavedModel, .tflite file, or the name "
        "of a model that comes with lstd (lstd.list_weights()), such as freedoom_s."
    ),
    "output_directory": app.text("Folder to write to; made if it is not there."),
    "schedule": app.text(
        "Which network runs on which frame: LARGE, SMALL, RANDOM or SKIPk, such as SKIP9. Empty: "
        "the config's."
    ),
    "threads": app.whole("CPU threads to use; 0: one for each core.", 0, least=0),
    "resume": app.switch("Go on with what --output_directory already holds."),
    "config_override": app.text(
        "Changes of the config as a fragment of a .config of the original; --set counts after it."
    ),
    "set": app.repeated(
        "Change of the config, section.key=value, such as train.steps=100; any number of times."
    ),
}


def flags(*names: str) -> dict[str, Flag]:
    """Returns flags that have the same name and meaning in every command."""
    return {name: _FLAGS[name] for name in names}


def data_flag(default: str) -> Flag:
    """Returns the flag of the data of a split; `default` is the config's setting."""
    return app.several(
        "TFRecord files, or data sets as they are (docs/data.md), * and ? allowed, with commas "
        f"between them; default: the config's {default}."
    )


def config_of(values: absl_flags.FlagValues) -> Config:
    """Returns the config of `--config`, else the default one, with every override applied."""
    return overridden(load_config(values.config) if values.config else Config(), values)


def overridden(config: Config, values: absl_flags.FlagValues) -> Config:
    """Returns the config with `--config_override`, then every `--set section.key=value` applied."""
    from lstd.config import config_io
    from lstd.tf1 import pipeline_config

    if "config_override" in values and values.config_override:
        if re.match(r"\s*\w+(\.\w+)+\s*=", values.config_override):
            raise ValueError(
                "--config_override takes a fragment of a .config of the original, such as "
                "'train_config { num_steps: 9 }'; say --set " + shlex.quote(values.config_override)
            )
        config = pipeline_config.apply_override(config, values.config_override)
    return config_io.override(config, values.set) if values.set else config


def with_input(config: Config, split: str, paths: Sequence[str]) -> Config:
    """Returns the config with these data, where there are any, in a split's place."""
    if not paths:
        return config
    part = dataclasses.replace(getattr(config.data, split), input_path=tuple(paths))
    return dataclasses.replace(config, data=dataclasses.replace(config.data, **{split: part}))


def labels_of(values: absl_flags.FlagValues) -> tuple[str, ...]:
    """Returns the class names in the file of `--labels`; none where it is not given."""
    from lstd.base import label_map

    return label_map.load(existing_file(values.labels, flag="--labels")) if values.labels else ()


def existing_file(path: str, *, flag: str) -> Path:
    """Returns the path of a file that is there and can be read; else says what is close to it."""
    found = Path(path)
    if found.is_dir():
        raise ValueError(f"{flag}: {path} is a folder, expected a file")
    if not found.exists():
        raise ValueError(f"{flag}: no file {path}{close_neighbour(found)}")
    try:
        with found.open("rb"):
            return found
    except OSError as error:
        raise ValueError(f"{flag}: cannot read {path}: {failures.reason(error)}") from None


def file_to_write(path: str, *, flag: str) -> Path:
    """Returns the path of a file that can be written in a folder that is there, or of a pipe."""
    file = Path(path)
    if file.is_dir():
        raise ValueError(f"{flag}: {path} is a folder, expected a file")
    if not is_stream(file):
        if not file.parent.is_dir():
            raise ValueError(f"{flag}: there is no folder {file.parent}")
        writable_directory(str(file.parent), flag=flag)
    return file


def writable_directory(path: str, *, flag: str = "--output_directory") -> Path:
    """Returns the path of a folder that can be written to, made with its parents if need be.

    A folder that was made and is empty when the command ends is removed.
    """
    folder = Path(path)
    in_the_way = [place for place in (folder, *folder.parents) if place.is_file()]
    if in_the_way:
        raise ValueError(f"{flag}: {in_the_way[0]} is a file, expected a folder")
    new = [place for place in (*reversed(folder.parents), folder) if not place.exists()]
    app.MADE.get([]).extend(new)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise ValueError(f"{flag}: cannot write to {path}: {failures.reason(error)}") from None


def open_model(
    values: absl_flags.FlagValues, flag: str = "model"
) -> tuple[Any, ExportConfig | None]:
    """Returns what `open_model.open_model` does of a flag, by `--config` where it needs one."""
    from lstd.any_model import open_model as opening

    given = values.flag_values_dict()
    names = [name for name in ("model", "against") if given.get(name)]
    found = {name: opening.find(given[name], name=f"--{name}", exported=True) for name in names}
    needed = [name for name in names if not found[name].describes_itself]
    config = values.config if flag in needed or not needed else None
    if not found[flag].is_exported:
        use_threads(values.threads)
    return opening.open_model(found[flag], config=config)


def use_threads(threads: int) -> None:
    """Limits TensorFlow to so many CPU threads, or says that it is too late; 0: leaves it."""
    tf = sys.modules.get("tensorflow")  # every command imports it where it is installed
    if not threads or tf is None:
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        print("--threads has no effect: TensorFlow is already at work", file=sys.stderr)


def end_quietly() -> None:
    """Keeps libraries quiet that say goodbye from C++, after Python has ended."""
    if os.environ.get("LSTD_DEBUG") != "1":
        atexit.register(lambda: os.dup2(os.open(os.devnull, os.O_WRONLY), 2))
