"""LaTeX as Unicode: what it says, what is left as it stands, and that no text breaks or delays it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magpie_hf.report.showing.formulas import MOST, in_unicode


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (r"$x^{10} \leq \frac{1}{2}$", "x¹⁰ ≤ ¹⁄₂"),
        (r"\(\frac{a+b}{c}\) and \[\frac{x}{y}z\]", "(a+b)/c and x/y z"),
        (r"$$\int_0^1 \frac{x^{n}}{1+x^2}\,dx$$", "∫₀¹ xⁿ/(1+x²) dx"),
        (r"$\sqrt{x}+\sqrt[3]{a+b}+\sqrt{2}$", "√x+³√(a+b)+√2"),
        (r"$\sum_{i=1}^{n} a_{ij}$, $e^{-x^2}$, $\zeta_{n+1}$", "∑ᵢ₌₁ⁿ aᵢⱼ, e^(-x²), ζₙ₊₁"),
        (r"$A \implies B \iff C$", "A ⟹ B ⟺ C"),
        (r"$\binom{n}{k} \equiv 1 \pmod{p}$", "C(n, k) ≡ 1 (mod p)"),
        (r"$\mathbb{Q}(\sqrt{2})$ over $\mathbb{F}_p$", "ℚ(√2) over 𝔽ₚ"),
        (r"$\operatorname{tr}(A) = \left( \overline{AB} \right)$", "tr (A) = (A̅B̅)"),
        (r"$n^\text{th}$ and $90^\circ$", "nᵗʰ and 90°"),
        (r"so \boxed{\frac{1}{2}}.", "so [¹⁄₂]."),
        (r"\begin{align}x &= 1\\ y &= 2\end{align}", "x = 1\ny = 2"),
        (r"$\begin{pmatrix}1&2\\3&4\end{pmatrix}$", "[1 2; 3 4]"),
        ("$50% of x$", "50% of x"),
        (
            "It costs $5 and $6, or 50% & more: a~b {c} #1 ``d''",
            "It costs $5 and $6, or 50% & more: a~b {c} #1 ``d''",
        ),
        (r"\$3 and \\[2pt] and \alpha", r"\$3 and \\[2pt] and \alpha"),
        (r"$\unknown{a}{b}$", r"$\unknown{a}{b}$"),
        (r"$\begin{tikzpicture}\end{tikzpicture}$", r"$\begin{tikzpicture}\end{tikzpicture}$"),
        (r"$\frac{1}$ and ${a$ and $x^$ and $a}$", r"$\frac{1}$ and ${a$ and $x^$ and $a}$"),
        ("no end $x", "no end $x"),
        ("$a\n\nb$", "$a\n\nb$"),
    ],
)
def test_formulas(text: str, read: str) -> None:
    assert in_unicode(text) == read


PIECES = [
    *r"$ $$ \( \) \[ \] { } [ ] ^ _ & \\ % # ~ ' a 1 数 \frac \sqrt \text{ \boxed{ \left( \right) \verb"
    r" \verb|x| \hat \not \tag".split(),
    *r"\begin{align} \end{align} \begin{cases} \end{cases} \begin{array}{cc} \end{array} \begin{foo}"
    r" \end{foo} \binom \big".split(),
    *r"\substack \input{/etc/passwd} \newcommand{\a}{\a} \def\a{b} \href{a}{b} \symbol{27} \url{a}"
    r" \footnote{x} \operatorname".split(),
    *(" ", "\n", "\n\n", "\x1b", "\ud800"),
]


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join) | st.text())
def test_any_text_is_taken(text: str) -> None:
    in_unicode(text)
    in_unicode(f"${text}$")


@pytest.mark.parametrize("depth", [20, 40, 200, 900])
@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("{", "}"),
        ("x^{", "}"),
        (r"\sqrt{", "}"),
        (r"\sqrt", ""),
        (r"\hat", ""),
        ("^", ""),
        (r"\begin{cases}", r"\end{cases}"),
    ],
)
def test_deep_formulas_are_taken(opening: str, closing: str, depth: int) -> None:
    in_unicode(f"${opening * depth}a{closing * depth}$")


LONG = [
    *r"$ \( \[ \boxed{ \begin{align} \begin{align}\begin{gather} \end{align} $x^2$".split(),
    "$a\n",
    f"${'x^{a' * 28}{'}' * 28}$",
]


@pytest.mark.parametrize("piece", LONG)
def test_long_texts_take_no_longer_than_they_may(piece: str) -> None:
    text = piece * (10 * MOST // len(piece))
    began = time.process_time()
    in_unicode(text)
    assert time.process_time() - began < 10  # 2 s measured at worst; backtracking would take minutes
