"""Inspection, validation and splits, on boxes whose numbers are known."""

from __future__ import annotations

import dataclasses
import pickle
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lstd.base import overlap
from lstd.base.types import GroundTruth
from lstd.config import config_io
from lstd.config.config import Config
from lstd.config.model_config import AnchorConfig, ModelConfig
from lstd.data import convert, inspect, problems, readers, synthesize
from lstd.data.convert import Settings
from lstd.data.sources import Image, Source, SourceFrame
from lstd.ops import anchor_fit

pytest.importorskip("PIL.Image")


@dataclasses.dataclass(frozen=True)
class Made:
    """A video of given boxes; every frame is black."""

    name: str
    boxes: tuple[tuple[tuple[int, int, tuple[float, ...]], ...], ...]
    height: int = 50
    width: int = 100
    has_tracks: bool = True
    random_access: bool = True
    where: str = "made"

    @property
    def num_frames(self) -> int:
        return len(self.boxes)

    def read(
        self, start: int = 0, stop: int | None = None, *, images: bool = True
    ) -> Iterator[SourceFrame]:
        for number in range(start, self.num_frames if stop is None else stop):
            rows = self.boxes[number]
            truth = GroundTruth(
                boxes=np.array([row[2] for row in rows], np.float32).reshape(-1, 4),
                classes=np.array([row[0] for row in rows], np.int32),
                track_ids=np.array([row[1] for row in rows], np.int32),
            )
            image: Image = np.zeros([self.height, self.width, 3], np.uint8) if images else None
            yield SourceFrame(image, truth, f"{self.name}, frame {number}")


def source_of(*videos: Made) -> Source:
    return Source("made", "made", ("ant", "bee"), videos)


STILL = (0.2, 0.2, 0.6, 0.4)
MOVED = (0.2, 0.3, 0.6, 0.5)


def test_motion_is_the_mean_overlap_with_the_same_track_nearby() -> None:
    far = ((),) * 20
    video = Made("a", (((0, 1, STILL),), ((0, 1, MOVED), (1, -1, STILL)), *far, ((0, 1, STILL),)))
    found = inspect.inspect(source_of(video))

    # Pixels, one added to the far corners: y 10 to 31, x 20 to 41 and 30 to 51.
    overlap = 21 * 11 / (2 * 21 * 21 - 21 * 11)
    np.testing.assert_allclose(
        inspect.motion_overlaps(found), [overlap, overlap, np.nan, 0.0], rtol=1e-6
    )


def test_the_text_counts_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    video = Made("a", (((0, 1, STILL), (0, 2, MOVED)), (), ((1, 1, (0.5, 0.2, 0.1, 0.4)),)))
    found = inspect.inspect(source_of(video, Made("b", ((),), height=40, width=40)))
    monkeypatch.setattr(
        anchor_fit, "best_overlaps", lambda boxes, _: overlap.iou(boxes, np.array(STILL))
    )
    text = "\n".join(inspect.lines(found, ModelConfig()))

    assert "videos 2, frames 4 (shortest 1, longest 3)" in text
    assert "frame sizes (width x height): 100 x 50 (1), 40 x 40 (1)" in text
    assert "boxes 2, 0.50 a frame, most in a frame 2" in text
    assert "  ant: 2, 1\n  bee: 0, 0" in text
    assert "64 to 128 px: 2, 0.67, 50%" in text
    assert "anchors made for these boxes: --set model.anchors.auto=true" in text
    assert "tracks 2, of 1 boxes in the middle; 0 boxes without a track" in text
    assert "box_inverted: 1 x skip" in text


def test_open_anchors_are_made_for_the_boxes() -> None:
    model = ModelConfig(anchors=AnchorConfig(auto=True))
    text = inspect.lines(inspect.inspect(source_of(Made("a", (((0, 1, STILL),),)))), model)
    assert (
        "boxes at the model's input of 320 x 320 pixels against 834 anchors made for them" in text
    )
    assert any(line.startswith("  64 to 128 px: 1, ") and "100%" in line for line in text)
    (line,) = (line for line in text if "model.anchors.scales" in line)
    pasted = [each for each in shlex.split(line) if "=" in each]
    anchors = anchor_fit.fit(np.array([STILL]), model)
    assert config_io.override(Config(model=model), pasted).model.anchors == anchors
    empty = inspect.inspect(source_of(Made("a", ((),))))
    assert "no boxes to set against the anchors" in inspect.lines(empty, model)


class Crowded(Made):
    def read(self, *places: int, **images: bool) -> Iterator[SourceFrame]:
        for frame in super().read(*places, **images):
            crowds = np.arange(len(frame.truth.classes)) > 0
            yield frame._replace(truth=frame.truth._replace(is_crowd=crowds))


def test_crowds_are_no_objects_in_any_count() -> None:
    source = source_of(Crowded("a", (((0, 1, STILL), (0, 2, (0.0, 0.0, 1.0, 1.0))),)))
    text = "\n".join(inspect.lines(inspect.inspect(source), ModelConfig()))
    assert "boxes 1, 1.00 a frame" in text
    assert "  ant: 1, 1\n" in text
    assert "64 to 128 px: 1," in text
    assert "256 px and more" not in text
    assert "tracks 1," in text


def test_an_index_counts_the_objects_that_an_inspection_does(tmp_path: Path) -> None:
    source = source_of(Crowded("a", (((0, 1, STILL), (0, 2, (0.0, 0.0, 1.0, 1.0))),)))
    index = convert.convert(source, tmp_path, Settings(frames_per_record=1))
    assert index["boxes"] == len(inspect.inspect(source).boxes.classes) == 1


printable = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1)


@given(st.lists(printable.filter(str.strip), min_size=1, max_size=3, unique=True))
@settings(max_examples=50, deadline=None)
@example(["no", "1", "null", "007", "a, b", "c#", "it's", "2001-01-01", " a", '"', "~"])
def test_the_printed_settings_survive_a_shell_and_yaml(names: list[str]) -> None:
    found = inspect.inspect(Source("made", "made", tuple(names), (Made("a", ((),)),)))
    words = shlex.split(inspect.settings_note(found))
    assert words[::2] == ["--set", "--set"]
    assert list(config_io.override(Config(), words[1::2]).model.labels) == names


def test_the_printed_settings_without_names_are_as_many_classes_as_the_boxes_show() -> None:
    video = Made("a", (((4, 1, STILL),),))
    found = inspect.inspect(Source("made", "made", (), (video,)))
    assert inspect.settings_note(found) == "--set model.num_classes=5"
    assert inspect.settings_note(found._replace(boxes=found.boxes._replace(classes=[]))) == ""


def test_what_would_control_a_terminal_is_spelled_out() -> None:
    video = Made("a\x1b[2J", (((7, 1, STILL),),))
    text = inspect.lines(inspect.inspect(source_of(video)), ModelConfig())
    assert not [line for line in text if "\x1b" in line]
    assert [line for line in text if r"a\x1b[2J, frame 0" in line]


def test_the_sheet_shows_frames_with_boxes() -> None:
    video = Made("a", (((0, 1, STILL),),) * 5)
    picture = inspect.sheet(inspect.inspect(source_of(video)), count=3)

    assert picture.dtype == np.uint8
    assert ((picture != 0) & (picture != 255)).any()  # colour of a box


def test_the_sheet_of_no_frames_says_so() -> None:
    with pytest.raises(ValueError, match="made: there is no frame to show"):
        inspect.sheet(inspect.inspect(source_of(Made("a", ()), Made("b", ()))))


def test_validate_finds_every_problem(tmp_path: Path) -> None:
    synthesize.write_folders(
        synthesize.source(synthesize.Scene(videos=2, frames=5, height=32, width=48)), tmp_path
    )
    table = tmp_path / "synthetic_0_00000.csv"
    with table.open("a") as file:
        file.write("1,circle,,5,5,5,9\n1,circle,,9,5,2,9\n6,wheel,,0,0,9,9\n2,circle,,0,0,99,9\n")
    (tmp_path / "synthetic_0_00001" / "000003.png").write_bytes(b"no")
    source = readers.open(tmp_path, labels=synthesize.SHAPES)
    seen: list[int] = []
    report = inspect.validate(source, max_boxes=1, on_frames=seen.append)

    counts = {kind: n for (kind, _), n in report.counts.items()}
    assert counts.pop("too_many_boxes") >= 1
    assert set(report.counts) >= {("box_empty", "error"), ("box_beyond_edge", "repair")}
    assert counts == {
        "box_empty": 1,
        "box_inverted": 1,
        "unknown_class": 1,
        "box_beyond_edge": 1,
        "missing_frame": 2,
        "corrupt_image": 1,
    }
    assert sum(seen) == 12
    policy = problems.policy(default="repair")
    answered = inspect.validate(source, policy=policy)
    assert answered.counts["box_inverted", "repair"] == 1
    assert answered.counts["box_empty", "error"] == 1
    bare = inspect.validate(source, images=False)
    assert "corrupt_image" not in {kind for kind, _ in bare.counts}


class Broken(Made):
    def read(self, start: int = 0, *rest: object, **images: bool) -> Iterator[SourceFrame]:
        for number, frame in enumerate(super().read(start, *rest, **images), start):
            if number == 1:
                raise ValueError("000001.xml: not an XML file")
            yield frame


def test_validate_goes_on_behind_a_file_that_cannot_be_read() -> None:
    report = inspect.validate(source_of(Broken("a", ((), (), ((0, 1, (0.5, 0.2, 0.1, 0.4)),)))))

    assert report.counts == {("unreadable", "error"): 1, ("box_inverted", "error"): 1}
    assert "000001.xml: not an XML file" in report.examples["unreadable"][0]


def test_a_split_is_by_video_seeded_and_complete() -> None:
    videos = [Made(f"v{n}", ((),) * (n + 1)) for n in range(20)]
    parts = convert.split(videos, {"train": 0.8, "val": 0.2}, seed=1)

    assert sorted(v.name for v in parts["train"] + parts["val"]) == sorted(v.name for v in videos)
    total = sum(video.num_frames for video in videos)
    share = sum(v.num_frames for v in parts["val"]) / total
    assert 0.1 < share < 0.3
    assert parts == convert.split(videos, {"train": 0.8, "val": 0.2}, seed=1)
    assert parts != convert.split(videos, {"train": 0.8, "val": 0.2}, seed=2)


def test_every_part_of_a_split_has_a_video() -> None:
    videos = [Made(f"v{n}", ((),)) for n in range(3)]
    parts = convert.split(videos, {"train": 0.98, "val": 0.01, "test": 0.01}, seed=0)

    assert all(len(held) == 1 for held in parts.values())


def test_videos_are_cut_in_time_with_a_gap_where_there_are_fewer_than_parts() -> None:
    video = Made("v", tuple(((n, n % 2, (0, 0, 1, (n + 1) / 32)),) for n in range(31)))
    parts = convert.split([video], {"train": 0.8, "val": 0.2}, seed=0)

    [train], [val] = pickle.loads(pickle.dumps([*parts.values()]))
    assert (train.name, train.num_frames, val.name, val.num_frames) == ("v~train", 21, "v~val", 5)
    whole = [frame.truth.boxes[0, 3] for frame in video.read()]
    assert [frame.truth.boxes[0, 3] for frame in train.read()] == whole[:21]
    assert [frame.truth.boxes[0, 3] for frame in val.read()] == whole[26:]
    assert [frame.truth.boxes[0, 3] for frame in val.read(1, 3)] == whole[27:29]
    assert [*val.read(5)] == []
    with pytest.raises(ValueError, match="video 'v' has 31 frames, too few to be cut into 8"):
        convert.split([video], {str(n): 0.125 for n in range(8)}, seed=0)


@pytest.mark.parametrize("text", [["train"], ["a=0.5", "b=0.6"], ["a=1"], ["a=x", "b=1"]])
def test_parts_that_cannot_be_are_refused(text: list[str]) -> None:
    with pytest.raises(ValueError, match=r"train=0\.8"):
        convert.shares_of(text)
