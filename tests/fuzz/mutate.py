"""Breaks files in the ways in which people, tools and disks break them; everything by a seed."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import yaml

HOSTILE = (
    *("", "0", "-1", "1.5", "nan", "inf", "-inf", "1e999", "1e12", "2147483648", "1099511627776"),
    *("9" * 30, "9" * 5000, "true", "null", "no", "[]", "{}", "[1, 2", "{a: 1", "'", '"', "a b"),
    *("!!int ''", "!!timestamp x", "!!binary x", "&a [*a]", "*b", "<<: 1", "---", "[" * 2000),
    *("{" * 2000, "../..", "/", ".", "-", "%s", "\0", "\x1b[2J", "\n", "\r", "\u2028", "é"),
    "\u0661",
    *("a" * 10_000, "#1", "#99999999999", "*", "[", "?", "\\", "💥", "2001-99-99", "0x1F", "1_000"),
)
"""What a token is replaced by, as text."""

VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 0.5, 2**31, 2**40, 2**63, 10**30, 1e308, float("nan"), float("inf")),
    *("", "a" * 5000, "\ud800", "\0", "1", "é", [], {}, [[]], [None], {"id": 1}, [1, 2, 3, 4]),
    *([1] * 100, [["a"]], {"": {}}, json.loads("[" * 300 + "]" * 300)),
)
"""What a value within JSON, YAML or a feature is replaced by."""

_TOKEN = re.compile(rb"[^\s,:;=<>\[\]{}\"'/]+")


def mutate(folder: Path, rng: Random) -> None:
    """Changes one to three things in the files of a folder."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        if files:
            _mutate_file(rng.choice(files), rng)


def _mutate_file(path: Path, rng: Random) -> None:
    if rng.random() < 0.05:
        _mutate_entry(path, rng)
        return
    suffix = path.suffix
    kinds = [_mutate_bytes]
    if suffix in (".json", ".yaml"):
        kinds = [_mutate_structure, _mutate_structure, _mutate_text, _mutate_bytes]
    elif suffix in (".txt", ".csv", ".ini", ".xml", ".config", ".pbtxt", ".names"):
        kinds = [_mutate_text, _mutate_text, _mutate_text, _mutate_bytes]
    elif suffix == ".tfrecord":
        kinds = [_mutate_records, _mutate_records, _mutate_bytes]
    elif suffix == ".npz":
        kinds = [_mutate_arrays, _mutate_bytes]
    try:
        rng.choice(kinds)(path, rng)
    except Exception:  # an earlier change broke it already
        _mutate_bytes(path, rng)


def _mutate_entry(path: Path, rng: Random) -> None:
    path.unlink()
    kind = rng.randrange(4)
    if kind == 1:
        path.mkdir()
    elif kind == 2:
        path.symlink_to(path.name)
    elif kind == 3:
        path.touch()


def _mutate_bytes(path: Path, rng: Random) -> None:
    content = bytearray(path.read_bytes())
    place, length = rng.randrange(len(content) + 1), rng.choice((1, 1, 2, 4, 8, 64))
    kind = rng.randrange(5)
    if kind == 0:
        del content[place:]
    elif kind == 1:
        content[place : place + length] = rng.randbytes(length)
    elif kind == 2:
        content[place : place + length] = bytes([rng.choice((0, 255))]) * length
    elif kind == 3:
        del content[place : place + length]
    elif content:
        content[place % len(content)] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def _mutate_text(path: Path, rng: Random) -> None:
    content = path.read_bytes()
    lines = content.splitlines(keepends=True)
    kind = rng.randrange(6)
    if kind == 0 and lines:
        del lines[rng.randrange(len(lines))]
    elif kind == 1 and lines:
        lines.insert(rng.randrange(len(lines)), rng.choice(lines))
    else:
        tokens = [*_TOKEN.finditer(content)]
        if not tokens:
            return
        found, new = rng.choice(tokens), rng.choice(HOSTILE).encode()
        lines = [content[: found.start()], new, content[found.end() :]]
    path.write_bytes(b"".join(lines))


def _mutate_structure(path: Path, rng: Random) -> None:
    text = path.read_text()
    if path.suffix == ".json":
        path.write_text(json.dumps(_changed(json.loads(text), rng)))
    else:
        path.write_text(yaml.safe_dump(_changed(yaml.safe_load(text), rng)))


def _changed(content: Any, rng: Random) -> Any:
    """Changes one value, key or entry anywhere in nested lists and dicts."""
    places = [*_places(content)]
    if not places or rng.random() < 0.02:
        return rng.choice(VALUES)
    owner, key = rng.choice(places)
    kind = rng.randrange(6)
    if kind == 0:
        del owner[key]
    elif kind == 1:
        owner[key] = rng.choice(([owner[key]], {"a": owner[key]}, str(owner[key])))
    elif kind == 2 and isinstance(owner, dict):
        owner[str(rng.choice(HOSTILE))[:50]] = owner.pop(key)
    elif kind == 2:
        owner.append(owner[key])
    else:
        owner[key] = rng.choice(VALUES)
    return content


def _places(content: Any) -> Any:
    keys = content if isinstance(content, dict) else range(len(content))
    for key in keys if isinstance(content, (dict, list)) else ():
        yield content, key
        if isinstance(content[key], (dict, list)):
            yield from _places(content[key])


def _mutate_records(path: Path, rng: Random) -> None:
    """Changes a feature of a record, whose checksums are right again."""
    import tensorflow as tf

    found = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
    if not found:
        raise ValueError
    place = rng.randrange(len(found))
    is_example = rng.random() < 0.1 or "example" in path.name
    kind = tf.train.Example if is_example else tf.train.SequenceExample
    record = kind.FromString(found[place])
    context = record.features if is_example else record.context
    features = [context.feature[name] for name in context.feature]
    if not is_example and rng.random() < 0.7:
        lists = record.feature_lists.feature_list
        name = rng.choice(sorted(lists) or [""])
        if rng.random() < 0.2:
            del lists[name]
            features = []
        else:
            features = [*lists[name].feature]
    if features:
        _mutate_feature(rng.choice(features), rng)
    found[place] = record.SerializeToString()
    if rng.random() < 0.1:
        found[place] = rng.randbytes(20)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for one in found:
            writer.write(one)


def _mutate_feature(feature: Any, rng: Random) -> None:
    kind = rng.randrange(5)
    feature.Clear()
    if kind == 0:
        feature.int64_list.value.append(rng.choice((-1, 0, 1, 2**31, 2**40, 2**63 - 1, -(2**63))))
    elif kind == 1:
        feature.float_list.value.append(rng.choice((-1.0, 0.5, 1e30, float("nan"), float("inf"))))
    elif kind == 2:
        feature.bytes_list.value.append(rng.choice((b"", b"x", b"\xff", b"\0" * 99)))
    elif kind == 3:
        feature.int64_list.value.extend([1] * rng.choice((2, 3, 1000)))


def _mutate_arrays(path: Path, rng: Random) -> None:
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    name = rng.choice(sorted(arrays))
    array = arrays.pop(name)
    changes: tuple[Callable[[], Any], ...] = (
        lambda: None,
        lambda: array[..., None],
        lambda: array.astype(str),
        lambda: array.ravel()[:-1],
        lambda: np.zeros(0),
        lambda: np.array("x"),
        lambda: np.full(array.shape, np.nan),
        lambda: np.array([None, {}], object),
        lambda: np.full(array.shape, 2**40),
    )
    new = rng.choice(changes)()
    if new is not None:
        arrays[name] = new
    np.savez(path, **arrays)
