"""The trees that people's tools write, typed anew and small; see `docs/data.md`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lstd.data import readers
from lstd.data.sources import UNKNOWN_CLASS
from tests.data.readers.test_formats import picture, text, told, values

av = pytest.importorskip("av")


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of six frames, 50 x 100, the n-th all of 40 n."""
    from lstd.media.video_writer import VideoWriter

    path = tmp_path_factory.mktemp("video") / "street.mp4"
    with VideoWriter(path, width=100, height=50, fps=5) as writer:
        for number in range(6):
            writer.write(np.full([50, 100, 3], 40 * number, np.uint8))
    return path


def shown(source: readers.Source) -> list[int]:
    """Returns which frames of `video` come, in order."""
    return [round(value / 40) for value in values(source)]


# --- MOT of CVAT and Datumaro --------------------------------------------------------------------


@pytest.fixture
def mot(tmp_path: Path) -> Path:
    text(tmp_path / "mot" / "gt" / "gt.txt", "1,7,10,5,20,20,1,2,1.0\n3,7,11,5,20,20,1,1,1.0\n")
    text(tmp_path / "mot" / "gt" / "labels.txt", "person\nbike")
    return tmp_path / "mot"


@pytest.mark.parametrize("name", ["frame_{:06d}.PNG", "{:06d}.jpg", "{}.bmp"])
def test_mot_with_labels_counts_pixels_from_0_and_frames_of_any_name(mot: Path, name: str) -> None:
    for number in range(12):
        picture(mot / "img1" / name.format(number), value=20 * number)
    source = readers.open(mot)

    assert source.labels == ("person", "bike")
    assert told(source)["mot"][:3] == [[(1, 7, 5, 10, 25, 30)], [], [(0, 7, 5, 11, 25, 31)]]
    np.testing.assert_allclose(values(source), range(0, 240, 20), atol=2)


def test_mot_of_ten_columns_has_the_classes_of_labels(mot: Path) -> None:
    text(mot / "gt" / "gt.txt", "1,7,10,5,20,20,1,2,-1,-1\n1,8,10,5,20,20,1,3,-1,-1\n")
    picture(mot / "img1" / "000001.jpg")

    assert [row[0] for row in told(readers.open(mot))["mot"][0]] == [1, UNKNOWN_CLASS]


def test_mot_without_pictures_takes_the_labelled_frames_of_a_video(mot: Path, video: Path) -> None:
    source = readers.open(mot, images=video)

    assert shown(source) == [0, 1, 2]
    assert told(source)["mot"][2] == [(0, 7, 5, 11, 25, 31)]
    assert "labels of mot end at frame 3; the 3 frames of" in source.notes[0]


def test_mot_sequences_take_each_a_video_of_its_name(mot: Path, video: Path) -> None:
    for name in ("street", "other"):
        text(mot / name / "gt" / "gt.txt", "1,7,10,5,20,20,1,1,1.0\n")
        picture(mot / name / "img1" / "1.png", value=240)
    (mot / "gt" / "gt.txt").unlink()

    with pytest.raises(ValueError, match="this is one video, and the labels are of several"):
        readers.open(mot, images=video)
    assert shown(readers.open(mot / "street", images=video.parent)) == [0]


def test_mot_refuses_two_pictures_of_one_frame(mot: Path) -> None:
    picture(mot / "img1" / "left_000001.png")
    picture(mot / "img1" / "right_000001.png")
    with pytest.raises(ValueError, match=r"right_000001.*has the same number"):
        readers.open(mot)
