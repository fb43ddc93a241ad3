"""Many servers of one model behind one queue, on one event loop in a background thread.

Not here: a server's answers and its bound.

A request goes to the server with room whose load relative to its bound is the lowest. A server that answers
much later than the quickest gets less than its bound, and towards the end each gets its share of what is left
alone, so that all finish at about the same time. A request that fails by a server's fault goes back to the
head of the queue; an answered one is never sent again. A server whose connection failed gets nothing until
its /health answers and it still serves the same model. One that answers that it cannot now pauses. A silent
server is asked for its health, because a machine that loses power closes no connection.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from magpie_hf.engines import meter
from magpie_hf.engines.served.addresses import most_connections
from magpie_hf.engines.served.concurrency import shares
from magpie_hf.engines.served.counters import Counters
from magpie_hf.engines.served.event_loop import LoopThread
from magpie_hf.engines.served.faults import Broken, Busy, Fault, Garbled, Gone, Refused
from magpie_hf.engines.served.kinds import KINDS, Kind, marks_of
from magpie_hf.engines.served.request_queue import Request, Waiting
from magpie_hf.engines.served.servers import Server
from magpie_hf.errors import BadInput, EngineError
from magpie_hf.models.model import Model
from magpie_hf.text.language import translated

LOG = logging.getLogger("magpie_hf")
TICK_SECONDS = 0.2
QUIET_SECONDS = 10.0  # of silence, after which a busy server is asked for its health
UNWELL_IN_A_ROW = 3  # health checks in a row that a server may fail to answer
GARBLED_IN_A_ROW = 3
KILLERS = 3  # requests found to bring servers down, after which the servers are at fault


class Pool:
    """The open servers of one model.

    Opening checks every server, and raises BadInput for one that does not fit. max_length: the tokens of
    prompt and completion together that every server has room for; None where no server tells.
    """

    def __init__(
        self,
        model: Model,
        urls: Sequence[str],
        need: int | None,
        most: int,
        timeout: float,
        patience: float,
        kind: Kind = KINDS["vllm"],
    ) -> None:
        self._model, self._patience, self._kind = model, patience, kind
        self.texts = True  # whether the servers' own texts are right
        self._inbox: deque[Request] = deque()
        self._waiting = Waiting()
        self._woken = False
        self._killers = 0
        self._end: EngineError | None = None
        self._lock = threading.Lock()  # guards the inbox, and orders submissions before the end
        self._servers: list[Server] = []
        self._loop = LoopThread("magpie-endpoint", self._broken)
        try:
            self._loop.run(self._open(urls, need, most, timeout))
        except BaseException:
            self.close()
            raise
        rooms = (server.max_length for server in self._servers)
        self.max_length = min((room for room in rooms if room is not None), default=None)

    def compare_texts(self) -> None:
        """Learn whether every server decodes ids as the model's tokenizer.json does.

        Closes the pool and raises BadInput where one does not answer.
        """

        async def ask(server: Server) -> bool:
            try:
                return await server.decodes(self._model)
            except Fault as fault:
                raise BadInput(f"{server.url} {fault}; start it again, or leave it out") from None
            except Garbled as error:
                raise BadInput(
                    f"{server.url} answered with {error}; start it again, or leave it out"
                ) from None

        async def ask_all() -> list[bool]:
            return await asyncio.gather(*map(ask, self._servers))

        try:
            self.texts = all(self._loop.run(ask_all()))
        except BadInput:
            self.close()
            raise
        if not self.texts:
            LOG.warning(
                "the servers of %s decode otherwise than its tokenizer.json says, so texts are decoded here;"
                " pip install magpie-hf beside their vLLM mends that",
                self._model.name,
            )

    def submit(self, request: Request) -> Future[Any]:
        """Queue a request from any thread and return at once.

        Raises EngineError once the pool has ended.
        """
        request.future.set_running_or_notify_cancel()
        with self._lock:
            if self._end is not None:
                raise self._end
            self._inbox.append(request)
            if not self._woken:
                self._woken = True
                self._loop.loop.call_soon_threadsafe(self._accept)
        return request.future

    def close(self) -> None:
        """Fail the requests in flight, and close every connection."""
        self._loop.run(self._close())
        self._loop.stop()

    async def _open(self, urls: Sequence[str], need: int | None, most: int, timeout: float) -> None:
        share = max(1, most_connections() // len(urls))
        if share < most:
            LOG.warning(
                "this process may open few files, so each server gets %d requests at a time at most; raise"
                " ulimit -n",
                share,
            )
        self._servers.extend(Server(url, self._kind, min(most, share), timeout) for url in urls)
        known = await asyncio.gather(
            *(server.identify(self._model, need) for server in self._servers), return_exceptions=True
        )
        for server, error in zip(self._servers, known, strict=True):
            if isinstance(error, Fault):
                raise BadInput(f"{server.url} {error}; start it, wait until it is ready, or leave it out")
            if error is not None:
                raise error
            self._check_marks(server)
        self._counters = Counters(self._model.name, self._servers if self._kind.name == "vllm" else ())
        self._loop.job(self._counters.read_on())
        self._loop.job(self._watch())

    def _check_marks(self, server: Server) -> None:
        """Raises BadInput for a server that answers otherwise than the model's settings say."""
        if server.marks != (wanted := marks_of(self._model)):
            found, asked = (
                ", ".join(sorted(f"{name}={value}" for name, value in one)) or "nothing"
                for one in (server.marks, wanted)
            )
            raise BadInput(
                f"{server.url} answers with {found} and the build is one with {asked}; give servers that are"
                " alike, or begin another build"
            )

    def _accept(self) -> None:
        with self._lock:
            self._woken = False
            self._waiting.add(self._inbox)
            self._inbox.clear()
        self._dispatch()

    def _dispatch(self) -> None:
        """Send waiting requests to servers with room."""
        now = time.monotonic()
        quickest = min(
            (server.latency for server in self._servers if server.up and server.latency), default=0.0
        )
        taking = [server for server in self._servers if server.takes(now)]
        left = len(self._waiting) + sum(len(server.tasks) for server in taking)
        fair = shares([server.window for server in taking])
        rooms = {
            server: server.room(quickest, left * share) for server, share in zip(taking, fair, strict=True)
        }
        while (
            self._end is None
            and self._waiting
            and (free := [one for one, room in rooms.items() if len(one.tasks) < room])
        ):
            server = min(free, key=lambda one: len(one.tasks) / rooms[one])
            if not server.tasks:
                server.heard = now
            server.tasks.add(self._loop.loop.create_task(self._ask(server, self._waiting.take())))

    async def _ask(self, server: Server, request: Request) -> None:
        """Send one request to one server, once."""
        sent = time.monotonic()
        try:
            request.begun()
            result = await server.ask(request)
        except Refused as error:
            request.future.set_exception(EngineError(f"the server {server.url} {error}"))
        except EngineError as error:  # a fault of the server, so of all its answers
            self._finish(EngineError(f"the server {server.url} {error}"))
            self._again(request)
        except Garbled as error:
            self._garbled(server, request, error, sent)
        except Gone as fault:
            self._lost(server, request, fault, sent)
        except Fault as fault:
            self._turned_away(server, request, fault, sent)
        except asyncio.CancelledError:
            self._again(request)
        except Exception as error:  # a bug here must not leave the caller waiting
            request.future.set_exception(error)
        else:
            request.future.set_result(result)
            server.answered(time.monotonic(), sent, request.work(result), bool(self._waiting))
        finally:
            self._waiting.ended(request)
            server.tasks.difference_update({asyncio.current_task()})
            self._dispatch()

    def _again(self, request: Request) -> None:
        if self._end is not None:
            request.future.set_exception(self._end)
        else:
            self._waiting.back(request)

    def _garbled(self, server: Server, request: Request, error: Garbled, sent: float) -> None:
        server.garbled += 1
        server.failed(time.monotonic(), f"answered with {error}", sent)
        if server.garbled >= GARBLED_IN_A_ROW:
            self._finish(
                EngineError(
                    f"the server {server.url} answered {server.garbled} times in a row with what is no"
                    f" answer, at last with {error}"
                )
            )
        self._again(request)

    def _turned_away(self, server: Server, request: Request, fault: Fault, sent: float) -> None:
        """A server answered that it cannot answer."""
        now = time.monotonic()
        server.failed(now, str(fault), sent, fault.wait)
        server.window.too_much(now, sent)
        if isinstance(fault, Broken) and server.up:
            self._loop.job(self._look(server))
        if isinstance(fault, Broken) and request.breaks(sum(one.finished for one in self._servers)):
            request.future.set_exception(
                EngineError(f"the server {server.url} {fault} ({request.broken} times for one request)")
            )
        else:
            self._again(request)

    def _lost(self, server: Server, request: Request, fault: Gone, sent: float) -> None:
        """The connection failed during a request."""
        server.failed(time.monotonic(), str(fault), sent)
        self._lose(server)
        request.cuts += fault.sent
        if not request.kills:
            self._again(request)
            return
        self._killers += 1
        if self._killers > KILLERS:
            self._finish(
                EngineError(
                    f"the server {server.url} {fault}, as servers did under {self._killers} requests again"
                    " and again"
                )
            )
            self._again(request)
        else:
            LOG.warning(
                "a request brought servers down %d times, at last %s; it is recorded as failed",
                request.cuts,
                server.url,
            )
            request.future.set_result(None)

    def _lose(self, server: Server) -> None:
        """Send a server nothing more until it is healthy."""
        if self._end is None and server.up:
            server.up = False
            if any(one.up for one in self._servers):
                LOG.warning("%s %s; its requests go to others", server.url, server.words)
            else:
                LOG.warning(
                    "%s %s; no server of %s is left, so requests wait up to %d s for one",
                    server.url,
                    server.words,
                    self._model.name,
                    round(self._patience),
                )
            self._loop.job(self._revive(server))

    async def _revive(self, server: Server) -> None:
        """Ask a lost server for its health, with growing pauses, until it is healthy and identified again."""
        while not server.up:
            await asyncio.sleep(server.pause())
            try:
                await server.healthy()
                await server.identify(self._model, self.max_length)
                self._check_marks(server)
            except Fault as fault:
                server.faults += 1
                server.words = str(fault)
            except BadInput as error:
                self._finish(EngineError(f"{error} (another server was there before)"))
                return
            else:
                server.up, server.paused_until, server.unwell = True, 0.0, 0
        LOG.warning("%s is back", server.url)
        server.window.restart()
        self._dispatch()

    async def _look(self, server: Server, quiet: bool = False) -> None:
        """Ask a silent or broken server for its health; take back the requests of an unhealthy one."""
        began = time.monotonic()
        try:
            await server.healthy()
        except Fault as fault:
            server.unwell += 1
            if server.up and (isinstance(fault, Busy) or not fault.sent or server.unwell >= UNWELL_IN_A_ROW):
                server.failed(time.monotonic(), str(fault), began)
                self._lose(server)
                for task in server.tasks:
                    task.cancel()
        else:
            server.unwell = 0
            if quiet:  # healthy: it is still working
                server.failing_since = None
        server.heard = time.monotonic()

    async def _watch(self) -> None:
        """Watch the time: pauses that end, servers that fall silent, patience that runs out."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = time.monotonic()
            for server in self._servers:
                if server.up and server.tasks and now - server.heard > QUIET_SECONDS:
                    server.heard = now
                    self._loop.job(self._look(server, quiet=True))
            if not self._counters.counting:
                meter.at_work(self._model.name, sum(len(server.tasks) for server in self._servers))
            self._check_patience(now)
            self._dispatch()

    def _check_patience(self, now: float) -> None:
        """End the pool if requests wait and no server has answered for too long.

        A server with a health check under way may still answer.
        """
        idle = [
            server.failing_since
            for server in self._servers
            if not server.up or (now < server.paused_until and not server.tasks)
        ]
        since = [at for at in idle if at is not None]
        if self._waiting and len(since) == len(self._servers) and now - max(since) > self._patience:
            each = "; ".join(f"{server.url} {translated(server.words)}" for server in self._servers)
            self._finish(
                EngineError(
                    f"no server of {self._model.name} has answered a request for {now - max(since):.0f} s:"
                    f" {each}; start one and run the same command again: what is finished is safe"
                )
            )

    def _finish(self, end: EngineError) -> None:
        """Fail all requests, now and from now on."""
        with self._lock:
            if self._end is not None:
                return
            self._end = end
            waiting = [*self._inbox, *self._waiting.drain()]
            self._inbox.clear()
        for request in waiting:
            request.future.set_exception(end)
        for server in self._servers:
            for task in server.tasks - {asyncio.current_task()}:
                task.cancel()

    def _broken(self, error: BaseException) -> None:
        """Fail all requests: a bug here must not leave callers waiting."""
        end = EngineError(
            f"the endpoints of {self._model.name} cannot go on: {type(error).__name__}: {error}"
        )
        end.__cause__ = error
        self._finish(end)

    async def _close(self) -> None:
        self._finish(EngineError(f"the endpoints of {self._model.name} were closed with requests in flight"))
        await self._loop.cancel(*(task for server in self._servers for task in server.tasks))
        await asyncio.gather(*(server.close() for server in self._servers))
