"""Which words of a problem are names of persons, who may be called otherwise.

Not here: names of theorems, days and places, which tell problems apart.
"""

from __future__ import annotations

import re

from magpie_hf.problems.near_duplicates.words import is_linking

_CAPITAL = re.compile(r"(?<![\w\\$'-])([A-Z][a-z]+)(?:'s)?(?![\w-])(?= ?([A-Za-z]+)|)")
_TWO = re.compile(r"(?<![\w\\$'-])([A-Z][a-z]+) and ([A-Z][a-z]+) (?=[a-z])")
_OWNS = re.compile(r"(?<![\w\\$'-])([A-Z][a-z]+)'s ([a-z]+)")
# What a person does or suffers; other verbs are known by their ending
_DOING = frozenset(
    "is was has had can will would could does did went ran won made got gave took ate bought sold found wants"
    " kept spent paid drove read left put cut drew wrote grew built caught saw sat told and".split()
)
# Words before a name that is not a sentence's first word
_BEFORE = frozenset(
    "and to than from gives gave tells told asks asked does did as can will if while when after before with"
    " by".split()
)
# Words in capitals that are no persons, beside those that ask or link
_OTHERS = frozenset(
    "monday tuesday wednesday thursday friday saturday sunday january february march april may june july"
    " august september october november december both two three prove show express note hint now during while"
    " since or but because not no".split()
)
_OBJECTS = frozenset("this its is as us thus plus minus".split())


def persons(text: str) -> frozenset[str]:
    """The names of persons in a text: words in capitals of whom something is told, as in "Mia has"."""
    found = {name for both in _TWO.findall(text) for name in both if _may_be(name.lower())}
    for match in _CAPITAL.finditer(text):
        word, after = match[1], match[2] or ""
        low = word.lower()
        if not _may_be(low):
            continue
        before = text[max(0, match.start() - 20) : match.start()].rstrip()
        initial = before[-1:] in _STOPS
        does = after in _DOING or (
            after not in _OBJECTS
            and after.islower()
            and len(after) > 2
            and after.endswith(("s", "ed"))
            and not after.endswith("ss")
        )
        if initial:
            if does and after != "and":
                found.add(word)
        elif does or before.rpartition(" ")[2].lower() in _BEFORE:
            found.add(word)
    # "Kim's salary is twice Lee's salary": whose salary is told is a person if one of them is
    owned = {(owner, thing) for owner, thing in _OWNS.findall(text) if _may_be(owner.lower())}
    things = {thing for owner, thing in owned if owner in found}
    return frozenset(found | {owner for owner, thing in owned if thing in things})


def _may_be(word: str) -> bool:
    return word not in _OTHERS and not is_linking(word)


_STOPS = frozenset(["", *'.?!:;"*'])
