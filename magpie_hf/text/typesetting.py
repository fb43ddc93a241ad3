r"""One spelling of mathematics: Unicode signs as LaTeX commands, and one command for all of one meaning.

Not here: what only an answer or only a problem may mean by it: `\mid`, a comma in a number, a price.
"""

from __future__ import annotations

import re
import unicodedata

_GREEK = {
    chr(code): "\\" + unicodedata.name(chr(code)).split()[-1].lower().replace("lamda", "lambda") + " "
    for code in [*range(0x3B1, 0x3CA), *range(0x391, 0x3AA)]
    if code != 0x3A2
}
# A capital is another letter. LaTeX lacks some of these, but they still have to be letters here.
_GREEK |= {letter: name[0] + name[1:].capitalize() for letter, name in _GREEK.items() if letter.isupper()}
SIGNS: dict[str, str] = {
    **_GREEK,
    "−": "-",
    "–": "-",
    "×": r"\times ",
    "·": r"\cdot ",
    "⋅": r"\cdot ",
    "÷": "/",
    "⁄": "/",
    "∞": r"\infty ",
    "≤": r"\le ",
    "⩽": r"\le ",
    "≥": r"\ge ",
    "⩾": r"\ge ",
    "≠": r"\ne ",
    "≡": r"\equiv ",
    "≈": r"\approx ",
    "∪": r"\cup ",
    "∩": r"\cap ",
    "∈": r"\in ",
    "∉": r"\notin ",
    "⊂": r"\subset ",
    "⊆": r"\subseteq ",
    "°": r"^\circ ",
    "∅": r"\emptyset ",
    "±": r"\pm ",
    "√": r"\sqrt ",
    "∫": r"\int ",
    "∑": r"\sum ",
    "∏": r"\prod ",
    "→": r"\to ",
    "∂": r"\partial ",
    "∇": r"\nabla ",
    "∠": r"\angle ",
    "∀": r"\forall ",
    "∃": r"\exists ",
    "⇒": r"\implies ",
    "⇔": r"\iff ",
    "…": r"\ldots ",
    "ℝ": r"\mathbb{R}",
    "ℤ": r"\mathbb{Z}",
    "ℚ": r"\mathbb{Q}",
    "ℕ": r"\mathbb{N}",
    "ℂ": r"\mathbb{C}",
    "∣": "|",
    "′": "'",
    "″": "''",
    "⌊": r"\lfloor ",
    "⌋": r"\rfloor ",
    "⌈": r"\lceil ",
    "⌉": r"\rceil ",
    "⟨": r"\langle ",
    "⟩": r"\rangle ",
    "ϕ": r"\phi ",
    "ϵ": r"\epsilon ",
}
# Names of letters; a number that is written as a letter is none
GREEK_NAMES = frozenset(name.strip("\\ ").lower() for name in _GREEK.values()) - {"pi"}
_HIGH, _LOW = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "₀₁₂₃₄₅₆₇₈₉ₙ"
_RAISED, _LOWERED = str.maketrans(_HIGH, "0123456789+-n"), str.maketrans(_LOW, "0123456789n")
SPACE = r"(?<!\\)\\[!,;:> ]|~|\\q?quad(?![A-Za-z])"
_COMMANDS = (
    (
        r"\\(?:displaystyle|textstyle|scriptstyle|limits|nolimits|noindent|left ?\.|right ?\.|left|right"
        r"|middle|[bB]igg?[lrm]?)(?![A-Za-z])",
        "",
    ),
    (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
    (r"\\[dt]binom(?![A-Za-z])", r"\\binom"),
    (r"\\(frac|binom) ?(\d) ?(\d)", r"\\\1{\2}{\3}"),
    (r"\\(?:leq|leqslant|leqq)(?![A-Za-z])", r"\\le "),
    (r"\\(?:geq|geqslant|geqq)(?![A-Za-z])", r"\\ge "),
    (r"\\neq(?![A-Za-z])|\\not ?=", r"\\ne "),
    (r"\\lt(?![A-Za-z])", "<"),
    (r"\\gt(?![A-Za-z])", ">"),
    (r"\\lbrace(?![A-Za-z])", r"\\{"),
    (r"\\rbrace(?![A-Za-z])", r"\\}"),
    (r"\\[lr]?vert(?![A-Za-z])", "|"),
    (r"\\[lr]?Vert(?![A-Za-z])", r"\\|"),
    (r"\\varnothing(?![A-Za-z])", r"\\emptyset"),
    (r"\\(?:[hcld]dots|dots[cbmio]?)(?![A-Za-z])|\.\.\.+", r"\\ldots "),
    (r"\\colon(?![A-Za-z])", ":"),
    (r"\^ ?\{ ?\\prime ?\\prime ?\}", "''"),
    (r"\^ ?(?:\{ ?\\prime ?\}|\\prime(?![A-Za-z]))", "'"),
    (r"\^ ?\{ ?\\circ ?\}|\\degree(?![A-Za-z])", r"^\\circ "),
)
RULES = [(re.compile(pattern), new) for pattern, new in _COMMANDS]


def levelled(text: str) -> str:
    """The text with raised and lowered digits as powers and indices."""
    text = re.sub(f"[{_HIGH}]+", lambda m: f"^{{{m[0].translate(_RAISED)}}}", text)
    return re.sub(f"[{_LOW}]+", lambda m: f"_{{{m[0].translate(_LOWERED)}}}", text)
