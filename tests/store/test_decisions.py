"""What happens to a card: put up once, answered once, and what follows for its job, its rules and an undo."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine import events as log
from engine.card_kinds import all_kinds
from engine.decision import Answered, Card, CardKind, Choice, Effect, Reply, Rule
from engine.dispatch.routebook import NOTHING
from engine.errors import NotFoundError, RefusedError, UsageError
from engine.model import State, Undone
from engine.permission import Policy
from engine.store import actions, answering, cards, decisions, rules, schema
from engine.store.cards import Asking
from engine.store.fold import rebuild
from engine.store.schema import migrate, migrations, open_writer
from engine.upkeep import prune
from tests.store.samples import NOON, Bench, accepted, connect, plan, success, table

HALF_HOUR = Policy(1_800_000)
KINDS = all_kinds(NOTHING, {})


def asking(name: str = "r1", command: str = "git push", kind: CardKind = CardKind.PERMISSION) -> Asking:
    return Asking(name, kind, "Bash", command, True, command, f'{{"command":"{command}"}}')


async def running(bench: Bench, project: str | None = "/api") -> tuple[int, int]:
    """A job whose attempt runs: its id and the attempt's."""
    await bench.submit(accepted(project=project))
    (claim,) = await bench.claim()
    return claim.job.id, claim.attempt.id


async def ask(bench: Bench, attempt: int, one: Asking, *configured: Rule, policy: Policy = HALF_HOUR) -> bool:
    return await bench.store.write(lambda tx: decisions.ask(tx, attempt, one, configured, policy))


async def answer(bench: Bench, card: int, choice: Choice, **more: object) -> Answered:
    reply = Reply(choice=choice, **more)  # type: ignore[arg-type]
    return await bench.store.write(lambda tx: answering.answer(tx, KINDS, card, reply, "ann"))


async def undo(bench: Bench) -> Undone:
    return (await bench.store.write(lambda tx: actions.undo(tx, "ann", None, KINDS, dry_run=False))).undone


async def opened(bench: Bench) -> list[Card]:
    return await bench.store.look(cards.opened)


async def test_a_request_has_one_card_however_often_it_is_seen(bench: Bench) -> None:
    job, attempt = await running(bench)
    assert not await ask(bench, attempt, asking())
    assert not await ask(bench, attempt, asking())
    (card,) = await opened(bench)
    assert (card.job, card.tool, card.summary, card.due) == (job, "Bash", "git push", NOON + 1_800_000)
    assert card.project == "/api"
    assert (await bench.row(job)).waiting_on == card.id
    assert await bench.store.read.open_cards() == 1
    await answer(bench, card.id, Choice.ALLOW)
    assert await ask(bench, attempt, asking()), "a restarted engine sees that it is answered"
    assert (await bench.row(job)).waiting_on is None
    assert await bench.store.read.open_cards() == 0


async def test_a_job_waits_for_the_oldest_of_its_cards(bench: Bench) -> None:
    job, attempt = await running(bench)
    for name in ("a", "b", "c"):
        await ask(bench, attempt, asking(name))
    for card, then in ((2, 1), (1, 3), (3, None)):
        await answer(bench, card, Choice.DENY)
        assert (await bench.row(job)).waiting_on == then


async def test_an_answer_is_unsent_until_the_agent_was_told(bench: Bench) -> None:
    _, attempt = await running(bench)
    await ask(bench, attempt, asking())
    done = await answer(bench, 1, Choice.DENY, reason="not today")
    assert (done.card.choice, done.card.reason, done.card.by) == (Choice.DENY, "not today", "ann")
    ((name, card),) = await bench.store.look(lambda tx: cards.unsent(tx, attempt))
    assert (name, card.reason) == ("r1", "not today")
    await bench.store.write(lambda tx: cards.sent(tx, card.id))
    assert await bench.store.look(lambda tx: cards.unsent(tx, attempt)) == []


async def test_a_card_is_answered_once(bench: Bench) -> None:
    _, attempt = await running(bench)
    await ask(bench, attempt, asking())
    await answer(bench, 1, Choice.ALLOW)
    with pytest.raises(RefusedError, match="card 1 is closed: allow by ann"):
        await answer(bench, 1, Choice.DENY)
    with pytest.raises(NotFoundError, match="no card 2"):
        await answer(bench, 2, Choice.ALLOW)


@pytest.mark.parametrize(
    ("kind", "reply", "said"),
    [
        (CardKind.PERMISSION, {"choice": Choice.ANSWER, "reason": "x"}, "choose allow, job, rule, deny"),
        (CardKind.PERMISSION, {"choice": Choice.WITHDRAWN}, "cannot be answered"),
        (CardKind.PERMISSION, {"choice": Choice.ALLOW, "pattern": "*"}, "allow makes none"),
        (CardKind.PERMISSION, {"choice": Choice.RULE, "pattern": "git pull *"}, "does not match what is asked"),
        (CardKind.PERMISSION, {"choice": Choice.JOB, "everywhere": True}, "holds nowhere else"),
        (CardKind.PERMISSION, {"choice": Choice.DENY, "everywhere": True}, "only a rule"),
        (CardKind.QUESTION, {"choice": Choice.ALLOW}, "choose answer, deny"),
        (CardKind.QUESTION, {"choice": Choice.ANSWER, "reason": " "}, "needs words"),
    ],
)
async def test_what_makes_no_sense_is_refused_and_leaves_the_card_open(
    bench: Bench, kind: CardKind, reply: dict[str, object], said: str
) -> None:
    _, attempt = await running(bench)
    await ask(bench, attempt, asking(kind=kind))
    with pytest.raises(UsageError, match=said):
        await answer(bench, 1, **reply)  # type: ignore[arg-type]
    assert len(await opened(bench)) == 1
    assert await bench.store.look(rules.rules) == []


async def test_a_rule_answers_what_else_waits_and_what_comes_in_its_project(bench: Bench) -> None:
    _, here = await running(bench)
    _, beside = await running(bench)
    _, elsewhere = await running(bench, project="/web")
    for attempt in (here, beside, elsewhere):
        await ask(bench, attempt, asking(command="git push origin"))
    done = await answer(bench, 1, Choice.RULE, pattern="git push *")
    assert done.also == [2]
    assert done.rule is not None
    assert (done.rule.project, done.rule.pattern) == ("/api", "git push *")
    assert [card.id for card in await opened(bench)] == [3]
    assert await ask(bench, beside, asking("r2", "git push again"))
    assert not await ask(bench, beside, asking("r3", "git pull"))
    (rule,) = await bench.store.look(rules.rules)
    assert rule.uses == 2
    told = dict(await bench.store.look(lambda tx: cards.unsent(tx, beside)))
    assert (told["r2"].choice, told["r2"].by, told["r2"].rule) == (Choice.ALLOW, "rule 1", 1)


async def test_what_is_allowed_for_a_job_is_so_for_any_use_of_the_tool_in_it_alone(bench: Bench) -> None:
    _, here = await running(bench)
    _, beside = await running(bench)
    await ask(bench, here, asking())
    done = await answer(bench, 1, Choice.JOB)
    assert done.rule is not None
    assert (done.rule.job, done.rule.pattern) == (1, "*")
    assert await ask(bench, here, asking("r2", "rm -rf x"))
    assert not await ask(bench, beside, asking())


async def test_a_rule_that_denies_goes_before_headway_yaml(bench: Bench) -> None:
    _, attempt = await running(bench)
    await ask(bench, attempt, asking())
    await answer(bench, 1, Choice.DENY, pattern="*push*", everywhere=True)
    assert await ask(bench, attempt, asking("r2"), Rule(tool="*"))
    ((_, _), (_, card)) = await bench.store.look(lambda tx: cards.unsent(tx, attempt))
    assert (card.choice, card.by) == (Choice.DENY, "rule 1")


async def test_a_rule_of_headway_yaml_is_named_as_who_answered(bench: Bench) -> None:
    _, attempt = await running(bench)
    assert await ask(bench, attempt, asking(), Rule(tool="Bash", effect=Effect.DENY))
    ((_, card),) = await bench.store.look(lambda tx: cards.unsent(tx, attempt))
    assert (card.choice, card.by, card.rule) == (Choice.DENY, "headway.yaml", None)


async def test_no_rule_answers_a_question(bench: Bench) -> None:
    _, attempt = await running(bench)
    assert not await ask(bench, attempt, asking(kind=CardKind.QUESTION), Rule(tool="*"))
    assert (await opened(bench))[0].default is Choice.DENY


async def test_what_nothing_can_be_matched_of_makes_a_rule_only_by_its_pattern(bench: Bench) -> None:
    _, attempt = await running(bench)
    await ask(bench, attempt, asking(command=""))
    with pytest.raises(UsageError, match="means every use of Bash"):
        await answer(bench, 1, Choice.RULE)
    done = await answer(bench, 1, Choice.RULE, pattern="*")
    assert done.rule is not None
    assert done.rule.pattern == "*"


async def test_a_rule_of_a_job_without_a_project_holds_in_that_job(bench: Bench) -> None:
    job, attempt = await running(bench, project=None)
    await ask(bench, attempt, asking())
    done = await answer(bench, 1, Choice.RULE)
    assert done.rule is not None
    assert (done.rule.project, done.rule.job) == (None, job)


async def test_undo_takes_the_rule_back_and_says_that_the_answer_stays(bench: Bench) -> None:
    job, attempt = await running(bench)
    await ask(bench, attempt, asking())
    await answer(bench, 1, Choice.RULE)
    await bench.store.write(lambda tx: cards.telling(tx, attempt))
    undone = await undo(bench)
    assert undone.said == "rule 1 holds no more"
    assert undone.lost == {actions.TOLD: [job]}
    assert undone.restored == []
    assert await bench.store.look(rules.rules) == []
    assert not await ask(bench, attempt, asking("r2"))


async def test_undo_brings_a_card_back_of_whose_answer_the_agent_has_heard_nothing(bench: Bench) -> None:
    job, attempt = await running(bench)
    _, beside = await running(bench)
    await ask(bench, attempt, asking())
    await ask(bench, beside, asking())
    bench.clock.now += 60_000
    assert (await answer(bench, 1, Choice.RULE, pattern="git *")).also == [2]
    undone = await undo(bench)
    assert undone.said == "rule 1 holds no more; card 1, card 2 wait for you again"
    assert undone.lost == {}
    again, _ = await opened(bench)
    assert (again.id, again.choice, again.rule) == (1, None, None)
    assert again.due == NOON + 1_800_000, "it has as long as it had left"
    assert (await bench.row(job)).waiting_on == 1
    await answer(bench, 1, Choice.DENY)
    assert await bench.store.read.open_cards() == 1


async def test_a_rule_that_was_dropped_comes_back_under_its_number(bench: Bench) -> None:
    _, attempt = await running(bench)
    await ask(bench, attempt, asking())
    await answer(bench, 1, Choice.RULE)
    before = await bench.store.look(rules.rules)
    await bench.store.write(lambda tx: decisions.drop_rule(tx, 1, "ann"))
    assert await bench.store.look(rules.rules) == []
    assert (await undo(bench)).said == "rule 1 holds again"
    assert await bench.store.look(rules.rules) == before
    with pytest.raises(NotFoundError, match="no rule 7"):
        await bench.store.write(lambda tx: decisions.drop_rule(tx, 7, "ann"))


async def test_a_dry_run_says_the_same_and_does_nothing(bench: Bench) -> None:
    _, attempt = await running(bench)
    await ask(bench, attempt, asking())
    would = await answer(bench, 1, Choice.RULE, dry_run=True)
    assert len(await opened(bench)) == 1
    did = await answer(bench, 1, Choice.RULE)
    assert replace(would, dry_run=False) == did


async def test_when_its_time_is_over_the_default_is_taken(bench: Bench) -> None:
    job, attempt = await running(bench)
    await ask(bench, attempt, asking("a"))
    await ask(bench, attempt, asking("b"), policy=Policy(0))
    await ask(bench, attempt, asking("c"), policy=Policy(1_800_000, Choice.ALLOW))
    assert await bench.store.look(lambda tx: cards.next_due(tx, attempt)) == NOON + 1_800_000
    assert await bench.store.write(lambda tx: decisions.expire(tx, attempt)) == 0
    bench.clock.now += 1_800_000
    assert await bench.store.write(lambda tx: decisions.expire(tx, attempt)) == 2
    told = dict(await bench.store.look(lambda tx: cards.unsent(tx, attempt)))
    assert (told["a"].choice, told["a"].by) == (Choice.DENY, "time-out")
    assert "within 30m" in (told["a"].reason or "")
    assert told["c"].choice is Choice.ALLOW
    assert (await bench.row(job)).waiting_on == 2
    assert await bench.store.look(lambda tx: cards.next_due(tx, attempt)) is None


async def test_what_an_ended_attempt_asked_is_withdrawn(bench: Bench) -> None:
    job, attempt = await running(bench)
    await ask(bench, attempt, asking())
    row = await bench.settle(attempt, success())
    assert (row.state, row.waiting_on) == (State.SUCCEEDED, None)
    assert await opened(bench) == []
    (card,) = await bench.store.look(lambda tx: cards.newest(tx, 5))
    assert card.choice is Choice.WITHDRAWN
    with pytest.raises(RefusedError):
        await ask(bench, attempt, asking("late"))
    assert [event.body.choice for event in bench.published if isinstance(event.body, log.Answered)] == ["withdrawn"]
    assert job == row.id


async def test_the_log_tells_what_a_job_waits_for(bench: Bench) -> None:
    _, attempt = await running(bench)
    await ask(bench, attempt, asking("a"))
    await ask(bench, attempt, asking("b"))
    await answer(bench, 1, Choice.JOB)
    await bench.store.close()
    connection = connect(bench.path)
    assert rebuild(connection) == table(connection)
    connection.close()


async def test_a_pruned_job_takes_its_cards_and_its_rules_along(bench: Bench) -> None:
    _, attempt = await running(bench)
    await ask(bench, attempt, asking())
    await answer(bench, 1, Choice.JOB)
    await bench.settle(attempt, success())
    bench.clock.now += 10 * 86_400_000
    wanted = prune.Wanted(before=bench.clock.now)
    gone = await bench.store.write(lambda tx: prune.prune(tx, wanted, "ann"))
    assert len(gone.gone) == 1
    assert await bench.store.look(lambda tx: cards.newest(tx, 5)) == []
    assert await bench.store.look(rules.rules) == []


def test_what_is_asked_often_goes_along_an_index(tmp_path: Path) -> None:
    connection = connect(tmp_path / "headway.db")
    for sql in (
        cards._OPEN,
        cards._LEFT,
        "SELECT count(*) FROM decisions WHERE answered_at IS NULL",
        f"{cards.SELECT_CARD} WHERE d.attempt = ? AND d.sent_at IS NULL AND d.answered_at IS NOT NULL",
    ):
        assert "SCAN d\n" not in plan(connection, sql) + "\n", sql
        assert "SCAN decisions\n" not in plan(connection, sql) + "\n", sql
    connection.close()


def test_a_database_from_before_decisions_keeps_its_jobs(tmp_path: Path) -> None:
    path = tmp_path / "headway.db"
    names = [entry.name for entry in sorted((Path(schema.__file__).parent / "migrations").glob("*.sql"))]
    before = names.index("0003_decisions.sql")
    old = sqlite3.connect(path, isolation_level=None)
    migrate(old, migrations()[:before])
    old.execute("INSERT INTO lanes (id, agent, priority) VALUES (1, 'claude', 5)")
    old.execute(
        "INSERT INTO jobs (id, state, title, agent, priority, created_at, spec_seq, lane) "
        "VALUES (7, 'ready', 't', 'claude', 5, 1, 1, 1)"
    )
    old.close()
    connection = open_writer(path)
    row = table(connection)[7]
    assert (row.title, row.waiting_on) == ("t", None)
    assert connection.execute("SELECT count(*) FROM decisions").fetchone() == (0,)
    connection.close()
