"""Draws who imports whom, from the imports of the code: docs/imports.svg.

python -m docs.draw_imports

The rows are those of tests/test_architecture.py. A dark line is an import that no other line leads
to by a detour, a light one an import beside such a detour. The lowest row, from which everything
may import, is one box without lines.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.test_architecture import ROWS, imports_of

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "imports.svg"

WIDTH, ROW_HEIGHT, MARGIN = 880, 92, 20
BOX_WIDTH, BOX_HEIGHT, LINE_HEIGHT = 140, 36, 18
BASE_COLUMNS = 5

# Where a box stands in its row, from 0 to 1, so that few lines cross or run behind another box.
ACROSS = {
    "cli": 0.5,
    "any_model": 0.5,
    "runtime": 0.09,
    "evaluation": 0.34,
    "training": 0.62,
    "export": 0.9,
    "checkpoints": 0.74,
    "data": 0.34,
    "models": 0.84,
    "fit": 0.7,
    "losses": 0.6,
    "layers": 0.91,
    "media": 0.12,
    "ops": 0.76,
    "tf1": 0.3,
    "config": 0.5,
}

Edges = Mapping[str, frozenset[str]]
Point = tuple[float, float]


def part_imports(root: Path) -> dict[str, frozenset[str]]:
    """Returns for each part above the lowest row the parts above it that its modules import.

    Args:
        root: the folder that holds `lstd/`.
    """
    lowest = set(ROWS[0])
    found: dict[str, set[str]] = {part: set() for row in ROWS[1:] for part in row}
    for path in sorted((root / "lstd").rglob("*.py")):
        names = path.relative_to(root).with_suffix("").parts
        part = names[1]
        if part not in found:
            continue
        for _, module in imports_of(ast.parse(path.read_text()), ".".join(names[:-1])):
            top, _, rest = module.partition(".")
            target = rest.partition(".")[0]
            if top == "lstd" and target in found and target != part and target not in lowest:
                found[part].add(target)
    return {part: frozenset(targets) for part, targets in found.items()}


def without_detours(edges: Edges) -> dict[str, frozenset[str]]:
    """Returns the edges that no path of other edges replaces (the transitive reduction).

    >>> edges = {"a": frozenset({"b", "c"}), "b": frozenset({"c"}), "c": frozenset()}
    >>> {part: sorted(targets) for part, targets in without_detours(edges).items()}
    {'a': ['b'], 'b': ['c'], 'c': []}
    """
    return {
        part: frozenset(
            target
            for target in targets
            if not any(target in _reached(edges, other) for other in targets - {target})
        )
        for part, targets in edges.items()
    }


def _reached(edges: Edges, start: str) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        new = edges[waiting.pop()] - reached
        reached |= new
        waiting += new
    return reached


def svg(edges: Edges) -> str:
    """Returns the picture, the same text for the same imports."""
    places = _places()
    needed = without_detours(edges)
    lines = [
        (target in needed[part], _line(places[part], places[target], dark=target in needed[part]))
        for part in edges
        for target in sorted(edges[part])
    ]
    boxes = [_box(part, place) for part, place in places.items()]
    height, base = _base()
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="14" role="img">',
        "<title>Who imports whom in lstd</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        *(text for dark, text in sorted(lines)),  # the dark ones lie above the light ones
        *boxes,
        *base,
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _places() -> dict[str, Point]:
    """Returns the middle of each box, the highest row first."""
    return {
        part: (WIDTH * ACROSS[part], MARGIN + BOX_HEIGHT / 2 + number * ROW_HEIGHT)
        for number, row in enumerate(reversed(ROWS[1:]))
        for part in row
    }


def _line(start: Point, end: Point, *, dark: bool) -> str:
    """Returns an arrow from the lower edge of a box to the upper edge of another."""
    (x1, y1), (x2, y2) = start, end
    y1, y2 = y1 + BOX_HEIGHT / 2, y2 - BOX_HEIGHT / 2
    middle = (y2 - y1) / 2
    color, width = ("#26527d", 1.8) if dark else ("#c3ced9", 1.2)
    return (
        f'<path d="M {x1:.0f} {y1:.0f} C {x1:.0f} {y1 + middle:.0f}, {x2:.0f} {y2 - middle:.0f}, '
        f'{x2:.0f} {y2:.0f}" fill="none" stroke="{color}" stroke-width="{width}"/>'
        f'<path d="M {x2 - 4:.0f} {y2 - 8:.0f} L {x2:.0f} {y2:.0f} L {x2 + 4:.0f} {y2 - 8:.0f} Z" '
        f'fill="{color}"/>'
    )


def _box(part: str, place: Point) -> str:
    x, y = place
    return (
        f'<rect x="{x - BOX_WIDTH / 2:.0f}" y="{y - BOX_HEIGHT / 2:.0f}" width="{BOX_WIDTH}" '
        f'height="{BOX_HEIGHT}" rx="6" fill="#eef4fa" stroke="#26527d"/>'
        f'<text x="{x:.0f}" y="{y + 5:.0f}" text-anchor="middle">{part}</text>'
    )


def _base() -> tuple[int, list[str]]:
    """Returns the height of the whole picture, and the box of the lowest row."""
    names = _columns(ROWS[0])
    top = MARGIN + (len(ROWS) - 1) * ROW_HEIGHT
    height = 40 + LINE_HEIGHT * len(names)
    box = (
        f'<rect x="{MARGIN}" y="{top}" width="{WIDTH - 2 * MARGIN}" height="{height}" rx="6" '
        'fill="#f6f3ec" stroke="#8a7a55"/>'
        f'<text x="{WIDTH / 2:.0f}" y="{top + 22}" text-anchor="middle" font-style="italic">'
        "the lowest row: everything above may import from it</text>"
    )
    column_width = (WIDTH - 2 * MARGIN) / BASE_COLUMNS
    texts = [
        f'<text x="{MARGIN + column_width * (column + 0.5):.0f}" '
        f'y="{top + 44 + LINE_HEIGHT * line}" text-anchor="middle" font-size="12">{name}</text>'
        for line, row in enumerate(names)
        for column, name in enumerate(row)
    ]
    return top + height + MARGIN, [box, *texts]


def _columns(names: Iterable[str]) -> list[list[str]]:
    ordered = sorted(names)
    return [ordered[start : start + BASE_COLUMNS] for start in range(0, len(ordered), BASE_COLUMNS)]


if __name__ == "__main__":
    PICTURE.write_text(svg(part_imports(ROOT)))
    print(f"wrote {PICTURE.relative_to(ROOT)}")
