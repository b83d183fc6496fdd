"""Async mode: what arrives when, in a thread and offline."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lstd.runtime.detector import VideoDetector
from tests.runtime import fake_exports
from tests.runtime.fake_exports import FakeModule, grey

TIMEOUT = 60.0


class _Held:
    """A fake model whose large network stands still until it is let go."""

    image_shape = (fake_exports.HEIGHT, fake_exports.WIDTH, 3)
    state_shape = fake_exports.STATE_SHAPE[1:]

    def __init__(self) -> None:
        module = FakeModule()
        self.go = threading.Semaphore(0)
        self.threads: set[tuple[str, int]] = set()
        self.error: Exception | None = None
        self.small = lambda **inputs: module.small(**inputs)
        self._large = module.large

    def large(self, **inputs: Any) -> Any:
        self.threads.add((threading.current_thread().name, threading.get_ident()))
        assert self.go.acquire(timeout=TIMEOUT)
        if self.error is not None:
            raise self.error
        return self._large(**inputs)


def _levels(count: int) -> list[int]:
    return [int(level) for level in np.random.default_rng(0).integers(0, 256, count)]


def _rows(detector: VideoDetector, levels: list[int]) -> list[list[float]]:
    return [detector(grey(level)).boxes.ravel().tolist() for level in levels]


def _threaded(levels: list[int], delays: list[int], schedule: str) -> Any:
    """Returns the detector and its rows after a run in which large run i takes delays[i] frames."""
    model, rows = _Held(), []
    detector = VideoDetector(model, schedule, mode="async")
    due = None
    for number, level in enumerate(levels):
        if number == due:
            model.go.release()
            assert detector.wait(TIMEOUT)
        rows += _rows(detector, [level])
        if number == due:
            due = None
        if due is None and None in detector.delays:  # a run has begun with this frame
            due = number + delays[len(detector.delays) - 1]
    model.go.release()
    detector.close()
    return detector, rows


def test_small_answers_every_frame_and_large_states_arrive_when_they_are_finished() -> None:
    model = _Held()
    detector = VideoDetector(model, "SKIP1", mode="async")
    c = [detector(grey(51)).boxes[0, 0]]  # frame 0: large starts, zeros answer
    assert (detector.last_network, detector.state_frame) == ("small", None)
    c.append(detector(grey(255)).boxes[0, 0])  # 1: nothing yet
    c.append(detector(grey(255)).boxes[0, 0])  # 2: its turn is skipped
    assert detector.skipped_turns == 1
    model.go.release()
    assert detector.wait(TIMEOUT)
    c.append(detector(grey(255)).boxes[0, 0])  # 3: the state of frame 0, no turn
    assert detector.state_frame == 0
    c.append(detector(grey(102)).boxes[0, 0])  # 4: the next turn starts from there
    model.go.release()
    assert detector.wait(TIMEOUT)
    c.append(detector(grey(255)).boxes[0, 0])  # 5: the state of frame 4
    assert detector.state_frame == 4
    np.testing.assert_allclose(c, [0, 0, 0, 0.2, 0.2, 0.6], atol=1e-6)
    assert detector.delays == (3, 1)
    assert all(name.startswith("lstd-large") for name, _ in model.threads)
    detector.close()


@pytest.mark.parametrize(
    ("schedule", "delays"),
    [("SKIP3", [1, 4, 2, 7, 3, 1, 1]), ("LARGE", [1, 2, 3, 4, 1, 1, 1, 2, 3, 4, 5, 6])],
)
def test_offline_delays_give_what_the_thread_gave_bit_for_bit(
    schedule: str, delays: list[int]
) -> None:
    levels = _levels(24)
    detector, expected = _threaded(levels, delays, schedule)
    recorded = detector.delays
    finished = [delay for delay in recorded if delay is not None]
    assert finished == delays[: len(finished)]
    assert len(set(finished)) > 2
    replay = VideoDetector(FakeModule(), schedule, mode="async", delay=recorded)
    assert _rows(replay, levels) == expected
    assert replay.delays == recorded
    assert replay.skipped_turns == detector.skipped_turns
    assert replay.state_frame == detector.state_frame


def test_a_threaded_run_of_a_file_is_reproduced_by_its_delays(
    exported: tuple[Path, Path],
) -> None:
    levels = _levels(200)
    with VideoDetector(exported[0], "SKIP2", mode="async") as detector:
        expected = _rows(detector, levels)
    assert len(detector.delays) > 2
    replay = VideoDetector(exported[0], "SKIP2", mode="async", delay=detector.delays)
    assert _rows(replay, levels) == expected


def test_a_constant_delay_shifts_the_states() -> None:
    levels = [51, 0, 0, 102, 0, 0, 51, 0, 0]
    for delay, expected, delays in (
        (2, [0, 0, 0.2, 0.2, 0.2, 0.6, 0.6, 0.6, 0.8], (2, 2, 2)),
        # Longer than the time between two turns: every second turn is skipped.
        (4, [0, 0, 0, 0, 0.2, 0.2, 0.2, 0.2, 0.2], (4, None)),
    ):
        detector = VideoDetector(FakeModule(), "SKIP2", mode="async", delay=delay)
        c = [row[0] for row in _rows(detector, levels)]
        np.testing.assert_allclose(c, expected, atol=1e-6)
        assert (detector.skipped_turns, detector.delays) == (3 - len(delays), delays)


def test_a_run_sees_its_frame_even_if_the_buffer_is_used_again() -> None:
    model, buffer = _Held(), grey(51)
    with VideoDetector(model, "SKIP3", mode="async") as detector:
        detector(buffer)
        buffer[:] = 255
        model.go.release()
        assert detector.wait(TIMEOUT)
        np.testing.assert_allclose(detector(buffer).boxes[0, 0], 0.2, atol=1e-6)


@pytest.mark.parametrize("delay", [None, 1])
def test_an_error_of_the_large_network_comes_up_at_the_next_frame(delay: int | None) -> None:
    model = _Held()
    model.error = RuntimeError("the large network is broken")
    model.go.release()
    with VideoDetector(model, "SKIP1", mode="async", delay=delay) as detector:
        assert int(detector(grey(51)).count) == 2
        assert detector.wait(TIMEOUT)
        with pytest.raises(RuntimeError, match="the large network is broken"):
            detector(grey(51))
        model.error = None
        assert int(detector(grey(0)).count) == 2  # it goes on with the frame that was refused
        assert detector.frame_number == 2


def test_reset_throws_a_running_state_away() -> None:
    model = _Held()
    with VideoDetector(model, "SKIP9", mode="async") as detector:
        detector(grey(255))
        detector.reset()
        assert (detector.delays, detector.frame_number) == ((), 0)
        model.go.release(2)  # the old run, then that of the new video
        c = [detector(grey(51)).boxes[0, 0]]
        assert detector.wait(TIMEOUT)
        c.append(detector(grey(51)).boxes[0, 0])
        np.testing.assert_allclose(c, [0.0, 0.2], atol=1e-6)


def test_streams_have_threads_of_their_own_which_end_when_they_are_closed() -> None:
    model, before = _Held(), threading.active_count()
    detector = VideoDetector(model, "SKIP1", mode="async")
    stream = detector.stream()
    model.go.release(3)
    for each in (detector, stream):
        each(grey(51))
        assert each.wait(TIMEOUT)
        np.testing.assert_allclose(each(grey(0)).boxes[0, 0], 0.2, atol=1e-6)
    assert len(model.threads) == 2
    assert threading.active_count() == before + 2
    detector.close()
    assert threading.active_count() == before + 1
    with pytest.raises(ValueError, match="closed"):
        detector(grey(51))
    assert int(stream(grey(0)).count) == 2
    stream.close()
    assert stream.delays == (1, None)  # what was recorded stays


def test_the_networks_of_a_file_do_not_wait_for_one_another(
    exported: tuple[Path, Path],
) -> None:
    detector = VideoDetector(exported[0], "SKIP1", mode="async", delay=1)
    large, small = (detector._points.by_network[network] for network in ("large", "small"))
    state = detector._points.zero_state()
    inside, leave = threading.Event(), threading.Event()

    def hold(image: np.ndarray) -> None:
        image[...] = 0
        inside.set()
        assert leave.wait(TIMEOUT)

    thread = threading.Thread(target=large.run, args=(hold, state))
    thread.start()
    assert inside.wait(TIMEOUT)
    small.run(lambda image: image.fill(0), state)  # would never return with one interpreter
    leave.set()
    thread.join()


def test_settings_that_make_no_sense_are_refused(single: Path) -> None:
    cases: list[tuple[Any, dict[str, Any], str]] = [
        (FakeModule(), {"mode": "fast"}, "mode must be one of sync, async, got 'fast'"),
        (FakeModule(), {"delay": 3}, "delay=3 belongs to mode='async'"),
        (single, {"mode": "async"}, "async mode needs a large and a small network"),
        (SimpleNamespace(), {"mode": "async"}, "no entry points"),
    ]
    for delay in (0, -1, 1.5, True, "3", [1, 0]):
        cases.append((FakeModule(), {"mode": "async", "delay": delay}, "delay must be a whole"))
    for model, settings, message in cases:
        with pytest.raises(ValueError, match=message):
            VideoDetector(model, **settings)
    detector = VideoDetector(FakeModule(), "SKIP1", mode="async", delay=[1])
    _rows(detector, [0, 0])
    with pytest.raises(ValueError, match=r"1 values, but at frame 2 .* number 2"):
        detector(grey(0))
