"""Runs the original's job with the original's arguments: the successor of run_math_generation.sh.

Usage: hle_math.py [model 1-6] [scale] [mode] [domain] [--yes] [more options of `magpie-hf build`]

mode 1: all six domains; 2: one; 3: some (1,3,5). domain: 1 algebra, 2 calculus, 3 geometry, 4 statistics,
5 number theory, 6 discrete. Without arguments: model 1 at scale 1.0, all domains, 44,000 problems.
As in the original, one model writes the problems and answers them; --solver names another for the answers.
Two numbers such as 1 2 are a model and a scale, not a mode: the script asks before it begins 88,000 problems,
and --yes answers yes. After an installation from a wheel, run it as python -m magpie_hf.builders.hle_math.
"""

import sys

from magpie_hf.cli.commands.exit_codes import BAD_INPUT, OK
from magpie_hf.cli.main import main
from magpie_hf.cli.menu import YES
from magpie_hf.domains import DOMAINS, scaled
from magpie_hf.run.interrupts import INTERRUPTED
from magpie_hf.text.language import tr, translated, use, wanted
from magpie_hf.text.terminal import encodable, is_terminal


def split(words: list[str]) -> tuple[list[str], list[str]]:
    """The original's arguments, and the options behind them."""
    options = next((i for i, word in enumerate(words) if word.startswith("--")), len(words))
    return words[:options], words[options:]


def confirmed(words: list[str]) -> bool:
    """Whether to build; asks where a scale may be meant as a mode, as in `1 2`.

    Raises ValueError where it has to ask and there is no terminal.
    """
    place, rest = split(words)
    chosen = any(word.partition("=")[0] in ("--domains", "--count", "--scale") for word in rest)
    if len(place) != 2 or place[1] not in ("2", "3") or chosen:
        return True
    model, scale = place
    count = sum(scaled(domain, float(scale)).count for domain in DOMAINS.values())
    if not (is_terminal(sys.stdin) and is_terminal(sys.stdout)):
        raise ValueError(
            f"{model} {scale} means scale {scale}, so {count:,} problems in six domains; add --yes to build"
            f" them, or give scale, mode and domain, such as {model} 1.0 {scale} 1"
        )
    encodable(sys.stdin)
    asked = tr(
        "{scale} is a scale, not a mode: {count:,} problems in six domains. Build them (y/n)?",
        scale=scale,
        count=count,
    )
    try:
        answer = input(f"{asked} ")
    except EOFError:
        print()
        return False
    return answer.strip().lower() in YES


def build_arguments(words: list[str]) -> list[str]:
    """The arguments of `magpie-hf build` for the original's.

    Raises ValueError for a mode or a domain that does not exist.
    """
    place, rest = split(words)
    if len(place) > 4:
        raise ValueError(f"{len(place)} arguments are given; give at most 4: model, scale, mode, domain")
    model, scale, mode, *chosen = [*place, *["1", "1.0", "1"][len(place) :]]
    if mode not in ("1", "2", "3"):
        raise ValueError(f"mode is {mode!r}; choose 1 (all domains), 2 (one) or 3 (some)")
    if (mode == "1") == bool(chosen):
        raise ValueError(
            "mode 1 takes no domain" if chosen else f"mode {mode} needs a domain: a number from 1 to 6"
        )
    numbers = chosen[0].split(",") if chosen else [str(number) for number in range(1, 7)]
    if any(number not in "123456" or len(number) != 1 for number in numbers) or (
        mode == "2" and len(numbers) > 1
    ):
        raise ValueError(
            f"domain is {chosen[0]!r}; choose {'one' if mode == '2' else 'some'} of 1 to {len(DOMAINS)}"
        )
    keys = list(DOMAINS)
    domains = ",".join(keys[int(number) - 1] for number in numbers)
    counted = any(word.partition("=")[0] == "--count" for word in rest)
    sized = [] if counted else ["--scale", scale]
    return ["build", "--model", model, *sized, "--domains", domains, *rest]


def run(words: list[str]) -> int:
    """Run the build that the words ask for; returns the exit code."""
    try:
        use(wanted(words))
        if {"-h", "--help"} & set(words):
            print(translated(str(__doc__)))
            print(
                tr(
                    "examples: 1 1.0 1 (44,000 problems)   5 0.5 1 (22,000)   2 0.5 2 2 (calculus, 5,000)   1"
                    " 0.1 3 1,5 --k 7"
                )
            )
            return OK
        sure, words = "--yes" in words, [word for word in words if word != "--yes"]
        arguments = build_arguments(words)
        if not (sure or confirmed(words)):
            return OK
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return INTERRUPTED
    except ValueError as error:
        print(tr("hle_math.py: {error}; -h shows examples", error=str(error)), file=sys.stderr)
        return BAD_INPUT
    return main(arguments)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
