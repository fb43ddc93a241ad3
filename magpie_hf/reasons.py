"""Why a draw, an answer or a pair is not there: every reason code, and what it means. Not here: who finds it."""

from __future__ import annotations

# Of draws: by their text, by the tagger, and by what was accepted before them.
DRAWS: dict[str, str] = {
    "length": "was cut at the token limit",
    "no_room": "filled the model's context",
    "killed_engine": "ended the engine",
    "empty": "says nothing",
    "special_tokens": "holds a token of a chat format",
    "too_short": "has too few words",
    "too_long": "has too many words",
    "repetition": "runs in circles",
    "fragment": "begins in the middle of a sentence",
    "language": "is in another language, or in a mixture",
    "chat": "is talk and no problem",
    "cut": "ends in the middle, or its LaTeX does not close",
    "leak": "goes on into its own solution, and where that begins is not certain",
    "several": "holds several problems",
    "multiple_choice": "asks to choose among options that are not there",
    "missing": "refers to a figure, a table or a text that is not there",
    "contaminated": "repeats a benchmark's problem",
    "not_tagged": "got no valid labels from the tagger",
    "unsolvable": "cannot be solved, by the tagger",
    "quality": "is of low quality, by the tagger",
    "difficulty": "is too easy, by the tagger",
    "off_domain": "is in another domain, by the tagger",
    "twin": "repeats a problem that was accepted before",
}

ANSWERS: dict[str, str] = {
    "thinking_not_closed": "never came from thinking to an answer",
    "not_rated": "got no rating",
    "nan": "got one that is no number",
    "no_gate": "cannot be read by the reward model",
    "step_token_in_text": "holds the token at which the reward model rates",
}

PAIRS: dict[str, str] = {
    "incomplete": "fewer than two complete candidates",
    "unscored": "fewer than two scored ones",
    "same_text": "no two different texts",
    "length_ratio": "no two of similar length",
    "margin": "no two whose scores differ enough",
}

REASONS = {**DRAWS, **ANSWERS, **PAIRS}
