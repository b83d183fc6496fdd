"""benchmarks/tiles.py: tiles of a frame show its pixels and its boxes, and come together again."""

from __future__ import annotations

import itertools

import numpy as np
import tensorflow as tf

from benchmarks import tiles
from lstd.base.types import Detections
from lstd.data import synthesize
from lstd.data.synthesize import Scene

SCENE = Scene(
    videos=2, frames=6, height=200, width=300, objects=4, min_size=0.08, max_size=0.25, seed=3
)


def test_a_tile_shows_its_part_of_the_frame() -> None:
    video = synthesize.source(SCENE).videos[0]
    whole = next(video.read())
    last = next(tiles.tile_of(video, 3).read())
    np.testing.assert_array_equal(last.image, whole.image[80:200, 120:300])


def test_a_tile_has_the_boxes_of_which_half_is_in_it() -> None:
    shares = []
    corners = [(0, 0), (0, 0.4), (0.4, 0), (0.4, 0.4)]
    for video, corner in itertools.product(synthesize.source(SCENE).videos, corners):
        tile = tiles.tile_of(video, corners.index(corner))
        for whole, part in zip(video.read(images=False), tile.read(images=False), strict=True):
            low, high = whole.truth.boxes[:, :2], whole.truth.boxes[:, 2:]
            seen = np.minimum(high, np.add(corner, 0.6)) - np.maximum(low, corner)
            share = np.prod(np.maximum(seen, 0), axis=1) / np.prod(high - low, axis=1)
            assert len(part.truth.classes) == (share >= 0.5).sum()
            shares += share.tolist()
    assert any(0 < share < 0.5 for share in shares), "no box is left out"
    assert any(0.5 < share < 1 for share in shares), "no box is cut"


def test_what_tiles_find_is_joined_to_what_the_frame_shows() -> None:
    rows, cut_off = 16, 0
    for video in synthesize.source(SCENE).videos:
        seen = [[*tiles.tile_of(video, tile).read(images=False)] for tile in range(4)]
        boxes = np.zeros((4, SCENE.frames, rows, 4), np.float32)
        scores = np.zeros((4, SCENE.frames, rows), np.float32)
        classes = np.zeros((4, SCENE.frames, rows), np.int32)
        for tile, time in np.ndindex(4, SCENE.frames):
            truth = seen[tile][time].truth
            count = len(truth.classes)
            boxes[tile, time, :count] = truth.boxes
            scores[tile, time, :count] = 0.9
            classes[tile, time, :count] = truth.classes
        found = tiles.joined(
            Detections(*map(tf.constant, (boxes, scores, classes, (scores > 0).sum(-1)))),
            num_classes=len(synthesize.SHAPES),
            iou_threshold=0.6,
        )
        for time, whole in enumerate(video.read(images=False)):
            count = int(found.count[0, time])
            got = np.column_stack([found.classes[0, time, :count], found.boxes[0, time, :count]])
            want = np.column_stack([whole.truth.classes, whole.truth.boxes])
            order = [np.lexsort(np.round(each, 4).T[::-1]) for each in (got, want)]
            np.testing.assert_allclose(got[order[0]], want[order[1]], atol=1e-6)
            cut_off += int((scores[:, time] > 0).sum()) - count
    assert cut_off > 10, "no object was in two tiles"
