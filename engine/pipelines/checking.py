"""What is wrong in a pipeline's file beyond its types: names, order, keys that a kind of step does not take."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from graphlib import CycleError, TopologicalSorter

from engine.budgets import Amount
from engine.documents import Complaint, Keys, Reading, examine, nearest
from engine.model import Target
from engine.model.pipeline import StepKind
from engine.pipelines import prompting
from engine.pipelines.spec import PipelineSpec, Place, StepSpec
from engine.units import milliseconds

_PROMPTED = frozenset({StepKind.JOB, StepKind.REVIEW, StepKind.JUDGE})
_SENDS_BACK = frozenset({StepKind.CHECK, StepKind.REVIEW, StepKind.JUDGE})
#: Keys that only some kinds of step take.
_ONLY = {
    "prompt": _PROMPTED,
    "target": _PROMPTED,
    "route": _PROMPTED,
    "skills": _PROMPTED,
    "permission": _PROMPTED,
    "stall": _PROMPTED,
    "budget": _PROMPTED,
    "max_attempts": _PROMPTED,
    "repeatable": _PROMPTED,
    "workspace": _PROMPTED,
    "gate": frozenset({StepKind.JOB}),
    "of": frozenset({StepKind.APPROVE}),
    "small": frozenset({StepKind.APPROVE}),
    "back": _SENDS_BACK,
    "checks": frozenset({StepKind.CHECK, StepKind.MERGE}),
    "timeout": _PROMPTED | {StepKind.CHECK, StepKind.MERGE},
    "reviewers": frozenset({StepKind.REVIEW}),
    "quorum": frozenset({StepKind.REVIEW}),
    "into": frozenset({StepKind.MERGE}),
}


def read_pipeline(text: str, name: str, agents: Collection[str] = ()) -> Reading[PipelineSpec]:
    """A file, as far as it can be read, with all that is wrong in it. Raises `DocumentError` for what is no YAML."""
    reading = examine(text, name, PipelineSpec)
    if reading.value is not None:
        reading.complain(complaints(reading.value, agents))
    return reading


def complaints(spec: PipelineSpec, agents: Collection[str] = ()) -> Iterator[Complaint]:
    """The keys that lead to what is wrong, and why. `agents`: names that exist, where they are known."""
    for name in spec.inputs:
        if name in (*prompting.WORDS, "steps"):
            yield ("inputs", name), f"{name!r} is there in every pipeline; choose another name"
    names: dict[str, int] = {}
    sound = True
    for place, step in enumerate(spec.steps):
        if names.setdefault(step.name, place) != place:
            yield ("steps", place, "name"), f"{step.name!r} is the name of an earlier step"
            sound = False
    for place, step in enumerate(spec.steps):
        for other in step.after or ():
            if other not in names:
                yield ("steps", place, "after"), f"there is no step {other!r}; {nearest(other, names)}"
                sound = False
            elif other == step.name:
                yield ("steps", place, "after"), "it would come after itself"
                sound = False
    if not sound:
        return  # what comes before what cannot be told
    if circle := _circle(spec):
        told = " after ".join(circle)
        yield ("steps", names[circle[0]], "after"), f"these would wait for each other: {told}"
        return
    for place, step in enumerate(spec.steps):
        for keys, why in _of_step(spec, step, agents):
            yield ("steps", place, *keys), why
    yield from _together(spec)


def _circle(spec: PipelineSpec) -> list[str]:
    try:
        TopologicalSorter({one.name: spec.after(one.name) for one in spec.steps}).prepare()
    except CycleError as error:
        return [*reversed(error.args[1])]
    return []


def _of_step(spec: PipelineSpec, step: StepSpec, agents: Collection[str]) -> Iterator[Complaint]:
    for key, kinds in _ONLY.items():
        if step.kind not in kinds and getattr(step, key) not in (None, []):
            yield (key,), f"only for {', '.join(sorted(kinds))}, and not for {step.kind}"
    if step.kind is StepKind.JOB and step.prompt is None:
        yield ("prompt",), "a job needs one"
    before = spec.before(step.name)
    yield from _texts(spec, step, before)
    for key, wanted in (("of", step.of), ("back", step.back)):
        if wanted is None:
            continue
        jobs = [one for one in before if spec.step(one).kind is StepKind.JOB]
        if wanted not in jobs:
            hint = nearest(wanted, jobs) if jobs else "there is none"
            yield (key,), f"{wanted!r} is no job that comes before it; {hint}"
        elif key == "back" and not spec.step(wanted).shares:
            yield (key,), f"{wanted!r} does not work in the pipeline's worktree, and cannot mend anything there"
    if step.kind is StepKind.APPROVE and spec.of_of(step) is None:
        yield ("kind",), "there is no job before it whose words could be approved"
    if step.kind is StepKind.MERGE and spec.last_job(step.name, shared=True) is None:
        yield ("kind",), "there is no job before it in the pipeline's worktree, so that nothing could be merged"
    if step.quorum is not None and step.quorum > len(step.reviewers or [""]):
        yield ("quorum",), f"there are only {len(step.reviewers or [''])} reviewers"
    yield from _measures(step)
    yield from _targets(step, agents)


def _texts(spec: PipelineSpec, step: StepSpec, before: Collection[str]) -> Iterator[Complaint]:
    known = [*prompting.known_names(spec.inputs, before)]
    texts: list[tuple[Keys, str]] = [(("prompt",), step.prompt or ""), (("target",), step.target or "")]
    texts += [(("into",), step.into or "")]
    texts += [(("checks", place), one) for place, one in enumerate(step.checks or ())]
    texts += [(("reviewers", place), one) for place, one in enumerate(step.reviewers or ())]
    for keys, text in texts:
        allowed = known if keys == ("prompt",) else [*spec.inputs]
        for name in prompting.names_in(text):
            if name not in allowed:
                hint = nearest(name, allowed) if allowed else "there is no input"
                yield keys, f"nothing is called {{{{ {name} }}}} there; {hint}"


def _measures(step: StepSpec) -> Iterator[Complaint]:
    for key in ("timeout", "stall"):
        value = getattr(step, key)
        try:
            if value is not None:
                milliseconds(value)
        except ValueError as error:
            yield (key,), str(error)
    amounts: tuple[tuple[Keys, str | int | float | None], ...] = (
        (("budget",), step.budget), (("small", "cost"), step.small.cost if step.small is not None else None),
    )  # fmt: skip
    for keys, amount in amounts:
        try:
            if amount is not None:
                Amount.parse(amount)
        except ValueError as error:
            yield keys, str(error)


def _targets(step: StepSpec, agents: Collection[str]) -> Iterator[Complaint]:
    targets: list[tuple[Keys, str]] = [(("target",), step.target or "")]
    targets += [(("reviewers", place), one) for place, one in enumerate(step.reviewers or ())]
    for keys, text in targets:
        if not text or prompting.names_in(text) or not agents:
            continue
        agent = Target.parse(text).agent
        if agent not in agents:
            yield keys, f"there is no agent {agent!r}; {nearest(agent, agents)}"


def _together(spec: PipelineSpec) -> Iterator[Complaint]:
    """Two that work in one worktree must not do so at once."""
    shared = [one for one in spec.steps if one.shares or one.kind in (StepKind.CHECK, StepKind.MERGE)]
    for place, step in enumerate(spec.steps):
        if step not in shared:
            continue
        before, behind = spec.before(step.name), spec.behind(step.name)
        for other in shared[: shared.index(step)]:
            if other.name not in before and other.name not in behind:
                why = f"{step.name} and {other.name} would be in one worktree at once: let one come after the other"
                yield ("steps", place, "after"), why
    for place, step in enumerate(spec.steps):
        if step.kind in _PROMPTED and step.workspace is Place.SHARED and step.kind is not StepKind.JOB:
            yield ("steps", place, "workspace"), f"a {step.kind} reads a copy, and changes nothing"
