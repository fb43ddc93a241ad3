"""Stages, scorers and rules of one's own, from a folder outside the repository, named in dicts alone."""

from __future__ import annotations

import importlib
import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from datasets import DatasetDict, Value
from test_hub import REPO, WRITER, ended, run

import pages
from chromium import Opened, chromium
from conftest import ROOT, Answers, small_recipe
from loopback_hub import loopback_hub
from magpie_hf.building.build import build
from magpie_hf.cli.commands.exit_codes import OK
from magpie_hf.cli.commands.recipe_files import build_options, with_recipe
from magpie_hf.cli.from_python import read_recipe
from magpie_hf.cli.main import main, parser
from magpie_hf.dataset.unfinished import finished_part
from magpie_hf.engines.base import Completion
from magpie_hf.errors import BadInput, EngineError, Faults, StepFailed
from magpie_hf.models.model import resolve
from magpie_hf.models.sampling import Sampling
from magpie_hf.named import needs_code
from magpie_hf.recipe import Recipe
from magpie_hf.recipe_file.reading import read
from magpie_hf.recipe_file.schema import schema
from magpie_hf.recipe_file.writing import beyond, said_of, text_of
from magpie_hf.report.write import report
from magpie_hf.scorers.own import scorer_of
from magpie_hf.selection.rules import reason_of, rules_of
from magpie_hf.selection.selection import Acceptance
from magpie_hf.stage import identity, use_of
from magpie_hf.stages.guard import Fault
from magpie_hf.stages.step import Step, steps_of

PAGE = pages.DOCS / "own-steps.md"
DIFFICULTY, PARTS = pages.blocks(PAGE, "python")
BLOCK = {key: value for text in pages.blocks(PAGE, "yaml") for key, value in yaml.safe_load(text).items()}
COLUMN = "estimated_difficulty"
OPINIONS = 0.25  # the temperature at which they are asked for
MORE = '''
import os
from dataclasses import dataclass
from typing import ClassVar

from datasets import Features, Value

from magpie_hf import Engine, Sampling, Stage, chat_of
from magpie_hf.stage import seed_of


@dataclass(frozen=True)
class Words(Stage):
    name: ClassVar[str] = "words"
    reads: ClassVar[tuple[str, ...]] = ("problem",)
    column: str = "num_words"
    kind: str = "int32"
    fails_at: str = field_default

    @property
    def adds(self):
        return Features({self.column: Value(self.kind)})

    def run(self, batch):
        if any(self.fails_at and self.fails_at in problem for problem in batch["problem"]):
            raise ZeroDivisionError("no words")
        return {self.column: [len(problem.split()) for problem in batch["problem"]]}


@dataclass(frozen=True)
class Opinion(Stage):
    """Asks a model about each problem."""

    name: ClassVar[str] = "opinion"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("problem", "seed")
    engine: Engine
    upper: bool = False

    @property
    def adds(self):
        return Features({"opinion": {"text": Value("string"), "words": [Value("string")]}})

    def run(self, batch):
        prompts = chat_of(self.engine.model).closed_prompts(
            [{"role": "user", "content": f"What of this? {problem}"}] for problem in batch["problem"]
        )
        seeds = [seed_of(seed, "opinion") for seed in batch["seed"]]
        said = [one.text for one in self.engine.complete(list(prompts), Sampling(temperature=0.25), seeds)]
        said = [text.upper() if self.upper else text for text in said]
        return {"opinion": [{"text": text, "words": text.split()} for text in said]}


@dataclass(frozen=True)
class Odd:
    name: ClassVar[str] = "odd"
    reads: ClassVar[tuple[str, ...]] = ("num_words",)
    reasons: ClassVar[dict[str, str]] = {"odd_words": "has an odd number of words"}

    def __call__(self, row):
        return "odd_words" if row["num_words"] % 2 else None
'''.replace("field_default", '""')


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder outside the repository on Python's path, with the modules of the page and of this file."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for name, text in {"my_steps": DIFFICULTY, "my_parts": PARTS, "more_steps": MORE}.items():
        (folder / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(folder)
    return folder


def own(recipe: Recipe, block: dict[str, Any]) -> Recipe:
    """The recipe with what the block of a recipe file names."""
    scorer = {"scorer": scorer_of(block["scorer"])} if "scorer" in block else {}
    acceptance = Acceptance(rules=rules_of(block.get("rules", [])))
    return replace(recipe, steps=steps_of(block.get("steps", [])), acceptance=acceptance, **scorer)


WORDS = {
    "use": "more_steps:Words",
    "after": "clean",
    "to": ["candidates"],
    "describe": {"num_words": "words"},
}
OPINION = {"use": "more_steps:Opinion", "after": "accepted", "with": {"engine": "solver"}}


def rows(datasets: dict[str, DatasetDict]) -> dict[str, Any]:
    return {
        config: {split: one.to_list() for split, one in each.items()} for config, each in datasets.items()
    }


def test_the_pages_parts_reach_what_they_name(elsewhere: Path, answers: Answers, tmp_path: Path) -> None:
    assert len(DIFFICULTY.splitlines()) <= 40
    answers.answers = 3
    recipe = replace(small_recipe(answers, "algebra", count=5), rl_majority_share=0.3)
    block = {
        **BLOCK,
        "steps": [*BLOCK["steps"], WORDS],
        "rules": [*BLOCK["rules"], {"use": "more_steps:Odd"}],
    }
    assert needs_code(block) == ["my_steps:Difficulty", "more_steps:Words", "my_parts:Shorter",
                                 "my_parts:FewWords", "more_steps:Odd"]  # fmt: skip
    made = build(own(recipe, block), tmp_path / "out", shard_rows=3)
    sft, prefs = made["algebra"]["train_sft"], made["algebra"]["train_prefs"]
    rl, candidates = made["algebra_rl"]["train"], made["candidates"]["train"]
    assert sft.features[COLUMN] == rl.features[COLUMN] == Value("float32")
    by_id = {row["id"]: row for row in candidates}
    for row in sft:
        tokens = [one["num_tokens"] for one in by_id[row["id"]]["candidates"] if one["reason"] is None]
        against = 1 - (row["majority_share"] or 1)
        estimate = 0.7 * against + 0.3 * sum(tokens) / len(tokens) / 1024 if row["answer_votes"] else None
        assert row[COLUMN] == pytest.approx(estimate, abs=1e-6)
    assert (
        dict(zip(rl["id"], rl[COLUMN], strict=True)).items()
        <= dict(zip(sft["id"], sft[COLUMN], strict=True)).items()
    )
    assert len(rl)
    assert len(prefs)
    assert prefs[COLUMN] == [None] * len(prefs), "prefs has the columns of sft, and was not named"
    assert COLUMN not in candidates.features
    assert candidates["num_words"] == [len(text.split()) for text in candidates["problem"]]
    assert all(number % 2 == 0 and number <= 50 for number in candidates["num_words"])
    scores = [one for row in candidates for one in row["candidates"] if one["reason"] is None]
    assert all(one["score"] == -len(one["response"]) for one in scores)

    card = (tmp_path / "out" / "README.md").read_text()
    means = BLOCK["steps"][0]["describe"][COLUMN]
    assert f"| `{COLUMN}` | `float32` | {means}; in the `sft` splits alone, else null |" in card
    assert f"| `{COLUMN}` | `float32` | {means} |" in card
    assert "| `odd_words` | has an odd number of words |" in card
    assert "| step | `estimate` | `my_steps:Difficulty` | 1 | `verify` |" in card
    again = build(own(recipe, block), tmp_path / "other", shard_rows=100, shards_in_flight=1)
    assert rows(again) == rows(made), "however the rows are cut into shards"


def test_they_are_shown(
    elsewhere: Path, answers: Answers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    answers.answers = 2
    opinion = {**OPINION, "to": ["sft"], "describe": {"opinion": "what the solver <thinks>"}}
    block = {"steps": [WORDS, opinion, {**BLOCK["steps"][0], "to": ["rl"]}]}
    recipe = replace(small_recipe(answers, "algebra", count=3), rl_majority_share=0.3)
    made = build(own(recipe, block), out)
    problem = made["algebra_rl"]["train"][0]
    opinions = {row["id"]: row["opinion"]["text"] for row in made["algebra"]["train_sft"]}
    words = len(problem["problem"].split())
    assert main(["show", str(out), "--split", "candidates", "--id", problem["id"]]) == OK
    assert f"\nnum_words: {words} (int32; words)\n" in capsys.readouterr().out
    assert main(["show", str(out), "--split", "rl", "--id", problem["id"]]) == OK
    assert f"\n{COLUMN}: {problem[COLUMN]:.6g} (float32; how hard" in capsys.readouterr().out
    assert main(["show", str(out), "--id", problem["id"]]) == OK
    assert "num_words" not in capsys.readouterr().out
    assert main(["status", str(out)]) == OK
    assert re.search(r"algebra +estimate +(\d+)/\1 ", capsys.readouterr().out)
    report(out, tmp_path / "report.html")
    with chromium() as browser:
        page = Opened.at(browser, tmp_path / "report.html")
        said = page.open(problem["id"])
        assert f"num_words{words}int32; words" in said
        assert f"{COLUMN}{problem[COLUMN]}" in said
        assert f'"text":{json.dumps(opinions[problem["id"]])}' in said
        assert "what the solver <thinks>" in said
        page.close()

    (scratch := tmp_path / "scratch").mkdir()
    part = finished_part(out / "run", scratch).splits
    assert part["algebra"]["train_sft"].dataset.to_list() == made["algebra"]["train_sft"].to_list()
    assert part["algebra_rl"]["train"].dataset.to_list() == made["algebra_rl"]["train"].to_list()


def test_another_version_asks_no_model_again(elsewhere: Path, answers: Answers, tmp_path: Path) -> None:
    recipe = small_recipe(answers, "algebra", count=6)
    opinion = {**OPINION, "to": ["candidates"], "describe": {"opinion": "what the solver thinks"}}
    first = build(own(recipe, {"steps": [opinion]}), tmp_path / "out", shard_rows=4)
    assert answers.asked(OPINIONS) == 6, "dropped samples are not asked for"
    answers.requests.clear()
    upper = {**opinion, "with": {"engine": "solver", "upper": True}}
    second = build(own(recipe, {"steps": [upper]}), tmp_path / "out", shard_rows=5)
    assert answers.asked() == 0
    assert recipe.solver == (step := own(recipe, {"steps": [opinion]}).steps[0]).engine
    given = importlib.import_module("more_steps").Opinion(recipe.solver)
    assert step == Step(given, "accepted", ("candidates",), opinion["describe"])
    assert identity(given) != identity(changed(elsewhere, "Opinion", str)(recipe.solver))
    texts = [[row["text"] for row in one["candidates"]["train"]["opinion"]] for one in (first, second)]
    assert texts[1] == [text.upper() for text in texts[0]] != texts[0]
    plain = build(recipe, tmp_path / "out")
    assert answers.asked() == 0, "nor without the step"
    assert "opinion" not in plain["candidates"]["train"].features


def test_a_fault_names_the_row_and_the_build_goes_on(
    elsewhere: Path, answers: Answers, tmp_path: Path
) -> None:
    recipe = small_recipe(answers, "algebra", count=6)
    made = build(recipe, tmp_path / "plain")
    row = made["candidates"]["train"][3]
    answers.requests.clear()
    faulty = {"use": "more_steps:Words", "after": "pair", "with": {"fails_at": row["problem"]}}
    with pytest.raises(StepFailed) as failure:
        build(own(recipe, {"steps": [faulty]}), tmp_path / "out", shard_rows=4)
    assert str(failure.value).startswith(
        f"the step words (more_steps:Words) failed at the row {row['id']} (ZeroDivisionError: no words); "
    )
    answers.requests.clear()
    mended = {**faulty, "to": ["candidates"], "describe": {"num_words": "words"}, "with": {}}
    assert len(build(own(recipe, {"steps": [mended]}), tmp_path / "out")["candidates"]["train"]) == 6
    assert answers.asked() == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"use": "nowhere:Words"}, r"steps\[0\]\.use: there is no module nowhere; "),
        ({"use": "more_steps:Word"}, r"steps\[0\]\.use: more_steps has no class Word; it has Words$"),
        ({"use": "more_steps"}, r"steps\[0\]\.use: 'more_steps' names no class"),
        ({"use": "more_steps:Odd"}, r"steps\[0\]\.use: more_steps:Odd is no Stage"),
        ({"after": "verfy"}, r"steps\[0\]\.after: 'verfy' is no place; choose from sample, clean"),
        ({"to": ["train"]}, r"steps\[0\]\.to: 'train' is no split"),
        ({"describe": {}}, r"steps\[0\]\.describe: num_words has no description"),
        ({"descibe": {}}, r"steps\[0\]\.descibe: there is no such key here; choose from use, with, after"),
        ({"with": {"colum": "x"}}, r"steps\[0\]\.with\.colum: more_steps:Words has no such field; it has"),
        ({"with": {"column": 3}}, r"steps\[0\]\.with\.column: 3 is no str; give one to more_steps:Words"),
        ({"with": {"column": "prompt"}}, r"adds prompt, by which TRL's trainers train otherwise"),
        ({"with": {"column": "solution"}}, r"adds solution, which exists already"),
        ({"with": {"kind": "int33"}}, r"whose types are none of Arrow"),
        ({"with": {"kind": "date32"}}, r"adds num_words as Value\('date32'\)"),
        ({"after": "tag"}, r"the step words stands after tag, which this build does not have"),
        ({"after": "sample"}, r"more_steps:Words\) reads problem, which is there only after clean"),
        ({"to": ["rl"]}, r"the step words goes to rl, and this build has no RL problems"),
        ({"with": {"column": "candidates"}, "to": []}, r"adds candidates, which exists already"),
        ({"with": {"column": "contaminated_by"}, "to": [], "describe": {}}, "contaminated_by, which exists"),
        (
            {"use": "more_steps:Opinion", "to": [], "describe": {}, "with": {"engine": "tagger"}},
            "the engine of more_steps:Opinion is the tagger's, and this build has none",
        ),
        (
            {"use": "more_steps:Opinion", "to": [], "describe": {}, "with": {"engine": "solvr"}},
            "the engine of more_steps:Opinion is 'solvr'; choose from solver$",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_before_anything_runs(
    elsewhere: Path, answers: Answers, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadInput, match=said) as error:
        own(small_recipe(answers, "algebra"), {"steps": [{**WORDS, **change}]})
    assert "\n" not in str(error.value)
    assert answers.asked() == 0


def test_a_step_has_no_name_of_a_round(elsewhere: Path, answers: Answers) -> None:
    """Its tokens would count as those of harder problems."""
    named = changed(elsewhere, "Words", lambda text: text.replace('= "words"', '= "words_round1"'))
    assert named.name == "words_round1"
    step = Step(named(), "clean")
    with pytest.raises(BadInput, match="the step words_round1 has the name of another stage"):
        replace(small_recipe(answers, "algebra"), steps=(step,))


def test_every_fault_is_said(elsewhere: Path) -> None:
    with pytest.raises(Faults) as error:
        steps_of([{**WORDS, "after": 3, "to": ["train"]}, WORDS, {"use": "more_steps:Odd"}, "words"])
    starts = [str(fault).partition(":")[0] for fault in error.value.faults]
    assert starts == ["steps[0].after", "steps[0].to", "steps[2].use", "steps[2].after", "steps[3]"]
    with pytest.raises(Faults, match=r"^rules\[0\]\.use: more_steps:Words is no rule"):
        rules_of([{"use": "more_steps:Words"}])
    with pytest.raises(BadInput, match=r"^scorer\.use: more_steps:Odd is no scorer, as it has no suffix"):
        scorer_of({"use": "more_steps:Odd"})


def changed(elsewhere: Path, use: str, change: Callable[[str], str]) -> Any:
    """A class of `more_steps` in a module of its own, whose text is changed."""
    (elsewhere / "changed.py").write_text(change(MORE))
    sys.modules.pop("changed", None)
    importlib.invalidate_caches()
    return getattr(importlib.import_module("changed"), use)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("len(problem.split())", "'many'", r"num_words is 'many', which is no int32"),
        (
            "len(problem.split()) for",
            "0 for _ in 'ab' for",
            r"ValueError: \d+ values of num_words for \d rows",
        ),
        ("self.column: [", "'other': [", r"ValueError: 0 values of num_words for \d rows"),
    ],
)
def test_wrong_values_are_traced(
    elsewhere: Path, answers: Answers, tmp_path: Path, old: str, new: str, said: str
) -> None:
    words = changed(elsewhere, "Words", lambda text: text.replace(old, new))
    recipe = replace(small_recipe(answers, "algebra", count=2), steps=(Step(words(), "clean"),))
    with pytest.raises(StepFailed, match=rf"changed:Words\) failed at the row algebra-[0-9a-f]+ \({said}"):
        build(recipe, tmp_path / "out")


def test_wrong_rules_are_said(elsewhere: Path, answers: Answers, tmp_path: Path) -> None:
    call = 'return "odd_words" if row["num_words"] % 2 else None'
    odd = changed(elsewhere, "Odd", lambda text: text.replace(call, 'return "even_words"'))
    recipe = replace(small_recipe(answers, "algebra", count=2), steps=steps_of([WORDS]))
    faulty = replace(recipe, acceptance=Acceptance(rules=(odd(),)))
    said = r"the rule odd \(changed:Odd\) failed at the row algebra-[0-9a-f]+ \('even_words' is none of its r"
    with pytest.raises(StepFailed, match=said):
        build(faulty, tmp_path / "out")
    listed = changed(elsewhere, "Odd", lambda text: text.replace(call, "return []"))
    with pytest.raises(StepFailed, match=r"\(\[\] is none of its reasons"):
        reason_of((listed(),), {"id": "a-1", "num_words": 1})
    with pytest.raises(
        BadInput, match=r"rule odd \(changed:Odd\) reads num_words, which is not there; there"
    ):
        replace(faulty, steps=())
    taken = changed(elsewhere, "Odd", lambda text: text.replace('{"odd_words"', '{"empty"'))
    with pytest.raises(BadInput, match="changed:Odd has the reason empty, which exists already"):
        Acceptance(rules=(taken(),))
    fault = Fault("the step words", 3, "ValueError: no")
    assert str(pickle.loads(pickle.dumps(fault)).at("a-1")) == str(fault.at("a-1")), "as Ray sends it"


def test_a_stage_that_no_process_can_take_is_refused(elsewhere: Path) -> None:
    words = changed(elsewhere, "Words", lambda text: text)
    with pytest.raises(BadInput, match=r"the field kind of changed:Words cannot be kept or sent to another"):
        Step(words(kind=lambda: "int32"), "clean")
    with pytest.raises(BadInput, match="changed:Words is no frozen dataclass"):
        Step(changed(elsewhere, "Words", lambda text: text.replace("(frozen=True)", "(eq=True)"))(), "clean")


@pytest.mark.parametrize(("name", "value"), [("__module__", "__main__"), ("__qualname__", "Outer.Words")])
def test_a_class_that_no_recipe_can_name_is_said(
    elsewhere: Path, answers: Answers, name: str, value: str
) -> None:
    words = changed(elsewhere, "Words", lambda text: text)
    recipe = replace(small_recipe(answers, "algebra", count=2), steps=(Step(words(), "clean"),))
    assert beyond(recipe) is None
    setattr(words, name, value)
    assert "which no recipe can name" in str(beyond(recipe))


class Failing(Answers):
    """Answers, until four opinions were asked for."""

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        if sampling.temperature == OPINIONS and self.asked(OPINIONS) == 4:
            raise EngineError("the engine died")
        return super().__call__(prompt, sampling, seed)


KILLED = """
import os, sys
sys.path[:0] = [{tests!r}, {benchmarks!r}]
from pathlib import Path
from conftest import Answers, small_recipe
from magpie_hf.models.model import resolve
from magpie_hf.building.build import build
from test_own_steps import OPINION, own

class Killing(Answers):
    def __call__(self, prompt, sampling, seed):
        answer = super().__call__(prompt, sampling, seed)
        if sampling.temperature == 0.25:
            with self.lock, open({log!r}, "a") as log:
                log.write(f"{{seed}}\\n")
            if self.asked(0.25) > {most}:
                os.kill(os.getpid(), 9)
        return answer

answers = Killing(resolve({model!r}))
build(own(small_recipe(answers, "algebra", count=8), {{"steps": [OPINION]}}), Path({out!r}), shard_rows=3)
"""


def test_what_an_engine_answered_before_it_died_is_not_asked_again(
    elsewhere: Path, answers: Answers, tmp_path: Path
) -> None:
    dying = Failing(answers.model)
    with pytest.raises(EngineError, match="the engine died"):
        build(own(small_recipe(dying, "algebra", count=8), {"steps": [OPINION]}), tmp_path / "out")
    assert dying.asked(OPINIONS) == 4
    build(
        own(small_recipe(answers, "algebra", count=8), {"steps": [OPINION]}), tmp_path / "out", shard_rows=5
    )
    assert answers.asked(OPINIONS) == 4


@pytest.mark.scale  # a process of its own takes ten seconds
def test_a_killed_build_asks_nothing_twice(elsewhere: Path, demo_model: Path, tmp_path: Path) -> None:
    paths = {"tests": str(ROOT / "tests"), "benchmarks": str(ROOT / "benchmarks"), "model": str(demo_model)}
    log, out = str(tmp_path / "log"), str(tmp_path / "out")
    environment = {**os.environ, "PYTHONPATH": f"{elsewhere}:{ROOT}"}
    code = KILLED.format(**paths, log=log, out=out, most=4)
    done = subprocess.run([sys.executable, "-c", code], env=environment, timeout=120, check=False)
    assert done.returncode == -9
    asked = Path(log).read_text().split()
    assert len(asked) == 5
    answers = Answers(resolve(str(demo_model)))
    build(own(small_recipe(answers, "algebra", count=8), {"steps": [OPINION]}), Path(out), shard_rows=5)
    again = [str(seed) for sampling, seed in answers.requests if sampling.temperature == OPINIONS]
    assert len(again) + len(asked) in (8, 9), "the last was killed before its answer was kept"
    assert len(set(again) & set(asked)) <= 1


TRAINING = """
import json, sys
sys.path.insert(0, {tests!r})
import training
from datasets import load_dataset
training.make_model({model!r})
splits = load_dataset({repo!r})
said = [
    training.sft(splits["train_sft"], None),
    training.grpo_told(load_dataset({repo!r}, "algebra_rl", split="train")),
]
print(json.dumps([[one["losses"], one["moved"]] for one in said]))
"""


@pytest.mark.trainers
def test_the_pages_example_is_published_loaded_and_trained_on(
    elsewhere: Path, demo_model: Path, tmp_path: Path
) -> None:
    answers = Answers(resolve(str(demo_model)), answers=3)
    recipe = replace(small_recipe(answers, count=12, k=5), rl_majority_share=0.3)
    made = build(own(recipe, BLOCK), tmp_path / "out")
    with loopback_hub({WRITER: ("ada", "write")}) as hub:
        code, said = ended(run(hub, tmp_path / "publisher", str(tmp_path / "out"), REPO))
        assert code == OK, said
        environment = {
            **os.environ,
            "HF_ENDPOINT": hub.endpoint,
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_TOKEN": WRITER,
        }
        values = {"tests": str(ROOT / "tests"), "model": str(demo_model), "repo": REPO}
        reload = f"""
import json
from datasets import load_dataset
print(json.dumps(list(load_dataset({REPO!r})["train_sft"][{COLUMN!r}])))
"""
        loaded, trained = (
            subprocess.run(
                [sys.executable, "-c", code],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=450,
                check=False,
            )
            for code in (reload, TRAINING.format(**values))
        )
    assert loaded.returncode == 0, loaded.stderr[-2000:]
    assert json.loads(loaded.stdout) == list(made["default"]["train_sft"][COLUMN])
    assert trained.returncode == 0, trained.stderr[-3000:]
    for losses, moved in json.loads(trained.stdout.splitlines()[-1]):
        assert len(losses) == 2
        assert moved


def test_a_recipe_file_alone_names_them(
    elsewhere: Path, demo_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read from a file, written as that of a build, and read again: the same recipe. The Hub's names none."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small").symlink_to(demo_model.resolve(), target_is_directory=True)
    opinion = {**OPINION, "with": {"engine": "model", "upper": True}}
    block = {**BLOCK, "steps": [*BLOCK["steps"], WORDS, opinion]}
    said = {"model": "small", "domains": ["algebra"], "selection": {"count": 5, "decontaminate": ["none"]}}
    said |= {"pairs": {"rl_majority_share": 0.3}, **block}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(said))
    recipe = read_recipe("mine.yaml")
    assert [step.name for step in recipe.steps] == ["estimate", "words", "opinion"]
    assert recipe.steps[2].engine == recipe.solver
    assert [rule.name for rule in recipe.acceptance.rules] == ["few_words"]
    assert use_of(recipe.scorer) == "my_parts:Shorter"
    arguments = ["plan", "mine.yaml", "--scorer", "judge"]
    blocks = with_recipe(parser(), arguments, parser().parse_args(arguments))[1].blocks
    assert "scorer" not in blocks, "an option wins"
    written = said_of(recipe)
    assert written is not None
    assert written["steps"] == block["steps"]
    assert set(needs_code(written)) == set(needs_code(block))
    jsonschema.validate(written, schema(build_options(parser())))
    (tmp_path / "again.yaml").write_bytes(text_of(written))
    again = read_recipe("again.yaml")
    assert (again.steps, again.acceptance, again.scorer) == (recipe.steps, recipe.acceptance, recipe.scorer)
    with pytest.raises(BadInput, match=r"names code of somebody's own \(my_parts:Shorter\), and none is run"):
        read(text_of(written), "hf://datasets/ada/sums/recipe.yaml", build_options(parser()))


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("steps: 3", ["1: steps: 3 is no list; write each step as an item of one"]),
        (
            "steps:\n- use: more_steps:Words\n  after: cleaned\n- use: more_steps:Word\n  after: clean",
            [
                "3: steps[0].after: 'cleaned' is no place; choose from sample, clean, tag, accepted,",
                "4: steps[1].use: more_steps has no class Word; it has Words",
            ],
        ),
        (
            "rules:\n- use: more_steps:Odd\n  with:\n    most: 3",
            ["4: rules[0].with.most: more_steps:Odd"],
        ),
        (
            "rules:\n- more_steps:Odd",
            ["2: rules[0]: 'more_steps:Odd' names no class; write"],
        ),
        (
            "scorer:\n  use: more_steps:Odd",
            ["2: scorer.use: more_steps:Odd is no scorer, as it"],
        ),
    ],
)
def test_faults_of_a_recipe_file_have_lines(elsewhere: Path, text: str, lines: list[str]) -> None:
    with pytest.raises(BadInput) as caught:
        read(text.encode(), "mine.yaml", build_options(parser()))
    found = str(caught.value).splitlines()
    assert len(found) == len(lines)
    for line, wanted in zip(found, lines, strict=True):
        assert line.startswith(f"mine.yaml:{wanted}")
