"""The line of progress, on a terminal and in a log file."""

import io

import pytest

from lstd.base.progress import Progress, clock_text


class Clock:
    """A clock that stands still until it is told to go on."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_log_file_gets_a_line_every_thirty_seconds_and_one_at_the_end() -> None:
    clock, stream = Clock(), io.StringIO()

    with Progress("evaluating", total=60, unit="frames", stream=stream, clock=clock) as report:
        for _ in range(60):
            clock.seconds += 1
            report.advance()

    assert stream.getvalue().splitlines() == [
        "evaluating 30/60 frames, 1 frames/s, 0:30 left",
        "evaluating 60/60 frames, 1 frames/s",
        "evaluating 60 frames in 1:00 (1 frames/s)",
    ]


def test_terminal_has_one_line_redrawn_in_place() -> None:
    clock, stream = Clock(), Terminal()

    with Progress("training", total=1000, stream=stream, clock=clock) as report:
        for _ in range(3):
            clock.seconds += 0.1
            report.advance(250, note=lambda: "loss 3.21")

    assert stream.getvalue().split("\r") == [
        "",
        "training 500/1000 steps, 2,500 steps/s, 0:00 left, loss 3.21",
        "training 750/1000 steps in 0:00 (2,500 steps/s)             \n",
    ]


def test_speed_leaves_out_warming_up_and_pauses_and_follows_a_change() -> None:
    clock, stream = Clock(), io.StringIO()
    report = Progress("x", total=400, done=100, stream=stream, clock=clock, rate=("frames", 8))

    def shown(*waits: float) -> str:
        for wait in waits:
            clock.seconds += wait
            report.advance()
        report.keep("now", "n")
        return stream.getvalue().splitlines()[-1]

    assert shown(20) == "now 101/400 steps, n"  # a graph is traced
    assert shown(2, 2) == "now 103/400 steps, 4 frames/s, 9:54 left, n"
    report.pause()
    assert shown(1000) == "now 104/400 steps, 4 frames/s, 9:52 left, n"
    assert shown(*[0.02] * 290) == "now 394/400 steps, 311 frames/s, 0:00 left, n"


def test_unknown_total_has_no_time_left() -> None:
    clock, stream = Clock(), io.StringIO()

    with Progress("reading", unit="frames", stream=stream, clock=clock) as report:
        for clock.seconds in (40, 80):
            report.advance(10)

    assert stream.getvalue().splitlines() == [
        "reading 10 frames",
        "reading 20 frames, 0.25 frames/s",
        "reading 20 frames in 1:20 (0.25 frames/s)",
    ]


def test_nothing_to_do_is_said_without_a_rate() -> None:
    clock, stream = Clock(), io.StringIO()

    with Progress("reading", total=0, stream=stream, clock=clock):
        pass

    assert stream.getvalue() == "reading 0 steps in 0:00\n"


def test_broken_off_work_shows_how_far_it_came() -> None:
    clock, stream = Clock(), io.StringIO()

    def work() -> None:
        with Progress("reading", total=5, stream=stream, clock=clock) as report:
            report.advance()
            clock.seconds = 2
            raise ValueError("bad frame")

    with pytest.raises(ValueError, match="bad frame"):
        work()
    assert stream.getvalue() == "reading 1/5 steps in 0:02 (0.5 steps/s)\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (59.4, "0:59"), (59.6, "1:00"), (3599.9, "1:00:00"), (90061, "25:01:01")],
)
def test_durations_as_people_write_them(seconds: float, text: str) -> None:
    assert clock_text(seconds) == text
