"""Scenes of work on its way to a branch: a gate with its rounds, merge queues, pipelines."""

from __future__ import annotations

from engine.model import (
    Cause,
    CheckResult,
    Claim,
    ClaimKind,
    Conflict,
    DiffStat,
    Fact,
    Finding,
    GateCheck,
    GateLine,
    GateLook,
    GatePlan,
    Grade,
    JobGate,
    Merge,
    MergeState,
    Opinion,
    Pipeline,
    PipelineState,
    Reason,
    Review,
    Severity,
    Source,
    Stage,
    State,
    Step,
    StepKind,
    StepState,
    Verdict,
)
from tests.console import scenes
from tests.console.fake import FakeEngine
from tests.console.moment import MINUTE, NOW

GATE = GateLine(
    name="strict", kinds=["code"], projects=["core-engine"],
    checks=[GateCheck(command="make test", seconds=600), GateCheck(command="make lint", seconds=120),
            GateCheck(command="make docs", seconds=120)],
    evidence=["the diff is not empty", "no test is deleted, skipped or weakened"], reviewers=["1 of another family"],
    quorum=1, judge="claude:opus", rounds=3,
)  # fmt: skip
PLAN = GatePlan(job=4833, gate=GATE, why="its project core-engine has it", reviewers=["codex:gpt-6@team"])


def _seen(round: int, attempt: int, minutes: int, **rest: object) -> GateLook:
    fields: dict[str, object] = {
        "id": round, "job": 4833, "gate": "strict", "target": "claude:opus-5", "at": NOW - minutes * MINUTE,
        "folder": f"gate-{round}", "round": round, "attempt": attempt,
    } | rest  # fmt: skip
    return GateLook(**fields)  # type: ignore[arg-type]


def looks() -> list[GateLook]:
    """Refused by its checks, then by its reviewer; the third look runs."""
    checks = [
        CheckResult(command="make test", code=1, took_ms=41_200, file="check-1.txt", cut=9_000,
                    output="collected 41 items\nFAILED tests/parser/test_comments.py::test_nest\n1 failed, 40 passed"),
        CheckResult(command="make lint", code=0, took_ms=3_100, output="All checks passed!"),
        CheckResult(command="make docs", code=None, took_ms=0, problem="make: no such file"),
    ]  # fmt: skip
    refuted = Finding(source=Source.CLAIM, what="it said that the tests pass", proof="make test: exit 1", by="claims")
    failed = Finding(source=Source.CHECK, what="make test: exit 1", proof="1 failed, 40 passed", by="make test")
    weaker = Finding(
        source=Source.EVIDENCE, what="a test is skipped", file="tests/parser/test_comments.py", line=12,
        proof="+@pytest.mark.skip", by="tests",
    )  # fmt: skip
    first = _seen(
        1, 1, 31, stage=Stage.OVER, verdict=Verdict.REFUSED, by="checks", ended_at=NOW - 30 * MINUTE,
        why="a check failed, a test is skipped, and what was said is not so",
        diff=DiffStat(files=2, added=31, removed=9), checks=checks, findings=[failed, weaker, refuted],
        evidence=[Fact(name="changed", holds=True, told="2 files"), Fact(name="tests", holds=False, told="1 skipped")],
        claims=[Claim(kind=ClaimKind.TESTS, quote="All tests pass.", holds=False, proof="make test: exit 1"),
                Claim(kind=ClaimKind.PUSH, quote="I pushed the branch.", proof="no remote is known")],
    )  # fmt: skip
    blocker = Finding(
        source=Source.REVIEW, what="a comment after the last token is still lost", file="src/parser/tokens.py", line=42,
        severity=Severity.BLOCKER, proof="-        return self._strip(self._raw)", by="codex:gpt-6@team",
    )  # fmt: skip
    minor = Finding(source=Source.REVIEW, what="the name says nothing", severity=Severity.MINOR, by="codex:gpt-6@team")
    passing = [CheckResult(command=one.command, code=0, took_ms=40_000) for one in GATE.checks]
    review = Review(
        target="codex:gpt-6@team", job=4834, opinion=Opinion.REFUSE, why="it loses what it was to keep",
        findings=[blocker, minor], tokens=12_400, cost_micros=41_000, cost_grade=Grade.COMPUTED,
    )  # fmt: skip
    judge = Review(target="claude:opus", job=4835, opinion=Opinion.REFUSE, why="the first stands", findings=[blocker])
    second = _seen(
        2, 1, 14, stage=Stage.OVER, verdict=Verdict.REFUSED, by="claude:opus", ended_at=NOW - 9 * MINUTE,
        diff=DiffStat(files=2, added=40, removed=9), checks=passing, reviews=[review], judge=judge, findings=[blocker],
        evidence=[Fact(name="changed", holds=True, told="2 files"), Fact(name="tests", holds=True)],
    )  # fmt: skip
    return [first, second, _seen(3, 1, 1, stage=Stage.CHECKING)]


def runs(number: int) -> list[Reason]:
    """What the engine says while a check runs."""
    text = f"it is being checked: check {number} of 3 runs: {GATE.checks[number - 1].command}"
    return [Reason(Cause.GATE, text, "`headway gate 4833` shows it", jobs=[4833])]


def gated() -> FakeEngine:
    """J4833 is looked at for the third time."""
    engine = scenes.busy()
    engine.change(4833, state=State.GATING)
    engine.waiting[4833] = runs(2)
    engine.books.gates[4833] = JobGate(plan=PLAN, looks=looks())
    return engine


def _merge(id: int, job: int, state: MergeState, title: str, minutes: int, **rest: object) -> Merge:
    fields: dict[str, object] = {
        "by": "operator", "project": "/src/core-engine", "repository": "/src/core-engine/.git", "target": "main",
        "checks": ["make test", "make lint"],
    } | rest  # fmt: skip
    return Merge(id=id, job=job, state=state, title=title, at=NOW - minutes * MINUTE, **fields)  # type: ignore[arg-type]


HUNKS = """\
<<<<<<< main
flags = parse(argv)
=======
options = parse(argv)
>>>>>>> J4805
"""


def lay_journeys(engine: FakeEngine) -> None:
    """Two merge queues and three pipelines."""
    passed = CheckResult(command="make test", code=0, took_ms=41_000)
    failed = CheckResult(command="make lint", code=1, took_ms=2_000, output="cli.py:3: unused import\nFound 1 error.")
    engine.books.merges = [
        _merge(7, 4701, MergeState.QUEUED, "fix login page retry", 2, ahead=1),
        _merge(6, 4806, MergeState.QUEUED, "port the diff review docs", 4, ahead=0),
        _merge(5, 4805, MergeState.STUCK, "rename the flags", 9, card=21, why="cli.py is changed on both sides",
               conflicts=[Conflict("src/cli.py", "content", HUNKS)]),
        _merge(4, 4704, MergeState.CHECKING, "token limit in the stream parser", 11, results=[passed],
               source="1f" * 20, onto="2e" * 20, candidate="3d" * 20),
        _merge(3, 4703, MergeState.RETURNING, "index by day", 20, project="/src/billing", repository="/billing.git",
               target="release", results=[passed, failed], why="make lint fails on top of release"),
        _merge(2, 4702, MergeState.MERGED, "migrate the cache schema", 61, results=[passed, passed],
               ended_at=NOW - 55 * MINUTE),
        _merge(1, 4700, MergeState.DROPPED, "a first try", 90, why="operator took it out of the queue",
               ended_at=NOW - 80 * MINUTE),
    ]  # fmt: skip

    def step(name: str, state: StepState, kind: StepKind = StepKind.JOB, *jobs: int, **rest: object) -> Step:
        began = None if state is StepState.WAITING else NOW - 8 * MINUTE
        return Step(name=name, kind=kind, state=state, jobs=list(jobs), began_at=began, **rest)  # type: ignore[arg-type]

    def begun(id: int, title: str, state: PipelineState, minutes: int, *steps: Step, **rest: object) -> Pipeline:
        return Pipeline(
            id=id, at=NOW - minutes * MINUTE, by="operator", name="code", title=title, state=state, what=title,
            project="/src/core-engine", batch=id, steps=list(steps), **rest,
        )  # type: ignore[arg-type]  # fmt: skip

    done, waits = StepState.DONE, StepState.WAITING
    engine.books.pipelines = [
        begun(3, "add --json to the list command", PipelineState.RUNNING, 9,
              step("plan", done, StepKind.JOB, 4830, result="Two files.", round=1, ended_at=NOW - 7 * MINUTE),
              step("approve", StepState.ASKING, StepKind.APPROVE, card=22, why="plan of pipeline 3: go on with it?"),
              step("write", waits), step("check", waits, StepKind.CHECK), step("merge", waits, StepKind.MERGE)),
        begun(2, "backpressure in the stream", PipelineState.RUNNING, 41,
              step("write", StepState.RUNNING, StepKind.JOB, 4831, 4832, round=2),
              step("review", waits, StepKind.REVIEW, findings="the queue has no bound", round=1),
              inputs={"writer": "claude:opus"}),
        begun(1, "a page on diffs", PipelineState.FAILED, 130, step("write", StepState.FAILED, StepKind.JOB, 4812,
              why="exit 139: signal 11"), why="write: exit 139: signal 11", ended_at=NOW - 124 * MINUTE),
    ]  # fmt: skip
