"""Completion of all commands by the Tab key: a script for bash and zsh."""

import importlib
import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lstd import weights
from lstd.base.compatibility import COMMANDS
from lstd.tf1 import load_config

_SCRIPT = """\
_lstd() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} verb= words= flag=
  [ "$word" = = ] && word=  # bash cuts --flag=value into three words, zsh leaves it whole
  [ "$before" = = ] && before=${{COMP_WORDS[COMP_CWORD-2]}}
  case "$word" in --*=*) before=${{word%%=*}} flag=${{word%%=*}}= word=${{word#*=}} ;; esac
  [ "${{1##*/}}" = lstd-data ] && [ "$COMP_CWORD" -gt 1 ] && verb=${{COMP_WORDS[1]}}
  case "${{1##*/}}:$verb:$before:$word" in
{cases}
  esac
  COMPREPLY=()
  [ -z "$words" ] || COMPREPLY=($(compgen -P "$flag" -W "$words" -- "$word"))
}}
if [ -n "${{ZSH_VERSION-}}" ]; then
  whence compdef >/dev/null || {{ autoload -U compinit && compinit; }}
  autoload -U bashcompinit && bashcompinit
fi
complete -o default -F _lstd {commands}
"""


def script(of_all: Iterable[str]) -> str:
    """Returns the script: flags, the words that one takes, verbs, names of what comes with lstd.

    All else is a file. The flags stand in the script, so that the key starts no Python; `of_all`
    are those that every command has.
    """
    cases = "\n".join(_cases([*of_all]))
    return _SCRIPT.format(cases=cases, commands=" ".join(f"lstd-{name}" for name in COMMANDS))


def _cases(of_all: list[str]) -> Iterator[str]:
    """Yields which words there are, by command, verb, the word before and the word's beginning."""
    names = {"model": weights.list_weights(), "config": load_config.list_configs()}
    for command in COMMANDS:
        module: Any = importlib.import_module(f"lstd.cli.{command}")
        verbs: Mapping[str, Any] = getattr(module, "FLAGS_OF_VERBS", {})
        for verb, table in {"": module.FLAGS, **verbs}.items():
            place = f"lstd-{command}:{verb}"
            for name, flag in table.items():
                if flag.choices:
                    yield _case(f"{place}:--{name}:*", flag.choices)
                elif name in names:  # a file, if nothing is typed yet
                    yield _case(f"{place}:--{name}:?*", names[name])
            yield _case(f"{place}:*:-*", [f"--{name}" for name in (*table, *of_all)])
        if verbs:
            yield _case(f"lstd-{command}::*", verbs)


def _case(pattern: str, words: Iterable[str]) -> str:
    return f"    {pattern}) words={shlex.quote(' '.join(words))} ;;"
