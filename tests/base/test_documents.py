import json

import pytest

from lstd.base import documents

_ALIASES = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n"
    for old, new in zip("abcdef", "bcdefg", strict=True)
)
_MERGES = "a: &a {x: 1, y: 2}\n" + "".join(
    f"{new}: &{new} {{<<: [{', '.join([f'*{old}'] * 10)}]}}\n"
    for old, new in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('steps: !!int ""', "line 1: not valid YAML: '' is no int"),
        ("steps: !!bool x", "line 1: not valid YAML: 'x' is no bool"),
        ("steps: !!timestamp x", "line 1: not valid YAML: 'x' is no timestamp"),
        ("a: [1,\n !!float x]", "line 2: not valid YAML: 'x' is no float"),
        ("a: 2001-99-99", "'2001-99-99' is no timestamp"),
        ("steps: !!python/object:os.system x", "line 1: not valid YAML: could not determine"),
        ("[" * 2000, "nested too deeply"),
        ("[" * 200 + "]" * 200, "nested too deeply"),
        ("a: &a [*a]", "more than 1,000,000 values"),
        (_ALIASES, "more than 1,000,000 values"),
        (_MERGES, "more than 1,000,000 values"),
        ("a: 1\n--- \nb: 2", "line 2: not valid YAML"),
    ],
)
def test_yaml_that_cannot_be_is_a_sentence(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=r"^a\.yaml.*not valid YAML") as caught:
        documents.from_yaml(text, source="a.yaml")
    assert told in str(caught.value)


def test_yaml_with_aliases_says_the_same_as_without() -> None:
    text = "a: &a {x: [1, no]}\nb: *a\nc: {<<: *a, y: 2}"
    both = {"x": [1, False]}
    assert documents.from_yaml(text, source="") == {"a": both, "b": both, "c": {**both, "y": 2}}
    assert documents.from_yaml("", source="") is None


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "{", b"\xff", "1" * 5000])
def test_json_that_cannot_be_is_a_sentence(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"^a\.json: not valid JSON") as caught:
        documents.from_json(text, source="a.json")
    assert not isinstance(caught.value, json.JSONDecodeError)


@pytest.mark.parametrize("encoding", ["hex", "nobody", "utf-16", "utf-7"])
def test_xml_of_an_unknown_encoding_is_a_sentence(encoding: str, tmp_path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(f'<?xml version="1.0" encoding="{encoding}"?><a/>')
    with pytest.raises(ValueError, match=r"a\.xml: not an XML file"):
        documents.read_xml(path)


@pytest.mark.parametrize("text", ["a,b\n1,2\n1,2,3\n", f"a\n{'9' * 200_000}\n"])
def test_what_is_no_table_is_a_sentence(text: str, tmp_path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,\n")
    assert documents.read_table(path) == [{"a": "1", "b": ""}]
    path.write_text(text)
    with pytest.raises(ValueError, match=r"a\.csv: not a CSV file: "):
        documents.read_table(path)


def test_text_is_utf_8(tmp_path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffé".encode())
    assert documents.read_text(path) == "é"
    path.write_bytes(b"a\xff")
    with pytest.raises(ValueError, match=r"a\.txt: not a text file in UTF-8: byte 1"):
        documents.read_text(path)
