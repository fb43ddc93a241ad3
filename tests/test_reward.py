"""Reward models: what a head is asked and what its values come to, what is refused and told. On real vLLM:
test_reward_vllm.py.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import OfflineModeIsEnabled
from safetensors.torch import load_file, save_file

import reward_models as tiny
from conftest import ROOT, Answers, small_recipe
from magpie_hf import BadInput, EngineError, Model, RewardModel, chat_of, resolve
from magpie_hf.building.build import build
from magpie_hf.cli.commands.exit_codes import BAD_INPUT
from magpie_hf.cli.main import main
from magpie_hf.engines.base import CONTEXT_FULL, KILLED_ENGINE, NAN, Pooling, Rating
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.engines.journal import Journal, keeping, read
from magpie_hf.engines.vllm import plugin
from magpie_hf.engines.vllm.engine import VLLM
from magpie_hf.models.heads import OBJECTIVES, check_tensors, head_of, known_of
from magpie_hf.models.known import ARMORM, DEFAULT_REWARD_MODEL, KNOWN_SCORERS, known
from magpie_hf.planning.view import heading
from magpie_hf.scorers.base import Score
from magpie_hf.scorers.reward import EMPTY, NO_GATE, STEP_IN_TEXT, _steps
from magpie_hf.stage import fingerprint, identity
from magpie_hf.stages.score import ScoreCandidates


@dataclass
class Values:
    """A rating for FakeEngine, from the prompt, that remembers what it was asked."""

    of: Any
    asked: list[tuple[list[int], Pooling]] = field(default_factory=list)

    def __call__(self, prompt: Sequence[int], pooling: Pooling) -> Sequence[float] | Rating:
        self.asked.append((list(prompt), pooling))
        values: Sequence[float] | Rating = self.of(prompt)
        return values


def silent(*_: object) -> str:
    raise AssertionError("a reward model completes nothing")


def scorer_of(model: Model, values: Any, **options: Any) -> tuple[RewardModel, Values]:
    rating = Values(values)
    return RewardModel(FakeEngine(model, silent, rating), **options), rating


def said(model: Model, prompt: Sequence[int]) -> str:
    return str(chat_of(model).tokenizer.decode(prompt, clean_up_tokenization_spaces=False))


@pytest.fixture(scope="module")
def armorm(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return resolve(str(tiny.armorm(tmp_path_factory.mktemp("armorm"))))


def checkpoint(
    folder: Path, architecture: str, tensors: tiny.Tensors | None = None, tokenizer: Any = None, **config: Any
) -> Model:
    tokenizer = tokenizer or (
        tiny.qwen_tokenizer() if architecture.startswith("Qwen2") else tiny.llama_tokenizer()
    )
    tensors = tensors or tiny.trunk(len(tokenizer)) | {"score.weight": tiny.torch.zeros(1, 4)}
    return resolve(str(tiny.save(folder, architecture, tokenizer, tensors, **config)))


# --- ArmoRM's two places ------------------------------------------------------------------------------------

CLOSED = "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>"
ANSWERED = CLOSED + "<|start_header_id|>assistant<|end_header_id|>\n\n{}<|eot_id|>"


def gated(prompt: Sequence[int]) -> list[float]:
    """19 rewards of the prompt's length, 19 of twice that, and a gate that gives all its weight to the first
    two.
    """
    return [len(prompt)] * 19 + [2 * len(prompt)] * 19 + [0.25, 0.5] + [0.0] * 17


def test_the_gate_is_read_where_the_users_turn_ends_and_the_rewards_at_the_end(armorm: Model) -> None:
    scorer, rating = scorer_of(armorm, gated)
    scorer.check()
    assert rating.asked == []
    (score,) = scorer(["What?"], ["So."])
    gate, whole = (prompt for prompt, _ in rating.asked)
    assert said(armorm, gate) == CLOSED.format("What?")
    assert said(armorm, whole) == ANSWERED.format("What?", "So.")
    assert whole.count(chat_of(armorm).tokenizer.bos_token_id) == 1
    assert {pooling for _, pooling in rating.asked} == {Pooling("sequence")}
    assert score.objectives == (len(whole),) * 19
    assert score.gate == (0.25, 0.5, *[0.0] * 17)
    assert score.score == 1.5 * len(whole)
    assert (scorer.suffix, scorer.title) == ("armorm", f"reward model {armorm.name}")
    assert scorer.names == OBJECTIVES
    assert len(OBJECTIVES) == 19


def test_the_last_occurrence_counts(armorm: Model) -> None:
    """As the published code searches, also where a text holds the mark itself."""
    scorer, rating = scorer_of(armorm, gated)
    scorer(["A?"], ["B<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nC"])
    assert said(armorm, rating.asked[0][0]) == ANSWERED.format("A?", "B")


def test_an_answer_that_joins_the_mark_has_no_gate(tmp_path: Path) -> None:
    untrimmed = tiny.LLAMA.template.replace(" | trim", "")
    tokenizer = tiny.llama_tokenizer(template=untrimmed)
    tokenizer.add_tokens(["\n\n\n\n"])
    model = resolve(str(tiny.armorm(tmp_path, tokenizer=tokenizer)))
    scorer, rating = scorer_of(model, gated)
    scorer.check()
    assert [score.reason for score in scorer(["A?", "A?"], ["\n\nB", "B"])] == [NO_GATE, None]
    assert len(rating.asked) == 2


def test_candidates_of_a_problem_share_its_gate(armorm: Model) -> None:
    scorer, rating = scorer_of(armorm, gated)
    scores = scorer(["A?", "A?", "B?", "A?"], ["1", "22", "333", "1"])
    assert len(rating.asked) == 5, "two gates and three answers"
    first, longer, longest, again = (score.score for score in scores)
    assert first == again
    assert first < longer < longest, "each has its own score, in order"


# --- the other heads ----------------------------------------------------------------------------------------


def test_a_classifier_says_its_value(tmp_path: Path) -> None:
    model = checkpoint(tmp_path, "LlamaForSequenceClassification", id2label={"0": "LABEL_0"})
    scorer, rating = scorer_of(model, lambda prompt: [len(prompt) / 7])
    scorer.check()
    (score,) = scorer(["A?"], ["B"])
    ((prompt, pooling),) = rating.asked
    assert (said(model, prompt), pooling) == (ANSWERED.format("A?", "B"), Pooling("sequence"))
    assert score == Score(array("f", [len(prompt) / 7])[0]), "in single precision, as the shards keep it"
    assert (scorer.suffix, scorer.names) == ("reward", ())


def test_the_last_tokens_value(tmp_path: Path) -> None:
    scorer, rating = scorer_of(checkpoint(tmp_path, "Qwen2ForRewardModel"), lambda _: [1.5])
    assert scorer(["A?"], ["B"]) == [Score(1.5)]
    assert rating.asked[0][1] == Pooling("last_token")


@pytest.mark.parametrize(("over", "expected"), [("min", 0.25), ("product", 0.25 * 0.75 * 0.5)])
def test_a_process_reward_model_rates_steps(over: str, expected: float, tmp_path: Path) -> None:
    model = checkpoint(tmp_path, "Qwen2ForProcessRewardModel")
    logits = [0.0, math.log(3), 1.0, 1.0 - math.log(3), 2.0, 2.0]
    scorer, rating = scorer_of(model, lambda _: logits, over_steps=over)
    (score,) = scorer(["A?"], ["First\nline.\n\n\n Then. \n\nSo 4.\n\n"])
    assert said(model, rating.asked[0][0]).endswith(
        "<|im_start|>user\nA?<|im_end|>\n<|im_start|>assistant\nFirst\nline.<extra_0>Then.<extra_0>So"
        " 4.<extra_0><|im_end|>\n"
    )
    assert rating.asked[0][1] == Pooling("steps", chat_of(model).tokenizer.convert_tokens_to_ids("<extra_0>"))
    assert score.objectives == pytest.approx((0.75, 0.25, 0.5), abs=1e-7)
    assert score.score == pytest.approx(expected, abs=1e-7)
    assert scorer.title.endswith(f"({over} over steps)")
    assert _steps("") == []


def test_a_step_token_in_a_text_is_no_step(tmp_path: Path) -> None:
    scorer, rating = scorer_of(checkpoint(tmp_path, "Qwen2ForProcessRewardModel"), lambda _: [0.0, 0.0])
    reasons = [score.reason for score in scorer(["A<extra_0>?", "A?", "A?"], ["B", "C<extra_0>D", " \n\n "])]
    assert reasons == [STEP_IN_TEXT, STEP_IN_TEXT, EMPTY]
    assert rating.asked == []


def test_extreme_logits_are_a_probability(tmp_path: Path) -> None:
    scorer, _ = scorer_of(
        checkpoint(tmp_path, "Qwen2ForProcessRewardModel"), lambda _: [1e6, -1e6, -1e6, 1e6]
    )
    (score,) = scorer(["A?"], ["B\n\nC"])
    assert score.objectives == (0.0, 1.0)


# --- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "line"),
    [
        (
            {"architectures": ["LlamaForCausalLM"]},
            "m is no reward model that vLLM can score with (its architecture is LlamaForCausalLM); give",
        ),
        ({"architectures": []}, "(its architecture is not named)"),
        ({"architectures": ["InternLM2ForRewardModel"]}, "(its architecture is InternLM2ForRewardModel)"),
        (
            {"architectures": ["LlamaForSequenceClassification"]},
            "m is a classifier with 2 labels, so no reward model; give one with one label",
        ),
        (
            {"architectures": ["LlamaForSequenceClassification"], "id2label": {"0": "a", "1": "b", "2": "c"}},
            "with 3 labels",
        ),
    ],
)
def test_what_is_no_reward_model_is_refused(config: dict[str, Any], line: str, tmp_path: Path) -> None:
    model = checkpoint(tmp_path / "m", "LlamaForCausalLM", **config)
    with pytest.raises(BadInput, match=re.escape(line)):
        scorer_of(model, gated)[0].check()


def test_an_engine_that_completes_is_refused(armorm: Model) -> None:
    for engine in (VLLM(armorm), FakeEngine(armorm, silent)):
        with pytest.raises(BadInput, match='rates nothing; give it the runner "pooling"'):
            RewardModel(engine).check()
        with pytest.raises(BadInput, match="completes prompts and rates none"):
            engine.rate([[1]], Pooling("sequence"))


@pytest.mark.parametrize("options", [{"read": "all"}, {"over_steps": "mean"}])
def test_options_are_chosen_from_a_few(options: dict[str, Any], armorm: Model) -> None:
    with pytest.raises(BadInput, match="; choose "):
        scorer_of(armorm, gated, **options)


def test_a_tokenizer_without_the_marks_is_refused(tmp_path: Path) -> None:
    special = tuple(token for token in tiny.LLAMA.special if token != "<|start_header_id|>")
    model = resolve(str(tiny.armorm(tmp_path / "m", tokenizer=tiny.llama_tokenizer(special=special))))
    with pytest.raises(
        BadInput,
        match=re.escape(
            "the tokenizer of m has no <|start_header_id|>, by which this reward model finds its place"
        ),
    ):
        scorer_of(model, gated)[0].check()
    steps = checkpoint(
        tmp_path / "steps",
        "Qwen2ForProcessRewardModel",
        tokenizer=tiny.qwen_tokenizer(tiny.QWEN_MATH.special),
    )
    with pytest.raises(BadInput, match="has no <extra_0>, by which"):
        scorer_of(steps, gated)[0].check()


def test_a_template_without_the_mark_is_refused(tmp_path: Path) -> None:
    template = tiny.LLAMA.template.replace("<|end_header_id|>\n\n", "<|end_header_id|> ")
    model = resolve(str(tiny.armorm(tmp_path / "m", tokenizer=tiny.llama_tokenizer(template=template))))
    with pytest.raises(
        BadInput,
        match=(
            r"the chat template of m does not end the user's turn with .* put the tokenizer of RLHFlow/ArmoRM"
        ),
    ):
        scorer_of(model, gated)[0].check()


def without(model: Model, *names: str) -> None:
    """Take tensors out of the files of a checkpoint."""
    for file in Path(str(model.path)).glob("*.safetensors"):
        tensors = {name: tensor for name, tensor in load_file(file).items() if name not in names}
        save_file(tensors, file)


def test_missing_tensors_are_named(tmp_path: Path) -> None:
    model = resolve(str(tiny.armorm(tmp_path / "m")))
    check_tensors(model)
    gone = [
        "gating.layers.3.bias",
        "gating.logit_scale",
        "model.layers.1.mlp.up_proj.weight",
        "reward_transform_matrix",
    ]
    without(model, *gone)
    line = (
        f"the weights of m lack 4 tensors that LlamaForRewardModelWithGating needs: {', '.join(gone)};"
        " download it again"
    )
    with pytest.raises(BadInput, match=re.escape(line)):
        scorer_of(model, gated)[0].check()
    without(model, *(name for name in tiny.armorm_tensors(4) if "layers.0" in name or "layers.1" in name))
    with pytest.raises(BadInput, match=r"lack 25 tensors .* and 13 more; download"):
        check_tensors(model)


HEADS = {
    "LlamaForSequenceClassification": ["score.weight"],
    "Qwen2ForRewardModel": ["score.0.bias", "score.0.weight", "score.2.bias", "score.2.weight"],
}


@pytest.mark.parametrize("architecture", HEADS)
@pytest.mark.parametrize(
    "under",
    ["model.layers.0.mlp.up_proj.weight", "model.layers.1.self_attn.k_proj.weight", "model.norm.weight"],
)
def test_a_missing_head_and_what_vllm_would_not_miss_are_named(
    architecture: str, under: str, tmp_path: Path
) -> None:
    tensors = tiny.trunk(4, biases=architecture.startswith("Qwen2"))
    whole = tensors | {name: tiny.torch.zeros(1) for name in HEADS[architecture]}
    check_tensors(checkpoint(tmp_path / "whole", architecture, whole, num_labels=1))
    headless = checkpoint(tmp_path / "m", architecture, tensors, num_labels=1)
    count = len(HEADS[architecture])
    with pytest.raises(
        BadInput,
        match=re.escape(
            f"m lack {count} tensors that {architecture} needs: {', '.join(HEADS[architecture])};"
        ),
    ):
        check_tensors(headless)
    without(checkpoint(tmp_path / "n", architecture, whole, num_labels=1), under)
    with pytest.raises(BadInput, match=re.escape(f"n lack 1 tensors that {architecture} needs: {under};")):
        check_tensors(resolve(str(tmp_path / "n")))


@pytest.mark.parametrize(
    ("harm", "line"),
    [
        (lambda data: data[:-1], "is torn: it is shorter than its header says"),
        (lambda data: data[:40], "is torn, or no safetensors file"),
        (lambda data: b"", "is torn, or no safetensors file"),
        (lambda data: b"<html>" * 9, "is torn, or no safetensors file"),
        (None, "lacks model-00002-of-00002.safetensors, which its index of weights names"),
    ],
)
def test_torn_weights_are_seen_before_they_are_loaded(harm: Any, line: str, tmp_path: Path) -> None:
    model = resolve(str(tiny.armorm(tmp_path)))
    file = tmp_path / "model-00002-of-00002.safetensors"
    if harm is None:
        file.unlink()
    else:
        file.write_bytes(harm(file.read_bytes()))
    with pytest.raises(BadInput, match=line):
        check_tensors(model)


def test_a_repository_is_looked_at_before_it_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its index where it has one, else the header of its one file: a fetched one, or the cached file's."""
    files: dict[str, Any] = {
        "config.json": {
            "architectures": ["LlamaForSequenceClassification"],
            "num_labels": 1,
            "model_type": "new",
        }
    }
    answer: Any = None

    def header(*_: object, **__: object) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    for module in ("heads", "model"):
        monkeypatch.setattr(f"magpie_hf.models.{module}.json_of", lambda _, name: files.get(name))
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: None)
    monkeypatch.setattr(huggingface_hub.HfApi, "parse_safetensors_file_metadata", header)
    model = Model("acme/rm", "b" * 40)
    answer = SimpleNamespace(tensors={"score.weight": None, "x": None})
    check_tensors(model)
    answer = SimpleNamespace(tensors={"x": None})
    with pytest.raises(BadInput, match=r"the weights of acme/rm lack 1 tensors .*: score\.weight;"):
        check_tensors(model)
    answer = OfflineModeIsEnabled("offline")
    with pytest.raises(
        BadInput,
        match=r"cannot be read from the Hub \(OfflineModeIsEnabled\); go online, or give a local folder",
    ):
        check_tensors(model)
    files["model.safetensors.index.json"] = {"weight_map": {"score.weight": "a", "x": "b"}}
    check_tensors(model)


def test_the_plug_in_is_installed_with_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    written = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][
        "vllm.general_plugins"
    ]
    assert written == {plugin.NAME: "magpie_hf.engines.vllm.plugin:register"}
    assert callable(plugin.register)
    monkeypatch.setenv("VLLM_PLUGINS", "other")
    with monkeypatch.context() as patch:
        patch.setattr(plugin, "NAME", "nobody")
        with pytest.raises(
            BadInput, match="does not see this package's plug-in, which loads tokenizers and ArmoRM; install "
        ):
            plugin.check_plugin()
    with pytest.raises(
        BadInput,
        match="VLLM_PLUGINS is 'other', which keeps vLLM from this package's plug-in; add magpie_hf to ",
    ):
        plugin.check_plugin()


# --- faults -------------------------------------------------------------------------------------------------


def test_scores_that_are_no_numbers_stop_the_run_above_a_share(tmp_path: Path) -> None:
    def value(prompt: Sequence[int]) -> list[float]:
        return [math.nan if len(prompt) % 10 == 0 else math.inf if len(prompt) % 10 == 1 else 1.0]

    model = checkpoint(tmp_path / "m", "LlamaForSequenceClassification", num_labels=1)
    answers = ["x" * length for length in range(60)]
    scorer, _ = scorer_of(model, value, most_faults=0.2)
    scores = scorer(["A?"] * 60, answers)
    assert sum(score == Score(None, NAN) for score in scores) == 12
    assert sum(score == Score(1.0) for score in scores) == 48
    strict = scorer_of(replace(model, dtype="float32"), value)[0]
    assert len(strict(["A?"] * 10, answers[:10])) == 10, "too few to say anything"
    with pytest.raises(
        EngineError, match=r"4 of 20 scores of m are no numbers or killed the engine, more than 5%: its"
    ):
        strict(["A?"] * 10, answers[10:20])


def test_an_answer_that_is_too_long_or_kills_is_unscored_and_says_so(armorm: Model) -> None:
    ends = {3: Rating((), CONTEXT_FULL), 4: Rating((), KILLED_ENGINE)}
    base = len(chat_of(armorm).ids(ANSWERED.format("A?", "")))
    scorer, _ = scorer_of(armorm, lambda prompt: ends.get(len(prompt) - base) or gated(prompt))
    assert [score.reason for score in scorer(["A?"] * 3, ["xxx", "xxxx", "xxxxx"])] == [
        CONTEXT_FULL,
        KILLED_ENGINE,
        None,
    ]


# --- journals and shards ------------------------------------------------------------------------------------


def test_what_is_finished_is_not_asked_again(armorm: Model, tmp_path: Path) -> None:
    scorer, rating = scorer_of(armorm, lambda prompt: [math.nan] if len(prompt) == 4 else [len(prompt) / 3])
    prompts, pooling = [[1, 2], [1, 2, 3], [1, 2], [1, 2, 3, 4]], Pooling("sequence")
    with keeping(Journal(tmp_path / "j")):
        first = scorer.engine.rate(prompts, pooling)
    assert len(rating.asked) == 3
    assert [one.values for one in first] == [(2 / 3,), (1.0,), (2 / 3,), ()]
    assert first[3].reason == NAN
    records, torn = read(tmp_path / "j")
    assert (len(records), torn) == (2, 0), "what is no number is not kept"
    with keeping(Journal(tmp_path / "j", records.items())):
        assert scorer.engine.rate(prompts, pooling) == first
        assert len(rating.asked) == 4
        scorer.engine.rate(prompts, Pooling("last_token"))
        assert len(rating.asked) == 7, "other values of the same prompt are another request"


def candidate(text: str, thinking: str | None = None) -> dict[str, Any]:
    return {
        "text": f"<think>\n{thinking}\n</think>\n{text}" if thinking else text,
        "answer_text": text,
        "reason": None,
    }


def test_the_stage_keeps_the_parts_of_a_score_and_reads_what_it_is_told(armorm: Model) -> None:
    batch = {
        "problem": ["A?"],
        "candidates": [[candidate("4", "two and two"), {**candidate("5"), "reason": "length"}]],
    }
    scorer, rating = scorer_of(armorm, gated)
    stage = ScoreCandidates(scorer)
    ((first, cut),) = stage(batch)["scores"]
    assert said(armorm, rating.asked[1][0]) == ANSWERED.format("A?", "4")
    assert len(first["objectives"]) == len(first["gate"]) == 19
    assert cut == {"score": None, "reason": "length", "objectives": None, "gate": None, "request": None}
    known_to_an_earlier_stage = Journal(None, stage.reusable({"scores": [[first, cut]]}))
    with keeping(known_to_an_earlier_stage):
        assert stage(batch)["scores"] == [[first, cut]]
    assert len(rating.asked) == 2, "a finished score is found again, with its parts"
    whole = replace(scorer, read="whole")
    ScoreCandidates(whole)(batch)
    assert said(armorm, rating.asked[-1][0]) == ANSWERED.format("A?", "<think>\ntwo and two\n</think>\n4")
    assert fingerprint(ScoreCandidates(whole)) != fingerprint(stage)


def test_what_a_scorer_is(armorm: Model) -> None:
    scorer = RewardModel(VLLM(armorm, runner="pooling"))
    assert fingerprint(
        RewardModel(VLLM(armorm, runner="pooling", form="async_llm"), most_faults=1.0)
    ) == fingerprint(scorer)
    assert (
        len(
            {
                fingerprint(one)
                for one in (scorer, replace(scorer, read="whole"), replace(scorer, over_steps="product"))
            }
        )
        == 3
    )
    assert VLLM(armorm, runner="pooling") != VLLM(armorm), "two live engines"
    assert identity(VLLM(armorm, runner="pooling")) == identity(VLLM(armorm)), "one model"


@dataclass(frozen=True)
class Told(FakeEngine):
    """A FakeEngine that writes down when it is closed."""

    told: list[str] = field(default_factory=list, compare=False)

    def close(self) -> None:
        self.told.append(f"{self.model.name} closed")


def test_a_build_asks_one_model_after_the_other_and_publishes_the_scores(
    answers: Answers, armorm: Model, tmp_path: Path
) -> None:
    told: list[str] = []

    def value(prompt: Sequence[int]) -> list[float]:
        told.append("rated")
        return [math.sin(len(prompt))] * 38 + [0.5] * 19

    armorm = replace(armorm, name=ARMORM)
    recipe = small_recipe(answers, count=8)
    generator = Told(answers.model, answers, told=told)
    scorer = RewardModel(Told(armorm, silent, Values(value), told))
    recipe = replace(recipe, generator=generator, solver=generator, scorer=scorer)
    datasets = build(recipe, tmp_path / "out", shard_rows=3)
    assert told[0] == f"{answers.model.name} closed"
    assert told.count("rated") > 30
    assert told.index("rated") > max(
        at for at, line in enumerate(told) if line == f"{answers.model.name} closed"
    )
    row = datasets["algebra"]["train_prefs"][0]
    assert row["score_chosen"] > row["score_rejected"]
    assert row["generation"]["scorer"] == f"reward model {armorm.name}"
    (file,) = (tmp_path / "out").glob("*algebra*_armorm.json")
    for record in json.loads(file.read_text()):
        assert 2 <= len(record["rewards_armorm"]) == len(record["responses"]) <= recipe.k
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"| {ARMORM} | [llama3]({KNOWN_SCORERS[ARMORM].link}) | its clause 1.b.v forbids" in card
    before = len(told)
    build(recipe, tmp_path / "out", shard_rows=3)
    assert told.count("rated") == len([line for line in told[:before] if line == "rated"]), (
        "nothing is asked again"
    )


# --- provenance and the command line ------------------------------------------------------------------------


def test_licences_travel_with_the_scorer() -> None:
    assert {name for name, provenance in KNOWN_SCORERS.items() if provenance.forbids} == {ARMORM}
    assert KNOWN_SCORERS[ARMORM].context == 8192
    default = known(DEFAULT_REWARD_MODEL)
    assert default is not None
    assert (default.licence, default.duty) == ("Apache-2.0", "attribution")
    for provenance in KNOWN_SCORERS.values():
        assert known(provenance.repository) is provenance
        assert provenance.architecture.endswith(("ForSequenceClassification", "RewardModel", "WithGating"))


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--judge", "1", "--scorer", "armorm"], "--judge is 1 and --scorer is armorm; give one of them"),
        (["--scorer", "nowhere"], "'nowhere' is no model"),
        (
            ["--scorer", "MODEL"],
            "is no reward model that vLLM can score with (its architecture is LlamaForCausalLM)",
        ),
        (["--scorer-reads", "thoughts"], "argument --scorer-reads: invalid choice: 'thoughts'"),
    ],
)
def test_a_scorer_is_refused_in_a_line(
    arguments: list[str],
    line: str,
    demo_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (
        main(
            [
                "build",
                "--model",
                str(demo_model),
                *(str(demo_model) if word == "MODEL" else word for word in arguments),
            ]
        )
        == BAD_INPUT
    )
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert line in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("scorer", "repository", "warned"), [("armorm", ARMORM, True), ("reward", DEFAULT_REWARD_MODEL, False)]
)
def test_the_plan_tells_what_a_licence_forbids(
    scorer: str,
    repository: str,
    warned: bool,
    demo_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["build", "--model", str(demo_model), "--scorer", scorer]) == BAD_INPUT, "it needs a GPU"
    out, error = capsys.readouterr()
    provenance = KNOWN_SCORERS[repository]
    assert f"scorer   {repository} ({provenance.licence}; reads up to {provenance.context:,} tokens)" in out
    assert (
        f"licence  {provenance.licence} of {repository}: its clause 1.b.v forbids using outputs" in out
    ) == warned
    assert (
        f"reward model {repository} needs about {provenance.weight_gigabytes:.0f} GB for its weights, so"
        " a GPU" in error
    )
    assert not list(tmp_path.iterdir())


def test_a_folder_of_ones_own_is_known_by_its_architecture(armorm: Model, demo_model: Path) -> None:
    provenance = KNOWN_SCORERS[ARMORM]
    assert known_of(armorm) is provenance
    assert armorm.path is not None
    lines = heading((), {"model": str(demo_model), "scorer": armorm.path}, 3, "out")
    assert f"licence  {provenance.licence} of {ARMORM}: {provenance.duty}" in lines
    assert known_of(resolve(str(demo_model))) is None


def test_the_head_is_known_by_the_architecture(armorm: Model) -> None:
    assert head_of(armorm) == "gated"
