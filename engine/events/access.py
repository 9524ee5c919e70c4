"""Who called the engine, and with what they may."""

from __future__ import annotations

from engine.events.body import Body
from engine.model.access import Role


class TokenAdded(Body, frozen=True, tag="token_added"):
    """A token for those who come over the network. What opens the door is nowhere in here."""

    by: str
    name: str
    role: Role
    expires_at: int | None = None


class TokenRevoked(Body, frozen=True, tag="token_revoked"):
    by: str
    name: str


class Audited(Body, frozen=True, tag="audited"):
    """A verb was called, or somebody was refused."""

    who: str
    role: str
    door: str
    address: str
    what: str
    status: int
    said: str = ""
    of: int | None = None
    """The job whose agent called."""
    more: int = 0
    """Refusals like this one that came too fast to be told each."""


AccessBody = TokenAdded | TokenRevoked | Audited
