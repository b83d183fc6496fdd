from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from lstd.base import tflite_metadata
from lstd.runtime import benchmark, benchmark_subjects, peak, tflite_file
from lstd.runtime.benchmark import Subject
from tests.runtime import fake_exports
from tests.runtime.fake_exports import FakeModule

PEER = Path(__file__).parents[3] / "shared" / "data" / "peers" / "ssdlite_mobilenet_v2_coco.tflite"


class _Clock:
    """Seconds that pass only when something is called."""

    def __init__(self) -> None:
        self.now = 0.0
        self.called: list[str] = []

    def __call__(self) -> float:
        return self.now

    def taking(self, name: str, *milliseconds: float) -> Callable[[], None]:
        """Returns a call that takes so long, one number after the other, the last one for ever."""
        left = list(milliseconds)

        def call() -> None:
            self.now += (left.pop(0) if len(left) > 1 else left[0]) / 1e3
            self.called.append(name)

        return call


def _measure(clock: _Clock, *subjects: Subject, **settings: Any) -> list[benchmark.Times]:
    settings = {"turns": 1, "frames": 4, "warm_up": 0, **settings}
    return benchmark.measure(subjects, clock=clock, **settings)


def _row(times: benchmark.Times, name: str) -> list[float]:
    """Returns frames, average, median, p95 and worst."""
    return list(times.rows()[name].values())[:5]


def test_rows_are_the_networks_and_the_schedule() -> None:
    clock = _Clock()
    calls = {"large": clock.taking("L", 9.0), "small": clock.taking("s", 1.0, 2.0, 6.0)}
    (times,) = _measure(clock, Subject("a", calls, "SKIP3"))
    assert list(times.rows()) == ["large", "small", "SKIP3"]
    assert "".join(clock.called) == "Lsss"
    np.testing.assert_allclose(_row(times, "large"), [1, 9, 9, 9, 9])
    np.testing.assert_allclose(_row(times, "small"), [3, 3, 2, 5.6, 6])
    np.testing.assert_allclose(_row(times, "SKIP3"), [4, 4.5, 4, 8.55, 9])


def test_turns_alternate_hold_whole_periods_and_start_after_the_warm_up() -> None:
    clock = _Clock()
    one = Subject("a", {"large": clock.taking("L", 1), "small": clock.taking("s", 1)}, "SKIP2")
    other = Subject("b", {"run": clock.taking("R", 1)})
    done: list[int] = []
    times = _measure(
        clock, one, other, turns=2, frames=4, warm_up=1, progress=lambda: done.append(1)
    )
    assert "".join(clock.called) == "LsR" + "LssLss" + "RRRR" + "RRRR" + "LssLss"
    assert [len(each.turns) for each in times] == [2, 2]
    assert len(done) == 4


def test_only_what_a_schedule_runs_is_in_the_table() -> None:
    clock = _Clock()
    calls = {"large": clock.taking("L", 1), "small": clock.taking("s", 1)}
    (times,) = _measure(clock, Subject("a", calls, "SMALL"))
    assert list(times.rows()) == ["small", "SMALL"]


def test_ratio_is_of_the_averages_turn_by_turn() -> None:
    clock = _Clock()
    fast = Subject("a", {"large": clock.taking("a", 1.0)})
    slow = Subject("b", {"large": clock.taking("b", 2.0, 3.0, 5.0)})
    first, second = _measure(clock, fast, slow, turns=3, frames=1)
    found = benchmark.describe([first, second], {}, {}, threads=1, warm_up=0)["ratio"]
    assert found["is"] == "average frame of b / of a"
    np.testing.assert_allclose(found["turns"], [2, 3, 5])
    np.testing.assert_allclose([found[key] for key in ("median", "lowest", "highest")], [3, 2, 5])


def test_share_of_peak_is_speed_over_that_of_the_convolution() -> None:
    clock = _Clock()
    calls = {"large": clock.taking("L", 10.0), "small": clock.taking("s", 2.0)}
    costs = {"large": 500, "small": 20}
    subject = Subject("a", calls, "SKIP1", multiply_adds=costs, data_type="float32")
    reference = Subject("p", {"run": clock.taking("p", 1.0)}, multiply_adds={"run": 100})
    times, reference_times = _measure(clock, subject, reference)
    facts = _facts(times, {"float32": reference_times})
    rows = facts["models"][0]["rows"]
    shares = [rows[name]["share_of_peak"] for name in ("large", "small", "SKIP1")]
    np.testing.assert_allclose(shares, [0.5, 0.1, 260 / 6 / 100])
    assert rows["SKIP1"]["multiply_adds"] == 260
    assert facts["peak"]["float32"]["multiply_adds_per_second"] == 100_000
    text = benchmark.table(facts)
    assert "50 %" in text
    assert "not known" not in text


def test_a_clip_counts_as_its_frames() -> None:
    clock = _Clock()
    calls, costs = {"run": clock.taking("c", 8.0, 16.0)}, {"run": 400}
    clip = Subject("a", calls, "", costs, "float32", frames_per_call=4)
    frame = Subject("b", {"run": clock.taking("f", 1.0)}, "", {"run": 100}, "float32")
    times, other = _measure(clock, clip, frame, frames=6)
    assert clock.called.count("c") == 2  # 8 frames, the next whole number of clips
    np.testing.assert_allclose(_row(times, "run"), [8, 3, 3, 3.9, 4])
    facts = _facts(times, {"float32": other})
    row = facts["models"][0]["rows"]["run"]
    assert (row["multiply_adds"], facts["models"][0]["frames_per_call"]) == (100, 4)
    assert row["share_of_peak"] == pytest.approx(1 / 3)
    assert "per frame; a call takes a clip of 4 of them" in benchmark.table(facts)


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
    subject = Subject("a", {"run": clock.taking("a", 1)}, "", costs, data_type)
    (times,) = _measure(clock, subject)
    facts = _facts(times, {}, unknown)
    assert facts["models"][0]["rows"]["run"]["share_of_peak"] is None
    assert f"share of the peak not known: {reason}" in benchmark.table(facts)


def _facts(
    times: benchmark.Times, peaks: dict[str, benchmark.Times], unknown: dict[str, str] | None = None
) -> dict[str, Any]:
    return benchmark.describe([times], peaks, unknown or {}, threads=1, warm_up=0)


def _subject(model: Any, schedule: str | None = None) -> Subject:
    return benchmark_subjects.of_model(model, name="a", schedule=schedule, threads=1)


def test_a_file_of_ours_is_timed_by_network_and_a_model_too(exported: tuple[Path, Path]) -> None:
    for model in (*exported, exported[0].parent, FakeModule()):
        subject = _subject(model, "SKIP4")
        assert list(subject.calls) == ["large", "small"]
        assert subject.schedule == "SKIP4"
        (times,) = benchmark.measure([subject], turns=1, frames=5, warm_up=0)
        assert times.rows()["SKIP4"]["frames"] == 5
    assert _subject(exported[0]).schedule == "SKIP1"  # the JSON's
    assert _subject(exported[0]).data_type == "float32"
    assert _subject(exported[1]).multiply_adds == {}


def test_what_is_timed_carries_the_state() -> None:
    seen = []
    module = FakeModule()

    def large(**inputs: Any) -> Any:
        seen.append(float(np.asarray(inputs["lstm_h"]).max()))
        return module.large(**inputs)

    shapes = {"image_shape": (8, 6, 3), "state_shape": fake_exports.STATE_SHAPE[1:]}
    subject = _subject(SimpleNamespace(large=large, **shapes))
    benchmark.measure([subject], turns=1, frames=3, warm_up=1)
    assert seen == [0, 1, 2, 3]
    assert subject.schedule == ""


def test_one_backbone_has_one_row_and_takes_no_schedule_of_two(single: Path) -> None:
    assert list(_subject(single).calls) == ["large"]
    with pytest.raises(ValueError, match="SKIP9 needs a large and a small network"):
        _subject(single, "SKIP9")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a `.tflite` with one entry point that is not ours, of floats and an index."""
    module = tf.Module()
    specs = [tf.TensorSpec((1, 4, 4, 2), name="x"), tf.TensorSpec((1,), tf.int32, name="i")]
    weights = tf.ones((1, 1, 2, 3))
    module.f = tf.function(
        lambda x, i: {"y": tf.gather(tf.nn.conv2d(x, weights, 1, "SAME"), i, axis=3)},
        input_signature=specs,
    )
    folder = tmp_path_factory.mktemp("other")
    tf.saved_model.save(module, str(folder / "saved"), signatures={"classify": module.f})
    path = folder / "other.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved")).convert())
    return path


def test_a_file_that_is_not_ours_has_one_row(other: Path) -> None:
    subject = _subject(other)
    assert subject.multiply_adds == {"run": 16 * 3 * 2}
    (times,) = benchmark.measure([subject], turns=2, frames=3, warm_up=1)
    assert list(times.rows()) == ["run"]
    assert times.rows()["run"]["frames"] == 6
    with pytest.raises(ValueError, match=r"schedule SKIP9 needs the entry points large and small"):
        _subject(other, "SKIP9")


@pytest.mark.skipif(not PEER.is_file(), reason="needs the foreign .tflite beside the repository")
def test_a_detector_of_another_project_is_timed() -> None:
    subject = _subject(PEER)
    assert subject.multiply_adds["run"] > 7e8
    (times,) = benchmark.measure([subject], turns=1, frames=1, warm_up=0)
    assert times.rows()["run"]["median_ms"] > 0


def test_an_export_without_postprocessing_is_timed_by_network(tmp_path: Path) -> None:
    module = tf.Module()
    signature = FakeModule().large.input_signature
    for name in ("large", "small"):

        def raw(image: tf.Tensor, lstm_c: tf.Tensor, lstm_h: tf.Tensor) -> dict[str, tf.Tensor]:
            total = tf.reduce_sum(image)
            return {
                "raw_outputs/box_encodings": tf.reshape(total, [1, 1, 1]),
                "lstm_c_out": lstm_c + total,
                "lstm_h_out": lstm_h + total,
            }

        setattr(module, name, tf.function(raw, input_signature=signature))
    signatures = {name: getattr(module, name) for name in ("large", "small")}
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures=signatures)
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(tmp_path / "saved"), signature_keys=list(signatures)
    )
    path = tmp_path / "raw.tflite"
    path.write_bytes(converter.convert())
    subject = _subject(path, "SKIP2")
    assert list(subject.calls) == ["large", "small"]
    assert subject.schedule == "SKIP2"
    benchmark.measure([subject], turns=1, frames=2, warm_up=0)
    path.write_bytes(tflite_metadata.embed(path.read_bytes(), json.dumps(fake_exports.METADATA)))
    assert _subject(path).schedule == "SKIP1"  # as the file says


def test_a_file_of_clips_says_how_many_frames_a_call_takes(tmp_path: Path) -> None:
    module, video = tf.Module(), tf.TensorSpec((3, 8, 8, 1), name="input_video_tensor")
    state = tf.TensorSpec((1, 2, 2, 1), name="lstm_c")
    weights = tf.ones((8, 8, 1, 5))
    module.clip = tf.function(
        lambda video, state: {
            "raw_outputs/box_encodings": tf.nn.conv2d(video, weights, 1, "VALID"),
            "lstm_c_out": state + 1.0,
        },
        input_signature=[video, state],
    )
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures={"clip": module.clip})
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "saved"))
    path = tmp_path / "clip.tflite"
    path.write_bytes(converter.convert())
    subject = _subject(path)
    assert subject.frames_per_call == 3
    (times,) = benchmark.measure([subject], turns=1, frames=1, warm_up=0)
    assert times.rows()["run"]["frames"] == 3
    assert times.rows()["run"]["multiply_adds"] == 8 * 8 * 5


def test_the_peak_of_a_keras_model_is_the_same_convolution_in_tensorflow() -> None:
    found, _ = benchmark_subjects.of_peaks([peak.IN_TENSORFLOW, ""], threads=1)
    subject = found[peak.IN_TENSORFLOW]
    lite = tflite_file.of_content(peak.convolution("float32"), threads=1)
    lite.allocate_tensors()
    (given,), (returned,) = lite.get_input_details(), lite.get_output_details()
    lite.set_tensor(given["index"], peak._values())
    lite.invoke()
    expected = lite.get_tensor(returned["index"])
    # 512 products of 0 to 1 with numbers of 0.04, summed in another order.
    np.testing.assert_allclose(subject.calls["run"](), expected, atol=1e-4)
    assert subject.multiply_adds == {"run": math.prod(expected.shape) * 512}


def test_the_peak_needs_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    found, unknown = benchmark_subjects.of_peaks(["float32", "uint8"], threads=1)
    (times,) = benchmark.measure([*found.values()], turns=1, frames=500, warm_up=0)
    assert unknown == {"uint8": "no peak for uint8; expected one of float32, dynamic, int8"}
    assert times.rows()["run"]["frames"] == 10  # its own number
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    _, unknown = benchmark_subjects.of_peaks(["float32"], threads=1)
    assert unknown == {"float32": "TensorFlow, which makes the convolution, is not installed"}
