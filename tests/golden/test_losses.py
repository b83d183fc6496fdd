"""The detection loss against a training step of the original."""

from typing import Any

import numpy as np
import pytest

from lstd.base.types import GroundTruth, Predictions
from lstd.config.model_config import HardNegativeConfig
from lstd.losses import DetectionLoss, huber, sigmoid_cross_entropy
from tests.golden.reference import arrays, reference, reference_names


@pytest.fixture(params=reference_names("*_train.npz"))
def golden(request: pytest.FixtureRequest) -> dict[str, np.ndarray]:
    return arrays(reference(request.param))


def loss_of(golden: dict[str, np.ndarray]) -> DetectionLoss:
    num_classes = golden["class_predictions_with_background"].shape[-1] - 1
    return DetectionLoss(
        anchors=golden["anchors"], num_classes=num_classes, hard_negatives=HardNegativeConfig()
    )


def ground_truth_of(golden: dict[str, np.ndarray]) -> GroundTruth:
    num_frames = len(golden["match"])
    rows = max(len(golden[f"gt_classes_{frame}"]) for frame in range(num_frames)) + 2
    boxes = np.full([num_frames, rows, 4], -1.0, np.float32)
    classes = np.full([num_frames, rows], -1, np.int32)
    for frame in range(num_frames):
        count = len(golden[f"gt_classes_{frame}"])
        boxes[frame, :count] = golden[f"gt_boxes_{frame}"]
        classes[frame, :count] = golden[f"gt_classes_{frame}"] - 1
    return GroundTruth(boxes, classes)


def predictions_of(golden: dict[str, np.ndarray]) -> Predictions:
    return Predictions(golden["box_encodings"], golden["class_predictions_with_background"])


def test_matches_targets_and_weights_equal_the_original(golden: dict[str, np.ndarray]) -> None:
    targets = loss_of(golden).targets(ground_truth_of(golden))
    np.testing.assert_array_equal(targets.matches, golden["match"])
    np.testing.assert_array_equal(targets.class_targets, golden["cls_targets"])
    np.testing.assert_array_equal(targets.class_weights, golden["cls_weights"])
    np.testing.assert_array_equal(targets.box_weights, golden["reg_weights"])
    # Logarithms of another kernel library, times 5: a few units in the last place.
    np.testing.assert_allclose(targets.box_encodings, golden["reg_targets"], rtol=2e-6, atol=5e-6)


def test_losses_of_every_anchor_equal_the_original(golden: dict[str, np.ndarray]) -> None:
    targets = loss_of(golden).targets(ground_truth_of(golden))
    predictions = predictions_of(golden)
    classification = sigmoid_cross_entropy(predictions.class_logits, targets.class_targets)
    localization = huber(predictions.box_encodings, targets.box_encodings) * targets.box_weights
    np.testing.assert_allclose(classification, golden["cls_losses"], rtol=2e-6)
    # Inherits the difference of the targets.
    np.testing.assert_allclose(localization, golden["loc_losses"], rtol=2e-6, atol=1e-5)


def _count(flags: Any) -> np.ndarray:
    return np.sum(flags, axis=-1)


def test_mined_anchors_equal_the_original(golden: dict[str, np.ndarray]) -> None:
    loss, truth = loss_of(golden), ground_truth_of(golden)
    mined = loss.mined(truth, predictions_of(golden))
    positive = loss.targets(truth).matches >= 0
    np.testing.assert_array_equal(_count(mined.selected & positive), golden["num_positives"])
    np.testing.assert_array_equal(_count(mined.selected & ~positive), golden["num_negatives"])
    for frame, (order, selected) in enumerate(
        zip(mined.order.numpy(), mined.selected.numpy(), strict=True)
    ):
        survived = order[order >= 0]
        np.testing.assert_array_equal(survived, golden[f"nms_selected_{frame}"])
        np.testing.assert_array_equal(
            survived[selected[survived]], golden[f"mined_indices_{frame}"]
        )
        assert selected.sum() == len(golden[f"mined_indices_{frame}"])


def test_loss_equals_the_original(golden: dict[str, np.ndarray]) -> None:
    loss, truth, predictions = loss_of(golden), ground_truth_of(golden), predictions_of(golden)
    components = loss.components(truth, predictions)
    # Sums of a few hundred float32 numbers; on the machine where this was written they are equal.
    for name in ("localization", "classification"):
        np.testing.assert_allclose(components[name], golden[f"{name}_loss"], rtol=1e-6)
    total = golden["localization_loss"] + golden["classification_loss"]
    np.testing.assert_allclose(loss(truth, predictions), total, rtol=1e-6)
