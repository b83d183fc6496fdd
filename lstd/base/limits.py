"""The largest numbers that are taken for meant, all of them far above any real data.

Readers, configs and flags look here: without a limit, one digit too many fills the memory.
"""

from __future__ import annotations

from collections.abc import Mapping

WHOLE = 2**31 - 1
"""What an int32 holds."""

FRAMES = 10_000_000
"""Of a video, four days at 30 a second."""

MISSING_FRAMES = 100_000
"""Of a video: frames that its labels name and nobody has a picture of."""

CLASSES = 25_000
"""More than ImageNet-21k has."""

PIXELS = 89_478_485
"""Of a picture, from where on Pillow warns; nearly three times those of 8K video."""

BOX_SIDE = 1e9
"""Where a side of a box may be in what is scored, pixels; areas then stay numbers."""

SIZES: Mapping[str, float] = {
    **dict.fromkeys(("num_classes", "max_classes_per_detection"), CLASSES),
    **dict.fromkeys(("max_detections", "detections_per_class", "max_boxes"), 100_000),
    **dict.fromkeys(("max_detections_per_class", "max_total_detections"), 100_000),
    **dict.fromkeys(("input_height", "input_width", "height", "width"), 8192),
    **dict.fromkeys(("depth_multipliers", "feature_map_depth_multiplier"), 10),
    **dict.fromkeys(("state_depth", "feature_map_depths", "groups", "batch_size"), 4096),
    **dict.fromkeys(("min_depth", "num_layers", "unroll_length"), 1024),
    **dict.fromkeys(("objects", "max_frame_stride", "max_consecutive", "worst_frames"), 10_000),
    **dict.fromkeys(("threads", "workers"), 1024),
    **dict.fromkeys(("videos", "frames", "draws", "turns", "warm_up"), 1_000_000),
    **dict.fromkeys(("check_frames", "shuffle_buffer", "clip_buffer"), FRAMES),
    "seed": 2**32 - 1,
}
"""By the name of a setting or a flag; of other whole numbers the limit is `WHOLE`."""


def check(name: str, value: object, *, flag: str = "") -> None:
    """Raises where a setting holds a number, alone or in a tuple, that cannot be meant.

    >>> check("num_classes", 10**12)
    Traceback (most recent call last):
    ...
    ValueError: num_classes is 1000000000000, expected at most 25000
    """
    for number in value if isinstance(value, tuple) else (value,):
        most = SIZES.get(name, WHOLE if isinstance(number, int) else None)
        if isinstance(number, (int, float)) and most is not None and not number <= most:
            raise ValueError(f"{flag}{name} is {number}, expected at most {most}")


def check_missing(*, found: int, said: int, where: str) -> None:
    """Raises ValueError where labels reach too far behind the pictures of a video.

    Of the frames that labels `said` there are, `found` have a picture; `where` names the labels.
    """
    if said - found > MISSING_FRAMES:
        raise ValueError(
            f"{where} says that there are {said} frames, and {found} have a picture; more than "
            f"{MISSING_FRAMES} missing ones are taken for a mistake"
        )
