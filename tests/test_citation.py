"""CITATION.cff says the version of the code, and the papers of the README."""

from __future__ import annotations

from pathlib import Path

import yaml

import lstd

ROOT = Path(__file__).resolve().parent.parent


def test_citation_names_this_version_and_both_papers() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())

    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == lstd.__version__
    assert {"message", "title", "authors", "license"} <= set(citation)
    assert [paper["year"] for paper in citation["references"]] == [2018, 2019]
