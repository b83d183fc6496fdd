from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf

from tests.runtime import fake_exports


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Returns a `.tflite` and a SavedModel with two networks, written once."""
    return fake_exports.write(tmp_path_factory.mktemp("interleaved"))


@pytest.fixture(scope="session")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a `.tflite` with one backbone that wants grey frames."""
    return fake_exports.write(tmp_path_factory.mktemp("single"), names=("step",), channels=1)[0]


@pytest.fixture(scope="session")
def of_bytes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Returns a `.tflite` and a SavedModel whose images are uint8."""
    return fake_exports.write(tmp_path_factory.mktemp("bytes"), dtype=tf.uint8)
