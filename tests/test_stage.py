"""Stages: what they are (identity, seeds, ids) and which rows they make of hand-written ones."""

from __future__ import annotations

import copy
import hashlib
import math
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import pytest
from datasets import Dataset, Features, Value
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from magpie_hf.engines.base import CONTEXT_FULL, Completion
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.engines.vllm.engine import VLLM
from magpie_hf.models.chat import chat_of
from magpie_hf.models.model import Model
from magpie_hf.models.sampling import Sampling
from magpie_hf.problems.heldout import HeldOut
from magpie_hf.schema import PAIR, PUBLISHED, TEXT_SPLITS
from magpie_hf.scorers.judge import Judge
from magpie_hf.stage import Batch, Stage, canonical, fingerprint, identity, seed_of
from magpie_hf.stages.clean import Clean
from magpie_hf.stages.exports.texts import ExportText
from magpie_hf.stages.instruct import Instruct
from magpie_hf.stages.pair import Pair
from magpie_hf.stages.respond import Respond
from magpie_hf.stages.score import ScoreCandidates
from magpie_hf.stages.signature import Signature
from magpie_hf.stages.tag import Tag
from magpie_hf.stages.verify import Verify
from magpie_hf.store.rows import seed_rows

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Like DeepSeek-R1's: the system text stands bare, the assistant's turn opens a thought. No other model knows
# its markers.
THINKER = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}{% elif m.role == 'user' %}[USER]{{"
    " m.content }}{% else %}[BOT]{{ m.content }}[END]{% endif %}{% endfor %}{% if add_generation_prompt"
    " %}[BOT]<think>\n{% endif %}"
)
FORMATS = {
    "chatml": (CHATML, "<|im_end|>", ["<|im_start|>"]),
    "thinker": (THINKER, "[END]", ["[USER]", "[BOT]"]),
}


def byte_model(name: str, folder: Path) -> Model:
    """A model whose tokenizer knows single bytes and the markers of its chat format, so that a prompt can be
    read back.
    """
    template, end, markers = FORMATS[name]
    core = Tokenizer(
        models.BPE(
            vocab={byte: i for i, byte in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, merges=[]
        )
    )
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token=end, additional_special_tokens=markers, chat_template=template
    ).save_pretrained(folder)
    return Model(f"byte/{name}", f"sha256:{name}", path=str(folder))


def text_of(model: Model, prompt: Sequence[int]) -> str:
    """The text that the prompt ids stand for."""
    return str(chat_of(model).tokenizer.decode(prompt, clean_up_tokenization_spaces=False))


def id_of(model: Model, token: str) -> int:
    return int(chat_of(model).tokenizer.convert_tokens_to_ids(token))


@pytest.fixture(scope="module")
def chatml(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return byte_model("chatml", tmp_path_factory.mktemp("chatml"))


@pytest.fixture(scope="module")
def thinker(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return byte_model("thinker", tmp_path_factory.mktemp("thinker"))


@dataclass
class Script:
    """A reply for FakeEngine that says the next line of a list, and remembers what it was asked."""

    model: Model
    lines: list[str | Completion]
    asked: list[tuple[str, Sampling, int]] = field(default_factory=list)

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> str | Completion:
        self.asked.append((text_of(self.model, prompt), sampling, seed))
        return self.lines[len(self.asked) - 1]


def from_seed(prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
    """A reply that depends on the seed alone; the judge's question is answered with a rating of 3."""
    if sampling.logprobs:
        return Completion("", "length", len(prompt), 1, ((18, 0.0),))  # the byte "3"
    return Completion(f"Text {seed}", "stop", len(prompt), seed % 50)


# --- identity -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Inner:
    heat: float
    where: str = field(default="here", compare=False)


@dataclass(frozen=True)
class Outer:
    inner: Inner
    others: tuple[Inner, ...] = ()
    table: Any = None


@dataclass(frozen=True)
class Double(Stage):
    """Doubles a number."""

    name: ClassVar[str] = "double"
    reads: ClassVar[tuple[str, ...]] = ("number",)

    times: int = 2
    threads: int = field(default=1, compare=False)

    @property
    def adds(self) -> Features:
        return Features({"doubled": Value("int64")})

    def run(self, batch: Batch) -> Batch:
        return {"doubled": [self.times * number for number in batch["number"]]}


@dataclass(frozen=True)
class DoubleAnew(Double):
    version: ClassVar[int] = 2


@dataclass(frozen=True)
class Treble(Double):
    name: ClassVar[str] = "treble"


def test_identity_is_plain_json_of_the_comparing_fields() -> None:
    assert identity(Outer(Inner(0.5), (Inner(1.0, "there"),), {"b": None, "a": [True, 2, "x"]})) == {
        "is": "Outer",
        "version": 1,
        "inner": {"is": "Inner", "version": 1, "heat": 0.5},
        "others": [{"is": "Inner", "version": 1, "heat": 1.0}],
        "table": {"b": None, "a": [True, 2, "x"]},
    }
    assert identity(DoubleAnew(3, threads=8)) == {
        "is": "double",
        "use": "test_stage:DoubleAnew",
        "version": 2,
        "times": 3,
    }


def test_where_the_work_is_done_takes_no_part_however_deep() -> None:
    here, there = (
        Outer(Inner(0.5, "here"), (Inner(1.0, "here"),)),
        Outer(Inner(0.5, "there"), (Inner(1.0, "there"),)),
    )
    assert here == there
    assert fingerprint(here) == fingerprint(there)
    assert fingerprint(Double(threads=1)) == fingerprint(Double(threads=64))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Outer(Inner(0.5)), Outer(Inner(0.25))),
        (Outer(Inner(0.5), (Inner(1.0),)), Outer(Inner(0.5), (Inner(1.5),))),
        (Outer(Inner(0.5), (Inner(1.0), Inner(2.0))), Outer(Inner(0.5), (Inner(2.0), Inner(1.0)))),
        (Double(2), Double(3)),
        (Double(2), DoubleAnew(2)),
        (Double(2), Treble(2)),
        (Inner(0.5), Outer(Inner(0.5))),
        ("1", 1),
        (None, "None"),
        ({"a": "b"}, {"b": "a"}),
        (["ab"], ["a", "b"]),
    ],
)
def test_what_makes_other_rows_has_another_fingerprint(one: Any, other: Any) -> None:
    assert fingerprint(one) != fingerprint(other)


def test_the_order_of_a_dict_makes_no_difference() -> None:
    assert fingerprint({"a": 1, "b": {"c": 2, "d": 3}}) == fingerprint({"b": {"d": 3, "c": 2}, "a": 1})
    assert fingerprint(Outer(Inner(1.0), table={"a": 1, "b": 2})) == fingerprint(
        Outer(Inner(1.0), table={"b": 2, "a": 1})
    )
    assert fingerprint(MappingProxyType({"a": 1})) == fingerprint({"a": 1})
    assert fingerprint({"x", "y", "z"}) == fingerprint({"z", "y", "x"})
    assert fingerprint((1, 2)) == fingerprint([1, 2])


def test_a_fingerprint_is_sixteen_hexadecimal_digits() -> None:
    assert re.fullmatch(r"[0-9a-f]{16}", fingerprint())
    assert fingerprint("a", "b") != fingerprint("ab")


@pytest.mark.parametrize(
    "value",
    [
        lambda x: x, len, math.nan, math.inf, -math.inf, b"bytes", object(), Inner, {1: "a"}, 1j,
        [lambda: 0], {"a": math.nan}, Outer(Inner(math.nan)),
    ],
)  # fmt: skip
def test_what_has_no_stable_identity_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError, match="has no stable identity"):
        fingerprint(value)


def test_canonical_json_is_one_text_for_one_value() -> None:
    assert canonical({"b": [1, 2.5, None, True], "a": "数"}) == '{"a":"数","b":[1,2.5,null,true]}'


MODEL = Model("acme/model", "f" * 40)


@pytest.mark.parametrize(
    "placement",
    [
        {"form": "llm_engine"},
        {"form": "async_llm"},
        {"context": 4096},
        {"tensor_parallel_size": 8},
        {"gpu_memory_utilization": 0.5},
        {"kv_cache_gigabytes": 2.5},
        {"max_num_seqs": 1},
        {"speed": (("block_size", "32"),)},
    ],
)
def test_where_a_model_runs_takes_no_part(placement: dict[str, Any]) -> None:
    plain, placed = VLLM(MODEL), VLLM(MODEL, **placement)
    assert plain == placed
    assert hash(plain) == hash(placed)
    for stage in (
        Instruct(plain, "S", Sampling()),
        Respond(plain, "solutions", Sampling()),
        ScoreCandidates(Judge(plain)),
    ):
        moved = replace(
            stage, **({"scorer": Judge(placed)} if isinstance(stage, ScoreCandidates) else {"engine": placed})
        )
        assert moved == stage
        assert fingerprint(moved) == fingerprint(stage)


def test_the_kind_of_engine_takes_no_part() -> None:
    assert fingerprint(VLLM(MODEL)) == fingerprint(FakeEngine(MODEL, from_seed)) == fingerprint(MODEL)
    assert FakeEngine(MODEL, from_seed) == FakeEngine(MODEL, lambda *_: "another")


@pytest.mark.parametrize(
    "change", [{"name": "acme/other"}, {"revision": "e" * 40}, {"dtype": "float16"}, {"max_length": 100}]
)
def test_what_a_model_is_takes_part(change: dict[str, Any]) -> None:
    one, other = (
        Respond(VLLM(MODEL), "solutions", Sampling()),
        Respond(VLLM(replace(MODEL, **change)), "solutions", Sampling()),
    )
    assert one != other
    assert fingerprint(one) != fingerprint(other)


def test_where_a_model_lies_takes_no_part() -> None:
    assert fingerprint(VLLM(replace(MODEL, path="/there"))) == fingerprint(VLLM(MODEL))


@pytest.mark.parametrize(
    "change",
    [{"column": "candidates"}, {"k": 2}, {"instruction": "Solve."}, {"sampling": Sampling(top_p=0.9)}],
)
def test_every_comparing_field_of_a_stage_takes_part(change: dict[str, Any]) -> None:
    stage = Respond(VLLM(MODEL), "solutions", Sampling())
    assert fingerprint(replace(stage, **change)) != fingerprint(stage)


def test_a_vllm_spec_needs_no_vllm() -> None:
    script = (
        "import pickle, sys; from magpie_hf.engines.vllm.engine import VLLM; from magpie_hf.models.model"
        " import Model\nspec = VLLM(Model('a/b', 'r'), tensor_parallel_size=2)\nassert"
        " pickle.loads(pickle.dumps(spec)).tensor_parallel_size == 2\nassert not {'vllm', 'torch'} &"
        " set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, timeout=60)


# --- seeds --------------------------------------------------------------------------------------------------


@given(st.lists(st.one_of(st.integers(), st.text(), st.none())))
def test_a_seed_is_the_first_48_bits_of_a_digest(parts: list[Any]) -> None:
    seed = seed_of(*parts)
    assert 0 <= seed < 2**48
    assert seed == int(hashlib.sha256(canonical(parts).encode()).hexdigest()[:12], 16)


def test_seeds_are_distinct_by_row_candidate_and_stage() -> None:
    rows = [
        seed_of(build, domain, row)
        for build in range(3)
        for domain in ("algebra", "geometry")
        for row in range(200)
    ]
    assert len(set(rows)) == 1200
    asked = [
        seed_of(row, column, j)
        for row in rows[:100]
        for column in ("solutions", "candidates")
        for j in range(5)
    ]
    asked += [seed_of(row, "instruct") for row in rows[:100]]
    assert len(set(asked)) == 1100


def test_a_rows_seed_comes_from_build_domain_and_place() -> None:
    (rows,) = seed_rows("algebra", 7, 3, 6).batches(["index", "domain", "seed"])
    assert rows["index"] == [3, 4, 5]
    assert rows["domain"] == ["algebra"] * 3
    assert rows["seed"] == [
        int(hashlib.sha256(b'[7,"algebra",%d]' % row).hexdigest()[:12], 16) for row in (3, 4, 5)
    ]


def test_each_request_has_a_seed_of_its_own(chatml: Model) -> None:
    script = Script(chatml, ["x"] * 100)
    engine = FakeEngine(chatml, script)
    batch = {"domain": ["algebra"] * 4, "seed": [11, 12, 13, 14], "problem": ["P"] * 4}
    Instruct(engine, "S", Sampling()).run(batch)
    Respond(engine, "solutions", Sampling()).run(batch)
    Respond(engine, "candidates", Sampling(), k=3).run(batch)
    seeds = [seed for _, _, seed in script.asked]
    assert seeds[:4] == [seed_of(seed, "instruct") for seed in (11, 12, 13, 14)]
    assert seeds[4:8] == [seed_of(seed, "solutions", 0) for seed in (11, 12, 13, 14)]
    assert seeds[8:] == [seed_of(seed, "candidates", j) for seed in (11, 12, 13, 14) for j in range(3)]
    assert len(set(seeds)) == len(seeds) == 20


def test_a_higher_k_keeps_the_first_candidates(chatml: Model) -> None:
    batch = {"problem": ["P", "Q"], "seed": [1, 2]}
    few, many = (
        Respond(FakeEngine(chatml, from_seed), "candidates", Sampling(), k=k)(batch)["candidates"]
        for k in (2, 5)
    )
    assert [len(row) for row in many] == [5, 5]
    assert [row[:2] for row in many] == few


def test_ids_keep_when_the_bound_is_raised_and_change_with_the_sample(chatml: Model, thinker: Model) -> None:
    def ids(
        model: Model = chatml,
        system: str = "A geometer asks.",
        seeds: Sequence[int] = (11, 12),
        **sampling: Any,
    ) -> list[str]:
        stage = Instruct(
            FakeEngine(model, from_seed),
            system,
            Sampling(**{"temperature": 1.0, "max_tokens": 64, **sampling}),
        )
        return stage({"domain": ["algebra", "algebra"], "seed": list(seeds)})["id"]

    plain = ids()
    assert all(re.fullmatch(r"algebra-[0-9a-f]{16}", one) for one in plain)
    assert ids(max_tokens=1024) == plain
    others = [
        ids(temperature=1.5),
        ids(min_p=0.1),
        ids(top_p=0.9),
        ids(repetition_penalty=1.1),
        ids(system="An analyst asks."),
        ids(seeds=(13, 14)),
        ids(thinker),
        ids(replace(chatml, revision="sha256:other")),
        ids(replace(chatml, dtype="float32")),
    ]
    everything = [*plain, *(one for other in others for one in other)]
    assert len(set(everything)) == len(everything) == 20
    assert ids(seeds=(12, 11)) == plain[::-1], "an id belongs to its row's seed, not to its place"


# --- golden rows --------------------------------------------------------------------------------------------

DROPPED = ["length", None, None, "empty"]  # two dead rows around two living ones


def unkeyed(batch: dict[str, list[Any]], size: int = 32) -> dict[str, list[Any]]:
    """The batch without its request keys, which are hashes of `size` digits, each its own."""
    items = [
        item
        for values in batch.values()
        for value in values
        if isinstance(value, list)
        for item in value
        if "request" in item
    ]
    keys = [item.pop("request") for item in items] + batch.pop("request", [])
    keys = [key for key in keys if key is not None]
    assert all(re.fullmatch(f"[0-9a-f]{{{size}}}", key) for key in keys)
    assert len(set(keys)) == len(keys) > 0
    return batch


def test_instruct_samples_a_user_turn(chatml: Model) -> None:
    script = Script(chatml, ["Find $x$ with $x^2=4$.", Completion("\nLet $G$ be", "length", 40, 64)])
    stage = Instruct(
        FakeEngine(chatml, script), "An algebraist asks.", Sampling(temperature=1.3, min_p=0.1, max_tokens=64)
    )
    batch = {"index": [0, 1], "domain": ["algebra", "algebra"], "seed": [11, 12]}
    out = unkeyed(stage(batch))
    first, second = out["id"]
    assert out == {
        "index": [0, 1],
        "domain": ["algebra", "algebra"],
        "seed": [11, 12],
        "id": [first, second],
        "raw_instruction": ["Find $x$ with $x^2=4$.", "\nLet $G$ be"],
        "raw_finish_reason": ["stop", "length"],
        "raw_prompt_tokens": [35, 40],
        "raw_num_tokens": [5, 64],
    }
    assert first != second
    prompt = "<|im_start|>system\nAn algebraist asks.<|im_end|>\n<|im_start|>user\n"
    sampling = Sampling(
        temperature=1.3, min_p=0.1, max_tokens=64, stop_token_ids=(id_of(chatml, "<|im_end|>"),)
    )
    assert script.asked == [
        (prompt, sampling, seed_of(11, "instruct")),
        (prompt, sampling, seed_of(12, "instruct")),
    ]


def test_clean_drops_what_is_no_problem_with_its_reason(chatml: Model) -> None:
    raw = [
        ("  Find $x$.\n\n", "stop"),
        ("Show that", "length"),
        ("", CONTEXT_FULL),
        (" \n ", "stop"),
        ("Solve.<|im_start|>assistant", "stop"),
        ("<|begin_of_text|>Solve.", "stop"),
        ("Solve. [/INST]", "stop"),
        ("Is [USER] a set if |x|<|y|>0?", "stop"),
        (
            (
                "**Problem 1.** Find all primes that are smaller than 10.\n\n**Solution**\n\nThey are 2, 3, 5"
                " and 7."
            ),
            "stop",
        ),
        ("Let $x$ be a number such that", "stop"),
        ("Zeigen Sie, dass es unendlich viele Primzahlen gibt.", "stop"),
    ]
    batch = {"raw_instruction": [text for text, _ in raw], "raw_finish_reason": [finish for _, finish in raw]}
    assert Clean((chatml,))(batch) == {
        **batch,
        "problem": [
            "Find $x$.",
            *[None] * 6,
            "Is [USER] a set if |x|<|y|>0?",
            "Find all primes that are smaller than 10.",
            None,
            None,
        ],
        "language": [None] * 8 + ["en", None, None],
        "trimmed": [None] * 8 + ["label+contains_solution", None, None],
        "dropped": [
            None,
            "length",
            "context_full",
            "empty",
            *["special_tokens"] * 3,
            None,
            None,
            "truncated",
            "language",
        ],
    }


def test_clean_heeds_the_markers_of_every_model(chatml: Model, thinker: Model) -> None:
    batch = {
        "raw_instruction": ["Is [USER] a set?", "Is [user] a set?"],
        "raw_finish_reason": ["stop", "stop"],
    }
    assert Clean((chatml,))(batch)["dropped"] == [None, None]
    assert Clean((chatml, thinker))(batch)["dropped"] == ["special_tokens", None]


def response(
    text: str, prompt_tokens: int, num_tokens: int, finish: str = "stop", **changed: Any
) -> dict[str, Any]:
    return {
        "text": text,
        "thinking": None,
        "answer_text": text,
        "finish_reason": finish,
        "reason": None,
        "asked_with": "user: Solve it.",
        "prompt_tokens": prompt_tokens,
        "num_tokens": num_tokens,
        "token_ids": None,
        "segments": None,
        **changed,
    }


def test_respond_asks_k_times_and_reads_the_answers(chatml: Model) -> None:
    lines: list[str | Completion] = [
        Completion(" It is $4$.\n", "stop", 70, 6),
        Completion("First we", "length", 70, 8),
        Completion("  ", "stop", 71, 2),
        Completion("A<|im_start|>user", "stop", 71, 4),
        Completion("", CONTEXT_FULL, 9000, 0),
        Completion("<think>hm</think>Ten", "stop", 72, 5),
    ]
    script = Script(chatml, lines)
    stage = Respond(
        FakeEngine(chatml, script),
        "candidates",
        Sampling(temperature=0.8, top_p=0.95, max_tokens=8),
        2,
        "Solve it.",
    )
    batch = {"problem": ["P {x}", "Q", "R"], "seed": [11, 12, 13]}
    assert unkeyed(stage(batch)) == {
        **batch,
        "candidates": [
            [response("It is $4$.", 70, 6), response("First we", 70, 8, "length", reason="length")],
            [
                response("", 71, 2, reason="empty"),
                response("A<|im_start|>user", 71, 4, reason="special_tokens"),
            ],
            [
                response("", 9000, 0, "context_full", reason="context_full"),
                response("<think>hm</think>Ten", 72, 5, thinking="hm", answer_text="Ten"),
            ],
        ],
    }
    sampling = Sampling(
        temperature=0.8, top_p=0.95, max_tokens=8, stop_token_ids=(id_of(chatml, "<|im_end|>"),)
    )
    assert script.asked == [
        (
            f"<|im_start|>user\n{problem}\n\nSolve it.<|im_end|>\n<|im_start|>assistant\n",
            sampling,
            seed_of(seed, "candidates", j),
        )
        for problem, seed in zip(batch["problem"], batch["seed"], strict=True)
        for j in range(2)
    ]


def test_respond_puts_back_the_thought_that_the_template_opens(thinker: Model) -> None:
    lines: list[str | Completion] = [
        Completion("\nSquare it.</think>\n\n\\boxed{4}", "stop", 40, 9),
        Completion("Square it and", "length", 40, 9),
        Completion("Square it.", "stop", 40, 4),
        Completion("Square it.</think>", "stop", 40, 5),
        Completion("Square it.</think>It", "length", 40, 9),
    ]
    script = Script(thinker, lines)
    stage = Respond(FakeEngine(thinker, script), "solutions", Sampling(), len(lines), "Solve it.")
    asked = {"thinking": "Square it.", "answer_text": ""}
    assert unkeyed(stage({"problem": ["P"], "seed": [11]}))["solutions"] == [
        [
            response(
                "<think>\nSquare it.</think>\n\n\\boxed{4}",
                40,
                9,
                thinking="Square it.",
                answer_text="\\boxed{4}",
            ),
            response(
                "<think>\nSquare it and",
                40,
                9,
                "length",
                thinking="Square it and",
                answer_text="",
                reason="thinking_not_closed",
            ),
            response("<think>\nSquare it.", 40, 4, **asked, reason="thinking_not_closed"),
            response("<think>\nSquare it.</think>", 40, 5, **asked, reason="empty"),
            response(
                "<think>\nSquare it.</think>It",
                40,
                9,
                "length",
                **{**asked, "answer_text": "It"},
                reason="length",
            ),
        ]
    ]
    assert {prompt for prompt, _, _ in script.asked} == {"[USER]P\n\nSolve it.[BOT]<think>\n"}


def test_a_prompt_without_room_is_no_open_thought(thinker: Model) -> None:
    """Nothing was ever asked, so the reason is the room, and not a thought that the model did not close."""
    script = Script(thinker, [Completion("", CONTEXT_FULL, 9000, 0)])
    out = Respond(FakeEngine(thinker, script), "solutions", Sampling())({"problem": ["P"], "seed": [11]})
    assert out["solutions"][0][0]["reason"] == "context_full"


def candidate(text: str, reason: str | None = None, **changed: Any) -> dict[str, Any]:
    return {**response(text, 50, 7, "stop" if reason is None else "length", reason=reason), **changed}


def test_score_rates_the_complete_candidates(chatml: Model) -> None:
    five, two, other = id_of(chatml, "5"), id_of(chatml, "2"), id_of(chatml, "x")
    lines: list[str | Completion] = [
        Completion("5", "length", 9, 1, ((five, 0.0),)),
        Completion("x", "length", 9, 1, ((other, 0.0),)),
        Completion("2", "length", 9, 1, ((two, 0.0),)),
    ]
    script = Script(chatml, lines)
    stage = ScoreCandidates(Judge(FakeEngine(chatml, script), "P: {problem} S: {response}"))
    batch = {
        "problem": ["One?", "Two?"],
        "candidates": [
            [candidate("a"), candidate("b", "length"), candidate("c")],
            [
                candidate("<think>t</think>d", thinking="t", answer_text="d"),
                candidate("e", "empty"),
                candidate("f", "context_full"),
            ],
        ],
    }
    assert unkeyed(stage(batch), 16) == {
        **batch,
        "scores": [
            [{"score": score, "reason": reason, "objectives": None, "gate": None} for score, reason in scores]
            for scores in (
                ((5.0, None), (None, "length"), (None, "not_rated")),
                ((2.0, None), (None, "empty"), (None, "context_full")),
            )
        ],
    }
    assert [prompt for prompt, _, _ in script.asked] == [
        f"<|im_start|>user\nP: {problem} S: {answer}<|im_end|>\n<|im_start|>assistant\nRating: "
        for problem, answer in (("One?", "a"), ("One?", "c"), ("Two?", "d"))
    ], "the judge reads the answer, not the thought"


def test_score_asks_nothing_where_no_candidate_is_complete(chatml: Model) -> None:
    script = Script(chatml, [])
    batch = {"problem": ["One?"], "candidates": [[candidate("a", "length")]]}
    none = {"score": None, "reason": "length", "objectives": None, "gate": None, "request": None}
    assert ScoreCandidates(Judge(FakeEngine(chatml, script)))(batch)["scores"] == [[none]]
    assert script.asked == []


def test_pair_puts_right_before_liked() -> None:
    rows: list[
        tuple[
            list[str],
            list[float | None],
            list[bool | None],
            tuple[int | None, int | None, str | None, str | None],
        ]
    ] = [
        (["a", "b", "c"], [3.0, 1.5, 4.5], [None] * 3, (2, 1, "score", None)),
        (
            ["a", "b", "c", "d"],
            [2.0, 5.0, 5.0, 2.0],
            [None] * 4,
            (1, 0, "score", None),
        ),  # the first of equals
        (["a", "b", "c"], [2.0, 1.0, 4.0], [True, True, False], (0, 2, "correctness", None)),
        (["a", "b"], [3.0, 3.0], [None] * 2, (None, None, None, "score_gap")),
        (["a", "a"], [1.0, 3.0], [None] * 2, (None, None, None, "same_text")),
        (["a", "b"], [None, 3.0], [None] * 2, (None, None, None, "unscored")),
    ]
    batch = {
        "candidates": [[candidate(text) for text in texts] for texts, _, _, _ in rows],
        "scores": [[{"score": score, "reason": None} for score in scores] for _, scores, _, _ in rows],
        "in_majority": [in_majority for _, _, in_majority, _ in rows],
        "majority_share": [1.0 if True in in_majority else None for _, _, in_majority, _ in rows],
    }
    assert Pair()(batch) == {
        **batch,
        **{column: [row[3][place] for row in rows] for place, column in enumerate(PAIR)},
    }


def test_export_publishes_a_row() -> None:
    batch = {
        "index": [4],
        "id": ["algebra-00"],
        "domain": ["algebra"],
        "seed": [11],
        "problem": ["Find $x$."],
        "language": [None],
        "tags": [None],
        "min_neighbor_distance": [0.5],
        "raw_num_tokens": [12],
        "accepted_as": ["algebra"],
        "solutions": [
            [
                candidate(
                    "<think>\nhm</think>\n\n\\boxed{2}",
                    thinking="hm",
                    answer_text="\\boxed{2}",
                    num_tokens=30,
                )
            ]
        ],
        "candidates": [
            [
                candidate("Is \\boxed{3}", num_tokens=8),
                candidate("It is", "length"),
                candidate("Is \\boxed{2}"),
            ]
        ],
        "scores": [[{"score": score, "objectives": [0.5], "gate": None} for score in (1.5, None, 4.0)]],
        "answers": [["3", None, "2"]],
        "answer_clusters": [[1, None, 0]],
        "cluster_sizes": [[1, 1]],
        "in_majority": [[False, None, True]],
        "answer_kind": ["answer"],
        "majority_answer": ["2"],
        "majority_share": [0.5],
        "mean_num_tokens": [7.5],
        "solution_agrees": [True],
        "chosen_index": [2],
        "rejected_index": [0],
        "pair_kind": ["correctness"],
        "normal_hash": [5],
    }
    user = {"role": "user", "content": "Find $x$."}
    expected = {
        "id": ["algebra-00"],
        "domain": ["algebra"],
        "messages": [[user, {"role": "assistant", "content": "<think>\nhm</think>\n\n\\boxed{2}"}]],
        "chosen": [[user, {"role": "assistant", "content": "Is \\boxed{2}"}]],
        "rejected": [[user, {"role": "assistant", "content": "Is \\boxed{3}"}]],
        "has_pair": [True],
        "pair_kind": ["correctness"],
        "problem": ["Find $x$."],
        "language": [None],
        "tags": [dict.fromkeys(PUBLISHED["tags"])],
        "min_neighbor_distance": [0.5],
        "solution": ["<think>\nhm</think>\n\n\\boxed{2}"],
        "thinking": ["hm"],
        "answer": ["2"],
        "answer_rank": [1],
        "answer_count": [1],
        "answer_checked": ["majority"],
        "answer_kind": ["answer"],
        "majority_answer": ["2"],
        "majority_share": [0.5],
        "answer_votes": [2],
        "solution_agrees": [True],
        "candidate_tokens": [7.5],
        "score_chosen": [4.0],
        "score_rejected": [1.5],
        "score_gap": [2.5],
        "chosen_tokens": [7],
        "rejected_tokens": [8],
        "problem_tokens": [12],
        "solution_tokens": [30],
        "finish_reason": ["stop"],
        "generation": [
            {
                "problem_model": "acme/m",
                "response_temperature": 0.1,
                "candidate_temperature": 0.8,
                "seed": 11,
                "asked_with": "user: Solve it.",
            }
        ],
    }
    generation = (("problem_model", "acme/m"), ("response_temperature", 0.1), ("candidate_temperature", 0.8))
    for text in TEXT_SPLITS:
        out = ExportText("algebra", HeldOut(0), "train", text, generation, sft="cold")(batch)
        texts = {"chosen_text": "Is \\boxed{2}", "rejected_text": "Is \\boxed{3}"}
        assert out == expected | {
            column: [said if text == "prefs" else None] for column, said in texts.items()
        }
        assert list(out) == list(PUBLISHED)


# --- what holds for every stage -----------------------------------------------------------------------------

SEEN = {
    "domain": ["algebra"] * 4,
    "seed": [11, 12, 13, 14],
    "raw_instruction": ["truncated", " Find $x$.", "Find $y$. ", " "],
    "raw_finish_reason": ["length", "stop", "stop", "stop"],
    "problem": [None, "Find $x$.", "Find $y$.", None],
    "tags": [None, {"kind": "computation"}, {"kind": "example"}, None],
    "suspicions": [None, [], ["chat"], None],
    "candidates": [None, [candidate("a"), candidate("b")], [candidate("c"), candidate("d")], None],
    "scores": [
        None,
        *([{"score": 1.0, "reason": None}, {"score": 2.0, "reason": None}] for _ in range(2)),
        None,
    ],
    "solutions": [None, [candidate("a")], [candidate("b")], None],
    "majority_answer": [None, "1", "2", None],
    "in_majority": [None, [True, False], [None, None], None],
    "majority_share": [None, 0.5, 1.0, None],
}
NULLABLE = {
    "dropped",
    "language",
    "trimmed",
    "pair_reason",
    "pair_kind",
    "majority_answer",
    "majority_share",
    "solution_agrees",
    "is_readable",
    "mean_num_tokens",
}


def stages(model: Model, reply: Callable[..., str | Completion] = from_seed) -> list[Stage]:
    engine = FakeEngine(model, reply)
    return [
        Instruct(engine, "S", Sampling()),
        Clean((model,)),
        Signature(),
        Respond(engine, "solutions", Sampling()),
        Respond(engine, "candidates", Sampling(), 2),
        Verify(),
        ScoreCandidates(Judge(engine)),
        Pair(),
        Tag(engine, (("algebra", "groups and rings"),)),
    ]


STAGES = range(9)


def seen(stage: Stage) -> dict[str, list[Any]]:
    return {column: SEEN[column] for column in stage.reads}


@pytest.mark.parametrize("number", STAGES)
def test_dropped_rows_pass_through_with_nulls(number: int, chatml: Model) -> None:
    stage = stages(chatml)[number]
    batch = {**seen(stage), "dropped": DROPPED, "note": ["k", "l", "m", "n"]}
    before = copy.deepcopy(batch)
    out = stage(batch)
    assert batch == before, "the batch itself is left alone"
    kept = {column: values for column, values in batch.items() if column not in stage.adds}
    assert {column: out[column] for column in kept} == kept
    living = stage({column: values[1:3] for column, values in seen(stage).items()})
    for column in stage.adds:
        dead = DROPPED if column == "dropped" else [None] * 4
        assert out[column] == [dead[0], *living[column], dead[3]]
        if column not in NULLABLE:
            assert all(value is not None for value in living[column])


@pytest.mark.parametrize("number", STAGES)
def test_a_batch_of_dropped_rows_needs_no_model(number: int) -> None:
    stage = stages(Model("acme/absent", "r", path="absent"))[number]
    out = stage({**{column: [None] for column in stage.reads}, "dropped": ["empty"]})
    assert {column: out[column] for column in stage.adds} == {
        c: ["empty"] if c == "dropped" else [None] for c in stage.adds
    }


@pytest.mark.parametrize("number", STAGES)
def test_rows_do_not_depend_on_how_they_are_cut(number: int, chatml: Model) -> None:
    stage = stages(chatml)[number]
    batch = {**seen(stage), "dropped": DROPPED}
    whole = stage(batch)
    single = [stage({column: values[row : row + 1] for column, values in batch.items()}) for row in range(4)]
    assert whole == {column: [one[column][0] for one in single] for column in whole}


@pytest.mark.parametrize("number", STAGES)
def test_a_stage_is_a_function_for_map(number: int, chatml: Model) -> None:
    stage = stages(chatml)[number]
    batch = {**{column: values[1:3] for column, values in seen(stage).items()}, "note": ["l", "m"]}
    rows = Dataset.from_dict(batch)
    expected = stage(batch)
    plain = rows.map(stage, batched=True, batch_size=1)
    assert plain.to_dict() == expected
    typed = rows.map(stage, batched=True, features=Features({**rows.features, **stage.adds}))
    assert typed.to_dict() == expected
    assert {column: typed.features[column] for column in stage.adds} == stage.adds


@pytest.mark.parametrize("number", STAGES)
def test_a_stage_pickles(number: int, chatml: Model) -> None:
    stage = stages(chatml)[number]
    again = pickle.loads(pickle.dumps(stage))
    assert again == stage
    assert fingerprint(again) == fingerprint(stage)
    assert again(seen(stage) | {"dropped": DROPPED}) == stage(seen(stage) | {"dropped": DROPPED})


def test_the_stages_are_told_apart(chatml: Model) -> None:
    made = stages(chatml)
    labels = [
        "instruct",
        "clean",
        "signature",
        "solutions",
        "candidates",
        "verify",
        "score",
        "pair",
        "tag",
    ]
    assert [stage.label for stage in made] == labels
    assert len({fingerprint(stage) for stage in made}) == len(made)


def test_export_is_a_function_for_map() -> None:
    columns = list(ExportText.READS)
    alive = {
        "id": ["a-1", "a-2"],
        "domain": ["a", "a"],
        "seed": [1, 2],
        "problem": ["P", None],
        "language": ["en", None],
        "tags": [{"domain": "a"}, None],
        "min_neighbor_distance": [0.5, None],
        "raw_num_tokens": [3, 4],
        "accepted_as": ["a", None],
        "solutions": [[candidate("s")], None],
        "candidates": [[candidate("c"), candidate("d")], None],
        "scores": [[{"score": score, "objectives": None, "gate": None} for score in (1.0, 2.0)], None],
        "cluster_sizes": [[1, 1], None],
        "in_majority": [[None, None], None],
        "answer_kind": ["answer", None],
        "majority_answer": [None, None],
        "majority_share": [0.5, None],
        "mean_num_tokens": [7.0, None],
        "solution_agrees": [None, None],
        "chosen_index": [1, None],
        "rejected_index": [0, None],
        "pair_kind": ["score", None],
        "normal_hash": [5, None],
    }
    names = [n for n in PUBLISHED["generation"] if n not in ("seed", "asked_with")]
    generation = tuple((n, 0.5 if n.endswith("temperature") else n) for n in names)
    export = ExportText("a", HeldOut(0), "train", "sft", generation)
    rows = Dataset.from_dict(alive).map(export, batched=True, remove_columns=columns, features=PUBLISHED)
    assert rows.features == PUBLISHED
    assert rows["id"][:] == ["a-1"]
    assert rows[0]["chosen"] == [{"role": "user", "content": "P"}, {"role": "assistant", "content": "d"}]
    assert rows[0]["messages"] == rows[0]["chosen"], "without a majority, the candidate that is liked most"
    assert rows[0]["generation"] == {**dict(generation), "seed": 1, "asked_with": "user: Solve it."}
    again = pickle.loads(pickle.dumps(export))
    assert again == export
    assert again(alive) == export(alive)
