"""The licence of the data: which can be chosen, where it is stated, which models' licences it contradicts."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.licenses import canonicalize_license_expression

import magpie_hf
from conftest import Answers, small_recipe
from magpie_hf.building.build import build
from magpie_hf.card.licence import licence_file, stated
from magpie_hf.card.wording import Wording
from magpie_hf.cli.commands.exit_codes import BAD_INPUT
from magpie_hf.cli.main import main
from magpie_hf.errors import BadInput
from magpie_hf.hub.lint.card import lint_card
from magpie_hf.models.data_licence import _SPDX, DataLicence, contradictions
from magpie_hf.models.licences import DUTIES, LICENCES
from magpie_hf.models.model import resolve

OTHER = DataLicence("other", "House rules", "https://example.org/rules")


def front(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((folder / "README.md").read_text().split("---\n", 2)[1])
    return loaded


def test_every_id_has_a_name_and_a_link() -> None:
    for name in (one for one in LICENCES if one != "other"):
        licence = DataLicence(name)
        assert licence.title
        assert licence.url.startswith("https://")
        assert licence.front_matter == {"license": name}
    for spdx, _ in _SPDX.values():
        assert canonicalize_license_expression(spdx) == spdx
    assert set(_SPDX) < set(LICENCES)
    default = DataLicence()
    assert default.title == "Creative Commons Attribution Non Commercial 4.0 International"
    assert default.url == "https://spdx.org/licenses/CC-BY-NC-4.0.html"
    assert (OTHER.title, OTHER.url) == ("House rules", "https://example.org/rules")
    assert OTHER.front_matter == {
        "license": "other",
        "license_name": "House rules",
        "license_link": "https://example.org/rules",
    }


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--license", "cc-by"], "--license 'cc-by' is none of the Hub's ids; did you mean"),
        (["--license", "zzz"], "is none of the Hub's ids; such as cc-by-nc-4.0 or cc-by-4.0 (all: hugg"),
        (["--license", "other"], "--license other needs --license-name and --license-link"),
        (["--license", "other", "--license-name", "Mine"], "--license other needs --license-name and"),
        (["--license", "mit", "--license-name", "Mine"], "are for --license other, and --license is mit"),
        (["--license-link", "https://x.org"], "are for --license other, and --license is cc-by-nc-4.0"),
        (["--license", "other", "--license-name", "a\nb", "--license-link", "c"], "has several lines"),
    ],
)
def test_what_is_no_licence_is_refused_before_a_build(
    words: list[str], says: str, demo_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (
        ["build", "--model", str(demo_model), "--out", str(tmp_path / "out")],
        ["publish", str(tmp_path), "ada/sums"],
        ["plan", "--model", str(demo_model)],
    ):
        assert main([*command, *words]) == BAD_INPUT
        error = capsys.readouterr().err
        assert says in error
        assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_what_a_models_licence_asks_for_and_the_datas_does_not() -> None:
    def said(data: str, model: str) -> str:
        stated = {"id": model, "name": model, "duty": DUTIES.get(model, "")}
        return "; ".join(contradictions(DataLicence(data), [{"name": "m", "licence": stated}]))

    for data, model in (("mit", "cc-by-nc-4.0"), ("cc-by-4.0", "qwen-research"), ("odbl", "apple-amlr")):
        assert said(data, model).startswith(
            f"warning  the data's licence {data} allows commercial use, and that of m does not: "
        )
    for data, model in (("mit", "cc-by-sa-4.0"), ("cc-by-nc-4.0", "odbl"), ("cc-by-4.0", "cdla-sharing-1.0")):
        assert f"the data's licence {data} is not that of m, which asks for the same: " in said(data, model)
    for data, model in (
        ("cc-by-nc-4.0", "cc-by-nc-4.0"),
        ("cc-by-nc-sa-4.0", "cc-by-nc-sa-3.0"),
        ("cc-by-sa-4.0", "cc-by-sa-3.0"),
        ("mit", "apache-2.0"),
        ("unknown", "cc-by-nc-4.0"),
    ):
        assert said(data, model) == ""
    assert not contradictions(DataLicence("mit"), [{"name": "m", "licence": None}])


def test_the_file_names_licence_link_and_duties() -> None:
    models = [
        {"name": "org/one", "licence": {"name": "MIT", "duty": "attribution", "link": "https://x.org"}},
        {"name": "org/two", "licence": None},
    ]
    text = licence_file(OTHER, models).decode()
    assert stated(text) == OTHER.front_matter
    assert "text: https://example.org/rules\n" in text
    assert "- org/one (MIT, https://x.org): attribution\n- org/two: not stated\n" in text
    assert stated(licence_file(DataLicence(), models).decode()) == {"license": "cc-by-nc-4.0"}


def test_a_file_that_states_another_licence_than_the_card() -> None:
    card = "---\nlicense: cc-by-4.0\n---\n# Rows\n"
    same, other = (licence_file(one, []) for one in (DataLicence("cc-by-4.0"), OTHER))
    assert not any("LICENSE" in line for line in lint_card(card, {"LICENSE": same}))
    says = (
        "README.md: its licence is license cc-by-4.0, and that in the file LICENSE is license other,"
        " license_name House rules, license_link https://example.org/rules"
    )
    assert says in lint_card(card, {"LICENSE": other})
    assert any("in the file LICENSE is none" in line for line in lint_card(card, {"LICENSE": b"MIT"}))


def test_a_build_records_its_licence_and_publishing_takes_it_over(demo_model: Path, tmp_path: Path) -> None:
    out, answers = tmp_path / "out", Answers(resolve(str(demo_model)))
    recipe = small_recipe(answers, "algebra", count=8)
    build(recipe, out)
    assert front(out)["license"] == "cc-by-nc-4.0"
    asked = answers.asked()
    build(recipe, out, licence=DataLicence("cc-by-4.0"))
    assert answers.asked() == asked
    assert json.loads((out / "run" / "provenance.json").read_text())["licence"] == asdict(
        DataLicence("cc-by-4.0")
    )
    assert front(out)["license"] == "cc-by-4.0"
    assert (
        "(https://spdx.org/licenses/CC-BY-4.0.html) (`cc-by-4.0`), as the file"
        in (out / "README.md").read_text()
    )
    magpie_hf.publish_to_folder(out, "ada/sums", tmp_path / "recorded")
    assert stated((tmp_path / "recorded" / "LICENSE").read_text()) == {"license": "cc-by-4.0"}
    assert (tmp_path / "recorded" / "LICENSE").read_bytes() == (out / "LICENSE").read_bytes()
    for language in ("en", "ja"):
        to = tmp_path / language
        change, _ = magpie_hf.publish_to_folder(out, "ada/sums", to, wording=Wording(language, licence=OTHER))
        assert "LICENSE" in change.added
        assert stated((to / "LICENSE").read_text()) == OTHER.front_matter
        assert {key: value for key, value in front(to).items() if key.startswith("license")} == (
            OTHER.front_matter
        )
        assert "[House rules](https://example.org/rules)" in (to / "README.md").read_text()
    assert front(out)["license"] == "cc-by-4.0", "publishing changes nothing in the build"


def test_a_contradiction_is_said_by_build_and_publishing(demo_model: Path, tmp_path: Path) -> None:
    model = tmp_path / "Researcher"
    model.mkdir()
    for file in demo_model.iterdir():
        if file.name != "README.md":
            (model / file.name).symlink_to(file.resolve())
    (model / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    recipe = small_recipe(Answers(resolve(str(model))), "algebra", count=8)
    says = "warning  the data's licence mit allows commercial use, and that of Researcher does not: "
    lines: list[str] = []
    build(recipe, tmp_path / "out", licence=DataLicence("mit"), say=lines.append)
    assert [line for line in lines if line.startswith(says)]
    lines.clear()
    magpie_hf.publish_to_folder(tmp_path / "out", "ada/sums", tmp_path / "to", say=lines.append)
    assert [line for line in lines if line.startswith(says)]
    lines.clear()
    agrees = replace(Wording(), licence=DataLicence())
    magpie_hf.publish_to_folder(
        tmp_path / "out", "ada/sums", tmp_path / "to", wording=agrees, say=lines.append
    )
    assert not [line for line in lines if "warning" in line]


def test_old_builds_had_the_default() -> None:
    from magpie_hf.models.data_licence import licence_in

    assert licence_in({"models": []}) == DataLicence("cc-by-nc-4.0")
    with pytest.raises(BadInput, match="is none of the Hub's ids"):
        licence_in({"licence": {"id": "nothing"}})
