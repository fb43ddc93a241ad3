"""Arrow features of every stage column and of the published rows. Not here: how a value comes about."""

from __future__ import annotations

from typing import Any

from datasets import Features, Value

SEED: dict[str, Any] = {"index": Value("int64"), "domain": Value("string"), "seed": Value("int64")}

# request: the key by which a later build finds the result again instead of asking for it.
INSTRUCTION: dict[str, Any] = {
    "id": Value("string"),
    "raw_instruction": Value("string"),
    "raw_finish_reason": Value("string"),
    "raw_prompt_tokens": Value("int32"),
    "raw_num_tokens": Value("int32"),
    "request": Value("string"),
}

CLEAN: dict[str, Any] = {"problem": Value("string"), "dropped": Value("string")}

# One completion of a closed prompt. text: the whole turn, thinking inline; reason: null where it is complete (ended by itself, thinking
# closed), else why it is not; asked_with: what the model was told besides the problem, and in which role.
RESPONSE: dict[str, Any] = {
    "text": Value("string"),
    "thinking": Value("string"),
    "answer_text": Value("string"),
    "finish_reason": Value("string"),
    "reason": Value("string"),
    "asked_with": Value("string"),
    "prompt_tokens": Value("int32"),
    "num_tokens": Value("int32"),
    "request": Value("string"),
}

# objectives, gate: see `scorers.Score`; null where a scorer has none.
SCORE: dict[str, Any] = {
    "score": Value("float32"),
    "reason": Value("string"),
    "objectives": [Value("float32")],
    "gate": [Value("float32")],
    "request": Value("string"),
}

# Positions in `candidates`; null where no pair can be made.
PAIR: dict[str, Any] = {"chosen_index": Value("int32"), "rejected_index": Value("int32")}

MESSAGE: dict[str, Any] = {"role": Value("string"), "content": Value("string")}

# What a trainer loads: the same columns in every split, message lists never null (TRL picks an arbitrary key of prompt, chosen,
# rejected, completion and messages to tell conversations from text, so a null in any of them breaks it under some hash seeds).
PUBLISHED = Features(
    {
        "id": Value("string"),
        "domain": Value("string"),
        "messages": [MESSAGE],
        "chosen": [MESSAGE],
        "rejected": [MESSAGE],
        "has_pair": Value("bool"),
        "problem": Value("string"),
        "solution": Value("string"),
        "thinking": Value("string"),
        "answer": Value("string"),
        "score_chosen": Value("float32"),
        "score_rejected": Value("float32"),
        "score_margin": Value("float32"),
        "problem_tokens": Value("int32"),
        "solution_tokens": Value("int32"),
        "finish_reason": Value("string"),
        "candidates": [
            {
                "response": Value("string"),
                "score": Value("float32"),
                "answer": Value("string"),
                "finish_reason": Value("string"),
                "num_tokens": Value("int32"),
            }
        ],
        "generation": {
            "problem_model": Value("string"),
            "problem_revision": Value("string"),
            "response_model": Value("string"),
            "response_revision": Value("string"),
            "scorer": Value("string"),
            "seed": Value("int64"),
            "problem_temperature": Value("float64"),
            "response_temperature": Value("float64"),
            "candidate_temperature": Value("float64"),
            "asked_with": Value("string"),
        },
    }
)

SPLITS = ("train_sft", "train_prefs")

# Columns that train wrongly, or not at all, in TRL when they stand in a configuration.
FORBIDDEN = frozenset(
    "prompt completion label margin input_ids labels image images chat_template_kwargs ref_chosen_logps ref_rejected_logps "
    "chosen_ids rejected_ids seq_lengths environment".split()
)
