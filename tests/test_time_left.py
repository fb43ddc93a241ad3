"""What a board knows of a build: the rows that are done, what its engines do, and the time left."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path

import pytest

from magpie_hf.engines.journal import Journal, Kept, keeping
from magpie_hf.engines.meter import Outcome, Start
from magpie_hf.progress import messages
from magpie_hf.progress.board import Board
from magpie_hf.progress.estimates import PROMPT_WORK, Estimates
from magpie_hf.progress.events import (
    DomainPlanned,
    EngineClosed,
    Found,
    PlanMade,
    Planned,
    SelectionMoved,
    ShardFinished,
    Speed,
    StageRequests,
    UnderWay,
)
from magpie_hf.progress.lengths import Lengths
from magpie_hf.progress.remaining import seconds_left
from magpie_hf.progress.requests import Requests
from magpie_hf.progress.workload import Workload


def board_of(tokens: float) -> Board:
    """A build whose 100 problems are accepted, and whose plan says so many tokens of each of 400 answers."""
    board = Board()
    for event in (
        plan_of(tokens),
        PLANNED,
        ShardFinished("algebra", "instruct", 120, 9.0, 0, {}),
        SelectionMoved("algebra", 120, 100, 100, {}),
    ):
        board.take(event)
    return board


def plan_of(tokens: float, requests: int = 400) -> PlanMade:
    """What a board reads of a plan, for 100 problems of 120 samples."""
    stages = {
        "instruct": (120, 1200.0, 12000.0),
        "candidates": (requests, 10.0 * requests, tokens * requests),
        "score": (400, 40_000.0, 400.0),
    }
    rows = [{"domain": "algebra", "samples": [100.0, 120.0, 150.0]}]
    return PlanMade(
        {
            "rows": rows,
            "stages": [
                {
                    "stage": stage,
                    "source": "it",
                    "requests": [n] * 3,
                    "prompt": [prompt] * 3,
                    "fresh": [prompt] * 3,
                    "rounds": [1.0],
                    "tokens": [made] * 3,
                }
                for stage, (n, prompt, made) in stages.items()
            ],
            "models": [{"source": "it", "weights_gb": 1.0}],
        }
    )


PLANNED = Planned(
    "out",
    (
        DomainPlanned(
            "algebra",
            100,
            ("instruct", "clean"),
            ("candidates", "pair"),
            {},
            {"instruct": "it", "candidates": "it"},
            {"instruct": 512, "candidates": 1000},
        ),
    ),
)


def test_a_domain_that_accepts_nothing_needs_more_and_more() -> None:
    board = Board()
    board.take(PLANNED)
    board.take(plan_of(200.0))
    needed = []
    for filtered in (60, 120, 240):
        board.take(SelectionMoved("algebra", filtered, 0, 100, {}))
        needed.append(board.needed("algebra") or 0)
    assert needed == [1620, 3120, 6120], "as if four problems in 120 samples had been accepted before"


def test_a_board_counts_rows_of_shards_under_way_and_problems_alone() -> None:
    board = Board()
    board.take(PLANNED)
    assert (board.needed("algebra"), board.left(), messages.left(board)) == (None, None, "– left")
    board.take(plan_of(200.0))
    assert (board.needed("algebra"), board.wanted("candidates", "algebra")) == (120, 100)
    board.take(SelectionMoved("algebra", 1, 1, 100, {}))
    assert board.needed("algebra") == 116, "one sample that was accepted says little"
    board.take(SelectionMoved("algebra", 0, 0, 100, {}))
    board.take(UnderWay((StageRequests("algebra", "instruct", 60, 60, 15, 15, 1500, 150, 1500, 69.1),)))
    assert (board.in_all("instruct"), board.at_work) == ((15, 120), ["instruct"])
    board.take(UnderWay(()))
    assert board.done("instruct", "algebra") == 15, "the shard is over, and not told yet"
    board.take(ShardFinished("algebra", "instruct", 60, 40.0, 600, {}))
    board.take(ShardFinished("algebra", "clean", 60, 1.0, 0, {}, dropped=5))
    assert board.done("clean", "algebra") == 60, "before the filtering, samples count, also those dropped"
    board.take(SelectionMoved("algebra", 60, 48, 100, {"near_duplicate": 12}))
    assert (board.done("instruct", "algebra"), board.needed("algebra")) == (60, 125)
    board.take(UnderWay((StageRequests("algebra", "candidates", 60, 192, 96, 96, 9600, 960, 9600, 442.1),)))
    assert board.in_all("candidates") == (24, 100), "half of the 48 problems among the rows"
    board.take(ShardFinished("algebra", "candidates", 60, 20.0, 0, {}, dropped=12))
    assert board.in_all("candidates") == (48, 100), "what was under way is not counted twice"
    board.take(UnderWay(()))
    assert board.in_all("candidates") == (48, 100)
    board.take(ShardFinished("algebra", "instruct", 65, 40.0, 700, {}))
    board.take(SelectionMoved("algebra", 125, 100, 100, {"near_duplicate": 25}))
    assert (board.in_all("instruct"), board.is_finished("instruct")) == ((125, 125), True)
    assert not board.is_finished("candidates")
    board.take(UnderWay(()))
    board.take(ShardFinished("algebra", "candidates", 65, 20.0, 0, {}, dropped=13))
    assert (board.in_all("candidates"), board.is_finished("candidates")) == ((100, 100), True)
    assert (board.left(), messages.left(board)) == (0, "all requests done")


@pytest.mark.parametrize("planned", [150.0, 300.0, 600.0])
@pytest.mark.parametrize("at_work", [64, 400])
def test_the_time_left_is_right_before_a_shard_is_finished(
    at_work: int, planned: float, clock: list[float]
) -> None:
    """400 answers of 300 tokens on average in one shard, at 400 tokens/s; the plan may be wrong by half."""
    numbers, board = random.Random(1), board_of(planned)
    lengths = [min(1000, round(numbers.lognormvariate(5.5, 0.7))) for _ in range(400)]
    running: list[list[float]] = []
    waiting, finished, guesses = list(lengths), list[float](), []
    while waiting or running:
        clock[0] += 1.0
        running += [[float(waiting.pop()), 0.0] for _ in range(min(len(waiting), at_work - len(running)))]
        for one in running:
            one[1] += 400 / len(running)
        finished += [length for length, made in running if made >= length]
        running = [one for one in running if one[1] < one[0]]
        done, made, read = len(finished), round(sum(finished)), 10 * len(finished)
        logarithms = sum(map(math.log, finished))
        told = StageRequests(
            "algebra", "candidates", 120, 400, done, done, made, read, made, logarithms, working=len(running)
        )
        board.take(UnderWay((told,)))
        unfinished = round(sum(so_far for _, so_far in running))
        flying = len(running) + len(waiting)
        board.take(Speed("it", flying, made, 400.0, 400.0, None, "engine", read, unfinished, len(running)))
        guesses.append((clock[0], board.left()))
    whole = clock[0] - 1000.0
    wrong = [
        (round(at - 1000), round(guess or 0), round(clock[0] - at))
        for at, guess in guesses
        if 0.2 * whole < at - 1000 < 0.9 * whole and not 0.7 < (guess or 0) / (clock[0] - at) < 1.3
    ]
    assert len(wrong) <= 0.1 * whole, wrong


@pytest.mark.parametrize(("fixed", "each", "most"), [(0.05, 0.002, 400), (0.4, 0.0, 400), (0.05, 0.002, 48)])
def test_the_time_left_is_right_where_nothing_counts(
    fixed: float, each: float, most: int, tmp_path: Path, clock: list[float]
) -> None:
    """400 answers of 300 tokens on average; a step over n of them takes fixed + each * n seconds. At most so
    many are at work, while the others wait in this process.
    """
    step = 0.5
    numbers, board, requests, engine = random.Random(1), board_of(600.0), Requests(), "it"
    folder = tmp_path / "algebra" / "candidates-0"
    folder.mkdir(parents=True)
    waiting: list[tuple[Start, int]] = []
    running: list[tuple[Start, float]] = []
    with keeping(Journal(folder / "0000000-0000120.journal", iter(()))):
        for at in range(400):
            tokens = min(1000, round(numbers.lognormvariate(5.5, 0.7)))
            waiting.append((Start(engine, 1000.0 + at / 1e6, waits=True), tokens))
            requests.start(waiting[-1][0])
        lengths = dict(waiting)
        made, finished, guesses = 0.0, 0, []
        while waiting or running:
            while waiting and len(running) < most:
                start, tokens = waiting.pop(0)
                requests.begin(start, clock[0])
                running.append((start, made + tokens))
            clock[0] += step
            made += step / (fixed + each * len(running))
            for start in [start for start, until in running if until <= made]:
                requests.end(start, clock[0], Outcome(10, lengths[start]))
                finished += lengths[start]
            running = [one for one in running if one[1] > made]
            board.take(UnderWay(requests.stages()))
            now = requests.rate(engine)
            so_far = round(requests.unfinished_tokens(engine, clock[0]))
            flying = len(waiting) + len(running)
            speed = Speed(engine, flying, finished, now, None, None, "finished", 0, so_far, len(running))
            board.take(speed)
            guesses.append((clock[0], board.left()))
    whole = clock[0] - 1000.0
    wrong = [
        (round(at - 1000), round(guess or 0), round(clock[0] - at))
        for at, guess in guesses
        if 0.2 * whole < at - 1000 < 0.9 * whole and not 0.7 < (guess or 0) / (clock[0] - at) < 1.3
    ]
    assert len(wrong) <= 0.1 * whole / step, wrong


def test_ten_seconds_may_be_faster_than_the_fastest_thirty() -> None:
    board = Board()
    for now, said in (
        (4200.0, " (now 84% of it)"),
        (5000.0, " (now 100% of it)"),
        (5100.0, ""),
    ):
        board.take(Speed("it", 9, 0, now, 4000.0, 5000.0, "engine"))
        assert messages.speeds(board).endswith(f"4,000 on average, 5,000 in the best 30 s{said}")


def test_rows_whose_requests_may_go_on_are_not_done() -> None:
    """Answers with tools: the first round of 60 is over, and each may have another one."""
    board, stage = Board(), "tool_answers"
    planned = replace(PLANNED.domains[0], answers=(stage,), engines={stage: "it"})
    board.take(replace(PLANNED, domains=(planned,)))
    board.take(SelectionMoved("algebra", 100, 100, 100, {}))
    first = StageRequests("algebra", stage, 60, 60, 60, 60, 6000, 600, 6000, 276.3, ahead=60)
    board.take(UnderWay((first,)))
    assert board.done(stage, "algebra") == 30
    board.take(UnderWay((replace(first, asked=80, done=70, ahead=20),)))
    assert board.done(stage, "algebra") == 42
    board.take(ShardFinished("algebra", stage, 60, 9.0, 0, {}))
    assert board.done(stage, "algebra") == 60


@pytest.mark.parametrize("anew", [False, True])
def test_truncated_answers_go_on_when_all_others_are_done(
    anew: bool, tmp_path: Path, clock: list[float]
) -> None:
    """Of 240 answers at once, a token a second each, 24 are cut at 200; up to 400 they go on, or anew."""
    board, requests, engine, known = board_of(150.0), Requests(), "it", PLANNED.domains[0]
    known = replace(known, target=60, most_tokens={"candidates": 400}, extended=("candidates",))
    for event in (
        replace(PLANNED, domains=(known,)),
        ShardFinished("algebra", "instruct", 60, 9.0, 0, {}),
        SelectionMoved("algebra", 60, 60, 60, {}),
    ):
        board.take(event)

    def told(flying: int, finished: int) -> StageRequests:
        board.take(UnderWay(requests.stages()))
        so_far = round(requests.unfinished_tokens(engine, clock[0]))
        board.take(Speed(engine, flying, finished, 1.0, 1.0, None, "finished", 0, so_far, flying))
        (one,) = requests.stages()
        return one

    folder = tmp_path / "algebra" / "candidates-0"
    folder.mkdir(parents=True)
    with keeping(Journal(folder / "0000000-0000060.journal", iter(()))):
        starts = [Start(engine, 1000.0 + at / 1e6) for at in range(240)]
        for start in starts:
            requests.start(start)
        finished = 0
        for at, start in enumerate(starts):
            tokens = 20 + min(180, at * 5 // 6)
            clock[0] = 1000.0 + tokens
            requests.end(
                start, clock[0], Outcome(10, tokens, int(tokens == 200), "anew" if anew else "resumed")
            )
            finished += tokens
            one = told(239 - at, finished)
        assert board.done("candidates", "algebra") == 54, "24 of 240 answers are still to come"
        left = board.left()
        assert left is not None
        if anew:
            assert 240 < left < 400, "the longest of those may take 400"
        else:
            assert 40 < left < 200, "the longest of those that go on may take 200 more"
        assert (one.cut, one.longer, one.longer_tokens) == (((200, 24),), 0, 0)
        starts = [Start(engine, clock[0] + at / 1e6, 1, 10, 200, not anew) for at in range(24)]
        for start in starts:
            requests.start(start)
        one = told(24, finished)
        assert (one.cut, one.longer, one.longer_tokens) == ((), 24, 4800)
        assert (one.longer_in_all, one.anew, board.done("candidates", "algebra")) == (24, anew, 54)
        assert 0.5 * left < (board.left() or 0) < 1.5 * left, "they have begun, and that is all that is new"
        before, complete = board.left(), one.complete_tokens
        for start in starts[:12]:
            clock[0] += 1.0
            requests.end(start, clock[0], Outcome(10, 212 if anew else 12, 0))
        one = told(12, finished + 12 * (212 if anew else 12))
        assert one.complete_tokens - complete == 12 * 212, "they are whole answers"
        assert one.resumed_tokens == (0 if anew else 12 * 200)
        assert (one.longer_tokens, board.done("candidates", "algebra")) == (2400, 57)
        assert before is not None
        assert (board.left() or 0) < before


def test_a_build_that_goes_on_knows_what_a_row_asks_for(tmp_path: Path, clock: list[float]) -> None:
    """Of 100 problems under way, with four answers each, 360 were answered before; 900 have not begun."""
    board, requests, engine = Board(), Requests(), "it"
    known = replace(PLANNED.domains[0], target=1000)
    for event in (
        replace(PLANNED, domains=(known,)),
        ShardFinished("algebra", "instruct", 1200, 9.0, 0, {}),
        SelectionMoved("algebra", 1200, 1000, 1000, {}),
    ):
        board.take(event)
    folder = tmp_path / "algebra" / "candidates-0"
    folder.mkdir(parents=True)
    journal = Journal(folder / "0000000-0000120.journal", iter(()))
    journal.kept = (Kept(10, 100),) * 360
    with keeping(journal):
        starts = [Start(engine, 1000.0 + at / 1e6) for at in range(40)]
        for start in starts:
            requests.start(start)
        for second in range(1, 6):
            clock[0] += 1.0
            for start in starts[4 * second - 4 : 4 * second]:
                requests.end(start, clock[0], Outcome(10, 100))
            board.take(UnderWay(requests.stages()))
            left, made = 40 - 4 * second, 400 * second
            board.take(Speed(engine, left, made, 400.0, 400.0, None, "engine", 10 * second, 0, left))
    assert board.done("candidates", "algebra") == 95
    assert board.left() == pytest.approx((20 + 3600) / 4, rel=0.2)


def journal_of(folder: Path, stage: str = "candidates", rows: int = 60) -> Journal:
    """Of a shard under way."""
    where = folder / "algebra" / f"{stage}-0"
    where.mkdir(parents=True)
    return Journal(where / f"0000000-{rows:07}.journal", iter(()))


def board_of_answers(*stages: str, target: int = 60, bound: int = 400) -> Board:
    """With all problems accepted, and answers that are extended to this bound."""
    board, known = board_of(150.0), PLANNED.domains[0]
    known = replace(known, target=target, answers=stages, engines=dict.fromkeys(stages, "it"))
    known = replace(known, most_tokens={"candidates": bound, "score": 1}, extended=("candidates",))
    for event in (
        replace(PLANNED, domains=(known,)),
        ShardFinished("algebra", "instruct", target, 9.0, 0, {}),
        SelectionMoved("algebra", target, target, target, {}),
    ):
        board.take(event)
    return board


def test_a_build_that_was_stopped_while_answers_went_on_knows_them(
    tmp_path: Path, clock: list[float]
) -> None:
    """Of 240 answers 60 were truncated, and ten of these had gone on when it was stopped."""
    board, requests, journal = board_of_answers("candidates", "score"), Requests(), journal_of(tmp_path)
    journal.kept = (Kept(10, 100),) * 180 + (Kept(10, 300),) * 10 + (Kept(10, 200, "length"),) * 50
    shown = []
    with keeping(journal):
        starts = [Start("it", 1000.0 + at / 1e6, 1, 210, 200, True) for at in range(50)]
        for start in starts:
            requests.start(start)
        for at, start in enumerate(starts):
            clock[0] += 1.0
            requests.end(start, clock[0], Outcome(210, 100))
            board.take(UnderWay(requests.stages()))
            flying = 49 - at
            board.take(
                Speed("it", flying, 100 * at, 100.0, 100.0, None, "engine", 210 * at, 0, min(16, flying))
            )
            shown.append((board.done("candidates", "algebra"), board.left()))
    assert [done for done, _ in shown] == [(191 + at) // 4 for at in range(50)], "what goes on is not done"
    left = [seconds for _, seconds in shown[5:] if seconds is not None]
    assert max(left) < 200, "240 ratings of 500 tokens, and at most 50 answers, at 100 tokens a second"


def test_answers_that_go_on_under_a_raised_bound_are_new_ones(tmp_path: Path, clock: list[float]) -> None:
    """Sixty answers of an earlier build, of 200 tokens, which this build's journal does not hold."""
    board, requests, left = board_of_answers("candidates", target=15), Requests(), list[float | None]()
    with keeping(journal_of(tmp_path, rows=15)):
        starts = [Start("it", 1000.0 + at / 1e6, 1, 210, 200, True) for at in range(60)]
        for start in starts:
            requests.start(start)
        for at, start in enumerate(starts):
            clock[0] += 1.0
            requests.end(start, clock[0], Outcome(210, 100))
            board.take(UnderWay(requests.stages()))
            board.take(Speed("it", 59 - at, 100 * at, 100.0, 100.0, None, "engine", 0, 0, min(8, 59 - at)))
            assert board.done("candidates", "algebra") == (at + 1) // 4
            left.append(board.left())
    known = [seconds for seconds in left[5:-1] if seconds is not None]
    assert len(known) == 54, "it is known from the fifth second on"
    assert all(0 < seconds < 700 for seconds in known), (
        "of a plan for 100 problems; neither hours nor less than 0"
    )


def test_answers_that_are_extended_twice_are_done_at_the_last_bound(tmp_path: Path) -> None:
    board, requests = board_of_answers("candidates", bound=800), Requests()
    counts = []
    with keeping(journal_of(tmp_path)):
        for had, asked in ((0, 240), (200, 120), (400, 60)):
            starts = [Start("it", had + at / 1e6, 1, 10 + had, had, bool(had)) for at in range(asked)]
            for start in starts:
                requests.start(start)
            for at, start in enumerate(starts):
                requests.end(start, 1000.0, Outcome(10, (had or 200) if at % 2 else 50, at % 2))
            board.take(UnderWay(requests.stages()))
            counts.append(board.done("candidates", "algebra"))
    assert counts == [30, 45, 60], "half of them go on after each round, but for the last"


def test_what_no_bound_ended_does_not_go_on(tmp_path: Path) -> None:
    requests = Requests()
    with keeping(journal_of(tmp_path, rows=1)):
        for at, more in enumerate(("resumed", None, "resumed", None)):
            start = Start("it", float(at))
            requests.start(start)
            requests.end(start, 1000.0, Outcome(10, 200, 1, more))
        (one,) = requests.stages()
    assert (one.cut, one.truncated, one.anew) == (((200, 2),), 4, False)


def test_all_requests_are_done_when_all_rows_are_made() -> None:
    """A build that goes on has found answers, some of them of dropped samples, before it filters."""
    board, found = Board(), {"instruct": Found(150, 1, 1.0), "candidates": Found(140, 1, 1.0)}
    known = replace(PLANNED.domains[0], found=found, answers=("candidates",))
    known = replace(known, engines={"instruct": "it", "candidates": "it"})
    board.take(replace(PLANNED, domains=(known,)))
    assert messages.left(board) == "– left", "nobody knows which of them are problems"
    board.take(SelectionMoved("algebra", 150, 100, 100, {}))
    assert messages.left(board) == "– left"
    board.take(ShardFinished("algebra", "candidates", 10, 1.0, 0, {}, dropped=9))
    assert messages.left(board) == "all requests done"


def test_a_few_rows_do_not_tell_how_many_requests_a_row_has(clock: list[float]) -> None:
    """Two rows of 102 were scored first; all of their four answers were complete, as one of two is."""
    board, stages = Board(), ("candidates", "score")
    known = replace(PLANNED.domains[0], target=102, answers=stages, engines=dict.fromkeys(stages, "it"))
    candidates = StageRequests(
        "algebra", "candidates", 100, 408, 408, 408, 40_800, 4080, 20_400, 939.4, truncated=204
    )
    score = StageRequests("algebra", "score", 2, 8, 8, 8, 8, 80, 0, 0.0, truncated=8)
    for event in (
        plan_of(100.0),
        replace(PLANNED, domains=(known,)),
        ShardFinished("algebra", "instruct", 102, 9.0, 0, {}),
        SelectionMoved("algebra", 102, 102, 102, {}),
        ShardFinished("algebra", "candidates", 2, 9.0, 0, {}),
    ):
        board.take(event)
    guesses = []
    for asked in ((candidates,), (candidates, score)):
        board.take(UnderWay(asked))
        for _ in range(5):
            clock[0] += 1.0
            made = round(400 * (clock[0] - 1000.0))
            board.take(Speed("it", 90, made, 400.0, 400.0, None, "engine", 0, 0, 90))
        guesses.append(board.left())
    thought, begun = guesses
    assert thought is not None
    assert begun == pytest.approx(thought, rel=0.25), "twice as long by those two alone"


def test_the_time_left_is_known_where_only_shards_are_heard_of(clock: list[float]) -> None:
    """Workers on Ray, at 400 tokens a second: 400 answers of 100 tokens."""
    board = board_of(100.0)
    for _ in range(9):
        clock[0] += 1.0
        board.take(UnderWay(()))
        board.take(Speed("it", 100, 0, 400.0, None, None, working=100))
    assert board.left() == pytest.approx(100, rel=0.2)


def test_a_shard_that_has_just_ended_changes_no_time_left(clock: list[float]) -> None:
    """Two shards of 50 problems each with four answers; one ends before the board hears of them again."""
    board = board_of(100.0)
    board.take(
        UnderWay((StageRequests("algebra", "candidates", 120, 400, 200, 200, 20_000, 2000, 20_000, 921.0),))
    )
    for second in range(1, 9):
        clock[0] += 1.0
        board.take(Speed("it", 200, 20_000, 400.0, 400.0, None, "engine", 2000, 400 * second, 50))
    before = board.left()
    board.take(ShardFinished("algebra", "candidates", 60, 9.0, 0, {}, dropped=10))
    assert before is not None
    assert board.left() == pytest.approx(before, rel=0.01)


def test_what_a_prompt_costs_is_seen_where_the_engine_counts() -> None:
    """An engine that makes 300 tokens a second, or reads 1,500, while others wait."""
    for price, counted, expected in ((0.3, "engine", 0.3), (0.0, "engine", 0.0), (0.3, "finished", 0.2)):
        estimates, made, read = Estimates(), 0.0, 0.0
        for second in range(60):
            reading = 1000 if second // 10 % 2 else 50
            read += reading
            made += 300 - price * reading
            speed = Speed("it", 90, 0, None, None, None, counted, round(read), round(made), 40)
            estimates.speed(speed, 1000.0 + second)
        assert estimates.prompt_work("it") == pytest.approx(expected, abs=0.02)
        if counted == "engine":
            assert estimates.full_rate("it") == pytest.approx(300, rel=0.05)


def test_an_engine_that_only_reads_shows_no_price_of_it() -> None:
    estimates = Estimates()
    for second in range(60):
        read = 5000 * second + 300 * (second // 7 % 2)
        estimates.speed(Speed("it", 64, 0, None, None, None, "engine", read, 0, 64), 1000.0 + second)
    assert estimates.prompt_work("it") == PROMPT_WORK
    assert estimates.full_rate("it") == pytest.approx(1000, rel=0.05)


def test_what_is_lost_between_shards_is_no_speed() -> None:
    """300 tokens a second, but for ten seconds in which the next shard begins."""
    estimates, made = Estimates(), 0
    for second in range(120):
        made += 60 if second > 110 else 300
        estimates.speed(Speed("it", 90, 0, None, None, None, "engine", 0, made, 64), 1000.0 + second)
    assert estimates.full_rate("it") == pytest.approx(300, rel=0.1)
    assert (estimates.rate_now("it") or 0) < 200, "and what is at work now is slow"


def test_an_engine_that_was_started_again_is_as_fast_as_it_is() -> None:
    """With it 5,000 tokens of unfinished requests were lost."""
    estimates = Estimates()
    for second, made in enumerate((4700, 5000, *range(0, 9000, 300))):
        estimates.speed(Speed("it", 64, 0, None, None, None, "engine", 0, made, 64), 1000.0 + second)
    assert estimates.rate_now("it") == pytest.approx(300)


def test_requests_may_all_end_between_two_looks() -> None:
    """The board hears of them before, or without, any speed of their engine."""
    plan, board = plan_of(200.0), Board()
    for one in plan.plan["stages"]:
        one["fresh"] = [0.0] * 3
    told = StageRequests("algebra", "instruct", 60, 60, 60, 60, 6000, 600, 6000, 276.3)
    for event in (plan, PLANNED, UnderWay((told,))):
        board.take(event)
    assert board.left() is None
    board.take(Speed("it", 30, 6000, 100.0, 100.0, None, "engine", 600, 0, 30))
    assert messages.in_flight(board) == "30 requests in flight"
    board.take(Speed("another", 0, 0, None, None, None, "engine"))
    assert messages.in_flight(board) == "30 requests in flight"
    board.take(Speed("another", 20, 0, 50.0, 50.0, None, "engine", working=5))
    assert messages.in_flight(board) == "50 requests in flight (15 of them waiting)"
    assert messages.speeds(board).startswith("100 tokens/s now"), "that of the engine with most of them"
    board.take(EngineClosed("another"))
    board.take(Speed("it", 0, 6000, None, 100.0, None, "engine", 600))
    assert messages.in_flight(board) == "0 requests in flight", "while programs are run"


@pytest.mark.parametrize(("accepted", "filtered"), [(1, 49), (24, 47), (92, 172)])
def test_what_was_found_finished_is_finished(accepted: int, filtered: int) -> None:
    found = {stage: Found(filtered, 100, 1.0) for stage in ("instruct", "clean", "candidates", "pair")}
    board = Board()
    board.take(replace(PLANNED, domains=(replace(PLANNED.domains[0], target=accepted, found=found),)))
    board.take(SelectionMoved("algebra", filtered, accepted, accepted, {}))
    assert board.in_all("candidates") == (accepted, accepted)
    assert board.left() == 0


def test_the_longest_of_hardly_any_requests_has_a_length() -> None:
    assert Lengths(0.0, (), 5, 25.0, None, 1000).longest(1e-17, 0.0) >= 0


@pytest.mark.parametrize("tokens", [0, 1])
def test_the_time_left_of_ratings_is_known_where_nothing_counts(
    tokens: int, tmp_path: Path, clock: list[float]
) -> None:
    """400 ratings at once, ten a second, by a reward model or by a judge, who writes a token."""
    board, requests, engine, stages = Board(), Requests(), "rm", ("candidates", "score")
    bound = {"score": tokens} if tokens else {}
    known = replace(PLANNED.domains[0], answers=stages, engines={"score": engine}, most_tokens=bound)
    for event in (replace(PLANNED, domains=(known,)), SelectionMoved("algebra", 120, 100, 100, {})):
        board.take(event)
    folder = tmp_path / "algebra" / "score-0"
    folder.mkdir(parents=True)
    starts = [Start(engine, 1000.0 + at / 1e6) for at in range(400)]
    with keeping(Journal(folder / "0000000-0000120.journal", iter(()))):
        for start in starts:
            requests.start(start)
        for start in starts[:200]:
            clock[0] += 0.1
            requests.end(start, clock[0], Outcome(500, tokens))
        board.take(UnderWay(requests.stages()))
        assert (requests.rate(engine) is None) == (not tokens), "a rating has none"
        so_far = round(requests.unfinished_tokens(engine, clock[0]))
        board.take(Speed(engine, 200, 0, None, None, None, "finished", 100_000, so_far, 200))
    assert board.left() == pytest.approx(20, rel=0.5)


def test_the_last_requests_that_are_read_run_whole() -> None:
    """Of the last 32 prompts of 500 tokens 16 are being read, each in four seconds."""
    estimates = Estimates()
    for second in range(60):
        speed = Speed("it", 32, 0, None, None, None, "engine", 2000 * second, 0, 16)
        estimates.speed(speed, 1000.0 + second)
    told = StageRequests("algebra", "score", 58, 232, 200, 200, 200, 100_000, 0, 0.0, 200, working=16)
    left = seconds_left(estimates, [Workload("score", "it", 8, 58, 58, (told,), 1)])
    assert left is not None
    assert 6 <= left <= 8, "two for those at work, four for the others, and the last one ends alone"


def test_the_scorer_is_asked_for_complete_answers(clock: list[float]) -> None:
    """The plan believed that all answers are complete; three of four are truncated."""
    board, stages = Board(), ("candidates", "score")
    scored = replace(PLANNED.domains[0], answers=stages, engines=dict.fromkeys(stages, "it"))
    for event in (
        plan_of(150.0),
        replace(PLANNED, domains=(scored,)),
        ShardFinished("algebra", "instruct", 100, 9.0, 0, {}),
        SelectionMoved("algebra", 100, 100, 100, {}),
    ):
        board.take(event)
    asked = StageRequests("algebra", "candidates", 100, 400, 400, 400, 40000, 4000, 10000, 460.5, 300)
    guesses = []
    for truncated in (300, 0):
        complete = 400 - truncated
        told = replace(
            asked, truncated=truncated, complete_tokens=100 * complete, log_tokens=4.605 * complete
        )
        board.take(UnderWay((told,)))
        for _ in range(9):
            clock[0] += 1.0
            made = round(400 * (clock[0] - 1000.0))
            board.take(Speed("it", 90, made, 400.0, 400.0, None, "engine", 0, 0, 90))
        guesses.append(board.left())
    few, many = guesses
    assert few is not None
    assert many == pytest.approx(4 * few, rel=0.1), "the last answer to begin takes as long in both"


def test_rounds_of_harder_problems_have_their_part_of_the_plan(clock: list[float]) -> None:
    plan = plan_of(200.0)
    for one in plan.plan["stages"]:
        one["rounds"] = [0.0, 0.8, 0.2] if one["stage"] == "harden" else [0.7, 0.2, 0.1]
    board, rounds = Board(), ("candidates", "candidates_round1", "candidates_round2")
    stages = ("instruct", *rounds)
    known = replace(PLANNED.domains[0], samples=stages, answers=(), engines=dict.fromkeys(stages, "it"))
    for event in (plan, replace(PLANNED, domains=(known,))):
        board.take(event)
    requests = [board._estimates.planned[stage].requests for stage in rounds]
    assert [one / sum(requests) for one in requests] == pytest.approx([0.7, 0.2, 0.1])
    board.take(UnderWay((StageRequests("algebra", "instruct", 60, 60, 30, 30, 3000, 300, 3000, 138.2),)))
    for second in range(1, 6):
        clock[0] += 1.0
        board.take(Speed("it", 30, 600 * second, 100.0, 100.0, None, "engine", 60 * second, 0, 30))
    assert board.left() is not None
