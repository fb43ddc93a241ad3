"""Answers in words: "yes", "converges", "Monday", "twelve", in English and Japanese.

Not here: values; units.
"""

from __future__ import annotations

import re

EQUAL, DIFFERENT, UNKNOWN = "equal", "different", "unknown"

# A family is a list of groups. Words of one group are equal; words of two groups of one family exclude each
# other.
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
    ("no_solution no_solutions no_real_solution no_real_solutions no_real_roots no_real_root",),
    ("does_not_exist dne",),
    ("infinitely_many infinitely_many_solutions",),
    ("left", "right"),
    ("acute", "right", "obtuse"),
    ("maximum", "minimum"),
    ("clockwise", "counterclockwise anticlockwise"),
)
_GROUPS = [[frozenset(group.replace("_", "-").split()) for group in family] for family in _FAMILIES]
_LISTED = frozenset(
    word for family in _GROUPS for group in family for whole in group for word in whole.split("-")
) | {"not"}
# Names of functions, and words between symbols: "max a" and "a and b" are not answers in words.
_JAPANESE = {
    "はい": "yes",
    "正しい": "true",
    "真": "true",
    "いいえ": "no",
    "正しくない": "false",
    "誤り": "false",
    "偽": "false",
    "解なし": "no solution",
    "実数解なし": "no real solution",
    "収束": "converges",
    "収束する": "converges",
    "発散": "diverges",
    "発散する": "diverges",
    "存在しない": "does not exist",
    "偶数": "even",
    "奇数": "odd",
}
ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    " seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_PARTS = {
    "half": "1/2",
    "one half": "1/2",
    "one third": "1/3",
    "two thirds": "2/3",
    "one quarter": "1/4",
    "one fourth": "1/4",
    "three quarters": "3/4",
    "three fourths": "3/4",
}
_SYMBOLIC = frozenset(
    "and mod det dim ker gcd lcm max min arg deg sin cos tan log exp sqrt rank span diag trace".split()
)
_FILLER = re.compile(
    r"^(?:it|this|that|the (?:statement|series|integral|sequence|function|answer)|they|there)"
    r" (?:is|are|exists?)?\s*|^(?:is|are|a|an|the) ",
    re.IGNORECASE,
)


def words(text: str) -> str | None:
    """The answer as plain words; None for symbols: f g, abc, A'B and n m! are products."""
    if japanese := _JAPANESE.get(re.sub(r"です|である|\\text|[{}。]", "", text).strip()):
        return japanese
    bare = re.sub(r"\\text\{([^{}]*)\}", r" \1 ", text)
    bare = re.sub(r"(?i)^ *(yes|no)[,;:.] ?[a-z][a-z' -]*\.? *$", r"\1", bare)  # yes, it converges
    bare = " ".join(re.sub(r"[.\"]|[,!]$", " ", bare).split())
    if (
        not re.fullmatch(r"[A-Za-z][A-Za-z -]*", bare)
        or len(bare) < 2
        or len(bare) > 80
        or re.search(r"[A-Za-z]!", text)
    ):
        return None
    parts = bare.split()
    is_text = r"\text{" in text and any(len(part) > 1 for part in parts)
    if not (is_text or any(map(_is_word, parts))):
        return None
    return " ".join(map(_lowered, _FILLER.sub("", bare).split())) or None


def _is_word(part: str) -> bool:
    r"""Whether letters without \text are a word: listed, or at least four letters with a vowel."""
    lower = part.lower()
    return (lower in _LISTED and len(part) > 1) or (
        len(part) > 3 and lower not in _SYMBOLIC and re.search("[aeiouy]", lower) is not None
    )


def _lowered(part: str) -> str:
    """The part in lower case, except where N and n, or ABCD and abcd, are two things."""
    return (
        part.lower()
        if part.lower() in _LISTED or (len(part) > 1 and (part.istitle() or part.islower()))
        else part
    )


def choice(text: str) -> str | None:
    r"""The letter of a multiple-choice answer: A, (B), \text{C}, D)."""
    found = re.fullmatch(
        r"(?:\\text\{)?\s*(?:(?:[Oo]ption|[Cc]hoice)\s*)?(?:\\text\{|\})?\s*\(?([A-H])[).]*\s*\}?\)?", text
    )
    # \text{(C)} 42
    found = found or re.match(
        r"\\text\{ ?\(?([A-H])\) ?\}(?= ?[\w\\-])|\(([A-H])\) ?(?=\d|\\[a-z$])|([A-H])[.)] ?(?=\d)", text
    )
    return next(filter(None, found.groups())) if found else None


def number_of(text: str) -> str | None:
    """The number below a million that words say: 12 of "twelve", 105 of "one hundred and five"."""
    said = words(text) or ""
    if said in _PARTS:
        return _PARTS[said]
    above, thousand, rest = said.replace("-", " ").rpartition(" thousand")
    parts = [_below_a_thousand(part.strip()) for part in (above, rest) if part.strip()]
    if None in parts or not parts:
        return None
    whole = [part for part in parts if part is not None]
    return str(whole[0] * 1000 + sum(whole[1:]) if thousand else whole[0])


def _below_a_thousand(said: str) -> int | None:
    above, hundred, rest = said.rpartition(" hundred")
    rest = rest.strip().removeprefix("and ")
    if hundred:
        number = _below_a_thousand(rest) if rest else 0
        return None if above not in ONES[1:10] or number is None else 100 * ONES.index(above) + number
    if rest in ONES:
        return ONES.index(rest)
    tens, _, ones = rest.partition(" ")
    if tens not in _TENS or (ones and ones not in ONES[1:10]):
        return None
    return 20 + 10 * _TENS.index(tens) + (ONES.index(ones) if ones else 0)


def compare_words(one: str, other: str) -> str | None:
    """EQUAL or DIFFERENT for two answers in words, or two choices; None where words cannot decide."""
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
    """Whether the answer is words, so that its letters are no symbols."""
    return words(text) is not None
