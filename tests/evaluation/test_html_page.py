"""The report page: well formed, self-contained, and what it was given stands in it."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from lstd.evaluation import html_page
from lstd.evaluation.html_page import Picture, Table, write_page

_VOID = {"meta", "img", "source"}


class Page(HTMLParser):
    """Reads a page; every element that was opened must be closed, in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.seen: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.addresses += [value or "" for name, value in attributes if name in ("src", "href")]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_page_holds_everything_and_needs_no_network(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"video")
    (tmp_path / "frame.png").write_bytes(b"frame")

    path = write_page(
        tmp_path / "out" / "report.html",
        title="A run",
        summary="What it is.",
        headline=[("0.5", "AP under LARGE")],
        tables=[
            Table(
                "Results",
                ["metric", "LARGE"],
                [["coco/ap\nmean", "0.5"]],
                "On eight frames.",
                more=[["coco/ap75", "0.4"]],
                shades=[[0.5]],
            ),
            Table("Closed", ["a"], [["b"]], folded=True),
        ],
        plots=[Picture(b"<svg/>", "Losses")],
        pictures=[Picture(tmp_path / "frame.png")],
        video=tmp_path / "clip.mp4",
        video_caption="The clip.",
        notes=["A note.", "Another."],
    )

    page = Page(path)
    for text in ("A run", "What it is.", "Results", "coco/ap", "0.5", "On eight frames.", "Losses"):
        assert text in page.text
    for text in ("The clip.", "A note.", "Another.", "AP under LARGE", "1 more", "coco/ap75"):
        assert text in page.text
    assert page.seen.count("details") == 2
    assert '<th>coco/ap<small>mean</small></th><td style="--share:50%">0.5</td>' in path.read_text()
    assert page.addresses == [
        "data:video/mp4;base64,dmlkZW8=",
        "data:image/svg+xml;base64,PHN2Zy8+",
        "data:image/png;base64,ZnJhbWU=",
    ]
    assert "http" not in path.read_text()
    assert [entry.name for entry in path.parent.iterdir()] == ["report.html"]


def test_text_is_escaped(tmp_path: Path) -> None:
    nasty = '<b> & "quotes" {braces}'

    page = Page(
        write_page(
            tmp_path / "report.html",
            title=nasty,
            summary=nasty,
            tables=[Table(nasty, [nasty], [[nasty]], nasty)],
            pictures=[Picture(b"<svg/>", nasty)],
            notes=[nasty],
        )
    )

    assert "b" not in page.seen
    assert page.text.count(nasty) == 9  # the title twice: on the tab and on the page


def test_large_videos_are_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my clip.mp4").write_bytes(b"0" * 2000)
    monkeypatch.setattr(html_page, "_MOST_EMBEDDED", 1999)
    page = tmp_path / "out" / "report.html"
    large = Page(write_page(page, title="A run", video=tmp_path / "my clip.mp4"))
    assert large.addresses == ["../my%20clip.mp4"] * 2


def test_what_cannot_be_shown_is_refused_and_no_page_appears(tmp_path: Path) -> None:
    path = tmp_path / "report.html"

    with pytest.raises(ValueError, match=r"table 'R': the row \['a', 'b'\] has 2 cells for 1"):
        write_page(path, title="x", tables=[Table("R", ["one"], [["a", "b"]])])
    with pytest.raises(FileNotFoundError):
        write_page(path, title="x", video=tmp_path / "absent.mp4")
    assert not path.exists()
