"""The solver's own sampling: from a model's files to the requests, the record and the card; and what wins."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conftest import FAST
from magpie_hf import DOMAINS, BadInput, Domain, Model, Sampling, resolve, solver_sampling
from magpie_hf.cli import main as cli
from magpie_hf.cli.commands import options
from magpie_hf.cli.commands.assembly import recipe_of
from magpie_hf.cli.commands.exit_codes import INCOMPLETE, OK
from magpie_hf.cli.main import main
from magpie_hf.domains import sampled_as, with_sampling
from magpie_hf.engines.served.wire import completion_body
from magpie_hf.engines.vllm.engine import _params
from magpie_hf.models.generation import VALUES, answer_sampling, is_reasoning
from magpie_hf.models.known import KNOWN_MODELS
from magpie_hf.planning import asking

ALGEBRA = DOMAINS["algebra"]
COLD, CANDIDATE = ALGEBRA.response, ALGEBRA.candidate
GREEDY = "domain, as the generation_config is greedy"
QWEN = {"do_sample": True, "repetition_penalty": 1.05, "temperature": 0.7, "top_p": 0.8, "top_k": 20}


def asked(config: Any, step: str = "candidate", reasoning: bool = False) -> tuple[Sampling, dict[str, str]]:
    own = CANDIDATE if step == "candidate" else COLD
    return answer_sampling(config, own, name="m", reasoning=reasoning, varied=step == "candidate", kept={})


@pytest.mark.parametrize(
    ("config", "values", "from_model"),
    [
        pytest.param(None, {}, "", id="no file"),
        pytest.param({}, {}, "", id="empty"),
        pytest.param({"eos_token_id": [1, 106], "cache_implementation": "hybrid"}, {}, "", id="other keys"),
        pytest.param({"top_k": 64, "top_p": 0.95}, {"top_k": 64}, "top_k top_p", id="Gemma 3"),
        pytest.param(
            {"temperature": 0.6, "top_p": 0.9},
            {"temperature": 0.6, "top_p": 0.9},
            "temperature top_p",
            id="Llama",
        ),
        pytest.param(
            QWEN,
            {"temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.05},
            "temperature top_p top_k repetition_penalty",
            id="Qwen2.5",
        ),
        pytest.param({"top_k": -1}, {}, "top_k", id="top_k -1"),
        pytest.param({"top_k": 0}, {}, "top_k", id="top_k 0"),
        pytest.param({"top_k": 50}, {"top_k": 50}, "top_k", id="top_k 50"),
        pytest.param({"min_p": 0.05}, {"min_p": 0.05}, "min_p", id="min_p"),
        pytest.param({"temperature": 1}, {"temperature": 1.0}, "temperature", id="whole number"),
        pytest.param(
            {"temperature": None, "top_p": None, "do_sample": None, "top_k": None}, {}, "", id="null"
        ),
    ],
)
def test_each_value_comes_from_the_file_or_else_from_the_domain(
    config: Any, values: dict[str, float], from_model: str
) -> None:
    for step, own in (("response", COLD), ("candidate", CANDIDATE)):
        sampling, origins = asked(config, step)
        if "top_p" in from_model:
            values = {"top_p": config["top_p"], **values}
        assert sampling == replace(own, **values)
        assert origins == {
            name: "generation_config" if name in from_model.split() else "domain" for name in VALUES
        }


@pytest.mark.parametrize(
    "config",
    [
        {"do_sample": False, "temperature": 0.6, "top_p": 0.9, "top_k": 50},
        {"do_sample": False},
        {"temperature": 0},
        {"temperature": 0.000001, "do_sample": True},
        {"top_k": 1, "top_p": 0.001, "temperature": 0.1},
    ],
    ids=lambda config: json.dumps(config),
)
def test_a_greedy_file_makes_the_answer_greedy_and_candidates_as_the_domain_has_them(config: Any) -> None:
    cold, origins = asked(config, "response")
    assert cold == replace(COLD, temperature=0.0)
    assert origins == {**dict.fromkeys(VALUES, "domain"), "temperature": "generation_config"}
    candidate, origins = asked(config)
    assert candidate == CANDIDATE
    assert candidate.temperature > 0
    assert origins == {**dict.fromkeys(VALUES, GREEDY), "repetition_penalty": "domain"}


def test_a_greedy_files_repetition_penalty_counts() -> None:
    """In transformers, too, it has an effect without sampling."""
    for step in ("response", "candidate"):
        sampling, origins = asked({"do_sample": False, "repetition_penalty": 1.1}, step)
        assert sampling.repetition_penalty == 1.1
        assert origins["repetition_penalty"] == "generation_config"


@pytest.mark.parametrize(
    ("config", "cold", "candidate", "floors"),
    [
        (None, (0.6, 1.0), (0.8, 0.95), "temperature"),
        ({"temperature": 0.6, "top_p": 0.95}, (0.6, 0.95), (0.6, 0.95), ""),
        ({"temperature": 0.5, "top_p": 0.9}, (0.6, 0.95), (0.6, 0.95), "temperature top_p"),
        ({"temperature": 1.0}, (1.0, 1.0), (1.0, 0.95), ""),
        ({"do_sample": False}, (0.6, 1.0), (0.8, 0.95), "temperature"),
    ],
)
def test_a_reasoning_model_is_never_asked_coldly(
    config: Any, cold: tuple[float, float], candidate: tuple[float, float], floors: str
) -> None:
    answer, origins = asked(config, "response", reasoning=True)
    assert (answer.temperature, answer.top_p) == cold
    assert {name for name, origin in origins.items() if origin == "reasoning floor"} == set(floors.split())
    sampling, _ = asked(config, reasoning=True)
    assert (sampling.temperature, sampling.top_p) == candidate


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"temperature": "hot"}, "temperature is 'hot'; give a finite number"),
        ({"temperature": 2.5}, "temperature is 2.5; give a number from 0"),
        ({"temperature": True}, "temperature is True; give a finite number"),
        ({"top_p": 0}, "top_p is 0; give a number above 0"),
        ({"top_p": 1.2}, "top_p is 1.2; give a number above 0"),
        ({"top_k": 2.5}, "top_k is 2.5; give a whole number"),
        ({"top_k": -5}, "top_k is -5; give a whole number"),
        ({"min_p": [0.1]}, "min_p is [0.1]; give a finite number"),
        ({"repetition_penalty": 0}, "repetition_penalty is 0; give a number above 0"),
        ({"do_sample": "yes"}, "do_sample is 'yes'; give true or false"),
    ],
)
def test_a_value_that_is_no_sampling_is_refused_in_one_line(config: Any, says: str) -> None:
    with pytest.raises(BadInput) as caught:
        asked(config)
    assert str(caught.value).startswith(f"generation_config.json of m: {says}")
    assert "\n" not in str(caught.value)


def test_top_k_takes_part_in_an_identity_only_where_it_is_set() -> None:
    assert "top_k" not in Sampling().identity()
    assert Sampling(top_k=-1) == Sampling()
    assert Sampling(top_k=5).identity()["top_k"] == 5


def test_top_k_reaches_both_engines() -> None:
    sampling = Sampling(top_k=64)
    assert _params(sampling, 1).top_k == 64
    assert _params(Sampling(), 1).top_k == 0
    assert completion_body([1], sampling, 1, 8)["top_k"] == 64


# Which models reason


def folder_of(path: Path, template: str | None, config: Any = None, **more: Any) -> Model:
    """A folder with a chat template and a generation_config.json; nothing else is read of it."""
    path.mkdir(exist_ok=True)
    (path / "tokenizer_config.json").write_text(json.dumps({"chat_template": template, **more}))
    (path / "config.json").write_text(json.dumps({"max_position_embeddings": 32_768}))
    if config is not None:
        (path / "generation_config.json").write_text(json.dumps(config))
    return Model(path.name, "", path=str(path))


PLAIN = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}"
OPENS = PLAIN + "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}"
SWITCH = PLAIN + "{% if add_generation_prompt %}<|a|>{% if not enable_thinking %}-{% endif %}{% endif %}"
STRIPS = "{{ messages[0].content.split('<think>')[0] }}{% if add_generation_prompt %}<|assistant|>{% endif %}"


@pytest.mark.parametrize(
    ("template", "reasons"),
    [(PLAIN, False), (OPENS, True), (SWITCH, True), (STRIPS, False), (None, False)],
    ids=["plain", "opens a thought", "has a switch", "takes thoughts out", "none"],
)
def test_a_chat_template_says_whether_a_model_reasons(
    template: str | None, reasons: bool, tmp_path: Path
) -> None:
    assert is_reasoning(folder_of(tmp_path / "m", template)) is reasons
    named = [{"name": "tool_use", "template": "x"}, {"name": "default", "template": template}]
    assert is_reasoning(folder_of(tmp_path / "m", named)) is reasons  # type: ignore[arg-type]
    model = folder_of(tmp_path / "m", None)
    (tmp_path / "m" / "chat_template.jinja").write_text(template or "")
    assert is_reasoning(model) is reasons


def test_the_small_models_do_not_reason(demo_model: Path, tiny_model: Path) -> None:
    assert not is_reasoning(resolve(str(demo_model)))
    assert not is_reasoning(resolve(str(tiny_model)))
    assert solver_sampling((ALGEBRA,), resolve(str(demo_model)))[0] == ALGEBRA, (
        "their results are still found"
    )


# Domains


def test_a_library_users_domains_get_the_solvers_sampling(tmp_path: Path) -> None:
    model = folder_of(tmp_path / "m", PLAIN, QWEN)
    (domain,) = solver_sampling([ALGEBRA], model)
    assert domain.instruction == ALGEBRA.instruction
    assert (domain.candidate.temperature, domain.candidate.top_k) == (0.7, 20)
    assert domain.candidate.max_tokens == domain.response.max_tokens == 4096
    assert domain.origins_of("candidate")["top_k"] == "generation_config"
    assert domain.origins_of("candidate")["max_tokens"] == "domain"
    assert solver_sampling([domain], model) == (domain,), "a second time changes nothing"
    plain = replace(domain, origins=())
    assert plain == domain, "where a value comes from does not tell domains apart"
    assert hash(plain) == hash(domain)


@pytest.mark.parametrize(
    ("context", "bound"), [(None, 16_384), (131_072, 16_384), (8_192, 6_144), (4_096, 4_096), (2_048, 4_096)]
)
def test_a_reasoning_models_answers_get_a_bound_that_its_context_has_room_for(
    context: int | None, bound: int
) -> None:
    (domain,) = sampled_as([ALGEBRA], None, "m", True, context)
    assert domain.response.max_tokens == domain.candidate.max_tokens == bound
    origin = "domain" if bound == 4096 else "reasoning model"
    assert domain.origins_of("response")["max_tokens"] == origin
    assert sampled_as([ALGEBRA], None, "m", False, context)[0].response.max_tokens == 4096
    own = replace(ALGEBRA, response=replace(COLD, max_tokens=1000))
    assert sampled_as([own], None, "m", True, context)[0].response.max_tokens == 1000, "a domain's own stays"


def test_the_originals_sampling_is_exact_whatever_the_model_says(tmp_path: Path) -> None:
    model = folder_of(tmp_path / "m", OPENS, {"temperature": "broken"})
    (domain,) = solver_sampling([with_sampling(ALGEBRA, "original")], model)
    assert (domain.response, domain.candidate) == (COLD, CANDIDATE)
    assert set(domain.origins_of("candidate").values()) == {"original"}


# The command line


def chosen(*words: str) -> tuple[Domain, ...]:
    return options.domains(cli.parser().parse_args(["build", "--model", "1", "--domains", "algebra", *words]))


def test_options_win_over_the_model_and_over_the_original() -> None:
    words = "--temperature 0.1 --candidate-top-p 0.5 --max-tokens 700".split()
    for sampling, rest in (("default", "generation_config"), ("original", "original")):
        (domain,) = sampled_as(chosen(*words, "--sampling", sampling), QWEN, "m", True, None)
        assert domain.response.temperature == 0.1, "below the floor, since it was asked for"
        assert domain.candidate.top_p == 0.5
        assert domain.response.max_tokens == domain.candidate.max_tokens == 700
        assert domain.origins_of("response")["temperature"] == "option"
        assert domain.origins_of("response")["top_k"] == rest
        assert domain.origins_of("candidate")["max_tokens"] == "option"


def test_the_recipe_of_a_command_has_the_solvers_sampling(tiny_model: Path, tmp_path: Path) -> None:
    solver = tmp_path / "solver"
    shutil.copytree(tiny_model, solver)
    config = json.loads((solver / "generation_config.json").read_text())
    (solver / "generation_config.json").write_text(json.dumps({**config, **QWEN}))
    words = ["build", "--model", str(tiny_model), "--solver", str(solver), "--domains", "algebra"]
    given = cli.parser().parse_args([*words, "--candidate-temperature", "0.9"])
    recipe = recipe_of(given, options.domains(given), print)
    (domain,) = recipe.domains
    assert (domain.candidate.temperature, domain.candidate.top_k, domain.response.top_p) == (0.9, 20, 0.8)


def test_a_bound_above_the_models_context_is_no_error(tiny_model: Path, tmp_path: Path) -> None:
    """The engine's context is the model's own then, and vLLM ends an answer there."""
    given = cli.parser().parse_args(
        ["build", "--model", str(tiny_model), "--domains", "algebra", "--max-model-len", "2048"]
    )
    recipe = recipe_of(given, options.domains(given), print)
    assert recipe.domains[0].candidate.max_tokens == 4096
    assert recipe.solver.max_length == 2048  # type: ignore[attr-defined]


# The plan


def plan_of(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main(["plan", *words, "--json"]) == OK
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("number", "values", "bound"),
    [
        (1, {"temperature": 0.6, "top_p": 0.95}, 16_384),
        (2, {"temperature": 0.6, "top_p": 0.95}, 16_384),
        (3, {"temperature": 0.6, "top_p": 0.95}, 16_384),
        (4, {"temperature": 0.8, "top_p": 0.95, "top_k": 64}, 4096),
        (5, {"temperature": 0.8, "top_p": 0.95}, 4096),
        (6, {"temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.05}, 4096),
    ],
)
def test_the_plan_of_a_known_model_says_how_it_will_be_asked(
    number: int,
    values: dict[str, float],
    bound: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)
    plan = plan_of(capsys, "--model", str(number))
    (candidates,) = plan["sampling"]
    assert {name: candidates[name] for name in values} == values
    assert candidates["max_tokens"] == bound
    assert candidates["domains"] == list(DOMAINS)
    assert plan["reasoning"] is KNOWN_MODELS[number].reasoning
    assert main(["plan", "--model", str(number), "--sft", "cold"]) == OK
    table = capsys.readouterr().out.partition("Sampling of the solver\n")[2].partition("\n\n")[0]
    assert f"{bound:,}" in table
    assert "solutions" in table


def test_the_plan_of_a_folder_reads_its_small_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder_of(tmp_path / "m", OPENS, {"top_k": 30})
    plan = plan_of(capsys, "--model", "m")
    assert plan["reasoning"]
    assert plan["sampling"][0]["top_k"] == 30
    assert plan["sampling"][0]["origins"]["top_k"] == "generation_config"
    assert plan["sampling"][0]["max_tokens"] == 16_384
    folder_of(tmp_path / "m", OPENS, {"top_k": "many"})
    assert plan_of(capsys, "--model", "m", "--sampling", "original")["sampling"][0]["top_k"] == 0
    assert main(["plan", "--model", "m"]) != OK
    assert "generation_config.json of m: top_k is 'many'" in capsys.readouterr().err


def test_a_plan_without_the_network_says_that_the_sampling_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(asking, "PATIENCE", 0.5)
    monkeypatch.chdir(tmp_path)
    assert main(["plan", "--model", "nobody/nothing"]) == OK
    said = capsys.readouterr().out
    assert "warning  the sampling that nobody/nothing asks for is not known: " in said


def test_the_originals_sampling_of_a_reasoning_model_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for number, warned in ((1, True), (4, False)):
        assert main(["plan", "--model", str(number), "--sampling", "original"]) == OK
        lines = [line for line in capsys.readouterr().out.splitlines() if "leave out --sampling" in line]
        assert len(lines) == warned


# A build


@pytest.mark.vllm
@pytest.mark.filterwarnings("ignore")
def test_a_models_sampling_reaches_the_engine_and_the_record(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "narrow"
    shutil.copytree(tiny_model, model)
    config = json.loads((model / "generation_config.json").read_text())
    said = {"do_sample": True, "temperature": 0.9, "top_k": 3, "repetition_penalty": 1.02}
    (model / "generation_config.json").write_text(json.dumps({**config, **said}))
    out = tmp_path / "out"
    words = ["build", "--model", str(model), "--domains", "algebra", "--count", "3", "--k", "2"]
    words += ["--instruction-max-tokens", "96", "--max-tokens", "160", "--kv-cache-gb", "1"]
    words += ["--off-topic", "keep", "--min-quality", "very poor", "--unsolvable", "keep", *FAST]
    assert main([*words, "--out", str(out)]) in (OK, INCOMPLETE)
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("sampling"))
    assert "temperature 0.9, top_k 3, repetition_penalty 1.02 (generation_config)" in line
    assert "max_tokens 160 (option)" in line
    stage = next(out.glob("run/algebra/candidates-*/stage.json"))
    asked = json.loads(stage.read_text())["stage"]["sampling"]
    assert {name: asked[name] for name in ("temperature", "top_k", "repetition_penalty", "max_tokens")} == {
        "temperature": 0.9,
        "top_k": 3,
        "repetition_penalty": 1.02,
        "max_tokens": 160,
    }
    card = (out / "README.md").read_text()
    assert "the model's generation_config: temperature, top_k, repetition_penalty" in card
    records = json.loads(next(out.glob("*_algebra_ins_2res.json")).read_text())
    assert records
    assert all(one["gen_response_configs"]["top_k"] == 3 for one in records)
