"""The benchmark of VideoDetector against the bare signature runner; times are not judged."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_benchmark_compares_both_networks_in_turns(exported: tuple[Path, Path]) -> None:
    pytest.importorskip("ai_edge_litert")
    script = ROOT / "benchmarks" / "detector_overhead.py"
    result = subprocess.run(
        [sys.executable, script, f"--model={exported[0]}", "--turns=3"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode in (0, 1), result.stderr  # 1: slower than it may be
    rows = re.findall(r"^(large|small) +runner +\S+ ms +VideoDetector +\S+ ms", result.stdout, re.M)
    assert rows == ["large", "small"]
