"""The selection: exact counts, one accepted set however the samples are cut and whenever they come, and what
stops a hopeless one.
"""

from __future__ import annotations

import random
import re
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from datasets import Features, Value
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import junk, labels, problem

from magpie_hf.domains import DOMAINS, Domain
from magpie_hf.errors import BadInput
from magpie_hf.problems.near_duplicates.index import NearDuplicates
from magpie_hf.schema import CLEAN, CONTAMINATION, INSTRUCTION, SIGNATURE, TAGS
from magpie_hf.selection.complaint import complaint
from magpie_hf.selection.selection import FILTERED, FIRST_LOOK, SECOND_LOOK, WINDOW, Acceptance, Selection
from magpie_hf.stages.signature import Signature
from magpie_hf.store.rows import Rows, in_memory, seed_rows

GOOD = {
    "quality": "good",
    "difficulty": "hard",
    "solvability": "solvable",
    "category": "computation",
    "reason": None,
}
COLUMNS = Features({**INSTRUCTION, **CLEAN, "tags": TAGS, **CONTAMINATION, **SIGNATURE})


@cache
def signed(text: str) -> dict[str, Any]:
    return {name: column[0] for name, column in Signature().run({"problem": [text]}).items()}


def sample(key: str, number: int, **values: Any) -> dict[str, Any]:
    """A sample that is accepted unless `values` say otherwise; text: of the problem."""
    text = values.pop("text", problem(number + 100_000 * list(DOMAINS).index(key)))
    tags = {"domain": key, **GOOD, **values.pop("tags", {})}
    row = dict.fromkeys(COLUMNS, None) | {
        "id": f"{key}-{number}",
        "raw_instruction": text,
        "problem": text,
        "tags": tags,
        **signed(text),
    }
    return {**row, **values}


def rows_of(key: str, samples: list[dict[str, Any]], start: int, stop: int) -> Rows:
    part = {
        name: [
            dict.fromkeys(TAGS) | one[name] if name == "tags" and one[name] else one[name]
            for one in samples[start:stop]
        ]
        for name in COLUMNS
    }
    return seed_rows(key, 0, start, stop).joined(COLUMNS, in_memory("samples", COLUMNS, part))


def domains(**counts: int) -> tuple[Domain, ...]:
    return tuple(replace(DOMAINS[key], count=count) for key, count in counts.items())


def selected(
    sampled: dict[str, list[dict[str, Any]]],
    counts: dict[str, int],
    acceptance: Acceptance,
    shard_rows: int = 7,
    shuffled: int | None = None,
) -> tuple[Selection, list[tuple[str, int, str | None, str | None, str | None]]]:
    """The whole selection, with pieces of `shard_rows` that come in any order: (domain, number, accepted as,
    near-duplicate, reason) of all filtered.
    """
    selection = Selection(domains(**counts), acceptance, NearDuplicates())
    dice = random.Random(shuffled)
    waiting = selection.wanted(shard_rows)
    settled: list[Rows] = []
    while waiting:
        at = dice.randrange(len(waiting)) if shuffled is not None else 0
        key, start, stop = waiting.pop(at)
        settled += selection.offer(rows_of(key, sampled[key], start, stop))
        if selection.hopeless is not None:
            return selection, []
        waiting += selection.wanted(shard_rows)
    found = []
    for part in sorted(settled, key=lambda part: (part.domain, part.start)):
        table = part.read(["domain", "index", "accepted_as", "near_duplicate", "dropped"]).to_pydict()
        found += list(zip(*table.values(), strict=True))
    return selection, found


KINDS = st.sampled_from(
    [
        {},
        {},
        {"dropped": "truncated"},
        {"tags": {"quality": "poor"}},
        {"tags": {"difficulty": "very easy"}},
        {"tags": {"solvability": "contradictory"}},
        {"tags": {"domain": "geometry"}},
        {"tags": {"domain": "algebra"}},
        {"tags": {"domain": "no_math"}},
        {
            "tags": (
                dict.fromkeys(("domain", "quality", "difficulty", "solvability", "category"))
                | {"reason": "invalid"}
            )
        },
        {"contaminated_by": "aime/3 (whole)"},
        {"text": problem(1)},
        {"text": problem(2)},
    ]
)


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    off_topic=st.sampled_from(["drop", "move", "keep"]),
    counts=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    rows=st.sampled_from([1, 3, 7, 50]),
    shuffled=st.integers(0, 1000),
)
def test_the_accepted_set_is_exact_and_depends_on_the_samples_alone(
    data, off_topic, counts, rows, shuffled
) -> None:  # type: ignore[no-untyped-def]
    kinds = {key: data.draw(st.lists(KINDS, min_size=40, max_size=40)) for key in ("algebra", "geometry")}
    # Behind the 40 that vary stand good ones, so that every selection comes to its end.
    sampled = {
        key: [sample(key, n, **(kinds[key][n] if n < 40 else {})) for n in range(120)] for key in kinds
    }
    target = dict(zip(("algebra", "geometry"), counts, strict=True))
    acceptance = Acceptance(off_topic, min_yield=0)
    one, filtered = selected(sampled, target, acceptance)
    other, again = selected(sampled, target, acceptance, rows, shuffled)
    assert filtered == again
    for key, count in target.items():
        accepted = [(domain, n) for domain, n, accepted_as, _, _ in filtered if accepted_as == key]
        assert len(accepted) == count == one.quotas[key].accepted == other.quotas[key].accepted
    texts = [sampled[domain][n]["problem"] for domain, n, accepted_as, _, _ in filtered if accepted_as]
    assert len(set(texts)) == len(texts), "no near-duplicate is accepted"
    for domain, n, accepted_as, near_duplicate, reason in filtered:
        assert (accepted_as is None) == (reason is not None)
        assert (near_duplicate is not None) == (reason == "near_duplicate")
        assert accepted_as in (None, domain) or off_topic == "move"
        if reason not in (None, "near_duplicate", "off_topic"):
            assert sampled[domain][n] != sample(domain, n)


def test_a_good_sample_is_dropped_only_for_a_near_duplicate_before_it() -> None:
    sampled = {
        "algebra": [sample("algebra", n) for n in range(30)],
        "geometry": [sample("geometry", n) for n in range(30)],
    }
    sampled["geometry"][3] = sample(
        "geometry", 3, text=sampled["algebra"][4]["problem"]
    )  # 3 comes before 4: algebra's is the near-duplicate
    sampled["geometry"][5] = sample(
        "geometry", 5, text=sampled["algebra"][5]["problem"].replace(" ", "  ")
    )  # of equal numbers the first domain stays
    _, filtered = selected(sampled, {"algebra": 8, "geometry": 8}, Acceptance())
    near_duplicates = {
        (domain, n): near_duplicate for domain, n, _, near_duplicate, _ in filtered if near_duplicate
    }
    assert near_duplicates == {("algebra", 4): "geometry-3", ("geometry", 5): "algebra-5"}


def test_a_moved_problem_counts_where_it_belongs() -> None:
    sampled = {
        "algebra": [sample("algebra", n) for n in range(30)],
        "geometry": [sample("geometry", n) for n in range(30)],
    }
    sampled["geometry"][0] = sample("geometry", 0, tags={"domain": "algebra"})
    sampled["geometry"][1] = sample("geometry", 1, tags={"domain": "statistics"})
    _, filtered = selected(sampled, {"algebra": 3, "geometry": 3}, Acceptance("move"))
    assert [(d, n) for d, n, accepted, _, _ in filtered if accepted == "algebra"] == [
        ("algebra", 0),
        ("algebra", 1),
        ("geometry", 0),
    ]
    assert [n for d, n, accepted, _, _ in filtered if accepted == "geometry"] == [2, 3, 4]
    assert ("geometry", 1, None, None, "off_topic") in filtered, "a domain that is not built takes nothing"


def test_a_domain_without_any_yield_ends_with_its_reasons_and_a_sample() -> None:
    sampled = {
        "algebra": [
            sample("algebra", n, dropped="truncated", text=f"Let $x$ be number {n} such that")
            for n in range(5000)
        ]
    }
    selection, _ = selected(sampled, {"algebra": 40}, Acceptance())
    expected = (
        rf"algebra: 0 of {FIRST_LOOK} samples were accepted, below the floor of 2.0% \({FIRST_LOOK}"
        r" truncated\).*truncated: 'Let \$x\$ be number 0 such"
    )
    assert re.match(expected, selection.hopeless or "")
    selection, _ = selected(sampled, {"algebra": 40}, Acceptance(min_yield=0))
    assert (selection.hopeless or "").startswith(
        f"algebra: 0 of {WINDOW} samples were accepted ({WINDOW} truncated)."
    )
    assert selection.wanted(7) == []
    assert (selection.hopeless or "").endswith("another model or tagger, or looser rules")
    for reason, way in (
        ("length", "Try a larger --instruction-max-tokens"),
        ("near_duplicate", "Try a higher --instruction-temperature, or --topics: the model repeats itself"),
        ("not_tagged", "Try another --tagger: this one gives no valid labels"),
    ):
        told = complaint("none", "algebra", [(reason, "x"), (reason, "y"), ("missing", "z")])
        assert told.endswith(way)
        assert complaint("none", "algebra", [(reason, "x"), ("missing", "z")]).endswith("or looser rules")
    banded = {"algebra": [{**one, "dropped": "too_easy"} for one in sampled["algebra"]]}
    selection, _ = selected(banded, {"algebra": 40}, Acceptance())
    assert "Try a wider --pass-rate, another --pass-model, or --harden" in (selection.hopeless or "")


@pytest.mark.parametrize(
    ("good", "filtered"), [(0, FIRST_LOOK), (1, SECOND_LOOK), (4, SECOND_LOOK), (5, WINDOW), (19, WINDOW)]
)
def test_a_low_yield_is_looked_at_again(good: int, filtered: int) -> None:
    """Luck among few samples neither stops what is a little above the floor, nor does a domain below it go on
    for long.
    """
    sampled = {
        "algebra": [
            sample("algebra", n, **({} if n < good else {"dropped": "truncated"})) for n in range(2 * WINDOW)
        ]
    }
    selection, _ = selected(sampled, {"algebra": 40}, Acceptance(), shard_rows=64)
    assert selection.quotas["algebra"].filtered == filtered
    assert f"{good} of {filtered} samples were accepted" in (selection.hopeless or "")


def test_a_yield_that_dries_up_ends_too() -> None:
    same = sample("algebra", 7)
    sampled = {
        "algebra": [
            sample("algebra", n) if n < 50 else {**same, "id": f"algebra-{n}"} for n in range(4 * WINDOW)
        ]
    }
    selection, _ = selected(sampled, {"algebra": 100}, Acceptance(), shard_rows=256)
    assert re.search(f"of {WINDOW} samples were accepted.*near_duplicate", selection.hopeless or "")


def test_what_is_filtered_is_read_by_name() -> None:
    assert set(FILTERED) <= {*COLUMNS, "embedding"}
    assert {"tags", "contaminated_by", "dropped"} <= set(FILTERED)
    assert Value("string") == COLUMNS["id"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"off_topic": "burn"}, "choose drop, move or keep"),
        ({"min_quality": "superb"}, "choose from very poor"),
        ({"min_difficulty": "lunatic"}, "choose from very easy"),
        ({"min_yield": 1.5}, "a share from 0 to below 1"),
        ({"min_yield": float("nan")}, "a share from 0 to below 1"),
    ],
)
def test_acceptance_refuses_what_it_does_not_know(values: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Acceptance(**values)


def test_the_tests_own_texts_are_what_they_seem() -> None:
    assert len({problem(n) for n in range(500)}) == 500
    assert junk(3) != problem(3)
    assert "algebra" in labels("algebra")
