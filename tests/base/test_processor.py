"""What the machine's processor is called, as Linux says it."""

from pathlib import Path

import pytest

from lstd.base import processor


def test_first_processor_is_told_by_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "model name\t: Fast: 3\nflags\t\t: avx fma\n\nmodel name\t: other\n"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: text)

    assert processor.facts() == {"model name": "Fast: 3", "flags": "avx fma"}
    assert processor.name() == "Fast: 3"


def test_other_systems_tell_no_facts_but_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)

    assert processor.facts() == {}
    assert processor.name() != ""
