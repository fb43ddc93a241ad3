"""Japanese politeness folded: requests, statements and imperatives end alike.

Not here: what the words say.
"""

from __future__ import annotations

import re

# Kana at the end of a clause inflect the word before them: 求めよ, 求めてください, 求めなさい
_ENDING = re.compile(r"(?<=[\u3400-\u9fff\u30a0-\u30ff\w)}$])([\u3041-\u309f]+)(?= ?(?:[.,;!?](?!\d)|$))")
# Verbs that ask for the same
_ASKING = (
    (re.compile("(?:計算|算出)(?=せよ|しなさい|して|する|できる)"), "求"),
    (re.compile("証明(?=せよ|しなさい|して)"), "示"),
)
_NEGATIVE = re.compile("な[いかくけ]|ませ|ず$|ぬ$")


def without_endings(text: str) -> str:
    """The text without the kana at the end of its clauses, except a negation."""
    for said, asked in _ASKING:
        text = said.sub(asked, text)
    return _ENDING.sub(lambda match: "ない" if _NEGATIVE.search(match[1]) else "", text)
