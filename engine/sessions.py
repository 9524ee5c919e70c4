"""An agent's conversation, and its life: one table of what may happen to it in which state. Pure.

new -> active -> parked -> resumed -> parked ...
                        -> forked
                        -> retired
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct, field

from engine.errors import RefusedError


class SessionState(StrEnum):
    """Where a session stands."""

    NEW = "new"
    """It has a name, and the agent has not said a word in it."""
    ACTIVE = "active"
    """Its first attempt is at work in it."""
    PARKED = "parked"
    """Nobody writes it, and it can go on."""
    RESUMED = "resumed"
    """A later attempt, or the operator, is at work in it."""
    FORKED = "forked"
    """Its job went on in a fork of it."""
    RETIRED = "retired"
    """No attempt goes on in it any more."""


class Step(StrEnum):
    """What can happen to a session."""

    BEGIN = "begin"
    HEAR = "hear"
    PARK = "park"
    RESUME = "resume"
    FORK = "fork"
    RETIRE = "retire"


_NEW, _ACTIVE, _PARKED, _RESUMED, _FORKED, _RETIRED = SessionState

TRANSITIONS: Mapping[tuple[SessionState | None, Step], SessionState] = {
    (None, Step.BEGIN): _NEW,
    (_NEW, Step.HEAR): _ACTIVE,
    (_NEW, Step.PARK): _PARKED,
    (_ACTIVE, Step.PARK): _PARKED,
    (_RESUMED, Step.PARK): _PARKED,
    (_PARKED, Step.RESUME): _RESUMED,
    (_PARKED, Step.FORK): _FORKED,
    (_PARKED, Step.RETIRE): _RETIRED,
    (_FORKED, Step.FORK): _FORKED,
    (_FORKED, Step.RETIRE): _RETIRED,
    # Only the operator can: an attempt is never sent back into one.
    (_FORKED, Step.RESUME): _RESUMED,
    (_RETIRED, Step.RESUME): _RESUMED,
}

#: Somebody writes it.
WRITTEN = frozenset({_NEW, _ACTIVE, _RESUMED})


def next_session_state(state: SessionState | None, step: Step) -> SessionState:
    """The state after a step, raising `RefusedError` where the table has no such row."""
    after = TRANSITIONS.get((state, step))
    if after is None:
        raise RefusedError(f"a session that is {state or 'not there'} cannot {step}")
    return after


class Compaction(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The agent shortened its own conversation. Tokens before and after, where it says so."""

    at: int
    attempt: int
    trigger: str
    before_tokens: int | None = None
    after_tokens: int | None = None


class AttachRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /v1/jobs/ID/attach`: the process that lends its terminal to the agent's own screen."""

    pid: int
    marker: Annotated[str, Meta(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]
    """The caller's own name for it, by which it is given back."""


class DetachRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /v1/jobs/ID/detach`."""

    marker: str


class Takeover(Struct, frozen=True, kw_only=True):
    """A session that is the operator's, and how its agent's own screen is started on it.

    The environment is not in here but for what the adapter sets: the command at the terminal builds it from the
    settings, so that no key crosses the socket.
    """

    job: int
    agent: str
    account: str | None
    session: str
    directory: str
    marker: str
    """For the environment of the screen, by which all of its processes are found."""
    argv: list[str]
    env: dict[str, str] = field(default_factory=dict)


class Session(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A conversation with what belongs to it: it can only go on in the same directory, on the same account."""

    id: str
    agent: str
    workspace: str
    state: SessionState
    created_at: int
    used_at: int
    account: str | None = None
    model: str | None = None
    agent_version: str | None = None
    job: int | None = None
    parent: str | None = None
    """The session that it was forked from."""
    attempt: int | None = None
    """The attempt that writes it now."""
    attempts: int = 0
    turns: int = 0
    """Calls of the model."""
    context_tokens: int | None = None
    context_window: int | None = None
    """What the model's window holds, as the agent said; None where it did not."""
    attached_at: int | None = None
    """When the operator last worked in it."""
    why: str | None = None
    """Why it was retired."""
    compactions: list[Compaction] = field(default_factory=list)

    @property
    def share(self) -> float | None:
        """How full the window is, from 0; None where that is not known."""
        if not self.context_window or self.context_tokens is None:
            return None
        return self.context_tokens / self.context_window
