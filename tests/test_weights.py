"""The trained models that come with lstd."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import lstd
from lstd import weights
from lstd.any_model import open_model
from lstd.media import video
from lstd.ops import anchors
from lstd.training import weights_file

CLIP = Path(__file__).parents[1] / "examples" / "freedoom"


@pytest.mark.parametrize("name", lstd.list_weights())
def test_each_has_its_files_and_says_under_which_licence(name: str) -> None:
    folder = weights.located(name)
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert {"config.yaml", "best.weights.h5", "model.tflite", "README.md", "LICENSE"} == set(sizes)
    assert max(sizes.values()) < 5e6
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f'lstd.load_model("{name}")' in card
    assert "lstd-train" in card


def test_name_means_the_run_or_its_tflite_and_a_file_of_that_name_goes_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_model.find("freedoom_s").kind == "run"
    assert open_model.find("freedoom_s", exported=True).kind == "tflite"
    assert weights_file.file_of("freedoom_s").name == "best.weights.h5"
    with pytest.raises(FileNotFoundError, match="did you mean 'freedoom_s', which comes with lstd"):
        open_model.find("freedom_s")
    with pytest.raises(ValueError, match="did you mean 'freedoom_s', which comes with lstd"):
        weights_file.file_of("freedom-s")
    (tmp_path / "freedoom_s").touch()
    assert open_model.find("freedoom_s").path == Path("freedoom_s")


@pytest.mark.parametrize("name", lstd.list_configs())
def test_a_config_starts_from_a_model_whose_network_it_has(name: str) -> None:
    config = lstd.load_config(name)
    run = config.train.fine_tune.run
    if not run:
        return
    ours, theirs = config.model, lstd.load_config(weights.located(run) / "config.yaml").model
    # What a run is refused for, and what the heads of boxes need to go on.
    assert ours.depth_multipliers[0] == theirs.depth_multipliers[0]
    for key in ("backbone", "min_depth", "state_depth"):
        assert getattr(ours, key) == getattr(theirs, key)
    if not ours.anchors.auto:
        specs = map(anchors.box_specs, (ours.anchors, theirs.anchors))
        assert len({tuple(map(len, each)) for each in specs}) == 1


def test_model_and_file_find_the_same_objects_and_most_of_those_that_are_there() -> None:
    with video.VideoReader(CLIP / "freedoom.mp4") as reader:
        frames = [frame.image for _, frame in zip(range(4), reader, strict=False)]
    model = lstd.load_model("freedoom_s")
    config = lstd.load_config(weights.located("freedoom_s") / "config.yaml")
    found = []
    for opened in (model, "freedoom_s"):
        with lstd.VideoDetector(opened, schedule="SKIP3", export=config.export) as detector:
            found.append([detector(frame) for frame in frames])
    for ours, theirs in zip(*found, strict=True):
        sure = ours.scores > 0.2
        np.testing.assert_allclose(ours.boxes[sure], theirs.boxes[sure], atol=1e-3)
        np.testing.assert_array_equal(ours.classes[sure], theirs.classes[sure])


@pytest.mark.slow
def test_run_and_file_are_as_good_on_the_clip_as_its_page_says() -> None:
    data = dataclasses.replace(
        lstd.load_config("freedoom_s").data.evaluation, input_path=(str(CLIP / "freedoom.json"),)
    )
    dataset = lstd.make_dataset(lstd.DataConfig(evaluation=data), "evaluation")
    page = (CLIP / "README.md").read_text(encoding="utf-8")
    opened = {"the weights": "freedoom_s", "`model.tflite`": lstd.VideoDetector("freedoom_s")}
    for row, model in opened.items():
        numbers = lstd.evaluate(model, dataset, schedules=["LARGE", "SKIP9"])
        told = page.partition(f"| {row}")[2].split("|")[1:3]
        found = [numbers[f"{schedule}/coco/ap50"] for schedule in ("LARGE", "SKIP9")]
        assert found == pytest.approx([float(number) for number in told], abs=0.005)
