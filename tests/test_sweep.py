"""The sweep: its numbers by hand, its report, what it refuses; and once on real vLLM. The documented table of
the yield study.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from chat_formats import BUILT, SMOL, byte_tokenizer, ids_of, tokenizer_of
from conftest import ROOT
from magpie_hf.cli import main as cli
from magpie_hf.cli.commands import options
from magpie_hf.cli.commands.exit_codes import BAD_INPUT, INCOMPLETE, OK
from magpie_hf.cli.main import main
from magpie_hf.domains import DOMAINS
from magpie_hf.engines.base import Completion, Engine
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.errors import BadInput
from magpie_hf.limits import MIN_YIELD
from magpie_hf.models.chat import Chat, chat_of
from magpie_hf.models.model import Model, resolve
from magpie_hf.models.sampling import Sampling
from magpie_hf.planning.sweep.prefixes import prefix_of
from magpie_hf.planning.sweep.settings import DEFAULT_SETTINGS, select_settings, setting
from magpie_hf.planning.sweep.sweep import Example, Sweep, sweep
from magpie_hf.planning.sweep.yields import Yield, yield_of
from magpie_hf.stage import seed_of

sys.path.insert(0, str(ROOT / "benchmarks"))

import breadth
import results
import yield_study

ALGEBRA, GEOMETRY = DOMAINS["algebra"], DOMAINS["geometry"]


def batch(*rows: tuple[str | None, str, int, str | None]) -> dict[str, list[object]]:
    """Samples after Instruct and Clean: problem, finish reason, tokens, why it was dropped."""
    columns = ("problem", "raw_finish_reason", "raw_num_tokens", "dropped")
    return {column: [row[at] for row in rows] for at, column in enumerate(columns)}


class TestYield:
    def test_every_number_by_hand(self) -> None:
        """6 words make 4 3-grams and 8 words 6, of which the first three stand in both; one first token."""
        first = batch(("Find all groups of order 6.", "stop", 8, None), (None, "length", 20, "length"))
        second = batch(
            ("find  all\ngroups of order 6 and 7.", "stop", 11, None),
            (None, "stop", 1, "empty"),
            (None, "length", 20, "length"),
        )
        found = yield_of(first, second)
        assert found == Yield(5, 3, 2, 60, 10, 7, 1, {"length": 2, "empty": 1})
        assert (found.ended_share, found.usable_share, found.diversity, found.score) == (
            0.6,
            0.4,
            0.7,
            0.4 * 0.7,
        )
        assert list(found.reasons) == ["length", "empty"], "the most frequent first"

    def test_nothing_usable_is_no_diversity(self) -> None:
        found = yield_of(batch((None, "length", 5, "length")))
        assert (found.usable_share, found.diversity, found.score, found.first_words) == (0, 0, 0, 0)

    def test_short_problems_have_openings_and_no_3_grams(self) -> None:
        found = yield_of(
            batch(("Compute $2^{10}$.", "stop", 5, None), ("Compute $2^{11}$.", "stop", 5, None))
        )
        assert (found.trigrams, found.first_words) == (0, 2)

    def test_a_japanese_character_is_a_word(self) -> None:
        found = yield_of(batch(("整数 $n$ を求めよ。", "stop", 9, None)))
        assert found.trigrams == len("整 数 $n$ を 求 め よ 。".split()) - 2


class TestSettings:
    def test_what_the_default_ones_are(self) -> None:
        sampled = {one.name: one.of(GEOMETRY).instruction for one in select_settings(DEFAULT_SETTINGS)}
        values = {name: (s.temperature, s.top_p, s.min_p) for name, s in sampled.items()}
        assert values == {
            "default": (1.35, 1, 0.1),
            "original": (1.35, 1, 0),
            "t1.0": (1, 1, 0),
            "t1.0-top_p0.95": (1, 0.95, 0),
            "t1.0-min_p0.05": (1, 1, 0.05),
            "t1.3-min_p0.05": (1.3, 1, 0.05),
            "t1.3-min_p0.1": (1.3, 1, 0.1),
            "t0.8": (0.8, 1, 0),
            "default-first1.2": (1.35, 1, 0.1),
        }
        assert {s.max_tokens for s in sampled.values()} == {GEOMETRY.instruction.max_tokens}

    @pytest.mark.parametrize(
        "name",
        [
            *DEFAULT_SETTINGS,
            "original-top_p0.9",
            "default-min_p0.02",
            "default-first1.3-min_p0.2",
            "t1-min_p0.05-top_p0.9",
            "t0",
        ],
    )
    def test_the_options_of_build_sample_the_same(self, name: str) -> None:
        words = [
            "build",
            "--model",
            "1",
            "--domains",
            "algebra,geometry",
            *shlex.split(setting(name).options),
        ]
        asked = options.domains(cli.parser().parse_args(words))
        wanted = [setting(name).of(domain) for domain in (ALGEBRA, GEOMETRY)]
        assert [(domain.instruction, domain.first_token) for domain in asked] == [
            (domain.instruction, domain.first_token) for domain in wanted
        ]

    @pytest.mark.parametrize(
        "name", ["", "warm", "t", "t1.0-", "t1.0-k5", "default-top_p", "t-1", "t1.0 -min_p0.1", "t1e3"]
    )
    def test_another_name_is_refused(self, name: str) -> None:
        with pytest.raises(
            BadInput, match="is no sampling setting; a name is default, original or t<temperature>"
        ):
            setting(name)

    @pytest.mark.parametrize("name", ["t2.5", "default-min_p1.5", "t1-top_p0"])
    def test_a_value_out_of_its_range_is_refused(self, name: str) -> None:
        with pytest.raises(BadInput, match=r"is .*; give a number"):
            setting(name).of(ALGEBRA)


class TestPreQueryPrefix:
    @pytest.mark.parametrize("form", BUILT, ids=lambda form: form.name)
    def test_one_bos_where_the_family_has_one(self, form) -> None:  # type: ignore[no-untyped-def]
        tokenizer = tokenizer_of(form)
        prefix = prefix_of(Chat(tokenizer, ids_of(tokenizer, form.config_ends), form.name), ALGEBRA)
        assert (prefix.bos, prefix.bos_count) == (form.bos, 0 if form.bos is None else 1)
        assert prefix.bos_note == (
            "none; the tokenizer has none" if form.bos is None else f"{form.bos}, once"
        )
        assert prefix.bos_is_right
        assert set(prefix.ends.values()) == set(form.turn_ends)
        assert ALGEBRA.system in prefix.text

    def test_a_bos_that_opens_every_turn_is_right(self, demo_model: Path) -> None:
        prefix = prefix_of(chat_of(resolve(str(demo_model))), ALGEBRA)
        assert (prefix.bos, prefix.bos_count, prefix.bos_is_right) == (SMOL.bos, 2, True)
        assert prefix.bos_note == "<|im_start|>, once a turn: it opens the system's and the user's"

    @pytest.mark.parametrize(
        ("before", "note", "right"),
        [
            ("", "none; the template writes no <s>", True),
            ("<s>", "<s>, once", True),
            ("<s>\n<s>", "<s>, 2 times where once is right; mend the chat template", False),
        ],
    )
    def test_a_strange_number_is_told(self, before: str, note: str, right: bool) -> None:
        template = before + "{% for m in messages %}<{{ m.role }}>{{ m.content }}</t>{% endfor %}"
        chat = Chat(
            byte_tokenizer(template, special=("<s>", "</s>"), plain=("</t>",), bos="<s>", eos="</s>"),
            (),
            "toy",
        )
        prefix = prefix_of(chat, ALGEBRA)
        assert (prefix.bos_note, prefix.bos_is_right) == (note, right)


GOOD = (
    "Find all integers n such that n divides 2^n + 1 and n is a power of 3.",
    "Let G be a finite group of order 12. Prove that G has a normal Sylow subgroup.",
    "Determine the number of real roots of the polynomial x^5 - 5x + 2.",
    "Let G be a finite group of order 20. How many elements of order 5 does G have?",
)


@dataclass
class Replies:
    """For FakeEngine: T 1.0 gives good problems, T 0.8 one good problem always, T 1.2 one good in four,
    other T never an end.
    """

    samples: int
    asked: list[int] = field(default_factory=list)

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        if sampling.max_tokens == 1:
            return Completion("", "length", len(prompt), 1)
        self.asked.append(seed)
        (at,) = [
            i
            for i in range(self.samples)
            for d in ("algebra", "geometry")
            if seed == seed_of(seed_of(7, d, i), "instruct")
        ]
        if sampling.temperature == 0.8 or (sampling.temperature == 1.2 and at % 4 == 0):
            return Completion(GOOD[0], "stop", len(prompt), 20)
        if sampling.temperature == 1.0:
            return Completion(GOOD[at % 4], "stop", len(prompt), 20)
        if sampling.temperature == 1.2:
            return Completion(
                "" if at % 4 == 1 else "a\x1b[2J long cut",
                "stop" if at % 4 == 1 else "length",
                len(prompt),
                40,
            )
        return Completion("noise", "length", len(prompt), 40)


def swept(model: Model, *settings: str, samples: int = 8) -> Sweep:
    return sweep(
        FakeEngine(model, Replies(samples)), (ALGEBRA, GEOMETRY), select_settings(settings), samples, seed=7
    )


@pytest.fixture
def model(demo_model: Path) -> Model:
    return resolve(str(demo_model))


class TestSweep:
    def test_usable_and_different_problems_win(self, model: Model) -> None:
        found = swept(model, "t0.8", "t1.0", "t1.2", "t1.5")
        shares = {
            trial.setting.name: (trial.total.ended_share, trial.total.usable_share) for trial in found.trials
        }
        assert shares == {"t0.8": (1, 1), "t1.0": (1, 1), "t1.2": (0.5, 0.25), "t1.5": (0, 0)}
        assert {trial.setting.name: trial.total.first_words for trial in found.trials} == {
            "t0.8": 1,
            "t1.0": 3,
            "t1.2": 1,
            "t1.5": 0,
        }
        diversity = {trial.setting.name: trial.total.diversity for trial in found.trials}
        # Each of the 4 comes 4 times; "let g be / g be a / be a finite / a finite group / finite group of /
        # group of order" are shared.
        grams = [len(text.split()) - 2 for text in GOOD]
        assert diversity["t1.0"] == (sum(grams) - 6) / (4 * sum(grams))
        assert diversity["t0.8"] == 1 / 16
        assert found.best.setting.name == "t1.0"
        assert (found.refused, found.warnings) == (False, [])
        assert found.trials[2].domains["algebra"] == replace(
            found.trials[2].total, **_halved(found.trials[2].total)
        )
        assert sum(trial.seconds for trial in found.trials) == pytest.approx(found.seconds)
        assert found.trials[3].seconds == pytest.approx(2 * found.trials[0].seconds), "twice the tokens"

    def test_the_samples_are_the_first_of_a_build_and_none_is_sampled_twice(self, model: Model) -> None:
        replies = Replies(4)
        found = sweep(
            FakeEngine(model, replies), (ALGEBRA,), select_settings(["default", "t1.3-min_p0.1"]), 4, seed=7
        )
        assert sorted(replies.asked) == sorted(
            seed_of(seed_of(7, "algebra", i), "instruct") for i in range(4)
        )
        assert found.asked == 4
        assert found.trials[0].total == found.trials[1].total

    def test_everything_is_in_flight_at_once(self, model: Model) -> None:
        """The engine finishes nothing before it has every request."""

        @dataclass(frozen=True)
        class Patient(Engine):
            waiting: list[Future[Completion]] = field(default_factory=list, compare=False)
            lock: threading.Lock = field(default_factory=threading.Lock, compare=False)

            def submit(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Future[Completion]:
                future: Future[Completion] = Future()
                with self.lock:
                    self.waiting.append(future)
                    if sampling.max_tokens == 1 or len(self.waiting) == 1 + 3 * 2 * 5:
                        for one in self.waiting:
                            one.done() or one.set_result(Completion(GOOD[0], "stop", len(prompt), 9))
                return future

        found = sweep(Patient(model), (ALGEBRA, GEOMETRY), select_settings(["t0.7", "t0.8", "t0.9"]), 5)
        assert found.asked == 30

    def test_a_hopeless_yield_is_a_warning(self, model: Model) -> None:
        found = swept(model, "t1.5")
        assert found.refused
        ends, shares = found.warnings
        assert (
            ends
            == "no sample reached an end token, <|im_end|>; raise --instruction-max-tokens or use another"
            " model"
        )
        assert (
            shares
            == "the best setting yields 0 usable samples of 16 (0%), below 2%: a build refuses to start; use"
            " another model or setting"
        )

    def test_an_expensive_yield_is_a_warning(self, model: Model) -> None:
        first = {seed_of(seed_of(7, key, 0), "instruct") for key in ("algebra", "geometry")}
        found = sweep(
            FakeEngine(model, ending(first)), (ALGEBRA, GEOMETRY), select_settings(["default"]), 7, seed=7
        )
        words = (
            "yields {} usable samples of {} (14%), below 20%: expensive, since every problem costs 7 samples"
        )
        assert found.warnings == [
            f"the best setting {words.format(2, 14)}",
            f"algebra {words.format(1, 7)}",
            f"geometry {words.format(1, 7)}",
        ]
        assert not found.refused

    def test_one_poor_domain_is_named(self, model: Model) -> None:
        algebra = {seed_of(seed_of(7, "algebra", at), "instruct") for at in range(4)}
        found = sweep(
            FakeEngine(model, ending(algebra)), (ALGEBRA, GEOMETRY), select_settings(["default"]), 4, seed=7
        )
        assert found.warnings == [
            "geometry yields 0 usable samples of 4 (0%), below 2%: a build refuses to start; use another"
            " model or setting"
        ]

    def test_the_report_tells_it_all_in_short_lines(self, model: Model) -> None:
        found = swept(model, "default", "t1.0", "t1.0-min_p0.05", "t0.8", "t1.2")
        text = "\n".join(found.lines())
        assert max(map(len, found.lines())) <= 100
        cells = [line.split() for line in found.lines()]
        assert ["t1.0", "100%", "100%", "0.22", "3", "0.22", "20", f"{found.trials[1].seconds:.1f}"] in cells
        assert [
            "t1.2",
            "50%",
            "25%",
            "0.25",
            "1",
            "0.06",
            "35",
            f"{found.trials[4].seconds:.1f}",
            "length",
            "8,",
            "empty",
            "4",
        ] in cells
        for words in (
            "usable          algebra geometry",
            "- algebra, usable: Find all integers n",
            "pre-query prefix of algebra, 93 tokens\n| <|im_start|>system\n| You are an AI assistant",
            "\n| <|im_start|>user\n|\nBOS     <|im_start|>, once a turn",
            "ends    <|im_end|> (2); 56 of 80 samples reached one",
            "best    t1.0: 100% usable x 0.22 different 3-grams = 0.22",
            "options --instruction-temperature 1 --instruction-top-p 1 --instruction-min-p 0",
        ):
            assert words in text

    def test_examples_are_usable_ones_and_dropped_ones_for_several_reasons(self, model: Model) -> None:
        examples = swept(model, "t1.2").examples
        assert [(example.domain, example.reason) for example in examples[:4]] == [
            ("algebra", None), ("algebra", None), ("algebra", "empty"), ("algebra", "length"),
        ]  # fmt: skip
        assert examples[3].line() == "algebra, dropped for length: a\ufffd[2J long cut", (
            "a terminal obeys nothing of it"
        )
        assert examples[2].line() == "algebra, dropped for empty: (nothing)"
        assert len(Example("algebra", None, "word " * 999).line()) < 230

    def test_the_dict_is_json(self, model: Model) -> None:
        said = json.loads(json.dumps(swept(model, "t1.0", "t1.5").to_dict()))
        assert [one["setting"] for one in said["settings"]] == ["t1.0", "t1.5"]
        assert said["settings"][0]["domains"]["geometry"]["usable_share"] == 1
        assert said["settings"][1]["total"]["reasons"] == {"length": 16}
        assert said["recommended"]["setting"] == "t1.0"
        assert (
            said["recommended"]["options"]
            == "--instruction-temperature 1 --instruction-top-p 1 --instruction-min-p 0"
        )
        assert said["pre_query_prefix"]["bos_count"] == 2

    def test_bad_input(self, model: Model) -> None:
        engine = FakeEngine(model, Replies(1))
        for samples in (0, -1, 10_001):
            with pytest.raises(BadInput, match=r"samples is .*; give 1 to 10,000 a domain and setting"):
                sweep(engine, (ALGEBRA,), samples=samples)
        with pytest.raises(BadInput, match="there are 0 domains and 9 settings"):
            sweep(engine, ())
        with pytest.raises(BadInput, match="the domains are algebra, algebra; name each once"):
            sweep(engine, (ALGEBRA, replace(ALGEBRA, subject="rings")))
        with pytest.raises(BadInput, match="there are 1 domains and 0 settings"):
            sweep(engine, (ALGEBRA,), ())


def _halved(total: Yield) -> dict[str, object]:
    counts = {
        name: getattr(total, name) // 2 for name in ("samples", "ended", "usable", "tokens", "trigrams")
    }
    return {**counts, "reasons": {reason: count // 2 for reason, count in total.reasons.items()}}


def ending(seeds: set[int]) -> Callable[[Sequence[int], Sampling, int], Completion]:
    """A reply whose samples with these seeds are good problems; the others are cut."""
    return lambda prompt, sampling, seed: Completion(
        GOOD[0], "stop" if seed in seeds else "length", len(prompt), 9
    )


class TestCommand:
    @pytest.mark.parametrize(
        ("arguments", "line"),
        [
            (
                ["--settings", "warm"],
                "'warm' is no sampling setting; a name is default, original or t<temperature>",
            ),
            (["--settings", ""], "'' is no sampling setting"),
            (["--settings", "t1,t1.0"], "the settings t1 and t1.0 are the same; name each once"),
            (["--settings", "t2.5"], "temperature is 2.5; give a number from 0 (greedy) to 2"),
            (["--domains", "alchemy"], "'alchemy' is not a domain; choose from algebra, calculus"),
            (["--samples", "0"], "samples is 0; give 1 to 10,000 a domain and setting"),
            (["--samples", "-3"], "samples is -3; give 1 to 10,000"),
            (["--samples", "few"], "argument --samples: 'few' is not a whole number"),
            (["--instruction-max-tokens", "0"], "max_tokens is 0; give a whole number of at least 1"),
            (["--max-num-seqs", "0"], "--max-num-seqs is 0; give at least 1"),
            (["--max-model-len", "8193"], "max length 8193 is larger than the 8192 tokens of"),
            (["--colour"], "unrecognized arguments: --colour"),
        ],
    )
    def test_bad_input_is_one_line(
        self,
        arguments: list[str],
        line: str,
        demo_model: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert main(["sweep", str(demo_model), *arguments]) == BAD_INPUT
        error = capsys.readouterr().err
        assert error.count("\n") == 1, error
        assert error.startswith("magpie-hf: ")
        assert line in error
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("harm", "line"),
        [
            (
                "no template",
                "has no chat template, so it has no user turn to open; give an aligned (instruct) model",
            ),
            ("none", "is no model"),
        ],
    )
    def test_what_is_no_model_is_refused(
        self, harm: str, line: str, demo_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = tmp_path / "model"
        if harm == "no template":
            folder.mkdir()
            for file in demo_model.iterdir():
                if file.name != "chat_template.jinja":
                    (folder / file.name).symlink_to(file)
        assert main(["sweep", str(folder)]) == BAD_INPUT
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert line in error

    def test_help_and_import_load_nothing_heavy(self) -> None:
        helps = "from magpie_hf.cli.main import main\ntry: main(['sweep', '--help'])\nexcept SystemExit: pass"
        for code, heavy in (
            (helps, "{'torch', 'vllm', 'transformers', 'datasets', 'numpy'}"),
            ("import magpie_hf.planning.sweep.sweep", "{'torch', 'vllm'}"),
        ):
            script = (
                f"import sys\n{code}\nassert not {heavy} & set(sys.modules), sorted({heavy} &"
                " set(sys.modules))"
            )
            subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, timeout=60)

    @pytest.mark.vllm
    @pytest.mark.filterwarnings("ignore")
    def test_on_real_vllm(self, tiny_model: Path, tmp_path: Path) -> None:
        words = (
            "--domains algebra --settings t0.8,t2.0 --samples 8 --instruction-max-tokens 64 --kv-cache-gb 1"
            " --json --dtype float32"
        )
        command = [sys.executable, "-m", "magpie_hf", "sweep", str(tiny_model), *words.split()]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=540, check=False)
        said = json.loads(done.stdout)
        cold, hot = (one["total"] for one in said["settings"])
        assert done.returncode == (INCOMPLETE if said["recommended"]["refused"] else OK)
        assert (cold["samples"], hot["samples"], said["asked"]) == (8, 8, 16)
        assert cold["ended"] > hot["ended"], "at T 2 nearly nothing comes to its end"
        assert said["recommended"]["refused"] == (max(cold["usable_share"], hot["usable_share"]) < MIN_YIELD)
        assert hot["tokens"] > cold["tokens"] > 0
        assert said["seconds"] > 0
        assert not list(tmp_path.iterdir())


def test_the_docs_show_the_studies_as_they_were_measured() -> None:
    kept, page = json.loads(results.FILE.read_text()), (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    assert yield_study.table(kept["yield_study"]) in page
    assert breadth.table(kept["breadth"]) in page
