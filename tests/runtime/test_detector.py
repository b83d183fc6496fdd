import contextlib
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from lstd.runtime import entry_points, tflite_file
from lstd.runtime.detector import VideoDetector
from tests.runtime import fake_exports
from tests.runtime.fake_exports import CLASS_OF, FakeModule, grey

# c is a sum of float32 means of about 1.
CLOSE = {"atol": 1e-6}


@pytest.fixture(params=["tflite", "saved_model", "object"])
def model(request: pytest.FixtureRequest, exported: tuple[Path, Path]) -> Any:
    """Returns the same network in each form that a detector takes."""
    lite, saved = exported
    return {"tflite": lite, "saved_model": str(saved), "object": FakeModule()}[request.param]


def _run(detector: VideoDetector, levels: list[int]) -> list[tuple[str, int, float]]:
    """Returns for each frame: the network, the class and c, as the fake reports them."""
    found = []
    for level in levels:
        detections = detector(grey(level))
        row = (int(detections.classes[0]), float(detections.boxes[0, 0]))
        found.append((str(detector.last_network), *row))
    return found


def test_large_writes_the_state_that_small_reads_in_the_order_of_the_schedule(model: Any) -> None:
    detector = VideoDetector(model, schedule="SKIP2")
    found = _run(detector, [51, 255, 255, 102, 0])
    networks = [network for network, _, _ in found]
    assert networks == ["large", "small", "small", "large", "small"]
    assert [row for _, row, _ in found] == [CLASS_OF[network] for network in networks]
    np.testing.assert_allclose([c for _, _, c in found], [0.2, 0.2, 0.2, 0.6, 0.6], **CLOSE)
    assert detector.frame_number == 5
    detector.reset()  # a new video
    assert (detector.frame_number, detector.last_network) == (0, None)
    assert _run(detector, [51, 255]) == found[:2]


def test_detections_are_clipped_sorted_and_zero_behind_the_last(model: Any) -> None:
    detections = VideoDetector(model, schedule="LARGE")(grey(51))
    assert [value.dtype for value in detections] == [np.float32, np.float32, np.int32, np.int32]
    assert detections.count.shape == ()
    assert int(detections.count) == 2
    expected = [[0.2, 0.25, 1.0, 0.75], [0.0, 0.5, 0.5, 1.0], [0.0, 0.0, 0.0, 0.0]]
    np.testing.assert_allclose(detections.boxes, expected, **CLOSE)
    np.testing.assert_array_equal(detections.scores, [0.75, 0.25, 0.0])
    np.testing.assert_array_equal(detections.classes, [CLASS_OF["large"], 0, 0])


def test_streams_of_one_detector_share_the_file_and_nothing_else(model: Any) -> None:
    detector = VideoDetector(model, schedule="SKIP1")
    _run(detector, [255, 255, 255])
    stream = detector.stream()
    always = detector.stream("LARGE")
    assert (stream.frame_number, stream.schedule, always.schedule) == (0, "SKIP1", "LARGE")
    np.testing.assert_allclose(_run(stream, [51])[0][2], 0.2, **CLOSE)
    network, _, c = _run(detector, [0])[0]
    assert network == "small"
    np.testing.assert_allclose(c, 1.0, **CLOSE)  # 2, cut to the frame
    assert [network for network, _, _ in _run(always, [0, 0])] == ["large", "large"]


def test_streams_in_threads_get_what_each_would_get_alone(model: Any) -> None:
    detector = VideoDetector(model, schedule="SKIP1")
    levels = [[10 * number, 3, 5 * number, 7] * 10 for number in range(4)]
    alone = [_run(detector.stream(), row) for row in levels]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(_run, [detector.stream() for _ in levels], levels))
    assert together == alone


def test_what_was_returned_never_changes(model: Any) -> None:
    detector = VideoDetector(model, schedule="LARGE")
    kept = [value for level in (51, 0, 102) for value in detector(grey(level))]
    kept += detector._state
    copies = [np.copy(value) for value in kept]
    _run(detector, [255, 255, 0])
    for value, same in zip(kept, copies, strict=True):
        np.testing.assert_array_equal(value, same)


def test_pixels_are_those_of_the_frame_and_names_those_of_the_file(
    exported: tuple[Path, Path],
) -> None:
    frame = grey(51, height=10, width=20)
    relative, pixels = (VideoDetector(exported[0], "LARGE", pixels=on)(frame) for on in (0, 1))
    assert (relative.in_pixels, pixels.in_pixels) == (False, True)
    np.testing.assert_allclose(pixels.boxes[0], [2.0, 5.0, 10.0, 15.0], atol=1e-5)
    np.testing.assert_allclose(pixels.boxes, relative.boxes * [10, 20, 10, 20], rtol=1e-6)
    assert pixels.frame_size == (10, 20)
    assert pixels.names == ["cow", "dog"]
    assert VideoDetector(FakeModule(), "LARGE")(frame).names == ["class 2", "class 0"]


def test_timestamps_must_rise_and_a_refused_frame_leaves_the_state() -> None:
    detector = VideoDetector(FakeModule(), "LARGE")
    detector(grey(51), timestamp=1.5)
    detector(grey(0))  # without: not compared
    for timestamp, message in (
        (1.25, r"goes back: 1.25 after 1.5"),
        (1.5, r"repeats: 1.5 after 1.5"),
        (float("nan"), "finite number, got nan"),
        ("a", "must be a finite number, got 'a'"),
    ):
        with pytest.raises(ValueError, match=message):
            detector(grey(255), timestamp=timestamp)  # type: ignore[arg-type]
    assert detector.frame_number == 2
    np.testing.assert_allclose(detector(grey(0), 1.75).boxes[0, 0], 0.2, **CLOSE)
    detector.reset()
    detector(grey(0), timestamp=0.0)


def test_a_file_of_bytes_sees_what_one_of_floats_sees(
    exported: tuple[Path, Path], tmp_path: Path
) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (8, 6, 3), dtype=np.uint8)  # no resizing
    expected = VideoDetector(exported[0], "LARGE")(frame)
    for path in fake_exports.write(tmp_path, dtype=tf.uint8):
        found = VideoDetector(path, "LARGE")(frame)
        np.testing.assert_allclose(found.boxes, expected.boxes, **CLOSE)


@pytest.mark.parametrize("missing", ["_interpreter_wrapper", "_subgraph_index"])
def test_where_a_runner_is_made_otherwise_it_is_used_as_it_is(
    exported: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    levels, in_place = [51, 255, 102, 0], tflite_file._in_place
    expected = _run(VideoDetector(exported[0], "SKIP1"), levels)

    def without(runner: Any, inputs: Any) -> Any:
        kept = runner.__dict__.pop(missing)
        assert in_place(runner, inputs) is None
        setattr(runner, missing, kept)

    monkeypatch.setattr(tflite_file, "_in_place", without)
    assert _run(VideoDetector(exported[0], "SKIP1"), levels) == expected


@pytest.mark.parametrize("library", ["ai_edge_litert", "tensorflow"])
def test_both_interpreters_run_in_place(
    exported: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    if library == "tensorflow":
        monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    else:
        pytest.importorskip("ai_edge_litert")
    interpreter = tflite_file.open_file(exported[0], threads=1)
    assert type(interpreter).__module__.startswith(library)
    runner = interpreter.get_signature_runner("small")
    # Files of before hand the small network's state through in the memory it came in.
    assert dict(runner._inputs)["lstm_h"] == dict(runner._outputs)["lstm_h_out"]
    inputs = {key: tflite_file.spec_of(value) for key, value in runner.get_input_details().items()}
    assert tflite_file._in_place(runner, inputs) is not None
    found = _run(VideoDetector(exported[0], "SKIP1"), [51, 255, 102, 0])
    np.testing.assert_allclose([c for _, _, c in found], [0.2, 0.2, 0.6, 0.6], **CLOSE)


def test_metadata_give_labels_schedule_and_score_and_arguments_win(
    exported: tuple[Path, Path], tmp_path: Path
) -> None:
    for path in (*exported, exported[0].parent):
        detector = VideoDetector(path)
        assert (detector.labels, detector.schedule) == (fake_exports.LABELS, "SKIP1")
        assert detector.label_of(2) == "cow"
    detector = VideoDetector(exported[0], "SKIP4", labels=["a", "b", "c"])
    assert (detector.schedule, detector.labels) == ("SKIP4", ("a", "b", "c"))
    with pytest.raises(ValueError, match="labels: 1 names; the model has 3 classes"):
        VideoDetector(exported[0], labels=["a"])
    detector = VideoDetector(shutil.copy(exported[0], tmp_path / "alone.tflite"))
    assert (detector.labels, detector.schedule, detector.min_score) == ((), "SKIP9", 0.5)
    facts = {**fake_exports.METADATA, "min_score": 0.75}
    (tmp_path / "alone.json").write_text(json.dumps(facts))
    for given, score, count in ((None, 0.75, 1), (0.25, 0.25, 2), (1, 1, 0)):
        one = VideoDetector(tmp_path / "alone.tflite", min_score=given)
        assert one.min_score == one.stream()(grey(0)).min_score == score
        shown = one(grey(0)).relative()
        assert (shown.scores[: int(shown.count)] >= shown.min_score).sum() == count
    assert detector.label_of(7) == "class 7"


def test_several_rows_for_each_counted_detection_are_all_returned() -> None:
    module = FakeModule()
    module.options = SimpleNamespace(max_classes_per_detection=2)
    detections = VideoDetector(module, "LARGE")(grey(0))
    assert int(detections.count) == 3  # 2 counted, 2 rows each, cut to the 3 rows there are.


def test_one_backbone_runs_step_on_every_frame_and_takes_rgb_for_grey(single: Path) -> None:
    detector = VideoDetector(single)
    assert (detector.networks, detector.schedule) == (("large",), "LARGE")
    assert detector.input_shape == (fake_exports.HEIGHT, fake_exports.WIDTH, 1)
    frame = grey(0)
    frame[..., 1] = 255  # Only green: 0.587 of white.
    found = [float(detector(each).boxes[0, 0]) for each in (frame, grey(0))]
    np.testing.assert_allclose(found, [0.587, 0.587], **CLOSE)
    of_rgb = VideoDetector(FakeModule(), "LARGE")(grey(102, channels=1))
    np.testing.assert_allclose(of_rgb.boxes[0, 0], 0.4, **CLOSE)


def test_the_image_is_raw_and_resized_for_each_network_by_itself() -> None:
    seen = {}

    def entry_point(name: str, size: int) -> Any:
        shapes = {"image": (1, size, size, 3), "lstm_c": (1, 1, 1, 1), "lstm_h": (1, 1, 1, 1)}

        def run(*, image: np.ndarray, lstm_c: np.ndarray, lstm_h: np.ndarray) -> dict[str, Any]:
            seen[name] = image
            outputs = {f"detection_{key}": np.zeros((1, 0)) for key in ("classes", "scores")}
            outputs |= {"detection_boxes": np.zeros((1, 0, 4)), "num_detections": np.zeros(1)}
            return {**outputs, "lstm_c_out": lstm_c, "lstm_h_out": lstm_h}

        run.input_signature = [  # type: ignore[attr-defined]
            tf.TensorSpec(shape, name=key) for key, shape in shapes.items()
        ]
        return run

    model = SimpleNamespace(large=entry_point("large", 8), small=entry_point("small", 4))
    detector = VideoDetector(model, "SKIP1")
    frame = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    assert [int(detector(frame).count) for _ in range(2)] == [0, 0]
    np.testing.assert_array_equal(seen["large"][0], frame)
    np.testing.assert_array_equal(seen["small"][0], frame[::2, ::2])


def test_plain_callables_say_their_shapes_on_the_object() -> None:
    plain = SimpleNamespace(large=FakeModule().large.python_function, image_shape=(8, 6, 3))
    with pytest.raises(ValueError, match=r"image_shape .* and state_shape"):
        VideoDetector(plain)
    plain.state_shape = fake_exports.STATE_SHAPE[1:]
    np.testing.assert_allclose(_run(VideoDetector(plain), [51])[0][2], 0.2, **CLOSE)


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (1, 4, 4, 3), (0, 4, 3), None])
def test_a_wrong_frame_is_refused_and_leaves_the_state(shape: tuple[int, ...] | None) -> None:
    frame = np.zeros((4, 4, 3), np.float32) if shape is None else np.zeros(shape, np.uint8)
    detector = VideoDetector(FakeModule(), "SKIP1")
    _run(detector, [51])
    with pytest.raises(ValueError, match="a frame must"):
        detector(frame)
    ((network, _, c),) = _run(detector, [255])
    assert network == "small"
    np.testing.assert_allclose(c, 0.2, **CLOSE)


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "2"])
def test_threads_must_be_a_whole_number_above_0(threads: Any) -> None:
    with pytest.raises(ValueError, match="threads must be"):
        VideoDetector(FakeModule(), threads=threads)


@pytest.mark.parametrize(
    ("scale", "zero", "fits"), [(1.0, 0, True), (0.999, 0, True), (0.5, 0, False), (1.0, 3, False)]
)
def test_bytes_must_be_raw_values(scale: float, zero: int, fits: bool) -> None:
    state = entry_points.InputSpec((1, 1, 1, 1), np.dtype(np.float32))
    image = entry_points.InputSpec((1, 8, 6, 3), np.dtype(np.uint8), zero, scale)
    inputs = {"image": image, "lstm_c": state, "lstm_h": state}
    points = entry_points.EntryPoints({"large": entry_points.calling(dict, inputs)}, "a file")
    refused = pytest.raises(ValueError, match=r"raw values, 0 to 255, it is quantised with scale")
    with contextlib.nullcontext() if fits else refused:
        entry_points.check(points)


def test_a_closed_detector_refuses_frames_and_its_streams_go_on() -> None:
    with VideoDetector(FakeModule(), "LARGE") as detector:
        stream = detector.stream()
    for use in (lambda: detector(grey(0)), detector.stream):
        with pytest.raises(ValueError, match="closed"):
            use()
    detector.close()  # once more is nothing
    assert int(stream(grey(0)).count) == 2


def test_files_that_are_no_model_are_refused(exported: tuple[Path, Path], tmp_path: Path) -> None:
    content = exported[0].read_bytes()
    cases = [
        ("none.tflite", None, FileNotFoundError, "no such file"),
        ("text.tflite", b"this is not a model", ValueError, "not a TFLite file"),
        ("empty.tflite", b"", ValueError, "not a TFLite file"),
        ("cut.tflite", content[: len(content) // 2], ValueError, "damaged"),
        ("", None, ValueError, "neither a SavedModel"),
    ]
    for name, written, kind, message in cases:
        path = tmp_path / name
        if written is not None:
            path.write_bytes(written)
        with pytest.raises(kind, match=message) as caught:
            VideoDetector(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_file_without_our_entry_points_or_detections_says_what_it_has(tmp_path: Path) -> None:
    module = tf.Module()
    module.classify = tf.function(lambda x: {"y": x + 1.0}, input_signature=[tf.TensorSpec([1])])
    for path in fake_exports.save(tmp_path, module, ("classify",)):
        with pytest.raises(ValueError, match="expected large and small, or step, found classify"):
            VideoDetector(path)
    signature = FakeModule(("step",)).step.input_signature
    raw = SimpleNamespace(step=tf.function(fake_exports.raw_step, input_signature=signature))
    with pytest.raises(ValueError, match=r"no output detection_boxes.*without post-processing"):
        VideoDetector(raw)(grey(0))


def test_networks_with_different_states_are_refused() -> None:
    shapes = {"image": [1, 8, 6, 3], "lstm_c": [1, 9, 9, 9], "lstm_h": [1, 9, 9, 9]}
    signature = [tf.TensorSpec(shape, name=name) for name, shape in shapes.items()]
    small = tf.function(lambda image, lstm_c, lstm_h: {}, input_signature=signature)
    model = SimpleNamespace(large=FakeModule().large, small=small)
    with pytest.raises(ValueError, match="must share one state"):
        VideoDetector(model)


def test_a_tflite_runs_without_tensorflow(exported: tuple[Path, Path]) -> None:
    pytest.importorskip("ai_edge_litert")
    program = (
        "import sys, types, numpy as np\n"
        # Only the annotations of lstd.base.types know the name; nothing may use it.
        "sys.modules['tensorflow'] = types.ModuleType('tensorflow')\n"
        "sys.modules['pydantic'] = sys.modules['absl'] = sys.modules['google'] = None\n"
        "import lstd\n"
        "detector = lstd.VideoDetector(sys.argv[1], 'LARGE')\n"
        "print(float(detector(np.full((9, 9, 3), 51, np.uint8)).boxes[0, 0]))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, str(exported[0])],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert (result.returncode, result.stderr) == (0, "")  # no word of the delegate either
    np.testing.assert_allclose(float(result.stdout), 0.2, **CLOSE)
