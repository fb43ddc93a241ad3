"""A minimal build to copy: one domain of your own, one model, one DatasetDict.

Usage: one_domain.py MODEL FOLDER [COUNT]
"""

import sys

from magpie_hf import VLLM, Domain, Judge, Recipe, Sampling, build, resolve, solver_sampling

LOGIC = Domain(
    key="logic",
    japanese="論理",
    count=100,
    subject="mathematical logic",
    system=(
        "You are an AI assistant that gives step-by-step solutions of mathematical problems. The user, a"
        " logician who writes qualifying exams, will ask you one challenging problem in mathematical logic,"
        " completely stated, with a definite answer."
    ),
    instruction=Sampling(temperature=1.2, min_p=0.1, max_tokens=512),
    response=Sampling(temperature=0.0, max_tokens=1024),
    candidate=Sampling(temperature=0.8, top_p=0.95, max_tokens=1024),
)

if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    count = int(sys.argv[3]) if len(sys.argv) > 3 else LOGIC.count
    model = resolve(sys.argv[1])
    engine = VLLM(model, context=4096)
    # Answers are sampled as the model's own generation_config says, where it says something.
    domains = solver_sampling([Domain(**{**vars(LOGIC), "count": count})], model)
    datasets = build(Recipe(engine, engine, Judge(engine), domains, k=3), sys.argv[2], say=print)
    print(datasets["logic"])
