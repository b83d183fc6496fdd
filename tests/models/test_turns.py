"""Which network sees which frame, where the number of large frames of a clip is fixed."""

import collections
import dataclasses

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

import lstd
from lstd.models import turns
from tests import tiny


def drawn(*, clips, frames, large_frames, seed=0):
    generator = tf.random.Generator.from_seed(seed)
    return turns.from_schedule(
        "RANDOM",
        np.arange(frames)[np.newaxis],
        clip=tf.zeros([clips, frames, 1]),
        large_probability=0.5,
        uniform=generator.uniform,
        large_frames=large_frames,
    )


TWO_CLIPS = tf.TensorSpec([2, 3, 4, 4, 3], tf.uint8)
ANY_CLIPS = tf.TensorSpec([None, 3, 4, 4, 3], tf.uint8)


def chosen(networks, *, clips, clip_spec, networks_spec):
    """Returns the networks of each frame, as a graph of these specifications finds them."""

    @tf.function(input_signature=[networks_spec, clip_spec])
    def graph(networks, clip):
        return turns.from_user(networks, clip=clip, available=turns.NAMES).networks

    frames = np.zeros((clips, *clip_spec.shape[1:]), np.uint8)
    return graph(tf.constant(networks, networks_spec.dtype), frames).numpy()


@pytest.mark.parametrize("clip_spec", [TWO_CLIPS, ANY_CLIPS])
@pytest.mark.parametrize("rows", [1, 2, None])
def test_networks_that_the_graph_does_not_know_are_of_all_clips(clip_spec, rows):
    networks = [[0, 1, 0], [1, 1, 0]][: rows or 2]
    spec = tf.TensorSpec([rows, None], tf.int64)

    found = chosen(networks, clips=2, clip_spec=clip_spec, networks_spec=spec)

    np.testing.assert_array_equal(found, np.broadcast_to(networks, [2, 3]))


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        ([[0, 2, 0], [0, 1, 0]], "this model knows 0 to 1"),
        ([[0, -1, 0], [0, 1, 0]], "this model knows 0 to 1"),
        ([[0, 1, 0]] * 3, "one row for each clip"),
        ([[0, 1]] * 2, "is not compatible with expected shape"),
    ],
)
def test_wrong_networks_that_only_the_running_graph_knows_are_refused(networks, message):
    spec = tf.TensorSpec([None, None], tf.int32)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        chosen(networks, clips=2, clip_spec=ANY_CLIPS, networks_spec=spec)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (tf.TensorSpec([3, 3], tf.int32), "are for 3 clips, the batch has 2"),
        (tf.TensorSpec([2, 2], tf.int32), "are for 2 frames, the clip has 3"),
        (tf.TensorSpec([2, 3], tf.float32), "got an array of float32"),
        (tf.TensorSpec([3], tf.int32), r"int array \[B, T\], got .* with shape \(3,\)"),
        (tf.TensorSpec(None, tf.int32), r"int array \[B, T\], got .* with shape <unknown>"),
    ],
)
def test_networks_whose_form_is_wrong_are_refused_when_the_graph_is_built(spec, message):
    with pytest.raises(ValueError, match=message):
        tf.function(
            lambda networks, clip: (
                turns.from_user(networks, clip=clip, available=turns.NAMES).networks
            )
        ).get_concrete_function(spec, TWO_CLIPS)


def test_networks_that_the_graph_holds_as_a_constant_are_known_to_it():
    @tf.function
    def graph():
        networks = tf.constant([[0, 1, 0]] * 2)
        choice = turns.from_user(networks, clip=tf.zeros([2, 3, 1]), available=turns.NAMES)
        assert [choice.static(frame) for frame in range(3)] == ["large", "small", "large"]

    graph()


def test_unfold_undoes_fold_where_the_graph_knows_no_size():
    @tf.function(input_signature=[tf.TensorSpec([None, 3, None, None, 2], tf.int32)])
    def there_and_back(clip):
        images = turns.fold(clip)
        assert images.shape.as_list() == [None, None, None, 2]
        result = turns.unfold(images, 3)
        assert result.shape.as_list() == [None, 3, None, None, 2]
        return images, result

    clip = np.arange(2 * 3 * 4 * 5 * 2, dtype=np.int32).reshape(2, 3, 4, 5, 2)
    images, result = there_and_back(clip)

    np.testing.assert_array_equal(images[1], clip[1, 0])  # time-major: the next is the next clip
    np.testing.assert_array_equal(result, clip)


def test_all_sets_of_frames_are_drawn_alike():
    networks = drawn(clips=6000, frames=4, large_frames=2).networks.numpy()

    counts = collections.Counter(map(tuple, networks))
    assert len(counts) == 6
    # 1000 each; the standard deviation is sqrt(6000 * 1/6 * 5/6) = 29, and five of them are 145.
    assert all(abs(count - 1000) < 145 for count in counts.values())


def test_each_network_sees_its_frames_in_the_order_in_which_it_does_without_a_fixed_number():
    choice = drawn(clips=3, frames=4, large_frames=1)
    images = tf.reshape(tf.range(12.0), [12, 1, 1, 1])
    seen = []

    def run(images, name):
        seen.append((name, images.numpy().ravel().tolist()))
        return (images * (10.0 if name == "large" else -1.0),)

    results = [
        turns.scheduled(
            run, images, each, num_frames=4, result_shapes=[(1, 1, 1)], dtype=tf.float32
        )[0].numpy()
        for each in (choice, turns.Choice(choice.networks))
    ]

    assert [len(images) for _, images in seen[:2]] == [3, 9]
    assert seen[:2] == seen[2:]
    np.testing.assert_array_equal(*results)
    numbers = turns.unfold(images, 4).numpy()
    large = choice.networks.numpy()[..., np.newaxis, np.newaxis, np.newaxis] == 0
    np.testing.assert_array_equal(results[0], np.where(large, 10 * numbers, -numbers))


@pytest.mark.parametrize("large_frames", [0, 2])
def test_large_first_gives_frames_of_number_0_to_the_large_network(large_frames):
    numbers = np.array([[0, 1, 2, 3], [4, 5, 6, 7]] * 500, np.int32)

    networks = turns.from_schedule(
        "RANDOM",
        tf.constant(numbers),
        clip=tf.zeros([1000, 4, 1]),
        large_probability=0.5,
        large_frames=large_frames,
        large_first=True,
        uniform=lambda shape: tf.random.stateless_uniform(shape, [0, 1]),
    ).networks.numpy()

    assert (networks[::2, 0] == 0).all()
    # Four standard deviations: the other clips are as without it.
    assert networks[1::2].mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("large_frames", [4, 7])
def test_a_number_that_leaves_no_frame_to_the_small_network_is_refused(large_frames):
    with pytest.raises(ValueError, match=f"large_frames is {large_frames}.*from 1 to 3 can be"):
        drawn(clips=2, frames=4, large_frames=large_frames)


@pytest.fixture(scope="module")
def model():
    """Returns a model whose step is compiled, and looked at before it has moved anything."""
    model = tiny.model(stateful=True, batch_size=2, large_frames=2)
    optimizer = keras.optimizers.Adam(0.003, jit_compile=False)
    model.compile(optimizer, lstd.DetectionLoss.from_config(tiny.CONFIG))
    return model


def test_bare_frames_of_several_clips_are_drawn_for_each_clip(model, monkeypatch):
    monkeypatch.setattr(model, "large_frames", 0)
    frames = tiny.clip(4, batch=3)
    output = model(frames, model.initial_state(3), training=True)
    assert output.predictions.class_logits.shape[:2] == (3, 4)


def test_validation_follows_its_own_schedule(model, monkeypatch):
    frames, state = tiny.clip(4), model.initial_state(2)
    monkeypatch.setattr(model, "eval_schedule", "LARGE")
    for one, other in zip(
        tf.nest.flatten(model(frames, state)),
        tf.nest.flatten(model(frames, state, networks="large")),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def open_shapes(graph):
    """Returns the tensors whose shapes depend on values, but for what batch norm keeps for itself.

    The last output of a fused batch norm is scratch space of its kernel, of unknown shape.
    """
    return [
        tensor.name
        for operation in graph.get_operations()
        for tensor in operation.outputs
        if tensor.shape.rank is not None and not tensor.shape.is_fully_defined()
    ]


def test_step_with_a_fixed_number_has_static_shapes_and_trains_both_networks(model):
    batch = tiny.batch()
    before = [model.large.weights[0].numpy(), model.small.weights[0].numpy()]
    step = tf.function(model.train_step)
    assert open_shapes(step.get_concrete_function(batch).graph) == []
    assert open_shapes(tf.function(tf.where).get_concrete_function(tf.TensorSpec([3])).graph)

    losses = []
    for _ in range(2):
        model.reset_metrics()
        losses.append([step(batch)["loss"].numpy() for _ in range(6)][-1])

    assert losses[1] < losses[0]
    assert (model.large.weights[0].numpy() != before[0]).any()
    assert (model.small.weights[0].numpy() != before[1]).any()


def test_schedules_that_are_set_anew_are_saved_with_the_model(model, monkeypatch):
    monkeypatch.setattr(model, "eval_schedule", "LARGE")
    monkeypatch.setattr(model, "large_frames", 1)

    again = lstd.LSTMSSD.from_config(model.get_config())

    assert (again.large_frames, again.eval_schedule) == (1, "LARGE")
    assert again.train_schedule == model.train_schedule


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"large_frames": -1}, r"large_frames\n  Input should be greater than or equal to 0"),
        ({"large_frames": 1, "train_schedule": "SKIP3"}, "needs train_schedule RANDOM"),
        ({"large_frames": 1, "large_probability": 0.3}, "exclude each other"),
        ({"large_frames": 1, "depth_multipliers": (1.0,)}, "needs two backbones"),
    ],
)
def test_config_refuses_what_contradicts_a_fixed_number(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(tiny.CONFIG, **changes)


def test_config_refuses_a_number_that_does_not_fit_the_clips():
    model = dataclasses.replace(tiny.CONFIG, large_frames=4)

    with pytest.raises(ValueError, match=r"large_frames is 4, but clips have 4 frames \(data"):
        lstd.Config(model=model)
