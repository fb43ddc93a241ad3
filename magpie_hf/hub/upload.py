"""The upload of files that a commit will name, with lines of progress; over Xet, or over LFS without it.

Not here: the commit.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from magpie_hf.errors import HubError
from magpie_hf.hub import connection
from magpie_hf.hub.remote import KIND, Say
from magpie_hf.hub.retry import refusal
from magpie_hf.store.manifest import Content, size_of
from magpie_hf.text.language import tr

if TYPE_CHECKING:
    from huggingface_hub import HfApi

BATCH_FILES, BATCH_BYTES = 16, 256_000_000  # uploaded between two lines of progress
EVERY = 10.0  # seconds between two lines of progress within a batch
QUIET = 60.0  # seconds without a byte after which it is said that Xet is silent
GIVEN_UP = 180.0  # and those after which the upload ends: hf_xet itself goes on for more than ten minutes
WITHOUT_XET = "run the same command again, or with HF_HUB_DISABLE_XET=1"


def upload(api: HfApi, repo: str, additions: list[Any], contents: Mapping[str, Content], say: Say) -> None:
    """Upload in batches, with a line after each; files that the Hub has already are not sent."""
    sizes = [size_of(contents[one.path_in_repo]) for one in additions]
    whole, done, size, batch = sum(sizes), 0, 0, list[Any]()
    for number, addition in enumerate(additions, start=1):
        batch.append(addition)
        size += sizes[number - 1]
        if len(batch) < BATCH_FILES and size < BATCH_BYTES and number < len(additions):
            continue
        _batch(api, repo, batch, size, say)
        done, size, batch = done + size, 0, []
        say(
            tr(
                "uploaded {done:,} of {files:,} files, {sent:,} of {whole:,} bytes",
                done=number,
                files=len(additions),
                sent=done,
                whole=whole,
            )
        )


class _Progress:
    """sent: bytes so far. moves: what changes while anything goes on."""

    def __init__(self) -> None:
        self._before = connection.sent
        self._of_xet = 0
        self.moves: tuple[int, ...] = ()

    @property
    def sent(self) -> int:
        return connection.sent - self._before + self._of_xet

    def update_progress(self, group: Any, _: Any) -> None:
        """As huggingface_hub's bars take hf_xet's counts."""
        self._of_xet, shard = group.total_transfer_bytes_completed, group.shard
        self.moves = (
            group.total_bytes_completed,
            group.total_transfer_bytes_completed,
            shard.total_shard_bytes_upload_completed,
            shard.total_shard_validation_entries_completed,
        )

    def close(self) -> None:
        """Nothing was opened."""


def _batch(api: HfApi, repo: str, batch: list[Any], size: int, say: Say) -> None:
    from huggingface_hub.utils._runtime import is_xet_available

    def work() -> None:
        api.preupload_lfs_files(repo, batch, repo_type=KIND)

    progress, xet = _Progress(), is_xet_available()
    try:
        with _shown_by(progress, xet):
            _watched(work, progress, xet, repo, size, say)
    except RuntimeError as error:
        if isinstance(error, HubError):
            raise
        if error.__cause__ is not None:  # the error of an upload over LFS
            raise error.__cause__ from None
        raise HubError(f"the upload to {repo} failed in hf_xet; {WITHOUT_XET}") from None
    except ConnectionError as error:
        raise (_of_xet(repo, error) if xet else error) from None


def _of_xet(repo: str, error: ConnectionError) -> Exception:
    """What an error of hf_xet means, which is a ConnectionError with the Hub's status in its text."""
    from huggingface_hub.errors import OfflineModeIsEnabled

    if isinstance(error, OfflineModeIsEnabled):
        return error
    found = re.search(r"HTTP status \w+ error \((\d{3})", str(error))
    status = int(found[1]) if found else 0
    if 400 <= status < 500 or status == 507:
        return refusal(f"the upload to {repo}", status, "")
    why = f"status {status}" if status else "no connection"
    return HubError(
        f"the upload to {repo} failed in Xet, the Hub's storage, after several tries ({why}), while the Hub"
        f" itself answers; {WITHOUT_XET}"
    )


@contextmanager
def _shown_by(progress: _Progress, xet: bool) -> Iterator[None]:
    """Have `progress` in place of huggingface_hub's bars: hf_xet's counts go nowhere else.

    Over Xet the bars count as enabled meanwhile, also where a user disabled them: none is shown, and without
    them the counts are not given.
    """
    from huggingface_hub.utils import _xet_progress_reporting as reporting

    tqdm: Any = import_module("huggingface_hub.utils.tqdm")  # by attribute this name is a class
    name, states = "XetUploadProgressReporter", dict(tqdm.progress_bar_states)
    bars, setting = getattr(reporting, name), tqdm.HF_HUB_DISABLE_PROGRESS_BARS
    tqdm.progress_bar_states.clear()
    tqdm.HF_HUB_DISABLE_PROGRESS_BARS = not xet
    setattr(reporting, name, lambda: progress)
    try:
        yield
    finally:
        setattr(reporting, name, bars)
        tqdm.HF_HUB_DISABLE_PROGRESS_BARS = setting
        tqdm.progress_bar_states.update(states)


def _watched(
    work: Callable[[], None], progress: _Progress, xet: bool, repo: str, size: int, say: Say
) -> None:
    """Do the work in a thread, with a line of progress every few seconds.

    Raises what it raises, and HubError where Xet takes nothing for long.
    """
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    began = last_change = time.monotonic()
    moves, said, warned = progress.moves, began, False
    while thread.is_alive():
        thread.join(min(EVERY, QUIET, GIVEN_UP) / 4)
        now = time.monotonic()
        if progress.moves != moves:
            moves, last_change, warned = progress.moves, now, False
        if now - said >= EVERY and thread.is_alive():
            said = now
            say(
                tr(
                    "uploading for {seconds:,.0f} s: {sent:,} of {size:,} bytes",
                    seconds=now - began,
                    sent=progress.sent,
                    size=size,
                )
            )
        if xet and now - last_change >= QUIET and not warned:
            warned = True
            say(
                tr(
                    "Xet, the Hub's storage, has taken nothing for {seconds:,.0f} s; the same command with"
                    " HF_HUB_DISABLE_XET=1 uploads without it",
                    seconds=now - last_change,
                )
            )
        if xet and now - last_change >= GIVEN_UP:
            from huggingface_hub.utils import _xet

            _xet.abort_xet_session()  # type: ignore[no-untyped-call]
            raise HubError(
                f"the upload to {repo} stopped: Xet, the Hub's storage, took nothing for"
                f" {now - last_change:.0f} s, while the Hub itself answers; {WITHOUT_XET}"
            )
    if failed:
        raise failed[0]
