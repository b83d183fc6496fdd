"""Runs a conversion on this machine: over its cores, and on again after any crash.

While it runs, the output folder holds the shards that are done, and in `.conversion/` the plan's
fingerprint and one entry for each of them. The index, which ends a conversion, replaces these.
"""

from __future__ import annotations

import concurrent.futures
import functools
import json
import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lstd.base import documents
from lstd.base.whole_file import write_whole
from lstd.data import conversion, shard_files
from lstd.data.conversion import Plan, Settings, Shard
from lstd.data.shard_files import INDEX
from lstd.data.sources import Source

_WORK = ".conversion"
_PLAN = "plan.json"
_GIVEN_UP = "given_up"
_FRAMES_WORTH_A_PROCESS = 1000


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
        ValueError: see `conversion.make_plan`; or what is there was made in another way.
    """
    directory = Path(directory)
    work = directory / _WORK
    if not resume:
        _begin_anew(directory)
    plan = _plan(source, settings, work)
    work.mkdir(parents=True, exist_ok=True)
    _check_fingerprint(directory, work, plan)
    (work / _GIVEN_UP).unlink(missing_ok=True)
    done = _finished(directory, work, plan)
    if on_start is not None:
        on_start(plan, sum(entry["frames"] for entry in done.values()))
    missing = [shard for shard in plan.shards if shard.file not in done]
    processes = workers or _useful_workers(missing)
    try:
        for entry in _written(directory, missing, plan, processes):
            write_whole(work / f"{entry['file']}.json", json.dumps(entry))
            done[entry["file"]] = entry
            if on_frames is not None:
                on_frames(entry["frames"])
    except ValueError:
        give_up(directory)
        raise
    content = shard_files.index(plan, [*done.values()])
    shard_files.write_index(str(directory), content)
    shutil.rmtree(work)
    return content


def give_up(directory: Path) -> None:
    """Lets the next conversion to this folder begin anew: the data have to change before it."""
    (directory / _WORK).mkdir(parents=True, exist_ok=True)
    (directory / _WORK / _GIVEN_UP).touch()


def is_given_up(directory: Path) -> bool:
    """Returns whether a conversion to this folder was ended by its data."""
    return (directory / _WORK / _GIVEN_UP).exists()


def _useful_workers(shards: Sequence[Shard]) -> int:
    """Returns how many processes pay: each takes seconds to start, which are hundreds of frames."""
    frames = sum(shard.frames for shard in shards)
    return max(1, min(os.cpu_count() or 1, frames // _FRAMES_WORTH_A_PROCESS))


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
    shutil.rmtree(directory / _WORK, ignore_errors=True)


def _plan(source: Source, settings: Settings, work: Path) -> Plan:
    """Returns the plan; frames that an earlier run found to be left out are not looked for."""
    known = _read_json(work / _PLAN)
    dropped = known.get("dropped") if known else None
    if dropped is None:
        return conversion.make_plan(source, settings)
    try:
        plan = conversion.make_plan(source, settings, dropped=dropped)
        return plan._replace(report=shard_files.report_of(known))
    except (KeyError, TypeError, AttributeError):
        raise _not_ours(work.parent) from None


def _check_fingerprint(directory: Path, work: Path, plan: Plan) -> None:
    """Raises if what the folder holds was made in another way; else says how this is made."""
    now = conversion.fingerprint(plan)
    before = _read_json(work / _PLAN) or _read_json(directory / INDEX)
    if before:
        then = before.get("fingerprint")
        if not isinstance(then, dict):
            raise _not_ours(directory)
        other = [name for name in now if now[name] != then.get(name)]
        if other:
            raise ValueError(
                f"{directory}: what is there was made with other {', '.join(other)}; go on as it "
                "began, or name another folder"
            )
        if (work / _PLAN).exists():
            return
    report = {"problems": shard_files.problems_of(plan.report), "examples": plan.report.examples}
    content = {"fingerprint": now, "dropped": plan.dropped, **report}
    write_whole(work / _PLAN, json.dumps(content))


def _finished(directory: Path, work: Path, plan: Plan) -> dict[str, dict[str, Any]]:
    """Returns the entries of the shards that are there, whole and sound."""
    index = _read_json(directory / INDEX) or {}
    done = {}
    try:
        listed = {entry["file"]: entry for entry in index.get("shards", [])}
        for shard in plan.shards:
            entry = _read_json(work / f"{shard.file}.json") or listed.get(shard.file)
            path = directory / shard.file
            whole = entry and path.is_file() and path.stat().st_size == entry["bytes"]
            if entry and whole and shard_files.checksum(str(path))[1] == entry["sha256"]:
                done[shard.file] = entry
        there = tuple(shard for shard in plan.shards if shard.file in done)
        shard_files.index(plan._replace(shards=there), [*done.values()])  # whether all is there
    except (KeyError, TypeError, AttributeError):
        raise _not_ours(directory) from None
    return done


def _not_ours(directory: Path) -> ValueError:
    return ValueError(
        f"{directory}: {INDEX}, or a file in {_WORK}, is not what a conversion writes; name "
        "another folder, or remove this one"
    )


def _written(
    directory: Path, shards: Sequence[Shard], plan: Plan, workers: int
) -> Iterator[dict[str, Any]]:
    """Yields the entry of every shard when it is written."""
    workers = min(workers, len(shards))
    write = functools.partial(
        shard_files.write, str(directory), labels=plan.labels, settings=plan.settings
    )
    if workers <= 1:
        for shard in shards:
            yield write(shard)
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
