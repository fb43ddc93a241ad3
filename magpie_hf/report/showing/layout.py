"""Rows formatted for a terminal: texts in blocks or side by side, then one line per result.

Not here: which rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from magpie_hf.models.marks import END_THINK, THINK
from magpie_hf.models.thinking import parted
from magpie_hf.report.finding import Shown
from magpie_hf.report.showing.formulas import in_unicode
from magpie_hf.text.language import tr
from magpie_hf.text.terminal import ANY_WIDTH, GAP, harmless

if TYPE_CHECKING:
    from rich.console import Console

INDENT = "  "
NARROWEST = 38  # columns of a text beside another
LABELS = ("difficulty", "quality", "solvability", "category")

Row = dict[str, Any]
Part = tuple[str, str]  # a label and a text


@dataclass(frozen=True)
class Layout:
    """How rows are printed on a console.

    raw: keep LaTeX; thinking: print the model's thinking too, which is folded otherwise. own: columns of
    stages of one's own, with their types and meanings.
    """

    to: Console
    raw: bool = False
    thinking: bool = False
    own: Sequence[Mapping[str, Any]] = ()

    def show(self, shown: Shown, *more: str) -> None:
        """Print a row. more: lines that follow its results."""
        row = shown.row
        self.to.print(f"=== {harmless(row['id'])}  {shown.split}", style="bold")
        blocks, lines = _PARTS[shown.kind](row)
        for line in _tags(row):
            self.to.print(_line(line))
        for block in blocks:
            self._blocks([(_line(label), text) for label, text in block])
        own = [one for one in self.own if shown.kind in one["to"] and one["name"] in row]
        for line in (*lines, *(_own(one, row[one["name"]]) for one in own), *more):
            self.to.print(_line(line))
        self.to.print()

    def _blocks(self, parts: Sequence[Part]) -> None:
        """Texts side by side if there is room for at least two, else one below the other."""
        abreast = (
            1 if self.to.width == ANY_WIDTH else min(len(parts), (self.to.width + GAP) // (NARROWEST + GAP))
        )
        if abreast < 2:
            for label, text in parts:
                self.to.print(label, style="cyan")
                for line in self._wrapped(self._readable(text)):
                    self.to.print(f"{INDENT}{line}".rstrip())
            return
        for at in range(0, len(parts), abreast):
            self._abreast(parts[at : at + abreast], (self.to.width + GAP) // abreast - GAP)

    def _abreast(self, parts: Sequence[Part], width: int) -> None:
        from rich.table import Table

        table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="cyan")
        for label, _ in parts:
            table.add_column(label, width=width, overflow="fold")
        table.add_row(*(self._readable(text) for _, text in parts))
        self.to.print(table)
        self.to.print()

    def _wrapped(self, text: str) -> Iterator[str]:
        from rich.text import Text

        for line in text.split("\n"):
            yield from (
                (part.plain for part in Text(line).wrap(self.to, max(1, self.to.width - len(INDENT))))
                if line
                else ("",)
            )

    def _readable(self, text: str) -> str:
        thought, answer = parted(text)
        if thought is None:
            return self._plain(text)
        if self.thinking:
            return "\n".join((THINK, self._plain(thought), END_THINK, self._plain(answer)))
        folded = tr("[{count} characters of thinking; --thinking shows them]", count=f"{len(thought):,}")
        return f"{folded}\n{self._plain(answer)}" if thought else self._plain(answer)

    def _plain(self, text: str) -> str:
        return harmless(text if self.raw else in_unicode(text)).strip("\n")


def _line(text: str) -> str:
    """In one line: a model's text must not begin a line of its own here."""
    return " ".join(harmless(text).split())


def _answered(row: Row) -> tuple[list[list[Part]], list[str]]:
    answer = tr(
        "answer {rank} of {answers} ({tokens} tokens)",
        rank=row["answer_rank"],
        answers=row["answer_count"],
        tokens=_count(row["solution_tokens"]),
    )
    return [[_problem(row)], [(answer, row["solution"])]], [
        *_final(row["answer"], row),
        *_majority_share(row),
        _checked(row),
        *_opinions(row),
        *_pair(row),
    ]


def _paired(row: Row) -> tuple[list[list[Part]], list[str]]:
    texts = [
        (
            tr(
                "chosen: score {score}, {tokens} tokens",
                score=_score(row["score_chosen"]),
                tokens=_count(row["chosen_tokens"]),
            ),
            "chosen",
        ),
        (
            tr(
                "rejected: score {score}, {tokens} tokens",
                score=_score(row["score_rejected"]),
                tokens=_count(row["rejected_tokens"]),
            ),
            "rejected",
        ),
    ]
    sides = [(label, row[column][-1]["content"]) for label, column in texts]
    return [[_problem(row)], sides], [*_majority_share(row), *_opinions(row), *_pair(row)]


def _candidates(row: Row) -> tuple[list[list[Part]], list[str]]:
    places = {row["chosen_index"]: tr("chosen"), row["rejected_index"]: tr("rejected")}
    texts = [_candidate(number, one, places.get(number)) for number, one in enumerate(row["candidates"])]
    if (rejected := row.get("rejected_response")) is not None:
        label = tr("a smaller model's answer: {tokens} tokens", tokens=_count(row["rejected_tokens"]))
        texts.append((label, rejected))
    kind, reason = row["pair_kind"], row["pair_reason"]
    pair = tr("pair: {kind}", kind=kind) if kind else tr("pair: none ({reason})", reason=reason)
    reason = row.get("solution_reason")
    unanswered = [tr("answer: none is published ({reason})", reason=reason)] if reason else []
    return [[_problem(row)], texts], [*unanswered, *_majority_share(row), *_opinions(row), pair]


def _candidate(number: int, one: Row, place: str | None) -> Part:
    marks = [place] if place else []
    marks += [tr("score {score}", score=_score(one["score"]))] if one["score"] is not None else []
    marks += [tr("{tokens} tokens", tokens=_count(one["num_tokens"]))]
    marks += [tr("answer {answer}", answer=one["answer"])] if one["answer"] is not None else []
    marks += (
        [tr("in the majority") if one["in_majority"] else tr("not in the majority")]
        if one["in_majority"] is not None
        else []
    )
    label = tr("candidate {number}: {marks}", number=number + 1, marks=", ".join(marks))
    return label, (
        one["response"] if one["response"] is not None else tr("[incomplete: {reason}]", reason=one["reason"])
    )


def _rl(row: Row) -> tuple[list[list[Part]], list[str]]:
    lines = [tr("ground truth: {answer}", answer=row["solution"]), *_majority_share(row), *_opinions(row)]
    return [[_problem(row)]], lines


def _with_tools(row: Row) -> tuple[list[list[Part]], list[str]]:
    answer = tr(
        "answer {rank} of {answers} ({tokens} tokens, programs run: {runs})",
        rank=row["answer_rank"],
        answers=row["answer_count"],
        tokens=_count(row["solution_tokens"]),
        runs=row["runs"],
    )
    lines = [tr("final answer: {answer}", answer=row["answer"]), *_majority_share(row), *_opinions(row)]
    return [[_problem(row)], [(answer, row["solution"])]], lines


def _dropped(row: Row) -> tuple[list[list[Part]], list[str]]:
    lines = [tr("dropped: {reason}", reason=row["reason"])]
    lines += [
        tr("duplicate of: {what}", what=what)
        for what in (row["near_duplicate"], row["contaminated_by"])
        if what
    ]
    lines += (
        [tr("finish reason: {reason}", reason=row["raw_finish_reason"])]
        if row["raw_finish_reason"] != "stop"
        else []
    )
    lines += [tr("language: {code}", code=row["language"])] if row["reason"] == "language" else []
    lines += (
        [tr("domain by the tagger: {domain}", domain=row["tags"]["domain"])]
        if row["reason"] == "off_topic"
        else []
    )
    text = row["problem"] if row["problem"] is not None else row["raw_instruction"]
    return [[(tr("sample"), text or tr("[empty]"))]], [*lines, *_opinions(row)]


def _sampled(row: Row) -> tuple[list[list[Part]], list[str]]:
    text = row["problem"] if row["problem"] is not None else row["raw_instruction"]
    return [[(tr("sample"), text or tr("[empty]"))]], (
        [tr("dropped: {reason}", reason=row["dropped"])] if row["dropped"] else []
    )


_PARTS = {
    "sft": _answered,
    "prefs": _paired,
    "candidates": _candidates,
    "rl": _rl,
    "tir": _with_tools,
    "dropped": _dropped,
    "samples": _sampled,
}


def _problem(row: Row) -> Part:
    return tr("problem"), row["problem"]


def _tags(row: Row) -> list[str]:
    tags = [value for name in LABELS if (value := (row.get("tags") or {}).get(name))]
    said = [tr("tags: {tags}", tags=", ".join(tags))] if tags else []
    if (topic := row.get("topic")) is not None:
        said.append(tr("topic: {topic}", topic=topic))
    if (persona := row.get("persona")) is not None:
        said.append(tr("who asks: {persona}", persona=persona))
    return said


def _own(column: Mapping[str, Any], value: Any) -> str:
    """A column of one's own: name, value, type and meaning."""
    shown = json.dumps(value, ensure_ascii=False)
    if value is None or isinstance(value, str | float):
        shown = "–" if value is None else value if isinstance(value, str) else f"{value:.6g}"
    return f"{column['name']}: {shown} ({column['type']}; {column['means']})"


def _final(answer: str | None, row: Row) -> list[str]:
    if answer is not None:
        return [tr("final answer: {answer}", answer=answer)]
    missing = {
        "proof": tr("final answer: none (a proof)"),
        "open": tr("final answer: none (an open question)"),
    }
    return [missing.get(row["answer_kind"], tr("final answer: none was found"))]


def _majority_share(row: Row) -> list[str]:
    share, votes, answer = row["majority_share"], row["answer_votes"], row.get("majority_answer")
    if share is None:
        return [tr("majority share: none (fewer than two candidates have an answer)")]
    if answer is None:
        return [tr("majority share: {share} of {votes} votes", share=f"{share:.0%}", votes=votes)]
    return [
        tr(
            "majority share: {share} of {votes} votes, for {answer}",
            share=f"{share:.0%}",
            votes=votes,
            answer=answer,
        )
    ]


def _checked(row: Row) -> str:
    return {
        "majority": tr("the answer agrees with the majority"),
        "minority": tr("the answer differs from the majority"),
        "no vote": tr("the answer is not checked: no vote decides"),
    }[row["answer_checked"]]


def _opinions(row: Row) -> list[str]:
    """What a checker and programs say of the majority's answer, where they were asked."""
    words = {
        "agrees": tr("agrees with the majority"),
        "differs": tr("differs from the majority"),
        "none": tr("says nothing"),
    }
    said = [(tr("checker"), row.get("checked"), row.get("checker_answer"))]
    said += [(tr("programs"), row.get("program_agrees"), row.get("program_answer"))]
    lines = [
        f"{who}: {words[verdict]}" + (f" ({answer})" if answer else "")
        for who, verdict, answer in said
        if verdict is not None
    ]
    if (against := row.get("objections")) is not None:
        lines.append(tr("objections: {count} of 3 looks", count=against))
    if row.get("known_same"):
        where = {"row": row["nearest_known"], "similarity": row["known_similarity"]}
        lines.append(tr("known up to numbers: {row} (cosine {similarity:.2f})", **where))
    if (rate := row.get("pass_rate")) is not None:
        lines.append(tr("pass rate: {rate:.0%} of {count} answers", rate=rate, count=row["pass_votes"]))
    if row.get("round"):
        was = {"round": row["round"], "rate": row["pass_rate_before"]}
        lines.append(tr("made of an easier problem in round {round}; pass rate before: {rate:.0%}", **was))
    return lines


def _pair(row: Row) -> list[str]:
    if not row["has_pair"]:
        return [tr("pair: none")]
    scores = {
        "chosen": _score(row["score_chosen"]),
        "rejected": _score(row["score_rejected"]),
        "score_gap": _score(row["score_gap"]),
    }
    return [
        tr(
            "pair: {kind}, chosen {chosen}, rejected {rejected}, score gap {score_gap}",
            kind=row["pair_kind"],
            **scores,
        )
    ]


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"
