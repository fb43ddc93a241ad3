"""How long a build still takes: the requests that are left, by their lengths so far, at the speed so far.

Not here: which rows are left (board.py), what is asked for them (workload.py), and how fast engines are
(estimates.py).

How long a stage's answers are is known from the finished ones, from what those in flight have so far, and,
while the finished ones are few, from the plan. The longest one at work goes on when all others are done, and
an engine is hardly quicker for it then (paces.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from magpie_hf.progress.estimates import Estimates
from magpie_hf.progress.lengths import Lengths
from magpie_hf.progress.paces import KNEES
from magpie_hf.progress.workload import Answers, Workload

KNOWN = 0.05  # of a stage's requests, that tell its pace
FEW = 30  # finished requests that say as much of the mean prompt as the plan does
FEW_ROWS = 10  # begun rows that say as much of how many requests a row has
MOST_SO_FAR = 0.9  # of its bound, that a request at work is believed to have where nothing counts


@dataclass(frozen=True)
class _Left:
    """Requests that a stage has left.

    begun: those at work; again: tokens that each of them had once and makes anew; cut, cut_at: truncated ones
    that go on when all others of their shards are done, and the tokens that each has; anew: whether they then
    begin anew; others, length, prompt: the rest, and tokens of each and of its prompt; lengths: what is known
    of them; pace: of those that finished, where these are enough.
    """

    begun: float
    again: float
    cut: float
    cut_at: float
    anew: bool
    others: float
    length: float
    prompt: float
    lengths: Lengths
    pace: float | None

    @property
    def more(self) -> float:
        """Tokens that each of those at work still gets."""
        return self.again + self.lengths.more

    @property
    def cut_more(self) -> float:
        """Tokens that those that go on get."""
        return self.cut * (self.cut_again + self.lengths.after(self.cut_at)) if self.cut else 0.0

    @property
    def cut_again(self) -> float:
        """Tokens that each of them makes anew."""
        return self.cut_at if self.anew else 0.0

    @property
    def longest(self) -> float:
        """Tokens that the longest of those at work still gets, and the longest of those that go on then."""
        begun = self.again + self.longest_of(self.begun, self.lengths.so_far)
        return begun + self.cut_again + self.longest_of(self.cut, self.cut_at)

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
    each, mean = _each(estimates, load), _mean(estimates, load)
    if each is None or mean is None:
        return None
    at_work, again, lengths = _lengths(estimates, load, beside)
    others = max(0.0, load.rows * each - at_work - load.cut)
    pace = load.pace if load.answered >= KNOWN * (load.answered + at_work + others) else None
    length, prompt = _length(load, mean, at_work, lengths), _fresh_prompt(estimates, load)
    return _Left(at_work, again, load.cut, load.cut_at, load.anew, others, length, prompt, lengths, pace)


def _each(estimates: Estimates, load: Workload) -> float | None:
    """Answers of a row, by those that have begun, and, while these are few, by what was thought of it."""
    planned, thought = estimates.planned.get(load.stage), None
    if load.read is not None:
        thought = load.read.complete
    elif planned is not None and load.planned:
        thought = planned.requests / load.planned
    begun = load.begun if load.begun_answers else 0.0
    if thought is None:
        return load.begun_answers / begun if begun else None
    return (load.begun_answers + FEW_ROWS * thought) / (begun + FEW_ROWS) if begun else thought


def _lengths(
    estimates: Estimates, load: Workload, beside: Sequence[Workload]
) -> tuple[float, float, Lengths]:
    """Answers of a stage at work, what each of them makes anew, and what is known of the lengths of all."""
    at_work, tokens = _at_work(estimates, load, beside)
    before = sum(one.longer_tokens for one in load.asked) / (load.flying or 1)
    so_far, again = tokens / (at_work or 1.0), 0.0
    if load.anew:
        again = max(0.0, before - so_far)
        so_far += again
    elif at_work:
        so_far += before
    if load.most_tokens is not None and load.most_tokens > 1 and not estimates.counts(load.engine):
        so_far = min(so_far, MOST_SO_FAR * load.most_tokens)
    longer: list[tuple[float, float]] = [(at_work, so_far), (load.cut, load.cut_at)]
    if load.most_tokens is not None:
        longer.append((max(0, load.answered - load.stopped), load.most_tokens))
    planned = estimates.planned.get(load.stage)
    return (
        at_work,
        again,
        Lengths(
            so_far,
            tuple(longer),
            load.stopped,
            sum(one.log_tokens for one in load.asked),
            None if planned is None else planned.tokens,
            load.most_tokens,
        ),
    )


def _length(load: Workload, mean: float, at_work: float, lengths: Lengths) -> float:
    """The mean tokens of a stage's answers, with those that have begun."""
    count = load.answered + at_work + load.cut
    if not count or (load.most_tokens in (None, 1) and mean <= 1):  # a rating has no more
        return mean
    tokens = float(sum(one.complete_tokens for one in load.asked))
    tokens += max(0, load.answered - load.stopped) * (load.most_tokens or mean)  # those that ended truncated
    tokens += at_work * (lengths.so_far + lengths.more)
    return (tokens + load.cut * (load.cut_at + lengths.after(load.cut_at))) / count


def answers_of(estimates: Estimates, load: Workload, loads: Sequence[Workload]) -> Answers | None:
    """The answers of a stage by those that stopped and those at work; None before any was asked for.

    loads: of all stages.
    """
    each = _each(estimates, load)
    if not load.begun_answers or each is None:
        return None
    _, _, lengths = _lengths(estimates, load, [one for one in loads if one.engine == load.engine])
    complete, tokens = float(load.stopped), float(sum(one.complete_tokens for one in load.asked))
    for count, so_far in ((load.flying, lengths.so_far), (load.cut, load.cut_at)):
        stopping = count * lengths.stopping(so_far)
        complete, tokens = complete + stopping, tokens + stopping * lengths.stopped_mean(so_far)
    planned = estimates.planned.get(load.stage)
    return Answers(
        each * complete / load.begun_answers,
        tokens / (complete or 1.0),
        _prompt(estimates, load),
        None if planned is None else (planned.tokens, planned.prompt),
    )


def _fresh_prompt(estimates: Estimates, load: Workload) -> float:
    """The mean prompt tokens of a stage's requests, without what the engine's prefix cache is to hold."""
    planned, prompt = estimates.planned.get(load.stage), _prompt(estimates, load)
    if planned is None:
        return prompt
    repeated = min(1.0, max(0.0, planned.prompt - planned.fresh) / max(prompt, 1.0))
    return (1 - estimates.cached(load.engine) * repeated) * prompt


def _prompt(estimates: Estimates, load: Workload) -> float:
    """The mean prompt tokens of a stage's requests, without those of answers that go on."""
    planned, read = estimates.planned.get(load.stage), load.read
    told = float(sum(one.prompt_tokens - one.resumed_tokens for one in load.asked))
    if planned is None:
        return told / load.requests if load.requests else 0.0
    prompt = planned.prompt
    if read is not None and read.planned is not None and prompt >= sum(read.planned):
        # It reads whole answers, and their problems, which are in the prompts of these
        prompt += read.tokens + read.prompt - sum(read.planned)
    return (FEW * prompt + told) / (FEW + load.requests)


def _mean(estimates: Estimates, load: Workload) -> float | None:
    """The mean tokens of a stage's finished requests, or by the plan."""
    if load.requests:
        return sum(one.tokens for one in load.asked) / load.requests
    planned = estimates.planned.get(load.stage)
    return None if planned is None else planned.tokens
