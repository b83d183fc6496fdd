from __future__ import annotations

import contextlib
import random
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import interpreter as litert
from tensorflow.lite.python import schema_py_generated as schema

from lstd.base import tflite_metadata

TEXT = '{"labels": ["Fußgänger"]}'


@pytest.fixture(scope="module")
def content() -> bytes:
    """Returns a file with a signature and a weight of 1,000 numbers."""
    weights = tf.Variable(np.arange(1000, dtype=np.float32).reshape(10, 100))

    @tf.function(input_signature=[tf.TensorSpec([1, 10], tf.float32, name="x")])
    def double(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.matmul(x, weights)}

    module = tf.Module()
    module.weights, module.double = weights, double
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [double.get_concrete_function()], module
    )
    return bytes(converter.convert())


def _run(content: bytes) -> Any:
    interpreter = litert.Interpreter(model_content=content)
    runner = interpreter.get_signature_runner("serving_default")
    return runner(x=np.ones([1, 10], np.float32))["y"]


@pytest.mark.parametrize("text", [TEXT, "", "x" * 100_000])
def test_text_can_be_read_again_and_the_file_runs_as_before(content: bytes, text: str) -> None:
    changed = tflite_metadata.embed(content, text)
    assert tflite_metadata.read_from(changed) == text
    np.testing.assert_array_equal(_run(changed), _run(content))


def test_bytes_behind_the_header_are_the_last_of_the_new_file(content: bytes) -> None:
    changed = tflite_metadata.embed(content, TEXT)
    assert changed.endswith(content[8:])
    assert (len(changed) - len(content)) % 64 == 0  # the weights stay aligned


def test_schema_sees_everything_that_was_there_and_one_more(content: bytes) -> None:
    old = schema.Model.GetRootAs(content, 0)
    new = schema.Model.GetRootAs(tflite_metadata.embed(content, TEXT), 0)
    names = [new.Metadata(number).Name() for number in range(new.MetadataLength())]
    assert names == [
        *(old.Metadata(number).Name() for number in range(old.MetadataLength())),
        b"lstd.json",
    ]
    assert new.BuffersLength() == old.BuffersLength() + 1
    for number in range(old.BuffersLength()):
        np.testing.assert_array_equal(
            new.Buffers(number).DataAsNumpy(), old.Buffers(number).DataAsNumpy()
        )
    data = new.Buffers(new.Metadata(len(names) - 1).Buffer()).DataAsNumpy()
    assert bytes(data).decode() == TEXT
    assert (new.Version(), new.Description()) == (old.Version(), old.Description())
    assert new.SubgraphsLength() == old.SubgraphsLength()
    assert new.OperatorCodesLength() == old.OperatorCodesLength()
    assert new.SignatureDefsLength() == old.SignatureDefsLength()


def test_two_names_stand_side_by_side(content: bytes) -> None:
    changed = tflite_metadata.embed(tflite_metadata.embed(content, "one", "a"), "two", "b")
    assert tflite_metadata.read_from(changed, "a") == "one"
    assert tflite_metadata.read_from(changed, "b") == "two"
    assert tflite_metadata.read_from(changed) is None
    np.testing.assert_array_equal(_run(changed), _run(content))


def test_a_second_text_of_the_same_name_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"already has metadata lstd\.json"):
        tflite_metadata.embed(tflite_metadata.embed(content, TEXT), TEXT)


def test_file_on_disk_is_read(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.tflite").write_bytes(tflite_metadata.embed(content, TEXT))
    (tmp_path / "b.tflite").write_bytes(content)
    assert tflite_metadata.read(tmp_path / "a.tflite") == TEXT
    assert tflite_metadata.read(str(tmp_path / "b.tflite")) is None


@pytest.mark.parametrize("other", [b"", b"TFL3", b"a text that is no model"])
def test_another_file_is_refused_by_name(other: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.tflite").write_bytes(other)
    with pytest.raises(ValueError, match=r"a\.tflite: this is not a TFLite file"):
        tflite_metadata.read(tmp_path / "a.tflite")


@pytest.mark.parametrize("length", [12, 40, 200])
def test_a_file_cut_short_is_called_damaged(content: bytes, length: int) -> None:
    with pytest.raises(ValueError, match="damaged"):
        tflite_metadata.read_from(tflite_metadata.embed(content, TEXT * 9)[:length])


@pytest.mark.parametrize("seed", range(8))
def test_wrong_offsets_are_refused_in_a_sentence(content: bytes, seed: int) -> None:
    whole, rng = tflite_metadata.embed(content, TEXT), random.Random(seed)
    for _ in range(100):
        changed = bytearray(whole)
        for place in rng.sample(range(0, 1000, 4), 2):
            changed[place : place + 4] = rng.choice([b"\xff\xff\xff\x7f", rng.randbytes(4)])
        for read in (
            tflite_metadata.read_from,
            tflite_metadata.is_whole,
            lambda damaged: tflite_metadata.embed(damaged, TEXT, "other"),
        ):
            with contextlib.suppress(ValueError):
                read(bytes(changed))


def test_a_text_that_is_not_utf_8_is_named(content: bytes) -> None:
    changed = tflite_metadata.embed(content, TEXT).replace("ß".encode(), b"\xff\xfe")
    with pytest.raises(ValueError, match=r"lstd\.json inside of it are not UTF-8"):
        tflite_metadata.read_from(changed)


def test_weights_behind_the_end_are_refused(content: bytes) -> None:
    """As in files over 2 GB, whose buffers say where in the file they are."""
    buffers = schema.Model.GetRootAs(content, 0)
    table = buffers.Buffers(0)._tab.Pos
    changed = bytearray(content) + bytes(-len(content) % 8)
    vtable = len(changed)
    changed += struct.pack("<4H", 8, 16, 0, 4) + struct.pack("<2Q", 0, 0)
    # A table of its own at the end: no data, offset 4096.
    new = len(changed)
    changed += struct.pack("<i", new - vtable) + struct.pack("<Q", 4096) + bytes(4)
    for place in range(0, len(content) - 4, 4):  # whichever offset led to the table before
        if place + struct.unpack_from("<I", changed, place)[0] == table:
            struct.pack_into("<I", changed, place, new - place)
    with pytest.raises(ValueError, match="over 2 GB"):
        tflite_metadata.embed(bytes(changed), TEXT)
