"""A build on the nodes of a Ray cluster.

Usage: ray_cluster.py MODEL FOLDER [ADDRESS [LEAST:MOST [COUNT]]]

ADDRESS: auto (the cluster that this machine is part of), HOST:PORT of its head, or local. LEAST:MOST: bounds
of the number of engines. COUNT: problems of each domain. Run it on any node of a cluster that `ray start
--head` and `ray start --address HEAD:6379` made. To keep strangers out, run `ray get-auth-token --generate`
first, in a home that all nodes share. Every node needs this package, and must see FOLDER under the same path.
The model is a Hub repository, or a folder that every node sees. A build that began here can be resumed in one
process, and the other way round. On Slurm it is one job (sbatch --nodes=4 --ntasks-per-node=1
--gpus-per-node=8 --cpus-per-task=64):

    head=$(hostname)
    srun --nodes=1 --ntasks=1 --nodelist=$head ray start --head --port=6379 --block &
    sleep 20
    srun --nodes=$((SLURM_NNODES - 1)) --exclude=$head ray start --address=$head:6379 --block &
    sleep 20
    python builders/ray_cluster.py Qwen/Qwen2.5-7B-Instruct /shared/build $head:6379
"""

import sys
from dataclasses import replace

from magpie_hf import (
    DOMAINS,
    VLLM,
    BadInput,
    EngineError,
    Judge,
    NothingMade,
    RayCluster,
    Recipe,
    build,
    resolve,
    solver_sampling,
)

GPUS_OF_AN_ENGINE = 1  # raise it for a model that does not fit one GPU; each worker gets as many
SHARDS_OF_AN_ENGINE = 8  # of 256 rows, that one engine works on at once; as many again wait for it


def bounds(words: str) -> tuple[int, int]:
    """The smallest and the largest number of engines, from a text such as 2:16. Raises BadInput otherwise."""
    least, colon, most = words.partition(":")
    if not (colon and least.isdecimal() and most.isdecimal()):
        raise BadInput(f"the workers are {words!r}; give the least and the most, as in 2:16")
    return int(least), int(most)


def run(
    model: str, folder: str, address: str = "auto", workers: str | None = None, count: str | None = None
) -> None:
    """Build all six domains with one model, and print the splits."""
    cluster = RayCluster(address, bounds(workers) if workers else None)
    solver = resolve(model)
    engine = VLLM(solver, tensor_parallel_size=GPUS_OF_AN_ENGINE)
    domains = [replace(domain, count=int(count)) if count else domain for domain in DOMAINS.values()]
    recipe = Recipe(engine, engine, Judge(engine), solver_sampling(domains, solver))
    datasets = build(recipe, folder, runner=cluster, shards_in_flight=SHARDS_OF_AN_ENGINE, say=print)
    for config, splits in datasets.items():
        print(config, {split: len(rows) for split, rows in splits.items()})


if __name__ == "__main__":
    if not 3 <= len(sys.argv) <= 6:
        sys.exit(__doc__)
    try:
        run(*sys.argv[1:])
    except (BadInput, EngineError, NothingMade) as error:
        sys.exit(f"ray_cluster.py: {error}")
