"""The names of inputs and outputs, the same in TensorFlow, in a SavedModel and in a `.tflite`."""

from __future__ import annotations

STATE_INPUTS = ("lstm_c", "lstm_h")
INPUTS = ("image", *STATE_INPUTS)
CLIP = "clip"
"""The entry point of the clip form."""
CLIP_INPUT = "input_video_tensor"
"""Its frames, by the original's name."""
STATE_OUTPUTS = ("lstm_c_out", "lstm_h_out")
DETECTION_OUTPUTS = ("detection_boxes", "detection_classes", "detection_scores", "num_detections")
RAW_OUTPUTS = ("raw_outputs/box_encodings", "raw_outputs/class_predictions", "anchors")
