"""The jobs of a step: prompt, target, and where it works."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from engine import orders
from engine.agents.base import Agent
from engine.clock import now_ms
from engine.config import EvidenceSettings, Settings
from engine.dispatch.routebook import Routebook
from engine.documents import nearest
from engine.errors import RefusedError, UsageError
from engine.gate import looking, reviewing
from engine.merge import back, change, landing
from engine.merge.keeping import name_of, ref_of
from engine.merge.landing import Branch
from engine.model import NO_GATE, JobSpec, Pipeline, PipelineState, Step, StepKind, Workspace
from engine.pipelines import prompting, reviews
from engine.pipelines.spec import PipelineSpec, Place, StepSpec
from engine.runner.git import git
from engine.runner.run_dir import run_dir
from engine.runner.workspace import Workspaces, top_of
from engine.store import Store
from engine.store.pipelines import Plan
from engine.store.rows import AttemptRow
from engine.store.submit import OWN, Accepted
from engine.submission import accept

KIND_CHARS = 100


@dataclass(frozen=True, slots=True)
class At:
    """A pipeline as it stands, and as it was declared."""

    pipeline: Pipeline
    plan: Plan
    spec: PipelineSpec

    def step(self, name: str) -> Step:
        return next(one for one in self.pipeline.steps if one.name == name)

    def owner(self) -> int | None:
        """The job whose worktree is the pipeline's: the first that worked in it."""
        found = [one.jobs[0] for one in self.pipeline.steps if one.jobs and self.spec.step(one.name).shares]
        return min(found, default=None)


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes the jobs of steps."""

    home: Path
    store: Store
    settings: Settings
    agents: Mapping[str, Agent]
    book: Routebook
    workspaces: Workspaces

    async def jobs(self, at: At, step: StepSpec) -> list[Accepted]:
        """Those of a step that begins: one, or one for each reviewer. Raises `UsageError` or `RefusedError`."""
        owner = at.owner()
        base = at.plan.base
        if step.place is Place.COPY and owner is not None and at.pipeline.project is not None:
            base = await self._to_read(at) if step.kind is not StepKind.JOB else await self.source(at)
        prompt = await self.prompt(at, step)
        specs = [self._spec(at, step, prompt, on, base) for on in self._targets(at, step)]
        accepted = accept(specs, self.settings, self.agents.keys(), now_ms(), self.book)
        within = None if not step.shares else OWN if owner is None else owner
        return [dataclasses.replace(one, within=within) for one in accepted]

    def foreseen(
        self, name: str, plan: Plan, spec: PipelineSpec, project: str | None, steps: Sequence[str]
    ) -> list[JobSpec]:
        """About what the jobs of some steps will be, before their prompts can be known."""
        pipeline = Pipeline(
            id=0, at=0, by="", name=name, title=plan.what[:80], state=PipelineState.RUNNING, project=project
        )
        at = At(pipeline, plan, spec)
        found = []
        for one in steps:
            step = spec.step(one)
            if step.kind in (StepKind.JOB, StepKind.REVIEW, StepKind.JUDGE):
                text = step.prompt or step.name
                found += [self._spec(at, step, text, on, plan.base) for on in self._targets(at, step)]
        return found

    def _targets(self, at: At, step: StepSpec) -> list[str]:
        texts = step.reviewers or [step.target or ""]
        return [prompting.filled(one, at.plan.inputs).strip() for one in texts]

    def _spec(self, at: At, step: StepSpec, prompt: str, on: str, base: str | None) -> JobSpec:
        project = at.pipeline.project if step.place is not Place.NONE else None
        spec = JobSpec(
            prompt=prompt,
            title=f"{step.name}: {at.pipeline.title}",
            project=project,
            base=base if project is not None else None,
            workspace=Workspace.WORKTREE if project is not None else None,
            kind=f"{at.pipeline.name}/{step.name}"[:KIND_CHARS],
            tags=at.plan.tags,
            route=step.route,
            skills=step.skills,
            permission=step.permission,
            timeout=step.timeout,
            stall=step.stall,
            budget=step.budget,
            max_attempts=step.max_attempts,
            repeatable=step.repeatable,
            gate=step.gate if step.gate is not None or step.shares else NO_GATE,
        )
        if at.plan.priority is not None:
            spec = replace(spec, priority=at.plan.priority)
        if on:
            target = orders.target(on, self.settings, self.agents.keys())
            spec = replace(spec, agent=target.agent, model=target.model, account=target.account)
        agent = self.agents.get(spec.agent or self.settings.default_agent)
        if step.kind is not StepKind.JOB and agent is not None and agent.answers:
            spec = replace(spec, schema=reviewing.SCHEMA)
        return spec

    async def prompt(self, at: At, step: StepSpec) -> str:
        """A step's text with all that is known by now in its places."""
        text = step.prompt or _PROMPTS[step.kind]
        values = {"what": at.plan.what, "project": at.pipeline.project or "", **at.plan.inputs}
        for name in at.spec.before(step.name):
            done = at.step(name)
            values[f"steps.{name}"] = prompting.material(f"said-by-{name}", done.result) if done.result else ""
            values[f"steps.{name}.words"] = done.findings if done.kind is StepKind.APPROVE else ""
        if "change" in prompting.names_in(text):
            values["change"] = prompting.material("change", await self.change(at), prompting.CHANGE_CHARS)
        filled = prompting.filled(text, values)
        return filled if step.kind is StepKind.JOB else f"{filled.rstrip()}\n\n{reviews.ASKED}"

    # ---- the pipeline's worktree

    async def worked(self, at: At) -> AttemptRow | None:
        """The newest attempt in the pipeline's worktree, by which that is found."""
        owner = at.owner()
        if owner is None:
            return None
        tried = [one for one in await self.store.read.attempts(owner) if one.workspace is not None]
        return tried[-1] if tried else None

    async def directory(self, at: At) -> Path | None:
        """Where the steps that share it work."""
        tried = await self.worked(at)
        return Path(tried.workspace) if tried is not None and tried.workspace is not None else None

    async def source(self, at: At) -> str | None:
        """A commit of what stands in the pipeline's worktree, kept by a ref; its beginning where there is none."""
        tried = await self.worked(at)
        root = await back.worktree([Path(tried.workspace)]) if tried is not None and tried.workspace else None
        if tried is None or root is None:
            return at.plan.base
        run = run_dir(self.home, tried.job, tried.number)
        commit = await change.work_of(root, run, at.pipeline.title)
        await git(root, "update-ref", ref_of(self.home, "pipelines", at.pipeline.id), commit)
        return commit

    async def _to_read(self, at: At) -> str | None:
        """The same for who is to judge it: what agents take for instructions is in it as it was before the work."""
        tried = await self.worked(at)
        if tried is None:
            return at.plan.base
        folder = run_dir(self.home, tried.job, tried.number).path / "read"
        found = await looking.look(self.workspaces, tried, folder, EvidenceSettings())
        if not found.tree:
            raise RefusedError(found.seen.problem or "what was done cannot be read")
        return await looking.commit_of(found, read_name(self.home, at.pipeline.id), folder)

    async def change(self, at: At) -> str:
        """What the pipeline changed; for one that only reads, what its beginning has that the branch has not."""
        if at.pipeline.project is None or at.plan.base is None:
            return ""
        repository, source, base = Path(at.pipeline.project), await self.source(at), at.plan.base
        if source == base:
            base = await self._fork(at, repository, base)
        diff = ("diff", "--no-color", "--no-ext-diff", "--no-textconv", "-M", base, source or base)
        return (await git(repository, *diff)).encode(errors="replace").decode()

    async def _fork(self, at: At, repository: Path, base: str) -> str:
        top = await top_of(repository) or repository
        named = (one.branch for one in self.settings.projects.values() if one.directory == at.pipeline.project)
        target = next(named, None) or await landing.standing_on(top)
        return await git(top, "merge-base", await Branch(top, target).tip(), base)


def read_name(home: Path, pipeline: int) -> str:
    """The name by which git keeps what the reviewers of a pipeline read."""
    return f"pipeline-{name_of(home)}-{pipeline}"


def values_missing(spec: PipelineSpec, inputs: Mapping[str, str]) -> dict[str, str]:
    """The inputs with their defaults. Raises `UsageError` for one that is missing, or that nobody asks for."""
    for name in inputs:
        if name not in spec.inputs:
            hint = nearest(name, spec.inputs) if spec.inputs else "it has none"
            raise UsageError(f"input: there is no input {name!r}; {hint}")
    found = {name: inputs.get(name, one.default) for name, one in spec.inputs.items()}
    if missing := [name for name, value in found.items() if value is None]:
        raise UsageError(f"input: {missing[0]} has to be given: --input {missing[0]}=VALUE")
    return {name: value for name, value in found.items() if value is not None}


_PROMPTS = {
    StepKind.REVIEW: (
        "Review a change for what was asked for. Does it do that, is it right, does it do more than that, can it be "
        "read and kept? What was asked for:\n\n{{ what }}\n\n{{ change }}"
    ),
    StepKind.JUDGE: "Others have reviewed a change. Decide. What was asked for:\n\n{{ what }}\n\n{{ change }}",
}
