"""What a detector runs: one function for each network, from a frame and the state to detections."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from lstd.base import export_names as names
from lstd.base.types import LSTMState

Fill = Callable[[np.ndarray], None]
"""Writes the image into an array of the shape and dtype of `image`, which is lent for the call."""
INPUTS = (names.IMAGE, *names.STATE_INPUTS)
OUTPUTS = (*names.DETECTION_OUTPUTS, *names.STATE_OUTPUTS)
_RAW_SCALE = 0.5 / 255  # How far from 1 the scale of a quantised image may be: half a level.


class InputSpec(NamedTuple):
    """An input; a number n stands for `scale` * (n - `zero`), or for itself where `scale` is 0."""

    shape: tuple[int, ...]
    dtype: np.dtype
    zero: int = 0
    scale: float = 0.0


class EntryPoint(NamedTuple):
    """One frame and the state in, detections and the state out.

    Attributes:
        run: takes a `Fill` for the image, and the state (NumPy `[1, h, w, D]` each, not written
            to). Returns the detections of `OUTPUTS` by name and the new state, arrays of their own.
            It may be called from several threads.
        inputs: the `InputSpec` of each name in `INPUTS`.
    """

    run: Callable[[Fill, LSTMState], tuple[dict[str, np.ndarray], LSTMState]]
    inputs: dict[str, InputSpec]


class EntryPoints(NamedTuple):
    """What a detector needs of a model: "large", "small" or both, and its name for messages."""

    by_network: dict[str, EntryPoint]
    name: str

    @property
    def first(self) -> EntryPoint:
        """The large network, or the small one where it is alone."""
        return next(iter(self.by_network.values()))

    def zero_state(self) -> LSTMState:
        """Returns the state before a video."""
        specs = [self.first.inputs[name] for name in names.STATE_INPUTS]
        return LSTMState(*(np.full(spec.shape, spec.zero, spec.dtype) for spec in specs))


def calling(function: Callable[..., Mapping[str, Any]], inputs: dict[str, InputSpec]) -> EntryPoint:
    """Returns an entry point that calls a function of named inputs: NumPy in, arrays out.

    When it is run, a ValueError says which outputs are missing.
    """

    def run(fill: Fill, state: LSTMState) -> tuple[dict[str, np.ndarray], LSTMState]:
        image = np.empty(inputs["image"].shape, inputs["image"].dtype)
        fill(image)
        outputs = function(image=image, lstm_c=state.c, lstm_h=state.h)
        check_outputs(outputs, where="the entry point")
        found = {name: np.asarray(outputs[name]) for name in OUTPUTS}
        return found, LSTMState(*(found.pop(name) for name in names.STATE_OUTPUTS))

    return EntryPoint(run, inputs)


def choose(available: Iterable[str], *, name: str) -> dict[str, str]:
    """Returns the entry point of each network, {"large": "large", "small": "small"} for two.

    Raises:
        ValueError: none of `large`, `small` and `step` is among them; the message says why.
    """
    found = sorted(available)
    networks = {network: network for network in names.NETWORKS if network in found}
    if networks or names.SINGLE in found:
        return networks or {"large": names.SINGLE}
    if names.CLIP in found:
        raise ValueError(
            f"{name}: this was exported with --signature clip, which takes clips of fixed length, "
            "not the frames of a running video; export it with --signature streaming"
        )
    raise ValueError(
        f"{name}: no entry points of a video detector; expected large and small, or step, found "
        f"{', '.join(found) or 'none'}. Write such a file with lstd-export"
    )


def check(points: EntryPoints) -> None:
    """Raises ValueError unless inputs are as the detector feeds them, and the state is shared."""
    first = points.first.inputs
    for network, point in points.by_network.items():
        where = f"{points.name}, entry point {network}"
        if not set(INPUTS) <= set(point.inputs):
            found = ", ".join(sorted(point.inputs))
            raise ValueError(f"{where}: expected inputs {', '.join(INPUTS)}, it has {found}")
        shape, dtype, zero, scale = point.inputs["image"]
        is_frame = len(shape) == 4 and shape[0] == 1 and shape[3] in (1, 3) and min(shape) > 0
        if not is_frame or dtype not in (np.float32, np.uint8):
            raise ValueError(
                f"{where}: expected image float32 or uint8 [1, H, W, 1 or 3], it has {dtype} "
                f"{list(shape)}"
            )
        if scale and (zero != 0 or abs(scale - 1.0) > _RAW_SCALE):
            raise ValueError(
                f"{where}: expected an image of raw values, 0 to 255, it is quantised with scale "
                f"{scale:g} and zero point {zero}"
            )
        for name in names.STATE_INPUTS:
            if point.inputs[name] != first[name]:
                raise ValueError(
                    f"{where}: {name} is {point.inputs[name]}, but the large network's is "
                    f"{first[name]}; both must share one state"
                )


def check_outputs(available: Iterable[str], *, where: str) -> None:
    """Raises ValueError unless all of `OUTPUTS` are there."""
    found = sorted(available)
    missing = [name for name in OUTPUTS if name not in found]
    if missing:
        is_raw = any(name in names.RAW_OUTPUTS for name in found)
        hint = "; it was exported without post-processing, export it again with it"
        raise ValueError(
            f"{where}: no output {', '.join(missing)}; it has {', '.join(found) or 'none'}"
            f"{hint if is_raw else ''}"
        )


def from_object(model: Any) -> EntryPoints:
    """Returns the entry points of a Python object, such as the module that an export is made of.

    Its attributes `large` and `small`, or `step`, are callables. Their shapes come from their
    `input_signature` (a `tf.function` has one), or from the object's `image_shape` `(H, W, C)` and
    `state_shape` `(h, w, D)`.

    Raises:
        ValueError: none of the attributes, or no shapes.
    """
    name, float32 = type(model).__name__, np.dtype(np.float32)
    available = [
        key for key in (*names.NETWORKS, names.SINGLE) if callable(getattr(model, key, None))
    ]
    points = {}
    for network, key in choose(available, name=name).items():
        function = getattr(model, key)
        signature = getattr(function, "input_signature", None)
        if signature is not None:
            inputs = {spec.name: spec_of(spec) for spec in signature}
        elif hasattr(model, "image_shape") and hasattr(model, "state_shape"):
            shapes = (model.image_shape, model.state_shape, model.state_shape)
            specs = [InputSpec((1, *shape), float32) for shape in shapes]
            inputs = dict(zip(INPUTS, specs, strict=True))
        else:
            raise ValueError(
                f"{name}: entry points without an input_signature need the attributes image_shape "
                "(H, W, C) and state_shape (h, w, D) beside them"
            )
        points[network] = calling(function, inputs)
    return EntryPoints(points, name)


def spec_of(spec: Any) -> InputSpec:
    """Returns a `tf.TensorSpec` as an InputSpec; an unknown size is -1."""
    shape = tuple(-1 if size is None else int(size) for size in spec.shape)
    return InputSpec(shape, np.dtype(spec.dtype.as_numpy_dtype))
