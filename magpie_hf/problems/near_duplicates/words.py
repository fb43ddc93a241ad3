"""Which words of a problem say what it is about, and which tell two problems apart.

Not here: numbers and symbols.
"""

from __future__ import annotations

from collections.abc import Iterable

# Words that ask, bind or link; replacing them does not change the problem.
_LINKING = frozenset(
    "a an the of is are be been being that such let this these those given give in on for to with which by"
    " and as we it its there has have having where from at if then following suppose assume denote consider"
    " define defined determine find compute calculate evaluate what whats value so can you your i us me my do"
    " does will would one please solve out work obtain state when who how must should know known say called"
    " every each any all also whether exactly into their they he she his her was were between here"
    " explicitly answer question problem carefully now get takes taken hold holds satisfy satisfies"
    " satisfying holding expression equal equals true possible equation equations formula exist exists get"
    " gets getting curve curves region express solution solutions take".split()
)

# Words of one meaning: the first replaces all. Two problems that differ in a word of `_DECIDING` are not the
# same.
_SAME = """
prove show demonstrate verify establish
number many count
toss tosses tossed tossing flip flips flipped flipping
roll rolls rolled rolling throw throws thrown throwing
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
PHRASES = {
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
    "last digit": "lastdigit",
    "units digit": "lastdigit",
    "ones digit": "lastdigit",
    "square root": "sqrt",
    "cube root": "cuberoot",
}
# Words that belong to the phrase before them.
TAILS = {
    "gcd": ("divisor", "factor", "divisors", "factors"),
    "lcm": ("multiple", "multiples"),
}
_FIRST = {word: line.split()[0] for line in (*_SAME, *_DECIDING) for word in line.split()}
_DECIDES = frozenset(line.split()[0] for line in _DECIDING if line) | set(PHRASES.values())
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


def deciding(words: Iterable[str]) -> list[str]:
    """The words, in alphabetical order, that must stand in both of two near-duplicates, if they do in one.

    A pair of words decides if both do.
    """
    return sorted(word for word in words if all(part in _DECIDES for part in word.split(" ")))


def _stem(word: str) -> str:
    """The word without the ending of a plural, participle or gerund: seat for seats, seated, seating."""
    for ending in ("ing", "ed"):
        if len(word) > len(ending) + 3 and word.endswith(ending):
            return word.removesuffix(ending)
    return (
        word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
    )
