"""Chat formats of real model families, rebuilt small: a byte-level tokenizer with the family's markers, and
what Chat must say of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

SYSTEM = "The user will ask about rings."
# What the tests ask with; short, so that the expected texts stay readable.
PROBLEM, INSTRUCTION = "What is 1+1?", "Show the steps."

_CHATML = """\
{%- if messages[0].role != 'system' %}<|im_start|>system
DEFAULT<|im_end|>
{% endif %}
{%- for turn in messages %}<|im_start|>{{ turn.role }}
{{ turn.content }}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""

_LLAMA = """\
{{ bos_token }}
{%- for turn in messages %}<|start_header_id|>{{ turn.role }}<|end_header_id|>

{{ turn.content | trim }}<|eot_id|>
{%- endfor %}
{%- if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>

{% endif %}"""

_GEMMA = r"""
{{- bos_token }}
{%- set lead = messages[0].content ~ '\n\n' if messages[0].role == 'system' else '' %}
{%- for turn in messages if turn.role != 'system' %}<start_of_turn>
{{- 'model' if turn.role == 'assistant' else turn.role }}
{{ lead if loop.first }}{{ turn.content | trim }}<end_of_turn>
{% endfor %}
{%- if add_generation_prompt %}<start_of_turn>model
{% endif %}"""

_R1 = """\
{{ bos_token }}{{ messages[0].content if messages[0].role == 'system' }}
{%- for turn in messages if turn.role != 'system' %}
{%- if turn.role == 'user' %}<｜User｜>{{ turn.content }}
{%- else %}<｜Assistant｜>{{ turn.content.split('</think>')[-1] }}{{ eos_token }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}<｜Assistant｜><think>
{% endif %}"""

# No system role; published with Gemma 2 and Mistral-7B-Instruct-v0.1.
GEMMA_2 = r"""
{{- bos_token }}
{%- if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}
{%- for turn in messages %}
{%- if (turn.role == 'user') != (loop.index0 % 2 == 0) %}
{{- raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
{%- endif %}<start_of_turn>
{{- 'model' if turn.role == 'assistant' else turn.role }}
{{ turn.content | trim }}<end_of_turn>
{% endfor %}
{%- if add_generation_prompt %}<start_of_turn>model
{% endif %}"""
MISTRAL_1 = """\
{{ bos_token }}{% for turn in messages %}
{%- if (turn.role == 'user') != (loop.index0 % 2 == 0) %}
{{- raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
{%- endif %}
{%- if turn.role == 'user' %}{{ '[INST] ' ~ turn.content ~ ' [/INST]' }}
{%- else %}{{ turn.content ~ eos_token ~ ' ' }}{% endif %}
{%- endfor %}"""

# A text is a list of parts; published with LLaVA 1.5 and Idefics3.
LLAVA = """\
{% for turn in messages %}{% if turn.role != 'system' %}{{ turn.role.upper() + ': ' }}{% endif %}
{%- for part in turn.content | selectattr('type', 'equalto', 'image') %}<image>
{% endfor %}
{%- for part in turn.content | selectattr('type', 'equalto', 'text') %}{{ part.text + ' ' }}{% endfor %}
{%- endfor %}
{%- if add_generation_prompt %}ASSISTANT:{% endif %}"""
IDEFICS = """\
<s>{% for turn in messages %}{{ turn.role | capitalize }}
{%- if turn.content[0].type == 'image' %}{{ ':' }}{% else %}{{ ': ' }}{% endif %}
{%- for part in turn.content %}{% if part.type == 'text' %}{{ part.text }}{% else %}<image>{% endif %}
{%- endfor %}<end_of_utterance>
{% endfor %}
{%- if add_generation_prompt %}Assistant:{% endif %}"""


@dataclass(frozen=True)
class Format:
    """One family. `special` and `plain` are its added tokens, by the flag that the real tokenizer gives them.

    bare, steered: the pre-query prefix without and with SYSTEM; asked: PROBLEM with INSTRUCTION, closed;
    ends, turn_ends: the tokens whose ids end an answer and a problem; config_ends: those of them that only
    the generation config names. A format without a template is that of the demo model.
    """

    name: str
    eos: str
    bare: str
    steered: str
    asked: str
    note: str
    place: str
    ends: tuple[str, ...]
    template: str = ""
    bos: str | None = None
    special: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    config_ends: tuple[str, ...] = ()
    turn_ends: tuple[str, ...] = ()
    default_system: str | None = None
    opens_thinking: bool = False


def _chatml(name: str, default: str, place: str, **other: object) -> Format:
    told = PROBLEM if place == "default_system" else f"{PROBLEM}\n\n{INSTRUCTION}"
    return Format(
        name=name,
        eos="<|im_end|>",
        bare=f"<|im_start|>system\n{default}<|im_end|>\n<|im_start|>user\n",
        steered=f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n",
        asked=f"<|im_start|>system\n{default}<|im_end|>\n<|im_start|>user\n{told}<|im_end|>\n"
        "<|im_start|>assistant\n",
        note=f"system: {default}" if place == "default_system" else f"user: {INSTRUCTION}",
        place=place,
        default_system=default,
        **other,  # type: ignore[arg-type]
    )


def _qwen(name: str, default: str, place: str) -> Format:
    return _chatml(
        name,
        default,
        place,
        template=_CHATML.replace("DEFAULT", default),
        special=("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
        plain=("<tool_call>", "</tool_call>", "<|fim_prefix|>"),
        config_ends=("<|endoftext|>",),
        ends=("<|endoftext|>", "<|im_end|>"),
        turn_ends=("<|endoftext|>", "<|im_end|>"),
    )


SMOL = _chatml(
    "SmolLM2",
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face",
    "user",
    bos="<|im_start|>",
    ends=("<|im_end|>",),
    turn_ends=("<|im_end|>",),
)
QWEN_CODER = _qwen(
    "Qwen2.5-Coder", "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.", "user"
)
QWEN_MATH = _qwen(
    "Qwen2.5-Math",
    r"Please reason step by step, and put your final answer within \boxed{}.",
    "default_system",
)
LLAMA = Format(
    name="Llama-3",
    template=_LLAMA,
    bos="<|begin_of_text|>",
    eos="<|eot_id|>",
    special=(
        "<|begin_of_text|>",
        "<|end_of_text|>",
        "<|start_header_id|>",
        "<|end_header_id|>",
        "<|eot_id|>",
    ),
    bare="<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n",
    steered=f"<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n{SYSTEM}<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\n",
    asked=(
        f"<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n{PROBLEM}\n\n{INSTRUCTION}<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    ),
    note=f"user: {INSTRUCTION}",
    place="user",
    config_ends=("<|end_of_text|>",),
    ends=("<|end_of_text|>", "<|eot_id|>"),
    turn_ends=("<|end_of_text|>", "<|eot_id|>"),
)
GEMMA = Format(
    name="Gemma-3",
    template=_GEMMA,
    bos="<bos>",
    eos="<eos>",
    special=("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"),
    plain=("\n", "\n\n"),
    bare="<bos><start_of_turn>user\n",
    steered=f"<bos><start_of_turn>user\n{SYSTEM}\n\n",
    asked=f"<bos><start_of_turn>user\n{PROBLEM}\n\n{INSTRUCTION}<end_of_turn>\n<start_of_turn>model\n",
    note=f"user: {INSTRUCTION}",
    place="user",
    ends=("<eos>", "<end_of_turn>"),
    turn_ends=("<eos>", "<end_of_turn>"),
)
R1 = Format(
    name="DeepSeek-R1-Distill",
    template=_R1,
    bos="<｜begin▁of▁sentence｜>",
    eos="<｜end▁of▁sentence｜>",
    special=("<｜end▁of▁sentence｜>", "<｜begin▁of▁sentence｜>", "<｜▁pad▁｜>"),
    plain=("<｜User｜>", "<｜Assistant｜>", "<think>", "</think>"),
    bare="<｜begin▁of▁sentence｜><｜User｜>",
    steered=f"<｜begin▁of▁sentence｜>{SYSTEM}<｜User｜>",
    asked=f"<｜begin▁of▁sentence｜><｜User｜>{PROBLEM}\n\n{INSTRUCTION}<｜Assistant｜><think>\n",
    note=f"user: {INSTRUCTION}",
    place="user",
    ends=("<｜end▁of▁sentence｜>",),
    turn_ends=("<｜end▁of▁sentence｜>", "<｜Assistant｜>"),
    opens_thinking=True,
)
BUILT = (QWEN_CODER, QWEN_MATH, LLAMA, GEMMA, R1)


def byte_tokenizer(
    template: str | None,
    *,
    special: tuple[str, ...] = (),
    plain: tuple[str, ...] = (),
    bos: str | None = None,
    eos: str | None = None,
    joined: tuple[str, ...] = (),
) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer: every byte a token, besides the added tokens and the two-character `joined`
    ones.

    Like the real ones it adds a BOS by itself wherever it is not told otherwise.
    """
    vocabulary = {letter: i for i, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    merges = [(pair[0].replace(" ", "Ġ"), pair[1]) for pair in joined]
    vocabulary |= {left + right: len(vocabulary) + i for i, (left, right) in enumerate(merges)}
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    core.add_tokens([AddedToken(token, special=False, normalized=False) for token in plain])
    if bos is not None:
        core.post_processor = processors.TemplateProcessing(
            single=[bos, "$A"], pair=[bos, "$A", "$B"], special_tokens=[(bos, core.token_to_id(bos))]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token=bos, eos_token=eos, chat_template=template
    )


def tokenizer_of(form: Format, joined: tuple[str, ...] = ()) -> PreTrainedTokenizerFast:
    """The tokenizer of a format that has a template here."""
    return byte_tokenizer(
        form.template, special=form.special, plain=form.plain, bos=form.bos, eos=form.eos, joined=joined
    )


def ids_of(tokenizer: PreTrainedTokenizerFast, tokens: tuple[str, ...]) -> tuple[int, ...]:
    """The sorted ids of added tokens, each of which must be one."""
    added = {token.content: i for i, token in tokenizer.added_tokens_decoder.items()}
    return tuple(sorted(added[token] for token in tokens))
