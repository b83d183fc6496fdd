import contextlib
import hashlib
import json
import random
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import interpreter as litert

from lstd.base import tflite_metadata
from lstd.runtime import timed_models

TEXT = '{"labels": ["Fußgänger"]}'
schema = tflite_metadata.schema()


@pytest.fixture(scope="module")
def content() -> bytes:
    """Returns a file with one convolution."""
    return timed_models.convolution("float32")


def _run(content: bytes) -> Any:
    interpreter = litert.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    interpreter.set_tensor(given["index"], np.ones(given["shape"], np.float32))
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


@pytest.mark.parametrize("text", [TEXT, "", "x" * 100_000])
def test_text_can_be_read_again_and_the_file_runs_as_before(
    content: bytes, text: str, tmp_path: Path
) -> None:
    changed = tflite_metadata.embed(content, text)
    assert changed.rstrip(b"\0").endswith(content[8:].rstrip(b"\0"))
    (tmp_path / "a.tflite").write_bytes(changed)
    assert tflite_metadata.read(tmp_path / "a.tflite") == text
    np.testing.assert_array_equal(_run(changed), _run(content))


def test_schema_sees_everything_that_was_there_and_one_more(content: bytes) -> None:
    changed = tflite_metadata.embed(tflite_metadata.embed(content, "one", "a"), TEXT)
    old, new = (schema.ModelT.InitFromPackedBuf(each) for each in (content, changed))
    before = [each.name for each in old.metadata or ()]
    assert [each.name for each in new.metadata] == [*before, b"a", b"lstd.json"]
    data = [None if each.data is None else bytes(each.data) for each in new.buffers]
    assert data[:-2] == [None if each.data is None else bytes(each.data) for each in old.buffers]
    assert data[-2:] == [b"one", TEXT.encode()]
    assert (new.version, new.description) == (old.version, old.description)
    assert len(new.subgraphs[0].operators) == len(old.subgraphs[0].operators)
    assert tflite_metadata.read_from(changed, "a") == "one"
    places = []
    for each in (content, changed):
        model = schema.Model.GetRootAs(each, 0)
        buffers = [model.Buffers(number)._tab for number in range(model.BuffersLength())]
        places.append(max(tab.Vector(tab.Offset(4)) for tab in buffers if tab.Offset(4)))
    assert (places[1] - places[0]) % 64 == 0  # the weights stay aligned


def test_a_text_with_facts_of_the_file_is_sealed_and_tells_of_every_byte(content: bytes) -> None:
    facts = {"format": "lstd", "file": tflite_metadata.payload_facts(content)}
    whole = tflite_metadata.embed(content, json.dumps(facts))
    told = json.loads(tflite_metadata.read_from(whole) or "")["file"]
    assert hashlib.sha256(whole[-told["payload_bytes"] :]).hexdigest() == told["payload_sha256"]
    assert tflite_metadata.is_whole(whole) is True
    for place in [*range(300), *range(300, len(whole), 9973), len(whole) - 1]:
        changed = bytearray(whole)
        changed[place] ^= 16
        with contextlib.suppress(ValueError):
            assert tflite_metadata.is_whole(bytes(changed)) is not True, place
    assert tflite_metadata.is_whole(tflite_metadata.embed(content, TEXT)) is None


def test_of_a_file_of_before_the_seal_only_the_payload_is_known(content: bytes) -> None:
    facts = tflite_metadata.payload_facts(content)
    del facts["whole_sha256"]
    whole = tflite_metadata.embed(content, json.dumps({"file": facts}))
    assert tflite_metadata.is_whole(whole) is None
    assert tflite_metadata.is_whole(whole[:-100] + b"1" + whole[-99:]) is False


@pytest.mark.parametrize("other", [b"", b"TFL3", b"a text that is no model"])
def test_another_file_is_refused_by_name(other: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.tflite").write_bytes(other)
    with pytest.raises(ValueError, match=r"a\.tflite: this is not a TFLite file"):
        tflite_metadata.read(tmp_path / "a.tflite")


@pytest.mark.parametrize("length", [12, 40, 200])
def test_a_file_cut_short_is_called_damaged(content: bytes, length: int) -> None:
    with pytest.raises(ValueError, match="damaged"):
        tflite_metadata.read_from(tflite_metadata.embed(content, TEXT * 9)[:length])


def test_wrong_offsets_are_refused_in_a_sentence(content: bytes) -> None:
    whole, rng = tflite_metadata.embed(content, TEXT), random.Random(0)
    for _ in range(300):
        changed = bytearray(whole)
        for place in rng.sample(range(0, 1000, 4), 2):
            changed[place : place + 4] = rng.choice([b"\xff\xff\xff\x7f", rng.randbytes(4)])
        for read in (
            tflite_metadata.is_whole,
            lambda damaged: tflite_metadata.embed(damaged, TEXT, "other"),
        ):
            with contextlib.suppress(ValueError):
                read(bytes(changed))


def test_what_cannot_be_read_or_embedded_is_named(content: bytes) -> None:
    whole = tflite_metadata.embed(content, TEXT)
    with pytest.raises(ValueError, match=r"already has metadata lstd\.json"):
        tflite_metadata.embed(whole, TEXT)
    with pytest.raises(ValueError, match=r"lstd\.json inside of it are not UTF-8"):
        tflite_metadata.read_from(whole.replace("ß".encode(), b"\xff\xfe"))


def test_weights_behind_the_end_are_refused(content: bytes) -> None:
    """As in files over 2 GB, whose buffers say where in the file they are."""
    table = schema.Model.GetRootAs(content, 0).Buffers(0)._tab.Pos
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
