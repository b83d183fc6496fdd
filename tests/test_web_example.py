"""examples/web in headless Chromium: what it finds against VideoDetector, and what it says."""

import json
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstd.base import tflite_metadata
from lstd.export.tflite import export_tflite
from lstd.media import video
from lstd.runtime.detector import VideoDetector
from tests import browser, tiny
from tests.browser import Browser
from tests.export import exports

ROOT = Path(__file__).resolve().parents[1]
SOWBUG = ROOT / "examples" / "sowbug" / "sowbug_unseen.mp4"
SHOTS = ROOT / "build" / "web_screenshots"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(browser.MISSING), reason=f"needs {', '.join(browser.MISSING)} to run the web page"
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page")
    if problem := browser.build(path):
        pytest.skip(f"the page cannot be built: {problem}")
    export_tflite(tiny.model(), path / "model.tflite", labels=("ant", "bee"))
    shutil.copy(SOWBUG, path / "video.mp4")
    (path / "blank.html").touch()
    return path


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with browser.served(folder) as address:
        yield address


@pytest.fixture(scope="module")
def page(address: str) -> Iterator[Browser]:
    with Browser("--use-fake-device-for-media-stream") as page:
        page.open(f"{address}blank.html")  # A page of the same origin on which nothing runs.
        yield page


def _frames() -> np.ndarray:
    pytest.importorskip("av")
    return np.stack(list(islice(video.read_frames(SOWBUG), 30)))


def _answers(
    page: Browser, folder: Path, model: Path, frames: np.ndarray, *, memory: bool = True
) -> list[dict[str, Any]]:
    """Returns what the page's worker says to frames, with two small frames after a large one."""
    shutil.copy(model, folder / "asked.tflite")
    browser.write_frames(folder / "frames.rgba", frames)
    assert "facts" in page.run(browser.load("asked.tflite", "frames.rgba"))
    height, width = frames.shape[1:3]
    answers = page.run(browser.answers(width, height, skip=2, memory=memory))["answers"]
    assert [sorted(each) for each in answers] == [["detections", "ms", "network"]] * len(frames)
    return answers


def _compare(answers: list[dict[str, Any]], detector: VideoDetector, frames: np.ndarray) -> None:
    for answer, frame in zip(answers, frames, strict=True):
        expected = detector(frame)
        found = answer["detections"]
        assert answer["network"] == detector.last_network
        assert len(found) == int(expected.count) > 0
        for key, values in (("score", expected.scores), ("box", expected.boxes)):
            numbers = [each[key] for each in found]
            np.testing.assert_allclose(numbers, values[: len(found)], atol=1e-3)
        assert [each["label"] for each in found] == expected.names


def test_it_finds_what_the_detector_finds_in_30_frames(page: Browser, folder: Path) -> None:
    frames, model = _frames(), folder / "model.tflite"
    _compare(_answers(page, folder, model, frames), VideoDetector(model, "SKIP2"), frames)


def test_one_grey_backbone_of_bytes_with_two_rows_for_a_box_runs_on_every_frame(
    page: Browser, folder: Path, tmp_path: Path
) -> None:
    grey = tiny.model(tiny.FIRST_PAPER, input_channels=1)
    model = tmp_path / "grey.tflite"
    export_tflite(grey, model, input_type="uint8", max_classes_per_detection=2)
    frames = np.random.default_rng(0).integers(0, 256, (3, 45, 80, 3), dtype=np.uint8)
    _compare(_answers(page, folder, model, frames), VideoDetector(model), frames)


def test_with_the_memory_off_every_frame_is_the_first(page: Browser, folder: Path) -> None:
    frames, model = _frames()[:6], folder / "model.tflite"
    answers = _answers(page, folder, model, frames, memory=False)
    for network in ("large", "small"):
        for answer, frame in zip(answers, frames, strict=True):
            if answer["network"] == network:
                detector = VideoDetector(model, network.upper())
                _compare([answer], detector, frame[np.newaxis])


def test_the_page_shows_the_video_with_boxes_and_times(page: Browser, address: str) -> None:
    page.open(address)
    page.wait_for("small.textContent.includes('ms')")
    page.run("score.value = 0.05; score.oninput()")
    assert page.run("average.textContent.includes('ms') && message.hidden")
    assert page.run("facts.textContent") == "model.tflite: 64 \u00d7 64, finds ant, bee"
    assert page.run("['large', 'small'].includes(network.textContent)")
    SHOTS.mkdir(parents=True, exist_ok=True)
    for width, height in ((1280, 800), (390, 844)):
        for scheme in ("light", "dark"):
            path = SHOTS / f"{width}_{scheme}.png"
            page.screenshot(path, width=width, height=height, scheme=scheme)
            assert path.read_bytes().startswith(b"\x89PNG")
        assert page.run("document.documentElement.scrollWidth") == width


def test_a_file_that_it_cannot_run_is_answered_by_a_sentence(
    page: Browser, address: str, folder: Path, tmp_path: Path
) -> None:
    whole = (folder / "model.tflite").read_bytes()
    foreign = exports.converted(exports.module())
    clip = json.dumps({"format": "lstd", "form": {"signature": "clip"}})
    cases = {
        "text.tflite": (b"this is not a model", "it is not a .tflite file"),
        "cut.tflite": (whole[:-4000], "the file is damaged; copy it again"),
        "head.tflite": (whole[:100], "the file is damaged; copy it again"),
        "foreign.tflite": (foreign, "the metadata of lstd are missing"),
        "clip.tflite": (tflite_metadata.embed(foreign, clip), "with --signature streaming"),
    }
    page.open(address)
    for name, (content, sentence) in cases.items():
        (tmp_path / name).write_bytes(content)
        page.choose("#model", tmp_path / name)
        said = page.wait_for(f"message.textContent.startsWith('{name}') && message.textContent")
        assert sentence in said
    page.choose("#model", folder / "model.tflite")
    page.wait_for("message.hidden && !network.hidden")


def test_what_is_no_video_is_answered_by_a_sentence(
    page: Browser, address: str, tmp_path: Path
) -> None:
    (tmp_path / "none.mp4").write_text("no video")
    page.open(address)
    page.choose("#file", tmp_path / "none.mp4")
    said = page.wait_for("message.textContent")
    assert said.startswith("none.mp4: this browser cannot decode the video")


def test_a_camera_that_is_not_allowed_is_answered_and_one_that_is_runs(
    page: Browser, address: str
) -> None:
    page.open(address)
    permission = {"name": "camera"}
    page.send("Browser.setPermission", permission=permission, setting="denied")
    page.run("camera.click()")
    assert "may not use the camera" in page.wait_for("message.textContent")
    page.send("Browser.setPermission", permission=permission, setting="granted")
    page.run("camera.click()")
    page.wait_for("message.hidden && video.srcObject && !network.hidden")


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("WebAssembly.validate = () => false", "This browser has no WebAssembly with SIMD"),
        ("delete window.WebAssembly", "This browser has no WebAssembly with SIMD"),
        (
            "const whole = fetch; fetch = (name) => whole(name === 'model.tflite' ? 'none' : name)",
            "model.tflite: there is no such file beside this page",
        ),
    ],
)
def test_what_the_browser_lacks_is_a_sentence(address: str, script: str, sentence: str) -> None:
    with Browser() as page:
        page.open(address, script)
        assert sentence in page.wait_for("message.textContent")
        if "fetch" in script:
            page.wait_for("video.readyState >= 2")  # The video says nothing of the network.
            assert sentence in page.run("message.textContent")


def test_the_page_leaves_four_megabytes_for_the_model_and_a_video(folder: Path) -> None:
    ours = {path.name: path.stat().st_size for path in browser.PAGE.iterdir() if path.is_file()}
    built = {
        path.name: path.stat().st_size
        for path in folder.iterdir()
        if path.name in ours or path.suffix in (".wasm", ".js")
    }
    other = sum(size for name, size in built.items() if "compat" in name)  # One of two is loaded.
    assert sum(built.values()) - other < 11e6
