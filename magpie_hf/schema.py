"""Arrow features of every stage column and of the published rows.

Not here: how a value comes about.
"""

from __future__ import annotations

from typing import Any, Literal

from datasets import Features, Value

SEED: dict[str, Any] = {"index": Value("int64"), "domain": Value("string"), "seed": Value("int64")}

# request: the key under which a later build finds the result instead of asking for it again.
INSTRUCTION: dict[str, Any] = {
    "id": Value("string"),
    "raw_instruction": Value("string"),
    "raw_finish_reason": Value("string"),
    "raw_prompt_tokens": Value("int32"),
    "raw_num_tokens": Value("int32"),
    "request": Value("string"),
}

# Of a domain with several system texts: what the row's text asks about, and who asks; null where it says
# neither.
TOPIC: dict[str, Any] = {"topic": Value("string"), "persona": Value("string")}

# Of a problem that was given, in place of a seed alone.
# given_id: from the domain and the text, so that the same problem has it in every build.
# withdrawn: whether the source no longer has it; its row keeps its place.
# reference: what the source says of its answer, as it stands there; null where it says nothing.
GIVEN: dict[str, Any] = {
    "given_id": Value("string"),
    "given": Value("string"),
    "withdrawn": Value("bool"),
}
REFERENCE: dict[str, Any] = {"reference": Value("string")}

# problem: the instruction, cleaned.
# language: the language it is written in (ISO 639-1); null where none is found, as in formulas alone.
# trimmed: the reason code of the part that was cut off; null where only outer white space was removed.
CLEAN: dict[str, Any] = {
    "problem": Value("string"),
    "language": Value("string"),
    "trimmed": Value("string"),
    "dropped": Value("string"),
}

# suspicions: reasons of uncertain rules that match, where they are left to the tagger; null where they drop.
SUSPICIONS: dict[str, Any] = {"suspicions": [Value("string")]}

# What the tagger says of a problem. Where its answer is invalid, `reason` says why and the labels are null.
# end: the last words of the task, as they stand there.
TAGS: dict[str, Any] = {
    "domain": Value("string"),
    "quality": Value("string"),
    "difficulty": Value("string"),
    "solvability": Value("string"),
    "category": Value("string"),
    "kind": Value("string"),
    "complete": Value("string"),
    "solution": Value("string"),
    "end": Value("string"),
    "reason": Value("string"),
    "num_tokens": Value("int32"),
    "request": Value("string"),
}

# normal_hash: hash of what a problem says, whatever its letters and persons are called.
# signature: MinHash of its words.
# symbols_hash: hash of its numbers and symbols, which tell apart problems with the same words.
# num_symbols: the number of symbols in its formulas.
SIGNATURE: dict[str, Any] = {
    "normal_hash": Value("int64"),
    "signature": [Value("uint32")],
    "symbols_hash": Value("int64"),
    "num_symbols": Value("int32"),
}

# contaminated_by: the benchmark row that the problem repeats, and the measure; null where there is none.
CONTAMINATION: dict[str, Any] = {"contaminated_by": Value("string")}

# embedding: of length 1; null where the engine gives none, and then embedding_reason says why.
EMBEDDING: dict[str, Any] = {
    "embedding": [Value("float32")],
    "embedding_reason": Value("string"),
    "embedding_request": Value("string"),
}

# nearest_benchmark: the benchmark's row that is nearest in meaning, with its cosine; null where none is near.
#   It is kept in memory alone, as it holds the benchmark's text.
NEAREST: dict[str, Any] = {
    "nearest_benchmark": {
        "row": Value("string"),
        "problem": Value("string"),
        "similarity": Value("float64"),
    }
}
NEAREST_KEY = "nearest"

# verdicts: "yes" or "no" to whether the two are the same problem, in either order, or the reason why there is
#   no answer.
RECOGNITION: dict[str, Any] = {
    "recognised": {
        "row": Value("string"),
        "similarity": Value("float64"),
        "verdicts": [Value("string")],
        "reason": Value("string"),
        "num_tokens": Value("int32"),
        "requests": [Value("string")],
    }
}

# known_neighbours: the problems of known sets that are nearest in meaning, the nearest first; only those that
#   a model is asked about hold a text. It is kept in memory alone.
KNOWN_NEIGHBOURS: dict[str, Any] = {"known_neighbours": [NEAREST["nearest_benchmark"]]}
KNOWN_KEY = "known_neighbours"

# nearest_known: the row of a known set that is this problem up to its numbers; else the one that is nearest
#   in meaning.
# known_similarity: the cosine of their embeddings.
# known_same: whether a model calls them the same up to numbers, in either order; false also where none is
#   near enough to be asked about, null where the problem has no embedding or the model gives no answer.
KNOWN: dict[str, Any] = {
    "nearest_known": Value("string"),
    "known_similarity": Value("float64"),
    "known_same": Value("bool"),
}
# known_compared: the known problems that were compared, as in `recognised`.
KNOWN_COMPARED: dict[str, Any] = {"known_compared": [RECOGNITION["recognised"]]}

# min_neighbor_distance: the cosine distance to the nearest other accepted problem of the build.
NEIGHBOUR: dict[str, Any] = {"min_neighbor_distance": Value("float32")}

# The columns that a recipe may leave out.
OPTIONAL: dict[str, Any] = {**SUSPICIONS, "tags": TAGS, **CONTAMINATION, **EMBEDDING, **NEIGHBOUR}

# accepted_as: the domain that a sample counts for; null where it is dropped.
# near_duplicate: the id of the accepted problem that a duplicate repeats.
SELECTION: dict[str, Any] = {
    "accepted_as": Value("string"),
    "near_duplicate": Value("string"),
    "dropped": Value("string"),
}

# One completion of a closed prompt.
# text: the whole turn as it is published, with the thinking in <think>.
# reason: why the completion is incomplete; null where it ended by itself and closed its thinking.
# asked_with: what the model was told besides the problem, and in which role.
# token_ids: those of a truncated completion, from which it can go on; null for any other.
# segments: the tokens of each request that a continued completion is made of; null for one request.
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
    "token_ids": [Value("int32")],
    "segments": [Value("int32")],
}

# The answer that is asked for on its own: one completion a problem, at the domain's sampling of answers. Null
# where the recipe does not ask for it.
COLD: dict[str, Any] = {"solutions": [RESPONSE]}

# All complete candidates vote, and the answer of COLD like one more, after them.
# answers, answer_clusters: aligned with `candidates`; null for a truncated candidate and for one without a
#   final answer. Cluster 0 is the largest; of equal ones, the one whose first voter comes first.
# answer_kind: "answer", "none" (no voter has an answer), or, without a vote, "proof" (the problem asks for no
#   answer) or "open" (by the tagger, several answers are right).
# majority_answer: the answer of the largest cluster, if it has at least two voters and is larger than all
#   others.
# majority_share: the largest cluster's share of the voters; null for fewer than two voters.
# in_majority: aligned with `candidates`; true for the majority's voters, false for those shown to differ,
#   else null.
# solution_agrees: the same of the answer of COLD; null without one.
# is_readable: whether a reward can check the majority's answer as a ground truth; null without a majority.
# unknown_pairs: the number of pairs of clusters that nothing shows to be different.
# mean_num_tokens: the mean length of the complete candidates.
VERIFY: dict[str, Any] = {
    "answers": [Value("string")],
    "answer_clusters": [Value("int32")],
    "cluster_sizes": [Value("int32")],
    "answer_kind": Value("string"),
    "majority_answer": Value("string"),
    "majority_share": Value("float64"),
    "in_majority": [Value("bool")],
    "solution_agrees": Value("bool"),
    "is_readable": Value("bool"),
    "unknown_pairs": Value("int32"),
    "mean_num_tokens": Value("float32"),
}

# checker_answer: the final answer of the checker, another model that saw the problem alone; null without one.
# checked: whether it is the majority's: "agrees", "differs" or "none"; null where the checker was not asked.
# checker_responses: its answers, of which the first may settle it.
SECOND_OPINION: dict[str, Any] = {
    "checker_answer": Value("string"),
    "checked": Value("string"),
    "checker_responses": [RESPONSE],
}

# harder_problem: a harder problem that a reasoning model made of this one; null where harder_reason says why
#   there is none.
# harder_rationale: what the model said before it, in its answer. harder_concept: what the problem needs.
HARDER: dict[str, Any] = {
    "harder_problem": Value("string"),
    "harder_rationale": Value("string"),
    "harder_concept": Value("string"),
    "harder_reason": Value("string"),
    "harder_response": RESPONSE,
}

# Of a row whose problem was replaced by a harder one; null of all others.
# PARENT: the text of the problem before; published as "parent", a name that shards of the run have taken.
# round: in which round. pass_rate_before: the pass rate of the problem before.
PARENT = "parent_problem"
ADOPTED: dict[str, Any] = {
    PARENT: Value("string"),
    "round": Value("int32"),
    "pass_rate_before": Value("float64"),
}

# What a model wrote when it was asked for programs; null where it was not asked.
PROGRAM_TEXT: dict[str, Any] = {"program_texts": [RESPONSE]}

# ending: how each program ended: see `programs.sandbox.Ran`; "no_program" where the text held none.
# program_answer, program_agrees: as checker_answer and checked, of what the programs printed.
PROGRAM: dict[str, Any] = {
    "programs": [
        {
            "source": Value("string"),
            "output": Value("string"),
            "ending": Value("string"),
            "error": Value("string"),
        }
    ],
    "program_answer": Value("string"),
    "program_agrees": Value("string"),
}

# objections: how many of three looks call a problem ill-posed; null where it was not looked at again.
OBJECTIONS: dict[str, Any] = {"objections": Value("int32"), "objection_responses": [RESPONSE]}

# pass_rate: the share of a model's answers that are shown to equal the label; null without a label, and then
#   so are the others.
# pass_votes: how many answers there are; two where these settle that the problem is too easy.
PASSES: dict[str, Any] = {
    "pass_rate": Value("float64"),
    "pass_votes": Value("int32"),
    "pass_responses": [RESPONSE],
}

# reference_answer: the final answer of the reference; null where there is none, and then so are the others.
# reference_agrees: whether the majority's answer equals it; null without a majority, or where that is not
#   decided.
# matches_reference: aligned with `candidates`; true for those that give it, false for those shown to differ.
# solution_matches: the same of the answer of COLD.
# reference_readable: whether a reward can check it as a ground truth.
REFERRED: dict[str, Any] = {
    "reference_answer": Value("string"),
    "reference_agrees": Value("bool"),
    "matches_reference": [Value("bool")],
    "solution_matches": Value("bool"),
    "reference_readable": Value("bool"),
}

# Answers with programs in them; null where the problem has no label.
# text, thinking: as in RESPONSE, with the programs and their outputs. answer: its final answer.
# agrees: whether that is the label; null where that is not decided. reason: why it is incomplete.
# num_tokens: those that the model wrote, in all rounds. rounds: each request's completion, word for word.
# runs: what the program at the end of each round printed, and how it ended (see `programs.sandbox.Ran`).
ROUND = {
    name: RESPONSE[name]
    for name in (
        "text", "finish_reason", "prompt_tokens", "num_tokens", "request", "token_ids", "segments",
    )
}  # fmt: skip
TOOL_ANSWERS: dict[str, Any] = {
    "tool_answers": [
        {
            "text": Value("string"),
            "thinking": Value("string"),
            "answer": Value("string"),
            "agrees": Value("bool"),
            "reason": Value("string"),
            "num_tokens": Value("int32"),
            "asked_with": Value("string"),
            "rounds": [ROUND],
            "runs": [{"output": Value("string"), "ending": Value("string"), "error": Value("string")}],
        }
    ]
}

# objectives, gate: see `scorers.Score`; null where a scorer has none.
SCORE: dict[str, Any] = {
    "score": Value("float32"),
    "reason": Value("string"),
    "objectives": [Value("float32")],
    "gate": [Value("float32")],
    "request": Value("string"),
}

# chosen_index, rejected_index: positions in `candidates`; null without a pair, and then pair_reason says why.
#   In a delta pair rejected_index is null, since rejected is `rejected_response`.
PAIR: dict[str, Any] = {
    "chosen_index": Value("int32"),
    "rejected_index": Value("int32"),
    "pair_kind": Value("string"),
    "pair_reason": Value("string"),
}

# rejected_response: an answer of a smaller model; null where it was not asked.
# rejected_agrees: whether its final answer is the majority's, or the reference where that is used; null where
#   that is not decided.
REJECTED: dict[str, Any] = {"rejected_response": RESPONSE, "rejected_agrees": Value("bool")}

MESSAGE: dict[str, Any] = {"role": Value("string"), "content": Value("string")}

_LABELS = {name: Value("string") for name in ("domain", "quality", "difficulty", "solvability", "category")}

# What a trainer loads: an SFT row for each published answer, a pair for each problem that has one.
# answer_rank: 1 for the best published answer of the problem; null where none is published.
# answer_count: the SFT rows of the problem. answer_checked: what the vote says of the row's answer.
# All splits have the same columns, and lists of messages are never null: TRL picks an
# arbitrary key of prompt, chosen, rejected, completion and messages to recognise conversations, so a null in
# any of them breaks it under some hash seeds.
PUBLISHED = Features(
    {
        "id": Value("string"),
        "domain": Value("string"),
        "messages": [MESSAGE],
        "chosen": [MESSAGE],
        "rejected": [MESSAGE],
        "chosen_text": Value("string"),
        "rejected_text": Value("string"),
        "has_pair": Value("bool"),
        "pair_kind": Value("string"),
        "problem": Value("string"),
        "language": Value("string"),
        "tags": _LABELS,
        "min_neighbor_distance": Value("float32"),
        "solution": Value("string"),
        "thinking": Value("string"),
        "answer": Value("string"),
        "answer_rank": Value("int32"),
        "answer_count": Value("int32"),
        "answer_checked": Value("string"),
        "answer_kind": Value("string"),
        "majority_answer": Value("string"),
        "majority_share": Value("float64"),
        "answer_votes": Value("int32"),
        "solution_agrees": Value("bool"),
        "candidate_tokens": Value("float32"),
        "score_chosen": Value("float32"),
        "score_rejected": Value("float32"),
        "score_gap": Value("float32"),
        "chosen_tokens": Value("int32"),
        "rejected_tokens": Value("int32"),
        "problem_tokens": Value("int32"),
        "solution_tokens": Value("int32"),
        "finish_reason": Value("string"),
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

Side = Literal["train", "test"]
Text = Literal["sft", "prefs"]
SIDES: tuple[Side, ...] = ("train", "test")
TEXT_SPLITS: tuple[Text, ...] = ("sft", "prefs")
# The splits to train on; test_sft and test_prefs hold the held-out problems
SPLITS = ("train_sft", "train_prefs")

# The configuration `candidates`, over all domains: one row a problem, with every candidate, its score and its
#   answer.
# solution_reason: why the problem has no SFT row; null where it has one.
# response: null where the candidate is incomplete, and then reason says why.
# segments: the tokens of each request that the candidate is made of; null for one request.
# score: null where score_reason says why.
# chosen_index, rejected_index: positions in candidates; null where pair_reason says why.
CANDIDATES = Features(
    {
        "id": Value("string"),
        "domain": Value("string"),
        "problem": Value("string"),
        "language": Value("string"),
        "tags": _LABELS,
        "solution_reason": Value("string"),
        "candidates": [
            {
                "response": Value("string"),
                "finish_reason": Value("string"),
                "reason": Value("string"),
                "num_tokens": Value("int32"),
                "segments": [Value("int32")],
                "score": Value("float32"),
                "score_reason": Value("string"),
                "objectives": [Value("float32")],
                "gate": [Value("float32")],
                "answer": Value("string"),
                "answer_cluster": Value("int32"),
                "in_majority": Value("bool"),
            }
        ],
        "answer_kind": Value("string"),
        "majority_answer": Value("string"),
        "majority_share": Value("float64"),
        "answer_votes": Value("int32"),
        "unknown_pairs": Value("int32"),
        "chosen_index": Value("int32"),
        "rejected_index": Value("int32"),
        "pair_kind": Value("string"),
        "pair_reason": Value("string"),
    }
)
CANDIDATES_CONFIG = "candidates"
# The columns that follow the others, in a domain's splits and in `candidates`, where problems were given with
# reference answers.
WITH_REFERENCE: dict[str, Any] = {name: REFERRED[name] for name in ("reference_answer", "reference_agrees")}
# Those that follow where a model or programs were asked for their opinion, also in `<domain>_rl`.
OPINIONS: dict[str, dict[str, Any]] = {
    "checker": {name: SECOND_OPINION[name] for name in ("checker_answer", "checked")},
    "program": {name: PROGRAM[name] for name in ("program_answer", "program_agrees")},
    "objections": {"objections": OBJECTIONS["objections"]},
    "known": KNOWN,
    "pass_rate": {name: PASSES[name] for name in ("pass_rate", "pass_votes")},
    "harden": {"parent" if name == PARENT else name: kind for name, kind in ADOPTED.items()},
}
# The same where a smaller model's answers are rejected ones.
WITH_DELTA: dict[str, dict[str, Any]] = {
    "texts": {"rejected_agrees": Value("bool")},
    CANDIDATES_CONFIG: {
        "rejected_response": Value("string"),
        "rejected_tokens": Value("int32"),
        "rejected_agrees": Value("bool"),
    },
}
DEFAULT_CONFIG = "default"  # the splits of texts of all domains; its files are the domains'
RL_SUFFIX = "_rl"  # of the configuration of a domain's RL problems
TIR_SUFFIX = "_tir"  # of that of its answers with tools
SUFFIXES = (RL_SUFFIX, TIR_SUFFIX)
# Names of other files, folders and configurations of a build, which no domain can have.
TAKEN = (
    "run",
    "own",
    "publishing",
    "dropped",
    "selection",
    "lock",
    "plots",
    CANDIDATES_CONFIG,
    DEFAULT_CONFIG,
)

# Samples that were not accepted.
DROPPED = Features(
    {
        "id": Value("string"),
        "domain": Value("string"),
        "reason": Value("string"),
        "near_duplicate": Value("string"),
        "contaminated_by": Value("string"),
        "language": Value("string"),
        "problem": Value("string"),
        "raw_instruction": Value("string"),
        "raw_finish_reason": Value("string"),
        "tags": _LABELS,
    }
)

# The configuration `<domain>_rl`, for reinforcement learning: problems whose answer most candidates agree on.
# TRL's GRPOTrainer reads `prompt` and passes `solution` to accuracy_reward; verl reads the other five. It is
# a configuration of its own because `prompt` must not stand beside `messages`.
RL = Features(
    {
        "id": Value("string"),
        "problem": Value("string"),
        "prompt": [MESSAGE],
        "solution": Value("string"),
        "data_source": Value("string"),
        "ability": Value("string"),
        "reward_model": {"style": Value("string"), "ground_truth": Value("string")},
        "extra_info": {"index": Value("int64"), "split": Value("string")},
        "majority_share": Value("float64"),
        "answer_votes": Value("int32"),
        "candidate_tokens": Value("float32"),
    }
)

# The configuration `<domain>_tir`, tool-integrated reasoning: a row for each answer with programs in it whose
# final answer is the label. The columns of texts, as far as they make sense; runs: programs that were run.
TIR = Features(
    {
        **{
            name: PUBLISHED[name]
            for name in (
                "id", "domain", "messages", "problem", "language", "tags", "solution", "thinking", "answer",
                "answer_rank", "answer_count",
            )
        },
        "runs": Value("int32"),
        **{
            name: PUBLISHED[name]
            for name in (
                "majority_answer", "majority_share", "answer_votes", "problem_tokens", "solution_tokens",
                "generation",
            )
        },
    }
)  # fmt: skip

# Columns that break TRL's trainers, or change what they train on, when a configuration has them.
FORBIDDEN = frozenset(
    "prompt completion label margin input_ids labels image images chat_template_kwargs ref_chosen_logps"
    " ref_rejected_logps chosen_ids rejected_ids seq_lengths environment tools conversations"
    " chosen_input_ids rejected_input_ids ref_logps ref_KL_logps completion_mask assistant_masks".split()
)
