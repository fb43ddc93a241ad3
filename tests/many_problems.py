"""A benchmark of 300 problems of our own, in many forms, and each of them changed in eight ways.

Not here: finding them again (test_decontamination.py, test_near_duplicates.py).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

# A form a line. #1 is a number. [a|b]: b in place of a makes another problem with the same numbers.
FORMS = (Path(__file__).parent / "tables" / "forms.txt").read_text("utf-8").splitlines()

_FORMULA = re.compile(r"\$[^$]*\$")
_CHOICE = re.compile(r"\[([^\[\]|]*)\|([^\[\]|]*)\]")
_LETTER = re.compile(r"(\\(?:begin|end|mathbb)\{\w+\}|\\[A-Za-z]+)|([A-Za-z])")


def problems(each: int = 5, seed: int = 19) -> list[tuple[str, str]]:
    """(problem, another problem with the same numbers), `each` of every form."""
    dice = random.Random(seed)
    made = []
    for form in FORMS:
        for numbers in (dice.sample(range(3, 98), 3) for _ in range(each)):
            text = re.sub(r"#(\d)", lambda match, given=numbers: str(given[int(match[1]) - 1]), form)
            made.append((_CHOICE.sub(r"\1", text), _CHOICE.sub(r"\2", text)))
    return made


def _renamed(text: str, names: dict[str, str]) -> str:
    def formula(match: re.Match[str]) -> str:
        return _LETTER.sub(lambda one: one[1] or names.get(one[2], one[2]), match[0])

    return _FORMULA.sub(formula, text)


def _turned(letters: str) -> dict[str, str]:
    return dict(zip(letters, letters[3:] + letters[:3], strict=True))


SMALL, CAPITAL = _turned("abcfghkmnpqrstuvwxyz"), _turned("ABCDEFGHKLMNOPQRSTUVWXYZ")


def letters(text: str) -> str:
    return _renamed(text, SMALL)


def capitals(text: str) -> str:
    return _renamed(text, CAPITAL)


def both(text: str) -> str:
    return _renamed(text, SMALL | CAPITAL)


def typesetting(text: str) -> str:
    text = re.sub(r"\\frac\{(\w+)\}\{(\w+)\}", r"{\1 \\over \2}", text)
    text = text.replace(r"\frac", r"\dfrac").replace(r"\le ", r"\leq ").replace(r"\dots", r"\ldots")
    text = text.replace("''", r"^{\prime\prime}").replace("pmatrix", "bmatrix")
    text = re.sub(r"(?<=\d)(?=[a-z]\b)", r"\\cdot ", text)
    text = re.sub(r"\^(\d)(?!\d)", r"^{\1}", text)
    return re.sub(r"\$([^$]*)\$", r"\\( \1 \\)", text).replace("=", " = ")


# Words that may stand for others, and polite forms of sentences' ends
WORDS = [("Find", "Determine"), ("Let", "Suppose that"), ("How many", "Find how many"), ("Show", "Prove")]
WORDS += [("求めよ", "計算せよ"), ("What is", "Find"), ("Compute", "Evaluate"), ("となる", "である")]
POLITE = [("求めよ", "求めてください"), ("示せ", "示してください"), ("計算せよ", "計算しなさい")]
POLITE += [
    ("とする。", "とします。"),
    ("あるか", "ありますか"),
    ("いる。", "います。"),
    ("なるか", "なりますか"),
]
POLITE += [("買った", "買いました")]


def word(text: str) -> str:
    """One word in another form, which does not change the problem."""
    for old, new in WORDS:
        if old in text:
            return text.replace(old, new, 1)
    return f"Now, {text[0].lower()}{text[1:]}" if text[0].isascii() else f"さて、{text}"


def number(text: str) -> str:
    return re.sub(r"(?<![\d_^{])\d\d?", lambda match: str(int(match[0]) + 1), text, count=1)


def politeness(text: str) -> str:
    if text.isascii():
        asks = text.startswith(("Find", "Show", "Compute"))
        return f"Please {text[0].lower()}{text[1:]}" if asks else text
    for old, new in POLITE:
        text = text.replace(old, new)
    return text


def order(text: str) -> str:
    """The first two sentences in the other order, where neither asks."""
    sentences = [sentence for sentence in re.split(r"(?<=[.。]) ?", text) if sentence]
    if len(sentences) > 2:
        sentences[:2] = sentences[1::-1]
    return ("" if "。" in text else " ").join(sentences).strip()


CHANGES: dict[str, Callable[[str], str]] = {
    "letters": letters, "capitals": capitals, "both": both, "typesetting": typesetting, "word": word,
    "number": number, "politeness": politeness, "order": order,
}  # fmt: skip
