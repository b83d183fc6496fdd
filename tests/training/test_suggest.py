"""The settings that are suggested for a machine and its data."""

from typing import Any

import pytest

from lstd.config import config_io
from lstd.config.config import Config
from lstd.training.suggest import Measured, settings_for

# A CPU with 8 GB, whose half holds the batch of 8; an hour has 7,200 clips.
CPU = Measured(seconds=0.5, gigabytes=0.4, memory=8.0, gpus=0, frames=4000, clips=1000)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, (8, 1, 900)),
        ({"memory": 3.2}, (4, 2, 900)),
        ({"memory": 0.5}, (1, 8, 900)),  # not even one, of what is left beside
        ({"clips": 3}, (3, 1, 2400)),
        ({"seconds": 0.01}, (8, 1, 12000)),  # 100 passes, in five minutes
        ({"seconds": 0.01, "frames": 40}, (8, 1, 1000)),
        ({"seconds": 3000.0}, (8, 1, 1)),
        ({"gigabytes": 0.0}, (8, 1, 900)),
        ({"gpus": 1, "frames": 40000}, (8, 1, 9000)),  # ten hours
        ({"gpus": 2, "frames": 400000, "memory": 2.0}, (4, 2, 18000)),
    ],
)
def test_settings_fit_the_memory_the_time_and_the_data(
    changes: dict[str, Any], wanted: tuple[int, int, int]
) -> None:
    found = CPU._replace(**changes)
    config = config_io.override(Config(), settings_for(Config(), found))

    train, batch_size = config.train, config.data.train.batch_size
    assert (batch_size, train.accumulate_steps, train.steps) == wanted
    assert train.steps_per_epoch == max(1, train.steps // 10)
    assert train.distribution == ("mirrored" if found.gpus > 1 else "none")
    assert settings_for(config, found) == settings_for(Config(), found)
