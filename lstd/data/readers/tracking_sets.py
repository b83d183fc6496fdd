"""Reads tracking sets with one label file a video and a folder of numbered images for each.

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

from lstd.base import documents, limits, natural
from lstd.data.readers import frame_names, pictures, sniff, whole_numbers
from lstd.data.readers.labelled_video import (
    MOST_FRAMES,
    BoxRow,
    Classes,
    ImageFiles,
    LabelledVideo,
    Pictures,
    numbered_rows,
    video_frames,
)
from lstd.data.readers.options import Options, WrongTree
from lstd.data.sources import Source
from lstd.media import numbered_frames


class TrackingSet(NamedTuple):
    """A set.

    Attributes:
        name: of the format.
        labels: where label files are, from the folder that is opened or one of those in it.
        begins: what a label file begins with, a pattern.
        boxes: yields frame and box of a label file; a box without a class does not count.
        images: folders with a folder of images for each video, from the same folder.
        first: number of the first frame in a label file, and of its image.
        classes: names in order, a space between them.
        tree: what it looks like.
    """

    name: str
    labels: str
    begins: str
    boxes: Callable[[Path], Iterator[tuple[int, BoxRow]]]
    images: str
    first: tuple[int, int]
    classes: str
    tree: str

    def files(self, path: Path, subset: str = "") -> dict[Path, Path]:
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

    def matches(self, path: Path) -> bool:
        """Whether a folder holds label files of the set."""
        looked_at = [*self.files(path)][:20]
        return any(sniff.files(file, file.suffix, self.begins) for file in looked_at)

    def read(self, path: Path, options: Options) -> Source:
        """Returns the videos in the order of their names.

        Raises:
            ValueError: no label file, one that is not as described, or no image of a video.
        """
        files = self.files(path, options.subset)
        if not files:
            what = f" with {options.subset!r} in its path" * bool(options.subset)
            raise WrongTree(f"{path}: there is no {self.labels}{what}; expected\n{self.tree}")
        classes = Classes(self.classes.split(), options.labels)
        videos, left_out = [], 0
        notes: list[str] = []
        for file, top in files.items():
            rows = [*self.boxes(file)]
            kept = [(frame, row) for frame, row in rows if row.class_text]
            left_out += len(rows) - len(kept)
            low = min((frame for frame, _ in kept), default=self.first[0])
            if low < self.first[0]:
                raise ValueError(f"{file}: frame {low} is before the first one, {self.first[0]}")
            length = max((frame + 1 for frame, _ in kept), default=low) - self.first[0]
            film = pictures.video_of(options.images, file.stem, alone=len(files) == 1)
            if film is None:
                shown = self._images(file, top, length, options.images)
            else:
                shown = _frames(film, file, length, notes)
            frames = range(self.first[0], MOST_FRAMES)
            videos.append(
                LabelledVideo(
                    name=file.stem,
                    where=str(file),
                    pictures=shown,
                    boxes=numbered_rows(kept, classes, frames, where=str(file)),
                    has_tracks=True,
                    has_crowds=True,
                    in_pixels=True,
                )
            )
        notes += [f"boxes that the set does not count are left out: {left_out}"] * bool(left_out)
        return Source(self.name, str(path), classes.labels, tuple(videos), tuple(notes))

    def _images(self, file: Path, top: Path, length: int, given: str) -> Pictures:
        """Returns the images of a video by their numbers, so many at least."""
        above = [Path(given)] if given else sorted(top.glob(self.images))
        folders = [folder / file.stem for folder in above] + [Path(given)] * bool(given)
        images = next(filter(None, map(pictures.in_folder, folders)), [])
        if not images:
            place = given or f"{top}/{self.images}"
            raise ValueError(
                f"{file}: there are no images in {place}/{file.stem}; say where with --images"
            )
        said = [(frame_names.number(image.stem), image) for image in images]
        numbers = {n - self.first[1]: str(image) for n, image in said if n is not None}
        count = max([length, *(number + 1 for number in numbers)])
        limits.check_missing(found=len(images), said=count, where=f"a label or image of {file}")
        missing = f"{images[0].parent}/(frame %d)"
        return ImageFiles(
            tuple(numbers.get(n, missing % (n + self.first[0])) for n in range(count))
        )


def _frames(film: Path, file: Path, length: int, notes: list[str]) -> Pictures:
    """Returns so many frames of a video file."""
    found = numbered_frames.count(str(film))
    limits.check_missing(found=found, said=length, where=f"the last label of {file}")
    if found > length:
        notes.append(
            f"the labels of {file} end at frame {length}; the {found - length} frames of {film} "
            "behind it are left out"
        )
    return video_frames(film, numbers=range(length))


def _row(
    where: str, place: str, name: str, *numbers: Any, size: bool = False, crowd: bool = False
) -> tuple[int, BoxRow]:
    """Returns frame and box of the numbers frame, track, left, top, and right, bottom or size."""
    names = (
        "frame",
        "track",
        "left",
        "top",
        *(("width", "height") if size else ("right", "bottom")),
    )
    said = [f"{where}, {place}: {name}" for name in names]
    frame, track, left, top, right, bottom = map(whole_numbers.number, numbers, said)
    if size:
        right, bottom = left + right, top + bottom
    return (
        whole_numbers.whole(frame, what=f"{said[0]} is {numbers[0]}", most=MOST_FRAMES),
        BoxRow(
            sides=(top, left, bottom, right),
            track=whole_numbers.track_id(track, what=f"{said[1]} is {numbers[1]}"),
            crowd=crowd,
            row_name=place,
            class_text=name,
        ),
    )


def _lines(file: Path, separator: str | None, columns: int) -> Iterator[tuple[str, list[str]]]:
    for number, line in enumerate(documents.read_text(file).splitlines(), start=1):
        fields = [field.strip() for field in line.split(separator)]
        if len(fields) >= columns:
            yield f"line {number}", fields
        elif line.strip():
            raise ValueError(f"{file}, line {number}: {len(fields)} columns, expected {columns}")


def _visdrone(file: Path) -> Iterator[tuple[int, BoxRow]]:
    names = {str(number): name for number, name in enumerate(_VISDRONE.split(), start=1)}
    for place, fields in _lines(file, ",", 8):
        name = "" if fields[6] == "0" else names.get(fields[7], "")
        yield _row(str(file), place, name, *fields[:6], size=True)


def _kitti(file: Path) -> Iterator[tuple[int, BoxRow]]:
    for place, (frame, track, name, _, _, _, *sides) in _lines(file, None, 10):
        name = "" if name == "DontCare" else name
        yield _row(str(file), place, name, frame, track, *sides[:4])


def _detrac(file: Path) -> Iterator[tuple[int, BoxRow]]:
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


def _bdd(file: Path) -> Iterator[tuple[int, BoxRow]]:
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
