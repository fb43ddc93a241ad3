"""The open user turn, closed prompts and read completions, against the formats of real model families."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, normalizers
from transformers import AutoTokenizer

from chat_formats import (
    BUILT,
    GEMMA,
    GEMMA_2,
    IDEFICS,
    INSTRUCTION,
    LLAMA,
    LLAVA,
    MISTRAL_1,
    PROBLEM,
    QWEN_CODER,
    QWEN_MATH,
    R1,
    SMOL,
    SYSTEM,
    Format,
    byte_tokenizer,
    ids_of,
    tokenizer_of,
)
from magpie_hf.errors import BadInput
from magpie_hf.models.chat import SOLVING_INSTRUCTION, Chat, Response, chat_of
from magpie_hf.models.model import Model

RATINGS = ("1", "2", "3", "4", "5")


def built(form: Format, joined: tuple[str, ...] = ()) -> Chat:
    """The chat of a format, with the end ids of its generation config."""
    tokenizer = tokenizer_of(form, joined)
    return Chat(tokenizer, ids_of(tokenizer, form.config_ends), form.name)


@pytest.fixture(params=(SMOL, *BUILT), ids=lambda form: form.name)
def form(request: pytest.FixtureRequest) -> Format:
    return request.param


@pytest.fixture
def chat(form: Format, demo_model: Path) -> Chat:
    return built(form) if form.template else Chat(AutoTokenizer.from_pretrained(demo_model), (), form.name)


@pytest.fixture(scope="module")
def r1() -> Chat:
    return built(R1)


@pytest.fixture(scope="module")
def qwen() -> Chat:
    return built(QWEN_CODER)


class TestOpenTurn:
    def test_text_is_the_documented_prefix(self, chat: Chat, form: Format) -> None:
        assert chat.prefix_text(None) == form.bare
        assert chat.prefix_text(SYSTEM) == form.steered

    @pytest.mark.parametrize("system", [None, SYSTEM])
    def test_ids_encode_the_text_once(self, chat: Chat, form: Format, system: str | None) -> None:
        ids = chat.pre_query_prefix(system)
        text = form.bare if system is None else form.steered
        assert chat.tokenizer.decode(list(ids), clean_up_tokenization_spaces=False) == text
        assert ids == chat.tokenizer(text, add_special_tokens=False)["input_ids"]

    @pytest.mark.parametrize("system", [None, SYSTEM])
    def test_one_bos_opens_it(self, chat: Chat, form: Format, system: str | None) -> None:
        ids, bos = chat.pre_query_prefix(system), chat.tokenizer.bos_token_id
        if form.bos is None:
            assert bos is None
        else:
            assert bos == ids_of(chat.tokenizer, (form.bos,))[0]
            assert ids[0] == bos
            assert ids[1] != bos
            assert ids.count(bos) == (form.bare if system is None else form.steered).count(form.bos)

    @pytest.mark.parametrize("form", [LLAMA, GEMMA, R1], ids=lambda form: form.name)
    def test_these_tokenizers_would_add_a_second_bos(self, form: Format) -> None:
        """Else the tests above could not tell one BOS from two."""
        tokenizer = tokenizer_of(form)
        assert tokenizer(form.bare)["input_ids"][:2] == [tokenizer.bos_token_id] * 2

    def test_ids_are_the_markers(self, r1: Chat) -> None:
        ids = r1.tokenizer.convert_tokens_to_ids
        assert r1.pre_query_prefix(None) == ids(["<｜begin▁of▁sentence｜>", "<｜User｜>"])
        gemma = built(GEMMA)
        ids = gemma.tokenizer.convert_tokens_to_ids
        assert gemma.pre_query_prefix(None) == ids(["<bos>", "<start_of_turn>", *"user", "\n"])

    @pytest.mark.parametrize("form", BUILT, ids=lambda form: form.name)
    def test_white_space_around_a_system_text_is_the_templates_business(self, form: Format) -> None:
        """Llama 3 trims a text that a YAML block ends with a line break; Qwen keeps the break."""
        written = f"{SYSTEM}\n" if form not in (LLAMA,) else SYSTEM
        assert built(form).prefix_text(f"{SYSTEM}\n") == form.steered.replace(SYSTEM, written)

    def test_user_text_follows_it(self, chat: Chat, form: Format) -> None:
        """A closed prompt begins with the very ids of the pre-query prefix, whatever the user's text begins
        with.
        """
        for text in (PROBLEM, r"\[x^2\]", "1", "数"):
            ids = chat.closed_prompt([{"role": "user", "content": text}])
            opened = chat.pre_query_prefix(None)
            assert ids[: len(opened)] == opened
            assert chat.tokenizer.decode(list(ids), clean_up_tokenization_spaces=False).startswith(
                form.bare + text
            )


class TestEnds:
    def test_end_ids(self, chat: Chat, form: Format) -> None:
        assert chat.end_ids == ids_of(chat.tokenizer, form.ends)

    def test_turn_end_ids(self, chat: Chat, form: Format) -> None:
        assert chat.turn_end_ids == ids_of(chat.tokenizer, form.turn_ends)

    def test_marker_after_the_answer_ends_it_though_nothing_names_it(self) -> None:
        """Gemma's tokenizer names <eos> alone; <end_of_turn> is what its template writes after an answer."""
        tokenizer = tokenizer_of(GEMMA)
        assert tokenizer.eos_token == "<eos>"
        assert ids_of(tokenizer, ("<end_of_turn>",))[0] in Chat(tokenizer).end_ids

    def test_white_space_before_a_marker_hides_it_not_and_is_no_end(self) -> None:
        """Here the template breaks the line before its marker, and the line break is an added token."""
        template = GEMMA.template.replace("<end_of_turn>\n", "\n<end_of_turn>\n")
        tokenizer = byte_tokenizer(
            template, special=GEMMA.special, plain=GEMMA.plain, bos=GEMMA.bos, eos=GEMMA.eos
        )
        chat = Chat(tokenizer)
        assert (
            chat.closed_text([{"role": "user", "content": "x"}])
            == "<bos><start_of_turn>user\nx\n<end_of_turn>\n<start_of_turn>model\n"
        )
        assert chat.end_ids == chat.turn_end_ids == ids_of(tokenizer, ("<eos>", "<end_of_turn>"))
        assert chat.end_texts == chat.turn_end_texts == ()


class TestSolving:
    def test_default_system(self, chat: Chat, form: Format) -> None:
        assert chat.default_system == form.default_system

    @pytest.mark.parametrize(("written", "default"), [(" Be kind.\n", "Be kind."), (" \n", None)])
    def test_default_system_has_no_white_space_around(self, written: str, default: str | None) -> None:
        template = (
            "{{ bos_token }}<system>{{ messages[0].content if messages[0].role == 'system' else DEFAULT"
            " }}</t>"
        )
        template += (
            "{% for m in messages if m.role != 'system' %}<{{ m.role }}>{{ m.content }}</t>{% endfor %}"
        )
        assert toy(template.replace("DEFAULT", repr(written))).default_system == default

    def test_place(self, chat: Chat, form: Format) -> None:
        assert chat.solving_place == form.place

    def test_prompt(self, chat: Chat, form: Format) -> None:
        messages = chat.solving_prompt(PROBLEM, INSTRUCTION)
        assert chat.closed_text(messages) == form.asked
        assert (
            chat.closed_prompt(messages) == chat.tokenizer(form.asked, add_special_tokens=False)["input_ids"]
        )
        assert [message["role"] for message in messages] == ["user"]

    def test_note(self, chat: Chat, form: Format) -> None:
        assert chat.solving_note(INSTRUCTION) == form.note

    def test_default_instruction(self, r1: Chat, qwen: Chat) -> None:
        assert (
            SOLVING_INSTRUCTION == r"Please reason step by step, and put your final answer within \boxed{}."
        )
        assert r1.solving_prompt("Q") == [{"role": "user", "content": f"Q\n\n{SOLVING_INSTRUCTION}"}]
        assert r1.solving_note() == f"user: {SOLVING_INSTRUCTION}"
        assert qwen.solving_prompt("Q") == r1.solving_prompt("Q")
        assert built(QWEN_MATH).solving_prompt("Q") == [{"role": "user", "content": "Q"}]
        assert built(QWEN_MATH).solving_note() == f"system: {SOLVING_INSTRUCTION}"


class TestRead:
    def test_opens_thinking(self, chat: Chat, form: Format) -> None:
        assert chat.opens_thinking is form.opens_thinking

    @pytest.mark.parametrize(
        ("completion", "response"),
        [
            ("The sum is 2.\n", Response("The sum is 2.", None, "The sum is 2.", None)),
            ("<think>\n1+1\n</think>\n\n2", Response("<think>\n1+1\n</think>\n\n2", "1+1", "2", None)),
            ("<think></think>2", Response("<think></think>2", None, "2", None)),
            ("<think>\n1+1", Response("<think>\n1+1", "1+1", "", "thinking_not_closed")),
            (" \n", Response("", None, "", "empty")),
            ("2<|im_end|>", Response("2<|im_end|>", None, "2<|im_end|>", "special_tokens")),
            (
                "\\frac12 or \x0crac12",
                Response("\\frac12 or \x0crac12", None, "\\frac12 or \x0crac12", "broken_characters"),
            ),
            # Nothing opened this thought.
            ("1+1</think>2", Response("1+1</think>2", None, "1+1</think>2", "special_tokens")),
        ],
    )
    def test_plain_model(self, qwen: Chat, completion: str, response: Response) -> None:
        assert qwen.read(completion) == response

    @pytest.mark.parametrize(
        ("completion", "response"),
        [
            (
                "1+1\n</think>\n\nIt is 2.",
                Response("<think>\n1+1\n</think>\n\nIt is 2.", "1+1", "It is 2.", None),
            ),
            ("\n1+1\n</think>\n2\n", Response("<think>\n1+1\n</think>\n2", "1+1", "2", None)),
            ("\n</think>\n\n2", Response("<think>\n</think>\n\n2", None, "2", None)),
            ("1+1 is", Response("<think>\n1+1 is", "1+1 is", "", "thinking_not_closed")),
            ("1+1\n</think>\n\n", Response("<think>\n1+1\n</think>", "1+1", "", "empty")),
            (
                "a\n</think>\nb</think>c",
                Response("<think>\na\n</think>\nb</think>c", "a", "b</think>c", "special_tokens"),
            ),
            (
                "a\n</think>\nb<think>c",
                Response("<think>\na\n</think>\nb<think>c", "a", "b<think>c", "special_tokens"),
            ),
            (
                "a<｜User｜>\n</think>\nb",
                Response("<think>\na<｜User｜>\n</think>\nb", "a<｜User｜>", "b", "special_tokens"),
            ),
            (
                "a\n</think>\nb<｜Assistant｜>",
                Response("<think>\na\n</think>\nb<｜Assistant｜>", "a", "b<｜Assistant｜>", "special_tokens"),
            ),
        ],
    )
    def test_reasoning_model(self, r1: Chat, completion: str, response: Response) -> None:
        assert r1.read(completion) == response

    @pytest.mark.parametrize(
        "text",
        [
            "<|im_start|>",
            "<|begin_of_text|>",
            "<|eot_id|>",
            "<|endoftext|>",
            "<｜User｜>",
            "<｜end▁of▁sentence｜>",
            "<start_of_turn>",
            "<end_of_turn>",
            "[INST]",
            "[/INST]",
            "<<SYS>>",
            "<</SYS>>",
        ],
    )
    def test_foreign_markers(self, qwen: Chat, text: str) -> None:
        assert qwen.read(f"It is {text} 2.").reason == "special_tokens"

    def test_own_markers(self, chat: Chat, form: Format) -> None:
        for token in {form.eos, *form.ends, *form.turn_ends, *form.special}:
            assert chat.special_pattern.search(f"a {token} b").group() == token
        # Gemma's line breaks are added tokens and no markers.
        assert chat.special_pattern.search("a\n\nb\nc") is None

    def test_own_role_markers_that_are_not_special(self) -> None:
        """A format of nobody's ends its turns with an added token that is not special and that no list of
        foreign markers knows.
        """
        assert toy(GOOD).read("It is</t> 2.").reason == "special_tokens"
        assert toy(GOOD, plain=("</t>", "</u>")).read("It is</u> 2.").reason is None

    def test_added_token_that_is_no_marker(self, qwen: Chat) -> None:
        assert qwen.read("Use <tool_call> twice.").reason is None

    @pytest.mark.parametrize(
        "text",
        [
            "If |x|<|y| then |y|>|x|.",
            "|x|<|y|>0",
            "|a|<|b|<|c|>|d|",
            r"$\langle u|v\rangle$ and <|u|>",
            "Let a < b, b > c and [x, y] = 0.",
            "f(x) = <x, x> and 1 << 3",
        ],
    )
    def test_mathematics_is_no_marker(self, chat: Chat, text: str) -> None:
        completion = f"{text}\n</think>\n\n{text}" if chat.opens_thinking else text
        response = chat.read(completion)
        assert (response.answer, response.reason) == (text, None)
        assert response.thinking == (text if chat.opens_thinking else None)


class TestClosedText:
    def test_earlier_thinking_is_the_template_s_to_drop(self, r1: Chat) -> None:
        answer = r1.read("1+1\n</think>\n\nIt is 2.").text
        talk = [
            {"role": "user", "content": "Q"},
            {"role": "assistant", "content": answer},
            {"role": "user", "content": "More?"},
        ]
        begin, end = R1.bos, R1.eos
        assert (
            r1.closed_text(talk)
            == f"{begin}<｜User｜>Q<｜Assistant｜>\n\nIt is 2.{end}<｜User｜>More?<｜Assistant｜><think>\n"
        )

    def test_the_day_makes_no_difference(self) -> None:
        template = "<bos>{{ strftime_now('%Y-%m-%d') }}<start_of_turn>{{ messages[-1].content }}<end_of_turn>"
        chat = Chat(byte_tokenizer(template, special=GEMMA.special, bos="<bos>", eos="<eos>"))
        assert chat.prefix_text(None) == "<bos>2024-07-26<start_of_turn>"


class TestChoicePrompt:
    @pytest.mark.parametrize(
        ("joined", "stem", "tokens"),
        [
            ((), "Rating: ", ["1", "2", "3", "4", "5"]),
            (tuple(f" {i}" for i in RATINGS), "Rating:", [" 1", " 2", " 3", " 4", " 5"]),
        ],
        ids=["splits the space off", "joins the space"],
    )
    @pytest.mark.parametrize("form", BUILT, ids=lambda form: form.name)
    def test_one_token_a_choice(
        self, form: Format, joined: tuple[str, ...], stem: str, tokens: list[str]
    ) -> None:
        chat = built(form, joined)
        head = chat.closed_text([{"role": "user", "content": "Rate it."}])
        assert head.endswith(form.asked.partition(PROBLEM)[2].removeprefix(f"\n\n{INSTRUCTION}"))
        (ids,), choices = chat.choice_prompts(
            [[{"role": "user", "content": "Rate it."}]], "Rating: ", RATINGS
        )
        skipped = "\n</think>\n\n" if form is R1 else ""
        assert chat.tokenizer.decode(list(ids), clean_up_tokenization_spaces=False) == head + skipped + stem
        assert [
            chat.tokenizer.decode([choice], clean_up_tokenization_spaces=False) for choice in choices
        ] == tokens
        for choice, token in zip(RATINGS, choices, strict=True):
            assert [*ids, token] == chat.tokenizer(
                f"{head}{skipped}Rating: {choice}", add_special_tokens=False
            )["input_ids"]

    def test_thought_is_empty_and_closed(self, r1: Chat) -> None:
        (ids,), _ = r1.choice_prompts([[{"role": "user", "content": "Q"}]], "Rating: ", RATINGS)
        assert (
            r1.tokenizer.decode(list(ids))
            == "<｜begin▁of▁sentence｜><｜User｜>Q<｜Assistant｜><think>\n\n</think>\n\nRating: "
        )

    def test_real_tokenizer(self, demo_model: Path) -> None:
        chat = Chat(AutoTokenizer.from_pretrained(demo_model))
        (ids,), choices = chat.choice_prompts(
            [[{"role": "user", "content": "Rate it."}]], "Rating: ", RATINGS
        )
        assert len(set(choices)) == 5
        for rating, choice in zip(RATINGS, choices, strict=True):
            assert (
                chat.tokenizer.decode([*ids, choice])
                == f"{SMOL.bare}Rate it.<|im_end|>\n<|im_start|>assistant\nRating: {rating}"
            )

    def test_choices_may_share_a_beginning(self, qwen: Chat) -> None:
        (ids,), choices = qwen.choice_prompts([[{"role": "user", "content": "Q"}]], "", ("yes", "yet"))
        assert qwen.tokenizer.decode(list(ids)).endswith("assistant\nye")
        assert qwen.tokenizer.convert_ids_to_tokens(choices) == ["s", "t"]

    @pytest.mark.parametrize("choices", [("1", "12"), ("1", "2", "23"), ("1", "1"), ("1",)])
    def test_choices_that_no_single_token_tells_apart(self, qwen: Chat, choices: tuple[str, ...]) -> None:
        with pytest.raises(
            BadInput,
            match=f"^the tokenizer of Qwen2.5-Coder does not tell {', '.join(choices)} apart by one token; ",
        ):
            qwen.choice_prompts([[{"role": "user", "content": "Q"}]], "Rating: ", choices)


GOOD = "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}</t>{% endfor %}"
USER = "{{ messages[-1].content }}"


def toy(template: str | None, **other: object) -> Chat:
    """A chat of a format of nobody's, to be refused."""
    tokens = {"special": ("<s>", "</s>"), "plain": ("</t>",), "bos": "<s>", "eos": "</s>", **other}
    return Chat(byte_tokenizer(template, **tokens), (), "toy")  # type: ignore[arg-type]


class TestWithoutSystemRole:
    """The domain's text begins the user's turn, as in Gemma 3."""

    @pytest.mark.parametrize(
        ("template", "bare"),
        [
            (GEMMA_2, "<s><start_of_turn>user\n"),
            (MISTRAL_1, "<s>[INST] "),
            ("{{ bos_token }}<user>" + USER, "<s><user>"),
            (
                GOOD.replace("m.content", "(m.content | upper if m.role == 'system' else m.content)"),
                "<s><user>",
            ),
        ],
        ids=["Gemma 2", "Mistral v0.1", "left out", "changed"],
    )
    def test_domain_text(self, template: str, bare: str) -> None:
        chat = toy(template)
        assert chat.system_place == "user"
        assert chat.prefix_text(None) == bare
        assert chat.prefix_text(f"{SYSTEM}\n") == f"{bare}{SYSTEM}\n\n"
        assert chat.tokenizer.decode(chat.pre_query_prefix(SYSTEM)) == f"{bare}{SYSTEM}\n\n"
        assert chat.default_system is None
        assert chat.solving_prompt("Q", "I") == [{"role": "user", "content": "Q\n\nI"}]

    def test_with_one_it_is_used(self, chat: Chat) -> None:
        assert chat.system_place == "system"


class TestParts:
    """Templates of models of images want a list of parts where others want a text."""

    @pytest.mark.parametrize(
        ("template", "steered", "asked"),
        [
            (LLAVA, f"{SYSTEM} USER: ", f"USER: {PROBLEM} ASSISTANT:"),
            (
                IDEFICS,
                f"<s>System: {SYSTEM}<end_of_utterance>\nUser: ",
                f"<s>User: {PROBLEM}<end_of_utterance>\nAssistant:",
            ),
        ],
        ids=["LLaVA", "Idefics3"],
    )
    def test_are_derived(self, template: str, steered: str, asked: str) -> None:
        chat = toy(template)
        assert chat.prefix_text(SYSTEM) == steered
        assert chat.closed_text([{"role": "user", "content": PROBLEM}]) == asked

    def test_a_list_that_is_merely_printed_is_none(self) -> None:
        with pytest.raises(BadInput, match="changes or leaves out the user's text"):
            toy(GOOD.replace("m.content", "(m.content if m.content is not string else '')"))


class TestRefusals:
    def test_good_template(self) -> None:
        """What the refused ones below are made from is accepted."""
        chat = toy(GOOD)
        assert chat.prefix_text(None) == "<s><user>"
        assert chat.prefix_text(SYSTEM) == f"<s><system>{SYSTEM}</t><user>"
        assert chat.end_ids == chat.turn_end_ids == ids_of(chat.tokenizer, ("</s>", "</t>"))

    @pytest.mark.parametrize(
        ("template", "message"),
        [
            (None, "toy has no chat template, so it has no user turn to open; "),
            (GOOD.replace("m.content", "m.content | upper"), "changes or leaves out the user's text"),
            (GOOD.replace("m.content", "m.content | lower"), "changes or leaves out the user's text"),
            (GOOD.replace("m.content", "m.content | striptags"), "changes or leaves out the user's text"),
            (GOOD.replace("m.content", "m.content | escape"), "changes or leaves out the user's text"),
            (
                GOOD.replace("m.content", r"m.content | replace('\n', ' ')"),
                "changes or leaves out the user's text",
            ),
            (
                GOOD.replace("m.content", "m.content | truncate(30, true)"),
                "changes or leaves out the user's text",
            ),
            (GOOD.replace("m.content", "''"), "changes or leaves out the user's text"),
            (GOOD + USER, "writes the user's text 2 times"),
            (
                "<s>" + "{{ messages[-1].content | length }}" + USER,
                "writes another beginning for another user text",
            ),
            ("{{ bos_token }}" + GOOD, "writes its BOS token twice"),
            ("<s>" + GOOD, "writes its BOS token twice"),
            (USER + "</t>", "writes nothing before the user's text"),
            (
                "<s>{{ raise_exception('no roles at all') }}",
                "refuses a conversation of user: no roles at all",
            ),
        ],
    )
    def test_template(self, template: str | None, message: str) -> None:
        with pytest.raises(BadInput) as refusal:
            toy(template)
        assert message in str(refusal.value)
        assert "toy" in str(refusal.value)
        assert "\n" not in str(refusal.value)

    def test_a_system_text_that_is_shown_twice(self) -> None:
        chat = toy(GOOD.replace("bos_token", "bos_token ~ (messages[0].content if messages | length > 1)"))
        assert chat.prefix_text(None) == "<s><user>"
        for opening in (chat.prefix_text, chat.pre_query_prefix):
            with pytest.raises(
                BadInput,
                match=r"^the chat template of toy shows the system text 2 times in the user's turn, so a "
                r"domain could not steer it; use another model$",
            ):
                opening(SYSTEM)

    @pytest.mark.parametrize(
        ("expression", "reason"),
        [
            ("raise_exception('no\\nroles')", "no roles"),
            ("messages[0].parts[0].text", "'dict object' has no attribute 'parts'"),
            ("'{x}'.format(y=1)", "'x'"),
            ("'a'.index('b')", "substring not found"),
            ("1 // 0", "integer division or modulo by zero"),
            ("tools | length", "object of type 'NoneType' has no len()"),
        ],
    )
    def test_whatever_a_template_raises_is_one_line_with_the_way_out(
        self, expression: str, reason: str
    ) -> None:
        with pytest.raises(BadInput) as refusal:
            toy(GOOD + "{{ " + expression + " }}")
        assert str(refusal.value) == (
            f"the chat template of toy refuses a conversation of user: {reason}; use another model, or save a"
            " mended chat_template.jinja in a local copy of it"
        )

    def test_named_templates_without_a_default(self) -> None:
        tokenizer = byte_tokenizer(None, special=("<s>",), eos="<s>")
        tokenizer.chat_template = {"tool_use": GOOD, "rag": GOOD}
        with pytest.raises(
            BadInput,
            match=r"^toy has chat templates for tool_use, rag and none by default; save the ",
        ):
            Chat(tokenizer, (), "toy")
        tokenizer.chat_template["default"] = GOOD
        assert Chat(tokenizer, (), "toy").prefix_text(None).endswith("<user>")

    def test_a_tokenizer_that_does_not_give_its_text_back(self) -> None:
        tokenizer = byte_tokenizer(GOOD, special=("<s>",), eos="<s>")
        tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()
        with pytest.raises(
            BadInput, match=r"^the tokenizer of toy does not give a text back as it was \('let \$x < y\$ , "
        ):
            Chat(tokenizer, (), "toy")

    def test_a_template_without_system_texts_has_no_default_one(self) -> None:
        assert toy("<s><user>" + USER).default_system is None
        assert toy("<s><user>" + USER).solving_prompt("Q", "I") == [{"role": "user", "content": "Q\n\nI"}]

    def test_no_end_token(self) -> None:
        with pytest.raises(BadInput, match=r"^toy names no end-of-turn token, so no completion would end; "):
            toy(GOOD, eos=None, special=("<s>",), plain=())

    def test_any_end_token_will_do(self) -> None:
        assert len(toy(GOOD, eos=None).end_ids) == 1
        assert Chat(byte_tokenizer(GOOD, special=("<s>",), bos="<s>"), (7,), "toy").end_ids == (7,)


class TestChatOf:
    def test_demo_model(self, demo_model: Path) -> None:
        chat = chat_of(Model("demo", "sha256:0", path=str(demo_model)))
        assert chat.name == "demo"
        assert chat.prefix_text(None) == SMOL.bare
        assert chat.end_ids == (2,)

    @pytest.mark.parametrize(("ends", "named"), [(None, ()), (7, (7,)), ([7, 8], (7, 8))])
    def test_ends_of_the_generation_config(
        self, tmp_path: Path, ends: int | list[int] | None, named: tuple[int, ...]
    ) -> None:
        tokenizer = tokenizer_of(GEMMA)
        tokenizer.save_pretrained(tmp_path)
        if ends is not None:
            (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": ends}))
        chat = chat_of(Model("gemma", f"sha256:{tmp_path}", path=str(tmp_path)))
        assert chat.end_ids == (*named, *ids_of(tokenizer, GEMMA.ends))
        assert chat.pre_query_prefix(SYSTEM) == built(GEMMA).pre_query_prefix(SYSTEM)

    def test_folder_without_a_tokenizer(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match=r"^the tokenizer of nothing cannot be loaded: "):
            chat_of(Model("nothing", f"sha256:{tmp_path}", path=str(tmp_path)))


def folder_of(tokenizer: Any, folder: Path, **config: Any) -> Model:
    """A model folder with the files of a tokenizer, and more keys in its tokenizer_config.json."""
    tokenizer.save_pretrained(folder)
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **config}))
    return Model("acme", f"sha256:{folder}", path=str(folder))


class TestTokenizerFiles:
    TEXT = "Let $x < y$ , and  \\frac{1}{2}:\n\n問題を 解け。"

    def test_a_byte_level_file_under_a_class_of_sentencepiece(self, demo_model: Path, tmp_path: Path) -> None:
        """DeepSeek-R1-Distill-Llama's layout."""
        model = folder_of(
            AutoTokenizer.from_pretrained(demo_model), tmp_path, tokenizer_class="LlamaTokenizerFast"
        )
        shutil.copy(demo_model / "config.json", tmp_path)
        assert " " not in AutoTokenizer.from_pretrained(tmp_path).decode(
            AutoTokenizer.from_pretrained(tmp_path)("a b")["input_ids"]
        ), "else this test could not fail"
        chat, own = chat_of(model), Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
        for text in (self.TEXT, SMOL.steered):
            assert chat.ids(text) == own.encode(text, add_special_tokens=False).ids
            assert chat.tokenizer.decode(chat.ids(text)) == text
        assert chat.prefix_text(SYSTEM) == SMOL.steered
        assert chat.end_ids == (2,)

    @pytest.mark.parametrize("whole", [True, False])
    def test_code_never_runs_and_nobody_is_asked(
        self, whole: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = folder_of(tokenizer_of(QWEN_CODER), tmp_path, auto_map={"AutoTokenizer": ["code.Own", None]})
        config = {"model_type": "acme", "auto_map": {"AutoConfig": "code.Config"}}
        (tmp_path / "config.json").write_text(json.dumps(config))
        (tmp_path / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Own: ...\n")
        asked: list[str] = []
        monkeypatch.setattr("builtins.input", lambda question="": asked.append(question) or "y")
        if whole:
            assert chat_of(model).prefix_text(SYSTEM) == QWEN_CODER.steered
        else:
            (tmp_path / "tokenizer.json").unlink()
            with pytest.raises(
                BadInput, match=r"^the tokenizer of acme is code of its own, which does not run here, "
            ):
                chat_of(model)
        assert not asked
        assert not (tmp_path / "ran").exists()

    def test_mistrals_own_file_alone(self, tmp_path: Path) -> None:
        """Devstral's layout, with a file that Mistral published."""
        common = pytest.importorskip("mistral_common")
        from mistral_common.tokens.tokenizers.tekken import Tekkenizer

        shutil.copy(Path(common.__file__).parent / "data/tekken_240911.json", tmp_path / "tekken.json")
        chat = chat_of(Model("devstral", f"sha256:{tmp_path}", path=str(tmp_path)))
        own = Tekkenizer.from_file(tmp_path / "tekken.json")
        assert chat.ids(self.TEXT) == own.encode(self.TEXT, bos=False, eos=False)
        assert chat.prefix_text(SYSTEM) == f"<s>[INST]{SYSTEM}\n\n"
        assert chat.pre_query_prefix(SYSTEM)[:2] == [own.bos_id, own.get_special_token("[INST]")]
        assert chat.end_ids == (own.eos_id,)
        assert chat.turn_end_ids == (own.eos_id, own.get_special_token("[/INST]"))

    def test_the_template_of_a_processor(self, tmp_path: Path) -> None:
        tokenizer = tokenizer_of(QWEN_CODER)
        template, tokenizer.chat_template = tokenizer.chat_template, None
        model = folder_of(tokenizer, tmp_path)
        (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": template}))
        assert chat_of(model).prefix_text(SYSTEM) == QWEN_CODER.steered

    def test_the_default_of_named_templates(self, tmp_path: Path) -> None:
        tokenizer = tokenizer_of(QWEN_CODER)
        template, tokenizer.chat_template = tokenizer.chat_template, None
        named = [{"name": "tool_use", "template": "{{ x.y.z }}"}, {"name": "default", "template": template}]
        assert (
            chat_of(folder_of(tokenizer, tmp_path, chat_template=named)).prefix_text(SYSTEM)
            == QWEN_CODER.steered
        )

    def test_a_cached_snapshot_is_enough_offline(self, tmp_path: Path) -> None:
        """One without generation_config.json, in a process that never was online."""
        commit = "d" * 40
        snapshot = tmp_path / "hub/models--acme--model/snapshots" / commit
        folder_of(tokenizer_of(QWEN_CODER), snapshot)
        (snapshot / "config.json").write_text('{"model_type": "llama"}')
        done = _asked_of("acme/model", commit, HF_HOME=str(tmp_path), HF_HUB_OFFLINE="1")
        ends = ids_of(tokenizer_of(QWEN_CODER), ("<|im_end|>",))
        assert done.stdout.strip() == str(ends), done.stderr
        done = _asked_of("acme/model", "e" * 40, HF_HOME=str(tmp_path), HF_HUB_OFFLINE="1")
        assert re.search(
            r"^\S+ of acme/model is not in the cache and the Hub cannot be reached; ", done.stderr
        )

    def test_a_gated_repository_is_one_line(self, tmp_path: Path) -> None:
        class Gate(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.send_response(403)
                self.send_header("X-Error-Code", "GatedRepo")
                self.end_headers()

        with ThreadingHTTPServer(("127.0.0.1", 0), Gate) as hub:
            threading.Thread(target=hub.serve_forever, daemon=True).start()
            endpoint = f"http://127.0.0.1:{hub.server_port}"
            done = _asked_of(
                "acme/model", "d" * 40, HF_HOME=str(tmp_path), HF_ENDPOINT=endpoint, HF_HUB_OFFLINE="0"
            )
            hub.shutdown()
        assert (
            "the Hub does not give tokenizer.json of acme/model (GatedRepoError); accept the terms"
            " on the model's page, and check `hf auth whoami`"
        ) in done.stderr


def _asked_of(repository: str, commit: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A process of its own, for the Hub's address is read at import; it prints the ids that end an answer."""
    model = f"Model({repository!r}, {commit!r})"
    script = f"from magpie_hf import Model, chat_of; print(chat_of({model}).end_ids)"
    others = {name: value for name, value in os.environ.items() if name != "HF_HUB_CACHE"}
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**others, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
