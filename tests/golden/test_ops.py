"""The pure functions against numbers of the original."""

import json
from pathlib import Path

import numpy as np
import pytest

from lstd.base.types import Predictions
from lstd.config.model_config import AnchorConfig, ModelConfig
from lstd.ops import anchors, boxes, images, postprocess
from tests.golden.reference import arrays, reference, reference_names

ANCHOR_CASES = json.loads(reference("anchors.json").read_text())
SHIPPED_POSTPROCESSING = {
    "scale_factors": (10.0, 10.0, 5.0, 5.0),
    "score_threshold": -20.0,
    "iou_threshold": 0.5,
    "max_detections_per_class": 100,
    "max_total_detections": 100,
}


def _eval_files() -> list[str]:
    names = reference_names("*_eval_*.npz")
    return [name for name in names if not name.endswith("_eval_common.npz")]


def _check_detections(path: Path, all_anchors: np.ndarray) -> None:
    golden = arrays(path)
    predictions = Predictions(golden["box_encodings"], golden["class_predictions_with_background"])
    found = postprocess.detect(predictions, all_anchors, **SHIPPED_POSTPROCESSING)
    np.testing.assert_array_equal(found.classes, golden["post_detection_classes"])
    np.testing.assert_array_equal(found.count, golden["post_num_detections"])
    # Sigmoid and exp of another kernel library: one or two units in the last place.
    np.testing.assert_allclose(found.boxes, golden["post_detection_boxes"], rtol=0, atol=5e-7)
    np.testing.assert_allclose(found.scores, golden["post_detection_scores"], rtol=0, atol=5e-7)


@pytest.mark.parametrize("case", ANCHOR_CASES)
def test_anchors_equal_the_original_bit_for_bit(case: str) -> None:
    description = ANCHOR_CASES[case]
    height, width = description["image_hw"]
    settings, grids = AnchorConfig(**description["settings"]), description["grids"]
    made = anchors.generate(settings, grids=grids, height=height, width=width)
    golden = arrays(reference("anchors.npz"))
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made, golden[f"{case}/boxes"])
    # The centre form is a difference of float32 corners: a unit in the last place of 1.5.
    center_size = boxes.to_center_size(made)
    np.testing.assert_allclose(center_size, golden[f"{case}/center_size"], rtol=0, atol=2e-7)


@pytest.mark.parametrize("case", ANCHOR_CASES)
def test_anchor_specs_equal_the_original(case: str) -> None:
    specs = anchors.box_specs(AnchorConfig(**ANCHOR_CASES[case]["settings"]))
    assert [[list(spec) for spec in layer] for layer in specs] == ANCHOR_CASES[case]["box_specs"]


@pytest.mark.parametrize("name", reference_names("*_eval_common.npz"))
def test_anchors_of_a_model_equal_the_original(name: str) -> None:
    golden = arrays(reference(name), "anchors")
    meta = json.loads(reference(name.replace("_eval_common.npz", "_meta.json")).read_text())
    side = meta["meta"]["size"]
    grids = anchors.grids_of(ModelConfig(input_height=side, input_width=side))
    made = anchors.generate(AnchorConfig(), grids=grids, height=side, width=side)
    np.testing.assert_array_equal(made, golden["anchors"])


def _resize_cases() -> list[str]:
    return [key.split("/")[0] for key in arrays(reference("resize.npz")) if key.endswith("/image")]


@pytest.mark.parametrize("case", _resize_cases())
def test_resize_equals_the_original_bit_for_bit(case: str) -> None:
    golden = arrays(reference("resize.npz"))
    expected = golden[f"{case}/resized"]
    for dtype in (np.uint8, np.float32):
        image = golden[f"{case}/image"].astype(dtype)[np.newaxis]
        np.testing.assert_array_equal(images.resize(image, *expected.shape[:2])[0], expected)


@pytest.mark.parametrize("name", _eval_files())
def test_detections_of_every_variant_equal_the_original(name: str) -> None:
    path = reference(name)
    common = reference(name.split("_eval_")[0] + "_eval_common.npz")
    _check_detections(path, arrays(common, "anchors")["anchors"])


@pytest.mark.parametrize("name", reference_names("*_eval_common.npz"))
def test_preprocessing_equals_the_original(name: str) -> None:
    golden = arrays(reference(name))
    if "preprocessed" not in golden:
        pytest.skip(f"{name} has no preprocessed frames")
    expected = golden["preprocessed"]
    made = images.normalize(images.resize(golden["video"], *expected.shape[1:3]))
    # x * 2 / 255 - 1 may be one fused operation there: half a unit in the last place of 1.
    np.testing.assert_allclose(made, expected, rtol=0, atol=1.2e-7)


@pytest.mark.parametrize("name", reference_names("iv2_*_eval_common.npz"))
def test_input_of_the_small_network_is_every_second_pixel(name: str) -> None:
    golden = arrays(reference(name))
    if "preprocessed" not in golden:
        pytest.skip(f"{name} has no preprocessed frames")
    made = images.half_resolution(golden["preprocessed"][:1])
    np.testing.assert_array_equal(made, golden["frame0/low_res"])
