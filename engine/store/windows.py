"""The windows of all accounts: readings in, and what is believed of them out. Operations of the one writer."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterable

import msgspec

from engine import events as log
from engine.dispatch import windows
from engine.model import Target
from engine.store.fold import record as record_event
from engine.store.rows import SELECT_JOB, job_row
from engine.store.writer import Transaction
from engine.window import Reading, Window, WindowState

COUNTED = 10_000  #: jobs that wait for a window are counted up to here

_KEEP = (
    "INSERT INTO windows (account, name, model, state) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (account, name, model) DO UPDATE SET state = excluded.state"
)
_PROBES = (
    "SELECT agent, account, model, count(*) FROM attempts INDEXED BY attempts_live "
    "WHERE ended_at IS NULL AND created_at >= ? GROUP BY agent, account, model"
)
_STARTABLE = (
    "SELECT model, (SELECT count(*) FROM (SELECT 1 FROM jobs WHERE lane = lanes.id AND state = 'ready' "
    f"AND held_by IS NULL AND not_before IS NULL LIMIT {COUNTED})) FROM lanes INDEXED BY lanes_open "
    "WHERE open = 1 AND agent = ? AND account IS ?"
)
_PARKED = (
    "SELECT model, count(*) FROM jobs WHERE state = 'ready' AND not_before IS NOT NULL AND held_by IS NULL "
    "AND failure = 'rate_limited' AND agent = ? AND account IS ? GROUP BY model"
)
_MET = (
    f"{SELECT_JOB} WHERE state = 'ready' AND not_before IS NOT NULL AND failure = 'rate_limited' "
    "AND agent = ? AND account IS ?"
)
_LOGGED = 'SELECT body FROM events WHERE job IS NULL AND body LIKE \'{"kind":"limit_seen"%\' ORDER BY seq'
_ENCODE = msgspec.json.Encoder().encode
_DECODE = msgspec.json.Decoder(Window).decode


def record(tx: Transaction, account: str, readings: Iterable[Reading], jitter: float | None = None) -> list[Window]:
    """Take readings of an account's windows, in any order, as often as they come. `account`: as `claude@work`.

    Returns the windows of which something new is known. `jitter`, 0 to 1, is how much of the extra wait after an end is
    taken; by chance where it is not said. Whoever writes this has to wake the dispatcher if any is returned.
    """
    changed = []
    for reading in readings:
        name, model = reading.window[:100], reading.model[:200]
        reading = msgspec.structs.replace(reading, window=name, model=model)
        before = one(tx, account, name, model)
        chance = random.random() if jitter is None else jitter
        after = windows.observe(before, account, reading, tx.now, chance)
        if after != before and _keep(tx, before, after):
            changed.append(after)
            if before is not None and windows.is_closed(before, tx.now) and not windows.is_closed(after, tx.now):
                _release(tx, after)
    return changed


def end_now(tx: Transaction, account: str) -> list[Window]:
    """Wait no longer for the closed windows of an account: from now on they are probed. Returns these."""
    closed = [window for window in of(tx, account) if windows.is_closed(window, tx.now)]
    ended = [msgspec.structs.replace(window, until=tx.now, allowed=1, stepped_at=None) for window in closed]
    for before, after in zip(closed, ended, strict=True):
        _keep(tx, before, after)
        _release(tx, after)
    return ended


def _release(tx: Transaction, window: Window) -> None:
    """The jobs that have met a window wait for it no longer: it ends sooner than they were told."""
    agent, _, account = window.account.partition("@")
    for values in tx.connection.execute(_MET, (agent, account or None)).fetchall():
        row = job_row(values)
        if windows.applies(window, row.model):
            record_event(tx, row, log.Due())


def succeeded(tx: Transaction, target: Target, began: int) -> None:
    """An attempt of a target, begun then, went well: what is on its ramp again lets more go."""
    for window in of(tx, target.paid_by):
        if windows.applies(window, target.model):
            after = windows.succeeded(window, began, tx.now)
            if after != window:
                _keep(tx, window, after)


def one(tx: Transaction, account: str, name: str, model: str = "") -> Window | None:
    """One window, where something is known of it."""
    found = tx.connection.execute(
        "SELECT state FROM windows WHERE account = ? AND name = ? AND model = ?", (account, name, model)
    ).fetchone()
    return _DECODE(found[0]) if found else None


def of(tx: Transaction, account: str) -> list[Window]:
    """The windows of one account."""
    found = tx.connection.execute("SELECT state FROM windows WHERE account = ?", (account,)).fetchall()
    return [_DECODE(state) for (state,) in found]


def all_of(tx: Transaction) -> dict[str, tuple[Window, ...]]:
    """The windows of every account."""
    known: dict[str, list[Window]] = {}
    for account, state in tx.connection.execute("SELECT account, state FROM windows ORDER BY account, name, model"):
        known.setdefault(account, []).append(_DECODE(state))
    return {account: tuple(found) for account, found in known.items()}


def probes(tx: Transaction, found: Iterable[Window]) -> dict[tuple[str, str, str], int]:
    """For each window on its ramp: the attempts that run, apply to it and were begun since its end."""
    counted = {}
    for window in found:
        if window.allowed is None or window.until is None:
            continue
        if windows.is_closed(window, tx.now):
            counted[window.key] = 0
            continue
        # An end that lies ahead of a window that is not closed comes from a clock that was set back: all of them count.
        since = window.until if window.until <= tx.now else 0
        counted[window.key] = sum(
            n
            for agent, account, model, n in tx.connection.execute(_PROBES, (since,))
            if Target(agent, model, account).paid_by == window.account and windows.applies(window, model)
        )
    return counted


def states(tx: Transaction) -> list[WindowState]:
    """Every window as it is shown, with how many jobs wait for it."""
    return [_state(tx, window) for found in all_of(tx).values() for window in found]


def _state(tx: Transaction, window: Window) -> WindowState:
    closed = windows.is_closed(window, tx.now)
    seen = windows.newest(window)
    resets = window.closed if closed else windows.present(window, tx.now)
    probing = window.allowed if not closed and window.until is not None else None
    return WindowState(
        account=window.account,
        window=window.name,
        model=window.model,
        standing=windows.standing(window, tx.now),
        used=windows.used(window, tx.now),
        resets_at=resets.resets_at if resets is not None else None,
        until=window.until if closed else None,
        source=seen.source if seen is not None else "",
        observed_at=seen.at if seen is not None else 0,
        length=window.length,
        waiting=_waiting(tx, window) if closed or probing is not None else 0,
        probing=probing,
    )


def _waiting(tx: Transaction, window: Window) -> int:
    """The jobs that could start otherwise, and those that have met it and come back at its end."""
    agent, _, account = window.account.partition("@")
    found = [row for sql in (_STARTABLE, _PARKED) for row in tx.connection.execute(sql, (agent, account or None))]
    return min(COUNTED, sum(int(n) for model, n in found if windows.applies(window, model)))


def _keep(tx: Transaction, before: Window | None, after: Window) -> bool:
    """Write a window, and log it where that tells something new. Returns whether it does."""
    tx.connection.execute(_KEEP, (*after.key, _ENCODE(after).decode()))
    if windows.says_nothing_new(before, after):
        return False
    seen = windows.newest(after)
    tx.log(
        log.LimitSeen(
            window=after.title,
            status=str(windows.standing(after, tx.now)),
            used=windows.used(after, tx.now),
            resets_at=seen.resets_at if seen is not None else None,
            account=after.account,
            until=after.until if windows.is_closed(after, tx.now) else None,
            state=after,
        )
    )
    return True


def astray(connection: sqlite3.Connection) -> list[str]:
    """The windows that are not as the log tells them, by account and name."""
    told = rebuild(connection)
    kept = {one.key: one for (state,) in connection.execute("SELECT state FROM windows") for one in [_DECODE(state)]}
    # One that came from an earlier schema has not been logged yet.
    wrong = [key for key, state in told.items() if key not in kept or not windows.says_nothing_new(state, kept[key])]
    return sorted(" ".join(filter(None, key)) for key in wrong)


def rebuild(connection: sqlite3.Connection) -> dict[tuple[str, str, str], Window]:
    """The windows as the log tells them: as they stood when each was last logged."""
    decode = msgspec.json.Decoder(log.LimitSeen).decode
    found: dict[tuple[str, str, str], Window] = {}
    for (body,) in connection.execute(_LOGGED):
        state = decode(body).state
        if state is not None:
            found[state.key] = state
    return found
