"""Synthetic videos: the boxes are exact, and everything has its effect."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from lstd.data import readers, synthesize
from lstd.data.synthesize import Scene

Image = pytest.importorskip("PIL.Image")

PLAIN = Scene(videos=2, frames=12, height=80, width=120, objects=1, speed=0.1, seed=3)


def frames_of(scene: Scene) -> list:
    return [frame for video in synthesize.source(scene).videos for frame in video.read()]


@pytest.mark.parametrize("shape", synthesize.SHAPES)
def test_a_box_is_the_extent_of_what_was_drawn(shape: str) -> None:
    scene = dataclasses.replace(PLAIN, shapes=(shape,))
    empty = dataclasses.replace(scene, objects=0)
    for frame, background in zip(frames_of(scene), frames_of(empty), strict=True):
        drawn = (frame.image != background.image).any(axis=-1)
        rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
        extent = np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1])
        np.testing.assert_allclose(frame.truth.boxes * [80, 120, 80, 120], [extent], atol=1e-4)


def test_equal_seeds_give_equal_frames_from_any_place() -> None:
    scene = dataclasses.replace(PLAIN, noise=5, blur=0.5, occlusion=0.5, objects=3)
    straight = [*synthesize.source(scene).videos[1].read()]
    single = next(synthesize.source(scene).videos[1].read(7, 8))

    np.testing.assert_array_equal(single.image, straight[7].image)
    np.testing.assert_array_equal(single.truth.boxes, straight[7].truth.boxes)
    other = frames_of(dataclasses.replace(scene, seed=4))
    assert any((a.image != b.image).any() for a, b in zip(straight, other[12:], strict=True))


def test_objects_move_at_most_by_their_speed_and_stay_in_the_frame() -> None:
    frames = frames_of(dataclasses.replace(PLAIN, frames=60, videos=1))
    boxes = np.stack([frame.truth.boxes[0] for frame in frames]) * [80, 120, 80, 120]
    steps = np.linalg.norm(np.diff(boxes[:, :2], axis=0), axis=-1)

    assert 0 < steps.max() <= 0.1 * 80 + 2**0.5  # and a pixel of rounding each way
    assert boxes.min() >= 0
    assert (boxes.max(axis=0) <= [80, 120, 80, 120]).all()
    assert {int(frame.truth.track_ids[0]) for frame in frames} == {0}


@pytest.mark.parametrize(("name", "value"), [("noise", 8.0), ("blur", 1.0), ("occlusion", 1.0)])
def test_noise_blur_and_occlusion_change_pictures_and_not_the_boxes(
    name: str, value: float
) -> None:
    scene = dataclasses.replace(PLAIN, min_visible=0.0)
    for one, other in zip(
        frames_of(scene), frames_of(dataclasses.replace(scene, **{name: value})), strict=True
    ):
        assert (one.image != other.image).any()
        if name != "occlusion":
            np.testing.assert_array_equal(one.truth.boxes, other.truth.boxes)
    occluded = frames_of(dataclasses.replace(PLAIN, occlusion=1.0, min_visible=1.0, frames=60))
    assert any(len(frame.truth.classes) == 0 for frame in occluded)


def test_a_bar_is_as_wide_as_asked() -> None:
    bare = dataclasses.replace(PLAIN, objects=0, frames=30)
    barred = dataclasses.replace(bare, occlusion=1.0, min_bar=0.5, max_bar=0.6)
    for one, other in zip(frames_of(bare), frames_of(barred), strict=True):
        covered = (one.image != other.image).any(axis=-1).mean()
        # A pixel of rounding, and pixels of the background that are as grey as the bar.
        assert 0.48 <= covered <= 0.6 + 1 / 80


def test_cutouts_and_backgrounds_are_the_users(tmp_path: Path) -> None:
    (tmp_path / "cut" / "fish").mkdir(parents=True)
    shown = np.zeros([20, 40, 4], np.uint8)
    shown[5:15, 10:30] = [250, 0, 0, 255]
    for path in ("bird_1.png", "bird_2.png", "fish/x.png"):
        Image.fromarray(shown).save(tmp_path / "cut" / path)
    (tmp_path / "back").mkdir()
    Image.fromarray(np.full([50, 50, 3], [0, 0, 200], np.uint8)).save(tmp_path / "back" / "a.png")
    scene = dataclasses.replace(
        PLAIN, shapes=(), cutouts=str(tmp_path / "cut"), backgrounds=str(tmp_path / "back")
    )
    source = synthesize.source(scene)

    assert source.labels == ("bird", "fish")
    for frame in frames_of(scene):
        blue = (frame.image == [0, 0, 200]).all(axis=-1)
        assert blue.mean() > 0.5
        ymin, xmin, ymax, xmax = np.rint(frame.truth.boxes[0] * [80, 120, 80, 120]).astype(int)
        red = frame.image[..., 0] > 125
        rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
        extent = [rows[0], columns[0], rows[-1] + 1, columns[-1] + 1]
        np.testing.assert_allclose([ymin, xmin, ymax, xmax], extent, atol=1)


def test_sizes_lie_between_the_bounds() -> None:
    scene = dataclasses.replace(PLAIN, objects=30, min_size=0.2, max_size=0.3, min_visible=0.0)
    sides = [
        max(box[2] - box[0], box[3] - box[1])
        for box in frames_of(scene)[0].truth.boxes * [80, 120, 80, 120]
    ]
    assert len(sides) > 20  # one that is hidden altogether has no box
    assert min(sides) >= 0.2 * 80 - 1
    assert max(sides) <= 0.3 * 80 + 1


def test_folders_are_read_back_equal(tmp_path: Path) -> None:
    source = synthesize.source(PLAIN)
    synthesize.write_folders(source, tmp_path)
    again = readers.open(tmp_path, labels=source.labels)

    assert again.format == "csv"
    found = [frame for video in again.videos for frame in video.read()]
    for one, other in zip(found, frames_of(PLAIN), strict=True):
        np.testing.assert_allclose(one.truth.boxes, other.truth.boxes, atol=1e-5)
        np.testing.assert_array_equal(one.truth.classes, other.truth.classes)


@pytest.mark.parametrize(
    "bad",
    [
        *({"videos": 0}, {"blur": 2.0}, {"noise": -1.0}, {"shapes": ("blob",)}, {"shapes": ()}),
        *({"min_size": 0.5, "max_size": 0.2}, {"min_bar": 0.5, "max_bar": 0.2}),
    ],
)
def test_values_that_cannot_be_are_refused(bad: dict) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(bad))[:5]}"):
        Scene(**bad)


def test_an_empty_folder_of_cutouts_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cutouts: .* holds no picture"):
        synthesize.source(dataclasses.replace(PLAIN, cutouts=str(tmp_path)))
