"""What happens to the conversation that a job is done in."""

from __future__ import annotations

from engine.events.body import Body
from engine.model import Usage


class HandedOff(Body, frozen=True, tag="handed_off"):
    """The attempt begins a new session, which is told what was done before it."""

    why: str
    was: str | None = None
    """The session that it does not go on in."""
    tokens: int = 0
    """What the hand-off takes of the new session, as it was estimated."""


class Compacted(Body, frozen=True, tag="compacted"):
    """The agent shortened its own conversation."""

    session: str
    trigger: str
    before_tokens: int | None = None
    after_tokens: int | None = None


class Parked(Body, frozen=True, tag="parked"):
    """The attempt was ended so that the operator can work in its session. It uses up nothing."""

    by: str
    exit_code: int | None = None
    usage: tuple[Usage, ...] = ()


class Attached(Body, frozen=True, tag="attached"):
    """The operator takes over the job's session: the job is held until he has left it."""

    by: str
    pid: int
    hold: str
    """What its hold says."""


class Detached(Body, frozen=True, tag="detached"):
    """The operator has left the session; the job is held as it was before, or because of how that ended."""

    by: str
    hold: str | None = None
    reason: str | None = None


TalkBody = HandedOff | Compacted | Parked | Attached | Detached
