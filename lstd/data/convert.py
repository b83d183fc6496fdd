"""Converts a data set to shards of records, by processes of this machine or by Apache Beam.

`shard_files` makes the plan and writes a shard of it. While a conversion runs, the output folder
holds the shards that are done, and in `.conversion/` what the plan depends on and one entry for
each of them. The index, which ends a conversion, replaces these.
"""

import concurrent.futures
import functools
import itertools
import json
import logging
import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from lstd.base import documents
from lstd.base.terminal import import_tensorflow
from lstd.base.whole_file import write_whole
from lstd.data import record_files, shard_files
from lstd.data.problems import Report
from lstd.data.record_files import INDEX, WORK
from lstd.data.shard_files import Plan, Settings, Shard, make_plan
from lstd.data.sources import Excerpt, Source, SourceVideo

__all__ = ["Settings", "convert", "convert_by_beam", "give_up", "is_given_up", "make_plan"]

_PLAN = "plan.json"
_GIVEN_UP = "given_up"
_FRAMES_WORTH_A_PROCESS = 1000
_FAILED = "a shard cannot be written: "
_LOG = logging.getLogger(__name__)


def convert(
    source: Source,
    directory: str | os.PathLike[str],
    settings: Settings,
    *,
    workers: int = 0,
    resume: bool = False,
    on_start: Callable[[Plan, int], None] | None = None,
    on_frames: Callable[[int], None] = lambda count: None,
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
        FileExistsError: the folder holds a conversion, and `resume` is not given. One that its data
            ended begins anew.
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
    held = [p for p in (directory / INDEX, *directory.glob("[!.]*.tfrecord")) if p.exists()]
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
            plan = plan._replace(report=Report.of_index(known))
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
    content = {"fingerprint": plan.fingerprint, "dropped": plan.dropped, **plan.report.as_index()}
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
        if shard_files.checksum(str(path)) == entry["sha256"]:
            done[shard.file] = entry
    there = tuple(shard for shard in plan.shards if shard.file in done)
    plan._replace(shards=there).as_index([*done.values()])  # whether the entries say all
    return done


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return documents.read_json(path, kind=dict)
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ValueError(f"{error}; remove it, or name another folder") from None


def _written(
    directory: Path, shards: Sequence[Shard], plan: Plan, workers: int
) -> Iterator[dict[str, Any]]:
    """Yields the entry of every shard when it is written; a process takes seconds to start."""
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
        workers,
        mp_context=context,
        initializer=import_tensorflow,
        initargs=(f"{__name__}:{_start_worker.__name__}", workers),
    )
    try:
        futures = [pool.submit(write, shard) for shard in shards]
        for future in concurrent.futures.as_completed(futures):
            yield future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker(workers: int) -> None:
    """Sets up a process of the pool: with its share of the threads, and not an orphan."""
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)  # killed: nobody waits for what this process does

    threading.Thread(target=follow, daemon=True).start()
    threads = max(1, (os.cpu_count() or 1) // workers)
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


def convert_by_beam(
    source: Source, directory: str, settings: Settings, arguments: Sequence[str] = ()
) -> dict[str, Any]:
    """Returns the index of the data set that an Apache Beam pipeline wrote; see `convert`.

    All workers must see the paths of the source; the directory may be an address, as `gs://a/b`.
    A worker that dies is no harm: the shard is written again, whole, with the same name and bytes.
    The arguments are Beam's, such as `--runner=FlinkRunner`; none: its local runner.

    Raises:
        FileExistsError: there is an index already.
        ImportError: Apache Beam is not installed.
        ValueError: see `make_plan`; or, as a worker says, `shard_files.write`.
        Exception: the runner's own.
    """
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ModuleNotFoundError as error:
        if not str(error.name).startswith("apache_beam"):
            raise
        raise ImportError(
            'conversion by Apache Beam needs it; run pip install "lstd[beam]"', name="apache_beam"
        ) from None
    if tf.io.gfile.exists(f"{directory}/{INDEX}"):
        raise FileExistsError(f"{directory} holds a conversion already; name another folder")
    plan = make_plan(source, settings)
    tf.io.gfile.makedirs(directory)
    write = functools.partial(_write_for_beam, directory=directory, plan=plan)
    end = functools.partial(_write_index_for_beam, directory=directory, plan=plan)
    try:
        with beam.Pipeline(options=PipelineOptions([*arguments])) as pipeline:
            _ = (
                pipeline
                | "shards" >> beam.Create(range(len(plan.shards)))  # each holds whole videos
                | "one each" >> beam.Reshuffle()
                | "write" >> beam.Map(write)
                | "to list" >> beam.combiners.ToList()
                | "index" >> beam.Map(end)
            )
    except Exception as error:  # what went wrong with a shard, out of what the runner makes of it
        _, found, text = str(error).rpartition(_FAILED)
        if not found:
            raise
        raise ValueError(text.partition(" [while running")[0].strip()) from None
    return record_files.index_of(directory)


def _write_for_beam(number: int, *, directory: str, plan: Plan) -> str:
    shard, labels, settings = plan.shards[number], plan.source.labels, plan.settings
    try:
        return json.dumps(shard_files.write(directory, shard, labels=labels, settings=settings))
    except (ValueError, OSError) as error:
        # A plain error: runners rebuild it with words of their own in its first argument.
        raise ValueError(f"{_FAILED}{error}") from None


def _write_index_for_beam(entries: list[str], *, directory: str, plan: Plan) -> None:
    shard_files.write_index(directory, plan.as_index([json.loads(entry) for entry in entries]))


def shares_of(texts: Sequence[str]) -> dict[str, float]:
    """Returns the shares of the parts of a split from texts such as `train=0.8`.

    Raises:
        ValueError: another form, a name that no folder may have, a share that is not above 0, fewer
            than two parts, or shares that do not add up to 1.
    """
    parts: dict[str, float] = {}
    for text in texts:
        name, _, share = text.partition("=")
        try:
            parts[name.strip()] = float(share)
        except ValueError:
            raise ValueError(f"{text!r} is not part=share, such as train=0.8") from None
    sound = all(n and n[0] != "." and not {*"/\\"} & {*n} and s > 0 for n, s in parts.items())
    if not sound or len(parts) < 2 or abs(sum(parts.values()) - 1) > 1e-6:
        raise ValueError(
            "parts must be at least two, by names for folders, with shares above 0 that add up to "
            f"1, such as train=0.8,val=0.2; got {','.join(texts)}"
        )
    return parts


def split(
    videos: Sequence[SourceVideo], shares: Mapping[str, float], *, seed: int
) -> dict[str, list[SourceVideo]]:
    """Returns the videos of each part, in the order of the data set.

    The videos are shuffled, and each goes to the part that lacks most of its share of the frames.
    Videos of one name stay together. Every part gets at least one video. Where there are fewer
    videos than parts, each is cut in time: the parts get a piece of it each, in their order, and
    the frames between two pieces, a twentieth but 5 to 250, are in none.

    Raises:
        ValueError: a video that would have to be cut has too few frames.
    """
    frames: dict[str, int] = {}
    for video in videos:
        frames[video.name] = frames.get(video.name, 0) + video.num_frames
    names = list(frames)
    if len(names) < len(shares):
        pieces = [_cut(video, shares) for video in videos]
        return dict(zip(shares, map(list, zip(*pieces, strict=True)), strict=True))
    total = max(1, sum(frames.values()))
    held = dict.fromkeys(shares, 0)
    chosen: dict[str, set[str]] = {part: set() for part in shares}
    for place, number in enumerate(np.random.default_rng(seed).permutation(len(names))):
        empty = [part for part in shares if not chosen[part]]
        must = len(names) - place <= len(empty)  # as many videos left as parts without any
        part = max(empty if must else shares, key=lambda p: shares[p] - held[p] / total)
        chosen[part].add(names[number])
        held[part] += frames[names[number]]
    return {part: [video for video in videos if video.name in chosen[part]] for part in shares}


def _cut(video: SourceVideo, shares: Mapping[str, float]) -> list[Excerpt]:
    """Returns a piece of a video for each part."""
    gap = min(max(5, video.num_frames // 20), 250)
    left = video.num_frames - gap * (len(shares) - 1)
    ends = [round(left * share) for share in itertools.accumulate(shares.values())]
    pieces = [
        Excerpt(f"{video.name}~{part}", video, start + n * gap, end + n * gap)
        for n, (part, start, end) in enumerate(zip(shares, [0, *ends], ends, strict=False))
    ]
    if any(piece.num_frames < 1 for piece in pieces):
        raise ValueError(
            f"{video.where}: there are fewer videos than parts, and video {video.name!r} has "
            f"{video.num_frames} frames, too few to be cut into {len(shares)} parts"
        )
    return pieces
