"""What is about to be built, by whom and where, in a few lines.

Not here: what it takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from magpie_hf.domains import Domain
from magpie_hf.models.heads import facts_of
from magpie_hf.models.known import KnownModel, KnownScorer, known
from magpie_hf.models.model import Model
from magpie_hf.text.columns import padded
from magpie_hf.text.language import tr, translated


def heading(domains: Sequence[Domain], sources: Mapping[str, str], k: int, out: str) -> list[str]:
    """Models with their licences, domains with their counts, and the folder. sources: of each role, a
    repository or a folder.
    """
    lines = [("model", _title(sources["model"]))]
    lines += [(role, _title(source)) for role, source in sources.items() if source != sources["model"]]
    facts = _facts(sources.get("scorer", ""))
    if isinstance(facts, KnownScorer) and facts.forbids:
        lines.append(
            (
                "licence",
                tr(
                    "{licence} of {model}: {duty}",
                    licence=facts.licence,
                    model=facts.repository,
                    duty=facts.duty,
                ),
            )
        )
    lines += [("domain", f"{domain.key} {domain.count:,}") for domain in domains]
    count = sum(domain.count for domain in domains)
    lines += [("problems", tr("{count:,}, {k} candidates each", count=count, k=k)), ("folder", out)]
    return [f"{padded(translated(label), 8)} {text}" for label, text in lines]


def _title(source: str) -> str:
    facts = _facts(source)
    if isinstance(facts, KnownScorer):
        return tr(
            "{model} ({licence}; reads up to {context:,} tokens)",
            model=source,
            licence=facts.licence,
            context=facts.context,
        )
    return (
        tr("{model} (model {number}; {licence})", model=source, number=facts.number, licence=facts.licence)
        if facts
        else source
    )


def _facts(source: str) -> KnownModel | KnownScorer | None:
    """What is known of a repository, or of a folder by its architecture."""
    return facts_of(Model(source, "", path=source)) if source and Path(source).is_dir() else known(source)
