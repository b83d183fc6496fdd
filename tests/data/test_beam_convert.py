"""Conversion by Apache Beam equals conversion on one machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lstd.data import beam_convert, convert, readers, record_files, synthesize
from lstd.data.convert import Settings

SCENE = synthesize.Scene(
    videos=4, frames=30, height=64, width=96, blur=0.5, occlusion=0.3, noise=3.0
)
SETTINGS = Settings(frames_per_record=8, frames_per_shard=20)

# In a process of its own: Beam starts threads and processes that outlive a pipeline.
SCRIPT = f"""
import sys
from lstd.data import beam_convert, synthesize
from lstd.data.convert import Settings

if __name__ == "__main__":
    source = synthesize.source(synthesize.{SCENE!r})
    beam_convert.convert(
        source, sys.argv[1], Settings(frames_per_record=8, frames_per_shard=20),
        beam_convert.options(sys.argv[2:]),
    )
"""


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["multi_processing", "multi_threading"])
def test_beam_writes_the_same_records(tmp_path: Path, mode: str) -> None:
    pytest.importorskip("apache_beam")
    one = convert.convert(synthesize.source(SCENE), tmp_path / "one", SETTINGS, workers=1)
    (tmp_path / "beam.py").write_text(SCRIPT)
    many = tmp_path / "many"
    options = ["--runner=DirectRunner", f"--direct_running_mode={mode}", "--direct_num_workers=2"]
    subprocess.run(
        [sys.executable, str(tmp_path / "beam.py"), str(many), *options],
        check=True,
        capture_output=True,
    )

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
        beam_convert.convert(
            synthesize.source(synthesize.Scene(videos=1, frames=1)), str(tmp_path), SETTINGS
        )


def test_what_is_wrong_with_the_data_comes_as_it_is(tmp_path: Path) -> None:
    pytest.importorskip("apache_beam")
    synthesize.write_folders(
        synthesize.source(synthesize.Scene(videos=1, frames=3, height=16, width=16)), tmp_path
    )
    (tmp_path / "synthetic_0_00000" / "000001.png").write_bytes(b"no")
    with pytest.raises(ValueError, match="a shard cannot") as raised:
        beam_convert._write(
            convert.make_plan(readers.open(tmp_path), SETTINGS).shards[0],
            directory=str(tmp_path / "out"),
            labels=(),
            settings=SETTINGS,
        )
    told = f"Traceback ...\nValueError: {raised.value} [while running 'write']\n\nand more"
    with pytest.raises(
        ValueError, match=r"^\S+synthetic_0_00000\.csv, frame 1, .* or skip would go on\)$"
    ):
        fail_as_a_runner_does(told)


def fail_as_a_runner_does(told: str) -> None:
    with beam_convert._errors_of_shards():
        raise RuntimeError(told)


def test_without_beam_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(ImportError, match=r'pip install "lstd\[beam\]"'):
        beam_convert.options([])
