"""A conversion that tests kill and go on with, in a process of its own."""

from __future__ import annotations

from multiprocessing.connection import Connection

from lstd.data import convert, synthesize
from lstd.data.convert import Settings

SCENE = synthesize.Scene(videos=20, frames=30, height=320, width=320, noise=4.0)
SETTINGS = Settings(frames_per_record=10, frames_per_shard=10)


def go_on(directory: str, workers: int, told: Connection) -> None:
    """Converts with resume; says when the plan is made, and then when each shard is done."""
    convert.convert(
        synthesize.source(SCENE),
        directory,
        SETTINGS,
        workers=workers,
        resume=True,
        on_start=lambda plan, done: told.send(done),
        on_frames=told.send,
    )
