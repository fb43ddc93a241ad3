"""The product's own path over a file of cases: `python tests/cases.py KIND FILE`.

Prints what differs, and `N of M differ`; exits with 1 where N > 0. A kind is one function from a case to what
differs in it (None: nothing).
"""

from __future__ import annotations

import json
import sys
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from families import Family, family_of
from tokenizers import Tokenizer

from chat_formats import byte_tokenizer
from magpie_hf.answers.comparison import compare
from magpie_hf.answers.extraction import final_answer
from magpie_hf.engines.base import Completion
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.errors import BadInput
from magpie_hf.models.chat import Chat, chat_of
from magpie_hf.models.model import Model
from magpie_hf.models.sampling import Sampling
from magpie_hf.problems.benchmarks.names import Benchmark, Loaded
from magpie_hf.problems.benchmarks.overlap import Index
from magpie_hf.problems.near_duplicates.index import NearDuplicates
from magpie_hf.stages.clean import Clean
from magpie_hf.stages.instruct import Instruct
from magpie_hf.stages.signature import Signature

Case = dict[str, Any]
SYSTEM = "The user will ask about rings."
TEXTS = (
    "You are an AI assistant.",
    r"Let $\frac{1}{2} < x$ and \[y^2 = 4\].",
    "数列の和を求めよ。",
    "a\n\n  b\n",
)
# Of a family that has no template here, the marks alone can be known.
PLAIN = Family("plain", "ChatML")


def chat(case: Case) -> str | None:
    """What is wrong with a family's chat format."""
    check = CHAT.get(case["kind"])
    if check is None:
        return f"there is no check of the kind {case['kind']!r}"
    try:
        return check(case)
    except BadInput as refusal:
        return f"refused: {refusal}"


def thinking(case: Case) -> str | None:
    """Whether a completion is read as the thinking and the answer that the case names."""
    family = family_of(case["family"])
    response = (family or PLAIN).chat().read(case["completion"])
    wanted = (case["thinking"], case["answer"], None)
    if (got := (response.thinking, response.answer, response.reason)) == wanted:
        return None
    return f"{got!r}, not {wanted!r}" + ("" if family else " (read as ChatML: no template of it here)")


def end_of_user_turn(case: Case) -> str | None:
    """Whether a sampled problem ends where the template's next turn begins, and not later."""
    problem = "What is 3 + 4?"
    with _folder(_family(case)) as folder:
        model = _model(folder)
        chat = chat_of(model)
        whole = [*chat.closed_prompt([{"role": "user", "content": problem}]), *chat.ids("The sum is 7.")]

        def sampled(prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
            """What follows the prompt in the whole chat, as far as an engine with this sampling writes it."""
            rest = whole[len(prompt) :] if whole[: len(prompt)] == list(prompt) else []
            end = next((at for at, one in enumerate(rest) if one in sampling.stop_token_ids), len(rest))
            ids = rest[: min(end, sampling.max_tokens)]
            if sampling.allowed_token_ids and not set(ids) <= set(sampling.allowed_token_ids):
                return Completion("", "length", len(prompt), 1)
            text = str(chat.tokenizer.decode(ids, clean_up_tokenization_spaces=False))
            for stop in sampling.stop:
                text = text.partition(stop)[0]
            return Completion(text, "length" if sampling.max_tokens == 1 else "stop", len(prompt), len(ids))

        rows = Instruct(FakeEngine(model, sampled), None, Sampling(max_tokens=64)).run(
            {"domain": ["d"], "seed": [0]}
        )
    text = rows["raw_instruction"][0]
    return None if text.rstrip() == problem else f"the problem goes on: {text!r}"


def lone_space(case: Case) -> str | None:
    """Whether the ids of the pre-query prefix begin those of a chat, where a token may begin with a space."""
    asked = _family(case).chat(joined=(" W",))
    prefix = asked.pre_query_prefix(None)
    whole = asked.closed_prompt([{"role": "user", "content": "What is 3 + 4?"}])
    return (
        None
        if whole[: len(prefix)] == prefix
        else f"the chat begins with {whole[: len(prefix)]}, not {prefix}"
    )


def tokenizer_class(case: Case) -> str | None:
    """Whether a byte-level tokenizer.json is read as it stands, whatever class its config names."""
    with _folder(PLAIN, tokenizer_class="LlamaTokenizerFast") as folder:
        tokenizer, own = (
            chat_of(_model(folder)).tokenizer,
            Tokenizer.from_file(str(folder / "tokenizer.json")),
        )
        for text in TEXTS:
            ids = tokenizer(text, add_special_tokens=False)["input_ids"]
            back = tokenizer.decode(ids, clean_up_tokenization_spaces=False)
            if back != text or ids != own.encode(text, add_special_tokens=False).ids:
                return f"{text!r} comes back as {back!r}"
    return None


def system_text_handed_back(case: Case) -> str | None:
    """Whether a prompt for a solver holds the template's own system text unchanged."""
    form = _family(case)
    asked = form.chat()
    prompt = asked.closed_text(asked.solving_prompt("What is 3 + 4?"))
    return None if prompt.startswith(form.preamble) else f"the prompt begins otherwise: {prompt!r}"


def remote_code(case: Case) -> str | None:
    """Whether a tokenizer with own code is refused or loaded from tokenizer.json, and nobody asked."""
    auto_map = {"AutoTokenizer": [None, "tokenization_own.OwnTokenizer"]}
    with (
        patch("builtins.input", return_value="n") as asked,
        _folder(PLAIN, tokenizer_class="OwnTokenizer", auto_map=auto_map) as folder,
        suppress(BadInput),
    ):
        (folder / "tokenization_own.py").write_text("raise SystemExit('remote code ran')\n")
        chat_of(_model(folder))
    return f"asked {asked.call_args}" if asked.called else None


def no_system_role(case: Case) -> str | None:
    """Whether a domain's system text can steer a family without a system role."""
    return (
        None if SYSTEM in _family(case).chat().prefix_text(SYSTEM) else "the system text is not in the prompt"
    )


def trailing_newline(case: Case) -> str | None:
    """Whether a system text may end in a newline, which some templates trim."""
    form = _family(case)
    trimmed = replace(form, system_text="(m.content | trim)").chat()
    return None if SYSTEM in trimmed.prefix_text(f"{SYSTEM}\n") else "the system text is not in the prompt"


def tekken(case: Case) -> str | None:
    """Whether a model whose tokenizer is tekken.json alone is loaded."""
    special = [
        *"<unk> <s> </s> [INST] [/INST] [AVAILABLE_TOOLS] [/AVAILABLE_TOOLS] [TOOL_RESULTS]".split(),
        *"[/TOOL_RESULTS] [TOOL_CALLS] [IMG] <pad> [IMG_BREAK] [IMG_END] [PREFIX] [MIDDLE] [SUFFIX]".split(),
        *"[SYSTEM_PROMPT] [/SYSTEM_PROMPT] [TOOL_CONTENT]".split(),
    ]
    names = [*special, *(f"<SPECIAL_{i}>" for i in range(len(special), 1000))]
    file = {
        "config": {
            "pattern": r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|\s+",
            "num_vocab_tokens": 256,
            "default_vocab_size": 1256,
            "default_num_special_tokens": 1000,
            "version": "v7",
        },
        "vocab": [
            {"rank": i, "token_bytes": b64encode(bytes([i])).decode(), "token_str": None} for i in range(256)
        ],
        "special_tokens": [
            {"rank": i, "token_str": name, "is_control": True} for i, name in enumerate(names)
        ],
    }
    with tempfile.TemporaryDirectory() as made:
        Path(made, "tekken.json").write_text(json.dumps(file))
        chat_of(_model(Path(made))).prefix_text(SYSTEM)
    return None


def list_content(case: Case) -> str | None:
    """Whether a template that takes a list of parts alone, as LLaVA-NeXT's does, gives a prefix."""
    template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n"
        "{% for part in m.content %}{{ part.text }}{% endfor %}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    own = Chat(byte_tokenizer(template, special=("<|im_start|>", "<|im_end|>"), eos="<|im_end|>"))
    return None if SYSTEM in own.prefix_text(SYSTEM) else "the system text is not in the prompt"


CHAT: dict[str, Callable[[Case], str | None]] = {
    "thinking": thinking,
    "end of the user turn": end_of_user_turn,
    "lone space before the user text": lone_space,
    "tokenizer class": tokenizer_class,
    "system text handed back": system_text_handed_back,
    "remote code": remote_code,
    "no system role": no_system_role,
    "trailing newline in the domain text": trailing_newline,
    "tekken.json only": tekken,
    "list content only": list_content,
}


def near_duplicates(case: Case) -> str | None:
    """Whether the second of two problems counts as a near-duplicate of the first, in either order."""
    for first, second in ((case["a"], case["b"]), (case["b"], case["a"])):
        rows = [
            {name: values[0] for name, values in Signature()({"problem": [text]}).items()}
            for text in (first, second)
        ]
        accepted = NearDuplicates()
        accepted.add("first", rows[0])
        found = "near-duplicate" if accepted.find(rows[1]) else "different"
        if found != case["expected"]:
            return f"{found}, not {case['expected']}: {first} | {second}"
    return None


def contamination(case: Case) -> str | None:
    """Whether a problem counts as the only row of a benchmark."""
    index = Index([Loaded(Benchmark("bench", "/bench"), (case["benchmark"],), ("0",))])
    hit = index.find(case["problem"])
    found = "clean" if hit is None else "contaminated"
    if found == case["expected"]:
        return None
    return f"{hit or found}, not {case['expected']}: {case['benchmark']} | {case['problem']}"


def clean(case: Case) -> str | None:
    """Whether the rules accept a text, trim it or drop it as expected."""
    rows = _clean()({"raw_instruction": [case["input"]], "raw_finish_reason": ["stop"]})
    (problem,), (trimmed,), (dropped,) = rows["problem"], rows["trimmed"], rows["dropped"]
    whole = problem == case["input"].strip()
    fits = {
        "pass": whole,
        "drop": dropped is not None,
        "drop or trim": not whole,
        "pass or trim label": whole or trimmed == "label",
        "not a stump": whole or dropped is not None,
    }[case["expected"]]
    got = f"dropped: {dropped}" if dropped else f"trimmed: {trimmed} -> {problem}" if trimmed else "passed"
    return None if fits else f"{got}, not {case['expected']}"


ALLOWED = {"not_equal": ("unknown", "different")}  # what a case expects: one verdict, or one of two


def answers(case: Case) -> str | None:
    """Whether two answers have the verdict that the case names, or a solution the final answer."""
    if case["kind"].startswith("extraction"):
        return extraction(case)
    relation = compare(case["input"], case["gold"]).relation
    wanted = ALLOWED.get(case["expected"], (case["expected"],))
    return None if relation in wanted else f"{relation} to {case['gold']}, not {' or '.join(wanted)}"


def extraction(case: Case) -> str | None:
    """Whether the final answer of a solution is read; 42 and 2*3*7 are one."""
    if not case["kind"].startswith("extraction"):
        return answers(case)
    read, wanted = final_answer(case["input"]), case["expected"]
    if read is None or wanted is None:
        return None if read == wanted else f"{read!r} is read, not {wanted!r}"
    return None if compare(read, wanted).relation == "equal" else f"{read!r} is read, not {wanted!r}"


KINDS: dict[str, Callable[[Case], str | None]] = {
    "answers": answers,
    "chat": chat,
    "clean": clean,
    "contamination": contamination,
    "extraction": extraction,
    "near_duplicates": near_duplicates,
}


@cache
def _clean() -> Clean:
    with _folder(PLAIN) as folder:
        model = _model(folder)
        chat_of(model)  # is kept, so that the folder may go
        return Clean((model,))


def _family(case: Case) -> Family:
    """The first of the families that a case names."""
    for name in case["family"].split(","):
        if (family := family_of(name)) is not None:
            return family
    raise BadInput(f"no template of {case['family']} here; add it to tests/families.py")


@contextmanager
def _folder(family: Family, **config: object) -> Iterator[Path]:
    """A model's folder with the family's tokenizer, whose tokenizer_config.json holds more."""
    with tempfile.TemporaryDirectory() as made:
        family.tokenizer(joined=(" W",)).save_pretrained(made)
        file = Path(made, "tokenizer_config.json")
        file.write_text(json.dumps({**json.loads(file.read_text()), **config}))
        yield Path(made)


def _model(folder: Path) -> Model:
    return Model(folder.name, f"sha256:{folder}", path=str(folder))


def differing(kind: str) -> list[str]:
    """What differs in the cases that stand in tests/tables."""
    lines = (Path(__file__).parent / "tables" / f"{kind}.jsonl").read_text("utf-8").splitlines()
    return [difference for line in lines if (difference := KINDS[kind](json.loads(line))) is not None]


def main(arguments: list[str]) -> int:
    """Runs one file; returns the exit status."""
    if len(arguments) != 2 or arguments[0] not in KINDS:
        print(f"usage: python tests/cases.py {{{','.join(KINDS)}}} FILE", file=sys.stderr)
        return 2
    differ = 0
    cases = [json.loads(line) for line in Path(arguments[1]).read_text("utf-8").splitlines() if line.strip()]
    for case in cases:
        if (difference := KINDS[arguments[0]](case)) is not None:
            differ += 1
            print(
                ", ".join(filter(None, (case["kind"], case.get("family", case.get("input")))))
                + f": {difference}"
            )
    print(f"{differ} of {len(cases)} differ")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
