"""How far a build is, from the records in its folder: during a run or after a crash, with no model loaded.

Not here: the rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

from magpie_hf.errors import Torn
from magpie_hf.selection.hardened import Hardened, hardened_of
from magpie_hf.selection.reasons import inside_share
from magpie_hf.store import lock
from magpie_hf.store.records import (
    CALIBRATED,
    CALIBRATION,
    LOCK,
    RUN,
    SAMPLES,
    SELECTED,
    UNREADABLE,
    read_record,
    record_of,
    stage_record,
    unreadable,
)
from magpie_hf.text.columns import padded
from magpie_hf.text.language import tr, translated
from magpie_hf.text.terminal import harmless

LABEL = 12  # columns of a stage's name, where none is longer


@dataclass(frozen=True)
class StageStatus:
    """One stage of one domain.

    rows: finished, with dropped ones. problems, wanted: finished rows of accepted problems, and those in all;
    None before the filtering, which goes on until enough samples are accepted. requests_under_way: finished
    requests of unfinished shards. reasons: by count.
    """

    domain: str
    label: str
    rows: int
    wanted: int | None
    requests_under_way: int
    tokens: int
    seconds: float
    reasons: dict[str, int]
    problems: int | None = None

    @property
    def done(self) -> int:
        """Finished samples before the filtering, finished problems after it."""
        return self.rows if self.problems is None else self.problems

    def line(self, wide: int = LABEL) -> str:
        """wide: columns of the label."""
        wanted = "" if self.wanted is None else f"/{self.wanted:,}"
        done = tr("{tokens:>11,} tokens {seconds:>9,.1f} s", tokens=self.tokens, seconds=self.seconds)
        parts = [f"{self.domain:<14} {self.label:<{wide}} {f'{self.done:,}{wanted}':>15} {done}"]
        if self.requests_under_way:
            parts.append(tr("{count:,} requests kept of shards under way", count=self.requests_under_way))
        if self.reasons:
            parts.append(", ".join(f"{count:,} {reason}" for reason, count in self.reasons.items()))
        return "  ".join(parts)


@dataclass(frozen=True)
class SelectionStatus:
    """The selection of one domain.

    accepted: problems, of `target`. filtered: samples so far. reasons: of the dropped samples, by count.
    """

    domain: str
    accepted: int
    target: int
    filtered: int
    reasons: dict[str, int]

    def line(self, wide: int = LABEL) -> str:
        reasons = "".join(f", {count:,} {reason}" for reason, count in self.reasons.items())
        share = f" ({self.accepted / self.filtered:.0%})" if self.filtered else ""
        if (inside := inside_share(self.accepted, self.reasons)) is not None:
            reasons += "; " + tr("{share:.0%} of the answered samples inside the band", share=inside)
        filtered = tr("of {count:,} samples filtered", count=self.filtered)
        return (
            f"{self.domain:<14} {padded(tr('selection'), wide)} {f'{self.accepted:,}/{self.target:,}':>15}"
            f" {filtered}{share}{reasons}"
        )


@dataclass(frozen=True)
class TopicStatus:
    """One topic of a domain: its samples, and how many of them are accepted or near-duplicates.

    pass_rate: the mean one of the accepted, of a finished build; None where nobody measures it.
    """

    domain: str
    topic: str
    sampled: int
    accepted: int
    near_duplicates: int
    pass_rate: float | None = None

    def line(self, wide: int = LABEL) -> str:
        counts = f"{self.accepted:,}/{self.sampled:,} ({self.accepted / self.sampled:.0%})"
        more = tr("{share:.0%} near-duplicates", share=self.near_duplicates / self.sampled)
        if self.pass_rate is not None:
            more += ", " + tr("mean pass rate {rate:.2f}", rate=self.pass_rate)
        return f"{self.domain:<14} {padded(tr('topic'), wide)} {counts:>15}  {more}  {harmless(self.topic)}"


@dataclass(frozen=True)
class Status:
    """A build: its model, its seed, its selection and its stages.

    running: process and machine of the build that runs now, or None. finished: whether the last command
    ended with a finished build, or calibration, which is then the `purpose`; that of a build is "".
    topics: of the samples that were filtered so far; () without topics. hardened: of the build
    that was finished last, by domain, what came of harder problems.
    """

    model: str
    seed: int
    running: str | None
    finished: bool
    selection: tuple[SelectionStatus, ...]
    stages: tuple[StageStatus, ...]
    purpose: str = ""
    topics: tuple[TopicStatus, ...] = ()
    hardened: dict[str, Hardened] = field(default_factory=dict)

    def lines(self) -> list[str]:
        state = tr("finished") if self.finished else tr("stopped before its end")
        state = tr("running ({where})", where=translated(self.running)) if self.running else state
        wide = max([LABEL, *(len(stage.label) for stage in self.stages)])
        parts = [one.line(wide) for one in self.selection] + [one.line(wide) for one in self.stages]
        parts += [one.line(wide) for one in self.topics]
        parts += [f"{domain:<14} {'harden':<{wide}} {one.line()}" for domain, one in self.hardened.items()]
        said = {"model": self.model, "seed": self.seed, "state": state}
        if self.purpose == CALIBRATION:
            return [tr("calibration of {model}, seed {seed}, {state}", **said), *parts]
        return [tr("model {model}, seed {seed}, {state}", **said), *parts]


def status(folder: Path) -> Status:
    """The status of the build in `folder`.

    Raises BadInput where there is none, or another version wrote it; Torn where its record cannot be read.
    """
    record = record_of(folder)
    run = folder / RUN
    try:
        pipeline = record.get("pipeline", {})
        running, purpose = lock.holder(run / LOCK), record.get("purpose", "")
        finished = (run / CALIBRATED).is_file() if purpose == CALIBRATION else bool(record.get("finished"))
        log = run / "selection" / record.get("selection", "")
        selection, stages = {}, []
        for domain, one in pipeline.items():
            selection[domain] = quota = _selection(run / SELECTED, domain, one["count"])
            stages += [_stage(run / domain / key, domain, label) for label, key in one["samples"].items()]
            answered = _Answered.of(log, quota, finished)
            stages += [
                _stage(run / domain / key, domain, label, answered) for label, key in one["answers"].items()
            ]
        return Status(
            record["name"],
            record["seed"],
            running,
            finished,
            tuple(selection.values()),
            tuple(stages),
            purpose,
            tuple(_topics(run / (SAMPLES if record.get("finished") else SELECTED))),
            _hardened(run / SAMPLES) if (run / SAMPLES).is_file() else {},
        )
    except Torn:
        raise
    except UNREADABLE as error:
        raise unreadable(folder, error) from error


def _selection(file: Path, domain: str, target: int) -> SelectionStatus:
    quotas: dict[str, dict[str, Any]] = read_record(file) if file.is_file() else {}
    quota = quotas.get(domain, {"filtered": 0, "accepted": 0, "reasons": {}})
    return SelectionStatus(domain, quota["accepted"], target, quota["filtered"], quota["reasons"])


def _topics(file: Path) -> Iterator[TopicStatus]:
    for domain, samples in read_record(file).items() if file.is_file() else ():
        for topic, counts in samples.get("topics", {}).items():
            yield TopicStatus(domain, topic, **counts)


def _hardened(file: Path) -> dict[str, Hardened]:
    found = ((domain, hardened_of(one.get("hardened", {}))) for domain, one in read_record(file).items())
    return {domain: one for domain, one in found if one is not None}


@dataclass(frozen=True)
class _Answered:
    """Which samples of a domain are problems, which alone are answered.

    before: of each sample, and of the end, how many accepted ones come before it. wanted: problems in all.
    """

    before: Sequence[int]
    wanted: int

    @property
    def filtered(self) -> int:
        return len(self.before) - 1

    @staticmethod
    def of(log: Path, quota: SelectionStatus, finished: bool) -> _Answered:
        """By the log of the selection; of samples that it lacks, by the share of those that were accepted."""
        share = quota.accepted / quota.filtered if quota.filtered else 0.0
        told = _accepted(log, quota.domain)[: quota.filtered]
        before = [0, *accumulate(told)]
        lacking = range(1, quota.filtered - len(told) + 1)
        before += [round(before[len(told)] + share * at) for at in lacking]
        missing = 0 if finished else max(0, quota.target - quota.accepted)
        return _Answered(before, before[-1] + missing)


def _accepted(log: Path, domain: str) -> list[bool]:
    """Of the first samples of a domain, whether each was accepted, as far as the log says so in a row."""
    whole, found = log / f"{domain}.arrow", list[bool]()
    for file in [whole] if whole.is_file() else sorted((log / domain).glob("*-*.arrow")):
        import pyarrow as pa  # 0.2 s, which other commands that take a status need not wait for

        start = 0 if file == whole else int(file.stem.split("-")[0])
        try:
            accepted = pa.ipc.open_stream(pa.memory_map(str(file))).read_all()["accepted_as"]
        except (OSError, KeyError, pa.ArrowException):  # torn; the build filters these anew
            break
        if start > len(found):
            break
        found += accepted.is_valid().to_pylist()[len(found) - start :]
    return found


def _stage(folder: Path, domain: str, label: str, answered: _Answered | None = None) -> StageStatus:
    shards: dict[str, dict[str, Any]] = (stage_record(folder) or {"shards": {}})["shards"]
    names = sorted(shard.stem for shard in folder.glob("*-*.arrow") if shard.stem.replace("-", "").isdigit())
    # A build that was killed at the wrong moment wrote the shard and not its record.
    unrecorded = {"tokens": 0, "seconds": 0.0, "reasons": {}}
    rows, problems, tokens, seconds, at, reasons = 0, 0, 0, 0.0, 0, Counter[str]()
    for name in names:
        (start, stop), shard = map(int, name.split("-")), shards.get(name, unrecorded)
        begin, end = max(start, at), stop if answered is None else min(stop, answered.filtered)
        if begin < end:
            rows += end - begin
            problems += answered.before[end] - answered.before[begin] if answered else 0
            at = stop
            tokens, seconds = tokens + shard["tokens"], seconds + shard["seconds"]
            reasons.update(shard["reasons"])
    kept = sum(map(_lines, folder.glob("*.journal")))
    whole = dict(sorted(reasons.items()))
    if answered is None:
        return StageStatus(domain, label, rows, None, kept, tokens, seconds, whole)
    return StageStatus(domain, label, rows, answered.wanted, kept, tokens, seconds, whole, problems)


def _lines(file: Path) -> int:
    """How many lines a file has, read a megabyte at a time (120 MB of journals in flight: 0.07 s)."""
    lines, piece = 0, bytearray(1 << 20)
    with file.open("rb", buffering=0) as stream:
        while size := stream.readinto(piece):
            lines += piece.count(b"\n", 0, size)
    return lines
