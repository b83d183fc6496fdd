"""What is timed, and what the table says of it."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from lstd.base import tflite_metadata, tflite_runners
from lstd.runtime import timed_models, timing
from lstd.runtime.timing import Subject
from tests.runtime import fake_exports
from tests.runtime.fake_exports import FakeModule


class _Clock:
    """Seconds that pass only when something is called."""

    def __init__(self) -> None:
        self.now = 0.0
        self.called = ""

    def __call__(self) -> float:
        return self.now

    def taking(self, name: str, *milliseconds: float) -> Callable[[], None]:
        """Returns a call that takes so long, one number after the other, the last one for ever."""
        left = list(milliseconds)

        def call() -> None:
            self.now += (left.pop(0) if len(left) > 1 else left[0]) / 1e3
            self.called += name

        return call

    def measure(self, *subjects: Subject, **settings: int) -> list[timing.Times]:
        """Returns the times of one turn of four frames, unless told."""
        return timing.measure(
            subjects, clock=self, **{"turns": 1, "frames": 4, "warm_up": 0, **settings}
        )


def _row(times: timing.Times, name: str) -> list[float]:
    """Returns frames, average, median, p95 and worst."""
    return list(times.rows()[name].values())[:5]


def _measured(model: Any, schedule: str | None = None) -> tuple[Subject, dict[str, Any]]:
    """Returns a model as a subject, and the rows of a turn of three frames."""
    subject = timed_models.of_model(model, name="a", schedule=schedule, threads=1)
    return subject, timing.measure([subject], turns=1, frames=3, warm_up=1)[0].rows()


def test_rows_are_the_networks_that_ran_and_the_schedule() -> None:
    clock = _Clock()
    calls = {"large": clock.taking("L", 9.0), "small": clock.taking("s", 1.0, 2.0, 6.0)}
    (times,) = clock.measure(Subject("a", calls, "SKIP3"))
    assert list(times.rows()) == ["large", "small", "SKIP3"]
    assert clock.called == "Lsss"
    np.testing.assert_allclose(_row(times, "large"), [1, 9, 9, 9, 9])
    np.testing.assert_allclose(_row(times, "small"), [3, 3, 2, 5.6, 6])
    np.testing.assert_allclose(_row(times, "SKIP3"), [4, 4.5, 4, 8.55, 9])
    assert list(clock.measure(Subject("a", calls, "SMALL"))[0].rows()) == ["small", "SMALL"]


def test_turns_alternate_hold_whole_periods_and_start_after_the_warm_up() -> None:
    clock, done = _Clock(), []
    one = Subject("a", {"large": clock.taking("L", 1), "small": clock.taking("s", 1)}, "SKIP2")
    settings = {"turns": 2, "frames": 4, "warm_up": 1, "progress": lambda: done.append(1)}
    times = clock.measure(one, Subject("b", {"run": clock.taking("R", 1)}), **settings)
    assert clock.called == "LsR" + "LssLss" + "RRRR" + "RRRR" + "LssLss"
    assert [len(each.turns) for each in times] == [2, 2]
    assert len(done) == 4


def test_ratio_is_of_the_averages_turn_by_turn() -> None:
    clock = _Clock()
    fast = Subject("a", {"large": clock.taking("a", 1.0)})
    slow = Subject("b", {"large": clock.taking("b", 2.0, 3.0, 5.0)})
    times = clock.measure(fast, slow, turns=3, frames=1)
    found = timing.describe(times, {}, {}, threads=1, warm_up=0)["ratio"]
    assert found["is"] == "average frame of b / of a"
    np.testing.assert_allclose(found["turns"], [2, 3, 5])
    np.testing.assert_allclose([found[key] for key in ("median", "lowest", "highest")], [3, 2, 5])


def _facts(times: timing.Times, peak: timing.Times | None = None, **unknown: str) -> dict[str, Any]:
    peaks = {"float32": peak} if peak else {}
    return timing.describe([times], peaks, unknown, threads=1, warm_up=0)


def test_share_of_peak_is_speed_over_that_of_the_convolution() -> None:
    clock = _Clock()
    calls = {"large": clock.taking("L", 10.0), "small": clock.taking("s", 2.0)}
    subject = Subject("a", calls, "SKIP1", {"large": 500, "small": 20}, "float32")
    peak = Subject("p", {"run": clock.taking("p", 1.0)}, multiply_adds={"run": 100})
    facts = _facts(*clock.measure(subject, peak))
    rows = facts["models"][0]["rows"]
    shares = [rows[name]["share_of_peak"] for name in ("large", "small", "SKIP1")]
    np.testing.assert_allclose(shares, [0.5, 0.1, 260 / 6 / 100])
    assert rows["SKIP1"]["multiply_adds"] == 260
    assert facts["peak"]["float32"]["multiply_adds_per_second"] == 100_000
    text = timing.table(facts)
    assert "50 %" in text
    assert "not known" not in text


def test_a_clip_counts_as_its_frames() -> None:
    clock = _Clock()
    calls, costs = {"run": clock.taking("c", 8.0, 16.0)}, {"run": 400}
    clip = Subject("a", calls, "", costs, "float32", frames_per_call=4)
    frame = Subject("b", {"run": clock.taking("f", 1.0)}, "", {"run": 100}, "float32")
    times, other = clock.measure(clip, frame, frames=6)
    assert clock.called.count("c") == 2  # 8 frames, the next whole number of clips
    np.testing.assert_allclose(_row(times, "run"), [8, 3, 3, 3.9, 4])
    facts = _facts(times, other)
    row = facts["models"][0]["rows"]["run"]
    assert (row["multiply_adds"], facts["models"][0]["frames_per_call"]) == (100, 4)
    assert row["share_of_peak"] == pytest.approx(1 / 3)
    assert "per frame; a call takes a clip of 4 of them" in timing.table(facts)


@pytest.mark.parametrize(
    ("costs", "data_type", "unknown", "reason"),
    [
        ({}, "float32", {}, "its multiply-adds are not known"),
        ({"run": 5}, "", {}, "the data type in which it computes is not known"),
        ({"run": 5}, "uint8", {"uint8": "no peak for uint8"}, "no peak for uint8"),
        ({"run": 5}, "int8", {}, "the peak was not measured"),
    ],
)
def test_a_share_that_is_not_known_says_why(
    costs: dict[str, int], data_type: str, unknown: dict[str, str], reason: str
) -> None:
    clock = _Clock()
    (times,) = clock.measure(Subject("a", {"run": clock.taking("a", 1)}, "", costs, data_type))
    facts = _facts(times, **unknown)
    assert facts["models"][0]["rows"]["run"]["share_of_peak"] is None
    assert f"share of the peak not known: {reason}" in timing.table(facts)


def test_whatever_a_detector_takes_is_timed_by_network(exported: tuple[Path, Path]) -> None:
    for model in (exported[0].parent, FakeModule()):
        _, rows = _measured(model, "SKIP4")
        assert list(rows) == ["large", "small", "SKIP4"]
        assert rows["SKIP4"]["frames"] == 5


def test_what_is_timed_carries_the_state() -> None:
    seen, module = [], FakeModule()

    def large(**inputs: Any) -> Any:
        seen.append(float(np.asarray(inputs["lstm_h"]).max()))
        return module.large(**inputs)

    shapes = {"image_shape": (8, 6, 3), "state_shape": fake_exports.STATE_SHAPE[1:]}
    subject, _ = _measured(SimpleNamespace(large=large, **shapes))
    assert seen == [0, 1, 2, 3]
    assert subject.schedule == ""


def test_a_file_that_is_not_ours_has_one_row(tmp_path: Path) -> None:
    module, weights = tf.Module(), tf.ones((1, 1, 2, 3))
    module.classify = tf.function(
        lambda x, i: {"y": tf.gather(tf.nn.conv2d(x, weights, 1, "SAME"), i, axis=3)},
        input_signature=[tf.TensorSpec((1, 4, 4, 2)), tf.TensorSpec((1,), tf.int32)],
    )
    path, _ = fake_exports.save(tmp_path, module, ("classify",))
    _, rows = _measured(path)
    assert {name: row["multiply_adds"] for name, row in rows.items()} == {"run": 16 * 3 * 2}
    with pytest.raises(ValueError, match=r"schedule SKIP9 needs the entry points large and small"):
        _measured(path, "SKIP9")


def test_an_export_without_postprocessing_is_timed_by_network(tmp_path: Path) -> None:
    module, signature = tf.Module(), FakeModule().large.input_signature
    for name in ("large", "small"):
        setattr(module, name, tf.function(fake_exports.raw_step, input_signature=signature))
    path, _ = fake_exports.save(tmp_path, module, ("large", "small"))
    assert list(_measured(path, "SKIP2")[1]) == ["large", "small", "SKIP2"]
    path.write_bytes(tflite_metadata.embed(path.read_bytes(), json.dumps(fake_exports.METADATA)))
    assert _measured(path)[0].schedule == "SKIP1"  # as the file says


def test_a_file_of_clips_says_how_many_frames_a_call_takes(tmp_path: Path) -> None:
    module, video = tf.Module(), tf.TensorSpec((3, 8, 8, 1), name="input_video_tensor")
    weights = tf.ones((8, 8, 1, 5))
    module.clip = tf.function(
        lambda video, state: {
            "raw_outputs/box_encodings": tf.nn.conv2d(video, weights, 1, "VALID"),
            "lstm_c_out": state + 1.0,
        },
        input_signature=[video, tf.TensorSpec((1, 2, 2, 1), name="lstm_c")],
    )
    path, _ = fake_exports.save(tmp_path, module, ("clip",))
    subject, rows = _measured(path)
    assert subject.frames_per_call == 3
    assert (rows["run"]["frames"], rows["run"]["multiply_adds"]) == (3, 8 * 8 * 5)


def test_the_peak_of_a_keras_model_is_the_same_convolution_in_tensorflow() -> None:
    found, _ = timed_models.of_peaks([timed_models.IN_TENSORFLOW, ""], threads=1)
    subject = found[timed_models.IN_TENSORFLOW]
    lite = tflite_runners.interpreter_class()(model_content=timed_models.convolution("float32"))
    lite.allocate_tensors()
    lite.set_tensor(lite.get_input_details()[0]["index"], timed_models._convolution()[1])
    lite.invoke()
    expected = lite.get_tensor(lite.get_output_details()[0]["index"])
    # 512 products of 0 to 1 with numbers of 0.04, summed in another order.
    np.testing.assert_allclose(subject.calls["run"](), expected, atol=1e-4)
    assert subject.multiply_adds == {"run": expected.size * 512}


def test_the_peak_is_of_known_data_types_and_has_its_own_number_of_calls() -> None:
    found, unknown = timed_models.of_peaks(["float32", "uint8"], threads=1)
    (times,) = timing.measure([*found.values()], turns=1, frames=500, warm_up=0)
    assert unknown == {"uint8": "no peak for uint8; expected one of float32, dynamic, int8"}
    assert times.rows()["run"]["frames"] == 10
