"""Claims in their shortest form, for what looks at one without a database."""

from __future__ import annotations

from msgspec.structs import replace

from engine.model import JobSpec, State
from engine.store.claims import Claim
from engine.store.rows import AttemptRow, JobRow

FIRST = AttemptRow(id=1, job=1, number=1, agent="claude", model=None, marker="m", engine="e", created_at=0)
JOB = JobRow(id=1, state=State.RUNNING, title="t", agent="claude", model=None, project=None, priority=5, created_at=0)


def claim(spec: JobSpec, *, deadline: int | None = None) -> Claim:
    """A first attempt."""
    return Claim(replace(JOB, deadline=deadline), spec, FIRST, None)
