"""Says what is in a data set, and draws a sheet of its frames with their boxes.

Counts, classes, box sizes against the anchors that would have to catch them, tracks, speed of
motion, and problems of the labels.

Example:
  lstd-data inspect --input my_data --output sheet.png
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from lstd.base.whole_file import is_stream
from lstd.cli import common, data_source


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code of `lstd-data inspect`."""
    values = flags.FlagValues()
    data_source.define(values, problems=False)
    common.define(values, "config", "config_override", "set")
    flags.DEFINE_string(
        "output", "", "PNG file for the sheet of frames; empty: none.", flag_values=values
    )
    flags.DEFINE_integer(
        "frames", 12, "Frames in the sheet.", lower_bound=1, upper_bound=1000, flag_values=values
    )
    return common.run(
        _inspect,
        values,
        program="lstd-data inspect",
        description=__doc__ + "\nThe anchors are those of --config; without it, of the default.",
        required=["input"],
        argv=arguments,
    )


def _inspect(values: flags.FlagValues) -> None:
    from lstd.config.config import Config
    from lstd.data import inspect
    from lstd.ops import anchors

    sheet = _sheet_path(values.output) if values.output else None
    model = (
        common.config_of(values) if values.config else common.overridden(Config(), values)
    ).model
    source = data_source.source_of(values, skip_damaged=True)
    with common.Progress("reading labels", unit="frames") as report:
        found = inspect.inspect(source, on_frames=lambda count: report.advance(count))
    size = (model.input_height, model.input_width)
    print("\n".join(inspect.lines(found, anchors.from_config(model), input_size=size)))
    settings = inspect.settings_note(found)
    if settings:
        print(f"in a config: {settings}")
    if sheet is not None:
        _write_sheet(sheet, inspect.sheet(found, count=values.frames))


def _sheet_path(text: str) -> Path:
    path = common.file_to_write(text, flag="--output")
    if path.suffix.lower() != ".png" and not is_stream(path):
        raise ValueError(f"--output: {path} must end in .png")
    return path


def _write_sheet(path: Path, picture: object) -> None:
    from lstd.base.whole_file import whole_file
    from lstd.media import optional

    with whole_file(path) as temporary:
        optional.load("PIL.Image").fromarray(picture).save(temporary, format="PNG")
    print(f"written: {path}")
