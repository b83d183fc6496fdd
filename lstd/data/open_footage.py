"""From the paths of a config to videos that can be walked through."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import tensorflow as tf

from lstd.config.data_config import DatasetConfig
from lstd.data import problems, record_files, record_frames
from lstd.data.footage import Footage, RecordFootage, SourceFootage
from lstd.data.problems import ProblemError
from lstd.data.rows import Cleaner
from lstd.data.sources import Source

_LOG = logging.getLogger(__name__)


def open_all(
    config: DatasetConfig, cleaner: Cleaner, labels: tuple[str, ...], *, where: str
) -> list[Footage]:
    """Returns the videos of all input paths, in the order of their names.

    Raises:
        ValueError: data sets that number their classes each in its own way, and no labels; labels
            that give a class another number than the index of records; or a choice that such data
            does not have.
    """
    from lstd.data import readers

    found: list[Footage] = []
    numbered: dict[tuple[str, ...], str] = {}
    shards: list[str] = []
    folders: set[Path] = set()

    def add_shards() -> None:
        on_damage = None if cleaner.policy["damaged_record"] == "error" else _left_out(cleaner)
        videos = record_frames.list_videos(shards, on_damage=on_damage)
        found.extend(RecordFootage(video, cleaner) for video in videos)
        shards.clear()

    paths = record_files.find(config.input_path, where=f"{where}.input_path")
    for path in paths:
        is_shard = not config.format and not tf.io.gfile.isdir(path)
        folder = Path(path) if Path(path).is_dir() else Path(path).parent
        if folder not in folders:
            _check_numbers(folder, labels, where=where)
            folders.add(folder)
        if is_shard and record_files.kind_of(path) == "sequence":
            shards.append(path)
        else:
            add_shards()
            source = _source(path, config, cleaner, labels)
            if source.format not in readers.WITH_NUMBERS:
                numbered.setdefault(source.labels, path)
            found.extend(_footages_of_source(source, cleaner))
    if shards and len(shards) == len(paths):
        _refuse_choices(config, shards[0], where=where)
    add_shards()
    if len(numbered) > 1:
        (one, path), (other, other_path), *_ = numbered.items()
        raise ValueError(
            f"{where}: {path} has the classes {', '.join(one)}, {other_path} has "
            f"{', '.join(other)}; say in model.labels (or data.label_map_path) which is which"
        )
    return found


def _check_numbers(folder: Path, labels: tuple[str, ...], *, where: str) -> None:
    """Raises where records number a class otherwise than the labels; records hold only numbers."""
    from lstd.data.readers import sequence_records

    for number, name in enumerate(sequence_records.indexed_labels(folder)):
        if name in labels and labels[number : number + 1] != (name,):
            raise ValueError(
                f"{where}: in the records of {folder} {name} is class {number}, in model.labels "
                f"(or data.label_map_path) class {labels.index(name)}; take the order of "
                "labels.txt there"
            )


def _refuse_choices(config: DatasetConfig, path: str, *, where: str) -> None:
    """Raises where a choice would silently do nothing, for a TFRecord file that is named itself."""
    for choice, unset in (
        ("subset", "''"),
        ("images", "''"),
        ("stills", "false"),
        ("folders", "false"),
    ):
        if getattr(config, choice):
            raise ValueError(
                f"{where}.{choice} is {getattr(config, choice)!r}, which means nothing for the "
                f'TFRecord file {path}; leave it out, or --set "{where}.{choice}={unset}"'
            )


def _source(path: str, config: DatasetConfig, cleaner: Cleaner, labels: tuple[str, ...]) -> Source:
    from lstd.data import readers

    source = readers.open(
        path,
        labels=labels,
        format=config.format,
        subset=config.subset,
        images=config.images,
        stills=config.stills,
        folders=config.folders,
        skip_damaged=cleaner.policy["damaged_record"] == "skip",
    )
    notes = [*source.notes]
    if not labels and source.format not in readers.WITH_NUMBERS:
        notes.append(
            "model.labels does not say the order of the classes; taken is that of this data set: "
            + ", ".join(source.labels)
        )
    for note in notes:
        _LOG.warning("%s: %s", path, note)
    for message in source.damaged:
        _left_out(cleaner)(record_files.damage(message))
    return source


def _footages_of_source(source: Source, cleaner: Cleaner) -> Iterator[Footage]:
    for video in source.videos:
        if video.num_frames:
            yield SourceFootage(video, name=video.name, cleaner=cleaner)
        else:
            message = f"{video.where}: video {video.name!r} has no frames"
            problems.meet("empty_video", message, policy=cleaner.policy, report=cleaner.report)


def _left_out(cleaner: Cleaner) -> Callable[[ProblemError], None]:
    def meet(error: ProblemError) -> None:
        problems.meet(error.kind, error.message, policy=cleaner.policy, report=cleaner.report)
        _LOG.warning("%s", error.message)

    return meet
