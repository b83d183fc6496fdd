"""What every test runs under; pytest reads this before any test imports TensorFlow."""

import os
import random
import sys
from pathlib import Path

import hypothesis
import numpy as np
import pytest

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # the tolerances are those of a CPU
os.environ.setdefault("MPLBACKEND", "Agg")  # draws without a screen
# The golden numbers were made so, and other CPUs then give the same sums.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
# Workers side by side share the cores; each would otherwise start threads for all of them.
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_THREADS = str(max(1, (os.cpu_count() or 1) // _WORKERS))
for _name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_name, _THREADS)

# Tracing a tf.function takes seconds the first time; the same examples on every run.
hypothesis.settings.register_profile(
    "lstd", deadline=None, derandomize=True, max_examples=50, print_blob=True
)
hypothesis.settings.load_profile("lstd")


@pytest.fixture(autouse=True)
def _same_seeds() -> None:
    """Every test begins with the same random numbers, alone or among others."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    if "tensorflow" in sys.modules:
        sys.modules["tensorflow"].random.set_seed(0)


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Returns a fake `.tflite` and SavedModel with two networks, which nobody changes."""
    from tests.runtime import fake_exports

    return fake_exports.write(tmp_path_factory.mktemp("interleaved"))


@pytest.fixture(scope="session")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns such a `.tflite` with one backbone that wants grey frames."""
    from tests.runtime import fake_exports

    return fake_exports.write(tmp_path_factory.mktemp("single"), names=("step",), channels=1)[0]
