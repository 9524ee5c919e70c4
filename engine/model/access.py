"""Who may call what: roles, tokens, and what was called by whom."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

#: A token's name stands in the log, in tables, and as who holds a job.
TOKEN_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}\Z"


class Role(StrEnum):
    """What a caller may do. Each may do also what those before it may."""

    VIEWER = "viewer"
    """Reads and follows."""
    OPERATOR = "operator"
    """Everything that is done to work: it submits jobs, so it runs commands with the engine's rights."""
    ADMIN = "admin"
    """What is done to the engine: drain, shutdown, tokens, and what removes for good."""
    OWNER = "owner"
    """Whoever the home belongs to, at its socket. No token has it."""

    @property
    def one(self) -> str:
        """`a viewer`, `an operator`."""
        return f"{'a' if self is Role.VIEWER else 'an'} {self}"

    def may(self, needed: Role) -> bool:
        """Whether who has this role may do what needs that one."""
        return _ORDER.index(self) >= _ORDER.index(needed)


_ORDER = tuple(Role)
GIVEN = (Role.VIEWER, Role.OPERATOR, Role.ADMIN)  #: the roles that a token can have


class Token(Struct, frozen=True, kw_only=True):
    """A token, without what opens the door. Times are milliseconds UTC."""

    id: int
    name: str
    role: Role
    added_at: int
    by: str
    expires_at: int | None = None
    revoked_at: int | None = None
    used_at: int | None = None
    """About: it is written once a minute at most."""


class TokenWanted(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Body of `POST /v1/tokens`."""

    name: Annotated[str, Meta(pattern=TOKEN_NAME)]
    role: Role = Role.VIEWER
    expires: str | None = None
    """A span, such as `30d`. Unset: never."""


class TokenMade(Struct, frozen=True, kw_only=True):
    """A new token, told this once."""

    token: Token
    secret: str


class AuditLine(Struct, frozen=True, kw_only=True):
    """One call: who, from where, what, and what became of it."""

    seq: int
    """Of the event that it was read from."""
    at: int
    who: str
    """The name of a user of this machine, of a token, or of the agent of a job; `?` where nobody is known."""
    role: str
    """`job` for an agent's tools; empty where nobody is known."""
    door: str
    """`unix`, `ssh`, `tcp` or `mcp`."""
    address: str
    what: str
    status: int
    """Of HTTP; of an agent's tool 200, or 409 where it was refused."""
    said: str
    """Why it was refused, or what came of it."""
    job: int | None = None
    """Whose agent called, or had the socket opened."""
