"""The whole job in a few minutes on two CPU cores: all six domains with a small model. `make demo` runs it: tiny_cpu.py MODEL [FOLDER]."""

import sys

from magpie_hf.cli import main

if __name__ == "__main__":
    model, out = [*sys.argv[1:], "data/demo"][:2] if len(sys.argv) > 1 else sys.exit(__doc__)
    small = ["--count", "10", "--k", "3", "--instruction-max-tokens", "160", "--max-tokens", "384"]
    sys.exit(main(["build", "--model", model, "--out", out, *small]))
