"""Chat options and the place of a domain's text: names, values, identity, plan, card and builds."""

from __future__ import annotations

import json
import shutil
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from families import FAMILIES

from chat_formats import BUILT, GEMMA_2, IDEFICS, LLAVA, MISTRAL_1, QWEN_CODER
from conftest import PROBLEMS, Answers, small_domain, small_recipe
from fake_server import FakeServer
from magpie_hf.building.build import build
from magpie_hf.card.provenance import provenance
from magpie_hf.cli.commands.assembly import recipe_of
from magpie_hf.cli.commands.exit_codes import BAD_INPUT, OK
from magpie_hf.cli.commands.options import domains as domains_of
from magpie_hf.cli.main import main, parser
from magpie_hf.domains import DOMAINS, solver_sampling
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.engines.served.endpoint import Endpoint
from magpie_hf.errors import BadInput
from magpie_hf.models.chat import chat_of
from magpie_hf.models.generation import is_reasoning
from magpie_hf.models.model import Model, resolve
from magpie_hf.models.sampling import Sampling
from magpie_hf.models.switches import (
    options_for,
    parse_chat_options,
    settings_of,
    switches_of,
    system_place_of,
    with_chat_options,
)
from magpie_hf.recipe import Recipe
from magpie_hf.scorers.judge import Judge
from magpie_hf.stage import canonical, fingerprint, identity
from magpie_hf.stages.instruct import Instruct

# ChatML with Qwen3's switch, and gpt-oss's effort in the system's turn.
SWITCHED = """\
{%- set effort = reasoning_effort if reasoning_effort is defined else 'medium' %}<|im_start|>system
{{ messages[0].content ~ '\n' if messages[0].role == 'system' }}Effort: {{ effort }}<|im_end|>
{% for m in messages if m.role != 'system' %}<|im_start|>{{ m.role }}
{% if m.role == 'assistant' %}{%- generation -%}{{ m.content }}{% endgeneration %}{% else %}{{ m.content }}
{%- endif %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% if enable_thinking is defined and enable_thinking is false %}<think>

</think>

{% endif %}{% endif %}"""
DOMAIN = DOMAINS["algebra"]
TEXT = "The user will ask about rings."


def copy(model: Path, folder: Path, template: str | None) -> Path:
    """The model's folder with another template; its weights are links."""
    folder.mkdir()
    for file in model.iterdir():
        if file.suffix == ".safetensors":
            (folder / file.name).symlink_to(file.resolve())
        elif file.is_file() and file.suffix != ".jinja":
            shutil.copy(file, folder / file.name)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config.pop("chat_template", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    if template is not None:
        (folder / "chat_template.jinja").write_text(template)
    return folder


@pytest.fixture
def switched(demo_model: Path, tmp_path: Path) -> Path:
    return copy(demo_model, tmp_path / "switched", SWITCHED)


def of(path: Path, template: str, **options: Any) -> Model:
    """A model of which only the template is there."""
    path.mkdir(exist_ok=True)
    (path / "chat_template.jinja").write_text(template)
    return with_chat_options(Model(path.name, "r", path=str(path)), options)


# Names


@pytest.mark.parametrize(
    ("template", "names"),
    [
        (SWITCHED, ("enable_thinking", "reasoning_effort")),
        (QWEN_CODER.template, ()),
        ("{{ bos_token }}{{ messages[0].content }}{% if tools %}{{ builtin_tools }}{% endif %}", ()),
        ("{{ raise_exception('x') if documents }}{{ strftime_now('%d') }}{{ namespace(a=1).a }}", ()),
        ("{% if not date_string is defined %}{% set date_string = 'x' %}{% endif %}", ("date_string",)),
        ("{% set thinking = thinking | default(false) %}{{ thinking }}", ("thinking",)),
        ("{% macro a(b) %}{{ b }}{{ effort }}{% endmacro %}{{ a(1) }}", ("effort",)),
        ("{% for m in messages %}{% if m %}{% break %}{% endif %}{{ loop.index }}{% endfor %}", ()),
        ("{% broken", ()),
    ],
)
def test_the_names_that_a_template_reads(template: str, names: tuple[str, ...], tmp_path: Path) -> None:
    assert switches_of(of(tmp_path / "m", template)) == names


def test_every_family_of_the_tests_can_be_parsed_and_its_place_is_the_chat_formats_own(
    tmp_path: Path,
) -> None:
    for number, family in enumerate(FAMILIES):
        model = of(tmp_path / str(number), family.template)
        assert switches_of(model) == (), family.name
        assert system_place_of(model) == family.chat().system_place, family.name


# transformers gives None for the tools that are not there
TOOLS = "{% if tools is not none %}{{ tools[0].name }}{% endif %}" + QWEN_CODER.template


@pytest.mark.parametrize(
    "template", [*(form.template for form in BUILT), GEMMA_2, MISTRAL_1, LLAVA, IDEFICS, TOOLS]
)
def test_the_place_of_a_domains_text(template: str, tmp_path: Path) -> None:
    place = "user" if template in (GEMMA_2, MISTRAL_1) else "system"
    assert system_place_of(of(tmp_path / "m", template)) == place


def test_an_unknown_name_is_refused_with_the_templates_own(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"of m does not read 'think'; choose from enable_thinking, reasoning"):
        of(tmp_path / "m", SWITCHED, think=True)
    with pytest.raises(BadInput, match=r"reads neither 'think' nor any other option; leave it out"):
        of(tmp_path / "m", QWEN_CODER.template, think=True)


# Values


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("enable_thinking=true", (None, "enable_thinking", True)),
        ("solver:effort=high", ("solver", "effort", "high")),
        ('judge:a="1"', ("judge", "a", "1")),
        ("a=0.5", (None, "a", 0.5)),
        ('a={"b": [1]}', (None, "a", {"b": [1]})),
        ("a=b=c: d", (None, "a", "b=c: d")),
        ("a=NaN", (None, "a", "NaN")),
    ],
)
def test_values_are_json_or_text(text: str, parsed: tuple[Any, ...]) -> None:
    assert parse_chat_options([text]) == [parsed]


@pytest.mark.parametrize(
    "text",
    [
        *("a", "a=", "=1", "scorer:a=1", "a b=1", "a=True", "a=None", "a=FALSE"),
        *("enable_thinking=0", "solver:thinking=off", "enable_reasoning=No"),
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(BadInput, match="--chat-option is"):
        parse_chat_options([text])


def test_options_reach_the_roles_whose_template_has_the_name() -> None:
    switches = {"model": ("plain", ()), "solver": ("hybrid", ("t", "e")), "judge": ("hybrid", ("t", "e"))}
    given = parse_chat_options(["solver:t=true", "t=false", "judge:e=1"])
    assert options_for(given, switches) == {"model": {}, "solver": {"t": True}, "judge": {"t": False, "e": 1}}
    for option, line in [
        ("tagger:t=1", "for the tagger, and this build has none"),
        ("model:t=1", "of plain reads neither 't' nor any other"),
        ("x=1", "of plain, hybrid does not read 'x'; choose from e, t"),
    ]:
        with pytest.raises(BadInput, match=line):
            options_for(parse_chat_options([option]), switches)


@pytest.mark.parametrize(
    ("options", "thinks"),
    [
        ({}, True),
        ({"enable_thinking": False}, False),
        ({"enable_thinking": True}, True),
        ({"reasoning_effort": "none"}, False),
        ({"reasoning_effort": "high"}, True),
        ({"enable_thinking": None}, True),
        ({"enable_thinking": False, "reasoning_effort": "high"}, False),
    ],
)
def test_a_switch_says_whether_a_model_reasons(options: dict[str, Any], thinks: bool, tmp_path: Path) -> None:
    model = of(tmp_path / "m", SWITCHED, **options)
    assert is_reasoning(model) is thinks
    bound = solver_sampling([replace(DOMAIN, count=1)], model)[0].candidate.max_tokens
    assert bound == (16_384 if thinks else 4096)


def test_a_switch_that_is_off_by_default_makes_a_reasoner(tmp_path: Path) -> None:
    granite = "{% if thinking %}Think.{% endif %}{{ messages[0].content }}"
    assert not is_reasoning(of(tmp_path / "m", granite))
    assert is_reasoning(of(tmp_path / "m", granite, thinking=True))


# Identity


def test_what_an_identity_was_it_is_where_nothing_is_given() -> None:
    """As written by builds from before these fields: their results are found again."""
    model = Model("m", "r", "auto", 7)
    known = {"is": "Model", "version": 1, "name": "m", "revision": "r", "dtype": "auto", "max_length": 7}
    assert identity(model) == known
    given = replace(model, chat_options=(("a", "true"),))
    assert identity(given) == {**known, "chat_options": [["a", "true"]]}
    engine = FakeEngine(model, lambda *_: "")
    stage = {"is": "instruct", "version": Instruct.version, "engine": identity(engine), "system": "s"}
    stage["sampling"] = identity(Sampling())
    assert identity(Instruct(engine, "s", Sampling())) == stage
    assert identity(Instruct(engine, "s", Sampling(), 0.5)) == {**stage, "first_token": 0.5}
    assert identity(Instruct(engine, "s", Sampling(), place="user")) == {**stage, "place": "user"}


def test_a_value_and_its_like_are_two_models(tmp_path: Path) -> None:
    """True and 1 are equal in Python, and a template may tell them apart."""
    models = {of(tmp_path / "m", SWITCHED, enable_thinking=value) for value in (True, 1, 1.0, "true")}
    assert len(models) == 4
    assert len({fingerprint(model) for model in models}) == 4


# Prompts


def test_prompts_are_rendered_with_the_options(switched: Path) -> None:
    bare = resolve(str(switched), chat=True)
    off = with_chat_options(bare, {"enable_thinking": False, "reasoning_effort": "high"})
    asked = [{"role": "user", "content": "Q"}]
    assert (
        chat_of(bare)
        .closed_text(asked)
        .endswith("medium<|im_end|>\n<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n")
    )
    assert (
        chat_of(off)
        .closed_text(asked)
        .endswith(
            "high<|im_end|>\n<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
        )
    )
    assert "Effort: high" in chat_of(off).prefix_text(TEXT)
    assert not chat_of(off).opens_thinking
    read = chat_of(off).read("Seven")
    assert (read.text, read.thinking, read.reason) == ("Seven", None, None)
    (before,) = chat_of(off).answer_prompts([asked])
    assert chat_of(off).tokenizer.decode(before) == chat_of(off).closed_text(asked)
    assert settings_of(bare) == {"enable_thinking": None, "reasoning_effort": None}
    assert settings_of(off) == {"enable_thinking": "false", "reasoning_effort": '"high"'}


def test_thinking_that_a_switch_opens_is_read(demo_model: Path, tmp_path: Path) -> None:
    template = SWITCHED.replace("is false %}<think>\n\n</think>\n\n", "%}<think>\n")
    assert template != SWITCHED
    model = resolve(str(copy(demo_model, tmp_path / "m", template)))
    on = with_chat_options(model, {"enable_thinking": True})
    assert not chat_of(model).opens_thinking
    assert chat_of(on).opens_thinking
    read = chat_of(on).read("I think.</think>Seven")
    assert (read.thinking, read.answer, read.reason) == ("I think.", "Seven", None)


# Steering


def recipe(answers: Answers, steer: str | None, **other: Any) -> Recipe:
    return replace(small_recipe(answers, "algebra", count=4), steer=steer, **other)


def prefix(recipe: Recipe) -> str:
    stage = recipe.samples(recipe.domains[0])[0][1][0][0]
    assert isinstance(stage, Instruct)
    assert stage.run({"domain": ["algebra"], "seed": [1]})["raw_prompt_tokens"] == [
        len(chat_of(stage.engine.model).pre_query_prefix(stage.system, stage.place))
    ]
    return chat_of(stage.engine.model).prefix_text(stage.system, stage.place)


def test_where_a_domains_text_goes(switched: Path) -> None:
    answers = Answers(resolve(str(switched)))
    user, text = "<|im_start|>user\n", DOMAIN.system
    steered = f"<|im_start|>system\n{text}\nEffort: medium<|im_end|>\n{user}"
    bare = f"<|im_start|>system\nEffort: medium<|im_end|>\n{user}"
    expected = {None: steered, "system": steered, "user": f"{bare}{text}\n\n", "none": bare}
    for steer, whole in expected.items():
        one = recipe(answers, steer)
        one.check()
        assert prefix(one) == whole
        said = provenance(one)
        assert said["steer"] == (steer or "system")
        assert said["domains"][0]["pre_query_prefix"] == whole
    assert recipe(answers, "system").samples(DOMAIN) == recipe(answers, None).samples(DOMAIN), "the same rows"
    assert "steer" not in canonical(identity(recipe(answers, None)))


def test_without_a_system_role_the_way_out_is_named(demo_model: Path, tmp_path: Path) -> None:
    answers = Answers(resolve(str(copy(demo_model, tmp_path / "m", GEMMA_2))))
    with pytest.raises(BadInput, match=r"has no system role.*give --steer user or none"):
        recipe(answers, "system").check()
    recipe(answers, "user").check()
    assert provenance(recipe(answers, None))["steer"] == "user"


def test_nothing_steers_only_where_a_tagger_tells_the_domains(answers: Answers) -> None:
    one = small_recipe(answers)
    with pytest.raises(BadInput, match="only a tagger can tell the 2 domains apart"):
        replace(one, steer="none")
    with pytest.raises(BadInput, match="only a tagger"):
        replace(one, steer="none", tagger=one.solver, acceptance=replace(one.acceptance, off_topic="keep"))
    assert replace(one, steer="none", tagger=one.solver).steer == "none"
    with pytest.raises(BadInput, match="steer is 'left'; choose from system, user, none"):
        replace(one, steer="left")


# Builds, plan and card


def test_a_build_over_one_model_with_two_ways_of_thinking(switched: Path, tmp_path: Path) -> None:
    model = resolve(str(switched))
    writer, solver = Answers(model), Answers(with_chat_options(model, {"enable_thinking": False}))
    engines = FakeEngine(writer.model, writer), FakeEngine(solver.model, solver)
    domain = small_domain(DOMAIN, 6)
    made = Recipe(*engines, Judge(engines[1]), (domain,), 3, steer="none", auto_extend=0)
    rows = build(made, tmp_path / "out", shard_rows=4)
    assert writer.requests
    assert solver.requests
    assert sum(len(split) for split in rows["algebra"].values())
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| `enable_thinking=false`, `reasoning_effort`: default |" in card
    assert "| `enable_thinking`: default, `reasoning_effort`: default |" in card
    assert "No text named the domain:" in card, "and no labels are there"


def plan(capsys: pytest.CaptureFixture[str], model: Path, *more: str) -> dict[str, Any]:
    assert main(["plan", "--model", str(model), "--json", *more]) == OK
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_plan_says_what_applies(
    switched: Path, demo_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    off = plan(capsys, switched, "--chat-option", "solver:enable_thinking=false")
    assert off["chat"]["solver"] == {"enable_thinking": "false", "reasoning_effort": None}
    assert off["chat"]["model"] == {"enable_thinking": None, "reasoning_effort": None}
    assert (off["reasoning"], off["steer"]) == (False, "system")
    assert plan(capsys, switched)["reasoning"] is True
    assert plan(capsys, demo_model)["chat"] == {}
    assert (
        main(["plan", "--model", str(switched), "--steer", "none", "--chat-option", "reasoning_effort=low"])
        == OK
    )
    said = " ".join(capsys.readouterr().out.split())
    assert 'chat model, solver, judge, tagger: enable_thinking by default, reasoning_effort="low"' in said
    assert "steer no text names a domain; the tagger alone tells it" in said


def test_a_plan_says_what_other_options_make_anew(
    switched: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    build(recipe(Answers(resolve(str(switched))), "user"), out, shard_rows=4)

    def why(*more: str) -> dict[str, str]:
        same = ["--domains", "algebra", "--count", "4", "--k", "3", "--tagger", "none", "--out", str(out)]
        same += ["--instruction-temperature", str(PROBLEMS)]
        return {one["stage"]: one["why"] for one in plan(capsys, switched, *same, *more)["done"]}

    assert "steer" not in why("--steer", "user")["instruct"]
    assert "chat-option" not in why("--steer", "user")["candidates"]
    assert "steer user → none" in why("--steer", "none")["instruct"]
    assert "steer user → default" in why("--steer", "system")["instruct"]
    options = ("--steer", "user", "--chat-option", "solver:enable_thinking=false")
    assert "chat-option default → enable_thinking=false" in why(*options)["candidates"]


@pytest.mark.parametrize("command", ["build", "plan"])
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--chat-option", "thinking=true"], "does not read 'thinking'; choose from enable_thinking, reason"),
        (["--chat-option", "solver:x=1"], "does not read 'x'; choose from"),
        (["--chat-option", "judge:x=1", "--scorer", "reward"], "is for the judge, and this build has none"),
        (["--chat-option", "enable_thinking=False"], "write false"),
        (["--chat-option", "enable_thinking"], "give NAME=VALUE"),
        (["--steer", "none", "--tagger", "none"], "only a tagger can tell the 6 domains apart"),
        (["--steer", "none", "--off-topic", "keep"], "only a tagger can tell the 6 domains apart"),
    ],
)
def test_refusals_are_one_line(
    command: str, arguments: list[str], line: str, switched: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--model", str(switched), *arguments]) == BAD_INPUT
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    assert line in error


def options_of(*arguments: str) -> Namespace:
    return parser().parse_args(["build", "--decontaminate", "none", *arguments])


def test_the_options_of_a_role_make_its_model(switched: Path, demo_model: Path) -> None:
    options = options_of(
        "--model", str(switched), "--solver", str(demo_model), "--judge", str(switched),
        "--chat-option", "enable_thinking=false", "--chat-option", "judge:enable_thinking=true",
        "--steer", "user",
    )  # fmt: skip
    made = recipe_of(options, domains_of(options), print)
    assert isinstance(made.scorer, Judge)
    assert made.generator.model.chat_options == (("enable_thinking", "false"),)
    assert made.solver.model.chat_options == (), "its template has no switch"
    assert made.scorer.engine.model.chat_options == (("enable_thinking", "true"),)
    assert made.tagger is made.generator
    assert made.steer == "user"


def test_equal_models_share_an_engine_and_others_do_not(switched: Path) -> None:
    options = options_of("--model", str(switched), "--chat-option", "enable_thinking=false")
    made = recipe_of(options, domains_of(options), print)
    assert made.generator is made.solver is made.tagger is made.scorer.engine
    options = options_of("--model", str(switched), "--chat-option", "solver:enable_thinking=false")
    made = recipe_of(options, domains_of(options), print)
    assert made.generator is made.tagger is made.scorer.engine
    assert made.solver != made.generator


def test_a_server_is_shared_by_all_ways_of_asking_its_model(switched: Path) -> None:
    model = resolve(str(switched))
    with FakeServer(model=model.name) as server:
        options = options_of(
            "--model", str(switched), "--endpoint", server.url,
            "--chat-option", "solver:enable_thinking=false",
        )  # fmt: skip
        made = recipe_of(options, domains_of(options), print)
    assert isinstance(made.generator, Endpoint)
    assert isinstance(made.solver, Endpoint)
    assert made.generator.urls == made.solver.urls == (server.url,)
    assert made.solver.model.chat_options
