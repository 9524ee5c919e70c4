"""The engine's tokens: made, found by what a caller shows, revoked."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable

from engine.clock import now_ms
from engine.errors import UsageError
from engine.model.access import GIVEN, Token, TokenMade, TokenWanted
from engine.store import Store, tokens
from engine.units import milliseconds

PREFIX = "hwt_"  #: by which a token is known where none should be
_BYTES = 32  #: of randomness: 256 bits
_USED_MS = 60_000  #: between two notes that a token was used


class Tokens:
    """One for an engine."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._by_hash: dict[str, Token] = {}
        self._used: dict[int, int] = {}
        self._heeding: list[Callable[[Token], None]] = []

    def heed(self, call: Callable[[Token], None]) -> None:
        """Call with each token that is revoked."""
        self._heeding.append(call)

    async def open(self) -> None:
        """Read those that stand. Called before anybody can show one."""
        self._by_hash = dict(await self._store.look(tokens.standing))

    async def add(self, wanted: TokenWanted, by: str) -> TokenMade:
        """A new token. What opens the door is in the answer, and nowhere else. Raises `RefusedError`, `UsageError`."""
        if wanted.role not in GIVEN:
            raise UsageError(f"role: a token is {', '.join(GIVEN[:-1])} or {GIVEN[-1]}; the owner comes by the socket")
        expires = _expiry(wanted.expires)
        secret = PREFIX + secrets.token_urlsafe(_BYTES)
        hash_ = hashed(secret)
        made = await self._store.write(lambda tx: tokens.add(tx, wanted.name, wanted.role, hash_, by, expires))
        self._by_hash = {key: one for key, one in self._by_hash.items() if one.name != made.name} | {hash_: made}
        return TokenMade(token=made, secret=secret)

    async def revoke(self, name: str, by: str) -> Token:
        """It opens nothing from now on, and what was opened with it is shut. Raises `NotFoundError`."""
        gone = await self._store.write(lambda tx: tokens.revoke(tx, name, by))
        self._by_hash = {key: one for key, one in self._by_hash.items() if one.id != gone.id}
        for call in self._heeding:
            call(gone)
        return gone

    async def every(self) -> list[Token]:
        return await self._store.look(tokens.every)

    def of(self, secret: str) -> Token | None:
        """The token that opens the door by this; None where it is forged, revoked, or has expired.

        Every hash is compared, in a time that tells nothing of any of them.
        """
        shown, found = hashed(secret), None
        for hash_, token in self._by_hash.items():
            if hmac.compare_digest(hash_, shown):
                found = token
        if found is None or (found.expires_at is not None and found.expires_at <= now_ms()):
            return None
        return found

    async def used(self, token: Token) -> None:
        """Note that it was, once a minute."""
        now = now_ms()
        if now - self._used.get(token.id, 0) >= _USED_MS:
            self._used[token.id] = now
            await self._store.write(lambda tx: tokens.used(tx, token.id))


def hashed(secret: str) -> str:
    """256 random bits cannot be guessed, so that a slow hash would only make the engine slow."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def _expiry(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        span = milliseconds(text)
    except ValueError as error:
        raise UsageError(f"expires: {error}") from None
    if not span:
        raise UsageError("expires: a token that expires at once opens nothing")
    return now_ms() + span
