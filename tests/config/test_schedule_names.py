from __future__ import annotations

import pytest

from lstd.config import schedule_names
from lstd.ops import schedule as schedule_ops

TWO = ("large", "small")


def _order(schedule: str, *, seed: int = 0, frames: int = 25) -> list[str | None]:
    return [schedule_names.network_of(schedule, frame, seed=seed) for frame in range(frames)]


@pytest.mark.parametrize("schedule", ["LARGE", "SMALL", "SKIP0", "SKIP1", "SKIP3", "SKIP9"])
def test_schedule_equals_that_of_training(schedule: str) -> None:
    expected = [TWO[number] for number in schedule_ops.networks_of(schedule, list(range(25)))]
    assert _order(schedule) == expected


def test_random_repeats_with_its_seed_and_differs_without() -> None:
    first = _order("RANDOM", seed=1, frames=200)
    assert first == _order("RANDOM", seed=1, frames=200)
    assert first != _order("RANDOM", seed=2, frames=200)
    assert 60 < first.count("large") < 140  # A fair coin leaves this once in 10^8.


def test_a_single_network_takes_no_schedule_but_its_own() -> None:
    assert schedule_names.resolve("SKIP0", preferred="SKIP3", networks=("large",)) == "LARGE"
    for schedule in ("SKIP9", "SMALL", "RANDOM"):
        with pytest.raises(ValueError, match=f"{schedule} needs a large and a small network"):
            schedule_names.resolve(schedule, preferred=None, networks=("large",))
