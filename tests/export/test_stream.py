"""Long streams through the file, against the model in TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import interpreter as litert

from lstd.export import comparison, reference
from lstd.export.module import ExportModule
from lstd.export.tflite import export_tflite
from lstd.types import LSTMState
from tests import tiny
from tests.export import exports
from tests.export.tiny_model import TinyModel, images

FRAMES = 50
RUNTIMES = {"litert": litert.Interpreter, "tensorflow": tf.lite.Interpreter}
KINDS = {"litert": litert.OpResolverType, "tensorflow": tf.lite.experimental.OpResolverType}


def _interpreter(content: bytes, runtime: str, xnnpack: bool) -> Any:
    kinds = KINDS[runtime]
    kind = kinds.BUILTIN if xnnpack else kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return RUNTIMES[runtime](model_content=content, experimental_op_resolver_type=kind)


def _check_stream(module: ExportModule, interpreter: Any, frames: np.ndarray) -> None:
    """Fails unless the file follows the module for SKIP9, its own state carried all the way."""
    zeros = module.model.initial_state(1).c.numpy()
    ours = theirs = {"lstm_c": zeros, "lstm_h": zeros}
    runners = {name: interpreter.get_signature_runner(name) for name in module.entry_points}
    for number, frame in enumerate(frames):
        name = "large" if number % 10 == 0 else "small"
        inputs = {"image": frame[np.newaxis], **ours}
        expected = module.run(name, **inputs)
        found = runners[name](image=frame[np.newaxis], **theirs)
        # As the exporter does: differences of 1e-4, of near-equal scores any order.
        for state in ("lstm_c_out", "lstm_h_out"):
            assert comparison.differ(expected[state], found[state]) <= 1e-4, (number, state)
        rows = comparison.rows_of(found, module.options)
        same = comparison.equal(comparison.rows_of(expected, module.options), rows)
        if same is None:
            raw = reference.decoded(module.raw_outputs(name, **inputs), module.options)
            same = comparison.possible(raw.boxes[0], raw.scores[0], rows, module.options)
        assert same is not None, number
        ours, theirs = (
            {"lstm_c": outputs["lstm_c_out"], "lstm_h": outputs["lstm_h_out"]}
            for outputs in (expected, found)
        )


@pytest.fixture(scope="module")
def stand_in() -> tuple[ExportModule, bytes]:
    module = exports.module(TinyModel(seed=3))
    return module, exports.converted(module)


@pytest.mark.parametrize("xnnpack", [True, False])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_fifty_frames_of_a_stand_in(
    stand_in: tuple[ExportModule, bytes], runtime: str, xnnpack: bool
) -> None:
    module, content = stand_in
    _check_stream(module, _interpreter(content, runtime, xnnpack), images(FRAMES))


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[ExportModule, bytes]:
    # Wider than high, so that nothing can mix up the two.
    model = tiny.model(input_width=96, eval_schedule="SKIP9")
    path = tmp_path_factory.mktemp("real") / "model.tflite"
    export_tflite(model, path)
    return exports.module(model, max_detections=10), path.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("xnnpack", [True, False])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_fifty_frames_of_the_real_model(
    real: tuple[ExportModule, bytes], runtime: str, xnnpack: bool
) -> None:
    module, content = real
    frames = images(FRAMES, shape=(64, 96, 3))
    _check_stream(module, _interpreter(content, runtime, xnnpack), frames)


@pytest.mark.slow
def test_small_network_of_the_real_file_leaves_the_state_as_it_is(
    real: tuple[ExportModule, bytes],
) -> None:
    module, content = real
    step = _interpreter(content, "litert", True).get_signature_runner("small")
    state = np.random.default_rng(0).uniform(0, 3, module.model.initial_state(1).c.shape)
    state = state.astype(np.float32)
    found = step(image=images(1, shape=(64, 96, 3)), lstm_c=state, lstm_h=state + 1)
    np.testing.assert_array_equal(found["lstm_c_out"], state)
    np.testing.assert_array_equal(found["lstm_h_out"], state + 1)


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
def test_clips_of_the_real_module_are_those_of_the_model() -> None:
    model = tiny.model(eval_schedule="SKIP2")
    module = exports.module(model, postprocessing=False)
    clips = np.float32(tiny.clip(4))
    served = module.serving_default(tf.constant(clips))
    expected = model(clips, networks=["large", "small", "small", "large"])
    np.testing.assert_allclose(
        served["raw_outputs/box_encodings"], expected.predictions.box_encodings, atol=1e-3
    )
    np.testing.assert_allclose(served["lstm_h_out"], expected.state.h, atol=1e-3)
