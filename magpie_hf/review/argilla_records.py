"""Rows of a sheet as records of Argilla, with what the build says of them, and people's responses as marks.

Not here: Argilla's server, which its own client talks to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import argilla as rg

from magpie_hf.review.marks import GOOD, VALUES, Mark

AGENT = "magpie_hf"


def settings() -> rg.Settings:
    """The settings of a dataset in Argilla that holds `records`."""
    return rg.Settings(
        fields=[
            rg.TextField(name="problem", use_markdown=True),
            rg.TextField(name="solution", use_markdown=True, required=False),
        ],
        questions=[
            rg.LabelQuestion(name="mark", labels=list(VALUES)),
            rg.TextQuestion(name="note", required=False),
        ],
        metadata=[
            rg.TermsMetadataProperty(name="domain"),
            rg.TermsMetadataProperty(name="pair"),
            rg.FloatMetadataProperty(name="majority_share"),
        ],
        # Several people may read a row; how many must is the server's to say.
        allow_extra_metadata=False,
    )


def records(rows: Iterable[Mapping[str, Any]]) -> list[rg.Record]:
    """A record for each row of a sheet (`magpie-hf review --sample`).

    The build accepted the row, so it suggests "good", with the majority share as its score; where there was
    no vote, it suggests nothing.
    """
    return [
        rg.Record(
            id=row["id"],
            fields={name: row[name] for name in ("problem", "solution") if row[name] is not None},
            metadata={
                name: row[name] for name in ("domain", "pair", "majority_share") if row[name] is not None
            },
            suggestions=(
                [rg.Suggestion("mark", GOOD, score=row["majority_share"], agent=AGENT, type="model")]
                if row["majority_share"] is not None
                else []
            ),
        )
        for row in rows
    ]


def marks(found: Iterable[rg.Record]) -> list[Mark]:
    """The submitted responses of all people as marks, by Argilla's ids of the people.

    Of one row the marks come good before bad, so that a row which anybody calls bad is taken as bad.
    """
    made = []
    for record in found:
        by_user: dict[str, dict[str, str]] = {}
        for response in record.responses:
            if response.status == rg.ResponseStatus.submitted:
                by_user.setdefault(str(response.user_id), {})[response.question_name] = response.value
        of_row = [
            Mark(record.id, said.get("mark"), said.get("note", ""), user) for user, said in by_user.items()
        ]
        made += sorted(of_row, key=lambda mark: (mark.mark != GOOD, mark.by))
    return made
