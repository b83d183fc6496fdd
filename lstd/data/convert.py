"""Converts a data set to shards of records: a plan of them, and its run on this machine.

The plan says which frames of which video each record of each shard holds, before a picture is
opened; `shard_files` writes one of them. While a conversion runs, the output folder holds the
shards that are done, and in `.conversion/` what the plan depends on and one entry for each of them.
The index, which ends a conversion, replaces these.
"""

from __future__ import annotations

import concurrent.futures
import functools
import hashlib
import json
import logging
import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lstd.base import documents
from lstd.base.whole_file import write_whole
from lstd.data import problems, shard_files, source_checks
from lstd.data.problems import Report
from lstd.data.record_files import INDEX, WORK
from lstd.data.shard_files import RecordPlan, Settings, Shard
from lstd.data.source_checks import NamedVideo
from lstd.data.sources import Source

_PLAN = "plan.json"
_GIVEN_UP = "given_up"
_FRAMES_WORTH_A_PROCESS = 1000
_LOG = logging.getLogger(__name__)


class Plan(NamedTuple):
    """All of a conversion.

    Attributes:
        source: the data set, as messages and the index name it.
        shards: in order.
        settings: see `Settings`.
        report: problems met so far, of records, whole videos and frames that are left out.
        dropped: the frames that are left out, by the name of the video.
        fingerprint: what must be equal for a conversion to be gone on with, by a name for people.
    """

    source: Source
    shards: tuple[Shard, ...]
    settings: Settings
    report: Report
    dropped: Mapping[str, Sequence[int]]
    fingerprint: Mapping[str, str]

    @property
    def frames(self) -> int:
        """How many frames will be written."""
        return sum(shard.frames for shard in self.shards)

    def as_index(self, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Returns the index of a conversion; `entries` are those of all shards, in any order."""
        by_file = {entry["file"]: entry for entry in entries}
        shards = [by_file[shard.file] for shard in self.shards]
        total = Report()
        for report in (self.report, *map(shard_files.report_of, shards)):
            total.merge(report)
        return {
            "version": shard_files.VERSION,
            "source": {"format": self.source.format, "path": self.source.path},
            "notes": [*self.source.notes],
            "labels": [*self.source.labels],
            "settings": {**self.settings._asdict(), "policy": dict(self.settings.policy)},
            "frames": sum(shard["frames"] for shard in shards),
            "boxes": sum(shard["boxes"] for shard in shards),
            "videos": shard_files.videos_in(shards),
            "shards": shards,
            "problems": shard_files.problems_of(total),
            "examples": total.examples,
            "fingerprint": self.fingerprint,
        }


def check(settings: Settings) -> None:
    """Raises what is wrong with settings.

    Raises:
        ValueError: an unknown image format, or a number that cannot be.
    """
    if settings.image_format not in ("keep", "jpeg", "png"):
        raise ValueError(f"image_format must be keep, jpeg or png, got {settings.image_format!r}")
    if not 1 <= settings.quality <= 100:
        raise ValueError(f"quality must be 1 to 100, got {settings.quality}")
    for name in ("frames_per_record", "frames_per_shard", "max_boxes"):
        if getattr(settings, name) < 0:
            raise ValueError(f"{name} must not be negative, got {getattr(settings, name)}")
    if not settings.prefix or "/" in settings.prefix:
        raise ValueError(f"prefix must be the beginning of a file name, got {settings.prefix!r}")


def make_plan(
    source: Source, settings: Settings, *, dropped: Mapping[str, Sequence[int]] | None = None
) -> Plan:
    """Returns the plan of a conversion.

    Args:
        source: the data set.
        settings: how.
        dropped: frames to leave out, by the name of the video, as an earlier plan found them; None:
            they are looked for, which opens every image where the policy skips frames.

    Raises:
        ProblemError: two videos of one name or one without frames, and that is an error.
        ValueError: see `check`; no video is left.
    """
    check(settings)
    policy, report = settings.policy, Report()
    for message in source.damaged:
        problems.meet("damaged_record", message, policy=policy, report=report)
    videos = source_checks.usable_videos(source, policy=policy, report=report)
    if dropped is None:
        dropped = {}
        for name, video in videos:
            gone = source_checks.dropped_frames(video, policy=policy, report=report)
            dropped |= {name: gone} if gone else {}
    records: list[RecordPlan] = []
    facts: list[tuple[Any, ...]] = []
    for entry in videos:
        found = [*_records(entry, dropped.get(entry.name, ()), settings)]
        if found:
            facts.append((entry.name, entry.video.num_frames))
        else:
            message = f"{entry.video.where}: no frame of video {entry.name!r} can be used"
            problems.meet("empty_video", message, policy=policy, report=report)
        records += found
    if not records:
        raise ValueError(f"{source.path}: no frame of this data set can be used")
    shards = _shards(records, settings)
    known = {name: place for place, (name, _) in enumerate(facts)}
    held = [(s.file, [(known[r.entry.name], *r[1:]) for r in s.records]) for s in shards]
    fingerprint = {
        **{"labels": _digest(source.labels), "videos": _digest(facts), "shards": _digest(held)},
        **{f"setting {name}": _digest(value) for name, value in sorted(settings._asdict().items())},
    }
    return Plan(source, shards, settings, report, dropped, fingerprint)


def _records(entry: NamedVideo, dropped: Sequence[int], settings: Settings) -> Iterator[RecordPlan]:
    gone = set(dropped)
    kept = [number for number in range(entry.video.num_frames) if number not in gone]
    size = settings.frames_per_record or max(1, len(kept))
    for first in range(0, len(kept), size):
        part = kept[first : first + size]
        inside = tuple(n for n in sorted(gone) if part[0] <= n <= part[-1])
        yield RecordPlan(entry, part[0], part[-1] + 1, inside, first)


def _shards(records: Sequence[RecordPlan], settings: Settings) -> tuple[Shard, ...]:
    total = sum(record.frames for record in records)
    full = settings.frames_per_shard or min(max(200, -(-total // 16)), 2000)
    groups: list[list[RecordPlan]] = []
    held = full
    for record in records:
        if held >= full:
            groups.append([])
            held = 0
        groups[-1].append(record)
        held += record.frames
    name = f"{settings.prefix}-{{:05d}}-of-{len(groups):05d}.tfrecord"
    return tuple(Shard(name.format(n), tuple(group)) for n, group in enumerate(groups))


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def convert(
    source: Source,
    directory: str | os.PathLike[str],
    settings: Settings,
    *,
    workers: int = 0,
    resume: bool = False,
    on_start: Callable[[Plan, int], None] | None = None,
    on_frames: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Returns the index of the data set that it wrote as shards of SequenceExamples.

    The records do not depend on `workers`, nor on how often it was stopped and gone on with.

    Args:
        source: the data set, see `lstd.data.readers.open`.
        directory: made if it is not there; holds shards, `index.json` and `labels.txt` after it.
        settings: how records are made.
        workers: processes; 0: as many as pay, at most one for each core; 1: this one.
        resume: go on with what the folder holds.
        on_start: gets the plan and how many frames are done already.
        on_frames: gets how many more frames are done.

    Raises:
        FileExistsError: the folder holds a conversion that is done, or was interrupted, and
            `resume` is not given. One that its data ended begins anew.
        ProblemError: a problem whose answer is error.
        ValueError: see `make_plan`; or what is there was made in another way.
    """
    directory = Path(directory)
    if not resume:
        _begin_anew(directory)
    plan, done = _go_on(directory, source, settings)
    if on_start is not None:
        on_start(plan, sum(entry["frames"] for entry in done.values()))
    missing = [shard for shard in plan.shards if shard.file not in done]
    try:
        for entry in _written(directory, missing, plan, workers):
            write_whole(directory / WORK / f"{entry['file']}.json", json.dumps(entry))
            done[entry["file"]] = entry
            if on_frames is not None:
                on_frames(entry["frames"])
    except ValueError:
        give_up(directory)
        raise
    content = plan.as_index([*done.values()])
    shard_files.write_index(str(directory), content)
    shutil.rmtree(directory / WORK)
    parts = sum(len(shard["records"]) for shard in content["shards"])
    if not settings.frames_per_record and parts > len(content["videos"]):
        _LOG.warning(
            "%s: a record holds at most %d MB, so that %d videos are in %d records",
            *(directory, shard_files.RECORD_BYTES >> 20, len(content["videos"]), parts),
        )
    return content


def give_up(directory: Path) -> None:
    """Lets the next conversion to this folder begin anew: the data have to change before it."""
    (directory / WORK).mkdir(parents=True, exist_ok=True)
    (directory / WORK / _GIVEN_UP).touch()


def is_given_up(directory: Path) -> bool:
    """Returns whether a conversion to this folder was ended by its data."""
    return (directory / WORK / _GIVEN_UP).exists()


def _begin_anew(directory: Path) -> None:
    """Removes what a conversion left that its data ended, or that had no shard yet."""
    held = [path for path in (directory / INDEX, *directory.glob("[!.]*.tfrecord"))]
    held = [path for path in held if path.exists()]
    if held and not is_given_up(directory):
        raise FileExistsError(
            f"{directory} holds a conversion already ({held[0].name}): --resume goes on with it, "
            "or name another folder"
        )
    for path in held:
        path.unlink()
    shutil.rmtree(directory / WORK, ignore_errors=True)


def _go_on(
    directory: Path, source: Source, settings: Settings
) -> tuple[Plan, dict[str, dict[str, Any]]]:
    """Returns the plan, and the entries of the shards that are there, whole and sound.

    Frames that an earlier run found to be left out are not looked for.
    """
    work = directory / WORK
    known, index = _read_json(work / _PLAN), _read_json(directory / INDEX)
    plan = None if known else make_plan(source, settings)
    try:
        if plan is None:
            plan = make_plan(source, settings, dropped=known["dropped"])
            plan = plan._replace(report=shard_files.report_of(known))
        then = (known or index or {"fingerprint": plan.fingerprint})["fingerprint"]
        other = [name for name, value in plan.fingerprint.items() if value != then.get(name)]
        if other:
            raise ValueError(
                f"{directory}: what is there was made with other {', '.join(other)}; go on as it "
                "began, or name another folder"
            )
        done = _done(directory, plan, index)
    except (KeyError, TypeError, AttributeError):
        raise ValueError(
            f"{directory}: {INDEX}, or a file in {WORK}, is not what a conversion writes; name "
            "another folder, or remove this one"
        ) from None
    work.mkdir(parents=True, exist_ok=True)
    met = {"problems": shard_files.problems_of(plan.report), "examples": plan.report.examples}
    content = {"fingerprint": plan.fingerprint, "dropped": plan.dropped, **met}
    write_whole(work / _PLAN, json.dumps(content))
    (work / _GIVEN_UP).unlink(missing_ok=True)
    return plan, done


def _done(directory: Path, plan: Plan, index: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    listed = {entry["file"]: entry for entry in index.get("shards", [])}
    done = {}
    for shard in plan.shards:
        entry = _read_json(directory / WORK / f"{shard.file}.json") or listed.get(shard.file)
        path = directory / shard.file
        if not entry or not path.is_file() or path.stat().st_size != entry["bytes"]:
            continue
        if shard_files.checksum(str(path))[1] == entry["sha256"]:
            done[shard.file] = entry
    there = tuple(shard for shard in plan.shards if shard.file in done)
    plan._replace(shards=there).as_index([*done.values()])  # whether the entries say all
    return done


def _written(
    directory: Path, shards: Sequence[Shard], plan: Plan, workers: int
) -> Iterator[dict[str, Any]]:
    """Yields the entry of every shard when it is written.

    A process takes seconds to start, which are hundreds of frames.
    """
    pay = sum(shard.frames for shard in shards) // _FRAMES_WORTH_A_PROCESS
    workers = min(workers or min(os.cpu_count() or 1, pay), len(shards))
    write = functools.partial(
        shard_files.write, str(directory), labels=plan.source.labels, settings=plan.settings
    )
    if workers <= 1:
        yield from map(write, shards)
        return
    # Not forked: TensorFlow's threads do not survive that.
    context = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker, initargs=(workers,)
    )
    try:
        futures = [pool.submit(write, shard) for shard in shards]
        for future in concurrent.futures.as_completed(futures):
            yield future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker(workers: int) -> None:
    """Sets up a process of the pool: quiet, with its share of the threads, and not an orphan."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)  # killed: nobody waits for what this process does

    threading.Thread(target=follow, daemon=True).start()
    import tensorflow as tf

    threads = max(1, (os.cpu_count() or 1) // workers)
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return documents.read_json(path, kind=dict)
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ValueError(f"{error}; remove it, or name another folder") from None
