import numpy as np
import pytest

from lstd.export import file_format, postprocessing_op
from lstd.export.module import ExportModule
from lstd.export.postprocessing_op import NAME
from tests.export import exports
from tests.export.tiny_model import TinyModel


def test_entry_points_and_their_operators_are_found(content: bytes) -> None:
    found = file_format.entry_points(content)
    assert sorted(found) == ["large", "small"]
    for entry_point in found.values():
        names = [operator.name for operator in entry_point.operators]
        assert names.count("CONV_2D") == 4
        assert names.count(NAME) == 1
        assert len(entry_point.operators[names.index(NAME)].outputs) == 4
    with pytest.raises(ValueError, match="not a TFLite file"):
        file_format.entry_points(b"PNG, perhaps, or a text")


def test_custom_options_are_replaced_in_every_entry_point_and_the_weights_are_aligned(
    content: bytes,
) -> None:
    changed = file_format.with_options(content, NAME, {"a": 3, "b": True, "c": 0.1})
    for entry_point in file_format.entry_points(changed).values():
        (options,) = (op.options for op in entry_point.operators if op.name == NAME)
        assert options == {"a": 3, "b": True, "c": pytest.approx(0.1, rel=1e-7)}
    kernel = np.transpose(TinyModel().memory.numpy(), [3, 0, 1, 2]).tobytes()  # OHWI in TFLite
    assert changed.count(kernel) == 1  # both entry points share it
    assert changed.index(kernel) % 16 == 0


def test_converter_forgets_detections_per_class_and_the_exporter_does_not(
    module: ExportModule, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should this fail because the converter has learnt it, the patch can go."""
    monkeypatch.setattr(file_format, "with_options", lambda content, name, options: content)
    forgetful = exports.converted(module)
    for file, missing in ((forgetful, {"detections_per_class"}), (content, set())):
        for entry_point in file_format.entry_points(file).values():
            (options,) = (op.options for op in entry_point.operators if op.name == NAME)
            assert postprocessing_op.attributes(module.options).keys() - options.keys() == missing


def test_the_first_convolution_is_the_first_that_widens_the_image(content: bytes) -> None:
    """The tiny model normalises, takes means, and convolves from three channels to four."""
    found = file_format.first_convolution(content)
    assert len(found) == len(set(found))
    for point in file_format.entry_points(content).values():
        names = [operator.name for operator in point.operators]
        assert names.index("CONV_2D") > names.index("AVERAGE_POOL_2D")
        written = {point.tensor_name(op.outputs[0]): op.name for op in point.operators}
        own = [written[name] for name in found if name in written]
        assert (own[-1], own.count("CONV_2D")) == ("CONV_2D", 1)
    assert file_format.first_convolution(content, image="picture") == []


def test_all_that_follows_the_first_convolution_is_int8() -> None:
    float32, int8 = 0, 9  # of the schema
    for point in file_format.entry_points(exports.file("int8").read_bytes()).values():
        types = [
            point.graph.tensors[operator.inputs[0]].type
            for operator in point.operators
            if operator.name == "CONV_2D"
        ]
        assert types[0] == float32
        assert set(types[1:]) == {int8}
