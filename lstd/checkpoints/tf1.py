"""Loads checkpoints of the TF1 original."""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple, cast, get_args

import tensorflow as tf

from lstd.checkpoints.named_arrays import Source, Weights, open_source
from lstd.checkpoints.tf1_names import EXTRACTOR, variables_by_tf1_name
from lstd.models.lstm_ssd import LSTMSSD

Kind = Literal["classification", "detection", "lstm", "interleaved", "interleaved_pretrain"]

AVERAGE = "/ExponentialMovingAverage"
_BACKBONE = re.compile(rf"^{EXTRACTOR}(Mobilenet(?:V1|V2_(?P<number>\d)))/")
_NOT_WEIGHTS = re.compile(
    r"(^|/)(global_step|beta[12]_power)$|/(RMSProp(_\d)?|Adam(_\d)?|Momentum|Adagrad)$"
    r"|_(quant|concat)/(min|max)$|/(min|max)/(biased|local_step)$"
)


class CheckpointReport(NamedTuple):
    """What became of each name, sorted: of the original's, or of the places in a weights file.

    Attributes:
        restored: variables of the model that were filled.
        missing: variables of the model that no source has; they keep their values.
        unused: names of the sources that no variable took.
        mismatched: variables whose shape differs, left as they were.
        ignored: names of the sources that are no weights, or were not asked for: the step, slots of
            optimizers, fixed ranges of 8 bits, and either the moving averages or what they are
            averages of.
    """

    restored: tuple[str, ...]
    missing: tuple[str, ...]
    unused: tuple[str, ...]
    mismatched: tuple[str, ...]
    ignored: tuple[str, ...]


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
    for name, value, allowed in (
        ("kind", kind, get_args(Kind)),
        ("on_mismatch", on_mismatch, ("raise", "skip")),
    ):
        if value not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
    given = list(source) if isinstance(source, (list, tuple)) else [source]
    if not given:
        raise ValueError("source is an empty list; expected at least one checkpoint")
    sources = [open_source(one) for one in cast("list[Source]", given)]
    names = " and ".join(weights.name for weights in sources)
    if moving_averages and not any(holds_averages(weights) for weights in sources):
        raise ValueError(f"{names}: holds no moving averages; use moving_averages=False")
    variables = variables_by_tf1_name(model)
    found: dict[str, tuple[Weights, str]] = {}  # the first place of each variable
    for name in variables:
        for number, candidate in _candidates(name, len(sources), kind):
            averages = [candidate + AVERAGE] if moving_averages else []
            for place in (*averages, candidate):
                if place in sources[number].shapes:
                    found.setdefault(name, (sources[number], place))
    mismatched = {
        name: f"{name} is {ours} here and {theirs} there"
        for name, (weights, place) in sorted(found.items())
        if (ours := [*variables[name].shape]) != (theirs := [*weights.shapes[place]])
    }
    if mismatched and on_mismatch == "raise":
        raise ValueError(
            f"{names}: {len(mismatched)} variables have another shape than the model's: "
            + "; ".join([*mismatched.values()][:5] + ["..."] * (len(mismatched) > 5))
            + "; use a config that fits, or on_mismatch='skip' to leave them as they are"
        )
    restored = {name: place for name, place in found.items() if name not in mismatched}
    if not restored:
        raise ValueError(
            f"{names}: none of the model's {len(variables)} variables is in it under kind "
            f"{kind!r}; it holds {', '.join(sorted(sources[0].shapes)[:3]) or 'nothing'}, ..."
        )
    for name, (weights, place) in restored.items():
        variables[name].assign(tf.cast(weights.read(place), variables[name].dtype))
    used = {place for _, place in found.values()}
    rest = {name for weights in sources for name in weights.shapes} - used
    ignored = {name for name in rest if _is_ignored(name, used, moving_averages)}
    groups = (restored, set(variables) - set(found), rest - ignored, mismatched, ignored)
    return CheckpointReport(*(tuple(sorted(group)) for group in groups))


def holds_averages(weights: Weights) -> bool:
    """Returns whether there are moving averages of any variable."""
    return any(AVERAGE in name for name in weights.shapes)


def _is_ignored(name: str, used: set[str], moving_averages: bool) -> bool:
    if name.endswith(AVERAGE):
        return not moving_averages
    return bool(_NOT_WEIGHTS.search(name)) or name + AVERAGE in used


def _candidates(name: str, num_sources: int, kind: Kind) -> list[tuple[int, str]]:
    """Returns (source, name in it) of a variable in the order in which they are tried."""
    same = [(source, name) for source in range(num_sources)]
    bare = name.removeprefix(EXTRACTOR)
    if kind == "interleaved":
        return same
    if kind == "interleaved_pretrain":
        return [(source, bare) for source in range(num_sources)]
    backbone = _BACKBONE.match(name)
    if backbone is not None:
        mine = min(int(backbone["number"] or 1), num_sources) - 1
        generic = re.sub(r"MobilenetV2_\d/", "MobilenetV2/", name)
        if kind == "classification":
            return [(mine, generic.removeprefix(EXTRACTOR))]
        return [*(same if kind == "lstm" else []), (mine, generic)]
    if kind != "detection":
        return same if kind == "lstm" else []
    # What a single-frame SSD calls a feature map of ours.
    plain = name.replace("/FeatureMaps/", "/MobilenetV1/")
    return [(0, one) for one in dict.fromkeys((name, plain.replace("_lstm_", "_"), plain))]
