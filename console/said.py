"""What a verb did, or would do, as one line. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from console.format import job_name, number, plural
from console.status import Mark
from engine.model import ALL, ActionResult, Undone, Verb

_PAST = {
    Verb.HOLD: "held",
    Verb.RELEASE: "released",
    Verb.CANCEL: "cancelled",
    Verb.RETRY: "put back",
    Verb.REROUTE: "rerouted",
    Verb.PRIORITY: "gave another priority to",
    Verb.SNOOZE: "snoozed",
    Verb.EDIT: "edited",
    Verb.MOVE: "moved",
    Verb.CAP: "set the cap on",
    Verb.DRAIN: "draining",
}
#: What differs from the verb's own name.
_PLAIN = {verb: verb.value for verb in Verb} | {
    Verb.RETRY: "put back",
    Verb.PRIORITY: "give another priority to",
    Verb.CAP: "set the cap on",
}


def result_line(result: ActionResult, *, scope: str = "") -> str:
    """`cancelled 2 jobs, stopping J1; left J4: already held`; of a dry run `would cancel 2 jobs, would stop J1`."""
    would = result.dry_run
    did, stopping = (f"would {_PLAIN[result.verb]}", "would stop") if would else (_PAST[result.verb], "stopping")
    said = []
    if scope or result.done:
        what = ("everything" if scope == ALL else scope) if scope else _jobs(result.done)
        said.append(f"{did} {what}")
    if result.stopping:
        said.append(f"{stopping} {_jobs(result.stopping)}")
    line = ", ".join(said)
    left = skipped_text(result, "would leave" if would else "left")
    return "; ".join(filter(None, (line, left))) or "there is no such job"


def skipped_text(result: ActionResult, left: str = "left") -> str:
    """Which jobs a verb leaves as they are, and why."""
    return "; ".join(f"{left} {_jobs(jobs)}: {reason}" for reason, jobs in result.skipped.items() if jobs)


def also_lines(result: ActionResult) -> list[str]:
    """What else followed at once."""
    return [f"  also {_jobs(jobs)} {what}" for what, jobs in result.also.items()]


def undone_line(undone: Undone) -> str:
    """`took back cancel (action 7): J3 as before; J4 cannot come back: it was pruned`."""
    said = [f"{_jobs(undone.restored)} as before"] if undone.restored else []
    if undone.said:
        said.append(undone.said)
    did = ("would take back" if undone.dry_run else "took back") if said else "cannot take back"
    said += [f"{_jobs(jobs)} cannot come back: {why}" for why, jobs in undone.lost.items()]
    return f"{did} {undone.verb} (action {undone.action}): {'; '.join(said) or 'nothing was left of it'}"


def question(verb: Verb, result: ActionResult, marks: Sequence[Mark]) -> str:
    """The question before a verb, from its dry run. `marks` are how the jobs stand now, where that is known."""
    jobs = [*result.done, *result.stopping]
    counts = Counter(mark.word for mark in sorted(marks, key=lambda mark: mark.rank))
    what = f" ({', '.join(f'{count} {word}' for word, count in counts.items())})" if len(jobs) > 1 and counts else ""
    left = sum(map(len, result.skipped.values()))
    note = f", {number(left)} cannot be" if left else ""
    if verb is Verb.CANCEL and (more := {job for one in result.also.values() for job in one} - set(jobs)):
        note += f", and {number(len(more))} with {'it' if len(jobs) == 1 else 'them'}"
    return f"{verb.value} {_jobs(jobs)}{what}{note}?"


def _jobs(jobs: Sequence[int]) -> str:
    return job_name(jobs[0]) if len(jobs) == 1 else plural(len(jobs), "job")
