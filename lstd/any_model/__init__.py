"""Any model from any path: a run, a checkpoint, a SavedModel, a `.tflite`."""
