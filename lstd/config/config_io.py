"""Makes configs of nested dicts, overrides and writes them; `lstd.tf1.load_config` reads files."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import json
import os
import typing
from typing import Any, TypeVar

import yaml

from lstd.base import documents
from lstd.base.whole_file import write_whole
from lstd.config import config as config_lib
from lstd.config.augmentation_config import BY_NAME
from lstd.config.config import Config

_Section = TypeVar("_Section")


class ConfigError(ValueError):
    """A config that cannot be used; the message says where, what was expected and what came."""


def from_dict(data: dict[str, Any], *, source: str = "config") -> Config:
    """Returns the config that nested dicts describe; see `section`."""
    return section(Config, data, source=source)


def section(kind: type[_Section], data: dict[str, Any], *, source: str = "config") -> _Section:
    """Returns the config, or the section of one, that nested dicts describe.

    Args:
        kind: `Config`, or the dataclass of a section such as `ModelConfig`.
        data: as YAML gives it.
        source: where it comes from, for messages.

    Raises:
        ConfigError: an unknown key, a value of another type or outside its range.
    """
    import pydantic  # here, because it costs 0.1 s that `import lstd` need not pay

    _refuse_unknown_keys(data, kind, place=(), source=source)
    try:
        # Strict JSON: lists become tuples, whole numbers floats, and nothing else is converted.
        return pydantic.TypeAdapter(kind).validate_json(json.dumps(data), strict=True)
    except pydantic.ValidationError as error:
        lines = [_explain(problem) for problem in error.errors()]
        raise ConfigError(f"{source}: " + "; ".join(dict.fromkeys(lines))) from None
    except TypeError as error:  # a YAML date or a set: nothing JSON knows
        raise ConfigError(f"{source}: {error}") from None


def save_config(config: Config, path: str | os.PathLike[str]) -> None:
    """Writes every value of the config as YAML; `load_config` gives the same config back.

    Args:
        config: what to write.
        path: the file; one that stands there is replaced.

    Raises:
        OSError: the file cannot be written; an older one is then as it was.
    """
    text = yaml.safe_dump(config_lib.to_dict(config), sort_keys=False, default_flow_style=None)
    write_whole(path, text)


def override(config: Config, settings: list[str]) -> Config:
    """Returns the config with `section.key=value` settings applied; values are YAML.

    >>> override(Config(), ["train.steps=2"]).train.steps
    2

    Raises:
        ConfigError: a setting without `=`, an unknown key (with the closest match), a wrong value.
    """
    data = config_lib.to_dict(config)
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name:
            raise ConfigError(f"--set {setting}: expected section.key=value")
        *parents, last = name.split(".")
        try:
            value = documents.from_yaml(text, source=name, key=last)
        except ValueError:
            raise ConfigError(f"--set {setting}: {text!r} is not valid YAML") from None
        place: Any = data
        for parent in parents:
            if isinstance(place.get(parent, {}), dict):
                place = place.setdefault(parent, {})
            elif place[parent] is None:
                place[parent] = place = {}
            else:
                raise ConfigError(f"--set {setting}: {parent} is a value, not a section")
        place[last] = value
    return from_dict(data, source="--set " + " ".join(settings) if settings else "config")


def _refuse_unknown_keys(data: Any, kind: Any, *, place: tuple[str, ...], source: str) -> None:
    """Walks `data` along the dataclass `kind`, so that an unknown key gets its closest match."""
    kinds = _dataclasses_in(kind)
    if not kinds:
        return
    if isinstance(data, list):
        for index, item in enumerate(data):
            _refuse_unknown_keys(item, kind, place=(*place, str(index)), source=source)
        return
    if not isinstance(data, dict):
        return
    kind = kinds[0] if len(kinds) == 1 else _named(data, kinds, place=place, source=source)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    hints = typing.get_type_hints(kind)
    for key, value in data.items():
        if key not in fields:
            where = ".".join((*place, str(key)))
            close = difflib.get_close_matches(str(key), fields, n=1, cutoff=0.5)
            allowed = "expected one of " + ", ".join(fields)
            hint = f"did you mean {close[0]!r}?" if close else allowed
            raise ConfigError(f"{source}: unknown key {where!r}; {hint}")
        _refuse_unknown_keys(value, hints[key], place=(*place, key), source=source)


def _named(data: dict[str, Any], kinds: list[type], *, place: tuple[str, ...], source: str) -> type:
    """Returns the one of several dataclasses whose `name` the data holds."""
    where, by_name = ".".join(place), {str(vars(kind)["name"]): kind for kind in kinds}
    allowed = f"expected one of {', '.join(by_name)}"
    if "name" not in data:
        close = difflib.get_close_matches("name", map(str, data), n=1, cutoff=0.5)
        if close:
            unknown = f"{where}.{close[0]}"
            raise ConfigError(f"{source}: unknown key {unknown!r}; did you mean 'name'?")
        raise ConfigError(f"{source}: {where}: 'name' is missing; {allowed}")
    name = data["name"]
    if not isinstance(name, str) or name not in by_name:
        close = difflib.get_close_matches(str(name), by_name, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}?" if close else allowed
        raise ConfigError(f"{source}: {where}.name: unknown name {name!r}; {hint}")
    return by_name[name]


def _dataclasses_in(hint: Any) -> list[type]:
    """Returns the dataclasses in `X`, `X | None`, `X | Y` or `tuple[X, ...]`."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return [hint]
    return [kind for part in typing.get_args(hint) for kind in _dataclasses_in(part)]


def _explain(problem: Any) -> str:
    loc = problem["loc"]
    # pydantic names the member of a union, too: data.train.augmentation.0.horizontal_flip.
    tags = {
        n
        for n, part in enumerate(loc)
        if part in BY_NAME and loc[n - 2 : n - 1] == ("augmentation",)
    }
    place = ".".join(str(part) for n, part in enumerate(loc) if n not in tags)
    message = problem["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    came = problem["input"]
    if problem["type"] == "value_error":
        return f"{place}: {message}" if place else message
    hint = ""
    if isinstance(came, str) and "number" in message:
        with contextlib.suppress(ValueError):
            hint = f"; YAML reads {came!r} as text, write {float(came)!r}"
    return f"{place}: {message}, got {json.dumps(came)[:80]}{hint}"
