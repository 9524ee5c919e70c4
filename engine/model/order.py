"""The operator's verbs: what is asked for, what would follow, what was done."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from engine.model.reason import Estimate
from engine.model.words import Verb


class Order(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What the operator asks for: a verb, what it is about, and what it takes."""

    verb: Verb
    jobs: list[Annotated[int, Meta(ge=0, le=10**18)]] = field(default_factory=list)
    filter: str | None = None
    """Instead of ids: all jobs that match."""
    scope: str | None = None
    """Instead of jobs: all that is and comes in a scope, such as `all` or `agent:claude`."""
    dry_run: bool = False
    preview: bool = True
    """A dry run also says what would follow. To count what a verb would do, that is not needed."""
    fresh: bool = False
    """`retry`: begin a new conversation."""
    fork: bool = False
    """`retry`: go on in a copy of the conversation, which itself stays as it is."""
    priority: Annotated[int, Meta(ge=0, le=9)] | None = None
    until: str | int | None = None
    """`snooze`: a time or a delay, as `not_before` of a job; None for at once."""
    to: str | None = None
    """`reroute`: the target."""
    to_next: bool = False
    """`reroute`: instead, the next target of each job's route that can be used."""
    prompt: str | None = None
    """`edit`: the new prompt."""
    place: str | None = None
    """`move`: `first`, `last`, `before:12`, `after:12`."""
    limit: Annotated[int, Meta(ge=0, le=10_000)] | None = None
    """`cap`: attempts at once; None for what the settings say."""


class Shift(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a change does to one job, as far as it can be foreseen."""

    job: int
    title: str
    before: Estimate | None = None
    after: Estimate | None = None
    stops: bool = False
    now: bool = False
    """It would start at once."""
    waits: str = ""
    """Why it would wait, where it would."""


class Quota(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a change does to an account's limits: how many jobs more, or fewer, go on it."""

    account: str
    """As `claude@work`."""
    jobs: int
    window: str = ""
    """Its fullest window; empty where none is known."""
    used: float | None = None
    """Share of that, 0 to 1."""
    resets_at: int | None = None


class Preview(Struct, frozen=True, kw_only=True):
    """What would follow from a verb: computed by what the dispatcher acts with, on the queue as it would be."""

    shifts: list[Shift] = field(default_factory=list)
    """The jobs that it is about, and others whose start it moves; at most `SHIFTS` of them."""
    others: int = 0
    """Further jobs whose start moves."""
    finish_before: int | None = None
    """When the last of all jobs is expected to finish, as things are; None where that is not known."""
    finish_after: int | None = None
    cost_micros: int | None = None
    """What the jobs that it puts into the queue are expected to cost, less what those cost that it takes out."""
    unpriced: int = 0
    """Jobs in that sum of which no cost is known."""
    quota: list[Quota] = field(default_factory=list)
    """By account, for those on which more or fewer jobs go than before."""


class ActionResult(Struct, frozen=True, kw_only=True):
    """What a verb did, or with `dry_run` would have done."""

    verb: Verb
    done: list[int]
    stopping: list[int] = field(default_factory=list)
    """Jobs whose running attempt is being stopped; an event tells when each has ended."""
    skipped: dict[str, list[int]] = field(default_factory=dict)
    """Reason -> the jobs that were left as they are."""
    also: dict[str, list[int]] = field(default_factory=dict)
    """What else followed at once -> the jobs: those skipped because of a cancelled one, or put back with it."""
    dry_run: bool = False
    action: int | None = None
    """Its number among the actions, by which it can be undone."""
    preview: Preview | None = None


class Undone(Struct, frozen=True, kw_only=True):
    """What taking back an action did, or would do."""

    action: int
    verb: str
    at: int
    restored: list[int] = field(default_factory=list)
    lost: dict[str, list[int]] = field(default_factory=dict)
    """What cannot come back, and why -> the jobs."""
    said: str = ""
    """What was taken back that is not about single jobs."""
    dry_run: bool = False


class ActionLine(Struct, frozen=True, kw_only=True):
    """One thing that the operator did."""

    id: int
    at: int
    verb: str
    by: str
    jobs: int
    """How many jobs it was about; 0 for a scope."""
    undone_at: int | None = None
