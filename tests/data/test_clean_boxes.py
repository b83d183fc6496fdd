"""Raw boxes, every problem, every answer."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from lstd.base.types import GroundTruth
from lstd.data import problems
from lstd.data.clean_boxes import clean
from lstd.data.problems import Checks, ProblemError, Report
from lstd.data.sources import UNKNOWN_CLASS, SourceFrame

NAN = float("nan")
GOOD = [0.1, 0.2, 0.3, 0.4]


def frame(boxes, classes=None, tracks=None, crowd=None, **more) -> SourceFrame:
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    truth = GroundTruth(
        boxes=boxes,
        classes=np.array([0] * len(boxes) if classes is None else classes, np.int32),
        track_ids=None if tracks is None else np.array(tracks, np.int32),
        is_crowd=None if crowd is None else np.array(crowd, np.bool_),
    )
    return SourceFrame(None, truth, "a.txt, frame 7", **more)


def cleaned(
    found: SourceFrame, labels: object = None, *, max_boxes: int = 0, **answers: str
) -> tuple[GroundTruth, Report]:
    """Returns the ground truth of a frame, and what was met."""
    checks = Checks(problems.policy(answers), max_boxes=max_boxes)
    return clean(found, checks, labels=labels), checks.report


@pytest.mark.parametrize(
    ("kind", "box", "repaired"),
    [
        ("box_not_a_number", [NAN, 0.2, 0.3, 0.4], None),
        ("box_not_a_number", [0.1, 0.2, float("inf"), 0.4], None),
        ("box_inverted", [0.3, 0.2, 0.1, 0.4], [0.1, 0.2, 0.3, 0.4]),
        ("box_inverted", [0.3, 0.4, 0.1, 0.2], [0.1, 0.2, 0.3, 0.4]),
        ("box_empty", [0.1, 0.2, 0.1, 0.4], None),
        ("box_outside", [0.1, 1.0, 0.3, 1.5], None),
        ("box_outside", [-0.5, 0.2, 0.0, 0.4], None),
        ("box_beyond_edge", [-0.5, 0.2, 0.5, 1.4], [0.0, 0.2, 0.5, 1.0]),
    ],
)
def test_each_bad_box_is_an_error_repaired_or_skipped(kind, box, repaired) -> None:
    found = frame([GOOD, box])
    with pytest.raises(ProblemError, match=r"frame 7, box 1: the box .*ymin, xmin") as caught:
        cleaned(found, 1, **{kind: "error"})
    assert caught.value.kind == kind

    truth, report = cleaned(found, 1, **{kind: "skip"})
    np.testing.assert_array_equal(truth.boxes, np.float32([GOOD]))
    assert report.counts == {(kind, "skip"): 1}

    if repaired is None:
        with pytest.raises(ValueError, match=f"'repair' is no answer to problem {kind}"):
            problems.policy({kind: "repair"})
        return
    truth, report = cleaned(found, 1, **{kind: "repair"})
    np.testing.assert_allclose(truth.boxes, np.float32([GOOD, repaired]), rtol=1e-6)
    assert report.counts == {(kind, "repair"): 1}
    np.testing.assert_array_equal(found.truth.boxes, np.float32([GOOD, box]))  # as it came


@pytest.mark.parametrize("number", [UNKNOWN_CLASS, 2, 90])
def test_an_unknown_class_is_named_as_the_file_spells_it(number) -> None:
    found = frame([GOOD, GOOD], [1, number], class_texts=("bee", "wasp"), row_names=("l 3", "l 4"))

    with pytest.raises(ProblemError, match=r"frame 7, l 4: class 'wasp' is not .* one of ant, bee"):
        cleaned(found, ("ant", "bee"))
    with pytest.raises(ProblemError, match=r"class 'wasp' is not among .* one of 2 names"):
        cleaned(found, 2)

    truth, _ = cleaned(found, 2, unknown_class="skip")
    assert truth.classes.tolist() == [1]
    if number >= 0:
        truth, _ = cleaned(found)
        assert truth.classes.tolist() == [1, number]  # without labels, any is known


def test_a_doubled_track_loses_its_id_or_its_box() -> None:
    found = frame([GOOD] * 4, tracks=[5, -1, 5, -1])

    with pytest.raises(ProblemError, match="box 2: track id 5 is there twice"):
        cleaned(found, 1)
    repaired, _ = cleaned(found, 1, doubled_track="repair")
    assert repaired.track_ids.tolist() == [5, -1, -1, -1]
    skipped, _ = cleaned(found, 1, doubled_track="skip")
    assert skipped.track_ids.tolist() == [5, -1, -1]


def test_padding_goes_and_good_rows_stay_in_order_with_all_columns() -> None:
    found = frame(
        [GOOD, [-1, -1, -1, -1], [0, 0, 1, 1.000001]],
        [1, -1, 0],
        tracks=[3, -1, 4],
        crowd=[True, False, False],
    )
    truth, report = cleaned(found, 2)

    np.testing.assert_array_equal(truth.boxes, np.float32([GOOD, [0, 0, 1, 1]]))
    assert truth.classes.tolist() == [1, 0]
    assert truth.track_ids.tolist() == [3, 4]
    assert truth.is_crowd.tolist() == [True, False]
    assert not report


def test_regions_to_ignore_have_no_class_and_come_after_objects_where_there_are_too_many() -> None:
    found = frame([GOOD, [0, 0, 1, 1.5], GOOD], [-1, -1, 0], crowd=[True, True, False])
    truth, report = cleaned(found, ("a",), max_boxes=2, too_many_boxes="skip")

    assert truth.classes.tolist() == [0, -1]
    assert truth.is_crowd.tolist() == [False, True]
    assert {kind for kind, _ in report.counts} == {"box_beyond_edge", "too_many_boxes"}


def test_wrong_answers_are_refused_with_the_right_ones() -> None:
    with pytest.raises(ValueError, match="did you mean 'box_inverted'"):
        problems.policy({"box_invertd": "skip"})
    assert problems.policy(["box_empty = skip"])["box_empty"] == "skip"
    with pytest.raises(ValueError, match="is not problem=answer"):
        problems.policy(["box_inverted"])
    with pytest.raises(ValueError, match="'ignore' is no answer"):
        problems.policy(default="ignore")
    with pytest.raises(ValueError, match="expected error or skip"):
        problems.policy({"box_empty": "repair"})


def test_a_default_answer_reaches_the_kinds_that_have_it() -> None:
    chosen = problems.policy({"box_outside": "error"}, default="repair")

    assert chosen["box_inverted"] == "repair"
    assert chosen["box_empty"] == "error"  # cannot be repaired: its own default
    assert chosen["box_outside"] == "error"


def test_reports_add_up_and_keep_the_first_places() -> None:
    one, two = Report(examples=2), Report(examples=2)
    one.add("box_empty", "skip", "a")
    two.add("box_empty", "skip", "b", count=4)
    two.add("box_empty", "skip", "c")
    one.merge(pickle.loads(pickle.dumps(two)))

    assert one.lines() == [
        "box_empty: 6 x skip (a box has no height or no width)",
        "  a",
        "  b",
        "  and 4 more",
    ]


def test_a_problem_survives_the_way_out_of_another_process() -> None:
    error = pickle.loads(pickle.dumps(ProblemError("box_empty", "x")))

    assert (error.kind, str(error)) == ("box_empty", "x (problem box_empty; skip would go on)")
