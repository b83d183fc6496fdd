"""The detection loss: targets of every anchor, hard-negative mining, classification and boxes.

Everything broadcasts over leading axes: `[N]` frames and `[B, T]` clips give the same numbers.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tf_keras as keras

from lstd.base.types import GroundTruth, Output, Predictions, Targets
from lstd.config import config_io
from lstd.config.config import to_dict
from lstd.config.model_config import LossConfig, MatchingConfig, ModelConfig
from lstd.ops import anchors as anchor_ops
from lstd.ops import box_coder, boxes, matching, mining

_IN_CROWD = 0.5
"""Share of an anchor's area in a crowd from which on it is not background."""


class LossSums(NamedTuple):
    """What a loss is made of: weighted, not normalised; and the matched anchors before mining."""

    localization: tf.Tensor
    classification: tf.Tensor
    matches: tf.Tensor


@keras.saving.register_keras_serializable(package="lstd")
class DetectionLoss:
    """Classification and box loss of the anchors that hard-negative mining selects.

        loss = (w_loc * sum huber + w_cls * sum classification) / max(number of matched anchors, 1)

    The sums run over the selected anchors of all frames; the number of matched anchors is one
    number over all frames, counted before mining. It goes into `model.compile(loss=...)`, and
    is no `keras.losses.Loss`.

    Called with the ground truth, boxes `[..., M, 4]`, where rows of class -1 are padding and M may
    be 0, and with `Predictions`, or an `Output` that holds one, of the same leading axes and any
    float type; the loss is computed in float32. A crowd (`is_crowd`) is no object; of the anchors
    that have half of their area or more in one, only those that answer for an object count.

    Args:
        anchors: float32 `[A, 4]`, corners.
        num_classes: K, without background.
        scale_factors: of the box coder, (y, x, height, width).
        **settings: fields of the sections `model.matching` and `model.loss` of a config, such as
            `classification="focal"`, with their defaults; but for `hard_negatives`, which is None
            unless it is given: every anchor counts.

    Raises:
        ValueError: a setting is unknown or out of range; when called, if the numbers of anchors or
            classes do not fit.

    Source: Liu et al., SSD, 2016, sections 2.2 and 3 (https://arxiv.org/abs/1512.02325); Lin et
    al., 2017, for the focal loss (https://arxiv.org/abs/1708.02002); mining as in TF1
    `HardExampleMiner`.
    """

    name = "detection_loss"

    def __init__(
        self,
        *,
        anchors: np.ndarray,
        num_classes: int,
        scale_factors: box_coder.ScaleFactors = (10.0, 10.0, 5.0, 5.0),
        **settings: Any,
    ) -> None:
        of_matching = {field.name for field in dataclasses.fields(MatchingConfig)} & set(settings)
        self.anchors = np.asarray(anchors, np.float32)
        self.num_classes = num_classes
        y, x, height, width = scale_factors
        self.scale_factors = (y, x, height, width)
        with config_io.explained(MatchingConfig, source="DetectionLoss"):
            self.matching = MatchingConfig(**{name: settings.pop(name) for name in of_matching})
        with config_io.explained(LossConfig, source="DetectionLoss"):
            self.settings = LossConfig(**{"hard_negatives": None, **settings})

    @classmethod
    def from_config(cls, model: ModelConfig | dict[str, Any]) -> DetectionLoss:
        """Returns the loss that belongs to a model, or the one whose `get_config` is given."""
        if isinstance(model, dict):
            return cls(**model)
        return cls(
            anchors=anchor_ops.from_config(model),
            num_classes=model.num_classes,
            scale_factors=model.box_scale_factors,
            **to_dict(model.matching),
            **to_dict(model.loss),
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments, ready for JSON."""
        return {
            "anchors": self.anchors.tolist(),
            "num_classes": self.num_classes,
            "scale_factors": list(self.scale_factors),
            **to_dict(self.matching),
            **to_dict(self.settings),
        }

    def __call__(self, ground_truth: GroundTruth, predictions: Predictions | Output) -> tf.Tensor:
        """Returns the loss, a float32 scalar."""
        return tf.add_n(list(self.components(ground_truth, predictions).values()))

    def components(
        self,
        ground_truth: GroundTruth,
        predictions: Predictions | Output,
        *,
        real: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Returns {"localization", "classification"}: weighted, normalised, float32 scalars."""
        return self.normalized(self.sums(ground_truth, predictions, real=real))

    def sums(
        self,
        ground_truth: GroundTruth,
        predictions: Predictions | Output,
        *,
        real: tf.Tensor | None = None,
    ) -> LossSums:
        """Returns the weighted sums before they are divided: those of several batches add up.

        `real`, bool `[...]`, is False for frames of padding, which are left out of every sum, the
        number of matched anchors included; None: all frames are real.
        """
        predictions = self._checked(predictions)
        targets = self.targets(ground_truth)
        localization, classification = self._anchor_losses(targets, predictions)
        selected = self._mine(targets, predictions, localization, classification).selected
        matched = targets.box_weights
        if real is not None:
            selected &= real[..., tf.newaxis]
            matched = tf.where(real[..., tf.newaxis], matched, 0.0)

        def total(losses: tf.Tensor, weight: float) -> tf.Tensor:
            return weight * tf.reduce_sum(tf.where(selected, losses, 0.0))

        return LossSums(
            localization=total(localization, self.settings.localization_weight),
            classification=total(classification, self.settings.classification_weight),
            matches=tf.reduce_sum(matched),
        )

    def normalizer(self, sums: LossSums) -> tf.Tensor:
        """Returns what the sums are to be divided by, a float32 scalar."""
        by_matches = self.settings.normalize_by_num_matches
        return tf.maximum(sums.matches, 1.0) if by_matches else tf.constant(1.0)

    def normalized(self, sums: LossSums) -> dict[str, tf.Tensor]:
        """Returns the `components` of the batch, or of all the batches, that gave these sums."""
        normalizer = self.normalizer(sums)
        return {
            "localization": sums.localization / normalizer,
            "classification": sums.classification / normalizer,
        }

    def targets(self, ground_truth: GroundTruth) -> Targets:
        """Returns what each anchor should predict, and how much it counts before mining."""
        truth = tf.cast(ground_truth.boxes, tf.float32)
        classes = tf.cast(ground_truth.classes, tf.int32)
        tf.debugging.assert_less(
            tf.reduce_max(classes),
            self.num_classes,
            message=f"ground_truth.classes must be below num_classes {self.num_classes} (classes "
            "are 0-based, without background); does the label map fit the model?",
        )
        anchors = tf.constant(self.anchors)
        similarity = boxes.iou(truth, anchors)
        settings = dataclasses.asdict(self.matching)
        crowd = ground_truth.is_crowd
        if crowd is None:
            matches = matching.match(similarity, classes >= 0, **settings)
        else:
            matches = matching.match(similarity, (classes >= 0) & ~crowd, **settings)
            inside = crowd[..., tf.newaxis] & (boxes.share_within(truth, anchors) >= _IN_CROWD)
            inside = tf.reduce_any(inside, axis=-2) & (matches == matching.BACKGROUND)
            matches = tf.where(inside, matching.IGNORED, matches)
        positive = matches >= 0
        row = tf.maximum(matches, 0)
        matched_boxes = _gather_rows(truth, row)  # [..., A, 4]
        matched_boxes = tf.where(positive[..., tf.newaxis], matched_boxes, anchors)
        encodings = box_coder.encode(matched_boxes, anchors, scale_factors=self.scale_factors)
        matched_classes = _gather_rows(classes[..., tf.newaxis], row)[..., 0]
        labels = tf.where(positive, matched_classes + 1, 0)
        class_targets = tf.one_hot(labels, self.num_classes + 1)
        counts = tf.cast(matches != matching.IGNORED, tf.float32)[..., tf.newaxis]
        targets = Targets(
            box_encodings=tf.where(positive[..., tf.newaxis], encodings, 0.0),
            box_weights=tf.cast(positive, tf.float32),
            class_targets=class_targets,
            class_weights=tf.broadcast_to(counts, tf.shape(class_targets)),
            matches=matches,
        )
        return Targets(*(tf.stop_gradient(field) for field in targets))

    def mined(self, ground_truth: GroundTruth, predictions: Predictions | Output) -> mining.Mined:
        """Returns which anchors of each frame the loss sums over."""
        predictions = self._checked(predictions)
        targets = self.targets(ground_truth)
        return self._mine(targets, predictions, *self._anchor_losses(targets, predictions))

    def _checked(self, predictions: Predictions | Output) -> Predictions:
        """Returns float32 predictions of the expected shape."""
        if isinstance(predictions, Output):
            predictions = predictions.predictions
        encodings, logits = (tf.convert_to_tensor(field) for field in predictions)
        for name, what, got, last in (
            ("box_encodings", "codes", encodings.shape, 4),
            ("class_logits", "background and classes", logits.shape, self.num_classes + 1),
        ):
            if not got[-2:].is_compatible_with((len(self.anchors), last)):
                raise ValueError(
                    f"{name} must have shape [..., {len(self.anchors)}, {last}] (anchors of the "
                    f"loss, {what}), got {got}; are loss and model built from the same config?"
                )
        return Predictions(tf.cast(encodings, tf.float32), tf.cast(logits, tf.float32))

    def _anchor_losses(
        self, targets: Targets, predictions: Predictions
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the box loss and the classification loss of each anchor, float32 `[..., A]`."""
        settings = self.settings
        localization = targets.box_weights * huber(
            predictions.box_encodings, targets.box_encodings, delta=settings.huber_delta
        )
        function: Callable[..., tf.Tensor] = sigmoid_cross_entropy
        if settings.classification == "focal":
            function = functools.partial(
                focal, alpha=settings.focal_alpha, gamma=settings.focal_gamma
            )
        return localization, function(
            predictions.class_logits, targets.class_targets, weights=targets.class_weights
        )

    def _mine(
        self,
        targets: Targets,
        predictions: Predictions,
        localization: tf.Tensor,
        classification: tf.Tensor,
    ) -> mining.Mined:
        mining_of = self.settings.hard_negatives
        if mining_of is None:
            everyone = tf.broadcast_to(tf.range(len(self.anchors)), tf.shape(targets.matches))
            return mining.Mined(tf.not_equal(targets.matches, matching.IGNORED), everyone)
        weight = self.settings
        losses = {
            "classification": classification,
            "localization": localization,
            "both": weight.classification_weight * classification
            + weight.localization_weight * localization,
        }
        options = dataclasses.asdict(mining_of)
        encodings = tf.stop_gradient(predictions.box_encodings)
        decoded = box_coder.decode(encodings, self.anchors, scale_factors=self.scale_factors)
        return mining.mine_hard_examples(
            losses[options.pop("loss_type")], decoded, targets.matches, **options
        )


def sigmoid_cross_entropy(
    logits: tf.Tensor, targets: tf.Tensor, *, weights: tf.Tensor | float = 1.0
) -> tf.Tensor:
    """Returns the sigmoid cross entropy, summed over the classes: float `[..., A]`.

    Logits and targets, in [0, 1], are `[..., A, C]`; weights broadcast against them.
    """
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=logits)
    return tf.reduce_sum(losses * weights, axis=-1)


def focal(
    logits: tf.Tensor,
    targets: tf.Tensor,
    *,
    alpha: float = 0.25,
    gamma: float = 2.0,
    weights: tf.Tensor | float = 1.0,
) -> tf.Tensor:
    """Returns the focal loss, summed over the classes: float `[..., A]`.

        alpha_t * (1 - p_t)^gamma * cross entropy, p_t the probability given to the truth

    Logits and targets, 0 or 1, are `[..., A, C]`; weights broadcast against them. Outputs whose
    target is 1 weigh alpha, the others 1 - alpha. The gradient is finite for every finite logit.

    Source: Lin et al., 2017, eq. 5 (https://arxiv.org/abs/1708.02002).
    """
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=logits)
    wrong = logits * (1.0 - 2.0 * targets)  # the logit of 1 - p_t
    modulation = tf.exp(gamma * tf.math.log_sigmoid(wrong))  # unlike a power, smooth at 0
    alphas = targets * alpha + (1.0 - targets) * (1.0 - alpha)
    return tf.reduce_sum(alphas * modulation * losses * weights, axis=-1)


def huber(predictions: tf.Tensor, targets: tf.Tensor, *, delta: float = 1.0) -> tf.Tensor:
    """Returns the Huber loss, summed over the codes of a box: float `[..., A]`.

    Half the square of an error up to `delta`, delta * (|error| - delta / 2) beyond.
    """
    errors = tf.abs(predictions - targets)
    square = tf.minimum(errors, delta)
    return tf.reduce_sum(0.5 * square * square + delta * (errors - square), axis=-1)


def _gather_rows(values: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Returns `[..., A, X]` rows of `[..., M, X]` values; M may be 0."""
    padding = [[0, 0]] * (values.shape.rank - 2) + [[0, 1], [0, 0]]
    return tf.gather(tf.pad(values, padding), rows, batch_dims=rows.shape.rank - 1)
