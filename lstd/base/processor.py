"""What this machine's processor is called and can do, and the memory it has."""

import contextlib
import math
import os
import platform
from pathlib import Path

# Where a container says what it may use, in version 2 and 1 of control groups.
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


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


def memory() -> float:
    """Returns the bytes of memory that this machine or container has; infinity if nothing tells."""
    found = [math.inf]
    with contextlib.suppress(AttributeError, ValueError, OSError):  # other systems
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for limit in _LIMITS:
        with contextlib.suppress(OSError, ValueError):  # "max"
            found.append(int(Path(limit).read_text(encoding="utf-8")))
    return min(found)
