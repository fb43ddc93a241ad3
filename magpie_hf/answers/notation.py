"""The notation of an answer: one spelling per answer, and the parts of lists, sets and tuples.

Not here: its value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product

_UNICODE = {
    "−": "-",
    "–": "-",
    "×": r"\times ",
    "·": r"\cdot ",
    "÷": "/",
    "⁄": "/",
    "π": r"\pi ",
    "∞": r"\infty ",
    "≤": r"\le ",
    "≥": r"\ge ",
    "≠": r"\ne ",
    "≡": r"\equiv ",
    "≈": r"\approx ",
    "∪": r"\cup ",
    "∩": r"\cap ",
    "∈": r"\in ",
    "°": r"^\circ ",
    "∅": r"\emptyset ",
    "±": r"\pm ",
    "√": r"\sqrt ",
    "ℝ": r"\mathbb{R}",
    "ℤ": r"\mathbb{Z}",
    "ℚ": r"\mathbb{Q}",
    "ℕ": r"\mathbb{N}",
    "ℂ": r"\mathbb{C}",
    "θ": r"\theta ",
    "α": r"\alpha ",
    "β": r"\beta ",
    "λ": r"\lambda ",
    "φ": r"\phi ",
    "μ": r"\mu ",
    "σ": r"\sigma ",
    "ω": r"\omega ",
    "\u3001": ",",
    "′": "'",
    **{
        fraction: rf"\frac{{{over}}}{{{under}}}"
        for fraction, over, under in ("½12", "⅓13", "⅔23", "¼14", "¾34", "⅕15", "⅙16", "⅛18")
    },
}
# Full-width letters and digits
_WIDE: dict[str, str] = {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_SIGNS = str.maketrans({**_UNICODE, **_WIDE})
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉ₙ", "0123456789n")
_BASES = (
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
)
_FUNCTION = (
    r"\\(?:ln|log(?:_(?:\w|\{[^{}]*\}))?|a?r?c?(?:sin|cos|tan)h?|cot|sec|csc|exp)(?![A-Za-z])"
    r"(?:\^(?:\w|\{[^{}]*\}))?"
)
_ARGUMENT = (
    r"(?:(?:\d{1,12}(?:\.\d{1,12})?(?![\d.])|[A-Za-z]|\\(?:pi|theta|alpha|beta|phi|omega|lambda)(?![A-Za-z])|\\sqrt ?\{[^{}]*\}"
    r"|\\frac ?\{[^{}]*\} ?\{[^{}]*\})(?:\^(?:\w|\{[^{}]*\}|\\circ))?)"
)
# What may follow "1/2 " as a factor
_FACTOR = (
    r"(?=[A-Za-z](?![A-Za-z])|[a-z]{2}(?![A-Za-z])|\(|\\(?:pi|sqrt|frac|ln|log|sin|cos|tan|exp|theta|alpha|beta|gamma"
    r"|lambda|mu|omega)(?![A-Za-z]))"
)
_EXCLUDED = r"\\(?:ne|neq|not=)(?![A-Za-z]) ?([^,]+)"
_SAME = (
    (r"\\(?:displaystyle|textstyle|limits|left|right|[bB]igg?[lr]?)(?![A-Za-z])", ""),
    (r"\\(?:textcolor|color|hspace\*?|vspace\*?|h?phantom) ?\{[^{}]*\}|\\checkmark|✓|✅", " "),
    (r"(?<=\S) ?\\(?:blacksquare|square|Box|qed)(?![A-Za-z])", ""),
    (r"\\(?:tiny|small|normalsize|large|Large|LARGE|huge|Huge)(?![A-Za-z])", ""),
    (r"\\pounds(?![A-Za-z])", "£"),
    (r"\\text ?\{ ?\\\$ ?\}", r"\\$"),
    (r"^(?:USD|US ?\\\$) ?(?=\d)", r"\\$"),
    (
        r"^(?:\\sim(?![A-Za-z])|(?:\\text ?\{ ?)?(?:approximately|about|approx\.?|roughly|約)(?![a-z]) ?\}?) ?(?=\\?[\d.$])",
        "",
    ),
    (
        r"(?<!\\)\\\\(?=(?:[dt]?frac|sqrt|left|right|[lg]eq?|pi|text|infty|times|cdot|begin)(?![A-Za-z]))",
        r"\\",
    ),
    (r"\^(\w|\{[^{}]*\})_(\w|\{[^{}]*\})", r"_\2^\1"),
    (r"(?<=\w) ?>= ?(?=[\w-])", r"\\ge "),
    (r"(?<=\w) ?<= ?(?=[\w-])", r"\\le "),
    (r"(?<=\w) != (?=[\w-])", r"\\ne "),
    (r"\\(?:ensuremath|boldsymbol|bm|pmb)(?= ?\{)|\\(?:bf|rm|it|boldmath)(?![A-Za-z])(?! ?\{)", ""),
    (r"\\(?:dots[cbm]?|hdots|cdots)(?![A-Za-z])|…|\.\.\.", r"\\ldots "),
    # Certainly a thousands separator; in 4,\,500 it may be one
    (r"(?<=\d) ?(?:\{ ?, ?\}|, ?\\!) ?(?=\d{3}(?!\d))", ""),
    (r"(?<=\d),\\[,;:] ?(?=\d{3}(?!\d))", ","),
    (
        r"(=[^=]*[^=,;\\ ])(?:\\[,: ]| )*(?:\\q?quad|\\;)(?:\\[,;: ]|\\q?quad| )*(?=\\?[A-Za-z]+(?:_\w)? ?=)",
        r"\1, ",
    ),
    (r"(?<!\\)\\[!,;: ]|~|\\q?quad(?![A-Za-z])", " "),
    (r"\+ ?/ ?-", r"\\pm "),
    (r"\^ ?(?:\\prime(?![A-Za-z])|\{ ?\\prime ?\})", "'"),
    (
        r"(?<!\d)(\d{1,9}) ?(?:\\degree|\^ ?\\circ|\^ ?\{ ?\\circ ?\}) ?(\d+) ?'(?!')(?: ?(\d+) ?(?:''|\"))?",
        lambda m: rf"\frac{{{3600 * int(m[1]) + 60 * int(m[2]) + int(m[3] or 0)}}}{{3600}}^\circ ",
    ),
    (
        r"\\(?:operatorname\*?|mathrm|text) ?\{ ?((?:arc)?(?:sin|cos|tan)h?|cot|sec|csc|ln|log|exp|gcd|max|min|det) ?\}",
        r"\\\1",
    ),
    (
        rf"(?:\\(?:operatorname|text|mathrm) ?\{{ ?cis ?\}}|\\?(?<![A-Za-z])cis(?![A-Za-z])) ?"
        rf"(?:\(([^()]*)\)|({_ARGUMENT}{{1,4}}))",
        lambda m: rf"(\cos({m[1] or m[2]})+i\sin({m[1] or m[2]}))",
    ),
    (r"(?:\{ ?\})?[\^_] ?\{?(\d+)\}? ?P ?_ ?\{?(\d+)\}?|^(\d+)P(\d+)$", r"P(\1\3, \2\4)"),
    (r"^C_\{?(\d+)\}?\^\{?(\d+)\}?$|nCr ?\((\d+), ?(\d+)\)", r"\\binom{\1\3}{\2\4}"),
    (r"\{ ?([^{}\\]+?) ?\\choose ?([^{}\\]+?) ?\}", r"\\binom{\1}{\2}"),
    (r"^([^{}\\]+?) ?\\choose ?([^{}\\]+)$", r"\\binom{\1}{\2}"),
    (r"(?<![A-Za-z\\_])C ?\((\d+), ?(\d+)\)", r"\\binom{\1}{\2}"),
    (r"(?:\{ ?\})?[\^_] ?\{?(\d+)\}? ?(?:\\text ?\{)?C\}? ?_ ?\{?(\d+)\}?", r"\\binom{\1}{\2}"),
    (
        r"\( ?\\begin ?\{(?:small)?matrix\}(.*?)\\end ?\{(?:small)?matrix\} ?\)",
        r"\\begin{pmatrix}\1\\end{pmatrix}",
    ),
    (
        r"\[ ?\\begin ?\{(?:small)?matrix\}(.*?)\\end ?\{(?:small)?matrix\} ?\]",
        r"\\begin{pmatrix}\1\\end{pmatrix}",
    ),
    (
        r"[(\[]? ?\\begin ?\{array\} ?\{[lcr ]*\}(.*?)\\end ?\{array\} ?[)\]]?",
        r"\\begin{pmatrix}\1\\end{pmatrix}",
    ),
    (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
    (r"\\(?:leq|leqslant)(?![A-Za-z])", r"\\le"),
    (r"\\(?:geq|geqslant)(?![A-Za-z])", r"\\ge"),
    (r"\\neq(?![A-Za-z])", r"\\ne"),
    (r"\\lt(?![A-Za-z])", "<"),
    (r"\\gt(?![A-Za-z])", ">"),
    (r"\\lbrace(?![A-Za-z])", r"\\{"),
    (r"\\rbrace(?![A-Za-z])", r"\\}"),
    (r"\\(?:l|r)vert(?![A-Za-z])", "|"),
    (r"\\varnothing(?![A-Za-z])|\\\{ ?\\\}", r"\\emptyset"),
    (r"\\lg(?![A-Za-z])", r"\\log_{10}"),
    (r"\\(?:mathrm|rm) ?\{ ?([ied]) ?\}", r" \1 "),
    (
        r"\\(?:textbf|textit|textrm|textsf|texttt|textnormal|textup|mathrm|mathbf|mathit|mathsf|mathtt|underline|mbox|operatorname|bf|rm)(?= ?\{)",
        r"\\text",
    ),
    (
        r"\\text ?\{ ?(?:per ?cent(?:age)?|pct\.?) ?\}|(?<![A-Za-z])(?:per ?cent(?:age)?|pct)(?![A-Za-z])"
        r"|\u30d1\u30fc\u30bb\u30f3\u30c8|\\%",
        "%",
    ),
    (r"(?<![\w)}])\\text ?\{ ?([-+]?(?:\\?[$£€¥] ?)?[\d.,/]*\d ?%?) ?\}(?! ?[\w(])", r" \1 "),
    # Japanese text needs no \text, and what joins values is written as in English
    (
        r"\\text ?\{([^{}\\A-Za-z]*)\}",
        lambda m: m[1] if re.search("[\u3040-\u30ff\u4e00-\u9fff]", m[1]) else m[0],
    ),
    (r"(?<=[\w)}\] ])(?:または|又は|もしくは|或者|或は|或)(?=[\w\\(\[ -])", r"\\text{ or }"),
    (r"(?<=\d) ?と ?(?=\d)", r"\\text{ and }"),
    (r"(?<=\d) ?\\text ?\{ ?to ?\} ?(?=\d)", ":"),
    (r"(?<=\d) ?万(?!\d)", r"\\times 10^4 "),
    (r"(?<=\d) ?億(?!\d)", r"\\times 10^8 "),
    (r"(?<=[\d}]) ?度$", r"^\\circ "),
    (
        r"(?<=[\d}]) ?(?:\\text ?\{ ?(hundred|thousand|[mb]illion|trillion)(?: ?\}|(?= ))"
        r"|(?<= )(hundred|thousand|[mb]illion|trillion)(?![A-Za-z]))",
        lambda m: (
            rf"\times 10^{{{_POWERS[m[1] or m[2]]}}} " + ("" if m[0].endswith("}") or m[2] else r"\text{")
        ),
    ),
    (
        r"(?<!\d)(?:\\\$ ?)?(\d{1,9})(?: dollars?)? and (\d\d?) cents?",
        lambda m: rf"\${int(m[1]) + int(m[2]) // 100}.{int(m[2]) % 100:02}",
    ),
    (r"(\d) ?[xX*] ?10 ?\^", r"\1\\times 10^"),
    (r"_ ?\{ ?\(?(\d+)\)? ?\}$", r"_{\1}"),
    (
        rf"_ ?\{{? ?\\text ?\{{ ?({'|'.join(_BASES)}) ?\}} ?\}}?",
        lambda m: f"_{{{2 + _BASES.index(m[1])}}}",
    ),
    (r"(?i)^(?:\\text ?\{)? ?(?:all|every|any) (?:the )?reals?(?: numbers?)? ?\}?$", r"\\mathbb{R}"),
    (r"(?i)^(?:\\text ?\{)? ?(?:the )?empty set ?\}?$", r"\\emptyset"),
    (r"\\mathbb ?\{? ?R ?\}? ?(?:\^ ?\{? ?\+ ?\}?|_ ?\{ ?> ?0 ?\}|_ ?\+)", r"(0, \\infty)"),
    (
        r"(?<![\d.])(\d{1,6}) ?(?:\\text ?\{ ?dozen(?: ?\}|(?= ))|dozen(?![a-z]))",
        lambda m: str(12 * int(m[1])),
    ),
    (r"\\\{ ?1, ?2(?:, ?3)?(?:, ?4)?, ?\\ldots ?,? ?\\\}", r"\\mathbb{N}"),
    (r"\\mathbb ?\{? ?Z ?\}? ?(?:\^ ?\{? ?\+ ?\}?|_ ?\{ ?> ?0 ?\})", r"\\mathbb{N}"),
    (
        r"^([A-Za-z]) ?\\in ?\\mathbb ?\{? ?R ?\}? ?((?:, ?\1 ?\\(?:ne|neq|not=)(?![A-Za-z]) ?[^,<>=]{1,20})+)$",
        lambda m: rf"\mathbb{{R}}\setminus\{{{', '.join(re.findall(_EXCLUDED, m[2]))}\}}",
    ),
    (r"^\](?=[^\[\]()]*,[^\[\]()]*[\[\])]$)", "("),
    (r"^([\[(][^\[\]()]*,[^\[\]()]*)\[$", r"\1)"),
    # 2 1/3 is a mixed number, and 1/2 x half of x
    (
        r"(?<![\w.,/^})])(?<!\d )(\d{1,4}) (\d{1,3}) ?/ ?(\d{1,3})(?![\d/.^!])",
        lambda m: rf"{m[1]}\frac{{{m[2]}}}{{{m[3]}}}" if int(m[2]) < int(m[3]) else m[0],
    ),
    (rf"(?<![\w.)}}^!])(\d+) ?/ ?(\d+) {_FACTOR}", r"\\frac{\1}{\2} "),
    (rf"(?<=[\w)}}]) ?/ ?(\d+) {_FACTOR}", r"\\cdot\\frac{1}{\1} "),
    # The grammar of math-verify takes all that follows for the argument: \ln 2 \cdot 3 is \ln 6 to it
    (rf"({_FUNCTION}) ?({_ARGUMENT}(?: ?{_ARGUMENT}){{0,3}}) ?(?=\\cdot|\\times|\*)", r"\1(\2)"),
    (rf"({_FUNCTION}) ?({_ARGUMENT}) / (?=\S)", r"\1(\2)/"),
    (rf"({_FUNCTION}) ?([a-z]) ?/ ?\2(?![A-Za-z^_])", r"\1(\2)/\2"),
    (rf"({_FUNCTION}) ?([a-df-z]) (?=e\^)", r"\1(\2) "),
    (r"\^\{ ?\\circ ?\}|\\degree(?![A-Za-z])|\^ ?\\circ(?![A-Za-z])", r"^\\circ "),
    (r"\( ?(?:\\text\{)? ?\\?mod(?:ulo)?(?![a-z]) ?\}?([^()]*)\)", lambda m: rf"\pmod{{{m[1].strip()}}}"),
    (r"\\b?mod(?![A-Za-z])", r"\\pmod"),
    (r"(?<!\\)\$", " "),
    (r"\\[dt]binom(?![A-Za-z])", r"\\binom"),
    (r"\\(frac|binom) ?(\d) ?(\d)", r"\\\1{\2}{\3}"),
    (r"\\frac ?(\d) ?(?=\{)", r"\\frac{\1}"),
    (r"\\frac ?(\{[^{}]*\}) ?(\d)", r"\\frac\1{\2}"),
    (
        r"(?<![A-Za-z\\])(pi|infty|infinity|sqrt|sin|cos|tan|ln|log|exp)(?![A-Za-z])",
        lambda m: "\\" + m[1].replace("infinity", "infty"),
    ),
    (r"\\sqrt ?\{ ?\} ?(\w)", r"\\sqrt{\1}"),
    (r"\\sqrt ?(\d+(?:\.\d+)?)", r"\\sqrt{\1}"),
    (r"\\sqrt ?\(([^()]*)\)", r"\\sqrt{\1}"),
    (r"\\dot ?\{? ?(\d)\}?(\d{0,18})\\dot ?\{? ?(\d) ?\}?", r"\\overline{\1\2\3}"),
    (
        r"(?<![\d.])(\d{0,20})\.(\d{0,20})\\(?:overline|dot|bar) ?\{(\d{1,20})\}",
        lambda m: _repeating(*m.groups()),
    ),
    (r"(?<![\d.])(\d{1,20})\.()\((\d{1,20})\)", lambda m: _repeating(*m.groups())),
    (r"\^-(\d+)(?![\d.^])", r"^{-\1}"),
    (r"(\d)[eE]([+-]?\d+)(?![\d.])", r"\1\\times 10^{\2}"),
)
_POWERS = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_RULES = [(re.compile(pattern), new) for pattern, new in _SAME]
_WRAPPERS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"), ("`", "`"))
_GROUPED = re.compile(r"(?<![\d.,])(?<!\d[ ,])\d{1,3}(?:(?:,\d{3})+|(?: \d{3})+)(?!\d|[, ]\d)")
_COMMA = re.compile(rf"({_GROUPED.pattern})|, ?")
_ROUNDS = 8


def normalise(text: str) -> str:
    """One spelling for answers that differ in typesetting: spaces, delimiters, sizes, synonymous commands.

    A comma of a list has a space after it. One that may be a thousands separator has none and stays (see
    `readings`).
    """
    for _ in range(_ROUNDS):  # one rule can make work for another, so repeat until nothing changes
        before, text = text, _once(text)
        if text == before:
            break
    return text


def _once(text: str) -> str:
    text = re.sub(r"\s+", " ", text)  # first, because a pattern below could be quadratic in spaces
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+", lambda m: f"^{{{m[0].translate(_RAISED)}}}", text)
    text = re.sub("[₀₁₂₃₄₅₆₇₈₉ₙ]+", lambda m: f"_{{{m[0].translate(_LOWERED)}}}", text).translate(_SIGNS)
    text = _unwrapped(text)
    for pattern, new in _RULES:
        text = pattern.sub(new, text)
    text = re.sub(r" +", " ", text).strip()
    text = re.sub(r"(\\[A-Za-z]+) (?![A-Za-z])", r"\1", text)
    text = re.sub(r"(?<![A-Za-z0-9},]) | (?![A-Za-z0-9\\])", "", text)
    text = _COMMA.sub(lambda found: found[1] or ", ", text).strip()
    return re.sub(r"([\^_])\{([A-Za-z0-9])\}(?![A-Za-z0-9])", r"\1\2", text)


def readings(text: str) -> tuple[str, ...]:
    """The readings of a normalised answer: "100,200" is one number or two.

    In brackets it is two, unless another comma shows otherwise.
    """
    depths = _depths(text) if _GROUPED.search(text) else []

    def number(found: re.Match[str]) -> str:
        inside = depths[found.start()] > 0
        return found[0] if inside and (" " in found[0] or ", " not in text) else re.sub("[ ,]", "", found[0])

    def several(found: re.Match[str]) -> str:
        return found[0] if " " in found[0] and depths[found.start()] > 0 else re.sub("[ ,]", ", ", found[0])

    return tuple(
        dict.fromkeys((_GROUPED.sub(several, _GROUPED.sub(number, text)), _GROUPED.sub(several, text)))
    )


def _depths(text: str) -> list[int]:
    """How many brackets of lists, sets and tuples are open before each character."""
    depths, depth = [], 0
    for token in _TOKEN.findall(text):
        depths += [depth] * len(token)
        depth += (token in _OPENING and token != "{") - (token in _CLOSING and token != "}")
    return depths


def _unwrapped(text: str) -> str:
    """The answer without what surrounds all of it: delimiters, Markdown, a box, a full stop."""
    while True:
        before = text
        text = text.strip()
        bare = text.rstrip(" .;,。")
        text = text if ".." in text[len(bare) :] or bare.endswith("\\") else bare
        for opener, closer in _WRAPPERS:
            if text.startswith(opener) and text.endswith(closer) and len(text) >= len(opener) + len(closer):
                inside = text[len(opener) : -len(closer)]
                text = text if opener in inside or closer in inside else inside
        if text.startswith("{") and closes_at_the_end(text):
            text = rf"\{text[:-1]}\}}" if "," in text else text[1:-1]
        if (box := re.fullmatch(r"\\(?:boxed|fbox)\s*\{(.*)\}", text, re.DOTALL)) and closes_at_the_end(
            "{" + box[1] + "}"
        ):
            text = box[1]
        if text == before:
            return text


def _repeating(whole: str, fixed: str, period: str) -> str:
    r"""A repeating decimal as a fraction: 0.1\overline{6} is (16 - 1) / 90."""
    over = (10 ** len(period) - 1) * 10 ** len(fixed)
    above = int(whole + fixed + period) - int(whole + fixed or "0")
    return rf"\frac{{{above}}}{{{over}}}"


# --- parts --------------------------------------------------------------------------------------------------

_TOKEN = re.compile(r"\\(?:text|mathrm)\s*\{[^{}]*\}|\\[A-Za-z]+|\\.|.", re.DOTALL)
_OPENING = {"(": ")", "[": "]", "{": "}", r"\{": r"\}", r"\langle": r"\rangle"}
_CLOSING = frozenset({")", "]", "}", r"\}", r"\rangle"})
_JOINING = re.compile(
    r"\\text\s*\{\s*,?\s*(?:and|or)\s*\}|\\(?:lor|land|vee|wedge)(?![A-Za-z])|(?<=[^A-Za-z\\])(?:and"
    r"|or)(?=[^A-Za-z])"
)


@dataclass(frozen=True)
class Shape:
    r"""The brackets and parts of an answer.

    brackets: "()", "[)" and so on, r"\{\}" for a set, "," for a bare list, "" for a single thing.
    parts: its elements.
    """

    brackets: str
    parts: tuple[str, ...]


def shape(text: str) -> Shape:
    """The shape of an answer at its outermost level."""
    joined = _JOINING.sub(",", text)
    parts = _listed(joined)
    if len(parts) > 1:
        return Shape(",", parts)
    tokens = _TOKEN.findall(text)
    if (
        len(tokens) > 2
        and tokens[0] in ("(", "[", r"\{", r"\langle")
        and tokens[-1] in _CLOSING
        and closes_at_the_end(text)
    ):
        brackets = tokens[0] + tokens[-1]
        inside = split("".join(tokens[1:-1]))
        if brackets == r"\{\}":
            inside = _listed("".join(tokens[1:-1]))
        if len(inside) > 1 or brackets == r"\{\}":
            return Shape("()" if brackets == r"\langle\rangle" else brackets, inside)
        if brackets == "()":
            return shape(inside[0]) if inside[0] else Shape("", (text,))
    return Shape("", (text,))


_LONGEST = 1000  # elements of a list that is written with dots


def _listed(text: str) -> tuple[str, ...]:
    """The elements of a list, with both values of a plus-minus sign, and those that dots stand for.

    p = 5, q = 2; p = 7, q = 2 is a list of pairs.
    """
    parts = split(text)
    solutions = [split(one, ",") for one in split(text, ";")]
    names = {tuple(assignment(part)[0] for part in one) for one in solutions}
    if len(solutions) > 1 and len(names) == 1 and len(name := names.pop()) > 1 and all(name):
        parts = tuple(f"({', '.join(assignment(part)[1] for part in one)})" for one in solutions)
    parts = _without_dots(parts)
    return tuple(value for part in parts for value in (_signs(part) or (part,)))


def _without_dots(parts: tuple[str, ...]) -> tuple[str, ...]:
    """The whole numbers 1, 2, ..., 10 in full; other lists as they are."""
    place = parts.index(r"\ldots") if r"\ldots" in parts else 0
    if not 0 < place == len(parts) - 2:
        return parts
    try:
        numbers = [int(part) for part in parts[:place]]
        last = int(parts[-1])
    except ValueError:
        return parts
    step = numbers[1] - numbers[0] if len(numbers) > 1 else 1
    whole = range(numbers[0], last + (1 if step > 0 else -1), step) if step else range(0)
    if len(whole) > _LONGEST or list(whole[:place]) != numbers or last not in whole:
        return parts
    return tuple(map(str, whole))


def split(text: str, separators: str = ",;") -> tuple[str, ...]:
    """The text cut at the separators outside brackets."""
    parts, depth = [""], 0
    for token in _TOKEN.findall(text):
        depth += (token in _OPENING) - (token in _CLOSING)
        if depth == 0 and token in separators:
            parts.append("")
        else:
            parts[-1] += token
    return tuple(part.strip() for part in parts if part.strip()) or ("",)


def closes_at_the_end(text: str) -> bool:
    """Whether the first bracket is closed by the last token and all are paired; "[1,2)" is a pair too."""
    depth = 0
    tokens = _TOKEN.findall(text)
    for place, token in enumerate(tokens):
        depth += (token in _OPENING) - (token in _CLOSING)
        if depth <= 0 and place < len(tokens) - 1:
            return False
    return depth == 0


def _signs(text: str) -> tuple[str, ...]:
    """The values of an expression with plus-minus signs: of each sign both, with minus-plus the opposite."""
    pieces = re.split(r"\\pm(?![A-Za-z])", text)
    if (
        text.startswith(r"\{")
        or len(pieces) == 1
        or len(pieces) > 4
        or (len(pieces) > 2 and re.search(r"[,;]|\\mp", text))
    ):
        return ()
    found = []
    for signs in product("+-", repeat=len(pieces) - 1):
        value = pieces[0] + "".join(map("".join, zip(signs, pieces[1:], strict=True)))
        value = re.sub(r"\\mp(?![A-Za-z])", "-" if signs[0] == "+" else "+", value)
        found.append(re.sub(r"(^|[=(\[{,] ?)\+", r"\1", value).strip())
    return tuple(found)


# What a name of a value looks like: x, AB, \text{Area}, x_{\text{max}}, f(2), \det A, \|v\|, (x, y). A product of
# lower-case letters is none: xy = 1 is an equation.
_NAME = re.compile(
    r"(?:\\?(?:det|dim|deg|rank|tr|angle|triangle|operatorname\{[^{}]*\}|text\{[^{}]*\}) ?)?"
    r"(?:[A-Za-z]|[A-Z]{2,4}|[A-Za-z]{4,}|\\[A-Za-z]+|\\(?:text|vec|hat|overline|bar|mathbb) ?\{[^{}]*\})"
    r"(?:_(?:\w|\{[^{}=]*(?:\{[^{}]*\})?[^{}=]*\}))?'*(?:\([^()=]{1,20}\)|\[[^\[\]=]{1,20}\])?"
    r"|\\frac\{[A-Z]{2,4}\}\{[A-Z]{2,4}\}|[A-Z]{2,4}/[A-Z]{2,4}|\[[A-Z]{3,5}\]|\|[A-Za-z]{1,3}\||(?:\\\||\|\|)[^|=]{1,12}(?:\\\||\|\|)|\(\w(?:, ?\w)+\)"
)


def assignment(text: str) -> tuple[str, str]:
    r"""The name and value of an assignment: ("x", "3") of "x = 3" or "x \in 3"; ("", text) otherwise.

    Also of f(x) = ..., a_n = ... and \text{Area} = ....
    """
    parts = split(text, "=")
    if len(parts) == 1 and "=" not in text:
        parts = tuple(re.split(r"\\in(?![A-Za-z])", text, maxsplit=1))
    name = parts[0].strip()
    if (
        len(parts) > 1
        and _NAME.fullmatch(name)
        and not re.search(r"[<>]|\\[lg]e(?![A-Za-z])|\\equiv", text.removeprefix(parts[0]))
        and not any("\\text" in part for part in parts[1:-1])
    ):
        return re.sub(r"\s", "", name), parts[-1].strip()
    return "", text
