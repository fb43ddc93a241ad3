"""The rules by which answers that differ in typesetting alone get one spelling.

Not here: signs and commands that problems spell alike (text/typesetting.py); applying the rules.
"""

from __future__ import annotations

import re

from magpie_hf.text import typesetting


def _repeating(whole: str, fixed: str, period: str) -> str:
    r"""A repeating decimal as a fraction: 0.1\overline{6} is (16 - 1) / 90."""
    over = (10 ** len(period) - 1) * 10 ** len(fixed)
    above = int(whole + fixed + period) - int(whole + fixed or "0")
    return rf"\frac{{{above}}}{{{over}}}"


_OWN = {
    "\u3001": ",",
    **{
        fraction: rf"\frac{{{over}}}{{{under}}}"
        for fraction, over, under in ("½12", "⅓13", "⅔23", "¼14", "¾34", "⅕15", "⅙16", "⅛18")
    },
}
# Full-width letters and digits
_WIDE: dict[str, str] = {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
SIGNS = str.maketrans({**typesetting.SIGNS, **_OWN, **_WIDE})
_BASES = (
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
)
_FUNCTION = (
    r"\\(?:ln|log(?:_(?:\w|\{[^{}]*\}))?|a?r?c?(?:sin|cos|tan)h?|cot|sec|csc|exp)(?![A-Za-z])"
    r"(?:\^(?:\w|\{[^{}]*\}))?"
)
_ARGUMENT = (
    r"(?:(?:\d{1,12}(?:\.\d{1,12})?(?![\d.])|[A-Za-z]|\\(?:pi|theta|alpha|beta|phi|omega|lambda)"
    r"(?![A-Za-z])|\\sqrt ?\{[^{}]*\}"
    r"|\\frac ?\{[^{}]*\} ?\{[^{}]*\})(?:\^(?:\w|\{[^{}]*\}|\\circ))?)"
)
# What may follow "1/2 " as a factor
_FACTOR = (
    r"(?=[A-Za-z](?![A-Za-z])|[a-z]{2}(?![A-Za-z])|\(|\\(?:pi|sqrt|frac|ln|log|sin|cos|tan|exp|theta|"
    r"alpha|beta|gamma"
    r"|lambda|mu|omega)(?![A-Za-z]))"
)
_POWERS: dict[str, int] = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_PER = {"秒": "s", "分": "min", "時": "h"}
_EXCLUDED = r"\\(?:ne|neq|not=)(?![A-Za-z]) ?([^,]+)"
_SAME = (
    (r"\\(?:textcolor|color|hspace\*?|vspace\*?|h?phantom) ?\{[^{}]*\}|\\checkmark|✓|✅", " "),
    (r"(?<=\S) ?\\(?:blacksquare|square|Box|qed)(?![A-Za-z])", ""),
    (r"\\(?:tiny|small|normalsize|large|Large|LARGE|huge|Huge)(?![A-Za-z])", ""),
    (r"\\pounds(?![A-Za-z])", "£"),
    (r"\\text ?\{ ?(\\\$|[€£¥]) ?\}", r"\1"),
    (r"^\\?\$ ?(?=\d[\d.,]*(?:\\?\$)?$)|^(\d[\d.,]*) ?\\\$$", r"\\$\1"),
    (r"^(\\\$\d[\d.,]*)\\\$$", r"\1"),
    (
        r"^(?:\\(?:therefore|implies|Rightarrow)(?![A-Za-z])|[=∴]|(?:答え?|解答)(?:は|:|(?= ))) ?(?=\S)",
        "",
    ),
    (r"^([秒分時])速 ?(\d[\d.]*) ?(km|m|cm)$", lambda m: rf"{m[2]}\text{{ {m[3]}/{_PER[m[1]]}}}"),
    (r"\\frac ?\{ ?\\text ?\{ ?([a-z]+) ?\} ?\} ?\{ ?\\text ?\{ ?([a-z]+) ?\} ?\}", r"\\text{ \1/\2}"),
    (r"(?<=\d) ?\^ ?(?:o|\{ ?o ?\})(?![A-Za-z])", r"^\\circ "),
    (r"(?<=circ) ?\}? ?\\(?:text|mathrm) ?\{ ?[CF] ?\}", " "),
    (r"^\\mp(?![A-Za-z])(?!.*\\pm)", r"\\pm"),
    (r"\\text ?\{ ?(\d+(?:, \d+)*,? (?:and|or) \d+) ?\}", r"\1"),
    (
        r"(?<=\d)((?: |\\text ?\{) ?(?:hours?|hrs?|minutes?|mins?|feet|foot|ft|days?|weeks?|years?))"
        r"(?: and ?\}| ?\} ?(?:\\text ?\{ ?and ?\}|and) ?| and)(?= ?\d)",
        lambda m: m[1] + ("} " if "{" in m[1] else " "),
    ),
    # To math-verify it is a mixed number
    (r"(?<=\d) ?(?=\\[dt]?binom(?![A-Za-z]))", r"\\cdot"),
    (r"\\(?:textbf|mathbf|mathrm|mathit|text) ?(?=\{ ?\\(?:[dt]?frac|sqrt|pi|pm)(?![A-Za-z]))", ""),
    (r"^(?:USD|US ?\\\$) ?(?=\d)", r"\\$"),
    (
        r"^(?:\\sim(?![A-Za-z])|(?:\\text ?\{ ?)?(?:approximately|about|approx\.?|roughly|約)(?![a-z])"
        r" ?\}?) ?(?=\\?[\d.$])",
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
    (r"\\(?:ensuremath|boldsymbol|bm|pmb|bold|bbox ?\[[^\]]*\])(?= ?\{)", ""),
    (r"\\(?:bf|rm|it|boldmath)(?![A-Za-z])(?! ?\{)", ""),
    # Certainly a thousands separator; in 4,\,500 it may be one
    (r"(?<=\d) ?(?:\{ ?, ?\}|, ?\\!) ?(?=\d{3}(?!\d))", ""),
    (r"(?<=\d),\\[,;:] ?(?=\d{3}(?!\d))", ","),
    (
        r"(=[^=]*[^=,;\\ ])(?:\\[,: ]| )*(?:\\q?quad|\\;)(?:\\[,;: ]|\\q?quad| )*(?=\\?[A-Za-z]+(?:_\w)? ?=)",
        r"\1, ",
    ),
    (typesetting.SPACE, " "),
    (r"(?<=[\w)])\*\*(?=[\w(-])", "^"),
    (r"\+ ?/ ?-|(?:^|(?<=[=,])) ?\+-(?=[\d\\])", r"\\pm "),
    (r"^(?:\\text ?\{ ?)?(?:[Tt]he )?(?:[Ff]inal )?[Aa]nswer(?: is ?:?|:)(?: ?\})? ?(?=[^ ])", ""),
    (r"(?<=\d) ?\{\.\} ?(?=\d)", "."),
    (
        r"(?<!\d)(\d{1,9}) ?(?:\\degree|\^ ?\\circ|\^ ?\{ ?\\circ ?\}) ?(\d+) ?'(?!')(?: ?(\d+) ?(?:''|\"))?",
        lambda m: rf"\frac{{{3600 * int(m[1]) + 60 * int(m[2]) + int(m[3] or 0)}}}{{3600}}^\circ ",
    ),
    (
        r"\\(?:operatorname\*?|mathrm|text) ?\{ ?((?:arc)?(?:sin|cos|tan)h?|cot|sec|csc|ln|log|exp|gcd|"
        r"max|min|det) ?\}",
        r"\\\1",
    ),
    (
        rf"(?:\\(?:operatorname|text|mathrm) ?\{{ ?cis ?\}}|\\?(?<![A-Za-z])cis(?![A-Za-z])) ?"
        rf"(?:\(([^()]*)\)|({_ARGUMENT}{{1,4}}))",
        lambda m: rf"(\cos({m[1] or m[2]})+i\sin({m[1] or m[2]}))",
    ),
    (r"(?:\{ ?\})?[\^_] ?\{?(\d+)\}? ?P ?_ ?\{?(\d+)\}?|^(\d+)P(\d+)$", r"P(\1\3, \2\4)"),
    (r"^(\d+)C(\d+)$", r"\\binom{\1}{\2}"),
    (r"^\\(?:text|mathrm) ?\{ ?([CP]) ?\}(?= ?[_^])", r"\1"),
    (r"^C_\{?(\d+)\}?\^\{?(\d+)\}?$|nCr ?\((\d+), ?(\d+)\)", r"\\binom{\1\3}{\2\4}"),
    (r"\{ ?([^{}\\]+?) ?\\choose ?([^{}\\]+?) ?\}", r"\\binom{\1}{\2}"),
    (r"^([^{}\\]+?) ?\\choose ?([^{}\\]+)$", r"\\binom{\1}{\2}"),
    (r"(?<![A-Za-z\\_])C ?\((\d+|[nmN]), ?(\d+|[kr])\)", r"\\binom{\1}{\2}"),
    (r"(?:\{ ?\})?[\^_] ?\{?(\d+)\}? ?(?:\\text ?\{)?C\}? ?_ ?\{?(\d+)\}?", r"\\binom{\1}{\2}"),
    (r"^\\begin ?\{smallmatrix\}(.*)\\end ?\{smallmatrix\}$", r"\\begin{pmatrix}\1\\end{pmatrix}"),
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
    (r"\\\{ ?\\\}", r"\\emptyset"),
    (r"\\lg(?![A-Za-z])", r"\\log_{10}"),
    (r"\\(?:mathrm|rm) ?\{ ?([ied]) ?\}", r" \1 "),
    (
        r"\\(?:textbf|textit|textrm|textsf|texttt|textnormal|textup|mathrm|mathbf|mathit|mathsf|mathtt|"
        r"underline|mbox|operatorname|bf|rm)(?= ?\{)",
        r"\\text",
    ),
    (
        r"\\text ?\{ ?(?:per ?cent(?:age)?|pct\.?|\\?%) ?\}"
        r"|(?<![A-Za-z])(?:per ?cent(?:age)?|pct)(?![A-Za-z])"
        r"|\u30d1\u30fc\u30bb\u30f3\u30c8|\\%",
        "%",
    ),
    (r"\\text ?\{ ?(\d\w*) ?\}(?=_)", r"\1"),
    (r"(?<![\w)}])\\text ?\{ ?([-+]?(?:\\?[$£€¥] ?)?[\d.,/]*\d ?%?)\.? ?\}(?! ?[\w(])", r" \1 "),
    (r"(?<![\w)}])\\text ?\{ ?\( ?(\d+) ?\) ?\}(?! ?[\w(])", r" \1 "),
    (r"_ ?\{ ?\\text ?\{ ?base ?\} ?(\d+) ?\}", r"_{\1}"),
    # Japanese text needs no \text, and what joins values is written as in English
    (
        r"\\text ?\{([^{}\\A-Za-z]*)\}",
        lambda m: m[1] if re.search("[\u3040-\u30ff\u4e00-\u9fff]", m[1]) else m[0],
    ),
    (r"(?<=[\w)}\] ])(?:または|又は|もしくは|或者|或は|或)(?=[\w\\(\[ -])", r"\\text{ or }"),
    (r"(?<=\d) ?と ?(?=\d)|(?<=[\w)}\] ]) ?かつ ?(?=[\w\\(])", r"\\text{ and }"),
    (r"\\text ?\{ ?Rs\.? ?\}|(?<![A-Za-z])Rs\.? ?(?=\d)", "₹"),
    (r"(?<=\d)(?: ?\\text ?\{ ?to ?\} ?| to |対)(?=\d)", ":"),
    (r"(\d{1,9})分の(\d{1,9})", r"\\frac{\2}{\1}"),
    (
        r"(?<![\d.,])(?=\d)(?:(\d{1,4})億)?(?:(\d{1,4})万)?(?:(\d{1,4})千)?(?<=[億万千])(\d{1,4}(?![\d.,万千]))?",
        lambda m: str(
            sum(int(n or 0) * of for n, of in zip(m.groups(), (10**8, 10**4, 1000, 1), strict=True))
        ),
    ),
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
        r"(?<!\d)(?:\\\$ ?)?(\d{1,9})(?: dollars?(?: and)?| and) (\d\d?) cents?",
        lambda m: rf"\${int(m[1]) + int(m[2]) // 100}.{int(m[2]) % 100:02}",
    ),
    (r"(\d) ?[xX*] ?10 ?\^", r"\1\\times 10^"),
    (r"_ ?\{ ?\(?(\d+)\)? ?\}$", r"_{\1}"),
    (
        rf"_ ?\{{? ?\\text ?\{{ ?({'|'.join(_BASES)}) ?\}} ?\}}?",
        lambda m: f"_{{{2 + _BASES.index(m[1])}}}",
    ),
    (
        r"(?i)^(?:\\text ?\{)? ?(?:all|every|any) (?:the )?(reals?(?: numbers?)?|(?:positive )?integers?"
        r"|natural numbers)(?: ?\} ?[a-z]| [a-z] ?\}| ?\}|(?= except)|(?= ?\\text ?\{ except))?"
        r"(?: ?(?:\\text ?\{)? ?except(?: for)? ?\}? ?([-\d.a-z\\{}/]+))?$",
        lambda m: (
            rf"\mathbb{{{'R' if m[1][:4].lower() == 'real' else 'Z' if m[1][:3].lower() == 'int' else 'N'}}}"
            + (rf"\setminus\{{{m[2]}\}}" if m[2] else "")
        ),
    ),
    (r"(\\mathbb ?\{? ?[RCQZN] ?\}?) ?(?:-|\\backslash|\\smallsetminus) ?(?=\\\{)", r"\1\\setminus "),
    # A set of whole numbers between two others
    (
        r"\\\{ ?([a-z]) ?\\in ?\\mathbb ?\{? ?[ZN] ?\}? ?(?::|\||\\mid) ?(-?\d{1,3}) ?(\\le(?:q)?|<) ?\1 ?"
        r"(\\le(?:q)?|<) ?(-?\d{1,3}) ?\\\}",
        lambda m: (
            rf"\{{{', '.join(map(str, range(int(m[2]) + (m[3] == '<'), int(m[5]) + (m[4] != '<'))))}\}}"
        ),
    ),
    (r"(?i)^(?:\\text ?\{)? ?(?:the )?empty set ?\}?$", r"\\emptyset"),
    (r"\\mathbb ?\{? ?R ?\}? ?(?:\^ ?\{? ?\+ ?\}?|_ ?\{ ?> ?0 ?\}|_ ?\+)", r"(0, \\infty)"),
    (
        r"(?<![\d.])(\d{1,6}) ?(?:\\text ?\{ ?dozen(?: ?\}|(?= ))|dozen(?![a-z]))",
        lambda m: str(12 * int(m[1])),
    ),
    (r"\\\{ ?1, ?2(?:, ?3)?(?:, ?4)?, ?\\ldots ?,? ?\\\}", r"\\mathbb{N}"),
    (
        r"\\\{ ?0, ?1(?:, ?2)?(?:, ?3)?, ?\\ldots ?,? ?\\\}|\\mathbb ?\{? ?Z ?\}? ?_ ?\{ ?\\ge ?0 ?\}",
        r"\\mathbb{N}_0",
    ),
    (r"\\\{ ?\\ldots ?, ?(?:-2, ?)?-1, ?0, ?1(?:, ?2)?, ?\\ldots ?\\\}", r"\\mathbb{Z}"),
    (r"\\mathbb ?\{? ?Z ?\}? ?(?:\^ ?\{? ?\+ ?\}?|_ ?\{ ?> ?0 ?\})", r"\\mathbb{N}"),
    (
        r"^([A-Za-z]) ?\\in ?\\mathbb ?\{? ?R ?\}? ?((?:, ?\1 ?\\(?:ne|neq|not=)(?![A-Za-z]) ?[^,<>="
        r"]{1,20})+)$",
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
    (rf"({_FUNCTION}) ?([a-z]) ?/ ?\2(?![A-Za-z_])", r"\1(\2)/\2"),
    (rf"({_FUNCTION}) ?([a-df-z]) (?=e\^)", r"\1(\2) "),
    (r"\^ ?\\circ(?![A-Za-z])", r"^\\circ "),
    (r"\( ?(?:\\text\{)? ?\\?mod(?:ulo)?(?![a-z]) ?\}?([^()]*)\)", lambda m: rf"\pmod{{{m[1].strip()}}}"),
    (r"\\b?mod(?![A-Za-z])", r"\\pmod"),
    (r"(?<!\\)\$", " "),
    (r"\\frac ?(\d) ?(?=\{)", r"\\frac{\1}"),
    (r"\\frac ?(\{[^{}]*\}) ?(\d)", r"\\frac\1{\2}"),
    (
        r"(?<![A-Za-z\\])(pi|infty|infinity|sqrt|(?:arc)?(?:sin|cos|tan)|cot|sec|csc|ln|log|exp)(?![A-Za-z])",
        lambda m: "\\" + m[1].replace("infinity", "infty"),
    ),
    (r"\\sqrt ?\{ ?\} ?(\w)", r"\\sqrt{\1}"),
    (r"\\sqrt ?(\d+(?:\.\d+)?)", r"\\sqrt{\1}"),
    (r"\\sqrt ?\(([^()]*)\)", r"\\sqrt{\1}"),
    (r"\\dot ?\{? ?(\d)\}?(\d{0,18})\\dot ?\{? ?(\d) ?\}?", r"\\overline{\1\2\3}"),
    (
        r"(?<![\d.])(\d{0,20})\.(\d{0,20})\\(?:overline|dot|bar) ?(?:\{(\d{1,20})\}|(\d))",
        lambda m: _repeating(m[1], m[2], m[3] or m[4]),
    ),
    (r"(?<![\d.])(\d{1,20})\.()\((\d{1,20})\)", lambda m: _repeating(*m.groups())),
    (r"\^-(\d+)(?![\d.^])", r"^{-\1}"),
    (r"(\d)[eE]([+-]?\d+)(?![\d.])", r"\1\\times 10^{\2}"),
)
RULES = [*typesetting.RULES, *((re.compile(pattern), new) for pattern, new in _SAME)]
