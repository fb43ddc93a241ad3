"""The marks that families write around thinking and answers, where their templates do not show them.

Not here: how a template shows them, and how a turn is split by them (thinking.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# The form in which every dataset keeps thinking, whatever marks the model writes.
THINK, END_THINK = "<think>", "</think>"


@dataclass(frozen=True)
class Marks:
    """Patterns of what stands before and after a thought.

    end: what closes a thought, as text. again: between two thoughts of one turn. prose: these are words that
    anyone may write, so that they count only where both stand. begin: what opens a thought, as text, where
    the patterns leave room for words of the model's own.
    """

    open: str
    close: str
    end: str
    again: str | None = None
    prose: bool = False
    begin: str = ""


def literal(text: str) -> str:
    """The pattern of a text in which any white space may stand, or none."""
    return r"\s*".join(map(re.escape, text.split()))


def _marks(opening: str, end: str) -> Marks:
    return Marks(literal(opening), literal(end), end)


# Marks of families whose template shows none, or leaves them to the model. Sources: the chat template, on the
# Hub or as llama.cpp and TRL keep it (T), vLLM 0.32's parser of that name (V), the model's card (C).
KNOWN = (
    # DeepSeek-R1, Qwen3, QwQ, GLM, Kimi K2, MiniMax M2, Nemotron, SmolLM3, Phi-4 reasoning, Hunyuan,
    # ERNIE 4.5, Granite 3.3, EXAONE 4, OLMo 3, Step 3, MiMo, LFM2.5, Falcon H1R (T)
    _marks(THINK, END_THINK),
    _marks("<thinking>", "</thinking>"),  # Apriel's tool calls (T), Reflection (C)
    _marks("<thought>", "</thought>"),  # EXAONE Deep (T)
    _marks("<Thought>", "</Thought>"),  # Marco-o1 (C)
    _marks("<reasoning>", "</reasoning>"),  # Reka Flash 3 (C)
    _marks("<mm:think>", "</mm:think>"),  # MiniMax M3 (V minimax_m3)
    _marks("<seed:think>", "</seed:think>"),  # Seed-OSS (T)
    _marks("[THINK]", "[/THINK]"),  # Magistral, Ministral 3 reasoning (T, V mistral)
    _marks("◁think▷", "◁/think▷"),  # Kimi-VL thinking, Kimi-Dev (C)
    _marks("<|inner_prefix|>", "<|inner_suffix|>"),  # Apertus (T)
    _marks("<|begin_of_thought|>", "<|end_of_thought|>"),  # OpenThinker, Sky-T1, Bespoke-Stratos (C)
    _marks("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A reasoning (T, V cohere_command3)
    _marks("<|channel>thought", "<channel|>"),  # Gemma 4 (T, V gemma4)
    _marks("<|plamo:begin_think:plamo|>", "<|plamo:end_think:plamo|>"),  # PLaMo 3 (V plamo3)
    # Hunyuan 3 and 4: a suffix that differs by checkpoint (V hy_v3, hy_v4)
    Marks(r"<think:[^\s<>]+>", r"</think:[^\s<>]+>", END_THINK, begin=THINK),
    # K2 Horizon: three efforts (V k2_horizon)
    Marks(r"<ifm\|think\w*>", r"</ifm\|think\w*>", "</ifm|think>", begin="<ifm|think>"),
    # gpt-oss: every channel but the final one is thinking (T, V openai_gptoss)
    Marks(
        r"<\|channel\|>(?:analysis|commentary)[^\n]{0,60}?<\|message\|>",
        r"<\|end\|>(?:<\|start\|>assistant)?<\|channel\|>final[^\n]{0,60}?<\|message\|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
        r"<\|end\|>(?:<\|start\|>assistant)?<\|channel\|>(?:analysis|commentary)[^\n]{0,60}?<\|message\|>",
        begin="<|channel|>analysis<|message|>",
    ),
    # Solar Open (T)
    Marks(
        r"<\|think\|>",
        r"<\|end\|>(?:<\|begin\|>assistant)?<\|content\|>",
        "<|end|><|begin|>assistant<|content|>",
        r"<\|end\|>(?:<\|begin\|>assistant)?<\|think\|>",
    ),
    # Kimi K3 (T, V kimi_k3)
    Marks(
        r"<\|open\|>\s*think\s*<\|sep\|>",
        r"<\|close\|>\s*think\s*<\|sep\|>\s*<\|open\|>\s*response\s*<\|sep\|>",
        "<|close|>think<|sep|><|open|>response<|sep|>",
    ),
    # Inkling (V inkling)
    Marks(
        r"(?:<\|message_model\|>)?<\|content_thinking\|>",
        r"<\|end_message\|>(?:<\|message_model\|>)?<\|content_text\|>",
        "<|end_message|><|message_model|><|content_text|>",
        r"<\|end_message\|>(?:<\|message_model\|>)?<\|content_thinking\|>",
    ),
    # s1 and s1.1 (github.com/simplescaling/s1)
    Marks(r"<\|im_start\|>think\b", r"<\|im_start\|>answer\b", "<|im_start|>answer\n"),
    # Apriel 1.5 and 1.6 (T)
    Marks(r"Here are my reasoning steps:", r"\[BEGIN FINAL RESPONSE\]", "[BEGIN FINAL RESPONSE]", prose=True),
    # Granite 3.2 (T, V granite)
    Marks(
        r"(?:Here is|Here's) my thought process:",
        r"(?:Here is|Here's) my response:",
        "Here is my response:",
        prose=True,
    ),
)

# What may stand around the answer alone, as patterns; after a token that ends an answer nothing may follow.
WRAPPERS = (
    (r"<answer>", r"</answer>"),  # Hunyuan A13B (T), AM-Thinking, K2-Think, Open-Reasoner-Zero (C)
    (r"<response>", r"</response>"),  # Granite 3.3 (T), ERNIE 4.5 thinking (V ernie45)
    (r"<[Oo]utput>", r"</[Oo]utput>"),  # Marco-o1, Reflection (C)
    (r"<\|begin_of_solution\|>", r"<\|end_of_solution\|>\Z"),  # OpenThinker, Sky-T1 (C)
    (r"<\|START_RESPONSE\|>", r"<\|END_RESPONSE\|>\Z"),  # Command A reasoning, Command R7B (T)
    (r"<\|START_TEXT\|>", r"<\|END_TEXT\|>\Z"),  # Command 4 (V cohere_command4)
    (r"\[BEGIN FINAL RESPONSE\]", r"\[END FINAL RESPONSE\]"),  # Apriel (T)
    (r"<\|channel\|>final[^\n]{0,60}?<\|message\|>", r"<\|(?:end|return)\|>\Z"),  # gpt-oss (T)
    (r"<\|content\|>", r"<\|(?:end|flush)\|>\Z"),  # Solar Open (T)
    (r"(?:<\|message_model\|>)?<\|content_text\|>", r"<\|end_message\|>\Z"),  # Inkling (V inkling)
    (
        r"<\|open\|>response<\|sep\|>",
        r"<\|close\|>response<\|sep\|>(?:<\|close\|>message<\|sep\|>)?",
    ),  # K3 (T)
)
