"""Runs a conversion as an Apache Beam pipeline: the same plan, the same shards, many machines.

    from apache_beam.options.pipeline_options import PipelineOptions

    source = readers.open("/data/ILSVRC2015", subset="train")
    beam_convert.convert(source, "gs://bucket/vid", Settings(), PipelineOptions(runner="..."))

The workers read the data set by the paths that the source names, so it must stand on a file system
that all of them share; the shards may go anywhere that TensorFlow can write. A worker that dies is
no harm: the shard is written again, whole, under the same name, with the same bytes.

Needs `pip install "lstd[beam]"`.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from lstd.data import convert as conversion
from lstd.data import record_files, shard_files
from lstd.data.convert import Plan
from lstd.data.shard_files import Settings, Shard
from lstd.data.sources import Source

_FAILED = "a shard cannot be written: "


def convert(
    source: Source, directory: str, settings: Settings, options: Any = None
) -> dict[str, Any]:
    """Returns the index of the data set that the pipeline wrote; see `lstd.data.convert.convert`.

    Args:
        source: the data set.
        directory: a folder, or an address such as `gs://bucket/name`.
        settings: how records are made.
        options: Beam's `PipelineOptions`; None: the local runner with its defaults.

    Raises:
        FileExistsError: there is an index already.
        ImportError: Apache Beam is not installed.
        ValueError: see `convert.make_plan`; or, as a worker says, `shard_files.write`.
        Exception: the runner's own.
    """
    beam = _beam()
    if tf.io.gfile.exists(f"{directory}/{record_files.INDEX}"):
        raise FileExistsError(f"{directory} holds a conversion already; name another folder")
    tf.io.gfile.makedirs(directory)
    plan = conversion.make_plan(source, settings)
    write = functools.partial(_write, directory=directory, labels=source.labels, settings=settings)
    with _errors_of_shards(), beam.Pipeline(options=options) as pipeline:
        _ = (
            pipeline
            | "shards" >> beam.Create(list(plan.shards))
            | "one each" >> beam.Reshuffle()
            | "write" >> beam.Map(write)
            | "as text" >> beam.Map(json.dumps)
            | "to list" >> beam.combiners.ToList()
            | "index" >> beam.Map(functools.partial(_write_index, directory=directory, plan=plan))
        )
    return record_files.index_of(directory)


@contextlib.contextmanager
def _errors_of_shards() -> Iterator[None]:
    """Raises what went wrong with a shard as it is, out of what the runner makes of it."""
    try:
        yield
    except Exception as error:
        _, found, text = str(error).rpartition(_FAILED)
        if not found:
            raise
        raise ValueError(text.partition(" [while running")[0].strip()) from None


def _write(
    shard: Shard, *, directory: str, labels: tuple[str, ...], settings: Settings
) -> dict[str, Any]:
    try:
        return shard_files.write(directory, shard, labels=labels, settings=settings)
    except (ValueError, OSError) as error:
        # A plain error: runners rebuild it with words of their own in its first argument.
        raise ValueError(f"{_FAILED}{error}") from None


def _write_index(entries: list[str], *, directory: str, plan: Plan) -> int:
    """Writes the index when all shards are there; returns how many."""
    shard_files.write_index(directory, plan.as_index([json.loads(entry) for entry in entries]))
    return len(entries)


def options(arguments: list[str]) -> Any:
    """Returns Beam's `PipelineOptions` of arguments such as `--runner=FlinkRunner`.

    Raises:
        ImportError: Apache Beam is not installed.
    """
    _beam()
    from apache_beam.options.pipeline_options import PipelineOptions

    return PipelineOptions(arguments)


def _beam() -> Any:
    try:
        import apache_beam
    except ModuleNotFoundError as error:
        if error.name != "apache_beam":
            raise
        raise ImportError(
            'conversion by Apache Beam needs it; run pip install "lstd[beam]"', name="apache_beam"
        ) from None
    return apache_beam
