"""An agent that asks waits for its answer, whatever becomes of the engine meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.agents import claude_asking
from engine.agents.asking import Change, Request, Told
from engine.config import AgentSettings, Permissions, Settings
from engine.decision import DIFF_LIMIT, Card, CardKind, Choice, Effect, Reply
from engine.engine import Engine
from engine.model import Cause, Failure, JobSpec, Order, Permission, State, Verb
from engine.runner import cut, procfs, spawn, voice
from engine.runner.cut import Cut
from engine.runner.proposed import proposed
from engine.runner.run_dir import RunDir, run_dir
from engine.serving import serving
from engine.sessions import AttachRequest
from tests.runner.living import ended, rehearsal, submit, until

Steps = list[dict[str, object]]
PUSH: Steps = [
    {"do": "say", "text": "I will push."},
    {"do": "run", "command": "echo pushed >pushed.txt", "ask": True},
    {"do": "say", "text": "finished"},
]
ASK = AgentSettings(permission=Permission.ASK)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWAY_REHEARSAL_SPEED", "0")


@pytest.fixture
def settings() -> Settings:
    return Settings(max_running=8, grace=1.0, agents={"rehearsal": ASK})


def spec(directory: Path, steps: Steps, **more: object) -> JobSpec:
    return JobSpec(prompt="x", agent="rehearsal", model=rehearsal(directory, steps), **more)  # type: ignore[arg-type]


async def card_of(engine: Engine, job: int, number: int = 1) -> Card:
    """The open card of a job, once so many have been put up for it."""
    found: list[Card] = []

    async def holds() -> bool:
        mine = [card for card in await engine.inbox.cards(50) if card.job == job]
        found[:] = [card for card in mine if card.open]
        return len(mine) >= number and bool(found)

    await until(engine, holds)
    return found[0]


async def answer(engine: Engine, card: Card, choice: Choice, **more: object) -> None:
    await engine.inbox.answer(card.id, Reply(choice=choice, **more), "tester")  # type: ignore[arg-type]


def output(engine: Engine, job: int) -> str:
    return run_dir(engine.home, job, 1).stdout.read_text()


async def test_it_waits_until_it_is_allowed_and_goes_on(engine: Engine, tmp_path: Path) -> None:
    (job,) = await submit(engine, spec(tmp_path, PUSH))
    card = await card_of(engine, job)
    assert (card.kind, card.tool, card.summary) == (CardKind.PERMISSION, "Bash", "echo pushed >pushed.txt")
    assert card.why == "I will push."
    whole = run_dir(engine.home, job, 1).path / card.file
    assert '"echo pushed >pushed.txt"' in whole.read_text()
    row = await engine.row(job)
    assert (row.state, row.waiting_on) == (State.RUNNING, card.id)
    (reason,) = (await engine.explain(job)).waiting
    assert reason.cause is Cause.DECISION
    assert f"waits for card {card.id}: Bash" in reason.text
    assert f"headway answer {card.id} allow" in reason.ends
    assert reason.until == card.due
    assert (await engine.job(job)).waiting == [reason]
    assert (await engine.status()).cards == 1
    place = Path((await engine.store.read.attempts(job))[0].workspace or "")
    assert not (place / "pushed.txt").exists()
    await answer(engine, card, Choice.ALLOW)
    row, (tried,) = await ended(engine, job)
    assert (row.state, tried.result, row.waiting_on) == (State.SUCCEEDED, "finished", None)
    assert (place / "pushed.txt").exists()
    assert (await engine.inbox.card(card.id)).sent_at is not None
    assert not run_dir(engine.home, job, 1).pipe.exists()


async def test_the_reason_of_a_refusal_reaches_the_agent(engine: Engine, tmp_path: Path) -> None:
    (job,) = await submit(engine, spec(tmp_path, PUSH))
    await answer(engine, await card_of(engine, job), Choice.DENY, reason="not on a Friday")
    row, (tried,) = await ended(engine, job)
    assert "not on a Friday" in output(engine, job)
    assert (row.state, row.failure) == (State.FAILED, Failure.BAD_OUTPUT), "denied, and nothing was changed"
    assert not (Path(tried.workspace or "") / "pushed.txt").exists()


async def test_a_question_is_answered_in_words(engine: Engine, tmp_path: Path) -> None:
    steps: Steps = [{"do": "ask", "text": "Which?", "options": ["this", "that"]}, {"do": "say", "text": "ok"}]
    (job,) = await submit(engine, spec(tmp_path, steps))
    card = await card_of(engine, job)
    assert (card.kind, card.summary, card.options) == (CardKind.QUESTION, "Which?", ("this", "that"))
    await answer(engine, card, Choice.ANSWER, reason="neither")
    row, _ = await ended(engine, job)
    assert row.state is State.SUCCEEDED
    assert 'Which?\\"=\\"neither' in output(engine, job)


async def test_a_file_tool_shows_its_change_before_it_is_made(engine: Engine, tmp_path: Path, repository: Path) -> None:
    steps: Steps = [
        {"do": "edit", "path": "a.txt", "find": "one", "replace": "two", "ask": True},
        {"do": "say", "text": "ok"},
    ]
    (job,) = await submit(engine, spec(tmp_path, steps, project=str(repository)))
    card = await card_of(engine, job)
    assert card.diff.splitlines() == [
        "diff --git a/a.txt b/a.txt", "--- a/a.txt", "+++ b/a.txt", "@@ -1 +1 @@", "-one", "+two",
    ]  # fmt: skip
    await answer(engine, card, Choice.RULE)
    await ended(engine, job)
    (rule,) = await engine.inbox.rules()
    assert (rule.tool, rule.pattern, rule.project) == ("Edit", "a.txt", str(repository))


async def test_an_engine_that_comes_later_has_the_card_and_passes_the_answer_on(
    home: Path, settings: Settings, tmp_path: Path
) -> None:
    async with serving(home, settings) as first:
        (job,) = await submit(first, spec(tmp_path, PUSH))
        card = await card_of(first, job)
    async with serving(home, settings) as second:
        assert await card_of(second, job) == card
        await answer(second, card, Choice.ALLOW)
        row, attempts = await ended(second, job)
    assert (row.state, len(attempts)) == (State.SUCCEEDED, 1)


async def test_an_answer_that_was_written_down_and_not_passed_on_is_passed_on_by_the_next_engine(
    home: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(run: RunDir, line: bytes) -> bool:
        return False

    async with serving(home, settings) as first:
        (job,) = await submit(first, spec(tmp_path, PUSH))
        card = await card_of(first, job)
        with monkeypatch.context() as patch:
            patch.setattr(voice, "tell", lost)
            await answer(first, card, Choice.ALLOW)
    async with serving(home, settings) as second:
        row, attempts = await ended(second, job)
        assert (await second.inbox.card(card.id)).sent_at is not None
    assert (row.state, len(attempts)) == (State.SUCCEEDED, 1)


async def test_an_answer_that_the_agent_heard_is_not_passed_on_again(
    home: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bytes] = []
    tell = voice.tell

    async def counted(run: RunDir, line: bytes) -> bool:
        told.append(line)
        return await tell(run, line)

    monkeypatch.setattr(voice, "tell", counted)
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    steps: Steps = [
        {"do": "run", "command": f"read line <{gate}", "ask": True},
        {"do": "say", "text": "ok"},
    ]
    async with serving(home, settings) as first:
        (job,) = await submit(first, spec(tmp_path, steps))
        card = await card_of(first, job)
        await answer(first, card, Choice.ALLOW)

        async def sent() -> bool:
            return (await first.inbox.card(card.id)).sent_at is not None

        async with asyncio.timeout(30):
            while not await sent():
                await asyncio.sleep(0.02)
    async with serving(home, settings) as second:
        await asyncio.to_thread(gate.write_text, "go\n")
        row, _ = await ended(second, job)
    assert row.state is State.SUCCEEDED
    assert len(told) == 1


async def test_what_came_to_its_end_while_no_engine_looked_is_withdrawn(
    home: Path, settings: Settings, tmp_path: Path
) -> None:
    steps: Steps = [*PUSH[:2], {"do": "run", "command": "true", "ask": True}, PUSH[2]]
    async with serving(home, settings) as first:
        (job,) = await submit(first, spec(tmp_path, steps))
        card = await card_of(first, job)
    run = run_dir(home, job, 1)
    name = card.file.removeprefix("asked/").removesuffix(".json")
    request = Request(name, CardKind.PERMISSION, "Bash", b"{}", "")
    assert await voice.tell(run, claude_asking.answer(request, Told(True)))
    async with asyncio.timeout(30):
        while run.stdout.read_bytes().count(b"control_request") < 2:
            await asyncio.sleep(0.02)
    async with serving(home, settings) as second:
        other = await card_of(second, job, 2)
        assert other.summary == "true"

        async def closed() -> bool:
            return not (await second.inbox.card(card.id)).open

        await until(second, closed)
        assert (await second.row(job)).waiting_on == other.id
        assert (await second.inbox.card(card.id)).choice is Choice.WITHDRAWN
        await answer(second, other, Choice.ALLOW)
        await ended(second, job)


@pytest.mark.parametrize(("default", "state"), [(Effect.DENY, State.FAILED), (Effect.ALLOW, State.SUCCEEDED)])
async def test_unanswered_for_too_long_the_default_is_taken(
    home: Path, settings: Settings, tmp_path: Path, default: Effect, state: State
) -> None:
    policy = Permissions(timeout="100ms", default=default)
    async with serving(home, replace(settings, permissions=policy)) as engine:
        (job,) = await submit(engine, spec(tmp_path, PUSH))
        row, _ = await ended(engine, job)
        (card,) = await engine.inbox.cards(5)
    assert (row.state, card.by, card.choice) == (state, "time-out", default)


async def test_neither_silence_nor_its_time_count_while_it_waits(
    home: Path, settings: Settings, tmp_path: Path
) -> None:
    patient = replace(settings, permissions=Permissions(timeout="2200ms", default=Effect.ALLOW))
    async with serving(home, patient) as engine:
        (job,) = await submit(engine, spec(tmp_path, PUSH, stall="2s", timeout="2s"))
        row, (tried,) = await ended(engine, job)
    assert (tried.ended_at or 0) - (tried.started_at or 0) > 2_000
    assert (row.state, row.failure) == (State.SUCCEEDED, None)


async def test_nor_do_they_after_a_restart_of_the_engine(home: Path, settings: Settings, tmp_path: Path) -> None:
    patient = replace(settings, permissions=Permissions(timeout="2200ms", default=Effect.ALLOW))
    steps: Steps = [*PUSH[:2], {"do": "run", "command": "true", "ask": True}, PUSH[2]]
    async with serving(home, patient) as first:
        (job,) = await submit(first, spec(tmp_path, steps, stall="2s", timeout="2s"))
        await card_of(first, job, 2)
    async with serving(home, patient) as second:
        row, (tried,) = await ended(second, job)
    assert (tried.ended_at or 0) - (tried.started_at or 0) > 4_000
    assert (row.state, row.failure) == (State.SUCCEEDED, None)


async def test_a_secret_goes_back_to_its_agent_from_the_engine_that_saw_it_and_from_no_other(
    home: Path, settings: Settings, tmp_path: Path
) -> None:
    key = f"ghp_{'c3D4' * 9}"
    steps: Steps = [{"do": "run", "command": f"echo {key} >{name}", "ask": True} for name in ("first", "second")]
    async with serving(home, settings) as engine:
        (job,) = await submit(engine, spec(tmp_path, [*steps, PUSH[2]]))
        card = await card_of(engine, job)
        assert card.summary == "echo [key] >first"
        place = Path((await engine.store.read.attempts(job))[0].workspace or "")
        await answer(engine, card, Choice.ALLOW)
        await card_of(engine, job, 2)
    assert (place / "first").read_text() == f"{key}\n"
    async with serving(home, settings) as engine:
        await answer(engine, await card_of(engine, job, 2), Choice.ALLOW)
        await ended(engine, job)
        assert "ask once more" in output(engine, job)
    assert not (place / "second").exists(), "what was covered is carried out by nobody"


async def test_cancelling_a_job_that_waits_withdraws_its_card(engine: Engine, tmp_path: Path) -> None:
    (job,) = await submit(engine, spec(tmp_path, PUSH))
    card = await card_of(engine, job)
    await engine.act(Order(verb=Verb.CANCEL, jobs=[job]), "tester")
    row, _ = await ended(engine, job)
    assert (row.state, row.waiting_on) == (State.CANCELLED, None)
    assert (await engine.inbox.card(card.id)).choice is Choice.WITHDRAWN
    assert await engine.inbox.cards() == []


async def test_without_live_permission_nobody_is_asked(home: Path, tmp_path: Path) -> None:
    async with serving(home, Settings(grace=1.0)) as engine:
        (job,) = await submit(engine, spec(tmp_path, PUSH))
        row, _ = await ended(engine, job)
        assert await engine.inbox.cards(5) == []
    assert row.failure is Failure.BAD_OUTPUT


async def test_a_prompt_that_is_larger_than_a_pipe_comes_through(engine: Engine, tmp_path: Path) -> None:
    (job,) = await submit(engine, replace(spec(tmp_path, PUSH), prompt="long " * 200_000))
    await answer(engine, await card_of(engine, job), Choice.ALLOW)
    row, _ = await ended(engine, job)
    assert row.state is State.SUCCEEDED


async def test_arguments_that_are_larger_than_a_pipe_are_given_back(engine: Engine, tmp_path: Path) -> None:
    steps: Steps = [
        {"do": "write", "path": "big.txt", "text": "x" * 3_000_000, "ask": True},
        {"do": "say", "text": "ok"},
    ]
    scenario = tmp_path / "big.yaml"
    scenario.write_text(json.dumps({"about": "test", "steps": steps}))  # which is YAML, and quickly written
    (job,) = await submit(engine, JobSpec(prompt="x", agent="rehearsal", model=str(scenario)))
    card = await card_of(engine, job)
    assert len(card.diff) < DIFF_LIMIT + 100
    assert card.diff.endswith("… the rest is in the run directory\n")
    await answer(engine, card, Choice.ALLOW)
    row, (tried,) = await ended(engine, job)
    assert row.state is State.SUCCEEDED
    assert (Path(tried.workspace or "") / "big.txt").stat().st_size == 3_000_000


async def test_a_job_that_wants_to_be_asked_by_one_that_cannot_is_refused(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(type(engine.agents["rehearsal"]), "asks", False)
    (job,) = await submit(engine, spec(tmp_path, PUSH, permission=Permission.ASK))
    row, _ = await ended(engine, job)
    assert row.failure is Failure.SPAWN_FAILED
    assert "cannot ask while it works" in (row.reason or "")


# The pieces


async def test_nobody_is_spoken_to_where_nobody_listens(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    assert not await voice.tell(run, b"x\n")
    voice.open_for(run)
    assert not await voice.tell(run, b"x\n"), "the agent has ended"
    run.pipe.unlink()
    run.pipe.write_text("")
    assert not await voice.tell(run, b"x\n"), "an agent can put a file there"
    voice.close(run)
    assert run.pipe.exists()


async def test_only_what_carries_the_attempts_mark_is_hung_up(tmp_path: Path, marker: str) -> None:
    run = RunDir(tmp_path)
    voice.hang_up(run, marker)
    own = os.getpid()
    (tmp_path / "holder").write_text(f"{own}\n")
    voice.hang_up(run, marker)
    assert procfs.process(own) is not None


@pytest.mark.parametrize(
    ("change", "before", "shown"),
    [
        (Change("new.txt", content="a\nb"), None, ["@@ -0,0 +1,2 @@", "+a", "+b", "\\ No newline at end of file"]),
        (Change("a.txt", (("b", "c"), ("c", "d"))), "a\nb\n", ["@@ -1,2 +1,2 @@", " a", "-b", "+d"]),
        (Change("a.txt", (("z\n", "y\n"),)), "a\n", ["@@ -1 +1 @@", "-z", "+y"]),
    ],
)  # fmt: skip
def test_the_change_is_shown_as_a_diff(tmp_path: Path, change: Change, before: str | None, shown: list[str]) -> None:
    if before is not None:
        (tmp_path / change.path).write_text(before)
    assert proposed(change, str(tmp_path)).splitlines()[3:] == shown
    assert (tmp_path / change.path).exists() is (before is not None)


def test_a_change_outside_of_the_workspace_is_shown_with_its_whole_path(tmp_path: Path) -> None:
    assert proposed(Change("/nowhere/x", content="a\n"), str(tmp_path)).startswith("diff --git a//nowhere/x")


async def test_a_key_is_neither_on_the_card_nor_in_the_log_and_the_agent_runs_what_it_asked_for(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "sk-made-up-1234567890"
    monkeypatch.setenv("DEPLOY_TOKEN", key)
    steps: Steps = [
        {"do": "say", "text": f"I use {key}."},
        {"do": "run", "command": f"echo {key} >key.txt", "ask": True},
        {"do": "ask", "text": f"Is {key} right?", "options": [key, "no"]},
        {"do": "say", "text": "finished"},
    ]
    settings = Settings(agents={"rehearsal": replace(ASK, pass_env=["DEPLOY_TOKEN"])})
    async with serving(home, settings) as engine:
        (job,) = await submit(engine, spec(tmp_path, steps))
        card = await card_of(engine, job)
        assert card.summary == "echo [key] >key.txt"
        assert card.why == "I use [key]."
        assert key not in (run_dir(home, job, 1).path / card.file).read_text()
        await answer(engine, card, Choice.ALLOW)
        question = await card_of(engine, job, 2)
        assert question.options == ("[key]", "no")
        await answer(engine, question, Choice.ANSWER, reason=f"{key} is right")
        _, (attempt,) = await ended(engine, job)
        told = await engine.store.read.events(0, 1000, job)
        cards = await engine.inbox.cards(10)
    assert (Path(attempt.workspace or "") / "key.txt").read_text() == f"{key}\n"
    assert key not in repr((told, cards))
    assert "[key] is right" in repr(cards)


async def test_a_takeover_withdraws_the_card_and_the_job_asks_anew_once_it_goes_on(
    engine: Engine, tmp_path: Path
) -> None:
    model = rehearsal(tmp_path, PUSH, PUSH)
    (job,) = await submit(engine, JobSpec(prompt="x", agent="rehearsal", model=model))
    card = await card_of(engine, job)
    nothing = os.open(os.devnull, os.O_RDWR)
    terminal = spawn.spawn(["sleep", "600"], {"PATH": os.environ["PATH"]}, spawn.Streams(nothing, nothing, nothing))
    os.close(nothing)
    try:
        taken = await engine.attach(job, AttachRequest(terminal, "a-mark"), "tester")
        assert taken.session == (await engine.store.read.attempts(job))[0].session
        assert await engine.inbox.cards() == [], "nobody is there any more who could be answered"
        assert (await engine.inbox.card(card.id)).choice is Choice.WITHDRAWN
        assert (await engine.row(job)).waiting_on is None
        await engine.detach(job, "a-mark")
    finally:
        os.kill(terminal, signal.SIGKILL)
        await spawn.ended(terminal)
    again = await card_of(engine, job, 2)
    await answer(engine, again, Choice.ALLOW)
    row, attempts = await ended(engine, job)
    assert row.state is State.SUCCEEDED
    assert [one.resumes for one in attempts] == [None, taken.session]


async def test_what_was_being_stopped_while_its_card_was_open_is_stopped_by_the_next_engine(
    home: Path, settings: Settings, tmp_path: Path
) -> None:
    async with serving(home, settings) as engine:
        (job,) = await submit(engine, spec(tmp_path, PUSH, max_attempts=1))
        card = await card_of(engine, job)
    cut.note(run_dir(home, job, 1), Cut(Failure.TIMEOUT, "it ran for longer than it may"))
    async with serving(home, settings) as engine:
        row, (attempt,) = await ended(engine, job)
        assert (row.state, row.failure, row.waiting_on) == (State.FAILED, Failure.TIMEOUT, None)
        assert attempt.reason == "it ran for longer than it may"
        assert await engine.inbox.cards() == []
        assert (await engine.inbox.card(card.id)).choice is Choice.WITHDRAWN
