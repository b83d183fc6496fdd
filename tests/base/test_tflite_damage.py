import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lstd.base import tflite_damage, tflite_metadata
from lstd.runtime import timed_models


@pytest.fixture(scope="module")
def content() -> bytes:
    """Returns a file of another program: one convolution."""
    return timed_models.convolution("float32")


@pytest.fixture
def ours(content: bytes, tmp_path: Path) -> Path:
    """Returns a file with metadata as the export writes them."""
    path = tmp_path / "model.tflite"
    facts = {"format": "lstd", "file": tflite_metadata.payload_facts(content)}
    path.write_bytes(tflite_metadata.embed(content, json.dumps(facts)))
    return path


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Returns the commands that were run."""
    run, found = subprocess.run, []

    def listed(command: list[str], **options: Any) -> Any:
        found.append(command)
        return run(command, **options)

    monkeypatch.setattr(subprocess, "run", listed)
    return found


def _change(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_a_file_of_ours_with_its_checksum_is_not_tried(ours: Path, commands: list) -> None:
    tflite_damage.check(ours)
    assert not commands


@pytest.mark.parametrize("place", [-1, -1000, 0, 12, 64])  # the last bytes, and the first
def test_a_changed_byte_in_a_file_of_ours_is_told(ours: Path, commands: list, place: int) -> None:
    _change(ours, place)
    with pytest.raises(ValueError, match=r"model\.tflite: .*damaged"):
        tflite_damage.check(ours)
    assert not commands


def test_a_changed_file_of_ours_is_tried_as_the_caller_says(ours: Path, commands: list) -> None:
    _change(ours, len(ours.read_bytes()) // 2)  # A weight.
    tflite_damage.check(ours, first_run="lstd.base.tflite_damage:run")
    assert "first_run('lstd.base.tflite_damage:run', " in commands[0][-1]


@pytest.mark.parametrize("program", ["", "/usr/bin/uwsgi"])
def test_a_program_that_is_no_python_is_not_started(
    content: bytes, tmp_path: Path, commands: list, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    (tmp_path / "a.tflite").write_bytes(content)
    monkeypatch.setattr("sys.executable", program)
    tflite_damage.check(tmp_path / "a.tflite")
    assert not commands


def test_any_other_file_is_tried_once(content: bytes, tmp_path: Path, commands: list) -> None:
    path = tmp_path / "a.tflite"
    path.write_bytes(content)
    for _ in range(2):
        tflite_damage.check(path)
    assert len(commands) == 1


def test_what_another_process_dies_of_is_told(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.tflite").write_bytes(content)
    ended = subprocess.CompletedProcess([], -11, "", "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: ended)
    with pytest.raises(ValueError, match=r"a\.tflite: damaged, .* is ended by SIGSEGV"):
        tflite_damage.check(tmp_path / "a.tflite")


def refuse(path: str) -> None:
    raise ValueError(f"{path}: {tflite_damage.NOT_RUNNABLE}why")


def test_what_another_process_says_is_said_once(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.tflite").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.tflite: damaged, or not runnable here: why$"):
        tflite_damage.check(tmp_path / "a.tflite", first_run=f"{__name__}:refuse")


def test_an_operator_that_reads_a_tensor_far_away_is_told(content: bytes, tmp_path: Path) -> None:
    from ai_edge_litert import schema_py_generated as schema

    operator = schema.Model.GetRootAs(content, 0).Subgraphs(0).Operators(0)
    place = operator._tab.Vector(operator._tab.Offset(6))  # its inputs
    path = tmp_path / "a.tflite"
    path.write_bytes(content[:place] + (2**24).to_bytes(4, "little") + content[place + 4 :])
    with pytest.raises(ValueError, match=r"a\.tflite: damaged, or not runnable here: "):
        tflite_damage.check(path)
