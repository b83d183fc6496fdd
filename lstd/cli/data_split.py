"""Divides a data set by video, and writes each part as shards.

The output folder gets a folder for each part, as convert writes it, and PART.txt with the names of
its videos.

Example:
  lstd-data split --input my_data --output_directory data --parts train=0.8,val=0.2
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from absl import flags

from lstd.base import documents
from lstd.cli import common, data_convert, data_source


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code of `lstd-data split`."""
    values = flags.FlagValues()
    data_source.define(values)
    common.define(values, "output_directory", "resume")
    data_convert.define_records(values)
    flags.DEFINE_list(
        "parts", ["train=0.8", "val=0.2"], "Parts and their shares.", flag_values=values
    )
    flags.DEFINE_integer("seed", 0, "Of the division.", lower_bound=0, flag_values=values)
    flags.DEFINE_bool(
        "lists_only", False, "Only the lists; convert --videos takes one.", flag_values=values
    )
    return common.run(
        _split,
        values,
        program="lstd-data split",
        description=__doc__,
        required=["input", "output_directory"],
        argv=arguments,
    )


def _split(values: flags.FlagValues) -> None:
    from lstd.data import conversion, convert, source_checks, split
    from lstd.data.problems import Report

    shares = split.parse_parts(values.parts)
    source = data_convert.source_of(values)
    if not values.lists_only:  # before the lists are there, not in the midst of a part
        source_checks.usable_videos(source, policy=data_source.policy_of(values), report=Report())
        conversion.check(data_convert.settings_of(values, prefix=next(iter(shares))))
    parts = split.split(source.videos, shares, seed=values.seed)
    folder = common.writable_directory(values.output_directory)
    anew = any(convert.is_given_up(folder / part) for part in parts) and not values.resume
    _write_lists(folder, parts, resume=values.resume, anew=anew)
    if values.lists_only:
        return
    begun: list[Path] = []
    for part, names in parts.items():
        chosen = source_checks.select(source, names)
        begun.append(folder / part)
        try:
            data_convert.run(chosen, str(folder / part), values, prefix=part)
        except ValueError:
            if not values.resume or convert.is_given_up(folder / part):
                for each in begun:  # All of them begin anew, or go on.
                    convert.give_up(each)
            raise


def _write_lists(
    folder: Path, parts: Mapping[str, Sequence[str]], *, resume: bool, anew: bool
) -> None:
    """Writes the names of the videos in each part, unless others stand there."""
    from lstd.base.whole_file import write_whole

    broken = [name for names in parts.values() for name in names if "\n" in name]
    if broken:
        raise ValueError(f"the name of video {broken[0]!r} holds a line break; rename it")
    texts = {
        folder / f"{part}.txt": "".join(f"{name}\n" for name in names)
        for part, names in parts.items()
    }
    for path, text in texts.items():
        if anew or not path.exists():
            continue
        if not resume:
            raise FileExistsError(
                f"{path} is there already: --resume goes on with it, or name another folder"
            )
        if documents.read_text(path) != text:
            raise ValueError(
                f"{path}: what is there was divided in another way; go on as it began, or name "
                "another folder"
            )
    for path, text in texts.items():
        write_whole(path, text)
        print(f"{path.stem}: {text.count(chr(10))} videos, {path}")
