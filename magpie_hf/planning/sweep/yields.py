"""Yields: counts of what samples of problems gave, and the tables of them.

Not here: sampling, and which setting is best (sweep.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from magpie_hf.planning.sweep.settings import Setting
from magpie_hf.stage import Batch
from magpie_hf.text.columns import padded
from magpie_hf.text.language import tr

REASONS = 3  # that a line of the table names
_READ = ("raw_finish_reason", "raw_num_tokens", "problem", "dropped")  # columns of a batch
# Words stand between white space; Japanese and Chinese have none, so there each character is a word.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\s\u3040-\u30ff\u3400-\u9fff]+")


@dataclass(frozen=True)
class Yield:
    """Counts of what some samples gave.

    samples: how many; ended: those with an end token; usable: those that Clean keeps; tokens: generated for
    all of them; trigrams, distinct_trigrams: word 3-grams of the usable problems, and how many different
    ones; first_words: different first three words of the usable problems; reasons: why the others were
    dropped, by count, the most frequent first.
    """

    samples: int
    ended: int
    usable: int
    tokens: int
    trigrams: int
    distinct_trigrams: int
    first_words: int
    reasons: dict[str, int]

    @property
    def ended_share(self) -> float:
        """Share of the samples with an end token."""
        return self.ended / self.samples

    @property
    def usable_share(self) -> float:
        """Share of the samples that is usable."""
        return self.usable / self.samples

    @property
    def diversity(self) -> float:
        """Share of the 3-grams that is different; 0 where there is none."""
        return self.distinct_trigrams / self.trigrams if self.trigrams else 0.0

    @property
    def score(self) -> float:
        """Usable share x diversity, which ranks the settings."""
        return self.usable_share * self.diversity

    def to_dict(self) -> dict[str, Any]:
        """The counts and shares as plain JSON values."""
        shares = {name: getattr(self, name) for name in ("ended_share", "usable_share", "diversity", "score")}
        return {**asdict(self), **shares}


@dataclass(frozen=True)
class Trial:
    """What one setting yields: over all domains, and in each by its key.

    seconds: the sweep's own, shared out by generated tokens.
    """

    setting: Setting
    total: Yield
    domains: dict[str, Yield]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        by_domain = {key: one.to_dict() for key, one in self.domains.items()}
        setting = {"setting": self.setting.name, "options": self.setting.options}
        return {**setting, "seconds": self.seconds, "total": self.total.to_dict(), "domains": by_domain}


def yield_of(*batches: Batch) -> Yield:
    """Counts of batches after Instruct and Clean, taken together; at least one row is needed."""
    rows = [row for batch in batches for row in zip(*(batch[column] for column in _READ), strict=True)]
    words = [_WORD.findall(problem.lower()) for _, _, problem, dropped in rows if dropped is None]
    trigrams = Counter(gram for text in words for gram in zip(text, text[1:], text[2:], strict=False))
    return Yield(
        samples=len(rows),
        ended=sum(finish == "stop" for finish, *_ in rows),
        usable=len(words),
        tokens=sum(tokens for _, tokens, *_ in rows),
        trigrams=trigrams.total(),
        distinct_trigrams=len(trigrams),
        first_words=len({tuple(text[:3]) for text in words}),
        reasons=dict(Counter(sorted(dropped for *_, dropped in rows if dropped is not None)).most_common()),
    )


def table(trials: Sequence[Trial]) -> Iterator[str]:
    """The table over all domains, a line a setting, and what its columns mean."""
    wide = max(len(trial.setting.name) for trial in trials)
    yield (
        padded(tr("setting"), wide)
        + "  "
        + tr("ended usable 3-grams   starts score tokens seconds  mostly dropped for")
    )
    for trial in trials:
        one = trial.total
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in list(one.reasons.items())[:REASONS])
        yield (
            f"{trial.setting.name:<{wide}}  {one.ended_share:>5.0%} {one.usable_share:>6.0%}"
            f" {one.diversity:>7.2f} {one.first_words:>8,} {one.score:>5.2f} {one.tokens / one.samples:>6.0f}"
            f" {trial.seconds:>7.1f}  {reasons}"
        ).rstrip()
    yield tr("ended: by itself. usable: Clean keeps it. 3-grams: distinct ones of the usable samples by all")
    yield tr(
        "of them. starts: different first three words. score: usable x 3-grams. tokens: a sample. seconds:"
    )
    yield tr("the whole time, shared out by tokens.")


def table_by_domain(trials: Sequence[Trial]) -> Iterator[str]:
    """The table of usable shares, a line a setting and a column a domain."""
    wide = max(len(trial.setting.name) for trial in trials)
    yield (
        padded(tr("usable"), wide)
        + "  "
        + " ".join(f"{key:>{max(6, len(key))}}" for key in trials[0].domains)
    )
    for trial in trials:
        shares = (f"{one.usable_share:>{max(6, len(key))}.0%}" for key, one in trial.domains.items())
        yield f"{trial.setting.name:<{wide}}  " + " ".join(shares)
