"""Milliseconds of the full-size interleaved model as `.tflite`, against a plain SSDLite.

    python benchmarks/tflite_speed.py [--quantizations none int8] [--turns 5] [--cache folder]

One thread, one process, LiteRT with XNNPACK, turn by turn: in each turn every file runs some
frames, a few at a time, so that a change of the machine's pace meets all of them. Weights are
random, which does not change the speed. Prints for every file and entry point the median, the
spread over the turns, and the share of the machine's peak (multiply-adds a second over those of a
large 1x1 convolution in the same runtime, data type and number of threads); then the average of
SKIP9, and how many times faster that is than the peer, turn by turn; and what the operators cost
that hand the state on. The peer comes as its layers are converted by themselves, and tuned: with
the slices and the float convolution that exported files have. On a machine that is busy with other
things, `--clock cpu` counts the thread's own time; it fits one thread only.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

from lstd.base.whole_file import write_whole

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "configs" / "interleaved_mobilenet_v2_imagenet_vid.yaml"
FOREIGN_PEER = ROOT.parent / "shared" / "data" / "peers" / "ssdlite_mobilenet_v2_coco.tflite"
SINGLES = {"single": "SSDLite, same heads", "tuned": "the same, tuned"}
"""The peer as its layers are, and with all that makes our files faster than that."""
BARE = "bare"
"""The fused form in which the state goes out as it came in, without an operator of its own."""
SKIP = 9
ROUND = 5
"""Frames that a file runs before the next one's: a turn goes round and round."""
CLOCKS = {"wall": time.perf_counter, "cpu": time.thread_time}
PEAK_SIDE, PEAK_CHANNELS = 40, 512


class Runner(NamedTuple):
    """An entry point that can be timed."""

    name: str
    run: Any
    inputs: dict[str, np.ndarray]
    multiply_adds: int


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quantizations", nargs="+", default=["none", "int8"])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--calls", type=int, default=20, help="frames of an entry point in a turn")
    parser.add_argument("--warm_up", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=sorted(CLOCKS), default="wall")
    parser.add_argument("--cache", type=Path, help="folder that keeps the converted files")
    arguments = parser.parse_args()

    print(
        f"{machine()}; threads {arguments.threads}, {arguments.turns} turns of {arguments.calls} "
        f"frames, {arguments.warm_up} to warm up, {arguments.clock} clock"
    )
    files = _Files(arguments.cache)
    for quantization in arguments.quantizations:
        runners = _runners(files, quantization, arguments.threads)
        times = _timed(runners, arguments)
        print(f"\n{quantization}")
        _print(runners, times)
        _print_handing_on(files, quantization, arguments)


def machine() -> str:
    """Returns the processor and the versions."""
    from lstd.base import processor

    family = processor.facts().get("cpu family", "?")
    return (
        f"{processor.name()} (family {family}), {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, LiteRT {metadata.version('ai-edge-litert')}, "
        f"TensorFlow {metadata.version('tensorflow')}"
    )


class _Files:
    """Makes the files, once."""

    def __init__(self, cache: Path | None) -> None:
        self._cache = cache
        self._model: Any = None

    @property
    def model(self) -> Any:
        if self._model is None:
            import lstd

            self._model = lstd.build_model(lstd.load_config(CONFIG).model)
        return self._model

    def get(self, kind: str, quantization: str) -> bytes:
        """Returns the file, from the cache where it is there."""
        path = self._cache / f"{kind}_{quantization}.tflite" if self._cache else None
        if path is not None and path.is_file():
            return path.read_bytes()
        content = self._make(kind, quantization)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, content)
        return content

    def _make(self, kind: str, quantization: str) -> bytes:
        import tensorflow as tf

        from lstd.export import conversion, representative
        from lstd.export import module as modules
        from lstd.export.module import ExportModule
        from lstd.export.options import suppression_for

        options = suppression_for(self.model)
        module = ExportModule(self.model, options=options)
        rng = np.random.default_rng(0)
        size = self.model.input_shape_hwc
        clip = rng.integers(0, 256, (4, *size)).astype(np.uint8)
        frames = representative.read([clip], limit=4)
        if kind in ("fused", "separate", BARE):
            handed_on = tf.identity if kind == BARE else modules._handed_on
            cell = "fused" if kind == BARE else kind
            with mock.patch.object(modules, "_handed_on", handed_on):
                return conversion.content_of(
                    module, quantization=quantization, frames=frames, cell=cell
                )
        with tempfile.TemporaryDirectory() as folder:
            tuned = kind == "tuned" and conversion.slices(quantization)
            single = _single(self.model, options, tuned=tuned)
            tf.saved_model.save(single, folder, signatures={"step": single.step})
            converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["step"])
            converter.allow_custom_ops = True
            images = [clip[None, number].astype(np.float32) for number in range(len(clip))]

            def samples() -> Any:
                return (("step", {"image": each}) for each in images)

            if kind == "tuned":
                return conversion.quantized(converter, quantization, samples)
            return _plainly(converter, quantization, samples)


def _single(model: Any, options: Any, *, tuned: bool = False) -> Any:
    import single_frame

    return single_frame.SingleFrame(model, options, tuned=tuned)


def _plainly(converter: Any, quantization: str, samples: Any) -> bytes:
    """Returns the file as the converter makes it by itself."""
    import tensorflow as tf

    if quantization != "none":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantization == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantization == "int8":
        converter.representative_dataset = samples
    return converter.convert()


def _peak(quantization: str) -> bytes:
    """Returns a 1x1 convolution as large as the layers of a network, of the same data type."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    kernel = tf.constant(rng.normal(0, 0.05, (1, 1, PEAK_CHANNELS, PEAK_CHANNELS)), tf.float32)
    image = tf.TensorSpec([1, PEAK_SIDE, PEAK_SIDE, PEAK_CHANNELS], tf.float32, name="image")
    module = tf.Module()
    module.peak = tf.function(
        lambda image: {"output": tf.nn.conv2d(image, kernel, 1, "VALID")},
        input_signature=[image],
        autograph=False,
    )
    values = rng.uniform(0, 6, image.shape).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures={"peak": module.peak})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["peak"])
        return _plainly(converter, quantization, lambda: [("peak", {"image": values})])


def _runners(files: _Files, quantization: str, threads: int) -> list[Runner]:
    import lstd

    costs = lstd.count(files.model)["multiply_adds"]
    runners = [
        Runner(
            "peak", *_entry(_peak(quantization), threads, "peak"), PEAK_SIDE**2 * PEAK_CHANNELS**2
        )
    ]
    for kind in ("fused", "separate"):
        content = files.get(kind, quantization)
        for network in ("large", "small"):
            entry = _entry(content, threads, network)
            runners.append(Runner(f"{kind} {network}", *entry, costs[network]))
    from lstd.export.options import suppression_for

    single = _single(files.model, suppression_for(files.model))
    for kind, name in SINGLES.items():
        entry = _entry(files.get(kind, quantization), threads, "step")
        runners.append(Runner(name, *entry, single.multiply_adds))
    if quantization == "none" and FOREIGN_PEER.is_file():
        runners.append(Runner("SSDLite, COCO file", *_plain(FOREIGN_PEER, threads), 0))
    return runners


def _entry(content: bytes, threads: int, name: str) -> tuple[Any, dict[str, np.ndarray]]:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_content=content, num_threads=threads).get_signature_runner(name)
    rng = np.random.default_rng(0)
    inputs = {
        key: (rng.uniform(0, 255 if key == "image" else 6, detail["shape"])).astype(detail["dtype"])
        for key, detail in runner.get_input_details().items()
    }
    return runner, inputs


def _plain(path: Path, threads: int) -> tuple[Any, dict[str, np.ndarray]]:
    """Returns what runs a file without signatures."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=threads)
    interpreter.allocate_tensors()
    (detail,) = interpreter.get_input_details()
    outputs = [each["index"] for each in interpreter.get_output_details()]

    def run(image: np.ndarray) -> list[np.ndarray]:
        interpreter.set_tensor(detail["index"], image)
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in outputs]

    image = np.random.default_rng(0).uniform(-1, 1, detail["shape"]).astype(np.float32)
    return run, {"image": image}


def _timed(runners: list[Runner], arguments: argparse.Namespace) -> dict[str, list[list[float]]]:
    """Returns milliseconds by name, turn and call."""
    clock = CLOCKS[arguments.clock]
    times: dict[str, list[list[float]]] = {runner.name: [] for runner in runners}
    for runner in runners:
        for _ in range(arguments.warm_up):
            runner.run(**runner.inputs)
    for _ in range(arguments.turns):
        turn: dict[str, list[float]] = {runner.name: [] for runner in runners}
        for first in range(0, arguments.calls, ROUND):
            for runner in runners:
                for _ in range(min(ROUND, arguments.calls - first)):
                    started = clock()
                    runner.run(**runner.inputs)
                    turn[runner.name].append((clock() - started) * 1e3)
        for name, each in turn.items():
            times[name].append(each)
    return times


def _print_handing_on(files: _Files, quantization: str, arguments: argparse.Namespace) -> None:
    """Prints what the state's own operators cost: with and without them, frame by frame."""
    clock = CLOCKS[arguments.clock]
    for network in ("large", "small"):
        runs = [
            _entry(files.get(kind, quantization), arguments.threads, network)
            for kind in ("fused", BARE)
        ]
        found = []
        for turn in range(arguments.turns):
            times: tuple[list[float], list[float]] = ([], [])
            for call in range(2 * arguments.calls):
                for side in (0, 1) if (turn + call) % 2 else (1, 0):
                    run, inputs = runs[side]
                    started = clock()
                    run(**inputs)
                    times[side].append((clock() - started) * 1e3)
            own, bare = (statistics.median(each[2:]) for each in times)
            found.append(100 * (own / bare - 1))
        print(
            f"handing the state on takes {statistics.median(found):.2f} % of {network} "
            f"({min(found):.2f} to {max(found):.2f})"
        )


def _print(runners: list[Runner], times: dict[str, list[list[float]]]) -> None:
    medians = {name: [statistics.median(turn) for turn in turns] for name, turns in times.items()}
    pace = {
        runner.name: runner.multiply_adds / statistics.median(medians[runner.name]) / 1e6
        for runner in runners
    }
    for runner in runners:
        own = medians[runner.name]
        every = np.concatenate(times[runner.name])
        share = (
            f"{100 * pace[runner.name] / pace['peak']:4.0f} % of peak" if pace[runner.name] else ""
        )
        print(
            f"{runner.name:20} {statistics.median(own):8.2f} ms (turns {min(own):.2f} to "
            f"{max(own):.2f}, p95 {np.percentile(every, 95):.2f}) "
            f"{runner.multiply_adds / 1e6:7.0f} M multiply-adds {share}"
        )
    for kind in ("fused", "separate"):
        average = [
            (large + SKIP * small) / (SKIP + 1)
            for large, small in zip(medians[f"{kind} large"], medians[f"{kind} small"], strict=True)
        ]
        print(f"{kind:9} SKIP{SKIP} average {statistics.median(average):8.2f} ms")
        for peer in (*SINGLES.values(), "SSDLite, COCO file"):
            if peer in medians:
                ratios = [a / b for a, b in zip(medians[peer], average, strict=True)]
                print(
                    f"          {statistics.median(ratios):.2f} times faster than {peer} "
                    f"({min(ratios):.2f} to {max(ratios):.2f})"
                )


if __name__ == "__main__":
    main()
