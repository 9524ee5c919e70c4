"""Merges and pipelines as rows and as texts: what waits in each queue, how far each is, what keeps it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from console import merging, pipelines
from console.fields import Field
from console.format import age, clean_line, clean_lines, job_name, moment, plural, span
from console.roles import Part, Role
from console.telling import fact, heading
from console.transcript import Entry
from engine.model import (
    MERGE_ENDED,
    STEP_OVER,
    Conflict,
    Merge,
    MergeState,
    Pipeline,
    PipelineState,
    Step,
    StepKind,
    StepState,
)

#: A sign that needs no colour, and what it is.
_MERGES: dict[MergeState, Part] = {
    MergeState.QUEUED: ("◌", Role.IDLE),
    MergeState.CHECKING: ("▸", Role.RUN),
    MergeState.LANDING: ("▸", Role.RUN),
    MergeState.STUCK: ("!", Role.YOU),
    MergeState.RETURNING: ("↻", Role.RUN),
    MergeState.MERGED: ("✓", Role.DONE),
    MergeState.DROPPED: ("⊘", Role.OVER),
    MergeState.LEFT: ("=", Role.HELD),
}
_PIPELINES: dict[PipelineState, Part] = {
    PipelineState.RUNNING: ("▸", Role.RUN),
    PipelineState.SUCCEEDED: ("✓", Role.DONE),
    PipelineState.FAILED: ("✗", Role.FAILED),
    PipelineState.CANCELLED: ("⊘", Role.OVER),
}
_STEPS: dict[StepState, Part] = {
    StepState.WAITING: ("◌", Role.IDLE),
    StepState.RUNNING: ("▸", Role.RUN),
    StepState.ASKING: ("!", Role.YOU),
    StepState.DONE: ("✓", Role.DONE),
    StepState.SKIPPED: ("·", Role.OVER),
    StepState.FAILED: ("✗", Role.FAILED),
}

_OUTPUT_LINES = 20  #: of what a check printed
_HUNK_ROLES = {"<": Role.REMOVED, ">": Role.ADDED, "=": Role.ACCENT, "|": Role.ACCENT}


@dataclass(frozen=True, slots=True)
class Underway:
    """A merge, or a pipeline: with its steps while it runs."""

    what: Merge | Pipeline

    @property
    def merge(self) -> Merge | None:
        return self.what if isinstance(self.what, Merge) else None

    @property
    def pipeline(self) -> Pipeline | None:
        return self.what if isinstance(self.what, Pipeline) else None

    @property
    def id(self) -> tuple[str, int]:
        return ("merge" if isinstance(self.what, Merge) else "pipeline"), self.what.id

    @property
    def name(self) -> str:
        return f"{self.id[0]} {self.id[1]}"

    @property
    def over(self) -> bool:
        if isinstance(self.what, Merge):
            return self.what.state in MERGE_ENDED
        return self.what.state is not PipelineState.RUNNING

    @property
    def step(self) -> Step | None:
        """The step that a pipeline is at: one that asks before one that runs, and the one that failed."""
        found = {step.state: step for step in reversed(self.pipeline.steps)} if self.pipeline is not None else {}
        return found.get(StepState.ASKING) or found.get(StepState.RUNNING) or found.get(StepState.FAILED)

    @property
    def job(self) -> int | None:
        """The job that it is about: of a pipeline the newest of the step that it is at, else of all."""
        if isinstance(self.what, Merge):
            return self.what.job
        steps = [self.step] if self.step is not None and self.step.jobs else self.what.steps
        return max((job for step in steps if step is not None for job in step.jobs), default=None)

    @property
    def card(self) -> int | None:
        """The card that it waits for."""
        if isinstance(self.what, Merge):
            return self.what.card if self.what.state is MergeState.STUCK else None
        return self.step.card if self.step is not None and self.step.state is StepState.ASKING else None


def rows_of(merges: Sequence[Merge], begun: Sequence[Pipeline]) -> list[Underway]:
    """What is on its way, queue by queue as it waits there, then pipelines; below it what is over, the newest first."""
    rows = [*map(Underway, merges), *map(Underway, begun)]
    waiting = [row for row in rows if not row.over]
    over = [row for row in rows if row.over]
    return [*sorted(waiting, key=_turn), *sorted(over, key=lambda row: -(row.what.ended_at or row.what.at))]


def _turn(row: Underway) -> tuple[int, str, str, int, int]:
    """Pipelines by their age; merges by queue, what is being merged first, what is stuck last."""
    if isinstance(row.what, Pipeline):
        return 1, "", "", 0, row.what.id
    merge = row.what
    rank = {MergeState.QUEUED: 1, MergeState.RETURNING: 2, MergeState.STUCK: 3}.get(merge.state, 0)
    ahead = merge.ahead if merge.ahead is not None else -1
    return 0, merge.repository, merge.target, rank, ahead * 1_000_000 + merge.id


def sign(row: Underway, now: int) -> Part:
    if isinstance(row.what, Merge):
        return _MERGES[row.what.state]
    if row.card is not None:
        return "!", Role.YOU
    if row.what.held_by is not None and not row.over:
        return "=", Role.HELD
    return _PIPELINES[row.what.state]


def state_text(row: Underway) -> str:
    """`queued, 2 before it`, `stuck, card 5`, `review runs`, `approve asks`."""
    if isinstance(row.what, Merge):
        return merging.stands(row.what)
    step = row.step
    if row.over or row.what.held_by is not None or step is None:
        return pipelines.stands(row.what)
    return f"{step.name} asks, card {step.card}" if row.card is not None else f"{step.name} runs"


def _done(row: Underway) -> str:
    """How much of it is through."""
    if isinstance(row.what, Merge):
        passed, most = sum(one.passed for one in row.what.results), max(len(row.what.checks), len(row.what.results))
        if not row.what.results:
            return "-" if row.over or not most else merging.checks_text(row.what)
        return f"{passed} of {most} passed"
    steps = row.what.steps
    return f"{sum(step.state in STEP_OVER for step in steps)} of {plural(len(steps), 'step')}" if steps else "-"


def _place(row: Underway) -> str:
    project = row.what.project
    return PurePath(project).name if project else "-"


def _role(row: Underway, now: int) -> Role:
    return sign(row, now)[1]


FIELDS: tuple[Field[Underway], ...] = (
    Field("WHAT", 11, lambda row, now: row.name, key=lambda row: row.id, role=Role.ACCENT),
    Field("STATE", 22, lambda row, now: state_text(row), role=_role),
    Field("JOB", 7, lambda row, now: job_name(row.job) if row.job is not None else "-", key=lambda row: row.job),
    Field("INTO", 12, lambda row, now: row.merge.target if row.merge else "-", drop=2),
    Field("PROJECT", 14, lambda row, now: _place(row), drop=3),
    Field("DONE", 15, lambda row, now: _done(row), drop=1),
    Field("AGE", 6, lambda row, now: age(now - row.what.at, 5), key=lambda row: -row.what.at, to_right=True),
    Field("TITLE", 0, lambda row, now: f"{row.pipeline.name}: {row.what.title}" if row.pipeline else row.what.title,
          role=Role.TEXT),
)  # fmt: skip


def queue_lines(rows: Sequence[Underway]) -> list[list[Part]]:
    """A line for each merge queue in which something waits: how many, what is being merged, what is stuck."""
    queues: dict[tuple[str, str], list[Merge]] = {}
    for row in rows:
        if row.merge is not None and not row.over:
            queues.setdefault((row.merge.project, row.merge.target), []).append(row.merge)
    return [_queue(PurePath(project).name, target, there) for (project, target), there in sorted(queues.items())]


def _queue(project: str, target: str, there: Sequence[Merge]) -> list[Part]:
    counts = {state: sum(one.state is state for one in there) for state in MergeState}
    now = next((one for one in there if one.state in (MergeState.CHECKING, MergeState.LANDING)), None)
    parts: list[Part] = [(f" {clean_line(project)} › {clean_line(target)}", Role.TEXT)]
    parts.append((f"   {counts[MergeState.QUEUED]} queued", Role.MUTED))
    if now is not None:
        parts.append((f"   {job_name(now.job)} {now.state}", Role.RUN))
    if back := counts[MergeState.RETURNING]:
        parts.append((f"   {back} with its writer", Role.RUN))
    if stuck := counts[MergeState.STUCK]:
        parts.append((f"   {stuck} stuck", Role.YOU))
    return parts


def why_line(row: Underway) -> str:
    """What is to be said of it in one line."""
    if row.what.why:
        return row.what.why
    if isinstance(row.what, Merge):
        return merging.checks_text(row.what) if row.what.checks else "no checks"
    step = row.step
    return f"{step.name}: {step.why}" if step is not None and step.why else row.what.what


def told(row: Underway, now: int) -> list[Entry]:
    """Everything on it."""
    return _merge(row.what, now) if isinstance(row.what, Merge) else _pipeline(row, now)


def _merge(one: Merge, now: int) -> list[Entry]:
    entries = [
        Entry(((f"merge {one.id}", Role.HEADING), (f"   {job_name(one.job)} {clean_line(one.title)}", Role.TEXT)))
    ]
    entries += fact("state", merging.stands(one), _MERGES[one.state][1])
    entries += fact("why", one.why)
    entries += fact("into", f"{one.target} of {one.project}")
    entries += fact("queued", f"{moment(one.at)} by {one.by}")
    entries += fact("ended", moment(one.ended_at) if one.ended_at else None)
    entries += fact("card", f"{one.card}: c answers it" if one.state is MergeState.STUCK else None, Role.YOU)
    for name, commit in (("work", one.source), ("onto", one.onto), ("commit", one.candidate)):
        entries += fact(name, commit[:12] if commit else None, Role.MUTED)
    for check in one.results:
        sign: Part = ("✓ ", Role.DONE) if check.passed else ("✗ ", Role.FAILED)
        text = f"{clean_line(check.command)}   {check.word}, {span(check.took_ms)}"
        entries.append(Entry(((f"{'check':<10} ", Role.MUTED), sign, (text, Role.TEXT)), True, 13))
        printed = [line for line in clean_lines((check.problem or check.output).rstrip()) if line.strip()]
        if not check.passed:
            entries += [Entry(((f"  | {line}", Role.MUTED),)) for line in printed[-_OUTPUT_LINES:]]
    for command in one.checks[len(one.results) :]:
        entries.append(Entry(((f"{'check':<10} ", Role.MUTED), ("◌ ", Role.IDLE), (clean_line(command), Role.MUTED))))
    return entries + _conflicts(one.conflicts)


def _conflicts(found: Iterable[Conflict]) -> list[Entry]:
    """Both sides of each place."""
    entries: list[Entry] = []
    for one in found:
        entries += [Entry(()), Entry((("conflict   ", Role.FAILED), (clean_line(one.file), Role.HEADING),
                                      (f"   {clean_line(one.what)}", Role.MUTED)))]  # fmt: skip
        for line in clean_lines(one.hunks):
            marked = line[:7] == line[:1] * 7
            entries.append(Entry(((f"  {line}", _HUNK_ROLES.get(line[:1], Role.TEXT) if marked else Role.TEXT),)))
    return entries


def _pipeline(row: Underway, now: int) -> list[Entry]:
    one = row.what
    assert isinstance(one, Pipeline), "told of one"
    entries = [
        Entry(
            ((f"pipeline {one.id}", Role.HEADING), (f"   {clean_line(one.name)}: {clean_line(one.title)}", Role.TEXT))
        )
    ]
    entries += fact("state", pipelines.stands(one), _role(row, now))
    entries += fact("why", one.why)
    entries += fact("what", one.what)
    entries += fact("project", one.project or "none")
    entries += fact("inputs", ", ".join(f"{name}={value}" for name, value in one.inputs.items() if value))
    entries += fact("begun", f"{moment(one.at)} by {one.by}")
    entries += fact("ended", moment(one.ended_at) if one.ended_at else None)
    if one.steps:
        entries += heading("steps")
    for step in one.steps:
        entries += _step(step, now)
    found = pipelines.findings_lines(one)
    return entries + [Entry(((line, Role.TEXT),), True, 2) for line in found]


def _step(step: Step, now: int) -> list[Entry]:
    name, kind, state, round, jobs, took, said = pipelines.step_cells(step, now)
    more = "  ".join(filter(None, (f"round {round}" if step.round > 1 else "", jobs, took)))
    glyph, role = _STEPS[step.state]
    parts: tuple[Part, ...] = (
        (f"{glyph} ", role),
        (f"{clean_line(name):<11} ", Role.TEXT),
        (f"{state:<10} ", role),
        (f"{kind if step.kind is not StepKind.JOB else '':<8}", Role.MUTED),
        (more, Role.MUTED),
    )
    return [Entry(parts), *([Entry(((f"    {said}", Role.MUTED),), True, 4)] if said else [])]
