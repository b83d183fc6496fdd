"""The Tab key: what bash and zsh offer after the script was read."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lstd.cli import app, completion

_OFFERED = {
    "lstd-eval --weights ": "best last average",
    "lstd-eval --weights = be": "best",  # --weights=be, as bash cuts it
    "lstd-eval --weights=be": "--weights=best",  # as zsh leaves it
    "lstd-eval --detections=": "",
    "/usr/bin/lstd-eval --wei": "--weights",
    "lstd-detect --model free": "freedoom_s",
    "lstd-detect --model ": "",  # files
    "lstd-train --config sow": "sowbug_demo",
    "lstd-data con": "convert config-to-yaml",
    "lstd-data convert --qua": "--quality",
    "lstd-data convert --image_format j": "jpeg",
    "lstd-export --he": "--help",
}


@pytest.mark.parametrize("shell", ["bash --norc", "zsh -f"])
def test_shells_offer_flags_their_words_verbs_and_names(shell: str, tmp_path: Path) -> None:
    program, option = shell.split()
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    lines = [completion.script(["help"])]
    if program == "zsh":
        lines.append("emulate sh")  # as its completion calls such a function
    for line in _OFFERED:
        *before, word = line.split(" ")
        lines += [
            f"COMP_WORDS=({' '.join(before)} '{word}'); COMP_CWORD={len(before)}",
            f'_lstd {before[0]}; echo "${{COMPREPLY[*]}}"',
        ]
    done = subprocess.run(
        [program, option, "-c", "\n".join(lines)],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    for (line, offered), told in zip(_OFFERED.items(), done.stdout.splitlines(), strict=True):
        begun = line.rpartition(" ")[2]  # by which zsh chooses itself
        assert (line, " ".join(w for w in told.split() if w.startswith(begun))) == (line, offered)
        assert told == offered or program == "zsh"


def test_all_commands_are_completed_and_any_prints_the_script(
    capsys: pytest.CaptureFixture[str],
) -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert {*completion.COMMANDS} == {*re.findall(r"^lstd-(\w+) = ", project, re.MULTILINE)}

    assert app.run(lambda _: 1, {}, program="x", argv=["--completion"]) == 0
    assert capsys.readouterr().out.endswith("lstd-data lstd-benchmark\n")
