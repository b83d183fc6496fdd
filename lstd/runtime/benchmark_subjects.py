"""From files and models to what a benchmark times."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

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
from lstd.runtime.entry_points import CLIP, NETWORKS, SINGLE, EntryPoint, EntryPoints

RUN = "run"
"""The one row of a file that is not ours."""
_VIDEO = "input_video_tensor"
"""The frames of a clip, one after the other."""
MOST_SKIPPED = 999
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
    frames_per_call = 1
    path = exported_file.in_folder(Path(model)) if isinstance(model, (str, os.PathLike)) else None
    if path is None or not path.is_file():
        points, facts = exported_file.load(model, threads=threads)
        calls = _calls(points)
        costs: dict[str, multiply_adds.Cost] = {}
    else:
        interpreter = tflite_file.open_file(path, threads=threads)
        signatures = interpreter.get_signature_list()
        frames_per_call = _clip_length(interpreter, signatures)
        facts = exported_file.Metadata()
        if _is_ours(signatures):
            points, facts = exported_file.load(path, threads=threads)
            calls = _calls(points)
        else:
            calls = _foreign_calls(interpreter, signatures, name=name)
            if RUN not in calls:
                facts = exported_file.metadata_of(path)
        costs = _costs(path, calls)
    if RUN in calls:
        if schedule is not None:
            raise ValueError(
                f"{name}: schedule {schedule} needs the entry points large and small, and this "
                "file has none; leave the schedule out"
            )
        followed = ""
    else:
        followed = network_schedule.resolve(
            schedule, preferred=facts.schedule, networks=tuple(calls)
        )
    if (schedule_names.skip_of(followed) or 0) > MOST_SKIPPED:
        raise ValueError(
            f"{name}: a turn is whole periods of the schedule, and one of {followed} is too long; "
            f"expected SKIP{MOST_SKIPPED} at most"
        )
    known = {key: cost.multiply_adds for key, cost in costs.items()}
    return Subject(
        name=name,
        calls=calls,
        schedule=followed if len(calls) > 1 else "",
        multiply_adds={
            **{key: value for key, value in known.items() if value is not None},
            **(counted or {}),
        },
        data_type=next(
            (cost.data_type for cost in costs.values()), peak.IN_TENSORFLOW if counted else ""
        ),
        frames_per_call=frames_per_call,
    )


def of_peak(data_type: str, *, threads: int) -> Subject:
    """Returns the large convolution whose speed is the machine's peak.

    Args:
        data_type: of a subject.
        threads: of TFLite; TensorFlow has as many as the process gave it.

    Raises:
        ValueError: there is none for this data type.
        ImportError: TensorFlow, which makes it, is not installed.
    """
    if data_type == peak.IN_TENSORFLOW:
        call = peak.in_tensorflow()
    else:
        interpreter = tflite_file.of_content(peak.convolution(data_type), threads=threads)
        call = _invoking(interpreter, name="the convolution")
    return Subject(
        f"peak {data_type}",
        {RUN: call},
        multiply_adds={RUN: peak.MULTIPLY_ADDS},
        frames=_PEAK_FRAMES,
    )


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


def _is_ours(signatures: Mapping[str, Any]) -> bool:
    """Returns whether a file has entry points that take a state and return detections."""
    return any(
        {"lstm_c_out", "detection_boxes"} <= set(signatures[key]["outputs"])
        for key in (*NETWORKS, SINGLE)
        if key in signatures
    )


def _clip_length(interpreter: Any, signatures: Mapping[str, Any]) -> int:
    """Returns how many frames a call takes: those of a clip of ours, else 1."""
    inputs, outputs = (signatures.get(CLIP, {}).get(kind, ()) for kind in ("inputs", "outputs"))
    if _VIDEO not in inputs or "lstm_c_out" not in outputs:
        return 1
    details = interpreter.get_signature_runner(CLIP).get_input_details()
    return int(details[_VIDEO]["shape"][0])


def _foreign_calls(
    interpreter: Any, signatures: Mapping[str, Any], *, name: str
) -> dict[str, Callable[[], Any]]:
    """Returns a call of each of our entry points without post-processing, or of any file's one."""
    ours = [
        key
        for key in (*NETWORKS, SINGLE)
        if key in signatures and "lstm_c_out" in signatures[key]["outputs"]
    ]
    if ours:
        networks = {"large" if key == SINGLE else key: key for key in ours}
        return {
            network: _signature_call(interpreter.get_signature_runner(key))
            for network, key in networks.items()
        }
    return {RUN: _invoking(interpreter, name=name)}


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
    if dtype == np.bool_ or dtype.kind not in "fiu":
        return np.zeros(shape, dtype)
    if dtype.kind == "f":
        return rng.random(shape).astype(dtype)
    if dtype.itemsize > 1:  # a number of something, an index: 0 is always allowed
        return np.zeros(shape, dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)


def _costs(path: Path, calls: Mapping[str, Any]) -> dict[str, multiply_adds.Cost]:
    counted = multiply_adds.count(path)
    if RUN in calls:
        return {RUN: counted[multiply_adds.FIRST]}
    return {
        network: counted[network if network in counted else SINGLE]
        for network in calls
        if network in counted or SINGLE in counted
    }
