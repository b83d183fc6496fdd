"""What `--representative_data` names, as frames."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstd.cli import common

if TYPE_CHECKING:
    from lstd.config.data_config import DataConfig

_FLAG = "--representative_data"
_OF_ANOTHER_PLACE = ("format", "subset", "images", "stills", "folders")
"""What `data.evaluation` says of its own files, and not of those of the flag."""


def open_data(text: str, model: Any, data: DataConfig) -> Iterable[Any]:
    """Returns the clips of TFRecords, or the frames of a video or a folder of images.

    Args:
        text: what was given.
        model: says which size its frames have and how many classes there are.
        data: the data section of the model's config, which says how records are read.

    Raises:
        FileNotFoundError: nothing has that name.
        ValueError: it cannot be read.
    """
    from lstd.media import video

    path = Path(text)
    if path.is_dir() or path.suffix.lower() in video.SUFFIXES:
        if not path.is_dir():
            common.existing_file(text, flag=_FLAG)
        return video.read_frames(path)
    return _records(text, model, data)


def _records(pattern: str, model: Any, data: DataConfig) -> Iterable[Any]:
    from lstd.config.data_config import DatasetConfig
    from lstd.data import pipeline, record_files

    record_files.find([pattern], where=_FLAG)
    height, width, _ = model.input_shape_hwc
    whole = {field: getattr(DatasetConfig(), field) for field in _OF_ANOTHER_PLACE}
    split = dataclasses.replace(
        data.evaluation, input_path=(pattern,), batch_size=1, height=height, width=width, **whole
    )
    try:
        return pipeline.make_dataset(
            dataclasses.replace(data, evaluation=split), "evaluation", num_classes=model.num_classes
        )
    except ValueError as error:
        if not getattr(error, "keep_lines", False):
            raise
        raise ValueError(  # instead of a picture of every folder that lstd-data converts
            f"{_FLAG}: {pattern} is neither TFRecords, nor a video file, nor a folder of images"
        ) from None
