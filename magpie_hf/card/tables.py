"""The card's tables: the numbers of the rows, and how they were made.

Not here: counting, and the prose around the tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from magpie_hf.card import method_tables, number_tables
from magpie_hf.card.contents import Contents


def tables(
    contents: Contents, words: Mapping[str, Any], models: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
    """Every table as Markdown, by name; "" where there is nothing to show.

    words: heads and meanings in the card's language. models: as in `provenance.provenance`, with licences.
    """
    numbers = number_tables.NumberTables(contents, words)
    method = method_tables.MethodTables(contents, words, models)
    return {
        **{name: getattr(numbers, name) for name in number_tables.NAMES},
        **{name: getattr(method, name) for name in method_tables.NAMES},
    }
