"""Reads the original's pipeline files (protobuf text, `.config`) into `lstd.Config`.

A loaded config trains and evaluates as the original would, but for what `_differences` and the
table in docs/coming_from_tf1.md say.
"""

from __future__ import annotations

import re
import warnings
from typing import Any

from lstd.config import config as config_lib
from lstd.config import config_io, schedule_names
from lstd.config.config import Config
from lstd.config.config_io import ConfigError
from lstd.tf1 import mapping
from lstd.tf1.schema import NO_COUNTERPART, NO_EFFECT, Fields, Given


class PipelineConfigWarning(UserWarning):
    """Says what of a pipeline file was read and not used."""


def parse(text: str, *, source: str) -> Config:
    """Returns the config that the text of a pipeline file of the original describes.

    Fields without counterpart here and fields without effect in the original are accepted; one
    `PipelineConfigWarning` lists them. `source` names the file in messages.

    Raises:
        ConfigError: text that is no text proto or an unknown field (with the closest match), both
            with the line; a value that lstd cannot do (with the possible ones), a missing part.
    """
    fields = Fields(text, source=source)
    config = _build(Config(), mapping.settings_of(fields), fields)
    _warn(fields, config, extra=_differences(fields, config), stacklevel=4)  # load_config's caller
    return config


def apply_override(config: Config, text: str) -> Config:
    """Returns the config with a fragment of a pipeline file laid over it.

    Only what the fragment names is changed. A repeated field replaces the values before it, where
    protobuf would append. A block that chooses something else, such as another optimizer, brings
    its defaults along.

    >>> fragment = "model { ssd { num_classes: 7 } }"
    >>> apply_override(Config(), fragment).model.num_classes
    7

    Raises:
        ConfigError: as in `parse`, but for missing parts; also for another feature extractor type.
    """
    fields = Fields(text, source="--config_override")
    settings = mapping.settings_of(fields, current=config_lib.to_dict(config))
    result = _build(config, settings, fields)
    _warn(fields, result, extra=[], stacklevel=3)
    return result


def _build(base: Config, settings: dict[str, Any], fields: Fields) -> Config:
    data = config_lib.to_dict(base)
    for key, value in settings.items():
        parent, _, last = key.rpartition(".")
        if mapping.value_at(data, parent) is None:  # hard-negative mining that was off
            above, _, name = parent.rpartition(".")
            mapping.value_at(data, above)[name] = {}
        place = mapping.value_at(data, parent)
        place[int(last) if isinstance(place, list) else last] = value
    try:
        return config_io.from_dict(data, source=fields.source)
    except ConfigError as error:
        words = set(re.findall(r"[a-z]\w+", str(error)))
        origin = {
            source
            for source, key, _ in mapping.RULES
            if key in settings and fields.applies(source) and key.rpartition(".")[2] in words
        }
        hint = f"; from {', '.join(sorted(origin))}" if origin else ""
        raise ConfigError(f"{error}{hint}") from None


def _warn(fields: Fields, config: Config, *, extra: list[str], stacklevel: int) -> None:
    unused: dict[str, list[str]] = {NO_COUNTERPART: [], NO_EFFECT: []}
    for given in fields.each():
        if given.is_given and (note := _why_unused(given, config)):
            names = given.path.split(".")
            unused[note].append(f"{names[0]}...{names[-1]}" if len(names) > 2 else given.path)
    parts = [
        f"ignored, {note}: {', '.join(dict.fromkeys(paths))}"
        for note, paths in unused.items()
        if paths
    ]
    if parts or extra:
        text = "".join(f"\n  {part}" for part in (*parts, *extra))
        warnings.warn(f"{fields.source}:{text}", PipelineConfigWarning, stacklevel=stacklevel)


def _why_unused(given: Given, config: Config) -> str:
    """Returns the reason why a given field is not used, or '' for one that is."""
    path, name, section = given.path, given.field.name, given.field.section
    if path.startswith("eval_input_reader["):
        if not path.startswith("eval_input_reader[0]"):
            return ""  # further blocks have a sentence of their own
        if name in ("shuffle", "shuffle_buffer_size"):
            return NO_COUNTERPART  # evaluation reads the videos in order; the result is the same
    if path == "eval_config.metrics_set" and given.value != ["coco_evaluation_all_frames"]:
        return NO_COUNTERPART
    if path == f"{mapping.OPTIMIZER}.use_moving_average" and not given.value:
        return NO_EFFECT
    if mapping.is_idle(path, config.model.backbone):
        return NO_EFFECT
    if path.startswith("quant_overrides") and config.train.quantization is None:
        return NO_EFFECT  # it adds to the graph_rewriter
    return section if section in (NO_COUNTERPART, NO_EFFECT) else ""


def _differences(fields: Fields, config: Config) -> list[str]:
    """Returns a sentence for each thing that is not as the file, or the original, would have it."""
    found, model, data = [], config.model, config.data
    num_readers = len(fields.message.eval_input_reader)
    if num_readers > 1:
        found.append(
            f"of {num_readers} eval_input_reader blocks the first counts, as in the original"
        )
    if "train_config" in fields and not fields["train_config.num_steps"]:
        found.append(
            "train_config.num_steps is not given, so the original never stops; here train.steps is "
            f"{config.train.steps}"
        )
    if "train_config" in fields and model.backbone == mapping.INTERLEAVED:
        found.append(
            "in training a frame runs the backbone of its turn only; the original runs both, which "
            "model.train_backbone_frames: all does"
        )
    if model.quantized_cell and not model.int8:
        found.append(
            "a memory in 8 bits (lstm_model.is_quantized) cannot be exported without the rest; "
            "train.quantization: {} (graph_rewriter) trains all of it in 8 bits"
        )
    for path in (f"{rate}.cosine_decay_learning_rate" for rate in mapping.LEARNING_RATES):
        if path in fields and fields[f"{path}.warmup_steps"]:
            first = fields[f"{path}.warmup_learning_rate"]
            found.append(f"the original warms up from a learning rate of {first}, lstd from 0")
    for schedule, length in (
        (model.train_schedule, data.train.unroll_length),
        (model.eval_schedule, data.evaluation.unroll_length),
    ):
        skipped = schedule_names.skip_of(schedule)
        if skipped is not None and length % (skipped + 1):
            found.append(
                f"{schedule} counts the frames of the video; the original starts anew with every "
                f"clip of {length} frames, which model.schedule_counts: unroll does"
            )
    return found
