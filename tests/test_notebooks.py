"""notebooks/: what each must be, and that each runs."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import nbformat
import pytest

import lstd

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
OPEN_PACKAGES = ("lstd.data.readers", "lstd.evaluation", "lstd.media")
"""Beside lstd itself; docs/api.md says so."""

of_each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def _read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=nbformat.NO_CONVERT)


def _not_public(code: str) -> set[str]:
    """Returns the names of lstd in some code that are nobody's to use."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names if _is_hidden(name.name)}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{name.name}" for name in node.names}
            found |= {name for name in names if _is_hidden(name)}
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "lstd":
            found |= {f"lstd.{node.attr}"} - {f"lstd.{name}" for name in lstd.__all__}
        elif isinstance(node, ast.Attribute) and re.match(r"_[^_]", node.attr):
            found.add(node.attr)
    return found


def _is_hidden(name: str) -> bool:
    if name.split(".")[0] != "lstd" or name == "lstd":
        return False
    is_open = any(f"{name}.".startswith(f"{package}.") for package in OPEN_PACKAGES)
    return not is_open and name.removeprefix("lstd.") not in lstd.__all__


@of_each
def test_notebook_is_valid_without_outputs_and_uses_public_names_and_files(path: Path) -> None:
    notebook = _read(path)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    links = re.findall(r"\]\(([^)#]+)", text)

    nbformat.validate(notebook)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    assert [cell.outputs for cell in cells] == [[]] * len(cells)
    assert {cell.execution_count for cell in cells} == {None}
    assert _not_public("\n".join(cell.source for cell in cells)) == set()
    assert [link for link in links if "://" not in link and not (FOLDER / link).exists()] == []


@pytest.mark.parametrize(
    ("code", "hidden"),
    [
        ("import lstd.models.build", 1),
        ("from lstd.ops import anchors", 1),
        ("from lstd import losses", 1),
        ("lstd.models", 1),
        ("model._run()", 1),
        ("import lstd", 0),
        ("lstd.load_config('a')", 0),
        ("from lstd.media import draw", 0),
        ("a.__class__", 0),
    ],
)
def test_hidden_names_are_found_and_public_ones_left_alone(code: str, hidden: int) -> None:
    assert len(_not_public(code)) == hidden


@pytest.mark.slow
@of_each
def test_notebook_runs_from_top_to_bottom_and_shows_pictures(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nbclient import NotebookClient

    monkeypatch.delenv("MPLBACKEND", raising=False)  # the kernel's own puts pictures in the page
    notebook = _read(path)
    folder = {"metadata": {"path": str(FOLDER)}}
    NotebookClient(notebook, timeout=1800, resources=folder).execute()

    outputs = [out for cell in notebook.cells if cell.cell_type == "code" for out in cell.outputs]
    assert any("image/png" in out.get("data", {}) for out in outputs)
