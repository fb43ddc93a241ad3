"""TRL's trainers train for two steps on what a Hub holds, with no mapping, and say on which words:
training.py MODEL REPO DOMAIN.

Not here: what the words should have been (test_trainers.py, which starts this in a process of its own for
each hash seed).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from datasets import Dataset, load_dataset
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
from trl import (
    DPOConfig,
    DPOTrainer,
    GRPOConfig,
    GRPOTrainer,
    KTOConfig,
    KTOTrainer,
    RewardConfig,
    RewardTrainer,
    SFTConfig,
    SFTTrainer,
)
from trl.experimental.cpo import CPOConfig, CPOTrainer
from trl.experimental.orpo import ORPOConfig, ORPOTrainer
from trl.rewards import accuracy_reward

STEPS, LENGTH = 2, 256
MODEL = "tiny"
WRONG = "It is \\boxed{-1}."

Said = dict[str, Any]


def make_model(tokenizer_of: str) -> None:
    """A Llama of random weights with the tokenizer of another model, as a folder."""
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_of)
    torch.manual_seed(0)
    sizes = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
    }
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=512,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **sizes,
    )
    LlamaForCausalLM(config).save_pretrained(MODEL)
    tokenizer.save_pretrained(MODEL)


def small(**more: Any) -> dict[str, Any]:
    """What all trainers are given: two steps of two rows on the CPU in float32, which keeps nothing and
    reports to nobody.
    """
    return {
        "output_dir": "trained",
        "max_steps": STEPS,
        "per_device_train_batch_size": 2,
        "per_device_eval_batch_size": 2,
        "logging_steps": 1,
        "learning_rate": 1e-3,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        **more,
    }


def trained(trainer: Any) -> Said:
    """Trains, and gives the loss of every step, of the rows held out where there are some, and whether any
    weight moved.
    """
    before = {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}
    trainer.train()
    held_out = trainer.evaluate()["eval_loss"] if trainer.eval_dataset else None
    moved = any(not torch.equal(weight, before[name]) for name, weight in trainer.model.named_parameters())
    logs = [log for log in trainer.state.log_history if "loss" in log]
    return {"losses": [log["loss"] for log in logs], "logs": logs, "eval_loss": held_out, "moved": moved}


def batches(trainer: Any) -> Iterator[tuple[dict[str, Any], list[tuple[str, str]]]]:
    """Every batch that the trainer makes of its rows, and of each sequence in it the text without loss and
    the text with it.
    """
    decode = trainer.processing_class.decode
    for batch in trainer.get_train_dataloader():
        present = batch["attention_mask"].bool()
        counts = (
            batch["labels"] != -100 if "labels" in batch else batch.get("completion_mask", present).bool()
        )
        sequences = zip(batch["input_ids"], present, counts, strict=True)
        yield batch, [(decode(ids[here & ~loss]), decode(ids[here & loss])) for ids, here, loss in sequences]


def pairs(trainer: Any) -> list[list[tuple[str, str]]]:
    """The chosen and the rejected sequence of every row: a batch holds first all chosen ones, then all
    rejected ones.
    """
    found = []
    for _, texts in batches(trainer):
        half = len(texts) // 2
        found += [[chosen, rejected] for chosen, rejected in zip(texts[:half], texts[half:], strict=True)]
    return found


def sft(rows: Dataset, held_out: Dataset | None) -> Said:
    trainer = SFTTrainer(
        MODEL, SFTConfig(**small(max_length=LENGTH)), train_dataset=rows, eval_dataset=held_out
    )
    return {"seen": [text for _, texts in batches(trainer) for text in texts], **trained(trainer)}


def dpo(rows: Dataset, held_out: Dataset | None) -> Said:
    trainer = DPOTrainer(
        MODEL, args=DPOConfig(**small(max_length=LENGTH)), train_dataset=rows, eval_dataset=held_out
    )
    return {"seen": pairs(trainer), **trained(trainer)}


def reward(rows: Dataset, held_out: Dataset | None) -> Said:
    trainer = RewardTrainer(
        MODEL, args=RewardConfig(**small(max_length=LENGTH)), train_dataset=rows, eval_dataset=held_out
    )
    return {"seen": pairs(trainer), **trained(trainer)}


def kto(rows: Dataset, held_out: Dataset | None) -> Said:
    trainer = KTOTrainer(
        MODEL, args=KTOConfig(**small(max_length=LENGTH)), train_dataset=rows, eval_dataset=held_out
    )
    seen = [
        (label, *text)
        for batch, texts in batches(trainer)
        for label, text in zip(batch["label"].tolist(), texts, strict=True)
    ]
    return {"seen": seen, **trained(trainer)}


def two_sided(trainer: Any) -> list[list[tuple[str, str]]]:
    """As `pairs`, for trainers whose batches hold the two sides apart."""
    decode = trainer.processing_class.decode
    found = []
    for batch in trainer.get_train_dataloader():
        sides = []
        for side in ("chosen", "rejected"):
            columns = (batch[f"{side}_{part}"] for part in ("input_ids", "attention_mask", "labels"))
            sides.append(
                [
                    (decode(ids[here & (labels == -100)]), decode(ids[here & (labels != -100)]))
                    for ids, mask, labels in zip(*columns, strict=True)
                    for here in [mask.bool()]
                ]
            )
        found += [list(pair) for pair in zip(*sides, strict=True)]
    return found


def alone(rows: Dataset) -> Dataset:
    """The columns that the trainers of ORPO, CPO and SimPO need alone, as the card says."""
    return rows.select_columns(["chosen", "rejected"])


def orpo(rows: Dataset) -> Said:
    trainer = ORPOTrainer(MODEL, args=ORPOConfig(**small(max_length=LENGTH)), train_dataset=rows)
    return {"seen": two_sided(trainer), **trained(trainer)}


def cpo(rows: Dataset, loss: str) -> Said:
    arguments = CPOConfig(
        **small(max_length=LENGTH, loss_type=loss, cpo_alpha=0.0 if loss == "simpo" else 1.0)
    )
    trainer = CPOTrainer(MODEL, args=arguments, train_dataset=rows)
    return {"seen": two_sided(trainer), **trained(trainer)}


def grpo(rows: Dataset) -> Said:
    arguments = GRPOConfig(**small(num_generations=2, max_completion_length=16))
    return trained(GRPOTrainer(MODEL, reward_funcs=accuracy_reward, args=arguments, train_dataset=rows))


def grpo_told(rows: Dataset) -> Said:
    """As grpo, but the first of a problem's two completions is its solution and the second is wrong, so that
    the reward has work.
    """
    solutions = {row["prompt"][0]["content"]: row["solution"] for row in rows}

    def tell(prompts: list[Any], trainer: Any) -> dict[str, Any]:
        tokenizer = trainer.processing_class
        said = [
            solutions[prompt[0]["content"]] if number % 2 == 0 else WRONG
            for number, prompt in enumerate(prompts)
        ]
        opened = [
            tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=False)
            for prompt in prompts
        ]
        return {"prompt_ids": opened, "completion_ids": tokenizer(said)["input_ids"], "logprobs": None}

    arguments = GRPOConfig(**small(num_generations=2, max_completion_length=64))
    return trained(
        GRPOTrainer(
            MODEL, reward_funcs=accuracy_reward, args=arguments, train_dataset=rows, rollout_func=tell
        )
    )


def without_messages(row: Said) -> Said:
    return {**row, "messages": None}


def failure(train: Callable[[], Said]) -> str | None:
    """What a trainer says of rows that it cannot train on; None where it trains."""
    try:
        train()
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def main(tokenizer_of: str, repo: str, domain: str) -> None:
    make_model(tokenizer_of)
    splits = load_dataset(repo)  # of all domains
    texts, prefs, rl = (
        splits["train_sft"],
        splits["train_prefs"],
        load_dataset(repo, f"{domain}_rl", split="train"),
    )
    held_out = splits.get("test_prefs") or None  # a split may be empty
    tools = load_dataset(repo, f"{domain}_tir", split="train")
    wrong = [[{"role": "assistant", "content": WRONG}]] * len(rl)
    said = {
        "sft": sft(texts, splits.get("test_sft") or None),
        "tir": sft(tools, None),
        "dpo": dpo(prefs, held_out),
        "reward": reward(prefs, held_out),
        "kto": kto(prefs, held_out),
        "orpo": orpo(alone(prefs)),
        "cpo": cpo(alone(prefs), "sigmoid"),
        "simpo": cpo(alone(prefs), "simpo"),
        "grpo": grpo(rl),
        "grpo, told": grpo_told(rl),
        "solutions": accuracy_reward(
            [[{"role": "assistant", "content": text}] for text in rl["solution"]], rl["solution"]
        ),
        "wrong answers": accuracy_reward(wrong, rl["solution"]),
        "reward, with a margin": reward(prefs.add_column("margin", [100.0] * len(prefs)), None),
        "sft, without messages": failure(
            lambda: sft(texts.map(without_messages, features=texts.features), None)
        ),
        "orpo, of all columns": failure(lambda: orpo(prefs)),
        "cpo, of all columns": failure(lambda: cpo(prefs, "sigmoid")),
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
