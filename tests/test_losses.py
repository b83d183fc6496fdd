"""The detection loss; the golden numbers are in tests/golden/test_losses.py."""

import json
import math

import numpy as np
import pytest
import tensorflow as tf

from lstd.base.types import GroundTruth, Predictions
from lstd.config.model_config import HardNegativeConfig, LossConfig, MatchingConfig, ModelConfig
from lstd.losses import DetectionLoss, focal, huber
from lstd.ops import anchors as anchor_ops

LN2 = math.log(2.0)
QUARTERS = np.array(
    [[0, 0, 0.5, 0.5], [0, 0.5, 0.5, 1], [0.5, 0, 1, 0.5], [0.5, 0.5, 1, 1]], np.float32
)
"""Four anchors that do not overlap."""


def _loss(**settings: object) -> DetectionLoss:
    return DetectionLoss(**{"anchors": QUARTERS, "num_classes": 2, **settings})


def _mining(**settings: object) -> DetectionLoss:
    return _loss(hard_negatives=HardNegativeConfig(**settings))


def _truth(boxes: object, classes: object) -> GroundTruth:
    return GroundTruth(tf.constant(boxes, tf.float32), tf.constant(classes, tf.int32))


NO_TRUTH = GroundTruth(tf.zeros([1, 0, 4]), tf.zeros([1, 0], tf.int32))
ONE_OBJECT = _truth([[QUARTERS[2]]], [[1]])
ZEROS = Predictions(tf.zeros([1, 4, 4]), tf.zeros([1, 4, 3]))


def _random(seed: int, *leading: int) -> tuple[GroundTruth, Predictions]:
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.uniform(0, 1, [*leading, 3, 2, 2]), axis=-2).reshape([*leading, 3, 4])
    truth = _truth(corners, rng.integers(-1, 2, [*leading, 3]))
    encodings = tf.constant(rng.normal(size=[*leading, 4, 4]), tf.float32)
    return truth, Predictions(encodings, tf.constant(rng.normal(size=[*leading, 4, 3]), tf.float32))


# Parts


def test_huber_is_square_up_to_delta_and_linear_beyond() -> None:
    errors = tf.constant([[0.5, -1.0, 3.0, 0.0]])
    np.testing.assert_allclose(huber(errors, tf.zeros([1, 4])), [0.125 + 0.5 + 2.5])
    np.testing.assert_allclose(huber(errors, tf.zeros([1, 4]), delta=2.0), [0.125 + 0.5 + 4.0])


def test_focal_loss_of_a_logit_worked_out_by_hand() -> None:
    probability = 1 / (1 + math.exp(-1.5))
    hit = 0.25 * (1 - probability) ** 2 * -math.log(probability)
    miss = 0.75 * probability**2 * -math.log(1 - probability)
    made = focal(tf.constant([[1.5], [1.5]]), tf.constant([[1.0], [0.0]]))
    np.testing.assert_allclose(made, [hit, miss], rtol=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss_of_extreme_logits_has_a_finite_gradient(gamma: float) -> None:
    logits = tf.constant([[-1e4], [-100.0], [0.0], [100.0], [1e4]])
    for target in (0.0, 1.0):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            losses = focal(logits, tf.fill([5, 1], target), gamma=gamma)
        assert np.isfinite(losses).all()
        assert np.isfinite(tape.gradient(losses, logits)).all()


# Targets


def test_targets_of_an_object_that_is_its_anchor() -> None:
    targets = _loss().targets(ONE_OBJECT)
    np.testing.assert_array_equal(targets.matches, [[-1, -1, 0, -1]])
    np.testing.assert_array_equal(targets.box_weights, [[0, 0, 1, 0]])
    np.testing.assert_array_equal(targets.box_encodings, np.zeros([1, 4, 4]))
    background, object_ = [1, 0, 0], [0, 0, 1]
    np.testing.assert_array_equal(
        targets.class_targets, [[background, background, object_, background]]
    )
    np.testing.assert_array_equal(targets.class_weights, np.ones([1, 4, 3]))


def test_without_objects_everything_is_background() -> None:
    for truth in (NO_TRUTH, _truth(np.zeros([1, 2, 4]), [[-1, -1]])):
        targets = _loss().targets(truth)
        np.testing.assert_array_equal(targets.matches, [[-1] * 4])
        np.testing.assert_array_equal(targets.class_targets[..., 0], [[1] * 4])
        assert not targets.box_weights.numpy().any()


def test_ignored_anchors_have_no_weight() -> None:
    truth = _truth([[[0.0, 0.0, 0.5, 0.8]]], [[0]])  # IoU 0.625 and 0.28 with anchors 0 and 1
    loss = _loss(unmatched_threshold=0.2)
    targets = loss.targets(truth)
    np.testing.assert_array_equal(targets.matches, [[0, -2, -1, -1]])
    np.testing.assert_array_equal(loss.mined(truth, ZEROS).selected, [[True, False, True, True]])
    np.testing.assert_array_equal(targets.class_weights[0, :, 0], [1, 0, 1, 1])
    np.testing.assert_array_equal(targets.box_weights, [[1, 0, 0, 0]])


def test_crowds_are_no_objects_and_background_within_them_is_ignored() -> None:
    boxes = [[QUARTERS[2], [0.0, 0.0, 0.5, 0.75], [0.5, 0.0, 1.0, 1.0]]]  # half of anchor 1
    truth = _truth(boxes, [[1, -1, 0]])._replace(is_crowd=tf.constant([[False, True, True]]))
    loss = _loss()
    np.testing.assert_array_equal(loss.targets(truth).matches, [[-2, -2, 0, -2]])
    np.testing.assert_array_equal(loss.mined(truth, ZEROS).selected, [[False, False, True, False]])
    padding = truth._replace(is_crowd=tf.constant([[False, False, False]]))
    np.testing.assert_array_equal(loss.targets(padding).matches, [[-1, -1, 0, 2]])


def test_a_class_beyond_the_model_is_refused() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="below num_classes 2"):
        _loss().targets(_truth([[QUARTERS[0]]], [[2]]))


# Mining


def test_a_frame_without_positives_contributes_nothing() -> None:
    loss = _mining()
    assert not loss.mined(NO_TRUTH, ZEROS).selected.numpy().any()
    assert loss(NO_TRUTH, ZEROS) == 0.0


@pytest.mark.parametrize(
    ("loss_type", "order"),
    [("classification", [1, 0, 2, 3]), ("localization", [2, 0, 1, 3]), ("both", [2, 1, 0, 3])],
)
def test_loss_type_decides_what_is_hard(loss_type: str, order: list[int]) -> None:
    encodings, logits = np.zeros([1, 4, 4], np.float32), np.zeros([1, 4, 3], np.float32)
    logits[0, :, 0] = [0.0, -2.0, 0.0, 2.0]
    encodings[0, 2, 0] = 5.0
    mined = _mining(loss_type=loss_type).mined(ONE_OBJECT, Predictions(encodings, logits))
    np.testing.assert_array_equal(mined.order, [order])


# The loss


def test_loss_worked_out_by_hand() -> None:
    truth = _truth([[QUARTERS[0], QUARTERS[3]]], [[0, 1]])
    encodings = np.zeros([1, 4, 4], np.float32)
    encodings[0, 0] = [0.5, 0.0, 0.0, 3.0]  # Huber 0.125 + 2.5
    components = _loss().components(truth, Predictions(encodings, ZEROS.class_logits))
    assert set(components) == {"localization", "classification"}
    np.testing.assert_allclose(components["localization"], 4 * 2.625 / 2, rtol=1e-6)
    np.testing.assert_allclose(components["classification"], 12 * LN2 / 2, rtol=1e-6)
    total = _loss()(truth, Predictions(encodings, ZEROS.class_logits))
    np.testing.assert_allclose(total, 5.25 + 6 * LN2, rtol=1e-6)


def test_weights_and_normaliser_are_settings() -> None:
    loss = _loss(classification_weight=0.5, localization_weight=2.0, normalize_by_num_matches=False)
    truth = _truth([[QUARTERS[0], QUARTERS[3]]], [[0, 1]])
    predictions = Predictions(tf.ones([1, 4, 4]), tf.zeros([1, 4, 3]))
    components = loss.components(truth, predictions)
    np.testing.assert_allclose(components["localization"], 2.0 * 2 * 4 * 0.5, rtol=1e-6)
    np.testing.assert_allclose(components["classification"], 0.5 * 12 * LN2, rtol=1e-6)


def test_focal_loss_is_used_when_asked_for() -> None:
    made = _loss(classification="focal").components(ONE_OBJECT, ZEROS)["classification"]
    # Four hits of weight 0.25 and eight misses of weight 0.75, at a probability of a half.
    np.testing.assert_allclose(made, (4 * 0.25 + 8 * 0.75) * 0.25 * LN2, rtol=1e-6)


def test_normaliser_is_one_number_over_all_frames() -> None:
    truth = _truth([[QUARTERS[0], QUARTERS[3]], [QUARTERS[1], [0] * 4]], [[0, 1], [0, -1]])
    predictions = Predictions(tf.zeros([2, 4, 4]), tf.zeros([2, 4, 3]))
    np.testing.assert_allclose(_loss()(truth, predictions), 24 * LN2 / 3, rtol=1e-6)


@pytest.mark.parametrize("hard_negatives", [None, HardNegativeConfig()])
def test_frames_of_padding_are_in_no_sum(hard_negatives: HardNegativeConfig | None) -> None:
    loss = _loss(hard_negatives=hard_negatives)
    truth, predictions = _random(3, 2, 4)
    real = tf.constant([[True, True, False, False], [False] * 4])

    def shown(values: tf.Tensor) -> tf.Tensor:
        return values[:1, :2]

    alone = loss.sums(GroundTruth(*map(shown, truth[:2])), Predictions(*map(shown, predictions)))
    padded = loss.sums(truth, predictions, real=real)

    assert float(alone.matches) > 0
    for ours, wanted, all_frames in zip(padded, alone, loss.sums(truth, predictions), strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=1e-6)
        assert float(all_frames) > 1.5 * float(wanted)
    for name, value in loss.components(truth, predictions, real=real).items():
        np.testing.assert_allclose(value, loss.normalized(alone)[name], rtol=1e-6)


def test_loss_of_nothing_but_padding_is_zero() -> None:
    truth, predictions = _random(3, 2, 4)
    parts = _mining().components(truth, predictions, real=tf.zeros([2, 4], tf.bool))
    assert [float(part) for part in parts.values()] == [0.0, 0.0]


def test_normaliser_counts_positives_that_mining_suppresses() -> None:
    # Both anchors predict the same box: one is suppressed, but two are counted.
    truth = _truth([[QUARTERS[0], QUARTERS[1]]], [[0, 0]])
    encodings = np.zeros([1, 4, 4], np.float32)
    encodings[0, 1, 1] = -10.0  # anchor 1 moved left onto anchor 0
    logits = np.zeros([1, 4, 3], np.float32)
    logits[0, 1] = [1.0, -1.0, 1.0]  # its loss is the larger one
    loss = _mining()
    mined = loss.mined(truth, Predictions(encodings, logits))
    np.testing.assert_array_equal(mined.selected[0, :2], [False, True])
    np.testing.assert_allclose(
        loss.components(truth, Predictions(encodings, logits))["localization"], 4 * 9.5 / 2
    )


@pytest.mark.parametrize("hard_negatives", [None, HardNegativeConfig()])
def test_frames_and_clips_give_the_same(hard_negatives: HardNegativeConfig | None) -> None:
    loss = _loss(hard_negatives=hard_negatives, unmatched_threshold=0.3)
    truth, predictions = _random(3, 2, 3)
    flat_truth = GroundTruth(tf.reshape(truth.boxes, [6, 3, 4]), tf.reshape(truth.classes, [6, 3]))
    flat = Predictions(*(tf.reshape(x, [6, *x.shape[2:]]) for x in predictions))
    np.testing.assert_allclose(loss(truth, predictions), loss(flat_truth, flat), rtol=1e-6)
    for clip, frames in zip(
        loss.mined(truth, predictions), loss.mined(flat_truth, flat), strict=True
    ):
        np.testing.assert_array_equal(tf.reshape(clip, frames.shape), frames)
    for clip, frames in zip(loss.targets(truth), loss.targets(flat_truth), strict=True):
        np.testing.assert_array_equal(tf.reshape(clip, frames.shape), frames)


def test_graph_of_unknown_shapes_equals_eager() -> None:
    loss = _mining()
    truth, predictions = _random(4, 2, 3)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, None, 4]),
            tf.TensorSpec([None, None, None], tf.int32),
            tf.TensorSpec([None, None, 4, 4]),
            tf.TensorSpec([None, None, 4, 3]),
        ]
    )
    def compute(*args: tf.Tensor) -> tf.Tensor:
        return loss(GroundTruth(*args[:2]), Predictions(*args[2:]))

    made = compute(truth.boxes, truth.classes, *predictions)
    np.testing.assert_allclose(made, loss(truth, predictions), rtol=1e-6)
    no_rows = compute(truth.boxes[:, :, :0], truth.classes[:, :, :0], *predictions)
    assert no_rows == 0.0


def test_half_precision_predictions_give_a_single_precision_loss() -> None:
    truth, predictions = _random(6, 4)
    for dtype in (tf.bfloat16, tf.float16):
        half = Predictions(*(tf.cast(x, dtype) for x in predictions))
        again = Predictions(*(tf.cast(x, tf.float32) for x in half))
        loss = _mining()(truth, half)
        assert loss.dtype == tf.float32
        assert loss == _mining()(truth, again)


def test_gradient_flows_only_through_selected_anchors() -> None:
    loss, logits = _mining(max_negatives_per_positive=1.0), np.zeros([1, 4, 3], np.float32)
    logits[0, 3, 0] = -1.0
    predictions = Predictions(tf.ones([1, 4, 4]), tf.constant(logits))
    with tf.GradientTape() as tape:
        tape.watch(predictions)
        value = loss(ONE_OBJECT, predictions)
    by_encodings, by_logits = tape.gradient(value, predictions)
    selected = loss.mined(ONE_OBJECT, predictions).selected
    np.testing.assert_array_equal(selected, [[False, False, True, True]])
    np.testing.assert_array_equal(by_logits.numpy().any(axis=-1), selected)
    np.testing.assert_array_equal(by_encodings.numpy().any(axis=-1), [[False, False, True, False]])


@pytest.mark.parametrize("classification", ["sigmoid", "focal"])
def test_gradients_are_finite_for_empty_boxes_no_objects_and_extreme_predictions(
    classification: str,
) -> None:
    loss = _loss(classification=classification, hard_negatives=HardNegativeConfig())
    empty = _truth([[[0.3, 0.3, 0.3, 0.3]], [[0.0] * 4], [QUARTERS[1]]], [[0], [-1], [1]])
    predictions = Predictions(
        tf.fill([3, 4, 4], 600.0), tf.constant(np.resize([-200.0, 200.0], [3, 4, 3]), tf.float32)
    )  # exp(120) is beyond float32
    for truth in (empty, GroundTruth(empty.boxes[:, :0], empty.classes[:, :0])):
        with tf.GradientTape() as tape:
            tape.watch(predictions)
            value = loss(truth, predictions)
        assert np.isfinite(value)
        for gradient in tape.gradient(value, predictions):
            assert np.isfinite(gradient).all()


def test_loss_of_no_frames_is_zero() -> None:
    truth = GroundTruth(tf.zeros([0, 2, 4]), tf.zeros([0, 2], tf.int32))
    assert _mining()(truth, Predictions(tf.zeros([0, 4, 4]), tf.zeros([0, 4, 3]))) == 0.0


def test_a_loss_that_does_not_fit_the_model_says_so() -> None:
    with pytest.raises(ValueError, match=r"class_logits must have shape .* 4, 3\] .*background"):
        _loss()(ONE_OBJECT, Predictions(tf.zeros([1, 4, 4]), tf.zeros([1, 4, 5])))
    with pytest.raises(ValueError, match=r"box_encodings must have shape .*codes"):
        _loss()(ONE_OBJECT, Predictions(tf.zeros([1, 5, 4]), tf.zeros([1, 5, 3])))
    told = r"^DetectionLoss: classification: input should be 'sigmoid' or 'focal', got \"softmax\"$"
    with pytest.raises(ValueError, match=told):
        _loss(classification="softmax")
    with pytest.raises(ValueError, match="unknown key 'focal_gama'; did you mean 'focal_gamma'"):
        _loss(focal_gama=1.0)


def test_from_config_takes_every_setting() -> None:
    config = ModelConfig(
        num_classes=7,
        input_height=64,
        input_width=96,
        box_scale_factors=(1.0, 2.0, 3.0, 4.0),
        matching=MatchingConfig(0.6, 0.4, force_match=False),
        loss=LossConfig(
            classification="focal",
            focal_alpha=0.3,
            focal_gamma=1.5,
            classification_weight=2.0,
            localization_weight=3.0,
            huber_delta=0.5,
            normalize_by_num_matches=False,
            hard_negatives=None,
        ),
    )
    made = DetectionLoss.from_config(config)
    np.testing.assert_array_equal(made.anchors, anchor_ops.from_config(config))
    assert (made.num_classes, made.scale_factors) == (7, (1.0, 2.0, 3.0, 4.0))
    assert (made.matching, made.settings) == (config.matching, config.loss)
    again = DetectionLoss.from_config(json.loads(json.dumps(made.get_config())))
    assert again.get_config() == made.get_config()
    assert DetectionLoss.from_config(ModelConfig()).settings == LossConfig()
    bare = DetectionLoss(anchors=QUARTERS, num_classes=2)
    assert (bare.matching, bare.settings) == (MatchingConfig(), LossConfig(hard_negatives=None))
