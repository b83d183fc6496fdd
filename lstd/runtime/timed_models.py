"""From files and models to what a benchmark times, and the machine's peak to hold it against."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lstd.base import export_names as names
from lstd.base import tflite_runners
from lstd.base.terminal import quiet
from lstd.config import schedule_names
from lstd.runtime import exported_file, frame_resize, multiply_adds, tflite_file
from lstd.runtime.entry_points import EntryPoint, EntryPoints
from lstd.runtime.timing import Subject

RUN = "run"
"""The one row of a file that is not ours."""
SIDE, DEPTH = 64, 512
PEAK = SIDE * SIDE * DEPTH * DEPTH
"""Multiply-adds of the large convolution, 1.07 thousand millions: as many as of a large network."""
DATA_TYPES = ("float32", "dynamic", "int8")
"""Of TFLite, for the peak."""
IN_TENSORFLOW = "float32 in TensorFlow"
"""Of a Keras model, which TensorFlow runs."""
_MOST_SKIPPED = 999
_PEAK_FRAMES = 10  # Calls of the large convolution in a turn.


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
    by its entry points; any other `.tflite` by its first subgraph. The time of a clip is divided by
    its frames. Without a schedule the model follows its own, else SKIP9; `counted` are the
    multiply-adds of each network of a model that TensorFlow runs in float32.

    Raises:
        ValueError, OSError, ImportError: it cannot be run, or not with this schedule.
    """
    path = exported_file.in_folder(Path(model)) if isinstance(model, (str, os.PathLike)) else None
    costs: Mapping[str, int | None] = counted or {}
    data_type, frames_per_call = IN_TENSORFLOW if counted else "", 1
    if path is None or path.is_dir():
        points, facts = exported_file.load(model, threads=threads)
        calls = _calls(points)
    else:
        calls, facts, frames_per_call = _of_tflite(path, threads=threads, name=name)
        found = multiply_adds.count(path)
        # Of a network its signature, of a model with one backbone "step", else the first subgraph.
        keys = {each: each if each in found else names.SINGLE for each in calls}
        keys |= {RUN: multiply_adds.FIRST} if RUN in calls else {}
        costs = {network: found[key].multiply_adds for network, key in keys.items()}
        data_type = found[next(iter(keys.values()))].data_type
    followed = ""
    if RUN not in calls:
        networks = tuple(calls)
        followed = schedule_names.resolve(schedule, preferred=facts.schedule, networks=networks)
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
        multiply_adds=costs,
        data_type=data_type,
        frames_per_call=frames_per_call,
    )


def _calls(points: EntryPoints) -> dict[str, Callable[[], Any]]:
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
    state = names.STATE_OUTPUTS[0]
    ours = [key for key, each in signatures.items() if state in each["outputs"]]
    networks = [key for key in (*names.NETWORKS, names.SINGLE) if key in ours]
    if any(names.DETECTION_OUTPUTS[0] in signatures[key]["outputs"] for key in networks):
        points, facts = exported_file.load(path, threads=threads)
        return _calls(points), facts, 1
    if networks:  # without post-processing
        runners = {
            "large" if key == names.SINGLE else key: interpreter.get_signature_runner(key)
            for key in networks
        }
        calls = {network: tflite_runners.on_noise(runner) for network, runner in runners.items()}
        return calls, exported_file.metadata_of(path), 1
    frames = 1
    if names.CLIP in ours and names.CLIP_INPUT in signatures[names.CLIP]["inputs"]:
        details = interpreter.get_signature_runner(names.CLIP).get_input_details()
        frames = int(details[names.CLIP_INPUT]["shape"][0])
    return {RUN: _invoking(interpreter, name)}, exported_file.Metadata(), frames


def _invoking(interpreter: Any, name: str) -> Callable[[], Any]:
    try:
        return tflite_runners.on_noise(tflite_runners.FirstSubgraph(interpreter))
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"{name}: cannot be run here: {error}") from None


def of_peaks(
    data_types: Iterable[str], *, threads: int
) -> tuple[dict[str, Subject], dict[str, str]]:
    """Returns the large convolution by data type, whose speed is the peak, or why there is none.

    `data_types` are those of the subjects; `threads` applies to TFLite.
    """
    found: dict[str, Subject] = {}
    unknown: dict[str, str] = {}
    for data_type in dict.fromkeys(filter(None, data_types)):
        try:
            if data_type == IN_TENSORFLOW:
                call = _in_tensorflow()
            else:
                interpreter = tflite_runners.open_interpreter(
                    model_content=convolution(data_type), num_threads=threads
                )
                call = _invoking(interpreter, "the convolution")
        except ImportError:
            unknown[data_type] = "TensorFlow, which makes the convolution, is not installed"
        except ValueError as error:
            unknown[data_type] = str(error)
        else:
            found[data_type] = Subject(
                f"peak {data_type}", {RUN: call}, multiply_adds={RUN: PEAK}, frames=_PEAK_FRAMES
            )
    return found, unknown


def _in_tensorflow() -> Callable[[], Any]:
    run, values = _convolution()
    return lambda: run(values).numpy()


def convolution(data_type: str) -> bytes:
    """Returns a `.tflite` with one 1x1 convolution over 64 x 64 places, 512 channels to 512.

    Raises:
        ValueError: it is not of `DATA_TYPES`, of which "dynamic" has int8 weights, float32 values.
        ImportError: TensorFlow, whose converter makes it, is not installed.
    """
    if data_type not in DATA_TYPES:
        raise ValueError(f"no peak for {data_type}; expected one of {', '.join(DATA_TYPES)}")
    import tensorflow as tf

    module = tf.Module()
    module.run, values = _convolution()
    concrete = [module.run.get_concrete_function()]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(concrete, module)
    if data_type != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if data_type == "int8":
        converter.representative_dataset = lambda: iter([[values]] * 2)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    with quiet():
        return bytes(converter.convert())


def _convolution() -> tuple[Any, Any]:
    """Returns the large convolution as a tf.function, and values in [0, 1] for it."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    weights = tf.constant(rng.normal(0.0, DEPTH**-0.5, (1, 1, DEPTH, DEPTH)), tf.float32)
    values = tf.constant(rng.uniform(0.0, 1.0, (1, SIDE, SIDE, DEPTH)), tf.float32)
    run = tf.function(
        lambda values: tf.nn.conv2d(values, weights, strides=1, padding="VALID"),
        input_signature=[tf.TensorSpec((1, SIDE, SIDE, DEPTH), tf.float32)],
        autograph=False,
    )
    return run, values
