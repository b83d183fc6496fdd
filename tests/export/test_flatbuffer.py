from __future__ import annotations

import numpy as np
import pytest

from lstd.export import flatbuffer, flatbuffer_edit, interpreters, postprocessing_op
from lstd.export.module import ExportModule
from lstd.export.postprocessing_op import NAME
from tests.export import exports


@pytest.fixture(scope="module")
def module() -> ExportModule:
    return exports.module()


@pytest.fixture(scope="module")
def content(module: ExportModule) -> bytes:
    return exports.converted(module)


def test_entry_points_and_their_operators_are_found(content: bytes) -> None:
    found = flatbuffer.entry_points(content)
    assert sorted(found) == ["large", "small"]
    for entry_point in found.values():
        names = [operator.name for operator in entry_point.operators]
        assert names.count("CONV_2D") == 4
        assert names.count(NAME) == 1
        assert len(entry_point.operators[names.index(NAME)].outputs) == 4


def test_custom_options_are_replaced_in_every_entry_point(content: bytes) -> None:
    changed = flatbuffer_edit.with_options(content, NAME, {"a": 3, "b": True, "c": 0.1})
    for entry_point in flatbuffer.entry_points(changed).values():
        (options,) = (op.options for op in entry_point.operators if op.name == NAME)
        assert options["a"] == 3
        assert options["b"] == 1
        assert options["c"] == pytest.approx(0.1, rel=1e-7)


def test_nothing_but_the_pointers_to_the_options_changes_place(content: bytes) -> None:
    changed = flatbuffer_edit.with_options(content, NAME, {"a": 3})
    old = np.frombuffer(content, np.uint8)
    different = np.flatnonzero(old != np.frombuffer(changed, np.uint8)[: len(old)])
    assert 0 < len(different) <= 2 * 4  # two operators, an offset of four bytes each


def test_converter_forgets_detections_per_class_and_the_exporter_does_not(
    module: ExportModule, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should this fail because the converter has learnt it, the patch can go."""
    monkeypatch.setattr(flatbuffer_edit, "with_options", lambda content, name, options: content)
    forgetful = exports.converted(module)
    for file, missing in ((forgetful, {"detections_per_class"}), (content, set())):
        for entry_point in flatbuffer.entry_points(file).values():
            (options,) = (op.options for op in entry_point.operators if op.name == NAME)
            assert postprocessing_op.attributes(module.options).keys() - options.keys() == missing


def test_another_file_is_refused() -> None:
    with pytest.raises(ValueError, match=r"not a \.tflite file"):
        flatbuffer.entry_points(b"PNG, perhaps, or a text")


def test_operators_between_two_of_the_delegate_are_hidden(content: bytes) -> None:
    assert min(interpreters.hidden_operators(content).values()) > 0
    assert interpreters.hidden_operators(content, xnnpack=False) == {"large": 0, "small": 0}


def test_weights_are_in_the_file_once(module: ExportModule, content: bytes) -> None:
    kernel = module.model.memory.numpy()  # HWIO; TFLite stores OHWI
    assert content.count(np.transpose(kernel, [3, 0, 1, 2]).tobytes()) == 1
