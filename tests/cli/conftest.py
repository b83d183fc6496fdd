"""What the tests of all commands share."""

import re
from collections.abc import Callable

import pytest


@pytest.fixture
def refused(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Returns what runs a command that has to fail, and returns the sentence that says why."""

    def run(main: Callable[[list[str]], int], *arguments: object) -> str:
        capfd.readouterr()
        assert main([*map(str, arguments)]) == 2, arguments
        errors = capfd.readouterr().err
        (sentence,) = [line for line in errors.splitlines() if re.match(r"lstd-\w+: error: ", line)]
        assert "Traceback" not in errors
        return sentence

    return run
