"""Reads tracking sets with one label file and one folder of numbered images for each video.

They differ in where files lie and in how one says frame, track, class and box; `SETS` is all there
is to know. Boxes are pixels from 0, as they stand. What a set says not to count has no class of
which it could be a crowd, so it is left out, and `Source.notes` says how much: ignored regions of
VisDrone and UA-DETRAC, DontCare of KITTI, objects of VisDrone with the score 0 or of the class
"others", BDD100K's "other person", "trailer" and "other vehicle". BDD100K's crowds have a class:
they are `is_crowd`.

Sources: https://github.com/VisDrone/VisDrone2018-MOT-toolkit; the development kit of
https://www.cvlibs.net/datasets/kitti/eval_tracking.php; Wen et al., UA-DETRAC
(https://arxiv.org/abs/1511.04136); https://doc.bdd100k.com/format.html.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from lstd.base import documents, natural
from lstd.data.readers import fields, pictures, sniff
from lstd.data.readers.labelled_video import Box, Classes, LabelledVideo, Labels
from lstd.data.readers.options import Options
from lstd.data.sources import Source


class TrackingSet(NamedTuple):
    """A tracking set: where its files are, and how they are read."""

    name: str  # of the format
    labels: str  # where label files are, from the folder that is opened or one of those in it
    begins: str  # what a label file begins with, a pattern
    boxes: Callable[[Path], Iterator[tuple[int, Box]]]  # one without a class does not count
    images: str  # folders with a folder of images for each video, from the same folder
    first: tuple[int, int]  # number of the first frame in a label file, and of its image
    classes: str  # in order, a space between them
    tree: str

    def matches(self, path: Path) -> bool:
        """Whether a folder holds label files of the set."""
        looked_at = [*self._files(path)][:20]
        return any(sniff.files(file, file.suffix, self.begins) for file in looked_at)

    def read(self, path: Path, options: Options) -> Source:
        """Returns the videos in the order of their names; raises as `readers.open`."""
        files = self._files(path, options.subset)
        classes = Classes(self.classes.split(), options.labels)
        videos: list[LabelledVideo] = []
        notes: list[str] = []
        left_out = 0
        for file, top in files.items():
            rows: dict[int, list[Box]] = {}
            for frame, box in self.boxes(file):
                left_out += not box.label
                if box.label:
                    rows.setdefault(frame - self.first[0], []).append(box)
            if min(rows, default=0) < 0:
                low = min(rows) + self.first[0]
                raise ValueError(f"{file}: frame {low} is before the first one, {self.first[0]}")
            given = [Path(options.images)] if options.images else []
            shown = pictures.numbered(
                pictures.film_of(options, file.stem, alone=len(files) == 1),
                [*(p / file.stem for p in given or sorted(top.glob(self.images))), *given],
                first=self.first[1],
                length=max(rows, default=-1) + 1,
                where=str(file),
                notes=notes,
            )
            frames = tuple(
                Labels(rows.get(n, ()), f"{file}, frame {n + self.first[0]}")
                for n in range(len(shown))
            )
            videos.append(
                LabelledVideo(
                    file.stem, str(file), shown, frames, classes, has_tracks=True, has_crowds=True
                )
            )
        notes += [f"boxes that the set does not count are left out: {left_out}"] * bool(left_out)
        return Source(self.name, str(path), classes.labels, tuple(videos), tuple(notes))

    def _files(self, path: Path, subset: str = "") -> dict[Path, Path]:
        """Returns the label files, each with the folder that `labels` starts from."""
        for pattern in (self.labels, f"*/{self.labels}") if path.is_dir() else ():
            found = sorted(path.glob(pattern), key=lambda file: natural.key(str(file)))
            if found:
                return {
                    file: file.parents[self.labels.count("/")]
                    for file in found
                    if subset.lower() in str(file.parent.relative_to(path)).lower()
                }
        return {}


def _row(
    where: str, place: str, name: str, *numbers: Any, size: bool = False, crowd: bool = False
) -> tuple[int, Box]:
    """Returns frame and box of the numbers frame, track, left, top, and right, bottom or size."""
    frame, track, *sides = numbers
    names = ("left", "top", *(("width", "height") if size else ("right", "bottom")))
    what = f"{where}, {place}"
    left, top, right, bottom = (
        fields.number(said, f"{what}: {name}") for name, said in zip(names, sides, strict=True)
    )
    if size:
        right, bottom = left + right, top + bottom
    return fields.frame(frame, f"{what}: frame"), Box(
        (top, left, bottom, right), name, fields.track_id(track, f"{what}: track"), crowd, place
    )


def _visdrone(file: Path) -> Iterator[tuple[int, Box]]:
    names = {str(number): name for number, name in enumerate(_VISDRONE.split(), start=1)}
    columns = "frame, target, left, top, width, height, score, category"
    for place, line in fields.lines(file, ",", columns):
        name = "" if line[6] == "0" else names.get(line[7], "")
        yield _row(str(file), place, name, *line[:6], size=True)


def _kitti(file: Path) -> Iterator[tuple[int, Box]]:
    columns = "frame, track, type, truncated, occluded, alpha, left, top, right, bottom"
    for place, (frame, track, name, _, _, _, *sides) in fields.lines(file, None, columns):
        name = "" if name == "DontCare" else name
        yield _row(str(file), place, name, frame, track, *sides[:4])


def _detrac(file: Path) -> Iterator[tuple[int, Box]]:
    root = documents.read_xml(file)
    regions = [
        ("ignored_region", "", box, "1", "-1") for box in root.iterfind("ignored_region/box")
    ]
    targets = [
        (f"frame {frame.get('num')}, target {n}", kind, box, frame.get("num"), target.get("id"))
        for frame in root.iterfind("frame")
        for n, target in enumerate(frame.iterfind("target_list/target"))
        for box in target.iterfind("box")
        for kind in [a.get("vehicle_type", "others") for a in target.iterfind("attribute")]
        or ["others"]
    ]
    for place, name, box, frame, track in (*regions, *targets):
        sides = [box.get(side) for side in ("left", "top", "width", "height")]
        yield _row(str(file), place, name, frame, track, *sides, size=True)


def _bdd(file: Path) -> Iterator[tuple[int, Box]]:
    tracks: dict[str, int] = {}
    content = documents.read_json(file)
    try:
        for entry in content["frames"] if isinstance(content, dict) else content:
            frame = entry["frameIndex"] if "frameIndex" in entry else entry["frame_index"]
            for number, label in enumerate(entry.get("labels") or ()):
                marks, name = label.get("attributes") or {}, str(label["category"])
                if not label.get("box2d"):
                    continue
                yield _row(
                    str(file),
                    f"frame {frame}, label {number}",
                    "" if name in ("other person", "trailer", "other vehicle") else name,
                    frame,
                    tracks.setdefault(str(label["id"]), len(tracks)),
                    *(label["box2d"].get(side) for side in ("x1", "y1", "x2", "y2")),
                    crowd=bool(marks.get("Crowd", marks.get("crowd"))),
                )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file}: not as BDD100K writes it: {error!r}") from None


_VISDRONE = "pedestrian people bicycle car van truck tricycle awning-tricycle bus motor"

SETS = (
    TrackingSet(
        name="visdrone_vid",
        labels="annotations/*.txt",
        begins=r"([^,\n]+,){7}",
        boxes=_visdrone,
        images="sequences",
        first=(1, 1),
        classes=_VISDRONE,
        tree="annotations/uav0001.txt ...    sequences/uav0001/0000001.jpg ...",
    ),
    TrackingSet(
        name="kitti_tracking",
        labels="label_02/*.txt",
        begins=r"\S+ \S+ [A-Za-z_]+( \S+){7}",
        boxes=_kitti,
        images="image_02",
        first=(0, 0),
        classes="Car Van Truck Pedestrian Person_sitting Person Cyclist Tram Misc",
        tree="training/label_02/0000.txt ...    training/image_02/0000/000000.png ...",
    ),
    TrackingSet(
        name="ua_detrac",
        labels="*/*.xml",
        begins=sniff.xml("sequence"),
        boxes=_detrac,
        images="*",
        first=(1, 1),
        classes="car bus van others",
        tree="DETRAC-Train-Annotations-XML/MVI_1.xml ...    any folder/MVI_1/img00001.jpg ...",
    ),
    TrackingSet(
        name="bdd100k_mot",
        labels="labels/*/*/*.json",
        begins=r'(?s)(?=.*"video_?[nN]ame")(?=.*"frame_?[iI]ndex")',
        boxes=_bdd,
        images="images/*/*",
        first=(0, 1),
        classes="pedestrian rider car truck bus train motorcycle bicycle",
        tree="labels/box_track_20/train/b1.json ...    images/track/train/b1/b1-0000001.jpg ...",
    ),
)
