"""The harvest: exact counts, one accepted set however the draws are cut and whenever they come, and what stops a hopeless one."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from typing import Any

import pytest
from datasets import Features, Value
from draws import junk, labels, problem
from hypothesis import given, settings
from hypothesis import strategies as st

from magpie_hf.domains import DOMAINS, Domain
from magpie_hf.errors import BadInput
from magpie_hf.problems.near_duplicates.index import Twins
from magpie_hf.schema import CLEAN, CONTAMINATION, INSTRUCTION, SIGNATURE, TAGS
from magpie_hf.selection.selection import JUDGED, PROBE, SECOND_LOOK, WINDOW, Acceptance, Harvest
from magpie_hf.stages.signature import Sign
from magpie_hf.store.rows import Rows, in_memory, seed_rows

GOOD = {"quality": "good", "difficulty": "hard", "solvability": "solvable", "category": "computation", "reason": None}
COLUMNS = Features({**INSTRUCTION, **CLEAN, "tags": TAGS, **CONTAMINATION, **SIGNATURE})


def draw(key: str, number: int, **values: Any) -> dict[str, Any]:
    """A draw that is accepted unless `values` say otherwise; text: of the problem."""
    text = values.pop("text", problem(number + 100_000 * list(DOMAINS).index(key)))
    tags = {"domain": key, **GOOD, **values.pop("tags", {})}
    signed = {name: column[0] for name, column in Sign().run({"problem": [text]}).items()}
    row = dict.fromkeys(COLUMNS, None) | {"id": f"{key}-{number}", "raw_instruction": text, "problem": text, "tags": tags, **signed}
    return {**row, **values}


def rows_of(key: str, draws: list[dict[str, Any]], start: int, stop: int) -> Rows:
    batch = {name: [dict.fromkeys(TAGS) | one[name] if name == "tags" and one[name] else one[name] for one in draws] for name in COLUMNS}
    part = {name: values[start:stop] for name, values in batch.items()}
    return seed_rows(key, 0, start, stop).joined(COLUMNS, in_memory("draws", COLUMNS, part))


def domains(**counts: int) -> tuple[Domain, ...]:
    return tuple(replace(DOMAINS[key], count=count) for key, count in counts.items())


def harvested(
    drawn: dict[str, list[dict[str, Any]]], counts: dict[str, int], acceptance: Acceptance, shard_rows: int = 7, shuffled: int | None = None
) -> tuple[Harvest, list[tuple[str, int, str | None, str | None, str | None]]]:
    """The whole harvest, with pieces of `shard_rows` that come in any order: (domain, number, accepted as, twin, reason) of all judged."""
    harvest = Harvest(domains(**counts), acceptance, Twins())
    dice = random.Random(shuffled)
    waiting = harvest.wanted(shard_rows)
    settled: list[Rows] = []
    while waiting:
        at = dice.randrange(len(waiting)) if shuffled is not None else 0
        key, start, stop = waiting.pop(at)
        settled += harvest.offer(rows_of(key, drawn[key], start, stop))
        if harvest.hopeless is not None:
            return harvest, []
        waiting += harvest.wanted(shard_rows)
    found = []
    for part in sorted(settled, key=lambda part: (part.domain, part.start)):
        table = part.read(["domain", "index", "accepted_as", "twin", "dropped"]).to_pydict()
        found += list(zip(*table.values(), strict=True))
    return harvest, found


KINDS = st.sampled_from(
    [
        {},
        {},
        {"dropped": "cut"},
        {"tags": {"quality": "poor"}},
        {"tags": {"difficulty": "very easy"}},
        {"tags": {"solvability": "contradictory"}},
        {"tags": {"domain": "geometry"}},
        {"tags": {"domain": "algebra"}},
        {"tags": {"domain": "no_math"}},
        {"tags": dict.fromkeys(("domain", "quality", "difficulty", "solvability", "category")) | {"reason": "invalid"}},
        {"contaminated_by": "aime/3 (whole)"},
        {"text": problem(1)},
        {"text": problem(2)},
    ]
)


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    off_domain=st.sampled_from(["drop", "move", "keep"]),
    counts=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    rows=st.sampled_from([1, 3, 7, 50]),
    shuffled=st.integers(0, 1000),
)
def test_the_accepted_set_is_exact_and_depends_on_the_draws_alone(data, off_domain, counts, rows, shuffled) -> None:  # type: ignore[no-untyped-def]
    kinds = {key: data.draw(st.lists(KINDS, min_size=40, max_size=40)) for key in ("algebra", "geometry")}
    # Behind the 40 that vary stand good ones, so that every harvest comes to its end.
    drawn = {key: [draw(key, n, **(kinds[key][n] if n < 40 else {})) for n in range(120)] for key in kinds}
    target = dict(zip(("algebra", "geometry"), counts, strict=True))
    acceptance = Acceptance(off_domain, min_yield=0)
    one, judged = harvested(drawn, target, acceptance)
    other, again = harvested(drawn, target, acceptance, rows, shuffled)
    assert judged == again
    for key, count in target.items():
        accepted = [(domain, n) for domain, n, accepted_as, _, _ in judged if accepted_as == key]
        assert len(accepted) == count == one.lanes[key].accepted == other.lanes[key].accepted
    texts = [drawn[domain][n]["problem"] for domain, n, accepted_as, _, _ in judged if accepted_as]
    assert len(set(texts)) == len(texts), "no twin is accepted"
    for domain, n, accepted_as, twin, reason in judged:
        assert (accepted_as is None) == (reason is not None)
        assert (twin is not None) == (reason == "twin")
        assert accepted_as in (None, domain) or off_domain == "move"
        if reason not in (None, "twin", "off_domain"):
            assert drawn[domain][n] != draw(domain, n)


def test_a_good_draw_is_dropped_only_for_a_twin_before_it() -> None:
    drawn = {"algebra": [draw("algebra", n) for n in range(30)], "geometry": [draw("geometry", n) for n in range(30)]}
    drawn["geometry"][3] = draw("geometry", 3, text=drawn["algebra"][4]["problem"])  # 3 comes before 4: algebra's is the twin
    drawn["geometry"][5] = draw(
        "geometry", 5, text=drawn["algebra"][5]["problem"].replace(" ", "  ")
    )  # of equal numbers the first domain stays
    _, judged = harvested(drawn, {"algebra": 8, "geometry": 8}, Acceptance())
    twins = {(domain, n): twin for domain, n, _, twin, _ in judged if twin}
    assert twins == {("algebra", 4): "geometry-3", ("geometry", 5): "algebra-5"}


def test_a_moved_problem_counts_where_it_belongs() -> None:
    drawn = {"algebra": [draw("algebra", n) for n in range(30)], "geometry": [draw("geometry", n) for n in range(30)]}
    drawn["geometry"][0] = draw("geometry", 0, tags={"domain": "algebra"})
    drawn["geometry"][1] = draw("geometry", 1, tags={"domain": "statistics"})
    _, judged = harvested(drawn, {"algebra": 3, "geometry": 3}, Acceptance("move"))
    assert [(d, n) for d, n, accepted, _, _ in judged if accepted == "algebra"] == [("algebra", 0), ("algebra", 1), ("geometry", 0)]
    assert [n for d, n, accepted, _, _ in judged if accepted == "geometry"] == [2, 3, 4]
    assert ("geometry", 1, None, None, "off_domain") in judged, "a domain that is not built takes nothing"


def test_a_domain_without_any_yield_ends_with_its_reasons_and_a_sample() -> None:
    drawn = {"algebra": [draw("algebra", n, dropped="cut", text=f"Let $x$ be number {n} such that") for n in range(5000)]}
    harvest, _ = harvested(drawn, {"algebra": 40}, Acceptance())
    expected = rf"algebra: 0 of {PROBE} draws were accepted, below the floor of 2.0% \({PROBE} cut\).*cut: 'Let \$x\$ be number 0 such"
    assert re.match(expected, harvest.hopeless or "")
    harvest, _ = harvested(drawn, {"algebra": 40}, Acceptance(min_yield=0))
    assert (harvest.hopeless or "").startswith(f"algebra: 0 of {WINDOW} draws were accepted ({WINDOW} cut).")
    assert harvest.wanted(7) == []


@pytest.mark.parametrize(("good", "judged"), [(0, PROBE), (1, SECOND_LOOK), (4, SECOND_LOOK), (5, WINDOW), (19, WINDOW)])
def test_a_low_yield_is_looked_at_again(good: int, judged: int) -> None:
    """Luck among few draws neither stops what is a little above the floor, nor does a domain below it go on for long."""
    drawn = {"algebra": [draw("algebra", n, **({} if n < good else {"dropped": "cut"})) for n in range(2 * WINDOW)]}
    harvest, _ = harvested(drawn, {"algebra": 40}, Acceptance(), shard_rows=64)
    assert harvest.lanes["algebra"].judged == judged
    assert f"{good} of {judged} draws were accepted" in (harvest.hopeless or "")


def test_a_yield_that_dries_up_ends_too() -> None:
    same = draw("algebra", 7)
    drawn = {"algebra": [draw("algebra", n) if n < 50 else {**same, "id": f"algebra-{n}"} for n in range(4 * WINDOW)]}
    harvest, _ = harvested(drawn, {"algebra": 100}, Acceptance(), shard_rows=256)
    assert re.search(f"of {WINDOW} draws were accepted.*twin", harvest.hopeless or "")


def test_what_is_judged_is_read_by_name() -> None:
    assert set(JUDGED) <= {*COLUMNS, "embedding"}
    assert {"tags", "contaminated_by", "dropped"} <= set(JUDGED)
    assert Value("string") == COLUMNS["id"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"off_domain": "burn"}, "choose drop, move or keep"),
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
