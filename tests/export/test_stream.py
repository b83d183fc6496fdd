"""Long streams through the file, against the model in TensorFlow."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import interpreter as litert

from lstd.any_model.video_detector import VideoDetector
from lstd.base.types import LSTMState
from lstd.export import check_file, compare, file_format, form, interpreters
from lstd.export import module as modules
from lstd.export.compare import ExportCheckError, Step
from lstd.export.metadata import DescribedExport
from lstd.export.module import ExportModule
from lstd.export.tflite import export_tflite
from tests import tiny
from tests.export import exports
from tests.export.tiny_model import TinyModel, images

FRAMES = 50
RUNTIMES = {"litert": litert.Interpreter, "tensorflow": tf.lite.Interpreter}
WAYS = [("compiled", True), *((runtime, x) for runtime in RUNTIMES for x in (True, False))]
KINDS = {"litert": litert.OpResolverType, "tensorflow": tf.lite.experimental.OpResolverType}


@contextmanager
def _step(content: bytes, runtime: str, xnnpack: bool) -> Iterator[Step]:
    if runtime == "compiled":
        with interpreters.compiled_step(content) as step:
            yield step
        return
    kinds = KINDS[runtime]
    kind = kinds.BUILTIN if xnnpack else kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = RUNTIMES[runtime](model_content=content, experimental_op_resolver_type=kind)
    yield interpreters.step_of(interpreter)


def _check_stream(module: ExportModule, step: Step, frames: np.ndarray) -> None:
    """Fails unless the file follows the module for SKIP9, its own state carried all the way."""
    ours = theirs = module.zero_state()
    for number, frame in enumerate(frames):
        name = "large" if number % 10 == 0 else "small"
        image = {"image": frame[np.newaxis]}
        expected, found = module.run(name, **image, **ours), step(name, **image, **theirs)
        for state in ("lstm_c_out", "lstm_h_out"):
            assert compare.differ(expected[state], found[state]) <= 1e-4, (number, state)
        rows = (compare.rows_of(outputs, module.options) for outputs in (expected, found))
        assert max(compare.rows_differ(*rows)) <= 1e-4, number
        ours, theirs = form.carried(expected), form.carried(found)


@pytest.fixture(scope="module")
def stand_in() -> tuple[ExportModule, bytes]:
    module = exports.module(TinyModel(seed=3))
    return module, exports.converted(module)


@pytest.mark.parametrize(("runtime", "xnnpack"), WAYS)
def test_fifty_frames_of_a_stand_in(
    stand_in: tuple[ExportModule, bytes], runtime: str, xnnpack: bool
) -> None:
    module, content = stand_in
    with _step(content, runtime, xnnpack) as step:
        _check_stream(module, step, images(FRAMES))


@pytest.mark.parametrize(
    ("quantization", "options"),
    [
        ("none", {"signature": "clip", "unroll_length": 2, "network": "small"}),
        ("float16", {"input_type": "uint8"}),
        ("dynamic", {"postprocessing": False}),
        ("int8", {"network": "small"}),
        ("int8", {}),
    ],
)
def test_no_tensor_is_both_input_and_output_and_compiled_model_computes_the_same(
    quantization: str, options: dict[str, Any]
) -> None:
    """Those that share memory, it reads before they are written."""
    path = exports.file(quantization, **options)
    content = path.read_bytes()
    for point in file_format.entry_points(content).values():
        assert not {*point.graph.inputs} & {*point.graph.outputs}
    described = DescribedExport(json.loads(path.with_suffix(".json").read_text()), where="")
    state = dict.fromkeys(("lstm_c", "lstm_h"), np.full(described.state_shape, 0.3, np.float32))
    with interpreters.compiled_step(content) as compiled:
        step = interpreters.step(content)
        for name, frames in compare.stream_of(described, 6):
            given = {**frames, **state}
            expected, found = step(name, **given), compiled(name, **given)
            rows = int(min(expected.get("num_detections", [0])))  # leftovers are behind them
            for key, value in expected.items():
                pair = found[key], value
                if key.startswith("detection_"):
                    pair = tuple(each[:, :rows] for each in pair)
                # The same kernels on the same processor.
                np.testing.assert_allclose(*pair, atol=1e-6, err_msg=key)
            if name == "small" or options.get("network") == "small":
                np.testing.assert_array_equal(found["lstm_h_out"], state["lstm_h"])
            state = {key: found[f"{key}_out"] for key in state}


def test_a_state_handed_through_is_not_exported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(modules, "_handed_on", lambda given, *_: given)
    with pytest.raises(
        ExportCheckError, match=r"small of the \.tflite returns lstm_c_out, lstm_h_"
    ):
        export_tflite(TinyModel(), tmp_path / "a.tflite")
    assert list(tmp_path.iterdir()) == []


def test_a_state_rounded_by_the_small_network_is_not_exported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(file_format, "with_float_inputs", lambda content, outputs: content)
    with pytest.raises(ValueError, match=r"lstm_h_out of small on call 1 is not what came in"):
        export_tflite(
            TinyModel(),
            tmp_path / "a.tflite",
            quantization="int8",
            representative_data=[images(6).astype(np.uint8)],
        )


def test_without_compiled_model_the_export_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.compiled_model", None)
    export_tflite(TinyModel(), tmp_path / "a.tflite")
    facts = json.loads((tmp_path / "a.json").read_text())
    told = "the installed LiteRT has no CompiledModel"
    assert facts["self_check"]["compiled_model"] == f"not checked: {told}"
    findings = {found.check: found for found in check_file.inspect(tmp_path / "a.tflite").findings}
    assert findings["CompiledModel"].detail == told


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[ExportModule, bytes]:
    # Wider than high, so that nothing can mix up the two.
    model = tiny.model(input_width=96, eval_schedule="SKIP9")
    path = tmp_path_factory.mktemp("real") / "model.tflite"
    export_tflite(model, path)
    return exports.module(model, max_detections=10), path.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(("runtime", "xnnpack"), WAYS)
def test_fifty_frames_of_the_real_model(
    real: tuple[ExportModule, bytes], runtime: str, xnnpack: bool
) -> None:
    module, content = real
    frames = images(FRAMES, shape=(64, 96, 3))
    with _step(content, runtime, xnnpack) as step:
        _check_stream(module, step, frames)


@pytest.mark.slow
@pytest.mark.parametrize("config", [tiny.CONFIG, tiny.FIRST_PAPER])
def test_a_stateful_model_is_exported_with_its_weights(config: Any) -> None:
    model = tiny.model(config, stateful=True, batch_size=2)
    model(tiny.clip(2))  # leaves something in the carried state
    module = exports.module(model)
    frame = np.float32(tiny.clip(1, batch=1))[:, 0]
    zeros = np.zeros([1, *model.state_grid, model.state_depth], np.float32)
    name = next(iter(module.entry_points))
    found = module.run(name, image=frame, lstm_c=zeros, lstm_h=zeros)
    plain = tiny.model(config)
    expected = plain.step(frame, LSTMState(tf.constant(zeros), tf.constant(zeros))).state
    np.testing.assert_allclose(found["lstm_c_out"], expected.c, atol=1e-4)
    assert found["lstm_c_out"].max() > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("config", [tiny.CONFIG, tiny.FIRST_PAPER], ids=["two", "one"])
def test_a_grey_model_detects_in_rgb_frames(config: Any, tmp_path: Path) -> None:
    model = tiny.model(config, input_channels=1)
    path = tmp_path / "grey.tflite"
    export_tflite(model, path)
    facts = json.loads(path.with_suffix(".json").read_text())
    assert (facts["input"]["shape"], facts["input"]["color"]) == ([1, 64, 64, 1], "grey")
    frame = tiny.clip(1, batch=1)[0, 0]
    grey = (np.float32(frame) @ np.float32([0.2989, 0.587, 0.114]))[..., np.newaxis]
    zeros = model.initial_state(1).c.numpy()
    name = next(iter(facts["entry_points"]))
    step = interpreters.step(path.read_bytes())
    found = step(name, image=grey[np.newaxis], lstm_c=zeros, lstm_h=zeros)
    detections = VideoDetector(path)(frame)
    assert detections.count == found["num_detections"][0]
    np.testing.assert_allclose(detections.scores, found["detection_scores"][0], atol=1e-5)
    np.testing.assert_allclose(VideoDetector(model)(frame).scores, detections.scores, atol=1e-4)
