"""Loads checkpoints of the TF1 original."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple, cast, get_args

import tensorflow as tf

from lstd.checkpoints.sources import Source, Weights, open_source
from lstd.checkpoints.tf1_names import EXTRACTOR, variables_by_tf1_name
from lstd.models.lstm_ssd import LSTMSSD

Kind = Literal["classification", "detection", "lstm", "interleaved", "interleaved_pretrain"]

AVERAGE = "/ExponentialMovingAverage"
_BACKBONE = re.compile(rf"^{EXTRACTOR}(Mobilenet(?:V1|V2_(?P<number>\d)))/")
_NOT_WEIGHTS = re.compile(
    r"(^|/)(global_step|beta[12]_power)$|/(RMSProp(_\d)?|Adam(_\d)?|Momentum|Adagrad)$"
)


class CheckpointReport(NamedTuple):
    """What became of each name; all are the original's, sorted.

    Attributes:
        restored: variables of the model that were filled.
        missing: variables of the model that no source has; they keep their values.
        unused: names of the sources that no variable took.
        mismatched: variables whose shape differs, left as they were.
        ignored: names of the sources that are no weights, or were not asked for: the step, slots of
            optimizers, and either the moving averages or what they are averages of.
    """

    restored: tuple[str, ...]
    missing: tuple[str, ...]
    unused: tuple[str, ...]
    mismatched: tuple[str, ...]
    ignored: tuple[str, ...]


class _Found(NamedTuple):
    source: int
    name: str


def load_tf1_checkpoint(
    model: LSTMSSD,
    source: Source | Sequence[Source],
    moving_averages: bool = False,
    kind: Kind = "lstm",
    on_mismatch: Literal["raise", "skip"] = "raise",
) -> CheckpointReport:
    """Returns what was, and was not, used of the original's weights, which fill the model.

    Args:
        model: a built model.
        source: a checkpoint prefix, an `.npz` file of arrays by variable name, a dict of them, or a
            list of these; `kind` says which of them is asked for what.
        moving_averages: takes the averages where the source has them.
        kind: how the names of the source relate to the model's.
            "classification": the backbones alone, from slim's names without `FeatureExtractor/`,
            the k-th backbone from the k-th source;
            "detection": a single-frame SSD, the k-th backbone from `MobilenetV2` of the k-th
            source, everything else from the first one;
            "lstm": the same names, from the first source that has them; for the k-th backbone else
            `MobilenetV2` of the k-th source;
            "interleaved": the same names, from the first source that has them;
            "interleaved_pretrain": so, without `FeatureExtractor/`.
            Where there are fewer sources than backbones, the last one fills the rest.
        on_mismatch: "skip" leaves variables of another shape as they are and lists them.

    Raises:
        ValueError: a source that cannot be read; a shape that differs, with the variables and both
            shapes; nothing restored; `moving_averages` from sources without any.
    """
    _check(kind, "kind", get_args(Kind))
    _check(on_mismatch, "on_mismatch", ("raise", "skip"))
    given = list(source) if isinstance(source, (list, tuple)) else [source]
    sources = [open_source(one) for one in cast("list[Source]", given)]
    if not sources:
        raise ValueError("source is an empty list; expected at least one checkpoint")
    names = " and ".join(weights.name for weights in sources)
    if moving_averages and not any(holds_averages(weights) for weights in sources):
        raise ValueError(f"{names}: holds no moving averages; use moving_averages=False")
    variables = variables_by_tf1_name(model)
    found = {
        name: _find(name, sources, kind, moving_averages=moving_averages) for name in variables
    }
    mismatched = _mismatched(variables, found, sources)
    if mismatched and on_mismatch == "raise":
        raise ValueError(
            f"{names}: {len(mismatched)} variables have another shape than the model's: "
            + "; ".join(mismatched[name] for name in sorted(mismatched)[:5])
            + ("; ..." if len(mismatched) > 5 else "")
            + "; use a config that fits, or on_mismatch='skip' to leave them as they are"
        )
    restored = {n: f for n, f in found.items() if f is not None and n not in mismatched}
    if not restored:
        raise ValueError(
            f"{names}: none of the model's {len(variables)} variables is in it under kind "
            f"{kind!r}; it holds {', '.join(sorted(sources[0].shapes)[:3]) or 'nothing'}, ..."
        )
    for name, place in restored.items():
        array = sources[place.source].read(place.name)
        variables[name].assign(tf.cast(array, variables[name].dtype))
    return _report(variables, found, restored, mismatched, sources, moving_averages)


def _check(value: str, name: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")


def holds_averages(weights: Weights) -> bool:
    """Returns whether there are moving averages of any variable."""
    return any(AVERAGE in name for name in weights.shapes)


def _find(name: str, sources: list[Weights], kind: Kind, *, moving_averages: bool) -> _Found | None:
    """Returns the first place that has the model's variable `name`."""
    for source, candidate in _candidates(name, len(sources), kind):
        for full in [candidate + AVERAGE, candidate] if moving_averages else [candidate]:
            if full in sources[source].shapes:
                return _Found(source, full)
    return None


def _candidates(name: str, num_sources: int, kind: Kind) -> list[tuple[int, str]]:
    """Returns (source, name in it) in the order in which they are tried."""
    backbone = _BACKBONE.match(name)
    everywhere = range(num_sources)
    if kind == "interleaved":
        return [(source, name) for source in everywhere]
    if kind == "interleaved_pretrain":
        return [(source, name.removeprefix(EXTRACTOR)) for source in everywhere]
    if kind == "classification" and backbone is None:
        return []
    if backbone is None:
        own = everywhere if kind == "lstm" else [0]
        names = [name] if kind == "lstm" else [name, *_single_frame_names(name)]
        return [(source, one) for source in own for one in names]
    number = int(backbone["number"] or 1)
    mine = min(number, num_sources) - 1
    generic = re.sub(r"MobilenetV2_\d/", "MobilenetV2/", name)
    if kind == "classification":
        return [(mine, generic.removeprefix(EXTRACTOR))]
    if kind == "detection":
        return [(mine, generic)]
    return [*((source, name) for source in everywhere), (mine, generic)]


def _single_frame_names(name: str) -> list[str]:
    """Returns what a single-frame SSD calls a feature map of ours."""
    if "/FeatureMaps/" not in name:
        return []
    plain = name.replace("/FeatureMaps/", "/MobilenetV1/")
    return [plain.replace("_lstm_", "_"), plain]


def _mismatched(
    variables: dict[str, tf.Variable], found: dict[str, _Found | None], sources: list[Weights]
) -> dict[str, str]:
    """Returns a sentence for each variable whose shape differs."""
    result = {}
    for name, place in found.items():
        if place is None:
            continue
        ours, theirs = tuple(variables[name].shape), sources[place.source].shapes[place.name]
        if ours != theirs:
            result[name] = f"{name} is {list(ours)} here and {list(theirs)} there"
    return result


def _report(
    variables: dict[str, tf.Variable],
    found: dict[str, _Found | None],
    restored: dict[str, _Found],
    mismatched: dict[str, str],
    sources: list[Weights],
    moving_averages: bool,
) -> CheckpointReport:
    used = {place.name for place in found.values() if place is not None}
    rest = {name for weights in sources for name in weights.shapes} - used

    def is_ignored(name: str) -> bool:
        if name.endswith(AVERAGE):
            return not moving_averages
        return bool(_NOT_WEIGHTS.search(name)) or name + AVERAGE in used

    ignored = {name for name in rest if is_ignored(name)}
    missing = [name for name in variables if found[name] is None]
    groups = (restored, missing, rest - ignored, mismatched, ignored)
    return CheckpointReport(*(tuple(sorted(group)) for group in groups))
