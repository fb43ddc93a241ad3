"""Export: rows with all their columns -> the published rows of one split.

Not here: files.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.answers.extraction import final_answer
from magpie_hf.answers.notation import braced
from magpie_hf.limits import check_rl
from magpie_hf.models.chat import SOLVING_INSTRUCTION
from magpie_hf.problems.heldout import HeldOut
from magpie_hf.schema import (
    CANDIDATES,
    CANDIDATES_CONFIG,
    DROPPED,
    OPINIONS,
    PUBLISHED,
    REJECTED,
    RL,
    RL_SUFFIX,
    WITH_DELTA,
    WITH_REFERENCE,
    Side,
    Text,
)
from magpie_hf.stage import Batch
from magpie_hf.stages.delta import DELTA
from magpie_hf.stages.opinions import is_confirmed
from magpie_hf.stages.published_answers import CHECKED, Answer, missing_reason, published_answers
from magpie_hf.stages.step import OwnColumn

Row = dict[str, Any]
SHOWN, USED = "shown", "used"  # what an export does with reference answers
_REFERRED = (
    "reference_answer",
    "reference_agrees",
    "matches_reference",
    "solution_matches",
    "reference_readable",
)


class Export(ABC):
    """Turns a batch into the published rows of one split: other rows, and only the columns of `features`.

    domain: the domain that the rows count for.
    moved: whether they were sampled for another domain.
    own: the columns of stages of one's own; one without values here is in another split of the configuration.
    suffix: distinguishes its folder in the run from those of the domain's other exports.
    reference: "shown" adds the columns of `schema.WITH_REFERENCE` to the texts and the candidates; "used"
        also has a reference answer take the place of the majority's.
    opinions: which columns of `schema.OPINIONS` follow.
    delta: whether a smaller model's answers are rejected ones, and the columns of `schema.WITH_DELTA` follow.
    """

    COLUMNS: ClassVar[Features]
    READS: ClassVar[tuple[str, ...]]
    suffix: ClassVar[str] = ""

    domain: str
    moved: bool
    own: tuple[OwnColumn, ...]
    reference = ""
    opinions: tuple[str, ...] = ()
    delta = False
    shows_references: ClassVar[bool] = True

    @property
    def features(self) -> Features:
        """The columns of the split, with their types."""
        referred = WITH_REFERENCE if self.reference and self.shows_references else {}
        own = {column: json.loads(kind) for column, kind, _ in self.own}
        return Features(
            {**self.COLUMNS, **referred, **self._rejected, **self._opinions, **Features.from_dict(own)}
        )

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns that it is made from."""
        referred = _REFERRED if self.reference else ()
        rejected = tuple(REJECTED) if self.delta else ()
        return (
            *self.READS,
            *referred,
            *rejected,
            *self._opinions,
            *(column for column, _, given in self.own if given),
        )

    @property
    def _rejected(self) -> Row:
        return WITH_DELTA.get(self.config, WITH_DELTA["texts"]) if self.delta else {}

    @property
    def _opinions(self) -> Row:
        return {name: kind for of in self.opinions for name, kind in OPINIONS[of].items()}

    @property
    def by_reference(self) -> bool:
        return self.reference == USED

    @property
    @abstractmethod
    def config(self) -> str:
        """The configuration's name."""

    @property
    @abstractmethod
    def split(self) -> str:
        """The split's name."""

    @property
    def label(self) -> str:
        """The name of its folder in the run."""
        return f"{f'as_{self.domain}_' if self.moved else ''}{self.split}{self.suffix}"

    def __call__(self, batch: Batch) -> Batch:
        rows = [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
        published = [
            {**made, **opinions, **{column: row[column] if given else None for column, _, given in self.own}}
            for row in filter(self.takes, rows)
            for opinions in [{column: row[column] for column in self._opinions}]
            for made in self.rows(row)
        ]
        return {column: [row[column] for row in published] for column in self.features}

    def takes(self, row: Row) -> bool:
        """Whether this export considers the row."""
        return bool(row["accepted_as"] == self.domain)

    @abstractmethod
    def rows(self, row: Row) -> list[Row]:
        """The published rows of one that counts for the domain; [] where the split does not take it."""


@dataclass(frozen=True)
class _Divided(Export):
    """An export whose rows are divided into train and test; `side` is the part that it takes."""

    domain: str
    held_out: HeldOut
    side: Side

    def takes(self, row: Row) -> bool:
        return super().takes(row) and (row["normal_hash"] in self.held_out) == (self.side == "test")


@dataclass(frozen=True)
class ExportText(_Divided):
    """<side>_sft holds a row for each published answer of a problem, <side>_prefs one for each pair.

    sft, keep_minority: which answers are published, as in a Recipe.

    Neither holds a truncated answer. The answers of a pair stand as plain text, too, but in prefs alone, as
    they are the longest columns. A pair stands beside the best published answer, or beside its chosen
    candidate where the problem has none. `generation` is the same struct on every row, but for the
    temperature of the row's answer.
    """

    version: ClassVar[int] = 7
    COLUMNS: ClassVar[Features] = PUBLISHED
    READS: ClassVar[tuple[str, ...]] = (
        "id",
        "seed",
        "problem",
        "language",
        "raw_num_tokens",
        "tags",
        "min_neighbor_distance",
        "solutions",
        "candidates",
        "scores",
        "cluster_sizes",
        "in_majority",
        "answer_kind",
        "majority_answer",
        "majority_share",
        "mean_num_tokens",
        "solution_agrees",
        "chosen_index",
        "rejected_index",
        "pair_kind",
        "accepted_as",
        "normal_hash",
    )

    text: Text
    generation: tuple[tuple[str, Any], ...]
    moved: bool = False
    sft: str | int = "best"
    keep_minority: bool = False
    reference: str = field(default="", metadata={"later": True})
    own: tuple[OwnColumn, ...] = field(default=(), metadata={"later": True})
    opinions: tuple[str, ...] = field(default=(), metadata={"later": True})
    delta: bool = field(default=False, metadata={"later": True})

    @property
    def config(self) -> str:
        return self.domain

    @property
    def split(self) -> str:
        return f"{self.side}_{self.text}"

    def rows(self, row: Row) -> list[Row]:
        answers = published_answers(row, self.sft, self.keep_minority, self.by_reference)
        if self.text == "sft":
            return [self._row(row, answer, rank, len(answers)) for rank, answer in enumerate(answers, 1)]
        if (chosen := row["chosen_index"]) is None:
            return []
        if answers:
            return [self._row(row, answers[0], 1, len(answers))]
        return [self._row(row, Answer(row["candidates"][chosen], row["in_majority"][chosen]), None, 0)]

    def _row(self, row: Row, answer: Answer, rank: int | None, count: int) -> Row:
        has_pair, solution = row["chosen_index"] is not None, answer.response
        best, high = _at(row, row["chosen_index"])
        is_delta = row["pair_kind"] == DELTA
        worst, low = (row["rejected_response"], None) if is_delta else _at(row, row["rejected_index"])
        problem, generation = row["problem"], dict(self.generation)
        if not answer.is_cold:
            generation["response_temperature"] = generation["candidate_temperature"]
        return {
            "id": row["id"],
            "domain": self.domain,
            "messages": _conversation(problem, solution["text"]),
            "chosen": _conversation(problem, (best or solution)["text"]),
            "rejected": _conversation(problem, (worst or solution)["text"]),
            "chosen_text": best["text"] if self.text == "prefs" else None,
            "rejected_text": worst["text"] if self.text == "prefs" else None,
            "has_pair": has_pair,
            "pair_kind": row["pair_kind"],
            "problem": problem,
            "language": row["language"],
            "tags": _tags(row),
            "min_neighbor_distance": row["min_neighbor_distance"],
            "solution": solution["text"],
            "thinking": solution["thinking"],
            "answer": final_answer(solution["answer_text"]),
            "answer_rank": rank,
            "answer_count": count,
            "answer_checked": CHECKED[answer.in_majority],
            "answer_kind": row["answer_kind"],
            "majority_answer": row["majority_answer"],
            "majority_share": row["majority_share"],
            "answer_votes": sum(row["cluster_sizes"]),
            "solution_agrees": answer.in_majority,
            "candidate_tokens": row["mean_num_tokens"],
            "score_chosen": high,
            "score_rejected": low,
            "score_gap": None if high is None or low is None else high - low,
            "chosen_tokens": best.get("num_tokens"),
            "rejected_tokens": worst.get("num_tokens"),
            "problem_tokens": row["raw_num_tokens"],
            "solution_tokens": solution["num_tokens"],
            "finish_reason": solution["finish_reason"],
            "generation": {**generation, "seed": row["seed"], "asked_with": solution["asked_with"]},
            **_referred(row),
            **({"rejected_agrees": row["rejected_agrees"] if is_delta else None} if self.delta else {}),
        }


@dataclass(frozen=True)
class ExportRL(_Divided):
    """`<domain>_rl`, train and test: problems with a majority answer as the ground truth.

    min_majority_share: the least majority share.
    first: added to the numbers of samples in `extra_info`, so that those of several domains differ.

    A reference answer that is used stands in the place of the majority's, whatever the votes say. Answers
    that a reward cannot check are left out, and majorities that the opinions do not confirm. The prompt is
    the problem and the solving instruction, because a reward reads the answer from a box; the answer is
    written as TRL's reads it (`braced`). A majority is no proof: the ground truth is what the solver says
    most often.
    """

    version: ClassVar[int] = 4
    COLUMNS: ClassVar[Features] = RL
    shows_references: ClassVar[bool] = False
    READS: ClassVar[tuple[str, ...]] = (
        "index",
        "id",
        "problem",
        "cluster_sizes",
        "majority_answer",
        "majority_share",
        "mean_num_tokens",
        "is_readable",
        "accepted_as",
        "normal_hash",
    )
    suffix: ClassVar[str] = RL_SUFFIX

    min_majority_share: float
    instruction: str = SOLVING_INSTRUCTION
    moved: bool = False
    first: int = 0
    reference: str = field(default="", metadata={"later": True})
    own: tuple[OwnColumn, ...] = field(default=(), metadata={"later": True})
    opinions: tuple[str, ...] = field(default=(), metadata={"later": True})

    @property
    def config(self) -> str:
        return self.domain + self.suffix

    @property
    def split(self) -> str:
        return self.side

    def __post_init__(self) -> None:
        check_rl(self.min_majority_share)
        object.__setattr__(self, "min_majority_share", float(self.min_majority_share))

    def rows(self, row: Row) -> list[Row]:
        if self.by_reference and row["reference_answer"] is not None:
            answer, fits = row["reference_answer"], row["reference_readable"]
        else:
            answer, fits = row["majority_answer"], row["is_readable"]
            fits = answer is not None and fits and row["majority_share"] >= self.min_majority_share
            fits = fits and is_confirmed(row, self.opinions)
        if not fits:
            return []
        gold = braced(answer)
        published = {
            "id": row["id"],
            "problem": row["problem"],
            "prompt": [{"role": "user", "content": f"{row['problem']}\n\n{self.instruction}"}],
            "solution": f"$\\boxed{{{gold}}}$",
            "data_source": f"magpie_hf/{self.domain}",
            "ability": "math",
            "reward_model": {"style": "rule", "ground_truth": gold},
            "extra_info": {"index": self.first + row["index"], "split": self.side},
            "majority_share": row["majority_share"],
            "answer_votes": sum(row["cluster_sizes"]),
            "candidate_tokens": row["mean_num_tokens"],
        }
        return [published]


@dataclass(frozen=True)
class ExportCandidates(_Divided):
    """`candidates`, train and test, over all domains: every accepted problem with all k candidates.

    sft, keep_minority: which answers are published, as in a Recipe. Truncated candidates have no text.
    """

    version: ClassVar[int] = 2
    COLUMNS: ClassVar[Features] = CANDIDATES
    READS: ClassVar[tuple[str, ...]] = (
        "id",
        "problem",
        "language",
        "tags",
        "solutions",
        "candidates",
        "scores",
        "answers",
        "answer_clusters",
        "cluster_sizes",
        "in_majority",
        "solution_agrees",
        "answer_kind",
        "majority_answer",
        "majority_share",
        "unknown_pairs",
        "chosen_index",
        "rejected_index",
        "pair_kind",
        "pair_reason",
        "accepted_as",
        "normal_hash",
    )
    suffix: ClassVar[str] = f"_{CANDIDATES_CONFIG}"

    moved: bool = False
    sft: str | int = "best"
    keep_minority: bool = False
    reference: str = field(default="", metadata={"later": True})
    own: tuple[OwnColumn, ...] = field(default=(), metadata={"later": True})
    opinions: tuple[str, ...] = field(default=(), metadata={"later": True})
    delta: bool = field(default=False, metadata={"later": True})

    @property
    def config(self) -> str:
        return CANDIDATES_CONFIG

    @property
    def split(self) -> str:
        return self.side

    def rows(self, row: Row) -> list[Row]:
        same = {name: row[name] for name in CANDIDATES if name in row}
        published = {
            **same,
            "domain": self.domain,
            "tags": _tags(row),
            "solution_reason": missing_reason(row, self.sft, self.keep_minority, self.by_reference),
            "candidates": _candidates(row),
            "majority_share": row["majority_share"],
            "answer_votes": sum(row["cluster_sizes"]),
            **_referred(row),
            **(_rejected(row) if self.delta else {}),
        }
        return [published]


@dataclass(frozen=True)
class ExportDropped(Export):
    """The samples that were not accepted, with their reasons. They stay in the run."""

    version: ClassVar[int] = 1
    COLUMNS: ClassVar[Features] = DROPPED
    READS: ClassVar[tuple[str, ...]] = (
        "id",
        "domain",
        "raw_instruction",
        "raw_finish_reason",
        "problem",
        "language",
        "tags",
        "contaminated_by",
        "near_duplicate",
        "dropped",
    )

    domain: str
    moved: bool = False
    own: tuple[OwnColumn, ...] = field(default=(), metadata={"later": True})

    @property
    def config(self) -> str:
        return self.domain

    @property
    def split(self) -> str:
        return "dropped"

    def takes(self, row: Row) -> bool:
        return row["dropped"] is not None

    def rows(self, row: Row) -> list[Row]:
        same = {name: row[name] for name in DROPPED if name not in ("reason", "tags")}
        return [{**same, "reason": row["dropped"], "tags": _tags(row)}]


def spec_of(export: Export) -> dict[str, Any]:
    """An export as plain JSON values, from which `export_of` rebuilds it."""
    return {"is": type(export).__name__, **asdict(export)}  # type: ignore[call-overload]


def export_of(spec: dict[str, Any]) -> Export:
    """The export that `spec_of` described."""
    kinds: dict[str, type[ExportText | ExportRL | ExportCandidates]] = {
        kind.__name__: kind for kind in (ExportText, ExportRL, ExportCandidates)
    }
    own = tuple((column, kind, given) for column, kind, given in spec.get("own", ()))
    fields = {**spec, "held_out": HeldOut(**spec["held_out"]), "own": own}
    fields["opinions"] = tuple(spec.get("opinions", ()))
    if "generation" in fields:
        fields["generation"] = tuple((name, value) for name, value in fields["generation"])
    return kinds[fields.pop("is")](**fields)


def _referred(row: Row) -> Row:
    """The columns of the reference; none where the rows have none."""
    return {name: row[name] for name in WITH_REFERENCE if name in row}


def _rejected(row: Row) -> Row:
    """The smaller model's answer to a problem, where it is complete."""
    answer = row["rejected_response"]
    complete = answer if answer is not None and answer["reason"] is None else {}
    return {
        "rejected_response": complete.get("text"),
        "rejected_tokens": complete.get("num_tokens"),
        "rejected_agrees": row["rejected_agrees"],
    }


def _tags(row: Row) -> dict[str, str | None]:
    return {name: (row["tags"] or {}).get(name) for name in PUBLISHED["tags"]}


def _candidates(row: Row) -> list[Row]:
    columns = ("candidates", "scores", "answers", "answer_clusters", "in_majority")
    return [
        {
            "response": candidate["text"] if candidate["reason"] is None else None,
            "finish_reason": candidate["finish_reason"],
            "reason": candidate["reason"],
            "num_tokens": candidate["num_tokens"],
            "segments": candidate["segments"],
            "score": score["score"],
            "score_reason": score["reason"],
            "objectives": score["objectives"],
            "gate": score["gate"],
            "answer": answer,
            "answer_cluster": answer_cluster,
            "in_majority": in_majority,
        }
        for candidate, score, answer, answer_cluster, in_majority in zip(
            *(row[column] for column in columns), strict=True
        )
    ]


def _at(row: Row, index: int | None) -> tuple[Row, float | None]:
    """The candidate at a position and its score; an empty row and None without a position."""
    return ({}, None) if index is None else (row["candidates"][index], row["scores"][index]["score"])


def _conversation(problem: str, response: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": problem}, {"role": "assistant", "content": response}]
