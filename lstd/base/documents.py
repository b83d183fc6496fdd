"""Text, tables, JSON, YAML and XML that anybody may have written: what they say, or a sentence."""

import csv
import io
import json
import os
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml

MOST_DEPTH = 100
"""Levels of lists and sections, one in another, of YAML and text protos."""

_NAMES = ("labels", "names")
_MOST_VALUES = 1_000_000
_MOST_CHARACTERS = 4_000_000
_TOO_DEEP = "lists or objects are nested too deeply"


def first_line(error: Exception) -> str:
    """Returns what an error of another library says, without what it says below that."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def read_text(path: str | os.PathLike[str]) -> str:
    """Returns the text of a file in UTF-8, without a byte order mark.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not UTF-8.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a text file in UTF-8: byte {error.start}") from None


def read_table(path: str | os.PathLike[str]) -> list[dict[str, str]]:
    """Returns the rows of a CSV file by the names in its first line.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no table in UTF-8.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(path), newline="")))
    except csv.Error as error:
        raise ValueError(f"{path}: not a CSV file: {error}") from None
    if any(None in row for row in rows):
        raise ValueError(f"{path}: not a CSV file: a line has more cells than the first one")
    return rows


def read_json(path: str | os.PathLike[str], *, kind: type = object) -> Any:
    """Returns what a JSON file says; see `from_json` for the errors.

    Raises:
        OSError: it cannot be read.
    """
    return from_json(Path(path).read_bytes(), source=str(path), kind=kind)


def from_json(text: str | bytes, *, source: str, kind: type = object) -> Any:
    """Returns what JSON says; `kind` is dict, list or, for anything, object.

    Raises:
        ValueError: it is no JSON, or not of the kind; begins with the `source`.

    >>> from_json("[1]", source="a.json", kind=dict)
    Traceback (most recent call last):
    ...
    ValueError: a.json: expected a JSON object, got list
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = _TOO_DEEP if isinstance(error, RecursionError) else error
        raise ValueError(f"{source}: not valid JSON: {reason}") from None
    if not isinstance(content, kind):
        expected = "list" if kind is list else "object"
        raise ValueError(f"{source}: expected a JSON {expected}, got {type(content).__name__}")
    return content


def from_yaml(text: str, *, source: str, key: str = "") -> Any:
    """Returns what YAML says; class names, below `labels` or `names`, are text whatever they say.

    >>> from_yaml("labels: [no, 007, 2001-01-01]", source="a.yaml")
    {'labels': ['no', '007', '2001-01-01']}

    The text is one document, or the value of a `key`; `source` is for messages.

    Raises:
        ValueError: it is no YAML, or grows beyond what a config or a list of classes can be: nested
            too deeply, an alias within itself, aliases of aliases that stand for a million values.
    """
    try:
        if len(text) > _MOST_CHARACTERS:
            raise ValueError(f"it has more than {_MOST_CHARACTERS:,} characters")
        loader = _YamlLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if _num_values(node, {}, depth=0) > _MOST_VALUES:
            raise ValueError(f"with its aliases it has more than {_MOST_VALUES:,} values")
        if key in _NAMES:
            _make_text(node)
        return loader.construct_document(node)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        told = getattr(error, "problem", None) or error
        reason = _TOO_DEEP if isinstance(error, RecursionError) else told
        raise ValueError(f"{source}{line}: not valid YAML: {reason}") from None


def read_xml(path: str | os.PathLike[str]) -> ElementTree.Element:
    """Returns the root of an XML file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no XML, or in an encoding that is not known.
    """
    try:
        return ElementTree.fromstring(Path(path).read_bytes())
    except (ElementTree.ParseError, LookupError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not an XML file: {error}") from None


class _YamlLoader(yaml.SafeLoader):
    """Takes class names for text, and names a value that is not of its tag: 2001-99-99, !!int x."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError):
            what = f"{str(node.value)[:40]!r} is no {node.tag.rpartition(':')[2]}"
            raise yaml.MarkedYAMLError(problem=what, problem_mark=node.start_mark) from None

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        if isinstance(node, yaml.MappingNode):
            self.flatten_mapping(node)
            for key, value in node.value:
                if key.value in _NAMES:
                    _make_text(value)
        return super().construct_mapping(node, deep=deep)


def _make_text(names: yaml.Node) -> None:
    """Marks the scalars of a list, or the values of a mapping, as text."""
    for child in names.value if isinstance(names, yaml.CollectionNode) else ():
        item = child[1] if isinstance(child, tuple) else child
        if isinstance(item, yaml.ScalarNode):
            item.tag = "tag:yaml.org,2002:str"


def _num_values(node: yaml.Node, known: dict[yaml.Node, int], *, depth: int) -> int:
    """Returns how many values a node stands for, those of an alias counted each time."""
    if depth > MOST_DEPTH:
        raise ValueError(_TOO_DEEP)
    if node not in known:
        known[node] = _MOST_VALUES  # as long as it is not known: an alias within itself
        inner = node.value if isinstance(node, yaml.CollectionNode) else ()
        parts = [part for item in inner for part in (item if isinstance(item, tuple) else (item,))]
        known[node] = 1 + sum(_num_values(part, known, depth=depth + 1) for part in parts)
    return known[node]
