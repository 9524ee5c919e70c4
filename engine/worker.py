"""The nouns of persistent workers: a session, a directory and a queue of its own, kept between jobs."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from engine.model import TAG

NAME_LIMIT = 64  #: characters
FILE = "headway.yaml"  #: who keeps a worker that is said there

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z"  #: it is also that of a directory
Name = Annotated[str, Meta(pattern=NAME)]


class WorkerSpec(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What a person asks for: an entry of `workers:`, or of `headway workers add`."""

    persona: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    project: str | None = None
    """A project's name in the settings, or a directory; its worktree is the worker's. Unset: an empty directory."""
    agent: str | None = None
    model: str | None = None
    account: str | None = None
    route: Annotated[str, Meta(pattern=TAG)] | None = None


class Kept(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a person decided on a worker: what an action changes, and `undo` restores."""

    spec: WorkerSpec
    by: str


class Worker(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A worker as it stands."""

    name: str
    spec: WorkerSpec
    by: str
    added_at: int
    paused_by: str | None = None
    job: int | None = None
    """The unfinished job that is done in it."""
    state: str | None = None
    """Of that job."""
    waiting: int = 0
    """Jobs that wait for their turn in it."""
    done: int = 0
    """Jobs that have ended in it, as far as they are still known."""
    agent: str | None = None
    session: str | None = None
    turns: int = 0
    """Of its session."""
    share: float | None = None
    """How full the window of that is."""
    workspace: str | None = None
    branch: str | None = None
    used_at: int | None = None
    problem: str | None = None
    """Why it could take no job now."""


class WorkerDetail(Struct, frozen=True, kw_only=True):
    """A worker with its queue."""

    worker: Worker
    queue: list[int]
    """The jobs that wait for it, in about their order."""
    last: list[int]
    """The newest that have ended in it, the newest first."""


class WorkerVerb(StrEnum):
    ADD = "add"
    PAUSE = "pause"
    RESUME = "resume"
    REMOVE = "remove"


class WorkerOrder(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One of the operator's verbs on a worker: body of `POST /v1/workers/NAME`."""

    verb: WorkerVerb
    spec: WorkerSpec | None = None
    """`add`."""
    dry_run: bool = False


class WorkerAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a verb came to."""

    verb: WorkerVerb
    name: str
    worker: Worker | None = None
    """As it stands then; None for one that was removed."""
    kept: str = ""
    """Of one that was removed: the directory, which stays."""
    action: int | None = None
    dry_run: bool = False
