"""The documents as texts: pages, sections, blocks of code, links and anchors.

Not here: what must be true of them.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from conftest import ROOT

DOCS = ROOT / "docs"
README, JAPANESE = ROOT / "README.md", ROOT / "README.ja.md"
GENERATED = DOCS / "reference.md"
PAGES = sorted(DOCS.rglob("*.md"))
WRITTEN = [README, JAPANESE, ROOT / "CONTRIBUTING.md", *(page for page in PAGES if page != GENERATED)]
TEXTS = {page: page.read_text(encoding="utf-8") for page in [*WRITTEN, GENERATED]}
TEXT = {str(page.relative_to(ROOT)): text for page, text in TEXTS.items()}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, kind: str) -> list[str]:
    """The blocks of code of one kind, with each command on one line."""
    return [
        re.sub(r"\\\n\s*", "", text) if kind == "sh" else text
        for found, text in FENCE.findall(TEXTS[page])
        if found == kind
    ]


def commands(page: Path) -> list[tuple[str, str]]:
    """What follows `magpie-hf` in the page's shell blocks, each with its comment."""
    lines = "".join(blocks(page, "sh"))
    return re.findall(
        r"^(?:CUDA_VISIBLE_DEVICES=\S+ )?\s*magpie-hf ([a-z].*?)(?:  +# (.*))?$", lines, flags=re.MULTILINE
    )


def prose(text: str) -> str:
    """The text without its blocks of code."""
    return FENCE.sub("", text)


def sections(text: str) -> dict[str, str]:
    """The parts under headings of the second level, by heading; what comes before them under ""."""
    first, *others = re.split(r"^## ", text, flags=re.MULTILINE)
    return {"": first, **{part.partition("\n")[0]: part for part in others}}


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found: list[str] = []
    for heading in re.findall(r"^#+ (.*)$", prose(text), flags=re.MULTILINE):
        words = (
            re.sub(r"[^\w\- ]", "", unicodedata.normalize("NFC", heading)).strip().lower().replace(" ", "-")
        )
        found.append(f"{words}-{found.count(words)}" if words in found else words)
    return set(found)


def links(text: str) -> list[tuple[str, str]]:
    """Where the links and pictures of a page lead within the repository, each as a path ("" for the page
    itself) and an anchor.
    """
    whole = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose(text)))
    inner = [target.partition("#") for target in whole if not re.match(r"\w+:", target)]
    return [(path, anchor) for path, _, anchor in inner]


def bare(code: str) -> str:
    """Code without its comments, and without the space before them."""
    return re.sub(r" *#.*", "", code)
