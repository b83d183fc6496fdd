"""Who imports whom: docs/architecture.md as a test."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# From the lowest row up. A module imports from lower rows and from its own package.
ROWS = (
    ("base", "weights"),
    ("config",),
    ("tf1",),
    ("ops", "media"),
    ("layers", "losses"),
    ("fit",),
    ("models", "data"),
    ("checkpoints",),
    ("training", "evaluation", "export", "runtime"),
    ("any_model",),
    ("cli",),
)
ROW_OF = {part: number for number, row in enumerate(ROWS) for part in row}
WITHOUT_KERAS = ("base", "config", "tf1", "ops")


Import = tuple[int, str]  # of a line: "lstd.ops.boxes"


def imports_of(tree: ast.AST, package: str) -> Iterator[Import]:
    """Yields what a module of a package imports, under TYPE_CHECKING too, by full name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name == "lstd":  # what counts is the name taken from it: lstd.count
                    yield from _taken_from(tree, alias.asname or "lstd")
                else:
                    yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1]
            parts = [*(base if node.level else []), *([node.module] if node.module else [])]
            source = ".".join(parts)
            yield from ((node.lineno, f"{source}.{alias.name}") for alias in node.names)


def _taken_from(tree: ast.AST, name: str) -> Iterator[Import]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
            continue
        if node.value.id == name:
            yield node.lineno, f"lstd.{node.attr}"


def layering_offences(root: Path) -> list[str]:
    """Returns what breaks the rows in `root/lstd`, as `file:line: what`."""
    offences = []
    for path in sorted((root / "lstd").rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if parts == ("lstd", "__init__"):  # the public names come from everywhere
            continue
        part = parts[1]
        if part not in ROW_OF:
            offences.append(f"{path.relative_to(root)}:1: lstd.{part} stands on no row of ROWS")
            continue
        for line, module in imports_of(ast.parse(path.read_text()), ".".join(parts[:-1])):
            problem = _problem(part, module)
            if problem:
                offences.append(f"{path.relative_to(root)}:{line}: {problem}")
    return offences


def _problem(part: str, module: str) -> str | None:
    top, _, rest = module.partition(".")
    if top == "tf_keras" and part in WITHOUT_KERAS:
        return f"lstd.{part} must do without Keras"
    if top != "lstd":
        return None
    target = rest.partition(".")[0]
    if target not in ROW_OF:
        return f"imports {module}; name the module it lives in, below lstd/"
    if target == part or ROW_OF[target] < ROW_OF[part]:
        return None
    where = "beside" if ROW_OF[target] == ROW_OF[part] else "above"
    return f"lstd.{part} imports {module}, which stands {where} it"


def test_no_module_imports_from_beside_or_above() -> None:
    offences = layering_offences(ROOT)
    assert not offences, "\n".join(offences)


def test_every_row_stands_in_the_architecture_document() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    drawing = [set(line.split()) for line in text.split("```")[1].splitlines()]

    for row in ROWS:
        assert any(set(row) <= line for line in drawing), f"no line with {row}"


@pytest.mark.parametrize(
    ("file", "line", "culprit"),
    [
        ("models/a.py", "from lstd.export import tflite", "above"),
        ("models/a.py", "from lstd.data import pipeline", "beside"),
        ("models/a.py", "import lstd.data.pipeline", "beside"),
        ("models/a.py", "from ..data import pipeline", "beside"),
        ("models/a.py", "from lstd import build_model", "lstd.build_model"),
        ("models/a.py", "import lstd\nlstd.build_model", "imports lstd.build_model"),
        ("media/a.py", "from lstd.ops import boxes", "beside"),
        ("base/a.py", "from lstd.ops import boxes", "above"),
        ("a.py", "x = 1", "on no row"),
        ("cli/a.py", "from lstd import __version__", "lstd.__version__"),
        ("ops/a.py", "import tf_keras as keras", "without Keras"),
        ("ops/a.py", "def f():\n    from lstd import losses", "above"),
        ("colours/a.py", "x = 1", "on no row"),
    ],
)
def test_culprit_is_named_with_file_and_line(
    tmp_path: Path, file: str, line: str, culprit: str
) -> None:
    _write(tmp_path / "lstd" / file, line)

    (offence,) = layering_offences(tmp_path)

    assert offence.startswith(f"lstd/{file}:{len(line.splitlines())}: ")
    assert culprit in offence


def test_allowed_imports_pass(tmp_path: Path) -> None:
    for file, line in (
        ("models/a.py", "from lstd.layers import conv"),
        ("models/b.py", "from lstd.models import build"),
        ("models/c.py", "from . import build"),
        ("config/a.py", "from lstd.base import types"),
        ("cli/a.py", "import tf_keras as keras, lstd.ops.boxes"),
        ("__init__.py", "from lstd.cli import train"),
    ):
        _write(tmp_path / "lstd" / file, line)
    assert layering_offences(tmp_path) == []


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")
