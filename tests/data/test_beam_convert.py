"""Conversion by Apache Beam equals conversion on one machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lstd.data import convert, readers, record_files, synthesize
from lstd.data.convert import Settings

SCENE = synthesize.Scene(
    videos=4, frames=30, height=64, width=96, blur=0.5, occlusion=0.3, noise=3.0
)
SETTINGS = Settings(frames_per_record=8, frames_per_shard=20)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["multi_processing", "multi_threading"])
def test_beam_writes_the_same_records(tmp_path: Path, mode: str) -> None:
    pytest.importorskip("apache_beam")
    folder, many = tmp_path / "in", tmp_path / "many"
    synthesize.write_folders(synthesize.source(SCENE), folder)
    one = convert.convert(readers.open(folder), tmp_path / "one", SETTINGS, workers=1)
    flags = [f"--input={folder}", f"--output_directory={many}"]
    flags += ["--frames_per_record=8", "--frames_per_shard=20", "--beam=--runner=DirectRunner"]
    flags += [f"--beam=--direct_running_mode={mode}", "--beam=--direct_num_workers=2"]
    # In a process of its own: Beam starts threads and processes that outlive a pipeline.
    command = [sys.executable, "-m", "lstd.cli.data", "convert", *flags]
    subprocess.run(command, check=True, capture_output=True)

    assert json.loads((many / "index.json").read_text()) == one
    for shard in one["shards"]:
        assert (many / shard["file"]).read_bytes() == (
            tmp_path / "one" / shard["file"]
        ).read_bytes()
    assert len(one["shards"]) > 2


def test_a_folder_that_holds_a_conversion_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("apache_beam")
    (tmp_path / record_files.INDEX).write_text("{}")
    with pytest.raises(FileExistsError, match="holds a conversion already"):
        convert.convert_by_beam(synthesize.source(SCENE), str(tmp_path), SETTINGS)


def test_what_is_wrong_with_the_data_comes_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beam = pytest.importorskip("apache_beam")
    synthesize.write_folders(
        synthesize.source(synthesize.Scene(videos=1, frames=3, height=16, width=16)), tmp_path
    )
    (tmp_path / "synthetic_0_00000" / "000001.png").write_bytes(b"no")
    source = readers.open(tmp_path)

    def fail_as_a_runner_does(**_: object) -> None:
        plan = convert.make_plan(source, SETTINGS)
        try:
            convert._write_for_beam(0, directory=str(tmp_path), plan=plan)
        except ValueError as error:
            told = f"Traceback ...\nValueError: {error} [while running 'write']\n\nand more"
            raise RuntimeError(told) from None

    monkeypatch.setattr(beam, "Pipeline", fail_as_a_runner_does)
    with pytest.raises(
        ValueError, match=r"^\S+synthetic_0_00000\.csv, frame 1, .* or skip would go on\)$"
    ):
        convert.convert_by_beam(source, str(tmp_path / "out"), SETTINGS)


def test_without_beam_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(ImportError, match=r'pip install "lstd\[beam\]"'):
        convert.convert_by_beam(synthesize.source(SCENE), str(tmp_path), SETTINGS)
