"""Reads Label Studio's JSON of videos, whose regions are `videorectangle`.

`docs/data.md` says what is read. Frames count from 1.

Source: https://labelstud.io/tags/videorectangle, and `VideoRegion` of Label Studio's editor.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from lstd.base import documents
from lstd.data.readers import frame_pictures, keyframes, label_files, labelled_video
from lstd.data.readers.keyframes import Key, Pose, Sides, Track
from lstd.data.readers.label_files import Found, Options, WrongTree
from lstd.data.readers.labelled_video import Classes, LabelledVideo
from lstd.media import numbered_frames, video


class _Region(NamedTuple):
    label: str
    sequence: Sequence[Any]
    length: float  # of the video, in frames of the labelling page
    duration: float  # of the video, seconds


def files_of(path: Path) -> list[Path]:
    """Returns this file, or those of a folder, of Label Studio's JSON of videos."""
    return label_files.beginning(path, ".json", r'(?s)\s*\[(?=.*"sequence")(?=.*"framesCount")')


def read(path: Path, options: Options) -> Found:
    """Returns the videos, one a task; raises as `readers.open`."""
    known = {file.stem: file for file in files_of(path)}
    files = [known[stem] for stem in label_files.chosen(options.subset, known, where=str(path))]
    if len(files) != 1:
        told = ", ".join(file.name for file in files) or "none"
        raise WrongTree(f"{path}: expected one JSON of Label Studio, found {told}")
    found = []
    said = documents.read_json(files[0], kind=list)
    for number, task in enumerate(said):
        where = f"{files[0]}, task {number}"
        annotations = _annotations(_object(task, where))
        if annotations:
            found.append((task, where, [*_regions(annotations, where, options.notes)]))
    if len(found) < len(said):
        options.notes.append(f"{len(said) - len(found)} tasks without an annotation are left out")
    names = sorted({region.label for *_, regions in found for region in regions} - {""})
    classes = Classes(names, options.labels)
    videos = []
    for task, where, regions in found:
        file = _file(task, files[0].parent, options, alone=len(found) == 1, where=where)
        videos.append(_video(file, regions, classes, where, options.notes))
    return classes.labels, videos


def _annotations(task: Mapping[str, Any]) -> list[list[Any]]:
    """Returns the entries of each annotation of a task, or the fields of JSON-MIN as one."""
    if not isinstance(task.get("annotations"), list):
        return [[entry for field in task.values() if isinstance(field, list) for entry in field]]
    made = [one for one in task["annotations"] if isinstance(one, dict)]
    return [[*(one.get("result") or ())] for one in made if not one.get("was_cancelled")]


def _regions(annotations: list[list[Any]], where: str, notes: list[str]) -> Iterator[_Region]:
    if len(annotations) > 1:
        notes.append(f"{where} has {len(annotations)} annotations; the first one is taken")
    for entry in annotations[0]:
        entry = entry.get("value", entry) if isinstance(entry, dict) else entry
        if isinstance(entry, dict) and isinstance(entry.get("sequence"), list):
            names = entry.get("labels")
            label = names[0] if isinstance(names, list) and names else ""
            told = "framesCount duration"
            lengths = label_files.numbers((entry.get(n, 0) for n in told.split()), told, where)
            yield _Region(str(label), entry["sequence"], *lengths)


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
    texts = [frame_pictures.clean(unquote(text)) for text in said if isinstance(text, str)]
    names = [Path(t).name for t in texts if t.lower().endswith(frame_pictures.VIDEO_SUFFIXES)]
    names += [re.sub(r"^[0-9a-f]{4,8}-", "", name) for name in names]
    wanted = names[-1] if names else "video"
    given = frame_pictures.film_of(options, wanted, alone=alone)
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

    def sides(pose: Pose) -> Sides:
        return keyframes.enclosing(_centred(pose, info))

    tracks = []
    for number, region in enumerate(regions):
        name = f"region {number}"
        keys = [_key(key, scale, info.fps, f"{where}, {name}") for key in region.sequence]
        tracks.append(Track(region.label, keys, name, sides))
    frames = range(last)
    return LabelledVideo(
        file.name,
        where,
        frame_pictures.of_film(file, frames),
        labelled_video.by_frame(keyframes.boxes(tracks, frames), frames, where),
        classes,
        has_tracks=True,
    )


def _key(entry: Any, scale: float, fps: float, what: str) -> Key:
    entry = {"rotation": 0, **_object(entry, f"{what}: a keyframe")}
    names = "x y width height rotation"
    pose = tuple(label_files.numbers(map(entry.get, names.split()), names, what))
    name = "frame" if "frame" in entry else "time"
    place = label_files.number(entry.get(name), f"{what}: {name}")
    place = (place - 1) * scale if name == "frame" else place * fps
    said = f"{what}: the place from 0 of {name} {entry.get(name)!r}"
    frame = label_files.frame((place + 0.5) // 1, said)
    return Key(frame, pose, stays=entry.get("enabled", True) is not False)


def _centred(pose: Pose, info: video.VideoInfo) -> Pose:
    """Returns centre and half sides, in pixels, of a box in percent turned about its corner."""
    across, along = pose[2] / 200 * info.width, pose[3] / 200 * info.height
    turned = math.radians(pose[4] % 360)
    cos, sin = math.cos(turned), math.sin(turned)
    x, y = pose[0] / 100 * info.width, pose[1] / 100 * info.height
    return x + across * cos - along * sin, y + across * sin + along * cos, across, along, pose[4]
