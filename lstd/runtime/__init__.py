"""Detection in a running video: a model or file with the state kept between the frames.

Files: `entry_points` (what a model must offer), `exported_file` and `tflite_file` (where they come
from, and what they say of themselves), `frame_resize`, `detector` (`VideoDetector`), `background`
(its asynchronous mode), `results`, `detect_video` (source in, video and JSON Lines out),
`benchmark` with its `_subjects`, `multiply_adds` and `peak` (how fast it is). Nothing here but
`peak` needs TensorFlow for a `.tflite` where LiteRT (`ai-edge-litert`) is installed.
"""
