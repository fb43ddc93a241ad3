"""The whole job in a few minutes on two CPU cores: six domains with a small model, as `make demo` runs it.

Usage: tiny_cpu.py MODEL [FOLDER]
"""

import sys

from magpie_hf.cli.commands.exit_codes import INCOMPLETE, OK
from magpie_hf.cli.main import main

SMALL = [
    "--count",
    "6",
    "--k",
    "3",
    "--instruction-max-tokens",
    "160",
    "--max-tokens",
    "384",
    "--dtype",
    "float32",
]
# A model of this size labels problems almost at random, so its labels are kept but drop nothing.
LENIENT = ["--off-topic", "keep", "--min-quality", "very poor", "--unsolvable", "keep"]

if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    model = sys.argv[1]
    out = sys.argv[2] if len(sys.argv) > 2 else "data/demo"
    code = main(["build", "--model", model, "--out", out, *SMALL, *LENIENT])
    # Six problems of a small model may leave a split empty; the build says so.
    sys.exit(OK if code == INCOMPLETE else code)
