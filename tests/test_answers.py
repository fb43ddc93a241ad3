"""Final answers: read out of solutions, compared in worker processes, and problems that ask for none."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cases
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magpie_hf.answers.comparison import Limits, Verdict, compare, is_readable
from magpie_hf.answers.extraction import final_answer
from magpie_hf.answers.notation import braced, for_reward, normalise
from magpie_hf.answers.proofs import asks_for_proof
from magpie_hf.answers.worker_pool import POOL, Lost, Pool
from magpie_hf.errors import BadInput

# --- pairs of answers ---------------------------------------------------------------------------------------

# What the two are to a mathematician who knows no more than the two answers: = equal, # different, ? cannot
# be told or must get no verdict. "Wrong" is a verdict of different where the truth is =, of equal where it is
# #, and either where it is ?.
PAIRS = r"""
1/2                                  == 0.5
\frac{1}{2}                          == 50\%
\dfrac{3}{2}                         == \frac32
1\frac{1}{2}                         == 1.5
2\frac{3}{4}                         == \frac{11}{4}
-\frac{1}{2}                         == \frac{-1}{2}
\frac{1}{-2}                         == -0.5
.5                                   == 0.50
2.0                                  == 2
0.\overline{3}                       == 1/3
0.1\overline{6}                      == \frac16
0.333333                             == 1/3
0.33                                 ?? 1/3
0.33                                 != 0.34
0.5                                  != 0.05
0.0000001                            != 0
10^{-7}                              != 2\times 10^{-7}
3.14                                 ?? \pi
3.14159                              ?? \pi
\frac{22}{7}                         != \pi
1.414                                ?? \sqrt{2}
7                                    != 8
7                                    != -7
0                                    == -0
30\%                                 == 0.3
30\%                                 != 0.4
50\%                                 ?? 50
\frac{1}{2}\%                        == 0.005
1,234,567                            == 1234567
1{,}000                              == 1\,000
12,345.67                            == 12345.67
1,234                                != 1,235
1.2\times10^5                        == 120000
1.2e5                                == 120{,}000
2^{10}                               == 1024
5!                                   == 120
7!/5!                                == 42
\binom{5}{2}                         == 10
\binom52                             == \frac{5!}{2!3!}
2\sqrt{2}                            == \sqrt{8}
\frac{2}{\sqrt{3}}                   == \frac{2\sqrt{3}}{3}
\sqrt2                               == 2^{1/2}
\sqrt[3]{16}                         == 2\sqrt[3]{2}
\sqrt[3]{-8}                         == -2
\sqrt{3}                             != \sqrt{2}
\sqrt{5+2\sqrt6}                     == \sqrt2+\sqrt3
\log_2 8                             == 3
\log_{10} 100                        == 2
\lg 100                              == 2
\ln 8                                == 3\ln 2
\log 2                               == \ln 2
\log 2                               ?? \log_{10} 2
\log 2                               != 5
\ln 2                                != \ln 3
e^{i\pi}                             == -1
e^{2\pi i}                           == 1
\frac{1+i}{\sqrt{2}}                 == e^{i\pi/4}
(1+i)^2                              == 2i
3+4i                                 != 3-4i
i                                    != -i
|3+4i|                               == 5
\pi e                                == e\pi
e                                    != \pi
\frac{\pi^2}{6}                      == \zeta(2)
\Gamma(1/2)                          == \sqrt{\pi}
\cos\frac{\pi}{3}                    == \frac12
\tan^{-1}(1)                         == \frac{\pi}{4}
\arctan 1                            == \pi/4
\sin^2 x + \cos^2 x                  == 1
\tan x                               == \frac{\sin x}{\cos x}
\sin 2x                              == 2\sin x\cos x
\sin x                               != \cos x
(-1)^n                               == \cos(n\pi)
60^\circ                             == \frac{\pi}{3}
60^{\circ}                           == 60
60^\circ                             != 30^\circ
90°                                  == \pi/2
\infty                               == +\infty
\infty                               != -\infty
\infty                               != 5
\infty                               ?? \text{diverges}
(1,2)                                != (2,1)
(3,1)                                != (2,1)
(1,2)                                != (1,2,3)
\left(\frac12, 3\right)              == (0.5,3)
\langle 1,2\rangle                   == (1,2)
\langle 1,2\rangle                   != 1.2
(x,y)=(1,2)                          == (1,2)
\{1,2,2,3\}                          == \{3,2,1\}
1, 2, 3                              == \{3,1,2\}
\{1,2\}                              != \{1,2,3\}
\{1,2\}                              != \{1,3\}
\{1,2\}                              ?? (1,2)
\{3\}                                == 3
\{(1,2),(3,4)\}                      == \{(3,4),(1,2)\}
\{(1,2),(3,4)\}                      != \{(3,4),(2,1)\}
\frac{1}{2},\frac{1}{3}              == \frac13 \text{ and } \frac12
\pm 2                                == 2, -2
3\pm\sqrt{2}                         == 3-\sqrt{2},\ 3+\sqrt{2}
\pm 2                                != \pm 3
x=2 \text{ or } x=-2                 == \{-2,2\}
x=1, y=2                             == y=2, x=1
x=1, y=2                             != x=1, y=3
[1,2)                                == 1\le x<2
[1,2)                                != (1,2]
[1,\infty)                           == x\ge 1
[1,\infty)                           != (1,\infty)
x \in [1,\infty)                     == [1,\infty)
-1<x<3                               == (-1,3)
x>3                                  == 3<x
x>3                                  != x<3
x\le 3                               != x<3
x>3                                  != (4,\infty)
0<x\le 5                             != (0,5)
|x|<2                                == (-2,2)
x\ne 0                               == \mathbb{R}\setminus\{0\}
(-\infty,0)\cup(0,\infty)            == \mathbb{R}\setminus\{0\}
x<1 \text{ or } x>2                  == (-\infty,1)\cup(2,\infty)
(-\infty,1)\cup(2,\infty)            != (-\infty,1)\cup(3,\infty)
\mathbb{R}                           == (-\infty,\infty)
\mathbb{R}                           != \mathbb{Z}
\varnothing                          == \emptyset
\{\}                                 == \emptyset
\emptyset                            != \{0\}
x=3                                  == 3
x = 3                                != x = 4
x=3                                  ?? y=3
y=2x+1                               == 2x+1
f(x)=x^2+1                           == x^2+1
f(x)=x^2+1                           != f(x)=x^2-1
x^2+y^2=1                            == y^2+x^2=1
x^2+y^2=1                            == 2x^2+2y^2=2
n(n+1)/2                             == \frac{n^2+n}{2}
n(n+1)/2                             != n(n-1)/2
(x-1)(x+1)                           == x^2-1
(x-1)(x+1)                           != x^2+1
a^2-b^2                              == (a-b)(a+b)
\frac1x+\frac1y                      == \frac{x+y}{xy}
x+y                                  != xy
\frac{a}{b}                          != \frac{b}{a}
2^{n-1}                              == \frac{2^n}{2}
2^{n-1}                              != 2^n
2n                                   ?? 2k
|x|                                  == \sqrt{x^2}
|x|                                  ?? x
\overline{z}                         ?? z
\sum_{k=1}^n k                       == \frac{n(n+1)}{2}
\int_0^1 x\,dx                       == \frac12
\frac{x^3}{3}+C                      == \frac13 x^3+C
x^2+C                                == x^2+1+C
\alpha\beta                          == \beta\alpha
\alpha\beta                          != \alpha+\beta
\frac{n!}{k!(n-k)!}                  == \binom{n}{k}
X                                    ?? x
f(2)                                 ?? f(-2)
O(n\log n)                           == O(n \ln n)
y'=2y                                != y=2y
5\text{ cm}                          == 5
5 \text{ cm}^2                       == 5
5\text{ cm}                          != 6
100\text{ cm}                        == 1\text{ m}
36\pi                                == 36\pi\text{ cm}^3
12 \text{ ways}                      == 12
12 ways                              != 13
3\text{ million}                     == 3000000
\$1,200                              == 1200
20 \text{ years}                     == 20 \text{ year}
\text{Area} = 12                     == 12
10:30                                ?? 1/3
3:4                                  == \frac34
3 \pmod 7                            == 10 \pmod 7
x \equiv 3 \pmod{7}                  == 3 (mod 7)
3 \pmod 7                            != 4 \pmod 7
3 \pmod 7                            ?? 3 \pmod 8
1010_2                               == 10
(1\ 2\ 3)                            != 6
\begin{pmatrix}1&2\\3&4\end{pmatrix} == \begin{bmatrix}1&2\\3&4\end{bmatrix}
\begin{pmatrix}1&2\\3&4\end{pmatrix} != \begin{pmatrix}1&3\\2&4\end{pmatrix}
\begin{pmatrix}\frac12\\2\end{pmatrix} == \begin{pmatrix}0.5\\2\end{pmatrix}
\begin{pmatrix}1\\2\end{pmatrix}     == (1,2)
\begin{pmatrix}1&0\\0&1\end{pmatrix} != \begin{pmatrix}1&0&0\\0&1&0\\0&0&1\end{pmatrix}
\begin{bmatrix} 0 & -4 \\ -5 & 0 \end{bmatrix} == \begin{pmatrix}0&-4\\-5&0\end{pmatrix}
\begin{bmatrix} 0 & -4 \\ -5 & 0 \end{bmatrix} != \begin{pmatrix} 0 & 2 \\ -3 & 3 \end{pmatrix}
x^2+5x+4                             != x^2+9x+14
2^{100}                              == 1267650600228229401496703205376
2^{100}                              != 1267650600228229401496703205377
10^{100}+1                           != 10^{100}
1000000007                           != 1000000006
0.999\ldots                          == 1
0.999...                             == 1
123456.789                           != 123456.788
1/2x                                 ?? \frac{1}{2x}
1/(2x)                               != \frac{x}{2}
e^{x^2}                              != (e^x)^2
\omega                               ?? e^{2\pi i/3}
\frac{\pi}{4}                        ?? 0.785
A\cos x+B\sin x                      == A\sin x+B\cos x
C_1e^x+C_2e^{-x}                     == C_2e^{x}+C_1e^{-x}
\frac{x^2}{4}+\frac{y^2}{9}=1        == 9x^2+4y^2=36
y=2x                                 == 2x-y=0
x\in\{1,2\}                          == \{2,1\}
\vec{v}=(1,2)                        == (1,2)
3,5                                  == 3.5
1.234,5                              == 1234.5
\sin 30^\circ                        == \frac12
\cos x^2                             != \cos^2 x
[0,1]\cup[1,2]                       == [0,2]
[0,1)\cup(1,2]                       != [0,2]
\mathbb{R}\setminus\{0\}             != \mathbb{R}\setminus\{1\}
P(A)=0.3                             == 0.3
f(x)=2x                              ?? g(x)=2x
\text{not prime}                     != \text{prime}
\text{at least } 5                   != \text{at most } 5
\approx 3.14                         == 3.14
25\text{ percent}                    == 25\%
-1 \pmod 7                           == 6 \pmod 7
6\times 10^{23}                      != 7\times 10^{23}
6.022\times 10^{23}                  ?? 6.02\times 10^{23}
\log_2 3                             != \log_3 2
\begin{cases}x=1\\y=2\end{cases}     == (1,2)
D                                    ?? 4
\frac{1}{\sqrt{2\pi}}e^{-x^2/2}      == \frac{e^{-\frac{x^2}{2}}}{\sqrt{2\pi}}
\sum_{n=1}^\infty \frac{1}{n^2}      == \frac{\pi^2}{6}
1 000 000                            == 10^6
x = \pm3                             == \{-3,3\}
\pm\sqrt{2}                          != \sqrt2
N(0,1)                               != N(0,2)
101_2                                != 101
\mathbb{Z}/2\mathbb{Z}               == \mathbb{Z}_2
S_3                                  == \mathfrak{S}_3
S_3                                  ?? D_3
A                                    == (A)
\textbf{(B)}                         == B
A                                    != B
(C)                                  != \text{D}
E                                    ?? e
Yes                                  == \text{yes}
yes                                  != \text{No}
\text{True}                          == true.
\text{True}                          != \text{False}
converges                            == \text{The series converges}
\text{converges}                     != diverges
even                                 != \text{odd}
\text{Monday}                        != \text{Tuesday}
abelian                              == \text{commutative}
no solution                          == \emptyset
None                                 == \text{no real solutions}
\text{infinitely many}               == \infty
k\pi, k\in\mathbb{Z}                 == n\pi, n\in\mathbb{Z}
\{x \mid x>1\}                       == (1,\infty)
\frac{p}{q} \text{ where } p=1       ?? 3
\boxed{5}                            == 5
**73**                               == 73
$\frac{1}{2}$                        == \(\frac12\)
\frac{1                              ?? 1/2
}{                                   ?? {
\left(                               ?? )
\sqrt{                               ?? 2
\frac{1}{0}                          ?? 1
0/0                                  ?? 1
\begin{pmatrix}1&2                   ?? 1
\\                                   ?? &
"""
# What a review found to be misread once, and what stands next to it: here it is no fault to refuse.
MISREAD = r"""
2 ab                                 != 2
\frac{1}{2} ab                       != \frac{1}{2}
\frac{1}{2} ab                       != \frac{1}{2} bc
x^{2} yz                             != x^{2}
2\pi rh                              != 2\pi
2\pi\mathrm{i}                       != 2\pi
4+3\mathrm{i}                        != 4+3
2\mathrm{e}                          != 2
5\mathbf{i}                          != 5
2\mathbf{v}                          != 2
3 million                            != 3
2 dozen                              != 2
4 hundred                            != 4
5\text{ or more}                     != 5
4\text{ at least}                    != 4
5 factorial                          != 5
4 cubed                              != 4
4\text{pi}                           != 4
0 otherwise                          != 0
1 if even                            != 1
10\text{ PM}                         != 10\text{ AM}
75 percent                           != 75
75 percent                           == 0.75
9 per cent                           == 9\%
25パーセント                              == 25\%
30 \text{ degrees}                   == \frac{\pi}{6}
12 \text{ square units}              == 12
10\,\text{m}/\text{s}                == 10 \text{ m/s}
12通り                                 == 12
f g'                                 != f g
x y'                                 != x y
A'B                                  != A B
n m!                                 != n m
a*b*c                                != b*c
a b c                                != b c
N k                                  != n k
A B                                  != a b
ABCD                                 ?? abcd
e^T                                  != e
(1+r)^T                              != 1+r
2^T                                  != 2
A^T                                  ?? A
2⁵                                   == 32
10⁻³                                 == 0.001
10⁻³                                 != 10
2ⁿ                                   != 2
x₁ + x₂                              == x_1+x_2
5⁄8                                  == 5/8
⅓                                    == 1/3
３                                    == 3
3または5                                != 3
5 ∧ 3                                ?? 5
2′                                   ?? 2
0.\bar{3}                            == 1/3
0.(3)                                == 1/3
0.1(6)                               ?? 0.1\cdot 6
\sqrt 10                             == \sqrt{10}
√10                                  == \sqrt{10}
√12                                  != \sqrt{1}\cdot 2
2√13/13                              == \frac{2}{\sqrt{13}}
2^-3                                 == 1/8
\{3.7\}                              ?? 3.7
[x]                                  ?? x
\{x\}                                ?? x
||x||                                ?? |x|
1st                                  ?? 1
e^2x                                 ?? e^{2x}
(123)                                == (231)
(12)                                 == (21)
(12)(34)                             != (17)(24)
(1 2 3)                              == (2 3 1)
n \ge 3                              == n > 2
k \ge 1                              == k > 0
n \ge 3                              != n \ge 4
e                                    ?? 1
\{e\}                                == \{1\}
\gcd(n,4)                            != \gcd(n,2)
x=1, y=2                             != 2, 1
x=1, y=2                             == (1, 2)
x=2, y=1                             ?? \{1,2\}
x=1, y=2                             ?? a=1, b=2
2,2,3                                ?? 2,3
(a,b,c)=(1,2,3)                      == (1,2,3)
\{100,200,300\}                      == \{300,200,100\}
\{100,200\}                          == \{200, 100\}
(119,120,169)                        != (120,119,169)
100,200                              == 200,100
100, 200                             == 200, 100
100, 200                             != 100200
1, 225, 400                          == 1,225,400
1,234                                == 1234
1,\!234                              == 1234
f(x)=1,234                           == 1234
(1,234, 5)                           == (1234, 5)
1,234, 5                             == 5, 1234
1,5                                  ?? 15
\sin x y                             ?? \sin(x) y
\cos\pi/3                            ?? \cos(\pi/3)
V = \pi r^2 h                        == \pi r^2h
\ln 5 \cdot 2                        != \ln 10
\cos x \times 2                      == 2\cos x
\ln 3 / 3                            == \frac{\ln 3}{3}
1/6 n(n+1)(2n+1)                     == \frac{n(n+1)(2n+1)}{6}
-(0,1]                               != 1
2x+3y=6                              != 6
x^2+y^2=25                           != 25
2x-7=0                               != 3
m+n=7                                ?? 7
2x-6=0                               ?? 3
x=5                                  == 2x=10
x^2=9                                ?? x=\pm3
x^4=1                                ?? x^2=1
\sqrt{x}=-1                          != \sqrt{x}=-2
2^x=-1                               != 2^x=-3
y = \frac{1}{x}                      == xy=1
x+y=1                                ?? a+b=1
AB=5                                 == |AB|=5
3x+4y=12                             != y=\frac34x+3
a(5)=3                               != a(5)=4
g(1)=4                               != g(2)=4
\binom{5}{2}=10                      == 10
XY                                   != YX
ABA^{-1}                             != B
(AB)^{-1}                            != A^{-1}B^{-1}
\mathbf{a}\times\mathbf{b}           != \mathbf{b}\times\mathbf{a}
sr^2                                 != r^2s
ghg^{-1}                             != h
\frac{q}{\sqrt{2LC}}                 == \frac{q}{\sqrt{2CL}}
2.718                                ?? 2.7183
12.3                                 ?? 12.34
0.5                                  != 1
2^{-100}                             == \frac{1}{2^{100}}
10^{-40}                             != 0
\pi^{-90}                            != \pi^{-91}
u=1 \; v=2                           != u=3 \; v=2
m=1 \text{ and hence } n=4           != m=2 \text{ and hence } n=4
f(n)=1 \text{ if } n=0, f(n)=2 \text{ if } n=1 != f(n)=2 \text{ if } n=0, f(n)=1 \text{ if } n=1
110_2                                == 6
110_2                                ?? 110
5_3                                  ?? 5
\mathbb{Z}_4                         != \mathbb{Z}_2\times\mathbb{Z}_2
\mathbb{Z}_5                         == C_5
10:30                                == 1:3
10:30                                ?? 5:15
2:3                                  != 3:2
1.414...                             ?? \sqrt2
0.577...                             ?? \gamma
2.718281828...                       ?? e
0.333...                             != 0.34
2.5\text{ km}                        == 2500\text{ m}
2.5\text{ km}                        != 25\text{ m}
3\text{ apples}                      ?? 3\text{ dogs}
50\text{ cents}                      == \$0.50
x>1 \text{ and } x\le 3              == (1,3]
x<1 \text{ or } x>2                  != (1,2)
P(5,2)                               != (5,2)
(\pm 1, 2)                           == (1,2),(-1,2)
a+b+c                                ?? a+b+C
x^2+C                                != x^3+c
\text{(B)}\ 12                       != \text{(C)}\ 12
5\text{ at } x=1                     != 5\text{ at } x=2
5:8                                  == 10:16
\sqrt{2}:1                           == 2:\sqrt2
5:2                                  == \frac52
5対3                                 == 5:3
a>b>c                                != a>c>b
a<b=c                                == c=b>a
2万5千                               == 25000
3分の2                               == \frac23
3時間30分                            == 210分
1 hour and 30 minutes                == 90 minutes
2 hours 15 minutes                   != 215 minutes
9平方センチメートル                  == 9\text{ cm}^2
x=2かつy=3                           == x=2, y=3
2 and 1/2                            ?? 2.5
+-3                                  == \pm 3
\text{Yes, it converges}             == \text{yes}
\text{one hundred and five}          == 105
\text{one hundred and five}          != 150
\text{no solution}                   == \emptyset
\mathbb{R} - \{1\}                   == \mathbb{R}\setminus\{1\}
\text{all integers}                  == \mathbb{Z}
\begin{pmatrix}1&2\\3&4\end{pmatrix}^T == \begin{pmatrix}1&3\\2&4\end{pmatrix}
[[1,2],[3,4]]                        == \begin{pmatrix}1&2\\3&4\end{pmatrix}
x=7k+3                               == x\equiv 3\pmod 7
x\equiv 2\pmod{10}                   ?? 2
C_2\times C_3                        == C_6
2\binom{5}{2}                        == 20
\ln(1+10^{-30})                      != 0
5+                                   ?? 5
p\land q                             ?? p\lor q
p_1\land q_1                         ?? p_1\lor q_1
x=1\lor x=a                          == x=a, x=1
\vec{a}\cdot\vec{b}                  ?? \vec{a}\times\vec{b}
\sigma^2=9                           ?? 9
x_1+x_2=5                            ?? 5
\int x\,dx=\frac{x^2}{2}+C           == \frac{x^2}{2}+C
f^{-1}(x)=\frac{x-1}{2}              == \frac{x-1}{2}
f^{-1}(x)=2x                         != 3x
2\cdot3^x                            == 2(3^x)
\frac34x                             == 3x/4
10 pounds                            == £10
"""


def _cases(table: str) -> list[tuple[str, str, str]]:
    cases = []
    for line in table.strip().splitlines():
        found = re.fullmatch(r"(.+?) +(==|!=|\?\?) (.+)", line)
        assert found is not None, line
        one, sign, other = found.groups()
        cases.append((one, sign, other))
    return cases


FIRST = _cases(PAIRS)
CASES = FIRST + _cases(MISREAD)
ALLOWED = {"==": {"equal", "unknown"}, "!=": {"different", "unknown"}, "??": {"unknown"}}


@pytest.fixture(scope="module")
def verdicts() -> dict[tuple[str, str], Verdict]:
    """The verdicts of the whole table in both orders, from eight threads at once."""
    pairs = [(one, other) for one, _, other in CASES] + [(other, one) for one, _, other in CASES]
    with ThreadPoolExecutor(8) as pool:
        return dict(zip(pairs, pool.map(lambda pair: compare(*pair), pairs), strict=True))


def test_the_table_is_large() -> None:
    assert len(CASES) >= 110
    assert min(sum(sign == kind for _, sign, _ in CASES) for kind in ALLOWED) >= 20


@pytest.mark.parametrize(("one", "sign", "other"), CASES)
def test_no_verdict_is_wrong(
    one: str, sign: str, other: str, verdicts: dict[tuple[str, str], Verdict]
) -> None:
    verdict = verdicts[one, other]
    assert verdict.relation in ALLOWED[sign], verdict
    assert (verdict.reason is None) == (verdict.relation != "unknown")


@pytest.mark.parametrize(("one", "other"), [(one, other) for one, _, other in CASES])
def test_the_order_of_a_pair_makes_no_difference(
    one: str, other: str, verdicts: dict[tuple[str, str], Verdict]
) -> None:
    assert verdicts[one, other] == verdicts[other, one]


def test_a_worker_itself_is_symmetric() -> None:
    """The pool sorts a pair, which would hide it."""
    for one, _, other in CASES:
        pair = [normalise(one), normalise(other)]
        if all(pair):
            there, back = (POOL.ask([order, 5.0, 1024], 60.0, 1)[0] for order in (pair, pair[::-1]))
            assert there == back, (one, other)


def test_most_verdicts_are_given(verdicts: dict[tuple[str, str], Verdict]) -> None:
    """To call everything unknown would be no mistake, and of no use. The table is harder than what models
    write (see the benchmark).
    """
    for sign, relation in (("==", "equal"), ("!=", "different")):
        given = [verdicts[one, other].relation == relation for one, kind, other in FIRST if kind == sign]
        assert sum(given) >= 0.8 * len(given), [
            (one, other) for one, kind, other in FIRST if kind == sign and verdicts[one, other].reason
        ]


def test_the_cases_that_were_wrong_once() -> None:
    """`answers.jsonl` holds, by kind, pairs of answers and whole solutions that were misread."""
    lines = Path(__file__).with_name("answers.jsonl").read_text("utf-8").splitlines()
    read = [json.loads(line) for line in lines]
    assert len(read) == 180
    with ThreadPoolExecutor(8) as pool:
        differing = [
            (case, said) for case, said in zip(read, pool.map(cases.answers, read), strict=True) if said
        ]
    assert differing == []


def test_a_file_of_cases_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "cases.jsonl"
    rows = [
        {"kind": "a sum", "input": "1+1", "gold": "2", "expected": "equal"},
        {"kind": "a sum", "input": "1+1", "gold": "3", "expected": "equal"},
        {"kind": "extraction: a box", "input": r"\boxed{2}", "expected": "3"},
        {"kind": "extraction: none", "input": "We do not know.", "expected": None},
    ]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert cases.main(["answers", str(file)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "a sum, 1+1: different to 3, not equal"
    assert lines[-1] == "2 of 4 differ"


# --- hostile answers and workers ----------------------------------------------------------------------------

FOR_EVER = "9^{9^{9^{9}}}"
QUICK = Limits(seconds=1.0)


@pytest.mark.parametrize(
    ("one", "other", "limits", "reason"),
    [
        (FOR_EVER, "5", QUICK, "time"),
        ("(10^9)!", "5", QUICK, "time"),
        (r"\sum_{k=1}^{10^9} \frac{1}{k^2+k+1}", "5", QUICK, "time"),
        ("2^{10^{10}}", "5", Limits(megabytes=256), "memory"),
        ("(" * 900 + "1" + ")" * 900, "5", QUICK, None),
        ("{" * 999, "}" * 999, QUICK, None),
        (r"\frac" * 300, r"\sqrt" * 300, QUICK, None),
        ("1" * 1999, "2" * 1999, QUICK, None),
        ("x^" * 500 + "x", "5", QUICK, None),
        ("\x00\n\r\u2028{\"'", "5", QUICK, None),
        ("数学", "5", QUICK, None),
    ],
)
def test_a_hostile_answer_costs_its_limit_and_nothing_else(
    one: str, other: str, limits: Limits, reason: str | None
) -> None:
    began = time.monotonic()
    verdict = compare(one, other, limits)
    assert time.monotonic() - began < 6 * limits.seconds + 10
    assert verdict.relation in ("unknown", "different")
    assert reason in (None, verdict.reason)
    assert compare("3/6", "0.5000") == Verdict("equal")


def test_a_text_is_refused_before_anything_reads_it() -> None:
    long = "1+" * 50_000 + "1"
    began = time.monotonic()
    assert compare(long, "5") == compare("5", long) == Verdict("unknown", "too_long")
    assert compare(long, long) == Verdict("equal")
    assert time.monotonic() - began < 0.1
    assert compare("", "5") == compare(" $ $ ", "") == Verdict("unknown", "empty")


@pytest.mark.parametrize(
    "text",
    [
        "(mod" + " " * 1900 + "x",
        "123," * 20_000 + "a",
        "123 " * 20_000 + "a",
        ";.," * 9_000,
        "$" * 50_001,
        "1" * 20_000 + ".\\bar{3}",
        r"\ln " + "1" * 20_000,
        r"\text{日" * 2_000,
        r"=\quad " * 2_000,
        r"(\begin{matrix}" * 500,
    ],
)
def test_a_long_answer_has_a_spelling_at_once(text: str) -> None:
    began = time.process_time()
    normalise(text)
    assert time.process_time() - began < 0.5


@settings(max_examples=400)
@given(st.text(r"\{}()[]^_+-=.,;%'| 0123abx$", max_size=24))
def test_a_spelling_is_its_own_spelling(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once


def test_a_verdict_that_the_wall_clock_took_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("magpie_hf.answers.comparison._PATIENCE", 0.01)
    assert compare(FOR_EVER, "6", QUICK) == Verdict("unknown", "stalled")
    monkeypatch.undo()
    assert compare(FOR_EVER, "6", QUICK) == Verdict("unknown", "time")


@given(st.text(r"\{}[]()$^_+-=.,%&'| 0123abxfrcsqt" + "\n", max_size=60))
def test_any_text_has_one_spelling(text: str) -> None:
    once = normalise(text)
    assert once == once.strip()
    assert compare(text, text) == (Verdict("equal") if once else Verdict("unknown", "empty"))


@pytest.mark.parametrize("limits", [{"seconds": 0}, {"megabytes": 8}, {"characters": 0}])
def test_limits_that_leave_nothing_to_compare_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(BadInput, match="leaves no room"):
        Limits(**limits)


def test_a_hang_loses_only_its_pair() -> None:
    """Two hang at once among forty, with two workers; all others are answered, and the two cost their second
    each.
    """
    pairs = [
        (FOR_EVER, f"{number}") if number in (3, 4) else (f"{number}/7", f"\\frac{{{2 * number}}}{{14}}")
        for number in range(40)
    ]
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        verdicts = list(pool.map(lambda pair: compare(*pair, QUICK, 2), pairs))
    assert [verdict.relation for verdict in verdicts] == [
        "unknown" if number in (3, 4) else "equal" for number in range(40)
    ]
    assert [verdict.reason for verdict in verdicts if verdict.reason] == ["time", "time"]
    assert time.monotonic() - began < 30


def test_a_worker_that_is_killed_loses_only_its_pair() -> None:
    pool = Pool()
    lost: list[str] = []

    def hang() -> None:
        try:
            pool.ask([[FOR_EVER, "5"], 60.0, 1024], 60.0, 1)
        except Lost as error:
            lost.append(str(error))

    thread = threading.Thread(target=hang)
    thread.start()
    while not pool.pids:
        time.sleep(0.01)
    (first,) = pool.pids
    time.sleep(0.5)
    os.kill(first, signal.SIGKILL)
    thread.join(20)
    assert lost == ["killed"]
    assert pool.ask([["1/2", "0.5"], 5.0, 1024], 60.0, 1)[0] == "equal"
    (second,) = pool.pids
    os.kill(second, signal.SIGKILL)  # while it is idle: nothing is lost
    time.sleep(0.2)
    assert pool.ask([["1/2", "0.5"], 5.0, 1024], 60.0, 1)[0] == "equal"
    pool.close()
    assert not any(lives(pid) for pid in (first, second, *pool.pids))


def test_there_are_never_more_workers_than_allowed() -> None:
    pool = Pool()
    seen: list[int] = []

    def ask(number: int) -> str:
        answer = pool.ask([[f"{number}", f"{2 * number}/2"], 5.0, 1024], 60.0, 2)
        seen.append(len(pool.pids))
        return str(answer[0])

    with ThreadPoolExecutor(16) as threads:
        assert set(threads.map(ask, range(64))) == {"equal"}
    assert max(seen) <= 2
    pool.close()


def lives(pid: int) -> bool:
    """Whether the process is there and not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def script(body: str) -> list[str]:
    return [
        sys.executable,
        "-W",
        "error",
        "-W",
        "ignore:This process:DeprecationWarning",
        "-c",
        textwrap.dedent(body),
    ]


@pytest.mark.parametrize("last", ["1/2', '0.5", f"{FOR_EVER}', '5"])
def test_no_worker_outlives_a_killed_parent(last: str) -> None:
    """Whether the worker is idle or at work, and though a fork of the parent still holds the pipes."""
    body = f"""
        import os, threading, time
        from magpie_hf.answers.comparison import compare, Limits
        from magpie_hf.answers.worker_pool import POOL
        compare('1/3', '0.25')
        child = os.fork()
        if child == 0:
            time.sleep(60)
        threading.Thread(target=compare, args=('{last}', Limits(60.0))).start()
        time.sleep(0.5)
        print(child, *POOL.pids, flush=True)
        time.sleep(60)
    """
    with subprocess.Popen(script(body), stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child, *workers = map(int, parent.stdout.readline().split())
        assert workers
        assert all(map(lives, workers))
        parent.kill()
        end = time.monotonic() + 15
        while any(map(lives, workers)) and time.monotonic() < end:
            time.sleep(0.1)
        os.kill(child, signal.SIGKILL)
    assert not any(map(lives, workers))


def test_workers_end_with_the_process_and_without_a_word() -> None:
    """No guarded main module is needed, and a fork has workers of its own."""
    body = """
        import os, sys
        from magpie_hf.answers.comparison import compare
        from magpie_hf.answers.worker_pool import POOL
        print(compare('1/3', '0.25').relation, *POOL.pids, flush=True)
        if os.fork() == 0:
            assert POOL.pids == []
            print(compare('1/3', '2/6').relation, *POOL.pids, flush=True)
            sys.exit()
        os.wait()
        print(compare('1/3', '3/9').relation, *POOL.pids, flush=True)
    """
    done = subprocess.run(script(body), capture_output=True, text=True, check=True, timeout=120)
    assert done.stderr == ""
    (one, first), (two, forked), (three, again) = (line.split() for line in done.stdout.splitlines())
    assert (one, two, three) == ("different", "equal", "equal")
    assert first == again != forked
    assert not any(lives(int(pid)) for pid in (first, forked))


def test_ctrl_c_reaches_no_worker() -> None:
    body = """
        import os, signal
        from magpie_hf.answers.comparison import compare
        compare('1/3', '0.25')
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.killpg(0, signal.SIGINT)
        print(compare('1/3', '2/6').relation)
    """
    done = subprocess.run(
        script(body), capture_output=True, text=True, check=True, timeout=120, start_new_session=True
    )
    assert (done.stdout, done.stderr) == ("equal\n", "")


def test_an_idle_worker_ends() -> None:
    code = (
        "import magpie_hf.answers.worker_process as w; w.IDLE_SECONDS = 0.5; w.LOOK_SECONDS = 0.1; w.main()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b'["ready", null, true]\n'
        assert worker.wait(20) == 0


def test_a_worker_loads_neither_torch_nor_vllm() -> None:
    code = (
        "import sys, magpie_hf.answers.worker_process; print(sorted({'torch', 'vllm', 'datasets', 'numpy',"
        " 'transformers'} & set(sys.modules)))"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
        ).stdout
        == "[]\n"
    )


def test_without_math_verify_it_is_said() -> None:
    body = """
        import sys
        from magpie_hf.answers import worker_pool as workers
        workers._CODE = "import sys; sys.exit('no math-verify')"
        from magpie_hf.answers.comparison import compare
        from magpie_hf.errors import EngineError
        try:
            compare('1/3', '0.25')
        except EngineError as error:
            print(error)
    """
    done = subprocess.run(script(body), capture_output=True, text=True, check=True, timeout=120)
    assert "no worker that compares answers could be started" in done.stdout
    assert done.stderr == "no math-verify\n"


# --- extraction ---------------------------------------------------------------------------------------------

SOLUTIONS: list[tuple[str, str | None]] = [
    (r"So \boxed{42}.", "42"),
    (r"The answer is 7. No: \boxed{42}", "42"),
    ("The answer is 42.", "42"),
    ("The answer is $\\frac{1}{2}$.", "\\frac{1}{2}"),
    ("The answer is \\( x+1 \\), as wanted.", "x+1"),
    ("Therefore, the answer is: **73**", "73"),
    ("The correct answer is (B).", "(B)"),
    ("**Answer:** 12 ways", "12 ways"),
    ("Answer: C", "C"),
    ("Answer = 7", "7"),
    ("#### 18", "18"),
    ("**Final Answer**\n\n$42$", "42"),
    ("### Final Answer:\n\\[ x = 3 \\]", "x = 3"),
    ("The final answer is $\\{1, 2\\}$. I hope it is correct.", "\\{1, 2\\}"),
    ("The answer is yes.", "yes"),
    ("The answer is 3.14.", "3.14"),
    ("The answer is 1,234.", "1,234"),
    ("The answer is -5.", "-5"),
    ("The answer is 3/4 because of symmetry.", "3/4"),
    ("The answer is $5$, since $2+3=5$.", "5"),
    ("The answer to the problem is 10.", "10"),
    ("The answer is x^2+1.", "x^2+1"),
    ("The answer is $2$ and $3$.", "2, 3"),
    ("At first the answer is 5. But then the answer is 6.", "6"),
    ("So we get $x = 5$.", "x = 5"),
    ("Thus,\n$$a = b = 7$$", "7"),
    ("We add.\n\n$$S = 1 + 2 = 3.$$", "3"),
    ("First.\n\nTherefore $n = 12$.", "n = 12"),
    ("", None),
    ("We do not know.", None),
    ("The answer is that no such $n$ exists.", None),
    ("The answer is not 5.", None),
    ("The answer is obvious from the above.", None),
    ("The answer is given by a long computation that we leave out.", None),
    ("The answer is $2$ and also what is left of $3$.", None),
    ("Hence $x = 1$ and $y = 2$.", None),
    ("We see that $y = 3$ and go on.", None),
    ("Therefore $f(x) = 0 \\text{ for all } x$.", None),
    ("Therefore $x > 3$.", None),
    ("Thus $G$ is abelian.", None),
    ("Hence $x^2 = 2$ has no root, a contradiction. $\\blacksquare$", None),
    ("Thus $a = b$. QED", None),
    ("I counted 12 of them.", None),
    ("The answer is (2, 3).", "(2, 3)"),
    ("The answer is [0, 1).", "[0, 1)"),
    ("The answer is {1, 2}.", "{1, 2}"),
    ("The answer is (2, 3.", None),
    ("The answer is 2, 3, 5.", "2, 3, 5"),
    ("The answer is 2, 3 and 5.", "2, 3 and 5"),
    ("The answer is 2 and also 3.", None),
    ("Final Answer: x = 2, y = 3", "x = 2, y = 3"),
    ("The answer is 8, not 7.", "8"),
    ("The answer is 8 (not 7).", "8"),
    ("The answer is 5, which is odd.", "5"),
    ("The answer is 5 for odd n, 6 for even n.", None),
    ("The answer is 5!", None),
    ("The answer is 1.5 million.", None),
    ("The answer is $5$ million.", None),
    ("The answer is $5$ cm.", "5"),
    ("The answer is $2$ for $n$ even and $3$ for $n$ odd.", None),
    ("The answer is $2^n$ if $n$ is even, and $0$ otherwise.", None),
    ("The answer is $2$ and also $3$.", None),
    ("The answer is $5 + $ something.", None),
    ("よって、答えは 42 である。", "42"),
    ("答え: 12通り", "12通り"),
    (r"\boxed 5", "5"),
    (r"\boxed{\boxed{5}} and \boxed{}", "5"),
    (r"So $x=\boxed{-2}$ and $x=\boxed{5}$.", "-2, 5"),
    (r"So $x=\boxed{2}$, $y=\boxed{5}$.", "x = 2, y = 5"),
    (r"The values are \boxed{2}, \boxed{3} and \boxed{5}.", "2, 3, 5"),
    (r"From \boxed{2} we get \boxed{3}.", None),
    (r"First, \boxed{2}. Then the answer is \boxed{3}.", "3"),
    (r"So \boxed{5}. In short: \boxed{5}", "5"),
    (r"(a) \boxed{3} (b) \boxed{5}", None),
    ("(a) It is \\boxed{3}.\n\n(b) It is \\boxed{5}.", None),
    ("Part 1: \\boxed{3}.\n\nPart 2: \\boxed{5}.", None),
    (r"\boxed{\text{Proved}}", None),
    (r"\boxed{\blacksquare}", None),
    (r"\boxed{\text{Q.E.D.}}", None),
    (r"So \boxed{5}. \boxed{\square}", "5"),
    ("Hence $f = g$.", None),
    ("Therefore $|G| = |H|$.", None),
    ("Thus $a^2 = b^2$.", None),
    ("The answer is " + "1 + " * 200 + "1.", None),
    (r"So $x = -\boxed{3}$.", "-3"),
    (r"\[ \boxed{3}\sqrt{2} \]", r"3\sqrt{2}"),
    (r"\(\boxed{x+1}\pi\)", r"(x+1)\pi"),
    (r"It is \boxed{50}\%.", r"50\%"),
    (r"$7+\boxed{5}=12$", "5"),
    (r"- \boxed{7}", "7"),
    (r"\boxed{5} - this is it.", "5"),
    (r"$\boxed{5}$, so $x$ is odd.", "5"),
    (r"\boxed{5}. For example, $x=\boxed{3}$ has that.", "5"),
    (r"First \boxed{0}, then \boxed{2}." + "\n\nSo\n&= 4,\n&= 3.\n&= \\boxed{-1}", "-1"),
    ("Therefore, the number of ways is 12.", "12"),
    ("Hence the area is $3\\pi$.", "3\\pi"),
    ("So the value is at least 5.", None),
    ("Therefore, the sum of the first is 5 and the third is 7.", None),
    ("If the answer is 5, then $x = 3$.", None),
    ("The answer is **3*4**.", "3*4"),
    ("The answer is _5_.", "5"),
    ("Result: 12", "12"),
    ("Result: we get 12.\n\nThen we go on.", None),
    ("The result is 23.", "23"),
    ("Answer - 12", "12"),
    ("# Answer\n\n19", "19"),
    ("This gives a final answer of 36.", "36"),
    ("In total, there are 56 ways.", "56 ways"),
    ("The correct option is B.", "B"),
    ("答え 73", "73"),
    ("《答え》 12", "12"),
    (r"It is \boxed{40} percent.", "40%"),
    (r"よって \boxed{8}パーセントである。", "8%"),
    (r"$2\boxed{6}$", r"2 \cdot (6)"),
    (r"$\pi \cdot \boxed{9}$", r"\pi \cdot (9)"),
    (r"$\boxed{10}^3$", "10^3"),
    ("\\boxed{30}\n\nRemark: if we forgot the sign we would get \\boxed{-30}.", "30"),
    ("First \\boxed{2}. Note that we need the sum, so the answer is \\boxed{9}.", "9"),
    ("The answer is unclear.", None),
    ("Maybe the answer is 6.", None),
    ("It is not clear that the answer is 8.", None),
    ("The answer is A, B or C.", None),
    ("The answer is 5 or 6.", "5 or 6"),
    ("The answer is about 3.14.", "3.14"),
    ("<answer>So \\boxed{3}.</answer>", "3"),
    ("**答え：** 73", "73"),
    ("よって、求める値は 12 である。", "12"),
    ("答えは『解なし』です。", "解なし"),
    ("よって、求める確率は2分の1です。", "2分の1"),
    ("答え：-3分の2", "-3分の2"),
    ("したがって、答えは全部で12通りです。", "12通り"),
    ("答えは次のようになる。", None),
    ("故答案为：12", "12"),
    ("Therefore, there are 35 such subsets.", "35"),
    ("So there are 4 cases to consider.", None),
    ("Therefore the value of $n+1$ is 6.", "6"),
    ("The required sum is equal to 5050.", "5050"),
    ("Thus the maximum value of the expression is 8, attained at $x=2$.", "8"),
    ("Hence the least such integer is $23$.", "23"),
    ("Thus the sum of the first 10 terms is 55.", "55"),
    ("So the two numbers are 3 and 7.", "3 and 7"),
    ("Hence the left side is 4.", None),
    ("Therefore, if $n$ is odd, the sum is 4.", None),
    ("Hence the limit of $f$ is $\\le 3$.", None),
    ("Therefore, 17 is the answer.", "17"),
    ("I doubt that 17 is the answer.", None),
    ("Hence $x=1$ or $x=3$.", "1, 3"),
    ("Hence $x=1$ and $y=3$.", None),
    ("Hence $a=1$ or $b=3$.", None),
    ("It is tempting to say that the answer is 10.", None),
    ("The answer is B or C, depending on the sign.", None),
    ("__Answer__: 17", "17"),
    ("Therefore $\\boxed{5}$.\n\n(A common mistake is to answer \\boxed{6}.)", "5"),
    ("〔答〕 36", "36"),
    ("「答え」は $9$ である。", "9"),
    ("よって $n=3$ のとき最大値 $9$ をとる。", "9"),
    ("ゆえに、$p=2$ または $p=3$ である。", "2, 3"),
    ("答えは 5 ではない。", None),
    ("答えは 7 だろうか。", None),
    ("答えは 2または3 です。", "2または3"),
]


@pytest.mark.parametrize(("solution", "answer"), SOLUTIONS)
def test_the_answer_of_a_solution(solution: str, answer: str | None) -> None:
    assert final_answer(solution) == answer


@pytest.mark.parametrize("token", [r"\boxed{1}", r"$\boxed{1}a", "答えは", "<answer>", "the number is "])
def test_a_solution_of_one_token_is_read_at_once(token: str) -> None:
    began = time.process_time()
    final_answer(token * 3000)
    assert time.process_time() - began < 0.5


@given(
    st.text(r"$\{}()[]*# =.:,0x" + "\n", max_size=80),
    st.sampled_from(["", "The answer is ", "Thus ", "Final answer\n"]),
)
def test_any_solution_is_read(text: str, opening: str) -> None:
    answer = final_answer(opening + text)
    assert answer is None or answer == answer.strip() != ""


@pytest.mark.parametrize(
    "text",
    ["The answer is " * 5000, "$" * 20_000, "\\[" * 9_000, "Thus $x = " + "(" * 9_000, "answer: $" * 4_000],
)
def test_a_long_solution_is_read_at_once(text: str) -> None:
    began = time.monotonic()
    final_answer(text)
    assert time.monotonic() - began < 1


# --- problems that ask for a proof --------------------------------------------------------------------------

PROOFS = [
    "Prove that $\\sqrt{2}$ is irrational.",
    "Show that every group of order 4 is abelian.",
    "Let $G$ be a group. Prove that if $x^2 = e$ for all $x$ then $G$ is abelian.",
    "Verify that $f$ is continuous.",
    "Give a proof that there are infinitely many primes.",
    "Let $x, y > 0$. Establish the inequality $(x+y)^2 \\ge 4xy$.",
    "Demonstrate that the series converges uniformly.",
    "Suppose $f$ is entire and bounded. Deduce that $f$ is constant.",
    "Prove that the set of points at which $f$ vanishes is closed.",
    "Show that the group, which is finite, has even order.",
    "Show that one can find a basis of eigenvectors.",
    "Prove that we can determine $x$ from $y$.",
    "Show that there is an algorithm to find the greatest common divisor.",
    "Prove that $x = 2$. Hint: compute $x^2$.",
    "Prove the Cauchy-Schwarz inequality.",
    "Can you prove that every field is a ring?",
    "Let $n$ be odd, for which $n^2$ is odd as well; prove it.",
    "次の不等式を証明せよ。",
    "$n$ が奇数ならば $n^2$ も奇数であることを示せ。",
    "Explain why $\\mathbb{Q}$ is countable.",
    "Find a proof that there are infinitely many primes.",
    "What is a proof of the fundamental theorem of algebra?",
    "Can you explain why every finite integral domain is a field?",
    "I need to prove that $\\sqrt2$ is irrational. Can you help me? How should I start?",
    "How do I prove that the sum of two even numbers is even?",
]
ASKED = [
    "What is $2+2$?",
    "Find all $n$ such that $n^2 + 1$ is prime. Prove your answer.",
    "Find the order of $G$. Show your work.",
    "Prove or disprove: every group of order 6 is abelian.",
    "Prove that there is a smallest such $n$, and compute it.",
    "Is it true that $f$ is continuous? Prove it or give a counterexample.",
    "(a) Show that $f$ is odd. (b) Hence find $f(0)$.",
    "Determine whether the series converges. Justify.",
    "How many primes are below 100?",
    "Show that $x > 0$. What happens if $x = 0$?",
    "Evaluate $\\int_0^1 x\\,dx$.",
    "Compute the length of the shortest proof.",
    "Solve $x^2 = 4$ and verify the solutions.",
    "Which of these groups are abelian? Justify your answer.",
    "Let $X$ be uniform on $[0,1]$. Calculate its variance.",
    "Show that the sum telescopes and evaluate it.",
    "Simplify $\\sin^2 x + \\cos^2 x$, and show all steps.",
    "Derive a formula for the sum of the first $n$ squares and prove it.",
    "極限を求めよ。",
    "等式を示し、値を求めよ。",
    "The answer is a number.",
    "Is $\\mathbb{Z}[\\sqrt{-5}]$ a UFD? Prove your claim.",
    "Does $\\sum 1/n$ converge? Prove it.",
    "Let $n$ be an integer. For which $n$ is $n^2+1$ prime? Prove your result.",
    "Can every group be embedded in a symmetric group? Justify.",
    "Prove or refute: every bounded sequence converges.",
    "Prove the following or provide a counterexample: all continuous functions are differentiable.",
    "Given the proof below, identify the error.",
    "Show that the sequence converges to a limit $L$ and give the value of $L$.",
    "Show me the value of $2+2$.",
    "Show how to compute $\\int x e^x dx$.",
    "A TV show has 5 episodes per season. There are 3 seasons; total number of episodes?",
    "The establishment sells 5 items at 3 dollars. Establish total revenue.",
    "Use the proof of Euclid to find a prime larger than 7.",
    "Complete the proof by filling in the blank: $2+2=$ ___",
    "Demonstrate your understanding: number of edges of $K_5$?",
    "$x^2=4$ を解き、解が正しいことを証明せよ。",
]


@pytest.mark.parametrize("problem", PROOFS)
def test_a_proof_is_asked_for(problem: str) -> None:
    assert asks_for_proof(problem)


@pytest.mark.parametrize("problem", ASKED)
def test_an_answer_is_asked_for(problem: str) -> None:
    assert not asks_for_proof(problem)


# --- ground truths ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer", ["2", r"\frac{1}{2}", "x^2+1", r"2\sqrt{3}", "[0,1)", r"\{1,2\}", "0.5", "-7"]
)
def test_what_a_reward_can_check(answer: str) -> None:
    assert is_readable(answer)


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        (r"\frac12", r"\frac{1}{2}"),
        (r"-\frac1{12}", r"-\frac{1}{12}"),
        (r"\frac\pi4", r"\frac{\pi}{4}"),
        (r"\dfrac{\sqrt3}2", r"\dfrac{\sqrt{3}}{2}"),
        (r"2\sqrt3", r"2\sqrt{3}"),
        (r"\sqrt[3]2", r"\sqrt[3]{2}"),
        (r"\frac{\frac12}{\sqrt{\frac34}}", r"\frac{\frac{1}{2}}{\sqrt{\frac{3}{4}}}"),
        (r"\left(\frac 1 2, 3\right)", r"\left(\frac{1}{2}, 3\right)"),
        (r"\frac{n(n+1)}{2}", r"\frac{n(n+1)}{2}"),
        ("[0,1)", "[0,1)"),
    ],
)
def test_a_ground_truth_is_written_as_the_reward_of_trl_reads_it(answer: str, gold: str) -> None:
    """TRL is the real one. What it misreads as it was, it reads as it is published."""
    from trl.rewards import accuracy_reward

    assert braced(answer) == braced(gold) == gold
    assert is_readable(answer)
    said, published = f"It is $\\boxed{{{answer}}}$.", f"$\\boxed{{{gold}}}$"
    scores = accuracy_reward([[{"content": text}] for text in (published, said)], [published] * 2)
    assert scores == [1.0, float(answer == gold)], "the card says that it gives 0 to \\frac12 in a completion"


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("１２通り", "12"),
        (r"12\text{ 個}", "12"),
        ("2分の1", r"\frac{1}{2}"),
        ("−３", "-3"),
        (r"\frac12 倍", r"\frac{1}{2}"),
    ],
)
def test_a_ground_truth_in_japanese_is_written_as_the_reward_reads_it(answer: str, gold: str) -> None:
    from trl.rewards import accuracy_reward

    assert for_reward(answer) == gold
    assert is_readable(answer)
    said = [[{"content": f"よって $\\boxed{{{text}}}$ です。"}] for text in (gold, "7")]
    assert accuracy_reward(said, [f"$\\boxed{{{gold}}}$"] * 2) == [1.0, 0.0]


@pytest.mark.parametrize("answer", ["90分", "12通り以上", "3 または 5", "第3項", "12 apples", "2個、3個"])
def test_a_unit_and_words_are_no_counter(answer: str) -> None:
    assert not is_readable(answer)


@pytest.mark.parametrize(
    "text", ["", r"\frac", r"\frac{1", r"\frac1", r"\sqrt[", r"\fraction12", r"\sqrt{{}", "}"]
)
def test_text_that_is_no_formula_gets_no_braces_that_lose_something(text: str) -> None:
    assert re.sub("[{}]", "", braced(text)) == re.sub("[{}]", "", text)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        r"\blacksquare",
        r"\mathbb{Q}(\sqrt2)",
        "(2",
        "9" * 3000,
        r"\ln 2 \cdot 3",
        "2 1/3",
        r"\{1, 2, \ldots, 9\}",
    ],
)
def test_what_it_cannot(answer: str) -> None:
    assert not is_readable(answer)
