"""A storm over a build: kills, corruptions, changed options, two commands at once, full disks, new names.

Not here: real engines. The answers are those of conftest.py, and each command is a fork of this process.

    python tests/storm.py MODEL [--minutes 30] [--corruptions N] [--seed 0]

After each round the plain build runs to its end, and its dataset must be that of a clean build. The script
prints what it did and what it found, and ends with 1 where there was a silent difference or a traceback.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import json
import mmap
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parent))

from conftest import CANDIDATES, Answers, small_recipe
from magpie_hf.building.build import build
from magpie_hf.dataset.unfinished import finished_part
from magpie_hf.engines.base import Completion
from magpie_hf.errors import BadInput
from magpie_hf.models.chat import chat_of
from magpie_hf.models.model import Model, resolve
from magpie_hf.models.sampling import Sampling
from magpie_hf.problems.cleaning.language import language_of
from magpie_hf.report.source import opened
from magpie_hf.run.pace import pace
from magpie_hf.run.status import status

OK, FAILED, REFUSED, CRASHED = 0, 1, 2, 99  # of a command
ASKED = 16  # bytes of a request's digest
FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
# Options that are changed and changed back. The first is the plain build's, whose dataset is compared.
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"k": 4},
    {"count": 10},
    {"max_tokens": 24},
    {"sft": "cold"},
    {"keep_minority": True},
    {"shard_rows": 7, "shards_in_flight": 2},
)
SHAPES = (
    b"",
    b"{}",
    b"[1]",
    b"null",
    b'"text"',
    b'{"shards": 5}',
    b"[" * 100_000,
    b"0\n",
    b"\xff\xfe\0\x80{",
)


@dataclass
class Storm:
    """What is done to the build in `folder`, and what came of it.

    happened: how often each thing was done. faults: silent differences and tracebacks, each with what was
    done before it.
    """

    model: Model
    folder: Path
    random: random.Random
    happened: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    lately: list[str] = field(default_factory=list)  # what was done since the last comparison
    asked: list[bytes] = field(default_factory=list)  # a digest of each request
    _asking: dict[int, mmap.mmap] = field(default_factory=dict)  # those of each process that runs

    @property
    def out(self) -> Path:
        (out,) = (one for one in self.folder.iterdir() if one.name.startswith("out"))
        return out

    def run(self, rounds: Callable[[int], bool]) -> None:
        """Rounds, as long as `rounds` says so for their number."""
        (self.folder / "out").mkdir()
        clean = self.folder / "clean"
        assert self.end(self.command({}, clean)) == OK, (self.folder / "said").read_text()
        self.asked.clear()
        self.clean = contents(clean)
        number = 0
        while rounds(number):
            if self.random.random() < 0.05:
                self.begin_anew()
            for disturb in self.random.choices(
                (self.kill, self.change, self.twice, self.fill, self.rename),
                k=self.random.choice((0, 0, 0, 1, 2)),
            ):
                disturb()
            self.corrupt()
            self.read()
            if self.random.random() < 0.4:
                self.forget()
            self.compare()
            number += 1

    def begin_anew(self) -> None:
        self.count()
        shutil.rmtree(self.out)
        (self.folder / "out").mkdir()

    def count(self) -> None:
        """Count what was asked in this folder, and how much of it again."""
        self.happened["requests asked"] += len(self.asked)
        self.happened["of them twice"] += len(self.asked) - len(set(self.asked))
        self.asked.clear()

    def command(self, options: dict[str, Any], out: Path | None = None, room: int | None = None) -> int:
        """Start a build; returns its process. room: bytes that a file may have, as on a full disk."""
        out = out or self.out
        sys.stdout.flush()
        asking = mmap.mmap(-1, ASKED * 10_000)  # outlives kill -9, and is on no disk
        if pid := os.fork():
            self._asking[pid] = asking
            return pid
        said = os.open(self.folder / "said", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(said, 1)
        os.dup2(said, 2)
        code = CRASHED
        try:
            if room is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
            code = self.build(options, out, asking)
        except BaseException:
            make_room()
            traceback.print_exc()
        finally:
            os._exit(code)

    def build(self, options: dict[str, Any], out: Path, asking: mmap.mmap) -> int:
        """A build as the command line runs it, with its exit code."""
        sizes = {
            name: options.get(name, number) for name, number in (("shard_rows", 4), ("shards_in_flight", 4))
        }
        try:
            build(recipe_of(self.model, asking, options), out, **sizes)
        except BadInput as error:
            make_room()
            print(error)
            return REFUSED
        except OSError as error:
            if error.errno not in FULL:
                raise
            make_room()
            print(error)
            return FAILED
        return OK

    def end(self, pid: int) -> int:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with self._asking.pop(pid) as asking:
            while any(one := asking.read(ASKED)):
                self.asked.append(one)
        return code

    def judge(self, code: int, allowed: Sequence[int]) -> None:
        """Note a command that ended otherwise than it may."""
        if code not in allowed:
            said = (self.folder / "said").read_text(errors="replace").strip().splitlines()
            kind = "traceback" if code == CRASHED else f"exit code {code}"
            self.faults.append(f"{kind} after {', '.join(self.lately)}: {' | '.join(said[-3:])}")

    def kill(self) -> None:
        """kill -9, at a moment between the first request and some time after the last."""
        options = self.random.choice(OPTIONS)
        pid = self.command(options)
        time.sleep(self.random.choice((0.05, 0.3, 1.0, 2.0)) * self.random.random())
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        self.judge(self.end(pid), (-signal.SIGKILL, OK))
        self.note("kills", f"kill under {options}")

    def change(self) -> None:
        options = self.random.choice(OPTIONS[1:])
        self.note("option changes", f"build with {options}")
        self.judge(self.end(self.command(options)), (OK,))

    def twice(self) -> None:
        """Two commands at once, with the same options or with others."""
        self.note("two at once", "two commands at once")
        pids = [self.command(self.random.choice(OPTIONS)) for _ in range(2)]
        codes = sorted(map(self.end, pids))
        self.judge(codes[0], (OK,))
        self.judge(codes[1], (OK, REFUSED))

    def fill(self) -> None:
        """A disk on which a file cannot grow beyond some bytes."""
        room = self.random.choice((0, 500, 3_000, 9_000, 20_000))
        options = self.random.choice(OPTIONS)
        self.note("full disks", f"room for {room} bytes a file under {options}")
        self.judge(self.end(self.command(options, room=room)), (OK, FAILED))

    def rename(self) -> None:
        self.note("renames", "another name")
        self.out.rename(self.folder / f"out{self.happened['renames']}")

    def corrupt(self) -> None:
        """Harm one file under run/."""
        if not (self.out / "run" / "selection").exists():  # hardly anything is built yet
            self.judge(self.end(self.command({})), (OK,))
        files = sorted(file for file in (self.out / "run").rglob("*") if file.is_file())
        kinds = Counter(file.name if file.suffix == ".json" else file.suffix for file in files)
        weights = [1 / kinds[file.name if file.suffix == ".json" else file.suffix] for file in files]
        weights = [
            weight + 3 / len(files) for weight in weights
        ]  # as many of each kind, and all of many shards
        (file,) = self.random.choices(files, weights)
        how = self.random.choice(("flip", "flip", "truncate", "garbage", "shape", "swap", "delete"))
        content, place = bytearray(file.read_bytes()), file.relative_to(self.out)
        if how == "flip" and content:
            at = self.random.randrange(len(content))
            content[at] ^= 1 << self.random.randrange(8)
            how = f"flip at {at}"
        elif how == "truncate" and content:
            del content[self.random.randrange(len(content)) :]
        elif how == "garbage":
            content = bytearray(self.random.randbytes(self.random.choice((1, 30, 5_000))))
        elif how == "shape":
            content = bytearray(self.random.choice(SHAPES))
        if how == "swap":
            other = self.random.choice([one for one in files if one.suffix == file.suffix])
            content, theirs = bytearray(other.read_bytes()), content
            other.write_bytes(theirs)
            how = f"swap with {other.relative_to(self.out)} in"
        file.write_bytes(content)
        if how == "delete":
            file.unlink()
        self.note("corruptions", f"{how} {place}")

    def forget(self) -> None:
        """Remove what was published, so that all of it is made anew from the shards."""
        for folder in (
            *self.out.glob("run/*/*train*"),
            *self.out.glob("run/*/dropped-*"),
            self.out / "algebra",
        ):
            shutil.rmtree(folder, ignore_errors=True)

    def read(self) -> None:
        """What only reads the folder says in a line what it cannot read."""
        scratch = self.folder / "scratch"
        scratch.mkdir()
        for look in (how_far, finished_rows, whole_source):
            try:
                look(self.out, scratch)
            except BadInput:
                self.happened["readers refused"] += 1
            except Exception as error:
                self.faults.append(f"traceback of a reader after {', '.join(self.lately)}: {error!r}")
        shutil.rmtree(scratch)

    def compare(self) -> None:
        """Run the plain build to its end, and compare."""
        said = (self.folder / "said").stat().st_size
        code = self.end(self.command({}))
        self.judge(code, (OK,))
        told = (self.folder / "said").read_bytes()[said:].count(b"torn")
        self.happened["said"] += bool(told)
        if code != OK:
            if code == REFUSED:
                self.happened["refused"] += 1
            self.begin_anew()
        elif differing := [name for name, one in contents(self.out).items() if self.clean.get(name) != one]:
            self.faults.append(f"silent difference in {differing} after {', '.join(self.lately)}")
            self.begin_anew()
        self.lately.clear()

    def note(self, kind: str, what: str) -> None:
        self.happened[kind] += 1
        self.lately.append(what)

    def table(self) -> list[str]:
        """What was done and found, a line each."""
        self.count()
        found = Counter(fault.partition(" after")[0].partition(" in ")[0] for fault in self.faults)
        numbers = {
            **dict(sorted(self.happened.items())),
            "silent differences": found["silent difference"],
            "tracebacks": found["traceback"] + found["traceback of a reader"],
            "other faults": len(self.faults) - found["silent difference"] - found["traceback"]
            - found["traceback of a reader"],
        }  # fmt: skip
        return [f"{name:<20} {number:>7,}" for name, number in numbers.items()] + self.faults


def make_room() -> None:
    """The output of a command is on the same disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def recipe_of(model: Model, asking: mmap.mmap, options: dict[str, Any]) -> Any:
    """A small recipe with some options; a digest of each request is written when it is answered."""
    answers = Answers(model, answers=3, bounded=True)

    def reply(prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        answer = answers(prompt, sampling, seed)
        asked = [list(prompt), sampling.temperature, sampling.max_tokens, seed]
        with answers.lock:
            asking.write(hashlib.blake2b(json.dumps(asked).encode(), digest_size=ASKED).digest())
        return answer

    recipe = small_recipe(answers, "algebra", count=options.get("count", 8), k=options.get("k", 3))
    engine = replace(recipe.generator, reply=reply)
    domains = tuple(
        replace(one, candidate=replace(one.candidate, max_tokens=options["max_tokens"]))
        if "max_tokens" in options
        else one
        for one in recipe.domains
    )
    assert all(one.candidate.temperature == CANDIDATES for one in domains)
    return replace(
        recipe,
        generator=engine,
        solver=engine,
        scorer=replace(recipe.scorer, engine=engine),
        domains=domains,
        **{name: options[name] for name in ("sft", "keep_minority") if name in options},
    )


def how_far(out: Path, _: Path) -> None:
    pace(out, status(out))


def finished_rows(out: Path, scratch: Path) -> None:
    finished_part(out / "run", scratch)


def whole_source(out: Path, scratch: Path) -> None:
    with opened(out, scratch):
        pass


def warm(model: Model) -> None:
    """Load once what each command needs, as it is a fork."""
    chat_of(model)
    language_of("What is the order of the group?")
    import_module("matplotlib.backends.backend_svg")
    import_module("matplotlib.figure")


def contents(out: Path) -> dict[str, str]:
    """A digest of the rows of each data file of a build, and of its dropped samples."""
    return {
        file.relative_to(out).as_posix(): hashlib.sha256(
            json.dumps(pq.read_table(file).to_pylist(), sort_keys=True).encode()
        ).hexdigest()
        for file in sorted(out.rglob("*.parquet"))
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="A storm over a build's folder.")
    parser.add_argument("model")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--corruptions", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    model = resolve(options.model)
    warm(model)
    end = time.monotonic() + 60 * options.minutes
    with tempfile.TemporaryDirectory() as folder:
        storm = Storm(model, Path(folder), random.Random(options.seed))
        storm.run(lambda number: number < options.corruptions and time.monotonic() < end)
        print("\n".join(storm.table()))
    return 1 if storm.faults else 0


if __name__ == "__main__":
    sys.exit(main())
