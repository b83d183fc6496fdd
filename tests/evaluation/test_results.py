"""Results as a table and as files."""

import csv
import json
from pathlib import Path

from lstd.evaluation import results
from lstd.evaluation.bootstrap import Comparison, Difference

TWO = {"frames": 3, "LARGE/coco/ap": 0.5, "LARGE/coco/ap_small": -1.0, "SKIP3/coco/ap": 1 / 3}


def test_table_has_metrics_down_and_schedules_across() -> None:
    header, rows = results.table(TWO, ["LARGE", "SKIP3"])

    assert header == ["metric", "LARGE", "SKIP3"]
    assert rows == [["coco/ap", "0.500", "0.333"], ["coco/ap_small", "–", "–"]]  # noqa: RUF001


def test_text_columns_are_aligned() -> None:
    text = results.format_table(["metric", "LARGE"], [["coco/ap", "0.5"], ["x", "-"]])

    assert text.splitlines() == [
        "metric   LARGE",
        "-------  -----",
        "coco/ap    0.5",
        "x            -",
    ]


def test_files_hold_every_digit_and_the_facts(tmp_path: Path) -> None:
    directory = tmp_path / "new" / "folder"

    paths = results.save_results(directory, TWO, ["LARGE", "SKIP3"], {"model": "runs/one"})

    saved = json.loads(paths[0].read_text())
    assert saved == {"model": "runs/one", "schedules": ["LARGE", "SKIP3"], "results": TWO}
    with paths[1].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[2] == {"schedule": "SKIP3", "metric": "coco/ap", "value": repr(1 / 3)}
    assert sorted(path.name for path in directory.iterdir()) == ["results.csv", "results.json"]


def test_interval_that_holds_zero_is_not_told_apart() -> None:
    nan = float("nan")
    comparison = Comparison(
        {
            "coco/ap": Difference(0.5, 0.6, low=0.05, high=0.15),
            "coco/ap50": Difference(0.5, 0.6, low=-0.01, high=0.2),
            "coco/ap75": Difference(0.5, 0.4, low=-0.2, high=-0.01),
            "coco/ar100": Difference(-1.0, 0.4, low=nan, high=nan),
            "vid/ap50": Difference(0.1, 0.9, low=nan, high=nan),  # of fewer than ten units
        },
        units="12 videos",
        confidence=0.95,
        draws=1000,
    )

    header, rows = results.comparison_table(comparison)

    assert header == ["metric", "this", "other", "other - this", "95% interval", ""]
    assert rows[0] == ["coco/ap", "0.500", "0.600", "+0.100", "+0.050 to +0.150", "differs"]
    assert [row[-1] for row in rows] == [
        "differs",
        "not told apart",
        "differs",
        "no verdict",
        "no verdict",
    ]
