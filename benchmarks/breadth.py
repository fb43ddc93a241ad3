"""Whether topics make the problems of a real model broader than one text for each domain.

Run: breadth.py MODEL [SAMPLES] (default 600 a setting, over three domains, of at most 192 tokens). It prints
the table of docs/benchmarks.md; without arguments, that of the last run. All intervals hold 95 %.
"""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import results

from magpie_hf import DOMAINS, VLLM, resolve
from magpie_hf.domains import Domain, Topic, with_topics
from magpie_hf.engines.base import Engine
from magpie_hf.problems.concepts import TOPICS
from magpie_hf.problems.near_duplicates.index import NearDuplicates
from magpie_hf.recipe_file.topics import read_topics
from magpie_hf.review.precision import Share
from magpie_hf.stage import Batch, seed_of
from magpie_hf.stages.clean import Clean
from magpie_hf.stages.instruct import Instruct
from magpie_hf.stages.signature import Signature

KEYS = ("statistics", "algebra", "geometry")
PEOPLE = (
    "a student who prepares for an olympiad",
    "a professor who writes an exam",
    "an engineer who met it at work",
    "a puzzle author who likes short questions",
)
MOST_TOKENS, CONTEXT = 192, 512
HALVES = 400  # of random halves, for the interval of the 3-grams


def settings() -> dict[str, dict[str, Domain]]:
    """The domains of each setting: one text, 16 topics, and these with people who ask."""
    topics = read_topics(str(TOPICS), DOMAINS)
    bounded = {
        key: replace(DOMAINS[key], instruction=replace(DOMAINS[key].instruction, max_tokens=MOST_TOKENS))
        for key in KEYS
    }
    asked = {
        key: [Topic(topic.topic, persona=person) for topic in topics[key] for person in PEOPLE]
        for key in KEYS
    }
    return {
        "one text": bounded,
        "topics": {key: with_topics(domain, topics[key]) for key, domain in bounded.items()},
        "topics and people": {key: with_topics(domain, asked[key]) for key, domain in bounded.items()},
    }


def measured(engine: Engine, samples: int) -> dict[str, Any]:
    """The numbers of each setting, with the same seeds for all."""
    found = {}
    for name, domains in settings().items():
        batches = [_sampled(engine, domain, samples // len(KEYS)) for domain in domains.values()]
        problems = [text for batch in batches for text in _usable(batch)]
        fresh = sum(_fresh(batch) for batch in batches)
        total = sum(len(batch["seed"]) for batch in batches)
        found[name] = {
            "samples": total,
            "tokens": sum(sum(batch["raw_num_tokens"]) for batch in batches),
            "usable": len(problems),
            "near_duplicates": len(problems) - fresh,
            "problems": problems,
        }
    most = min(one["usable"] for one in found.values()) // 2
    for one in found.values():
        one["distinct"] = distinct(one.pop("problems"), most)
    return {"domains": list(KEYS), "most_tokens": MOST_TOKENS, "of": most, "settings": found}


def _sampled(engine: Engine, domain: Domain, count: int) -> Batch:
    batch: Batch = {
        "domain": [domain.key] * count,
        "seed": [seed_of("breadth", domain.key, row) for row in range(count)],
    }
    system = None if domain.texts else domain.system
    batch = Instruct(engine, system, domain.instruction, domain.first_token, texts=domain.texts)(batch)
    return Signature()(Clean((engine.model,))(batch))


def _usable(batch: Batch) -> list[str]:
    return [text for text in batch["problem"] if text is not None]


def _fresh(batch: Batch) -> int:
    """How many usable problems are no near-duplicates of earlier ones."""
    seen, fresh = NearDuplicates(), 0
    rows = [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
    for row in (row for row in rows if row["dropped"] is None):
        if seen.find(row) is None:
            seen.add(row["id"], row)
            fresh += 1
    return fresh


def distinct(problems: Sequence[str], most: int) -> tuple[float, float, float]:
    """The share of distinct 3-grams in so many problems: its mean over random ones, and its interval."""
    grams = [_grams(problem) for problem in problems]
    dice, shares = random.Random(0), []
    for _ in range(HALVES):
        chosen = [gram for one in dice.sample(grams, most) for gram in one]
        shares.append(len(set(chosen)) / max(1, len(chosen)))
    shares.sort()
    return sum(shares) / HALVES, shares[HALVES // 40], shares[-1 - HALVES // 40]


def _grams(problem: str) -> list[tuple[str, ...]]:
    words = re.findall(r"\w+", problem.lower())
    return list(zip(words, words[1:], words[2:], strict=False))


def table(study: dict[str, Any]) -> str:
    """The study as a Markdown table, with a line on how it was made."""
    return "\n".join(_lines(study))


def _lines(study: dict[str, Any]) -> Iterator[str]:
    samples = next(iter(study["settings"].values()))["samples"]
    yield f"`python benchmarks/breadth.py MODEL`: {samples} samples a setting with {study['model']},"
    yield f"in {', '.join(study['domains'])}, of at most {study['most_tokens']} tokens; distinct 3-grams"
    yield f"in {study['of']} of the usable problems. Intervals hold 95 %."
    yield ""
    yield "| setting | usable | near-duplicates | distinct 3-grams | new problems per 1,000 tokens |"
    yield "|---|---|---|---|---|"
    for name, one in study["settings"].items():
        mean, low, high = one["distinct"]
        fresh = one["usable"] - one["near_duplicates"]
        yield (
            f"| {name} | {_share(one['usable'], one['samples'])} |"
            f" {_share(one['near_duplicates'], one['usable'])} | {mean:.3f} ({low:.3f}-{high:.3f}) |"
            f" {_rate(fresh, one)} |"
        )


def _share(count: int, of: int) -> str:
    low, high = Share(count, of).interval
    return f"{count / of:.1%} ({low:.1%}-{high:.1%})"


def _rate(fresh: int, one: dict[str, Any]) -> str:
    """New problems per 1,000 tokens, with the interval of their share of the samples."""
    by = one["samples"] / one["tokens"] * 1000
    low, high = Share(fresh, one["samples"]).interval
    return f"{fresh / one['samples'] * by:.2f} ({low * by:.2f}-{high * by:.2f})"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        engine = VLLM(resolve(sys.argv[1]), context=CONTEXT)
        study = measured(engine, int(sys.argv[2]) if len(sys.argv) > 2 else 600)
        results.record("breadth", {"model": engine.model.name, **study})
        engine.close()
    print(table(json.loads(results.FILE.read_text())["breadth"]))
