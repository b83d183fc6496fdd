"""The flags of `lstd-export`."""

from __future__ import annotations

from absl import flags

from lstd.cli import common

_WEIGHTS = ("best", "last", "average")
LIMITS = {
    "max_detections": "Objects returned for a frame at most.",
    "max_classes_per_detection": "Classes returned for each object, best first.",
    "detections_per_class": "Boxes kept for one class; only with --use_regular_nms.",
}


def define(values: flags.FlagValues) -> None:
    """Adds all flags of the command, in the order of its help."""
    common.define(values, "config")
    _define_model_flags(values)
    common.define(values, "output_directory", "schedule", "config_override", "set")
    _define_postprocessing_flags(values)
    _define_form_flags(values)
    _define_quantization(values)
    _define_other_ways(values)


def _define_model_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "model",
        "",
        "Run folder, weights file or checkpoint of one, or prefix or .npz of a checkpoint of the "
        "original, which needs --config.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "trained_checkpoint_prefix",
        "",
        "The same as --model, by the original's name.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "weights",
        None,
        _WEIGHTS,
        "Which weights of the run folder. Not given: average or best, as --moving_averages says.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "moving_averages",
        "auto",
        ("auto", "true", "false"),
        "Export the moving averages of the weights; auto: where evaluation.use_moving_averages of "
        "the config says so.",
        flag_values=values,
    )


def _define_postprocessing_flags(values: flags.FlagValues) -> None:
    for name, text in LIMITS.items():
        text += f" Not given: export.{name} of the config."
        flags.DEFINE_integer(name, None, text, lower_bound=1, flag_values=values)
    flags.DEFINE_bool(
        "use_regular_nms",
        None,
        "Suppress overlapping boxes class by class, not all classes together, which is faster.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "add_postprocessing_op",
        True,
        "Return detections; without it the raw output and the anchors.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "labels",
        "",
        "Class names: a text file, one in a line, a label map (.pbtxt), or a,b,c.",
        flag_values=values,
    )


def _define_form_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_enum(
        "signature",
        "streaming",
        ("streaming", "clip"),
        "streaming: one frame and the state; clip: a clip of fixed length, unrolled.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "unroll_length",
        None,
        "Frames of a clip. Not given: data.evaluation.unroll_length of the config.",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_enum(
        "input_type",
        "float32",
        ("float32", "uint8"),
        "Type of the frames, 0 to 255 in both.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "network",
        "both",
        ("both", "large", "small"),
        "Export both networks, or one alone.",
        flag_values=values,
    )


def _define_quantization(values: flags.FlagValues) -> None:
    flags.DEFINE_enum(
        "quantization",
        "none",
        ("none", "dynamic", "float16", "int8"),
        "How the .tflite stores and computes numbers; the SavedModel stays in float32.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "representative_data",
        "",
        "Your own frames for --quantization, or for --check of such a file: TFRecords (* and ? are "
        "allowed), a video file, or a folder of images. int8 needs them; with ground truth in them "
        "AP is reported.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "representative_frames",
        100,
        "How many of these frames are used at most, from the first on.",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_enum(
        "cell",
        None,
        ("fused", "separate"),
        "Form of the memory in the .tflite: fused is the fastest with XNNPACK, separate is for "
        "runtimes whose grouped convolutions are slow. Not given: fused, in a clip separate.",
        flag_values=values,
    )


def _define_other_ways(values: flags.FlagValues) -> None:
    flags.DEFINE_integer(
        "check_frames",
        4,
        "Frames that the self-check runs with the state carried.",
        lower_bound=3,
        flag_values=values,
    )
    flags.DEFINE_string(
        "saved_model_path", "", "A SavedModel of lstd to convert.", flag_values=values
    )
    flags.DEFINE_string(
        "export_path", "", "The .tflite that --saved_model_path becomes.", flag_values=values
    )
    flags.DEFINE_string(
        "check", "", "A .tflite to look at; nothing is written.", flag_values=values
    )
