"""Detection in a running video: a model or file with the state kept between the frames.

Nothing here but the peak of `timed_models` needs TensorFlow for a `.tflite` where LiteRT
(`ai-edge-litert`) is installed.
"""
