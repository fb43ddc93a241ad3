"""Japanese politeness folded: requests, statements and imperatives end alike.

Not here: what the words say.
"""

from __future__ import annotations

import re

# Kana at the end of a clause inflect the word before them: 求めよ, 求めてください, 求めなさい
_ENDING = re.compile(r"(?<=[\u3400-\u9fff\u30a0-\u30ff\w)}$])([\u3041-\u309f]+)(?= ?(?:[.,;!?](?!\d)|$))")
# Words that ask or say the same
_ASKING = (
    (re.compile("(?:計算|算出)(?=せよ|しなさい|して|する|できる)"), "求"),
    (re.compile("答(?=え(?:よ|なさい|て))"), "求"),
    (re.compile("である(?=とき)"), "の"),
    (re.compile("証明(?=せよ|しなさい|して)"), "示"),
)
_NEGATIVE = re.compile("な[いかくけ]|ませ|ず$|ぬ$")


_NAMES = (
    "太郎 次郎 二郎 三郎 一郎 健太 翔太 大輔 拓也 直樹 花子 良子 陽子 恵子 洋子 京子 由美 美咲 真由美 さくら"
    " ひろし たけし"
)
_PERSON = re.compile(
    "([\u3400-\u9fff\u30a0-\u30ff]{1,6})(?:さん|くん|君|ちゃん)"
    rf"|(?<![\u3400-\u9fff\u30a0-\u30ff])({_NAMES.replace(' ', '|')})(?=[はがにとのをも、])"
)


def with_persons(text: str) -> tuple[str, frozenset[str]]:
    """The text with other names for persons, who stand before さん or are called 太郎, and these names."""
    names = {
        name: f"Person{chr(97 + at % 26)}"
        for at, name in enumerate(dict.fromkeys(match[1] or match[2] for match in _PERSON.finditer(text)))
    }
    text = _PERSON.sub(lambda match: f" {names[match[1] or match[2]]} ", text)
    for name, other in names.items():
        if len(name) > 1:
            text = text.replace(name, f" {other} ")
    return text, frozenset(names.values())


def without_endings(text: str) -> str:
    """The text without the kana at the end of its clauses, except a negation."""
    text = text.replace("下さい", "ください")
    for said, asked in _ASKING:
        text = said.sub(asked, text)
    return _ENDING.sub(lambda match: "ない" if _NEGATIVE.search(match[1]) else "", text)
