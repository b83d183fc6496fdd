"""The same checks over every layer and model: one registry, one list of rules."""

import dataclasses
import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

import lstd
import lstd.layers
import lstd.models
from lstd.base.types import LSTMState
from lstd.layers.bottleneck import Bottleneck
from lstd.layers.box_predictor import BoxPredictor
from lstd.layers.conv import ConvBN, DepthwiseConvBN
from lstd.layers.conv_lstm import ConvLSTMCell
from lstd.layers.fake_quant import FakeQuant
from lstd.layers.feature_maps import FeatureMaps, FineMap
from lstd.models.build import build_model
from lstd.models.lstm_ssd import LSTMSSD
from lstd.models.mobilenet_v1 import MobileNetV1
from lstd.models.mobilenet_v2 import InvertedResidual, MobileNetV2
from tests import tiny


class Entry(NamedTuple):
    """A layer and how to call it.

    Attributes:
        make: returns a new one.
        inputs: the shapes of its inputs, without the batch.
        call: takes the layer and its inputs.
    """

    make: Callable[[], keras.layers.Layer]
    inputs: tuple[tuple[int, ...], ...]
    call: Callable[..., Any] = lambda layer, *inputs: layer(*inputs)


IMAGE, STATE = (16, 24, 8), (4, 6, 8)
SLIM = {"depth_multiplier": 0.1, "min_depth": 8}
REGISTRY = {
    "ConvBN": Entry(lambda: ConvBN(6, kernel_size=3, strides=2, l2_weight=0.1), (IMAGE,)),
    "ConvBN, biased": Entry(lambda: ConvBN(6, bessel_correction=False), (IMAGE,)),
    "DepthwiseConvBN": Entry(lambda: DepthwiseConvBN(strides=2, activation=False), (IMAGE,)),
    "Bottleneck": Entry(lambda: Bottleneck(state_depth=8, groups=2), ((4, 6, 5), STATE)),
    "ConvLSTMCell, second paper": Entry(
        lambda: ConvLSTMCell(
            state_depth=8, groups=2, clip_state=True, activate_state=True, output_bottleneck=True
        ),
        (STATE, STATE, STATE),
        lambda layer, b, c, h: layer(b, LSTMState(c, h)),
    ),
    "ConvLSTMCell, first paper": Entry(
        lambda: ConvLSTMCell(state_depth=8),
        (STATE, STATE, STATE),
        lambda layer, b, c, h: layer(b, LSTMState(c, h)),
    ),
    "Bottleneck, in 8 bits": Entry(
        lambda: Bottleneck(state_depth=8, groups=2, quantized=True), ((4, 6, 5), STATE)
    ),
    "ConvLSTMCell, in 8 bits": Entry(
        lambda: ConvLSTMCell(state_depth=8, groups=2, output_bottleneck=True, quantized=True),
        (STATE, STATE, STATE),
        lambda layer, b, c, h: layer(b, LSTMState(c, h)),
    ),
    "FakeQuant": Entry(lambda: FakeQuant(-6.0, groups=2), (STATE,)),
    "FeatureMaps": Entry(lambda: FeatureMaps(depths=(8, 6), middle_depths=(4, 3)), (STATE,)),
    "FeatureMaps, depthwise": Entry(
        lambda: FeatureMaps(
            depths=(8, 8), middle_depths=(4, 4), use_depthwise=True, pool_residual=True
        ),
        (STATE,),
    ),
    "FineMap": Entry(lambda: FineMap(5), ((8, 12, 5), STATE)),
    "BoxPredictor": Entry(
        lambda: BoxPredictor(anchors_per_location=(3, 2), num_classes=2),
        (STATE, (2, 3, 5)),
        lambda layer, *maps: layer(maps),
    ),
    "BoxPredictor, dense": Entry(
        lambda: BoxPredictor(anchors_per_location=(3, 2), num_classes=2, use_depthwise=False),
        (STATE, (2, 3, 5)),
        lambda layer, *maps: layer(maps),
    ),
    "InvertedResidual": Entry(lambda: InvertedResidual(8, expanded=16), (IMAGE,)),
    "MobileNetV1": Entry(lambda: MobileNetV1(**SLIM), ((64, 96, 3),)),
    "MobileNetV2": Entry(lambda: MobileNetV2(**SLIM), ((64, 96, 3),)),
    "MobileNetV2, low resolution": Entry(
        lambda: MobileNetV2(**SLIM, low_resolution=True), ((32, 48, 3),)
    ),
}


def inputs_of(entry: Entry, batch: int) -> list[tf.Tensor]:
    rng = np.random.default_rng(batch)
    return [tf.constant(rng.normal(size=(batch, *shape)), tf.float32) for shape in entry.inputs]


def made(entry: Entry) -> keras.layers.Layer:
    layer = entry.make()
    if layer.built is False:
        entry.call(layer, *inputs_of(entry, 1))
    tiny.scramble(layer)
    return layer


def assert_close(ours: Any, theirs: Any, tolerance: float = 1e-4) -> None:
    for a, b in zip(tf.nest.flatten(ours), tf.nest.flatten(theirs), strict=True):
        np.testing.assert_allclose(a, b, atol=tolerance, rtol=tolerance)


def assert_close_in_half(ours: Any, theirs: Any) -> None:
    # bfloat16 has 8 bits: 0.4 % a step, some steps deep; the means must agree.
    for a, b in zip(tf.nest.flatten(ours), tf.nest.flatten(theirs), strict=True):
        a, b = np.asarray(tf.cast(a, tf.float32)), np.asarray(b)
        assert np.isfinite(a).all()
        assert np.abs(a - b).mean() < 0.1 * np.abs(b).mean() + 1e-3


@pytest.fixture(params=REGISTRY)
def entry(request):
    return REGISTRY[request.param]


def test_every_layer_is_registered():
    layers = set()
    for package in (lstd.layers, lstd.models):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for name, value in vars(importlib.import_module(module.name)).items():
                layer = inspect.isclass(value) and issubclass(value, keras.layers.Layer)
                if layer and value.__module__ == module.name and not issubclass(value, keras.Model):
                    layers.add(name)

    registered = {type(entry.make()).__name__ for entry in REGISTRY.values()}
    assert {name for name in layers if not name.startswith("_")} == registered
    # The name in a saved model, which does not change with the module.
    assert keras.saving.get_registered_name(lstd.DetectionLoss) == "lstd>DetectionLoss"


def test_config_and_checkpoint_make_the_same_layer_again(entry, tmp_path):
    layer, inputs = made(entry), inputs_of(entry, 2)
    again = type(layer).from_config(layer.get_config())
    entry.call(again, *inputs)
    assert again.get_config() == layer.get_config()
    path = tf.train.Checkpoint(layer=layer).save(str(tmp_path / "layer"))

    tf.train.Checkpoint(layer=again).restore(path).assert_consumed()

    assert_close(entry.call(again, *inputs), entry.call(layer, *inputs), 1e-6)


def test_batch_in_a_graph_equals_one_by_one_eagerly(entry):
    layer, inputs = made(entry), inputs_of(entry, 3)
    together = tf.function(lambda *inputs: entry.call(layer, *inputs))(*inputs)
    for one in range(3):
        alone = entry.call(layer, *(part[one : one + 1] for part in inputs))
        assert_close(tf.nest.map_structure(lambda a, i=one: a[i : i + 1], together), alone)


def test_mixed_precision_computes_in_half_and_stays_close(entry):
    layer = made(entry)
    inputs = inputs_of(entry, 2)
    halves = [tf.cast(part, tf.bfloat16) for part in inputs]
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        half = entry.make()
        entry.call(half, *halves)
        half.set_weights(layer.get_weights())
        ours = entry.call(half, *halves)
    finally:
        keras.mixed_precision.set_global_policy("float32")

    assert_close_in_half(ours, entry.call(layer, *inputs))


MODELS = {"second paper": tiny.CONFIG, "first paper": tiny.FIRST_PAPER}


@pytest.mark.parametrize("name", MODELS)
def test_model_in_mixed_precision_stays_close_and_is_made_again_from_its_config(name):
    model, clip = tiny.shared(MODELS[name]), tiny.clip(2, batch=1)
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        half = build_model(MODELS[name])
    finally:
        keras.mixed_precision.set_global_policy("float32")
    half.set_weights(model.get_weights())
    again = type(half).from_config(json.loads(json.dumps(half.get_config())))
    again.set_weights(model.get_weights())

    ours = half(clip)

    assert {weight.dtype for weight in half.weights} == {tf.float32}
    assert_close_in_half(ours, model(clip))
    assert_close(again(clip), ours, 1e-6)
    assert again.get_config() == half.get_config()
    policies = [
        [part.dtype_policy.name for part in each.submodules if isinstance(part, keras.layers.Layer)]
        for each in (again, half)
    ]
    assert policies[0] == policies[1]
    assert keras.mixed_precision.global_policy().name == "float32"


@pytest.mark.parametrize("name", MODELS)
def test_all_variables_survive_saving(name, tmp_path):
    model = tiny.shared(MODELS[name])
    model.save_weights(tmp_path / "model.weights.h5")
    path = tf.train.Checkpoint(model=model).save(str(tmp_path / "model"))
    wanted, other = model.get_weights(), build_model(MODELS[name])
    for restore in (
        lambda: other.load_weights(tmp_path / "model.weights.h5"),
        lambda: tf.train.Checkpoint(model=other).restore(path).assert_consumed(),
    ):
        tiny.scramble(other, seed=1)
        restore()
        for ours, theirs in zip(other.get_weights(), wanted, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@keras.saving.register_keras_serializable(package="tests")
class Derived(LSTMSSD):
    """A model with a layer and a setting of its own."""

    def __init__(self, *args, factor=1.0, **kwargs):
        super().__init__(*args, **kwargs)
        self.factor = factor
        self.more = keras.layers.Dense(3)

    def call(self, *args, **kwargs):
        output = super().call(*args, **kwargs)
        logits = self.factor * self.more(output.predictions.class_logits)
        return output._replace(predictions=output.predictions._replace(class_logits=logits))

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


@pytest.mark.parametrize("kind", [LSTMSSD, Derived])
def test_whole_model_is_saved_and_loaded(kind, tmp_path):
    own = {"factor": 2.0} if kind is Derived else {}
    config = dataclasses.replace(tiny.FIRST_PAPER, labels=("ant", "bee"))
    model = kind(config, stateful_batch_size=2, **own)
    clip = tiny.clip(2)
    model(clip)
    tiny.scramble(model)
    model.freeze(["^large/"])
    loss = lstd.DetectionLoss.from_config(config)
    model.compile(lstd.build_optimizer(lstd.TrainConfig()), loss, accumulate_steps=3)
    model.optimizer.iterations.assign(7)

    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")

    model.reset_states()
    assert_close(again(clip), model(clip), 1e-6)
    assert type(again) is kind
    assert again.labels == ("ant", "bee")
    assert again.get_config() == model.get_config()
    assert again.get_compile_config() == model.get_compile_config()
    np.testing.assert_array_equal(again.loss.anchors, loss.anchors)
    assert again.loss.settings == loss.settings
    assert int(again.optimizer.iterations) == 7
    assert len(again.trainable_variables) == len(model.trainable_variables)
    assert len(keras.models.clone_model(model).weights) == len(model.weights)
