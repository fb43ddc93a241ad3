"""Addresses of servers, and how many connections to them this process can open.

Not here: connections.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from magpie_hf.errors import BadInput

API_KEY = "VLLM_API_KEY"
OTHER_FILES = 256  # for shards, journals and all else that a build opens


def address(url: str) -> str:
    """The root of a server's addresses: http://host:8000 for http://host:8000/v1/.

    Raises BadInput for no such address.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        host.encode("idna")  # as the resolver does
        named = parts.scheme in ("http", "https") and bool(host) and parts.port != 0
    except ValueError:  # a port that is no number, a broken IPv6 address, or a host that is no name
        raise BadInput(
            "the address of a server cannot be read; give one such as http://host:8000/v1"
        ) from None
    if "@" in parts.netloc:
        raise BadInput(
            f"the address of the server {host} holds a user or a password; leave them out, and set {API_KEY}"
        )
    if not named or parts.query or parts.fragment or re.search(r"\s", url):
        raise BadInput(f"{url!r} is no address of a server; give one such as http://host:8000/v1")
    return url.rstrip("/").removesuffix("/v1").rstrip("/")


def most_connections() -> int:
    """How many connections this process can open: its limit on files, less those needed elsewhere."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return 1 << 16
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 16 if soft == resource.RLIM_INFINITY else max(1, soft - OTHER_FILES)
