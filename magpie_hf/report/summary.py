"""The page's data about a build as a whole, as plain values.

Not here: its rows, and how a browser shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from magpie_hf.card import card
from magpie_hf.card.breadth import ACCEPTED, NEAR_DUPLICATES, RATE, SAMPLED, has_rates
from magpie_hf.card.contents import Contents
from magpie_hf.report.details import ROWS_A_BLOCK
from magpie_hf.report.finding import own_columns
from magpie_hf.report.listing import TEXTS_A_BLOCK, Listing
from magpie_hf.report.messages import words
from magpie_hf.report.numbers import charts, funnels, reasons
from magpie_hf.report.packing import Room
from magpie_hf.report.source import Source
from magpie_hf.report.speed import speed
from magpie_hf.review.marks import REVIEWED
from magpie_hf.review.precision import LEVELS, NO_VOTE, Z
from magpie_hf.selection.hardened import hardened_of
from magpie_hf.text.language import in_use, tr, translated

_SAMPLING = ("temperature", "top_p", "min_p", "max_tokens", "repetition_penalty")


def summary(source: Source, listing: Listing, room: Room, blocks: int) -> dict[str, Any]:
    """Words and numbers of the page. blocks: the number of blocks with the rows' details."""
    contents = source.contents
    provenance = contents.provenance
    return {
        "words": words(),
        "title": title(source),
        "state": _state(source),
        "notes": _notes(source, room),
        "names": _names(provenance),
        "meanings": {**card.words(in_use())["reasons"], **_own_reasons(provenance)},
        "own": own_columns(provenance),
        "filters": listing.filters,
        "funnels": funnels(contents),
        "reasons": reasons(contents),
        "charts": charts(contents),
        "speed": speed(source.folder),
        "making": [*breadth(contents), *_making(provenance)],
        "build": source.build,
        "marks": {name: asdict(one.mark) | asdict(one.labels) for name, one in source.marks.items()},
        "levels": LEVELS,
        "no_vote": NO_VOTE,
        "reviewed": REVIEWED,
        "z": Z,
        "blocks": {
            "texts": len(listing.texts),
            "texts_rows": TEXTS_A_BLOCK,
            "details": blocks,
            "details_rows": ROWS_A_BLOCK,
        },
    }


def _names(provenance: Mapping[str, Any]) -> dict[str, str]:
    """What people call the domains."""
    japanese = in_use() == "ja"
    return {
        one["key"]: (one["japanese"] if japanese else "") or one["key"].replace("_", " ")
        for one in provenance["domains"]
    }


def _own_reasons(provenance: Mapping[str, Any]) -> dict[str, str]:
    """The reasons of rules of one's own, with their meanings."""
    return {reason: means for one in provenance.get("own", ()) for reason, means in one["reasons"].items()}


def title(source: Source) -> str:
    """The page's name: the build's folder, and the model that wrote its problems."""
    return f"{source.folder.resolve().name} · {source.state.model}"


def _state(source: Source) -> str:
    state = source.state
    if state.finished:
        return tr("Seed {seed}. The build is finished.", seed=state.seed)
    if state.running:
        return tr(
            "Seed {seed}. The build was running when this was written ({where}).",
            seed=state.seed,
            where=translated(state.running),
        )
    return tr("Seed {seed}. The build stopped before its end.", seed=state.seed)


def _notes(source: Source, room: Room) -> list[str]:
    notes = []
    if not source.state.finished:
        short = (
            f"{one.domain} {one.accepted:,}/{one.target:,} ({one.filtered:,})"
            for one in source.state.selection
        )
        done = tr(
            (
                "The numbers are of rows that went through every stage; the list also has all samples that"
                " were dropped or wait. Accepted of wanted "
                "(sampled): {counts}."
            ),
            counts=", ".join(short),
        )
        notes.append(done)
    if room.cut:
        cut = tr(
            (
                "{cut} of {all} texts are shown without their middle, to keep this file small. They "
                "are whole in the parquet files and in magpie-hf show {folder} --id ID; a larger "
                "--max-megabytes keeps more of them."
            ),
            cut=f"{room.cut:,}",
            all=f"{room.texts:,}",
            folder=source.folder,
        )
        notes.append(cut)
    return notes


def breadth(contents: Contents) -> Iterator[dict[str, Any]]:
    """Tables of what each topic yielded and of what embeddings cover, where there are any."""
    names = _names(contents.provenance)
    found = {names[domain]: samples.topics for domain, samples in contents.samples.items()}
    rated = has_rates(found)
    topics = [
        (
            *(domain, topic),
            *(one[name] for name in (SAMPLED, ACCEPTED, NEAR_DUPLICATES)),
            f"{one[ACCEPTED] / one[SAMPLED]:.0%}",
            *([None if (rate := one.get(RATE)) is None else f"{rate:.2f}"] if rated else []),
        )
        for domain, topics in found.items()
        for topic, one in topics.items()
    ]
    head: tuple[str, ...]
    if topics:
        head = (tr("Domain"), tr("Topic"), tr("Samples"), tr("Accepted"), tr("Near-duplicates"), tr("Share"))
        head += (tr("Mean pass rate"),) if rated else ()
        yield _table(tr("Topics"), head, topics)
    covered = [
        (names[domain], f"{one['problems']:,}", f"{one['distance']:.3f}", f"{one['vendi']:.1f}")
        for domain, samples in contents.samples.items()
        if "distance" in (one := samples.coverage)
    ]
    if covered:
        head = (tr("Domain"), tr("Problems"), tr("Mean distance to the nearest"), tr("Vendi score"))
        yield _table(tr("Coverage"), head, covered)
    harder = [
        (names[domain], *(f"{count:,}" for count in (made.asked, made.made, made.accepted, made.tokens)))
        for domain, samples in contents.samples.items()
        if (made := hardened_of(samples.hardened)) is not None
    ]
    if harder:
        head = (tr("Domain"), tr("Asked"), tr("Made"), tr("Accepted"), tr("Tokens"))
        yield _table(tr("Harder problems"), head, harder)


def _making(provenance: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Tables of how the rows were made: models, sampling, settings, benchmarks and versions."""
    said, names = card.words(in_use()), _names(provenance)
    models = [
        (
            one["name"],
            ("、" if in_use() == "ja" else ", ").join(said["steps"].get(step, step) for step in one["steps"]),
            one["revision"],
            ", ".join((one["dtype"], *one.get("settings", ()))),
        )
        for one in provenance["models"]
    ]
    sampling = [
        (names[domain["key"]], said["sampling_steps"].get(step, step), *(how[name] for name in _SAMPLING))
        for domain in provenance["domains"]
        for step, how in domain["sampling"].items()
    ]
    settings = [
        *((name, provenance[name]) for name in ("k", "sft", "keep_minority")),
        ("scorer", translated(provenance["scorer"]["title"])),
        ("asked_with", provenance["asked_with"]),
        ("rl_majority_share", provenance["rl_majority_share"]),
        *((name, provenance[name]) for name in ("tir",) if name in provenance),
        *_flat(provenance, ("acceptance", "pairing", "held_out")),
        *(_flat(provenance, ("pass_rates",)) if "pass_rates" in provenance else ()),
        *((f"{one['kind']} {one['name']}", _own(one)) for one in provenance.get("own", ())),
        ("languages", ", ".join(provenance["languages"])),
        ("near", provenance["near"]),
    ]
    benchmarks = [(one["name"], one["revision"], f"{one['rows']:,}") for one in provenance["benchmarks"]]
    benchmarks += [
        (one["name"], translated(one["reason"]), tr("not checked")) for one in provenance["not_checked"]
    ]
    known = [(one["name"], one["revision"], f"{one['rows']:,}") for one in provenance.get("known_sets", ())]
    return [
        _table(tr("Models"), (tr("Model"), tr("Steps"), tr("Revision"), "dtype"), models),
        _table(tr("Sampling"), (tr("Domain"), tr("Step"), *_SAMPLING), sampling),
        _table(tr("Settings"), (tr("Setting"), tr("Value")), settings),
        *(
            [
                _table(
                    tr("Benchmarks checked for"),
                    (tr("Benchmark"), tr("Revision"), tr("Rows")),
                    benchmarks,
                )
            ]
            if benchmarks
            else []
        ),
        *([_table(tr("Known sets"), (tr("Set"), tr("Revision"), tr("Rows")), known)] if known else []),
        _table(tr("Versions"), (tr("Package"), tr("Version")), provenance["versions"].items()),
    ]


def _own(one: Mapping[str, Any]) -> str:
    """Where the code of one's own is, and where a step of it stands."""
    version = tr("{use}, version {version}", use=one["use"], version=one["version"])
    return f"{version}, {tr('after {place}', place=one['after'])}" if one["after"] else version


def _flat(provenance: Mapping[str, Any], groups: Iterable[str]) -> Iterable[tuple[str, Any]]:
    return ((f"{group}.{name}", value) for group in groups for name, value in provenance[group].items())


def _table(name: str, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> dict[str, Any]:
    cells = [
        ["–" if cell is None else cell if isinstance(cell, str) else f"{cell}" for cell in row]
        for row in rows
    ]
    return {"title": name, "head": list(head), "rows": cells}
