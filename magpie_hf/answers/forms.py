"""Forms of answers that math-verify does not read: 1011_2, 3:4, products of cyclic groups, a > b > c.

Not here: their values; each form is written as another that is read, or is compared as a whole.
"""

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction

from magpie_hf.answers.notation import split
from magpie_hf.answers.words import DIFFERENT, EQUAL, UNKNOWN, words

_BASED = re.compile(r"(?P<sign>-?)(?P<digits>\d[\dA-F]*|[\dA-F]{2,}(?=_\{?1[1-6]))_\{?(?P<base>\d+)\}?")
_RATIO = re.compile(r"(?:[^=:]*(?::[^=:]*){1,4}=)?(?P<terms>\d+(?:\.\d+)?(?: ?: ?\d+(?:\.\d+)?)+)")
TIME = re.compile(r"\d{1,2}:[0-5]\d")
_CYCLIC = re.compile(
    r"\(?\\mathbb ?\{?Z\}?(?: ?/ ?(?P<over>\d+)(?: ?\\mathbb ?\{?Z\}?)?|_\{?(?P<order>\d+)\}?|"
    r" ?/ ?\((?P<ideal>\d+)\))\)?(?:\^\{?(?P<power>\d)\}?)?|C_\{?(?P<named>\d+)\}?"
)
_FIELD = re.compile(r"(?P<field>\\mathbb ?\{?[QRCF]\}?|[QFK])[(\[](?P<made>[^()\[\]]*)[)\]]")
_UNIT_VECTOR = re.compile(
    r"\\(?:text|vec|hat|overrightarrow)\{ ?\\?(?P<braced>[ijk])(?:math)? ?\}|\\hat ?\\?(?P<bare>[ijk])"
    r"(?:math)?"
)
_CHAIN = re.compile(r"(<|>|\\le(?![A-Za-z])|\\ge(?![A-Za-z]))")
_BUILT = re.compile(
    r"\\\{ ?(?P<name>[a-z]) ?(?:\\in ?\\mathbb\{?R\}? ?)?(?::|\\mid(?![a-z])|\|) ?(?P<holds>[^:|"
    r"]*(?P=name)[^:|]*)\\\}"
)
_TRANSPOSED = re.compile(
    r"(?:\\begin\{[bp]matrix\}(?P<rows>.*)\\end\{[bp]matrix\}|(?P<entries>[(\[][^()\[\]]*,[^()\[\]]*[)\]]))"
    r"\^(?:T|\\top|\{ ?(?:T|\\top|\\text\{T\}) ?\})"
)
_NESTED = re.compile(r"\[ ?\[[^\[\]]*\](?: ?, ?\[[^\[\]]*\])+ ?\]")  # [[1, 2], [3, 4]]
_TURNED = {">": "<", r"\ge": r"\le"}
_LONE = re.compile(r"[A-Za-z](?:_\w|_\{\w+\})?|[A-Z]{2}|\\[a-z]+|[a-z]\([\d.]+\)")
_CLOSED = re.compile(r"\\cup(?![A-Za-z])")


def compare_forms(one: str, other: str) -> str | None:
    """The relation of two answers of which one has such a form; None where no form is known."""
    for form in (_based, _ratios, _groups, _fields, _unions, _orders, _empty):
        if (said := form(one, other)) is not None:
            return said
    return None


def rewritten(text: str) -> str:
    """The answer in a form that is read: 3i - 7j as (3, -7), and a > b > c as c < b < a."""
    if components := _components(text):
        return components
    if found := _TRANSPOSED.fullmatch(text):
        if found["entries"]:
            return str(found["entries"])
        rows = [row.split("&") for row in re.split(r"\\\\", found["rows"]) if row.strip()]
        if len(set(map(len, rows))) == 1:
            columns = r"\\".join("&".join(column) for column in zip(*rows, strict=True))
            return rf"\begin{{pmatrix}}{columns}\end{{pmatrix}}"
    if _NESTED.fullmatch(text):
        inside = r" \\ ".join(row.replace(",", "&") for row in re.findall(r"\[([^\[\]]*)\]", text[1:-1]))
        return rf"\begin{{pmatrix}}{inside}\end{{pmatrix}}"
    if (built := _BUILT.fullmatch(text)) and _CHAIN.search(built["holds"]):
        text = built["holds"].strip()
    pieces = _CHAIN.split(text)
    if len(pieces) > 1 and set(pieces[1::2]) <= set(_TURNED) and not re.search(r"[,=]|\\text", text):
        text = "".join(_TURNED.get(piece, piece.strip()) for piece in reversed(pieces))
        text = re.sub(r"\\le(?=[A-Za-z])", r"\\le ", text)
    return text


def _based(one: str, other: str) -> str | None:
    """11 of 1011_2; the bare digits may be meant in that base, and 1011 is then neither."""
    found = [_BASED.fullmatch(re.sub(r"^\((\w+)\)_", r"\1_", text.replace(" ", ""))) for text in (one, other)]
    if not any(found):
        return None
    values = []
    for text, match in zip((one, other), found, strict=True):
        digits, base = (match["digits"], int(match["base"])) if match else (text, 10)
        try:
            values.append(int(f"{match['sign'] if match else ''}{digits}", base) if base > 1 else None)
        except ValueError:
            return UNKNOWN
    if all(found):
        return EQUAL if values[0] == values[1] else DIFFERENT
    (written,) = (match for match in found if match)
    bare = other if found[0] else one
    if values[0] == values[1]:
        return EQUAL
    return UNKNOWN if bare == written["sign"] + written["digits"] else DIFFERENT


def _ratios(one: str, other: str) -> str | None:
    """3:4 and 6:8 are equal; 10:30 and 5:15 may be times of day."""
    found = [_RATIO.fullmatch(text) for text in (one, other)]
    if not all(found):
        return None
    texts = [match["terms"] for match in found if match]
    terms = [[Fraction(term) for term in text.split(":")] for text in texts]
    if len(terms[0]) != len(terms[1]) or 0 in terms[0] + terms[1]:
        return UNKNOWN
    equal = all(a * terms[1][0] == b * terms[0][0] for a, b in zip(*terms, strict=True))
    is_time = all(map(TIME.fullmatch, texts)) and texts[0] != texts[1]
    return (UNKNOWN if is_time else EQUAL) if equal else DIFFERENT


def _groups(one: str, other: str) -> str | None:
    """Finite abelian groups, written as products of cyclic ones, by their elementary divisors."""
    divisors = [_elementary(text) for text in (one, other)]
    if divisors[0] is None or divisors[1] is None or not re.search(r"mathbb|\\(?:times|oplus)", one + other):
        return None
    return EQUAL if divisors[0] == divisors[1] else DIFFERENT


def _elementary(text: str) -> Counter[int] | None:
    found: Counter[int] = Counter()
    for factor in re.split(r"\\(?:times|oplus)(?![A-Za-z])", text):
        match = _CYCLIC.fullmatch(factor.replace(" ", ""))
        if match is None:
            return None
        order = int(match["over"] or match["order"] or match["ideal"] or match["named"])
        if not 0 < order < 10**6:
            return None
        prime = 2
        while order > 1:
            power = 1
            while order % prime == 0:
                order, power = order // prime, power * prime
            if power > 1:
                found[power] += int(match["power"] or 1)
            prime += 1
    return found


def _fields(one: str, other: str) -> str | None:
    """Q(a, b) and Q(b, a); other generators may make the same field."""
    found = [_FIELD.fullmatch(text) for text in (one, other)]
    if found[0] is None or found[1] is None or found[0]["field"] != found[1]["field"]:
        return None
    made = [sorted(split(match["made"])) for match in found if match]
    return EQUAL if made[0] == made[1] and one[-1] == other[-1] else None


def _orders(one: str, other: str) -> str | None:
    """a < b = c and c = b < a are chains of the same names, and differ where their order does."""
    chains = [_ordered(text) for text in (one, other)]
    if chains[0] is None or chains[1] is None:
        return None
    if set().union(*chains[0][0]) != set().union(*chains[1][0]):
        return None
    return EQUAL if chains[0] == chains[1] else DIFFERENT


def _ordered(text: str) -> tuple[list[frozenset[str]], list[str]] | None:
    """The names of a chain, least first, those between "=" together, and the signs between them."""
    pieces = _CHAIN.split(text)
    names = [frozenset(re.split(r" ?= ?", piece.strip())) for piece in pieces[::2]]
    signs = pieces[1::2]
    many = sum(map(len, names))
    if many < 3 or not signs or not all(_LONE.fullmatch(name) for group in names for name in group):
        return None
    if set(signs) <= set(_TURNED):
        return names[::-1], [_TURNED[sign] for sign in signs[::-1]]
    return (names, signs) if not set(signs) & set(_TURNED) else None


def _empty(one: str, other: str) -> str | None:
    r"""No solution is an empty set of them."""
    said = [words(text) for text in (one, other) if text != r"\emptyset"]
    return EQUAL if len(said) == 1 and said[0] in ("no solution", "no solutions") else None


def _unions(one: str, other: str) -> str | None:
    parts = [sorted(part.strip() for part in _CLOSED.split(text)) for text in (one, other)]
    return EQUAL if len(parts[0]) > 1 and parts[0] == parts[1] else None


def vector(text: str) -> str | None:
    """The tuple that a matrix of one row or one column may be."""
    found = re.fullmatch(r"\\begin\{[bp]matrix\}(.*)\\end\{[bp]matrix\}", text)
    rows = [row.split("&") for row in re.split(r"\\\\", found[1]) if row.strip()] if found else []
    if not rows or (len(rows) > 1 and any(len(row) > 1 for row in rows)) or len(rows) * len(rows[0]) < 2:
        return None
    return f"({', '.join(entry.strip() for row in rows for entry in row)})"


def _components(text: str) -> str | None:
    r"""A combination of unit vectors as a tuple; they must be set as vectors, as i alone is a number."""
    names = [match["braced"] or match["bare"] for match in _UNIT_VECTOR.finditer(text)]
    if len(names) < 2 or len(set(names)) < len(names) or "=" in text or "," in text:
        return None
    places = dict.fromkeys("ijk" if "k" in names else "ij", "0")
    terms = re.findall(r"[-+]?(?:\{[^{}]*\}|\([^()]*\)|[^-+{}()])+", text.replace(" ", ""))
    if "".join(terms) != text.replace(" ", ""):
        return None
    for term in terms:
        match = _UNIT_VECTOR.search(term)
        if match is None or _UNIT_VECTOR.sub("", term, count=1) != term[: match.start()]:
            return None
        factor = term[: match.start()].removeprefix("+")
        places[match["braced"] or match["bare"]] = factor + "1" if factor in ("", "-") else factor
    return f"({', '.join(places.values())})"
