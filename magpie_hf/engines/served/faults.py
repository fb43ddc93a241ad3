"""What can be wrong with a server's answer, or with the way to it.

Not here: what follows from it.
"""

from __future__ import annotations


class Fault(Exception):
    """A request failed by the server's or the network's fault, and is sent again.

    The message says what happened. wait: seconds that the server asked for, or None. sent: whether the
    request had reached the server.
    """

    def __init__(self, words: str, wait: float | None = None, sent: bool = True) -> None:
        super().__init__(words)
        self.wait = wait
        self.sent = sent


class Gone(Fault):
    """The server cannot be reached, or closed the connection."""


class Busy(Fault):
    """The server answered that it cannot answer now (408, 429, 5xx), or gave the request up (abort)."""


class Broken(Fault):
    """The server answered 500 or with an error, which can be the request's fault."""


class Refused(Exception):
    """The server rejected the request (other 4xx, a redirect); sending it again would not help."""


class Garbled(ValueError):
    """An answer that does not fit the request; the message says why."""
