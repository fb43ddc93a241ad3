"""What a build would show, without a build: shown.py HOW FOLDER [SECONDS]. Tells events of six domains, makes
noise, and ends, or waits.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

from magpie_hf.cli.commands.display import watching
from magpie_hf.domains import DOMAINS
from magpie_hf.progress.events import (
    DomainPlanned,
    Ended,
    EngineOpened,
    Found,
    Planned,
    SelectionMoved,
    ShardFinished,
    Speed,
)
from magpie_hf.run.interrupts import stopping_at_once

SAMPLES, ANSWERS = (
    ("instruct", "clean", "signature", "decontaminate", "tag"),
    ("candidates", "verify", "score", "pair"),
)


def main(how: str, folder: Path, seconds: float) -> None:
    planned = tuple(
        DomainPlanned(key, domain.count, SAMPLES, ANSWERS, {"instruct": Found(5, 50, 1.0)})
        for key, domain in DOMAINS.items()
    )
    with watching(how) as show, stopping_at_once(folder, show.leave):
        show.say("what is planned\ndisk     5 MB while it builds, and 59.1 GB are free on the disk")
        show.take(Planned(str(folder), planned))
        os.write(1, b"noise of C\n")
        print("noise of Python", flush=True)
        subprocess.run(
            [sys.executable, "-c", "import sys; print('noise of a child', file=sys.stderr)"], check=True
        )
        logging.getLogger("magpie_hf").warning("the engine died; it is started again")
        show.take(EngineOpened("it", 12.3, True))
        for one in planned:
            show.take(ShardFinished(one.domain, "instruct", 100, 2.0, 900, {}))
            show.take(SelectionMoved(one.domain, 80, 50, one.target, {"near_duplicate": 20, "language": 10}))
        show.take(Speed("it", 256, 12345, 4200.0, 4000.0, 5000.0))
        time.sleep(seconds)
        show.take(Ended("finished", 9.0, None))
        show.result("1,234 SFT rows, 99 pairs in out")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]))
