"""Datasets on the Hub: pinned to a commit, or the reason why they are unavailable.

Not here: reading them.
"""

from __future__ import annotations

from dataclasses import replace

from magpie_hf.errors import BadInput
from magpie_hf.problems.benchmarks.names import PRESETS, Benchmark, NotChecked

_SECONDS = 5.0  # to wait for an answer, as a plan does; after one in vain no other dataset is asked for


def pin(benchmark: Benchmark) -> Benchmark | NotChecked:
    """The benchmark with the commit that its revision names now.

    The Hub is asked even for a full commit: offline, `datasets` would take any version in the cache. Raises
    BadInput for a dataset or revision that the Hub does not have.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError

    api = HfApi()
    try:
        info = api.dataset_info(benchmark.source, revision=benchmark.revision, timeout=_SECONDS)
        if info.gated:
            api.auth_check(benchmark.source, repo_type="dataset")
    except HFValidationError as error:
        raise BadInput(
            f"{benchmark.source!r} is no name that the Hub allows ({str(error).splitlines()[0]})"
        ) from error
    except unavailable() as error:
        return failed(benchmark, error)
    if not info.sha:
        return NotChecked(benchmark.name, f"the Hub names no commit of {benchmark.source}")
    return replace(benchmark, revision=info.sha)


def unavailable() -> tuple[type[Exception], ...]:
    """The errors of a Hub that cannot be reached, lacks or withholds a dataset, or answers with an error."""
    import httpx2
    from datasets.exceptions import DatasetNotFoundError
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    return (
        HfHubHTTPError,
        LocalEntryNotFoundError,
        DatasetNotFoundError,
        httpx2.TransportError,
        ConnectionError,
        TimeoutError,
    )


def failed(benchmark: Benchmark, error: Exception) -> NotChecked:
    """Why a benchmark is unavailable.

    Raises BadInput where it does not exist, unless it is a preset. The error's text is not passed on, because
    it may hold addresses with tokens.
    """
    from datasets.exceptions import DatasetNotFoundError
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    gated = isinstance(error, GatedRepoError) or (
        isinstance(error, DatasetNotFoundError) and "is a gated dataset" in str(error)
    )
    if gated:
        accept = "accept its terms on its page and log in with `hf auth login`"
        return NotChecked(
            benchmark.name, f"{benchmark.source} is gated and this machine's login may not read it; {accept}"
        )
    if isinstance(error, (RepositoryNotFoundError, RevisionNotFoundError, DatasetNotFoundError)):
        what = (
            f"revision {benchmark.revision!r} of {benchmark.source}"
            if isinstance(error, RevisionNotFoundError)
            else benchmark.source
        )
        if benchmark.name in PRESETS and PRESETS[benchmark.name].source == benchmark.source:
            return NotChecked(benchmark.name, f"the Hub does not show {what} to this machine's login")
        raise BadInput(
            f"the Hub has no dataset {what}, or your token may not see it; check the name and `hf auth"
            " whoami`"
        ) from error
    offline = not isinstance(error, HfHubHTTPError) or isinstance(error, LocalEntryNotFoundError)
    return NotChecked(benchmark.name, f"the Hub could not be reached ({type(error).__name__})", offline)
