"""The report of an evaluation: what was measured stands in it, for every schedule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lstd.evaluation import evaluate, report, results
from lstd.evaluation.clip_frames import Frame
from lstd.evaluation.metrics import by_name

LABELS = ("cat", "dog", "yak")
SCHEDULES = ("LARGE", "SKIP1", "SMALL")
NAMES = ("coco", "vid", "sap", "distance", "confusion", "flicker")


def evaluated(names: tuple[str, ...] = NAMES) -> tuple[dict[str, float], dict[str, list[Any]]]:
    """Returns numbers and metrics: the small network calls a dog a cat, and there is no yak."""
    metrics = by_name.metrics_by_schedule(
        names, SCHEDULES, LABELS, latencies={"large": 5, "small": 5}, fps=10
    )
    boxes = np.array([[0, 0, 40, 40], [60, 60, 160, 160]], float)
    for index in range(6):
        true = {"boxes": boxes, "classes": [0, 1], "track_ids": [0, 1]}
        found = {}
        for schedule in SCHEDULES:
            large = schedule == "LARGE" or (schedule == "SKIP1" and index % 2 == 0)
            classes = [0, 1] if large else [0, 0]
            found[schedule] = {
                "boxes": boxes,
                "classes": classes,
                "scores": [0.9, 0.8],
                "network": "large" if large else "small",
            }
        evaluate.add_frame(
            metrics, Frame((b"v", index), true, found, np.zeros(0)), num_classes=len(LABELS)
        )
    return {"frames": 6, **evaluate.results_of(metrics)}, metrics


def test_page_has_every_schedule_in_tables_and_curves(tmp_path: Path) -> None:
    numbers, metrics = evaluated()
    numbers.update({f"{s}/occluded/0.5/coco/ap50": 0.5 for s in SCHEDULES})

    path = report.write(
        tmp_path / "report.html", title="T", summary="S", numbers=numbers, metrics=metrics
    )

    page = path.read_text()
    assert page.count("data:image/svg+xml") == 3
    for caption in (
        "Precision over recall at IoU 0.5, mean of all classes",
        "AP50 by distance to the last frame that the large network saw",
        "AP50 when objects are hidden",
        "What is taken for what: SKIP1",
    ):
        assert f">{caption}" in page
    assert "by detections from a score of 0.5 at IoU 0.5" in page
    assert "http" not in page
    assert "coco/ar10" not in page


def test_overall_table_leaves_out_classes_plots_and_what_was_not_measured() -> None:
    numbers, _ = evaluated()
    by_schedule = {name: results.of_schedule(numbers, name, SCHEDULES) for name in SCHEDULES}

    table = report.overall(by_schedule, {"LARGE": 9.87, "SKIP1": 1234.5})

    rows = {row[0].partition("\n")[0]: row[1:] for row in (*table.rows, *table.more)}
    assert table.header == ["", *SCHEDULES]
    assert rows["vid/ap50"] == ["1.000", "0.750", "0.500"]
    assert rows["frames/s"] == ["9.87", "1,234", "–"]  # noqa: RUF001 - a dash
    assert "distance/fade_ap50" not in rows  # distances of 0 and 1 only: nothing to compare
    assert not any("cat" in name or name.startswith(("coco/ar", "vid/classes")) for name in rows)
    assert "coco/ap_small" not in rows  # no object is that small
    assert len(table.rows) <= 8


def test_headline_holds_an_interleaved_schedule_against_large_and_its_best_baseline() -> None:
    ap50 = {"SMALL": 0.1, "LARGE": 0.6, "SKIP9": 0.5, "SKIP9-held": 0.2, "SKIP9-velocity": 0.55}
    columns = {name: {"coco/ap50": value} for name, value in ap50.items()}

    assert report.headline(columns, {"LARGE": 10.0, "SKIP9": 40.0}) == [
        ("0.500", "AP50 under SKIP9 (LARGE: 0.600)"),
        ("40", "frames/s under SKIP9 (LARGE: 10)"),
        ("-0.050", "AP50 against SKIP9-velocity, the best baseline"),
    ]
    assert report.headline({"LARGE": {"coco/ap50": -1.0}}, {}) == []


def test_class_table_has_ap50_under_each_schedule() -> None:
    numbers, metrics = evaluated()
    by_schedule = {name: results.of_schedule(numbers, name, SCHEDULES) for name in SCHEDULES}

    (table,) = report.per_class(by_schedule, metrics)

    assert table.header == ["class", "objects", *SCHEDULES]
    rows = {row[0]: list(row[1:]) for row in table.rows}
    assert rows["dog"] == ["6", "1.000", "0.505", "0.000"]
    assert rows["yak"] == ["0", *"–" * 3]  # noqa: RUF001 - dashes


def test_what_was_not_asked_for_is_not_drawn(tmp_path: Path) -> None:
    numbers, metrics = evaluated(("flicker",))

    page = report.write(
        tmp_path / "report.html", title="T", summary="S", numbers=numbers, metrics=metrics
    ).read_text()

    assert "data:image/svg" not in page
    assert "flicker/rate" in page
