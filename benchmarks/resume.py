"""Measures the cost of running a build again, over an engine that answers at once.

Usage: resume.py MODEL [ROWS] (default 44000)

Prints the seconds of running a finished build again. For builds killed (kill -9) at 10, 50 and 90 %, prints
how many requests were asked twice, as counted by the engine: all, and those answered more than a second
before the kill, of which there must be none. MODEL gives the tokenizer.
"""

from __future__ import annotations

import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import overhead
import results

from magpie_hf import Completion, FakeEngine, Judge, Sampling, build
from magpie_hf.engines.journal import request_keys

ENTRY = struct.Struct("16sd")  # a request's key, and the time of its answer


def run(model: str, rows: int, out: str, log: str) -> None:
    """A build whose engine logs the key and the time of each answer."""
    plain = overhead.recipe(model, rows)
    answer = plain.generator.reply
    with open(log, "ab", buffering=0) as stream:

        def reply(prompt: Sequence[int], sampling: Sampling, seed: int) -> str | Completion:
            (key,) = request_keys(plain.generator.model, [prompt], sampling, [seed])
            stream.write(ENTRY.pack(bytes.fromhex(key), time.time()))
            return answer(prompt, sampling, seed)

        engine = FakeEngine(plain.generator.model, reply)
        build(replace(plain, generator=engine, solver=engine, scorer=Judge(engine)), out)


def asked(log: Path) -> list[tuple[bytes, float]]:
    return list(ENTRY.iter_unpack(log.read_bytes())) if log.exists() else []


def killed(model: str, rows: int, share: float, total: int, folder: Path) -> dict[str, float]:
    """A build that is killed when this share of its requests is answered, and then finished by another."""
    out, log = folder / "out", folder / "log"
    command = [sys.executable, __file__, "--one", model, str(rows), str(out), str(log)]
    first = subprocess.Popen(command)
    while not log.exists() or log.stat().st_size < total * share * ENTRY.size:
        time.sleep(0.01)
        assert first.poll() is None, "the build ended before it was killed"
    first.send_signal(signal.SIGKILL)
    moment = time.time()
    first.wait()
    before = dict(asked(log))
    size = log.stat().st_size
    subprocess.run(command, check=True)
    again = [key for key, _ in ENTRY.iter_unpack(log.read_bytes()[size:])]
    assert len(again) == len(set(again))
    assert len(before.keys() | set(again)) == total, "the same requests in all"
    twice = [key for key in again if key in before]
    return {"at": share, "twice": len(twice), "old": sum(before[key] < moment - 1 for key in twice)}


def main(model: str, rows: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [
            sys.executable,
            __file__,
            "--one",
            model,
            str(rows),
            str(folder / "out"),
            str(folder / "log"),
        ]
        subprocess.run(command, check=True)
        total = len(asked(folder / "log"))
        began = time.perf_counter()
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - began
        assert len(asked(folder / "log")) == total
    print(
        f"a finished build of {rows:,} rows ({total:,} requests), run again: {seconds:.1f} s with the start"
        " of Python",
        flush=True,
    )
    kills = []
    for share in (0.1, 0.5, 0.9):
        with tempfile.TemporaryDirectory() as name:
            kills.append(killed(model, rows, share, total, Path(name)))
        print(
            "killed at {at:.0%}: {twice} requests asked twice, {old} of them finished more than a second"
            " before".format(**kills[-1])
        )
    results.record("resume", {"rows": rows, "requests": total, "again_seconds": seconds, "kills": kills})


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        run(sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5])
    elif len(sys.argv) > 1:
        main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 44_000)
    else:
        sys.exit(__doc__)
