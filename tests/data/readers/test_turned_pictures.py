"""Labels of pictures that a camera has stored lying on their side."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lstd.data import readers, source_images
from lstd.data.readers.frame_pictures import Pictures
from lstd.data.readers.labelled_video import Box, Classes, LabelledVideo, Labels, turned
from lstd.data.source_images import pixels
from lstd.media import numbered_frames

Image = pytest.importorskip("PIL.Image")

STORED = np.zeros([60, 100, 3], np.uint8)  # a bright object at y 10 to 20, x 50 to 80
STORED[10:20, 50:80] = 255
BOX = (10, 50, 20, 80)


def jpeg(path: Path, turn: int, picture: np.ndarray = STORED) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.fromarray(picture).save(path, "JPEG", exif=exif, quality=95)
    return path


def coco(folder: Path, *, height: int, width: int, box: tuple[int, ...] = BOX) -> Path:
    ymin, xmin, ymax, xmax = box
    content = {
        "images": [{"id": 1, "file_name": "0.jpg", "height": height, "width": width}],
        "categories": [{"id": 1, "name": "ant"}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "bbox": [xmin, ymin, xmax - xmin, ymax - ymin]}
        ],
    }
    (folder / "a.json").write_text(json.dumps(content))
    return folder


def voc(folder: Path) -> Path:
    sides = "<ymin>10</ymin><xmin>50</xmin><ymax>20</ymax><xmax>80</xmax>"
    (folder / "0.xml").write_text(
        "<annotation><filename>0.jpg</filename><size><height>60</height><width>100</width></size>"
        f"<object><name>ant</name><bndbox>{sides}</bndbox></object></annotation>"
    )
    return folder


def cvat(folder: Path) -> Path:
    (folder / "a.xml").write_text(
        '<annotations><image id="0" name="0.jpg" width="100" height="60">'
        '<box label="ant" xtl="50" ytl="10" xbr="80" ybr="20"/></image></annotations>'
    )
    return folder


def mot(folder: Path) -> Path:
    (folder / "gt").mkdir()
    (folder / "gt" / "gt.txt").write_text("1,1,51,11,30,10,1,1,1\n")
    (folder / "seqinfo.ini").write_text("[Sequence]\nimWidth=100\nimHeight=60\nimDir=.\n")
    (folder / "0.jpg").rename(folder / "000001.jpg")
    return folder


def shown(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Returns the box of a data set in pixels, and the picture under it."""
    [frame] = readers.open(folder).videos[0].read()
    image = pixels(frame.image, where="")
    box = frame.truth.boxes[0] * np.tile(image.shape[:2], 2)
    ymin, xmin, ymax, xmax = box.round().astype(int)
    return box, image[ymin:ymax, xmin:xmax]


@pytest.mark.parametrize("turn", [5, 6, 7, 8])
@pytest.mark.parametrize("labels", [coco, voc, cvat, mot])
def test_sizes_of_the_stored_picture_mean_boxes_of_it(
    tmp_path: Path, labels: Callable[..., Path], turn: int
) -> None:
    jpeg(tmp_path / "0.jpg", turn)
    labels(tmp_path, **({"height": 60, "width": 100} if labels is coco else {}))
    box, inside = shown(tmp_path)

    assert inside.shape[:2] == (30, 10)
    assert inside.min() > 200
    if turn == 6:  # a quarter to the right: what was at the top is at the right
        np.testing.assert_allclose(box, [50, 40, 80, 50], atol=1e-3)


def test_sizes_of_what_is_shown_mean_boxes_of_that(tmp_path: Path) -> None:
    jpeg(tmp_path / "0.jpg", 6)
    box, inside = shown(coco(tmp_path, height=100, width=60, box=(50, 40, 80, 50)))
    np.testing.assert_allclose(box, [50, 40, 80, 50], atol=1e-3)
    assert inside.min() > 200


def test_of_a_square_the_sizes_do_not_tell_and_boxes_are_of_what_is_shown(tmp_path: Path) -> None:
    jpeg(tmp_path / "0.jpg", 6, STORED[:, 40:])
    box, _ = shown(coco(tmp_path, height=60, width=60))
    np.testing.assert_allclose(box, BOX, atol=1e-3)


@pytest.mark.parametrize(
    ("sides", "expected", "note"),
    [
        ([BOX] * 3, BOX, "the labels say 300 x 200 pixels, .* has 100 x 60; all boxes fit"),
        ([BOX], (3, 50 / 3, 6, 80 / 3), "boxes are taken for parts of the size that is said"),
        ([BOX, BOX, (100, 240, 200, 300)], (3, 50 / 3, 6, 80 / 3), "boxes are taken for parts"),
    ],
)
def test_sizes_of_no_picture_are_told_and_wrong_if_all_boxes_fit_the_pictures(
    tmp_path: Path, sides: list[tuple[int, ...]], expected: tuple[float, ...], note: str
) -> None:
    Image.fromarray(STORED).save(tmp_path / "0.jpg")
    content = json.loads((coco(tmp_path, height=200, width=300) / "a.json").read_text())
    content["annotations"] = [
        {"image_id": 1, "category_id": 1, "bbox": [xmin, ymin, xmax - xmin, ymax - ymin]}
        for ymin, xmin, ymax, xmax in sides
    ]
    (tmp_path / "a.json").write_text(json.dumps(content))
    source = readers.open(tmp_path)

    assert re.search(note, source.notes[-1])
    box, _ = shown(tmp_path)
    np.testing.assert_allclose(box, expected, atol=1e-3)


def test_sizes_of_a_video_as_it_is_coded_mean_boxes_of_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(numbered_frames, "quarter_turns", lambda path: 3)
    video = LabelledVideo(
        name="a",
        where="a",
        pictures=Pictures((("a.mp4", 0),), {"a.mp4": (100, 60)}),
        frames=(Labels([Box(BOX)], "a", size=(60, 100)),),
        classes=Classes(()),
    )
    [frame] = video.read(images=False)
    np.testing.assert_allclose(frame.truth.boxes * [100, 60, 100, 60], [[50, 40, 80, 50]])


@pytest.mark.parametrize(("size", "shape"), [((60, 100), (60, 100)), ((100, 60), (100, 60))])
def test_a_picture_of_a_record_is_turned_where_its_sizes_say_so(
    tmp_path: Path, size: tuple[int, int], shape: tuple[int, int]
) -> None:
    """Else it is as TensorFlow decodes it, which does not turn."""
    data = jpeg(tmp_path / "0.jpg", 6).read_bytes()
    image = source_images.of_size(data, size, where="")
    assert pixels(image, where="").shape[:2] == shape == source_images.size_of(image, where="")
    assert (source_images.encoded(image, where="") is data) == (size == (60, 100))


def test_inverted_boxes_stay_inverted() -> None:
    np.testing.assert_allclose(
        turned(np.float64([[0.5, 0.1, 0.2, 0.4]]), 6), [[0.1, 0.8, 0.4, 0.5]]
    )
