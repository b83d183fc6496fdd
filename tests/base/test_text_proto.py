"""The reader of protobuf's text format, alone and against protobuf's own writer."""

from __future__ import annotations

import pytest
from google.protobuf import descriptor_pb2, text_format, wrappers_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from lstd.base import text_proto


def plain(message: text_proto.Message) -> list[tuple[str, object]]:
    """The tree as (name, text or list) pairs, without lines."""
    return [
        (
            field.name,
            plain(field.value) if isinstance(field.value, text_proto.Message) else field.value.text,
        )
        for field in message.fields
    ]


def read(text: str) -> list[tuple[str, object]]:
    return plain(text_proto.parse(text))


def test_empty_text_and_comments_alone_hold_no_fields() -> None:
    assert read("") == []
    assert read("# nothing\n\n   # here") == []


@pytest.mark.parametrize(
    "text",
    ["a { b: 1 c: 2 }", "a: { b: 1, c: 2, }", "a < b: 1; c: 2; >", "a: <b: 1 c: 2>,", "a{b:1 c:2}"],
)
def test_all_ways_to_write_a_block_are_the_same(text: str) -> None:
    assert read(text) == [("a", [("b", "1"), ("c", "2")])]


def test_list_is_the_same_as_a_repeated_field() -> None:
    assert read("a: [1, 2] b: [] c: [{d: 3}, <d: 4>]") == read("a: 1 a: 2 c {d: 3} c {d: 4}")


def test_strings_take_both_quotes_and_adjacent_parts_are_one() -> None:
    assert read("""a: 'it is "x"' b: "one " 'two'\n"!" c: '#no comment'""") == [
        ("a", 'it is "x"'),
        ("b", "one two!"),
        ("c", "#no comment"),
    ]


def test_escapes_are_bytes_of_utf8() -> None:
    assert read(r"""a: "\n\t\\\'\"\x41\101\u00e9\303\251" """) == [("a", "\n\t\\'\"AA\u00e9\u00e9")]


def test_extension_keeps_its_full_name() -> None:
    (field,) = text_proto.parse("[package.of.field] { a: 1 }").fields
    assert field.name == "package.of.field"
    assert field.is_extension


def test_numbers_and_names_stay_as_written() -> None:
    text = "a: -1.5e-3f, b: .5; c: 1. d: 0x1F e: - inf f: RELU_6 g: true"
    written = ["-1.5e-3f", ".5", "1.", "0x1F", "-inf", "RELU_6", "true"]
    assert [value for _, value in read(text)] == written


def test_lines_are_those_of_the_text() -> None:
    tree = text_proto.parse("a {\n  # two\n\n  b: \n5 }\r\nc: 6")
    block, last = tree.fields
    assert (block.line, last.line) == (1, 6)
    assert isinstance(block.value, text_proto.Message)
    inner = block.value.fields[0]
    assert (inner.line, inner.value.line) == (4, 5)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a: 'x", 1, "a string that is not closed"),
        ("a: 1\nb: 'x\ny'", 2, "a string that is not closed"),
        ("\na {\n b: 1", 3, "expected '}' to close what line 2 opens, found the end of the text"),
        ("a: }", 1, "expected a value for 'a', found '}'"),
        ("a 3", 1, "expected ':' or '{' after 'a', found '3'"),
        ("a: [1 2]", 1, "expected ']', found '2'"),
        ("a: 1 }", 1, "expected a field's name, found '}'"),
        ("a < b: 1 }", 1, "expected a field's name, found '}'"),
        ("[a", 1, "expected ']', found the end of the text"),
        ("a: $x", 1, "unexpected '$x'"),
        ("a: 1.2.3", 1, "unexpected '1.2.3'"),
        ("a: 1b: 2", 1, "unexpected '1b:'"),
        (r"a: '\q'", 1, "an escape that is no text"),
        (r"a: '\xff'", 1, "an escape that is no text"),
        ("a: - 'x'", 1, "expected a value for 'a'"),
    ],
)
def test_broken_text_is_refused_with_its_line(text: str, line: int, problem: str) -> None:
    with pytest.raises(text_proto.TextProtoError) as caught:
        text_proto.parse(text, source="x.config")
    assert str(caught.value).startswith(f"x.config, line {line}: ")
    assert problem in str(caught.value)


@settings(max_examples=100, deadline=None)
@given(st.text(), st.booleans())
def test_reads_every_string_that_protobuf_writes(value: str, as_utf8: bool) -> None:
    message = wrappers_pb2.StringValue(value=value)
    text = text_format.MessageToString(message, as_utf8=as_utf8)
    assert read(text) == ([("value", value)] if value else [])


@pytest.mark.parametrize("options", [{}, {"as_one_line": True}, {"pointy_brackets": True}])
def test_reads_a_large_message_as_protobuf_wrote_it(options: dict[str, bool]) -> None:
    message = descriptor_pb2.FileDescriptorProto()
    descriptor_pb2.DESCRIPTOR.CopyToProto(message)
    found = text_proto.parse(text_format.MessageToString(message, **options))
    assert plain(found) == written(message)


def written(message: object) -> list[tuple[str, object]]:
    """What the text of a protobuf message holds, read from the message itself."""
    found: list[tuple[str, object]] = []
    for field, value in message.ListFields():  # type: ignore[attr-defined]
        for item in value if hasattr(value, "extend") else [value]:
            found.append((field.name, scalar_or_block(field, item)))
    return found


def scalar_or_block(field: object, item: object) -> object:
    if hasattr(item, "ListFields"):
        return written(item)
    enum = field.enum_type  # type: ignore[attr-defined]
    if enum is not None:
        return enum.values_by_number[item].name
    return str(item).lower() if isinstance(item, bool) else str(item)
