"""Flips, colours, covers and blur: what happens to the pixels, and to the boxes."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from lstd.config import augmentation_config as names
from lstd.data import augment_pixels
from lstd.data.scene import Scene
from tests.data.drawn import BOXES, drawn_scene, found, scene_of

SEED = tf.constant([3, 4], tf.int64)


def painted(settings: object, scene: Scene, seed: tf.Tensor = SEED) -> Scene:
    return getattr(augment_pixels, settings.name)(settings, scene, seed)


@pytest.fixture(scope="module")
def picture() -> tf.Tensor:
    return tf.random.stateless_uniform([2, 12, 16, 3], seed=[1, 1], maxval=255.0)


# Flips.

FLIPS = names.HorizontalFlip(), names.VerticalFlip(), names.Transpose()


@pytest.mark.parametrize("flip", FLIPS, ids=lambda flip: flip.name)
def test_a_flip_moves_boxes_as_it_moves_pixels_and_twice_is_nothing(flip: object) -> None:
    scene = drawn_scene(BOXES, 9, 9)

    flipped = painted(flip, scene)
    again = painted(flip, flipped)

    for number in range(3):
        pixels = flipped.boxes[0, number].numpy() * 9
        np.testing.assert_allclose(pixels, found(flipped.frames[0].numpy(), number + 1), atol=1e-5)
    np.testing.assert_array_equal(flipped.reference, flipped.boxes[0])
    np.testing.assert_array_equal(again.frames, scene.frames)
    np.testing.assert_allclose(again.boxes, scene.boxes, atol=1e-6)  # one subtraction from 1


def test_known_flips() -> None:
    scene = scene_of(tf.reshape(tf.range(6), [1, 2, 3, 1]), [[0.0, 0.25, 0.5, 1.0]])

    flipped = painted(names.HorizontalFlip(), scene)
    np.testing.assert_array_equal(flipped.frames[0, :, :, 0], [[2, 1, 0], [5, 4, 3]])
    np.testing.assert_array_equal(flipped.boxes[0], [[0, 0, 0.5, 0.75]])
    flipped = painted(names.VerticalFlip(), scene)
    np.testing.assert_array_equal(flipped.frames[0, :, :, 0], [[3, 4, 5], [0, 1, 2]])
    np.testing.assert_array_equal(flipped.boxes[0], [[0.5, 0.25, 1, 1]])


# Colours, against NumPy. The number that was drawn is found from the result.


def test_brightness_adds_one_number_within_its_bounds(picture: tf.Tensor) -> None:
    middle = picture * 0.5 + 60  # so that nothing is cut
    added = set()
    for number in range(20):
        seed = tf.constant([number, 1], tf.int64)
        result = painted(names.Brightness(max_delta=0.2), scene_of(middle), seed).frames
        difference = (result - middle).numpy()
        np.testing.assert_allclose(difference, difference[0, 0, 0, 0], atol=1e-3)
        added.add(round(float(difference[0, 0, 0, 0]), 1))
    assert min(added) < -20
    assert max(added) > 20
    assert max(map(abs, added)) <= 0.2 * 255 + 0.1


def test_contrast_multiplies_the_distance_from_each_mean(picture: tf.Tensor) -> None:
    middle = picture * 0.3 + 90
    result = painted(
        names.Contrast(min_factor=0.5, max_factor=0.9), scene_of(middle)
    ).frames.numpy()
    mean = middle.numpy().mean(axis=(1, 2), keepdims=True)
    factor = (result - mean) / (middle.numpy() - mean)
    np.testing.assert_allclose(factor, np.median(factor), rtol=1e-2)  # near the mean: rounding
    assert 0.5 <= np.median(factor) <= 0.9


def test_gamma_is_a_power(picture: tf.Tensor) -> None:
    result = painted(names.Gamma(min_factor=1.5, max_factor=2.0), scene_of(picture)).frames.numpy()
    source = picture.numpy()
    use = (source > 20) & (source < 230)
    power = np.log(result[use] / 255) / np.log(source[use] / 255)
    np.testing.assert_allclose(power, power[0], rtol=1e-3)
    assert 1.5 <= power[0] <= 2.0


def _hsv(frames: np.ndarray) -> np.ndarray:
    return tf.image.rgb_to_hsv(frames / 255).numpy()


def test_saturation_multiplies_saturation_and_nothing_else(picture: tf.Tensor) -> None:
    result = painted(
        names.Saturation(min_factor=0.3, max_factor=0.6), scene_of(picture)
    ).frames.numpy()
    before, after = _hsv(picture.numpy()), _hsv(result)
    factor = after[..., 1] / before[..., 1]
    np.testing.assert_allclose(factor, factor[0, 0, 0], rtol=1e-3)
    np.testing.assert_allclose(after[..., 2], before[..., 2], atol=1e-4)
    assert 0.3 <= factor[0, 0, 0] <= 0.6


def test_hue_turns_the_hue_and_nothing_else(picture: tf.Tensor) -> None:
    turned = set()
    for number in range(6):
        seed = tf.constant([number, 1], tf.int64)
        result = painted(names.Hue(max_delta=0.1), scene_of(picture), seed).frames.numpy()
        before, after = _hsv(picture.numpy()), _hsv(result)
        turn = (after[..., 0] - before[..., 0] + 0.5) % 1 - 0.5
        np.testing.assert_allclose(turn, turn[0, 0, 0], atol=2e-3)  # hue of nearly grey pixels
        np.testing.assert_allclose(after[..., 1:], before[..., 1:], atol=1e-3)
        turned.add(round(float(turn[0, 0, 0]), 3))
    assert len(turned) == 6
    assert max(map(abs, turned)) <= 0.101


def test_grayscale_has_three_equal_channels(picture: tf.Tensor) -> None:
    result = painted(names.Grayscale(), scene_of(picture)).frames.numpy()
    grey = picture.numpy() @ np.float32([0.2989, 0.587, 0.114])
    np.testing.assert_allclose(result, np.repeat(grey[..., np.newaxis], 3, axis=-1), atol=0.1)


def test_noise_differs_from_frame_to_frame_and_has_one_strength() -> None:
    grey = tf.fill([3, 64, 64, 3], 128.0)
    noise = names.Noise(max_stddev=10.0)
    result = painted(noise, scene_of(grey)).frames.numpy() - 128
    later = painted(noise, scene_of(grey, first=3)).frames.numpy() - 128
    deviations = [frame.std() for frame in (*result, *later)]
    np.testing.assert_allclose(deviations, deviations[0], rtol=0.05)  # 12,288 samples: 0.6 %
    assert 0 < deviations[0] < 10
    assert not np.array_equal(result[0], result[1])
    assert not np.array_equal(result, later)
    assert abs(result.mean()) < 0.2


@pytest.mark.parametrize(
    "settings",
    [
        names.Brightness(max_delta=1.0),
        names.Contrast(min_factor=5.0, max_factor=9.0),
        names.Saturation(min_factor=5.0, max_factor=9.0),
        names.Noise(max_stddev=255.0),
    ],
)
def test_pixels_stay_in_their_range(settings: object, picture: tf.Tensor) -> None:
    frames = painted(settings, scene_of(picture)).frames.numpy()
    assert frames.min() >= 0
    assert frames.max() <= 255


def test_grey_frames_have_no_colours_to_change(picture: tf.Tensor) -> None:
    grey = scene_of(picture[..., :1])
    for settings in (names.Hue(max_delta=0.5), names.Saturation(), names.Grayscale()):
        np.testing.assert_array_equal(painted(settings, grey).frames, grey.frames)


# Covers.


def erasing(**values: object) -> object:
    options = {
        "max_count": 1,
        **{"min_area": 0.1, "max_area": 0.2},
        **{"min_aspect_ratio": 0.5, "max_aspect_ratio": 2.0},
        "fill": "black",
        "min_visible": 0.0,
    }
    return names.RandomErasing(**{**options, **values})


def test_erasing_paints_a_rectangle_of_the_bounds_into_all_frames() -> None:
    white = tf.fill([2, 100, 200, 3], 255.0)
    for number in range(10):
        result = painted(
            erasing(), scene_of(white), tf.constant([number, 1], tf.int64)
        ).frames.numpy()
        np.testing.assert_array_equal(result[0], result[1])
        ymin, xmin, ymax, xmax = found((result[0] == 0).astype(np.uint8), 1)
        height, width = ymax - ymin, xmax - xmin
        assert (result[0] == 0).sum() == height * width * 3
        assert 0.09 <= height * width / 20000 <= 0.21  # whole pixels
        assert 0.45 <= width / height <= 2.2


def test_erasing_paints_up_to_so_many_rectangles() -> None:
    white = tf.fill([1, 100, 100, 3], 255.0)
    shares = []
    for number in range(30):
        seed = tf.constant([number, 1], tf.int64)
        change = erasing(max_count=3, min_area=0.02, max_area=0.02)
        shares.append(float((painted(change, scene_of(white), seed).frames == 0).numpy().mean()))
    assert min(shares) < 0.025
    assert max(shares) > 0.05


@pytest.mark.parametrize(
    ("fill", "expected"), [("gray", 128), ("black", 0), ("mean", 200), ("noise", None)]
)
def test_what_is_painted(fill: str, expected: int | None) -> None:
    frames = tf.fill([2, 40, 40, 3], 200.0)
    result = painted(erasing(fill=fill), scene_of(frames)).frames.numpy()
    inside = result[0][result[0] != 200]
    if expected is None:
        assert inside.std() > 50
        np.testing.assert_array_equal(result[0], result[1])
    else:
        assert set(np.round(np.unique(result)).astype(int)) == {expected, 200}


def test_objects_that_erasing_hides_can_be_left_out() -> None:
    boxes = [[y / 10, x / 10, (y + 1) / 10, (x + 1) / 10] for y in range(10) for x in range(10)]
    white = tf.fill([1, 100, 100, 1], 255.0)
    result = painted(erasing(min_visible=0.5), scene_of(white, boxes))
    mask = result.frames[0, ..., 0].numpy() == 0
    share = mask.reshape(10, 10, 10, 10).mean(axis=(1, 3)).reshape(-1)
    np.testing.assert_array_equal(result.keep[0], 1 - share >= 0.5)
    assert 0 < result.keep.numpy().sum() < 100
    assert painted(erasing(), scene_of(white, boxes)).keep.numpy().all()


def test_a_patch_lies_at_its_side() -> None:
    box = tf.constant([[0.2, 0.4, 0.6, 0.6]] * 4)
    patches = augment_pixels.patch(
        box, share=tf.constant([0.25] * 4), side=tf.constant([0.1, 0.3, 0.6, 0.9])
    )
    expected = [
        [0.2, 0.4, 0.3, 0.6],  # top
        [0.2, 0.4, 0.6, 0.45],  # left
        [0.5, 0.4, 0.6, 0.6],  # bottom
        [0.2, 0.55, 0.6, 0.6],  # right
    ]
    np.testing.assert_allclose(patches, expected, atol=1e-6)


def occluding(**values: object) -> object:
    options = {
        "object_probability": 1.0,
        **{"min_share": 0.5, "max_share": 0.5},
        "period": 4,
        "duration": 2,
        "fill": "black",
    }
    return names.Occlusion(**{**options, **values})


def test_occlusion_hides_a_share_of_a_box_for_a_while_again_and_again() -> None:
    white = tf.fill([12, 80, 80, 1], 255.0)
    box = [0.25, 0.25, 0.75, 0.75]
    result = painted(occluding(), scene_of(white, [box]))
    hidden = (result.frames.numpy() == 0)[..., 0]
    inside = hidden[:, 20:60, 20:60].mean(axis=(1, 2))
    assert hidden.sum() == hidden[:, 20:60, 20:60].sum()
    assert set(np.round(inside, 3)) == {0.0, 0.5}
    on = inside > 0
    np.testing.assert_array_equal(on[:4], on[4:8])
    assert on[:4].sum() == 2
    assert result.keep.numpy().all()
    # A clip that goes on is hidden as one clip would be.
    parts = [painted(occluding(), scene_of(white[:6], [box], first=n)) for n in (0, 6)]
    np.testing.assert_array_equal(tf.concat([part.frames for part in parts], 0), result.frames)


def test_a_patch_goes_with_its_object_wherever_it_stands_in_the_list() -> None:
    white = tf.fill([2, 60, 60, 1], 255.0)
    one, other = [0.1, 0.1, 0.3, 0.3], [0.6, 0.6, 0.9, 0.9]
    scene = scene_of(white, [one, other])._replace(
        boxes=tf.constant([[one, other], [other, one]]), track_ids=tf.constant([[5, 9], [9, 5]])
    )
    for number in range(5):
        seed = tf.constant([number, 1], tf.int64)
        settings = occluding(duration=4, object_probability=0.5, min_share=0.3, max_share=0.9)
        result = painted(settings, scene, seed)
        np.testing.assert_array_equal(result.frames[0], result.frames[1])


def test_object_probability_is_how_many_are_hidden() -> None:
    white = tf.fill([1, 100, 100, 1], 255.0)
    boxes = [[y / 10, x / 10, (y + 1) / 10, (x + 1) / 10] for y in range(10) for x in range(10)]
    settings = occluding(object_probability=0.3, min_share=1.0, max_share=1.0, duration=4)
    result = painted(settings, scene_of(white, boxes))
    hidden = (result.frames.numpy() == 0).mean()
    assert 0.16 <= hidden <= 0.44  # 0.3 of 100 objects, standard deviation 0.046


def test_padding_hides_nothing() -> None:
    white = tf.fill([1, 20, 20, 1], 255.0)
    scene = scene_of(white, [[0.0, 0.0, 1.0, 1.0]])._replace(keep=tf.constant([[False]]))
    np.testing.assert_array_equal(painted(occluding(duration=4), scene).frames, white)


# Blur.


def test_a_line_is_the_line_that_was_drawn() -> None:
    flat = augment_pixels.line(tf.constant(5.0), tf.constant(0.0), reach=3).numpy()
    np.testing.assert_allclose(flat[3], [0, 0.2, 0.2, 0.2, 0.2, 0.2, 0], atol=1e-6)
    assert flat.sum() == pytest.approx(1, abs=1e-6)
    assert np.delete(flat, 3, axis=0).max() < 1e-6
    upright = augment_pixels.line(tf.constant(5.0), tf.constant(np.pi / 2), reach=3).numpy()
    np.testing.assert_allclose(upright, flat.T, atol=1e-6)
    slanted = augment_pixels.line(tf.constant(5.0), tf.constant(np.pi / 4), reach=3).numpy()
    np.testing.assert_allclose(slanted, slanted[::-1, ::-1], atol=1e-6)  # nothing moves
    np.testing.assert_allclose(slanted, slanted.T, atol=1e-6)
    point = augment_pixels.line(tf.constant(1.0), tf.constant(0.3), reach=3).numpy()
    assert point[3, 3] == 1


def test_blur_is_a_convolution_mirrored_at_the_edges(picture: tf.Tensor) -> None:
    kernel = augment_pixels.line(tf.constant(4.0), tf.constant(0.7), reach=2)
    result = augment_pixels.blur(picture, kernel).numpy()
    padded = np.pad(picture.numpy(), [(0, 0), (2, 2), (2, 2), (0, 0)], mode="symmetric")
    expected = sum(
        kernel.numpy()[y, x] * padded[:, y : y + 12, x : x + 16] for y in range(5) for x in range(5)
    )
    np.testing.assert_allclose(result, expected, atol=1e-3)
