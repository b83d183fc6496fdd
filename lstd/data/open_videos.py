"""From the paths of a config to videos that can be walked through."""

import contextlib
import itertools
import logging
import os
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from lstd.config.data_config import DatasetConfig
from lstd.data import record_files, source_checks
from lstd.data.checked_video import CheckedVideo
from lstd.data.problems import Checks, ProblemError
from lstd.data.record_files import RecordVideo
from lstd.data.sources import Source, SourceVideo

_CHOICES = ("subset", "images", "stills", "folders")
_LOG = logging.getLogger(__name__)


def open_all(
    config: DatasetConfig,
    checks: Checks,
    labels: tuple[str, ...],
    *,
    num_classes: int | None,
    where: str,
) -> list[CheckedVideo]:
    """Returns the videos of all input paths, in the order of their names.

    Raises:
        ValueError: data sets that number their classes each in its own way, and no labels; labels
            that give a class another number than the index of records; or a choice that such data
            does not have.
    """
    from lstd.data import readers

    paths = record_files.find(config.input_path, where=f"{where}.input_path")
    folders = {path: path if tf.io.gfile.isdir(path) else os.path.dirname(path) for path in paths}
    listed: set[str] = set()  # shards that need no look inside
    for folder in dict.fromkeys(folders.values()):
        _check_numbers(folder, labels, where=where)
        with contextlib.suppress(KeyError, TypeError):  # no index, or one of another kind
            for shard in record_files.index_of(folder)["shards"]:
                listed.update([os.path.join(folder, shard["file"])] if shard["records"] else ())

    def is_shard(path: str) -> bool:
        if config.format or folders[path] == path:
            return False
        return path in listed or record_files.format_of(path) == "sequence_example"

    found: list[SourceVideo] = []
    numbered: dict[tuple[str, ...], str] = {}
    for are_shards, group in itertools.groupby(paths, is_shard):
        own = [*group]
        if are_shards and len(own) == len(paths):
            _refuse_choices(config, own[0], where=where)
        if are_shards:
            found += _in_records(own, checks)
            continue
        for path in own:
            source = _source(path, config, checks, labels)
            if source.format not in readers.WITH_NUMBERS:
                numbered.setdefault(source.labels, path)
            found += source.videos
    if len(numbered) > 1:
        (one, path), (other, other_path), *_ = numbered.items()
        raise ValueError(
            f"{where}: {path} has the classes {', '.join(one)}, {other_path} has "
            f"{', '.join(other)}; say in model.labels (or data.label_map_path) which is which"
        )
    videos = source_checks.named(found, checks)
    return [CheckedVideo(video, checks, classes=num_classes) for video in videos]


def _in_records(shards: Sequence[str], checks: Checks) -> list[RecordVideo]:
    """Returns the videos in SequenceExamples, which may go on from one file to the next."""

    def leave_out(error: ProblemError) -> None:
        _leave_out(error.message, checks)

    skip = checks.policy["damaged_record"] == "skip"
    videos = record_files.list_videos(shards, on_damage=leave_out if skip else None)
    if checks.policy["missing_frame"] == "error":
        for video in videos:
            for span in video.spans:
                if span.part is None:
                    checks.meet("missing_frame", span.where)
    return videos


def _source(path: str, config: DatasetConfig, checks: Checks, labels: tuple[str, ...]) -> Source:
    from lstd.data import readers

    choices: dict[str, Any] = {name: getattr(config, name) for name in ("format", *_CHOICES)}
    skip = checks.policy["damaged_record"] == "skip"
    source = readers.open(path, labels=labels, skip_damaged=skip, **choices)
    notes = [*source.notes]
    if not labels and source.format not in readers.WITH_NUMBERS:
        notes.append(
            "model.labels does not say the order of the classes; taken is that of this data set: "
            + ", ".join(source.labels)
        )
    for note in notes:
        _LOG.warning("%s: %s", path, note)
    for message in source.damaged:
        _leave_out(message, checks)
    return source


def _leave_out(message: str, checks: Checks) -> None:
    checks.meet("damaged_record", message)
    _LOG.warning("%s", message)


def _check_numbers(folder: str, labels: tuple[str, ...], *, where: str) -> None:
    """Raises where records number a class otherwise than the labels; records hold only numbers."""
    from lstd.data.readers import tfrecords

    for number, name in enumerate(tfrecords.indexed_labels(folder)):
        if name in labels and labels[number : number + 1] != (name,):
            raise ValueError(
                f"{where}: in the records of {folder} {name} is class {number}, in model.labels "
                f"(or data.label_map_path) class {labels.index(name)}; take the order of "
                "labels.txt there"
            )


def _refuse_choices(config: DatasetConfig, path: str, *, where: str) -> None:
    """Raises where a choice would do nothing for SequenceExamples; one that is named itself."""
    for choice in _CHOICES:
        if value := getattr(config, choice):
            unset = "false" if value is True else "''"
            raise ValueError(
                f"{where}.{choice} is {value!r}, which means nothing for the TFRecord file {path}; "
                f'leave it out, or --set "{where}.{choice}={unset}"'
            )
