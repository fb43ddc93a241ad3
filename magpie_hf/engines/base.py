"""The interface between stages and the engines that complete or rate prompts.

Not here: chat templates, domains and datasets, which engines do not know.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, TypeVar

from magpie_hf.engines import meter, shares
from magpie_hf.engines.journal import Journal, current, rating_keys, request_keys
from magpie_hf.engines.queued import Queued
from magpie_hf.errors import BadInput
from magpie_hf.models.model import Model
from magpie_hf.models.sampling import Sampling
from magpie_hf.models.tokenizer import continuation, storable
from magpie_hf.stage import seed_of

CONTEXT_FULL = "context_full"  # finish reason of a prompt that fills the model's context
KILLED_ENGINE = "killed_engine"  # of a request that was alone in the engine when it died again
NAN = "nan"  # reason of a rating that is no finite number


@dataclass(frozen=True)
class Completion:
    """The result of one completion request.

    finish_reason: "stop" (ended by itself), "length" (truncated at max_tokens or at the model's limit),
        "repetition" (ended by vLLM, which can detect loops), "context_full" (never sent: the prompt fills the
        model's whole context) or "killed_engine" (the engine died of it).
    num_tokens: tokens of the completion, with its end token.
    first: top log-probabilities of the first token as (token id, log-probability), likeliest first, if the
        sampling asked for them.
    request: the key of the request in the journal.
    token_ids: those of a truncated completion that can go on; () for any other.
    segments: the tokens of each request that it is made of, in order; () for one request.
    """

    text: str
    finish_reason: str
    prompt_tokens: int
    num_tokens: int
    first: tuple[tuple[int, float], ...] = ()
    request: str = ""
    token_ids: tuple[int, ...] = ()
    segments: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", storable(self.text))


@dataclass(frozen=True)
class Pooling:
    """Which of a model's values are asked for; those of a reward model come without activation.

    of: "sequence" (the vector of the whole prompt), "last_token" (the last token's value of a model that
    gives one per token), "steps" (the values at every token `step_token`, in order), or "embedding" (an
    embedding model's vector, of length 1).
    """

    of: Literal["sequence", "last_token", "steps", "embedding"]
    step_token: int | None = None


@dataclass(frozen=True)
class Rating:
    """The result of one rating request: values, or none with a reason.

    reason: "context_full", "killed_engine", "nan".
    request: its key in the journal.
    """

    values: tuple[float, ...]
    reason: str | None = None
    request: str = ""


Result = TypeVar("Result", Completion, Rating)


@dataclass(frozen=True)
class Engine(ABC):
    """The spec of an engine: it compares and pickles by the model it runs.

    The first call opens the live engine.
    """

    model: Model

    @property
    def max_length(self) -> int | None:
        """The limit on prompt and completion together, in tokens; None where the model states none."""
        return self.model.max_length

    def identity(self) -> Model:
        """The model: what it is belongs to the data, where it runs does not."""
        return self.model

    def complete(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, seeds: Sequence[int]
    ) -> list[Completion]:
        """One completion per prompt, in order; blocks until all are done. Thread-safe.

        Results in the shard's journal are not computed again, and each new one is recorded at once. One that
        a lower bound truncated goes on from its own tokens, where these are known and `resumable`. Raises
        EngineError where the engine cannot start or dies for good, OSError where the journal cannot be
        written.
        """
        journal = current()
        keys = request_keys(self.model, prompts, sampling, seeds)
        done: dict[str, Completion] = {}
        truncated: dict[str, Completion] = {}
        for key in keys:
            if (kept := _kept(journal, key)) is None:
                continue
            if (found := within(kept, sampling.max_tokens, self.max_length)) is not None:
                done[key] = found
            else:
                truncated[key] = kept

        def start(at: int) -> Future[Completion]:
            before, request = truncated.get(keys[at]), (prompts[at], sampling, seeds[at])
            kept = before if before is not None and before.token_ids and resumable(sampling) else None
            if kept is not None:
                rest = replace(sampling, max_tokens=sampling.max_tokens - kept.num_tokens)
                seed = seed_of(seeds[at], "segment", kept.num_tokens)
                request = ([*prompts[at], *kept.token_ids], rest, seed)
            future: Future[Completion] = Future()
            had, resumed = 0 if before is None else before.num_tokens, kept is not None
            self._metered(len(request[0]), lambda: self.submit(*request), had, resumed).add_done_callback(
                partial(_deliver, future, lambda made: self._whole(prompts[at], kept, made, sampling.stop))
            )
            return future

        return _gather(journal, keys, done, start, record)

    def _whole(
        self, prompt: Sequence[int], kept: Completion | None, made: Completion, stop: Sequence[str]
    ) -> Completion:
        """The completion of a prompt: what was made, after what was kept of it, with ids if it can go on."""
        whole = made if kept is None else self._joined(prompt, kept, made, stop)
        full = self.max_length is not None and whole.prompt_tokens + whole.num_tokens >= self.max_length
        return whole if whole.finish_reason == "length" and not full else replace(whole, token_ids=())

    def _joined(
        self, prompt: Sequence[int], kept: Completion, more: Completion, stop: Sequence[str]
    ) -> Completion:
        """A truncated completion and what came after it, as one.

        The text is decoded anew from all tokens, so a character that the bound divided is whole. A stop text
        that the bound divided ends it, too: the request that went on never saw it whole.
        """
        if more.finish_reason == CONTEXT_FULL:  # the engine's context is smaller than the model says
            return kept
        finish_reason, ids = more.finish_reason, (*kept.token_ids, *more.token_ids)
        text = continuation(self.model, prompt, ids)
        if (end := first_of(stop, text)) is not None:
            finish_reason = "stop"
            ids = ids[: self._tokens_until(prompt, ids, kept.num_tokens, stop)]
            text = text[:end]
        elif finish_reason == "stop":
            text = continuation(self.model, prompt, ids[:-1])
        return replace(
            kept,
            text=text,
            finish_reason=finish_reason,
            num_tokens=len(ids),
            token_ids=ids,
            segments=(*(kept.segments or (kept.num_tokens,)), len(ids) - kept.num_tokens),
        )

    def _tokens_until(
        self, prompt: Sequence[int], ids: Sequence[int], least: int, stop: Sequence[str]
    ) -> int:
        """How many of the tokens, of which more than `least`, it takes to the end of a stop text."""
        return bisect_left(
            range(len(ids)),
            True,
            lo=least + 1,
            key=lambda count: first_of(stop, continuation(self.model, prompt, ids[:count])) is not None,
        )

    def rate(self, prompts: Sequence[Sequence[int]], pooling: Pooling) -> list[Rating]:
        """One rating per prompt, in order, recorded like `complete`; equal prompts are computed once.

        Blocks until all are done. A rating that is no number is not recorded, so a later build computes it
        again. Raises as `complete` does, and BadInput where this engine cannot rate.
        """
        journal = current()
        keys = rating_keys(self.model, prompts, pooling)
        done = {
            key: Rating(tuple(kept[0]), kept[1], key)
            for key in keys
            if (kept := journal.get(key)) is not None
        }
        return _gather(
            journal,
            keys,
            done,
            lambda at: self._metered(len(prompts[at]), lambda: self.submit_rating(prompts[at], pooling)),
            _rating_record,
        )

    def _metered(
        self, prompt_tokens: int, start: Callable[[], Future[Result]], had: int = 0, resumed: bool = False
    ) -> Future[Result]:
        """Start a request and report it to the meter. had, resumed: of a `meter.Start`."""
        began = time.monotonic()
        future = start()  # the first call opens the engine, which must not count as request time
        shares.opened(time.monotonic() - began)
        waits = isinstance(future, Queued)
        started = meter.Start(self.model.name, time.monotonic(), 1, prompt_tokens, had, resumed, waits)
        meter.started(started)
        if isinstance(future, Queued):
            future.when_begun(partial(meter.begun, started))
        future.add_done_callback(partial(_ended, started, self.max_length))
        return future

    @abstractmethod
    def submit(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Future[Completion]:
        """Start one completion and return at once.

        The result holds its token ids if the sampling is `resumable`, however it ended; without them it never
        goes on, and is asked for again from the start.
        """

    @property
    def rates(self) -> bool:
        """Whether this engine can rate."""
        return False

    def submit_rating(self, prompt: Sequence[int], pooling: Pooling) -> Future[Rating]:
        """Start one rating and return at once."""
        raise BadInput(
            f"the engine of {self.model.name} completes prompts and rates none; give one that runs a reward"
            " model"
        )

    def check(self) -> None:  # noqa: B027 (an engine without a device has nothing to check)
        """Raises BadInput where this engine cannot run its model here. Loads and downloads nothing."""

    def describe(self) -> str | None:
        """One line on its parallelism here, or None. Call `check` first."""
        return None

    def close(self) -> None:  # noqa: B027 (nor, without a live part, anything to release)
        """Release the live engine, if there is one. A later `complete` opens another."""


def resumable(sampling: Sampling) -> bool:
    """Whether a truncated completion can go on from its own tokens.

    A schema and a grammar begin anew with each request, and the first token of another request is another.
    """
    return not (sampling.schema or sampling.allowed_token_ids or sampling.logprobs)


def first_of(stop: Sequence[str], text: str) -> int | None:
    """Where the first of the stop texts begins in a text; None without one."""
    return min((at for one in stop if (at := text.find(one)) >= 0), default=None)


def record(completion: Completion) -> list[object]:
    """A completion as the journal stores it."""
    return [
        completion.text,
        completion.finish_reason,
        completion.prompt_tokens,
        completion.num_tokens,
        completion.first,
        completion.token_ids,
        completion.segments,
    ]


def within(completion: Completion, max_tokens: int, longest: int | None) -> Completion | None:
    """A recorded completion under this bound; None where a lower bound truncated it.

    For None the request must go on, or be sent again. The text of a completion that exceeds the bound is not
    returned, because no stage reads a truncated text.
    """
    if completion.num_tokens > max_tokens:
        return replace(
            completion, text="", finish_reason="length", num_tokens=max_tokens, token_ids=(), segments=()
        )
    full = longest is not None and completion.prompt_tokens + completion.num_tokens >= longest
    cut_lower = completion.finish_reason == "length" and completion.num_tokens < max_tokens and not full
    if cut_lower or (completion.finish_reason == CONTEXT_FULL and not full):
        return None
    return completion


def _kept(journal: Journal, key: str) -> Completion | None:
    """The completion that a journal knows, under whatever bound it was made."""
    kept = journal.get(key)
    if kept is None:
        return None
    text, finish_reason, prompt_tokens, num_tokens, first, *more = kept
    ids, segments = more or ((), ())  # records of earlier versions have neither
    return Completion(
        text,
        finish_reason,
        prompt_tokens,
        num_tokens,
        tuple((token, log) for token, log in first),
        key,
        tuple(ids),
        tuple(segments),
    )


def _rating_record(rating: Rating) -> list[object] | None:
    """A rating as the journal stores it; None for one that must be computed again."""
    return [rating.values, rating.reason] if rating.reason in (None, KILLED_ENGINE) else None


def finite(values: Sequence[float]) -> Rating:
    """The rating of an engine's values, with a reason where they are no finite numbers."""
    return Rating(tuple(values)) if all(map(math.isfinite, values)) else Rating((), NAN)


def _gather(
    journal: Journal,
    keys: Sequence[str],
    done: dict[str, Result],
    start: Callable[[int], Future[Result]],
    recorded: Callable[[Result], list[Any] | None],
) -> list[Result]:
    """Start each missing key once, record each result in the journal as it comes, and wait for all."""
    asked: dict[str, Future[Result]] = {}
    for at, key in enumerate(keys):
        if key not in done and key not in asked:
            asked[key] = start(at)
            asked[key].add_done_callback(partial(_keep, journal, key, recorded))
    for key, future in asked.items():
        done[key] = replace(future.result(), request=key)
        journal.check()
    return [done[key] for key in keys]


def _keep(
    journal: Journal, key: str, recorded: Callable[[Result], list[Any] | None], future: Future[Result]
) -> None:
    if (
        not future.cancelled()
        and future.exception() is None
        and (value := recorded(future.result())) is not None
    ):
        journal.record(key, value)


def _deliver(
    future: Future[Completion], whole: Callable[[Completion], Completion], raw: Future[Completion]
) -> None:
    """Set the result of a request, made whole."""
    try:
        future.set_result(whole(raw.result()))
    except BaseException as error:  # the caller waits for the future, and raises it there
        future.set_exception(error)


def _ended(start: meter.Start, longest: int | None, future: Future[Any]) -> None:
    """Report the end of a request to the meter. longest: the model's limit on prompt and completion."""
    good = not future.cancelled() and future.exception() is None
    outcome = meter.Outcome(start.prompt_tokens, 0) if good else None
    if good and isinstance(made := future.result(), Completion):
        more: meter.More = None
        full = longest is not None and start.prompt_tokens + made.num_tokens >= longest
        if made.finish_reason == "length" and not full:
            more = "resumed" if made.token_ids else "anew"
        truncated = int(made.finish_reason != "stop")
        outcome = meter.Outcome(start.prompt_tokens, made.num_tokens, truncated, more)
    meter.ended(start, outcome)
