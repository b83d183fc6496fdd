"""Reads tracking sets with one label file and one folder of numbered images for each video.

Those of `SETS` differ in where files lie and in how one says frame, track, class and box; MOT
Challenge has a folder for each sequence instead. `docs/data.md` says what is read. What a set says
not to count is a crowd of its class, or a region to ignore where it has none.

Sources: https://github.com/VisDrone/VisDrone2018-MOT-toolkit; the development kit of
https://www.cvlibs.net/datasets/kitti/eval_tracking.php; Wen et al., UA-DETRAC
(https://arxiv.org/abs/1511.04136); https://doc.bdd100k.com/format.html; Milan et al., MOT16,
section 3 (https://arxiv.org/abs/1603.00831); `datumaro/plugins/data_formats/mot.py` of Datumaro
1.13 and `dataset_manager/formats/mot.py` of CVAT.
"""

import configparser
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from lstd.base import documents, label_map, limits, natural
from lstd.data.readers import frame_pictures, label_files
from lstd.data.readers.label_files import Found, Options, all_taken, same_as
from lstd.data.readers.labelled_video import Box, Classes, LabelledVideo, by_frame

_MOT_COLUMNS = "frame, id, left, top, width, height, flag"
_MOT_NAMES = (
    "pedestrian person_on_vehicle car bicycle motorbike non_motorized_vehicle static_person "
    "distractor occluder occluder_on_the_ground occluder_full reflection crowd"
)
_MOT_CLASSES = _MOT_NAMES.split()  # 1 to 13
_MOT_PEOPLE = {"pedestrian", "person_on_vehicle", "static_person", "distractor", "reflection"}


class TrackingSet(NamedTuple):
    """A tracking set: where its files are, and how they are read."""

    labels: str  # where label files are, from the folder that is opened or one of those in it
    begins: str  # what a label file begins with, a pattern
    boxes: Callable[[Path], Iterator[tuple[int | None, Box]]]  # None: in every frame
    images: str  # folders with a folder of images for each video, from the same folder
    first: tuple[int, int]  # number of the first frame in a label file, and of its image
    classes: str  # in order, a space between them
    tree: str

    def matches(self, path: Path) -> bool:
        """Whether a folder holds label files of the set."""
        return any(label_files.begins(f, self.begins) for f in [*self._files(path)][:20])

    def read(self, path: Path, options: Options) -> Found:
        """Returns the videos in the order of their names; raises as `readers.open`."""
        files = self._files(path, options.subset)
        classes = Classes(self.classes.split(), options.labels)
        videos = []
        ignored = 0
        for file, top in files.items():
            said = [*self.boxes(file)]
            rows = [(frame, box) for frame, box in said if frame is not None]
            everywhere = [box for frame, box in said if frame is None]
            ignored += sum(box.crowd for _, box in said)
            first = self.first[0]
            if low := min((frame for frame, _ in rows if frame < first), default=first) - first:
                raise ValueError(f"{file}: frame {low + first} is before the first one, {first}")
            given = [Path(options.images)] if options.images else []
            shown = frame_pictures.numbered(
                options,
                frame_pictures.film_of(options, file.stem, alone=len(files) == 1),
                [*(p / file.stem for p in given or sorted(top.glob(self.images))), *given],
                first=self.first[1],
                length=max((frame + 1 for frame, _ in rows), default=first) - first,
                where=str(file),
            )
            numbers = range(first, first + len(shown))
            rows += [(number, box) for number in numbers for box in everywhere]
            frames = by_frame(rows, numbers, str(file))
            videos.append(
                LabelledVideo(file.stem, str(file), shown, frames, classes, has_tracks=True)
            )
        if ignored:
            options.notes.append(f"regions to ignore, where nothing counts: {ignored}")
        return classes.labels, videos

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
    names = "left top width height" if size else "left top right bottom"
    what = f"{where}, {place}"
    left, top, right, bottom = label_files.numbers(sides, names, what)
    if size:
        right, bottom = left + right, top + bottom
    track = label_files.track_id(track, f"{what}: track")
    number = label_files.frame(frame, f"{what}: frame")
    return number, Box((top, left, bottom, right), name, track, crowd, place)


def _visdrone(file: Path) -> Iterator[tuple[int, Box]]:
    names = {str(number): name for number, name in enumerate(_VISDRONE.split(), start=1)}
    columns = "frame, target, left, top, width, height, score, category"
    for place, line in label_files.lines(file, ",", columns):
        name = names.get(line[7], "")
        crowd = line[6] == "0" or not name
        yield _row(str(file), place, name, *line[:6], size=True, crowd=crowd)


def _kitti(file: Path) -> Iterator[tuple[int, Box]]:
    columns = "frame, track, type, truncated, occluded, alpha, left, top, right, bottom"
    for place, (frame, track, name, _, _, _, *sides) in label_files.lines(file, None, columns):
        crowd = name == "DontCare"
        yield _row(str(file), place, "" if crowd else name, frame, track, *sides[:4], crowd=crowd)


def _detrac(file: Path) -> Iterator[tuple[int | None, Box]]:
    root = documents.read_xml(file)
    regions = [
        ("ignored_region", "", box, "0", "-1") for box in root.iterfind("ignored_region/box")
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
        number, row = _row(str(file), place, name, frame, track, *sides, size=True, crowd=not name)
        yield (number if name else None), row


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
                is_other = name in ("other person", "trailer", "other vehicle")
                yield _row(
                    str(file),
                    f"frame {frame}, label {number}",
                    "" if is_other else name,
                    frame,
                    tracks.setdefault(str(label["id"]), len(tracks)),
                    *(label["box2d"].get(side) for side in ("x1", "y1", "x2", "y2")),
                    crowd=is_other or bool(marks.get("Crowd", marks.get("crowd"))),
                )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file}: not as BDD100K writes it: {error!r}") from None


_VISDRONE = "pedestrian people bicycle car van truck tricycle awning-tricycle bus motor"

SETS = {
    "visdrone_vid": TrackingSet(
        labels="annotations/*.txt",
        begins=r"([^,\n]+,){7}",
        boxes=_visdrone,
        images="sequences",
        first=(1, 1),
        classes=_VISDRONE,
        tree="annotations/uav0001.txt ...    sequences/uav0001/0000001.jpg ...",
    ),
    "kitti_tracking": TrackingSet(
        labels="label_02/*.txt",
        begins=r"\S+ \S+ [A-Za-z_]+( \S+){7}",
        boxes=_kitti,
        images="image_02",
        first=(0, 0),
        classes="Car Van Truck Pedestrian Person_sitting Person Cyclist Tram Misc",
        tree="training/label_02/0000.txt ...    training/image_02/0000/000000.png ...",
    ),
    "ua_detrac": TrackingSet(
        labels="*/*.xml",
        begins=label_files.xml("sequence"),
        boxes=_detrac,
        images="*",
        first=(1, 1),
        classes="car bus van others",
        tree="DETRAC-Train-Annotations-XML/MVI_1.xml ...    any folder/MVI_1/img00001.jpg ...",
    ),
    "bdd100k_mot": TrackingSet(
        labels="labels/*/*/*.json",
        begins=r'(?s)(?=.*"video_?[nN]ame")(?=.*"frame_?[iI]ndex")',
        boxes=_bdd,
        images="images/*/*",
        first=(0, 1),
        classes="pedestrian rider car truck bus train motorcycle bicycle",
        tree="labels/box_track_20/train/b1.json ...    images/track/train/b1/b1-0000001.jpg ...",
    ),
}


def sequences_of(path: Path, subset: str = "") -> list[Path]:
    """Returns the MOT sequence that a folder is, or those that it holds in at most two levels."""
    top, inner = path, [*path.glob("*/")] if path.is_dir() else []
    if subset:
        exact = [place for place in inner if place.name == subset]
        alike = [place for place in inner if place.name.lower() in same_as(subset)]
        top = next(iter([*exact, *alike]), path)
    if (top / "gt" / "gt.txt").is_file():
        return [top]
    found = [file.parent.parent for file in (*top.glob("*/gt/gt.txt"), *top.glob("*/*/gt/gt.txt"))]
    if subset and top == path:
        found = [folder for folder in found if folder.name == subset]
    return sorted(found, key=lambda folder: natural.key(str(folder)))


def read_mot(path: Path, options: Options) -> Found:
    """Returns the sequences, in the order of their names; raises as `readers.open`."""
    folders = sequences_of(path, options.subset)
    known: dict[str, None] = {}
    read, ignored = [], 0
    for folder in folders:
        own = folder / "gt" / "labels.txt"
        names = label_map.lines(documents.read_text(own)) if own.is_file() else []
        boxes = [*_mot(folder / "gt" / "gt.txt", [*names])]
        rows = [(frame, box) for frame, counts, box in boxes if counts or box.crowd]
        ignored += sum(not counts for _, counts, _ in boxes)
        used = {box.label for _, box in rows}
        known |= dict.fromkeys(names or [name for name in _MOT_CLASSES if name in used])
        last = max((frame for frame, *_ in boxes), default=0)
        read.append((folder, rows, last))
    # Sequences have met the classes of MOT in any order.
    own_names = {*known} <= {*_MOT_CLASSES}
    in_order = sorted(known, key=_MOT_CLASSES.index) if own_names else [*known]
    classes = Classes(in_order, options.labels)
    if not options.subset:
        tops = dict.fromkeys(folder.resolve().parent.name for folder in folders)
        options.notes.extend(all_taken(tops))
    videos = []
    for folder, rows, last in read:
        info = _info(folder / "seqinfo.ini")
        name = info.get("name", folder.resolve().name)
        given = Path(options.images)
        usual = [folder / info.get("imdir", "img1")]
        shown = frame_pictures.numbered(
            options,
            frame_pictures.film_of(options, name, alone=len(read) == 1),
            [given / folder.name, given] if options.images else usual,
            first=None,
            length=max(int(info.get("seqlength", 0)), last),
            where=str(folder),
        )
        table = str(folder / "gt" / "gt.txt")
        size = (int(info.get("imheight", 0)), int(info.get("imwidth", 0)))
        frames = by_frame(rows, range(1, len(shown) + 1), table, size)
        videos.append(LabelledVideo(name, str(folder), shown, frames, classes, has_tracks=True))
    if ignored:
        people = "; where they look like people, nothing counts" if own_names else ""
        options.notes.append(f"{ignored} boxes have the flag 'does not count'{people}")
    return classes.labels, videos


def _mot(path: Path, names: list[str]) -> Iterator[tuple[int, bool, Box]]:
    """Yields frame, whether it counts, and box of each line; without names, with MOT's classes."""
    known = names or _MOT_CLASSES
    for place, line in label_files.lines(path, ",", _MOT_COLUMNS, most=10):
        where = f"{path}, {place}"
        number = -1
        if len(line) in (8, 9) or (len(line) == 10 and names):
            number = label_files.whole(line[7], f"{where}: class", least=-limits.WHOLE)
        number = 1 if number == -1 else number
        label = known[number - 1] if 1 <= number <= len(known) else f"class {number}"
        frame = label_files.frame(line[0], f"{where}: frame", least=1)
        _, box = _row(str(path), place, label, *line[:6], size=True)
        if not names:  # pixels from 1
            top, left, bottom, right = (side - 1 for side in box.sides)
            box = box._replace(sides=(top, left, bottom, right))
        seen = label_files.number(line[8], f"{where}: visibility") if len(line) == 9 else 1.0
        counts = label_files.number(line[6], f"{where}: flag") != 0
        box = box._replace(attributes=(("visibility", seen),))
        if not counts and names:
            box = box._replace(crowd=True)
        elif not counts and label in (*_MOT_PEOPLE, "crowd"):
            box = box._replace(crowd=True, label="")
        yield frame, counts, box


def _info(path: Path) -> dict[str, str]:
    """Returns the settings of a sequence by lower-case name; none if there is no file."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(documents.read_text(path) if path.is_file() else "", source=str(path))
    except configparser.Error as error:
        raise ValueError(f"{path}: {str(error).splitlines()[0]}") from None
    info = dict(parser["Sequence"]) if parser.has_section("Sequence") else {}
    for name in ("seqlength", "imwidth", "imheight"):
        if name in info and not info[name].strip().isdecimal():
            raise ValueError(f"{path}: {name} is {info[name]!r}, expected a whole number")
    return info
