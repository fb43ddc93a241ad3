"""One spelling of a problem's typesetting: LaTeX, Unicode and plain text give the same characters.

Not here: signs and commands that answers spell alike (text/typesetting.py), tokens (normal.py).
"""

from __future__ import annotations

import re
import unicodedata

from magpie_hf.text.typesetting import RULES, SIGNS, SPACE, levelled

_TABLE = str.maketrans(
    {
        **SIGNS,
        "—": ", ",
        "’": "'",
        "“": '"',
        "”": '"',
        "\u3002": ". ",
        "\u3001": ", ",
    }
)

# In this order. Each pattern matches plain text and LaTeX alike, so that "<=" and "\leq" give the same.
_SPELLING: tuple[tuple[str, str], ...] = (
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
    (r"\\(?:begin|end) ?\{(?:[pb]matrix|array|smallmatrix)\}(?: ?\{[lcr| ]+\})?", r" \\matrix "),
    (r"(?<!\\)[\[(] ?\\matrix|\\matrix ?[\])]", r"\\matrix"),
    (r"\\(?:mathrm|textnormal|rm) ?\{(?=[~ ]*(?:\\ )?[A-Za-z]{2,}[^{}]*\})", r"\\text{"),
    (r"\\([CNQRZ])(?![A-Za-z])", r"\\mathbb{\1}"),
    (r"\\in ?\\mathbf ?\{?([CNQRZ])(?![A-Za-z])\}?", r"\\in \\mathbb{\1}"),
    (r"\\(?:mathop|boldsymbol|bm|mathbf|vec|mathrm|operatorname\*?)(?![A-Za-z]) ?", ""),
    (r"(?<=\d)(?:\{,\}|\\,|,\\! ?|,)(?=\d{3}(?!\d))", ""),
    (SPACE, " "),
    (r"<=", r"\\le "),
    (r">=", r"\\ge "),
    (r"!=", r"\\ne "),
    (r"\\ast(?![A-Za-z])|\*", r"\\cdot "),
    (r"\\%", "%"),
    (r"\\overline ?\{ ?([A-Z]) ?([A-Z]) ?\}", r" \1\2 "),  # a segment; AB is its length as well
    (r"\\bar(?![A-Za-z])", r"\\overline "),
    (r"\\wide(hat|tilde)(?![A-Za-z])", r"\\\1 "),
    (r"(?<=\d) ?degrees?(?![A-Za-z])", r"^\\circ "),
    (r"\\div(?![A-Za-z])", "/"),
    (r"\\mid(?![A-Za-z])", "|"),
    (r"\\(?:rightarrow|longrightarrow)(?![A-Za-z])|->", r"\\to "),
    (r"\\var(epsilon|phi|theta|rho|sigma)(?![A-Za-z])", r"\\\1"),
    (r"\\(?:pmod|bmod)(?![A-Za-z])", r" mod "),
    (r"(?<![\d.])\.(?=\d)", "0."),
)
_RULES = [(re.compile(r"\s+"), " "), *RULES, *((re.compile(pattern), new) for pattern, new in _SPELLING)]


def spelled(text: str) -> str:
    """The text with one spelling of signs, spaces, commands and environments."""
    text = unicodedata.normalize("NFKC", levelled(text).translate(_TABLE)).translate(_TABLE)
    for pattern, new in _RULES:
        text = pattern.sub(new, text)
    return text
