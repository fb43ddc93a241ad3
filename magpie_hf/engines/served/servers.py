"""One vLLM server: its address, its answers and faults, and whether it serves the right model.

Not here: which request goes where.

The key for servers that ask for one comes from the environment variable VLLM_API_KEY, which `vllm serve`
itself reads. It goes into one header and nowhere else.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from magpie_hf.engines.served.concurrency import Window
from magpie_hf.engines.served.faults import Broken, Busy, Garbled, Gone, Refused
from magpie_hf.engines.served.served_model import card_of
from magpie_hf.errors import BadInput, EngineError
from magpie_hf.models.model import Model

API_KEY = "VLLM_API_KEY"
CONNECT_SECONDS = 10.0  # for a connection, and for questions about the server itself
OTHER_FILES = 256  # for shards, journals and all else that a build opens
KEEP_ALIVE_SECONDS = 4.0  # vLLM closes an idle connection after 5 s, and a request sent just then is lost
SLOWEST, LATENCY_WEIGHT = 2.0, 0.1
LONGEST_WAIT = 60.0  # seconds; a longer Retry-After is cut to this
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0  # seconds after a fault, doubled with each further one in a row


def address(url: str) -> str:
    """The root of a server's addresses: http://host:8000 for http://host:8000/v1/.

    Raises BadInput for no such address.
    """
    try:
        parts = urlsplit(url)
        named = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, or a broken IPv6 address
        raise BadInput(
            "the address of a server cannot be read; give one such as http://host:8000/v1"
        ) from None
    if "@" in parts.netloc:
        raise BadInput(
            f"the address of the server {parts.hostname} holds a user or a password; leave them out, and set"
            f" {API_KEY}"
        )
    if not named or parts.query or parts.fragment or re.search(r"\s", url):
        raise BadInput(f"{url!r} is no address of a server; give one such as http://host:8000/v1")
    return url.rstrip("/").removesuffix("/v1").rstrip("/")


class Server:
    """The client of one server, for one event loop, on which it must also be closed.

    window: bounds its `tasks`, the requests in flight.
    faults: their number in a row; `failing_since` is the time of the first, `words` describes the last.
    name, max_length: the server's name for the model and its room in tokens, unknown before `identify`.
    """

    def __init__(self, url: str, most: int, timeout: float) -> None:
        self.url = address(url)
        self.window = Window(most)
        self.tasks: set[asyncio.Task[None]] = set()
        self.up = True
        self.paused_until = self._failed_at = 0.0
        self.faults = self.garbled = self.finished = self.unwell = 0
        self.failing_since: float | None = None
        self.held = False
        self.latency = 0.0  # mean seconds of its recent answers
        self.heard = 0.0  # time of its last answer, or of its first work after being idle
        self.words = ""
        self.served = ""
        self.max_length = 0
        key = os.environ.get(API_KEY, "").strip()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=CONNECT_SECONDS),
            headers={"Authorization": f"Bearer {key}"} if key else {},
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._key = key

    async def close(self) -> None:
        await self._session.close()

    async def ask(self, path: str, body: dict[str, Any]) -> Any:
        """The JSON of the server's answer to a request.

        Raises Fault, Refused, Garbled, and EngineError for an answer from another model.
        """
        content = json.dumps({**body, "model": self.served}, separators=(",", ":")).encode()
        status, headers, raw = await self._send("POST", path, content)
        if status != 200:
            raise self._failure(status, headers, raw)
        answer = self._json(raw)
        model = answer.get("model") if isinstance(answer, dict) else None
        if isinstance(model, str) and model != self.served:
            raise EngineError(
                f"answers as the model {model!r}, and was asked for {self.served!r}; give servers of one"
                " model each"
            )
        return answer

    async def healthy(self) -> None:
        """Raises Fault unless the server says that its engine runs."""
        status, _, _ = await self._send(
            "GET", "/health", timeout=aiohttp.ClientTimeout(total=CONNECT_SECONDS)
        )
        if status != 200:
            raise Busy(f"answered {status} when it was asked for its health")

    async def identify(self, model: Model, need: int | None) -> None:
        """Learn the server's name and room for the model.

        need: tokens of prompt and completion together; None accepts any room. Raises BadInput unless the
        server is vLLM, serves this model and has room, and Fault where it does not answer.
        """
        status, headers, raw = await self._send(
            "GET", "/v1/models", timeout=aiohttp.ClientTimeout(total=CONNECT_SECONDS)
        )
        if status in (401, 403):
            state = (
                f"does not accept the key in {API_KEY}"
                if self._key
                else f"asks for a key and {API_KEY} is not set"
            )
            raise BadInput(
                f"{self.url} {state} ({status}: {self._said(raw)}); set {API_KEY} to the server's key"
            )
        if status in (408, 429) or (status >= 500 and status != 501):
            raise self._failure(status, headers, raw)
        try:
            card = card_of(self.url, self._json(raw), model, need) if status == 200 else None
        except Garbled:
            card = None
        if card is None:
            raise BadInput(
                f"{self.url} is no vLLM server: it answered /v1/models with {status} and"
                f" {self._said(raw)[:80]!r}; give the address of one that was started with vllm serve"
                f" {model.source}"
            )
        self.served, self.max_length = str(card["id"]), int(card["max_model_len"])

    def answered(self, now: float, sent: float, work: float, wanted: bool) -> None:
        """Count a correct answer to a request that was sent at `sent`."""
        self.faults = self.garbled = self.unwell = 0
        self.failing_since = None
        self.finished += 1
        self.latency += (now - sent - self.latency) * (LATENCY_WEIGHT if self.latency else 1.0)
        self.heard = now
        self.window.finished(now, sent, work, wanted and not self.held)

    def failed(self, now: float, words: str, sent: float, wait: float | None = None) -> None:
        """Count a failed request, and pause for `wait` seconds, or longer with every fault in a row.

        Of several requests in flight at the same time, one counts.
        """
        if sent >= self._failed_at:
            self.faults += 1
            self._failed_at = now
        self.failing_since = now if self.failing_since is None else self.failing_since
        self.words = words
        self.paused_until = max(self.paused_until, now + (self.pause() if wait is None else wait))

    def pause(self) -> float:
        """Seconds to pause after this many faults in a row."""
        return float(min(FIRST_PAUSE * 2 ** min(max(self.faults - 1, 0), 20), LONGEST_PAUSE))

    def room(self, now: float, quickest: float) -> int:
        """How many requests it may have now: 0 while it is lost or pauses, else its bound or less.

        Less where its answers take more than `SLOWEST` times as long as the quickest server's, since all
        would wait for it at the end.
        """
        if not self.up or now < self.paused_until:
            return 0
        share = SLOWEST * quickest / self.latency if self.latency else 1.0
        self.held = share < 1  # limited by other servers, so its bound learns nothing
        return max(1, int(self.window.size * min(1.0, share)))

    async def _send(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
        timeout: aiohttp.ClientTimeout | None = None,
    ) -> tuple[int, Any, bytes]:
        began = time.monotonic()
        more: dict[str, Any] = {} if timeout is None else {"timeout": timeout}
        headers = {"Content-Type": "application/json"} if content is not None else {}
        try:
            async with self._session.request(
                method, self.url + path, data=content, headers=headers, allow_redirects=False, **more
            ) as response:
                return response.status, response.headers, await response.read()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Gone(
                f"cannot be reached ({_reason(error)}) after {time.monotonic() - began:.1f} s", sent=False
            ) from None
        except TimeoutError:
            raise Gone(f"did not answer within {time.monotonic() - began:.1f} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Gone(
                f"cut the connection ({_reason(error)}) after {time.monotonic() - began:.1f} s"
            ) from None

    def _failure(self, status: int, headers: Any, raw: bytes) -> Exception:
        words = f"answered {status}: {self._said(raw)}"
        if status == 500:
            return Broken(words)
        if status in (408, 429) or (status > 500 and status != 501):
            asked = headers.get("Retry-After", "")
            return Busy(words, min(float(asked), LONGEST_WAIT) if asked.isdecimal() else None)
        return Refused(words)

    def _json(self, raw: bytes) -> Any:
        try:
            return json.loads(raw)
        except (ValueError, RecursionError):
            raise Garbled(f"no JSON: {self._said(raw)!r}") from None

    def _said(self, raw: bytes) -> str:
        """The server's error message, or the beginning of its answer, in one line without the key."""
        text = raw.decode("utf-8", "replace")
        try:
            error = json.loads(text).get("error")
            text = str(error["message"] if isinstance(error, dict) else error or text)
        except (ValueError, RecursionError, AttributeError, KeyError):
            text = text[:200]
        text = " ".join(text.split())
        if self._key:
            text = text.replace(self._key, "(key)")
        return text if len(text) <= 400 else text[:400] + "..."


def most_connections() -> int:
    """How many connections this process can open: its limit on files, less those needed elsewhere."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return 1 << 16
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 16 if soft == resource.RLIM_INFINITY else max(1, soft - OTHER_FILES)


def _reason(error: BaseException) -> str:
    """The reason of a connection error, without the address, which may be long."""
    cause = getattr(error, "os_error", None) or error
    words = getattr(cause, "strerror", None) or type(cause).__name__
    return "connection refused" if isinstance(cause, ConnectionRefusedError) else " ".join(str(words).split())
