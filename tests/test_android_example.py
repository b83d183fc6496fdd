"""The loop of examples/android on a JVM, and LiteRT with buffers shared as in the app."""

import io
import json
import re
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstd.base import tflite_metadata
from lstd.runtime import frame_resize
from lstd.runtime.detector import VideoDetector
from tests.export import exports

ROOT = Path(__file__).resolve().parents[1]
ANDROID = ROOT / "examples" / "android"
MISSING = [name for name in ("java", "npm") if not shutil.which(name)]
DETECTIONS = ("detection_boxes", "detection_classes", "detection_scores", "num_detections")
STATE = ("lstm_c", "lstm_h")

Loop = Callable[..., "Said"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(MISSING),
        reason=f"needs {' and '.join(MISSING)} (apt install default-jre-headless npm)",
    ),
]


class Said(io.BytesIO):
    """What the loop wrote."""

    def text(self) -> str:
        return self.read(*struct.unpack(">H", self.read(2))).decode()

    def whole(self) -> int:
        return struct.unpack(">i", self.read(4))[0]

    def number(self) -> float:
        return struct.unpack(">f", self.read(4))[0]

    def numbers(self) -> np.ndarray:
        return np.frombuffer(self.read(4 * self.whole()), ">f4")


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Loop:
    """Returns what runs the compiled loop on commands, with facts as its arguments."""
    script = (ANDROID / "build.gradle.kts").read_text()
    (version,) = re.findall(r'kotlin\.jvm"\) version "(.+?)"', script)
    home = ROOT / "build" / f"kotlin-{version}"
    library = home / "node_modules" / "kotlin-compiler" / "lib"
    if not library.exists():
        command = ["npm", "install", "--prefix", home, f"kotlin-compiler@{version}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"npm cannot get Kotlin's compiler: {done.stderr.strip()}")
    made = tmp_path_factory.mktemp("loop")
    sources = ANDROID / "loop" / "src" / "main" / "kotlin", ROOT / "tests" / "android_loop.kt"
    java = ["java", "-XX:TieredStopAtLevel=1", "-cp"]  # Less to compile, as it ends soon.
    compiler = "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"
    options = ["-kotlin-home", library.parent, "-no-reflect", "-Werror", "-jvm-target", "17"]
    command = [*java, f"{library}/*", compiler, *options, "-d", made, *sources]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    def run(*commands: object, facts: tuple[object, ...]) -> Said:
        path = f"{made}:{library}/kotlin-stdlib.jar"
        command = [*java, path, "Main", *map(str, facts)]
        told = b"".join(map(_packed, commands))
        done = subprocess.run(command, input=told, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return Said(done.stdout)

    return run


def _packed(value: object) -> bytes:
    if isinstance(value, str):
        return struct.pack(">H", len(value)) + value.encode()
    if isinstance(value, int):
        return struct.pack(">i", value)
    if isinstance(value, float):
        return struct.pack(">f", value)
    if np.asarray(value).dtype == np.uint8:  # a frame
        red, green, blue = np.moveaxis(np.asarray(value, np.uint32), -1, 0)
        pixels = red << 16 | green << 8 | blue | 0x7F000000  # An alpha that does not count.
        return struct.pack(">ii", *red.shape) + pixels.astype(">i4").tobytes()
    return struct.pack(">i", np.size(value)) + np.asarray(value, ">f4").tobytes()


class Compiled:
    """A file in LiteRT as the app has it: the entry points share buffers, the memories too."""

    def __init__(self, path: Path) -> None:
        compiled = pytest.importorskip("ai_edge_litert.compiled_model")
        self.model: Any = compiled.CompiledModel.from_file(str(path))
        self.first = next(iter(self.model.get_signature_list()))
        self.details = self.model.get_input_tensor_details(self.first)
        self.details |= self.model.get_output_tensor_details(self.first)
        self.image = self._input("image")
        self.memories = [{name: self._input(name) for name in STATE} for _ in range(2)]
        for name, buffer in self.memories[0].items():
            buffer.write(np.zeros(self.details[name]["shape"], np.float32))
        create = self.model.create_output_buffer_by_name
        self.found = {name: create(self.first, name) for name in DETECTIONS}

    def run(self, name: str, image: np.ndarray) -> tuple[np.ndarray, ...]:
        """Returns boxes, classes, scores and their number; the memories change places."""
        before, after = self.memories
        self.image.write(image)
        written = {f"{key}_out": buffer for key, buffer in after.items()}
        self.model.run_by_name(name, {"image": self.image, **before}, {**self.found, **written})
        self.memories = [after, before]
        return tuple(self.read(key, self.found[key]) for key in DETECTIONS)

    def read(self, name: str, buffer: Any) -> np.ndarray:
        return buffer.read(int(np.prod(self.details[name]["shape"])), np.float32)

    def _input(self, name: str) -> Any:
        return self.model.create_input_buffer_by_name(self.first, name)


def _facts(told: dict[str, Any], skip: int) -> tuple[object, ...]:
    """Returns what the loop has to know of a file."""
    image, rows = told["input"], told["postprocessing"]["max_classes_per_detection"]
    sizes = (image["height"], image["width"], image["channels"], rows, skip)
    return (*sizes, ",".join(told["entry_points"]), ",".join(told["labels"]), image["dtype"])


def _frames(count: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "options",
    [{}, {"input_type": "uint8", "max_classes_per_detection": 2, "network": "small"}],
    ids=["default", "bytes, two rows for a box, one network"],
)
def test_it_finds_what_the_detector_finds(loop: Loop, options: dict[str, Any]) -> None:
    file = exports.file(**options)
    told = json.loads(tflite_metadata.read(file) or "")
    detector, compiled = VideoDetector(file, "SMALL" if options else "SKIP2"), Compiled(file)
    frames, expected, commands = _frames(6, 45, 80), [], []
    for number, frame in enumerate(frames):
        image = np.empty(told["input"]["shape"], told["input"]["dtype"])
        frame_resize.fit(frame, image)
        name = "small" if options or number % 3 else "large"
        boxes, classes, scores, (count,) = compiled.run(name, image)
        commands += ["frame", frame, boxes, classes, scores, float(count)]
        expected.append((name, image, detector(frame)))
    said = loop(*commands, facts=_facts(told, 2))
    for number, (name, image, detections) in enumerate(expected):
        memories = [number % 2, 1 - number % 2]
        assert (said.text(), [said.whole(), said.whole()]) == (name, memories)
        np.testing.assert_allclose(said.numbers(), image.reshape(-1), atol=1e-4)  # of 255
        assert (said.text(), said.whole()) == (name, int(detections.count))
        for row in range(int(detections.count)):
            assert (said.whole(), said.text()) == (detections.classes[row], detections.names[row])
            np.testing.assert_allclose(said.number(), detections.scores[row], atol=1e-6)
            np.testing.assert_allclose(said.numbers(), detections.boxes[row], atol=1e-6)
    assert not said.read()


def test_a_reset_clears_the_memory_that_is_read_next_and_counts_from_0(loop: Loop) -> None:
    nothing, grey = ([], [], [], 0.0), (2, 3, 1, 1, 9, "large,small", "a", "float32")
    frame = _frames(1, 5, 4)[0]
    commands = ["frame", frame, *nothing, "reset", "frame", frame, *nothing]
    said = loop(*commands, facts=grey)
    image = np.empty((1, 2, 3, 1), np.float32)
    frame_resize.fit(frame, image)
    for memories in ([0, 1], [1, 0]):
        assert (said.text(), [said.whole(), said.whole()]) == ("large", memories)
        np.testing.assert_allclose(said.numbers(), image.reshape(-1), atol=1e-4)
        assert (said.text(), said.whole()) == ("large", 0)
        if memories == [0, 1]:
            assert said.whole() == 1


def test_the_golden_frame_tells_right_from_wrong(loop: Loop) -> None:
    file = exports.file()
    told = json.loads(tflite_metadata.read(file) or "")
    golden, compiled = told["golden_frame"], Compiled(file)
    expected = golden["expected"]["large"]
    image = (np.arange(np.prod(told["input"]["shape"]), dtype=np.uint64) * 2654435761 % 2**32) >> 24
    image = image.astype(np.float32).reshape(told["input"]["shape"])
    boxes, classes, scores, (count,) = compiled.run("large", image)
    seen = [boxes, classes, scores, float(count)]
    seen += [compiled.read(name, compiled.memories[0][name]) for name in STATE]
    numbers = [expected[f"{name}_out_{kind}"] for name in STATE for kind in ("mean", "max")]
    rows = [expected[name] for name in DETECTIONS[:3]]
    wrong = [np.add(rows[0], 0.01), *rows[1:]], [*rows[:2], np.add(rows[2], 0.01)]
    cases = [
        (rows, float(count), numbers, ""),
        ([each[::-1] for each in map(list, rows)], float(count), numbers, ""),
        (wrong[0], float(count), numbers, "large finds other boxes"),
        (wrong[1], float(count), numbers, "large finds other boxes"),
        (rows, float(count) - 1, numbers, "boxes in the golden frame, not"),
        (rows, float(count), [*numbers[:3], numbers[3] + 0.01], "large remembers"),
        (rows, float(count), [float("nan"), *numbers[1:]], "large remembers"),
    ]
    commands: list[object] = []
    for found, number, memory, _ in cases:
        commands += ["golden", *found, number, memory, golden["tolerance"], *seen]
    said = loop(*commands, facts=_facts(told, 2))
    for *_, sentence in cases:
        assert said.text() == "large"
        assert said.whole() != said.whole()
        np.testing.assert_array_equal(said.numbers(), image.reshape(-1))
        difference = said.text()
        assert sentence in difference
        assert bool(sentence) == bool(difference)


def test_a_box_stands_where_its_picture_is_shown(loop: Loop) -> None:
    upright = ["place", 640, 480, 100, 200, 0.0, 0.5, 1.0, 1.0]  # shown 100 wide, 75 high
    across = ["place", 480, 640, 400, 100, 0.2, 0.0, 0.4, 1.0]  # shown 75 wide, 100 high
    said = loop(*upright, *across, facts=(1, 1, 3, 1, 9, "step", "a", "float32"))
    np.testing.assert_allclose(said.numbers(), [62.5, 50, 137.5, 100])
    np.testing.assert_allclose(said.numbers(), [20, 162.5, 40, 237.5])
