"""The trees that people's tools write, typed anew and small; see `docs/data.md`."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lstd.data import readers
from lstd.data.readers import frame_names, frame_pictures
from lstd.data.sources import UNKNOWN_CLASS
from tests.data.readers.test_formats import picture, refused, text, told, values

pytest.importorskip("av")


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
    assert "mot end at frame 3; the 3 frames of" in source.notes[0]


def test_mot_without_any_image_says_how_to_name_them(mot: Path) -> None:
    refused("no images in .*img1; say where with --images, a folder or the video file", mot)
    for number in (1, 2, 3):
        picture(mot / "pictures" / f"{number:06d}.png", value=number)
    assert values(readers.open(mot, images=mot / "pictures")) == [1, 2, 3]


def test_mot_sequences_take_each_a_video_of_its_name(mot: Path, video: Path) -> None:
    mot.rename(mot.parent / "street")
    assert shown(readers.open(mot.parent, images=video.parent)) == [0, 1, 2]
    shutil.copytree(mot.parent / "street", mot.parent / "other")
    refused("this is one video, and the labels are of several", mot.parent, images=video)


def test_mot_has_subsets_by_any_of_their_names(mot: Path) -> None:
    picture(mot / "img1" / "1.png", value=9)
    (mot.parent / "root" / "Valid").mkdir(parents=True)
    mot.rename(mot.parent / "root" / "Valid" / "a")

    assert [one.name for one in readers.open(mot.parent / "root", subset="val").videos] == ["a"]
    shutil.copytree(mot.parent / "root" / "Valid", mot.parent / "root" / "Train")
    assert "all subsets are taken: Train, Valid" in readers.open(mot.parent / "root").notes[0]


def test_imagenet_vid_without_pictures_takes_the_frames_of_a_video(
    tmp_path: Path, video: Path
) -> None:
    for number in (3, 1):
        text(
            tmp_path / "Annotations" / "VID" / "val" / "street" / f"{number:06d}.xml",
            "<annotation><size><width>100</width><height>50</height></size></annotation>",
        )

    assert shown(readers.open(tmp_path, images=video)) == [0, 2]
    assert shown(readers.open(tmp_path, images=video.parent)) == [0, 2]


def test_mot_refuses_two_pictures_of_one_frame(mot: Path) -> None:
    picture(mot / "img1" / "left_000001.png")
    picture(mot / "img1" / "right_000001.png")
    refused(r"right_000001.*has the same number", mot)


# --- which frames are one video ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "folders", "expected"),
    [
        (  # Roboflow: each frame of two videos with its own hash, two videos in a folder
            ["b_mp4-0001_jpg.rf.0a.jpg", "a_mp4-0010_jpg.rf.1b.jpg", "a_mp4-0009_jpg.rf.2c.jpg"],
            True,
            {"b_mp4": [0], "a_mp4": [2, 1]},
        ),
        (  # Label Studio: random digits before each name
            ["028f1c4d-f_10.jpg", "3729e4d4-f_9.jpg"],
            False,
            {"f": [1, 0]},
        ),
        (  # of which two pictures may have one name
            ["028f1c4d-image.jpg", "3729e4d4-image.jpg", "77e0b1a2-f_1.jpg"],
            False,
            {"028f1c4d-image": [0], "3729e4d4-image": [1], "f": [2]},
        ),
        (["20240101-1.jpg", "20240101-2.jpg", "20240102-1.jpg"], False, None),  # dates are not
        (["a3-x.jpg", "f0-y.jpg"], True, {"images": [0, 1]}),  # no order in them: the list's
        (
            [f"v/2024-05-01 12.0{n}.0{m}.jpg" for n in (0, 1) for m in (2, 1)],
            True,
            {"v": [1, 0, 3, 2]},
        ),
        (["v/2_ff.jpg", "v/10_0e.jpg"], True, {"v": [0, 1]}),
        (  # a time is one number: no video of each minute
            ["cam_2024-05-01_12-01-00.jpg", "cam_2024-05-01_12-00-59.jpg"],
            False,
            {"cam": [1, 0]},
        ),
        (["s/1.jpg", "2.jpg"], False, {"s": [0], "images": [1]}),
        (["v/10.jpg", "v/009.jpg", "v/9.jpg", f"v/{'9' * 5000}.jpg"], True, {"v": [1, 2, 0, 3]}),
    ],
)
def test_names_tell_videos_and_their_order(
    names: list[str], folders: bool, expected: dict[str, list[int]] | None
) -> None:
    groups = frame_names.group(names, where="d", folders=folders)
    if expected is None:
        expected = {"20240101": [0, 1], "20240102": [2]}

    assert {group.name: [*group.places] for group in groups} == expected


def test_tasks_of_cvat_that_all_count_from_0_are_videos_of_their_own() -> None:
    names = ["frame_000000.PNG", "frame_000001.PNG", "frame_000000_1.PNG", "frame_000001_1.PNG"]
    groups = frame_names.group([*names, *names[:2]], where="", parts=["Train"] * 4 + ["Val"] * 2)

    assert [(group.name, [*group.places]) for group in groups] == [
        ("frame", [0, 1]),
        ("task_1/frame", [2, 3]),
        ("Val/frame", [4, 5]),
    ]
    assert [frame_names.number(name) for name in frame_names.plain(names)] == [0, 1, 0, 1]


def test_frames_that_were_dealt_to_subsets_are_one_video_again() -> None:
    names = ["x-1.jpg", "x-3.jpg", "x-2.jpg", "y-1.jpg", "y-1.jpg"]
    groups = frame_names.group(names, where="d", parts=["a", "a", "b", "a", "b"])

    assert [(group.name, (*group.places,)) for group in groups] == [
        ("x", (0, 2, 1)), ("y", (3,)), ("y", (4,))
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a-1.jpg", "a-2.jpg", "a-1.jpg"], "d: a-1.jpg is named twice"),
        (["a-1_jpg.rf.0a.jpg", "a-1_jpg.rf.0b.jpg"], "d: a-1.*0a.* and .*0b.* are the same frame"),
        (
            ["v/a1.jpg", "v/a2.jpg", "v/b1.jpg", "v/b2.jpg"],
            "d: v: by their names its images are 2 videos of 2, 2 frames, such as v/a, v/b, and by",
        ),
    ],
)
def test_names_with_two_readings_are_refused(names: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        frame_names.group(names, where="d", folders=True)


@pytest.mark.parametrize(
    ("said", "there"),
    [
        ("images\\a\\1.jpg", "images/a/1.jpg"),
        ("C:\\data\\images\\a\\1.jpg", "a/1.jpg"),
        ("data/a/1.PNG", "a/1.png"),
        ("/data/local-files/?d=a/1", "a/1.jpg"),
        ("a/1.jpg", "a/1.JPG"),
        ("b\\2.jpg", "b\\2.jpg"),  # unpacked from another machine's archive
    ],
)
def test_pictures_are_found_by_what_other_machines_call_them(
    tmp_path: Path, said: str, there: str
) -> None:
    text(tmp_path / there, "")
    text(tmp_path / "a" / "10.jpg", "")

    assert frame_pictures.finder([said], [tmp_path], where="x.json")(said) == tmp_path / there


def test_folders_are_not_dropped_where_names_would_become_the_same(tmp_path: Path) -> None:
    text(tmp_path / "1.jpg", "")
    for names in (["a/1.jpg", "b/1.jpg"], ["a/1.jpg", "a/2.jpg", "a/3.jpg"]):  # most are not there
        with pytest.raises(ValueError, match=r"x\.json: none of its images is found, such as a/1"):
            frame_pictures.finder(names, [tmp_path], where="x.json")
    told = frame_pictures.finder(["a/1.jpg"], [tmp_path], where="x.json").told("a/1.jpg")
    assert "without their first folders, such as a/1.jpg as 1.jpg in" in told[0]


# --- COCO ----------------------------------------------------------------------------------------


def coco(images: list[dict], annotations: list[dict], **more: object) -> str:
    """Returns a file in which images and annotations have what is said, and the rest."""
    return json.dumps(
        {
            "images": [
                {"id": n, "height": 50, "width": 100, **one} for n, one in enumerate(images)
            ],
            "annotations": [
                {"category_id": 1, "bbox": [10, 5, 20, 20], **one} for one in annotations
            ],
            "categories": [{"id": 1, "name": "ant"}, {"id": 2, "name": "bee"}],
            **more,
        }
    )


@pytest.mark.parametrize("place", ["images/default", "images/train2017", "train2017", "images/any"])
def test_coco_of_cvat_has_its_images_deeper_and_tracks_in_attributes(
    tmp_path: Path, place: str
) -> None:
    subset = place.rpartition("/")[2]
    names = [f"frame_{number:06d}.PNG" for number in (1, 0)]
    for value, name in zip((200, 100), names, strict=True):
        picture(tmp_path / place / name, value=value)
    text(
        tmp_path / "annotations" / f"instances_{subset}.json",
        coco(
            [{"file_name": name} for name in names],
            [
                {
                    "image_id": "1",
                    "category_id": "2",
                    "attributes": {"track_id": 7, "keyframe": True},
                }
            ],
        ),
    )
    source = readers.open(tmp_path)

    assert told(source) == {"frame": [[(1, 7, 5, 10, 25, 30)], []]}
    assert values(source) == [100, 200]
    assert "taken for 1 videos, by their names" in source.notes[0]


def test_coco_without_pictures_takes_the_frames_of_a_video(tmp_path: Path, video: Path) -> None:
    names = [f"frame_{number:06d}.PNG" for number in (4, 2)]
    text(tmp_path / "a.json", coco([{"file_name": n} for n in names], [{"image_id": 1}]))
    source = readers.open(tmp_path, images=video)

    assert (shown(source), [one.name for one in source.videos]) == ([2, 4], ["street.mp4"])
    assert told(source)["street.mp4"][0] == [(0, None, 5, 10, 25, 30)]
    text(tmp_path / "a.json", coco([{"file_name": n} for n in ("3.png", "1.png", "2.png")], []))
    assert shown(readers.open(tmp_path, images=video)) == [0, 1, 2]
    for name, message in (
        ("frame_000006.png", "is beyond the 6 frames"),
        ("f3.png", "whether f3.png counts the frames of .* from 0 or from 1 cannot be told"),
        ("f.png", "has 6 frames, the labels 1, and which is which"),
    ):
        text(tmp_path / "a.json", coco([{"file_name": name}], []))
        refused(message, tmp_path, images=video)


def test_coco_of_roboflow_is_a_folder_of_subsets_with_a_root_that_is_no_class(
    tmp_path: Path,
) -> None:
    categories = [
        {"id": 0, "name": "bugs", "supercategory": "none"},
        {"id": 1, "name": "ant", "supercategory": "bugs"},
        {"id": 2, "name": "bee", "supercategory": "bugs"},
    ]
    for part, number in (("train", 3), ("valid", 2)):
        name = f"a_mp4-{number:04d}_jpg.rf.{part}.jpg"
        picture(tmp_path / part / name, value=50 * number)
        content = coco([{"file_name": name}], [{"image_id": 0, "category_id": 2}])
        content = json.dumps({**json.loads(content), "categories": categories})
        text(tmp_path / part / "_annotations.coco.json", content)
    source = readers.open(tmp_path)

    assert source.labels == ("ant", "bee")
    assert told(source) == {"a_mp4": [[(1, None, 5, 10, 25, 30)]] * 2}
    np.testing.assert_allclose(values(source), [100, 150], atol=2)
    assert "all subsets are taken: train (1 images), valid (1 images)" in source.notes[0]
    np.testing.assert_allclose(values(readers.open(tmp_path, subset="val")), [100], atol=2)
    refused("no subset 'test'; it has train, valid", tmp_path, subset="test")


def test_coco_videos_without_frame_id_are_in_the_order_of_frame_index_or_names(
    tmp_path: Path,
) -> None:
    names = ["3.png", "1.png"]
    for name in names:
        picture(tmp_path / "frames" / "v" / name, value=int(name[0]))
    file = tmp_path / "annotations" / "train.json"
    images = [{"file_name": f"v/{name}", "video_id": 1} for name in names]
    text(file, coco(images, []))
    by_name = readers.open(tmp_path)
    text(file, coco([{**one, "frame_index": n} for n, one in enumerate(images)], []))
    by_index = readers.open(tmp_path)

    assert (values(by_name), values(by_index)) == ([1, 3], [3, 1])
    assert "have no frame_id; they are taken in the order of their names" in by_name.notes[0]
    assert by_index.notes == ()
    text(file, coco([{**images[0], "frame_id": 0}, images[1]], []))
    refused(r"v/1\.png of video 1 has no frame_id, and the others or", tmp_path)
    text(file, coco([{**images[0], "file_name": "v/3.png"}, {**images[1], "file_name": "v/a"}], []))
    refused("say no order; add a frame_id", tmp_path)


@pytest.mark.parametrize(
    ("segmentation", "box"),
    [
        ([[10, 5, 30, 5, 30, 25], [12, 20, 14, 40]], (5, 10, 40, 30)),
        # columns of 4: the mask is rows 1 and 2 of columns 1 and 2
        ({"counts": [5, 2, 2, 2, 5], "size": [4, 4]}, (1, 1, 3, 3)),
        ({"counts": "52203", "size": [4, 4]}, (1, 1, 3, 3)),
        ({"counts": [6, 4, 6], "size": [4, 4]}, (0, 1, 4, 3)),
        ({"counts": [16], "size": [4, 4]}, "annotations\\[0\\] has no bbox"),
        ({"counts": [7], "size": [4, 4]}, "its counts are no runs of pixels that fill its size"),
        ([["a", "b"]], "expected lists of x, y"),
        ([], "annotations\\[0\\] has no bbox"),
    ],
)
def test_coco_masks_without_boxes_become_boxes(
    tmp_path: Path, segmentation: object, box: tuple | str
) -> None:
    picture(tmp_path / "1.png")
    entry = {"image_id": 0, "bbox": None, "segmentation": segmentation}
    text(tmp_path / "a.json", coco([{"file_name": "1.png"}], [entry]))
    if isinstance(box, str):
        refused(box, tmp_path)
    else:
        assert told(readers.open(tmp_path)) == {"1.png": [[(0, None, *box)]]}


def test_json_that_only_speaks_of_images_is_not_coco(tmp_path: Path) -> None:
    text(tmp_path / "classes.txt", "ant\n")
    picture(tmp_path / "images" / "1.png")
    text(tmp_path / "labels" / "1.txt", "0 0.2 0.3 0.2 0.4\n")
    text(tmp_path / "notes.json", '{"categories": [{"id": 0, "name": "ant"}], "info": {}}')
    text(tmp_path / "index.json", '{"videos": [{"name": "images"}], "categories": []}')

    assert readers.open(tmp_path).format == "yolo"


def test_coco_of_label_studio_is_a_video_by_the_names_without_their_random_digits(
    tmp_path: Path,
) -> None:
    names = [f"images/{n}.png" for n in ("a5682735-f_10", "028f1c4d-f_9", "77e0b1a2-g_1")]
    for number, name in enumerate(names):
        picture(tmp_path / name, value=40 * number)
    text(tmp_path / "result.json", coco([{"file_name": n} for n in names], [{"image_id": 1}]))
    source = readers.open(tmp_path)

    assert told(source) == {"images/f": [[(0, None, 5, 10, 25, 30)], []], "images/g": [[]]}
    assert shown(source) == [1, 0, 2]
    assert len(readers.open(tmp_path, stills=True).videos) == 3


# --- YOLO ----------------------------------------------------------------------------------------

BOX = "1 0.2 0.3 0.2 0.4\n"
"""As `told` shows it: class 1, 5, 10, 25, 30."""


def test_yolo_of_label_studio_has_notes_and_random_prefixes(tmp_path: Path) -> None:
    text(tmp_path / "labels" / "classes.txt", "ant\nbee\n")  # as labelImg has it
    text(tmp_path / "notes.json", '{"categories": [], "info": {}}')
    for number, prefix in ((10, "028f1c4d"), (9, "a5682735")):
        picture(tmp_path / "images" / f"{prefix}-f_{number}.png", value=number)
        text(tmp_path / "labels" / f"{prefix}-f_{number}.txt", BOX)
    source = readers.open(tmp_path)

    assert told(source) == {"f": [[(1, None, 5, 10, 25, 30)]] * 2}
    assert values(source) == [9, 10]


def test_yolo_of_roboflow_names_a_test_that_is_not_there_and_deals_frames(tmp_path: Path) -> None:
    for part, number in (("train", 2), ("valid", 1)):
        picture(tmp_path / part / "images" / f"a_mp4-{number}_jpg.rf.{part}.png", value=number)
    text(
        tmp_path / "data.yaml",
        "train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnames: [ant, bee]\n",
    )
    source = readers.open(tmp_path)

    assert [(one.name, one.num_frames) for one in source.videos] == [("a_mp4", 2)]
    assert values(source) == [1, 2]
    assert source.notes[0] == "test of data.yaml is ../test/images, which is not there"
    assert values(readers.open(tmp_path, subset="valid")) == [1]
    refused(r"data\.yaml: \.\./test/images is not there", tmp_path, subset="test")


@pytest.mark.parametrize("lists", [True, False])
def test_yolo_subsets_have_any_name(tmp_path: Path, lists: bool) -> None:
    for part, number in (("Train", 1), ("Unseen", 2)):
        picture(tmp_path / "images" / part / f"frame_{number:06d}.png", value=number)
        text(tmp_path / "labels" / part / f"frame_{number:06d}.txt", BOX)
        text(tmp_path / f"{part}.txt", f"data/images/{part}/frame_{number:06d}.png\n")
    entry = "{}.txt" if lists else "C:\\data\\images\\{}"
    subsets = "".join(f"{part}: {entry.format(part)}\n" for part in ("Train", "Unseen"))
    if not lists:
        subsets = subsets.replace("C:\\data\\images\\Unseen", "images/Unseen")
    picture(tmp_path / "2" / "x.png")  # which nc does not mean
    text(tmp_path / "data.yaml", f"{subsets}license: CC\nnc: 2\nnames: [ant, bee]\n")

    assert values(readers.open(tmp_path)) == [1, 2]
    assert values(readers.open(tmp_path, subset="train")) == [1]
    assert values(readers.open(tmp_path, subset="unseen")) == [2]
    refused("no subset 'val'; it has Train, Unseen", tmp_path, subset="val")


def test_yolo_of_cvat_has_a_folder_for_each_subset(tmp_path: Path) -> None:
    text(tmp_path / "obj.names", "ant\nbee\n")
    for part, number in (("train", 1), ("valid", 2)):
        picture(tmp_path / f"obj_{part}_data" / f"frame_{number:06d}.png", value=number)
        text(tmp_path / f"obj_{part}_data" / f"frame_{number:06d}.txt", BOX)

    assert (values(readers.open(tmp_path)), values(readers.open(tmp_path, subset="val"))) == (
        [1, 2],
        [2],
    )


@pytest.mark.parametrize("place", ["labels", "obj_train_data"])
def test_yolo_without_pictures_takes_the_frames_of_a_video(
    tmp_path: Path, video: Path, place: str
) -> None:
    text(tmp_path / "obj.names", "ant\nbee\n")
    text(tmp_path / "train.txt", "data/obj_train_data/frame_000004.PNG\n")
    text(tmp_path / place / "frame_000004.txt", "")
    text(tmp_path / place / "frame_000003.txt", BOX)
    source = readers.open(tmp_path, images=video)

    assert shown(source) == [3, 4]
    assert told(source)["street.mp4"] == [[(1, None, 5, 10, 25, 30)], []]


@pytest.mark.parametrize("lists", [True, False])
def test_labels_without_pictures_say_how_to_name_them(tmp_path: Path, lists: bool) -> None:
    text(tmp_path / "obj.names", "ant\nbee\n")
    text(tmp_path / "labels" / "1.txt", BOX)
    text(tmp_path / "list.txt", "images/1.jpg\n")
    if lists:
        text(tmp_path / "data.yaml", "train: list.txt\nnames: [ant, bee]\n")
    refused(r"there is no image, and .*labels/1\.txt; .* --images", tmp_path)


def test_an_archive_is_to_be_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("a.json", "{}")
    for path in (tmp_path / "export.zip", tmp_path):
        refused(r"export\.zip: this is an archive; unpack it", path)


def test_yolo_takes_pictures_from_a_folder_elsewhere(tmp_path: Path) -> None:
    text(tmp_path / "y" / "data.yaml", "train: images/train\nnames: [ant, bee]\n")
    text(tmp_path / "y" / "labels" / "train" / "s" / "f_1.txt", BOX)
    picture(tmp_path / "elsewhere" / "s" / "f_1.PNG", value=7)

    source = readers.open(tmp_path / "y", images=tmp_path / "elsewhere")

    assert values(source) == [7]
    assert told(source) == {"s/f": [[(1, None, 5, 10, 25, 30)]]}


# --- CSV -----------------------------------------------------------------------------------------


def csv(path: Path, lines: str, *, track: str = "track_id") -> Path:
    text(path, f"frame,class,{track},ymin,xmin,ymax,xmax\n{lines}")
    return path


def test_csv_takes_id_for_track_id_and_a_line_without_a_class(tmp_path: Path) -> None:
    picture(tmp_path / "v" / "0.png")
    csv(tmp_path / "v.csv", "0,,7,5,10,25,30\n0,ant,8,5,10,25,30\n", track="id")
    source = readers.open(tmp_path)

    assert (source.labels, source.notes) == (("ant",), ())
    rows = [(UNKNOWN_CLASS, 7, 5, 10, 25, 30), (0, 8, 5, 10, 25, 30)]
    assert told(source) == {"v": [rows]}
    csv(tmp_path / "v.csv", "".join(f"{n},ant,{n},5,10,25,30\n" for n in range(3)), track="id")
    assert "every line has another track id" in readers.open(tmp_path).notes[0]


def test_csv_with_sides_between_0_and_1_has_relative_boxes(tmp_path: Path) -> None:
    picture(tmp_path / "v" / "0.png")
    csv(tmp_path / "v.csv", "0,ant,7,0.1,0.1,0.5,0.3\n0,ant,8,nan,0,1.01,1\n0,ant,9,0.5,0,1,3.0\n")
    source = readers.open(tmp_path)

    assert told(source)["v"][0][0] == (0, 7, 5, 10, 25, 30)
    assert told(source)["v"][0][2] == (0, 9, 25, 0, 50, 300)  # wrong, and told as beyond the edge
    assert "most sides are between 0 and 1; all are taken for relative ones" in source.notes[0]


@pytest.mark.parametrize(
    ("names", "frames", "expected"),
    [
        ((0, 5, 10), (0, 10), [(0, 1), (5, 0), (10, 1)]),  # numbers: there is no eleventh image
        ((0, 5, 10), (1, 2), [(0, 0), (5, 1), (10, 1)]),  # places: there is no image 1
        ((0, 1, 3), (0, 1, 2, 3), [(0, 1), (1, 1), (None, 1), (3, 1)]),  # one is missing
        ((1, 2, 3), (1, 3), [(1, 1), (2, 0), (3, 1)]),  # numbers from 1
        ((1, 2, 3), (0, 2), [(1, 1), (2, 0), (3, 1)]),  # places
    ],
)
def test_csv_frames_are_places_or_numbers_of_images(
    tmp_path: Path, names: tuple[int, ...], frames: tuple[int, ...], expected: list[tuple]
) -> None:
    for name in names:
        picture(tmp_path / "v" / f"{name:04d}.png", value=name)
    csv(tmp_path / "v.csv", "".join(f"{n},ant,7,5,10,25,30\n" for n in frames))
    found = [*readers.open(tmp_path).videos[0].read()]

    assert [(_number(frame.image.path), len(frame.truth.classes)) for frame in found] == expected


def _number(path: str) -> int | None:
    return int(Path(path).stem) if Path(path).exists() else None


def test_csv_frames_that_may_be_places_or_numbers_are_refused(tmp_path: Path) -> None:
    for name in (0, 2, 4):
        picture(tmp_path / "v" / f"{name}.png")
    csv(tmp_path / "v.csv", "2,ant,7,5,10,25,30\n")
    refused(r"v\.csv: frame 2 may be the image with this number or", tmp_path)


def test_csv_times_are_rounded_to_the_nearest_frame(tmp_path: Path, video: Path) -> None:
    lines = "".join(f"{time},ant,5,10,25,30\n" for time in (0, 0.29, 0.31, "0.60"))
    text(tmp_path / "street.csv", f"time,class,ymin,xmin,ymax,xmax\n{lines}")
    source = readers.open(tmp_path, images=video)

    assert [len(frame) for frame in told(source)["street.mp4"]] == [1, 1, 1, 1, 0, 0]
    assert "rounded to the nearest of 5 frames a second" in source.notes[0]
    picture(tmp_path / "street" / "0.jpg")
    refused(r"it has times, and .* is no video file; expected frame", tmp_path)


def test_csv_tables_in_subsets_take_each_its_video(tmp_path: Path, video: Path) -> None:
    for part in ("train", "valid"):
        csv(tmp_path / "t" / part / "street.csv", "1,ant,7,5,10,25,30\n")
    source = readers.open(tmp_path / "t", images=video.parent, subset="val")

    assert [(one.name, one.num_frames) for one in source.videos] == [("valid/street.mp4", 6)]
    assert len(readers.open(tmp_path / "t", images=video.parent).videos) == 2
    refused("this is one video, and the labels are of several", tmp_path / "t", images=video)
