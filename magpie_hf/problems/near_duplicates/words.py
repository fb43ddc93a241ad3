"""Which words of a problem say what it is about, and which tell two problems apart.

Not here: numbers and symbols.
"""

from __future__ import annotations

import re
from itertools import pairwise

from magpie_hf.problems.near_duplicates.normal import Token

# Words that ask, bind or link; replacing them does not change the problem.
_LINKING = frozenset(
    "a an the of is are be been being that such let this these those given give in on for to with which by"
    " and as we it its there has have having where from at if then following suppose assume denote consider"
    " define defined determine find compute calculate evaluate what whats value so can you your i us me my do"
    " does will would one please solve out work obtain state when who how must should know known say called"
    " every each any all some also any whether exactly into their they he she his her was were between here"
    " explicitly answer question problem carefully now get takes taken hold holds satisfy satisfies"
    " satisfying holding expression equal equals true possible".split()
)

# Words of one meaning: the first replaces all. Two problems that differ in a word of `_DECIDING` are not the
# same.
_SAME = """
prove show demonstrate verify establish
number many count
""".split("\n")
_DECIDING = """
max maximum maximal maximize maximise maximizes largest greatest biggest highest
min minimum minimal minimize minimise minimizes smallest least lowest
sum sums total add added addition
difference differences subtract subtracted
product products multiply multiplied
quotient ratio divided
even
odd
prime primes
composite
rational
irrational
real
complex
imaginary
positive
negative
nonnegative
increasing increases ascending
decreasing decreases descending
converge converges convergent convergence
diverge diverges divergent divergence
less fewer smaller below under
more greater larger exceeds above over
inside
outside
inscribed incircle inradius inscribe
circumscribed circumcircle circumradius
perimeter circumference
area
volume
surface
length
mean average expected expectation
median
mode
variance
deviation
row rows
column columns
left
right
injective
surjective
bijective
open
closed
connected
disconnected
continuous
differentiable
derivative differentiate
integral integrate
compact
bounded
not no never non without isnt cannot
necessary
sufficient
abelian commutative
cyclic
simple
normal
nilpotent
solvable
invertible
singular
symmetric
orthogonal
eigenvalue eigenvalues
eigenvector eigenvectors
trace
determinant
rank
tree trees
cycle cycles
path paths
bipartite
directed
planar
vertices vertex
edge edges
distinct different
identical indistinguishable
isosceles
equilateral
acute
obtuse
circle circles
square squares
cube cubes
rectangle
triangle triangles
sphere
cone
cylinder
root roots zero zeros
ring rings
field fields
group groups
integer integers
divisor divisors factor factors divides
multiple multiples divisible
remainder
units
first
second
last
third
before
after
once
twice
clockwise
heads head
tails tail
red
blue
green
white
black
boys boy men man
girls girl women woman
""".split("\n")
_PHRASES = {
    "greatest common": "gcd",
    "highest common": "gcd",
    "least common": "lcm",
    "smallest common": "lcm",
    "lowest common": "lcm",
    "at least": "atleast",
    "no less": "atleast",
    "no fewer": "atleast",
    "at most": "atmost",
    "no more": "atmost",
    "square root": "sqrt",
    "cube root": "cuberoot",
}
# Words that belong to the phrase before them.
_TAILS = {
    "gcd": ("divisor", "factor", "divisors", "factors"),
    "lcm": ("multiple", "multiples"),
}
_FIRST = {word: line.split()[0] for line in (*_SAME, *_DECIDING) for word in line.split()}
_DECIDES = frozenset(line.split()[0] for line in _DECIDING if line) | set(_PHRASES.values())
# Deciding words of two Chinese or Japanese characters: 最大 and 最小, 偶数 and 奇数, 素数 and 合成数.
_WIDE_DECIDING = re.compile(
    "最大|最小|偶数|奇数|素数|合成数|積|商|差|面積|体積|周長|平均|分散|以上|以下|未満"
)
_NUMBERS = {
    word: str(number)
    for number, word in enumerate(
        "two three four five six seven eight nine ten eleven twelve".split(), start=2
    )
}
_NUMBERS |= {"twenty": "20", "hundred": "100", "thousand": "1000"}


def as_number(word: str) -> str | None:
    """The number that a word names; None for "one", which mostly counts nothing, and for other words."""
    return _NUMBERS.get(word)


def is_linking(word: str) -> bool:
    """Whether the word asks, binds or links, and so says nothing about the content."""
    return word in _LINKING


def one_spelling(word: str) -> str:
    """One word for all words of a meaning and all their endings."""
    return _FIRST.get(word) or _stem(word)


def content(found: list[Token]) -> list[list[str]]:
    """The content words of each clause, in one spelling per meaning.

    Formulas, numbers and linking words are left out.
    """
    clauses: list[list[str]] = [[]]
    words = [token.text for token in found if token.kind in ("word", "stop")]
    skip = False
    for word, after in pairwise([*words, ""]):
        said = clauses[-1][-1] if clauses[-1] else ""
        if skip or word in _TAILS.get(said, ()):
            skip = False
        elif (phrase := _PHRASES.get(f"{word} {after}")) is not None:
            clauses[-1].append(phrase)
            skip = True
        elif word in _STOPS:
            clauses.append([])
        elif word not in _LINKING and word not in _NUMBERS:
            clauses[-1].append(one_spelling(word))
    return [clause for clause in clauses if clause]


_STOPS = frozenset(".,;:?!")


def shingles(clauses: list[list[str]]) -> set[str]:
    """Single words, and pairs of neighbours within a clause.

    So clauses may change places, but words may not.
    """
    single = {word for clause in clauses for word in clause}
    return single | {f"{one} {other}" for clause in clauses for one, other in pairwise(clause)}


def deciding(found: list[Token], clauses: list[list[str]]) -> list[str]:
    """The words that must be equal in two near-duplicates, unique and sorted."""
    words = {word for clause in clauses for word in clause} & _DECIDES
    wide = "".join(token.text for token in found if token.kind == "word" and token.text > "\u3000")
    return sorted(words | set(_WIDE_DECIDING.findall(wide)))


def _stem(word: str) -> str:
    """The word without the ending of a plural, participle or gerund: seat for seats, seated, seating."""
    for ending in ("ing", "ed"):
        if len(word) > len(ending) + 3 and word.endswith(ending):
            return word.removesuffix(ending)
    return (
        word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
    )
