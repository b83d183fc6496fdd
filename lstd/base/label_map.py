"""The names of the classes, in order: read from a label map or a plain list, and looked up."""

import io
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import filterfalse, islice
from pathlib import Path

from lstd.base import documents, limits, protos

_SCHEMA = protos.Schema(
    {
        "LabelMap": "repeated Item item",
        "Item": """
            string name; int id; string display_name; repeated Keypoint keypoints;
            repeated int ancestor_ids; repeated int descendant_ids; int instance_count;
            UNSPECIFIED|FREQUENT|COMMON|RARE frequency""",
        "Keypoint": "int id; string label",
    }
)
_CONTROL = ("Cc", "Cs", "Zl", "Zp")  # controls, halves of a pair, ends of lines and paragraphs


def load(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Returns the class names of a label map, in class order: index 0 is the first true class.

    Two kinds of file are understood: the original's `StringIntLabelMap`, such as
    `item { id: 1 name: 'car' }`, with ids 1 to K in any order (a `display_name` is preferred to the
    `name`), and a plain list with one name a line.

    Raises:
        OSError: the file cannot be read.
        ValueError: ids that are missing, doubled or below 1, items without id or name, doubled
            names, an unknown field, text that is neither kind; the message names each of them.
    """
    path = Path(path)
    try:
        text = documents.read_text(path)
    except OSError as error:
        raise type(error)(f"{path}: cannot read the label map: {error.strerror}") from None
    is_proto = re.search(r"^\s*item\s*:?\s*[{<]", text, re.MULTILINE)
    names = (_names_of_items if is_proto else _names_of_lines)(text, str(path))
    if not names:
        raise ValueError(f"{path}: the label map is empty; expected at least one class")
    doubled = _doubled(names)
    if doubled:
        raise ValueError(f"{path}: names that stand for two classes: {', '.join(doubled)}")
    return checked(names, where=str(path))


def checked(names: Sequence[str | int], *, where: str) -> tuple[str, ...]:
    """Returns class names, each of which a line of a file and a terminal can hold.

    Raises:
        ValueError: there are more than `limits.CLASSES`; a name is neither text nor a whole
            number, is empty, or holds a line break or another control character.
    """
    if len(names) > limits.CLASSES:
        raise ValueError(f"{where}: {len(names)} classes, expected at most {limits.CLASSES}")
    for number, name in enumerate(names, start=1):
        if isinstance(name, bool) or not isinstance(name, str | int):
            raise ValueError(f"{where}: class {number} has the name {name!r}, expected a text")
        name = str(name)
        if not name.strip():
            raise ValueError(f"{where}: class {number} of {len(names)} has an empty name")
        if shown(name) != name:
            raise ValueError(
                f"{where}: the class name '{shown(name)}' holds a control character, such as a "
                "line break; give it another name"
            )
    return tuple(map(str, names))


def lines(text: str) -> list[str]:
    """Returns the names of a plain list, one a line; no other letter ends a line."""
    return [line.strip() for line in io.StringIO(text.rstrip())]


def shown(text: str) -> str:
    r"""Returns a text for a terminal: what would control it is spelled out.

    >>> shown("a\nb")
    'a\\nb'
    """
    return "".join(
        letter.encode("unicode_escape").decode()
        if unicodedata.category(letter) in _CONTROL
        else letter
        for letter in text
    )


def name_of(labels: Sequence[str], class_index: int) -> str:
    """Returns the name of a class, `"class 7"` where the labels do not say it."""
    known = 0 <= class_index < len(labels)
    return labels[class_index] if known else f"class {class_index}"


def or_numbers(labels: Sequence[str], *, num_classes: int) -> tuple[str, ...]:
    """Returns the labels, `"class 0"` and so on where there are none.

    Raises:
        ValueError: there are more or fewer of them than classes.
    """
    if labels and len(labels) != num_classes:
        raise ValueError(f"labels: {len(labels)} names given, the model has {num_classes} classes")
    return tuple(labels) or tuple(name_of((), index) for index in range(num_classes))


def _names_of_lines(text: str, source: str) -> list[str]:
    names = lines(text)
    empty = [str(number) for number, name in enumerate(names, start=1) if not name]
    if empty:
        raise ValueError(
            f"{source}: expected one class name a line, but line {', '.join(empty)} is empty"
        )
    return names


def _names_of_items(text: str, source: str) -> list[str]:
    names: dict[int, str] = {}
    problems, ids = [], []
    for number, item in enumerate(_SCHEMA.read(text, source=source).item, start=1):
        name = str(item.display_name or item.name)
        if not item.HasField("id"):
            problems.append(f"item {number} has no id")
        elif item.id < 1:
            problems.append(f"id {item.id} of item {number} ({name!r}) is below 1")
        if not name:
            problems.append(f"item {number} has no name")
        ids += [item.id] if item.HasField("id") else []
        names[item.id] = name
    doubled = _doubled(map(str, ids))
    if doubled:
        problems.append(f"doubled ids: {', '.join(doubled)}")
    wanted = range(1, max(ids, default=0))
    missing = [*map(str, islice(filterfalse(names.__contains__, wanted), 21))]
    if missing:
        more = " and more" if len(missing) > 20 else ""
        problems.append(f"missing ids: {', '.join(missing[:20])}{more}")
    if problems:
        raise ValueError(
            f"{source}: {'; '.join(problems)}. Ids must be 1 to the number of classes, each once; "
            "background has none"
        )
    return [names[number] for number in sorted(names)]


def _doubled(values: Iterable[str]) -> list[str]:
    return [value for value, times in Counter(values).items() if times > 1]
