"""The readers of other frameworks, on a demo that a Hub holds, with the recipes of its card:
real_readers.py [NAME ...].

Not here: TRL's trainers (test_trainers.py), and the training of these frameworks.

Each is installed from the registry into build/readers (1.4 GB), without its dependencies where this
environment has what its readers import. Unsloth needs a GPU to be imported: unsloth_zoo 2026.10.9 takes
`messages` and TRL's pairs as they are, by its source. NeMo RL is not in the registry: at its commit 7ea279abf
the datasets that the card names were run by hand, and gave the same rows.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

Row = list[str]
Read = dict[str, list[Row]]  # "sft": problem, answer; "prefs": problem, chosen, rejected; "rl": prompt, ...

ROOT = Path(__file__).parent.parent
INSTALLED = ROOT / "build" / "readers"
# Shows where each turn begins and ends, so that one can tell what became of it.
TEMPLATE = (
    "{% for message in messages %}<{{ message.role }}>{{ message.content }}</{{ message.role }}>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
SLOW = "9^{9^{9^{9}}}"  # math-verify runs into its time limit


@dataclass(frozen=True)
class Reader:
    """A framework: what pip installs, and the function that reads with it in a process of its own.

    alone: in an environment of its own with all dependencies.
    """

    read: Callable[[Card, str], Any]
    requirements: str
    alone: bool = False


class Card:
    """The code of a card."""

    def __init__(self, text: str) -> None:
        self._fences = [
            (heading, language, code)
            for heading, part in re.findall(r"^### (.*?)\n(.*?)(?=^##)", text, re.MULTILINE | re.DOTALL)
            for language, code in re.findall(r"^```(\w+)\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)
        ]

    def of(self, heading: str, language: str) -> list[str]:
        return [code for head, kind, code in self._fences if (head, kind) == (heading, language)]


def turns(text: str) -> Row:
    """The contents of the turns in a text of `TEMPLATE`."""
    return [said for _, said in re.findall(r"<(user|assistant)>(.*?)(?:</\1>|$)", text, re.DOTALL) if said]


def tokenizer_of(model: str) -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.chat_template = TEMPLATE
    return tokenizer


# --- the readers, each in a process of its own --------------------------------------------------------------


def axolotl(card: Card, model: str) -> Read:
    import yaml
    from axolotl.prompt_strategies.chat_template import load
    from axolotl.prompt_strategies.dpo import load as load_pairs
    from axolotl.utils.dict import DictDefault
    from datasets import load_dataset

    tokenizer = tokenizer_of(model)
    sft, prefs = (DictDefault(yaml.safe_load(text)) for text in card.of("axolotl", "yaml"))
    rows = {
        name: load_dataset(given.datasets[0].path, given.datasets[0].name, split=given.datasets[0].split)
        for name, given in (("sft", sft), ("prefs", prefs))
    }
    strategy = load(tokenizer, DictDefault(sequence_len=4096, train_on_inputs=True), sft.datasets[0])
    transform, _ = load_pairs(prefs.datasets[0].type, prefs, dataset_idx=0)
    pairs = [transform(row, tokenizer=tokenizer) for row in rows["prefs"]]
    return {
        "sft": [
            turns(tokenizer.decode(strategy.tokenize_prompt(dict(row))["input_ids"])) for row in rows["sft"]
        ],
        "prefs": [
            [
                *turns(pair["prompt"]),
                *(pair[name].removesuffix("</assistant>") for name in ("chosen", "rejected")),
            ]
            for pair in pairs
        ],
    }


def llamafactory(card: Card, model: str) -> Read:
    # It imports torchaudio for sounds, and the registry's does not load beside every torch.
    silent = ModuleType("torchaudio")
    silent.__spec__ = ModuleSpec("torchaudio", None)
    sys.modules.setdefault("torchaudio", silent)
    from llamafactory.data.loader import _load_single_dataset
    from llamafactory.data.parser import get_dataset_list

    info = json.loads(card.of("LLaMA-Factory", "json")[0])
    unset = dict.fromkeys(
        ("cache_dir", "hf_hub_token", "preprocessing_num_workers", "max_samples", "media_dir")
    )
    arguments = SimpleNamespace(**unset, streaming=False, overwrite_cache=True, local_process_index=0)
    found = {}
    for name in ("sft", "prefs"):
        [attributes] = get_dataset_list([f"magpie_{name}"], info)
        rows = _load_single_dataset(attributes, arguments, arguments, arguments)
        found[name] = [
            [message["content"] for message in (*row["_prompt"], *row["_response"])] for row in rows
        ]
    return found


def swift(card: Card, model: str) -> Read:
    from swift.dataset import load_dataset, register_dataset_info

    Path("magpie.json").write_text(card.of("ms-swift", "json")[0], encoding="utf-8")
    register_dataset_info("magpie.json")
    sft, prefs, rl = (
        load_dataset([f"magpie_{name}"], use_hf=True, strict=True, remove_unused_columns=name != "rl")[0]
        for name in ("sft", "prefs", "rl")  # it sets that for its GRPO
    )

    def contents(messages: list[dict[str, str]]) -> Row:
        return [message["content"] for message in messages]

    return {
        "sft": [contents(row["messages"]) for row in sft],
        "prefs": [
            [*contents(row["messages"]), *contents(row["rejected_messages"])[1:]]
            for row in prefs
            if contents(row["messages"])[0] == contents(row["rejected_messages"])[0]
        ],
        "rl": [[*contents(row["messages"]), row["solution"]] for row in rl],
    }


def openrlhf(card: Card, model: str) -> Read:
    from openrlhf.datasets import RewardDataset, SFTDataset
    from openrlhf.datasets.utils import blending_datasets

    tokenizer, found = tokenizer_of(model), {}
    for command in card.of("OpenRLHF", "sh")[0].replace("\\\n", " ").splitlines():
        words = shlex.split(command)
        given: dict[str, Any] = {"chosen_key": "chosen", "rejected_key": "rejected"}  # its defaults
        for number, word in enumerate(words):
            if word.startswith("--data."):
                following = words[number + 1 :][:1]
                given[word.removeprefix("--data.")] = (
                    following[0] if following and not following[0].startswith("--") else True
                )
        strategy = SimpleNamespace(
            args=SimpleNamespace(data=SimpleNamespace(**given), use_ms=False),
            print=lambda *_: None,
            is_rank_0=lambda: False,
        )
        rows = blending_datasets(given["dataset"], None, strategy, dataset_split=given["dataset_split"])
        if "openrlhf.cli.train_sft" in words:
            texts = SFTDataset(rows, tokenizer, 4096, strategy, num_processors=1)
            found["sft"] = [
                [*turns(prompt), *turns(f"<assistant>{response}")]
                for prompt, response in zip(texts.prompts, texts.responses, strict=True)
            ]
        else:
            pairs = RewardDataset(rows, tokenizer, 4096, strategy, is_dpo=True, num_processors=1)
            found["prefs"] = [
                [*turns(prompt), *turns(f"<assistant>{chosen}"), *turns(f"<assistant>{rejected}")]
                for prompt, chosen, rejected in zip(pairs.prompts, pairs.chosens, pairs.rejects, strict=True)
            ]
    return {part: found[part] for part in ("sft", "prefs")}


def verl(card: Card, model: str) -> Read:
    """The prompts. verl's own manager, with the card's reward, rewards the gold, and no wrong or slow answer.
    verl's own reward by math-verify reads the gold, too.
    """
    import numpy as np
    import torch
    from huggingface_hub import hf_hub_download
    from omegaconf import OmegaConf
    from verl import DataProto
    from verl.trainer.ppo.reward import load_reward_manager
    from verl.utils.dataset.rl_dataset import RLHFDataset
    from verl.utils.reward_score import math_verify

    tokenizer = tokenizer_of(model)
    (code,), (command,) = card.of("verl", "python"), card.of("verl", "sh")
    repo = command.split()[2]
    Path("reward.py").write_text(code, encoding="utf-8")
    listed = re.search(r"data\.train_files='(.*?)'", command)
    assert listed
    files = [
        hf_hub_download(repo, name.removeprefix("data/"), repo_type="dataset")
        for name in json.loads(listed[1])
    ]
    config = OmegaConf.create({"max_prompt_length": 4096, "filter_overlong_prompts_workers": 1})
    rows = list(RLHFDataset(files, tokenizer, config))

    async def rewards(said: list[tuple[dict[str, Any], str]]) -> list[float]:
        reward = {
            "custom_reward_function": {"path": "reward.py", "name": "compute_score"},
            "reward_manager": {"source": "register", "name": "naive"},
        }
        manager = load_reward_manager(OmegaConf.create({"reward": reward}), tokenizer)

        def one(row: dict[str, Any], text: str) -> Any:
            prompt, response = (torch.tensor([tokenizer(part)["input_ids"]]) for part in ("?", text))
            mask = torch.ones(1, prompt.shape[1] + response.shape[1], dtype=torch.long)
            others = {
                name: np.array([row[name]], dtype=object)
                for name in ("data_source", "reward_model", "extra_info")
            }
            data = DataProto.from_dict(
                tensors={"prompts": prompt, "responses": response, "attention_mask": mask}, non_tensors=others
            )
            return manager.run_single(data)

        return [found["reward_score"] for found in await asyncio.gather(*(one(*pair) for pair in said))]

    golds = [row["reward_model"]["ground_truth"] for row in rows]
    said = [(row, f"It is $\\boxed{{{gold}}}$.") for row, gold in zip(rows, golds, strict=True)]
    said += [(row, "It is $\\boxed{-17}$.") for row in rows]
    said += [(rows[0], f"It is $\\boxed{{{SLOW}}}$.")]
    scores = asyncio.run(rewards(said))
    assert scores == [1.0] * len(rows) + [0.0] * (len(rows) + 1), scores
    assert {math_verify.compute_score(text, gold) for gold, (_, text) in zip(golds, said, strict=False)} == {
        1.0
    }
    return {
        "rl": [
            [row["raw_prompt"][0]["content"], f"$\\boxed{{{gold}}}$"]
            for row, gold in zip(rows, golds, strict=True)
        ]
    }


def old_datasets(card: Card, model: str) -> Read:
    """All rows of all configurations, by name and as plain parquet files, which must be the same."""
    from datasets import load_dataset
    from huggingface_hub import snapshot_download

    repo = json.loads(card.of("LLaMA-Factory", "json")[0])["magpie_sft"]["hf_hub_url"]
    folder = Path(snapshot_download(repo, repo_type="dataset"))
    found = {}
    for config in sorted({file.parent.name for file in folder.glob("*/*.parquet")}):
        named = load_dataset(repo, config)
        for split, rows in named.items():
            files = sorted(str(file) for file in (folder / config).glob(f"{split}-*.parquet"))
            plain = load_dataset("parquet", data_files=files, split="train")
            assert plain.features.type == rows.features.type
            assert plain.to_list() == rows.to_list()
            found[f"{config}/{split}"] = rows.to_list()
    return found


# omegaconf wants this version of antlr4; math-verify reads with it, too.
READERS = {
    "datasets-2": Reader(old_datasets, "datasets==2.21.0", alone=True),
    "datasets-3": Reader(old_datasets, "datasets==3.6.0", alone=True),
    "axolotl": Reader(axolotl, "axolotl==0.19.0 addict fire colorama"),
    "llamafactory": Reader(
        llamafactory, "llamafactory==0.9.5 omegaconf antlr4-python3-runtime==4.9.3 av peft fire"
    ),
    "ms-swift": Reader(
        swift,
        "ms-swift==4.6.0 modelscope modelscope_hub peft json-repair dacite binpacking addict simplejson",
    ),
    "openrlhf": Reader(openrlhf, "openrlhf==0.11.2"),
    "verl": Reader(
        verl,
        "verl==0.9.1 ray==2.60.0 tensordict<=0.10 omegaconf antlr4-python3-runtime==4.9.3 hydra-core"
        " codetiming torchdata cachetools pyvers orjson cloudpickle peft msgpack",
    ),
}


# --- all of them --------------------------------------------------------------------------------------------


def install(name: str) -> tuple[Path, dict[str, str]]:
    """The interpreter that has the framework, and the variables that it needs."""
    reader, folder = READERS[name], INSTALLED / name
    mark = folder / "installed.txt"
    python = folder / "bin" / "python" if reader.alone else Path(sys.executable)
    if not mark.is_file() or mark.read_text(encoding="utf-8") != reader.requirements:
        if reader.alone:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        where = [] if reader.alone else ["--no-deps", "--upgrade", "--target", str(folder)]
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *where, *reader.requirements.split()], check=True, timeout=900)
        mark.write_text(reader.requirements, encoding="utf-8")
    return python, {} if reader.alone else {"PYTHONPATH": str(folder)}


def expected(built: dict[str, Any]) -> Read:
    """What every reader should find in a build's datasets."""
    texts, rl = built["default"], built["algebra_rl"]["train"]
    found = {
        "sft": [[row["problem"], row["solution"]] for row in texts["train_sft"]],
        "prefs": [
            [row["problem"], row["chosen"][1]["content"], row["rejected"][1]["content"]]
            for row in texts["train_prefs"]
        ],
        "rl": [[row["prompt"][0]["content"], row["solution"]] for row in rl],
    }
    every = {
        f"{config}/{split}": rows.to_list()
        for config, splits in built.items()
        if config != "default"
        for split, rows in splits.items()
    }
    return {**found, **every}


def main(names: list[str], model: Path) -> int:
    from dataclasses import replace

    from test_hub import REPO, WRITER, ended, run

    from conftest import Answers, small_recipe
    from loopback_hub import loopback_hub
    from magpie_hf.building.build import build
    from magpie_hf.models.model import resolve

    failed = []
    with tempfile.TemporaryDirectory() as folder, loopback_hub({WRITER: ("ada", "write")}) as hub:
        out = Path(folder) / "out"
        answers = Answers(resolve(str(model)), answers=3)
        built = build(replace(small_recipe(answers, count=24, k=5), rl_majority_share=0.3), out)
        code, said = ended(run(hub, Path(folder) / "publisher", str(out), REPO))
        assert code == 0, said
        right = expected(built)
        card = Path(folder) / "card.md"
        card.write_bytes(hub.repositories[REPO].head.files["README.md"].content)
        for name in names:
            began = time.monotonic()
            python, variables = install(name)
            home = Path(folder) / name
            home.mkdir()
            environment = {
                **os.environ,
                "HF_ENDPOINT": hub.endpoint,
                "HF_HOME": str(home / "home"),
                "HF_HUB_OFFLINE": "0",
                "HF_HUB_DISABLE_XET": "1",
                "HF_HUB_DISABLE_TELEMETRY": "1",
                "HF_TOKEN": WRITER,
                "MODELSCOPE_CACHE": str(home / "modelscope"),
                **variables,
            }
            command = [str(python), str(Path(__file__)), "--read", name, str(card), str(model.resolve())]
            done = subprocess.run(
                command, cwd=home, env=environment, capture_output=True, text=True, timeout=600, check=False
            )
            found = json.loads((home / "read.json").read_text()) if done.returncode == 0 else {}
            wrong = [part for part, rows in found.items() if rows != right[part]]
            if not found or wrong:
                failed.append(name)
                print(done.stdout[-2000:], done.stderr[-3000:], sep="\n")
            counts = ", ".join(f"{len(rows)} {part}" for part, rows in found.items())
            print(
                f"{name} ({READERS[name].requirements.split()[0]}): {counts or 'failed'}"
                f"{'; WRONG: ' + ', '.join(wrong) if wrong else ''} ({time.monotonic() - began:.0f} s)",
                flush=True,
            )
    return 1 if failed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        reader, card_file, tokens = sys.argv[2:]
        read = READERS[reader].read(Card(Path(card_file).read_text(encoding="utf-8")), tokens)
        Path("read.json").write_text(json.dumps(read), encoding="utf-8")
    else:
        sys.exit(main(sys.argv[1:] or list(READERS), ROOT / ".demo" / "SmolLM2-135M-Instruct"))
