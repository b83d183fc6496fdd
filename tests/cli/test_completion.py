"""The Tab key: what bash offers after the script was read."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from lstd.cli import app, completion


@pytest.fixture(scope="module")
def script() -> str:
    return completion.script(["help"])


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("lstd-eval --weights ", "best last average"),
        ("lstd-eval --weights = be", "best"),  # --weights=be, as bash cuts it
        ("/usr/bin/lstd-eval --wei", "--weights"),
        ("lstd-detect --model free", "freedoom_s"),
        ("lstd-detect --model ", ""),  # files
        ("lstd-train --config sow", "sowbug_demo"),
        ("lstd-data con", "convert config-to-yaml"),
        ("lstd-data convert --qua", "--quality"),
        ("lstd-data convert --image_format j", "jpeg"),
        ("lstd-export --he", "--help"),
    ],
)
def test_bash_offers_flags_their_words_verbs_and_names(
    script: str, line: str, offered: str
) -> None:
    words = line.split(" ")
    asked = f"COMP_WORDS=({' '.join(words[:-1])} '{words[-1]}'); COMP_CWORD={len(words) - 1}"
    done = subprocess.run(
        ["bash", "--norc", "-c", f'{script}\n{asked}; _lstd {words[0]}; echo "${{COMPREPLY[*]}}"'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout.strip(), done.stderr) == (offered, "")


def test_all_commands_are_completed_and_any_prints_the_script(
    capsys: pytest.CaptureFixture[str],
) -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert {*completion.COMMANDS} == {*re.findall(r"^lstd-(\w+) = ", project, re.MULTILINE)}

    assert app.run(lambda _: 1, {}, program="x", argv=["--completion"]) == 0
    assert capsys.readouterr().out.endswith("lstd-data lstd-benchmark\n")
