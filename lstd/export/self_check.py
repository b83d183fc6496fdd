"""The self-check: an exporter reports success only when its own file does what the module does."""

import numpy as np
import tensorflow as tf

from lstd.base import tflite_metadata
from lstd.export import (
    compare,
    fidelity,
    file_format,
    interpreters,
    postprocessing_op,
    representative,
)
from lstd.export.compare import FRAMES, ExportCheckError
from lstd.export.fidelity import Fidelity
from lstd.export.form import Described, Reference, in_numpy
from lstd.export.module import ExportModule
from lstd.export.options import ExportOptions
from lstd.export.representative import Frame


def check_saved_model(
    module: ExportModule, folder: str, *, frames: int = FRAMES
) -> dict[str, float]:
    """Returns the largest differences of a SavedModel's entry points and of its clips.

    Raises:
        ExportCheckError: one is too large.
    """
    loaded = tf.saved_model.load(folder)
    image = module.form.image_input

    def step(entry_point: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        raw = {**inputs, image: inputs[image].astype(np.float32)}
        return {
            **in_numpy(getattr(loaded, f"raw_{entry_point}"), raw),
            **in_numpy(loaded.signatures[entry_point], inputs),
        }

    largest = compare.compare_streams(module, step, where="the SavedModel", frames=frames)
    clip = np.stack([compare.pattern_image(at, module.image_shape) for at in range(2)], axis=1)
    given = {"frames": clip.astype(module.form.input_type)}
    served = in_numpy(loaded.signatures["serving_default"], given)
    expected = in_numpy(module.serving_default, given)
    # Boxes and classes were compared above; of equal scores another may come first here.
    for name in expected.keys() - {"detection_boxes", "detection_classes"}:
        off = compare.differ(expected[name], served[name])
        if not off <= compare.tolerance_of(module):
            raise ExportCheckError(f"the SavedModel: {name} of serving_default is off by {off:.2g}")
    return largest


def check_tflite(
    content: bytes, module: Reference, *, frames: int = FRAMES
) -> dict[str, dict[str, float]]:
    """Returns the largest differences of a `.tflite`, with XNNPACK and without.

    Raises:
        ExportCheckError: the post-processing op or the delegate is missing in an entry point, or
            the outputs are not the module's.
    """
    require_postprocessing(content, module)
    require_delegate(content)
    found = {}
    for xnnpack, name in ((True, "with XNNPACK"), (False, "without XNNPACK")):
        step = interpreters.raw_step(content, xnnpack=xnnpack)
        where = f"the .tflite {name}"
        found[name] = compare.compare_streams(module, step, where=where, frames=frames)
    return found


def check_quantized(
    content: bytes,
    module: ExportModule,
    asked: ExportOptions,
    frames: list[Frame] | None,
    labels: tuple[str, ...],
) -> Fidelity:
    """Returns how far a quantised `.tflite` is from the module.

    The quantisation that is `asked` for decides what is too far, and its metric is measured, with
    the `labels`. Without `frames` of the user's own that is on a test pattern.

    Raises:
        ExportCheckError: the post-processing op or the delegate is missing in an entry point, the
            detections are not those of the file's own raw output, or that is too far from the
            module's, with XNNPACK or without.
    """
    require_postprocessing(content, module)
    require_delegate(content)
    frames = frames or representative.pattern(module, FRAMES)
    length = module.form.unroll_length
    few = frames[: -(-FRAMES // length) * length]
    if options := module.options:
        for *_, outputs in representative.replay(module, few, interpreters.raw_step(content)):
            if not all(compare.is_consistent(outputs, options, at) for at in range(length)):
                raise ExportCheckError(
                    "the .tflite: the detections are not what suppression makes of the file's own "
                    "boxes and scores"
                )
    found = fidelity.measure(module, content, frames, metric=asked.metric, labels=labels)
    bare = fidelity.measure(module, content, few, xnnpack=False)
    limit = fidelity.LIMITS[asked.quantization]
    for measured, where in ((found, "with XNNPACK"), (bare, "without XNNPACK")):
        if not measured.scores <= limit:
            raise ExportCheckError(
                f"the .tflite {where}: the scores differ from the model's by {measured.scores:.3g} "
                f"on average, allowed for {asked.quantization} are {limit:g}; give "
                "representative_data that resembles what the model was trained on, or choose "
                "another quantization"
            )
    return found


def compare_compiled(content: bytes, described: Described, *, frames: int = FRAMES) -> float:
    """Returns how far `CompiledModel` and the interpreter differ, both with XNNPACK.

    That is code of the same kernels, so there is one tolerance, whatever the quantisation.

    Raises:
        ExportCheckError: too far, or not run.
        interpreters.NotInstalled: there is no `CompiledModel` here.
    """
    step = interpreters.step(content)
    try:
        with interpreters.compiled_step(content) as compiled:
            worst = compare.difference(described, step, compiled, frames=frames)
    except RuntimeError as error:
        raise ExportCheckError(f"CompiledModel cannot run the .tflite: {error}") from None
    if not worst <= compare.TOLERANCE:
        raise ExportCheckError(
            f"the .tflite: CompiledModel and the interpreter differ by {worst:.2g}, allowed are "
            f"{compare.TOLERANCE:g}"
        )
    return worst


def require_postprocessing(content: bytes, described: Described) -> None:
    """Raises unless the post-processing op, with all attributes, stands in every entry point.

    A clip has it once for each frame. The converter may leave it out, or some of its attributes,
    without a word.
    """
    options = described.options
    expected = postprocessing_op.attributes(options) if options else {}
    number = described.form.unroll_length if options else 0
    found = file_format.entry_points(content)
    if set(found) != set(described.entry_points):
        raise ExportCheckError(
            f"the .tflite has the entry points {', '.join(sorted(found))}, expected "
            f"{', '.join(sorted(described.entry_points))}"
        )
    for name, entry_point in found.items():
        ops = [op for op in entry_point.operators if op.name == postprocessing_op.NAME]
        if len(ops) != number:
            raise ExportCheckError(
                f"entry point {name} of the .tflite holds {len(ops)} of the op "
                f"{postprocessing_op.NAME}, expected {number}"
            )
        wrong = {
            key
            for op in ops
            for key, value in expected.items()
            if not np.isclose(op.options.get(key, np.nan), value)
        }
        if wrong:
            raise ExportCheckError(
                f"entry point {name} of the .tflite: {postprocessing_op.NAME} lacks the right "
                f"{', '.join(sorted(wrong))}"
            )


def require_own_outputs(content: bytes) -> None:
    """Raises where an entry point returns an input as it came.

    `CompiledModel` and LiteRT.js then read what nobody has written yet, without a word.
    """
    for name, entry_point in file_format.entry_points(content).items():
        given = set(entry_point.inputs.values())
        same = [output for output, at in entry_point.outputs.items() if at in given]
        if same:
            raise ExportCheckError(
                f"entry point {name} of the .tflite returns {', '.join(sorted(same))} in an "
                "input's memory, which CompiledModel and LiteRT.js read unwritten; export the "
                "model again"
            )


def require_float16(content: bytes) -> None:
    """Raises unless a file allows its reader to compute in float16, sums included."""
    told = tflite_metadata.read_from(content, "reduced_precision_support")
    if told != "fp16accfp16":
        raise ExportCheckError(
            f"the .tflite in float16 asks for {told or 'float32'}, expected fp16accfp16; this "
            "version of TensorFlow converts otherwise"
        )


def require_delegate(content: bytes) -> dict[str, int]:
    """Returns how many operators of each entry point the XNNPACK delegate runs.

    Raises:
        ExportCheckError: an entry point runs without the delegate, five to twelve times slower.
    """
    hidden = interpreters.hidden_operators(content)
    left_out = [name for name, number in hidden.items() if not number]
    if left_out:
        raise ExportCheckError(
            f"XNNPACK is not applied to entry point {', '.join(left_out)} of the .tflite, which "
            "makes it several times slower; an entry point without inputs whose name sorts first "
            "has that effect"
        )
    return hidden
