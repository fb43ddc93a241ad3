"""One spelling of a problem's typesetting: LaTeX, Unicode and plain text give the same characters.

Not here: tokens (normal.py).
"""

from __future__ import annotations

import re
import unicodedata

_SIGNS = {
    "−": "-",
    "–": "-",
    "—": ", ",
    "×": r"\times ",
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
    "″": "''",
    "’": "'",
    "“": '"',
    "”": '"',
    "\u3002": ". ",
    "\u3001": ", ",
    "⌊": r"\lfloor ",
    "⌋": r"\rfloor ",
    "⌈": r"\lceil ",
    "⌉": r"\rceil ",
    "⟨": r"\langle ",
    "⟩": r"\rangle ",
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
    (r"\\\$", ""),  # a price's dollar: none begins a formula, and most write it bare
    (
        r"\\(?:begin|end) ?\{(?:align|equation|gather|multline|eqnarray|displaymath|flalign)\*?\}",
        " $$ ",
    ),
    (r"\\(?:begin|end) ?\{(?:aligned|gathered|split|itemize|enumerate|center)\*?\}|\\item(?![A-Za-z])", " "),
    (r"\$\$ \$\$|\$\$ +\$\$", "$$"),
    (r"(?<![\w)}*])\*\*(\S[^*]*?)\*\*(?![\w*])", r"\1"),  # bold of Markdown; any other ** is a power
    (r"\*\*", "^"),
    (r"(?<![A-Za-z])(?:Mrs?|Ms|Dr)\. ?(?=[A-Z])", ""),
    (
        r"\\(?:displaystyle|textstyle|scriptstyle|limits|nolimits|noindent|left ?\.|right ?\.|left|right"
        r"|middle|[bB]igg?[lrm]?)(?![A-Za-z])",
        "",
    ),
    (r"\\(?:begin|end) ?\{(?:[pb]matrix|array|smallmatrix)\}(?: ?\{[lcr| ]+\})?", r" \\matrix "),
    (r"(?<!\\)[\[(] ?\\matrix|\\matrix ?[\])]", r"\\matrix"),
    (r"\\(?:mathrm|textnormal|rm) ?\{(?=[~ ]*(?:\\ )?[A-Za-z]{2,}[^{}]*\})", r"\\text{"),
    (r"\\([CNQRZ])(?![A-Za-z])", r"\\mathbb{\1}"),
    (r"\\in ?\\mathbf ?\{?([CNQRZ])(?![A-Za-z])\}?", r"\\in \\mathbb{\1}"),
    (r"\\(?:mathop|boldsymbol|bm|mathbf|vec|mathrm|operatorname\*?)(?![A-Za-z]) ?", ""),
    (r"(?<=\d)(?:\{,\}|\\,|,\\! ?|,)(?=\d{3}(?!\d))", ""),
    (r"\^ ?\{ ?\\prime ?\\prime ?\}", "''"),
    (r"\^ ?(?:\{ ?\\prime ?\}|\\prime(?![A-Za-z]))", "'"),
    (r"(?<!\\)\\[!,;:> ]|~|\\q?quad(?![A-Za-z])", " "),
    (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
    (r"\\[dt]binom(?![A-Za-z])", r"\\binom"),
    (r"\\frac ?(\d) ?(\d)", r"\\frac{\1}{\2}"),
    (r"\\(?:leq|leqslant|leqq)(?![A-Za-z])|<=", r"\\le "),
    (r"\\(?:geq|geqslant|geqq)(?![A-Za-z])|>=", r"\\ge "),
    (r"\\neq(?![A-Za-z])|!=|\\not ?=", r"\\ne "),
    (r"\\lt(?![A-Za-z])", "<"),
    (r"\\gt(?![A-Za-z])", ">"),
    (r"\\ast(?![A-Za-z])|\*", r"\\cdot "),
    (r"\\%", "%"),
    (r"\\overline ?\{ ?([A-Z]) ?([A-Z]) ?\}", r" \1\2 "),  # a segment; AB is its length as well
    (r"\\bar(?![A-Za-z])", r"\\overline "),
    (r"\\wide(hat|tilde)(?![A-Za-z])", r"\\\1 "),
    (r"(?<=\d) ?degrees?(?![A-Za-z])", r"^\\circ "),
    (r"\\div(?![A-Za-z])", "/"),
    (r"\\lbrace(?![A-Za-z])", r"\\{"),
    (r"\\rbrace(?![A-Za-z])", r"\\}"),
    (r"\\(?:[lr]?vert|mid)(?![A-Za-z])", "|"),
    (r"\\[lr]?Vert(?![A-Za-z])", r"\\|"),
    (r"\\(?:rightarrow|longrightarrow)(?![A-Za-z])|->", r"\\to "),
    (r"\\(?:[hcld]dots|dots[cbmio]?)(?![A-Za-z])|\.\.\.+", r"\\ldots "),
    (r"\\var(epsilon|phi|theta|rho|sigma)(?![A-Za-z])", r"\\\1"),
    (r"\\varnothing(?![A-Za-z])", r"\\emptyset"),
    (r"\^ ?\{ ?\\circ ?\}|\\degree(?![A-Za-z])", r"^\\circ "),
    (r"\\colon(?![A-Za-z])", ":"),
    (r"\\(?:pmod|bmod)(?![A-Za-z])", r" mod "),
    (r"(?<![\d.])\.(?=\d)", "0."),
)
_RULES = [(re.compile(pattern), new) for pattern, new in _SPELLING]


def spelled(text: str) -> str:
    """The text with one spelling of signs, spaces, commands and environments."""
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+", lambda m: f"^{{{m[0].translate(_RAISED)}}}", text)
    text = re.sub("[₀₁₂₃₄₅₆₇₈₉ₙ]+", lambda m: f"_{{{m[0].translate(_LOWERED)}}}", text)
    text = unicodedata.normalize("NFKC", text.translate(_TABLE)).translate(_TABLE)
    for pattern, new in _RULES:
        text = pattern.sub(new, text)
    return text


# Names of letters; a number that is written as a letter is none
GREEK_NAMES = frozenset(name.strip("\\ ").lower() for name in _GREEK.values()) - {"pi"}
