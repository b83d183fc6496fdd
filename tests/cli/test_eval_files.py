"""`lstd-eval --detections`: what somebody else's detector found, from a file."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lstd.cli import eval as eval_command


def truth_files(folder: Path, *, frames: int, tracks: bool = True) -> tuple[Path, Path]:
    """Writes annotations at 10 frames a second, and detections that are a little off."""
    truth, found = folder / "truth.json", folder / "found.json"
    boxes = [{"image_id": i, "category_id": 7} for i in range(1, frames + 1)]
    more = {"instance_id": 4} if tracks else {}
    content = {
        "videos": [{"id": 1, "name": "v", "fps": 10}],
        "categories": [{"id": 7, "name": "cat"}],
        "images": [{"id": i + 1, "video_id": 1, "frame_id": i} for i in range(frames)],
        "annotations": [
            {**box, "id": i, "bbox": [i, 5, 40, 40], **more} for i, box in enumerate(boxes, start=1)
        ],
    }
    truth.write_text(json.dumps(content))
    rows = [
        {**box, "bbox": [i + i % 4, 5, 40, 40], "score": 0.9}
        for i, box in enumerate(boxes, start=1)
    ]
    found.write_text(json.dumps(rows))
    return truth, found


def test_detections_from_elsewhere_are_scored_and_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth, found = truth_files(tmp_path, frames=150)
    worse = tmp_path / "worse.json"
    worse.write_text(json.dumps(json.loads(found.read_text())[::2]))
    flags = [f"--detections={found}", f"--annotations={truth}", f"--against={worse}"]
    flags += ["--metrics=coco,vid,flicker", "--draws=50", f"--output_directory={tmp_path}"]
    assert eval_command.main(flags) == 0
    printed = capsys.readouterr().out
    assert "no intervals from 3 blocks of at least 5 s from 1 video (fewer than ten" in printed
    line = next(x for x in printed.splitlines() if x.startswith("flicker/rate ") and "+" in x)
    assert line.split()[1:4] == ["0.000", "1.000", "+1.000"]
    assert line.endswith("no verdict")
    saved = json.loads((tmp_path / "results.json").read_text())["results"]
    assert saved["vid/ap50_medium"] == 1.0  # a pixel a frame, 41 wide
    assert saved["coco/ap50"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--detections and --annotations go together"),
        (["--annotations={truth}", "--metrics=vid"], "no track_ids; the motion split needs them"),
        (["--annotations={truth}", "--metrics=coc"], "unknown metric 'coc'; did you mean 'coco'?"),
        (["--annotations={truth}", "--metrics=sap"], "sap needs latencies"),
        (["--annotations={truth}", "--latency=big=3"], "expected 'large' or 'small', got 'big'"),
        (["--annotations={truth}", "--latency=large=fast"], "network=milliseconds such as"),
        (["--annotations={truth}", "--latency=none.json"], "--latency: no file none.json"),
        (["--annotations={truth}", "--schedule=LARGE,SMALL"], "of one schedule"),
        (["--annotations={truth}", "--video"], "--video needs a model"),
        (["--annotations={truth}", "--labels=a.txt"], "--labels needs a model"),
        (["--annotations={truth}", "--config=a.yaml"], "--config needs a model"),
        (["--annotations={truth}", "--set=data.seed=1"], "--set needs a model"),
        (["--annotations={truth}", "--fps=0"], "--fps must be above 0"),
        (["--annotations={found}"], 'found.json: there is no list "images"'),
        (["--annotations={truth}", "--model=x"], "both are here"),
    ],
)
def test_files_that_cannot_be_scored_are_one_sentence(
    tmp_path: Path, refused: Callable[..., str], arguments: list[str], message: str
) -> None:
    truth, found = truth_files(tmp_path, frames=20, tracks=False)
    given = (argument.format(truth=truth, found=found) for argument in arguments)
    assert message in refused(eval_command.main, f"--detections={found}", *given)
