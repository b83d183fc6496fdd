"""Failures in one sentence each, for people who use a command and do not read tracebacks."""

import re
import sys
from typing import Any

from lstd.base import label_map
from lstd.base.whole_file import disk_is_full

# What is optional, by the module whose import fails -> what to install.
_EXTRAS = {
    **dict.fromkeys(("tensorflow", "tf_keras"), "tensorflow tf-keras"),
    **dict.fromkeys(("av", "PIL"), "'lstd[video]'"),
    "matplotlib": "'lstd[plots]'",
    "tensorboard": "'lstd[tensorboard]'",
    "hotcoco": "'lstd[fast]'",
    "ai_edge_litert": "'lstd[litert]'",
    **dict.fromkeys(("supervision", "trackers"), "'lstd[tracking]'"),
    "apache_beam": "'lstd[beam]'",
}
_TENSORFLOW_HINTS = {
    "ResourceExhaustedError": "out of memory, smaller batches or clips need less: ",
    "disk": "the disk is full: ",
    "DataLossError": "a file is damaged or not of the expected kind: ",
    "NotFoundError": "not found: ",
    "PermissionDeniedError": "not allowed: ",
}
_LONGEST = 3000  # a value of the user's may be of any length

# What of a TensorFlow message speaks of its graph: {{function_node x}}, [[{{node x}}]], [Op:x].
_GRAPH_MARKS = re.compile(r"\{\{function_node \S+\}\}|\[\[.*?\]\]|\[Op:\S*\]( name: \S*)?")
_GRAPH_LINE = re.compile(r"\s*(Graph execution error|Detected at node|File \"|<stack traces)")


def sentence(error: Exception) -> str | None:
    """Returns what to tell the user, in one line; None for an error that is a bug of ours."""
    if isinstance(error, ImportError):
        return _missing_package(error)
    if isinstance(error, RecursionError):
        return "what was read is nested too deeply"
    if isinstance(error, MemoryError):
        return _one_line(f"out of memory, smaller batches or clips need less {error}")
    if isinstance(error, OSError):
        name = error.filename
        name = name.decode(errors="replace") if isinstance(name, bytes) else name
        return _one_line(("" if name is None else f"{name}: ") + reason(error))
    if isinstance(error, ValueError):
        # What shows a picture of folders says so; all else is one sentence.
        if getattr(error, "keep_lines", False):
            return "\n".join(label_map.shown(line) for line in str(error).split("\n"))
        return _one_line(str(error))
    return _tensorflow(error)


def reason(error: OSError) -> str:
    """Returns why an operation of the system failed, without its number."""
    return error.strerror[0].lower() + error.strerror[1:] if error.strerror else str(error)


def _missing_package(error: ImportError) -> str | None:
    module = (error.name or "").partition(".")[0]
    package = _EXTRAS.get(module)
    if package is None:
        return None
    return f"{module} is not installed, which this needs: pip install {package}"


def _tensorflow(error: Exception) -> str | None:
    """Returns what a TensorFlow error says happened, without what it says of its graph."""
    tensorflow: Any = sys.modules.get("tensorflow")  # if it is not loaded, this is not its error
    if tensorflow is None or not isinstance(error, tensorflow.errors.OpError):
        return None
    kind = "disk" if disk_is_full(error) else type(error).__name__
    text = _GRAPH_MARKS.sub(" ", str(error.message or ""))
    told = [line for line in text.splitlines() if line.strip() and not _GRAPH_LINE.match(line)]
    what = _one_line(told[0] if told else kind)
    if kind in _TENSORFLOW_HINTS:
        return _TENSORFLOW_HINTS[kind] + what
    return f"{what} (LSTD_DEBUG=1 shows where)"


def _one_line(text: str) -> str:
    text = label_map.shown(" ".join(text.split())) or "it failed, and said nothing about why"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ... ({len(text)} characters)"
