"""The licence that data is published under: its id on the Hub's list, its name, and where its text stands.

Not here: the models' licences (licences.py), and legal advice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from magpie_hf.errors import BadInput
from magpie_hf.limits import LICENCE, no_derivatives
from magpie_hf.models.licences import LICENCES
from magpie_hf.text.language import tr

# SPDX's name of each licence that SPDX lists, by the Hub's id. SPDX's own id is the Hub's but for its case,
# except where it is named first.
_SPDX: Mapping[str, tuple[str, str]] = {
    "apache-2.0": ("Apache-2.0", "Apache License 2.0"),
    "mit": ("MIT", "MIT License"),
    "bsd-2-clause": ("BSD-2-Clause", 'BSD 2-Clause "Simplified" License'),
    "bsd-3-clause": ("BSD-3-Clause", 'BSD 3-Clause "New" or "Revised" License'),
    "bsd-3-clause-clear": ("BSD-3-Clause-Clear", "BSD 3-Clause Clear License"),
    "bsl-1.0": ("BSL-1.0", "Boost Software License 1.0"),
    "isc": ("ISC", "ISC License"),
    "ncsa": ("NCSA", "University of Illinois/NCSA Open Source License"),
    "zlib": ("Zlib", "zlib License"),
    "postgresql": ("PostgreSQL", "PostgreSQL License"),
    "ms-pl": ("MS-PL", "Microsoft Public License"),
    "afl-3.0": ("AFL-3.0", "Academic Free License v3.0"),
    "artistic-2.0": ("Artistic-2.0", "Artistic License 2.0"),
    "ecl-2.0": ("ECL-2.0", "Educational Community License v2.0"),
    "unlicense": ("Unlicense", "The Unlicense"),
    "wtfpl": ("WTFPL", "Do What The F*ck You Want To Public License"),
    "ofl-1.1": ("OFL-1.1", "SIL Open Font License 1.1"),
    "lppl-1.3c": ("LPPL-1.3c", "LaTeX Project Public License v1.3c"),
    "gpl-2.0": ("GPL-2.0-only", "GNU General Public License v2.0 only"),
    "gpl-3.0": ("GPL-3.0-only", "GNU General Public License v3.0 only"),
    "agpl-3.0": ("AGPL-3.0-only", "GNU Affero General Public License v3.0 only"),
    "lgpl-2.1": ("LGPL-2.1-only", "GNU Lesser General Public License v2.1 only"),
    "lgpl-3.0": ("LGPL-3.0-only", "GNU Lesser General Public License v3.0 only"),
    "lgpl-lr": ("LGPLLR", "Lesser General Public License For Linguistic Resources"),
    "mpl-2.0": ("MPL-2.0", "Mozilla Public License 2.0"),
    "epl-1.0": ("EPL-1.0", "Eclipse Public License 1.0"),
    "epl-2.0": ("EPL-2.0", "Eclipse Public License 2.0"),
    "eupl-1.1": ("EUPL-1.1", "European Union Public License 1.1"),
    "eupl-1.2": ("EUPL-1.2", "European Union Public License 1.2"),
    "osl-3.0": ("OSL-3.0", "Open Software License 3.0"),
    "cc0-1.0": ("CC0-1.0", "Creative Commons Zero v1.0 Universal"),
    "cc-by-2.0": ("CC-BY-2.0", "Creative Commons Attribution 2.0 Generic"),
    "cc-by-2.5": ("CC-BY-2.5", "Creative Commons Attribution 2.5 Generic"),
    "cc-by-3.0": ("CC-BY-3.0", "Creative Commons Attribution 3.0 Unported"),
    "cc-by-4.0": ("CC-BY-4.0", "Creative Commons Attribution 4.0 International"),
    "cc-by-sa-3.0": ("CC-BY-SA-3.0", "Creative Commons Attribution Share Alike 3.0 Unported"),
    "cc-by-sa-4.0": ("CC-BY-SA-4.0", "Creative Commons Attribution Share Alike 4.0 International"),
    "cc-by-nd-4.0": ("CC-BY-ND-4.0", "Creative Commons Attribution No Derivatives 4.0 International"),
    "cc-by-nc-2.0": ("CC-BY-NC-2.0", "Creative Commons Attribution Non Commercial 2.0 Generic"),
    "cc-by-nc-3.0": ("CC-BY-NC-3.0", "Creative Commons Attribution Non Commercial 3.0 Unported"),
    "cc-by-nc-4.0": ("CC-BY-NC-4.0", "Creative Commons Attribution Non Commercial 4.0 International"),
    "cc-by-nc-nd-3.0": (
        "CC-BY-NC-ND-3.0",
        "Creative Commons Attribution Non Commercial No Derivatives 3.0 Unported",
    ),
    "cc-by-nc-nd-4.0": (
        "CC-BY-NC-ND-4.0",
        "Creative Commons Attribution Non Commercial No Derivatives 4.0 International",
    ),
    "cc-by-nc-sa-2.0": (
        "CC-BY-NC-SA-2.0",
        "Creative Commons Attribution Non Commercial Share Alike 2.0 Generic",
    ),
    "cc-by-nc-sa-3.0": (
        "CC-BY-NC-SA-3.0",
        "Creative Commons Attribution Non Commercial Share Alike 3.0 Unported",
    ),
    "cc-by-nc-sa-4.0": (
        "CC-BY-NC-SA-4.0",
        "Creative Commons Attribution Non Commercial Share Alike 4.0 International",
    ),
    "cdla-sharing-1.0": ("CDLA-Sharing-1.0", "Community Data License Agreement Sharing 1.0"),
    "cdla-permissive-1.0": ("CDLA-Permissive-1.0", "Community Data License Agreement Permissive 1.0"),
    "cdla-permissive-2.0": ("CDLA-Permissive-2.0", "Community Data License Agreement Permissive 2.0"),
    "c-uda": ("C-UDA-1.0", "Computational Use of Data Agreement v1.0"),
    "odc-by": ("ODC-By-1.0", "Open Data Commons Attribution License v1.0"),
    "odbl": ("ODbL-1.0", "Open Data Commons Open Database License v1.0"),
    "pddl": ("PDDL-1.0", "Open Data Commons Public Domain Dedication & License 1.0"),
    "etalab-2.0": ("etalab-2.0", "Etalab Open License 2.0"),
}
_LIST = "https://huggingface.co/docs/hub/repositories-licenses"
_RESEARCH = (
    "deepfloyd-if-license", "fair-noncommercial-research-license", "apple-amlr", "h-research",
    "intel-research", "qwen-research",
)  # fmt: skip
# Licences that ask for the same licence again, by their names without a version.
_SHARE_ALIKE = ("cc-by-sa", "cc-by-nc-sa", "cdla-sharing", "odbl")
_OPEN_ENDED = ("other", "unknown", "cc")  # ids that do not say whether commercial use is allowed


@dataclass(frozen=True)
class DataLicence:
    """The licence of published data.

    id: on the Hub's list. name, link: in words and where its text stands, for the id "other" alone.

    Raises BadInput for an unknown id, for "other" without name and link, and for these with another id.
    """

    id: str = LICENCE
    name: str | None = None
    link: str | None = None

    def __post_init__(self) -> None:
        if self.id not in LICENCES:
            near = get_close_matches(self.id.strip().lower(), LICENCES, n=3, cutoff=0.6)
            hint = f"did you mean {' or '.join(near)}?" if near else "such as cc-by-nc-4.0 or cc-by-4.0"
            raise BadInput(f"--license {self.id!r} is none of the Hub's ids; {hint} (all: {_LIST[8:]})")
        given = [bool((value or "").strip()) for value in (self.name, self.link)]
        if self.id == "other" and not all(given):
            raise BadInput("--license other needs --license-name and --license-link; give both, or an id")
        if self.id != "other" and (self.name is not None or self.link is not None):
            raise BadInput(
                f"--license-name and --license-link are for --license other, and --license is {self.id};"
                " leave them out"
            )
        if any("\n" in value for value in (self.name or "", self.link or "")):
            raise BadInput("--license-name or --license-link has several lines; give one line each")

    @property
    def title(self) -> str:
        """Its name in words; the Hub's id where SPDX does not list it."""
        return self.name or (_SPDX[self.id][1] if self.id in _SPDX else self.id)

    @property
    def url(self) -> str:
        """Where its text stands: at SPDX, else the Hub's page on licences."""
        return self.link or (
            f"https://spdx.org/licenses/{_SPDX[self.id][0]}.html" if self.id in _SPDX else _LIST
        )

    @property
    def front_matter(self) -> dict[str, str]:
        """The keys of a card's metadata."""
        named = {"license_name": self.name, "license_link": self.link}
        return {"license": self.id, **{key: value for key, value in named.items() if value is not None}}


def licence_in(provenance: Mapping[str, Any]) -> DataLicence:
    """The licence that a build recorded; builds before there was a choice had the default."""
    return DataLicence(**provenance.get("licence", {}))


def contradictions(licence: DataLicence, models: Iterable[Mapping[str, Any]]) -> list[str]:
    """A line for each model whose licence asks for what the data's licence does not.

    models: as `provenance.models_of` describes them; one without a known licence is passed over.
    """
    known = [(model["name"], model["licence"]) for model in models if model["licence"] is not None]
    lines = []
    for name, stated in known:
        if _not_commercial(stated["id"]) and not (_not_commercial(licence.id) or licence.id in _OPEN_ENDED):
            lines.append(
                tr(
                    "warning  the data's licence {licence} allows commercial use, and that of {model} does"
                    " not: {duty}",
                    licence=licence.id,
                    model=name,
                    duty=stated["duty"],
                )
            )
        elif _family(stated["id"]) in _SHARE_ALIKE and _family(stated["id"]) != _family(licence.id):
            lines.append(
                tr(
                    "warning  the data's licence {licence} is not that of {model}, which asks for the same:"
                    " {duty}",
                    licence=licence.id,
                    model=name,
                    duty=stated["duty"],
                )
            )
    return lines


def check_source(name: str, licence: str | None, given: str | None) -> None:
    """Raises BadInput where the licence of problems forbids sharing what is made of them.

    licence: as their source states it, or None. given: by the user, an id of the Hub's list, or None.
    """
    if given is not None and given not in LICENCES:
        near = get_close_matches(given.strip().lower(), LICENCES, n=3, cutoff=0.6)
        hint = f"did you mean {' or '.join(near)}?" if near else "such as cc-by-4.0 or mit"
        raise BadInput(f"--problems-licence {given!r} is none of the Hub's ids; {hint} (all: {_LIST[8:]})")
    if licence is not None and no_derivatives(licence):
        raise BadInput(
            f"the licence of {name} is {licence}, under which nothing that is made of it may be shared; take"
            " other problems"
        )


def licence_with(source: str | None, given: DataLicence | None, name: str = "") -> DataLicence:
    """The licence of data that holds problems under the licence `source`, no looser than that.

    source: an id of the Hub's list; None where there is none or it is not known. given: the user's choice;
    None takes the source's own where that asks for the same, else the default. Raises BadInput for a choice
    that the source's licence does not allow.
    """
    same = source in LICENCES and _asks_for_same(source)
    if given is None:
        return DataLicence(source) if source is not None and same else DataLicence()
    if source is None or given.id == source:
        return given
    if same and not (_family(given.id) == _family(source) and given.id >= source):
        raise BadInput(
            f"--license is {given.id}, and {name} is under {source}, which asks for the same; leave --license"
            " out"
        )
    if _not_commercial(source) and not (_not_commercial(given.id) or given.id in _OPEN_ENDED):
        raise BadInput(
            f"--license {given.id} allows commercial use, and {source} of {name} does not; leave it out"
        )
    return given


def _asks_for_same(name: str) -> bool:
    copyleft = ("gpl", "agpl", "lgpl", "gfdl", "osl", "eupl")
    return _family(name) in (*_SHARE_ALIKE, *copyleft)


def _not_commercial(name: str) -> bool:
    return name.startswith("cc-by-nc") or name in _RESEARCH


def _family(name: str) -> str:
    """The id without its version: cc-by-sa-4.0 and cc-by-sa-3.0 are both cc-by-sa."""
    head, _, version = name.rpartition("-")
    return head if version[:1].isdigit() else name
