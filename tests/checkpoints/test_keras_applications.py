"""Weights of keras.applications: filled by name, refused with the numbers."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from lstd.checkpoints.keras_applications import load_backbone_weights
from tests import tiny
from tests.golden.reference import SHARED

BACKBONES = SHARED / "data" / "backbones"


@pytest.fixture(scope="module")
def applications(tmp_path_factory):
    """Returns functional models of keras.applications and their weight files, random weights."""
    made = {}
    for name, build, alpha in (
        ("v2", keras.applications.MobileNetV2, 0.5),
        ("v1", keras.applications.MobileNet, 0.25),
    ):
        keras.utils.set_random_seed(3)
        model = build(input_shape=(64, 64, 3), alpha=alpha, include_top=False, weights=None)
        tiny.scramble(model, seed=3)
        path = tmp_path_factory.mktemp(name) / "weights.h5"
        model.save_weights(path)
        made[name] = (model, path)
    return made


@pytest.mark.parametrize(("name", "config"), [("v2", tiny.CONFIG), ("v1", tiny.FIRST_PAPER)])
def test_backbone_then_computes_what_the_application_computes(applications, name, config):
    theirs, path = applications[name]
    model = tiny.model(config)
    image = tf.constant(np.random.default_rng(0).uniform(-1, 1, (2, 64, 64, 3)), tf.float32)

    report = load_backbone_weights(model, "large", path)

    layer = "block_16_project_BN" if name == "v2" else "conv_pw_13_relu"
    expected = keras.Model(theirs.input, theirs.get_layer(layer).output)(image)
    # The same float32 sums in another order through 18 layers: 1e-5 of numbers of size 1.
    np.testing.assert_allclose(model.large(image), expected, atol=2e-4, rtol=1e-4)
    assert len(report.filled) == len(model.large.weights)


def test_other_shapes_are_refused_with_the_numbers(applications):
    for network, changes, told in (
        (
            "small",
            {},
            r"depth multiplier 0\.5 \(160 channels .* network has \[3\] and 0\.35 \(112\)",
        ),
        ("large", {"input_channels": 1}, r"made for input channels \[3\] .* has \[1\] and 0\.5"),
        ("large", {"min_depth": 64, "state_depth": 64}, "min_depth 64 where .* has 8; 206 arrays"),
    ):
        model = tiny.model(**changes) if changes else tiny.shared()
        with pytest.raises(ValueError, match=told):
            load_backbone_weights(model, network, applications["v2"][1])


@pytest.mark.parametrize(
    ("network", "name", "message"),
    [
        ("medium", "v2", "this model has large, small"),
        ("large", "v1", "arrays are missing"),
        ("large", None, "not a readable HDF5 file of weights"),
    ],
)
def test_what_cannot_be_used_is_refused(applications, tmp_path, network, name, message):
    path = tmp_path / "missing.h5" if name is None else applications[name][1]
    with pytest.raises(ValueError, match=message):
        load_backbone_weights(tiny.shared(), network, path)


@pytest.mark.parametrize(
    ("file", "config", "multiplier"),
    [
        ("mobilenet_v1_1.0.h5", tiny.FIRST_PAPER, 1.0),
        ("mobilenet_v2_1.0.h5", tiny.CONFIG, 1.0),
        ("mobilenet_v2_1.4.h5", tiny.CONFIG, 1.4),
    ],
)
def test_published_weights_fill_the_large_backbone(file, config, multiplier):
    path = BACKBONES / file
    if not path.exists():
        pytest.skip(f"{file} is not beside the project")
    multipliers = (multiplier, *config.depth_multipliers[1:])
    model = tiny.model(config, depth_multipliers=multipliers)

    report = load_backbone_weights(model, "large", path)

    assert len(report.filled) == len(model.large.weights)
