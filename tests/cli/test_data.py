"""`lstd-data` and its verbs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lstd.cli import data
from lstd.tf1.load_config import load_config

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "sowbug_demo.yaml"


def run(verb: str, *flags: str, **values: object) -> int:
    given = [f"--{name}={value}" for name, value in values.items()]
    return data.main([verb, *given, *flags])


def made(folder: Path, **values: object) -> Path:
    """Three small videos as folders with tables, made by `lstd-data synthesize`."""
    pytest.importorskip("PIL.Image")
    scene = {"videos": 3, "frames": 4, "height": 32, "width": 48, "shapes": "circle,square"}
    given = {**scene, "seed": 2, "output_format": "frames", **values}
    assert run("synthesize", output_directory=folder, **given) == 0
    return folder


@pytest.fixture
def videos(tmp_path: Path, capsys: pytest.CaptureFixture) -> Path:
    folder = made(tmp_path / "videos")
    capsys.readouterr()
    return folder


def test_config_to_yaml_writes_the_same_config_with_all_overrides(tmp_path, capsys):
    output = tmp_path / "out.yaml"
    override = (
        "model { ssd { post_processing { batch_non_max_suppression { iou_threshold: 0.25 }}}}"
    )
    changes = {"config_override": override, "set": "train.steps=7"}

    assert run("config-to-yaml", config=CONFIG, output=output, **changes) == 0
    config = load_config(output)
    assert config.model.postprocessing.iou_threshold == 0.25
    assert config.train.steps == 7
    assert config.model.anchors == load_config(CONFIG).model.anchors


def test_convert_writes_shards_and_resumes(videos, tmp_path, capsys):
    out = tmp_path / "out"
    values = {"input": videos, "output_directory": out, "prefix": "train", "frames_per_shard": 4,
              "image_format": "jpeg", "quality": 50}  # fmt: skip

    assert run("convert", **values) == 0
    assert "3 videos, 12 frames" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == [
        "index.json", "labels.txt", *(f"train-0000{n}-of-00003.tfrecord" for n in range(3))
    ]  # fmt: skip
    assert run("convert", **values) == 2
    assert "--resume goes on with it" in capsys.readouterr().err
    assert run("convert", "--resume", **values) == 0


def test_split_writes_each_part_and_touches_no_other_division(videos, tmp_path, capsys):
    out = tmp_path / "parts"
    values = {"input": videos, "output_directory": out}

    assert run("split", parts="train=0.7,val=0.3", **values) == 0
    names = {part: (out / f"{part}.txt").read_text().split() for part in ("train", "val")}
    assert sorted(names["train"] + names["val"]) == [f"synthetic_2_0000{n}" for n in range(3)]
    assert (out / "val" / "val-00000-of-00001.tfrecord").exists()
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    capsys.readouterr()
    one = {"videos": out / "val.txt", "output_directory": tmp_path / "one"}
    assert run("convert", input=videos, **one) == 0
    assert f"{len(names['val'])} videos" in capsys.readouterr().out
    assert run("split", parts="train=0.7,val=0.3", **values) == 2
    assert "train.txt is there already: --resume goes on with it" in capsys.readouterr().err
    assert run("split", "--resume", parts="train=0.1,val=0.9", **values) == 2
    assert "train.txt: what is there was divided in another way" in capsys.readouterr().err
    assert run("split", "--resume", parts="train=0.7,val=0.3", **values) == 0
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_list_cannot_hold_pieces_of_a_video(tmp_path, capsys):
    folder = made(tmp_path / "videos", videos=1, frames=20)
    out = tmp_path / "out"
    assert run("split", "--lists_only", input=folder, output_directory=out) == 2
    assert "a list holds whole videos, and here they have to be cut" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("verb", ["split", "convert"])
def test_what_is_refused_before_it_writes_leaves_nothing(verb, tmp_path, capsys):
    for name in ("train/hive_1.png", "val/hive_1.png", "val/sky_1.png"):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / name).touch()
    (tmp_path / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [ant]\n")
    before = sorted(tmp_path.rglob("*"))

    assert run(verb, input=tmp_path, output_directory=tmp_path / "out" / "deeper") == 2
    assert "another video has the name 'hive', too" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before
    (empty := tmp_path / "empty").mkdir()
    assert run(verb, input=tmp_path, output_directory=empty) == 2
    assert empty.is_dir()  # it was there


def test_split_that_the_data_ended_is_corrected_by_the_same_command(videos, tmp_path, capsys):
    out = tmp_path / "out"
    values = {"input": videos, "output_directory": out}
    assert run("split", "--lists_only", **values) == 0
    assert sorted(path.name for path in out.iterdir()) == ["train.txt", "val.txt"]
    (name,) = (out / "val.txt").read_text().split()
    shutil.rmtree(out)
    picture = videos / name / "000002.png"
    sound = picture.read_bytes()
    picture.write_bytes(sound[:60])
    assert run("split", **values) == 2
    assert "cannot be decoded" in capsys.readouterr().err
    assert (out / "train" / "index.json").exists()
    picture.write_bytes(sound)

    assert run("split", **values) == 0
    assert "already there" not in capsys.readouterr().err
    assert run("split", **values) == 2
    assert sorted(path.name for path in out.iterdir()) == ["train", "train.txt", "val", "val.txt"]
    assert not [path for path in out.glob("*/.*")]


def test_inspect_tells_and_draws(videos, tmp_path, capsys):
    sheet = tmp_path / "sheet.png"

    assert run("inspect", input=videos, output=sheet, frames=2) == 0
    text = capsys.readouterr().out
    assert "videos 3, frames 12" in text
    assert "320 x 320 pixels against its 534 anchors" in text
    assert "--set model.num_classes=2 --set 'model.labels=[circle, square]'" in text
    assert sheet.read_bytes().startswith(b"\x89PNG")
    run("inspect", "--set=model.input_height=256", "--set=model.input_width=256", input=videos)
    assert "256 x 256 pixels against its 324 anchors" in capsys.readouterr().out


def test_problems_are_found_and_answered_as_told(videos, tmp_path, capsys):
    assert run("validate", input=videos) == 0
    with (videos / "synthetic_2_00000.csv").open("a") as file:
        file.write("1,circle,,9,5,2,9\n")
    assert run("convert", input=videos, output_directory=tmp_path / "a") == 2
    error = capsys.readouterr().err
    assert "synthetic_2_00000.csv, frame 1, line" in error
    assert "(problem box_inverted; repair or skip would go on)" in error
    skip = {"input": videos, "on_problem": "box_inverted=skip"}
    assert run("convert", output_directory=tmp_path / "b", **skip) == 0
    assert "box_inverted: 1 x skip" in capsys.readouterr().out

    (videos / "synthetic_2_00001" / "000002.png").write_bytes(b"no")
    assert run("validate", input=videos) == 1
    text = capsys.readouterr().out
    assert "box_inverted: 1 x error" in text
    assert "frame 1, line" in text
    assert "corrupt_image: 1 x error" in text
    assert run("validate", "--nocheck_images", **skip) == 0
    assert run("validate", input=videos, problems="skip") == 0


def test_a_limit_of_boxes_has_its_answer_in_convert_and_validate(videos, tmp_path, capsys):
    limit = {"input": videos, "max_boxes": 1}
    skip = "--on_problem=too_many_boxes=skip"

    assert run("validate", **limit) == 1
    assert "too_many_boxes" in capsys.readouterr().out
    assert run("validate", skip, **limit) == 0
    told = capsys.readouterr().out
    assert run("convert", skip, output_directory=tmp_path / "a", **limit) == 0
    (line,) = [line for line in told.splitlines() if line.startswith("too_many_boxes: ")]
    assert line in capsys.readouterr().out
    for verb in ("validate", "convert", "split"):
        place = {} if verb == "validate" else {"output_directory": tmp_path / "c"}
        assert run(verb, skip, input=videos, **place) == 2
        assert "too_many_boxes means nothing without --max_boxes" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


def test_a_damaged_record_is_told_of_by_every_verb(tmp_path, capsys):
    shards = made(tmp_path / "shards", output_format="shards")
    (path,) = shards.glob("*.tfrecord")
    content = bytearray(path.read_bytes())
    content[-20] ^= 1  # in the last of three records
    path.write_bytes(content)
    capsys.readouterr()
    place = f"{path.name}: record 2 (from 0) is damaged"
    skip = "--on_problem=damaged_record=skip"

    assert run("validate", input=shards) == 1
    assert place in capsys.readouterr().out
    assert run("validate", skip, input=shards) == 0
    assert "damaged_record: 1 x skip" in capsys.readouterr().out
    assert run("inspect", input=shards) == 0
    told = capsys.readouterr().out
    assert place in told
    assert "sequence_example, 2 videos of 4, 4 frames, such as" in told
    for verb in ("convert", "split"):
        assert run(verb, input=shards, output_directory=tmp_path / verb) == 2
        assert place in capsys.readouterr().err
        assert run(verb, skip, input=shards, output_directory=tmp_path / f"{verb}_2") == 0
        told = capsys.readouterr().out
        assert "damaged_record: 1 x skip" in told
        assert place in told


OUT = "--output_directory=out"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "a verb must come first"),
        ("config-to-yml", "did you mean config-to-yaml?"),
        ("config-to-yaml", "--config and --output must be given"),
        ("config-to-yaml --config=nowhere.yaml --output=x.yaml", "cannot read the config"),
        (f"config-to-yaml --config={CONFIG} --output=no/x.yaml", "no such"),
        ("inspect --input=made --output=sheet.jpg", "sheet.jpg must end in .png"),
        ("inspect --input=made --output=no/sheet.png", "--output: there is no folder no"),
        ("inspect --input=made --stills", "stills means nothing for the format csv"),
        ("inspect --input=made --videos=none.txt", "none.txt names no video"),
        ("inspect --input=made --videos=made/a.txt", "there is no video 'other'"),
        ("inspect --input=empty", "an empty folder; expected one of\n"),
        ("inspect --input=empty", "\n    ILSVRC2015/\n      Annotations/VID/train/"),
        ("validate --input=. --on_problem=box_inverted", "is not problem=answer"),
        ("validate --input=made --problems=ignore", "'ignore' is no answer to problems"),
        ("validate --input=made --examples=-1", "--examples=-1: expected a whole"),
        (f"convert --input=nowhere {OUT}", "nowhere: there is no such"),
        ("convert --input=.", "--output_directory must be given"),
        (f"convert --input=. {OUT} --formt=mot", "did you mean format"),
        (f"convert --input=made {OUT} --quality=0", "--quality=0: expected a whole number of at"),
        (f"convert --input=made {OUT} --prefix=a/b", "prefix must be the beginning of a file"),
        ("convert --input=made --output_directory=made/a.txt", "is a file, expected a folder"),
        (f"split --input=. {OUT} --parts=a=2", "add up to 1"),
        (f"split --input=made {OUT} --parts=..=0.5,a=0.5", "by names for"),
        (f"split --input=made {OUT} --frames_per_record=-1", "a whole number of at least 0"),
        (f"split --input=made {OUT}", "there are fewer videos than parts, and video"),
        (f"split --input=made {OUT} --prefix=a", "unknown flag --prefix"),
        (f"synthesize {OUT} --blur=3", "blur must be in [0, 1]"),
        (f"synthesize {OUT} --height=1", "height must be at least 8"),
        (f"synthesize {OUT} --noise=nan", "--noise=nan: expected a number"),
        (
            f"synthesize {OUT} --output_format=frames --quality=3",
            "--quality means nothing for --output_format=frames",
        ),
    ],
)
def test_what_cannot_be_done_is_one_sentence(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "none.txt").write_text("\n")
    (tmp_path / "empty").mkdir()
    made(tmp_path / "made", videos=1, frames=1, height=16, width=16)
    (tmp_path / "made" / "a.txt").write_text("other\n")
    before = sorted(tmp_path.rglob("*"))
    capsys.readouterr()

    assert data.main(arguments.split()) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("verb", ["inspect", "validate", "convert", "split", "synthesize"])
def test_every_verb_has_help(verb, capsys):
    assert data.main([verb, "--help"]) == 0
    assert f"lstd-data {verb}" in capsys.readouterr().out
