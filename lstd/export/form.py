"""The form of an export's entry points: a frame or a clip, its numbers, which networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from lstd.config import schedule_names

SIGNATURES = ("streaming", "clip")
INPUT_TYPES = ("float32", "uint8")
NETWORKS = ("both", "large", "small")
UNROLL_LENGTH = 4
"""Frames of a clip where nobody says how many."""


class Form(NamedTuple):
    """The form of an export.

    Attributes:
        signature: "streaming": an entry point for each network, one frame, the state in and out.
            "clip": one entry point for a clip of fixed length, unrolled by the schedule.
        input_type: dtype of the frames, "float32" (0 to 255) or "uint8".
        network: "both", or the only one that is exported.
        unroll_length: T, frames of a clip; 1 when streaming.
    """

    signature: str = "streaming"
    input_type: str = "float32"
    network: str = "both"
    unroll_length: int = 1


def checked(
    model: Any,
    *,
    signature: str = "streaming",
    input_type: str = "float32",
    network: str = "both",
    unroll_length: int | None = None,
    schedule: str | None = None,
) -> Form:
    """Returns the form that a user asked for.

    Args:
        model: an `LSTMSSD`.
        signature: see `Form`.
        input_type: see `Form`.
        network: see `Form`. A model with one backbone has the large one only.
        unroll_length: None: 4 frames for a clip.
        schedule: what the user asked for; None: the model's for evaluation.

    Raises:
        ValueError: a value that there is not, one that the model cannot do, or two that contradict
            each other; the message names them.
    """
    _choice("signature", signature, SIGNATURES)
    _choice("input_type", input_type, INPUT_TYPES)
    _choice("network", network, NETWORKS)
    if network == "small" and len(model.networks) == 1:
        raise ValueError(
            "network: 'small' was asked for, but this model has one backbone, which counts as "
            "large; leave it out"
        )
    check_schedule(schedule, backbones=len(model.networks))
    if signature == "streaming":
        if unroll_length is not None:
            raise ValueError(
                "unroll_length is the length of a clip, but signature 'streaming' takes one frame; "
                "leave it out, or ask for signature 'clip'"
            )
        return Form(signature, input_type, network)
    length = UNROLL_LENGTH if unroll_length is None else unroll_length
    if isinstance(length, bool) or not isinstance(length, int) or length < 1:
        raise ValueError(f"unroll_length must be a whole number of at least 1, got {length!r}")
    form = Form(signature, input_type, network, length)
    _check_clip_schedule(model, form, schedule)
    return form


def check_schedule(schedule: str | None, *, backbones: int) -> None:
    """Refuses a schedule that a model with so many backbones cannot run.

    Raises:
        ValueError: it is no schedule, or one for two backbones where there is one.
    """
    if schedule is None:
        return
    schedule_names.check(schedule)
    if backbones == 1 and schedule_names.skip_of(schedule) != 0:
        raise ValueError(
            f"schedule: a model with one backbone runs LARGE on every frame, got {schedule!r}"
        )


def clip_schedule(form: Form, schedule: str) -> str:
    """Returns the schedule of whole clips, which a single network decides by itself."""
    return schedule if form.network == "both" else form.network.upper()


def _choice(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")


def _check_clip_schedule(model: Any, form: Form, schedule: str | None) -> None:
    asked = schedule or ("LARGE" if len(model.networks) == 1 else model.eval_schedule)
    if form.network == "both" and asked.startswith("RANDOM"):
        raise ValueError(
            f"schedule: a clip is unrolled when it is exported, so {asked!r} cannot draw anew for "
            "each; take LARGE, SMALL or SKIPk"
        )
    only = form.network.upper()
    same = schedule is None or schedule == only
    if form.network != "both" and not same and not (only == "LARGE" and schedule == "SKIP0"):
        raise ValueError(
            f"schedule {schedule!r} and network {form.network!r} contradict each other: a clip of "
            f"the {form.network} network alone runs {only}; leave one of them out"
        )
