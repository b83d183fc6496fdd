"""The video that comes with the project: its tables, and what the demo makes of it."""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from lstd.data import readers
from lstd.data.source_images import pixels

pytest.importorskip("av")
pytest.importorskip("PIL.Image")

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SOWBUG = EXAMPLES / "sowbug"


@pytest.mark.parametrize(("name", "count"), [("sowbug_train", 3000), ("sowbug_unseen", 500)])
def test_the_tables_have_five_animals_in_every_frame(name: str, count: int) -> None:
    source = readers.open(SOWBUG / f"{name}.csv")
    (video,) = source.videos
    frames = [*video.read(images=False)]

    assert source.labels == ("sowbug",)
    assert len(frames) == count
    for frame in frames:
        assert sorted(frame.truth.track_ids) == [1, 2, 3, 4, 5]


def test_the_boxes_cover_the_animals() -> None:
    (video,) = readers.open(SOWBUG / "sowbug_unseen.csv").videos
    for number in (0, 10, 20):
        frame = next(video.read(number, number + 1))
        assert frame.image.shape == (320, 320, 3)
        usual = np.median(frame.image)
        for ymin, xmin, ymax, xmax in frame.truth.boxes * 320:
            y, x = round((ymin + ymax) / 2), round((xmin + xmax) / 2)
            # An animal is black, and its centre was marked; the dish is grey.
            assert frame.image[y - 2 : y + 3, x - 2 : x + 3].mean() < usual / 2


@pytest.mark.slow
def test_the_demo_trains_on_the_first_part_and_is_scored_on_the_second(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("demo", EXAMPLES / "demo.py")
    demo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(demo)
    for _ in range(2):  # again, over what an earlier demo left
        config = demo.config_of(tmp_path, ["train.steps=7"])
        demo.claim(tmp_path)
        demo.write_records(tmp_path)

    assert config.train.steps == 7
    for split, count in ((config.data.train, 3000), (config.data.evaluation, 500)):
        (pattern,) = split.input_path
        (video,) = readers.open(pattern).videos
        name = Path(pattern).parent.name
        assert (video.name, video.num_frames) == (f"sowbug_{name}.mp4", count)
        with (SOWBUG / f"sowbug_{name}.csv").open() as file:
            rows = [row for row in csv.DictReader(file) if int(row["frame"]) == count - 1]
        sides = [[float(row[s]) / 320 for s in ("ymin", "xmin", "ymax", "xmax")] for row in rows]
        stored = next(video.read(count - 1, count))
        np.testing.assert_allclose(stored.truth.boxes, sides, atol=1e-6)
        (shown,) = readers.open(SOWBUG / f"sowbug_{name}.csv").videos
        frame = next(shown.read(count - 1, count))
        difference = np.abs(pixels(stored.image, where="") - frame.image.astype(np.float32))
        assert difference.mean() <= 2  # as JPEG of quality 95
