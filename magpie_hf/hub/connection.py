"""Bounds on waiting for the Hub: how long each request waits, and when a Hub that is silent is given up.

Not here: which requests are tried again (retry.py), and the connections of hf_xet (upload.py).

huggingface_hub 2.4 waits without a bound for the answer to nearly every request.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from magpie_hf.errors import HubError

WRITE_WAIT = 60.0  # seconds for the answer to a request that changes something, such as a commit
WHOLE = 60.0  # seconds until an answer is there whole, where it is not data that is downloaded
PATIENCE = 60.0  # seconds of silence in a row, over several requests, after which the Hub is given up

sent = 0  # bytes of files that went to the Hub without Xet, for lines of progress


class _Counted(httpx2.SyncByteStream):
    """A body that counts its bytes while it is sent."""

    def __init__(self, body: httpx2.SyncByteStream) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        global sent
        for part in self._body:
            yield part
            sent += len(part)

    def close(self) -> None:
        self._body.close()


class _TooLong(httpx2.ReadTimeout):
    """An answer came in part."""


class _InTime(httpx2.SyncByteStream):
    """The body of an answer, which may not take long as a whole either."""

    def __init__(self, body: httpx2.SyncByteStream) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        began = time.monotonic()
        for part in self._body:
            if time.monotonic() - began > WHOLE:
                raise _TooLong("the answer takes too long")
            yield part

    def close(self) -> None:
        self._body.close()


class _Client(httpx2.Client):
    """huggingface_hub's client with bounds on waiting."""

    def __init__(self) -> None:
        from huggingface_hub.utils._http import hf_request_event_hook

        super().__init__(
            event_hooks={"request": [hf_request_event_hook]}, follow_redirects=True, timeout=None
        )
        self._silent = 0.0
        self._unanswered = 0

    def send(self, request: httpx2.Request, **how: Any) -> httpx2.Response:
        from huggingface_hub import constants

        quick = float(constants.HF_HUB_DOWNLOAD_TIMEOUT)
        wait = quick if request.method in ("GET", "HEAD") else max(quick, WRITE_WAIT)
        # Here and not as the client's timeout: huggingface_hub passes timeout=None with many requests.
        request.extensions["timeout"] = {"connect": quick, "read": wait, "write": wait, "pool": wait}
        if request.method == "PUT" and isinstance(request.stream, httpx2.SyncByteStream):
            request.stream = _Counted(request.stream)
        try:
            response = super().send(request, **{**how, "stream": True})
            if not how.get("stream") and isinstance(response.stream, httpx2.SyncByteStream):
                response.stream = _InTime(response.stream)
                response.read()
        except httpx2.TimeoutException as error:
            wait = WHOLE if isinstance(error, _TooLong) else wait
            self._silent += wait
            self._unanswered += 1
            if self._silent >= PATIENCE and self._unanswered > 1:
                raise HubError(
                    f"the Hub did not answer {self._unanswered} requests in a row, the last within"
                    f" {wait:g} s; check the network, and run the same command again"
                ) from None
            raise
        self._silent, self._unanswered = 0.0, 0
        return response


@contextmanager
def bounded() -> Iterator[None]:
    """No request of huggingface_hub's waits without a bound meanwhile."""
    from huggingface_hub import set_client_factory
    from huggingface_hub.utils import _http

    before = _http._GLOBAL_CLIENT_FACTORY
    set_client_factory(_Client)
    try:
        yield
    finally:
        set_client_factory(before)
