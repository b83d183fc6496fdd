"""Somebody else's detector, scored from a file: a check of the plumbing, never a ranking."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstd.cli import eval as eval_command
from tests.golden.reference import SHARED

_MODEL = SHARED / "data" / "peers" / "ssdlite_mobilenet_v2_coco.tflite"
_VIDEO = SHARED / "data" / "vtest"
_FRAMES = 110  # two blocks of five seconds
_PERSON = 1  # among COCO's 91


def peers_detections() -> list[dict[str, Any]]:
    """Returns what the peer finds, as a COCO results file has it."""
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter
    from PIL import Image

    from lstd.base.types import Predictions
    from lstd.config.model_config import AnchorConfig
    from lstd.media import video
    from lstd.ops import anchors, postprocess

    interpreter = Interpreter(str(_MODEL))
    interpreter.allocate_tensors()
    (image_input,) = interpreter.get_input_details()
    outputs = {len(each["shape"]): each["index"] for each in interpreter.get_output_details()}
    grids = ((19, 19), (10, 10), (5, 5), (3, 3), (2, 2), (1, 1))
    places = anchors.generate(AnchorConfig(num_layers=6), grids=grids, height=300, width=300)

    @tf.function
    def detect(boxes: Any, logits: Any) -> Any:
        return postprocess.detect(
            Predictions(boxes, logits),
            tf.constant(places),
            scale_factors=(10.0, 10.0, 5.0, 5.0),
            score_threshold=0.05,
            iou_threshold=0.6,
            max_detections_per_class=100,
            max_total_detections=100,
        )

    results = []
    for index, frame in zip(range(_FRAMES), video.read_frames(_VIDEO / "vtest.avi"), strict=False):
        height, width = frame.shape[:2]
        small = np.asarray(Image.fromarray(frame).resize((300, 300), Image.Resampling.BILINEAR))
        interpreter.set_tensor(image_input["index"], small[None].astype(np.float32) / 127.5 - 1)
        interpreter.invoke()
        boxes = interpreter.get_tensor(outputs[4])[:, :, 0]
        scores = np.clip(interpreter.get_tensor(outputs[3]), 1e-7, 1 - 1e-7)
        if interpreter.get_tensor(outputs[3]).min() >= 0:  # already sigmoid
            scores = np.log(scores / (1 - scores))
        else:
            scores = interpreter.get_tensor(outputs[3])
        logits = scores[..., [0, _PERSON]]
        found = detect(tf.constant(boxes), tf.constant(logits))
        for row in range(int(found.count[0])):
            ymin, xmin, ymax, xmax = found.boxes[0, row].numpy().astype(float) * [
                height,
                width,
                height,
                width,
            ]
            results.append(
                {
                    "image_id": index + 1,
                    "category_id": 1,
                    "bbox": [xmin, ymin, xmax - xmin, ymax - ymin],
                    "score": float(found.scores[0, row]),
                }
            )
    return results


@pytest.mark.slow
def test_peers_detections_are_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not _MODEL.exists():
        pytest.skip(f"needs {_MODEL}")
    pytest.importorskip("ai_edge_litert")
    pytest.importorskip("av")
    truth = json.loads((_VIDEO / "annotations_frames_0_599.json").read_text())
    kept = [image for image in truth["images"] if image["frame_id"] < _FRAMES]
    ids = {image["id"] for image in kept}
    annotations = [each for each in truth["annotations"] if each["image_id"] in ids]
    (tmp_path / "truth.json").write_text(
        json.dumps({**truth, "images": kept, "annotations": annotations})
    )
    found = peers_detections()
    (tmp_path / "found.json").write_text(json.dumps(found))
    sure = [each for each in found if each["score"] > 0.5]
    (tmp_path / "sure.json").write_text(json.dumps(sure))

    code = eval_command.main(
        [
            f"--detections={tmp_path / 'found.json'}",
            f"--annotations={tmp_path / 'truth.json'}",
            "--metrics=coco,vid,flicker,confusion,sap",
            "--latency=large=150",
            f"--against={tmp_path / 'sure.json'}",
            "--draws=20",
            f"--output_directory={tmp_path}",
        ]
    )

    printed = capsys.readouterr()
    assert code == 0, printed.err
    numbers = json.loads((tmp_path / "results.json").read_text())["results"]
    assert numbers["frames"] == _FRAMES
    # A model of this family made the labels, on tiles: it finds the large ones among them.
    assert 0.2 < numbers["coco/ap50"] < 1
    assert numbers["sap/ap50"] < numbers["coco/ap50"] + 0.02
    assert 0 <= numbers["flicker/rate"] <= 1
    compared = json.loads((tmp_path / "comparison.json").read_text())["schedules"]["detections"]
    assert compared["units"] == "2 blocks of at least 5 s from 1 video (fewer than ten videos)"
    # Fewer detections cannot have more recall.
    recall = compared["differences"]["coco/ar100"]
    assert recall["other"] <= recall["one"]
