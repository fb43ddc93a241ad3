"""Which samples of a real model the rules keep, with and without a tagger, and how many of those are usable.

Run, one after the other:
  yield_of_rules.py sample MODEL SAMPLES.jsonl [COUNT] (default 100), over all domains of the package.
  yield_of_rules.py judge MODEL SAMPLES.jsonl VERDICTS.jsonl: what becomes of each by this code, and what is
    left of its text; another version of the package in PYTHONPATH gives that one's verdicts.
  yield_of_rules.py count SAMPLES.jsonl VERDICTS.jsonl...: each sample with its verdicts, and then how many
    each file keeps and how many of those are usable, by the mark of each sample in SAMPLES.jsonl. A reader
    adds it first: "usable", or "cut" for a text that is usable up to the solution that it holds, or anything
    else.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from magpie_hf import DOMAINS, VLLM, Acceptance, resolve
from magpie_hf.stage import seed_of
from magpie_hf.stages.clean import Clean
from magpie_hf.stages.tag import Tag

MOST_TOKENS = 320
WAYS = ("rules", "tagger")


def sample(model: str, file: Path, count: int) -> None:
    from magpie_hf.stages.instruct import Instruct

    engine = VLLM(resolve(model), max_num_seqs=16)
    with file.open("w") as stream:
        for at, (key, domain) in enumerate(DOMAINS.items()):
            size = (count + at) // len(DOMAINS)
            sampling = replace(domain.instruction, max_tokens=MOST_TOKENS)
            batch = {"domain": [key] * size, "seed": [seed_of(0, key, number) for number in range(size)]}
            for row in _rows(Instruct(engine, domain.system, sampling)(batch)):
                kept = {name: row[name] for name in ("domain", "raw_instruction", "raw_finish_reason")}
                stream.write(json.dumps(kept, ensure_ascii=False) + "\n")
    engine.close()


def judge(model: str, samples: Path, file: Path) -> None:
    engine = VLLM(resolve(model), max_num_seqs=16)
    stages = [
        Clean((engine.model,)),
        Tag(engine, tuple((domain.key, domain.subject) for domain in DOMAINS.values())),
    ]
    with suppress(ImportError):  # versions before it cut nothing
        from magpie_hf.stages.cut import Cut

        stages.append(Cut())
    read = [json.loads(line) for line in samples.read_text().splitlines()]
    batch: dict[str, list[Any]] = {name: [row[name] for row in read] for name in read[0]}
    batch["contaminated_by"] = [None] * len(read)
    clean = stages[0](batch)
    batch = clean
    for stage in stages[1:]:
        batch = stage(batch)
    engine.close()
    with file.open("w") as stream:
        for before, after in zip(_rows(clean), _rows(batch), strict=True):
            _, reason = Acceptance("keep").place(after, after["domain"], list(DOMAINS))
            found = {
                "rules": {"reason": before["dropped"], "problem": before["problem"]},
                "tagger": {"reason": reason, "problem": after["problem"]},
            }
            stream.write(json.dumps({**found, "tags": after["tags"]}, ensure_ascii=False) + "\n")


def counted(samples: Path, files: list[Path]) -> list[str]:
    """A line for each sample, and for each file and way: samples kept, and how many of them are usable.

    A sample with the mark "cut" is usable where its problem is only a beginning of its text.
    """
    read = [json.loads(line) for line in samples.read_text().splitlines()]
    found = {file.stem: [json.loads(line) for line in file.read_text().splitlines()] for file in files}
    lines = []
    for at, one in enumerate(read):
        reasons = [f"{name} {way} {rows[at][way]['reason']}" for name, rows in found.items() for way in WAYS]
        lines.append(f"{one['mark']}: {', '.join(reasons)}: {one['raw_instruction']!r}")
    usable = sum(one["mark"] in ("usable", "cut") for one in read)
    lines.append(f"{usable} of {len(read)} samples hold a usable problem")
    for name, verdicts in found.items():
        for way in WAYS:
            kept = [
                (one, two[way]["problem"])
                for one, two in zip(read, verdicts, strict=True)
                if two[way]["reason"] is None
            ]
            right = sum(
                one["mark"] == "usable"
                or (one["mark"] == "cut" and len(problem) < len(one["raw_instruction"].strip()))
                for one, problem in kept
            )
            lines.append(f"{name} {way}: {len(kept)} kept, {right} of them usable")
    return lines


def _rows(batch: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["sample", model, file, *count]:
            sample(model, Path(file), int(count[0]) if count else 100)
        case ["judge", model, samples, file]:
            judge(model, Path(samples), Path(file))
        case ["count", samples, *files]:
            print("\n".join(counted(Path(samples), list(map(Path, files)))))
        case _:
            sys.exit(__doc__)
