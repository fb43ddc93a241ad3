"""A text that ends in endless repetition is found; people's texts are left alone."""

from __future__ import annotations

import random

import pytest

from magpie_hf.answers.repetition import ends_in_repetition

WORDS = "let the sum of all roots be two and so we find that it is not one of them for any prime".split()


def prose(size: int, seed: int = 0) -> str:
    """Text of so many characters without a repeated tail."""
    rng = random.Random(seed)
    return " ".join(f"{rng.choice(WORDS)} {rng.randrange(1000)}" for _ in range(size))[:size]


@pytest.mark.parametrize("span", [1, 2, 7, 15, 16, 17, 33, 100, 511, 512, 513, 1500, 4097, 8192])
@pytest.mark.parametrize("cut", [0.0, 0.5, 0.99])
def test_a_span_said_again_and_again_is_found_wherever_it_is_cut(span: int, cut: float) -> None:
    said = prose(span, seed=span)
    times = max(5, 300 // span)
    text = prose(700, seed=1) + said * times + said[: int(span * cut)]
    assert ends_in_repetition(text)
    assert not ends_in_repetition(text + " Therefore the answer is 7.")


def test_a_span_within_which_something_repeats_is_found() -> None:
    for short in (5, 40, 300):
        inner = prose(short, seed=short) * 3
        assert ends_in_repetition(prose(200) + (inner + "Wait, let me check that again.\n") * 5)


@pytest.mark.parametrize(("times", "found"), [(3, False), (4, True)])
def test_four_times_is_a_repetition(times: int, found: bool) -> None:
    assert ends_in_repetition(prose(500) + prose(90, seed=2) * times) is found


@pytest.mark.parametrize(("characters", "found"), [(199, False), (200, True)])
def test_two_hundred_characters_are_a_repetition(characters: int, found: bool) -> None:
    assert ends_in_repetition("x = 0." + "3" * characters) is found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "The answer is 4. The answer is 4.",
        prose(60_000),
        prose(4000) * 2,
        "| a | b | c |\n" + "| :---: " * 12 + "|",
        r"\frac{x}{3} + " * 9 + r"\frac{x}{3}",
        " ".join(f"{n}," for n in range(1, 3000)),  # counts on, and repeats nothing
        "Step: so the next one is done.\n".join(f"Case {n}. " for n in range(100)),
        r"\begin{pmatrix}" + r" 0 & 0 & 0 & 0 \\" * 5 + r"\end{pmatrix}",
    ],
)
def test_texts_of_people_are_no_repetition(text: str) -> None:
    assert not ends_in_repetition(text)
