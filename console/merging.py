"""The merge queue as text: what waits, what became of it, what would. Pure."""

from __future__ import annotations

from console.format import age, clean_line, clean_lines, job_name, moment, plural
from engine.model import Conflict, Merge, MergeForeseen, MergeState

HEADS = ("MERGE", "JOB", "STATE", "INTO", "AGE", "CHECKS", "TITLE", "WHY")


def cells(merge: Merge, now: int) -> tuple[str, ...]:
    """A line of the list."""
    return (
        str(merge.id), job_name(merge.job), stands(merge), clean_line(merge.target), age(now - merge.at),
        checks_text(merge), clean_line(merge.title), clean_line(merge.why),
    )  # fmt: skip


def stands(merge: Merge) -> str:
    """Its state, with its place while it waits."""
    if merge.state is MergeState.QUEUED and merge.ahead is not None:
        return "queued, next" if not merge.ahead else f"queued, {merge.ahead} before it"
    if merge.state is MergeState.STUCK:
        return f"stuck, card {merge.card}"
    return str(merge.state)


def checks_text(merge: Merge) -> str:
    if not merge.results:
        return f"{len(merge.checks)} to run" if merge.checks else "none"
    passed = sum(one.passed for one in merge.results)
    return f"{passed} of {len(merge.results)} passed"


def lines(merge: Merge) -> list[str]:
    """Everything on one of them."""
    facts = {
        "job": f"{job_name(merge.job)}  {clean_line(merge.title)}",
        "state": stands(merge),
        "why": clean_line(merge.why),
        "into": f"{clean_line(merge.target)} of {clean_line(merge.project)}",
        "queued": f"{moment(merge.at)} by {clean_line(merge.by)}",
        "ended": moment(merge.ended_at) if merge.ended_at else "",
        "work": merge.source or "",
        "onto": merge.onto or "",
        "commit": merge.candidate or "",
    }
    told = [f"merge {merge.id}", *(f"  {name:<7} {value}" for name, value in facts.items() if value)]
    told += [f"  check   {one.word}: {clean_line(one.command)}" for one in merge.results]
    for one in merge.results:
        if not one.passed:
            told += ["", f"  {clean_line(one.command)}", *(f"    {line}" for line in clean_lines(one.output))]
    return [*told, *conflict_lines(merge.conflicts)]


def conflict_lines(conflicts: list[Conflict]) -> list[str]:
    """Both sides of each place."""
    told = []
    for one in conflicts:
        told += ["", f"  {clean_line(one.file)}  ({clean_line(one.what)})"]
        told += [f"    {line}" for line in clean_lines(one.hunks)]
    return told


def foreseen_line(one: MergeForeseen) -> str:
    """What would become of one of them."""
    if one.why:
        return f"would not: {job_name(one.job)} into {one.target}: {clean_line(one.why)}"
    return f"would: {job_name(one.job)} into {one.target}, {plural(one.files, 'file')}, if its checks pass there"
