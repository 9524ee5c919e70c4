"""Gates on real git, real processes and made-up models: refused, sent back, passed; and all that does not pass."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from engine import events as log
from engine.config import AgentSettings, EvidenceSettings, GateSettings, ProjectSettings, Settings
from engine.config.gates import CheckSettings
from engine.decision import CardKind, Choice, Reply
from engine.engine import Engine
from engine.errors import RefusedError
from engine.model import (
    NO_GATE,
    Failure,
    GateLook,
    JobSpec,
    Order,
    Source,
    Stage,
    State,
    Verb,
    Verdict,
    Wanted,
)  # fmt: skip
from engine.rehearsal.scenario import project_files
from engine.runner.run_dir import run_dir
from engine.serving import serving
from engine.store.rows import JobRow
from tests.conftest import PATIENCE, run_git
from tests.waiting import until

CHECK = "python3 -B -m unittest discover -q -s tests -t ."
APPROVES = '{"verdict": "approve", "why": "right", "findings": []}'
REFUSES = json.dumps(
    {
        "verdict": "refuse",
        "why": "wrong",
        "findings": [{"file": "a.txt", "line": 1, "severity": "major", "what": "it lies", "proof": "two"}],
    }
)
ANYTHING = EvidenceSettings(changed=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The sample project, with its bug, as a repository."""
    path = tmp_path / "tally"
    for name, text in project_files().items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    run_git(path, "init", "--quiet", "--initial-branch=main")
    run_git(path, "add", ".")
    run_git(path, "commit", "--quiet", "--message", "first")
    return path


def settings_with(**gates: GateSettings) -> Settings:
    return Settings(
        grace=1.0,
        max_running=8,
        agents={"rehearsal": AgentSettings(env={"HEADWAY_REHEARSAL_SPEED": "0"})},
        gates=gates,
    )


class Bed:
    """An engine with gates, and what tests ask of it."""

    def __init__(self, engine: Engine, place: Path) -> None:
        self.engine = engine
        self._place = place
        self._scripts = 0

    def plays(self, *steps: dict[str, object], resumed: list[dict[str, object]] | None = None) -> str:
        """A model that does these steps, as `rehearsal:PATH` without the agent."""
        self._scripts += 1
        path = self._place / f"script-{self._scripts}.yaml"
        path.write_text(json.dumps({"about": "plays", "steps": list(steps), "resumed": resumed or []}))
        return str(path)

    def says(self, text: str, *before: dict[str, object]) -> str:
        return self.plays(*before, {"do": "say", "text": text})

    async def submit(self, model: str, gate: str | None = "g", **options: object) -> int:
        spec = JobSpec(prompt="do it", agent="rehearsal", model=model, gate=gate, **options)  # type: ignore[arg-type]
        return (await self.engine.submit(Wanted([spec]))).ids[0]

    async def until(self, job: int, *states: State, held: bool = False) -> JobRow:
        async def look() -> JobRow | None:
            row = await self.engine.row(job)
            return row if row.state in states and (row.held_by is not None or not held) else None

        return await until(self.engine, look)

    async def over(self, job: int) -> JobRow:
        """Done, or before the operator."""

        async def look() -> JobRow | None:
            row = await self.engine.row(job)
            return row if row.ended_at is not None or (row.state is State.GATING and row.held_by is not None) else None

        return await until(self.engine, look)

    async def looks(self, job: int) -> list[GateLook]:
        return await self.engine.gates.looks(job)

    async def refused(self, job: int) -> GateLook:
        """The look of a job that did not get through, which is before the operator."""
        row = await self.over(job)
        assert (row.state, row.held_by) == (State.GATING, f"card {row.waiting_on}")
        look = (await self.looks(job))[-1]
        assert (look.verdict, look.stage) == (Verdict.REFUSED, Stage.ASKING)
        return look

    def prompt(self, job: int, attempt: int = 1) -> str:
        return (run_dir(self.engine.home, job, attempt).path / "prompt").read_text()


@pytest.fixture
async def bed(home: Path, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Bed]:
    """With the gates of `@pytest.mark.gate`, or one, `g`, that runs the tests."""
    marker = request.node.get_closest_marker("gate")
    gates = marker.kwargs if marker is not None else {"g": GateSettings(checks=[CHECK])}
    async with serving(home, settings_with(**gates)) as engine:
        yield Bed(engine, tmp_path)


async def test_who_is_sent_back_goes_on_in_its_session_and_passes(bed: Bed, project: Path) -> None:
    job = await bed.submit("optimist", project=str(project))
    row = await bed.until(job, State.SUCCEEDED)
    first, second = await bed.looks(job)
    assert (first.verdict, first.round, second.verdict, second.round) == (Verdict.REFUSED, 1, Verdict.PASSED, 2)
    assert {one.source for one in first.findings} == {Source.CHECK, Source.CLAIM}
    assert "test_between_includes_the_last_day" in first.findings[0].proof
    (claim,) = (one for one in first.claims if one.holds is False)
    assert claim.quote == "All tests pass."
    one, two = await bed.engine.store.read.attempts(job)
    assert (one.succeeded, one.failure, two.succeeded) == (False, Failure.GATE_REFUSED, True)
    assert two.resumes == one.session and two.session == one.session
    assert "test_between_includes_the_last_day" in bed.prompt(job, 2)
    assert (row.reason, row.tries) == ("gate g passed it in round 2", 1)  # its rounds use up no attempt
    kinds = [type(one.body) for one in await bed.engine.store.read.events(0, 200, job)]
    flow = [one for one in kinds if one in (log.Gated, log.GateChecked, log.SentBack, log.Succeeded)]
    assert flow == [log.Gated, log.GateChecked, log.SentBack, log.Gated, log.GateChecked, log.Succeeded]
    (line,) = (await bed.engine.scores.board()).lines
    assert (line.first and line.first.count, line.gated, line.succeeded.count) == (0, 1, 1)


async def test_what_does_not_converge_is_a_card_and_each_answer_can_be_taken_back(bed: Bed, project: Path) -> None:
    job = await bed.submit("stubborn", project=str(project))
    look = await bed.refused(job)
    assert (look.round, look.why) == (2, "the same findings again: it does not converge")
    engine = bed.engine
    (card,) = await engine.inbox.cards()
    assert (card.kind, card.job, card.choices[0]) == (CardKind.GATE, job, Choice.DONE)
    assert "ledger.py" in card.diff and CHECK in card.why
    waiting = (await engine.explain(job)).waiting
    assert [one.cause for one in waiting] == ["decision"]

    await engine.inbox.answer(card.id, Reply(choice=Choice.DONE), "me")
    row = await engine.row(job)
    assert (row.state, row.reason) == (State.SUCCEEDED, "me took it for done, though gate g refused it")
    assert (await bed.looks(job))[-1].verdict is Verdict.ACCEPTED
    (line,) = (await engine.scores.board()).lines
    assert (line.first and line.first.count, line.succeeded.count) == (0, 1)  # no check said so
    await engine.undo(None, "me", dry_run=False)
    assert (await bed.refused(job)).id == look.id

    await engine.inbox.answer(card.id, Reply(choice=Choice.STOP), "me")
    assert (await engine.row(job)).failure is Failure.GATE_REFUSED
    await engine.undo(None, "me", dry_run=False)
    await bed.refused(job)

    await engine.inbox.answer(card.id, Reply(choice=Choice.BACK, reason="look at the last day"), "me")
    again = await bed.refused(job)
    assert (again.round, again.attempt) == (3, 3)
    assert "look at the last day" in bed.prompt(job, 3)


async def test_who_asks_while_it_works_has_its_checks_run_once(bed: Bed, project: Path, tmp_path: Path) -> None:
    gate = tmp_path / "go"
    wait = {"do": "run", "command": f"while [ ! -e {gate} ]; do sleep 0.05; done"}
    fix = {"do": "edit", "path": "tally/ledger.py", "find": "entry.day < last", "replace": "entry.day <= last"}
    job = await bed.submit(bed.says("Done. All tests pass.", fix, wait), project=str(project))
    async with asyncio.timeout(PATIENCE):
        while not await _edited(bed, job):
            await asyncio.sleep(0.05)
    (tried,) = await bed.engine.store.read.attempts(job)
    look = await bed.engine.gates.run_now(tried.id, "I wrote docs/missing.md. All tests pass.")
    assert (look.verdict, look.claimed, [one.word for one in look.checks]) == (Verdict.REFUSED, True, ["ok"])
    assert [one.what for one in look.findings] == [
        "you said: 'I wrote docs/missing.md.'; that is not so",
    ]
    assert (await bed.engine.row(job)).state is State.RUNNING
    gate.touch()
    await bed.until(job, State.SUCCEEDED)
    claimed, decided = await bed.looks(job)
    assert (claimed.id, decided.reused, decided.verdict) == (look.id, True, Verdict.PASSED)
    assert decided.checks == claimed.checks
    with pytest.raises(RefusedError, match="does not run"):
        await bed.engine.gates.run_now(tried.id)


async def _edited(bed: Bed, job: int) -> bool:
    """Its edit is in its workspace."""
    attempts = await bed.engine.store.read.attempts(job)
    if not attempts or attempts[0].workspace is None:
        return False
    file = Path(attempts[0].workspace) / "tally/ledger.py"
    return file.is_file() and "<= last" in file.read_text()


GIVES_UP = {"checks": ["true"], "rounds": 1}


@pytest.mark.gate(g=GateSettings(checks=[CheckSettings(run="sleep 60 & sleep 60", timeout="300ms")], rounds=1))
async def test_a_check_that_hangs_does_not_pass(bed: Bed, repository: Path) -> None:
    job = await bed.submit(bed.says("Done.", {"do": "write", "path": "b.txt", "text": "b"}), project=str(repository))
    look = await bed.refused(job)
    assert [(one.word, one.late) for one in look.checks] == [("too slow", True)]


@pytest.mark.gate(g=GateSettings(**GIVES_UP))
async def test_an_empty_diff_does_not_pass(bed: Bed, repository: Path) -> None:
    job = await bed.submit(bed.says("Done. I created b.txt."), project=str(repository))
    look = await bed.refused(job)
    told = [one.what for one in look.findings]
    assert told == ["nothing was changed: the diff is empty", "you said: 'I created b.txt.'; that is not so"]


@pytest.mark.gate(g=GateSettings(checks=[CHECK], rounds=1))
async def test_deleting_the_failing_test_does_not_pass(bed: Bed, project: Path) -> None:
    found = '        found = self.ledger.between("2026-03-01", "2026-03-31")\n'
    wanted = '        self.assertEqual([entry.label for entry in found], ["rent", "salary", "groceries"])\n'
    test = f"    def test_between_includes_the_last_day(self):\n{found}{wanted}\n"
    cut = {"do": "edit", "path": "tests/test_ledger.py", "find": test, "replace": ""}
    job = await bed.submit(bed.says("Done. All tests pass.", cut), project=str(project))
    look = await bed.refused(job)
    assert [one.word for one in look.checks] == ["ok"]  # the check alone would have been fooled
    (finding,) = look.findings
    assert finding.what == "tests/test_ledger.py: 1 test was removed"
    assert finding.proof == "test_between_includes_the_last_day"


@pytest.mark.gate(g=GateSettings(**GIVES_UP))
async def test_a_claim_of_a_commit_is_held_against_git(bed: Bed, repository: Path) -> None:
    write = {"do": "write", "path": "b.txt", "text": "b"}
    job = await bed.submit(bed.says("I committed it and pushed it.", write), project=str(repository))
    look = await bed.refused(job)
    assert [(one.kind, one.holds) for one in look.claims] == [("commit", False), ("push", False)]
    assert "there is no commit" in look.claims[0].proof and look.claims[1].proof == "there is no remote"


async def test_only_who_has_a_gate_is_looked_at(home: Path, tmp_path: Path, repository: Path, project: Path) -> None:
    of_kind = GateSettings(checks=["true"], kinds=["code"])
    settings = settings_with(g=GateSettings(checks=["false"], rounds=1), k=of_kind)
    settings = Settings(
        grace=1.0,
        agents=settings.agents,
        gates=settings.gates,
        projects={"p": ProjectSettings(path=str(repository), gate="g")},
    )
    async with serving(home, settings) as engine:
        bed = Bed(engine, tmp_path)
        write = {"do": "write", "path": "b.txt", "text": "b"}
        by_project = await bed.submit(bed.says("Done.", write), None, project="p", kind="code")
        by_kind = await bed.submit(bed.says("Done.", write), None, project=str(project), kind="code")
        opted_out = await bed.submit(bed.says("Done.", write), NO_GATE, project="p")
        plain = await bed.submit(bed.says("Done."), None)
        assert (await bed.refused(by_project)).gate == "g"
        assert (await bed.over(by_kind)).reason == "gate k passed it in round 1"
        assert (await bed.over(opted_out)).state is State.SUCCEEDED and await bed.looks(opted_out) == []
        assert (await bed.over(plain)).state is State.SUCCEEDED and await bed.looks(plain) == []
        plan = (await engine.gates.of_job(by_kind)).plan
        assert plan.gate is not None and (plan.gate.name, plan.why) == ("k", "it is that of the kind 'code'")


@pytest.mark.gate(g=GateSettings(checks=["touch began; sleep 60"], evidence=ANYTHING))
async def test_a_cancel_while_it_is_looked_at_ends_the_checks(bed: Bed, repository: Path) -> None:
    job = await bed.submit(bed.says("Done."), project=str(repository))
    row = await bed.until(job, State.GATING)
    (tried,) = await bed.engine.store.read.attempts(job)
    async with asyncio.timeout(PATIENCE):
        while not (Path(tried.workspace or "") / "began").exists():
            await asyncio.sleep(0.05)
    told = (await bed.engine.explain(job)).waiting
    assert [one.text for one in told] == ["it is being checked: check 1 of 1 runs: touch began; sleep 60"]
    assert (row.state, (await bed.engine.status()).counts.running) == (State.GATING, 0)  # it holds no slot
    await bed.engine.act(Order(verb=Verb.CANCEL, jobs=[job]), "me")
    await bed.until(job, State.CANCELLED)
    async with asyncio.timeout(PATIENCE):
        while (await bed.looks(job))[-1].verdict is None or bed.engine.gates.busy:
            await asyncio.sleep(0.05)
    assert (await bed.looks(job))[-1].verdict is Verdict.STOPPED


@pytest.mark.gate(g=GateSettings(checks=["true"]))
async def test_a_hold_stops_it_before_its_gate_looks(bed: Bed, repository: Path, tmp_path: Path) -> None:
    go = tmp_path / "go"
    wait = {"do": "run", "command": f"while [ ! -e {go} ]; do sleep 0.05; done"}
    write = {"do": "write", "path": "b.txt", "text": "b"}
    job = await bed.submit(bed.says("Done.", write, wait), project=str(repository))
    await bed.until(job, State.RUNNING)
    await bed.engine.act(Order(verb=Verb.HOLD, jobs=[job]), "me")
    go.touch()
    await bed.until(job, State.GATING)
    (reason,) = (await bed.engine.explain(job)).waiting
    assert (reason.cause, reason.text) == ("held", "it is not looked at: held by me")
    assert [one.stage for one in await bed.looks(job)] == [Stage.CHECKING]
    await bed.engine.act(Order(verb=Verb.RELEASE, jobs=[job]), "me")
    assert (await bed.over(job)).state is State.SUCCEEDED


async def test_reviewers_have_a_slot_where_there_is_only_one(home: Path, tmp_path: Path, repository: Path) -> None:
    script = tmp_path / "reviewer.yaml"
    script.write_text(json.dumps({"about": "approves", "steps": [{"do": "say", "text": APPROVES}]}))
    settings = msgspec.structs.replace(
        settings_with(g=GateSettings(reviewers=[f"rehearsal:{script}"], judge=None)), max_running=1
    )
    async with serving(home, settings) as engine:
        bed = Bed(engine, tmp_path)
        job = await bed.submit(
            bed.says("Done.", {"do": "write", "path": "b.txt", "text": "b"}), project=str(repository)
        )
        assert (await bed.over(job)).state is State.SUCCEEDED
