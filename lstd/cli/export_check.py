"""What `lstd-export --check` prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def run(path: Path, *, model: Any, frames: int) -> None:
    """Prints what a `.tflite` offers and how it does in each check.

    Args:
        path: the file.
        model: what it should be equal to, or None.
        frames: how many are run at least.

    Raises:
        ValueError: it cannot be looked at, or a check failed.
    """
    from lstd.export import existing, findings

    inspection = existing.inspect(path, model=model, frames=frames)
    print(f"{path}: {inspection.num_bytes:,} bytes")
    for line in inspection.entry_points:
        print(line)
    width = max(len(finding.check) for finding in inspection.findings)
    for finding in inspection.findings:
        print(f"{finding.verdict:<12}  {finding.check:<{width}}  {finding.detail}")
    failed = [one.check for one in inspection.findings if one.verdict == findings.FAILED]
    if failed:
        raise ValueError(f"{path} does not pass: {', '.join(failed)}")
    passed = sum(finding.verdict == findings.OK for finding in inspection.findings)
    print(f"{passed} checks passed, {len(inspection.findings) - passed} not possible")
