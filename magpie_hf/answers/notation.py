r"""How an answer is written: one spelling for one text, and the parts of lists, sets and tuples. Not here: what it is worth."""

from __future__ import annotations

import re
from dataclasses import dataclass

_UNICODE = {
    "−": "-", "–": "-", "×": r"\times ", "·": r"\cdot ", "÷": "/", "π": r"\pi ", "∞": r"\infty ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ",
    "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "°": r"^\circ ", "½": r"\frac{1}{2}", "∅": r"\emptyset ", "±": r"\pm ", "²": "^2",
    "³": "^3", "√": r"\sqrt ", "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℚ": r"\mathbb{Q}", "ℕ": r"\mathbb{N}", "ℂ": r"\mathbb{C}",
    "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta ", "λ": r"\lambda ", "φ": r"\phi ", "，": ",", "（": "(", "）": ")", "\u00a0": " ",
}  # fmt: skip
_SAME = (
    (r"\\(?:displaystyle|textstyle|limits|left|right|[bB]igg?[lr]?)(?![A-Za-z])", ""),
    (r"(?<=\d)(?:\{,\}|(?<!\\)\\[,!:;])(?=\d{3}(?!\d))", ","),  # a thousands separator
    (r"(?<!\\)\\[!,;: ]|~|\\q?quad(?![A-Za-z])", " "),
    (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
    (r"\\(?:leq|leqslant)(?![A-Za-z])", r"\\le"),
    (r"\\(?:geq|geqslant)(?![A-Za-z])", r"\\ge"),
    (r"\\neq(?![A-Za-z])", r"\\ne"),
    (r"\\lt(?![A-Za-z])", "<"),
    (r"\\gt(?![A-Za-z])", ">"),
    (r"\\lbrace(?![A-Za-z])", r"\\{"),
    (r"\\rbrace(?![A-Za-z])", r"\\}"),
    (r"\\(?:l|r)vert(?![A-Za-z])", "|"),
    (r"\\varnothing(?![A-Za-z])|\\\{\s*\\\}", r"\\emptyset"),
    (r"\\lg(?![A-Za-z])", r"\\log_{10}"),
    (r"\\(?:textbf|textit|textrm|mathrm|mathbf|mbox|operatorname|bf|rm)(?=\s*\{)", r"\\text"),
    (r"\\%", "%"),
    (r"\^\{\s*\\circ\s*\}|\\degree(?![A-Za-z])|\^\s*\\circ(?![A-Za-z])", r"^\\circ "),
    (r"\(\s*(?:\\text\{)?\s*\\?mod(?:ulo)?(?![a-z])\s*\}?\s*([^()]*)\)", r"\\pmod{\1}"),
    (r"\\b?mod(?![A-Za-z])", r"\\pmod"),
    (r"(?<!\\)\$", " "),
    (r"\\[dt]binom(?![A-Za-z])", r"\\binom"),
    (r"\\(frac|binom)\s*(\d)\s*(\d)", r"\\\1{\2}{\3}"),
    (r"\\sqrt\s*(\d)", r"\\sqrt{\1}"),
    (r"(?<![A-Za-z\\])(pi|infty|infinity|sqrt|sin|cos|tan|ln|log|exp)(?![A-Za-z])", lambda m: "\\" + m[1].replace("infinity", "infty")),
    (r"\\sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}"),
    (r"(?<![\d.])(\d*)\.(\d*)\\(?:overline|dot)\{(\d+)\}", lambda m: _repeating(*m.groups())),
    (r"(\d)[eE]([+-]?\d+)(?![\d.])", r"\1\\times 10^{\2}"),
    (r"(?<![\d.,])(\d{1,3}(?:[ ,]\d{3})+)(?![\d,])", lambda m: re.sub("[ ,]", "", m[1])),
)  # fmt: skip
_RULES = [(re.compile(pattern), new) for pattern, new in _SAME]
_WRAPPERS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"), ("`", "`"))


def normalise(text: str) -> str:
    """One spelling for answers that differ in typesetting alone: spaces, delimiters, sizes, synonymous commands, thousands separators."""
    text = _unwrapped(text)
    for sign, latex in _UNICODE.items():
        text = text.replace(sign, latex)
    grouped = _is_grouped(text)
    for pattern, new in _RULES[: None if grouped else -1]:
        text = pattern.sub(new, text)
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r"(\\[A-Za-z]+) (?![A-Za-z])", r"\1", text)
    text = re.sub(r"(?<![A-Za-z0-9}]) | (?![A-Za-z0-9\\])", "", text)
    return re.sub(r"([\^_])\{([A-Za-z0-9])\}(?![A-Za-z0-9])", r"\1\2", text)


def _unwrapped(text: str) -> str:
    """Without what surrounds a whole answer: mathematics delimiters, Markdown, a box, a full stop."""
    while True:
        before = text
        text = re.sub(r"(?<!\.)[.;,。]$", "", text.strip()).strip()
        for opener, closer in _WRAPPERS:
            if text.startswith(opener) and text.endswith(closer) and len(text) >= len(opener) + len(closer):
                inside = text[len(opener) : -len(closer)]
                text = text if opener in inside or closer in inside else inside
        if (box := re.fullmatch(r"\\boxed\s*\{(.*)\}", text, re.DOTALL)) and closes_at_the_end("{" + box[1] + "}"):
            text = box[1]
        if text == before:
            return text


def _is_grouped(text: str) -> bool:
    """Whether "1,234" in the text is one number: no other comma in it stands between numbers of a list."""
    bare = re.sub(r"\d{1,3}(?:(?:,|\{,\}|\\[,!:;]| )\d{3})+(?![\d,])", "", text)
    return "," not in bare and not re.search(r"[(\[{]\s*\d{1,3},\d{3}\s*[)\]}]", text)


def _repeating(whole: str, fixed: str, period: str) -> str:
    """A repeating decimal as a fraction: 0.1\\overline{6} is (16 - 1) / 90."""
    over = (10 ** len(period) - 1) * 10 ** len(fixed)
    above = int(whole + fixed + period) - int(whole + fixed or "0")
    return rf"\frac{{{above}}}{{{over}}}"


# --- parts -------------------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(r"\\(?:text|mathrm)\s*\{[^{}]*\}|\\[A-Za-z]+|\\.|.", re.DOTALL)
_OPENING = {"(": ")", "[": "]", "{": "}", r"\{": r"\}", r"\langle": r"\rangle"}
_CLOSING = frozenset({")", "]", "}", r"\}", r"\rangle"})
_JOINING = re.compile(r"\\text\s*\{\s*,?\s*(?:and|or)\s*\}|\\(?:lor|land|vee|wedge)(?![A-Za-z])|(?<=[^A-Za-z\\])(?:and|or)(?=[^A-Za-z])")


@dataclass(frozen=True)
class Shape:
    """brackets: "()", "[)" and so on, r"\\{\\}" for a set, "," for a bare list, "" for a single thing; parts: what is in it."""

    brackets: str
    parts: tuple[str, ...]


def shape(text: str) -> Shape:
    """What an answer is made of at its outermost level."""
    joined = _JOINING.sub(",", text)
    parts = split(joined)
    if len(parts) > 1:
        return Shape(",", parts)
    if signs := _signs(text):
        return Shape(",", signs)
    tokens = _TOKEN.findall(text)
    if len(tokens) > 2 and tokens[0] in ("(", "[", r"\{", r"\langle") and tokens[-1] in _CLOSING and closes_at_the_end(text):
        brackets = tokens[0] + tokens[-1]
        inside = split("".join(tokens[1:-1]))
        if len(inside) > 1 or brackets == r"\{\}":
            return Shape("()" if brackets == r"\langle\rangle" else brackets, inside)
        if brackets == "()":
            return shape(inside[0]) if inside[0] else Shape("", (text,))
    return Shape("", (text,))


def split(text: str, separators: str = ",;") -> tuple[str, ...]:
    """The text cut at the separators that stand in no bracket."""
    parts, depth = [""], 0
    for token in _TOKEN.findall(text):
        depth += (token in _OPENING) - (token in _CLOSING)
        if depth == 0 and token in separators:
            parts.append("")
        else:
            parts[-1] += token
    return tuple(part.strip() for part in parts if part.strip()) or ("",)


def closes_at_the_end(text: str) -> bool:
    """Whether the bracket that opens the text is closed by its last token, and all brackets are paired; "[1,2)" is a pair too."""
    depth = 0
    tokens = _TOKEN.findall(text)
    for place, token in enumerate(tokens):
        depth += (token in _OPENING) - (token in _CLOSING)
        if depth <= 0 and place < len(tokens) - 1:
            return False
    return depth == 0


def _signs(text: str) -> tuple[str, str] | None:
    """Both values of an expression with one plus-minus sign."""
    parts = re.split(r"\\pm(?![A-Za-z])", text)
    if len(parts) != 2 or r"\mp" in text:
        return None
    return "+".join(parts).removeprefix("+").strip(), "-".join(parts).strip()


def assignment(text: str) -> tuple[str, str]:
    r"""("x", "3") of "x = 3" or "x \in 3", also of f(x) = ..., a_n = ... and \text{Area} = ...; ("", text) of anything else."""
    parts = split(text, "=")
    if len(parts) == 1 and "=" not in text:
        parts = tuple(re.split(r"\\in(?![A-Za-z])", text, maxsplit=1))
    name = parts[0].strip()
    plain = re.fullmatch(
        r"(?:\\?[A-Za-z]+|\\(?:text|vec|mathbf|hat)\{[^{}]*\}|\\angle ?[A-Z]+)(?:_\w|_\{\w+\})?'*(?:\([A-Za-z, ]{1,7}\))?", name
    )
    pair = re.fullmatch(r"\(\w(?:,\w)+\)", name)  # (x, y) = (1, 2)
    if len(parts) > 1 and (plain or pair) and not re.search(r"[<>]|\\[lg]e(?![A-Za-z])|\\equiv", text):
        return re.sub(r"\s", "", name), parts[-1].strip()
    return "", text
