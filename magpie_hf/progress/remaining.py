"""How long a build still takes: the requests that are left, by their lengths so far, at the speed so far.

Not here: which rows are left (board.py), and how fast engines are (estimates.py).

How long a stage's answers are is known from the finished ones, from what those in flight have so far, and,
while the finished ones are few, from the plan. The longest one at work goes on when all others are done, and
an engine is hardly quicker for it then (paces.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from magpie_hf.progress.estimates import Estimates
from magpie_hf.progress.events import StageRequests
from magpie_hf.progress.lengths import Lengths
from magpie_hf.progress.paces import KNEES

KNOWN = 0.05  # of a stage's requests, that tell its pace
FEW = 30  # finished requests that say as much of the mean prompt as the plan does
MOST_SO_FAR = 0.9  # of its bound, that a request at work is believed to have where nothing counts


@dataclass(frozen=True)
class Answers:
    """The answers of a stage: complete ones of a row, tokens of one, and those that the plan says."""

    complete: float
    tokens: float
    planned: float | None


@dataclass(frozen=True)
class Workload:
    """A stage with rows left to make.

    rows: those that are left; begun: those that this build has made or begun; planned: those in all, by the
    plan; asked: its requests, a domain each; most_tokens: the bound of a request; read: the answers that it
    reads, each of them a request; None where it reads none that are known; cut, cut_tokens: truncated answers
    that will be asked to go on, and their tokens.
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

    @property
    def answered(self) -> int:
        return sum(one.answered for one in self.asked)

    @property
    def flying(self) -> int:
        return sum(one.asked - one.done for one in self.asked)

    @property
    def working(self) -> float:
        return float(sum(one.working for one in self.asked))

    @property
    def each(self) -> float:
        """Requests of a row, of those begun; 0 where this build has asked for nothing yet."""
        asked = self.answered + self.flying
        return (asked + sum(one.kept for one in self.asked)) / self.begun if self.begun and asked else 0.0

    @property
    def pace(self) -> float | None:
        """The pace of the requests that finished last."""
        known = [one.pace for one in self.asked if one.pace]
        return sum(known) / len(known) if known else None


@dataclass(frozen=True)
class _Left:
    """Requests that a stage has left.

    begun: those at work; cut, cut_at: truncated ones that go on when all others of their shards are done, and
    the tokens that each has; others, length, prompt: the rest, and tokens of each and of its prompt; lengths:
    what is known of them; pace: of those that finished, where these are enough.
    """

    begun: float
    cut: float
    cut_at: float
    others: float
    length: float
    prompt: float
    lengths: Lengths
    pace: float | None

    @property
    def more(self) -> float:
        """Tokens that each of those at work still gets."""
        return self.lengths.more

    @property
    def cut_more(self) -> float:
        """Tokens that those that go on get."""
        return self.cut * self.lengths.after(self.cut_at) if self.cut else 0.0

    @property
    def longest(self) -> float:
        """Tokens that the longest of those at work still gets, and the longest of those that go on then."""
        return self.longest_of(self.begun, self.lengths.so_far) + self.longest_of(self.cut, self.cut_at)

    def longest_of(self, count: float, so_far: float = 0.0) -> float:
        """Tokens that the longest of so many still gets that have so many."""
        return self.lengths.longest(count, so_far) - so_far if count else 0.0


def seconds_left(estimates: Estimates, loads: Sequence[Workload]) -> float | None:
    """Seconds until the end; None while nobody knows."""
    seconds = 0.0
    for engine in dict.fromkeys(load.engine for load in loads):
        mine = [load for load in loads if load.engine == engine]
        left = [one for load in mine if (one := _left(estimates, load, mine)) is not None]
        told = estimates.last.get(engine)
        # On Ray nobody hears of single requests, which would tell a pace
        paced = told is not None and told.counted == "finished" and engine in estimates.paces
        needed = (_by_pace if paced else _by_rate)(estimates, engine, left)
        if needed is None or len(left) < len(mine):
            return None
        seconds += estimates.opening(engine) + needed
    return seconds


def _by_rate(estimates: Estimates, engine: str, left: Sequence[_Left]) -> float | None:
    """Seconds that an engine needs for all of its stages.

    Requests in flight go on at the speed of now; the others at that of an engine that is well used. The one
    that begins last is whole when it begins, while those beside it are half done on average.
    """
    if (full := estimates.full_rate(engine)) is None:
        return None
    now = estimates.rate_now(engine) or full
    running = estimates.last[engine].working if engine in estimates.last else 0
    price, together, alone = estimates.prompt_work(engine), 0.0, 0.0
    for one in left:
        read = price * one.prompt
        begun = one.more + read * read / 2 / ((read + one.length) or 1.0)  # of a life so much is reading
        together += one.begun * begun / now + (one.others * (one.length + read) + one.cut_more) / full
        alone = max(alone, one.longest * max(1, running) / now)
    if left and (last := left[-1]).others:
        ends = (last.length + price * last.prompt) / 2
        alone = max(alone, together + ends * running / now)
    return together + KNEES[0] / (KNEES[0] + running) * max(0.0, alone - together)


def _by_pace(estimates: Estimates, engine: str, left: Sequence[_Left]) -> float:
    """The same for an engine that counts nothing: by the pace of each stage, or of those before it."""
    usual, knee, prompt_seconds = estimates.paces[engine]
    most, seconds = estimates.most_at_work(engine), 0.0
    for one in left:
        tokens = one.begun * one.more + one.others * one.length + one.cut_more
        steps = max(one.longest, one.longest_of(one.others))
        if one.length <= 1:  # of ratings nobody knows how far they are: they may all end at once
            tokens, steps = one.begun * max(1.0, one.lengths.so_far) + one.others, 1.0
        if one.pace is None:
            seconds += one.others * one.prompt * prompt_seconds
        seconds += (one.pace or usual) * (tokens + knee * max(steps, tokens / most))
    return seconds


def _at_work(estimates: Estimates, load: Workload, beside: Sequence[Workload]) -> tuple[float, float]:
    """Requests of a stage that its engine works on, and the tokens that they have so far."""
    last = estimates.last.get(load.engine)
    if not load.flying or last is None or not last.running:
        return 0.0, 0.0
    if not estimates.counts(load.engine):
        return load.working, sum(one.unfinished_tokens for one in load.asked)
    weights = {one.stage: one.working * (_mean(estimates, one) or 1.0) for one in beside}
    tokens = last.unfinished_tokens * weights[load.stage] / (sum(weights.values()) or 1.0)
    return load.working, tokens


def _left(estimates: Estimates, load: Workload, beside: Sequence[Workload]) -> _Left | None:
    """The requests that a stage has left; None where nobody knows. beside: all loads of its engine."""
    planned, answered = estimates.planned.get(load.stage), load.answered
    if load.each:
        requests = load.rows * load.each
    elif load.read is not None:
        requests = load.rows * load.read.complete
    elif planned is not None and load.planned:
        requests = load.rows * planned.requests / load.planned
    else:
        return None
    if (mean := _mean(estimates, load)) is None:
        return None
    at_work, lengths = _lengths(estimates, load, beside)
    others = max(0.0, requests - at_work - load.cut)
    pace = load.pace if answered >= KNOWN * (answered + at_work + others) else None
    length, prompt = _length(load, mean, at_work, lengths), _prompt(estimates, load)
    cut_at = load.cut_tokens / (load.cut or 1)
    return _Left(at_work, load.cut, cut_at, others, length, prompt, lengths, pace)


def _lengths(estimates: Estimates, load: Workload, beside: Sequence[Workload]) -> tuple[float, Lengths]:
    """Requests of a stage at work, and what is known of the lengths of all."""
    at_work, tokens = _at_work(estimates, load, beside)
    before = sum(one.longer_tokens for one in load.asked) / (load.flying or 1)
    so_far = tokens / at_work + before if at_work else 0.0
    if load.most_tokens is not None and load.most_tokens > 1 and not estimates.counts(load.engine):
        so_far = min(so_far, MOST_SO_FAR * load.most_tokens)
    planned = estimates.planned.get(load.stage)
    logarithms = sum(one.log_tokens for one in load.asked)
    by_plan = None if planned is None else planned.tokens
    return at_work, Lengths(so_far, at_work, load.answered, logarithms, by_plan, load.most_tokens)


def _length(load: Workload, mean: float, at_work: float, lengths: Lengths) -> float:
    """The mean tokens of a stage's requests, with those that are at work."""
    count = load.answered + at_work
    if not count or (load.most_tokens in (None, 1) and mean <= 1):  # a rating has no more
        return mean
    return (load.answered * mean + at_work * (lengths.so_far + lengths.more)) / count


def answers_of(estimates: Estimates, load: Workload) -> Answers | None:
    """The answers of a stage by those that stopped and those at work; None before any was asked for."""
    if not load.each or (mean := _mean(estimates, load)) is None:
        return None
    at_work, lengths = _lengths(estimates, load, [load])
    stopped = load.answered - sum(one.truncated for one in load.asked)
    planned = estimates.planned.get(load.stage)
    return Answers(
        load.each * (stopped + load.flying * lengths.stopping) / (load.answered + load.flying),
        _length(load, mean, at_work, lengths),
        None if planned is None else planned.tokens,
    )


def _prompt(estimates: Estimates, load: Workload) -> float:
    """The mean prompt tokens of a stage's requests, without what the engine's prefix cache is to hold."""
    planned, read = estimates.planned.get(load.stage), load.read
    told = float(sum(one.prompt_tokens for one in load.asked))
    if planned is None:
        return told / load.answered if load.answered else 0.0
    prompt = planned.prompt
    if read is not None and read.planned is not None and prompt >= read.planned:  # it reads whole answers
        prompt += read.tokens - read.planned
    repeated = min(1.0, max(0.0, planned.prompt - planned.fresh) / max(prompt, 1.0))
    mean = (FEW * prompt + told) / (FEW + load.answered)
    return (1 - estimates.cached(load.engine) * repeated) * mean


def _mean(estimates: Estimates, load: Workload) -> float | None:
    """The mean tokens of a stage's finished requests, or by the plan."""
    if load.answered:
        return sum(one.tokens for one in load.asked) / load.answered
    planned = estimates.planned.get(load.stage)
    return None if planned is None else planned.tokens
