r"""Brings what you have into the forms of lstd: lstd-data VERB --flag value ...

Verbs:
  inspect          says what is in a data set, and draws its frames with their boxes
  validate         finds every problem of a data set
  convert          writes a data set as TFRecord files
  split            divides a data set by video, and writes the parts
  synthesize       makes videos whose boxes are exact
  config-to-yaml   writes a config, such as a .config of the original, as YAML with every value

Example:
  lstd-data inspect --input my_data --output sheet.png
  lstd-data convert --input my_data --output_directory records
  lstd-data config-to-yaml --config lstm_ssd_interleaved_mobilenet_v2_imagenet.config \
      --output my_config.yaml

lstd-data VERB --help lists the flags of a verb. docs/data.md shows every format.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import flags

from lstd.cli import common, data_convert, data_inspect, data_split, data_synthesize, data_validate


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code of `lstd-data`."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and not arguments[0].startswith("-"):
        verb, *arguments = arguments
        if verb in _VERBS:
            return _VERBS[verb](arguments)
        close = difflib.get_close_matches(verb, _VERBS, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]}?" if close else f"expected one of {', '.join(_VERBS)}"
        print(f"lstd-data: error: unknown verb {verb!r}; {hint}", file=sys.stderr)
        return common.FAILED
    return common.run(
        _no_verb, flags.FlagValues(), program="lstd-data", description=__doc__, argv=arguments
    )


def _no_verb(values: flags.FlagValues) -> None:
    raise ValueError(f"a verb must come first, one of {', '.join(_VERBS)} (lstd-data --help)")


def _config_to_yaml(arguments: Sequence[str]) -> int:
    values = flags.FlagValues()
    common.define(values, "config", "config_override", "set")
    flags.DEFINE_string("output", "", "The YAML file to write.", flag_values=values)
    return common.run(
        _write_yaml,
        values,
        program="lstd-data config-to-yaml",
        description="Writes a config as YAML with every value.",
        required=["config", "output"],
        argv=arguments,
    )


def _write_yaml(values: flags.FlagValues) -> None:
    from lstd.config import config_io

    config = common.config_of(values)
    output = Path(values.output)
    if output.is_dir():
        raise ValueError(f"--output: {output} is a folder; name the YAML file")
    config_io.save_config(config, output)
    print(f"written: {output}")


_VERBS: dict[str, Callable[[Sequence[str]], int]] = {
    "inspect": data_inspect.main,
    "validate": data_validate.main,
    "convert": data_convert.main,
    "split": data_split.main,
    "synthesize": data_synthesize.main,
    "config-to-yaml": _config_to_yaml,
}


if __name__ == "__main__":
    sys.exit(main())
