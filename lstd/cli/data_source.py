"""The flags that say which data set the verbs of `lstd-data` read, and how problems are met."""

from __future__ import annotations

from typing import TYPE_CHECKING

from absl import flags

from lstd.cli import common

if TYPE_CHECKING:
    from lstd.data.problems import Policy, Report
    from lstd.data.sources import Source


def define(values: flags.FlagValues, *, problems: bool = True) -> None:
    """Adds the flags of a data set, and of the answers to its problems."""
    common.define(values, "input")
    flags.DEFINE_string(
        "format", "", "Format of --input; empty: found out by content.", flag_values=values
    )
    flags.DEFINE_string(
        "subset", "", "Part of the data set, such as train or val.", flag_values=values
    )
    flags.DEFINE_string(
        "images", "", "Folder or video with the pictures, if not as usual.", flag_values=values
    )
    flags.DEFINE_bool("stills", False, "Every image is a video of its own.", flag_values=values)
    flags.DEFINE_bool(
        "folders", False, "The images of a folder are a video (yolo, coco).", flag_values=values
    )
    flags.DEFINE_string(
        "label_map",
        "",
        "Class names in class order: a label map of the original, or one name a line. Empty: those "
        "of the data set.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "videos", "", "File with the names of the videos to take, one a line.", flag_values=values
    )
    if problems:
        define_problems(values)


def define_problems(values: flags.FlagValues) -> None:
    """Adds the flags of the answers to problems."""
    flags.DEFINE_multi_string(
        "on_problem",
        [],
        "Answer to a kind of problem, kind=error, kind=repair or kind=skip, such as "
        "box_inverted=repair; any number of times. docs/data.md lists them.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "problems",
        "",
        "Answer to all other kinds that have it: error, repair or skip. Empty: each its own.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "max_boxes",
        0,
        "Boxes that a frame may have; more are the problem too_many_boxes. 0: any number.",
        lower_bound=0,
        flag_values=values,
    )


def source_of(values: flags.FlagValues, *, skip_damaged: bool) -> Source:
    """Returns the data set of the flags, after printing which videos it was taken for.

    Args:
        values: the flags.
        skip_damaged: damaged records are left out, and listed in `Source.damaged`.

    Raises:
        ValueError: the data set cannot be read, or --videos names no video or one that it lacks.
        OSError: a file cannot be opened.
    """
    from lstd.base import documents, label_map
    from lstd.data import readers, source_checks, sources

    labels = label_map.load(values.label_map) if values.label_map else ()
    source = readers.open(
        values.input,
        labels=labels,
        format=values.format,
        subset=values.subset,
        images=values.images,
        stills=values.stills,
        folders=values.folders,
        skip_damaged=skip_damaged,
    )
    if values.videos:
        path = common.existing_file(values.videos, flag="--videos")
        lines = documents.read_text(path).split("\n")
        names = [line.strip() for line in lines if line.strip()]
        if not names:
            raise ValueError(f"--videos: {path} names no video; one a line is expected")
        source = source_checks.select(source, names)
    for line in (sources.summary(source), *source.notes):
        print(label_map.shown(line))
    return source


def policy_of(values: flags.FlagValues) -> Policy:
    """Returns the answers that the flags choose.

    Raises:
        ValueError: no such problem or answer, or one to a problem that cannot be.
    """
    from lstd.data import problems

    policy = problems.policy(values.on_problem, default=values.problems)
    if not values.max_boxes and any(
        text.partition("=")[0].strip() == "too_many_boxes" for text in values.on_problem
    ):
        raise ValueError(
            "--on_problem: too_many_boxes means nothing without --max_boxes, which says how many "
            "are too many"
        )
    return policy


def print_report(report: Report) -> None:
    """Says on stdout what was repaired or left out."""
    for line in report.lines():
        print(line)
