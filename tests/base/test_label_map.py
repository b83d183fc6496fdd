"""Label maps: the original's text proto, and plain lists."""

from pathlib import Path
from typing import Any

import pytest

from lstd.base import label_map


def load(folder: Path, text: str) -> tuple[str, ...]:
    path = folder / "labels.pbtxt"
    path.write_text(text, encoding="utf-8")
    return label_map.load(path)


def test_ids_give_the_order_and_are_shifted_to_zero(tmp_path: Path) -> None:
    text = """
        # three classes
        item { id: 3 name: 'cat' }
        item: { name: "car", id: 1, }
        item {
          id: 2
          name: 'dog'
        }
    """
    assert load(tmp_path, text) == ("car", "dog", "cat")


def test_display_name_is_preferred_and_other_known_fields_are_passed_over(tmp_path: Path) -> None:
    text = """
        item { id: 1 name: '/m/01' display_name: 'ant'
               keypoints { id: 1 label: 'head' } ancestor_ids: 2 frequency: RARE instance_count: 4 }
        item { id: 2 name: 'bee' }
    """
    assert load(tmp_path, text) == ("ant", "bee")


@pytest.mark.parametrize(
    "text", ["ant\nbee\n", "ant\r\nbee", "  ant \n bee\n\n\n", "\ufeffant\nbee"]
)
def test_plain_list_has_one_name_a_line(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, text) == ("ant", "bee")
    assert load(tmp_path, "traffic light\nitem\nid: 3\n") == ("traffic light", "item", "id: 3")


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("\n\n", ["is empty"]),
        ("ant\n\nbee\n", ["line 2 is empty"]),
        ("item {id: 1 name: 'a'} item {id: 5 name: 'e'} item {id: 3 name: 'c'}", ["ids: 2, 4."]),
        ("item {id: 1000000000 name: 'a'}", ["missing ids: 1, 2, 3", "20 and more"]),  # at once
        (
            "item {id: 1 name: 'a'} item {id: 2 name: 'b'} item {id: 2 name: 'c'}",
            ["doubled ids: 2."],
        ),
        (
            "item {id: 1 name: 'a'}\nitem {id: 0 name: 'background'}\nitem {id: -3 name: 'b'}",
            [
                "id 0 of item 2 ('background') is below 1",
                "id -3 of item 3 ('b') is below 1",
                "background has none",
            ],
        ),
        ("item {name: 'a'}\nitem {id: 1}", ["item 1 has no id", "item 2 has no name"]),
        ("ant\nbee\nant\n", ["two classes: ant"]),
        ("item {id: 1 name: 'ant'} item {id: 2 name: 'ant'}", ["two classes: ant"]),
        (
            "item {\n id: 1 nmae: 'a'}",
            ["line 2: unknown field 'nmae' in Item; did you mean 'name'?"],
        ),
        ("item {id: 'one' name: 'a'}", ["line 1: couldn't parse integer: 'one' in"]),
        ("item {id: 1 name: 'a'", ['line 1: expected "}"']),
        ("a\x0cb\nc\n", [r"the class name 'a\x0cb' holds a control character"]),
    ],
)
def test_what_is_no_label_map_is_refused_with_all_its_problems(
    tmp_path: Path, text: str, problems: list[str]
) -> None:
    with pytest.raises(ValueError, match=r"labels\.pbtxt") as caught:
        load(tmp_path, text)
    for problem in problems:
        assert problem in str(caught.value)


def test_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.txt: cannot read the label map"):
        label_map.load(tmp_path / "nowhere.txt")
    path = tmp_path / "labels.bin"
    path.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ValueError, match="not a text file"):
        label_map.load(path)


def test_a_name_that_would_break_a_line_or_control_a_terminal_is_refused() -> None:
    for letter in ("\n", "\x0b", "\x1b", "\x85", "\u2028", "\ud800"):
        with pytest.raises(
            ValueError, match=r"here: the class name 'a\\[nxu]\w*b' holds a control"
        ):
            label_map.checked(["ant", f"a{letter}b"], where="here")
    names = ("ö 🐜", "a\u200cb", "no", "c#", "it's")
    assert label_map.checked(names, where="here") == names


def test_more_classes_than_anybody_has_are_refused() -> None:
    with pytest.raises(ValueError, match="here: 25001 classes, expected at most 25000"):
        label_map.checked(["a"] * 25_001, where="here")


@pytest.mark.parametrize("name", [False, None, 1.5, " "])
def test_what_is_no_text_is_no_name(name: Any) -> None:
    with pytest.raises(ValueError, match="here: class 2 "):
        label_map.checked([7, name], where="here")
    assert label_map.checked([7], where="here") == ("7",)


def test_a_class_without_a_name_is_called_by_its_number() -> None:
    names = [label_map.name_of(["a", "b"], index) for index in (1, 2, -1)]
    assert names == ["b", "class 2", "class -1"]
    assert label_map.or_numbers((), num_classes=2) == ("class 0", "class 1")
    assert label_map.or_numbers(["a", "b"], num_classes=2) == ("a", "b")
    with pytest.raises(ValueError, match="labels: 1 names given, the model has 2 classes"):
        label_map.or_numbers(["a"], num_classes=2)
