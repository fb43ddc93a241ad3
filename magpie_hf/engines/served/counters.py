"""Counters: what vLLM servers count at /metrics, handed to the meter once a second.

Not here: connections.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from magpie_hf.engines import meter
from magpie_hf.engines.served.faults import Fault, Garbled
from magpie_hf.engines.served.servers import Server

EVERY_SECONDS = 1.0
_VALUE = re.compile(
    rb"^vllm:(generation_tokens_total|prompt_tokens_total|prefix_cache_hits_total|num_requests_running"
    rb"|num_requests_waiting)(?:\{[^\n]*\})? ([0-9.eE+]+)",
    re.MULTILINE,
)


class Counters:
    """The counters of the servers of one model, on whose event loop it runs.

    If one of them has none, none counts, as half of the tokens would be no speed. Of a server that other
    clients use, too, this build's share counts: by its requests among all that the server has.
    """

    def __init__(self, name: str, servers: Sequence[Server]) -> None:
        self._name = name
        # Completion and prompt tokens by the last answer; what was made before the first one is not counted
        self._tokens: dict[Server, tuple[float, float, float] | None] = dict.fromkeys(servers)
        self._running: dict[Server, int] = {}

    @property
    def counting(self) -> bool:
        """Whether the servers have counters, as far as is known."""
        return bool(self._tokens)

    async def read_on(self) -> None:
        """Read the counters until there is none to read."""
        while self._tokens:
            await asyncio.gather(*(self._read(server) for server in list(self._tokens) if server.up))
            await asyncio.sleep(EVERY_SECONDS)

    async def _read(self, server: Server) -> None:
        ours = len(server.tasks)
        try:
            raw = await server.metrics()
        except (Fault, Garbled):
            return  # its requests show what is wrong with it
        values = counters(raw or b"")
        if not self._tokens:  # another server has none
            return
        if "generation_tokens_total" not in values:
            self._tokens.clear()
            meter.uncount(self._name)
            return
        made, prompts = (values.get(f"{what}_tokens_total", 0.0) for what in ("generation", "prompt"))
        cached = values.get("prefix_cache_hits_total", 0.0)
        running, waiting = (values.get(f"num_requests_{what}", 0.0) for what in ("running", "waiting"))
        share = min(1.0, max(ours, len(server.tasks)) / max(running + waiting, 1.0))
        before, now = self._tokens[server], (made, prompts - cached, cached)
        self._tokens[server] = now
        self._running[server] = round(share * running)
        if before is not None:
            if made < before[0]:  # it was started again
                before = 0.0, 0.0, 0.0
            at_work = sum(count for one, count in self._running.items() if one.up)
            more = (round(share * (one - other)) for one, other in zip(now, before, strict=True))
            meter.count(self._name, at_work, *more)


def counters(raw: bytes) -> dict[str, float]:
    """Tokens made, and requests running and waiting, over all engines of a server; none it does not tell."""
    values: dict[str, float] = {}
    for name, value in _VALUE.findall(raw):
        values[name.decode()] = values.get(name.decode(), 0.0) + float(value)
    return values
