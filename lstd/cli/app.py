"""How a command runs: its flags from one table, its help, and what it says when something fails.

A command module holds its docstring (the help text), a table of its flags, a `main`, which calls
`run`, and a function of the parsed flags, which imports TensorFlow, so that --help is quick. Flags
live in a FlagValues of the call, never in absl's global one: commands can run side by side in one
process.
"""

import contextlib
import math
import os
import re
import sys
import textwrap
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from lstd.base import limits
from lstd.base.close_names import close_name
from lstd.base.terminal import import_tensorflow, painted
from lstd.cli import completion, environment, failures

OK = 0
FAILED = 2
INTERRUPTED = 130

MADE: ContextVar[list[Path]] = ContextVar("MADE")
"""The folders that the running command made, parents first; it removes the empty ones."""

_WIDTH = 90
_WITHOUT_FLAG = ("model", "input")
"""What a command with these flags takes without them, in this order."""
_SPELLING = "A flag may be written with dashes, too: --output-directory is --output_directory."
_EXIT_CODES = (
    "Exit codes: 0 done; 2 a flag, a file or the data cannot be used, or a check failed, and "
    "stderr says what to do; 130 stopped by Ctrl-C."
)


class Flag(NamedTuple):
    """A flag of a table; the functions below make them."""

    kind: str  # "text", "switch", "list", "repeated", "whole", "number" or "choice"
    help: str
    default: Any = None  # None: nothing is chosen
    choices: Sequence[str] = ()
    least: float = -math.inf
    most: float = math.inf
    alias: str = ""
    short: str = ""


Flags = Mapping[str, Flag]

text = partial(Flag, "text")
several = partial(Flag, "list")  # with commas between them
repeated = partial(Flag, "repeated")  # given any number of times
whole = partial(Flag, "whole")
number = partial(Flag, "number")


def switch(help: str, *, default: bool | None = False, short: str = "") -> Flag:
    """Returns a flag that is given or not, or as `--noflag`."""
    return Flag("switch", help, default, short=short)


def choice(help: str, choices: Sequence[str], default: str | None = None) -> Flag:
    """Returns a flag that takes one of some words."""
    return Flag("choice", help, default, choices)


_OF_ALL: Flags = {
    "help": switch("This text.", short="h"),
    "version": switch("Versions of lstd and TensorFlow."),
    "version_report": switch("Versions, machine, devices and settings, for a bug report."),
    "completion": switch(
        "A script for bash or zsh: the Tab key completes all commands; docs/installation.md."
    ),
}


def run(
    main: Callable[[flags.FlagValues], int | None],
    table: Flags,
    *,
    program: str,
    description: str | None = None,
    required: Collection[str] = (),
    argv: Sequence[str] | None = None,
) -> int:
    """Returns the exit code of a command: parses the flags, calls `main`, explains what failed.

    A flag or value that cannot be used, and every ValueError, OSError, missing extra or TensorFlow
    error out of `main`, becomes one sentence on stderr and exit code 2. LSTD_DEBUG=1 shows the
    traceback too. Other exceptions are bugs of ours and go through. Ctrl-C gives 130; a reader of
    our output that closed the pipe ends the command quietly.

    The `main` returns None or an exit code. The help has the `description` and the flags of the
    `table` in its order; `argv` are the arguments without the program's name, None: the process's.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # The process was started without it.
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    arguments = list(sys.argv[1:] if argv is None else argv)
    made: list[Path] = []
    MADE.set(made)
    code: int | None = OK
    try:
        with _plain_warnings(program):
            values = parse(table, arguments, program=program, required=required)
            if values.help:
                print(_help_text({**table, **_OF_ALL}, program, description or "", required))
            elif values.completion:
                print(completion.script(_OF_ALL), end="")
            elif values.version:
                print(f"{program} {environment.versions()}")
            else:
                import_tensorflow()
                if values.version_report:
                    print(environment.report())
                else:
                    code = main(values)
            sys.stdout.flush()  # here, where a closed pipe can still be caught
            return code or OK
    except KeyboardInterrupt:
        more = "; what is done is kept for --resume" if "resume" in table else ""
        print(f"\n{program}: stopped{more}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _leave_stdout()
        return 141  # 128 + SIGPIPE, as the shell counts it
    except Exception as error:
        told = failures.sentence(error)
        if told is None:
            raise
        if os.environ.get("LSTD_DEBUG") == "1":
            import traceback

            traceback.print_exc()
        print(f"{program}: {painted('error:', 'red', sys.stderr)} {told}", file=sys.stderr)
        try:
            sys.stdout.flush()
        except OSError:
            _leave_stdout()
        return FAILED
    finally:
        for folder in reversed(made):
            with contextlib.suppress(OSError):  # one that holds something stays
                folder.rmdir()


def parse(
    table: Flags, arguments: Sequence[str], *, program: str, required: Collection[str] = ()
) -> flags.FlagValues:
    """Returns the values of the flags; ValueError: one is unknown, bad, missing or too many."""
    values = flags.FlagValues()
    values.set_gnu_getopt()
    for name, flag in {**table, **_OF_ALL}.items():
        _define(values, name, flag)
    try:
        _, *rest = values([program, *_with_underscores(arguments, values)])
        free = [name for name in _WITHOUT_FLAG if name in table and not values[name].present]
        given = [f"--{name}={text}" for name, text in zip(free, rest, strict=False)]
        values([program, *given])
    except flags.UnrecognizedFlagError as error:
        close = close_name(error.flagname, [name for name in values if len(name) > 1])
        raise ValueError(
            f"unknown flag --{error.flagname}{close} ({program} --help lists the flags)"
        ) from None
    except flags.Error as error:
        told = str(error).removeprefix("flag ")
        raise ValueError(re.sub(r"\('Non-boolean .*", "expected true or false", told)) from None
    if any(values[name].value for name in _OF_ALL):
        return values
    for extra in rest[len(free) :]:
        usual = f" after {' and '.join(given)}" if given else ""
        raise ValueError(
            f"unexpected argument {extra!r}{usual}; a value follows its flag, as in "
            f"--flag {extra} ({program} --help lists the flags)"
        )
    for name in table:
        limits.check(name, values[name].value, flag="--")
    folder = values["output_directory"].value if "output_directory" in table else None
    if "://" in (folder or "") and not ("beam" in table and values.beam):
        raise ValueError(
            f"--output_directory: {folder} is no folder of this machine; write to one, and copy it "
            "there (lstd-data convert --beam hands such an address to its workers)"
        )
    missing = [f"--{name}" for name in required if not values[name].value]
    if missing:
        raise ValueError(f"{' and '.join(missing)} must be given ({program} --help says more)")
    return values


def _with_underscores(arguments: Sequence[str], known: flags.FlagValues) -> Iterator[str]:
    """Yields the arguments with the names of flags as they are defined, without dashes."""
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        flag = name.lstrip("-").replace("-", "_")
        off = flag.removeprefix("no").removeprefix("_")
        if argument == "--":
            yield from (argument, *rest)
        elif name.startswith("-") and flag in known:
            yield f"--{flag}{equals}{value}"
        elif name.startswith("--no") and off in known:
            yield f"--no{off}{equals}{value}"
        else:
            yield argument


class _Parser(flags.ArgumentParser):
    """Reads a number or one of several words, and says what was expected."""

    def __init__(self, flag: Flag) -> None:
        self._flag = flag

    def parse(self, argument: Any) -> Any:
        flag = self._flag
        if flag.kind == "choice":
            if argument in flag.choices:
                return argument
            close = close_name(argument, flag.choices)
            raise ValueError(f"expected one of {', '.join(flag.choices)}{close}")
        limits = [f"at least {flag.least:g}"] if flag.least > -math.inf else []
        limits += [f"at most {flag.most:g}"] if flag.most < math.inf else []
        try:
            value = int(argument) if flag.kind == "whole" else float(argument)
            if flag.least <= value <= flag.most:  # which NaN is not
                return value
        except (ValueError, OverflowError):
            pass
        kind = "a whole number" if flag.kind == "whole" else "a number"
        raise ValueError(f"expected {kind}{' of ' if limits else ''}{' and '.join(limits)}")


def _define(values: flags.FlagValues, name: str, flag: Flag) -> None:
    default = flag.default
    if flag.kind == "text":
        flags.DEFINE_string(name, default or "", flag.help, flag_values=values)
    elif flag.kind == "switch":
        short = flag.short or None
        flags.DEFINE_bool(name, default, flag.help, flag_values=values, short_name=short)
    elif flag.kind == "list":
        flags.DEFINE_list(name, list(default or ()), flag.help, flag_values=values)
    elif flag.kind == "repeated":
        flags.DEFINE_multi_string(name, [], flag.help, flag_values=values)
    else:
        flags.DEFINE(_Parser(flag), name, default, flag.help, flag_values=values)
    if flag.alias:
        flags.DEFINE_alias(flag.alias, name, flag_values=values)


def _help_text(table: Flags, program: str, description: str, required: Collection[str] = ()) -> str:
    """Returns the description, all flags in the order of their table, and the exit codes."""
    entries = [_entry(name, flag, required=name in required) for name, flag in table.items()]
    free = ", then ".join(f"--{name}" for name in _WITHOUT_FLAG if name in table)
    spelling = _SPELLING + (f" What stands without a flag is {free}." if free else "")
    notes = [textwrap.fill(note, _WIDTH) for note in (spelling, _EXIT_CODES)]
    parts = [description.strip(), f"Flags of {program}:", "\n".join(entries), *notes]
    return "\n\n".join(part for part in parts if part)


def _entry(name: str, flag: Flag, *, required: bool) -> str:
    """Returns one flag: its names and kind, then its help and default, indented."""
    if flag.kind == "switch":
        names = f"--[no]{name}" if flag.default else f"--{name}"
    else:
        kinds = {"list": "A,B,...", "whole": "NUMBER", "number": "NUMBER"}
        names = f"--{name} {'|'.join(flag.choices) or kinds.get(flag.kind, 'VALUE')}"
    names = f"-{flag.short}, {names}" if flag.short else names
    names += f" (also --{flag.alias})" if flag.alias else ""
    told = flag.help
    if flag.kind != "switch" and flag.default not in (None, "", []):
        default = ",".join(flag.default) if flag.kind == "list" else flag.default
        told += f" (default: {default})"
    told += " Required." if required else ""
    body = textwrap.fill(told, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return f"  {names}\n{body}"


@contextlib.contextmanager
def _plain_warnings(program: str) -> Iterator[None]:
    """Shows a warning as a sentence, without the line of code that gave it."""
    usual = warnings.formatwarning
    if os.environ.get("LSTD_DEBUG") != "1":
        word = painted("warning:", "yellow", sys.stderr)
        warnings.formatwarning = lambda message, *_: f"{program}: {word} {message}\n"
    try:
        yield
    finally:
        warnings.formatwarning = usual


def _leave_stdout() -> None:
    """Points stdout to nowhere, so that the interpreter's last flush does not complain."""
    with contextlib.suppress(OSError, ValueError):  # a stdout without a file, as in a notebook
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
