"""Hand-written instructions, good and bad, and what each rule makes of them; `python tests/problem_table.py`
prints the table.
"""

from __future__ import annotations

from collections.abc import Iterator

from magpie_hf.problems.cleaning.language import language_of
from magpie_hf.problems.cleaning.rules import RULES, reason_of, trim

LANGUAGES = ("en", "ja")
REASONS = tuple(dict.fromkeys(rule.reason for rule in RULES))

ALGEBRA = (
    "Prove that every group of order 15 is cyclic.",
    (
        r"Let $G$ be a finite group in which every element satisfies $g^2 = e$. Show that $G$ is abelian and"
        r" that $|G|$ is a power of $2$."
    ),
    (
        r"Determine the Galois group of the splitting field of $x^4 - 2$ over $\mathbb{Q}$, and list all"
        r" intermediate fields."
    ),
    (
        r"Find all $2 \times 2$ matrices $A$ with real entries such that $$A^2 - 3A + 2I = \begin{pmatrix} 0"
        r" & 0 \\ 0 & 0 \end{pmatrix}.$$"
    ),
    (
        "$f(x) = x^3 - 3x + 1$. Find the discriminant of $f$ and decide whether its splitting field has"
        " degree 3 or 6 over the rationals."
    ),
    r"Let $R$ be a commutative ring with $1$. (a) Prove that the nilradical is an ideal. (b) Prove that it is"
    r" the intersection of all "
    r"prime "
    "ideals. (c) Give an example in which it is not nilpotent.",
    "Solve for x: 3x + 7 = 22.",
    r"Consider the system"
    "\n"
    r"\begin{align*}"
    "\n"
    r"x + y + z &= 6, \\"
    "\n"
    r"xy + yz + zx &= 11, \\[2pt]"
    "\n"
    r"xyz &= 6."
    "\n"
    r"\end{align*}"
    "\n"
    "Find all real solutions.",
    r"For which integers $n \ge 3$ is the regular $n$-gon's symmetry group $D_n$ nilpotent?",
    r"p is a prime and q is a power of p. Determine the number of Sylow p-subgroups of GL_2(F_q).",
    r"Let $A$ be the matrix"
    "\n\n$$\n"
    r"\begin{bmatrix} 0 & 0 & 0 & 1 \\ 0 & 0 & 0 & 0 \\ 0 & 0 & 0 & 0 \\ 1 & 0 & 0 & 0 \end{bmatrix}"
    "\n$$\n\nFind its eigenvalues.",
    "Find the roots of the polynomial P(x) = x^3 - 6x^2 + 11x - 6",
    "n is a positive integer and S_n is the symmetric group. How many conjugacy classes does S_6 have?",
    r"Which of the following rings are principal ideal domains? Justify each answer."
    "\n"
    r"(A) $\mathbb{Z}[i]$"
    "\n"
    r"(B) $\mathbb{Z}[\sqrt{-5}]$"
    "\n"
    r"(C) $\mathbb{Q}[x]$"
    "\n"
    r"(D) $\mathbb{Z}[x]$",
    r"群 $G$ の位数が $p^2$（$p$ は素数）であるとき、$G$ はアーベル群であることを示せ。",
    r"体 $K=\mathbb{Q}(\sqrt{2},\sqrt{3})$ について、$\mathrm{Gal}(K/\mathbb{Q})$ を求めよ。",
)
CALCULUS = (
    r"Evaluate the integral $\int_0^\infty \frac{\sin x}{x}\,dx$.",
    r"Compute \[ \int_{0}^{1} \frac{\ln(1+x)}{1+x^2} \, dx. \]",
    (
        r"Let $f: \mathbb{R} \to \mathbb{R}$ be continuous with $f(x+y) = f(x) + f(y)$ for all $x, y$. Prove"
        r" that $f(x) = cx$."
    ),
    r"Let f: R -> R be a differentiable function with f'(x) = 2f(x) and f(0) = 3. Find f(5).",
    r"Show that \( \sum_{n=1}^\infty \frac{1}{n^2} = \frac{\pi^2}{6} \) using the residue theorem.",
    (
        r"Let $f$ be defined on $[0,1)$ by $f(x) = \frac{1}{1-x}$. Is $f$ uniformly continuous on $[0, 1)$?"
        r" On $(0, 1/2]$?"
    ),
    r"Find the limit: $$\lim_{x \to 0} \left[ \frac{\sin x}{x} \right)^{1/x^2}$$",
    "Find the derivative of x^2 * sin(x) with respect to x",
    "find the maximum of x*exp(-x) on the interval [0, 5]",
    r"Let $(X, \mathcal{A}, \mu)$ be a measure space and $f \in L^1(\mu)$. Prove: for every $\varepsilon > 0$"
    r" there is a $\delta > 0$ "
    r"such that $\mu(E) < \delta$ implies $\int_E |f|\, d\mu < \varepsilon$.",
    r"Find all real $a$ for which the series"
    "\n$$\\sum_{n=2}^{\\infty} \\frac{(-1)^n}{n^a \\ln n}$$\n"
    "(i) converges absolutely; (ii) converges conditionally.",
    (
        r"Let $$f(x) = \begin{cases} x^2 \sin(1/x) & \text{if $x \neq 0$,} \\ 0 & \text{if $x = 0$.}"
        r" \end{cases}$$ Is $f'$ continuous at $0$?"
    ),
    r"\[ \int_0^{\pi/2} \ln(\sin x)\,dx \]" "\n\nEvaluate this integral in closed form.",
    r"Determine the radius of convergence of $\sum_{n=0}^{\infty} n!\, z^{n!}$.",
    r"Use the substitution $u = \tan(x/2)$ to calculate $\int \frac{dx}{2 + \cos x}$.",
    r"定積分 $\displaystyle\int_0^1 x e^x\,dx$ を計算せよ。",
    r"関数 $f(x)=x\log x$ の $x>0$ における最小値を求めなさい。",
)
GEOMETRY = (
    r"In triangle $ABC$, $AB = 13$, $BC = 14$ and $CA = 15$. Find the radius of its incircle.",
    (
        "Two circles of radius 3 and 5 are externally tangent. Find the length of their common external"
        " tangent segment."
    ),
    (
        r"Let $ABCD$ be a cyclic quadrilateral whose diagonals meet at $P$. Prove that $PA \cdot PC = PB"
        r" \cdot PD$."
    ),
    "Find the area of the figure formed by the lines y = x, y = 2x and x + y = 6.",
    "Draw a diagram and prove that the medians of a triangle are concurrent.",
    r"A regular tetrahedron has edge length $1$. What is the distance between two opposite edges?",
    (
        r"Let $S \subset \mathbb{R}^3$ be the surface $z = x^2 - y^2$. Compute its Gaussian curvature at the"
        r" origin."
    ),
    (
        r"Show that the curve $y^2 = x^3$ in $\mathbb{A}^2_k$ is birational to $\mathbb{A}^1_k$ but not"
        r" isomorphic to it."
    ),
    (
        "Consider the points A(0,0), B(4,0) and C(0,3). What are the coordinates of the circumcenter of"
        " triangle ABC?"
    ),
    r"Let $\Gamma$ be the circumcircle of an acute triangle $ABC$ with $AB < AC$. The tangent to $\Gamma$ at"
    r" $A$ meets line $BC$ at $D$. "
    r"Let $M$ be the midpoint of $AD$. Line $BM$ meets $\Gamma$ again at $E$. Prove that $\angle EDM = \angle"
    r" MCD$.",
    "What is the area of a rectangle with length 8 cm and width 5 cm?",
    "Prove that the figure whose vertices are the midpoints of a convex quadrilateral is a parallelogram.",
    (
        "Hello! Could you help me with this? In a right triangle the legs are 5 and 12. Find the length of"
        " the altitude to the hypotenuse."
    ),
    (
        "A cone has height $h$ and base radius $r$. First, we cut it by a plane parallel to the base at half"
        " its height. Find the ratio of the volumes of the two pieces."
    ),
    r"Let $C$ be a smooth projective curve of genus $g \geq 2$ over an algebraically closed field. Show that"
    r" $\operatorname{Aut}(C)$ is "
    r"finite.",
    r"三角形 $ABC$ において、$AB=5$, $BC=7$, $CA=8$ とする。$\angle A$ の大きさを求めよ。",
    r"半径 $1$ の球に内接する円柱の体積の最大値を求めよ。",
)
STATISTICS = (
    "A fair coin is tossed until two consecutive heads appear. What is the expected number of tosses?",
    r"Let $X_1, \dots, X_n$ be i.i.d. $N(\mu, \sigma^2)$. Show that $\bar{X}$ and $S^2$ are independent.",
    (
        "A lottery ticket costs $5 and wins $100 with probability 1/50. What is the expected gain of a player"
        " who buys $20 worth of tickets?"
    ),
    (
        "A bat and a ball together cost $1.10. The bat costs $1.00 more than the ball. How much does the ball"
        " cost?"
    ),
    r"The following table gives the joint distribution of $X$ and $Y$:"
    "\n\n| X \\ Y | 0 | 1 |\n|---|---|---|\n| 0 | 0.1 | 0.3 |\n"
    "| 1 | 0.2 | 0.4 |\n\nFind the covariance of $X$ and $Y$.",
    (
        "The following data were collected: 12, 15, 11, 18, 20, 14. Compute the sample mean and the sample"
        " variance."
    ),
    (
        "We start by placing one white and one black ball in an urn. At each step a ball is drawn at random"
        " and returned with another of the same color. What is the distribution of the number of white balls"
        " after n steps?"
    ),
    (
        r"Let $(M_n)_{n \ge 0}$ be a martingale with $\sup_n E[M_n^2] < \infty$. Prove that it converges in"
        r" $L^2$."
    ),
    (
        "The test scores of a class are given in the table below. Find the median.\n\nScore  Students\n50 "
        " 3\n60  7\n70  12\n80  5\n"
    ),
    r"Suppose $X \sim \mathrm{Poisson}(\lambda)$ and, given $X = x$, $Y \sim \mathrm{Binomial}(x, p)$. (a)"
    r" Find the distribution of $Y$. "
    r"(b) Find $E[X \mid Y]$. (c) Are $Y$ and $X - Y$ independent?",
    "My sister rolls a fair die and I roll two. What is the probability that my larger roll beats hers?",
    (
        "Which of the following estimators is unbiased for the variance: the one that divides by n, or the"
        " one that divides by n - 1?"
    ),
    (
        r"Let $U_1, U_2, \ldots$ be independent and uniform on $(0,1]$, and $N = \min\{n : U_1 + \dots + U_n"
        r" > 1\}$. Find $E[N]$."
    ),
    (
        'Someone says: "The probability of rain on two days is $1/2 + 1/2 = 1$." What is wrong with this'
        " argument?"
    ),
    (
        "You are given n independent exponential random variables with rate 1. What is the distribution of"
        " their minimum?"
    ),
    r"サイコロを $3$ 回投げるとき、出た目の最大値が $5$ である確率を求めよ。",
    r"確率変数 $X$ は平均 $0$、分散 $1$ をもつ。$P(|X|\ge 2)\le 1/4$ を証明せよ。",
)
NUMBER_THEORY = (
    "Find all primes p such that p + 2 and p + 4 are also prime.",
    r"Show that there are infinitely many primes congruent to $3$ modulo $4$.",
    r"Find the remainder when $2^{2024}$ is divided by $7$.",
    r"$a_1 = 1$, $a_2 = 1$ and $a_{n+2} = a_{n+1} + a_n$. Prove that $\gcd(a_m, a_n) = a_{\gcd(m, n)}$.",
    (
        "Consider the sequence 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, ... in which each term is the sum of the two"
        " before it. Which terms are even?"
    ),
    r"Let $\zeta$ be the Riemann zeta function. Prove that $\zeta(1 + it) \ne 0$ for all real $t \neq 0$.",
    r"Determine all pairs $(x, y)$ of positive integers with $x^2 - 2y^2 = 1$ and $x < 100$.",
    "p-adic numbers: show that -1 is a square in Q_5 but not in Q_7.",
    r"Let $S = \{n \in \mathbb{N} : n \mid 2^n - 2\}$. Is $S$ infinite?",
    r"Compute the class number of $\mathbb{Q}(\sqrt{-23})$.",
    r"For a positive integer $n$, let $\sigma(n)$ denote the sum of its divisors. Find all $n$ with"
    r" $\sigma(n) = 2n$ and $n < 500$. "
    "Express your answer as a list, and put your final answer in \\boxed{}.",
    (
        "If the answer is $m/n$ in lowest terms, find m + n: what fraction of the integers from 1 to 100 are"
        " divisible by 3 or 5?"
    ),
    "What is the sum of the digits of the number 10^20 - 17?",
    r"Let $p$ be an odd prime. Part (i): show that $\left(\frac{-1}{p}\right) = (-1)^{(p-1)/2}$. Part (ii):"
    r" deduce which primes are sums "
    "of two squares.",
    r"\textbf{Theorem (Wilson).} Let $p$ be a prime. Prove that $(p-1)! \equiv -1 \pmod p$.",
    r"$n^2+1$ が $5$ で割り切れるような自然数 $n$ をすべて求めよ。",
    r"整数 $a, b$ に対して、次の条件を満たす組 $(a,b)$ は何個あるか。ただし、$1\le a\le b\le 10$ とする。",
)
DISCRETE = (
    "How many ways are there to tile a 2 x 10 rectangle with dominoes?",
    "Prove that every tournament has a Hamiltonian path.",
    r"Let $G$ be a graph on $n$ vertices with more than $n^2/4$ edges. Show that $G$ contains a triangle.",
    (
        "There are 100 prisoners and a light bulb. Every day one prisoner, chosen at random, may switch it on"
        " or off. Find a strategy by which one of them can be certain that all have been in the room."
    ),
    r"Let $F$ be a family of subsets of $\{1, 2, \dots, n\}$ such that no member contains another. Prove that"
    r" $|F| \le \binom{n}{\lfloor "
    r"n/2 \rfloor}$.",
    (
        "Consider the following algorithm.\nStep 1: Let i = 1.\nStep 2: If a[i] > a[i+1], swap them.\nStep 3:"
        " Increase i and go to step 2 while i < n.\nHow many swaps does it make in the worst case?"
    ),
    (
        "Let G be the graph with vertices 1, ..., 6 and edges 12, 23, 34, 45, 56, 61, 14. Determine its"
        " chromatic polynomial."
    ),
    (
        "Let n >= 2.\n1. Prove that the complete graph K_n has n^(n-2) spanning trees.\n2. Find the number of"
        " spanning trees that contain a given edge.\n3. Deduce the expected degree of a vertex in a uniformly"
        " random spanning tree."
    ),
    (
        "Alice and Bob play a game with a heap of 50 stones. In each turn a player takes 1, 2 or 5 stones;"
        " whoever takes the last stone wins. Who wins if Alice starts?"
    ),
    (
        "1. Let P be a finite poset. Show that P has a maximal element.\n2. Show that the longest chain of P"
        " and the smallest partition of P into antichains have the same size."
    ),
    r"Prove that the language $L = \{0^n 1^n : n \ge 0\}$ is not regular.",
    (
        "Is it possible to cover an 8x8 chessboard without two opposite corners by 31 dominoes? Justify your"
        " answer."
    ),
    r"Show that $R(3,3) = 6$, that is: every 2-coloring of the edges of $K_6$ has a monochromatic triangle.",
    "k-regular graphs: for which k and n does a k-regular graph on n vertices exist?",
    'How many words of length 5 over the alphabet {a, b, c} contain neither "ab" nor "ba"?',
    r"$n$ 人が円形に並ぶ並び方は何通りあるか。",
    "グラフ $G$ の各頂点の次数が $3$ 以上であるとき、$G$ は偶数長の閉路を含むことを証明せよ。",
    (
        "Please solve the following problem: in how many ways can 8 rooks be placed on a chessboard such that"
        " no two attack each other?"
    ),
)
DOMAINS = {
    "algebra": ALGEBRA,
    "calculus": CALCULUS,
    "geometry": GEOMETRY,
    "statistics": STATISTICS,
    "number_theory": NUMBER_THEORY,
    "discrete": DISCRETE,
}

BAD: dict[str, tuple[str, ...]] = {
    "too_long": (
        "Prove that " + ", ".join(f"$x_{{{n}}} > {n}$" for n in range(700)) + " together imply nothing.",
    ),
    "special_tokens": (
        "How many primes are there below 50? <|end_of_turn|]",
        "Compute the order of $S_4$. [/INST]",
        "Is $x^2+1$ irreducible over the rationals? <!|user|>",
        "Show that $7$ divides $8^n-1$. |im_end|",
    ),
    "repetition": (
        "Find the number of the number of the number of the number of the number of the number of solutions.",
        "Let $G$ be a group. Let $G$ be a group of order 4. Is it abelian?\n"
        + "Show that the group is abelian.\n" * 4,
        (
            "Prove that the ring is a ring, and that the ring is a ring, and that the ring is a ring, and"
            " that the ring is a ring, and that it is."
        ),
        "Compute the integral integral integral integral integral integral of x.",
        (
            "Let $f$ be a continuous function on the closed unit interval with values in the reals, and let"
            " $g$ be another one. Is $f$ bounded? Let $f$ be a continuous function on the closed unit"
            " interval with values in the reals, and let $g$ be another one. Is $f$ bounded?"
        ),
        "Find x such that hahahahahahahahahahahahahahaha holds.",
        "次の値を求めよ。" + "数列とする。" * 12,
        (
            "What is the sum of all the terms of the series?\nWhat is the sum of all the terms of the"
            " series?\nWhat is the sum of all the terms of the series?"
        ),
        "A is a set and B is a set and C is a set and D is a set. "
        + "Then A is a subset of B. " * 6
        + "Is it?",
        (
            "Evaluate the limit of the sequence of the sequence of the sequence of the sequence of the"
            " sequence of partial sums."
        ),
    ),
    "language": (
        (
            "Montrer que tout groupe fini d'ordre premier est cyclique et que tous ses sous-groupes sont"
            " triviaux."
        ),
        (
            "Sei $G$ eine endliche Gruppe und $H$ eine Untergruppe. Zeigen Sie, dass die Ordnung von $H$ die"
            " Ordnung von $G$ teilt."
        ),
        "Encuentre todos los números primos que son suma de dos cuadrados y demuestre que no hay otros.",
        "Докажите, что существует бесконечно много простых чисел вида 4k + 3.",
        "设 $G$ 是一个有限群，证明 $G$ 的每个子群的阶整除 $G$ 的阶，并且举例说明逆命题不成立。",
        "자연수 n에 대하여 n의 제곱이 짝수이면 n도 짝수임을 증명하고, 그 역도 성립하는지 설명하시오.",
        "Find the значение of the интеграл from zero to one.",
        "Let the множество of all functions be 给定的 and compute its cardinality.",
        "Determine the пределs of the sequence aₙ when n goes to infinity.",
        "Prove that รูปสามเหลี่ยม is equilateral if all its angles are equal.",
        "Quante sono le soluzioni intere dell'equazione seguente, e come si possono trovare tutte?",
        "सिद्ध कीजिए कि अभाज्य संख्याएँ अनंत हैं और उनका कोई अंत नहीं है।",
        "Compute the الكثير of degree three whose roots are 1, 2 and 3.",
    ),
    "chat": (
        "Hello",
        "Hi! How are you today?",
        "Can you help me with my homework?",
        "Thanks, that was very helpful!",
        "I'm an AI language model and I can't do that.",
        "Sure! Here is a problem for you.",
        "Write a story about a dragon who lives in a castle.",
        "Please provide a problem.",
        "You are a detective who has been tasked to solve a murder. What do you do first?",
        "I'm planning a trip to Japan. Which cities should I visit?",
        "Could you please give me a challenging math problem?",
        "I am a student and I have an exam next week. Can you help me?",
        "Tell me a joke about mathematicians.",
        "What is your favorite theorem?",
        "What can you do for me?",
        "This question is about Euclidean geometry.",
        "Let me know if you have any questions.",
        "Can you solve it?",
        "How do I write a good cover letter for a job at a bank?",
        "Here is a challenging problem in abstract algebra.",
        "こんにちは。数学の宿題を手伝ってください。",
        "数学の問題を出してください。",
    ),
    "contains_solution": (
        (
            "Find all $x$ with $x^2 = 4$. We have $x = 2$ or $x = -2$, thus the solutions are complete."
            " Therefore, the answer is $\\pm 2$."
        ),
        "To solve this problem, we need to find the roots of the quadratic equation $x^2 - 5x + 6 = 0$.",
        "What is the derivative of $x^2$? The answer is $2x$.",
        "Let's solve the equation $3x + 1 = 10$. Subtract 1 from both sides.",
        "Compute $\\int_0^1 x\\,dx$. First, we note that an antiderivative is $x^2/2$.",
        "Prove that $\\sqrt 2$ is irrational. We start by assuming the contrary.",
        "Determine the order of the group $S_4$. Solution: it has $4! = 24$ elements.",
        "Find the remainder of $7^{10}$ modulo $5$. Answer: 4",
        "Evaluate the sum $1 + 2 + \\dots + 100$.\n\n$$1 + 2 + \\dots + 100 = \\boxed{5050}$$",
        (
            "How many subsets does a set with 5 elements have?\n\nTo find the number of subsets, we use the"
            " fact that each element is in or out."
        ),
        (
            "What is the probability of two heads in two tosses?\nLet's think step by step. Each toss has two"
            " outcomes."
        ),
        (
            "Show that every field is an integral domain.\n\nBy the definition of a field, we know that each"
            " nonzero element is invertible."
        ),
        "**Solution**\n\nThe group is cyclic, so it has one subgroup for each divisor.",
        "Find the area of a circle with radius 3.\n\nUsing the formula for the area, we get $9\\pi$.",
        "Okay, so I need to find the number of primes below 100. Let me list them.",
        "Step 1: Factor the polynomial $x^2 - 1$. Step 2: Set each factor to zero.",
        "Solve $x + 1 = 3$ for x. So the answer is x = 2.",
        (
            "Let $p$ be a prime. Find $\\phi(p)$. We can write $\\phi(p) = p - 1$ since all smaller numbers"
            " are coprime to it."
        ),
        "$x^2 + 1 = 0$ の解を求めよ。よって、答えは $x=\\pm i$ である。",
        "連立方程式 $x+y=3$, $x-y=1$ を解け。解答：$x=2$, $y=1$",
        (
            "Theorem. Every finite integral domain is a field.\n\nProof. Let $a$ be nonzero. Multiplication"
            " by $a$ is injective, hence surjective."
        ),
    ),
    "several": (
        "Problem 1: Find the derivative of $x^3$.\n\nProblem 2: How many primes are there below 50?",
        (
            "1. Find the area of a circle of radius 2.\n2. Compute the sum of the first 10 odd numbers.\n3."
            " Solve $x^2 = 9$."
        ),
        "Question 1. What is the order of $S_5$?\nQuestion 2. What is the center of $D_4$?",
        (
            "**Problem 1.** Prove that $\\sqrt 3$ is irrational.\n\n**Problem 2.** Evaluate $\\int_0^1"
            " x^2\\,dx$."
        ),
        "Solve the following problems:\n1. Find the gcd of 84 and 126.\n2. Find the inverse of 3 modulo 11.",
        "Exercise 1: Show that 7 divides $8^n - 1$.\nExercise 2: Find the volume of a cone.",
        "問1 $2^{10}$ を求めよ。\n問2 円周率が無理数であることを示せ。",
        "Find the maximum of $x(1-x)$.\n\n---\n\nHow many edges does $K_7$ have?",
        (
            "What is the sum of the angles of a pentagon?\n\nAnother problem: find the number of divisors of"
            " 360."
        ),
        "Q: What is 5 factorial?\nQ: What is the probability of a double six?",
        "Answer the following questions.\n1) What is a prime number?\n2) How many vertices does a cube have?",
        (
            "1. Prove that 2 is prime. 2. Compute the determinant of the identity matrix. 3. Find the mean of"
            " 1, 2 and 6."
        ),
    ),
    "multiple_choice": (
        "Which of the following is a prime number?",
        "Which of the following statements about compact sets is true?",
        "Select the correct answer.",
        "Let $G$ be a group of order 6. Which one of the following must be true of $G$?",
        "What is the value of $\\int_0^1 x\\,dx$? Choose the correct option.",
        "Which of the following numbers is the largest?\nA)",
        "All of the following are subgroups of $S_4$ except one. Which of the following is it?",
        "次のうち、正しいものはどれか。",
        "以下の選択肢から正しいものを選べ。",
        "Which of these is a martingale?",
        "In triangle $ABC$, which of the following conditions implies that it is isosceles?",
        "Pick the best answer: how many primes are there below 20?",
    ),
    "missing": (
        "Find the area of the shaded region in the figure below.",
        "In the diagram, $AB$ is parallel to $CD$. Find the angle $x$.",
        "As shown in the figure, the circle touches the square at $P$. Determine the length of $AP$.",
        "Use the following data to compute the mean and the variance.",
        "The table below shows the number of students in each class. How many students are there in total?",
        "Using the result of the previous exercise, prove that the group is simple.",
        "Prove that the above function is continuous.",
        "Solve the problem in the attached file.",
        "Refer to the graph shown and determine where the function is increasing.",
        "Use Theorem 3.2 to prove that every compact subset of $X$ is closed.",
        "What is the area of the triangle shown?",
        "The graph of $f$ is given in the picture. For which $x$ is $f(x) = 0$?",
        "Find the volume of the solid in Figure 3.",
        "下図の三角形の面積を求めよ。",
        "前問の結果を用いて、$a_n$ の極限を求めよ。",
        "Solve the following equation.",
        "According to the chart, which city has the greatest rainfall per month?",
        "Show that the set of Exercise 5 is closed under addition.",
        "A survey gave the results in the table. Find the probability that a random person prefers tea.",
    ),
    "fragment": (
        ", and let $H$ be a normal subgroup of index 2. Show that $H$ contains all elements of odd order.",
        ") is a metric space. Show that it is complete.",
        "subgroups of a finite group $G$. Prove that their product is a subgroup.",
        "of order 12. How many Sylow 3-subgroups can it have?",
        "theorem to show that the polynomial has exactly five roots.",
        ". Find the eigenvalues of the matrix $A$.",
        "'s theorem states that the order of a subgroup divides the order of the group. Prove it.",
        "and compute the integral of $f$ over $[0,1]$.",
        "a positive integer such that n divides 2^n + 1. Show that 3 divides n.",
        "B) group theory. What is the order of $S_4$?",
        "ing the ratio test, determine whether the series converges.",
        "、$n$ を自然数とする。$2^n > n$ を示せ。",
        "which is continuous on the real line. Prove that it attains its maximum on $[0,1]$.",
    ),
    "truncated": (
        "Let $G$ be a finite group and let",
        "Find all integers $n$ such that",
        "Compute the following integral:",
        "Prove that for every $n \\ge 1$, the number $n^2 +",
        "Let $X$ be a compact space, where",
        "Evaluate \\[ \\int_0^1 x^2 \\, dx",
        "Find the eigenvalues of the matrix $\\begin{pmatrix} 1 & 2 \\\\ 3 & 4$.",
        "Let $f(x) = \\frac{1}{1 + x^2$. Find $f'(0)$.",
        "Show that the set of all",
        "Determine the values of $a$ and $b$ for which the function is continuous,",
        "Find the number of ways to choose 3 balls from",
        "Suppose that $A$ is a matrix with eigenvalues $1$, $2$ and",
        "Let $G$ be a connected graph with $n$ vertices and a maximal",
        "Solve the system\n\\begin{align*}\nx + y &= 3 \\\\\nx - y &= 1",
        "Let $(X, d$ be a metric space. Show that $\\left( X, d $ is complete.",
        "$n$ を自然数とする。このとき、",
        "次の関数 $f(x)=x^2$ の最小値を",
        "What is the probability that a randomly chosen",
        "Let $S = \\{1, 2, \\dots, n\\}$ and consider the family of",
        "A ball is thrown from the top of a building and its height is given by h(t) =",
        "Prove that the following are equivalent: (i) $f$ is continuous; (ii)",
        "Show that the sum of the series is smaller than the",
    ),
    "too_short": ("Algebra", "$x$", "Eigenvalues?", "Prime numbers.", "Integral!", "Compute"),
    "no_task": (
        "Let $G$ be a group of order 15. Then $G$ is cyclic.",
        "The set of all integers is a ring under addition and multiplication.",
        "A triangle is a polygon with three sides. The sum of its angles is 180 degrees.",
        "Every bounded sequence of real numbers has a convergent subsequence.",
        (
            "The harmonic series diverges. The geometric series converges for ratios below one in absolute"
            " value."
        ),
        "群の中心は正規部分群である。",
    ),
}

# Written after the rules, in three lots, each read once before the rules were mended. Wrong were 8 of the
# first 66 (1 of 30 good, 7 of 36 bad, of which 3 dropped for another reason), 16 of the next 80 (1 of 40
# good, 15 of 40 bad, mostly solutions without a mark); 5 of the last 44 (3 of 22 good, 2 of 22 bad).
UNSEEN = (
    r"Suppose that $\phi: \mathbb{Z}[x] \to \mathbb{C}$ is the ring homomorphism with $\phi(x) = i$. What is"
    r" the kernel of $\phi$, and is "
    r"it maximal?",
    (
        "A stick of length 1 is broken at two points chosen independently and uniformly. What is the"
        " probability that the three pieces form a triangle?"
    ),
    r"Classify, up to isomorphism, all groups of order $pq$ where $p < q$ are primes.",
    r"For $s > 1$ let $$\zeta(s) = \sum_{n \ge 1} n^{-s}.$$ Prove the Euler product formula"
    "\n"
    r"$$\zeta(s) = \prod_p \left(1 - p^{-s}\right)^{-1}.$$",
    (
        "I have been stuck on this for days. Let f be an entire function with |f(z)| <= 1 + |z|^2 for all z."
        " Prove that f is a polynomial of degree at most 2."
    ),
    (
        "Let ABC be a triangle with circumcenter O and orthocenter H. Prove that OH^2 = 9R^2 - (a^2 + b^2 +"
        " c^2)."
    ),
    r"What is the smallest $n$ such that every 2-coloring of $\{1, \ldots, n\}$ contains a monochromatic"
    r" solution of $x + y = z$ with $x "
    r"\ne y$?",
    (
        "A store sells apples for $2 each and pears for $3 each. Maria spends exactly $24. In how many ways"
        " can she do so?"
    ),
    r"Let $T: V \to V$ be a linear operator with minimal polynomial $(x-1)^2(x+2)$ on a space of dimension 4."
    r" List all possible Jordan "
    r"forms of $T$.",
    r"Using Stokes' theorem, evaluate $\oint_C y\,dx + z\,dy + x\,dz$, where $C$ is the intersection of the"
    r" plane $x + y + z = 0$ and the "
    r"unit sphere.",
    (
        "Does there exist a continuous function on the reals that takes every value exactly twice? Exactly"
        " three times?"
    ),
    r"Let $n$ be a positive integer. Determine, with proof, the value of"
    "\n"
    r"\["
    "\n"
    r"\sum_{k=0}^{n} (-1)^k \binom{n}{k} \frac{1}{k+1}."
    "\n"
    r"\]",
    (
        "The answer to a quiz question is guessed by each of 10 students with probability 1/4. What is the"
        " probability that at least 3 are right?"
    ),
    "Given the data x: 1, 2, 3, 4 and y: 2, 3, 5, 8, fit a least squares line and predict y at x = 5.",
    r"Three mutually tangent circles of radii $1$, $2$, $3$ are given. Find the radius of the circle that is"
    r" internally tangent to all "
    r"three.",
    (
        r"Let $\mathcal{H}$ be a Hilbert space and $T$ a compact self-adjoint operator. Show that $\|T\|$ or"
        r" $-\|T\|$ is an eigenvalue of $T$."
    ),
    "Is the set of all finite subsets of the natural numbers countable",
    r"Evaluate: $\lim_{n\to\infty} \left(1 + \frac{1}{n}\right)^{n}$",
    r"In $\mathbb{F}_7$, solve $x^2 + x + 1 = 0$; then factor $x^3 - 1$ over $\mathbb{F}_7$.",
    (
        "Seven people sit around a round table. How many seatings are there if Ann and Bob refuse to sit next"
        " to each other, and Carl insists on sitting next to Dora?"
    ),
    (
        r"Prove or disprove: if $A$ and $B$ are $n \times n$ complex matrices with $AB - BA = A$, then $A$ is"
        r" nilpotent."
    ),
    "Let X be the number of fixed points of a random permutation of {1,...,n}. Find E[X] and Var(X).",
    r"数列 $\{a_n\}$ を $a_1=1,\ a_{n+1}=2a_n+1$ で定める。一般項 $a_n$ を求めよ。",
    r"$p$ を $5$ より大きい素数とするとき、$p^2-1$ は $24$ の倍数であることを証明しなさい。",
    "袋の中に赤玉が3個、白玉が2個入っている。同時に2個取り出すとき、2個とも赤玉である確率を求めよ。",
    r"Let $a, b, c > 0$ with $abc = 1$."
    "\n\n"
    r"(a) Show that $a + b + c \ge 3$."
    "\n\n"
    r"(b) When does equality hold?"
    "\n\n"
    r"(c) Is the converse true?",
    "A graph of the function y = |x - 2| + 1 is reflected in the x-axis. Give an equation of its image.",
    (
        "Let V be the set of real sequences that satisfy a_{n+2} = a_{n+1} + 6 a_n. Show that V is a vector"
        " space, find its dimension, and give a basis."
    ),
    (
        "Who wins the following game if both play perfectly? Two players alternately write a digit until a"
        " 6-digit number is formed; the second wins if it is divisible by 9."
    ),
    (
        r"If $\tan\alpha = \frac12$ and $\tan\beta = \frac13$, and $\alpha, \beta \in (0, \pi/2)$, compute"
        r" $\alpha + \beta$ exactly."
    ),
    (
        "Consider a finite group $G$ acting transitively on a set $X$ with $|X| = n \\geq 2$. Prove that"
        " there exists an element $g \\in G$ that has no fixed points on $X$. Furthermore, show that if $n$"
        " is a prime power, then such a $g$ can be chosen to have prime power order. (You may use the"
        " classification of finite simple groups if needed.)"
    ),
    (
        "Let \\( f(z) = \\sum_{n=0}^{\\infty} a_n z^n \\) be analytic in the unit disk \\( \\mathbb{D} = \\{"
        " z : |z| < 1 \\} \\) and suppose that \\( |f(z)| \\leq \\frac{1}{1 - |z|} \\) for all \\( z \\in"
        " \\mathbb{D} \\).\n\n1. Prove that \\( |a_n| \\leq e(n+1) \\) for all \\( n \\geq 0 \\).\n2. Can the"
        " constant \\( e \\) be improved?\n\n**Note:** Provide a rigorous argument for each step."
    ),
    (
        "Given a triangle ABC with incenter I, let the incircle touch BC, CA, AB at D, E, F respectively. Let"
        " M be the midpoint of BC. If line AM meets EF at P, prove that P, I and D are collinear.\n\nHint:"
        " Consider the homothety centered at A."
    ),
    (
        "I'm trying to understand the Radon-Nikodym theorem. Let $\\mu$ and $\\nu$ be $\\sigma$-finite"
        " measures on $(X, \\mathcal{F})$ with $\\nu \\ll \\mu$. How do we show that the density $f ="
        " d\\nu/d\\mu$ is unique up to $\\mu$-null sets?"
    ),
    (
        "Suppose we have a sequence of i.i.d. random variables $X_1, X_2, \\ldots$ with $P(X_i = 1) = P(X_i ="
        " -1) = 1/2$. Define $S_n = X_1 + \\cdots + X_n$. What is the probability that $S_n = 0$ for some $n"
        " \\geq 1$? Please justify your answer rigorously."
    ),
    (
        "A bakery sells three kinds of cookies: chocolate chip ($2.50 each), oatmeal ($2.00 each), and sugar"
        " ($1.75 each). If Jane spends exactly $20.00, how many combinations of cookies could she have"
        " bought?"
    ),
    (
        "Let $K/F$ be a Galois extension with Galois group $G \\cong A_4$. Which of the following statements"
        " are true? (i) $K$ contains a unique subfield $E$ with $[E:F] = 3$. (ii) $K$ contains a subfield of"
        " degree 6 over $F$. Justify your answers."
    ),
    (
        "Find the volume of the region bounded above by the graph of $z = 4 - x^2 - y^2$ and below by the"
        " $xy$-plane."
    ),
    (
        "Let $a_1, a_2, \\dots, a_{2023}$ be positive reals such that $$\\sum_{i=1}^{2023} a_i = 1$$ and"
        " define $b_i = \\frac{a_i}{1 - a_i}$. Determine the minimum of $$\\sum_{i=1}^{2023} b_i,$$ and find"
        " all cases of equality."
    ),
    (
        "Prove that there is no function $f: \\mathbb{N} \\to \\mathbb{N}$ such that $f(f(n)) = n + 1987$ for"
        " every $n$."
    ),
    "In the figure-eight knot complement, compute the fundamental group.",
    "Using Theorem 90 of Hilbert, find all rational points on the circle $x^2 + y^2 = 1$.",
    (
        "Consider the following LP: maximize $3x + 2y$ subject to $x + y \\le 4$, $x + 3y \\le 6$, $x, y \\ge"
        " 0$. Solve it and state the dual."
    ),
    (
        "What is the answer to the following: if 5 machines take 5 minutes to make 5 widgets, how long do 100"
        " machines take to make 100 widgets?"
    ),
    (
        "A committee of 5 is to be chosen from 6 men and 4 women. How many committees have more women than"
        " men? Explain your reasoning step by step."
    ),
    (
        "Let $X$ be a topological space. We say that $X$ is *sober* if every irreducible closed subset has a"
        " unique generic point. We call a space $T_0$ if distinct points have distinct closures. Show that"
        " every sober space is $T_0$, and give a $T_0$ space that is not sober."
    ),
    (
        "Determine whether the following statement is true or false, and justify: every uniformly continuous"
        " function on $\\mathbb{R}$ is Lipschitz."
    ),
    (
        "Let \\(p(x)\\) be a polynomial of degree \\(n\\) with real coefficients satisfying \\(p(k) ="
        " \\frac{k}{k+1}\\) for \\(k = 0, 1, \\ldots, n\\). Determine \\(p(n+1)\\).\n\n(USAMO 1975)"
    ),
    (
        "[Putnam 1998 A3] Let f be a real function on the real line with continuous third derivative. Prove"
        " that there exists a point a such that f(a) f'(a) f''(a) f'''(a) >= 0."
    ),
    (
        "The sequence $(x_n)$ is defined by $x_0 = 2$ and $x_{n+1} = \\frac{x_n}{2} + \\frac{1}{x_n}$. First"
        " show that it is decreasing; then find its limit."
    ),
    (
        "Let $n$ be a positive integer, and let $M_n$ be the $n\\times n$ matrix with $(i,j)$ entry"
        " $\\gcd(i,j)$. Then $\\det M_n = $ ?"
    ),
    (
        "Ten points are placed in the plane, no three of them collinear. Each pair is joined by a red or a"
        " blue segment. Show that there are at least 20 monochromatic triangles."
    ),
    (
        "Suppose you toss a coin with bias $p$ repeatedly. You stop as soon as you see the pattern HTH. What"
        " is the expected stopping time as a function of $p$?"
    ),
    (
        "Explain why the alternating group $A_5$ is simple, and use this to prove that the general quintic is"
        " not solvable by radicals."
    ),
    "次の極限値を求めよ。\n\\[\n\\lim_{n \\to \\infty} \\sum_{k=1}^{n} \\frac{n}{n^2 + k^2}\n\\]",
    (
        "正の整数 $n$ に対して、$1$ から $n$ までの整数のうち $n$ と互いに素であるものの個数を $\\varphi(n)$"
        " とする。\n(1) $\\varphi(12)$ "
        "を求めよ。\n(2) $\\varphi(n) = 4$ となる $n$ をすべて求めよ。"
    ),
    (
        "Let $V$ be the vector space of polynomials of degree at most 3.\n- Find the matrix of $D = d/dx$ in"
        " the basis $1, x, x^2, x^3$.\n- Determine its Jordan form.\n- Is $D$ diagonalizable?"
    ),
    "Let \\[ A = \\left( \\begin{array}{cc} 2 & 1 \\\\ 1 & 2 \\end{array} \\right). \\] Compute $A^{10}$.",
    "Evaluate the sum\n\n1 + 2x + 3x^2 + 4x^3 + ...\n\nfor |x| < 1.",
    "How many 5-card hands from a standard deck contain exactly one pair (and nothing better)?",
    (
        "Prove the identity $\\binom{n}{0}^2 + \\binom{n}{1}^2 + \\cdots + \\binom{n}{n}^2 = \\binom{2n}{n}$"
        " in two ways: (a) by a counting argument, (b) by comparing coefficients."
    ),
    (
        "Let $E$ be the elliptic curve $y^2 = x^3 - x$ over $\\mathbb{Q}$. Find its torsion subgroup. We"
        " write $O$ for the point at infinity."
    ),
    (
        "In a box there are 4 red, 5 green, and 6 blue marbles. We draw three without replacement. Find the"
        " probability that all have different colors."
    ),
    (
        "Let $G$ be a finite simple graph. Denote by $\\alpha(G)$ the size of the largest independent set."
        " Show that\n$$\\alpha(G) \\geq \\sum_{v \\in V(G)} \\frac{1}{\\deg(v) + 1}$$"
    ),
    (
        "The probability density function of a random variable X is given by\n\nf(x) = { c x (1 - x), 0 < x <"
        " 1\n       { 0, otherwise\n\nFind c and P(X > 1/2)."
    ),
    (
        "Two trains, 120 km apart, start towards each other at 40 km/h and 20 km/h. A bird flies between them"
        " at 60 km/h until they meet. How far does the bird fly?"
    ),
    "For the given function $f(x) = x^3 - 3x$, find the intervals on which it is increasing.",
    (
        "Let $f$ be holomorphic on a domain containing the closed unit disc, with $|f(z)| < 1$ on $|z| = 1$."
        " How many solutions does $f(z) = z^n$ have in the disc?"
    ),
    (
        "Is there a polynomial $P$ with integer coefficients such that $P(1) = 2$, $P(3) = 5$? If yes, give"
        " one. If no, prove it."
    ),
    (
        "Let S be the set of all strings over {0,1} of length n that do not contain 11. Let a_n = |S|. Find a"
        " recurrence for a_n, and solve it."
    ),
    "Prove Zorn's lemma from the axiom of choice.",
    "Compute the rank of A",
    "Let A = [[1, 2], [2, 4]]. Find all vectors orthogonal to the image of A",
    (
        "A box holds 3 red and 5 blue balls. Two are drawn without replacement.\n\nQuestion: What is the"
        " probability that both are red?"
    ),
    (
        "Let $f(x) = x^4 - 4x^2 + 1$.\n\nQuestion 1. Find the critical points of $f$.\n\nQuestion 2. Sketch"
        " the graph.\n\nQuestion 3. How many real roots has $f(x) = c$ for each $c$?"
    ),
    (
        "関数 $f(x) = x^3 - 3x$ について、次の問いに答えよ。\n問1 極値を求めよ。\n問2 $f(x)=k$"
        " が異なる3つの実数解をもつ $k$ の範囲を求めよ。"
    ),
    (
        "Prove that the determinant is multiplicative.\n\n---\n\n*Note: please give full details, and explain"
        " each step.*"
    ),
    (
        "The last question on a quiz with 10 questions is worth twice as much as each other. If the quiz has"
        " 55 points, how much is it worth?"
    ),
    (
        "Suppose the data are i.i.d. from a normal distribution with unknown mean and known variance. Find"
        " the maximum likelihood estimator of the mean."
    ),
    "There are 30 students in class; 18 play chess and 15 play go. At least how many play both?",
    (
        'What is wrong with this proof? "Since 0 = 0, we have 1 - 1 = 2 - 2, so 1(1 - 1) = 2(1 - 1), and thus'
        ' we obtain 1 = 2."'
    ),
    (
        "A paper strip is folded so that we get a regular pentagon. Determine the ratio of the strip's width"
        " to the side."
    ),
    "which is larger, e^pi or pi^e?",
    "Is this subgroup normal or not: the upper triangular matrices in GL_2(R)?",
    (
        "A computer has Problem 5 of a contest solved with probability 0.4, and Problem 6 with probability"
        " 0.5, independently. Find the chance that exactly one is solved."
    ),
    "Show that SAT reduces to 3-SAT in polynomial time.",
    (
        "Decide whether the following argument is valid: every cat is a mammal; some mammals are black; hence"
        " some cats are black."
    ),
    "Given data points (1, 2), (2, 3) and (4, 7), find the interpolating polynomial.",
    "Is every closed subspace of a Banach space complemented? Give a proof or a counterexample.",
    (
        "Three friends split a bill of $90. Anna pays $10 more than Ben, and Ben pays $5 less than Carl. How"
        " much does each pay?"
    ),
    "Does it follow from the continuum hypothesis that every set of reals has measure zero or one?",
    (
        "Let $p$ be prime. Is it true that $\\mathbb{F}_p^\\times$ is cyclic? If so, prove it. If not, give a"
        " counterexample."
    ),
)
UNSEEN_BAD: dict[str, tuple[str, ...]] = {
    "truncated": (
        "Let $p$ be an odd prime and let $g$ be a primitive root modulo $p$. Prove that the",
        "Consider the differential equation $y'' + y = \\sin x$ with the initial conditions",
        "Find the sum of the following series:\n",
        (
            "Let $G$ be a simple graph with $n$ vertices and at least $\\frac{n^2}{4 edges. Show that it has"
            " a triangle."
        ),
        "Determine all functions $f : \\mathbb{R} \\to \\mathbb{R}$ satisfying",
        "Prove that if $a$ divides $bc$ and $\\gcd(a,b) = 1$, then",
        "円 $C$ の中心を $O$ とし、",
        (
            "Let $f$ be a holomorphic function on the unit disc with $|f(z)| \\le 1$ and $f(0) = 0$. Show"
            " that $|f'(0)| \\le"
        ),
        "Suppose $n$ people are seated at a round table. In how many ways can they be seated if",
        (
            "Determine the number of solutions of the equation $x_1 + x_2 + x_3 = 10$ in non-negative"
            " integers such that $x_1 \\leq 3$ and"
        ),
        "Prove the following inequality for positive reals $a$, $b$, $c$:",
        "Let $ABC$ be a triangle. The angle bisector of $\\angle A$ meets",
        "Find the general solution of the differential equation \\begin{equation} y'' + 4y = 0",
        "Consider the series $\\sum_{n=1}^\\infty a_n$, where $a_n = \\frac{1}{n^2}$, and the",
        "Let $S$ be the set of integers and let $T$ be a",
        "Find the maximum value of the function on the",
        "Suppose there are $n$ boxes, of which $k$ are empty; the others contain",
    ),
    "contains_solution": (
        "What is the value of $\\cos(\\pi/3)$? It is $\\frac{1}{2}$, so the answer is $\\boxed{\\frac12}$.",
        "Find the limit of $(1+1/n)^n$. We will use the logarithm to compute the limit.",
        (
            "How many permutations of 5 letters are there?\n\nThere are $5! = 120$ permutations.\n\nThus, the"
            " answer is 120."
        ),
        "Let us solve the equation $x^2 = 2$ step by step.",
        (
            "Show that $n^3 - n$ is divisible by 6.\n\nWe observe that $n^3 - n = (n-1)n(n+1)$ is a product"
            " of three consecutive integers."
        ),
        "Determine the GCD of 84 and 36. Here's the solution: by Euclid's algorithm it is 12.",
        "$\\sin 30^\\circ$ の値を求めよ。答え: $\\frac12$",
        (
            "Let $f(x) = x^3 - 3x + 2$. Find the critical points.\n\n$f'(x) = 3x^2 - 3$, so setting $f'(x) ="
            " 0$ we get $x = \\pm 1$."
        ),
        (
            "Find the number of ways to arrange the letters of BANANA.\n\nTo find the number of arrangements,"
            " note that there are 6 letters, with A three times and N twice. So we compute $6!/(3!2!) = 60$."
        ),
        (
            "Compute the determinant. Sure, let's compute the determinant step by step. The matrix is "
            "$\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}$ and its determinant is $-2$."
        ),
        (
            "Let $X$ be exponential with rate 2. Find $P(X > 1)$. The probability is given by $P(X>1) ="
            " e^{-2}$, so the final answer is $e^{-2}$."
        ),
        "Is $\\mathbb{Z}[x]$ a PID? No, because the ideal $(2, x)$ is not principal.",
        "How many prime numbers are less than 20? There are 8 prime numbers less than 20.",
        "Solve the equation $2x = 10$.\n\nx = 5",
        (
            "Hmm, let me think about the problem. The group has order 12 so by Sylow there are 1 or 4"
            " subgroups of order 3."
        ),
        "We need to find all functions $f$ satisfying the equation. First substitute $x = 0$.",
        (
            "Find the eigenvalues of $A$. The eigenvalues are the roots of the characteristic polynomial,"
            " which are \\boxed{1, 3}."
        ),
        (
            "Show that $\\gcd(n, n+1) = 1$. Indeed, any common divisor divides the difference, which is 1."
            " Q.E.D."
        ),
        "Compute the area of the unit circle. Its radius is 1, so by the formula we get $\\pi$.",
        "Find the last digit of $7^{100}$. The powers of 7 repeat with period 4. Hence the answer is 1.",
        "How many faces does a cube have? It has 6 faces, so the answer is 6.",
    ),
    "several": (
        (
            "Exercise 1. Prove that every tree has two leaves. Exercise 2. Compute the area under $y = x^2$"
            " from 0 to 1."
        ),
        "1) What is the derivative of sin x? 2) How many divisors has 60?",
        "Problem A: find the roots of x^2 - 1.\nProblem B: find the volume of the unit ball.",
        (
            "### Problem 1\nProve that $\\sqrt{2}$ is irrational.\n\n### Problem 2\nFind the area of the"
            " ellipse."
        ),
        (
            "(1) Find the derivative of $e^x$. (2) Find the number of primes below 10. (3) Compute the mean"
            " of 2, 4, 9."
        ),
        "Here are two problems:\n\n1. Evaluate $\\int x\\,dx$.\n2. Prove that $\\mathbb{Q}$ is countable.",
        (
            "Problem 1. Find the gcd of 12 and 18.\n\nProblem 2. Prove that every tree is"
            " bipartite.\n\nProblem 3. Evaluate the integral of x."
        ),
        "問題1 $\\sqrt{2}$ は無理数であることを示せ。\n\n問題2 $1+2+\\dots+n$ を求めよ。",
        "What is 2 + 2? Here's another problem: prove that 7 is prime.",
        "Find the inverse of the matrix.\n\nQuestion: How many primes are below 100?",
    ),
    "multiple_choice": (
        "Which of the following best describes a Cauchy sequence?",
        "If $x^2 = 9$, which of the following could be the value of $x + 1$?",
        "Select the option that correctly completes the statement.",
        "Choose the best answer: Which of the following is NOT a property of a group?",
        "Which of the following functions is continuous but not differentiable at the origin?",
        "Which one of the options below is correct?",
    ),
    "missing": (
        "The diagram shows a circle with center O. Find the measure of angle AOB.",
        "Use the table to find the expected value of X.",
        "With the notation of Problem 4, show that the sequence converges.",
        "Look at the image and count the triangles.",
        "Consider the circuit shown in Figure 2. Find the current through the resistor.",
        (
            "In the given figure, $O$ is the center of the circle and $\\angle AOB = 70^\\circ$. Find"
            " $\\angle ACB$."
        ),
        "Based on the following table, compute the correlation coefficient between height and weight.",
        "As we saw in the last lecture, compact sets are closed. Prove the converse in compact spaces.",
        "Using the data in the table, find the mean.",
        "The results of the experiment are in Table 2. Test the hypothesis of independence.",
        "By Lemma 4, the sequence is bounded. Prove that it converges.",
        "Find the perimeter of the polygon shown above.",
    ),
    "chat": (
        "Good morning! I hope you are having a great day.",
        "What kind of math problems can you solve?",
        "I need someone to talk to about my career.",
        "Write a Python script that downloads all images from a website.",
        "Please feel free to ask me anything.",
        "Can you explain what you can do?",
        "You are a helpful assistant. Answer my questions.",
        "What's the weather like today in New York?",
        "I'd like to learn more about cooking pasta. Any suggestions?",
        "Okay, I'm ready for the next one!",
        "Please write your problem below.",
        "Hey there, how's it going?",
        "Do you like mathematics?",
        "I have a question for you.",
        "Tell me about yourself.",
    ),
    "language": (
        "Démontrer que la somme de deux nombres impairs est toujours un nombre pair.",
        "Let the функция be continuous. Prove that it is bounded.",
        "求函数的最大值，并说明理由。函数在闭区间上连续。",
        (
            "Trouver toutes les fonctions continues de la droite réelle dans elle-même telles que"
            " $f(x+y)=f(x)f(y)$."
        ),
        "Prove that 任意の整数 divides zero.",
        "Qual é o valor máximo da função e onde é que ela o atinge?",
    ),
    "repetition": (
        "Find the set of all sets of all sets of all sets of all sets of all sets that are finite.",
        (
            "Let $a$ be an element. Let $a$ be an element. Let $a$ be an element. Let $a$ be an element. Let"
            " $a$ be an element. Find it."
        ),
    ),
    "fragment": (
        "is a normal subgroup of $G$. Show that $G/N$ is abelian.",
        "numbers such that their product is a perfect square. How many are there?",
        "and $B$ are independent events. Compute $P(A \\cap B)$.",
        "such that $f(1) = 1$. Determine $f(n)$ for all $n$.",
        "-dimensional vector space over $\\mathbb{F}_q$. How many subspaces does it have?",
        "which is abelian. Prove that the quotient is cyclic.",
    ),
    "no_task": (
        "The derivative of a constant function is zero.",
        "A ring is called Noetherian when every ascending chain of ideals becomes stationary.",
    ),
}

# Raw instruction, the problem that is left of it, what was cut off.
TRIMMED = (
    (
        "Problem: Find the order of $GL_2(\\mathbb{F}_3)$.",
        "Find the order of $GL_2(\\mathbb{F}_3)$.",
        "label",
    ),
    ("**Problem 1.** Prove that $e$ is irrational.", "Prove that $e$ is irrational.", "label"),
    ("Question 3. How many primes are below 30?", "How many primes are below 30?", "label"),
    ("### Problem\n\nCompute $\\int_0^1 x^3\\,dx$.", "Compute $\\int_0^1 x^3\\,dx$.", "label"),
    ("Task: Show that $\\mathbb{Q}$ is countable.", "Show that $\\mathbb{Q}$ is countable.", "label"),
    ("問題：$x^2=2$ を解け。", "$x^2=2$ を解け。", "label"),
    ("【問題】円 $x^2+y^2=1$ の面積を求めよ。", "円 $x^2+y^2=1$ の面積を求めよ。", "label"),
    (
        "Challenging Problem: Let $n$ be odd. Show that $8$ divides $n^2 - 1$.",
        "Let $n$ be odd. Show that $8$ divides $n^2 - 1$.",
        "label",
    ),
    (
        "\\textbf{Problem 2.} Find all idempotents of $\\mathbb{Z}/30$.",
        "Find all idempotents of $\\mathbb{Z}/30$.",
        "label",
    ),
    (
        "1. Prove that every subgroup of a cyclic group is cyclic.",
        "Prove that every subgroup of a cyclic group is cyclic.",
        "label",
    ),
    (
        "Exercise 4.2 (Topology): Is the Sorgenfrey line separable?",
        "Is the Sorgenfrey line separable?",
        "label",
    ),
    (
        (
            "Sure! Here is a challenging problem in number theory:\n\nFind all integers $n$ with $n^2 + n +"
            " 1$ divisible by $7$."
        ),
        "Find all integers $n$ with $n^2 + n + 1$ divisible by $7$.",
        "label",
    ),
    (
        "Find $x$ if $2x = 6$.\n\nSolution:\nDivide by 2: $x = 3$.",
        "Find $x$ if $2x = 6$.",
        "contains_solution",
    ),
    (
        "How many edges has $K_5$?\n\n**Solution**\n\nIt has $\\binom52 = 10$ edges.",
        "How many edges has $K_5$?",
        "contains_solution",
    ),
    (
        "What is $3 \\cdot 7$ modulo $5$?\nAnswer: $1$",
        "What is $3 \\cdot 7$ modulo $5$?",
        "contains_solution",
    ),
    (
        (
            "Compute the determinant of $A^{-1}$ if $\\det A = 4$.\n\n## Step 1: Recall\nThe determinant is"
            " multiplicative."
        ),
        "Compute the determinant of $A^{-1}$ if $\\det A = 4$.",
        "contains_solution",
    ),
    (
        "Prove that there are infinitely many primes.\n\nProof. Suppose there are only finitely many.",
        "Prove that there are infinitely many primes.",
        "contains_solution",
    ),
    ("$2^{10}$ の桁数を求めよ。\n\n解答：$4$ 桁", "$2^{10}$ の桁数を求めよ。", "contains_solution"),
    ("Find the mean of 3, 4 and 8. (Answer: 5)", "Find the mean of 3, 4 and 8.", "contains_solution"),
    (
        "Q: What is the sum of the angles of a triangle?\nA: 180 degrees",
        "What is the sum of the angles of a triangle?",
        "label+contains_solution",
    ),
    (
        "Problem 7: Evaluate $\\sum_{n \\ge 1} 2^{-n}$.\n\n---\n\n### Solution\nIt is a geometric series.",
        "Evaluate $\\sum_{n \\ge 1} 2^{-n}$.",
        "label+contains_solution",
    ),
    (
        "Which of the following is prime?\nA) 21\nB) 23\nC) 25\nAnswer: B",
        "Which of the following is prime?\nA) 21\nB) 23\nC) 25",
        "contains_solution",
    ),
    (
        "Prove that the harmonic series diverges.\n\n**Proof:** Group the terms in blocks of powers of two",
        "Prove that the harmonic series diverges.",
        "contains_solution",
    ),
    (
        (
            "What is the sum of the first 100 positive integers?\n\n### Step 1: Use the formula\nThe sum is"
            " $n(n+1)/2$.\n\n### Step 2"
        ),
        "What is the sum of the first 100 positive integers?",
        "contains_solution",
    ),
    (
        "関数 $f(x)=x^2-4x$ の最小値を求めよ。\n解答\n$f(x)=(x-2)^2-4$",
        "関数 $f(x)=x^2-4x$ の最小値を求めよ。",
        "contains_solution",
    ),
    (
        (
            "Let $G$ be abelian. Prove that every subgroup is normal.\n\nProof: Let $H \\le G$ and compute"
            " $ghg^{-1} = h$. QED"
        ),
        "Let $G$ be abelian. Prove that every subgroup is normal.",
        "contains_solution",
    ),
)


def good() -> list[str]:
    """All problems that must be kept as they are."""
    return [*(text for texts in DOMAINS.values() for text in texts), *UNSEEN]


def bad() -> list[tuple[str, str]]:
    """All that must be dropped, each with its reason."""
    return [
        (reason, text) for texts in (BAD, UNSEEN_BAD) for reason, group in texts.items() for text in group
    ]


def dropped(raw: str) -> str | None:
    """The reason for which Clean drops a text, special tokens and the end of the draw aside."""
    text, _ = trim(raw.strip())
    reason = reason_of(text)
    language = language_of(text) if reason is None else None
    return "language" if language not in (None, *LANGUAGES) else reason


def scores() -> Iterator[tuple[str, int, int, float, float]]:
    """A row a rule: its reason, how many texts are of its kind, how many of these it finds, precision,
    recall.
    """
    found = [(reason, dropped(text)) for reason, text in [*bad(), *((None, text) for text in good())]]
    for reason in REASONS:
        right = sum(expected == got == reason for expected, got in found)
        of_kind = sum(expected == reason for expected, _ in found)
        named = sum(got == reason for _, got in found)
        yield reason, of_kind, right, right / named if named else 1.0, right / of_kind


def table() -> str:
    """Precision and recall of every rule, as text."""
    lines = [
        f"{len(good())} good, {len(bad())} bad, {len(TRIMMED)} trimmed",
        "rule             texts found precision recall",
    ]
    lines += [
        f"{reason:<16} {of_kind:>5} {right:>5} {exact:>9.2f} {recall:>6.2f}"
        for reason, of_kind, right, exact, recall in scores()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
