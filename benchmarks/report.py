"""Measures the cost of the report at full size; needs Chromium, but no model and no engine.

Usage: report.py [PROBLEMS] (default 44000)

Writes the files of a finished build directly, with answers as long as a reasoning model's; message lists,
which the report does not read, stay empty. Then writes the report and opens it. Prints wall and CPU seconds
of writing, peak memory and size in megabytes, and the browser's seconds to the first paint, until everything
works, to open the last row, and to search all problems and all texts.
"""

from __future__ import annotations

import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import results
from datasets import Features
from playwright.sync_api import Page, sync_playwright
from samples import problem

from magpie_hf.domains import DOMAINS
from magpie_hf.problems.labels import CATEGORIES, DIFFICULTIES, QUALITIES
from magpie_hf.schema import CANDIDATES, DROPPED, PUBLISHED
from magpie_hf.store.records import FORMAT

K = 5
DIMENSIONS = 384  # of an embedding, as of all-MiniLM-L6-v2
CHROMIUM = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
]
_WORDS = """
we the of a that is to and in for let be so then this hence since which by with consider note wait
actually check first second both sides equation expression factor root integral sum product term value
therefore because suppose assume substitute simplify obtain gives expanding comparing coefficients implies
positive negative integer prime even odd bounded monotone converges diverges angle radius triangle circle
vector matrix rank kernel image group ring field ideal graph vertex edge colour path cycle tree
probability expectation variance independent random variable distribution density normal uniform sample
mean estimator likelihood maximum minimum derivative tangent limit series sequence recurrence induction
hypothesis contradiction case remains possible only if alternatively maybe perhaps
""".split()
_FORMULAS = (
    "$x^{{{a}}} + {b}x - {c} = 0$", "\\( \\frac{{{a}}}{{{b}}} \\)",
    "$\\sum_{{n=1}}^{{{c}}} \\frac{{{b}}}{{n^{a}}}$", "$a_{{{a}}} = {b}$",
    "\\[ \\int_0^{{{a}}} \\sqrt{{x^2 + {b}}} \\, dx = {c} \\]", "$\\binom{{{c}}}{{{a}}}$",
    "$\\left( {a}, {b} \\right)$", "$y \\le {c}$",
)  # fmt: skip


def prose(dice: random.Random, size: int) -> str:
    """About `size` characters of text that looks like work on a problem."""
    parts, length = [], 0
    while length < size:
        words = " ".join(dice.choices(_WORDS, k=dice.randint(6, 16))).capitalize()
        formula = dice.choice(_FORMULAS).format(
            a=dice.randint(2, 9), b=dice.randint(2, 99), c=dice.randint(10, 9999)
        )
        parts.append(f"{words} {formula}.{' ' if dice.random() < 0.7 else chr(10) * 2}")
        length += len(parts[-1])
    return "".join(parts)


class Maker:
    """Makes rows of a build from pieces of one long text."""

    def __init__(self) -> None:
        self.dice = random.Random(0)
        self.text = prose(self.dice, 8_000_000)

    def slice(self, median: float, spread: float = 0.7) -> str:
        size = int(self.dice.lognormvariate(0, spread) * median)
        start = self.dice.randrange(len(self.text) - size)
        return self.text[start : start + size].partition(" ")[2]

    def turn(self, answer: int) -> str:
        return (
            f"<think>\n{self.slice(4000)}\n</think>\n\n{self.slice(1000)} The answer is"
            f" $\\boxed{{{answer}}}$."
        )

    def tags(self, domain: str) -> dict[str, str]:
        pick = self.dice.choices
        return {
            "domain": domain,
            "quality": pick(QUALITIES[2:], (3, 5, 2))[0],
            "difficulty": pick(DIFFICULTIES, (1, 3, 6, 5, 1))[0],
            "solvability": "solvable",
            "category": pick(CATEGORIES)[0],
        }

    def candidates(self, identity: str, domain: str, number: int) -> dict[str, Any]:
        """A row of `candidates`."""
        answers = self.dice.choices((number, number + 1, number * 2), (6, 2, 1), k=K)
        classes = [
            sorted(set(answers), key=lambda one: (-answers.count(one), one)).index(one) for one in answers
        ]
        scores = [round(self.dice.gauss(2.0 if one == 0 else 1.2, 0.8), 4) for one in classes]
        majority_share = classes.count(0) / K
        high, low = max(range(K), key=scores.__getitem__), min(range(K), key=scores.__getitem__)
        pair = (high, low) if scores[high] - scores[low] > 1 else (None, None)
        kind = None if pair[0] is None else "correctness" if classes[high] == 0 and classes[low] else "score"
        return {
            "id": identity,
            "domain": domain,
            "problem": problem(number),
            "language": "en",
            "tags": self.tags(domain),
            "candidates": [
                {
                    "response": self.turn(answer),
                    "finish_reason": "stop",
                    "num_tokens": int(self.dice.lognormvariate(7.3, 0.6)),
                    "score": score,
                    "answer": str(answer),
                    "answer_cluster": one,
                    "in_majority": one == 0,
                }
                for answer, one, score in zip(answers, classes, scores, strict=True)
            ],
            "answer_kind": "answer",
            "majority_answer": str(answers[classes.index(0)]) if majority_share > 0.5 else None,
            "majority_share": majority_share,
            "answer_votes": K,
            "unknown_pairs": 0,
            "chosen_index": pair[0],
            "rejected_index": pair[1],
            "pair_kind": kind,
            "pair_reason": None if kind else "score_gap",
        }

    def solved(self, row: dict[str, Any], number: int) -> dict[str, Any]:
        """A row of a problem with its answer, for SFT or as a pair."""
        chosen, rejected = row["chosen_index"], row["rejected_index"]
        pair = (
            {}
            if chosen is None
            else {
                "chosen_tokens": row["candidates"][chosen]["num_tokens"],
                "rejected_tokens": row["candidates"][rejected]["num_tokens"],
            }
        )
        return {
            **{
                name: row[name]
                for name in (
                    "id",
                    "domain",
                    "problem",
                    "language",
                    "tags",
                    "answer_kind",
                    "majority_answer",
                    "pair_kind",
                )
            },
            "messages": [],
            "chosen": [],
            "rejected": [],
            "has_pair": chosen is not None,
            "solution": self.turn(number),
            "thinking": "",
            "answer": str(number),
            "answer_rank": 1,
            "answer_count": 1,
            "answer_checked": "majority" if self.dice.random() < 0.8 else "no vote",
            "problem_tokens": int(self.dice.lognormvariate(4.5, 0.4)),
            "solution_tokens": int(self.dice.lognormvariate(7.3, 0.6)),
            "generation": {
                "problem_model": "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B",
                "seed": number,
                "response_temperature": 0.1,
            },
            **pair,
        }


def build_folder(folder: Path, problems: int) -> None:
    """Write a finished build of so many problems, over six domains in the proportion of their counts."""
    make, whole = Maker(), sum(domain.count for domain in DOMAINS.values())
    counts = {key: problems * domain.count // whole for key, domain in DOMAINS.items()}
    (folder / "run").mkdir(parents=True)
    files: list[str] = []
    samples = {}
    names: dict[str, list[str]] = {key: [] for key in counts}

    def candidates() -> Iterator[dict[str, Any]]:
        for key, count in counts.items():
            sft, prefs = [], []
            for number in range(count):
                row = make.candidates(f"{key}-{number:016x}", key, number * 7 + len(key))
                names[key].append(row["id"])
                solved = make.solved(row, number)
                sft.append({**solved, "messages": []})
                prefs += [{**solved, "solution": ""}] if row["pair_kind"] else []
                yield row
            files.append(_write(folder / key / "train_sft-00000-of-00001.parquet", PUBLISHED, iter(sft)))
            files.append(_write(folder / key / "train_prefs-00000-of-00001.parquet", PUBLISHED, iter(prefs)))

    files.append(_write(folder / "candidates" / "train-00000-of-00001.parquet", CANDIDATES, candidates()))
    for key, count in counts.items():
        dropped = list(_dropped(make, key, count))
        _write(folder / "run" / "dropped" / key / "train-00000-of-00001.parquet", DROPPED, iter(dropped))
        reasons = Counter(row["reason"] for row in dropped)
        samples[key] = {
            "sampled": count + len(dropped),
            "dropped": dict(sorted(reasons.items())),
            "contaminated": {},
            "moved_away": 0,
            "moved_here": 0,
            "tagged": count + len(dropped) // 2,
            "on_domain": count + len(dropped) // 3,
        }
        names[key] += [row["id"] for row in dropped]
    _embeddings(folder, names)
    _records(folder, counts, samples, [str(Path(file).relative_to(folder)) for file in files])


def _embeddings(folder: Path, names: dict[str, list[str]]) -> None:
    """A shard of embeddings of each domain, around a middle of its own."""
    dice = np.random.default_rng(0)
    for key, ids in names.items():
        vectors = dice.normal(size=DIMENSIONS) + dice.normal(0, 0.5, (len(ids), DIMENSIONS))
        flat = pa.array(vectors.astype(np.float32).ravel())
        embeddings = pa.ListArray.from_arrays(np.arange(0, flat.nbytes // 4 + 1, DIMENSIONS, np.int32), flat)
        for stage, column, values in (("instruct", "id", ids), ("embed", "embedding", embeddings)):
            file = folder / "run" / key / stage / f"{0:07d}-{len(ids):07d}.arrow"
            file.parent.mkdir(parents=True, exist_ok=True)
            table = pa.table({column: values})
            with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)


def _dropped(make: Maker, key: str, count: int) -> Iterator[dict[str, Any]]:
    reasons = (
        "near_duplicate",
        "off_topic",
        "difficulty",
        "quality",
        "length",
        "unsolvable",
        "contains_solution",
        "contaminated",
    )
    for number in range(int(count * 1.7)):
        (reason,) = make.dice.choices(reasons, (30, 20, 15, 12, 9, 7, 5, 2))
        text = f"{problem(10**6 + number)} {make.slice(200)}"
        yield {
            "id": f"{key}-d{number:015x}",
            "domain": key,
            "reason": reason,
            "language": "en",
            "problem": text,
            "raw_instruction": text,
            "near_duplicate": f"{key}-{make.dice.randrange(count):016x}"
            if reason == "near_duplicate"
            else None,
            "raw_finish_reason": "stop",
            "contaminated_by": f"gsm8k/test/{number} (all words)" if reason == "contaminated" else None,
            "tags": make.tags(key),
        }


def _write(file: Path, features: Features, rows: Iterator[dict[str, Any]]) -> str:
    file.parent.mkdir(parents=True, exist_ok=True)
    schema = features.arrow_schema
    with pq.ParquetWriter(file, schema) as writer:
        waiting: list[dict[str, Any]] = []
        for row in rows:
            waiting.append(row)
            if len(waiting) == 500:
                writer.write_table(pa.Table.from_pylist(waiting, schema=schema))
                waiting = []
        if waiting:
            writer.write_table(pa.Table.from_pylist(waiting, schema=schema))
    return str(file)


def _records(folder: Path, counts: dict[str, int], samples: dict[str, Any], files: list[str]) -> None:
    sampling = {
        "temperature": 0.6,
        "top_p": 0.95,
        "min_p": 0.1,
        "max_tokens": 8192,
        "repetition_penalty": 1.0,
    }
    model = {
        "name": "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B",
        "revision": "711ad2ea",
        "dtype": "bfloat16",
        "licence": None,
    }
    provenance = {
        "format": FORMAT,
        "models": [{**model, "steps": ["problems", "answers", "labels", "scores"]}],
        "scorer": {"title": "judge", "reads": "answer", "objectives": []},
        "domains": [
            {
                "key": key,
                "japanese": DOMAINS[key].japanese,
                "count": count,
                "sampling": dict.fromkeys(("problem", "answer"), sampling),
            }
            for key, count in counts.items()
        ],
        "k": K,
        "sft": "best",
        "keep_minority": False,
        "asked_with": None,
        "rl_majority_share": None,
        "languages": ["en"],
        "near": 0.8,
        "acceptance": {"min_quality": "average"},
        "pairing": {"min_majority_share": 0.5},
        "held_out": {"share": 0.0, "seed": 0},
        "benchmarks": [],
        "not_checked": [],
        "versions": {"magpie-hf": "0.1.0"},
    }
    stages = {name: name for name in ("instruct", "clean", "embed")}
    pipeline = {key: {"count": count, "samples": stages, "answers": {}} for key, count in counts.items()}
    record = {
        "format": FORMAT,
        "created": 0,
        "name": model["name"],
        "model": model["revision"],
        "seed": 0,
        "pipeline": pipeline,
        "finished": "yes",
    }
    kept = {
        "provenance": provenance,
        "samples": samples,
        "build": {**record, "sums": dict.fromkeys(files, "")},
    }
    for name, values in kept.items():
        (folder / "run" / f"{name}.json").write_text(json.dumps(values))
    (folder / "run" / "speed.jsonl").write_text("".join(json.dumps(event) + "\n" for event in _speed()))


def _speed() -> Iterator[dict[str, Any]]:
    dice, at, engine = random.Random(1), 1.8e9, "DeepSeek-R1-Distill-Qwen-32B"
    yield {"event": "build", "at": at, "what": "began", "seconds": 0.0}
    yield {"event": "opened", "at": at + 94, "engine": engine, "seconds": 94.0, "restart": False}
    for number in range(2400):
        at += 10
        if number in (900, 1700):
            at += 60
            yield {"event": "opened", "at": at, "engine": engine, "seconds": 55.0, "restart": True}
        rate = 21_000 * min(1.0, number / 40 + 0.1) * dice.uniform(0.9, 1.0) * (0.7 if number > 2100 else 1)
        tokens = int(rate * 10)
        yield {
            "event": "interval",
            "at": at + 94,
            "engine": engine,
            "seconds": 10.0,
            "running": 240.0,
            "requests": tokens // 1400,
            "prompt_tokens": tokens // 10,
            "tokens": tokens,
        }
    yield {"event": "build", "at": at + 95, "what": "finished", "seconds": at + 95 - 1.8e9}


def written(folder: Path, file: Path) -> dict[str, float]:
    """Wall and CPU seconds of the command, its peak memory and its file's size in megabytes."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "magpie_hf", "report", str(folder), "--out", str(file)], check=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "seconds": time.perf_counter() - began,
        "processor_seconds": used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime,
        "peak_megabytes": used.ru_maxrss / 1e3,
        "megabytes": file.stat().st_size / 1e6,
    }


def opened(file: Path) -> dict[str, float]:
    """Seconds in the browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM)
        page = browser.new_page()
        page.goto(file.as_uri(), wait_until="commit")
        page.wait_for_selector("html[data-ready]", timeout=120_000)
        seen = page.evaluate(
            """() => {
                const seconds = (name) => (performance.getEntriesByName(name)[0]?.startTime ?? 0) / 1000;
                const paint = seconds("first-contentful-paint");
                return {interactive: seconds("interactive"), first_picture: paint};
            }"""
        )
        page.wait_for_load_state("load")
        seen["whole"] = (
            page.evaluate("performance.timing.loadEventEnd - performance.timing.navigationStart") / 1000
        )
        page.keyboard.press("2")
        seen["last_row"] = _timed(
            page, lambda: page.keyboard.press("End"), "#rows[data-rendered]:not([data-rendered=''])"
        )
        seen["search"] = _searched(page, "hilbert space of rank")
        page.check("#everywhere")
        seen["search_everything"] = _searched(page, "comparing coefficients implies")
        browser.close()
        return {name: round(value, 3) for name, value in seen.items()}


def _timed(page: Page, action: Any, selector: str) -> float:
    began = time.perf_counter()
    action()
    page.wait_for_selector(selector, timeout=60_000)
    return time.perf_counter() - began


def _searched(page: Page, text: str) -> float:
    before = page.inner_text("#found")
    began = time.perf_counter()
    page.fill("#search", text)
    page.wait_for_function(
        "before => { const now = document.getElementById('found').textContent; return now !== before &&"
        " !now.includes('…'); }",
        arg=before,
        timeout=300_000,
    )
    return time.perf_counter() - began


def main(problems: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, file = Path(name) / "build", Path(name) / "report.html"
        build_folder(folder, problems)
        values = {"problems": problems, **written(folder, file), "browser": opened(file)}
    print(json.dumps(values, indent=2))
    results.record("report", values)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 44_000)
