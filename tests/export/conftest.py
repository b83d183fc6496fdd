"""Exports that many tests look at, made once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lstd.export.module import ExportModule
from lstd.export.tflite import export_tflite
from tests.export import exports
from tests.export.tiny_model import TinyModel, images


@pytest.fixture(scope="session")
def module() -> ExportModule:
    """Returns the module of the tiny model."""
    return exports.module()


@pytest.fixture(scope="session")
def content(module: ExportModule) -> bytes:
    """Returns its `.tflite`."""
    return exports.converted(module)


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns an exported file of the tiny model, with its JSON beside it."""
    path = tmp_path_factory.mktemp("exported") / "tiny.tflite"
    export_tflite(TinyModel(), path)
    return path


@pytest.fixture(scope="session")
def int8(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns an int8 file of the tiny model."""
    path = tmp_path_factory.mktemp("exported") / "int8.tflite"
    clip = images(6).astype(np.uint8)
    export_tflite(TinyModel(), path, quantization="int8", representative_data=[clip])
    return path
