"""Detections of finished videos, kept on disk so that an evaluation can go on where it stopped."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lstd import documents
from lstd.types import ClipBatch
from lstd.whole_file import whole_file, write_whole

_FACTS = "facts.json"


class Frame(NamedTuple):
    """A frame of a video, ready for the metrics: NumPy, boxes in pixels, no padding.

    Attributes:
        frame_id: (video, index).
        ground_truth: `boxes`, `classes`, and where the data has them `track_ids`, `is_crowd`.
        detections: for each schedule `boxes`, `classes`, `scores`, and `network`, which ran.
        image: `[H, W, C]`, as the dataset gave it.
    """

    frame_id: tuple[bytes, int]
    ground_truth: dict[str, np.ndarray]
    detections: dict[str, dict[str, Any]]
    image: np.ndarray


class FrameStore:
    """A folder with a file for each video whose frames have all been seen.

    Args:
        folder: made if it is not there.
        facts: what the detections depend on: model, schedules, data. An earlier run must have had
            the same ones.
        resume: whether to go on with what the folder has; otherwise it is emptied.

    Raises:
        ValueError: to resume, the folder has another run, or a file that is damaged.
        OSError: it cannot be read or written.
    """

    def __init__(
        self, folder: str | os.PathLike[str], facts: Mapping[str, Any], *, resume: bool
    ) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._kept: dict[str, dict[int, dict[str, dict[str, Any]]]] = {}
        self._open: dict[str, list[Frame]] = {}
        text = json.dumps(facts, indent=2, sort_keys=True, default=str)
        noted = self.folder / _FACTS
        if resume and noted.exists():
            _check_same(noted, text)
            for path in sorted(self.folder.glob("[!.]*.npz")):
                video, frames = _read(path)
                self._kept[video] = frames
        else:
            for path in self.folder.glob("*.npz"):
                path.unlink()
        write_whole(noted, text)

    @property
    def videos(self) -> list[str]:
        """The videos that are kept."""
        return sorted(self._kept)

    def has_all(self, clip: ClipBatch) -> bool:
        """Returns whether every lane of the clips shows a video that is kept."""
        index, names = np.asarray(clip.frame_index), np.asarray(clip.video_id)
        return all(
            _name(video) in self._kept
            for video, mine in zip(names, index, strict=True)
            if (mine >= 0).any()
        )

    def completed(self, frames: Sequence[Frame]) -> list[Frame]:
        """Returns the frames with the detections that are kept, and keeps the others'.

        A video is written when a batch of clips no longer shows it.
        """
        shown = {_name(frame.frame_id[0]) for frame in frames}
        for video in [name for name in self._open if name not in shown]:
            self._write(video)
        result = []
        for frame in frames:
            video, index = _name(frame.frame_id[0]), frame.frame_id[1]
            kept = self._kept.get(video)
            if kept is None:
                self._open.setdefault(video, []).append(frame._replace(image=np.zeros(0)))
                result.append(frame)
            else:
                result.append(frame._replace(detections=kept[index]))
        return result

    def end(self) -> None:
        """Writes the videos that ended with the data."""
        for video in list(self._open):
            self._write(video)

    def _write(self, video: str) -> None:
        frames = self._open.pop(video)
        arrays: dict[str, np.ndarray] = {
            "video": np.array(video),
            "index": np.array([frame.frame_id[1] for frame in frames]),
        }
        for schedule in frames[0].detections:
            found = [frame.detections[schedule] for frame in frames]
            arrays[f"{schedule}/count"] = np.array([len(each["scores"]) for each in found])
            arrays[f"{schedule}/network"] = np.array([each["network"] for each in found])
            for name in ("boxes", "classes", "scores"):
                arrays[f"{schedule}/{name}"] = np.concatenate([each[name] for each in found])
        name = hashlib.sha256(video.encode()).hexdigest()[:20]
        with whole_file(self.folder / f"{name}.npz") as path, path.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]


def clear(folder: Path) -> None:
    """Removes a store's folder, when the results are written."""
    for path in [*folder.glob("*.npz"), folder / _FACTS]:
        path.unlink(missing_ok=True)
    folder.rmdir()


def _check_same(noted: Path, text: str) -> None:
    try:
        before = documents.read_json(noted, kind=dict)
        now = json.loads(text)
        if before == now:
            return
        told = _differences(before, now)
    except ValueError:
        told = "what it was of cannot be read"
    raise ValueError(
        f"{noted.parent} has another evaluation: {told}; leave out --resume to begin anew"
    )


def _differences(old: dict[str, Any], new: dict[str, Any]) -> str:
    """Returns what differs, in words: the first three facts, and how many more."""
    names = [name for name in {**new, **old} if old.get(name) != new.get(name)]
    told = [
        f"{name} was {_short(old.get(name, 'not there'))}, is {_short(new.get(name, 'not there'))}"
        for name in names[:3]
    ]
    return "; ".join(told) + (f"; and {len(names) - 3} more" if len(names) > 3 else "")


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:60]}..."


def _read(path: Path) -> tuple[str, dict[int, dict[str, dict[str, Any]]]]:
    try:
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: damaged, remove it: {error}") from None
    frames: dict[int, dict[str, dict[str, Any]]] = {int(i): {} for i in arrays["index"]}
    for schedule in [name.removesuffix("/count") for name in arrays if name.endswith("/count")]:
        ends = np.cumsum(arrays[f"{schedule}/count"])[:-1]
        parts = {
            name: np.split(arrays[f"{schedule}/{name}"], ends)
            for name in ("boxes", "classes", "scores")
        }
        for row, index in enumerate(arrays["index"]):
            frames[int(index)][schedule] = {
                **{name: values[row] for name, values in parts.items()},
                "network": str(arrays[f"{schedule}/network"][row]),
            }
    return str(arrays["video"]), frames


def _name(video: Any) -> str:
    return video.decode("utf-8", "replace") if isinstance(video, bytes) else str(video)
