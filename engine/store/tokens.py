"""Tokens, as the database keeps them: by the hash of what opens the door. Operations of the one writer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine import events as log
from engine.errors import NotFoundError, RefusedError
from engine.model.access import Role, Token
from engine.store.writer import Transaction

_COLUMNS = "id, name, role, added_at, by, expires_at, revoked_at, used_at"
_ADD = "INSERT INTO tokens (name, role, hash, added_at, by, expires_at) VALUES (?, ?, ?, ?, ?, ?)"
_STANDING = f"SELECT {_COLUMNS} FROM tokens WHERE name = ? AND revoked_at IS NULL"
_EVERY = f"SELECT {_COLUMNS} FROM tokens ORDER BY revoked_at IS NOT NULL, name, id DESC"
_HASHES = f"SELECT hash, {_COLUMNS} FROM tokens WHERE revoked_at IS NULL"


def add(tx: Transaction, name: str, role: Role, hash_: str, by: str, expires_at: int | None) -> Token:
    """Raises `RefusedError` where one of that name stands and has not expired."""
    if (found := tx.connection.execute(_STANDING, (name,)).fetchone()) is not None:
        there = _token(found)
        if there.expires_at is None or there.expires_at > tx.now:
            raise RefusedError(f"there is a token {name!r} already; `headway token revoke {name}` ends it")
        revoke(tx, name, by)
    made = tx.connection.execute(_ADD, (name, role, hash_, tx.now, by, expires_at))
    tx.log(log.TokenAdded(by, name, role, expires_at))
    assert made.lastrowid is not None, "an insert gives a number"
    return Token(id=made.lastrowid, name=name, role=role, added_at=tx.now, by=by, expires_at=expires_at)


def revoke(tx: Transaction, name: str, by: str) -> Token:
    """It opens nothing any more, for good. Raises `NotFoundError`."""
    found = tx.connection.execute(_STANDING, (name,)).fetchone()
    if found is None:
        raise NotFoundError(f"there is no token {name!r}; `headway token list` lists them")
    tx.connection.execute("UPDATE tokens SET revoked_at = ? WHERE id = ?", (tx.now, found[0]))
    tx.log(log.TokenRevoked(by, name))
    return _token((*found[:6], tx.now, found[7]))


def every(tx: Transaction) -> list[Token]:
    """All that there ever were, those that stand first."""
    return [_token(row) for row in tx.connection.execute(_EVERY)]


def standing(tx: Transaction) -> list[tuple[str, Token]]:
    """Those that are not revoked, each with its hash."""
    return [(str(row[0]), _token(row[1:])) for row in tx.connection.execute(_HASHES)]


def used(tx: Transaction, token: int) -> None:
    tx.connection.execute("UPDATE tokens SET used_at = ? WHERE id = ?", (tx.now, token))


def _token(row: Sequence[Any]) -> Token:
    number, name, role, added, by, expires, revoked, used_at = row
    return Token(
        id=number, name=name, role=Role(role), added_at=added, by=by,
        expires_at=expires, revoked_at=revoked, used_at=used_at,
    )  # fmt: skip
