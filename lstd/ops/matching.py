"""Which anchor answers for which object of the ground truth."""

import tensorflow as tf

BACKGROUND = -1
IGNORED = -2


def match(
    similarity: tf.Tensor,
    valid: tf.Tensor,
    *,
    matched_threshold: float,
    unmatched_threshold: float,
    force_match: bool,
) -> tf.Tensor:
    """Returns for each anchor the row of the object it answers for, -1 background, -2 ignored.

    An anchor takes the object it is most similar to (of equals the lowest row) where the similarity
    is at least `matched_threshold`; it is background below `unmatched_threshold`, ignored between.
    With `force_match` every object then claims the anchor most similar to it (of equals the lowest
    anchor), however small the similarity; where several claim the same, the lowest row gets it.

    Similarity is float `[..., M, A]`, not negative: IoU of objects and anchors; M may be 0.
    `valid`, bool `[..., M]`, is False for padding rows, which may stand anywhere.

    Returns int32 `[..., A]`. Source: the TF1 `ArgMaxMatcher`; Liu et al., SSD, 2016, section 2.2
    (https://arxiv.org/abs/1512.02325).
    """
    valid = tf.convert_to_tensor(valid)
    similarity = tf.where(valid[..., tf.newaxis], similarity, -1.0)
    # One row that nothing matches: a maximum over rows needs at least one, and M may be 0.
    similarity = _append_row(similarity, -1.0)  # [..., M + 1, A]
    best = tf.reduce_max(similarity, axis=-2)  # [..., A]
    row = tf.argmax(similarity, axis=-2, output_type=tf.int32)
    unmatched = tf.where(best < unmatched_threshold, BACKGROUND, IGNORED)
    matches = tf.where(best >= matched_threshold, row, unmatched)
    if not force_match:
        return matches
    num_anchors = tf.shape(similarity)[-1]
    claimed = tf.argmax(similarity, axis=-1, output_type=tf.int32)  # [..., M + 1]
    claims = tf.equal(claimed[..., tf.newaxis], tf.range(num_anchors))  # [..., M + 1, A]
    claims &= _append_row(valid[..., tf.newaxis], False)
    claimant = tf.argmax(tf.cast(claims, tf.int8), axis=-2, output_type=tf.int32)
    return tf.where(tf.reduce_any(claims, axis=-2), claimant, matches)


def _append_row(values: tf.Tensor, value: float | bool) -> tf.Tensor:
    """Returns `[..., M, X]` values with one more row at the end."""
    no_padding = [[0, 0]] * (values.shape.rank - 2)
    return tf.pad(values, [*no_padding, [0, 1], [0, 0]], constant_values=value)
