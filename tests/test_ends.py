"""Ends of a turn that are texts, and a space before the user's text: templates, engines, whole stages.

Not here: ends that are tokens (test_chat.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from families import FAMILIES, Family
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers
from transformers import PreTrainedTokenizerFast

from chat_formats import byte_tokenizer
from magpie_hf.engines.base import Completion
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.engines.journal import Journal, keeping
from magpie_hf.models.chat import Chat, chat_of
from magpie_hf.models.model import Model
from magpie_hf.models.sampling import Sampling
from magpie_hf.models.tokenizer import continuation
from magpie_hf.stages.instruct import Instruct, openers, with_space
from magpie_hf.stages.respond import Respond

NAMED = {family.name: family for family in FAMILIES}
JOINED = (" W", " w", " $")


def toy(after: str, *, plain: tuple[str, ...] = (), answered: str = "</s>", lead: str = "<user>") -> Chat:
    """A chat whose template writes `after` after the user's text, and `answered` after an answer."""
    template = (
        "{% for m in messages %}{% if m.role == 'user' %}{{ lead ~ m.content ~ after }}"
        "{% elif m.role == 'system' %}{{ m.content ~ '</s>' }}{% else %}{{ m.content ~ answered }}{% endif %}"
        "{% endfor %}"
    )
    values = {"lead": lead, "after": after, "answered": answered}
    template = "".join(f"{{% set {name} = {value!r} %}}" for name, value in values.items()) + template
    return Chat(byte_tokenizer(template, special=("</s>",), plain=plain, eos="</s>", joined=JOINED))


@pytest.mark.parametrize(
    ("family", "texts", "space"),
    [
        ("DeepSeek-LLM", ("\nAssistant:",), True),
        ("Alpaca", ("\n### Response:",), False),
        ("Llama 2", ("[/INST]",), True),
        ("Mistral v0.1", ("[/INST]",), True),
        ("Vicuna", ("ASSISTANT:",), True),
        ("RWKV", ("\nAssistant:",), True),
        ("Open-Reasoner-Zero", ("\nAssistant:",), True),
        ("EXAONE 3.5", (), False),
        ("Jamba 1.5", (), True),
        ("Qwen3", (), False),
        ("Tulu 2", ("\n<|assistant|>",), False),
        ("OLMo 2", ("\n<|assistant|>",), False),
        ("SOLAR 10.7B", ("\n### Assistant:",), False),
        ("LLaVA 1.5", ("ASSISTANT:",), True),
        ("OpenChat 3.5", (), True),
        ("Idefics3", (), True),
    ],
)
def test_families_end_a_user_turn(family: str, texts: tuple[str, ...], space: bool) -> None:
    chat = NAMED[family].chat(joined=JOINED)
    assert chat.turn_end_texts == texts
    assert chat.leaves_space(None) == space
    assert chat.end_texts == {"RWKV": ("\nUser:",), "LLaVA 1.5": ("USER:",)}.get(family, ())


@pytest.mark.parametrize(
    ("after", "texts", "tokens"),
    [
        ("\n\nAssistant: <think>", ("\nAssistant:",), 0),
        ("\n\n### Response:\nSure. So: ", ("\n### Response:",), 0),
        ("<|im_end|>\n<|im_start|>assistant\n", ("<|im_end|>",), 0),
        ("\n<|assistant|>\n", ("\n<|assistant|>",), 0),
        ("\n\n\n", (), 0),
        ("", (), 0),
        # what mathematics may write ends a turn only as the whole that the template writes, or not at all
        ("\n\nA:", ("\n\nA:",), 0),
        ("\n\n答：", ("\n\n答：",), 0),
        (".\n\nAssistant:", (".\n\nAssistant:",), 0),
        (".", (), 0),
        ("\n---\n", (), 0),
        # a token after white space, or after a text
        ("\n [bot]", (), 1),
        (" /no_think[bot]\n", ("/no_think",), 1),
        (".[bot]", (), 1),
    ],
)
def test_what_follows_the_user_text_ends_it(after: str, texts: tuple[str, ...], tokens: int) -> None:
    chat = toy(after, plain=("[bot]",))
    assert chat.turn_end_texts == texts
    assert set(chat.turn_end_ids) - set(chat.end_ids) == set(chat.ids("[bot]") if tokens else ())


@pytest.mark.parametrize(
    ("answered", "texts"),
    [
        ("\n\n", ("\n<user>",)),  # only the next turn shows an end
        ("\n<|end|>\n", ("\n<|end|>",)),
        ("</response></s>", ()),  # what stands before the end is a part of the answer
        ("\n</s>", ()),
    ],
)
def test_what_follows_an_answer_ends_it(answered: str, texts: tuple[str, ...]) -> None:
    assert toy("\nBot:", answered=answered).end_texts == texts


def test_a_next_turn_that_opens_with_a_token_ends_an_answer() -> None:
    """GLM's: its template ends an answer with nothing, and its generation_config names <|user|>."""
    chat = NAMED["GLM 4.5"].chat()
    assert set(chat.ids("<|user|>")) < set(chat.end_ids)
    assert chat.end_texts == ()


# --- a space before the user's text -------------------------------------------------------------------------


@pytest.mark.parametrize("family", [one for one in FAMILIES if one.user.partition("{}")[0].endswith(" ")])
@pytest.mark.parametrize("text", ["What is 3 + 4?", "$x$ is 3.", "3 + 4 = ?", "数列の和を求めよ。"])
def test_a_prefix_begins_every_chat(family: Family, text: str) -> None:
    chat = family.chat(joined=JOINED)
    prefix = chat.pre_query_prefix(None)
    whole = chat.closed_prompt([{"role": "user", "content": text}])
    assert whole[: len(prefix)] == prefix
    assert whole[len(prefix)] in with_space(chat).values()
    assert chat.tokenizer.decode(prefix) == chat.prefix_text(None).removesuffix(" ")


def test_a_space_that_chats_have_as_a_token_of_its_own_stays() -> None:
    chat = Chat(byte_tokenizer(NAMED["Vicuna"].template, special=("<s>", "</s>"), bos="<s>", eos="</s>"))
    assert not chat.leaves_space(None)
    assert chat.tokenizer.decode(chat.pre_query_prefix(None)) == chat.prefix_text(None) == "<s>USER: "


def test_a_system_text_in_the_user_turn_takes_the_space() -> None:
    """Mistral v0.1's: the space stands before the domain's text, and an empty line before the problem."""
    chat = NAMED["Mistral v0.1"].chat(joined=JOINED)
    assert chat.leaves_space(None)
    assert not chat.leaves_space("A geometer asks.")
    assert chat.tokenizer.decode(chat.pre_query_prefix("A geometer asks.")).endswith("asks.\n\n")


def test_first_tokens_begin_with_one_space() -> None:
    chat = NAMED["Jamba 1.5"].chat(joined=JOINED)
    assert set(with_space(chat)) == {" ", " W", " w", " $"}
    assert set(openers(chat, spaced=True)) == {" W", " $"}
    assert {"W", " W", "3"} < set(openers(chat))


def test_metaspace_has_the_space_in_its_words(tmp_path: Path) -> None:
    """Llama 2's kind of tokenizer, which writes ▁ for a space, and decodes none at the beginning."""
    special = ("<unk>", "<s>", "</s>")
    words = ["▁W", *"▁[]/INSTWhatis?+3.", *(f"<0x{byte:02X}>" for byte in range(256))]
    vocabulary = {token: at for at, token in enumerate(dict.fromkeys([*special, *words]))}
    core = Tokenizer(models.BPE(vocabulary, [("▁", "W")], unk_token="<unk>", byte_fallback=True))
    core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    core.decoder = decoders.Sequence(steps)
    core.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    made = PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>")
    made.chat_template = NAMED["Mistral v0.1"].template
    made.save_pretrained(tmp_path)
    model = Model("metaspace", "sha256:0", path=str(tmp_path))
    chat = chat_of(model)
    prefix, whole = (
        chat.pre_query_prefix(None),
        chat.closed_prompt([{"role": "user", "content": "What is 3?"}]),
    )
    assert whole[: len(prefix)] == prefix
    assert whole[len(prefix)] == vocabulary["▁W"]
    assert with_space(chat) == {" W": vocabulary["▁W"], " ": vocabulary["▁"]}
    written = whole[len(prefix) :]

    def reply(prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        new = written[len(prompt) - len(prefix) :][: sampling.max_tokens]
        assert [*prompt, *new] == whole[: len(prompt) + len(new)]
        text = continuation(model, prompt, new).partition("".join(sampling.stop) or "\0")[0]
        return Completion(text, "length" if sampling.max_tokens == 1 else "stop", len(prompt), len(new))

    out = Instruct(FakeEngine(model, reply), None, Sampling(max_tokens=99))(ROWS)  # type: ignore[arg-type]
    assert out["raw_instruction"] == ["What is 3? "]


# --- stages over an engine that writes given texts ----------------------------------------------------------


class Writer:
    """A reply that goes on with a text after any beginning of it, as an engine with the sampling does."""

    def __init__(self, model: Model, text: str) -> None:
        self.model, self.text, self.asked = model, text, list[Sampling]()

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        self.asked.append(sampling)
        chat = chat_of(self.model)
        ids = chat.ids(self.text)
        said = next(n for n in range(len(ids), -1, -1) if n == 0 or list(prompt[-n:]) == ids[:n])
        new: list[int] = []
        for one in ids[said : said + sampling.max_tokens]:
            new.append(one)
            text = continuation(self.model, prompt, new)
            if one in sampling.stop_token_ids:
                text = continuation(self.model, prompt, new[:-1])
                return Completion(text, "stop", len(prompt), len(new), token_ids=tuple(new))
            for stop in sampling.stop:
                if stop in text:
                    text = text.partition(stop)[0]
                    return Completion(text, "stop", len(prompt), len(new), token_ids=tuple(new))
        text = continuation(self.model, prompt, new)
        return Completion(text, "length", len(prompt), len(new), token_ids=tuple(new))


@pytest.fixture
def vicuna(tmp_path: Path) -> Model:
    return model_of("Vicuna", tmp_path)


def model_of(family: str, folder: Path) -> Model:
    NAMED[family].tokenizer(joined=JOINED).save_pretrained(folder)
    return Model(family, f"sha256:{folder}", path=str(folder))


ROWS: dict[str, list[Any]] = {"domain": ["geometry"], "seed": [11]}
ASKED = " What is 3 + 4? ASSISTANT: It is 7.</s>"


@pytest.mark.parametrize("first_token", [None, 0.5])
def test_a_sample_ends_before_the_marker_and_begins_after_the_space(
    vicuna: Model, first_token: float | None
) -> None:
    writer = Writer(vicuna, ASKED)
    stage = Instruct(
        FakeEngine(vicuna, writer), "Ask.", Sampling(temperature=1.2, max_tokens=64), first_token
    )
    out = stage(ROWS)
    assert out["raw_instruction"] == ["What is 3 + 4? "]
    assert out["raw_finish_reason"] == ["stop"]
    first, rest = writer.asked
    assert (first.temperature, first.max_tokens, rest.temperature) == (first_token or 1.2, 1, 1.2)
    known = openers(chat_of(vicuna), spaced=True) if first_token else with_space(chat_of(vicuna))
    assert first.allowed_token_ids == tuple(sorted(known.values()))
    assert (rest.stop, rest.max_tokens) == (("ASSISTANT:",), 63)
    writer.asked.clear()
    with keeping(Journal(known=stage.reusable(out))):
        assert stage(ROWS) == out
    assert not writer.asked, "what finished rows know is not asked again"


def test_a_sample_that_the_bound_cuts_is_no_end(vicuna: Model) -> None:
    whole = len(chat_of(vicuna).ids(" What is 3 + 4? ASSISTANT:"))
    for bound, reason in ((whole - 1, "length"), (whole, "stop")):
        stage = Instruct(FakeEngine(vicuna, Writer(vicuna, ASKED)), "Ask.", Sampling(max_tokens=bound))
        assert stage(ROWS)["raw_finish_reason"] == [reason]


def test_a_sample_without_a_first_token_with_a_space_is_dropped_as_cut(vicuna: Model) -> None:
    def full(prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        return Completion("Q", "stop", len(prompt), 1)

    out = Instruct(FakeEngine(vicuna, full), "Ask.", Sampling(max_tokens=9))(ROWS)
    assert (out["raw_instruction"], out["raw_finish_reason"]) == (["Q"], ["length"])


def test_a_raised_bound_gives_what_it_would_have_been_wherever_it_was_cut(tmp_path: Path) -> None:
    """Also inside the stop text, which no request then sees whole."""
    model = model_of("RWKV", tmp_path)
    text = " It is 7, so π\n\nUser: And 8?\n\nUser: "
    stage = Respond(FakeEngine(model, Writer(model, text)), "solutions", Sampling(max_tokens=200))
    rows = {"problem": ["What is 3 + 4?"], "seed": [11]}

    def bare(out: dict[str, list[Any]]) -> dict[str, Any]:
        ((one,),) = out["solutions"]
        return {name: value for name, value in one.items() if name != "segments"}

    fresh = stage(rows)
    assert (bare(fresh)["text"], bare(fresh)["finish_reason"]) == ("It is 7, so π", "stop")
    tokens = bare(fresh)["num_tokens"]
    for low in range(2, tokens + 2):  # of one token the text is white space, which is not kept
        cut = replace(stage, sampling=Sampling(max_tokens=low))
        with keeping(Journal(known=cut.reusable(cut(rows)))):
            again = stage(rows)
        assert bare(again) == bare(fresh)
        assert again["solutions"][0][0]["segments"] == ([low, tokens - low] if low < tokens else None)
