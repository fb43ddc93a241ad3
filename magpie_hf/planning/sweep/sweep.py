"""Sweep: samples a few problems with several sampling settings, and tells which setting yields most.

Not here: what a setting is (settings.py), how samples are counted (yields.py), what Clean keeps.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from magpie_hf.domains import Domain
from magpie_hf.engines.base import Engine
from magpie_hf.errors import BadInput
from magpie_hf.limits import MIN_YIELD
from magpie_hf.models.chat import chat_of
from magpie_hf.models.model import Model
from magpie_hf.models.sampling import Sampling
from magpie_hf.planning.sweep.prefixes import PreQueryPrefix, prefix_of
from magpie_hf.planning.sweep.settings import DEFAULT_SETTINGS, Setting, select_settings
from magpie_hf.planning.sweep.yields import Trial, table, table_by_domain, yield_of
from magpie_hf.schema import SEED
from magpie_hf.stage import Batch
from magpie_hf.stages.clean import Clean
from magpie_hf.stages.instruct import Instruct
from magpie_hf.store.rows import seed_rows
from magpie_hf.text.columns import wrapped
from magpie_hf.text.language import tr, translated

EXPENSIVE = 0.2  # share of usable samples below which most of the time goes into dropped ones
MOST_SAMPLES = 10_000
EXAMPLES = 2  # usable ones a domain, and as many dropped ones
WIDTH = 98


@dataclass(frozen=True)
class Example:
    """A sample: a usable problem, or a raw instruction with the reason why it was dropped."""

    domain: str
    reason: str | None
    text: str

    def line(self) -> str:
        """The sample in one line, cut off where it is long, without control characters."""
        text = "".join(letter if letter.isprintable() else "\ufffd" for letter in " ".join(self.text.split()))
        text = text if len(text) <= 2 * WIDTH else text[: 2 * WIDTH].rstrip() + " ..."
        text = text or tr("(nothing)")
        if self.reason is None:
            return tr("{domain}, usable: {text}", domain=self.domain, text=text)
        return tr("{domain}, dropped for {reason}: {text}", domain=self.domain, reason=self.reason, text=text)


@dataclass(frozen=True)
class Sweep:
    """What settings yield with a model: `lines()` for people, `to_dict()` as plain JSON values.

    samples: a setting and domain; asked: requests in all, fewer than settings x domains x samples where
    settings are equal; seconds: for all of them, without the engine's start; examples: of the best setting.
    """

    model: Model
    samples: int
    asked: int
    seconds: float
    trials: tuple[Trial, ...]
    examples: tuple[Example, ...]
    pre_query_prefix: PreQueryPrefix

    @property
    def best(self) -> Trial:
        """The trial of the highest usable share x diversity; of equals, the first."""
        return best_of(self.trials)

    @property
    def refused(self) -> bool:
        """Whether a build would refuse to start even with the best setting."""
        return self.best.total.usable_share < MIN_YIELD

    @property
    def warnings(self) -> list[str]:
        """What speaks against a build with the best setting, a line each."""
        return list(_warnings(self))

    def to_dict(self) -> dict[str, Any]:
        """All numbers and texts as plain JSON values."""
        best = self.best.setting
        return {
            "model": self.model.name,
            "revision": self.model.revision,
            "samples": self.samples,
            "asked": self.asked,
            "seconds": self.seconds,
            "settings": [trial.to_dict() for trial in self.trials],
            "examples": [asdict(example) for example in self.examples],
            "pre_query_prefix": asdict(self.pre_query_prefix),
            "recommended": {"setting": best.name, "options": best.options, "refused": self.refused},
            "warnings": self.warnings,
        }

    def lines(self) -> list[str]:
        """The report, in lines of about 100 characters at most."""
        parts = [
            _head(self),
            table(self.trials),
            table_by_domain(self.trials),
            _examples(self),
            _prefix(self),
            _advice(self),
        ]
        return [line for at, part in enumerate(parts) for line in ([""] if at else []) + list(part)]


def sweep(
    engine: Engine,
    domains: Sequence[Domain],
    settings: Sequence[Setting] | None = None,
    samples: int = 32,
    seed: int = 0,
) -> Sweep:
    """Sample problems with each setting in each domain, all at once, and count the usable ones.

    settings: by default those of `DEFAULT_SETTINGS`; samples: a domain and setting, the first that a build
    with this seed would make. Writes nothing to the disk. Raises BadInput for no samples or too many, no or
    repeated domains, no setting, and a model or template that cannot be used; EngineError as the engine does.
    """
    settings = select_settings(DEFAULT_SETTINGS) if settings is None else settings
    if not 1 <= samples <= MOST_SAMPLES:
        raise BadInput(f"samples is {samples}; give 1 to {MOST_SAMPLES:,} a domain and setting")
    if not domains or not settings:
        raise BadInput(
            f"there are {len(domains)} domains and {len(settings)} settings to sample in; give at least one"
            " of each"
        )
    if len({domain.key for domain in domains}) < len(domains):
        raise BadInput(f"the domains are {', '.join(domain.key for domain in domains)}; name each once")
    engine.check()
    chat = chat_of(engine.model)
    prefix = prefix_of(chat, domains[0])
    # Equal stages make the same rows, so settings that are equal in a domain are sampled once.
    jobs = {
        (one, domain.key): (domain.key, _sampling(engine, one.of(domain)))
        for one in settings
        for domain in domains
    }
    # Opens the engine before the time is measured.
    engine.complete([chat.pre_query_prefix(None)], Sampling(temperature=0.0, max_tokens=1), [0])
    began = time.perf_counter()
    batches = _sampled(list(dict.fromkeys(jobs.values())), samples, seed)
    seconds = time.perf_counter() - began
    tokens = sum(sum(batch["raw_num_tokens"]) for batch in batches.values())
    trials = []
    for one in settings:
        mine = {domain.key: batches[jobs[one, domain.key]] for domain in domains}
        total = yield_of(*mine.values())
        by_domain = {key: yield_of(batch) for key, batch in mine.items()}
        trials.append(Trial(one, total, by_domain, seconds * total.tokens / max(tokens, 1)))
    best = best_of(trials).setting
    examples = [
        example for domain in domains for example in _chosen(domain.key, batches[jobs[best, domain.key]])
    ]
    return Sweep(
        engine.model, samples, len(batches) * samples, seconds, tuple(trials), tuple(examples), prefix
    )


def best_of(trials: Sequence[Trial]) -> Trial:
    """The trial of the highest usable share x diversity; of equals, the first."""
    return max(trials, key=lambda trial: trial.total.score)


def _sampling(engine: Engine, domain: Domain) -> Instruct:
    return Instruct(engine, domain.system, domain.instruction, domain.first_token)


def _sampled(
    jobs: Sequence[tuple[str, Instruct]], samples: int, seed: int
) -> dict[tuple[str, Instruct], Batch]:
    """The rows of each job (a domain's key and its sampling stage), after Instruct and Clean."""

    def sample(job: tuple[str, Instruct]) -> Batch:
        key, instruct = job
        return Clean((instruct.engine.model,))(
            instruct(seed_rows(key, seed, 0, samples).read(list(SEED)).to_pydict())
        )

    with ThreadPoolExecutor(len(jobs)) as pool:  # a thread a job, so that all requests are in flight at once
        return dict(zip(jobs, pool.map(sample, jobs), strict=True))


def _chosen(domain: str, batch: Batch) -> Iterator[Example]:
    """The first usable samples, and the first dropped ones, for different reasons if possible."""
    usable = [
        Example(domain, None, problem)
        for problem, why in zip(batch["problem"], batch["dropped"], strict=True)
        if why is None
    ]
    dropped = [
        Example(domain, why, raw)
        for raw, why in zip(batch["raw_instruction"], batch["dropped"], strict=True)
        if why
    ]
    first = [
        one for at, one in enumerate(dropped) if one.reason not in [other.reason for other in dropped[:at]]
    ]
    again = [one for one in dropped if one not in first]
    yield from usable[:EXAMPLES]
    yield from (first + again)[:EXAMPLES]


def _head(sweep: Sweep) -> Iterator[str]:
    domains = sweep.trials[0].domains
    yield tr("model   {name} ({revision})", name=sweep.model.name, revision=sweep.model.revision)
    yield tr(
        "samples {count:,} a setting and domain; {domains}", count=sweep.samples, domains=", ".join(domains)
    )
    yield tr(
        "asked   {count:,} requests in {seconds:,.1f} s, without the engine's start",
        count=sweep.asked,
        seconds=sweep.seconds,
    )


def _examples(sweep: Sweep) -> Iterator[str]:
    yield tr("examples of {setting}", setting=sweep.best.setting.name)
    for example in sweep.examples:
        yield from wrapped(example.line(), WIDTH, "- ", "  ")


def _prefix(sweep: Sweep) -> Iterator[str]:
    yield from sweep.pre_query_prefix.lines(WIDTH)
    ended, samples = (
        sum(trial.total.ended for trial in sweep.trials),
        sum(trial.total.samples for trial in sweep.trials),
    )
    names = ", ".join(f"{text} ({token})" for token, text in sweep.pre_query_prefix.ends.items())
    yield tr(
        "ends    {names}; {ended:,} of {samples:,} samples reached one",
        names=names,
        ended=ended,
        samples=samples,
    )


def _advice(sweep: Sweep) -> Iterator[str]:
    best = sweep.best
    one = best.total
    yield tr(
        "best    {setting}: {usable:.0%} usable x {diversity:.2f} different 3-grams = {score:.2f}",
        setting=best.setting.name,
        usable=one.usable_share,
        diversity=one.diversity,
        score=one.score,
    )
    # Twice the standard error of the difference of two shares, each of `samples` samples.
    chance = 2 * math.sqrt(2 * 0.25 / one.samples)
    yield tr(
        "chance  with {samples:,} samples a setting, usable shares that differ by less than {chance:.0%} may"
        " be equal",
        samples=one.samples,
        chance=chance,
    )
    yield tr("options {options}", options=best.setting.options)
    for warning in sweep.warnings:  # the JSON has them, too, in English
        yield from wrapped(tr("warning {warning}", warning=translated(warning)), WIDTH, "", " " * 8)


def _warnings(sweep: Sweep) -> Iterator[str]:
    prefix, best = sweep.pre_query_prefix, sweep.best
    if not prefix.bos_is_right:
        yield f"BOS in the pre-query prefix: {prefix.bos_note}"
    if not any(trial.total.ended for trial in sweep.trials):
        yield (
            f"no sample reached an end token, {', '.join(prefix.ends.values())}; raise"
            " --instruction-max-tokens or use another model"
        )
    shares = {"the best setting": best.total, **best.domains}
    for where, one in shares.items():
        if where in best.domains and (sweep.refused or len(best.domains) == 1):
            return  # the total says it
        said = f"{where} yields {one.usable} usable samples of {one.samples} ({one.usable_share:.0%})"
        if one.usable_share < MIN_YIELD:
            yield f"{said}, below {MIN_YIELD:.0%}: a build refuses to start; use another model or setting"
        elif one.usable_share < EXPENSIVE:
            yield (
                f"{said}, below {EXPENSIVE:.0%}: expensive, since every problem costs"
                f" {one.samples / one.usable:.0f} samples"
            )
