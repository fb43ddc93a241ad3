"""The normal form of a problem: tokens that do not depend on typesetting.

Not here: which words or symbols tell problems apart.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal, NamedTuple

Kind = Literal["word", "number", "letter", "sign", "stop"]


class Token(NamedTuple):
    """A word, number, letter (a variable), sign (operator, bracket, function) or stop (end of a clause).

    Letters keep their case, since A and a are two variables; all else is in lower case.
    """

    kind: Kind
    text: str


_SIGNS = {
    "−": "-",
    "–": "-",
    "—": ", ",
    "×": r"\cdot ",
    "·": r"\cdot ",
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
    "⋅": r"\cdot ",
    "…": r"\ldots ",
    "ℝ": r"\mathbb{R}",
    "ℤ": r"\mathbb{Z}",
    "ℚ": r"\mathbb{Q}",
    "ℕ": r"\mathbb{N}",
    "ℂ": r"\mathbb{C}",
    "∣": "|",
    "′": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "\u3002": ".",
    "\u3001": ",",
    "ϕ": r"\phi ",
    "ϵ": r"\epsilon ",
}
_GREEK = {
    chr(code): "\\" + unicodedata.name(chr(code)).split()[-1].lower().replace("lamda", "lambda") + " "
    for code in [*range(0x3B1, 0x3CA), *range(0x391, 0x3AA)]
    if code != 0x3A2
}
# A capital is another letter. LaTeX lacks some of these, but they still have to be letters here.
_GREEK |= {letter: name[0] + name[1:].capitalize() for letter, name in _GREEK.items() if letter.isupper()}
_TABLE = str.maketrans({**_SIGNS, **_GREEK})
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉ₙ", "0123456789n")

# In this order. Each pattern matches plain text and LaTeX alike, so that "<=" and "\leq" give the same.
_SPELLING: tuple[tuple[str, str], ...] = (
    (r"\s+", " "),
    (r"(?<![\w)}*])\*\*(\S[^*]*?)\*\*(?![\w*])", r"\1"),  # bold of Markdown; any other ** is a power
    (r"\*\*", "^"),
    (r"\\(?:displaystyle|textstyle|limits|nolimits|left|right|[bB]igg?[lrm]?)(?![A-Za-z])", ""),
    (r"\\(?:mathop|boldsymbol|bm|mathbf|mathrm|operatorname\*?)(?![A-Za-z])", ""),
    (r"(?<=\d)(?:\{,\}|\\,|,\\!|,)(?=\d{3}(?!\d))", ""),
    (r"(?<!\\)\\[!,;:> ]|~|\\q?quad(?![A-Za-z])", " "),
    (
        r"\\(?:begin|end) ?\{(?:align|equation|gather|multline|aligned|itemize|enumerate|center|split)\*?\}"
        r"|\\item(?![A-Za-z])",
        " ",
    ),
    (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
    (r"\\[dt]binom(?![A-Za-z])", r"\\binom"),
    (r"\\frac ?(\d) ?(\d)", r"\\frac{\1}{\2}"),
    (r"\\(?:leq|leqslant)(?![A-Za-z])|<=", r"\\le "),
    (r"\\(?:geq|geqslant)(?![A-Za-z])|>=", r"\\ge "),
    (r"\\neq(?![A-Za-z])|!=|\\not ?=", r"\\ne "),
    (r"\\lt(?![A-Za-z])", "<"),
    (r"\\gt(?![A-Za-z])", ">"),
    (r"\\(?:times|ast)(?![A-Za-z])|\*", r"\\cdot "),
    (r"\\div(?![A-Za-z])", "/"),
    (r"\\lbrace(?![A-Za-z])", r"\\{"),
    (r"\\rbrace(?![A-Za-z])", r"\\}"),
    (r"\\(?:[lr]?vert|mid)(?![A-Za-z])", "|"),
    (r"\\[lr]?Vert(?![A-Za-z])", r"\\|"),
    (r"\\(?:rightarrow|longrightarrow)(?![A-Za-z])|->", r"\\to "),
    (r"\\(?:[cld]dots|dots[cb]?)(?![A-Za-z])|\.\.\.+", r"\\ldots "),
    (r"\\var(epsilon|phi|theta|rho|sigma)(?![A-Za-z])", r"\\\1"),
    (r"\\varnothing(?![A-Za-z])", r"\\emptyset"),
    (r"\^ ?\{ ?\\circ ?\}|\\degree(?![A-Za-z])", r"^\\circ "),
    (r"\\colon(?![A-Za-z])", ":"),
    (r"\\(?:pmod|bmod)(?![A-Za-z])", r" mod "),
    (r"(?<![\d.])\.(?=\d)", "0."),
)
_RULES = [(re.compile(pattern), new) for pattern, new in _SPELLING]

# Formulas between dollars. A price is no formula: the closing dollar has no space before it and no digit
# after it.
_FORMULA = re.compile(
    r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)|(?<!\\)\$(?! )((?:[^$\\]|\\.)+?)(?<! )\$(?!\d)"
)
_INNER_TEXT = re.compile(r"\\(?:text|textbf|textit|textrm|mbox|emph) ?\{([^{}]*)\}")
_TOKEN = re.compile(
    r"(?P<number>\d+(?:\.\d+)?)|\\(?P<command>[A-Za-z]+)|\\(?P<escaped>[{}|%#&_\\$])"
    r"|(?P<letters>[A-Za-z]+(?:'[a-z]+)?)|(?P<wide>[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])"
    r"|(?P<other>[^\W\d_]+)"
    r"|(?P<stop>[.,;:?!])|(?P<sign>[^\s\w$\"`']|_|')"
)
FUNCTIONS = frozenset(
    "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln exp lim sup inf max min gcd lcm det"
    " dim ker deg arg mod sqrt rank tr trace re im".split()
)
_WORDS_IN_FORMULAS = frozenset(
    "and or for if all are the with not where such that when to is in of at by odd even".split()
)
_SHORT_WORDS = frozenset(
    "a i am an as at be by do go he if in is it me my no of on or so to up us we".split()
)
_TOUCHING = frozenset("^_=+-/<>|()[]{}'")
_SPOKEN = frozenset(
    FUNCTIONS - {"max", "min", "re", "im", "tr", "sup", "inf", "arg", "exp", "deg", "dim", "ker", "det"}
)


def tokens(problem: str) -> list[Token]:
    r"""The tokens of a problem, in order.

    They are the same for `$\dfrac{1}{2}x \leq 3$`, `\(\frac12 x\le 3\)` and `1/2 x <= 3`.
    """
    text = _spelled(problem)
    found: list[Token] = []
    at = 0
    for match in _FORMULA.finditer(text):
        found += _read(text[at : match.start()], False)
        inner = next(group for group in match.groups() if group is not None)
        start = 0
        for words in _INNER_TEXT.finditer(inner):
            found += [*_read(inner[start : words.start()], True), *_read(words[1], False)]
            start = words.end()
        found += _read(inner[start:], True)
        at = match.end()
    found += _read(_INNER_TEXT.sub(r" \1 ", text[at:]), False)
    return _without_fractions(_without_braces(found))


def normal_form(found: list[Token]) -> str:
    """A text that is equal for problems that differ only in typesetting, punctuation, case or white space."""
    return " ".join(token.text.lower() for token in found if token.kind != "stop")


def _spelled(text: str) -> str:
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+", lambda m: f"^{{{m[0].translate(_RAISED)}}}", text)
    text = re.sub("[₀₁₂₃₄₅₆₇₈₉ₙ]+", lambda m: f"_{{{m[0].translate(_LOWERED)}}}", text)
    text = unicodedata.normalize("NFKC", text.translate(_TABLE)).translate(_TABLE)
    for pattern, new in _RULES:
        text = pattern.sub(new, text)
    return text


def _read(text: str, formula: bool) -> list[Token]:
    found: list[Token] = []
    for match in _TOKEN.finditer(text):
        kind, word = match.lastgroup, match[match.lastgroup or 0]
        if kind == "letters":
            found += _letters(
                word, formula, text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]
            )
        elif kind == "command":
            found.append(Token("letter" if f"\\{word.lower()} " in _GREEK_NAMES else "sign", word))
        elif kind == "number":
            found.append(Token("number", word))
        elif kind == "stop":
            found.append(Token("stop", word))
        elif kind in ("wide", "other"):
            found.append(Token("word", word.lower()))
        else:
            found.append(Token("sign", f"\\{word}" if kind == "escaped" else word))
    return found


_GREEK_NAMES = frozenset(name.lower() for name in _GREEK.values()) - {"\\pi "}


def _letters(word: str, formula: bool, before: str, after: str) -> list[Token]:
    """The tokens of a run of Latin letters: a word, a function, or single variables."""
    low = word.lower()
    if low in (FUNCTIONS if formula else _SPOKEN) and (formula or after == "(" or low not in ("gcd", "lcm")):
        return [Token("sign", low)]
    touches = before in _TOUCHING or after in _TOUCHING or before.isdigit()
    if formula:
        single = (len(word) < 4 and low not in _WORDS_IN_FORMULAS) or word.isupper()
    elif len(word) == 1:
        single = low not in "ai" or (touches and after != ")")
    else:
        single = (word.isupper() and len(word) < 5) or (len(word) < 3 and low not in _SHORT_WORDS and touches)
    return [Token("letter", letter) for letter in word if letter != "'"] if single else [Token("word", low)]


def _without_braces(found: list[Token]) -> list[Token]:
    """Turns braces into round brackets, and drops those around a single token.

    Round brackets around a single token are dropped only behind a function or a power.
    """
    out: list[Token] = []
    for token in found:
        if token.kind == "sign" and token.text in ("}", ")") and len(out) > 1:
            opened = out[-2].text
            bound = len(out) > 2 and (out[-3].text in FUNCTIONS or out[-3].text in ("^", "_"))
            if out[-1].text not in _BRACKETS and (
                (opened == "{" and token.text == "}") or (opened == "(" and token.text == ")" and bound)
            ):
                del out[-2]
                continue
        out.append(token)
    return [
        Token("sign", _ROUND.get(token.text, token.text)) if token.kind == "sign" else token for token in out
    ]


_BRACKETS = frozenset("(){}[]")
_ROUND = {"{": "(", "}": ")"}
_CLOSING = {"(": 1, ")": -1}


def _without_fractions(found: list[Token]) -> list[Token]:
    r"""`\frac` A B becomes A / B. A loses its brackets where it is a product.

    `\frac{\sin x}{x}` is sin x / x.
    """
    if not any(token.text == "frac" for token in found):
        return found
    out: list[Token] = []
    breaks, gone = set(), set()
    for at, token in enumerate(found):
        if token.kind == "sign" and token.text == "frac":
            end = _end(found, at + 1)
            breaks.add(end)
            if found[at + 1 : at + 2] == [_OPEN] and all(
                token.kind in ("letter", "number") or token.text in FUNCTIONS
                for token in found[at + 2 : end - 1]
            ):
                gone |= {at + 1, end - 1}
            continue
        if at in breaks:
            out.append(Token("sign", "/"))
        if at not in gone:
            out.append(token)
    return out


_OPEN = Token("sign", "(")


def _end(found: list[Token], start: int) -> int:
    """The position behind the operand that begins at `start`."""
    depth = 0
    for at in range(start, len(found)):
        depth += _CLOSING.get(found[at].text, 0)
        if depth <= 0:
            return at + 1
    return len(found)
