"""A finished model as files for other programs: a SavedModel, a `.tflite`, and a JSON beside it.

Entry points, `large` and `small` (`step` where there is one backbone), take one frame and the LSTM
state and return detections and the state after the frame; they have the same names and the same
inputs and outputs in `ExportModule`, in the SavedModel and in the `.tflite`:

    image   float32 [1, H, W, C]      raw, 0 to 255       detection_boxes    float32 [1, N, 4]
    lstm_c  float32 [1, h, w, D]      zeros at the start  detection_classes  float32 [1, N]
    lstm_h  float32 [1, h, w, D]      zeros at the start  detection_scores   float32 [1, N]
                                                          num_detections     float32 [1]
                                                          lstm_c_out, lstm_h_out

Classes are 0-based without background, scores are after the sigmoid, boxes are (ymin, xmin, ymax,
xmax) in parts of the frame, not clipped to it. Rows behind the last detection mean nothing: the
TFLite op leaves there what the frame before wrote.

In the form of a clip there is one entry point, `clip`, whose frames are `input_video_tensor`
`[T, H, W, C]`; outputs then have T where they have 1 above, except the state. docs/export.md has it
all for those who write an app.

Files: `options` (what is asked for); `form`, `module`, `postprocessing_op`, `lite` (the entry
points); `saved_model`, `tflite`, `conversion`, `file_format` (the exporters); `compare`,
`interpreters`, `representative`, `fidelity`, `self_check` (do they do the same?); `check_file` (of
a file that is there); `metadata` (the JSON).
"""
