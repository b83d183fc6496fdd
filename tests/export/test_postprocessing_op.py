import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import interpreter as litert

from lstd.cli import benchmark
from lstd.export import file_format, postprocessing_op
from lstd.export.postprocessing_op import PostprocessingOptions
from lstd.runtime import tflite_file
from tests.export import oracle

ANCHORS = 20
# Every case that the op tells apart; in all, suppression has work to do.
CASES = {
    "fast": PostprocessingOptions(3, max_detections=5),
    "fast, two classes each": PostprocessingOptions(
        3, max_detections=5, max_classes_per_detection=2, score_threshold=0.6, iou_threshold=0.1
    ),
    "fast, all anchors": PostprocessingOptions(3, max_detections=ANCHORS, iou_threshold=1.0),
    "regular": PostprocessingOptions(
        3, max_detections=8, use_regular_nms=True, score_threshold=0.5, iou_threshold=0.3
    ),
    "regular, few of a class": PostprocessingOptions(
        3, max_detections=5, detections_per_class=2, use_regular_nms=True
    ),
    "regular, one class": PostprocessingOptions(
        1, max_detections=6, detections_per_class=2, use_regular_nms=True, score_threshold=0.2
    ),
}


def _anchors() -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.concatenate(
        [rng.uniform(0.2, 0.8, (ANCHORS, 2)), rng.uniform(0.2, 0.4, (ANCHORS, 2))], axis=1
    ).astype(np.float32)


def _frames(options: PostprocessingOptions) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns encodings and scores of frames: plain, with ties, all equal, nothing, empty boxes."""
    rng = np.random.default_rng(2)
    shape = (ANCHORS, options.num_classes + 1)
    spread = [rng.normal(0, 3, (ANCHORS, 4)) for _ in range(5)]
    spread[4][:7, 2:] = -1000.0  # exp gives 0
    scores = [
        rng.uniform(0, 1, shape),
        rng.integers(0, 5, shape) / 4,
        np.full(shape, 0.75),
        np.zeros(shape),
        rng.uniform(0, 1, shape),
    ]
    return [
        (each.astype(np.float32), score.astype(np.float32))
        for each, score in zip(spread, scores, strict=True)
    ]


def _check(
    outputs: Any, frame: tuple[np.ndarray, np.ndarray], options: PostprocessingOptions
) -> None:
    boxes, classes, scores, count = oracle.detections(*frame, _anchors(), options)
    rows = len(classes)
    assert float(np.asarray(outputs[3])[0]) == count
    np.testing.assert_array_equal(np.asarray(outputs[1])[0, :rows], classes)
    np.testing.assert_array_equal(np.asarray(outputs[2])[0, :rows], np.float32(scores))
    # exp differs in its last bit between the three.
    np.testing.assert_allclose(
        np.asarray(outputs[0])[0, :rows], np.reshape(boxes, [-1, 4]), atol=1e-6
    )


@pytest.mark.parametrize("case", CASES)
def test_body_and_both_interpreters_are_the_slow_numpy_op(case: str, tmp_path: Path) -> None:
    options = CASES[case]
    function, content = postprocessing_op.make(options), _convert(options, tmp_path)
    runners = [
        runtime(model_content=content).get_signature_runner("step")
        for runtime in (litert.Interpreter, tf.lite.Interpreter)
    ]
    for encodings, scores in _frames(options):
        outputs = function(encodings[np.newaxis], scores[np.newaxis], _anchors())
        _check(outputs, (encodings, scores), options)
        rows = len(oracle.detections(encodings, scores, _anchors(), options)[1])
        assert not outputs.scores[0, rows:].numpy().any()
        assert outputs.boxes.shape == (1, options.num_rows, 4)
        for run in runners:
            found = run(encodings=encodings[np.newaxis], scores=scores[np.newaxis])
            _check([found[f"output_{index}"] for index in range(4)], (encodings, scores), options)


def _convert(options: PostprocessingOptions, folder: Path) -> bytes:
    function = postprocessing_op.make(options)

    @tf.function(
        input_signature=[
            tf.TensorSpec([1, ANCHORS, 4], tf.float32, name="encodings"),
            tf.TensorSpec([1, ANCHORS, options.num_classes + 1], tf.float32, name="scores"),
        ]
    )
    def step(encodings: tf.Tensor, scores: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = function(encodings, scores, tf.constant(_anchors()))
        return {f"output_{index}": output for index, output in enumerate(outputs)}

    tf.saved_model.save(tf.Module(), str(folder), signatures={"step": step})
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=["step"])
    converter.allow_custom_ops = True
    return file_format.with_options(
        converter.convert(), postprocessing_op.NAME, postprocessing_op.attributes(options)
    )


def test_two_overlapping_boxes_leave_the_better_one() -> None:
    anchors = np.float32([[0.5, 0.5, 0.4, 0.4], [0.5, 0.52, 0.4, 0.4], [0.1, 0.1, 0.2, 0.2]])
    scores = np.float32([[0.9, 0.3, 0.6], [0.9, 0.7, 0.1], [0.9, 0.2, 0.4]])
    options = PostprocessingOptions(2, max_detections=3)
    found = postprocessing_op.make(options)(np.zeros([1, 3, 4], "f"), scores[None], anchors)
    assert found.num_detections.numpy().tolist() == [2.0]
    np.testing.assert_allclose(found.scores[0], [0.7, 0.4, 0.0])
    np.testing.assert_array_equal(found.classes[0], [0.0, 1.0, 0.0])
    np.testing.assert_allclose(found.boxes[0, 0], [0.3, 0.32, 0.7, 0.72], atol=1e-6)


def test_class_by_class_no_class_is_lost_whatever_the_threads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = PostprocessingOptions(5, max_detections=100, use_regular_nms=True)
    path = tmp_path / "op.tflite"
    path.write_bytes(_convert(options, tmp_path))
    encodings, scores = _frames(options)[0]

    def classes(interpreter: Any) -> set[int]:
        run = interpreter.get_signature_runner("step")
        found = run(encodings=encodings[np.newaxis], scores=scores[np.newaxis])
        return set(found["output_1"][0, : int(found["output_3"][0])].astype(int).tolist())

    for threads in (1, 5, 8):
        assert classes(tflite_file.open_file(path, threads=threads)) == set(range(5))
    for threads in (2, 4):
        raw = litert.Interpreter(model_path=str(path), num_threads=threads)
        assert classes(raw) == set(range(5)) - {threads}, "LiteRT is mended: so is open_file's need"
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("default")
            assert classes(tflite_file.open_file(path, threads=threads)) == set(range(5))
            tflite_file.open_file(path, threads=threads)  # as a command may, which says it once
        assert [f"never report class {threads}," in str(each.message) for each in told] == [True]
    assert benchmark.main([f"--model={path}", "--threads=2"]) == 2  # it says how many threads ran
    assert f"{path} loses a class with 2 threads" in capsys.readouterr().err
