"""Formulas in a text: LaTeX as Unicode, if that has the same meaning.

Not here: control characters (text/terminal.py), and rows.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pylatexenc.latex2text import LatexNodes2Text
    from pylatexenc.latexwalker import LatexNode

    Replacement = Callable[[LatexNode, LatexNodes2Text], str]

LONGEST = 2_000  # characters of one formula; a longer one stays LaTeX
MOST = 50_000  # characters of a text whose formulas are read, in a second at worst; the rest stays LaTeX
DEEPEST = 30  # nested groups, environments and arguments; pylatexenc's recursion fails beyond about 60
_ENVIRONMENTS = (
    "equation align gather multline eqnarray cases array matrix pmatrix bmatrix vmatrix Vmatrix aligned split"
).split()

# No formula may contain another's opening delimiter, so each is scanned once, even if nothing closes it. A
# dollar sign opens a formula before a non-space and closes one after a non-space, unless a digit follows:
# "$5 or $6" are prices.
_FORMULA = re.compile(
    rf"""(?<!\\)(?:
      \$\$(?P<display>(?:[^$\\]|\\.){{1,{LONGEST}}})\$\$
    | \$(?=\S)(?P<dollars>(?:[^$\\\n]|\\.|\n(?!\s*\n)){{1,{LONGEST}}})(?<=\S)\$(?!\d)
    | \\\[(?P<brackets>(?:[^\\]|\\[^\[\]]){{1,{LONGEST}}})\\\]
    | \\\((?P<round>(?:[^\\]|\\[^()]){{1,{LONGEST}}})\\\)
    | (?P<environment>\\begin\{{(?P<name>(?:{"|".join(_ENVIRONMENTS)})\*?)\}}
        (?:(?!\\begin\{{(?P=name)\}}).){{0,{LONGEST}}}?\\end\{{(?P=name)\}})
    | (?P<box>\\boxed\{{(?:[^{{}}]|\{{(?:[^{{}}]|\{{[^{{}}]*\}})*\}}){{1,{LONGEST}}}\}})
    )""",
    re.DOTALL | re.VERBOSE,
)
_RAISED = dict(
    zip(
        "0123456789+-=()abcdefghijklmnoprstuvwxyzT′∘*",
        "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᵀ′°*",
        strict=True,
    )
)
_LOWERED = dict(zip("0123456789+-=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True))
_SYMBOLS = {
    "implies": " ⟹ ", "impliedby": " ⟸ ", "iff": " ⟺ ", "prime": "′", "bmod": " mod ", "dots": "…",
    "dotsc": "…", "dotsb": "⋯",
    "ge": "≥", "le": "≤", "ne": "≠", "lt": "<", "gt": ">", "to": "→", "gets": "←", "colon": ":",
    "coloneqq": "≔", "nmid": "∤", "neg": "¬",
    "land": "∧", "lor": "∨", "varnothing": "∅", "emptyset": "∅", "complement": "∁", "square": "□",
    "blacksquare": "■", "qedsymbol": "□",
    "lvert": "|", "rvert": "|", "|": "‖", "triangle": "△", "degree": "°", "cdotp": "·", "lhd": "⊲",
    "unlhd": "⊴", "models": "⊨", "bot": "⊥",
    "lbrack": "[", "rbrack": "]", "checkmark": "✓", "Re": "Re", "Im": "Im", "quad": "  ", "qquad": "  ",
    " ": " ", ",": " ", ";": " ", ":": " ", ">": " ", "thinspace": " ", "medspace": " ", "hfill": " ",
    "newline": "\n", "!": "",
    **{name: name for name in "sec csc cot det dim ker hom deg gcd lcm arg rank tr sgn Pr".split()},
    **dict.fromkeys("left right middle limits nolimits nonumber hline allowbreak noindent".split(), ""),
    **dict.fromkeys("displaystyle textstyle scriptstyle".split(), ""),
}  # fmt: skip
# Commands that change only the look of their argument.
_WRAPPERS = "mbox texttt boldsymbol bm Bbb mathop mathbin mathrel underbrace overbrace substack".split()
_TEMPLATES = {"boxed": "[%s]", "pmod": " (mod %s)", "mod": " mod %s", "tag": "(%s)"}
_SIZES = [f"{size}{side}" for size in ("big", "Big", "bigg", "Bigg") for side in ("", "l", "r", "m")]


# What pylatexenc 2.11 raised besides its own error on 34,000 random texts: for \\verb at the end, for a
# command without arguments in place of an argument, for an array without rows, and for very deep nesting.
_BROKEN = (IndexError, AttributeError, TypeError, KeyError, ValueError, RecursionError)


class _Unknown(Exception):
    """A formula has a command without a Unicode text; leaving it out would change the meaning."""


def in_unicode(text: str) -> str:
    """The text with its formulas in Unicode; those that are broken, too long or unknown stay LaTeX.

    Prose stays as it is, even where TeX would read its %, & or ~ otherwise. Takes any text, in bounded time.
    """
    return _FORMULA.sub(_formula, text[:MOST]) + text[MOST:]


def _formula(found: re.Match[str]) -> str:
    inner = next(
        filter(
            None, (found[name] for name in ("display", "dollars", "brackets", "round", "environment", "box"))
        )
    )
    if len(inner) > LONGEST or (
        max(inner.count("{"), inner.count("\\")) > DEEPEST and _depth(inner) > DEEPEST
    ):
        return found[0]
    return _read(inner) or found[0]


def _depth(formula: str) -> int:
    """An upper bound of the nesting of groups, environments and arguments in a formula."""
    deepest = depth = run = 0
    for token in re.findall(r"\\begin|\\end|\\[a-zA-Z]+|[{}^_]|[^\s]", formula):
        depth += {"{": 1, "}": -1, "\\begin": 1, "\\end": -1}.get(token, 0)
        run = run + 1 if token in "^_{" or token.startswith("\\") else 0  # \sqrt\sqrt\sqrt x
        deepest = max(deepest, depth, run)
    return deepest


def _read(formula: str) -> str | None:
    """A formula in Unicode; None if it cannot be read."""
    from pylatexenc.latexwalker import LatexWalker, LatexWalkerError

    if not re.search(r"[\\{}^_&~`'#%-]", formula):
        return formula.strip()
    walking, reader = _contexts()
    source = re.sub(r"(?<!\\)%", r"\\%", formula)  # a percent sign in the text, a comment in TeX
    # x^\text{th}, as models write it and pylatexenc does not parse.
    source = re.sub(r"([\^_])(\\[a-zA-Z]+(?:\{[^{}]*\})+)", r"\1{\2}", source)
    try:
        nodes, _, _ = LatexWalker(source, latex_context=walking, tolerant_parsing=False).get_latex_nodes()
        read = str(reader.nodelist_to_text(nodes))
    except (LatexWalkerError, _Unknown, *_BROKEN):
        return None
    read = re.sub(r"[ \t]+([·⋅×÷])[ \t]*", r" \1 ", read)  # TeX ends a command with the space behind it
    spaced = re.sub(r"[ \t]*(:=|[=≤≥≠<>≈≡∈∉→←⟹⟸⟺]+)[ \t]*", r" \1 ", re.sub(r"[ \t]+", " ", read))
    return re.sub(r" +(?=[)\],.;\n])|(?<=[(\[\n]) +", "", spaced).strip()


@cache
def _contexts() -> tuple[Any, LatexNodes2Text]:
    """pylatexenc's tables of commands, with those that it lacks: their arguments and their texts."""
    from pylatexenc import latex2text, latexwalker, macrospec

    fractions, choices = ([f"{size}{name}" for size in ("", "d", "t", "c")] for name in ("frac", "binom"))
    one = dict.fromkeys((*_WRAPPERS, *_TEMPLATES, "overline"), "{")
    takes = {**one, **dict.fromkeys((*fractions, *choices), "{{"), "sqrt": "[{", "operatorname": "*{"}
    says: dict[str, Replacement | str] = {
        **_SYMBOLS,
        **dict.fromkeys(_SIZES, ""),
        **dict.fromkeys(fractions, _fraction),
    }
    templates = {**_TEMPLATES, **dict.fromkeys(_WRAPPERS, "%s"), **dict.fromkeys(choices, "C(%s, %s)")}
    says |= {name: _filled(template) for name, template in templates.items()}
    says |= {
        "sqrt": _root,
        "overline": _overlined,
        "operatorname": lambda node, l2tobj: f" {_arguments(node, l2tobj)[-1]} ",
    }
    scripts: dict[str, Replacement] = {"^": _script("^", _RAISED), "_": _script("_", _LOWERED)}
    logging.getLogger("pylatexenc").setLevel(logging.CRITICAL)  # it logs a warning for each missing argument
    walking, speaking = latexwalker.get_default_latex_context_db(), latex2text.get_default_latex_context_db()
    walking.add_context_category(
        "magpie",
        prepend=True,
        macros=[macrospec.std_macro(name, shape) for name, shape in takes.items()],
        specials=[
            macrospec.SpecialsSpec(sign, args_parser=macrospec.MacroStandardArgsParser("{"))
            for sign in scripts
        ],
    )
    speaking.add_context_category(
        "magpie",
        prepend=True,
        macros=[latex2text.MacroTextSpec(name, simplify_repl=text) for name, text in says.items()],
        environments=[latex2text.EnvironmentTextSpec("cases", simplify_repl="{ %s }")],
        specials=[
            latex2text.SpecialsTextSpec(sign, simplify_repl=script) for sign, script in scripts.items()
        ],
    )
    speaking.set_unknown_macro_spec(latex2text.MacroTextSpec("", simplify_repl=_unknown))
    speaking.set_unknown_environment_spec(latex2text.EnvironmentTextSpec("", simplify_repl=_unknown))
    return walking, latex2text.LatexNodes2Text(latex_context=speaking, math_mode="text")


def _unknown(node: LatexNode, l2tobj: LatexNodes2Text) -> str:
    raise _Unknown


def _arguments(node: LatexNode, l2tobj: LatexNodes2Text) -> Sequence[str]:
    return [
        "" if one is None else str(l2tobj.nodelist_to_text([one])).strip() for one in node.nodeargd.argnlist
    ]


def _filled(template: str) -> Replacement:
    return lambda node, l2tobj: template % tuple(_arguments(node, l2tobj))


def _fraction(node: LatexNode, l2tobj: LatexNodes2Text) -> str:
    above, below = _arguments(node, l2tobj)
    if above.isdecimal() and below.isdecimal() and above.isascii() and below.isascii():
        return f"{''.join(map(_RAISED.__getitem__, above))}⁄{''.join(map(_LOWERED.__getitem__, below))}"
    return f" {_single(above)}/{_single(below)} "


def _single(text: str) -> str:
    """In parentheses, unless it is one number, word or parenthesised text."""
    return text if re.fullmatch(r"√?\w*\([^()]*\)|[\w.′²³]+", text) else f"({text})"


def _root(node: LatexNode, l2tobj: LatexNodes2Text) -> str:
    degree, inside = _arguments(node, l2tobj)
    return (
        f"{_scripted(degree, '^', _RAISED) if degree else ''}√{inside if len(inside) == 1 else f'({inside})'}"
    )


def _script(sign: str, letters: dict[str, str]) -> Replacement:
    return lambda node, l2tobj: _scripted(_arguments(node, l2tobj)[0], sign, letters)


def _scripted(text: str, sign: str, letters: dict[str, str]) -> str:
    if all(letter in letters for letter in text):
        return "".join(letters[letter] for letter in text)
    return f"{sign}{text if len(text) == 1 else f'({text})'}"


def _overlined(node: LatexNode, l2tobj: LatexNodes2Text) -> str:
    return "".join(f"{letter}\u0305" for letter in _arguments(node, l2tobj)[0])
