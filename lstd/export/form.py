"""What is known of entry points beforehand: a frame or a clip, which networks, which shapes."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from lstd.base.export_names import CLIP, CLIP_INPUT, IMAGE, STATE_INPUTS, STATE_OUTPUTS
from lstd.export.postprocessing_op import PostprocessingOptions


class Form(NamedTuple):
    """The form of an export; the first three are as in `ExportOptions`.

    `unroll_length` is T, the frames of a clip; 1 when streaming.
    """

    signature: str = "streaming"
    input_type: str = "float32"
    network: str = "both"
    unroll_length: int = 1

    @property
    def is_clip(self) -> bool:
        """Whether a call takes a clip."""
        return self.signature == CLIP

    @property
    def image_input(self) -> str:
        """The name of the input for frames."""
        return CLIP_INPUT if self.is_clip else IMAGE

    def clip_schedule(self, schedule: str) -> str:
        """Returns the schedule of whole clips, which a single network decides by itself."""
        return schedule if self.network == "both" else self.network.upper()


class Described:
    """Entry points of which everything is known but what they compute.

    Attributes:
        form: of the entry points.
        entry_points: their names, and the network that each of them runs ("scheduled" for a clip).
        options: of the post-processing; None: raw output.
        image_shape: (H, W, C).
        state_shape: (1, h, w, D).
    """

    form: Form
    entry_points: Mapping[str, str]
    options: PostprocessingOptions | None
    image_shape: tuple[int, int, int]
    state_shape: tuple[int, int, int, int]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of the input for frames, one or a clip of them."""
        return (self.form.unroll_length, *self.image_shape)

    def zero_state(self) -> dict[str, np.ndarray]:
        """Returns the state before the first frame, by its inputs' names."""
        return dict.fromkeys(STATE_INPUTS, np.zeros(self.state_shape, np.float32))


class Reference(Described):
    """Entry points that are known to be right: the module, or a SavedModel made of it."""

    int8 = False
    """Trained in 8 bits: of what is nearly in the middle, another sum makes another level."""

    def function(self, name: str) -> Any:
        """Returns the tf.function of an entry point, or of one without post-processing."""
        raise NotImplementedError

    def run(self, entry_point: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the outputs of one entry point in NumPy."""
        return in_numpy(self.function(entry_point), inputs)

    def raw_outputs(self, entry_point: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the outputs without post-processing in NumPy, of frames in any type."""
        name = self.form.image_input
        images = inputs[name].astype(np.float32)
        return in_numpy(self.function(f"raw_{entry_point}"), {**inputs, name: images})


def carried(outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the state of outputs as inputs of the next call."""
    return {name.removesuffix("_out"): outputs[name] for name in STATE_OUTPUTS}


def in_numpy(function: Any, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns what a tf.function makes of arrays, by name."""
    outputs = function(**{name: tf.constant(value) for name, value in inputs.items()})
    return {name: value.numpy() for name, value in outputs.items()}
