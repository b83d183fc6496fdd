"""The site of docs/: what mkdocs, which checks links and pages itself, does not see."""

import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import yaml

import lstd
from docs import doctest_blocks, site_hooks
from tests import browser

ROOT = Path(__file__).resolve().parent.parent
FIRST = "notebooks/1_first_steps.md"


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


def _shown(text: str, *, uri: str = "a.md") -> str:
    """Returns what the site makes of the text of a page."""
    page = SimpleNamespace(file=SimpleNamespace(src_uri=uri))
    return site_hooks.on_page_markdown(text, page=page, config=None, files=[])


def test_mark_of_a_command_becomes_its_help() -> None:
    text = _shown("<!-- help: data split -->")

    assert text.startswith("```text\nDivides a data set by video")
    assert "--parts" in text


def test_link_to_a_file_that_is_not_there_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "mkdocs.lstd"):
        _shown("[it](../nothing.py)")

    assert "a.md links to nothing.py, which is not a file here" in caplog.text


@pytest.mark.parametrize(
    ("uri", "link", "moved"),
    [
        ("a.md", "../LICENSE", "files/LICENSE"),
        (FIRST, "../docs/data.md#csv-csv", "../data.md#csv-csv"),
        (FIRST, "2_memory_behind_an_obstacle.ipynb", "2_memory_behind_an_obstacle.md"),
        (FIRST, "../LICENSE", "../files/LICENSE"),
    ],
)
def test_links_lead_to_pages_and_to_copies_of_files(uri: str, link: str, moved: str) -> None:
    assert _shown(f"[it]({link})", uri=uri) == f"[it]({moved})"


def test_notebook_becomes_a_page_with_its_outputs(tmp_path: Path) -> None:
    picture = nbformat.v4.new_output("display_data", {"image/jpeg": "aGVsbG8="})
    printed = nbformat.v4.new_output("stream", text="two imps")
    setup = nbformat.v4.new_code_cell("%pip install lstd", metadata={"tags": ["setup"]})
    badge = "[![Open in Colab](https://x.org/badge.svg)](https://x.org/notebook)"
    cells = [
        nbformat.v4.new_markdown_cell(badge),
        setup,
        nbformat.v4.new_code_cell("find()", outputs=[printed, picture]),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "one.ipynb")

    page = site_hooks.page_of(tmp_path / "one.ipynb")

    assert page.pop("notebooks/one_files/one_2_1.jpg") == b"hello"
    (text,) = page.values()
    assert "[Open in Colab](https://x.org/notebook)" in text
    assert "```\nfind()\n```" in text
    assert "    two imps" in text
    assert "](one_files/one_2_1.jpg)" in text
    assert "badge.svg" not in text
    assert "pip" not in text


def test_examples_become_blocks_of_code_and_text_stays() -> None:
    text = "Returns one.\n\n>>> one()  # doctest: +SKIP\n1\n\nArgs:\n    x: it."

    shown = doctest_blocks.with_blocks(text)

    assert shown == "Returns one.\n\n```pycon\n>>> one()\n1\n```\n\nArgs:\n    x: it."


def test_names_in_tables_break_after_underscores_and_slashes_only() -> None:
    row = '<p><code>a_b</code></p>\n<td><a href="x_y">its</a> <code>a_b/c.py::_d</code></td>'

    shown = site_hooks.on_page_content(row)

    names = "<code>a_<wbr>b/<wbr>c.py::_<wbr>d</code>"
    assert shown == f'<p><code>a_b</code></p>\n<td><a href="x_y">its</a> {names}</td>'


def test_front_page_is_the_readme_seen_from_docs() -> None:
    text = _shown("anything", uri="index.md")

    for link in ("(detections.webp)", "(results.md#the-demo)", "(#what-it-does-not-do)"):
        assert f"]{link}" in text
    assert "](files/configs/interleaved_s.yaml)" in text
    assert text.startswith("# lstd\n")


@pytest.mark.slow
@pytest.mark.skipif(not browser.CHROMIUM, reason="needs chromium")
def test_search_finds_a_word_on_a_page_opened_from_the_disk(tmp_path: Path) -> None:
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    small = {"hooks": [], "nav": [], "plugins": ["search", "offline"]}
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump({**config, **small}))
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "iframe-worker.js", tmp_path / "docs")
    (tmp_path / "docs" / "index.md").write_text("# Start\n\nA woodlouse.\n")
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    build = [sys.executable, "-m", "mkdocs", "build", "--quiet"]
    subprocess.run(build, cwd=tmp_path, env=quiet, check=True)

    with browser.Browser() as page:
        page.open((tmp_path / "build" / "site" / "index.html").as_uri() + "?q=woodlouse")
        found = page.wait_for("document.querySelector('.md-search-result__item')?.innerText", 20)

    assert "woodlouse" in found
