"""Makes configs of nested dicts, overrides and writes them; `lstd.tf1.load_config` reads files."""

import contextlib
import dataclasses
import json
import os
import typing
from collections.abc import Iterator
from typing import Any, TypeVar

import pydantic
import yaml

from lstd.base import documents
from lstd.base.close_names import close_match
from lstd.base.whole_file import write_whole
from lstd.config import config as config_lib
from lstd.config.augmentation_config import BY_NAME
from lstd.config.config import Config
from lstd.config.model_config import ModelConfig

_Section = TypeVar("_Section")


class ConfigError(ValueError):
    """A config that cannot be used; the message says where, what was expected and what came."""


def from_dict(data: dict[str, Any], *, source: str = "config") -> Config:
    """Returns the config that nested dicts describe; see `section`.

    The word auto stands for the anchors that the training data decide.
    """
    model = data.get("model")
    if isinstance(model, dict) and model.get("anchors") == "auto":
        depths = model.get("feature_map_depths", ModelConfig.feature_map_depths)
        layers = len(depths) + 1 if isinstance(depths, list | tuple) else 1  # else refused below
        layers += bool(model.get("fine_map"))
        data = {**data, "model": {**model, "anchors": {"auto": True, "num_layers": layers}}}
    return section(Config, data, source=source)


def section(kind: type[_Section], data: dict[str, Any], *, source: str = "config") -> _Section:
    """Returns the config, or the section of one, that nested dicts describe.

    `kind` is `Config`, or the dataclass of a section such as `ModelConfig`; the data are as YAML
    gives them, and `source` says in messages where they come from.

    Raises:
        ConfigError: an unknown key, a value of another type or outside its range.
    """
    with explained(kind, source=source):
        try:
            # Strict JSON: lists become tuples, whole numbers floats, and nothing else is converted.
            return pydantic.TypeAdapter(kind).validate_json(json.dumps(data), strict=True)
        except TypeError as error:  # a YAML date or a set: nothing JSON knows
            raise ConfigError(f"{source}: {error}") from None


@contextlib.contextmanager
def explained(kind: type, *, source: str) -> Iterator[None]:
    """Says what pydantic finds wrong in the making of a section as a `ConfigError`."""
    try:
        yield
    except pydantic.ValidationError as error:
        # What stands wrongly in a list makes it too short besides.
        problems = [p for p in error.errors() if p["type"] != "too_short" or not p["input"]]
        lines = [_explain(problem, kind) for problem in problems]
        raise ConfigError(f"{source}: " + "; ".join(dict.fromkeys(lines))) from None


def save_config(config: Config, path: str | os.PathLike[str]) -> None:
    """Writes the config as YAML, all of `to_dict`; `load_config` gives the same config back.

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
    result = from_dict(data, source="--set " + " ".join(settings) if settings else "config")
    if result.model.int8 and not data["model"].get("int8", True):
        raise ConfigError(
            "--set model.int8=false: train.quantization makes it true; for float32 say --set "
            "train.quantization=null"
        )
    return result


def _explain(problem: Any, kind: type) -> str:
    """Returns one of pydantic's errors in a sentence that begins with its place in the YAML."""
    loc, came, about = problem["loc"], problem["input"], problem.get("ctx", {})
    # pydantic names the member of a union, too: data.train.augmentation.0.horizontal_flip.
    tags = {n + 2 for n, part in enumerate(loc) if part == "augmentation"}
    place = ".".join(str(part) for n, part in enumerate(loc) if n not in tags)
    if problem["type"] == "unexpected_keyword_argument":
        keys = [field.name for field in dataclasses.fields(_section_at(kind, loc[:-1]))]
        return f"unknown key {place!r}" + close_match(str(loc[-1]), keys)
    if problem["type"] == "union_tag_invalid":
        return f"{place}.name: unknown name {about['tag']!r}" + close_match(about["tag"], BY_NAME)
    if problem["type"] == "union_tag_not_found":
        return f"{place}: 'name' is missing; expected one of {', '.join(BY_NAME)}"
    message = problem["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if problem["type"] == "value_error":
        return f"{place}: {message}" if place else message
    hint = ""
    if isinstance(came, str) and "number" in message:
        with contextlib.suppress(ValueError):
            hint = f"; YAML reads {came!r} as text, write {float(came)!r}"
    message = message.replace("an object", "a section").replace("a valid array", "a list")
    return f"{place}: {message}, got {json.dumps(came, default=repr)[:80]}{hint}"


def _section_at(kind: Any, place: tuple[str | int, ...]) -> type:
    """Returns the dataclass of the section that stands at a place of pydantic's within `kind`."""
    for part in place:
        if isinstance(part, str):
            kind = BY_NAME.get(part) or _section_in(typing.get_type_hints(kind)[part])
    return kind


def _section_in(hint: Any) -> Any:
    """Returns the dataclass in `X`, `X | None` or `tuple[X, ...]`, if any."""
    if dataclasses.is_dataclass(hint):
        return hint
    return next(filter(None, map(_section_in, typing.get_args(hint))), None)
