from __future__ import annotations

from pathlib import Path

import pytest

from lstd.export import class_names


def test_names_come_from_a_list_or_from_the_lines_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_text("cat\nsea horse\n\n")
    assert class_names.read(str(file)) == ("cat", "sea horse")
    assert class_names.read("cat, sea horse") == ("cat", "sea horse")
    assert class_names.read("bicycle") == ("bicycle",)
    assert class_names.read("") == ()


def test_a_byte_order_mark_is_no_letter_and_a_label_map_has_any_name(tmp_path: Path) -> None:
    marked, mapped = tmp_path / "labels.txt", tmp_path / "label_map"
    marked.write_text("cat\ndog\n", encoding="utf-8-sig")
    mapped.write_text("item { id: 2 name: 'dog' }\nitem { id: 1 name: 'cat' }\n")
    assert class_names.read(str(marked)) == ("cat", "dog")
    assert class_names.read(str(mapped)) == ("cat", "dog")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("cat,,dog", "class 2 of 3 has an empty name"),
        ("cat,dog,cat", "cat stands in .* more than once"),
        ("no/labels.txt", "there is no file no/labels.txt"),
    ],
)
def test_names_that_cannot_be_are_refused(given: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        class_names.read(given)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="not a text file"):
        class_names.read(str(file))


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").touch()
    with pytest.raises(ValueError, match="is empty; expected at least one class"):
        class_names.read(str(tmp_path / "labels.txt"))


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is a folder, expected a file or names"):
        class_names.read(str(tmp_path))


def test_classes_without_names_are_numbered() -> None:
    assert class_names.checked((), num_classes=2) == ("class 0", "class 1")
    assert class_names.checked(("a", "b"), num_classes=2) == ("a", "b")
    with pytest.raises(ValueError, match="2 names given, the model has 3 classes"):
        class_names.checked(("a", "b"), num_classes=3)
