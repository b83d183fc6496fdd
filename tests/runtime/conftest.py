from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf

from tests.runtime import fake_exports


@pytest.fixture(scope="session")
def of_bytes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Returns a `.tflite` and a SavedModel whose images are uint8."""
    return fake_exports.write(tmp_path_factory.mktemp("bytes"), dtype=tf.uint8)
