"""Conversion: what comes out, that it does not depend on how, and that it survives."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import multiprocessing
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from lstd.config.data_config import DatasetConfig
from lstd.data import (
    convert,
    decode,
    open_videos,
    problems,
    readers,
    record_files,
    shard_files,
    synthesize,
)
from lstd.data.convert import Settings
from lstd.data.problems import Checks, ProblemError
from lstd.data.sources import Source
from lstd.ops import images
from tests.data import go_on

Image = pytest.importorskip("PIL.Image")

SCENE = synthesize.Scene(videos=3, frames=7, height=32, width=48, noise=2.0)
SETTINGS = Settings(frames_per_record=3, frames_per_shard=5)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Two videos of PNG frames with tables."""
    folder = tmp_path / "in"
    folder.mkdir()
    synthesize.write_folders(
        synthesize.source(synthesize.Scene(videos=2, frames=6, height=32, width=48)), folder
    )
    return folder


def opened_scene(**changes: int) -> Source:
    return synthesize.source(dataclasses.replace(SCENE, **changes))


def answering(**answers: str) -> Settings:
    return Settings(policy=problems.policy(answers))


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("*.tfrecord"))
    }


def pixels_in(folder: Path) -> np.ndarray:
    """Returns the pictures of all frames of records."""
    return np.stack([images.decode(frame.image) for frame in frames_of(readers.open(folder))])


def frames_of(source: Source) -> list:
    return [frame for video in source.videos for frame in video.read()]


def test_converted_shards_are_read_back_equal(tmp_path: Path) -> None:
    source = opened_scene()
    index = convert.convert(source, tmp_path, SETTINGS._replace(image_format="png"))
    again = readers.open(tmp_path)

    assert again.labels == source.labels
    assert [v.name for v in again.videos] == [v.name for v in source.videos]
    expected = frames_of(source)
    np.testing.assert_array_equal(pixels_in(tmp_path), np.stack([f.image for f in expected]))
    for found, frame in zip(frames_of(again), expected, strict=True):
        np.testing.assert_array_equal(found.truth.boxes, frame.truth.boxes)
        np.testing.assert_array_equal(found.truth.classes, frame.truth.classes)
        np.testing.assert_array_equal(found.truth.track_ids, frame.truth.track_ids)
    middle = [*again.videos[1].read(2, 5)]
    whole = [*again.videos[1].read()]
    assert [f.where for f in middle] == [f.where for f in whole[2:5]]
    entries = [record for shard in index["shards"] for record in shard["records"]]
    assert [entry["frames"] for entry in entries] == [3, 3, 1] * 3
    assert index["frames"] == 21
    assert [video["frames"] for video in index["videos"]] == [7, 7, 7]
    assert json.loads((tmp_path / "index.json").read_text()) == index
    assert {s["file"]: s["sha256"] for s in index["shards"]} == digests(tmp_path)
    sizes = {path.name: path.stat().st_size for path in tmp_path.glob("*.tfrecord")}
    assert {s["file"]: s["bytes"] for s in index["shards"]} == sizes
    assert (tmp_path / "labels.txt").read_text().split() == list(synthesize.SHAPES)
    names = {path.name for path in tmp_path.iterdir()}
    assert names - sizes.keys() == {"index.json", "labels.txt"}


def test_a_record_ends_at_a_bound_in_bytes_and_the_next_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    source = opened_scene()
    settings = SETTINGS._replace(image_format="png", frames_per_record=0)
    convert.convert(source, tmp_path / "whole", settings)
    bound = 3 * max(len(frame.image) for frame in frames_of(readers.open(tmp_path / "whole")))
    monkeypatch.setattr(shard_files, "RECORD_BYTES", bound)
    index = convert.convert(source, tmp_path / "out", settings)
    again = readers.open(tmp_path / "out")

    entries = [entry for shard in index["shards"] for entry in shard["records"]]
    assert [(e["first_frame"], e["frames"]) for e in entries[:3]] == [(0, 2), (2, 2), (4, 2)]
    assert all(entry["bytes"] < bound + 2000 for entry in entries)  # what is not pictures
    assert [video.num_frames for video in again.videos] == [7, 7, 7]
    assert [video["frames"] for video in index["videos"]] == [7, 7, 7]
    for found, frame in zip(frames_of(again), frames_of(source), strict=True):
        np.testing.assert_array_equal(tf.io.decode_image(found.image), frame.image)
    assert "so that 3 videos are in 12 records" in caplog.text
    (tmp_path / "out" / "index.json").unlink()  # as by those who have only the records
    assert [video.num_frames for video in readers.open(tmp_path / "out").videos] == [7, 7, 7]


def test_the_index_tells_what_is_in_shards_as_long_as_it_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert.convert(opened_scene(), tmp_path, SETTINGS)
    paths = sorted(map(str, tmp_path.glob("*.tfrecord")))
    scanned: list[str] = []

    def noting(path: str, on_damage: Callable) -> Iterator:
        scanned.append(path)
        return read_all(path, on_damage)

    read_all = record_files.read_all
    monkeypatch.setattr(record_files, "read_all", noting)
    listed = record_files.list_videos(paths)
    config = DatasetConfig(input_path=(str(tmp_path / "*.tfrecord"),))
    videos = open_videos.open_all(
        config, Checks(problems.policy()), (), num_classes=None, where="data.train"
    )
    assert [video.num_frames for video in videos] == [7, 7, 7]
    assert scanned == []
    index = json.loads((tmp_path / "index.json").read_text())
    index["shards"][0]["records"][0]["frames"] = 2**40
    index["shards"][1]["file"] = "another"
    index["shards"][2]["records"][0]["bytes"] += 1
    (tmp_path / "index.json").write_text(json.dumps(index))
    assert record_files.list_videos(paths) == listed
    assert scanned == paths[:3]


@pytest.mark.slow
def test_processes_do_not_change_the_records(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = opened_scene()
    one = convert.convert(source, tmp_path / "one", SETTINGS, workers=1)
    two = convert.convert(source, tmp_path / "two", SETTINGS, workers=2)

    assert one == two
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert "oneDNN" not in capfd.readouterr().err  # nor does each of them greet


@pytest.mark.parametrize("image_format", ["keep", "jpeg", "png"])
def test_images_are_kept_bit_for_bit_or_encoded_anew_when_asked(
    folders: Path, tmp_path: Path, image_format: str
) -> None:
    convert.convert(readers.open(folders), tmp_path / "out", Settings(image_format=image_format))
    stored = [frame.image for frame in frames_of(readers.open(tmp_path / "out"))]
    kept = [path.read_bytes() for path in sorted(folders.glob("*/*.png"))]

    assert (stored == kept) == (image_format == "keep")
    start = b"\xff\xd8" if image_format == "jpeg" else b"\x89PNG"
    assert all(image.startswith(start) for image in stored)


# --- going on ------------------------------------------------------------------------------------


def test_resume_writes_again_what_is_missing_or_damaged(tmp_path: Path) -> None:
    source = opened_scene()
    convert.convert(source, tmp_path, SETTINGS)
    before = digests(tmp_path)
    with pytest.raises(FileExistsError, match="holds a conversion already"):
        convert.convert(source, tmp_path, SETTINGS)
    assert digests(tmp_path) == before
    first, second, *_ = sorted(tmp_path.glob("*.tfrecord"))
    first.unlink()
    content = bytearray(second.read_bytes())
    content[len(content) // 2] ^= 1
    second.write_bytes(content)
    written: list[int] = []
    convert.convert(source, tmp_path, SETTINGS, resume=True, on_frames=written.append)

    assert len(written) == 2
    assert digests(tmp_path) == before


@pytest.mark.parametrize("change", [{"shards": [3]}, {"fingerprint": []}])
def test_index_of_another_kind_is_not_gone_on_with(tmp_path: Path, change: dict) -> None:
    source = opened_scene(videos=1)
    content = convert.convert(source, tmp_path, SETTINGS)
    (tmp_path / "index.json").write_text(json.dumps({**content, **change}))
    with pytest.raises(ValueError, match=r"index\.json, .*, is not what a conversion writes"):
        convert.convert(source, tmp_path, SETTINGS, resume=True)


def test_resume_with_other_settings_is_refused(tmp_path: Path) -> None:
    source = opened_scene()
    convert.convert(source, tmp_path, SETTINGS)
    with pytest.raises(ValueError, match=r"made with other setting quality; go on as it began"):
        convert.convert(source, tmp_path, SETTINGS._replace(quality=50), resume=True)
    other = opened_scene(videos=2)
    with pytest.raises(ValueError, match="made with other videos, shards"):
        convert.convert(other, tmp_path, SETTINGS, resume=True)


def test_an_error_leaves_whole_shards_only_and_resume_goes_on(
    folders: Path, tmp_path: Path
) -> None:
    bad = folders / "synthetic_0_00001" / "000004.png"
    sound = bad.read_bytes()
    bad.write_bytes(sound[:60])
    out = tmp_path / "out"
    settings = Settings(frames_per_record=3, frames_per_shard=3)
    with pytest.raises(ProblemError, match=r"frame 4, .*000004\.png: this image cannot be decoded"):
        convert.convert(readers.open(folders), out, settings)
    assert len(digests(out)) == 3
    assert not [path for path in out.iterdir() if "part" in path.name]
    with pytest.raises(FileNotFoundError, match=r"1 of 4 shards .* data-00003-.*--resume"):
        readers.open(out)
    bad.write_bytes(sound)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert.convert(readers.open(folders), out, settings, resume=True, on_start=interrupted)
    with pytest.raises(FileExistsError):  # no longer what its data ended
        convert.convert(readers.open(folders), out, settings)
    convert.convert(readers.open(folders), out, settings, resume=True)
    undisturbed = tmp_path / "undisturbed"
    convert.convert(readers.open(folders), undisturbed, settings)

    assert digests(out) == digests(undisturbed)


def test_what_the_data_ended_begins_anew_without_resume(folders: Path, tmp_path: Path) -> None:
    (folders / "synthetic_0_00001" / "000004.png").write_bytes(b"no")
    source, out, undisturbed = readers.open(folders), tmp_path / "out", tmp_path / "undisturbed"
    killed = out / ".lstd-1.part" / "data-00000-of-00001.tfrecord"
    killed.parent.mkdir(parents=True)
    killed.touch()
    with pytest.raises(ProblemError, match="cannot be decoded"):
        convert.convert(source, out, Settings(frames_per_record=3, frames_per_shard=3))
    assert len(digests(out)) == 3
    settings = answering(corrupt_image="skip")
    with pytest.raises(ValueError, match=r"made with other .*setting policy"):
        convert.convert(source, out, settings, resume=True)

    index = convert.convert(source, out, settings)
    assert index["problems"] == {"corrupt_image=skip": 1}
    assert index == convert.convert(source, undisturbed, settings)
    assert sorted(p.name for p in out.iterdir()) == sorted(p.name for p in undisturbed.iterdir())


@pytest.mark.slow
def test_killed_twenty_times_it_ends_with_the_same_records(tmp_path: Path) -> None:
    """Kills the converting process, with SIGKILL, at random moments, and goes on each time.

    Before the plan is made, or while the first, second or third shard after that is written: so
    that each kill hits a conversion under way, of 60 shards, however fast the machine is.
    """
    undisturbed, out = tmp_path / "undisturbed", tmp_path / "killed"
    started = time.monotonic()
    convert.convert(synthesize.source(go_on.SCENE), undisturbed, go_on.SETTINGS, workers=1)
    seconds_a_shard = (time.monotonic() - started) / len(digests(undisturbed))
    # Each process is forked from one that has imported TensorFlow and not used it.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.data.go_on"])
    rng = random.Random(5)
    for attempt in range(20):
        workers = 2 if attempt % 5 == 1 else 1  # not the last ones: they outlive it for a while
        listening, telling = context.Pipe(duplex=False)
        process = context.Process(target=go_on.go_on, args=(str(out), workers, telling))
        process.start()
        for _ in range(rng.randrange(4)):  # the plan, and up to two shards
            assert listening.poll(120)
            listening.recv()
        process.join(rng.uniform(0, seconds_a_shard))
        process.kill()  # two workers must end with their parent
        process.join()
        assert process.exitcode == -signal.SIGKILL
        listening.close()
        telling.close()
        process.close()
    done = len(digests(out))
    assert 0 < done < len(digests(undisturbed))
    assert not (out / "index.json").exists()
    written: list[int] = []
    convert.convert(
        synthesize.source(go_on.SCENE),
        out,
        go_on.SETTINGS,
        workers=1,
        resume=True,
        on_frames=written.append,
    )

    assert len(written) < len(digests(out))  # what was done is not done again
    assert digests(out) == digests(undisturbed)
    assert json.loads((out / "index.json").read_text()) == json.loads(
        (undisturbed / "index.json").read_text()
    )
    assert {path.suffix for path in out.iterdir()} == {".tfrecord", ".json", ".txt"}


# --- problems ------------------------------------------------------------------------------------


def converted(
    folder: Path, out: Path, *, resume: bool = False, **answers: str
) -> tuple[dict, np.ndarray]:
    settings = answering(**answers)._replace(frames_per_record=2, image_format="png")
    index = convert.convert(readers.open(folder), out, settings, resume=resume)
    return index, pixels_in(out)


@pytest.mark.parametrize(("kind", "place"), [("missing_frame", 3), ("corrupt_image", 0)])
def test_a_bad_image_is_an_error_repaired_or_skipped(
    folders: Path, tmp_path: Path, kind: str, place: int
) -> None:
    _, original = converted(folders, tmp_path / "sound")
    bad = folders / "synthetic_0_00000" / f"{place:06d}.png"
    if kind == "missing_frame":
        # A folder without the file would be a shorter video; a list of COCO images names it.
        _as_coco(folders)
        bad.unlink()
        folders = folders / "coco.json"
    else:
        bad.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    with pytest.raises(ProblemError, match=f"{place:06d}") as caught:
        converted(folders, tmp_path / "error")
    assert caught.value.kind == kind

    index, shown = converted(folders, tmp_path / "repair", **{kind: "repair"})
    repaired = original.copy()
    repaired[place] = original[place - 1 if place else 1]
    np.testing.assert_array_equal(shown, repaired)
    assert index["problems"] == {f"{kind}=repair": 1}

    index, shown = converted(folders, tmp_path / "skip", **{kind: "skip"})
    np.testing.assert_array_equal(shown, np.delete(original, place, axis=0))
    assert index["problems"] == {f"{kind}=skip": 1}
    firsts = [r["first_frame"] for s in index["shards"] for r in s["records"]]
    assert firsts == [0, 2, 4, 0, 2, 4]
    assert converted(folders, tmp_path / "skip", resume=True, **{kind: "skip"})[0] == index


def _as_coco(folders: Path) -> None:
    images = [
        {"id": 10 * v + n, "video_id": v, "frame_id": n, "width": 48, "height": 32,
         "file_name": f"synthetic_0_0000{v}/{n:06d}.png"}
        for v in (0, 1)
        for n in range(6)
    ]  # fmt: skip
    content = {
        "videos": [{"id": v, "name": f"synthetic_0_0000{v}"} for v in (0, 1)],
        "images": images,
        "annotations": [],
        "categories": [{"id": 1, "name": "x"}],
    }
    (folders / "coco.json").write_text(json.dumps(content))


def test_frames_of_another_size_are_an_error_repaired_or_skipped(
    folders: Path, tmp_path: Path
) -> None:
    odd = folders / "synthetic_0_00000" / "000002.png"
    pixels = np.random.default_rng(0).integers(0, 256, [64, 96, 3], np.uint8)
    Image.fromarray(pixels).save(odd)
    with pytest.raises(ProblemError, match=r"frame 2: this frame has 96 x 64 .* 48 x 32"):
        converted(folders, tmp_path / "error")
    _, shown = converted(folders, tmp_path / "repair", frame_size="repair")
    np.testing.assert_array_equal(shown[2], decode.scaled(pixels, 32, 48))  # as the pipeline
    index, _ = converted(folders, tmp_path / "skip", frame_size="skip")
    assert index["videos"][0]["frames"] == 5


def test_a_video_without_frames(tmp_path: Path) -> None:
    source = opened_scene()

    class Empty:
        name, num_frames, where = "empty", 0, "empty.mp4"

    both = source._replace(videos=(Empty(), source.videos[0]))
    with pytest.raises(ProblemError, match=r"empty\.mp4: video 'empty' has no frames"):
        convert.convert(both, tmp_path / "a", SETTINGS)
    settings = answering(empty_video="skip")
    index = convert.convert(both, tmp_path / "b", settings)
    assert len(index["videos"]) == 1
    with pytest.raises(ValueError, match="no video with frames"):
        convert.convert(source._replace(videos=(Empty(),)), tmp_path / "c", settings)


@pytest.mark.parametrize("bad", [{"quality": 0}, {"frames_per_record": -1}, {"prefix": "a/b"}])
def test_settings_are_checked(tmp_path: Path, bad: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        convert.make_plan(opened_scene(), SETTINGS._replace(**bad))


# --- damaged shards ------------------------------------------------------------------------------


def test_a_video_of_which_no_frame_can_be_used_is_an_empty_one(
    folders: Path, tmp_path: Path
) -> None:
    for path in (folders / "synthetic_0_00000").iterdir():
        path.write_bytes(b"no")
    _as_coco(folders)
    folders = folders / "coco.json"
    answers = {"corrupt_image": "skip"}
    with pytest.raises(ProblemError, match="no frame of video 'synthetic_0_00000' can be used"):
        converted(folders, tmp_path / "a", **answers)
    index, _ = converted(folders, tmp_path / "b", **answers, empty_video="skip")
    assert [video["name"] for video in index["videos"]] == ["synthetic_0_00001"]
    assert index["problems"] == {"corrupt_image=skip": 6, "empty_video=skip": 1}
    (tmp_path / "b" / "data-00000-of-00001.tfrecord").unlink()
    again = converted(folders, tmp_path / "b", resume=True, **answers, empty_video="skip")
    assert again[0] == index
