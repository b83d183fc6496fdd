"""What many tests look at, made once."""

import pytest

from lstd.export.module import ExportModule
from tests.export import exports


@pytest.fixture(scope="session")
def module() -> ExportModule:
    """Returns the module of the tiny model."""
    return exports.module()


@pytest.fixture(scope="session")
def content(module: ExportModule) -> bytes:
    """Returns its `.tflite`."""
    return exports.converted(module)
