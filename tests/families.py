"""Chat formats of model families that think, rebuilt small from their public templates."""

from __future__ import annotations

import re
from dataclasses import dataclass

from transformers import PreTrainedTokenizerFast

from chat_formats import byte_tokenizer
from magpie_hf.models.chat import Chat

_TEMPLATE = """\
{{ bos_token or '' }}{PREAMBLE}
{%- for m in messages %}
{%- if m.role == 'system' %}{SYSTEM}
{%- elif m.role == 'user' %}{USER}
{%- else %}{TURN}
{%- if m.FIELD is defined %}{THOUGHT}
{%- else %}{BARE}
{%- endif %}{{ m.content }}{AFTER}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{HEAD}{% endif %}"""


@dataclass(frozen=True)
class Family:
    """What the template of one family writes, {} standing for a message's text.

    user, system: those turns; system None: the template refuses one. turn: the head of an assistant's turn in
    a history; head: in a prompt, where it differs. thought: what is written for `field` of an assistant's
    message; None where the template takes no such field. bare: what is written without it. after: what ends
    an assistant's turn. preamble: written where no system text is given. marks: further added tokens.
    system_text: what the template makes of a system text. source: where the format is to be seen; the files
    of llama.cpp, TRL and vLLM were read, those of the Hub could not be and are written from what is known.
    """

    name: str
    source: str
    user: str = "<|im_start|>user\n{}<|im_end|>\n"
    system: str | None = "<|im_start|>system\n{}<|im_end|>\n"
    turn: str = "<|im_start|>assistant\n"
    head: str | None = None
    thought: str | None = None
    field: str = "reasoning_content"
    bare: str = ""
    after: str = "<|im_end|>\n"
    preamble: str = ""
    bos: str | None = None
    eos: str = "<|im_end|>"
    marks: tuple[str, ...] = ()
    system_text: str = "m.content"

    @property
    def template(self) -> str:
        """The family's template, in Jinja."""
        parts = {
            "PREAMBLE": "{% if messages[0].role != 'system' %}" + _said(self.preamble) + "{% endif %}",
            "SYSTEM": _said(self.system, self.system_text)
            if self.system is not None
            else "{{ raise_exception('System role not supported') }}",
            "USER": _said(self.user),
            "TURN": _said(self.turn),
            "THOUGHT": _said(self.thought or "", f"m.{self.field}"),
            "BARE": _said(self.bare),
            "AFTER": _said(self.after),
            "HEAD": _said(self.turn if self.head is None else self.head),
        }
        field = self.field if self.thought is not None else "nothing"
        return re.sub(r"\{([A-Z]+)\}", lambda part: parts[part.group(1)], _TEMPLATE).replace("FIELD", field)

    def tokenizer(self, joined: tuple[str, ...] = ()) -> PreTrainedTokenizerFast:
        """A byte-level tokenizer with the family's marks as added tokens."""
        special = dict.fromkeys(token for token in (self.bos, self.eos) if token)
        return byte_tokenizer(
            self.template,
            special=tuple(special),
            plain=tuple(mark for mark in self.marks if mark not in special),
            bos=self.bos,
            eos=self.eos,
            joined=joined,
        )

    def chat(self, joined: tuple[str, ...] = ()) -> Chat:
        """The family's chat."""
        return Chat(self.tokenizer(joined), (), self.name)


def _said(text: str, what: str = "m.content") -> str:
    """A text as Jinja expressions, {} standing for an expression."""
    return "".join(
        "{{ " + (what if part == "{}" else repr(part)) + " }}" for part in re.split(r"(\{\})", text) if part
    )


_THINK = "<think>\n{}\n</think>\n\n"
_SMOLLM3 = (
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face. Please structure your response"
    " into two main sections: Thought and Solution using the specified format: <think> Thought section"
    " </think> Solution section."
)
_SMOLLM3_SYSTEM = (
    "<|im_start|>system\n## Metadata\n\nReasoning Mode: /think\n\n## Custom Instructions\n\n{}\n\n"
)
_HUB = "the template of {} on the Hub"
_COHERE = {
    "user": "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>{}<|END_OF_TURN_TOKEN|>",
    "system": "<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>{}<|END_OF_TURN_TOKEN|>",
    "turn": "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
    "eos": "<|END_OF_TURN_TOKEN|>",
    "bos": "<BOS_TOKEN>",
}
_DEEPSEEK = {
    "bos": "<｜begin▁of▁sentence｜>",
    "eos": "<｜end▁of▁sentence｜>",
    "user": "<｜User｜>{}",
    "system": "{}",
    "turn": "<｜Assistant｜>",
    "after": "<｜end▁of▁sentence｜>",
    "marks": ("<｜User｜>", "<｜Assistant｜>", "<think>", "</think>"),
}
_LLAMA = {
    "bos": "<|begin_of_text|>",
    "eos": "<|eot_id|>",
    "user": "<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>",
    "system": "<|start_header_id|>system<|end_header_id|>\n\n{}<|eot_id|>",
    "turn": "<|start_header_id|>assistant<|end_header_id|>\n\n",
    "after": "<|eot_id|>",
}
_MISTRAL = {
    "bos": "<s>",
    "eos": "</s>",
    "user": "[INST]{}[/INST]",
    "system": "[SYSTEM_PROMPT]{}[/SYSTEM_PROMPT]",
    "turn": "",
    "after": "</s>",
    "marks": ("[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[THINK]", "[/THINK]"),
}
_EXAONE = {
    "user": "[|user|]{}\n",
    "system": "[|system|]{}[|endofturn|]\n",
    "turn": "[|assistant|]",
    "after": "[|endofturn|]\n",
    "eos": "[|endofturn|]",
    "bos": "[BOS]",
    "marks": ("[|user|]", "[|assistant|]", "[|system|]"),
}
_GEMMA4 = {
    "bos": "<bos>",
    "eos": "<turn|>",
    "user": "<|turn>user\n{}<turn|>\n",
    "system": "<|turn>system\n{}<turn|>\n",
    "turn": "<|turn>model\n",
    "thought": "<|channel>thought\n{}\n<channel|>",
    "field": "reasoning",
    "after": "<turn|>\n",
    "marks": ("<|turn>", "<|channel>", "<channel|>"),
}
_TULU = {
    "bos": "<s>",
    "eos": "</s>",
    "user": "<|user|>\n{}\n",
    "system": "<|system|>\n{}\n",
    "turn": "<|assistant|>\n",
    "after": "</s>\n",
}
_HUNYUAN = {
    "bos": "<|startoftext|>",
    "eos": "<|eos|>",
    "user": "{}<|extra_0|>",
    "system": "{}<|extra_4|>",
    "turn": "",
    "after": "<|eos|>",
    "marks": ("<|extra_0|>", "<|extra_4|>"),
}

FAMILIES = (
    Family(
        "gpt-oss",
        "openai/gpt-oss-20b, as in trl/chat_templates/gptoss.jinja",
        user="<|start|>user<|message|>{}<|end|>",
        system="<|start|>developer<|message|># Instructions\n\n{}\n\n<|end|>",
        turn="<|start|>assistant",
        thought="<|channel|>analysis<|message|>{}<|end|><|start|>assistant<|channel|>final<|message|>",
        field="thinking",
        bare="<|channel|>final<|message|>",
        after="<|return|>",
        eos="<|return|>",
        marks=("<|start|>", "<|end|>", "<|message|>", "<|channel|>"),
    ),
    Family(
        "Seed-OSS",
        "llama.cpp, models/templates/ByteDance-Seed-OSS.jinja",
        user="<seed:bos>user\n{}<seed:eos>",
        system="<seed:bos>system\n{}<seed:eos>",
        turn="<seed:bos>assistant\n",
        thought="<seed:think>{}</seed:think>\n",
        after="<seed:eos>",
        eos="<seed:eos>",
        marks=("<seed:bos>", "<seed:think>", "</seed:think>"),
    ),
    Family("Magistral", _HUB.format("mistralai/Magistral-Small-2509"), **_MISTRAL),
    Family("Ministral 3 reasoning", _HUB.format("mistralai/Ministral-3-14B-Reasoning-2512"), **_MISTRAL),
    Family(
        "EXAONE-Deep",
        _HUB.format("LGAI-EXAONE/EXAONE-Deep-32B"),
        head="[|assistant|]<thought>\n",
        preamble="[|system|][|endofturn|]\n",
        **_EXAONE,
    ),
    Family("EXAONE 4", _HUB.format("LGAI-EXAONE/EXAONE-4.0-32B"), **{**_EXAONE, "thought": _THINK}),
    Family("EXAONE 3.5", _HUB.format("LGAI-EXAONE/EXAONE-3.5-7.8B-Instruct"), **_EXAONE),
    Family(
        "Apriel 1.5",
        "llama.cpp, models/templates/unsloth-Apriel-1.5.jinja",
        user="<|user|>\n{}\n<|end|>\n",
        system="<|system|>\n{}\n<|end|>\n",
        turn="<|assistant|>\n",
        after="\n<|end|>\n",
        eos="<|end|>",
        preamble="<|system|>\nYou are a thoughtful and systematic AI assistant. Provide the final solution in"
        " the following format: [BEGIN FINAL RESPONSE] ... [END FINAL RESPONSE].\n<|end|>\n",
        marks=("<|user|>", "<|assistant|>", "<|system|>"),
    ),
    Family(
        "Apriel 1.6",
        "llama.cpp, models/templates/Apriel-1.6-15b-Thinker-fixed.jinja",
        user="<|begin_user|>\n{}",
        system="<|begin_system|>\n{}\n",
        turn="\n<|begin_assistant|>\n",
        head="\n<|begin_assistant|>\nHere are my reasoning steps:\n",
        thought="{}\n[BEGIN FINAL RESPONSE]\n",
        after="\n<|end|>\n",
        eos="<|end|>",
        marks=("<|begin_user|>", "<|begin_assistant|>", "<|begin_system|>"),
    ),
    Family("Gemma 4", "trl/chat_templates/gemma4_v5.jinja", **_GEMMA4),
    Family(
        "Gemma 4, thinking off",
        "llama.cpp, models/templates/gemma4.jinja",
        head="<|turn>model\n<|channel>thought\n<channel|>",
        **_GEMMA4,
    ),
    Family(
        "Gemma 2",
        _HUB.format("google/gemma-2-9b-it"),
        user="<start_of_turn>user\n{}<end_of_turn>\n",
        system=None,
        turn="<start_of_turn>model\n",
        after="<end_of_turn>\n",
        bos="<bos>",
        eos="<end_of_turn>",
        marks=("<start_of_turn>",),
    ),
    Family(
        "Granite 3.3",
        _HUB.format("ibm-granite/granite-3.3-8b-instruct"),
        user="<|start_of_role|>user<|end_of_role|>{}<|end_of_text|>\n",
        system="<|start_of_role|>system<|end_of_role|>{}<|end_of_text|>\n",
        turn="<|start_of_role|>assistant<|end_of_role|>",
        after="<|end_of_text|>\n",
        eos="<|end_of_text|>",
        preamble="<|start_of_role|>system<|end_of_role|>You are Granite, developed by IBM.<|end_of_text|>\n",
        marks=("<|start_of_role|>", "<|end_of_role|>"),
    ),
    Family(
        "Granite 3.2",
        "vllm/reasoning/granite_reasoning_parser.py",
        user="<|start_of_role|>user<|end_of_role|>{}<|end_of_text|>\n",
        system="<|start_of_role|>system<|end_of_role|>{}<|end_of_text|>\n",
        turn="<|start_of_role|>assistant<|end_of_role|>",
        after="<|end_of_text|>\n",
        eos="<|end_of_text|>",
        marks=("<|start_of_role|>", "<|end_of_role|>"),
    ),
    Family(
        "Apertus",
        _HUB.format("swiss-ai/Apertus-8B-Instruct-2509"),
        bos="<s>",
        eos="<|assistant_end|>",
        user="<|user_start|>{}<|user_end|>",
        system="<|system_start|>{}<|system_end|>",
        turn="<|assistant_start|>",
        after="<|assistant_end|>",
        marks=("<|user_start|>", "<|user_end|>", "<|inner_prefix|>", "<|inner_suffix|>"),
    ),
    Family("OpenThinker", _HUB.format("open-thoughts/OpenThinker-7B")),
    Family("Sky-T1", "github.com/NovaSky-AI/SkyThought"),
    Family("Bespoke-Stratos", _HUB.format("bespokelabs/Bespoke-Stratos-7B")),
    Family("Hunyuan A13B", _HUB.format("tencent/Hunyuan-A13B-Instruct"), **_HUNYUAN),
    Family("Hunyuan 3", "vllm/reasoning/hy_v3_reasoning_parser.py", **_HUNYUAN),
    Family(
        "DeepSeek-R1", _HUB.format("deepseek-ai/DeepSeek-R1"), head="<｜Assistant｜><think>\n", **_DEEPSEEK
    ),
    Family(
        "DeepSeek-V3.1", _HUB.format("deepseek-ai/DeepSeek-V3.1"), head="<｜Assistant｜></think>", **_DEEPSEEK
    ),
    Family(
        "Qwen3",
        "trl/chat_templates/qwen3.jinja",
        thought=_THINK,
        bare="<think>\n\n</think>\n\n",
        marks=("<think>", "</think>"),
    ),
    Family(
        "Qwen3 thinking 2507",
        _HUB.format("Qwen/Qwen3-4B-Thinking-2507"),
        head="<|im_start|>assistant\n<think>\n",
        thought=_THINK,
        bare="<think>\n\n</think>\n\n",
        marks=("<think>", "</think>"),
    ),
    Family("QwQ", _HUB.format("Qwen/QwQ-32B"), head="<|im_start|>assistant\n<think>\n"),
    Family("Qwen2.5", "trl/chat_templates/qwen2_5.jinja"),
    Family("AM-Thinking", _HUB.format("a-m-team/AM-Thinking-v1")),
    Family("K2-Think", _HUB.format("LLM360/K2-Think")),
    Family(
        "Phi-4 reasoning",
        _HUB.format("microsoft/Phi-4-reasoning"),
        user="<|im_start|>user<|im_sep|>{}<|im_end|>",
    ),
    Family(
        "ERNIE 4.5 thinking",
        _HUB.format("baidu/ERNIE-4.5-21B-A3B-Thinking"),
        head="<|im_start|>assistant\n<think>\n",
    ),
    Family(
        "SmolLM3",
        _HUB.format("HuggingFaceTB/SmolLM3-3B"),
        preamble=_SMOLLM3_SYSTEM.replace("{}", _SMOLLM3),
        system=_SMOLLM3_SYSTEM,
        system_text="m.content.replace('/no_think', '').replace('/think', '')",
    ),
    Family(
        "GLM 4.5",
        "trl/chat_templates/glm4moe.jinja",
        user="<|user|>\n{}",
        system="<|system|>\n{}",
        turn="<|assistant|>",
        thought="\n<think>{}</think>\n",
        bare="\n<think></think>\n",
        after="",
        bos="[gMASK]<sop>",
        eos="<|endoftext|>",
        marks=("<|user|>", "<|assistant|>", "<|system|>"),
    ),
    Family(
        "Kimi K2 thinking",
        "llama.cpp, models/templates/Kimi-K2-Thinking.jinja",
        user="<|im_user|>user<|im_middle|>{}<|im_end|>",
        system="<|im_system|>system<|im_middle|>{}<|im_end|>",
        turn="<|im_assistant|>assistant<|im_middle|>",
        thought="<think>{}</think>",
        bare="<think></think>",
        after="<|im_end|>",
        marks=("<|im_user|>", "<|im_assistant|>", "<|im_middle|>"),
    ),
    Family(
        "Kimi K3",
        "llama.cpp, models/templates/Kimi-K3.jinja",
        user='<|open|>message role="user"<|sep|>{}<|close|>message<|sep|><|end_of_msg|>',
        system='<|open|>message role="system"<|sep|>{}<|close|>message<|sep|><|end_of_msg|>',
        turn='<|open|>message role="assistant"<|sep|>',
        head='<|open|>message role="assistant"<|sep|><|open|>think<|sep|>',
        thought="<|open|>think<|sep|>{}<|close|>think<|sep|><|open|>response<|sep|>",
        bare="<|open|>think<|sep|><|close|>think<|sep|><|open|>response<|sep|>",
        after="<|close|>response<|sep|><|close|>message<|sep|><|end_of_msg|>",
        eos="<|end_of_msg|>",
        marks=("<|open|>", "<|close|>", "<|sep|>"),
    ),
    Family(
        "Kimi-VL thinking",
        "moonshotai/Kimi-VL-A3B-Thinking, as read by VLMEvalKit",
        head="<|im_start|>assistant\n",
    ),
    Family(
        "MiniMax M2",
        "llama.cpp, models/templates/unsloth-MiniMax-M2.jinja",
        user="]~b]user\n{}[e~[\n",
        system="]~b]system\n{}[e~[\n",
        turn="]~b]ai\n",
        head="]~b]ai\n<think>\n",
        thought="<think>\n{}\n</think>\n\n",
        after="[e~[\n",
        eos="[e~[",
        marks=("]~b]",),
    ),
    Family(
        "MiniMax M3",
        "vllm/reasoning/minimax_m3_reasoning_parser.py",
        user="]~b]user\n{}[e~[\n",
        system="]~b]system\n{}[e~[\n",
        turn="]~b]ai\n",
        thought="<mm:think>{}</mm:think>",
        after="[e~[\n",
        eos="[e~[",
        marks=("]~b]",),
    ),
    Family(
        "Nemotron Nano v2",
        "llama.cpp, models/templates/NVIDIA-Nemotron-Nano-v2.jinja",
        user="<SPECIAL_11>User\n{}\n",
        system="<SPECIAL_10>System\n{}\n\n",
        preamble="<SPECIAL_10>System\n\n\n",
        turn="<SPECIAL_11>Assistant\n",
        head="<SPECIAL_11>Assistant\n<think>\n\n",
        after="\n<SPECIAL_12>\n\n",
        eos="<SPECIAL_12>",
        marks=("<SPECIAL_10>", "<SPECIAL_11>"),
    ),
    Family(
        "Nemotron 3 nano",
        "trl/chat_templates/nemotron_3_nano.jinja",
        head="<|im_start|>assistant\n<think>\n",
        thought="<think>\n{}\n</think>\n",
        bare="<think></think>",
    ),
    Family(
        "Llama Nemotron Super",
        "llama.cpp, models/templates/nvidia-Llama-3_3-Nemotron-Super-49B-v1_5.jinja",
        **_LLAMA,
    ),
    Family("DeepHermes 3", _HUB.format("NousResearch/DeepHermes-3-Llama-3-8B-Preview"), **_LLAMA),
    Family("Reflection", _HUB.format("mattshumer/Reflection-Llama-3.1-70B"), **_LLAMA),
    Family("Llama 3.3", "trl/chat_templates/llama3_1.jinja", **_LLAMA),
    Family(
        "Command-A reasoning",
        "vllm/parser/cohere_command.py; trl/chat_templates/cohere2.jinja",
        thought="<|START_THINKING|>{}<|END_THINKING|><|START_RESPONSE|>",
        bare="<|START_RESPONSE|>",
        after="<|END_RESPONSE|><|END_OF_TURN_TOKEN|>",
        marks=("<|START_THINKING|>", "<|END_THINKING|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>"),
        **_COHERE,
    ),
    Family(
        "Solar Open",
        "vllm's parser of Solar Open; llama.cpp, common/chat-auto-parser",
        user="<|begin|>user<|content|>{}<|end|>",
        system="<|begin|>system<|content|>{}<|end|>",
        turn="<|begin|>assistant",
        thought="<|think|>{}<|end|><|begin|>assistant<|content|>",
        bare="<|content|>",
        after="<|end|>",
        eos="<|flush|>",
        marks=("<|begin|>", "<|end|>", "<|content|>", "<|think|>"),
    ),
    Family(
        "Reka Flash 3",
        _HUB.format("RekaAI/reka-flash-3"),
        user="human: {} <sep> ",
        system=None,
        turn="assistant: ",
        after=" <sep> ",
        eos="<sep>",
    ),
    Family("OLMo 3 think", "vllm/reasoning/olmo3_reasoning_parser.py", head="<|im_start|>assistant\n<think>"),
    Family(
        "Step 3.7",
        "llama.cpp, models/templates/StepFun3.7-Flash.jinja",
        head="<|im_start|>assistant\n<think>\n",
        thought="<think>\n{}\n</think>\n",
        bare="<think>\n\n</think>\n",
    ),
    Family("LFM2.5", "trl/chat_templates/lfm2_2_5_v2.jinja", thought="<think>{}</think>", field="thinking"),
    Family(
        "Muse Glimmer",
        "trl/chat_templates/muse_glimmer.jinja",
        user="<|start|>user<|message|>{}<|eot|>",
        system="<|start|>system<|message|>{}<|eot|>",
        turn="<|start|>assistant",
        thought=" to=self<|message|>{}<|eom|><|start|>assistant to=user<|message|>",
        bare=" to=user<|message|>",
        after="<|eot|>",
        eos="<|eot|>",
        marks=("<|start|>", "<|message|>", "<|eom|>"),
    ),
    Family("PLaMo 3", "vllm/parser/plamo3.py"),
    Family("K2 Horizon", "vllm/reasoning/k2_horizon_reasoning_parser.py"),
    Family(
        "Inkling",
        "vllm/parser/inkling.py",
        user="<|message_user|><|content_text|>{}<|end_message|>",
        system="<|message_system|><|content_text|>{}<|end_message|>",
        turn="<|message_model|>",
        thought="<|content_thinking|>{}<|end_message|><|message_model|><|content_text|>",
        bare="<|content_text|>",
        after="<|content_model_end_sampling|>",
        eos="<|content_model_end_sampling|>",
        marks=("<|message_user|>", "<|message_model|>", "<|content_text|>", "<|end_message|>"),
    ),
    Family("s1", "github.com/simplescaling/s1"),
    Family("Marco-o1", _HUB.format("AIDC-AI/Marco-o1")),
    # Others whose head opens <think>.
    *(
        Family(name, _HUB.format(name), head="<|im_start|>assistant\n<think>\n", thought=_THINK)
        for name in ("Qwen3.5", "Qwen3.6", "Falcon H1R", "Intern S1.1", "AceReason Nemotron")
    ),
    *(
        Family(name, _HUB.format(name), head="<｜Assistant｜><think>\n", **_DEEPSEEK)
        for name in ("R1 Distill", "Skywork OR1", "Light R1", "DeepScaleR", "DeepCoder")
    ),
    *(
        Family(
            name,
            _HUB.format(name),
            user="<|user|>\n{}",
            system="<|system|>\n{}",
            turn="<|assistant|>",
            head="<|assistant|><think>",
            thought="<think>{}</think>",
            bare="</think>",
            after="",
            bos="[gMASK]<sop>",
            eos="<|endoftext|>",
            marks=("<|user|>", "<|assistant|>", "<|system|>"),
        )
        for name in ("GLM Z1", "GLM 4.7", "GLM 5")
    ),
    Family(
        "Ring",
        _HUB.format("inclusionAI/Ring-1T"),
        user="<role>HUMAN</role>{}<|role_end|>",
        system="<role>SYSTEM</role>{}<|role_end|>",
        turn="<role>ASSISTANT</role>",
        head="<role>ASSISTANT</role>\n<think>\n",
        after="<|role_end|>",
        eos="<|role_end|>",
    ),
    Family(
        "Open-Reasoner-Zero",
        _HUB.format("Open-Reasoner-Zero/Open-Reasoner-Zero-7B"),
        user="User: {}\n",
        system=None,
        turn="Assistant: ",
        head="Assistant: <think>",
        after="</s>",
        eos="</s>",
    ),
    # The user's turn ends in plain text, or begins with a space.
    Family(
        "DeepSeek-LLM",
        _HUB.format("deepseek-ai/deepseek-llm-7b-chat"),
        **{
            **_DEEPSEEK,
            "user": "User: {}\n\n",
            "system": "{}\n\n",
            "turn": "Assistant: ",
            "head": "Assistant:",
            "marks": (),
        },
    ),
    Family(
        "DeepSeek-Math",
        _HUB.format("deepseek-ai/deepseek-math-7b-instruct"),
        **{
            **_DEEPSEEK,
            "user": "User: {}\n\n",
            "system": "{}\n\n",
            "turn": "Assistant: ",
            "head": "Assistant:",
            "marks": (),
        },
    ),
    Family(
        "Alpaca",
        "github.com/tatsu-lab/stanford_alpaca",
        user="### Instruction:\n{}\n\n",
        system="{}\n\n",
        turn="### Response:\n",
        after="</s>\n\n",
        bos="<s>",
        eos="</s>",
    ),
    Family(
        "Llama 2",
        _HUB.format("meta-llama/Llama-2-7b-chat-hf"),
        user="[INST] {} [/INST]",
        system="<<SYS>>\n{}\n<</SYS>>\n\n",
        turn=" ",
        head="",
        after=" </s>",
        bos="<s>",
        eos="</s>",
    ),
    Family(
        "Mistral v0.1",
        _HUB.format("mistralai/Mistral-7B-Instruct-v0.1"),
        user="[INST] {} [/INST]",
        system=None,
        turn=" ",
        head="",
        after="</s>",
        bos="<s>",
        eos="</s>",
    ),
    Family(
        "Vicuna",
        "github.com/lm-sys/FastChat",
        user="USER: {} ",
        system="{} ",
        turn="ASSISTANT: ",
        head="ASSISTANT:",
        after="</s>",
        bos="<s>",
        eos="</s>",
    ),
    Family(
        "RWKV",
        _HUB.format("RWKV/v6-Finch-7B-HF"),
        user="User: {}\n\n",
        system="{}\n\n",
        turn="Assistant: ",
        head="Assistant:",
        after="\n\n",
        eos="<s>",
    ),
    Family(
        "Jamba 1.5",
        _HUB.format("ai21labs/AI21-Jamba-1.5-Mini"),
        bos="<|startoftext|>",
        eos="<|eom|>",
        user="<|bom|><|user|> {}<|eom|>",
        system="<|bom|><|system|> {}<|eom|>",
        turn="<|bom|><|assistant|> ",
        head="<|bom|><|assistant|>",
        after="<|eom|>",
        marks=("<|bom|>", "<|user|>", "<|assistant|>", "<|system|>"),
    ),
    Family(
        "Mixtral",
        _HUB.format("mistralai/Mixtral-8x7B-Instruct-v0.1"),
        user="[INST] {} [/INST]",
        system=None,
        turn=" ",
        head="",
        after="</s>",
        bos="<s>",
        eos="</s>",
    ),
    Family(
        "Tulu 2",
        _HUB.format("allenai/tulu-2-7b"),
        user="<|user|>\n{}\n",
        system="<|system|>\n{}\n",
        turn="<|assistant|>\n",
        after="</s>\n",
        bos="<s>",
        eos="</s>",
    ),
    Family(
        "OLMo 2",
        _HUB.format("allenai/OLMo-2-1124-7B-Instruct"),
        user="<|user|>\n{}\n",
        system="<|system|>\n{}\n",
        turn="<|assistant|>\n",
        after="<|endoftext|>\n",
        bos="<|endoftext|>",
        eos="<|endoftext|>",
    ),
    Family(
        "SOLAR 10.7B",
        _HUB.format("upstage/SOLAR-10.7B-Instruct-v1.0"),
        user="### User:\n{}\n\n",
        system="### System:\n{}\n\n",
        turn="### Assistant:\n",
        after="</s>\n\n",
        bos="<s>",
        eos="</s>",
    ),
    Family(
        "OpenChat 3.5",
        _HUB.format("openchat/openchat-3.5-0106"),
        user="GPT4 Correct User: {}<|end_of_turn|>",
        system="{}<|end_of_turn|>",
        turn="GPT4 Correct Assistant: ",
        head="GPT4 Correct Assistant:",
        after="<|end_of_turn|>",
        bos="<s>",
        eos="<|end_of_turn|>",
    ),
    Family(
        "LLaVA 1.5",
        _HUB.format("llava-hf/llava-1.5-7b-hf"),
        user="USER: {} ",
        system="{} ",
        turn="ASSISTANT: ",
        head="ASSISTANT:",
        after=" ",
        eos="</s>",
    ),
    Family(
        "Idefics3",
        _HUB.format("HuggingFaceM4/Idefics3-8B-Llama3"),
        user="User: {}<end_of_utterance>\n",
        system="System: {}<end_of_utterance>\n",
        turn="Assistant: ",
        head="Assistant:",
        after="<end_of_utterance>\n",
        bos="<|begin_of_text|>",
        eos="<end_of_utterance>",
    ),
)


def family_of(name: str) -> Family | None:
    """The family that a name means, however it is written; None for one that is not here."""
    wanted = _words(name)
    fitting = [family for family in FAMILIES if _words(family.name) <= wanted]
    return max(fitting, key=lambda family: len(_words(family.name)), default=None)


def _words(name: str) -> set[str]:
    """The words and numbers of a name: "EXAONE-Deep" and "exaone deep 32B" have those of one family."""
    return set(re.findall(r"[a-z]+|\d+(?:\.\d+)?", name.lower()))
