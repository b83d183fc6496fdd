"""Reads Label Studio's JSON of videos, whose regions are `videorectangle`.

Between two keyframes of a region x, y, width, height and rotation move linearly; after the last one
they stay to the end of the video. A keyframe that is not `enabled` is the last frame in which the
object is seen. Frames count from 1 and at the rate that the labelling page was told, 24 a second
without a word: where the video has another rate, or a keyframe a `time` alone, they are counted by
time and rounded to the nearest frame.

Source: https://labelstud.io/tags/videorectangle, and `VideoRegion` of Label Studio's editor.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from lstd.base import documents
from lstd.data.readers import fields, keyframes, pictures, sniff
from lstd.data.readers.keyframes import Key, Pose
from lstd.data.readers.labelled_video import Box, Classes, LabelledVideo, Labels
from lstd.data.readers.options import Options, WrongTree, chosen
from lstd.data.sources import Source
from lstd.media import numbered_frames, video

NAME = "label_studio"
TREE = """\
the JSON (or JSON-MIN) export of a project of videos, and the videos beside it, or --images VIDEO
  (or FOLDER)"""


class _Region(NamedTuple):
    label: str
    sequence: Sequence[Any]
    length: float  # of the video, in frames of the labelling page
    duration: float  # of the video, seconds


def matches(path: Path) -> bool:
    """Whether this is such a file, or a folder that holds one."""
    return bool(_files(path))


def read(path: Path, options: Options) -> Source:
    """Returns the videos, one a task; raises as `readers.open`."""
    known = {file.stem: file for file in _files(path)}
    files = [known[stem] for stem in chosen(options.subset, known, where=str(path))]
    if len(files) != 1:
        told = ", ".join(file.name for file in files) or "none"
        raise WrongTree(f"{path}: expected one JSON of Label Studio, found {told}\n{TREE}")
    notes: list[str] = []
    found = []
    said = documents.read_json(files[0], kind=list)
    for number, task in enumerate(said):
        where = f"{files[0]}, task {number}"
        annotations = _annotations(_object(task, where))
        if annotations:
            found.append((task, where, [*_regions(annotations, where, notes)]))
    if len(found) < len(said):
        notes.append(f"{len(said) - len(found)} tasks without an annotation are left out")
    names = sorted({region.label for *_, regions in found for region in regions} - {""})
    classes = Classes(names, options.labels)
    videos = []
    for task, where, regions in found:
        file = _file(task, files[0].parent, options, alone=len(found) == 1, where=where)
        videos.append(_video(file, regions, classes, where, notes))
    return Source(NAME, str(path), classes.labels, tuple(videos), tuple(notes))


def _files(path: Path) -> list[Path]:
    return sniff.files(path, ".json", r'(?s)\s*\[(?=.*"sequence")(?=.*"framesCount")')


def _annotations(task: Mapping[str, Any]) -> list[list[Any]]:
    """Returns the results of each annotation that was not cancelled; JSON-MIN has one."""
    if not isinstance(task.get("annotations"), list):
        return [[entry for field in task.values() if isinstance(field, list) for entry in field]]
    made = [one for one in task["annotations"] if isinstance(one, dict)]
    return [[*(one.get("result") or ())] for one in made if not one.get("was_cancelled")]


def _regions(annotations: list[list[Any]], where: str, notes: list[str]) -> Iterator[_Region]:
    """Yields the regions of a task from JSON or JSON-MIN."""
    if len(annotations) > 1:
        notes.append(f"{where} has {len(annotations)} annotations; the first one is taken")
    for entry in annotations[0]:
        entry = entry.get("value", entry) if isinstance(entry, dict) else entry
        if isinstance(entry, dict) and isinstance(entry.get("sequence"), list):
            names = entry.get("labels")
            label = names[0] if isinstance(names, list) and names else ""
            length, duration = (
                fields.number(entry.get(name, 0), f"{where}: {name}")
                for name in ("framesCount", "duration")
            )
            yield _Region(str(label), entry["sequence"], length, duration)


def _object(said: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(said, dict):
        raise ValueError(f"{where} is {said!r:.80}, expected an object")
    return said


def _file(
    task: Mapping[str, Any], beside: Path, options: Options, *, alone: bool, where: str
) -> Path:
    """Returns the video file of a task, whose name may lack Label Studio's random digits."""
    data = task.get("data", task)
    said = [*(data.values() if isinstance(data, dict) else ()), task.get("file_upload")]
    names = [Path(pictures.clean(unquote(text))).name for text in said if isinstance(text, str)]
    names = [name for name in names if name.lower().endswith(pictures.VIDEO_SUFFIXES)]
    names += [re.sub(r"^[0-9a-f]{4,8}-", "", name) for name in names]
    wanted = names[-1] if names else "video"
    given = pictures.film_of(options, wanted, alone=alone)
    place = Path(options.images or beside)
    found = given or next((place / name for name in names if (place / name).is_file()), None)
    if found is None:
        raise ValueError(f"{where}: there is no {wanted} in {place}; say where with --images")
    return found


def _video(
    file: Path, regions: Sequence[_Region], classes: Classes, where: str, notes: list[str]
) -> LabelledVideo:
    info, length = video.probe(file), numbered_frames.count(str(file))
    told = max(regions, key=lambda region: region.length, default=None)
    told = told if told and told.length > 0 else None
    scale = told.duration * info.fps / told.length if told and told.duration > 0 else 1.0
    if told and not 0.001 < scale < 1000:
        said = f"framesCount {told.length:g} and duration {told.duration:g}"
        raise ValueError(
            f"{where}: {said} are not those of a video of {info.fps:g} frames a second"
        )
    scale = scale if abs(scale - 1) > 0.01 else 1.0
    timed = any("frame" not in _object(key, where) for one in regions for key in one.sequence)
    if timed or scale != 1:
        notes.append(
            f"{where}: it was labelled by time, or at {info.fps / scale:g} frames a second, and "
            f"{file.name} has {info.fps:g}; keyframes are rounded to the nearest frame"
        )
    last = round(min(length, told.length * scale)) if told else length
    if length - last > 1:
        notes.append(f"{where}: the first {last} of the {length} frames of {file} were labelled")
    rows: dict[int, list[Box]] = {}
    for number, region in enumerate(regions):
        row_name = f"region {number}"
        keys = [_key(key, scale, info.fps, f"{where}, {row_name}") for key in region.sequence]
        for frame, pose in keyframes.poses(keys, range(last)):
            sides = keyframes.enclosing(_centred(pose, info))
            box = Box(sides, region.label, track=number, row_name=row_name)
            rows.setdefault(frame, []).append(box)
    return LabelledVideo(
        name=file.name,
        where=where,
        pictures=pictures.of_film(file, range(last)),
        frames=tuple(Labels(rows.get(n, ()), f"{where}, frame {n}") for n in range(last)),
        classes=classes,
        has_tracks=True,
    )


def _key(entry: Any, scale: float, fps: float, what: str) -> Key:
    entry = _object(entry, f"{what}: a keyframe")
    x, y, width, height, turned = (
        fields.number(entry.get(name, 0 if name == "rotation" else None), f"{what}: {name}")
        for name in ("x", "y", "width", "height", "rotation")
    )
    name = "frame" if "frame" in entry else "time"
    place = fields.number(entry.get(name), f"{what}: {name}")
    place = (place - 1) * scale if name == "frame" else place * fps
    said = f"{what}: the place from 0 of {name} {entry.get(name)!r}"
    frame = fields.frame((place + 0.5) // 1, said)
    return Key(frame, (x, y, width, height, turned), stays=entry.get("enabled", True) is not False)


def _centred(pose: Pose, info: video.VideoInfo) -> Pose:
    """Returns centre and half sides, in pixels, of a box in percent turned about its corner."""
    across, along = pose[2] / 200 * info.width, pose[3] / 200 * info.height
    turned = math.radians(pose[4] % 360)
    cos, sin = math.cos(turned), math.sin(turned)
    x, y = pose[0] / 100 * info.width, pose[1] / 100 * info.height
    return x + across * cos - along * sin, y + across * sin + along * cos, across, along, pose[4]
