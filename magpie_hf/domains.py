"""The six domains as data: the user to imagine, the number of problems, the temperatures.

Not here: any model or prompt format.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from magpie_hf.errors import BadInput
from magpie_hf.models.generation import (
    GENERATION_CONFIG,
    LEAST_REASONING,
    OF_DOMAIN,
    OF_ORIGINAL,
    VALUES,
    answer_sampling,
    is_reasoning,
)
from magpie_hf.models.model import Model, json_of, longest
from magpie_hf.models.sampling import Sampling
from magpie_hf.problems.concepts import without_code
from magpie_hf.problems.system_texts import (
    ENGLISH,
    JAPANESE,
    MOST_TEXTS,
    WRITTEN,
    SystemText,
    about,
    asked_by,
    check_weight,
    text_in,
)

MAX_PROBLEM_TOKENS = 1024
MAX_RESPONSE_TOKENS = 4096
REASONING_TOKENS = 16_384  # of a reasoning model's answer: 4,096 truncate about 63 % of them
HEADROOM = 1024  # tokens of a prompt besides problem and answer: system text, instruction, rubric
TAGGER_TOKENS = 2304  # of the tagger's prompt besides the problem, about 1,500, and of its answer
STEPS = ("response", "candidate")  # the samplings of a domain that are the solver's
REASONING = "reasoning model"  # where a bound of REASONING_TOKENS comes from
COLD = 0.2  # the temperature at which a second answer is not always the first one's words
MOST_ROWS = 10_000_000  # of a domain, in one build
CANDIDATE = Sampling(temperature=0.8, top_p=0.95, max_tokens=MAX_RESPONSE_TOKENS)
# min_p of the default sampling: at T 1.1-1.35 the bare tail is noise (usable samples of a small model: 4 %
# without, 52 % with).
TAIL_CUT = 0.1


@dataclass(frozen=True)
class Domain:
    """One field of mathematics.

    system: a text that describes the user who is about to ask. It gives no order, because an order lowers the
        quality.
    first_token: the temperature of an instruction's first token, which is then sampled on its own from the
        tokens that may open a sentence. None samples it like all other tokens.
    texts: several in its place, of which a row's seed chooses one by their weights; `system` is then the one
        with the largest weight.
    japanese: the name in Japanese; "" shows the key in its place.
    origins: where values of `response` and `candidate` come from, such as ("response.top_p", "option"); the
        domain itself for all others.
    """

    key: str
    japanese: str = field(default="", kw_only=True)
    count: int
    subject: str
    system: str
    instruction: Sampling
    response: Sampling
    candidate: Sampling = CANDIDATE
    first_token: float | None = None
    origins: tuple[tuple[str, str], ...] = field(default=(), kw_only=True, compare=False)
    texts: tuple[SystemText, ...] = field(default=(), kw_only=True, metadata={"later": True})

    def __post_init__(self) -> None:
        if len(self.texts) > MOST_TEXTS:
            raise BadInput(f"{self.key} has {len(self.texts):,} texts; give at most {MOST_TEXTS:,}")
        if self.texts:
            largest = max(self.texts, key=lambda text: text.weight)
            object.__setattr__(self, "system", largest.system)

    @property
    def several(self) -> tuple[SystemText, ...]:
        """The texts that a row's seed chooses from; () where all rows have one, without topic and persona."""
        told = any(text.topic or text.persona for text in self.texts)
        return self.texts if len(self.texts) > 1 or told else ()

    def origins_of(self, step: str) -> dict[str, str]:
        """Where each value of `response` or `candidate` comes from."""
        named = dict(self.origins)
        return {name: named.get(f"{step}.{name}", OF_DOMAIN) for name in (*VALUES, "max_tokens")}

    def with_step(self, step: str, sampling: Sampling) -> Domain:
        """The domain with this sampling as `response` or `candidate`."""
        return replace(self, response=sampling) if step == "response" else replace(self, candidate=sampling)

    def with_origins(self, step: str, origins: Mapping[str, str]) -> Domain:
        """The domain with these origins of values of one step, beside those that it has."""
        more = {f"{step}.{name}": origin for name, origin in origins.items()}
        return replace(self, origins=tuple({**dict(self.origins), **more}.items()))


def _domain(
    key: str, japanese: str, count: int, instruction_t: float, response_t: float, subject: str
) -> Domain:
    return Domain(
        key=key,
        japanese=japanese,
        count=count,
        subject=subject,
        system=text_in(ENGLISH, key, subject),
        instruction=Sampling(temperature=instruction_t, min_p=TAIL_CUT, max_tokens=MAX_PROBLEM_TOKENS),
        response=Sampling(temperature=response_t, max_tokens=MAX_RESPONSE_TOKENS),
    )


DOMAINS: dict[str, Domain] = {
    domain.key: domain
    for domain in (
        _domain(
            "algebra",
            "代数",
            10_000,
            1.30,
            0.05,
            "abstract algebra: groups, rings, Galois theory, field extensions or matrix theory",
        ),
        _domain(
            "calculus",
            "微積分",
            10_000,
            1.20,
            0.0,
            "real and complex analysis: integrals, series, measure theory or functional analysis",
        ),
        _domain(
            "geometry",
            "幾何",
            6_000,
            1.35,
            0.05,
            "geometry: triangles and circles, projective, differential or algebraic geometry",
        ),
        _domain(
            "statistics",
            "統計",
            6_000,
            1.10,
            0.0,
            "probability and statistics: random variables, measure-theoretic probability, inference or"
            " martingales",
        ),
        _domain(
            "number_theory",
            "数論",
            4_000,
            1.25,
            0.0,
            "number theory: primes, congruences, Diophantine equations, analytic and algebraic number theory"
            " or L-functions",
        ),
        _domain(
            "discrete",
            "離散数学",
            8_000,
            1.30,
            0.05,
            "discrete mathematics: graphs, counting, extremal and algebraic combinatorics or complexity",
        ),
    )
}


@dataclass(frozen=True)
class Topic:
    """What problems of a domain are asked about.

    topic: a code of MSC 2020 in front of it, such as 20D, is for the column `topic` alone.
    japanese: the same in Japanese, for Japanese texts; None takes `topic`. weight: how often it is chosen,
    beside the domain's others. persona: who asks, in place of the domain's own user.
    """

    topic: str
    japanese: str | None = None
    weight: float = 1.0
    persona: str | None = None

    def __post_init__(self) -> None:
        check_weight(self.weight)


def in_languages(domain: Domain, weights: Mapping[str, float]) -> Domain:
    """The domain with texts in these languages, by their weights; one of its own keeps its text.

    Raises BadInput for several languages where the domain has no text in each.
    """
    if domain.texts or list(weights) == [ENGLISH]:
        return domain
    if domain.key not in DOMAINS or domain.system != DOMAINS[domain.key].system:
        if len(weights) > 1:
            raise BadInput(
                f"{domain.key} has one text of your own, which cannot ask in {' and '.join(weights)}; give it"
                " a text in each in a recipe file, and no shares"
            )
        return replace(domain, texts=tuple(SystemText(domain.system, language=code) for code in weights))
    made = [
        SystemText(text_in(code, domain.key, domain.subject), weight, language=code)
        for code, weight in weights.items()
    ]
    return replace(domain, texts=tuple(made))


def with_topics(domain: Domain, topics: Iterable[Topic]) -> Domain:
    """The domain with a text for each topic and each text that it has.

    Raises BadInput for one whose texts have topics.
    """
    topics = list(topics)
    if any(text.topic or text.persona for text in domain.texts):
        raise BadInput(f"{domain.key} has texts with topics in its recipe; leave out --topics, or these")
    texts = domain.texts or (SystemText(domain.system),)
    return replace(domain, texts=tuple(_about(domain, text, topic) for text in texts for topic in topics))


def _about(domain: Domain, text: SystemText, topic: Topic) -> SystemText:
    system, language = text.system, text.language
    if topic.persona is not None:
        of_package = domain.key in DOMAINS and language in WRITTEN
        plain = text_in(language, domain.key, domain.subject) if of_package else None
        if system == plain:
            system = text_in(language, domain.key, domain.subject, topic.persona)
        else:
            system = asked_by(system, topic.persona, language)
    name = (topic.japanese or topic.topic) if language == JAPANESE else topic.topic
    return SystemText(
        about(system, without_code(name), language),
        text.weight * topic.weight,
        topic.topic,
        topic.persona,
        language,
    )


def select(keys: Iterable[str], known: Mapping[str, Domain] = DOMAINS) -> tuple[Domain, ...]:
    """The domains of these keys, in the given order, out of those that are known.

    Raises BadInput for an unknown or repeated key, and for no key at all.
    """
    chosen = [key.strip() for key in keys]
    for key in chosen:
        if key not in known:
            raise BadInput(f"{key!r} is not a domain; choose from {', '.join(known)}")
    if repeated := sorted({key for key in chosen if chosen.count(key) > 1}):
        raise BadInput(f"domain {', '.join(repeated)} is named more than once; name each once")
    if not chosen:
        raise BadInput(f"no domain is named; choose from {', '.join(known)}")
    return tuple(known[key] for key in chosen)


def own_domain(key: str, count: int) -> Domain:
    """The domain of so many given problems: the package's own of that name, or one that is called so."""
    if (known := DOMAINS.get(key)) is not None:
        return replace(known, count=count)
    return Domain(
        key=key,
        count=count,
        subject=key.replace("_", " "),
        system="You are an AI assistant that gives step-by-step solutions of mathematical problems.",
        instruction=Sampling(max_tokens=MAX_PROBLEM_TOKENS),
        response=Sampling(temperature=0.0, max_tokens=MAX_RESPONSE_TOKENS),
    )


def scaled(domain: Domain, scale: float) -> Domain:
    """The domain with its count times `scale`, rounded to tens (halves up) and at least 10.

    Raises BadInput unless 0 < scale < inf.
    """
    if not (scale > 0 and math.isfinite(domain.count * scale)):
        raise BadInput(f"scale is {scale:g}; give a positive number such as 0.1, 0.5, 1.0 or 2.0")
    return replace(domain, count=max(10, math.floor(domain.count * scale / 10 + 0.5) * 10))


def with_sampling(domain: Domain, sampling: Literal["default", "original"]) -> Domain:
    """The domain with its own sampling, or with the original's exact values (no tail cut)."""
    if sampling == "default":
        return domain
    if sampling == "original":
        for step in STEPS:
            domain = domain.with_origins(step, dict.fromkeys((*VALUES, "max_tokens"), OF_ORIGINAL))
        return replace(domain, instruction=replace(domain.instruction, min_p=0.0))
    raise BadInput(f"sampling is {sampling!r}; choose default or original")


def solver_sampling(domains: Iterable[Domain], model: Model) -> tuple[Domain, ...]:
    """The domains with the solver's own sampling of answers and candidates, and a bound that suits it.

    Each value is the one of the model's generation_config.json, where that has one. Values whose origin is
    an option or the original stay. A reasoning model has a temperature of at least 0.6, a top_p of at least
    0.95, and 16,384 tokens for an answer, or what its context leaves, in place of 4,096. Raises BadInput for
    a file of the model that cannot be read, and for a value in it that is no sampling.
    """
    domains = tuple(domains)
    if all(OF_DOMAIN not in domain.origins_of(step).values() for domain in domains for step in STEPS):
        return domains
    config = json_of(model, GENERATION_CONFIG)
    return sampled_as(domains, config, model.name, is_reasoning(model), longest(model))


def opinion_sampling(domain: Domain, model: Model) -> tuple[Sampling, Sampling]:
    """How another model is asked for its opinion on a domain's problems: cold and warm.

    Warm is its own sampling of candidates, by its generation_config.json and not the solver's; cold has a
    temperature of at most COLD, or 0.6 of a reasoning model. Their bound is the solver's, or the larger one
    of a reasoning model.
    """
    bound, origin = domain.candidate.max_tokens, domain.origins_of("candidate")["max_tokens"]
    bare = replace(domain, candidate=replace(CANDIDATE, max_tokens=bound), origins=())
    kept = {} if origin == OF_DOMAIN else {"max_tokens": origin}
    config, reasoning = json_of(model, GENERATION_CONFIG), is_reasoning(model)
    asked = bare.with_origins("candidate", kept)
    warm = _sampled_as(asked, config, model.name, reasoning, longest(model)).candidate
    return replace(warm, temperature=min(warm.temperature, LEAST_REASONING if reasoning else COLD)), warm


def sampled_as(
    domains: Iterable[Domain],
    config: Mapping[str, Any] | None,
    name: str,
    reasoning: bool,
    context: int | None,
) -> tuple[Domain, ...]:
    """`solver_sampling` of a model with this generation_config.json, which may be None.

    name: the model's, for messages. context: tokens of prompt and answer together, at most; None for any.
    """
    return tuple(_sampled_as(domain, config, name, reasoning, context) for domain in domains)


def _sampled_as(
    domain: Domain, config: Mapping[str, Any] | None, name: str, reasoning: bool, context: int | None
) -> Domain:
    room = math.inf if context is None else context - domain.instruction.max_tokens - HEADROOM
    for step in STEPS:
        own: Sampling = getattr(domain, step)
        kept = {value: origin for value, origin in domain.origins_of(step).items() if origin != OF_DOMAIN}
        sampling, origins = answer_sampling(
            config, own, name=name, reasoning=reasoning, varied=step == "candidate", kept=kept
        )
        is_default = own.max_tokens == MAX_RESPONSE_TOKENS and "max_tokens" not in kept
        if reasoning and is_default and room > MAX_RESPONSE_TOKENS:
            bound = int(min(REASONING_TOKENS, room))
            sampling, origins["max_tokens"] = replace(sampling, max_tokens=bound), REASONING
        domain = domain.with_origins(step, origins).with_step(step, sampling)
    return domain


def longest_request(domains: Iterable[Domain], doublings: int) -> int:
    """Tokens of the longest request with its answer, where bounds are doubled so often."""

    def of(domain: Domain) -> int:
        answer = max(domain.response.max_tokens, domain.candidate.max_tokens) << doublings
        return domain.instruction.max_tokens + max(HEADROOM + answer, TAGGER_TOKENS)

    return max(map(of, domains))
