"""`lstd-data` and its verbs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lstd.cli import data
from lstd.tf1.load_config import load_config

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def test_config_to_yaml_writes_the_same_config_with_all_overrides(tmp_path, capsys):
    source, output = CONFIGS / "sowbug_demo.yaml", tmp_path / "out.yaml"

    code = data.main(
        [
            "config-to-yaml",
            f"--config={source}",
            f"--output={output}",
            "--config_override=model { ssd { post_processing { batch_non_max_suppression "
            "{ iou_threshold: 0.25 } } } }",
            "--set=train.steps=7",
        ]
    )

    assert code == 0, capsys.readouterr().err
    config = load_config(output)
    assert config.model.postprocessing.iou_threshold == 0.25
    assert config.train.steps == 7
    assert config.model.anchors == load_config(source).model.anchors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "a verb must come first"),
        (["config-to-yml"], "did you mean config-to-yaml?"),
        (["config-to-yaml"], "--config and --output must be given"),
        (["config-to-yaml", "--config=nowhere.yaml", "--output=x.yaml"], "cannot read the config"),
        (["config-to-yaml", "--confg=x"], "config"),
        (
            ["config-to-yaml", f"--config={CONFIGS / 'sowbug_demo.yaml'}", "--output=no/x.yaml"],
            "no such",
        ),
    ],
)
def test_what_cannot_be_done_is_one_sentence(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert data.main(arguments) == 2

    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def videos(tmp_path):
    """Three small videos as folders with tables, made by `lstd-data synthesize`."""
    pytest.importorskip("PIL.Image")
    folder = tmp_path / "videos"
    code = data.main(
        ["synthesize", f"--output_directory={folder}", "--output_format=frames", "--videos=3",
         "--frames=4", "--height=32", "--width=48", "--shapes=circle,square", "--seed=2"]
    )  # fmt: skip
    assert code == 0
    return folder


def test_convert_writes_shards_and_resumes(videos, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["convert", f"--input={videos}", f"--output_directory={out}", "--prefix=train",
                 "--frames_per_shard=4", "--image_format=jpeg", "--quality=50"]  # fmt: skip

    assert data.main(arguments) == 0
    assert "3 videos, 12 frames" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == [
        "index.json", "labels.txt", *(f"train-0000{n}-of-00003.tfrecord" for n in range(3))
    ]  # fmt: skip
    assert data.main(arguments) == 2
    assert "--resume goes on with it" in capsys.readouterr().err
    assert data.main([*arguments, "--resume"]) == 0


def test_split_writes_each_part(videos, tmp_path, capsys):
    out = tmp_path / "parts"

    assert data.main(["split", f"--input={videos}", f"--output_directory={out}",
                      "--parts=train=0.7,val=0.3"]) == 0  # fmt: skip
    names = {part: (out / f"{part}.txt").read_text().split() for part in ("train", "val")}
    assert sorted(names["train"] + names["val"]) == [f"synthetic_2_0000{n}" for n in range(3)]
    assert (out / "val" / "val-00000-of-00001.tfrecord").exists()
    capsys.readouterr()
    assert data.main(["convert", f"--input={videos}", f"--videos={out / 'val.txt'}",
                      f"--output_directory={tmp_path / 'one'}"]) == 0  # fmt: skip
    assert f"{len(names['val'])} videos" in capsys.readouterr().out


def test_split_touches_no_other_division(videos, tmp_path, capsys):
    out = tmp_path / "parts"
    arguments = ["split", f"--input={videos}", f"--output_directory={out}"]
    data.main(arguments)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    capsys.readouterr()

    assert data.main(arguments) == 2
    assert "train.txt is there already: --resume goes on with it" in capsys.readouterr().err
    assert data.main([*arguments, "--resume", "--parts=train=0.1,val=0.9"]) == 2
    assert "train.txt: what is there was divided in another way" in capsys.readouterr().err
    assert data.main([*arguments, "--resume"]) == 0
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_split_that_is_refused_leaves_nothing(tmp_path, capsys):
    for name in ("train/hive_1.png", "val/hive_1.png", "val/sky_1.png"):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / name).touch()
    (tmp_path / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [ant]\n")
    out = tmp_path / "out"

    assert data.main(["split", f"--input={tmp_path}", f"--output_directory={out}"]) == 2
    assert "another video has the name 'hive', too" in capsys.readouterr().err
    assert not out.exists()


def test_split_that_the_data_ended_is_corrected_by_the_same_command(videos, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["split", f"--input={videos}", f"--output_directory={out}"]
    assert data.main([*arguments, "--lists_only"]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["train.txt", "val.txt"]
    (name,) = (out / "val.txt").read_text().split()
    shutil.rmtree(out)
    picture = videos / name / "000002.png"
    sound = picture.read_bytes()
    picture.write_bytes(sound[:60])
    assert data.main(arguments) == 2
    assert "cannot be decoded" in capsys.readouterr().err
    assert (out / "train" / "index.json").exists()
    picture.write_bytes(sound)

    assert data.main(arguments) == 0
    assert "already there" not in capsys.readouterr().err
    assert data.main(arguments) == 2
    assert sorted(path.name for path in out.iterdir()) == ["train", "train.txt", "val", "val.txt"]
    assert not [path for path in out.glob("*/.*")]


def test_inspect_tells_and_draws(videos, tmp_path, capsys):
    sheet = tmp_path / "sheet.png"

    assert data.main(["inspect", f"--input={videos}", f"--output={sheet}", "--frames=2"]) == 0
    text = capsys.readouterr().out
    assert "videos 3, frames 12" in text
    assert "320 x 320 pixels against its 534 anchors" in text
    assert "--set model.num_classes=2 --set 'model.labels=[circle,square]'" in text
    assert sheet.read_bytes().startswith(b"\x89PNG")
    data.main(["inspect", f"--input={videos}", "--set=model.input_height=256",
               "--set=model.input_width=256"])  # fmt: skip
    assert "256 x 256 pixels against its 324 anchors" in capsys.readouterr().out


def test_validate_says_with_its_exit_code(videos, capsys):
    assert data.main(["validate", f"--input={videos}"]) == 0
    with (videos / "synthetic_2_00000.csv").open("a") as file:
        file.write("1,circle,,9,5,2,9\n")
    (videos / "synthetic_2_00001" / "000002.png").write_bytes(b"no")
    capsys.readouterr()

    assert data.main(["validate", f"--input={videos}"]) == 1
    text = capsys.readouterr().out
    assert "box_inverted: 1 x error" in text
    assert "frame 1, line" in text
    assert "corrupt_image: 1 x error" in text
    assert data.main(["validate", f"--input={videos}", "--nocheck_images",
                      "--on_problem=box_inverted=repair"]) == 0  # fmt: skip
    assert data.main(["validate", f"--input={videos}", "--problems=skip"]) == 0


def test_convert_answers_problems_as_told(videos, tmp_path, capsys):
    with (videos / "synthetic_2_00000.csv").open("a") as file:
        file.write("1,circle,,9,5,2,9\n")
    arguments = ["convert", f"--input={videos}"]

    assert data.main([*arguments, f"--output_directory={tmp_path / 'a'}"]) == 2
    error = capsys.readouterr().err
    assert "synthetic_2_00000.csv, frame 1, line" in error
    assert "(problem box_inverted; repair or skip would go on)" in error
    assert data.main([*arguments, f"--output_directory={tmp_path / 'b'}",
                      "--on_problem=box_inverted=skip"]) == 0  # fmt: skip
    assert "box_inverted: 1 x skip" in capsys.readouterr().out


def test_a_limit_of_boxes_has_its_answer_in_convert_and_validate(videos, tmp_path, capsys):
    arguments = [f"--input={videos}", "--max_boxes=1", "--on_problem=too_many_boxes=skip"]

    assert data.main(["validate", f"--input={videos}", "--max_boxes=1"]) == 1
    assert "too_many_boxes" in capsys.readouterr().out
    assert data.main(["validate", *arguments]) == 0
    told = capsys.readouterr().out
    assert data.main(["convert", *arguments, f"--output_directory={tmp_path / 'a'}"]) == 0
    (line,) = [line for line in told.splitlines() if line.startswith("too_many_boxes: ")]
    assert line in capsys.readouterr().out
    assert data.main(["convert", f"--input={videos}", f"--output_directory={tmp_path / 'b'}",
                      "--max_boxes=1"]) == 2  # fmt: skip
    assert "boxes, max_boxes is 1 (problem too_many_boxes; skip" in capsys.readouterr().err
    for verb in ("validate", "convert", "split"):
        directory = [f"--output_directory={tmp_path / 'c'}"] * (verb != "validate")
        assert data.main([verb, f"--input={videos}", *directory,
                          "--on_problem=too_many_boxes=skip"]) == 2  # fmt: skip
        assert "too_many_boxes means nothing without --max_boxes" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


def test_a_damaged_record_is_told_of_by_every_verb(videos, tmp_path, capsys):
    shards = tmp_path / "shards"
    data.main(["convert", f"--input={videos}", f"--output_directory={shards}"])
    (path,) = shards.glob("*.tfrecord")
    content = bytearray(path.read_bytes())
    content[-20] ^= 1  # in the last of three records
    path.write_bytes(content)
    capsys.readouterr()
    place = f"{path.name}: record 2 (from 0) is damaged"
    skip = "--on_problem=damaged_record=skip"

    assert data.main(["validate", f"--input={shards}"]) == 1
    assert place in capsys.readouterr().out
    assert data.main(["validate", f"--input={shards}", skip]) == 0
    assert "damaged_record: 1 x skip" in capsys.readouterr().out
    assert data.main(["inspect", f"--input={shards}"]) == 0
    assert place in capsys.readouterr().out
    for verb in ("convert", "split"):
        arguments = [verb, f"--input={shards}", f"--output_directory={tmp_path / verb}"]
        assert data.main(arguments) == 2
        assert place in capsys.readouterr().err
        assert data.main([*arguments[:2], f"--output_directory={tmp_path / verb}_2", skip]) == 0
        told = capsys.readouterr().out
        assert "damaged_record: 1 x skip" in told
        assert place in told


def test_synthesize_writes_shards_that_inspect_reads(tmp_path, capsys):
    pytest.importorskip("PIL.Image")
    out = tmp_path / "made"
    assert data.main(["synthesize", f"--output_directory={out}", "--videos=2", "--frames=3",
                      "--height=32", "--width=32", "--noise=2"]) == 0  # fmt: skip
    assert data.main(["inspect", f"--input={out}"]) == 0
    assert "sequence_example, 2 videos of 3, 3 frames, such as" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["inspect", "--input=made", "--output=sheet.jpg"], "sheet.jpg must end in .png"),
        (["inspect", "--input=made", "--output=no/sheet.png"], "--output: there is no folder no"),
        (["inspect", "--input=made", "--stills"], "stills means nothing for the format csv"),
        (["inspect", "--input=made", "--videos=none.txt"], "none.txt names no video"),
        (["validate", "--input=.", "--on_problem=box_inverted"], "is not problem=answer"),
        (["validate", "--input=made", "--problems=ignore"], "'ignore' is no answer to problems"),
        (["validate", "--input=made", "--examples=-1"], "--examples=-1: expected a whole"),
        (["convert", "--input=nowhere", "--output_directory=out"], "nowhere: there is no such"),
        (["convert", "--input=."], "--output_directory must be given"),
        (["convert", "--input=.", "--output_directory=out", "--formt=mot"], "did you mean format"),
        (
            ["convert", "--input=made", "--output_directory=out", "--quality=0"],
            "quality must be 1 ",
        ),
        (["convert", "--input=made", "--output_directory=made/a.csv"], "is a file, expected a fo"),
        (["split", "--input=.", "--output_directory=out", "--parts=a=2"], "add up to 1"),
        (
            ["split", "--input=made", "--output_directory=out", "--parts=..=0.5,a=0.5"],
            "by names fo",
        ),
        (["split", "--input=made", "--output_directory=out", "--quality=0"], "quality must be 1"),
        (["split", "--input=made", "--output_directory=out"], "there are 1 videos for 2 parts"),
        (
            ["split", "--input=made", "--output_directory=out", "--prefix=a"],
            "unknown flag --prefix",
        ),
        (["synthesize", "--output_directory=out", "--blur=3"], "blur must be in [0, 1]"),
        (["synthesize", "--output_directory=out", "--height=1"], "height must be at least 8"),
        (["synthesize", "--output_directory=out", "--noise=nan"], "--noise=nan: expected a number"),
        (
            ["synthesize", "--output_directory=out", "--output_format=frames", "--quality=3"],
            "--quality means nothing for --output_format=frames",
        ),
    ],
)
def test_mistakes_of_the_data_verbs_are_one_sentence(
    arguments, message, capsys, tmp_path, monkeypatch
):
    pytest.importorskip("PIL.Image")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "none.txt").write_text("\n")
    data.main(["synthesize", "--output_directory=made", "--output_format=frames", "--videos=1",
               "--frames=1", "--height=16", "--width=16"])  # fmt: skip
    (tmp_path / "made" / "a.csv").touch()
    before = sorted(tmp_path.rglob("*"))
    capsys.readouterr()

    assert data.main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    left = [path for path in sorted(tmp_path.rglob("*")) if path not in before]
    assert not [path for path in left if path.is_file()]


def test_an_empty_folder_is_answered_with_trees_in_lines(capsys, tmp_path):
    assert data.main(["inspect", f"--input={tmp_path}"]) == 2
    error = capsys.readouterr().err
    assert "an empty folder; expected one of\n" in error
    assert "\n    ILSVRC2015/\n      Annotations/VID/train/" in error


def test_every_verb_has_help(capsys):
    for verb in ("inspect", "validate", "convert", "split", "synthesize"):
        assert data.main([verb, "--help"]) == 0
        assert f"lstd-data {verb}" in capsys.readouterr().out
