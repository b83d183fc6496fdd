import sys

import numpy as np
import pytest

from lstd.base.types import Detections
from lstd.runtime import frame_detections


def _found(*, in_pixels: bool = False, count: int = 2) -> frame_detections.FrameDetections:
    """Returns three rows, the better one second, for a frame of 100 x 200."""
    boxes = [[[-0.5, 0.0, 0.5, 2.0], [0.1, 0.2, 0.3, 0.4], [9, 9, 9, 9]]]
    outputs = {
        "detection_boxes": np.array(boxes, np.float32),
        "detection_classes": np.array([[7.0, 1.0, 5.0]], np.float32),
        "detection_scores": np.array([[0.3, 0.8, 0.9]], np.float32),
        "num_detections": np.array([count], np.float32),
    }
    options = {"rows_per_detection": 1, "frame_size": (100, 200), "labels": ("dog", "cat")}
    options["min_score"] = 0.3
    return frame_detections.of_frame(outputs, **options, in_pixels=in_pixels)


def test_result_is_a_detections_with_names_and_relative_boxes() -> None:
    for found in (_found(), _found(in_pixels=True).relative()):
        assert isinstance(found, Detections)
        boxes, scores, classes, count = found
        expected = [[0.1, 0.2, 0.3, 0.4], [0, 0, 0.5, 1], [0, 0, 0, 0]]
        np.testing.assert_allclose(boxes, expected, atol=1e-7)
        np.testing.assert_allclose(scores, [0.8, 0.3, 0.0])
        np.testing.assert_array_equal(classes, [1, 7, 0])
        assert int(count) == 2
        assert found.names == ["cat", "class 7"]
        assert (found.frame_size, found.in_pixels) == ((100, 200), False)
        assert found.relative() is found
        assert found.min_score == 0.3


@pytest.mark.parametrize("in_pixels", [False, True])
def test_supervision_gets_pixels_x_first_and_names(in_pixels: bool) -> None:
    pytest.importorskip("supervision")
    converted = _found(in_pixels=in_pixels).to_supervision()
    np.testing.assert_allclose(converted.xyxy, [[40, 10, 80, 30], [0, 0, 200, 50]], atol=1e-4)
    np.testing.assert_allclose(converted.confidence, [0.8, 0.3])
    np.testing.assert_array_equal(converted.class_id, [1, 7])
    assert list(converted.data["class_name"]) == ["cat", "class 7"]
    for min_score, count in ((0.0, 2), (0.5, 1), (0.9, 0)):
        assert len(_found().to_supervision(min_score=min_score)) == count
    assert len(_found(count=0).to_supervision()) == 0


def test_without_supervision_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(ImportError, match=r"pip install \"lstd\[tracking\]\""):
        _found().to_supervision()
