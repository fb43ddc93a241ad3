"""Broken model folders: a sound one of a few kilobytes, and a table of what can be wrong with it.

Not here: what a command says of them.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

HIDDEN, VOCABULARY, CONTEXT = 64, 320, 4096
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_act": "silu",
    "hidden_size": HIDDEN,
    "intermediate_size": 128,
    "head_dim": 32,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "num_hidden_layers": 1,
    "max_position_embeddings": CONTEXT,
    "rms_norm_eps": 1e-6,
    "vocab_size": VOCABULARY,
    "tie_word_embeddings": True,
    "bos_token_id": 257,
    "eos_token_id": 258,
    "dtype": "float32",
}
TOKENIZER_CONFIG = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "chat_template": TEMPLATE}
POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 538090408\n"
)
HTML = b"<!DOCTYPE html>\n<html><body>401 Unauthorized</body></html>\n"
DEEP = 10_000

Harm = Callable[[Path], None]


def sound_model(folder: Path) -> Path:
    """A model that loads, of one layer, with a tokenizer of bytes."""
    folder.mkdir(parents=True)
    _write(folder / "config.json", CONFIG)
    _write(folder / "generation_config.json", {"eos_token_id": 258})
    _write(folder / "tokenizer_config.json", TOKENIZER_CONFIG)
    _write(folder / "tokenizer.json", _tokenizer())
    (folder / "model.safetensors").write_bytes(weights())
    return folder


def weights(vocabulary: int = VOCABULARY) -> bytes:
    """A safetensors file of the sound model, with small numbers everywhere."""
    query, keys, feed = 64, 32, 128
    layer = "model.layers.0."
    shapes = {
        "model.embed_tokens.weight": (vocabulary, HIDDEN),
        "model.norm.weight": (HIDDEN,),
        f"{layer}input_layernorm.weight": (HIDDEN,),
        f"{layer}post_attention_layernorm.weight": (HIDDEN,),
        f"{layer}self_attn.q_proj.weight": (query, HIDDEN),
        f"{layer}self_attn.k_proj.weight": (keys, HIDDEN),
        f"{layer}self_attn.v_proj.weight": (keys, HIDDEN),
        f"{layer}self_attn.o_proj.weight": (HIDDEN, query),
        f"{layer}mlp.gate_proj.weight": (feed, HIDDEN),
        f"{layer}mlp.up_proj.weight": (feed, HIDDEN),
        f"{layer}mlp.down_proj.weight": (HIDDEN, feed),
    }
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 4 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    numbers = b"".join(struct.pack("<f", (at * 37 % 101 - 50) / 500) for at in range(1, 102))
    return len(text).to_bytes(8, "little") + text + (numbers * (end // len(numbers) + 1))[:end]


def _tokenizer() -> dict[str, Any]:
    """A byte-level tokenizer without merges: 256 bytes and three special tokens."""
    letters = [chr(code) for code in (*range(33, 127), *range(161, 173), *range(174, 256))]
    letters += [chr(256 + at) for at in range(256 - len(letters))]
    special = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    model = {"type": "BPE", "dropout": None, "unk_token": None, "merges": []}
    return {
        "version": "1.0",
        "added_tokens": [{"id": 256 + at, "content": text, **flags} for at, text in enumerate(special)],
        "pre_tokenizer": level,
        "decoder": level,
        "model": {**model, "vocab": {letter: at for at, letter in enumerate(letters)}},
    }


def _write(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content), encoding="utf-8")


# Kinds of harm


def value(name: str, **values: Any) -> Harm:
    """Values of a JSON file in place of its own."""

    def harm(folder: Path) -> None:
        _write(folder / name, {**json.loads((folder / name).read_text(encoding="utf-8")), **values})

    return harm


def content(name: str, data: bytes | str) -> Harm:
    def harm(folder: Path) -> None:
        (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)

    return harm


def missing(*names: str) -> Harm:
    def harm(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return harm


def kind(name: str, make: Callable[[Path], object]) -> Harm:
    """Something else where a file should be."""

    def harm(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        make(folder / name)

    return harm


def template(text: str) -> Harm:
    return content("chat_template.jinja", text)


def _loop(file: Path) -> None:
    file.symlink_to(file.name)


def _nowhere(file: Path) -> None:
    file.symlink_to("nowhere")


def _cut(share: float) -> Harm:
    def harm(folder: Path) -> None:
        data = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(data[: int(len(data) * share)])

    return harm


def _header(text: str, length: int | None = None) -> Harm:
    data = text.encode()
    return content(
        "model.safetensors", (len(data) if length is None else length).to_bytes(8, "little") + data
    )


def _shards(index: Any) -> Harm:
    def harm(folder: Path) -> None:
        _write(folder / "model.safetensors.index.json", index)

    return harm


def _deep(name: str) -> Harm:
    return content(name, '{"a":' * DEEP + "1" + "}" * DEEP)


_CONFIG, _TOKENIZER, _GENERATION = "config.json", "tokenizer.json", "generation_config.json"
_OPTIONS, _WEIGHTS = "tokenizer_config.json", "model.safetensors"
_JSON = (_CONFIG, _TOKENIZER, _GENERATION, _OPTIONS)


def cases() -> Iterator[tuple[str, Harm]]:
    """Each harm with its name."""
    for name in _JSON:
        yield f"{name} is no JSON", content(name, "{'model_type': llama}")
        yield f"{name} is empty", content(name, b"")
        yield f"{name} is html", content(name, HTML)
        yield f"{name} is a pointer", content(name, POINTER)
        yield f"{name} is a list", content(name, "[1, 2]")
        yield f"{name} is null", content(name, "null")
        yield f"{name} is no UTF-8", content(name, b'{"model_type": "\xff\xfe"}')
        yield f"{name} is deep", _deep(name)
        yield f"{name} is a directory", kind(name, Path.mkdir)
        yield f"{name} is a pipe", kind(name, os.mkfifo)
        yield f"{name} is a link to nowhere", kind(name, _nowhere)
        yield f"{name} is a link to itself", kind(name, _loop)
        yield f"{name} is a device", kind(name, lambda file: file.symlink_to("/dev/zero"))
    for name in (_CONFIG, _TOKENIZER, _OPTIONS, _WEIGHTS):
        yield f"{name} is missing", missing(name)
    yield "no tokenizer", missing(_TOKENIZER, _OPTIONS)
    yield "nothing at all", missing(*_JSON, _WEIGHTS)

    numbers = ("hidden_size", "num_attention_heads", "num_hidden_layers", "num_key_value_heads", "vocab_size")
    for name in (*numbers, "max_position_embeddings"):
        for wrong in ("many", -1, 0, 1.5, [2], None, 10**40, True):
            yield f"{name} {wrong!r}", value(_CONFIG, **{name: wrong})
    for name in ("architectures", "model_type", "dtype", "text_config", "quantization_config", "layer_types"):
        for wrong in (7, "many", ["many"], {"many": 1}, [None], 1.5, True):
            yield f"{name} {wrong!r}", value(_CONFIG, **{name: wrong})
    for name in ("intermediate_size", "head_dim", "sliding_window", "kv_lora_rank", "moe_intermediate_size"):
        yield f"{name} as text", value(_CONFIG, **{name: "many"})
    yield "model_type unknown", value(_CONFIG, model_type="llama9000", architectures=["Llama9000ForCausalLM"])
    yield "neither type nor architecture", value(_CONFIG, model_type=None, architectures=None)
    yield (
        "weights of int4 with texts",
        value(_CONFIG, quantization_config={"quant_method": "awq", "bits": [4], "config_groups": {"a": 1}}),
    )
    yield "text_config with texts", value(_CONFIG, text_config={"num_hidden_layers": "a", "hidden_size": {}})

    for wrong in ("two", [1, "b"], -1, 10**30, {"a": 1}, [[2]], True, 1.5):
        yield f"eos_token_id {wrong!r}", value(_GENERATION, eos_token_id=wrong)
    for name in ("temperature", "top_p", "top_k", "repetition_penalty"):
        for wrong in ("hot", -1, [1], 10**400):
            yield f"{name} {wrong!r}"[:60], value(_GENERATION, **{name: wrong})
    yield "do_sample as text", value(_GENERATION, do_sample="perhaps")

    yield "weights are a pointer", content(_WEIGHTS, POINTER)
    yield "weights are html", content(_WEIGHTS, HTML)
    yield "weights are empty", content(_WEIGHTS, b"")
    yield "weights end early", _cut(0.5)
    yield "weights end in the header", _cut(0.001)
    yield "weights are seven bytes", content(_WEIGHTS, b"1234567")
    yield "weights with a header of 2 GB", _header("{}", 1 << 31)
    yield "weights with a header of 2^63 bytes", _header("{}", 1 << 63)
    yield "weights with a list for a header", _header("[1]")
    yield "weights with a text for a tensor", _header('{"model.norm.weight": "many"}')
    yield "weights with offsets of texts", _header('{"a": {"dtype": "F32", "data_offsets": ["a", "b"]}}')
    yield "weights with endless offsets", _header('{"a": {"shape": [1], "data_offsets": [0, 1e999]}}')
    yield "weights with a text for a shape", _header('{"a": {"shape": "ab", "data_offsets": [0, 0]}}')
    yield "weights with a deep header", _header('{"a":' * DEEP + "1" + "}" * DEEP)
    yield "weights are a directory", kind(_WEIGHTS, Path.mkdir)
    yield "weights are a pipe", kind(_WEIGHTS, os.mkfifo)
    yield "weights are a link to nowhere", kind(_WEIGHTS, _nowhere)
    yield "weights are a link to itself", kind(_WEIGHTS, _loop)
    yield "weights are a device", kind(_WEIGHTS, lambda file: file.symlink_to("/dev/zero"))
    yield "weights of a smaller vocabulary", content(_WEIGHTS, weights(200))
    yield (
        "vocabulary smaller than the tokenizer's",
        lambda folder: (
            value(_CONFIG, vocab_size=200)(folder),
            content(_WEIGHTS, weights(200))(folder),
        )[0],
    )
    yield (
        "index without its files",
        _shards({"weight_map": {"model.norm.weight": "model-00001-of-2.safetensors"}}),
    )
    yield "index that is a list", _shards([1])
    yield "index with a list for a map", _shards({"weight_map": ["a"]})
    yield "index with numbers for files", _shards({"weight_map": {"a": 1}})
    yield "index with a size of text", _shards({"metadata": {"total_size": "big"}, "weight_map": {}})
    yield "index with a text for metadata", _shards({"metadata": "big", "weight_map": {"a": _WEIGHTS}})
    yield "index that names another folder", _shards({"weight_map": {"a": "../../etc/passwd"}})
    yield "index that names a long file", _shards({"weight_map": {"a": "m" * 300}})
    yield "index that is a pipe", kind("model.safetensors.index.json", os.mkfifo)

    yield "tokenizer of another shape", content(_TOKENIZER, '{"version": "1.0", "model": {"type": "BPE"}}')
    yield "tokenizer without a model", content(_TOKENIZER, "{}")
    yield "tokenizer with a text for its vocabulary", value(_TOKENIZER, model={"type": "BPE", "vocab": "a"})
    yield "tokenizer with added tokens of texts", value(_TOKENIZER, added_tokens=["a"])
    yield "tokenizer without spaces", value(_TOKENIZER, decoder=None)
    yield (
        "tokenizer with one word",
        value(_TOKENIZER, model={"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}),
    )
    for wrong in (7, ["many"], {"many": 1}, True):
        yield f"chat_template {wrong!r}", value(_OPTIONS, chat_template=wrong)
        yield f"eos_token {wrong!r}", value(_OPTIONS, eos_token=wrong)
        yield f"tokenizer_class {wrong!r}", value(_OPTIONS, tokenizer_class=wrong)
    yield (
        "no end of turn",
        lambda folder: (
            value(_OPTIONS, eos_token=None)(folder),
            missing(_GENERATION)(folder),
        )[0],
    )
    yield "tokenizer with code", value(_OPTIONS, auto_map={"AutoTokenizer": ["code.Own", None]})
    yield "no chat template", value(_OPTIONS, chat_template=None)
    yield "named templates without a default", value(_OPTIONS, chat_template=[{"name": "a", "template": "b"}])
    yield "named templates of numbers", value(_OPTIONS, chat_template=[{"name": 1, "template": 2}])
    yield (
        "named templates with a list for a name",
        value(_OPTIONS, chat_template=[{"name": ["a"], "template": "b"}]),
    )
    yield "model_max_length of text", value(_OPTIONS, model_max_length="many")
    yield "template is a pipe", kind("chat_template.jinja", os.mkfifo)
    yield "template is a directory", kind("chat_template.jinja", Path.mkdir)
    yield "template is no UTF-8", content("chat_template.jinja", b"\xff\xfe{{ messages }}")
    yield "template.json is a pipe", kind("chat_template.json", os.mkfifo)
    yield "added templates are a file", content("additional_chat_templates", "a")
    yield "card is a pipe", kind("README.md", os.mkfifo)
    yield "card is a directory", kind("README.md", Path.mkdir)
    yield "card with a recursive front matter", content("README.md", "---\nlicense: &a [*a]\n---\n")
    yield "card with a deep front matter", content("README.md", "---\na: " + "[" * DEEP + "\n---\n")
    for name, text in TEMPLATES.items():
        yield f"template {name}", template(text)


_ROWS = "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}"
_ENDS = "{% endfor %}" * 3
TEMPLATES = {
    "is torn": "{% for message in messages %}{{ message",
    "has an unknown filter": "{{ messages | shuffled }}",
    "raises": "{{ raise_exception('no conversations today') }}",
    "raises in two lines": "{{ raise_exception('no\nconversations') }}",
    "divides by nothing": "{{ 1 // 0 }}",
    "has no such field": "{{ messages[0].a.b.c }}",
    "reads a private field": "{{ ''.__class__.__mro__ }}",
    "is empty": "",
    "writes nothing": "{% if false %}a{% endif %}",
    "hides the text": "<|im_start|>user<|im_end|>",
    "shouts": "{% for m in messages %}<|im_start|>{{ m.content | upper }}<|im_end|>{% endfor %}",
    "repeats the text": "{% for m in messages %}<|im_start|>{{ m.content * 3 }}<|im_end|>{% endfor %}",
    "recurses": "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
    "recurses over messages": "{% for m in messages recursive %}{{ loop(messages) }}{% endfor %}",
    "loops for ever": _ROWS + _ENDS + TEMPLATE,
    "writes for ever": _ROWS + "aaaaaaaa" + _ENDS,
    "loops over an answer": TEMPLATE
    + "{% if messages[-1].role == 'assistant' %}"
    + _ROWS
    + _ENDS
    + "{% endif %}",
    "loops over a long text": TEMPLATE
    + "{% if messages[0].content | length > 3000 %}"
    + _ROWS
    + _ENDS
    + "{% endif %}",
    "loops over a word": TEMPLATE
    + "{% if 'Magpie' in messages[0].content %}"
    + _ROWS
    + _ENDS
    + "{% endif %}",
    "allocates": "{{ 'a' * 10 ** 12 }}",
    "allocates by doubling": "{% set n = namespace(t='aaaaaaaa') %}{% for i in range(60) %}"
    "{% set n.t = n.t + n.t %}{% endfor %}{{ n.t }}",
    "allocates a list": "{{ [0] * 10 ** 11 }}",
    "counts far": "{{ range(10 ** 12) | list | length }}",
    "multiplies far": "{{ (9 ** (9 ** 9)) }}",
    "pads far": "{{ '%*d' % (10 ** 10, 1) }}",
    "centres far": "{{ 'a' | center(10 ** 11) }}",
    "indents far": "{{ 'a\nb' | indent(10 ** 11) }}",
    "writes megabytes": "{{ 'a' * 10 ** 7 }}" + TEMPLATE,
    "nests deep": "{% if true %}" * 3000 + "{% endif %}" * 3000,
    "nests brackets": "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    "adds for long": "{{ " + "1 + " * 5000 + "1 }}",
    "calls itself as a filter": "{% macro f() %}{{ caller() }}{% endmacro %}{% call f() %}{{ f() }}"
    "{% endcall %}",
    "has a NUL": "\0" + TEMPLATE,
    "has surrogates": TEMPLATE + "{{ '\\ud800' }}",
    "includes a file": "{% include '/etc/passwd' %}",
    "imports": "{% import 'os' as os %}{{ os }}",
}


def broken_models(folder: Path, step: int = 1) -> Iterator[tuple[str, Path]]:
    """Each broken model, or each `step`-th, in a folder of its own, which is removed after its turn."""
    sound = sound_model(folder / "sound")
    for name, harm in islice(cases(), 0, None, step):
        model = folder / "model"
        shutil.copytree(sound, model)
        harm(model)
        yield name, model
        shutil.rmtree(model)
