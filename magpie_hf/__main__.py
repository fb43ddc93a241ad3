"""`python -m magpie_hf` is `magpie-hf`.

Not here: the command line (cli/main.py).
"""

import sys

from magpie_hf.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
