"""Every reason code of a missing sample, answer or pair, and what it means.

Not here: the code that finds them.
"""

from __future__ import annotations

from collections.abc import Mapping

# Of samples: from their text, from the tagger, and from the problems accepted before them.
SAMPLES: dict[str, str] = {
    "length": "was truncated at the token limit",
    "context_full": "filled the model's context",
    "killed_engine": "ended the engine",
    "withdrawn": "is no longer in the source of the problems",
    "empty": "says nothing",
    "special_tokens": "holds a token of a chat format",
    "broken_characters": "holds control characters or halves of characters",
    "too_long": "is too long",
    "repetition": "runs in circles",
    "language": "is in another language, or in several scripts at once",
    "multiple_choice": "asks to choose among options that are not there",
    "missing": "refers to a figure, a table or a text that is not there",
    "chat": "is talk and no problem",
    "contains_solution": "goes on into its own solution, and where that begins is not certain",
    "several": "holds several problems",
    "too_short": "has too few words",
    "fragment": "begins in the middle of a sentence",
    "truncated": "ends in the middle of a sentence or a formula",
    "no_task": "asks for nothing",
    "contaminated": "repeats a benchmark's problem",
    "not_tagged": "got no valid labels from the tagger",
    "not_alone": "is not one complete task that stands alone, by the tagger",
    "unsolvable": "cannot be solved, by the tagger",
    "quality": "is of low quality, by the tagger",
    "difficulty": "is too easy, by the tagger",
    "off_topic": "is in another domain, by the tagger",
    "near_duplicate": "repeats a problem that was accepted before",
    "reviewed": "was marked bad by a person",
    "ill_posed": "is called ill-posed by two of three looks",
    "no_label": "has no label, and so no pass rate",
    "too_hard": "has a pass rate below the band",
    "too_easy": "has a pass rate above the band",
    "not_harder": "was made to be harder, and its pass rate or its majority says otherwise",
}

# Of harder problems that were not made, beside the reasons of samples and answers.
HARDER: dict[str, str] = {
    "no_problem": "no problem stands in marks",
    "same_problem": "repeats the problem that it was made of",
    "no_answer": "asks for a proof",
}

ANSWERS: dict[str, str] = {
    "thinking_not_closed": "never came from thinking to an answer",
    "minority": "differs from the majority's answer",
    "no_correct": "no answer is shown to equal the reference",
    "not_rated": "got no rating",
    "nan": "got one that is no number",
    "no_gate": "cannot be read by the reward model",
    "step_token_in_text": "holds the token at which the reward model rates",
}

PAIRS: dict[str, str] = {
    "no_correct": "no answer is shown to equal the reference",
    "incomplete": "fewer than two complete candidates",
    "unscored": "fewer than two scored ones",
    "same_text": "no two different texts",
    "length_ratio": "no two of similar length",
    "score_gap": "no two whose scores differ enough",
    "unconfirmed": "the majority's answer, which the checker or a program does not confirm",
}

REASONS = {**SAMPLES, **HARDER, **ANSWERS, **PAIRS}
INSIDE = ("near_duplicate", "reviewed", "not_harder")  # those of problems inside it
OUTSIDE = ("no_label", "too_hard", "too_easy")  # those of a band of pass rates


def inside_share(accepted: int, dropped: Mapping[str, int]) -> float | None:
    """The share of the answered samples that is inside a band of pass rates; None where none is outside.

    accepted: problems. dropped: samples by reason. Near-duplicates, what people mark bad, and what was
    not made harder, are inside it.
    """
    outside = sum(dropped.get(reason, 0) for reason in OUTSIDE)
    inside = inside_of(accepted, dropped)
    return inside / (inside + outside) if outside else None


def inside_of(accepted: int, dropped: Mapping[str, int]) -> int:
    """How many samples are inside a band: the accepted ones, and what is dropped only behind it."""
    return accepted + sum(dropped.get(reason, 0) for reason in INSIDE)
