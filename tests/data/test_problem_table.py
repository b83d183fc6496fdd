"""docs/data.md shows the table of problems as the code has it."""

from __future__ import annotations

from pathlib import Path

from lstd.data import readers
from lstd.data.problems import KINDS

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text()


def test_the_document_lists_every_problem_with_its_answers() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("| `") and line.count("|") == 6]

    assert rows == [
        " | ".join(
            (f"| `{name}`", kind.meaning, kind.default, kind.repair or "-", kind.skip or "-")
        )
        + " |"
        for name, kind in KINDS.items()
    ]


def test_the_document_has_a_section_for_every_format() -> None:
    sections = [line for line in TEXT.splitlines() if line.startswith("### ")]

    assert {name for name in readers.FORMATS if any(f"`{name}`" in s for s in sections)} == set(
        readers.FORMATS
    )
