"""A gate's rounds as the text of a tab: what it looks at now, and what each look found. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from console.format import clean_line, clean_lines, job_name, moment, money, plural, span, tokens
from console.gates import OUTPUT_LINES, PROOF_LINES, place_of, verdict_text
from console.roles import Part, Role
from console.telling import fact, heading, lines
from console.transcript import Entry
from engine.model import (
    Cause,
    CheckResult,
    Finding,
    GateLook,
    GatePlan,
    JobDetail,
    JobGate,
    Opinion,
    Review,
    Severity,
    Source,
    State,
    Verdict,
)

#: How a thing stands: a sign that needs no colour, and what it is.
_SIGNS: dict[bool | None, Part] = {True: ("✓ ", Role.DONE), False: ("✗ ", Role.FAILED), None: ("? ", Role.WAIT)}

_ROLES = {
    None: Role.RUN, Verdict.PASSED: Role.DONE, Verdict.REFUSED: Role.FAILED, Verdict.ACCEPTED: Role.WAIT,
    Verdict.STOPPED: Role.OVER,
}  # fmt: skip

_WEIGHTS = {Severity.BLOCKER: Role.FAILED, Severity.MAJOR: Role.WAIT}

#: Findings of these are shown with their proof where they come from.
_SHOWN_ABOVE = frozenset({Source.CHECK, Source.CLAIM, Source.REVIEW})

_INDENT = 13


def gate_entries(found: JobGate, detail: JobDetail) -> list[Entry]:
    """The gate of a job, how far it is, and all its looks, the newest first."""
    plan = found.plan
    if plan.gate is None and not found.looks:
        return _without(plan)
    entries = _head(plan)
    if detail.job.state is State.GATING:
        entries += fact("now", now_text(detail) or "it is being looked at", Role.RUN)
    ends = found.looks[-1].ended_at if found.looks else None
    if plan.gate is not None and (not found.looks or ends is None):
        entries += _planned(plan)
    if not found.looks and detail.job.state is not State.GATING:
        entries += [
            Entry(()),
            *lines(["It has not looked yet: it does when the agent says that it is done."], Role.MUTED),
        ]
    for look in reversed(found.looks):
        entries += _look(look)
    return entries


def now_text(detail: JobDetail) -> str:
    """How far a look is that is on its way: `check 2 of 3 runs: pytest -q`."""
    told = next((one.text for one in detail.waiting if one.cause is Cause.GATE), "")
    return clean_line(told).removeprefix("it is being checked: ")


def _without(plan: GatePlan) -> list[Entry]:
    """Why there is no gate, and how a job gets one."""
    told = "A gate holds what an agent says of its work against checks, the diff and other models."
    ways = ("headway submit --gate NAME", "projects: {NAME: {path: DIR, gate: NAME}}", "gates: {NAME: {kinds: [code]}}")
    return [
        Entry(((f"{job_name(plan.job)} has no gate: {clean_line(plan.why)}", Role.TEXT),), True),
        Entry(()),
        Entry(((told, Role.MUTED),), True),
        *lines(["Write one under gates: in headway.yaml; a job then has it by one of"], Role.MUTED),
        *(Entry(((f"   {way}", Role.KEY),)) for way in ways),
        *lines(["headway gates lists them; docs/gate.md has all of it."], Role.MUTED),
    ]


def _head(plan: GatePlan) -> list[Entry]:
    if plan.gate is None:
        return [Entry(((f"no gate by now: {clean_line(plan.why)}", Role.MUTED),), True)]
    gate = plan.gate
    most = f"   at most {plural(gate.rounds, 'round')}, then you are asked"
    head = Entry(((f"gate {clean_line(gate.name)}", Role.HEADING), (most, Role.MUTED)))
    return [head, *fact("because", plan.why)]


def _planned(plan: GatePlan) -> list[Entry]:
    """What it is to do, where that is not known by what it did."""
    gate = plan.gate
    assert gate is not None, "asked for where there is one"
    entries = fact("looks at", ", ".join(gate.evidence))
    for number, check in enumerate(gate.checks, 1):
        entries += fact(f"check {number}", f"{check.command}   (at most {check.seconds:,.0f} s)")
    if plan.reviewers:
        quorum = f"   {gate.quorum} have to approve" if gate.quorum else ""
        entries += fact("reviewers", f"{', '.join(plan.reviewers)}{quorum}")
    entries += fact("judge", gate.judge)
    for note in plan.notes:
        entries += fact("note", note, Role.WAIT)
    return entries


def _look(look: GateLook) -> list[Entry]:
    sign = {None: "▸", Verdict.PASSED: "✓", Verdict.REFUSED: "✗"}.get(look.verdict, "=")
    head = (f"{sign} {verdict_text(look)}", _ROLES[look.verdict])
    when = f"   {moment(look.at)[5:16]}, attempt {look.attempt} by {clean_line(look.target)}"
    entries = [Entry(()), Entry((head, (when, Role.MUTED)))]
    entries += fact("why", look.why)
    entries += fact("reused", "nothing had changed since an earlier look" if look.reused else None, Role.MUTED)
    entries += fact(
        "card", f"{look.card}: i answers it" if look.card is not None and not look.ended_at else None, Role.YOU
    )
    if look.diff is not None:
        entries += fact("diff", f"{plural(look.diff.files, 'file')}, +{look.diff.added} −{look.diff.removed}")
    for one in look.evidence:
        entries.append(_signed("evidence", one.holds, f"{one.name}: {one.told}" if one.told else one.name))
    for check in look.checks:
        entries += _check(check, look)
    for claim in look.claims:
        entries.append(_signed("claim", claim.holds, f"“{claim.quote}”"))
        if claim.holds is not True:
            entries += _proof(claim.proof)
    for review in look.reviews:
        entries += _review("review", review)
    if look.judge is not None:
        entries += _review("judge", look.judge)
    if look.verdict is not Verdict.PASSED and look.findings:
        entries += _findings(look)
    return entries


def _check(check: CheckResult, look: GateLook) -> list[Entry]:
    entries = [_signed("check", check.passed, f"{check.command}   {check.word}, {span(check.took_ms)}")]
    said = check.problem or check.output
    printed = [line for line in clean_lines(said.rstrip()) if line.strip()]
    entries += _bar(printed[-OUTPUT_LINES:])
    if check.file and (check.cut or len(printed) > OUTPUT_LINES):
        place = f"in full: {clean_line(f'{look.folder}/{check.file}')} of the run directory"
        entries.append(Entry(((" " * _INDENT, Role.MUTED), (place, Role.MUTED))))
    return entries


def _review(what: str, one: Review) -> list[Entry]:
    opinion = str(one.opinion) if one.opinion is not None else "works"
    holds = {Opinion.APPROVE: True, None: None}.get(one.opinion, False)
    job = f" {job_name(one.job)}" if one.job is not None else ""
    paid = f"   {tokens(one.tokens)} tokens, {money(one.cost_micros, one.cost_grade, 4)}" if one.tokens else ""
    said = f"{clean_line(one.target)}{job}: {opinion}{paid}"
    entries = [Entry(((f"{what:<10} ", Role.MUTED), ("▸ ", Role.RUN), (said, Role.TEXT)))]
    if one.opinion is not None:
        entries = [_signed(what, holds, said)]
    if one.why:
        entries.append(_under((clean_line(one.why), Role.TEXT)))
    for found in one.findings:
        entries += [_finding(found), *_proof(found.proof)]
    return entries


def _findings(look: GateLook) -> list[Entry]:
    """What goes back to the agent, each with who found it."""
    back = "sent back" if look.verdict is Verdict.REFUSED else "against it"
    entries = heading(f"{back}: {plural(len(look.findings), 'finding')}")[1:]
    for number, one in enumerate(look.findings, 1):
        by = f"{number}. [{clean_line(one.by or one.source)}] "
        text = f"{clean_line(place_of(one))} {clean_line(one.what)}".strip()
        entries.append(Entry(((f"  {by}", Role.MUTED), (text, Role.TEXT)), True, 5))
        if one.source not in _SHOWN_ABOVE:
            entries += _proof(one.proof)
    return entries


def _finding(one: Finding) -> Entry:
    """`major    src/a.py:12  what`."""
    place = clean_line(place_of(one)).strip()
    lead: tuple[Part, ...] = (
        (" " * _INDENT, Role.MUTED),
        (f"{one.severity:<8} ", _WEIGHTS.get(one.severity, Role.MUTED)),
        (f"{place}  " if place else "", Role.ACCENT),
    )
    return Entry((*lead, (clean_line(one.what), Role.TEXT)), True, _INDENT + 9)


def _signed(name: str, holds: bool | None, text: str) -> Entry:
    return Entry(((f"{name:<10} ", Role.MUTED), _SIGNS[holds], (clean_line(text), Role.TEXT)), True, _INDENT)


def _under(*parts: Part) -> Entry:
    return Entry(((" " * _INDENT, Role.MUTED), *parts), True, _INDENT)


def _proof(text: str) -> list[Entry]:
    return _bar([line for line in clean_lines(text.rstrip()) if line.strip()][-PROOF_LINES:])


def _bar(texts: Iterable[str]) -> list[Entry]:
    """Something quoted: what a check printed, a proof. It is cut at the edge, so that columns stay columns."""
    shown: Sequence[str] = [*texts]
    return [Entry(((f"{' ' * _INDENT}| ", Role.MUTED), (line, Role.MUTED))) for line in shown]
