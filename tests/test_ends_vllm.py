"""Ends that are texts and spaces before the user's text, over real vLLM and a real tokenizer.

Not here: which ends a template has (test_ends.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest
from scripted_model import scripted_model

from magpie_hf.engines.base import Completion
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.engines.journal import Journal, keeping
from magpie_hf.engines.vllm.engine import VLLM
from magpie_hf.models.chat import chat_of
from magpie_hf.models.model import resolve
from magpie_hf.models.sampling import Sampling
from magpie_hf.models.tokenizer import tokenizer_of
from magpie_hf.stages.instruct import Instruct
from magpie_hf.stages.respond import Respond

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.filterwarnings("ignore"),
]  # vLLM and torch warn at import; that is theirs

TURNS = (
    "{{% for m in messages %}}{{% if m.role == 'user' %}}{before}{{{{ m.content }}}}{after}"
    "{{% elif m.role == 'system' %}}{{{{ m.content }}}}\n\n{{% else %}} {{{{ m.content }}}}\n\n{{% endif %}}"
    "{{% endfor %}}{{% if add_generation_prompt %}}{head}{{% endif %}}"
)
# What stands before and after a user's text, and the head of an answer
FORMATS = {"Assistant:": ("User: ", "\n\n", "Assistant:"), "[/INST]": ("[INST] ", " ", "[/INST]")}
PROBLEMS = (" Let's count primes.", " Find all squares?", " 7 + $x$!")  # 7 has the space before it alone
ANSWER = " Sum of seven"


@pytest.fixture(scope="module")
def ids(tiny_model: Path) -> Callable[[str], list[int]]:
    tokenizer = tokenizer_of(resolve(str(tiny_model)))
    return lambda text: list(tokenizer(text, add_special_tokens=False)["input_ids"])


@contextmanager
def saying(folder: Path, like: Path, form: str, chains: list[list[int]]) -> Iterator[VLLM]:
    """An engine whose model says these tokens in this format."""
    before, after, head = FORMATS[form]
    made = scripted_model(folder / "m", like, TURNS.format(before=before, after=after, head=head), chains)
    engine = VLLM(replace(resolve(str(made)), dtype="float32", max_length=512), kv_cache_gigabytes=0.25)
    yield engine
    engine.close()


@pytest.fixture(scope="module", params=FORMATS)
def asker(
    request: pytest.FixtureRequest,
    tiny_model: Path,
    ids: Callable[[str], list[int]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[VLLM]:
    """Its model goes on after a problem as its template does, and after that with another problem."""
    before, after, head = FORMATS[request.param]
    chains = [ids(before.rstrip() + problem + after + head) for problem in PROBLEMS]
    with saying(tmp_path_factory.mktemp("asker"), tiny_model, request.param, chains) as engine:
        yield engine


@pytest.fixture(scope="module")
def solver(
    tiny_model: Path, ids: Callable[[str], list[int]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VLLM]:
    """Its model goes on after an answer as its template does, and answers again."""
    said = [one for one, _ in groupby(ids(f"Assistant:{ANSWER}\n\nUser:"))]  # each token decides the next
    with saying(tmp_path_factory.mktemp("solver"), tiny_model, "Assistant:", [said]) as engine:
        yield engine


def test_sample_and_chat_are_one_sequence_of_ids(asker: VLLM) -> None:
    chat, asked = chat_of(asker.model), list[tuple[list[int], Completion]]()

    def recorded(prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        made = asker.submit(prompt, sampling, seed).result()
        asked.append((list(prompt), made))
        return made

    assert chat.leaves_space("Ask.")
    batch = {"domain": ["d"] * 24, "seed": list(range(24))}
    stage = Instruct(asker, "Ask.", Sampling(max_tokens=40))
    out = replace(stage, engine=FakeEngine(asker.model, recorded))(batch)
    assert {text.rstrip() for text in out["raw_instruction"]} == {text[1:] for text in PROBLEMS}
    assert set(out["raw_finish_reason"]) == {"stop"}
    unkeyed = {name: values for name, values in out.items() if name != "request"}
    again = stage(batch)
    assert {name: again[name] for name in unkeyed} == unkeyed
    exact = 0
    for text, (prompt, rest) in zip(out["raw_instruction"], asked[24:], strict=True):
        problem = text.rstrip()
        messages = [{"role": "system", "content": "Ask."}, {"role": "user", "content": problem}]
        whole = chat.closed_prompt(messages)
        if chat.tokenizer.decode([*prompt, *rest.token_ids]) == chat.closed_text(messages):
            assert [*prompt, *rest.token_ids] == whole
            exact += 1
        # the model may write more or fewer line breaks before the marker than its template
        begun = whole[: len(prompt) + len(chat.ids(problem)) - 2]
        assert [*prompt, *rest.token_ids][: len(begun)] == begun
    assert exact > 0
    bound = min(len(rest.token_ids) for _, rest in asked[24:])  # one too few for any, with the first token
    cut = replace(stage, sampling=Sampling(max_tokens=bound))(batch)
    assert set(cut["raw_finish_reason"]) == {"length"}


def test_an_answer_ends_before_the_next_turn_wherever_a_bound_cut_it(solver: VLLM) -> None:
    assert chat_of(solver.model).end_texts == ("\nUser:",)
    rows = {"problem": ["Find all squares?"], "seed": [1]}
    stage = Respond(solver, "solutions", Sampling(max_tokens=60))
    ((fresh,),) = stage(rows)["solutions"]
    assert (fresh["text"], fresh["finish_reason"]) == (ANSWER.strip(), "stop")
    for low in range(1, fresh["num_tokens"]):
        cut = replace(stage, sampling=Sampling(max_tokens=low))
        below = cut(rows)
        assert below["solutions"][0][0]["finish_reason"] == "length"
        with keeping(Journal(known=cut.reusable(below))):
            ((again,),) = stage(rows)["solutions"]
        assert {**again, "segments": None, "request": ""} == {**fresh, "request": ""}
