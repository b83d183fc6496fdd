from functools import partial
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from lstd.base.export_names import DETECTION_OUTPUTS, RAW_OUTPUTS
from lstd.config.model_config import PostprocessingConfig
from lstd.export import compare, postprocessing_op
from lstd.export.compare import ExportCheckError, Rows
from lstd.export.form import Form
from lstd.export.module import ExportModule
from lstd.export.postprocessing_op import PostprocessingOptions
from tests.export import exports, oracle
from tests.export.tiny_model import TinyModel

FAST = PostprocessingOptions(3, max_detections=5, iou_threshold=0.05)
REGULAR = FAST._replace(use_regular_nms=True, detections_per_class=2)
TWO = FAST._replace(max_classes_per_detection=2)
BOX, OTHER = [0.1, 0.1, 0.5, 0.5], [0.4, 0.4, 0.9, 0.9]


def _rows(boxes: list[list[float]], classes: list[int], scores: list[float]) -> Rows:
    return Rows(np.reshape(np.float32(boxes), [-1, 4]), np.int64(classes), np.float32(scores))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (_rows([BOX, OTHER], [0, 1], [0.9, 0.8]), (0.0, 0.0)),
        (_rows([BOX], [0], [0.9]), (np.inf, np.inf)),
        (_rows([BOX, OTHER], [0, 2], [0.9, 0.8]), (np.inf, np.inf)),
        (_rows([BOX, OTHER], [0, 1], [0.9, 0.8002]), (0.0, 0.0002)),
        (_rows([BOX, [0.4, 0.4, 0.9, 0.9002]], [0, 1], [0.9, 0.8]), (0.0002, 0.0)),
    ],
)
def test_a_missing_row_class_score_or_box_is_found(
    changed: Rows, expected: tuple[float, float]
) -> None:
    found = compare.rows_differ(_rows([BOX, OTHER], [0, 1], [0.9, 0.8]), changed)
    assert found == pytest.approx(expected, abs=1e-6)
    assert compare.rows_differ(_rows([], [], []), _rows([], [], [])) == (0.0, 0.0)


def _frame(options: PostprocessingOptions, *, seed: int, scores: Any = None) -> dict[str, Any]:
    """Returns a frame's raw outputs, with the detections that the slow op makes of them."""
    rng = np.random.default_rng(seed)
    anchors = np.concatenate([rng.uniform(0.2, 0.8, (30, 2)), rng.uniform(0.2, 0.4, (30, 2))], 1)
    scores = rng.uniform(0, 1, (30, 4)) if scores is None else scores
    raw = [each.astype(np.float32) for each in (np.zeros([1, 30, 4]), scores[None], anchors)]
    outputs = dict(zip(RAW_OUTPUTS, raw, strict=True))
    boxes, classes, found, count = oracle.detections(raw[0][0], raw[1][0], anchors, options)
    return {**outputs, **_detections(_rows(boxes, classes, found), count)}


def _detections(rows: Rows, count: int) -> dict[str, np.ndarray]:
    values = *(part[np.newaxis] for part in rows), np.float32([count])
    return dict(zip(DETECTION_OUTPUTS, values, strict=True))


@pytest.mark.parametrize("options", [FAST, REGULAR, TWO])
def test_a_list_is_right_if_it_is_what_suppression_makes_of_the_raw_output(
    options: PostprocessingOptions,
) -> None:
    assert compare.is_consistent(_frame(options, seed=0, scores=np.full((30, 4), 0.5)), options)
    for seed in range(3):
        frame = _frame(options, seed=seed)
        assert compare.is_consistent(frame, options)
        rows = compare.rows_of(frame, options)
        step = options.max_classes_per_detection
        wrong = {
            "nothing found": _rows([], [], []),
            "the best is missing": Rows(*(part[step:] for part in rows)),
            "the last is missing": Rows(*(part[:-step] for part in rows)),
            "wrong order": Rows(*(np.concatenate([part[step:], part[:step]]) for part in rows)),
            "wrong classes": rows._replace(classes=(rows.classes + 1) % 3),
            "a class that is not": rows._replace(classes=rows.classes + 3),
            "shifted boxes": rows._replace(boxes=rows.boxes + np.float32(0.01)),
            "other scores": rows._replace(scores=rows.scores * np.float32(0.99)),
        }
        for what, changed in wrong.items():
            told = _detections(changed, len(changed.scores) // step)
            assert not compare.is_consistent({**frame, **told}, options), what


def test_near_equal_scores_may_fall_otherwise_where_all_else_is_equal() -> None:
    """Of scores that are all the same, noise decides which of the boxes are returned."""
    model = TinyModel()
    model.classes.assign(model.classes * 0)
    model.anchors[0] = 0.0, 0.0, 400.0, 400.0  # in parts of which no other box is far off
    module = exports.module(model)

    def noisy(entry_point: str, *, boxes: float = 0, scores: float = 0, **inputs: Any) -> Any:
        outputs = module.raw_outputs(entry_point, **inputs)
        noise = np.random.default_rng(0).uniform(-2e-6, 2e-6, outputs[RAW_OUTPUTS[1]].shape)
        outputs[RAW_OUTPUTS[1]] += noise.astype(np.float32) + np.float32(scores)
        outputs[RAW_OUTPUTS[0]][:, 1:] += np.float32(boxes)
        raw = (outputs[name] for name in RAW_OUTPUTS)
        found = postprocessing_op.make(module.options)(*raw)
        return {**outputs, **{n: v.numpy() for n, v in zip(DETECTION_OUTPUTS, found, strict=True)}}

    found = compare.compare_streams(module, noisy, where="the test")
    assert 0 < found["detection_scores"] < 3e-6
    for wrong in ({"scores": 2e-4}, {"boxes": 0.1}):
        with pytest.raises(ExportCheckError, match=f"detection_{next(iter(wrong))}"):
            compare.compare_streams(module, partial(noisy, **wrong), where="the test")


def test_a_difference_counts_in_parts_of_values_above_one() -> None:
    assert compare.differ(np.float32([100.0, 0.0]), np.float32([101.0, 0.0])) == 0.01
    assert compare.differ(np.float32([0.1]), np.float32([0.2])) == pytest.approx(0.1)
    assert compare.differ(np.zeros(2), np.array([0.0, np.nan])) == np.inf
    assert compare.differ(np.zeros(2), np.zeros(3)) == np.inf


def test_pattern_image_is_the_one_that_the_metadata_describe() -> None:
    image = compare.pattern_image(2, (2, 3, 1))
    expected = [((n + 2000006) * 2654435761 % 2**32) >> 24 for n in range(6)]
    assert image.reshape(-1).tolist() == expected
    assert image.shape == (1, 2, 3, 1)


@pytest.mark.parametrize("network", ["both", "small"])
def test_stream_has_three_frames_or_more_and_carries_the_state(network: str) -> None:
    """Of the small network alone it starts from a state, as nothing in the file writes one."""
    module, seen = exports.module(form=Form(network=network)), []

    def step(entry_point: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        seen.append((entry_point, float(inputs["lstm_c"].sum())))
        return module.run(entry_point, **inputs)

    compare.compare_streams(module, step, where="the test")
    names, sums = zip(*seen, strict=True)
    assert names == (("large", "small", "small", "large") if network == "both" else ("small",) * 4)
    assert (sums[0] == 0.0) is (network == "both")
    assert sums[1] == sums[2] == sums[3] > 0.5  # the small network writes nothing


def _broken(module: ExportModule, **changes: Any) -> Any:
    """Returns a step with outputs changed on the third frame."""
    count = []

    def step(entry_point: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        outputs = module.run(entry_point, **inputs)
        count.append(entry_point)
        if len(count) == 3:
            outputs.update({name: change(outputs[name]) for name, change in changes.items()})
        return outputs

    return step


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("lstm_c_out", lambda value: value + 2e-4),
        ("lstm_h_out", lambda value: value * np.nan),
        ("detection_scores", lambda value: value + np.float32(2e-4)),
        ("detection_boxes", lambda value: value + np.float32(1e-3)),
        ("num_detections", np.zeros_like),
        ("num_detections", lambda value: value * np.nan),
        ("num_detections", lambda value: value + 10),
        ("detection_scores", lambda value: value * np.nan),
        ("detection_classes", lambda value: value + 1),
        ("detection_boxes", lambda value: value[:, :2]),
    ],
)
def test_a_wrong_output_is_found_and_named(module: ExportModule, name: str, change: Any) -> None:
    with pytest.raises(ExportCheckError, match=r"of entry point small differs .* on frame 2"):
        compare.compare_streams(module, _broken(module, **{name: change}), where="the test")


def test_rows_behind_the_last_detection_do_not_count() -> None:
    strict = TinyModel(postprocessing=PostprocessingConfig(score_threshold=1.5))
    module = exports.module(strict)
    step = _broken(module, detection_scores=lambda value: value * np.nan)
    compare.compare_streams(module, step, where="the test")
    assert compare.difference(module, step, module.run, frames=4) == 0.0


def test_an_output_too_many_is_named(module: ExportModule) -> None:
    def step(entry_point: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        return {**module.run(entry_point, **inputs), "more": np.zeros(1)}

    with pytest.raises(ExportCheckError, match=r"has the outputs .*more.*, expected"):
        compare.compare_streams(module, step, where="the test")


class _Chaotic(TinyModel):
    """Amplifies the image's rounding to over 1e-4, as no good model does."""

    def step(self, frame: Any, *args: Any, **kwargs: Any) -> Any:
        frame = tf.cast(frame, tf.float32)
        wave = tf.sin(300.0 * tf.reduce_mean(frame, axis=[1, 2, 3], keepdims=True))
        return super().step(127.5 + 120.0 * wave + 0.0 * frame, *args, **kwargs)


def test_what_rounding_does_to_the_model_itself_is_allowed() -> None:
    module = exports.module(_Chaotic())

    def step(entry_point: str, *, image: np.ndarray, **state: np.ndarray) -> Any:
        return module.run(entry_point, image=image * np.float32(1 + 1e-6), **state)

    found = compare.compare_streams(module, step, where="the test")
    assert max(found.values()) > compare.TOLERANCE


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("detection_scores", lambda value: value * np.nan, "detection_scores 0 of small on call 2"),
        ("num_detections", lambda value: value + 10, "num_detections of small on call 2 is"),
        ("lstm_h_out", lambda value: value + 1e-6, "lstm_h_out of small on call 2 is not what"),
    ],
)
def test_two_runtimes_give_what_can_be(
    module: ExportModule, name: str, change: Any, message: str
) -> None:
    with pytest.raises(ExportCheckError, match=message):
        compare.difference(module, _broken(module, **{name: change}), module.run, frames=4)


def test_two_runtimes_differ_by_the_largest_of_states_and_scores(module: ExportModule) -> None:
    def off(name: str) -> float:
        step = _broken(module, **{name: lambda value: value + np.float32(0.01)})
        return compare.difference(module, module.run, step, frames=3)

    assert off("detection_scores") == pytest.approx(0.01, rel=1e-4)
    assert off("lstm_c_out") == pytest.approx(0.01, rel=1e-4)
