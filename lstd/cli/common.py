"""What all commands share: their common flags, how they start, and how they say what went wrong.

A command module holds its docstring (the help text), its flags, and two functions:

    def main(argv: Sequence[str] | None = None) -> int:
        values = flags.FlagValues()
        common.define(values, "config", "set", "output_directory")
        flags.DEFINE_bool("postprocessing", True, "Boxes come out decoded.", flag_values=values)
        return common.run(_export, values, program="lstd-export", description=__doc__, argv=argv)

    def _export(values: flags.FlagValues) -> None:
        ...                                    # imports TensorFlow here, so that --help is quick

Flags live in a FlagValues of the call, never in absl's global one: commands can be imported and
run side by side in one process.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import os
import re
import shlex
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from lstd.base import limits
from lstd.base.close_names import close_neighbour
from lstd.base.quiet import quiet
from lstd.base.whole_file import is_stream
from lstd.cli import failures
from lstd.cli.help_text import help_text, version_text
from lstd.cli.progress import Progress as Progress
from lstd.tf1.load_config import load_config

if TYPE_CHECKING:
    from lstd.any_model.open_model import Opened
    from lstd.config.config import Config

OK = 0
FAILED = 2

_ALIASES = {"config": "pipeline_config_path"}

# Name -> how it is defined, its default, its help.
_COMMON: Mapping[str, tuple[Callable[..., Any], Any, str]] = {
    "config": (
        flags.DEFINE_string,
        "",
        "Config: a YAML file, a .config of the original, or the name of one that comes with lstd "
        "(lstd.list_configs()), such as sowbug_demo.",
    ),
    "model": (
        flags.DEFINE_string,
        "",
        "Run folder, checkpoint of ours or of the original, SavedModel, or .tflite file.",
    ),
    "input": (flags.DEFINE_string, "", "File or folder to read."),
    "output_directory": (flags.DEFINE_string, "", "Folder to write to; made if it is not there."),
    "schedule": (
        flags.DEFINE_string,
        "",
        "Which network runs on which frame: LARGE, SMALL, RANDOM or SKIPk, such as SKIP9. Empty: "
        "the config's.",
    ),
    "threads": (flags.DEFINE_integer, 0, "CPU threads to use; 0: one for each core."),
    "resume": (flags.DEFINE_bool, False, "Go on with what --output_directory already holds."),
    "config_override": (
        flags.DEFINE_string,
        "",
        "Changes of the config as a fragment of a .config of the original; --set counts after it.",
    ),
    "set": (
        flags.DEFINE_multi_string,
        [],
        "Change of the config, section.key=value, such as train.steps=100; any number of times.",
    ),
}


def define(values: flags.FlagValues, *names: str, **defaults: Any) -> None:
    """Adds common flags, which have the same name and meaning in every command.

    Args:
        values: the command's flags.
        *names: of "config", "model", "input", "output_directory", "schedule", "threads",
            "resume", "config_override", "set". `--config` is also spelled `--pipeline_config_path`.
        **defaults: other defaults than the usual ones, by name.

    Raises:
        ValueError: a name that is not a common flag, or a default for a flag not in `names`.
    """
    for name in names:
        if name not in _COMMON:
            raise ValueError(f"no common flag {name!r}; expected one of {', '.join(_COMMON)}")
        define_one, default, text = _COMMON[name]
        limits = {"lower_bound": 0} if name == "threads" else {}
        define_one(name, defaults.pop(name, default), text, flag_values=values, **limits)
        if name in _ALIASES:
            flags.DEFINE_alias(_ALIASES[name], name, flag_values=values)
    if defaults:
        raise ValueError(f"default for {', '.join(defaults)}, which is not among {names}")


def run(
    main: Callable[[flags.FlagValues], int | None],
    values: flags.FlagValues,
    *,
    program: str,
    description: str | None = None,
    required: Iterable[str] = (),
    argv: Sequence[str] | None = None,
) -> int:
    """Returns the exit code of a command: parses the flags, calls `main`, explains what failed.

    A flag or value that cannot be used, and every ValueError, OSError, missing extra or TensorFlow
    error out of `main`, becomes one sentence on stderr and exit code 2. LSTD_DEBUG=1 shows the
    traceback too. Other exceptions are bugs of ours and go through. Ctrl-C gives 130; a reader of
    our output that closed the pipe ends the command quietly.

    Args:
        main: gets the parsed flags; returns None or an exit code.
        values: the command's flags, not parsed yet.
        program: the command's name, such as "lstd-train".
        description: for `--help`; the module's docstring.
        required: names of flags without which the command cannot run.
        argv: arguments without the program's name; None: those of the process.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # The process was started without it.
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    flags.DEFINE_bool("help", False, "This text.", flag_values=values, short_name="h")
    flags.DEFINE_bool("version", False, "Versions of lstd and TensorFlow.", flag_values=values)
    flags.DEFINE_bool(
        "version_report",
        False,
        "Versions, machine, devices and settings, for a bug report.",
        flag_values=values,
    )
    try:
        with _plain_warnings(program):
            code = _answer(main, values, arguments, program, description or "", [*required])
            sys.stdout.flush()  # here, where a closed pipe can still be caught
            return code
    except KeyboardInterrupt:
        more = "; what is done is kept for --resume" if "resume" in values else ""
        print(f"\n{program}: stopped{more}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        _leave_stdout()
        return 141  # 128 + SIGPIPE, as the shell counts it
    except Exception as error:
        sentence = failures.sentence(error)
        if sentence is None:
            raise
        if os.environ.get("LSTD_DEBUG") == "1":
            import traceback

            traceback.print_exc()
        print(f"{program}: error: {sentence}", file=sys.stderr)
        try:
            sys.stdout.flush()
        except OSError:
            _leave_stdout()
        return FAILED


def _answer(
    main: Callable[[flags.FlagValues], int | None],
    values: flags.FlagValues,
    arguments: Sequence[str],
    program: str,
    description: str,
    required: Sequence[str],
) -> int:
    parse(values, arguments, program=program, required=required)
    if values["help"].value:
        print(help_text(values, program=program, description=description, required=required))
    elif values["version"].value:
        print(version_text(program))
    else:
        _import_tensorflow_quietly()
        if not values["version_report"].value:
            return main(values) or OK
        from lstd.cli import environment

        print(environment.report())
    return OK


@contextlib.contextmanager
def _plain_warnings(program: str) -> Iterator[None]:
    """Shows a warning as a sentence, without the line of code that gave it."""
    usual = warnings.formatwarning

    def plain(message: Warning | str, *where: Any) -> str:
        return f"{program}: warning: {message}\n"

    if os.environ.get("LSTD_DEBUG") != "1":
        warnings.formatwarning = plain  # type: ignore[assignment]
    try:
        yield
    finally:
        warnings.formatwarning = usual


def parse(
    values: flags.FlagValues, arguments: Sequence[str], *, program: str, required: Iterable[str]
) -> None:
    """Fills in the flags from the arguments.

    Raises:
        ValueError: an unknown flag or a bad value (with the close matches), an argument without a
            flag, or a required flag that is missing.
    """
    try:
        _, *rest = values([program, *arguments])
    except flags.Error as error:
        raise ValueError(failures.flag_sentence(error, values, program=program)) from None
    if any(values[name].value for name in ("help", "version", "version_report")):
        return
    if rest:
        raise ValueError(
            f"unexpected argument {rest[0]!r}; every value follows its flag, as in "
            f"--flag {rest[0]} ({program} --help lists the flags)"
        )
    for name in values:
        limits.check(name, values[name].value, flag="--")
    not_numbers = [name for name in values if values[name].value != values[name].value]  # NaN
    if not_numbers:
        raise ValueError(f"--{not_numbers[0]}=nan: expected a number")
    missing = [f"--{name}" for name in required if not values[name].value]
    if missing:
        raise ValueError(f"{' and '.join(missing)} must be given ({program} --help says more)")


def config_of(values: flags.FlagValues) -> Config:
    """Returns the config of `--config`, with every `--set` applied.

    Raises:
        ConfigError: the config cannot be read, or a setting does not fit.
        ValueError: `--config_override` is what `--set` takes.
    """
    return overridden(load_config(values.config), values)


def overridden(config: Config, values: flags.FlagValues) -> Config:
    """Returns the config with `--config_override`, then every `--set section.key=value` applied.

    Raises:
        ConfigError: a setting does not fit.
        ValueError: `--config_override` is what `--set` takes.
    """
    from lstd.config import config_io
    from lstd.tf1 import pipeline_config

    if "config_override" in values and values.config_override:
        if re.match(r"\s*\w+(\.\w+)+\s*=", values.config_override):
            raise ValueError(
                "--config_override takes a fragment of a .config of the original, such as "
                "'train_config { num_steps: 9 }'; say --set " + shlex.quote(values.config_override)
            )
        config = pipeline_config.apply_override(config, values.config_override)
    settings = values.set
    return config_io.override(config, settings) if settings else config


def existing_file(path: str, *, flag: str) -> Path:
    """Returns the path of a file that is there and can be read.

    Raises:
        ValueError: it is not there (with a close match in its folder), is a folder, or cannot be
            read; the message begins with `flag`, such as "--input".
    """
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
    """Returns the path of a file that can be written, in a folder that is there.

    A device or a pipe is taken as it is.

    Raises:
        ValueError: it is a folder, or its folder is not there or cannot be written to; the message
            begins with `flag`.
    """
    file = Path(path)
    if file.is_dir():
        raise ValueError(f"{flag}: {path} is a folder, expected a file")
    if is_stream(file):
        return file
    if not file.parent.is_dir():
        raise ValueError(f"{flag}: there is no folder {file.parent}")
    writable_directory(str(file.parent), flag=flag)
    return file


def writable_directory(path: str, *, flag: str = "--output_directory") -> Path:
    """Returns the path of a folder that can be written to, made with its parents if need be.

    Raises:
        ValueError: a file is in the way, or the folder cannot be made or written to; the message
            begins with `flag`.
    """
    folder = Path(path)
    in_the_way = [place for place in (folder, *folder.parents) if place.is_file()]
    if in_the_way:
        raise ValueError(f"{flag}: {in_the_way[0]} is a file, expected a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise ValueError(f"{flag}: cannot write to {path}: {failures.reason(error)}") from None


def open_model(values: flags.FlagValues, flag: str = "model") -> Opened:
    """Returns the model of a flag, built by `--config` where it needs one.

    Raises:
        ValueError: as `lstd.any_model.open_model.open_model` does.
    """
    from lstd.any_model import open_model as opening

    use_threads(values.threads)
    given = values.flag_values_dict()
    names = [name for name in ("model", "against") if given.get(name)]
    found = {name: opening.find(given[name], name=f"--{name}") for name in names}
    needed = [name for name in names if not found[name].describes_itself]
    config = values.config if flag in needed or not needed else None
    return opening.open_model(found[flag], config=config)


def use_threads(threads: int) -> None:
    """Limits TensorFlow to so many CPU threads; 0 leaves it as it is.

    TensorFlow takes this only before its first operation; later it is said that nothing changed.
    """
    tf = sys.modules.get("tensorflow")  # every command imports it where it is installed
    if not threads or tf is None:
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        print("--threads has no effect: TensorFlow is already at work", file=sys.stderr)


def _import_tensorflow_quietly() -> None:
    """Imports TensorFlow without its greeting, which no setting of TensorFlow 2.21 silences.

    The greeting comes from C++ before the logging is set up.
    """
    if "tensorflow" in sys.modules or os.environ.get("LSTD_DEBUG") == "1":
        return
    if importlib.util.find_spec("tensorflow") is None:  # What runs a .tflite can do without.
        return
    with quiet():
        import tensorflow  # noqa: F401


def end_quietly() -> None:
    """Keeps libraries quiet that say goodbye from C++, after Python has ended."""
    if os.environ.get("LSTD_DEBUG") != "1":
        atexit.register(lambda: os.dup2(os.open(os.devnull, os.O_WRONLY), 2))


def _leave_stdout() -> None:
    """Points stdout to nowhere, so that the interpreter's last flush does not complain."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # a stdout without a file, as in a notebook
        return
