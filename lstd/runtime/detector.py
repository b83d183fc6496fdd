"""VideoDetector: frames of a running video in, detections out, the memory kept in between."""

import contextlib
import copy
import math
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from lstd.base import label_map
from lstd.base.types import MIN_SCORE
from lstd.config import schedule_names
from lstd.runtime import exported_file, frame_detections, frame_resize
from lstd.runtime.background import BackgroundNetwork, Delay
from lstd.runtime.frame_detections import FrameDetections

MODES = ("sync", "async")
Self = TypeVar("Self", bound="VideoDetector")


class VideoDetector(contextlib.AbstractContextManager["VideoDetector"]):
    """Detects objects frame by frame; one object serves one video at a time.

    >>> detector = VideoDetector("model.tflite")          # doctest: +SKIP
    >>> detections = detector(frame)                      # doctest: +SKIP
    >>> detector.reset()  # before another video          # doctest: +SKIP

    In async mode the small network answers every frame, and the large one runs beside it in a
    thread; its new state is taken at the first frame that comes after it has finished. Nobody
    waits: a turn that comes while it still runs is skipped. `docs/runtime.md` says more.

    Attributes:
        schedule: the interleave schedule, such as SKIP9.
        mode: "sync" or "async".
        networks: ("large", "small"), ("large",) for a model with one backbone, or the only one.
        labels: names of the classes; empty if not known.
        min_score: from which on detections are shown; all of them are returned.
        input_shape: (H, W, C) of the networks' input.
        frame_number: of the next frame, since the last reset.
        last_network: which network answered the last frame; None before the first.
        state_frame: the frame whose state the last answer rests on; None: a state of zeros.

    Args:
        model_or_path: a `.tflite` or a SavedModel of `lstd-export`, the folder that it wrote them
            into, or an object with the same entry points as attributes (see
            `lstd.runtime.entry_points.from_object`).
        schedule: LARGE, SMALL, RANDOM or SKIPk, counted from the last reset. None: what the file
            says, else SKIP9; a file with a single network accepts only its own.
        threads: how many a `.tflite` may use (in async mode each network).
        labels: names of the classes in order; empty: the file's own.
        seed: of the RANDOM schedule.
        pixels: boxes in pixels of the frame; otherwise in [0, 1] of it.
        mode: "sync": each frame waits for the network of its turn; "async": see above.
        delay: for async mode without a thread: the state of frame t arrives at t + delay. A
            sequence has one for each run of the large network, as `delays` of a threaded run
            lists them, and gives the same detections as that run.
        min_score: from which on detections are shown. None: what the training found, which the
            file says, else 0.5.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not such a model, or a setting that it cannot follow.
        ImportError: what runs this kind of file is not installed.
    """

    def __init__(
        self,
        model_or_path: Any,
        schedule: str | None = None,
        threads: int = 1,
        *,
        labels: Sequence[str] = (),
        seed: int = 0,
        pixels: bool = False,
        mode: str = "sync",
        delay: Delay | None = None,
        min_score: float | None = None,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
        is_async = mode == "async"
        if delay is not None and not is_async:
            raise ValueError(f"delay={delay!r} belongs to mode='async', got mode={mode!r}")
        self._points, self._facts = exported_file.load(
            model_or_path, threads=threads, separate=is_async
        )
        self.mode, self._pixels, self._closed = mode, pixels, False
        self.networks = tuple(self._points.by_network)
        self.labels = tuple(labels) or self._facts.labels
        if self._facts.labels and len(self.labels) != len(self._facts.labels):
            raise ValueError(
                f"labels: {len(labels)} names; the model has {len(self._facts.labels)} classes"
            )
        known = (min_score, self._facts.min_score, MIN_SCORE)
        self.min_score = next(score for score in known if score is not None)
        self.input_shape = self._points.first.inputs["image"].shape[1:]
        if is_async and len(self.networks) == 1:
            raise ValueError(
                "async mode needs a large and a small network, but this model has "
                f"{schedule_names.ONLY[self.networks[0]]}"
            )
        self._background = BackgroundNetwork(self._points.first, delay) if is_async else None
        self._follow(schedule, seed)
        self.reset()

    def stream(self: Self, schedule: str | None = None, *, seed: int | None = None) -> Self:
        """Returns a detector for another video, on the same loaded file.

        It has a state, a schedule and, in async mode, a thread of its own, and shares interpreters
        and weights. Streams may be used from different threads; where they need the same
        interpreter at the same time, one waits for the other. The `schedule`, and the `seed` of
        RANDOM, are those of this detector unless given.

        Raises:
            ValueError: a schedule that the model cannot follow, or this detector is closed.
        """
        self._check_open()
        twin = copy.copy(self)
        twin._follow(schedule or self.schedule, self._seed if seed is None else seed)
        twin._background = None if self._background is None else self._background.twin()
        twin.reset()
        return twin

    def reset(self) -> None:
        """Forgets the video: zero state, the schedule counts from 0, timestamps start anew.

        In async mode the state of a large network that still runs is thrown away.
        """
        self._state = self._points.zero_state()
        self._timestamp: float | None = None
        self.frame_number = 0
        self.last_network: str | None = None
        self.state_frame: int | None = None
        if self._background is not None:
            self._background.reset()

    def __call__(self, frame: np.ndarray, timestamp: float | None = None) -> FrameDetections:
        """Returns the detections of the next frame.

        Args:
            frame: uint8 `[H, W, C]` of any size, C is 1 (grey) or 3 (RGB). It is resized as the
                model was trained, and converted where the model wants the other number of channels.
            timestamp: when the frame was taken, in any unit, later than the last one given: a
                frame that comes twice or out of order would spoil the memory.

        Returns:
            NumPy, no batch axis, never written to again: boxes float32 `[N, 4]` clipped to the
            frame, in [0, 1] or pixels of it, scores float32 `[N]` falling, classes int32 `[N]`,
            count int32 `[]`; zeros from row `count` on.

        Raises:
            ValueError: the frame has another dtype or shape, or its timestamp does not rise. The
                state is then what it was.
            Exception: in async mode, what went wrong in the large network's thread.
        """
        self._check_open()
        frame = _checked(frame)
        _check_timestamp(timestamp, after=self._timestamp)
        network = str(schedule_names.network_of(self.schedule, self.frame_number, seed=self._seed))
        if self._background is not None:
            taken = self._background.take(self.frame_number)
            if taken is not None:
                self.state_frame, self._state = taken
            if network == "large":
                self._background.start(self.frame_number, frame, self._state)
            network = "small"
        outputs, state = self._points.by_network[network].run(
            lambda image: frame_resize.fit(frame, image), self._state
        )
        if self._background is None:
            self._state = state
        if network == "large":
            self.state_frame = self.frame_number
        if timestamp is not None:
            self._timestamp = timestamp
        self.frame_number += 1
        self.last_network = network
        return frame_detections.of_frame(
            outputs,
            rows_per_detection=self._facts.rows_per_detection,
            frame_size=(frame.shape[0], frame.shape[1]),
            labels=self.labels,
            in_pixels=self._pixels,
            min_score=self.min_score,
        )

    @property
    def delays(self) -> tuple[int | None, ...]:
        """For each run of async mode, how many frames its state took; None: not taken yet."""
        return () if self._background is None else self._background.delays

    @property
    def skipped_turns(self) -> int:
        """How many large turns came in async mode while the large network was still at work."""
        return 0 if self._background is None else self._background.skipped_turns

    def wait(self, timeout: float | None = None) -> bool:
        """Waits up to `timeout` seconds, and returns whether the large network has finished."""
        return self._background is None or self._background.wait(timeout)

    def close(self) -> None:
        """Ends the thread of async mode, as `with` does, and refuses frames; streams go on."""
        if self._background is not None:
            self._background.close()
        self._closed = True

    def __exit__(self, *_: object) -> None:
        self.close()

    def label_of(self, class_index: int) -> str:
        """Returns the name of a class, `"class 7"` if the labels do not have it."""
        return label_map.name_of(self.labels, class_index)

    def _follow(self, schedule: str | None, seed: int) -> None:
        self.schedule = schedule_names.resolve(
            schedule, preferred=self._facts.schedule, networks=self.networks
        )
        if self.schedule.startswith("RANDOM") and seed < 0:
            raise ValueError(f"seed must not be negative, got {seed}")
        self._seed = seed

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("this detector is closed; make another one")


def _checked(frame: Any) -> np.ndarray:
    frame = np.asarray(frame)
    is_frame = frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[2] in (1, 3)
    if not is_frame or frame.size == 0:
        raise ValueError(
            "a frame must be uint8 [H, W, 3] (RGB) or [H, W, 1] (grey) with at least one pixel, "
            f"got {frame.dtype} {list(frame.shape)}"
        )
    return frame


def _check_timestamp(timestamp: float | None, *, after: float | None) -> None:
    """Raises unless a timestamp is a number that is later than the last one."""
    if timestamp is None:
        return
    try:
        is_finite = math.isfinite(timestamp)
    except (TypeError, OverflowError):
        is_finite = False
    if not is_finite:
        raise ValueError(f"a timestamp must be a finite number, got {timestamp!r}")
    if after is not None and timestamp <= after:
        what = "repeats" if timestamp == after else "goes back"
        raise ValueError(
            f"the timestamp {what}: {timestamp} after {after}; frames must come in order, each "
            "once. Call reset() before another video"
        )
