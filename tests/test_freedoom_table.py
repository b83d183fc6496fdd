"""benchmarks/freedoom/table.py: what it makes of scores that are at hand, and of a run."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import lstd
from benchmarks.freedoom import table
from lstd.evaluation.metrics.coco import CocoMetric
from lstd.evaluation.occlusion import OccludedDataset
from tests.cli import eval_inputs


def coco(found_in: int) -> CocoMetric:
    """Returns a metric of 20 videos of a frame with an object, found in so many of them."""
    metric = CocoMetric(["cat"])
    true = {"boxes": np.array([[0, 0, 40, 40.0]]), "classes": np.array([0])}
    for video in range(20):
        count = int(video < found_in)
        found = {name: values[:count] for name, values in true.items()}
        metric.add((f"v{video}", 0), true, {**found, "scores": np.ones(count)})
    return metric


def test_a_row_has_its_intervals_and_how_far_it_is_below_the_seeds_own_skip9() -> None:
    found = {
        "interleaved SKIP9": (20, 10),
        "interleaved SKIP9-held": (10, 10),
        "small LARGE": (10,),
    }
    rows = {
        name: [
            table.Scored(
                {"coco/ap": 0.5, "coco/ap50": each / 20, "vid/ap50_fast": 0.25}, coco(each)
            )
            for each in seeds
        ]
        for name, seeds in found.items()
    }

    drawn = {
        name: [table.ap50_of_draws(each, draws=50, fps=None) for each in seeds]
        for name, seeds in rows.items()
    }
    facts = {name: table.facts_of(name, rows, drawn) for name in rows}

    half = 51 / 101  # COCO's precision at 101 recalls
    held = facts["interleaved SKIP9-held"]
    assert held["ap50"][0] == pytest.approx(half)
    assert held["ap50"][1] < half < held["ap50"][2]
    assert held["below_SKIP9"][0] == pytest.approx((1 - half) / 2)
    assert facts["small LARGE"]["below_SKIP9"][0] == pytest.approx(1 - half)  # the first seed's
    assert facts["interleaved SKIP9"]["below_SKIP9"] is None
    cost = {"multiply_adds": 5e6, "average_ms": 1.5, "median_ms": 0.0, "p95_ms": 9.0}
    lines = table.markdown({name: {**each, "cost": cost} for name, each in facts.items()})
    header, _, first, second, _ = lines.splitlines()
    assert [cell.strip() for cell in header.split("|")[3:7]] == [
        "of each seed",
        "below SKIP9",
        "AP",
        "fast",
    ]
    assert first.startswith("| interleaved SKIP9 | 0.75")
    assert "| 1.000 0.500 |" in first
    assert second.endswith("| 0.500 | 0.250 | 5 | 1.50 | 0.00 | 9.00 |")


def test_schedules_without_those_it_compares_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", "data", "--interleaved", "run", "--schedules", "LARGE", "SKIP3"]
    monkeypatch.setattr(sys, "argv", ["table.py", *arguments])

    with pytest.raises(SystemExit, match="2"):
        table.main()

    assert "--schedules needs LARGE, SKIP9 and SMALL" in capsys.readouterr().err


@pytest.mark.slow
def test_the_table_of_a_run_has_its_baselines_and_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = tuple(eval_inputs.LABELS)
    config = dataclasses.replace(eval_inputs.MODEL, num_classes=len(labels), labels=labels)
    run = eval_inputs.run_folder(tmp_path / "run", config, weights="best")
    data = tmp_path / "data"
    data.mkdir()
    eval_inputs.records(data / "videos.tfrecord", {"a": 5, "b": 3})
    arguments = ["--data", str(data), "--representative_data", str(data)]
    arguments += ["--interleaved", str(run)]
    arguments += ["--baselines", "held", "velocity", "--fps", "5", "--draws", "5"]
    arguments += ["--occlusion", "1", "--schedules", "LARGE", "SKIP3", "SKIP9", "SMALL"]
    monkeypatch.setattr(
        sys, "argv", ["table.py", *arguments, "--output_directory", str(tmp_path / "out")]
    )

    table.main()

    rows = json.loads((tmp_path / "out" / "table.json").read_text())["rows"]
    assert len(rows) == 4 + 2 * 2 + 4 + 2  # schedules, baselines, zeroed, files
    rows = {name.removeprefix("interleaved "): row for name, row in rows.items()}
    model = lstd.load_model(run)
    hidden = OccludedDataset(table.dataset_of(model, data), probability=1)
    alone = lstd.evaluate(model, hidden, schedules=["SKIP9", "SMALL"])
    for name in ("SKIP9", "SMALL"):
        assert rows[name]["mean"]["coco/ar100"] == alone[f"{name}/coco/ar100"] > 0
    large, small = (rows[name]["cost"]["multiply_adds"] for name in ("LARGE", "SMALL"))
    assert rows["SKIP9"]["cost"]["multiply_adds"] == pytest.approx((large + 9 * small) / 10)
    assert rows["SKIP9-int8"]["cost"]["multiply_adds"] == rows["SKIP9"]["cost"]["multiply_adds"]
    assert rows["SKIP9-held"]["cost"]["multiply_adds"] == pytest.approx(large / 10)
    late = rows["SKIP9-asynchronous"]["cost"]
    assert late["multiply_adds"] == pytest.approx(small + large / 10)
    for column in ("held", "velocity"):
        assert rows[f"SKIP9-{column}"]["cost"]["ms"]["small"] > 0  # the baseline's answer
    assert rows["SKIP9"]["mean"]["sap/ap50"] >= 0
    assert "sap/ap50" not in rows["SKIP9-int8"]["mean"]  # the times are those of the float file
