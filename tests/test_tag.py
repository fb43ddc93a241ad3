"""Constraints: what the tagger says of problems, and turns whose first token is sampled apart. With a fake
engine.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_stage import Script, byte_model, id_of, text_of

from magpie_hf.domains import DOMAINS
from magpie_hf.engines import journal
from magpie_hf.engines.base import CONTEXT_FULL, KILLED_ENGINE, Completion
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.engines.journal import Journal, keeping
from magpie_hf.errors import BadInput
from magpie_hf.models.chat import chat_of
from magpie_hf.models.model import Model, resolve
from magpie_hf.models.sampling import Sampling
from magpie_hf.problems.labels import CATEGORIES, DIFFICULTIES, QUALITIES, SOLVABILITIES
from magpie_hf.schema import TAGS
from magpie_hf.selection.selection import Acceptance
from magpie_hf.stage import Stage, fingerprint, seed_of
from magpie_hf.stages.clean import Clean
from magpie_hf.stages.cut import Cut
from magpie_hf.stages.instruct import Instruct, openers
from magpie_hf.stages.tag import EXAMPLES, Tag

PAIRS = tuple((domain.key, domain.subject) for domain in DOMAINS.values())
GOOD = {
    "domain": "algebra",
    "category": "proof",
    "solvability": "solvable",
    "difficulty": "very hard",
    "quality": "excellent",
    "kind": "proof",
    "complete": "yes",
    "solution": "none",
    "end": "is cyclic?",
}
ANSWER = json.dumps(GOOD)


@pytest.fixture(scope="module")
def chatml(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return byte_model("chatml", tmp_path_factory.mktemp("chatml"))


@pytest.fixture(scope="module")
def thinker(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return byte_model("thinker", tmp_path_factory.mktemp("thinker"))


def never(*_: Any) -> str:
    raise AssertionError("nothing is asked")


def given(problems: list[str], *suspicions: list[str] | None) -> dict[str, list[Any]]:
    """A batch of the tagger's."""
    return {"problem": problems, "suspicions": list(suspicions) or [None] * len(problems)}


def reused(stage: Stage, out: dict[str, list[Any]]) -> Journal:
    """A journal of what the finished rows know."""
    return Journal(known=stage.reusable({column: out[column] for column in stage.adds}))


# --- junk ---------------------------------------------------------------------------------------------------


def test_junk_is_dropped_by_the_rules_or_by_a_tagger_that_reads(chatml: Model) -> None:
    """Own texts after the kinds of published junk, each with what a reader says of it."""
    lines = (Path(__file__).parent / "tables" / "junk.jsonl").read_text("utf-8").splitlines()
    junk = [json.loads(line) for line in lines]
    texts = [row["text"] for row in junk]
    tasks = [row["text"].partition(row["tags"]["end"])[0] + row["tags"]["end"] for row in junk]
    assert len(junk) == len({*texts}) >= 200

    cleaned = Clean((chatml,))({"raw_instruction": texts, "raw_finish_reason": ["stop"] * len(texts)})
    passed = [
        at
        for at, (row, problem) in enumerate(zip(junk, cleaned["problem"], strict=True))
        if problem is not None and not (row["kind"] == "solution" and problem == tasks[at])
    ]
    assert len(passed) <= 0.02 * len(junk), [texts[at] for at in passed]

    left = Clean((chatml,), suspects=True)(
        {"raw_instruction": texts, "raw_finish_reason": ["stop"] * len(texts)}
    )
    rows = zip(cleaned["dropped"], left["dropped"], left["suspicions"], strict=True)
    doubted = [(alone, found) for alone, dropped, found in rows if dropped is None and alone is not None]
    assert len(doubted) > len(junk) / 2
    assert all(alone in found for alone, found in doubted), "no rule drops what the tagger is to read"

    said = [{**GOOD, **row["tags"]} for row in junk]
    script = Script(chatml, [json.dumps(said[at]) for at in passed])
    tagged = Tag(FakeEngine(chatml, script), PAIRS)(given([texts[at] for at in passed]))["tags"]
    assert [{name: tags[name] for name in GOOD} for tags in tagged] == [said[at] for at in passed]
    # All of it, as if no rule had looked at it
    tags = [{**one, "reason": None} for one in said]
    cut = Cut()({"problem": texts, "trimmed": [None] * len(texts), "tags": tags})
    for at, (problem, trimmed) in enumerate(zip(cut["problem"], cut["trimmed"], strict=True)):
        row = {"dropped": None, "contaminated_by": None, "tags": tags[at], "trimmed": trimmed}
        _, reason = Acceptance().place(row, "algebra", ("algebra",))
        assert reason is not None or (trimmed == "contains_solution" and problem == tasks[at]), problem


def test_a_suspicion_is_told_to_the_tagger(chatml: Model) -> None:
    script = Script(chatml, [ANSWER] * 3)
    Tag(FakeEngine(chatml, script), PAIRS)(given(["P", "Q", "R"], None, [], ["fragment", "no_task"]))
    without, empty, with_hints = (text for text, *_ in script.asked)
    assert "Look closely" not in without + empty
    hint = "a start in the middle of a sentence, and nothing that asks or orders."
    assert f"</problem>\n\nLook closely: a check by patterns, which may be wrong, found {hint}" in with_hints


# --- the tagger ---------------------------------------------------------------------------------------------


def test_a_problem_is_tagged_by_one_greedy_constrained_completion(chatml: Model) -> None:
    script = Script(
        chatml, [Completion(ANSWER, "stop", 900, 41), Completion("", CONTEXT_FULL, 9000, 0), "no JSON"]
    )
    stage = Tag(FakeEngine(chatml, script), PAIRS)
    first, second, third = stage(given(["Is $G$ cyclic?", "too long", "Hello"]))["tags"]
    nothing = dict.fromkeys(GOOD)
    assert {name: first[name] for name in first if name != "request"} == {
        **GOOD,
        "reason": None,
        "num_tokens": 41,
    }
    assert {name: second[name] for name in second if name != "request"} == {
        **nothing,
        "reason": CONTEXT_FULL,
        "num_tokens": 0,
    }
    assert {name: third[name] for name in third if name != "request"} == {
        **nothing,
        "reason": "invalid",
        "num_tokens": 3,
    }
    assert set(first) == set(second) == set(TAGS)
    expected = Sampling(
        temperature=0.0, max_tokens=128, stop_token_ids=(id_of(chatml, "<|im_end|>"),), schema=stage.schema
    )
    assert [(sampling, seed) for _, sampling, seed in script.asked] == [(expected, 0)] * 3


@pytest.mark.parametrize(
    "said",
    [
        "",
        "Text 7",
        "null",
        "[]",
        "{}",
        '"algebra"',
        "NaN",
        "[" * 100_000,
        "9" * 10_000,
        ANSWER[:-1],
        ANSWER + "}",
        f"```json\n{ANSWER}\n```",
        f"[{ANSWER}]",
        json.dumps([list(pair) for pair in GOOD.items()]),
        json.dumps({**GOOD, "quality": "superb"}),
        json.dumps({**GOOD, "quality": "Good"}),
        json.dumps({**GOOD, "quality": None}),
        json.dumps({**GOOD, "quality": 5}),
        json.dumps({**GOOD, "quality": ["good"]}),
        json.dumps({**GOOD, "quality": {"good": "good"}}),
        json.dumps({**GOOD, "domain": "topology"}),
        json.dumps({**GOOD, "more": "good"}),
        json.dumps({**GOOD, "end": None}),
        json.dumps({**GOOD, "solution": "maybe"}),
        json.dumps({name: value for name, value in GOOD.items() if name != "domain"}),
        ANSWER[:-1] + ', "domain": "algebra"}',
    ],
)
def test_what_is_not_exactly_the_answer_is_invalid(said: str, chatml: Model) -> None:
    (tags,) = Tag(FakeEngine(chatml, lambda *_: said), PAIRS)(given(["P"]))["tags"]
    assert [tags[scale] for scale in GOOD] == [None] * len(GOOD)
    assert tags["reason"] == "invalid"


def test_a_cut_answer_is_invalid_and_a_killer_says_so(chatml: Model) -> None:
    script = Script(chatml, [Completion(ANSWER, "length", 9, 128), Completion("", KILLED_ENGINE, 9, 0)])
    tags = Tag(FakeEngine(chatml, script), PAIRS)(given(["P", "Q"]))["tags"]
    assert [(one["reason"], one["domain"]) for one in tags] == [("invalid", None), (KILLED_ENGINE, None)]


def test_the_problem_stands_in_the_prompt_as_it_is_and_last(chatml: Model) -> None:
    nasty = 'Let {problem} be {0} and \\{x\\} % s {{ z }}.\n\n"Then" </problem> $x<y$'
    script = Script(chatml, [ANSWER] * 2)
    stage = Tag(FakeEngine(chatml, script), PAIRS)
    stage(given([nasty, "Another."]))
    one, other = (text for text, _, _ in script.asked)
    question = f"<problem>\n{nasty}\n</problem>\n\n{stage.closing}\n"
    assert one.count(question) == 1
    shared = next(i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    assert one[shared:].startswith(nasty), (
        "all that does not depend on the problem comes first, and is computed once"
    )
    for value in (
        *QUALITIES,
        *DIFFICULTIES,
        *SOLVABILITIES,
        *CATEGORIES,
        *(key for key, _ in PAIRS),
        "other_math",
        "no_math",
    ):
        assert f'- "{value}": ' in one


def test_a_template_that_opens_a_thought_gets_an_empty_one(thinker: Model) -> None:
    script = Script(thinker, [ANSWER])
    Tag(FakeEngine(thinker, script), PAIRS)(given(["P"]))
    assert script.asked[0][0].endswith("[BOT]<think>\n\n</think>\n\n")
    assert script.asked[0][0].count("<think>") == 1


def test_the_examples_are_valid_answers_and_fit_the_domains(chatml: Model) -> None:
    stage = Tag(FakeEngine(chatml, never), PAIRS)
    turns = stage.conversation("P")
    assert [turn["role"] for turn in turns] == ["user", "assistant"] * len(EXAMPLES) + ["user"]
    for turn in turns[1::2]:
        said = json.loads(turn["content"])
        assert list(said) == list(stage.named)
        assert all(said[scale] in values for scale, values in stage.scales.items())
    for problem, values in EXAMPLES:
        assert problem.count(values[-1]) == 1, "a task's last words stand there"
        assert problem.endswith(values[-1]) == (values[-2] == "none")
    topology = Tag(FakeEngine(chatml, never), (("topology", "topology"),))
    assert len(topology.conversation("P")) == 3, "of the examples, only the one that is no mathematics fits"
    assert (
        Tag(FakeEngine(chatml, never), PAIRS, examples=())
        .conversation("P")[0]["content"]
        .startswith(stage.guide)
    )


def test_the_schema_holds_the_values_in_the_order_of_the_answer(chatml: Model) -> None:
    stage = Tag(FakeEngine(chatml, never), PAIRS)
    schema = json.loads(stage.schema)
    assert (
        list(schema["properties"])
        == schema["required"]
        == [*"domain category solvability difficulty quality kind complete solution end".split()]
    )
    assert schema["properties"]["domain"]["enum"] == [*(key for key, _ in PAIRS), "other_math", "no_math"]
    assert schema["additionalProperties"] is False
    assert (QUALITIES[0], QUALITIES[-1]) == ("very poor", "excellent")
    assert (DIFFICULTIES[0], DIFFICULTIES[-1]) == ("very easy", "very hard")
    assert (SOLVABILITIES[0], SOLVABILITIES[-1]) == ("not_a_problem", "solvable")


def test_what_finished_rows_know_is_not_asked_again(chatml: Model) -> None:
    lines = [
        Completion(ANSWER, "stop", 900, 41),
        "junk",
        Completion("", KILLED_ENGINE, 900, 0),
        Completion("", CONTEXT_FULL, 900, 0),
    ]
    batch = given(["P", "Q", "R", "S"])
    stage = Tag(FakeEngine(chatml, Script(chatml, list(lines))), PAIRS)
    out = stage(batch)
    again = Script(chatml, [lines[3]])
    stage = Tag(FakeEngine(chatml, again), PAIRS)
    with keeping(reused(stage, out)):
        assert stage(given(batch["problem"][::-1]))["tags"] == out["tags"][::-1]
    assert len(again.asked) == 1, "only what had no room, and costs nothing"


def test_all_that_is_asked_takes_part_in_the_identity(chatml: Model, thinker: Model) -> None:
    stage = Tag(FakeEngine(chatml, never), PAIRS)
    others = [
        replace(stage, domains=PAIRS[:3]),
        replace(stage, domains=PAIRS[::-1]),
        replace(stage, domains=(("algebra", "groups"),)),
        replace(stage, guide="Judge."),
        replace(stage, closing="Answer."),
        replace(stage, examples=EXAMPLES[:2]),
        Tag(FakeEngine(thinker, never), PAIRS),
    ]
    assert len({fingerprint(one) for one in (stage, *others)}) == len(others) + 1
    assert stage.reuse_key == Tag(FakeEngine(chatml, lambda *_: ""), PAIRS).reuse_key


@pytest.mark.parametrize(
    "domains", [(), (("a", "x"), ("a", "y")), (("no_math", "x"),), (("a", "x"), ("other_math", "y"))]
)
def test_domains_that_cannot_be_told_apart_are_refused(
    domains: tuple[tuple[str, str], ...], chatml: Model
) -> None:
    with pytest.raises(
        BadInput,
        match=(
            r"the tagger's domains are .*; name at least one, each once, and neither other_math nor no_math"
        ),
    ):
        Tag(FakeEngine(chatml, never), domains)


def test_a_tagger_whose_template_cannot_be_used_is_refused(chatml: Model, tmp_path: Path) -> None:
    Tag(FakeEngine(chatml, never), PAIRS).check()
    model = byte_model("chatml", tmp_path)
    template = tmp_path / "chat_template.jinja"
    template.write_text(
        "{% if messages|length > 2 %}{{ raise_exception('one turn only') }}{% endif %}" + template.read_text()
    )
    with pytest.raises(BadInput, match=r"refuses a conversation of user, assistant, .*one turn only"):
        Tag(FakeEngine(replace(model, revision="sha256:strict"), never), PAIRS).check()


# --- where the task ends ------------------------------------------------------------------------------------


SOLVED = "Is $G$ cyclic? It is, since its order is 15, a product of two primes."


@pytest.mark.parametrize(
    ("problem", "tags", "left"),
    [
        (SOLVED, {"end": "cyclic?"}, "Is $G$ cyclic?"),
        (SOLVED, {"end": " $G$ cyclic? "}, "Is $G$ cyclic?"),
        (SOLVED, {"end": "Cyclic?"}, None),  # other words
        (SOLVED, {"end": ""}, None),
        (SOLVED, {"end": "i"}, None),  # stands there more than once
        (SOLVED, {"end": "Is"}, None),  # no task is left
        (SOLVED, {"end": "cyclic?", "solution": "none"}, None),
        (SOLVED, {"end": "two primes."}, None),
        (SOLVED, {"end": "since its order is 15"}, None),  # in the middle of a sentence
        (SOLVED, dict.fromkeys(GOOD), None),  # an invalid answer
    ],
)
def test_a_problem_is_cut_at_words_that_stand_there(
    problem: str, tags: dict[str, Any], left: str | None
) -> None:
    row = {"problem": [problem], "trimmed": ["label"], "tags": [{**GOOD, "solution": "begun", **tags}]}
    out = Cut()(row)
    assert (out["problem"], out["trimmed"]) == (
        [left or problem],
        ["label+contains_solution" if left else "label"],
    )


# --- the first token, sampled apart -------------------------------------------------------------------------


class Turns:
    """A reply that opens with a letter and goes on, both from their seeds; `openings` are said in place of
    the letter.
    """

    def __init__(self, model: Model, openings: Sequence[str | Completion] = (), tokens: int = 5) -> None:
        self.model, self.openings, self.tokens = model, list(openings), tokens
        self.asked: list[tuple[str, Sampling, int]] = []

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        self.asked.append((text_of(self.model, prompt), sampling, seed))
        if not sampling.allowed_token_ids:
            cut = self.tokens > sampling.max_tokens
            return Completion(
                f"et {seed}.", "length" if cut else "stop", len(prompt), min(self.tokens, sampling.max_tokens)
            )
        said = self.openings.pop(0) if self.openings else "ABCDEFGH"[seed % 8]
        return said if isinstance(said, Completion) else Completion(said, "length", len(prompt), 1)


def opened(model: Model, turns: Turns, **changed: Any) -> Instruct:
    stage = Instruct(
        FakeEngine(model, turns), "A geometer asks.", Sampling(temperature=1.3, min_p=0.1, max_tokens=64), 1.0
    )
    return replace(stage, **changed)


ROWS = {"domain": ["geometry"] * 4, "seed": [11, 12, 13, 14]}
OPEN = "<|im_start|>system\nA geometer asks.<|im_end|>\n<|im_start|>user\n"


def test_a_turn_is_its_first_token_and_the_rest(chatml: Model) -> None:
    turns = Turns(chatml)
    out = opened(chatml, turns)(ROWS)
    letters = ["ABCDEFGH"[seed_of(seed, "first_token") % 8] for seed in ROWS["seed"]]
    assert out["raw_instruction"] == [
        f"{one}et {seed_of(s, 'instruct')}." for one, s in zip(letters, ROWS["seed"], strict=True)
    ]
    assert out["raw_finish_reason"] == ["stop"] * 4
    assert out["raw_num_tokens"] == [6] * 4
    length = len(chat_of(chatml).pre_query_prefix("A geometer asks."))
    assert out["raw_prompt_tokens"] == [length] * 4
    allowed = tuple(sorted(openers(chat_of(chatml)).values()))
    first = Sampling(temperature=1.0, min_p=0.1, max_tokens=1, allowed_token_ids=allowed)
    rest = Sampling(temperature=1.3, min_p=0.1, max_tokens=63, stop_token_ids=(id_of(chatml, "<|im_end|>"),))
    assert turns.asked[:4] == [(OPEN, first, seed_of(seed, "first_token")) for seed in ROWS["seed"]]
    assert turns.asked[4:] == [
        (OPEN + one, rest, seed_of(s, "instruct")) for one, s in zip(letters, ROWS["seed"], strict=True)
    ]


def test_without_an_opening_requests_and_ids_are_what_they_were(chatml: Model) -> None:
    free = opened(chatml, Turns(chatml), first_token=None)
    out = free({"domain": ["geometry"], "seed": [11]})
    assert (out["id"], out["request"]) == (
        ["geometry-99c13af86810ce3d"],
        ["398754e6aac61953a60951610e4a551f"],
    )
    assert free.reuse_key == "dcef19ae25b86e25", (
        "builds from from before there was first-token sampling are still found"
    )


def test_openings_are_told_apart(chatml: Model) -> None:
    stages = [opened(chatml, Turns(chatml), first_token=first_token) for first_token in (None, 0.0, 1.0, 1.5)]
    assert len({fingerprint(stage) for stage in stages}) == len({stage.reuse_key for stage in stages}) == 4
    assert len({one for stage in stages for one in stage(ROWS)["id"]}) == 16
    assert opened(chatml, Turns(chatml), first_token=1) == opened(chatml, Turns(chatml), first_token=1.0)
    longer = opened(chatml, Turns(chatml), sampling=Sampling(temperature=1.3, min_p=0.1, max_tokens=512))
    assert longer.reuse_key == stages[2].reuse_key
    assert longer(ROWS)["id"] == stages[2](ROWS)["id"], "a raised bound keeps the ids"


def test_what_ends_with_its_first_token_is_cut(chatml: Model) -> None:
    odd = [
        Completion("", "stop", 9, 1),
        "#",
        Completion("", CONTEXT_FULL, 900, 0),
        Completion("", KILLED_ENGINE, 9, 0),
    ]
    turns = Turns(chatml, odd)
    out = opened(chatml, turns)(ROWS)
    assert out["raw_finish_reason"] == ["length", "length", CONTEXT_FULL, KILLED_ENGINE]
    assert out["raw_instruction"] == ["", "#", "", ""]
    assert len(turns.asked) == 4, "and nothing follows it"
    again = Turns(chatml, [odd[0], odd[2]])
    with keeping(reused(opened(chatml, again), out)):
        assert opened(chatml, again)(ROWS) == out
    assert len(again.asked) == 2, "only what is no text, and costs next to nothing"


def test_finished_turns_are_reused_whole_and_a_raised_bound_asks_for_the_cut_rest(chatml: Model) -> None:
    out = opened(chatml, Turns(chatml))(ROWS)
    with keeping(reused(opened(chatml, Turns(chatml)), out)):
        assert replace(opened(chatml, Turns(chatml)), engine=FakeEngine(chatml, never))(ROWS) == out
    short, long = (Sampling(temperature=1.3, min_p=0.1, max_tokens=bound) for bound in (8, 64))
    cut = opened(chatml, Turns(chatml, tokens=20), sampling=short)(ROWS)
    assert cut["raw_finish_reason"] == ["length"] * 4
    assert cut["raw_num_tokens"] == [8] * 4
    turns = Turns(chatml, tokens=20)
    stage = opened(chatml, turns, sampling=long)
    with keeping(reused(stage, cut)):
        assert stage(ROWS)["raw_num_tokens"] == [21] * 4
    assert [bool(sampling.allowed_token_ids) for _, sampling, _ in turns.asked] == [False] * 4, (
        "the first tokens are known"
    )


def test_killed_in_the_middle_what_was_finished_is_not_asked_again(chatml: Model, tmp_path: Path) -> None:
    whole = opened(chatml, Turns(chatml))(ROWS)
    for killed_at in range(8):
        file = tmp_path / f"{killed_at}.journal"
        turns = Turns(chatml)

        def dying(
            prompt: Sequence[int], sampling: Sampling, seed: int, at: int = killed_at, turns: Turns = turns
        ) -> Completion:
            if len(turns.asked) == at:
                raise KeyboardInterrupt
            return turns(prompt, sampling, seed)

        with pytest.raises(KeyboardInterrupt), keeping(Journal(file)):
            replace(opened(chatml, turns), engine=FakeEngine(chatml, dying))(ROWS)
        known = journal.read(file)[0] if file.exists() else {}
        with keeping(Journal(file, known.items())):
            assert opened(chatml, turns)(ROWS) == whole
        assert len(turns.asked) == 8


@pytest.mark.parametrize("first_token", [-0.1, 2.5, float("nan"), True, "hot"])
def test_a_first_token_that_is_no_temperature_is_refused(first_token: Any, chatml: Model) -> None:
    with pytest.raises(
        BadInput,
        match=(
            r"first_token is .*; give the first token's temperature, from 0 to 2, or None to sample it like"
            r" the others"
        ),
    ):
        opened(chatml, Turns(chatml), first_token=first_token)


def test_a_turn_of_one_token_has_no_rest(chatml: Model) -> None:
    with pytest.raises(
        BadInput,
        match="max_tokens is 1, and the first token is sampled on its own; give at least 2",
    ):
        opened(chatml, Turns(chatml), sampling=Sampling(max_tokens=1))(ROWS)


def test_openers_are_what_a_sentence_begins_with(chatml: Model, demo_model: Path) -> None:
    assert "".join(openers(chat_of(chatml))) == "$(0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ\\"
    chat = chat_of(resolve(str(demo_model)))
    found = openers(chat)
    assert {"Let", " Let", "$", "\\", "(", "1", "Find", " Suppose"} <= set(found)
    for text in ("let", " let", "#", "##", "**", "*", "-", " ", "\n", "<|im_start|>", ")", ".", "+", "?"):
        assert text not in found
    assert not set(found.values()) & set(chat.tokenizer.added_tokens_decoder)
    assert len(set(found.values())) == len(found) > 10_000
    tail = chat.pre_query_prefix(None)[-1:]
    for text, one in random.Random(0).sample(list(found.items()), 200):
        assert chat.tokenizer.decode([*tail, one], clean_up_tokenization_spaces=False).endswith(text)
