"""Detection in a running video: a model or file with the state kept between the frames.

Files: `entry_points` (what a model must offer), `exported_file` and `tflite_file` (where they come
from, with the JSON of a file), `frame_resize`,
`network_schedule`, `detector` (`VideoDetector`), `background` (its asynchronous mode), `results`,
`json_lines`, `detect_video` (source in, video and JSON Lines out), `benchmark` with its `_subjects`
and `_report`, `multiply_adds` and `peak` (how fast it is). Nothing here but `peak` needs
TensorFlow for a `.tflite` where LiteRT (`ai-edge-litert`) is installed.
"""
