"""Lexicon: words that ask for something, and words of mathematics, in English and Japanese.

Not here: the rules that use them.
"""

from __future__ import annotations

import re

from magpie_hf.problems.cleaning.prose import FORMULA, read, sentences, words

_ENGLISH = frozenset(
    """the is are of and you what how that which this i for with to let find prove show all every each please
    your can does it these by than there about yourself my from any use""".split()
)
# Orders and questions, and words that may be or belong to one.
_TASKS = frozenset(
    """prove show find compute calculate determine evaluate solve simplify factorize factorise derive disprove
    verify characterize characterise classify minimize minimise maximize maximise integrate differentiate
    decide describe give what how express deduce establish estimate sketch explain construct""".split()
)
_MAY_ASK = _TASKS | frozenset(
    """factor state list draw count insert trace bring resolve develop substitute rephrase justify identify
    write approximate expand answer exhibit demonstrate obtain check test convert diagonalize
    diagonalise why does provide discuss analyze analyse compare conclude investigate design choose
    select name bound reduce enumerate complete infer rank sort represent examine study rewrite
    generalize generalise interpret apply use formulate fit predict parametrize decompose invert add
    subtract multiply divide suggest devise outline argue assess confirm arrange fill match guess
    specify report""".split()
)
# Orders only where a clause begins; "order" and "place" are more often nouns.
_ORDERS = _MAY_ASK | frozenset(
    """approximate break build cancel collect combine create decode decrypt determine divide draw eliminate
    encode encrypt enter extend fill graph group illustrate invent isolate label locate make mark measure
    multiply normalise normalize order parameterise parameterize partition perform place plot present print
    propose put rationalise rationalize rearrange recall remove replace return round say separate shade split
    sum tell think transform translate critique grade""".split()
)
_BEGINS_AN_ORDER = re.compile(
    rf"(?:^|[.?!:;,…)]\s|\n|{FORMULA}\s{{0,3}}(?-i:(?=[A-Z]))|\b(?:and|then|please|you)\s)"
    rf"[^\w{FORMULA}]{{0,8}}(?:[a-z]{{2,12}}ly\s)?(?:(?:{'|'.join(sorted(_ORDERS))})(?!\stheory)"
    rf"|work out|carry out|set up"
    r"|look for|let me know(?! if\b)|true or false|true\s?/\s?false|is it true)\b"
    r"|\b(?:approximate|estimate) the (?:value|integral|area|sum)\b"
    r"|\benter (?:all|the)\b|\b(?:which|what)\b[^.?!]{0,200}[:：]",
    re.IGNORECASE,
)
_BLANK = re.compile(
    r"_{2,}|_\s_|(?:\\_){2}|\[\s*\]|\(\s{2,}\)|[□◻]|（\s*）|空欄"
    r"|\\(?:underline|boxed|fbox)\s?\{(?:\s|~|\\[hv]space\*?\s?\{[^{}]*\}|\\[a-z]+|\\ |\{\}|\\,)*\}"
    r"|\\rule\s?\{[^{}]*\}\s?\{[^{}]*\}"
)
_FILL_IN = re.compile(
    r"=\s?(?:\$|\\\))\Z|\b(?:values?|range|set|sum|product|roots?|solutions?|minimum|maximum"
    r"|then)\b[^.?!:]{0,120}"
    r"\b(?:is|are|equals?|satisfy)\s?[:：]?\Z",
    re.IGNORECASE,
)
_OPTIONS = re.compile(r"(?:^|[\s({])\(?A[).:}].{1,400}?(?:^|[\s({])\(?B[).:}]", re.DOTALL | re.MULTILINE)
_GIVEN = re.compile(
    r"(?:if|given|when|suppose)\b[^?]*,|.{0,2000}\bthen\b[^.?!]{0,160}\Z", re.IGNORECASE | re.DOTALL
)
_RELATION = re.compile(r"[=<>≤≥≠^+]|\\(?:leq?|geq?|frac)\b")
# "### Wilson's theorem", "Linear Equations in Two Variables", "Problem 3 (Number Theory)"
_HEADING = re.compile(
    r"#{1,6}\s[^\n]*\Z"
    r"|\W{0,4}[A-Z][\w'’-]*(?:[:,]?\s(?:[-–—]\s)?(?:[A-Z][\w'’-]*|\d[\d.]*|\([^()\n]*\)"
    r"|of|the|and|in|on|for|to|an?|with|its|by|from)"
    r"){1,9}\W{0,4}\Z"
)
_ASKS_IN_JAPANESE = re.compile(
    r"[せけげめえべれ]\s*(?:[。．.：:！]|$)|見つけ|解く[:：。]|いくら|いつ|誰|どれ|求め|示せ|示し|証明|計算|答え|解け|解き|述べ"
    r"|ください"
    r"|下さい"
    r"|なさい"
    r"|せよ"
    r"|けよ"
    r"|べよ|めよ|えよ|れよ|か[。"
    r"？?]|か$|何(?:個|通り|人|本"
    r"|回|枚|点|倍|桁)|いくつ|どの"
)
# Beginnings of words that are rare in everyday talk, and rare whole words (or their plurals). Words such as
# "real", "order", "power" or "game" are too common to count.
_STEMS = """abelian acyclic adjoint affine algebrai antiderivative arithmetic associativ asymptot automorphis
    banach bijecti bilinear binomial bipartite bisect boolean cauchy centroid chebyshev chromatic circum
    cohomolog collinear combinator commutat compactn concav concentric conformal congruen converg convex
    coordinate coprime coset cosine countabl covarian cubic cyclotom derivative determinant diagonal diamet
    differentia diophantine discriminant divisib divisor eigen ellip endomorphis epimorphis equation
    equilateral equivalen ergodic euclid exponen fermat fibonacci factorial functor galois gaussian geodesic
    hamiltonian harmonic hausdorff hermit hexagon hilbert holomorphic homeomorphis homolog homomorphi homotop
    hyperbol hyperplane hypotenuse incenter incircle inequalit infimum injecti integer integral integra
    intersect invertib irrational irreducib isometr isomorphi isosceles jacobi lagrang laplac lebesgue
    lipschitz logarithm manifold markov martingale matri meromorphic midpoint modulo monoid monotone multiset
    multiplicati nilpotent noetherian nontrivial numerator denominator orthocenter orthogonal orthonormal
    parabol parallelogram pentagon perpendicular permut pigeonhole poisson polygon polyhed polynomial poset
    probab pythag quadrat quadrilateral quaternion quotient ramif recurren recursi rectang residue riemann
    semigroup separable simplex spectr stochastic subfield subgraph subgroup submodule subring subset subspace
    summation supremum surjecti sylow symmetr tangent tensor tetrahedr theorem topolog torsion torus
    transcendental transversal trapez triang trigonometr uncountab lemma axiom conjectur corollar bayes
    likelihood correlat regress entrop automat turing algorithm clique hypergraph matroid planar curvature
    sobolev fourier immersion filtration hypothesis syllogis premise valuation
    vertex vertices wronskian"""
_WHOLE = """algebra angle area basis bundle cardinality chord circle coefficient coin compact cone constant
    cube curve cylinder degree density dice digit dimension distribution edge estimator even factor field
    finite fraction function gradient graph greatest group ideal identity infinite interval invariant inverse
    kernel lattice limit linear maximum mean minimum median metric module multiple norm number odd operator
    parity partition path percent perimeter plane plus minus times prime product radius random ratio rational
    remainder ring root scalar sequence series set sheaf slope sphere square standard-deviation sum surface
    tournament trace tree tuple uniform union unitary urn variance vector volume zero zeta switch card ball
    marble chessboard tile tiling domino knave liar subsequence coloring colouring proof"""
_MATHEMATICAL = re.compile(
    rf"\b(?:(?:{'|'.join(_STEMS.split())})"
    rf"|(?:{'|'.join(word.replace('-', ' ') for word in _WHOLE.split())})(?:s|es)?\b|solutions\b)"
)
_MATHEMATICAL_IN_JAPANESE = re.compile(
    r"[数式値積和差商群環体角辺円線面点比率列項根解集写像空間行確分布平均期待整素実虚複微関函級証明示次元個通位相距離倍対称幾何]"
)
_OPERATION = re.compile(
    r"\b(?:prove|disprove|show that|compute|integrate|calculate|(?:decide|determine) whether)\b"
    r"|[=<>≤≥≠±×÷√∑∏∫∈∞^≡∪∩⊂→∀∃·]|\d\s?[-+*/]\s?[\da-z(]|[a-z)]\s?[-+*/]\s?\d|\d[a-z]\b"
    r"|[a-z]\([a-z](?:,\s?[a-z])?\)"
)
# Words that ask, where they state: "the data show", "a rough estimate", "it is unknown how far it goes"
_STATES = re.compile(
    r"\b(?:results?|data|examples?|these|this|it|studies|experiments?|they|theorems?|facts?|figures"
    r"|counts?|we)\s"
    r"(?:also\s|will\s|can\s)?show\b|\b(?:the|an?|this|that|our|such)\s(?:\w+\s)?(?:estimate|sketch|show)\b"
    r"|\b(?:tells?|told|unknown|learns?|see|sees|explains|describes|studies"
    r"|shows)\s(?:us\s)?(?:by\s)?(?:what|how)\b"
    r"|\bhow\s(?:many|much|far)\b[^.?!]{0,60}\b(?:depends?|varies)\b"
    rf"|(?:^|[.!]\s)(?:in\sorder\s)?to\s(?:{'|'.join(sorted(_TASKS))})\b(?!\s?:)"
    rf"|\b(?:one|we|it)\s(?:can|could|may|might)\s(?:\w+ly\s)?(?:{'|'.join(sorted(_TASKS))})\b",
    re.IGNORECASE,
)
_WAYS = re.compile(
    r"\bhow many (?:\w+ )?(?:ways|arrangements|orders|orderings|words|strings)\b|\brearrange"
    r"|\barrangements? of the letters\b"
    r"|\bexpected (?:gain|value|number|profit|payoff)\b"
)
_QUANTITY = re.compile(
    r"\bhow (?:many|much|long|far|old|fast|often|large|small|likely|tall|high|wide|deep|heavy"
    r"|big)\b(?! are you)"
    r"|\b(?:total|twice|double|cost|costs|chances?|age|price|percentage)\b"
)
_NUMBER = re.compile(
    r"\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
    r"|(?:thir|four|fif|six|seven|eigh|nine)teen"
    r"|(?:twen|thir|for|fif|six|seven|eigh|nine)ty|hundred|thousand|dozen|half|twice|once|thrice)\b"
)

_QUESTION = re.compile(
    r"(?:which|who|(?:for|in|at|on|by|of|to) which|is|are|do|does"
    r"|did|can|has|have|was|were|will|must|may|when|where|could|should|would|whose)\b",
    re.IGNORECASE,
)


def is_english(text: str) -> bool:
    """Whether it holds some of the commonest English words; the word tests below are for English only."""
    return not _ENGLISH.isdisjoint(words(text))


def is_japanese(text: str) -> bool:
    """Whether it holds kana."""
    return any("\u3041" <= character <= "\u30ff" for character in text)


def common_words(text: str) -> int:
    """How many of the commonest English words it holds."""
    return len(_ENGLISH.intersection(words(text)))


def asks(text: str) -> bool:
    """Whether it clearly gives an order or asks a question, in English or Japanese."""
    return (
        "?" in text
        or "？" in text
        or not _TASKS.isdisjoint(words(text))
        or _ASKS_IN_JAPANESE.search(text) is not None
        or _BLANK.search(text) is not None
    )


def is_fill_in(text: str) -> bool:
    """Whether it states what is given and ends where the answer stands: "If $x - 2 = 4$, then $x$ equals"."""
    return (
        _FILL_IN.search(text[-160:]) is not None
        and _RELATION.search(text) is not None
        and (text.endswith((":", "：")) or _GIVEN.match(text) is not None)
    )


def has_options(text: str) -> bool:
    """Whether it offers options, "A) ... B) ...", which are a task by themselves."""
    return _OPTIONS.search(text) is not None


def has_task(text: str) -> bool:
    """Whether it may give an order or ask a question.

    True for a language other than English and Japanese, where the words are unknown.
    """
    if (
        asks(_STATES.sub(" ", text))
        or is_fill_in(text)
        or has_options(text)
        or any(_QUESTION.match(sentence) for sentence in sentences(text))
    ):
        return True
    if is_japanese(text) or (_HEADING.match(text) and not orders(text)):
        return False
    return not is_english(text) or orders(text)


def orders(text: str) -> bool:
    """Whether a clause of it begins with an order in English."""
    return _BEGINS_AN_ORDER.search(read(text).words) is not None


def shows_mathematics(text: str) -> bool:
    """Whether it holds a formula, an operation, a word of mathematics, or a question about a quantity.

    Words are English or Japanese.
    """
    plain = read(text).words.lower()
    if FORMULA in plain or _OPERATION.search(plain) or _WAYS.search(plain):
        return True
    if is_japanese(text):
        return _MATHEMATICAL_IN_JAPANESE.search(plain.replace("数学", "")) is not None
    return _MATHEMATICAL.search(plain) is not None or (
        _QUANTITY.search(plain) is not None and shows_numbers(plain)
    )


def asks_a_quantity(text: str) -> bool:
    """Whether it asks in English how much or how many there is of something."""
    return _QUANTITY.search(text.lower()) is not None


def shows_numbers(text: str) -> bool:
    """Whether it holds a number, in figures or in English words."""
    return _NUMBER.search(text.lower()) is not None
