"""The verbs of `lstd-data` that write data sets: convert, split and synthesize."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from lstd.base import documents
from lstd.base.progress import Progress
from lstd.cli import app, common, data_source

if TYPE_CHECKING:
    from lstd.data.convert import Plan, Settings
    from lstd.data.sources import Source

_RECORDS: app.Flags = {
    "image_format": app.choice(
        "keep stores JPEG and PNG files as they are, and frames of videos as JPEG; png keeps every "
        "bit.",
        ["keep", "jpeg", "png"],
        "keep",
    ),
    "quality": app.whole("Of a JPEG that is made, 1 to 100.", 95),
    "frames_per_record": app.whole(
        "Longer videos are stored in parts; 0: one record a video, as the original expects, up to "
        "256 MB.",
        200,
    ),
    "frames_per_shard": app.whole("A file is full with so many; 0: chosen.", 0),
    "workers": app.whole("Processes; 0: as many as pay, at most one a core.", 0, least=0),
}
_PREFIX = {"prefix": app.text("Of the names of the files.", "data")}
_OF_SHARDS = {**_RECORDS, **_PREFIX, **data_source.PROBLEMS}


def _settings_of(values: flags.FlagValues, *, prefix: str) -> Settings:
    """Returns how the flags say that records are made, and their files called."""
    from lstd.data.convert import Settings

    return Settings(
        image_format=values.image_format,
        quality=values.quality,
        frames_per_record=values.frames_per_record,
        frames_per_shard=values.frames_per_shard,
        prefix=prefix,
        max_boxes=values.max_boxes,
        policy=data_source.policy_of(values),
    )


def _source_of(values: flags.FlagValues) -> Source:
    """Returns the data set of the flags, without damaged records where that is the answer."""
    policy = data_source.policy_of(values)
    return data_source.source_of(values, skip_damaged=policy["damaged_record"] == "skip")


def _write(source: Source, directory: str, values: flags.FlagValues, *, prefix: str) -> None:
    """Converts with a line of progress, and prints what was written."""
    from lstd.data import convert

    report = Progress("converting", unit="frames")

    def start(plan: Plan, done: int) -> None:
        nonlocal report
        report = Progress("converting", total=plan.frames, unit="frames")
        if done:
            report.advance(done, note="already there")

    index = convert.convert(
        source,
        common.writable_directory(directory),
        _settings_of(values, prefix=prefix),
        workers=values.workers,
        resume=values.resume,
        on_start=start,
        on_frames=lambda count: report.advance(count),
    )
    report.close()
    _print_index(index, directory)


def _print_index(index: dict[str, Any], directory: str) -> None:
    """Says what a conversion wrote, and what it repaired or left out."""
    from lstd.data import shard_files

    print(
        f"written: {directory}: {len(index['videos'])} videos, {index['frames']} frames, "
        f"{index['boxes']} boxes in {len(index['shards'])} files; "
        f"{len(index['labels'])} classes in labels.txt"
    )
    for line in shard_files.report_of(index).lines():
        print(line)


def _convert(values: flags.FlagValues) -> None:
    source = _source_of(values)
    if not values.beam:
        _write(source, values.output_directory, values, prefix=values.prefix)
        return
    if values.resume:
        raise ValueError("--resume is not for --beam: a pipeline is run again as a whole")
    from lstd.data import beam_convert

    options = beam_convert.options(values.beam)
    settings = _settings_of(values, prefix=values.prefix)
    index = beam_convert.convert(source, values.output_directory, settings, options)
    _print_index(index, values.output_directory)


def _split(values: flags.FlagValues) -> None:
    from lstd.data import convert, source_checks, split
    from lstd.data.problems import Report

    shares = split.parse_parts(values.parts)
    source = _source_of(values)
    if not values.lists_only:  # before the lists are there, not in the midst of a part
        source_checks.usable_videos(source, policy=data_source.policy_of(values), report=Report())
        convert.check(_settings_of(values, prefix=next(iter(shares))))
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
            _write(chosen, str(folder / part), values, prefix=part)
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


def _synthesize(values: flags.FlagValues) -> None:
    from lstd.data import synthesize

    given: dict[str, Any] = {name: values[name].value for name in _SCENE}
    given["shapes"] = tuple(shape for shape in given["shapes"] if shape)
    made = synthesize.source(synthesize.Scene(**given))
    if values.output_format == "shards":
        _write(made, values.output_directory, values, prefix=values.prefix)
        return
    vain = [f"--{name}" for name in sorted(_OF_SHARDS) if values[name].present]
    if vain:
        raise ValueError(f"{' and '.join(vain)} means nothing for --output_format=frames")
    folder = common.writable_directory(values.output_directory)
    if any(folder.iterdir()) and not values.resume:
        raise ValueError(f"--output_directory: {folder} is not empty; name another folder")
    synthesize.write_folders(made, folder)
    print(f"written: {folder}: {len(made.videos)} videos; classes {', '.join(made.labels)}")


_SCENE = {
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


def _scene_flags() -> dict[str, app.Flag]:
    """Returns a flag for each field of a Scene."""
    from lstd.data.synthesize import Scene

    makers: dict[type, Callable[[str, Any], app.Flag]]
    makers = {int: app.whole, float: app.number, str: app.text, tuple: app.several}
    defaults = {field.name: field.default for field in dataclasses.fields(Scene)}
    return {
        name: makers[type(defaults[name])](text, defaults[name]) for name, text in _SCENE.items()
    }


CONVERT = (
    _convert,
    {
        **data_source.FLAGS,
        **data_source.PROBLEMS,
        **common.flags("output_directory", "resume"),
        **_RECORDS,
        **_PREFIX,
        "beam": app.repeated(
            "Run as an Apache Beam pipeline with this option of it, such as "
            "--beam=--runner=FlinkRunner; any number of times."
        ),
    },
    ["input", "output_directory"],
    """Writes a data set as sharded TFRecord files of SequenceExamples, with an index.

The output folder gets PREFIX-00000-of-00010.tfrecord and so on, index.json (shards, records,
videos, sizes, SHA-256) and labels.txt. Killed at any moment and called again with --resume, it ends
with the same records.

Example:
  lstd-data convert --input ILSVRC2015 --subset train --output_directory data/vid --prefix train
""",
)
SPLIT = (
    _split,
    {
        **data_source.FLAGS,
        **data_source.PROBLEMS,
        **common.flags("output_directory", "resume"),
        **_RECORDS,
        "parts": app.several("Parts and their shares.", ["train=0.8", "val=0.2"]),
        "seed": app.whole("Of the division.", 0, least=0),
        "lists_only": app.switch("Only the lists; convert --videos takes one."),
    },
    ["input", "output_directory"],
    """Divides a data set by video, and writes each part as shards.

The output folder gets a folder for each part, as convert writes it, and PART.txt with the names of
its videos.

Example:
  lstd-data split --input my_data --output_directory data --parts train=0.8,val=0.2
""",
)
SYNTHESIZE = (
    _synthesize,
    {
        **common.flags("output_directory", "resume"),
        **_scene_flags(),
        "output_format": app.choice(
            "shards: TFRecord files as convert writes them; frames: a folder of PNG files and a "
            "CSV file for each video.",
            ["shards", "frames"],
            "shards",
        ),
        **_OF_SHARDS,
    },
    ["output_directory"],
    """Makes videos whose boxes are exact: shapes, or your cut-outs, that move over backgrounds.

Example:
  lstd-data synthesize --output_directory made --cutouts cutouts --backgrounds streets --blur 0.5
""",
)
