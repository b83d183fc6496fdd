"""Section `data` of a config: where the data is and how it becomes clips."""

from dataclasses import field
from typing import Literal

from pydantic.dataclasses import dataclass

from lstd.config.augmentation_config import AugmentationConfig
from lstd.config.fields import Count, File, Natural, Section, Share, require


@dataclass(frozen=True)
class DatasetConfig(Section):
    """One split of the data."""

    input_path: tuple[File, ...] = ()
    """TFRecord files of SequenceExamples, or any data set that `lstd.data.readers` knows, such as a
    CocoVID JSON or a folder of MOT Challenge; names may hold * and ?."""
    format: str = ""
    """Of a data set that is no TFRecord file; empty: found out by its content."""
    subset: str = ""
    """A part of such a data set, such as "train"; empty: all of it, or the only one."""
    images: File = ""
    """Its pictures, where they do not stand where the format has them."""
    stills: bool = False
    """Every picture of such a data set is a video of one frame."""
    folders: bool = False
    """The pictures of a folder are a video, where labels are for single images."""
    batch_size: Count = 8
    """Clips in a batch, B."""
    unroll_length: Count = 4
    """Frames in a clip, T."""
    height: Natural = 0
    """Frames are resized to height x width before they are batched (TF1 bilinear); 0 keeps their
    size, which must then be the same in all videos."""
    width: Natural = 0
    min_frame_stride: Count = 1
    max_frame_stride: Count = 1
    """A clip takes every s-th frame; s is drawn where a lane starts with a zero state."""
    reset_probability: Share = 0.0
    """How often a clip starts from a zero state although it continues a video."""
    clips: Literal["carried", "independent"] = "carried"
    """carried: a place of the batch walks through a video, clip after clip, with its state.
    independent: every clip starts from a zero state, and may be shuffled and overlap."""
    overlap: Natural = 0
    """Frames that an independent clip shares with the one before it in its video."""
    random_start: bool = True
    """Training begins anywhere in each place's first video; false: at its first frame."""
    shuffle: Literal["buffer", "shards", "videos"] = "buffer"
    """buffer: see shuffle_buffer. shards: so, and the files are in another order in each epoch.
    videos: all videos are in another order in each epoch, whatever shuffle_buffer is."""
    shuffle_buffer: Natural = 32
    """Videos shuffled among each other in training; 0: in order, as evaluation always is."""
    clip_buffer: Natural = 0
    """Independent clips held in memory, encoded, of which a random one goes next; 0: none."""
    max_boxes: Natural = 30
    """Boxes kept in a frame; what is beyond is the problem too_many_boxes. 0: no limit."""
    problems: dict[str, str] = field(default_factory=dict)
    """What to do about bad data, such as {corrupt_image: skip}; docs/data.md has the table."""
    augmentation: tuple[AugmentationConfig, ...] = ()

    def __post_init__(self) -> None:
        require(
            bool(self.height) == bool(self.width),
            "height and width must both be 0 or both be above 0",
        )
        require(
            bool(self.max_boxes) or "too_many_boxes" not in self.problems,
            "problems: too_many_boxes means nothing with max_boxes 0, which is no limit",
        )
        require(self.overlap < self.unroll_length, "overlap must be below unroll_length")
        independent = self.clips == "independent"
        for name in ("overlap", "clip_buffer"):
            require(
                independent or not getattr(self, name),
                f"{name} needs clips: independent; a carried state sees every frame once, in order",
            )
        require(
            not (independent and self.reset_probability),
            "reset_probability has no effect with clips: independent; leave it at 0",
        )
        for name in ("time_reversal", "frame_dropping"):
            times = sum(step.name == name for step in self.augmentation)
            require(times <= 1, f"augmentation: {name} may stand once, it stands {times} times")


@dataclass(frozen=True)
class DataConfig(Section):
    """Where the data is and how it becomes clips."""

    train: DatasetConfig = DatasetConfig()
    evaluation: DatasetConfig = DatasetConfig(batch_size=1, shuffle_buffer=0)
    label_map_path: File = ""
