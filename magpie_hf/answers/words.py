r"""Answers in words: "yes", "converges", "Monday". Not here: anything with a value."""

from __future__ import annotations

import re

EQUAL, DIFFERENT, UNKNOWN = "equal", "different", "unknown"

# A family is a list of groups: words of one group say the same, words of two groups of one family exclude each other.
_FAMILIES = (
    ("yes true correct", "no false incorrect"),
    ("converges convergent converge", "diverges divergent diverge"),
    ("even", "odd"),
    ("rational", "irrational"),
    ("prime", "composite"),
    ("increasing", "decreasing"),
    ("continuous", "discontinuous"),
    ("dependent", "independent"),
    ("positive", "negative", "zero"),
    ("injective one-to-one", "not_injective"),
    ("always", "sometimes", "never"),
    ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
    ("no_solution no_solutions",),
    ("does_not_exist dne",),
    ("left", "right"),
    ("acute", "right", "obtuse"),
    ("maximum", "minimum"),
    ("clockwise", "counterclockwise anticlockwise"),
)
_GROUPS = [[frozenset(group.replace("_", "-").split()) for group in family] for family in _FAMILIES]
_LISTED = frozenset(word for family in _GROUPS for group in family for whole in group for word in whole.split("-")) | {"not"}
# Names of functions, and what joins symbols: "max a" and "a and b" are no words.
_SYMBOLIC = frozenset("and mod det dim ker gcd lcm max min arg deg sin cos tan log exp sqrt rank span diag trace".split())
_FILLER = re.compile(
    r"^(?:it|this|that|the (?:statement|series|integral|sequence|function|answer)|they) (?:is|are)?\s*|^(?:is|are|a|an|the) ", re.IGNORECASE
)


def words(text: str) -> str | None:
    """The answer as plain words; None where it is no answer in words: f g, abc, A'B and n m! are products."""
    bare = re.sub(r"\\text\{([^{}]*)\}", r" \1 ", text)
    bare = " ".join(re.sub(r"[.\"]|[,!]$", " ", bare).split())
    if not re.fullmatch(r"[A-Za-z][A-Za-z -]*", bare) or len(bare) < 2 or len(bare) > 80 or re.search(r"[A-Za-z]!", text):
        return None
    parts = bare.split()
    is_text = r"\text{" in text and any(len(part) > 1 for part in parts)
    if not (is_text or any(map(_is_word, parts))):
        return None
    return " ".join(map(_lowered, _FILLER.sub("", bare).split())) or None


def _is_word(part: str) -> bool:
    """Whether letters without \\text are a word: listed, or four letters or more with a vowel."""
    lower = part.lower()
    return (lower in _LISTED and len(part) > 1) or (len(part) > 3 and lower not in _SYMBOLIC and re.search("[aeiouy]", lower) is not None)


def _lowered(part: str) -> str:
    """In lower case; but N and n, ABCD and abcd are two things."""
    return part.lower() if part.lower() in _LISTED or (len(part) > 1 and (part.istitle() or part.islower())) else part


def choice(text: str) -> str | None:
    """The letter of a multiple-choice answer: A, (B), \\text{C}, D)."""
    found = re.fullmatch(r"(?:\\text\{)?\s*\(?([A-H])[).]*\s*\}?\)?", text)
    return found[1] if found else None


def compare_words(one: str, other: str) -> str | None:
    """EQUAL or DIFFERENT where both answers are words or choices that say so; None where words cannot decide."""
    letters = choice(one), choice(other)
    if letters[0] and letters[1]:
        return EQUAL if letters[0] == letters[1] else DIFFERENT
    first, second = words(one), words(other)
    if first is None or second is None:
        return None
    if first == second:
        return EQUAL
    first, second = first.replace(" ", "-"), second.replace(" ", "-")
    verdict = None
    for family in _GROUPS:
        places = [[place for place, group in enumerate(family) if word in group] for word in (first, second)]
        if places[0] and places[1]:
            verdict = EQUAL if places[0] == places[1] else DIFFERENT
    return verdict


def is_wordy(text: str) -> bool:
    """Whether the answer is words, so that no symbol is to be read into its letters."""
    return words(text) is not None
