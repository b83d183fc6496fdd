"""`lstd.evaluate`: the run over the data, for files and folders as well as for models in memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from lstd.any_model import open_model
from lstd.any_model.video_detector import VideoDetector
from lstd.base.types import ClipBatch, GroundTruth
from lstd.evaluation import detectors
from lstd.evaluation import evaluate as evaluation
from lstd.evaluation.metrics.by_name import Metrics


def evaluate(
    model: Any,
    dataset: Iterable[tuple[ClipBatch, GroundTruth]],
    metrics: Metrics | None = None,
    schedules: Sequence[str] | None = None,
    *,
    config: open_model.Given = None,
    **options: Any,
) -> dict[str, float]:
    """Returns named numbers: how good a model is on a dataset.

    >>> numbers = lstd.evaluate("model.tflite", dataset, ["coco"], ["SKIP9"])   # doctest: +SKIP
    >>> numbers["coco/ap"]                                                      # doctest: +SKIP
    0.61

    Args:
        model: such as an `LSTMSSD` or a `VideoDetector`, see `lstd.evaluation.evaluate`; or a path
            as of `lstd.any_model.open_model.open_model`; of a run folder the best weights count.
        dataset: see there, as are the following.
        metrics: such as `["coco", "vid"]`; None: COCO.
        schedules: such as `["LARGE", "SKIP3"]`; None: the model's own.
        config: a config or its path, which a checkpoint of the original is built by.
        **options: the other arguments of `lstd.evaluation.evaluate`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file that is no model; and as `lstd.evaluation.evaluate` does.
        ImportError: what runs this kind of file is not installed.
    """
    if isinstance(model, (str, os.PathLike)):
        found = open_model.find(model)
        weights = "best" if found.kind == "run" else None
        opened, _ = open_model.open_model(found, config=config, weights=weights)
        model = detector_of(opened)
    return evaluation.evaluate(model, dataset, metrics, schedules, **options)


def detector_of(
    model: Any, *, labels: Sequence[str] = (), threads: int = 0, min_score: float | None = None
) -> detectors.ClipDetector:
    """Returns what is evaluated of an LSTMSSD, or of the path of an exported file.

    `labels` name the classes, instead of the model's own; `threads` are of a `.tflite`, 0: one
    for each core, and `min_score` is for an exported file instead of its own.
    """
    if not isinstance(model, os.PathLike):
        return detectors.ModelDetector(model, labels=labels)
    threads = threads or os.cpu_count() or 1
    return detectors.as_detector(
        VideoDetector(model, threads=threads, labels=labels, min_score=min_score)
    )
