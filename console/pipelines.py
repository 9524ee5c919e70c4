"""Pipelines as text: which there are, what they do, how far one is. Pure."""

from __future__ import annotations

from console.format import age, clean_line, clean_lines, job_name, moment, money, plural
from engine.model import Grade, Pipeline, PipelineFile, PipelineState, PipelineStep, Preview, Step, StepState

FILE_HEADS = ("PIPELINE", "FROM", "STEPS", "ABOUT")
RUN_HEADS = ("ID", "STATE", "PIPELINE", "AGE", "BATCH", "TITLE", "WHY")
STEP_HEADS = ("STEP", "KIND", "STATE", "ROUND", "JOBS", "TOOK", "SAYS")


def file_cells(one: PipelineFile) -> tuple[str, ...]:
    """A line of the list."""
    about = f"broken: {one.problem.splitlines()[0]}" if one.problem else one.about
    stands = f"{one.source}, before {plural(len(one.shadows), 'other')}" if one.shadows else one.source
    return one.name, stands, " ".join(step.name for step in one.steps), clean_line(about)


def file_lines(one: PipelineFile) -> list[str]:
    """Everything on a pipeline's file."""
    lines = [f"{one.name}  {clean_line(one.about)}", f"  file      {clean_line(one.path)} ({one.source})"]
    lines += [f"  before    {clean_line(path)}" for path in one.shadows]
    if one.problem:
        return [*lines, *(f"  wrong     {clean_line(line)}" for line in one.problem.splitlines())]
    for given in one.inputs:
        default = "has to be given" if given.default is None else f"unset: {given.default!r}"
        lines.append(f"  input     {given.name}: {clean_line(given.about)} ({default})")
    lines += [f"  step      {step_line(step)}" for step in one.steps]
    return [*lines, "", *clean_lines(one.text)]


def step_line(step: PipelineStep) -> str:
    """`review (review, after check): reads the change in a copy`."""
    kind = "" if step.kind == "job" else f"{step.kind}, "
    after = f"after {', '.join(step.after)}" if step.after else "first"
    return f"{step.name} ({kind}{after})" + (f": {clean_line(step.says)}" if step.says else "")


def run_cells(one: Pipeline, now: int) -> tuple[str, ...]:
    """A line of those that were begun."""
    return (
        str(one.id), stands(one), one.name, age(now - one.at), str(one.batch), clean_line(one.title),
        clean_line(one.why),
    )  # fmt: skip


def stands(one: Pipeline) -> str:
    if one.state is PipelineState.RUNNING and one.held_by is not None:
        return f"held by {one.held_by}"
    return str(one.state)


def run_lines(one: Pipeline) -> list[str]:
    """What is to be said of one beside its steps."""
    facts = {
        "what": clean_line(one.what),
        "state": stands(one) + (f": {clean_line(one.why)}" if one.why else ""),
        "project": clean_line(one.project) if one.project else "none",
        "begins at": (one.base or "")[:12],
        "inputs": ", ".join(f"{name}={clean_line(value)}" for name, value in one.inputs.items() if value),
        "batch": f"{one.batch}: headway jobs batch:{one.batch}",
        "begun": f"{moment(one.at)} by {clean_line(one.by)}",
        "ended": moment(one.ended_at) if one.ended_at else "",
    }
    head = f"pipeline {one.id}, {one.name}: {clean_line(one.title)}"
    return [head, *(f"  {name:<9} {value}" for name, value in facts.items() if value)]


def step_cells(step: Step, now: int) -> tuple[str, ...]:
    """A line of a pipeline's steps."""
    jobs = [job_name(job) for job in step.jobs]
    if step.merge is not None:
        jobs.append(f"merge {step.merge}")
    took = age((step.ended_at or now) - step.began_at) if step.began_at else ""
    state = f"asking, card {step.card}" if step.state is StepState.ASKING else str(step.state)
    said = step.why or step.result.strip().partition("\n")[0]
    return step.name, str(step.kind), state, str(step.round or "-"), " ".join(jobs), took, clean_line(said)


def findings_lines(one: Pipeline) -> list[str]:
    """What steps found that is still to be mended."""
    lines = []
    for step in one.steps:
        if step.findings and step.kind != "approve" and step.state is not StepState.DONE:
            lines += ["", f"{step.name} found", *(f"  {line}" for line in clean_lines(step.findings))]
    return lines


def preview_line(preview: Preview | None) -> str:
    """What its jobs are expected to cost."""
    if preview is None or preview.cost_micros is None:
        return "what it costs is not known yet: no job like these has run"
    more = f", and {preview.unpriced} of which it is not known" if preview.unpriced else ""
    return f"its jobs are expected to cost about {money(preview.cost_micros, Grade.ESTIMATED, 2)}{more}"
