"""Exports as plain JSON values, and back.

Not here: what an export does.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from magpie_hf.problems.heldout import HeldOut
from magpie_hf.stages.exports.base import Export
from magpie_hf.stages.exports.candidates import ExportCandidates
from magpie_hf.stages.exports.rl import ExportRL
from magpie_hf.stages.exports.texts import ExportText
from magpie_hf.stages.exports.tir import ExportTIR
from magpie_hf.stages.solving import instruction_from


def spec_of(export: Export) -> dict[str, Any]:
    """An export as plain JSON values, from which `export_of` rebuilds it."""
    return {"is": type(export).__name__, **asdict(export)}  # type: ignore[call-overload]


def export_of(spec: dict[str, Any]) -> Export:
    """The export that `spec_of` described."""
    kinds: dict[str, type[ExportText | ExportRL | ExportTIR | ExportCandidates]] = {
        kind.__name__: kind for kind in (ExportText, ExportRL, ExportTIR, ExportCandidates)
    }
    own = tuple((column, kind, given) for column, kind, given in spec.get("own", ()))
    fields = {**spec, "held_out": HeldOut(**spec["held_out"]), "own": own}
    fields["opinions"] = tuple(spec.get("opinions", ()))
    if "instruction" in fields:
        fields["instruction"] = instruction_from(fields["instruction"])
    if spec.get("pass_rate") is not None:
        fields["pass_rate"] = tuple(spec["pass_rate"])
    for pairs in ("generation", "harder"):
        if pairs in fields:
            fields[pairs] = tuple((name, value) for name, value in fields[pairs])
    return kinds[fields.pop("is")](**fields)
