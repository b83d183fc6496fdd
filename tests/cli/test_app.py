"""How commands parse their flags, and what they say when something fails."""

import errno
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from absl import flags

import lstd
from lstd.cli import app, common
from lstd.config import config_io
from lstd.config.config import Config

ROOT = Path(__file__).resolve().parents[2]

Main = Callable[[flags.FlagValues], "int | None"]


FLAGS: app.Flags = {
    **common.flags("config", "model", "output_directory", "schedule", "threads", "resume", "set"),
    "input": app.text("File to read."),
    "quantization": app.choice("How.", ["none", "float16"], "none"),
    "least": app.number("Least.", 0.5, least=0),
    "metrics": app.several("Which.", ["coco", "vid"]),
}


def run(*argv: str, main: Main = lambda values: None, required: tuple[str, ...] = ()) -> int:
    """Returns the exit code of a command with flags of all kinds."""
    return app.run(
        main,
        FLAGS,
        program="lstd-try",
        description="Tries it.\n\n    lstd-try --input a.mp4\n",
        required=required,
        argv=argv,
    )


def failing(error: BaseException) -> Main:
    def main(_: flags.FlagValues) -> None:
        raise error

    return main


def test_flags_of_all_kinds_are_parsed() -> None:
    arguments = ["--pipeline_config_path", "a.yaml", "--threads=2", "--resume", "--set", "a.b=2"]
    arguments += ["--quantization", "float16", "--set", "model.labels=[a]"]

    values = app.parse(FLAGS, arguments, program="lstd-try")

    assert (values.config, values.threads, values.resume) == ("a.yaml", 2, True)
    assert (values.quantization, values.set) == ("float16", ["a.b=2", "model.labels=[a]"])
    assert (values.least, values.metrics, values.schedule) == (0.5, ["coco", "vid"], "")
    again = app.parse(FLAGS, ["--input", "c"], program="lstd-try")
    assert (again.set, again.resume, again.input) == ([], False, "c")  # two share nothing


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("a-b c-d.mp4 --output-directory e-f", ("a-b", "c-d.mp4", "e-f", True)),
        ("c.mp4 --model=a --output_directory e --no-switch", ("a", "c.mp4", "e", False)),
        ("a --input c --output-directory=e --noswitch", ("a", "c", "e", False)),
        ("-- --a-b --output-directory", ("--a-b", "--output-directory", "", True)),
    ],
)
def test_model_and_input_need_no_flag_and_flags_may_have_dashes(
    arguments: str, expected: tuple[Any, ...]
) -> None:
    table = {**FLAGS, "switch": app.switch("On.", default=True)}
    values = app.parse(table, arguments.split(), program="lstd-try")
    found = (values.model, values.input, values.output_directory, values.switch)
    assert found == expected


def test_a_command_that_takes_only_input_takes_one_value_without_a_flag() -> None:
    table = {"input": app.several("Data."), "output_directory": app.text("Where.")}
    values = app.parse(table, ["a,b", "--output-directory", "c"], program="lstd-try")
    assert (values.input, values.output_directory) == (["a", "b"], "c")
    with pytest.raises(ValueError, match="unexpected argument 'b' after --input=a;"):
        app.parse(table, ["a", "b"], program="lstd-try")


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["--treads=2"], ["--treads", "did you mean threads?"]),
        (["--output_dir", "a"], ["--output_dir", "did you mean output_directory?"]),
        (["--threads=-1"], ["--threads=-1: expected a whole number of at least 0"]),
        (["--threads=9999999"], ["--threads is 9999999, expected at most 1024"]),
        (["--quantization=flaot16"], ["none, float16", "did you mean float16?"]),
        (["--least=nan"], ["--least=nan: expected a number of at least 0"]),
        (["--input"], ["--input"]),
        (["a", "b", "c.mp4"], ["'c.mp4' after --model=a and --input=b", "--flag c.mp4"]),
        (["--input=a", "--model=b", "--", "--c-d"], ["unexpected argument '--c-d'; a value"]),
        (["--resume=perhaps"], ["--resume=perhaps: expected true or false"]),
        (["--output_directory=gs://bucket/a"], ["gs://bucket/a is no folder of this machine"]),
        (["--config", "a", "--input", "b"], ["--output_directory and --model must be given"]),
    ],
)
def test_bad_arguments_are_one_sentence_and_exit_code_2(
    argv: list[str], told: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    called = []

    code = run(*argv, main=called.append, required=("config", "output_directory", "model"))

    assert code == 2
    assert not called
    _assert_one_sentence(capsys, *told)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("two\n  lines"), "two lines"),
        (ValueError(), "said nothing"),
        (config_io.ConfigError("a.yaml: no"), "a.yaml: no"),
        (
            FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "a.mp4"),
            "a.mp4: no such file",
        ),
        (PermissionError(errno.EACCES, "Permission denied", b"a\xff"), "permission denied"),
        (OSError("half a file"), "half a file"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "invalid start byte"),
        (MemoryError(), "out of memory"),
        (ModuleNotFoundError("No module named 'av'", name="av"), "pip install 'lstd[video]'"),
        (RecursionError("maximum recursion depth exceeded"), "what was read is nested too deeply"),
        (ValueError("9" * 5000), "999 ... (5000 characters)"),
    ],
)
def test_failures_are_one_sentence_and_exit_code_2(
    error: Exception, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(main=failing(error)) == 2

    _assert_one_sentence(capsys, told)


def _damaged_records(path: Path) -> None:
    (path / "bad.tfrecord").write_bytes(b"this is long enough to be no record")
    list(tf.data.TFRecordDataset(str(path / "bad.tfrecord")))


def _exhausted(message: str) -> Callable[[Path], None]:
    """Returns what fails as TensorFlow words it, without filling the memory or the disk."""

    def fail(_: Path) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, message)

    return fail


def _bad_image_in_a_dataset(_: Path) -> None:
    list(tf.data.Dataset.from_tensor_slices([b"abc"]).map(tf.io.decode_jpeg))


@pytest.mark.parametrize(
    ("fail", "told"),
    [
        (lambda path: tf.io.read_file(str(path / "none")), ["not found: ", "none"]),
        (_damaged_records, ["damaged", "corrupted record at 0"]),
        (
            _exhausted("{{function_node __wrapped__Fill}} OOM at shape[9,9] [Op:Fill]"),
            ["out of memory", "shape[9,9]\n"],
        ),
        (
            _exhausted("/runs/step-1.data; No space left on device [Op:SaveV2]"),
            ["error: the disk is full: /runs/step-1.data; No space left on device\n"],
        ),
        (lambda _: tf.function(tf.io.decode_jpeg)(tf.constant(b"abc")), ["Unknown image file"]),
        (_bad_image_in_a_dataset, ["Unknown image file format"]),
        (lambda path: tf.train.load_checkpoint(str(path / "model.ckpt")), ["model.ckpt"]),
    ],
)
def test_tensorflow_errors_are_one_sentence_without_its_graph(
    fail: Callable[[Path], None],
    told: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(main=lambda _: fail(tmp_path) and None) == 2

    sentence = _assert_one_sentence(capsys, *told)
    assert not re.search(r"function_node|\[Op:|\{\{node|Detected at", sentence)


def test_other_exceptions_are_bugs_and_go_through() -> None:
    for error in (KeyError("x"), ImportError("circular"), TypeError("x"), AttributeError("x")):
        with pytest.raises(type(error)):
            run(main=failing(error))


def test_debug_shows_the_traceback_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LSTD_DEBUG", "1")

    assert run(main=failing(ValueError("odd"))) == 2

    told = capsys.readouterr().err
    assert "Traceback" in told
    assert told.endswith("lstd-try: error: odd\n")


def test_ctrl_c_ends_with_130_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(main=failing(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "\nlstd-try: stopped; what is done is kept for --resume\n"


def test_help_names_every_flag_with_its_default_and_does_not_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    called: list[object] = []

    assert run("--help", main=called.append, required=("model",)) == 0

    told = capsys.readouterr().out
    assert not called
    assert told.startswith("Tries it.\n\n    lstd-try --input a.mp4\n")
    for part in (
        *("--resume", "--set", "--help", "--version", "--version_report"),
        "--quantization none|float16\n      How. (default: none)",
        "--metrics A,B,...\n      Which. (default: coco,vid)",
        "  --config VALUE (also --pipeline_config_path)\n      Config: a YAML file",
        "such as freedoom_s.\n      Required.\n  --output",
        "What\nstands without a flag is --model, then --input.\n\n",
        "Exit codes: 0 done; 2 ",
    ):
        assert part in told
    assert told.count("Required.") == 1
    assert max(map(len, told.splitlines())) <= 100
    assert run("--version") == 0
    version = f"lstd-try {lstd.__version__}, tensorflow {tf.__version__}, tf-keras 2."
    assert capsys.readouterr().out.startswith(version)


def test_version_report_says_what_a_bug_report_needs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"TF_ENABLE_ONEDNN_OPTS": "0", "TF_CPU_ALLOCATOR_USE_BFC": "false"}
    for name, value in {**settings, "TF_VAR_password": "secret"}.items():
        monkeypatch.setenv(name, value)
    called: list[object] = []

    assert run("--version_report", main=called.append, required=("model",)) == 0

    told = capsys.readouterr().out
    rows = dict(line.split(maxsplit=1) for line in told.splitlines() if len(line.split()) > 1)
    assert not called
    assert rows["lstd"].startswith(lstd.__version__)
    assert (rows["tensorflow"], rows["numpy"]) == (tf.__version__, np.__version__)
    assert "CPU:0" in rows["devices"]
    assert {name: rows[name] for name in settings} == settings
    assert "cores" in rows
    assert "secret" not in told


def test_settings_are_applied_to_the_config_and_answered_with_the_close_match(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.yaml").write_text("train: {steps: 7, seed: 3}\n")
    arguments = [f"--config={tmp_path / 'a.yaml'}", "--set", "train.steps=9"]

    config = common.config_of(app.parse(FLAGS, arguments, program="lstd-try"))

    assert (config.train.steps, config.train.seed) == (9, 3)
    assert run("--set=train.step=1", main=lambda v: common.overridden(Config(), v) and None) == 2
    _assert_one_sentence(capsys, "train.step", "did you mean 'steps'?")
    table = common.flags("set", "config_override")
    values = app.parse(table, ["--config_override=train.steps=9"], program="lstd-train")
    with pytest.raises(ValueError, match=r"num_steps: 9 \}'; say --set train\.steps=9"):
        common.overridden(Config(), values)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("sowbgu.mp4", r"^--input: no file .*sowbgu.mp4; did you mean .*sowbug.mp4\?$"),
        ("zzzz", r"^--input: no file .*zzzz$"),
        ("folder", r"^--input: .*folder is a folder, expected a file$"),
        ("none/a.mp4", r"^--input: no file .*a.mp4: there is no folder .*none$"),
    ],
)
def test_missing_file_is_named_with_its_close_match(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "sowbug.mp4").write_bytes(b"")
    (tmp_path / "folder").mkdir()

    with pytest.raises(ValueError, match=told):
        common.existing_file(str(tmp_path / name), flag="--input")


def test_writable_directory_is_made_and_left_empty_or_says_what_is_in_the_way(
    tmp_path: Path,
) -> None:
    folder = common.writable_directory(str(tmp_path / "a" / "b"))

    assert folder == common.writable_directory(str(folder)) == tmp_path / "a" / "b"
    assert list(folder.iterdir()) == []
    (tmp_path / "out").write_text("")
    for below in ("", "/deeper/still"):
        with pytest.raises(ValueError, match=r"^--output_directory: .*/out is a file, expected a "):
            common.writable_directory(f"{tmp_path}/out{below}")
    if Path("/proc/self").exists():  # a folder that root cannot write to either
        with pytest.raises(ValueError, match=r"^--output_directory: cannot write to /proc/none: "):
            common.writable_directory("/proc/none")


def test_threads_after_tensorflow_has_begun_are_said_to_have_no_effect(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tf.constant(1) + 1
    before = tf.config.threading.get_intra_op_parallelism_threads()

    common.use_threads(0)
    assert capsys.readouterr().err == ""
    common.use_threads(before + 1)

    assert "no effect" in capsys.readouterr().err
    assert tf.config.threading.get_intra_op_parallelism_threads() == before


COMMAND = """
import sys
from lstd.cli import app, common

def main(values):
    import tensorflow as tf
    common.use_threads(values.threads)
    print(int(tf.constant(1) + 1), tf.config.threading.get_intra_op_parallelism_threads())
    for number in range(values.threads * 20000):
        print(number)

sys.exit(app.run(main, common.flags("threads"), program="lstd-try"))
"""


# Not what the tests themselves run under: what a user has.
USUAL = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}


@pytest.mark.parametrize("argument", ["--threads=1", "--help"])
def test_a_closed_pipe_ends_the_process_quietly(argument: str) -> None:
    """Nor has TensorFlow greeted by then."""
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, argument],
        env=USUAL,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        if argument != "--help":  # which ends at once, so the pipe must be closed before
            assert process.stdout.readline() == "2 1\n"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=60) == 141


def test_missing_stdout_is_no_failure() -> None:
    command = f'"{sys.executable}" -c "$COMMAND" --help >&- 2>&-'
    done = subprocess.run(["sh", "-c", command], env={**USUAL, "COMMAND": COMMAND}, cwd=ROOT)
    assert done.returncode == 0


def test_full_stdout_is_one_sentence() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", COMMAND, "--help"], cwd=ROOT, stdout=full, stderr=-1, text=True
        )
    assert (done.returncode, done.stderr) == (2, "lstd-try: error: no space left on device\n")


def test_warning_is_one_sentence_without_our_code() -> None:
    shown = []

    def main(_: flags.FlagValues) -> None:  # pytest takes those that are given
        shown.append(warnings.formatwarning(UserWarning("old"), UserWarning, "a.py", 3))

    usual = warnings.formatwarning
    assert run(main=main) == 0
    assert shown == ["lstd-try: warning: old\n"]
    assert warnings.formatwarning is usual


def _assert_one_sentence(capsys: pytest.CaptureFixture[str], *told: str) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("lstd-try: error: ")
    assert captured.err.count("\n") == 1
    for part in told:
        assert part in captured.err
    return captured.err


def test_error_is_red_on_a_terminal_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = []
    for settings in ({"TERM": "xterm"}, {"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb"}):
        monkeypatch.delenv("NO_COLOR", raising=False)
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        run(main=failing(ValueError("no")))
        shown.append(capsys.readouterr().err)

    plain = "lstd-try: error: no\n"
    assert shown == ["lstd-try: \x1b[31merror:\x1b[0m no\n", plain, plain]
