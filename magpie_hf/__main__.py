"""`python -m magpie_hf` is `magpie-hf`."""

import sys

from magpie_hf.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
