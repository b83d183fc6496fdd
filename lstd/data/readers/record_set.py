"""What the readers of TFRecord files share: which files, of which kind, and the class names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from lstd.base import limits, natural
from lstd.data.readers.options import Options, WrongTree, chosen

SEQUENCE_NAME = "sequence_example"
EXAMPLE_NAME = "tf_example"
TREE = """\
train-00000-of-00010.tfrecord ... with SequenceExamples, or tf.Examples with image/encoded
or a folder of train/, valid/ and so on with such files"""


def kind_of(path: Path) -> str:
    """Returns the name of the format of a TFRecord file or a folder of them; empty: none."""
    from lstd.data import record_files

    files = _files(path)
    if not files:
        return ""
    kind = record_files.kind_of(str(files[0]))
    if not kind:  # by its name it should, and the reader says what is wrong
        return SEQUENCE_NAME if "tfrecord" in files[0].name.lower() else ""
    return SEQUENCE_NAME if kind == "sequence" else EXAMPLE_NAME


def files_of(path: Path, options: Options) -> list[Path]:
    """Returns the files of a subset, whose names begin with it or whose folder it is, in order.

    Raises:
        WrongTree: there are none.
    """
    found = _files(path)
    parts = dict.fromkeys(file.parent for file in found)
    if found and path.is_dir() and path not in parts:
        known = {part.name: part for part in parts}
        kept = [known[name] for name in chosen(options.subset, known, where=str(path))]
        return [file for file in found if file.parent in kept]
    files = [file for file in found if file.name.startswith(options.subset)]
    if found and not files:
        names = ", ".join(file.name for file in found[:3])
        raise WrongTree(
            f"{path}: no TFRecord file has a name that begins with {options.subset!r}, such as "
            f"{names} do"
        )
    if not files:
        raise WrongTree(f"{path}: there are no TFRecord files; expected\n{TREE}")
    return files


def folders_of(files: Iterable[Path]) -> list[str]:
    """Returns the names of the folders that files lie in."""
    return list(dict.fromkeys(file.parent.name for file in files))


def names_in(texts: Iterable[Mapping[int, str]]) -> tuple[str, ...]:
    """Returns names in class order, from those that records give; empty where none has any.

    Args:
        texts: the name of each class number, from 1, as each record has them.

    Raises:
        ValueError: a number that is taken for a mistake, see `limits.CLASSES`.
    """
    known: dict[int, str] = {}
    for found in texts:
        known.update({number: name.strip() for number, name in found.items()})
    known = {number: name for number, name in known.items() if number >= 1}
    if not known:
        return ()
    if max(known) > limits.CLASSES:
        raise ValueError(
            f"a record names class {max(known)} {known[max(known)]!r}; numbers above "
            f"{limits.CLASSES} are taken for a mistake"
        )
    return tuple(known.get(number, f"class {number - 1}") for number in range(1, max(known) + 1))


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
        name = path.name.lower()
        if "tfrecord" in name and not name.startswith(".") and path.is_file():
            yield path
