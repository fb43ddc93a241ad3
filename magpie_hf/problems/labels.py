"""The scales by which a tagger labels problems: each value with its meaning.

Not here: asking the tagger, and the use of its labels.
"""

from __future__ import annotations

# Values from worst to best, or from easiest to hardest; categories in no order.
QUALITY: dict[str, str] = {
    "very poor": "cannot be made sense of, or is not a question",
    "poor": "important parts are missing, wrong or muddled",
    "average": "can be understood, but is loosely worded or leaves details open",
    "good": "clear and complete, with small flaws at most",
    "excellent": (
        "clear, complete and precise: every symbol is defined and it is plain what is to be found or shown"
    ),
}
DIFFICULTY: dict[str, str] = {
    "very easy": "one step of school arithmetic",
    "easy": "a routine exercise at school",
    "medium": "several steps, or first-year university mathematics",
    "hard": "needs an idea: a competition or an advanced university course",
    "very hard": "an olympiad's last problems, a qualifying exam for a doctorate, or research",
}
SOLVABILITY: dict[str, str] = {
    "not_a_problem": "nothing is asked: a statement, a conversation, or a solution",
    "contradictory": "what is given excludes itself, or what is to be shown is false",
    "underdetermined": (
        "something that is needed is missing (a number, a figure, a definition), so there is no definite"
        " answer"
    ),
    "solvable": "what is given settles the answer, or what is to be shown can be proved",
}
CATEGORY: dict[str, str] = {
    "computation": "find a number or an expression, by calculation",
    "equation": "find all solutions of equations, inequalities or congruences",
    "counting": "how many there are, or with what probability",
    "optimization": "find a largest or smallest value, or a bound",
    "estimation": "an approximate, numerical or asymptotic value",
    "construction": "give an example, an algorithm or a figure",
    "proof": "prove, show, or decide whether a claim holds",
    "explanation": "explain a notion, a theorem or a method",
    "word_problem": "a story of everyday life that must be put into mathematics first",
    "other": "none of these",
}
KIND: dict[str, str] = {
    "computation": "one answer is asked for: a number, an expression, a set, yes or no",
    "proof": "something is to be proved or shown",
    "example": "any of several answers will do, such as an example or a construction",
    "essay": "a text is asked for: an explanation, a summary, a discussion",
    "talk": "a conversation, a greeting, a lesson, or advice",
}
OPEN = ("example", "essay")  # kinds with several right answers, so that no vote tells which one is wrong
COMPLETE: dict[str, str] = {
    "yes": "one complete task that can be worked on as it stands",
    "no": "cut off, several tasks, part of another task, or it needs a figure or table that is not there",
}
SOLUTION: dict[str, str] = {
    "none": "the text holds the task alone",
    "begun": "behind the task, an answer or a solution begins",
}
QUALITIES, DIFFICULTIES, SOLVABILITIES, CATEGORIES = map(tuple, (QUALITY, DIFFICULTY, SOLVABILITY, CATEGORY))
