"""What mkdocs does not do by itself: the README, files beside docs/, and the texts of --help.

The front page is README.md. A page of docs/ may link to a file beside docs/, such as
../examples/track.py. On the site such a file stands under files/, and a link to one that is not
there fails the build. A line <!-- help: data split --> becomes what lstd-data split --help prints.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
_LINK = re.compile(r"\]\((\.\./[^)#\s]+)(#[^)\s]*)?\)")
_LINK_OF_README = re.compile(r"\]\((?![#/]|[a-z]+:)([^)\s]+)\)")
_HELP = re.compile(r"^<!-- help: ([a-z]+)((?: [a-z-]+)*) -->$", re.MULTILINE)
_log = logging.getLogger("mkdocs.lstd")


def on_files(files: Files, *, config: Any) -> Files:
    """Adds every file that a page links to outside docs/, as it is."""
    linked = {
        target
        for page in files.documentation_pages()
        for target in linked_outside(source_of(page.src_uri, page.content_string))
        if (ROOT / target).is_file()
    }
    for target in sorted(linked):
        uri = site_address(target)
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / target)))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Returns a page with links to the copies of files outside docs/, and the texts of --help."""
    markdown = source_of(page.file.src_uri, markdown)

    def moved(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join("docs", link[1]))
        if not (ROOT / target).is_file():
            _log.warning("%s links to %s, which is not a file here", page.file.src_uri, target)
            return link[0]
        return f"]({site_address(target)})"

    return _HELP.sub(lambda found: help_of(found[1], found[2].split()), _LINK.sub(moved, markdown))


def on_post_page(output: str, **_: Any) -> str:
    """Returns a page that does not ask GitHub how many stars the repository has."""
    return output.replace(' data-md-component="source"', "")


def on_post_template(output_content: str, **_: Any) -> str:
    """Returns the page of what is not found, likewise."""
    return on_post_page(output_content)


def source_of(page: str, markdown: str) -> str:
    """Returns what a page of docs/ is made of: of the front page README.md, seen from docs/.

    >>> source_of("index.md", "")[:6], source_of("data.md", "# Your own video")
    ('# lstd', '# Your own video')
    """
    if page != "index.md":
        return markdown
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return _LINK_OF_README.sub(lambda link: f"]({posixpath.relpath(link[1], 'docs')})", text)


def help_of(command: str, words: list[str]) -> str:
    """Returns what `lstd-COMMAND WORDS --help` prints, as a block of code."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        importlib.import_module(f"lstd.cli.{command}").main([*words, "--help"])
    return f"```text\n{text.getvalue().strip()}\n```"


def linked_outside(markdown: str) -> set[str]:
    """Returns the files outside docs/ that a page links to, from the repository's root.

    >>> linked_outside("See [it](../examples/track.py), [that](data.md#csv-csv).")
    {'examples/track.py'}
    """
    links = (
        posixpath.normpath(posixpath.join("docs", link[1])) for link in _LINK.finditer(markdown)
    )
    return set(links)


def site_address(target: str) -> str:
    """Returns where a file of the repository stands on the site.

    Markdown gets another ending: it is shown as it is, its own links lead nowhere on the site.

    >>> site_address("examples/cpp/README.md")
    'files/examples/cpp/README.md.txt'
    """
    return f"files/{target}" + (".txt" if target.endswith((".md", ".py")) else "")
