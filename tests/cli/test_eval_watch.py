"""`lstd-eval --watch`: each new checkpoint is evaluated, once, and the watch ends as it should."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from lstd import config_io
from lstd.cli import eval as eval_command
from lstd.cli import eval_score, eval_watch
from lstd.training import run_folder, weights_file
from lstd.training.run_folder import RunFolder
from tests import tiny
from tests.cli import eval_inputs

QUICK = ["--watch", "--watch_seconds=0.01", "--watch_stop_minutes=0.002"]
Evaluated = list[tuple[Path, str | None, int]]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder without weights that could be loaded."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.yaml").write_text("{}\n")
    return folder


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> Evaluated:
    """Notes what would be evaluated."""
    noted: Evaluated = []

    def score(path: Path, *_: Any, weights: str | None, step: int) -> dict[str, float]:
        noted.append((path, weights, step))
        return {}

    monkeypatch.setattr(eval_score, "score_model", score)
    return noted


def when_idle(monkeypatch: pytest.MonkeyPatch, *actions: Callable[[], object]) -> None:
    """Does one thing each time that the watch finds nothing new."""
    left, sleep = list(actions), eval_watch.time.sleep

    def idle(seconds: float) -> None:
        if left:
            left.pop(0)()
        sleep(seconds)

    monkeypatch.setattr(eval_watch.time, "sleep", idle)


def save(folder: Path, name: str, *, step: int) -> None:
    """Saves weights as `lstd-train` does: first it is noted of which step they are."""
    RunFolder(folder).update_record(last={"epoch": step // 10, "step": step})
    (folder / f"{name}.weights.h5").write_bytes(f"of step {step}".encode())


def test_weights_of_a_run_are_evaluated_whenever_they_change(
    run: Path,
    evaluated: Evaluated,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    when_idle(
        monkeypatch,
        lambda: save(run, "last", step=10),  # none is there when the watch begins
        lambda: None,
        lambda: save(run, "last", step=20),
        lambda: save(run, "best", step=20),  # not what is watched
    )

    assert eval_command.main([f"--model={run}", *QUICK]) == 0

    assert evaluated == [(run, "last", 10), (run, "last", 20)]
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "evaluating last weights of step 10"
    assert printed[-1] == "nothing new in 0.002 minutes; 2 evaluations"


def test_weights_that_nobody_dates_are_counted(run: Path, evaluated: Evaluated) -> None:
    (run / "best.weights.h5").write_bytes(b"of an older run")

    assert eval_command.main([f"--model={run}", "--weights=best", *QUICK]) == 0

    assert evaluated == [(run, "best", 1)]


def test_the_averages_are_watched_where_the_config_wants_them(
    run: Path, evaluated: Evaluated, monkeypatch: pytest.MonkeyPatch
) -> None:
    averages = "train:\n  moving_average_decay: 0.9\n"
    (run / "config.yaml").write_text(f"evaluation:\n  use_moving_averages: true\n{averages}")
    save(run, "last", step=10)
    when_idle(monkeypatch, lambda: save(run, "average", step=20))

    assert eval_command.main([f"--model={run}", *QUICK]) == 0

    assert evaluated == [(run, "average", 20)]


@pytest.mark.parametrize("own", [True, False])
def test_newest_checkpoint_of_a_folder_is_evaluated(
    run: Path, tmp_path: Path, evaluated: Evaluated, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    folder = run / "checkpoints" if own else tmp_path / "train_dir"
    folder.mkdir()
    manager = tf.train.CheckpointManager(
        tf.train.Checkpoint(x=tf.Variable(1.0)), str(folder), 2, checkpoint_name="model.ckpt"
    )
    more = [] if own else [f"--config={run / 'config.yaml'}"]
    when_idle(
        monkeypatch,
        lambda: manager.save(checkpoint_number=100),
        lambda: manager.save(checkpoint_number=200),
    )

    assert eval_command.main([f"--model={folder}", *more, *QUICK]) == 0

    expected = [(folder / f"model.ckpt-{step}", None, step) for step in (100, 200)]
    assert evaluated == expected


def test_watch_in_vain_and_what_cannot_be_watched_are_told(
    run: Path, tmp_path: Path, evaluated: Evaluated, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*arguments: str) -> str:
        assert eval_command.main([*arguments, *QUICK]) == 2
        sentence = capsys.readouterr().err.strip()
        assert "\n" not in sentence
        return sentence

    assert refused(f"--model={run}").endswith("last.weights.h5 appeared in 0.002 minutes")
    (run / "checkpoints").mkdir()
    assert "no checkpoint appeared in " in refused(f"--model={run / 'checkpoints'}")
    assert "no file or folder " in refused(f"--model={run}x")
    assert "is no run folder: there is no " in refused(f"--model={tmp_path}")
    file = run / "last.weights.h5"
    file.touch()
    assert f"a folder of a run or of checkpoints, {file} is none" in refused(f"--model={file}")
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "model.tflite").touch()
    assert "an exported model, which does not" in refused(f"--model={tmp_path / 'export'}")
    assert evaluated == []


def test_ctrl_c_ends_the_watch(
    run: Path, evaluated: Evaluated, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    save(run, "last", step=10)
    when_idle(monkeypatch, interrupt)

    assert eval_command.main([f"--model={run}", "--watch", "--watch_seconds=0.01"]) == 130
    assert len(evaluated) == 1


def train_on(folder: Path, *, step: int) -> None:
    """Saves other weights, as a run does and as the original does, without training."""
    model = run_folder.load_model(folder, "best")
    tiny.scramble(model, seed=step)
    RunFolder(folder).update_record(last={"epoch": step // 10, "step": step})
    manager = tf.train.CheckpointManager(
        tf.train.Checkpoint(model=model), str(folder / "checkpoints"), 2, checkpoint_name="step"
    )
    manager.save(checkpoint_number=step)
    _save_as_the_original(model, folder / "train_dir", step=step)
    weights_file.save(model, folder / "last.weights.h5")


def _save_as_the_original(model: Any, folder: Path, *, step: int) -> None:
    from lstd.checkpoints.tf1_names import variables_by_tf1_name

    folder.mkdir(exist_ok=True)
    variables = variables_by_tf1_name(model)
    prefix = str(folder / f"model.ckpt-{step}")
    values = [variable.value() for variable in variables.values()]
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=list(variables),
        shape_and_slices=[""] * len(values),
        tensors=values,
    )
    (folder / "checkpoint").write_text(f'model_checkpoint_path: "model.ckpt-{step}"\n')


def points(folder: Path, tag: str) -> dict[int, float]:
    """Returns the points of a curve of TensorBoard."""
    found = {}
    for path in sorted(folder.iterdir()):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                if value.tag == tag:
                    found[event.step] = float(tf.make_ndarray(value.tensor))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("watched", ["", "checkpoints", "train_dir"])
def test_curve_has_a_point_for_each_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watched: str
) -> None:
    run = eval_inputs.run_folder(tmp_path / "run", eval_inputs.SINGLE, weights="best")
    train_on(run, step=10)
    when_idle(monkeypatch, lambda: train_on(run, step=20))
    output = tmp_path / "out"
    more = [f"--input={run / 'videos.tfrecord'}"]
    if watched == "train_dir":
        config = config_io.load_config(run / "config.yaml")
        config_io.save_config(config, tmp_path / "of_the_original.yaml")
        more.append(f"--config={tmp_path / 'of_the_original.yaml'}")

    code = eval_command.main(
        [f"--model={run / watched}", *more, *QUICK, f"--output_directory={output}"]
    )

    assert code == 0
    curve = points(output / "tensorboard", "evaluation/coco/ar100")
    assert set(curve) == {10, 20}
    assert curve[10] != curve[20]
    last = json.loads((output / "results.json").read_text())["results"]["coco/ar100"]
    assert last == pytest.approx(curve[20], abs=1e-6)  # float32
