"""The state of a build in words that the views share.

Not here: what is shown when (lines.py, live.py).
"""

from __future__ import annotations

from magpie_hf.progress.board import Board
from magpie_hf.progress.events import EngineClosed, EngineOpened
from magpie_hf.text.language import tr
from magpie_hf.text.numbers import UNKNOWN, clock, count

TOP_REASONS = 4


def speeds(board: Board) -> str:
    """Tokens a second: now, on average, and the peak in this folder."""
    speed = board.speed
    now, average, best = (None, None, None) if speed is None else (speed.now, speed.average, speed.best)
    if board.ended:
        now, said = None, tr("{average} tokens/s on average", average=_rate(average))
    elif speed is not None and speed.counted == "finished":
        said = tr(
            "{now} tokens/s now, by finished requests, {average} on average",
            now=_rate(now),
            average=_rate(average),
        )
    else:
        said = tr("{now} tokens/s now, {average} on average", now=_rate(now), average=_rate(average))
    if best is None:
        return said
    said += tr(", {best} in the best 30 s", best=_rate(best))
    if now is None or now > best:  # "now" looks back 10 s, in which an engine can be faster
        return said
    return said + tr(" (now {share:.0%} of it)", share=now / best)


def in_flight(board: Board) -> str:
    """Requests in flight, and how many of them wait in their engine's queue; empty after the end."""
    if board.ended:
        return ""
    running = sum(one.running for one in board.speeds.values())
    said = tr("{running:,} requests in flight", running=running)
    waiting = running - sum(one.working for one in board.speeds.values())
    return said + (tr(" ({waiting:,} of them waiting)", waiting=waiting) if waiting > 0 else "")


def left(board: Board) -> str:
    """The time left; once nothing is left to ask, that: how long files take to write is not known."""
    if board.has_asked_all:
        return tr("all requests done")
    return tr("{left} left", left=clock(board.left()))


def at_work(board: Board) -> str:
    """Rows done and wanted of the stages with requests in flight."""
    cells = ((stage, *board.in_all(stage)) for stage in board.at_work)
    return ", ".join(
        tr("{stage} {done:,} of {wanted}", stage=stage, done=done, wanted=_rate(wanted))
        for stage, done, wanted in cells
    )


def reasons(board: Board) -> str:
    """Why most samples were dropped, with counts; empty where none was."""
    top = ", ".join(f"{number:,} {reason}" for reason, number in board.reasons.most_common(TOP_REASONS))
    return top and tr("dropped: {reasons}", reasons=top)


def restarts(board: Board) -> str:
    return tr("engine restarts: {count}", count=board.restarts) if board.restarts else ""


def engine(event: EngineOpened | EngineClosed) -> str:
    """That an engine was opened or closed."""
    if isinstance(event, EngineClosed):
        return tr("engine {name} closed", name=event.engine)
    if event.restart:
        return tr("engine {name} opened again in {seconds:.0f} s", name=event.engine, seconds=event.seconds)
    return tr("engine {name} opened in {seconds:.0f} s", name=event.engine, seconds=event.seconds)


def _rate(rate: float | None) -> str:
    return UNKNOWN if rate is None else count(rate)
