"""The augmentations of a config: one frozen dataclass for each, which `name` chooses.

A *run* is what the network sees as one video (see `lstd.make_dataset`). Whether an augmentation
happens, and how, is drawn once a run; all its frames get the same. What they do to frames and boxes
stands in `lstd.data.augment`, which takes these settings as they are.
"""

import typing
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from lstd.config import fields
from lstd.config.fields import Count, NotNegative, Positive, PositiveShare, Section, Share

Fill = Literal["gray", "black", "mean", "noise"]
"""What is painted: 128, 0, each frame's mean, or noise that holds for the run."""


@dataclass(frozen=True)
class _Step(Section):
    name: str = ""
    probability: Share = 0.5


@dataclass(frozen=True)
class HorizontalFlip(_Step):
    """Left and right exchanged."""

    name: Literal["horizontal_flip"] = "horizontal_flip"


@dataclass(frozen=True)
class VerticalFlip(_Step):
    """Upside down."""

    name: Literal["vertical_flip"] = "vertical_flip"


@dataclass(frozen=True)
class Transpose(_Step):
    """x and y exchanged; needs square frames."""

    name: Literal["transpose"] = "transpose"


@dataclass(frozen=True)
class CropOperation(Section):
    """One way to crop; see `SsdRandomCrop`."""

    min_object_covered: Share = 0.0
    """The window covers at least this share of some object."""
    min_aspect_ratio: Positive = 0.5
    """Width / height of the window, pixels."""
    max_aspect_ratio: Positive = 2.0
    min_area: PositiveShare = 0.1
    """Share of the frame."""
    max_area: PositiveShare = 1.0
    overlap_thresh: Share = 0.0
    """An object stays if at least this share of its box lies in the window."""
    random_coef: Share = 0.15
    """How often the frame is kept as it is."""


SSD_OPERATIONS = tuple(
    CropOperation(min_object_covered=share, overlap_thresh=share)
    for share in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
)
"""The original's, where its config names none."""


@dataclass(frozen=True)
class SsdRandomCrop(_Step):
    """A crop as SSD trains with: one of the operations, each as likely as the others."""

    name: Literal["ssd_random_crop"] = "ssd_random_crop"
    probability: Share = 1.0
    """The operations have a chance of their own to leave a run as it is: random_coef."""
    operations: Annotated[tuple[CropOperation, ...], Field(min_length=1)] = SSD_OPERATIONS


@dataclass(frozen=True)
class ScaleJitter(_Step):
    """The frame enlarged and cut, or shrunk onto a plain canvas, at a random place."""

    name: Literal["scale_jitter"] = "scale_jitter"
    min_scale: Positive = 0.8
    max_scale: Positive = 1.25
    min_visible: Share = 0.3
    """An object stays if at least this share of its box can still be seen."""
    fill: Annotated[float, Field(ge=0, le=255)] = 128.0
    """Grey value around a shrunken frame."""


@dataclass(frozen=True)
class CropAndShift(_Step):
    """A still becomes a clip: a window that moves over it. Longer videos are not touched.

    Source: Liu et al., Looking Fast and Slow, 2019, section 4.1 (https://arxiv.org/abs/1903.10172).
    """

    name: Literal["crop_and_shift"] = "crop_and_shift"
    probability: Share = 1.0
    min_size: PositiveShare = 0.5
    """Side of the first window, share of the still's side."""
    max_size: PositiveShare = 0.9
    max_shift: NotNegative = 0.1
    """The window moves by up to this share of its side from frame to frame, on each axis."""
    max_zoom: Annotated[float, Field(ge=1)] = 1.05
    """The window grows or shrinks by up to this factor from frame to frame."""
    min_visible: Share = 0.3
    """In each frame, an object stays if at least this share of its box lies in the window."""


@dataclass(frozen=True)
class Brightness(_Step):
    """A constant added to all pixels."""

    name: Literal["brightness"] = "brightness"
    probability: Share = 1.0
    max_delta: Share = 0.2
    """The constant is at most this share of 255, up or down."""


@dataclass(frozen=True)
class _Factor(_Step):
    probability: Share = 1.0
    min_factor: Positive = 0.8
    max_factor: Positive = 1.25


@dataclass(frozen=True)
class Contrast(_Factor):
    """Distances from the frame's mean, channel by channel, multiplied."""

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
class Hue(_Step):
    """Colours turned around the colour circle."""

    name: Literal["hue"] = "hue"
    probability: Share = 1.0
    max_delta: Share = 0.02
    """Share of half a turn."""


@dataclass(frozen=True)
class Grayscale(_Step):
    """Colours become grey."""

    name: Literal["grayscale"] = "grayscale"
    probability: Share = 0.1


@dataclass(frozen=True)
class Noise(_Step):
    """Normal noise on every pixel, another one in each frame; its strength holds for the run."""

    name: Literal["noise"] = "noise"
    max_stddev: Annotated[float, Field(gt=0, le=255)] = 8.0
    """In grey values of 255."""


@dataclass(frozen=True)
class RandomErasing(_Step):
    """Rectangles painted over, at the same place in all frames of a run, like dirt on the lens."""

    name: Literal["random_erasing"] = "random_erasing"
    max_count: Count = 1
    """1 to this many rectangles."""
    min_area: PositiveShare = 0.02
    """Of a rectangle, share of the frame; smaller where it would not fit."""
    max_area: PositiveShare = 0.2
    min_aspect_ratio: Positive = 0.3
    """Width / height of a rectangle, pixels."""
    max_aspect_ratio: Positive = 3.3
    fill: Fill = "gray"
    min_visible: Share = 0.0
    """An object stays if at least this share of its box is not painted over; 0: all stay."""


@dataclass(frozen=True)
class Occlusion(_Step):
    """Objects hidden in part, each from a side of its own, again and again for a while.

    The patch moves with its object, which is told by its track id; without track ids by its place
    in the list of boxes. Boxes stay.
    """

    name: Literal["occlusion"] = "occlusion"
    object_probability: Share = 0.5
    """How many of the objects."""
    min_share: PositiveShare = 0.3
    """Of a box that is hidden."""
    max_share: PositiveShare = 0.7
    period: Count = 12
    """Frames from one time to the next; where it begins differs from object to object."""
    duration: Count = 6
    """Frames that it lasts; equal to `period`: always."""
    fill: Fill = "gray"

    def __post_init__(self) -> None:
        fields.require_order(self, "duration", "period")


@dataclass(frozen=True)
class MotionBlur(_Step):
    """Frames smeared along one direction, as by a camera that is swung.

    The smear reaches equally far to both sides, so that nothing moves.
    """

    name: Literal["motion_blur"] = "motion_blur"
    min_length_px: Positive = 3.0
    """Of the smear, pixels of the frames as they come out."""
    max_length_px: Annotated[float, Field(gt=0, le=63)] = 11.0


@dataclass(frozen=True)
class TimeReversal(_Step):
    """A video shown from its end to its beginning; drawn for each pass over it.

    Dear on video files, which can only be decoded forward: convert them first.
    """

    name: Literal["time_reversal"] = "time_reversal"


@dataclass(frozen=True)
class FrameDropping(_Step):
    """Frames left out at random, as by a camera that cannot keep up; the clip stays full."""

    name: Literal["frame_dropping"] = "frame_dropping"
    rate: Share = 0.1
    """How often frames are left out before the next one that is shown."""
    max_consecutive: Count = 3
    """1 to this many at a time."""


_Windows = HorizontalFlip | VerticalFlip | Transpose | SsdRandomCrop | ScaleJitter | CropAndShift
_Pixels = Brightness | Contrast | Saturation | Gamma | Hue | Grayscale | Noise | MotionBlur
_Union = _Windows | _Pixels | RandomErasing | Occlusion | TimeReversal | FrameDropping
AugmentationConfig = Annotated[_Union, Field(discriminator="name")]
"""Any one of them."""

BY_NAME: dict[str, type] = {kind.name: kind for kind in typing.get_args(_Union)}
"""The dataclass of each name."""
