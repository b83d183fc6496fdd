"""CVAT, Label Studio, Pascal VOC and the tracking sets, each from a sample typed by hand.

The truth of `test_layouts_of_people` was read by nobody's reader: the boxes were there first.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lstd.data import readers
from tests.data.readers.test_formats import picture, refused, text, told
from tests.data.readers.test_layouts import shown

# --- CVAT ----------------------------------------------------------------------------------------

CVAT_VIDEO = """\
<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><task><name>streets</name><size>6</size><mode>interpolation</mode>
    <start_frame>0</start_frame><stop_frame>5</stop_frame><frame_filter></frame_filter>
    <labels><label><name>van</name></label><label><name>bus</name></label></labels>
    <source>street.mp4</source></task></meta>
  <track id="0" label="bus">
    <box frame="0" keyframe="1" outside="0" xtl="10" ytl="5" xbr="30" ybr="25"/>
    <box frame="2" keyframe="1" outside="1" xtl="14" ytl="5" xbr="34" ybr="25"/>
    <box frame="4" keyframe="1" outside="0" xtl="50" ytl="10" xbr="60" ybr="20"/>
  </track>
  <track id="1" label="van">
    <box frame="2" keyframe="1" outside="0" xtl="20" ytl="10" xbr="40" ybr="20" rotation="350"/>
    <box frame="5" keyframe="1" outside="0" xtl="20" ytl="10" xbr="40" ybr="20" rotation="20"/>
  </track>
  <track id="2" label="bus"><points frame="0" outside="0" points="1,2"/></track>
</annotations>
"""


def test_cvat_video_moves_linearly_between_keyframes(tmp_path: Path, video: Path) -> None:
    text(tmp_path / "annotations.xml", CVAT_VIDEO)
    source = readers.open(tmp_path, images=video)

    assert (source.format, source.labels) == ("cvat", ("van", "bus"))
    assert source.notes == ("what is no area is left out: 1 <points>",)
    frames = told(source)["street.mp4"]
    bus = (1, 0, 10, 50, 20, 60)
    assert frames[:2] == [[(1, 0, 5, 10, 25, 30)], [(1, 0, 5, 12, 25, 32)]]
    assert frames[2:] == [[_van(10)], [_van(0)], [bus, _van(10)], [bus, _van(20)]]  # both stay
    assert shown(source) == [0, 1, 2, 3, 4, 5]


def _van(degrees: float) -> object:
    """Returns a box of 20 x 10 around (30, 15), turned."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    high, wide = 5 * cos + 10 * sin, 10 * cos + 5 * sin
    return pytest.approx((0, 1, 15 - high, 30 - wide, 15 + high, 30 + wide), abs=1e-3)


def test_cvat_task_of_every_second_frame_has_no_others(tmp_path: Path, video: Path) -> None:
    content = CVAT_VIDEO.replace("<frame_filter>", "<frame_filter>step=2")
    content = content.replace("<size>6", "<size>2").replace(">0</start", ">2</start")
    text(tmp_path / "a.xml", content.replace(">5</stop", ">4</stop"))
    source = readers.open(tmp_path / "a.xml", images=video)

    assert told(source)["street.mp4"] == [[_van(10)], [(1, 0, 10, 50, 20, 60), _van(10)]]
    assert shown(source) == [2, 4]


def test_cvat_frames_beside_the_file_are_found_by_number(tmp_path: Path) -> None:
    text(tmp_path / "annotations.xml", CVAT_VIDEO)
    refused(r"frame_000000\.PNG in .*; say which video file or folder", tmp_path)
    for number in range(6):
        picture(tmp_path / "images" / f"frame_{number:06d}.PNG", value=40 * number)

    assert shown(readers.open(tmp_path)) == [0, 1, 2, 3, 4, 5]


def test_cvat_images_become_a_video_and_shapes_their_boxes(tmp_path: Path) -> None:
    shapes = (
        '<polygon label="ant" points="10.0,5.0;30.0,10.0;20.0,25.0"/>'
        '<ellipse label="ant" cx="50" cy="25" rx="20" ry="10" rotation="90"/>',
        '<mask label="bee" rle="1" left="3" top="4" width="5" height="6"/><tag label="night"/>',
    )
    images = "".join(
        f'<image id="{n}" name="a_{n}.jpg" width="100" height="50">{s}</image>'
        for n, s in enumerate(shapes)
    )
    text(tmp_path / "annotations.xml", f"<annotations><version>1.1</version>{images}</annotations>")
    for number in range(2):
        picture(tmp_path / "images" / f"a_{number}.jpg")
    source = readers.open(tmp_path)

    assert source.labels == ("ant", "bee")
    assert told(source) == {
        "a": [[(0, None, 5, 10, 25, 30), (0, None, 5, 40, 45, 60)], [(1, None, 4, 3, 10, 8)]]
    }


def test_cvat_project_has_its_images_in_folders_of_its_subsets(tmp_path: Path) -> None:
    images = ""
    for number, subset in enumerate(["Train", "Train", "Val"]):
        name = f"frame_{number % 2:06d}.png"
        images += f'<image name="{name}" subset="{subset}" task_id="1" width="100" height="50"/>'
        picture(tmp_path / "images" / subset / name, value=40 * number)
    text(tmp_path / "annotations.xml", f"<annotations>{images}</annotations>")

    source = readers.open(tmp_path)
    assert [clip.num_frames for clip in source.videos] == [2, 1]
    assert shown(source) == [0, 1, 2]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('xtl="14"', 'xtl="x"', r"track 0, frame 2: <box>: xtl is 'x', expected a number"),
        ('frame="4"', "", "frame is None, expected a number"),
        ("</task>", "</task><task/>", "holds 2 tasks, .* export each by itself"),
        ("<annotations>", '<!DOCTYPE x [<!ENTITY y SYSTEM "/etc/passwd">]><annotations>&y;', "XML"),
        ('encoding="utf-8"', 'encoding="klingon"', "not an XML file"),
    ],
)
def test_cvat_says_what_is_wrong(tmp_path: Path, old: str, new: str, message: str) -> None:
    text(tmp_path / "annotations.xml", CVAT_VIDEO.replace(old, new, 1))
    refused(message, tmp_path)


# --- Label Studio --------------------------------------------------------------------------------


def _label_studio(folder: Path, *sequences: list[dict], frames: int = 6, rate: float = 5) -> Path:
    results = [
        {
            "type": "videorectangle",
            "value": {
                "framesCount": frames,
                "duration": frames / rate,
                "sequence": sequence,
                "labels": ["bee" if number else "ant"],
            },
        }
        for number, sequence in enumerate(sequences)
    ]
    task = {"data": {"video": "/data/upload/1/0f3a9c0d-street.mp4"}}
    task["annotations"] = [{"was_cancelled": True}, {"result": results}]  # type: ignore[assignment]
    text(folder / "project.json", json.dumps([task]))
    return folder


def _key(x: float, **rest: float) -> dict:
    return {"enabled": True, "rotation": 0, "x": x, "y": 20, "width": 10, "height": 40, **rest}


def test_label_studio_is_seen_up_to_the_frame_that_is_not_enabled(
    tmp_path: Path, video: Path
) -> None:
    ant = [_key(10, frame=1), _key(14, frame=3, enabled=False), _key(50, frame=6)]
    folder = _label_studio(tmp_path, ant, [_key(40, frame=5, rotation=90)])
    (folder / "street.mp4").write_bytes(video.read_bytes())
    source = readers.open(folder)

    assert (source.format, source.labels, source.notes) == ("label_studio", ("ant", "bee"), ())
    bee = (1, 1, 10, 20, 20, 40)  # 10 x 20 pixels at (40, 10), turned about that corner
    assert told(source)["street.mp4"] == [
        [(0, 0, 10, 10, 30, 20)],
        [(0, 0, 10, 12, 30, 22)],
        [(0, 0, 10, 14, 30, 24)],
        [],
        [bee],
        [(0, 0, 10, 50, 30, 60), bee],
    ]


def test_label_studio_without_an_annotation_is_not_empty_but_left_out(
    tmp_path: Path, video: Path
) -> None:
    folder = _label_studio(tmp_path, [_key(10, frame=1)])
    (task,) = json.loads((folder / "project.json").read_text())
    text(folder / "project.json", json.dumps([task, task | {"annotations": []}]))

    assert readers.open(folder, images=video).notes == (
        "1 tasks without an annotation are left out",
    )


def test_label_studio_of_another_rate_goes_by_time_and_says_so(tmp_path: Path, video: Path) -> None:
    sequence = [_key(0, frame=11), _key(40, time=0.8)]  # at 25 a second frame 10 is 0.4 s
    source = readers.open(_label_studio(tmp_path, sequence, frames=30, rate=25), images=video)

    assert "at 25 frames a second, and street.mp4 has 5; keyframes are rounded" in source.notes[0]
    assert [len(frame) for frame in told(source)["street.mp4"]] == [0, 0, 1, 1, 1, 1]
    assert told(source)["street.mp4"][3] == [(0, 0, 10, 20, 30, 30)]


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ({"frame": 1}, "region 0: x is None, expected a number"),
        (_key(1, frame=-3), "place from 0 of frame -3 is .* expected a whole number from 0"),
        (_key(1), "region 0: time is None, expected a number"),
        (_key(1, time=float("nan")), "place from 0 of time nan is nan, expected a whole"),
    ],
)
def test_label_studio_says_what_is_wrong(
    tmp_path: Path, video: Path, key: dict, message: str
) -> None:
    refused(message, _label_studio(tmp_path, [key]), images=video)


# --- Pascal VOC ----------------------------------------------------------------------------------

VOC = """\
<annotation><folder>x</folder><filename>{name}</filename>
<source><database>{database}</database></source>
<size><width>100</width><height>50</height><depth>3</depth></size><segmented>0</segmented>
<object><name>bee</name><difficult>1</difficult>
<bndbox><xmin>11</xmin><ymin>6</ymin><xmax>30</xmax><ymax>25</ymax></bndbox>{more}</object>
</annotation>
"""
TRACK = "<attributes><attribute><name>track_id</name><value>7</value></attribute></attributes>"


def test_voc_of_roboflow_is_one_video_whatever_the_subset(tmp_path: Path) -> None:
    for number, part in enumerate(["train", "valid", "train"]):
        stem = f"a_mp4-{number:04d}_jpg.rf.0{number}"
        content = VOC.format(name=f"{stem}.jpg", database="roboflow.com", more="")
        text(tmp_path / part / f"{stem}.xml", content)
        picture(tmp_path / part / f"{stem}.jpg", value=40 * number)
    source = readers.open(tmp_path)

    assert (source.format, source.labels) == ("voc", ("bee",))
    assert told(source) == {"a_mp4": [[(0, None, 6, 11, 25, 30)]] * 3}
    assert shown(source) == [0, 1, 2]
    assert source.notes[0] == "all subsets are taken: train, valid; one is chosen by subset"
    assert next(source.videos[0].read()).attributes["difficult"] == [1]
    assert shown(readers.open(tmp_path, subset="valid")) == [1]
    refused("no subset 'test'; it has train, valid", tmp_path, subset="test")


def test_voc_of_the_challenge_counts_pixels_from_1(tmp_path: Path) -> None:
    for number in range(2):
        name = f"{number:06d}.jpg"
        content = VOC.format(name=name, database="The VOC2007 Database", more=TRACK)
        text(tmp_path / "Annotations" / f"{number:06d}.xml", content)
        picture(tmp_path / "JPEGImages" / name)
    text(tmp_path / "ImageSets" / "Main" / "val.txt", "000001\n")
    text(tmp_path / "labelmap.txt", "# label:color\nbackground:::\nwasp:::\nbee:::\n")

    assert readers.open(tmp_path).labels == ("wasp", "bee")
    assert [*told(readers.open(tmp_path)).values()] == [[[(1, 7, 5, 10, 25, 30)]] * 2]
    assert readers.open(tmp_path, subset="val").videos[0].num_frames == 1
    text(tmp_path / "ImageSets" / "Main" / "val.txt", "")
    refused("the subset 'val' of this data set holds no video", tmp_path, subset="val")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<xmin>11", "<xmin>many", "<bndbox/xmin> is 'many', expected a number"),
        ("<bndbox>", "<box>", "not an XML file"),
        (">50<", ">0<", "the size is 100 x 0 pixels"),
        ("<width>100</width>", "", "there is no <size><width> in <annotation>"),
    ],
)
def test_voc_says_what_is_wrong(tmp_path: Path, old: str, new: str, message: str) -> None:
    content = VOC.format(name="1.jpg", database="", more="").replace(old, new)
    text(tmp_path / "1.xml", content)
    refused(message, tmp_path)


# --- tracking sets -------------------------------------------------------------------------------

DETRAC = """\
<?xml version="1.0"?><sequence name="MVI_1"><ignored_region>
<box left="1" top="1" width="9" height="9"/></ignored_region>
<frame density="1" num="2"><target_list><target id="3">
<box left="10" top="5" width="20" height="20"/><attribute vehicle_type="van" speed="1"/></target>
</target_list></frame></sequence>"""
_BOX2D = {"x1": 10, "y1": 5, "x2": 30, "y2": 25}
BDD = [
    {"name": "b-0000001.jpg", "videoName": "b", "frameIndex": 0, "labels": None},
    {
        "name": "b-0000002.jpg",
        "videoName": "b",
        "frameIndex": 1,
        "labels": [
            {"id": "77", "category": "car", "attributes": {"Crowd": True}, "box2d": _BOX2D},
            {"id": "78", "category": "trailer", "box2d": _BOX2D},
        ],
    },
]
SETS = {
    "visdrone_vid": (
        "annotations/u.txt",
        "2,3,10,5,20,20,1,5,0,0\n2,-1,1,1,9,9,0,0,0,0\n",
        "sequences/u/{:07d}.jpg",
        1,
        (4, 3),
        (-1, -1, 1, 1, 10, 10),
    ),
    "kitti_tracking": (
        "training/label_02/0000.txt",
        "1 3 Van 0 0 -10.0 10 5 30 25 -1 -1 -1 -1 -1 -1 -1\n"
        "1 -1 DontCare -1 -1 -10 1 1 9 9 -1 -1 -1 -1 -1 -1 -1\n",
        "training/image_02/0000/{:06d}.png",
        0,
        (1, 3),
        (-1, -1, 1, 1, 9, 9),
    ),
    "ua_detrac": (
        "Train-XML/MVI_1.xml",
        DETRAC,
        "Images/MVI_1/img{:05d}.jpg",
        1,
        (2, 3),
        (-1, -1, 1, 1, 10, 10),
    ),
    "bdd100k_mot": (
        "labels/box_track_20/train/b.json",
        json.dumps(BDD),
        "images/track/train/b/b-{:07d}.jpg",
        1,
        (2, 0),
        (-1, 1, 5, 10, 25, 30),
    ),
}


@pytest.mark.parametrize("name", SETS)
def test_tracking_set(tmp_path: Path, name: str) -> None:
    labels, content, images, first, (label, track), region = SETS[name]
    text(tmp_path / labels, content)
    refused("there are no images", tmp_path)
    for number in range(3):
        picture(tmp_path / images.format(first + number), value=40 * number)
    picture((tmp_path / images).with_name("thumbnail.png"), value=200)
    source = readers.open(tmp_path)

    assert source.format == name
    everywhere = [region] if name == "ua_detrac" else []
    frames = [everywhere, [(label, track, 5, 10, 25, 30), region], everywhere]
    assert [*told(source).values()] == [frames]
    assert shown(source) == [0, 1, 2]
    frame = next(source.videos[0].read(1))
    assert frame.truth.is_crowd.tolist() == [name == "bdd100k_mot", True]
    ignored = 2 if name == "bdd100k_mot" else 1
    assert source.notes == (f"regions to ignore, where nothing counts: {ignored}",)


def test_tracking_set_of_a_video_file_ends_with_its_labels(tmp_path: Path, video: Path) -> None:
    text(tmp_path / SETS["kitti_tracking"][0], SETS["kitti_tracking"][1])
    source = readers.open(tmp_path, images=video)
    assert source.videos[0].num_frames == 2
    assert "end at frame 2; the 4 frames of" in source.notes[0]


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("visdrone_vid", "2,3,10,5", "0,3,10,5", "frame 0 is before the first one, 1"),
        (
            "visdrone_vid",
            "2,-1,1,1,9,9,0,0,0,0",
            "2,-1,1",
            "line 2: 3 columns, expected at least 8",
        ),
        ("ua_detrac", 'num="2"', "", "frame is None, expected a number"),
        ("bdd100k_mot", '"x1": 10', '"x1": null', "left is None, expected a number"),
        ("bdd100k_mot", '"category": "car", ', "", "not as BDD100K writes it: KeyError"),
    ],
)
def test_tracking_set_says_what_is_wrong(
    tmp_path: Path, name: str, old: str, new: str, message: str
) -> None:
    labels, content, *_ = SETS[name]
    text(tmp_path / labels, content.replace(old, new, 1))
    refused(message, tmp_path)


# --- what is not read ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.json",
            '{"version": "5", "shapes": [], "imagePath": "a.jpg"}',
            "LabelMe .*COCO or YOLO",
        ),
        ("v.txt", "0,1,637.2,239.1,45.4,82.8,person\n", "DarkLabel .*MOT or Pascal VOC"),
        ("ds/ann/a.json", '{"objects": [{"classTitle": "x"}]}', "Supervisely"),
        ("via.json", '{"_via_settings": {}}', "VGG Image Annotator"),
        ("via.csv", "filename,file_size,file_attributes,region_count\n", "VGG Image Annotator"),
        ("a.json", '{"dm_format_version": "1.0", "infos": {}, "items": []}', "Datumaro"),
        ("a.json", '{"project_name": "x", "export_format_version": "1"}', "Hasty"),
        (
            "a.json",
            '[{"annotations": [{"result": [{"type": "rectanglelabels"}]}]}]',
            "Label Studio",
        ),
    ],
)
def test_what_is_not_read_is_named_with_what_to_export(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    text(tmp_path / name, content)
    for path in (tmp_path, tmp_path / name):
        refused(f"this is {message}", path)


# --- what the tools themselves have written ------------------------------------------------------

CASES = Path(__file__).resolve().parents[3].parent / "shared" / "cases" / "layouts"
FOLDERS = ("coco_segm_nobbox",)
FILMS = ("mot_cvat_noimages_video", "coco_cvat_video_beside", "cvat_video11", "labelstudio_video")
PLAIN = (
    *("dm_mot_seq_gt", "mot_cvat", "mot_zero_based_images"),
    *("coco_labelstudio", "yolo_labelstudio"),
    *("coco_roboflow", "coco_cvat", "dm_coco_instances", "coco_cocovid_noframeid", "coco_tao"),
    *("yolo_roboflow_notest", "yolo_pose", "csv_id_column", "csv_relative"),
    *("dm_cvat", "voc_roboflow", "dm_voc_detection", "tfexample_roboflow"),
    *("visdrone_vid", "kitti_tracking", "ua_detrac", "bdd100k_mot"),
)


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases of ../shared/cases are not here")
@pytest.mark.parametrize("name", [*PLAIN, *FOLDERS, *FILMS])
def test_layouts_of_people(name: str) -> None:
    rows: dict[int, list[list[float]]] = {}
    for frame, track, x, y, width, height in json.loads((CASES / "truth_rows.json").read_text()):
        rows.setdefault(frame, []).append([x, y, width, height, track % 2])
    film = CASES.parents[1] / "data" / "vtest" / "vtest.avi"
    images = film if name in FILMS else ""
    source = readers.open(CASES / name, images=images, folders=name in FOLDERS)
    (clip,) = source.videos

    for number, frame in enumerate(clip.read(images=False)):
        true = np.array(rows.get(number, np.zeros([0, 5])), np.float64)
        if name == "visdrone_vid":
            true = np.trunc(true)
        true[:, 2:4] += true[:, :2]
        if name == "voc_roboflow":
            true = np.round(true)
        if {"person", "bike"} != {*source.labels}:
            true[:, 4] = 0  # the set has classes of its own
        objects = frame.truth.classes >= 0  # without regions to ignore
        found = [source.labels[index] == "person" for index in frame.truth.classes[objects]]
        boxes = frame.truth.boxes[objects][:, [1, 0, 3, 2]] * [768, 576, 768, 576]
        got = np.column_stack([boxes, found])
        if name == "labelstudio_video":  # keyframes in every tenth frame, and no end
            if number % 10:
                continue
            got = got[[np.abs(true - row).max(1).min() < 1e-3 for row in got]]
        order = [np.lexsort(both.round(2).T) for both in (true, got)]
        np.testing.assert_allclose(got[order[1]], true[order[0]], atol=1e-3)
    assert clip.num_frames == 30
