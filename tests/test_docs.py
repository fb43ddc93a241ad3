"""The documents hold together: links lead somewhere, commands parse, code runs, and the errors that are
explained are raised.
"""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import test_structure
import yaml

import magpie_hf
import pages
from conftest import ROOT
from magpie_hf.cli import main as cli
from magpie_hf.cli.commands import options
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.models.known import KNOWN_MODELS, known
from magpie_hf.models.model import resolve
from magpie_hf.scorers.base import Scorer
from magpie_hf.scorers.judge import Judge
from magpie_hf.text import language

sys.path.insert(0, str(pages.DOCS))
sys.path.insert(0, str(ROOT / "builders"))

import hle_math

TROUBLESHOOTING = pages.TEXT["docs/troubleshooting.md"]
FIELD = "\0"
MOST = 110  # characters of a line


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


each_page = pytest.mark.parametrize("page", pages.TEXTS, ids=name)
each_written_page = pytest.mark.parametrize("page", pages.WRITTEN, ids=name)


def test_the_reference_is_what_the_code_says() -> None:
    import reference

    assert pages.TEXTS[pages.GENERATED] == reference.reference(), "run: python docs/reference.py"


@cache
def texts() -> list[str]:
    """Every text in the package, with a mark in place of what is filled in."""
    found = []
    for file in (ROOT / "magpie_hf").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append(
                    "".join(
                        str(part.value) if isinstance(part, ast.Constant) else FIELD for part in node.values
                    )
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(re.sub("%[sd]", FIELD, node.value))
    return found


ERRORS = re.findall(r"^### `(.+)`$", TROUBLESHOOTING, re.MULTILINE)
IN_JAPANESE = re.findall(r"^### `(.+)`$", pages.TEXT["docs/ja/guide.md"], re.MULTILINE)


def test_enough_errors_are_explained_and_each_once() -> None:
    assert len(ERRORS) == len(set(ERRORS)) >= 25
    assert len(IN_JAPANESE) == len(set(IN_JAPANESE)) >= 10
    assert set(IN_JAPANESE) <= set(ERRORS)


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_that_is_explained_is_raised_so(error: str) -> None:
    words = [part for part in re.split("…", error) if part.strip(" ;:()")]
    pattern = re.compile(".*".join(map(re.escape, words)), re.DOTALL)
    assert any(pattern.search(text) for text in texts())


SHOWN = re.findall(r"^表示: 「(.+)」$", pages.TEXT["docs/ja/guide.md"], re.MULTILINE)


@pytest.mark.parametrize("error", SHOWN)
def test_an_error_that_is_explained_in_japanese_is_shown_so(error: str) -> None:
    pattern = re.compile(".*".join(map(re.escape, error.split("…"))), re.DOTALL)
    assert any(pattern.search(text) for text in language.TABLE.read_text(encoding="utf-8").splitlines())


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    """Also what `make docs` refuses: a page of the site links to no file outside docs/."""
    for path, anchor in pages.links(pages.TEXTS[page]):
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), path
        assert pages.DOCS not in page.parents or pages.DOCS in target.parents, (
            f"{path} is no page of the site"
        )
        assert not anchor or anchor in pages.anchors(pages.TEXTS[target]), f"{path}#{anchor}"


def test_anchors_are_made_as_on_github() -> None:
    text = "# A `b` c_d, e-f!\n## 分野(数学)\n## Twice\n## Twice\n```sh\n# no heading\n```\n"
    assert pages.anchors(text) == {"a-b-c_d-e-f", "分野数学", "twice", "twice-1"}


class _Loader(yaml.SafeLoader):
    """Reads mkdocs.yml and leaves its Python tags alone."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: suffix)


def entries(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    return [entry for part in (nav.values() if isinstance(nav, dict) else nav) for entry in entries(part)]


def test_every_page_is_in_the_navigation_and_every_entry_is_a_page() -> None:
    site = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), _Loader)
    nav = entries(site["nav"])
    assert len(nav) == len(set(nav))
    assert set(nav) == {str(page.relative_to(pages.DOCS)) for page in pages.PAGES}
    assert site["strict"] is True
    assert "mkdocs build --quiet" not in (ROOT / "Makefile").read_text(), "then strict mode counts no warning"
    assert site["theme"]["font"] is False, "the site asks no other machine for anything"
    checked = {**site["validation"]["nav"], **site["validation"]["links"]}
    assert set(checked.values()) == {"warn"}
    assert {"omitted_files", "not_found", "anchors", "unrecognized_links"} <= set(checked)


def test_every_page_is_linked_from_the_readme_and_the_first_page() -> None:
    wanted = {page for page in pages.PAGES if "ja" not in page.relative_to(pages.DOCS).parts} - {
        pages.DOCS / "index.md"
    }
    for start in (pages.README, pages.DOCS / "index.md"):
        linked = {(start.parent / path).resolve() for path, _ in pages.links(pages.TEXTS[start])}
        assert wanted <= linked, start


@each_written_page
def test_lines_are_short(page: Path) -> None:
    """Cells of a table and errors that are headings cannot be wrapped; in the README, nothing else is let
    through.
    """
    free = () if page in (pages.README, pages.JAPANESE) else ("|", "### `")
    long = [
        line
        for line in pages.TEXTS[page].splitlines()
        if len(line) > MOST and not line.startswith(free or "\0")
    ]
    assert long == []


@each_written_page
def test_options_exist(page: Path) -> None:
    reference = pages.TEXTS[pages.GENERATED]
    others = {
        "--served-model-name",
        "--head",
        "--port",
        "--runner",
        "--structured-outputs-config",
        "--help",
    }  # vLLM's, Ray's, argparse's
    others |= {
        "--enable-deterministic-inference",
        "--parallel",
        "--ctx-size",
        "--alias",
    }  # SGLang's, llama.cpp's
    others |= {"--gpus", "--no-cov", "--dist", "--yes"}  # docker's, pytest's, the builder hle_math's
    said = re.sub(
        r"^(?:#SBATCH|srun|vllm serve|python -m sglang|llama-server|\.venv/bin/python|trap|until|    \S).*$",
        "",
        pages.TEXTS[page],
        flags=re.MULTILINE,
    )
    for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", said):
        assert option in others or f"`{option}" in reference or f" {option}" in reference, option


@each_written_page
def test_commands_of_magpie_hf_parse_and_say_the_truth(page: Path) -> None:
    for command, comment in pages.commands(page):
        words = shlex.split(command.replace('"${endpoints[@]}"', "--endpoint http://a:8000/v1"))
        given = cli.parser().parse_args(words)
        if given.command == "build" and not given.problems:  # which are the reader's
            count = sum(domain.count for domain in options.domains(given))
            if comment:
                entry = KNOWN_MODELS[int(given.model)]
                model = entry.repository.split("/")[1]
                assert comment in (f"{count:,} problems by {model}", f"{model} による {count:,} 問")
                assert known(entry.repository) is entry


def test_enough_commands_are_shown_of_every_kind() -> None:
    shown = [command.split()[0] for page in pages.WRITTEN for command, _ in pages.commands(page)]
    commands = {
        "build",
        "plan",
        "show",
        "status",
        "report",
        "review",
        "publish",
        "sweep",
        "recipe",
        "preview",
        "calibrate",
        "diff",
    }
    assert set(shown) == commands
    assert shown.count("build") >= 16
    assert len(shown) >= 60


@each_written_page
def test_every_line_of_shell_is_sound_and_of_a_known_kind(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for block in pages.blocks(page, "sh"):
        subprocess.run(["bash", "-n"], input=block, text=True, check=True, timeout=10)
        for line in () if block.startswith("#!") else block.splitlines():
            words = shlex.split(pages.bare(line))
            if words[:1] == ["make"]:
                assert re.search(rf"^{words[1]}:", makefile, flags=re.MULTILINE), line
            elif words[:1] == ["pip"]:
                found = re.fullmatch(r"pip install \.\[(\w+)\]", " ".join(words))
                assert found is not None, words
                extra = found[1]
                assert re.search(
                    rf"^{extra} = \[", (ROOT / "pyproject.toml").read_text(), flags=re.MULTILINE
                ), line
            elif words[:1] == ["python"]:
                script = words[3:] if words[1] == "-m" else words[2:]
                assert (ROOT / words[1]).is_file() or words[1:3] == [
                    "-m",
                    "magpie_hf.builders.hle_math",
                ], line
                cli.parser().parse_args(hle_math.build_arguments(script))
            else:
                assert words[:1] in [
                    ["magpie-hf"],
                    ["CUDA_VISIBLE_DEVICES=0,1"],
                    ["vllm"],
                    [".venv/bin/python"],
                ], line


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for text in pages.TEXTS.values():
        for target in re.findall(r"(?:^|`)make (\w+)", text, flags=re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
    assert "make test" in (ROOT / ".ci" / "run").read_text()


@each_written_page
def test_code_compiles_and_imports_what_there_is(page: Path) -> None:
    """Most of it is run, too: see test_guide.py, test_publishing.py and test_builds_vllm.py."""
    for block in pages.blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module == "magpie_hf":
                assert all(hasattr(magpie_hf, alias.name) for alias in node.names)


@each_page
def test_nothing_is_installed_by_a_name_that_no_index_has(page: Path) -> None:
    assert "pip install magpie" not in pages.TEXTS[page]
    if page != pages.GENERATED:
        assert "install 'magpie" not in pages.TEXTS[page]


@each_page
def test_files_of_the_package_that_are_named_exist(page: Path) -> None:
    for path in re.findall(
        r"`((?:magpie_hf|builders|tests|docs|cards|benchmarks)/[\w/.*-]+)`", pages.TEXTS[page]
    ):
        assert list(ROOT.glob(path.rstrip("/"))), path


def test_the_table_of_folders_is_that_of_the_floors() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*?) \|", pages.TEXT["docs/contributing.md"], flags=re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, len(test_structure.FLOORS) + 1))
    assert [set(re.findall(r"`(\w+)`", parts)) for _, parts in rows] == test_structure.FLOORS


def test_the_recipe_for_a_scorer_names_all_that_a_scorer_has(
    demo_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = pages.sections(pages.TEXT["docs/contributing.md"])["A domain, a scorer, an engine"]
    needed = {one for one in vars(Scorer) if not one.startswith("_") and one != "engine"} | {
        "engine",
        "__call__",
    }
    assert needed == set(re.findall(r"^\| `(\w+)", recipe, flags=re.MULTILINE))
    (code,) = pages.blocks(pages.DOCS / "contributing.md", "python")
    module = ModuleType("brevity")
    monkeypatch.setitem(sys.modules, "brevity", module)  # a dataclass looks for its module
    exec(compile(code, "contributing.md", "exec"), module.__dict__)
    scorer = module.Brevity(FakeEngine(resolve(str(demo_model)), None))
    assert all(hasattr(scorer, one) for one in needed)
    assert set(vars(Judge)) >= needed - {"engine", "title"}
    longer, shorter = scorer(["p", "p"], ["four", "two"])
    assert shorter.score > longer.score


def test_concepts_explain_the_words_of_the_columns_and_options() -> None:
    concepts = pages.TEXT["docs/concepts.md"]
    for word in (
        "majority_share",
        "answer_cluster",
        "score_gap",
        "pair_kind",
        "--min-score-gap",
        "--first-token-temperature",
    ):
        assert f"`{word}`" in concepts, word
    headings = re.findall(r"^### (.*)$", concepts, flags=re.MULTILINE)
    assert len(headings) == len(set(headings)) >= 40


def test_no_host_of_a_registry_and_no_path_of_a_machine() -> None:
    site = {"mkdocs.yml": (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), **pages.TEXT}
    for page, text in site.items():
        assert not re.search(r"pypi\.|/root/|/tmp/|/home/", text), page
