from __future__ import annotations

from pathlib import Path

import pytest

from lstd.runtime.json_lines import json_lines


def test_lines_are_json_and_keep_their_letters(tmp_path: Path) -> None:
    with json_lines(tmp_path / "a.jsonl") as write:
        write({"label": "Käfer", "boxes": []})
        write({"frame": 1})
        assert not (tmp_path / "a.jsonl").exists()
    text = (tmp_path / "a.jsonl").read_text(encoding="utf-8")
    assert text == '{"label": "Käfer", "boxes": []}\n{"frame": 1}\n'


def _fail(path: Path) -> None:
    with json_lines(path) as write:
        write({"frame": 0})
        write({"score": float("nan")})


def test_an_error_leaves_the_older_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("older")
    with pytest.raises(ValueError, match="JSON"):
        _fail(path)
    assert [item.name for item in tmp_path.iterdir()] == ["a.jsonl"]
    assert path.read_text() == "older"
