import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lstd
from lstd.cli import benchmark
from lstd.config import config_io
from lstd.config.config import Config
from lstd.training import weights_file
from tests import tiny
from tests.runtime import fake_exports

ROOT = Path(__file__).parents[2]
QUICK = ("--turns=2", "--frames=4", "--warm_up=1")


@pytest.fixture
def measured(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Returns what runs the command and returns the facts that it wrote."""

    def run(*arguments: str) -> dict[str, Any]:
        path = tmp_path / "times.json"
        assert benchmark.main([*arguments, f"--json={path}", *QUICK]) == 0
        return json.loads(path.read_text())

    return run


def _frames(model: dict[str, Any]) -> dict[str, int]:
    return {name: row["frames"] for name, row in model["rows"].items()}


def test_table_and_json_say_the_same(
    measured: Callable[..., dict[str, Any]],
    exported: tuple[Path, Path],
    single: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = [f"--model={exported[0]}", "--schedule=SKIP2", f"--against={single}"]
    facts = measured(*arguments, "--threads=2", "--nopeak")
    assert (facts["threads"], facts["turns"], facts["warm_up_calls"]) == (2, 2, 1)
    ours, other = facts["models"]
    assert _frames(ours) == {"large": 4, "small": 8, "SKIP2": 12}
    assert _frames(other) == {"large": 8}
    for row in ours["rows"].values():
        assert 0 < row["median_ms"] <= row["p95_ms"] <= row["worst_ms"]
    ratio = facts["ratio"]
    assert ratio["lowest"] <= ratio["median"] <= ratio["highest"]
    assert len(ratio["turns"]) == 2
    text = capsys.readouterr().out
    for expected in ("2 threads", "large", "small", "SKIP2", str(single), "average", "worst"):
        assert expected in text
    assert f"{ratio['median']:.2f} ({ratio['lowest']:.2f} to" in text


def test_the_second_follows_the_first_ones_schedule_unless_told(
    measured: Callable[..., dict[str, Any]], exported: tuple[Path, Path]
) -> None:
    model = f"--model={exported[0]}", "--schedule=SKIP3", "--nopeak", f"--against={exported[0]}"
    for more, expected in (((), "SKIP3"), (("--against_schedule=LARGE",), "LARGE")):
        first, second = measured(*model, *more)["models"]
        assert (first["schedule"], second["schedule"]) == ("SKIP3", expected)
        assert (first["name"] == second["name"]) == (expected == "SKIP3")


def test_the_small_network_alone_is_timed_on_every_frame(
    measured: Callable[..., dict[str, Any]],
    exported: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Also where its JSON recommends a schedule of both networks, as this one's does."""
    alone = fake_exports.write(tmp_path / "small", names=("small",))[0]
    ours, other = measured(f"--model={alone}", "--nopeak", f"--against={exported[0]}")["models"]
    assert _frames(ours) == {"small": 8}
    assert list(other["rows"]) == ["large", "small", "SKIP1"]
    assert benchmark.main([f"--model={alone}", "--schedule=SKIP3"]) == 2
    message = capsys.readouterr().err
    assert "SKIP3 needs a large and a small network" in message
    assert "leave the schedule out, or say SMALL" in message


@pytest.mark.slow
def test_peak_is_measured_and_a_saved_model_says_that_it_has_none(
    measured: Callable[..., dict[str, Any]],
    exported: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    facts = measured(f"--model={exported[0]}", f"--against={exported[1]}")
    assert facts["peak"]["float32"]["multiply_adds_per_second"] > 1e8
    assert facts["models"][0]["rows"]["large"]["share_of_peak"] == 0  # the fake multiplies nothing
    assert facts["models"][1]["share_of_peak_unknown"] == "its multiply-adds are not known"
    assert "peak in float32" in capsys.readouterr().out


def test_bad_flags_are_one_sentence_and_leave_nothing(
    exported: tuple[Path, Path], single: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    text = tmp_path / "text.tflite"
    text.write_text("this is not a model")
    model = f"--model={exported[0]}"
    before = sorted(tmp_path.rglob("*"))
    for arguments, message in (
        ([], "--model must be given"),
        ([model, "--against=none.tflite"], "--against: no file or folder none.tflite"),
        ([f"--model={text}"], "not a TFLite file"),
        ([model, f"--against={text}"], "not a TFLite file"),
        ([model, "--turns=0"], "--turns=0"),
        ([model, "--schedule=SKIPPY"], "--schedule: unknown schedule 'SKIPPY'"),
        ([model, "--schedule=SKIP1000"], "one of SKIP1000 is too long; expected SKIP999 at most"),
        ([model, f"--against={single}", "--config=a.yaml"], "needs none; leave it out"),
        ([model, "--against_schedule=LARGE"], "--against_schedule belongs to --against"),
        ([f"--model={single}", "--schedule=SKIP9"], "needs a large and a small network"),
        ([model, f"--json={tmp_path}"], "--json: "),
        ([model, f"--json={exported[0]}"], "is what --model reads; give another name"),
        ([model, f"--json={tmp_path / 'none' / 'a.json'}"], "--json: there is no folder"),
    ):
        assert message in refused(benchmark.main, *arguments)
    assert sorted(tmp_path.rglob("*")) == before


def test_without_tensorflow_a_tflite_is_timed_and_anything_else_is_one_sentence(
    exported: tuple[Path, Path],
) -> None:
    pytest.importorskip("ai_edge_litert")
    program = (
        "import importlib.util, sys\n"
        "found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name: name != 'tensorflow' and found(name) or None\n"
        "from lstd.cli import benchmark\n"
        "sys.modules['tensorflow'] = None\n"
        "sys.exit(benchmark.main(sys.argv[1:]))\n"
    )
    cases = [
        (exported[0], 0, "TensorFlow, which makes the convolution, is not installed"),
        (exported[1], 2, "tensorflow is not installed, which this needs"),
    ]
    for model, code, message in cases:
        result = subprocess.run(
            [sys.executable, "-c", program, f"--model={model}", *QUICK],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert result.returncode == code, result.stderr
        assert message in result.stdout + result.stderr
        assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_a_run_folder_is_timed_with_the_multiply_adds_of_its_model(
    measured: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    model = tiny.model()
    config_io.save_config(Config(model=tiny.CONFIG), tmp_path / "config.yaml")
    weights_file.save(model, tmp_path / "best.weights.h5")
    everything = measured(f"--model={tmp_path}", "--schedule=SKIP1")
    (facts,) = everything["models"]
    counted = lstd.count(model)["multiply_adds"]
    for network in ("large", "small"):
        assert facts["rows"][network]["multiply_adds"] == counted[network]
    assert facts["data_type"] == "float32 in TensorFlow"
    rate = everything["peak"]["float32 in TensorFlow"]["multiply_adds_per_second"]
    row = facts["rows"]["large"]
    reached = row["multiply_adds"] / (row["median_ms"] / 1e3)
    assert row["share_of_peak"] == pytest.approx(reached / rate, rel=1e-6)
    assert "share_of_peak_unknown" not in facts
