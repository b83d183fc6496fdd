"""A pipeline file's values by path, such as `model.ssd.num_classes`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from lstd.base.protos import ONE_OF, REFUSED, Field
from lstd.config.config_io import ConfigError
from lstd.tf1.schema import NO_COUNTERPART, NO_EFFECT, SCHEMA, read

_OPTIONAL = ("train_config", "hard_example_miner")
"""Blocks without which their fields have no value, not even a default; as it is with choices."""


class Given(NamedTuple):
    """A field of a message; its value is the default where it is not given."""

    path: str
    field: Field
    value: Any
    is_given: bool


class Fields:
    """What a file, or a fragment of one, says; of a repeated block, the first counts."""

    def __init__(self, text: str, *, source: str) -> None:
        """Reads a text.

        Raises:
            ConfigError: see `schema.read`.
        """
        self.source = source
        try:
            self.message = read(text, source=source)
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def __contains__(self, path: str) -> bool:
        """Returns whether the file names the path."""
        return self._look(path)[-1].is_given

    def __getitem__(self, path: str) -> Any:
        """Returns the value, or the original's default where the file does not name it."""
        return self._look(path)[-1].value

    def applies(self, path: str) -> bool:
        """Returns whether the path lies in no block, left out, without which it has no value."""
        blocks = self._look(path)[: path.count(".")]
        return all(
            block.is_given
            or (
                not (block.field.repeated or block.field.section == ONE_OF)
                and block.field.name not in _OPTIONAL
            )
            for block in blocks
        )

    def member(self, path: str) -> str:
        """Returns which of its choices the block at `path` holds, or ''."""
        return (path in self and self[path].WhichOneof("one_of")) or ""

    def each(self) -> Iterator[Given]:
        """Yields every field of each block that is given, except within blocks without use."""
        return _each(self.message, "")

    def error(self, problem: str) -> ConfigError:
        """Returns the error that names the source before the problem."""
        return ConfigError(f"{self.source}: {problem}")

    def _look(self, path: str) -> list[Given]:
        """Returns the fields along a path; a repeated block that has none ends it."""
        message, along = self.message, []
        for name in path.split("."):
            along.append(_look(message, name, path))
            message = along[-1].value
            if along[-1].field.type in SCHEMA.fields and along[-1].field.repeated:
                if not along[-1].is_given:
                    break
                message = message[0]
        return along


def fields_of(message: Any) -> dict[str, Any]:
    """Returns the values of a block that are used, given or by default."""
    all_of = SCHEMA.fields[message.DESCRIPTOR.name].values()
    return {field.name: getattr(message, field.name) for field in all_of if not field.section}


def _each(message: Any, place: str) -> Iterator[Given]:
    for name, field in SCHEMA.fields[message.DESCRIPTOR.name].items():
        if field.section == REFUSED:
            continue
        found = _look(message, name, f"{place}{name}")
        yield found
        is_used = found.is_given and field.section not in (NO_EFFECT, NO_COUNTERPART)
        if is_used and field.type in SCHEMA.fields:
            for number, block in enumerate(found.value if field.repeated else [found.value]):
                index = f"[{number}]" if field.repeated else ""
                yield from _each(block, f"{found.path}{index}.")


def _look(message: Any, name: str, path: str) -> Given:
    field = SCHEMA.fields[message.DESCRIPTOR.name][name]
    value = getattr(message, name)
    if field.repeated:
        is_block = field.type in SCHEMA.fields
        return Given(path, field, value if is_block else list(value), bool(value))
    return Given(path, field, field.names[value] if field.names else value, message.HasField(name))
