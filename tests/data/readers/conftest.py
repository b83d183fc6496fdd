"""What the tests of all readers show."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.readers.test_formats import film


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of six frames, 50 x 100, the n-th all of 40 n."""
    path = tmp_path_factory.mktemp("video") / "street.mp4"
    return film(path, [40 * number for number in range(6)], size=(50, 100))
