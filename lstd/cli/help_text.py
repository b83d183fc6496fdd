"""The texts of `--help` and `--version`."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection
from importlib import metadata

from absl import flags

from lstd.base.version import __version__

_WIDTH = 90
_ALIAS = "Alias for --"  # how absl begins the help of an alias; the name and a dot follow
_EXIT_CODES = (
    "Exit codes: 0 done; 2 a flag, a file or the data cannot be used, or a check failed, and "
    "stderr says what to do; 130 stopped by Ctrl-C."
)
# What stands for a value, by absl's name of the flag's type.
_VALUES = {
    "string": "VALUE",
    "multi string": "VALUE",
    "comma separated list of strings": "A,B,...",
    "int": "NUMBER",
    "float": "NUMBER",
}
# What absl writes into a flag's help: choices in front, and behind it that it may be repeated.
_OF_ABSL = re.compile(r"^<.*?>: |;\s+repeat this option to specify a list of values$")


def help_text(
    values: flags.FlagValues, *, program: str, description: str, required: Collection[str] = ()
) -> str:
    """Returns the description, all flags in the order of their definition, and the exit codes.

    Args:
        values: the command's flags.
        program: the command's name.
        description: the module's docstring, shown as it is.
        required: names of flags without which the command cannot run.
    """
    in_order = {id(flag): flag for name in values for flag in (values[name],)}
    aliases = {
        flag.help[len(_ALIAS) : -1]: flag.name for flag in in_order.values() if _is_alias(flag)
    }
    entries = [
        _entry(flag, alias=aliases.get(flag.name, ""), required=flag.name in required)
        for flag in in_order.values()
        if not _is_alias(flag)
    ]
    exit_codes = textwrap.fill(_EXIT_CODES, _WIDTH)
    parts = [description.strip(), f"Flags of {program}:", "\n".join(entries), exit_codes]
    return "\n\n".join(part for part in parts if part)


def version_text(program: str) -> str:
    """Returns the versions of what decides how the command behaves."""
    parts = [f"{program} {__version__}"]
    for name in ("tensorflow", "tf-keras"):
        try:
            parts.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(parts)


def _is_alias(flag: flags.Flag) -> bool:
    return bool(flag.help.startswith(_ALIAS))


def _entry(flag: flags.Flag, *, alias: str, required: bool) -> str:
    """Returns one flag: its names and kind, then its help and default, indented."""
    kind = flag.flag_type()
    choices = getattr(flag.parser, "enum_values", None)
    if kind == "bool":
        names = f"--[no]{flag.name}" if flag.default else f"--{flag.name}"
    else:
        names = f"--{flag.name} {'|'.join(choices) if choices else _VALUES.get(kind, 'VALUE')}"
    names = f"-{flag.short_name}, {names}" if flag.short_name else names
    names += f" (also --{alias})" if alias else ""
    text = _OF_ABSL.sub("", flag.help) + _default(flag) + (" Required." if required else "")
    body = textwrap.fill(text, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return f"  {names}\n{body}"


def _default(flag: flags.Flag) -> str:
    """Returns the default in brackets; nothing where it is empty or says nothing."""
    value = flag.default
    if value in (None, "", False) or value == [] or flag.flag_type() == "bool":
        return ""
    return f" (default: {','.join(value) if isinstance(value, list) else value})"
