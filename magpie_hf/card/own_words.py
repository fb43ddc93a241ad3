"""The place in a card for the words of who publishes it: kept whenever the card is written anew.

Not here: the card's own text.
"""

from __future__ import annotations

import hashlib

BEGIN = "<!-- magpie_hf: what you write between these two lines is kept -->"
END = "<!-- magpie_hf: the rest is written anew with each version -->"


def words_in(text: str) -> str | None:
    """The words in the card's place for them; None without such a place."""
    _, begin, after = text.replace("\r\n", "\n").partition(f"{BEGIN}\n")
    words, end, _ = after.partition(END)
    return words.strip("\n") if begin and end else None


def with_words(text: str, words: str) -> str:
    """The card with these words in the place for them, which is at the end where it has none."""
    if words_in(text) is None:
        return f"{text.rstrip()}\n\n{BEGIN}\n{words}\n{END}\n" if words else text
    before, begin, after = text.partition(f"{BEGIN}\n")
    _, end, rest = after.partition(END)
    return f"{before}{begin}{words}\n{end}{rest}" if words else f"{before}{begin}{end}{rest}"


def rest_of(text: str) -> str:
    """A checksum of all that is not in the place for own words."""
    rest = with_words(text.replace("\r\n", "\n"), "").rstrip("\n")
    return hashlib.sha256(rest.encode()).hexdigest()
