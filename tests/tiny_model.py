"""A tiny Llama for tests that need an engine's plumbing and no language: tiny_model.py MODEL.

It has two layers, and the tokenizer and chat template of MODEL, beside which it lies. Half a minute of
training has taught its random weights a grammar of a hundred words, so that a build gets rows from it: most
of what it samples is a problem that ends, and most of its answers end in a box. One of Japanese words greets
at times instead. Not here: what it is asked.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STEPS, BATCH, CONTEXT = 500, 8, 8192
SIZES = {"hidden_size": 64, "intermediate_size": 128, "head_dim": 32}
SIZES |= {"num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1}

NOUNS = "group field ring polygon graph series lattice tree plane matrix simplex triangle ellipse manifold"
ADJECTIVES = "symmetric bounded maximal regular compact ordered weighted smooth discrete uniform normal"


@dataclass(frozen=True)
class Grammar:
    """What a tiny model says, in one language.

    fillings: the words for each letter of the tasks and steps; chat: what it says in place of a problem, one
    time in five; ends: how an answer ends, by its result, which is one of five, so that some agree.
    """

    tasks: tuple[str, ...]
    steps: tuple[str, ...]
    fillings: dict[str, str]
    ends: tuple[str, ...]
    between: str = " "
    chat: tuple[str, ...] = ()

    def problem(self, dice: random.Random) -> str:
        if self.chat and dice.randrange(5) == 0:
            return dice.choice(self.chat)
        return dice.choice(self.tasks).format(**self.filling(dice))

    def solution(self, dice: random.Random) -> str:
        steps = [dice.choice(self.steps).format(**self.filling(dice)) for _ in range(dice.randint(1, 3))]
        result = dice.randint(1, 5)
        return self.between.join([*steps, self.ends[result % len(self.ends)].format(n=result)])

    def filling(self, dice: random.Random) -> dict[str, Any]:
        words = {name: dice.choice(words.split()) for name, words in self.fillings.items()}
        numbers = {name: dice.randint(2, most) for name, most in (("i", 999), ("j", 5), ("k", 99))}
        return {**words, **numbers}


ENGLISH = Grammar(
    tasks=(
        "Find the largest integer $n$ such that every {a} {s} of rank {i} has a {b} {t} of order"
        " $n^{j} + {k}n$.",
        "How many {a} {s} structures of order {i} admit a {b} {t} of rank {k}?",
        "Let $G$ be a {a} {s} of order {i}. Determine the number of {b} {t} structures of rank {k} in $G$.",
        "Compute the sum of all positive integers $n$ for which some {a} {s} of degree {i} is a {b} {t}.",
        "Determine the smallest real number $c$ such that $x^{j} + {k}x = c$ for a {a} {s} of rank {i}.",
    ),
    steps=(
        "The {a} {s} has order {i}, so $x = {k}$.",
        "We count {i} of them, since the {s} is {a}.",
        "Therefore each {s} of rank {k} is {a}.",
        "Note that $n^{j} + {k}n = {i}$.",
    ),
    fillings={"s": NOUNS, "t": NOUNS, "a": ADJECTIVES, "b": ADJECTIVES},
    ends=("The final answer is $\\boxed{{{n}}}$.",),
)
JAPANESE = Grammar(
    tasks=(
        "位数が {i} の{s}で、$x^{j} + {k}x = {i}$ を満たすものの個数を求めよ。",
        "次数 {k} の{s}と階数 {i} の{t}について、$n^{j} + {k}n$ の最小値を求めなさい。",
        "{i} 個の{s}から {k} 個を選ぶとき、{t}が現れる確率を求めよ。",
    ),
    steps=(
        "{s}の位数は {i} なので、$x = {k}$ となる。",
        "{t}は全部で {i} 個ある。",
        "したがって $n^{j} + {k}n = {i}$ である。",
    ),
    fillings={"s": (THINGS := "三角形 有限群 多項式 数列 行列 素数 円環 連続関数"), "t": THINGS},
    ends=("よって、答えは{n}個です。", "答えは $\\boxed{{{n}}}$ である。", "答え：{n}"),
    between="",
    chat=("こんにちは！", "ありがとうございます。", "おすすめの映画を教えて。"),
)
GRAMMARS = {"en": ENGLISH, "ja": JAPANESE}


def tiny_model_beside(model: Path, language: str = "en") -> Path:
    """The folder of the tiny model, made where it is missing; another text of this file makes another."""
    name = "tiny" if language == "en" else f"tiny-{language}"
    folder = model.parent / f"{name}-{hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]}"
    if not folder.is_dir():
        make(folder, model, language)
    return folder


def make(folder: Path, tokenizer_of: Path, language: str) -> None:
    """Train the model, and put it into `folder`, whole or not at all."""
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f"{folder.name}."))
    # In a process of its own, so that torch stays out of that of the tests.
    command = [sys.executable, __file__, str(partial), str(tokenizer_of), language]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    try:
        partial.rename(folder)
    except OSError:  # another worker was faster
        shutil.rmtree(partial)


def train(folder: Path, tokenizer_of: Path, language: str) -> None:
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from magpie_hf.domains import DOMAINS
    from magpie_hf.problems.system_texts import text_in
    from magpie_hf.stages.solving import instruction_in

    grammar, instruction = GRAMMARS[language], instruction_in({language})
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_of)
    dice = random.Random(0)
    torch.manual_seed(0)
    torch.set_num_threads(1)  # which is faster where others work, too, and the same everywhere
    systems = [None, *(text_in(language, domain.key, domain.subject) for domain in DOMAINS.values())]

    def conversation() -> tuple[list[int], list[bool]]:
        """Token ids, and which of them the model is to say."""
        system, asked, said = dice.choice(systems), grammar.problem(dice), grammar.solution(dice)
        before = [] if system is None else [{"role": "system", "content": system}]
        mark = {"role": "user", "content": "|"}
        opened = tokenizer.apply_chat_template([*before, mark], tokenize=False).split("|<")[0]
        answered = [{"role": "user", "content": f"{asked}\n\n{instruction}"}]
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
    if len(sys.argv) == 4:
        train(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
    elif len(sys.argv) == 2:
        tiny_model_beside(Path(sys.argv[1]))
    else:
        sys.exit(__doc__)
