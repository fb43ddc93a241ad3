"""The original's job and arguments: hle_math.py [model 1-6] [scale] [mode] [domain] [more options of
`magpie-hf build`].

mode 1: all six domains; 2: one; 3: some (1,3,5). domain: 1 algebra, 2 calculus, 3 geometry, 4 statistics, 5
number theory, 6 discrete. Without arguments: model 1 at scale 1.0, all domains, 44,000 problems.
"""

import sys

from magpie_hf.cli.commands.exit_codes import BAD_INPUT
from magpie_hf.cli.main import main
from magpie_hf.domains import DOMAINS
from magpie_hf.text.language import tr, translated, use, wanted


def build_arguments(words: list[str]) -> list[str]:
    """The arguments of `magpie-hf build` for the original's. Raises ValueError for a mode or a domain that
    does not exist.
    """
    options = next((i for i, word in enumerate(words) if word.startswith("--")), len(words))
    place, rest = words[:options], words[options:]
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
    return ["build", "--model", model, "--scale", scale, "--domains", domains, *rest]


def run(words: list[str]) -> int:
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
            return 0
        arguments = build_arguments(words)
    except ValueError as error:
        print(tr("hle_math.py: {error}; -h shows examples", error=str(error)), file=sys.stderr)
        return BAD_INPUT
    return main(arguments)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
