"""Objections: looks at problems on which the answers do not agree, or which they call impossible.

Not here: the tagger's one look at every sample (tag.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.engines.base import Engine
from magpie_hf.models.chat import Message, chat_of
from magpie_hf.models.sampling import Sampling
from magpie_hf.schema import OBJECTIONS, SELECTION
from magpie_hf.stage import Batch, Stage, fingerprint, identity, seed_of
from magpie_hf.stages.respond import recorded, response_of

ILL_POSED = "ill_posed"  # why a problem is dropped
LOOKS, ENOUGH = 3, 2
GUIDE = (
    "Here is a mathematics problem. Do not solve it. Say whether it can be solved as it stands: whether all"
    " that is needed is given, whether what is given contradicts itself, and whether exactly one answer is"
    " right. Give your reasons in a few sentences. Then write, on the last line, either\n"
    "Verdict: well-posed\nor\nVerdict: ill-posed"
)
_VERDICT = re.compile(r"verdict\W{1,6}(well|ill)\W?posed", re.IGNORECASE)
# An answer that says so only has the problem looked at, so a wrong alarm costs three short requests.
_OBJECTS = re.compile(
    r"(not|n't) (have |give |provide |given )?(enough|sufficient) (information|data|conditions)"
    r"|insufficient (information|data)|(cannot|can't|impossible to) (be )?(uniquely )?(determine|solve)"
    r"|ill.posed|underdetermined|no such|(is|are|seems?|appears?) (to be )?(contradict|inconsisten|flawed)"
    r"|(problem|question|statement) (is|has|contains|seems|appears)[^.]{0,40}(incomplete|missing|mistake)"
    r"|情報が(足り|不足)|(決定|特定)でき(ない|ません)|条件が矛盾|問題(文)?に(誤り|不備)",
    re.IGNORECASE,
)
_END = 600  # characters of an answer that are read for it: it objects where it comes to its end


@dataclass(frozen=True)
class Objections(Stage):
    """Three looks at each problem that asks for an answer and has no majority, or that a candidate rejects.

    A look gives its reasons before its verdict. `objections` is how many call the problem ill-posed; null
    where nobody looked. Two of them drop it, and then it is accepted for no domain.
    """

    name: ClassVar[str] = "objections"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = (
        "problem",
        "seed",
        "candidates",
        "answer_kind",
        "majority_answer",
    )
    reads_too: ClassVar[tuple[str, ...]] = ("accepted_as",)  # not there before the selection

    engine: Engine
    sampling: Sampling

    @property
    def adds(self) -> Features:
        return Features({**OBJECTIONS, **{name: SELECTION[name] for name in ("accepted_as", "dropped")}})

    @property
    def reuse_key(self) -> str:
        same = replace(self, sampling=replace(self.sampling, max_tokens=1))
        return fingerprint({**identity(same), "version": 1})

    def reusable(self, batch: Batch) -> Iterator[tuple[str, Any]]:
        for responses in batch["objection_responses"]:
            yield from map(recorded, responses or ())

    def conversation(self, problem: str) -> list[Message]:
        """The problem as a conversation that asks for a verdict."""
        return [{"role": "user", "content": f"{GUIDE}\n\nThe problem:\n\n{problem}"}]

    def run(self, batch: Batch) -> Batch:
        chat = chat_of(self.engine.model)
        sampling = replace(self.sampling, stop_token_ids=chat.end_ids, stop=chat.end_texts)
        columns = (batch[name] for name in ("candidates", "answer_kind", "majority_answer"))
        asked = [place for place, row in enumerate(zip(*columns, strict=True)) if is_doubtful(*row)]
        prompts = chat.closed_prompts(self.conversation(batch["problem"][place]) for place in asked)
        each = [prompt for prompt in prompts for _ in range(LOOKS)]
        seeds = [seed_of(batch["seed"][place], self.name, look) for place in asked for look in range(LOOKS)]
        made = [
            response_of(chat, f"user: {GUIDE}", completion)
            for completion in self.engine.complete(each, sampling, seeds)
        ]
        looks = {place: made[at * LOOKS : (at + 1) * LOOKS] for at, place in enumerate(asked)}
        against = {place: sum(map(_objects, found)) for place, found in looks.items()}
        rows = range(len(batch["seed"]))
        accepted_as = batch.get("accepted_as") or [None] * len(rows)
        dropped = [against.get(place, 0) >= ENOUGH for place in rows]
        return {
            "objections": [against.get(place) for place in rows],
            "objection_responses": [looks.get(place) for place in rows],
            "accepted_as": [
                None if gone else domain for gone, domain in zip(dropped, accepted_as, strict=True)
            ],
            "dropped": [ILL_POSED if gone else None for gone in dropped],
        }


def is_doubtful(candidates: Sequence[Mapping[str, Any]], kind: str, majority: str | None) -> bool:
    """Whether a problem is to be looked at again."""
    if kind in ("answer", "none") and majority is None:
        return True
    texts = (one["answer_text"] for one in candidates if one["reason"] is None)
    return any(_OBJECTS.search(text[-_END:]) for text in texts)


def _objects(look: Mapping[str, Any]) -> bool:
    """Whether the last verdict of a look, if it has one, is against the problem."""
    verdicts = _VERDICT.findall(look["answer_text"] or "")
    return look["reason"] is None and bool(verdicts) and verdicts[-1].lower() == "ill"
