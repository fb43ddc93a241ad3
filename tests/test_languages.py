"""Languages and topics: several weighted texts a domain, in builds over a scripted engine, and in files."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from conftest import CANDIDATES, PROBLEMS, Answers, Dying, small_domain, small_recipe
from magpie_hf.answers.comparison import compare
from magpie_hf.answers.extraction import final_answer
from magpie_hf.building.build import build
from magpie_hf.card import card as cards
from magpie_hf.card.breadth import vendi
from magpie_hf.cli.commands.options import domains
from magpie_hf.cli.from_python import read_recipe
from magpie_hf.cli.main import parser
from magpie_hf.dataset.folder import Folder
from magpie_hf.domains import DOMAINS, Domain, Topic, in_languages, with_topics
from magpie_hf.engines.base import Completion
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.errors import BadInput, EngineError
from magpie_hf.models.chat import SOLVING_INSTRUCTION, chat_of
from magpie_hf.models.model import resolve
from magpie_hf.models.sampling import Sampling
from magpie_hf.planning.outline import Cutting, Outline
from magpie_hf.planning.reuse import reuse_of
from magpie_hf.problems.system_texts import SystemText
from magpie_hf.recipe import Recipe
from magpie_hf.recipe_file.topics import read_topics
from magpie_hf.recipe_file.writing import beyond, said_of, text_of
from magpie_hf.report.summary import breadth
from magpie_hf.run.status import status
from magpie_hf.schema import PUBLISHED, TOPIC
from magpie_hf.scorers.judge import Judge
from magpie_hf.stage import fingerprint
from magpie_hf.stages.exports.rl import ExportRL
from magpie_hf.stages.exports.spec import export_of, spec_of
from magpie_hf.stages.instruct import Instruct, chosen
from magpie_hf.stages.solving import JAPANESE_INSTRUCTION, ByLanguage, instruction_for, instruction_of

BOTH = {"en": 0.6, "ja": 0.4}
_THINGS = ("三角形", "有限群", "多項式", "数列", "行列", "完全グラフ", "確率変数", "素数", "円環", "連続関数")
_TASKS = (
    "{a}と{b}について、$x^{p} + {q}x = {r}$ を満たす正の整数 $x$ の個数を求めよ。",
    "{a}の位数が ${q}$ で{b}の次数が ${r}$ であるとき、積 ${p}n$ の最小値を求めなさい。",
    "{q} 個の{a}から {p} 個を選ぶとき、{b}が {r} を法として一致する確率を求めよ。",
)
_CHAT = ("こんにちは！", "ありがとうございます。", "よろしくお願いします。", "おすすめの映画を教えて。")


def japanese_problem(number: int) -> str:
    dice = random.Random(number)
    return dice.choice(_TASKS).format(
        a=dice.choice(_THINGS),
        b=dice.choice(_THINGS),
        p=dice.randint(2, 99),
        q=dice.randint(100, 10**6),
        r=dice.randint(100, 10**6),
    )


class Bilingual(Answers):
    """Writes a Japanese problem, or some chat, where a Japanese text asks, and answers in Japanese forms."""

    told: dict[str, Counter[str]]

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        text = chat_of(self.model).tokenizer.decode(prompt)
        japanese = Completion("", "stop", len(prompt), 30)
        if sampling.temperature == PROBLEMS and "日本語" in text:
            with self.lock:
                self.requests.append((sampling, seed))
            said = _CHAT[seed % len(_CHAT)] if seed % 5 == 0 else japanese_problem(seed)
            return replace(japanese, text=said)
        if sampling.temperature == CANDIDATES and JAPANESE_INSTRUCTION in text:
            with self.lock:
                self.requests.append((sampling, seed))
            number = sum(prompt) % 3
            said = (
                f"よって、答えは{number}個です。" if number == 0 else f"答えは $\\boxed{{{number}}}$ である。"
            )
            return replace(japanese, text=said)
        return super().__call__(prompt, sampling, seed)


@pytest.fixture
def bilingual(demo_model: Path) -> Bilingual:
    return Bilingual(resolve(str(demo_model)))


def bilingual_recipe(answers: Answers, weights: dict[str, float] = BOTH) -> Recipe:
    recipe = small_recipe(answers, "algebra", count=14, k=2)
    asked = tuple(in_languages(one, weights) for one in recipe.domains)
    return replace(recipe, domains=asked, instruction=instruction_of(asked), rl_majority_share=0.5)


def test_a_build_in_two_languages(bilingual: Bilingual, tmp_path: Path) -> None:
    recipe = bilingual_recipe(bilingual)
    built = build(recipe, tmp_path / "out")
    rows = list(built["algebra"]["train_sft"])
    asked = Counter(row["language"] for row in rows)
    assert len(built["candidates"]["train"]) == 14
    assert 2 <= asked["ja"] <= 10
    assert set(asked) == {"en", "ja"}
    assert not any(chat in row["problem"] for row in rows for chat in _CHAT)
    for row in rows:
        told = JAPANESE_INSTRUCTION if row["language"] == "ja" else SOLVING_INSTRUCTION
        assert row["generation"]["asked_with"] == f"user: {told}"
        if row["language"] == "ja" and row["answer"]:
            assert row["answer"] in {"0個", "1", "2"}
    for row in built["algebra_rl"]["train"]:
        assert row["prompt"][0]["content"].endswith(instruction_for(row["problem"], recipe.instruction))
    assert any(row["problem"][-1] == "。" for row in built["algebra_rl"]["train"])
    assert not set(TOPIC) & set(rows[0]), "languages alone publish no topics"
    card = (tmp_path / "out" / "README.md").read_text()
    assert "- ja" in card.partition("license")[0]

    other = build(recipe, tmp_path / "other", shard_rows=5, shards_in_flight=2)
    assert rows == list(other["algebra"]["train_sft"])


def test_a_japanese_build_drops_what_is_not_japanese(bilingual: Bilingual, tmp_path: Path) -> None:
    recipe = replace(bilingual_recipe(bilingual, {"ja": 1.0}), languages=("ja",))
    assert recipe.instruction == JAPANESE_INSTRUCTION
    system, _ = recipe.steered(recipe.domains[0])
    assert system is not None
    assert "代数学者" in system
    built = build(recipe, tmp_path / "out")
    assert {row["language"] for row in built["algebra"]["train_sft"]} == {"ja"}
    assert beyond(recipe) is None


def test_topics_are_columns_and_a_resumed_build_asks_the_same(answers: Answers, tmp_path: Path) -> None:
    topics = [Topic("20D Finite groups", weight=3, persona="a student"), Topic("12F Field extensions")]
    domain = with_topics(small_domain(DOMAINS["algebra"], 12), topics)
    assert "about Finite groups." in domain.system, "the code is for the column"
    assert "The user, a student, will" in domain.system
    recipe = small_recipe(answers, "algebra", "geometry", count=4, k=2)
    recipe = replace(recipe, domains=(domain, recipe.domains[1]))
    built = build(recipe, tmp_path / "out")
    rows = list(built["algebra"]["train_sft"])
    assert set(built["algebra"]["train_sft"].features) == {*PUBLISHED, *TOPIC}
    found = Counter((row["topic"], row["persona"]) for row in rows)
    assert set(found) == {("20D Finite groups", "a student"), ("12F Field extensions", None)}
    assert found["20D Finite groups", "a student"] > found["12F Field extensions", None]
    assert {row["topic"] for row in built["geometry"]["train_sft"]} == {None}
    for row in rows:
        assert row["topic"] == chosen(domain.texts, row["generation"]["seed"]).topic
    assert {"topic", "persona"} <= set(built["candidates"]["train"].features)
    counted = status(tmp_path / "out").topics
    assert r"\x1b[31mred" in replace(counted[0], topic="\x1b[31mred").line(), "nothing that a terminal obeys"
    assert sum(one.accepted for one in counted) == 12
    assert (
        sum(one.sampled for one in counted)
        == json.loads((tmp_path / "out" / "algebra" / "dataset_info.json").read_text())["sampled"]
    )
    assert all(one.line().endswith(f"near-duplicates  {one.topic}") for one in counted)
    card = (tmp_path / "out" / "README.md").read_text()
    for one in counted:
        cells = (f"`{one.domain}`", one.topic, one.sampled, one.accepted, one.near_duplicates)
        assert f"| {' | '.join(map(str, cells))} | {one.accepted / one.sampled:.1%} |" in card
    assert "| `topic` | `string` | what the problem was asked about" in card
    assert "chose one of 2 system texts" in card
    topics_table = next(breadth(Folder(tmp_path / "out").contents((tmp_path / "out").glob("*/*.parquet"))))
    assert topics_table["rows"] == [
        [*map(str, astuple(one)[:5]), f"{one.accepted / one.sampled:.0%}"] for one in counted
    ]
    asked = len(answers.requests)
    assert list(build(recipe, tmp_path / "out", shard_rows=5)["algebra"]["train_sft"]) == rows
    assert len(answers.requests) == asked, "nothing is asked twice"


def test_topics_have_pass_rates_and_count_while_a_build_runs(answers: Answers, tmp_path: Path) -> None:
    """The labels come from three answers, so another model gives them at times; then the judge dies."""
    out, texts = tmp_path / "out", [Topic("20D Finite groups"), Topic("12F Field extensions")]
    answers.answers = 3
    domain = with_topics(small_domain(DOMAINS["algebra"], 12), texts)
    other = Answers(replace(answers.model, name="other/small"), answers=3, salt="other")
    recipe = replace(small_recipe(answers, "algebra"), domains=(domain,))
    recipe = replace(recipe, pass_model=FakeEngine(other.model, other))
    rows = list(build(recipe, out)["candidates"]["train"])
    counted = status(out).topics
    for one in counted:
        rates = [row["pass_rate"] for row in rows if row["topic"] == one.topic]
        known = [rate for rate in rates if rate is not None]
        assert one.pass_rate == pytest.approx(sum(known) / len(known), abs=1e-4)
        assert f", mean pass rate {one.pass_rate:.2f}  {one.topic}" in one.line()
    contents = Folder(out).contents(out.glob("*/*.parquet"))
    table = next(breadth(contents))
    assert [row[-1] for row in table["rows"]] == [f"{one.pass_rate:.2f}" for one in counted]
    assert table["head"][-1] == "Mean pass rate"
    english, japanese = (
        cards.files(contents, "a/b", language=language)["README.md"].decode() for language in ("en", "ja")
    )
    assert "| share accepted | mean pass rate |" in english
    assert "| 採用率 | 平均正答率 |" in japanese
    assert all(f"% | {one.pass_rate:.2f} |" in english for one in counted)

    dying = Dying(answers.model, answers=3)
    engine = FakeEngine(dying.model, dying)
    more = replace(recipe, domains=(replace(domain, count=90),), generator=engine, solver=engine)
    with pytest.raises(EngineError):
        build(replace(more, scorer=Judge(engine)), out, shard_rows=16)
    (selected,) = status(out).selection
    under_way = status(out).topics
    assert 12 <= sum(one.accepted for one in under_way) == selected.accepted
    assert sum(one.sampled for one in under_way) == selected.filtered
    assert {one.pass_rate for one in under_way} == {None}


def test_a_plan_tells_the_same_texts_from_others(answers: Answers, tmp_path: Path) -> None:
    """Topics, a language of its own, and the text that a domain has without them."""
    plain = small_domain(DOMAINS["algebra"], 4)
    topics = [Topic("20D Finite groups"), Topic("12F Field extensions")]
    ways = {
        "plain": plain,
        "topics": with_topics(plain, topics),
        "weights": with_topics(plain, [replace(topics[0], weight=3), topics[1]]),
        "japanese": in_languages(plain, {"ja": 1.0}),
    }
    name = answers.model.name
    roles = dict.fromkeys(("model", "solver", "judge"), name)
    for way, domain in ways.items():
        recipe = small_recipe(answers, "algebra", k=2)
        build(replace(recipe, domains=(domain,), languages=("en", "ja")), tmp_path / way)
        for other, asked in ways.items():
            outline = Outline((asked,), roles, 2, 0, False, 0.0, False, Cutting(), "best", 0)
            kept = {one.stage: one for one in reuse_of(outline, tmp_path / way).stages}
            said = "" if way == other else "another system text"
            if {way, other} == {"topics", "weights"}:  # a sample is asked for anew where its text changes
                stays = kept["instruct"].kept - kept["instruct"].asked
                assert 0 < stays < kept["instruct"].rows
                said += f" of {1 - stays / kept['instruct'].rows:.0%} of the samples"
            assert {one.why for one in kept.values()} == {said}, (way, other)


def test_texts_are_chosen_by_weight_and_seed_alone() -> None:
    texts = tuple(SystemText(f"Text {weight}.", weight) for weight in (1, 2, 5))
    found = Counter(chosen(texts, seed).weight for seed in range(8000))
    assert all(abs(found[weight] - 1000 * weight) < 150 for weight in (1.0, 2.0, 5.0))
    doubled = tuple(replace(text, weight=2 * text.weight) for text in texts)
    assert all(chosen(texts, seed).system == chosen(doubled, seed).system for seed in range(500))


def test_ids_and_requests_of_a_text_do_not_depend_on_the_other_texts(answers: Answers) -> None:
    engine = FakeEngine(answers.model, answers)
    sampling = Sampling(temperature=PROBLEMS)
    texts = (SystemText("One asks.", topic="a"), SystemText("Another asks.", topic="b"))
    batch = {"domain": ["algebra"] * 40, "seed": list(range(40))}
    several = Instruct(engine, None, sampling, texts=texts)(batch)
    alone = {text.topic: Instruct(engine, text.system, sampling)(batch) for text in texts}
    for row, topic in enumerate(several["topic"]):
        for column in ("id", "raw_instruction"):
            assert several[column][row] == alone[topic][column][row]
    assert {"a", "b"} == set(several["topic"])
    other = tuple(replace(text, weight=number + 1) for number, text in enumerate(texts))
    stages = [Instruct(engine, None, sampling, texts=some) for some in (texts, other, texts[:1])]
    assert len({stage.reuse_key for stage in stages}) == 1, "requests are found again under other weights"
    assert len(set(map(fingerprint, stages))) == 3


def test_nothing_changes_without_texts() -> None:
    """The identities of domains as builds of earlier versions have them."""
    assert fingerprint(*DOMAINS.values()) == "842a3f1642853850"
    assert all(in_languages(domain, {"en": 1.0}) == domain for domain in DOMAINS.values())
    assert instruction_of(DOMAINS.values()) == SOLVING_INSTRUCTION


@pytest.mark.parametrize("key", DOMAINS)
def test_japanese_texts_describe_a_user_and_give_no_order(key: str) -> None:
    text = in_languages(DOMAINS[key], {"ja": 1.0}).texts[0].system
    assert "利用者が" in text
    assert not any(order in text for order in ("してください", "作成", "生成", "せよ", "しなさい"))


def test_the_vendi_score_is_the_effective_number() -> None:
    same, different = np.tile(np.eye(4)[:1], (6, 1)), np.eye(4)
    assert vendi(same) == pytest.approx(1)
    assert vendi(different) == pytest.approx(4)
    assert vendi(np.vstack([different] * 3)) == pytest.approx(4), "more rows than dimensions"
    dice = np.random.default_rng(0).normal(size=(5, 8))
    unit = dice / np.linalg.norm(dice, axis=1, keepdims=True)
    kernel = np.linalg.eigvalsh(unit @ unit.T / 5)
    assert vendi(unit) == pytest.approx(np.exp(-(kernel * np.log(kernel)).sum()))


# --- the command line ---------------------------------------------------------------------------------------


def asked(*words: str) -> tuple[Domain, ...]:
    return domains(parser().parse_args(["build", "--model", "6", "--domains", "algebra", *words]))


def test_languages_on_the_command_line() -> None:
    plain = asked()
    assert plain == asked("--language", "en") == asked("--languages", "en,ja") == asked("--language", "en:3")
    (ja,) = asked("--language", "ja")
    assert [text.language for text in ja.texts] == ["ja"]
    assert asked("--language", "ja,en") == (ja,)
    assert asked("--language", "ja,fr") == (ja,)
    (both,) = asked("--language", " en:0.7 , ja:0.3")
    assert [(text.language, text.weight) for text in both.texts] == [("en", 0.7), ("ja", 0.3)]
    assert both.system == plain[0].system


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("fr", "algebra has no text that asks in fr; name en or ja"),
        ("xx", "the languages are 'xx', and not all of them can be told"),
        ("", "the languages are"),
        ("jp:0.5,en:0.5", "the languages are 'jp, en'"),
        ("en:0.5,fr:0.5", "problems are asked for in en and ja, and 'fr' is neither"),
        ("en:0.5,ja", "ja has no share, and another has one"),
        ("en:0.5,en:0.5", "the language en has two shares"),
        ("en:0,ja:1", "the share of en is '0'"),
        ("en:nan,ja:1", "the share of en is 'nan'"),
        ("en:-1,ja:1", "the share of en is '-1'"),
        ("en:half,ja:1", "the share of en is 'half'"),
        ("en:１,ja:1e999", "the share of ja is '1e999'"),
    ],
)
def test_wrong_languages_are_refused(words: str, said: str) -> None:
    with pytest.raises(BadInput) as error:
        asked("--language", words)
    assert said in str(error.value)


def test_topics_on_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "topics.yaml"
    file.write_text(
        "algebra:\n- 20D Finite groups\n- {topic: Rings, japanese: 環, weight: 2, persona: a student}\n"
        "geometry: [Circles]\n"
    )
    (domain,) = asked("--topics", str(file), "--language", "en:0.5,ja:0.5")
    found = [(text.topic, text.language, text.weight) for text in domain.texts]
    assert found == [
        ("20D Finite groups", "en", 0.5), ("Rings", "en", 1.0),
        ("20D Finite groups", "ja", 0.5), ("Rings", "ja", 1.0),
    ]  # fmt: skip
    assert domain.texts[3].system.endswith("問題の主題は「環」です。")
    assert set(read_topics(str(file), DOMAINS)) == {"algebra", "geometry"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "t.yaml is empty; give a file of topics, such as `algebra: [Rings]`"),
        ("- a", "t.yaml:1: a list stands where a file of topics begins"),
        ("algbra: [a]", "t.yaml:1: 'algbra' is no key; the nearest is algebra"),
        ("algebra: []", "give a list of topics"),
        ("algebra: a", "give a list of topics"),
        ("algebra:\n- {topic: a, wieght: 2}", "t.yaml:2: 'algebra[0].wieght' is no key"),
        ("algebra:\n- {weight: 2}", "t.yaml:2: algebra[0] has no topic"),
        ("algebra:\n- a\n- {topic: b, weight: -1}", "t.yaml:3: a weight is -1"),
        ("algebra:\n- a\n- {topic: b, weight: .nan}", "t.yaml:3: a weight is"),
        ("algebra:\n- a\n- a", "t.yaml:2: algebra names 'a' twice"),
        ("algebra:\n- ''", "t.yaml:2: algebra[0].topic is ''"),
        ("geometry: [a]", "has no topics of algebra"),
    ],
)
def test_wrong_topics_are_refused_with_their_line(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.yaml").write_text(text)
    with pytest.raises(BadInput) as error:
        asked("--topics", "t.yaml")
    assert said in str(error.value)


def test_what_nothing_could_ask_for_is_refused(answers: Answers, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"missing\.yaml cannot be read"):
        asked("--topics", str(tmp_path / "missing.yaml"))
    with pytest.raises(BadInput, match="steer is none, so no text asks for a topic or a language"):
        replace(small_recipe(answers, "algebra"), steer="none", domains=asked("--language", "ja"))
    own = replace(DOMAINS["algebra"], key="logic", system="A logician asks.")
    with pytest.raises(BadInput, match="logic has one text of your own"):
        in_languages(own, BOTH)
    assert in_languages(own, {"ja": 1.0}).texts == (SystemText("A logician asks.", language="ja"),)
    for wrong in ({"system": " "}, {"weight": 0}, {"weight": True}, {"language": "xx"}):
        with pytest.raises(BadInput):
            SystemText(**{"system": "One asks.", **wrong})  # type: ignore[arg-type]


# --- files --------------------------------------------------------------------------------------------------


def test_a_recipe_file_says_texts_and_reads_them_again(demo_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(
        f"model: {demo_model}\ndomains: [algebra, geometry]\nselection: {{languages: 'en:0.5,ja:0.5',"
        " count: 12, tagger: none, decontaminate: none}\n"
    )
    first = read_recipe(file)
    assert first.languages == ("en", "ja")
    assert first.instruction == ByLanguage()
    said = said_of(first)
    assert said is not None
    folder = str(demo_model)
    said |= {"model": {**said["model"], "name": folder}, "solver": folder, "scorer": {"judge": folder}}
    again = tmp_path / "again.yaml"
    again.write_bytes(text_of(said))
    read = read_recipe(again)
    assert read.domains == first.domains
    assert read.instruction == first.instruction
    assert fingerprint(read.domains, read.instruction) == fingerprint(first.domains, first.instruction)
    again.write_text(yaml.safe_dump({**said, "selection": {**said["selection"], "languages": "en:1,ja:1"}}))
    with pytest.raises(BadInput, match="algebra has several texts in its recipe"):
        read_recipe(again)


def test_exports_with_an_instruction_for_each_language_come_back(bilingual: Bilingual) -> None:
    recipe = bilingual_recipe(bilingual)
    for export in recipe.exports(recipe.domains[0], recipe.domains[0]):
        assert export_of(spec_of(export)) == export
    assert any(isinstance(one, ExportRL) for one in recipe.exports(recipe.domains[0], recipe.domains[0]))


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        ("計算すると $x=3$ となる。よって、答えは $3$ である。", "3"),
        ("したがって、求める確率は \\boxed{\\dfrac{5}{36}} です。", "5/36"),
        ("ゆえに、答えは12通りです。", "12"),
        ("以上より、$n=7$。\n\n**答え：** 7", "7"),
        ("最終的な答えは $\\boxed{12\\text{個}}$ です。", "12"),
        ("答えは３６です。", "36"),
        ("答えは 1,024 人です。", "1024"),
        ("【答】 $\\sqrt{2}$", "\\sqrt2"),
        ("よって求める値は24となります。", "24"),
    ],
)
def test_final_answers_in_japanese_forms_are_read(solution: str, answer: str) -> None:
    found = final_answer(solution)
    assert found is not None
    assert compare(found, answer).relation == "equal"
    assert compare(found, "98765").relation == "different"
