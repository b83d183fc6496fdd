"""notebooks/: what each must be, and that each still prints what is stored in it."""

from __future__ import annotations

import ast
import copy
import re
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

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
        elif isinstance(node, ast.Attribute) and re.match(r"_(?!_|replace$)", node.attr):
            found.add(node.attr)
    return found


def _is_hidden(name: str) -> bool:
    if name.split(".")[0] != "lstd" or name == "lstd":
        return False
    is_open = any(f"{name}.".startswith(f"{package}.") for package in OPEN_PACKAGES)
    return not is_open and name.removeprefix("lstd.") not in lstd.__all__


@of_each
def test_notebook_is_valid_and_uses_public_names_and_files(path: Path) -> None:
    notebook = _read(path)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    links = re.findall(r"\]\(([^)#]+)", text)
    code = "\n".join(cell.source for cell in _code_of(notebook))

    nbformat.validate(notebook)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    assert _not_public(TransformerManager().transform_cell(code)) == set()
    assert [link for link in links if "://" not in link and not (FOLDER / link).exists()] == []


@of_each
def test_notebook_is_stored_as_run_from_top_to_bottom(path: Path) -> None:
    code = _code_of(_read(path))
    outputs = [output for cell in code for output in cell.outputs]

    assert path.stat().st_size < 300_000
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert {output.output_type for output in outputs} <= {"stream", "display_data"}
    assert "stderr" not in {output.get("name") for output in outputs}
    assert any(kind.startswith("image/") for output in outputs for kind in output.get("data", {}))


def test_every_notebook_can_be_opened_in_colab_and_installs_lstd_there() -> None:
    for path in NOTEBOOKS:
        notebook = _read(path)
        first = _code_of(notebook)[0]

        assert f"lstd-project/lstd/blob/main/notebooks/{path.name})" in notebook.cells[0].source
        assert first.metadata.tags == ["setup"]
        assert first.source == _code_of(_read(NOTEBOOKS[0]))[0].source


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
        ("detections._replace(count=1)", 0),  # of every NamedTuple
    ],
)
def test_hidden_names_are_found_and_public_ones_left_alone(code: str, hidden: int) -> None:
    assert len(_not_public(code)) == hidden


@pytest.mark.parametrize(
    ("now", "same"),
    [("imp 0.41 of 90", True), ("imp 0.45 of 90", False), ("imp 0.41 of 91", False)],
)
def test_fractions_may_differ_a_little_and_nothing_else(now: str, same: bool) -> None:
    assert _is_same("imp 0.42 of 90", now) == same


@pytest.mark.slow
@of_each
def test_notebook_prints_and_shows_what_is_stored(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nbclient import NotebookClient

    monkeypatch.delenv("MPLBACKEND", raising=False)  # the kernel's own puts pictures in the page
    stored = _read(path)
    now = copy.deepcopy(stored)
    folder = {"metadata": {"path": str(FOLDER)}}
    NotebookClient(now, timeout=1800, resources=folder).execute()

    for before, after in zip(_code_of(stored), _code_of(now), strict=True):
        assert _is_same(_text_of(before), _text_of(after)), (
            f"{_text_of(after)}\nis not what is stored; make notebooks stores it\n{before.source}"
        )


def _code_of(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _text_of(cell: nbformat.NotebookNode) -> str:
    """Returns what a cell prints, and the kinds of what it shows."""
    printed = [output.text for output in cell.outputs if output.get("name") == "stdout"]
    shown = [" ".join(sorted(output.get("data", {}))) for output in cell.outputs]
    return "".join(printed) + "".join(shown)


def _is_same(text: str, other: str) -> bool:
    """Whether two texts are the same but for fractions, which differ by 0.02 at most."""
    fraction = re.compile(r"\d+\.\d+")
    numbers = [[float(number) for number in fraction.findall(each)] for each in (text, other)]
    return fraction.sub("", text) == fraction.sub("", other) and numbers[1] == pytest.approx(
        numbers[0], abs=0.02
    )
