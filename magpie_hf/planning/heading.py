"""What is about to be built, by whom and where, in a few lines. Not here: what it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from magpie_hf.domains import Domain
from magpie_hf.heads import facts_of
from magpie_hf.known import KnownModel, KnownScorer, known
from magpie_hf.language import tr
from magpie_hf.models import Model


def heading(domains: Sequence[Domain], sources: Mapping[str, str], k: int, out: str) -> list[str]:
    """Models with their licences, domains with their counts, and the folder. sources: of each role, a repository or a folder."""
    lines = [f"model    {_title(sources['model'])}"]
    lines += [f"{role:<8} {_title(source)}" for role, source in sources.items() if source != sources["model"]]
    facts = _facts(sources.get("scorer", ""))
    if isinstance(facts, KnownScorer) and facts.forbids:
        lines.append(tr("licence  {licence} of {model}: {duty}", licence=facts.licence, model=facts.repository, duty=facts.duty))
    lines += [tr("domain   {domain} {count:,}", domain=domain.key, count=domain.count) for domain in domains]
    lines.append(tr("problems {count:,}, {k} candidates each", count=sum(domain.count for domain in domains), k=k))
    return [*lines, tr("folder   {folder}", folder=out)]


def _title(source: str) -> str:
    facts = _facts(source)
    if isinstance(facts, KnownScorer):
        return tr("{model} ({licence}; reads up to {context:,} tokens)", model=source, licence=facts.licence, context=facts.context)
    return tr("{model} (model {number}; {licence})", model=source, number=facts.number, licence=facts.licence) if facts else source


def _facts(source: str) -> KnownModel | KnownScorer | None:
    """What is known of a repository, or of a folder by its architecture."""
    return facts_of(Model(source, "", path=source)) if source and Path(source).is_dir() else known(source)
