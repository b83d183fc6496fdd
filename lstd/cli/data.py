r"""Brings what you have into the forms of lstd: lstd-data VERB --flag value ...

Verbs:
  inspect          says what is in a data set, and draws its frames with their boxes
  validate         finds every problem of a data set
  convert          writes a data set as TFRecord files
  split            divides a data set by video, or one video in time, and writes the parts
  synthesize       makes videos whose boxes are exact
  config-to-yaml   writes a config, such as a .config of the original, as YAML with every value

Example:
  lstd-data inspect --input my_data --output sheet.png
  lstd-data convert --input my_data --output_directory records
  lstd-data config-to-yaml --config lstm_ssd_interleaved_mobilenet_v2_imagenet.config \
      --output my_config.yaml

lstd-data VERB --help lists the flags of a verb. docs/data.md shows every format.
"""

import dataclasses
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from lstd.base.close_names import close_name
from lstd.cli import app, common
from lstd.data.synthesize import Scene

_SOURCE: app.Flags = {
    "input": app.text("File or folder to read."),
    "format": app.text("Format of --input; empty: found out by content."),
    "subset": app.text("Part of the data set, such as train or val."),
    "images": app.text("Folder or video with the pictures, if not as usual."),
    "stills": app.switch("Every image is a video of its own."),
    "folders": app.switch("A folder of images is a video, where labels are for single images."),
    "label_map": app.text(
        "Class names in class order: a label map of the original, or one name a line. Empty: those "
        "of the data set."
    ),
    "videos": app.text("File with the names of the videos to take, one a line."),
}
_PROBLEMS: app.Flags = {
    "on_problem": app.repeated(
        "Answer to a kind of problem, kind=error, kind=repair or kind=skip, such as "
        "box_inverted=repair; any number of times. docs/data.md lists them."
    ),
    "problems": app.text(
        "Answer to all other kinds that have it: error, repair or skip. Empty: each its own."
    ),
    "max_boxes": app.whole(
        "Boxes that a frame may have; more are the problem too_many_boxes. 0: any number.",
        0,
        least=0,
    ),
}
_RECORDS: app.Flags = {
    "image_format": app.choice(
        "keep stores JPEG and PNG files as they are, and frames of videos as JPEG; png keeps every "
        "bit.",
        ["keep", "jpeg", "png"],
        "keep",
    ),
    "quality": app.whole("Of a JPEG that is made, 1 to 100.", 95, least=1, most=100),
    "frames_per_record": app.whole(
        "Longer videos are stored in parts; 0: one record a video, as the original expects, up to "
        "256 MB.",
        200,
        least=0,
    ),
    "frames_per_shard": app.whole("A file is full with so many; 0: chosen.", 0, least=0),
    "workers": app.whole("Processes; 0: as many as pay, at most one a core.", 0, least=0),
}
_PREFIX = {"prefix": app.text("Of the names of the files.", "data")}
_OF_SHARDS: app.Flags = {**_RECORDS, **_PREFIX, **_PROBLEMS}
_CONFIG = common.flags("config", "config_override", "set")
_OUTPUT = common.flags("output_directory", "resume")


_MAKERS: dict[type, Any] = {
    int: app.whole,
    float: app.number,
    str: app.text,
    tuple: app.several,
}
_SCENE = {
    field.name: _MAKERS[type(field.default)](field.metadata["help"], field.default)
    for field in dataclasses.fields(Scene)
}

# Verb -> its flags, those without which it cannot run, its help.
_VERBS: dict[str, tuple[app.Flags, list[str], str]] = {
    "inspect": (
        {
            **_SOURCE,
            **_CONFIG,
            "output": app.text("PNG file for the sheet of frames; empty: none."),
            "frames": app.whole("Frames in the sheet.", 12, least=1, most=1000),
        },
        ["input"],
        """Says what is in a data set, and draws a sheet of its frames with their boxes.

Counts, classes, box sizes against the anchors that would have to catch them, tracks, speed of
motion, and problems of the labels.

Example:
  lstd-data inspect --input my_data --output sheet.png

The anchors are those of --config; without it, of the default.
""",
    ),
    "validate": (
        {
            **_SOURCE,
            **_PROBLEMS,
            "check_images": app.switch("Decode every image.", default=True),
            "examples": app.whole("Places shown for each kind of problem; 0: all.", 20, least=0),
        },
        ["input"],
        """Finds every problem of a data set, and says whether convert would go through.

Exit code 0: there is no problem, or only such as --on_problem and --problems answer with repair or
skip; 1: there is one whose answer is error; 2: the data set cannot be read at all.

Example:
  lstd-data validate --input my_data
""",
    ),
    "convert": (
        {
            **_SOURCE,
            **_OUTPUT,
            **_OF_SHARDS,
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
    ),
    "split": (
        {
            **_SOURCE,
            **_PROBLEMS,
            **_OUTPUT,
            **_RECORDS,
            "parts": app.several("Parts and their shares.", ["train=0.8", "val=0.2"]),
            "seed": app.whole("Of the division.", 0, least=0),
            "lists_only": app.switch("Only the lists; convert --videos takes one."),
        },
        ["input", "output_directory"],
        """Divides a data set by video, and writes each part as shards.

Where there are fewer videos than parts, each is cut in time, with a gap between the pieces. The
output folder gets a folder for each part, as convert writes it, and PART.txt with the names of its
videos. lstd-train --input takes that folder as it is.

Example:
  lstd-data split --input my_data --output_directory data --parts train=0.8,val=0.2
""",
    ),
    "synthesize": (
        {
            **_OUTPUT,
            **_SCENE,
            "output_format": app.choice(
                "shards: TFRecord files as convert writes them; frames: a folder of PNG files and "
                "a CSV file for each video.",
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
    ),
    "config-to-yaml": (
        {**_CONFIG, "output": app.text("The YAML file to write.")},
        ["config", "output"],
        "Writes a config as YAML with every value.",
    ),
}


FLAGS: app.Flags = {}
"""Those before a verb."""
FLAGS_OF_VERBS = {verb: table for verb, (table, *_) in _VERBS.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code of `lstd-data`."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    verb = arguments[0] if arguments and not arguments[0].startswith("-") else ""

    def run(values: flags.FlagValues) -> int | None:
        from lstd.cli import data_verbs

        return data_verbs.VERBS[verb](values)

    if verb in _VERBS:
        table, required, description = _VERBS[verb]
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
    return app.run(no_verb, FLAGS, program="lstd-data", description=__doc__, argv=argv)


if __name__ == "__main__":
    sys.exit(main())
