"""One pipeline, brought on by what its steps have come to. How far it is stands in the database alone.

Each step is begun, looked at, and ended in single transactions that find it as it was read: whatever ends this engine,
the next one goes on from there, and nothing is begun twice. Checks whose end was not written run again, with what was
left of them ended first.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from engine.config import ProjectSettings, Settings
from engine.decision import Choice
from engine.errors import HeadwayError, RefusedError, UsageError
from engine.gate import looking, reviewing
from engine.gate.checks import Check, run_checks
from engine.gate.checks import Place as Bench
from engine.gate.material import cut
from engine.last_words import last_words
from engine.merge import keeping
from engine.merges import Merges
from engine.model import (
    STEP_OVER,
    CheckResult,
    JobSpec,
    MergeState,
    Pipeline,
    PipelineState,
    Preview,
    Review,
    State,
    Step,
    StepKind,
    StepState,
)
from engine.pipelines import asking, prompting, reviews
from engine.pipelines.cards import back_to
from engine.pipelines.making import At, Maker, read_name
from engine.pipelines.spec import PipelineSpec, StepSpec
from engine.redact import Secrets
from engine.runner.environment import environment
from engine.runner.git import GitError, git
from engine.runner.run_dir import run_dir
from engine.store import Store, Transaction, pipeline_acts, pipelines
from engine.store.cards import Due
from engine.store.rows import JobRow
from engine.store.submit import Submission, admit
from engine.units import milliseconds

SHELL = "shell"  #: the agent whose environment checks get: they are commands too
OUTPUT_CHARS = 6_000  #: of what a check printed, in findings: its end; the run directory has more
CHECK_MS = 600_000
FIRST_CHARS = 200

Foresee = Callable[[list[JobSpec]], Awaitable[Preview | None]]
"""What jobs that might be submitted are expected to take; None where that cannot be told."""


@dataclass(frozen=True, slots=True)
class Work:
    """Brings pipelines on."""

    home: Path
    store: Store
    settings: Settings
    secrets: Secrets
    maker: Maker
    merges: Merges
    foresee: Foresee
    wake: Callable[[], None]

    async def look(self, number: int) -> At | None:
        def read(tx: Transaction) -> At | None:
            found = pipelines.one(tx, number)
            if found is None:
                return None
            plan = pipelines.plan_of(tx, number)
            return At(found, plan, msgspec.json.decode(plan.spec, type=PipelineSpec))

        return await self.store.look(read)

    async def step(self, at: At) -> bool:
        """One move of a pipeline; False where it has to wait, or is over."""
        pipeline = at.pipeline
        if pipeline.state is not PipelineState.RUNNING or pipeline.held_by is not None:
            return False
        for step in pipeline.steps:
            if step.state is StepState.FAILED:
                why = f"{step.name}: {step.why}"
                return await self._end(pipeline, PipelineState.FAILED, why)
        if all(step.state in STEP_OVER for step in pipeline.steps):
            await self._let_go(pipeline)
            return await self._end(pipeline, PipelineState.SUCCEEDED, "")
        for step in pipeline.steps:
            if step.state is StepState.RUNNING and await self._attend(at, step):
                return True
        for step in pipeline.steps:
            over = all(at.step(name).state in STEP_OVER for name in step.after)
            if step.state is StepState.WAITING and over and await self._begin(at, step):
                return True
        return False

    async def _begin(self, at: At, step: Step) -> bool:
        own = at.spec.step(step.name)
        try:
            match own.kind:
                case StepKind.APPROVE:
                    return await self._approve(at, step, own)
                case StepKind.MERGE:
                    return await self._merge(at, step, own)
                case StepKind.CHECK:
                    return await self._move(at, step, StepState.RUNNING, round=step.round + 1)
                case _:
                    return await self._start(at, step, own)
        except (UsageError, RefusedError, GitError) as error:
            return await self._move(at, step, StepState.FAILED, why=error.message)

    async def _attend(self, at: At, step: Step) -> bool:
        own = at.spec.step(step.name)
        try:
            match own.kind:
                case StepKind.CHECK:
                    return await self._check(at, step, own)
                case StepKind.MERGE:
                    return await self._merged(at, step)
                case StepKind.JOB:
                    return await self._ended(at, step)
                case _:
                    return await self._reviewed(at, step, own)
        except (UsageError, RefusedError, GitError) as error:
            return await self._move(at, step, StepState.FAILED, why=error.message)

    # ---- jobs

    async def _start(self, at: At, step: Step, own: StepSpec) -> bool:
        accepted = await self.maker.jobs(at, own)

        def submit(tx: Transaction) -> bool:
            if not pipeline_acts.stands(tx, at.pipeline):
                return False
            jobs = admit(tx, Submission(accepted, into=at.pipeline.batch)).ids
            number = step.round + 1
            return pipelines.move_step(tx, at.pipeline.id, step, StepState.RUNNING, round=number, jobs=jobs)

        done = await self.store.write(submit)
        self.wake()
        return done

    async def _ended(self, at: At, step: Step) -> bool:
        rows = await self.store.read.rows(step.jobs)
        if not rows or rows[0].ended_at is None:
            return False if rows else await self._move(at, step, StepState.FAILED, why="its job was pruned")
        if why := _lost(rows):
            return await self._move(at, step, StepState.FAILED, why=why)
        said = self.secrets.out_of(await last_words(self.store, self.home, rows[0].id))
        return await self._move(at, step, StepState.DONE, result=cut(said.strip(), prompting.SAID_CHARS))

    # ---- the operator's word

    async def _approve(self, at: At, step: Step, own: StepSpec) -> bool:
        of = at.step(at.spec.of_of(own) or "")
        plan, project = at.plan, at.pipeline.project
        specs = self.maker.foreseen(at.pipeline.name, plan, at.spec, project, at.spec.behind(own.name))
        preview = await self.foresee(specs)
        if why := asking.small(own.small, asking.size_of(of.result), preview):
            return await self._move(at, step, StepState.SKIPPED, why=why)
        card = asking.approval(at, own, of, preview)
        due = Due(None, Choice.CANCEL)
        fields = {"round": step.round + 1}
        return await self.store.write(
            lambda tx: pipeline_acts.ask(tx, at.pipeline, step, of.jobs[-1], card, due, **fields)
        )

    # ---- checks

    async def _check(self, at: At, step: Step, own: StepSpec) -> bool:
        commands = self._commands(at, own)
        if not commands:
            why = "no check is declared: checks: of the step, or merge: checks: of the project"
            return await self._move(at, step, StepState.SKIPPED, why=why)
        directory = await self.maker.directory(at)
        if directory is None:
            return await self._move(at, step, StepState.FAILED, why="there is no worktree to run them in")
        results = await self._run_checks(at, own, commands, directory)
        told = "\n".join(f"{one.word}: {one.command}" for one in results)
        failed = [one for one in results if not one.passed]
        if not failed:
            return await self._move(at, step, StepState.DONE, result=told, findings="")
        findings = "\n\n".join(f"`{one.command}` failed ({one.word}):\n{one.output[-OUTPUT_CHARS:]}" for one in failed)
        return await self._send_back(at, step, own, findings, f"`{failed[0].command}` fails: {failed[0].word}")

    def _commands(self, at: At, own: StepSpec) -> list[str]:
        told = [prompting.filled(one, at.plan.inputs) for one in own.checks or ()]
        if filled := [one for one in told if one.strip()]:
            return filled
        return self._project(at.pipeline.project).merge.checks

    async def _run_checks(self, at: At, own: StepSpec, commands: list[str], directory: Path) -> list[CheckResult]:
        name = f"{self.home.as_uri()}/pipelines/{at.pipeline.id}/{own.name}"
        marker = uuid.uuid5(uuid.NAMESPACE_URL, name).hex
        owner = at.owner() or 0
        given = environment(os.environ, (), {}, self.settings.agent(SHELL), owner, marker)
        tried = await self.maker.worked(at)
        number = at.step(own.name).round
        folder = None
        if tried is not None:
            folder = run_dir(self.home, tried.job, tried.number).path / f"{own.name}-{number}"
        span = own.timeout if own.timeout is not None else self._project(at.pipeline.project).merge.timeout
        checks = [Check(command, milliseconds(span) / 1000) for command in commands]
        results = await run_checks(checks, Bench(directory, given, marker, folder))
        return [msgspec.structs.replace(one, output=self.secrets.out_of(one.output)) for one in results]

    # ---- reviews

    async def _reviewed(self, at: At, step: Step, own: StepSpec) -> bool:
        rows = await self.store.read.rows(step.jobs)
        if any(row.ended_at is None for row in rows):
            return False
        found = [await self._review(row) for row in rows]
        told, approving = reviews.told(found), reviews.approving(found)
        if approving >= (own.quorum or len(step.jobs)) or (own.kind is StepKind.REVIEW and not at.spec.decides(own)):
            return await self._move(at, step, StepState.DONE, result=told, findings="")
        why = f"{approving} of {len(step.jobs)} approve"
        if at.spec.back_of(own) is None:
            return await self._move(at, step, StepState.DONE, result=told, findings=told, why=why)
        if not reviews.any_read(found):
            return await self._ask(at, step, own, told, "no verdict can be read")
        return await self._send_back(at, step, own, told, why)

    async def _review(self, row: JobRow) -> Review:
        who = str(row.target)  # without its number: the next round's findings are held against this one's
        if row.state is not State.SUCCEEDED:
            return reviewing.failed(who, f"it {row.state}: {row.reason or ''}".rstrip(": "))
        attempts = await self.store.read.attempts(row.id)
        edited = attempts[-1].diff_files or 0 if attempts else 0
        return reviews.review(who, self.secrets.out_of(await last_words(self.store, self.home, row.id)), edited)

    # ---- back to who can mend it

    async def _send_back(self, at: At, step: Step, own: StepSpec, findings: str, why: str) -> bool:
        if findings == step.findings:
            return await self._ask(at, step, own, findings, f"{why}, as it was before: it does not get better")
        if step.round > own.rounds:
            times = "once" if own.rounds == 1 else f"{own.rounds} times"
            return await self._ask(
                at, step, own, findings, f"{why}, though it was sent back {times}" if own.rounds else why
            )

        def send(tx: Transaction) -> str:
            back = back_to(tx, at.pipeline, step, f"{step.name} found:\n\n{findings}", self._converse)
            if isinstance(back, str):
                return back
            return pipeline_acts.send_back(tx, at.pipeline, step, back, findings, "headway")

        if obstacle := await self.store.write(send):
            return await self._ask(at, step, own, findings, f"{why}; {obstacle}")
        self.wake()
        return True

    async def _ask(self, at: At, step: Step, own: StepSpec, findings: str, why: str) -> bool:
        target = at.spec.back_of(own)
        jobs = at.step(target).jobs if target is not None else []
        job = (jobs or step.jobs or [one.jobs[-1] for one in at.pipeline.steps if one.jobs])[-1]
        card, due = asking.trouble(at, own, findings, why), Due(None, Choice.STOP)
        return await self.store.write(
            lambda tx: pipeline_acts.ask(tx, at.pipeline, step, job, card, due, findings=findings)
        )

    @property
    def _converse(self) -> frozenset[str]:
        return frozenset(name for name, one in self.maker.agents.items() if one.resumable or one.converses)

    # ---- to the branch

    async def _merge(self, at: At, step: Step, own: StepSpec) -> bool:
        last = at.spec.last_job(own.name, shared=True)
        assert last is not None, "a file without one is refused"
        job = at.step(last).jobs[-1]
        into = prompting.filled(own.into or "", at.plan.inputs).strip() or None
        checks = self._commands(at, own)
        span = None if own.timeout is None else milliseconds(own.timeout)
        new = replace(await self.merges.new(job, into, checks, span), title=at.pipeline.title)

        def queue(tx: Transaction) -> bool:
            if not pipeline_acts.stands(tx, at.pipeline):
                return False
            merge = self.merges.add(tx, new, f"pipeline {at.pipeline.id}")
            number = step.round + 1
            return pipelines.move_step(tx, at.pipeline.id, step, StepState.RUNNING, round=number, merge=merge.id)

        return await self.store.write(queue)

    async def _merged(self, at: At, step: Step) -> bool:
        merge = await self.merges.merge(step.merge or 0)
        match merge.state:
            case MergeState.MERGED:
                said = merge.why or f"{(merge.candidate or '')[:12]} on {merge.target}"
                return await self._move(at, step, StepState.DONE, result=said)
            case MergeState.LEFT:
                return await self._move(
                    at, step, StepState.DONE, why="it is left to you", result="left to the operator"
                )
            case MergeState.DROPPED:
                return await self._move(at, step, StepState.FAILED, why=merge.why or "its merge was dropped")
            case _:
                return False

    # ---- shared

    def _project(self, directory: str | None) -> ProjectSettings:
        found = (one for one in self.settings.projects.values() if one.directory == directory)
        return next(found, ProjectSettings(path=directory or "/"))

    async def _move(self, at: At, step: Step, to: StepState, why: str = "", **fields: Any) -> bool:
        def move(tx: Transaction) -> bool:
            if not pipeline_acts.stands(tx, at.pipeline):
                return False
            return pipelines.move_step(tx, at.pipeline.id, step, to, why=self.secrets.out_of(why), **fields)

        return await self.store.write(move)

    async def _let_go(self, pipeline: Pipeline) -> None:
        """What its steps read is not kept any more. That it cannot be let go changes nothing."""
        if pipeline.project is not None:
            with suppress(HeadwayError):
                await keeping.let_go(Path(pipeline.project), self.home, "pipelines", [pipeline.id])
                name = looking.ref(read_name(self.home, pipeline.id))
                await git(Path(pipeline.project), "update-ref", "-d", name)

    async def _end(self, pipeline: Pipeline, to: PipelineState, why: str) -> bool:
        def end(tx: Transaction) -> bool:
            if not pipeline_acts.stands(tx, pipeline):
                return False
            pipelines.move(tx, pipeline, to, why=why[:FIRST_CHARS])
            return True

        return await self.store.write(end)


def _lost(rows: list[JobRow]) -> str:
    """Why the job of a step did not end well; nothing where it did."""
    row = rows[0]
    if row.state is State.SUCCEEDED:
        return ""
    return f"J{row.id} {row.state}" + (f": {row.reason}" if row.reason else "")
