"""README.md, and the code of the pages that it leads to, can be followed word for word."""

import dataclasses
import importlib
import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstd
from tests import tiny
from tests.runtime import fake_exports

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = ("README.md", "docs/data.md")


def _blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def _commands(page: str) -> list[list[str]]:
    """Returns the words of every lstd command of a page."""
    lines = "\n".join(_blocks(page, "bash")).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.startswith("lstd-")]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    found = re.findall(r"\]\(([^)#\s]+)(?:#[\w-]+)?\)", text)
    links = [link for link in found if "://" not in link]
    missing = [link for link in links if not ((ROOT / page).parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_every_flag_that_is_shown_is_one_of_its_command(
    page: str, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = _commands(page)
    assert commands
    for program, *words in commands:
        module = importlib.import_module(f"lstd.cli.{program.removeprefix('lstd-')}")
        verb = words[:1] if program == "lstd-data" else []
        assert module.main([*verb, "--help"]) == 0
        known = set(re.findall(r"--(?:\[no\])?(\w+)", capsys.readouterr().out))
        used = {word[2:].partition("=")[0] for word in words if word.startswith("--")}
        assert used <= known, program


def test_no_command_has_a_placeholder_to_fill_in() -> None:
    pages = ["README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in DOCS)]
    found = {
        page: re.findall(r"<[A-Za-z][^<>\n]*>", "\n".join(_blocks(page, "bash"))) for page in pages
    }
    assert {page: places for page, places in found.items() if places} == {}


def test_address_of_the_repository_is_the_same_everywhere() -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    (address,) = re.findall(r'^Repository = "(https://[^"]+)"$', project, re.MULTILINE)
    where = {"mkdocs.yml": "repo_url: {}", "CITATION.cff": "repository-code: {}"}
    where |= {
        page: "git clone {} lstd && cd lstd" for page in ("README.md", "docs/installation.md")
    }

    lacking = [
        page
        for page, line in where.items()
        if line.format(address) not in (ROOT / page).read_text("utf-8").splitlines()
    ]

    assert lacking == []


def test_numbers_of_the_first_screen_have_their_command_and_stand_on_its_page() -> None:
    first_screen = README.partition("\n## ")[0]
    rows = re.findall(
        r"^- \*\*([\d.]+) .*?\((docs/\w+\.md)#.*?`python (benchmarks/\w+\.py)`$",
        first_screen,
        re.MULTILINE | re.DOTALL,
    )
    assert len(rows) == 3
    for number, page, script in rows:
        text = (ROOT / page).read_text("utf-8")
        assert number in text
        assert script in text
        assert (ROOT / script).exists()


def test_accuracies_stand_among_the_results() -> None:
    told = set(re.findall(r"\b0\.\d{3}\b", README))
    results = (ROOT / "docs" / "results.md").read_text("utf-8")
    assert len(told) > 3
    assert sorted(number for number in told if number not in results) == []


def test_models_are_all_configs() -> None:
    shown = re.findall(r"^\| \[`(\w+)`\]\(configs/\1\.yaml\)", README, re.MULTILINE)
    assert sorted(shown) == sorted(lstd.list_configs())


def test_frames_one_by_one_give_what_the_clip_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = _blocks("README.md", "python")
    config = dataclasses.replace(lstd.Config(), model=tiny.CONFIG)
    monkeypatch.setattr(lstd, "load_config", lambda name: config)

    made: dict[str, Any] = {}
    exec(compile(block, "README.md", "exec"), made)

    clip = made["model"](made["clip"], networks=["large", "small", "small", "small"])
    for ours, theirs in zip(made["output"].predictions, clip.predictions, strict=True):
        np.testing.assert_allclose(ours, theirs[:, 1], atol=1e-5)


def test_training_in_python_carries_the_memory_from_clip_to_clip(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (block,) = [text for text in _blocks("docs/training.md", "python") if ".fit(" in text]
    config = dataclasses.replace(lstd.Config(), model=tiny.CONFIG)
    monkeypatch.setattr(lstd, "load_config", lambda name: config)
    monkeypatch.setattr(lstd, "make_dataset", lambda *_, **__: "videos")
    fitted = []
    monkeypatch.setattr(lstd.LSTMSSD, "fit", lambda self, *_, **__: fitted.append(self))

    exec(compile(block, "docs/training.md", "exec"), {})

    assert config.data.train.clips == "carried"
    assert fitted[0].carried_batch_size == config.data.train.batch_size
    assert fitted[0].loss is not None


def test_the_loop_of_an_app_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ai_edge_litert")
    image = pytest.importorskip("PIL.Image")
    (block,) = [text for text in _blocks("docs/apps.md", "python") if "Interpreter(" in text]
    lite, _ = fake_exports.write(tmp_path / "exported")
    facts = {
        "labels": list(fake_exports.LABELS),
        "input": {"height": fake_exports.HEIGHT, "width": fake_exports.WIDTH},
        "state": {"shape": list(fake_exports.STATE_SHAPE)},
    }
    lite.with_suffix(".json").write_text(json.dumps(facts))
    (tmp_path / "frames").mkdir()
    for number in range(12):
        frame = image.fromarray(np.full((9, 7, 3), 51, np.uint8))
        frame.save(tmp_path / "frames" / f"{number:02}.jpg")
    monkeypatch.chdir(tmp_path)

    made: dict[str, Any] = {}
    exec(compile(block, "docs/apps.md", "exec"), made)

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [f"{number:02}.jpg" for number in range(12)]
    # the fake network adds level / 255 to c in large frames, which are two: 0 and 10
    np.testing.assert_allclose(made["c"], 2 * 51 / 255, atol=0.02)  # JPEG, of one level
