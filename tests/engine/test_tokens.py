"""Tokens: shown once, kept as a hash, and good until they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import events as log
from engine.engine import Engine
from engine.errors import NotFoundError, RefusedError, UsageError
from engine.model.access import Role, Token, TokenWanted
from engine.tokens import PREFIX


async def test_a_token_opens_until_it_is_revoked(engine: Engine) -> None:
    tokens = engine.tokens
    made = await tokens.add(TokenWanted(name="ci", role=Role.OPERATOR), "me")
    heard: list[Token] = []
    tokens.heed(heard.append)
    assert made.secret.startswith(PREFIX) and len(made.secret) > 40
    assert tokens.of(made.secret) == made.token
    for forged in ("", made.secret[:-1], made.secret + "x", PREFIX, made.secret.upper(), "\ud800é"):
        assert tokens.of(forged) is None
    with pytest.raises(RefusedError, match="there is a token 'ci' already"):
        await tokens.add(TokenWanted(name="ci"), "me")
    gone = await tokens.revoke("ci", "me")
    assert tokens.of(made.secret) is None and heard == [gone] and gone.revoked_at is not None
    with pytest.raises(NotFoundError):
        await tokens.revoke("ci", "me")
    again = await tokens.add(TokenWanted(name="ci"), "me")
    assert [(one.name, one.revoked_at is None) for one in await tokens.every()] == [("ci", True), ("ci", False)]
    # An engine that comes after this one knows the one that stands, and the other no more.
    await tokens.open()
    assert tokens.of(again.secret) == again.token and tokens.of(made.secret) is None
    bodies = [event.body for event in await engine.store.read.events(0)]
    assert [one for one in bodies if isinstance(one, log.TokenAdded | log.TokenRevoked)] == [
        log.TokenAdded("me", "ci", Role.OPERATOR),
        log.TokenRevoked("me", "ci"),
        log.TokenAdded("me", "ci", Role.VIEWER),
    ]


async def test_nothing_in_the_home_opens_the_door(engine: Engine, home: Path) -> None:
    made = await engine.tokens.add(TokenWanted(name="ci"), "me")
    files = [path for path in home.rglob("*") if path.is_file()]
    assert any(b"token_added" in path.read_bytes() for path in files)
    assert not [path for path in files if made.secret.removeprefix(PREFIX).encode() in path.read_bytes()]


async def test_a_token_expires(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await engine.tokens.add(TokenWanted(name="ci", expires="1h"), "me")
    end = made.token.expires_at
    assert end is not None and engine.tokens.of(made.secret) is not None
    monkeypatch.setattr("engine.tokens.now_ms", lambda: end)
    assert engine.tokens.of(made.secret) is None
    monkeypatch.undo()
    for wrong in ("0", "soon", ""):
        with pytest.raises(UsageError, match="expires: "):
            await engine.tokens.add(TokenWanted(name="other", expires=wrong), "me")


async def test_the_owner_is_no_role_of_a_token(engine: Engine) -> None:
    with pytest.raises(UsageError, match="viewer, operator or admin"):
        await engine.tokens.add(TokenWanted(name="ci", role=Role.OWNER), "me")
