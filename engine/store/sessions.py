"""What becomes of agents' sessions. Operations of the one writer.

A session has one writer: two attempts that go on in it at once fork its history or never end. The attempt that has it
stands in its row from the claim to the settlement; the operator's takeovers stand in `attachments`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine import events as log
from engine.agents import events as said
from engine.sessions import WRITTEN, Compaction, Session, SessionState, Step, next_session_state
from engine.store.rows import AttemptRow
from engine.store.writer import Transaction

_COLUMNS = tuple(name for name in Session.__struct_fields__ if name != "compactions")
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM sessions"
_COMPACTIONS = (
    "SELECT at, attempt, trigger, before_tokens, after_tokens FROM compactions WHERE agent = ? AND session = ? "
    "ORDER BY attempt, number"
)
_ADD_COMPACTION = (
    "INSERT INTO compactions (agent, session, attempt, number, at, trigger, before_tokens, after_tokens) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_WRITER = (
    "SELECT attempts.job FROM sessions LEFT JOIN attempts ON attempts.id = sessions.attempt "
    "WHERE sessions.agent = ? AND sessions.id = ? AND sessions.attempt IS NOT NULL"
)
_OPERATOR = "SELECT by, pid FROM attachments WHERE agent = ? AND session = ?"


@dataclass(frozen=True, slots=True)
class Heard:
    """What an attempt's output has told of its session."""

    session: str | None = None
    version: str | None = None
    model: str | None = None
    turns: int = 0
    context_tokens: int = 0
    context_window: int = 0
    compactions: tuple[said.Compacted, ...] = ()


@dataclass(frozen=True, slots=True)
class Begun:
    """In which session an attempt begins, and what it left behind for it."""

    session: str | None = None
    resumes: str | None = None
    forked: bool = False
    retires: str | None = None
    """The session that it could have gone on in, and did not."""
    why: str = ""
    """Why not."""
    handed: bool = True
    """The new one is told what was done in the old one."""


def read(tx: Transaction, agent: str, name: str) -> Session | None:
    """A session with its compactions."""
    values = tx.connection.execute(f"{_SELECT} WHERE agent = ? AND id = ?", (agent, name)).fetchone()
    return _session(tx.connection, values) if values else None


def listed(tx: Transaction, job: int | None, limit: int) -> list[Session]:
    """The sessions of a job, oldest first; or, without one, those used last."""
    if job is not None:
        found = tx.connection.execute(f"{_SELECT} WHERE job = ? ORDER BY created_at, id LIMIT ?", (job, limit))
    else:
        found = tx.connection.execute(f"{_SELECT} ORDER BY used_at DESC LIMIT ?", (limit,))
    return [_session(tx.connection, values) for values in found.fetchall()]


def _session(connection: sqlite3.Connection, values: Sequence[Any]) -> Session:
    fields = dict(zip(_COLUMNS, values, strict=True))
    fields["state"] = SessionState(fields["state"])
    names = Compaction.__struct_fields__
    rows = connection.execute(_COMPACTIONS, (fields["agent"], fields["id"])).fetchall()
    return Session(**fields, compactions=[Compaction(**dict(zip(names, row, strict=True))) for row in rows])


def busy(tx: Transaction, agent: str, name: str) -> str:
    """Who writes a session now, in words; nothing where nobody does."""
    if (found := tx.connection.execute(_WRITER, (agent, name)).fetchone()) is not None:
        return f"J{found[0]} is at work in it" if found[0] is not None else "an attempt is about to go on in it"
    if (found := tx.connection.execute(_OPERATOR, (agent, name)).fetchone()) is not None:
        return f"{found[0]} works in it (pid {found[1]})"
    return ""


def take(tx: Transaction, agent: str, name: str, attempt: int) -> None:
    """Give a session to the attempt that will go on in it. Who asks has seen that nobody writes it."""
    tx.connection.execute("UPDATE sessions SET attempt = ? WHERE agent = ? AND id = ?", (attempt, agent, name))


def begin(tx: Transaction, tried: AttemptRow, begun: Begun, workspace: str) -> None:
    """An attempt was started: in a new session, in one that goes on, or in a fork of one."""
    agent = tried.agent
    if begun.retires is not None:
        tx.connection.execute("UPDATE sessions SET attempt = NULL WHERE attempt = ?", (tried.id,))
        _retire(tx, agent, begun.retires, begun.why)
    if begun.forked and begun.resumes is not None:
        tx.connection.execute("UPDATE sessions SET attempt = NULL WHERE attempt = ?", (tried.id,))
        _move(tx, agent, begun.resumes, Step.FORK)
    if begun.session is None:
        return
    if begun.resumes == begun.session and _move(tx, agent, begun.session, Step.RESUME):
        tx.connection.execute(
            "UPDATE sessions SET attempt = ?, attempts = attempts + 1, used_at = ?, model = coalesce(?, model), "
            "why = NULL WHERE agent = ? AND id = ?",
            (tried.id, tx.now, tried.model, agent, begun.session),
        )
        return
    _add(tx, tried, begun.session, workspace, begun.resumes if begun.forked else None)


def _retire(tx: Transaction, agent: str, name: str, why: str) -> None:
    """End a session for good, unless somebody else is at work in it."""
    for state in (SessionState.PARKED, SessionState.FORKED):
        _move(tx, agent, name, Step.RETIRE, why=why, only=state)


def _add(tx: Transaction, tried: AttemptRow, name: str, workspace: str, parent: str | None) -> None:
    tx.connection.execute(
        "INSERT INTO sessions (id, agent, workspace, state, created_at, used_at, account, model, job, parent, attempt, "
        "attempts, context_window) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?) "
        "ON CONFLICT (agent, id) DO UPDATE SET attempt = excluded.attempt, used_at = excluded.used_at, "
        "attempts = attempts + 1",
        (name, tried.agent, workspace, next_session_state(None, Step.BEGIN), tx.now, tx.now, tried.account,
         tried.model, tried.job, parent, tried.id, window_of(tx, tried.agent, tried.model)),
    )  # fmt: skip


def hear(tx: Transaction, tried: AttemptRow, heard: Heard) -> list[log.Compacted]:
    """Keep what a running attempt has told so far. Returns the compactions that were not known yet."""
    name = heard.session or tried.session
    if name is None:
        return []
    if name != tried.session and tried.workspace is not None:
        # The agent chose its name, or goes on under another one than it was asked to.
        parent = tried.resumes if tried.forked or tried.resumes == tried.session else None
        _leave(tx, tried)
        _add(tx, tried, name, tried.workspace, parent)
        tx.connection.execute("UPDATE attempts SET session = ? WHERE id = ?", (name, tried.id))
    _move(tx, tried.agent, name, Step.HEAR, only=SessionState.NEW)
    tx.connection.execute(
        "UPDATE sessions SET used_at = ?, agent_version = coalesce(?, agent_version), model = coalesce(?, model), "
        "context_tokens = coalesce(?, context_tokens), context_window = coalesce(?, context_window) "
        "WHERE agent = ? AND id = ?",
        (tx.now, heard.version, heard.model, heard.context_tokens or None, heard.context_window or None,
         tried.agent, name),
    )  # fmt: skip
    if heard.context_window:
        _keep_window(tx, tried, heard.context_window)
    return _keep_compactions(tx, tried, name, heard.compactions)


def end(tx: Transaction, tried: AttemptRow, heard: Heard) -> list[log.Compacted]:
    """The attempt is over: nobody writes its session. Returns the compactions that were not known yet."""
    if tried.session is None and tried.resumes is None and heard.session is None:
        return []
    new = hear(tx, tried, heard)
    if heard.turns and (name := heard.session or tried.session):
        tx.connection.execute(
            "UPDATE sessions SET turns = turns + ? WHERE agent = ? AND id = ?", (heard.turns, tried.agent, name)
        )
    _leave(tx, tried)
    return new


def _leave(tx: Transaction, tried: AttemptRow) -> None:
    """Park what an attempt writes."""
    found = tx.connection.execute("SELECT id, state FROM sessions WHERE attempt = ?", (tried.id,)).fetchall()
    for name, state in found:
        if SessionState(state) in WRITTEN:
            _move(tx, tried.agent, name, Step.PARK)
    tx.connection.execute("UPDATE sessions SET attempt = NULL WHERE attempt = ?", (tried.id,))


def attach(tx: Transaction, agent: str, name: str) -> None:
    """The operator works in a session."""
    _move(tx, agent, name, Step.RESUME)
    _touch(tx, agent, name)


def detach(tx: Transaction, agent: str, name: str) -> None:
    """The operator has left it."""
    _move(tx, agent, name, Step.PARK, only=SessionState.RESUMED)
    _touch(tx, agent, name)


def _touch(tx: Transaction, agent: str, name: str) -> None:
    tx.connection.execute(
        "UPDATE sessions SET attached_at = ?, used_at = ? WHERE agent = ? AND id = ?", (tx.now, tx.now, agent, name)
    )


def _move(
    tx: Transaction, agent: str, name: str, step: Step, *, why: str | None = None, only: SessionState | None = None
) -> bool:
    """Bring a session's state on, by the table. False where there is no such session."""
    found = tx.connection.execute("SELECT state FROM sessions WHERE agent = ? AND id = ?", (agent, name)).fetchone()
    if found is None:
        return False
    state = SessionState(found[0])
    if only is None or state is only:
        after = next_session_state(state, step)
        tx.connection.execute(
            "UPDATE sessions SET state = ?, why = coalesce(?, why) WHERE agent = ? AND id = ?",
            (after, why, agent, name),
        )
    return True


def _keep_compactions(
    tx: Transaction, tried: AttemptRow, name: str, compactions: Sequence[said.Compacted]
) -> list[log.Compacted]:
    new = []
    for number, one in enumerate(compactions, 1):
        before, after = one.before_tokens, one.after_tokens
        made = tx.connection.execute(
            _ADD_COMPACTION, (tried.agent, name, tried.id, number, tx.now, one.trigger, before, after)
        )
        if made.rowcount:
            new.append(log.Compacted(name, one.trigger, before, after))
    return new


def _keep_window(tx: Transaction, tried: AttemptRow, tokens: int) -> None:
    tx.connection.execute(
        "INSERT INTO context_windows (agent, model, tokens) VALUES (?, ?, ?) "
        "ON CONFLICT (agent, model) DO UPDATE SET tokens = excluded.tokens",
        (tried.agent, tried.model or "", tokens),
    )


def window_of(tx: Transaction, agent: str, model: str | None) -> int | None:
    """How many tokens a model's window holds, as far as its agent has said so before."""
    found = tx.connection.execute(
        "SELECT tokens FROM context_windows WHERE agent = ? AND model = ?", (agent, model or "")
    ).fetchone()
    return int(found[0]) if found else None
