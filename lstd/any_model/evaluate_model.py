"""`lstd.evaluate`: the run over the data, for files and folders as well as for models in memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lstd.base.types import ClipBatch, GroundTruth
from lstd.evaluation import evaluate as evaluation
from lstd.evaluation.metrics.by_name import Metrics


def evaluate(
    model: Any,
    dataset: Iterable[tuple[ClipBatch, GroundTruth]],
    metrics: Metrics | None = None,
    schedules: Sequence[str] | None = None,
    **options: Any,
) -> dict[str, float]:
    """Returns named numbers: how good a model is on a dataset.

    >>> numbers = lstd.evaluate("model.tflite", dataset, ["coco"], ["SKIP9"])   # doctest: +SKIP
    >>> numbers["coco/ap"]                                                      # doctest: +SKIP
    0.61

    Args:
        model: such as an `LSTMSSD` or a `VideoDetector`, see `lstd.evaluation.evaluate`; or a path:
            of a `.tflite` or a SavedModel of `lstd-export`, of the folder that it wrote
            them into, or of a run folder, whose best weights count, or of weights or a checkpoint
            (`runs/one/checkpoints/step-100`) in one.
        dataset: see there, as are the following.
        metrics: such as `["coco", "vid"]`; None: COCO.
        schedules: such as `["LARGE", "SKIP3"]`; None: the model's own.
        **options: the other arguments of `lstd.evaluation.evaluate`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file that is no model; and as `lstd.evaluation.evaluate` does.
        ImportError: what runs this kind of file is not installed.
    """
    if isinstance(model, (str, os.PathLike)):
        model = _loaded(Path(model))
    return evaluation.evaluate(model, dataset, metrics, schedules, **options)


def _loaded(path: Path) -> Any:
    from lstd.runtime.detector import VideoDetector
    from lstd.training import run_folder

    is_checkpoint = Path(f"{path}.index").is_file()
    if (path / "config.yaml").is_file() or path.name.endswith(".weights.h5") or is_checkpoint:
        return run_folder.load_model(path)
    return VideoDetector(path, threads=os.cpu_count() or 1)
