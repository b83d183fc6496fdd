"""Makes videos whose boxes are exact: shapes, or your cut-outs, that move over your backgrounds.

Example:
  lstd-data synthesize --output_directory made --cutouts cutouts --backgrounds streets --blur 0.5
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

from lstd.cli import common, data_convert, data_source

_HELP = {
    "videos": "How many videos.",
    "frames": "Frames of each.",
    "height": "Of the frames, pixels.",
    "width": "Of the frames, pixels.",
    "objects": "Objects in each video.",
    "shapes": "Shapes to draw, each a class; --shapes= for none.",
    "cutouts": "Folder with transparent pictures; a folder in it, or the name without its last "
    "number, is a class.",
    "backgrounds": "Folder with pictures; empty: smooth noise.",
    "min_size": "Longest side of the smallest object, as a share of the frame's shorter side.",
    "max_size": "The same of the largest.",
    "speed": "Largest way in one frame, as a share of the frame's shorter side.",
    "blur": "Shutter time as a share of the time between frames.",
    "occlusion": "Share of the frames in which a bar hides a part.",
    "min_bar": "Width of the thinnest bar, as a share of the side that it cuts.",
    "max_bar": "The same of the widest.",
    "noise": "Standard deviation of noise, grey levels.",
    "min_visible": "An object of which less than this share is seen has no box.",
    "seed": "Of everything.",
}
_DEFINE: dict[type, Callable[..., Any]] = {
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
}


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code of `lstd-data synthesize`."""
    from lstd.data.synthesize import Scene

    values = flags.FlagValues()
    common.define(values, "output_directory", "resume")
    for field in dataclasses.fields(Scene):
        default = getattr(Scene, field.name)
        define: Callable[..., Any] = (
            flags.DEFINE_list if isinstance(default, tuple) else _DEFINE[type(default)]
        )
        default = list(default) if isinstance(default, tuple) else default
        define(field.name, default, _HELP[field.name], flag_values=values)
    flags.DEFINE_enum(
        "output_format",
        "shards",
        ["shards", "frames"],
        "shards: TFRecord files as convert writes them; frames: a folder of PNG files and a CSV "
        "file for each video.",
        flag_values=values,
    )
    before = set(values)
    data_convert.define_records(values)
    data_convert.define_prefix(values)
    data_source.define_problems(values)
    of_shards = sorted(set(values) - before)
    return common.run(
        functools.partial(_synthesize, of_shards=of_shards),
        values,
        program="lstd-data synthesize",
        description=__doc__,
        required=["output_directory"],
        argv=arguments,
    )


def _synthesize(values: flags.FlagValues, *, of_shards: Sequence[str]) -> None:
    from lstd.data import synthesize

    names = [field.name for field in dataclasses.fields(synthesize.Scene)]
    given: dict[str, Any] = {name: values[name].value for name in names}
    given["shapes"] = tuple(shape for shape in given["shapes"] if shape)
    made = synthesize.source(synthesize.Scene(**given))
    if values.output_format == "shards":
        data_convert.run(made, values.output_directory, values, prefix=values.prefix)
        return
    vain = [f"--{name}" for name in of_shards if values[name].present]
    if vain:
        raise ValueError(f"{' and '.join(vain)} means nothing for --output_format=frames")
    folder = common.writable_directory(values.output_directory)
    if any(folder.iterdir()) and not values.resume:
        raise ValueError(f"--output_directory: {folder} is not empty; name another folder")
    synthesize.write_folders(made, folder)
    print(f"written: {folder}: {len(made.videos)} videos; classes {', '.join(made.labels)}")
