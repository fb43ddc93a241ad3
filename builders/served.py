"""A build of one domain over any number of vLLM servers, to copy.

Usage: served.py MODEL FOLDER --server URL [--server URL ...]

Start each server, on any machine, with `vllm serve MODEL --max-model-len 10240` or more (34816 for a
reasoning model), and with the option that makes its JSON equal to that of a build in one process:
--structured-outputs-config '{"backend": "xgrammar", "disable_any_whitespace": true}'. The servers' API key
comes from the environment variable VLLM_API_KEY. A reward model needs servers of its own, started with `vllm
serve REWARD --runner pooling`; give them like the others, since each server says which model it serves.

If a server dies, its requests go to the others, and it is used again when it is back. The same command
resumes a stopped build, with these servers, with others, or in one process.
"""

import argparse
from dataclasses import replace

from magpie_hf import DOMAINS, Judge, Recipe, RewardModel, build, resolve, solver_sampling
from magpie_hf.domains import HEADROOM
from magpie_hf.engines.served.endpoint import Endpoint, share_out
from magpie_hf.scorers.base import Scorer


def recipe_of(options: argparse.Namespace) -> Recipe:
    """The recipe that the options describe; first asks every server which model it serves."""
    model, reward = resolve(options.model), resolve(options.reward) if options.reward else None
    urls = share_out(options.server, [model, reward] if reward else [model])
    (domain,) = solver_sampling([replace(DOMAINS[options.domain], count=options.count)], model)
    longest = domain.candidate.max_tokens * 2**Recipe.auto_extend
    context = HEADROOM + domain.instruction.max_tokens + longest
    engine = Endpoint(model, urls=urls[model], context=context)
    scorer: Scorer = (
        RewardModel(Endpoint(reward, runner="pooling", urls=urls[reward])) if reward else Judge(engine)
    )
    return Recipe(engine, engine, scorer, (domain,), k=options.k)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", help="a Hub repository or a folder: what the servers serve")
    parser.add_argument("folder")
    parser.add_argument(
        "--server",
        action="append",
        required=True,
        metavar="URL",
        help="such as http://host:8000/v1; give as many as you like",
    )
    parser.add_argument("--domain", default="algebra", choices=sorted(DOMAINS))
    parser.add_argument("--count", type=int, default=100, help="problems")
    parser.add_argument("--k", type=int, default=5, help="candidates of each problem")
    parser.add_argument("--reward", help="a reward model, which takes the judge's place")
    options = parser.parse_args()
    datasets = build(recipe_of(options), options.folder, say=print)
    print(datasets[options.domain])


if __name__ == "__main__":
    main()
