"""`lstd.VideoDetector` on a model in memory."""

from __future__ import annotations

import numpy as np
import pytest

import lstd
from tests import tiny


def test_detector_on_a_model_carries_the_state_and_follows_the_schedule():
    model = tiny.model(labels=("cat", "dog"))
    detector = lstd.VideoDetector(model, schedule="SKIP1")
    frames = tiny.clip(3, batch=1)[0]

    first = [detector(frame) for frame in frames]
    order = []
    detector.reset()
    again = []
    for frame in frames:
        again.append(detector(frame))
        order.append(detector.last_network)
    detector.reset()
    alone = detector(frames[2])

    assert order == ["large", "small", "large"]
    assert detector.labels == ("cat", "dog")
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.scores, two.scores)
    assert np.abs(alone.scores - first[2].scores).max() > 1e-4  # it remembered


def test_what_is_neither_model_nor_file_is_refused():
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        lstd.VideoDetector("nowhere.tflite")
