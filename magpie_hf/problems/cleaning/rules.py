"""Rules: an ordered table of what makes an instruction no problem.

Not here: the stage, special tokens, which languages are wanted.

To add a rule, write a line into RULES: a reason, a pattern or a function `str -> bool`, and what it finds.
The first rule that matches gives the reason. Then add texts that it must and must not drop to
tests/problem_table.py. Patterns that trim a problem are in contained_solutions.py.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from magpie_hf.problems.cleaning.chatter import is_chat
from magpie_hf.problems.cleaning.contained_solutions import (
    contains_solution,
    heading_of_solution,
    may_be_data,
    without_label,
)
from magpie_hf.problems.cleaning.language import is_mixture
from magpie_hf.problems.cleaning.lexicon import asks, has_task, is_english, is_fill_in, is_japanese
from magpie_hf.problems.cleaning.missing_context import lacks_material, lacks_options
from magpie_hf.problems.cleaning.prose import FORMULA, read, sentences

MAX_CHARACTERS = 8_000  # 1,024 tokens of English are about 4,000
MIN_WORDS = 3
# Repetitions of a sentence; a period of so many words or letters, repeated so often, is a loop
OFTEN, PERIOD, LOOP = 3, 12, 5
LONG_SENTENCE = 80  # letters: a sentence of this length is never repeated on purpose


@dataclass(frozen=True)
class Rule:
    """A rule that drops an instruction.

    reason: the code in `dropped`.
    test: a pattern to search for, or a function.
    doc: what it finds.
    """

    reason: str
    test: re.Pattern[str] | Callable[[str], bool]
    doc: str

    def fires(self, text: str) -> bool:
        return self.test.search(text) is not None if isinstance(self.test, re.Pattern) else self.test(text)


_DRAWING = re.compile(r"\[asy\].*?(?:\[/asy\]|\Z)", re.DOTALL)  # its orders are alike by nature
_LOOPING_LETTERS = re.compile(rf"([^\W\d_]{{1,{PERIOD}}}?)\1{{9}}")


_TOKEN = re.compile(rf"[^\W\d_]+|\d+|{FORMULA}")


def _are_words(tokens: list[str]) -> bool:
    return any(len(token) > 1 and token.isalpha() for token in tokens)


def repeats(text: str) -> bool:
    """Whether words, letters or sentences repeat in a loop.

    Numbers and formulas may repeat: "1, 1, 2", a matrix of zeros.
    """
    text = _DRAWING.sub(" ", text)
    formulas = iter(read(text).formulas)
    whole = (
        (sentence, *(next(formulas, "") for _ in range(sentence.count(FORMULA))))
        for sentence in sentences(text)
    )
    said = Counter(sentence for sentence in whole if len(sentence[0]) >= 20)
    if any(
        times >= OFTEN or (times > 1 and len(words) >= LONG_SENTENCE) for (words, *_), times in said.items()
    ):
        return True
    formulas = iter(read(text).formulas)
    said_in_order = [
        next(formulas, "") if token == FORMULA else token.lower()
        for token in _TOKEN.findall(read(text).words)
    ]
    for period in range(1, PERIOD + 1):
        run = 0
        for at, (one, other) in enumerate(zip(said_in_order, said_in_order[period:], strict=False)):
            run = run + 1 if one == other else 0
            if run >= period * (LOOP - 2 if period > 3 else LOOP - 1) and _are_words(
                said_in_order[at : at + period]
            ):
                return True
    return _LOOPING_LETTERS.search(read(text).words) is not None


_LOWER_BY_NATURE = re.compile(
    r"(?:sin|cos|tan|log|ln|exp|lim|det|gcd|lcm|max|min|sup|inf|dim|deg|pi|de|von|van|der|al|mod|iid|pdf|cdf"
    r"|if|let|given|suppose|assume"
    r"|consider)\b"
)
_BEGINS = re.compile(
    r"(?:my|we|you|no|both|one|five|six|seven|eight|nine|ten|twelve|an?|the|for|in|on|at|from|two|three"
    r"|four|is|are|do|can|where|when|who|why|there|every|each|all|some"
    r"|any|with|define|using|by|i|which)\b"
)
_INFORMAL = re.compile(
    r"(?:is|are|do|does|can|what|which|when|where)\b[^.!]{0,300}\?"
    r"|(?:the|every|each|all|there|for|in|on|if|an?|no|both|one|two|three|four|five|six|seven|eight"
    r"|nine|ten|n)\b(?!\s(?:of|and))[^.?!]{0,200}?"
    r"\b(?:is|are|has|have|was|can|exists?|satisf\w+|converges?|holds?|does|do)\b"
)
_CAPITAL_LATER = re.compile(r"(?:[.?!]\s+|\n)[A-Z][a-z]")
_ORDINARY_LOWER = re.compile(r"[a-z]{2,}(?:['’-][a-z]+)*(?=[\s,.;:]|$)|a(?= [a-z]{2})")
_MIDDLE = re.compile(
    r"[,;:.!?)}、。，．）」』】%](?!\d)|['’]s\b|[B-H]\)\s|[ぁをん]|である|のとき|に対して|において|が成り立|-(?=[a-z]{3})|(?:and|or"
    r"|but|such that)[ ,]"
)
_RELATIVE = re.compile(r"(?:which|where|whose|that)[ ,]")


def is_fragment(text: str) -> bool:
    """Whether it starts in the middle of a sentence.

    An order or a question may start in lower case, and a formula with any character.
    """
    capital_later = _CAPITAL_LATER.search(text) is not None  # no capitals at all: lower case is fine
    if _MIDDLE.match(text) or (capital_later and _RELATIVE.match(text)):
        return True
    found = None if is_japanese(text) else _ORDINARY_LOWER.match(text)
    if found is None or _INFORMAL.match(text) or _LOWER_BY_NATURE.match(text) or asks(found.group()):
        return False
    return capital_later or _BEGINS.match(text) is None


_NUMBERED = r"(?:problem|question|exercise|task|q)\s?(?:no\.?\s?|#)?"
_AT_LINE = r"^[#*_\s]{0,12}"
_FIRST_LABEL = re.compile(
    rf"{_AT_LINE}(?:{_NUMBERED}(?:1|one|A)\b|[【\[]?(?:問題|問)\s?[1１一])", re.IGNORECASE | re.MULTILINE
)
_SECOND_LABEL = re.compile(
    rf"{_AT_LINE}{_NUMBERED}(?:[2-9]|two|[B-D])\b[*_]{{0,3}}\s?(?:[:.)]|$|\()"
    rf"|(?<=[.?!]\s){_NUMBERED}2\s?[:.)]"
    rf"|{_AT_LINE}[【\[]?(?:問題|問)\s?[2-9２-９二三][】\]]?",
    re.IGNORECASE | re.MULTILINE,
)
_NEXT_LABEL = re.compile(
    rf"{_AT_LINE}(?:(?:problem|question|exercise)[*_]{{0,3}}\s?:|q:|(?:another|next|second|bonus)"
    r" (?:problem|question)\b[^.?!\n]{0,40}:)"
    r"|\b(?:here is|here's) another (?:problem|question)\b",
    re.IGNORECASE | re.MULTILINE,
)
_ITEM = re.compile(r"(?:^|(?<=[.?!。])[ \t]+|\n)[ \t]{0,4}(?:\*\*)?\(?[1-9][.)](?:\*\*)?[ \t]+(?=\S)")
_BARE_STEM = re.compile(
    r"\W*(?:please )?(?:solve|answer|prove|consider|compute|evaluate|do|here are|below are)\b[^.?!\n$]{0,60}"
    r"\b(?:problems|questions|exercises|tasks)\b[^.?!\n$]{0,60}\W*$|\W*(?:以下|次)の問題?(?:に答え|を解)[^。"
    r"\n]{0,12}[。\n]?\s*$",
    re.IGNORECASE,
)
_RULER = re.compile(r"\n[ \t]*(?:-{3,}|\*{3,}|={3,}|_{3,})[ \t]*\n")
_ANSWER_THESE = re.compile(
    r"(?:次|以下|下記)の(?:各|設)?問[い題]?\s?[\d１-９]{0,2}\s?[~〜～ー-]?\s?[\d１-９]{0,2}に(?:すべて)?(?:答"
    r"|解答)[^。．\n]{0,8}[。．\n]?"
)
_NOTE = re.compile(
    r"\W*(?:note|hint|remark|please|give|provide|express|write|your|answer|source|comment)\b", re.IGNORECASE
)
_BACK = re.compile(
    r"\b(?:hence|this|these|those|its?|their|deduce|same|above|previous|parts?|conclude|also|now|such"
    r"|resulting|both|again"
    r"|instead)\b|その|この|前|[(（]\s?\d\s?[)）]|問\s?[1-9１-９]"
)
_INTRODUCES = re.compile(r"\b(?:let|suppose|define|given|consider|denote|assume)\b", re.IGNORECASE)
_SYMBOL = re.compile(r"(?<![A-Za-z\\])[A-Zfgh](?![A-Za-z])")


def is_several(text: str) -> bool:
    """Whether it holds more than one problem.

    Parts with a common stem, or about the same object, are one problem.
    """
    body = without_label(text)
    return _has_labels(body) or _has_separate_items(body) or sum(map(_is_task, _RULER.split(body))) > 1


def _is_task(text: str) -> bool:
    return asks(text) and not _NOTE.match(text)


def _has_labels(body: str) -> bool:
    """Whether it has a second label, and the labelled parts have no common stem before them."""
    if (second := _SECOND_LABEL.search(body)) and (
        second.start() or _SECOND_LABEL.search(body, second.end())
    ):
        first = _FIRST_LABEL.search(body)
        stem = _ANSWER_THESE.sub("", body[: first.start()]).strip() if first else ""
        return not stem or asks(stem) or _BARE_STEM.match(stem) is not None
    following = [found.start() for found in _NEXT_LABEL.finditer(body)][-1:]
    return any(asks(body[:start]) for start in following)


def _has_separate_items(body: str) -> bool:
    """Whether it is a list of tasks without a common stem, none of which refers to another."""
    marks = list(_ITEM.finditer(body))
    if len(marks) < 2:
        return False
    stem = body[: marks[0].start()]
    starts = [*(mark.start() for mark in marks[1:]), len(body)]
    items = [body[mark.end() : end] for mark, end in zip(marks, starts, strict=True)]
    if not all(map(asks, items)) or (stem.strip() and not _BARE_STEM.match(stem)):
        return False
    named = set(_SYMBOL.findall(items[0])) if _INTRODUCES.search(items[0]) else set()
    return not any(
        _BACK.search(item) or (not _INTRODUCES.search(item) and named.intersection(_SYMBOL.findall(item)))
        for item in items[1:]
    )


_CONNECTIVES = """and or nor where with that let of the an such for to in on by is are be if then
    as at from which when whose has have than into over under but between given find prove show
    determine compute evaluate calculate suppose consider define denote assume every each its their
    satisfying denotes denote using let's because since while whether respectively,""".split()
_OPEN_END = re.compile(
    rf"(?:^|[\s{FORMULA}(])(?:{'|'.join(_CONNECTIVES)})$|\b(?:is|be|has|as|into|contains|there)"
    r" a$|\b(?:of|for|that) all$",
    re.IGNORECASE,
)
_OPEN_MARK = re.compile(r"(?:[:：,，、;；(（\[{=+<＝&/\\^×·「『]|(?<=\s)[-–—]|(?<=[a-z])(?:-|\.{3}|…))$")
_OPEN_ADJECTIVE = re.compile(
    r"\b(?:an?|the|every|each|any|some|all)(?: [a-z]+ly)?"
    r" (?:finite|infinite|maximal|minimal|normal|compact|continuous|connected|positive"
    r"|negative|random"
    r"|arbitrary|smooth|bounded|closed|open|linear|simple|abelian|cyclic|commutative|convex|fair|standard"
    r"|certain|independent|chosen"
    r"|given|nonzero"
    r"|following)$",
    re.IGNORECASE,
)
_OPEN_ITEM = re.compile(r"[;:.,]\s*\((?:[ivx]{1,4}|[a-h]|[1-9])\)$")
_OPEN_IN_JAPANESE = re.compile(
    r"(?:[をはがにへ]|[^こも]と|[^もた]の|および|または|かつ|ただし|このとき|とき|ならば)$"
)
# Announces a formula: "Evaluate the integral", and nothing more
_OPEN_NOUN = re.compile(
    r"\b(?:the|this|following|each)(?: \w+){0,2} (?:integrals?|series|expressions?|congruences?|equations?"
    r"|inequalit(?:y|ies)|systems?|limits?|sums?|polynomials?|functions?|products?|matrix|matrices"
    r"|determinants?|recurrences?|identit(?:y|ies)|fractions?|formulas?|conditions?|relations?|congruences?"
    r"|sequences?)$|\b(?:through|between) the points$"
    r"|\b(?:bounded|enclosed|formed|given|defined|described) by the (?:\w+ )?\w+$",
    re.IGNORECASE,
)
_STATES = re.compile(r"[=<>^+≤≥≡∫∑]|\\(?:frac|int|sum|prod|lim|leq?|geq?|equiv|begin)\b")
_CLOSED = re.compile(r"[.?!。？！．)\]）」』|`\"”'’}]$")


def is_truncated(text: str) -> bool:
    """Whether it is truncated.

    It stops in a formula, at a connective, at a colon or comma, or in a sentence that only sets the scene.
    """
    if not read(text).balanced or text.count("```") % 2:
        return True
    if is_fill_in(text) and not asks(text):
        return False
    end = read(text).words.rstrip().rstrip("*_ \n")
    if any(pattern.search(end[-60:]) for pattern in (_OPEN_MARK, _OPEN_END, _OPEN_ADJECTIVE, _OPEN_ITEM)):
        return True
    if _OPEN_NOUN.search(end[-80:]) and not _STATES.search(text):
        return True
    if is_japanese(text):
        return _OPEN_IN_JAPANESE.search(end[-10:]) is not None
    if _CLOSED.search(end[-1:]) or end.endswith(FORMULA) or not is_english(text):
        return False
    return not has_task(text)


_ASKS_IN_FORMULA = re.compile(r"=\s?(?:\\[,;:! ]?)?\s?[?？]|\$[^$\n]{0,40}[?？][^$\n]{0,40}=[^$\n]{1,40}\$")
_WITHOUT_SPACES = re.compile("[\u2e80-\u9fff\u0e00-\u0eff]")


def is_short(text: str) -> bool:
    """Whether it has too few words for a problem, and is no formula that asks ("$2^3 = ?$").

    A formula counts for two words; a text without spaces is measured by its letters.
    """
    plain = read(text).words
    if _ASKS_IN_FORMULA.search(text):
        return False
    count = (
        len("".join(plain.split())) // 2
        if _WITHOUT_SPACES.search(plain)
        else len(re.findall(rf"[^\s{FORMULA}]+", plain))
    )
    return count + 2 * plain.count(FORMULA) < MIN_WORDS


def is_long(text: str) -> bool:
    return len(text) > MAX_CHARACTERS


# "<|begin_of_text|}", "<!|begin_message|>", "[/INST]": what is left of another model's chat format
_CHAT_TOKEN = re.compile(
    r"<\|[a-z]{3,20}\|>|<\W{0,2}\|\s?(?:[a-z]{1,20}(?:[_▁][a-z]{1,20}){1,4}"
    r"|user|assistant|system|human|endoftext|end|start)\s?\|?\s?[>}\])]"
    r"|<(?:start|end)_of_turn>|\[/?INST\]|</?s>|<(?:eos|bos|pad|unk)>|<</?SYS>>"
    r"|</?(?:think|tool_call)>"
    r"|\|(?:im_start|im_end|endoftext|eot_id|begin_of_text|end_of_text|start_header_id|end_header_id)\b",
    re.IGNORECASE,
)

RULES = (
    Rule("too_long", is_long, f"more than {MAX_CHARACTERS:,} characters"),
    Rule("special_tokens", _CHAT_TOKEN, "a token of a chat format, whole or in part"),
    Rule("repetition", repeats, "a loop of words, letters or sentences"),
    Rule("language", is_mixture, "words of several scripts side by side"),
    Rule("several", is_several, "more than one problem"),
    Rule("multiple_choice", lacks_options, "a choice without its options"),
    Rule("missing", lacks_material, "a figure, table, exercise or data that are not there"),
    Rule("chat", is_chat, "talk that holds no problem"),
    Rule("contains_solution", contains_solution, "its own solution or answer, or the start of one"),
    Rule("too_short", is_short, f"fewer than {MIN_WORDS} words"),
    Rule("fragment", is_fragment, "a start in the middle of a sentence"),
    Rule("truncated", is_truncated, "an end in the middle of a sentence or formula"),
    Rule("no_task", lambda text: not has_task(text), "nothing that asks or orders"),
)


def reason_of(text: str) -> str | None:
    """The reason of the first rule that matches; None for a problem."""
    return next((rule.reason for rule in RULES if rule.fires(text)), None)


def trim(raw: str) -> tuple[str, str | None]:
    """The problem without its label and a solution behind it, and what was cut off.

    The latter is "label", "contains_solution", "label+contains_solution", or None. A solution is cut off only
    where a mark shows where it starts and a whole problem stands before it.
    """
    text = without_label(raw)
    trimmed = ["label"] if text != raw else []
    if len(raw) <= MAX_CHARACTERS and (end := heading_of_solution(text, raw)) is not None:
        before = re.sub(r"\s+[-*_=#]{2,}\s*$", "", text[:end].strip())
        if before and asks(before) and not may_be_data(text, end) and reason_of(before) is None:
            return before, "+".join([*trimmed, "contains_solution"])
        return raw, None  # uncertain: left whole, for the rules to decide
    return text, "+".join(trimmed) or None
