"""The flags that say which data set the verbs of `lstd-data` read, and how problems are met."""

from __future__ import annotations

from typing import TYPE_CHECKING

from absl import flags

from lstd.cli import app, common

if TYPE_CHECKING:
    from lstd.data.problems import Policy
    from lstd.data.sources import Source

FLAGS: app.Flags = {
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
PROBLEMS: app.Flags = {
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

    source = readers.open(
        values.input,
        labels=label_map.load(values.label_map) if values.label_map else (),
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
    kinds = [text.partition("=")[0].strip() for text in values.on_problem]
    if not values.max_boxes and "too_many_boxes" in kinds:
        raise ValueError(
            "--on_problem: too_many_boxes means nothing without --max_boxes, which says how many "
            "are too many"
        )
    return policy
