"""examples/cpp against VideoDetector, with the library of the installed LiteRT."""

import json
import os
import re
import shutil
import subprocess
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstd.base import tflite_metadata
from lstd.export.tflite import export_tflite
from lstd.runtime.detector import VideoDetector
from tests import tiny
from tests.export import exports
from tests.models.test_int8 import learn_ranges

FOLDER = Path(__file__).parents[1] / "examples" / "cpp"
LITERT = find_spec("ai_edge_litert")
(ASKED,) = re.findall(r"set\(LITERT_VERSION (\S+)\)", (FOLDER / "CMakeLists.txt").read_text())

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        LITERT is None or metadata.version("ai-edge-litert") != ASKED,
        reason=f"needs ai-edge-litert {ASKED}, whose C API the example declares",
    ),
    pytest.mark.skipif(
        not (shutil.which("cmake") and shutil.which(os.environ.get("CXX", "c++"))),
        reason="needs CMake and a C++ compiler (apt install cmake g++)",
    ),
]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the program, which ends with an error where it misuses memory."""
    folder = tmp_path_factory.mktemp("cpp")
    options = {
        "SANITIZE": "ON",
        "CMAKE_CXX_FLAGS": "-Werror",
        "LITERT_FOLDER": Path(LITERT.origin).parent,
    }
    for command in (
        ["cmake", "-S", FOLDER, "-B", folder, *(f"-D{key}={options[key]}" for key in options)],
        ["cmake", "--build", folder],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "detect"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the `.tflite` with two networks of 64 x 64 that is written unless asked otherwise."""
    path = tmp_path_factory.mktemp("model") / "model.tflite"
    export_tflite(tiny.model(), path)
    return path


@pytest.fixture(scope="module")
def grey_of_bytes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a `.tflite` with one backbone, grey bytes for frames and two rows for each box."""
    path = tmp_path_factory.mktemp("grey") / "model.tflite"
    grey = tiny.model(tiny.FIRST_PAPER, input_channels=1)
    export_tflite(grey, path, input_type="uint8", max_classes_per_detection=2)
    return path


@pytest.fixture(scope="module")
def int8(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a `.tflite` of a model trained in 8 bits, whose memory is int8."""
    path = tmp_path_factory.mktemp("int8") / "model.tflite"
    trained = tiny.model(int8=True)
    learn_ranges(trained)
    export_tflite(trained, path, input_type="uint8")
    return path


def _run(program: Path, *arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess:
    return subprocess.run(
        [program, *map(str, arguments)], input=stdin, capture_output=True, check=False
    )


def _lines(result: subprocess.CompletedProcess) -> list[dict[str, Any]]:
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def _frames(count: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def test_it_finds_what_the_detector_finds(program: Path, model: Path) -> None:
    for height, width in ((64, 64), (45, 80), (90, 30)):
        frames = _frames(4, height, width)
        result = _run(program, model, width, height, 2, stdin=frames.tobytes())
        _compare(result, model, frames, "SKIP2")


def test_a_memory_of_int8_is_carried(program: Path, int8: Path) -> None:
    frames = _frames(4, 45, 80)
    _compare(_run(program, int8, 80, 45, 2, stdin=frames.tobytes()), int8, frames, "SKIP2")


def test_the_file_names_the_oldest_runtime_with_grouped_convolutions(model: Path) -> None:
    # Released versions of TensorFlow Lite were tried: 2.9.0 runs the file, 2.7.0 does not.
    assert (tflite_metadata.read(model, "min_runtime_version") or "").rstrip("\0") == "2.9.0"


def test_one_grey_backbone_of_bytes_with_two_rows_for_a_box_runs_on_every_frame(
    program: Path, grey_of_bytes: Path, tmp_path: Path
) -> None:
    frames = _frames(3, 45, 80)
    raw = tmp_path / "frames.rgb"
    raw.write_bytes(frames.tobytes())
    _compare(_run(program, grey_of_bytes, 80, 45, 9, raw), grey_of_bytes, frames, "LARGE")


def test_a_file_of_one_network_runs_it_on_every_frame(program: Path) -> None:
    frames, small = _frames(2, 45, 80), exports.file(network="small")
    _compare(_run(program, small, 80, 45, stdin=frames.tobytes()), small, frames, "SMALL")


def test_the_golden_frame_gives_what_the_file_says(program: Path, model: Path) -> None:
    golden = json.loads(tflite_metadata.read(model) or "")["golden_frame"]
    frame = (np.arange(64 * 64 * 3, dtype=np.uint64) * 2654435761 % 2**32 >> 24).astype(np.uint8)
    (line,) = _lines(_run(program, model, 64, 64, stdin=frame.tobytes()))
    expected = golden["expected"]["large"]
    found = {key: [row[key] for row in line["detections"]] for key in ("score", "box", "class")}
    tolerance = golden["tolerance"]
    np.testing.assert_allclose(found["score"], expected["detection_scores"], atol=tolerance)
    boxes = np.clip(expected["detection_boxes"], 0, 1)
    np.testing.assert_allclose(found["box"], boxes, atol=tolerance)
    assert found["class"] == expected["detection_classes"]


def _compare(
    result: subprocess.CompletedProcess, model: Path, frames: np.ndarray, schedule: str
) -> None:
    lines = _lines(result)
    assert [line["frame"] for line in lines] == list(range(len(frames)))
    detector = VideoDetector(model, schedule)
    for line, frame in zip(lines, frames, strict=True):
        expected = detector(frame)
        count = int(expected.count)
        assert line["network"] == detector.last_network
        assert len(line["detections"]) == count > 0
        for key, values in (("score", expected.scores), ("box", expected.boxes)):
            found = [row[key] for row in line["detections"]]
            np.testing.assert_allclose(found, values[:count], atol=1e-6)
        assert [row["class"] for row in line["detections"]] == expected.classes[:count].tolist()


def test_what_is_wrong_is_one_sentence(program: Path, model: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.tflite"
    text.write_text("this is not a model")
    foreign = tmp_path / "foreign.tflite"
    foreign.write_bytes(exports.converted(exports.module()))
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(model.read_bytes()[:4000])
    cases = [
        ((), b"usage: detect MODEL.tflite"),
        ((model, 0, 64), b"WIDTH: expected a whole number from 1 to 100000, got 0"),
        ((model, 64, "x"), b"HEIGHT: expected a whole number"),
        ((model, 64, 64, -1), b"SKIP: expected a whole number from 0 to 100000"),
        ((tmp_path / "none.tflite", 64, 64), b"none.tflite: cannot be read"),
        ((text, 64, 64), b"not a .tflite file"),
        ((foreign, 64, 64), b"the file is not of lstd-export"),
        ((exports.file(signature="clip"), 64, 64), b"the entry point clip has no image"),
        ((exports.file(postprocessing=False), 64, 64), b"large has no detection_boxes"),
        ((cut, 64, 64), b"cut.tflite: the file is damaged"),
        ((model, 64, 64, 9, tmp_path / "none.rgb"), b"none.rgb: cannot be read"),
        ((model, 64, 64), b"the last frame is cut: 5 of 12288 bytes"),
    ]
    for arguments, message in cases:
        result = _run(program, *arguments, stdin=b"12345")
        assert result.returncode == 2, arguments
        assert message in result.stderr, arguments
        assert b"detect: error: " in result.stderr
