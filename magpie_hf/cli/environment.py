"""Settings in the environment that would end huggingface_hub's import with a traceback.

Not here: what the settings do.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from magpie_hf.errors import BadInput


def check_environment() -> None:
    """Raises BadInput for a setting of the Hub that cannot be read."""
    for name in ("HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT"):
        seconds = os.environ.get(name, "")
        if seconds and not seconds.strip().isdecimal():
            raise BadInput(f"{name} is {seconds!r} and no whole number of seconds; give one, or unset it")
    if endpoint := os.environ.get("HF_ENDPOINT"):
        try:
            url = urlsplit(endpoint)
            sound = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
        except ValueError:
            sound = False
        if not sound:
            raise BadInput(f"HF_ENDPOINT is {endpoint!r} and no URL; give one with https://, or unset it")
