"""Default thresholds of a good problem and a good pair, and the valid ranges.

Not here: the rules themselves.

The checks raise BadInput. They have a module of their own so that a plan can refuse what a build would
refuse, without loading the rules.
"""

import math
import re
from collections.abc import Sequence

from magpie_hf.errors import BadInput, shortened

LANGUAGES = ("en", "ja")  # ISO 639-1
# Problems with the same symbols are near-duplicates from this share of common words on; see
# tests/test_near_duplicates.py
NEAR = 0.6
LICENCE = "cc-by-nc-4.0"  # of the data
SIMILAR = 0.92  # two problems say the same from this cosine of their embeddings on
# From this cosine on a model is asked whether a problem is a benchmark's. With MiniLM, seven of ten own
# paraphrases and translations lie above it, and none of four other problems of the same topics
ASKED_FROM = 0.7
# The same of known problems, of which at most so many are asked about. Of 200 problems of GSM8K in other
# words and with other numbers (GSM-Plus), 374 of 400 lie above it with MiniLM, and none of 159,200 pairs of
# others; from 0.9 on it were 303
KNOWN_FROM = 0.85
MOST_KNOWN = 5
# Which answers of a problem are published: the best of its majority, all of them, or one asked for on its own
SFT = ("best", "all", "cold")
# What the detector of languages knows: the 176 labels of fastText's lid.176, ISO 639-1 or else 639-3
KNOWN_LANGUAGES = frozenset(
    "af als am an ar arz as ast av az azb ba bar bcl be bg bh bn bo bpy br bs bxr ca cbk ce ceb ckb co cs cv"
    " cy da de diq dsb dty dv el eml en eo es et eu fa fi fr frr fy ga gd gl gn gom gu gv he hi hif hr hsb ht"
    " hu hy ia id ie ilo io is it ja jbo jv ka kk km kn ko krc ku kv kw ky la lb lez li lmo lo lrc lt lv mai"
    " mg mhr min mk ml mn mr mrj ms mt mwl my myv mzn nah nap nds ne new nl nn no oc or os pa pam pfl pl pms"
    " pnb ps pt qu rm ro ru rue sa sah sc scn sco sd sh si sk sl so sq sr su sv sw ta te tg th tk tl tr tt"
    " tyv ug uk ur uz vec vep vi vls vo wa war wuu xal xmf yi yo yue zh".split()
)
MOST_CANDIDATES = 256  # of one problem
MOST_EXTENDED = 10  # doublings of the bound of an answer: 4,096 tokens become 4 million
STEER = ("system", "user", "none")  # where a domain's text goes
PASS_VOTES = 8  # answers from which a pass rate follows
PASS_TOKENS = 4096  # of an answer of the model that measures pass rates, at most
MOST_HARDENED = 2  # rounds in which harder problems are made of easy ones
MIN_YIELD = 0.02  # a build gives up below this share of accepted samples


def check_near(near: float) -> None:
    """near: a share of common words, see NEAR."""
    if not 0 < near <= 1:
        raise BadInput(f"near is {near}; give a share above 0 and at most 1, such as {NEAR}")


def check_min_yield(min_yield: float) -> None:
    """min_yield: a share of accepted samples, see MIN_YIELD."""
    if not 0 <= min_yield < 1:
        raise BadInput(f"min_yield is {min_yield:g}; give a share from 0 to below 1, such as {MIN_YIELD}")


def check_first_token(first_token: float) -> None:
    """first_token: the temperature at which a problem's first token is sampled."""
    if (
        isinstance(first_token, bool)
        or not isinstance(first_token, (int, float))
        or not 0 <= first_token <= 2
    ):
        raise BadInput(
            f"first_token is {first_token!r}; give the first token's temperature, from 0 to 2, or None to"
            " sample it like the others"
        )


def check_languages(languages: Sequence[str]) -> None:
    """languages: ISO 639-1 codes, see LANGUAGES."""
    if not languages or not set(languages) <= KNOWN_LANGUAGES:
        said = shortened(", ".join(languages))
        raise BadInput(
            f"the languages are {said}, and not all of them can be told; give codes of ISO 639-1, such as en"
            " and ja"
        )


def check_k(k: int) -> None:
    """k: candidates per problem."""
    if k < 2:
        raise BadInput(f"k is {k}, so no pairs are possible; give at least 2 candidates")
    if k > MOST_CANDIDATES:
        raise BadInput(f"k is {shortened(k)}; give at most {MOST_CANDIDATES} candidates")


def check_sft(sft: str | int) -> None:
    """sft: which answers of a problem are published, see SFT, or how many at most."""
    if sft in SFT or (isinstance(sft, int) and not isinstance(sft, bool) and sft >= 1):
        return
    raise BadInput(f"sft is {sft!r}; choose best, all, cold, or a number of answers of at least 1")


def check_auto_extend(auto_extend: int) -> None:
    """auto_extend: how often the bound of truncated answers is doubled."""
    if (
        isinstance(auto_extend, bool)
        or not isinstance(auto_extend, int)
        or not 0 <= auto_extend <= MOST_EXTENDED
    ):
        raise BadInput(
            f"auto_extend is {auto_extend!r}; give a whole number from 0 (never) to {MOST_EXTENDED}"
        )


def check_pairs(
    min_majority_share: float,
    min_score_gap: float | None,
    min_correctness_score_gap: float | None,
    max_length_ratio: float,
) -> None:
    """Check the fields of stages.pair.Pair; a min_score_gap of None takes the scorer's own."""
    if min_score_gap is not None and not (math.isfinite(min_score_gap) and min_score_gap >= 0):
        raise BadInput(f"min_score_gap is {min_score_gap}; give a finite number of at least 0")
    if min_correctness_score_gap is not None and not math.isfinite(min_correctness_score_gap):
        raise BadInput(
            f"min_correctness_score_gap is {min_correctness_score_gap}; give a finite number, or None for no"
            " floor"
        )
    if not 1 <= max_length_ratio < math.inf:
        raise BadInput(f"max_length_ratio is {max_length_ratio}; give a finite number of at least 1")
    if not 0 <= min_majority_share <= 1:
        raise BadInput(f"min_majority_share is {min_majority_share}; give a share from 0 to 1")


def check_pairs_checked(pairs_checked: bool, asked: bool) -> None:
    """pairs_checked: whether opinions bound the pairs. asked: whether anyone is asked for one."""
    if pairs_checked and not asked:
        raise BadInput(
            "pairs are bounded by a checker or by programs, and this build has neither; give --checker or"
            " --program, or leave out --pairs-checked"
        )


def check_steer(steer: str | None, domains: int, labelled: bool) -> None:
    """steer: see STEER, None for the template's own place.

    domains: how many the build has. labelled: whether a tagger tells them, and its word counts.
    """
    if steer not in (None, *STEER):
        raise BadInput(f"steer is {steer!r}; choose from {', '.join(STEER)}")
    if steer == "none" and domains > 1 and not labelled:
        raise BadInput(
            f"steer is none, so only a tagger can tell the {domains} domains apart; give a tagger and"
            " --off-topic move or drop, or one domain"
        )


def check_rl(majority_share: float | None) -> None:
    """majority_share: the least share of the votes of an RL problem; None where no RL rows are made."""
    if majority_share is not None and not 0 <= majority_share <= 1:
        raise BadInput(
            f"the majority share of the RL problems is {majority_share}; give a share from 0 to 1, such"
            " as 0.6"
        )


def check_tir(answers: int) -> None:
    """answers: with programs in them, of a problem; 0 for none."""
    if isinstance(answers, bool) or not isinstance(answers, int) or not 0 <= answers <= MOST_CANDIDATES:
        raise BadInput(
            f"tir is {shortened(answers)}; give a number of answers a problem from 0 (none) to"
            f" {MOST_CANDIDATES}"
        )


def band_of(text: str | None) -> tuple[float, float] | None:
    """The band of pass rates that a text such as 0.1:0.8 names, both ends in it; None for None."""
    if text is None:
        return None
    try:
        low, high = map(float, text.split(":"))
    except ValueError:
        raise BadInput(
            f"{shortened(text)} is no band of pass rates; give the lowest and the highest, as in 0.1:0.8"
        ) from None
    return check_band((low, high))


def check_band(band: Sequence[float] | None) -> tuple[float, float] | None:
    """band: the lowest and the highest pass rate, both in it; None for any. Returns it as two floats."""
    if band is None:
        return None
    try:
        low, high = map(float, band)
    except (TypeError, ValueError):
        raise BadInput(
            f"{shortened(band)} is no band of pass rates; give the lowest and the highest, as in 0.1:0.8"
        ) from None
    if not 0 <= low <= high <= 1:
        raise BadInput(
            f"{low:g}:{high:g} is no band of pass rates; give the lowest and the highest, from 0 to 1, as in"
            " 0.1:0.8"
        )
    return low, high


def check_pass_votes(votes: int) -> None:
    """votes: answers from which the pass rate of a problem follows."""
    if not isinstance(votes, int) or not 2 <= votes <= MOST_CANDIDATES:
        raise BadInput(f"pass_votes is {shortened(votes)}; give 2 to {MOST_CANDIDATES} answers a problem")


def check_easy_share(share: float) -> None:
    """share: of the problems above the band, those that become RL problems all the same."""
    if not 0 <= share <= 1:
        raise BadInput(f"easy_share is {share:g}; give a share from 0 to 1, such as 0.1")


def check_passes(
    is_asked: bool,
    votes: int,
    pass_rate: Sequence[float] | None,
    rl_pass_rate: Sequence[float] | None,
    easy_share: float,
    rl: bool,
    as_given: bool,
) -> None:
    """Raises BadInput for bounds of the pass rate that nobody measures, or that no problem can meet.

    is_asked: whether a model measures it, by so many votes. rl: whether RL problems are made. as_given:
    whether given problems are dropped for nothing.
    """
    check_band(pass_rate)
    check_band(rl_pass_rate)
    check_easy_share(easy_share)
    named = {"pass_rate": pass_rate, "rl_pass_rate": rl_pass_rate, "easy_share": easy_share or None}
    named["pass_votes"] = None if votes == PASS_VOTES else votes
    for name in (name for name, value in named.items() if value is not None):
        option = f"--{name.replace('_', '-')}"
        if not is_asked:
            raise BadInput(f"{option} is given, and no model measures pass rates; give --pass-model, too")
        if name in ("rl_pass_rate", "easy_share") and not rl:
            raise BadInput(f"{option} is for RL problems, and there are none; give --rl-majority-share, too")
    if is_asked:
        _check_rates(votes, pass_rate, rl_pass_rate, rl and not easy_share)
    if pass_rate is not None and as_given:
        raise BadInput("--problems-as-given drops nothing, and --pass-rate would; leave out one of them")
    if (
        easy_share
        and pass_rate is not None
        and pass_rate[1] <= (rl_pass_rate or (0, 1))[1]
        and pass_rate[1] < 1
    ):
        raise BadInput(
            "--easy-share keeps problems above the band, and --pass-rate drops them all; leave out one"
        )


def _check_rates(
    votes: int, pass_rate: Sequence[float] | None, rl_pass_rate: Sequence[float] | None, rl: bool
) -> None:
    """Raises BadInput where no share of so many votes is in a band.

    rl: whether there are RL problems, of which no easy ones are kept besides.
    """
    every = [right / votes for right in range(votes + 1)]
    inside = [rate for rate in every if pass_rate is None or pass_rate[0] <= rate <= pass_rate[1]]
    both = [
        rate
        for rate in inside
        if (0 < rate < 1 if rl_pass_rate is None else rl_pass_rate[0] <= rate <= rl_pass_rate[1])
    ]
    if not inside:
        raise BadInput(f"no share of {votes} answers is in --pass-rate; widen it, or give more --pass-votes")
    if rl and not both:
        raise BadInput(
            f"no share of {votes} answers is in --pass-rate and in --rl-pass-rate (all between 0 and 1 where"
            " it is not given); widen one of them, or give more --pass-votes"
        )


def check_rounds(rounds: int) -> None:
    """rounds: in which harder problems are made of those above the band of pass rates."""
    if isinstance(rounds, bool) or not isinstance(rounds, int) or not 0 <= rounds <= MOST_HARDENED:
        raise BadInput(f"harden is {shortened(rounds)}; give 0 (never), 1 or 2 rounds")


def check_harden(
    rounds: int, is_named: bool, is_asked: bool, pass_rate: Sequence[float] | None, as_given: bool = False
) -> None:
    """Raises BadInput for rounds of harder problems that no band of pass rates asks for.

    rounds: as in `check_rounds`. is_named: whether a model is named that makes them. is_asked, as_given: as
    in `check_passes`.
    """
    check_rounds(rounds)
    if is_named and not rounds:
        raise BadInput("--harden-model is given, and no problem is made harder; give --harden 1, too")
    if not rounds:
        return
    if as_given:
        raise BadInput(
            "--problems-as-given keeps every problem, and --harden puts others in their place; leave out one"
            " of them"
        )
    if not is_asked:
        raise BadInput("--harden is given, and no model measures pass rates; give --pass-model, too")
    if pass_rate is None or pass_rate[1] >= 1:
        raise BadInput(
            "--harden is for problems above a band of pass rates, and none lies above this one; give"
            " --pass-rate with an upper bound below 1, as in 0.1:0.8"
        )


def check_chosen(chosen: str, is_asked: bool = True) -> None:
    """Raises BadInput for another rule of choosing, and for one without the model that it is for.

    is_asked: whether a smaller model writes rejected answers.
    """
    if chosen not in ("best", "shortest"):
        raise BadInput(f"chosen is {chosen!r}; choose best or shortest")
    if chosen != "best" and not is_asked:
        raise BadInput(
            f"chosen is {chosen}, which is for pairs with a smaller model's answer, and there is none; give"
            " --rejected-solver, too"
        )


def no_derivatives(licence: str) -> bool:
    """Whether a licence, by its id or name, is one of Creative Commons without derivatives."""
    parts = re.split(r"[^a-z]+", licence.lower())
    return "nd" in parts or "noderivatives" in "".join(parts)
