"""Which words of a problem are names of persons, who may be called otherwise.

Not here: names of theorems, days and places, which tell problems apart.
"""

from __future__ import annotations

import re

_CAPITAL = re.compile(r"(?<![\w\\$'-])([A-Z][a-z]+)(?:'s)?(?![\w-])(?= ?([A-Za-z]+)|)")
_TWO = re.compile(r"(?<![\w\\$'-])([A-Z][a-z]+) and ([A-Z][a-z]+) (?=[a-z])")
# What a person does or suffers; other verbs are known by their ending
_DOING = frozenset(
    "is was has had can will would could does did went ran won made got gave took ate bought sold found wants"
    " kept spent paid drove read left put cut drew wrote grew built caught saw sat told and".split()
)
# Words before a name that is not a sentence's first word
_BEFORE = frozenset(
    "and to than from gives gave tells told asks asked does did as can will if while when after before with".split()
)
_NO_PERSON = frozenset(
    "monday tuesday wednesday thursday friday saturday sunday january february march april may june july august"
    " september october november december".split()
)
_OPENERS = frozenset(
    "a an the this that these those it its he she his her they their there here what which who whose how when"
    " where why if for in on at of to from by with as let suppose assume given consider each every all any both"
    " some one two three find prove show determine compute evaluate solve express what's problem question answer"
    " note hint then now after before during while since so and or but because is are was does do did can will"
    " i we you your our my not no water".split()
)
_OBJECTS = frozenset("this its is as us thus plus minus".split())


def persons(text: str) -> frozenset[str]:
    """The names of persons in a text: words in capitals of whom something is told, as in "Mia has"."""
    found = {name for both in _TWO.findall(text) for name in both if name.lower() not in _OPENERS | _NO_PERSON}
    for match in _CAPITAL.finditer(text):
        word, after = match[1], match[2] or ""
        low = word.lower()
        if low in _OPENERS or low in _NO_PERSON:
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
    return frozenset(found)


_STOPS = frozenset(["", *".?!:;\"*"])
