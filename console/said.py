"""What a verb did, or would do, as one line. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from console.format import job_name, number, plural
from console.status import Mark
from engine.model import ActionResult, Verb

_PAST = {Verb.HOLD: "held", Verb.RELEASE: "released", Verb.CANCEL: "cancelled", Verb.RETRY: "put back"}


def result_line(result: ActionResult, *, everything: bool = False) -> str:
    """`cancelled 2 jobs, stopping 1; left 4: already ended`."""
    past = _PAST[result.verb]
    said = []
    if result.done or not (result.stopping or result.skipped):
        said.append(f"{past} everything" if everything else f"{past} {_jobs(result.done)}")
    if result.stopping:
        said.append(f"stopping {_jobs(result.stopping)}")
    line = ", ".join(said)
    left = skipped_text(result)
    return "; ".join(filter(None, (line, left)))


def skipped_text(result: ActionResult) -> str:
    """Which jobs a verb leaves as they are, and why."""
    return "; ".join(f"left {_jobs(jobs)}: {reason}" for reason, jobs in result.skipped.items() if jobs)


def question(verb: Verb, result: ActionResult, marks: Sequence[Mark]) -> str:
    """The question before a verb, from its dry run. `marks` are how the jobs stand now, where that is known."""
    jobs = [*result.done, *result.stopping]
    counts = Counter(mark.word for mark in sorted(marks, key=lambda mark: mark.rank))
    what = f" ({', '.join(f'{count} {word}' for word, count in counts.items())})" if len(jobs) > 1 and counts else ""
    left = sum(map(len, result.skipped.values()))
    note = f", {number(left)} cannot be" if left else ""
    return f"{verb.value} {_jobs(jobs)}{what}{note}?"


def _jobs(jobs: Sequence[int]) -> str:
    return job_name(jobs[0]) if len(jobs) == 1 else plural(len(jobs), "job")
