"""Races on real git and real processes: one commit, checks in each worktree, a judge, a pick, a crash."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import events as log
from engine.config import AgentSettings, ProjectSettings, Settings
from engine.engine import Engine
from engine.errors import NotFoundError, RefusedError, UsageError
from engine.model import RACE_ENDED, Order, Race, RaceState, RaceWanted, State, Verb, Wanted
from engine.runner import procfs
from engine.server.client import Client
from engine.serving import serving
from tests import waiting
from tests.conftest import PATIENCE, Served, run_git, settings_file, shell

#: Two tries of one command, told apart by the job that they are of.
TRY = 'echo "$HEADWAY_JOB" >mine.txt'
BOTH = ["shell", "shell"]


@pytest.fixture
def settings() -> Settings:
    return Settings(
        grace=1.0, max_attempts=1, agents={"rehearsal": AgentSettings(env={"HEADWAY_REHEARSAL_SPEED": "0"})}
    )


def wanted(prompt: str = TRY, on: list[str] | None = None, **options: object) -> RaceWanted:
    return RaceWanted(prompt=prompt, on=on or BOTH, **options)  # type: ignore[arg-type]


async def until(engine: Engine, number: int, found: Callable[[Race], bool]) -> Race:
    async def look() -> Race | None:
        return race if found(race := await engine.races.race(number)) else None

    return await waiting.until(engine, look)


async def over(engine: Engine, race: Race) -> Race:
    return await until(engine, race.id, lambda one: one.state in RACE_ENDED)


def judge_that_says(tmp_path: Path, text: str) -> str:
    model = tmp_path / "judge.yaml"
    model.write_text(json.dumps({"about": "judges", "steps": [{"do": "say", "text": text}]}))
    return f"rehearsal:{model}"


async def test_all_begin_at_one_commit_whatever_happens_meanwhile(engine: Engine, repository: Path) -> None:
    first = run_git(repository, "rev-parse", "HEAD")
    await engine.act(Order(verb=Verb.HOLD, scope="all"), "me")
    begun = await engine.races.begin(wanted(project=str(repository)), "me")
    (repository / "a.txt").write_text("two\n")
    run_git(repository, "commit", "--quiet", "--all", "--message", "second")
    await engine.act(Order(verb=Verb.RELEASE, scope="all"), "me")
    race = await over(engine, begun)
    assert race.base == first
    assert len({one.branch for one in race.entries}) == 2
    for one in race.entries:
        assert one.workspace is not None and one.diff is not None
        assert (Path(one.workspace) / "a.txt").read_text() == "one\n"
        assert (Path(one.workspace) / "mine.txt").read_text() == f"{one.job}\n"
        assert one.diff.files == 1
    (batch,) = await engine.store.read.batches(5)
    assert (batch.id, batch.total, batch.name) == (race.batch, 2, f"race: {race.title}")


async def test_the_only_one_that_passes_its_checks_wins(engine: Engine, repository: Path) -> None:
    checks = ["test -f mine.txt", "grep -q 2 mine.txt"]
    race = await over(engine, await engine.races.begin(wanted(project=str(repository), checks=checks, kind="k"), "me"))
    one, two = race.entries
    assert (race.state, race.winner, race.decided_by) == (RaceState.DECIDED, two.job, "checks")
    assert (one.fit, one.passed, one.note) == (False, False, "grep -q 2 mine.txt: exit 1")
    assert [check.passed for check in one.checks] == [True, False]
    assert (two.fit, two.passed) == (True, True)
    (line,) = (await engine.scores.board(kind="k")).lines
    assert (line.first and line.first.count, line.gated, line.races, line.wins) == (1, 2, 2, 1)
    # Nobody's work is touched: the loser's is there to be read, and nothing was merged.
    assert run_git(repository, "status", "--porcelain") == ""
    assert run_git(repository, "rev-list", "--count", "main") == "1"
    assert one.workspace is not None and Path(one.workspace).is_dir()


async def test_several_that_pass_are_left_to_the_operator_who_can_change_his_mind(
    engine: Engine, repository: Path
) -> None:
    race = await over(engine, await engine.races.begin(wanted(project=str(repository), checks=["true"]), "me"))
    one, two = (entry.job for entry in race.entries)
    assert (race.state, race.winner) == (RaceState.OPEN, None)
    would = await engine.races.pick(race.id, two, "me", dry_run=True)
    assert (would.action, (await engine.races.race(race.id)).winner) == (None, None)
    picked = await engine.races.pick(race.id, two, "me", dry_run=False)
    assert picked.branch == f"headway/{two}-echo-headway-job-mine-txt"
    assert (await engine.races.race(race.id)).decided_by == "me"
    with pytest.raises(RefusedError, match="has won race 1 already"):
        await engine.races.pick(race.id, two, "me", dry_run=False)
    again = await engine.races.pick(race.id, one, "me", dry_run=False)
    assert again.was == two
    assert {line.wins for line in (await engine.scores.board()).lines} == {1}
    undone = await engine.undo(None, "me", dry_run=False)
    assert undone.said == f"race {race.id} is decided again, won by J{two}"
    assert (await engine.undo(None, "me", dry_run=False)).said == f"race {race.id} is open again"
    assert (await engine.races.race(race.id)) == race
    assert {line.races for line in (await engine.scores.board()).lines} == {0}


async def test_who_failed_or_did_nothing_is_out(engine: Engine, repository: Path) -> None:
    command = 'case "$HEADWAY_JOB" in 1) exit 3;; 2) ;; *) echo x >x;; esac'
    race = await over(
        engine, await engine.races.begin(wanted(command, [*BOTH, "shell"], project=str(repository)), "me")
    )
    assert [(one.fit, one.note) for one in race.entries] == [
        (False, "failed: unknown"), (False, "it changed nothing"), (True, ""),
    ]  # fmt: skip
    assert (race.winner, race.why) == (3, "J3 is the only one that ended well")


async def test_nobody_wins_where_none_is_left(engine: Engine) -> None:
    race = await over(engine, await engine.races.begin(wanted("exit 1"), "me"))
    assert (race.state, race.winner, race.why) == (RaceState.OPEN, None, "none of them is left")


async def test_a_judge_reads_what_is_left_and_its_verdict_is_kept(
    engine: Engine, repository: Path, tmp_path: Path
) -> None:
    said = '{"winner": "B", "why": "smaller", "answers": [{"letter": "A", "verdict": "too long"}]}'
    judge = judge_that_says(tmp_path, said)
    race = await over(engine, await engine.races.begin(wanted(project=str(repository), judge=judge), "me"))
    assert race.judge_job is not None
    detail = await engine.job(race.judge_job)
    assert (detail.job.kind, detail.job.title) == ("judge", f"judge race 1: {race.title}")
    assert "mine.txt" in detail.spec.prompt and TRY in detail.spec.prompt
    first, last = sorted(race.entries, key=lambda one: one.lot)
    assert (race.state, race.winner, race.decided_by, race.why) == (RaceState.DECIDED, last.job, judge, "smaller")
    assert (first.note, last.note) == ("too long", "")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("Answer A is the best.", "cannot be read as a verdict"),
        ('{"winner": "C", "why": ""}', "cannot be read as a verdict"),
        ('{"winner": null, "why": "both are wrong", "answers": []}', "its judge found none good: both are wrong"),
    ],
)
async def test_no_verdict_is_no_winner(engine: Engine, repository: Path, tmp_path: Path, said: str, why: str) -> None:
    judge = judge_that_says(tmp_path, said)
    race = await over(engine, await engine.races.begin(wanted(project=str(repository), judge=judge), "me"))
    assert (race.state, race.winner) == (RaceState.OPEN, None)
    assert why in race.why


async def test_a_judge_that_fails_decides_nothing(engine: Engine, repository: Path) -> None:
    race = await over(engine, await engine.races.begin(wanted(project=str(repository), judge="rehearsal:crash"), "me"))
    assert (race.state, race.why) == (RaceState.OPEN, f"its judge, J{race.judge_job}, failed")


async def test_the_first_that_does_well_can_be_enough(engine: Engine, repository: Path) -> None:
    command = 'echo x >x; [ "$HEADWAY_JOB" = 2 ] || sleep 1000'
    race = await over(engine, await engine.races.begin(wanted(command, first=1, project=str(repository)), "me"))
    assert race.winner == 2
    slow = await until(engine, race.id, lambda one: one.entries[0].state is State.CANCELLED)
    assert (slow.entries[0].fit, slow.winner) == (False, 2)


async def test_a_race_without_a_project_is_between_answers(engine: Engine) -> None:
    race = await over(engine, await engine.races.begin(wanted("echo hi", checks=["true"]), "me"))
    assert [one.passed for one in race.entries] == [True, True]
    assert race.base is None


async def test_what_cannot_be_a_race_is_refused_before_anything_runs(
    engine: Engine, repository: Path, tmp_path: Path
) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    for wrong, says in (
        (wanted(on=["shell", "shel"]), "did you mean 'shell'"),
        (wanted(project=str(plain)), "no git repository with a commit"),
        (wanted(project=str(repository), base="nowhere"), "no commit 'nowhere'"),
        (wanted(project=str(repository), base="--help"), "no commit '--help'"),
        (wanted(base="main"), "only a project has commits"),
        (wanted(judge="nobody"), "there is no agent 'nobody'"),
        (wanted(judge="rehearsal:no-such-thing"), "no rehearsal scenario 'no-such-thing'"),
        (wanted(first=3), "only 2 targets"),
        (wanted(check_timeout="soon"), "check_timeout"),
        (wanted("  "), "it is empty"),
    ):
        with pytest.raises(UsageError, match=says):
            await engine.races.begin(wrong, "me")
    with pytest.raises(NotFoundError, match="no race 1"):
        await engine.races.race(1)
    dry = await engine.races.begin(wanted(project=str(repository), dry_run=True), "me")
    assert (dry.id, [one.target for one in dry.entries]) == (0, BOTH)
    assert await engine.races.newest(5) == []
    assert (await engine.status()).counts.unfinished == 0


async def test_no_judge_elsewhere_reads_the_changes_of_a_private_project(home: Path, repository: Path) -> None:
    settings = Settings(projects={"secret": ProjectSettings(path=str(repository), private=True)})
    async with serving(home, settings) as engine:
        for judge in ("claude:opus", "llm:openai/gpt-5"):
            with pytest.raises(UsageError, match="the project secret is private"):
                await engine.races.begin(wanted(project="secret", judge=judge), "me")
        assert (await engine.status()).counts.unfinished == 0


async def test_only_what_has_ended_in_this_race_can_be_picked(engine: Engine) -> None:
    await engine.submit(Wanted([shell("true")]))
    race = await engine.races.begin(wanted("sleep 1000"), "me")
    with pytest.raises(NotFoundError, match="J1 is not in race 1; there are J2, J3"):
        await engine.races.pick(race.id, 1, "me", dry_run=False)
    with pytest.raises(RefusedError, match="J2 has not ended yet"):
        await engine.races.pick(race.id, 2, "me", dry_run=False)
    await engine.act(Order(verb=Verb.CANCEL, jobs=[2, 3]), "me")
    assert (await over(engine, race)).why == "none of them is left"


async def test_a_race_survives_the_death_of_its_engine_in_the_middle_of_a_check(
    served: Served, repository: Path, tmp_path: Path
) -> None:
    """kill -9 while a check waits: the next engine ends what was left of it, runs it again, and decides."""
    settings_file(served.home, "grace: 1\n")
    runs, go = tmp_path / "runs", tmp_path / "go"
    check = f"echo $$ >>{runs}; until [ -e {go} ]; do sleep 0.05; done; grep -q 2 mine.txt"
    served.start()
    async with Client(served.home) as client:
        race = await client.begin_race(wanted(project=str(repository), checks=[check], kind="k"))
    await served.until(lambda event: isinstance(event.body, log.RaceMoved) and event.body.state is RaceState.CHECKING)
    async with asyncio.timeout(PATIENCE):
        while not runs.exists() or not runs.read_text().strip():
            await asyncio.sleep(0.02)
    (left,) = map(int, runs.read_text().split())
    served.kill()
    served.start()
    async with asyncio.timeout(PATIENCE):
        while len(runs.read_text().split()) < 2:
            await asyncio.sleep(0.02)
    before = procfs.process(left)
    assert before is None or before.is_gone
    go.touch()
    await served.until(lambda event: isinstance(event.body, log.RaceMoved) and event.body.state in RACE_ENDED)
    async with Client(served.home) as client:
        ended = await client.race(race.id)
        assert (ended.winner, ended.decided_by) == (2, "checks")
        assert len(await client.jobs("", 50)) == 2
        assert (await client.scoreboard("k")).lines[0].wins == 1


async def test_a_judge_is_asked_once_though_the_engine_died_before_it_could_note_that(
    engine: Engine, repository: Path, tmp_path: Path
) -> None:
    judge = judge_that_says(tmp_path, '{"winner": "A", "why": "so", "answers": []}')
    race = await over(engine, await engine.races.begin(wanted(project=str(repository), judge=judge), "me"))
    forget = "UPDATE races SET judge_job = NULL, state = 'judging', winner = NULL WHERE id = ?"
    await engine.store.write(lambda tx: tx.connection.execute(forget, (race.id,)).rowcount)
    await engine.races.begin(wanted("true"), "me")  # what wakes the races
    again = await until(engine, race.id, lambda one: one.state in RACE_ENDED)
    assert (again.judge_job, again.winner) == (race.judge_job, race.winner)
    assert len(await engine.list_jobs("kind:judge", 10)) == 1
