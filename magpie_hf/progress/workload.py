"""Workload: a stage with rows left to make, and what was asked for it so far.

Not here: how much is left (remaining.py).

An answer that was truncated and goes on is one answer, and two requests.
"""

from __future__ import annotations

from dataclasses import dataclass

from magpie_hf.progress.events import StageRequests


@dataclass(frozen=True)
class Answers:
    """The answers of a stage: complete ones of a row, and the tokens of one and of its prompt.

    planned: the tokens of both that the plan says.
    """

    complete: float
    tokens: float
    prompt: float
    planned: tuple[float, float] | None


@dataclass(frozen=True)
class Workload:
    """A stage with rows left to make.

    rows: those that are left; begun: those that this build has made or begun; planned: those in all, by the
    plan; asked: its requests, a domain each; most_tokens: the bound of an answer; read: the answers that it
    reads, each of them a request; None where it reads none that are known; cut, cut_tokens: truncated answers
    that will be asked to go on, and their tokens; longer: requests by which others went on.
    """

    stage: str
    engine: str
    rows: float
    begun: float
    planned: float
    asked: tuple[StageRequests, ...]
    most_tokens: int | None
    read: Answers | None = None
    cut: int = 0
    cut_tokens: int = 0
    longer: int = 0

    @property
    def requests(self) -> int:
        """Requests that this build has finished; one by which an answer went on is one more."""
        return sum(one.answered for one in self.asked)

    @property
    def flying(self) -> int:
        return sum(one.asked - one.done for one in self.asked)

    @property
    def answered(self) -> int:
        """Answers that have ended, in this build or in an unfinished shard of it before."""
        return max(0, self.requests - self.longer - self.cut)

    @property
    def stopped(self) -> int:
        """Those of them that did by themselves."""
        return self.requests - sum(one.truncated for one in self.asked)

    @property
    def begun_answers(self) -> int:
        """Those that have begun."""
        return self.answered + self.cut + self.flying

    @property
    def cut_at(self) -> float:
        return self.cut_tokens / (self.cut or 1)

    @property
    def anew(self) -> bool:
        """Whether truncated answers begin anew when they are asked to go on."""
        return any(one.anew for one in self.asked)

    @property
    def working(self) -> float:
        return float(sum(one.working for one in self.asked))

    @property
    def pace(self) -> float | None:
        """The pace of the requests that finished last."""
        known = [one.pace for one in self.asked if one.pace]
        return sum(known) / len(known) if known else None
