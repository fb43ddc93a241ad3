"""How a build stands, in words that the views share.

Not here: what is shown when.
"""

from __future__ import annotations

from magpie_hf.progress.board import Board
from magpie_hf.progress.events import EngineClosed, EngineOpened
from magpie_hf.text.language import tr

UNKNOWN = "–"
TOP_REASONS = 4


def duration(seconds: float | None) -> str:
    """Hours, minutes and seconds: 1:02:03."""
    if seconds is None:
        return UNKNOWN
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def count(number: int) -> str:
    """A whole number in at most four characters, up to a billion."""
    if number < 10_000:
        return str(number)
    return f"{number // 1000}k" if number < 1_000_000 else f"{number // 1_000_000}M"


def speeds(board: Board) -> str:
    """Tokens a second: now, on average, and against the best that was ever kept up here."""
    now, average, best = (
        (None, None, None)
        if board.speed is None
        else (board.speed.now, board.speed.average, board.speed.best)
    )
    said = tr("{now} tokens/s now, {average} on average", now=_rate(now), average=_rate(average))
    if best is None:
        return said
    share = UNKNOWN if now is None else f"{now / best:.0%}"
    return said + tr(", best half minute here {best} (now {share} of it)", best=_rate(best), share=share)


def in_flight(board: Board) -> str:
    running = 0 if board.speed is None else board.speed.running
    return tr("{running:,} requests in flight", running=running)


def reasons(board: Board) -> str:
    """Why most samples were dropped, with counts; empty where none was."""
    top = ", ".join(f"{number:,} {reason}" for reason, number in board.reasons.most_common(TOP_REASONS))
    return top and tr("dropped: {reasons}", reasons=top)


def restarts(board: Board) -> str:
    return tr("engine restarts: {count}", count=board.restarts) if board.restarts else ""


def engine(event: EngineOpened | EngineClosed) -> str:
    """What has become of an engine."""
    if isinstance(event, EngineClosed):
        return tr("engine {name} closed", name=event.engine)
    if event.restart:
        return tr("engine {name} opened again in {seconds:.0f} s", name=event.engine, seconds=event.seconds)
    return tr("engine {name} opened in {seconds:.0f} s", name=event.engine, seconds=event.seconds)


def _rate(rate: float | None) -> str:
    return UNKNOWN if rate is None else f"{rate:,.0f}"
