"""docs/metrics.md names a test for every rule, and a rule for every number."""

import ast
import re
from pathlib import Path

import pytest

from lstd.evaluation.metrics import by_name
from tests.evaluation.fakes import filled, random_frames
from tests.evaluation.test_workers import LABELS, LATENCIES

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`([\w/]+\.py)::(\w+)`", DOCUMENT)


def test_every_rule_of_a_table_names_a_test() -> None:
    rows = [line for line in DOCUMENT.splitlines() if line.startswith("| ")]
    headers = ("| rule |", "| of all metrics |", "| name |")
    rules = [
        row
        for row in rows
        if not row.startswith(headers) and "Metric" not in row.split("|")[2]  # of names
    ]

    assert len(rules) > 50
    assert [row for row in rules if ".py::test_" not in row] == []


@pytest.mark.parametrize("file", sorted({file for file, _ in NAMED}))
def test_tests_that_are_named_are_there(file: str) -> None:
    path = ROOT / file if "/" in file else ROOT / "tests" / "evaluation" / file
    defined = {
        node.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }

    assert {name for where, name in NAMED if where == file} <= defined


@pytest.mark.parametrize("name", by_name.NAMES)
def test_every_number_is_defined(name: str) -> None:
    make = by_name.factory(name, latencies=LATENCIES, fps=30)

    for number in filled(make(LABELS), random_frames(0)).result():
        for label in LABELS:
            number = number.removesuffix(f"/{label}")
        number = re.sub(r"^distance/\d+/", "distance/3/", number)
        number = re.sub(r"^distance/none/.*", "distance/none/ap", number)
        number = re.sub(r"^sap/(a[pr]\w*)$", r"coco/\1", number)  # as COCO's, the page says
        assert f"`{number}`" in DOCUMENT, number
