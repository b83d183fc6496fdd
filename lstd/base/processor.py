"""What this machine's processor is called and can do."""

from __future__ import annotations

import platform
from pathlib import Path


def facts() -> dict[str, str]:
    """Returns what Linux says of the first processor, by its words; nothing on other systems."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def name() -> str:
    """Returns its name, or the architecture where the system tells no name."""
    told = facts()
    known = told.get("model name") or told.get("Model")
    return known or platform.processor() or platform.machine()
