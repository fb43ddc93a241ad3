"""The documents say what the code does: the reference is current, and the errors that are explained are those that are raised."""

from __future__ import annotations

import ast
import re
import sys
from functools import cache

import pytest

from conftest import ROOT

DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS))
TROUBLESHOOTING = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
FIELD = "\0"


def test_the_reference_is_what_the_code_says() -> None:
    import reference

    assert (DOCS / "reference.md").read_text(encoding="utf-8") == reference.reference(), "run: python docs/reference.py"


@cache
def texts() -> list[str]:
    """Every text in the package, with a mark in place of what is filled in."""
    found = []
    for file in (ROOT / "magpie_hf").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(str(part.value) if isinstance(part, ast.Constant) else FIELD for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(re.sub("%[sd]", FIELD, node.value))
    return found


ERRORS = re.findall(r"^### `(.+)`$", TROUBLESHOOTING, re.MULTILINE)


def test_enough_errors_are_explained_and_each_once() -> None:
    assert len(ERRORS) == len(set(ERRORS)) >= 25


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_that_is_explained_is_raised_so(error: str) -> None:
    words = [part for part in re.split("…", error) if part.strip(" ;:()")]
    pattern = re.compile(".*".join(map(re.escape, words)), re.DOTALL)
    assert any(pattern.search(text) for text in texts())


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *DOCS.glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_options_in_the_documents_exist() -> None:
    reference = (DOCS / "reference.md").read_text(encoding="utf-8")
    others = {"--gpus", "--head", "--served-model-name"}  # docker's, Ray's, vLLM's
    for page in ("guide.md", "troubleshooting.md"):
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", (DOCS / page).read_text(encoding="utf-8")):
            assert option in others or f"`{option}" in reference or f" {option}" in reference, f"{page}: {option}"
