"""What `lstd-export --check` prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lstd.export.own_file import Expected


def run(path: Path, *, expected: Expected | None, frames: int) -> None:
    """Prints what a `.tflite` offers and how it does in each check.

    Args:
        path: the file.
        expected: what it should be equal to, or None.
        frames: how many are run at least.

    Raises:
        ValueError: it cannot be looked at, a check failed, or it was not compared with the model.
    """
    from lstd.export import existing, findings

    inspection = existing.inspect(path, expected=expected, frames=frames)
    print(f"{path}: {inspection.num_bytes:,} bytes")
    for line in inspection.entry_points:
        print(line)
    width = max(len(finding.check) for finding in inspection.findings)
    for finding in inspection.findings:
        print(f"{finding.verdict:<12}  {finding.check:<{width}}  {finding.detail}")
    failed = [one.check for one in inspection.findings if one.verdict == findings.FAILED]
    if failed:
        raise ValueError(f"{path} does not pass: {', '.join(failed)}")
    for finding in inspection.findings:
        if finding.check == "Keras" and expected is not None and finding.verdict != findings.OK:
            raise ValueError(f"{path} was not compared with the model: {finding.detail}")
    passed = sum(finding.verdict == findings.OK for finding in inspection.findings)
    print(f"{passed} checks passed, {len(inspection.findings) - passed} not possible")
