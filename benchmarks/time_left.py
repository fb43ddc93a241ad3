"""Measures how right the time left is that a build shows on its terminal.

Usage: time_left.py MODEL [NAME ...] (forty minutes on two CPU cores; NAME: of SETTINGS, all by default)

Three builds are watched as a person watches them: with vLLM, over two scripted servers that count tokens, and
with a scripted engine that counts nothing (tests/paced.py). From the second minute on, what the terminal says
every ten seconds is compared with the time to the end. On a terminal, the builds are shown.
"""

from __future__ import annotations

import asyncio
import fcntl
import math
import os
import pty
import random
import re
import shlex
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import results

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from aiohttp import web
from paced import Paced
from samples import problem

from fake_server import FakeServer
from magpie_hf.engines.base import Completion
from magpie_hf.models.chat import chat_of
from magpie_hf.models.model import Model, resolve
from magpie_hf.models.sampling import Sampling
from magpie_hf.scorers.judge import RATINGS

MIDDLE, SPREAD = 4.6, 0.7  # of the logarithms of scripted answers' tokens
PROBLEM_TOKENS = 256
SLOTS = 32, 48  # of the two servers
LIVES = 1500.0  # seconds, after which a server stops by itself
FROM, EVERY = 120, 10  # seconds
WITHIN = 0.7, 1.3
ALL = "--scorer judge --tagger none --decontaminate none --min-yield 0 --k 4"
SCRIPTED = f"--domains algebra --count 300 --max-tokens 1024 --instruction-max-tokens {PROBLEM_TOKENS}"
SETTINGS = {
    "vLLM": "--domains algebra,geometry --count 60 --max-tokens 400 --instruction-max-tokens 160"
    " --kv-cache-gb 1 --max-model-len 2048",
    "two servers that count": SCRIPTED,
    "an engine that counts nothing": SCRIPTED,
}
WORDS = problem(0).split() + problem(1).split() + problem(2).split()
SHOWN = re.compile("(\\d+:\\d+:\\d+) elapsed, (?:(\\d+:\\d+:\\d+|–) left|all requests done)".encode())


Said = tuple[float, int, int | None]  # when the terminal said it, and the seconds gone and left by it


class Answers:
    """Problems, answers and ratings of log-normal lengths, made of a request alone."""

    def __init__(self, model: Model) -> None:
        self.ratings = chat_of(model).choice_prompts(
            [[{"role": "user", "content": "x"}]], "Rating: ", RATINGS
        )[1]

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        dice = random.Random(f"{list(prompt)} {seed}")
        if sampling.logprobs:
            share = dice.uniform(0.01, 0.99)
            rated = (self.ratings[1], math.log(share)), (self.ratings[4], math.log(1 - share))
            return Completion("", "length", len(prompt), 1, rated)
        tokens = max(2, round(math.exp(dice.gauss(MIDDLE, SPREAD))))
        if sampling.max_tokens == PROBLEM_TOKENS:
            text = problem(dice.getrandbits(32))
        else:
            said = " ".join(dice.choice(WORDS) for _ in range(tokens * 2 // 3))
            text = f"We have {said}, so the answer is \\boxed{{{dice.randrange(3)}}}."
        if tokens > sampling.max_tokens:
            return Completion(text[:20], "length", len(prompt), sampling.max_tokens)
        return Completion(text, "stop", len(prompt), tokens)


class Server(FakeServer):
    """A paced engine behind HTTP, which counts as vLLM's servers do."""

    def __init__(self, model: Model, slots: int) -> None:
        super().__init__(model=model.source, max_model_len=8192)
        self.model_path = model.source
        self.engine = Paced(model, Answers(model), step=0.05, sequence=0.002, prompt=0.0004, slots=slots)
        self.metrics = self.counters

    def counters(self) -> str:
        names = (
            "generation_tokens_total",
            "prompt_tokens_total",
            "num_requests_running",
            "num_requests_waiting",
        )
        counted = zip(names, self.engine.counted, strict=True)
        return "".join(f'vllm:{name}{{model_name="{self.model}"}} {value}\n' for name, value in counted)

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        sampling = Sampling(
            asked["temperature"], max_tokens=asked["max_tokens"], logprobs=asked.get("logprobs") or 0
        )
        made = await asyncio.wrap_future(self.engine.submit(asked["prompt"], sampling, asked["seed"]))
        return await self._answer(request, "choices", lambda body: self.completed(body, made))


async def serve(model: Model) -> None:
    servers = [Server(model, slots) for slots in SLOTS]
    for server in servers:
        await server.serve()
    print(*(server.url for server in servers), flush=True)
    await asyncio.sleep(LIVES)


@contextmanager
def served(model: str) -> Iterator[list[str]]:
    """The options of two servers in a process of their own."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--serve", model], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield [word for url in process.stdout.readline().split() for word in ("--endpoint", url)]
    finally:
        process.kill()
        process.communicate()


def scripted(words: list[str]) -> int:
    """The command line, over a scripted engine."""
    from magpie_hf.cli.commands import assembly
    from magpie_hf.cli.main import main as command

    engines: dict[Model, Paced] = {}

    def engine_of(options: object, model: Model, *_: object) -> Paced:
        return engines.setdefault(model, Paced(model, Answers(model), step=0.05, sequence=0.003, load=2.0))

    assembly._vllm_of = engine_of
    return command(words)


def watched(command: list[str]) -> tuple[int, float, list[Said]]:
    """Run a build on a terminal: its exit code, its end, and what the terminal said."""
    terminal, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 130, 0, 0))
    process = subprocess.Popen(
        command, stdin=inner, stdout=inner, stderr=inner, env={**os.environ, "TERM": "xterm-256color"}
    )
    os.close(inner)
    said, rest = list[Said](), b""
    while True:
        try:
            read = os.read(terminal, 2**16)
        except OSError:  # the end, on Linux
            break
        if sys.stdout.isatty():
            os.write(sys.stdout.fileno(), read)
        rest += read
        for shown in SHOWN.finditer(rest):
            elapsed, left = map(seconds, shown.groups())
            said.append((time.monotonic(), elapsed or 0, left))
            rest = rest[shown.end() :]
        rest = rest[-200:]
    os.close(terminal)
    return process.wait(), time.monotonic(), said


def seconds(clock: bytes | None) -> int | None:
    """Of H:MM:SS; None for what is not known, and 0 where all is said to be done."""
    if clock is None or b":" not in clock:
        return None if clock else 0
    hours, minutes, rest = map(int, clock.split(b":"))
    return 3600 * hours + 60 * minutes + rest


def measured(model: str, name: str, folder: Path) -> dict[str, Any]:
    """What the terminal said, from the second minute on, by the truth."""
    words = ["build", "--model", model, "--out", str(folder), *shlex.split(f"{SETTINGS[name]} {ALL}")]
    if name == "two servers that count":
        with served(model) as servers:
            code, end, said = watched([sys.executable, "-m", "magpie_hf", *words, *servers])
    elif name == "vLLM":
        code, end, said = watched([sys.executable, "-m", "magpie_hf", *words])
    else:
        code, end, said = watched([sys.executable, __file__, "--scripted", *words])
    if code not in (0, 3):  # 3: a split is empty, as may happen with few rows of a small model
        sys.exit(f"the build ended with {code}")
    looks, due = {}, FROM
    for at, elapsed, left in said:
        if elapsed >= due:
            looks[elapsed] = (left or 0) / max(end - at, 0.1)
            due += EVERY
    right = sum(WITHIN[0] <= ratio <= WITHIN[1] for ratio in looks.values())
    print(
        f"\n{name}: {right} of {len(looks)}; " + ", ".join(f"{at} s {one:.2f}" for at, one in looks.items())
    )
    return {"looks": len(looks), "right": right, "seconds": round(said[-1][1] + end - said[-1][0], 1)}


def main(model: str, *names: str) -> None:
    made = results.kept("time_left")
    with tempfile.TemporaryDirectory() as folder:
        for at, name in enumerate(names or SETTINGS):
            made[name] = measured(model, name, Path(folder, str(at)))
    results.record("time_left", made)


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        asyncio.run(serve(resolve(sys.argv[2])))
    elif sys.argv[1] == "--scripted":
        sys.exit(scripted(sys.argv[2:]))
    else:
        main(*sys.argv[1:])
