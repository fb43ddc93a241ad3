"""One server: its address, its answers and faults, and whether it serves the right model.

Not here: which request goes where.

The key for servers that ask for one comes from the environment variable VLLM_API_KEY, which `vllm serve`
itself reads. It goes into one header and nowhere else.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import time
from typing import Any

import aiohttp

from magpie_hf.engines.served.addresses import API_KEY, address
from magpie_hf.engines.served.concurrency import Window
from magpie_hf.engines.served.faults import Broken, Busy, Fault, Garbled, Gone, Refused
from magpie_hf.engines.served.kinds import SEEDLESS, TEXTS, Kind
from magpie_hf.engines.served.request_queue import Request
from magpie_hf.engines.served.served_model import card_of, check_room
from magpie_hf.engines.served.wire import COMPLETIONS, LEAST_BYTES, most_bytes, shown
from magpie_hf.errors import BadInput, EngineError
from magpie_hf.models.model import Model
from magpie_hf.models.tokenizer import BROKEN, HALF, storable, tokenizer_of

CONNECT_SECONDS = 10.0  # for a connection, and for questions about the server itself
LEAST_KEY = 8  # letters of a key that no answer may hold; a shorter one can stand in any text
KEEP_ALIVE_SECONDS = 4.0  # vLLM closes an idle connection after 5 s, and a request sent just then is lost
SLOWEST, LATENCY_WEIGHT = 2.0, 0.1
MOST_METRICS = 1 << 24  # bytes; vLLM says some 100 kB
LONGEST_WAIT = 60.0  # seconds; a longer Retry-After is cut to this
PIECE = 1 << 16  # bytes of an answer that are read at once
PROBE, PROBE_SECONDS = "One and one is two, and two and two is four.", 60.0  # one token, on a slow machine
_ESCAPED = re.compile(rb"\\u00([2-7][0-9A-Fa-f])")  # an ASCII letter, as JSON may write it
NOTHING: frozenset[tuple[str, str]] = frozenset()
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0  # seconds after a fault, doubled with each further one in a row


class Server:
    """The client of one server, for one event loop, on which it must also be closed.

    window: bounds its `tasks`, the requests in flight.
    faults: their number in a row; `failing_since` is the time of the first, `words` describes the last.
    served, max_length: the server's name for the model and its room in tokens, unknown before `identify`.
    marks: what of its ways changes the rows, as settings of the model.
    """

    def __init__(self, url: str, kind: Kind, most: int, timeout: float) -> None:
        self.url, self.kind = address(url), kind
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
        self.max_length: int | None = None
        self.marks: frozenset[tuple[str, str]] = frozenset()
        self._begins = ""  # the text that it puts before a text by itself
        key = os.environ.get(API_KEY, "").strip()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=CONNECT_SECONDS),
            # Nothing compressed, so that a small answer is a small one
            headers={"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {key}"} if key else {}),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._key = key
        escaped = json.dumps(key)[1:-1]
        forms = {key, escaped, escaped.replace("/", "\\/")} if len(key) >= LEAST_KEY else set[str]()
        self._echoes = [form.encode("utf-8", "surrogateescape") for form in forms]

    async def close(self) -> None:
        await self._session.close()

    async def ask(self, request: Request) -> Any:
        """The result of a request.

        Raises Fault, Refused, Garbled, and EngineError for an answer from another model.
        """
        body = dict(request.body)
        if self.kind.named:
            body["model"] = self.served
        if self._begins and isinstance(body.get("prompt"), str):
            if not body["prompt"].startswith(self._begins):
                raise EngineError(
                    f"begins each text with {self._begins!r} by itself, which the chat format of this model"
                    " does not; give servers that take token ids"
                )
            body["prompt"] = body["prompt"].removeprefix(self._begins)
        status, headers, raw = await self._send("POST", request.path, body, most=request.most)
        if status != 200:
            raise self._failure(status, headers, raw)
        if self._echoed(raw):
            raise Garbled(f"the key in {API_KEY}, which is kept nowhere")
        try:
            answer = self._json(raw)
            model = answer.get("model") if isinstance(answer, dict) else None
            if self.kind.named and isinstance(model, str) and model != self.served:
                raise EngineError(
                    f"answers as the model {shown(model)}, and was asked for {self.served!r}; give servers"
                    " of one model each"
                )
            return request.read(answer)
        except (Fault, Garbled, EngineError) as error:
            error.args = (self._hidden(str(error)),)
            raise

    async def healthy(self) -> None:
        """Raises Fault unless the server says that its engine runs."""
        status, _, _ = await self._send("GET", self.kind.health, seconds=CONNECT_SECONDS, most=None)
        if status != 200:
            raise Busy(f"answered {status} when it was asked for its health")

    async def metrics(self) -> bytes | None:
        """What it says at /metrics; None where it says nothing there. Raises Fault and Garbled."""
        status, _, raw = await self._send("GET", "/metrics", seconds=CONNECT_SECONDS, most=MOST_METRICS)
        return raw if status == 200 else None

    async def identify(self, model: Model, need: int | None) -> None:
        """Learn the server's name and room for the model, and its marks.

        need: tokens of prompt and completion together; None accepts any room. Raises BadInput unless the
        server is of its kind, serves this model and has room, and Fault where it does not answer.
        """
        try:
            try:
                await self._identify(model, need)
            except Garbled as error:
                raise BadInput(f"{self.url} answered with {error}; {self._start(model)}") from None
        except BadInput as error:
            error.args = (self._hidden(str(error)),)
            raise

    async def _identify(self, model: Model, need: int | None) -> None:
        status, raw = await self._get("/v1/models")
        try:
            card = card_of(self.url, self._json(raw), model, self.kind) if status == 200 else None
        except Garbled:
            card = None
        if card is None:
            raise BadInput(
                f"{self.url} is no {self.kind.title} server: it answered /v1/models with {status} and"
                f" {self._said(raw)[:80]!r}; {self._start(model)}"
            )
        self.served, self.max_length, self.marks = str(card["id"]), _whole(card.get("max_model_len")), NOTHING
        if self.kind.name == "sglang":
            await self._know_sglang()
        elif self.kind.name == "llama.cpp":
            await self._know_llama_cpp(model)
        elif self.kind.name == "openai":
            await self._know_openai(model)
        check_room(self.url, self.max_length, need, self.kind)

    async def decodes(self, model: Model) -> bool:
        """Whether it decodes ids as the model's tokenizer.json does; True where it does not say.

        A vLLM without this package's plug-in takes DeepSeek-R1-Distill-Llama's tokenizer for one of another
        kind, and loses all spaces.
        """
        ids = list(tokenizer_of(model).encode(PROBE, add_special_tokens=False))
        status, _, raw = await self._send(
            "POST", "/detokenize", {"model": self.served, "tokens": ids}, seconds=CONNECT_SECONDS
        )
        answer = self._json(raw) if status == 200 else None
        text = answer.get("prompt") if isinstance(answer, dict) else None
        return not isinstance(text, str) or text.strip() == PROBE

    async def _know_sglang(self) -> None:
        """SGLang heeds a seed only where it was told to be deterministic."""
        for path in ("/get_server_info", "/server_info"):  # the older name and the newer one
            status, raw = await self._get(path)
            info = self._json(raw) if status == 200 else None
            if isinstance(info, dict):
                self.max_length = self.max_length or _whole(info.get("context_length"))
                if info.get("enable_deterministic_inference") is True:
                    return
        self.marks = frozenset((SEEDLESS,))

    async def _know_llama_cpp(self, model: Model) -> None:
        """The room of one slot, and the file, whose quantisation changes the answers."""
        status, raw = await self._get("/props")
        props = self._json(raw) if status == 200 else {}
        settings = props.get("default_generation_settings") if isinstance(props, dict) else None
        self.max_length = _whole(settings.get("n_ctx")) if isinstance(settings, dict) else None
        path = props.get("model_path") if isinstance(props, dict) else None
        file = self._hidden(re.split(r"[/\\]", path)[-1]) if isinstance(path, str) else ""
        if self.max_length is None or not file:
            raise BadInput(
                f"{self.url} does not tell its context and file at /props ({status}); {self._start(model)}"
            )
        self.marks = frozenset((("gguf", json.dumps(file[:200])),))

    async def _know_openai(self, model: Model) -> None:
        """Whether it takes token ids; no such server promises seeds.

        A list that is read as anything else than ids gives another count of tokens.
        """
        ids = list(tokenizer_of(model).encode(PROBE, add_special_tokens=False))
        status, raw = await self._completion_of(ids)
        if status == 200 and self._tokens_in(raw) == len(ids):
            self.marks = frozenset((SEEDLESS,))
            return
        self.marks = frozenset((SEEDLESS, TEXTS))
        status, raw = await self._completion_of(PROBE)
        if status != 200:
            raise BadInput(
                f"{self.url} answered {COMPLETIONS} with {status}: {self._said(raw)}; {self._start(model)}"
            )
        count, begins = self._tokens_in(raw), str(tokenizer_of(model).bos_token or "")
        if count == len(ids) + 1 and begins:
            self._begins = begins
        elif count != len(ids):
            raise BadInput(
                f"{self.url} counts {shown(count)} tokens of a text that has {len(ids)} for {model.name};"
                " give a server of that model, with its own tokenizer"
            )

    async def _completion_of(self, prompt: list[int] | str) -> tuple[int, bytes]:
        """The answer to a request for one token after a prompt."""
        body = {"model": self.served, "prompt": prompt, "max_tokens": 1, "temperature": 0.0}
        status, headers, raw = await self._send(
            "POST", COMPLETIONS, body, seconds=PROBE_SECONDS, most=most_bytes(len(prompt), 1)
        )
        self._admitted(status, raw)
        if _passes(status) and status != 500:  # some answer so to a list that they do not know
            raise self._failure(status, headers, raw)
        return status, raw

    def _tokens_in(self, raw: bytes) -> Any:
        """How many prompt tokens the server counted for an answer; None where it does not say."""
        answer = self._json(raw)
        usage = answer.get("usage") if isinstance(answer, dict) else None
        return usage.get("prompt_tokens") if isinstance(usage, dict) else None

    def _start(self, model: Model) -> str:
        """What to do about a server that is not of its kind."""
        if self.kind.owner is None:
            return "give the address of a server with /v1/completions, or leave this one out"
        return (
            f"give the address of one that was started with {self.kind.start} {model.source}, or the kind of"
            " this one with --server-kind"
        )

    async def _get(self, path: str) -> tuple[int, bytes]:
        """The answer to a question about the server. Raises BadInput for a wrong key, and Fault."""
        status, headers, raw = await self._send("GET", path, seconds=CONNECT_SECONDS)
        self._admitted(status, raw)
        if _passes(status):
            raise self._failure(status, headers, raw)
        return status, raw

    def _admitted(self, status: int, raw: bytes) -> None:
        if status not in (401, 403):
            return
        state = (
            f"does not accept the key in {API_KEY}"
            if self._key
            else f"asks for a key and {API_KEY} is not set"
        )
        raise BadInput(f"{self.url} {state} ({status}: {self._said(raw)}); set {API_KEY} to the server's key")

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

    def takes(self, now: float) -> bool:
        """Whether it is neither lost nor pauses."""
        return self.up and now >= self.paused_until

    def room(self, quickest: float, fair: float) -> int:
        """How many requests it may have now: its bound or less.

        Less where its answers take more than `SLOWEST` times as long as the quickest server's, and where
        `fair`, its share of all that are left, is less: all would wait for it at the end.
        """
        share = SLOWEST * quickest / self.latency if self.latency else 1.0
        size = min(self.window.size * share, math.ceil(fair))
        self.held = size < self.window.size  # limited by other servers, so its bound learns nothing
        return max(1, int(min(size, self.window.size)))

    async def _send(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        seconds: float | None = None,
        most: int | None = LEAST_BYTES,
    ) -> tuple[int, Any, bytes]:
        """Status, headers and body of an answer.

        seconds: for all of it, in place of the session's. most: bytes of the body; None leaves it unread. No
        redirect is followed: it could name another host, which would get the key.
        """
        began = time.monotonic()
        more: dict[str, Any] = {} if seconds is None else {"timeout": aiohttp.ClientTimeout(total=seconds)}
        content = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json"} if content is not None else {}
        try:
            async with self._session.request(
                method, self.url + path, data=content, headers=headers, allow_redirects=False, **more
            ) as response:
                raw = bytearray()
                while most is not None and (piece := await response.content.read(PIECE)):
                    raw += piece
                    if len(raw) > most:
                        raise Garbled(f"more than {most / 2**20:.0f} MiB, which no such request can need")
                return response.status, response.headers, bytes(raw)
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

    def _echoed(self, raw: bytes) -> bool:
        """Whether the key stands in an answer, with whatever of it escaped."""
        if not self._echoes:
            return False
        plain = _ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), raw)
        return any(key in text for key in self._echoes for text in (raw, plain))

    def _json(self, raw: bytes) -> Any:
        try:
            return json.loads(
                raw.decode("utf-8-sig", "surrogatepass")
            )  # in no other coding, where a key hides
        except (ValueError, RecursionError):
            raise Garbled(f"no JSON: {self._said(raw)!r}") from None

    def _said(self, raw: bytes) -> str:
        """The server's error message, or the beginning of its answer, in one line without the key."""
        text = raw.decode("utf-8", "replace")
        try:
            error = json.loads(text).get("error")
            text = str(error["message"] if isinstance(error, dict) else error or text)
        except (ValueError, RecursionError, AttributeError, KeyError):
            text = self._hidden(text)[:200]
        text = " ".join(self._hidden(text).split())
        return text if len(text) <= 400 else text[:400] + "..."

    def _hidden(self, words: str) -> str:
        """A server's words without the key, and without what a terminal would obey.

        A key that was cut is hidden, too.
        """
        if self._key:
            for key in (self._key, repr(self._key)[1:-1], json.dumps(self._key)[1:-1]):
                words = words.replace(key, "(key)")
                for size in range(len(key) - 1, 3, -1):
                    words = words.replace(key[:size] + "...", "(key)...")
        return BROKEN.sub(HALF, storable(words))


def _passes(status: int) -> bool:
    """Whether a server that answers so may answer well a little later."""
    return status in (408, 429) or (status >= 500 and status != 501)


def _whole(value: Any) -> int | None:
    return value if type(value) is int and value > 0 else None


def _reason(error: BaseException) -> str:
    """The reason of a connection error, without the address, which may be long."""
    cause = getattr(error, "os_error", None) or error
    words = getattr(cause, "strerror", None) or type(cause).__name__
    return "connection refused" if isinstance(cause, ConnectionRefusedError) else " ".join(str(words).split())
