"""One HTML page that shows a run: tables, plots, pictures, a video. It needs nothing else."""

import base64
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from lstd.base.whole_file import write_whole


class Table(NamedTuple):
    """A table of text, with a title above and a caption below.

    The first column holds words, a second line of which is set small, the others numbers.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    more: Sequence[Sequence[str]] = ()
    """Rows that are folded away."""
    shades: Sequence[Sequence[float]] = ()
    """How dark each number's cell is, from 0 to 1; none: all alike."""
    folded: bool = False
    """Whether only the title is seen at first."""


class Picture(NamedTuple):
    """The bytes of an SVG, or the path of a PNG, with a caption below.

    One that is `wide` is as wide as the page, where others stand side by side; one that has a name
    to be `folded` under is seen when that is opened.
    """

    content: bytes | Path
    caption: str = ""
    wide: bool = False
    folded: str = ""


def write_page(
    path: str | os.PathLike[str],
    *,
    title: str,
    summary: str = "",
    headline: Sequence[tuple[str, str]] = (),
    tables: Sequence[Table] = (),
    plots: Sequence[Picture] = (),
    pictures: Sequence[Picture] = (),
    video: Path | None = None,
    video_caption: str = "",
    notes: Sequence[str] = (),
) -> Path:
    """Writes the page and returns its path. All texts are plain text, not HTML.

    The `headline` are a few numbers, each with what it is. The file appears only when it is whole.
    The pictures stand in the page itself. So does the video, an MP4, if it is small; otherwise
    the page links to it where it lies.

    Raises:
        ValueError: a row with another number of cells than its header.
        OSError: a picture or the video cannot be read, or the page cannot be written.
    """
    path = Path(path)
    sections = [
        _element("div", "".join(map(_fact, headline)), "headline") if headline else "",
        _video(video, video_caption, page=path) if video else "",
        _element("div", "".join(map(_table, tables)), "cards") if tables else "",
        _gallery("Curves", plots, "gallery curves"),
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


def _folded(name: str, body: str) -> str:
    return _element("details", _element("summary", escape(name)) + body)


def _fact(fact: tuple[str, str]) -> str:
    number, told = map(escape, fact)
    return _element("p", _element("b", number) + told)


def _table(table: Table) -> str:
    """Returns a card; those with few columns of numbers stand side by side."""
    for row in (*table.rows, *table.more):
        if len(row) != len(table.header):
            raise ValueError(
                f"table {table.title!r}: the row {list(row)} has {len(row)} cells for "
                f"{len(table.header)} columns"
            )
    body = _grid(table.header, table.rows, table.shades)
    if table.more:
        body += _folded(f"{len(table.more)} more", _grid(table.header, table.more))
    body += _caption(table.caption)
    kind = "" if len(table.header) <= _FEW_COLUMNS else "row"
    if table.folded:
        return _section("", _folded(table.title, body), kind)
    return _section(table.title, body, kind)


def _grid(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    shades: Sequence[Sequence[float]] = (),
) -> str:
    def first(text: str) -> str:
        name, *more = escape(text).split("\n")
        return _element("th", name + "".join(_element("small", line) for line in more))

    head = first(header[0]) + "".join(_element("th", escape(cell)) for cell in header[1:])
    lines = _element("thead", _element("tr", head))
    for number, (name, *cells) in enumerate(rows):
        dark = shades[number] if shades else [0.0] * len(cells)
        lines += "<tr>" + first(name)
        for cell, share in zip(cells, dark, strict=True):
            shade = f' style="--share:{share:.0%}"' if share > 0 else ""
            lines += f"<td{shade}>{escape(cell)}</td>"
        lines += "</tr>"
    kind = "many" if len(header) > _MANY_COLUMNS else ""
    return _element("div", _element("table", lines, kind), "scroll")


def _gallery(title: str, pictures: Sequence[Picture], kind: str) -> str:
    if not pictures:
        return ""
    return _section(title, _element("div", "".join(map(_figure, pictures)), kind))


def _figure(picture: Picture) -> str:
    if isinstance(picture.content, bytes):
        source = _data_uri(picture.content, "image/svg+xml")
    else:
        source = _data_uri(picture.content.read_bytes(), "image/png")
    shown = f'<img alt="{escape(picture.caption)}" src="{source}">'
    if picture.wide:  # scrolls, so that a sheet of frames can be read on a phone
        shown = _element("div", shown, "scroll")
    shown += _caption(picture.caption, "figcaption")
    shown = _folded(picture.folded, shown) if picture.folded else shown
    return _element("figure", shown, "wide" if picture.wide else "")


def _video(path: Path, caption: str, *, page: Path) -> str:
    link = ""
    if path.stat().st_size <= _MOST_EMBEDDED:
        source = _data_uri(path.read_bytes(), "video/mp4")
    else:
        source = quote(Path(os.path.relpath(path, page.parent)).as_posix())
        link = _element("p", f'<a href="{source}">{escape(path.name)}</a>', "caption")
    shown = f'<source src="{source}" type="video/mp4">'
    shown = f"<video controls muted loop playsinline>{shown}</video>"
    return _section("Video", shown + _caption(caption) + link, "video")


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


_MOST_EMBEDDED = 20_000_000  # bytes of a video that stands in the page
_FEW_COLUMNS = 4  # up to which a table leaves room for another one beside it
_MANY_COLUMNS = 8  # above which it is set smaller

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
  padding: 20px 22px; margin-top: 22px; min-width: 0; }
section > p { max-width: 46em; }
.headline { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr));
  gap: 14px 22px; margin-top: 22px; }
.headline p { margin: 0; padding-left: 14px; border-left: 3px solid var(--mark);
  color: var(--soft); font-size: .9rem; line-height: 1.4; }
.headline b { display: block; color: var(--ink); font-size: 2rem; line-height: 1.2; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr));
  gap: 22px; align-items: start; margin-top: 22px; }
.cards > section { margin: 0; }
.cards > .row { grid-column: 1 / -1; }
.scroll { overflow-x: auto; }
table { border-collapse: separate; border-spacing: 0; font-variant-numeric: tabular-nums;
  min-width: 100%; }
table.many { font-size: .85rem; }
th, td { padding: 5px 0 5px 18px; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap; }
td { padding-right: 4px;
  background: color-mix(in srgb, var(--mark) calc(var(--share, 0%) * .6), transparent); }
thead th { color: var(--soft); font-weight: 600; font-size: .85rem; vertical-align: bottom;
  white-space: normal; padding-right: 4px; }
th:first-child { position: sticky; left: 0; background: var(--card); padding-left: 0;
  text-align: left; font-weight: 500; white-space: normal; }
small { display: block; color: var(--soft); font-size: .85rem; font-weight: 400; }
details { margin-top: 14px; }
section > details:first-child { margin: 0; }
summary { cursor: pointer; color: var(--mark); margin-bottom: 8px; }
.caption { color: var(--soft); font-size: .9rem; margin: 8px 0 0; }
.gallery { display: grid; gap: 18px; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(280px, 100%), 1fr)); }
.gallery.curves { grid-template-columns: repeat(auto-fill, minmax(min(400px, 100%), 1fr)); }
figure { margin: 0; min-width: 0; }
figure.wide { grid-column: 1 / -1; }
img, video { display: block; max-width: 100%; height: auto; border-radius: 6px; }
.gallery img { width: 100%; }
.gallery .wide img { max-width: none; min-width: 720px; }
.video video { margin: 0 auto; }
@media (max-width: 600px) {
  main { padding: 24px 10px 40px; }
  h1 { font-size: 1.5rem; overflow-wrap: anywhere; }
  section { padding: 14px 12px; }
  th, td { padding-left: 10px; }
  th:first-child { min-width: 8.5em; }
}
"""
