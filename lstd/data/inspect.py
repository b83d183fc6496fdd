"""Says what is in a data set: counts, classes, sizes against anchors, tracks, speed, problems."""

import dataclasses
import itertools
import shlex
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import yaml

from lstd.base import label_map
from lstd.base.overlap import motion_iou
from lstd.base.types import Detections
from lstd.config.model_config import ModelConfig
from lstd.data import problems, source_checks, source_images
from lstd.data.clean_boxes import clean, objects_of
from lstd.data.problems import KINDS, Answer, Checks, Policy, ProblemError, Report
from lstd.data.source_checks import FrameOpener
from lstd.data.sources import Source, SourceFrame, SourceVideo
from lstd.ops import anchor_fit, anchors

_NOTE_ALL: Policy = problems.policy(
    {kind: "skip" for kind in KINDS if "skip" in KINDS[kind].answers}, default="repair"
)
_WINDOW = 10
_ROWS = 100_000  # boxes that are set against the anchors at once
_EDGES = (0, 8, 16, 32, 64, 128, 256, float("inf"))


class Boxes(NamedTuple):
    """The boxes of all objects, cleaned: the sides, relative, of N boxes and int32 `[N]` of each.

    A box has its class, the place of its video, the number of its frame and its track, -1 unknown.
    """

    sides: np.ndarray  # float32 [N, 4]
    classes: np.ndarray
    videos: np.ndarray
    frames: np.ndarray
    tracks: np.ndarray


class Inspection(NamedTuple):
    """What `inspect` found: sound boxes, and the problems of records, boxes and videos.

    Each video has its number of frames, and height and width, 0, 0 where no image can be read.
    The attributes are those of all boxes, the unsound too, by name; see `SourceFrame`.
    """

    source: Source
    boxes: Boxes
    frames_of: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...]
    report: Report
    attributes: dict[str, np.ndarray]


def inspect(source: Source, *, on_frames: Callable[[int], None] = lambda _: None) -> Inspection:
    """Returns what the labels of a data set say; of images only the sizes are read."""
    checks = Checks(_NOTE_ALL)
    for message in source.damaged:
        checks.meet("damaged_record", message)
    rows = [(np.zeros([0, 4], np.float32), *[np.zeros(0, np.int32)] * 4)]
    frames_of, sizes = [], []
    attributes: dict[str, list[np.ndarray]] = defaultdict(list)
    for place, video in enumerate(source.videos):
        number = -1
        for number, frame in enumerate(video.read(images=False)):
            truth = objects_of(clean(frame, checks, labels=source.labels))
            video_of, frame_of, unknown = (
                np.full(len(truth.classes), value, np.int32) for value in (place, number, -1)
            )
            tracks = unknown if truth.track_ids is None else truth.track_ids
            rows.append((truth.boxes, truth.classes, video_of, frame_of, tracks))
            for name, values in frame.attributes.items():
                attributes[name].append(values)
            on_frames(1)
        frames_of.append(number + 1)
        try:
            if number < 0:
                raise ValueError(f"{video.where}: video {video.name!r} has no frames")
            sizes.append(source_checks.first_size(video))
        except ValueError as error:
            sizes.append((0, 0))
            checks.meet("empty_video", str(error))
    boxes = Boxes(*(np.concatenate(columns) for columns in zip(*rows, strict=True)))
    marks = {name: np.concatenate(values) for name, values in attributes.items()}
    return Inspection(source, boxes, tuple(frames_of), tuple(sizes), checks.report, marks)


def motion_overlaps(found: Inspection) -> np.ndarray:
    """Returns the motion IoU of each box: its mean IoU with its track within ten frames around.

    NaN where the track is unknown, 0 where it has no other box there. Widths and heights count one
    pixel more than their corners say, as in the evaluation of ImageNet VID.

    Source: Zhu et al., Flow-Guided Feature Aggregation, 2017, section 5.1.
    """
    boxes = found.boxes
    result = np.full(len(boxes.classes), np.nan)
    known = boxes.tracks >= 0
    sizes = np.array([size if size[0] else (320, 320) for size in found.sizes]).reshape(-1, 2)
    sides = boxes.sides[known] * np.tile(sizes, 2)[boxes.videos[known]]
    tracks = boxes.videos[known].astype(np.int64) << 32 | boxes.tracks[known]
    result[known] = motion_iou(sides, tracks, boxes.frames[known], window=_WINDOW)
    return result


def lines(found: Inspection, model: ModelConfig) -> list[str]:
    """Returns the text of an inspection, with the boxes against the input and anchors of a model.

    Anchors that the config leaves open are made for these boxes.
    """
    boxes = found.boxes
    frames = sum(found.frames_of)
    sizes = Counter(f"{width} x {height}" for height, width in found.sizes)
    shown = ", ".join(f"{size} ({n})" for size, n in sizes.most_common(5))
    held = Counter(zip(boxes.videos.tolist(), boxes.frames.tolist(), strict=True))
    result = [
        f"videos {len(found.frames_of)}, frames {frames} "
        f"(shortest {min(found.frames_of)}, longest {max(found.frames_of)})",
        f"frame sizes (width x height): {shown}",
        f"boxes {len(boxes.classes)}, {len(boxes.classes) / max(1, frames):.2f} a frame, most in a "
        f"frame {max(held.values(), default=0)}",
        *(
            f"{name}: mean {values.mean():.2f}, below 0.5 in {int((values < 0.5).sum())} of "
            f"{len(values)} boxes"
            for name, values in found.attributes.items()
        ),
        "",
        *_class_lines(found),
        "",
        *_anchor_lines(boxes.sides, model),
        "",
        *_track_lines(found),
        "",
    ]
    told = found.report.lines()
    result += ["problems:", *told] if told else ["problems: none in the labels"]
    return [label_map.shown(line) for line in result]


def _class_lines(found: Inspection) -> list[str]:
    boxes, labels = found.boxes, found.source.labels
    result = ["class: boxes, videos"]
    for number in range(max(len(labels), boxes.classes.max(initial=-1) + 1)):
        rows = boxes.classes == number
        name = labels[number] if number < len(labels) else f"class {number}"
        result.append(f"  {name}: {int(rows.sum())}, {len(np.unique(boxes.videos[rows]))}")
    return result


def _anchor_lines(boxes: np.ndarray, model: ModelConfig) -> list[str]:
    height, width = model.input_height, model.input_width
    if not len(boxes):
        return ["no boxes to set against the anchors"]
    asked = model.anchors
    is_made = asked.auto
    if is_made:
        model = dataclasses.replace(model, anchors=anchor_fit.fit(boxes, model))
    count = len(anchors.from_config(model))
    overlaps = np.concatenate(
        [anchor_fit.best_overlaps(boxes[n : n + _ROWS], model) for n in range(0, len(boxes), _ROWS)]
    )
    sides = np.sqrt(np.prod((boxes[:, 2:] - boxes[:, :2]) * (height, width), axis=-1))
    result = [
        f"boxes at the model's input of {width} x {height} pixels against "
        + (f"{count} anchors made for them" if is_made else f"its {count} anchors"),
        "  side (root of the area): boxes, mean best IoU, share with an anchor of IoU 0.5 or more",
    ]
    for low, high in itertools.pairwise(_EDGES):
        rows = (sides >= low) & (sides < high)
        if rows.any():
            name = f"{low:g} to {high:g} px" if np.isfinite(high) else f"{low:g} px and more"
            result.append(
                f"  {name}: {int(rows.sum())}, {overlaps[rows].mean():.2f}, "
                f"{(overlaps[rows] >= 0.5).mean():.0%}"
            )
    if not is_made and (overlaps >= 0.5).mean() < 0.8:
        result.append(
            "  many boxes have no anchor of their size; anchors made for these boxes: "
            "--set model.anchors.auto=true"
        )
    if is_made:
        made = dataclasses.asdict(model.anchors)
        news = {key: value for key, value in made.items() if value != getattr(asked, key)}
        values = {f"model.anchors.{key}": value for key, value in news.items()}
        result.append(f"  in a config: {_settings(values)}")
    return result


def _settings(values: Mapping[str, Any]) -> str:
    """Returns the `--set` of a config's values by key, quoted for a shell."""
    settings = []
    for key, value in values.items():
        listed = yaml.safe_dump([value], default_flow_style=True, width=1e9, allow_unicode=True)
        settings.append(f"--set {shlex.quote(f'{key}={listed.strip()[1:-1]}')}")
    return " ".join(settings)


def _track_lines(found: Inspection) -> list[str]:
    motion = motion_overlaps(found)
    known = ~np.isnan(motion)
    if not known.any():
        return ["tracks: none; the split by speed of motion needs them"]
    keys = np.stack([found.boxes.videos, found.boxes.tracks])[:, known]
    lengths = np.unique(keys, axis=1, return_counts=True)[1]
    motion = motion[known]
    slow, fast = float((motion > 0.9).mean()), float((motion < 0.7).mean())
    return [
        f"tracks {len(lengths)}, of {np.median(lengths):g} boxes in the middle; "
        f"{int((~known).sum())} boxes without a track",
        f"motion IoU over {_WINDOW} frames around: mean {motion.mean():.2f}; slow (above 0.9) "
        f"{slow:.0%}, medium {1 - slow - fast:.0%}, fast (below 0.7) {fast:.0%}",
    ]


def sheet(found: Inspection, *, count: int = 12) -> np.ndarray:
    """Returns a contact sheet of frames with their boxes, uint8 `[.., .., 3]`.

    Frames are taken evenly from all of the data set; one without a sound image is left out.

    Raises:
        ValueError: there is no frame, or no sound image at all.
    """
    from lstd.media import draw

    pictures, captions = [], []
    if not sum(found.frames_of):
        raise ValueError(f"{found.source.path}: there is no frame to show")
    ends = np.cumsum(found.frames_of)
    for number in np.unique(np.linspace(0, ends[-1] - 1, count).round().astype(int)).tolist():
        place = int(np.searchsorted(ends, number, side="right"))
        video = found.source.videos[place]
        inside = int(number - ends[place] + found.frames_of[place])
        frame = next(video.read(inside, inside + 1))
        try:
            image = source_images.pixels(frame.image, where=frame.where)
        except ProblemError:
            continue
        truth = objects_of(clean(frame, Checks(_NOTE_ALL), labels=found.source.labels))
        total = len(truth.classes)
        boxes = Detections(truth.boxes, np.ones(total, np.float32), truth.classes, total)
        pictures.append(draw.annotate(image, boxes, found.source.labels, with_scores=False))
        captions.append(f"{video.name} {inside}"[-40:])
    if not pictures:
        raise ValueError(f"{found.source.path}: there is no image to show")
    return draw.contact_sheet(pictures, captions)


def settings_note(found: Inspection) -> str:
    """Returns how to say the classes in a config, quoted for a shell; empty where there are none.

    Without names, the boxes say how many classes there are at least.
    """
    names = [*found.source.labels]
    number = len(names) or max(found.boxes.classes, default=-1) + 1
    if not number:
        return ""
    labels = {"model.labels": names} if names else {}
    return _settings({"model.num_classes": int(number), **labels})


def validate(
    source: Source,
    *,
    policy: Policy | None = None,
    images: bool = True,
    max_boxes: int = 0,
    examples: int | None = 20,
    on_frames: Callable[[int], None] = lambda _: None,
) -> Report:
    """Returns all problems, each counted under its answer; none of them is raised.

    Args:
        source: the data set; damaged records that it left out are counted, too.
        policy: the answers; None: each its own.
        images: whether every image is decoded, too; without, missing and damaged ones stay unseen.
        max_boxes: boxes that a frame may have; 0: any number.
        examples: places that are kept for each kind; None: all.
        on_frames: gets how many more frames were looked at.
    """
    policy = problems.policy() if policy is None else policy
    checks = _Noted(policy, Report(examples=examples), max_boxes=max_boxes)
    for message in source.damaged:
        checks.meet("damaged_record", message)

    def is_shown(frame: SourceFrame, opener: FrameOpener) -> bool:
        """Returns whether a frame has an image, after counting what is wrong with it."""
        _, kind, message = opener.look(frame) if images else (None, "", "")
        if kind:
            checks.meet(kind, message)
        shown = not kind or (kind == "frame_size" and policy[kind] != "skip")
        if shown or policy[kind] == "error":
            clean(frame, checks, labels=source.labels)
        return shown

    def unreadable(error: Exception) -> None:
        if not isinstance(error, ProblemError):
            error = ProblemError("unreadable", str(error))
        checks.meet(error.kind, error.message)

    def check(video: SourceVideo) -> None:
        opener = FrameOpener(video, checks)
        told, number, shown = "", 0, 0
        while number < video.num_frames:
            try:
                for frame in video.read(number, images=images):
                    shown += is_shown(frame, opener)
                    number += 1
                    on_frames(1)
                break
            except (ValueError, OSError) as error:
                # The frame cannot be read; those behind it perhaps can. A file is told of once.
                if str(error) != told:
                    told = str(error)
                    unreadable(error)
                number, shown = number + 1, shown + 1
                on_frames(1)
        if not shown:
            message = f"{video.where}: video {video.name!r} has no frames"
            checks.meet("empty_video", message + " that can be shown" * bool(number))

    names: set[str] = set()
    for video in source.videos:
        if video.name in names:
            message = f"{video.where}: another video has the name {video.name!r}, too"
            checks.meet("doubled_video", message)
            if policy["doubled_video"] == "skip":
                continue
        names.add(video.name)
        try:
            check(video)
        except (ValueError, OSError) as error:  # not even its length
            unreadable(error)
    return checks.report


class _Noted(Checks):
    """Checks that go on where the answer is error and a conversion would stop."""

    def meet(self, kind: str, message: str, *, count: int = 1) -> Answer:
        answer = self.policy[kind]
        self.report.add(kind, answer, message, count=count)
        return "skip" if answer == "error" else answer
