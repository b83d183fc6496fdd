"""What a bug report should say of the machine and of what is installed."""

import math
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from lstd.base import processor
from lstd.base.version import __version__, installed

# Distributions that decide how lstd behaves, each with what else may bring it.
_PACKAGES = (
    "tensorflow tensorflow-cpu tensorflow-macos tf-nightly",
    "tf-keras tf-keras-nightly",
    "keras",
    "numpy",
    "ai-edge-litert ai-edge-litert-nightly",
    *("protobuf", "h5py", "pydantic", "pycocotools", "hotcoco", "av", "pillow", "matplotlib"),
    "tensorboard",
)
_CPU_FEATURES = (
    "sse4_2 avx avx2 fma f16c avx_vnni avx512f avx512_vnni avx512_bf16 avx512_fp16 amx_bf16 "
    "amx_int8 asimd asimddp asimdhp bf16 i8mm sve"
)
# Not all that begins with TF_: Terraform's variables do too, and may hold secrets.
_VARIABLES = (
    "TF_CONFIG TF_CPP_ TF_CPU_ TF_CUDNN_ TF_DETERMINISTIC TF_ENABLE_ TF_FORCE_ TF_GPU_ TF_NUM_ "
    "TF_USE_ TF_XLA_ XLA_ CUDA_ OMP_ MKL_ LSTD_"
)


def versions() -> str:
    """Returns the versions of lstd and, where they are installed, of TensorFlow and Keras."""
    found = installed("tensorflow", "tf-keras")
    return ", ".join([__version__, *(f"{name} {told}" for name, told in found.items())])


def report() -> str:
    """Returns the report: a line each for versions, machine, devices and settings."""
    rows = [*_software(), *_machine(), *_tensorflow()]
    told = tuple(_VARIABLES.split())
    rows += [(name, os.environ[name]) for name in sorted(os.environ) if name.startswith(told)]
    rows.append(("interpreter", sys.executable))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name.ljust(width)}  {value}".rstrip() for name, value in rows)


def _software() -> Iterator[tuple[str, str]]:
    yield "lstd", f"{__version__}{_commit()}"
    yield "Python", f"{platform.python_version()} ({platform.python_implementation()})"
    for names in _PACKAGES:
        first, *others = names.split()
        instead = [f"{told} ({name})" for name, told in installed(*others).items()]
        yield first, installed(first).get(first) or " ".join(instead) or "not installed"


def _commit() -> str:
    """Returns the commit of a clone, with a mark when files have been changed; "" elsewhere."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return ""
    describe = ["git", "-C", str(root), "describe", "--always", "--dirty=, modified", "--exclude=*"]
    try:
        result = subprocess.run(describe, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return " (a clone; git tells no commit)"
    return f" (commit {result.stdout.strip()})"


def _machine() -> Iterator[tuple[str, str]]:
    unknown = "not told by this system"
    yield "system", platform.platform()
    yield "CPU", processor.name()
    told = processor.facts()
    flags = set((told.get("flags") or told.get("Features") or "").split())
    yield (
        "CPU features",
        " ".join(name for name in _CPU_FEATURES.split() if name in flags) or unknown,
    )
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield "cores", f"{os.cpu_count()} logical, {usable} for this process"
    size = processor.memory()
    yield "memory", f"{size / 2**30:.1f} GiB" if size < math.inf else unknown


def _tensorflow() -> Iterator[tuple[str, str]]:
    try:
        import tensorflow as tf
    except ImportError:
        return
    yield "TensorFlow build", f"{tf.version.GIT_VERSION}, {tf.version.COMPILER_VERSION}"
    cuda = tf.sysconfig.get_build_info().get("cuda_version")
    yield "built with CUDA", str(cuda) if tf.test.is_built_with_cuda() and cuda else "no"
    names = []
    for device in tf.config.list_physical_devices():
        name = device.name.removeprefix("/physical_device:")
        if device.device_type == "GPU":
            details = tf.config.experimental.get_device_details(device)
            name = f"{details.get('device_name', name)} ({details.get('compute_capability')})"
        names.append(name)
    yield "devices", ", ".join(names)
    threads = tf.config.threading
    counts = threads.get_intra_op_parallelism_threads(), threads.get_inter_op_parallelism_threads()
    told = [str(count or "one for each core") for count in counts]
    yield "threads", f"within an operation {told[0]}, operations side by side {told[1]}"
