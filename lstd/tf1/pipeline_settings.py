"""From the checked fields of a pipeline file to values for keys of `lstd.Config`."""

from __future__ import annotations

import typing
from typing import Any, NamedTuple

from lstd.config import schedule_names
from lstd.config.train_config import FineTuneConfig
from lstd.tf1 import pipeline_rules as rules
from lstd.tf1.pipeline_fields import Fields, PipelineError, possible
from lstd.tf1.pipeline_rules import FOCAL, INTERLEAVED, MINER, OPTIMIZER, SSD
from lstd.tf1.pipeline_schema import NO_8_BIT

_MOVING_AVERAGE_DECAY = 0.9999
"""What the original's trainer always uses, whatever the file says."""


class Setting(NamedTuple):
    """A value for one key of the config, and the field of the file that it comes from."""

    value: Any
    source: str


class _Scope(NamedTuple):
    """What to map: everything, or what a fragment names on top of a config.

    Attributes:
        fields: the file or fragment.
        current: the config below a fragment, as plain dicts; None for a whole file.
        fresh: blocks in a fragment that replace another choice, so that their defaults count.
    """

    fields: Fields
    current: dict[str, Any] | None
    fresh: tuple[str, ...]

    def wants(self, path: str) -> bool:
        """Returns whether the value of `path`, given or default, belongs into the config."""
        if path in self.fields:
            return True
        is_new = self.current is None or path.startswith(self.fresh)
        return is_new and self.fields.applies(path)


def settings_of(fields: Fields, *, current: dict[str, Any] | None = None) -> dict[str, Setting]:
    """Returns a value for each key of the config that the file decides, keys dotted.

    Args:
        fields: a whole pipeline file, or the fragment of an override.
        current: for a fragment, the config it lies on: only what the fragment names is set. For a
            whole file None: what it leaves out gets the original's default.

    Raises:
        PipelineError: a value that lstd cannot do, or a part that is missing.
    """
    scope = _Scope(fields, current, ())
    if current is None:
        _refuse_missing(fields)
    else:
        scope = scope._replace(fresh=tuple(f"{path}." for path in _replaced(fields, current)))
    if fields["lstm_model.is_quantized"]:
        raise fields.error("lstm_model.is_quantized", f"true is not available in lstd; {NO_8_BIT}")
    family = _family_of(scope)
    settings = _family_settings(scope, family)
    for rule in (*rules.RULES, *rules.FAMILY_RULES[family]):
        if scope.wants(rule.source) and not _lies_in_missing_part(rule.source, fields):
            value = rule.convert(fields[rule.source])
            settings.update(dict.fromkeys(rule.targets, Setting(value, rule.source)))
    for special in (_choices, _l2, _losses, _interleaving, _training, _augmentation, _readers):
        settings.update(special(scope, family, settings))
    return settings


def value_at(data: Any, key: str) -> Any:
    """Returns what plain dicts and lists hold under a dotted key."""
    for part in key.split("."):
        data = data[int(part)] if isinstance(data, list) else data[part]
    return data


def _refuse_missing(fields: Fields) -> None:
    if "lstm_model" not in fields:
        raise PipelineError(
            f"{fields.source}: no [lstm_object_detection.protos.lstm_model] {{...}} block; this is "
            "no pipeline of the LSTM-SSD detector"
        )
    for path in rules.REQUIRED:
        if path not in fields:
            raise fields.error(path, "is missing")
    for path, spec in fields.unsuitable_defaults():
        raise fields.error(
            path,
            f"is not given, which means {str(spec.default).lower()} in the original; possible in "
            f"lstd: {possible(spec)}",
        )
    if "train_config" in fields:
        if not fields.member(OPTIMIZER):
            raise fields.error(OPTIMIZER, "is missing")
        rate = f"{OPTIMIZER}.{fields.member(OPTIMIZER)}.learning_rate"
        if not fields.member(rate):
            raise fields.error(rate, "is missing")
    if not fields.member(f"{SSD}.loss.classification_loss"):
        raise fields.error(f"{SSD}.loss.classification_loss", "names no loss")


def _replaced(fields: Fields, current: dict[str, Any]) -> list[str]:
    """Returns the fragment's blocks that are another choice than the config's."""
    found = [MINER] if value_at(current, "model.loss.hard_negatives") is None else []
    for path, values in rules.CHOICES.items():
        key, value = next(iter(values.items()))
        # The fields of the cosine depend on one another, so it is always taken as a whole.
        if path in fields and (value_at(current, key) != value or value == "cosine"):
            found.append(path)
    return found


def _lies_in_missing_part(path: str, fields: Fields) -> bool:
    """A file for evaluation only has no train_config, and without a miner nothing is mined."""
    return any(
        path.startswith(f"{part}.") and part not in fields for part in ("train_config", MINER)
    )


def _family_of(scope: _Scope) -> str:
    path = f"{SSD}.feature_extractor.type"
    if path not in scope.fields and scope.current is not None:
        return str(value_at(scope.current, "model.backbone"))
    name = scope.fields[path]
    if name not in rules.FAMILIES:
        raise scope.fields.error(
            path, f"{name!r} is not available in lstd; possible: {', '.join(rules.FAMILIES)}"
        )
    family = rules.FAMILIES[name]
    if scope.current is not None and family != value_at(scope.current, "model.backbone"):
        raise scope.fields.error(
            path, f"{name!r} is another model; an override cannot change the type"
        )
    return family


def _family_settings(scope: _Scope, family: str) -> dict[str, Setting]:
    if scope.current is not None:
        return {}
    path = f"{SSD}.feature_extractor.type"
    return {key: Setting(value, path) for key, value in rules.FAMILY_VALUES[family].items()}


def _choices(scope: _Scope, family: str, settings: dict[str, Setting]) -> dict[str, Setting]:
    chosen: dict[str, Setting] = {}
    for path, values in rules.CHOICES.items():
        is_new = scope.current is None or f"{path}." in scope.fresh
        if path in scope.fields and is_new:
            for key, value in values.items():
                if key not in settings:
                    chosen[key] = Setting(value, path)
    return chosen


def _l2(scope: _Scope, family: str, settings: dict[str, Setting]) -> dict[str, Setting]:
    """Without a regularizer the original has none."""
    if scope.current is not None:
        return {}
    keys = ("model.feature_extractor.l2_weight", "model.box_predictor.conv.l2_weight")
    return {key: Setting(0.0, SSD) for key in keys if key not in settings}


def _losses(scope: _Scope, family: str, settings: dict[str, Setting]) -> dict[str, Setting]:
    is_new = scope.current is None or f"{FOCAL}." in scope.fresh
    if FOCAL in scope.fields and is_new and f"{FOCAL}.alpha" not in scope.fields:
        raise scope.fields.error(
            f"{FOCAL}.alpha", "is not given, which means no weighting; lstd needs a number"
        )
    if scope.current is None and MINER not in scope.fields:
        return {"model.loss.hard_negatives": Setting(None, f"{SSD}.loss")}
    return {}


def _interleaving(scope: _Scope, family: str, settings: dict[str, Setting]) -> dict[str, Setting]:
    if family != INTERLEAVED:
        return {}
    fields, lstm = scope.fields, "lstm_model"
    if scope.current is None:
        _refuse_silent_defaults(fields)
    if f"{lstm}.pre_bottleneck" in fields and not fields[f"{lstm}.pre_bottleneck"]:
        raise fields.error(
            f"{lstm}.pre_bottleneck",
            "false is not available in lstd; possible: true. Without it the two backbones would "
            "have to end in equally many channels",
        )
    if scope.wants(f"{lstm}.depth_multipliers") and len(fields[f"{lstm}.depth_multipliers"]) != 2:
        raise fields.error(
            f"{lstm}.depth_multipliers",
            "needs two numbers, the large network's and the small one's; got "
            f"{len(fields[f'{lstm}.depth_multipliers'])}",
        )
    if scope.current is None and fields[f"{lstm}.scale_state"] and fields[f"{lstm}.clip_state"]:
        raise fields.error(
            f"{lstm}.scale_state",
            "excludes clip_state, which is true unless the file says clip_state: false",
        )
    for name in ("train_interleave_method", "eval_interleave_method"):
        path = f"{lstm}.{name}"
        try:
            schedule_names.check(fields[path], where=path)
        except ValueError as error:
            raise PipelineError(f"{fields.source}, line {fields.line_of(path)}: {error}") from None
    return {}


def _refuse_silent_defaults(fields: Fields) -> None:
    for name, advice in (
        ("pre_bottleneck", "write pre_bottleneck: true, as the published config does"),
        ("low_res", "write low_res: true, as the published config does, or low_res: false"),
    ):
        if f"lstm_model.{name}" not in fields:
            raise fields.error(
                f"lstm_model.{name}",
                "is not given. The original then takes false, the file format's default, although "
                f"its model's own default is true: {advice}",
            )


def _training(scope: _Scope, family: str, settings: dict[str, Setting]) -> dict[str, Setting]:
    if "train_config" not in scope.fields:
        return {}
    fields = scope.fields
    found: dict[str, Setting] = {}
    if fields["train_config.num_steps"]:  # 0: train until stopped
        found["train.steps"] = Setting(fields["train_config.num_steps"], "train_config.num_steps")
    found.update(_cosine(scope))
    use, decay = f"{OPTIMIZER}.use_moving_average", f"{OPTIMIZER}.moving_average_decay"
    if scope.wants(decay):
        is_own = fields[use] or scope.current is not None
        value = fields[decay] if is_own else _MOVING_AVERAGE_DECAY
        found["train.moving_average_decay"] = Setting(value, decay)
    found.update(_fine_tuning(scope))
    return found


def _cosine(scope: _Scope) -> dict[str, Setting]:
    """The cosine ends with the run here, so the run must end where the original's rate is 0."""
    fields = scope.fields
    for rate in rules.LEARNING_RATES:
        path = f"{rate}.cosine_decay_learning_rate"
        if path not in fields:
            continue
        total, steps = fields[f"{path}.total_steps"], fields["train_config.num_steps"]
        if steps and steps != total:
            raise fields.error(
                f"{path}.total_steps",
                f"{total} differs from train_config.num_steps {steps}; lstd's cosine falls over "
                "the whole run: make them equal",
            )
        before = fields[f"{path}.warmup_steps"] + fields[f"{path}.hold_base_rate_steps"]
        if before >= total:
            raise fields.error(
                f"{path}.total_steps", f"{total} leaves no steps after warm-up and hold ({before})"
            )
        return {
            "train.steps": Setting(total, f"{path}.total_steps"),
            "train.learning_rate.hold_fraction": Setting(before / total, path),
        }
    return {}


def _fine_tuning(scope: _Scope) -> dict[str, Setting]:
    fields, found = scope.fields, {}
    source, kind = "train_config.fine_tune_checkpoint", "train_config.fine_tune_checkpoint_type"
    is_detection = "train_config.from_detection_checkpoint"
    paths = [path.strip() for path in fields[source].split(",") if path.strip()]
    if source in fields:
        found["train.fine_tune.checkpoints"] = Setting(paths, source)
    kinds = typing.get_args(typing.get_type_hints(FineTuneConfig)["kind"])
    if fields[kind]:
        if fields[kind] not in kinds:
            raise fields.error(kind, f"{fields[kind]!r} is unknown; possible: {', '.join(kinds)}")
        found["train.fine_tune.kind"] = Setting(fields[kind], kind)
    elif is_detection in fields:
        value = "detection" if fields[is_detection] else "classification"
        found["train.fine_tune.kind"] = Setting(value, is_detection)
    elif paths and scope.current is None:
        raise fields.error(kind, f"is missing; possible: {', '.join(kinds)}")
    return found


def _augmentation(scope: _Scope, family: str, settings: dict[str, Setting]) -> dict[str, Setting]:
    fields, path = scope.fields, "train_config.data_augmentation_options"
    steps: list[dict[str, Any]] = []
    for block in fields.blocks(path):
        name = fields.member(block)
        if not name:
            raise fields.error(block, "names no augmentation")
        steps.extend(_augmentation_steps(fields, f"{block}.{name}", name))
    return {"data.train.augmentation": Setting(steps, path)} if steps else {}


def _augmentation_steps(fields: Fields, block: str, name: str) -> list[dict[str, Any]]:
    if name == "random_distort_color":
        return list(rules.COLOR_ORDERINGS[fields[f"{block}.color_ordering"]])
    if name == "ssd_random_crop":
        crop: dict[str, Any] = {"name": name}
        operations = fields.blocks(f"{block}.operations")
        if operations:  # without any the original takes seven of its own, and so does lstd
            crop["operations"] = [
                {key: fields[f"{operation}.{key}"] for key in rules.CROP_FIELDS}
                for operation in operations
            ]
        return [crop]
    own, parameters = rules.AUGMENTATIONS[name]
    values = {key: fields[f"{block}.{source}"] for source, key in parameters.items()}
    return [{"name": own, "probability": 1.0, **values}]


def _readers(scope: _Scope, family: str, settings: dict[str, Setting]) -> dict[str, Setting]:
    fields, found = scope.fields, {}
    size = "train_input_reader.shuffle_buffer_size"
    if not fields["train_input_reader.shuffle"]:
        found["data.train.shuffle_buffer"] = Setting(0, "train_input_reader.shuffle")
    elif size in fields:  # its default, 2048, is of single images, and no video reader obeyed it
        found["data.train.shuffle_buffer"] = Setting(fields[size], size)
    # The original reads names to evaluate and never else, so the evaluation's label map counts.
    for reader in ("eval_input_reader[0]", "train_input_reader"):
        path = f"{reader}.label_map_path"
        if path in fields:
            found.setdefault("data.label_map_path", Setting(fields[path], path))
    return found
