"""The names of the classes, as a user gives them for an export."""

from __future__ import annotations

from pathlib import Path

from lstd.base import label_map


def checked(labels: tuple[str, ...], *, num_classes: int) -> tuple[str, ...]:
    """Returns the class names, `class 0` and so on where there are none.

    Raises:
        ValueError: their number is not the model's number of classes.
    """
    if labels and len(labels) != num_classes:
        raise ValueError(f"labels: {len(labels)} names given, the model has {num_classes} classes")
    return label_map.or_numbers(labels, num_classes=num_classes)


def read(given: str) -> tuple[str, ...]:
    """Returns class names: those in a file of that name, else names between commas.

    Args:
        given: a file that `label_map.load` reads, or names such as `"cat,dog"`; may be empty.

    Raises:
        ValueError: a name is empty or stands there twice, or the file is no label map, or a folder.
    """
    if not given:
        return ()
    path = Path(given)
    if path.is_dir() and len(path.parts) > 1:  # "cat" is a class, whatever stands in this folder
        raise ValueError(f"labels: {given} is a folder, expected a file or names")
    if path.is_file():
        return label_map.load(path)
    if "," not in given and path.suffix:
        raise ValueError(f"labels: there is no file {given}")
    labels = tuple(name.strip() for name in given.split(","))
    twice = sorted(name for name in set(labels) if labels.count(name) > 1)
    if twice:
        raise ValueError(f"labels: {', '.join(twice)} stands in {given} more than once")
    return label_map.checked(labels, where="labels")
