"""The flags of `lstd-export`."""

from __future__ import annotations

from lstd.cli import app, common

_LIMITS = {
    "max_detections": "Objects returned for a frame at most.",
    "max_classes_per_detection": "Classes returned for each object, best first.",
    "detections_per_class": "Boxes kept for one class; only with --use_regular_nms.",
}
FLAGS: app.Flags = {
    **common.flags("config"),
    "model": app.text(
        "Run folder, weights file or checkpoint of one, or prefix or .npz of a checkpoint of the "
        "original, which needs --config."
    ),
    "trained_checkpoint_prefix": app.text("The same as --model, by the original's name."),
    "weights": app.choice(
        "Which weights of the run folder. Not given: average or best, as --moving_averages says.",
        ("best", "last", "average"),
    ),
    "moving_averages": app.choice(
        "Export the moving averages of the weights; auto: where evaluation.use_moving_averages of "
        "the config says so.",
        ("auto", "true", "false"),
        "auto",
    ),
    **common.flags("output_directory", "schedule", "config_override", "set"),
    **{
        name: app.whole(f"{text} Not given: export.{name} of the config.", least=1)
        for name, text in _LIMITS.items()
    },
    "use_regular_nms": app.switch(
        "Suppress overlapping boxes class by class, not all classes together, which is faster.",
        default=None,
    ),
    "add_postprocessing_op": app.switch(
        "Return detections; without it the raw output and the anchors.", default=True
    ),
    "labels": app.text("Class names: a text file, one in a line, a label map (.pbtxt), or a,b,c."),
    "signature": app.choice(
        "streaming: one frame and the state; clip: a clip of fixed length, unrolled.",
        ("streaming", "clip"),
        "streaming",
    ),
    "unroll_length": app.whole(
        "Frames of a clip. Not given: data.evaluation.unroll_length of the config.", least=1
    ),
    "input_type": app.choice(
        "Type of the frames, 0 to 255 in both.", ("float32", "uint8"), "float32"
    ),
    "network": app.choice(
        "Export both networks, or one alone.", ("both", "large", "small"), "both"
    ),
    "quantization": app.choice(
        "How the .tflite stores and computes numbers; the SavedModel stays in float32.",
        ("none", "dynamic", "float16", "int8"),
        "none",
    ),
    "representative_data": app.text(
        "Your own frames for --quantization, or for --check of such a file: TFRecords (* and ? are "
        "allowed), a video file, or a folder of images. int8 needs them; with ground truth in them "
        "AP is reported."
    ),
    "representative_frames": app.whole(
        "How many of these frames are used at most, from the first on. Not given: 100.", least=1
    ),
    "cell": app.choice(
        "Form of the memory in the .tflite: fused is the fastest with XNNPACK, separate is for "
        "runtimes whose grouped convolutions are slow. Not given: fused, in a clip separate.",
        ("fused", "separate"),
    ),
    "check_frames": app.whole(
        "Frames that the self-check runs with the state carried.", 4, least=3
    ),
    "saved_model_path": app.text("A SavedModel of lstd to convert."),
    "export_path": app.text("The .tflite that --saved_model_path becomes."),
    "check": app.text("A .tflite to look at; nothing is written."),
}
