"""The scoreboard and comparisons over a running engine: what is counted, and what may be said of a difference."""

from __future__ import annotations

import pytest

from console import scores as texts
from engine.config import AgentSettings, Settings
from engine.engine import Engine
from engine.errors import UsageError
from engine.interval import share, typical
from engine.model import Comparison, JobSpec, Order, ScoreLine, Share, Triage, TriageRequest, Typical, Verb, Wanted
from engine.scoreboard import compared
from engine.store.scores import logarithm
from tests.conftest import ended, shell

DOCS = {"kind": "docs", "agent": "shell"}


def line(target: str, first: tuple[int, int], seconds: list[int]) -> ScoreLine:
    logs = [logarithm(one * 1_000) for one in seconds]
    took = typical(len(logs), sum(logs), sum(one * one for one in logs))
    done = share(first[1], first[1])
    return ScoreLine(
        target=target, kind="docs", jobs=first[1], first=share(*first), gated=0, succeeded=done, rounds=1.0, took=took,
        cost=None,
    )  # fmt: skip


@pytest.fixture
def settings() -> Settings:
    return Settings(
        default_agent="shell", agents={"rehearsal": AgentSettings(env={"HEADWAY_REHEARSAL_SPEED": "0"})}, max_attempts=1
    )


async def run(engine: Engine, *commands: str, **options: object) -> list[int]:
    ids = (await engine.submit(Wanted([shell(one, **options) for one in commands]))).ids
    await ended(engine, ids)
    return ids


async def test_what_ended_is_on_the_board_at_the_next_look(engine: Engine) -> None:
    await run(engine, "true", "true", "exit 3", kind="docs")
    await run(engine, "true")
    board = await engine.scores.board()
    docs, none = board.lines
    assert (docs.target, docs.kind, docs.jobs, docs.follow_ups) == ("shell", "docs", 3, 0)
    assert docs.first is not None and (docs.first.count, docs.first.of) == (2, 3)
    assert docs.succeeded == Share(2, 3, docs.first.low, docs.first.high)
    assert docs.took is not None and docs.took.samples == 2
    assert (none.kind, none.jobs, board.waiting) == (None, 1, 0)
    assert [one.kind for one in (await engine.scores.board(kind="docs")).lines] == ["docs"]
    assert (await engine.scores.board(project="/nowhere")).lines == []
    assert (await engine.scores.rebuild()).lines == board.lines
    with pytest.raises(UsageError, match="no span"):
        await engine.scores.board(since="yesterday")
    with pytest.raises(UsageError, match="did you mean 'agent'"):
        await engine.scores.board(by="agents")


async def test_a_job_that_is_put_back_leaves_the_board_until_it_ends_again(engine: Engine) -> None:
    (job,) = await run(engine, "true", kind="docs")
    assert len((await engine.scores.board()).lines) == 1
    await engine.act(Order(verb=Verb.HOLD, scope="all"), "me")
    await engine.act(Order(verb=Verb.RETRY, jobs=[job]), "me")
    assert (await engine.scores.board()).lines == []
    await engine.act(Order(verb=Verb.RELEASE, scope="all"), "me")
    await ended(engine, [job])
    (again,) = (await engine.scores.board()).lines
    assert (again.first, again.rounds, again.follow_ups) == (share(0, 1), 2.0, 1)


async def test_a_comparison_is_of_the_kinds_that_both_have_done(engine: Engine) -> None:
    await run(engine, "true", "true", kind="docs")
    await run(engine, "true", kind="alone")
    spec = JobSpec(prompt="say hello", agent="rehearsal", model="codex/write-docs", kind="docs")
    ids = (await engine.submit(Wanted([spec, spec]))).ids
    await ended(engine, ids)
    (found,) = await engine.scores.compare(["rehearsal", "shell"], None, None, None)
    assert (found.kind, [one.line.target for one in found.targets]) == ("docs", ["rehearsal", "shell"])
    assert [one.line.jobs for one in found.targets] == [2, 2]
    named = await engine.scores.compare(["rehearsal:codex/write-docs", "shell"], "docs", None, None)
    assert named[0].targets[0].line.target == "rehearsal:codex/write-docs"
    with pytest.raises(UsageError, match="two targets"):
        await engine.scores.compare(["shell", "shell"], None, None, None)


def test_words_are_only_said_where_intervals_lie_apart() -> None:
    slow, quick = [600, 700, 650, 720, 610, 690], [60, 70, 65, 72, 61, 69]
    apart = compared([line("claude", (38, 40), slow), line("codex", (10, 40), quick), line("gemini", (12, 40), slow)])
    assert [one.words for one in apart] == [{"first": "best"}, {"took": "best"}, {}]
    close = compared([line("claude", (9, 10), slow), line("codex", (7, 10), slow)])
    assert [one.words for one in close] == [{}, {}]
    pair = compared([line("claude", (40, 40), slow), line("codex", (10, 40), quick)])
    assert pair[0].words == {"first": "best", "took": "worst"}
    assert texts.verdict(Comparison(kind="docs", targets=close)).startswith("no difference can be told")
    assert "took: codex is best" in texts.verdict(Comparison(kind="docs", targets=pair))


def test_few_samples_that_are_alike_by_chance_bear_no_word() -> None:
    pair = compared([line("claude", (1, 1), [60, 60]), line("codex", (1, 1), [90, 90])])
    assert [one.words for one in pair] == [{}, {}]


async def test_what_a_kind_has_taken_reaches_the_triage(engine: Engine) -> None:
    await run(engine, *["true"] * 5, kind="tiny")
    engine.triage.forget()  # it is kept for a minute
    found = await engine.triage.think(TriageRequest(prompt="Do the third of them", kind="tiny", agent="rehearsal"))
    (fired,) = found.judgement.fired
    assert (fired.rule, fired.triage) == ("quick_kind", Triage.QUICK)
    assert fired.why.startswith("5 jobs of the kind tiny took about")


def test_cells_tell_how_sure_a_figure_is() -> None:
    told = texts.cells(line("claude", (33, 40), [60, 70, 65, 72, 61, 69]))
    assert told[3] == "82% (68-91)"
    assert told[6] == "1m (1m-1m)"
    assert texts.share_text(None) == "-"
    assert texts.cost_text(Typical(1, 120_000)) == "$0.120"
    assert texts.cost_text(Typical(9, 120_000, 90_000, 170_000)) == "$0.120 ($0.090-$0.170)"
