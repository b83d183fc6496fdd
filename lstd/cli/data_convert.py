"""Writes a data set as sharded TFRecord files of SequenceExamples, with an index.

The output folder gets PREFIX-00000-of-00010.tfrecord and so on, index.json (shards, records,
videos, sizes, SHA-256) and labels.txt. Killed at any moment and called again with --resume, it ends
with the same records.

Example:
  lstd-data convert --input ILSVRC2015 --subset train --output_directory data/vid --prefix train
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from absl import flags

from lstd.cli import common, data_source

if TYPE_CHECKING:
    from lstd.data.conversion import Plan, Settings
    from lstd.data.sources import Source


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code of `lstd-data convert`."""
    values = flags.FlagValues()
    data_source.define(values)
    common.define(values, "output_directory", "resume")
    define_records(values)
    define_prefix(values)
    flags.DEFINE_multi_string(
        "beam",
        [],
        "Run as an Apache Beam pipeline with this option of it, such as "
        "--beam=--runner=FlinkRunner; any number of times.",
        flag_values=values,
    )
    return common.run(
        _convert,
        values,
        program="lstd-data convert",
        description=__doc__,
        required=["input", "output_directory"],
        argv=arguments,
    )


def define_records(values: flags.FlagValues) -> None:
    """Adds the flags of how records are made."""
    flags.DEFINE_enum(
        "image_format",
        "keep",
        ["keep", "jpeg", "png"],
        "keep stores JPEG and PNG files as they are, and frames of videos as JPEG; png keeps every "
        "bit.",
        flag_values=values,
    )
    flags.DEFINE_integer("quality", 95, "Of a JPEG that is made, 1 to 100.", flag_values=values)
    flags.DEFINE_integer(
        "frames_per_record",
        200,
        "Longer videos are stored in parts; 0: one record a video, as the original expects.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "frames_per_shard", 0, "A file is full with so many; 0: chosen.", flag_values=values
    )
    flags.DEFINE_integer(
        "workers",
        0,
        "Processes; 0: as many as pay, at most one a core.",
        lower_bound=0,
        flag_values=values,
    )


def define_prefix(values: flags.FlagValues) -> None:
    """Adds the flag of how files are called."""
    flags.DEFINE_string("prefix", "data", "Of the names of the files.", flag_values=values)


def settings_of(values: flags.FlagValues, *, prefix: str) -> Settings:
    """Returns how the flags say that records are made, and their files called."""
    from lstd.data.conversion import Settings

    return Settings(
        image_format=values.image_format,
        quality=values.quality,
        frames_per_record=values.frames_per_record,
        frames_per_shard=values.frames_per_shard,
        prefix=prefix,
        max_boxes=values.max_boxes,
        policy=data_source.policy_of(values),
    )


def source_of(values: flags.FlagValues) -> Source:
    """Returns the data set of the flags, without damaged records where that is the answer."""
    policy = data_source.policy_of(values)
    return data_source.source_of(values, skip_damaged=policy["damaged_record"] == "skip")


def run(source: Source, directory: str, values: flags.FlagValues, *, prefix: str) -> None:
    """Converts with a line of progress, and prints what was written."""
    from lstd.data import convert

    report = common.Progress("converting", unit="frames")

    def start(plan: Plan, done: int) -> None:
        nonlocal report
        report = common.Progress("converting", total=plan.frames, unit="frames")
        if done:
            report.advance(done, note="already there")

    index = convert.convert(
        source,
        common.writable_directory(directory),
        settings_of(values, prefix=prefix),
        workers=values.workers,
        resume=values.resume,
        on_start=start,
        on_frames=lambda count: report.advance(count),
    )
    report.close()
    print_index(index, directory)


def print_index(index: dict[str, Any], directory: str) -> None:
    """Says what a conversion wrote, and what it repaired or left out."""
    from lstd.data import shard_files

    print(
        f"written: {directory}: {len(index['videos'])} videos, {index['frames']} frames, "
        f"{index['boxes']} boxes in {len(index['shards'])} files; "
        f"{len(index['labels'])} classes in labels.txt"
    )
    data_source.print_report(shard_files.report_of(index))


def _convert(values: flags.FlagValues) -> None:
    source = source_of(values)
    if not values.beam:
        run(source, values.output_directory, values, prefix=values.prefix)
        return
    if values.resume:
        raise ValueError("--resume is not for --beam: a pipeline is run again as a whole")
    from lstd.data import beam_convert

    options = beam_convert.options(values.beam)
    settings = settings_of(values, prefix=values.prefix)
    index = beam_convert.convert(source, values.output_directory, settings, options)
    print_index(index, values.output_directory)
