"""The card's tables of numbers: what is counted in the rows, and in the samples that they came of.

Not here: counting, how the rows were made (method_tables.py), and the prose around the tables.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from magpie_hf.card.breadth import ACCEPTED, NEAR_DUPLICATES, RATE, SAMPLED, has_rates
from magpie_hf.card.contents import LABELS, TEXTS, Contents
from magpie_hf.card.markdown import NONE, code, escape, table
from magpie_hf.card.stats import VERDICTS, Answers, Tokens
from magpie_hf.problems.labels import CATEGORIES, DIFFICULTIES, QUALITIES, SOLVABILITIES
from magpie_hf.schema import CANDIDATES_CONFIG
from magpie_hf.selection.reasons import OUTSIDE
from magpie_hf.stages.published_answers import CHECKED
from magpie_hf.store.splits import ParquetSplit

_SCALES = dict(zip(LABELS, (DIFFICULTIES, QUALITIES, SOLVABILITIES, CATEGORIES), strict=True))
_KINDS = ("answer", "proof", "open", "none")

NAMES = (
    "rows", "sides", "funnel", "reasons", "languages", "topics", "coverage", "labels", "benchmarks",
    "memorised", "answers", "references", "known", "passes", "hardened", "pairs", "delta",
)  # fmt: skip


class NumberTables:
    """Each property of `NAMES` is one table as Markdown; "" where there is nothing to show.

    words: heads and meanings in the card's language.
    """

    def __init__(self, contents: Contents, words: Mapping[str, Any]) -> None:
        self.contents, self.words = contents, words
        self.provenance = contents.provenance
        self.numbers = contents.tallies

    def _table(self, name: str, rows: Iterable[Sequence[str]], more: Sequence[str] = ()) -> str:
        return table([*self.words["heads"][name], *more], list(rows))

    @property
    def rows(self) -> str:
        """Rows and tokens of every split."""
        return self._table(
            "rows",
            (
                self._row(config, *split)
                for config, splits in self.contents.configs.items()
                for split in splits.items()
            ),
        )

    def _row(self, config: str, split: str, parts: Sequence[ParquetSplit]) -> list[str]:
        columns = TEXTS if config != CANDIDATES_CONFIG else ("", "candidates.num_tokens", "", "")
        counts = [_tokens(self.contents.tokens(config, split, column)) for column in columns]
        return [code(config), code(split), _n(sum(map(len, parts))), *counts]

    @property
    def sides(self) -> str:
        """Problems to train on, and those that are held out."""
        seen = self.contents.seen
        return self._table(
            "sides",
            ([code(key), _n(seen[key].sides["train"]), _n(seen[key].sides["test"])] for key in self.numbers),
        )

    @property
    def funnel(self) -> str:
        return self._table("funnel", map(self._funnel, self.numbers))

    def _funnel(self, key: str) -> list[str]:
        funnel = self.numbers[key].funnel
        samples, complete = funnel.samples, funnel.candidates - sum(funnel.cut_candidates.values())
        counts = [
            samples.sampled,
            sum(samples.dropped.values()),
            samples.moved_away,
            samples.moved_here,
            funnel.problems,
            funnel.answered,
            funnel.sft,
        ]
        counts += [
            funnel.candidates,
            complete,
            complete - sum(funnel.unscored.values()),
            self.numbers[key].pairs.count,
        ]
        on_domain = (
            NONE
            if samples.on_domain_share is None
            else f"{samples.on_domain_share:.1%} of {samples.tagged:,}"
        )
        return [code(key), on_domain, *map(_n, counts)]

    @property
    def reasons(self) -> str:
        """Every reason that occurs, with its meaning and its counts by domain."""
        steps = {
            "samples": {key: one.funnel.samples.dropped for key, one in self.numbers.items()},
            "answers": {key: one.funnel.unanswered for key, one in self.numbers.items()},
            "candidates": {key: one.funnel.cut_candidates for key, one in self.numbers.items()},
            "scores": {key: one.funnel.unscored for key, one in self.numbers.items()},
            "pairs": {key: one.pairs.lost for key, one in self.numbers.items()},
        }
        rows = [
            [self.words["left_out"][step], code(reason), self._meaning(reason), *counts]
            for step, by_domain in steps.items()
            for reason, counts in _by_value(by_domain)
        ]
        return self._table("reasons", rows, [code(key) for key in self.numbers]) if rows else ""

    def _meaning(self, reason: str) -> str:
        own = {name: means for one in self.contents.own_code for name, means in one["reasons"].items()}
        return escape(own[reason]) if reason in own else self.words["reasons"].get(reason, NONE)

    @property
    def languages(self) -> str:
        counted = _by_value({key: one.funnel.languages for key, one in self.numbers.items()})
        untold = [
            _n(one.funnel.problems - sum(one.funnel.languages.values())) for one in self.numbers.values()
        ]
        rows = [
            *([code(language), *counts] for language, counts in counted),
            [self.words["formulas_alone"], *untold],
        ]
        return self._table("languages", rows, [code(key) for key in self.numbers])

    @property
    def topics(self) -> str:
        """What each topic yielded; "" without topics."""
        found = {key: one.funnel.samples.topics for key, one in self.numbers.items()}
        rated = has_rates(found)
        rows = [
            [
                *(code(key), escape(topic)),
                *(_n(one[name]) for name in (SAMPLED, ACCEPTED, NEAR_DUPLICATES)),
                f"{one[ACCEPTED] / one[SAMPLED]:.1%}",
                *([_mean(one.get(RATE))] if rated else []),
            ]
            for key, topics in found.items()
            for topic, one in topics.items()
        ]
        return self._table("topics", rows, [self.words["mean_pass_rate"]] if rated else []) if rows else ""

    @property
    def coverage(self) -> str:
        """What embeddings cover; "" without any."""
        found = {key: one.funnel.samples.coverage for key, one in self.numbers.items()}
        rows = [
            [code(key), _n(int(one["problems"])), f"{one['distance']:.3f}", f"{one['vendi']:.1f}"]
            for key, one in found.items()
            if "distance" in one
        ]
        return self._table("coverage", rows) if rows else ""

    @property
    def labels(self) -> str:
        """How the accepted problems are labelled; "" without labels."""
        seen = self.contents.seen
        rows = [
            [self.words["labels"][label], code(value), *counts]
            for label, scale in _SCALES.items()
            for value, counts in _by_value({key: one.labels[label] for key, one in seen.items()}, scale)
        ]
        return self._table("labels", rows, [code(key) for key in seen]) if rows else ""

    @property
    def benchmarks(self) -> str:
        rows = []
        for one in self.provenance["benchmarks"]:
            hits = sum(samples.contaminated.get(one["name"], 0) for samples in self.contents.samples.values())
            rows.append([escape(one["name"]), code(one["revision"]), _n(one["rows"]), _n(hits)])
        return self._table("benchmarks", rows) if rows else ""

    @property
    def memorised(self) -> str:
        """How many problems are known ones up to their numbers, by set; "" without known sets."""
        found = [one.funnel for one in self.numbers.values()]
        problems = sum(one.problems for one in found)
        rows = []
        for one in self.provenance.get("known_sets", ()):
            hits = sum(funnel.known.get(one["name"], 0) for funnel in found)
            share = f"{hits / problems:.1%}" if problems else NONE
            rows.append([escape(one["name"]), code(one["revision"]), _n(one["rows"]), _n(hits), share])
        return self._table("memorised", rows) if rows else ""

    @property
    def answers(self) -> str:
        return self._table("answers", map(self._answers, self.numbers))

    def _answers(self, key: str) -> list[str]:
        one = self.numbers[key].answers
        kinds = [one.kinds.get(kind, 0) for kind in _KINDS]
        checked = [one.solutions.get(word, 0) for word in CHECKED.values()]
        mean = _mean(one.majority_share)
        return [code(key), *map(_n, (*kinds, one.majorities)), mean, _n(one.unknown_pairs), *map(_n, checked)]

    @property
    def references(self) -> str:
        """What the votes say of reference answers; "" without any."""
        kinds = ("agrees", "differs", "undecided", "no majority")
        rows = [
            [code(key), _n(sum(found.values())), *(_n(found.get(kind, 0)) for kind in kinds)]
            for key, found in ((key, one.answers.references) for key, one in self.numbers.items())
        ]
        return self._table("references", rows) if self.contents.has_references else ""

    @property
    def known(self) -> str:
        """What is known of the majorities, by who says it; "" where nothing but the votes does."""
        opinions = [who for who in self.provenance.get("opinions", ()) if who in VERDICTS]
        rows = []
        for key, one in self.numbers.items():
            votes = {"agrees": one.answers.majorities, "none": _undecided(one.answers)}
            said = {"votes": votes, **{who: one.answers.opinions.get(who, {}) for who in opinions}}
            rows += [
                [code(key), self.words["known"][who], _n(sum(counts.values())), *_parts(counts, who)]
                for who, counts in said.items()
            ]
        if (found := self.provenance.get("calibration")) is not None:
            right, labels = found["right"], found["labels"]
            verdicts = {"agrees": right, "differs": labels - right, "none": found["problems"] - labels}
            who = "calibration"
            rows.append(
                [
                    self.words["known_answers"],
                    self.words["known"][who],
                    _n(found["problems"]),
                    *_parts(verdicts, who),
                ]
            )
        return self._table("known", rows) if opinions else ""

    @property
    def passes(self) -> str:
        """The pass rates of the problems, and what a band dropped; "" where no model measures them."""
        found = {key: one.passes for key, one in self.numbers.items() if one.passes is not None}
        rows = [
            [
                *(code(key), _n(one.count), _n(one.never), _n(one.between), _n(one.always)),
                _mean(one.mean),
                *(_n(one.outside.get(reason, 0)) for reason in OUTSIDE),
                _share(1.0 if one.inside is None and one.count else one.inside),  # None: it dropped none
            ]
            for key, one in found.items()
        ]
        heads = self.words["heads"]["passes"]
        if (self.provenance.get("pass_rates") or {}).get("band") is None:
            heads, *rows = (line[: -len(OUTSIDE) - 1] for line in (heads, *rows))
        return table(heads, rows) if rows else ""

    @property
    def hardened(self) -> str:
        """What came of harder problems; "" where none are made."""
        rows = [
            [
                *(code(key), _n(one.asked), _n(one.made), self._counted(one.reasons), _n(one.accepted)),
                *(self._counted(one.dropped), _n(one.tokens)),
                NONE if one.tokens_each is None else _n(round(one.tokens_each)),
            ]
            for key, one in ((key, one.hardened) for key, one in self.numbers.items())
            if one is not None
        ]
        return self._table("hardened", rows) if rows else ""

    def _counted(self, reasons: Mapping[str, int]) -> str:
        return ", ".join(f"{_n(count)} {code(reason)}" for reason, count in reasons.items()) or NONE

    @property
    def pairs(self) -> str:
        return self._table("pairs", map(self._pairs, self.numbers))

    def _pairs(self, key: str) -> list[str]:
        one = self.numbers[key].pairs
        kinds = [
            cell for kind in ("correctness", "score") for cell in _score_gaps(one.score_gaps.get(kind, ()))
        ]
        return [code(key), _n(one.count), *kinds, _share(one.longer_share)]

    @property
    def delta(self) -> str:
        """What the rejected answers of a smaller model give; "" without such a model."""
        rows = [
            [
                code(key),
                _n(sum(found.values())),
                *(_n(found.get(kind, 0)) for kind in ("differs", "agrees", "undecided")),
            ]
            for key, found in ((key, one.pairs.delta) for key, one in self.numbers.items())
        ]
        return self._table("delta", rows) if self.contents.has_delta else ""


def _by_value(
    counts: Mapping[str, Mapping[str, int]], order: Sequence[str] = ()
) -> list[tuple[str, list[str]]]:
    """Each value that occurs with its counts by domain, in `order`; other values follow, sorted."""
    values = {value for one in counts.values() for value in one}
    known = [value for value in order if value in values]
    return [
        (value, [_n(one.get(value, 0)) for one in counts.values()])
        for value in [*known, *sorted(values - set(known))]
    ]


def _score_gaps(score_gaps: Sequence[float]) -> list[str]:
    """The number of score gaps, and their quartiles."""
    quartiles = (
        statistics.quantiles(score_gaps, n=4, method="inclusive")
        if len(score_gaps) > 1
        else [*score_gaps] * 3
    )
    return [_n(len(score_gaps)), " / ".join(f"{value:.3f}" for value in quartiles) or NONE]


def _tokens(count: Tokens | None) -> str:
    return (
        NONE if count is None else f"{count.sum:,} / {count.mean:,.1f} / {count.median:,.1f} / {count.p95:,}"
    )


def _undecided(answers: Answers) -> int:
    """Problems that ask for one answer and have no majority."""
    return answers.kinds.get("answer", 0) + answers.kinds.get("none", 0) - answers.majorities


def _parts(counts: Mapping[str, int], who: str) -> list[str]:
    """How many agree, differ and say nothing, each with its share; votes differ from nothing."""
    whole = sum(counts.values())
    return [
        NONE
        if not whole or (who == "votes" and name == "differs")
        else f"{counts.get(name, 0):,} ({counts.get(name, 0) / whole:.1%})"
        for name in ("agrees", "differs", "none")
    ]


def _share(value: float | None) -> str:
    return NONE if value is None else f"{value:.1%}"


def _mean(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"


def _n(count: int) -> str:
    return f"{count:,}"
