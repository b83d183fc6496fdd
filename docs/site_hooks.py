"""What mkdocs does not do by itself: the README, notebooks, files beside docs/, texts of --help.

The front page is README.md, and each notebook becomes a page with its stored outputs. A page may
link to a file beside docs/, such as ../examples/track.py. On the site such a file stands under
files/, and a link to one that is not there fails the build. A line <!-- help: data split -->
becomes what lstd-data split --help prints.
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
from nbconvert import MarkdownExporter
from nbconvert.preprocessors import TagRemovePreprocessor

ROOT = Path(__file__).resolve().parent.parent
_LINK = re.compile(r"\]\((\.\./[^)#\s]+|[^)/\s]+\.ipynb)(#[^)\s]*)?\)")
_LINK_OF_README = re.compile(r"\]\((?![#/]|[a-z]+:)([^)\s]+)\)")
_BADGE = re.compile(r"\[!\[([^\]]+)\]\([^)]+\)(\]\([^)]+\))")
_HELP = re.compile(r"^<!-- help: ([a-z]+)((?: [a-z-]+)*) -->$", re.MULTILINE)
_CODE_IN_CELL = re.compile(r"(?<=<td>)(?=[^\n]*<code>)[^\n]*(?=</td>)")
_log = logging.getLogger("mkdocs.lstd")


def on_files(files: Files, *, config: Any) -> Files:
    """Adds the pages of the notebooks, and every file outside docs/ that a page links to."""
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for uri, content in page_of(notebook).items():
            files.append(File.generated(config, uri, content=content))
    linked = {
        target
        for page in files.documentation_pages()
        for target in linked_outside(source_of(page.src_uri, page.content_string), page.src_uri)
        if (ROOT / target).is_file() and site_address(target).startswith("files/")
    }
    for target in sorted(linked):
        uri = site_address(target)
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / target)))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Returns a page with links to the copies of files outside docs/, and the texts of --help."""
    uri = page.file.src_uri
    markdown = source_of(uri, markdown)

    def moved(link: re.Match[str]) -> str:
        target = _target(link, uri)
        if not (ROOT / target).is_file():
            _log.warning("%s links to %s, which is not a file here", uri, target)
            return link[0]
        address = posixpath.relpath(site_address(target), posixpath.dirname(uri) or ".")
        return f"]({address}{link[2] or ''})"

    return _HELP.sub(lambda found: help_of(found[1], found[2].split()), _LINK.sub(moved, markdown))


def page_of(notebook: Path) -> dict[str, str | bytes]:
    """Returns the files of a notebook's page: its Markdown, and the pictures in it.

    The cell that prepares Colab is left out, and the table of contents, to make room for code. The
    badge becomes a button in words, as its picture is elsewhere.
    """
    exporter = MarkdownExporter()
    exporter.register_preprocessor(TagRemovePreprocessor(remove_cell_tags={"setup"}), enabled=True)
    names = {"unique_key": notebook.stem, "output_files_dir": f"{notebook.stem}_files"}
    text, found = exporter.from_filename(str(notebook), resources=names)
    pictures = {f"notebooks/{name}": content for name, content in found["outputs"].items()}
    text = "---\nhide: [toc]\n---\n" + _BADGE.sub(r"[\1\2{ .md-button }", text)
    return {f"notebooks/{notebook.stem}.md": text, **pictures}


def on_page_content(html: str, **_: Any) -> str:
    """Lets names in tables break after an underscore or a slash; site.css forbids it elsewhere."""
    return _CODE_IN_CELL.sub(
        lambda cell: re.sub(r"(?<=[_/])(?=\w)(?![^<]*>)", "<wbr>", cell[0]), html
    )


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


def linked_outside(markdown: str, page: str = "index.md") -> set[str]:
    """Returns the files outside docs/ that a page links to, from the repository's root.

    >>> linked_outside("See [it](../examples/track.py), [that](data.md#csv-csv).")
    {'examples/track.py'}
    """
    return {_target(link, page) for link in _LINK.finditer(markdown)}


def site_address(target: str) -> str:
    """Returns where a file of the repository stands on the site.

    Other Markdown than that of docs/ gets another ending: it is shown as it is, its own links lead
    nowhere on the site.

    >>> site_address("examples/cpp/README.md")
    'files/examples/cpp/README.md.txt'
    >>> site_address("docs/data.md"), site_address("notebooks/1_first_steps.ipynb")
    ('data.md', 'notebooks/1_first_steps.md')
    """
    path = Path(target)
    if path.suffix == ".ipynb":
        return f"notebooks/{path.stem}.md"
    if path.parts[0] == "docs":
        return path.relative_to("docs").as_posix()
    return f"files/{target}" + (".txt" if target.endswith((".md", ".py")) else "")


def _target(link: re.Match[str], page: str) -> str:
    """Returns the file that a link leads to, from the repository's root."""
    folder = posixpath.dirname(page) or "docs"  # of a notebook, or of docs/ itself
    return posixpath.normpath(posixpath.join(folder, link[1]))
