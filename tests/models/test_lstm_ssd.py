"""The model's own rules: who runs, who writes the state, and that all ways of calling agree."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from lstd.base.types import LSTMState
from lstd.layers.feature_maps import FineMap
from lstd.losses import DetectionLoss
from lstd.models.build import build_model
from lstd.models.count import convolutions
from lstd.ops.schedule import networks_of
from tests import tiny

# Other batch sizes take other convolution kernels; the reference states 5e-4 between kernel
# libraries. 1e-4 absolute and 1e-5 relative L2 are what the project promises.
ABSOLUTE, RELATIVE = 1e-4, 1e-5


@pytest.fixture(scope="module")
def model():
    return tiny.shared()


def assert_same(ours, theirs):
    for a, b in zip(tf.nest.flatten(ours), tf.nest.flatten(theirs), strict=True):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        assert a.shape == b.shape
        assert np.abs(a - b).max() < ABSOLUTE
        assert np.linalg.norm(a - b) <= RELATIVE * np.linalg.norm(b) + 1e-12


def loop_of_steps(model, clip, state, networks):
    outputs = []
    for frame in range(clip.shape[1]):
        output = model.step(clip[:, frame], state, network=networks[frame])
        state = output.state
        outputs.append(output.predictions)
    return tf.nest.map_structure(lambda *parts: tf.stack(parts, axis=1), *outputs), state


@pytest.mark.parametrize("schedule", ["LARGE", "SMALL", "SKIP3"])
def test_clip_equals_loop_of_steps(model, schedule):
    clip, state = tiny.clip(7), tiny.state(model)
    names = [("large", "small")[n] for n in networks_of(schedule, np.arange(7))]

    output = model(clip, state=state, networks=names)

    predictions, last = loop_of_steps(model, clip, state, names)
    assert_same(output.predictions, predictions)
    assert_same(output.state, last)


@pytest.mark.parametrize("cuts", [(1, 6), (2, 2, 3), (1,) * 7])
@pytest.mark.parametrize("schedule", ["SKIP3", "SMALL"])
def test_cutting_a_video_into_clips_changes_nothing(model, monkeypatch, cuts, schedule):
    monkeypatch.setattr(model, "eval_schedule", schedule)
    clip, state = tiny.clip(7), tiny.state(model)
    whole = model(clip, state=state)

    parts, first = [], 0
    for length in cuts:
        part = model(clip[:, first : first + length], state=state, first_frame=first)
        state, first = part.state, first + length
        parts.append(part.predictions)

    joined = tf.nest.map_structure(lambda *pieces: tf.concat(pieces, axis=1), *parts)
    assert_same(joined, whole.predictions)
    assert_same(state, whole.state)


def test_first_frame_can_be_a_number_or_a_tensor(model, monkeypatch):
    monkeypatch.setattr(model, "eval_schedule", "SKIP1")
    clip = tiny.clip(3)
    wanted = model(clip, networks=["small", "large", "small"])

    for first in (tf.constant(1), tf.constant([1]), tf.constant([1, 1]), 1):
        assert_same(model(clip, first_frame=first), wanted)
    graph = tf.function(lambda clip, first: model(clip, first_frame=first))
    assert_same(graph(clip, tf.constant(1)), wanted)


def test_first_frames_of_other_clips_are_refused(model):
    for first in ([0, 1, 0], tf.constant([0, 1, 0])):
        with pytest.raises(ValueError, match="numbers are for 3 clips, the batch has 2: give"):
            model(tiny.clip(3), first_frame=first)


def test_networks_that_differ_between_clips_equal_each_clip_alone(model):
    clip, state = tiny.clip(5, batch=3), tiny.state(model, 3)
    networks = np.array([[0, 1, 1, 0, 1], [1, 1, 0, 0, 1], [1, 1, 1, 1, 1]])

    together = model(clip, state=state, networks=networks)

    for one in range(3):
        alone = model(
            clip[one : one + 1],
            state=LSTMState(*(part[one : one + 1] for part in state)),
            networks=networks[one : one + 1],
        )
        assert_same(tf.nest.map_structure(lambda a, i=one: a[i : i + 1], together), alone)


@pytest.mark.parametrize("backbone", ["mobilenet_v2", "mobilenet_v1"])
def test_a_fine_map_adds_anchors_for_every_16_pixels_in_every_way_of_calling(backbone):
    is_first = backbone == "mobilenet_v1"
    config = dataclasses.replace(
        tiny.FINE, backbone=backbone, depth_multipliers=(0.25,) if is_first else (0.5, 0.35)
    )
    model = tiny.model(config, input_width=96)
    assert model.anchors.shape[0] == 3 * 4 * 6 + 6 * (2 * 3 + 1 * 2 + 1 + 1 + 1)
    clip, state = tiny.clip(5), tiny.state(model)
    numbers = np.zeros([2, 5], int) if is_first else np.array([[0, 1, 1, 0, 1], [1, 1, 0, 0, 1]])
    together = model(clip, state=state, networks=numbers)
    for one in range(2):
        own = LSTMState(*(part[one : one + 1] for part in state))
        names = [model.networks[number] for number in numbers[one]]
        steps, last = loop_of_steps(model, clip[one : one + 1], own, names)
        alone = tf.nest.map_structure(lambda a, i=one: a[i : i + 1], together)
        assert_same((alone.predictions, alone.state), (steps, last))


def test_the_fine_map_joins_what_is_seen_with_what_is_remembered():
    layer = FineMap(4, convolution={"batch_norm_epsilon": 0.0})
    rng = np.random.default_rng(0)
    seen, memory = rng.normal(size=(1, 4, 6, 4)), rng.normal(size=(1, 2, 3, 5))
    seen, memory = seen.astype(np.float32), memory.astype(np.float32)
    layer(seen, memory)
    tiny.scramble(layer)

    squeeze, bias = (part.numpy() for part in layer.squeeze.folded())
    known = (memory @ squeeze[0, 0] + bias).repeat(2, axis=1).repeat(2, axis=2)
    joined = np.clip(seen + known, 0, 6)
    padded = np.pad(joined, ((0, 0), (1, 1), (1, 1), (0, 0)))
    filters, bias = (part.numpy() for part in layer.depthwise.folded())
    filtered = sum(
        padded[:, y : y + 4, x : x + 6] * filters[y, x, :, 0] for y in range(3) for x in range(3)
    )
    expand, last = (part.numpy() for part in layer.expand.folded())
    expected = np.clip(np.clip(filtered + bias, 0, 6) @ expand[0, 0] + last, 0, 6)
    # Some 50 products of float32 up to 20 are summed.
    np.testing.assert_allclose(layer(seen, memory), expected, atol=2e-5)


def test_small_network_leaves_the_state_unchanged(model):
    state = tiny.state(model)

    output = model(tiny.clip(3), state=state, networks="small")

    np.testing.assert_array_equal(output.state.c, state.c)
    np.testing.assert_array_equal(output.state.h, state.h)


def test_large_network_changes_the_state_and_the_small_one_sees_it(model):
    clip, zeros = tiny.clip(2), model.initial_state(2)
    after_large = model.step(clip[:, 0], zeros, network="large").state

    with_memory = model.step(clip[:, 1], after_large, network="small").predictions
    without = model.step(clip[:, 1], zeros, network="small").predictions

    assert np.abs(after_large.c).max() > 0.1
    assert np.abs(with_memory.class_logits - without.class_logits).max() > 0.01


@pytest.mark.parametrize("network", [0, np.int32(1), [1, 1], np.array([[0], [0]])])
def test_network_of_a_step_can_be_a_number(model, network):
    frame, state = tiny.clip(1)[:, 0], tiny.state(model)
    name = ("large", "small")[np.ravel(network)[0]]

    output, named = (model.step(frame, state, choice) for choice in (network, name))

    for one, other in zip(tf.nest.flatten(output), tf.nest.flatten(named), strict=True):
        np.testing.assert_array_equal(one, other)


def test_gates_say_how_a_step_makes_the_state(model):
    frame, state = tiny.clip(1)[:, 0], tiny.state(model)

    gates = model.gates(frame, state)

    cell = state.c * gates.forget + gates.input * gates.candidate
    cell = np.clip(cell, 0, 6)  # the limits of clip_state, and relu6
    assert_same(model.step(frame, state).state, LSTMState(cell, cell * gates.output))
    small = model.gates(frame, state, "small")
    assert all(np.abs(a - b).max() > 0.01 for a, b in zip(gates, small, strict=True))


@pytest.mark.parametrize("network", ["medium", "cell", None, 0])
def test_features_and_gates_of_an_unknown_network_or_of_clips_are_refused(model, network):
    frame, message = tiny.clip(1)[:, 0], f"unknown network {network!r}; this model has large, "
    with pytest.raises(ValueError, match=message):
        model.features(frame, network)
    with pytest.raises(ValueError, match=message):
        model.gates(frame, tiny.state(model), network)
    with pytest.raises(ValueError, match=r"frames must be \[B, H, W, C\]"):
        model.features(tiny.clip(1), "large")


@pytest.mark.parametrize("network", ["large", "small"])
def test_step_runs_the_convolutions_of_one_backbone(model, network):
    step = tf.function(lambda frame, c, h: model.step(frame, LSTMState(c, h), network=network))
    specs = [tf.TensorSpec((1, *shape)) for shape in [(64, 64, 3), (2, 2, 16), (2, 2, 16)]]

    traced = step.get_concrete_function(*specs)

    used = {id(variable) for variable in traced.graph.variables}
    other = model.small if network == "large" else model.large
    assert not used & {id(variable) for variable in other.variables}
    # A MobileNetV2 of 17 blocks, the first without expansion; bottleneck, gates, maps, heads.
    assert len(convolutions(traced)) == (1 + 17 * 3 - 1) + (4 * 2 + 1 + 4) + (1 + 4) + 4 * 2 + 5 * 4


def test_a_backbone_that_no_frame_asks_for_does_not_run_in_a_mixed_graph(model, monkeypatch):
    seen = []
    call = type(model.large).call

    def watched(self, inputs, training=False):
        seen.append(self.name)
        return call(self, inputs, training)

    monkeypatch.setattr(type(model.large), "call", watched)
    model(tiny.clip(3), networks=np.array([[1, 1, 1], [1, 1, 0]])[:1])
    assert seen == ["small"]


@pytest.fixture(scope="module")
def stateful():
    return tiny.model(stateful=True, batch_size=2)


def test_stateful_model_carries_on_where_it_stopped(model, stateful):
    stateful.reset_states()
    clip = tiny.clip(6)
    whole = model(clip)

    first, second = stateful(clip[:, :3]), stateful(clip[:, 3:])

    joined = tf.concat([first.predictions.class_logits, second.predictions.class_logits], axis=1)
    assert_same(joined, whole.predictions.class_logits)
    stateful.reset_states()
    assert_same(stateful(clip).predictions, whole.predictions)


def test_call_with_a_state_leaves_the_carried_one_alone(stateful, monkeypatch):
    monkeypatch.setattr(stateful, "eval_schedule", "SKIP1")
    stateful.reset_states()
    clip, state = tiny.clip(3), tiny.state(stateful)
    stateful(clip)  # The carried counter stands at 3, an odd number.
    carried = stateful._carried[False].c.numpy()

    output = stateful(clip, state=state)

    assert_same(output, stateful(clip, state=state, networks=["large", "small", "large"]))
    one = LSTMState(*(part[:1] for part in state))  # Not the batch size of the carried state.
    assert_same(
        stateful(clip[:1], state=one, first_frame=1),
        stateful(clip[:1], state=one, networks=["small", "large", "small"]),
    )
    stateful.step(clip[:1, 0], one)
    np.testing.assert_array_equal(stateful._carried[False].frame, [3, 3])
    np.testing.assert_array_equal(stateful._carried[False].c, carried)


def test_carried_state_is_in_no_weights_and_no_checkpoint(model, stateful, tmp_path):
    assert [w.shape for w in stateful.weights] == [w.shape for w in model.weights]
    path = tf.train.Checkpoint(model=stateful).save(str(tmp_path / "checkpoint"))
    names = [name for name, _ in tf.train.list_variables(path)]
    assert not [name for name in names if "carried" in name]


def test_stateful_model_refuses_another_batch_size(stateful):
    with pytest.raises(ValueError, match="built for batch_size 2, got a batch of 3"):
        stateful(tiny.clip(2, batch=3))


def test_starts_forget_what_was_before(model):
    (clip, _), state = tiny.batch(4), tiny.state(model)
    starts = np.zeros((2, 4), bool)
    starts[1, 2] = True
    clip = clip._replace(starts=tf.constant(starts))
    networks = [["large", "small", "large", "small"]]

    output = model(clip, state=state, networks=networks[0])

    untouched = model(clip.frames, state=state, networks=networks[0]).predictions
    fresh = model(clip.frames[:, 2:], networks=networks[0][2:]).predictions
    logits = output.predictions.class_logits
    assert_same(logits[0], untouched.class_logits[0])
    assert_same(logits[1, :2], untouched.class_logits[1, :2])
    assert_same(logits[1, 2:], fresh.class_logits[1])


def test_schedule_counts_frames_of_the_video_or_of_the_unroll(model, monkeypatch):
    clip = tiny.clip(2)
    assert model.eval_schedule == "SKIP3"
    assert_same(model(clip, first_frame=3), model(clip, networks=["small", "large"]))
    assert_same(model(clip, first_frame=[3, 3]), model(clip, networks=["small", "large"]))
    monkeypatch.setattr(model, "schedule_counts", "unroll")
    assert_same(model(clip, first_frame=3), model(clip, networks=["large", "small"]))


def test_graph_that_knows_no_size_of_the_frames_equals_eager(model):
    @tf.function(input_signature=[tf.TensorSpec([None, 2, None, None, 3], tf.uint8)])
    def call(clip):
        return model(clip, networks=["large", "small"])

    for size in (64, 96):
        clip = tiny.clip(2, size=size)
        assert_same(call(clip), model(clip, networks=["large", "small"]))


def test_evaluate_takes_frames_of_one_size_after_another():
    model = compiled(tiny.model(tiny.FIRST_PAPER))
    clip, truth = tiny.batch(2)
    large = clip._replace(frames=tf.repeat(tf.repeat(clip.frames, 2, axis=2), 2, axis=3))

    losses = [
        model.evaluate(tf.data.Dataset.from_tensors((each, truth)), verbose=0)
        for each in (clip, large, clip)
    ]

    # The resize of TF1 takes every second pixel of the doubled ones: the same frames again.
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    np.testing.assert_allclose(losses[2], losses[0], rtol=1e-5)


def test_single_backbone_knows_only_large():
    model = tiny.shared(tiny.FIRST_PAPER)
    clip = tiny.clip(3)

    output = model(clip)

    assert model.networks == ("large",)
    predictions, last = loop_of_steps(model, clip, None, ["large"] * 3)
    assert_same(output.predictions, predictions)
    assert_same(output.state, last)
    assert_same(model(clip, networks=tf.zeros((2, 3), tf.int32)).predictions, output.predictions)
    for networks in ("small", np.array([[0, 1, 0]] * 2), tf.constant([[0, 1, 0]] * 2)):
        with pytest.raises(ValueError, match=r"large|0 to 0"):
            model(clip, networks=networks)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((2, 64, 64, 3), np.uint8), r"\[B, T, H, W, C\]"),
        (np.zeros((1, 2, 64, 64, 3), np.float64), "uint8 or float32"),
        (np.zeros((1, 0, 64, 64, 3), np.float32), "above 0"),
        (np.zeros((1, 2, 64, 64, 2), np.float32), "channels"),
    ],
)
def test_frames_of_a_wrong_form_are_refused(model, frames, message):
    with pytest.raises(ValueError, match=message):
        model(frames)


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        ("medium", "unknown network 'medium'; this model has large, small"),
        (["large"], "are for 1 frames, the clip has 2"),
        (np.array([[0, 2]]), "holds 0 to 2"),
        (np.array([0, 1]), r"int array \[B, T\]"),
        (np.array([[0, 1]] * 3), "are for 3 clips, the batch has 2"),
        (np.array([[0, 1], [1, 0], [0, 1]]), "are for 3 clips, the batch has 2"),
        (tf.constant([[0, 1]] * 3), "are for 3 clips, the batch has 2"),
        (tf.constant([[0.0, 1.0]] * 2), "got an array of float32"),
    ],
)
def test_networks_of_a_wrong_form_are_refused(model, networks, message):
    with pytest.raises(ValueError, match=message):
        model(tiny.clip(2), networks=networks)


def compiled(model, **options):
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3, jit_compile=False),
        loss=DetectionLoss.from_config(model.config),
        **options,
    )
    return model


@pytest.mark.slow  # test_turns trains both networks in less time
@pytest.mark.parametrize("schedule", ["RANDOM", "SKIP1"])
def test_fit_lowers_the_loss(schedule):
    model = compiled(tiny.model(train_schedule=schedule, stateful=True, batch_size=2))
    dataset = tf.data.Dataset.from_tensors(tiny.batch(2)).repeat()

    history = model.fit(dataset, steps_per_epoch=8, epochs=3, verbose=0).history

    parts = ("localization", "classification", "regularization")
    assert set(history) == {"loss", *parts, "gradient_norm"}
    assert history["loss"][-1] < 0.9 * history["loss"][0]
    sums = np.sum([history[part] for part in parts], axis=0)
    np.testing.assert_allclose(history["loss"], sums, rtol=1e-4)


def test_every_class_starts_with_the_score_that_is_asked_for():
    heads = dataclasses.replace(tiny.CONFIG.box_predictor, class_prior=0.01)
    model = build_model(dataclasses.replace(tiny.CONFIG, box_predictor=heads))
    scores = tf.sigmoid(model(tiny.clip(1), networks="large").predictions.class_logits).numpy()
    np.testing.assert_allclose(scores[..., 0], 0.99, atol=0.005)  # the background
    np.testing.assert_allclose(scores[..., 1:], 0.01, atol=0.005)


def test_backbone_without_frames_keeps_its_weights_and_statistics():
    without_l2 = dataclasses.replace(tiny.CONFIG.feature_extractor, l2_weight=0.0)
    model = tiny.model(train_schedule="SMALL", feature_extractor=without_l2)
    compiled(model, run_eagerly=True)
    before = [w.numpy() for w in model.large.weights]
    small = [w.numpy() for w in model.small.weights]

    model.fit(tf.data.Dataset.from_tensors(tiny.batch(2)), verbose=0)

    for old, new in zip(before, model.large.weights, strict=True):
        np.testing.assert_array_equal(old, new)
    assert any(
        (old != new.numpy()).any() for old, new in zip(small, model.small.weights, strict=True)
    )


def test_training_carries_the_state_from_batch_to_batch_and_validation_does_not_disturb_it():
    dataset = tf.data.Dataset.from_tensors(tiny.batch(2, starts=False))
    model = tiny.model(tiny.FIRST_PAPER, stateful=True, batch_size=2)
    compiled(model, run_eagerly=True)
    model.fit(dataset, verbose=0)
    carried = [part.numpy() for part in model._carried[True].read()]

    model.evaluate(dataset, verbose=0)

    assert np.abs(carried[0]).max() > 0.1
    np.testing.assert_array_equal(model._carried[True].c, carried[0])
    assert np.abs(model._carried[False].c.numpy() - carried[0]).max() > 1e-3


@pytest.mark.parametrize(
    ("initializer", "loudness"), [("truncated_normal", (0, 1e-4)), ("variance_scaling", (0.03, 1))]
)
def test_the_memory_is_as_loud_as_its_initializer_says(initializer, loudness):
    keras.utils.set_random_seed(0)
    model = build_model(dataclasses.replace(tiny.CONFIG, memory_initializer=initializer))
    features = tf.random.stateless_uniform([2, 2, 2, 1280], seed=[0, 1], maxval=3.46)  # std 1
    zeros = tf.zeros([2, 2, 2, tiny.CONFIG.state_depth])
    bottleneck = model.small_bottleneck(features[..., : model.small_bottleneck.input_depth], zeros)
    _, state = model.cell(bottleneck, LSTMState(zeros, zeros))
    low, high = loudness
    assert low < np.std(state.h) < high
