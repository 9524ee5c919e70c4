"""Keys out of what is submitted: a job's words are kept as long as the job is, and shown to whoever reads it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import msgspec

from engine.agents.base import Agent
from engine.entry import title_of
from engine.errors import EntryError
from engine.model import JobSpec
from engine.store.submit import Accepted, Submission

INSTEAD = (
    "name the variable that holds it in headway.yaml (agents.NAME.pass_env), or give the job an account with a key"
)

Clean = Callable[[str], str]


def without_keys(submission: Submission, agents: Mapping[str, Agent], clean: Clean) -> tuple[Submission, list[int]]:
    """The submission with `[key]` for every key in it, and the places of the jobs that had one.

    Raises `EntryError` for a command with one: without it, it would do something else than what was written.
    """
    found: list[int] = []
    wrong: list[EntryError] = []

    def one(entry: int, job: Accepted) -> Accepted:
        spec = _without(job.spec, clean)
        if spec == job.spec:
            return job
        if not agents[job.agent].takes_skills and spec.prompt != job.spec.prompt:
            wrong.append(EntryError(f"prompt: a key in a command would be kept with it; {INSTEAD}", entry, "prompt"))
        found.append(entry)
        return replace(job, spec=spec, title=title_of(spec))

    jobs = [one(entry, job) for entry, job in enumerate(submission.jobs)]
    then = one(len(jobs), submission.follow_up) if submission.follow_up is not None else None
    if wrong:
        first, *others = wrong
        raise EntryError(first.message, first.entry, first.key, others)
    return (replace(submission, jobs=jobs, follow_up=then) if found else submission), found


def _without(spec: JobSpec, clean: Clean) -> JobSpec:
    written = msgspec.json.encode(spec).decode()
    cleaned = clean(written)
    return spec if cleaned == written else msgspec.json.decode(cleaned, type=JobSpec)
