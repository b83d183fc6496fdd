"""COCO and CocoVID files, written and read back, and those that are refused."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstd.evaluation import CocoMetric, coco_files
from lstd.evaluation.objects import Objects

TRUTH = {
    ("b", 0): Objects(
        np.array([[1.5, 2, 10, 20], [5, 5, 5, 9]]),
        np.array([1, 0]),
        track_ids=np.array([7, -1]),
        is_crowd=np.array([False, True]),
    ),
    ("b", 3): Objects(np.zeros((0, 4)), np.zeros(0, int), is_crowd=np.zeros(0, bool)),
    ("a", 12): Objects(np.array([[0, 0, 9.25, 9]]), np.array([0]), is_crowd=np.array([False])),
}
FOUND = {
    ("b", 0): Objects(
        np.array([[1.0, 2, 10, 20]]), np.array([1]), scores=np.array([0.1]), network="large"
    ),
    ("b", 3): Objects(np.zeros((0, 4)), np.zeros(0, int), scores=np.zeros(0)),
    ("a", 12): Objects(
        np.array([[0, 1, 9, 9], [3, 3, 4, 4.0]]), np.array([0, 1]), scores=np.array([0.5, 1 / 3])
    ),
}


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    ids = coco_files.write_annotations(tmp_path / "a.json", ("cat", "dog"), TRUTH, fps=29.97)
    coco_files.write_detections(tmp_path / "d.json", FOUND, ids, (1, 2))

    read = coco_files.read_annotations(tmp_path / "a.json")
    found = coco_files.read_detections(tmp_path / "d.json", read)

    assert (read.labels, read.fps, read.image_ids) == (("cat", "dog"), 29.97, ids)
    assert list(read.ground_truth) == sorted(TRUTH)
    for frame, true in TRUTH.items():
        ours = read.ground_truth[frame]
        np.testing.assert_allclose(ours.boxes, true.boxes, atol=1e-12)
        np.testing.assert_array_equal(ours.classes, true.classes)
        np.testing.assert_array_equal(ours.is_crowd, true.is_crowd)
    assert read.ground_truth["b", 0].track_ids.tolist() == [7, -1]
    assert read.ground_truth["a", 12].track_ids is None
    assert set(found) == {("b", 0), ("a", 12)}
    np.testing.assert_allclose(found["a", 12].boxes, FOUND["a", 12].boxes, atol=1e-12)
    np.testing.assert_array_equal(found["a", 12].scores, FOUND["a", 12].scores)
    assert (found["b", 0].network, found["a", 12].network) == ("large", None)


def stock(truth: dict[str, Any], found: list[dict[str, Any]]) -> np.ndarray:
    """Returns pycocotools' twelve numbers of what two files say, by way of its own `loadRes`."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        read = COCO()
        read.dataset = {"info": {}, **truth}
        read.createIndex()
        evaluated = COCOeval(read, read.loadRes(found), "bbox")
        evaluated.evaluate()
        evaluated.accumulate()
        evaluated.summarize()
    return evaluated.stats


def test_pycocotools_reads_what_is_written(tmp_path: Path) -> None:
    ids = coco_files.write_annotations(tmp_path / "a.json", ("cat", "dog"), TRUTH)
    coco_files.write_detections(tmp_path / "d.json", FOUND, ids, (1, 2))
    metric = CocoMetric(("cat", "dog"), per_class=False)
    for frame, true in TRUTH.items():
        metric.add(frame, true, FOUND[frame])

    expected = stock(*(json.loads((tmp_path / name).read_text()) for name in ("a.json", "d.json")))

    np.testing.assert_allclose(list(metric.result().values()), expected, atol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_files_give_pycocotools_numbers_with_equal_scores_and_areas_of_masks(
    tmp_path: Path, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    ids = rng.permutation(np.arange(1, 14)).tolist()  # neither in order of frames nor of text
    images = [
        {"id": number, "video_id": 1, "frame_id": place, "file_name": f"{place}.jpg"}
        for place, number in enumerate(ids)
    ]
    truth, found = [], []
    for number in ids:
        for _ in range(3):
            x, y = rng.uniform(0, 90, 2).tolist()  # x + w - x is not always w
            w, h = (float(each) for each in rng.integers(20, 120, 2))
            kind = int(rng.integers(1, 3))
            area = w * h * float(rng.uniform(0.2, 1))  # of a mask
            mine = {"image_id": number, "category_id": kind}
            truth.append({**mine, "id": len(truth) + 1, "bbox": [x, y, w, h], "area": area})
            truth[-1]["iscrowd"] = int(rng.random() < 0.1)
            for _ in range(2):
                score = float(rng.integers(1, 4)) / 4  # mostly ties
                part = float(rng.choice([0.5, 0.6, 0.75, 1]))  # IoUs at COCO's thresholds
                found.append({**mine, "bbox": [x, y, w * part, h], "score": score})
    content = {
        "videos": [{"id": 1, "name": "v"}],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "images": images,
        "annotations": truth,
    }
    read = coco_files.read_annotations(save(tmp_path / "a.json", content))
    detections = coco_files.read_detections(save(tmp_path / "d.json", found), read)
    metric = CocoMetric(read.labels, per_class=False)
    for frame, true in read.ground_truth.items():
        metric.add(frame, true, detections.get(frame))

    expected = stock(content, found)
    np.testing.assert_allclose(list(metric.result().values()), expected, atol=1e-9)


def annotations(**changes: Any) -> dict[str, Any]:
    return {
        "categories": [{"id": 18, "name": "dog"}, {"id": 3, "name": "cat"}],
        "images": [{"id": "x", "file_name": "x.jpg"}, {"id": 5, "file_name": "y.jpg"}],
        "annotations": [{"id": 1, "image_id": "x", "category_id": 18, "bbox": [1, 2, 3, 4]}],
        **changes,
    }


def save(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_plain_coco_files_are_videos_of_one_frame(tmp_path: Path) -> None:
    read = coco_files.read_annotations(save(tmp_path / "a.json", annotations()))

    assert read.labels == ("cat", "dog")
    assert read.category_ids == (3, 18)
    assert read.image_ids == {("x.jpg", 0): "x", ("y.jpg", 0): 5}
    assert read.ground_truth["x.jpg", 0].boxes.tolist() == [[2, 1, 6, 4]]
    assert read.ground_truth["x.jpg", 0].classes.tolist() == [1]


BOX = {"category_id": 3, "bbox": [0, 0, 1, 5]}


def one(**changes: Any) -> dict[str, Any]:
    return annotations(annotations=[{"id": 1, "image_id": 5, **BOX, **changes}])


@pytest.mark.parametrize(
    ("tracks", "expected"),
    [((None, 7, "8"), [-1, 7, 8]), (("a", 2**70, "a"), [0, 1, 0])],  # null: nobody knows it
)
def test_tracks_are_read_as_for_training(
    tmp_path: Path, tracks: tuple[object, ...], expected: list[int]
) -> None:
    rows = [{"id": n, "image_id": "5", "track_id": t, **BOX} for n, t in enumerate(tracks)]
    read = coco_files.read_annotations(save(tmp_path / "a.json", annotations(annotations=rows)))
    assert read.ground_truth["y.jpg", 0].track_ids.tolist() == expected
    masked = [{"image_id": 5, "category_id": 3, "segmentation": [[1, 2, 4, 2, 4, 6]]}]
    read = coco_files.read_annotations(save(tmp_path / "a.json", annotations(annotations=masked)))
    assert read.ground_truth["y.jpg", 0].boxes.tolist() == [[2, 1, 6, 4]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", 'there is no list "images"'),
        (annotations(images=[]), "annotation 1 is of image x, which is not in the list"),
        (annotations(images=[], annotations=[]), "there are no images"),
        (annotations(images=[{"id": n, "file_name": "x"} for n in "xy"]), "twice"),
        (annotations(categories=[{"id": 3, "name": "cat"}]), "the unknown category 18"),
        (one(area="big"), "annotation 1 has the area 'big'"),
        (one(track_id=1.5), r"annotations\[0\].track_id is 1.5"),
        (
            annotations(images=[{"id": "x", "video_id": 1, "frame_id": 2**70}]),
            "the index must be a whole number",
        ),
        (
            one(bbox=[0, 0, -1, 5]),
            r"\('y.jpg', 0\): ground truth box 0 ends before it begins",
        ),
        (one(bbox=[0, 0, 1e200, 1e200]), "ground truth box 0"),
    ],
)
def test_annotations_that_cannot_be_are_refused(tmp_path: Path, content: Any, message: str) -> None:
    path = save(tmp_path / "a.json", content)

    with pytest.raises(ValueError, match=message) as caught:
        coco_files.read_annotations(path)

    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_id": 9}, "entry 0 is of image 9, which is unknown"),
        ({"category_id": 1}, "entry 0 has category 1; the annotations have 3, 18"),
        ({"image_id": [1]}, r"entry 0 is of image \[1\], which is unknown"),
        ({"category_id": {}}, "entry 0 has category {}; the annotations have 3, 18"),
        ({"score": "high"}, "entry 0: score must be a number, got 'high'"),
        ({"score": {}}, "entry 0: score must be a number, got {}"),
        ({"score": None}, "entry 0: score must be a number, got None"),
        ({"score": float("nan")}, "detection scores are not finite"),
        ({"bbox": [0, 0, float("nan"), 1]}, r"detection box 0 is not finite"),
        ({"bbox": [0, 0, 1e308, 1]}, r"detection box 0 is not finite, or beyond 1e\+09 pixels"),
        ({"bbox": None}, "a bbox must be x, y, width, height"),
        ({"bbox": [10**400, 0, 1, 1]}, "a bbox must be x, y, width, height"),
        ({"network": "big"}, r"'large' or 'small' \('none' of a baseline\), got 'big'"),
        ({"network": ["large"]}, r"entry 0: network must be .*, got \['large'\]"),
    ],
)
def test_detections_that_cannot_be_are_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    read = coco_files.read_annotations(save(tmp_path / "a.json", annotations()))
    entry = {"image_id": "x", "category_id": 3, "bbox": [0, 0, 1, 1], "score": 0.5}
    path = save(tmp_path / "d.json", [{**entry, **changes}])

    with pytest.raises(ValueError, match=message) as caught:
        coco_files.read_detections(path, read)

    assert str(caught.value).startswith(f"{path}: ")
    with pytest.raises(ValueError, match="entry 0 is no detection: missing 'image_id'"):
        coco_files.read_detections(save(tmp_path / "e.json", [{}]), read)
    with pytest.raises(ValueError, match="expected a list of detections"):
        coco_files.read_detections(save(tmp_path / "f.json", "3"), read)
