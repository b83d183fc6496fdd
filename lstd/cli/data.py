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

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from lstd.base.close_names import close_name
from lstd.base.progress import Progress
from lstd.base.whole_file import is_stream
from lstd.cli import app, common, data_records, data_source

_INSPECT = """Says what is in a data set, and draws a sheet of its frames with their boxes.

Counts, classes, box sizes against the anchors that would have to catch them, tracks, speed of
motion, and problems of the labels.

Example:
  lstd-data inspect --input my_data --output sheet.png

The anchors are those of --config; without it, of the default.
"""
_VALIDATE = """Finds every problem of a data set, and says whether convert would go through.

Exit code 0: there is no problem, or only such as --on_problem and --problems answer with repair or
skip; 1: there is one whose answer is error; 2: the data set cannot be read at all.

Example:
  lstd-data validate --input my_data
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code of `lstd-data`."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    verb = arguments[0] if arguments and not arguments[0].startswith("-") else ""
    if verb in _VERBS:
        run, table, required, description = _VERBS[verb]
        return app.run(
            run,
            table,
            program=f"lstd-data {verb}",
            description=description,
            required=required,
            argv=arguments[1:],
        )

    def no_verb(_: flags.FlagValues) -> None:
        if not verb:
            raise ValueError(
                f"a verb must come first, one of {', '.join(_VERBS)} (lstd-data --help)"
            )
        close = close_name(verb, _VERBS, most=1) or f"; expected one of {', '.join(_VERBS)}"
        raise ValueError(f"unknown verb {verb!r}{close}")

    argv = [] if verb else arguments
    return app.run(no_verb, {}, program="lstd-data", description=__doc__, argv=argv)


def _inspect(values: flags.FlagValues) -> None:
    from lstd.config.config import Config
    from lstd.data import inspect
    from lstd.ops import anchors

    sheet = _sheet_path(values.output) if values.output else None
    model = common.config_of(values, default=Config()).model
    source = data_source.source_of(values, skip_damaged=True)
    with Progress("reading labels", unit="frames") as report:
        found = inspect.inspect(source, on_frames=lambda count: report.advance(count))
    size = (model.input_height, model.input_width)
    print("\n".join(inspect.lines(found, anchors.from_config(model), input_size=size)))
    settings = inspect.settings_note(found)
    if settings:
        print(f"in a config: {settings}")
    if sheet is not None:
        from lstd.base.whole_file import whole_file
        from lstd.media import optional

        picture = optional.load("PIL.Image").fromarray(inspect.sheet(found, count=values.frames))
        with whole_file(sheet) as temporary:
            picture.save(temporary, format="PNG")
        print(f"written: {sheet}")


def _sheet_path(text: str) -> Path:
    path = common.file_to_write(text, flag="--output")
    if path.suffix.lower() != ".png" and not is_stream(path):
        raise ValueError(f"--output: {path} must end in .png")
    return path


def _validate(values: flags.FlagValues) -> int:
    from lstd.data import validate

    policy = data_source.policy_of(values)
    source = data_source.source_of(values, skip_damaged=True)
    with Progress("checking", unit="frames") as progress:
        report = validate.validate(
            source,
            policy=policy,
            images=values.check_images,
            max_boxes=values.max_boxes,
            examples=values.examples or None,
            on_frames=lambda count: progress.advance(count),
        )
    print("\n".join(report.lines()))
    errors = sum(n for (_, answer), n in report.counts.items() if answer == "error")
    others = sum(report.counts.values()) - errors
    print(f"{errors} problems that are errors, {others} that would be repaired or skipped")
    return 1 if errors else 0


def _write_yaml(values: flags.FlagValues) -> None:
    from lstd.config import config_io

    config = common.config_of(values)
    output = Path(values.output)
    if output.is_dir():
        raise ValueError(f"--output: {output} is a folder; name the YAML file")
    config_io.save_config(config, output)
    print(f"written: {output}")


# Verb -> what runs, its flags, those without which it cannot run, its help.
_VERBS = {
    "inspect": (
        _inspect,
        {
            **data_source.FLAGS,
            **common.flags("config", "config_override", "set"),
            "output": app.text("PNG file for the sheet of frames; empty: none."),
            "frames": app.whole("Frames in the sheet.", 12, least=1, most=1000),
        },
        ["input"],
        _INSPECT,
    ),
    "validate": (
        _validate,
        {
            **data_source.FLAGS,
            **data_source.PROBLEMS,
            "check_images": app.switch("Decode every image.", default=True),
            "examples": app.whole("Places shown for each kind of problem; 0: all.", 20, least=0),
        },
        ["input"],
        _VALIDATE,
    ),
    "convert": data_records.CONVERT,
    "split": data_records.SPLIT,
    "synthesize": data_records.SYNTHESIZE,
    "config-to-yaml": (
        _write_yaml,
        {
            **common.flags("config", "config_override", "set"),
            "output": app.text("The YAML file to write."),
        },
        ["config", "output"],
        "Writes a config as YAML with every value.",
    ),
}


if __name__ == "__main__":
    sys.exit(main())
