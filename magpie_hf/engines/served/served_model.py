"""Whether a server serves a model, judging by its answer at /v1/models.

Not here: asking it.
"""

from __future__ import annotations

import re
from typing import Any

from magpie_hf.engines.served.kinds import Kind
from magpie_hf.errors import BadInput
from magpie_hf.models.model import Model


def card_of(url: str, answer: Any, model: Model, kind: Kind) -> dict[str, Any] | None:
    """The card of the model in a server's answer; None for an answer that is not of this kind.

    Raises BadInput where the server serves another model or another revision.
    """
    listed = answer.get("data") if isinstance(answer, dict) else None
    cards = [card for card in listed if _is_of(kind, card)] if isinstance(listed, list) else []
    if not cards:
        return None
    card = next((card for card in cards if _names(card, model)), None)
    if card is None:
        names = _cut(", ".join(str(card["id"]) for card in cards))
        raise BadInput(
            f"{url} serves {names} and not {model.name}; give a server of that model, or leave this one out"
        )
    found = re.search(r"/snapshots/([0-9a-f]{40})$", _text(card, "root"))  # the only trace of a revision
    if found and model.hub_revision and found[1] != model.hub_revision:
        raise BadInput(
            f"{url} serves revision {found[1][:12]} of {model.name} and {model.revision[:12]} is wanted;"
            f" start it with --revision {model.revision}"
        )
    return dict(card)


def check_room(url: str, room: int | None, need: int | None, kind: Kind) -> None:
    """Raises BadInput where a server has less room for prompt and completion together than is needed.

    Both in tokens; None for a room that is not known, and for no need.
    """
    if room is not None and need is not None and room < need:
        raise BadInput(
            f"{url} has room for {room} tokens of prompt and completion and {need} are"
            f" needed; start it with {kind.longer} {need}"
        )


def _is_of(kind: Kind, card: Any) -> bool:
    if not isinstance(card, dict) or "id" not in card:
        return False
    if kind.name == "vllm" and type(card.get("max_model_len")) is not int:
        return False
    return kind.owner is None or card.get("owned_by") == kind.owner


def _cut(text: str) -> str:
    return text if len(text) <= 200 else text[:200] + "..."


def _names(card: dict[str, Any], model: Model) -> bool:
    """Whether the card names the model: by its name, its folder, or a path that ends in the name."""
    for text in (_text(card, "id"), _text(card, "root")):
        cached = re.search(r"/models--([^/]+)/snapshots/", text)
        if text in (model.name, model.source, model.short_name) or (
            cached and cached[1].replace("--", "/") == model.name
        ):
            return True
        if text.startswith(("/", ".", "~")) and text.rsplit("/", 1)[-1] == model.short_name:
            return True
    return False


def _text(card: dict[str, Any], key: str) -> str:
    return str(card.get(key) or "").rstrip("/")
