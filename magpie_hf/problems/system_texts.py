"""The texts that describe who is about to ask: of six domains in English and Japanese, and several of one.

Not here: where a chat template has them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from magpie_hf.errors import BadInput, shortened
from magpie_hf.limits import check_languages

ENGLISH, JAPANESE = "en", "ja"
WRITTEN = (ENGLISH, JAPANESE)  # languages that the domains of this package have texts in
MOST_TEXTS = 1000  # of one domain
MOST_WEIGHT = 1e9

# Of each domain: the person who asks, and in Japanese its subject, too. An order would lower the quality, so
# no text gives one.
USERS = {
    "algebra": "an algebraist who writes qualifying exams",
    "calculus": "an analyst who collects hard integrals and limits",
    "geometry": "a geometer who sets olympiad problems",
    "statistics": "a statistician who teaches a graduate course in probability",
    "number_theory": "a number theorist who coaches an olympiad team",
    "discrete": "a combinatorialist who loves extremal problems",
}
_JAPANESE = {
    "algebra": (
        "博士課程の資格試験を作っている代数学者",
        "抽象代数学（群、環、ガロア理論、体の拡大、行列論など）",
    ),
    "calculus": (
        "難しい積分や極限を集めている解析学者",
        "実解析と複素解析（積分、級数、測度論、関数解析など）",
    ),
    "geometry": (
        "数学オリンピックの問題を作っている幾何学者",
        "幾何学（三角形と円、射影幾何、微分幾何、代数幾何など）",
    ),
    "statistics": (
        "大学院で確率論を教えている統計学者",
        "確率と統計（確率変数、測度論的確率論、統計的推測、マルチンゲールなど）",
    ),
    "number_theory": (
        "数学オリンピックの代表選手を指導している数論学者",
        "整数論（素数、合同式、ディオファントス方程式、解析的・代数的整数論、L関数など）",
    ),
    "discrete": (
        "極値問題を好む組合せ論の研究者",
        "離散数学（グラフ、数え上げ、極値組合せ論、代数的組合せ論、計算量など）",
    ),
}


@dataclass(frozen=True)
class SystemText:
    """One of several texts of a domain; a row's seed chooses among them by their weights.

    topic, persona: what the text asks about and who asks, for the columns of these names; None where it does
    not say. language: what it asks in, by ISO 639-1.

    Raises BadInput for an empty text, and for a weight that is no number above 0.
    """

    system: str
    weight: float = 1.0
    topic: str | None = None
    persona: str | None = None
    language: str = ENGLISH

    def __post_init__(self) -> None:
        if not isinstance(self.system, str) or not self.system.strip():
            raise BadInput(
                f"a system text is {shortened(self.system)}; describe the user who is about to ask"
            )
        check_weight(self.weight)
        check_languages([self.language])
        object.__setattr__(self, "weight", float(self.weight))


def check_weight(weight: float) -> None:
    """weight: how often a text is chosen, beside others."""
    is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
    if not is_number or not 0 < weight <= MOST_WEIGHT:
        raise BadInput(f"a weight is {shortened(weight)}; give a number above 0, such as 1")


def english(user: str, subject: str) -> str:
    """The English text of a domain of this package."""
    return (
        "You are an AI assistant that gives step-by-step solutions of mathematical problems. The user,"
        f" {user}, will ask you one challenging problem in {subject}. It is a problem at the level of the"
        " International Mathematical Olympiad, the Putnam competition or a PhD qualifying exam, completely"
        " and precisely stated, with a definite answer."
    )


def japanese(user: str, subject: str) -> str:
    """The Japanese text of a domain of this package."""
    return (
        "あなたは、数学の問題の解き方を順を追って説明するAIアシスタントです。これから、"
        f"{user}である利用者が、{subject}の難問を一問、日本語で出します。国際数学オリンピックやパトナム競技会、"
        "博士課程の資格試験に相当する水準の問題で、条件は過不足なく正確に述べられ、答えは一つに定まります。"
    )


def text_in(language: str, key: str, subject: str, persona: str | None = None) -> str:
    """The text of a domain of this package in one of WRITTEN; the persona asks in place of its own user."""
    if language == JAPANESE:
        user, subject = _JAPANESE[key]
        return japanese(persona or user, subject)
    return english(persona or USERS[key], subject)


def about(text: str, topic: str, language: str) -> str:
    """The text, of a problem about this topic."""
    if language == JAPANESE:
        return f"{text}問題の主題は「{topic}」です。"
    return f"{text} The problem is about {topic}."


def asked_by(text: str, persona: str, language: str) -> str:
    """The text, of this person's problem."""
    if language == JAPANESE:
        return f"{text}利用者は{persona}です。"
    return f"{text} The user is {persona}."


def shares(said: str) -> dict[str, float]:
    """The languages of a text such as "en:0.7,ja:0.3" with their shares; {} where it has none.

    Raises BadInput for a share that is no number above 0, for one beside a language without any, for a
    language named twice, and for one without texts.
    """
    parts = [part.strip().partition(":") for part in said.split(",")]
    if not any(colon for _, colon, _ in parts):
        return {}
    found: dict[str, float] = {}
    for code, _, share in parts:
        code = code.strip()
        if not share:
            raise BadInput(
                f"{code or 'a language'} has no share, and another has one; give all a share, or none"
            )
        if code in found:
            raise BadInput(f"the language {code} has two shares; name each once")
        if code not in WRITTEN:
            raise BadInput(
                f"problems are asked for in {' and '.join(WRITTEN)}, and {shortened(code)} is neither; leave"
                " it out"
            )
        try:
            found[code] = float(share)
        except ValueError:
            found[code] = math.nan
        if not 0 < found[code] <= MOST_WEIGHT:
            raise BadInput(f"the share of {code} is {shortened(share)}; give a number above 0, such as 0.5")
    return found


def accepted(said: str) -> tuple[str, ...]:
    """The languages of a text such as "en,ja" or "en:0.7,ja:0.3", each once."""
    return tuple(dict.fromkeys(part.partition(":")[0].strip() for part in said.split(",")))


def languages_of(said: str) -> tuple[tuple[str, ...], dict[str, float]]:
    """The languages that are accepted, and those that are asked for.

    Raises BadInput as `check_languages` and `shares`.
    """
    check_languages(accepted(said))
    return accepted(said), asked_for(said)


def asked_for(said: str) -> dict[str, float]:
    """The languages that problems are asked for in, with their shares: of some without, the first with texts.

    {} where there are no texts in any.
    """
    first = next((code for code in accepted(said) if code in WRITTEN), None)
    return shares(said) or ({} if first is None else {first: 1.0})
