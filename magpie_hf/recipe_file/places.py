"""Where each option of `magpie-hf build` stands in a recipe file: one table.

Not here: what an option takes and means, which the command line's own parser says.
"""

from __future__ import annotations

ON_THE_HUB = "hf://"  # how the name of a recipe on the Hub begins
# Groups that a recipe on the Hub cannot have: they send a key to a server, write folders, and publish.
NOT_FROM_THE_HUB = ("run", "publish")
# By group, the keys: each is the option of that name, or stands for the one behind "=". A new option needs a
# word here and nothing else.
GROUPS: dict[str, str] = {
    "model": "name=model revision chat_option steer topics dtype max_model_len engine_args engine_arg",
    "solver": "name=solver",
    "problems": (
        "dataset=problems column=problem_column answer=answer_column domain=domain_column"
        " split=problems_split where=problems_where revision=problems_revision licence=problems_licence"
        " as_given=problems_as_given use_reference"
    ),
    "scorer": "name=scorer judge reads=scorer_reads",
    "sampling": (
        "preset=sampling seed instruction_temperature instruction_top_p instruction_min_p"
        " instruction_max_tokens first_token_temperature temperature top_p min_p candidate_temperature"
        " candidate_top_p candidate_min_p max_tokens auto_extend"
    ),
    "selection": (
        "count scale tagger off_topic min_quality min_difficulty unsolvable languages near embedder"
        " decontaminate require_decontamination known_set min_yield"
    ),
    "answers": "k sft keep_minority tir",
    "labels": "checker program objections",
    "difficulty": "pass_model pass_votes pass_rate rl_pass_rate easy_share harden harden_model",
    "pairs": (
        "min_majority_share min_score_gap min_correctness_score_gap max_length_ratio rl_majority_share"
        " checked=pairs_checked rejected_solver chosen"
    ),
    "test": "share=test_share seed=test_seed",
    "publish": (
        "push public overwrite add tag card_lang card_template model_license license license_name"
        " license_link calibration"
    ),
    "run": (
        "out engine tensor_parallel_size data_parallel_size gpu_memory_utilization kv_cache_gb max_num_seqs"
        " endpoint server_kind patience ray ray_workers shard_size shards_in_flight progress"
    ),
}
# A text in place of these groups is one of their keys, as in `solver: owner/name`.
NAMED = {"model": "name", "solver": "name", "scorer": "name", "problems": "dataset"}
# Options whose text is a list with commas, and those that are given NAME=VALUE by NAME=VALUE.
LISTED = ("domains", "languages", "decontaminate")
PAIRED = ("chat_option", "engine_arg", "model_license", "problems_where")
# Of these, those whose values are texts as they stand; the others are JSON.
PLAIN = ("model_license", "problems_where")
# Of an option on the command line, the options of a file that it puts out beside the one of its own name.
BEATS = {
    "count": ("scale",),
    "scale": ("count",),
    "model": ("revision",),
    "problems": ("problems_revision", "problems_split", "problems_licence"),
    "scorer": ("judge",),
    "judge": ("scorer",),
    "tagger=none": ("off_topic", "min_quality", "min_difficulty", "unsolvable"),
    "endpoint": ("endpoint", "tensor_parallel_size", "data_parallel_size"),
}
# What only a file can say, beside the groups. A block has a reader in `blocks.py`; that of `domains` also
# takes what --domains takes. A scorer of one's own stands in its group, with the key `use`.
BLOCKS = ("domains", "steps", "rules")

_KEYS = {
    group: {word.partition("=")[0]: word.rpartition("=")[2] for word in words.split()}
    for group, words in GROUPS.items()
}
_PLACES = {option: f"{group}.{key}" for group, keys in _KEYS.items() for key, option in keys.items()}


def keys_of(group: str) -> dict[str, str]:
    """The keys of a group, each with its option."""
    return _KEYS[group]


def place_of(option: str) -> str:
    """The place of an option, as in "answers.k"; that of --domains is a block."""
    return option if option in BLOCKS else _PLACES[option]


def places() -> dict[str, str]:
    """The place of every option."""
    return {**_PLACES, "domains": "domains"}
