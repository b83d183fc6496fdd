"""The way of an image to its first features, which int8 files go in float.

An image has one or three channels, and kernels for int8 take eight at a time: the first convolution
takes longer in int8 than in float, and so does what normalises the image before it.
"""

from __future__ import annotations

from typing import Any

from lstd.export import flatbuffer


def names(content: bytes, *, image: str = "image") -> list[str]:
    """Returns the names of the operations up to the first convolution that widens the image.

    An operation has the name of the tensor that it writes, as the converter's quantiser calls it.

    Args:
        content: a `.tflite`.
        image: the input of the entry points; without it, or such a convolution, there are none.
    """
    model = flatbuffer.model_of(content)
    found: list[str] = []
    for point in flatbuffer.entry_points(content).values():
        if image in point.inputs:
            graph = model.Subgraphs(point.subgraph)
            way = _way(point, graph, point.inputs[image])
            found.extend(graph.Tensors(number).Name().decode() for number in way)
    return found


def _way(point: flatbuffer.EntryPoint, graph: Any, image: int) -> list[int]:
    """Returns the tensors on the way, the features last; none where it ends otherwise."""
    reached = [image]
    for operator in point.operators:
        if not set(operator.inputs) & set(reached):
            continue
        reached.extend(operator.outputs)
        if operator.name == "CONV_2D":
            before, after = (graph.Tensors(side[0]) for side in (operator.inputs, operator.outputs))
            if after.Shape(3) > before.Shape(3):
                return reached[1:]
    return []
