"""Every form that lstd-export writes, in the detector."""

from pathlib import Path

import numpy as np
import pytest

from lstd.export.saved_model import export_saved_model
from lstd.runtime.detector import VideoDetector
from tests.export import exports
from tests.export.tiny_model import TinyModel, images

FRAMES = images(4).astype(np.uint8)


def _scores(name: str, frames: np.ndarray) -> list[np.ndarray]:
    """Returns the scores of one entry point of the model, frame by frame, its state carried."""
    found = exports.stream(exports.module(max_detections=10), [name] * len(frames), frames)
    return [one["detection_scores"][0, : int(one["num_detections"][0])] for one in found]


@pytest.mark.parametrize(("network", "input_type"), [("large", "float32"), ("small", "uint8")])
def test_a_network_alone_runs_on_every_frame(network: str, input_type: str) -> None:
    path = exports.file(network=network, input_type=input_type)
    detector = VideoDetector(path)
    assert detector.networks == (network,)
    assert detector.schedule == network.upper()
    assert detector.input_shape == (32, 64, 3)
    for frame, expected in zip(FRAMES, _scores(network, FRAMES), strict=True):
        found = detector(frame)
        np.testing.assert_allclose(found.scores[: int(found.count)], expected, atol=1e-4)
        assert detector.last_network == network
    with pytest.raises(
        ValueError, match=f"SKIP3 needs a large and a small .*say {network.upper()}"
    ):
        VideoDetector(path, schedule="SKIP3")
    with pytest.raises(ValueError, match="async mode needs a large and a small network"):
        VideoDetector(path, mode="async")


def test_small_alone_as_a_saved_model(tmp_path: Path) -> None:
    export_saved_model(TinyModel(), tmp_path / "a", network="small", input_type="uint8")
    found = VideoDetector(tmp_path / "a")(FRAMES[0])
    expected = _scores("small", FRAMES[:1])[0]
    np.testing.assert_allclose(found.scores[: int(found.count)], expected, atol=1e-5)


def test_a_clip_is_refused_in_a_sentence() -> None:
    with pytest.raises(ValueError, match=r"tiny\.tflite: this was exported with --signature clip"):
        VideoDetector(exports.file(signature="clip", unroll_length=2))
