"""One HTML page that shows a run: tables, plots, pictures, a video. It needs nothing else."""

from __future__ import annotations

import base64
import mimetypes
import os
from collections.abc import Iterable, Sequence
from html import escape
from itertools import chain, repeat
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from lstd.base.whole_file import write_whole


class Table(NamedTuple):
    """A table of text, with a title above and a caption below.

    The first `words` columns hold words, the others numbers.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    words: int = 1


class Picture(NamedTuple):
    """The bytes of a PNG, JPEG or GIF, or the path of such a file, with a caption below.

    One that is `wide` is as wide as the page, where others stand side by side.
    """

    content: bytes | str | os.PathLike[str]
    caption: str = ""
    wide: bool = False


def write_page(
    path: str | os.PathLike[str],
    *,
    title: str,
    summary: str = "",
    tables: Sequence[Table] = (),
    plots: Sequence[Picture] = (),
    pictures: Sequence[Picture] = (),
    video: str | os.PathLike[str] | None = None,
    video_caption: str = "",
    notes: Sequence[str] = (),
) -> Path:
    """Writes the page and returns its path. All texts are plain text, not HTML.

    The file appears only when it is whole. The pictures stand in the page itself. So does the video
    (MP4, WebM or GIF) if it is small; otherwise the page links to it where it lies. The plots are
    half as wide as the page.

    Raises:
        ValueError: a row with another number of cells than its header; bytes that are no picture.
        OSError: a picture or the video cannot be read, or the page cannot be written.
    """
    path = Path(path)
    sections = [
        _video(Path(video), video_caption, page=path) if video else "",
        _element("div", "".join(map(_table, tables)), "cards") if tables else "",
        _gallery("Curves", plots, "gallery wide"),
        _gallery("Frames", pictures, "gallery"),
        _section("Notes", "".join(_element("p", escape(note)) for note in notes)) if notes else "",
    ]
    text = _element("p", escape(summary), "summary") if summary else ""
    body = "\n".join(filter(None, sections))
    page = _PAGE.format(title=escape(title), style=_STYLE, summary=text, body=body)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, page.encode())
    return path


def _element(name: str, content: str, kind: str = "") -> str:
    given = f' class="{kind}"' if kind else ""
    return f"<{name}{given}>{content}</{name}>"


def _section(title: str, body: str, kind: str = "") -> str:
    head = _element("h2", escape(title)) if title else ""
    return _element("section", head + body, kind) + "\n"


def _caption(text: str, element: str = "p") -> str:
    return _element(element, escape(text), "caption") if text else ""


def _table(table: Table) -> str:
    """Returns a card; those with few columns of numbers stand side by side."""
    for row in table.rows:
        if len(row) != len(table.header):
            raise ValueError(
                f"table {table.title!r}: the row {list(row)} has {len(row)} cells for "
                f"{len(table.header)} columns"
            )
    many = len(table.header) > _MANY_COLUMNS

    def cells(texts: Sequence[str], names: Iterable[str]) -> str:
        return "".join(
            _element(name, text, "word" if place < table.words else "")
            for place, (name, text) in enumerate(zip(names, texts, strict=False))
        )

    head = [escape(cell).replace("/", "/<br>" if many else "/") for cell in table.header]
    lines = [cells([*map(escape, row)], chain(["th"], repeat("td"))) for row in table.rows]
    grid = _element("thead", _element("tr", cells(head, repeat("th"))))
    grid += _element("tbody", "".join(_element("tr", line) for line in lines))
    kind = "many" if many else "full" if table.words > 1 else ""
    narrow = table.words == 1 and len(table.header) <= _FEW_COLUMNS
    return _section(
        table.title,
        _element("div", _element("table", grid, kind), "scroll") + _caption(table.caption),
        "" if narrow else "row",
    )


def _gallery(title: str, pictures: Sequence[Picture], kind: str) -> str:
    if not pictures:
        return ""
    figures = "".join(
        _element(
            "figure",
            f'<img alt="{escape(text) or title}" src="{_picture_uri(content)}">'
            + _caption(text, "figcaption"),
            "wide" if wide else "",
        )
        for content, text, wide in pictures
    )
    return _section(title, _element("div", figures, kind))


def _video(path: Path, caption: str, *, page: Path) -> str:
    kind = mimetypes.guess_type(path.name)[0] or "video/mp4"
    link = ""
    if path.stat().st_size <= _MOST_EMBEDDED:
        source = _data_uri(path.read_bytes(), kind)
    else:
        source = quote(Path(os.path.relpath(path, page.parent)).as_posix())
        link = _element("p", f'<a href="{source}">{escape(path.name)}</a>', "caption")
    shown = f'<video controls muted loop playsinline><source src="{source}" type="{kind}"></video>'
    if kind.startswith("image/"):
        shown = f'<img alt="{escape(caption or path.name)}" src="{source}">'
    return _section("Video", shown + _caption(caption) + link, "video")


def _picture_uri(content: bytes | str | os.PathLike[str]) -> str:
    data = content if isinstance(content, bytes) else Path(content).read_bytes()
    for kind, beginning in _KINDS.items():
        if data.startswith(beginning):
            return _data_uri(data, kind)
    where = "bytes" if isinstance(content, bytes) else os.fspath(content)
    raise ValueError(f"{where}: not a PNG, JPEG or GIF picture")


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


_MOST_EMBEDDED = 20_000_000  # bytes of a video that stands in the page
_FEW_COLUMNS = 4  # up to which a table leaves room for another one beside it
_MANY_COLUMNS = 8  # above which it is set smaller
_KINDS = {"image/png": b"\x89PNG\r\n", "image/jpeg": b"\xff\xd8\xff", "image/gif": b"GIF8"}

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<header><h1>{title}</h1>{summary}</header>
{body}
</main>
</body>
</html>
"""

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2530; --soft: #5b6675; --line: #dfe3e8;
  --page: #f6f7f9; --card: #ffffff; --mark: #2563a8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --soft: #9aa5b3; --line: #333b46;
  --page: #14181d; --card: #1c2229; --mark: #7db3ea; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 40px 20px 64px; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 8px; }
h2 { font-size: 1.1rem; margin: 0 0 14px; }
a { color: var(--mark); }
.summary { color: var(--soft); font-size: 1.05rem; max-width: 46em; margin: 0; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 20px 22px; margin-top: 22px; }
section > p { max-width: 46em; }
.cards { columns: 2 420px; column-gap: 22px; margin-top: 22px; }
.cards > section { break-inside: avoid; margin: 0 0 22px; }
.cards > .row { column-span: all; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
table.full, table.many { width: 100%; }
table.many { font-size: .85rem; }
th, td { padding: 5px 18px 5px 0; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap; }
.many th, .many td { padding-right: 10px; }
thead th { color: var(--soft); font-weight: 600; font-size: .85rem; vertical-align: bottom; }
tbody th { font-weight: 500; }
th, .word { white-space: normal; }
.word { text-align: left; }
td.word, .caption { color: var(--soft); font-size: .9rem; }
.caption { margin: 8px 0 0; }
.gallery { display: grid; gap: 18px; align-items: start; grid-auto-flow: dense;
  grid-template-columns: repeat(auto-fill, minmax(280px, 1fr)); }
.gallery.wide { grid-template-columns: repeat(auto-fill, minmax(min(440px, 100%), 1fr)); }
figure { margin: 0; }
figure.wide { grid-column: 1 / -1; }
img, video { display: block; max-width: 100%; height: auto; border-radius: 6px; background: #fff; }
.gallery img { width: 100%; }
.video video, .video img { margin: 0 auto; }
"""
