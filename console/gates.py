"""Gates as text: what one asks for, what its looks found, who said what. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from console.format import clean_line, clean_lines, job_name, moment, money, plural, span, tokens
from engine.model import Fact, Finding, GateLine, GateLook, GatePlan, Review, Verdict

HEADS = ("GATE", "FOR", "CHECKS", "REVIEWERS", "QUORUM", "JUDGE", "ROUNDS")
PROOF_LINES = 12  #: of a finding's proof; --json and the run directory have all of it
OUTPUT_LINES = 20  #: of what a check printed

_HOLDS = {True: "ok", False: "no", None: "?"}


def cells(gate: GateLine) -> tuple[str, ...]:
    """A line of the list, as its columns are headed in `HEADS`."""
    whom = [*(f"project {one}" for one in gate.projects), *(f"kind {one}" for one in gate.kinds)]
    return (
        clean_line(gate.name),
        clean_line(", ".join(whom)) or "jobs that name it",
        str(len(gate.checks)),
        clean_line(", ".join(gate.reviewers)) or "-",
        str(gate.quorum) if gate.quorum else "-",
        clean_line(gate.judge or "-"),
        str(gate.rounds),
    )


def plan_lines(plan: GatePlan) -> list[str]:
    """What the gate of a job would do."""
    if plan.gate is None:
        return [f"{job_name(plan.job)} has no gate: {clean_line(plan.why)}"]
    gate = plan.gate
    lines = [f"{job_name(plan.job)} has the gate {clean_line(gate.name)}: {clean_line(plan.why)}"]
    lines += [f"  evidence  {clean_line(one)}" for one in gate.evidence]
    lines += [f"  check     {clean_line(one.command)}  (at most {one.seconds:,.0f} s)" for one in gate.checks]
    lines += [f"  reviewer  {clean_line(one)}" for one in plan.reviewers]
    if gate.quorum:
        lines.append(f"  quorum    {gate.quorum} of {len(plan.reviewers)} have to approve")
    if gate.judge is not None:
        lines.append(f"  judge     {clean_line(gate.judge)}, where they differ")
    lines.append(f"  rounds    {gate.rounds}, then you are asked")
    return [*lines, *(f"  note      {clean_line(one)}" for one in plan.notes)]


def look_lines(looks: Sequence[GateLook], *, whole: bool = False) -> list[str]:
    """Each look: its verdict, what was seen, what was said. `whole`: with what checks printed and all proofs."""
    lines: list[str] = []
    for look in looks:
        lines += ["", *_look(look, whole=whole)]
    return lines


def verdict_text(look: GateLook) -> str:
    """`refused in round 2, by reviewers`."""
    word = str(look.verdict) if look.verdict is not None else f"{look.stage}"
    asked = " (the agent asked, while it worked)" if look.claimed else ""
    by = f", by {clean_line(look.by)}" if look.by else ""
    return f"{word} in round {look.round}{by}{asked}"


def _look(look: GateLook, *, whole: bool) -> list[str]:
    head = f"  gate {clean_line(look.gate)}: {verdict_text(look)}"
    lines = [f"{head}  {moment(look.at)}, attempt {look.attempt} by {clean_line(look.target)}"]
    if look.why:
        lines.append(f"    why       {clean_line(look.why)}")
    if look.reused:
        lines.append("    reused    nothing had changed since an earlier look")
    if look.card is not None:
        lines.append(f"    card      {look.card}")
    lines += [f"    evidence  {_fact(one)}" for one in look.evidence]
    for number, check in enumerate(look.checks, 1):
        lines.append(f"    check {number}   {clean_line(check.command)}: {check.word}, {span(check.took_ms)}")
        if whole and check.output.strip():
            lines += [f"      | {line}" for line in clean_lines(check.output.rstrip())[-OUTPUT_LINES:]]
        if whole and check.file:
            lines.append(f"      in full: {look.folder}/{check.file} of the run directory")
    for claim in look.claims:
        lines.append(f"    claim     {_HOLDS[claim.holds]}: {clean_line(claim.quote)}")
        if claim.holds is None and claim.proof:
            lines += _proof(claim.proof, whole=whole)
    for review in look.reviews:
        lines += _review("review", review, whole=whole)
    if look.judge is not None:
        lines += _review("judge", look.judge, whole=whole)
    if look.verdict is not Verdict.PASSED:
        lines += _findings(look.findings, whole=whole)
    return lines


def _fact(one: Fact) -> str:
    return f"{_HOLDS[one.holds]}: {one.name}, {clean_line(one.told)}"


def _review(what: str, one: Review, *, whole: bool) -> list[str]:
    job = f" {job_name(one.job)}" if one.job is not None else ""
    paid = f", {tokens(one.tokens)} tokens, {money(one.cost_micros, one.cost_grade, 4)}" if one.tokens else ""
    opinion = str(one.opinion) if one.opinion is not None else "works"
    lines = [f"    {what:<9} {clean_line(one.target)}{job}: {opinion}{paid}  {clean_line(one.why)}".rstrip()]
    if whole:
        lines += [f"      - {place_of(found)}{found.severity}: {clean_line(found.what)}" for found in one.findings]
    return lines


def _findings(found: Sequence[Finding], *, whole: bool) -> list[str]:
    lines = [f"    {plural(len(found), 'finding')}"] if found else []
    for number, one in enumerate(found, 1):
        lines.append(f"      {number}. [{clean_line(one.by or one.source)}] {place_of(one)}{clean_line(one.what)}")
        lines += _proof(one.proof, whole=whole)
    return lines


def _proof(text: str, *, whole: bool) -> list[str]:
    lines = clean_lines(text.rstrip())
    shown = lines if whole else lines[-PROOF_LINES:]
    return [f"         | {line}" for line in shown if line.strip()]


def place_of(one: Finding) -> str:
    """`src/a.py:12 `, or nothing."""
    place = f"{one.file}:{one.line} " if one.file and one.line else f"{one.file} " if one.file else ""
    return clean_line(place) + (" " if place else "")
