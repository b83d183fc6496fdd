"""Each format from a sample typed by hand after its published description."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstd.data import readers
from lstd.data.problems import ProblemError
from lstd.data.source_images import pixels
from lstd.data.sources import UNKNOWN_CLASS, ImageFile, Source

Image = pytest.importorskip("PIL.Image")


def picture(path: Path, *, value: int = 0, size: tuple[int, int] = (50, 100)) -> None:
    """Writes an image of one value, height x width."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full([*size, 3], value, np.uint8)).save(path)


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def film(path: Path, values: list[int], *, size: tuple[int, int] = (48, 64)) -> Path:
    """Writes a video whose frames are of one value each, height x width."""
    pytest.importorskip("av")
    from lstd.media.video_writer import VideoWriter

    with VideoWriter(path, width=size[1], height=size[0], fps=5) as writer:
        for value in values:
            writer.write(np.full([*size, 3], value, np.uint8))
    return path


def told(source: Source) -> dict[str, list[list[tuple]]]:
    """Returns class, track and pixels (of 50 x 100) of all boxes, by video and frame."""
    result: dict[str, list[list[tuple]]] = {}
    for video in pickle.loads(pickle.dumps(source)).videos:
        frames = [*video.read()]
        assert len(frames) == video.num_frames
        bare = [*video.read(images=False)]
        for one, other in zip(frames, bare, strict=True):
            np.testing.assert_array_equal(one.truth.boxes, other.truth.boxes)
            assert other.image is None
        last = next(video.read(video.num_frames - 1, video.num_frames))
        assert last.where == frames[-1].where
        result[video.name] = [
            [
                (
                    int(frame.truth.classes[row]),
                    None if frame.truth.track_ids is None else int(frame.truth.track_ids[row]),
                    *np.round(frame.truth.boxes[row] * [50, 100, 50, 100], 3).tolist(),
                )
                for row in range(len(frame.truth.classes))
            ]
            for frame in frames
        ]
    return result


def refused(message: str, path: Path, **options: Any) -> None:
    """Checks that a data set is not read, and what is said about it."""
    with pytest.raises(ValueError, match=message):
        readers.open(path, **options)


def values(source: Source) -> list[int]:
    """Returns the first pixel of every frame, in order."""
    return [
        int(pixels(frame.image, where="")[0, 0, 0]) for v in source.videos for frame in v.read()
    ]


# --- ImageNet VID --------------------------------------------------------------------------------

_SIZE = "<size><width>100</width><height>50</height></size>"
_OBJECT = """
<object><trackid>{}</trackid><name>{}</name>
<bndbox><xmax>{}</xmax><xmin>{}</xmin><ymax>{}</ymax><ymin>{}</ymin></bndbox>
<occluded>{}</occluded><generated>{}</generated></object>"""
VID_EMPTY = f"<annotation><folder>v</folder><filename>000001</filename>{_SIZE}</annotation>"
VID_FRAME_0 = (
    f"<annotation><source><database>ILSVRC_2015</database></source>{_SIZE}"
    + _OBJECT.format(1, "n02084071", 30, 10, 25, 5, 0, 1)
    + _OBJECT.format(0, "n02691156", 100, 60, 50, 0, 1, 0)
    + "</annotation>"
)
VAL_0, VAL_1 = "val/ILSVRC2015_val_00000000", "val/ILSVRC2015_val_00000001"
TRAIN = "train/ILSVRC2015_VID_train_0000/ILSVRC2015_train_00000000"


@pytest.fixture
def vid(tmp_path: Path) -> Path:
    root = tmp_path / "ILSVRC2015"
    for folder, number, content in (
        (VAL_0, 0, VID_FRAME_0),
        (VAL_0, 1, VID_EMPTY),
        (VAL_1, 0, VID_EMPTY),
        (TRAIN, 0, VID_FRAME_0),
    ):
        text(root / "Annotations" / "VID" / folder / f"{number:06d}.xml", content)
        picture(root / "Data" / "VID" / folder / f"{number:06d}.JPEG", value=10 * number)
    lists = root / "ImageSets" / "VID"
    text(lists / "bad.txt", "ILSVRC2015_val_00000009/000000 1\n")
    text(lists / "val_short.txt", "ILSVRC2015_val_00000001/000000 1\n")
    text(lists / "train_1.txt", f"{TRAIN.removeprefix('train/')} 1\n")
    text(lists / "every.txt", f"{VAL_0} 1 0 2\n\n{VAL_1} -1")
    return root


def test_imagenet_vid(vid: Path) -> None:
    source = readers.open(vid, subset="val")

    assert source.format == "imagenet_vid"
    assert (len(source.labels), source.labels[0], source.labels[8]) == (30, "airplane", "dog")
    assert told(source) == {
        VAL_0: [[(8, 1, 5, 10, 25, 30), (0, 0, 0, 60, 50, 100)], []],
        VAL_1: [[]],
    }
    assert values(source) == [0, 10, 0]
    marks = next(source.videos[0].read()).attributes
    assert {name: found.tolist() for name, found in marks.items()} == {
        "occluded": [0, 1],
        "generated": [1, 0],
    }


@pytest.mark.parametrize(
    ("subset", "names"),
    [
        ("val_short", [VAL_1]),
        ("train_1", [TRAIN]),
        ("every", [VAL_0]),
        ("train", [TRAIN]),
        ("", [TRAIN, VAL_0, VAL_1]),
    ],
)
def test_imagenet_vid_lists_choose_videos(vid: Path, subset: str, names: list[str]) -> None:
    source = readers.open(vid.parent, subset=subset)  # the folder above is fine, too

    assert [video.name for video in source.videos] == names


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (VID_EMPTY.replace("<height>50</height>", ""), "there is no <size><height>"),
        (VID_EMPTY.replace(">50<", ">inf<"), "the size is 100 x inf pixels"),
        (VID_FRAME_0.replace(">1<", ">nan<", 1), "<trackid> is nan.*whole number"),
        ("<annotation>", "not an XML file"),
        (None, "this frame has an image and no XML"),
    ],
)
def test_imagenet_vid_says_what_is_wrong(vid: Path, content: str | None, message: str) -> None:
    file = vid / "Annotations" / "VID" / VAL_0 / "000001.xml"
    file.unlink()
    if content is not None:
        text(file, content)
    with pytest.raises(ValueError, match=rf"000001\.xml: {message}"):
        told(readers.open(vid, subset="val"))


@pytest.mark.parametrize(
    ("subset", "message"),
    [
        ("vall", r"no subset 'vall'; expected one of train, val, bad, every"),
        ("bad", r"bad\.txt, line 1: ILSVRC2015_val_00000009/000000 is no"),
    ],
)
def test_imagenet_vid_subset_that_is_not_there(vid: Path, subset: str, message: str) -> None:
    refused(message, vid, subset=subset)


# --- COCO ----------------------------------------------------------------------------------------

_IMAGE = (
    '{{"id": {}, "video_id": {}, "frame_id": {}, "file_name": "{}", "width": 100, "height": 50}}'
)
COCO_VID = f"""{{
  "categories": [{{"id": 7, "name": "car"}}, {{"id": 3, "name": "bus"}}],
  "videos": [{{"id": 1, "name": "val/one"}}, {{"id": 2, "name": "val/two"}}],
  "images": [{_IMAGE.format(11, 1, 1, "one/000001.png")},
    {_IMAGE.format(10, 1, 0, "one/000000.png")}, {_IMAGE.format(12, 2, 0, "two/000000.png")}],
  "annotations": [
    {{"id": 1, "image_id": 11, "category_id": 7, "instance_id": 5, "bbox": [10, 5, 20, 20],
      "area": 400, "iscrowd": false, "occluded": false}},
    {{"id": 2, "image_id": 11, "category_id": 3, "instance_id": 6, "bbox": [60.5, 0, 39.5, 50],
      "iscrowd": true}},
    {{"id": 3, "image_id": 10, "category_id": 99, "instance_id": 5, "bbox": [0, 0, 1, 1],
      "area": "unused"}}
  ]
}}"""


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    for value, name in enumerate(("one/000000", "one/000001", "two/000000"), start=1):
        picture(tmp_path / "Data" / "VID" / f"{name}.png", value=value)
    text(tmp_path / "annotations" / "vid_val.json", COCO_VID)
    return tmp_path / "annotations" / "vid_val.json"


def test_coco_video(coco: Path) -> None:
    source = readers.open(coco.parent.parent)

    assert (source.format, source.labels) == ("coco", ("bus", "car"))  # by id: 3, 7
    assert told(source) == {
        "val/one": [
            [(UNKNOWN_CLASS, 5, 0, 0, 1, 1)],
            [(1, 5, 5, 10, 25, 30), (0, 6, 0, 60.5, 50, 100)],
        ],
        "val/two": [[]],
    }
    assert values(source) == [1, 2, 3]
    frames = [*source.videos[0].read()]
    assert frames[1].truth.is_crowd.tolist() == [False, True]
    assert frames[0].class_texts == ("category 99",)
    assert frames[0].row_names == ("annotation 3",)
    assert readers.open(coco, labels=["tram", "car"]).labels == ("tram", "car")
    mine = told(readers.open(coco, labels=["tram", "car"]))["val/one"][1]
    assert [row[0] for row in mine] == [1, UNKNOWN_CLASS]


@pytest.mark.parametrize("unknown", [-1, -5])
def test_coco_track_of_a_text_leaves_unknown_ones_unknown(coco: Path, unknown: int) -> None:
    content = COCO_VID.replace('"instance_id": 5', f'"instance_id": {unknown}', 1)
    coco.write_text(content.replace('"instance_id": 6', '"instance_id": "six"'))
    rows = told(readers.open(coco))["val/one"]

    assert [row[1] for frame in rows for row in frame] == [1, -1, 0]


@pytest.mark.parametrize("height", ["NaN", "Infinity", "-50"])
def test_coco_size_that_is_none_is_read_from_the_image(coco: Path, height: str) -> None:
    coco.write_text(COCO_VID.replace('"height": 50}', f'"height": {height}}}'))
    source = readers.open(coco)

    assert source.videos[0].height == 0
    assert told(source)["val/one"][0] == [(UNKNOWN_CLASS, 5, 0, 0, 1, 1)]


def test_coco_without_videos_is_stills_or_folders(tmp_path: Path) -> None:
    names = ("b/10.png", "a/1.png", "b/9.png", "2.png")
    for value, name in enumerate(names):
        picture(tmp_path / name, value=value)
    content = {
        "images": [{"id": n, "file_name": name} for n, name in enumerate(names)],
        "annotations": [{"image_id": 0, "category_id": 1, "bbox": [10.5, 5, 20, 20]}],
        "categories": [{"id": 1, "name": "car"}],
    }
    text(tmp_path / "labels.json", json.dumps(content))
    apart = readers.open(tmp_path)
    joined = readers.open(tmp_path, folders=True)
    box = (0, None, 5, 10.5, 25, 30.5)

    assert told(apart) == {"b/10.png": [[box]], "a/1.png": [[]], "b/9.png": [[]], "2.png": [[]]}
    assert "every image is a video of its own; if they are single" in apart.notes[0]
    assert readers.open(tmp_path, stills=True).notes == joined.notes == ()
    assert told(joined) == {"b": [[], [box]], "a": [[]], "images": [[]]}
    assert values(joined) == [2, 0, 1, 3]


def test_coco_frames_of_a_video_file(tmp_path: Path) -> None:
    path = film(tmp_path / "street.mp4", [40 * number for number in range(6)])
    images = [
        {"id": n, "video_id": 1, "frame_id": n, "file_name": f"street.mp4#{n}"} for n in (4, 1, 2)
    ]
    content = {
        "images": images,
        "annotations": [{"image_id": 4, "category_id": 1, "bbox": [16, 12, 32, 24]}],
        "categories": [{"id": 1, "name": "car"}],
    }
    table = tmp_path / "street.json"
    for name in ("street", "/data/street", "street.mp4", "other.mp4#"):  # of #1 and up, from 0
        said = json.dumps(content | {"videos": [{"id": 1, "name": name}]})
        table.write_text(said.replace("street.mp4#", "other.mp4#") if "#" in name else said)
        for place in (path,) if "#" in name else ("", path, tmp_path):
            source = readers.open(table, images=place)
            np.testing.assert_allclose(values(source), [40, 80, 160], atol=3)
    assert not source.videos[0].random_access
    (*_, last) = source.videos[0].read()
    np.testing.assert_allclose(last.truth.boxes, [[0.25, 0.25, 0.75, 0.75]])


@pytest.fixture
def two_files(tmp_path: Path) -> Path:
    """A COCO file of one video: frames of two video files, an image between, and back again."""
    film(tmp_path / "a.mp4", [0, 20, 40, 60])
    film(tmp_path / "b.mp4", [100, 120, 140, 160])
    picture(tmp_path / "still.png", value=250, size=(48, 64))
    names = ["a.mp4#2", "a.mp4#3", "b.mp4#0", "b.mp4#1", "still.png", "a.mp4#0", "b.mp4#3"]
    content = {
        "videos": [{"id": 1, "name": "street"}],
        "images": [
            {"id": n, "video_id": 1, "frame_id": n, "file_name": name}
            for n, name in enumerate(names)
        ],
        "annotations": [
            {"image_id": n, "category_id": 1, "instance_id": n, "bbox": [16, 12, 32, 24]}
            for n in range(len(names))
        ],
        "categories": [{"id": 1, "name": "car"}],
    }
    text(tmp_path / "street.json", json.dumps(content))
    return tmp_path / "street.json"


def test_coco_frames_of_one_video_may_lie_in_several_files(two_files: Path) -> None:
    (video,) = readers.open(two_files).videos
    expected = [40, 60, 100, 120, 250, 0, 160]

    assert not video.random_access
    for start, stop in ((0, 7), (0, 1), (1, 5), (3, 4), (4, 7)):
        frames = [*video.read(start, stop)]
        shown = [int(pixels(frame.image, where="")[0, 0, 0]) for frame in frames]
        np.testing.assert_allclose(shown, expected[start:stop], atol=3)
        assert [f.truth.track_ids.tolist() for f in frames] == [[n] for n in range(start, stop)]
        for frame in frames:
            np.testing.assert_allclose(frame.truth.boxes, [[0.25, 0.25, 0.75, 0.75]])
    (two_files.parent / "b.mp4").unlink()
    frames = [*readers.open(two_files).videos[0].read()]
    with pytest.raises(ProblemError, match=r"frame .*: there is no image .*b\.mp4#1"):
        pixels(frames[3].image, where="frame 3")
    missing = [isinstance(frame.image, ImageFile) for frame in frames]
    assert missing == [False, False, True, True, True, False, True]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"image_id": 10', '"image_id": 77', "annotation 3 is of image 77, which is not"),
        ('"video_id": 2', '"video_id": 9', 'of video 9, which is not in "videos"'),
        ('"id": 12', '"id": 10', "2 images have the id 10"),
        ('"id": 7', '"id": 3', "2 categories have the id 3"),
        ('"frame_id": 1', '"frame_id": 0', r"one/000001\.png .* are both frame 0; give each"),
        ('"bbox": [0, 0, 1', '"bbox": ["a", 0, 1', r"annotations\[2\]\.bbox is \['a', 0.*expected"),
        ('"image_id": 10', '"image_id": [10]', r"annotations\[2\]\.image_id is \[10\]: "),
        ('{"id": 7, "name": "car"}', "7", r"categories\[0\] is 7: "),
        ('"name": "car"', '"name": false', r"categories\[0\] has name False, not a text"),
        ('"id": 7', '"id": "seven"', r"categories\[0\]\.id is 'seven': .*integer"),
        ('"file_name": "two/000000.png", ', "", r"images\[2\]\.file_name is missing"),
        ('"images"', '"pictures"', 'there is no list "images"'),
        ("{", "{{", "not valid JSON"),
    ],
)
def test_coco_says_what_is_wrong(coco: Path, old: str, new: str, message: str) -> None:
    coco.write_text(COCO_VID.replace(old, new, 1))
    refused(rf"vid_val\.json: .*{message}", coco, format="coco")


def test_coco_without_its_images_says_where_it_looked(coco: Path, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    (tmp_path / "Data").rename(tmp_path / "elsewhere")
    refused(r"none of its images is found, such as one/000001\.png", coco)
    assert values(readers.open(coco, images=tmp_path / "elsewhere" / "VID")) == [1, 2, 3]
    refused(r"none of its images .* looked in .*bare; say where", coco, images=tmp_path / "bare")
    with pytest.raises(FileNotFoundError, match=r"images: there is no file or folder .*nowhere"):
        readers.open(coco, images=tmp_path / "nowhere")


def test_of_several_coco_files_the_subset_chooses(coco: Path) -> None:
    text(coco.with_name("vid_train.json"), COCO_VID)
    refused(r"2 of its COCO .*vid_train\.json, vid_val\.json", coco.parent)
    assert readers.open(coco.parent.parent, subset="val").videos[0].where.endswith("vid_val.json")


# --- MOT -----------------------------------------------------------------------------------------

SEQINFO = "[Sequence]\nname=MOT17-02-FRCNN\nimDir=img1\nseqLength=3\nimWidth=100\nimHeight=50\n"
GT = """\
1,2,11,6,20,20,1,1,0.86014
3,2,12,6,20,20,1,1,0.25
1,3,1,1,100,50,1,1,1
2,9,5,5,10,10,0,8,1
3,4,91,41,30,30,1,3,1
"""


@pytest.fixture
def mot(tmp_path: Path) -> Path:
    root = tmp_path / "train" / "MOT17-02-FRCNN"
    text(root / "seqinfo.ini", SEQINFO)
    text(root / "gt" / "gt.txt", GT)
    for number in (1, 2, 3):
        picture(root / "img1" / f"{number:06d}.jpg", value=number)
    return root


def test_mot(mot: Path) -> None:
    source = readers.open(mot)

    assert (source.format, source.labels) == ("mot", ("pedestrian", "car"))
    assert told(source) == {
        "MOT17-02-FRCNN": [
            [(0, 2, 5, 10, 25, 30), (0, 3, 0, 0, 50, 100)],
            [(-1, 9, 4, 4, 14, 14)],
            [(0, 2, 5, 11, 25, 31), (1, 4, 40, 90, 70, 120)],
        ]
    }
    assert values(source) == [1, 2, 3]
    assert "where they look like people, nothing counts" in source.notes[0]
    last = next(source.videos[0].read(2, 3))
    assert last.where.endswith("gt.txt, frame 3")
    assert last.row_names == ("line 2", "line 5")
    np.testing.assert_allclose(last.attributes["visibility"], [0.25, 1])
    above = readers.open(mot.parent.parent, labels=["pedestrian"], subset="train")
    assert told(above)["MOT17-02-FRCNN"][2][1][0] == UNKNOWN_CLASS
    text(mot.parent / "MOT17-01" / "gt" / "gt.txt", "1,1,1,1,5,5,1,3,1\n")
    picture(mot.parent / "MOT17-01" / "img1" / "1.png")
    assert readers.open(mot.parent).labels == ("pedestrian", "car")  # car is met first


def test_mot15_has_ten_columns_and_no_seqinfo(mot: Path) -> None:
    (mot / "seqinfo.ini").unlink()
    text(mot / "gt" / "gt.txt", "1,1,11,6,20,20,1,-1,-1,-1\n5,1,12,6,20,20,1,-1,-1,-1\n")
    source = readers.open(mot)

    assert source.labels == ("pedestrian",)
    frames = [*source.videos[0].read()]
    np.testing.assert_allclose(frames[0].truth.boxes * [50, 100, 50, 100], [[5, 10, 25, 30]])
    assert [Path(frame.image.path).exists() for frame in frames] == [True] * 3 + [False] * 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,2,11,6,20", "line 6: 5 columns, expected at least 7: frame, id, left"),
        ("1,2,11,six,20,20,1,1,1", "line 6: top is 'six', expected a number"),
        ("0,2,11,6,20,20,1,1,1", "line 6: frame is 0, expected a whole number from 1 to 10000000"),
        ("nan,2,11,6,20,20,1,1,1", "line 6: frame is nan, expected a whole"),
        ("99999999999,2,11,6,20,20,1,1,1", "line 6: frame is 99999999999, .* to 10000000"),
        ("1,3000000000,11,6,20,20,1,1,1", "line 6: track is 3000000000, .* to 2147483647"),
        ("1,2,11,6,20,20,1,inf,1", "line 6: class is inf, expected a whole number"),
        ("\udcff", "not a text file in UTF-8"),
    ],
)
def test_mot_says_what_is_wrong(mot: Path, line: str, message: str) -> None:
    (mot / "gt" / "gt.txt").write_bytes((GT + line + "\n").encode(errors="surrogateescape"))
    refused(rf"gt\.txt[,:] {message}", mot)


# --- YOLO ----------------------------------------------------------------------------------------


@pytest.fixture
def yolo(tmp_path: Path) -> Path:
    text(
        tmp_path / "data.yaml",
        "path: .\ntrain: images/train\nval: images/val\nnc: 2\nnames: ['ant', 'bee']\n",
    )
    for number in (1, 2, 10):
        picture(tmp_path / "images" / "train" / f"hive_{number}.png", value=number)
    picture(tmp_path / "images" / "val" / "sky" / "7.png", value=7)
    labels = tmp_path / "labels"
    text(labels / "train" / "hive_1.txt", "1 0.2 0.3 0.2 0.4\n0 0.8 0.5 0.4 1.0\n")
    text(labels / "train" / "hive_10.txt", "")
    text(
        labels / "val" / "sky" / "7.txt", "0 0.5 0.5 0.1 0.1 12\n1 0.1 0.2 0.3 0.2 0.3 0.6 0.1 0.6"
    )
    return tmp_path


def test_yolo(yolo: Path) -> None:
    source = readers.open(yolo)

    assert (source.format, source.labels) == ("yolo", ("ant", "bee"))
    assert told(source) == {
        "hive": [[(1, None, 5, 10, 25, 30), (0, None, 0, 60, 50, 100)], [], []],
        "sky": [[(0, 12, 22.5, 45, 27.5, 55), (1, -1, 10, 10, 30, 30)]],
    }
    assert values(source) == [1, 2, 10, 7]


def test_yolo_names_may_be_numbered_and_the_images_listed(yolo: Path) -> None:
    text(yolo / "list.txt", "./images/train/hive_10.png\n./images/train/hive_1.png\n")
    text(yolo / "data.yaml", "train: list.txt\nnames:\n  0: ant\n  3: bee\n")
    source = readers.open(yolo / "data.yaml", stills=True)

    assert source.labels == ("ant", "bee")
    assert told(source) == {
        "images/train/hive_10": [[]],
        "images/train/hive_1": [[(UNKNOWN_CLASS, None, 5, 10, 25, 30), (0, None, 0, 60, 50, 100)]],
    }


def test_yolo_poses_may_end_in_a_track_id(yolo: Path) -> None:
    text(yolo / "data.yaml", "train: images/train\nnames: [ant]\nkpt_shape: [2, 2]\n")
    text(yolo / "labels" / "train" / "hive_1.txt", f"{POSE_2} 7\n")
    assert told(readers.open(yolo))["hive"][0] == [(0, 7, 10, 20, 40, 60)]


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        ("[no, 007]", ("no", "007")),
        ("{0: no, 3: 007}", ("no", "007")),
        ("[ant, ' ant', bee]", ("ant", "bee")),  # two numbers of one class
        ("[ant, [bee]]", "names is .*, expected a list, or numbers with names"),
    ],
)
def test_yolo_names_are_text_and_said_once(yolo: Path, names: str, labels: object) -> None:
    text(yolo / "data.yaml", f"train: images/train\nnames: {names}\n")
    if isinstance(labels, str):
        refused(labels, yolo)
        return
    source = readers.open(yolo)
    assert source.labels == labels
    assert told(source)["hive"][0][1][0] == 0


def test_yolo_folders_are_videos_whatever_the_names_say(tmp_path: Path) -> None:
    text(tmp_path / "data.yaml", "train: images\nnames: [ant]\n")
    for name, value in (("a/2_ff0.png", 2), ("a/10_0e1.png", 10), ("b/x.png", 3), ("b/y1.png", 4)):
        picture(tmp_path / "images" / name, value=value)
    joined = readers.open(tmp_path, folders=True)

    assert [video.num_frames for video in readers.open(tmp_path).videos] == [1, 1, 1, 1]
    assert [(video.name, video.num_frames) for video in joined.videos] == [("a", 2), ("b", 2)]
    assert values(joined) == [2, 10, 3, 4]
    assert "the names of the images of b say no order" in joined.notes[0]


def test_a_choice_that_means_nothing_for_a_format_is_refused(yolo: Path, mot: Path) -> None:
    with pytest.raises(ValueError, match="stills and folders exclude one another"):
        readers.open(yolo, stills=True, folders=True, format="yolo")
    refused("stills means nothing for the format csv, only for ", yolo, stills=True, format="csv")
    refused("stills means nothing for the format mot, only for yolo", mot, stills=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("0 0.5 0.5 0.1", r"hive_1\.txt, line 1: 4 values, expected class, x, y"),
        ("0.5 0.5 0.5 0.1 0.1", r"hive_1\.txt, line 1: class is 0\.5"),
        ("0 0.5 0.5 0.1 x", r"hive_1\.txt, line 1: '0 0.5 0.5 0.1 x' is not made of numbers"),
        ("0 0.5 0.5 0.1 0.1 0.97", r"the last value, a track id \(remove it if .* is 0\.97"),
        ("inf 0.5 0.5 0.1 0.1", r"hive_1\.txt, line 1: class is inf, expected a whole number"),
    ],
)
def test_yolo_says_what_is_wrong(yolo: Path, content: str, message: str) -> None:
    text(yolo / "labels" / "train" / "hive_1.txt", content)
    with pytest.raises(ValueError, match=message):
        told(readers.open(yolo, subset="train"))


POSE_2 = "0 0.4 0.5 0.4 0.6  0.3 0.3  0.5 0.7"
POSE_3 = "0 0.4 0.5 0.4 0.6  0.3 0.3 2  0.5 0.7 1  0 0 0"
FAR_POSE = "0 0.8 0.8 0.2 0.2  0.75 0.75  0.85 0.8  0.8 0.88"
OUTLINE = "0 0.2 0.2  0.6 0.2  0.6 0.8  0.3 0.8  0.2 0.8"
TURNED = "0 0.2 0.2  0.6 0.2  0.6 0.8  0.2 0.8"


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ("kpt_shape: [2, 2]", POSE_2),
        ("kpt_shape: [3, 3]", POSE_3),
        ("kpt_shape: [2, 2]", "0 0.4 0.5 0.4 0.6"),
        ("nc: 1", POSE_3),
        ("nc: 1", POSE_3.replace(" 2", " 1")),  # an even number
        ("nc: 1", POSE_3 + "  0.4 0.4 2"),  # an odd number, but 2 is no place in a picture
        ("nc: 1", OUTLINE),
        ("nc: 1", TURNED),
        ("nc: 1", "0 0.2 0.2 0.6 0.8 0.2 0.8"),
        (None, POSE_3),
        (None, TURNED),
        (None, OUTLINE + "\n" + "0 0.2 0.2 0.6 0.8 0.2 0.8"),
    ],
)
def test_yolo_lines_are_boxes_outlines_or_poses(yolo: Path, data: str | None, line: str) -> None:
    frames = _read_lines(yolo, data, line)

    boxes = np.round(frames[0].truth.boxes * [50, 100, 50, 100], 3).tolist()
    assert boxes == [[10, 20, 40, 60]] * len(line.splitlines())


def _read_lines(yolo: Path, data: str | None, line: str) -> list:
    """Returns the frames of a video in which all images have a line, without data.yaml for None."""
    (yolo / "data.yaml").unlink()
    text(yolo / "classes.txt", "ant\n")
    if data is not None:
        text(yolo / "data.yaml", f"train: images/train\nnames: [ant]\n{data}\n")
    for number in (1, 2, 10):
        text(yolo / "labels" / "train" / f"hive_{number}.txt", line)
    return [*readers.open(yolo).videos[0].read()]


@pytest.mark.parametrize(
    ("data", "line", "message"),
    [
        ("kpt_shape: [3, 2]", POSE_2, "9 values, but by kpt_shape of data.yaml a line has 11"),
        ("kpt_shape: [3, 4]", POSE_2, r"kpt_shape is \[3, 4\], expected \[number of points, 2 or"),
        ("nc: 1", POSE_2 + " 0.5", r"hive_1\.txt, line 1: 10 values, expected .* or a pose"),
        (
            None,
            POSE_2,
            r"9 values may be .* 4 points, or the box and 2 .* kpt_shape: \[2, 2\], for",
        ),
        ("nc: 1", FAR_POSE, r"11 values may be .* kpt_shape: \[3, 2\], for outlines"),
        ("nc: 1", POSE_2 + " 0 0 0 0", r"13 values may be .* or the box and 4 points of a pose"),
        (None, "0 0.2 0.2 0.6 0.2 0.6 0.8 0.3 0.8", "9 values may be an outline of 4 points, or"),
    ],
)
def test_yolo_lines_that_may_be_two_things_are_refused(
    yolo: Path, data: str | None, line: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        _read_lines(yolo, data, line)


def test_yolo_that_is_no_yaml_or_whose_folders_are_not_there_says_so(yolo: Path) -> None:
    text(yolo / "data.yaml", "names: [ant\ntrain: x\n")
    refused(r"data\.yaml, line \d: not valid YAML: ", yolo)
    text(yolo / "data.yaml", "train: ../images/train\nnames: [ant, bee]\n")  # as Roboflow
    assert values(readers.open(yolo, subset="train")) == [1, 2, 10]
    text(yolo / "data.yaml", "train: images/trian\nnames: [ant]\n")
    refused(r"data\.yaml: images/trian is not there; looked for", yolo)
    refused(r"no subset 'test'; it has train", yolo, subset="test")


@pytest.mark.parametrize("names", ["classes.txt", "obj.names"])
def test_yolo_without_data_yaml_takes_the_names_of_a_text_file(tmp_path: Path, names: str) -> None:
    text(tmp_path / names, "ant\nbee\n\n")
    picture(tmp_path / "street" / "a_1.png", value=1)
    picture(tmp_path / "street" / "a_2.png", value=2)
    text(tmp_path / "street" / "a_2.txt", "1 0.2 0.3 0.2 0.4\n")
    source = readers.open(tmp_path)

    assert (source.format, source.labels) == ("yolo", ("ant", "bee"))
    assert "taken for 1 videos, by their names; if they are single images" in source.notes[0]
    assert told(source) == {"street/a": [[], [(1, None, 5, 10, 25, 30)]]}


def test_yolo_without_any_names_takes_those_of_the_caller(yolo: Path) -> None:
    (yolo / "data.yaml").unlink()
    source = readers.open(yolo, format="yolo", labels=["ant", "bee"])

    assert source.labels == ("ant", "bee")
    assert told(source)["train/hive"][0] == [(1, None, 5, 10, 25, 30), (0, None, 0, 60, 50, 100)]
    refused(r"neither data\.yaml nor classes\.txt; expected\n", yolo, format="yolo")
    assert values(readers.open(yolo, format="yolo", labels=["ant", "bee"], subset="val")) == [7]
    with pytest.raises(ValueError, match=r"there is no subset 'test'; it has .*train, val"):
        readers.open(yolo, format="yolo", labels=["ant", "bee"], subset="test")
    text(yolo / "classes.txt", "\n")
    refused(r"no name in classes\.txt; expected", yolo)


def test_yolo_labels_beside_images_are_found_below_a_folder_named_images(tmp_path: Path) -> None:
    folder = tmp_path / "images" / "mine"
    text(folder / "classes.txt", "ant\n")
    picture(folder / "1.png")
    text(folder / "1.txt", "0 0.2 0.3 0.2 0.4\n")

    assert told(readers.open(folder)) == {"mine": [[(0, None, 5, 10, 25, 30)]]}


def test_yolo_says_that_no_image_has_boxes(yolo: Path) -> None:
    (yolo / "labels").rename(yolo / "annotations")
    source = readers.open(yolo)

    assert told(source)["hive"] == [[], [], []]
    assert "none of the 4 images has a text file with boxes; looked for " in source.notes[1]
    assert "labels/train/hive_1.txt" in source.notes[1]


def test_yolo_takes_an_image_that_train_and_val_name_once(yolo: Path) -> None:
    text(yolo / "data.yaml", "train: images/train\nval: images/train\nnames: [ant, bee]\n")
    source = readers.open(yolo)

    assert [video.name for video in source.videos] == ["hive"]
    assert "3 images are named more than once by train, val" in source.notes[1]
    assert source.notes[2] == "all subsets are taken: train, val; one is chosen by subset"
    assert values(readers.open(yolo, subset="val")) == [1, 2, 10]


# --- CSV -----------------------------------------------------------------------------------------

CSV_HEADER = "frame,class,track_id,ymin,xmin,ymax,xmax\n"


def test_csv_with_a_folder(tmp_path: Path) -> None:
    for number in (0, 1, 2):
        picture(tmp_path / "street" / f"{number}.png", value=number)
    lines = "2,bee,7,5,10,25,30\n0,ant,,0,60,50,100\n2,ant,8,nan,0,1,1\n"
    text(tmp_path / "street.csv", CSV_HEADER + lines)
    for path in (tmp_path, tmp_path / "street.csv", tmp_path / "street"):
        source = readers.open(path)
        assert (source.format, source.labels) == ("csv", ("ant", "bee"))
        found = told(source)["street"]
        assert found[:2] == [[(0, -1, 0, 60, 50, 100)], []]
        assert found[2][0] == (1, 7, 5, 10, 25, 30)
        assert np.isnan(found[2][1][2])
        assert values(source) == [0, 1, 2]


def test_csv_with_a_video_of_any_name_and_a_line_beyond_its_end(tmp_path: Path) -> None:
    path = film(tmp_path / "Title [id].mp4", [0, 40, 80])
    text(path.with_suffix(".csv"), "frame,label,ymin,xmin,ymax,xmax\n4,ant,12,16,36,48\n")
    frames = [*readers.open(path).videos[0].read()]

    assert [frame.image is None for frame in frames] == [False, False, False, True, True]
    np.testing.assert_allclose(frames[4].truth.boxes, [[0.25, 0.25, 0.75, 0.75]])
    assert frames[4].truth.track_ids is None


def test_csv_columns_may_be_in_any_order_and_the_track_missing(tmp_path: Path) -> None:
    picture(tmp_path / "a" / "0.png")
    table = "\ufefflabel, xmin,ymin,xmax,ymax,note,frame\nbee,10,5,30,25,hello,0\n"
    text(tmp_path / "a.csv", table)

    assert told(readers.open(tmp_path)) == {"a": [[(0, None, 5, 10, 25, 30)]]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("frame,ymin,xmin,ymax,xmax\n", r", line 1: there is no column class \(or label\)"),
        ("frame,class,ymin,xmin,ymax\n", ", line 1: there is no column xmax; expected frame,"),
        (CSV_HEADER + "0,ant,1,0,0,1,1\n0,ant,1,0,zero,1,1\n", ", line 3: xmin is 'zero', expe"),
        (CSV_HEADER + "0,ant,1,0,0,1\n", ", line 2: xmax is None, expected a number"),
        (CSV_HEADER + "-1,ant,1,0,0,1,1\n", ", line 2: frame is -1, expected a whole number"),
        (CSV_HEADER + "99999999,ant,1,0,0,1,1\n", ", line 2: frame is 99999999, expected a whole"),
        (CSV_HEADER + "0,ant,1.5,0,0,1,1\n", r", line 2: track_id is 1\.5, expected a whole"),
        (CSV_HEADER + '0,"a\nb",1,0,0,9,9\n', r"class name 'a\\nb' holds a control character"),
    ],
)
def test_csv_says_what_is_wrong(tmp_path: Path, content: str, message: str) -> None:
    picture(tmp_path / "a" / "0.png")
    text(tmp_path / "a.csv", content)
    refused(message, tmp_path)


def test_csv_without_its_video_says_so(tmp_path: Path) -> None:
    text(tmp_path / "a.csv", CSV_HEADER)
    refused(r"a\.csv: expected one video file or folder named a", tmp_path)
    text(tmp_path / "a.mp4", "hello")
    with pytest.raises((ValueError, OSError), match=r"a\.mp4: this is "):
        readers.open(tmp_path)


# --- finding out ---------------------------------------------------------------------------------


def test_a_wrong_tree_is_answered_with_what_it_holds_and_the_expected_trees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path, "."):
        with pytest.raises(ValueError, match="an empty folder; expected one of") as caught:
            readers.open(path)
        for known in readers.FORMATS.values():
            assert known.tree.splitlines()[0] in str(caught.value)
    text(tmp_path / "notes" / "readme.txt", "hello")
    refused(r"no known data set \(it holds notes/\)", tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        readers.open(tmp_path / "nowhere")


def test_two_formats_in_one_folder_need_a_choice(yolo: Path) -> None:
    text(yolo / "gt" / "gt.txt", GT)
    refused("may be mot or yolo; say which with --format", yolo)

    assert readers.open(yolo, format="yolo").format == "yolo"
    refused("unknown format 'yoloo'; did you mean 'yolo'", yolo, format="yoloo")
