"""A benchmark of 300 problems of our own, in many forms, and each of them changed in eight ways.

Not here: finding them again (test_decontamination.py, test_near_duplicates.py).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

# #1 is a number. [a|b]: b in place of a makes another problem with the same numbers.
ENGLISH = r"""
Find all real values of $x$ for which $#1^{x+1}+#2^{x+2}=[#3|2\cdot #3]^{x}+#2$.
Let $f(x)=x^3-#1x^2+#2x-#3$ and let $r,s,t$ be its roots. Find the value of $[r^2+s^2+t^2|r^3+s^3+t^3]$.
In triangle $ABC$ we have $AB=#1$, $BC=#2$ and $\angle ABC=#3^\circ$. Find the [area|perimeter] of the triangle.
Let $p(n)$ be a polynomial of degree #1 with $p(k)=\frac{k}{k+1}$ for $k=0,1,\dots,#2$. Find $p([#2+1|#2+2])$.
Compute $\sum_{k=1}^{#1}\frac{1}{k(k+#2)}[|-\frac{1}{k}]$.
Evaluate the integral $\int_0^{#1}\frac{x^{#2}}{1+#3x}[\,dx|x\,dx]$.
Suppose that $a$ and $b$ are positive reals with $a+b=#1$. Find the [maximum|minimum] of $a^2b+#2b$.
How many [positive|negative] integers $n$ satisfy $n^2-#1n+#2<#3$?
A line passes through the point $(#1,#2)$ and is [parallel|perpendicular] to the line $#3x-4y=7$. Find its equation.
Let $T$ be the linear map $T(p)=p''-#1p$ on the real polynomials of degree at most #2. Find the dimension of the [kernel|image] of $T$.
A jar holds #1 red marbles, #2 blue marbles and #3 green marbles. Two marbles are drawn [with|without] replacement. What is the probability that both have the same colour?
A tank holds #1 litres of water and loses #2 litres in every hour. After how many hours does it hold [less|more] than #3 litres?
Let $a_1=#1$ and $a_{n+1}=#2a_n+#3$ for $n\ge1$. Find the [sum|product] of the first five terms.
Show that $x^4+#1x^2+#2$ is [irreducible|reducible] over $\mathbb{Q}$ when $#3x+1=0$ has no integer root.
Find the remainder when $#1^{#2}$ is divided by $[#3|#3+1]$.
Let $z$ be a complex number with $z^{#1}=1$ and $z\ne1$. Compute $z+\frac{1}{z}+z^{#2}[+|-]\frac{1}{z^{#2}}$.
Solve the system $#1x+y=#2$, $x-#3y=1$ for [$x$|$y$].
Let $G$ be a group of order #1 and let $H$ be a subgroup of index #2 in $G$. Show that $H$ is [normal|cyclic] in $G$ if #3 divides the order of $G$.
For which real $c$ has the curve $y=x^3-#1x+c$ exactly #2 [tangents|normals] through the point $(0,#3)$?
There are reals $u,v>1$ with $\log_u(v^u)=\log_v(u^{#1v})=#2$. Find $[uv|u+v]$.
A rectangle has sides $#1$ and $#2$, and a circle of radius #3 rolls along its [inside|outside]. What is the length of the path of the centre?
Let $X$ be a [Poisson|geometric] random variable with mean #1. Find $P(X>#2)$ given that $X\le#3$.
Find the number of [trees|cycles] on #1 labelled vertices that have exactly #2 vertices in a given set of #3 vertices.
Let $A=\begin{pmatrix}#1&2\\3&#2\end{pmatrix}$. Find the [trace|determinant] of $A^{#3}$.
A sequence of positive integers $b_0,b_1,\dots$ is [increasing|decreasing], and $b_{#1}=#2$. Prove that $b_{n}+b_{n+1}=#3$ for at most one $n$.
In how many ways can #1 boys and #2 girls sit in a row such that no two [boys|girls] sit together and the first seat is taken by one of #3 friends?
A cone has height $h=#1$ and base radius $r=#2$. A plane at distance #3 from the apex is parallel to the base. Find the [volume|surface] of the part above the plane.
Determine the least positive integer $m$ for which $m^2+#1m$ is divisible by #2 and [not|also] by #3.
Let $\alpha$ and $\beta$ be the roots of $x^2-#1x+#2=0$. Find $\frac{\alpha}{\beta}[+|-]\frac{\beta}{\alpha}+#3$.
Two dice with #1 faces are thrown #2 times. Find the [variance|expectation] of the number of throws whose sum is #3.
Let $S=\{1,2,\dots,#1\}$. How many subsets of $S$ with #2 elements have an [even|odd] sum and contain #3?
Points $P$ and $Q$ lie on a circle of radius #1 with centre $O$, and $PQ=#2$. A point $R$ lies on the [tangent|normal] at $P$ with $PR=#3$. Find $OR$.
Find the limit $\lim_{n\to\infty}\frac{#1n^2+#2}{#3n^2[+n|-n^3]}$.
Let $V$ be a vector space of dimension #1 over the field with #2 elements. How many [subspaces|bases] of dimension #3 are there in $V$?
Simplify $(u\times v)[\cdot|\times](v\times w)$ for vectors $u,v,w$ of lengths #1, #2 and #3.
A car travels #1 km at #2 km per hour and [returns|continues] for another #3 km at half the speed. What is its average speed?
Solve the differential equation $y''+#1y'+#2y=0$ with $y(0)=#3$ and $y'(0)=[0|1]$.
Find the [first|last] digit of $#1^{#2}+#3$ in base ten.
If $p$ is a prime with $p\equiv#1\pmod{#2}$, show that $p^2+#3$ is [composite|prime].
Let $a,b,c$ be the sides of a triangle with $a+b=#1$, $ab=#2$ and $c=#3$. Find its [inradius|circumradius].
A bag has #1 coins, each worth #2 cents or #3 cents. What is the [largest|smallest] amount that it can hold if both kinds occur?
Let $f$ be a [convex|concave] function on $[0,#1]$ with $f(0)=#2$ and $f(#1)=#3$. Find a bound of the integral of $f$.
Expand $(x+#1)^{#2}$ and give the coefficient of $x^{[2|3]}$ modulo #3.
How many integers between #1 and #2#1 are [multiples|divisors] of #3?
The [median|mean] of the five numbers $#1,#2,#3,x,2x$ is 9. Find $x$.
Let $\triangle ABC$ be right-angled at $C$ with legs $CA=#1$ and $CB=#2$. The [altitude|bisector] from $C$ meets $AB$ at $D$. Find $CD+#3$.
Find all functions $g$ from the integers to the integers with $g(m+n)=g(m)[+|\cdot]g(n)+#1$ and $g(#2)=#3$.
A clock loses #1 seconds every #2 minutes. It is set right at noon. When it shows #3 o'clock, what is the [true|mean] time?
Compute $\cos\frac{\pi}{#1}+[\sin|\tan]\frac{\pi}{#2}+#3$.
Let $x,y,z$ be reals with $x+y+z=#1$ and $xyz=#2$. Find the smallest value of $[x^2+y^2+z^2|xy+yz+zx]+#3$.
""".strip().splitlines()
JAPANESE = r"""
$a>#1$ とし、$I_n=n\int_1^a\frac{dx}{#2+x^n}$ とする。極限 $\lim_{n\to\infty}I_n$ [と|の逆数と]$#3$ の和を求めよ。
関数 $f(x)=x^2-#1x+#2$ の $0\le x\le#3$ における[最大|最小]値を求めよ。
放物線 $y=x^2-#1$ を原点を中心に[時計|反時計]回りに $#2^\circ$ 回転させた曲線と直線 $y=#3$ の交点を求めよ。
#1人の生徒から委員を#2人選ぶ。特定の#3人を[含む|除く]選び方は何通りあるか。
三角形 $ABC$ において $AB=#1$、$BC=#2$、$CA=#3$ とする。[内接|外接]円の半径を求めよ。
数列 $a_n$ は $a_1=#1$、$a_{n+1}=#2a_n+#3$ を満たす。[一般項|極限]を求めよ。
袋に赤玉が#1個、白玉が#2個入っている。同時に#3個取り出すとき、[赤玉|白玉]だけになる確率を求めよ。
$p$ を[奇|偶]数とする。$p^{#1}+#2$ が $#3$ で割り切れないことを示せ。
複素数 $z$ が $|z-#1|=#2$ を満たすとき、$|z+#3i|$ の[最大値|最小値]を計算せよ。
一本#1円の鉛筆を#2本と一冊#3円のノートを買った。[代金|おつり]はいくらになるか。ただし千円札で払った。
""".strip().splitlines()

_FORMULA = re.compile(r"\$[^$]*\$")
_CHOICE = re.compile(r"\[([^\[\]|]*)\|([^\[\]|]*)\]")
_LETTER = re.compile(r"(\\(?:begin|end|mathbb)\{\w+\}|\\[A-Za-z]+)|([A-Za-z])")


def problems(each: int = 5, seed: int = 19) -> list[tuple[str, str]]:
    """(problem, another problem with the same numbers), `each` of every form."""
    dice = random.Random(seed)
    made = []
    for form in ENGLISH + JAPANESE:
        for numbers in (dice.sample(range(3, 98), 3) for _ in range(each)):
            text = re.sub(r"#(\d)", lambda match, given=numbers: str(given[int(match[1]) - 1]), form)
            made.append((_CHOICE.sub(r"\1", text), _CHOICE.sub(r"\2", text)))
    return made


def _renamed(text: str, names: dict[str, str]) -> str:
    def formula(match: re.Match[str]) -> str:
        return _LETTER.sub(lambda one: one[1] or names.get(one[2], one[2]), match[0])

    return _FORMULA.sub(formula, text)


def _turned(letters: str) -> dict[str, str]:
    return dict(zip(letters, letters[3:] + letters[:3], strict=True))


SMALL, CAPITAL = _turned("abcfghkmnpqrstuvwxyz"), _turned("ABCDEFGHKLMNOPQRSTUVWXYZ")


def letters(text: str) -> str:
    return _renamed(text, SMALL)


def capitals(text: str) -> str:
    return _renamed(text, CAPITAL)


def both(text: str) -> str:
    return _renamed(text, SMALL | CAPITAL)


def typesetting(text: str) -> str:
    text = re.sub(r"\\frac\{(\w+)\}\{(\w+)\}", r"{\1 \\over \2}", text)
    text = text.replace(r"\frac", r"\dfrac").replace(r"\le ", r"\leq ").replace(r"\dots", r"\ldots")
    text = text.replace("''", r"^{\prime\prime}").replace("pmatrix", "bmatrix")
    text = re.sub(r"(?<=\d)(?=[a-z]\b)", r"\\cdot ", text)
    text = re.sub(r"\^(\d)(?!\d)", r"^{\1}", text)
    return re.sub(r"\$([^$]*)\$", r"\\( \1 \\)", text).replace("=", " = ")


def word(text: str) -> str:
    """One word in another form, which does not change the problem."""
    for old, new in (("Find", "Determine"), ("Let", "Suppose that"), ("How many", "Find how many"), ("Show", "Prove"),
                     ("求めよ", "計算せよ"), ("What is", "Find"), ("Compute", "Evaluate"), ("となる", "である")):  # fmt: skip
        if old in text:
            return text.replace(old, new, 1)
    return f"Now, {text[0].lower()}{text[1:]}" if text[0].isascii() else f"さて、{text}"


def number(text: str) -> str:
    return re.sub(r"(?<![\d_^{])\d\d?", lambda match: str(int(match[0]) + 1), text, count=1)


def politeness(text: str) -> str:
    if text.isascii():
        return f"Please {text[0].lower()}{text[1:]}" if text.startswith(("Find", "Show", "Compute")) else text
    for old, new in (("求めよ", "求めてください"), ("示せ", "示してください"), ("計算せよ", "計算しなさい"), ("とする。", "とします。"),
                     ("あるか", "ありますか"), ("いる。", "います。"), ("なるか", "なりますか"), ("買った", "買いました")):  # fmt: skip
        text = text.replace(old, new)
    return text


def order(text: str) -> str:
    """The first two sentences in the other order, where neither asks."""
    sentences = [sentence for sentence in re.split(r"(?<=[.。]) ?", text) if sentence]
    if len(sentences) > 2:
        sentences[:2] = sentences[1::-1]
    return ("" if "。" in text else " ").join(sentences).strip()


CHANGES: dict[str, Callable[[str], str]] = {
    "letters": letters, "capitals": capitals, "both": both, "typesetting": typesetting, "word": word,
    "number": number, "politeness": politeness, "order": order,
}  # fmt: skip
