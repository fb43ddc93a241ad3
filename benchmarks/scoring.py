"""Compares candidates per second of reward models on vLLM with the original's one-by-one scoring.

Usage: scoring.py [PROBLEMS] [ROUNDS] (default 16 2)

The original scores one text after the other with transformers. Both ways score the same k = 5 candidates per
problem with the same random models in float32 (8 layers of SmolLM2-135M's widths), in turn, round by round: a
Llama with a value head, and one with ArmoRM's heads. The texts are new in every round, so that no cache
helps. Loading is not counted. The scores of both ways are compared, too.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import results
import torch
from transformers import LlamaConfig, LlamaModel

from magpie_hf import VLLM, RewardModel, resolve

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import reward_models as tiny

K = 5
SIZES: dict[str, Any] = {
    **tiny.SIZES,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 8,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 2048,
}
Texts = tuple[list[str], list[str]]


def checkpoint(folder: Path, gated: bool) -> tiny.Tensors:
    """Save a random model, and return its tensors."""
    torch.manual_seed(0)
    tokenizer = tiny.llama_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer), **{key: value for key, value in SIZES.items() if key != "torch_dtype"}
    )
    trunk = {f"model.{name}": tensor.contiguous() for name, tensor in LlamaModel(config).state_dict().items()}
    wide = SIZES["hidden_size"]
    if not gated:
        tensors = {**trunk, "score.weight": torch.randn(1, wide) / wide**0.5}
        tiny.save(folder, "LlamaForSequenceClassification", tokenizer, tensors, num_labels=1, **SIZES)
        return tensors
    heads = {name: tensor for name, tensor in tiny.armorm_tensors(4).items() if not name.startswith("model.")}
    heads["regression_layer.weight"] = torch.randn(19, wide) / wide**0.5
    heads["gating.layers.0.weight"] = torch.randn(tiny.GATING["gating_hidden_dim"], wide) / wide**0.5
    tiny.save(folder, "LlamaForRewardModelWithGating", tokenizer, {**trunk, **heads}, **SIZES, **tiny.GATING)
    return {**trunk, **heads}


def one_by_one(tensors: tiny.Tensors, scorer: RewardModel) -> Callable[[Texts], list[float]]:
    """The original's way: one forward pass per text."""
    vocabulary = tensors["model.embed_tokens.weight"].shape[0]
    model = LlamaModel(
        LlamaConfig(
            vocab_size=vocabulary, **{key: value for key, value in SIZES.items() if key != "torch_dtype"}
        )
    )
    model.load_state_dict(
        {name.removeprefix("model."): tensor for name, tensor in tensors.items() if name.startswith("model.")}
    )
    model.eval()

    def score(problem: str, answer: str) -> float:
        reading = scorer._reading()
        (prompt,) = scorer._prompts(reading, [problem], [answer])
        with torch.no_grad():
            states = model(input_ids=torch.tensor([list(prompt)]), use_cache=False).last_hidden_state[0]
        if "score.weight" in tensors:
            return float(tensors["score.weight"] @ states[-1])
        parts = reading.parts(prompt, answer)
        assert isinstance(parts, list)
        return tiny.armorm_heads(tensors, states, len(parts[0]) - 1)[0]

    return lambda texts: [score(problem, answer) for problem, answer in zip(*texts, strict=True)]


def texts(problems: int, seed: int) -> Texts:
    """Problems of 80 to 200 tokens, each with k answers of 100 to 400 tokens."""
    dice = random.Random(seed)

    def text(least: int, most: int) -> str:
        return "".join(dice.choices("abcdefxyz +-=$\\{}^2", k=dice.randint(least, most)))

    asked = [text(80, 200) for _ in range(problems)]
    return [problem for problem in asked for _ in range(K)], [text(100, 400) for _ in range(problems * K)]


def measured(gated: bool, problems: int, rounds: int) -> dict[str, float]:
    """Candidates per second of both ways, their ratio, and the largest difference of their scores."""
    with tempfile.TemporaryDirectory() as folder:
        tensors = checkpoint(Path(folder), gated)
        scorer = RewardModel(VLLM(resolve(folder, dtype="float32"), runner="pooling"))
        alone = one_by_one(tensors, scorer)
        scorer(*texts(2, -1))
        alone(texts(1, -1))
        speeds: dict[str, list[float]] = {"vllm": [], "one_by_one": []}
        apart = 0.0
        for seed in range(rounds):
            asked = texts(problems, seed)
            began = time.perf_counter()
            mine = [score.score for score in scorer(*asked)]
            between = time.perf_counter()
            theirs = alone(asked)
            ended = time.perf_counter()
            speeds["vllm"].append(len(mine) / (between - began))
            speeds["one_by_one"].append(len(mine) / (ended - between))
            apart = max(
                apart,
                *(abs(a - b) if a is not None else float("inf") for a, b in zip(mine, theirs, strict=True)),
            )
        scorer.engine.close()
    ratio = statistics.mean(a / b for a, b in zip(speeds["vllm"], speeds["one_by_one"], strict=True))
    return {
        **{way: statistics.mean(values) for way, values in speeds.items()},
        "ratio": ratio,
        "largest_difference": apart,
    }


def main(problems: int, rounds: int) -> None:
    found = {name: measured(name == "armorm", problems, rounds) for name in ("classifier", "armorm")}
    results.record("scoring", {"problems": problems, "k": K, "rounds": rounds, **found})
    for name, values in found.items():
        print(
            f"{name:<11} {values['vllm']:6.1f} candidates/s on vLLM, {values['one_by_one']:6.1f} one by one,"
            f" ratio {values['ratio']:.2f}, scores differ by at most {values['largest_difference']:.1e}"
        )


if __name__ == "__main__":
    if len(sys.argv) > 3:
        sys.exit(__doc__)
    main(*[int(word) for word in [*sys.argv[1:], *["16", "2"][len(sys.argv) - 1 :]]])
