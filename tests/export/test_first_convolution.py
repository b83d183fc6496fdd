"""The way of the image to the first convolution stays in float in an int8 file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lstd.export import first_convolution, flatbuffer, interpreters
from lstd.export.tflite import export_tflite
from tests.export import exports
from tests.export.tiny_model import TinyModel, images


def test_it_ends_with_the_first_convolution_that_widens_the_image() -> None:
    """The tiny model normalises, takes means, and convolves from three channels to four."""
    content = exports.converted(exports.module())
    for point in flatbuffer.entry_points(content).values():
        names = [operator.name for operator in point.operators]
        assert names.index("CONV_2D") > names.index("AVERAGE_POOL_2D")
    found = first_convolution.names(content)
    assert len(found) == len(set(found))
    for point in flatbuffer.entry_points(content).values():
        tensors = flatbuffer.model_of(content).Subgraphs(point.subgraph).Tensors
        written = {tensors(op.outputs[0]).Name().decode(): op.name for op in point.operators}
        own = [written[name] for name in found if name in written]
        assert own[-1] == "CONV_2D"
        assert own.count("CONV_2D") == 1


def test_without_such_an_input_there_is_none() -> None:
    content = exports.converted(exports.module())
    assert first_convolution.names(content, image="picture") == []
    with pytest.raises(ValueError, match=r"not a \.tflite file"):
        first_convolution.names(b"something else")


def test_all_that_follows_it_is_int8(tmp_path: Path) -> None:
    report = export_tflite(
        TinyModel(),
        tmp_path / "a.tflite",
        quantization="int8",
        representative_data=[images(4).astype(np.uint8)],
    )
    content = report.path.read_bytes()
    interpreter = interpreters.make(content, xnnpack=False)
    for point in flatbuffer.entry_points(content).values():
        details = interpreter._get_tensor_details
        types = [
            details(operator.inputs[0], point.subgraph)["dtype"]
            for operator in point.operators
            if operator.name == "CONV_2D"
        ]
        assert types[0] == np.float32
        assert set(types[1:]) == {np.int8}
