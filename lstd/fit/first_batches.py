"""Looks at the first batches of a data set of one's own, on the host: what they can only mean."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from lstd.base.types import ClipBatch, GroundTruth

BATCHES = 10  # that are looked at: a dark beginning, or one without objects, says nothing


def unpacked(element: Any) -> tuple[Any, Any]:
    """Returns clips and ground truth of an element of a data set, or of the specs of one.

    Dicts with the names of the fields, as replicas get them, become what they stand for.

    Raises:
        ValueError: it is no pair of them; the message has the line that makes it one.
    """
    expected = "a dataset of (ClipBatch, GroundTruth) is expected, got one"
    if not isinstance(element, (tuple, list)) or isinstance(element, ClipBatch) or len(element) < 2:
        raise ValueError(
            f"{expected} of {_described(element)} alone; without ground truth there is nothing to "
            "compare with"
        )
    clip, truth, *weights = element
    if any(weight is not None for weight in weights):
        raise ValueError(
            f"{expected} with sample weights, which a detection loss does not know: leave them out"
        )
    if isinstance(clip, dict) and {"frames", "starts", "frame_index"} <= clip.keys():
        clip = ClipBatch(**{"video_id": None, **clip})
    elif not isinstance(clip, ClipBatch) and not hasattr(clip, "dtype"):
        cure = "(frames, truth)) with one tensor for frames"
        if isinstance(clip, dict) and clip:
            name = next((key for key in clip if "frame" in str(key)), next(iter(clip)))
            cure = f"(frames[{name!r}], truth))"
        raise ValueError(
            "the input of the model must be a lstd.ClipBatch, or frames [B, T, H, W, C]; got "
            f"{_described(clip)}: dataset.map(lambda frames, truth: {cure}"
        )
    if isinstance(truth, dict) and {"boxes", "classes"} <= truth.keys() <= {*GroundTruth._fields}:
        truth = GroundTruth(**truth)
    elif not isinstance(truth, GroundTruth):
        cure = "boxes, classes"
        if isinstance(truth, dict):
            cure = "truth['boxes'], truth['classes']"
        elif isinstance(truth, (tuple, list)) and len(truth) == 2:
            cure = "*truth"
        raise ValueError(
            f"ground truth must be a lstd.GroundTruth, got {_described(truth)}: "
            f"dataset.map(lambda clip, truth: (clip, lstd.GroundTruth({cure}))), boxes "
            "[B, T, M, 4] before classes [B, T, M]"
        )
    return clip, truth


def _described(value: Any) -> str:
    if isinstance(value, dict):
        return f"a dict of {', '.join(map(repr, value))}"
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a tensor of shape {value.shape}" if hasattr(value, "shape") else type(value).__name__


def _check_shapes(clip: Any, truth: GroundTruth) -> None:
    """Raises unless clips and ground truth, or their specs, have the axes that they need."""
    frames = _frames(clip)
    for name, part, shape, axes in (
        ("frames", frames, [None] * 5, "[B, T, H, W, C]"),
        ("ground_truth.boxes", truth.boxes, [None, None, None, 4], "[B, T, M, 4]"),
        ("ground_truth.classes", truth.classes, [None] * 3, "[B, T, M]"),
    ):
        if not tf.TensorShape(part.shape).is_compatible_with(shape):
            raise ValueError(f"{name} must be {axes}, got shape {tuple(part.shape)}")
    if tf.as_dtype(frames.dtype) not in (tf.uint8, tf.float32):
        raise ValueError(f"frames must be uint8 or float32, got {tf.as_dtype(frames.dtype).name}")


def _frames(clip: Any) -> Any:
    return clip.frames if isinstance(clip, ClipBatch) else clip


class FirstBatches:
    """Looks at the first batches while they are read.

    `error` is what was found; the data set then ends with an error of TensorFlow's.
    """

    def __init__(self, *, num_classes: int, stateful: bool) -> None:
        self.error: Exception | None = None
        self._num_classes, self._stateful = num_classes, stateful
        self._seen = 0
        self._any_objects = self._warned = False

    def watch(self, data: Any) -> Any:
        """Returns the data as it is to be read: a data set, an iterator, arrays (x, y), or x alone.

        Raises:
            ValueError: its elements are no clips with ground truth; or, of arrays, as in `look`.
        """
        if isinstance(data, tf.data.Dataset):
            _check_shapes(*unpacked(data.element_spec))
            return data.enumerate().map(self._pass_on)
        if isinstance(data, keras.utils.experimental.DatasetCreator):
            return type(data)(lambda context: self.watch(data(context)))
        if isinstance(data, (tuple, list)) and not isinstance(data, ClipBatch):
            clip, truth = unpacked(data)
            frames = _frames(clip)
            if isinstance(frames, np.ndarray) and frames.dtype.kind == "f":
                frames = frames.astype(np.float32, copy=False)  # as Keras feeds them
            self.look(
                clip._replace(frames=frames) if isinstance(clip, ClipBatch) else frames, truth
            )
        elif isinstance(data, keras.utils.Sequence):
            self.look(*unpacked(data[0]))
        elif isinstance(data, Iterator):
            return self._watched(data)
        return data

    def _watched(self, batches: Iterator[Any]) -> Iterator[Any]:
        for batch in batches:
            if not self._is_sound(*unpacked(batch)) and self.error is not None:
                raise self.error
            yield batch

    @tf.autograph.experimental.do_not_convert
    def _pass_on(self, number: tf.Tensor, element: Any) -> Any:
        """Returns the element of a `tf.data.Dataset`, after a look at it."""
        clip, truth = unpacked(element)
        bare = not isinstance(clip, ClipBatch)

        def look(boxes: tf.Tensor, classes: tf.Tensor, *clips: tf.Tensor) -> bool:
            values = [value.numpy() for value in clips]
            clip = values[0] if bare else ClipBatch(values[0], values[1], values[2], None)
            return self._is_sound(clip, GroundTruth(boxes.numpy(), classes.numpy()))

        inputs = [truth.boxes, truth.classes, *([clip] if bare else clip[:3])]
        sound = tf.cond(
            number < BATCHES,
            lambda: tf.py_function(look, inputs, tf.bool),
            lambda: tf.constant(True),
        )
        with tf.control_dependencies([tf.debugging.Assert(sound, ["the data was refused"])]):
            return tf.nest.map_structure(
                lambda part: None if part is None else tf.identity(part), element
            )

    def _is_sound(self, clip: Any, truth: GroundTruth) -> bool:
        try:
            self.look(clip, truth)
        except (ValueError, Warning) as error:  # warnings may be errors
            self.error = error
        return self.error is None

    def look(self, clip: Any, truth: GroundTruth) -> None:
        """Looks at a batch of arrays, if it is one of the first.

        Raises:
            ValueError: it can only be meant in another way than a model takes it.
        """
        self._seen += 1
        if self._seen > BATCHES:
            return
        _check_shapes(clip, truth)
        problem = "" if self._warned else _problem_of_memory(clip, stateful=self._stateful)
        if problem:
            self._warned = True
            warnings.warn(problem, stacklevel=2)
        frames, seen = _frames(clip), self._any_objects
        check_values(frames, truth, num_classes=self._num_classes, any_before=seen)
        self._any_objects |= bool((np.asarray(truth.classes) >= 0).any())


def _problem_of_memory(clip: Any, *, stateful: bool) -> str:
    """Returns where clips and model do not agree on what the memory holds, "" if they do."""
    if not isinstance(clip, ClipBatch):
        told = (
            "a stateful model that is given bare frames never empties its memory, not even where a "
            "video begins: give it a lstd.ClipBatch, whose `starts` say where, or build it with "
            "stateful=False"
        )
        return told if stateful else ""
    starts, numbers = np.asarray(clip.starts)[..., 0], np.asarray(clip.frame_index)[..., 0]
    if stateful or not (~starts & (numbers >= 0)).any():
        return ""
    return (
        "clips go on where those before them ended, but this model is stateless and begins each "
        "with an empty memory: lstd.build_model(config.model, stateful=True, batch_size=B), or "
        "read them with data.train.clips: independent"
    )


def check_values(
    frames: Any, truth: GroundTruth, *, num_classes: int, any_before: bool = True
) -> None:
    """Refuses frames or boxes that can only be meant in another way.

    Rows of class -1 are padding, and may hold anything where other rows have a class, here or, with
    `any_before`, in the batches before. What is not finite passes: the step says which clip it was.

    Raises:
        ValueError: so they are; says what came, and the line that mends it.
    """
    frames = np.asarray(frames)
    _check_range(frames)
    boxes = np.asarray(truth.boxes).reshape(-1, 4).astype(np.float64)
    classes = np.asarray(truth.classes).reshape(-1)
    with np.errstate(invalid="ignore"):
        sides = boxes[:, 2:] - boxes[:, :2]
    if not (classes >= 0).any():
        if truth.is_crowd is not None:
            sides = sides[~np.asarray(truth.is_crowd).reshape(-1)]  # without regions to ignore
        if any_before or not (sides > 0).all(axis=-1).any():
            return
        raise ValueError(
            "all classes of the true boxes are below 0, which says that they are padding: classes "
            f"are 0 to {num_classes - 1}, without background (and padding has zeros for boxes)"
        )
    if classes.max() >= num_classes:
        raise ValueError(
            f"ground_truth.classes hold {classes.max()}, but must be below num_classes "
            f"{num_classes}: they are 0-based, without background; 1-based ones need classes - 1 "
            "(and padding -1)"
        )
    objects = (classes >= 0) & np.isfinite(boxes).all(axis=-1)
    _check_corners(boxes[objects], sides[objects], frame_size=frames.shape[-3:-1])


def _check_range(frames: np.ndarray) -> None:
    """Raises unless frames may be in [0, 255]."""
    if frames.dtype.kind != "f" or not frames.size:
        return
    low, high = float(frames.min()), float(frames.max())
    if not np.isfinite([low, high]).all():
        return
    # What is nearly black lies in [0, 1] too, but has no contrast there, or whole numbers.
    contrast = low >= 0 and 0.5 < high <= 1 and high - low > 0.5
    for found, cure in (
        (
            low < -0.4 and high <= 10,
            "they look normalised, which the model does itself; undo it, for [-1, 1] by "
            "(frames + 1) * 127.5",
        ),
        (
            contrast and (frames % 1 != 0).mean() > 0.1,
            "they look scaled to [0, 1]; give frames * 255",
        ),
        (high > 512, "of 16 bit, give frames / 257"),
    ):
        if found:
            raise ValueError(
                "frames must be uint8, or float32 in [0, 255], got values from "
                f"{low:.4g} to {high:.4g}: {cure}"
            )


def _check_corners(boxes: np.ndarray, sides: np.ndarray, *, frame_size: tuple[int, int]) -> None:
    """Raises unless the boxes `[M, 4]` of objects, with their heights and widths, are corners."""
    far = ((boxes > 2) | (boxes < -1)).any(axis=-1)
    wrong = far if far.any() else (sides <= 0).any(axis=-1)
    if not wrong.any():
        return
    if far.any():
        height, width = frame_size
        cure = f": of pixels, give boxes / [{height}, {width}, {height}, {width}], the frame's size"
    elif (
        (sides < 0).any() and boxes[:, 2:].min() > 0 and (boxes[:, :2] + boxes[:, 2:]).max() < 1.01
    ):
        cure = (
            ", upside down: of y, x, height, width, give "
            "tf.concat([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]], axis=-1)"
        )
    else:
        cure = ", which has no area or is upside down: leave it out, or give it the class -1"
    first = ", ".join(f"{side:.4g}" for side in boxes[wrong][0])
    raise ValueError(
        f"true boxes must be ymin, xmin, ymax, xmax in [0, 1] of the frame, got [{first}]{cure}"
    )
