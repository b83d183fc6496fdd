"""Hidden boxes: where, how often, and the same for every model."""

import numpy as np
import pytest

from lstd.evaluation import occlusion
from tests.evaluation.fakes import HEIGHT, WIDTH, bright_clips

BOXES = np.array([[10.0, 20.0, 50.0, 100.0]] * 2000)


def test_rectangles_lie_within_with_half_to_three_quarters_of_the_sides() -> None:
    hidden = occlusion.rectangles(BOXES, probability=1.0, frame_id=("v", 0))

    assert len(hidden) == 2000
    sides = (hidden[:, 2:] - hidden[:, :2]) / [40, 80]
    assert (sides >= 0.5).all()
    assert (sides <= 0.75).all()
    assert sides.min() < 0.501 < 0.749 < sides.max()
    assert (hidden[:, :2] >= [10, 20]).all()
    assert (hidden[:, 2:] <= [50, 100]).all()
    assert hidden[:, 0].max() > 29  # up to the far end: 50 - 40 / 2 = 30


@pytest.mark.parametrize("probability", [0.0, 0.25, 0.5, 0.75])
def test_share_of_hidden_boxes_is_the_probability(probability: float) -> None:
    hidden = occlusion.rectangles(BOXES, probability=probability, frame_id=("v", 0))

    # 2000 draws: five standard deviations are 0.056.
    assert len(hidden) / 2000 == pytest.approx(probability, abs=0.056)


def test_draw_depends_on_seed_video_and_frame_alone_and_grows_with_probability() -> None:
    def drawn(frame_id: tuple[str, int], seed: int = 0, probability: float = 0.5) -> set[str]:
        found = occlusion.rectangles(
            BOXES[:40], probability=probability, frame_id=frame_id, seed=seed
        )
        return {str(row.tolist()) for row in found}

    assert drawn(("v", 3)) == drawn(("v", 3))
    assert not drawn(("v", 3)) & drawn(("v", 4))
    assert not drawn(("v", 3)) & drawn(("w", 3))
    assert not drawn(("v", 3)) & drawn(("v", 3), seed=1)
    assert drawn(("v", 3), probability=0.25) < drawn(("v", 3), probability=0.75)
    with pytest.raises(ValueError, match=r"probability must be in \[0, 1\], got 1.5"):
        occlusion.rectangles(BOXES, probability=1.5, frame_id=("v", 0))


def test_hidden_pixels_are_black_and_the_image_given_is_kept() -> None:
    image = np.full((10, 12, 3), 200, np.uint8)

    dark = occlusion.hide(image, np.array([[2.2, 3.0, 4.6, 6.0], [-5.0, 10.0, 1.0, 99.0]]))

    expected = np.full((10, 12), 200)
    expected[2:5, 3:6] = 0
    expected[0:1, 10:] = 0
    np.testing.assert_array_equal(dark[..., 0], expected)
    assert (image == 200).all()


def test_dataset_hides_objects_and_nothing_else() -> None:
    plain = bright_clips([[(b"a", 3)], [(b"b", 4)]], unroll=2)

    dark = list(occlusion.OccludedDataset(plain, probability=1.0))

    box = (slice(5, 26), slice(20, 51))  # 0.1, 0.2, 0.5, 0.5 of 50 x 100
    for clip, _ in dark:
        frames = np.array(clip.frames)
        inside = frames[..., box[0], box[1], :].copy()
        frames[..., box[0], box[1], :] = 9
        assert (frames == 9).all()
        for place in np.ndindex(*inside.shape[:2]):
            share = (inside[place] == 0).mean() * 21 * 31 / (20 * 30)
            if np.asarray(clip.frame_index)[place] < 0:
                assert share == 0  # padding
            else:
                assert 0.2 < share < 0.65  # a quarter to nine sixteenths, and rounding
    assert dark[0][1] is plain[0][1]
    again = list(occlusion.OccludedDataset(plain, probability=1.0))
    np.testing.assert_array_equal(again[1][0].frames, dark[1][0].frames)
    assert (HEIGHT, WIDTH) == (50, 100)
