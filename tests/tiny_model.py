"""A tiny Llama for tests that need an engine's plumbing and no language: tiny_model.py MODEL.

It has two layers, and the tokenizer and chat template of MODEL, beside which it lies. Half a minute of
training has taught its random weights a grammar of a hundred words, so that a build gets rows from it: most
of what it samples is a problem that ends, and most of its answers end in a box. Not here:
what it is asked.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

STEPS, BATCH, CONTEXT = 500, 8, 8192
SIZES = {"hidden_size": 64, "intermediate_size": 128, "head_dim": 32}
SIZES |= {"num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1}

TASKS = (
    "Find the largest integer $n$ such that every {a} {s} of rank {i} has a {b} {t} of order $n^{j} + {k}n$.",
    "How many {a} {s} structures of order {i} admit a {b} {t} of rank {k}?",
    "Let $G$ be a {a} {s} of order {i}. Determine the number of {b} {t} structures of rank {k} in $G$.",
    "Compute the sum of all positive integers $n$ for which some {a} {s} of degree {i} is a {b} {t}.",
    "Determine the smallest real number $c$ such that $x^{j} + {k}x = c$ for a {a} {s} of rank {i}.",
)
NOUNS = "group field ring polygon graph series lattice tree plane matrix simplex triangle ellipse manifold"
ADJECTIVES = "symmetric bounded maximal regular compact ordered weighted smooth discrete uniform normal"
STEPS_OF = (
    "The {a} {s} has order {i}, so $x = {k}$.",
    "We count {i} of them, since the {s} is {a}.",
    "Therefore each {s} of rank {k} is {a}.",
    "Note that $n^{j} + {k}n = {i}$.",
)


def problem(dice: random.Random) -> str:
    return dice.choice(TASKS).format(**filling(dice))


def solution(dice: random.Random) -> str:
    """One to three steps, and one of five final answers, so that some agree."""
    steps = [dice.choice(STEPS_OF).format(**filling(dice)) for _ in range(dice.randint(1, 3))]
    return " ".join([*steps, f"The final answer is $\\boxed{{{dice.randint(1, 5)}}}$."])


def filling(dice: random.Random) -> dict[str, Any]:
    nouns = {name: dice.choice(NOUNS.split()) for name in "st"}
    adjectives = {name: dice.choice(ADJECTIVES.split()) for name in "ab"}
    numbers = {name: dice.randint(2, most) for name, most in (("i", 999), ("j", 5), ("k", 99))}
    return {**nouns, **adjectives, **numbers}


def tiny_model_beside(model: Path) -> Path:
    """The folder of the tiny model, made where it is missing; another text of this file makes another."""
    folder = model.parent / f"tiny-{hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]}"
    if not folder.is_dir():
        make(folder, model)
    return folder


def make(folder: Path, tokenizer_of: Path) -> None:
    """Train the model, and put it into `folder`, whole or not at all."""
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f"{folder.name}."))
    # In a process of its own, so that torch stays out of that of the tests.
    command = [sys.executable, __file__, str(partial), str(tokenizer_of)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    try:
        partial.rename(folder)
    except OSError:  # another worker was faster
        shutil.rmtree(partial)


def train(folder: Path, tokenizer_of: Path) -> None:
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from magpie_hf.domains import DOMAINS
    from magpie_hf.models.chat import SOLVING_INSTRUCTION

    tokenizer = AutoTokenizer.from_pretrained(tokenizer_of)
    dice = random.Random(0)
    torch.manual_seed(0)
    torch.set_num_threads(1)  # which is faster where others work, too, and the same everywhere
    systems = [None, *(domain.system for domain in DOMAINS.values())]

    def conversation() -> tuple[list[int], list[bool]]:
        """Token ids, and which of them the model is to say."""
        system, asked, said = dice.choice(systems), problem(dice), solution(dice)
        before = [] if system is None else [{"role": "system", "content": system}]
        mark = {"role": "user", "content": "|"}
        opened = tokenizer.apply_chat_template([*before, mark], tokenize=False).split("|<")[0]
        answered = [{"role": "user", "content": f"{asked}\n\n{SOLVING_INSTRUCTION}"}]
        closed = tokenizer.apply_chat_template(answered, tokenize=False, add_generation_prompt=True)
        end = tokenizer.eos_token
        asks = dice.random() < 0.5
        parts = [(opened if asks else closed, False), ((asked if asks else said) + end, True)]
        ids: list[int] = []
        loss: list[bool] = []
        for text, counts in parts:
            new = tokenizer(text, add_special_tokens=False)["input_ids"]
            ids, loss = ids + new, loss + [counts] * len(new)
        return ids, loss

    batches = []
    for _ in range(STEPS):
        rows = [conversation() for _ in range(BATCH)]
        width = max(len(ids) for ids, _ in rows)
        batches.append(
            (
                torch.tensor([ids + [0] * (width - len(ids)) for ids, _ in rows]),
                torch.tensor([loss + [False] * (width - len(loss)) for _, loss in rows]),
            )
        )
    said = torch.unique(torch.cat([ids[loss] for ids, loss in batches]))
    place = torch.zeros(len(tokenizer), dtype=torch.long)
    place[said] = torch.arange(len(said))
    ends = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    sizes = {"vocab_size": len(tokenizer), "max_position_embeddings": CONTEXT, **SIZES}
    config = LlamaConfig(tie_word_embeddings=False, **sizes, **ends)
    model = LlamaForCausalLM(config)
    torch.nn.init.normal_(model.model.embed_tokens.weight, std=0.3)
    # Only words that are said have a row in the head while it learns; the logits of all others count as 0.
    head = torch.nn.Parameter(torch.randn(len(said), SIZES["hidden_size"]) / 8)
    silent = torch.tensor(float(len(tokenizer) - len(said))).log()
    frozen = model.model.embed_tokens.weight.requires_grad_(False)
    inputs = torch.nn.Parameter(frozen[said].clone())
    weights = [weight for weight in model.model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW([*weights, head, inputs], lr=5e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=STEPS)
    known = torch.zeros(len(tokenizer), dtype=torch.bool)
    known[said] = True
    for number, (ids, loss) in enumerate(batches):
        embedded = torch.where(known[ids].unsqueeze(-1), inputs[place[ids]], frozen[ids])
        states = model.model(inputs_embeds=embedded).last_hidden_state[:, :-1][loss[:, 1:]]
        logits = states @ head.T
        mass = torch.logaddexp(logits.logsumexp(-1), silent)
        error = (mass - logits.gather(1, place[ids[:, 1:][loss[:, 1:]]].unsqueeze(1)).squeeze(1)).mean()
        optimizer.zero_grad()
        error.backward()
        torch.nn.utils.clip_grad_norm_([*weights, head, inputs], 1.0)
        optimizer.step()
        schedule.step()
        if number % 100 == 99:
            print(f"step {number + 1}: loss {error.item():.2f}")
    with torch.no_grad():
        frozen[said] = inputs
        torch.nn.init.normal_(model.lm_head.weight, std=0.01)  # so that no two logits are the same
        model.lm_head.weight[said] = head
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "generation_config.json").write_text(json.dumps(ends))
    card = "---\nlicense: mit\n---\n\nRandom weights that learned a grammar, made by tests/tiny_model.py.\n"
    (folder / "README.md").write_text(card)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        train(Path(sys.argv[1]), Path(sys.argv[2]))
    elif len(sys.argv) == 2:
        tiny_model_beside(Path(sys.argv[1]))
    else:
        sys.exit(__doc__)
