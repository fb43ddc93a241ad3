"""Licences by the Hub's ids: the duties that travel with a model's outputs, and each model's licence.

Not here: legal advice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal

import yaml

from magpie_hf.errors import BadInput
from magpie_hf.models.heads import known_of
from magpie_hf.models.model import Model, card_of

# The ids that the Hub accepts as a card's `license`, as of autumn 2026.
LICENCES = tuple(
    # permissive, or nearly so
    "apache-2.0 mit bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 isc ncsa zlib postgresql ms-pl"
    " afl-3.0 artistic-2.0 ecl-2.0 unlicense wtfpl ofl-1.1 lppl-1.3c openmdw-1.0 openmdw-1.1 "
    # copyleft
    "gpl gpl-2.0 gpl-3.0 agpl-3.0 lgpl lgpl-2.1 lgpl-3.0 lgpl-lr gfdl mpl-2.0 epl-1.0 epl-2.0 eupl-1.1"
    " eupl-1.2 osl-3.0 "
    # Creative Commons
    "cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nd-4.0 cc-by-nc-2.0"
    " cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0"
    " cc-by-nc-sa-4.0 "
    # data
    "cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 c-uda odc-by odbl pddl etalab-2.0 "
    # models
    "openrail openrail++ bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0"
    " bigcode-openrail-m deepfloyd-if-license llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 gemma"
    " grok2-community fair-noncommercial-research-license apple-ascl apple-amlr h-research intel-research "
    # nothing said
    "unknown other".split()
)

_ATTRIBUTION = "attribution"
_RAIL = (
    "a model that learns from the outputs to act alike counts as a derivative, and the licence's forbidden"
    " uses travel with it"
)
_RESEARCH = "for research that is not commercial alone, and so is what is made with the outputs"
_NOT_COMMERCIAL = (
    "attribution; no commercial use of the model, so let the data that it wrote have none, either"
)
_SAME = "attribution; what is adapted from it is shared under the same licence"


def _only(family: str) -> str:
    return (
        "forbids using the outputs, so also problems, answers and scores, to improve any language model"
        f" other than {family}"
    )


def _built_with_llama(version: str) -> str:
    return (
        f'say "Built with Llama" and keep the Llama {version} notice; the name of a distributed model that'
        ' was trained on the outputs begins with "Llama"'
    )


# What travels with data that a model under the licence wrote, or with a model trained on them. Not legal
# advice.
DUTIES: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "apache-2.0 mit bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 isc ncsa zlib afl-3.0"
            " openmdw-1.0 openmdw-1.1 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 odc-by cdla-permissive-1.0"
            " cdla-permissive-2.0 etalab-2.0"
        ).split(),
        _ATTRIBUTION,
    ),
    **dict.fromkeys("cc0-1.0 unlicense wtfpl pddl".split(), "none"),
    **dict.fromkeys("cc-by-sa-3.0 cc-by-sa-4.0 cdla-sharing-1.0 odbl".split(), _SAME),
    "cc-by-nd-4.0": "attribution; what is adapted from the model is not shared",
    **dict.fromkeys("cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0".split(), _NOT_COMMERCIAL),
    **dict.fromkeys(
        "cc-by-nc-nd-3.0 cc-by-nc-nd-4.0".split(),
        f"{_NOT_COMMERCIAL}; what is adapted from the model is not shared",
    ),
    **dict.fromkeys(
        "cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0".split(),
        f"{_NOT_COMMERCIAL}; what is adapted is shared under the same licence",
    ),
    **dict.fromkeys(
        "openrail openrail++ bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0"
        " bigcode-openrail-m".split(),
        _RAIL,
    ),
    **dict.fromkeys(
        "deepfloyd-if-license fair-noncommercial-research-license apple-amlr h-research"
        " intel-research".split(),
        _RESEARCH,
    ),
    "llama2": _only("Llama 2"),
    "llama3": _only("Llama 3"),
    **{f"llama{version}": _built_with_llama(version) for version in ("3.1", "3.2", "3.3", "4")},
    "gemma": (
        "terms and prohibited-use policy travel with a model that was trained on the outputs to perform alike"
    ),
    "grok2-community": _only("Grok 2"),
    # The Hub lists these under "other", with the name in `license_name`.
    "qwen": (
        'a distributed model that was trained on the outputs shows "Built with Qwen" or "Improved using Qwen"'
    ),
    "qwen-research": (
        f'{_RESEARCH}; a distributed model that was trained on them shows "Built with Qwen" or "Improved'
        ' using Qwen"'
    ),
    "deepseek": _RAIL,
    "nvidia-open-model-license": (
        "claims nothing of the outputs; a distributed model that is derived from the model keeps NVIDIA's"
        " notice"
    ),
}
NAMED = tuple(name for name in DUTIES if name not in LICENCES)
_FORBID = frozenset({"llama2", "llama3", "grok2-community"})
_SILENT = frozenset({"other", "unknown"})
_READ_IT = "read its text for what travels with the outputs"


@dataclass(frozen=True)
class Licence:
    """A model's licence.

    id: on the Hub's list, or one of `NAMED`.
    name: in words.
    duty: what travels with the outputs.
    source: who states it (`known`: this package, `given`: the user, `card`: the model's own card).
    link: where its text stands, if known.
    forbids: whether it forbids improving other models with the outputs.
    """

    id: str
    name: str
    duty: str
    source: Literal["known", "given", "card"]
    link: str | None = None
    forbids: bool = False


@dataclass(frozen=True)
class Given:
    """The values of `--model-license`: by repository or folder name, and one for all others (or None)."""

    by_model: Mapping[str, str] = field(default_factory=dict)
    others: str | None = None

    def of(self, model: Model) -> str | None:
        return next((self.by_model[name] for name in _names(model) if name in self.by_model), self.others)


def check_model_licence(text: str) -> str:
    """The id of a model's licence: one of the Hub's that states a licence, or one of `NAMED`.

    Raises BadInput otherwise, with the nearest id.
    """
    if text.strip().lower() in _SILENT:
        raise BadInput(
            f"licence {text!r} says nothing of what travels with the outputs; name the licence, such as"
            f" {', '.join(NAMED)}"
        )
    allowed, wanted = (*(one for one in LICENCES if one not in _SILENT), *NAMED), text.strip().lower()
    if wanted in allowed:
        return wanted
    near = get_close_matches(wanted, allowed, n=3, cutoff=0.6)
    hint = (
        f"did you mean {' or '.join(near)}?" if near else f"such as {', '.join(allowed[:2])} or cc-by-nc-4.0"
    )
    raise BadInput(
        f"licence {text!r} is none of the Hub's ids, nor {' or '.join(NAMED)}; {hint} (all:"
        " huggingface.co/docs/hub/repositories-licenses)"
    )


def parse_model_licences(texts: Sequence[str]) -> Given:
    """The values of a repeatable `--model-license`, parsed.

    `ID` holds for every model without another source, `MODEL=ID` for one model. Raises BadInput for an
    unknown id, an empty model, and two licences of one model.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, licence = text.rpartition("=")
        name = name.strip().rstrip("/")
        if equals and not name:
            raise BadInput(
                f"--model-license {text!r} names no model; give ID, or MODEL=ID with a repository or a"
                " folder's name"
            )
        checked = check_model_licence(licence)
        if found.setdefault(name, checked) != checked:
            raise BadInput(
                f"--model-license says {found[name]} and {checked} of {name or 'the models without a name'};"
                " give one"
            )
    return Given({name: licence for name, licence in found.items() if name}, found.get(""))


def licences_for(models: Sequence[Mapping[str, Any]], texts: Sequence[str]) -> dict[str, Licence]:
    """The licences that the values of `--model-license` give, by model.

    models: as `provenance.models_of` describes them. The result has the models whose licence is unknown, and
    those that a value names. Raises BadInput where a model has no licence, where a value names a model that
    took no part, and where a value contradicts a known licence.
    """
    given = parse_model_licences(texts)
    names = {model["name"]: _names(Model(model["name"], model["revision"])) for model in models}
    for name in given.by_model:
        if not any(name in spellings for spellings in names.values()):
            raise BadInput(
                f"--model-license names {name}, which made nothing here; the models are {', '.join(names)}"
            )
    found = {}
    for model in models:
        name, licence = model["name"], model["licence"]
        said = next(
            (given.by_model[spelling] for spelling in names[name] if spelling in given.by_model), None
        )
        if licence is not None and licence["source"] == "known":
            if said not in (None, licence["id"]):
                raise BadInput(
                    f"--model-license says {said} of {name}, whose licence is {licence['name']}; leave it out"
                )
        elif said is not None or licence is None:
            if (said or given.others) is None:
                raise BadInput(
                    f"the licence of {name} is not known; give it with --model-license, an id of the Hub's"
                    " such as apache-2.0"
                )
            found[name] = _licence(str(said or given.others), "given")
    return found


def stated_licence(model: Model) -> str | None:
    """The licence on the model's own card: an id of the Hub's list, or one of `NAMED`.

    None without a card or a licence, and where it is several, "unknown", or "other" without a known name.
    """
    text = card_of(model)
    front = _front_matter(text) if text is not None else {}
    stated = front.get("license")
    if isinstance(stated, list) and len(stated) == 1:
        stated = stated[0]
    if not isinstance(stated, str):
        return None
    if stated in _SILENT:
        named = str(front.get("license_name")).strip().lower()
        return named if named in NAMED else None
    return stated if stated in LICENCES else None


def licence_of(model: Model, given: Given) -> Licence | None:
    """The model's licence: from this package, else from the user, else from its card; None without any."""
    if (info := known_of(model)) is not None:
        forbids = getattr(info, "forbids", False) or info.licence_id in _FORBID
        return Licence(info.licence_id, info.licence, info.duty, "known", info.link, forbids)
    if (licence := given.of(model)) is not None:
        return _licence(licence, "given")
    stated = stated_licence(model)
    return _licence(stated, "card") if stated is not None else None


def _licence(name: str, source: Literal["given", "card"]) -> Licence:
    return Licence(name, name, DUTIES.get(name, _READ_IT), source, forbids=name in _FORBID)


def _names(model: Model) -> tuple[str, ...]:
    """The names a user may give: the repository or folder name, that without the owner, the folder's path."""
    return tuple(dict.fromkeys(name for name in (model.name, model.short_name, model.path) if name))


def _front_matter(text: str) -> dict[str, Any]:
    """The metadata of a model's card; {} where it has none, or no valid YAML."""
    lines = text.splitlines()
    if not lines or lines[0].strip() != "---" or "---" not in lines[1:]:
        return {}
    try:
        # Only text values count
        front = yaml.load("\n".join(lines[1 : lines.index("---", 1)]), yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError):
        return {}
    return front if isinstance(front, dict) else {}
