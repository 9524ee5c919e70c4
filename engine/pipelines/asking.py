"""The card before big work: the plan, what it is expected to take, and what follows. And whether it is big. Pure."""

from __future__ import annotations

import msgspec
from msgspec import Struct, field

from engine.budgets import UNIT, Amount
from engine.decision import ARGUMENTS_LIMIT, CardKind
from engine.gate.judging import one_object
from engine.gate.material import cut
from engine.model import Preview, Step, StepKind
from engine.pipelines.making import At
from engine.pipelines.spec import SmallSpec, StepSpec
from engine.store.cards import Asking

TOOL = "pipeline"
FOLLOWS_CHARS = 600


class Size(Struct, frozen=True):
    """What a plan says of its own work, in the JSON at its end."""

    files: list[str] | None = None
    minutes: float | None = None
    risk: str = ""
    questions: list[str] = field(default_factory=list)


def size_of(text: str) -> Size | None:
    """Nothing where a plan does not say it in a form that can be read for certain."""
    return one_object(text, Size)


def small(limits: SmallSpec | None, size: Size | None, preview: Preview | None) -> str:
    """Why nobody need be asked; nothing where the operator is to read it. What is not known is not small."""
    if limits is None or (limits.files, limits.minutes, limits.cost) == (None, None, None):
        return ""
    told = []
    if limits.files is not None:
        if size is None or size.files is None or len(size.files) > limits.files:
            return ""
        told.append(f"{len(size.files)} of {limits.files} files")
    if limits.minutes is not None:
        if size is None or size.minutes is None or size.minutes > limits.minutes:
            return ""
        told.append(f"{size.minutes:g} of {limits.minutes} minutes")
    if limits.cost is not None:
        most = Amount.parse(limits.cost)
        if preview is None or preview.unpriced or preview.cost_micros is None or most.micros is None:
            return ""
        if preview.cost_micros > most.micros:
            return ""
        told.append(f"${preview.cost_micros / UNIT:.2f} of {most}")
    if size is not None and size.questions:
        return ""
    return f"it is small: {', '.join(told)}"


def approval(at: At, step: StepSpec, of: Step, preview: Preview | None) -> Asking:
    """The card for a plan. `of`: the step whose words are read."""
    size = size_of(of.result)
    facts = {"estimate": estimate(size, preview), "follows": follows(at, step)}
    if size is not None and size.risk:
        facts["risk"] = size.risk
    if size is not None and size.questions:
        facts["questions"] = "\n".join(size.questions)
    room = ARGUMENTS_LIMIT
    while len(told := _json({**facts, "plan": cut(of.result, room)})) > ARGUMENTS_LIMIT and room:
        room //= 2
    return Asking(
        request=f"pipeline {at.pipeline.id} {step.name} {at.step(step.name).round + 1}",
        kind=CardKind.APPROVAL,
        tool=TOOL,
        subject="",
        shell=False,
        summary=f"{of.name} of pipeline {at.pipeline.id}, {at.pipeline.title}: go on with it?",
        arguments=told,
        why=f"approve: {facts['follows'] or 'it ends here'}; back: {of.name} again with your words; cancel: it ends",
    )


def trouble(at: At, step: StepSpec, findings: str, why: str) -> Asking:
    """The card for what nobody has mended."""
    room = ARGUMENTS_LIMIT
    while len(told := _json({"found": cut(findings, room)})) > ARGUMENTS_LIMIT and room:
        room //= 2
    return Asking(
        request=f"pipeline {at.pipeline.id} {step.name} {at.step(step.name).round + 1} trouble",
        kind=CardKind.STEP,
        tool=TOOL,
        subject="",
        shell=False,
        summary=f"{step.name} of pipeline {at.pipeline.id}, {at.pipeline.title}: {why}",
        arguments=told,
        why="back: it is mended once more; retry: {step.name} again; approve: it goes on as it is; stop: it fails",
    )


def estimate(size: Size | None, preview: Preview | None) -> str:
    """What the work is expected to take: in the plan's own words, and by the forecast."""
    told = []
    if size is not None and size.files is not None:
        told.append(f"{len(size.files)} files: {', '.join(size.files[:10])}")
    if size is not None and size.minutes is not None:
        told.append(f"{size.minutes:g} minutes by the plan")
    if preview is not None and preview.cost_micros is not None:
        more = f", and {preview.unpriced} jobs of which no cost is known" if preview.unpriced else ""
        told.append(f"about ${preview.cost_micros / UNIT:.2f} by the forecast{more}")
    return "; ".join(told) or "nothing is known of it yet"


def follows(at: At, step: StepSpec) -> str:
    """The steps that come after it, in a line."""
    names = [at.spec.step(name) for name in at.spec.behind(step.name)]
    told = ", ".join(one.name if one.kind is StepKind.JOB else f"{one.name} ({one.kind})" for one in names)
    return told[:FOLLOWS_CHARS]


def _json(values: dict[str, str]) -> str:
    return msgspec.json.encode(values).decode()
