"""What the sections of a config are made of: pydantic dataclasses, and ranges of their fields."""

from __future__ import annotations

import dataclasses
import math
import os
from typing import Annotated, Any, ClassVar

import pydantic
from pydantic import AfterValidator, BeforeValidator, Field
from pydantic.dataclasses import dataclass

from lstd.base import limits
from lstd.config import schedule_names

Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
PositiveShare = Annotated[float, Field(gt=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]
Threshold = Annotated[float, Field(ge=-math.inf, allow_inf_nan=True)]
"""Any number, the infinite ones too."""


def _schedule(name: str) -> str:
    schedule_names.check(name)
    return name


Schedule = Annotated[str, AfterValidator(_schedule)]


def _path(path: Any) -> Any:
    return "" if path is None else os.fspath(path) if isinstance(path, os.PathLike) else path


File = Annotated[str, BeforeValidator(_path)]
"""A path; empty, or null in YAML (`--set train.fine_tune.run=`): none."""


@dataclass(frozen=True)
class Section:
    """What all sections share: no unknown key, no number that cannot be meant, min_x <= max_x.

    What else its values must fulfil together, its `__post_init__` checks.
    """

    __pydantic_config__: ClassVar[pydantic.ConfigDict] = {"extra": "forbid", "allow_inf_nan": False}

    @pydantic.field_validator("*")
    @classmethod
    def _is_meant(cls, value: Any, info: pydantic.ValidationInfo) -> Any:
        limits.check(info.field_name or "", value)
        return value

    @pydantic.model_validator(mode="after")
    def _is_ordered(self) -> Section:
        names = {field.name for field in dataclasses.fields(self)}
        for name in sorted(name for name in names if name.startswith("min_")):
            most = name.replace("min_", "max_", 1)
            if most in names:
                require_order(self, name, most)
        return self


def require(condition: bool, message: str) -> None:
    """Raises a ValueError with the message, which says what must hold, unless it holds."""
    if not condition:
        raise ValueError(message)


def require_order(section: Section, least: str, most: str) -> None:
    """Raises a ValueError unless one field is at most another."""
    values = [getattr(section, least), getattr(section, most)]
    require(values[0] <= values[1], f"{least} <= {most} must hold, got {values}")
