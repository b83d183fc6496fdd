"""The augmentations of a config: one frozen dataclass for each, which `name` chooses.

A *run* is what the network sees as one video (see `lstd.make_dataset`). Whether an augmentation
happens, and how, is drawn once a run; all its frames get the same.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from lstd.base import limits
from lstd.config.config_check import require


def _range(low: float, high: float, names: str, *, above: float, at_most: float = 1e9) -> None:
    require(above < low <= high <= at_most, f"{names}: {_bounds(above, at_most)} must hold")


def _bounds(above: float, at_most: float) -> str:
    return f"{above:g} < first <= second" + (f" <= {at_most:g}" if at_most < 1e9 else "")


@dataclass(frozen=True)
class _Probable:
    """What all have: a name, and how often a run is augmented."""

    name: str = ""
    probability: float = 0.5

    def __post_init__(self) -> None:
        limits.check_section(self)
        require(0 <= self.probability <= 1, "probability must be in [0, 1]")
        self._check()

    def _check(self) -> None:
        """Raises a ValueError for parameters of the subclass that cannot be."""


@dataclass(frozen=True)
class HorizontalFlip(_Probable):
    """Left and right exchanged."""

    name: Literal["horizontal_flip"] = "horizontal_flip"


@dataclass(frozen=True)
class VerticalFlip(_Probable):
    """Upside down."""

    name: Literal["vertical_flip"] = "vertical_flip"


@dataclass(frozen=True)
class Transpose(_Probable):
    """x and y exchanged; needs square frames."""

    name: Literal["transpose"] = "transpose"


@dataclass(frozen=True)
class CropOperation:
    """One way to crop; see `SsdRandomCrop`."""

    min_object_covered: float = 0.0
    """The window covers at least this share of some object."""
    min_aspect_ratio: float = 0.5
    """Width / height of the window, pixels."""
    max_aspect_ratio: float = 2.0
    min_area: float = 0.1
    """Share of the frame."""
    max_area: float = 1.0
    overlap_thresh: float = 0.0
    """An object stays if at least this share of its box lies in the window."""
    random_coef: float = 0.15
    """How often the frame is kept as it is."""

    def __post_init__(self) -> None:
        limits.check_section(self)
        for name in ("min_object_covered", "overlap_thresh", "random_coef"):
            require(0 <= getattr(self, name) <= 1, f"{name} must be in [0, 1]")
        _range(
            self.min_aspect_ratio,
            self.max_aspect_ratio,
            "min_aspect_ratio, max_aspect_ratio",
            above=0,
        )
        _range(self.min_area, self.max_area, "min_area, max_area", above=0, at_most=1)


SSD_OPERATIONS = tuple(
    CropOperation(min_object_covered=share, overlap_thresh=share)
    for share in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
)
"""The original's, where its config names none."""


@dataclass(frozen=True)
class SsdRandomCrop(_Probable):
    """A crop as SSD trains with: one of the operations, each as likely as the others."""

    name: Literal["ssd_random_crop"] = "ssd_random_crop"
    probability: float = 1.0
    """The operations have a chance of their own to leave a run as it is: random_coef."""
    operations: tuple[CropOperation, ...] = SSD_OPERATIONS

    def _check(self) -> None:
        require(bool(self.operations), "operations needs at least one")


@dataclass(frozen=True)
class ScaleJitter(_Probable):
    """The frame enlarged and cut, or shrunk onto a plain canvas, at a random place."""

    name: Literal["scale_jitter"] = "scale_jitter"
    min_scale: float = 0.8
    max_scale: float = 1.25
    min_visible: float = 0.3
    """An object stays if at least this share of its box can still be seen."""
    fill: float = 128.0
    """Grey value around a shrunken frame."""

    def _check(self) -> None:
        _range(self.min_scale, self.max_scale, "min_scale, max_scale", above=0)
        require(0 <= self.min_visible <= 1, "min_visible must be in [0, 1]")
        require(0 <= self.fill <= 255, "fill must be in [0, 255]")


@dataclass(frozen=True)
class CropAndShift(_Probable):
    """A still becomes a clip: a window that moves over it. Longer videos are not touched.

    Source: Liu et al., Looking Fast and Slow, 2019, section 4.1 (https://arxiv.org/abs/1903.10172).
    """

    name: Literal["crop_and_shift"] = "crop_and_shift"
    probability: float = 1.0
    min_size: float = 0.5
    """Side of the first window, share of the still's side."""
    max_size: float = 0.9
    max_shift: float = 0.1
    """The window moves by up to this share of its side from frame to frame, on each axis."""
    max_zoom: float = 1.05
    """The window grows or shrinks by up to this factor from frame to frame."""
    min_visible: float = 0.3
    """In each frame, an object stays if at least this share of its box lies in the window."""

    def _check(self) -> None:
        _range(self.min_size, self.max_size, "min_size, max_size", above=0, at_most=1)
        require(self.max_shift >= 0, "max_shift must not be negative")
        require(self.max_zoom >= 1, "max_zoom must be at least 1")
        require(0 <= self.min_visible <= 1, "min_visible must be in [0, 1]")


@dataclass(frozen=True)
class Brightness(_Probable):
    """A constant added to all pixels."""

    name: Literal["brightness"] = "brightness"
    probability: float = 1.0
    max_delta: float = 0.2
    """The constant is at most this share of 255, up or down."""

    def _check(self) -> None:
        require(0 <= self.max_delta <= 1, "max_delta must be in [0, 1]")


@dataclass(frozen=True)
class _Factor(_Probable):
    probability: float = 1.0
    min_factor: float = 0.8
    max_factor: float = 1.25

    def _check(self) -> None:
        _range(self.min_factor, self.max_factor, "min_factor, max_factor", above=0)


@dataclass(frozen=True)
class Contrast(_Factor):
    """Distances from the frame's mean, multiplied."""

    name: Literal["contrast"] = "contrast"


@dataclass(frozen=True)
class Saturation(_Factor):
    """Saturation of the colours, multiplied."""

    name: Literal["saturation"] = "saturation"


@dataclass(frozen=True)
class Gamma(_Factor):
    """Pixels in [0, 1] to the power of the factor: above 1 darker, below 1 brighter."""

    name: Literal["gamma"] = "gamma"


@dataclass(frozen=True)
class Hue(_Probable):
    """Colours turned around the colour circle."""

    name: Literal["hue"] = "hue"
    probability: float = 1.0
    max_delta: float = 0.02
    """Share of half a turn."""

    def _check(self) -> None:
        require(0 <= self.max_delta <= 1, "max_delta must be in [0, 1]")


@dataclass(frozen=True)
class Grayscale(_Probable):
    """Colours become grey."""

    name: Literal["grayscale"] = "grayscale"
    probability: float = 0.1


@dataclass(frozen=True)
class Noise(_Probable):
    """Normal noise on every pixel, another one in each frame; its strength holds for the run."""

    name: Literal["noise"] = "noise"
    max_stddev: float = 8.0
    """In grey values of 255."""

    def _check(self) -> None:
        require(0 < self.max_stddev <= 255, "max_stddev must be in (0, 255]")


Fill = Literal["gray", "black", "mean", "noise"]


@dataclass(frozen=True)
class RandomErasing(_Probable):
    """Rectangles painted over, at the same place in all frames of a run, like dirt on the lens."""

    name: Literal["random_erasing"] = "random_erasing"
    max_count: int = 1
    """1 to this many rectangles."""
    min_area: float = 0.02
    """Of a rectangle, share of the frame."""
    max_area: float = 0.2
    min_aspect_ratio: float = 0.3
    """Width / height of a rectangle, pixels."""
    max_aspect_ratio: float = 3.3
    fill: Fill = "gray"
    min_visible: float = 0.0
    """An object stays if at least this share of its box is not painted over; 0: all stay."""

    def _check(self) -> None:
        require(self.max_count >= 1, "max_count must be at least 1")
        _range(self.min_area, self.max_area, "min_area, max_area", above=0, at_most=1)
        _range(
            self.min_aspect_ratio,
            self.max_aspect_ratio,
            "min_aspect_ratio, max_aspect_ratio",
            above=0,
        )
        require(0 <= self.min_visible <= 1, "min_visible must be in [0, 1]")


@dataclass(frozen=True)
class Occlusion(_Probable):
    """Objects hidden in part, each from a side of its own, again and again for a while.

    The patch moves with its object, which is told by its track id; without track ids by its place
    in the list of boxes. Boxes stay.
    """

    name: Literal["occlusion"] = "occlusion"
    object_probability: float = 0.5
    """How many of the objects."""
    min_share: float = 0.3
    """Of a box that is hidden."""
    max_share: float = 0.7
    period: int = 12
    """Frames from one time to the next; where it begins differs from object to object."""
    duration: int = 6
    """Frames that it lasts; equal to `period`: always."""
    fill: Fill = "gray"

    def _check(self) -> None:
        require(0 <= self.object_probability <= 1, "object_probability must be in [0, 1]")
        _range(self.min_share, self.max_share, "min_share, max_share", above=0, at_most=1)
        require(1 <= self.duration <= self.period, "1 <= duration <= period must hold")


@dataclass(frozen=True)
class MotionBlur(_Probable):
    """Frames smeared along one direction, as by a camera that is swung."""

    name: Literal["motion_blur"] = "motion_blur"
    min_length_px: float = 3.0
    """Of the smear, pixels of the frames as they come out."""
    max_length_px: float = 11.0

    def _check(self) -> None:
        _range(self.min_length_px, self.max_length_px, "min_length_px, max_length_px", above=0)
        require(self.max_length_px <= 63, "max_length_px must be at most 63")


@dataclass(frozen=True)
class TimeReversal(_Probable):
    """A video shown from its end to its beginning; drawn for each pass over it.

    Dear on video files, which can only be decoded forward: convert them first.
    """

    name: Literal["time_reversal"] = "time_reversal"


@dataclass(frozen=True)
class FrameDropping(_Probable):
    """Frames left out at random, as by a camera that cannot keep up; the clip stays full."""

    name: Literal["frame_dropping"] = "frame_dropping"
    rate: float = 0.1
    """How often frames are left out before the next one that is shown."""
    max_consecutive: int = 3
    """1 to this many at a time."""

    def _check(self) -> None:
        require(0 <= self.rate <= 1, "rate must be in [0, 1]")
        require(self.max_consecutive >= 1, "max_consecutive must be at least 1")


_Union = (
    HorizontalFlip
    | VerticalFlip
    | Transpose
    | SsdRandomCrop
    | ScaleJitter
    | CropAndShift
    | Brightness
    | Contrast
    | Saturation
    | Gamma
    | Hue
    | Grayscale
    | Noise
    | RandomErasing
    | Occlusion
    | MotionBlur
    | TimeReversal
    | FrameDropping
)

BY_NAME: dict[str, type] = {kind.name: kind for kind in typing.get_args(_Union)}
"""The dataclass of each name."""


class _ChosenByName:
    """Tells pydantic that `name` says which dataclass it is, without importing pydantic here."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        choices = {name: handler.generate_schema(kind) for name, kind in BY_NAME.items()}
        return core_schema.tagged_union_schema(choices, discriminator="name")


AugmentationConfig = Annotated[_Union, _ChosenByName()]
"""Any one of them."""
