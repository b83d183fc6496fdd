"""The detector: backbones that take turns, the memory, feature maps and heads."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from lstd.base.types import ClipBatch, Detections, Gates, LSTMState, Output, Predictions
from lstd.config import config_io
from lstd.config.config import to_dict
from lstd.config.model_config import ModelConfig
from lstd.config.train_config import Precision
from lstd.fit import replicas
from lstd.fit.detection_training import DetectionTraining
from lstd.layers.bottleneck import Bottleneck, activation_of
from lstd.models import parts, turns
from lstd.models.carried_state import CarriedState
from lstd.ops import anchors as anchor_ops
from lstd.ops import images as image_ops
from lstd.ops import postprocess

_SCHEDULES = ("train_schedule", "eval_schedule", "schedule_counts", "large_frames")
_SETTINGS = (*_SCHEDULES, "min_score")
"""What may be set anew after a model was made."""


@keras.saving.register_keras_serializable(package="lstd")
class LSTMSSD(DetectionTraining):
    """Video object detector with one or two backbones and a convolutional LSTM.

    Each frame is seen by one backbone, the one that its schedule chose, and by no other:

        x_t = backbone_n(frame_t)                 n: large or small
        b_t = bottleneck_n(x_t, h)
        y_t, new = cell(b_t, state)
        state = new if n is large, else as it was (the small network never writes the state)
        predictions_t = heads(feature_maps(y_t))

    With `fine_map` the heads also see a map of twice that resolution, made of y_t and of what the
    backbone saw there.

    `model(clip)` and a loop of `model.step(frame)` give the same numbers.

    Call arguments:
        inputs: a ClipBatch, or bare frames, uint8 or float32 in [0, 255], `[B, T, H, W, C]` with
            static T, any H and W.
        state: LSTMState before the first frame; None: zeros, or what a stateful model carried. With
            a state given, a stateful model neither reads nor changes what it carries.
        networks: which network runs: "large", "small", a sequence of T such names, or an int array
            `[B, T]` (0 large, 1 small). None: the schedule decides.
        first_frame: number of the clip's first frame in its video, an int or int `[B]`, added to
            what a stateful model counted, unless a state is given. A ClipBatch brings its own
            numbers instead.
        training: batch norm in training mode, and the training schedule.

    Returns Output: predictions float32 `[B, T, A, ...]`, and the state after the last frame.

    Args:
        config: the model section of a config; see `lstd.ModelConfig`.
        stateful_batch_size: B of a stateful model; None: state goes in and comes out.
        precision: what the network computes in; None: Keras's global policy.

    Its `min_score` is the score from which on detections are shown, of a model out of a run folder
    what its config or its training says; None: not known.

    A derived class whose `__init__` takes more adds that in a `get_config` of its own.

    Raises:
        ValueError: `stateful_batch_size` cannot be divided among the replicas of the scope.

    Source: Liu and Zhu, 2018 (https://arxiv.org/abs/1711.06368); Liu et al., 2019
    (https://arxiv.org/abs/1903.10172).
    """

    def __init__(
        self,
        config: ModelConfig,
        *,
        stateful_batch_size: int | None = None,
        precision: Precision | None = None,
        name: str = "lstm_ssd",
        **kwargs: Any,
    ) -> None:
        with parts.made_in(precision):
            # Frames hold 0 to 255, more than half precision can tell apart: no automatic cast.
            super().__init__(autocast=False, name=name, **kwargs)
            self.config = config
            self.networks = turns.NAMES[: len(config.depth_multipliers)]
            for part, layer in parts.make(config).items():
                setattr(self, part, layer)
        self.state_depth = self.cell.state_depth
        self.num_classes = config.num_classes
        self.input_shape_hwc = (config.input_height, config.input_width, config.input_channels)
        for setting in _SCHEDULES:
            setattr(self, setting, getattr(config, setting))
        self.min_score: float | None = None
        self.box_scale_factors = config.box_scale_factors
        self.postprocessing = config.postprocessing
        self.labels = config.labels
        self.anchors = anchor_ops.from_config(config)
        self.state_grid = anchor_ops.grids_of(config)[1 if config.fine_map else 0]
        carried = {}  # The state of training and that of inference do not mix.
        if stateful_batch_size is not None:
            shape = (stateful_batch_size, *self.state_grid, self.state_depth)
            carried = {training: CarriedState(shape) for training in (True, False)}
        # Not through Keras's own __setattr__, see CarriedState.
        object.__setattr__(self, "_carried", carried)
        object.__setattr__(self, "_coins", turns.Coins())
        self._create_variables()

    def _create_variables(self) -> None:
        """Runs every part of the model once, so that all its variables exist."""
        for network in self.networks:
            depth = getattr(self, network).output_depth
            self._bottleneck(network).build((None, *self.state_grid, depth))
        frames = tf.zeros([1, len(self.networks), *self.input_shape_hwc])
        with tf.name_scope(self.name):
            # Not what a derived class makes of it, whose own __init__ has not ended yet.
            LSTMSSD.call(self, frames, self.initial_state(1), networks=list(self.networks))
        self.built = True

    # --- running -----------------------------------------------------------------------------

    # Nothing here needs autograph, and converting every layer takes longer than tracing it.
    @tf.autograph.experimental.do_not_convert
    def call(
        self,
        inputs: ClipBatch | tf.Tensor,
        state: LSTMState | None = None,
        networks: Any = None,
        first_frame: int | tf.Tensor = 0,
        training: bool = False,
    ) -> Output:
        """Returns the output for a clip; the call arguments stand with the class."""
        training = bool(training)
        clip = inputs if isinstance(inputs, ClipBatch) else None
        frames = tf.convert_to_tensor(clip.frames if clip is not None else inputs)
        self._check_frames(frames, rank=5)
        carried = self._carried.get(training) if state is None else None
        if state is None:
            state = self._state_before(frames, carried)
        choice = self._choose(frames, clip, networks, first_frame, carried, training)
        starts = None if clip is None else clip.starts
        output = self._run(frames, state, choice, starts, training)
        if carried is not None:
            carried.write(output.state, frames=int(frames.shape[1]))
        return output

    @tf.autograph.experimental.do_not_convert
    def step(
        self,
        frame: tf.Tensor,
        state: LSTMState | None = None,
        network: str | int | tf.Tensor = "large",
        training: bool = False,
    ) -> Output:
        """Returns the output for one frame, predictions `[B, A, ...]`; one backbone runs.

        Args:
            frame: uint8 or float32 in [0, 255], `[B, H, W, C]`.
            state: the state before; None: zeros, or what a stateful model carried.
            network: "large" or "small", or an int, or int `[B]` (0 large, 1 small).
            training: batch norm in training mode.
        """
        frame = tf.convert_to_tensor(frame)
        self._check_frames(frame, rank=4)
        networks = network if isinstance(network, str) else _column(network)
        predictions, state = LSTMSSD.call(
            self, frame[:, tf.newaxis], state, networks, training=training
        )
        return Output(Predictions(*(part[:, 0] for part in predictions)), state)

    def initial_state(self, batch_size: int | tf.Tensor) -> LSTMState:
        """Returns zeros, float32 `[batch_size, H / 32, W / 32, D]` each."""
        zeros = tf.zeros([batch_size, *self.state_grid, self.state_depth])
        return LSTMState(zeros, zeros)

    @property
    def carried_batch_size(self) -> int | None:
        """B of a stateful model, all replicas together; None for one that carries no state."""
        return self._carried[True].batch_size if self._carried else None

    @property
    def training_state(self) -> dict[str, Any]:
        """What a resumed training needs besides weights and optimizer, for a `tf.train.Checkpoint`.

        "coins", the generator of the random schedule, and for a stateful model "carried", the LSTM
        state and the frame counters of the clips. Neither is a weight.
        """
        carried = {"carried": self._carried[True].as_module()} if self._carried else {}
        return {"coins": self._coins, **carried}

    def compile(self, *args: Any, gradient_checkpointing: bool = False, **kwargs: Any) -> None:
        """Configures the model for `fit`; see `DetectionTraining.compile`.

        Raises:
            ValueError: `gradient_checkpointing` with a schedule that decides only within the step
                how many frames each network sees: TensorFlow has no gradient for recomputation
                inside a `tf.cond`.
        """
        if gradient_checkpointing and not self._knows_network_sizes():
            raise ValueError(
                "gradient_checkpointing needs to know how many frames each network sees: set "
                "model.large_frames, or let model.train_schedule be LARGE or SMALL, or SKIPk with "
                f"model.schedule_counts unroll; train_schedule is {self.train_schedule}"
            )
        super().compile(*args, gradient_checkpointing=gradient_checkpointing, **kwargs)

    def _knows_network_sizes(self) -> bool:
        """Returns whether a training step knows beforehand how many frames each network sees."""
        schedule = self.train_schedule
        return bool(
            len(self.networks) == 1
            or self.config.train_backbone_frames == "all"
            or self.large_frames
            or schedule in ("LARGE", "SMALL")
            or (self.schedule_counts == "unroll" and schedule.startswith("SKIP"))
        )

    def collect_training_state(self) -> None:
        """Brings `training_state` up to date before it is saved; all workers have to call it."""
        if self._carried:
            self._carried[True].collect()

    def spread_training_state(self) -> None:
        """Lets all replicas go on from `training_state`, after it was restored."""
        if self._carried:
            self._carried[True].spread()

    def reset_states(self) -> None:
        """Forgets what a stateful model carried, and counts frames from 0 again."""
        for carried in self._carried.values():
            carried.reset()

    def detect(self, predictions: Predictions) -> Detections:
        """Returns the detections, decoded and suppressed class by class, by falling score.

        Predictions are float `[..., A, 4]` and `[..., A, K + 1]` with any leading axes, such as
        `[B, T]`; Detections are `[..., N]`, float32 and int32, where N is `max_total_detections`.

        Raises:
            ValueError: the numbers of anchors or classes are not the model's, or not known.
        """
        return postprocess.detect(
            predictions,
            self.anchors,
            scale_factors=self.box_scale_factors,
            **dataclasses.asdict(self.postprocessing),
        )

    def features(self, frames: tf.Tensor, network: str, training: bool = False) -> tf.Tensor:
        """Returns what a backbone, "large" or "small", sees in frames, in the dtype it computes in.

        Frames are uint8 or float32 in [0, 255], `[N, H, W, C]` of any size; the result is
        `[N, H / 32, W / 32, depth]` for H and W of the model's input.

        Raises:
            ValueError: unknown network, or "small" in a single-backbone model; frames of another
                rank or dtype.
        """
        frames = tf.convert_to_tensor(frames)
        self._check_frames(frames, rank=4)
        turns.number_of(network, self.networks)
        seen = self._backbone(self._preprocess(frames), network, training)
        return seen[-1] if self.config.fine_map else seen

    def gates(self, frame: tf.Tensor, state: LSTMState, network: str = "large") -> Gates:
        """Returns what the gates of the memory do with a frame `[B, H, W, C]`, for looking inside.

        The new cell state of `step` is c * forget + input * candidate, within the cell's limits;
        what the small network would write is thrown away by `step`.
        """
        features = self.features(frame, network)
        joined = self._bottleneck(network)(features, tf.cast(state.h, features.dtype))
        i, j, f, o = self.cell.gates(joined)
        candidate = activation_of(self.cell.activation)(j)
        forget = f if self.cell.int8 else f + 1.0
        values = (tf.sigmoid(i), candidate, tf.sigmoid(forget), tf.sigmoid(o))
        return Gates(*(tf.cast(value, tf.float32) for value in values))

    # --- inside ------------------------------------------------------------------------------

    def _check_frames(self, frames: tf.Tensor, *, rank: int) -> None:
        axes = "[B, T, H, W, C]" if rank == 5 else "[B, H, W, C]"
        if frames.shape.rank != rank:
            raise ValueError(f"frames must be {axes}, got shape {frames.shape}")
        if frames.dtype not in (tf.uint8, tf.float32):
            raise ValueError(f"frames must be uint8 or float32, got {frames.dtype.name}")
        if rank == 5 and not frames.shape[1]:
            raise ValueError(f"the number of frames T must be known and above 0: {frames.shape}")

    def _choose(
        self,
        frames: tf.Tensor,
        clip: ClipBatch | None,
        networks: Any,
        first_frame: Any,
        carried: CarriedState | None,
        training: bool,
    ) -> turns.Choice:
        if networks is not None or len(self.networks) == 1:
            return turns.from_user(networks, clip=frames, available=self.networks)
        steps = np.arange(int(frames.shape[1]), dtype=np.int32)[np.newaxis]
        counted = None if carried is None else carried.frame
        if self.schedule_counts == "unroll":
            numbers = steps
        elif clip is not None:
            numbers = clip.frame_index
        elif counted is None and not isinstance(first_frame, (tf.Tensor, tf.Variable)):
            numbers = np.reshape(first_frame, [-1, 1]) + steps
        else:
            start = tf.reshape(tf.cast(first_frame, tf.int32), [-1, 1])
            numbers = (start if counted is None else start + counted[:, tf.newaxis]) + steps
        return turns.from_schedule(
            self.train_schedule if training else self.eval_schedule,
            numbers,
            clip=frames,
            large_probability=self.config.large_probability,
            large_frames=self.large_frames if training else 0,
            large_first=self.config.large_first and training,
            uniform=self._coins.uniform if training else tf.random.uniform,
        )

    def _state_before(self, frames: tf.Tensor, carried: CarriedState | None) -> LSTMState:
        if carried is None:
            return self.initial_state(tf.shape(frames)[0])
        if frames.shape[0] not in (None, carried.own_batch_size):
            raise ValueError(
                f"this stateful model was built for batch_size {carried.own_batch_size}"
                f"{'' if replicas.count() == 1 else ' on each replica'}, "
                f"got a batch of {frames.shape[0]}"
            )
        return carried.read()

    def _run(
        self,
        frames: tf.Tensor,
        state: LSTMState,
        choice: turns.Choice,
        starts: tf.Tensor | None,
        training: bool,
    ) -> Output:
        num_frames = frames.shape[1]
        images = self._preprocess(turns.fold(frames))
        inputs, *fine = self._seen(images, state, choice, num_frames, training)
        outputs = []
        for frame in range(num_frames):
            if starts is not None:
                state = _zero_where(starts[:, frame], state)
            output, state = self._remember(inputs[:, frame], state, choice, frame, training)
            outputs.append(output)
        memory = turns.fold(tf.stack(outputs, axis=1)) if num_frames > 1 else outputs[0]
        maps = self.feature_maps(memory, training=training)
        if fine:
            maps = (self.fine_map(turns.fold(fine[0]), memory, training=training), *maps)
        predictions = self.box_predictor(maps, training=training)
        return Output(
            Predictions(*(turns.unfold(part, num_frames) for part in predictions)),
            LSTMState(tf.cast(state.c, tf.float32), tf.cast(state.h, tf.float32)),
        )

    def _preprocess(self, frames: tf.Tensor) -> tf.Tensor:
        """Returns frames `[N, H, W, C]` at the network's size, normalised to [-1, 1]."""
        height, width, channels = self.input_shape_hwc
        images = image_ops.resize(image_ops.to_channels(frames, channels), height, width)
        return tf.cast(image_ops.normalize(images), self.compute_dtype)

    def _backbone(self, images: tf.Tensor, network: str, training: bool) -> Any:
        if network == "small" and self.config.low_resolution:
            images = image_ops.half_resolution(images)
        return getattr(self, network)(images, training=training)

    def _bottleneck(self, network: str) -> Bottleneck:
        return getattr(self, f"{network}_bottleneck")

    def _seen(
        self,
        images: tf.Tensor,
        state: LSTMState,
        choice: turns.Choice,
        num_frames: int,
        training: bool,
    ) -> tuple[tf.Tensor, ...]:
        """Returns what the chosen backbones contribute to each frame, `[B, T, h, w, D]`.

        That is for the bottleneck; for the fine map, if there is one, `[B, T, 2h, 2w, depth]`.
        """

        def run(images: tf.Tensor, network: str) -> tuple[tf.Tensor, ...]:
            bottleneck = self._bottleneck(network)
            seen = self._backbone(images, network, training)
            if not self.config.fine_map:
                return (bottleneck.input_part(seen, state.h, training),)
            fine, seen = seen
            project = getattr(self, f"{network}_fine")
            part = bottleneck.input_part(seen, state.h, training)
            return part, project(fine, training=training)

        if training and self.config.train_backbone_frames == "all" and len(self.networks) == 2:
            both = [run(images, network) for network in turns.NAMES]
            pairs = [
                [turns.unfold(part, num_frames) for part in pair]
                for pair in zip(*both, strict=True)
            ]
            is_large = tf.broadcast_to(tf.equal(choice.networks, 0), tf.shape(pairs[0][0])[:2])
            return tuple(turns.select(is_large, *pair) for pair in pairs)
        (height, width), fine = self.state_grid, self.config.fine_map
        shapes = [(height, width, self.state_depth), (2 * height, 2 * width, fine)]
        return turns.scheduled(
            run,
            images,
            choice,
            num_frames=num_frames,
            result_shapes=shapes[: 2 if fine else 1],
            dtype=self.compute_dtype,
        )

    def _remember(
        self,
        inputs: tf.Tensor,
        state: LSTMState,
        choice: turns.Choice,
        frame: int,
        training: bool,
    ) -> tuple[tf.Tensor, LSTMState]:
        """Returns the memory's output for one frame, and the state after it."""
        state = LSTMState(tf.cast(state.c, inputs.dtype), tf.cast(state.h, inputs.dtype))

        def joined(network: str) -> tf.Tensor:
            bottleneck = self._bottleneck(network)
            return bottleneck.join(inputs, bottleneck.state_part(state.h, training), training)

        network = choice.static(frame)
        if network is not None:
            output, new = self.cell(joined(network), state, training=training)
            return output, new if network == "large" else state
        is_large = tf.equal(choice.networks[:, frame], 0)  # [B]
        either = turns.select(is_large, *map(joined, turns.NAMES))
        output, new = self.cell(either, state, training=training)
        return output, LSTMState(
            *(turns.select(is_large, a, b) for a, b in zip(new, state, strict=True))
        )

    def get_config(self) -> dict[str, Any]:
        carried = self._carried.get(True)
        return {
            "name": self.name,
            "precision": self.dtype_policy.name,
            "config": to_dict(self.config),
            "schedules": {name: getattr(self, name) for name in _SETTINGS},
            "stateful_batch_size": carried and carried.batch_size,
            "freeze": list(self._fitting.freeze_patterns),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> LSTMSSD:
        settings = dict(config)
        patterns, schedules = settings.pop("freeze", ()), settings.pop("schedules", {})
        model = cls(config_io.section(ModelConfig, settings.pop("config")), **settings)
        if cls is not LSTMSSD:  # which may have variables of its own, made by the first call
            clip = tf.zeros([1, len(model.networks), *model.input_shape_hwc])
            model(clip, model.initial_state(1), networks=list(model.networks))
        for schedule, value in schedules.items():
            setattr(model, schedule, value)
        if patterns:
            model.freeze(patterns)
        return model


def _column(numbers: Any) -> Any:
    """Returns `[B, 1]` of `[B]`, or `[1, 1]` of one number; NumPy unless it is a tensor."""
    reshape = tf.reshape if tf.is_tensor(numbers) else np.reshape
    return reshape(numbers, [-1, 1])


def _zero_where(starts: tf.Tensor, state: LSTMState) -> LSTMState:
    """Returns the state, zero for the samples of bool `[B]` that start anew."""
    return LSTMState(*(turns.select(starts, tf.zeros_like(part), part) for part in state))
