"""Run folders and weights files: what is written comes back, and what does not fit says why."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

import lstd
from lstd.checkpoints import named_arrays
from lstd.config import config_io
from lstd.config.config import Config
from lstd.config.model_config import AnchorConfig
from lstd.tf1.load_config import load_config
from lstd.training import weights_file
from lstd.training.run_folder import RunFolder
from tests import tiny
from tests.training import doubles

MODEL = dataclasses.replace(tiny.FIRST_PAPER, num_classes=1)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return tiny.model(MODEL)


@pytest.fixture
def folder(tmp_path: Path, model: keras.Model) -> Path:
    """A run folder with "last" weights."""
    run = tmp_path / "run"
    run.mkdir()
    config_io.save_config(Config(model=MODEL), run / "config.yaml")
    weights_file.save(model, run / "last.weights.h5")
    return run


def test_weights_of_a_compiled_model_load_too(tmp_path: Path) -> None:
    # What a user saves with `save_weights` after `fit` holds the optimizer and metrics as well.
    trained, fresh = doubles.line(), doubles.line()
    doubles.fit(trained, [])
    trained.save_weights(tmp_path / "one.weights.h5")

    weights_file.load(fresh, tmp_path / "one.weights.h5")

    for ours, wanted in zip(fresh.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, wanted)


def test_other_shapes_are_named_with_both_shapes(folder: Path) -> None:
    config = Config(model=dataclasses.replace(MODEL, state_depth=24))
    config_io.save_config(config, folder / "config.yaml")

    with pytest.raises(ValueError, match="do not fit") as raised:
        lstd.load_model(folder, "last")

    # The bottleneck sees 256 channels of the backbone and the hidden state: 24, or 16.
    assert (
        "layers/bottleneck/vars/0 is (3, 3, 280, 1) in the model, (3, 3, 272, 1) in the file"
    ) in str(raised.value)
    assert str(raised.value).count(";") == 3  # three of them, and how many more


@pytest.mark.parametrize(
    ("changes", "anew"),
    [
        ({"labels": ("bee",)}, {"class_heads"}),
        ({"anchors": AnchorConfig(aspect_ratios=(1.0, 2.0))}, {"class_heads", "box_heads"}),
    ],
)
def test_weights_of_a_run_fill_what_fits_and_the_rest_starts_anew(
    folder: Path, model: keras.Model, changes: Any, anew: set[str]
) -> None:
    ants = Config(model=dataclasses.replace(MODEL, labels=("ant",)))
    config_io.save_config(ants, folder / "config.yaml")
    (folder / "last.weights.h5").rename(folder / "best.weights.h5")
    other = tiny.model(MODEL, seed=1, **changes)
    before = [variable.numpy() for variable in other.weights]

    report = lstd.load_weights(other, folder, on_mismatch="skip")

    assert {place.split("/")[2] for place in report.mismatched} == anew
    assert len(report.restored) + len(report.mismatched) == len(other.weights)
    assert report.missing == report.unused == ()
    for new, old, theirs in zip(other.weights, before, model.weights, strict=True):
        # The first map has three anchors, whatever the aspect ratios.
        fits = new.shape == theirs.shape and "anchors" in changes
        stays = any(name[:-1] in new.name for name in anew) and not fits
        np.testing.assert_array_equal(new, old if stays else theirs, err_msg=new.name)


def test_heads_of_a_run_stay_with_their_maps_where_a_finer_one_comes_before(
    folder: Path, model: keras.Model
) -> None:
    layers = dataclasses.replace(MODEL.anchors, num_layers=6)
    finer = tiny.model(MODEL, seed=1, fine_map=8, anchors=layers)

    report = lstd.load_weights(finer, folder / "last.weights.h5", on_mismatch="skip")

    ours, theirs = finer.box_predictor.class_heads, model.box_predictor.class_heads
    for new, old in zip(ours[2:], theirs[1:], strict=True):  # the first map has fewer anchors
        np.testing.assert_array_equal(new.kernel, old.kernel)
    assert "layers/box_predictor/class_heads/conv2d/vars/0" in report.missing


def test_weights_of_another_memory_are_skipped_and_of_another_backbone_refused(
    folder: Path,
) -> None:
    file = folder / "last.weights.h5"
    deeper = tiny.model(MODEL, state_depth=24)
    with pytest.raises(ValueError, match="do not fit"):
        lstd.load_weights(deeper, file)
    report = lstd.load_weights(deeper, file, on_mismatch="skip")
    parts = {place.split("/")[1] for place in report.mismatched}
    assert parts == {"bottleneck", "conv_lstm_cell", "feature_maps", "box_predictor"}

    wider = tiny.model(MODEL, depth_multipliers=(0.5,))
    before = wider.get_weights()
    told = (
        r"last\.weights\.h5: holds 0 of the 135 variables of the large network in .*; .* --set "
        r"model.backbone=mobilenet_v1 --set 'model.depth_multipliers=\[0.25\]' --set model.min_"
        r"depth=\d+, or none: --set train.fine_tune.run=$"
    )
    with pytest.raises(ValueError, match=told):
        lstd.load_weights(wider, file, on_mismatch="skip")
    for ours, wanted in zip(wider.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, wanted)


def test_what_holds_no_weights_of_a_run_is_told(model: keras.Model, folder: Path) -> None:
    for path, told in (
        (folder, r"run: no weights best\.weights\.h5; there are: last\.weights\.h5$"),
        (folder.parent / "rum", r"no run folder or weights file .*rum; did you mean .*run"),
        (folder / "config.yaml", r"config\.yaml: not a readable Keras weights file"),
    ):
        for on_mismatch in ("raise", "skip"):
            with pytest.raises(ValueError, match=told):
                lstd.load_weights(model, path, on_mismatch)
    with pytest.raises(ValueError, match="on_mismatch must be one of raise, skip, got 'skp'"):
        lstd.load_weights(model, folder, "skp")
    for weights, told in (
        ("best", r"no weights best\.weights\.h5; there are: last\.weights\.h5$"),
        ("first", "weights must be one of best, last, average, got 'first'"),
    ):
        with pytest.raises(ValueError, match=told):
            lstd.load_model(folder, weights)


def _layers(count: int) -> keras.Model:
    built = keras.Sequential([keras.layers.Dense(2, name=f"dense_{k}") for k in range(count)])
    built.build([None, 2])
    return built


def test_file_that_holds_more_or_less_than_the_model_is_refused(tmp_path: Path) -> None:
    # Keras itself would load what it knows and say nothing of the rest.
    for held, wanted, told in (
        (2, 1, r"layers/dense_1/vars/0 is not in the model, \(2, 2\) in the file"),
        (1, 2, r"layers/dense_1/vars/0 is \(2, 2\) in the model, not in the file"),
    ):
        path = tmp_path / f"{held}.weights.h5"
        weights_file.save(_layers(held), path)
        with pytest.raises(ValueError, match=told):
            weights_file.load(_layers(wanted), path)


@pytest.mark.parametrize("name", ["w.weights.h5", "w.h5"])
def test_whatever_is_flipped_in_a_weights_file_it_is_named(tmp_path: Path, name: str) -> None:
    path, line, errors = tmp_path / name, doubles.line(), []
    line.save_weights(path)
    whole = path.read_bytes()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        damaged = np.frombuffer(whole, np.uint8).copy()
        damaged[rng.integers(0, len(whole), 20)] = rng.integers(0, 256, 20)
        path.write_bytes(damaged.tobytes())
        try:
            if name == "w.h5":
                named_arrays.read_hdf5(path, "file")
            else:
                weights_file.load(line, path)
        except ValueError as error:  # of h5py and Keras came RuntimeError, KeyError, TypeError, too
            errors.append(str(error))
    assert len(errors) > 10
    assert all(error.startswith(str(path)) for error in errors)


def test_names_that_are_no_text_are_damage(tmp_path: Path) -> None:
    path = tmp_path / "w.weights.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset(b"lay\xffers", data=[1.0])
    with pytest.raises(
        ValueError, match=r"w\.weights\.h5: not a readable .*lay\\xffers' is not text"
    ):
        weights_file.load(doubles.line(), path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "not valid JSON"),
        ("[]", "expected a JSON object, got list"),
        ('{"best": 3}', "best must be a section, got 3"),
        ('{"starts": {"a": 1}}', "starts must be a list, got {'a': 1}"),
        ('{"last": {"step": "x"}}', "step of last must be a number, got 'x'"),
    ],
)
def test_record_of_another_kind_is_named(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(ValueError, match=f"run.json: {re.escape(told)}"):
        RunFolder(tmp_path).read_record()


def test_checkpoint_of_a_run_is_loaded_with_the_runs_config(
    folder: Path, model: keras.Model
) -> None:
    prefix = folder / "checkpoints" / "step-7"
    trained = lstd.load_model(folder, "last", stateful=True, batch_size=2)  # as `lstd-train` has it
    assert trained.carried_batch_size == 2
    _save_checkpoint(prefix, model=trained, epoch=tf.Variable(3))

    for ours, theirs in zip(lstd.load_model(prefix).weights, model.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy(), err_msg=theirs.name)
    _save_checkpoint(prefix, model=doubles.line())
    with pytest.raises(ValueError, match=r"step-7: does not fit the model of its run"):
        lstd.load_model(prefix)


def _save_checkpoint(prefix: Path, **parts: object) -> None:
    name, _, number = prefix.name.rpartition("-")
    checkpoint = tf.train.Checkpoint(**parts)
    manager = tf.train.CheckpointManager(checkpoint, str(prefix.parent), 2, checkpoint_name=name)
    manager.save(checkpoint_number=int(number))


def test_failed_save_leaves_the_old_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, model = tmp_path / "last.weights.h5", doubles.line()
    weights_file.save(model, path)
    before = path.read_bytes()

    def save_weights(path: Path) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(model, "save_weights", save_weights)
    with pytest.raises(OSError, match="disk full"):
        weights_file.save(model, path)

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_other_endings_are_refused(model: keras.Model, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must end in \.weights\.h5"):
        weights_file.save(model, tmp_path / "model.h5")


def test_start_writes_the_config_and_notes_every_start(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "a" / "run")
    config = Config(model=MODEL)

    folder.start(config, command=["lstd-train", "--x"], step=0)
    folder.update_record(best={"epoch": 3})
    folder.start(config, command=[], step=20)

    assert load_config(folder.config) == config
    record = json.loads(folder.record.read_text())
    assert [start["step"] for start in record["starts"]] == [0, 20]
    assert record["starts"][0]["command"] == ["lstd-train", "--x"]
    assert record["starts"][0]["versions"]["lstd"] == lstd.__version__
    assert record["best"] == {"epoch": 3}


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(OSError, match=r"file/run: cannot be written: "):
        RunFolder(tmp_path / "file" / "run").start(Config(), command=[], step=0)
