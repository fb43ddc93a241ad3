"""The size categories of the Hub: the least number of rows of each, and its name.

Not here: counting rows.
"""

from __future__ import annotations

SIZES = (
    (0, "n<1K"),
    (10**3, "1K<n<10K"),
    (10**4, "10K<n<100K"),
    (10**5, "100K<n<1M"),
    (10**6, "1M<n<10M"),
    (10**7, "10M<n<100M"),
    (10**8, "100M<n<1B"),
    (10**9, "1B<n<10B"),
    (10**10, "10B<n<100B"),
    (10**11, "100B<n<1T"),
    (10**12, "n>1T"),
)


def size_of(rows: int) -> str:
    """The size category for a number of rows."""
    return next(name for least, name in reversed(SIZES) if rows >= least)
