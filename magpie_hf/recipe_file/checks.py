"""The range of each option that has one, so that a wrong value of a recipe is found at its line.

Not here: rules between several options, which the commands hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from magpie_hf.domains import DOMAINS, MOST_ROWS, scaled, select
from magpie_hf.errors import BadInput, shortened
from magpie_hf.limits import (
    band_of,
    check_auto_extend,
    check_easy_share,
    check_first_token,
    check_k,
    check_min_yield,
    check_near,
    check_pairs,
    check_pass_votes,
    check_rl,
    check_rounds,
    check_sft,
    check_tir,
)
from magpie_hf.models.names import repository_or_folder
from magpie_hf.models.sampling import Sampling
from magpie_hf.models.switches import parse_chat_options
from magpie_hf.problems.benchmarks.names import benchmarks_of, known_sets_of
from magpie_hf.problems.heldout import HeldOut
from magpie_hf.problems.system_texts import languages_of

_STEPS = ("instruction_", "candidate_", "")
_VALUES = ("temperature", "top_p", "min_p", "max_tokens")


def _count(count: int) -> None:
    if not 1 <= count <= MOST_ROWS:
        raise BadInput(f"count is {shortened(count)}; give 1 to {MOST_ROWS:,} problems a domain")


def _pair(name: str) -> Callable[[Any], None]:
    fine = {
        "min_majority_share": 0.5,
        "min_score_gap": None,
        "min_correctness_score_gap": None,
        "max_length_ratio": 4,
    }
    return lambda value: check_pairs(**{**fine, name: value})


def _sampling(name: str) -> Callable[[Any], object]:
    return lambda value: Sampling(**{name: value})


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _benchmarks(text: str) -> None:
    for part in _parts(text):
        if part and text != "none":
            benchmarks_of(part)


def _tagger(text: str) -> None:
    if text != "none":
        repository_or_folder(text)


CHECKS: Mapping[str, Callable[[Any], object]] = {
    "model": repository_or_folder,
    "solver": repository_or_folder,
    "judge": repository_or_folder,
    "embedder": repository_or_folder,
    "checker": repository_or_folder,
    "program": repository_or_folder,
    "rejected_solver": repository_or_folder,
    "pass_model": repository_or_folder,
    "pass_votes": check_pass_votes,
    "pass_rate": band_of,
    "rl_pass_rate": band_of,
    "easy_share": check_easy_share,
    "harden": check_rounds,
    "harden_model": repository_or_folder,
    "tagger": _tagger,
    "chat_option": lambda text: parse_chat_options([text]),
    "domains": lambda text: select(_parts(text)),
    "count": _count,
    "scale": lambda scale: scaled(DOMAINS["algebra"], scale),
    "k": check_k,
    "sft": check_sft,
    "languages": languages_of,
    "near": check_near,
    "decontaminate": _benchmarks,
    "known_set": known_sets_of,
    "min_yield": check_min_yield,
    "auto_extend": check_auto_extend,
    "first_token_temperature": check_first_token,
    "rl_majority_share": check_rl,
    "tir": check_tir,
    "test_share": HeldOut,
    **{
        name: _pair(name)
        for name in ("min_majority_share", "min_score_gap", "min_correctness_score_gap", "max_length_ratio")
    },
    **{f"{step}{name}": _sampling(name) for step in _STEPS for name in _VALUES},
}
