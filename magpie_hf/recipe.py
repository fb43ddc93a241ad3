"""Recipe: everything that determines the datasets of a build, and the stages that follow from it.

Not here: where and when the stages run.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

from magpie_hf.domains import DOMAINS, MOST_ROWS, Domain, opinion_sampling
from magpie_hf.engines.base import Engine
from magpie_hf.errors import BadInput
from magpie_hf.limits import (
    LANGUAGES,
    NEAR,
    PASS_TOKENS,
    PASS_VOTES,
    check_auto_extend,
    check_band,
    check_chosen,
    check_harden,
    check_k,
    check_near,
    check_pairs_checked,
    check_pass_votes,
    check_passes,
    check_rl,
    check_sft,
    check_steer,
    check_tir,
)
from magpie_hf.models.chat import SOLVING_INSTRUCTION, chat_of
from magpie_hf.models.data_licence import check_source
from magpie_hf.problems.benchmarks.names import Benchmark, NotChecked
from magpie_hf.problems.concepts import concepts_of
from magpie_hf.problems.heldout import HeldOut
from magpie_hf.problems.near_duplicates.index import NearDuplicates
from magpie_hf.problems.own.loading import Problem, load
from magpie_hf.problems.own.own import OwnProblems
from magpie_hf.problems.system_texts import SystemText
from magpie_hf.schema import CANDIDATES_CONFIG, SIDES, TEXT_SPLITS
from magpie_hf.scorers.base import Scorer
from magpie_hf.scorers.own import check_scorer
from magpie_hf.selection.domain_keys import check_domains
from magpie_hf.selection.places import Passes, Places, check_places, passes_of, with_engine
from magpie_hf.selection.rounds import rounds_of
from magpie_hf.selection.screen import Screen
from magpie_hf.selection.selection import Acceptance
from magpie_hf.stage import Stage, fingerprint, use_of
from magpie_hf.stages.adopt import Adopt
from magpie_hf.stages.clean import Clean
from magpie_hf.stages.cut import Cut
from magpie_hf.stages.decontaminate import Decontaminate
from magpie_hf.stages.delta import BEST, Delta
from magpie_hf.stages.embed import Embed
from magpie_hf.stages.exports.base import SHOWN, USED, Export
from magpie_hf.stages.exports.candidates import ExportCandidates
from magpie_hf.stages.exports.rl import ExportRL
from magpie_hf.stages.exports.texts import ExportText
from magpie_hf.stages.exports.tir import ExportTIR
from magpie_hf.stages.harden import HARDEN, Harden
from magpie_hf.stages.instruct import Instruct
from magpie_hf.stages.opinions import CHECKER, OBJECTIONS, PROGRAM, Confirm, opinion_stages
from magpie_hf.stages.pair import Pair, PairByReference
from magpie_hf.stages.pass_rate import PASS_RATE, PassRate
from magpie_hf.stages.recognise import Recognise
from magpie_hf.stages.recognise_known import KNOWN, RecogniseKnown
from magpie_hf.stages.refer import Refer
from magpie_hf.stages.respond import Respond
from magpie_hf.stages.same_problem import SameProblem
from magpie_hf.stages.score import ScoreCandidates
from magpie_hf.stages.signature import Signature
from magpie_hf.stages.solving import Instruction
from magpie_hf.stages.step import Step, own_columns
from magpie_hf.stages.tag import Tag
from magpie_hf.stages.take import AsGiven, Take
from magpie_hf.stages.tool_answers import ToolAnswers, tool_instruction
from magpie_hf.stages.verify import Verify


@dataclass(frozen=True)
class Recipe:
    """Everything that determines the datasets of a build.

    generator: writes the problems. solver: answers them. scorer: scores the k candidates of each problem.
    tagger: labels the problems; None labels none. languages: ISO 639-1 codes that a problem may be in.
    benchmarks: those that a problem must not repeat, pinned by `load_benchmark`; not_checked: those that
    could not be loaded. embedder: finds near-duplicates by meaning, and near benchmarks' problems, which the
    tagger or else the solver compares; None compares words alone. acceptance: the rules for accepting a
    sample. near: the share of common words from which two problems are near-duplicates. verify: how answers
    are compared. pair: how pairs are made; None takes the least score gap of the scorer. rl_majority_share:
    the least majority share of a problem in `<domain>_rl`; None makes no such configuration. held_out: which
    problems are kept for the test splits. sft: which answers of a problem its SFT rows hold: "best", "all",
    at most a number of them, or "cold", which asks for one more. keep_minority: whether answers against the
    majority are published, too. auto_extend: how often the bound of the answers that it truncated is doubled.
    steer: where a domain's text goes: "system", "user" or "none"; None for the system's turn, or the user's
    where the template has no other. problems: those that one has, in
    place of sampled ones; they are read and pinned here. The solver is then the generator, too, since nothing
    is sampled. steps: stages of one's own, each at its place. checker: answers the problems that have a
    majority, too, and agrees with it or does not; programmer: writes programs for them, whose output does.
    Neither votes. pairs_checked: whether correctness pairs are made only where these confirm the majority.
    rejecter: a smaller model, whose answers are the rejected ones where all candidates are right; chosen: of
    these candidates, the "best" or the "shortest".
    objections: whether doubtful problems are looked at again, by the checker, or else the tagger, or else the
    solver, and those that are called ill-posed are dropped. tir: how many answers with programs in them are
    asked for of each problem that has a label, for `<domain>_tir`; 0 for none. known: sets of known problems,
    pinned as the benchmarks are, with which problems are compared by meaning, up to their numbers; none is
    dropped for it. instruction: how problems are to be solved: a text, or one for each language. pass_model:
    answers each problem that has a label `pass_votes` times, which gives its pass rate;
    `acceptance.pass_rate` bounds that. rl_pass_rate: the least and the greatest pass rate of an RL problem;
    None takes all between 0 and 1, without both. easy_share: the share of the problems above that which
    become RL problems all the same. harden: in how many rounds harder problems are made of those above
    `acceptance.pass_rate`, in their place; 0 for none. hardener: makes them; None for the solver.

    Raises BadInput for k below 2 (no pair is possible), for a count below 1, for no domain, and for a domain
    or a benchmark that is named twice.
    """

    generator: Engine
    solver: Engine
    scorer: Scorer
    domains: tuple[Domain, ...]
    k: int = 5
    seed: int = 0
    instruction: Instruction = SOLVING_INSTRUCTION
    tagger: Engine | None = None
    languages: tuple[str, ...] = LANGUAGES
    benchmarks: tuple[Benchmark, ...] = ()
    not_checked: tuple[NotChecked, ...] = ()
    embedder: Engine | None = None
    acceptance: Acceptance = field(default_factory=Acceptance)
    near: float = NEAR
    verify: Verify = field(default_factory=Verify)
    pair: Pair | None = None
    rl_majority_share: float | None = None
    held_out: HeldOut = field(default_factory=HeldOut)
    sft: str | int = "best"
    keep_minority: bool = False
    auto_extend: int = 1
    steer: str | None = field(default=None, metadata={"later": True})
    problems: OwnProblems | None = field(default=None, metadata={"later": True})
    steps: tuple[Step, ...] = field(default=(), metadata={"later": True})
    checker: Engine | None = field(default=None, metadata={"later": True})
    programmer: Engine | None = field(default=None, metadata={"later": True})
    pairs_checked: bool = field(default=False, metadata={"later": True})
    rejecter: Engine | None = field(default=None, metadata={"later": True})
    chosen: str = field(default=BEST, metadata={"later": True})
    objections: bool = field(default=False, metadata={"later": True})
    tir: int = field(default=0, metadata={"later": True})
    known: tuple[Benchmark, ...] = field(default=(), metadata={"later": True})
    pass_model: Engine | None = field(default=None, metadata={"later": True})
    pass_votes: int = field(default=PASS_VOTES, metadata={"later": True})
    rl_pass_rate: tuple[float, float] | None = field(default=None, metadata={"later": True})
    easy_share: float = field(default=0.0, metadata={"later": True})
    harden: int = field(default=0, metadata={"later": True})
    hardener: Engine | None = field(default=None, metadata={"later": True})

    def __post_init__(self) -> None:
        check_k(self.k)
        check_sft(self.sft)
        check_auto_extend(self.auto_extend)
        check_domains(self.domains)
        for sets in (self.benchmarks, self.known):
            names = [one.name for one in sets]
            if twice := [name for name in names if names.count(name) > 1]:
                raise BadInput(
                    f"two problem sets are called {twice[0]}, so their rows could not be told apart; rename"
                    " one"
                )
        if self.known and self.embedder is None:
            raise BadInput("known problems are found by meaning, and nothing embeds; give --embedder, too")
        check_near(self.near)
        check_rl(self.rl_majority_share)
        check_tir(self.tir)
        check_pairs_checked(self.pairs_checked, bool(self.checker or self.programmer))
        check_chosen(self.chosen, self.rejecter is not None)
        check_pass_votes(self.pass_votes)
        object.__setattr__(self, "rl_pass_rate", check_band(self.rl_pass_rate))
        check_passes(
            self.pass_model is not None,
            self.pass_votes,
            self.acceptance.pass_rate,
            self.rl_pass_rate,
            self.easy_share,
            self.rl_majority_share is not None,
            self.problems is not None and self.problems.as_given,
        )
        check_harden(
            self.harden, self.hardener is not None, self.pass_model is not None, self.acceptance.pass_rate
        )
        if self.rejecter is not None and self.rejecter.model == self.solver.model:
            raise BadInput(
                f"{self.solver.model.name} would write chosen and rejected answers alike; give a smaller"
                " model as --rejected-solver"
            )
        labelled = self.tagger is not None and self.acceptance.off_topic != "keep"
        check_steer(self.steer, len(self.domains), labelled)
        if self.steer == "none" and self.problems is None and any(one.texts for one in self.domains):
            raise BadInput(
                "steer is none, so no text asks for a topic or a language; leave out --steer, or --topics and"
                " --language"
            )
        if self.problems is not None:
            loaded = load(self.problems)
            check_source(self.problems.name, loaded.licence, self.problems.licence)
            object.__setattr__(self, "problems", loaded.own)
            if self.generator != self.solver:
                raise BadInput(
                    f"{self.generator.model.name} would sample problems, and they are given; give the model"
                    " that answers them as --model, and leave out --solver"
                )
            if self.problems.as_given and (self.tagger is not None or self.benchmarks or self.objections):
                raise BadInput(
                    "problems that are taken as they are given are dropped by no tagger, for no benchmark and"
                    " for no objections; leave out --problems-as-given, or the others"
                )
        self._take_own()

    @property
    def given(self) -> dict[str, list[Problem]] | None:
        """The given problems by domain; None where they are sampled.

        Without a column of domains, all stand in the first one, from where the tagger may move them.
        """
        if self.problems is None:
            return None
        first, *_ = keys = [domain.key for domain in self.domains]
        found: dict[str, list[Problem]] = {key: [] for key in keys}
        for problem in load(self.problems).problems:
            if (key := first if self.problems.domain is None else problem.domain) in found:
                found[str(key)].append(problem)
        return found

    @property
    def reference(self) -> str:
        """What exports do with reference answers; "" without any."""
        if self.problems is None or self.problems.answer is None:
            return ""
        return USED if self.problems.use_reference else SHOWN

    @property
    def near_duplicates(self) -> NearDuplicates | None:
        """Finds near-duplicates; None where problems are kept as they are given."""
        as_given = self.problems is not None and self.problems.as_given
        return None if as_given else NearDuplicates(self.near)

    @property
    def engines(self) -> list[Engine]:
        """The engines of all roles; an engine of several roles occurs several times."""
        others = (self.checker, self.programmer, self.rejecter, self.pass_model, self.hardens)
        parts = (self.generator, self.solver, self.tagger, self.embedder, *others, self.scorer.engine)
        return [engine for engine in parts if engine is not None]

    @property
    def reader(self) -> Engine | None:
        """Compares problems with those of sets that are near in meaning; None where none are found."""
        compares = self.embedder is not None and (self.benchmarks or self.known)
        return (self.tagger or self.solver) if compares else None

    @property
    def opinions(self) -> tuple[str, ...]:
        """Whose opinions of the majority's answer there are, as in `schema.OPINIONS`."""
        asked = {CHECKER: self.checker, PROGRAM: self.programmer, OBJECTIONS: self.looker}
        asked[PASS_RATE] = self.pass_model
        return tuple(name for name, engine in asked.items() if engine is not None)

    @property
    def more_columns(self) -> tuple[str, ...]:
        """Which columns of `schema.OPINIONS` the published rows have."""
        return (*self.opinions, *([KNOWN] if self.known else []), *([HARDEN] if self.harden else []))

    @property
    def hardens(self) -> Engine | None:
        """Makes harder problems of easy ones; None where nobody does."""
        return (self.hardener or self.solver) if self.harden else None

    @property
    def looker(self) -> Engine | None:
        """Looks at doubtful problems again; None where nobody does."""
        return (self.checker or self.tagger or self.solver) if self.objections else None

    @property
    def pairing(self) -> Pair:
        """The rules by which pairs are made."""
        pair = self.pair or Pair(min_score_gap=self.scorer.least_score_gap)
        if self.reference != USED or isinstance(pair, PairByReference):
            return pair
        return PairByReference(**{one.name: getattr(pair, one.name) for one in fields(pair)})

    def samples(self, domain: Domain) -> Passes:
        """The stages over a domain's samples before they are filtered.

        One pass per engine; a pass is a list of steps in order; the stages of a step run side by side.
        """
        models = tuple(dict.fromkeys((self.generator.model, self.solver.model)))
        first: Stage
        if self.problems is None:
            system, place = self.steered(domain)
            texts = self.texts(domain)
            if texts:
                system = None
            first = Instruct(self.generator, system, domain.instruction, domain.first_token, place, texts)
        else:
            first = Take(self.solver.model)
        as_given = self.problems is not None and self.problems.as_given
        clean: Stage = AsGiven(models) if as_given else Clean(models, self.languages, self.reads_closely)
        text: list[Stage] = [Signature(), *([Decontaminate(self.benchmarks)] if self.benchmarks else [])]
        places: Places = [("sample", self.generator, [[first]]), ("clean", None, [[clean]])]
        if self.tagger is not None:
            places.append(("tag", self.tagger, [[Tag(self.tagger, self._choices)], [Cut()]]))
        places.append(("", None, [text]))
        if self.embedder is not None:
            places.append(("", self.embedder, [[Embed(self.embedder)]]))
        if self.reader is not None:
            reading: list[Stage] = [Recognise(self.reader, self.benchmarks)] if self.benchmarks else []
            reading += [RecogniseKnown(self.reader, self.known)] if self.known else []
            places.append(("", self.reader, [reading]))
        if self.selects_by_answers:
            answered = self._answered(domain)
            places += [("", None, [[self._screen(answered)]]), *answered]
        if self.hardens is not None and self.acceptance.pass_rate is not None:
            harden = self._harden(domain, self.hardens, self.acceptance.pass_rate[1])
            adopt = Adopt(self.solver.model, 1, self.reads_closely, bool(self.reference))
            cleaned: Places = [("clean", None, []), *places[2:]]
            band = self.acceptance.pass_rate
            places += rounds_of(self.harden, harden, adopt, band, cleaned, self.steps)
        return passes_of(places, self.steps)

    def _harden(self, domain: Domain, engine: Engine, above: float) -> Harden:
        _, warm = opinion_sampling(domain, engine.model)
        models = tuple(dict.fromkeys((self.generator.model, self.solver.model, engine.model)))
        clean = Clean(models, self.languages, self.reads_closely)
        concepts = concepts_of(domain.key, (text.topic for text in domain.texts))
        by_reference = self.reference == USED
        return Harden(engine, warm, concepts, above, clean, by_reference=by_reference, near=self.near)

    def _screen(self, answered: Places) -> Screen:
        """The rules that need no answers; those of one's own may read what the places of answers make."""
        stages = [stage for _, _, steps in answered for stages in steps for stage in stages]
        names = {place for place, _, _ in answered} - {""}
        stages += [step.stage for step in self.steps if step.after in names]
        late = {column for stage in stages for column in stage.adds}
        rules = tuple(rule for rule in self.acceptance.rules if late.isdisjoint(rule.reads))
        moving = self.acceptance.off_topic == "move"
        return Screen(
            replace(self.acceptance, pass_rate=None, reviewed=(), rules=rules),
            tuple(one.key for one in self.domains) if moving else (),
            self.reference == USED,
        )

    @property
    def selects_by_answers(self) -> bool:
        """Whether samples are answered before the selection, as it asks for their pass rates."""
        return self.acceptance.pass_rate is not None

    @property
    def reads_closely(self) -> bool:
        """Whether the tagger decides what the uncertain rules suspect, as what it says is listened to."""
        return self.tagger is not None and self.acceptance.drop_unsolvable

    def steered(self, domain: Domain) -> tuple[str | None, str | None]:
        """The text that steers a domain's samples and its place, as `Chat.prefix_text` takes them."""
        if self.steer == "none" or self.problems is not None:
            return None, None
        return domain.system, "user" if self.steer == "user" else None

    def texts(self, domain: Domain) -> tuple[SystemText, ...]:
        """The texts that a row's seed chooses from; () where all rows have one, without topic and persona."""
        return domain.several if self.problems is None else ()

    @property
    def has_topics(self) -> bool:
        """Whether the rows have the columns `topic` and `persona`."""
        texts = [text for domain in self.domains for text in self.texts(domain)]
        return any(text.topic or text.persona for text in texts)

    def answers(self, domain: Domain) -> Passes:
        """The stages over the accepted samples of a domain, as `samples` returns them."""
        confirm = Confirm(self.opinions, self.reference == USED)
        confirmed: list[list[Stage]] = [[confirm]] if self.pairs_checked else []
        delta: Places = []
        if self.rejecter is not None:
            delta = [("pair", self.rejecter, [[self._delta(domain, self.rejecter)]])]
        places: Places = [
            ("accepted", None, []),
            *(self._tools(domain) if self.selects_by_answers else self._answered(domain)),
            ("score", self.scorer.engine, [[ScoreCandidates(self.scorer)]]),
            ("" if delta else "pair", None, [[self.pairing], *confirmed]),
            *delta,
        ]
        return passes_of(places, self.steps)

    def _answered(self, domain: Domain) -> Places:
        """The places of the answers, of the votes on them, and of what is known of their labels."""
        named = {"candidates": (domain.candidate, self.k)}
        if self.sft == "cold":
            named = {"solutions": (domain.response, 1), **named}
        asked: list[Stage] = [
            Respond(self.solver, column, sampling, k, self.instruction, self.auto_extend)
            for column, (sampling, k) in named.items()
        ]
        compared: list[list[Stage]] = [[Refer(self.verify.limits)]] if self.reference else []
        opinions = (self.checker, self.programmer, self.looker)
        passes: Places = []
        if self.pass_model is not None:
            passes = [("", self.pass_model, [[self._pass_rate(domain, self.pass_model)]])]
        tools = () if self.selects_by_answers else self._tools(domain)
        return [
            ("respond", self.solver, [asked]),
            ("verify", None, [[self.verify], *compared]),
            *tools,
            *opinion_stages(
                domain, self.instruction, self.verify.limits, *opinions, selected=not self.selects_by_answers
            ),
            *passes,
        ]

    def _pass_rate(self, domain: Domain, engine: Engine) -> PassRate:
        _, warm = opinion_sampling(domain, engine.model)
        return PassRate(
            engine,
            replace(warm, max_tokens=min(warm.max_tokens, PASS_TOKENS)),
            self.pass_votes,
            self.acceptance.pass_rate,
            self.reference == USED,
            self.instruction,
            self.verify.limits,
        )

    def _tools(self, domain: Domain) -> Places:
        """The place of the answers with programs, which accepted problems alone are asked for."""
        return [("", self.solver, [[self.tools(domain)]])] if self.tir else []

    def tools(self, domain: Domain) -> ToolAnswers:
        """The stage that asks for answers with programs in them."""
        return ToolAnswers(
            self.solver,
            domain.candidate,
            self.tir,
            self.pairing.min_majority_share,
            self.reference == USED,
            tool_instruction(self.instruction),
            self.verify.limits,
        )

    def _delta(self, domain: Domain, rejecter: Engine) -> Delta:
        return Delta(
            rejecter,
            opinion_sampling(domain, rejecter.model)[1],
            self.instruction,
            self.chosen,
            self.pairing.min_majority_share,
            self.pairing.max_length_ratio,
            self.reference == USED,
            self.opinions if self.pairs_checked else (),
            self.verify.limits,
        )

    @property
    def votes(self) -> tuple[str, ...]:
        """What determines the votes on a problem: a fingerprint for each way in which the domains ask."""
        cold = self.sft == "cold"
        asked = {
            fingerprint(
                *(self.solver.model, self.instruction, self.auto_extend, self.k, self.verify),
                *(domain.candidate, domain.response if cold else None),
            )
            for domain in self.domains
        }
        return tuple(sorted(asked))

    @property
    def by_role(self) -> dict[str, Engine | None]:
        """The engines that stages and scorers of one's own can name; that of a scorer is the scorer's."""
        return {
            "model": self.generator,
            "solver": self.solver,
            "tagger": self.tagger,
            "embedder": self.embedder,
        }

    def _take_own(self) -> None:
        """Give stages and scorers of one's own the engines of the roles that they name, and check them."""
        roles = self.by_role
        if use_of(self.scorer):
            check_scorer(self.scorer)
            object.__setattr__(self, "scorer", with_engine(self.scorer, roles))
        roles = {**roles, "scorer": self.scorer.engine}
        steps = tuple(replace(step, stage=with_engine(step.stage, roles)) for step in self.steps)
        object.__setattr__(self, "steps", steps)
        if steps or self.acceptance.rules:
            domain = self.domains[0]
            check_places(
                steps, self.acceptance.rules, self.samples(domain), self.answers(domain), self.engines
            )
        if self.rl_majority_share is None and (gone := [step.name for step in steps if "rl" in step.to]):
            raise BadInput(
                f"the step {gone[0]} goes to rl, and this build has no RL problems; give rl_majority_share,"
                " or leave out rl"
            )

    @property
    def _choices(self) -> tuple[tuple[str, str], ...]:
        """(key, subject) of the domains that the tagger chooses from.

        They are all domains of this package and those of the recipe, so that the tagger's prompt does not
        depend on which domains of the package a build asks for.
        """
        return tuple(
            {
                **{key: domain.subject for key, domain in DOMAINS.items()},
                **{one.key: one.subject for one in self.domains},
            }.items()
        )

    def sources(self, domain: Domain) -> list[Domain]:
        """The domains whose samples can be accepted for this one."""
        moving = self.acceptance.off_topic == "move" and self.tagger is not None
        return [other for other in self.domains if moving or other.key == domain.key]

    def exports(self, domain: Domain, source: Domain) -> list[Export]:
        """The exports that make the splits of a domain from the samples of one source."""
        generation = tuple(self.provenance(source).items())
        moved = domain.key != source.key
        first = MOST_ROWS * (1 + self.domains.index(source)) if moved else 0
        shown: dict[str, Any] = {"moved": moved, "reference": self.reference, "opinions": self.more_columns}
        shown["topics"] = self.has_topics
        harder = self._provenance_of_harder(source)
        chosen = {**shown, "sft": self.sft, "keep_minority": self.keep_minority}
        chosen["delta"] = self.rejecter is not None
        exports: list[Export] = []
        for side in SIDES if self.held_out.share else SIDES[:1]:
            where = domain.key, self.held_out, side
            for text in TEXT_SPLITS:
                own = own_columns(self.steps, TEXT_SPLITS, text)
                exports.append(ExportText(*where, text, generation, own=own, harder=harder, **chosen))
            if (share := self.rl_majority_share) is not None:
                own = own_columns(self.steps, ["rl"], "rl")
                rl = {**shown, "pass_rate": self.rl_pass_rate, "easy_share": self.easy_share}
                exports.append(ExportRL(*where, share, self.instruction, first=first, own=own, **rl))
            if self.tir:
                exports.append(ExportTIR(*where, generation, harder=harder, **shown))
            own = own_columns(self.steps, [CANDIDATES_CONFIG], CANDIDATES_CONFIG)
            exports.append(ExportCandidates(*where, own=own, **chosen))
        return exports

    def _provenance_of_harder(self, domain: Domain) -> tuple[tuple[str, Any], ...]:
        """What of `provenance` is otherwise in rows whose problem was made harder; () where none is."""
        if (engine := self.hardens) is None:
            return ()
        _, warm = opinion_sampling(domain, engine.model)
        made = {"problem_model": engine.model.name, "problem_revision": engine.model.revision}
        return tuple({**made, "problem_temperature": warm.temperature}.items())

    def check(self) -> None:
        """Raises BadInput where a device cannot run a model, or a chat template does not fit its role."""
        chatting = (self.generator, self.solver, self.scorer.engine, self.tagger, self.hardens)
        others = (self.checker, self.programmer, self.rejecter, self.pass_model)
        for engine in dict.fromkeys((*chatting, *others)):
            if engine is not None:
                engine.check()
                chat_of(engine.model)
        for engine in (self.solver, *others):
            if engine is not None:
                chat_of(engine.model).check_solving()
        for stage in (
            stage for _, steps in self.samples(self.domains[0]) for stages in steps for stage in stages
        ):
            if isinstance(stage, Tag | Embed | SameProblem):
                stage.check()
        for domain in self.domains if self.problems is None else ():
            system, place = self.steered(domain)
            for one in dict.fromkeys([system, *(text.system for text in self.texts(domain))]):
                chat_of(self.generator.model).pre_query_prefix(one, place)
        if self.steer == "system" and self.problems is None:
            chat_of(self.generator.model).check_system()
        self.scorer.check()

    def provenance(self, domain: Domain) -> dict[str, Any]:
        """What the `generation` column holds in every row of a domain."""
        sampled = self.problems is None
        return {
            "problem_model": self.generator.model.name if sampled else None,
            "problem_revision": self.generator.model.revision if sampled else None,
            "response_model": self.solver.model.name,
            "response_revision": self.solver.model.revision,
            "scorer": self.scorer.title,
            "problem_temperature": domain.instruction.temperature if sampled else None,
            "response_temperature": domain.response.temperature,
            "candidate_temperature": domain.candidate.temperature,
        }
