"""The file LICENSE of a published dataset: its licence, where that stands, and the duties of the models'.

Not here: the text of any licence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from magpie_hf.models.data_licence import DataLicence

LICENSE = "LICENSE"
NOT_STATED = "not stated"


def licence_file(
    licence: DataLicence, models: Iterable[Mapping[str, Any]], own: Mapping[str, Any] | None = None
) -> bytes:
    """The file. models: of the provenance, with licences. own: the source of given problems."""
    source = (
        [f"The problems are those of {_line(own['source'])}, under: {own['licence'] or NOT_STATED}", ""]
        if own
        else []
    )
    lines = [
        f"The data in this repository is published under: {_line(licence.title)}",
        *(f"{key}: {_line(value)}" for key, value in licence.front_matter.items()),
        f"text: {_line(licence.url)}",
        "",
        *source,
        "The licences of the models that made the data add these duties:",
        "",
        *(_model(model["name"], model["licence"]) for model in models),
    ]
    return ("\n".join(lines) + "\n").encode()


def stated(text: str) -> dict[str, str]:
    """The keys of a card's metadata that such a file states, with their values."""
    pairs = (line.partition(": ") for line in text.partition("\n\n")[0].splitlines())
    return {key: value for key, _, value in pairs if key.startswith("license")}


def _model(name: str, licence: Mapping[str, str] | None) -> str:
    if licence is None:
        return f"- {_line(name)}: {NOT_STATED}"
    link = f", {licence['link']}" if licence.get("link") else ""
    return f"- {_line(name)} ({_line(licence['name'])}{link}): {_line(licence['duty']) or NOT_STATED}"


def _line(text: str) -> str:
    return " ".join(text.split())
