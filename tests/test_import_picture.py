"""The picture in docs/architecture.md shows the imports of the code."""

from pathlib import Path

from docs import draw_imports
from tests.test_architecture import ROWS


def test_committed_picture_shows_the_imports_of_the_code() -> None:
    drawn = draw_imports.svg(draw_imports.part_imports(draw_imports.ROOT))

    assert draw_imports.PICTURE.read_text() == drawn, "draw it anew: python -m docs.draw_imports"


def test_picture_names_every_part() -> None:
    text = draw_imports.PICTURE.read_text()

    for part in (part for row in ROWS for part in row):
        assert f">{part}</text>" in text


def test_imports_of_a_part_are_those_of_its_modules_above_the_lowest_row(tmp_path: Path) -> None:
    (tmp_path / "lstd" / "models").mkdir(parents=True)
    (tmp_path / "lstd" / "models" / "a.py").write_text(
        "from lstd.layers import conv\nfrom lstd.models import b\n"
        "from lstd.base.types import Output\n"
        "def f():\n    from lstd.ops import boxes\n"
    )

    edges = draw_imports.part_imports(tmp_path)

    assert edges["models"] == {"layers", "ops"}
    assert edges["layers"] == frozenset()
