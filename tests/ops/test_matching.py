"""Matching of anchors and objects."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lstd.ops import matching

RULES = {"matched_threshold": 0.5, "unmatched_threshold": 0.5, "force_match": True}


def _match(similarity: object, valid: object, **rules: object) -> np.ndarray:
    similarity = tf.constant(similarity, tf.float32)
    return matching.match(similarity, tf.constant(valid, bool), **{**RULES, **rules}).numpy()


def test_an_anchor_takes_its_best_object_above_the_threshold() -> None:
    matches = _match([[0.6, 0.2, 0.0, 0.5], [0.7, 0.9, 0.1, 0.5]], [True, True], force_match=False)
    np.testing.assert_array_equal(matches, [1, 1, -1, 0])  # equal at 0.5: the lowest row
    assert matches.dtype == np.int32


def test_claims_go_before_the_best_object() -> None:
    # Anchor 1 overlaps object 1 most, but it is the best that object 0 has.
    similarity = [[0.0, 0.55], [0.6, 0.6]]
    np.testing.assert_array_equal(_match(similarity, [True, True]), [1, 0])
    np.testing.assert_array_equal(_match(similarity, [True, True], force_match=False), [1, 1])


@pytest.mark.parametrize("force_match", [True, False])
def test_without_rows_everything_is_background(force_match: bool) -> None:
    matches = _match(np.zeros([2, 0, 3]), np.zeros([2, 0]), force_match=force_match)
    np.testing.assert_array_equal(matches, np.full([2, 3], -1))


def _one_frame(
    similarity: np.ndarray,
    valid: np.ndarray,
    *,
    matched_threshold: float,
    unmatched_threshold: float,
    force_match: bool,
) -> list[int]:
    rows = np.flatnonzero(valid)
    matches = [-1] * similarity.shape[1]
    if not len(rows):
        return matches
    for anchor in range(len(matches)):
        best = max(rows, key=lambda row: (similarity[row, anchor], -row))
        if similarity[best, anchor] >= matched_threshold:
            matches[anchor] = best
        elif similarity[best, anchor] >= unmatched_threshold:
            matches[anchor] = -2
    for row in reversed(rows) if force_match else ():
        matches[int(similarity[row].argmax())] = row
    return matches


eighths = st.integers(0, 8).map(lambda whole: whole / 8)  # many are equal, and equal a threshold
similarities = arrays.arrays(np.float64, (2, 2, 3, 5), elements=eighths)
validities = arrays.arrays(bool, (2, 2, 3))
rule_sets = st.builds(
    lambda low, high, force: {
        "matched_threshold": max(low, high),
        "unmatched_threshold": min(low, high),
        "force_match": force,
    },
    eighths,
    eighths,
    st.booleans(),
)


@settings(max_examples=50)
@given(similarities, validities, rule_sets)
def test_all_rules_equal_a_loop_over_frames_anchors_and_objects(
    similarity: np.ndarray, valid: np.ndarray, rules: dict[str, Any]
) -> None:
    matches = _match(similarity, valid, **rules)
    for place in np.ndindex(2, 2):
        expected = _one_frame(similarity[place], valid[place], **rules)
        np.testing.assert_array_equal(matches[place], expected)
