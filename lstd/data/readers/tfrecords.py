"""Reads TFRecord files: SequenceExamples in the original's form, or tf.Examples, each an image.

`lstd.data.sequence_example` names the keys of the former, `docs/data.md` those of the latter, and
where class names come from.

Source: the Object Detection API of TensorFlow, "Preparing Inputs".
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from lstd.base import limits, natural
from lstd.data import record_content, record_files
from lstd.data.problems import ProblemError
from lstd.data.readers import frame_names, frame_pictures, image_sets
from lstd.data.readers.label_files import Found, Options, WrongTree, all_taken, chosen
from lstd.data.record_content import Part
from lstd.data.record_files import RecordVideo

_NAMES = re.compile(r"tfrecord|\.record(-\d+-of-\d+)?$", re.IGNORECASE)
"""What files in a folder are called, the Object Detection API's too."""


def format_of(path: Path) -> str:
    """Returns the format of a TFRecord file, or of a folder or pattern of them; empty: of none."""
    files = _files(path)
    if not files:
        return ""
    # What is none should by its name be one, and the reader says what is wrong.
    by_name = "sequence_example" if "tfrecord" in files[0].name.lower() else ""
    return record_files.format_of(str(files[0])) or by_name


def read_sequences(path: Path, options: Options) -> Found:
    """Returns the videos; raises ProblemError, with file and record, unless `skip_damaged`."""
    files = _files_of(path, options)
    met = _leaving_out(options) if options.skip_damaged else None
    videos = record_files.list_videos([str(file) for file in files], on_damage=met)
    labels = options.labels or _labels_of(dict.fromkeys(file.parent for file in files))
    if labels:
        return labels, videos
    unread: list[ProblemError] = []
    texts = []
    for part in (part for video in videos for part in video.parts):
        record = record_content.sequence_of(record_files.read(part), where=part.where)
        texts.append(record_content.texts_in(record, where=part.where, unread=unread))
    if unread:
        options.notes.append(
            f"class names of {len(unread)} frames cannot be read, such as {unread[0].message}"
        )
    return names_in(texts), videos


def _leaving_out(options: Options) -> Callable[[ProblemError], None]:
    """Returns what becomes of a damaged record."""

    def met(error: ProblemError) -> None:
        if not options.skip_damaged:
            raise error
        options.damaged.append(error.message)

    return met


def _labels_of(folders: Iterable[Path]) -> tuple[str, ...]:
    """Returns the class names that the indexes of folders agree on; raises if they do not."""
    found = {indexed_labels(folder): folder for folder in folders}
    if len(found) > 1:
        (one, folder), (other, other_folder), *_ = found.items()
        raise ValueError(
            f"{folder} has the classes {', '.join(one) or 'of no index'}, {other_folder} "
            f"{', '.join(other) or 'of no index'}; name one of them"
        )
    return next(iter(found))


def read_examples(path: Path, options: Options) -> Found:
    """Returns tf.Examples as videos of one frame, or grouped into videos; each is read once.

    Raises ProblemError, with file and record, unless `skip_damaged`.
    """
    files, met = _files_of(path, options), _leaving_out(options)
    entries: list[_Entry] = []
    for file in map(str, files):
        for number, offset, content in record_files.read_all(file, met):
            try:
                entries.append(_described(content, file, number, offset))
            except ProblemError as error:
                met(error)
    labels = options.labels or names_in(entry.texts for entry in entries)
    groups = [(entry.name, [entry]) for entry in entries]
    names = [frame_pictures.clean(entry.file_name) for entry in entries]
    if options.folders or (frame_names.are_of_videos(names) and not options.stills):
        parts = [str(Path(entry.part.path).parent) for entry in entries]
        found = frame_names.group(names, where=str(path), folders=options.folders, parts=parts)
        groups = [(one.name, [entries[place] for place in one.places]) for one in found]
        if not options.folders:
            image_sets.note_names(found, options)
    elif not options.stills and len(entries) > 1:
        options.notes.append(
            "every record is a video of one frame; if their names, such as "
            f"{entries[0].file_name}, tell videos, say so with folders, if they are single images, "
            "with stills"
        )
    return labels, [
        RecordVideo(
            name,
            tuple(entry.part._replace(first_frame=place) for place, entry in enumerate(own)),
            any(entry.has_tracks for entry in own),
        )
        for name, own in groups
    ]


class _Entry(NamedTuple):
    """A tf.Example: its names, its place, class names by number, and whether it has track ids."""

    name: str
    file_name: str
    part: Part
    texts: dict[int, str]
    has_tracks: bool


def _described(content: bytes, path: str, number: int, offset: int) -> _Entry:
    where = record_content.named(path, number)
    record = record_content.sequence_of(content, where=where)
    if not record_content.is_tf_example(record):
        raise record_content.damage(f"{where} has no 'image/encoded'")
    names, part = record_content.described(record, path, number, offset)
    [frame] = record_content.frames_in(record, part)
    names = names or [f"{Path(path).name}#{number}"]
    texts = record_content.texts_in(record, where=where)
    return _Entry(names[0], names[-1], part, texts, frame.truth.track_ids is not None)


def indexed_labels(folder: str | os.PathLike[str]) -> tuple[str, ...]:
    """Returns the class names in the index of a folder of records; empty if there is none."""
    labels = record_files.index_of(folder).get("labels")
    if isinstance(labels, list) and all(isinstance(label, str) for label in labels):
        return tuple(labels)
    return ()


def _files_of(path: Path, options: Options) -> list[Path]:
    """Returns the files of a subset: in its folder, or with names that begin so; or WrongTree."""
    found = _files(path)
    parts = dict.fromkeys(file.parent for file in found)
    if found and path.is_dir() and path not in parts:
        known = {part.name: part for part in parts}
        kept = [known[name] for name in chosen(options.subset, known, where=str(path))]
        files = [file for file in found if file.parent in kept]
    else:
        files = [file for file in found if file.name.startswith(options.subset)]
    if not files:
        names = ", ".join(file.name for file in found[:3]) or "nothing"
        what = f"has a name that begins with {options.subset!r}" if found else "is there"
        raise WrongTree(f"{path}: no TFRecord file {what}; found {names}")
    if not path.is_file():
        pattern = "*" if path.is_dir() else path.name
        record_files.check_shards([str(file) for file in files], pattern=pattern)
    options.notes.extend(all_taken(dict.fromkeys(file.parent.name for file in files)))
    return files


def names_in(texts: Iterable[Mapping[int, str]]) -> tuple[str, ...]:
    """Returns the class names of records, which number them from 1, in class order.

    Raises ValueError for a number that is taken for a mistake, see `limits.CLASSES`.
    """
    known: dict[int, str] = {}
    for found in texts:
        known.update({number: name.strip() for number, name in found.items() if number >= 1})
    most = max(known, default=0)
    if most > limits.CLASSES:
        raise ValueError(
            f"a record names class {most} {known[most]!r}; numbers above {limits.CLASSES} are "
            "taken for a mistake"
        )
    return tuple(known.get(number, f"class {number - 1}") for number in range(1, most + 1))


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if path.is_dir():
        found = [*_records(path.iterdir())] or [*_records(path.glob("*/*"))]
    else:  # a pattern
        found = [p for p in path.parent.glob(path.name) if p.is_file()] if path.name else []
    return sorted(found, key=lambda file: natural.key(str(file)))


def _records(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if _NAMES.search(path.name) and not path.name.startswith(".") and path.is_file():
            yield path
