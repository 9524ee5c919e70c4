"""Whether a job goes on in the session that it has, or begins a new one. Pure.

A conversation belongs to its directory and its account: agents look for it there, and one that is sent into another
place hangs, loses it, or works on the wrong files. A policy may end it before it is full or stale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from msgspec import structs

from engine.config import AgentSettings, SessionSettings, Settings
from engine.sessions import Session, SessionState
from engine.units import milliseconds

T = TypeVar("T")

HANDOFF_TOKENS = 4_000  #: two per cent of the smallest window in use


@dataclass(frozen=True, slots=True)
class Policy:
    """When a session has served long enough. 0 is never."""

    max_age: int = 0
    """Milliseconds since it was begun."""
    max_turns: int = 0
    """Calls of the model."""
    max_context: float = 0
    """Share of the model's window."""
    handoff_tokens: int = HANDOFF_TOKENS
    """What the hand-off to the next one may take of it."""

    @classmethod
    def of(cls, settings: Settings, agent: AgentSettings, persona: SessionSettings | None = None) -> Policy:
        """The word of the job's persona, where it has one, then the agent's own, else everybody's."""
        own, common = _over(persona, agent.sessions or SessionSettings()), settings.sessions
        return cls(
            max_age=milliseconds(own.max_age if own.max_age is not None else common.max_age or 0),
            max_turns=_first(own.max_turns, common.max_turns, 0),
            max_context=_first(own.max_context, common.max_context, 0.0),
            handoff_tokens=_first(own.handoff_tokens, common.handoff_tokens, HANDOFF_TOKENS),
        )


def _over(first: SessionSettings | None, second: SessionSettings) -> SessionSettings:
    """The first one's words, and the second one's where it has none."""
    if first is None:
        return second
    said = {name: value for name in first.__struct_fields__ if (value := getattr(first, name)) is not None}
    return structs.replace(second, **said)


def _first(own: T | None, common: T | None, default: T) -> T:
    return own if own is not None else common if common is not None else default


@dataclass(frozen=True, slots=True)
class Here:
    """What a session would be resumed with."""

    directory: str
    account: str | None
    version: str | None
    """Of the agent as it is installed; None where it cannot be told."""
    now: int


def obstacle(session: Session, here: Here) -> str:
    """Why a session cannot go on here; nothing where it can."""
    if session.workspace != here.directory:
        return f"its directory was {session.workspace}, and is {here.directory} now"
    if session.account != here.account:
        return f"its account was {session.account or 'the default'}, and is {here.account or 'the default'} now"
    before, now = session.agent_version, here.version
    if before and now and _major(before) != _major(now):
        return f"{session.agent} was {before} in its session, and is {now} now"
    if session.state in (SessionState.FORKED, SessionState.RETIRED):
        return f"its session is {session.state}" + (f": {session.why}" if session.why else "")
    return ""


def worn(session: Session, policy: Policy, now: int) -> str:
    """Why the policy ends a session; nothing where it does not."""
    age = now - session.created_at
    if 0 < policy.max_age <= age:
        return f"its session was {_hours(age)} old, and may be {_hours(policy.max_age)}"
    if 0 < policy.max_turns <= session.turns:
        return f"its session had {session.turns} turns, and may have {policy.max_turns}"
    if 0 < policy.max_context <= (session.share or 0):
        return f"its context was {session.share or 0:.0%} full, and may be {policy.max_context:.0%}"
    return ""


def remark(session: Session, here: Here) -> str:
    """What to know of a session that goes on; nothing where all is as it was."""
    before, now = session.agent_version, here.version
    if before and now and before != now:
        return f"{session.agent} was {before} in this session before, and is {now} now"
    return ""


def _major(version: str) -> str:
    return version.partition(".")[0]


def _hours(ms: int) -> str:
    minutes = ms // 60_000
    if minutes < 1:
        return f"{ms / 1000:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.0f} h"
