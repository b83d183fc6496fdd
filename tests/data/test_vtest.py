"""Real video in CocoVID form, a video file with frame numbers: from file and from shards alike."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from lstd.data import convert, readers
from lstd.data.source_images import pixels
from lstd.data.sources import Source

pytest.importorskip("av")
pytest.importorskip("PIL.Image")

VTEST = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "vtest"
ANNOTATIONS = VTEST / "annotations_frames_0_599.json"
FRAMES = 12

pytestmark = pytest.mark.skipif(
    not ANNOTATIONS.exists(), reason="the video of ../shared/data/vtest is not here"
)


def cut() -> Source:
    """Returns the first frames only."""
    source = readers.open(ANNOTATIONS)
    (video,) = source.videos
    pictures = dataclasses.replace(video.pictures, items=video.pictures.items[:FRAMES])
    short = dataclasses.replace(video, pictures=pictures, frames=video.frames[:FRAMES])
    return source._replace(videos=(short,))


def test_the_reader_gives_all_labelled_frames() -> None:
    source = readers.open(ANNOTATIONS)
    (video,) = source.videos

    assert (source.format, source.labels, video.num_frames) == ("coco", ("person",), 600)
    assert (video.height, video.width, video.has_tracks) == (576, 768, True)
    assert sum(len(frame.truth.classes) for frame in video.read(images=False)) == 3366
    assert next(video.read(599, 600)).image.shape == (576, 768, 3)


@pytest.mark.parametrize(("image_format", "mean_difference"), [("png", 0.0), ("jpeg", 2.0)])
def test_shards_hold_what_the_file_holds(
    tmp_path: Path, image_format: str, mean_difference: float
) -> None:
    settings = convert.Settings(image_format=image_format, frames_per_record=5)
    convert.convert(cut(), tmp_path, settings)
    stored = [*readers.open(tmp_path).videos[0].read()]

    for one, other in zip(cut().videos[0].read(), stored, strict=True):
        np.testing.assert_array_equal(one.truth.boxes.clip(0, 1), other.truth.boxes)
        np.testing.assert_array_equal(one.truth.classes, other.truth.classes)
        np.testing.assert_array_equal(one.truth.track_ids, other.truth.track_ids)
        shown = pixels(other.image, where="").astype(np.float32)
        assert np.abs(one.image - shown).mean() <= mean_difference
