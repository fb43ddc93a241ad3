"""The JSON files of the original Magpie scripts, with their names and record fields.

Not here: the parquet files that trainers load.
"""

from __future__ import annotations

import datetime
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from magpie_hf.card.stats import Built, Tally
from magpie_hf.domains import Domain, opinion_sampling
from magpie_hf.models.chat import chat_of
from magpie_hf.recipe import Recipe
from magpie_hf.stages.exports.base import USED
from magpie_hf.stages.instruct import chosen
from magpie_hf.stages.published_answers import published_answers
from magpie_hf.store.shards import write_json

Record = dict[str, Any]


def file_names(recipe: Recipe, domain: str) -> list[str]:
    """The names of a domain's record files: instructions, answers, k candidates, scored candidates."""
    stem = f"{recipe.generator.model.short_name}_{domain}_ins"
    candidates = f"{stem}_{recipe.k}res"
    return [
        f"{stem}.json",
        f"{stem}_res.json",
        f"{candidates}.json",
        f"{candidates}_{recipe.scorer.suffix}.json",
    ]


def write_domain(recipe: Recipe, one: Built, numbers: Tally, folder: Path, created: int) -> None:
    """Write the four record files of a domain and its dataset_info.json, which counts their records.

    No file holds a truncated answer. The second holds the best published answer of each problem that has
    one. The third holds the problems with at least two complete candidates, and those candidates; the fourth
    the same of the candidates that are scored, too. created: seconds since 1970.
    """
    records = _Records(recipe, one, created)
    streams = (
        records.instructions(),
        records.answered(),
        records.several(scored=False),
        records.several(scored=True),
    )
    names = file_names(recipe, one.domain.key)
    counts = {name: _write_array(folder / name, stream) for name, stream in zip(names, streams, strict=True)}
    responses = {name: {str(n): counts[name][n] for n in sorted(counts[name])} for name in names[2:]}
    info = {
        "dataset_name": f"{recipe.generator.model.short_name}_{one.domain.key}",
        "model": recipe.generator.model.name,
        "domain": one.domain.key,
        "description": one.domain.subject,
        "total_problems": counts[names[0]].total(),
        "generation_date": _date(created),
        **{
            name: getattr(numbers.funnel.samples, name)
            for name in ("sampled", "dropped", "moved_away", "moved_here")
        },
        "files": {name: count.total() for name, count in counts.items()},
        "responses": responses,
    }
    write_json(folder / one.domain.key / "dataset_info.json", info)


def write_combined(recipe: Recipe, numbers: Mapping[str, Tally], folder: Path, created: int) -> None:
    """Write combined_dataset_info.json, about all domains."""
    domains = recipe.domains
    combined = {
        "dataset_name": f"{recipe.generator.model.short_name}_{'-'.join(domain.key for domain in domains)}",
        "model": recipe.generator.model.name,
        "total_problems": sum(one.funnel.problems for one in numbers.values()),
        "generation_date": _date(created),
        "domains": {
            domain.key: {
                "problems": numbers[domain.key].funnel.problems,
                "description": domain.subject,
                "directory": domain.key,
            }
            for domain in domains
        },
        "files_per_domain": {domain.key: file_names(recipe, domain.key) for domain in domains},
    }
    write_json(folder / "combined_dataset_info.json", combined)


_REFERRED = ("reference_answer", "matches_reference", "solution_matches")


class _Records:
    """Iterators over the four kinds of records of one domain."""

    def __init__(self, recipe: Recipe, one: Built, created: int) -> None:
        self.recipe, self.one, self.created = recipe, one, created
        chat = chat_of(recipe.generator.model)
        self.sampled_for = {domain.key: domain for domain in recipe.domains}
        self.templates: dict[str, dict[str | None, str | None]] = {}
        for domain in recipe.domains:
            system, place = recipe.steered(domain)
            systems = [system, *(text.system for text in recipe.texts(domain))]
            self.templates[domain.key] = {
                one: chat.prefix_text(one, place) if recipe.problems is None else None for one in systems
            }

    def instructions(self) -> Iterator[Record]:
        for row in self._problems():
            yield self._record(row)

    def answered(self) -> Iterator[Record]:
        used = self.recipe.reference == USED
        for row in self._problems():
            for answer in published_answers(row, self.recipe.sft, self.recipe.keep_minority, used)[:1]:
                domain = self.sampled_for[row["domain"]]
                sampling = domain.response if answer.is_cold else domain.candidate
                record = self._record(row, sampling, answer.response)
                yield {**record, "response": answer.response["text"]}

    def several(self, scored: bool) -> Iterator[Record]:
        """The problems with at least two complete candidates (scored: with a score, too), and those alone."""
        for row in self._problems():
            kept = [
                (candidate, score["score"])
                for candidate, score in zip(row["candidates"], row["scores"], strict=True)
                if candidate["reason"] is None and (score["score"] is not None or not scored)
            ]
            if len(kept) < 2:
                continue
            record = self._record(row, self.sampled_for[row["domain"]].candidate, kept[0][0])
            record |= {"responses": [candidate["text"] for candidate, _ in kept], "num_responses": len(kept)}
            if scored:
                record[f"rewards_{self.recipe.scorer.suffix}"] = [{"score": score} for _, score in kept]
            yield record

    def _sampled(self, domain: Domain, harder: bool) -> Record:
        """How a problem was sampled, or where it comes from. harder: whether it took another's place."""
        if harder and (engine := self.recipe.hardens) is not None:
            _, warm = opinion_sampling(domain, engine.model)
            asked = {name: getattr(warm, name) for name in ("temperature", "top_p", "min_p")}
            return {**asked, "input_generator": engine.model.name}
        if (own := self.recipe.problems) is not None:
            return {"temperature": None, "top_p": None, "min_p": None, "input_generator": own.name}
        return {
            "temperature": domain.instruction.temperature,
            "top_p": domain.instruction.top_p,
            "min_p": domain.instruction.min_p,
            "input_generator": self.recipe.generator.model.name,
        }

    def _problems(self) -> Iterator[Record]:
        return self.one.problems(
            ["id", "domain", "seed", "raw_instruction", "problem", "solutions", "candidates", "scores",
             "in_majority", "solution_agrees",
             *(_REFERRED if self.recipe.reference else ()), *(("round",) if self.recipe.harden else ())]
        )  # fmt: skip

    def _system(self, row: Record) -> str | None:
        """The text that the row was asked with."""
        domain = self.sampled_for[row["domain"]]
        if texts := self.recipe.texts(domain):
            return chosen(texts, row["seed"]).system
        return self.recipe.steered(domain)[0]

    def _record(self, row: Record, sampling: Any = None, response: Record | None = None) -> Record:
        domain, recipe = self.sampled_for[row["domain"]], self.recipe
        harder = bool(row.get("round"))
        answered = None
        if response is not None:
            answered = {
                "prompt": response["asked_with"],
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "top_k": sampling.top_k,
                "repetition_penalty": sampling.repetition_penalty,
                "max_tokens": sampling.max_tokens,
                "stop_tokens": list(chat_of(recipe.solver.model).end_ids),
                "output_generator": recipe.solver.model.name,
                "engine": "vllm",
            }
        return {
            "id": row["id"],
            "pre_query_template": None if harder else self.templates[domain.key][self._system(row)],
            "raw_instruction": row["problem" if harder else "raw_instruction"],
            "instruction": row["problem"],
            "response": None,
            "created": self.created,
            "gen_input_configs": {
                **self._sampled(domain, harder),
                "seed": row["seed"],
                "domain": self.one.domain.key,
            },
            "gen_response_configs": answered,
        }


def _write_array(file: Path, records: Iterable[Record]) -> Counter[int]:
    """Write records as a JSON array with one record per line, and count them by their responses."""
    counts = Counter[int]()
    with file.open("w", encoding="utf-8") as stream:
        stream.write("[")
        for record in records:
            stream.write(",\n" if counts else "\n")
            json.dump(record, stream, ensure_ascii=False, allow_nan=False)
            counts[record.get("num_responses", 0)] += 1
        stream.write("\n]\n")
    return counts


def _date(created: int) -> str:
    return datetime.datetime.fromtimestamp(created, datetime.UTC).date().isoformat()
