"""A submission and its answer."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from engine.model.job import JobSpec
from engine.model.order import Preview


class Wanted(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A submission as it crosses the socket: `POST /v1/jobs`."""

    jobs: list[JobSpec]
    dry_run: bool = False
    token: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    """The client's own name for this submission: sent again, it submits nothing twice."""
    batch: Annotated[str, Meta(min_length=1, max_length=100)] | None = None
    """A name for the jobs together."""
    then: JobSpec | None = None
    """Runs once all of the batch have ended, however they ended unless it says `on_failure`."""


class Answer(Struct, frozen=True, omit_defaults=True):
    """What a submission came to: the ids, in the order of the jobs; none for a dry run."""

    ids: list[int]
    existing: list[int] = field(default_factory=list)
    """Those among them that were there already: the same key, or the same token."""
    batch: int | None = None
    follow_up: int | None = None
    keyless: list[int] = field(default_factory=list)
    """Those in whose words a key was left out: they are kept."""
    preview: Preview | None = None
