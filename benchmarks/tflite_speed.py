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
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from lstd.base import tflite_runners
from lstd.base.whole_file import write_whole
from lstd.runtime import timing
from lstd.runtime.timing import Subject

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


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quantizations", nargs="+", default=["none", "int8"])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument(
        "--calls", type=int, default=20, help=f"of an entry point in a turn, rounded up to {ROUND}s"
    )
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
        subjects = _subjects(files, quantization, arguments.threads)
        times = _timed(subjects, arguments)
        print(f"\n{quantization}")
        _print(subjects, times)
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


def _subjects(files: _Files, quantization: str, threads: int) -> list[Subject]:
    import lstd
    from lstd.export.options import suppression_for

    costs = lstd.count(files.model)["multiply_adds"]
    single = _single(files.model, suppression_for(files.model))
    found = [
        _subject(
            "peak", _entry(_peak(quantization), threads, "peak"), PEAK_SIDE**2 * PEAK_CHANNELS**2
        )
    ]
    for kind in ("fused", "separate"):
        content = files.get(kind, quantization)
        for network in ("large", "small"):
            call = _entry(content, threads, network)
            found.append(_subject(f"{kind} {network}", call, costs[network]))
    for kind, name in SINGLES.items():
        call = _entry(files.get(kind, quantization), threads, "step")
        found.append(_subject(name, call, single.multiply_adds))
    if quantization == "none" and FOREIGN_PEER.is_file():
        interpreter = _interpreter(FOREIGN_PEER.read_bytes(), threads)
        call = tflite_runners.on_noise(tflite_runners.FirstSubgraph(interpreter))
        found.append(_subject("SSDLite, COCO file", call, 0))
    return found


def _subject(name: str, call: Callable[[], Any], multiply_adds: int) -> Subject:
    return Subject(name, {"run": call}, multiply_adds={"run": multiply_adds})


def _interpreter(content: bytes, threads: int) -> Any:
    return tflite_runners.open_interpreter(model_content=content, num_threads=threads)


def _entry(content: bytes, threads: int, name: str) -> Callable[[], Any]:
    return tflite_runners.on_noise(_interpreter(content, threads).get_signature_runner(name))


def _timed(subjects: list[Subject], arguments: argparse.Namespace) -> dict[str, list[list[float]]]:
    """Returns milliseconds by name, turn and call."""
    rounds = -(-arguments.calls // ROUND)
    measured = timing.measure(
        subjects,
        turns=arguments.turns * rounds,
        frames=ROUND,
        warm_up=arguments.warm_up,
        clock=CLOCKS[arguments.clock],
    )
    times = {each.subject.name: [ms for turn in each.turns for _, ms in turn] for each in measured}
    return {name: np.reshape(own, [arguments.turns, -1]).tolist() for name, own in times.items()}


def _print_handing_on(files: _Files, quantization: str, arguments: argparse.Namespace) -> None:
    """Prints what the state's own operators cost: with and without them, frame by frame."""
    for network in ("large", "small"):
        pair = [
            _subject(kind, _entry(files.get(kind, quantization), arguments.threads, network), 0)
            for kind in ("fused", BARE)
        ]
        found = []
        for _ in range(arguments.turns):
            measured = timing.measure(
                pair,
                turns=2 * arguments.calls,
                frames=1,
                warm_up=2,
                clock=CLOCKS[arguments.clock],
            )
            own, bare = (each.rows()["run"]["median_ms"] for each in measured)
            found.append(100 * (own / bare - 1))
        print(
            f"handing the state on takes {statistics.median(found):.2f} % of {network} "
            f"({min(found):.2f} to {max(found):.2f})"
        )


def _print(subjects: list[Subject], times: dict[str, list[list[float]]]) -> None:
    medians = {name: [statistics.median(turn) for turn in turns] for name, turns in times.items()}
    done = {each.name: each.multiply_adds["run"] or 0 for each in subjects}
    pace = {name: done[name] / statistics.median(own) / 1e6 for name, own in medians.items()}
    for name, own in medians.items():
        share = f"{100 * pace[name] / pace['peak']:4.0f} % of peak" if pace[name] else ""
        print(
            f"{name:20} {statistics.median(own):8.2f} ms (turns {min(own):.2f} to "
            f"{max(own):.2f}, p95 {np.percentile(np.concatenate(times[name]), 95):.2f}) "
            f"{done[name] / 1e6:7.0f} M multiply-adds {share}"
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
