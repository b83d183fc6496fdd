import numpy as np
import pytest

from lstd.base.types import Detections
from lstd.media import draw

BLACK = np.zeros((100, 200, 3), np.uint8)


def _detections(*rows: tuple[list[float], float, int]) -> Detections:
    return Detections(
        boxes=np.array([row[0] for row in rows], np.float32).reshape(-1, 4),
        scores=np.array([row[1] for row in rows], np.float32),
        classes=np.array([row[2] for row in rows], np.int32),
        count=np.array(len(rows), np.int32),
    )


def test_the_outline_lies_on_the_edges_of_the_box() -> None:
    detections = _detections(([0.5, 0.25, 0.9, 0.75], 0.9, 3))
    frame = draw.annotate(BLACK, detections, [])
    color = draw.color_of(3)
    for y, x in ((89, 100), (70, 50), (70, 149), (89, 50), (89, 149), (50, 149)):
        assert tuple(frame[y, x]) == color, (y, x)
    for y, x in ((90, 100), (70, 49), (70, 150), (70, 100), (60, 60)):
        assert tuple(frame[y, x]) == (0, 0, 0), (y, x)


def test_the_label_stands_above_its_box_on_the_classes_colour() -> None:
    frame = draw.annotate(BLACK, _detections(([0.5, 0.25, 0.9, 0.75], 0.9, 3)), ["a"] * 4)
    label = frame[30:50, 50:90].reshape(-1, 3)
    colored = (label == draw.color_of(3)).all(axis=1).mean()
    assert colored > 0.4
    ink = {(0, 0, 0), (255, 255, 255)}
    assert any(tuple(pixel) in ink for pixel in label)


def test_only_detections_with_score_and_before_the_padding_are_drawn() -> None:
    box = [0.5, 0.25, 0.9, 0.75]
    weak = _detections((box, 0.25, 0))
    np.testing.assert_array_equal(draw.annotate(BLACK, weak, [], min_score=0.26), BLACK)
    assert draw.annotate(BLACK, weak, [], min_score=0.25).any()
    padding = _detections((box, 0.9, 0))._replace(count=np.array(0, np.int32))
    np.testing.assert_array_equal(draw.annotate(BLACK, padding, []), BLACK)
    np.testing.assert_array_equal(draw.annotate(BLACK, _detections(), []), BLACK)


def test_the_badge_tells_the_networks_apart_in_the_corner() -> None:
    corners = {
        network: tuple(draw.annotate(BLACK, _detections(), [], network=network)[0, 0])
        for network in ("large", "small")
    }
    assert corners == draw.NETWORK_COLORS
    assert np.abs(np.subtract(corners["large"], corners["small"])).sum() > 200


def test_classes_next_to_each_other_have_different_colours() -> None:
    colors = np.array([draw.color_of(index) for index in range(30)], int)
    assert len({tuple(color) for color in colors}) == 30
    assert np.abs(np.diff(colors, axis=0)).sum(axis=1).min() > 150


def test_scale_enlarges_frame_and_boxes() -> None:
    detections = _detections(([0.5, 0.25, 0.9, 0.75], 0.9, 3))
    frame = draw.annotate(BLACK, detections, [], scale=3)
    assert frame.shape == (300, 600, 3)
    assert tuple(frame[269, 300]) == draw.color_of(3)
    assert tuple(frame[270, 300]) == (0, 0, 0)
    assert draw.annotate(BLACK, detections, [], scale=None).shape == (300, 600, 3)


def test_grey_frames_and_frames_smaller_than_the_text_are_drawn() -> None:
    detections = _detections(([0, 0, 1, 1], 0.9, 0))
    assert draw.annotate(np.zeros((3, 2, 1), np.uint8), detections, []).shape == (3, 2, 3)


@pytest.mark.parametrize("frame", [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8)])
def test_a_frame_of_another_kind_and_a_scale_below_1_are_refused(frame: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        draw.annotate(frame, _detections(), [])
    with pytest.raises(ValueError, match="scale must be"):
        draw.annotate(BLACK, _detections(), [], scale=0)


def test_true_boxes_stand_without_a_score() -> None:
    ones = draw.annotate(
        BLACK, _detections(([0.5, 0.25, 0.9, 0.75], 1.0, 0)), ["a"], with_scores=False
    )
    others = draw.annotate(
        BLACK, _detections(([0.5, 0.25, 0.9, 0.75], 0.7, 0)), ["a"], with_scores=False
    )
    with_scores = draw.annotate(BLACK, _detections(([0.5, 0.25, 0.9, 0.75], 1.0, 0)), ["a"])
    np.testing.assert_array_equal(ones, others)
    assert (ones != with_scores).any()


def _frame(level: int, *, height: int = 30, width: int = 60) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def test_frames_of_a_sheet_stand_row_by_row_with_captions_below() -> None:
    frames = [_frame(10), _frame(20), _frame(30)]
    sheet = draw.contact_sheet(frames, columns=2, cell_width=60, gap=4)
    assert sheet.shape == (2 * 34 + 4, 2 * 64 + 4, 3)
    for level, (top, left) in zip((10, 20, 30), ((4, 4), (4, 68), (38, 4)), strict=True):
        np.testing.assert_array_equal(sheet[top : top + 30, left : left + 60], level)
    assert (sheet[38:68, 68:] == 255).all()
    below = draw.contact_sheet(frames[:2], ["", "frame 1"], columns=2, cell_width=60, gap=4)[34:-4]
    assert (below[:, :64] == 255).all()
    assert (below[:, 68:] < 128).any()


def test_around_the_frames_of_a_clear_sheet_the_page_is_seen() -> None:
    captions = ["", "frame 1, which is too long for its cell"]
    sheet = draw.contact_sheet([_frame(10), _frame(20)], captions, cell_width=60, gap=4, clear=True)
    alpha, below = sheet[..., 3], sheet[34:-4, 68:128, :3]
    assert sheet.shape == (4 + 30 + 17 + 4, 2 * 64 + 4, 4)
    for left in (4, 68):
        assert (alpha[4:-4, left : left + 60] == 255).all()
    assert alpha.sum() == 2 * 47 * 60 * 255
    assert (below.min(), np.median(below) < 40, below.max() > 200) == (24, True, True)
    one, other = (draw.strip(f"{n}{'-' * 60}.", 60) for n in (1, 11))
    np.testing.assert_array_equal(one, other)  # the ends
    assert (one != draw.strip("-" * 60, 60)).any()


def test_frames_of_any_shape_get_the_width_of_a_cell() -> None:
    frames = [_frame(10, height=100, width=50), _frame(20)]
    assert draw.contact_sheet(frames, columns=5, cell_width=20, gap=0).shape == (40, 40, 3)
    with pytest.raises(ValueError, match="0 frames, 0 captions"):
        draw.contact_sheet([])


def test_tags_cover_neither_each_other_nor_their_neighbours() -> None:
    frame = np.zeros((300, 300, 3), np.uint8)
    low, high = [0.5, 0.2, 0.9, 0.5], [0.2, 0.2, 0.49, 0.5]  # one box stands upon the other
    above = draw.annotate(frame, _detections((low, 0.9, 0)), ["a"])
    moved = draw.annotate(frame, _detections((low, 0.9, 0), (high, 0.8, 1)), ["a", "b"])
    free, covered = slice(271, 285), slice(132, 146)  # rows below the box, and above it

    assert (above[covered, 60:110] == draw.color_of(0)).all(axis=2).any()
    assert not (moved[covered, 66:110] == draw.color_of(0)).all(axis=2).any()
    assert (moved[free, 60:110] == draw.color_of(0)).all(axis=2).any()


def test_a_tag_without_a_place_is_left_out_and_the_best_has_its_own() -> None:
    same = [0.4, 0.4, 0.6, 0.6]
    many = _detections(*((same, 0.9 - index / 100, index) for index in range(30)))

    frame = draw.annotate(np.zeros((100, 100, 3), np.uint8), many, ["xx"] * 30)

    shown = [(frame == draw.color_of(index)).all(axis=2).sum() > 100 for index in range(30)]
    assert shown[0]
    assert 2 < sum(shown) < 12


def test_true_boxes_are_white_below_the_others() -> None:
    boxes = np.array([[0.1, 0.1, 0.4, 0.9], [0.5, 0.25, 0.9, 0.75]])
    frame = draw.annotate(BLACK, _detections((boxes[1].tolist(), 0.9, 3)), [], true_boxes=boxes)
    assert tuple(frame[10, 100]) == (255, 255, 255)
    assert tuple(frame[89, 100]) == draw.color_of(3)
