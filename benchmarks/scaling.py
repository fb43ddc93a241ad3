"""Measures how evenly an Endpoint shares work out over 1, 2, 4 and 8 servers, and with a slow one.

Usage: scaling.py

The servers are scripted (tests/fake_server.py) in a process of their own. Each works on 8 requests at a time,
for a fixed time. The efficiency is the requests per second, divided by the sum of the servers' rates, over
the whole run: with the time in which the bounds learn the servers' size, and the end, when one server is the
last.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import results

from magpie_hf.engines.served.endpoint import Endpoint
from magpie_hf.models.model import Model
from magpie_hf.models.sampling import Sampling

SLOTS, SECONDS, RUN_SECONDS = 8, 0.4, 30.0
FAKE = Path(__file__).parent.parent / "tests" / "fake_server.py"


def efficiency(seconds: Sequence[float]) -> float:
    """The reached share of the summed rates of servers with these seconds per request."""
    ideal = sum(SLOTS / each for each in seconds)
    process = subprocess.Popen(
        [sys.executable, str(FAKE), str(SLOTS), *map(str, seconds)], stdout=subprocess.PIPE, text=True
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "config.json").write_text(json.dumps({"max_position_embeddings": 4096}))
            assert process.stdout is not None
            engine = Endpoint(
                Model("fake", "sha256:0", path=folder), urls=tuple(process.stdout.readline().split())
            )
            engine.check()
            sampling, asked = Sampling(max_tokens=64), int(ideal * RUN_SECONDS)
            began = time.monotonic()
            futures = [engine.submit([1, 2, 3], sampling, seed) for seed in range(asked)]
            for future in futures:
                future.result()
            reached = asked / (time.monotonic() - began)
            engine.close()
            return reached / ideal
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def main() -> None:
    equal = {count: efficiency([SECONDS] * count) for count in (1, 2, 4, 8)}
    for count, share in equal.items():
        print(f"{count} servers: {share:.2f} of the sum of their rates")
    slower = efficiency([SECONDS] * 7 + [2 * SECONDS])
    print(f"8 servers, one of half the speed: {slower:.2f}")
    results.record(
        "scaling",
        {
            "equal": {str(count): share for count, share in equal.items()},
            "one_slower": slower,
            "seconds": RUN_SECONDS,
        },
    )


if __name__ == "__main__":
    main()
