"""The card's tables of the method: which model did what and how it was asked, versions, and the columns.

Not here: numbers of rows (number_tables.py), and the prose around the tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from datasets import Features

from magpie_hf.card.contents import Contents
from magpie_hf.card.markdown import NONE, code, escape, link, table
from magpie_hf.schema import (
    CANDIDATES,
    CANDIDATES_CONFIG,
    OPINIONS,
    PUBLISHED,
    RL,
    TEXT_SPLITS,
    TIR,
    TOPIC,
    WITH_DELTA,
    WITH_REFERENCE,
)

_SAMPLING = ("temperature", "top_p", "top_k", "min_p", "max_tokens", "repetition_penalty")

NAMES = (
    "steps", "licences", "sampling", "own", "versions", "columns", "candidate_columns", "rl_columns",
    "tir_columns",
)  # fmt: skip


class MethodTables:
    """Each property of `NAMES` is one table as Markdown; "" where there is nothing to show.

    words: heads and meanings in the card's language. models: as in `provenance.provenance`, with licences.
    """

    def __init__(
        self, contents: Contents, words: Mapping[str, Any], models: Sequence[Mapping[str, Any]]
    ) -> None:
        self.contents, self.words, self.models = contents, words, models
        self.provenance = contents.provenance

    def _table(self, name: str, rows: Iterable[Sequence[str]]) -> str:
        return table(self.words["heads"][name], list(rows))

    @property
    def steps(self) -> str:
        """Which model did what."""
        rows = [
            [
                self.words["steps"][step],
                _model(model),
                code(model["revision"]),
                _numbers(model),
                # Folders of builds from before chat options have none.
                self._switches(model.get("chat_options", {})),
            ]
            for step in self.words["steps"]
            for model in self.models
            if step in model["steps"]
        ]
        return self._table("steps", rows)

    def _switches(self, options: Mapping[str, str | None]) -> str:
        return (
            ", ".join(
                code(f"{name}={value}") if value is not None else f"{code(name)}: {self.words['by_default']}"
                for name, value in options.items()
            )
            or NONE
        )

    @property
    def licences(self) -> str:
        return self._table(
            "licences", ([escape(one["name"]), *self._licence(one["licence"])] for one in self.models)
        )

    def _licence(self, licence: Mapping[str, str] | None) -> list[str]:
        if licence is None:
            return [self.words["not_stated"], NONE, NONE]
        source = self.words["sources"][licence.get("source", "given")]
        return [link(licence["name"], licence.get("link")), escape(licence["duty"]) or NONE, source]

    @property
    def sampling(self) -> str:
        rows = [
            [
                code(domain["key"]),
                self.words["sampling_steps"][step],
                # Folders of builds from before top_k and origins have neither.
                *(str(sampling.get(name, 0)) for name in _SAMPLING),
                self._origins(domain.get("origins", {}).get(step, {})),
            ]
            for domain in self.provenance["domains"]
            for step, sampling in domain["sampling"].items()
        ]
        return self._table("sampling", rows)

    def _origins(self, origins: Mapping[str, str]) -> str:
        """The values that are not the domain's own, by where they come from."""
        words = self.words["origins"]
        named = {
            word: [name for name, one in origins.items() if one == origin] for origin, word in words.items()
        }
        return "; ".join(f"{word}: {', '.join(names)}" for word, names in named.items() if names) or NONE

    @property
    def versions(self) -> str:
        return self._table(
            "versions", ([code(name), code(version)] for name, version in self.provenance["versions"].items())
        )

    @property
    def own(self) -> str:
        """Stages, rules and scorers of who built the dataset."""
        rows = [
            [
                self.words["own"][one["kind"]],
                code(one["name"]),
                code(one["use"]),
                str(one["version"]),
                code(one["after"]) if one["after"] else NONE,
                ", ".join(map(code, (*one["columns"], *one["reasons"]))) or NONE,
            ]
            for one in self.contents.own_code
        ]
        return self._table("own", rows) if rows else ""

    @property
    def columns(self) -> str:
        return self._columns("domain", self._with_more(PUBLISHED, "texts"), TEXT_SPLITS)

    @property
    def candidate_columns(self) -> str:
        return self._columns(
            "candidates", self._with_more(CANDIDATES, CANDIDATES_CONFIG), (CANDIDATES_CONFIG,)
        )

    def _with_more(self, features: Features, of: str) -> Features:
        referred = WITH_REFERENCE if self.contents.has_references else {}
        rejected = WITH_DELTA[of] if self.contents.has_delta else {}
        return Features({**features, **referred, **rejected, **self._more})

    @property
    def _more(self) -> dict[str, Any]:
        """The columns of topics and opinions, where there are any."""
        texts = [text for domain in self.provenance["domains"] for text in domain.get("texts", ())]
        topics = TOPIC if any(text["topic"] or text["persona"] for text in texts) else {}
        opinions = {
            name: kind for who in self.provenance.get("opinions", ()) for name, kind in OPINIONS[who].items()
        }
        return {**topics, **opinions}

    @property
    def rl_columns(self) -> str:
        return self._columns("rl", Features({**RL, **self._more}), ("rl",))

    @property
    def tir_columns(self) -> str:
        referred = WITH_REFERENCE if self.contents.has_references else {}
        return self._columns("tir", Features({**TIR, **referred, **self._more}), ())

    def _columns(self, kind: str, features: Features, splits: Sequence[str]) -> str:
        """Columns with their types and meanings, and behind them those of one's own in these splits."""
        meanings = self.words["columns"][kind]
        rows = [[code(name), code(type_of(feature)), meanings[name]] for name, feature in features.items()]
        for one in self.contents.own_code:
            if to := [split for split in splits if split in one["to"]]:
                alone = "" if len(to) == len(splits) else self.words["split_alone"].format(split=code(to[0]))
                rows += [
                    [code(name), code(column["type"]), escape(column["means"]) + alone]
                    for name, column in one["columns"].items()
                ]
        return self._table("columns", rows)


def _model(model: Mapping[str, Any]) -> str:
    """The name of a model, as a link if it is on the Hub: then its revision is a commit."""
    on_hub = re.fullmatch(r"[0-9a-f]{40}", model["revision"]) and re.fullmatch(
        r"[\w.-]+/[\w.-]+", model["name"]
    )
    return link(model["name"], f"https://huggingface.co/{model['name']}" if on_hub else None)


def _numbers(model: Mapping[str, Any]) -> str:
    """The dtype of a model, and vLLM's arguments that change its numbers; older builds name none."""
    return ", ".join(map(code, (model["dtype"], *model.get("settings", ()))))


def type_of(feature: Any) -> str:
    """A column's type in words."""
    if isinstance(feature, dict):
        return "{" + ", ".join(f"{name}: {type_of(inner)}" for name, inner in feature.items()) + "}"
    inner = getattr(feature, "feature", feature[0] if isinstance(feature, list) else None)
    return f"list of {type_of(inner)}" if inner is not None else str(feature.dtype)
