"""Real video in CocoVID form, a video file with frame numbers: from file and from shards alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from lstd.data import readers

pytest.importorskip("av")
pytest.importorskip("PIL.Image")

VTEST = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "vtest"
ANNOTATIONS = VTEST / "annotations_frames_0_599.json"
FRAMES = 12

pytestmark = pytest.mark.skipif(
    not ANNOTATIONS.exists(), reason="the video of ../shared/data/vtest is not here"
)


def test_the_reader_gives_all_labelled_frames() -> None:
    source = readers.open(ANNOTATIONS)
    (video,) = source.videos

    assert (source.format, source.labels, video.num_frames) == ("coco", ("person",), 600)
    assert (video.height, video.width, video.has_tracks) == (576, 768, True)
    assert sum(len(frame.truth.classes) for frame in video.read(images=False)) == 3366
    assert next(video.read(599, 600)).image.shape == (576, 768, 3)
