"""What comes of a look: a pass, a way back to the writer, a question to the judge or to the operator. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from engine.model import Finding, GateLook, Opinion, Review, Severity, Source, Verdict

TOLD_CHARS = 16_000  #: of findings that an agent is sent: some 4,000 tokens
PROOF_CHARS = 2_000

#: What differs between two runs of the same thing: times, addresses, temporary places.
_NOISE = re.compile(r"\b\d+(?:\.\d+)?\s*m?s\b|\b0x[0-9a-f]+\b|/tmp/\S+|\b\d{1,2}:\d{2}:\d{2}\b", re.I)
_WEIGHTS = list(Severity)


@dataclass(frozen=True, slots=True)
class Word:
    """What the reviewers come to. `passed`: None where the judge has to say."""

    passed: bool | None
    by: str
    why: str


def weigh(reviews: Sequence[Review], quorum: int, *, judge: Review | None, judged: bool) -> Word:
    """What reviews come to. `judged`: the gate has a judge, who is asked where they differ.

    A failed review is no approval. Where the judge's word cannot be read, the reviewers' quorum counts, and a split
    does not pass.
    """
    said = [one.opinion for one in reviews]
    approve, refuse = said.count(Opinion.APPROVE), said.count(Opinion.REFUSE)
    split = bool(approve and refuse)
    counted = f"{approve} of {len(reviews)} approve"
    if lost := said.count(Opinion.FAILED):
        counted += f", {lost} could not be read"
    if split and judged:
        if judge is None:
            return Word(None, "judge", f"{counted}: the judge is asked")
        if judge.opinion is not Opinion.FAILED:
            return Word(judge.opinion is Opinion.APPROVE, judge.target, judge.why or counted)
        return Word(False, judge.target, f"{counted}, and the judge's word could not be read")
    return Word(approve >= quorum, "reviewers", f"{counted}, and {quorum} have to")


def findings_of(reviews: Sequence[Review], judge: Review | None) -> list[Finding]:
    """What the writer is told: where a judge has spoken, only what he lets stand."""
    if judge is not None and judge.opinion is not Opinion.FAILED:
        return list(judge.findings)
    found = [one for review in reviews for one in review.findings if review.opinion is Opinion.REFUSE]
    return sorted(found, key=lambda one: _WEIGHTS.index(one.severity))


@dataclass(frozen=True, slots=True)
class Next:
    """What follows a refusal. `again`: it goes back to the writer; else the operator is asked, because of `why`."""

    again: bool
    why: str = ""


def after_refusal(look: GateLook, before: GateLook | None, rounds: int) -> Next:
    """Whether a refused look goes back to the writer. `before`: the refused one of the round before, if any."""
    if not look.findings:
        return Next(False, "there is nothing that the agent could mend")
    if look.round >= rounds:
        return Next(False, f"after {look.round} {'round' if look.round == 1 else 'rounds'}")
    if before is None:
        return Next(True)
    if look.tree and look.tree == before.tree:
        return Next(False, "nothing has changed since the round before")
    if keys(look.findings) >= keys(before.findings):
        return Next(False, "the same findings again: it does not converge")
    return Next(True)


def keys(findings: Sequence[Finding]) -> frozenset[str]:
    """By what findings of two rounds are known as the same. Of what runs, its output counts; of what is said, where."""
    return frozenset(_key(one) for one in findings)


def _key(one: Finding) -> str:
    if one.source in (Source.REVIEW, Source.JUDGE):
        return f"review {one.file or one.what}"
    return f"{one.source} {one.by} {one.file} {_NOISE.sub('#', one.what)} {_NOISE.sub('#', one.proof)}"


def told(look: GateLook) -> str:
    """The findings as the writer is sent them, bounded."""
    lines: list[str] = []
    for number, one in enumerate(look.findings, 1):
        where = f"{one.file}:{one.line}" if one.file and one.line else one.file
        lines.append(f"{number}. [{one.by or one.source}] {one.what}{f' ({where})' if where else ''}")
        if one.proof:
            lines += [f"   | {line}" for line in one.proof.strip()[-PROOF_CHARS:].splitlines()]
        if sum(map(len, lines)) > TOLD_CHARS and number < len(look.findings):
            lines.append(f"and {len(look.findings) - number} more")
            break
    return "\n".join(lines)


def summary(look: GateLook) -> str:
    """A look in one line."""
    if look.verdict is Verdict.PASSED:
        return f"gate {look.gate}: passed in round {look.round}" + (f", by {look.by}" if look.by else "")
    first = look.findings[0].what if look.findings else look.why
    more = f" and {len(look.findings) - 1} more" if len(look.findings) > 1 else ""
    return f"gate {look.gate} refused it in round {look.round}: {first}{more}"[:500]
