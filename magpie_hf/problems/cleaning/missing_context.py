"""Parts that a problem refers to but does not hold: a figure, a table, the options of a choice.

Not here: other rules.
"""

from __future__ import annotations

import re

from magpie_hf.problems.cleaning.prose import FORMULA, read

_CHOICE = re.compile(
    r"\b(?:which|one|any|some|none|most|select|choose|pick|identify)(?: \w+){0,3} of the"
    r" (?:following|options|choices)\b(?! (?:form|days|weeks|months|years|moves|steps|rounds|throws|draws)\b)"
    r"|\bwhich (?:statement|option|choice|answer|claim)s? (?:given |listed )?(?:below|here)\b"
    r"|^\W*which(?: one)? of these\b|\bwhich of these options\b|\bselect all that apply\b|\b(?:choose|select"
    r"|pick|circle|mark|tick|identify) (?:the )?(?:most"
    r" )?(?:correct|right|best|appropriate|true) "
    r"(?:\w+ )?(?:answer|option|choice|statement|alternative|response|conclusion)s?\b|\b(?:select|choose"
    r"|pick)"
    r" (?:the|an|one) (?!first|second|third|cheap)(?:\w+ )?(?:options?"
    r"|choices?|alternatives?)\b|\b(?:select|choose|pick) from the following\b"
    r"|\bmultiple[- ]choice\b(?! (?:exam|test|quiz|section|problems|questions))"
    r"|(?<![\d$A-Za-z)}])(?<![\d$A-Za-z)}]\s)(?:次|以下|(?<!以)下)の(?:うち|中から|中で(?=[^。\n]{0,20}(?:どれ|選))"
    r"|選択肢"
    r"|[^。\n]{1,12}のうち[^。\n]{0,40}(?:どれ|選))|選択肢|(?:正しい|適切な|誤っている|当てはまる)(?:もの|記述|文|命題)(?:を"
    r"|は)[^。\n]{0,14}(?:選|どれ)",
    re.IGNORECASE,
)
_OPTION = re.compile(
    r"(?:^|[\s(（\[{*])\(?\[?(?:([A-Ha-h])|([1-8])|([ivx]{1,4})|([アイウエオ]))(?:\)|\]|\.|:|\}|）|．"
    r"|：)[*_}]{0,3}(?=\s|\$|\\|\S)|[①②③④⑤⑥]"
    r"|^[ \t]*(?:[-*•+]|\\item)\s",
    re.MULTILINE,
)
_LISTED = re.compile(r"[:：—–-][^.?。\n]*(?:,|、|\bor\b|\band\b|または|;)|^(?: \w+)? \S{1,3}, \S{1,3}, ")


def lacks_options(text: str) -> bool:
    """Whether it asks for a choice with fewer than two options after it.

    "which is prime: 21, 23 or 25?" has them in the sentence.
    """
    found = _CHOICE.search(text)
    if found is None:
        return False
    options = sum(1 for _ in _OPTION.finditer(text))
    after = text[found.end() :]
    return options < 2 and _LISTED.search(after) is None and not _lines(after)


def _lines(text: str) -> bool:
    """Whether two or more lines, as of bare options, or several formulas follow the first line."""
    lines = [line for line in text.split("\n")[1:] if line.strip()]
    return len(lines) >= 2 or read(text).words.count(FORMULA) >= 3


_PICTURE = (
    r"(?:figure|diagram|picture|image|illustration|drawing|sketch|photo|photograph|plot|chart|map|histogram"
    r"|number line|scatter ?plot|box ?plot|pictogram|venn diagram|spinner)"
)
_SHOWN = (
    rf"\b(?:shown|depicted|illustrated|pictured|displayed|drawn|seen|marked|labell?ed|given|indicated"
    rf"|represented|presented|provided)"
    rf" (?:in|on|by) (?:the|this) (?:\w+ )?{_PICTURE}s?\b"
    r"|\b(?:the|this) (?:above|attached|following|accompanying|given|provided|adjacent|enclosed)"
    rf" {_PICTURE}s?\b"
    rf"|\b(?:see|refer to|use|using|according to|look at|consult) (?:the|this) (?:\w+ )?{_PICTURE}s?\b"
    rf"|\b(?:in|from|on) (?:the|this) (?:\w+ )?(?:figure|diagram|illustration|drawing)s?\b"
    rf"|(?:^|[.?!] )(?:in|from|on) (?:the|this) {_PICTURE}\b"
    rf"|\b{_PICTURE}s? (?:below|above|attached|to the (?:right|left)|on the (?:right|left)|shown|here)"
    rf"|\b(?:figure|diagram|illustration) \d|\b(?:in|on|from) (?:graph|plot|chart|image|picture"
    rf"|photo) \d|\.(?:png|jpe?g|svg|gif)\b"
    rf"|\b(?:the|this) (?:\w+ )?(?:{_PICTURE}|graph) (?:below |above )?(?:shows|depicts|illustrates"
    rf"|represents|displays)\b"
    r"|\b(?:graph|figure|diagram|curve|region|network|tree|triangle|circuit"
    r"|shape)s?\b[^.?!\n]{0,40} (?:is|are)"
    r" (?:shown|sketched|pictured|depicted)(?=[.;,])"
    r"|\b(?:use|using|from) the (?:following|given|accompanying) graphs?(?= (?:to|and|for)\b|[,.])"
    r"|\b(?:graphs?|curves?|triangles?|circuits?) (?:below|above)(?=[,.?!])"
    r"|\bgraphs? of [^.?!\n]{1,40} (?:is|are) given(?=[.;])"
    r"|\bas (?:shown|depicted|pictured|illustrated)(?: (?:below|above|here)| in (?:the |fig)|,)"
    rf"|[(（]\s?see (?:\w+ )?(?:{_PICTURE}|graph|below|above)"
    r"|\bin the (?:\w+ )?(?:addition|subtraction|multiplication|division|grid|array|arrangement|circuit"
    r"|network)"
    r" (?:problem )?shown\b"
    r"|\bfig(?:ure|\.)\s?[a-z]?\d|\b(?:graph|region|curve|circuit|triangle|shape|network)"
    r" (?:shown|pictured|depicted|drawn"
    r"|attached)(?: (?:below|above|here|in|on))?\b(?! by\b| to (?!find|comp|calc|det|ans|est)\w+)"
    r"|\b(?:shown|pictured|depicted|drawn) (?:below|above|here(?! that)|(?:on|at|to) the (?:right|left))\b"
    r"|\b(?:attached|enclosed) (?:file|document|pdf|image"
    r"|sheet|paper)\b"
    r"|\bsee (?:the"
    r" )?(?:attach|fig)|(?:下|右|左|上)図|(?<!地)図[1-9１-９]?(?:の|に示す|を参照|のよう)|添付|(?:下|次"
    r"|以下|右|左|上)の図(?!形)|(?:下|次|以下)のグラフ(?![^。\n]*[$\\=])"
)
_SHAPE = re.compile(
    rf"{_PICTURE}["
    r" -](?:formed|obtained|bounded|consisting|composed|made|whose|that|which|of|with|enclosed|eight|commut)",
    re.I,
)
_FIGURE = re.compile(_SHOWN, re.IGNORECASE)
_DRAWN = re.compile(
    r"\[asy\]|\\begin\{(?:tikzpicture|tikzcd|picture|asy|CD|tabular|array|align\*?)\}|```|\\xymatrix"
    r"|(?:\n[ \t]*[\d][\d \t]*){3}"
)
_TABLE = re.compile(
    r"\b(?:the|this|following|given) (?:\w+ )?(?:table|spreadsheet|frequency distribution)"
    r"(?= (?:below|above|shows?|gives?|lists?|summari[sz]es|represents?|contains?|is given)|:)"
    r"|\b(?:the following|the given|this) (?:\w+ )?table\b"
    r"|\b(?:use|using|from|in|by|see|read|complete|consult) (?:the|this) table\b|\btable"
    r" (?:below|above|\d)"
    r"|\b(?:following|above|attached) (?:\w+ )?(?:table|data ?set|data|results|measurements)\b"
    r"|\bdata ?(?:set )?(?:below|above|shown|in the table)\b"
    r"|(?:次|下|以下|上|右|左)の(?:表|データ)|表に示|下表",
    re.IGNORECASE,
)
# A table that the text itself speaks of first: furniture, or an array to be filled
_OWN_TABLE = re.compile(
    r"(?:\b(?:an?|each|every|one|two)\s|(?:\d|\$)\s?)(?:[\w-]+\s){0,2}tables?\b|\b(?:set|leaves?|at|on"
    r"|onto) the table\b"
    r"|\bround table\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d+")
_EARLIER = re.compile(
    r"\b(?:previous|preceding|earlier)"
    r" (?:problem|exercise|question|section|chapter|example|lecture|homework|post|message|conversation)s?\b"
    r"|\b(?:in|from|of|during) (?:the |our )?last (?:lecture|class|homework|chapter|section(?! of))\b"
    r"|\b(?:of|in|from|by|see|using?|recall|to|with|as) "
    r"(?:exercise|section|chapter|lemma|proposition|corollary|example|problem) \d+(?:\.\d+)*\b|\btheorem"
    r" \d+\.\d+"
    r"|\b(?:from|in) the (?:textbook|lecture notes?|notes)\b|前問|前の問題|上記の問題"
    r"|教科書(?:の(?:定理|例|問|演習|第)|を参照|に(?:ある|載))",
    re.IGNORECASE,
)
# What a story tells of, "divided into 3 sections", and not a book: "section 2" is its own
_COUNTED = r"\b(?:{0}s\b|an? {0}\b)"
_TIMED = re.compile(r"\s(?:hours?|minutes?|times|days?)\b", re.IGNORECASE)
_PICTURED = re.compile(r"(?:map|photo|picture|image|plot|chart|drawing|sketch)", re.IGNORECASE)
_FORMULA_SHOWN = re.compile(
    r"\b(?:equations?|polynomials?|expressions?|systems?|functions?|inequalit(?:y|ies)|numbers?"
    r"|formulas?|matri(?:x|ces)"
    r"|integrals?|series)\s\Z",
    re.IGNORECASE,
)
_PART = re.compile(r"[(（]\s?[1１]\s?[)）]|問\s?[1１]")
_ABOVE = re.compile(
    r"\b(?:the|this) above"
    r" (?:problem|exercise|question|result|theorem|equation|formula|function|statement|expression|code"
    r"|information|definition|example|text|passage|system|integral|matrix)\b|\b(?:problem|equation"
    r"|expression|question|statement|information|integral"
    r"|system|code|graph|table|passage|text) above\b|上記の(?!両方|すべて|全て|いずれ)|上の(?:式|問)",
    re.IGNORECASE,
)
_EMPTY_FOLLOWING = re.compile(
    r"\b(?:the|this|these|each of the) (?:following|given) (?:\w+"
    r" ){0,3}(?:problem|equation|integral|expression|function|system|matrix"
    r"|series|inequality|sum"
    r"|question|statement|limit|polynomial|sequence|proof|exercise)s?\b[^:\n]{0,60}[.!?。]?$",
    re.IGNORECASE,
)
_EMPTY_IN_JAPANESE = re.compile(
    r"(?:次|以下|下)の(?:\w{0,6}の)?(?:定?積分|式|方程式|連立方程式|関数|極限|行列式?|級数|不等式|数列|問題"
    r"|値"
    r"|命題"
    r"|微分方程式)"
    r"[^。：:\n]{0,16}[。．]?\Z"
)


def lacks_material(text: str) -> bool:
    """Whether it refers to a figure, a table, data, or another exercise that is missing."""
    if any(not _is_own(text, earlier) for earlier in _EARLIER.finditer(text)):
        return True
    drawn = _DRAWN.search(text) is not None
    if not drawn and any(
        not _SHAPE.match(text, max(found.start(), _noun(found))) and not _speaks_of(text, found)
        for found in _FIGURE.finditer(text)
    ):
        return True
    found = _TABLE.search(text)
    if (
        found
        and not drawn
        and not _has_table(text, found.end())
        and not _OWN_TABLE.search(text, 0, found.end())
    ):
        return True
    if (
        (found := _ABOVE.search(text))
        and len(text[: found.start()].split()) < 8
        and FORMULA not in read(text[: found.start()]).words
    ):
        return True
    empty = _EMPTY_FOLLOWING.search(text) or _EMPTY_IN_JAPANESE.search(text)
    return empty is not None and _is_bare(text)


def _noun(found: re.Match[str]) -> int:
    """Where the last word of the match starts: a noun that may be a shape and not a picture."""
    return found.start() + found.group().rstrip().rfind(" ") + 1


def _is_own(text: str, earlier: re.Match[str]) -> bool:
    """Whether what looks like a part of a book is one of the problem itself, or an exercise of the body."""
    said = earlier.group().lower()
    if said == "前問":
        return _PART.search(text, 0, earlier.start()) is not None
    numbered = re.search(r"([a-z]+) \d", said)
    if numbered is None:
        return False
    own = re.compile(_COUNTED.format(numbered[1]), re.IGNORECASE).search(text, 0, earlier.start())
    return own is not None or (numbered[1] == "exercise" and _TIMED.match(text, earlier.end()) is not None)


def _speaks_of(text: str, found: re.Match[str]) -> bool:
    """Whether the text speaks of the picture before, as of a thing, or shows a formula there."""
    said = found.group().lower().split()
    if said[0] in ("shown", "pictured") and _FORMULA_SHOWN.search(text, 0, found.start()):
        return FORMULA in read(text).words
    thing = _PICTURED.fullmatch(said[-1].rstrip("s"))
    if (
        thing is None
        or len(said) > 4
        or {"shown", "depicted", "illustrated", "see", "refer"}.intersection(said)
    ):
        return False
    before = rf"\b(?:an?|one|two|his|her|their|its|the \w+|\w+['’]s) (?:\w+ ){{0,2}}{thing.group()}s?\b"
    return re.compile(before, re.IGNORECASE).search(text, 0, found.start()) is not None


def _has_table(text: str, end: int) -> bool:
    """Whether it holds a table, or three numbers after the mention."""
    return (
        text.count("|") >= 6
        or "\\begin{" in text
        or text.count("\t") >= 3
        or len(_NUMBER.findall(text, end)) >= 3
    )


def _is_bare(text: str) -> bool:
    """Whether it is a sentence without any mathematics to work on."""
    plain = read(text).words
    return (
        FORMULA not in plain
        and not re.search(r"\d|[=^<>]|\b[a-z]\([a-z]\)", plain)
        and len(plain.split()) < 14
    )
