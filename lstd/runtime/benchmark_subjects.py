"""From files and models to what a benchmark times."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lstd.base.export_names import (
    CLIP,
    CLIP_INPUT,
    DETECTION_OUTPUTS,
    NETWORKS,
    SINGLE,
    STATE_OUTPUTS,
)
from lstd.config import schedule_names
from lstd.runtime import (
    exported_file,
    frame_resize,
    multiply_adds,
    network_schedule,
    peak,
    tflite_file,
)
from lstd.runtime.benchmark import Subject
from lstd.runtime.entry_points import EntryPoint, EntryPoints

RUN = "run"
"""The one row of a file that is not ours."""
_MOST_SKIPPED = 999
_PEAK_FRAMES = 10
"""Calls of the large convolution in a turn: each takes as long as a large network."""


def of_model(
    model: Any,
    *,
    name: str,
    schedule: str | None,
    threads: int,
    counted: Mapping[str, int] | None = None,
) -> Subject:
    """Returns a model as a subject: each frame is noise of the model's size, the state is carried.

    A `.tflite` of our export, a SavedModel or an object with our entry points is timed network by
    network, from a frame of bytes to the arrays of its outputs; a `.tflite` without post-processing
    by its entry points; any other `.tflite` by its first subgraph. Of a clip each frame is timed as
    its part.

    Args:
        model: what `VideoDetector` takes, or any `.tflite`.
        name: for the table.
        schedule: None: the model's own, else SKIP9.
        threads: of a `.tflite`.
        counted: the multiply-adds of each network of a model that TensorFlow runs in float32, where
            the caller knows them; those of a `.tflite` are read from it.

    Raises:
        ValueError, OSError, ImportError: it cannot be run, or not with this schedule.
    """
    path = exported_file.in_folder(Path(model)) if isinstance(model, (str, os.PathLike)) else None
    costs: Mapping[str, int | None] = counted or {}
    data_type, frames_per_call = peak.IN_TENSORFLOW if counted else "", 1
    if path is None or path.is_dir():
        points, facts = exported_file.load(model, threads=threads)
        calls = _calls(points)
    else:
        calls, facts, frames_per_call = _of_tflite(path, threads=threads, name=name)
        by_entry_point = multiply_adds.count(path)
        found = {
            network: by_entry_point[_entry_point(network, by_entry_point)] for network in calls
        }
        costs = {network: cost.multiply_adds for network, cost in found.items()}
        data_type = next(iter(found.values())).data_type
    followed = ""
    if RUN not in calls:
        networks = tuple(calls)
        followed = network_schedule.resolve(schedule, preferred=facts.schedule, networks=networks)
    elif schedule is not None:
        raise ValueError(
            f"{name}: schedule {schedule} needs the entry points large and small, and this file "
            "has none; leave the schedule out"
        )
    if (schedule_names.skip_of(followed) or 0) > _MOST_SKIPPED:
        raise ValueError(
            f"{name}: a turn is whole periods of the schedule, and one of {followed} is too long; "
            f"expected SKIP{_MOST_SKIPPED} at most"
        )
    return Subject(
        name=name,
        calls=calls,
        schedule=followed if len(calls) > 1 else "",
        multiply_adds={key: done for key, done in costs.items() if done is not None},
        data_type=data_type,
        frames_per_call=frames_per_call,
    )


def of_peaks(
    data_types: Iterable[str], *, threads: int
) -> tuple[dict[str, Subject], dict[str, str]]:
    """Returns the large convolution whose speed is the machine's peak, or why there is none.

    Args:
        data_types: of subjects.
        threads: of TFLite; TensorFlow has as many as the process gave it.
    """
    found: dict[str, Subject] = {}
    unknown: dict[str, str] = {}
    for data_type in dict.fromkeys(filter(None, data_types)):
        try:
            if data_type == peak.IN_TENSORFLOW:
                call = peak.in_tensorflow()
            else:
                interpreter = tflite_file.of_content(peak.convolution(data_type), threads=threads)
                call = _invoking(interpreter, name="the convolution")
        except ImportError:
            unknown[data_type] = "TensorFlow, which makes the convolution, is not installed"
        except ValueError as error:
            unknown[data_type] = str(error)
        else:
            done = {RUN: peak.MULTIPLY_ADDS}
            name = f"peak {data_type}"
            found[data_type] = Subject(name, {RUN: call}, multiply_adds=done, frames=_PEAK_FRAMES)
    return found, unknown


def _calls(points: EntryPoints) -> dict[str, Callable[[], Any]]:
    """Returns a call of each network; they share the state, as in a video."""
    state = [points.zero_state()]

    def call_of(point: EntryPoint) -> Callable[[], Any]:
        shape = point.inputs["image"].shape[1:]
        frame = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)

        def call() -> None:
            _, state[0] = point.run(lambda image: frame_resize.fit(frame, image), state[0])

        return call

    return {network: call_of(point) for network, point in points.by_network.items()}


def _of_tflite(
    path: Path, *, threads: int, name: str
) -> tuple[dict[str, Callable[[], Any]], exported_file.Metadata, int]:
    """Returns the calls of a file, what it says of itself, and how many frames a call takes."""
    interpreter = tflite_file.open_file(path, threads=threads)
    signatures = interpreter.get_signature_list()
    outputs = {key: signatures[key]["outputs"] for key in signatures}
    ours = [key for key in (*NETWORKS, SINGLE) if STATE_OUTPUTS[0] in outputs.get(key, ())]
    if any(DETECTION_OUTPUTS[0] in outputs[key] for key in ours):
        points, facts = exported_file.load(path, threads=threads)
        return _calls(points), facts, 1
    if ours:  # without post-processing
        runners = {
            "large" if key == SINGLE else key: interpreter.get_signature_runner(key) for key in ours
        }
        calls = {network: _signature_call(runner) for network, runner in runners.items()}
        return calls, exported_file.metadata_of(path), 1
    frames = 1
    if (
        CLIP_INPUT in signatures.get(CLIP, {}).get("inputs", ())
        and STATE_OUTPUTS[0] in outputs[CLIP]
    ):
        details = interpreter.get_signature_runner(CLIP).get_input_details()
        frames = int(details[CLIP_INPUT]["shape"][0])
    return {RUN: _invoking(interpreter, name=name)}, exported_file.Metadata(), frames


def _entry_point(network: str, available: Mapping[str, Any]) -> str:
    """Returns which entry point a row is of."""
    if network == RUN:
        return multiply_adds.FIRST
    return network if network in available else SINGLE


def _signature_call(runner: Any) -> Callable[[], Any]:
    inputs = {name: _noise(detail) for name, detail in runner.get_input_details().items()}
    return lambda: runner(**inputs)


def _invoking(interpreter: Any, *, name: str) -> Callable[[], Any]:
    """Returns a call that sets all inputs, runs the first subgraph and gets all outputs."""
    try:
        interpreter.allocate_tensors()
        inputs = [(detail["index"], _noise(detail)) for detail in interpreter.get_input_details()]
        outputs = [detail["index"] for detail in interpreter.get_output_details()]
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"{name}: cannot be run here: {error}") from None

    def call() -> None:
        for index, value in inputs:
            interpreter.set_tensor(index, value)
        interpreter.invoke()
        for index in outputs:
            interpreter.get_tensor(index)

    return call


def _noise(detail: Mapping[str, Any]) -> np.ndarray:
    """Returns a value for an input: any for bytes, 0 to 1 for floats, zeros for what counts."""
    rng, shape, dtype = np.random.default_rng(0), tuple(detail["shape"]), np.dtype(detail["dtype"])
    if dtype.kind == "f":
        return rng.random(shape).astype(dtype)
    if dtype.kind in "iu" and dtype.itemsize == 1:
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
    return np.zeros(shape, dtype)  # a number of something, an index: 0 is always allowed
