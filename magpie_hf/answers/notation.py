"""The notation of an answer: one spelling per answer, and the parts of lists, sets and tuples.

Not here: its value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from magpie_hf.answers.spelling import RULES, SIGNS
from magpie_hf.answers.units import known_unit, measure
from magpie_hf.text.typesetting import levelled

_WRAPPERS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"), ("`", "`"))
_GROUPED = re.compile(r"(?<![\d.,])(?<!\d[ ,])\d{1,3}(?:(?:,\d{3})+|(?: \d{3})+)(?!\d|[, ]\d)")
_COMMA = re.compile(rf"({_GROUPED.pattern})|, ?")
_ROUNDS = 8
_WITH_COUNTER = re.compile(r"(?P<value>.*[\d}]) ?(?P<unit>[^\x00-\x7f]{1,3})")
_WITH_ARGUMENTS = re.compile(r"\\(?:[dtc]?frac|[dt]?binom|sqrt(?: ?\[[^\[\]]*\])?)(?![A-Za-z])")
_ARGUMENT = re.compile(r"\s*(\{|\\[A-Za-z]+|[^\s{}\\])")


@lru_cache(maxsize=1024)  # each answer of a vote is compared with several others
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
    text = _unwrapped(levelled(text).translate(SIGNS))
    for pattern, new in RULES:
        text = pattern.sub(new, text)
    text = re.sub(r" +", " ", text).strip()
    text = re.sub(r"(\\[A-Za-z]+) (?![A-Za-z])", r"\1", text)
    text = re.sub(r"(?<![A-Za-z0-9},]) | (?![A-Za-z0-9\\])", "", text)
    text = _COMMA.sub(lambda found: found[1] or ", ", text).strip()
    return re.sub(r"([\^_])\{([A-Za-z0-9])\}(?![A-Za-z0-9])", r"\1\2", text)


def for_reward(answer: str) -> str:
    """An answer as a reward reads it: 12 for １２通り, and with `braced` arguments.

    Without Japanese, only the braces are other ones. What can be measured in several units keeps its unit.
    """
    if answer.isascii():
        return braced(answer)
    text = normalise(answer)
    counted = _WITH_COUNTER.fullmatch(text)
    unit = known_unit(counted["unit"]) if counted else None
    text = counted["value"] if counted and unit and measure(unit) is None else text
    return braced(answer if r"\text" in text else text)  # 3または5 are values in words, not one value


def braced(text: str) -> str:
    r"""The text with the arguments of fractions, binomials and roots in braces: \frac{1}{2} for \frac12.

    The reward of TRL 1.16 reads no others: 22 of 275 answers scored 0 against themselves, and none so.
    """
    end = 0
    while found := _WITH_ARGUMENTS.search(text, end):
        end = place = found.end()
        for _ in range(1 if "sqrt" in found[0] else 2):
            argument = _ARGUMENT.match(text, place)
            if argument is None:
                break
            if argument[1] == "{":
                place = _closing(text, argument.end())
            else:
                text = f"{text[:place]}{{{argument[1]}}}{text[argument.end() :]}"
                place += len(argument[1]) + 2
    return text


def _closing(text: str, start: int) -> int:
    """The place after the brace that closes one before `start`."""
    depth = 1
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return place + 1
    return len(text)


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


# --- parts --------------------------------------------------------------------------------------------------

_TOKEN = re.compile(r"\\(?:text|mathrm)\s*\{[^{}]*\}|\\[A-Za-z]+|\\.|.", re.DOTALL)
_OPENING = {"(": ")", "[": "]", "{": "}", r"\{": r"\}", r"\langle": r"\rangle"}
_CLOSING = frozenset({")", "]", "}", r"\}", r"\rangle"})
_JOINING = re.compile(r"\\text\s*\{\s*,?\s*(?:and|or)\s*\}|(?<=[^A-Za-z\\])(?:and|or)(?=[^A-Za-z])")
_LOGIC = re.compile(r"\\(?:lor|land|vee|wedge)(?![A-Za-z])")
_RELATES = re.compile(r"[=<>]|\\(?:le|ge|ne|in)(?![A-Za-z])")


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
    joined = _JOINING.sub(",", _LOGIC.sub(",", text) if _RELATES.search(text) else text)
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


# What a name of a value looks like: x, AB, \text{Area}, f(2), \det A, \|v\|, (x, y). A product of
# lower-case letters is none: xy = 1 is an equation.
_NAME = re.compile(
    r"(?:\\?(?:det|dim|deg|rank|tr|m?\\?angle|triangle|operatorname\{[^{}]*\}|text\{[^{}]*\}) ?)?"
    r"(?:[A-Za-z]|[A-Z]{2,4}|[A-Za-z]{4,}|\\[A-Za-z]+|\\(?:text|vec|hat|overline|bar|mathbb) ?\{[^{}]*\})"
    r"(?:_(?:\w|\{[^{}=]*(?:\{[^{}]*\})?[^{}=]*\}))?'*(?:\([^()=]{1,20}\)|\[[^\[\]=]{1,20}\])?"
    r"|\\?(?:P|Pr|mathbb\{P\})(?:\([^()]{1,40}\)|\[[^\[\]]{1,40}\])"
    r"|\|[A-Z](?: ?\\(?:cup|cap|setminus|times) ?[A-Z])+\|"
    r"|\\(?:sin|cos|tan|cot|sec|csc) ?(?:\\(?:theta|alpha|beta|gamma|phi|angle ?[A-Z]{1,3})|[A-C])"
    r"|[A-Za-z]\^\{-1\}(?:\([^()=]{1,20}\))?"
    r"|\\frac ?\{(?:d|\\partial ?)(?:\^\d)?[A-Za-z]\}\{(?:d|\\partial ?)[A-Za-z](?:\^\d)?\}"
    r"|\\(?:int|lim|sum|prod)(?![A-Za-z]).*"
    r"|\\frac\{[A-Z]{2,4}\}\{[A-Z]{2,4}\}|[A-Z]{2,4}/[A-Z]{2,4}|\[[A-Z]{3,5}\]|\|[A-Za-z]{1,3}\||(?:\\\|"
    r"|\|\|)[^|=]{1,12}(?:\\\||\|\|)|\(\w(?:, ?\w)+\)"
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
