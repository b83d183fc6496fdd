from __future__ import annotations

import pytest

from lstd.ops import schedule as schedule_ops
from lstd.runtime import network_schedule

TWO = ("large", "small")


def _order(schedule: str, *, seed: int = 0, frames: int = 25) -> list[str]:
    return [network_schedule.network_of(schedule, frame, seed=seed) for frame in range(frames)]


@pytest.mark.parametrize("schedule", ["LARGE", "SMALL", "SKIP0", "SKIP1", "SKIP3", "SKIP9"])
def test_schedule_equals_that_of_training(schedule: str) -> None:
    expected = [TWO[number] for number in schedule_ops.networks_of(schedule, list(range(25)))]
    assert _order(schedule) == expected


def test_random_repeats_with_its_seed_and_differs_without() -> None:
    first = _order("RANDOM", seed=1, frames=200)
    assert first == _order("RANDOM", seed=1, frames=200)
    assert first != _order("RANDOM", seed=2, frames=200)
    assert 60 < first.count("large") < 140  # A fair coin leaves this once in 10^8.


@pytest.mark.parametrize(
    ("asked", "preferred", "networks", "followed"),
    [
        (None, "SKIP3", TWO, "SKIP3"),
        (None, None, TWO, "SKIP9"),
        ("SMALL", "SKIP3", TWO, "SMALL"),
        ("SKIP0", "SKIP3", ("large",), "LARGE"),
        (None, "SKIP3", ("small",), "SMALL"),
    ],
)
def test_what_was_asked_comes_before_the_models_own_and_skip9(
    asked: str | None, preferred: str | None, networks: tuple[str, ...], followed: str
) -> None:
    found = network_schedule.resolve(asked, preferred=preferred, networks=networks)
    assert found == followed


@pytest.mark.parametrize("schedule", ["SKIP9", "SMALL", "RANDOM"])
def test_one_backbone_takes_large_only(schedule: str) -> None:
    with pytest.raises(ValueError, match=f"{schedule} needs a large and a small network"):
        network_schedule.resolve(schedule, preferred=None, networks=("large",))
