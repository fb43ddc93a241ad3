"""Retries of requests to the Hub, and its errors in one line without the token.

Not here: the requests.

huggingface_hub 2.4 retries uploads and listings by itself. It does not retry reading or creating a
repository, checking a card, a commit or a tag: there one 503 or one dropped connection ends the whole call.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from magpie_hf.errors import BadInput, HubError
from magpie_hf.text.language import tr

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

TRIES = 6
FIRST_WAIT = 0.5  # seconds; doubles with every try
LONGEST_WAIT = 60.0  # seconds; the most that Retry-After is followed
# 409: another commit is under way; 412: the head has moved.
AGAIN = frozenset((408, 409, 412, 429, 500, 502, 503, 504))

_QUOTA = re.compile("storage|quota|disk space", re.IGNORECASE)

T = TypeVar("T")


def retried(what: str, call: Callable[[], T], say: Callable[[str], None]) -> T:
    """Call `call` up to `TRIES` times, until the network or the Hub no longer fails, and return its result.

    what: the step, for the text of errors. say: called with a line before each wait. Raises HubError where
    the step fails for good, and BadInput where the token is the reason.
    """
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    for number in range(TRIES):
        try:
            return call()
        except OfflineModeIsEnabled as error:
            raise BadInput("HF_HUB_OFFLINE is set, so nothing can be published; unset it") from error
        except (json.JSONDecodeError, UnicodeDecodeError):
            raise odd_answer(what) from None
        except HfHubHTTPError as error:
            if error.response.status_code not in AGAIN or number + 1 == TRIES:
                raise _final(what, error, number + 1) from None  # the cause's text may hold signed URLs
            reason, wait = f"the Hub answered {error.response.status_code}", _asked_to_wait(error)
        except (httpx2.TransportError, ConnectionError, TimeoutError) as error:
            reason, wait = f"the connection failed ({type(error).__name__})", None
            if isinstance(error, httpx2.TimeoutException):
                reason = "the Hub did not answer in time"
            if number + 1 == TRIES:
                raise HubError(f"{what} failed {TRIES} times: {reason}; run the same command again") from None
        wait = random.uniform(0.5, 1) * FIRST_WAIT * 2**number if wait is None else wait
        say(tr("{what}: {reason}; trying again in {wait:.1f} s", what=what, reason=reason, wait=wait))
        time.sleep(wait)
    raise AssertionError("the last try returns or raises")


def one_line(text: str) -> str:
    """The text in one line, without the token that huggingface_hub would use."""
    from huggingface_hub import get_token

    token = get_token()
    return " ".join((text.replace(token, "(token)") if token else text).split())


def _asked_to_wait(error: HfHubHTTPError) -> float | None:
    """The seconds in Retry-After; None without it, or for a date, which is wrong if clocks differ."""
    header = error.response.headers.get("Retry-After", "")
    return min(float(header), LONGEST_WAIT) if header.isdecimal() else None


def odd_answer(what: str) -> HubError:
    """The error for an answer that is not the Hub's, such as the login page of a network."""
    return HubError(
        f"{what} failed: what answered is not the Hub; log in to the network, and check HF_ENDPOINT and the"
        " proxies"
    )


def _final(what: str, error: HfHubHTTPError, tries: int) -> BadInput | HubError:
    return refusal(what, error.response.status_code, one_line(error.server_message or ""), tries)


def refusal(what: str, status: int, said: str, tries: int = 1) -> BadInput | HubError:
    """The error for a step that the Hub refused with this status; said: the Hub's own words."""
    because = f" ({said})" if said else ""
    if status in (402, 413, 507) or (status == 403 and _QUOTA.search(said)):
        return HubError(
            f"{what} failed: the storage there is used up, or a file is too large for it{because}; delete"
            " what is not needed, or get more storage in the account's settings, then run the same command"
            " again"
        )
    if status == 401:
        return BadInput(
            f"{what} failed: the Hub does not accept the token{because}; log in with `hf auth login`"
        )
    if status == 403:
        return BadInput(
            f"{what} failed: the token may not do that{because}; log in with `hf auth login` and a token that"
            " may write there"
        )
    times = f" {tries} times" if tries > 1 else ""
    return HubError(f"{what} failed{times}: the Hub answered {status}{because}")
