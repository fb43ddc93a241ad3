"""How families mark their thinking: found in their templates, and split off what they write."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import cases
import pytest
from families import FAMILIES, Family, family_of
from transformers import PreTrainedTokenizerFast

from chat_formats import byte_tokenizer, ids_of
from conftest import CANDIDATES, SOLUTIONS, Answers, small_recipe
from magpie_hf.building.build import build
from magpie_hf.engines.base import Completion
from magpie_hf.errors import BadInput
from magpie_hf.models.chat import Chat
from magpie_hf.models.model import Model
from magpie_hf.models.sampling import Sampling
from magpie_hf.models.thinking import parted

THOUGHT, ANSWER = "We add 3 and 4.\n\nThat is 7.", r"The sum is $3+4<8$: \boxed{7}."
T, A = THOUGHT, ANSWER

# (family, a completion that thinks, one that does not, one that never came to an answer). The thinking of the
# first is T, its answer A; the second answers A.
COMPLETIONS = (
    (
        "gpt-oss",
        f"<|channel|>analysis<|message|>{T}<|end|><|start|>assistant<|channel|>final<|message|>{A}",
        f"<|channel|>final<|message|>{A}",
        f"<|channel|>analysis<|message|>{T}",
    ),
    ("Seed-OSS", f"<seed:think>\n{T}\n</seed:think>{A}", A, f"<seed:think>{T}"),
    ("Magistral", f"[THINK]{T}[/THINK]{A}", A, f"[THINK]{T}"),
    ("Ministral 3 reasoning", f"[THINK]{T}[/THINK]\n\n{A}", A, f"[THINK]{T}"),
    ("EXAONE-Deep", f"{T}\n</thought>\n\n{A}", f"\n</thought>\n\n{A}", T),
    ("EXAONE 4", f"<think>\n{T}\n</think>\n\n{A}", A, f"<think>\n{T}"),
    (
        "Apriel 1.5",
        f"Here are my reasoning steps:\n{T}\n[BEGIN FINAL RESPONSE]\n{A}\n[END FINAL RESPONSE]",
        f"[BEGIN FINAL RESPONSE]\n{A}\n[END FINAL RESPONSE]",
        None,  # these words are anyone's
    ),
    ("Apriel 1.6", f"{T}\n[BEGIN FINAL RESPONSE]\n{A}", f"[BEGIN FINAL RESPONSE]\n{A}\n", T),
    ("Gemma 4", f"<|channel>thought\n{T}\n<channel|>{A}", A, f"<|channel>thought\n{T}"),
    ("Gemma 4, thinking off", f"<|channel>thought\n{T}<channel|>{A}", A, f"<|channel>thought\n{T}"),
    (
        "Granite 3.3",
        f"<think>{T}</think><response>{A}</response>",
        f"<response>{A}</response>",
        f"<think>{T}",
    ),
    ("Granite 3.2", f"Here is my thought process:\n\n{T}\n\nHere is my response:\n\n{A}", A, None),
    ("Apertus", f"<|inner_prefix|>{T}<|inner_suffix|>{A}", A, f"<|inner_prefix|>{T}"),
    (
        "OpenThinker",
        f"<|begin_of_thought|>\n\n{T}\n\n<|end_of_thought|>\n\n"
        f"<|begin_of_solution|>\n\n{A}\n\n<|end_of_solution|>",
        f"<|begin_of_solution|>\n\n{A}\n\n<|end_of_solution|>",
        f"<|begin_of_thought|>\n\n{T}",
    ),
    ("Sky-T1", f"<|begin_of_thought|>{T}<|end_of_thought|>{A}", A, f"<|begin_of_thought|>{T}"),
    (
        "Bespoke-Stratos",
        f"<|begin_of_thought|>\n{T}\n<|end_of_thought|>\n<|begin_of_solution|>\n{A}",
        A,
        f"<|begin_of_thought|>\n{T}",
    ),
    (
        "Hunyuan A13B",
        f"<think>\n{T}\n</think>\n<answer>\n{A}\n</answer>",
        f"<think>\n\n</think>\n<answer>\n{A}\n</answer>",
        f"<think>\n{T}",
    ),
    ("Hunyuan 3", f"<think:6124c78e>{T}</think:6124c78e>{A}", A, f"<think:6124c78e>{T}"),
    ("DeepSeek-R1", f"{T}\n</think>\n\n{A}", f"\n</think>\n\n{A}", T),
    ("DeepSeek-V3.1", f"<think>{T}</think>{A}", A, f"<think>{T}"),
    ("Qwen3", f"<think>\n{T}\n</think>\n\n{A}", f"<think>\n\n</think>\n\n{A}", f"<think>\n{T}"),
    ("Qwen3 thinking 2507", f"{T}\n</think>\n\n{A}", f"</think>\n\n{A}", T),
    ("QwQ", f"{T}\n</think>\n\n{A}", f"</think>{A}", T),
    ("Qwen2.5", f"<think>{T}</think>{A}", A, f"<think>{T}"),
    ("AM-Thinking", f"<think>{T}</think>\n<answer>{A}</answer>", f"<answer>{A}</answer>", f"<think>{T}"),
    ("K2-Think", f"<think>{T}</think><answer>{A}</answer>", A, f"<think>{T}"),
    ("Phi-4 reasoning", f"<think>{T}</think>\n\n{A}", A, f"<think>{T}"),
    (
        "ERNIE 4.5 thinking",
        f"{T}\n</think>\n\n<response>\n{A}\n</response>\n",
        f"\n</think>\n\n<response>\n{A}\n</response>\n",
        T,
    ),
    ("SmolLM3", f"<think>\n{T}\n</think>\n{A}", A, f"<think>\n{T}"),
    ("GLM 4.5", f"\n<think>{T}</think>\n{A}", f"\n<think></think>\n{A}", f"\n<think>{T}"),
    ("Kimi K2 thinking", f"<think>{T}</think>{A}", A, f"<think>{T}"),
    (
        "Kimi K3",
        f"{T}<|close|>think<|sep|><|open|>response<|sep|>{A}<|close|>response<|sep|><|close|>message<|sep|>",
        f"<|close|>think<|sep|><|open|>response<|sep|>{A}<|close|>response<|sep|><|close|>message<|sep|>",
        T,
    ),
    ("Kimi-VL thinking", f"◁think▷{T}◁/think▷{A}", A, f"◁think▷{T}"),
    ("MiniMax M2", f"{T}\n</think>\n\n{A}", f"\n</think>\n\n{A}", T),
    ("MiniMax M3", f"<mm:think>{T}</mm:think>{A}", A, f"<mm:think>{T}"),
    ("Nemotron Nano v2", f"{T}\n</think>\n\n{A}", f"</think>{A}", T),
    ("Nemotron 3 nano", f"{T}\n</think>\n{A}", f"</think>{A}", T),
    ("Llama Nemotron Super", f"<think>\n{T}\n</think>\n\n{A}", A, f"<think>\n{T}"),
    ("DeepHermes 3", f"<think>\n{T}\n</think>\n\n{A}", A, f"<think>\n{T}"),
    ("Reflection", f"<thinking>\n{T}\n</thinking>\n<output>\n{A}\n</output>", A, f"<thinking>\n{T}"),
    (
        "Command-A reasoning",
        f"<|START_THINKING|>{T}<|END_THINKING|><|START_RESPONSE|>{A}<|END_RESPONSE|>",
        f"<|START_RESPONSE|>{A}",
        f"<|START_THINKING|>{T}",
    ),
    (
        "Solar Open",
        f"<|think|>{T}<|end|><|begin|>assistant<|content|>{A}<|end|>",
        f"<|content|>{A}",
        f"<|think|>{T}",
    ),
    ("Reka Flash 3", f"<reasoning>\n{T}\n</reasoning>\n{A}", A, f"<reasoning>\n{T}"),
    ("OLMo 3 think", f"{T}</think>\n\n{A}", f"</think>{A}", T),
    ("Step 3.7", f"{T}\n</think>\n{A}", f"\n</think>\n{A}", T),
    ("LFM2.5", f"<think>{T}</think>{A}", A, f"<think>{T}"),
    (
        "Muse Glimmer",
        f" to=self<|message|>{T}<|eom|><|start|>assistant to=user<|message|>{A}",
        f" to=user<|message|>{A}",
        f" to=self<|message|>{T}",
    ),
    (
        "PLaMo 3",
        f"<|plamo:begin_think:plamo|>{T}<|plamo:end_think:plamo|>{A}",
        A,
        f"<|plamo:begin_think:plamo|>{T}",
    ),
    ("K2 Horizon", f"<ifm|think_fast>{T}</ifm|think_fast>{A}", A, f"<ifm|think>{T}"),
    (
        "Inkling",
        f"<|content_thinking|>{T}<|end_message|><|message_model|><|content_text|>{A}<|end_message|>",
        f"<|content_text|>{A}<|end_message|>",
        f"<|content_thinking|>{T}",
    ),
    ("s1", f"<|im_start|>think\n{T}\n<|im_start|>answer\n{A}", A, f"<|im_start|>think\n{T}"),
    *(
        (name, f"{T}\n</think>\n\n{A}", f"</think>\n{A}", T)
        for name in ("Qwen3.5", "Falcon H1R", "Skywork OR1", "GLM 4.7", "GLM Z1", "Ring")
    ),
    ("Open-Reasoner-Zero", f"{T} </think> <answer> {A} </answer>", f"</think><answer>{A}</answer>", T),
    ("Marco-o1", f"<Thought>\n{T}\n</Thought>\n<Output>\n{A}\n</Output>", A, f"<Thought>\n{T}"),
)


@pytest.fixture(params=COMPLETIONS, ids=lambda row: row[0])
def row(request: pytest.FixtureRequest) -> tuple[str, str, str, str | None]:
    return request.param


@pytest.fixture
def chat(row: tuple[str, str, str, str | None]) -> Chat:
    return one(row[0]).chat()


def one(name: str) -> Family:
    """The family of exactly this name."""
    return next(family for family in FAMILIES if family.name == name)


class TestFamilies:
    def test_thinking_on(self, row: tuple[str, str, str, str | None], chat: Chat) -> None:
        response = chat.read(row[1])
        assert (response.thinking, response.answer, response.reason) == (T, A, None)
        assert (parted(response.text)) == (T, A)
        assert chat.read(response.text) == response

    def test_thinking_off(self, row: tuple[str, str, str, str | None], chat: Chat) -> None:
        response = chat.read(row[2])
        assert (response.thinking, response.answer, response.reason) == (None, A, None)
        assert parted(response.text)[1] == A
        assert not parted(response.text)[0]
        assert chat.read(response.text) == response

    def test_unclosed(self, row: tuple[str, str, str, str | None], chat: Chat) -> None:
        if row[3] is not None:
            response = chat.read(row[3])
            assert (response.thinking, response.answer, response.reason) == (T, "", "thinking_not_closed")
            assert response.text == f"<think>\n{T}" or row[3].strip() == response.text
            assert chat.read(response.text) == response

    def test_nothing_after_the_thinking(self, row: tuple[str, str, str, str | None], chat: Chat) -> None:
        response = chat.read(row[1].partition(A)[0])
        assert (response.thinking, response.answer, response.reason) == (T, "", "empty")
        assert chat.read(response.text) == response

    def test_a_mark_left_in_the_answer(self, row: tuple[str, str, str, str | None], chat: Chat) -> None:
        assert chat.read(row[1].replace(A, f"{A} </think> {A}")).reason == "special_tokens"
        end = next(token for token in chat.tokenizer.added_tokens_decoder.values()).content
        assert chat.read(row[1].replace(A, f"{A} {end} {A}")).reason == "special_tokens"

    def test_a_solver_of_it_is_accepted(self, chat: Chat) -> None:
        chat.check_solving()

    def test_its_table_row_is_what_the_family_of_its_name_reads(
        self, row: tuple[str, str, str, str | None]
    ) -> None:
        assert family_of(row[0]) == one(row[0])


class TestPublishedForm:
    @pytest.mark.parametrize(
        ("family", "completion", "text"),
        [
            ("Qwen3", "<think>\n1+1\n</think>\n\n2", "<think>\n1+1\n</think>\n\n2"),
            ("LFM2.5", "<think>1+1</think>2", "<think>1+1</think>2"),
            ("DeepSeek-R1", "1+1\n</think>\n2", "<think>\n1+1\n</think>\n2"),
            ("Granite 3.3", "<think>1+1</think><response>2</response>", "<think>\n1+1\n</think>\n\n2"),
            ("Magistral", "[THINK]1+1[/THINK]2", "<think>\n1+1\n</think>\n\n2"),
            ("EXAONE-Deep", "1+1</thought>2", "<think>\n1+1\n</think>\n\n2"),
            ("EXAONE-Deep", "</thought>2", "<think>\n\n</think>\n\n2"),
            ("Qwen3", "<think>\n\n</think>\n\n2", "<think>\n\n</think>\n\n2"),
            ("Gemma 4", "<|channel>thought\n<channel|>2", "2"),
            ("Command-A reasoning", "<|START_RESPONSE|>2<|END_RESPONSE|>", "2"),
        ],
    )
    def test_text(self, family: str, completion: str, text: str) -> None:
        assert one(family).chat().read(completion).text == text

    @pytest.mark.parametrize(
        ("turn", "parts"),
        [
            ("<think>\n1+1\n</think>\n\n2", ("1+1", "2")),
            ("<think></think>2", ("", "2")),
            ("<think>\n1+1", (None, "<think>\n1+1")),
            ("2", (None, "2")),
            ("1+1</think>2", (None, "1+1</think>2")),
        ],
    )
    def test_parted(self, turn: str, parts: tuple[str | None, str]) -> None:
        assert parted(turn) == parts


class TestWrappers:
    @pytest.mark.parametrize(
        "text",
        [
            "We write <answer> for the answer and </answer> after it.",
            "First <response>yes</response>, then no.",
            "Solve it.\n<answer>7</answer>",
            "Here are my reasoning steps:\n1. We add.\n2. We are done: 7.",
            "Here is my thought process:\nWe add, and get 7.",
            "The interval is [THINK] no word, and |a|<|b|>|c|.",
        ],
    )
    @pytest.mark.parametrize("family", ["Qwen2.5", "Qwen3", "DeepSeek-R1"])
    def test_what_opened_nothing_stays(self, family: str, text: str) -> None:
        chat = one(family).chat()
        before = "a\n</think>\n\n" if chat.opens_thinking else ""
        response = chat.read(before + text)
        assert (response.answer, response.reason) == (text, None)

    @pytest.mark.parametrize("family", ["Qwen2.5", "Qwen3", "DeepSeek-R1"])
    @pytest.mark.parametrize(
        "mark", [("<thought>", "</thought>"), ("[THINK]", "[/THINK]"), ("<seed:think>", "</seed:think>")]
    )
    def test_a_thought_that_does_not_begin_the_turn(self, family: str, mark: tuple[str, str]) -> None:
        chat = one(family).chat()
        before = "a\n</think>\n\n" if chat.opens_thinking else ""
        said = f"{before}Okay.\n{mark[0]}It is long.{mark[1]}It is 4."
        assert chat.read(said).reason == "special_tokens"

    def test_text_after_a_wrapper_is_kept(self) -> None:
        response = one("K2-Think").chat().read("<think>a</think><answer>7</answer> That is all.")
        assert (response.thinking, response.answer) == ("a", "7\n\nThat is all.")

    def test_a_wrapper_inside_a_wrapper_stays(self) -> None:
        answer = "We write <answer>7</answer> here."
        response = one("AM-Thinking").chat().read(f"<think>a</think><answer>{answer}</answer>")
        assert response.answer == answer


class TestChannels:
    def test_several_thoughts_are_one(self) -> None:
        more = "<|end|><|start|>assistant<|channel|>"
        said = f"<|channel|>analysis<|message|>First.{more}commentary<|message|>Second."
        said += f"{more}analysis<|message|>Third.{more}final<|message|>{A}"
        response = one("gpt-oss").chat().read(said)
        assert response.thinking == "First.\n\nSecond.\n\nThird."
        assert (response.answer, response.reason) == (A, None)

    def test_derived_marks_join_thoughts_too(self) -> None:
        again = "<|eom|><|start|>assistant to="
        said = f" to=self<|message|>One.{again}self<|message|>Two.{again}user<|message|>{A}"
        response = one("Muse Glimmer").chat().read(said)
        assert (response.thinking, response.answer, response.reason) == ("One.\n\nTwo.", A, None)

    @pytest.mark.parametrize("name", ["gpt-oss", "Solar Open", "Kimi K3", "Muse Glimmer", "Inkling"])
    def test_a_part_of_a_turn_does_not_end_it(self, name: str) -> None:
        form = one(name)
        chat = form.chat()
        assert chat.end_ids == ids_of(chat.tokenizer, (form.eos,))

    def test_a_choice_stands_in_the_answer(self) -> None:
        messages = [{"role": "user", "content": "Rate it."}]
        for name, head in (
            ("gpt-oss", "<|start|>assistant<|channel|>final<|message|>Rating: "),
            ("Solar Open", "<|begin|>assistant<|content|>Rating: "),
            ("EXAONE-Deep", "[|assistant|]<thought>\n\n</thought>\n\nRating: "),
            ("Qwen3", "<|im_start|>assistant\nRating: "),
        ):
            chat = one(name).chat()
            (ids,), _ = chat.choice_prompts([messages], "Rating: ", ("1", "2"))
            assert chat.tokenizer.decode(list(ids), clean_up_tokenization_spaces=False).endswith(head)


# What TRL ships are the templates of the models themselves: (file, opening, closing, opened in the head).
REAL = (
    (
        "gptoss",
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
        False,
    ),
    ("qwen3", "<think>", "</think>", False),
    ("qwen3_5_think", "<think>", "</think>", True),
    ("qwen3_5_nothink", "<think>", "</think>", False),
    ("glm4moe", "<think>", "</think>", False),
    ("gemma4_v5", "<|channel>thought", "<channel|>", False),
    ("nemotron_3_nano", "<think>", "</think>", True),
    ("lfm2_2_5", "<think>", "</think>", False),
    ("deepseek_r1_distill", "<think>", "", True),
    ("muse_glimmer", "to=self<|message|>", "<|eom|><|start|>assistant to=user<|message|>", False),
)


def real(name: str) -> Chat:
    """The chat of one of TRL's templates, on a byte-level tokenizer."""
    installed = find_spec("trl")  # not imported: that takes seconds
    template = Path(installed.origin).with_name("chat_templates") / f"{name}.jinja"
    marks = ("<|im_end|>", "<|end|>", "<|eom|>", "<|channel>", "<turn|>", "<think>", "</think>")
    tokenizer: PreTrainedTokenizerFast = byte_tokenizer(
        template.read_text("utf-8"), special=("<s>", "</s>"), plain=marks, bos="<s>", eos="</s>"
    )
    return Chat(tokenizer, (), name)


class TestRealTemplates:
    @pytest.mark.parametrize(("name", "opening", "closing", "opened"), REAL, ids=[row[0] for row in REAL])
    def test_marks(self, name: str, opening: str, closing: str, opened: bool) -> None:
        chat = real(name)
        assert chat.thinking.closing == closing
        assert chat.opens_thinking is opened
        written = f"{T}{closing or '</think>'}{A}" if opened else f"{opening}{T}{closing}{A}"
        response = chat.read(written)
        assert (response.thinking, response.answer, response.reason) == (T, A, None)
        chat.check_solving()

    @pytest.mark.parametrize("name", ["qwen2_5", "llama3_2", "gemma3", "phi3"])
    def test_none(self, name: str) -> None:
        chat = real(name)
        assert (chat.thinking.closing, chat.thinking.answer_head, chat.opens_thinking) == ("", "", False)
        assert chat.read(A).answer == A


class TestUnknownMarks:
    def test_marks_of_nobody_s_are_cut_out_of_the_template(self) -> None:
        chat = Family("nobody", "none", thought="<ponder>\n{}\n</ponder>\n", field="reasoning").chat()
        response = chat.read(f"<ponder> {T} </ponder>{A}")
        assert (response.thinking, response.answer, response.reason) == (T, A, None)
        assert response.text == f"<think>\n{T}\n</think>\n\n{A}"
        assert chat.read(f"{A}<ponder>{A}").answer == f"{A}<ponder>{A}"

    @pytest.mark.parametrize("thought", ["{}\n", "Thinking: {}"])
    def test_thinking_that_nothing_marks_is_refused(self, thought: str) -> None:
        chat = Family("nobody", "none", thought=thought).chat()
        with pytest.raises(BadInput, match=r"^the chat template of nobody names a way of thinking, .*; use"):
            chat.check_solving()

    def test_a_field_of_tool_calls_alone_is_no_reason_to_refuse(self) -> None:
        template = Family("nobody", "none").template + (
            "{% if messages[-1].calls %}<|START_THINKING|>{{ messages[-1].reasoning_content }}{% endif %}"
        )
        chat = Chat(byte_tokenizer(template, special=("<|im_end|>",), eos="<|im_end|>"))
        chat.check_solving()
        assert chat.read(f"<|START_THINKING|>{T}<|END_THINKING|>{A}").thinking == T


class Thinker(Answers):
    """Answers that think first, in the marks of a family."""

    turn = ""  # what is said, with {} for the thinking and {} for the answer

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        completion = super().__call__(prompt, sampling, seed)
        if sampling.temperature not in (SOLUTIONS, CANDIDATES):
            return completion
        return replace(completion, text=self.turn.format("Let us see.", completion.text))


def thinker(family: Family, turn: str, folder: Path) -> Thinker:
    """A fake model of a family; every answer ends, and is one of two."""
    family.tokenizer().save_pretrained(folder)
    thinker = Thinker(Model(family.name, f"sha256:{family.name}", path=str(folder)), cut_every=0, answers=2)
    thinker.turn = turn
    return thinker


@pytest.mark.parametrize(
    ("name", "turn"),
    [
        (
            "gpt-oss",
            "<|channel|>analysis<|message|>{}<|end|><|start|>assistant<|channel|>final<|message|>{}",
        ),
        ("Seed-OSS", "<seed:think>{}</seed:think>{}"),
        ("Magistral", "[THINK]{}[/THINK]{}"),
        ("EXAONE-Deep", "{}\n</thought>\n\n{}"),
    ],
)
def test_a_build_with_a_solver_of_other_marks_loses_nothing(name: str, turn: str, tmp_path: Path) -> None:
    answers = thinker(one(name), turn, tmp_path)
    made = build(small_recipe(answers, "algebra", count=12), tmp_path / "out")
    rows = made["algebra"]["train_sft"].to_list()
    assert len(rows) == 12
    for row in rows:
        text = row["messages"][-1]["content"]
        assert row["thinking"] == "Let us see."
        assert text == row["solution"] == f"<think>\nLet us see.\n</think>\n\n{parted(text)[1]}"
        assert parted(text)[1].startswith("Text ")
    candidates = [one for row in made["candidates"]["train"].to_list() for one in row["candidates"]]
    assert len(candidates) == 3 * 12
    assert all(one["response"].startswith("<think>\nLet us see.\n</think>\n\nText ") for one in candidates)
    assert {one["answer"] for one in candidates} == {"0", "1"}
    assert len(made["algebra"]["train_prefs"]) > 0
    asked = len(answers.requests)
    build(small_recipe(answers, "algebra", count=12, k=4), tmp_path / "out")
    again = [sampling for sampling, _ in answers.requests[asked:] if sampling.temperature == CANDIDATES]
    assert len(again) == 12, "what was read before is read alike again"


def test_a_solver_whose_thinking_nothing_marks_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    answers = thinker(Family("nobody", "none", thought="{}\n"), "{}\n{}", tmp_path)
    with pytest.raises(BadInput, match="names a way of thinking"):
        build(small_recipe(answers, "algebra"), tmp_path / "out")
    assert not answers.requests
    assert not (tmp_path / "out").exists()


def test_default_system_text_is_left_to_the_template() -> None:
    """SmolLM3's template deletes "/think" from a system text, and so makes </think> of its own text <>."""
    form = one("SmolLM3")
    chat = form.chat()
    assert "</think>" in chat.default_system
    with pytest.raises(BadInput, match="shows the system text 0 times"):
        chat.prefix_text(chat.default_system)
    prompt = chat.closed_text(chat.solving_prompt("What is 3 + 4?"))
    assert prompt.startswith(f"{form.preamble}<|im_start|>user\nWhat is 3 + 4?\n\nPlease reason")
    assert chat.solving_note("Show the steps.") == "user: Show the steps."


class TestCases:
    def case(self, **other: str) -> dict[str, str]:
        return {
            "kind": "thinking",
            "family": "Magistral Small",
            "completion": f"[THINK]{T}[/THINK]{A}",
            "thinking": T,
            "answer": A,
            **other,
        }

    def test_count_and_status(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        right, wrong = self.case(), self.case(answer="Another.")
        file = tmp_path / "chat.jsonl"
        file.write_text(f"{json.dumps(right)}\n")
        assert cases.main(["chat", str(file)]) == 0
        assert capsys.readouterr().out == "0 of 1 differ\n"
        file.write_text(f"{json.dumps(right)}\n\n{json.dumps(wrong)}\n")
        assert cases.main(["chat", str(file)]) == 1
        said = capsys.readouterr().out.splitlines()
        assert said[0].startswith("thinking, Magistral Small: (")
        assert said[1:] == ["1 of 2 differ"]

    def test_a_kind_that_nobody_checks_differs(self) -> None:
        assert cases.chat({"kind": "smell", "family": "x"}) == "there is no check of the kind 'smell'"

    def test_a_family_without_a_template_here(self) -> None:
        assert cases.chat(self.case(family="Nobody's", completion=f"<think>{T}</think>{A}")) is None
        assert "no template of it here" in str(cases.chat(self.case(family="Nobody's", completion="7")))

    def test_usage(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cases.main(["chat"]) == 2
        assert capsys.readouterr().err.startswith("usage: ")
