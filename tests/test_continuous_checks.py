"""CI, `.ci/run`, the pages and the citation say what the Makefile and the code have."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import lstd

ROOT = Path(__file__).resolve().parent.parent


def words_of_make() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def commands_of(job: dict[str, Any]) -> list[str]:
    """Returns what a job of the workflow runs, once for each word of its matrix."""
    runs = [step["run"] for step in job["steps"] if "run" in step]
    matrix = job.get("strategy", {}).get("matrix", {}).get("include", [{}])
    return [
        re.sub(r"\$\{\{ matrix\.(\S+) \}\}", lambda found, row=row: row[found[1]], run)
        for run in runs
        for row in matrix
    ]


@pytest.fixture(scope="module")
def jobs() -> dict[str, Any]:
    return yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]


def test_citation_names_this_version_and_both_papers() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["cff-version"], citation["version"]) == ("1.2.0", lstd.__version__)
    assert {"message", "title", "authors", "license"} <= set(citation)
    assert [paper["year"] for paper in citation["references"]] == [2018, 2019]


def test_every_change_runs_ci_run(jobs: dict[str, Any]) -> None:
    assert commands_of(jobs["change"]) == [".ci/run"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_ci_run_says_words_of_make() -> None:
    (words,) = re.findall(r"^for word in (.*); do$", (ROOT / ".ci/run").read_text(), re.MULTILINE)

    assert {"lint", "types", "test"} <= set(words.split()) <= words_of_make()


def test_long_checks_are_words_of_make(jobs: dict[str, Any]) -> None:
    commands = commands_of(jobs["long"])

    assert commands == ["make coverage", "make test-oldest", "make test-all"]
    assert {command.removeprefix("make ") for command in commands} <= words_of_make()


def test_every_word_of_make_is_phony() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert set(phony.split()) == words_of_make()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/development.md"])
def test_page_says_words_of_make(page: str) -> None:
    said = set(re.findall(r"(?:^|`)make ([a-z-]+)", (ROOT / page).read_text(), re.MULTILINE))

    assert len(said) > 1
    assert said <= words_of_make()


def test_oldest_python_is_that_of_the_package() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    (oldest,) = re.findall(r'^requires-python = ">=([\d.]+),', project, re.MULTILINE)

    assert f"\nOLDEST_PYTHON ?= python{oldest}\n" in (ROOT / "Makefile").read_text()


def test_tests_that_make_names_exist() -> None:
    text = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    for folder, names in re.findall(r"\$\(addprefix (\w+)/,(.*?)\)", text):
        missing = [name for name in names.split() if not (ROOT / folder / name).exists()]
        assert not missing, f"{folder}/: {missing}"


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_a_benchmark_that_fails_does_not_stop_the_others_and_is_named(tmp_path: Path) -> None:
    for folder in ("benchmarks", ".venv/bin"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / ".venv" / ".installed").touch()
    for name, line in (("a", "raise SystemExit(2)"), ("b", "print('b ran')")):
        text = f"if __name__ == '__main__':\n    {line}\n"
        (tmp_path / "benchmarks" / f"{name}.py").write_text(text)
    (tmp_path / "benchmarks" / "module.py").write_text("print('a module ran')\n")

    done = subprocess.run(
        ["make", "bench"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode != 0
    assert "b ran" in done.stdout
    assert "module" not in done.stdout
    assert "these did not end well: benchmarks/a.py" in done.stderr
