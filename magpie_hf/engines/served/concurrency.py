"""How many requests one server gets at a time: a bound that learns from what the server finishes.

Not here: the requests.

The bound takes one of a few sizes, each double the one before. While requests wait, every so many finished
ones give the rate of work at the size in use. The bound is the smallest size whose rate is within a twentieth
of the best. So it starts small, doubles while that pays, and stops where the server only queues. From time to
time a neighbouring size is tried again. Where a server answers that it is overloaded, the bound halves at
once and stays below that size for a while.

Servers with bounds of different sizes would not end together: what waits in one's own queue, no other can
take. So each gets at most its share of all requests that are left, by the work that it does.
"""

from __future__ import annotations

from collections.abc import Sequence

FIRST = 16
NEAR = 0.95  # this share of the best rate counts as the best
AGAIN = 16  # rounds at one size before a neighbour is tried
WEIGHT = 0.3  # weight of a new rate in the mean of a size
CEILING_SECONDS = 60.0  # how long the bound stays below a size that overloaded the server


class Window:
    """The bound of one server.

    size: how many requests it may have now, at most `most`. Times are seconds of any one clock.
    """

    def __init__(self, most: int) -> None:
        self._sizes: list[int] = [
            size for power in range(most.bit_length()) if (size := 1 << power) < most
        ] + [most]
        self._level = 0
        self._since = -float("inf")
        self._rounds = self._settling = 0
        self.restart()

    @property
    def size(self) -> int:
        return self._sizes[self._level]

    @property
    def rate(self) -> float | None:
        """The work a second that the server does at its best; None where that is not known yet."""
        return max(self._rates.values(), default=None)

    def restart(self) -> None:
        """Forget everything, because another server is behind the address now."""
        self._set(max(at for at, size in enumerate(self._sizes) if size <= FIRST))
        self._rates: dict[int, float] = {}
        self._ceiling, self._ceiling_until = len(self._sizes), 0.0
        self._shrunk_at = -float("inf")

    def finished(self, now: float, sent: float, work: float, wanted: bool) -> None:
        """Count an answer to a request that was sent at `sent`.

        work: the request's amount of work. wanted: whether others wait; if not, the bound does not limit the
        server, and nothing is learned. By Little's law, a full server finishes `size` divided by the latency
        per second.
        """
        if self._settling:
            self._settling -= 1
            self._since = now
        if not wanted:
            self._set(self._level)
        elif sent > self._since:
            self._count += 1
            self._work += work
            self._seconds += now - sent
            if self._count >= max(self.size, 8) and self._seconds > 0:
                self._round(now, self.size * self._work / self._seconds)

    def too_much(self, now: float, sent: float) -> None:
        """Halve the bound, because a server rejected a request that was sent at `sent`.

        Of several requests in flight at the same time, one counts.
        """
        if sent < self._shrunk_at:
            return
        self._shrunk_at = now
        self._ceiling, self._ceiling_until = max(self._level, 1), now + CEILING_SECONDS
        self._rates.clear()
        self._set(max(0, self._level - 1))

    def _round(self, now: float, rate: float) -> None:
        known = self._rates.get(self._level)
        self._rates[self._level] = rate if known is None else known + WEIGHT * (rate - known)
        best = max(self._rates.values())
        enough = min(level for level, one in self._rates.items() if one >= NEAR * best)
        self._rounds += 1
        if enough == max(self._rates):
            enough += 1
        elif self._rounds % AGAIN == 0:
            enough += 1 if self._rounds % (2 * AGAIN) else -1
        top = self._ceiling if now < self._ceiling_until else len(self._sizes)
        self._set(max(0, min(enough, top - 1)))

    def _set(self, level: int) -> None:
        """Begin a round at a new size.

        Requests sent before do not count, because the server's queue first has to settle.
        """
        self._settling = self._sizes[level] if level != self._level else self._settling
        self._level, self._count, self._work, self._seconds = level, 0, 0.0, 0.0


def shares(windows: Sequence[Window]) -> list[float]:
    """The share of each server in what all do together; equal ones while that of one is not known."""
    rates = [window.rate for window in windows]
    known = [rate for rate in rates if rate]
    return [1 / len(rates) if len(known) < len(rates) else (rate or 0.0) / sum(known) for rate in rates]
