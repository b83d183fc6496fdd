import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lstd.any_model import open_model
from lstd.cli import export, export_run
from lstd.config import config_io
from lstd.config.config import Config, EvaluationConfig, ExportConfig
from lstd.config.data_config import DataConfig, DatasetConfig
from lstd.export import fidelity, file_format, representative, tflite
from lstd.export.options import ExportOptions
from lstd.runtime.detector import VideoDetector
from lstd.training import weights_file
from tests import tiny
from tests.data import records
from tests.export import exports
from tests.export.tiny_model import TinyModel, images
from tests.golden import reference as golden


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns a run folder whose model is the stand-in, which loads and converts quickly."""
    folder = tmp_path / "run"
    folder.mkdir()
    config = Config(model=tiny.CONFIG, export=ExportConfig(max_detections=7))
    config_io.save_config(config, folder / "config.yaml")

    def load(found: open_model.Found, config: Config, weights: str) -> TinyModel:
        if config.model.num_classes != tiny.CONFIG.num_classes:
            raise ValueError("another shape")
        return TinyModel()

    monkeypatch.setattr(open_model, "load", load)
    return folder


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _facts(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "model.json").read_text())


def test_all_files_are_written_and_the_steps_and_sizes_told(
    run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "new" / "out"
    assert export.main([f"--model={run}", f"--output_directory={output}"]) == 0
    assert _names(output) == ["model.json", "model.tflite", "saved_model"]
    assert _facts(output)["postprocessing"]["max_detections"] == 7  # the config's
    assert VideoDetector(output / "model.tflite").labels == ("cat", "dog", "owl")
    text = capfd.readouterr().out
    for step in ("loading", "tracing", "converting", "checking", "metadata", "done"):
        assert step in text
    size = f"{(output / 'model.tflite').stat().st_size:,} bytes (0.0 MB)"
    assert f"{output / 'model.tflite'}: {size}, entry points large, small" in text
    assert re.search(r"large: \d+ operators, XNNPACK runs at least \d+", text)
    assert re.search(r"detection_boxes \d\.\de-\d+, detection_scores \d\.\de-\d+", text)
    assert f"{output / 'saved_model'}: " in text
    assert "with XNNPACK: within " in text


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        # The config's, of which those without effect are left out.
        ([], {"max_detections": 7, "postprocessing": True, "signature": "streaming"}),
        ([], {"detections_per_class": None, "unroll_length": None, "cell": None}),
        (["--use_regular_nms"], {"detections_per_class": 100, "use_regular_nms": True}),
        (
            ["--set=export.use_regular_nms=true", "--detections_per_class=9"],
            {"detections_per_class": 9, "use_regular_nms": True},
        ),
        (["--noadd_postprocessing_op"], {"postprocessing": False, "max_detections": None}),
        (
            ["--signature=clip", "--set=data.evaluation.unroll_length=6"],
            {"signature": "clip", "unroll_length": 6},
        ),
        (
            ["--signature=clip", "--unroll_length=5", "--cell=separate", "--check_frames=9"],
            {"unroll_length": 5, "cell": "separate", "check_frames": 9},
        ),
        (["--input_type=uint8", "--network=small"], {"input_type": "uint8", "network": "small"}),
        (
            ["--max_detections=3", "--labels=a,b,c", "--schedule=SKIP9"],
            {"max_detections": 3, "labels": ("a", "b", "c"), "schedule": "SKIP9"},
        ),
    ],
)
def test_flags_and_config_reach_the_export(
    flags: list[str],
    expected: dict[str, Any],
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(tflite, "export_all", lambda *_, **options: given.update(options) or ())
    assert export.main([f"--model={run}", f"--output_directory={tmp_path}", *flags]) == 0
    assert {name: given.get(name) for name in expected} == expected
    del given["notify"]
    ExportOptions(**given)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--max_detections=0"], "--max_detections=0: "),
        (["--labels=a,b"], "2 names given, the model has 3 classes"),
        (["--set=model.num_classes=7"], "do not fit the model"),
        (["--signature=clips"], "expected one of streaming, clip; did you mean clip?"),
        (["--check_frames=2"], "--check_frames=2: "),
        (["--moving_averages=true"], "--moving_averages=true asks for the moving averages, but"),
        (
            ["--set=evaluation.use_moving_averages=true"],
            "--moving_averages=auto follows evaluation.use_moving_averages of the config",
        ),
        (
            ["--moving_averages=true", "--weights=best"],
            "--moving_averages=true and --weights=best contradict each other",
        ),
        (
            ["--moving_averages=false", "--weights=average"],
            "--moving_averages=false and --weights=average contradict each other",
        ),
        (
            ["--model={run}/last.weights.h5", "--moving_averages=true"],
            "last.weights.h5 contradict each other",
        ),
        (["--model={run}/last.weights.h5", "--weights=best"], "--weights=best and --model="),
        (["--output_directory={run}/last.weights.h5/out"], "out: cannot write there: "),
        (["--trained_checkpoint_prefix=other"], "contradict each other; give one of them"),
        (["--export_path=a.tflite"], "--saved_model_path is missing"),
        (["--saved_model_path=a"], "--export_path is missing"),
        (
            ["--saved_model_path=a", "--export_path=b", "--max_detections=3"],
            "--saved_model_path and --max_detections, --model, --output_directory contradict each",
        ),
        (["--check=a.tflite"], "--check and --output_directory contradict each other"),
        (["--config_override=model {{ ssd {{"], "--config_override"),
        (["--quantization=int8", "--representative_data=no/such.mp4"], "--representative_data"),
        (["--quantization=int8", "--representative_data=no/such-*.tfrecord"], "no file matches"),
    ],
)
def test_a_wrong_value_is_one_sentence_and_nothing_is_written(
    flags: list[str], message: str, run: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    (run / "last.weights.h5").touch()
    usual = [f"--model={run}", f"--output_directory={tmp_path / 'out'}"]
    assert message in refused(export.main, *usual, *(flag.format(run=run) for flag in flags))
    assert _names(tmp_path) == ["run"]


def test_an_export_that_fails_its_check_keeps_the_old_one(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
) -> None:
    monkeypatch.setattr(file_format, "with_options", lambda content, *_: content)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model.json").write_text("old")
    told = refused(export.main, f"--model={run}", f"--output_directory={tmp_path / 'out'}")
    assert "lacks the right detections_per_class" in told
    assert _names(tmp_path / "out") == ["model.json"]
    assert (tmp_path / "out" / "model.json").read_text() == "old"


@pytest.mark.parametrize(
    ("flags", "averages", "expected"),
    [
        ([], False, "best"),
        ([], True, "average"),
        (["--moving_averages=false"], True, "best"),
        (["--moving_averages=true"], False, "average"),
        (["--weights=last"], True, "last"),
        (["--weights=average", "--moving_averages=true"], False, "average"),
    ],
)
def test_moving_averages_choose_the_weights(
    flags: list[str],
    averages: bool,
    expected: str,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    evaluation = EvaluationConfig(use_moving_averages=averages)
    config_io.save_config(Config(model=tiny.CONFIG, evaluation=evaluation), run / "config.yaml")
    (run / "average.weights.h5").touch()
    seen: list[str] = []
    monkeypatch.setattr(
        open_model, "load", lambda found, config, weights: seen.append(weights) or TinyModel()
    )
    monkeypatch.setattr(tflite, "export_all", lambda *_, **__: ())
    assert export.main([f"--model={run}", f"--output_directory={tmp_path}", *flags]) == 0
    assert seen == [expected]


def test_two_steps_give_what_one_gives(
    run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], refused: Callable[..., str]
) -> None:
    one, two = tmp_path / "one", tmp_path / "two" / "second.tflite"
    assert export.main([f"--model={run}", f"--output_directory={one}", "--labels=a,b,c"]) == 0
    assert _names(one / "saved_model") >= ["assets", "fingerprint.pb", "model.json"]
    flags = [f"--saved_model_path={one / 'saved_model'}", f"--export_path={two}"]
    assert export.main([*flags, "--schedule=SKIP7"]) == 0
    assert "second.tflite: " in capfd.readouterr().out
    facts, again = _facts(one), json.loads(two.with_suffix(".json").read_text())
    assert again["schedule"]["default"] == "SKIP7"
    assert again["file"]["name"] == "second.tflite"
    for key in ("labels", "entry_points", "postprocessing", "state", "input", "golden_frame"):
        assert again[key] == facts[key], key
    assert VideoDetector(two).schedule == "SKIP7"
    for flag, message in (
        ("--labels=a,b", "2 names given, the model has 3 classes"),
        ("--schedule=SKIP", "unknown schedule 'SKIP'"),
        ("--input_type=uint8", "--saved_model_path and --input_type contradict each other"),
        ("--cell=fused", "--saved_model_path and --cell contradict each other: a SavedModel is"),
    ):
        assert message in refused(export.main, *flags, flag)


def test_check_prints_entry_points_and_findings(
    run: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    flags = [f"--check={exports.file()}", "--check_frames=5"]
    assert export.main([*flags, f"--model={run}"]) == 0
    text = capfd.readouterr().out
    assert "entry point small:\n  in  image  float32 [1, 32, 64, 3]\n" in text
    assert "  out detection_boxes  float32 [1, 10, 4]\n" in text
    for name in ("metadata", "facts", "delegate", "state carried", "CompiledModel", "golden frame"):
        assert re.search(rf"^ok +{name} ", text, re.MULTILINE), name
    assert "5 calls" in text
    assert re.search(r"^ok +Keras +with XNNPACK within \d", text, re.MULTILINE)
    assert text.endswith("8 checks passed, 0 not possible\n")
    assert export.main(flags) == 0
    assert "Keras            no --model was given" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("", "--model and --output_directory must be given"),
        ("--model={0}/missing --output_directory={0}/new", "--model: no file or folder "),
        ("--model={0}/empty --output_directory={0}/new", "is no model: a folder of one holds"),
        ("--model={0}/a.tflite --output_directory={0}/new", "--check looks at a .tflite"),
        (
            "--trained_checkpoint_prefix={0}/lost --output_directory={0}/new",
            "error: --trained_checkpoint_prefix: no file or folder",
        ),
        ("--saved_model_path={0}/none --export_path={0}/new/a", "--saved_model_path: no folder "),
        ("--saved_model_path={0}/empty --export_path={0}/new/a", "it has no saved_model.pb"),
        (
            "--saved_model_path={0}/other --export_path={0}/new/a",
            "no model.json in this SavedModel, so it is not one that lstd-export wrote",
        ),
        ("--saved_model_path={0} --export_path={0}", "is a folder, expected the name of a .tflite"),
        ("--check=", "--check must name a .tflite"),
        ("--check={0}/a.tflite", "this is not a TFLite file"),
        ("--check={0}/a.tflite --weights=best", "--weights says what the file is compared with"),
        ("--check={0}/a.tflite --max_detections=3", "--check and --max_detections contradict each"),
        ("--check={0}/a.tflite --check_frames=1", "--check_frames=1: "),
    ],
)
def test_what_is_no_model_is_one_sentence_and_nothing_is_written(
    flags: str, message: str, tmp_path: Path, refused: Callable[..., str]
) -> None:
    for name in ("a.tflite", "empty/", "other/saved_model.pb"):
        path = tmp_path / name
        (path if name.endswith("/") else path.parent).mkdir(exist_ok=True)
        if not name.endswith("/"):
            path.write_bytes(b"x")
    before = sorted(tmp_path.rglob("*"))
    assert message in refused(export.main, *flags.format(tmp_path).split())
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.slow
def test_a_real_run_is_exported_with_a_changed_threshold(tmp_path: Path) -> None:
    config = Config(model=tiny.FIRST_PAPER)
    model = tiny.model(tiny.FIRST_PAPER)
    config_io.save_config(config, tmp_path / "config.yaml")
    weights_file.save(model, tmp_path / "last.weights.h5")
    output = tmp_path / "out"
    flags = [f"--model={tmp_path}", f"--output_directory={output}", "--weights=last"]
    assert export.main([*flags, "--set=model.postprocessing.iou_threshold=0.4"]) == 0
    facts = _facts(output)
    assert facts["postprocessing"]["nms_iou_threshold"] == pytest.approx(0.4)
    assert list(facts["entry_points"]) == ["step"]
    detections = VideoDetector(output / "model.tflite")(tiny.clip(1)[0, 0])
    assert detections.count == 10
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    weights_file.save(model, elsewhere / "some.weights.h5")
    flags = [f"--model={elsewhere / 'some.weights.h5'}", f"--output_directory={output}"]
    assert export.main([*flags, f"--config={tmp_path / 'config.yaml'}"]) == 0
    again = _facts(output)
    assert again["golden_frame"]["expected"]["step"]["lstm_h_out_mean"] == pytest.approx(
        facts["golden_frame"]["expected"]["step"]["lstm_h_out_mean"]
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::lstd.tf1.pipeline_config.PipelineConfigWarning")
def test_a_checkpoint_of_the_original_is_exported_with_its_flags(
    tmp_path: Path, refused: Callable[..., str]
) -> None:
    config, prefix = (
        str(golden.reference(name)) for name in ("v1_small.config", "v1_small.ckpt.index")
    )
    output = tmp_path / "out"
    flags = [
        f"--pipeline_config_path={config}",
        f"--trained_checkpoint_prefix={prefix.removesuffix('.index')}",
        f"--output_directory={output}",
        "--config_override=model { ssd { post_processing { batch_non_max_suppression "
        "{ iou_threshold: 0.4 } } } }",
    ]
    told = refused(export.main, *flags, "--moving_averages=true")
    assert "v1_small.ckpt holds none; --moving_averages=false exports" in told
    assert export.main([*flags, "--moving_averages=false"]) == 0
    facts = _facts(output)
    assert list(facts["entry_points"]) == ["step"]
    assert facts["postprocessing"]["nms_iou_threshold"] == pytest.approx(0.4)
    averages = prefix.replace("v1_small.ckpt.index", "v1_small_ema.ckpt")
    flags[1] = f"--trained_checkpoint_prefix={averages}"
    assert export.main([*flags, "--moving_averages=true"]) == 0
    changed = _facts(output)["golden_frame"]["expected"]["step"]["lstm_h_out_mean"]
    assert changed != facts["golden_frame"]["expected"]["step"]["lstm_h_out_mean"]


def test_quantised_from_a_folder_of_images(
    run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    image = pytest.importorskip("PIL.Image")
    folder = tmp_path / "frames"
    folder.mkdir()
    for number, pixels in enumerate(images(4).astype("uint8")):
        image.fromarray(pixels).save(folder / f"{number}.png")
    output = tmp_path / "out"
    flags = [f"--model={run}", f"--output_directory={output}", "--quantization=int8"]
    flags += [f"--representative_data={folder}", "--representative_frames=3", "--cell=separate"]
    assert export.main(flags) == 0
    facts = _facts(output)
    assert facts["quantization"] == "int8"
    assert facts["cell"] == "separate"
    assert facts["fidelity"]["num_frames"] == 3
    told = capfd.readouterr().out
    assert "converting to TFLite in int8, ranges from 3 frames" in told
    assert "3 frames: scores differ by " in told


def test_representative_records_are_read_at_the_models_size_with_their_truth(
    tmp_path: Path,
) -> None:
    path = records.write(tmp_path / "a.tfrecord", records.video_of("a", 3))
    of_others = DatasetConfig(format="coco", folders=True)  # what the config says of its own files
    data = DataConfig(evaluation=of_others)
    found = export_run.representative_data(str(path), TinyModel(), data)
    frames = representative.read(found, limit=9)
    assert [frame.number for frame in frames] == [0, 1, 2]
    for frame in frames:
        assert frame.image.shape == (32, 64, 3)
        assert frame.truth is not None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("notes.txt", "neither TFRecords, nor a video file, nor a folder of images"),
        ("text.tfrecord", "not a TFRecord file"),
        ("text.mp4", "not a video that FFmpeg can read"),
        ("folder", "holds no image"),
        ("none.mp4", "no file"),
    ],
)
def test_representative_data_of_another_kind_is_one_sentence(
    name: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    for file in ("notes.txt", "text.tfrecord", "text.mp4"):
        (tmp_path / file).write_text("hello " * 50)

    def read() -> None:
        found = export_run.representative_data(str(tmp_path / name), TinyModel(), DataConfig())
        representative.read(found, limit=9)

    with pytest.raises(ValueError, match=message) as caught:
        read()
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_was_not_compared_with_the_model_does_not_pass(
    run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.tflite"
    path.write_bytes(exports.converted(exports.module()))
    assert export.main([f"--check={path}", f"--model={run}"]) == 2
    assert "was not compared with the model: without metadata" in capfd.readouterr().err
    for quantization, message in (
        ("int8", "was not compared with the model: on a test pattern"),
        ("float16", "does not pass: Keras"),
    ):
        file = exports.file(quantization)  # Made before the limit changes.
        monkeypatch.setitem(fidelity.LIMITS, quantization, 1e-9)
        assert export.main([f"--check={file}", f"--model={run}"]) == 2
        assert message in capfd.readouterr().err


def test_a_quantised_file_is_checked_on_frames_of_ones_own(
    run: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = exports.file("int8", schedule="SKIP3", labels=("a", "b", "c"))
    monkeypatch.setattr(export_run, "representative_data", lambda *_: [exports.DATA])
    flags = [f"--check={path}", f"--model={run}", "--representative_data=x"]
    assert export.main(flags) == 2
    printed = capfd.readouterr()
    assert "does not pass: facts" in printed.err
    assert "; give --labels and --schedule if the export had them" in printed.out
    assert export.main([*flags, "--schedule=SKIP3", "--labels=a,b,c"]) == 0
    assert "on representative data, 12 frames" in capfd.readouterr().out
