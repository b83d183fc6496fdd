"""The original's checkpoints: every name, every kind, and what is said about the rest."""

import io
import re

import numpy as np
import pytest
import tensorflow as tf

from lstd.checkpoints.tf1 import load_tf1_checkpoint
from lstd.checkpoints.tf1_names import variables_by_tf1_name
from lstd.export import saved_model
from lstd.export.options import ExportOptions
from lstd.fit.variables import names_of
from lstd.training.weights_file import load_weights
from tests import tiny


@pytest.fixture(scope="module")
def model():
    return tiny.model()


@pytest.fixture(scope="module")
def first_paper():
    return tiny.model(tiny.FIRST_PAPER)


def source_for(model, *, seed=1):
    """Returns random arrays for all variables under the original's names."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal(size=variable.shape).astype(np.float32)
        for name, variable in variables_by_tf1_name(model).items()
    }


def assert_filled(model, source, names=None):
    variables = variables_by_tf1_name(model)
    for name in variables if names is None else names:
        np.testing.assert_array_equal(variables[name], source[name])


def backbone(source, number=None):
    pattern = r"/MobilenetV" if number is None else rf"/MobilenetV2_{number}/"
    return {name: array for name, array in source.items() if re.search(pattern, name)}


def test_every_variable_has_one_name(model, first_paper):
    for each in (model, first_paper):
        variables = variables_by_tf1_name(each)
        assert sorted(map(id, variables.values())) == sorted(map(id, each.weights))


def test_memory_in_8_bits_is_filled_and_learns_its_ranges():
    model = tiny.model(quantized_cell=True)
    cell = "FeatureExtractor/LSTM/conv_lstm_cell/"
    source = source_for(model)
    learnt = {name for name in source if name.endswith(("/min", "/max"))}
    source |= {name: np.float32(6 if name.endswith("max") else -6) for name in learnt}
    fixed = {f"{cell}new_c_0/act_quant/min": np.float32(0), f"{cell}x/max/biased": np.float32(0)}

    report = load_tf1_checkpoint(model, {**source, **fixed})

    assert len(learnt) == 2 * (4 * 4 + 2 * (4 + 1))
    assert len(names_of(model)) == len(model.weights)
    assert_filled(model, source)
    assert report.ignored == tuple(sorted(fixed))
    assert report.missing == report.unused == ()
    model.freeze(["large_bottleneck/.*_range"])
    model(tiny.clip(2), networks=[[0, 1], [1, 0]], training=True)
    variables = variables_by_tf1_name(model)
    kept = {name for name in learnt if "min" in name and variables[name].numpy() == -6}
    assert kept == {name for name in learnt if "bottleneck_0/" in name and "min" in name}
    with pytest.raises(ValueError, match="quantized_cell: a memory in 8 bits alone can be tra"):
        saved_model.prepared(model, ExportOptions())


def test_memory_in_8_bits_starts_from_a_float_run(model, tmp_path):
    quantized = tiny.model(seed=1, quantized_cell=True)
    names = names_of(quantized)
    for each in (model, quantized):
        each.save_weights(tmp_path / f"{len(each.weights)}.weights.h5")
    kept = {name: variable.numpy() for name, variable in names.items()}

    report = load_weights(quantized, tmp_path / f"{len(model.weights)}.weights.h5", "skip")

    assert len(report.restored) == len(model.weights)
    assert report.mismatched == report.unused == ()
    for name, variable in names_of(model).items():
        np.testing.assert_array_equal(names[name], variable, err_msg=name)
    quantized.load_weights(tmp_path / f"{len(quantized.weights)}.weights.h5")
    for name, variable in names.items():
        np.testing.assert_array_equal(variable, kept[name], err_msg=name)


def bare_backbone(source, number, prefix=""):
    """Returns the arrays of one backbone, as slim calls those of its only one."""
    pattern = r"FeatureExtractor/MobilenetV2_\d"
    arrays = backbone(source, number)
    return {re.sub(pattern, f"{prefix}MobilenetV2", name): arrays[name] for name in arrays}


@pytest.mark.parametrize("kind", ["lstm", "interleaved"])
def test_same_names_fill_everything(model, kind):
    source = source_for(model)

    report = load_tf1_checkpoint(model, {**source, "global_step": np.int64(7)}, kind=kind)

    assert_filled(model, source)
    assert report.restored == tuple(sorted(source))
    assert report.ignored == ("global_step",)
    assert report.missing == report.unused == report.mismatched == ()


def test_files_are_read_like_dicts(model, tmp_path):
    source, npz, prefix = source_for(model, seed=2), tmp_path / "a.npz", str(tmp_path / "a.ckpt")
    np.savez(npz, **source)
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=[*source],
        shape_and_slices=[""] * len(source),
        tensors=[*source.values()],
    )
    for path in (npz, prefix):
        load_tf1_checkpoint(model, source_for(model, seed=3))
        assert not load_tf1_checkpoint(model, path).missing
        assert_filled(model, source)


def test_slots_and_averages_are_ignored_unless_asked_for(model):
    source = source_for(model, seed=3)
    name = "FeatureExtractor/MobilenetV2_1/Conv/weights"
    average = source[name] + 1
    extra = {
        f"{name}/RMSProp": source[name],
        f"{name}/RMSProp_1": source[name],
        f"{name}/ExponentialMovingAverage": average,
        "stray": np.zeros(3),
    }

    plain = load_tf1_checkpoint(model, {**source, **extra})
    assert_filled(model, source)
    averaged = load_tf1_checkpoint(model, {**source, **extra}, moving_averages=True)

    assert plain.unused == averaged.unused == ("stray",)
    assert set(plain.ignored) == set(extra) - {"stray"}
    assert set(averaged.ignored) == {f"{name}/RMSProp", f"{name}/RMSProp_1", name}
    np.testing.assert_array_equal(variables_by_tf1_name(model)[name], average)


def test_averages_from_a_source_without_any_are_refused(model):
    with pytest.raises(ValueError, match="moving_averages=False"):
        load_tf1_checkpoint(model, source_for(model), moving_averages=True)


def test_first_of_several_sources_wins(model):
    first, second = source_for(model, seed=4), source_for(model, seed=5)
    heads = {name: array for name, array in first.items() if name.startswith("BoxPredictor")}

    load_tf1_checkpoint(model, [heads, second])

    assert_filled(model, {**second, **heads})


def test_interleaved_pretrain_drops_the_prefix(model):
    source = source_for(model, seed=6)
    bare = {name.removeprefix("FeatureExtractor/"): array for name, array in source.items()}

    report = load_tf1_checkpoint(model, bare, kind="interleaved_pretrain")

    assert_filled(model, source)
    assert report.unused == ()


def test_classification_fills_the_kth_backbone_from_the_kth_source(model):
    full = source_for(model, seed=7)
    sources = [bare_backbone(full, number) for number in (1, 2)]
    sources[0]["MobilenetV2/Logits/weights"] = np.zeros(2)

    report = load_tf1_checkpoint(model, sources, kind="classification")

    assert_filled(model, full, backbone(full))
    assert report.unused == ("MobilenetV2/Logits/weights",)
    assert set(report.missing) == set(full) - set(backbone(full))


def test_classification_fills_both_backbones_from_one_source():
    model = tiny.model(depth_multipliers=(0.35, 0.35))
    full = source_for(model, seed=8)

    load_tf1_checkpoint(model, bare_backbone(full, 1), kind="classification")

    for mine, theirs in zip(model.large.weights, model.small.weights, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_detection_drops_lstm_from_the_names_of_the_first_papers_feature_maps(first_paper):
    full = source_for(first_paper, seed=9)
    single = {
        name.replace("/FeatureMaps/", "/MobilenetV1/").replace("_lstm_", "_"): array
        for name, array in full.items()
        if "/LSTM/" not in name
    }

    report = load_tf1_checkpoint(first_paper, single, kind="detection")

    assert_filled(first_paper, full, [name for name in full if "/LSTM/" not in name])
    assert all("/LSTM/" in name for name in report.missing)
    assert report.unused == ()


def test_detection_takes_other_layers_from_the_first_source_only(model):
    full = source_for(model, seed=10)
    heads = {name: array for name, array in full.items() if name.startswith("BoxPredictor")}
    base = bare_backbone(full, 1, "FeatureExtractor/")

    report = load_tf1_checkpoint(model, [base, heads], kind="detection", on_mismatch="skip")

    assert set(heads) <= set(report.missing)


def test_lstm_kind_takes_a_single_mobilenet_for_the_backbone(model):
    full = source_for(model, seed=11)

    report = load_tf1_checkpoint(
        model, bare_backbone(full, 1, "FeatureExtractor/"), kind="lstm", on_mismatch="skip"
    )

    assert_filled(model, full, backbone(full, 1))
    assert all("MobilenetV2_2" in name for name in report.mismatched)


def test_single_backbone_reads_the_first_of_an_interleaved_checkpoint(model):
    single = tiny.model(depth_multipliers=(0.5,), train_schedule="LARGE", eval_schedule="LARGE")
    full = source_for(model, seed=12)

    report = load_tf1_checkpoint(single, full, kind="interleaved")

    assert_filled(single, full)
    assert report.missing == ()
    assert all("MobilenetV2_2" in name or "bottleneck_1" in name for name in report.unused)


def test_other_shapes_are_refused_with_both_or_skipped(model):
    source = source_for(model, seed=13)
    name = "BoxPredictor_0/ClassPredictor/biases"
    source[name] = np.zeros(93, np.float32)
    before = variables_by_tf1_name(model)[name].numpy()

    with pytest.raises(ValueError, match=rf"{name} is \[9\] here and \[93\] there"):
        load_tf1_checkpoint(model, source)
    report = load_tf1_checkpoint(model, source, on_mismatch="skip")

    assert report.mismatched == (name,)
    assert name not in report.restored
    assert name not in report.unused
    np.testing.assert_array_equal(variables_by_tf1_name(model)[name], before)


def test_damaged_npz_is_refused(model, tmp_path):
    path = tmp_path / "weights.npz"
    np.savez_compressed(path, a=np.arange(1000.0))
    whole = path.read_bytes()
    encrypted, method, compressed = bytearray(whole), bytearray(whole), bytearray(whole)
    entry = whole.index(b"PK\x01\x02")  # of the directory
    encrypted[6] = encrypted[entry + 8] = 1
    method[8] = method[entry + 10] = 99
    compressed[70:90] = b"\xff" * 20
    single = io.BytesIO()
    np.save(single, np.zeros(3))
    damaged = (b"", b"PK\x03\x04" + bytes(100), b"text", encrypted, method, compressed)
    for content in (*damaged, single.getvalue()):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"weights\.npz: not a readable \.npz file of weights"):
            load_tf1_checkpoint(model, path)


@pytest.mark.parametrize(
    ("source", "arguments", "message"),
    [
        ("nowhere/model.ckpt", {}, "not a readable TF1 checkpoint .a prefix"),
        ("nowhere.npz", {}, "nowhere.npz: not a readable .*: No such file or directory"),
        ({"stray": np.zeros(1)}, {}, "none of the model's"),
        ({}, {}, "none of the model's"),
        ([], {}, "empty list"),
        ({"stray": np.zeros(1)}, {"kind": "lstmm"}, "kind must be one of"),
        ({"stray": np.zeros(1)}, {"on_mismatch": "warn"}, "on_mismatch must be one of"),
    ],
)
def test_what_cannot_be_used_is_refused(model, source, arguments, message):
    with pytest.raises(ValueError, match=message):
        load_tf1_checkpoint(model, source, **arguments)
