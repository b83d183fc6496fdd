"""The site of docs/: what mkdocs, which checks links and pages itself, does not see."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

import lstd
from docs import doctest_blocks, site_hooks

ROOT = Path(__file__).resolve().parent.parent


def test_interface_page_shows_every_public_name_once() -> None:
    shown = re.findall(r"^::: lstd\.(\w+)$", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE)

    assert sorted(shown) == sorted(set(lstd.__all__) - {"__version__"})


def test_commands_page_shows_the_help_of_every_command_and_verb() -> None:
    page = (ROOT / "docs" / "commands.md").read_text()
    shown = set(re.findall(r"^<!-- help: (.*) -->$", page, re.MULTILINE))
    commands = re.findall(r"^lstd-(\w+) = ", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    verbs = re.findall(r"^  ([a-z-]+)  +\w", site_hooks.help_of("data", []), re.MULTILINE)

    assert len(verbs) == 6
    assert shown == {*commands, *(f"data {verb}" for verb in verbs)}


def test_mark_of_a_command_becomes_its_help() -> None:
    page = SimpleNamespace(file=SimpleNamespace(src_uri="a.md"))

    text = site_hooks.on_page_markdown(
        "<!-- help: data split -->", page=page, config=None, files=[]
    )

    assert text.startswith("```text\nDivides a data set by video")
    assert "--parts" in text


def test_link_to_a_file_beside_docs_leads_to_its_copy() -> None:
    page = SimpleNamespace(file=SimpleNamespace(src_uri="a.md"))

    text = site_hooks.on_page_markdown("[it](../LICENSE)", page=page, config=None, files=[])

    assert text == "[it](files/LICENSE)"


def test_link_to_a_file_that_is_not_there_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    page = SimpleNamespace(file=SimpleNamespace(src_uri="a.md"))

    with caplog.at_level(logging.WARNING, "mkdocs.lstd"):
        site_hooks.on_page_markdown("[it](../nothing.py)", page=page, config=None, files=[])

    assert "a.md links to nothing.py, which is not a file here" in caplog.text


def test_examples_become_blocks_of_code_and_text_stays() -> None:
    text = "Returns one.\n\n>>> one()  # doctest: +SKIP\n1\n\nArgs:\n    x: it."

    shown = doctest_blocks.with_blocks(text)

    assert shown == "Returns one.\n\n```pycon\n>>> one()\n1\n```\n\nArgs:\n    x: it."
